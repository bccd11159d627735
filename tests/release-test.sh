#!/bin/bash
# release-test.sh: what `make release` refuses, and what it lets through, on tables and notes of its own.
# SPDX-License-Identifier: BSD-2-Clause
#
#   release-test.sh [TOLLGATE]   (default build/tollgate)
#
# Prints a line a check and `N passed, N failed`.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 2

build=$(dirname "${1:-build/tollgate}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
mkdir "$work/notes"
export TABLE=$work/abi.tbl LOCK=$work/abi.lock NOTES=$work/notes

verdict() { # NAME PROBLEM
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: $2"
		tail -n 5 "$work/log" | sed 's/^/    /'
	fi
}

# release NAME STATUS WORDS
release() {
	local got=0 problem=
	MAKEFLAGS='' bash tests/release.sh "$build" >"$work/log" 2>&1 </dev/null || got=$?
	[ "$got" -eq "$2" ] || problem="status $got, not $2"
	grep -qF -e "$3" "$work/log" || problem=${problem:-it does not say \"$3\"}
	verdict "$1" "$problem"
}

# The lock is the table without what the changes below bring; the next version is a small step ahead.
cp hypercalls/abi.tbl "$LOCK"
now=$(sed -n 's/^abi //p' "$LOCK")
next=${now%.*}.$((${now#*.} + 1))
cp "$LOCK" "$work/before"
cp "$LOCK" "$TABLE"
release 'a version that is released' 1 "version $now is released already"

sed -i '/ sbi\.srst\.system_reset /s/500$/501/' "$TABLE"
release 'a change without a step' 1 'does not fit its changes'
sed -i "s/^abi $now/abi $next/" "$TABLE"
release 'no page' 1 'there is no'
echo "# ABI $next" >"$NOTES/$next.md"
release 'a page without the table' 1 'lacks the line'
bash tests/release.sh draft "$build" >"$NOTES/$next.md"
release 'a change without a note' 1 'has no note about sbi.srst.system_reset'
verdict 'a refusal leaves the lock' "$(cmp "$LOCK" "$work/before" 2>&1)"
# shellcheck disable=SC2016 # backquotes of Markdown
sed -i 's/^- `sbi.srst.system_reset`: $/&It costs a cycle more./' "$NOTES/$next.md"
release 'all of it' 0 'sbi-srst, with and without'
verdict 'the lock is the table' "$(diff <(sed 1d "$LOCK") <(sed 1d "$TABLE") | head -n 1)"
release 'once more' 1 "version $next is released already"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
