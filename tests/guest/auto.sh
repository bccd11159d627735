#!/bin/bash
# auto.sh: which engine --engine auto takes, what -v says of it, and that a host which lacks one is no failure.
# SPDX-License-Identifier: BSD-2-Clause
#
#   auto.sh TOLLGATE GUESTS
#
# Hosts that lack something are made of this one: a /dev without kvm in a mount namespace, another user, a limit. Prints
# `ok NAME` or `FAIL NAME`, and `N passed, N failed, N skipped`.
set -u
export LC_ALL=C

[ $# -eq 2 ] || {
	echo 'usage: auto.sh TOLLGATE GUESTS' >&2
	exit 2
}
tollgate=$(realpath "$1") guests=$(realpath "$2")
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cp "$guests/hello.elf" "$guests/x86-hello.elf" "$work/" || exit 2
cp "$tollgate" "$work/tollgate"

# taken NAME STATUS WORDS... -- COMMAND...: the command's status, and what it must say.
taken() {
	local name=$1 want=$2 status=0 problem='' words=()
	shift 2
	while [ "$1" != -- ]; do words+=("$1") && shift; done
	shift
	timeout -k 5 60 "$@" </dev/null 2>&1 | cat >"$work/out" # a pipe, since one command may write no file
	status=${PIPESTATUS[0]}
	[ "$status" -eq "$want" ] || problem="status $status, not $want"
	for word in "${words[@]}"; do
		grep -qF -e "$word" "$work/out" || problem=${problem:-no \"$word\"}
	done
	if [ -z "$problem" ]; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		echo "FAIL $name: $problem"
		sed 's/^/    /' "$work/out" | head -n 8
	fi
}

skip() { # NAME REASON
	skipped=$((skipped + 1))
	echo "skipped: $1: $2"
}

machine=$(uname -m)
if [ "$machine" != x86_64 ]; then
	skip 'auto on this host' "what it takes is known for x86-64 only, not for $machine"
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
fi

run=("$work/tollgate" run -m 64M)
riscv=("${run[@]}" -v "$work/hello.elf")
x86=("${run[@]}" -v "$work/x86-hello.elf")
other='kvm: the guest is for riscv64, and this engine runs x86-64 guests'
best=dbt
if "${run[@]}" --engine dbt "$work/hello.elf" 2>&1 </dev/null | grep -q 'not part of this build'; then
	best=interp
fi

taken "a riscv64 guest: $best" 0 "engine $best, 1 hart" "passed over: $other" 'Hello from S-mode.' -- "${riscv[@]}"
taken "asked for by its name: $best" 0 "engine $best, 1 hart" 'Hello from S-mode.' -- "${riscv[@]}" --engine auto
taken "options that count steps: $best" 103 "engine $best, 1 hart" -- "${riscv[@]}" --max-steps 1000
taken 'kvm is asked for, for a riscv64 guest' 69 "--engine: 'kvm' cannot run this guest: the guest is for riscv64" \
	-- "${riscv[@]}" --engine kvm
taken 'the interpreter is asked for' 0 'engine interp, 1 hart' 'Hello from S-mode.' -- "${riscv[@]}" --engine interp

# Where no memory for code can be had: files may have no size, and code lies in one that has no name.
if [ $best = dbt ]; then
	# shellcheck disable=SC2016 # the inner shell expands it
	no_code=(bash -c 'trap "" XFSZ; ulimit -f 0; exec "$@"' bash)
	taken 'no memory for code: interp' 0 'engine interp, 1 hart' "$other; dbt: no memory for code can be had" \
		'Hello from S-mode.' -- "${no_code[@]}" "${riscv[@]}"
	taken 'no memory for code, and dbt is asked for' 69 "'dbt' cannot run this guest: no memory for code" \
		-- "${no_code[@]}" "${riscv[@]}" --engine dbt
fi

# x86-64 guests have one engine, and the host may lack what it needs.
nothing='no engine of this build can run this guest here: kvm: '
taken 'interp is asked for, for an x86-64 guest' 69 'this engine runs riscv64 guests' -- "${x86[@]}" --engine interp
if [ -c /dev/kvm ] && "${run[@]}" --engine kvm "$work/x86-hello.elf" >/dev/null 2>&1 </dev/null; then
	taken 'an x86-64 guest: kvm' 0 'engine kvm, 1 hart' 'Hello from 64-bit mode.' -- "${x86[@]}"
else
	skip 'an x86-64 guest: kvm' 'this host has no /dev/kvm that works'
fi

# with_dev COMMAND...: a /dev of its own, made ready by the first word, a shell's command.
with_dev() {
	local ready=$1
	shift
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare -rm bash -c 'mount -t tmpfs none /dev && eval "$0" && exec "$@"' "$ready" "$@"
}
export -f with_dev
dev=(bash -c 'with_dev "$@"' bash)
if with_dev : true 2>/dev/null; then
	taken 'no /dev/kvm, an x86-64 guest' 69 "${nothing}cannot open /dev/kvm: No such file" -- "${dev[@]}" : "${x86[@]}"
	taken 'no /dev/kvm, and kvm is asked for' 69 "'kvm' cannot run this guest: cannot open /dev/kvm" \
		-- "${dev[@]}" : "${x86[@]}" --engine kvm
	taken "no /dev/kvm, a riscv64 guest: $best" 0 "engine $best, 1 hart" 'Hello from S-mode.' -- "${dev[@]}" : "${riscv[@]}"
	taken 'a /dev/kvm that is no KVM' 69 "${nothing}/dev/kvm does not speak" -- "${dev[@]}" "touch /dev/kvm" "${x86[@]}"
else
	skip 'hosts without /dev/kvm' 'no user namespace can be had here'
fi
forbidden=()
[ "$(id -u)" -ne 0 ] || forbidden=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if [ -c /dev/kvm ] && ! ${forbidden[@]+"${forbidden[@]}"} test -r /dev/kvm; then
	taken 'a forbidden /dev/kvm, an x86-64 guest' 69 "${nothing}cannot open /dev/kvm: Permission denied" \
		-- ${forbidden[@]+"${forbidden[@]}"} "${x86[@]}"
	taken "a forbidden /dev/kvm, a riscv64 guest: $best" 0 "engine $best, 1 hart" \
		-- ${forbidden[@]+"${forbidden[@]}"} "${riscv[@]}"
else
	skip 'a forbidden /dev/kvm' 'there is none, or all may use it'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
