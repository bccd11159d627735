/* interp.c: the interpreter's engine: ways between ops, chunks, traps, run. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/engine/interp/engine.h"

/*
 * Steps between two looks at requests, interrupts and the clock. About 4 us: short beside what
 * an interrupt costs a guest, long enough that the look (30 ns, most of it the clock) does not
 * count.
 */
#define CHUNK_STEPS 2048

/*
 * How often decoded pages are compared with memory though no fence.i asked: stores reach
 * fetches in the end (Ziccid). Some 40 ms; a busy kernel then compares 500 pages of 4 KiB in
 * 0.1 ms.
 */
#define REFRESH_STEPS (1u << 24)

/* A chunk ends at the first taken jump after it is used up; a page without one bounds the rest.
 */
#define CHUNK_SLACK (2 * PAGE_SLOTS)

/* --- tables --- */

#define INSN(name, format, mask, match) op_fn op_##name##_4, op_##name##_2;
#include "vmm/engine/riscv/insn.def"
#undef INSN
#define INTERNAL_OP(name) op_fn op_##name##_4, op_##name##_2;
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
op_fn op_ILLEGAL_4, op_ILLEGAL_2;
static op_fn op_exact, op_behind;

static const struct op_table table_usual = {
    .fn =
        {
#define ROW(id, name) [OP_CODE(id, 4)] = op_##name##_4, [OP_CODE(id, 2)] = op_##name##_2,
            ROW(RV_INSN_ILLEGAL, ILLEGAL)
#define INSN(name, format, mask, match) ROW(RV_INSN_##name, name)
#include "vmm/engine/riscv/insn.def"
#undef INSN
#define INTERNAL_OP(name) ROW(OP_##name, name)
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
#undef ROW
        },
};

static const struct op_table table_exact = {
    .fn =
        {
#define ROW(id) [OP_CODE(id, 4)] = op_exact, [OP_CODE(id, 2)] = op_exact,
            ROW(RV_INSN_ILLEGAL)
#define INSN(name, format, mask, match) ROW(RV_INSN_##name)
#include "vmm/engine/riscv/insn.def"
#undef INSN
#define INTERNAL_OP(name) ROW(OP_##name)
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
#undef ROW
        },
};

static const struct op_table table_behind = {
    .fn =
        {
#define ROW(id) [OP_CODE(id, 4)] = op_behind, [OP_CODE(id, 2)] = op_behind,
            ROW(RV_INSN_ILLEGAL)
#define INSN(name, format, mask, match) ROW(RV_INSN_##name)
#include "vmm/engine/riscv/insn.def"
#undef INSN
#define INTERNAL_OP(name) ROW(OP_##name)
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
#undef ROW
        },
};

/* Steps left while the one op of a single step runs, and all that stand for it. */
#define LEFT_OF_STEP (-1)

/* The op behind a single step: its own step is given back. */
static void op_behind(OP_PARAMS)
{
    struct interp *in = interp_of(h);

    if (left == LEFT_OF_STEP) { /* not behind it: what it was decoded to */
        table_usual.fn[op->code](OP_ARGS);
        return;
    }
    h->pc = op_pc(op, pcd);
    h->left = left + 1;
    in->behind = op;
    in->stopped = true;
}

/* Before each op of an exact chunk: stop when no step is left for it. */
static void op_exact(OP_PARAMS)
{
    if (left < 0) {
        left++;
        interp_pause(OP_ARGS);
        return;
    }
    table_usual.fn[op->code](OP_ARGS);
}

/* --- counting --- */

void interp_count_steps(struct rv_hart *h, int64_t left)
{
    h->steps += (uint64_t)(h->chunk - left);
    h->chunk = 0;
    h->left = 0;
    h->hart->steps = h->steps;
    h->hart->instret = h->steps - h->unretired;
    if (UNLIKELY(h->hpm.counting))
        rv_hpm_sync(h);
}

/* Begins a chunk; returns the table it runs under. It ends where a counter overflows. */
static const struct op_table *chunk_begin(struct rv_hart *h)
{
    uint64_t rest = h->step_limit - h->steps;

    if (UNLIKELY(h->hpm.counting)) {
        uint64_t distance = rv_hpm_distance(h);

        rest = distance < rest ? distance : rest;
    }
    h->hpm.look = false;
    bool exact = interp_of(h)->exact || rest <= CHUNK_SLACK;
    uint64_t chunk = exact ? rest : rest - CHUNK_SLACK;

    h->chunk = h->left = chunk < CHUNK_STEPS ? (int64_t)chunk : CHUNK_STEPS;
    return exact ? &table_exact : &table_usual;
}

/* --- exits --- */

enum gate interp_exit(struct rv_hart *h, const struct rv_op *op, int64_t left, uintptr_t pcd,
                      struct vm_exit *exit)
{
    h->pc = op_pc(op, pcd);
    h->left = left;
    return vm_gate(h->hart, exit);
}

static NOINLINE void fault_exit(struct rv_hart *h, uint64_t pc, uint64_t cause, uint64_t tval,
                                const char *why)
{
    struct vm_exit exit = {.kind = EXIT_FAULT};

    exit.fault.pc = pc;
    exit.fault.cause = cause;
    exit.fault.tval = tval;
    exit.fault.why = why;
    vm_gate(h->hart, &exit);
}

NOINLINE void interp_budget_exit(struct rv_hart *h)
{
    struct vm_exit exit = {.kind = EXIT_BUDGET};

    vm_gate(h->hart, &exit);
}

/*
 * Enters the guest's trap handler; h->pc is the instruction's. False: there is none that could
 * help, the fault was reported, leave.
 */
bool interp_take_trap(struct rv_hart *h)
{
    const struct interp *in = interp_of(h);

    if (in->program) {
        fault_exit(h, h->pc, (uint64_t)h->trap_cause, h->trap_tval,
                   "a program has no trap handler");
        return false;
    }
    /*
     * A kernel whose handler cannot be fetched, from an address where there is no memory and
     * never will be: each trap leads to the next for ever. The first one, in scause, is what
     * the user wants to know.
     */
    if (in->kernel && h->trap_cause == RV_FETCH_ACCESS && h->priv == PRIV_S &&
        h->pc == (h->stvec & ~3ull)) {
        fault_exit(h, h->sepc, h->scause, h->stval,
                   "its trap handler (stvec) is not in memory");
        return false;
    }
    rv_trap(h, (uint64_t)h->trap_cause, h->trap_tval, h->pc);
    return true;
}

/* Requests and interrupts at h->pc. False: leave. */
NOINLINE bool interp_attend(struct rv_hart *h)
{
    uint32_t requests = atomic_load(&h->hart->requests);
    int irq;

    if (requests & HART_REQ_FENCES)
        hart_take_fences(h->hart);
    if (requests & HART_REQ_WAKE)
        atomic_fetch_and(&h->hart->requests, ~HART_REQ_WAKE);
    if (requests & (HART_REQ_STOP | HART_REQ_RESTART | HART_REQ_TICK))
        return false;
    /* Taking one is a step: with none left it waits for the next chunk, or behind the budget.
     */
    irq = h->left > 0 ? rv_interrupt(h) : -1;
    if (UNLIKELY(irq >= 0)) {
        h->left--;
        rv_trap(h, RV_CAUSE_INTERRUPT | (unsigned)irq, 0, h->pc);
    }
    return true;
}

/* --- ways on --- */

/* What is due where a chunk ends, whatever comes next. */
void interp_chunk_due(struct rv_hart *h)
{
    if (UNLIKELY(h->steps >= interp_of(h)->refresh_steps)) {
        interp_of(h)->refresh_steps = (h->steps / REFRESH_STEPS + 1) * REFRESH_STEPS;
        interp_fence_i(h);
    }
    /* Where a chunk ends is this engine's affair: a deterministic guest sees time at turns
     * only. */
    if (!h->vm->det)
        rv_timer_update(h);
}

/* Counts the chunk and begins the next, with steps left for it. */
static NOINLINE const struct op_table *chunk_turn(struct rv_hart *h, int64_t left)
{
    interp_count_steps(h, left);
    interp_chunk_due(h);
    return chunk_begin(h);
}

/*
 * Requests and interrupts at h->pc, and the chunk made shorter where a counter asks for it:
 * when it overflowed just now, or will before the chunk's end. NULL: leave.
 */
static NOINLINE const struct op_table *attend_all(struct rv_hart *h, const struct op_table *tab)
{
    if (interp_of(h)->stepping) /* chunks are the translator's */
        return interp_attend(h) ? tab : NULL;
    do {
        if (UNLIKELY(h->hpm.look)) {
            h->hpm.look = false;
            if (h->left > 0)
                tab = chunk_turn(h, h->left);
        }
        if (!interp_attend(h))
            return NULL;
    } while (UNLIKELY(h->hpm.look));
    return tab;
}

/* The chunk is over at h->pc. NULL: leave. */
static NOINLINE const struct op_table *chunk_next(struct rv_hart *h, int64_t left)
{
    if (h->steps + (uint64_t)(h->chunk - left) >= h->step_limit) {
        interp_count_steps(h, left);
        interp_budget_exit(h);
        return NULL;
    }
    const struct op_table *tab = chunk_turn(h, left);
    return attend_all(h, tab);
}

void interp_pause(OP_PARAMS)
{
    h->pc = op_pc(op, pcd);
    interp_goto(OP_ARGS); /* which finds nothing left */
}

void interp_resume(OP_PARAMS)
{
    h->left = left;
    tab = attend_all(h, tab);
    if (!tab)
        return;
    left = h->left;
    interp_goto(OP_ARGS);
}

static void fetch_enter(struct rv_hart *h, const struct code_slot *slot)
{
    struct rv_fetch_entry *e = &h->fetch->entry[(h->pc >> 12) % RV_TLB_ENTRIES];

    rv_tlb_fill(h, &h->fetch->filled, h->pc);
    e->tag = h->pc & RV_PAGE_MASK;
    e->page = slot->page;
    e->stamp = slot->stamp;
}

/* The decoded page of h->pc, entered into the fetch table when it may be; NULL after a trap. */
NOINLINE struct code_page *interp_fetch_page(struct rv_hart *h)
{
    struct rv_place place;
    const struct code_slot *slot;

    if (rv_translate(h, h->pc, 2, RV_FETCH, &place) != RV_NO_TRAP)
        return NULL;
    slot = code_page_get(h, place.gpa & RV_PAGE_MASK, !rv_pmp_uniform(h, place.gpa));
    if (!slot) {
        h->trap_cause = RV_FETCH_ACCESS;
        h->trap_tval = h->pc;
        return NULL;
    }
    fetch_enter(h, slot);
    return slot->page;
}

struct code_page *interp_fetch_again(struct rv_hart *h)
{
    struct rv_place place;
    const struct code_slot *slot;

    if (h->hpm.occurring || rv_translate(h, h->pc, 2, RV_FETCH, &place) != RV_NO_TRAP ||
        !rv_pmp_uniform(h, place.gpa))
        return NULL;
    slot = code_page_known(h, place.gpa & RV_PAGE_MASK);
    if (!slot)
        return NULL;
    fetch_enter(h, slot);
    return slot->page;
}

/* A loop and not a recursion: the guest decides how often its trap handler cannot be fetched.
 */
void interp_goto(OP_PARAMS)
{
    struct code_page *page;

    for (;;) {
        if (UNLIKELY(left <= 0)) {
            if (interp_of(h)->stepping) {
                h->left = left;
                interp_of(h)->stopped = true;
                return;
            }
            tab = chunk_next(h, left);
            if (!tab)
                return;
            left = h->left;
            continue;
        }
        page = interp_fetch_hit(h);
        if (LIKELY(page))
            break;
        page = interp_fetch_page(h);
        if (!page) {
            h->left = --left;
            if (!interp_take_trap(h))
                return;
        }
        if (LIKELY(!h->hpm.look)) {
            if (LIKELY(page))
                break;
            continue;
        }
        h->left = left; /* the walk, or the trap, was counted */
        tab = attend_all(h, tab);
        if (!tab)
            return;
        left = h->left;
    }
    op = &page->op[(h->pc & ~RV_PAGE_MASK) / 2];
    pcd = h->pc - ((uintptr_t)op >> 2);
    DISPATCH(op);
}

void interp_trap(OP_PARAMS)
{
    h->pc = op_pc(op, pcd);
    h->left = left;
    if (!interp_take_trap(h))
        return;
    if (UNLIKELY(h->hpm.look))
        interp_resume(OP_ARGS);
    else
        interp_goto(OP_ARGS);
}

void interp_illegal(OP_PARAMS)
{
    h->trap_cause = RV_ILLEGAL;
    h->trap_tval = interp_word(op);
    interp_trap(OP_ARGS);
}

/* --- single instructions --- */

/*
 * Fetches the instruction at h->pc halfword by halfword, each with its own permission check,
 * into the scratch page. False after a trap, which names the halfword that could not be
 * fetched.
 */
static NOINLINE bool fetch_single(struct rv_hart *h)
{
    struct interp *in = interp_of(h);
    struct code_page *scratch = in->single;
    uint16_t half[2] = {0, 0};
    unsigned length = 2;

    for (unsigned i = 0; i < length / 2; i++) {
        uint64_t va = h->pc + 2 * i;
        struct rv_place place;
        const struct code_slot *slot;

        if (rv_translate(h, va, 2, RV_FETCH, &place) != RV_NO_TRAP)
            return false;
        slot = code_page_get(h, place.gpa & RV_PAGE_MASK, !rv_pmp_uniform(h, place.gpa));
        if (!slot) {
            h->trap_cause = RV_FETCH_ACCESS;
            h->trap_tval = va;
            return false;
        }
        memcpy(&half[i], slot->page->bytes + (va & ~RV_PAGE_MASK), 2);
        if (i == 0)
            length = rv_insn_length(half[0]);
    }
    if (memcmp(scratch->bytes, half, sizeof(half)) != 0 || scratch->gpa == 0) {
        uint32_t word = length == 2 ? rv_expand(half[0]) : half[0] | (uint32_t)half[1] << 16;

        memcpy(scratch->bytes, half, sizeof(half));
        scratch->op[0] = code_op(word, length, MEM_PAGE_SIZE);
        scratch->gpa = 1; /* filled */
    }
    return true;
}

/*
 * An instruction that cannot be run from its own page: it crosses into the next one, or
 * physical memory protection divides the page. It runs from the scratch page, whose next slots
 * lead back.
 */
OP(single)
{
    h->pc = op_pc(op, pcd);
    h->left = left;
    if (!fetch_single(h)) {
        if (interp_take_trap(h))
            interp_resume(OP_ARGS);
        return;
    }
    if (UNLIKELY(h->hpm.look)) { /* a walk was counted: an interrupt may come first */
        left++;
        interp_resume(OP_ARGS);
        return;
    }
    op = interp_of(h)->single->op;
    pcd = h->pc - ((uintptr_t)op >> 2);
    DISPATCH_SAME(op);
}

void interp_fence_i(struct rv_hart *h)
{
    interp_of(h)->epoch++;
    rv_fetch_flush(h);
}

/* --- entering --- */

#ifdef INTERP_LOOP
/* Goes on with what the ops leave to do. */
static void loop(struct rv_hart *h)
{
    struct interp_next *next = &interp_of(h)->next;

    while (next->op) {
        struct interp_next now = *next;

        next->op = NULL;
        now.tab->fn[now.op->code](h, now.op, now.left, now.pcd, now.tab);
    }
}
#else
static void loop(struct rv_hart *h)
{
    (void)h;
}
#endif

/*
 * Steps are counted from zero down meanwhile: with none left, every way on that is not simply
 * the next op ends in interp_goto, which stops there. Interrupts wait for the translator's own
 * look.
 */
bool interp_step(struct rv_hart *h, const struct rv_op *op, bool on)
{
    const struct op_table *tab = on ? &table_usual : &table_behind;
    struct interp *in = interp_of(h);
    int64_t left = h->left;

    h->chunk -= left;
    in->stepping = true;
    in->stopped = false;
    in->behind = NULL;
    table_usual.fn[op->code](h, op, LEFT_OF_STEP, h->pc - ((uintptr_t)op >> 2), tab);
    loop(h);
    in->stepping = false;
    h->chunk += left;
    h->left += left;
    return in->stopped;
}

/* --- engine operations --- */

static int interp_probe(char *why, size_t size)
{
    (void)why;
    (void)size;
    return 0;
}

int interp_hart_make(struct hart *hart, struct code_pool *pool)
{
    const struct vm_config *config = hart->vm->config;
    struct interp *in = calloc(1, sizeof(*in));

    if (!in)
        return -ENOMEM;
    in->hart.loop = in;
    rv_tlb_init(&in->hart);
    in->hart.hart = hart;
    in->hart.vm = hart->vm;
    in->hart.step_limit = config->max_steps;
    in->hart.misaligned_traps = config->misaligned_traps;
    in->refresh_steps = REFRESH_STEPS;
    in->program = config->start == START_PROGRAM;
    in->kernel = config->start == START_KERNEL;
    in->crowded = !hart->vm->det && config->nharts > host_processors();
    in->single = code_page_new();
    in->own = !pool;
    in->pool = pool ? pool : code_pool_create();
    if (!in->single || !in->pool) {
        if (in->own)
            code_pool_destroy(in->pool);
        free(in->single);
        free(in);
        return -ENOMEM;
    }
    in->single->op[1] = in->single->op[2] = in->single->op[PAGE_SLOTS];
    in->single->gpa = 0;
    rv_reset(&in->hart, in->program ? PRIV_U : in->kernel ? PRIV_S : PRIV_M, 0);
    hart->engine_state = in;
    return 0;
}

static int interp_hart_create(struct hart *hart)
{
    return interp_hart_make(hart, NULL);
}

void interp_hart_destroy(struct hart *hart)
{
    struct interp *in = hart->engine_state;

    if (!in)
        return;
    code_drop(&in->hart);
    if (in->own)
        code_pool_destroy(in->pool);
    free(in->single);
    free(in);
    hart->engine_state = NULL;
}

static struct rv_hart *rv_of(struct hart *hart)
{
    return &((struct interp *)hart->engine_state)->hart;
}

static int interp_run(struct hart *hart)
{
    struct rv_hart *h = rv_of(hart);
    const struct op_table *tab;

    if (h->steps >= h->step_limit) {
        interp_budget_exit(h);
        return 0;
    }
    if (!h->vm->det)
        rv_timer_update(h);
    tab = chunk_begin(h);
    interp_resume(h, interp_of(h)->single->op, h->left, 0, tab);
    loop(h);
    if (h->chunk) /* 0: the budget ended it, already counted */
        interp_count_steps(h, h->left);
    return 0;
}

void interp_kick(struct hart *hart)
{
    (void)hart; /* the loop looks at hart->requests once a chunk */
}

void interp_hart_irq(struct hart *hart, unsigned irq, bool level)
{
    struct rv_hart *h = rv_of(hart);

    if (level)
        atomic_fetch_or(&h->mip, 1ull << irq);
    else
        atomic_fetch_and(&h->mip, ~(1ull << irq));
}

bool interp_irq_pending(struct hart *hart)
{
    struct rv_hart *h = rv_of(hart);

    rv_timer_update(h);
    return rv_mip(h) & h->mie;
}

void interp_set_timer(struct hart *hart, uint64_t ticks)
{
    struct rv_hart *h = rv_of(hart);

    rv_timer_set(h, ticks);
}

uint64_t interp_timer_deadline(struct hart *hart)
{
    return rv_timer_deadline(rv_of(hart));
}

void interp_set_mtimer(struct hart *hart, uint64_t ticks)
{
    rv_mtimer_set(rv_of(hart), ticks);
}

uint64_t interp_pc(struct hart *hart)
{
    return rv_of(hart)->pc;
}

uint64_t interp_steps(struct hart *hart)
{
    return rv_steps(rv_of(hart));
}

void interp_set_step_limit(struct hart *hart, uint64_t steps)
{
    rv_of(hart)->step_limit = steps;
}

/* Beyond this many pages one flush of everything is quicker. */
#define FENCE_PAGES_MAX 64

void interp_fence(struct hart *hart, const struct hart_fence *fence)
{
    struct rv_hart *h = rv_of(hart);
    uint64_t first = fence->start & RV_PAGE_MASK;
    uint64_t span = fence->size + (fence->start - first);
    uint64_t asid = fence->kind == FENCE_VMA_ASID ? fence->asid : RV_ANY;

    if (fence->kind == FENCE_I) {
        interp_fence_i(h);
        return;
    }
    if (fence->size > FENCE_PAGES_MAX * MEM_PAGE_SIZE) {
        rv_tlb_fence(h, RV_ANY, asid);
        return;
    }
    for (uint64_t at = 0; at < span; at += MEM_PAGE_SIZE)
        rv_tlb_fence(h, first + at, asid);
}

int interp_state_get(struct hart *hart, struct hart_state *state)
{
    rv_state_get(rv_of(hart), state);
    return 0;
}

int interp_state_set(struct hart *hart, const struct hart_state *state)
{
    if (!rv_state_valid(state))
        return -EINVAL;
    rv_state_set(rv_of(hart), state);
    return 0;
}

int interp_read_virt(struct hart *hart, uint64_t va, void *buf, size_t len)
{
    struct rv_hart *h = rv_of(hart);
    uint8_t *out = buf;

    for (size_t i = 0; i < len; i++) {
        struct rv_place place;
        int cause = rv_translate(h, va + i, 1, RV_LOAD, &place);

        if (cause != RV_NO_TRAP)
            return cause;
        if (!place.host)
            return RV_LOAD_ACCESS;
        out[i] = *place.host;
    }
    return 0;
}

uint64_t interp_counter_get(struct hart *hart, unsigned counter)
{
    return rv_counter_get(rv_of(hart), counter);
}

void interp_counter_set(struct hart *hart, unsigned counter, uint64_t value, bool counts)
{
    rv_counter_set(rv_of(hart), counter, value, counts);
}

void interp_cycles_add(struct hart *hart, uint64_t cycles)
{
    rv_cycles_add(rv_of(hart), cycles);
}

bool interp_event_known(uint64_t selector)
{
    return rv_hpm_known(selector);
}

void interp_event_set(struct hart *hart, unsigned counter, uint64_t selector, unsigned filters)
{
    rv_hpm_select(rv_of(hart), counter, selector, filters);
}

uint64_t interp_overflows(struct hart *hart)
{
    return rv_hpm_overflows(rv_of(hart));
}

int interp_feature_set(struct hart *hart, unsigned feature, uint64_t value)
{
    return rv_feature_set(rv_of(hart), feature, value);
}

enum call_route interp_call_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

const char *interp_isa_string(struct vm *vm)
{
    (void)vm;
    return rv_isa_string;
}

const char *const *interp_isa_extensions(struct vm *vm)
{
    (void)vm;
    return rv_isa_extensions;
}

const char *interp_mmu_type(struct vm *vm)
{
    (void)vm;
    return "riscv,sv57";
}

const struct engine engine_interp = {
    .name = "interp",
    .summary = "predecoded threaded interpreter, the oracle; runs everywhere",
    .caps =
        ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE | ENGINE_MISALIGNED | ENGINE_WATCH,
    .probe = interp_probe,
    .hart_create = interp_hart_create,
    .hart_destroy = interp_hart_destroy,
    .run = interp_run,
    .kick = interp_kick,
    .hart_irq = interp_hart_irq,
    .irq_pending = interp_irq_pending,
    .set_timer = interp_set_timer,
    .timer_deadline = interp_timer_deadline,
    .pc = interp_pc,
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
    .cycles_add = interp_cycles_add,
    .programmable = HART_HPM_COUNTERS,
    .event_known = interp_event_known,
    .event_set = interp_event_set,
    .overflows = interp_overflows,
    .feature_set = interp_feature_set,
};
