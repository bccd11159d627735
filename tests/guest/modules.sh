#!/bin/bash
# modules.sh: a guest with and without each module that can be left out, and what the module changed between the two.
# SPDX-License-Identifier: BSD-2-Clause
#
#   modules.sh TOLLGATE BUILD [MODULE...]   (default: every module of the build)
#
# Both runs must pass, and `tollgate diff` must name the module. How a module is run stands in module_case; one that is
# not named there is run under the probe guest, deterministically, on two harts.
# Prints `ok NAME` or `FAIL NAME: why`, and `N passed, N failed`.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

[ $# -ge 2 ] || {
	echo 'modules.sh: usage: modules.sh TOLLGATE BUILD [MODULE...]' >&2
	exit 2
}
tollgate=$1 guests=$2/guest
shift 2
limit=240 # seconds: a run that takes longer hangs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

verdict_shows() {
	grep -ha '^not ok' "$work"/*.out | head -n 5 | sed 's/^/    /'
	tail -qn 3 "$work"/*.err | sed 's/^/    /'
}

# What a module's pair of runs is: the guest, its status, options of both, of the first only, and of the second only.
module_case() {
	differs=1
	guest=probe status=0 both=(--deterministic -c 2) with=() without=(--without "$1")
	case $1 in
	reset-rom | clint | doorbell | htif | cfi-flash) guest=kernel with=(--device "$1") without=() ;;
	sbi-base) guest=hello ;; # without it nobody can ask what else is there
	sbi-sta | goldfish-rtc) both=(-c 2) ;; # they show the host, and are not there in deterministic runs
	plic | uart16550a | finisher | virtio-console | virtio-rng) guest=kernel ;;
	aia | acpi-power) differs=0 ;; # of KVM's machines: there is nothing to leave out here
	esac
}

# run_one NAME OPTION...: one run of the guest, kept in $work/NAME; prints what is wrong with it.
run_one() {
	local name=$1 got=0
	shift
	timeout -k 5 "$limit" "$tollgate" run -m 128M --keep "$work/$name" "${both[@]}" "$@" "$guests/$guest.elf" \
		</dev/null >"$work/$name.out" 2>"$work/$name.err" || got=$?
	[ "$got" -eq "$status" ] || echo "$guest ${*:-as it is}: status $got, not $status"
	! grep -qa '^not ok' "$work/$name.out" || echo "$guest ${*:-as it is}: tests are not ok"
}

module_test() {
	local problem got=0
	module_case "$1"
	rm -rf "$work"/with* "$work"/without*
	problem=$(run_one with ${with[@]+"${with[@]}"}; run_one without ${without[@]+"${without[@]}"})
	"$tollgate" diff "$work/with" "$work/without" >"$work/diff.out" 2>"$work/diff.err" || got=$?
	[ "$got" -eq "$differs" ] || problem=${problem:-tollgate diff: status $got, not $differs}
	[ "$differs" -eq 0 ] || grep -qw -e "$1" "$work/diff.out" || problem=${problem:-tollgate diff does not name it}
	verdict "$1, with and without" "$problem"
}

if [ $# -eq 0 ]; then
	mapfile -t modules < <("$tollgate" run --list-modules | awk '/^[a-z]/ { print $1 }')
	set -- "${modules[@]}"
fi
for module; do
	module_test "$module"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
