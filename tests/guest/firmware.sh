#!/bin/bash
# firmware.sh: M-mode starts: OpenSBI with kernels behind it, and U-Boot in M-mode and in S-mode.
# SPDX-License-Identifier: BSD-2-Clause
#
#   firmware.sh TOLLGATE [GUESTS]     (default GUESTS: build/guest)
#
# Uses the host's OpenSBI (--firmware opensbi), and OpenSBI, U-Boot and Debian's kernel of the cache. What is not there
# is skipped with its reason. Prints `ok NAME` or `FAIL NAME` with the end of the output, and
# `N passed, N failed, N skipped`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

tollgate=$1
guests=${2:-build/guest}
cache=${TOLLGATE_CACHE:-.cache}
firmware=$cache/debian-firmware
image=$cache/debian-riscv64/Image
limit=120 # seconds: a boot that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	tail -n 15 "$work/out" | sed 's/^/    /'
}

skip() { # NAME REASON
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

# guest NAME STATUS INPUT ARGUMENT... -- REGEX...: a run that ends with STATUS and prints a line of each kind.
guest() {
	local name=$1 want=$2 input=$3 status=0 problem='' args=() regex
	shift 3
	while [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	printf '%b' "$input" | timeout "$limit" "$tollgate" run "${args[@]}" >"$work/raw" 2>"$work/err"
	status=${PIPESTATUS[1]}
	cat "$work/err" "$work/raw" | tr -d '\r' >"$work/out"
	[ "$status" -eq "$want" ] || problem="status $status, not $want"
	for regex in "$@"; do
		[ -n "$problem" ] || grep -qaE -- "$regex" "$work/out" || problem="no '$regex' in the output"
	done
	verdict "$name" "$problem"
}

# opensbi NAME ARGUMENT...: everything that is expected of an OpenSBI.
opensbi() {
	local name=$1 harts
	shift
	for harts in 1 2 4; do
		guest "$name starts a kernel on $harts hart(s)" 0 '' -m 128M -c "$harts" --firmware "$@" "$guests/hello.elf" -- \
			'^OpenSBI v' '^Platform Timer Device +: aclint-mtimer' '^Platform IPI Device +: aclint-mswi' \
			"^Platform HART Count +: $harts\$" '^Hello from S-mode\.$' 'tollgate: .*no policy applies'
	done
	guest "$name and Tollgate's exit service" 42 '' --raw --firmware "$@" "$work/bell" -- '^OpenSBI v'
	if [ ! -f "$work/initramfs.cpio" ]; then
		skip "$name boots Debian" 'no Debian guest (run guest/linux/fetch.sh)'
		return
	fi
	for harts in 1 2; do
		guest "$name boots Debian on $harts hart(s)" 0 '' -m 512M -c "$harts" -i "$work/initramfs.cpio" \
			-p 'console=hvc0 earlycon=sbi tg.init=poweroff' --firmware "$@" "$image" -- '^OpenSBI v' \
			'^TOLLGATE-INIT-OK$' 'reboot: Power down'
	done
}

# u_boot NAME ARGUMENT...: U-Boot to its prompt. The first key stops its countdown.
u_boot() {
	local name=$1
	shift
	guest "$name" 0 ' \necho prompt-works\nversion\npoweroff\n' --console serial "$@" -- '^=> version' \
		'^prompt-works$' '^U-Boot 20[0-9][0-9]\.'
}

[ -e "$guests/hello.elf" ] || skip_all "no guests in '$guests' (run 'make guests')"

# Rings the doorbell for Tollgate's exit service, with status 42 (guest/abi/tg.h):
#   lui t0, 0x102; li t1, 42; sd t1, 0(t0); sd zero, 0x30(t0); li t1, 0x08544701; sd t1, 0x38(t0); sd t1, 0x40(t0); j .
printf '%b' '\xb7\x22\x10\x00\x13\x03\xa0\x02\x23\xb0\x62\x00\x23\xb8\x02\x02\x37\x43\x54\x08' \
	'\x1b\x03\x13\x70\x23\xbc\x62\x02\x23\xb0\x62\x04\x6f\x00\x00\x00' >"$work/bell"
guest "Tollgate's exit service from M-mode" 42 '' --raw --firmware "$work/bell" -- 'tollgate: .*no policy applies'

if sh guest/linux/fetch.sh --check; then
	sh guest/linux/initramfs.sh "$work/initramfs.cpio" || exit 1
fi

if [ -f /usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin ]; then
	opensbi "the host's OpenSBI" opensbi
else
	skip "the host's OpenSBI" "Debian's package opensbi is not installed"
fi
if sh guest/linux/fetch-firmware.sh --check; then
	opensbi "trixie's OpenSBI" "$firmware/fw_dynamic.bin"
	u_boot 'U-Boot in M-mode' --raw --firmware "$firmware/u-boot.bin"
	u_boot 'U-Boot in M-mode on 2 harts' -c 2 --raw --firmware "$firmware/u-boot.bin"
	u_boot 'U-Boot in S-mode under OpenSBI' --raw --firmware "$firmware/fw_dynamic.bin" "$firmware/u-boot-s.bin"
	u_boot 'U-Boot in S-mode on 2 harts under OpenSBI' -c 2 --raw --firmware "$firmware/fw_dynamic.bin" \
		"$firmware/u-boot-s.bin"
	u_boot 'U-Boot as a kernel, raw' --raw "$firmware/u-boot-s.bin"
	u_boot 'U-Boot as a kernel, ELF' -c 2 "$firmware/u-boot-s.elf"
	truncate -s 32M "$work/flash"
	guest 'U-Boot erases and programs flash' 0 \
		' \nmw.l 80400000 12345678 10; erase 20000000 2003ffff; cp.b 80400000 20000000 40; md.l 20000020 9; poweroff\n' \
		--device "cfi-flash,file=$work/flash" --raw --firmware "$firmware/u-boot.bin" -- \
		'^20000030: 12345678 12345678 12345678 12345678' '^20000040: ffffffff'
	problem=
	[ "$(od -An -v -tx4 -j 60 -N 8 "$work/flash")" = ' 12345678 ffffffff' ] || problem='the file is not changed'
	verdict 'the flash is in its file' "$problem"
else
	skip "trixie's OpenSBI and U-Boot" 'not in the cache (run guest/linux/fetch-firmware.sh)'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
