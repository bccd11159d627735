#!/bin/bash
# release.sh: `make release`: may this table of calls be released? Then it becomes hypercalls/abi.lock.
# SPDX-License-Identifier: BSD-2-Clause
#
#   release.sh BUILD         checks, and writes the lock
#   release.sh draft BUILD   prints what docs/abi/VERSION.md must hold, with the notes left open
#
# It refuses unless
#   - the version steps as far as the changes need (`tollgate abi diff`);
#   - docs/abi/VERSION.md holds the ABI change table, and for each call that changed or vanished a line that begins with
#     "- `NAME`: " and says what becomes of guests that use it;
#   - guests that are built with the numbers and stubs of the last lock still pass;
#   - each module whose calls changed passes with and without (tests/guest/modules.sh).
# TABLE, LOCK and NOTES name other files and another folder than those of the tree, for tests.
# Status: 0 released; 1 refused.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 2

draft=
[ "${1:-}" != draft ] || {
	draft=1
	shift
}
build=${1:-build}
table=${TABLE:-hypercalls/abi.tbl} lock=${LOCK:-hypercalls/abi.lock} notes=${NOTES:-docs/abi}
tollgate=$build/tollgate
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

refuse() {
	echo "release: refused: $1" >&2
	exit 1
}

version_of() { sed -n 's/^abi //p' "$1"; }
version=$(version_of "$table")
page=$notes/$version.md

"$tollgate" abi diff "$lock" "$table" >"$work/table" || refuse 'the version of the table does not fit its changes'
# Rows that were there before, and are no longer as they were.
awk 'NR > 1 && $2 != "added" && $2 != "text" { print $1 }' "$work/table" | sort -u >"$work/changed"

if [ -n "$draft" ]; then
	printf '# ABI %s\n\nWhat changed since %s:\n\n' "$version" "$(version_of "$lock")"
	sed 's/^/    /; s/ *$//' "$work/table"
	[ ! -s "$work/changed" ] || printf '\nCompatibility:\n\n'
	# shellcheck disable=SC2016 # backquotes of Markdown
	sed 's/.*/- `&`: /' "$work/changed"
	exit 0
fi

[ "$version" != "$(version_of "$lock")" ] || refuse "version $version is released already; raise the line 'abi' of $table"
[ -f "$page" ] || refuse "there is no $page; 'tests/release.sh draft' prints what it must hold"
sed 's/^    //; s/ *$//' "$page" >"$work/page"
sed 's/ *$//' "$work/table" | while IFS= read -r line; do
	grep -qxF -e "$line" "$work/page" || echo "$line"
done >"$work/missing"
[ ! -s "$work/missing" ] || refuse "$page lacks the line '$(head -n 1 "$work/missing")'"
while read -r call; do
	grep -qE "^- \`${call//./\\.}\`: ." "$page" || refuse "$page has no note about $call, which changed"
done <"$work/changed"

# Guests of today with the numbers of then. One that uses newer calls cannot be built, which proves nothing.
old=$work/old
cp "$lock" "$work/abi.lock" # what is made has the table's name
"$build/abigen" "$work/abi.lock" "$old/gen" || refuse "the lock $lock cannot be read"
touch "$old/gen/made"
passed=0
for guest in hello kernel probe; do
	if ! make -s B="$old" -o "$old/gen/made" "$old/guest/$guest.elf" >"$work/log" 2>&1; then
		echo "release: $guest needs calls that are newer than the lock"
		continue
	fi
	status=0
	timeout -k 5 240 "$tollgate" run -m 128M -c 2 "$old/guest/$guest.elf" </dev/null >"$work/out" 2>"$work/err" || status=$?
	what="$guest, built with the numbers of $(version_of "$lock"),"
	[ $status -eq 0 ] || refuse "$what ends with status $status: $(grep -a -m 1 '^not ok' "$work/out" || tail -n 1 "$work/err")"
	! grep -qa '^not ok' "$work/out" || refuse "$what fails: $(grep -a -m 1 '^not ok' "$work/out")"
	echo "release: $what passes"
	passed=$((passed + 1))
done
[ "$passed" -ge 2 ] || refuse 'hardly a guest can be built with the numbers of the lock'

mapfile -t modules < <("$tollgate" run --list-modules | awk '/^[a-z]/ { print $1 }' | sort)
mapfile -t touched < <(awk 'NR > 1 { sub(/\.[^.]*$/, "", $1); gsub(/\./, "-", $1); print $1 }' "$work/table" | sort -u |
	comm -12 - <(printf '%s\n' "${modules[@]}"))
if [ ${#touched[@]} -gt 0 ]; then
	bash tests/guest/modules.sh "$tollgate" "$build" "${touched[@]}" || refuse 'a module that changed does not pass with and without'
fi

# shellcheck disable=SC2016 # backquotes of prose
sed '1s/.*/# abi.lock: the table of calls as it was last released; `make release` writes it./' "$table" >"$lock"
echo "release: $lock is version $version now; commit it with $page"
