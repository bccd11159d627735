#!/bin/bash
# linux.sh: boots Debian's riscv64 kernel in Tollgate, every way that users would, and judges what it prints.
# SPDX-License-Identifier: BSD-2-Clause
#
#   linux.sh TOLLGATE [BOOTS]     BOOTS (20) boots in a row on four harts at the end
#
# Prints `ok NAME` or `FAIL NAME` with the end of the output, and `N passed, N failed`. Skipped with a reason when the
# guest is not in the cache and cannot be fetched.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$1
boots=${2:-20}
cache=${TOLLGATE_CACHE:-.cache}
limit=240 # seconds: a boot that takes longer hangs

sh guest/linux/fetch.sh || skip_all 'no Debian guest (see the message above)'
image=$cache/debian-riscv64/Image
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
initrd=$work/initramfs.cpio
sh guest/linux/initramfs.sh "$initrd" || exit 1

verdict_shows() {
	tail -n 15 "$work/out" | sed 's/^/    /'
}

# boot NAME EXPECTED-REGEX STDIN-FILE TOLLGATE-ARGUMENTS...: boots to the end; status 0 and the text are expected.
boot() {
	local name=$1 expected=$2 input=$3 status=0 problem=
	shift 3
	timeout "$limit" "$tollgate" run -m 512M -i "$initrd" "$@" "$image" <"$input" >"$work/out" 2>&1 || status=$?
	if [ $status -ne 0 ]; then
		problem="status $status"
	elif grep -qE "$trouble" "$work/out"; then
		problem="the kernel complains: $(grep -m 1 -E "$trouble" "$work/out")"
	elif ! tr -d '\r' <"$work/out" | grep -qE -- "$expected"; then
		problem="no '$expected' in the output"
	fi
	verdict "$name" "$problem"
}

# shellcheck disable=SC2016 # what stands in single quotes is for the guest
for harts in 1 2 4 64; do
	boot "$harts hart(s) to init" "^online 0(-$((harts - 1)))?\$" /dev/null -c "$harts" \
		-p 'console=hvc0 earlycon=sbi tg.run="echo online $(cat /sys/devices/system/cpu/online)"'
done

# Every line must run, those too that arrive long before the shell does, and the end of input powers off.
{
	for i in $(seq 200); do echo "echo line-$i"; done
	echo 'cat >/tmp/rest'
} >"$work/input"
boot 'piped commands' 'line-200$' "$work/input" -p 'console=hvc0 quiet tg.tty=0'
problem=
count=$(tr -d '\r' <"$work/out" | grep -cE '^line-[0-9]+$|[#$] line-[0-9]+$')
[ "$count" -eq 200 ] || problem="$count of 200 lines ran"
verdict 'no piped line is lost' "$problem"
boot 'an empty input' 'reboot: Power down' /dev/null -p 'console=hvc0 tg.tty=0'

boot 'shell on the UART' '^uart-works$' /dev/null --console serial \
	-p 'console=ttyS0 quiet tg.run="echo uart-works"'
boot 'without the UART' '^alone$' /dev/null --without uart16550a -p 'console=hvc0 quiet tg.run="echo alone"'
boot 'early messages through SBI' 'Linux version 6.*riscv64' /dev/null \
	-p 'console=hvc0 earlycon=sbi tg.init=poweroff'
boot 'the exit status of a command' 'TOLLGATE-STATUS 7' /dev/null -p 'console=hvc0 quiet tg.run="exit 7"'
boot 'power-off by the finisher' 'TOLLGATE-STATUS 0' /dev/null --without sbi-srst --console serial \
	-p 'console=ttyS0 quiet tg.run=true'

"$tollgate" run --dump-dtb "$work/dtb" -m 512M "$image" </dev/null >"$work/out" 2>&1
boot 'a device tree from a file' '^from-file$' /dev/null --dtb "$work/dtb" \
	-p 'console=hvc0 quiet tg.run="echo from-file"'
gzip -1 -c "$image" >"$work/Image.gz"
image=$work/Image.gz boot 'a gzip kernel' '^packed$' /dev/null -p 'console=hvc0 quiet tg.run="echo packed"'

# Work of many kinds: processes, pipes, files, signals, floating point, all on four harts.
cat >"$work/work.sh" <<'END'
for i in 1 2 3 4; do
	( for j in 1 2 3 4 5 6 7 8 9 10; do seq 1 500 | sort -n | md5sum; done | uniq -c >/tmp/sum.$i ) &
done
wait
cat /tmp/sum.* | sort -u | wc -l
awk 'BEGIN { s = 0; for (i = 1; i < 20000; i++) s += 1 / (i * i); printf "sum %.6f\n", s }'
dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
gzip -c /tmp/data | gzip -dc | cmp - /tmp/data && echo data-equal
END
sh guest/linux/initramfs.sh "$work/work.cpio" "$work/work.sh:/root/work.sh" || exit 1
initrd=$work/work.cpio boot 'work on four harts' '^data-equal$' /dev/null -c 4 \
	-p 'console=hvc0 quiet tg.run="sh /root/work.sh"'
problem=
tr -d '\r' <"$work/out" | grep -qE '^sum 1.644884$' || problem='floating point is off'
[ "$(tr -d '\r' <"$work/out" | grep -cE '^1$')" -eq 1 ] || problem='the four sums differ'
verdict 'the results of that work' "$problem"

status=0
# shellcheck disable=SC2016
printf 'echo make-run-$((6 * 7))\n' | timeout "$limit" make -s run >"$work/out" 2>&1 || status=$?
problem=
[ $status -eq 0 ] || problem="status $status"
grep -q 'make-run-42' "$work/out" || problem="${problem:-the piped command did not run}"
verdict 'make run with piped commands' "$problem"

status=0 problem=
bash tests/guest/boots.sh "$tollgate" "$boots" >"$work/out" 2>&1 || status=$?
grep -q '^1 passed, 0 failed$' "$work/out" || problem="status $status: $(grep -m 1 '^FAIL' "$work/out")"
verdict "$boots boots in a row on four harts" "$problem"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
