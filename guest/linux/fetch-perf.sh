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
        apt_root_packages "$work/deb"
        (cd "$work/out" && stat -c 'file %s %n' -- files lib/*)
    } >"$work/MANIFEST"
    mv "$work/MANIFEST" "$work/out/MANIFEST"
}

apt_root_cache
apt_root_bring "$cache/debian-perf" fetch-perf.sh "$@"
apt_root_say "ready: $(sed -n 's/^package \(linux-perf [^ ]*\) .*/\1/p' "$dest/MANIFEST")"
