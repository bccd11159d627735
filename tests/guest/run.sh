#!/bin/bash
# run.sh: runs every in-tree guest in Tollgate and judges its exit status and its output.
# SPDX-License-Identifier: BSD-2-Clause
#
#   run.sh TOLLGATE BUILDDIR [tollgate argument…]
#
# The guests are BUILDDIR/guest/*.elf. Arguments after BUILDDIR go to each `tollgate run`, for example `--engine interp`.
# A guest that reports TAP lines passes with its status, no "not ok", and a plan that all its tests meet. Each guest
# says in its first comment what the monitor owes it. A guest that this script does not know is run as a TAP guest.
#
# Prints `ok NAME` or `FAIL NAME` a run, with the end of the output of those that failed, and `N passed, N failed` at the
# end. Status: 0 all passed; 1 one failed; 2 bad arguments.
set -eu
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

# A guest that hangs is ended after this many seconds: far more than any needs.
limit=120

die() {
    printf 'run.sh: %s\n' "$1" >&2
    exit 2
}

[ $# -ge 2 ] || die 'usage: run.sh TOLLGATE BUILDDIR [tollgate argument…]'
tollgate=$1
guests=$2/guest
shift 2
extra=("$@")
[ -x "$tollgate" ] || die "$tollgate cannot be run: build Tollgate first"
[ -e "$guests/hello.elf" ] || die "$guests has no guests: 'make guests' builds them"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
    grep -a '^not ok' "$work/out" | head -n 10 | sed 's/^/  /' || :
    tail -n 5 "$work/out" "$work/err" | tr -c '[:print:]\n' '?' | cut -c 1-160 | sed 's/^/  /'
}

# tollgate_run ARGUMENT…: one run; its output in $work/out and err, its status in $status.
tollgate_run() {
    status=0
    timeout --foreground -k 5 "$limit" "$tollgate" run ${extra[@]+"${extra[@]}"} "$@" \
        >"$work/raw" 2>"$work/err" || status=$?
    tr -d '\r' <"$work/raw" >"$work/out"
}

# tap_reason: why the TAP output is no pass; empty when it is one.
tap_reason() {
    awk '
        /^ok /      { good++ }
        /^not ok /  { bad++ }
        /^1\.\./    { plan = substr($0, 4) + 0; planned = 1 }
        END {
            if (bad)                printf "%d tests are not ok", bad
            else if (!planned)      printf "the output has no plan"
            else if (good != plan)  printf "%d of %d tests reported", good, plan
        }' "$work/out"
}

# tap_guest STATUS HARTS GUEST [tollgate argument…]: a guest that reports TAP lines.
tap_guest() {
    local want=$1 harts=$2 guest=$3 reason
    shift 3
    tollgate_run -m 128M -c "$harts" "$@" "$guests/$guest.elf" </dev/null
    reason=$(tap_reason)
    [ "$status" -eq "$want" ] || reason="status $status, not $want${reason:+; $reason}"
    verdict "$guest on $harts hart(s)${*:+ $*}" "$reason"
}

# output_reason STATUS LINE…: why the last run is no pass: its status, or a line that its output lacks.
output_reason() {
    local want=$1 line
    shift
    if [ "$status" -ne "$want" ]; then
        printf 'status %s, not %s' "$status" "$want"
        return
    fi
    for line in "$@"; do
        if ! grep -aqF -- "$line" "$work/out" "$work/err"; then
            printf 'no "%s" in the output' "$line"
            return
        fi
    done
}

# killed_guest GUEST LINE: one that never ends. When it has printed LINE it gets SIGTERM, and must end by that.
killed_guest() {
    local guest=$1 line=$2 text reason='' pid
    mkfifo "$work/pipe"
    # timeout passes the signal on, and ends by force what does not obey within 5 s.
    timeout --foreground -k 5 "$limit" "$tollgate" run ${extra[@]+"${extra[@]}"} -m 128M "$guests/$guest.elf" \
        </dev/null >"$work/pipe" 2>"$work/err" &
    pid=$!
    : >"$work/out"
    while IFS= read -r text; do
        printf '%s\n' "$text" >>"$work/out"
        case $text in *"$line"*) break ;; esac
    done <"$work/pipe"
    case ${text-} in *"$line"*) ;; *) reason="it did not print '$line'" ;; esac
    kill -TERM "$pid" 2>"$work/kill" || reason='it ended by itself'
    status=0
    wait "$pid" || status=$?
    rm -f "$work/pipe"
    [ -n "$reason" ] || reason=$(output_reason 143)
    verdict "$guest on 1 hart, ended by a signal" "$reason"
}

hello_test() {
    local harts
    for harts in 1 2 4; do
        tollgate_run -m 128M -c "$harts" "$guests/hello.elf" </dev/null
        verdict "hello on $harts hart(s)" "$(output_reason 0 'Hello from S-mode.')"
    done
}

# The shell that boots where no Linux kernel is at hand; its input ends by a command, or just ends.
shell_test() {
    tollgate_run -m 128M -c 2 -p 'quiet tg.shell' "$guests/kernel.elf" \
        < <(printf 'help\nharts\ntimes\b\ntrap\nbogus\npoweroff\nnever\n')
    verdict 'kernel as a shell' "$(output_reason 0 'poweroff: shut the machine down' 'hart 0: started' \
        'hart 1: stopped' 'since the machine began' 'illegal instruction: scause 2' 'bogus: no such command')"
    tollgate_run -m 128M -p tg.shell "$guests/kernel.elf" < <(printf 'time\n')
    verdict 'kernel as a shell, to the end of input' "$(output_reason 0 'since the machine began')"
}

# The probe must find each absent extension absent, and all others as they were.
without_test() {
    local module
    while read -r module; do
        case $module in
            sbi-base) ;; # without it nobody can ask what is there
            *) tap_guest 0 2 probe --without "$module" ;;
        esac
    done < <("$tollgate" run --list-modules | awk '/^(sbi|tg)-/ { print $1 }')
    for module in plic uart16550a finisher virtio-console; do
        tap_guest 0 2 kernel --without "$module"
    done
    tollgate_run -m 128M --without sbi-base "$guests/hello.elf" </dev/null
    verdict 'hello --without sbi-base' "$(output_reason 0 'Hello from S-mode.')"
}

# Lines of Tollgate's log.
log_line='^\[ *[0-9]+\.[0-9]{6}\] hart[0-9]+ (emerg|alert|crit|err|warning|notice|info|debug): '

# calls_of [tollgate argument…]: how many exits the services guest makes on one hart, calls and device accesses.
calls_of() {
    tollgate_run -m 128M --report "$work/report" "$@" "$guests/services.elf" </dev/null
    sed -nE 's/^ *"(call|mmio)": ([0-9]+),?$/\1 \2/p' "$work/report" | tr '\n' ' '
}

services_test() {
    local harts few many reason
    for harts in 1 2 4; do
        tap_guest 0 "$harts" services --device tg-entropy
        # What is no line of the log is one of TAP; a line that was mixed with another is neither.
        verdict "services on $harts hart(s): whole lines" \
            "$(grep -avE "$log_line(from an interrupt|one line of many, of a hart among others)\$|^(TAP|ok|#|1\.\.)|^\$" \
                "$work/out" | head -n 1)"
    done
    tap_guest 0 2 services --device tg-clock,source=call
    tap_guest 0 2 probe --device tg-entropy

    tollgate_run -m 128M "$guests/services.elf" </dev/null
    verdict 'services: no chance without leave' "$(output_reason 0 '# SKIP the policy refuses it')"

    # A hundred thousand looks at the time cost no exit; by the call, each costs one.
    few=$(calls_of -p tg.time)
    many=$(calls_of -p 'tg.time tg.many')
    reason=$(output_reason 0 'ok 1 - the time has a page')
    [ "$few" = "$many" ] || reason=${reason:-$few and with many looks $many}
    [ -n "$few" ] || reason='the report counts nothing'
    verdict 'services: time without a crossing' "$reason"
    many=$(calls_of -p 'tg.time tg.many' --device tg-clock,source=call)
    reason=
    few=${many#call }
    [ "${few%% *}" -gt 100000 ] || reason="$many"
    verdict 'services: time by a call' "$reason"

    # The console to a file, and the least urgent lines left out.
    rm -f "$work/log"
    tollgate_run -m 128M --device "tg-console,level=warning,file=$work/log" "$guests/services.elf" </dev/null
    reason=$(output_reason 0 '1..7')
    ! grep -aqE "$log_line" "$work/out" || reason=${reason:-log lines on standard output}
    grep -aqE "${log_line}from an interrupt" "$work/log" || reason=${reason:-no warning in the file}
    ! grep -aq ' info: ' "$work/log" || reason=${reason:-the level has no effect}
    grep -aqx '# one string' "$work/log" || reason=${reason:-no string in the file}
    verdict 'services: console to a file' "$reason"
    tollgate_run --device "tg-console,file=$work/no/such/file" "$guests/hello.elf" </dev/null
    verdict 'services: console to a file that cannot be' "$(output_reason 73 "cannot write '$work/no/such/file'")"

    # auipc a0, 0; addi a0, a0, 48; li a1, 0; li a6, 3; lui a7, 0x8544; addi a7, a7, 0x702; ecall prints the string;
    # li a0, 7; li a6, 0; addi a7, a7, -1; ecall; j . ends with the status 7.
    local one_call='\x17\x05\x00\x00\x13\x05\x05\x03\x93\x05\x00\x00\x13\x08\x30\x00\xb7\x48\x54\x08'
    one_call+='\x93\x88\x28\x70\x73\x00\x00\x00\x13\x05\x70\x00\x13\x08\x00\x00\x93\x88\xf8\xff'
    one_call+='\x73\x00\x00\x00\x6f\x00\x00\x00printed by one call\n\0'
    printf '%b' "$one_call" >"$work/onecall"
    tollgate_run -m 128M --raw "$work/onecall" </dev/null
    verdict 'one call prints, before anything is set up' "$(output_reason 7 'printed by one call')"
}

hostile_test() {
    local file guest harts
    for file in "$guests"/hostile-*.elf; do
        guest=${file##*/}
        guest=${guest%.elf}
        case $guest in
            hostile-novector)
                tollgate_run -m 128M "$guests/$guest.elf" </dev/null
                verdict "$guest" "$(output_reason 100 'the last words')"
                ;;
            hostile-traploop)
                tollgate_run -m 128M --max-steps 10000000 "$guests/$guest.elf" </dev/null
                verdict "$guest on 1 hart, with a step budget" "$(output_reason 103 'the loops')"
                killed_guest "$guest" 'the loops'
                tap_guest 0 2 "$guest"
                tap_guest 0 4 "$guest"
                ;;
            hostile-sleep)
                killed_guest "$guest" '1..0'
                tap_guest 0 2 "$guest"
                tap_guest 0 4 "$guest"
                ;;
            hostile-misaligned | hostile-mmio | hostile-pagetables | hostile-selfmod | hostile-wildjump)
                tap_guest 0 1 "$guest"
                ;;
            *)
                for harts in 1 2 4; do
                    tap_guest 0 "$harts" "$guest"
                done
                ;;
        esac
    done
}

# program_test STATUS NAME [argument…]: a bare program, judged by its status.
program_test() {
    local want=$1 name=$2
    shift 2
    tollgate_run --program "$guests/program-$name.elf" "$@" </dev/null
    verdict "program $name $*" "$(output_reason "$want")"
}

programs_test() {
    program_test 42 exit42
    program_test 1 args
    program_test 4 args one '' 'three words here'
    program_test 3 args --help -m
    program_test 0 compute
    program_test 101 badcall
    program_test 100 crash
}

hello_test
for harts in 1 2 4; do
    tap_guest 0 "$harts" kernel
    tap_guest 0 "$harts" probe
    tap_guest 0 "$harts" litmus
done
tap_guest 0 2 probe --device sbi-pmu,snapshot
tap_guest 42 1 devices
shell_test
services_test
without_test
hostile_test
programs_test

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
