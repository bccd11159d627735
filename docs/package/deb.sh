#!/bin/sh
# deb.sh: `make deb`: a binary Debian package of what `make install` installs.
# SPDX-License-Identifier: BSD-2-Clause
#
#     B=build MAKE=make deb.sh
#
# Makes build/tollgate_VERSION_ARCH.deb and prints its name. Needs dpkg-deb; dpkg-shlibdeps (package dpkg-dev) finds the
# versions of the libraries, and without it the names alone are taken from the libraries that the binary loads.
# Needs no root. DEB_MAINTAINER names who answers for the package. SOURCE_DATE_EPOCH, by default the time of the last commit, makes the same package from the same files.
# Status: 0 done; 1 something failed; 3 no dpkg-deb here.
set -eu
export LC_ALL=C

cd "$(dirname "$0")/../.."
build=${B:-build}
work=$build/deb
root=$work/root
doc=$root/usr/share/doc/tollgate

command -v dpkg-deb >/dev/null || {
	echo 'deb: there is no dpkg-deb here; make install works without it' >&2
	exit 3
}

version=$(sed -n 's/^#define TG_VERSION "\(.*\)"$/\1/p' vmm/version.h)
[ -n "$version" ] || { echo 'deb: vmm/version.h names no version' >&2; exit 1; }
arch=$(dpkg --print-architecture)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y vmm/version.h)}"
export SOURCE_DATE_EPOCH

# What the libraries' packages are: "libc6 (>= 2.34), libfdt1 (>= 1.6.1), ...".
depends() {
	if command -v dpkg-shlibdeps >/dev/null; then
		mkdir -p "$work/debian"
		printf 'Source: tollgate\n\nPackage: tollgate\nArchitecture: any\n' >"$work/debian/control"
		(cd "$work" && dpkg-shlibdeps -O -e"root/usr/bin/tollgate" 2>shlibdeps.log) |
			sed -n 's/^shlibs:Depends=//p'
		return
	fi
	ldd "$root/usr/bin/tollgate" | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | while read -r library; do
		# Paths of a system whose /lib is a link to usr/lib are known by either name.
		for path in "$library" "${library#/usr}" "$(readlink -f "$library")"; do
			dpkg -S "$path" 2>/dev/null && break
		done | sed -n '1s/:.*//p'
	done | sort -u | paste -sd, | sed 's/,/, /g'
}

rm -rf "$work"
mkdir -p "$root/DEBIAN"
umask 022
"${MAKE:-make}" -s install B="$build" DESTDIR="$root" PREFIX=/usr >/dev/null
strip --strip-unneeded --remove-section=.comment "$root/usr/bin/tollgate"
gzip -9n "$root"/usr/share/man/man*/*.[1-9]
# Debian keeps a package's licence in the file `copyright`.
rm "$doc/LICENSE"
install -m 644 docs/package/copyright "$doc/copyright"
gzip -9nc docs/package/changelog >"$doc/changelog.gz"
chmod 644 "$doc/changelog.gz"

needs=$(depends)
[ -n "$needs" ] || { echo "deb: cannot tell what the binary depends on" >&2; exit 1; }
size=$(du -sk --apparent-size "$root/usr" | cut -f 1)
sed -e "s|@VERSION@|$version|" -e "s|@ARCH@|$arch|" -e "s|@SIZE@|$size|" -e "s|@DEPENDS@|$needs|" \
	-e "s|@MAINTAINER@|${DEB_MAINTAINER:-The Tollgate authors <tollgate@example.org>}|" \
	docs/package/control >"$root/DEBIAN/control"
(cd "$root" && find usr -type f | sort | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"

package=$build/tollgate_${version}_$arch.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
