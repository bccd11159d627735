#!/bin/bash
# event.sh: the event service, from a guest: timers, signals to the monitor, descriptors, states, the end in a wait.
# SPDX-License-Identifier: BSD-2-Clause
#
#   event.sh TOLLGATE GUESTS [x86-]
#
# With x86-, the x86-64 guest, which KVM runs: all but deterministic runs; skipped where KVM is not to be had.
# Prints `ok NAME` or `FAIL NAME: why`, and `N passed, N failed[, N skipped]`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

tollgate=$(realpath "$1") arch=${3:-} guest=$(realpath "$2")/${3:-}event.elf
limit=120 # seconds: a run that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2

verdict_shows() {
	tail -n 5 out | sed 's/^/    /'
}

run() { # ARGUMENT...
	status=0
	timeout -k 5 "$limit" "$tollgate" run -m 64M "$@" "$guest" </dev/null >out 2>err || status=$?
}

# Why the last run's TAP is no pass; nothing when it is one.
tap_problem() {
	local plan count
	plan=$(tr -d '\r' <out | sed -n 's/^1\.\.//p')
	count=$(grep -c '^ok ' out)
	if [ "$status" -ne 0 ]; then
		echo "status $status: $(head -n 1 err)"
	elif [ -z "$plan" ] || [ "$count" != "$plan" ]; then
		echo "$count of ${plan:-unknown} tests are ok"
	fi
}

wanted() { # STATUS TEXT: why the last run is not that; TEXT is a pattern in its output or messages
	if [ "$status" -ne "$1" ]; then
		echo "status $status, not $1: $(head -n 1 err)"
	elif ! cat out err | tr -d '\r' | grep -q "$2"; then
		echo "does not say '$2'"
	fi
}

# A guest in the background: its pid is $monitor, what it prints is read with `heard`.
start() { # ARGUMENT...
	rm -f said
	mkfifo said
	"$tollgate" run -m 64M "$@" "$guest" </dev/null >said 2>err &
	monitor=$!
	exec 8<said
	: >out
}

heard() { # TEXT: waits for that line; false when the guest ends before
	local line
	while IFS= read -r -t "$limit" line <&8; do
		line=${line%$'\r'}
		echo "$line" >>out
		[ "$line" = "$1" ] && return 0
	done
	return 1
}

ended() { # waits for the end
	cat <&8 >>out
	exec 8<&-
	status=0
	wait "$monitor" || status=$?
}

modes='--console=sbi --deterministic' many='1 3'
if [ -n "$arch" ]; then
	reason=$("$tollgate" run --engine kvm -m 64M -p absent --without tg-event "$guest" </dev/null 2>&1) || skip_all "event: $reason"
	modes=--console=sbi many=1
fi
for mode in $modes; do
	for harts in $many; do
		run -c "$harts" "$mode"
		verdict "timers, $harts harts $mode" "$(tap_problem)"
	done
done
run -p absent --without tg-event
problem=
[ "$status" -eq 0 ] || problem="status $status: $(head -n 1 err)"
verdict 'a machine without it' "$problem"

# Signals.
echo '{"version": 1, "default": "allow", "numbers": [{"service": "tg-event", "values": 10}]}' >policy.json
for grant in --policy=policy.json --device=tg-event,signal=10; do
	start -p signal "$grant"
	problem=
	if heard listening; then
		for n in 1 2 3; do
			kill -USR1 "$monitor"
			heard "heard $n" || problem=${problem:-signal $n does not arrive}
		done
	else
		problem='it does not listen'
	fi
	ended
	verdict "signals, $grant" "${problem:-$(wanted 0 'heard 3')}"
done
run -p signal
verdict 'a signal that nobody has granted' "$(wanted 1 'refused: -4')"
run -p signal --device tg-event,signal=15
verdict 'a signal that is not to be had' "$(wanted 64 'signal 15 cannot be')"

# Descriptors.
mkfifo pipe
exec 9<>pipe
start -p fd --device tg-event,fd=5 5<pipe
problem=
heard listening || problem='it does not listen'
printf a >&9
heard 'heard 1' || problem=${problem:-the first byte does not arrive}
printf bc >&9
heard 'heard 3' || problem=${problem:-the others do not arrive}
ended
verdict 'a pipe' "${problem:-$(wanted 0 'heard 3')}"
exec 9>&-
status=0
{ "$tollgate" run -m 64M -p fd --device tg-event,fd=5 "$guest" 5</dev/null </dev/null >out 2>err; } || status=$?
verdict 'an end of file' "$(wanted 0 'ended: -1 32')"
run -p fd --device tg-event
verdict 'a descriptor that nobody has granted' "$(wanted 1 'refused: -4')"
for wrong in fd=5 fd=1 fd=x fd=; do
	run -p fd --device tg-event,$wrong 5<&-
	verdict "a descriptor that is none ($wrong)" "$(wanted 64 'tg-event: fd=')"
done

# The monitor ends a guest in the middle of a wait.
for mode in --cpus=1 --cpus=2 ${arch:+stop} --deterministic; do
	[ "$mode" != stop ] || break
	start -p forever "$mode" --device tg-event,signal=10
	problem=
	heard waiting || problem='it does not wait'
	if [ "$mode" != --deterministic ]; then
		kill -TERM "$monitor"
		ended
		[ "$status" -eq 143 ] || problem=${problem:-status $status: $(head -n 1 err)}
	else
		ended # there, nothing else can happen, and the monitor knows
		grep -q 'nothing is left' err || problem=${problem:-status $status: $(head -n 1 err)}
	fi
	verdict "the end in a wait $mode" "$problem"
done

# Where the host queues no signals for this user, as where others have taken all: the end must come, too.
queue=$(ulimit -H -i)
ulimit -S -i 0
start -p forever --cpus=2
problem=
heard waiting || problem='it does not wait'
ulimit -S -i "$queue"
kill -TERM "$monitor"
heard 'nothing more' || kill -KILL "$monitor" 2>/dev/null # after its end that does nothing
ended
[ "$status" -eq 143 ] || problem=${problem:-status $status: $(head -n 1 err)}
verdict 'the end in a wait, with no queue for signals' "$problem"

# Deterministic: twice the same, from any state too; the host's events only where policy lets them.
deterministic_runs() {
	for tag in one two; do
		run -p ticks --deterministic --report "$tag.json"
		problem=$(wanted 0 '^70 and 30$')
	done
	[ "$(grep state_hash one.json)" = "$(grep state_hash two.json)" ] || problem=${problem:-two runs end differently}
	verdict 'deterministic, twice' "$problem"
	steps=$(sed -n 's/^  "steps": \([0-9]*\),$/\1/p' one.json)
	problem=
	for part in 1 2 3 5 7 9; do
		run -p ticks --deterministic --max-steps $((steps * part / 10)) --save-state state
		[ -s state ] || problem=${problem:-cut at $part it saves nothing: $(head -n 1 err)}
		run -p ticks --deterministic --load-state state --report loaded.json
		[ "$(grep state_hash one.json)" = "$(grep state_hash loaded.json)" ] ||
			problem=${problem:-cut at $part it ends differently: $(head -n 1 err)}
	done
	verdict 'deterministic, from a state' "$problem"
	run -p signal --deterministic --policy policy.json
	verdict 'a deterministic run hears no signals' "$(wanted 1 'refused: -4')"
	sed 's/"default"/"deterministic": ["tg.event"], "default"/' policy.json >det.json
	start -p signal --deterministic --policy det.json
	problem=
	heard listening || problem='it does not listen'
	for n in 1 2 3; do
		kill -USR1 "$monitor"
		heard "heard $n" || problem=${problem:-signal $n does not arrive}
	done
	ended
	verdict 'a deterministic run that may' "${problem:-$(wanted 0 'heard 3')}"
}
[ -n "$arch" ] || deterministic_runs

# A state of a machine that waits: stopped in the wait, it goes on in it, and hears what comes then.
mkfifo bytes
exec 9<>./bytes
start -p fd --device tg-event,fd=5 --save-state waiting 5<./bytes
problem=
heard listening || problem='it does not listen'
printf a >&9
heard 'heard 1' || problem=${problem:-the first byte does not arrive}
kill -TERM "$monitor"
ended
[ "$status" -eq 143 ] && [ -s waiting ] || problem=${problem:-status $status: $(head -n 1 err)}
run -p fd --load-state waiting
[ "$status" -ne 0 ] || problem=${problem:-it listens without a grant}
start -p fd --device tg-event,fd=5 --load-state waiting 5<./bytes
for n in 2 3; do
	printf x >&9
	heard "heard $n" || problem=${problem:-byte $n does not arrive}
done
ended
exec 9>&-
verdict 'a state in a wait' "${problem:-$(wanted 0 'heard 3')}"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
