#!/bin/bash
# boots.sh: boots Debian's riscv64 kernel on four harts, many times in a row.
# SPDX-License-Identifier: BSD-2-Clause
#
#   boots.sh TOLLGATE [BOOTS]     20
#
# Prints `ok NAME` or `FAIL NAME` with the end of the output, and `N passed, N failed`. Skipped with a reason when the
# guest is not in the cache and cannot be fetched.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$1
boots=${2:-20}
cache=${TOLLGATE_CACHE:-.cache}
limit=240 # seconds: a boot that takes longer hangs

sh guest/linux/fetch.sh || skip_all 'no Debian guest (see the message above)'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sh guest/linux/initramfs.sh "$work/initramfs.cpio" || exit 1

verdict_shows() {
	tail -n 15 "$work/out" | sed 's/^/    /'
}

problem=
for ((i = 1; i <= boots && ${#problem} == 0; i++)); do
	status=0
	timeout "$limit" "$tollgate" run -c 4 -m 512M -i "$work/initramfs.cpio" -p 'console=hvc0 quiet tg.init=poweroff' \
		"$cache/debian-riscv64/Image" </dev/null >"$work/out" 2>&1 || status=$?
	if [ $status -ne 0 ]; then
		problem="boot $i: status $status"
	elif ! grep -q TOLLGATE-INIT-OK "$work/out"; then
		problem="boot $i: no TOLLGATE-INIT-OK in the output"
	elif grep -qE "$trouble" "$work/out"; then
		problem="boot $i: the kernel complains: $(grep -m 1 -E "$trouble" "$work/out")"
	fi
done
verdict "$boots boots in a row on four harts" "$problem"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
