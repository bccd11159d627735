/* scene.h: what a random program of the hunt runs in: memory, page tables, handlers, episodes.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_HUNT_SCENE_H
#define TESTS_HUNT_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/diff/program.h"
#include "vmm/vm.h"

/* The memory that programs use; a kernel's image has to lie above it. */
#define SCENE_MEMORY     (1u << 19)
#define SCENE_S_AT       0x9000u  /* the S-mode handler, a page behind the M-mode one */
#define SCENE_TABLES     0x40000u /* page tables */
#define SCENE_TABLES_END 0x70000u
#define SCENE_DATA       0x1f000u /* pages around PROGRAM_DATA; behind them no device */
#define SCENE_DATA_PAGES 4u
#define SCENE_DATA_END   (SCENE_DATA + SCENE_DATA_PAGES * MEM_PAGE_SIZE)

/*
 * Pages of code and of lists, of which each place has any, and other page tables others. Both
 * are eight pages in a row, so that the three lowest bits of their numbers say which.
 */
#define SCENE_FAR         0x10000u
#define SCENE_FAR_PAGES   8u
#define SCENE_CHASE       0x28000u
#define SCENE_CHASE_PAGES 8u
#define SCENE_BIG         0x200000u /* the memory's start once more, by a leaf of 2 MiB */
#define SCENE_ROOTS       2u        /* page tables: one half of what is entered has the other */

/*
 * Programs see their code and data at four places: where they are (M-mode, and S-mode by an
 * identical mapping), for U-mode, and in the upper half of the address space, for S-mode.
 */
#define SCENE_LOW  UINT64_C(0x40000000)         /* U-mode: 0x80000000 is mapped here */
#define SCENE_HIGH UINT64_C(0xffffffffc0000000) /* S-mode: and here */

enum view { VIEW_M, VIEW_U, VIEW_HIGH, VIEW_S };

/* A program and what stays the same while it runs. Made from its seed alone. */
struct scene {
    uint64_t seed;
    bool kernel; /* S-mode ecalls are calls to the monitor; no M-mode */
    bool
        coherent; /* programs leave page tables alone, so nothing depends on what a TLB keeps */
    bool stale;   /* page tables change without a fence */
    unsigned shift;  /* bytes before the code: 2 puts an instruction across the page's end */
    unsigned levels; /* of the page tables */
    uint32_t code[PROGRAM_WORDS];
};

/*
 * Makes a machine for scenes; kernel: which. It is deterministic, and hart 0 the one that runs.
 * 0 or -errno with *err set.
 */
int scene_machine(struct vm *vm, struct vm_config *config, const struct engine *engine,
                  bool kernel, struct error *err);

/* kernel: what machine it is for. */
void scene_make(struct scene *scene, uint64_t seed, bool kernel, bool coherent);

/* Where a root is, and the last table on the way to a view (VIEW_S has the one of VIEW_M). */
uint64_t scene_root(const struct scene *scene, unsigned root);
uint64_t scene_leaf(const struct scene *scene, unsigned root, enum view view);

/* Fills the memory of a machine, which has forgotten what it ran before. */
void scene_install(const struct scene *scene, struct vm *vm);

/*
 * Between two runs: another mode, registers, interrupts, stores by a device, or just on. The
 * same for the same seed and the same state.
 */
void scene_episode(const struct scene *scene, struct vm *vm, uint64_t seed);

/*
 * Runs up to a count of steps, over waits for interrupts. False: the monitor has ended the
 * guest, or it only waits.
 */
bool scene_run(struct vm *vm, uint64_t limit);

/* Calls to the monitor, page tables, loops and so on, in place of some of the program. */
void snippets_put(struct scene *scene);

#endif
