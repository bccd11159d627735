/* policy_doc.c: a policy as it was written: its parts, names, and rules of the command line. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_doc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void policy_doc_init(struct policy_doc *doc)
{
    memset(doc, 0, sizeof(*doc));
    doc->refusal = POLICY_ERROR;
}

static void rule_free(struct policy_rule *rule)
{
    for (unsigned i = 0; i < rule->nargs; i++)
        free(rule->arg[i].range);
    free(rule->comment);
}

void policy_doc_free(struct policy_doc *doc)
{
    for (size_t i = 0; i < doc->nrules; i++)
        rule_free(&doc->rule[i]);
    for (size_t i = 0; i < doc->ngrants; i++)
        free(doc->grant[i].path);
    for (size_t i = 0; i < doc->nnumbers; i++)
        free(doc->numbers[i].range);
    free(doc->rule);
    free(doc->scope);
    free(doc->grant);
    free(doc->numbers);
    free(doc->deterministic);
    free(doc->comment);
    policy_doc_init(doc);
}

/* Room for one more in an array that doubles. */
static void *array_grow(void *array, size_t n, size_t size)
{
    if (n > 0 && (n & (n - 1)) != 0)
        return array;
    return reallocarray(array, n == 0 ? 1 : 2 * n, size);
}

struct policy_rule *policy_rule_add(struct policy_doc *doc)
{
    struct policy_rule *rule = array_grow(doc->rule, doc->nrules, sizeof(*rule));

    if (!rule)
        return NULL;
    doc->rule = rule;
    rule += doc->nrules++;
    memset(rule, 0, sizeof(*rule));
    return rule;
}

struct policy_name *policy_name_add(struct policy_doc *doc)
{
    struct policy_name *name =
        array_grow(doc->deterministic, doc->ndeterministic, sizeof(*name));

    if (!name)
        return NULL;
    doc->deterministic = name;
    name += doc->ndeterministic++;
    memset(name, 0, sizeof(*name));
    return name;
}

/* --- names --- */

const char *policy_kind_name(enum policy_kind kind)
{
    static const char *const names[] = {
        [POLICY_ALLOW] = "allow", [POLICY_DENY] = "deny", [POLICY_RATE] = "rate"};

    return names[kind];
}

const char *policy_refusal_name(enum policy_refusal refusal)
{
    static const char *const names[] = {[POLICY_INHERIT] = "inherit",
                                        [POLICY_ERROR] = "error",
                                        [POLICY_STOP] = "stop",
                                        [POLICY_LOG] = "log"};

    return names[refusal];
}

const char *policy_default_name(enum policy_default def)
{
    static const char *const names[] = {[POLICY_DEFAULT_SHIPPED] = "shipped",
                                        [POLICY_DEFAULT_ALLOW] = "allow",
                                        [POLICY_DEFAULT_DENY] = "deny",
                                        [POLICY_DEFAULT_LOG] = "log"};

    return names[def];
}

static const struct {
    const char *name;
    unsigned effect;
} effects[] = {
    {"mem",         CALL_WRITES_MEM },
    {"hart",        CALL_HART_STATE },
    {"reads-host",  CALL_READS_HOST },
    {"writes-host", CALL_WRITES_HOST},
    {"blocks",      CALL_BLOCKS     },
    {"stops",       CALL_STOPS      },
};

unsigned policy_effect(const char *name)
{
    for (size_t i = 0; i < COUNT(effects); i++)
        if (strcmp(effects[i].name, name) == 0)
            return effects[i].effect;
    return 0;
}

void policy_effects_text(unsigned mask, char *text, size_t size)
{
    size_t len = 0;

    snprintf(text, size, "nothing");
    for (size_t i = 0; i < COUNT(effects) && len < size; i++)
        if (mask & effects[i].effect)
            len += (size_t)snprintf(text + len, size - len, "%s%s", len > 0 ? ", " : "",
                                    effects[i].name);
}

bool policy_name_covers(const char *rule, const char *name)
{
    size_t len = strlen(rule);

    return name && len > 0 && strncmp(name, rule, len) == 0 &&
           (name[len] == '\0' || name[len] == '.');
}

bool policy_ranges_hold(const struct policy_range *range, size_t n, uint64_t value)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (range[mid].max < value)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && range[low].min <= value;
}

/* --- numbers and targets --- */

/* Digits of a base up to `end`, all of them. */
static bool digits_parse(const char *text, const char *end, unsigned base, uint64_t *value)
{
    uint64_t v = 0;

    if (text == end)
        return false;
    for (; text < end; text++) {
        char c = *text;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;

        if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *value = v;
    return true;
}

static bool number_parse(const char *text, const char *end, uint64_t *value)
{
    if (end - text > 2 && text[0] == '0' && text[1] == 'x')
        return digits_parse(text + 2, end, 16, value);
    return digits_parse(text, end, 10, value);
}

bool policy_number_parse(const char *text, uint64_t *value)
{
    return number_parse(text, text + strlen(text), value);
}

static bool name_valid(const char *text)
{
    size_t len =
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

    return text[0] != '.' && text[0] != '-' && text[len] == '\0' && text[len - 1] != '.' &&
           strstr(text, "..") == NULL;
}

bool policy_target_parse(struct policy_target *target, const char *text)
{
    size_t len = strlen(text);
    const char *slash = strchr(text, '/');
    bool program = strncmp(text, "program/", 8) == 0;

    memset(target, 0, sizeof(*target));
    if (len == 0 || len >= sizeof(target->name))
        return false;
    memcpy(target->name, text, len);
    if (program) {
        target->kind = POLICY_PROGRAM;
        return number_parse(slash + 1, text + len, &target->fn);
    }
    if (text[0] != '0') {
        target->kind = POLICY_NAME;
        return name_valid(text);
    }
    target->kind = slash ? POLICY_CALL : POLICY_EXT;
    return text[1] == 'x' && number_parse(text, slash ? slash : text + len, &target->ext) &&
           (!slash ||
            (number_parse(slash + 1, text + len, &target->fn) && target->fn != CALL_ANY_FN));
}

void policy_rule_place(const struct policy_doc *doc, const struct policy_rule *rule, char *text,
                       size_t size)
{
    const char *kind = policy_kind_name(rule->kind);

    if (rule->option)
        snprintf(text, size, "--%s %s", kind, rule->target.name);
    else
        snprintf(text, size, "rules[%u] ('%.80s', line %u: %s %s)", rule->index,
                 doc->path ? doc->path : "policy", rule->line, kind, rule->target.name);
}

/* --- the command line --- */

#define RATE_SHAPE "give CALL,calls=N[,burst=N][,bytes=N][,bytes-burst=N]"

/* One key=value of --rate. */
static int rate_key(struct policy_rule *rule, const char *text, struct error *err)
{
    const struct {
        const char *key;
        uint64_t *value, max;
    } keys[] = {
        {"calls",       &rule->calls.rate,  POLICY_RATE_MAX       },
        {"burst",       &rule->calls.burst, POLICY_RATE_MAX       },
        {"bytes",       &rule->bytes.rate,  1000 * POLICY_RATE_MAX},
        {"bytes-burst", &rule->bytes.burst, 1000 * POLICY_RATE_MAX},
    };
    size_t len = strcspn(text, "=");

    for (size_t i = 0; i < COUNT(keys); i++) {
        if (strlen(keys[i].key) != len || memcmp(keys[i].key, text, len) != 0)
            continue;
        if (text[len] != '=' || !policy_number_parse(text + len + 1, keys[i].value) ||
            *keys[i].value == 0 || *keys[i].value > keys[i].max)
            return error_set(err, STATUS_USAGE,
                             "--rate: '%.80s' is not right; give %s=N, 1 to %" PRIu64, text,
                             keys[i].key, keys[i].max);
        return 0;
    }
    return error_set(err, STATUS_USAGE, "--rate: '%.80s' is not known; " RATE_SHAPE, text);
}

static int rate_parse(struct policy_rule *rule, char *text, struct error *err)
{
    int rc = 0;

    for (char *word; rc == 0 && (word = strsep(&text, ",")) != NULL;)
        rc = rate_key(rule, word, err);
    if (rc == 0 && rule->calls.rate == 0 && rule->bytes.rate == 0)
        rc = error_set(err, STATUS_USAGE, "--rate: %s: no limit given; " RATE_SHAPE,
                       rule->target.name);
    if (rc == 0 && ((rule->calls.burst != 0 && rule->calls.rate == 0) ||
                    (rule->bytes.burst != 0 && rule->bytes.rate == 0)))
        rc = error_set(err, STATUS_USAGE, "--rate: %s: a burst without its rate; " RATE_SHAPE,
                       rule->target.name);
    return rc;
}

int policy_doc_option(struct policy_doc *doc, enum policy_kind kind, const char *text,
                      struct error *err)
{
    struct policy_rule *rule = policy_rule_add(doc);
    char *copy = strdup(text), *rest = copy;
    int rc = 0;

    if (!rule || !copy) {
        free(copy);
        return error_set(err, STATUS_OS, "--%s: no memory", policy_kind_name(kind));
    }
    rule->kind = kind;
    rule->option = true;
    rule->override = kind != POLICY_RATE;
    if (kind == POLICY_RATE)
        strsep(&rest, ",");
    if (!policy_target_parse(&rule->target, copy))
        rc = error_set(err, STATUS_USAGE,
                       "--%s: '%.80s' names no call; give a call (sbi.dbcn.write), a group "
                       "(sbi.dbcn), 0xEXT, 0xEXT/FN or program/N",
                       policy_kind_name(kind), copy);
    else if (kind == POLICY_RATE)
        rc = rate_parse(rule, rest, err);
    free(copy);
    return rc;
}
