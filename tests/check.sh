#!/bin/bash
# check.sh: `make check`: sets up, lints, builds every way, runs every test, and counts.
# SPDX-License-Identifier: BSD-2-Clause
#
# Each step's output goes to build/check/STEP.log; a failing step's log is shown. Steps that count
# (a CUnit summary, or lines "N passed, N failed[, N skipped]") are added up; any other step counts as one.
# Behind that stand its seconds, and those of the processors for it and all that it ran. CHECK_ONLY='regex' runs
# the steps whose name matches. CHECK_AT_ONCE (2, or 1 where there is one processor) steps run at a time.
set -u
cd "$(dirname "$0")/.." || exit 2

logs=build/check
jobs=$(nproc)
at_once=${CHECK_AT_ONCE:-$((jobs < 2 ? 1 : 2))}
TIMEFORMAT='%R %U %S'
began=$SECONDS
mkdir -p "$logs"
rm -f "$logs"/*.count

# The totals of a log: passed, failed, skipped. Nothing when it does not count.
totals() {
	awk '
		/^ *asserts +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ / { next }
		/^ *tests +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+/ { p += $4; f += $5; seen = 1 }
		/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3; s += ($5 != "" ? $5 : 0); seen = 1 }
		END { if (seen) print p + 0, f + 0, s + 0 }' "$1"
}

# step_run NAME COMMAND...: runs it, leaves its counts in NAME.count, and prints its line, or all of it that says why it failed.
step_run() {
	local name=$1 log=$logs/$1.log status=0 p f s
	shift
	{ time "$@" >"$log" 2>&1 </dev/null; } 2>"$logs/$name.time" || status=$?
	read -r p f s <<<"$(totals "$log")"
	if [ -z "${p:-}" ]; then
		p=0 f=0 s=0
		if [ $status -eq 0 ]; then p=1; else f=1; fi
	elif [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
	fi
	echo "$p $f $s" >"$logs/$name.count"
	{
		tail -n 1 "$logs/$name.time" | awk -v name="$name" -v p="$p" -v f="$f" -v s="$s" '{
			printf "%-22s %5d passed, %d failed, %d skipped  %4.0f s, %4.0f s of processors\n", name, p, f, s, $1, $2 + $3 }'
		grep -h '^skipped:' "$log" | sed 's/^/    /'
		if [ "$f" -ne 0 ]; then
			grep -E -A 12 '^(FAIL|not ok)' "$log" | head -50 | sed 's/^/    /'
			grep -E 'error|Error|ERROR|warning' "$log" | head -20 | sed 's/^/    /'
			tail -n 25 "$log" | sed 's/^/    | /'
		fi
	} >"$logs/$name.said"
	cat "$logs/$name.said" # at once, since another step may end now
}

# step NAME COMMAND...: begins it as soon as there is a place.
step() {
	if [ -n "${CHECK_ONLY:-}" ] && ! [[ $1 =~ $CHECK_ONLY ]]; then
		return 0
	fi
	while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do wait -n; done
	step_run "$@" &
}

# fetched COMMAND...: what cannot be had because the network or the mirror does not have it is a skip, of which what
# needs it makes another.
fetched() {
	local status=0 said
	said=$("$@" 2>&1) || status=$?
	[ -z "$said" ] || printf '%s\n' "$said"
	[ $status -eq 4 ] || return $status
	printf 'skipped: %s: %s\n0 passed, 0 failed, 1 skipped\n' "${*:2}" "$(grep -m 1 'error: ' <<<"$said")"
}

# Waits for all steps before: what follows needs what they make.
settle() { wait; }

# alone NAME COMMAND...: nothing else runs meanwhile.
alone() {
	settle
	step "$@"
	settle
}

# One machine, whatever built it: the final states of the random programs, digested by each build.
same_digest() {
	grep -h '^digest' $logs/diff-gcc.log $logs/diff-clang.log $logs/diff-asan.log | tee /dev/stderr | sort -u |
		wc -l | grep -qx 1
}

# Set where the translator is part of the build.
translator=
[ "$(uname -m)" != x86_64 ] || translator=yes

variant() { make -s -j"$jobs" B="build/$1" "${@:2}"; }
cache=${TOLLGATE_CACHE:-.cache}
# The monitor with the interpreter. Where the translator is the default, a build without it is tested by the way.
interp=build/tollgate-interp
[ -z "$translator" ] || interp=build/nodbt/tollgate

alone setup sh tests/tools/setup.sh check
alone build-gcc make -s -j"$jobs" all unit guests diff lockstep kvm-state build/tollgate-interp build/bench-watch build/bench-own build/guest/bench-bare.elf \
	${translator:+build/tollgate-dbt hunt vectors twins} CC=gcc
step build-asan variant asan CC=gcc SAN=1 build/asan/tollgate build/asan/tollgate-interp build/asan/unit build/asan/diff \
	${translator:+build/asan/hunt build/asan/tollgate-dbt}
step build-clang variant clang CC=clang-14 build/clang/tollgate build/clang/tollgate-interp build/clang/unit build/clang/diff
step build-fuzz variant fuzz CC=clang-14 SAN=1 FUZZ=1 fuzzers
step build-tsan variant tsan CC=clang-14 TSAN=1 build/tsan/unit build/tsan/tollgate
if [ -n "$translator" ]; then
	# Translates what is executed once, into a cache that a kernel's code does not fit.
	step build-hot variant hot CFLAGS='-DBLOCK_HEAT=0 -DSEGMENTS=6 -DSEGMENT_SIZE=262144u' build/hot/tollgate-dbt
	step build-tlb1 variant tlb1 CFLAGS=-DRV_TLB_ONE build/tlb1/unit build/tlb1/hunt build/tlb1/twins
	# What hosts without an emitter have.
	step build-nodbt variant nodbt DBT= build/nodbt/tollgate build/nodbt/unit build/nodbt/diff
fi
# What is fetched, so that no two steps fetch it at a time.
settle
step get-guest fetched sh guest/linux/fetch.sh
step get-firmware fetched sh guest/linux/fetch-firmware.sh
settle
step get-qemu fetched sh tests/tools/qemu.sh
step get-guest-amd64 fetched sh guest/linux/fetch.sh amd64
settle
step get-qemu-x86 fetched sh tests/tools/qemu.sh x86
! sh guest/linux/fetch.sh --check || step initramfs sh guest/linux/initramfs.sh build/initramfs.cpio
settle

# The longest first, so that none is left alone at the end.
if [ -n "$translator" ]; then
	step twins bash tests/guest/twins.sh build short
fi
step lint bash tests/lint.sh
step linux bash tests/guest/linux.sh build/tollgate
[ -z "$translator" ] || step linux-interp bash tests/guest/linux.sh $interp 5
step deterministic bash tests/guest/deterministic.sh build/tollgate-interp build/clang/tollgate build/asan/tollgate \
	${translator:+build/tollgate}
step kvm-nested bash tests/guest/kvm-nested.sh build
step kvm-x86 bash tests/guest/kvm-x86.sh build
step linux-module bash tests/guest/linux-module.sh build/tollgate
step perf bash tests/guest/perf.sh $interp build/guest
if [ -n "$translator" ]; then
	step perf-dbt bash tests/guest/perf.sh build/tollgate build/guest
fi

step unit-gcc build/unit
step unit-clang build/clang/unit
step unit-asan build/asan/unit
step unit-tsan build/tsan/unit hart module console host
if [ -n "$translator" ]; then
	step unit-tlb1 build/tlb1/unit dbt dbt_edge dbt_float dbt_inline dbt_jump
	step unit-nodbt build/nodbt/unit
	step diff-nodbt build/nodbt/diff
	step unit-tsan-dbt env TSAN_OPTIONS="suppressions=$PWD/tests/guest/tsan.supp" build/tsan/unit dbt dbt_edge dbt_share
	step hunt build/hunt --instructions 10000000
	step hunt-tlb1 build/tlb1/hunt --instructions 3000000
	step hunt-asan build/asan/hunt --instructions 1000000
	step vectors build/vectors --vectors 1000000
fi
step diff-gcc build/diff
step diff-clang build/clang/diff
step diff-asan build/asan/diff

# Builds take turns with the engines: what is compiled by gcc runs both, what is instrumented sees the interpreter's C.
step auto bash tests/guest/auto.sh build/tollgate build/guest
step guests bash tests/guest/run.sh build/tollgate build
step guests-interp bash tests/guest/run.sh $interp build
step guests-clang bash tests/guest/run.sh build/clang/tollgate-interp build
step guests-asan bash tests/guest/run.sh build/asan/tollgate-interp build
step guests-tsan bash tests/guest/tsan.sh build/tsan/tollgate build/guest interp ${translator:+dbt}
if [ -n "$translator" ]; then
	step auto-nodbt bash tests/guest/auto.sh build/nodbt/tollgate build/guest
	step guests-hot bash tests/guest/run.sh build/hot/tollgate-dbt build
	step boots-hot bash tests/guest/boots.sh build/hot/tollgate-dbt 3
	step guests-dbt-asan bash tests/guest/run.sh build/asan/tollgate-dbt build
fi
step policy bash tests/guest/policy.sh build/tollgate build
step policy-asan bash tests/guest/policy.sh build/asan/tollgate-interp build
step cli bash tests/guest/cli.sh build/tollgate build/guest
step cli-asan bash tests/guest/cli.sh build/asan/tollgate-interp build/guest
step files bash tests/guest/files.sh build/tollgate build/guest
step files-asan env FILES_RACE=race-short bash tests/guest/files.sh build/asan/tollgate-interp build/guest
step event bash tests/guest/event.sh build/tollgate build/guest
step event-asan bash tests/guest/event.sh build/asan/tollgate-interp build/guest
step event-x86 bash tests/guest/event.sh build/tollgate build/guest x86-
step event-x86-asan bash tests/guest/event.sh build/asan/tollgate build/guest x86-
step abi bash tests/guest/abi.sh build/tollgate build
step abi-asan bash tests/guest/abi.sh build/asan/tollgate-interp build
step apt-root bash tests/guest/apt-root.sh
step modules bash tests/guest/modules.sh build/tollgate build
step bench bash tests/guest/bench.sh build/tollgate build "$cache/qemu/qemu-system-riscv64"
step bench-asan bash tests/guest/bench.sh build/asan/tollgate build
step ratios bash tests/guest/ratios.sh build
step observe bash tests/guest/observe.sh build/tollgate-interp build/guest
[ -z "$translator" ] || step observe-dbt bash tests/guest/observe.sh build/hot/tollgate-dbt build/guest
step firmware bash tests/guest/firmware.sh build/tollgate build/guest
[ -z "$translator" ] || step firmware-interp bash tests/guest/firmware.sh $interp build/guest
step compare-qemu bash tests/guest/compare-qemu.sh build/tollgate build "$cache/qemu/qemu-system-riscv64"
step riscv-tests bash tests/conformance/riscv-tests.sh $interp "${RISCV_TESTS:-}"
step arch-tests bash tests/conformance/arch-test.sh $interp "${ARCH_TEST:-}" \
	--skip tests/conformance/arch-test.skip -- --misaligned trap
step kvm-unit-tests bash tests/conformance/kvm-unit-tests.sh $interp "${KVM_UNIT_TESTS:-}"
if [ -n "$translator" ]; then
	step riscv-tests-dbt bash tests/conformance/riscv-tests.sh build/hot/tollgate-dbt "${RISCV_TESTS:-}"
	step arch-tests-dbt bash tests/conformance/arch-test.sh build/hot/tollgate-dbt "${ARCH_TEST:-}" \
		--skip tests/conformance/arch-test.skip -- --misaligned trap
	step kvm-tests-dbt bash tests/conformance/kvm-unit-tests.sh build/hot/tollgate-dbt "${KVM_UNIT_TESTS:-}"
fi
step lockstep bash tests/conformance/lockstep.sh build/lockstep random:300
for folder in ${LOCKSTEP:-}; do
	step "lockstep-${folder//\//_}" bash tests/conformance/lockstep.sh build/lockstep "$folder" \
		--skip tests/conformance/lockstep.skip
done
settle
step diff-same same_digest
# These build in the tree, or on this machine.
alone docs bash tests/docs.sh
alone release bash tests/release-test.sh build/tollgate
alone install bash tests/guest/install.sh build

# A seed for each run, and what calls it has made, so that runs add up: .cache/fuzz-calls.jsonl.
fuzz_calls=$cache/fuzz-calls.jsonl
mkdir -p "${fuzz_calls%/*}"
touch "$fuzz_calls"
seed=$(($(wc -l <"$fuzz_calls") + 1))
alone fuzz env SEED=$seed bash tests/fuzz/run.sh build/fuzz seconds "${FUZZ_SECONDS:-10}"
calls=$(sed -n 's/^ok fuzz_sbi .* \([0-9]*\) calls.*/\1/p' "$logs/fuzz.log" 2>/dev/null)
if [ -z "${CHECK_ONLY:-}" ] || [[ fuzz =~ $CHECK_ONLY ]]; then
	printf '{"date":"%s","commit":"%s","seed":%d,"calls":%d}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		"$(git describe --always --dirty 2>/dev/null)" "$seed" "${calls:-0}" >>"$fuzz_calls"
	printf '%d calls fuzzed; %d in all runs with this cache\n' "${calls:-0}" \
		"$(awk -F '"calls":' '{ all += $2 } END { printf "%d", all }' "$fuzz_calls")"
fi

cat "$logs"/*.count 2>/dev/null | awk -v took=$((SECONDS - began)) '
	{ p += $1; f += $2; s += $3 }
	END {
		printf "%d seconds\n%d passed, %d failed, %d skipped\n", took, p, f, s
		exit f != 0
	}'
