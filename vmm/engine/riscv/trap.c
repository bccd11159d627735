/* trap.c: reset, traps, returns from them, interrupts, and the engine-neutral state. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include <string.h>
#include "vmm/observe.h"
#include "vmm/vm.h"

#define S_INTERRUPTS                                                                           \
    (1ull << IRQ_S_SOFT | 1ull << IRQ_S_TIMER | 1ull << IRQ_S_EXT | 1ull << IRQ_COUNTER)
/* Every exception but the S-mode ecall, which is a call to the monitor. */
#define S_EXCEPTIONS  0xb1ffull
#define COUNTERS_OPEN 0x7ull /* cycle, time, instret: to programs too */

void rv_reset(struct rv_hart *h, unsigned priv, uint64_t pc)
{
    memset(h->x, 0, sizeof(h->x));
    memset(h->f, 0, sizeof(h->f));
    h->pc = pc;
    h->priv = (uint8_t)priv;
    h->frm = 0;
    h->fp.flags = 0;
    h->mstatus = (RV_XL_64 << 32) | (RV_XL_64 << 34);
    h->mie = 0;
    h->medeleg = h->mideleg = h->mtvec = h->mcounteren = h->mscratch = h->mepc = 0;
    h->mcause = h->mtval = h->menvcfg = h->mcountinhibit = 0;
    memset(h->mstateen, 0, sizeof(h->mstateen));
    h->stvec = h->scounteren = h->senvcfg = h->sscratch = h->sepc = h->scause = h->stval = 0;
    h->satp = 0;
    h->seip_soft = false;
    memset(h->pmpcfg, 0, sizeof(h->pmpcfg));
    memset(h->pmpaddr, 0, sizeof(h->pmpaddr));
    h->reserve_host = RV_NO_RESERVATION;
    h->timer = UINT64_MAX;
    atomic_store(&h->mtimer, UINT64_MAX);
    if (priv != PRIV_M) {
        /* As firmware leaves the hart to a kernel: all delegated, memory and counters open. */
        h->medeleg = S_EXCEPTIONS;
        h->mideleg = S_INTERRUPTS;
        h->mcounteren = COUNTERS_OPEN | RV_HPM_MASK;
        h->scounteren = COUNTERS_OPEN;
        h->menvcfg = RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE | RV_ENVCFG_PBMTE |
                     RV_ENVCFG_STCE; /* not ADUE: Svade until the kernel asks */
        for (unsigned i = 0; i < RV_STATEENS; i++)
            h->mstateen[i] = RV_STATEEN_SE;
        h->mstateen[0] |= RV_STATEEN_ENVCFG;
        h->pmpcfg[0] = 0x1f; /* NAPOT, R, W, X */
        h->pmpaddr[0] = (1ull << 54) - 1;
        atomic_fetch_and(&h->mip, ~(1ull << IRQ_S_SOFT | 1ull << IRQ_S_TIMER));
    }
    if (priv == PRIV_U) {
        h->mstatus |= RV_FS; /* a program finds floating point and cache blocks on */
        h->senvcfg = RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE;
    }
    atomic_fetch_and(&h->mip, ~(1ull << IRQ_COUNTER));
    rv_hpm_reset(h);
    rv_pmp_update(h);
    rv_space_select(h);
    rv_context_update(h);
}

/* Apart, so that who is not watched pays a test and no more. */
static __attribute__((noinline)) void trap_tell(const struct rv_hart *h, uint64_t cause,
                                                uint64_t tval, uint64_t pc)
{
    struct observed_trap trap = {
        .cause = cause,
        .tval = tval,
        .pc = pc,
        .priv = h->priv,
        .satp = h->satp,
        .sscratch = h->sscratch,
        .x = h->x,
    };

    observe_trap(h->hart, &trap);
}

void rv_trap(struct rv_hart *h, uint64_t cause, uint64_t tval, uint64_t pc)
{
    bool interrupt = cause & RV_CAUSE_INTERRUPT;
    uint64_t number = cause & ~RV_CAUSE_INTERRUPT;
    uint64_t delegated = interrupt ? h->mideleg : h->medeleg;
    uint64_t vector;

    h->unretired++;
    rv_hpm_count(h, interrupt ? HART_EVENT_INTERRUPTS : HART_EVENT_EXCEPTIONS);
    h->reserve_host = RV_NO_RESERVATION;
    if (hart_watched(h->hart, WATCH_IRQ | WATCH_FAULTS | WATCH_GUEST))
        trap_tell(h, cause, tval, pc);
    if (h->priv != PRIV_M && (delegated >> number & 1)) {
        h->sepc = pc;
        h->scause = cause;
        h->stval = tval;
        h->mstatus = (h->mstatus & ~(RV_SPP | RV_SPIE | RV_SIE)) |
                     (h->priv == PRIV_S ? RV_SPP : 0) | (h->mstatus & RV_SIE ? RV_SPIE : 0);
        h->priv = PRIV_S;
        vector = h->stvec;
    } else {
        h->mepc = pc;
        h->mcause = cause;
        h->mtval = tval;
        h->mstatus = (h->mstatus & ~(RV_MPP | RV_MPIE | RV_MIE)) |
                     ((uint64_t)h->priv << RV_MPP_SHIFT) | (h->mstatus & RV_MIE ? RV_MPIE : 0);
        h->priv = PRIV_M;
        vector = h->mtvec;
    }
    h->pc = (vector & ~3ull) + (interrupt && (vector & 1) ? 4 * number : 0);
    rv_hpm_mode(h);
    rv_context_update(h);
}

int rv_interrupt(const struct rv_hart *h)
{
    /* Priority, highest first (privileged specification, section 3.1.9; "Sscofpmf"). */
    static const uint8_t order[] = {IRQ_M_EXT,  IRQ_M_SOFT,  IRQ_M_TIMER, IRQ_S_EXT,
                                    IRQ_S_SOFT, IRQ_S_TIMER, IRQ_COUNTER};
    uint64_t pending = rv_mip(h) & h->mie;
    uint64_t take = 0;

    if (!pending)
        return -1;
    if (h->priv != PRIV_M || (h->mstatus & RV_MIE))
        take = pending & ~h->mideleg;
    if (!take && (h->priv == PRIV_U || (h->priv == PRIV_S && (h->mstatus & RV_SIE))))
        take = pending & h->mideleg;
    for (unsigned i = 0; take && i < sizeof(order); i++)
        if (take >> order[i] & 1)
            return order[i];
    return -1;
}

int rv_sret(struct rv_hart *h)
{
    if (h->priv == PRIV_U || (h->priv == PRIV_S && (h->mstatus & RV_TSR)))
        return -1;
    h->pc = h->sepc;
    h->priv = h->mstatus & RV_SPP ? PRIV_S : PRIV_U;
    h->mstatus = (h->mstatus & ~(RV_SPP | RV_SIE | RV_MPRV)) |
                 (h->mstatus & RV_SPIE ? RV_SIE : 0) | RV_SPIE;
    rv_hpm_mode(h);
    if (hart_watched(h->hart, WATCH_GUEST) && h->priv == PRIV_U)
        observe_return(h->hart, h->satp, h->sscratch, h->x);
    rv_context_update(h);
    return 0;
}

int rv_mret(struct rv_hart *h)
{
    unsigned priv = (unsigned)(h->mstatus & RV_MPP) >> RV_MPP_SHIFT;

    if (h->priv != PRIV_M)
        return -1;
    h->pc = h->mepc;
    h->priv = (uint8_t)priv;
    h->mstatus =
        (h->mstatus & ~(RV_MPP | RV_MIE)) | (h->mstatus & RV_MPIE ? RV_MIE : 0) | RV_MPIE;
    if (priv != PRIV_M)
        h->mstatus &= ~RV_MPRV;
    rv_hpm_mode(h);
    rv_context_update(h);
    return 0;
}

/*
 * MTIP is the comparison itself, so it falls too. Should another hart move mtimecmp meanwhile,
 * the next look puts it right ("eventually": privileged specification, section 3.2.1).
 */
static void mtimer_update(struct rv_hart *h, uint64_t now)
{
    bool due = now >= atomic_load(&h->mtimer);
    uint64_t mip = atomic_load_explicit(&h->mip, memory_order_relaxed);

    if (due == (mip >> IRQ_M_TIMER & 1))
        return;
    if (due)
        atomic_fetch_or(&h->mip, 1ull << IRQ_M_TIMER);
    else
        atomic_fetch_and(&h->mip, ~(1ull << IRQ_M_TIMER));
}

void rv_timer_update(struct rv_hart *h)
{
    uint64_t stimer = h->menvcfg & RV_ENVCFG_STCE ? h->timer : UINT64_MAX;
    bool mtimer = atomic_load(&h->mtimer) != UINT64_MAX;
    uint64_t now;

    if (stimer == UINT64_MAX && !mtimer) /* the clock costs more than all the rest */
        return;
    now = clock_ticks(&h->vm->clock);
    if (now >= stimer)
        atomic_fetch_or(&h->mip, 1ull << IRQ_S_TIMER);
    if (mtimer)
        mtimer_update(h, now);
}

void rv_mtimer_set(struct rv_hart *h, uint64_t ticks)
{
    atomic_store(&h->mtimer, ticks);
    mtimer_update(h, clock_ticks(&h->vm->clock));
}

uint64_t rv_timer_deadline(const struct rv_hart *h)
{
    uint64_t mip = atomic_load(&h->mip);
    bool stimer = (h->menvcfg & RV_ENVCFG_STCE) && !(mip >> IRQ_S_TIMER & 1);
    uint64_t timer = stimer ? h->timer : UINT64_MAX;
    uint64_t mtimer = mip >> IRQ_M_TIMER & 1 ? UINT64_MAX : atomic_load(&h->mtimer);

    return timer < mtimer ? timer : mtimer;
}

/* The reservation is a host address while the hart runs, and a guest address outside. */
static gpa_t reserve_gpa(const struct rv_hart *h)
{
    const struct mem *mem = &h->vm->mem;

    for (unsigned i = 0; i < mem->nslots; i++) {
        uintptr_t offset = h->reserve_host - (uintptr_t)mem->slot[i].host;

        if (offset < mem->slot[i].size)
            return mem->slot[i].gpa + offset;
    }
    return UINT64_MAX;
}

static void reserve_set(struct rv_hart *h, const struct hart_state *s)
{
    const uint8_t *host = mem_ptr(&h->vm->mem, s->reserve_gpa, 4); /* lr.w may be the last */

    h->reserve_host = host ? (uintptr_t)host : RV_NO_RESERVATION;
    h->reserve_value = s->reserve_value;
}

void rv_timer_set(struct rv_hart *h, uint64_t ticks)
{
    h->timer = ticks;
    if (h->menvcfg & RV_ENVCFG_STCE)
        atomic_fetch_and(&h->mip, ~(1ull << IRQ_S_TIMER));
    rv_timer_update(h);
}

void rv_state_get(const struct rv_hart *h, struct hart_state *s)
{
    *s = (struct hart_state){
        .version = HART_STATE_VERSION,
        .priv = h->priv,
        .pc = h->pc,
        .fcsr = (uint64_t)h->frm << 5 | h->fp.flags,
        .mstatus = rv_mstatus(h),
        .medeleg = h->medeleg,
        .mideleg = h->mideleg,
        .mie = h->mie,
        .mip = atomic_load(&h->mip),
        .mtvec = h->mtvec,
        .mcounteren = h->mcounteren,
        .menvcfg = h->menvcfg,
        .mscratch = h->mscratch,
        .mepc = h->mepc,
        .mcause = h->mcause,
        .mtval = h->mtval,
        .mcountinhibit = h->mcountinhibit,
        .stvec = h->stvec,
        .scounteren = h->scounteren,
        .senvcfg = h->senvcfg,
        .sscratch = h->sscratch,
        .sepc = h->sepc,
        .scause = h->scause,
        .stval = h->stval,
        .satp = h->satp,
        .pmpcfg = {rv_pmpcfg_read(h, 0), rv_pmpcfg_read(h, 1)},
        .timer = h->timer,
        .steps = h->steps,
        .instret = h->steps - h->unretired,
        .reserve_gpa = reserve_gpa(h),
        .reserve_value = h->reserve_value,
        .instret_base = h->instret_base,
        .cycle_base = h->cycle_base,
        .seip_soft = h->seip_soft,
    };
    if (s->reserve_gpa == UINT64_MAX)
        s->reserve_value = 0;
    memcpy(s->x, h->x, sizeof(s->x));
    memcpy(s->f, h->f, sizeof(s->f));
    memcpy(s->pmpaddr, h->pmpaddr, sizeof(s->pmpaddr));
    memcpy(s->mstateen, h->mstateen, sizeof(s->mstateen));
    rv_hpm_state_get(h, s);
}

bool rv_state_valid(const struct hart_state *s)
{
    uint64_t mode = s->satp >> 60;

    return s->priv <= PRIV_M && s->priv != 2 && (s->mstatus & RV_MPP) != 2ull << RV_MPP_SHIFT &&
           (mode == 0 || (mode >= 8 && mode <= 10));
}

/* The modes that are reserved become Direct. */
static uint64_t legal_tvec(uint64_t tvec)
{
    return (tvec & 3) <= 1 ? tvec : tvec & ~3ull;
}

void rv_state_set(struct rv_hart *h, const struct hart_state *s)
{
    memcpy(h->x, s->x, sizeof(s->x));
    h->x[0] = 0;
    memcpy(h->f, s->f, sizeof(s->f));
    h->pc = s->pc & ~1ull;
    h->priv = (uint8_t)s->priv;
    h->frm = (uint8_t)(s->fcsr >> 5 & 7);
    h->fp.flags = (uint8_t)(s->fcsr & 31);
    h->mstatus = s->mstatus & ~RV_SD;
    h->medeleg = s->medeleg;
    h->mideleg = s->mideleg;
    h->mie = s->mie;
    atomic_store(&h->mip, s->mip);
    h->mtvec = legal_tvec(s->mtvec);
    h->mcounteren = s->mcounteren;
    h->menvcfg = s->menvcfg;
    h->mscratch = s->mscratch;
    h->mepc = s->mepc & ~1ull;
    h->mcause = s->mcause;
    h->mtval = s->mtval;
    h->mcountinhibit = s->mcountinhibit;
    h->stvec = legal_tvec(s->stvec);
    h->scounteren = s->scounteren;
    h->senvcfg = s->senvcfg;
    h->sscratch = s->sscratch;
    h->sepc = s->sepc & ~1ull;
    h->scause = s->scause;
    h->stval = s->stval;
    h->satp = s->satp;
    for (unsigned i = 0; i < RV_PMP_ENTRIES; i++)
        h->pmpcfg[i] = (uint8_t)(s->pmpcfg[i / 8] >> (8 * (i % 8)));
    memcpy(h->pmpaddr, s->pmpaddr, sizeof(s->pmpaddr));
    memcpy(h->mstateen, s->mstateen, sizeof(s->mstateen));
    h->timer = s->timer;
    h->steps = s->steps;
    h->unretired = s->steps - s->instret;
    reserve_set(h, s);
    h->instret_base = s->instret_base;
    h->cycle_base = s->cycle_base;
    h->seip_soft = s->seip_soft != 0;
    rv_hpm_state_set(h, s);
    rv_pmp_update(h);
    rv_space_select(h);
    rv_context_update(h);
}
