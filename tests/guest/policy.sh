#!/bin/bash
# policy.sh: guests under policies, and `tollgate policy`: what is refused, stopped, told and learned.
# SPDX-License-Identifier: BSD-2-Clause
#
#   policy.sh TOLLGATE BUILDDIR
#
# Prints a line a check and `N passed, N failed`. Status: 0 when all passed, 1 otherwise, 2 for bad arguments.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

if [ $# -ne 2 ] || [ ! -x "$1" ] || [ ! -d "$2/guest" ]; then
	echo 'usage: policy.sh TOLLGATE BUILDDIR' >&2
	exit 2
fi
tollgate=$(realpath -- "$1")
guests=$(realpath -- "$2")/guest
limit=120
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2

verdict_shows() {
	tail -n 5 out err | sed 's/^/    /'
}

run() { # ARGUMENT...: leaves $status, out and err
	status=0
	timeout --foreground -k 5 "$limit" "$tollgate" "$@" </dev/null >raw 2>err || status=$?
	tr -d '\r' <raw >out
}

# check NAME STATUS WORDS ARGUMENT...: ends with STATUS, and WORDS (unless empty) are in what it printed.
check() {
	local name=$1 want=$2 words=$3 problem=''
	shift 3
	run "$@"
	if [ "$status" -ne "$want" ]; then
		problem="status $status, not $want"
	elif [ -n "$words" ] && ! grep -qF -e "$words" out err; then
		problem="it does not say \"$words\""
	fi
	verdict "$name" "$problem"
}

# --- what a guest sees ---

cat >rules.json <<'END'
{
  "version": 1,
  "default": "deny",
  "rules": [
    {"allow": "sbi"},
    {"deny": "sbi.base.get_mvendorid"},
    {"deny": "sbi.base.get_mimpid", "refusal": "log"},
    {"deny": "sbi.base.probe_extension", "args": {"extension": {"min": "0x20", "max": "0x2f"}}},
    {"deny": "0x0a000000/1"},
    {"rate": "sbi.base.get_marchid", "calls": 1, "burst": 3}
  ]
}
END
run run --deterministic --policy rules.json "$guests/policy.elf"
verdict 'a guest sees what the policy says' "$([ "$status" -eq 0 ] || echo "status $status")$(grep '^not ok' out |
	head -n 3)$(grep -q '^1\.\.15$' out || echo 'not 15 tests')"
verdict 'what is only told about' "$(
	grep -qF "sbi.base.get_mimpid would be refused by rules[2] ('rules.json', line 7:" err || echo 'no line tells')$(
	grep -qF '1 of sbi.base.get_mimpid would be refused' err || echo 'no count')"
run run --deterministic --report one.json --policy rules.json "$guests/policy.elf"
run run --deterministic --report two.json --policy rules.json "$guests/policy.elf"
verdict 'rates repeat in a deterministic run' "$(cmp one.json two.json 2>&1)"

printf '{"version": 1, "rules": [\n{"deny": "sbi.dbcn", "refusal": "stop"}]}\n' >stop.json
check 'a rule that stops the guest' 104 "sbi.dbcn.write refused by rules[0] ('stop.json', line 2: deny sbi.dbcn)" \
	run --report r.json --policy stop.json "$guests/hello.elf"
verdict 'the report tells the cause' "$(grep -qF '"cause": "policy"' r.json || echo 'it does not')"
check 'the command line wins' 0 'Hello from S-mode.' run --policy stop.json --allow sbi.dbcn "$guests/hello.elf"
check 'deny wins on the command line' 0 '' run --policy stop.json --allow sbi.dbcn --deny sbi.dbcn "$guests/hello.elf"
check 'no guest breaks on a denied console' 0 '' run --deny sbi.dbcn --deny sbi.legacy "$guests/hello.elf"
check 'a rate of the command line' 0 'Hello' run --rate sbi.dbcn,calls=1000,bytes=65536 "$guests/hello.elf"
printf '{"version": 1, "rules": [{"deny": "program/4242", "refusal": "error"}]}\n' >program.json
check 'a number of programs' 0 '' run --policy program.json --program "$guests/program-badcall.elf"

# --- refused at the start ---

check 'no policy file' 66 "cannot open 'none.json'" run --policy none.json "$guests/hello.elf"
printf '{"version": 1,\n "rule": []}\n' >key.json
check 'an unknown key' 65 "'key.json', line 2: unknown key" run --policy key.json "$guests/hello.elf"
printf '{"version": 1,\n "require_audit": true}\n' >later.json
check 'what this version lacks' 65 'not in this version' run --policy later.json "$guests/hello.elf"
printf '{"version": 1, "rules": [{"deny": "sbi.nosuch"}]}\n' >name.json
check 'a call that no module has' 78 'rules[0]' run --policy name.json "$guests/hello.elf"
printf '{"version": 1, "effects": [\n{"module": "sbi-dbcn", "may": ["reads-host", "mem"]}]}\n' >scope.json
check 'a module beyond its scope' 78 "line 2: effects[0] (sbi-dbcn): sbi.dbcn.write of module sbi-dbcn" \
	run --policy scope.json "$guests/hello.elf"
check 'and without it' 0 '' run --policy scope.json --without sbi-dbcn "$guests/hello.elf"
check 'learning contradicts a policy' 78 'contradicts' run --policy-learn l.json --policy rules.json "$guests/hello.elf"

check 'a rate without a limit' 64 '--rate: sbi.dbcn: no limit given' run --rate sbi.dbcn "$guests/hello.elf"
check 'a rate of no call' 78 '--rate sbi.nosuch: this guest has no such call' \
	run --rate sbi.nosuch,calls=1 "$guests/hello.elf"
check 'allowing no call' 78 '--allow sbi.nosuch: this guest has no such call' run --allow sbi.nosuch "$guests/hello.elf"
printf '{"kernel": "%s", "policy": "stop.json",\n "allow": ["sbi.dbcn"], "rate": "sbi.base,calls=9"}\n' \
	"$guests/hello.elf" >options.json
check 'the option file has a policy and rules' 0 'Hello from S-mode.' run --config options.json
printf '{"kernel": "%s",\n "rate": "sbi.base"}\n' "$guests/hello.elf" >options.json
check 'and tells the line of a wrong rule' 65 "'options.json', line 2: \"rate\"" run --config options.json

# --- tollgate policy ---

check 'check: good' 0 'good: 6 rules' policy check rules.json
check 'check: bad' 65 'line 2' policy check key.json
check 'check: missing' 66 'none.json' policy check none.json
check 'check: names nothing' 78 'sbi.nosuch' policy check name.json
check 'check: nothing to check' 64 'no FILE' policy check
check 'an unknown word' 64 "'chek' is not known" policy chek
check 'help' 0 'explain CALL' help policy
run policy show --deny sbi.srst --rate sbi.dbcn,calls=5 rules.json
cp out merged.json
run policy show merged.json
verdict 'show: what is printed is a policy, and the same' "$([ "$status" -eq 0 ] || echo "status $status"
	cmp out merged.json 2>&1)"
check 'show: the shipped policy' 0 '"default": "shipped"' policy show
check 'explain: allowed' 0 "allowed by rules[0] ('rules.json', line 5: allow sbi)" \
	policy explain --policy rules.json sbi.dbcn.write
check 'explain: refused' 1 'line 6: deny sbi.base.get_mvendorid' policy explain --policy rules.json sbi.base.get_mvendorid
check 'explain: by an argument' 1 'line 8' policy explain --policy rules.json sbi.base.probe_extension 0x21
check 'explain: by its name' 0 'line 5' policy explain --policy rules.json sbi.base.probe_extension extension=0x31
check 'explain: it depends' 2 'else: allowed' policy explain --policy rules.json sbi.base.probe_extension
check 'explain: an option' 1 'by --deny sbi.base' policy explain --deny sbi.base --policy rules.json sbi.base.get_impl_id
check 'explain: a limit' 0 'limited by rules[5]' policy explain --policy rules.json sbi.base.get_marchid
check 'explain: a number' 1 'rules[4]' policy explain --policy rules.json 0x0a000000/1
check 'explain: no such call' 78 "no module has a call 'x'" policy explain x
check 'explain: no such argument' 64 'no argument' policy explain sbi.dbcn.write length=1

# --- learning: under what was learned, a guest does the same ---

# learned NAME GUEST [OPTION...]
learned() {
	local name=$1 guest=$2 want
	shift 2
	run policy learn -o learned.json -- run "$@" "$guests/$guest.elf"
	want=$status
	cp out before
	run run --policy learned.json "$@" "$guests/$guest.elf"
	verdict "learn: $name" "$([ "$status" -eq "$want" ] || echo "status $status, not $want"
		grep -v '^[#[]' before >a; grep -v '^[#[]' out >b; cmp a b 2>&1
		grep -q '"seen": [1-9]' learned.json || echo 'nothing was counted')"
}
learned 'hello' hello
learned 'the kernel, 2 harts' kernel -c 2
learned 'the probe' probe -c 2
run policy learn -o learned.json -- run "$guests/hello.elf"
check 'learn: what was not seen is denied' 1 'the default is deny' policy explain --policy learned.json sbi.hsm.hart_start
check 'learn: where to is missing' 64 'give -o FILE' policy learn -- run "$guests/hello.elf"
check 'learn: it cannot be written' 73 'none/l.json' policy learn -o none/l.json -- run "$guests/hello.elf"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
