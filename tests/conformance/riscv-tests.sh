#!/bin/bash
# riscv-tests.sh: runs ready-built riscv-tests binaries as firmware and judges each by exit status.
# SPDX-License-Identifier: BSD-2-Clause
#
#   riscv-tests.sh TOLLGATE FOLDER [option…] [--] [tollgate argument…]
#
#   -j N            N tests at a time (default 1); verdicts then come in the order of the ends
#   --only PATTERN  names to run, a shell pattern; may be repeated (default 'rv64*-[pv]-*')
#   --skip FILE     known failures: one 'PATTERN reason' a line, '#' starts a comment line
#   --timeout S     seconds before a test counts as hung (default 60)
#
# Each ELF file in FOLDER whose name is selected runs as `TOLLGATE run --firmware FILE argument…`.
# Options end at `--` or at the first word that is none of them; what follows goes to Tollgate. A
# test passes when Tollgate exits with 0, that is, when the guest wrote 1 to `tohost`; otherwise the
# status is the number of the failed case. A failed test's last lines of output follow its verdict.
#
# Status: 0 no test failed, or there are no binaries; 1 a test failed; 2 bad arguments.
set -eu
export LC_ALL=C

die() {
    printf 'riscv-tests.sh: %s\n' "$1" >&2
    exit 2
}

# run_one TOLLGATE FOLDER WORK LIMIT [argument…] NAME: runs a test, prints its verdict, adds its
# name to WORK/ok or WORK/fail. The status is always 0, since xargs gives up on some others.
run_one() {
    local tollgate=$1 folder=$2 work=$3 limit=$4 name=${!#} status=0 note='' start=$SECONDS
    local args=("${@:5:$#-5}")

    # --foreground: Ctrl-C and a CI's own time limit reach the guest too. The braces: bash's word
    # on a crash goes to the log.
    { timeout --foreground -k 5 "$limit" "$tollgate" run --firmware "$folder/$name" \
        ${args[@]+"${args[@]}"} </dev/null; } >"$work/$name.log" 2>&1 || status=$?

    if [ "$status" -eq 0 ]; then
        printf 'ok %s\n' "$name"
        printf '%s\n' "$name" >>"$work/ok"
    else
        # 124 may be a test's number too, so the clock decides.
        if [ $((SECONDS - start)) -ge "$limit" ]; then
            note=", stopped after $limit s"
        fi
        printf 'FAIL %s (status %s%s)\n' "$name" "$status" "$note"
        tail -n 5 "$work/$name.log" | tr -c '[:print:]\n' '?' | sed "s/^/  $name: /"
        printf '%s\n' "$name" >>"$work/fail"
    fi
    rm -f "$work/$name.log"
}

# need_number OPTION VALUE: refuses what is not a whole number above zero.
need_number() {
    [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || die "$1 needs a whole number from 1 to 999999, not '$2'"
}

# matches NAME PATTERN…: whether NAME matches one of the shell patterns.
matches() {
    local name=$1 pattern
    shift
    for pattern in "$@"; do
        # shellcheck disable=SC2053 # a pattern is wanted
        [[ $name == $pattern ]] && return 0
    done
    return 1
}

is_elf() {
    local magic
    [ -f "$1" ] && [ -r "$1" ] && IFS= read -r -n 4 magic <"$1" && [ "$magic" = $'\x7fELF' ]
}

[ $# -ge 1 ] || die 'usage: riscv-tests.sh TOLLGATE FOLDER [-j N] [--only PATTERN] [--skip FILE]
    [--timeout S] [--] [tollgate argument…]'
tollgate=$1
folder=${2-}
shift "$(($# < 2 ? $# : 2))"

jobs=1 limit=60 skip_file='' only=()
while [ $# -gt 0 ]; do
    case $1 in
    -j | --only | --skip | --timeout) [ $# -ge 2 ] || die "$1 needs a value" ;;
    esac
    case $1 in
    -j) jobs=$2 ;;
    --only) only+=("$2") ;;
    --skip) skip_file=$2 ;;
    --timeout) limit=$2 ;;
    --) shift && break ;;
    *) break ;;
    esac
    shift 2
done
need_number -j "$jobs"
need_number --timeout "$limit"
[ ${#only[@]} -gt 0 ] || only=('rv64*-[pv]-*')

skip_names=() skip_reasons=()
if [ -n "$skip_file" ]; then
    [ -r "$skip_file" ] || die "cannot read --skip file '$skip_file'"
    line=0
    while read -r name reason || [ -n "$name" ]; do
        line=$((line + 1))
        case $name in '' | '#'*) continue ;; esac
        [ -n "$reason" ] || die "$skip_file:$line: '$name' has no reason"
        skip_names+=("$name")
        skip_reasons+=("$reason")
    done <"$skip_file"
fi

found=0 names=()
for file in "$folder"/*; do
    is_elf "$file" || continue
    found=1
    if matches "${file##*/}" "${only[@]}"; then
        names+=("${file##*/}")
    fi
done
if [ -z "$folder" ] || [ "$found" -eq 0 ]; then
    echo 'skipped: no riscv-tests binaries (set RISCV_TESTS=folder)'
    exit 0
fi
[ ${#names[@]} -gt 0 ] || die "no binary in '$folder' matches ${only[*]}"
command -v -- "$tollgate" >/dev/null || die "'$tollgate' is not a program that can be run"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
touch "$work/ok" "$work/fail"

skipped=0 queue=()
for name in "${names[@]}"; do
    for i in ${skip_names[@]+"${!skip_names[@]}"}; do
        if matches "$name" "${skip_names[i]}"; then
            printf 'skip %s (%s)\n' "$name" "${skip_reasons[i]}"
            skipped=$((skipped + 1))
            continue 2
        fi
    done
    queue+=("$name")
done

if [ ${#queue[@]} -gt 0 ]; then
    export -f run_one
    # shellcheck disable=SC2016 # the inner bash expands it
    printf '%s\0' "${queue[@]}" |
        xargs -0 -n 1 -P "$jobs" bash -c 'run_one "$@"' bash \
            "$tollgate" "$folder" "$work" "$limit" "$@" || :
fi

passed=$(wc -l <"$work/ok")
failed=$(wc -l <"$work/fail")
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
# A test without a verdict (its runner was killed) is no pass.
[ "$failed" -eq 0 ] && [ "$passed" -eq ${#queue[@]} ]
