/* policy_parse.h: what the readers of a policy file share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_PARSE_H
#define VMM_POLICY_PARSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "vmm/json_lines.h"
#include "vmm/policy_doc.h"

/* A file being read. */
struct policy_parse {
    struct policy_doc *doc;
    struct error *err;
    struct json_lines lines;
    unsigned line;  /* of the last value that has one */
    char where[40]; /* "rules[3]: ", or "" */
};

/* A key of an object, and who takes its value. */
struct policy_key {
    const char *name;
    int (*take)(struct policy_parse *p, const json_t *value, void *into);
};

/* Ranges as they come out of the file: sorted, and none touches the next. */
struct policy_ranges {
    struct policy_range *range;
    size_t n;
};

/* Says what is wrong with a value (NULL: with the line at hand). -EINVAL. */
int parse_fail(struct policy_parse *p, const json_t *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int parse_no_memory(struct policy_parse *p);

/* What a value is, in words. */
const char *parse_type(const json_t *value);

/* Hands every key of an object to its row; a key without one is an error that lists `known`. */
int parse_object(struct policy_parse *p, const json_t *object, const struct policy_key *keys,
                 const char *known, void *into);

/*
 * One value each, checked; `what` is its name in messages. 0 or -errno. parse_name fills
 * POLICY_NAME_MAX bytes; parse_word gives the place of the word in a list.
 */
int parse_text(struct policy_parse *p, const json_t *value, const char *what,
               const char **text);
int parse_flag(struct policy_parse *p, const json_t *value, const char *what, bool *flag);
int parse_copy(struct policy_parse *p, const json_t *value, const char *what, char **copy);
int parse_name(struct policy_parse *p, const json_t *value, const char *what, char *name);
int parse_number(struct policy_parse *p, const json_t *value, const char *what,
                 uint64_t *number);
int parse_word(struct policy_parse *p, const json_t *value, const char *what,
               const char *const *words, size_t n, unsigned *at);

/* A number, a range, or an array of them that is not empty. *list is the caller's to free. */
int parse_ranges(struct policy_parse *p, const json_t *value, const char *what,
                 struct policy_ranges *list);

#endif
