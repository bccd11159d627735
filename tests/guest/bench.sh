#!/bin/bash
# bench.sh: `tollgate bench calls` as a user meets it: a small measurement, its files, wrong input, statuses.
# SPDX-License-Identifier: BSD-2-Clause
#
#   bench.sh TOLLGATE BUILDDIR [QEMU]
#
# No figure is judged, only that each is there or says why not. With QEMU, the same probe runs there, and its result must be
# of the same form. Prints `ok NAME` or `FAIL NAME: why` a test and `N passed, N failed` at the end. Status: 0 all passed;
# 1 one failed; 2 bad arguments.
set -eu
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

limit=120 # seconds until what hangs is ended

[ $# -ge 2 ] || { echo 'usage: bench.sh TOLLGATE BUILDDIR [QEMU]' >&2; exit 2; }
tollgate=$(realpath "$1")
guest=$(realpath "$2")/guest/latency.elf
own=$(realpath "$2")/bench-own
qemu=${3:-}
if [ ! -x "$tollgate" ] || [ ! -e "$guest" ]; then
	echo "bench.sh: build Tollgate and its guests first" >&2
	exit 2
fi
command -v jq >/dev/null || { echo 'bench.sh: there is no jq' >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

verdict_shows() {
	head -n 5 err 2>/dev/null | cut -c 1-200 | sed 's/^/  /'
}

bench() { # ARGUMENT...: output in out and err, status in $status
	status=0
	timeout --foreground -k 5 "$limit" "$tollgate" bench "$@" >out 2>err </dev/null || status=$?
}

# ends NAME STATUS WORDS ARGUMENT...: a run whose status and message are known.
ends() {
	local name=$1 want=$2 words=$3 problem=''
	shift 3
	bench "$@"
	if [ "$status" -ne "$want" ]; then
		problem="status $status, not $want"
	elif [ -n "$words" ] && ! grep -qF -- "$words" err out; then
		problem="no \"$words\""
	fi
	verdict "$name" "$problem"
}

holds() { # NAME FILE JQ-EXPRESSION
	verdict "$1" "$(jq -e "$3" "$2" 2>&1 >/dev/null | head -n 1; jq -e "$3" "$2" >/dev/null 2>&1 || echo "not so in $2: $3")"
}

# --- a measurement ---

bench calls --quick --engine interp --json -
cp out a.json
verdict 'a quick measurement ends well' "$([ "$status" -eq 0 ] || echo "status $status")"
holds 'its output is JSON of the format' a.json '."tollgate-bench-calls" == 1'
holds 'the ladder has every step' a.json '[.ladder[].name] == ["function call", "U-mode ecall to the guest kernel",
	"call answered below the monitor", "SBI call to a module", "null call to a module", "call to the host",
	"the same, 32 in a batch", "device exit (UART LSR)"]'
holds 'each step has figures or says why not' a.json 'all(.ladder[]; has("na") or (.p50 > 0 and .p50 <= .p90 and .p90 <= .p99
	and .p99 <= ."p99.9" and ."p99.9" <= .max and .min <= .p50 and .mean > 0))'
holds 'what every build can measure is measured' a.json 'all(.ladder[0, 1, 3, 5, 7]; .p50 > 0)'
holds 'the interpreter has nothing below it' a.json '.ladder[2].na | contains("every call")'
holds 'histograms hold all samples' a.json 'all(.calls[] | select(has("na") | not);
	([.histogram[][1]] | add) == .samples)'
holds 'the phases are there' a.json '.phases.calls[] | select(.name == "sbi.base.get_spec_version") |
	.leave.p50 >= 0 and .dispatch.p50 >= 0 and .handler.p50 >= 0 and .enter.p50 >= 0 and .round.max > 0'
holds 'the indirect cost is there' a.json '[.indirect[].name] | contains(["sbi.base.get_spec_version", "uart.lsr"])'
holds 'counters are there, or say why not' a.json '.counters | has("na") or (.rows | length > 1)'
holds 'the task is done three ways' a.json '[.tasks[] | [.name, .crossings]] ==
	[["direct", 0], ["call", 2], ["messages", 8]]'
holds 'four targets are judged, or say why not' a.json '.targets | length == 4 and all(.[]; has("na") or has("met"))'
holds 'the machine is named' a.json '.fingerprint | .kernel != "" and .engine == "interp" and (.commit | length > 0)
	and has("cpu") and has("flags") and has("governor") and .tollgate != ""'

# Under KVM it is measured in kvm-nested.sh and kvm-x86.sh.
bench calls --quick --engine dbt --json -
if [ "$status" -eq 69 ]; then
	verdict 'an engine that is not for this machine says so' "$(grep -q dbt err || echo 'it is not named')"
else
	cp out d.json
	holds 'the ladder under dbt has the same steps' d.json "[.ladder[].name] == $(jq -c '[.ladder[].name]' a.json)"
	holds 'and says that it ran there' d.json '.fingerprint.engine == "dbt"'
fi

bench calls --quick --json b.json --html b.html --label 'second <run>' -- --without plic
verdict 'a second one into files, with options of run' "$([ "$status" -eq 0 ] || echo "status $status")"
verdict 'the table is printed then' "$(grep -q '^the ladder, ns' out || echo 'no ladder')"
holds 'it remembers its options and label' b.json '.fingerprint |
	.run_options == ["--without", "plic"] and .label == "second <run>"'
verdict 'the report is whole and needs nothing else' "$(
	tail -n 1 b.html | grep -qx '</html>' || echo 'it has no end'
	[ "$(grep -c '<svg' b.html)" -ge 8 ] || echo 'it lacks plots'
	! grep -qE '<(script|link|img)|https?:|url\(|@import' b.html || echo 'it loads something'
	grep -qF 'second &lt;run&gt;' b.html || echo 'it lacks the label'
	! grep -qE '="-?(nan|inf)' b.html || echo 'it has coordinates that are no numbers'
)"
ends 'a probe from a file' 0 '' calls --quick --json - --guest "$guest"

# --- comparison ---

ends 'a result against itself' 0 '0 regressed by more than 0 %' calls --compare a.json a.json --threshold 0
jq '(.calls[] | select(.name == "uart.lsr") | .p50) *= 1.2' a.json >slow.json
ends 'a slower device is a regression' 1 'regressed: uart.lsr' calls --compare a.json slow.json --threshold 10
ends 'within the threshold it is none' 0 '0 regressed' calls --compare a.json slow.json --threshold 25
ends 'without a threshold nothing is judged' 0 'uart.lsr' calls --compare a.json slow.json
ends 'a comparison as JSON' 1 '"regressions": 1' calls --compare a.json slow.json --threshold 10 --json -
ends 'a comparison as a report' 1 '</html>' calls --compare a.json slow.json --threshold 10 --html -

# --- wrong input ---

ends 'nothing to measure is named' 64 'tollgate bench calls'
ends 'something else to measure' 64 'nothing else yet' disks
ends 'an unknown option' 64 "'--nosuch'" calls --nosuch
ends 'an option without its argument' 64 '--json' calls --json
ends 'a threshold that is none' 64 'no percentage' calls --compare a.json a.json --threshold lots
ends 'a threshold without a comparison' 64 '--compare A.json B.json' calls --threshold 5
ends 'a comparison that measures' 64 'measures nothing' calls --compare a.json a.json --quick
ends 'an engine that is none' 64 'nosuch' calls --quick --engine nosuch
ends 'an option that run does not know' 64 'unknown option' calls --quick -- --nosuch
ends 'a file that is missing' 66 'missing.json' calls --compare a.json missing.json
ends 'output to parse that is missing' 66 'missing.txt' calls --parse missing.txt
head -c 300 a.json >cut.json
ends 'JSON that is cut short' 65 'cut.json: line' calls --compare cut.json a.json
echo '{"report": 1}' >other.json
ends 'JSON of something else' 65 'no result of bench calls' calls --compare a.json other.json
jq 'del(.ladder)' a.json >lacking.json
ends 'a result that lacks a part' 65 '"ladder" is no array' calls --compare a.json lacking.json
jq '."tollgate-bench-calls" = 2' a.json >new.json
ends 'a result of another version' 76 'version 2' calls --compare a.json new.json
ends 'a file that cannot be written' 73 '--json: cannot write' calls --quick --json /nonexistent/x.json
ends 'a report that cannot be written' 73 '--html: cannot write' calls --quick --html /nonexistent/x.html
ends 'a full disk' 73 '/dev/full' calls --quick --json /dev/full
echo 'Hello' >hello.txt
ends 'console output of another guest' 65 'no lines of the probe' calls --parse hello.txt
ends 'a guest that is no probe' 65 'no lines of the probe' calls --quick --guest "${guest%latency.elf}hello.elf"
ends 'a guest that is no ELF' 65 '' calls --quick --guest hello.txt --json - -- --console none

# --- what is made from its table ---

"$tollgate" help bench >out 2>err
verdict 'its help lists its options' "$(for o in --json --html --compare --threshold --parse --quick; do
	grep -q -e "$o" out || echo "$o is missing"; done)"
verdict 'the man page has it' "$("$tollgate" help --man | grep -q 'bench' || echo 'it is missing')"

# --- the monitor's own part, many runs in one program (make build/bench-own) ---

holds 'its own part is told' a.json '.phases.calls[] | select(.name == "tg.base.null") | .own.p50 > 0 and .own.samples > 100'
if [ -x "$own" ]; then
	status=0
	timeout -k 5 "$limit" "$own" "$guest" 2 --engine interp >out 2>err </dev/null || status=$?
	verdict 'bench-own measures both ways' "$([ "$status" -eq 0 ] && [ "$(grep -cE '^  tg\.base\.null( +[0-9]+\.[0-9]){6}$' out)" -eq 2 ] ||
		echo "status $status, or not two rows of six figures")"
	for words in '' "$guest 0" "$guest 1001"; do
		status=0
		# shellcheck disable=SC2086 # several words
		"$own" $words >out 2>err || status=$?
		verdict "bench-own refuses '${words##*/}'" "$([ "$status" -eq 2 ] && grep -q usage err || echo "status $status")"
	done
	status=0
	"$own" "$guest" 1 --nosuch >out 2>err || status=$?
	verdict 'bench-own passes on what run says' "$([ "$status" -eq 1 ] && grep -q 'unknown option' err || echo "status $status")"
else
	echo 'skip bench-own (it was not built)'
fi

# --- the same probe under another monitor ---

if [ -n "$qemu" ] && [ -x "$qemu" ]; then
	status=0
	timeout -k 5 "$limit" "$qemu" -M virt -cpu rv64 -m 128M -nographic -no-reboot -monitor none -bios default \
		-append latency-quick -kernel "$guest" </dev/null >qemu.txt 2>err || status=$?
	verdict 'the probe ends well under QEMU' "$([ "$status" -eq 0 ] || echo "status $status")"
	ends 'its output becomes a result' 0 '' calls --parse qemu.txt --label QEMU --json q.json
	holds 'in which firmware answers' q.json '.ladder[3] | .name == "SBI call to the firmware" and .p50 > 0'
	holds 'and Tollgate does not claim the rest' q.json '.ladder[4].na and .ladder[6].na and .phases.na and
		.fingerprint.engine == null'
	verdict 'both have the same form' "$([ "$(jq -c keys a.json)" = "$(jq -c keys q.json)" ] &&
		[ "$(jq -c '[.calls[].name]' a.json)" = "$(jq -c '[.calls[].name]' q.json)" ] ||
		echo 'their keys or calls differ')"
	ends 'both are compared' 0 'B: QEMU' calls --compare a.json q.json
	head -n 20 qemu.txt >short.txt
	ends 'output that is cut short' 65 '' calls --parse short.txt
else
	echo 'skip the same under QEMU (there is none)'
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
