#!/bin/sh
# setup.sh: installs the Debian packages that `run` or `check` needs and this machine lacks, in one apt call.
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: setup.sh run|check
# Status 0: all there; 3: no apt here (the list of what is needed is printed); 4: apt failed.
set -eu

# Each package with its reason: README.md, "What it needs".
RUN="gcc make libc6-dev linux-libc-dev libfdt-dev libjansson-dev libsodium-dev zlib1g-dev libzstd-dev cpio xz-utils
	debian-archive-keyring ca-certificates"
CHECK="$RUN clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev cppcheck shellcheck libcunit1-dev
	libcapstone-dev gcc-riscv64-unknown-elf device-tree-compiler jq binutils bash-completion man-db groff-base mandoc dpkg-dev
	opensbi"

case ${1:-} in
run) wanted=$RUN ;;
check) wanted=$CHECK ;;
*)
	echo "setup.sh: give run or check" >&2
	exit 64
	;;
esac

# shellcheck disable=SC2086 # the list is split on purpose
set -- $wanted

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
	missing=
	for tool in gcc make cpio xz; do
		command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
	done
	[ -n "$missing" ] || exit 0
	echo "setup: there is no apt here. Please install what these Debian packages hold: $*" >&2
	exit 3
fi

missing=
for package; do
	status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) || status=
	[ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
echo "setup: installing what is missing:$missing"
echo "setup: ${sudo:+$sudo }apt-get update && ${sudo:+$sudo }apt-get install -y --no-install-recommends$missing"
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive sh -c '
	apt-get update -qq && apt-get install -y -qq --no-install-recommends '"$missing" || {
	echo "setup: apt could not install:$missing" >&2
	exit 4
}
