#!/bin/bash
# calls-qemu.sh: what crossings cost under Tollgate and under QEMU with OpenSBI, by the same probe, side by side.
# SPDX-License-Identifier: BSD-2-Clause
#
#   calls-qemu.sh [FOLDER]      results go to FOLDER (build/bench/calls): tollgate-N.json, qemu-N.json, compare.html
#
# BENCH_RUNS (5) runs of each, interleaved (A B A B ...), pinned to one CPU (BENCH_CPU, 0). A figure is the median of the
# runs' medians. QEMU's results are what `bench calls --parse` makes of its console. BENCH_QUICK=1 measures little.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

build=${B:-build}
tollgate=$build/tollgate
qemu=${TOLLGATE_CACHE:-.cache}/qemu/qemu-system-riscv64
folder=${1:-$build/bench/calls}
runs=${BENCH_RUNS:-5}
quick=${BENCH_QUICK:+--quick}
pin=(taskset -c "${BENCH_CPU:-0}")

[ -x "$tollgate" ] || { echo "calls-qemu: there is no $tollgate; run make" >&2; exit 2; }
command -v jq >/dev/null || { echo 'calls-qemu: there is no jq' >&2; exit 2; }
[ -x "$qemu" ] || sh tests/tools/qemu.sh || { echo 'calls-qemu: there is no QEMU here' >&2; exit 3; }
mkdir -p "$folder"
rm -f "$folder"/tollgate-*.json "$folder"/qemu-*.json
label=$("$qemu" --version | sed -n '1s/QEMU emulator version \([0-9.]*\).*/QEMU \1 with OpenSBI/p')

for ((i = 1; i <= runs; i++)); do
	"${pin[@]}" "$tollgate" bench calls ${quick:+"$quick"} --json "$folder/tollgate-$i.json" >/dev/null
	"${pin[@]}" "$qemu" -M virt -cpu rv64 -m 128M -nographic -no-reboot -monitor none -bios default \
		-append "${quick:+latency-quick}" -kernel "$build/guest/latency.elf" </dev/null >"$folder/qemu.txt"
	"${pin[@]}" "$tollgate" bench calls --parse "$folder/qemu.txt" --label "$label" --json "$folder/qemu-$i.json" >/dev/null
done

# medians NAME: the median over the runs of each figure.
medians() {
	jq -rs '
		def median: sort | if length == 0 then null elif length % 2 == 1 then .[length / 2 | floor]
			else (.[length / 2 - 1] + .[length / 2]) / 2 end;
		. as $r | [$r[0].calls[], $r[0].tasks[]] | .[] | .name as $n |
		[$n, ([$r[] | (.calls[], .tasks[]) | select(.name == $n) | .p50 | select(. != null)] | median // "n/a")] | @tsv
	' "$folder/$1"-*.json
}

jq -r '.fingerprint | "machine: \(.cpu), \(.kernel)\ntollgate: \(.tollgate), \(.commit), \(.engine)"' "$folder/tollgate-1.json"
printf 'qemu: %s\nruns: %s of each, interleaved, pinned to CPU %s; medians of the runs'\'' p50, ns\n\n' \
	"$("$qemu" --version | head -n 1)" "$runs" "${BENCH_CPU:-0}"
join -t "$(printf '\t')" <(medians tollgate | sort) <(medians qemu | sort) | awk -F '\t' '
	BEGIN { printf "%-28s %12s %12s %8s\n", "", "Tollgate", "QEMU", "ratio" }
	{
		a = $2 == "n/a" ? "n/a" : sprintf("%.1f", $2); b = $3 == "n/a" ? "n/a" : sprintf("%.1f", $3)
		r = a == "n/a" || b == "n/a" || $2 == 0 ? "" : sprintf("%.1f", $3 / $2)
		printf "%-28s %12s %12s %8s\n", $1, a, b, r
	}'
"$tollgate" bench calls --compare "$folder/tollgate-1.json" "$folder/qemu-1.json" --html "$folder/compare.html" >/dev/null
echo "plots of the first pair: $folder/compare.html"
