# verdict.sh: counts and tells the checks of a script of tests, which sources it.
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A script may then define verdict_shows: what is shown of a check that failed, whose name is its argument.
# shellcheck disable=SC2034 # who sources it counts what it skips
passed=0 failed=0 skipped=0
# Words by which a Linux guest says that something is wrong with its machine.
# shellcheck disable=SC2034
trouble='Kernel panic|Oops|BUG:|WARNING:|rcu:.*(stall|self-detected)|soft lockup|hung task|Unable to handle|segfault'

verdict_shows() { :; }

verdict() { # NAME PROBLEM: a pass when PROBLEM is empty
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: $2"
		verdict_shows "$1" || :
	fi
}

skip_all() { # REASON: nothing of the script can run here
	echo "skipped: $1"
	echo '0 passed, 0 failed, 1 skipped'
	exit 0
}
