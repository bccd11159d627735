/* stats.h: how often a guest crosses, at what cost, and from where. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct symbols;

/*
 * Durations, in ns. Exact below 16; above, each power of two is divided into eight, so that a
 * percentile is at most one eighth too large and never too small. Zeroed: empty.
 */
#define HISTOGRAM_BUCKETS 496
struct histogram {
    uint64_t count, sum, max;
    uint32_t bucket[HISTOGRAM_BUCKETS]; /* saturating */
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest bound that `percent` of the durations do not exceed; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram *h, unsigned percent);

/* Kinds of what is counted; a name is unique within its kind. */
enum stats_kind {
    STATS_CAUSE,  /* why the guest left: exits, interrupts and exceptions it took */
    STATS_CALL,   /* calls to the monitor */
    STATS_DEVICE, /* reads and writes of a device */
    STATS_GUEST,  /* the guest's own U-to-S calls */
    STATS_KINDS,
};

/*
 * One hart's counts. Owned by its thread; the rest is read when it has ended. Several lines may
 * have the same `id` only when they mean the same name.
 */
struct stats;

/* NULL: no memory. */
struct stats *stats_create(void);
void stats_destroy(struct stats *stats);

/*
 * Counts one event. `name` is kept by reference and outlives the stats. timed: ns is how long
 * it took; otherwise only its number counts.
 */
void stats_count(struct stats *stats, enum stats_kind kind, const char *name, bool timed,
                 uint64_t ns);

/* Counts a crossing by the instruction that caused it. */
void stats_pc(struct stats *stats, uint64_t pc, const char *cause);

/* Adds what `from` counted. */
void stats_merge(struct stats *into, const struct stats *from);

/* Tables for people; symbols may be empty. */
void stats_print(const struct stats *stats, const struct symbols *symbols, FILE *out);

/*
 * The same for machines: {"causes": [{name, count, p50_ns, p99_ns, max_ns, sum_ns}], "calls",
 * "devices", "guest_calls", "pcs": [{pc, symbol, cause, count}]}. NULL: no memory.
 */
json_t *stats_json(const struct stats *stats, const struct symbols *symbols);

#endif
