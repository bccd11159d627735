/* policy_freeze.c: checks the rules against the calls of a VM, and compiles them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "vmm/vm.h"

static int no_memory(struct error *err)
{
    error_set(err, STATUS_OS, "--policy: no memory for its rules");
    return -ENOMEM;
}

static int doc_fill(const struct vm_config *config, struct policy_doc *doc, struct error *err)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < config->ndeny; i++)
        rc = policy_doc_option(doc, POLICY_DENY, config->deny[i], err);
    for (unsigned i = 0; rc == 0 && i < config->nallow; i++)
        rc = policy_doc_option(doc, POLICY_ALLOW, config->allow[i], err);
    for (unsigned i = 0; rc == 0 && i < config->nrate; i++)
        rc = policy_doc_option(doc, POLICY_RATE, config->rate[i], err);
    if (rc == 0 && config->policy)
        rc = policy_doc_read(doc, config->policy, err);
    if (config->policy_learn)
        doc->def = POLICY_DEFAULT_LOG;
    return rc;
}

/* --- do the rules name anything? --- */

static size_t module_covered(const struct module *module, const struct policy_rule *rule)
{
    size_t n = 0;

    for (size_t i = 0; i < module->ncalls; i++)
        n += policy_rule_covers(rule, &module->calls[i]);
    return n;
}

static bool build_covers(const struct policy_rule *rule)
{
    for (const struct module *const *m = module_list; *m; m++)
        if (module_covered(*m, rule) > 0)
            return true;
    return false;
}

/*
 * On the command line a name must mean a call of this guest. A file may serve several guests:
 * there it must mean a call of this build.
 */
static int rule_named(const struct vm *vm, const struct policy_doc *doc,
                      const struct policy_rule *rule, struct error *err)
{
    char place[POLICY_PLACE_MAX];
    size_t n = 0;

    if (rule->target.kind != POLICY_NAME)
        return 0;
    for (unsigned i = 0; i < vm->ninstances; i++)
        n += module_covered(vm->instance[i].module, rule);
    if (n > 0)
        return 0;
    policy_rule_place(doc, rule, place, sizeof(place));
    if (rule->option && vm->config)
        error_set(err, STATUS_CONFIG,
                  "%s: this guest has no such call; name one (sbi.dbcn.write) or a group "
                  "(sbi.dbcn) of a module that is present",
                  place);
    else if (!build_covers(rule))
        error_set(
            err, STATUS_CONFIG,
            "%s%s: no module has such a call; give one such as sbi.dbcn.write, or a group "
            "such as sbi.dbcn",
            rule->option ? "" : "--policy: ", place);
    else
        return 0;
    return -ENOENT;
}

static bool module_known(const struct vm *vm, const char *name)
{
    return module_find(name) || module_present(vm, name);
}

/* Names of modules and calls elsewhere than in rules. */
static int names_check(const struct vm *vm, const struct policy_doc *doc, struct error *err)
{
    for (size_t i = 0; i < doc->nscopes; i++)
        if (strcmp(doc->scope[i].module, "*") != 0 && !module_known(vm, doc->scope[i].module))
            return error_set(
                err, STATUS_CONFIG,
                "--policy: '%.80s', line %u: effects[%u]: there is no module '%s'; "
                "tollgate run --list-modules lists them",
                doc->path, doc->scope[i].line, doc->scope[i].index, doc->scope[i].module);
    for (size_t i = 0; i < doc->nnumbers; i++)
        if (!module_known(vm, doc->numbers[i].service))
            return error_set(
                err, STATUS_CONFIG,
                "--policy: '%.80s', line %u: numbers[%zu]: there is no module '%s'", doc->path,
                doc->numbers[i].line, i, doc->numbers[i].service);
    for (size_t i = 0; i < doc->ndeterministic; i++) {
        struct policy_rule rule = {.target.kind = POLICY_NAME};

        memcpy(rule.target.name, doc->deterministic[i].name, sizeof(rule.target.name));
        bool known = build_covers(&rule);
        for (unsigned j = 0; j < vm->ninstances; j++)
            known = known || module_covered(vm->instance[j].module, &rule) > 0;
        if (!known)
            return error_set(err, STATUS_CONFIG,
                             "--policy: '%.80s', line %u: deterministic[%zu]: no module has a "
                             "call '%s'",
                             doc->path, doc->deterministic[i].line, i, rule.target.name);
    }
    return 0;
}

/* --- what modules may do at most --- */

static const struct policy_scope *scope_find(const struct policy_doc *doc, const char *module)
{
    const struct policy_scope *all = NULL;

    for (size_t i = 0; i < doc->nscopes; i++) {
        if (strcmp(doc->scope[i].module, module) == 0)
            return &doc->scope[i];
        if (strcmp(doc->scope[i].module, "*") == 0)
            all = &doc->scope[i];
    }
    return all;
}

static int scopes_check(const struct vm *vm, const struct policy_doc *doc, struct error *err)
{
    char beyond[100];

    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module *module = vm->instance[i].module;
        const struct policy_scope *scope = scope_find(doc, module->name);

        for (size_t j = 0; scope && j < module->ncalls; j++) {
            const struct call_desc *desc = &module->calls[j];

            if (!(desc->effects & ~scope->effects))
                continue;
            policy_effects_text(desc->effects & ~scope->effects, beyond, sizeof(beyond));
            return error_set(err, STATUS_CONFIG,
                             "--policy: '%.80s', line %u: effects[%u] (%s): %s of module %s "
                             "has the effect %s; give --without %s, or add it to \"may\"",
                             doc->path, scope->line, scope->index, scope->module, desc->name,
                             module->name, beyond, module->name);
        }
    }
    return 0;
}

/* --- calls by number --- */

static enum call_disp number_pass(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    (void)c;
    return CALL_PASS;
}

/* The row that a rule by number stands for. */
static struct call_desc number_desc(const struct policy_rule *rule)
{
    const struct policy_target *target = &rule->target;
    struct call_desc desc = {
        .name = target->name,
        .ext = target->ext,
        .fn = target->kind == POLICY_EXT ? CALL_ANY_FN : target->fn,
        .handler = number_pass,
    };

    if (target->kind == POLICY_PROGRAM)
        desc.personality = CALL_PROGRAM;
    else if (target->ext >= TG_EXT_FIRST && target->ext <= TG_EXT_LAST)
        desc.personality = CALL_TG;
    else
        desc.personality = CALL_SBI;
    /* The extensions below Base are legacy and leave a1 alone (SBI 3.0, section 5). */
    desc.legacy = desc.personality == CALL_SBI && desc.ext < SBI_EXT_BASE;
    return desc;
}

static bool same_number(const struct call_desc *a, const struct call_desc *b)
{
    return a->personality == b->personality && a->ext == b->ext && a->fn == b->fn;
}

static bool number_known(const struct vm *vm, const struct policy *policy,
                         const struct call_desc *desc)
{
    for (size_t i = 0; i < policy->nnumbers; i++)
        if (same_number(&policy->number[i], desc))
            return true;
    for (unsigned i = 0; i < vm->ninstances; i++)
        for (size_t j = 0; j < vm->instance[i].module->ncalls; j++)
            if (same_number(&vm->instance[i].module->calls[j], desc))
                return true;
    return false;
}

static int numbers_make(const struct vm *vm, struct policy *policy, struct error *err)
{
    policy->number = calloc(policy->doc.nrules + 1, sizeof(*policy->number));
    if (!policy->number)
        return no_memory(err);
    for (size_t i = 0; i < policy->doc.nrules; i++) {
        struct call_desc desc;

        if (policy->doc.rule[i].target.kind == POLICY_NAME)
            continue;
        desc = number_desc(&policy->doc.rule[i]);
        if (!number_known(vm, policy, &desc))
            policy->number[policy->nnumbers++] = desc;
    }
    return 0;
}

/* --- compiling --- */

static int buckets_make(struct policy *policy, struct error *err)
{
    const struct policy_doc *doc = &policy->doc;

    policy->bucket = calloc(doc->nrules + 1, sizeof(*policy->bucket));
    if (!policy->bucket)
        return no_memory(err);
    for (size_t i = 0; i < doc->nrules; i++) {
        struct policy_rule *rule = &doc->rule[i];

        if (rule->kind != POLICY_RATE)
            continue;
        /* Without a burst: what comes in a second; of bytes at least what one call may carry.
         */
        if (rule->calls.burst == 0)
            rule->calls.burst = rule->calls.rate;
        if (rule->bytes.burst == 0)
            rule->bytes.burst =
                rule->bytes.rate > CALL_BUF_MAX ? rule->bytes.rate : CALL_BUF_MAX;
        policy->bucket[policy->nbuckets++] =
            (struct policy_bucket){.rule = rule, .refusal = policy_rule_refusal(doc, rule)};
    }
    return 0;
}

/* The buckets that a call takes from. */
static int check_limit(struct policy *policy, struct policy_check *check, struct error *err)
{
    char place[POLICY_PLACE_MAX];

    for (size_t i = 0; i < policy->nbuckets; i++) {
        struct policy_bucket *bucket = &policy->bucket[i];

        if (!policy_rule_covers(bucket->rule, check->desc))
            continue;
        policy_rule_place(&policy->doc, bucket->rule, place, sizeof(place));
        if (check->nbuckets == POLICY_BUCKETS_MAX)
            return error_set(err, STATUS_CONFIG, "--policy: %s: %s has %u rate rules already",
                             place, check->desc->name, POLICY_BUCKETS_MAX);
        if (!check->bucket)
            check->bucket = calloc(POLICY_BUCKETS_MAX, sizeof(struct policy_bucket *));
        if (!check->bucket)
            return no_memory(err);
        check->bucket[check->nbuckets++] = bucket;
    }
    return 0;
}

static int check_compile(struct policy *policy, struct policy_check *check,
                         const struct policy_deciders *list, struct error *err)
{
    int rc = policy_index_add(&policy->index, list->clause, list->n, &check->entry);

    if (rc == -E2BIG)
        error_set(err, STATUS_CONFIG,
                  "--policy: the rules on arguments of %s are too many to be compiled; use "
                  "fewer ranges, or fewer arguments together",
                  check->desc->name);
    if (rc != 0)
        return rc == -ENOMEM ? no_memory(err) : rc;
    if (check->entry == 0)
        return 0;
    check->node = policy_index_node(&policy->index, check->entry);
    check->outcome = calloc(list->n, sizeof(*check->outcome));
    if (!check->outcome)
        return no_memory(err);
    check->noutcomes = list->n;
    for (size_t i = 0; i < list->n; i++)
        check->outcome[i] = (struct policy_outcome){.rule = list->decider[i].rule,
                                                    .why = list->decider[i].why,
                                                    .refusal = list->decider[i].refusal};
    return 0;
}

/* Who is to blame for a check: the first rule that refuses or limits. */
static void check_place(const struct policy *policy, const struct policy_check *check,
                        const struct policy_deciders *list, char *place, size_t size)
{
    snprintf(place, size, "--policy");
    if (check->nbuckets > 0)
        policy_rule_place(&policy->doc, check->bucket[0]->rule, place, size);
    for (size_t i = 0; i < list->n; i++) {
        if (list->decider[i].allows)
            continue;
        if (list->decider[i].rule)
            policy_rule_place(&policy->doc, list->decider[i].rule, place, size);
        else
            snprintf(place, size, "--policy: %s", list->decider[i].why);
        return;
    }
}

static int check_enforceable(struct vm *vm, const struct policy *policy,
                             const struct policy_check *check,
                             const struct policy_deciders *list, struct error *err)
{
    const struct call_desc *desc = check->desc;
    char place[POLICY_PLACE_MAX];

    if (desc->personality == CALL_PROGRAM ||
        vm->engine->call_route(vm, desc->ext) != ROUTE_BELOW || vm->config->policy_learn)
        return 0;
    check_place(policy, check, list, place, sizeof(place));
    error_set(err, STATUS_UNAVAILABLE,
              "%s: cannot be enforced: engine %s lets %s be answered before it reaches the "
              "monitor; choose another --engine, or allow it",
              place, vm->engine->name, desc->name);
    return -ENOTSUP;
}

static bool module_requested(const struct vm_config *config, const char *name)
{
    for (unsigned i = 0; i < config->nrequests; i++)
        if (strcmp(config->request[i].name, name) == 0)
            return true;
    return false;
}

static void check_free(struct policy_check *check)
{
    free(check->outcome);
    free(check->bucket);
    memset(check, 0, sizeof(*check));
}

/* Compiles what concerns one call; one that is allowed outright leaves no check behind. */
static int call_compile(struct vm *vm, struct policy *policy,
                        const struct policy_subject *subject, struct error *err)
{
    struct policy_check *check = &policy->check[policy->nchecks];
    struct policy_deciders list;
    int rc = policy_deciders_make(&policy->doc, subject, &list, err);

    if (rc != 0)
        return rc;
    *check =
        (struct policy_check){.policy = policy, .index = &policy->index, .desc = subject->desc};
    rc = check_compile(policy, check, &list, err);
    if (rc == 0)
        rc = check_limit(policy, check, err);
    if (rc == 0 && (check->entry != 0 || check->nbuckets > 0))
        rc = check_enforceable(vm, policy, check, &list, err);
    policy_deciders_free(&list);
    if (rc != 0 || (check->entry == 0 && check->nbuckets == 0))
        check_free(check);
    else
        policy->nchecks++;
    return rc;
}

static bool desc_hidden(struct vm *vm, const struct call_desc *desc)
{
    return desc->personality != CALL_PROGRAM &&
           vm->engine->call_route(vm, desc->ext) == ROUTE_HIDDEN;
}

static int calls_compile(struct vm *vm, struct policy *policy, struct error *err)
{
    struct policy_subject subject = {.deterministic = vm->det && !vm->config->policy_learn};
    int rc = 0;

    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module *module = vm->instance[i].module;

        if (vm->instance[i].index > 0)
            continue; /* the rows are those of the first instance */
        subject.module = module->name;
        subject.requested = module_requested(vm->config, module->name);
        for (size_t j = 0; rc == 0 && j < module->ncalls; j++) {
            subject.desc = &module->calls[j];
            if (!desc_hidden(vm, subject.desc))
                rc = call_compile(vm, policy, &subject, err);
        }
    }
    subject.unanswered = true;
    for (size_t i = 0; rc == 0 && i < policy->nnumbers; i++) {
        subject.desc = &policy->number[i];
        if (!desc_hidden(vm, subject.desc))
            rc = call_compile(vm, policy, &subject, err);
    }
    return rc;
}

static int policy_compile(struct vm *vm, struct policy *policy, struct error *err)
{
    size_t rows = policy->doc.nrules + 1;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < policy->doc.nrules; i++)
        rc = rule_named(vm, &policy->doc, &policy->doc.rule[i], err);
    if (rc == 0)
        rc = names_check(vm, &policy->doc, err);
    if (rc == 0)
        rc = scopes_check(vm, &policy->doc, err);
    if (rc == 0)
        rc = buckets_make(policy, err);
    if (rc == 0)
        rc = numbers_make(vm, policy, err);
    if (rc != 0)
        return rc;
    for (unsigned i = 0; i < vm->ninstances; i++)
        rows += vm->instance[i].module->ncalls;
    policy->check = calloc(rows, sizeof(*policy->check));
    return policy->check ? calls_compile(vm, policy, err) : no_memory(err);
}

/* Do the rules on a call have a meaning, and few enough ranges? */
static int call_try(const struct policy_doc *doc, const struct module *module,
                    const struct call_desc *desc, struct error *err)
{
    const struct policy_subject subject = {.desc = desc, .module = module->name};
    struct policy_check check = {.desc = desc};
    struct policy policy = {.nchecks = 0};
    struct policy_deciders list;
    int rc = policy_deciders_make(doc, &subject, &list, err);

    if (rc != 0)
        return rc;
    rc = check_compile(&policy, &check, &list, err);
    policy_deciders_free(&list);
    policy_index_free(&policy.index);
    check_free(&check);
    return rc;
}

int policy_doc_check(const struct policy_doc *doc, struct error *err)
{
    static const struct vm none; /* it has no modules, so all of this build count */
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < doc->nrules; i++)
        rc = rule_named(&none, doc, &doc->rule[i], err);
    if (rc == 0)
        rc = names_check(&none, doc, err);
    for (const struct module *const *m = module_list; *m; m++)
        for (size_t i = 0; rc == 0 && i < (*m)->ncalls; i++)
            rc = call_try(doc, *m, &(*m)->calls[i], err);
    return rc;
}

int policy_freeze(struct vm *vm, struct error *err)
{
    struct policy *policy = calloc(1, sizeof(*policy));
    int rc;

    if (!policy)
        return no_memory(err);
    policy_doc_init(&policy->doc);
    vm->policy = policy;
    rc = doc_fill(vm->config, &policy->doc, err);
    if (rc == 0)
        rc = policy_compile(vm, policy, err);
    if (rc != 0)
        policy_release(vm);
    return rc;
}

void policy_release(struct vm *vm)
{
    struct policy *policy = vm->policy;

    if (!policy)
        return;
    for (size_t i = 0; i < policy->nchecks; i++)
        check_free(&policy->check[i]);
    free(policy->check);
    free(policy->bucket);
    free(policy->number);
    policy_index_free(&policy->index);
    policy_doc_free(&policy->doc);
    free(policy);
    vm->policy = NULL;
}
