/* policy_index.c: compiles rules over ranges of arguments into tables. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX (1u << 20)
#define WORK_MAX   (UINT64_C(1) << 26) /* half a second */
#define TABLE_MAX  (1u << 16)
#define CROWD      7u /* bounds in a bucket that three steps tell apart */

/* The values of one argument in pieces: entry[i] from bound[i - 1] on, entry[0] from 0 on. */
struct pieces {
    uint64_t *bound;
    uint32_t *entry; /* one more than bounds */
    size_t n;        /* bounds */
};

void policy_index_free(struct policy_index *index)
{
    free(index->node);
    free(index->bound);
    free(index->entry);
    free(index->start);
    memset(index, 0, sizeof(*index));
}

/* Room for n more pieces. */
static int pieces_add(struct policy_index *index, size_t n)
{
    size_t all = index->npieces + n;
    uint64_t *bound;
    uint32_t *entry;

    if (all > PIECES_MAX)
        return -E2BIG;
    bound = reallocarray(index->bound, all, sizeof(*bound));
    if (bound)
        index->bound = bound;
    entry = reallocarray(index->entry, all, sizeof(*entry));
    if (entry)
        index->entry = entry;
    return bound && entry ? 0 : -ENOMEM;
}

/* Four times as many buckets as bounds, so that few bounds share one. */
static void table_measure(struct policy_node *node, uint64_t span, size_t n)
{
    size_t max = 16;

    while (max < 4 * n && max < TABLE_MAX)
        max *= 2;
    while (span >> node->shift >= max)
        node->shift++;
    node->size = (uint32_t)(span >> node->shift) + 1;
}

/* Fills the table: how many bounds lie before what a bucket holds. The most within one. */
static size_t table_fill(const struct policy_node *node, const uint64_t *bound, size_t n,
                         uint32_t *start)
{
    size_t at = 0, most = 0;

    start[0] = 0;
    for (size_t i = 0; i < node->size; i++) {
        uint64_t low = node->base + ((uint64_t)i << node->shift);
        size_t before;

        while (at < n && bound[at] <= low)
            at++;
        start[i + 1] = (uint32_t)at;
        before = at;
        while (at < n && (bound[at] - node->base) >> node->shift == i)
            at++;
        most = at - before > most ? at - before : most;
    }
    start[node->size + 1] = (uint32_t)n;
    return most;
}

/*
 * Bounds beyond a bucket's are searched too and change nothing, as they are above the value.
 * Those behind the last are made up: so that a value of 2^64 - 1 does no harm, the entries
 * there are the last one again.
 */
static int node_fill(struct policy_index *index, struct policy_node *node,
                     const struct pieces *pieces, size_t most)
{
    size_t room, all;
    int rc;

    while (most > 0 && 2 * node->half <= most)
        node->half = node->half ? 2 * node->half : 1;
    room = pieces->n + 1 + 2 * (size_t)node->half;
    rc = pieces_add(index, room);
    if (rc != 0)
        return rc;
    node->first = (uint32_t)index->npieces;
    all = index->npieces + room;
    for (size_t i = 0; index->npieces < all; i++, index->npieces++) {
        index->bound[index->npieces] = i < pieces->n ? pieces->bound[i] : UINT64_MAX;
        index->entry[index->npieces] = pieces->entry[i < pieces->n ? i : pieces->n];
    }
    return 0;
}

/* Makes the node of these pieces, whose table is measured. */
static int node_make(struct policy_index *index, struct policy_node *node,
                     const struct pieces *pieces, uint32_t *entry)
{
    struct policy_node *list;
    uint32_t *start;
    size_t most;
    int rc;

    node->start = (uint32_t)index->nstarts;
    start = reallocarray(index->start, index->nstarts + node->size + 2, sizeof(*start));
    if (!start)
        return -ENOMEM;
    index->start = start;
    most = table_fill(node, pieces->bound, pieces->n, start + index->nstarts);
    index->nstarts += node->size + 2;
    rc = node_fill(index, node, pieces, most);
    if (rc != 0)
        return rc;
    list = reallocarray(index->node, index->nnodes + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    index->node = list;
    *entry = POLICY_NODE | (uint32_t)index->nnodes;
    list[index->nnodes++] = *node;
    return 0;
}

static int pieces_build(struct policy_index *index, uint8_t arg, const struct pieces *pieces,
                        uint32_t *entry);

/* A new piece from `bound` on, unless it is like the last. */
static void piece_put(struct pieces *out, uint64_t bound, uint32_t entry)
{
    if (entry == out->entry[out->n])
        return;
    out->bound[out->n++] = bound;
    out->entry[out->n] = entry;
}

/* Gives each bucket in which bounds crowd a node of its own; the rest stays as it is. */
static int pieces_split(struct policy_index *index, const struct policy_node *node,
                        const struct pieces *pieces, struct pieces *out)
{
    size_t at = 0;
    int rc = 0;

    out->n = 0;
    out->entry[0] = pieces->entry[0];
    for (size_t i = 0; rc == 0 && i < node->size; i++) {
        uint64_t low = node->base + ((uint64_t)i << node->shift);
        size_t before;

        while (at < pieces->n && pieces->bound[at] <= low)
            at++;
        before = at;
        while (at < pieces->n && (pieces->bound[at] - node->base) >> node->shift == i)
            at++;
        if (at - before > CROWD) {
            const struct pieces crowd = {pieces->bound + before, pieces->entry + before,
                                         at - before};
            uint32_t entry = 0;

            rc = pieces_build(index, node->arg, &crowd, &entry);
            piece_put(out, low, entry);
            continue;
        }
        piece_put(out, low, pieces->entry[before]);
        for (size_t j = before; j < at; j++)
            piece_put(out, pieces->bound[j], pieces->entry[j + 1]);
    }
    return rc;
}

/* The search among the pieces of one argument. */
static int pieces_build(struct policy_index *index, uint8_t arg, const struct pieces *pieces,
                        uint32_t *entry)
{
    struct policy_node node = {.arg = arg};
    struct pieces out = {0};
    int rc = -ENOMEM;

    if (pieces->n == 0) {
        *entry = pieces->entry[0];
        return 0;
    }
    node.base = pieces->bound[0];
    table_measure(&node, pieces->bound[pieces->n - 1] - node.base, pieces->n);
    if (pieces->n <= CROWD)
        return node_make(index, &node, pieces, entry);
    out.bound = calloc(node.size + pieces->n + 1, sizeof(*out.bound));
    out.entry = calloc(node.size + pieces->n + 1, sizeof(*out.entry));
    if (out.bound && out.entry)
        rc = pieces_split(index, &node, pieces, &out);
    if (rc == 0)
        rc = node_make(index, &node, &out, entry);
    free(out.bound);
    free(out.entry);
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
