#!/bin/bash
# runner.sh: what the runners of ready-built test suites share; each sources it as its last line.
# SPDX-License-Identifier: BSD-2-Clause
#
#   NAME.sh TOLLGATE FOLDER [option…] [--] [tollgate argument…]
#
#   -j N            N tests at a time (default 1); verdicts then come in the order of the ends
#   --only PATTERN  names to run, a shell pattern; may be repeated
#   --skip FILE     known failures: one 'PATTERN reason' a line, '#' starts a comment line
#   --timeout S     seconds before a test counts as hung (default 60)
#
# Options end at `--` or at the first word that is none of them; what follows goes to Tollgate. A failed
# test's last lines of output follow its verdict. The last line is `N passed, N failed, N skipped`.
# Status: 0 no test failed, or there are no binaries; 1 a test failed; 2 bad arguments.
#
# The suite's own file says before:
#   default_only    what runs without --only
#   when_missing    what stands after `skipped:` when the folder has no test
#   list_names FOLDER                                                      prints the tests' names
#   run_guest TOLLGATE FOLDER WORK LIMIT NAME [tollgate argument…]         runs one; 0: it passed
#   exported        functions that run_guest needs, an array; may be empty
# shellcheck disable=SC2154 # those are set by who sources this
set -eu
export LC_ALL=C

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# run_one TOLLGATE FOLDER WORK LIMIT [argument…] NAME: runs a test, prints its verdict, adds its
# name to WORK/ok or WORK/fail. The status is always 0, since xargs gives up on some others.
run_one() {
    local tollgate=$1 folder=$2 work=$3 limit=$4 name=${!#} status=0 note='' start=$SECONDS
    local args=("${@:5:$#-5}")

    run_guest "$tollgate" "$folder" "$work" "$limit" "$name" ${args[@]+"${args[@]}"} \
        >"$work/$name.log" 2>&1 || status=$?

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

[ $# -ge 1 ] || die "usage: ${0##*/} TOLLGATE FOLDER [-j N] [--only PATTERN] [--skip FILE]
    [--timeout S] [--] [tollgate argument…]"
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
[ ${#only[@]} -gt 0 ] || only=("$default_only")

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
while IFS= read -r name; do
    found=1
    if matches "$name" "${only[@]}"; then
        names+=("$name")
    fi
done < <([ -z "$folder" ] || list_names "$folder")
if [ "$found" -eq 0 ]; then
    echo "skipped: $when_missing"
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
    export -f run_one run_guest ${exported[@]+"${exported[@]}"}
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
