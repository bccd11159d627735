#!/bin/sh
# fetch-firmware.sh: brings Debian's OpenSBI and U-Boot for riscv64 into the cache.
# SPDX-License-Identifier: BSD-2-Clause
#
#     fetch-firmware.sh            fetch what is not there yet; prints nothing when all is there
#     fetch-firmware.sh --check    exit 0 when all is there, else 1; never uses the network
#     fetch-firmware.sh --force    fetch again
#
# The folder debian-firmware in the cache (see apt-root.sh) then holds
#     fw_dynamic.elf   fw_dynamic.bin   fw_jump.elf   OpenSBI
#     u-boot.bin       u-boot.elf                     U-Boot for M-mode
#     u-boot-s.bin     u-boot-s.elf                   U-Boot for S-mode
#     MANIFEST         packages with versions, files with size
# It appears in one rename when everything in it is complete. Exit statuses: see apt-root.sh.

set -eu

suite=trixie
recipe="1 $suite"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=fetch-firmware
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/apt-root.sh"

is_complete() (
    cd "$1" 2>/dev/null || exit 1
    [ "$(head -n 1 MANIFEST 2>/dev/null)" = "recipe $recipe" ] || exit 1
    want=$(sed -n 's/^file //p' MANIFEST)
    have=$(sed -n 's/^file [^ ]* //p' MANIFEST | xargs stat -c '%s %n' 2>/dev/null) || exit 1
    [ "$want" = "$have" ]
)

# take FILE NAME: moves a file of the packages into the folder.
take() {
    [ -f "$work/tree/$1" ] || apt_root_fail 1 "the packages hold no '$1'"
    mv "$work/tree/$1" "$work/out/$2"
}

fetch() {
    apt_root_open riscv64 "$suite"
    apt_root_say "downloading u-boot-qemu $(apt_root_version u-boot-qemu) and opensbi $(apt_root_version opensbi)"
    mkdir -p "$work/deb" "$work/tree" "$work/out"
    apt_root_download "$work/deb" u-boot-qemu opensbi
    apt_root_unpack "$work/deb" "$work/tree"
    opensbi=usr/lib/riscv64-linux-gnu/opensbi/generic
    for file in fw_dynamic.elf fw_dynamic.bin fw_jump.elf; do
        take "$opensbi/$file" "$file"
    done
    take usr/lib/u-boot/qemu-riscv64/u-boot.bin u-boot.bin
    take usr/lib/u-boot/qemu-riscv64/uboot.elf u-boot.elf
    take usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin u-boot-s.bin
    take usr/lib/u-boot/qemu-riscv64_smode/uboot.elf u-boot-s.elf

    {
        printf 'recipe %s\n' "$recipe"
        apt_root_packages "$work/deb"
        (cd "$work/out" && stat -c 'file %s %n' -- *)
    } >"$work/MANIFEST"
    mv "$work/MANIFEST" "$work/out/MANIFEST"
}

apt_root_cache
apt_root_bring "$cache/debian-firmware" fetch-firmware.sh "$@"
apt_root_say "ready: $(sed -n 's/^package \([^ ]* [^ ]*\) .*/\1/p' "$dest/MANIFEST" | tr '\n' ' ')"
