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

/*
 * A step of the search, by one argument whose values fall in pieces: piece i begins at bound
 * i - 1. A table cuts the values from base on into buckets of equal size and tells how many
 * bounds lie before each; the few inside are searched in `half` steps without a branch. The
 * number of steps is the same for every value: a branch that depends on what a guest passes
 * would be mispredicted, and that costs more than all the steps. A bucket in which bounds crowd
 * leads to a node of its own.
 */
struct policy_node {
    uint64_t base;
    uint32_t size;  /* buckets; one more stands for values below, one for those above */
    uint32_t start; /* of its table, in index->start */
    uint32_t first; /* of its bounds and of its entries */
    uint32_t half;  /* the first step's length: 0 when no bucket has a bound inside */
    uint8_t arg;
    uint8_t shift;
};

struct policy_index {
    struct policy_node *node;
    size_t nnodes;
    /* Pieces of all nodes: each has one entry more than bounds, and some to search over. */
    uint64_t *bound;
    uint32_t *entry;
    size_t npieces;
    uint32_t *start;
    size_t nstarts;
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

/*
 * The verdict of the arguments: 1 to 5 ns with 1,000 rules on a call (make bench-policy). What
 * it leads to is predicted, so the loads delay nobody.
 */
static inline uint32_t policy_index_find(const struct policy_index *index, uint32_t entry,
                                         const uint64_t *arg)
{
    while (entry & POLICY_NODE) {
        const struct policy_node *node = &index->node[entry & ~POLICY_NODE];
        uint64_t x = arg[node->arg], bucket = (x - node->base) >> node->shift;
        const uint64_t *bound = index->bound + node->first;

        bucket = bucket < node->size ? bucket + 1 : node->size + 1;
        bucket = x < node->base ? 0 : bucket;

        const uint64_t *at = bound + index->start[node->start + bucket];
        for (size_t half = node->half; half > 0; half >>= 1) {
            const uint64_t *next = at + half;

            /* Either is as likely: a conditional move, that is. */
            at = __builtin_expect_with_probability(next[-1] <= x, 1, 0.5) ? next : at;
        }
        entry = index->entry[node->first + (size_t)(at - bound)];
    }
    return entry;
}

#endif
