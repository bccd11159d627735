#!/bin/bash
# tsan.sh: guests of several harts on both engines of a build with ThreadSanitizer: no races but the guests' own.
# SPDX-License-Identifier: BSD-2-Clause
#
#   tsan.sh TOLLGATE GUESTS [ENGINE...]
#
# Prints `ok NAME` or `FAIL NAME` with the first report, and `N passed, N failed`.
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 2

[ $# -ge 2 ] || {
	echo 'usage: tsan.sh TOLLGATE GUESTS [ENGINE...]' >&2
	exit 2
}
tollgate=$1 guests=$2
shift 2
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export TSAN_OPTIONS="suppressions=$PWD/tests/guest/tsan.supp"

for engine in "${@:-interp}"; do
	for guest in kernel litmus probe hostile-fences hostile-ipis hostile-starts hostile-garbage; do
		status=0
		timeout 600 "$tollgate" run --engine "$engine" -c 4 -m 128M "$guests/$guest.elf" >"$log" 2>&1 </dev/null || status=$?
		if [ "$status" -eq 0 ] && ! grep -q '^not ok' "$log"; then
			passed=$((passed + 1))
			echo "ok $guest, $engine"
		else
			failed=$((failed + 1))
			echo "FAIL $guest, $engine (status $status)"
			grep -A 40 -m 1 -E 'WARNING: ThreadSanitizer|^not ok' "$log" | sed 's/^/    /'
		fi
	done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
