/* policy_show.c: a policy as JSON again. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_doc.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Many readers keep 53 bits of a number; what needs more is a string. */
#define EXACT_MAX (UINT64_C(1) << 53)

static json_t *number_json(uint64_t value)
{
    char text[2 + 16 + 1];

    if (value <= EXACT_MAX)
        return json_integer((json_int_t)value);
    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    return json_string(text);
}

static json_t *range_json(const struct policy_range *range)
{
    json_t *json;

    if (range->min == range->max)
        return number_json(range->min);
    json = json_object();
    if (range->min != 0 || range->max == UINT64_MAX)
        json_object_set_new(json, "min", number_json(range->min));
    if (range->max != UINT64_MAX)
        json_object_set_new(json, "max", number_json(range->max));
    return json;
}

static json_t *ranges_json(const struct policy_range *range, size_t n)
{
    json_t *json;

    if (n == 1)
        return range_json(range);
    json = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(json, range_json(&range[i]));
    return json;
}

static void set_number(json_t *json, const char *key, uint64_t value)
{
    if (value != 0)
        json_object_set_new(json, key, number_json(value));
}

static json_t *rule_json(const struct policy_rule *rule)
{
    json_t *json = json_object();

    json_object_set_new(json, policy_kind_name(rule->kind), json_string(rule->target.name));
    if (rule->nargs > 0) {
        json_t *args = json_object();

        for (unsigned i = 0; i < rule->nargs; i++)
            json_object_set_new(args, rule->arg[i].name,
                                ranges_json(rule->arg[i].range, rule->arg[i].nranges));
        json_object_set_new(json, "args", args);
    }
    set_number(json, "calls", rule->calls.rate);
    set_number(json, "burst", rule->calls.burst);
    set_number(json, "bytes", rule->bytes.rate);
    set_number(json, "bytes_burst", rule->bytes.burst);
    if (rule->refusal != POLICY_INHERIT)
        json_object_set_new(json, "refusal", json_string(policy_refusal_name(rule->refusal)));
    if (rule->override)
        json_object_set_new(json, "override", json_true());
    set_number(json, "seen", rule->seen);
    if (rule->comment)
        json_object_set_new(json, "comment", json_string(rule->comment));
    return json;
}

static json_t *scope_json(const struct policy_scope *scope)
{
    json_t *may = json_array();

    for (unsigned bit = 1; bit <= CALL_STOPS; bit <<= 1) {
        char name[32];

        policy_effects_text(bit, name, sizeof(name));
        if (scope->effects & bit)
            json_array_append_new(may, json_string(name));
    }
    return json_pack("{s:s, s:o}", "module", scope->module, "may", may);
}

static json_t *grant_json(const struct policy_grant *grant)
{
    return json_pack("{s:s, s:s, s:b, s:b}", "name", grant->name, "path", grant->path, "read",
                     grant->read, "write", grant->write);
}

static json_t *lists_json(const struct policy_doc *doc, json_t *json)
{
    json_t *list = json_array();

    for (size_t i = 0; i < doc->nrules; i++)
        json_array_append_new(list, rule_json(&doc->rule[i]));
    json_object_set_new(json, "rules", list);
    list = json_array();
    for (size_t i = 0; i < doc->nscopes; i++)
        json_array_append_new(list, scope_json(&doc->scope[i]));
    json_object_set_new(json, "effects", list);
    list = json_array();
    for (size_t i = 0; i < doc->ngrants; i++)
        json_array_append_new(list, grant_json(&doc->grant[i]));
    json_object_set_new(json, "files", list);
    list = json_array();
    for (size_t i = 0; i < doc->nnumbers; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "service", doc->numbers[i].service, "values",
                            ranges_json(doc->numbers[i].range, doc->numbers[i].nranges)));
    json_object_set_new(json, "numbers", list);
    list = json_array();
    for (size_t i = 0; i < doc->ndeterministic; i++)
        json_array_append_new(list, json_string(doc->deterministic[i].name));
    json_object_set_new(json, "deterministic", list);
    return json;
}

int policy_doc_print(const struct policy_doc *doc, char **text)
{
    json_t *json = json_pack("{s:i}", "version", 1);

    if (doc->comment)
        json_object_set_new(json, "comment", json_string(doc->comment));
    json_object_set_new(json, "default", json_string(policy_default_name(doc->def)));
    json_object_set_new(json, "refusal", json_string(policy_refusal_name(doc->refusal)));
    json = lists_json(doc, json);
    *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!*text)
        return -ENOMEM;

    size_t len = strlen(*text);
    char *line = realloc(*text, len + 2);
    if (!line) {
        free(*text);
        return -ENOMEM;
    }
    memcpy(line + len, "\n", 2);
    *text = line;
    return 0;
}
