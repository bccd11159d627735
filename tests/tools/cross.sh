#!/bin/sh
# cross.sh: brings Debian 13's riscv64 cross compiler and static libraries into the cache; installs nothing.
# SPDX-License-Identifier: BSD-2-Clause
#
#     cross.sh            fetch them unless they are there; prints nothing when they are
#     cross.sh --check    exit 0 when they are there and compile, else 1; never uses the network
#     cross.sh --force    fetch them again
#
# The folder cross in the cache (see guest/linux/apt-root.sh) then holds
#     bin/riscv64-linux-gnu-gcc, bin/riscv64-linux-gnu-ar    to be called from anywhere
#     root/       the packages' files; MANIFEST names the packages with their versions
# The compiler is that of Debian 13 for this machine's architecture. It runs with the C library that it was built for,
# from root/, so this machine may be older, and neither root's rights nor a chroot are needed. Debian 13, because an
# older linker crashes on its static riscv64 libraries and older kernel headers lack KVM's SBI registers. The folder
# appears in one rename, after the compiler has linked a program with every library. Exit statuses: see apt-root.sh.

set -eu

suite=trixie
gcc=14
target=riscv64-linux-gnu
libraries='zlib1g-dev libzstd-dev libjansson-dev libfdt-dev libsodium-dev'
recipe="1 $suite $gcc $libraries"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=cross
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/../../guest/linux/apt-root.sh"

is_complete() {
    [ "$(head -n 1 "$1/MANIFEST" 2>/dev/null)" = "recipe $recipe" ] &&
        "$1/bin/$target-gcc" --version >/dev/null 2>&1
}

# write_wrapper FILE PROGRAM [ARGUMENT...]: a script that runs root/PROGRAM with root's own C library. @ROOT@ in an
# argument is the root's path: the folder moves by a rename, so each script finds it from its own place.
write_wrapper() {
    script=$1
    # The dollars are the script's own.
    # shellcheck disable=SC2016
    {
        printf '#!/bin/sh\n# Runs a program from the cache with its own libraries.\nset -eu\n'
        printf 'root=$(CDPATH="" cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd)/root\n'
        printf 'exec "$root/%s" --library-path "$root/%s" --argv0 "$root/%s" "$root/%s"' \
            "$loader" "$libdir" "$2" "$2"
        shift 2
        for argument in "$@"; do
            printf ' "%s"' "$argument" | sed 's|@ROOT@|$root|g'
        done
        printf ' "$@"\n'
    } >"$script"
    chmod 0755 "$script"
}

# The compiler starts its parts itself, so these need scripts too; gcc finds them by -B.
write_wrappers() {
    root=$work/out/root
    loader=$(cd "$root" && for file in usr/lib*/ld-linux*.so.*; do [ ! -e "$file" ] || printf %s "$file"; done)
    libdir=$(cd "$root" && for dir in usr/lib/*/libc.so.6; do [ ! -e "$dir" ] || printf %s "${dir%/libc.so.6}"; done)
    { [ -n "$loader" ] && [ -n "$libdir" ]; } || apt_root_fail 1 "the unpacked packages hold no C library to run with"
    mkdir -p "$work/out/bin" "$work/out/parts"
    for part in as ld; do
        write_wrapper "$work/out/parts/$part" "usr/bin/$target-$part"
    done
    for part in cc1 collect2; do
        write_wrapper "$work/out/parts/$part" "usr/libexec/gcc-cross/$target/$gcc/$part"
    done
    write_wrapper "$work/out/bin/$target-ar" "usr/bin/$target-ar"
    write_wrapper "$work/out/bin/$target-gcc" "usr/bin/$target-gcc-$gcc" '-B@ROOT@/../parts/' '--sysroot=@ROOT@'
}

# Links against everything that Tollgate needs.
try_compiler() {
    cat >"$work/try.c" <<'PROGRAM'
#include <asm/ptrace.h>
#include <jansson.h>
#include <libfdt.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sodium.h>
#include <zlib.h>
#include <zstd.h>
int main(void)
{
    json_decref(json_object());
    return KVM_RISCV_SBI_EXT_DBCN + sodium_init() + (int)zlibVersion()[0] + (int)ZSTD_versionNumber() + fdt_strerror(0)[0];
}
PROGRAM
    "$work/out/bin/$target-gcc" -O2 -static -pthread -o "$work/try" "$work/try.c" -lfdt -ljansson -lsodium -lz -lzstd -lm ||
        apt_root_fail 1 "the unpacked compiler does not work on this machine"
}

fetch() {
    mkdir -p "$work/deb" "$work/out/root"
    apt_root_open "$(dpkg --print-architecture)" "$suite"
    apt_root_say "downloading gcc-$gcc-$target $(apt_root_version "gcc-$gcc-$target") and its libraries (about 70 MB)"
    apt_root_closure "$work/deb" "$suite" "gcc-$gcc-$target" libc6-dev-riscv64-cross
    apt_root_open riscv64 "$suite"
    # shellcheck disable=SC2086 # the list is split on purpose
    apt_root_download "$work/deb" $libraries

    apt_root_say "unpacking"
    apt_root_unpack "$work/deb" "$work/out/root"
    # Two thirds of it are for other languages and ways of building.
    (cd "$work/out/root" && rm -rf etc usr/share usr/lib/*/gconv usr/libexec/gcc-cross/*/*/lto1 \
        usr/lib/gcc-cross/*/*/lib*san* usr/lib/gcc-cross/*/*/plugin usr/"$target"/lib/*san*)
    write_wrappers
    try_compiler
    {
        printf 'recipe %s\n' "$recipe"
        apt_root_packages "$work/deb"
    } >"$work/out/MANIFEST"
}

apt_root_cache
apt_root_bring "$cache/cross" cross.sh "$@"
apt_root_say "ready: $(du -sh "$dest" | cut -f 1) in ${dest##*/}, $("$dest/bin/$target-gcc" --version | head -n 1)"
