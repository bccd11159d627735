#!/bin/bash
# deterministic.sh: the same run every time: on every build, cut anywhere, with input that comes as it likes.
# SPDX-License-Identifier: BSD-2-Clause
#
#   deterministic.sh TOLLGATE [OTHER-TOLLGATE...]
#
# The first binary is the measure; the others must end with the same state as it does. One that was built with
# AddressSanitizer runs the small guests only. DET_BOOTS (3): how often Debian boots on one and on four harts.
# DET_GUESTS (build/guest): where the guests are.
#
# Prints `ok NAME` or `FAIL NAME` with what differs, and `N passed, N failed, N skipped`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

[ $# -ge 1 ] || {
	echo 'usage: deterministic.sh TOLLGATE [OTHER-TOLLGATE...]' >&2
	exit 2
}
tollgate=$1
others=("${@:2}")
guests=${DET_GUESTS:-build/guest}
boots=${DET_BOOTS:-3}
cache=${TOLLGATE_CACHE:-.cache}
image=$cache/debian-riscv64/Image
limit=240 # seconds: a run that takes longer hangs
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

skip() { # NAME REASON
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

# run TAG BINARY ARGUMENT...: one run with our standard input. Leaves its output in $work/TAG.out, and in $work/TAG
# one line: status, steps and digest of the machine at its end.
run() {
	local tag=$work/$1 binary=$2 status=0
	shift 2
	rm -f "$tag.json"
	timeout -k 5 "$limit" "$binary" run --report "$tag.json" "$@" >"$tag.out" 2>"$tag.err" || status=$?
	[ -e "$tag.json" ] || echo '{}' >"$tag.json" # refused: there is no report
	printf 'status %s, %s steps, hash %s\n' "$status" "$(sed -n 's/^  "steps": \([0-9]*\),$/\1/p' "$tag.json")" \
		"$(sed -n 's/^  "state_hash": "\([0-9a-f]*\)",$/\1/p' "$tag.json")" >"$tag"
}

det() { # TAG BINARY ARGUMENT...: the same, deterministic and without input
	local tag=$1 binary=$2
	shift 2
	run "$tag" "$binary" --deterministic "$@" </dev/null
}

steps_of() { # TAG
	sed 's/.*, \([0-9]*\) steps.*/\1/' "$work/$1"
}

# differs TAG TAG...: what is not the same in the later runs as in the first; nothing when all is.
differs() {
	local first=$1 tag
	grep -q 'hash [0-9a-f]\{64\}$' "$work/$first" || echo "no digest: $(<"$work/$first"); $(head -n 1 "$work/$first.err")"
	for tag in "${@:2}"; do
		cmp -s "$work/$first" "$work/$tag" || echo "$(<"$work/$tag") instead of $(<"$work/$first")"
		cmp -s "$work/$first.out" "$work/$tag.out" || echo "the output of $tag differs"
	done | head -n 1
}

# status_is TAG STATUS
status_is() {
	grep -q "^status $2," "$work/$1" || echo "$(<"$work/$1"), not status $2: $(head -n 1 "$work/$1.err")"
}

# cut TAG STEPS ARGUMENT...: runs to STEPS, saves, goes on in another process to the end; TAG is the whole of it.
cut() {
	local tag=$1 steps=$2
	shift 2
	run "$tag-a" "$tollgate" --deterministic --max-steps "$steps" --save-state "$work/$tag.state" "$@"
	run "$tag" "$tollgate" --deterministic --load-state "$work/$tag.state" "$@"
	[ "$(steps_of "$tag-a")" = "$steps" ] || echo "it stopped at $(steps_of "$tag-a"), not $steps" >>"$work/$tag"
	cat "$work/$tag-a.out" "$work/$tag.out" >"$work/$tag.whole"
	mv "$work/$tag.whole" "$work/$tag.out"
	rm -f "$work/$tag.state"
}

# --- small guests ---

for guest in kernel probe services; do
	for harts in 1 2 4; do
		options=(-m 128M -c "$harts" "$guests/$guest.elf")
		det one "$tollgate" "${options[@]}"
		det two "$tollgate" "${options[@]}"
		problem=$(differs one two)
		verdict "$guest on $harts hart(s), twice" "${problem:-$(status_is one 0)}"
		for other in ${others[@]+"${others[@]}"}; do
			det other "$other" "${options[@]}"
			verdict "$guest on $harts hart(s), by $other" "$(differs one other)"
		done
		det seeded "$tollgate" --seed 1 "${options[@]}"
		problem=$(status_is seeded 0)
		[ "${problem:-}" ] || [ -n "$(differs one seeded)" ] || problem='the same machine as with another seed'
		verdict "$guest on $harts hart(s), another seed" "$problem"
	done
done

for harts in 1 4; do
	options=(-m 128M -c "$harts" "$guests/kernel.elf")
	problem=
	for steps in 1 2 1000 32767 32768 32769 65536 131073 1234567; do
		det cut "$tollgate" --max-steps "$steps" "${options[@]}"
		problem=${problem:-$(status_is cut 103)}
		[ "$(steps_of cut)" = "$steps" ] || problem=${problem:-stopped at $(steps_of cut), not $steps}
	done
	verdict "--max-steps is exact on $harts hart(s)" "$problem"
	det whole "$tollgate" "${options[@]}"
	total=$(steps_of whole)
	problem=
	for steps in 1 99 32768 32769 $((total / 7)) $((total / 3 | 1)) $((total / 2)) $((total * 6 / 7 | 1)) $((total - 1)); do
		cut part "$steps" "${options[@]}" </dev/null
		problem=${problem:-$(differs whole part)}
	done
	verdict "save and load anywhere on $harts hart(s)" "$problem"
done

# The other starts: a bare program, and firmware that starts a kernel.
same() { # NAME STATUS ARGUMENT...
	local name=$1 status=$2 problem
	shift 2
	det one "$tollgate" "$@"
	det two "$tollgate" "$@"
	problem=$(differs one two)
	problem=${problem:-$(status_is one "$status")}
	for other in ${others[@]+"${others[@]}"}; do
		det other "$other" "$@"
		problem=${problem:-$(differs one other)}
	done
	cut part $(($(steps_of one) / 2)) "$@" </dev/null
	verdict "$name" "${problem:-$(differs one part)}"
}
same 'a program' 0 --program "$guests/program-compute.elf"
firmware=$cache/debian-firmware/fw_dynamic.bin
if [ -e "$firmware" ]; then
	same 'OpenSBI and a kernel on 2 harts' 0 -m 128M -c 2 --firmware "$firmware" "$guests/hello.elf"
else
	skip 'OpenSBI and a kernel' "no $firmware (run guest/linux/fetch-firmware.sh)"
fi

# Services: the time page moves to where the saved machine had it; chance and the log's time stamps are the seed's.
for harts in 1 4; do
	same "services on $harts hart(s)" 0 -m 128M -c "$harts" --device tg-entropy "$guests/services.elf"
	same "the probe's services on $harts hart(s)" 0 -m 128M -c "$harts" --device tg-entropy "$guests/probe.elf"
done
problem=
for steps in 20001 400001 1000001; do
	run free-a "$tollgate" --max-steps "$steps" --save-state "$work/free.state" -m 128M -p tg.many \
		"$guests/services.elf" </dev/null
	run free "$tollgate" --load-state "$work/free.state" -m 128M -p tg.many "$guests/services.elf" </dev/null
	problem=${problem:-$(status_is free-a 103)}
	problem=${problem:-$(status_is free 0)}
	! grep -q '^not ok' "$work/free.out" || problem=${problem:-$(grep -m 1 '^not ok' "$work/free.out")}
done
verdict 'save and load of a free-running machine that looks at its time page' "$problem"

# Nothing but what it runs tells a free-running machine that it was away.
options=(-m 128M "$guests/kernel.elf")
run free-a "$tollgate" --max-steps 3000001 --save-state "$work/free.state" "${options[@]}" </dev/null
run free "$tollgate" --load-state "$work/free.state" "${options[@]}" </dev/null
problem=$(status_is free-a 103)
problem=${problem:-$(status_is free 0)}
plan=$(cat "$work/free-a.out" "$work/free.out" | tr -d '\r' | sed -n 's/^1\.\.//p')
count=$(cat "$work/free-a.out" "$work/free.out" | grep -c '^ok ')
[ "$count" = "$plan" ] || problem=${problem:-$count of $plan tests passed}
verdict 'save and load of a free-running machine' "$problem"

# What it is told must fit.
problem=
for options in '-m 128M -c 2' '-m 64M' '-m 128M --without sbi-legacy'; do
	# shellcheck disable=SC2086 # words on purpose
	run wrong "$tollgate" --load-state "$work/free.state" $options "$guests/kernel.elf" </dev/null
	problem=${problem:-$(status_is wrong 78)}
done
det wrong "$tollgate" --load-state "$work/free.state" -m 128M "$guests/kernel.elf"
problem=${problem:-$(status_is wrong 78)}
verdict 'a state of another machine is refused' "$problem"
problem=
for module in sbi-sta goldfish-rtc; do
	det wrong "$tollgate" --device "$module" "$guests/kernel.elf"
	problem=${problem:-$(status_is wrong 78)}
	grep -q "$module" "$work/wrong.err" || problem=${problem:-the message does not name $module}
done
verdict 'modules that read the host are refused' "$problem"

# --- input ---

{
	for i in $(seq 40); do printf 'times\nharts\nbogus-%s\n' "$i"; done
	echo poweroff
} >"$work/input"
options=(-m 128M -c 2 -p 'quiet tg.shell' "$guests/kernel.elf")
slowly() { # the same bytes, in pieces of all sizes
	head -c 1 "$work/input"
	for i in 1 17 511 600; do
		sleep 0.02
		tail -c +$((i + 1)) "$work/input" | head -c $((i == 1 ? 16 : i == 17 ? 494 : i == 511 ? 89 : 99999))
	done
}
slowly | cmp -s - "$work/input" || echo 'deterministic.sh: the pieces are not the whole' >&2
run file "$tollgate" --deterministic "${options[@]}" <"$work/input"
slowly | run pipe "$tollgate" --deterministic "${options[@]}"
problem=$(differs file pipe)
grep -q 'bogus-40: no such command' "$work/file.out" || problem=${problem:-not every line was read}
verdict 'input from a file and through a slow pipe' "${problem:-$(status_is file 0)}"
total=$(steps_of file)
problem=
for steps in $((total / 3 | 1)) $((total / 2)); do # both processes read from one descriptor, one after the other
	cut part "$steps" "${options[@]}" <"$work/input"
	problem=${problem:-$(differs file part)}
done
verdict 'save and load between two lines of input' "$problem"

# wfi; j .: interrupts are off, no timer is set, the input has ended
printf '\163\000\120\020\157\360\337\377' >"$work/idle"
det idle "$tollgate" --raw -c 2 "$work/idle"
problem=$(status_is idle 100)
grep -q 'every hart waits' "$work/idle.err" || problem=${problem:-the message does not say why}
verdict 'a guest that waits for nothing' "$problem"

# A reader that never gets its input can still be ended.
mkfifo "$work/fifo"
timeout -k 5 "$limit" "$tollgate" run --deterministic -p tg.shell "$guests/kernel.elf" <>"$work/fifo" \
	>"$work/stuck.out" 2>&1 &
stuck=$!
for ((i = 0; i < 100; i++)); do
	[ -e "/proc/$stuck/task/$stuck/children" ] && child=$(tr -d ' ' <"/proc/$stuck/task/$stuck/children")
	[ -n "${child:-}" ] && grep -q poll "/proc/$child/wchan" 2>/dev/null && break
	sleep 0.05
done
kill -TERM $stuck
status=0
wait $stuck || status=$?
problem=
[ $status -eq 124 ] || [ $status -eq 143 ] || problem="status $status"
verdict 'SIGTERM while it waits for input' "$problem"

# --- Debian ---

if ! sh guest/linux/fetch.sh; then
	skip Debian 'no guest (see the message above)'
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
fi
sh guest/linux/initramfs.sh "$work/initramfs.cpio" || exit 1

debian() { # TAG BINARY HARTS ARGUMENT...
	local tag=$1 binary=$2 harts=$3
	shift 3
	det "$tag" "$binary" -m 512M -c "$harts" -i "$work/initramfs.cpio" -p 'console=hvc0 tg.init=poweroff' "$@" "$image"
}

# Two at a time; `settle` waits for all of them.
background() {
	while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
	"$@" &
}
settle() {
	wait
}

big=()
for other in ${others[@]+"${others[@]}"}; do
	if grep -qa __asan_init "$other"; then
		skip "Debian by $other" 'a sanitizer is too slow for it'
	else
		big+=("$other")
	fi
done
for harts in 1 4; do
	tags=()
	for ((i = 1; i <= boots; i++)); do
		background debian "debian-$harts-$i" "$tollgate" "$harts"
		tags+=("debian-$harts-$i")
	done
	for i in "${!big[@]}"; do
		background debian "other-$harts-$i" "${big[i]}" "$harts"
	done
	settle
	problem=$(differs "${tags[@]}")
	grep -q TOLLGATE-INIT-OK "$work/debian-$harts-1.out" || problem=${problem:-it does not come to init}
	verdict "Debian on $harts hart(s), $boots times" "${problem:-$(status_is "debian-$harts-1" 0)}"
	for i in "${!big[@]}"; do
		verdict "Debian on $harts hart(s), by ${big[i]}" "$(differs "debian-$harts-1" "other-$harts-$i")"
	done
done

# On four harts: cut, saved, loaded.
total=$(steps_of debian-4-1)
points=($((total / 7 | 1)) $((total / 2)) $((total * 6 / 7 | 1)))
for steps in "${points[@]}"; do
	background cut "debian-cut-$steps" "$steps" -m 512M -c 4 -i "$work/initramfs.cpio" \
		-p 'console=hvc0 tg.init=poweroff' "$image" </dev/null
done
settle
for steps in "${points[@]}"; do
	verdict "Debian saved and loaded at step $steps of $total" "$(differs debian-4-1 "debian-cut-$steps")"
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
