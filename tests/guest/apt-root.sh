#!/bin/bash
# apt-root.sh: what guest/linux/apt-root.sh makes of a mirror that is in step with its signed lists, of one that is so
# under one of its names, and of one that is not.
# SPDX-License-Identifier: BSD-2-Clause
#
# apt-get is a script here that says what apt says: no list can be signed for a test. Prints `ok NAME` or `FAIL NAME`,
# and `N passed, N failed`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

if ! command -v apt-get >/dev/null || [ ! -r /usr/share/keyrings/debian-archive-keyring.gpg ]; then
	skip_all 'apt-root: no apt here, or no keyring of Debian'
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	sed 's/^/    /' "$work/out"
}

# A name of a release is a file of the folder mirror: its first line is what its signed list says, the second what apt
# says when it is read.
mkdir "$work/bin" "$work/mirror"
cat >"$work/bin/apt-get" <<'END'
#!/bin/sh
root=$(dirname "$2")
case " $* " in
*" download "*)
	echo 'E: Failed to fetch file:/busybox.deb  Hash Sum mismatch' >&2
	exit 100
	;;
esac
lists=$root/state/lists
rm -f "$lists"/*InRelease "$lists"/partial/*
while read -r _ _ _ uri name _; do
	mirror=${uri#file://}
	if [ ! -f "$mirror/$name" ]; then
		echo "E: The repository '$uri $name Release' does not have a Release file." >&2
		exit 100
	fi
	read -r suite codename <"$mirror/$name"
	error=$(sed -n 2p "$mirror/$name")
	printf 'Suite: %s\nCodename: %s\n' "$suite" "$codename" >"$lists/partial/mirror_dists_${name}_InRelease"
	[ -z "$error" ] || { echo "E: $error" >&2; exit 100; }
done <"$root/sources.list"
mv "$lists"/partial/* "$lists"
END
chmod +x "$work/bin/apt-get"
size='Failed to fetch file:/Packages.xz  File has unexpected size (720 != 1108). Mirror sync in progress?'
signature='The following signatures were invalid: BADSIG 0E98404D386FA1D9 Debian Archive Automatic Signing Key'

# has NAME SUITE CODENAME [ERROR]: the mirror has that list under that name.
has() {
	printf '%s %s\n%s\n' "$2" "$3" "${4:-}" >"$work/mirror/$1"
}

# opens NAME STATUS REGEX SUITE...: the library opens a root of these.
opens() {
	local status=0
	TOLLGATE_MIRROR=file://$work/mirror TOLLGATE_CACHE=$work/cache PATH=$work/bin:$PATH sh -euc '
		apt_root_top=.
		. guest/linux/apt-root.sh
		apt_root_cache
		apt_root_open riscv64 "$@"
		sed "s/.*mirror //" "$apt_root/sources.list"
		[ "$1" != packages ] || apt_root_download "$apt_root" busybox-static' sh "${@:4}" >"$work/out" 2>&1 || status=$?
	verdict "$1" "$([ $status -eq "$2" ] || echo "status $status, not $2")$(grep -qE -- "$3" "$work/out" || echo " no '$3'")"
	rm -rf "$work/cache" "$work"/mirror/*
}

has trixie stable trixie
has stable stable trixie "$size"
opens 'a mirror in step' 0 '^trixie main$' trixie

has trixie stable trixie "$size"
has stable stable trixie
opens 'one whose other name is in step' 0 '^stable main$' trixie

has trixie stable trixie "$size"
has stable stable trixie
opens 'which is told' 0 '^apt-root: the mirror.s list of trixie is not the one that is signed; trying stable$' trixie

has trixie stable trixie
has trixie-backports stable-backports trixie-backports "$size"
has stable stable trixie
has stable-backports stable-backports trixie-backports
opens 'two suites' 0 '^stable-backports main$' trixie trixie-backports

has trixie stable trixie "$size"
has stable stable trixie "$size"
opens 'one in step under no name' 4 '^apt-root: error: the mirror.s list of trixie is not the one that is signed, as' trixie

has trixie stable trixie "$size"
has stable stable forky
opens 'a name that is another release today' 4 'is not the one that is signed, and stable is not trixie' trixie

has trixie trixie trixie "$size"
opens 'a release without another name' 4 '^apt-root: error: the mirror.s list of trixie is not the one that is signed, as' trixie

has trixie stable trixie "$size"
has stable stable trixie "$signature"
opens 'a signature that is not Debian'"'"'s' 5 '^apt-root: error: verification failed' trixie

has trixie stable trixie "$signature"
has stable stable trixie
opens 'for which no other name is tried' 5 '^apt-root: error: verification failed' trixie

has packages packages packages
opens 'a package that is not the one in the signed list' 5 '^apt-root: error: verification failed' packages

opens 'a mirror without the suite' 4 '^apt-root: error: the Debian mirror cannot be reached' trixie

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
