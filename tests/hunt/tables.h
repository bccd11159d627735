/* tables.h: the page tables that programs of the hunt run by, and changes of them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_HUNT_TABLES_H
#define TESTS_HUNT_TABLES_H

#include "tests/hunt/scene.h"

/*
 * Makes both roots. Handlers and tables are where they are in both; programs and data in each
 * view; far pages and lists anywhere, differently in each.
 */
void tables_make(const struct scene *scene, struct vm *vm);

/* An entry of a page and the bits of it to turn. */
struct change {
    uint64_t va, bits;
    uint64_t *pte; /* NULL: the guest has destroyed the tables */
};

/* Any change of any table; nothing is changed yet. */
struct change tables_pick(const struct scene *scene, struct vm *vm);

#endif
