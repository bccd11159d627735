/* policy_file.c: reads a policy from its JSON file, strictly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_parse.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int refusal_take(struct policy_parse *p, const json_t *value,
                        enum policy_refusal *refusal)
{
    static const char *const words[] = {"error", "stop", "log"};
    unsigned at = 0;
    int rc = parse_word(p, value, "\"refusal\"", words, COUNT(words), &at);

    *refusal = POLICY_ERROR + at;
    return rc;
}

/* --- rules --- */

static int target_take(struct policy_parse *p, const json_t *value, struct policy_rule *rule,
                       enum policy_kind kind)
{
    const char *text;
    char what[16];
    int rc;

    snprintf(what, sizeof(what), "\"%s\"", policy_kind_name(kind));
    if (rule->target.name[0] != '\0')
        return parse_fail(p, value, "%s beside \"%s\"; a rule is of one kind", what,
                          policy_kind_name(rule->kind));
    rc = parse_text(p, value, what, &text);
    if (rc != 0)
        return rc;
    if (!policy_target_parse(&rule->target, text))
        return parse_fail(p, value,
                          "%s: \"%.64s\" names no call; give a call (sbi.dbcn.write), a group "
                          "(sbi.dbcn), \"0xEXT\", \"0xEXT/FN\" or \"program/N\"",
                          what, text);
    rule->kind = kind;
    return 0;
}

static int rule_allow(struct policy_parse *p, const json_t *value, void *into)
{
    return target_take(p, value, into, POLICY_ALLOW);
}

static int rule_deny(struct policy_parse *p, const json_t *value, void *into)
{
    return target_take(p, value, into, POLICY_DENY);
}

static int rule_rate(struct policy_parse *p, const json_t *value, void *into)
{
    return target_take(p, value, into, POLICY_RATE);
}

static int arg_take(struct policy_parse *p, const char *name, const json_t *value,
                    struct policy_rule *rule)
{
    struct policy_ranges list = {0};
    struct policy_arg *arg;
    char what[POLICY_NAME_MAX + 8];
    int rc;

    if (rule->nargs == CALL_ARGS)
        return parse_fail(p, value, "\"args\": more than %d arguments", CALL_ARGS);
    if (name[0] == '\0' || strlen(name) >= POLICY_NAME_MAX)
        return parse_fail(
            p, value, "\"args\": \"%.64s\" is no name of an argument; give arg0 to arg5", name);
    arg = &rule->arg[rule->nargs++];
    memcpy(arg->name, name, strlen(name) + 1);
    snprintf(what, sizeof(what), "\"%s\"", name);
    rc = parse_ranges(p, value, what, &list);
    arg->range = list.range;
    arg->nranges = list.n;
    return rc;
}

static int rule_args(struct policy_parse *p, const json_t *value, void *into)
{
    const char *name;
    json_t *child;
    int rc = 0;

    if (!json_is_object(value) || json_object_size(value) == 0)
        return parse_fail(p, value,
                          "\"args\" is %s; give an object such as {\"arg0\": {\"max\": 16}}",
                          json_is_object(value) ? "empty" : parse_type(value));
    json_object_foreach((json_t *)(uintptr_t)value, name, child)
    {
        rc = arg_take(p, name, child, into);
        if (rc != 0)
            break;
    }
    return rc;
}

static int rule_refusal(struct policy_parse *p, const json_t *value, void *into)
{
    return refusal_take(p, value, &((struct policy_rule *)into)->refusal);
}

static int limit_take(struct policy_parse *p, const json_t *value, const char *what,
                      uint64_t max, uint64_t *number)
{
    int rc = parse_number(p, value, what, number);

    if (rc == 0 && (*number == 0 || *number > max))
        return parse_fail(p, value, "%s: give 1 to %" PRIu64, what, max);
    return rc;
}

static int rule_calls(struct policy_parse *p, const json_t *value, void *into)
{
    return limit_take(p, value, "\"calls\"", POLICY_RATE_MAX,
                      &((struct policy_rule *)into)->calls.rate);
}

static int rule_burst(struct policy_parse *p, const json_t *value, void *into)
{
    return limit_take(p, value, "\"burst\"", POLICY_RATE_MAX,
                      &((struct policy_rule *)into)->calls.burst);
}

static int rule_bytes(struct policy_parse *p, const json_t *value, void *into)
{
    return limit_take(p, value, "\"bytes\"", 1000 * POLICY_RATE_MAX,
                      &((struct policy_rule *)into)->bytes.rate);
}

static int rule_bytes_burst(struct policy_parse *p, const json_t *value, void *into)
{
    return limit_take(p, value, "\"bytes_burst\"", 1000 * POLICY_RATE_MAX,
                      &((struct policy_rule *)into)->bytes.burst);
}

static int rule_override(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_flag(p, value, "\"override\"", &((struct policy_rule *)into)->override);
}

static int rule_seen(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_number(p, value, "\"seen\"", &((struct policy_rule *)into)->seen);
}

static int rule_comment(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_copy(p, value, "\"comment\"", &((struct policy_rule *)into)->comment);
}

/* Keys that mean something to one kind of rule only. */
static int rule_check(struct policy_parse *p, const json_t *at, const struct policy_rule *rule)
{
    bool limits =
        rule->calls.rate || rule->calls.burst || rule->bytes.rate || rule->bytes.burst;

    if (rule->target.name[0] == '\0')
        return parse_fail(p, at, "it says neither \"allow\" nor \"deny\" nor \"rate\"");
    if (rule->kind != POLICY_RATE && limits)
        return parse_fail(p, at, "\"calls\", \"bytes\" and bursts belong to a \"rate\" rule");
    if (rule->kind == POLICY_RATE && rule->nargs > 0)
        return parse_fail(
            p, at, "a \"rate\" rule counts calls whatever their \"args\"; take them out");
    if (rule->kind == POLICY_RATE && !rule->calls.rate && !rule->bytes.rate)
        return parse_fail(p, at, "a \"rate\" rule needs \"calls\", \"bytes\" or both");
    if ((rule->calls.burst && !rule->calls.rate) || (rule->bytes.burst && !rule->bytes.rate))
        return parse_fail(p, at, "a burst without its rate; give \"%s\" too",
                          rule->calls.rate ? "bytes" : "calls");
    if (rule->kind == POLICY_RATE && rule->override)
        return parse_fail(p, at, "every \"rate\" rule holds; take \"override\" out");
    if (rule->kind == POLICY_ALLOW && rule->refusal != POLICY_INHERIT)
        return parse_fail(p, at, "an \"allow\" rule refuses nothing; take \"refusal\" out");
    return 0;
}

static int rule_take(struct policy_parse *p, const json_t *value, size_t i)
{
    static const struct policy_key keys[] = {
        {"allow",       rule_allow      },
        {"deny",        rule_deny       },
        {"rate",        rule_rate       },
        {"args",        rule_args       },
        {"refusal",     rule_refusal    },
        {"calls",       rule_calls      },
        {"burst",       rule_burst      },
        {"bytes",       rule_bytes      },
        {"bytes_burst", rule_bytes_burst},
        {"seen",        rule_seen       },
        {"override",    rule_override   },
        {"comment",     rule_comment    },
        {NULL,          NULL            },
    };
    struct policy_rule *rule;
    int rc;

    if (!json_is_object(value))
        return parse_fail(p, value, "it is %s; give an object such as {\"deny\": \"sbi.srst\"}",
                          parse_type(value));
    if (p->doc->nrules == POLICY_RULES_MAX)
        return parse_fail(p, value, "a policy has at most %u rules", POLICY_RULES_MAX);
    rule = policy_rule_add(p->doc);
    if (!rule)
        return parse_no_memory(p);
    rule->index = (unsigned)i;
    rule->line = p->line;
    rc = parse_object(
        p, value, keys,
        "allow, deny, rate, args, refusal, calls, burst, bytes, bytes_burst, override, "
        "seen, "
        "comment",
        rule);
    return rc == 0 ? rule_check(p, value, rule) : rc;
}

/* --- lists of the whole policy --- */

/* Hands each element of an array to fn, with messages that name it. */
static int list_take(struct policy_parse *p, const json_t *value, const char *name,
                     int (*fn)(struct policy_parse *p, const json_t *value, size_t i))
{
    int rc = 0;

    if (!json_is_array(value))
        return parse_fail(p, value, "\"%s\" is %s; give an array", name, parse_type(value));
    for (size_t i = 0; i < json_array_size(value) && rc == 0; i++) {
        const json_t *at = json_array_get(value, i);
        unsigned line = json_lines_of(&p->lines, at);

        p->line = line ? line : p->line;
        snprintf(p->where, sizeof(p->where), "%s[%zu]: ", name, i);
        rc = fn(p, at, i);
        p->where[0] = '\0';
    }
    return rc;
}

/* Zeroed elements for a list, at least one; NULL: no memory. */
static void *list_room(const json_t *value, size_t size)
{
    return calloc(json_is_array(value) ? json_array_size(value) + 1 : 1, size);
}

static int scope_module(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_name(p, value, "\"module\"", ((struct policy_scope *)into)->module);
}

static int scope_may(struct policy_parse *p, const json_t *value, void *into)
{
    struct policy_scope *scope = into;
    const char *text;

    if (!json_is_array(value))
        return parse_fail(p, value, "\"may\" is %s; give an array of effects",
                          parse_type(value));
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *at = json_array_get(value, i);
        int rc = parse_text(p, at, "an effect", &text);

        if (rc != 0)
            return rc;
        if (policy_effect(text) == 0)
            return parse_fail(
                p, at,
                "\"%.40s\" is no effect; give mem, hart, reads-host, writes-host, "
                "blocks or stops",
                text);
        scope->effects |= policy_effect(text);
    }
    return 0;
}

static int scope_take(struct policy_parse *p, const json_t *value, size_t i)
{
    static const struct policy_key keys[] = {
        {"module", scope_module},
        {"may",    scope_may   },
        {NULL,     NULL        },
    };
    struct policy_scope *scope = &p->doc->scope[i];
    int rc;

    p->doc->nscopes = i + 1;
    scope->index = (unsigned)i;
    scope->line = p->line;
    if (!json_is_object(value))
        return parse_fail(p, value, "it is %s; give {\"module\": \"sbi-dbcn\", \"may\": [...]}",
                          parse_type(value));
    rc = parse_object(p, value, keys, "module and may", scope);
    if (rc == 0 && (scope->module[0] == '\0' || !json_object_get(value, "may")))
        rc = parse_fail(p, value, "it lacks \"module\" or \"may\"");
    for (size_t j = 0; rc == 0 && j < i; j++)
        if (strcmp(p->doc->scope[j].module, scope->module) == 0)
            rc = parse_fail(p, value, "module %s has a scope already, effects[%zu]",
                            scope->module, j);
    return rc;
}

static int grant_path(struct policy_parse *p, const json_t *value, void *into)
{
    struct policy_grant *grant = into;
    int rc = parse_copy(p, value, "\"path\"", &grant->path);

    return rc == 0 && grant->path[0] == '\0' ? parse_fail(p, value, "\"path\" is empty") : rc;
}

static int grant_name(struct policy_parse *p, const json_t *value, void *into)
{
    struct policy_grant *grant = into;
    int rc = parse_name(p, value, "\"name\"", grant->name);

    if (rc == 0 && (strchr(grant->name, '/') || grant->name[0] == '.'))
        return parse_fail(p, value, "\"name\": \"%s\" has a slash or begins with a dot",
                          grant->name);
    return rc;
}

static int grant_read(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_flag(p, value, "\"read\"", &((struct policy_grant *)into)->read);
}

static int grant_write(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_flag(p, value, "\"write\"", &((struct policy_grant *)into)->write);
}

static int grant_take(struct policy_parse *p, const json_t *value, size_t i)
{
    static const struct policy_key keys[] = {
        {"path",  grant_path },
        {"name",  grant_name },
        {"read",  grant_read },
        {"write", grant_write},
        {NULL,    NULL       },
    };
    struct policy_grant *grant = &p->doc->grant[i];
    int rc;

    p->doc->ngrants = i + 1;
    grant->line = p->line;
    if (!json_is_object(value))
        return parse_fail(
            p, value, "it is %s; give {\"name\": \"data\", \"path\": \"DIR\", \"read\": true}",
            parse_type(value));
    rc = parse_object(p, value, keys, "path, name, read and write", grant);
    if (rc == 0 && (!grant->path || grant->name[0] == '\0'))
        rc = parse_fail(p, value, "it lacks \"path\" or \"name\"");
    if (rc == 0 && !grant->read && !grant->write)
        rc = parse_fail(p, value,
                        "it grants nothing; give \"read\": true, \"write\": true or both");
    for (size_t j = 0; rc == 0 && j < i; j++)
        if (strcmp(p->doc->grant[j].name, grant->name) == 0)
            rc = parse_fail(p, value, "\"name\": \"%s\" is files[%zu] already", grant->name, j);
    return rc;
}

static int numbers_service(struct policy_parse *p, const json_t *value, void *into)
{
    return parse_name(p, value, "\"service\"", ((struct policy_numbers *)into)->service);
}

static int numbers_values(struct policy_parse *p, const json_t *value, void *into)
{
    struct policy_numbers *numbers = into;
    struct policy_ranges list = {0};
    int rc = parse_ranges(p, value, "\"values\"", &list);

    numbers->range = list.range;
    numbers->nranges = list.n;
    return rc;
}

static int numbers_take(struct policy_parse *p, const json_t *value, size_t i)
{
    static const struct policy_key keys[] = {
        {"service", numbers_service},
        {"values",  numbers_values },
        {NULL,      NULL           },
    };
    struct policy_numbers *numbers = &p->doc->numbers[i];
    int rc;

    p->doc->nnumbers = i + 1;
    numbers->line = p->line;
    if (!json_is_object(value))
        return parse_fail(p, value,
                          "it is %s; give {\"service\": \"tg-event\", \"values\": [10, 12]}",
                          parse_type(value));
    rc = parse_object(p, value, keys, "service and values", numbers);
    if (rc == 0 && (numbers->service[0] == '\0' || !numbers->range))
        rc = parse_fail(p, value, "it lacks \"service\" or \"values\"");
    for (size_t j = 0; rc == 0 && j < i; j++)
        if (strcmp(p->doc->numbers[j].service, numbers->service) == 0)
            rc =
                parse_fail(p, value, "service %s is numbers[%zu] already", numbers->service, j);
    return rc;
}

static int deterministic_take(struct policy_parse *p, const json_t *value, size_t i)
{
    struct policy_target target;
    struct policy_name *name;
    const char *text;
    int rc = parse_text(p, value, "a name", &text);

    (void)i;
    if (rc != 0)
        return rc;
    if (!policy_target_parse(&target, text) || target.kind != POLICY_NAME)
        return parse_fail(p, value, "\"%.64s\" is no name of a call or group", text);
    name = policy_name_add(p->doc);
    if (!name)
        return parse_no_memory(p);
    memcpy(name->name, target.name, sizeof(name->name));
    name->line = p->line;
    return 0;
}

/* --- the whole --- */

static int top_version(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    if (!json_is_integer(value) || json_integer_value(value) != 1)
        return parse_fail(p, value, "\"version\" is not 1, the one that this Tollgate knows");
    return 0;
}

static int top_comment(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    return parse_copy(p, value, "\"comment\"", &p->doc->comment);
}

static int top_default(struct policy_parse *p, const json_t *value, void *into)
{
    static const char *const words[] = {"shipped", "allow", "deny", "log"};
    unsigned at = 0;
    int rc = parse_word(p, value, "\"default\"", words, COUNT(words), &at);

    (void)into;
    p->doc->def = (enum policy_default)at;
    return rc;
}

static int top_refusal(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    return refusal_take(p, value, &p->doc->refusal);
}

static int top_rules(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    return list_take(p, value, "rules", rule_take);
}

static int top_effects(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    p->doc->scope = list_room(value, sizeof(*p->doc->scope));
    return p->doc->scope ? list_take(p, value, "effects", scope_take) : parse_no_memory(p);
}

static int top_files(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    p->doc->grant = list_room(value, sizeof(*p->doc->grant));
    return p->doc->grant ? list_take(p, value, "files", grant_take) : parse_no_memory(p);
}

static int top_numbers(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    p->doc->numbers = list_room(value, sizeof(*p->doc->numbers));
    return p->doc->numbers ? list_take(p, value, "numbers", numbers_take) : parse_no_memory(p);
}

static int top_deterministic(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    return list_take(p, value, "deterministic", deterministic_take);
}

/* A policy that asks for these must not run as if they held. */
static int top_later(struct policy_parse *p, const json_t *value, void *into)
{
    (void)into;
    return parse_fail(p, value,
                      "\"require_audit\" and \"labels\" are not in this version: there is no "
                      "audit and there are no labels that could enforce them");
}

static int tree_take(struct policy_parse *p, const json_t *tree)
{
    static const struct policy_key keys[] = {
        {"version",       top_version      },
        {"comment",       top_comment      },
        {"default",       top_default      },
        {"refusal",       top_refusal      },
        {"rules",         top_rules        },
        {"effects",       top_effects      },
        {"files",         top_files        },
        {"numbers",       top_numbers      },
        {"deterministic", top_deterministic},
        {"require_audit", top_later        },
        {"labels",        top_later        },
        {NULL,            NULL             },
    };
    int rc;

    p->line = 1;
    if (!json_is_object(tree))
        return parse_fail(p, tree,
                          "it holds %s; give an object such as {\"version\": 1, \"rules\": "
                          "[{\"deny\": \"sbi.srst\"}]}",
                          parse_type(tree));
    rc = parse_object(p, tree, keys,
                      "version, comment, default, refusal, rules, effects, files, numbers and "
                      "deterministic",
                      NULL);
    if (rc == 0 && !json_object_get(tree, "version"))
        rc = parse_fail(p, tree, "\"version\" is missing; give \"version\": 1");
    return rc;
}

int policy_doc_parse(struct policy_doc *doc, const char *path, const void *data, size_t size,
                     struct error *err)
{
    struct policy_parse p = {.doc = doc, .err = err, .line = 1};
    json_error_t json_err;
    json_t *tree = json_loadb(data, size, JSON_REJECT_DUPLICATES, &json_err);
    int rc;

    doc->path = path;
    if (!tree) {
        p.line = json_err.line > 0 ? (unsigned)json_err.line : 1;
        return parse_fail(&p, NULL, "%.160s", json_err.text);
    }
    rc = json_lines_make(&p.lines, tree, data, size);
    rc = rc == 0 ? tree_take(&p, tree) : parse_no_memory(&p);
    json_lines_free(&p.lines);
    json_decref(tree);
    return rc;
}

int policy_doc_read(struct policy_doc *doc, const char *path, struct error *err)
{
    struct host_file file;
    int rc = host_file_open(&file, "--policy", path, POLICY_SIZE_MAX, err);

    if (rc != 0)
        return rc;
    rc = policy_doc_parse(doc, path, file.data, file.size, err);
    host_file_close(&file);
    return rc;
}
