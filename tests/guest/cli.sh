#!/bin/bash
# cli.sh: the command as its users meet it: wrong input, exit statuses, reports, signals, terminal.
# SPDX-License-Identifier: BSD-2-Clause
#
#   cli.sh [TOLLGATE]   (default build/tollgate)
#
# Makes its own tiny guests, so it needs no compiler for RISC-V. Prints a line a check and `N passed, N failed`.
# Status: 0 when all passed, 1 otherwise, 2 when there is no binary.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

tollgate=$(realpath -- "${1:-build/tollgate}")
if [ ! -x "$tollgate" ]; then
    echo "cli.sh: '${1:-build/tollgate}' is not a program that can be run" >&2
    exit 2
fi
limit=60 # seconds; a check that takes longer hangs
work=$(mktemp -d)
chmod 755 "$work"
# Once more when the whole shell ends; children that still run are our own jobs.
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
mkdir "$work/run"
cd "$work/run" || exit 2

verdict_shows() {
    sed 's/^/    stderr: /' "$work/err" | tail -n 5
}

# run ARGUMENT…: runs Tollgate without input; leaves $status, $work/out and $work/err.
run() {
    status=0
    timeout --foreground -k 5 "$limit" "$tollgate" "$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
}

# refused NAME STATUS WORDS ARGUMENT…: one line on stderr with the words in it, nothing on stdout, no file made.
refused() {
    local name=$1 want=$2 words=$3 problem='' before
    shift 3
    before=$(ls -la --time-style=+ .)
    run "$@"
    if [ "$status" -ne "$want" ]; then
        problem="status $status, not $want"
    elif [ -s "$work/out" ]; then
        problem='it wrote to standard output'
    elif [ "$(wc -l <"$work/err")" -ne 1 ] || [[ $(<"$work/err") != 'tollgate: '* ]]; then
        problem='not one line of tollgate on standard error'
    elif ! grep -qF -e "$words" "$work/err"; then
        problem="the line lacks \"$words\""
    elif [ "$(ls -la --time-style=+ .)" != "$before" ]; then
        problem='it left a file behind'
    fi
    verdict "$name" "$problem"
}

# ends NAME STATUS LINE ARGUMENT…: the run ends with STATUS, and stderr is one line with LINE in it (or empty).
ends() {
    local name=$1 want=$2 line=$3 problem=''
    shift 3
    run "$@"
    if [ "$status" -ne "$want" ]; then
        problem="status $status, not $want"
    elif [ -z "$line" ] && [ -s "$work/err" ]; then
        problem='it wrote to standard error'
    elif [ -n "$line" ] && { [ "$(wc -l <"$work/err")" -ne 1 ] || ! grep -qF -e "$line" "$work/err"; }; then
        problem="standard error is not one line with \"$line\""
    fi
    verdict "$name" "$problem"
}

# holds NAME FILE WORDS: the file has the words in it.
holds() {
    verdict "$1" "$(grep -qF -e "$3" "$2" || echo "'$2' lacks \"$3\"")"
}

# --- Guests, byte by byte ---

# hex DIGITS…: the bytes.
hex() {
    local all
    all=$(printf '%s' "$@")
    # shellcheck disable=SC2001 # groups of two
    printf '%b' "$(sed 's/../\\x&/g' <<<"$all")"
}

# le64 NUMBER: eight bytes in hex, little-endian.
le64() {
    local i
    for ((i = 0; i < 8; i++)); do
        printf '%02x' $((($1 >> (8 * i)) & 255))
    done
}

# elf FILE CODE [CLASS MACHINE MEMORY]: a static ELF at 0x80200000 with one segment; CODE in hex follows the headers.
elf() {
    local code=$2 class=${3:-02} machine=${4:-f300} size=$((120 + ${#2} / 2)) base=$((0x80200000))
    {
        hex 7f454c46 "$class" 0101000000000000000000 0200 "$machine" 01000000 "$(le64 $((base + 120)))" \
            "$(le64 64)" "$(le64 0)" 00000000 4000 3800 0100 4000 0000 0000
        hex 01000000 05000000 "$(le64 0)" "$(le64 $base)" "$(le64 $base)" "$(le64 $size)" \
            "$(le64 "${5:-$size}")" "$(le64 4096)"
        hex "$code"
    } >"$1"
}

exit_a0=9308d00573000000 # li a7, 93; ecall
elf exit42 "1305a002$exit_a0" # li a0, 42
elf exit257 "13051010$exit_a0"
# lui t0, 0x100; lui t1, 0x1003; addi t1, t1, 0x333; sw t1, (t0): the test finisher fails with 256
elf fail256 b7021000373300011303333323a062006f000000
elf exit0 "13050000$exit_a0"
elf forever 6f000000
elf illegal 00000000
elf badcall 9308d00473000000 # li a7, 77; ecall
elf x86 90909090 02 3e00
elf elf32 90909090 01
elf huge 6f000000 02 f300 $((1 << 40))
head -c 50 exit42 >cut-header
head -c 100 exit42 >cut-segments
head -c 124 exit42 >cut-code
hex 6f000000 >raw # j .
: >empty
echo 'not a kernel' >text
printf '\037\213\010\000garbage' >bad-gzip
truncate -s 40M large
truncate -s 1M initrd
mkdir folder
cp exit42 locked
chmod 000 locked

# --- The command line ---

refused 'no command' 64 'tollgate run KERNEL'
refused 'unknown command' 64 "unknown command 'start'" start
refused 'command with a slip' 64 'did you mean run?' rnu
refused 'no kernel' 64 'no KERNEL given; for example' run
refused 'unknown option with a suggestion' 64 'did you mean --initrd?' run --initd initrd forever
refused 'unknown option without one' 64 "unknown option '--quux'" run --quux forever
refused 'unknown letter' 64 "unknown option '-z'" run -z forever
refused 'argument missing' 64 '--mem: its argument is missing' run forever -m
refused 'argument to a flag' 64 '--raw: takes no argument' run --raw=1 forever
refused 'size of letters' 64 "--mem: 'lots' is not a size; give for example 512M or 2G" run -m lots forever
refused 'size with junk behind' 64 "--mem: '512Mx'" run -m 512Mx forever
refused 'negative size' 64 "--mem: '-1'" run -m -1 forever
refused 'size beyond 64 bits' 64 "--mem: '99999999999999999999'" run -m 99999999999999999999 forever
refused 'size too small' 64 'from 16M to 64G' run -m 1M forever
refused 'absurd size' 64 'from 16M to 64G' run -m 1000T forever
refused 'no harts' 64 '--cpus' run -c 0 forever
refused 'too many harts' 64 'give 1 to 64' run -c 65 forever
refused 'harts of letters' 64 "--cpus: 'two'" run --cpus two forever
refused 'no steps' 64 "--max-steps: '0'" run --max-steps 0 forever
refused 'unknown engine' 64 'auto|kvm|dbt|interp' run --engine qemu forever
refused 'unknown console' 64 'virtio|serial|sbi|none' run --console vga forever
refused 'a newline in a word stays one line' 64 'is not a size' run -m $'1\n2\033[2J' forever
refused 'two kernels' 78 "'raw' is a second kernel after 'forever'" run forever raw
refused 'kernel and program' 78 '--program contradicts KERNEL' run forever --program exit42
refused 'kernel and firmware on one place' 65 'lies on the firmware' run forever --firmware forever
refused 'OpenSBI with nothing to start' 64 '--firmware opensbi: no KERNEL given' run --firmware opensbi
refused 'program with an initial RAM disk' 78 '--initrd contradicts --program' run -i initrd --program exit42

for engine in kvm dbt; do
    if "$tollgate" run --engine "$engine" --program exit42 2>&1 </dev/null | grep -q 'not part of this build'; then
        refused "engine that is not built in: $engine" 69 "--engine: '$engine' is not part of this build; available: auto" \
            run --engine "$engine" forever
    fi
done

# --- The option file ---

printf '{"program": "exit42",\n "mem": "64M"}\n' >good.json
printf '{"kernel": "forever",\n "mem": "lots"}\n' >size.json
printf '{"kernel": "forever",\n\n "memory": 1}\n' >key.json
printf '{"kernel": "forever",\n' >cut.json
printf '{"kernel": "forever",\n "device": "nosuch"}\n' >device.json
printf '{"kernel": "nofile"}\n' >nofile.json
printf '{"program": "illegal", "raw": false, "max-steps": 3}\n' >other.json
ends 'option file' 42 '' run --config good.json
ends 'option file, and a program that wins' 42 '' run --config other.json --program exit42
refused 'option file: bad value' 65 "--config: 'size.json', line 2: \"mem\": 'lots' is not a size" run --config size.json
refused 'option file: unknown key' 65 "line 3: unknown key \"memory\"; did you mean \"mem\"?" run --config key.json
refused 'option file: cut' 65 "'cut.json', line 2:" run --config cut.json
refused 'option file: unknown device' 78 "'device.json', line 2: \"device\": there is no module 'nosuch'" run --config device.json
refused 'option file: kernel that is missing' 66 "'nofile.json', line 1: \"kernel\": cannot open 'nofile'" run --config nofile.json
refused 'option file that is missing' 66 '--config' run --config missing.json
refused 'option file that is a folder' 66 '--config' run --config folder
refused 'option file that is an ELF file' 65 "--config: 'exit42', line 1:" run --config exit42
ends 'option file: size from the command line' 42 '' run --config size.json -m 64M --program exit42

# --- Modules and calls by name ---

refused 'unknown device' 78 'nosuch' run --device nosuch forever
refused 'unknown key of a device' 78 'nosuch' run --device virtio-console,nosuch=1 forever
refused 'device without a name' 64 '--device' run --device ,slot=1 forever
refused 'device with an empty key' 64 '--device' run --device virtio-console,=1 forever
refused 'a device twice that can be there once' 78 '--device' run --device plic --device plic forever
refused 'unknown module to leave out' 78 '--without' run --without nosuch forever
refused 'unknown call to deny' 78 '--deny' run --deny sbi.nosuch forever

# --- Files ---

refused 'missing kernel' 66 "'nosuch'" run nosuch
refused 'kernel is a folder' 66 "'folder' is a directory" run folder
refused 'kernel below a file' 66 "'text/kernel'" run text/kernel
refused 'kernel is a device' 66 "'/dev/zero' is a device" run /dev/zero
refused 'empty kernel' 65 "'empty' is empty" run empty
refused 'text as kernel' 65 "'text'" run text
refused 'damaged gzip' 65 "'bad-gzip'" run bad-gzip
refused 'ELF cut in its header' 65 "'cut-header'" run cut-header
refused 'ELF cut in its table of segments' 65 "'cut-segments'" run cut-segments
refused 'ELF cut in its code' 65 "'cut-code'" run cut-code
refused 'ELF of x86' 65 "'x86'" run --arch riscv64 x86
refused 'ELF of 32 bits' 65 "'elf32'" run elf32
refused 'ELF that wants a terabyte' 65 "'huge'" run huge
refused 'raw kernel larger than memory' 65 "'large'" run --raw -m 16M large
refused 'missing program' 66 "--program: cannot open 'nosuch'" run --program nosuch
refused 'program that is no ELF' 65 "'text'" run --program text
refused 'missing firmware' 66 "--firmware: cannot open 'nosuch'" run --firmware nosuch
refused 'missing initrd' 66 "--initrd: cannot open 'nosuch'" run -i nosuch forever
refused 'empty initrd' 65 "'empty' is empty" run -i empty forever
refused 'initrd that does not fit' 65 "--initrd: 'large'" run -m 32M -i large forever
refused 'missing device tree' 66 "--dtb: cannot open 'nosuch'" run --dtb nosuch forever
refused 'device tree that is none' 65 "'text'" run --dtb text forever
refused 'report into a missing folder' 73 "--report: cannot write 'none/r.json'" run --report none/r.json --program exit42
refused 'report onto a folder' 73 "'folder'" run --report folder --program exit42
refused 'device tree into a missing folder' 73 "'none/x.dtb'" run --dump-dtb none/x.dtb forever
refused 'no report of what never ran' 66 "'nosuch'" run --report r.json nosuch
refused 'no device tree of what never ran' 66 "'nosuch'" run --dump-dtb x.dtb nosuch

# root reads what nobody may read, so another user has to try.
as_other=()
if [ "$(id -u)" -eq 0 ]; then
    as_other=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fi
if [ "$(id -u)" -ne 0 ] || "${as_other[@]}" "$tollgate" --version >"$work/out" 2>&1; then
    status=0
    ${as_other[@]+"${as_other[@]}"} "$tollgate" run locked </dev/null >"$work/out" 2>"$work/err" || status=$?
    problem=''
    [ "$status" -eq 66 ] && grep -q "cannot open 'locked': Permission denied" "$work/err" ||
        problem="status $status, not 66 with the reason"
    verdict 'unreadable kernel' "$problem"
else
    echo 'skip unreadable kernel (no other user to try it)'
fi

# --- How guests end ---

ends "a program's own status" 42 '' run --program exit42
ends 'status 0' 0 '' run --program exit0
ends "a program's status has eight bits" 1 '' run --program exit257
ends 'a wider status is not cut to success' 1 '' run fail256
ends 'illegal instruction' 100 'tollgate: guest fault: hart 0, pc 0x80200078' run --program illegal
ends 'a call that nobody answers' 101 'hart 0, pc 0x8020007c' run --program badcall
ends 'step budget' 103 'step budget' run --max-steps 1000 --program forever
ends 'arguments of a program are not ours' 42 '' run --program exit42 --nosuch -m lots
ends 'standard input is closed' 42 '' run --program exit42 <&-

# The map of translated code, where there is a translator.
refused 'the interpreter has no code to map' 69 'it does not support --code-map' \
    run --engine interp --code-map m --program exit42
if ! "$tollgate" run --engine dbt --program exit42 2>&1 </dev/null | grep -q 'not part of this build'; then
    refused 'a map that cannot be written' 73 "--code-map: cannot write 'nowhere/m'" \
        run --engine dbt --code-map nowhere/m --program exit42
    ends 'a map of what is translated' 103 'step budget' run --engine dbt --code-map m --max-steps 1000 --program forever
    holds 'the map has the stubs' m ' stub-enter 0'
    holds 'the map has the loop' m ' jal_near 80200078'
    rm -f m
fi

run run --report r.json --max-steps 1000 --program forever
holds 'report of a budget: cause' r.json '"cause": "budget"'
holds 'report of a budget: steps' r.json '"steps": 1000,'
run run --report r.json fail256
holds 'the report has the full code' r.json 'failure code 256'
run run --report - --program exit42
holds 'report on standard output' "$work/out" '"cause": "exit"'
if command -v python3 >/dev/null; then
    verdict 'report is JSON' "$(python3 -m json.tool "$work/out" 2>&1 >/dev/null)"
fi
ends 'report onto a full disk' 73 "--report: cannot write '/dev/full'" run --report /dev/full --program exit42
run run -v --program exit42
holds 'verbose says the engine' "$work/err" 'tollgate: engine '
holds 'verbose says the end' "$work/err" 'tollgate: cause exit, status 42'

run run --dump-dtb x.dtb forever
verdict 'device tree is written, nothing runs' "$([ "$status" -eq 0 ] && [ ! -s "$work/err" ] &&
    [ "$(head -c 4 x.dtb | od -An -tx1)" = ' d0 0d fe ed' ] || echo "status $status, or not a device tree")"
run run --dump-dtb - forever
# Seeds in it differ from run to run, so only the sizes can be compared.
verdict 'device tree on standard output' "$([ -s x.dtb ] &&
    [ "$(wc -c <x.dtb)" -eq "$(wc -c <"$work/out")" ] || echo 'sizes differ')"
run run --dump-dtb /dev/full forever
verdict 'device tree onto a full disk' "$([ "$status" -eq 73 ] || echo "status $status, not 73")"
run run --dtb x.dtb --dump-dtb - forever
verdict 'a dumped device tree is taken again' "$([ "$status" -eq 0 ] && [ -s "$work/out" ] || echo "status $status")"

# signalled NAME SIGNAL STATUS: the guest runs when -v has said where its image lies.
signalled() {
    local line pid problem='' got=0
    rm -f r.json
    mkfifo "$work/fifo"
    timeout -k 5 "$limit" "$tollgate" run -v --report r.json --program forever </dev/null 2>"$work/fifo" &
    pid=$!
    : >"$work/err"
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$work/err"
        case $line in *': modules:'*) kill -s "$2" "$pid" ;; esac
    done <"$work/fifo"
    wait "$pid" || got=$?
    rm "$work/fifo"
    # timeout passes the signal and the status on.
    if [ "$got" -ne "$3" ]; then
        problem="status $got, not $3"
    elif ! grep -q '"cause": "killed"' r.json; then
        problem='the report does not say killed'
    fi
    verdict "$1" "$problem"
}

signalled 'SIGTERM ends the guest in order' TERM 143
signalled 'SIGHUP ends the guest in order' HUP 129

# --- The terminal ---

# terminal NAME KEYS WORDS: types KEYS when Tollgate has said how to leave; then the terminal must be as it was.
terminal() {
    local line text='' problem='' leave=0
    coproc TTY { timeout -k 5 "$limit" script -qec \
        "'$tollgate' run --raw -m 32M raw; echo status=\$?; stty -a" /dev/null 2>/dev/null; }
    # shellcheck disable=SC2153 # coproc sets it
    local pid=$TTY_PID in=${TTY[1]} out
    exec {out}<&"${TTY[0]}"
    while IFS= read -r line <&"$out"; do
        text+=$line$'\n'
        if [ "$leave" -eq 0 ] && [[ $line == *'Ctrl-A x quits, Ctrl-A h helps'* ]]; then
            leave=1
            printf '%b' "$2" >&"$in"
        fi
    done
    exec {out}<&-
    wait "$pid"
    printf '%s' "$text" >"$work/err"
    if [ "$leave" -eq 0 ]; then
        problem='no word on how to leave'
    elif ! grep -q "$3" "$work/err"; then
        problem="the terminal did not show \"$3\""
    elif grep -qE -- '-(icanon|isig|echo|icrnl|opost) ' "$work/err"; then
        problem='the terminal is not restored'
    elif ! grep -q 'status=' "$work/err"; then
        problem='it did not end'
    fi
    verdict "$1" "$problem"
}

if command -v script >/dev/null; then
    terminal 'Ctrl-A x quits' '\001x' 'status='
    terminal 'Ctrl-A h helps' '\001h\001x' 'Ctrl-A Ctrl-A'
else
    echo 'skip the terminal (no script program)'
fi

# --- What is made from the option table ---

ends 'version' 0 '' --version
holds 'version names itself' "$work/out" 'tollgate '
ends 'help' 0 '' --help
holds 'help lists the exit statuses' "$work/out" 'Exit status:'
ends 'help of run' 0 '' run --help
cp "$work/out" "$work/help"
ends 'man page' 0 '' help --man
cp "$work/out" "$work/man"
ends 'completion' 0 '' help --bash-completion
cp "$work/out" "$work/completion"
ends 'reference' 0 '' help --markdown
ends 'list of modules' 0 '' run --list-modules
holds 'list of modules has the interrupt controller' "$work/out" 'plic'
if command -v groff >/dev/null; then
    verdict 'man page is good roff' "$(groff -man -Tutf8 -ww -z "$work/man" 2>&1)"
fi

status=0
"$tollgate" --version >/dev/full 2>"$work/err" || status=$?
verdict 'version onto a full disk' "$([ "$status" -eq 73 ] || echo "status $status, not 73")"
status=0
"$tollgate" --version >&- 2>"$work/err" || status=$?
verdict 'version with standard output closed' "$([ "$status" -eq 73 ] || echo "status $status, not 73")"

# completed WORD…: what completion offers for the last word.
completed() (
    # shellcheck disable=SC1091 # made above
    . "$work/completion"
    COMP_WORDS=(tollgate "$@")
    COMP_CWORD=$#
    _tollgate
    echo "${COMPREPLY[*]}"
)

# offers NAME WANT WORD…
offers() {
    local name=$1 want=$2 have
    shift 2
    have=$(completed "$@" 2>&1)
    verdict "$name" "$([ "$have" = "$want" ] || echo "it offers '$have'")"
}

offers 'completion of the command' run r
offers 'completion of an option' --max-steps run --max
offers 'completion of an engine' 'kvm' run --engine k
offers 'completion behind =' 'serial sbi' run --console = s
offers 'completion of a module' plic run --without pl
offers 'completion of a file is left to bash' '' run -k ''
offers 'completion of what belongs to a program' '' run --program x --m
while read -r option; do
    grep -q -e "$option" "$work/completion" || verdict "completion of $option" 'missing'
done < <(grep -o -e '--[a-z-]*' "$work/help" | sort -u)

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
