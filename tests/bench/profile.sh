#!/bin/bash
# profile.sh: where the interpreter's time goes, by groups of functions, measured with perf.
# SPDX-License-Identifier: BSD-2-Clause
#
#   profile.sh boot              Debian's kernel to init and off again, as in run.sh
#   profile.sh NAME ROUNDS       a workload of compute.c
#
# Needs perf, and the guests of `make bench`. PROFILE_TOP=N also lists the N functions with the largest shares.
# Shares are of samples of the CPU clock, which perf takes 2,000 times a second, the host's kernel included.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

build=${B:-build}
cache=${TOLLGATE_CACHE:-.cache}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

command -v perf >/dev/null || { echo 'profile: there is no perf here; install linux-perf' >&2; exit 3; }

case ${1:-} in
boot)
	sh guest/linux/fetch.sh
	mkdir -p "$build/bench"
	sh guest/linux/initramfs.sh "$build/bench/initramfs.cpio"
	set -- -m 512M --console serial -p 'console=ttyS0 quiet tg.init=poweroff' \
		-i "$build/bench/initramfs.cpio" "$cache/debian-riscv64/Image"
	;;
?*) set -- --program "$build/guest/bench-compute.elf" "$@" ;;
*) echo 'usage: profile.sh boot | NAME ROUNDS' >&2; exit 2 ;;
esac

perf record -q -e cpu-clock -F 2000 -o "$work/data" "$build/tollgate" run --report "$work/report" "$@" \
	</dev/null >/dev/null 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
perf report -i "$work/data" --no-children --stdio -F overhead,sym 2>/dev/null |
	sed -n 's/^ *\([0-9.]*\)%  *\[\(.\)\] \([^ ]*\).*/\1 \2 \3/p' >"$work/shares"

sed -n 's/^  "steps": \([0-9]*\).*/steps: \1/p' "$work/report"
awk '
	function group(kind, name) {
		if (kind == "k") return "the host kernel"
		if (name ~ /^softfp_/) return "floating point"
		if (name ~ /^op_f/ && name !~ /^op_(fence|f[ls][wd]_)/) return "floating point"
		if (name ~ /^op_(l[bhwd]u?|s[bhwd]|f[ls][wd])_[24]$/) return "loads and stores that hit"
		if (name ~ /^op_(lr|sc|amo)/) return "atomics"
		if (name ~ /^op_(b(eq|ne|lt|ge)u?|jalr?)(_near)?_[24]$/) return "branches and jumps"
		if (name ~ /^(op_(csr|ecall|ebreak|[sm]ret|wfi|s?fence)|csr_|rv_csr|rv_trap|rv_[sm]ret|read_|write_)/)
			return "system instructions and traps"
		if (name ~ /^(op_(undecoded|page_end|single)|code_|page_|rv_decode|rv_expand|interp_word)/)
			return "code pages and decoding"
		if (name ~ /^op_/) return "integer computation"
		if (name ~ /^(rv_translate|walk|rv_pmp|mem_ptr|slot_at|access_|(load|store)_slow|rv_(load|store)_slow|rv_tlb|rv_atomic|leaf_)/)
			return "translation and slow accesses"
		if (name ~ /^(interp_|fetch_|chunk_|attend|rv_interrupt|rv_timer|clock_|count_steps|take_trap|after_slow)/)
			return "ways between ops, chunks"
		return "the rest"
	}
	{ share[group($2, $3)] += $1 }
	END { for (g in share) printf "%6.1f %%  %s\n", share[g], g }' "$work/shares" | sort -rn
[ -z "${PROFILE_TOP:-}" ] || { echo; head -n "$PROFILE_TOP" "$work/shares" | awk '{ printf "%6.1f %%  %s\n", $1, $3 }'; }
