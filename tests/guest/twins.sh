#!/bin/bash
# twins.sh: Debian boots on interpreter and translator side by side, in every stress mode, and is compared all the way.
# SPDX-License-Identifier: BSD-2-Clause
#
#   twins.sh FOLDER short|long
#
# FOLDER/twins is the comparison; FOLDER/tlb1/twins, where it is there, has a TLB that keeps one translation. short: stops every 2 to 8 million
# steps, and all stress modes but the first end after 400 million, a third of the boot; long: every 10,000 on one hart, a
# hundred times as many as short in the stress modes, all of them to the end, and a stretch of single steps.
#
# Prints `ok NAME` or `FAIL NAME` with what differs, and `N passed, N failed`. Skipped with a reason without the guest.
set -u
export LC_ALL=C
# shellcheck source=tests/guest/verdict.sh
. "$(dirname "$0")/verdict.sh"
cd "$(dirname "$0")/../.." || exit 2

if [ $# -ne 2 ] || ! [[ $2 =~ ^(short|long)$ ]]; then
	echo 'usage: twins.sh FOLDER short|long' >&2
	exit 2
fi
folder=$1
image=${TOLLGATE_CACHE:-.cache}/debian-riscv64/Image
log=$(mktemp)
trap 'rm -f "$log"' EXIT

sh guest/linux/fetch.sh || skip_all 'no Debian guest (see the message above)'
if [ ! -f build/initramfs.cpio ] || [ guest/linux/init -nt build/initramfs.cpio ]; then
	sh guest/linux/initramfs.sh build/initramfs.cpio || exit 1
fi

# twins NAME PROGRAM ARGUMENT...
twins() {
	local name=$1 program=$2
	shift 2
	if "$program" --initrd build/initramfs.cpio --append 'console=hvc0 tg.init=poweroff' "$@" "$image" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok $name: $(sed -n 's/^\(steps .*\)/\1/p' "$log")"
	else
		failed=$((failed + 1))
		echo "FAIL $name: $program $*"
		grep -v '^[0-9]* steps$' "$log" | head -40 | sed 's/^/    /'
	fi
}

if [ "$2" = long ]; then
	one=10000 four=100000 stress=80000
else
	one=2000000 four=8000000 stress=8000000
fi
end=(--expect TOLLGATE-INIT-OK)
twins 'one hart' "$folder/twins" --every $one "${end[@]}"
twins 'four harts' "$folder/twins" --every $four --harts 4 "${end[@]}"
twins hot "$folder/twins" --every $stress --stress hot "${end[@]}"
[ "$2" = long ] || end=(--most 400000000)
for mode in single small empty; do
	twins "$mode" "$folder/twins" --every $stress --stress $mode "${end[@]}"
done
[ ! -x "$folder/tlb1/twins" ] || twins 'a TLB of one translation' "$folder/tlb1/twins" --every $stress --stress hot "${end[@]}"
if [ "$2" = long ]; then
	twins 'step by step' "$folder/twins" --every 1 --stress single --most 20000000
	twins 'seven steps' "$folder/twins" --every 7 --stress single --most 100000000
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
