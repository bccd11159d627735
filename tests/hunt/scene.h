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

/*
 * Programs see their code and data at four places: where they are (M-mode, and S-mode by an
 * identical mapping), for U-mode, and in the upper half of the address space, for S-mode.
 */
#define SCENE_LOW  UINT64_C(0x40000000)         /* U-mode: 0x80000000 is mapped here */
#define SCENE_HIGH UINT64_C(0xffffffffc0000000) /* S-mode: and here */

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

/* kernel: what machine it is for. */
void scene_make(struct scene *scene, uint64_t seed, bool kernel, bool coherent);

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
