#!/bin/bash
# abi.sh: the table of calls as its users meet it: the command, the lock, what is generated, modules in files.
# SPDX-License-Identifier: BSD-2-Clause
#
#   abi.sh [TOLLGATE [BUILD]]   (default build/tollgate build)
#
# Prints a line a check and `N passed, N failed, N skipped`. Status: 0 when all passed, 1 otherwise.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$(realpath -- "${1:-build/tollgate}")
build=$(realpath -- "${2:-build}")
table=hypercalls/abi.tbl lock=hypercalls/abi.lock
riscv=${GUEST_CC:-riscv64-unknown-elf-gcc}
limit=60
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	tail -n 5 "$work/err" | sed 's/^/    /'
}

# does NAME STATUS WORDS ARGUMENT...: Tollgate ends with the status and says the words, on either output.
does() {
	local name=$1 want=$2 words=$3 status=0 problem=
	shift 3
	timeout --foreground -k 5 "$limit" "$tollgate" "$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
	if [ "$status" -ne "$want" ]; then
		problem="status $status, not $want"
	elif [ -n "$words" ] && ! cat "$work/out" "$work/err" | grep -qF -e "$words"; then
		problem="it does not say \"$words\""
	elif [ "$want" -ge 64 ] && [ "$want" -lt 100 ] && [ "$(wc -l <"$work/err")" -ne 1 ]; then
		problem='not one line on standard error'
	fi
	verdict "$name" "$problem"
}

# --- the lock: what changes needs a version, and is shown ---

does 'the table keeps what was released, or its version says so' 0 'call ' abi diff "$lock" "$table"
sed 's/^/    /' "$work/out"

# changed NAME STATUS WORDS SED: the released table with a change, compared with itself.
changed() {
	sed -E "$4" "$lock" >"$work/changed.tbl"
	cmp -s "$lock" "$work/changed.tbl" && verdict "$1" 'the change changed nothing'
	does "$1" "$2" "$3" abi diff "$lock" "$work/changed.tbl"
}
minor=$(sed -n 's/^abi \([0-9]*\)\.\([0-9]*\)$/\1 \2/p' "$lock")
read -r major minor <<<"$minor"
step="s/^abi .*/abi $major.$((minor + 1))/"
leap="s/^abi .*/abi $((major + 1)).0/"
cost='/ sbi\.srst\.system_reset /s/[0-9]+$/7/'
number='/ sbi\.srst\.system_reset /s/^sbi 0x53525354/sbi 0x53525355/'
away='/ sbi\.srst\.system_reset /,/^[^ ]/{/ sbi\.srst/d;/^ /d}'
changed 'a cost that changed, without a step' 78 "'abi $major.$((minor + 1))'" "$cost"
changed 'and with one' 0 '500 -> 7' "$cost;$step"
changed 'a number that changed, with a small step' 78 "'abi $((major + 1)).0'" "$number;$step"
changed 'and with a large one' 0 '0x53525354 0 -> sbi 0x53525355' "$number;$leap"
changed 'a call that vanished, with a small step' 78 "'abi $((major + 1)).0'" "$away;$step"
changed 'and with a large one' 0 'vanished' "$away;$leap"
changed 'other words alone' 0 'other words' 's/^    Ends the machine, with status 0\./    Ends it./'

# --- the command ---

does 'list' 0 'sbi.dbcn.write' abi list
verdict 'list: every row' "$([ "$(wc -l <"$work/out")" -eq "$(grep -cE '^(sbi|tg|program) ' "$table")" ] || echo 'another number')"
does 'list: a group' 0 'sbi.time.set_timer' abi list sbi.time
does 'show' 0 'a7 = 0x4442434e, a6 = 1' abi show sbi.dbcn.read
does 'show: a legacy call' 0 'a7 = 0x08' abi show sbi.legacy.shutdown
does 'show: another table' 0 'since 0.1' abi show program.exit --table "$lock"
does 'no subcommand' 64 'give list, show, diff or generate' abi
does 'a wrong one' 64 "'lists'" abi lists
does 'show: nothing' 64 'too few words' abi show
does 'show: no such call' 64 "no call 'sbi.dbc'" abi show sbi.dbc
does 'show: too much' 64 "'b' is too much" abi show a b
does 'an unknown option' 64 "'--tables'" abi list --tables x
does 'a table that is not there' 66 'nowhere' abi list --table "$work/nowhere"
does 'a folder for a table' 66 'cannot read' abi list --table "$work"
printf 'abi 1.0\ntg 1\n' >"$work/bad.tbl"
does 'a bad table' 65 'bad.tbl:2: ' abi list --table "$work/bad.tbl"
does 'diff with a bad table' 65 'bad.tbl:2: ' abi diff "$lock" "$work/bad.tbl"
does 'diff with the option' 64 'no place' abi diff "$lock" --table "$lock"
does 'generate: an unknown kind' 64 'give header, stubs' abi generate headers
does 'generate calls: no group' 64 'no group' abi generate calls
does 'generate calls: a wrong group' 64 "'sbi.dbcnx'" abi generate calls sbi.dbcnx
does "generate calls: the core's" 64 "'tg.exit'" abi generate calls tg.exit
does 'generate header: a group' 64 'calls only' abi generate header sbi.dbcn
does 'help' 0 'generate KIND' help abi
status=0
"$tollgate" abi list >/dev/full 2>"$work/err" || status=$?
verdict 'a full disk' "$([ $status -eq 73 ] || echo "status $status")"

# --- what is generated compiles, and the build's is what the command makes ---

for kind in header stubs; do
	file=$([ $kind = header ] && echo calls || echo stubs)
	"$tollgate" abi generate $kind --table "$table" 2>"$work/err" >"$work/made"
	verdict "generate $kind: as the build has it" "$(cmp "$work/made" "$build/gen/guest/abi/$file.h" 2>&1)"
done
"$tollgate" abi generate policy >"$work/policy.json"
verdict 'the policy template is JSON' "$(python3 -m json.tool "$work/policy.json" 2>&1 >/dev/null | tail -n 1)"
does 'the policy template is a policy' 0 '' policy check "$work/policy.json"

flags=(-std=gnu11 -O2 -Wall -Wextra -Wpedantic -Werror -ffreestanding -march=rv64imac -mabi=lp64 -mcmodel=medany
	-I "$build/gen" -I .)
if command -v "$riscv" >/dev/null; then
	cat >"$work/stubs.c" <<-'END'
		#include "guest/abi/stubs.h"
		#ifndef TG_HAVE_SBI_DBCN_WRITE
		#error no support for sbi.dbcn.write
		#endif
		#ifdef TG_HAVE_SBI_DBCN_NEVER
		#error support for what there is not
		#endif
		#if TG_ABI_VERSION < 0x1
		#error no version
		#endif
		int main(void);
		int main(void)
		{
		    struct tg_ret ret = tg_sbi_dbcn_write(1, 2, 0);
		    return tg_errno(-4095) + tg_errno(-4096) + tg_errno(5) + tg_errno(tg_program_exit(3)) + (int)ret.error;
		}
	END
	verdict 'the stubs compile' "$("$riscv" "${flags[@]}" -c -o "$work/stubs.o" "$work/stubs.c" 2>&1 | head -n 3)"
	# shellcheck disable=SC2016 # text of the assembler
	printf '#include "guest/abi/calls.h"\n li a7, SBI_EXT_DBCN\n li a6, SBI_DBCN_WRITE\n ecall\n li a7, TG_PROGRAM_EXIT\n' \
		>"$work/numbers.S"
	verdict 'the numbers assemble' "$("$riscv" "${flags[@]}" -c -o "$work/numbers.o" "$work/numbers.S" 2>&1 | head -n 3)"
else
	skipped=$((skipped + 1))
	echo "skipped: guests: no $riscv here"
fi

# --- modules in files ---

cat >"$work/odd.tbl" <<'END'
abi 1.0
tg 0x08544780 0 tg.odd.one 1.0 a:word b:word FAILED - 150
    One more than its argument.
tg 0x08544780 1 tg.odd.wrong 1.0 - - FAILED - 0
    A call that breaks its contract.
END
"$tollgate" abi generate calls tg.odd --table "$work/odd.tbl" >"$work/odd_handlers.h"
"$tollgate" abi generate header --table "$work/odd.tbl" >"$work/odd_calls.h"
"$tollgate" abi generate stubs --table "$work/odd.tbl" >"$work/odd_stubs.h"
cat >"$work/odd.c" <<'END'
#include "odd_handlers.h"
#include "vmm/module_file.h"
#ifndef ADD
#define ADD 1
#endif
#ifndef NAME
#define NAME "tg-odd"
#endif
static enum call_disp tg_odd_one(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    c->value = c->arg[0] + ADD;
    return CALL_RET2;
}
static enum call_disp tg_odd_wrong(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    c->error = -5;
    return CALL_RET2;
}
#ifdef STATE
static int create(struct module_instance *inst, struct error *err)
{
    (void)err;
    inst->self = inst;
    return 0;
}
#endif
#ifndef STARTS
#define STARTS MODULE_KERNEL
#endif
static const struct module module_odd = {
    .name = NAME,
    .starts = STARTS,
    .calls = tg_odd_calls,
    .ncalls = 2,
#ifdef STATE
    .create = create,
#endif
};
#ifdef BAD_FILE
extern const struct module_file tollgate_module;
const struct module_file tollgate_module = {.version = VERSION, .size = SIZES, .module = &module_odd};
#elif defined(NO_FILE)
const struct module *nothing = &module_odd;
extern const struct module *nothing;
#else
MODULE_FILE(module_odd);
#endif
END
# so NAME [-D...]: builds a module.
so() {
	local name=$1
	shift
	cc -std=gnu11 -shared -fPIC -I . -I "$build/gen" -I "$work" "$@" -o "$work/$name.so" "$work/odd.c" 2>"$work/err" ||
		verdict "building $name.so" 'it does not compile'
}
so odd
so plus5 -DADD=5
so other -DADD=9 '-DNAME="tg-other"'
so uart '-DNAME="uart16550a"' -DADD=7
so state -DSTATE
so program -DSTARTS=MODULE_PROGRAM
so version -DBAD_FILE -DVERSION=99 -DSIZES=MODULE_FILE_LAYOUT
so sizes -DBAD_FILE -DVERSION=MODULE_FILE_VERSION '-DSIZES={1}'
so nothing -DNO_FILE
sed -i 's/odd.one 1.0 a:word b:word FAILED - 150/odd.one 1.0 a:word b:word FAILED reads-host 150/' "$work/odd.tbl"
"$tollgate" abi generate calls tg.odd --table "$work/odd.tbl" >"$work/odd_handlers.h"
so reads
echo 'no ELF' >"$work/text.so"

# load NAME STATUS WORDS MODULE... -- ARGUMENT...: a run of the guest with these files.
hello=$build/guest/hello.elf
load() {
	does "$1" "$2" "$3" run -m 128M "${@:4}"
}
static=$("$tollgate" run --module "$work/odd.so" "$hello" 2>&1 | grep -c 'static' || :)
if [ "$static" != 0 ]; then
	skipped=$((skipped + 1))
	echo 'skipped: modules in files: a static build'
else
	load 'a module from a file' 0 'Hello' --module "$work/odd.so" "$hello"
	load 'it is in the list' 0 ' tg-odd' -v --module "$work/odd.so" "$hello"
	load 'before another' 0 'tg-odd uart16550a' -v --module "$work/odd.so,before=uart16550a" "$hello"
	load "in another's place" 0 'plic uart16550a finisher' -v --module "$work/uart.so,replaces=uart16550a" "$hello"
	load 'two files' 0 'tg-other tg-odd' -v --module "$work/odd.so" --module "$work/other.so,before=tg-odd" "$hello"
	load 'before what is not there' 78 "no module 'x' to stand before" --module "$work/odd.so,before=x" "$hello"
	load 'replaces what is not there' 78 "no module 'x' to replace" --module "$work/odd.so,replaces=x" "$hello"
	load 'a name that is taken' 78 "a module 'uart16550a' already" --module "$work/uart.so" "$hello"
	load 'a file twice' 78 'loaded already' --module "$work/odd.so" --module "$work/odd.so" "$hello"
	load 'no file' 64 'no file' --module ,before=plic "$hello"
	load 'no place' 64 "'behind=x' is no place" --module "$work/odd.so,behind=x" "$hello"
	load 'an empty place' 64 "no module's name" --module "$work/odd.so,before=" "$hello"
	load 'a file that is not there' 66 'cannot be loaded' --module "$work/none.so" "$hello"
	load 'a file that is no ELF' 66 'cannot be loaded' --module "$work/text.so" "$hello"
	load 'a library that is no module' 65 'no symbol tollgate_module' --module "$work/nothing.so" "$hello"
	load 'one for another version' 65 'version 99' --module "$work/version.so" "$hello"
	load 'one with other headers' 65 'other headers' --module "$work/sizes.so" "$hello"
	load 'one for another start' 78 'another kind of start' --module "$work/program.so" "$hello"
	load 'left out again' 78 'is not in this machine' --module "$work/odd.so" --without tg-odd "$hello"
	load 'with state that it saves not' 0 'Hello' --module "$work/state.so" "$hello"
	load 'and deterministic' 78 'has state and cannot save it' --deterministic --module "$work/state.so" "$hello"
	load 'and saved' 78 'has state and cannot save it' --save-state "$work/state" --module "$work/state.so" "$hello"
	load 'reading the host, deterministic' 78 'reads the host' --deterministic --module "$work/reads.so" "$hello"
	(cd "$work" && "$tollgate" run -m 128M --module odd.so "$hello") >"$work/out" 2>"$work/err"
	verdict 'a name without a slash is of this folder' "$(grep -q Hello "$work/out" || echo 'no hello')"
	printf '{"kernel": "%s", "module": ["%s"]}\n' "$hello" "$work/odd.so" >"$work/options.json"
	does 'from an option file' 0 ' tg-odd' run -v --config "$work/options.json"
fi

# A guest that ends with what the call returns; with the cycles that two calls take; with a broken contract.
if [ "$static" = 0 ] && command -v "$riscv" >/dev/null; then
	cat >"$work/guest.c" <<-'END'
		#include "odd_stubs.h"
		__asm__(".globl _start\n_start: la sp, stack + 4096\n j guest_main\n.comm stack, 4096, 16\n");
		void guest_main(void);
		void guest_main(void)
		{
		#if defined(CYCLES)
		    uint64_t a, b;
		    __asm__ volatile("rdcycle %0" : "=r"(a));
		    tg_odd_one(1);
		    __asm__ volatile("rdcycle %0" : "=r"(b));
		    tg_exit_stop(b - a);
		#elif defined(WRONG)
		    tg_exit_stop((uint64_t)-tg_odd_wrong().error);
		#else
		    tg_exit_stop(tg_odd_one(40).value);
		#endif
		}
	END
	for guest in VALUE CYCLES WRONG; do
		"$riscv" "${flags[@]}" -march=rv64imac_zicsr -I "$work" -nostdlib -static -Wl,-Ttext=0x80200000 -D$guest \
			-o "$work/$guest.elf" "$work/guest.c" 2>"$work/err" || verdict "guest $guest" 'it does not compile'
	done
	load 'its call' 41 '' --module "$work/odd.so" "$work/VALUE.elf"
	load 'a replaced module' 45 '' --module "$work/odd.so" --module "$work/plus5.so,replaces=tg-odd" "$work/VALUE.elf"
	load 'the first in the list answers' 49 '' --module "$work/odd.so" --module "$work/other.so,before=tg-odd" \
		"$work/VALUE.elf"
	"$tollgate" run -m 128M --engine interp --module "$work/odd.so" "$work/CYCLES.elf" 2>"$work/err"
	free=$?
	load 'a deterministic run charges 150 cycles' $((free + 150)) '' --deterministic --module "$work/odd.so" \
		"$work/CYCLES.elf"
	"$tollgate" run -m 128M --module "$work/odd.so" "$work/WRONG.elf" 2>"$work/err"
	status=$?
	case $status in
	1) verdict 'a broken contract' "$(grep -q 'first of tg.odd.wrong: a bug' "$work/err" || echo 'it is not told')" ;;
	70) verdict 'a broken contract' "$(grep -q 'tg.odd.wrong answered -5' "$work/err" || echo 'it is not told')" ;;
	*) verdict 'a broken contract' "status $status, not 1 (a build for tests: 70)" ;;
	esac
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
