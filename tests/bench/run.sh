#!/bin/bash
# run.sh: `make bench`: how fast Tollgate is, side by side with QEMU 10 where both can do the work.
# SPDX-License-Identifier: BSD-2-Clause
#
#   run.sh [SECTION...]     ratios, compute, policy, start, boot, smp, idle, priv, own, share; the first six without arguments
#
# BENCH_ENGINE (auto) is Tollgate's engine; which one that is, stands in the output.
# Runs are interleaved (A B A B ...) and pinned to one CPU; figures are medians of BENCH_RUNS (5). A ratio is QEMU's
# time by Tollgate's, pair by pair: above 1 Tollgate is quicker. Machines are noisy: trust ratios, not times.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

build=${B:-build}
tollgate=$build/tollgate
cache=${TOLLGATE_CACHE:-.cache}
qemu=$cache/qemu/qemu-system-riscv64
image=$cache/debian-riscv64/Image
initrd=$build/bench/initramfs.cpio
runs=${BENCH_RUNS:-5}
engine=${BENCH_ENGINE:-auto}
pin=()
! command -v taskset >/dev/null || pin=(taskset -c "${BENCH_CPU:-0}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$build/bench"

median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# seconds CPU|WALL COMMAND...: its user and system time, or its elapsed time; its output is in $work/out.
seconds() {
	local what=$1 TIMEFORMAT='%U %S %R' u s r status=0
	shift
	{ time "${pin[@]}" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?; } 2>"$work/time"
	if [ $status -ne 0 ]; then
		printf 'bench: status %d: %s\n' "$status" "$*" >&2
		cat "$work/err" >&2
		return 1
	fi
	read -r u s r < <(tail -n 1 "$work/time")
	if [ "$what" = WALL ]; then echo "$r"; else awk "BEGIN { print $u + $s }"; fi
}

machine() {
	printf 'machine: %s, %s CPUs, Linux %s\n' \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
	"$tollgate" run --engine "$engine" --report "$work/report" "$build/guest/hello.elf" >/dev/null
	printf 'tollgate: %s, %s, engine %s\n' "$("$tollgate" --version)" \
		"$(git describe --always --dirty 2>/dev/null || echo no commit)" "$(sed -n 's/^  "engine": "\(.*\)",$/\1/p' "$work/report")"
	[ ! -x "$qemu" ] || printf 'qemu: %s\n' "$("$qemu" --version | head -n 1)"
	printf 'runs: %s of each, interleaved%s\n' "$runs" "${pin[0]:+, pinned to CPU ${BENCH_CPU:-0}}"
}

# Guest instructions retired, by CPU time, in a bare program.
compute() {
	local name rounds instret time mips
	printf '\ncompute: million guest instructions a second (retired by CPU time)\n'
	while read -r name rounds; do
		: >"$work/mips"
		for ((i = 0; i < runs; i++)); do
			time=$(seconds CPU "$tollgate" run --engine "$engine" --report "$work/report" \
				--program "$build/guest/bench-compute.elf" "$name" "$rounds")
			instret=$(sed -n 's/.*"instret": \([0-9]*\).*/\1/p' "$work/report" | head -n 1)
			awk "BEGIN { print $instret / $time / 1e6 }" >>"$work/mips"
		done
		mips=$(median <"$work/mips")
		printf '  %-10s %7.0f   (min %.0f, max %.0f)\n' "$name" "$mips" \
			"$(sort -n "$work/mips" | head -n 1)" "$(sort -n "$work/mips" | tail -n 1)"
	done <<-END
		crc 600
		sieve 900
		matrix 500
		calls 600
		sort 300
		chase 500
		dispatch 400
		floating 300
	END
}

# versus LABEL TOLLGATE-COMMAND -- QEMU-COMMAND: wall times of both, and the median of the pairs' ratios.
versus() {
	local label=$1 ours=() theirs=() a b
	shift
	while [ "$1" != -- ]; do
		ours+=("$1")
		shift
	done
	shift
	theirs=("$@")
	rm -f "$work/a" "$work/b" "$work/ratio"
	touch "$work/b" "$work/ratio"
	for ((i = 0; i < runs; i++)); do
		a=$(seconds WALL "${ours[@]}")
		[ -z "${marker:-}" ] || grep -q "$marker" "$work/out"
		echo "$a" >>"$work/a"
		[ -x "$qemu" ] || continue
		b=$(seconds WALL "${theirs[@]}")
		[ -z "${marker:-}" ] || grep -q "$marker" "$work/out"
		echo "$b" >>"$work/b"
		awk "BEGIN { print $b / $a }" >>"$work/ratio"
	done
	printf '  %-26s %8.3f s' "$label" "$(median <"$work/a")"
	if [ -s "$work/b" ]; then
		printf '   QEMU %8.3f s   ratio %.2f' "$(median <"$work/b")" "$(median <"$work/ratio")"
	fi
	echo
}

qemu_base=("$qemu" -M virt -cpu rv64 -nographic -no-reboot -monitor none -bios default)

start() {
	printf '\nstart: a tiny S-mode guest, from exec to exit\n'
	marker=Hello versus hello "$tollgate" run --engine "$engine" -m 128M "$build/guest/hello.elf" \
		-- "${qemu_base[@]}" -m 128M -kernel "$build/guest/hello.elf"
}

guest_files() {
	sh guest/linux/fetch.sh
	sh guest/linux/initramfs.sh "$initrd"
}

boot() { # [HARTS...]
	local n append='console=ttyS0 quiet tg.init=poweroff'
	guest_files
	printf '\nboot: Debian %s to init and off again\n' "$(sed -n 's/^package linux-image-\([^ ]*\) .*/\1/p' "$cache/debian-riscv64/MANIFEST")"
	for n in "${@:-1}"; do
		marker=TOLLGATE-INIT-OK versus "$n hart(s)" \
			"$tollgate" run --engine "$engine" -c "$n" -m 512M --console serial -p "$append" -i "$initrd" "$image" \
			-- "${qemu_base[@]}" -smp "$n" -m 512M -append "$append" -initrd "$initrd" -kernel "$image"
	done
}

# null_call LABEL [OPTION...]: the round trip of a call that does nothing, seen by the guest.
null_call() {
	local label=$1
	shift
	: >"$work/null"
	for ((i = 0; i < runs; i++)); do
		"${pin[@]}" "$tollgate" run --engine "$engine" "$@" "$build/guest/bench-null.elf" </dev/null >>"$work/null"
	done
	printf '  %-42s %6.2f ns\n' "$label" "$(tr -d '\r' <"$work/null" | median)"
}

# What a policy adds to a call.
policy() {
	printf '\npolicy: a call by the wrapper alone, median of 201 rounds\n'
	"${pin[@]}" "$build/bench-policy" "$work/policy.json"
	printf '\npolicy: a null call, round trip, medians\n'
	printf '{"version": 1, "default": "deny", "rules": [{"allow": "sbi"}]}\n' >"$work/allow.json"
	# The argument is what the last call left in a0: 0.
	awk 'BEGIN {
		print "{\"version\": 1, \"default\": \"allow\", \"rules\": ["
		for (i = 1; i <= 1000; i++)
			printf "{\"deny\": \"sbi.base.get_impl_id\", \"args\": {\"arg0\": {\"min\": %d, \"max\": %d}}}%s\n", \
				i * 64, i * 64 + 15, i < 1000 ? "," : "]}"
	}' >"$work/watched.json"
	null_call 'no policy'
	null_call 'allowed by a policy' --policy "$work/allow.json"
	null_call '1,000 rules on its argument' --policy "$work/watched.json"
}

# Not pinned: the harts are threads.
smp() {
	local pin=()
	boot 1 2 4
}

# What it saves that harts share code: beside a build in which each has its own.
share() {
	local n build side what apart=${BENCH_OTHER:-build/apart/tollgate}
	[ -x "$apart" ] || {
		echo "bench: no '$apart' (make B=build/apart CFLAGS=-DSHARED_CODE=0 build/apart/tollgate)" >&2
		return 1
	}
	guest_files
	printf '\nshare: Debian to init and off again, each hart with code of its own and all with the same; not pinned\n'
	printf '%-6s %22s %22s %22s\n' harts 'elapsed, ms' 'processor time, ms' 'peak, MiB'
	for n in 1 4 64; do
		rm -f "$work"/share.*
		for ((i = 0; i < runs; i++)); do
			for side in "$apart" "$tollgate"; do
				"${B:-build}/bench-watch" "$work/out" "$side" run --engine dbt -c "$n" -m 512M --console serial \
					-p 'console=ttyS0 quiet tg.init=poweroff' -i "$initrd" "$image" >"$work/end"
				grep -q TOLLGATE-INIT-OK "$work/out"
				[ "$side" = "$apart" ] && build=apart || build=shared
				awk -v at="$work/share.$build." \
					'$1 == "end" { print $2 >>at "wall"; print $3 >>at "cpu"; print $4 / 1024 >>at "peak" }' "$work/end"
			done
		done
		printf '%-6s' "$n"
		for what in wall cpu peak; do
			printf ' %10.0f -> %8.0f' "$(median <"$work/share.apart.$what")" "$(median <"$work/share.shared.$what")"
		done
		echo
	done
}

# CPU time that a booted, idle guest of four harts takes in a minute.
idle() {
	local pid before after seconds=${BENCH_IDLE_SECONDS:-60} tick
	guest_files
	printf '\nidle: four harts of Debian waiting, %s s\n' "$seconds"
	mkfifo "$work/console"
	"$tollgate" run --engine "$engine" -c 4 -m 512M -p 'console=hvc0 quiet tg.run="echo IDLE-NOW; sleep 100000"' -i "$initrd" "$image" \
		</dev/null >"$work/console" &
	pid=$!
	while read -r line; do
		case $line in *IDLE-NOW*) break ;; esac
	done <"$work/console"
	cat "$work/console" >/dev/null &
	sleep 5 # let the boot's last work end; what is measured comes after
	tick=$(getconf CLK_TCK)
	before=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	sleep "$seconds"
	after=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
	kill "$pid"
	wait "$pid" || true
	awk "BEGIN { printf \"  %.2f %% of a CPU\\n\", ($after - $before) / $tick / $seconds * 100 }"
}

# Privileged instructions in a bare kernel: medians of both, and the median of the pairs' ratios.
priv() {
	local i who
	local guest=$build/guest/bench-priv.elf
	printf '\npriv: privileged instructions of a bare kernel, ns (engine %s)\n' "$engine"
	: >"$work/priv"
	for ((i = 0; i < runs; i++)); do
		"${pin[@]}" "$tollgate" run --engine "$engine" "$guest" </dev/null >"$work/priv.ours"
		: >"$work/priv.theirs"
		[ ! -x "$qemu" ] || "${pin[@]}" "${qemu_base[@]}" -m 128M -kernel "$guest" </dev/null >"$work/priv.theirs"
		for who in ours theirs; do
			tr -d '\r' <"$work/priv.$who" | awk -v who="$who" -v run="$i" \
				'NF == 2 && $1 ~ /^[a-z][a-z.-]+$/ && $2 ~ /^[0-9.]+$/ { print $1, run, who, $2 }' >>"$work/priv"
		done
	done
	awk '
		function median(v, n,   i, j, t) {
			for (i = 2; i <= n; i++)
				for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
			return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
		}
		!($1 in seen) { seen[$1] = 1; name[++names] = $1 }
		{ value[$1, $2, $3] = $4; if ($2 >= runs) runs = $2 + 1 }
		END {
			for (k = 1; k <= names; k++) {
				a = b = r = 0
				delete va; delete vb; delete vr
				for (i = 0; i < runs; i++) {
					x = value[name[k], i, "ours"]; y = value[name[k], i, "theirs"]
					if (x != "") va[++a] = x
					if (y != "") vb[++b] = y
					if (x > 0 && y != "") vr[++r] = y / x
				}
				printf "  %-24s %9.2f", name[k], a ? median(va, a) : 0
				if (b) printf "   QEMU %9.2f   ratio %.1f", median(vb, b), r ? median(vr, r) : 0
				print ""
			}
		}' "$work/priv"
}

# The monitor's own part of a crossing, by its time stamps: of an x86-64 guest on /dev/kvm, and of a RISC-V one.
own() {
	printf '\nown: from the exit to the next entry\n'
	"${pin[@]}" "$build/bench-own" "$build/guest/x86-latency.elf" $((3 * runs)) --engine kvm || echo '  n/a on this host'
	"${pin[@]}" "$build/bench-own" "$build/guest/latency.elf" $((3 * runs)) --engine "${BENCH_ENGINE:-auto}"
}

# The table beside QEMU, a script of its own.
ratios() {
	bash tests/bench/ratios.sh
}

[ -x "$tollgate" ] || { echo "bench: there is no $tollgate; run make" >&2; exit 2; }
[ -x "$qemu" ] || [ "$*" = own ] || sh tests/tools/qemu.sh || echo 'bench: no QEMU here: its side is left out' >&2
[ "$*" = ratios ] || machine # that one says more
[ $# -gt 0 ] || set -- ratios compute policy start boot smp
for section; do
	case $section in
	ratios | compute | policy | start | boot | smp | idle | priv | own | share) "$section" ;;
	*) echo "bench: no section '$section'; there are ratios, compute, policy, start, boot, smp, idle, priv, own, share" >&2; exit 2 ;;
	esac
done
