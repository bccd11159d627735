#!/bin/sh
# module.sh: builds the Linux module of guest/linux/tollgate for Debian's riscv64 kernel in the cache.
# SPDX-License-Identifier: BSD-2-Clause
#
#     module.sh OUT.ko       fetches what is not there yet, builds
#     module.sh --fetch      fetches only; prints nothing when all is there
#
# The folder linux-headers in the cache (see apt-root.sh) then holds, of the kernel that fetch.sh brought,
#     riscv64/, common/   its headers and configuration, packages linux-headers-*
#     kbuild/             the programs that build modules, package linux-kbuild-* of this machine's architecture
#     bin/                riscv64-linux-gnu-ld and others, beside the compiler of tests/tools/cross.sh
#     MANIFEST            packages with versions
# The programs run with the C library of that compiler's folder, so this machine may be older than Debian 13.
#
# Environment: B, the build folder (default: build), where the numbers of the calls are made from their table; WERROR.
# Exit statuses: see apt-root.sh, and 6: the module does not compile.

set -eu

suite=trixie
target=riscv64-linux-gnu
tools='ld nm objcopy objdump readelf strip'

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
top=$(CDPATH='' cd -- "$here/../.." && pwd)
apt_root_prefix=module
apt_root_top=$top
# shellcheck source=guest/linux/apt-root.sh
. "$here/apt-root.sh"

# Which kernel: from the cache, since a module fits one kernel only. Sets $release, $version and $recipe.
find_kernel() {
    sh "$here/fetch.sh" || exit $?
    release=$(sed -n 's/^package linux-image-\([^ ]*\) .*/\1/p' "$cache/debian-riscv64/MANIFEST")
    version=$(sed -n 's/^package linux-image-[^ ]* \([^ ]*\) .*/\1/p' "$cache/debian-riscv64/MANIFEST")
    { [ -n "$release" ] && [ -n "$version" ]; } || apt_root_fail 1 "the kernel in the cache does not tell its version"
    recipe="1 $suite $release $version"
}

is_complete() {
    [ "$(head -n 1 "$dest/MANIFEST" 2>/dev/null)" = "recipe $recipe" ]
}

# need_package PACKAGE: in this version, in the open root. An older kernel's headers leave the mirror with it.
need_package() {
    have=$(apt_root_version "$1")
    [ "$have" = "$version" ] || apt_root_fail 4 \
        "the mirror has '$1' as '$have', not $version as the kernel in the cache; run guest/linux/fetch.sh --force"
}

# write_wrapper FILE UP PROGRAM: a script that runs PROGRAM, a path below the cache, with the C library of the folder
# cross. UP leads from the script to the cache; it finds that from its own place, because the folder moves.
write_wrapper() {
    # The dollars are the script's own.
    # shellcheck disable=SC2016
    {
        printf '#!/bin/sh\n# Runs a program from the cache with its own libraries.\nset -eu\n'
        printf 'cache=$(dirname -- "$(readlink -f -- "$0")")/%s\n' "$2"
        printf 'exec "$cache/cross/root/%s" --library-path "$cache/cross/root/%s" "$cache/%s" "$@"\n' \
            "$loader" "$libdir" "$3"
    } >"$1"
    chmod 0755 "$1"
}

write_wrappers() {
    root=$cache/cross/root
    loader=$(cd "$root" && for file in usr/lib*/ld-linux*.so.*; do [ ! -e "$file" ] || printf %s "$file"; done)
    libdir=$(cd "$root" && for file in usr/lib/*/libc.so.6; do [ ! -e "$file" ] || printf %s "${file%/libc.so.6}"; done)
    { [ -n "$loader" ] && [ -n "$libdir" ]; } || apt_root_fail 1 "the folder 'cross' of the cache holds no C library"
    mkdir "$work/out/bin"
    for tool in $tools; do
        write_wrapper "$work/out/bin/$target-$tool" ../.. "cross/root/usr/bin/$target-$tool"
    done
    # There is one modpost for each kind of machine, and a program that starts the right one by an absolute path.
    mv "$work/out/kbuild/scripts/mod/modpost.real-lsb-64" "$work/out/kbuild/scripts/mod/modpost"
    for program in basic/fixdep mod/modpost genksyms/genksyms; do
        mv "$work/out/kbuild/scripts/$program" "$work/out/kbuild/scripts/$program.program"
        write_wrapper "$work/out/kbuild/scripts/$program" ../../../.. "linux-headers/kbuild/scripts/$program.program"
    done
}

fetch() {
    common=linux-headers-${release%-*}-common
    kbuild=linux-kbuild-${release%-*}
    mkdir -p "$work/deb" "$work/tree" "$work/out"
    apt_root_open riscv64 "$suite"
    need_package "linux-headers-$release"
    apt_root_say "downloading linux-headers-$release $version (about 15 MB)"
    apt_root_download "$work/deb" "linux-headers-$release" "$common"
    apt_root_open "$(dpkg --print-architecture)" "$suite"
    need_package "$kbuild"
    apt_root_download "$work/deb" "$kbuild"

    apt_root_unpack "$work/deb" "$work/tree"
    mv "$work/tree/usr/src/linux-headers-$release" "$work/out/riscv64"
    mv "$work/tree/usr/src/$common" "$work/out/common"
    mv "$work/tree/usr/lib/$kbuild" "$work/out/kbuild"
    for tree in riscv64 common; do
        for link in scripts tools; do
            ln -sfn "../kbuild/$link" "$work/out/$tree/$link"
        done
    done
    # Those of other machines are not needed.
    find "$work/out/common/arch" -mindepth 1 -maxdepth 1 ! -name riscv -exec rm -rf {} +
    # Theirs names the common part by the path where the package would be installed.
    printf 'include ../common/Makefile\n' >"$work/out/riscv64/Makefile"
    # With it the build would want pahole, for type information that a module need not have.
    rm -f "$work/out/riscv64/vmlinux"
    write_wrappers
    {
        printf 'recipe %s\n' "$recipe"
        apt_root_packages "$work/deb"
    } >"$work/out/MANIFEST"
    [ ! -e "$dest" ] || mv "$dest" "$work/old"
    mv "$work/out" "$dest"
    apt_root_say "ready: $(du -sh "$dest" | cut -f 1) in ${dest##*/} ($release)"
}

# The lock is held by this subshell.
fetch_once() (
    exec 9>"$dest.lock"
    flock 9
    ! is_complete || exit 0
    rm -rf "$cache"/linux-headers.tmp.*
    work=$(mktemp -d "$cache/linux-headers.tmp.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    fetch
)

# In a copy: the kernel's build leaves its files beside the sources.
build() {
    gen=${B:-build}/gen
    (cd "$top" && make -s B="${B:-build}" "$gen/made" >&2) ||
        apt_root_fail 6 "the numbers of the calls could not be made"
    mkdir -p "$temp/include/guest/abi"
    cp "$here"/tollgate/* "$temp/"
    (cd "$top" && cp guest/abi/*.h "$gen/guest/abi/calls.h" "$temp/include/guest/abi/")
    # The compiler's name: Debian's headers have it with a version in it.
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$dest/riscv64" ARCH=riscv CROSS_COMPILE="$dest/bin/$target-" \
        CC="$cache/cross/bin/$target-gcc" AR="$cache/cross/bin/$target-ar" \
        KCFLAGS="${WERROR:-} -ffile-prefix-map=$temp=guest/linux/tollgate" M="$temp" modules >"$temp/log" 2>&1 || {
        cat "$temp/log" >&2
        apt_root_fail 6 "the module does not compile for $release"
    }
    grep -v '^Skipping BTF generation' "$temp/log" >&2 || :
    "$dest/bin/$target-strip" --strip-debug "$temp/tollgate.ko"
}

case ${1:-} in
'' | -*)
    [ "$*" = --fetch ] || {
        printf '%s\n' 'usage: module.sh OUT.ko | --fetch' >&2
        exit 2
    }
    ;;
*)
    [ $# -eq 1 ] || apt_root_fail 2 "one OUT.ko is enough"
    folder=$(CDPATH='' cd -- "$(dirname -- "$1")" 2>/dev/null && pwd) || apt_root_fail 2 "there is no folder for '$1'"
    out=$folder/$(basename -- "$1")
    ;;
esac
apt_root_need flock=util-linux make=make
apt_root_cache
dest=$cache/linux-headers
sh "$top/tests/tools/cross.sh" || exit $?
find_kernel
if ! is_complete; then
    fetch_once
fi
[ "$1" != --fetch ] || exit 0

temp=$(mktemp -d "$cache/module.XXXXXX")
trap 'rm -rf "$temp" "$out.new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
build
cp "$temp/tollgate.ko" "$out.new"
mv -- "$out.new" "$out"
