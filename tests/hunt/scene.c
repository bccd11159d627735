/* scene.c: what a random program of the hunt runs in: memory, page tables, handlers, episodes.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hunt/scene.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/hunt/snippet.h"
#include "tests/hunt/tables.h"
#include "vmm/engine/interp/interp.h"
#include "vmm/host.h"

#define BASE         ((uint64_t)PLAT_DRAM_BASE)
#define PMP_ENTRY(i) (8 * ((i) % 8))
#define PMP_R        0x01ull
#define PMP_RWX      0x07ull
#define PMP_TOR      0x08ull
#define PMP_NA4      0x10ull
#define PMP_NAPOT    0x18ull
#define PMP_LOCK     0x80ull

/* --- handlers --- */

#define T(name, ...) AS_##name(__VA_ARGS__)

/*
 * M-mode's: skips the word that trapped, masks an interrupt that was taken, and takes what
 * cannot be fetched back to M-mode and the program. t5 and t6 are the handlers'.
 */
static void handler_m(const struct scene *scene, uint32_t *to)
{
    const uint32_t code[] = {
        T(U, lui, T6, 0x20), /* MPRV: the handler's own fetches come first */
        AS_CSR(csrrc, ZERO, MSTATUS, T6),
        T(U, lui, T6, 2), /* a counter's overflow is taken note of */
        AS_CSR(csrrc, ZERO, MIP, T6),
        AS_CSRR(T6, MCAUSE),
        T(B, blt, T6, ZERO, 11 * 4),
        T(I, addi, T5, ZERO, RV_FETCH_PAGE),
        T(B, beq, T6, T5, 13 * 4),
        T(I, addi, T5, ZERO, RV_FETCH_ACCESS),
        T(B, beq, T6, T5, 11 * 4),
        AS_CSRR(T6, MEPC),
        T(I, addi, T6, T6, -(int)scene->shift),
        T(I, andi, T6, T6, -4),
        T(I, addi, T6, T6, 4 + (int)scene->shift),
        AS_CSRW(MEPC, T6),
        AS_N(mret),
        T(I, addi, T5, ZERO, 1), /* 16: an interrupt */
        T(R, sll, T5, T5, T6),
        AS_CSR(csrrc, ZERO, MIE, T5),
        AS_N(mret),
        T(U, auipc, S1, 0xffff8), /* 20: lost */
        T(I, addi, S1, S1, -80),
        T(U, auipc, S0, 0x18),
        T(I, addi, S0, S0, 0x800 - 88),
        AS_CSRR(T6, MTVAL),
        T(I, andi, T6, T6, 0x7fc),
        T(R, add, T6, T6, S1),
        T(I, addi, T6, T6, (int)scene->shift),
        AS_CSRW(MEPC, T6),
        T(U, lui, T6, 2),
        T(I, addi, T6, T6, -2048), /* MPP */
        AS_CSR(csrrs, ZERO, MSTATUS, T6),
        AS_N(mret),
    };

    memcpy(to, code, sizeof(code));
}

/* S-mode's: the same, and now and then what U-mode asks for goes on in S-mode. */
static void handler_s(const struct scene *scene, uint32_t *to)
{
    const uint32_t code[] = {
        AS_CSRR(T5, SCAUSE),
        T(B, blt, T5, ZERO, 13 * 4),
        T(I, addi, T6, ZERO, RV_ECALL_U),
        T(B, beq, T5, T6, 15 * 4),
        T(I, addi, T6, ZERO, RV_FETCH_PAGE),
        T(B, beq, T5, T6, 23 * 4),
        T(I, addi, T6, ZERO, RV_FETCH_ACCESS),
        T(B, beq, T5, T6, 21 * 4),
        AS_CSRR(T6, SEPC), /* 8: skip */
        T(I, addi, T6, T6, -(int)scene->shift),
        T(I, andi, T6, T6, -4),
        T(I, addi, T6, T6, 4 + (int)scene->shift),
        AS_CSRW(SEPC, T6),
        AS_N(sret),
        T(I, addi, T6, ZERO, 1), /* 14: an interrupt */
        T(R, sll, T6, T6, T5),
        AS_CSR(csrrc, ZERO, SIE, T6),
        AS_N(sret),
        AS_CSRR(T6, SEPC), /* 18: from U-mode */
        T(I, andi, T5, T6, 16),
        T(B, beq, T5, ZERO, -12 * 4),
        T(U, lui, T5, SCENE_LOW >> 12),
        T(R, add, T6, T6, T5),
        AS_CSRW(SEPC, T6),
        T(R, add, S0, S0, T5),
        T(R, add, S1, S1, T5),
        T(J, ZERO, 12 * 4),
        AS_NOP,
        T(U, auipc, S1, 0xffff7), /* 28: lost */
        T(I, addi, S1, S1, -112),
        T(U, auipc, S0, 0x17),
        T(I, addi, S0, S0, 0x800 - 120),
        AS_CSRR(T6, STVAL),
        T(I, andi, T6, T6, 0x7fc),
        T(R, add, T6, T6, S1),
        T(I, addi, T6, T6, (int)scene->shift),
        AS_CSRW(SEPC, T6),
        AS_NOP,
        T(I, addi, T5, ZERO, 256), /* 38: SPP */
        AS_CSR(csrrs, ZERO, SSTATUS, T5),
        AS_N(sret),
    };

    memcpy(to, code, sizeof(code));
}

/*
 * S-mode code that changes an entry of the page tables (t0 is where, t1 the bits) and fences:
 * the page (t2) or all, in all address spaces or in those with the numbers that are used.
 */
#define CHANGES      4u
#define CHANGE_WORDS 10u
#define CHANGE_AT(i) (SCENE_S_AT + 0x800 + 64 * (i))

static void change_code(unsigned variant, uint32_t *to)
{
    unsigned page = variant & 1 ? T2 : ZERO, number = variant & 2 ? T4 : ZERO;
    const uint32_t code[CHANGE_WORDS] = {
        T(I, ld, T3, T0, 0),   T(R, xor, T3, T3, T1),
        T(S, sd, T3, T0, 0),   T(R, sfence_vma, ZERO, page, number),
        T(I, addi, T4, T4, 1), T(R, sfence_vma, ZERO, page, number),
        T(I, addi, T4, T4, 1), T(R, sfence_vma, ZERO, page, number),
        T(I, addi, T4, T4, 1), T(R, sfence_vma, ZERO, page, number),
    };

    memcpy(to, code, sizeof(code));
}

/* --- memory --- */

static uint8_t *at(struct vm *vm, uint64_t offset)
{
    return mem_ptr(&vm->mem, BASE + offset, 4);
}

void scene_install(const struct scene *scene, struct vm *vm)
{
    mem_zero(&vm->mem, BASE, vm->config->mem_size);
    memcpy(at(vm, scene->shift), scene->code, sizeof(scene->code));
    if (scene->shift)
        memcpy(at(vm, 0), &(uint16_t){1}, 2); /* c.nop */
    handler_m(scene, (uint32_t *)(void *)at(vm, PROGRAM_HANDLER - BASE));
    handler_s(scene, (uint32_t *)(void *)at(vm, SCENE_S_AT));
    for (unsigned i = 0; i < CHANGES; i++)
        change_code(i, (uint32_t *)(void *)at(vm, CHANGE_AT(i)));
    random_seed(scene->seed ^ 0x5ce0e);
    tables_make(scene, vm);
    for (unsigned i = 0; i < SCENE_DATA_PAGES * MEM_PAGE_SIZE; i += 8) {
        uint64_t value = random_below(2) ? random_next() : random_float();

        memcpy(at(vm, SCENE_DATA + i), &value, 8);
    }
    far_install(at(vm, SCENE_FAR));
    chase_install(at(vm, SCENE_CHASE));
}

int scene_machine(struct vm *vm, struct vm_config *config, const struct engine *engine,
                  bool kernel, struct error *err)
{
    /* What it is made of does not matter: each scene fills its memory. */
    static const uint8_t nothing[] = {0x6f, 0, 0, 0}; /* jal x0, 0 */
    char image[] = "/tmp/tollgate-scene-XXXXXX";
    int fd = mkstemp(image), ret;

    if (fd < 0 || write(fd, nothing, sizeof(nothing)) != (ssize_t)sizeof(nothing)) {
        if (fd >= 0)
            close(fd);
        return error_set(err, STATUS_OS, "no temporary file '%s'", image);
    }
    close(fd);
    *config = (struct vm_config){.host = host_real(),
                                 .engine = engine,
                                 .start = kernel ? START_KERNEL : START_FIRMWARE,
                                 .image = image,
                                 .raw = true,
                                 .mem_size = kernel ? 4u << 20 : SCENE_MEMORY,
                                 .nharts = 1,
                                 .max_steps = UINT64_MAX,
                                 .deterministic = true,
                                 .seed = 1,
                                 .console = CONSOLE_NONE,
                                 .in_fd = -1,
                                 .out_fd = -1};
    ret = vm_create(vm, config, err);
    config->image = NULL;
    unlink(image);
    if (ret == 0)
        vm->det->running = &vm->hart[0];
    return ret;
}

void scene_make(struct scene *scene, uint64_t seed, bool kernel, bool coherent)
{
    random_seed(seed);
    *scene = (struct scene){.seed = seed, .kernel = kernel, .coherent = coherent};
    scene->stale = random_below(8) == 0 && !coherent;
    scene->shift = random_below(2) * 2;
    scene->levels = 3 + random_below(3);
    program_make(scene->code, false);
    snippets_put(scene);
}

/* --- running --- */

#define WAITS_MAX 64u /* wfi in a row without a step: a machine that hangs */

bool scene_run(struct vm *vm, uint64_t limit)
{
    struct hart *hart = &vm->hart[0];
    struct rv_hart *h = &((struct interp *)hart->engine_state)->hart;
    unsigned waits = 0;

    while (h->steps < limit && waits <= WAITS_MAX) {
        uint64_t before = h->steps;

        vm->stop = (struct vm_stop){.cause = CAUSE_NONE, .hart = -1};
        atomic_store(&vm->stopping, false);
        atomic_store(&hart->requests, 0);
        hart->idle = false;
        hart->status = HART_STARTED;
        h->step_limit = limit;
        vm->engine->run(hart);
        if (vm->stop.cause != CAUSE_NONE && vm->stop.cause != CAUSE_BUDGET)
            return false;
        waits = h->steps == before ? waits + 1 : 0;
    }
    return waits <= WAITS_MAX;
}

/* --- episodes --- */

static const uint64_t view_base[] = {
    [VIEW_M] = BASE, [VIEW_S] = BASE, [VIEW_U] = SCENE_LOW, [VIEW_HIGH] = SCENE_HIGH};

static void make_registers(struct hart_state *s, enum view view)
{
    uint64_t data = view_base[view] + SCENE_DATA, code = view_base[view];

    for (unsigned i = 1; i < 32; i++) {
        switch (random_below(8)) {
        case 0:
        case 1: s->x[i] = random_below(64); break;
        case 2: s->x[i] = data + random_below(SCENE_DATA_PAGES * MEM_PAGE_SIZE); break;
        case 3: s->x[i] = data + (random_next() & 0x3fc0); break;
        case 4: s->x[i] = code + (random_next() & 0x1ffe); break;
        default: s->x[i] = random_next(); break;
        }
        s->f[i] = random_float();
    }
    s->x[SP] = data + 0x1000 + (random_next() & 0xff0);
    s->x[PROGRAM_BASE_REG] = data + (random_below(2) ? 0x1800 : 0x2000 - 16);
    s->x[PROGRAM_CODE_REG] = code;
}

/* Mode and permissions; S- and U-mode most often with paging. */
static void make_mode(const struct scene *scene, struct hart_state *s, enum view view)
{
    static const unsigned priv[] = {
        [VIEW_M] = PRIV_M, [VIEW_S] = PRIV_S, [VIEW_U] = PRIV_U, [VIEW_HIGH] = PRIV_S};
    uint64_t bits = RV_SIE | RV_SPIE | RV_SPP | RV_SUM | RV_MXR;

    s->priv = priv[view];
    if (!scene->kernel)
        bits |= RV_MIE | RV_MPIE;
    if (!scene->kernel && random_below(8) == 0)
        bits |= RV_MPRV | RV_TVM | RV_TW | RV_TSR;
    s->mstatus = (s->mstatus & ~(bits | RV_FS | RV_MPP)) | (random_next() & bits);
    s->mstatus |= random_below(8) ? RV_FS : random_next() & RV_FS;
    s->mstatus |= random_below(2) ? 0 : random_below(2) ? RV_MPP : 1ull << RV_MPP_SHIFT;
    s->satp = (BASE + scene_root(scene, random_below(SCENE_ROOTS))) >> 12 |
              (uint64_t)(scene->levels + 5) << 60 | (uint64_t)random_below(3) << 44;
    if (view == VIEW_M && random_below(4) == 0)
        s->satp = 0;
    s->fcsr = (random_below(8) ? random_below(5) : random_below(8)) << 5 | random_below(32);
}

/* What lets cache blocks be managed: all, or some. */
static uint64_t random_blocks(void)
{
    uint32_t all = random_below(2) ? 7 : random_below(8);

    return (all & 1 ? RV_ENVCFG_CBZE : 0) | (all & 2 ? RV_ENVCFG_CBCFE : 0) |
           (all & 4 ? RV_ENVCFG_CBIE : 0);
}

/* Who takes which traps. What cannot be fetched goes to M-mode, which leads it back. */
static void make_traps(struct hart_state *s)
{
    uint64_t fetches = 1ull << RV_FETCH_PAGE | 1ull << RV_FETCH_ACCESS;

    s->medeleg = random_below(4) ? random_next() & 0xb3ff : 0;
    s->medeleg &= random_below(8) ? ~fetches : UINT64_MAX;
    s->mideleg = random_next() & 0x2222;
    s->mcounteren = random_below(4) ? UINT32_MAX : random_next() & UINT32_MAX;
    s->scounteren = random_below(4) ? UINT32_MAX : random_next() & UINT32_MAX;
    s->menvcfg = random_next() & (RV_ENVCFG_STCE | RV_ENVCFG_ADUE);
    s->menvcfg |= random_blocks();
    s->senvcfg = random_blocks();
}

/* All memory is open to S and U, but for some bytes now and then. */
static void make_protection(struct hart_state *s)
{
    s->pmpcfg[0] = 0;
    s->pmpcfg[1] = (PMP_NAPOT | PMP_RWX) << PMP_ENTRY(15);
    s->pmpaddr[15] = (1ull << 54) - 1;
    switch (random_below(8)) {
    case 0: /* eight bytes of the data */
        s->pmpaddr[0] = (PROGRAM_DATA + 0x80) >> 2;
        s->pmpcfg[0] = PMP_NAPOT | random_below(2);
        break;
    case 1: /* half a KiB of the code */
        s->pmpaddr[0] = (BASE + 0x400) >> 2 | 0x3f;
        s->pmpcfg[0] = PMP_NAPOT | PMP_R;
        break;
    case 2: /* bytes on both sides of a page's end */
        s->pmpaddr[0] = (PROGRAM_DATA + 0x1800 - 4) >> 2;
        s->pmpaddr[1] = (PROGRAM_DATA + 0x1800 + 8) >> 2;
        s->pmpcfg[0] = (PMP_TOR | random_below(2)) << PMP_ENTRY(1);
        break;
    case 3: /* four bytes of a list, for M-mode too */
        s->pmpaddr[0] = (BASE + SCENE_CHASE + 0x808) >> 2;
        s->pmpcfg[0] = PMP_NA4 | PMP_LOCK | random_below(2);
        break;
    case 4: /* a KiB of code that is far */
        s->pmpaddr[0] = (BASE + SCENE_FAR + 0x1000) >> 2 | 0x7f;
        s->pmpcfg[0] = PMP_NAPOT | PMP_R;
        break;
    default: break;
    }
}

/* Events that are the same however the TLB is kept: no walks. */
static void make_counters(struct hart_state *s)
{
    static const uint64_t events[] = {HART_EVENT_CYCLES,     HART_EVENT_INSTRUCTIONS,
                                      HART_EVENT_EXCEPTIONS, HART_EVENT_INTERRUPTS,
                                      HART_EVENT_FENCE_I,    HART_EVENT_SFENCE_VMA,
                                      HART_EVENT_DEVICE};

    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++) {
        s->hpmevent[i] = random_below(4) ? 0 : events[random_below(7)];
        s->hpmevent[i] |= random_next() & (RV_HPM_UINH | RV_HPM_SINH);
        s->hpmcounter[i] = -(uint64_t)(1 + random_below(random_below(2) ? 20 : 2000));
    }
    s->mcountinhibit = random_below(4) ? 0 : random_next() & 0x7fd;
}

static void enter(const struct scene *scene, struct vm *vm, enum view view)
{
    struct hart_state s;

    vm->engine->state_get(&vm->hart[0], &s);
    make_registers(&s, view);
    make_mode(scene, &s, view);
    s.pc = view_base[view] + scene->shift + 4 * random_below(PROGRAM_WORDS - 64);
    if (view != VIEW_M && random_below(16) == 0)
        s.pc += SCENE_BIG;
    s.stvec = (BASE + SCENE_S_AT) | (random_below(16) == 0);
    s.mie = random_below(2) ? random_next() & 0x2aaa : 0;
    if (!scene->kernel) {
        s.mtvec = PROGRAM_HANDLER | (random_below(16) == 0);
        make_traps(&s);
        make_protection(&s);
    }
    if (random_below(4) == 0)
        make_counters(&s);
    vm->engine->state_set(&vm->hart[0], &s);
}

/* A device, or another hart, writes code or data, and tells or not. */
static void disturb_memory(const struct scene *scene, struct vm *vm)
{
    const struct hart_fence fence_i = {.kind = FENCE_I};
    uint64_t value = random_next();

    mem_write(&vm->mem, BASE + SCENE_DATA + (random_next() & 0x3ff8), &value, 8);
    for (unsigned i = random_below(4); i-- > 0;)
        mem_write(&vm->mem, BASE + scene->shift + 4 * random_below(PROGRAM_WORDS - 1),
                  &scene->code[random_below(PROGRAM_WORDS - 1)], 4);
    if (random_below(2)) { /* a page of code becomes another from some word on */
        uint32_t from = SCENE_FAR + random_below(SCENE_FAR_PAGES) * MEM_PAGE_SIZE;
        uint32_t to = SCENE_FAR + random_below(SCENE_FAR_PAGES) * MEM_PAGE_SIZE;
        uint32_t first = 4 * random_below(MEM_PAGE_SIZE / 4);

        memmove(at(vm, to + first), at(vm, from + first), MEM_PAGE_SIZE - first);
    }
    if (random_below(2))
        vm->engine->fence(&vm->hart[0], &fence_i);
}

static void disturb_tables(const struct scene *scene, struct vm *vm)
{
    const struct change change = tables_pick(scene, vm);
    const struct hart_fence one = {
        .kind = FENCE_VMA, .start = change.va, .size = MEM_PAGE_SIZE};
    const struct hart_fence all = {.kind = FENCE_VMA, .size = UINT64_MAX};

    if (change.pte)
        *change.pte ^= change.bits;
    if (!scene->stale || random_below(2))
        vm->engine->fence(&vm->hart[0], random_below(2) ? &one : &all);
}

/*
 * The same by the guest's S-mode, with a fence that names the page or the address spaces or
 * neither. It is led there and back without the engine's knowledge, so that the TLB holds what
 * it held; nothing can come between the change and the fence.
 */
static void change_by_guest(const struct scene *scene, struct vm *vm)
{
    struct rv_hart *h = &((struct interp *)vm->hart[0].engine_state)->hart;
    uint64_t x[32], pc = h->pc, mstatus = h->mstatus, mie = h->mie;
    uint8_t priv = h->priv;
    const struct change change = tables_pick(scene, vm);
    unsigned variant = random_below(CHANGES);

    if (!change.pte)
        return;
    memcpy(x, h->x, sizeof(x));
    h->pc = BASE + CHANGE_AT(variant);
    h->priv = PRIV_S;
    h->mstatus &= ~RV_TVM;
    h->mie = 0;
    rv_context_update(h);
    h->x[T0] = BASE + (uint64_t)((uint8_t *)change.pte - at(vm, 0));
    h->x[T1] = change.bits;
    h->x[T2] = change.va;
    h->x[T4] = 0;
    scene_run(vm, h->steps + CHANGE_WORDS);
    memcpy(h->x, x, sizeof(x));
    h->pc = pc;
    h->priv = priv;
    h->mstatus = mstatus;
    h->mie = mie;
    rv_context_update(h);
}

static void disturb_interrupts(struct vm *vm)
{
    static const unsigned lines[] = {1, 3, 5, 7, 9, 11};
    struct hart *hart = &vm->hart[0];

    for (unsigned i = 0; i < 6; i++)
        if (random_below(3) == 0)
            vm->engine->hart_irq(hart, lines[i], random_below(2));
    if (random_below(4) == 0)
        vm->engine->set_timer(hart, clock_ticks(&vm->clock) + random_below(40));
}

void scene_episode(const struct scene *scene, struct vm *vm, uint64_t seed)
{
    random_seed(seed);
    if (random_below(4) == 0)
        disturb_memory(scene, vm);
    if (random_below(8) == 0)
        disturb_tables(scene, vm);
    if (random_below(4) == 0)
        change_by_guest(scene, vm);
    if (random_below(4) == 0)
        disturb_interrupts(vm);
    if (random_below(4) != 0)
        enter(scene, vm, scene->kernel ? 1 + random_below(3) : random_below(4));
    /* Where a turn begins: the only time at which a deterministic hart looks at its timer. */
    (void)vm->engine->irq_pending(&vm->hart[0]);
}
