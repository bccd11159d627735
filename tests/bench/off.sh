#!/bin/bash
# off.sh: what observation costs when nobody watches: this build against one with TG_NO_OBSERVE.
# SPDX-License-Identifier: BSD-2-Clause
#
#   off.sh [RUNS]      11 interleaved runs of each unless told; they are pinned to one CPU (BENCH_CPU, 0)
#
# Builds build/observe (as released) and build/no-observe (traces, statistics, time stamps compiled out), and runs the probe
# in turns. Each figure is the median of the runs' ratios, this build by the other: 1.00 is nothing. Within 0.98 to 1.02 it
# says "within"; status 1 when the SBI Base call is not.
set -eu
cd "$(dirname "$0")/../.."
export LC_ALL=C

runs=${1:-11}
pin=(taskset -c "${BENCH_CPU:-0}")
command -v jq >/dev/null || { echo 'off: there is no jq' >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

make -s B=build/observe build/observe/tollgate
make -s B=build/no-observe CFLAGS="${CFLAGS:-} -DTG_NO_OBSERVE" build/no-observe/tollgate
names='function user.ecall sbi.base.get_spec_version sbi.time.set_timer tg.base.null tg.multicall:null:32 sbi.dbcn.write:1 uart.lsr'

# The one that goes first alternates too.
for ((i = 1; i <= runs; i++)); do
	if [ $((i % 2)) -eq 0 ]; then order='observe no-observe'; else order='no-observe observe'; fi
	for which in $order; do
		"${pin[@]}" "build/$which/tollgate" bench calls --engine interp --json "$work/$which-$i.json" >/dev/null
	done
done

printf 'off against compiled out: median ratio of %s interleaved runs\n' "$runs"
bad=0
for name in $names; do
	for ((i = 1; i <= runs; i++)); do
		jq -rn --arg n "$name" --slurpfile a "$work/observe-$i.json" --slurpfile b "$work/no-observe-$i.json" \
			'def p50: .[0].calls[] | select(.name == $n) | .midmean // empty; ($a | p50) / ($b | p50)'
	done | sort -n >"$work/ratios"
	if [ ! -s "$work/ratios" ]; then
		printf '  %-28s n/a\n' "$name"
		continue
	fi
	awk -v name="$name" '
		{ v[NR] = $1 }
		END {
			m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			good = (m >= 0.98 && m <= 1.02)
			printf "  %-28s %.3f   (min %.3f, max %.3f) %s\n", name, m, v[1], v[NR], good ? "within" : "outside"
			exit !good
		}' "$work/ratios" || { [ "$name" != sbi.base.get_spec_version ] || bad=1; }
done
exit $bad
