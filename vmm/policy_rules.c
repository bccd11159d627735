/* policy_rules.c: which rules speak of a call, in the order in which they decide. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of the services that reach the host, the one that every guest may use without being asked. */
#define SHIPPED_CONSOLE "tg.console"

/*
 * Reads that come through doors which have a virtual twin (deterministic.c), so that a
 * deterministic run repeats them by itself: what was typed, time, and chance.
 */
static const char *const repeatable[] = {"tg.console", "tg.clock", "tg.entropy"};

static bool call_repeatable(const struct call_desc *desc)
{
    for (size_t i = 0; i < sizeof(repeatable) / sizeof(repeatable[0]); i++)
        if (policy_name_covers(repeatable[i], desc->name))
            return true;
    return false;
}

enum policy_refusal policy_rule_refusal(const struct policy_doc *doc,
                                        const struct policy_rule *rule)
{
    return rule->refusal == POLICY_INHERIT ? doc->refusal : rule->refusal;
}

bool policy_rule_covers(const struct policy_rule *rule, const struct call_desc *desc)
{
    const struct policy_target *target = &rule->target;
    bool program = desc->personality == CALL_PROGRAM;

    switch (target->kind) {
    case POLICY_NAME: return policy_name_covers(target->name, desc->name);
    case POLICY_EXT: return !program && desc->ext == target->ext;
    case POLICY_CALL: return !program && desc->ext == target->ext && desc->fn == target->fn;
    case POLICY_PROGRAM: return program && desc->fn == target->fn;
    }
    return false;
}

int policy_arg_find(const struct call_desc *desc, const char *name)
{
    for (unsigned i = 0; desc->args && i < desc->nargs; i++)
        if (strcmp(desc->args[i].name, name) == 0)
            return (int)i;
    if (strncmp(name, "arg", 3) == 0 && name[3] >= '0' && name[3] < '0' + CALL_ARGS &&
        name[4] == '\0')
        return name[3] - '0';
    return -1;
}

/* The names that policy_arg_find knows, for a message. */
static const char *args_text(const struct call_desc *desc, char *text, size_t size)
{
    size_t len = (size_t)snprintf(text, size, "arg0 to arg5");

    for (unsigned i = 0; desc->args && i < desc->nargs && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, ", %s", desc->args[i].name);
    return text;
}

bool policy_clause_holds(const struct policy_clause *clause, const uint64_t *arg)
{
    for (unsigned i = 0; i < CALL_ARGS; i++)
        if (clause->range[i] &&
            !policy_ranges_hold(clause->range[i], clause->nranges[i], arg[i]))
            return false;
    return true;
}

/* What a rule wants of the arguments of this call. */
static int clause_fill(const struct policy_doc *doc, const struct policy_rule *rule,
                       const struct call_desc *desc, struct policy_clause *clause,
                       struct error *err)
{
    char place[POLICY_PLACE_MAX], names[100];

    for (unsigned i = 0; i < rule->nargs; i++) {
        const struct policy_arg *arg = &rule->arg[i];
        int at = policy_arg_find(desc, arg->name);

        policy_rule_place(doc, rule, place, sizeof(place));
        if (at < 0)
            return error_set(err, STATUS_CONFIG,
                             "--policy: %s: %s has no argument '%s'; it has: %s", place,
                             desc->name, arg->name, args_text(desc, names, sizeof(names)));
        if (clause->range[at])
            return error_set(err, STATUS_CONFIG,
                             "--policy: %s: '%s' and another name mean the same argument of %s",
                             place, arg->name, desc->name);
        clause->range[at] = arg->range;
        clause->nranges[at] = arg->nranges;
    }
    return 0;
}

static void decider_add(struct policy_deciders *list, const struct policy_decider *decider)
{
    list->decider[list->n] = *decider;
    list->clause[list->n].verdict = decider->allows ? 0 : (uint32_t)list->n + 1;
    list->n++;
}

/* The rules of one kind and rank that cover the call. */
static int rules_add(const struct policy_doc *doc, const struct policy_subject *subject,
                     bool override, enum policy_kind kind, struct policy_deciders *list,
                     struct error *err)
{
    for (size_t i = 0; i < doc->nrules; i++) {
        const struct policy_rule *rule = &doc->rule[i];
        int rc;

        if (rule->override != override || rule->kind != kind ||
            !policy_rule_covers(rule, subject->desc))
            continue;
        rc = clause_fill(doc, rule, subject->desc, &list->clause[list->n], err);
        if (rc != 0)
            return rc;
        decider_add(list, &(struct policy_decider){.rule = rule,
                                                   .allows = kind == POLICY_ALLOW,
                                                   .refusal = policy_rule_refusal(doc, rule)});
    }
    return 0;
}

/* A deterministic run does not see what the host alone decides, unless it was permitted. */
static void deterministic_add(const struct policy_doc *doc,
                              const struct policy_subject *subject,
                              struct policy_deciders *list)
{
    const struct call_desc *desc = subject->desc;

    if (!subject->deterministic || desc->personality != CALL_TG ||
        !(desc->effects & CALL_READS_HOST) || call_repeatable(desc))
        return;
    for (size_t i = 0; i < doc->ndeterministic; i++)
        if (policy_name_covers(doc->deterministic[i].name, desc->name))
            return;
    decider_add(list, &(struct policy_decider){
                          .why = "the run is deterministic and \"deterministic\" of the policy "
                                 "does not permit this read of the host",
                          .refusal = POLICY_ERROR});
}

static bool shipped_allows(const struct policy_subject *subject)
{
    return subject->desc->personality != CALL_TG || subject->requested ||
           !(subject->desc->effects & (CALL_READS_HOST | CALL_WRITES_HOST)) ||
           policy_name_covers(SHIPPED_CONSOLE, subject->desc->name);
}

static void default_add(const struct policy_doc *doc, const struct policy_subject *subject,
                        struct policy_deciders *list)
{
    struct policy_decider decider = {.refusal = doc->refusal};

    if (subject->unanswered) {
        decider.allows = true;
        decider.why = "no module answers it, and no rule names it";
    } else if (doc->def == POLICY_DEFAULT_SHIPPED) {
        decider.allows = shipped_allows(subject);
        decider.why = decider.allows ? "the default, shipped, allows it"
                                     : "the default, shipped, keeps services from the host "
                                       "until --allow or --device names them";
    } else if (doc->def == POLICY_DEFAULT_LOG) {
        decider.refusal = POLICY_LOG;
        decider.why = "the default is log";
    } else {
        decider.allows = doc->def == POLICY_DEFAULT_ALLOW;
        decider.why = decider.allows ? "the default is allow" : "the default is deny";
    }
    decider_add(list, &decider);
}

int policy_deciders_make(const struct policy_doc *doc, const struct policy_subject *subject,
                         struct policy_deciders *list, struct error *err)
{
    int rc;

    list->n = 0;
    list->clause = calloc(doc->nrules + 2, sizeof(*list->clause));
    list->decider = calloc(doc->nrules + 2, sizeof(*list->decider));
    if (!list->clause || !list->decider) {
        policy_deciders_free(list);
        error_set(err, STATUS_OS, "--policy: no memory for its rules");
        return -ENOMEM;
    }
    rc = rules_add(doc, subject, true, POLICY_DENY, list, err);
    if (rc == 0)
        rc = rules_add(doc, subject, true, POLICY_ALLOW, list, err);
    if (rc == 0)
        deterministic_add(doc, subject, list);
    if (rc == 0)
        rc = rules_add(doc, subject, false, POLICY_DENY, list, err);
    if (rc == 0)
        rc = rules_add(doc, subject, false, POLICY_ALLOW, list, err);
    if (rc == 0)
        default_add(doc, subject, list);
    else
        policy_deciders_free(list);
    return rc;
}

void policy_deciders_free(struct policy_deciders *list)
{
    free(list->clause);
    free(list->decider);
    memset(list, 0, sizeof(*list));
}
