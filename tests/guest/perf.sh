#!/bin/bash
# perf.sh: Debian's perf counts and samples in the guest, and what it says is compared with what is known.
# SPDX-License-Identifier: BSD-2-Clause
#
#   perf.sh TOLLGATE [GUESTS]     (default GUESTS: build/guest)
#
# The program that is measured is guest/program/loop.c, whose instructions the monitor counts too when it runs it
# without a kernel. Prints `ok NAME` or `FAIL NAME` with the end of the output, and `N passed, N failed, N skipped`.
# Skipped with a reason when Debian's guest or its perf is not in the cache and cannot be fetched.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$1
guests=${2:-build/guest}
cache=${TOLLGATE_CACHE:-.cache}
image=$cache/debian-riscv64/Image
firmware=$cache/debian-firmware/fw_dynamic.bin
limit=300 # seconds: a boot that takes longer hangs

if ! sh guest/linux/fetch.sh || ! sh guest/linux/fetch-perf.sh; then
	skip_all 'no Debian guest, or no perf for it (see the message above)'
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	tail -n 20 "$work/out" | sed 's/^/    /'
}

# The last ecall ends the program and does not retire in Linux.
"$tollgate" run --report "$work/report" --program "$guests/program-loop.elf" || exit 1
expected=$(($(sed -n 's/.*"instret": \([0-9]*\).*/\1/p' "$work/report") - 1))

files=()
while read -r file path; do
	files+=("$cache/debian-perf/$file:$path")
done <"$cache/debian-perf/files"
cat >"$work/measure.sh" <<'END'
event='instructions:u,instructions:k,cycles:u,cycles,dTLB-load-misses,r100:u,r101:u'
perf stat -x, -o /tmp/stat -e $event loop
sed -n 's/^\([0-9]*\),,\([^,]*\),.*,\([0-9.]*\),.*/count \2 \1/p' /tmp/stat
for event in cycles:u instructions:u; do
	perf record -q -e $event -c 100000 -o /tmp/data loop
	echo "samples $event $(perf script -i /tmp/data -F comm,period | grep -c 'loop: *100000 *$\|loop *100000 *$')"
done
perf report -i /tmp/data --stdio 2>/dev/null | awk '$2 == "loop" { print "share", $1, $3; exit }'
# Twelve events share ten counters (eight, cycle and instret); what is not counted all the time is scaled. They take
# turns with the kernel's ticks, of which one loop may be too short to have enough.
perf stat -x, -o /tmp/stat -e cycles -e instructions:u -e instructions -e instructions -e instructions \
	-e instructions -e instructions -e instructions -e instructions -e instructions -e instructions -e instructions \
	sh -c 'for i in 1 2 3 4 5 6 7 8; do loop; loop; loop; loop; loop; done'
echo "shared $(grep -c '^[0-9][0-9]*,,' /tmp/stat)"
END
sh guest/linux/initramfs.sh "$work/perf.cpio" "${files[@]}" "$guests/program-loop.elf:/bin/loop" \
	"$work/measure.sh:/root/measure.sh" || exit 1

# measure ARGUMENT...: runs the script above in a guest.
measure() {
	timeout "$limit" "$tollgate" run -m 512M -i "$work/perf.cpio" "$@" \
		-p 'console=hvc0 quiet tg.run="sh /root/measure.sh"' "$image" </dev/null 2>&1 | tr -d '\r' >"$work/out"
	grep -q '^TOLLGATE-STATUS 0$' "$work/out"
}

value() { sed -n "s/^$1 //p" "$work/out" | head -n 1; }

within() { # VALUE LEAST MOST: prints nothing, or what is wrong
	{ [ -n "$1" ] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; } || echo "${1:-nothing}, not $2 to $3"
}

judge() { # NAME: what the last measurement must have given
	verdict "$1: instructions of the program, exactly" \
		"$(within "$(value 'count instructions:u')" "$expected" "$expected")"
	verdict "$1: cycles of the program, one an instruction" \
		"$(within "$(value 'count cycles:u')" "$expected" "$expected")"
	verdict "$1: instructions of the kernel" "$(within "$(value 'count instructions:k')" 10000 5000000)"
	verdict "$1: cycles of both" "$(within "$(value 'count cycles')" $((expected + 10000)) $((expected + 5000000)))"
	verdict "$1: page walks" "$(within "$(value 'count dTLB-load-misses')" 1 100000)"
	verdict "$1: exceptions in the program" "$(within "$(value 'count r100:u')" 2 100)"
	verdict "$1: interrupts in the program" "$(within "$(value 'count r101:u')" 1 1000)"
	for event in cycles:u instructions:u; do
		verdict "$1: samples of $event" \
			"$(within "$(value "samples $event")" $((expected / 100000)) $((expected / 100000)))"
	done
	# Of 200 samples one or two may meet what comes before the loop, and after.
	verdict "$1: they are the loop's" "$(value share | grep -qE '^(100\.00|99\.[0-9]*)% loop$' || value share)"
	verdict "$1: more events than counters" "$(within "$(value shared)" 12 12)"
}

measure || echo 'the guest did not end well'
judge SBI
measure --deterministic || echo 'the guest did not end well'
judge deterministic
grep -E '^(count|samples)' "$work/out" >"$work/first"
measure --deterministic || echo 'the guest did not end well'
verdict 'deterministic: the same counts again' \
	"$(grep -E '^(count|samples)' "$work/out" | diff "$work/first" - | head -n 1)"
if [ -f "$firmware" ]; then
	measure --firmware "$firmware" || echo 'the guest did not end well'
	judge OpenSBI
else
	skipped=$((skipped + 1))
	echo "skipped: OpenSBI: no $firmware (run guest/linux/fetch-firmware.sh)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
