#!/bin/bash
# docs.sh: does what the pages in docs/ say, in a copy of the tree, and compares what they show.
# SPDX-License-Identifier: BSD-2-Clause
#
#   docs.sh PAGE...      default: docs/device.md docs/call.md docs/policy.md
#
# In a page, a fenced block whose first line is
#   ```LANGUAGE file=PATH      is that file;
#   ```LANGUAGE append=PATH    is added at the end of that file;
#   ```sh run                  is run by sh at the top of the copy;
#   ```text                    behind one that is run, is what it must have printed on standard output; without this
#                              block, the last command's status must be 0.
# Blocks of other kinds are only text. Each page begins with a fresh copy. Prints `ok PAGE: WHAT` or `FAIL ...`, and
# `N passed, N failed`.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 2
[ $# -gt 0 ] || set -- docs/device.md docs/call.md docs/policy.md

passed=0 failed=0
top=$PWD
build=${B:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree

verdict() { # NAME PROBLEM
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: $2"
		[ ! -s "$work/err" ] || tail -n 15 "$work/err" | sed 's/^/    /'
	fi
}

# The sources as they are now, with the objects that are built already: make then builds only what the page changes.
tree_copy() {
	rm -rf "$tree"
	mkdir "$tree"
	git ls-files -co --exclude-standard | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done | xargs cp -a --parents -t "$tree"
	[ ! -d "$build/obj" ] || cp -a --parents -t "$tree" "$build/obj" "$build/guest" "$build/gen" "$build/abigen"
	[ "$build" = build ] || mv "$tree/$build" "$tree/build"
}

# Cuts a page into numbered blocks: N.what holds the words behind the fence, N.text the lines.
blocks_cut() {
	rm -rf "$work/blocks"
	mkdir "$work/blocks"
	awk -v dir="$work/blocks" '
		/^```/ && !inside { inside = 1; n++; name = sprintf("%s/%03d", dir, n)
			print substr($0, 4) >(name ".what"); printf "" >(name ".text"); next }
		/^```/ { inside = 0; close(name ".what"); close(name ".text"); next }
		inside { print >(name ".text") }' "$1"
}

page_test() {
	local page=$1 what text number path next
	tree_copy
	blocks_cut "$top/$page"
	for what in "$work"/blocks/*.what; do
		text=${what%.what}.text
		number=${what##*/}
		number=$((10#${number%.what}))
		read -r _ action <"$what" || action=
		path=${action#*=}
		case $action in
		file=*) mkdir -p "$tree/$(dirname "$path")" && cp "$text" "$tree/$path" ;;
		append=*) cat "$text" >>"$tree/$path" ;;
		run)
			status=0
			(cd "$tree" && MAKEFLAGS='' sh "$text") >"$work/out" 2>"$work/err" </dev/null || status=$?
			next=$work/blocks/$(printf %03d $((number + 1)))
			if [ "$(cat "$next.what" 2>/dev/null)" = text ]; then
				verdict "$page: output of block $number" "$(diff -U2 "$next.text" "$work/out")"
			else
				verdict "$page: status of block $number" "$([ $status -eq 0 ] || echo $status)"
			fi
			;;
		esac
	done
	# The examples keep the rules that they teach.
	if command -v clang-format-14 >/dev/null; then
		(cd "$tree" && sed -n 's/.* file=\(.*\.[ch]\)$/\1/p' "$work"/blocks/*.what |
			xargs -r clang-format-14 --dry-run) >"$work/err" 2>&1
		verdict "$page: format" "$(head -n 1 "$work/err")"
	fi
}

for page; do
	page_test "$page"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
