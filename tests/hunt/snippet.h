/* snippet.h: pieces of programs of the hunt that do something on purpose. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_HUNT_SNIPPET_H
#define TESTS_HUNT_SNIPPET_H

#include "tests/hunt/scene.h"
#include "tests/unit/assembler.h"

/*
 * Where the next word goes. A snippet has SNIPPET_WORDS words at most; t0 to t2 are its own, s2
 * to s4 and t3, t4 too, s0 points at data, s1 at the code.
 */
enum { SNIPPET_WORDS = 24 };

struct pen {
    uint32_t *at;
    const struct scene *scene;
};

static inline void put(struct pen *p, uint32_t word)
{
    *p->at++ = word;
}

/* The physical address of the entry's table in a register: of the root and view given. */
static inline void put_table(struct pen *p, unsigned reg, unsigned root, enum view view)
{
    uint64_t leaf = PLAT_DRAM_BASE + scene_leaf(p->scene, root, view);

    put(p, AS_U(lui, reg, (uint32_t)(leaf >> 12)));
    put(p, AS_I(slli, reg, reg, 32));
    put(p, AS_I(srli, reg, reg, 32));
}

/* --- far.c --- */

/*
 * Puts the code that far pages have for the seed: functions and loops that run over the ends of
 * pages. All pages have the same ones at the same places, with constants of their own, so that
 * it goes on in any page that is mapped there, and differently.
 */
void far_install(uint8_t *pages);

/* Nodes of lists that lead from page to page, whatever page is mapped where. */
void chase_install(uint8_t *pages);

/* Calls into far pages, lists, and what changes both. */
void far_put(struct pen *p);

/* --- corner.c --- */

/* Ends of mapped memory, devices, reservations over traps, protection, and so on. */
void corner_put(struct pen *p);

#endif
