/* policy_index.c: compiles rules over ranges of arguments into tables. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_index.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT (UINT64_C(1) << 26)
#define WORK_MAX   (UINT64_C(1) << 26) /* half a second */
#define TABLE_MAX  (1u << 16)

/* The values of one argument in pieces: entry[i] from bound[i - 1] on, entry[0] from 0 on. */
struct pieces {
    uint64_t *bound;
    uint32_t *entry; /* one more than bounds */
    size_t n;        /* bounds */
};

void policy_index_free(struct policy_index *index)
{
    for (size_t i = 0; i < index->nnodes; i++)
        free(index->node[i]);
    free(index->node);
    memset(index, 0, sizeof(*index));
}

/*
 * Cuts the values from the segment's low on, with the first n bounds from there, into buckets:
 * `spread` times as many as bounds. The most bounds within one; a bound where a bucket begins
 * is within none.
 */
static size_t segment_measure(struct policy_segment *seg, const uint64_t *bound, size_t n,
                              size_t spread)
{
    uint64_t span = n > 0 ? bound[n - 1] - seg->low : 0, bucket = UINT64_MAX;
    size_t max = 8, now = 0, most = 0;

    while (max < spread * n && max < TABLE_MAX)
        max *= 2;
    seg->shift = 0;
    while (span >> seg->shift >= max)
        seg->shift++;
    seg->size = (uint32_t)(span >> seg->shift) + 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t at = bound[i] - seg->low;

        if (at >> seg->shift != bucket)
            now = 0;
        bucket = at >> seg->shift;
        now += at != bucket << seg->shift;
        most = now > most ? now : most;
    }
    return most;
}

/* A way to cut a node's bounds into segments. */
struct layout {
    struct policy_segment *seg;
    uint32_t *count; /* bounds of each segment */
    size_t n, max;
    size_t spread; /* buckets a bound */
    size_t room;   /* more bounds than are in any bucket: 1, 4, 8, 16, ... */
};

/*
 * How many bounds a segment can hold that has less than layout->room in a bucket: found by
 * doubling.
 */
static size_t segment_reach(struct policy_index *index, const struct layout *layout,
                            struct policy_segment *seg, const uint64_t *bound, size_t n)
{
    size_t reach = 0, step = 1;
    bool grow = true;

    n = n < UINT16_MAX ? n : UINT16_MAX; /* as far as the table counts */
    while (step > 0) {
        size_t next = reach + step <= n ? reach + step : n;
        bool fits = segment_measure(seg, bound, next, layout->spread) < layout->room;

        index->work += next;
        if (fits)
            reach = next;
        grow = grow && fits && reach < n;
        step = grow ? step * 2 : reach < n ? step / 2 : 0;
    }
    segment_measure(seg, bound, reach, layout->spread);
    return reach;
}

static int layout_put(struct layout *layout, const struct policy_segment *seg, size_t count)
{
    if (layout->n == layout->max) {
        size_t max = layout->max ? 2 * layout->max : 8;
        struct policy_segment *list = reallocarray(layout->seg, max, sizeof(*list));
        uint32_t *counts;

        if (!list)
            return -ENOMEM;
        layout->seg = list;
        counts = reallocarray(layout->count, max, sizeof(*counts));
        if (!counts)
            return -ENOMEM;
        layout->count = counts;
        layout->max = max;
    }
    layout->count[layout->n] = (uint32_t)count;
    layout->seg[layout->n++] = *seg;
    return 0;
}

static void layout_free(struct layout *layout)
{
    free(layout->seg);
    free(layout->count);
    *layout = (struct layout){0};
}

/* Each segment as long as may be, the first from 0 on. -ERANGE: there are more than `max`. */
static int layout_make(struct policy_index *index, struct layout *layout,
                       const struct pieces *pieces, size_t max)
{
    struct policy_segment seg = {.low = 0};
    size_t at = 0;
    int rc;

    do {
        size_t reach = segment_reach(index, layout, &seg, pieces->bound + at, pieces->n - at);

        if (layout->n == max)
            return -ERANGE;
        rc = layout_put(layout, &seg, reach);
        at += reach;
        if (at < pieces->n)
            seg.low = pieces->bound[at];
    } while (rc == 0 && at < pieces->n);
    return rc;
}

/* The power of two, at least n and at least four; but one is one. */
static size_t power_above(size_t n)
{
    size_t power = 4;

    while (power < n)
        power *= 2;
    return n > 1 ? power : 1;
}

/* The steps that tell 1, 4, 8, 16, ... things apart. */
static unsigned power_steps(size_t power)
{
    unsigned steps = 0;

    for (; power > 2; power /= 2)
        steps++;
    return steps;
}

/* The first step among segments takes as long as two others. */
#define CUT_STEP 1u

/* Tries layouts with buckets for 1, 4, 8, 16, ... bounds until none can take fewer steps. */
static int layout_improve(struct policy_index *index, struct layout *best,
                          const struct pieces *pieces, size_t spread, unsigned *least)
{
    int rc = 0;

    for (size_t room = 1; rc == 0 && power_steps(room) < *least; room = power_above(room + 1)) {
        struct layout layout = {.spread = spread, .room = room};
        unsigned left = *least - power_steps(room) - 1, steps;

        rc = layout_make(index, &layout, pieces,
                         left <= CUT_STEP ? 1 : (size_t)2 << (left - CUT_STEP));
        if (rc != 0) {
            layout_free(&layout);
            rc = rc == -ERANGE ? 0 : rc;
            continue;
        }
        layout_free(best);
        *best = layout;
        steps = power_steps(power_above(layout.n));
        *least = power_steps(room) + steps + (steps > 0 ? CUT_STEP : 0);
    }
    return rc;
}

/*
 * The layout with the fewest steps. Few segments suffice for rules that are spread, or lie in
 * crowds; at the worst a search halves all that is in one. A large table must be worth it.
 */
static int layout_choose(struct policy_index *index, struct layout *best,
                         const struct pieces *pieces)
{
    unsigned least = 32; /* any */
    int rc = layout_improve(index, best, pieces, 4, &least);

    return rc == 0 ? layout_improve(index, best, pieces, 32, &least) : rc;
}

/*
 * Room for a node: its parts follow one another. Bounds beyond a bucket's are searched too and
 * change nothing, as they are above the value; behind the last there are as many as a search
 * may look at.
 */
static struct policy_node *node_alloc(const struct layout *layout, size_t segments,
                                      size_t bounds, size_t *size)
{
    size_t starts = 0;
    struct policy_node *node;

    for (size_t i = 0; i < layout->n; i++)
        starts += layout->seg[i].size + 1;
    *size = sizeof(*node) + segments * sizeof(node->segment[0]) +
            bounds * sizeof(*node->bound) + (bounds + 1) * sizeof(*node->entry) +
            starts * sizeof(*node->start);
    node = calloc(1, *size);
    if (!node)
        return NULL;
    node->bound = (uint64_t *)&node->segment[segments];
    node->entry = (uint32_t *)&node->bound[bounds];
    node->start = (uint16_t *)&node->entry[bounds + 1];
    return node;
}

/* Fills a segment's table: how many of its bounds a bucket has behind it where it begins. */
static void table_fill(const struct policy_segment *seg, const uint64_t *bound, size_t n,
                       uint16_t *start)
{
    size_t at = 0;

    for (size_t i = 0; i < seg->size; i++) {
        uint64_t low = seg->low + ((uint64_t)i << seg->shift);

        while (at < n && bound[at] <= low)
            at++;
        start[i] = (uint16_t)at;
    }
    start[seg->size] = (uint16_t)n;
}

/* Segments up to a power of two are copies of the last. */
static void node_fill(struct policy_node *node, const struct layout *layout, size_t segments,
                      const struct pieces *pieces, size_t bounds)
{
    uint32_t start = 0;
    size_t at = 0;

    for (size_t i = 0; i < layout->n; i++) {
        node->segment[i] = layout->seg[i];
        node->segment[i].start = start;
        node->segment[i].first = (uint32_t)at;
        table_fill(&layout->seg[i], pieces->bound + at, layout->count[i], node->start + start);
        start += layout->seg[i].size + 1;
        at += layout->count[i];
    }
    for (size_t i = layout->n; i < segments; i++)
        node->segment[i] = node->segment[layout->n - 1];
    /* A value of 2^64 - 1 passes those made up: the entries there are the last one again. */
    for (size_t i = 0; i < bounds; i++)
        node->bound[i] = i < pieces->n ? pieces->bound[i] : UINT64_MAX;
    for (size_t i = 0; i <= bounds; i++)
        node->entry[i] = pieces->entry[i < pieces->n ? i : pieces->n];
}

static int node_add(struct policy_index *index, struct policy_node *node, uint32_t *entry)
{
    struct policy_node **list =
        reallocarray(index->node, index->nnodes + 1, sizeof(struct policy_node *));

    if (!list)
        return -ENOMEM;
    index->node = list;
    *entry = POLICY_NODE | (uint32_t)index->nnodes;
    list[index->nnodes++] = node;
    return 0;
}

/* The search among the pieces of one argument. */
static int pieces_build(struct policy_index *index, uint8_t arg, const struct pieces *pieces,
                        uint32_t *entry)
{
    struct policy_node *node = NULL;
    struct layout layout = {.n = 0};
    int rc;

    if (pieces->n == 0) {
        *entry = pieces->entry[0];
        return 0;
    }
    rc = layout_choose(index, &layout, pieces);
    if (rc == 0) {
        size_t segments = power_above(layout.n), half = layout.room / 2;
        size_t bounds = pieces->n + 2 * half, size = 0;

        node = node_alloc(&layout, segments, bounds, &size);
        index->size += size;
        rc = !node ? -ENOMEM : index->size > SIZE_LIMIT ? -E2BIG : 0;
        if (rc == 0) {
            node->arg = arg;
            node->cuts = (uint32_t)(segments / 2);
            node->half = (uint32_t)half;
            node_fill(node, &layout, segments, pieces, bounds);
            rc = node_add(index, node, entry);
        }
        if (rc != 0)
            free(node);
    }
    layout_free(&layout);
    return rc;
}

/* Clauses that are left when some arguments are settled. */
struct subset {
    const struct policy_clause **clause;
    size_t n;
};

static int bound_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Where any of the clauses begins or ends to hold, sorted. */
static int bounds_collect(const struct subset *set, uint8_t arg, uint64_t **bound, size_t *n)
{
    size_t max = 0, got = 0, kept = 0;

    for (size_t i = 0; i < set->n; i++)
        max += 2 * set->clause[i]->nranges[arg];
    *bound = calloc(max + 1, sizeof(**bound));
    if (!*bound)
        return -ENOMEM;
    for (size_t i = 0; i < set->n; i++) {
        const struct policy_clause *clause = set->clause[i];

        for (size_t j = 0; j < clause->nranges[arg]; j++) {
            if (clause->range[arg][j].min != 0)
                (*bound)[got++] = clause->range[arg][j].min;
            if (clause->range[arg][j].max != UINT64_MAX)
                (*bound)[got++] = clause->range[arg][j].max + 1;
        }
    }
    qsort(*bound, got, sizeof(**bound), bound_compare);
    for (size_t i = 0; i < got; i++)
        if (kept == 0 || (*bound)[i] != (*bound)[kept - 1])
            (*bound)[kept++] = (*bound)[i];
    *n = kept;
    return 0;
}

/* Does the clause say anything of the arguments from `arg` on? */
static bool clause_open(const struct policy_clause *clause, unsigned arg)
{
    for (; arg < CALL_ARGS; arg++)
        if (clause->range[arg])
            return true;
    return false;
}

static int subset_build(struct policy_index *index, const struct subset *set, unsigned arg,
                        uint32_t *start);

/* The clauses of a set that hold for a value; those behind a sure one never decide. */
static void subset_filter(const struct subset *set, uint8_t arg, uint64_t value,
                          struct subset *out)
{
    out->n = 0;
    for (size_t i = 0; i < set->n; i++) {
        const struct policy_clause *clause = set->clause[i];

        if (clause->range[arg] &&
            !policy_ranges_hold(clause->range[arg], clause->nranges[arg], value))
            continue;
        out->clause[out->n++] = clause;
        if (!clause_open(clause, arg + 1u))
            return;
    }
}

/* Settles one argument: finds out for each piece what the rest leads to, and joins like ones.
 */
static int pieces_fill(struct policy_index *index, const struct subset *set, uint8_t arg,
                       struct pieces *pieces)
{
    struct subset now = {calloc(set->n, sizeof(struct policy_clause *)), 0};
    struct subset last = {calloc(set->n, sizeof(struct policy_clause *)), 0};
    size_t kept = 0;
    int rc = now.clause && last.clause ? 0 : -ENOMEM;

    for (size_t i = 0; rc == 0 && i <= pieces->n; i++) {
        uint64_t value = i == 0 ? 0 : pieces->bound[i - 1];
        struct subset swap = last;

        subset_filter(set, arg, value, &now);
        index->work += set->n;
        if (i > 0 && now.n == last.n &&
            memcmp(now.clause, last.clause, now.n * sizeof(struct policy_clause *)) == 0)
            continue;
        rc = index->work > WORK_MAX ? -E2BIG : 0;
        if (rc == 0)
            rc = subset_build(index, &now, arg + 1u, &pieces->entry[kept]);
        last = now;
        now = swap;
        if (rc == 0 && kept > 0 && pieces->entry[kept] == pieces->entry[kept - 1])
            continue;
        if (kept > 0)
            pieces->bound[kept - 1] = value;
        kept++;
    }
    pieces->n = kept > 0 ? kept - 1 : 0;
    free(now.clause);
    free(last.clause);
    return rc;
}

/* Is there a clause, of those that may decide, that looks at this argument? */
static bool arg_used(const struct subset *set, unsigned arg)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->clause[i]->range[arg])
            return true;
    return false;
}

static int subset_build(struct policy_index *index, const struct subset *set, unsigned arg,
                        uint32_t *start)
{
    struct pieces pieces = {0};
    int rc;

    while (arg < CALL_ARGS && !arg_used(set, arg))
        arg++;
    if (arg == CALL_ARGS || !clause_open(set->clause[0], arg)) {
        *start = set->clause[0]->verdict;
        return 0;
    }
    rc = bounds_collect(set, (uint8_t)arg, &pieces.bound, &pieces.n);
    if (rc != 0)
        return rc;
    pieces.entry = calloc(pieces.n + 1, sizeof(*pieces.entry));
    rc = pieces.entry ? pieces_fill(index, set, (uint8_t)arg, &pieces) : -ENOMEM;
    if (rc == 0)
        rc = pieces_build(index, (uint8_t)arg, &pieces, start);
    free(pieces.bound);
    free(pieces.entry);
    return rc;
}

int policy_index_add(struct policy_index *index, const struct policy_clause *clause, size_t n,
                     uint32_t *start)
{
    struct subset set = {calloc(n, sizeof(struct policy_clause *)), 0};
    int rc;

    if (!set.clause)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        set.clause[set.n++] = &clause[i];
        if (!clause_open(&clause[i], 0))
            break;
    }
    rc = subset_build(index, &set, 0, start);
    free(set.clause);
    return rc;
}
