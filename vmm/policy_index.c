/* policy_index.c: compiles rules over ranges of arguments into tables. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX (1u << 22)
#define WORK_MAX    (UINT64_C(1) << 27) /* about a second */
#define TABLE_MAX   (1u << 16)

/* The values of one argument in pieces: entry[i] from bound[i - 1] on, entry[0] from 0 on. */
struct pieces {
    uint64_t *bound;
    uint32_t *entry; /* one more than bounds */
    size_t n;        /* bounds */
};

void policy_index_free(struct policy_index *index)
{
    free(index->node);
    free(index->entry);
    memset(index, 0, sizeof(*index));
}

/* Room for n more entries; -1: none. */
static int64_t entries_add(struct policy_index *index, size_t n)
{
    size_t old = index->nentries;
    uint32_t *entry;

    if (old + n > ENTRIES_MAX)
        return -E2BIG;
    entry = reallocarray(index->entry, old + n, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    index->entry = entry;
    index->nentries = old + n;
    return (int64_t)old;
}

static int node_add(struct policy_index *index, const struct policy_node *node, uint32_t *entry)
{
    struct policy_node *list = index->node;

    if ((index->nnodes & (index->nnodes - 1)) == 0) {
        list = reallocarray(list, index->nnodes ? 2 * index->nnodes : 1, sizeof(*list));
        if (!list)
            return -ENOMEM;
        index->node = list;
    }
    *entry = POLICY_NODE | (uint32_t)index->nnodes;
    list[index->nnodes++] = *node;
    return 0;
}

static int steps_build(struct policy_index *index, uint8_t arg, const uint64_t *bound,
                       const uint32_t *entry, size_t n, uint32_t *start)
{
    struct policy_node node = {.arg = arg};
    int64_t first = entries_add(index, POLICY_STEPS + 1);

    if (first < 0)
        return (int)first;
    node.first = (uint32_t)first;
    for (size_t i = 0; i < POLICY_STEPS; i++)
        node.bound[i] = bound[i < n ? i : n - 1];
    for (size_t i = 0; i <= POLICY_STEPS; i++)
        index->entry[node.first + i] = entry[i < n ? i : n];
    return node_add(index, &node, start);
}

/* The buckets of n bounds: twice as many, so that few hold more than one. */
static unsigned table_shift(uint64_t span, size_t n, size_t *size)
{
    unsigned shift = 0;
    size_t max = 16;

    while (max < 2 * n && max < TABLE_MAX)
        max *= 2;
    while ((span - 1) >> shift >= max)
        shift++;
    *size = (size_t)((span - 1) >> shift) + 1;
    return shift;
}

/*
 * The search among n bounds. A bucket spans at most an eighth of what its node does, so the
 * depth is limited by the 64 bits, and by how the bounds crowd.
 */
static int bounds_build(struct policy_index *index, uint8_t arg, const uint64_t *bound,
                        const uint32_t *entry, size_t n, uint32_t *start)
{
    struct policy_node node = {.arg = arg, .table = true};
    size_t size, at = 0;
    int64_t first;

    if (n == 0) {
        *start = entry[0];
        return 0;
    }
    if (n <= POLICY_STEPS)
        return steps_build(index, arg, bound, entry, n, start);
    node.base = bound[0];
    node.span = bound[n - 1] - bound[0];
    node.below = entry[0];
    node.above = entry[n];
    node.shift = (uint8_t)table_shift(node.span, n, &size);
    first = entries_add(index, size);
    if (first < 0)
        return (int)first;
    node.first = (uint32_t)first;
    for (size_t i = 0; i < size; i++) {
        uint64_t low = node.base + ((uint64_t)i << node.shift);
        uint64_t last = low + ((UINT64_C(1) << node.shift) - 1);
        uint32_t sub;
        size_t end;

        if (last < low)
            last = UINT64_MAX;
        while (at < n && bound[at] <= low)
            at++;
        for (end = at; end < n && bound[end] <= last;)
            end++;
        int rc = bounds_build(index, arg, bound + at, entry + at, end - at, &sub);
        if (rc != 0)
            return rc;
        index->entry[node.first + i] = sub;
    }
    return node_add(index, &node, start);
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
    struct subset now = {calloc(set->n, sizeof(*now.clause)), 0};
    struct subset last = {calloc(set->n, sizeof(*last.clause)), 0};
    size_t kept = 0;
    int rc = now.clause && last.clause ? 0 : -ENOMEM;

    for (size_t i = 0; rc == 0 && i <= pieces->n; i++) {
        uint64_t value = i == 0 ? 0 : pieces->bound[i - 1];
        struct subset swap = last;

        subset_filter(set, arg, value, &now);
        index->work += set->n;
        if (i > 0 && now.n == last.n &&
            memcmp(now.clause, last.clause, now.n * sizeof(*now.clause)) == 0)
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
        rc = bounds_build(index, (uint8_t)arg, pieces.bound, pieces.entry, pieces.n, start);
    free(pieces.bound);
    free(pieces.entry);
    return rc;
}

int policy_index_add(struct policy_index *index, const struct policy_clause *clause, size_t n,
                     uint32_t *start)
{
    struct subset set = {calloc(n, sizeof(*set.clause)), 0};
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
