/* policy.c: holds the calls of a guest to the policy that was frozen before it ran. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "vmm/policy_state.h"
#include "vmm/vm.h"

/* Lines that one rule prints about one call before it only counts. */
#define TOLD_MAX 10

/* --- what a run does --- */

static void outcome_text(const struct policy *policy, const struct policy_rule *rule,
                         const char *why, char *text, size_t size)
{
    if (rule)
        policy_rule_place(&policy->doc, rule, text, size);
    else
        snprintf(text, size, "%s", why);
}

static void tell(const struct policy_check *check, const struct hart *hart, const char *why,
                 _Atomic uint64_t *told)
{
    uint64_t n;

    n = atomic_fetch_add(told, 1);
    if (n < TOLD_MAX)
        fprintf(stderr, "tollgate: policy: hart %u: %s would be refused by %s%s\n", hart->index,
                check->desc->name, why, n + 1 == TOLD_MAX ? "; further ones are counted" : "");
}

/* Carries a refusal out. True: the call is made all the same. */
static bool refuse(const struct policy_check *check, struct hart *hart, struct call *c,
                   const struct policy_rule *rule, const char *why, enum policy_refusal refusal,
                   _Atomic uint64_t *told)
{
    char text[POLICY_PLACE_MAX];

    if (refusal == POLICY_ERROR) {
        call_fail(c, check->desc->legacy, SBI_ERR_DENIED, -EPERM);
        return false;
    }
    if (refusal == POLICY_LOG && (hart->vm->config->policy_learn ||
                                  atomic_load_explicit(told, memory_order_relaxed) >= TOLD_MAX))
        return true;
    outcome_text(check->policy, rule, why, text, sizeof(text));
    if (refusal == POLICY_LOG) {
        tell(check, hart, text, told);
        return true;
    }
    vm_stop(hart->vm, CAUSE_POLICY, STATUS_POLICY, hart, "%s refused by %s", check->desc->name,
            text);
    c->disp = CALL_STOPPED;
    return false;
}

/*
 * A bucket as the time at which it is full again (GCRA, ITU-T I.371): a token costs 1/rate of a
 * second, and at most `burst` tokens may be owed. In 1/64 ns, so that even 10^9 a second cost a
 * whole number within 2 %; that is good for 9 years.
 */
#define UNITS_PER_NS 64u
#define UNITS_PER_S  (UINT64_C(1000000000) * UNITS_PER_NS)

__extension__ typedef unsigned __int128 product;

static uint64_t tokens_cost(uint64_t tokens, uint64_t rate)
{
    product cost = ((product)tokens * UNITS_PER_S + rate - 1) / rate;

    return cost > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)cost;
}

/* Takes tokens. Otherwise, how many ns to wait; UINT64_MAX: so many are never there. */
static uint64_t tokens_take(_Atomic uint64_t *full, const struct policy_limit *limit,
                            uint64_t tokens, uint64_t now)
{
    uint64_t cost = tokens_cost(tokens, limit->rate);
    uint64_t owed = tokens_cost(limit->burst, limit->rate);
    uint64_t old = atomic_load(full), next;

    if (cost > owed)
        return UINT64_MAX;
    do {
        next = (old > now ? old : now) + cost;
        if (next - now > owed)
            return (next - now - owed + UNITS_PER_NS - 1) / UNITS_PER_NS;
    } while (!atomic_compare_exchange_weak(full, &old, next));
    return 0;
}

/* What of the call counts as bytes: what crosses. */
static uint64_t call_bytes(const struct call_desc *desc, const struct call *c)
{
    uint64_t len = desc->buf_kind == CALL_BUF_NONE ? 0 : c->arg[desc->buf_len_arg];

    return len < CALL_BUF_MAX ? len : CALL_BUF_MAX;
}

/* Guest time, which is virtual in a deterministic run. */
static uint64_t units_now(const struct vm *vm)
{
    return (vm->host->now_ns(vm->host) - vm->clock.start_ns) * UNITS_PER_NS;
}

static void tokens_give(_Atomic uint64_t *full, const struct policy_limit *limit,
                        uint64_t tokens)
{
    uint64_t cost = tokens_cost(tokens, limit->rate), old = atomic_load(full);

    while (!atomic_compare_exchange_weak(full, &old, old > cost ? old - cost : 0))
        ;
}

/* 0, or how long to wait. */
static uint64_t bucket_take(struct policy_bucket *bucket, uint64_t bytes, uint64_t now)
{
    const struct policy_rule *rule = bucket->rule;
    uint64_t wait = 0;

    if (rule->calls.rate)
        wait = tokens_take(&bucket->calls, &rule->calls, 1, now);
    if (wait != 0 || !rule->bytes.rate)
        return wait;
    wait = tokens_take(&bucket->bytes, &rule->bytes, bytes, now);
    if (wait != 0 && rule->calls.rate)
        tokens_give(&bucket->calls, &rule->calls, 1);
    return wait;
}

static void bucket_give(struct policy_bucket *bucket, uint64_t bytes)
{
    if (bucket->rule->calls.rate)
        tokens_give(&bucket->calls, &bucket->rule->calls, 1);
    if (bucket->rule->bytes.rate)
        tokens_give(&bucket->bytes, &bucket->rule->bytes, bytes);
}

static bool limits_pass(const struct policy_check *check, struct hart *hart, struct call *c)
{
    uint64_t bytes = call_bytes(check->desc, c), now = units_now(hart->vm);
    uint32_t taken = 0;

    for (uint32_t i = 0; i < check->nbuckets; i++) {
        struct policy_bucket *bucket = check->bucket[i];
        uint64_t wait = bucket_take(bucket, bytes, now);

        if (wait == 0) {
            taken |= 1u << i;
            continue;
        }
        atomic_fetch_add_explicit(&bucket->hits, 1, memory_order_relaxed);
        if (bucket->refusal == POLICY_ERROR) {
            call_fail(c, check->desc->legacy, SBI_ERR_TIMEOUT, -EAGAIN);
            c->value = wait;
        } else if (refuse(check, hart, c, bucket->rule, NULL, bucket->refusal, &bucket->told)) {
            continue;
        }
        while (i-- > 0) /* what was not made costs nothing */
            if (taken & 1u << i)
                bucket_give(check->bucket[i], bytes);
        return false;
    }
    return true;
}

bool policy_settle(const struct policy_check *check, uint32_t verdict, struct hart *hart,
                   struct call *c)
{
    if (verdict != 0) {
        struct policy_outcome *outcome = &check->outcome[verdict - 1];

        atomic_fetch_add_explicit(&outcome->hits, 1, memory_order_relaxed);
        if (!refuse(check, hart, c, outcome->rule, outcome->why, outcome->refusal,
                    &outcome->told))
            return false;
    }
    return check->nbuckets == 0 || limits_pass(check, hart, c);
}

uint32_t policy_verdict_further(const struct policy_check *check, uint32_t entry,
                                const uint64_t *arg)
{
    return policy_index_find(check->index, entry, arg);
}

void policy_undo(const struct policy_check *check, const struct call *c)
{
    uint32_t verdict = policy_verdict(check, c->arg);
    uint64_t bytes = call_bytes(check->desc, c);

    if (verdict != 0)
        atomic_fetch_sub_explicit(&check->outcome[verdict - 1].hits, 1, memory_order_relaxed);
    for (uint32_t i = 0; i < check->nbuckets; i++)
        bucket_give(check->bucket[i], bytes);
}

/* --- what others ask --- */

const struct policy_check *policy_check_of(const struct vm *vm, const struct call_desc *desc)
{
    const struct policy *policy = vm->policy;

    for (size_t i = 0; policy && i < policy->nchecks; i++)
        if (policy->check[i].desc == desc)
            return &policy->check[i];
    return NULL;
}

const struct call_desc *policy_numbers(const struct vm *vm, size_t *n)
{
    *n = vm->policy ? vm->policy->nnumbers : 0;
    return *n > 0 ? vm->policy->number : NULL;
}

const struct policy_grant *policy_files(const struct vm *vm, size_t *n)
{
    *n = vm->policy ? vm->policy->doc.ngrants : 0;
    return *n > 0 ? vm->policy->doc.grant : NULL;
}

bool policy_number_allowed(const struct vm *vm, const char *service, uint64_t number)
{
    const struct policy_doc *doc = vm->policy ? &vm->policy->doc : NULL;

    for (size_t i = 0; doc && i < doc->nnumbers; i++)
        if (strcmp(doc->numbers[i].service, service) == 0)
            return policy_ranges_hold(doc->numbers[i].range, doc->numbers[i].nranges, number);
    return false;
}

void policy_print_log(const struct vm *vm, FILE *out)
{
    const struct policy *policy = vm->policy;
    char text[POLICY_PLACE_MAX];

    if (!policy || vm->config->policy_learn)
        return;
    for (size_t i = 0; i < policy->nchecks; i++) {
        const struct policy_check *check = &policy->check[i];

        for (size_t j = 0; j < check->noutcomes; j++) {
            const struct policy_outcome *outcome = &check->outcome[j];

            if (outcome->refusal != POLICY_LOG || outcome->hits == 0)
                continue;
            outcome_text(policy, outcome->rule, outcome->why, text, sizeof(text));
            fprintf(out, "tollgate: policy: %" PRIu64 " of %s would be refused by %s\n",
                    outcome->hits, check->desc->name, text);
        }
    }
    for (size_t i = 0; i < policy->nbuckets; i++) {
        const struct policy_bucket *bucket = &policy->bucket[i];

        if (bucket->refusal != POLICY_LOG || bucket->hits == 0)
            continue;
        policy_rule_place(&policy->doc, bucket->rule, text, sizeof(text));
        fprintf(out, "tollgate: policy: %" PRIu64 " calls exceeded %s\n", bucket->hits, text);
    }
}

static uint64_t check_hits(const struct policy_check *check)
{
    uint64_t hits = 0;

    for (size_t i = 0; i < check->noutcomes; i++)
        hits += check->outcome[i].hits;
    return hits;
}

/* Each call that was made; and each that is answered below, where nobody could see it. */
static int learned_add(const struct vm *vm, const struct call_desc *desc,
                       struct policy_doc *doc)
{
    const struct policy_check *check = policy_check_of(vm, desc);
    bool below = desc->personality != CALL_PROGRAM &&
                 vm->engine->call_route((struct vm *)(uintptr_t)vm, desc->ext) == ROUTE_BELOW;
    uint64_t hits = check ? check_hits(check) : 0;
    struct policy_rule *rule;

    if (hits == 0 && !below)
        return 0;
    rule = policy_rule_add(doc);
    if (!rule)
        return -ENOMEM;
    rule->kind = POLICY_ALLOW;
    rule->seen = hits;
    policy_target_parse(&rule->target, desc->name);
    if (vm->det && desc->personality == CALL_TG && (desc->effects & CALL_READS_HOST)) {
        struct policy_name *name = policy_name_add(doc);

        if (!name)
            return -ENOMEM;
        memcpy(name->name, rule->target.name, sizeof(name->name));
    }
    return 0;
}

int policy_learned(const struct vm *vm, struct policy_doc *doc)
{
    int rc = 0;

    doc->def = POLICY_DEFAULT_DENY;
    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module *module = vm->instance[i].module;

        if (vm->instance[i].index > 0)
            continue; /* of a module that is there several times, the rows are the same */
        for (size_t j = 0; rc == 0 && j < module->ncalls; j++)
            rc = learned_add(vm, &module->calls[j], doc);
    }
    return rc;
}

void policy_save(const struct vm *vm, struct state_writer *w)
{
    size_t n = vm->policy ? vm->policy->nbuckets : 0;

    state_put_u64(w, n);
    for (size_t i = 0; i < n; i++) {
        state_put_u64(w, vm->policy->bucket[i].calls);
        state_put_u64(w, vm->policy->bucket[i].bytes);
    }
}

/* Under other rules than it was saved with, a machine begins with full buckets. */
void policy_load(struct vm *vm, struct state_reader *r)
{
    size_t n = (size_t)state_get_max(r, POLICY_RULES_MAX * 2);
    bool same = vm->policy && vm->policy->nbuckets == n;

    for (size_t i = 0; i < n && r->error == 0; i++) {
        uint64_t calls = state_get_max(r, UINT64_MAX / 2);
        uint64_t bytes = state_get_max(r, UINT64_MAX / 2);

        if (same && r->error == 0) {
            vm->policy->bucket[i].calls = calls;
            vm->policy->bucket[i].bytes = bytes;
        }
    }
}
