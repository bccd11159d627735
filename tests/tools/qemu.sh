#!/bin/sh
# qemu.sh: brings a QEMU 10 into the cache, without installing anything on the machine.
# SPDX-License-Identifier: BSD-2-Clause
#
#     qemu.sh [x86]            fetch it unless it is there; prints nothing when it is
#     qemu.sh [x86] --check    exit 0 when it is there and runs, else 1; never uses the network
#     qemu.sh [x86] --force    fetch it again
#
# The folder qemu in the cache (see guest/linux/apt-root.sh) then holds the programs qemu-system-riscv64 and
# qemu-system-riscv32, the folder qemu-x86 qemu-system-x86_64 (they start QEMU with its own libraries, data and
# firmware), the packages' files under root/, and
# MANIFEST, the packages with their versions. Libraries that this machine has already are taken from it. The folder
# appears in one rename, after the program in it has run. Exit statuses: see apt-root.sh.

set -eu

recipe=1
folder=qemu
package=qemu-system-riscv
firmware=opensbi
programs='qemu-system-riscv64 qemu-system-riscv32'
if [ "${1:-}" = x86 ]; then
    recipe=x86-1
    folder=qemu-x86
    package=qemu-system-x86
    firmware=seabios
    programs=qemu-system-x86_64
    shift
fi
program=${programs%% *}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=qemu
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/../../guest/linux/apt-root.sh"

# A library of the machine may have gone since, so the program itself has to answer.
is_complete() {
    [ "$(head -n 1 "$1/MANIFEST" 2>/dev/null)" = "recipe $recipe" ] &&
        "$1/$program" --version >/dev/null 2>&1
}

# The folder moves by a rename, so the program finds its files from its own place.
write_wrapper() {
    cat >"$1" <<'WRAPPER'
#!/bin/sh
# Starts QEMU from the cache with its own libraries and data.
set -eu
top=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)/root
LD_LIBRARY_PATH=$top/usr/lib/@TRIPLET@:$top/lib/@TRIPLET@${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
QEMU_MODULE_DIR=$top/usr/lib/@TRIPLET@/qemu
export LD_LIBRARY_PATH QEMU_MODULE_DIR
exec "$top/usr/bin/${0##*/}" -L "$top/usr/share/qemu" -L "$top/usr/share/seabios" "$@"
WRAPPER
    sed -i "s|@TRIPLET@|$triplet|g" "$1"
    chmod 0755 "$1"
}

fetch() {
    arch=$(dpkg --print-architecture)
    release=$(apt_root_release)
    target=$release
    case $release in
    bookworm)
        # QEMU 10 came to this release through its backports.
        target=bookworm-backports
        apt_root_open "$arch" bookworm bookworm-backports
        ;;
    *) apt_root_open "$arch" "$release" ;;
    esac
    apt_root_local

    mkdir -p "$work/deb" "$work/out/root"
    apt_root_say "downloading QEMU $(apt_root_version "$package") and the libraries that are not here (about 20 MB)"
    apt_root_closure "$work/deb" "$target" "$package" qemu-system-common qemu-system-data "$firmware"
    set -- "$work/deb/${package}"_*.deb
    [ -f "$1" ] || apt_root_fail 1 "the package $package did not come"

    apt_root_say "unpacking"
    apt_root_unpack "$work/deb" "$work/out/root"
    # Links to absolute paths would lead to the machine's own files, or nowhere.
    find "$work/out/root" -type l | while read -r link; do
        to=$(readlink "$link")
        case $to in
        /*) [ ! -e "$work/out/root$to" ] || ln -sfrn "$work/out/root$to" "$link" ;;
        esac
    done
    triplet=$(cd "$work/out/root/usr/lib" && for dir in *-linux-gnu*/qemu; do [ ! -d "$dir" ] || printf %s "${dir%/qemu}"; done)
    for name in $programs; do
        write_wrapper "$work/out/$name"
    done
    {
        printf 'recipe %s\n' "$recipe"
        apt_root_packages "$work/deb"
    } >"$work/out/MANIFEST"

    version=$("$work/out/$program" --version | head -n 1) ||
        apt_root_fail 1 "the unpacked QEMU does not run on this machine"
}

apt_root_cache
apt_root_bring "$cache/$folder" 'qemu.sh [x86]' "$@"
apt_root_say "ready: $version"
