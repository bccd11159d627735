#!/bin/bash
# riscv-tests.sh: runs ready-built riscv-tests binaries as firmware and judges each by exit status.
# SPDX-License-Identifier: BSD-2-Clause
#
#   riscv-tests.sh TOLLGATE FOLDER [option…] [--] [tollgate argument…]     options: runner.sh
#
# Each ELF file in FOLDER whose name is selected (default 'rv64*-[pv]-*') runs as `TOLLGATE run
# --firmware FILE argument…`. A test passes when Tollgate exits with 0, that is, when the guest wrote
# 1 to `tohost`; otherwise the status is the number of the failed case.
# shellcheck disable=SC2034 # for runner.sh
default_only='rv64*-[pv]-*'
when_missing='no riscv-tests binaries (set RISCV_TESTS=folder)'
exported=()

is_elf() {
    local magic
    [ -f "$1" ] && [ -r "$1" ] && IFS= read -r -n 4 magic <"$1" && [ "$magic" = $'\x7fELF' ]
}

list_names() {
    local file
    for file in "$1"/*; do
        if is_elf "$file"; then
            printf '%s\n' "${file##*/}"
        fi
    done
}

# --foreground: Ctrl-C and a CI's own time limit reach the guest too.
run_guest() {
    timeout --foreground -k 5 "$4" "$1" run --firmware "$2/$5" "${@:6}" </dev/null
}

# shellcheck source=tests/conformance/runner.sh
. "$(dirname "$0")/runner.sh"
