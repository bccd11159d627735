#!/bin/sh
# linux.sh: compiles the workloads for a Linux guest and packs them into an initramfs, as /bench.
# SPDX-License-Identifier: BSD-2-Clause
#
#     linux.sh OUT.cpio [FILE:PATH]...     also packs files of the host at paths of the guest
set -eu
cd "$(dirname "$0")/../.."
out=$1
shift
cache=${TOLLGATE_CACHE:-.cache}
sh tests/tools/cross.sh
sh guest/linux/fetch.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cache/cross/bin/riscv64-linux-gnu-gcc" -I. -std=gnu11 -O2 -static -D_GNU_SOURCE -Wall -Wextra -Werror \
	-o "$work/bench" tests/bench/linux/*.c -lm
sh guest/linux/initramfs.sh "$out" "$work/bench:/bench" "$@"
