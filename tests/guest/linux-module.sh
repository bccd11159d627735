#!/bin/bash
# linux-module.sh: the Linux module in Debian's kernel: its terminal, its device, its calls, and machines without them.
# SPDX-License-Identifier: BSD-2-Clause
#
#   linux-module.sh TOLLGATE
#
# Prints `ok NAME` or `FAIL NAME` with the end of the output, and `N passed, N failed`. Skipped with a reason when the
# kernel, its headers or the compiler are not in the cache and cannot be fetched.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
	echo 'usage: linux-module.sh TOLLGATE' >&2
	exit 2
fi
tollgate=$1
cache=${TOLLGATE_CACHE:-.cache}
limit=240 # seconds: a boot that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	tail -n 30 "$work/out" | sed 's/^/    /'
}

status=0
sh guest/linux/module.sh --fetch 2>"$work/out" || status=$?
case $status in
0) ;;
3 | 4) skip_all "what the module is built with cannot be had: $(grep -m 1 error: "$work/out")" ;;
*)
	verdict 'fetching' "status $status"
	exit 1
	;;
esac
status=0
WERROR=-Werror sh guest/linux/module.sh "$work/tollgate.ko" >"$work/out" 2>&1 || status=$?
verdict 'the module compiles without a warning' "$([ $status -eq 0 ] || echo "status $status")$(cat "$work/out")"
status=0
"$cache/cross/bin/riscv64-linux-gnu-gcc" -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror -static -I. \
	-o "$work/tgcall" guest/linux/tgcall.c >"$work/out" 2>&1 || status=$?
verdict 'the program compiles without a warning' "$([ $status -eq 0 ] || echo "status $status")"
[ $failed -eq 0 ] || exit 1

# What the guest says goes to the terminal of virtio, and what the module prints among it. A module is in use until the
# kernel's worker threads have closed the terminal for good, so `out` tries until it goes.
cat >"$work/lib.sh" <<'END'
out() { until rmmod tollgate 2>/dev/null; do usleep 10000; done; }
tg() { # NAME ARGUMENT...: one line with what the program says
	name=$1
	shift
	echo "$name: $(/root/tgcall "$@" 2>&1 | tr '\n' ' ')"
}
END
cat >"$work/all.sh" <<'END'
. /root/lib.sh
insmod /root/tollgate.ko || exit 1
sed 's/^/device: /' /dev/tollgate
echo "sysfs: $(cat /sys/class/misc/tollgate/version) $(cat /sys/class/misc/tollgate/features)"
echo "mode: $(stat -c '%a %U' /dev/tollgate)"
echo plain >/dev/tollgate
printf '<3>urgent\n<7>detail\n\nno end' >/dev/tollgate
printf 'a long line: %01500d\n' 7 >/dev/tollgate
seq 3000 | sed 's/.*/row & of many/' >/dev/tollgate
echo by-terminal >/dev/ttyTG0
tg null 0x08544700 0
tg name -o 64 0x08544700 3
tg short -o 8 0x08544700 3
tg supports 0x08544700 2 0x08544702 2
tg absent 0x08544700 2 0x08544799 0
tg log -i 'by ioctl' 0x08544702 2 4
tg level -i 'no such level' 0x08544702 2 9
tg address 0x08544702 0 8 0x80000000 0
tg needless -i text 0x08544700 0
tg long -o 65537 0x08544707 0
tg longest -i "$(printf '%0512d' 1)" 0x08544702 2 7
tg sbi 0x4442434e 0
tg batch 0x08544705 0 1 0x80000000
tg string 0x08544702 3 0x80000000
tg wait 0x08544706 1 0
tg policy -o 8 0x08544707 0
printf 'Forged\n' | tee /dev/tollgate >/dev/null
printf 'escape \033[2J\n' >/dev/tollgate
chmod 666 /dev/tollgate
echo "others: $(busybox su -s /bin/sh nobody -c 'echo forbidden >/dev/tollgate' 2>&1)"
rmmod tollgate 2>/dev/null || out
[ ! -e /dev/tollgate ] && [ ! -e /dev/ttyTG0 ] && echo 'gone: both'
insmod /root/tollgate.ko console=1 || exit 2
grep -o '^ttyTG0 .*(E' /proc/consoles
echo '<2>by-kernel' >/dev/kmsg
out
for i in 1 2 3 4 5 6 7 8; do
	insmod /root/tollgate.ko || exit 3
	echo "again $i" >/dev/tollgate
	out
done
echo 'cycles: 8'
END
cat >"$work/absent.sh" <<'END'
insmod /root/tollgate.ko
echo "insmod: $?"
[ -e /dev/tollgate ] || echo 'gone: device'
grep -q tollgate /proc/modules || echo 'gone: module'
dmesg | grep 'tollgate: this machine'
END
cat >"$work/denied.sh" <<'END'
. /root/lib.sh
insmod /root/tollgate.ko || exit 1
echo refused >/dev/tollgate
echo "write: $?"
tg log -i text 0x08544702 2 4
echo still-there >/dev/ttyTG0
out
END
cat >"$work/files.sh" <<'END'
. /root/lib.sh
insmod /root/tollgate.ko || exit 1
tg open -i data/greeting 0x08544704 0 -100 0 0
tg read -o 5 0x08544704 4 0 0 0 0 4
tg missing -i data/nothing 0x08544704 0 -100 0 0
tg close 0x08544704 1 0
END
# Programs on all harts, into lines that must not mix.
cat >"$work/harts.sh" <<'END'
. /root/lib.sh
insmod /root/tollgate.ko || exit 1
for i in 1 2 3 4; do
	(
		j=0
		while [ $j -lt 50 ]; do
			echo "process $i line $j end" >/dev/tollgate
			echo "terminal $i line $j end" >/dev/ttyTG0
			j=$((j + 1))
		done
	) &
done
wait
out
END
cat >"$work/shell.sh" <<'END'
. /root/lib.sh
insmod /root/tollgate.ko || exit 1
grep -o '^ttyTG0 .*(EC' /proc/consoles
setsid -c sh -i </dev/ttyTG0 >/dev/ttyTG0 2>&1
echo "shell: $?"
END

image=$cache/debian-riscv64/Image
initrd=$work/initramfs.cpio
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$work/passwd"
sh guest/linux/initramfs.sh "$initrd" "$work/tollgate.ko:/root/tollgate.ko" "$work/tgcall:/root/tgcall" \
	"$work/lib.sh:/root/lib.sh" "$work/all.sh:/root/all.sh" "$work/absent.sh:/root/absent.sh" \
	"$work/denied.sh:/root/denied.sh" "$work/harts.sh:/root/harts.sh" "$work/shell.sh:/root/shell.sh" \
	"$work/files.sh:/root/files.sh" "$work/passwd:/etc/passwd" || exit 1

# boot NAME SCRIPT INPUT-FILE ARGUMENTS...: to the end, with status 0; leaves out, and the trace.
boot() {
	local name=$1 script=$2 input=$3 problem=
	shift 3
	status=0
	timeout "$limit" "$tollgate" run -m 512M -i "$initrd" --trace calls --trace-file "$work/trace" \
		-p "console=hvc0 quiet ${append:-} tg.run=\"sh /root/$script.sh\"" "$@" "$image" <"$input" >"$work/raw" 2>&1 ||
		status=$?
	tr -d '\r' <"$work/raw" >"$work/out"
	if [ $status -ne 0 ]; then
		problem="status $status"
	elif grep -qE "$trouble" "$work/out"; then
		problem="the kernel complains: $(grep -m 1 -E "$trouble" "$work/out")"
	elif ! grep -q '^TOLLGATE-STATUS 0$' "$work/out"; then
		problem='the script failed'
	fi
	verdict "$name" "$problem"
}

# has NAME REGEX [FILE]: a line of the output, or of the trace.
has() {
	verdict "$1" "$(grep -qE -- "$2" "$work/${3:-out}" || echo "no '$2' in the ${3:-out}")"
}

line='^\[ *[0-9]+\.[0-9]{6}\] hart[0-9]+'

boot 'every use of the module' all /dev/null -c 2
has 'the device names the monitor' '^device: monitor Tollgate [0-9]'
has 'the device names the services' '^device: services base exit console clock'
has 'sysfs' '^sysfs: [0-9]+\.[0-9]+ 0x[0-9a-f]+$'
has 'only root may open it' '^mode: 600 root$'
has 'a line of the log' "$line info: plain\$"
has 'a level in front' "$line err: urgent\$"
has 'another level' "$line debug: detail\$"
has 'an empty line' "$line info: \$"
has 'a line without an end' "$line info: no end\$"
has 'a long line begins' "$line info: a long line: 0{1011}\$"
has 'a long line ends' "$line info: 0{488}7\$"
verdict 'many lines, none cut' "$(grep -E "$line info: row " "$work/out" | sed 's/.*info: //' |
	cmp - <(seq 3000 | sed 's/.*/row & of many/') 2>&1)"
has 'control characters are shown' "$line info: escape .x1b\[2J\$"
has 'the terminal' '^by-terminal$'
has 'ioctl: null' '^null: error 0 value 0x0 $'
has 'ioctl: a buffer is filled' '^name: Tollgate [0-9.]+ error 0 value 0x[0-9a-f]+ $'
has 'ioctl: a short buffer' '^short: Tollgate error 0 value 0x8 $'
has 'ioctl: arguments' '^supports: error 0 value 0x1 $'
has 'ioctl: a service that is not there' '^absent: error 0 value 0x0 $'
has 'ioctl: a buffer is read' "$line warning: by ioctl\$"
has 'ioctl: the error of a call' '^level: error -3 value 0x0 $'
has 'ioctl: the refusal of a policy' '^policy: .*error -4 value'
has 'ioctl: an address is no buffer' '^address: tgcall: .*Invalid argument'
has 'ioctl: a needless buffer' '^needless: tgcall: .*Invalid argument'
has 'ioctl: a buffer too long' '^long: tgcall: .*Invalid argument'
has 'ioctl: another extension' '^sbi: tgcall: .*not supported'
has 'ioctl: a batch' '^batch: tgcall: .*not supported'
has 'ioctl: a string' '^string: tgcall: .*not supported'
has 'ioctl: a call that waits' '^wait: tgcall: .*not supported'
has 'others are refused' '^others: .*(Operation not permitted|Permission denied)'
verdict 'and write nothing' "$(grep -m 1 'info: forbidden' "$work/out")"
has 'rmmod takes both away' '^gone: both$'
has 'a console of the kernel' '^ttyTG0 .*E'
has 'what the kernel prints' '^\[ *[0-9.]+\] by-kernel$'
has 'loaded again and again' '^cycles: 8$'
has 'the trace has the lines' 'tg\.console\.log\(6, 5, "plain"\)' trace
has 'the trace has the kernel' 'tg\.console\.write\([0-9]+, "\[.*by-kernel' trace

boot 'a machine without tg-console' absent /dev/null --without tg-console
has 'no module there' '^insmod: [1-9]'
has 'no device there' '^gone: device$'
has 'not even half of it' '^gone: module$'
has 'the reason is told' 'this machine does not have tg\.console'
has 'insmod says ENODEV' "can't insert '/root/tollgate.ko': No such device"
boot 'a machine without tg-base' absent /dev/null --without tg-base
has 'that reason is told' 'this machine does not have tg\.base'

boot 'a policy that refuses the log' denied /dev/null --deny tg.console.log
has 'a write is refused' 'write error: Operation not permitted'
has 'with a status' '^write: 1$'
has 'a call is answered DENIED' '^log: error -4 value 0x0 $'
has 'the terminal stays' '^still-there$'

mkdir "$work/data"
echo '0123Hello, file' >"$work/data/greeting"
echo '{"version": 1, "default": "allow", "files": [{"name": "data", "path": "'"$work/data"'", "read": true}]}' \
	>"$work/policy.json"
boot 'files of the host' files /dev/null --policy "$work/policy.json"
has 'one is opened' '^open: error 0 value 0x0 $'
has 'and read at a place' '^read: Hello error 0 value 0x5 $'
has 'one that is not there' '^missing: error -[0-9]+ value 0x2 $'
has 'and closed' '^close: error 0 value 0x0 $'

boot 'four harts' harts /dev/null -c 4
verdict 'no line is lost or mixed' "$(
	# A terminal's line goes out in two parts, so a line of the log may stand behind the first.
	n=$(grep -cE "${line#^} info: process [1-4] line [0-9]+ end\$" "$work/out")
	[ "$n" -eq 200 ] || echo "$n lines of 200"
	n=$(grep -cE 'tg\.console\.write\([0-9]+, "terminal [1-4] line [0-9]+ end' "$work/trace")
	[ "$n" -eq 200 ] || echo "$n writes of 200"
)"

# Typed before the terminal exists: the monitor keeps it.
# shellcheck disable=SC2016 # for the guest
printf 'echo product-$((6 * 7))\nexit 5\n' >"$work/input"
append='console=ttyTG0' boot 'a shell on the terminal' shell "$work/input" --console sbi
has 'the command line names the console' '^ttyTG0 .*\(EC'
has 'what is typed arrives' 'product-42$'
has 'and its end' '^shell: 5$'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
