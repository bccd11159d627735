/* policy_values.c: the values of a policy file: their types, numbers and ranges. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/policy_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) int parse_fail(struct policy_parse *p, const json_t *at,
                                                     const char *fmt, ...)
{
    unsigned line = json_lines_of(&p->lines, at);
    char text[260];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(p->err, STATUS_DATA, "--policy: '%.80s', line %u: %s%s", p->doc->path,
                     line ? line : p->line, p->where, text);
}

int parse_no_memory(struct policy_parse *p)
{
    error_set(p->err, STATUS_OS, "--policy: no memory for '%.80s'", p->doc->path);
    return -ENOMEM;
}

const char *parse_type(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a point or exponent";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return "null";
    }
}

/* Takes every key of an object by its row; one that has no row is an error. */
int parse_object(struct policy_parse *p, const json_t *object, const struct policy_key *keys,
                 const char *known, void *into)
{
    const char *name;
    json_t *value;
    int rc;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        const struct policy_key *key = keys;
        unsigned line = json_lines_of(&p->lines, value);

        p->line = line ? line : p->line;
        while (key->name && strcmp(key->name, name) != 0)
            key++;
        if (!key->name)
            return parse_fail(p, value, "unknown key \"%.60s\"; known are %s", name, known);
        rc = key->take(p, value, into);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* --- single values --- */

int parse_text(struct policy_parse *p, const json_t *value, const char *what, const char **text)
{
    *text = "";
    if (!json_is_string(value))
        return parse_fail(p, value, "%s is %s; give a string", what, parse_type(value));
    *text = json_string_value(value);
    return 0;
}

int parse_flag(struct policy_parse *p, const json_t *value, const char *what, bool *flag)
{
    if (!json_is_boolean(value))
        return parse_fail(p, value, "%s is %s; give true or false", what, parse_type(value));
    *flag = json_is_true(value);
    return 0;
}

int parse_copy(struct policy_parse *p, const json_t *value, const char *what, char **copy)
{
    const char *text;
    int rc = parse_text(p, value, what, &text);

    if (rc != 0)
        return rc;
    *copy = strdup(text);
    return *copy ? 0 : parse_no_memory(p);
}

int parse_name(struct policy_parse *p, const json_t *value, const char *what, char *name)
{
    const char *text;
    int rc = parse_text(p, value, what, &text);

    if (rc != 0)
        return rc;
    if (text[0] == '\0' || strlen(text) >= POLICY_NAME_MAX)
        return parse_fail(p, value, "%s has %zu bytes; give 1 to %u", what, strlen(text),
                          POLICY_NAME_MAX - 1);
    memcpy(name, text, strlen(text) + 1);
    return 0;
}

int parse_number(struct policy_parse *p, const json_t *value, const char *what,
                 uint64_t *number)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *number = (uint64_t)json_integer_value(value);
        return 0;
    }
    if (json_is_integer(value))
        return parse_fail(
            p, value, "%s is negative; give the 64 bits as a string such as \"0x%" PRIx64 "\"",
            what, (uint64_t)json_integer_value(value));
    if (!json_is_string(value))
        return parse_fail(p, value,
                          "%s is %s; give a whole number, or a string such as \"0x1f\"", what,
                          parse_type(value));
    if (!policy_number_parse(json_string_value(value), number))
        return parse_fail(p, value,
                          "%s: \"%.40s\" is no 64-bit number; give a string such as \"0x1f\"",
                          what, json_string_value(value));
    return 0;
}

/* One of some words, by its place among them. */
int parse_word(struct policy_parse *p, const json_t *value, const char *what,
               const char *const *words, size_t n, unsigned *at)
{
    const char *text;
    char list[100] = "";
    int rc = parse_text(p, value, what, &text);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], text) == 0) {
            *at = (unsigned)i;
            return 0;
        }
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s\"%s\"",
                 i == 0      ? ""
                 : i + 1 < n ? ", "
                             : " or ",
                 words[i]);
    }
    return parse_fail(p, value, "%s: \"%.40s\" is not known; give %s", what, text, list);
}

/* --- ranges --- */

struct bounds {
    struct policy_range range;
    bool min, max;
};

static int bound_min(struct policy_parse *p, const json_t *value, void *into)
{
    struct bounds *b = into;

    b->min = true;
    return parse_number(p, value, "\"min\"", &b->range.min);
}

static int bound_max(struct policy_parse *p, const json_t *value, void *into)
{
    struct bounds *b = into;

    b->max = true;
    return parse_number(p, value, "\"max\"", &b->range.max);
}

/* A number, or an object with "min", "max" or both. */
static int range_take(struct policy_parse *p, const json_t *value, struct policy_range *range)
{
    static const struct policy_key keys[] = {
        {"min", bound_min},
        {"max", bound_max},
        {NULL,  NULL     },
    };
    struct bounds b = {
        .range = {0, UINT64_MAX}
    };
    int rc;

    if (!json_is_object(value)) {
        rc = parse_number(p, value, "a value of an argument", &range->min);
        range->max = range->min;
        return rc;
    }
    rc = parse_object(p, value, keys, "\"min\" and \"max\"", &b);
    if (rc != 0)
        return rc;
    if (!b.min && !b.max)
        return parse_fail(p, value,
                          "a range without \"min\" and \"max\"; give one of them or both");
    if (b.range.min > b.range.max)
        return parse_fail(p, value, "a range with \"min\" above \"max\" holds nothing");
    *range = b.range;
    return 0;
}

static int range_compare(const void *a, const void *b)
{
    const struct policy_range *x = a, *y = b;

    return (x->min > y->min) - (x->min < y->min);
}

/* Sorted, and joined where they overlap or touch. */
static void ranges_tidy(struct policy_ranges *list)
{
    size_t n = 0;

    qsort(list->range, list->n, sizeof(*list->range), range_compare);
    for (size_t i = 0; i < list->n; i++) {
        struct policy_range *last = n > 0 ? &list->range[n - 1] : NULL;

        if (last && (last->max == UINT64_MAX || list->range[i].min <= last->max + 1))
            last->max = last->max > list->range[i].max ? last->max : list->range[i].max;
        else
            list->range[n++] = list->range[i];
    }
    list->n = n;
}

/* A number, a range, or an array of them that is not empty. */
int parse_ranges(struct policy_parse *p, const json_t *value, const char *what,
                 struct policy_ranges *list)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    int rc = 0;

    if (n == 0)
        return parse_fail(p, value, "%s has no values; give a number, a range or several",
                          what);
    p->doc->nranges += n;
    if (p->doc->nranges > POLICY_RANGES_MAX)
        return parse_fail(p, value, "more than %u ranges in one policy", POLICY_RANGES_MAX);
    list->range = calloc(n, sizeof(*list->range));
    if (!list->range)
        return parse_no_memory(p);
    list->n = n;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = range_take(p, json_is_array(value) ? json_array_get(value, i) : value,
                        &list->range[i]);
    if (rc == 0)
        ranges_tidy(list);
    return rc;
}
