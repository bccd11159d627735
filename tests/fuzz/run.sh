#!/bin/bash
# run.sh: runs every fuzz target of a folder for a while, two at a time, with a corpus that grows.
# SPDX-License-Identifier: BSD-2-Clause
#
#   run.sh FOLDER seconds|inputs NUMBER
#
# The targets are the programs FOLDER/fuzz_*. Each runs for NUMBER seconds, or until it has run NUMBER inputs, with the seed
# SEED (default 1), starting from ${TOLLGATE_CACHE:-.cache}/corpus/NAME, where new inputs stay (an
# empty one gets the target's seeds first); tests/fuzz/NAME.dict holds words to try. An input that fails goes to
# build/fuzz-artifacts/, with the output beside it in NAME.log; `FOLDER/NAME INPUT` shows it again. FUZZ_ONLY='regex' runs
# the targets that match.
#
# Prints `ok NAME (N inputs)`, the corpus not counted (`N inputs, M calls` for a target that counts calls), or `FAIL NAME INPUT`, and `N passed, N failed` at the end. Status: 0 all passed; 1 one
# failed; 2 bad arguments.
set -eu
export LC_ALL=C

die() {
	printf 'run.sh: %s\n' "$1" >&2
	exit 2
}

# inputs_of LOG: how many inputs a run had beside those of the corpus, with which it begins.
inputs_of() {
	local all corpus
	all=$(sed -n 's/^stat::number_of_executed_units: *//p' "$1" | tail -n 1)
	corpus=$(sed -n 's/^#\([0-9]*\)[[:space:]]*INITED .*/\1/p' "$1" | head -n 1)
	echo $((${all:-0} - ${corpus:-0}))
}

# calls_of LOG: ", N calls" made beside those of the corpus, when the target counts them.
calls_of() {
	sed -n 's/^stat::calls: *\([0-9]*\)$/, \1 calls/p' "$1" | tail -n 1
}

# run_one FOLDER seconds|inputs NUMBER SEED CORPUS ARTIFACTS NAME: one target. Always status 0, since xargs gives up on some
# others.
run_one() {
	local name=$7 corpus=$5/$7 log=$6/$7.log status=0 limit least=1 inputs input
	local dict=()
	[ ! -f "tests/fuzz/$name.dict" ] || dict=("-dict=tests/fuzz/$name.dict")
	mkdir -p "$corpus"
	if [ -z "$(ls -A "$corpus")" ]; then
		FUZZ_SEEDS=$corpus "$1/$name" -runs=0 >"$log" 2>&1 || :
	fi
	limit=-max_total_time=$3
	if [ "$2" = inputs ]; then
		least=$3
		# libFuzzer counts the corpus too, one or two inputs of its own, and those that it runs again to look for leaks.
		limit=-runs=$((least + $(find "$corpus" -type f | wc -l) + 1002))
	fi
	"$1/$name" "$limit" -seed="$4" -rss_limit_mb=2048 -timeout=30 -print_final_stats=1 \
		-artifact_prefix="$6/$name-" ${dict[@]+"${dict[@]}"} "$corpus" >"$log" 2>&1 </dev/null || status=$?
	inputs=$(inputs_of "$log")
	if [ "$status" -eq 0 ] && [ "$inputs" -ge "$least" ]; then
		printf 'ok %s (%s inputs%s)\n' "$name" "$inputs" "$(calls_of "$log")"
		return 0
	fi
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
	printf 'FAIL %s %s\n' "$name" "${input:-(no input; see $log)}"
	grep -E -m 3 '^==[0-9]+==ERROR|^SUMMARY|runtime error|^ERROR' "$log" | cut -c 1-160 | sed 's/^/    /' || :
}

[ $# -eq 3 ] || die 'usage: run.sh FOLDER seconds|inputs NUMBER'
[[ $2 =~ ^(seconds|inputs)$ ]] || die "the second argument is 'seconds' or 'inputs', not '$2'"
[[ $3 =~ ^[1-9][0-9]{0,8}$ ]] || die "NUMBER is a whole number above 0, not '$3'"
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
export -f run_one inputs_of calls_of
# shellcheck disable=SC2016 # the inner bash expands it
printf '%s\0' "${names[@]}" | xargs -0 -n 1 -P 2 bash -c 'run_one "$@"' bash \
	"$folder" "$2" "$3" "$seed" "${TOLLGATE_CACHE:-.cache}/corpus" "$artifacts" | tee "$verdicts"
passed=$(grep -c '^ok ' "$verdicts" || :)
# A target without a verdict (its runner was killed) is no pass.
failed=$((${#names[@]} - passed))
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
