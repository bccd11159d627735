#!/bin/bash
# profile.sh: where an engine's time goes, by groups of functions and of translated code, measured with perf.
# SPDX-License-Identifier: BSD-2-Clause
#
#   profile.sh boot [HARTS]           Debian's kernel to init and off again, as in run.sh
#   profile.sh start [RUNS]           a tiny guest from exec to exit, 300 times: by library, and the functions
#   profile.sh linux NAME [REPEATS]   a workload of the Linux guest (ratios.sh), without the boot; 50 times. coremark is once,
#                                     and needs COREMARK=FILE
#   profile.sh bare NAME              a workload of the bare guest
#   profile.sh NAME ROUNDS            a workload of compute.c
#   profile.sh table [NAME...]        one line a workload, for docs/performance.md: those that have a target (ratios.sh)
#
# PROFILE_ENGINE=e: the engine (auto). PROFILE_TOP=N also lists the N functions with the largest shares, and the N
# instructions of the guest whose translated code has them. PROFILE_KEEP=FOLDER leaves there what was measured.
# Needs perf, and the guests of `make bench`. Shares are of samples of the CPU clock, which perf takes 2,000 times a second,
# the host's kernel included. Translated code is told apart by --code-map: what stands in line in a block by the kind of
# the guest's instruction, the ways out of blocks (cold), the stubs.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

build=${B:-build}
cache=${TOLLGATE_CACHE:-.cache}
engine=${PROFILE_ENGINE:-auto}
work=${PROFILE_KEEP:-$(mktemp -d)}
[ -n "${PROFILE_KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
mkdir -p "$work" "$build/bench"

usage() {
	echo 'usage: profile.sh boot [HARTS] | start [RUNS] | linux NAME [REPEATS] | bare NAME | NAME ROUNDS | table [NAME...]' >&2
	exit 2
}

# The largest shares of a profile in one line: five at most, from 2 % on.
table_line() {
	awk -v name="$1" '/^ +[0-9.]+ %/ && $1 >= 2 && ++n <= 5 {
			line = line (n > 1 ? ", " : "") substr($0, index($0, "%") + 3) sprintf(" %.0f %%", $1)
		}
		END { printf "| `%s` | %s |\n", name, line }' "$2"
}

# Each workload by its own kind of profile.
table() {
	local name kind
	[ $# -gt 0 ] || set -- boot coremark nbody lu calls qsort getpid fork-exec pipe fault chase memcpy sbi-base trap sfence \
		uart-lsr csr-write
	for name; do
		case $name in
		boot) kind='' ;;
		coremark) [ -n "${COREMARK:-}" ] || { echo 'profile: coremark needs COREMARK=FILE' >&2; continue; }; kind=linux ;;
		sbi-base | trap* | sfence* | uart-lsr | csr-* | rdtime) kind=bare ;;
		*) kind=linux ;;
		esac
		PROFILE_KEEP='' bash tests/bench/profile.sh $kind "$name" >"$work/table"
		table_line "$name" "$work/table"
	done
}

command -v perf >/dev/null || { echo 'profile: there is no perf here; install linux-perf' >&2; exit 3; }

if [ "${1:-}" = table ]; then
	shift
	table "$@"
	exit 0
fi

# Too short for one run's samples, and for the parts of an engine: whose code it is, and which.
if [ "${1:-}" = start ] && [ $# -le 2 ]; then
	# shellcheck disable=SC2016 # the inner shell expands them
	perf record -q -e cpu-clock -F 20000 -o "$work/data" -- sh -c 'for i in $(seq "$1"); do
			"$2" run --engine "$3" "$4" >"$5" </dev/null || exit
		done' sh "${2:-300}" "$build/tollgate" "$engine" "$build/guest/hello.elf" "$work/out"
	perf script -i "$work/data" --comm tollgate -F ip,sym,dso 2>/dev/null >"$work/samples"
	awk '{
			dso = $NF; gsub(/[()]/, "", dso)
			name = $2; sub(/\+0x.*/, "", name)
			if (dso ~ /kernel|\.ko/) dso = "the host kernel"
			sub(/.*\//, "", dso)
			share[dso]++; part[dso ": " name]++
		}
		END {
			for (d in share) printf "1 %6.1f %%  %s\n", share[d] * 100 / NR, d
			for (p in part) if (part[p] * 100 > NR * 2) printf "2 %6.1f %%  %s\n", part[p] * 100 / NR, p
		}' "$work/samples" | sort -k1,1n -k2,2nr | cut -c 2-
	exit 0
fi

from=start
case ${1:-},$# in
boot,[12])
	sh guest/linux/fetch.sh
	sh guest/linux/initramfs.sh "$build/bench/initramfs.cpio"
	set -- -c "${2:-1}" -m 512M --console serial -p 'console=ttyS0 quiet tg.init=poweroff' \
		-i "$build/bench/initramfs.cpio" "$cache/debian-riscv64/Image"
	;;
linux,[23])
	sh tests/bench/linux.sh "$build/bench/workloads.cpio" ${COREMARK:+"$COREMARK:/coremark"}
	from='@bench init'
	set -- -m 1G --console serial -p "console=ttyS0 quiet rdinit=/bench -- -r ${3:-50} $2" \
		-i "$build/bench/workloads.cpio" "$cache/debian-riscv64/Image"
	;;
bare,2) set -- -m 128M --console serial -p "bench-only=$2" "$build/guest/bench-bare.elf" ;;
boot,* | linux,* | bare,*) usage ;;
?*,2) set -- --program "$build/guest/bench-compute.elf" "$@" ;;
*) usage ;;
esac

# Only the translator has a map to write; an older engine of that name may have none.
map=()
"$build/tollgate" run --engine "$engine" --report "$work/report" "$build/guest/hello.elf" >/dev/null
! grep -q '"engine": "dbt"' "$work/report" || map=(--code-map "$work/map")
: >"$work/map"

# perf counts from the line on that begins with $from; its control file is how it is told.
mkfifo "$work/control"
delay=(-D -1)
[ "$from" != start ] || delay=()
{ perf record -q -e cpu-clock -F 2000 "${delay[@]}" --control "fifo:$work/control" -o "$work/data" \
	"$build/tollgate" run --engine "$engine" ${map[@]+"${map[@]}"} --report "$work/report" "$@" </dev/null 2>"$work/err" ||
	echo "status $?" >>"$work/failed"; } |
	while IFS= read -r line; do
		[ "$from" = start ] || [ "${line#"$from"}" = "$line" ] || echo enable >"$work/control"
		[ "${line#@bench fail}" = "$line" ] || echo "$line" >>"$work/failed"
	done
rm "$work/control"
[ ! -e "$work/failed" ] || { cat "$work/err" "$work/failed" >&2; exit 1; }
perf script -i "$work/data" -F ip,sym,dso 2>/dev/null >"$work/samples"

# The samples in translated code, by address, meet the parts of the map, of which the last one that begins before counts
# (the file's order is that of writing). Fixed width makes hexadecimal numbers sort as text. Lines out: kind, pc or name.
lookup() {
	{
		awk '{ printf "%16s 0 %d %s %s %s\n", $1, NR, $2, $3, $4 }' "$work/map"
		awk '/memfd:tollgate-code/ { printf "%16s 1 %d\n", $1, NR }' "$work/samples"
	} | sort -k1.1,1.16 -k2,2n -k3,3n | awk '
		$2 == 0 { kind = $5; pc = $6; next }
		{ print (kind == "" ? "unknown" : kind), pc }'
}
lookup >"$work/code"
awk '!/memfd:tollgate-code/ {
	kernel = /\[kernel|\[guest\.kernel|\.ko/
	name = $2; sub(/\+0x.*/, "", name)
	print (kernel ? "k" : "u"), name
}' "$work/samples" >"$work/functions"

sed -n 's/^  "engine": "\(.*\)",/engine: \1/p; s/^  "steps": \([0-9]*\).*/steps: \1/p' "$work/report"
printf 'samples: %s\n' "$(wc -l <"$work/samples")"
awk '
	function group(kind, name) {
		if (kind == "k") return "the host kernel"
		if (name ~ /^softfp_/) return "floating point"
		if (name ~ /^op_f/ && name !~ /^op_(fence|f[ls][wd]_)/) return "floating point"
		if (name ~ /^op_(l[bhwd]u?|s[bhwd]|f[ls][wd])_[24]$/) return "loads and stores that hit"
		if (name ~ /^op_(lr|sc|amo)/) return "atomics"
		if (name ~ /^op_(b(eq|ne|lt|ge)u?|jalr?)(_near)?_[24]$/) return "branches and jumps"
		if (name ~ /^(call_|calls_|interp_call|cross_ecall|sbi_|tg_)/) return "calls to the monitor"
		if (name ~ /^(mmio|bus_|uart_|plic_|virtio_|exit_take|handle$|behind)|pthread_mutex/) return "devices, locks"
		if (name ~ /^(op_(csr|ecall|ebreak|[sm]ret|wfi|s?fence)|csr_|rv_csr|rv_trap|rv_[sm]ret|read_|write_|dbt_cross|cross_)/)
			return "system instructions and traps"
		if (name ~ /^(x64_|target_|dbt_translate|lower|walk$|attempt$|evict|cold_|site_|map_|cache_)/) return "translating"
		if (name ~ /^(op_(undecoded|page_end|single)|code_|page_|rv_decode|rv_expand|interp_word)/)
			return "code pages and decoding"
		if (name ~ /^op_/) return "integer computation"
		if (name ~ /^(rv_translate|cross_[ls][bhwd]u?$|tlb_|walk|rv_pmp|mem_ptr|slot_at|access_|(load|store)_slow|rv_(load|store)_slow|rv_tlb|rv_atomic|leaf_)/)
			return "translation and slow accesses"
		if (name ~ /^(interp_|fetch_|chunk_|attend|look$|advance|run_code|dbt_|step_ahead|rv_interrupt|rv_timer|clock_|count_steps|take_trap|after_slow)/)
			return "ways between ops, chunks"
		return "the rest"
	}
	function code(kind) {
		if (kind ~ /^(cold|stub)/) return "translated: " kind
		if (kind ~ /^(l[bhwd]u?|s[bhwd]|f[ls][hwd])$/) return "translated: loads and stores"
		if (kind ~ /^(b(eq|ne|lt|ge)u?|jalr?)(_near)?$/) return "translated: branches and jumps"
		if (kind ~ /^(lr|sc|amo)/) return "translated: atomics"
		if (kind ~ /^(csr|ecall|ebreak|[sm]ret|wfi|fence|sfence|sinval|cbo)/) return "translated: system instructions"
		if (kind ~ /^f/) return "translated: floating point"
		return kind == "unknown" ? "translated: unknown" : "translated: integer computation"
	}
	FILENAME ~ /code$/ { share[code($1)]++; n++; next }
	{ share[group($1, $2)]++; n++ }
	END { for (g in share) printf "%6.1f %%  %s\n", share[g] * 100 / n, g }' "$work/code" "$work/functions" | sort -rn
[ -n "${PROFILE_TOP:-}" ] || exit 0
shares() { sort | uniq -c | sort -rn | head -n "$PROFILE_TOP" |
	awk -v n="$(wc -l <"$work/samples")" '{ printf "%6.1f %%  %s %s\n", $1 * 100 / n, $2, $3 }'; }
printf '\nfunctions\n'
awk '{ print $2 }' "$work/functions" | shares
[ ! -s "$work/code" ] || { printf '\ntranslated code: kind, pc of the guest\n'; shares <"$work/code"; }
