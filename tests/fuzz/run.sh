#!/bin/bash
# run.sh: runs every fuzz target of a folder for a while, two at a time, with a corpus that grows.
# SPDX-License-Identifier: BSD-2-Clause
#
#   run.sh FOLDER SECONDS
#
# The targets are the programs FOLDER/fuzz_*. Each runs for SECONDS with the seed SEED (default 1), starting from
# ${TOLLGATE_CACHE:-.cache}/corpus/NAME, where new inputs stay; tests/fuzz/NAME.dict holds words to try. An input that fails goes to build/fuzz-artifacts/, with
# the output beside it in NAME.log; `FOLDER/NAME INPUT` shows it again. FUZZ_ONLY='regex' runs the targets that match.
#
# Prints `ok NAME (N runs)` or `FAIL NAME INPUT`, and `N passed, N failed` at the end. Status: 0 all passed; 1 one
# failed; 2 bad arguments.
set -eu
export LC_ALL=C

die() {
	printf 'run.sh: %s\n' "$1" >&2
	exit 2
}

# run_one FOLDER SECONDS SEED CORPUS ARTIFACTS NAME: one target. Always status 0, since xargs gives up on some others.
run_one() {
	local name=$6 corpus=$4/$6 log=$5/$6.log status=0 runs input
	local dict=()
	[ ! -f "tests/fuzz/$name.dict" ] || dict=("-dict=tests/fuzz/$name.dict")
	mkdir -p "$corpus"
	"$1/$name" -max_total_time="$2" -seed="$3" -rss_limit_mb=2048 -timeout=30 -print_final_stats=1 \
		-artifact_prefix="$5/$name-" ${dict[@]+"${dict[@]}"} "$corpus" >"$log" 2>&1 </dev/null || status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
	if [ "$status" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
		printf 'ok %s (%s runs)\n' "$name" "$runs"
		return 0
	fi
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	printf 'FAIL %s %s\n' "$name" "${input:-(no input; see $log)}"
	grep -E -m 3 '^==[0-9]+==ERROR|^SUMMARY|runtime error|^ERROR' "$log" | cut -c 1-160 | sed 's/^/    /' || :
}

[ $# -eq 2 ] || die 'usage: run.sh FOLDER SECONDS'
[[ $2 =~ ^[1-9][0-9]{0,6}$ ]] || die "SECONDS is a whole number above 0, not '$2'"
seed=${SEED:-1}
[[ $seed =~ ^[1-9][0-9]{0,9}$ ]] || die "SEED is a whole number above 0, not '$seed'"
folder=$(cd "$1" 2>/dev/null && pwd) || die "there is no folder '$1': 'make fuzzers' makes one"
cd "$(dirname "$0")/../.."

names=()
for file in "$folder"/fuzz_*; do
	if [ -f "$file" ] && [ -x "$file" ] && [[ ${file##*/} =~ ${FUZZ_ONLY:-.} ]]; then
		names+=("${file##*/}")
	fi
done
[ ${#names[@]} -gt 0 ] || die "'$1' has no fuzz targets that match '${FUZZ_ONLY:-.}'"

artifacts=build/fuzz-artifacts
verdicts=$(mktemp)
trap 'rm -f "$verdicts"' EXIT
mkdir -p "$artifacts"
export -f run_one
# shellcheck disable=SC2016 # the inner bash expands it
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P 2 bash -c 'run_one "$@"' bash \
	"$folder" "$2" "$seed" "${TOLLGATE_CACHE:-.cache}/corpus" "$artifacts" | tee "$verdicts"
passed=$(grep -c '^ok ' "$verdicts" || :)
# A target without a verdict (its runner was killed) is no pass.
failed=$((${#names[@]} - passed))
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
