#!/bin/bash
# observe.sh: traces, statistics and `tollgate diff` on running guests: they tell the truth and change nothing.
# SPDX-License-Identifier: BSD-2-Clause
#
#   observe.sh TOLLGATE GUESTS
#
# Prints `ok NAME` or `FAIL NAME: why`, and `N passed, N failed, N skipped`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$1 guests=$2
cache=${TOLLGATE_CACHE:-.cache}
limit=240 # seconds: a run that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

run() { # ARGUMENT...: a run without input; $status, $work/out, $work/err
	status=0
	timeout -k 5 "$limit" "$tollgate" run "$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
}

hash_of() { sed -n 's/^  "state_hash": "\([0-9a-f]*\)",$/\1/p' "$1"; }

# Whoever watches, the guest does the same.
for harts in 1 2; do
	options=(--deterministic -m 128M -c "$harts" "$guests/kernel.elf")
	run --report "$work/plain.json" "${options[@]}"
	plain=$status
	cp "$work/out" "$work/plain.out"
	run --report "$work/watched.json" --trace all --trace-file "$work/trace-1" --stats --stats-json "$work/stats.json" "${options[@]}"
	problem=
	[ "$plain" -eq 0 ] && [ "$status" -eq 0 ] || problem="status $plain and $status"
	[ "$(hash_of "$work/plain.json")" = "$(hash_of "$work/watched.json")" ] || problem=${problem:-another state}
	[ -n "$(hash_of "$work/plain.json")" ] || problem=${problem:-no state}
	cmp -s "$work/plain.out" "$work/out" || problem=${problem:-other output}
	verdict "watching changes nothing on $harts hart(s)" "$problem"

	run --trace all --trace-file "$work/trace-2" "${options[@]}"
	problem=
	cmp -s "$work/trace-1" "$work/trace-2" || problem='two deterministic runs have different traces'
	for word in 'sbi\.base\.probe_extension(' 'csr satp' 'irq s-timer' 'fault: illegal instruction' 'guest\[[0-9a-f:]*\] call'; do
		grep -q "$word" "$work/trace-1" || problem=${problem:-no $word in the trace}
	done
	verdict "the trace of $harts hart(s) is the same twice" "$problem"
done

# Each engine that counts steps tells the same. A wrapper may have chosen one: the program itself is beside it.
real=$(dirname -- "$tollgate")/tollgate
for engine in interp dbt; do
	options=(--engine "$engine" --deterministic -m 128M -c 2 --trace all --trace-file "$work/trace-$engine" "$guests/kernel.elf")
	timeout -k 5 "$limit" "$real" run "${options[@]}" </dev/null >"$work/out" 2>"$work/err" && continue
	rm -f "$work/trace-$engine"
done
if [ -e "$work/trace-dbt" ]; then
	problem=
	cmp -s "$work/trace-interp" "$work/trace-dbt" || problem=$(diff "$work/trace-interp" "$work/trace-dbt" | head -2 | tr '\n' ' ')
	verdict "interpreter and translator trace the same" "$problem"
else
	skipped=$((skipped + 1))
	echo 'skipped: there is no translator'
fi

# What the statistics count is what the report counts.
run -m 128M --report "$work/report.json" --stats-json "$work/stats.json" --trace calls,mmio --trace-file "$work/trace" \
	"$guests/kernel.elf"
counted=$(awk '/"causes"/ { on = 1 } on && /"name": "call"/ { getline; gsub(/[^0-9]/, ""); print; exit }' "$work/stats.json")
[ -n "$counted" ] || counted=$(tr -d ' \n' <"$work/stats.json" | sed -n 's/.*{"name":"call","count":\([0-9]*\).*/\1/p')
exits=$(sed -n 's/^ *"call": \([0-9]*\),*$/\1/p' "$work/report.json")
lines=$(grep -cE '^hart0 [0-9.]+ (sbi|tg|call)[^ ]*\(' "$work/trace")
problem=
[ -n "$exits" ] && [ "$counted" = "$exits" ] || problem="statistics say '$counted' calls, the report '$exits'"
[ "$lines" = "$exits" ] || problem=${problem:-the trace has $lines calls, the report $exits}
verdict 'trace, statistics and report count the same calls' "$problem"

run -m 128M --stats "$guests/kernel.elf"
problem=
grep -q '^sbi.base.probe_extension' "$work/err" || problem='no call in the table'
grep -qE '^0x[0-9a-f]{16} sbi_[a-z_0-9]+|^0x[0-9a-f]{16} [a-z]' "$work/err" || problem=${problem:-no symbol beside a pc}
verdict 'statistics name calls and symbols' "$problem"

run -m 128M --trace calls "$guests/hello.elf"
problem=
grep -q '^hart0 [0-9.]* sbi\..* <[0-9.]*us>$' "$work/err" || problem='no trace on standard error'
verdict 'the trace goes to standard error' "$problem"
problem=
timeout "$limit" "$tollgate" run -m 128M --trace calls --trace-file fd:7 "$guests/hello.elf" 7>"$work/seven" >/dev/null </dev/null
grep -q '^hart0 ' "$work/seven" || problem='nothing came'
verdict 'the trace goes to a descriptor' "$problem"
problem=
run -m 128M --trace calls --trace-file /dev/full "$guests/kernel.elf"
[ "$status" -eq 73 ] && grep -q 'not complete' "$work/err" || problem="status $status: $(head -n 1 "$work/err")"
verdict 'a trace that cannot be written is told' "$problem"

# --- runs that are kept ---

for side in a b; do
	without=()
	[ $side = a ] || without=(--without sbi-dbcn)
	run --deterministic -m 128M --keep "$work/$side" ${without[@]+"${without[@]}"} "$guests/kernel.elf"
done
run --deterministic -m 128M --keep "$work/same" "$guests/kernel.elf"
problem=
"$tollgate" diff "$work/a" "$work/same" >"$work/diff" 2>&1 || problem="status $?: $(head -n 2 "$work/diff")"
verdict 'two runs of the same are the same' "$problem"
status=0 problem=
"$tollgate" diff "$work/a" "$work/b" >"$work/diff" 2>&1 || status=$?
[ $status -eq 1 ] || problem="status $status"
for word in 'modules only in A: sbi-dbcn' 'trace: the first difference' 'sbi.dbcn.write' 'state_hash' 'memory: these pages differ'; do
	grep -q "$word" "$work/diff" || problem=${problem:-no $word}
done
verdict 'what a module changes is shown' "$problem"
run --keep "$work/a" "$guests/kernel.elf"
problem=
[ "$status" -eq 73 ] && grep -q 'something is in it' "$work/err" || problem="status $status"
verdict 'a folder that is in use is left alone' "$problem"
problem=
for wrong in "$work" "$work/a $work/none" "$work/a /dev/null"; do
	status=0
	# shellcheck disable=SC2086 # words on purpose
	"$tollgate" diff $wrong >"$work/out" 2>"$work/err" || status=$?
	case $status in
	64 | 66) ;;
	*) problem="'diff $wrong' ends with $status" ;;
	esac
	[ "$(wc -l <"$work/err")" -eq 1 ] || problem=${problem:-not one line about $wrong}
done
verdict 'wrong words for diff' "$problem"

# --- Linux ---

if ! sh guest/linux/fetch.sh; then
	skipped=$((skipped + 1))
	echo 'skipped: Linux: no guest (see the message above)'
else
	sh guest/linux/initramfs.sh "$work/initramfs.cpio" || exit 1
	run -c 2 --trace guest,calls --trace-file "$work/linux" -i "$work/initramfs.cpio" \
		-p 'console=hvc0 quiet tg.run="cat /proc/version"' "$cache/debian-riscv64/Image"
	problem=
	[ "$status" -eq 0 ] || problem="status $status"
	# In one address space, in this order: the shell's child becomes cat, which opens, reads and writes.
	for word in 'execve(.*) = 0' 'openat(.*) = [0-9]' 'read(.*) = [0-9]' 'write(.*) = [0-9]' 'exit_group(0) = ?' 'clone(.*) = [1-9]'; do
		grep -q "guest\[[0-9a-f:]*\] $word" "$work/linux" || problem=${problem:-no $word in the trace}
	done
	! grep -q 'exit_group(.*<' "$work/linux" || problem=${problem:-exit_group returned}
	verdict "Linux's own calls are traced" "$problem"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
