#!/bin/bash
# arch-test.sh: runs ready-built architecture tests as firmware and compares their signatures.
# SPDX-License-Identifier: BSD-2-Clause
#
#   arch-test.sh TOLLGATE FOLDER [option…] [--] [tollgate argument…]
#
#   -j N            N tests at a time (default 1); verdicts then come in the order of the ends
#   --only PATTERN  names to run, a shell pattern; may be repeated (default '*')
#   --skip FILE     known failures: one 'PATTERN reason' a line, '#' starts a comment line
#   --timeout S     seconds before a test counts as hung (default 60)
#
# FOLDER holds for each test NAME.elf and NAME.reference_output, its signature as riscv-arch-test
# has it: a 32-bit word a line. NAME.elf runs as `TOLLGATE run --firmware NAME.elf --device
# htif,signature=FILE argument…` and passes when it ends through `tohost` with 1 and FILE is equal
# to the reference but for blank lines and the case of digits. Options end at `--` or at the first
# word that is none of them. After a failure stand the first words that differ.
#
# Status: 0 no test failed, or there are no binaries; 1 a test failed; 2 bad arguments.
set -eu
export LC_ALL=C

die() {
    printf 'arch-test.sh: %s\n' "$1" >&2
    exit 2
}

# words FILE: its signature in one form.
words() {
    tr 'A-F\r' 'a-f ' <"$1" | tr -d ' \t' | sed '/^$/d'
}

# run_one TOLLGATE FOLDER WORK LIMIT [argument…] NAME: runs a test, prints its verdict, adds its
# name to WORK/ok or WORK/fail. The status is always 0, since xargs gives up on some others.
run_one() {
    local tollgate=$1 folder=$2 work=$3 limit=$4 name=${!#} status=0 note='' start=$SECONDS
    local args=("${@:5:$#-5}") sig

    sig=$work/$name.signature
    : >"$sig"
    { timeout --foreground -k 5 "$limit" "$tollgate" run --firmware "$folder/$name.elf" \
        --device "htif,signature=$sig" ${args[@]+"${args[@]}"} </dev/null; } \
        >"$work/$name.log" 2>&1 || status=$?
    words "$sig" >"$work/$name.ours"
    words "$folder/$name.reference_output" >"$work/$name.reference"

    if [ "$status" -eq 0 ] && [ -s "$work/$name.ours" ] &&
        cmp -s "$work/$name.ours" "$work/$name.reference"; then
        printf 'ok %s\n' "$name"
        printf '%s\n' "$name" >>"$work/ok"
    else
        # 124 may be a test's number too, so the clock decides.
        if [ $((SECONDS - start)) -ge "$limit" ]; then
            note=", stopped after $limit s"
        elif [ "$status" -eq 0 ]; then
            note=", signature differs"
        fi
        printf 'FAIL %s (status %s%s)\n' "$name" "$status" "$note"
        { tail -n 3 "$work/$name.log" | tr -c '[:print:]\n' '?'
            # Side by side: line number, ours, the reference's.
            paste "$work/$name.ours" "$work/$name.reference" |
                awk -F '\t' '$1 != $2 && n++ < 5 { printf "word %d: %s, not %s\n", NR, $1, $2 }'
        } | sed "s/^/  $name: /"
        printf '%s\n' "$name" >>"$work/fail"
    fi
    rm -f "$work/$name".*
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

[ $# -ge 1 ] || die 'usage: arch-test.sh TOLLGATE FOLDER [-j N] [--only PATTERN] [--skip FILE]
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
[ ${#only[@]} -gt 0 ] || only=('*')

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
for file in "$folder"/*.elf; do
    name=${file##*/}
    name=${name%.elf}
    if [ ! -f "$file" ] || [ ! -f "$folder/$name.reference_output" ]; then
        continue
    fi
    found=1
    if matches "$name" "${only[@]}"; then
        names+=("$name")
    fi
done
if [ -z "$folder" ] || [ "$found" -eq 0 ]; then
    echo 'skipped: no architecture test binaries (set ARCH_TEST=folder)'
    exit 0
fi
[ ${#names[@]} -gt 0 ] || die "no test in '$folder' matches ${only[*]}"
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
    export -f run_one words
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
