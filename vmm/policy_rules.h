/* policy_rules.h: which rules speak of a call, in the order in which they decide. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_RULES_H
#define VMM_POLICY_RULES_H

#include "vmm/policy_doc.h"
#include "vmm/policy_index.h"

/* What the verdict on a call depends on, beside the rules. */
struct policy_subject {
    const struct call_desc *desc;
    const char *module;
    bool requested;     /* --device named the module */
    bool deterministic; /* the run is */
    bool unanswered;    /* no module answers: the default does not concern it */
};

/* One that may decide. The clauses beside them have their verdicts: 0, or its place plus 1. */
struct policy_decider {
    const struct policy_rule *rule; /* NULL: no rule, see why */
    const char *why;
    bool allows;
    enum policy_refusal refusal; /* when it does not */
};

/* All that may decide about a call; the last always holds. */
struct policy_deciders {
    struct policy_clause *clause;
    struct policy_decider *decider;
    size_t n;
};

/*
 * Collects them: overriding rules before others, deny before allow, then the default. -EINVAL
 * with *err set when a rule names an argument that the call does not have.
 */
int policy_deciders_make(const struct policy_doc *doc, const struct policy_subject *subject,
                         struct policy_deciders *list, struct error *err);
void policy_deciders_free(struct policy_deciders *list);

/* Does the clause hold for these arguments? */
bool policy_clause_holds(const struct policy_clause *clause, const uint64_t *arg);

bool policy_rule_covers(const struct policy_rule *rule, const struct call_desc *desc);

/* The place of an argument, by "argN" or the name that the table of calls has; -1: none. */
int policy_arg_find(const struct call_desc *desc, const char *name);

/* The refusal of a rule, its own or the whole policy's. */
enum policy_refusal policy_rule_refusal(const struct policy_doc *doc,
                                        const struct policy_rule *rule);

#endif
