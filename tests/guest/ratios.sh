#!/bin/bash
# ratios.sh: the benchmark beside QEMU, once: every row gives a figure, wrong input is refused, profiles find their code.
# SPDX-License-Identifier: BSD-2-Clause
#
#   ratios.sh [BUILD]      (default build) its tollgate, bench-watch and guest/bench-bare.elf
#
# Asks for no speed. Without the Linux guest in the cache only the bare guests run, and that is counted as skipped.
# Status: 0 when all passed, 1 otherwise.
set -u
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2
export LC_ALL=C B=${1:-build} BENCH_RUNS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	sed 's/^/    /' "$work/out" | tail -n 15
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped: $*"
}

# refused NAME WORDS: with what stands in the environment, status 2 and those words.
refused() {
	local status=0
	bash tests/bench/ratios.sh "$work/none.json" >"$work/out" 2>&1 || status=$?
	verdict "$1" "$([ $status -eq 2 ] && grep -qF -e "$2" "$work/out" || echo "status $status, or no '$2'")"
}

# The rows of the result that have no sane figure: none, or a least round above the median.
bad_rows() {
	jq -r '.rows[] | select((.tollgate.median > 0 and .tollgate.least > 0 and
		.tollgate.least <= .tollgate.median + 0.001) | not) | .name' "$work/result.json" | xargs
}

BENCH_ROWS='calls nosuch' refused 'a row that is not there' "there is no row 'nosuch'"
BENCH_ROWS=sbi-base BENCH_OTHER=nowhere refused 'another build that is not there' "BENCH_OTHER='nowhere'"
if sh guest/linux/fetch.sh --check; then
	rows=$(sed -n 's/^\([a-z-]*\)\t[a-z]*\t[a-zA-Z]*\t.*/\1/p' tests/bench/ratios.sh | grep -v '^coremark$' | xargs)
	COREMARK=nowhere BENCH_ROWS=calls refused 'a CoreMark that is not there' "COREMARK='nowhere'"
else
	skip 'the Linux guest is not in the cache'
	rows='start-ms start-cpu-ms peak-mb sbi-base trap trap-user sfence sfence-page uart-lsr csr-write csr-status rdtime'
fi

# All of it, and a second time with the build itself in QEMU's place, which needs no network.
problem=
BENCH_ROWS=$rows bash tests/bench/ratios.sh "$work/result.json" >"$work/out" 2>&1 || problem='it failed'
verdict 'the whole table runs' "$problem"
verdict 'each row has its figure' "$(diff <(jq -r '.rows[].name' "$work/result.json") <(tr ' ' '\n' <<<"$rows"))"
verdict 'figures are sane' "$(bad_rows)"
BENCH_ROWS='sbi-base trap' BENCH_OTHER=$B/tollgate bash tests/bench/ratios.sh "$work/result.json" >"$work/out" 2>&1
verdict 'a build beside itself' \
	"$(jq -r '.rows[] | select((.other.median > 0 and .ratio > 0 and .met != null) | not) | .name' "$work/result.json")"

if ! command -v perf >/dev/null; then
	skip 'there is no perf here'
elif ! "$B/tollgate" run --code-map "$work/map" --program "$B/guest/program-exit42.elf" >"$work/out" 2>&1 && [ $? -eq 69 ]; then
	skip 'this build has no translator'
else
	PROFILE_ENGINE=dbt bash tests/bench/profile.sh bare csr-write >"$work/out" 2>&1
	verdict 'a profile of the translator' "$(grep -q ' translated: system instructions$' "$work/out" || echo 'no such group')"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
