/* dbt.h: the translator: what its parts share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_DBT_H
#define VMM_ENGINE_DBT_DBT_H

#include <stdio.h>
#include "vmm/engine/dbt/cache.h"
#include "vmm/engine/interp/interp.h"

/*
 * A block runs at most this many instructions before it looks at the steps left, so that a hart
 * with more of them than this may enter one.
 */
#ifndef BLOCK_STEPS_MAX /* tests build with less, and translate at once */
#define BLOCK_STEPS_MAX 64
#endif

/* Entered so often, an instruction is worth translating: before, the interpreter runs it. */
#ifndef BLOCK_HEAT
#define BLOCK_HEAT 8
#endif

/*
 * So often may a place of rv_hart.guess be wrong in so many steps. If all 256 are, that takes
 * some 5 % of the time: 20 cycles each.
 */
#define GUESS_WRONG 64
#define GUESS_STEPS (4u << 20)

/* struct dbt, without */
#define WITHOUT_RETURNS 0x1u  /* calls leave no way back for returns */
#define WITHOUT_GROUPS  0x2u  /* loads and stores off one register share no look */
#define WITHOUT_FUSION  0x4u  /* each instruction is lowered by itself */
#define WITHOUT_ALONE   0x8u  /* atomics are locked for a hart without others too */
#define WITHOUT_FLOATS  0x10u /* f registers are held in none of the host's */
/* privileged work by the interpreter alone, but bits of sstatus */
#define WITHOUT_SYSTEM  0x20u
#define WITHOUT_CHAINS  0x40u  /* jumps to other pages all go through the fetch table */
#define WITHOUT_GUESSES 0x80u  /* no load guesses the addend of its page */
#define WITHOUT_TIME    0x100u /* the clock is asked by a step */

/* Harts share decoded pages and code; 0: each has its own, for comparisons. */
#ifndef SHARED_CODE
#define SHARED_CODE 1
#endif

/*
 * What a hart has of its own beside its interpreter (interp.translating). `inside`: it may be
 * in code, or come back to it without a look, so what it has `seen` counts: the value of
 * code_pool.retired at which it last renewed its pages.
 */
struct __attribute__((aligned(64))) dbt_hart {
    uint64_t renewed; /* the steps at which all places could guess again */
    uint64_t end;     /* the steps at which the budget ends, or a counter overflows */
    bool leaving;     /* set by a step in the middle of a block: run returns */
    bool running;
    _Atomic bool inside;
    _Atomic uint64_t seen;
    uint64_t entered, stepped; /* counts, for tests and profiles */
};

/*
 * The translator of all harts that share code (interp.translator). Code is found by the decoded
 * page it was made from: code_page.entry holds, for each halfword, the offset of its code in
 * the cache; 0 is the stub that leaves. Translating and linking are by the pool's lock.
 */
struct dbt {
    struct cache cache;
    struct code_pool *pool;
    const struct vm *vm;
    /* The value of code_pool.retired at which a segment was given up: it is filled anew when
     * all harts have seen that. */
    uint64_t given_up[CACHE_SEGMENTS_MAX];
    bool full; /* the next segment is waited for */
    /* BLOCK_HEAT and BLOCK_STEPS_MAX, for tests to make smaller. */
    unsigned heat, block_steps;
    unsigned without; /* shortcuts that are left out, for tests: WITHOUT_* */
    unsigned guesses; /* the last of rv_hart.guess that code was given */
    unsigned nharts;
    struct dbt_hart *hart; /* so many */
    /* Of the target: offsets of its stubs in the cache. */
    uint32_t stub_enter; /* void f(struct rv_hart *, const uint8_t *code) */
    uint32_t stub_leave; /* keeps rax as h->pc, goes back to who entered */
    uint32_t stub_step;  /* one instruction by the interpreter */
    uint32_t stub_keep;  /* the same, and what f registers are held in comes back */
    uint32_t stub_empty; /* where a return goes for which no call left a way back */
    uint32_t stub_find;  /* to the code of the address in rax */
    uint32_t stub_even;  /* leaves, bit 0 of the address cleared */
    uint32_t stub_fp;    /* gives the guest the host's FPU, if it may have it */
    uint32_t stub_set;   /* sets bits of sstatus; the other clears them */
    uint32_t stub_clear;
    uint32_t stub_write;
    uint32_t stub_time;  /* rax = the clock's ticks */
    uint32_t stub_ecall; /* x64_system.c */
    uint32_t stub_ebreak, stub_sret;
    const uint8_t *flags; /* of the target: a table among its stubs */
    /* Counts, for tests and profiles. */
    uint64_t translations, evictions, chained;
    FILE *map;       /* of map.h, or NULL */
    uint64_t map_va; /* the address at which the page at work is entered */
};

static inline struct dbt *dbt_of(struct rv_hart *h)
{
    return interp_of(h)->translator;
}

static inline struct dbt_hart *dbt_hart_of(struct rv_hart *h)
{
    return interp_of(h)->translating;
}

/* The offset of a slot's code; 0: there is none. Who sees it sees the code. */
static inline uint32_t dbt_entry(const struct code_page *page, unsigned slot)
{
    return atomic_load_explicit(&page->entry[slot], memory_order_acquire);
}

static inline void dbt_entry_set(struct code_page *page, unsigned slot, uint32_t code)
{
    atomic_store_explicit(&page->entry[slot], code, memory_order_release);
}

/* --- crossing.c --- */

/*
 * One instruction, at h->pc with its step taken off h->left, without the interpreter; NULL:
 * there is no such way. CROSSED_ON: on behind it, at h->pc, where nothing waits to be looked
 * at. CROSSED_AHEAD: on at h->pc, after a look at requests and interrupts. CROSSED_LEAVE: run
 * returns, as dbt_hart.leaving says.
 */
enum crossed { CROSSED_ON, CROSSED_AHEAD, CROSSED_LEAVE };
typedef enum crossed dbt_crossing(struct rv_hart *h, const struct rv_op *op);
extern dbt_crossing *const dbt_crossings[RV_INSNS];

/* Is there nothing to look at before the next instruction? */
static inline bool dbt_quiet(const struct rv_hart *h)
{
    return LIKELY(atomic_load_explicit(&h->hart->requests, memory_order_relaxed) == 0 &&
                  !(rv_mip(h) & h->mie) && !h->hpm.look);
}

/* The `time` CSR; h->left is exact. */
uint64_t dbt_time(const struct rv_hart *h);

/* --- block.c --- */

/*
 * Translates from a slot of the page at h->pc on, until the block ends, unless another hart has
 * done so. The offset of its code; 0: there can be none (the page is guarded, or retired, the
 * instruction has to be fetched on its own, or no segment can be had). May give up a segment
 * of the cache, and with it this page.
 */
uint32_t dbt_translate(struct dbt *d, const struct rv_hart *h, struct code_page *page,
                       unsigned slot);

/* Gives up all code; no hart runs. */
void dbt_forget(struct dbt *d);

/* --- the target, x64_*.c --- */

/* Can this host run what the target emits? 0, or -errno with the reason. */
int target_probe(char *why, size_t size);

/* Writes the stubs to the start of the cache, at most TARGET_STUBS bytes. */
#define TARGET_STUBS 8192u
void target_stubs(struct dbt *d);

/*
 * Runs translated code on the hart's registers, from the slot of h->pc, until it leaves with
 * h->pc and h->left exact. h->link is then NULL, or where a jump within the page waits to be
 * linked to the code of h->pc; h->chain the same for a jump to another page.
 */
void target_enter(struct dbt *d, struct rv_hart *h, uint32_t code);

/* Makes the jump at `site` lead to the code at the offset. As the next, under the lock, while
 * harts may be running it. */
void target_link(struct dbt *d, const uint8_t *site, uint32_t code);

/* Makes the jump to another page whose record that is lead to the code at the offset, while the
 * fetch table has a page with that stamp where it goes. */
void target_chain(struct dbt *d, const uint8_t *record, uint32_t code, uint32_t stamp);

/*
 * One instruction by the interpreter, called by translated code, which then goes on: behind it
 * (STEP_ON; h->pc and h->left are exact, for who cannot go on there), at the code with the
 * offset returned, or back to who entered (STEP_LEAVE).
 */
#define STEP_ON    0u
#define STEP_LEAVE 1u
uint64_t dbt_step(struct rv_hart *h, const struct rv_op *op, int64_t left);

/*
 * A block under construction. The walk over the page sets slot, length and steps before each
 * instruction.
 */
struct target_block;

/* Begins one in the room given. */
struct target_block *target_block_begin(struct dbt *d, struct code_page *page, unsigned slot,
                                        uint8_t *room, uint64_t size);

enum lowered {
    LOWERED,      /* and the block goes on */
    LOWERED_END,  /* the instruction ends the block; its jumps are emitted */
    LOWERED_BACK, /* a call: the block goes on where it returns to, with no steps taken */
};

/* Emits one instruction, the steps-th of the block, or since the last call of it. */
enum lowered target_lower(struct target_block *b, const struct rv_op *op, unsigned slot,
                          unsigned steps);

/* Emits the end of a block that runs on into `slot` (PAGE_SLOTS: the next page). */
void target_fall(struct target_block *b, unsigned slot, unsigned steps);

/* Ends it: the size of its code; 0: it did not fit. */
uint64_t target_block_end(struct target_block *b);

#endif
