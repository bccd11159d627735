#!/bin/sh
# fetch.sh: brings Debian's kernel for guests, its virtio modules and a static busybox into the cache.
# SPDX-License-Identifier: BSD-2-Clause
#
#     fetch.sh [amd64]            fetch what is not there yet; prints nothing when all is there
#     fetch.sh [amd64] --check    exit 0 when all is there, else 1; never uses the network
#     fetch.sh [amd64] --force    fetch again (a newer kernel may have come)
#
# The folder debian-riscv64 or debian-amd64 in the cache (see apt-root.sh) then holds
#     Image        the kernel as Debian ships it: a raw, uncompressed Image; for amd64 a bzImage
#     config       the options that it was built with
#     busybox      static
#     modules/     the modules, decompressed, and `deps`: lines "name: its dependencies, in the order to load them"
#     host/        the same for kvm: not for guests of ours, but for that kernel as our host (tests/guest/kvm-nested.sh,
#                  kvm-x86.sh)
#     MANIFEST     packages with versions, files with size and SHA-256
# It appears in one rename when everything in it is complete. Exit statuses: see apt-root.sh.

set -eu

suite=trixie
modules='virtio_mmio virtio_blk virtio_net virtio-rng virtio_balloon'
arch=riscv64
host_modules=kvm
if [ "${1:-}" = amd64 ]; then
    arch=amd64
    host_modules=kvm-amd
    shift
fi
# What the folder holds; a cache that another recipe made is fetched anew.
recipe="1 $suite $modules"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=fetch
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/apt-root.sh"

# The sizes tell a truncated file at once; checksums of the kernel would take longer than everything else.
is_complete() (
    cd "$1" 2>/dev/null || exit 1
    [ "$(head -n 1 MANIFEST 2>/dev/null)" = "recipe $recipe" ] || exit 1
    # Not in the recipe: a cache that has more than an older version of this script wants serves that one too.
    [ -f host/deps ] || exit 1
    want=$(sed -n 's/^file [^ ]* //p' MANIFEST)
    have=$(sed -n 's/^file [^ ]* [^ ]* //p' MANIFEST | xargs stat -c '%s %n' 2>/dev/null) || exit 1
    [ "$want" = "$have" ]
)

# module_path TREE NAME: the file of a module, whose name may spell '-' as '_'.
module_path() {
    find "$1" -name '*.ko*' | awk -F/ -v name="$2" '
        BEGIN { gsub(/-/, "_", name) }
        { file = $NF; sub(/\.ko.*/, "", file); gsub(/-/, "_", file) }
        file == name { print; exit }'
}

# take_module TREE NAME DIR: stores a module after the ones that it depends on, and appends them to $order.
take_module() {
    case " $order " in
    *" $2 "*) return ;;
    esac
    file=$(module_path "$1" "$2")
    [ -n "$file" ] || apt_root_fail 1 "the kernel package holds no module '$2'"
    case $file in
    *.xz) xz -dc "$file" ;;
    *.gz) gzip -dc "$file" ;;
    *.zst) zstd -dcq "$file" ;;
    *) cat "$file" ;;
    esac >"$work/out/$3/$2.ko" || apt_root_fail 1 "cannot decompress module '$2'"
    for dependency in $(tr '\0' '\n' <"$work/out/$3/$2.ko" | sed -n 's/^depends=//p' | tr ',' ' '); do
        take_module "$1" "$dependency" "$3"
    done
    order="$order $2"
}

# take_modules DIR NAMES: these modules with their dependencies, and the list of those.
take_modules() {
    for module in $2; do
        order=
        take_module "$work/tree" "$module" "$1"
        printf '%s:%s\n' "$module" "${order% "$module"}" >>"$work/out/$1/deps"
    done
}

fetch() {
    apt_root_need xz=xz-utils
    apt_root_open "$arch" "$suite"
    kernel=$(apt_root_depend "linux-image-$arch" linux-image-)
    [ -n "$kernel" ] || apt_root_fail 4 "the mirror's list of $suite names no kernel for $arch"

    apt_root_say "downloading $kernel $(apt_root_version "$kernel") (about 110 MB) and busybox-static"
    mkdir -p "$work/deb" "$work/tree" "$work/out/modules" "$work/out/host"
    apt_root_download "$work/deb" "$kernel" busybox-static

    apt_root_say "unpacking"
    apt_root_unpack "$work/deb" "$work/tree"
    set -- "$work"/tree/boot/vmlinu[xz]-*
    { [ $# -eq 1 ] && [ -f "$1" ]; } || apt_root_fail 1 "the kernel package holds no kernel, or several"
    mv "$1" "$work/out/Image"
    mv "$work"/tree/boot/config-* "$work/out/config"
    for file in "$work/tree/usr/bin/busybox" "$work/tree/bin/busybox"; do
        [ ! -f "$file" ] || mv "$file" "$work/out/busybox"
    done
    [ -f "$work/out/busybox" ] || apt_root_fail 1 "the busybox package holds no busybox"
    take_modules modules "$modules"
    take_modules host "$host_modules"

    {
        printf 'recipe %s\n' "$recipe"
        apt_root_packages "$work/deb"
        (cd "$work/out" && find . -type f | LC_ALL=C sort) | while read -r file; do
            file=${file#./}
            printf 'file %s %s %s\n' "$(sha256sum <"$work/out/$file" | cut -d ' ' -f 1)" \
                "$(stat -c %s "$work/out/$file")" "$file"
        done
    } >"$work/MANIFEST"
    mv "$work/MANIFEST" "$work/out/MANIFEST"
    sync -d "$work/out/Image" "$work/out/MANIFEST" 2>/dev/null || :
}

apt_root_cache
apt_root_bring "$cache/debian-$arch" 'fetch.sh [amd64]' "$@"
apt_root_say "ready: $(du -sh "$dest" | cut -f 1) in ${dest##*/} ($kernel)"
