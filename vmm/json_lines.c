/* json_lines.c: on which line of its file a value of a JSON tree stands. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/json_lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A scan over text that has been found to be JSON before. */
struct scan {
    const char *at, *end;
    unsigned line;
};

static void blanks_skip(struct scan *s)
{
    for (; s->at < s->end && strchr(" \t\r\n", *s->at) != NULL; s->at++)
        s->line += *s->at == '\n';
}

static void string_skip(struct scan *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at == '\\')
            s->at++;
    }
    if (s->at < s->end)
        s->at++;
}

/* Steps over a number or a word; punctuation alone says that there is none. */
static bool scalar_skip(struct scan *s)
{
    const char *start = s->at;

    while (s->at < s->end && strchr(" \t\r\n,:{}[]\"", *s->at) == NULL)
        s->at++;
    return s->at > start;
}

/* The line where the next value begins; keys are no values. 0: there is none. */
static unsigned value_next(struct scan *s)
{
    for (;;) {
        blanks_skip(s);
        if (s->at >= s->end || *s->at == '\0')
            return 0;

        unsigned line = s->line;
        if (*s->at == '"') {
            string_skip(s);
            blanks_skip(s);
            if (s->at >= s->end || *s->at != ':')
                return line;
        } else if (*s->at == '{' || *s->at == '[') {
            s->at++;
            return line;
        } else if (!scalar_skip(s)) {
            s->at++; /* , : } ] */
        } else {
            return line;
        }
    }
}

static size_t values_count(const json_t *value)
{
    const char *key;
    json_t *child;
    size_t i, n = 1;

    if (json_is_array(value)) {
        json_array_foreach(value, i, child)
        {
            n += values_count(child);
        }
    } else if (json_is_object(value)) {
        /* The macro wants a tree that may be changed; nothing changes it. */
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            n += values_count(child);
        }
    }
    return n;
}

/* jansson keeps the keys of an object in the order of the text, so both walks go alike. */
static void walk(struct json_lines *lines, const json_t *value, struct scan *s)
{
    unsigned line = value_next(s);
    const char *key;
    json_t *child;
    size_t i;

    if (!json_is_boolean(value) && !json_is_null(value))
        lines->place[lines->n++] = (struct json_place){.value = value, .line = line};
    if (json_is_array(value)) {
        json_array_foreach(value, i, child)
        {
            walk(lines, child, s);
        }
    } else if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, child)
        {
            walk(lines, child, s);
        }
    }
}

static int place_compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct json_place *)a)->value;
    uintptr_t y = (uintptr_t)((const struct json_place *)b)->value;

    return (x > y) - (x < y);
}

int json_lines_make(struct json_lines *lines, const json_t *tree, const char *text, size_t size)
{
    struct scan s = {.at = text, .end = text + size, .line = 1};

    lines->n = 0;
    lines->place = calloc(values_count(tree), sizeof(*lines->place));
    if (!lines->place)
        return -ENOMEM;
    walk(lines, tree, &s);
    qsort(lines->place, lines->n, sizeof(*lines->place), place_compare);
    return 0;
}

void json_lines_free(struct json_lines *lines)
{
    free(lines->place);
    lines->place = NULL;
    lines->n = 0;
}

unsigned json_lines_of(const struct json_lines *lines, const json_t *value)
{
    const struct json_place key = {.value = value};
    const struct json_place *found =
        lines->n == 0
            ? NULL
            : bsearch(&key, lines->place, lines->n, sizeof(*lines->place), place_compare);

    return found ? found->line : 0;
}
