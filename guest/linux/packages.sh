#!/bin/sh
# packages.sh: packs programs of Debian's riscv64 packages for a Linux guest: an archive to append to its initramfs.
# SPDX-License-Identifier: BSD-2-Clause
#
#     packages.sh OUT.cpio PACKAGE...
#
# The packages are taken without their dependencies: name the libraries too. Nothing is done when OUT.cpio was made of the
# same list before. Documentation stays out. A guest's initramfs is then `cat initramfs.cpio OUT.cpio` (the kernel unpacks
# one archive after the other). Exit statuses: see apt-root.sh.

set -eu

suite=trixie
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=packages
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/apt-root.sh"

[ $# -ge 2 ] || {
    printf '%s\n' 'usage: packages.sh OUT.cpio PACKAGE...' >&2
    exit 2
}
out=$1
shift
list="$suite $*"
if [ -f "$out" ] && [ "$(cat "$out.list" 2>/dev/null)" = "$list" ]; then
    exit 0
fi

apt_root_need cpio=cpio
apt_root_cache
tree=$(mktemp -d "$cache/packages.XXXXXX")
trap 'rm -rf "$tree" "$out.new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
sh "$here/apt-root.sh" get "$suite" riscv64 "$tree" "$@"

rm -rf "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/bash-completion" "$tree/usr/share/lintian"
# The loader's name is fixed in every program; /lib of the initramfs is a folder of its own.
mkdir -p "$tree/lib"
for loader in "$tree"/usr/lib/ld-linux-*.so.*; do
    [ ! -e "$loader" ] || ln -s "../usr/lib/${loader##*/}" "$tree/lib/${loader##*/}"
done
(
    cd "$tree"
    find . -exec touch -h -d @0 {} +
    find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc -R +0:+0 --reproducible --quiet
) >"$out.new"
mv -- "$out.new" "$out"
printf '%s\n' "$list" >"$out.list"
