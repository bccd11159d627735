/* policy_state.h: a frozen policy, for those who make it and those who look at it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_STATE_H
#define VMM_POLICY_STATE_H

#include "vmm/policy.h"
#include "vmm/policy_rules.h"

#define POLICY_BUCKETS_MAX 32u /* rate rules on one call */

struct policy {
    struct policy_doc doc;
    struct policy_index index;
    struct policy_check *check;
    size_t nchecks;
    struct policy_bucket *bucket; /* one for each rate rule, in their order */
    size_t nbuckets;
    struct call_desc *number; /* see policy_numbers */
    size_t nnumbers;
};

#endif
