/* pagetables.c: page tables of garbage: entries that lead to holes, devices and themselves. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must answer each access through them with a value or with a page or access fault
 * in the guest. The guest ends by the finisher, pass: status 0.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/random.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define ROUNDS 50000
#define PTE_V  1ul
#define PTE_RW 0xcful /* V, R, W, X, A, D */

/* The root, and tables that its garbage may lead to. Entry 2 is the kernel's own gigabyte. */
static uint64_t root[512] __attribute__((aligned(4096)));
static uint64_t lower[2][512] __attribute__((aligned(4096)));

static uint64_t seed = 0xbadcafe;

static uint64_t entry_pick(void)
{
    const uint64_t leads[] = {
        (uintptr_t)root,
        (uintptr_t)lower[0],
        (uintptr_t)lower[1],
        0,
        0x10000000,
        0x0c000000,
        0x100000,
        0x40000000,
        0xfffffffffff000 - 1 /* the last physical page */,
        (random_next(&seed) & 0xffffffffff) << 12,
    };
    uint64_t to = leads[random_below(&seed, sizeof(leads) / sizeof(leads[0]))];
    const uint64_t kinds[] = {PTE_V, PTE_V, PTE_RW, random_next(&seed) & 0xff};
    uint64_t flags = kinds[random_below(&seed, 4)];

    flags |= random_below(&seed, 16) ? 0 : random_next(&seed) << 54;
    return to >> 12 << 10 | flags;
}

/* Only loads: a store could reach the guest itself through a table that its garbage made. */
static uint64_t access_any(void)
{
    uint64_t va = random_next(&seed) & 0x7fffffffff;
    struct guard g;

    va = va >> 30 == 2 ? va ^ 1ul << 30 : va;
    va = va >> 38 ? va | -(1ul << 38) : va;
    return guard_load(&g, va, 1u << random_below(&seed, 4));
}

int guest_main(const void *dtb)
{
    uint64_t values = 0, faults = 0, strange = 0;

    (void)dtb;
    tap_begin();
    root[2] = 0x80000000ul >> 2 | PTE_RW;
    csr_write(satp, 8ul << 60 | (uintptr_t)root >> 12);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t at = random_below(&seed, 512), cause;

        if (at != 2)
            root[at] = entry_pick();
        for (unsigned j = 0; j < 4; j++)
            lower[j & 1][random_below(&seed, 512)] = entry_pick();
        fence_pages();
        cause = access_any();
        values += cause == 0;
        faults += cause == CAUSE_LOAD_PAGE || cause == CAUSE_LOAD_ACCESS;
        strange += cause && cause != CAUSE_LOAD_PAGE && cause != CAUSE_LOAD_ACCESS &&
                   cause != CAUSE_LOAD_MISALIGNED;
    }
    csr_write(satp, 0);
    fence_pages();
    print("# %lu values, %lu faults\n", values, faults);
    tap_ok(strange == 0, "%u loads through garbage", ROUNDS);
    /* No table where the root should be: the next fetch faults, for which there is no handler.
     */
    tap_leave();
}
