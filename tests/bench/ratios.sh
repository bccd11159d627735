#!/bin/bash
# ratios.sh: `make bench BENCH=ratios`: the workloads of a Linux guest and of a bare one, Tollgate beside QEMU 10.
# SPDX-License-Identifier: BSD-2-Clause
#
#   ratios.sh [JSON]     also writes the results to a file (build/bench/ratios.json)
#
# BENCH_RUNS=n     runs of each, 5; a run boots each guest once, and who goes first alternates
# BENCH_CPU=n      the one CPU that everything is pinned to, 0
# BENCH_ENGINE=e   Tollgate's engine, auto
# BENCH_ROWS="a b" only these rows of the table
# BENCH_OTHER=file another build of Tollgate, or an older one, stands in QEMU's place
# COREMARK=file    adds the row coremark: CoreMark as a static riscv64 Linux program, which you bring
#
# A figure is ns of one operation. Each workload makes its rounds in a row (tests/bench/linux/bench.h says how many); a run's
# figure is the median of its rounds, a row's the median of the runs. The ratio is the median over the runs of QEMU's figure
# by Tollgate's. CoreMark's figure is processor time of the monitor, all threads; boot-ms and start-ms are elapsed time from
# before the monitor starts to the first line of the guest's first process, or of the tiny guest.
# "least" is QEMU's least round of all by Tollgate's: where it differs much, others disturbed the machine, and where only one
# of the two reaches the target, "met" says unclear.
# "native" is the same source compiled for this host (cc -O2, no vector instructions), for rows that are the program's own
# instructions: about the most that a translator can reach. The C library, which memcpy and qsort call, is another one.
# Time inside a guest is the host's elapsed time under both. QEMU runs by its defaults: TCG, no icount, -cpu rv64.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

build=${B:-build}
tollgate=$build/tollgate
cache=${TOLLGATE_CACHE:-.cache}
image=$cache/debian-riscv64/Image
qemu=$cache/qemu/qemu-system-riscv64
runs=${BENCH_RUNS:-5}
cpu=${BENCH_CPU:-0}
engine=${BENCH_ENGINE:-auto}
rows=${BENCH_ROWS:-}
other=${BENCH_OTHER:-}
json=${1:-$build/bench/ratios.json}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, where it is measured, unit, the ratio that is the target, the most that Tollgate may take; - is none.
table='
start-ms	tiny	ms	-	10
start-cpu-ms	tiny	ms	-	-
peak-mb	tiny	MB	-	10
boot-ms	linux	ms	2	-
boot-cpu-ms	linux	ms	-	-
coremark	linux	ns	2	-
crc	linux	ns	-	-
matrix	linux	ns	-	-
nbody	linux	ns	3.5	-
lu	linux	ns	3.5	-
calls	linux	ns	4	-
indirect	linux	ns	-	-
dispatch	linux	ns	-	-
qsort	linux	ns	2.5	-
chase	linux	ns	1.2	-
chase-scattered	linux	ns	-	-
chase-pages	linux	ns	-	-
memcpy	linux	ns	2	-
memcpy-small	linux	ns	-	-
atomic	linux	ns	-	-
getpid	linux	ns	3	-
read	linux	ns	-	-
signal	linux	ns	-	-
pipe	linux	ns	4	-
fork	linux	ns	-	-
fork-exec	linux	ns	2	-
fault	linux	ns	2	-
console	linux	ns	-	-
sbi-base	bare	ns	60	15
trap	bare	ns	12	-
trap-user	bare	ns	12	-
sfence	bare	ns	20	-
sfence-page	bare	ns	-	-
uart-lsr	bare	ns	10	-
csr-write	bare	ns	8	-
csr-status	bare	ns	-	-
rdtime	bare	ns	-	-
'

fail() {
	printf 'ratios: %s\n' "$*" >&2
	exit 2
}

rows_of() { awk -F '\t' -v place="$1" '$2 == place { print $1 }' <<<"$table"; }

for row in $rows; do
	grep -q "^$row	" <<<"$table" || fail "there is no row '$row'; there are" "$(cut -f 1 <<<"$table" | xargs)"
done
[ -z "$rows" ] || table=$(awk -F '\t' -v rows=" $rows " 'index(rows, " " $1 " ")' <<<"$table")

# watch WHO COMMAND...: runs it pinned; output in $work/out, the figures of bench-watch in $work/watch.
watch() {
	local who=$1 status=0
	shift
	"$build/bench-watch" -c "$cpu" -m Hello -m '@bench init' -m '@bench coremark-begin' -m '@bench coremark-end' \
		"$work/out" "$@" >"$work/watch" 2>"$work/err" || status=$?
	if [ $status -ne 0 ]; then
		cat "$work/err" >&2
		tail -n 20 "$work/out" >&2
		fail "$who ended with status $status: $*"
	fi
}

# guest WHO MEMORY KERNEL [INITRD APPEND]: runs a guest under tollgate, qemu, or the other build.
guest() {
	local who=$1 memory=$2 kernel=$3 initrd=${4:-} append=${5:-} program=$tollgate
	if [ "$who" = qemu ] && [ -z "$other" ]; then
		watch "$who" "$qemu" -M virt -cpu rv64 -smp 1 -m "$memory" -nographic -no-reboot -monitor none \
			-bios default ${initrd:+-initrd "$initrd" -append "$append"} -kernel "$kernel"
	else
		[ "$who" != qemu ] || program=$other
		watch "$who" "$program" run --engine "$engine" -m "$memory" --console serial \
			${initrd:+-i "$initrd" -p "$append"} "$kernel"
	fi
}

# The @bench lines of a run, as "who name median least".
results_take() {
	local who=$1
	tr -d '\r' <"$work/out" >"$work/lines"
	! grep '^@bench fail' "$work/lines" >&2 || fail "a workload failed under $who"
	grep -q '^@bench end' "$work/lines" || fail "the guest did not come to its end under $who"
	awk -v who="$who" '$1 == "@bench" && NF == 6 { print who, $2, $3, $4 }' "$work/lines" >>"$work/results"
}

# The tiny guest says its line and ends. Five times, since it is short.
tiny_run() {
	local who=$1 n name
	for ((n = 0; n < 5; n++)); do
		guest "$who" 128M "$build/guest/hello.elf"
		awk '$1 == "Hello" { print "start-ms", $2; print "start-cpu-ms", $3 }
			$1 == "end" { print "peak-mb", $4 * 1024 / 1e6 }' "$work/watch" >>"$work/tiny"
	done
	for name in start-ms start-cpu-ms peak-mb; do
		sed -n "s/^$name //p" "$work/tiny" | sort -n |
			awk -v who="$who" -v name="$name" '{ v[NR] = $1 } END { print who, name, v[int((NR + 1) / 2)], v[1] }' \
				>>"$work/results"
	done
	rm "$work/tiny"
}

bare_run() {
	guest "$1" 128M "$build/guest/bench-bare.elf"
	results_take "$1"
}

# From the start of the monitor to the first line of the first process; then the workloads.
linux_run() {
	local who=$1 names
	names=$(rows_of linux | grep -v '^boot-' | xargs)
	guest "$who" 1G "$image" "$work/initramfs.cpio" "console=ttyS0 quiet rdinit=/bench -- ${names:-none}"
	results_take "$who"
	# CoreMark by processor time: it cannot be cut into short rounds that nobody disturbs.
	awk -v who="$who" -v times="$(sed -n 's/^@bench coremark-begin //p' "$work/lines")" '
		/^@bench init/ { print who, "boot-ms", $3, $3; print who, "boot-cpu-ms", $4, $4 }
		/^@bench coremark-begin/ { begin = $4 }
		/^@bench coremark-end/ { ns = ($4 - begin) * 1e6 / times; print who, "coremark", ns, ns }' \
		"$work/watch" >>"$work/results"
	! grep -q '^@bench coremark-end' "$work/lines" || grep -q '^Correct operation validated' "$work/lines" ||
		grep -q '^Errors detected\|Must execute for at least' "$work/lines" || fail "COREMARK did not run under $who"
}

# The rows that need no guest, on the host itself.
native_run() {
	local names
	names=$(rows_of linux | grep -xE 'crc|matrix|nbody|lu|calls|indirect|dispatch|qsort|chase|chase-scattered|chase-pages|memcpy|atomic' |
		xargs)
	[ -n "$names" ] || return 0
	# shellcheck disable=SC2086 # names are words
	watch native "$work/native" $names
	results_take native
}

programs_make() {
	local extra=()
	cc -I. -std=gnu11 -O2 -fno-tree-vectorize -D_GNU_SOURCE -o "$work/native" tests/bench/linux/*.c -lm
	if [ -n "${COREMARK:-}" ]; then
		[ -f "$COREMARK" ] || fail "COREMARK='$COREMARK' is no file; give CoreMark as a static riscv64 Linux program"
		cp -- "$COREMARK" "$work/coremark"
		chmod 755 "$work/coremark"
		extra=("$work/coremark:/coremark")
	fi
	sh tests/bench/linux.sh "$work/initramfs.cpio" ${extra[@]+"${extra[@]}"}
}

# All that the table says, from the results: one object.
results_json() {
	"$tollgate" run --engine "$engine" --report "$work/report" "$build/guest/hello.elf" >/dev/null
	jq -n --rawfile results "$work/results" --rawfile rows <(printf '%s' "$table") --arg cpu_model \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" --arg kernel "$(uname -r)" \
		--argjson cpus "$(nproc)" --argjson cpu "$cpu" --argjson runs "$runs" --arg version "$("$tollgate" --version)" \
		--arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg other "$other_label" \
		--arg engine "$(jq -r .engine "$work/report")" --arg load "$(cut -d ' ' -f 1-3 /proc/loadavg)" '
		def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
			else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		def number: if . == "-" then null else tonumber end;
		[$results | split("\n")[] | select(. != "") | split(" ") |
			{who: .[0], name: .[1], median: (.[2] | tonumber), least: (.[3] | tonumber)}] as $all |
		def of($name; $who): [$all[] | select(.name == $name and .who == $who)];
		def side($name; $who): of($name; $who) |
			if length == 0 then null
			else {median: (map(.median) | median), least: (map(.least) | min), runs: map(.median)} end;
		{
			machine: {cpu: $cpu_model, cpus: $cpus, kernel: $kernel, load: $load},
			tollgate: $version, commit: $commit, engine: $engine, other: $other, runs: $runs, pinned_to: $cpu,
			rows: [$rows | split("\n")[] | select(. != "") | split("\t") |
				{name: .[0], unit: .[2], target: (.[3] | number), most: (.[4] | number)} |
				. as $row | side($row.name; "tollgate") as $a | side($row.name; "qemu") as $b | select($a) |
				. + {tollgate: $a, other: $b, native: side($row.name; "native"),
					ratio: (if $b then [$a.runs, $b.runs] | transpose | map(.[1] / .[0]) | median else null end),
					ratio_least: (if $b then $b.least / $a.least else null end)} |
				def reached($ratio; $figure): (.target == null or $ratio >= .target) and (.most == null or $figure <= .most);
				. + {met: (if .target == null and .most == null or .target != null and .ratio == null then null
					else [reached(.ratio; .tollgate.median), reached(.ratio_least; .tollgate.least)] |
						if all then "yes" elif any then "unclear" else "no" end end)}]
		}' >"$json"
}

table_print() {
	jq -r '
		"machine: \(.machine.cpu), \(.machine.cpus) CPUs, Linux \(.machine.kernel), load \(.machine.load)",
		"tollgate: \(.tollgate), \(.commit), engine \(.engine)", "beside: \(.other)",
		"runs: \(.runs) of each, interleaved, pinned to CPU \(.pinned_to)"' "$json"
	echo
	jq -r '.rows[] | [.name, .unit, .native.median // "-", .tollgate.median, .other.median // "-", .ratio // "-", .ratio_least // "-",
		.target // "-", .most // "-", .met // ""] | @tsv' "$json" |
		awk -F '\t' '
		function figure(x) { return x == "-" ? x : x < 100 ? sprintf("%.2f", x) : sprintf("%.0f", x) }
		function row(a, b, c, d, e, f, g, h, i, j) {
			printf "%-12s %-4s %9s %11s %11s %7s %7s %7s %5s  %s\n", a, b, c, d, e, f, g, h, i, j
		}
		BEGIN { row("workload", "unit", "native", "Tollgate", "beside", "ratio", "least", "target", "most", "met") }
		{ row($1, $2, figure($3), figure($4), figure($5), figure($6), figure($7), $8, $9, $10) }'
}

for program in "$tollgate" "$build/bench-watch" "$build/guest/bench-bare.elf"; do
	[ -f "$program" ] || fail "there is no $program; run make bench BENCH=ratios"
done
command -v jq >/dev/null || fail 'there is no jq'
who=(tollgate qemu)
if [ -n "$other" ]; then
	[ -x "$other" ] || fail "BENCH_OTHER='$other' is no program"
	other_label="$other, $("$other" --version)"
elif [ -x "$qemu" ] || sh tests/tools/qemu.sh; then
	other_label=$("$qemu" --version | head -n 1)
else
	other_label='nothing: there is no QEMU here'
	who=(tollgate)
fi
mkdir -p "$(dirname "$json")"
[ -z "$(rows_of linux)" ] || programs_make
: >"$work/results"
for ((i = 0; i < runs; i++)); do
	for place in tiny bare linux; do
		[ -n "$(rows_of $place)" ] || continue
		for ((j = 0; j < ${#who[@]}; j++)); do
			"${place}_run" "${who[(i + j) % ${#who[@]}]}"
		done
		[ $place != linux ] || native_run
	done
done
results_json
table_print
