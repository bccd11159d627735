#!/bin/sh
# initramfs.sh: packs busybox, the virtio modules and our init from the cache into an initramfs, the same bytes each time.
# SPDX-License-Identifier: BSD-2-Clause
#
#     initramfs.sh [amd64] OUT.cpio [FILE:PATH]...
#
# FILE:PATH adds a file of the host at a path of the guest, with the host's permissions (a program to run with tg.run,
# for example). With amd64 it is for guests of that architecture. Run fetch.sh first, with the same word. Exit status: 0 done, 1 failed, 2 wrong usage, 3 a tool is missing.

set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
apt_root_prefix=initramfs
apt_root_top=$here/../..
# shellcheck source=guest/linux/apt-root.sh
. "$here/apt-root.sh"

arch=riscv64
if [ "${1:-}" = amd64 ]; then
    arch=amd64
    shift
fi
case ${1:-} in
'' | -*)
    printf '%s\n' 'usage: initramfs.sh [amd64] OUT.cpio [FILE:PATH]...' >&2
    exit 2
    ;;
esac
out=$1
shift
apt_root_need cpio=cpio
apt_root_cache
from=$cache/debian-$arch
sh "$here/fetch.sh" ${arch#riscv64} --check || apt_root_fail 1 "the guest is not in the cache; run guest/linux/fetch.sh"

out_new=$(CDPATH='' cd -- "$(dirname -- "$out")" && pwd)/$(basename -- "$out").new.$$
tree=$(mktemp -d "$cache/initramfs.tmp.XXXXXX")
trap 'rm -rf "$tree" "$out_new"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

umask 022
for folder in bin sbin usr/bin usr/sbin dev etc lib/modules proc root run sys tmp; do
    mkdir -p "$tree/$folder"
done
cp "$from/busybox" "$tree/bin/busybox"
cp "$from"/modules/* "$tree/lib/modules/"
cp "$here/init" "$tree/init"
chmod 0755 "$tree" "$tree/init" "$tree/bin/busybox"
chmod 0644 "$tree"/lib/modules/*

# The links are named here, since a riscv64 busybox cannot tell them on this host; the other applets are there as
# `busybox NAME`.
for applet in \
    [ ash awk basename cat chmod chown clear cmp cp cut cttyhack date dd df diff dirname dmesg du echo env expr false \
    find free grep gunzip gzip head hexdump hostname id ip kill killall less ln ls md5sum mkdir mknod mktemp more mount \
    mv nc nproc od pidof ping printf ps pwd readlink realpath reset rm rmdir sed seq setsid sh sha256sum sleep sort \
    stat strings stty sync tail tar taskset tee test time timeout top touch tr true tty umount uname uniq uptime usleep \
    vi wc wget which xargs xxd yes; do
    ln -s busybox "$tree/bin/$applet"
done
for applet in devmem ifconfig insmod lsmod rmmod route; do
    ln -s ../bin/busybox "$tree/sbin/$applet"
done
# The first process answers no signals of busybox's init, so these do the work themselves.
for applet in halt poweroff reboot; do
    printf '#!/bin/sh\nexec busybox %s -f\n' "$applet" >"$tree/sbin/$applet"
    chmod 0755 "$tree/sbin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$tree/etc/passwd"
printf 'root:x:0:\n' >"$tree/etc/group"
# What an interactive shell reads first.
cat >"$tree/etc/shrc" <<'RC'
PS1='tollgate:\w# '
alias poweroff='busybox poweroff -f' halt='busybox halt -f' reboot='busybox reboot -f'
RC

for extra in "$@"; do
    path=${extra##*:}
    file=${extra%:*}
    case $extra in
    *:/?*) ;;
    *) apt_root_fail 2 "'$extra' is not FILE:/PATH" ;;
    esac
    [ -f "$file" ] || apt_root_fail 1 "no such file: '$file'"
    mkdir -p "$tree/$(dirname -- "$path")"
    cp -p -- "$file" "$tree/$path"
done

# Nothing of the host and the moment may show: names in one order, one time, one owner, inode numbers counted anew.
(
    cd "$tree"
    find . -exec touch -h -d @0 {} +
    find . | LC_ALL=C sort | cpio -o -H newc -R +0:+0 --reproducible --quiet
) >"$out_new"
mv -- "$out_new" "$out"
