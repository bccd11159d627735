/* fuzz_policy.c: libFuzzer target: policy files. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/policy.h"
#include "vmm/policy_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What callers rely on; a broken promise is a crash for the fuzzer. */
static void promise(bool kept)
{
    if (!kept)
        abort();
}

static void error_promises(const struct error *err)
{
    promise(err->status == STATUS_DATA && strlen(err->text) < sizeof(err->text));
    promise(strncmp(err->text, "--policy: 'f.json', line ", 25) == 0);
    promise(strpbrk(err->text, "\n\r\033") == NULL);
}

static void ranges_promises(const struct policy_range *range, size_t n)
{
    promise(n > 0);
    for (size_t i = 0; i < n; i++) {
        promise(range[i].min <= range[i].max);
        promise(i == 0 || range[i - 1].max < range[i].min - 1);
    }
}

static void doc_promises(const struct policy_doc *doc)
{
    promise(doc->refusal != POLICY_INHERIT && doc->nrules <= POLICY_RULES_MAX);
    for (size_t i = 0; i < doc->nrules; i++) {
        const struct policy_rule *rule = &doc->rule[i];

        promise(rule->target.name[0] != '\0' && rule->line > 0);
        promise((rule->kind == POLICY_RATE) == (rule->calls.rate || rule->bytes.rate));
        for (unsigned j = 0; j < rule->nargs; j++)
            ranges_promises(rule->arg[j].range, rule->arg[j].nranges);
    }
    for (size_t i = 0; i < doc->ngrants; i++)
        promise(doc->grant[i].path && (doc->grant[i].read || doc->grant[i].write));
    for (size_t i = 0; i < doc->nnumbers; i++)
        ranges_promises(doc->numbers[i].range, doc->numbers[i].nranges);
}

/* The compiled rules on a call agree with the rules, at the bounds of one of them. */
static void compiled_promises(const struct policy_doc *doc)
{
    static const struct call_desc desc = {.name = "a.b", .personality = CALL_SBI, .ext = 16};
    const struct policy_subject subject = {.desc = &desc, .module = "a"};
    struct policy_index index = {.nnodes = 0};
    struct error err = {.status = STATUS_OK};
    struct policy_deciders list;
    uint32_t entry;

    if (policy_deciders_make(doc, &subject, &list, &err) != 0)
        return;
    if (policy_index_add(&index, list.clause, list.n, &entry) == 0) {
        for (size_t i = 0; i < list.n; i++) {
            uint64_t arg[CALL_ARGS] = {0};
            size_t first = 0;

            for (unsigned a = 0; a < CALL_ARGS; a++)
                if (list.clause[i].range[a])
                    arg[a] = list.clause[i].range[a]->min - (i & 1);
            while (!policy_clause_holds(&list.clause[first], arg))
                first++;
            promise(policy_index_find(&index, entry, arg) == list.clause[first].verdict);
        }
    }
    policy_index_free(&index);
    policy_deciders_free(&list);
}

/* What is printed is read back, and printed the same. */
static void print_promises(const struct policy_doc *doc)
{
    struct error err = {.status = STATUS_OK};
    struct policy_doc again;
    char *first, *second;

    policy_doc_init(&again);
    promise(policy_doc_print(doc, &first) == 0);
    promise(policy_doc_parse(&again, "f.json", first, strlen(first), &err) == 0);
    promise(policy_doc_print(&again, &second) == 0);
    promise(strcmp(first, second) == 0);
    free(first);
    free(second);
    policy_doc_free(&again);
}

static void text_try(const void *data, size_t size)
{
    struct error err = {.status = STATUS_OK};
    struct policy_doc doc;

    policy_doc_init(&doc);
    if (policy_doc_parse(&doc, "f.json", data, size, &err) != 0) {
        error_promises(&err);
    } else {
        doc_promises(&doc);
        compiled_promises(&doc);
        print_promises(&doc);
        err = (struct error){.status = STATUS_OK};
        promise((policy_doc_check(&doc, &err) == 0) == (err.status == STATUS_OK));
    }
    policy_doc_free(&doc);
}

/*
 * As it is; and as the rules of a policy, or what stands beside them, so that the fuzzer need
 * not find the way there.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const before[] = {"{\"version\": 1, \"rules\": [{", "{\"version\": 1, "};
    static const char *const after[] = {"}]}", "}"};

    text_try(data, size);
    for (size_t i = 0; i < 2; i++) {
        size_t head = strlen(before[i]), tail = strlen(after[i]);
        char *text = malloc(head + size + tail);

        promise(text != NULL);
        memcpy(text, before[i], head);
        if (size > 0)
            memcpy(text + head, data, size);
        memcpy(text + head + size, after[i], tail);
        text_try(text, head + size + tail);
        free(text);
    }
    return 0;
}
