#!/bin/bash
# files.sh: the host file service and batches, from a guest: grants, refusals, a race for another file, states.
# SPDX-License-Identifier: BSD-2-Clause
#
#   files.sh TOLLGATE GUESTS
#
# FILES_RACE=race-short makes the race short (for sanitizers). Prints `ok NAME` or `FAIL NAME: why`, and
# `N passed, N failed`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"

tollgate=$(realpath "$1") guests=$(realpath "$2")
limit=240 # seconds: a run that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2

verdict_shows() {
	tail -n 5 out | sed 's/^/    /'
}

run() { # ARGUMENT...
	status=0
	timeout -k 5 "$limit" "$tollgate" run -m 128M "$@" </dev/null >out 2>err || status=$?
}

# Why the last run's TAP is no pass; nothing when it is one.
tap_problem() {
	local plan count
	plan=$(tr -d '\r' <out | sed -n 's/^1\.\.//p')
	count=$(grep -c '^ok ' out)
	if [ "$status" -ne 0 ]; then
		echo "status $status: $(head -n 1 err)"
	elif [ -z "$plan" ] || [ "$count" != "$plan" ]; then
		echo "$count of ${plan:-unknown} tests are ok"
	fi
}

mkdir open look
echo 'read me' >look/book
printf AAAA >open/aaaa
printf BBBB >open/bbbb
printf SECRET >s
printf SECRET >secret
ln -s ../secret open/link
cat >policy.json <<END
{"version": 1, "default": "allow", "files": [
  {"name": "open", "path": "open", "read": true, "write": true},
  {"name": "look", "path": "$work/look", "read": true}]}
END

run --policy policy.json "$guests/files.elf"
problem=$(tap_problem)
[ "$(cat open/made 2>/dev/null)" = 'from the guest' ] || problem=${problem:-open/made holds something else}
[ "$(cat open/batch 2>/dev/null)" = 0123456789abcdefghijklmnopqrstuv ] || problem=${problem:-the batch wrote something else}
verdict 'files and batches' "$problem"

run --policy policy.json -c 2 -p "${FILES_RACE:-race}" "$guests/files.elf"
verdict "a path that is rewritten ($(grep -o '[0-9]* opened, [0-9]* refused' out))" "$(tap_problem)"

# The trace tells which path the monitor saw: what was read must be that file's.
run --policy policy.json -c 2 -p race-short --trace calls --trace-file trace "$guests/files.elf"
problem=$(tap_problem)
wrong=$(awk '
	match($0, /tg\.files\.openat\(.*\) = /) && / = [0-9]/ { path = $0; sub(/^[^"]*"/, "", path); sub(/".*/, "", path) }
	/tg\.files\.read\(/ { text = $0; sub(/^[^"]*"/, "", text); sub(/".*/, "", text)
		seen++; if (toupper(substr(path, 6)) != text) wrong++ }
	END { print (seen ? wrong + 0 : "none") }' trace)
[ "$wrong" = 0 ] || problem=${problem:-$wrong reads of another file than the one that was seen}
verdict 'what was opened is what was seen' "$problem"

# Without a grant, and without the service.
run "$guests/files.elf"
problem=
[ "$status" -eq 1 ] && grep -q '^not ok 1 ' out || problem="status $status"
verdict 'nothing is granted by default' "$problem"
for wrong in '"path": "none"' '"path": "secret/x"'; do
	echo '{"version": 1, "default": "allow", "files": [{"name": "open", '"$wrong"', "read": true}]}' >wrong.json
	run --policy wrong.json "$guests/files.elf"
	problem=
	[ "$status" -eq 66 ] && grep -q 'line 1: cannot grant' err || problem="status $status: $(head -n 1 err)"
	verdict "a grant that is not there ($wrong)" "$problem"
done

# Deterministic: only what policy lets read the host, and then the same in two runs and from a state.
run --deterministic --policy policy.json "$guests/files.elf"
problem=
[ "$status" -ne 0 ] || problem='a deterministic run read the host'
verdict 'a deterministic run does not read the host' "$problem"
sed 's/"default"/"deterministic": ["tg.files"], "default"/' policy.json >det.json
for tag in one two; do
	run --deterministic --policy det.json --report "$tag.json" "$guests/files.elf"
	problem=$(tap_problem)
done
[ "$(grep state_hash one.json)" = "$(grep state_hash two.json)" ] || problem=${problem:-two runs end differently}
verdict 'a deterministic run that may' "$problem"
steps=$(sed -n 's/^  "steps": \([0-9]*\),$/\1/p' one.json)
problem=
for part in 2 3 5; do
	run --deterministic --policy det.json --max-steps $((steps - steps / part / 10)) --save-state state "$guests/files.elf"
	run --deterministic --policy det.json --load-state state --report loaded.json "$guests/files.elf"
	[ "$(grep state_hash one.json)" = "$(grep state_hash loaded.json)" ] || problem=${problem:-cut by $part it ends differently: $(head -n 1 err)}
done
verdict 'a state with open files' "$problem"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
