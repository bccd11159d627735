#!/bin/bash
# soak.sh: `make soak`: hours of proofs (fuzzing, random programs, boots, riscv-tests) that a rerun continues.
# SPDX-License-Identifier: BSD-2-Clause
#
# Stages, in this order; SOAK_ONLY=stage runs one:
#
#   fuzz         SOAK_INPUTS (10000000) inputs for every fuzz target, or those that FUZZ_ONLY matches, in rounds of at most a
#                million for each, a seed a round; inputs of the corpus, which come first in each, are not counted
#   calls        SOAK_CALLS (100000000) calls of the fuzz target fuzz_sbi, in rounds of 500000 inputs, a seed a round; those of
#                the corpus are not counted
#   diff         SOAK_PROGRAMS (200000) random programs, run with and without shortcuts, in batches of 500 by seed
#   hunt         SOAK_HUNT (1000000000) instructions of random programs on the translator beside the interpreter (tests/hunt),
#                in batches of ten million; where the next begins is kept
#   hunt-tlb1    a tenth of that in a build whose TLB keeps one translation
#   vectors      SOAK_VECTORS (100000000) operands for translated floating-point instructions beside the exact code
#                (tests/vectors), in batches of a million by seed
#   twins        whole deterministic boots of Debian's kernel on interpreter and translator, compared every 10,000 steps, and in
#                every stress mode (tests/guest/twins.sh)
#   boot         SOAK_BOOTS (200) boots of Debian's kernel on 4 harts to its first process and off
#   det          SOAK_DET (10) deterministic boots of Debian's kernel on 1 and on 4 harts by each of gcc and clang, release
#                and debug builds: all of one number of harts end with the same state
#   stress       stress-ng --verify on 4 harts of a Debian kernel, SOAK_STRESS (10) minutes
#   riscv-tests  the binaries in the folder RISCV_TESTS, when it is set
#
# SOAK_ENGINE (interp, dbt, ...) is the engine of boot, stress and riscv-tests; another one has results of its own. Without it stress has
# the default, and of boot and riscv-tests every second item the interpreter. det always compares both. Stages hunt to twins
# are left out where there is no translator.
#
# What is done stands in ${TOLLGATE_CACHE:-.cache}/soak/state, for the commit and the changes on top of it: a rerun goes on
# behind the last finished item, or starts anew when they are others. Each item adds a line to results.jsonl there, with what
# is needed to repeat it. A failure is written down and the run goes on.
#
# Status: 0 nothing has failed for this commit; 1 something has; 2 bad arguments; 130 interrupted.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 2

cache=${TOLLGATE_CACHE:-.cache}
soak=$cache/soak
engine=${SOAK_ENGINE:-}
state=$soak/state${engine:+-$engine}
results=$soak/results.jsonl
jobs=$(nproc)
# A boot takes seconds; one that takes this many hangs.
boot_limit=600

# Short names are for `make soak INPUTS=1000000 BOOTS=5`.
inputs=${SOAK_INPUTS:-${INPUTS:-10000000}}
calls=${SOAK_CALLS:-${CALLS:-100000000}}
programs=${SOAK_PROGRAMS:-${PROGRAMS:-200000}}
hunt=${SOAK_HUNT:-1000000000}
vectors=${SOAK_VECTORS:-100000000}
boots=${SOAK_BOOTS:-${BOOTS:-200}}
det=${SOAK_DET:-10}
stress=${SOAK_STRESS:-10}
only=${SOAK_ONLY:-}
batch=500
hunt_batch=10000000
vectors_batch=1000000
# The monitor with the engine that was asked for.
run=(build/tollgate run ${engine:+--engine "$engine"})

for number in "$inputs" "$calls" "$programs" "$hunt" "$vectors" "$boots" "$det" "$stress"; do
	if ! [[ $number =~ ^[1-9][0-9]{0,9}$ ]]; then
		echo "soak: '$number' is not a whole number above 0" >&2
		exit 2
	fi
done
slice=$((inputs < 1000000 ? inputs : 1000000))
case $only in
'' | fuzz | calls | diff | hunt | hunt-tlb1 | vectors | twins | boot | det | stress | riscv-tests) ;;
*)
	echo "soak: SOAK_ONLY='$only' is none of fuzz, calls, diff, hunt, hunt-tlb1, vectors, twins, boot, det, stress, riscv-tests" >&2
	exit 2
	;;
esac

# --- what was done before ---

commit=$(git rev-parse HEAD) || exit 2
dirty=false key=$commit
if [ -n "$(git status --porcelain)" ]; then
	dirty=true
	key=$commit+$({ git diff HEAD --binary && git ls-files -o --exclude-standard -z | xargs -0 -r sha256sum 2>/dev/null; } | sha256sum | cut -c 1-12)
fi
declare -A finished=([fuzz]=0 [calls]=0 [calls_made]=0 [calls_failed]=0 [diff]=0 [hunt]=0 [hunt-tlb1]=0 [vectors]=0 [twins]=0 [boot]=0 [det]=0 [stress]=0 [riscv-tests]=0)
passed=0 failed=0
unprepared=0 # stages, this time; a rerun may do better

state_read() {
	local name value
	[ -f "$state" ] && [ "$(sed -n 's/^key //p' "$state")" = "$key" ] || return 0
	while read -r name value; do
		case $name in
		key) ;;
		passed) passed=$value ;;
		failed) failed=$value ;;
		*) finished[$name]=$value ;;
		esac
	done <"$state"
	echo "soak: going on with $key: $passed passed, $failed failed so far"
}

state_write() {
	local name
	{
		echo "key $key"
		echo "passed $passed"
		echo "failed $failed"
		for name in "${!finished[@]}"; do
			echo "$name ${finished[$name]}"
		done
	} >"$state.new"
	mv "$state.new" "$state"
}

# json TEXT: a JSON string.
json() {
	local text=${1//\\/\\\\}
	printf '"%s"' "${text//\"/\\\"}" | tr '\n\t' '  '
}

# record STAGE NAME SEED COUNT RESULT REPEAT: a line of the results; COUNT of runs, programs, boots or tests.
record() {
	printf '{"date":"%s","commit":"%s","dirty":%s,"key":"%s","stage":"%s","name":%s,"seed":%s,"count":%s,"result":"%s","repeat":%s}\n' \
		"$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$commit" "$dirty" "$key" "$1" "$(json "$2")" "$3" "$4" "$5" "$(json "$6")" >>"$results"
	if [ "$5" = pass ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
	printf '%s %s %s\n' "$([ "$5" = pass ] && echo ok || echo FAIL)" "$1" "$2"
	[ "$5" = pass ] || printf '    repeat: %s\n' "$6"
}

# --- stages: prepare_STAGE; total_STAGE; item_STAGE N, with N from 0 ---

prepare_fuzz() {
	make -s -j"$jobs" B=build/fuzz CC=clang-14 SAN=1 FUZZ=1 fuzzers
}

# fuzz_left: the targets that have not had all their inputs; ${finished[NAME]} counts them.
fuzz_left() {
	local file name
	for file in tests/fuzz/fuzz_*.c; do
		name=$(basename "$file" .c)
		if [[ $name =~ ${FUZZ_ONLY:-.} ]] && [ "${finished[$name]:-0}" -lt "$inputs" ]; then
			echo "$name"
		fi
	done
}

total_fuzz() {
	local name left most=0
	for name in $(fuzz_left); do
		left=$((inputs - ${finished[$name]:-0}))
		most=$((left > most ? left : most))
	done
	echo $((finished[fuzz] + (most + slice - 1) / slice))
}

# A target that has finished counts even when the round is interrupted.
item_fuzz() {
	local seed=$(($1 + 1)) log=$soak/fuzz.log names word name rest count
	names=$(fuzz_left | paste -s -d '|')
	SEED=$seed FUZZ_ONLY="^($names)\$" bash tests/fuzz/run.sh build/fuzz inputs "$slice" >"$log" 2>&1 </dev/null
	while read -r word name rest; do
		if [ "$word" = ok ]; then
			count=${rest//[!0-9 ]/}
			count=${count%% *}
			finished[$name]=$((${finished[$name]:-0} + count))
			record fuzz "$name" "$seed" "$count" pass "build/fuzz/$name -seed=$seed -runs=$count"
		elif [ "$word" = FAIL ] && [ "$interrupted" = 0 ]; then
			record fuzz "$name" "$seed" 0 fail "build/fuzz/$name $rest"
		fi
	done <"$log"
	if [ "$interrupted" = 0 ] && ! grep -qE '^(ok|FAIL) ' "$log"; then
		record fuzz "round $seed" "$seed" 0 fail "SEED=$seed bash tests/fuzz/run.sh build/fuzz inputs $slice"
	fi
	state_write
}

prepare_calls() {
	prepare_fuzz
}

# How many calls an input has is not known before: one round more, as long as calls are left, and no fault ends round after
# round.
total_calls() {
	echo $((finished[calls] + (finished[calls_made] < calls && finished[calls_failed] < 3)))
}

item_calls() {
	local seed=$(($1 + 1)) log=$soak/calls.log round=500000 rest count result=pass
	SEED=$seed FUZZ_ONLY='^fuzz_sbi$' bash tests/fuzz/run.sh build/fuzz inputs "$round" >"$log" 2>&1 </dev/null
	[ "$interrupted" = 0 ] || return 0
	rest=$(sed -n 's/^ok fuzz_sbi //p' "$log")
	count=$(sed -n 's/.* \([0-9]*\) calls.*/\1/p' <<<"$rest")
	if [ "${count:-0}" -eq 0 ]; then
		result=fail
		finished[calls_failed]=$((finished[calls_failed] + 1))
	fi
	finished[calls_made]=$((finished[calls_made] + ${count:-0}))
	record calls "${finished[calls_made]} calls so far" "$seed" "${count:-0}" "$result" \
		"SEED=$seed FUZZ_ONLY='^fuzz_sbi\$' bash tests/fuzz/run.sh build/fuzz inputs $round"
}

prepare_diff() {
	make -s -j"$jobs" diff
}

total_diff() { echo $(((programs + batch - 1) / batch)); }

item_diff() {
	local seed=$(($1 * batch + 1)) log=$soak/diff.log status=0 count
	build/diff "$batch" "$seed" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	count=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$log")
	if [ "$status" -eq 0 ] && [ "${count:-0}" -eq "$batch" ]; then
		record diff "seeds $seed to $((seed + batch - 1))" "$seed" "$batch" pass "build/diff $batch $seed"
	else
		cp "$log" "$soak/diff-$seed.log"
		record diff "seeds $seed to $((seed + batch - 1))" "$seed" "$batch" fail "build/diff $batch $seed (see $soak/diff-$seed.log)"
	fi
}

# Is the translator part of the build?
translates() { [ "$(uname -m)" = x86_64 ]; }

prepare_hunt() { make -s -j"$jobs" build/hunt; }
total_hunt() { translates && echo $(((hunt + hunt_batch - 1) / hunt_batch)) || echo 0; }
item_hunt() { hunt_batch hunt build/hunt "$hunt_batch"; }

prepare_hunt-tlb1() { make -s -j"$jobs" B=build/tlb1 CFLAGS=-DRV_TLB_ONE build/tlb1/hunt; }
total_hunt-tlb1() { translates && echo $(((hunt / 10 + hunt_batch - 1) / hunt_batch)) || echo 0; }
item_hunt-tlb1() { hunt_batch hunt-tlb1 build/tlb1/hunt "$hunt_batch"; }

# hunt_batch STAGE PROGRAM INSTRUCTIONS: from the seed at which the last batch ended.
hunt_batch() {
	local stage=$1 log=$soak/$1.log status=0 seed count
	seed=${finished[$stage-seed]:-1}
	"$2" --instructions "$3" --seed "$seed" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	count=$(sed -n 's/^instructions //p' "$log")
	finished[$stage-seed]=$(sed -n 's/^next seed //p' "$log")
	finished[$stage-seed]=${finished[$stage-seed]:-$((seed + 1))}
	if [ "$status" -eq 0 ] && [ "${count:-0}" -ge "$3" ]; then
		record "$stage" "from seed $seed" "$seed" "$count" pass "$2 --instructions $3 --seed $seed"
	else
		cp "$log" "$soak/$stage-$seed.log"
		record "$stage" "from seed $seed" "$seed" "${count:-0}" fail \
			"$2 --instructions $3 --seed $seed (see $soak/$stage-$seed.log)"
	fi
}

prepare_vectors() { make -s -j"$jobs" build/vectors; }
total_vectors() { translates && echo $(((vectors + vectors_batch - 1) / vectors_batch)) || echo 0; }

item_vectors() {
	local seed=$(($1 + 1)) log=$soak/vectors.log status=0 count
	build/vectors --vectors "$vectors_batch" --seed "$seed" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	count=$(sed -n 's/^vectors //p' "$log")
	[ "$status" -eq 0 ] || cp "$log" "$soak/vectors-$seed.log"
	record vectors "seed $seed" "$seed" "${count:-0}" "$([ "$status" -eq 0 ] && echo pass || echo fail)" \
		"build/vectors --vectors $vectors_batch --seed $seed"
}

prepare_twins() {
	prepare_boot && make -s -j"$jobs" build/twins &&
		make -s -j"$jobs" B=build/tlb1 CFLAGS=-DRV_TLB_ONE build/tlb1/twins
}

total_twins() { translates && echo 1 || echo 0; }

item_twins() {
	local log=$soak/twins.log status=0 count
	bash tests/guest/twins.sh build long >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	count=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$log")
	[ "$status" -eq 0 ] || cp "$log" "$soak/twins-${key:0:12}.log"
	record twins "$(tail -n 1 "$log")" null "${count:-0}" "$([ "$status" -eq 0 ] && echo pass || echo fail)" \
		"bash tests/guest/twins.sh build long"
}

prepare_boot() {
	make -s -j"$jobs" all && sh guest/linux/fetch.sh || return 1
	if [ ! -f build/initramfs.cpio ] || [ guest/linux/init -nt build/initramfs.cpio ]; then
		sh guest/linux/initramfs.sh build/initramfs.cpio
	fi
}

total_boot() { echo "$boots"; }

# engine_of ITEM: the one that was asked for, or the default and the interpreter in turns.
engine_of() {
	if [ -n "$engine" ]; then
		echo "$engine"
	else
		[ $(($1 % 2)) -eq 0 ] && echo auto || echo interp
	fi
}

item_boot() {
	local log=$soak/boot.log status=0 start=$SECONDS with
	local words="-c 4 -i build/initramfs.cpio -p 'console=hvc0 quiet tg.init=poweroff' $cache/debian-riscv64/Image"
	with=(build/tollgate run --engine "$(engine_of "$1")")
	timeout --foreground -k 5 "$boot_limit" "${with[@]}" -c 4 -i build/initramfs.cpio \
		-p 'console=hvc0 quiet tg.init=poweroff' "$cache/debian-riscv64/Image" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	if [ "$status" -eq 0 ] && grep -aq TOLLGATE-INIT-OK "$log"; then
		record boot "$(($1 + 1)) of $boots ($((SECONDS - start)) s)" null 1 pass "${with[*]} $words"
	else
		cp "$log" "$soak/boot-${key:0:12}-$(($1 + 1)).log"
		record boot "$(($1 + 1)) of $boots (status $status, $((SECONDS - start)) s)" null 1 fail \
			"${with[*]} $words (see $soak/boot-${key:0:12}-$(($1 + 1)).log)"
	fi
}

# A build of each, in the order in which items take them.
det_builds=(gcc clang gcc-debug clang-debug)

prepare_det() {
	local build how
	prepare_boot || return 1
	for build in "${det_builds[@]}"; do
		how=("B=build/det/$build" CC=gcc)
		[ "${build%-debug}" = gcc ] || how+=(CC=clang-14)
		[ "$build" = "${build%-debug}" ] || how+=(DEBUG=1)
		make -s -j"$jobs" "${how[@]}" "build/det/$build/tollgate" || return 1
	done
}

total_det() { echo $((det * 2 * ${#det_builds[@]})); }

# The first run of this commit on so many harts is the measure of the others.
item_det() {
	local build=${det_builds[$1 % ${#det_builds[@]}]} harts=$(($1 / ${#det_builds[@]} % 2 ? 4 : 1))
	local log=$soak/det.log report=$soak/det.json status=0 result=pass this measure steps hash extra=()
	local words="--deterministic -m 512M -c $harts -i build/initramfs.cpio -p 'console=hvc0 tg.init=poweroff' $cache/debian-riscv64/Image"
	[ "$build" = "${build%-debug}" ] || words="--engine interp $words" extra=(--engine interp)
	rm -f "$report"
	timeout --foreground -k 5 "$boot_limit" "build/det/$build/tollgate" run ${extra[@]+"${extra[@]}"} --report "$report" --deterministic -m 512M \
		-c "$harts" -i build/initramfs.cpio -p 'console=hvc0 tg.init=poweroff' "$cache/debian-riscv64/Image" \
		>"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	this="$status $(sed -nE 's/^ *"(steps|state_hash)": "?([0-9a-f]+)"?,$/\2/p' "$report" | tr '\n' ' ')$(sha256sum <"$log")"
	[ "$1" -ge $((2 * ${#det_builds[@]})) ] || [ "$build" != "${det_builds[0]}" ] || echo "$this" >"$soak/det-$harts"
	measure=$(cat "$soak/det-$harts")
	[ "$status" -eq 0 ] && grep -aq TOLLGATE-INIT-OK "$log" && [ "$this" = "$measure" ] &&
		[[ $this =~ ^0\ [0-9]+\ [0-9a-f]{64}\  ]] || result=fail
	read -r _ steps hash _ <<<"$this"
	record det "$build, $harts hart(s): $steps steps, $hash" null 1 "$result" "build/det/$build/tollgate run $words"
}

# stress-ng with the libraries that it loads.
stress_packages='stress-ng libacl1 libapparmor1 libbsd0 libc6 libcrypt1 libdrm2 libegl1 libexpat1 libffi8 libgbm1 libgcc-s1
	libgles2 libglvnd0 libgmp10 libjpeg62-turbo libjudydebian1 libkmod2 liblzma5 libmd0 libmpfr6 libsctp1 libssl3t64
	libstdc++6 libwayland-server0 libxxhash0 libzstd1 zlib1g'

prepare_stress() {
	prepare_boot || return 1
	# shellcheck disable=SC2086 # a list
	sh guest/linux/packages.sh "$cache/stress-ng.cpio" $stress_packages || return 1
	cat build/initramfs.cpio "$cache/stress-ng.cpio" >build/stress.cpio
}

total_stress() { echo 1; }

item_stress() {
	local log=$soak/stress.log status=0 work
	work="stress-ng --verify --timeout $((stress * 60))s --cpu 1 --matrix 1 --vm 1 --vm-bytes 64M --mmap 1 --mmap-bytes 64M"
	work+=" --fork 1 --pipe 1 --futex 1 --switch 1 --atomic 1 --fp 1 --memcpy 1 --timer 1"
	timeout --foreground -k 5 $((stress * 60 + boot_limit)) "${run[@]}" -c 4 -m 1G -i build/stress.cpio \
		-p "console=hvc0 tg.run=\"$work\"" "$cache/debian-riscv64/Image" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	if [ "$status" -eq 0 ] && grep -aq 'TOLLGATE-STATUS 0' "$log" && grep -aq 'failed: 0' "$log" &&
		! grep -aqE 'Kernel panic|Oops|BUG:|WARNING:|rcu:.*(stall|self-detected)|soft lockup|hung task' "$log"; then
		record stress "$stress minutes: $(sed -n 's/.*\(passed: .*\)/\1/p' "$log" | tr -d '\r')" null 1 pass "${engine:+SOAK_ENGINE=$engine }SOAK_ONLY=stress"
	else
		cp "$log" "$soak/stress-${key:0:12}.log"
		record stress "$stress minutes (status $status)" null 1 fail "see $soak/stress-${key:0:12}.log"
	fi
}

# tollgate_with ITEM: the program for tests that take a binary.
tollgate_with() { [ "$(engine_of "$1")" = auto ] && echo build/tollgate || echo "build/tollgate-$(engine_of "$1")"; }

prepare_riscv-tests() {
	make -s -j"$jobs" all "$(tollgate_with 0)" "$(tollgate_with 1)"
}

total_riscv-tests() {
	if [ -z "${RISCV_TESTS:-}" ]; then echo 0; elif [ -n "$engine" ]; then echo 1; else echo 2; fi
}

item_riscv-tests() {
	local log=$soak/riscv-tests.log status=0 count with
	with=$(tollgate_with "$1")
	bash tests/conformance/riscv-tests.sh "$with" "$RISCV_TESTS" -j "$jobs" >"$log" 2>&1 </dev/null || status=$?
	[ "$interrupted" = 0 ] || return 0
	count=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$log")
	record riscv-tests "$(tail -n 1 "$log")" null "${count:-0}" "$([ "$status" -eq 0 ] && echo pass || echo fail)" \
		"bash tests/conformance/riscv-tests.sh $with $RISCV_TESTS"
}

run_stage() {
	local stage=$1 total
	[ -z "$only" ] || [ "$only" = "$stage" ] || return 0
	total=$("total_$stage")
	[ "${finished[$stage]}" -lt "$total" ] || return 0
	echo "soak: $stage: $((total - finished[$stage])) of $total to do"
	if ! "prepare_$stage" >"$soak/$stage-prepare.log" 2>&1 </dev/null; then
		[ "$interrupted" = 0 ] || exit 130
		echo "FAIL $stage cannot be prepared:"
		tail -n 5 "$soak/$stage-prepare.log" | sed 's/^/    /'
		unprepared=$((unprepared + 1))
		return 0
	fi
	while [ "${finished[$stage]}" -lt "$("total_$stage")" ]; do
		"item_$stage" "${finished[$stage]}"
		# What was interrupted is done again; nothing of it is counted.
		[ "$interrupted" = 0 ] || exit 130
		finished[$stage]=$((finished[$stage] + 1))
		state_write
	done
}

mkdir -p "$soak"
exec 9>"$soak/lock${engine:+-$engine}"
if ! flock -n 9; then
	echo "soak: another one is running" >&2
	exit 2
fi
interrupted=0
trap 'interrupted=1' INT TERM
state_read
state_write
for stage in fuzz calls diff hunt hunt-tlb1 vectors twins boot det stress riscv-tests; do
	run_stage "$stage"
done
echo "results: $results"
echo "$passed passed, $((failed + unprepared)) failed"
[ $((failed + unprepared)) -eq 0 ]
