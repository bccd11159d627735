/* tlb.c: the software TLB: address spaces by satp, and what fences drop of them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include "vmm/vm.h"

#define SATP_MODE(satp) ((satp) >> 60)
#define SATP_ASID(satp) ((satp) >> 44 & 0xffff)

#define SPACE_FREE UINT64_MAX /* no satp that a hart can have: its mode is reserved */

/* Takes one out of the places; -1: there is none. */
static inline int filled_take(struct rv_filled *filled)
{
    unsigned word, bit;

    if (!filled->words)
        return -1;
    word = (unsigned)__builtin_ctzll(filled->words);
    bit = (unsigned)__builtin_ctzll(filled->place[word]);
    filled->place[word] &= filled->place[word] - 1;
    if (!filled->place[word])
        filled->words &= filled->words - 1;
    return (int)(word * 64 + bit);
}

static void tlb_clear(struct rv_tlb *tlb)
{
    int i;

    while ((i = filled_take(&tlb->filled)) >= 0)
        tlb->load[i].tag = tlb->store[i].tag = RV_TLB_EMPTY;
    tlb->device[0].tag = tlb->device[1].tag = RV_TLB_EMPTY;
}

static void fetch_clear(struct rv_fetch *fetch)
{
    int i;

    while ((i = filled_take(&fetch->filled)) >= 0)
        fetch->entry[i].tag = RV_TLB_EMPTY;
}

static void steps_clear(struct rv_steps *steps)
{
    for (; steps->filled; steps->filled &= steps->filled - 1)
        (&steps->step[0][0])[__builtin_ctzll(steps->filled)].tag = UINT64_MAX;
}

/* Drops the steps to the tables of va that are no more what a walk from the root would find. */
static void steps_check(struct rv_space *space, uint64_t va)
{
    for (unsigned level = 0; level < RV_STEP_LEVEL; level++) {
        struct rv_step *step = rv_step_place(space, va, level);

        if (step->tag != va >> (21 + 9 * level))
            continue;
        for (unsigned i = 0; i < step->way; i++)
            if (__atomic_load_n(step->from[i], __ATOMIC_ACQUIRE) != step->entry[i])
                step->tag = UINT64_MAX;
    }
}

static void space_clear(struct rv_space *space)
{
    if (!space->filled)
        return;
    space->filled = false;
    for (unsigned i = 0; i < RV_SPACE_TLBS; i++)
        tlb_clear(&space->tlb[i]);
    for (unsigned i = 0; i < RV_SPACE_FETCHES; i++)
        fetch_clear(&space->fetch[i]);
    for (unsigned half = 0; half < 2; half++)
        space->large[half] = (struct rv_large){.first = UINT64_MAX};
    steps_clear(&space->steps);
}

/* Memory that holds anything: all of it may be entries. */
static void filled_all(struct rv_filled *filled)
{
    for (unsigned i = 0; i < RV_TLB_ENTRIES; i++) {
        filled->words |= 1ull << i / 64;
        filled->place[i / 64] |= 1ull << i % 64;
    }
}

static void space_begin(struct rv_space *space)
{
    space->filled = true;
    for (unsigned i = 0; i < RV_SPACE_TLBS; i++)
        filled_all(&space->tlb[i].filled);
    for (unsigned i = 0; i < RV_SPACE_FETCHES; i++)
        filled_all(&space->fetch[i].filled);
    space->steps.filled = UINT64_MAX;
}

void rv_tlb_init(struct rv_hart *h)
{
    filled_all(&h->tlb_m.filled);
    filled_all(&h->fetch_m.filled);
    tlb_clear(&h->tlb_m);
    fetch_clear(&h->fetch_m);
    for (unsigned i = 0; i < RV_SPACES; i++)
        h->spaces[i].satp = SPACE_FREE;
    h->space = &h->spaces[0];
    rv_space_select(h);
}

/* The space of a satp, or the one that has waited longest. */
static struct rv_space *space_find(struct rv_hart *h, uint64_t satp)
{
    struct rv_space *oldest = &h->spaces[0];

    for (unsigned i = 0; i < RV_SPACES; i++) {
        if (h->spaces[i].satp == satp)
            return &h->spaces[i];
        if (h->spaces[i].used < oldest->used)
            oldest = &h->spaces[i];
    }
    return oldest;
}

/*
 * Without translation all values of satp are one space. An address space with number 0 begins
 * anew: software that does not use the numbers may have none of the fences that they need.
 */
void rv_space_select(struct rv_hart *h)
{
    uint64_t satp = SATP_MODE(h->satp) ? h->satp : 0;
    struct rv_space *space = space_find(h, satp);

    if (space->satp == SPACE_FREE)
        space_begin(space);
    if (space->satp != satp || (satp && SATP_ASID(satp) == 0))
        space_clear(space);
    space->satp = satp;
    space->used = ++h->space_clock;
    h->space = space;
}

void rv_context_update(struct rv_hart *h)
{
    unsigned priv = h->priv;

    if (priv == PRIV_M && (h->mstatus & RV_MPRV))
        priv = (unsigned)(h->mstatus & RV_MPP) >> RV_MPP_SHIFT;
    if (priv == PRIV_M)
        h->tlb = &h->tlb_m;
    else if (priv == PRIV_U)
        h->tlb = &h->space->tlb[RV_CTX_U];
    else
        h->tlb = &h->space->tlb[h->mstatus & RV_SUM ? RV_CTX_S_SUM : RV_CTX_S];
    h->fetch = h->priv == PRIV_M ? &h->fetch_m : &h->space->fetch[h->priv];
}

void rv_tlb_flush(struct rv_hart *h)
{
    tlb_clear(&h->tlb_m);
    fetch_clear(&h->fetch_m);
    rv_tlb_fence(h, RV_ANY, RV_ANY);
}

void rv_fetch_flush(struct rv_hart *h)
{
    h->fences++;
    fetch_clear(&h->fetch_m);
    for (unsigned i = 0; i < RV_SPACES; i++)
        for (unsigned f = 0; h->spaces[i].filled && f < RV_SPACE_FETCHES; f++)
            fetch_clear(&h->spaces[i].fetch[f]);
}

static void fetch_each(struct rv_hart *h, struct rv_fetch *fetch,
                       void (*visit)(struct rv_hart *, struct rv_fetch_entry *))
{
    struct rv_filled rest = fetch->filled;
    int i;

    while ((i = filled_take(&rest)) >= 0)
        if (fetch->entry[i].tag != RV_TLB_EMPTY)
            visit(h, &fetch->entry[i]);
}

void rv_fetch_each(struct rv_hart *h,
                   void (*visit)(struct rv_hart *h, struct rv_fetch_entry *entry))
{
    fetch_each(h, &h->fetch_m, visit);
    for (unsigned i = 0; i < RV_SPACES; i++)
        for (unsigned f = 0; h->spaces[i].filled && f < RV_SPACE_FETCHES; f++)
            fetch_each(h, &h->spaces[i].fetch[f], visit);
}

static void drop_if_within(uint64_t *tag, uint64_t first, uint64_t size)
{
    if (*tag - first < size)
        *tag = RV_TLB_EMPTY;
}

static void tlb_drop_range(struct rv_tlb *tlb, uint64_t first, uint64_t size)
{
    struct rv_filled rest = tlb->filled;
    int i;

    while ((i = filled_take(&rest)) >= 0) {
        drop_if_within(&tlb->load[i].tag, first, size);
        drop_if_within(&tlb->store[i].tag, first, size);
    }
    drop_if_within(&tlb->device[0].tag, first, size);
    drop_if_within(&tlb->device[1].tag, first, size);
}

static void fetch_drop_range(struct rv_fetch *fetch, uint64_t first, uint64_t size)
{
    struct rv_filled rest = fetch->filled;
    int i;

    while ((i = filled_take(&rest)) >= 0)
        drop_if_within(&fetch->entry[i].tag, first, size);
}

/* Drops every entry in the aligned range of `size` bytes around va. */
static void space_drop_range(struct rv_space *space, uint64_t va, uint64_t size)
{
    uint64_t first = va & ~(size - 1);

    for (unsigned i = 0; i < RV_SPACE_TLBS; i++)
        tlb_drop_range(&space->tlb[i], first, size);
    for (unsigned i = 0; i < RV_SPACE_FETCHES; i++)
        fetch_drop_range(&space->fetch[i], first, size);
}

static void space_drop_page(struct rv_space *space, uint64_t va)
{
    const struct rv_large *large = &space->large[va >> 63];
    unsigned at = (unsigned)(va >> 12) % RV_TLB_ENTRIES;

    steps_check(space, va);
    /* The leaf at va may have been a large one, whose pieces lie anywhere in its range. */
    if (va >= large->first && va <= large->last) {
        space_drop_range(space, va, large->size);
        return;
    }
    for (unsigned i = 0; i < RV_SPACE_TLBS; i++) {
        space->tlb[i].load[at].tag = RV_TLB_EMPTY;
        space->tlb[i].store[at].tag = RV_TLB_EMPTY;
        space->tlb[i].device[0].tag = space->tlb[i].device[1].tag = RV_TLB_EMPTY;
    }
    for (unsigned i = 0; i < RV_SPACE_FETCHES; i++)
        space->fetch[i].entry[at].tag = RV_TLB_EMPTY;
}

void rv_tlb_fence(struct rv_hart *h, uint64_t va, uint64_t asid)
{
    h->fences++;
    for (unsigned i = 0; i < RV_SPACES; i++) {
        struct rv_space *space = &h->spaces[i];

        if (!space->filled || space->satp == SPACE_FREE ||
            (asid != RV_ANY && SATP_ASID(space->satp) != (asid & 0xffff)))
            continue;
        if (va == RV_ANY)
            space_clear(space);
        else
            space_drop_page(space, va);
    }
}
