#!/bin/bash
# kvm-unit-tests.sh: runs ready-built kvm-unit-tests for riscv64 as kernels and judges their reports.
# SPDX-License-Identifier: BSD-2-Clause
#
#   kvm-unit-tests.sh TOLLGATE FOLDER [tollgate argument…]
#
# FOLDER holds selftest.flat and sbi.flat, as the suite's `make` leaves them in its folder riscv. Each runs on one hart
# and on four. A run passes when Tollgate exits with 0 and the report has its line SUMMARY, no line FAIL and no
# unexpected failure; then each line PASS counts as passed and each line SKIP as skipped. `sbi` is told by its initial
# RAM disk, as the suite wants it, what to expect of Base and that the address past memory is invalid; it gets 3 GiB,
# since some cases need memory above 4 GiB in the guest's addresses.
#
# Status: 0 nothing failed, or there are no binaries; 1 something failed; 2 bad arguments.
set -eu
export LC_ALL=C

# A run that hangs is ended after this many seconds; each takes one or two.
limit=120

die() {
    printf 'kvm-unit-tests.sh: %s\n' "$1" >&2
    exit 2
}

[ $# -ge 1 ] || die 'usage: kvm-unit-tests.sh TOLLGATE FOLDER [tollgate argument…]'
tollgate=$1
folder=${2-}
shift "$(($# < 2 ? $# : 2))"
if [ -z "$folder" ] || [ ! -e "$folder/sbi.flat" ] || [ ! -e "$folder/selftest.flat" ]; then
    echo 'skipped: no kvm-unit-tests binaries (set KVM_UNIT_TESTS=folder)'
    exit 0
fi
command -v -- "$tollgate" >/dev/null || die "'$tollgate' is not a program that can be run"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# What Base answers here, and what misaligned accesses do after a reset.
cat >"$work/environ" <<'END'
SBI_SPEC_VERSION=0x03000000
SBI_IMPL_ID=0x5447
SBI_IMPL_VERSION=0x000100
MVENDORID=0
MARCHID=0
MIMPID=0
INVALID_ADDR_AUTO=y
MISALIGNED_EXC_DELEG_RESET=1
END

# run NAME HARTS [tollgate argument…]: one run, its verdict and its counts.
run() {
    local name=$1 harts=$2 status=0 reason='' count
    shift 2
    timeout --foreground -k 5 "$limit" "$tollgate" run -c "$harts" "$@" "$folder/$name.flat" \
        </dev/null >"$work/raw" 2>&1 || status=$?
    tr -d '\r' <"$work/raw" >"$work/out"
    if [ "$status" -ne 0 ]; then
        reason="status $status"
    elif grep -q '^FAIL' "$work/out"; then
        reason="$(grep -c '^FAIL' "$work/out") failures"
    elif ! grep -q '^SUMMARY: [0-9]* tests' "$work/out"; then
        reason='no summary'
    elif grep -q '^SUMMARY: .*unexpected' "$work/out"; then
        reason='unexpected failures'
    fi
    if [ -n "$reason" ]; then
        failed=$((failed + 1))
        printf 'FAIL %s on %s hart(s): %s\n' "$name" "$harts" "$reason"
        grep '^FAIL' "$work/out" | head -n 20 | sed 's/^/  /' || :
        tail -n 5 "$work/out" | tr -c '[:print:]\n' '?' | sed 's/^/  /'
        return
    fi
    count=$(grep -c '^PASS' "$work/out" || :)
    passed=$((passed + count))
    skipped=$((skipped + $(grep -c '^SKIP' "$work/out" || :)))
    printf 'ok %s on %s hart(s): %s\n' "$name" "$harts" "$(grep '^SUMMARY' "$work/out")"
}

for harts in 1 4; do
    run selftest "$harts" -p 'foo bar baz' "$@"
    run sbi "$harts" -m 3G -i "$work/environ" "$@"
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
