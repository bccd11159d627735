/* policy_index.h: which of many rules an argument falls under, found in a few steps. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_INDEX_H
#define VMM_POLICY_INDEX_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/policy_doc.h"

/* What some values of the arguments lead to. The first clause that holds decides. */
struct policy_clause {
    const struct policy_range *range[CALL_ARGS]; /* NULL: any value */
    size_t nranges[CALL_ARGS];
    uint32_t verdict; /* below POLICY_NODE */
};

/* An entry is a verdict, or behind this bit the number of a node. */
#define POLICY_NODE 0x80000000u

/* Rules that lie together. */
struct policy_segment {
    uint64_t low;
    uint32_t start; /* of its part of the table; that of segment 0 is at 0 */
    uint32_t size;  /* buckets; one more stands for values above */
    uint32_t first; /* of its bounds */
    uint8_t shift;
};

/*
 * A step of the search, by one argument whose values fall in pieces: piece i begins at bound
 * i - 1. The values are cut into segments, so that rules which crowd in a few places have one
 * for each. Within a segment a table cuts the values from `low` on into buckets of equal size
 * and tells how many bounds lie before each; of the few inside, three are counted at once, and
 * of more a half is left out step by step. No branch depends on what a guest passes: it would
 * be mispredicted, and that costs more than all the steps. All lies in one block of memory,
 * since each pointer on the way is a wait.
 */
struct policy_node {
    uint64_t *bound; /* as many as pieces less one, and some to search over */
    uint32_t *entry; /* of each piece */
    uint16_t *start; /* the table */
    uint32_t cuts;   /* the first step among the segments; 0: there is one */
    uint32_t half;   /* the first step in a bucket; 0: no bucket has a bound inside */
    uint8_t arg;
    struct policy_segment segment[]; /* one, or a power of two and at least four */
};

struct policy_index {
    struct policy_node **node;
    size_t nnodes;
    size_t size;   /* bytes of all nodes */
    uint64_t work; /* spent in building: what a policy may cost has a limit */
};

/*
 * Builds the search for n clauses, the last of which holds for every value, and stores where it
 * begins. Several may share an index. 0; -ENOMEM; -E2BIG: the rules are too many to be
 * compiled.
 */
int policy_index_add(struct policy_index *index, const struct policy_clause *clause, size_t n,
                     uint32_t *start);
void policy_index_free(struct policy_index *index);

/* Where a search begins; NULL: the entry is the verdict. */
static inline const struct policy_node *policy_index_node(const struct policy_index *index,
                                                          uint32_t entry)
{
    return entry & POLICY_NODE ? index->node[entry & ~POLICY_NODE] : NULL;
}

/* The entry of the piece that x lies in. In line: every watched call passes here. */
static inline __attribute__((always_inline)) uint32_t
policy_node_find(const struct policy_node *node, uint64_t x)
{
    const struct policy_segment *seg;
    const uint64_t *bound;
    uint64_t bucket;
    size_t at = 0, step;

    /* Sums, since a compiler may make a branch of a condition. The last steps need no loop. */
    seg = node->segment;
    if (node->cuts > 0) {
        if (__builtin_expect(node->cuts >= 4, 0)) {
            for (step = node->cuts; step >= 4; step >>= 1)
                at += step & -(size_t)(seg[at + step].low <= x);
            seg += at;
        }
        at = 3;
        at -= x < seg[1].low;
        at -= x < seg[2].low;
        at -= x < seg[3].low;
        seg += at;
    }
    bucket = (x - seg->low) >> seg->shift;
    bucket = bucket < seg->size ? bucket : seg->size;
    at = seg->first + (size_t)node->start[seg->start + bucket];
    if (node->half > 0) {
        if (__builtin_expect(node->half >= 4, 0))
            for (step = node->half; step >= 4; step >>= 1)
                at += step & -(size_t)(node->bound[at + step - 1] <= x);
        bound = node->bound + at;
        at += 3;
        at -= x < bound[0];
        at -= x < bound[1];
        at -= x < bound[2];
    }
    return node->entry[at];
}

/*
 * The verdict of the arguments: 3 to 5 ns with 1,000 rules on a call (make bench-policy). What
 * it leads to is predicted, so the loads delay nobody.
 */
static inline uint32_t policy_index_find(const struct policy_index *index, uint32_t entry,
                                         const uint64_t *arg)
{
    while (entry & POLICY_NODE) {
        const struct policy_node *node = index->node[entry & ~POLICY_NODE];

        entry = policy_node_find(node, arg[node->arg]);
    }
    return entry;
}

#endif
