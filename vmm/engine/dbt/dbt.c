/* dbt.c: the translator's engine: chunks, ways between blocks, single instructions. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "vmm/engine/dbt/engine.h"
#include "vmm/engine/dbt/map.h"

/*
 * Steps between two looks at requests, interrupts and the clock: some 4 us, as the interpreter
 * has it. So many calls of the guest may stand on the host's stack, 16 bytes each (x64_jump.c).
 */
#define CHUNK_STEPS 8192

/*
 * So close to the end of the budget, the interpreter runs to the first jump no more, since that
 * may be a page of instructions away, but one step at a time.
 */
#define RUN_ON_SLACK (2 * PAGE_SLOTS)

/* Code for a hart: segments of 1 MiB, of which only what is used takes memory. */
#define SEGMENT_SIZE (1u << 20)
#define SEGMENTS     48

/*
 * Begins a chunk. In the last one of a budget, or before a counter overflows, blocks do not
 * run: they would run past it.
 */
static void chunk_begin(struct rv_hart *h)
{
    uint64_t rest = h->step_limit - h->steps;
    uint64_t slack = dbt_of(h)->block_steps - 1;
    uint64_t chunk;

    if (UNLIKELY(h->hpm.counting)) {
        uint64_t distance = rv_hpm_distance(h);

        rest = distance < rest ? distance : rest;
    }
    h->hpm.look = false;
    dbt_of(h)->end = h->steps + rest;
    chunk = rest > slack ? rest - slack : rest;
    h->chunk = h->left = chunk < CHUNK_STEPS ? (int64_t)chunk : CHUNK_STEPS;
}

static uint64_t steps_rest(const struct rv_hart *h)
{
    const struct interp *in = h->loop;
    const struct dbt *d = in->translator;

    return d->end - rv_steps(h);
}

/* Lets every place guess again. */
static void guesses_renew(struct rv_hart *h)
{
    dbt_of(h)->renewed = h->steps;
    for (unsigned i = 0; i < RV_GUESSES; i++)
        h->guess[i].left = GUESS_WRONG;
}

/* Counts the chunk and begins the next. */
static void chunk_turn(struct rv_hart *h)
{
    interp_count_steps(h, h->left);
    interp_chunk_due(h);
    if (h->steps - dbt_of(h)->renewed >= GUESS_STEPS)
        guesses_renew(h);
    chunk_begin(h);
}

/* Requests, interrupts, and counters that want the chunk to end elsewhere. False: leave. */
static NOINLINE bool attend_all(struct rv_hart *h)
{
    do {
        if (h->hpm.look) {
            h->hpm.look = false;
            if (h->left > 0)
                chunk_turn(h);
        }
        if (!interp_attend(h))
            return false;
    } while (h->hpm.look);
    return true;
}

/* The same, when there is most often nothing. */
static bool look(struct rv_hart *h)
{
    return LIKELY(dbt_quiet(h)) || attend_all(h);
}

/* The chunk is over at h->pc. False: leave. */
static bool chunk_next(struct rv_hart *h)
{
    if (rv_steps(h) >= h->step_limit) {
        interp_count_steps(h, h->left);
        interp_budget_exit(h);
        return false;
    }
    chunk_turn(h);
    return attend_all(h);
}

/* The code to go on with at h->pc after a step that ended a block; STEP_LEAVE: there is none.
 */
static uint64_t step_ahead(struct rv_hart *h)
{
    struct code_page *page;
    uint32_t code;

    if (h->left <= 0)
        return STEP_LEAVE;
    if (!look(h)) {
        dbt_of(h)->leaving = true;
        return STEP_LEAVE;
    }
    /* The look may have made the chunk so short that no block may run any more. */
    if (steps_rest(h) < dbt_of(h)->block_steps)
        return STEP_LEAVE;
    page = interp_fetch_hit(h);
    if (!page && !(dbt_of(h)->without & WITHOUT_SYSTEM))
        page = interp_fetch_again(h);
    code = page && h->left > 0 ? page->entry[(h->pc & ~RV_PAGE_MASK) / 2] : 0;
    if (!code)
        return STEP_LEAVE;
    h->page_va = h->pc & RV_PAGE_MASK;
    return code;
}

/*
 * Behind a step that dropped translations nothing that was known before it is so: a call, even
 * one among others or by a device, may be a fence of its own hart.
 */
uint64_t dbt_step(struct rv_hart *h, const struct rv_op *op, int64_t left)
{
    const struct rv_op *behind = op + op_length(op) / 2;
    size_t slot = (size_t)(op - page_of(op)->op);
    unsigned id = op->code >> 1;
    dbt_crossing *way = id < RV_INSNS ? dbt_crossings[id] : NULL;
    uint64_t fences = h->fences;

    h->pc = h->page_va + 2 * slot;
    h->left = left;
    if (LIKELY(way && !(dbt_of(h)->without & WITHOUT_SYSTEM))) {
        h->left = left - 1;
        switch (way(h, op)) {
        case CROSSED_ON: return LIKELY(h->fences == fences) ? STEP_ON : step_ahead(h);
        case CROSSED_AHEAD: return step_ahead(h);
        default: return STEP_LEAVE;
        }
    }
    dbt_of(h)->stepped++;
    if (!interp_step(h, op, false)) {
        dbt_of(h)->leaving = true;
        return STEP_LEAVE;
    }
    return interp_of(h)->behind == behind && h->fences == fences ? STEP_ON : step_ahead(h);
}

/* By the interpreter, from h->pc to the next jump or for one step. False: leave. */
static bool interpret(struct rv_hart *h, struct code_page *page, unsigned slot)
{
    bool on = steps_rest(h) > RUN_ON_SLACK;

    return interp_step(h, &page->op[slot], on) && (h->left <= 0 || look(h));
}

/* The code of a slot, translated when it has become hot; 0: there is none. */
static uint32_t code_of(struct dbt *d, struct code_page *page, unsigned slot)
{
    if (page->entry[slot])
        return page->entry[slot];
    if (page->heat[slot] < d->heat) {
        page->heat[slot]++;
        return 0;
    }
    return dbt_translate(d, page, slot);
}

/* The jump that left for want of code leads to the code from now on. */
static void link_jump(struct dbt *d, const struct rv_hart *h, uint32_t code)
{
    uint32_t stamp;

    if (h->link) {
        target_link(d, h->link, code);
        return;
    }
    stamp = h->fetch->entry[(h->pc >> 12) % RV_TLB_ENTRIES].stamp;
    if (stamp) {
        target_chain(d, h->chain, code, stamp);
        d->chained++;
    }
}

/*
 * Runs code until it leaves for good. A jump that had no code to go to is linked to it when it
 * has some now, which is so while neither the page nor its code were given up.
 */
static bool run_code(struct dbt *d, struct rv_hart *h, struct code_page *page, uint32_t code)
{
    uint64_t evictions;
    unsigned slot;

    for (;;) {
        d->leaving = false;
        d->entered++;
        target_enter(d, h, code);
        if ((!h->link && !h->chain) || h->left <= 0)
            return !d->leaving && (h->left <= 0 || look(h));
        page = interp_fetch_hit(h);
        if (!page)
            return true;
        evictions = d->evictions;
        slot = (unsigned)(h->pc & ~RV_PAGE_MASK) / 2;
        code = code_of(d, page, slot);
        if (!code)
            return interpret(h, page, slot);
        if (d->evictions == evictions)
            link_jump(d, h, code);
    }
}

/* Takes the trap of a fetch, which is a step. False: leave. */
static bool fetch_trap(struct rv_hart *h)
{
    h->left--;
    return interp_take_trap(h) && look(h);
}

/* From h->pc on, until the interpreter or translated code comes to an end of theirs. */
static bool advance(struct dbt *d, struct rv_hart *h)
{
    struct code_page *page = interp_fetch_hit(h);
    unsigned slot = (unsigned)(h->pc & ~RV_PAGE_MASK) / 2;
    uint32_t code = 0;

    if (!page) {
        page = interp_fetch_page(h);
        if (!page)
            return fetch_trap(h);
        if (h->hpm.look) /* the walk was counted: an interrupt may come first */
            return look(h);
    }
    if (steps_rest(h) >= d->block_steps)
        code = code_of(d, page, slot);
    return code ? run_code(d, h, page, code) : interpret(h, page, slot);
}

static int dbt_run(struct hart *hart)
{
    struct interp *in = hart->engine_state;
    struct rv_hart *h = &in->hart;

    if (h->steps >= h->step_limit) {
        interp_budget_exit(h);
        return 0;
    }
    if (!h->vm->det)
        rv_timer_update(h);
    chunk_begin(h);
    if (attend_all(h))
        while (h->left > 0 ? advance(in->translator, h) : chunk_next(h))
            ;
    if (h->chunk) /* 0: the budget ended it, already counted */
        interp_count_steps(h, h->left);
    return 0;
}

static int dbt_probe(char *why, size_t size)
{
    return target_probe(why, size);
}

static int dbt_hart_create(struct hart *hart)
{
    struct dbt *d = calloc(1, sizeof(*d));
    int rc = d ? cache_create(&d->cache, TARGET_STUBS, SEGMENT_SIZE, SEGMENTS) : -ENOMEM;

    if (rc == 0)
        rc = interp_hart_create(hart);
    if (rc != 0) {
        if (d)
            cache_destroy(&d->cache);
        free(d);
        return rc;
    }
    d->in = hart->engine_state;
    d->in->translator = d;
    d->heat = BLOCK_HEAT;
    d->block_steps = BLOCK_STEPS_MAX;
    guesses_renew(&d->in->hart);
    d->map = hart->vm->engine_state;
    target_stubs(d);
    if (d->map)
        map_stubs(d);
    return 0;
}

static void dbt_hart_destroy(struct hart *hart)
{
    struct interp *in = hart->engine_state;
    struct dbt *d;

    if (!in)
        return;
    d = in->translator;
    interp_hart_destroy(hart);
    cache_destroy(&d->cache);
    free(d);
}

const struct engine engine_dbt = {
    .name = "dbt",
    .summary = "translator to the host's machine code, for x86-64 hosts",
    .caps = ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE | ENGINE_MISALIGNED |
            ENGINE_WATCH | ENGINE_CODE_MAP,
    .probe = dbt_probe,
    .vm_create = map_open,
    .vm_destroy = map_close,
    .hart_create = dbt_hart_create,
    .hart_destroy = dbt_hart_destroy,
    .run = dbt_run,
    .kick = interp_kick,
    .hart_irq = interp_hart_irq,
    .irq_pending = interp_irq_pending,
    .set_timer = interp_set_timer,
    .timer_deadline = interp_timer_deadline,
    .steps = interp_steps,
    .set_step_limit = interp_set_step_limit,
    .set_mtimer = interp_set_mtimer,
    .fence = interp_fence,
    .state_get = interp_state_get,
    .state_set = interp_state_set,
    .read_virt = interp_read_virt,
    .call_route = interp_call_route,
    .isa_string = interp_isa_string,
    .isa_extensions = interp_isa_extensions,
    .mmu_type = interp_mmu_type,
    .counter_get = interp_counter_get,
    .counter_set = interp_counter_set,
    .feature_set = interp_feature_set,
    .pc = interp_pc,
    .cycles_add = interp_cycles_add,
    .programmable = HART_HPM_COUNTERS,
    .event_known = interp_event_known,
    .event_set = interp_event_set,
    .overflows = interp_overflows,
};
