#!/bin/sh
# run.sh: `make run`: installs what is missing, builds, obtains a Debian guest and boots it to a shell.
# SPDX-License-Identifier: BSD-2-Clause
#
#     run.sh [OPTION...]     options for `tollgate run`, after those given here (later ones win)
#
# Without a network, and with nothing in the cache, the in-tree guest kernel boots instead.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
top=$(CDPATH='' cd -- "$here/../.." && pwd)
cd "$top"
build=${B:-build}
cache=${TOLLGATE_CACHE:-.cache}

say() { printf 'run: %s\n' "$*" >&2; }

sh tests/tools/setup.sh run >&2 || say "going on without; the build will say what it misses"
say "building $build/tollgate"
make -s -j"$(nproc)" B="$build" all >&2

status=0
sh guest/linux/fetch.sh >&2 || status=$?
if [ "$status" -ne 0 ]; then
	say "Debian's kernel could not be had (see above); booting the in-tree guest kernel instead"
	if ! make -s B="$build" "$build/guest/kernel.elf" >&2; then
		say "that needs a RISC-V compiler: install Debian's gcc-riscv64-unknown-elf"
		exit "$status"
	fi
	exec "$build/tollgate" run --console sbi -p tg.shell "$@" "$build/guest/kernel.elf"
fi

initrd=$build/initramfs.cpio
if [ -z "$(find "$initrd" -newer guest/linux/init -newer guest/linux/initramfs.sh \
	-newer "$cache/debian-riscv64/MANIFEST" 2>/dev/null)" ]; then
	say "packing $initrd"
	sh guest/linux/initramfs.sh "$initrd" >&2
fi

# A pipe is no terminal: the guest's shell then neither echoes nor edits.
append="console=hvc0 earlycon=sbi"
[ -t 0 ] || append="$append quiet tg.tty=0"
say "$build/tollgate run -i $initrd -p '$append' $* $cache/debian-riscv64/Image"
exec "$build/tollgate" run -i "$initrd" -p "$append" "$@" "$cache/debian-riscv64/Image"
