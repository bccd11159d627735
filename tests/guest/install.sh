#!/bin/bash
# install.sh: installing and removing, the man page, the completion, the Debian package.
# SPDX-License-Identifier: BSD-2-Clause
#
#   install.sh [BUILDDIR]     (default build) a build with its guests
#
# Everything goes into folders of its own, but for the last part: as root with CI=true or TOLLGATE_TEST_DEB=1, the
# package is installed on this machine, used and removed. Prints a line a check and `N passed, N failed[, N skipped]`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2
build=${1:-build}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/log"

verdict_shows() {
	tail -n 5 "$work/log" | sed 's/^/    /'
}

skip() { # NAME REASON
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

# run COMMAND...: its output goes to $work/log; the words for verdict when it fails.
run() {
	local status=0
	"$@" >"$work/log" 2>&1 </dev/null || status=$?
	[ $status -eq 0 ] || echo "status $status: $*"
}

build_make() { MAKEFLAGS='' make -s B="$build" "$@"; }

# lacks FILE WORDS...: which of the words the file lacks.
lacks() {
	local file=$1 word
	shift
	for word; do
		grep -qF -e "$word" "$file" || echo "no '$word' in $file"
	done
}

made_pages() { (cd docs && ls -- *.md *.json) && printf '%s\n' calls.md options.md policy.json; }

# Below include/tollgate: all that a module from elsewhere may include.
headers() {
	(ls -- vmm/*.h guest/abi/*.h && echo guest/abi/calls.h && echo guest/abi/stubs.h) |
		grep -vE '^vmm/(cli|cli_parser|command|report)\.h$'
}

# What `make install` must make below PREFIX, with modes.
expected() {
	{
		echo '755 bin/tollgate'
		echo '644 share/bash-completion/completions/tollgate'
		echo '644 share/doc/tollgate/LICENSE'
		echo '644 share/doc/tollgate/README.md'
		made_pages | sed 's|^|644 share/doc/tollgate/docs/|'
		headers | sed 's|^|644 include/tollgate/|'
		echo '644 share/man/man1/tollgate.1'
		echo '644 share/man/man7/tollgate-calls.7'
	} | sort -k 2
}

# --- make install, make uninstall ---

stage="$work/a folder"
umask 077 # what is installed is for everybody all the same
verdict 'install' "$(run build_make install DESTDIR="$stage" PREFIX=/opt/tg)"
umask 022
verdict 'its files and their modes' \
	"$(diff <(expected) <(cd "$stage/opt/tg" && find . -type f -printf '%m %P\n' | sort -k 2))"
verdict 'its folders can be read by all' "$(find "$stage/opt" -type d ! -perm -755)"
version=$(sed -n 's/^#define TG_VERSION "\(.*\)"$/\1/p' vmm/version.h)
verdict 'the installed program' \
	"$([ "$("$stage/opt/tg/bin/tollgate" --version)" = "tollgate $version" ] || echo 'says another version')"
verdict 'the installed program runs a guest' \
	"$([ "$("$stage/opt/tg/bin/tollgate" run -m 128M "$build/guest/hello.elf")" = 'Hello from S-mode.' ] || echo 'no hello')"
verdict 'links of the README' "$(grep -o '](docs/[^)#]*)' README.md | tr -d '](' | tr -d ')' | while read -r page; do
	[ -f "$stage/opt/tg/share/doc/tollgate/$page" ] || echo "$page"
done)"
touch "$stage/opt/tg/share/doc/tollgate/of-another" "$stage/opt/tg/bin/other"
verdict 'uninstall' "$(run build_make uninstall DESTDIR="$stage" PREFIX=/opt/tg)"
verdict 'uninstall leaves what is not ours' \
	"$(cd "$stage/opt/tg" && find . -type f | sort | diff - <(printf '%s\n' ./bin/other ./share/doc/tollgate/of-another))"
rm "$stage/opt/tg/share/doc/tollgate/of-another"
verdict 'uninstall twice' "$(run build_make uninstall DESTDIR="$stage" PREFIX=/opt/tg)"
verdict 'and removes its folder when it is empty' "$(ls -d "$stage/opt/tg/share/doc/tollgate" 2>/dev/null)"
run build_make install DESTDIR="$stage" >"$work/problem"
verdict 'PREFIX is /usr/local unless given' \
	"$(cat "$work/problem"; [ -x "$stage/usr/local/bin/tollgate" ] || echo 'no program there')"

# --- The man page ---

man=$build/docs/tollgate.1
if command -v man >/dev/null && command -v groff >/dev/null; then
	MANWIDTH=80 man --warnings -l "$man" 2>"$work/log" | col -b >"$work/page"
	verdict 'the man page renders without a warning' "$(head -n 1 "$work/log")"
	verdict 'the man page' "$(lacks "$work/page" NAME SYNOPSIS OPTIONS 'EXIT STATUS' 'OPTION FILE' '-k, --kernel FILE' \
		'--config FILE' '--program ELF [ARG...]' 'Ctrl-A x')"
	"$build/tollgate" help run | grep -oE '^ {2,6}(-., )?--[a-z-]+' | grep -oE -e '--[a-z-]+' >"$work/options"
	verdict 'the man page has every option' "$(while read -r option; do
		grep -qF -e "$option" "$work/page" || echo "$option"
	done <"$work/options")"
	MANWIDTH=80 man --warnings -l "$build/docs/tollgate-calls.7" 2>"$work/log" | col -b >"$work/page"
	verdict 'the man page of the calls renders without a warning' "$(head -n 1 "$work/log")"
	verdict 'the man page of the calls has every call' "$(awk '/^(sbi|tg|program) / { print $4 }' hypercalls/abi.tbl |
		while read -r call; do grep -qF -e "$call" "$work/page" || echo "$call"; done)"
	groff -man -Tutf8 "$man" 2>"$work/log" | sed 's/.\x08//g' >"$work/utf8"
	verdict 'options can be copied from the man page' "$(lacks "$work/utf8" --max-steps --dump-dtb; grep -m 1 -F '‐‐' "$work/utf8")"
else
	skip 'the man page' 'no man or groff here'
fi
# Style is about the length of lines in the source, which is made.
if command -v mandoc >/dev/null; then
	for page in tollgate.1 tollgate-calls.7; do
		verdict "mandoc has no warning about $page" "$(mandoc -T lint -W warning "$build/docs/$page" 2>&1)"
	done
else
	skip 'mandoc on the man pages' 'no mandoc here'
fi
verdict 'the option reference has every option' "$("$build/tollgate" help run | grep -oE '^ {2,6}(-., )?--[a-z-]+' |
	grep -oE -e '--[a-z-]+' | while read -r option; do
		grep -qF -e "\`$option" "$build/docs/options.md" || echo "$option"
	done)"

# --- The completion ---

# complete WORD...: what bash offers for the last word.
complete_words() {
	# shellcheck disable=SC2016 # for the inner shell
	bash --norc --noprofile -c '
		source "$1" || exit
		complete -p tollgate >/dev/null || exit
		shift
		COMP_WORDS=("$@")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_tollgate
		printf "%s\n" "${COMPREPLY[@]}"' bash "$build/docs/tollgate.bash" "$@" 2>&1 | paste -sd' '
}

offers() { # EXPECTED WORD...
	local want=$1 got
	shift
	got=$(complete_words "$@")
	verdict "completion of '${*: -1}' behind '${*: -2:1}'" "$([ "$got" = "$want" ] || echo "'$got', not '$want'")"
}

offers 'run' tollgate r
offers '--initrd' tollgate run --ini
offers '--config --console' tollgate run --con
offers 'serial sbi' tollgate run --console s
offers 'plic' tollgate run --without pl
offers '' tollgate run --program x --mem
offers 'policy' tollgate pol
offers 'explain' tollgate policy ex
offers 'policy' tollgate help po
offers '--policy --policy-learn' tollgate run --pol

# --- The Debian package ---

field() { dpkg-deb -f "$package" "$1"; }

deb_contents() {
	dpkg-deb -c "$package" | awk '$1 !~ /^d/ { print $1, $2, $6 }' | sort -k 3 >"$work/contents"
	{
		echo '-rwxr-xr-x root/root ./usr/bin/tollgate'
		{
			echo share/bash-completion/completions/tollgate
			printf 'share/doc/tollgate/%s\n' README.md changelog.gz copyright
			made_pages | sed 's|^|share/doc/tollgate/docs/|'
			headers | sed 's|^|include/tollgate/|'
			echo share/man/man1/tollgate.1.gz
			echo share/man/man7/tollgate-calls.7.gz
		} | sed 's|^|-rw-r--r-- root/root ./usr/|'
	} | sort -k 3 | diff - "$work/contents"
}

deb_depends() {
	field Depends | tr ',' '\n' | sed 's/^ *//; s/ .*//' | sort >"$work/depends"
	printf '%s\n' libc6 libfdt1 libjansson4 libsodium23 libzstd1 zlib1g | diff - "$work/depends"
}

deb_test() {
	verdict 'package: fields' "$([ "$(field Package) $(field Version) $(field Architecture)" = \
		"tollgate $version $(dpkg --print-architecture)" ] || dpkg-deb -f "$package" | head -n 5)"
	verdict 'package: contents' "$(deb_contents)"
	verdict 'package: depends on what the program loads' "$(deb_depends)"
	mkdir "$work/unpacked"
	verdict 'package: unpacks' "$(run dpkg-deb -R "$package" "$work/unpacked")"
	verdict 'package: sums' "$(cd "$work/unpacked" && md5sum --quiet -c DEBIAN/md5sums 2>&1)"
	verdict 'package: the program in it runs a guest' \
		"$([ "$("$work/unpacked/usr/bin/tollgate" run -m 128M "$build/guest/hello.elf")" = 'Hello from S-mode.' ] ||
			echo 'no hello')"
	verdict 'package: its man page' "$(gzip -dc "$work/unpacked/usr/share/man/man1/tollgate.1.gz" | cmp - "$man" 2>&1)"
	verdict 'package: changelog is of this version' \
		"$(gzip -dc "$work/unpacked/usr/share/doc/tollgate/changelog.gz" | head -n 1 | grep -vF "tollgate ($version)")"
	cp "$package" "$work/first.deb"
	run build_make deb >"$work/problem"
	verdict 'package: the same again from the same files' "$(cat "$work/problem"; cmp "$package" "$work/first.deb" 2>&1)"
}

# On the machine itself; what was installed before the test is left alone.
deb_install_test() {
	if [ "$(id -u)" -ne 0 ] || { [ "${CI:-}" != true ] && [ "${TOLLGATE_TEST_DEB:-}" != 1 ]; }; then
		skip 'package: installed on this machine' 'needs root, and CI=true or TOLLGATE_TEST_DEB=1'
		return
	fi
	if dpkg-query -W -f='${Status}' tollgate 2>/dev/null | grep -q installed; then
		skip 'package: installed on this machine' 'a package of this name is installed already'
		return
	fi
	verdict 'package: dpkg -i' "$(run dpkg -i "$package")"
	verdict 'package: installed, says its version' \
		"$([ "$(/usr/bin/tollgate --version)" = "tollgate $version" ] || echo 'another version')"
	verdict 'package: installed, runs a guest' \
		"$([ "$(/usr/bin/tollgate run -m 128M "$build/guest/hello.elf")" = 'Hello from S-mode.' ] || echo 'no hello')"
	verdict 'package: dpkg --verify' "$(dpkg --verify tollgate | grep -v '/usr/share/')"
	verdict 'package: dpkg -r' "$(run dpkg -r tollgate)"
	verdict 'package: removed' "$(ls /usr/bin/tollgate 2>/dev/null)"
}

if command -v dpkg-deb >/dev/null; then
	run build_make deb >"$work/problem"
	package=$(tail -n 1 "$work/log")
	verdict 'package: make deb' "$(cat "$work/problem"; [ -f "$package" ] || echo 'names no package')"
	deb_test
	deb_install_test
else
	skip 'the Debian package' 'no dpkg-deb here'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
