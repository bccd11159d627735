#!/bin/bash
# compare-qemu.sh: runs hello, kernel and probe in Tollgate and in QEMU and compares what they print.
# SPDX-License-Identifier: BSD-2-Clause
#
#   compare-qemu.sh TOLLGATE BUILDDIR QEMU [HARTS…]
#
# QEMU is a qemu-system-riscv64 of version 8.1 or later, whose OpenSBI has the debug console (DBCN). HARTS: how many harts to try,
# 1 2 4 by default. Left out of the comparison: what comes before the guest's first line (OpenSBI's banner), comments
# (lines that begin with "# "), and that QEMU's OpenSBI was spared some calls which it does not check or have.
#
# Prints `ok NAME` or `FAIL NAME` with the difference, and `N passed, N failed` at the end; one line that says `skipped` and why
# when QEMU is missing or too old. Status: 0 no difference, or skipped; 1 a difference; 2 bad arguments.
set -eu
export LC_ALL=C

# A guest that hangs is ended after this many seconds: far more than any needs.
limit=180

die() {
    printf 'compare-qemu.sh: %s\n' "$1" >&2
    exit 2
}

[ $# -ge 3 ] || die 'usage: compare-qemu.sh TOLLGATE BUILDDIR QEMU [HARTS…]'
tollgate=$1
guests=$2/guest
qemu=$3
shift 3
[ $# -gt 0 ] || set -- 1 2 4
[ -x "$tollgate" ] || die "$tollgate cannot be run: build Tollgate first"
[ -e "$guests/probe.elf" ] || die "$guests has no guests: 'make guests' builds them"
if ! version=$("$qemu" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p') ||
    [ -z "$version" ]; then
    printf 'skipped: there is no QEMU at %s\n' "$qemu"
    exit 0
fi
if [ "$(printf '%s\n' 8.1 "$version" | sort -V | head -n 1)" != 8.1 ]; then
    printf 'skipped: QEMU %s is older than 8.1, whose OpenSBI first has the debug console\n' "$version"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# strip: from the guest's first line on, without comments and lines of Tollgate's log.
strip() {
    tr -d '\r' | awk '
        /^(TAP version 13|Hello from S-mode\.)$/ { begun = 1 }
        begun && !/^# / && !/^\[ *[0-9]+\.[0-9]+\] hart[0-9]+ / { print }'
}

# run_both GUEST HARTS: outputs in $work/tollgate and $work/qemu, statuses in $status.
run_both() {
    local guest=$guests/$1.elf harts=$2
    status=0
    timeout --foreground -k 5 "$limit" "$tollgate" run -m 128M -c "$harts" --device tg-entropy --device sbi-pmu,snapshot "$guest" </dev/null >"$work/raw" 2>&1 ||
        status=$?
    strip <"$work/raw" >"$work/tollgate"
    timeout --foreground -k 5 "$limit" "$qemu" -M virt -cpu rv64 -smp "$harts" -m 128M -nographic -no-reboot \
        -bios default -kernel "$guest" </dev/null >"$work/raw" 2>&1 || status="$status, QEMU's $?"
    strip <"$work/raw" | sed -E 's/ # SKIP this firmware does not (check|have) it$//' >"$work/qemu"
}

for harts in "$@"; do
    for guest in hello kernel probe; do
        run_both "$guest" "$harts"
        if [ "$status" = 0 ] && [ -s "$work/qemu" ] &&
            diff -u --label QEMU --label Tollgate "$work/qemu" "$work/tollgate" >"$work/diff"; then
            passed=$((passed + 1))
            printf 'ok %s on %s hart(s): the same %s lines\n' "$guest" "$harts" "$(wc -l <"$work/qemu")"
        else
            failed=$((failed + 1))
            printf 'FAIL %s on %s hart(s), status %s\n' "$guest" "$harts" "$status"
            head -n 60 "$work/diff" 2>/dev/null || :
        fi
    done
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
