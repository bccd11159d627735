#!/bin/bash
# kvmtool.sh: the processor time of Debian's boot under the KVM engine and under kvmtool, nested in QEMU.
# SPDX-License-Identifier: BSD-2-Clause
#
#   KVMTOOL=FILE kvmtool.sh [ROUNDS]      FILE: kvmtool's lkvm-static for riscv64; ROUNDS: 5, an odd number
#
# Debian has no package of kvmtool for riscv64. Its own INSTALL says how it is cross compiled; a static libfdt, which
# it needs, comes with the compiler of tests/tools/cross.sh. QEMU: tests/tools/qemu.sh; Debian's kernel and busybox:
# guest/linux/fetch.sh. A round takes about 20 seconds of processor time.
#
# Each boot is a QEMU of its own, whose processor time counts; what a host that boots nothing takes is taken off. The
# two take turns. Prints each figure, the medians and their ratio. Judges nothing. Status: 0; 1 when one did not boot; 2
# when something is missing.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

rounds=${1:-5}
cache=${TOLLGATE_CACHE:-.cache}
host=$cache/debian-riscv64
qemu=$cache/qemu/qemu-system-riscv64
missing() {
	echo "kvmtool.sh: $1" >&2
	exit 2
}
case $rounds in
*[13579]) ;;
*) missing "'$rounds' is not an odd number of rounds" ;;
esac
[ -f "${KVMTOOL:-}" ] || missing 'set KVMTOOL to a static riscv64 lkvm (see the head of this script)'
# An ELF file's machine is in bytes 18 and 19: 243 is RISC-V.
[ "$(od -An -tu1 -j18 -N2 "$KVMTOOL" | tr -s ' ')" = ' 243 0' ] || missing "$KVMTOOL is no riscv64 program"
"$qemu" --version >/dev/null 2>&1 || missing 'there is no QEMU in the cache; tests/tools/qemu.sh fetches it'
sh guest/linux/fetch.sh --check || missing "Debian's kernel is not in the cache; guest/linux/fetch.sh fetches it"
make -s cross CACHE="$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/tree/{bin,dev,proc,sys,tmp,lib,root}
cp "$host/busybox" build/cross/tollgate "$work/tree/bin/"
cp "$KVMTOOL" "$work/tree/bin/lkvm"
chmod 0755 "$work/tree/bin/lkvm"
for applet in sh mount insmod poweroff; do
	ln -s busybox "$work/tree/bin/$applet"
done
cp "$host"/host/*.ko "$work/tree/lib/"
cp "$host/Image" "$work/tree/Image"
sh guest/linux/initramfs.sh "$work/tree/initramfs.cpio"
cat >"$work/tree/init" <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
insmod /lib/kvm.ko
export HOME=/root
words="console=hvc0 quiet tg.init=poweroff"
read -r cmdline </proc/cmdline
case $cmdline in
*boot=tollgate*) tollgate run --engine kvm -m 256M -i initramfs.cpio -p "$words" Image ;;
*boot=kvmtool*) lkvm run -k Image -i initramfs.cpio -m 256 -c 1 --console virtio -n mode=none -p "$words" ;;
*) echo TOLLGATE-INIT-OK ;;
esac
poweroff -f
INIT
chmod 0755 "$work/tree/init"
(cd "$work/tree" && find . | cpio -o -H newc --quiet) >"$work/initrd"

TIMEFORMAT='%U %S'
boot() { # WHICH: its processor seconds
	local times
	times=$({ time "$qemu" -M virt -cpu rv64,h=true -smp 1 -m 1G -display none -nodefaults -no-reboot \
		-serial "file:$work/log" -kernel "$host/Image" -initrd "$work/initrd" \
		-append "console=ttyS0 quiet panic=-1 PATH=/bin boot=$1" </dev/null >/dev/null 2>&1; } 2>&1)
	grep -aq TOLLGATE-INIT-OK "$work/log" || {
		echo "kvmtool.sh: $1 did not boot" >&2
		tail -n 5 "$work/log" >&2
		exit 1
	}
	echo "$times" | awk '{ print $1 + $2 }'
}

for _ in $(seq "$rounds"); do
	for which in nothing tollgate kvmtool; do
		seconds=$(boot "$which")
		echo "$which $seconds"
	done
done | tee "$work/figures"
median() { awk -v which="$1" '$1 == which { print $2 }' "$work/figures" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
awk -v base="$(median nothing)" -v ours="$(median tollgate)" -v theirs="$(median kvmtool)" 'BEGIN {
	printf "medians: tollgate %.2f s, kvmtool %.2f s, ratio %.2f\n", ours - base, theirs - base, (ours - base) / (theirs - base) }'
