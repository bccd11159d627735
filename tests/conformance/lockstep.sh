#!/bin/bash
# lockstep.sh: runs ready-built programs beside Spike, instruction by instruction.
# SPDX-License-Identifier: BSD-2-Clause
#
#   SPIKE=path lockstep.sh LOCKSTEP FOLDER [option…] [--] [Spike argument…]     options: runner.sh
#   SPIKE=path lockstep.sh LOCKSTEP random:COUNT [option…] …
#
# Each NAME.elf in FOLDER runs in M-mode in Spike, whose commit log goes to LOCKSTEP (the built
# tests/lockstep), which runs the same program with Tollgate's interpreter. It passes when levels,
# addresses and registers were equal to the end of the log, or for LOCKSTEP_MOST instructions.
# random:COUNT makes COUNT programs of 2000 words first, with seeds from LOCKSTEP_SEED (1).
# Spike is told the extensions that Tollgate advertises; both trap misaligned accesses.
# shellcheck disable=SC2034 # for runner.sh
set -u
default_only='*'
when_missing='no Spike to run beside, or no programs (set SPIKE=program, and LOCKSTEP=folders)'
exported=()
export SPIKE=${SPIKE:-} LOCKSTEP_MOST=${LOCKSTEP_MOST:-}

if [ -n "$SPIKE" ] && [[ ${2-} =~ ^random:[1-9][0-9]*$ ]]; then
    count=${2#random:} first=${LOCKSTEP_SEED:-1} status=0
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    for ((seed = first; seed < first + count; seed++)); do
        "$1" --random "$seed" "$made/seed-$seed.elf" || exit 2
    done
    LOCKSTEP_MOST=${LOCKSTEP_MOST:-15000} bash "$0" "$1" "$made" "${@:3}" || status=$?
    exit "$status"
fi

list_names() {
    local file
    [ -n "$SPIKE" ] || return 0
    for file in "$1"/*.elf; do
        if [ -f "$file" ]; then
            file=${file##*/}
            printf '%s\n' "${file%.elf}"
        fi
    done
}

# Spike's limit counts a trap as thousands of instructions; it only ends what would never end.
run_guest() {
    local elf=$2/$5.elf
    timeout --foreground -k 5 "$4" "$SPIKE" --isa="$("$1" --isa)" --triggers=0 \
        --instructions=200000000 -l --log-commits --log=/dev/stdout "${@:6}" "$elf" \
        </dev/null 2>/dev/null | "$1" "$elf" ${LOCKSTEP_MOST:+"$LOCKSTEP_MOST"}
}

# shellcheck source=tests/conformance/runner.sh
. "$(dirname "$0")/runner.sh"
