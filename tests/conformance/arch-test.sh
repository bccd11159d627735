#!/bin/bash
# arch-test.sh: runs ready-built architecture tests as firmware and compares their signatures.
# SPDX-License-Identifier: BSD-2-Clause
#
#   arch-test.sh TOLLGATE FOLDER [option…] [--] [tollgate argument…]     options: runner.sh
#
# FOLDER holds for each test NAME.elf and NAME.reference_output, its signature as riscv-arch-test
# has it: a 32-bit word a line. NAME.elf runs as `TOLLGATE run --firmware NAME.elf --device
# htif,signature=FILE argument…` and passes when it ends through `tohost` with 1 and FILE is equal
# to the reference but for blank lines and the case of digits. The references of the misaligned
# accesses were made with traps: give `-- --misaligned trap`. After a failure stand the first words
# that differ.
# shellcheck disable=SC2034 # for runner.sh
default_only='*'
when_missing='no architecture test binaries (set ARCH_TEST=folder)'
exported=(words)

# words FILE: its signature in one form.
words() {
    tr 'A-F\r' 'a-f ' <"$1" | tr -d ' \t' | sed '/^$/d'
}

list_names() {
    local file
    for file in "$1"/*.elf; do
        if [ -f "$file" ] && [ -f "${file%.elf}.reference_output" ]; then
            file=${file##*/}
            printf '%s\n' "${file%.elf}"
        fi
    done
}

run_guest() {
    local ours=$3/$5.ours reference=$3/$5.reference
    : >"$3/$5.signature"
    timeout --foreground -k 5 "$4" "$1" run --firmware "$2/$5.elf" \
        --device "htif,signature=$3/$5.signature" "${@:6}" </dev/null || return
    words "$3/$5.signature" >"$ours"
    words "$2/$5.reference_output" >"$reference"
    [ -s "$ours" ] && cmp -s "$ours" "$reference" && return
    echo 'the signature differs'
    # Side by side: line number, ours, the reference's.
    paste "$ours" "$reference" |
        awk -F '\t' '$1 != $2 && n++ < 4 { printf "word %d: %s, not %s\n", NR, $1, $2 }'
    return 1
}

# shellcheck source=tests/conformance/runner.sh
. "$(dirname "$0")/runner.sh"
