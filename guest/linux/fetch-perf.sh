#!/bin/sh
# fetch-perf.sh: brings Debian's perf for riscv64, with the libraries that it loads, into the cache.
# SPDX-License-Identifier: BSD-2-Clause
#
#     fetch-perf.sh            fetch what is not there yet; prints nothing when all is there
#     fetch-perf.sh --check    exit 0 when all is there, else 1; never uses the network
#     fetch-perf.sh --force    fetch again
#
# The folder debian-perf in the cache (see apt-root.sh) then holds
#     files        lines "FILE PATH": what is to stand where in the guest
#     lib/         those files
#     MANIFEST     packages with versions, files with size
# It appears in one rename when everything in it is complete. Exit statuses: see apt-root.sh.

set -eu

suite=trixie
recipe="1 $suite"

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=fetch-perf
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

# take FILE PATH: moves a file of the packages into the folder, to stand at PATH in the guest.
take() {
    cp -L "$1" "$work/out/lib/${2##*/}"
    printf 'lib/%s %s\n' "${2##*/}" "$2" >>"$work/out/files"
}

# take_libraries FILE: the libraries that a program loads, and those that they load.
take_libraries() {
    for library in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
        [ ! -e "$work/out/lib/$library" ] || continue
        file=$(find "$work/tree" -name "$library" | head -n 1)
        [ -n "$file" ] || apt_root_fail 1 "the packages hold no library '$library'"
        case $library in
        ld-linux*) take "$file" "/lib/$library" ;;
        *) take "$file" "/lib/riscv64-linux-gnu/$library" ;;
        esac
        take_libraries "$file"
    done
}

fetch() {
    apt_root_need readelf=binutils
    apt_root_open riscv64 "$suite"
    apt_root_say "downloading linux-perf $(apt_root_version linux-perf) and its libraries (about 45 MB)"
    mkdir -p "$work/deb" "$work/tree" "$work/out/lib"
    apt_root_closure "$work/deb" "$suite" linux-perf
    apt_root_unpack "$work/deb" "$work/tree"
    [ -f "$work/tree/usr/bin/perf" ] || apt_root_fail 1 "the package holds no perf"
    take "$work/tree/usr/bin/perf" /usr/bin/perf
    take_libraries "$work/tree/usr/bin/perf"

    {
        printf 'recipe %s\n' "$recipe"
        for deb in "$work"/deb/*.deb; do
            # shellcheck disable=SC2016 # dpkg-deb's own variables
            printf 'package %s %s\n' "$(dpkg-deb -W --showformat='${Package} ${Version}' "$deb")" \
                "$(sha256sum <"$deb" | cut -d ' ' -f 1)"
        done
        (cd "$work/out" && stat -c 'file %s %n' -- files lib/*)
    } >"$work/MANIFEST"
    mv "$work/MANIFEST" "$work/out/MANIFEST"
    [ ! -e "$dest" ] || mv "$dest" "$work/old"
    mv "$work/out" "$dest"
    apt_root_say "ready: $(sed -n 's/^package \(linux-perf [^ ]*\) .*/\1/p' "$dest/MANIFEST")"
}

apt_root_cache
dest=$cache/debian-perf
case ${1:-} in
'') ! is_complete "$dest" || exit 0 ;;
--force) ;;
--check)
    is_complete "$dest" || exit 1
    exit 0
    ;;
*)
    printf '%s\n' 'usage: fetch-perf.sh [--check | --force]' >&2
    exit 2
    ;;
esac

# One fetch at a time, of the kernel too: they share the private apt root.
apt_root_need flock=util-linux
exec 9>"$cache/debian-riscv64.lock"
flock 9
[ "${1:-}" = --force ] || ! is_complete "$dest" || exit 0
rm -rf "$cache"/debian-perf.tmp.*
work=$(mktemp -d "$cache/debian-perf.tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
fetch
