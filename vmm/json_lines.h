/* json_lines.h: on which line of its file a value of a JSON tree stands. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_JSON_LINES_H
#define VMM_JSON_LINES_H

#include <jansson.h>
#include <stddef.h>

struct json_place {
    const json_t *value;
    unsigned line;
};

/* Sorted by address. Values without an address of their own (true, false, null) are left out.
 */
struct json_lines {
    struct json_place *place;
    size_t n;
};

/*
 * jansson tells the line of a syntax error, and of nothing else. The tree must be what it made
 * of this very text. 0 or -ENOMEM. The tree outlives *lines.
 */
int json_lines_make(struct json_lines *lines, const json_t *tree, const char *text,
                    size_t size);
void json_lines_free(struct json_lines *lines);

/* The line of a value, from 1; 0: not known. */
unsigned json_lines_of(const struct json_lines *lines, const json_t *value);

#endif
