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

#define POLICY_STEPS 4

/*
 * A step of the search, by one argument. A table cuts the values from base on into buckets of
 * equal size, so that most searches end at the first entry; where bounds crowd in a bucket, it
 * leads to a node of its own. Up to POLICY_STEPS bounds are simply counted.
 */
struct policy_node {
    union {
        struct {
            uint64_t base, span; /* span: of the values that the table has */
            uint32_t below, above;
        };
        uint64_t bound[POLICY_STEPS]; /* sorted; the last is repeated */
    };
    uint32_t first; /* of its entries */
    uint8_t arg;
    uint8_t shift;
    bool table;
};

struct policy_index {
    struct policy_node *node;
    uint32_t *entry;
    size_t nnodes, nentries;
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
 * The verdict of the arguments. With 1,000 rules on a call 2-4 ns (make bench-policy): a binary
 * search of as many bounds would take 11 dependent loads.
 */
static inline uint32_t policy_index_find(const struct policy_index *index, uint32_t entry,
                                         const uint64_t *arg)
{
    while (entry & POLICY_NODE) {
        const struct policy_node *node = &index->node[entry & ~POLICY_NODE];
        uint64_t x = arg[node->arg];

        if (!node->table) {
            unsigned i = 0;

            for (unsigned j = 0; j < POLICY_STEPS; j++)
                i += x >= node->bound[j];
            entry = index->entry[node->first + i];
        } else if (x - node->base >= node->span) {
            entry = x < node->base ? node->below : node->above;
        } else {
            entry = index->entry[node->first + ((x - node->base) >> node->shift)];
        }
    }
    return entry;
}

#endif
