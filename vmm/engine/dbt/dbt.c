/* dbt.c: the translator's engine: chunks, ways between blocks, single instructions. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Code: segments of 1 MiB, of which only what is used takes memory. */
#ifndef SEGMENTS /* tests build with less */
#define SEGMENT_SIZE (1u << 20)
#define SEGMENTS     48
#endif

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
    dbt_hart_of(h)->end = h->steps + rest;
    chunk = rest > slack ? rest - slack : rest;
    h->chunk = h->left = chunk < CHUNK_STEPS ? (int64_t)chunk : CHUNK_STEPS;
}

static uint64_t steps_rest(const struct rv_hart *h)
{
    const struct interp *in = h->loop;
    const struct dbt_hart *t = in->translating;

    return t->end - rv_steps(h);
}

/* Lets every place guess again. */
static void guesses_renew(struct rv_hart *h)
{
    dbt_hart_of(h)->renewed = h->steps;
    for (unsigned i = 0; i < RV_GUESSES; i++)
        h->guess[i].left = GUESS_WRONG;
}

/* Counts the chunk and begins the next. */
static void chunk_turn(struct rv_hart *h)
{
    interp_count_steps(h, h->left);
    interp_chunk_due(h);
    if (h->steps - dbt_hart_of(h)->renewed >= GUESS_STEPS)
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

/*
 * Pages were retired that the hart may have: it is to renew them where no code is in use, and
 * to come there soon, as nobody fills a segment anew before.
 */
static bool is_late(struct rv_hart *h)
{
    return UNLIKELY(atomic_load(&interp_of(h)->pool->retired) != dbt_hart_of(h)->seen);
}

static NOINLINE void catch_up(struct rv_hart *h)
{
    uint64_t retired = atomic_load(&interp_of(h)->pool->retired);

    code_renew(h);
    atomic_store_explicit(&dbt_hart_of(h)->seen, retired, memory_order_release);
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
        dbt_hart_of(h)->leaving = true;
        return STEP_LEAVE;
    }
    /* The look may have made the chunk so short that no block may run any more. */
    if (steps_rest(h) < dbt_of(h)->block_steps || is_late(h))
        return STEP_LEAVE;
    page = interp_fetch_hit(h);
    if (!page && !(dbt_of(h)->without & WITHOUT_SYSTEM))
        page = interp_fetch_again(h);
    code = page && h->left > 0 ? dbt_entry(page, (h->pc & ~RV_PAGE_MASK) / 2) : 0;
    if (!code)
        return STEP_LEAVE;
    h->page_va = h->pc & RV_PAGE_MASK;
    return code;
}

/*
 * Nobody waits for a hart that sleeps to come out: by wfi, translated or not, or in a call. If
 * code was given up meanwhile, that counts as a fence, behind which no block goes on.
 */
static void dbt_asleep(struct hart *hart, bool asleep)
{
    struct rv_hart *h = &((struct interp *)hart->engine_state)->hart;
    struct dbt_hart *t = dbt_hart_of(h);

    atomic_store(&t->inside, t->running && !asleep);
    if (!asleep && is_late(h))
        h->fences++;
}

/*
 * Behind a step that dropped translations nothing that was known before it is so: a call, even
 * one among others or by a device, may be a fence of its own hart, and so may a wait
 * (dbt_asleep).
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
    dbt_hart_of(h)->stepped++;
    if (!interp_step(h, op, false)) {
        dbt_hart_of(h)->leaving = true;
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

/* The code of h->pc, translated when it has become hot; 0: there is none. */
static uint32_t code_of(struct dbt *d, const struct rv_hart *h, struct code_page *page,
                        unsigned slot)
{
    uint32_t code = dbt_entry(page, slot);
    unsigned heat;

    if (code)
        return code;
    /* One entry more or less does not matter where harts count at once. */
    heat = atomic_load_explicit(&page->heat[slot], memory_order_relaxed);
    if (heat < d->heat) {
        atomic_store_explicit(&page->heat[slot], (uint8_t)(heat + 1), memory_order_relaxed);
        return 0;
    }
    return dbt_translate(d, h, page, slot);
}

/*
 * The jump that left for want of code leads to the code from now on. Either's page may have
 * been retired meanwhile; then this is in vain, but their segments still stand.
 */
static void link_jump(struct dbt *d, const struct rv_hart *h, uint32_t code)
{
    uint32_t stamp = h->fetch->entry[(h->pc >> 12) % RV_TLB_ENTRIES].stamp;

    pthread_mutex_lock(&d->pool->lock);
    if (h->link) {
        target_link(d, h->link, code);
    } else if (stamp) {
        target_chain(d, h->chain, code, stamp);
        d->chained++;
    }
    pthread_mutex_unlock(&d->pool->lock);
}

/*
 * Runs code until it leaves for good. A jump that had no code to go to is linked to it when it
 * has some now.
 */
static bool run_code(struct dbt *d, struct rv_hart *h, struct code_page *page, uint32_t code)
{
    struct dbt_hart *t = dbt_hart_of(h);
    unsigned slot;

    for (;;) {
        t->leaving = false;
        t->entered++;
        target_enter(d, h, code);
        if ((!h->link && !h->chain) || h->left <= 0)
            return !t->leaving && (h->left <= 0 || look(h));
        page = is_late(h) ? NULL : interp_fetch_hit(h);
        if (!page)
            return true;
        slot = (unsigned)(h->pc & ~RV_PAGE_MASK) / 2;
        code = code_of(d, h, page, slot);
        if (!code)
            return interpret(h, page, slot);
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
    unsigned slot = (unsigned)(h->pc & ~RV_PAGE_MASK) / 2;
    struct code_page *page;
    uint32_t code = 0;

    if (is_late(h))
        catch_up(h);
    page = interp_fetch_hit(h);
    if (!page) {
        page = interp_fetch_page(h);
        if (!page)
            return fetch_trap(h);
        if (h->hpm.look) /* the walk was counted: an interrupt may come first */
            return look(h);
    }
    if (steps_rest(h) >= d->block_steps)
        code = code_of(d, h, page, slot);
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
    dbt_hart_of(h)->running = true;
    atomic_store(&dbt_hart_of(h)->inside, true);
    chunk_begin(h);
    if (attend_all(h))
        while (h->left > 0 ? advance(in->translator, h) : chunk_next(h))
            ;
    atomic_store(&dbt_hart_of(h)->inside, false);
    dbt_hart_of(h)->running = false;
    if (h->chunk) /* 0: the budget ended it, already counted */
        interp_count_steps(h, h->left);
    return 0;
}

/* Processors lack instructions; hosts forbid code that is made at run time, or limit memory. */
static int dbt_probe(char *why, size_t size)
{
    int rc = target_probe(why, size);
    struct cache cache;

    if (rc != 0)
        return rc;
    rc = cache_create(&cache, TARGET_STUBS, SEGMENT_SIZE, SEGMENTS);
    if (rc == 0)
        cache_destroy(&cache);
    else
        snprintf(why, size, "no memory for code can be had from this host: %s", strerror(-rc));
    return rc;
}

/* of[i] is hart i's translator: all are one, or, without SHARED_CODE, each is another. */
struct dbt_vm {
    FILE *map;
    struct dbt *of[];
};

static void dbt_destroy(struct dbt *d)
{
    if (!d)
        return;
    cache_destroy(&d->cache);
    code_pool_destroy(d->pool);
    free(d->hart);
    free(d);
}

/* NULL: no memory. */
static struct dbt *dbt_create(const struct vm *vm, unsigned nharts, FILE *map)
{
    struct dbt *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->vm = vm;
    d->nharts = nharts;
    d->heat = BLOCK_HEAT;
    d->block_steps = BLOCK_STEPS_MAX;
    d->map = map;
    d->pool = code_pool_create();
    d->hart = aligned_alloc(_Alignof(struct dbt_hart), nharts * sizeof(*d->hart));
    if (!d->pool || !d->hart ||
        cache_create(&d->cache, TARGET_STUBS, SEGMENT_SIZE, SEGMENTS) != 0) {
        dbt_destroy(d);
        return NULL;
    }
    memset(d->hart, 0, nharts * sizeof(*d->hart));
    target_stubs(d);
    if (d->map)
        map_stubs(d);
    return d;
}

static void dbt_vm_destroy(struct vm *vm)
{
    struct dbt_vm *v = vm->engine_state;

    for (unsigned i = 0; i < vm->config->nharts; i++)
        if (i == 0 || v->of[i] != v->of[0])
            dbt_destroy(v->of[i]);
    map_close(v->map);
    free(v);
    vm->engine_state = NULL;
}

static int dbt_vm_create(struct vm *vm, struct error *err)
{
    unsigned nharts = vm->config->nharts;
    struct dbt_vm *v = calloc(1, sizeof(*v) + nharts * sizeof(struct dbt *));
    int rc;

    vm->engine_state = v;
    if (!v)
        return error_set(err, STATUS_OS, "no memory for the translator");
    rc = map_open(vm, &v->map, err);
    for (unsigned i = 0; i < nharts && rc == 0; i++) {
        v->of[i] =
            i > 0 && SHARED_CODE ? v->of[0] : dbt_create(vm, SHARED_CODE ? nharts : 1, v->map);
        if (!v->of[i])
            rc = error_set(err, STATUS_OS, "no memory for translated code");
    }
    if (rc != 0)
        dbt_vm_destroy(vm);
    return rc;
}

static int dbt_hart_create(struct hart *hart)
{
    struct dbt_vm *v = hart->vm->engine_state;
    struct dbt *d = v->of[hart->index];
    int rc = interp_hart_make(hart, d->pool);
    struct interp *in = hart->engine_state;

    if (rc != 0)
        return rc;
    in->translator = d;
    in->translating = &d->hart[SHARED_CODE ? hart->index : 0];
    guesses_renew(&in->hart);
    return 0;
}

const struct engine engine_dbt = {
    .name = "dbt",
    .summary = "translator to the host's machine code, for x86-64 hosts",
    .caps = ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE | ENGINE_MISALIGNED |
            ENGINE_WATCH | ENGINE_CODE_MAP,
    .probe = dbt_probe,
    .vm_create = dbt_vm_create,
    .vm_destroy = dbt_vm_destroy,
    .hart_create = dbt_hart_create,
    .hart_destroy = interp_hart_destroy,
    .run = dbt_run,
    .kick = interp_kick,
    .asleep = dbt_asleep,
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
