#!/bin/bash
# kvmtool.sh: the processor time of Debian's boot under the KVM engine and under kvmtool, nested in QEMU.
# SPDX-License-Identifier: BSD-2-Clause
#
#   KVMTOOL=FILE kvmtool.sh [ROUNDS]      FILE: kvmtool's lkvm-static for riscv64; ROUNDS: 5
#
# Each boot is a QEMU of its own, whose processor time counts; what a host that boots nothing takes is taken off. The
# two take turns. Prints each figure, the medians and their ratio. Judges nothing.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."

rounds=${1:-5}
cache=${TOLLGATE_CACHE:-.cache}
host=$cache/debian-riscv64
qemu=$cache/qemu/qemu-system-riscv64
[ -x "${KVMTOOL:-}" ] || {
	echo 'kvmtool.sh: set KVMTOOL to a static riscv64 lkvm' >&2
	exit 2
}
"$qemu" --version >/dev/null
sh guest/linux/fetch.sh --check
make -s cross CACHE="$cache"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/tree/{bin,dev,proc,sys,tmp,lib,root}
cp "$host/busybox" build/cross/tollgate "$work/tree/bin/"
cp "$KVMTOOL" "$work/tree/bin/lkvm"
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
