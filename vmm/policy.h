/* policy.h: which calls a guest may make, decided before it runs, and held to while it does. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_H
#define VMM_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/policy_doc.h"
#include "vmm/policy_index.h"
#include "vmm/snapshot.h"

struct vm;
struct hart;
struct module;

/* The policy of a VM, frozen: vm->policy. */
struct policy;

/* A call that is refused for some arguments, or for all. */
struct policy_outcome {
    const struct policy_rule *rule; /* NULL: the default, or a deterministic run's rule */
    const char *why;                /* with no rule: who refuses */
    enum policy_refusal refusal;    /* never POLICY_INHERIT */
    _Atomic uint64_t hits;
    _Atomic uint64_t told; /* lines printed, under POLICY_LOG */
};

/* The state of a rate rule, shared by all calls that it names. */
struct policy_bucket {
    const struct policy_rule *rule;
    enum policy_refusal refusal;
    _Atomic uint64_t calls, bytes; /* when, in guest time, all that was taken is paid off */
    _Atomic uint64_t hits, told;
};

/* What must be looked at when a call is made. A call that is allowed outright has none. */
struct policy_check {
    struct policy *policy;
    const struct policy_index *index;
    const struct policy_node *node; /* where the search begins; NULL: at the verdict `entry` */
    uint32_t entry;
    uint32_t nbuckets;
    struct policy_bucket **bucket;
    const struct call_desc *desc;
    struct policy_outcome *outcome; /* of verdict v: outcome[v - 1]; verdict 0 allows */
    size_t noutcomes;
};

/*
 * Reads --policy and the rules of the command line, checks them against the calls that this VM
 * has, and compiles them into vm->policy: before the index of calls is built, and never again.
 * -ENOENT with *err set when a rule of the command line names nothing, -ENOTSUP when the engine
 * lets a call be answered where no policy reaches, another -errno for a bad file: a rule is
 * never ignored silently.
 */
int policy_freeze(struct vm *vm, struct error *err);
void policy_release(struct vm *vm);

/*
 * Checks a policy against all modules of this build, without a VM: that names mean something,
 * that calls have the arguments that rules name, and that it can be compiled. 0 or -errno.
 */
int policy_doc_check(const struct policy_doc *doc, struct error *err);

/*
 * What a call must pass; NULL: nothing, it is allowed outright. vm->policy may be NULL. Valid
 * until policy_release. For calls that nobody answers, see policy_numbers.
 */
const struct policy_check *policy_check_of(const struct vm *vm, const struct call_desc *desc);

/*
 * Rows for calls that rules name by number and no module's row stands for. Their handler
 * passes: they are there for their check only.
 */
const struct call_desc *policy_numbers(const struct vm *vm, size_t *n);

/* The rest of policy_pass: refuses, stops, tells, counts, limits. */
bool policy_settle(const struct policy_check *check, uint32_t verdict, struct hart *hart,
                   struct call *c);

/*
 * The node whose entry 0 for an argument says that the call is allowed, and no more need be
 * done. NULL: there is none, or no check.
 */
static inline const struct policy_node *policy_check_node(const struct policy_check *check)
{
    return check && check->nbuckets == 0 ? check->node : NULL;
}

/* The rest of policy_verdict, when rules look at several arguments. */
uint32_t policy_verdict_further(const struct policy_check *check, uint32_t entry,
                                const uint64_t *arg);

/* Which outcome the call meets; 0: none, it is allowed. */
static inline uint32_t policy_verdict(const struct policy_check *check, const uint64_t *arg)
{
    uint32_t entry = check->entry;

    if (check->node)
        entry = policy_node_find(check->node, arg[check->node->arg]);
    return entry & POLICY_NODE ? policy_verdict_further(check, entry, arg) : entry;
}

/*
 * May the call be made? False: it is answered, in *c. The verdict of unconditional rules was
 * found in advance, that of rules with arguments takes policy_index_find.
 */
static inline bool policy_pass(const struct policy_check *check, struct hart *hart,
                               struct call *c)
{
    uint32_t verdict = policy_verdict(check, c->arg);

    if (verdict == 0 && check->nbuckets == 0)
        return true;
    return policy_settle(check, verdict, hart, c);
}

/* The call had no effect and will be tried again: it is not counted. */
void policy_undo(const struct policy_check *check, const struct call *c);

/* The host directories and files that policy grants to the host file service. */
const struct policy_grant *policy_files(const struct vm *vm, size_t *n);

/* May a service (a module's name) touch this host number? Only what policy lists. */
bool policy_number_allowed(const struct vm *vm, const char *service, uint64_t number);

/* One line for each rule that only logs and has something to tell; for the end of a run. */
void policy_print_log(const struct vm *vm, FILE *out);

/*
 * Fills an initialised policy with what a run under vm->config->policy_learn was seen to do: it
 * denies everything else. 0 or -ENOMEM.
 */
int policy_learned(const struct vm *vm, struct policy_doc *doc);

/* How full the buckets are, for snapshots. */
void policy_save(const struct vm *vm, struct state_writer *w);
void policy_load(struct vm *vm, struct state_reader *r);

#endif
