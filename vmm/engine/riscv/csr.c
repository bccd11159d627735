/* csr.c: control and status registers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include "vmm/engine/riscv/csr.h"
#include "vmm/vm.h"

#define SSTATUS_WRITE (RV_SIE | RV_SPIE | RV_SPP | RV_FS | RV_SUM | RV_MXR)
#define SSTATUS_READ  (SSTATUS_WRITE | RV_UXL | RV_SD)
#define MSTATUS_WRITE                                                                          \
    (SSTATUS_WRITE | RV_MIE | RV_MPIE | RV_MPP | RV_MPRV | RV_TVM | RV_TW | RV_TSR)
#define ALL_INTERRUPTS 0x2aaaull
#define S_INTERRUPTS   0x2222ull
#define SIP_WRITE      (1ull << IRQ_S_SOFT | 1ull << IRQ_COUNTER)
#define MEDELEG_WRITE  0xb3ffull
#define COUNTERS       (0x7ull | RV_HPM_MASK)
#define COUNTER_TM     2ull
#define SENVCFG_WRITE  (RV_ENVCFG_FIOM | RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE)
#define MENVCFG_WRITE  (SENVCFG_WRITE | RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE | RV_ENVCFG_STCE)
#define INHIBIT_CY     1ull
#define INHIBIT_IR     4ull

#define MISA_LETTER(c) (1ull << ((c) - 'A'))
#define MISA                                                                                   \
    (RV_XL_64 << 62 | MISA_LETTER('I') | MISA_LETTER('M') | MISA_LETTER('A') |                 \
     MISA_LETTER('B') | MISA_LETTER('F') | MISA_LETTER('D') | MISA_LETTER('C') |               \
     MISA_LETTER('S') | MISA_LETTER('U'))

/*
 * What the device tree advertises, in canonical order (unprivileged specification, chapter "ISA
 * Extension Naming Conventions"; Linux wants zca and zcd named beside c). A name is added in
 * the commit in which the suites from outside that test it pass.
 */
#define LETTERS(X) X(i) X(m) X(a) X(f) X(d) X(c)
#define WORDS(X)                                                                               \
    X(zicbom)                                                                                  \
    X(zicbop)                                                                                  \
    X(zicboz)                                                                                  \
    X(zicntr)                                                                                  \
    X(zicond)                                                                                  \
    X(zicsr)                                                                                   \
    X(zifencei)                                                                                \
    X(zihintntl)                                                                               \
    X(zihintpause)                                                                             \
    X(zihpm)                                                                                   \
    X(zimop)                                                                                   \
    X(zacas)                                                                                   \
    X(zawrs)                                                                                   \
    X(zfa)                                                                                     \
    X(zfh)                                                                                     \
    X(zfhmin)                                                                                  \
    X(zca)                                                                                     \
    X(zcb)                                                                                     \
    X(zcd)                                                                                     \
    X(zcmop)                                                                                   \
    X(zba)                                                                                     \
    X(zbb)                                                                                     \
    X(zbc)                                                                                     \
    X(zbkb)                                                                                    \
    X(zbkc)                                                                                    \
    X(zbkx)                                                                                    \
    X(zbs)                                                                                     \
    X(zknd)                                                                                    \
    X(zkne)                                                                                    \
    X(zknh)                                                                                    \
    X(zksed)                                                                                   \
    X(zksh)                                                                                    \
    X(smstateen)                                                                               \
    X(sscofpmf)                                                                                \
    X(sstc)                                                                                    \
    X(svade)                                                                                   \
    X(svadu)                                                                                   \
    X(svinval)                                                                                 \
    X(svnapot)                                                                                 \
    X(svpbmt)

#define LETTER_TEXT(name) #name
#define WORD_TEXT(name)   "_" #name
#define NAME_ITEM(name)   #name,

const char rv_isa_string[] = "rv64" LETTERS(LETTER_TEXT) WORDS(WORD_TEXT);
const char *const rv_isa_extensions[] = {LETTERS(NAME_ITEM) WORDS(NAME_ITEM) NULL};

uint64_t rv_mstatus(const struct rv_hart *h)
{
    return h->mstatus | ((h->mstatus & RV_FS) == RV_FS ? RV_SD : 0);
}

uint64_t rv_mip(const struct rv_hart *h)
{
    return atomic_load_explicit(&h->mip, memory_order_acquire) |
           (h->seip_soft ? 1ull << IRQ_S_EXT : 0);
}

/* Instructions retired before this one; steps count it already. */
static uint64_t retired(const struct rv_hart *h)
{
    return rv_steps(h) - 1 - h->unretired;
}

static uint64_t counter_read(const struct rv_hart *h, uint64_t base, uint64_t inhibit)
{
    return base + (h->mcountinhibit & inhibit ? 0 : retired(h));
}

/*
 * A written value is what the next instruction reads: the increment of the writing instruction
 * is suppressed (privileged specification, section 3.1.10).
 */
static void counter_write(struct rv_hart *h, uint64_t *base, uint64_t inhibit, uint64_t value)
{
    *base = value - (h->mcountinhibit & inhibit ? 0 : retired(h) + 1);
}

static void countinhibit_write(struct rv_hart *h, uint64_t value)
{
    uint64_t instret = counter_read(h, h->instret_base, INHIBIT_IR);
    uint64_t cycle = counter_read(h, h->cycle_base, INHIBIT_CY);

    rv_hpm_inhibit(h, value);
    h->mcountinhibit = value & (INHIBIT_CY | INHIBIT_IR | RV_HPM_MASK);
    h->instret_base = instret - (h->mcountinhibit & INHIBIT_IR ? 0 : retired(h));
    h->cycle_base = cycle - (h->mcountinhibit & INHIBIT_CY ? 0 : retired(h));
}

static bool counter_enabled(const struct rv_hart *h, unsigned csr)
{
    uint64_t bit = 1ull << (csr & 31);

    if (h->priv != PRIV_M && !(h->mcounteren & bit))
        return false;
    return h->priv != PRIV_U || (h->scounteren & bit);
}

/* Smstateen: which S-mode state M-mode keeps from the others. */
static bool state_enabled(const struct rv_hart *h, unsigned csr)
{
    if (h->priv == PRIV_M)
        return true;
    if (csr == CSR_SENVCFG)
        return h->mstateen[0] & RV_STATEEN_ENVCFG;
    return h->mstateen[csr - CSR_SSTATEEN0] & RV_STATEEN_SE;
}

/* Rules that hold before any value is looked at. */
static bool csr_accessible(const struct rv_hart *h, unsigned csr, bool write)
{
    if ((csr >> 8 & 3) > h->priv || (write && csr >> 10 == 3))
        return false;
    if (csr <= CSR_FCSR)
        return h->mstatus & RV_FS;
    if (csr == CSR_SATP)
        return !(h->priv == PRIV_S && (h->mstatus & RV_TVM));
    if (csr >= CSR_CYCLE && csr <= CSR_HPMCOUNTER31)
        return counter_enabled(h, csr);
    if (csr == CSR_STIMECMP) /* "Sstc" */
        return h->priv == PRIV_M ||
               ((h->menvcfg & RV_ENVCFG_STCE) && (h->mcounteren & COUNTER_TM));
    if (csr == CSR_SENVCFG || (csr >= CSR_SSTATEEN0 && csr <= CSR_SSTATEEN3))
        return state_enabled(h, csr);
    return true;
}

/* The programmable counters: their numbers are the low five bits. */
static int read_counters(const struct rv_hart *h, unsigned csr, uint64_t *value)
{
    if ((csr >= CSR_MHPMCOUNTER3 && csr <= CSR_MHPMCOUNTER31) ||
        (csr > CSR_INSTRET && csr <= CSR_HPMCOUNTER31))
        *value = rv_hpm_read(h, csr & 31);
    else if (csr >= CSR_MHPMEVENT3 && csr <= CSR_MHPMEVENT31)
        *value = rv_hpm_event(h, csr & 31);
    else if (csr == CSR_SCOUNTOVF) /* each bit behind that of its counter ("Sscofpmf") */
        *value = rv_hpm_overflows(h) & (h->priv == PRIV_M ? UINT64_MAX : h->mcounteren);
    else
        return -1;
    return 0;
}

static int read_ranges(const struct rv_hart *h, unsigned csr, uint64_t *value)
{
    *value = 0;
    if (read_counters(h, csr, value) == 0)
        return 0;
    if (csr >= CSR_PMPCFG0 && csr <= CSR_PMPCFG15) {
        if (csr & 1) /* odd ones do not exist in RV64 */
            return -1;
        if (csr <= CSR_PMPCFG0 + 2)
            *value = rv_pmpcfg_read(h, (csr - CSR_PMPCFG0) / 2);
        return 0;
    }
    if (csr >= CSR_PMPADDR0 && csr <= CSR_PMPADDR63) {
        if (csr < CSR_PMPADDR0 + RV_PMP_ENTRIES)
            *value = h->pmpaddr[csr - CSR_PMPADDR0];
        return 0;
    }
    if ((csr >= CSR_TSELECT && csr <= CSR_TDATA3) ||
        (csr >= CSR_SSTATEEN0 && csr <= CSR_SSTATEEN3)) /* none of their state exists here */
        return 0;
    if (csr >= CSR_MSTATEEN0 && csr <= CSR_MSTATEEN3) {
        *value = h->mstateen[csr - CSR_MSTATEEN0];
        return 0;
    }
    if (csr == CSR_TINFO) { /* there is no trigger to select ("Sdtrig") */
        *value = 1;
        return 0;
    }
    return -1;
}

static int read_supervisor(const struct rv_hart *h, unsigned csr, uint64_t *value)
{
    switch (csr) {
    case CSR_FFLAGS: *value = h->fp.flags; return 0;
    case CSR_FRM: *value = h->frm; return 0;
    case CSR_FCSR: *value = (uint64_t)h->frm << 5 | h->fp.flags; return 0;
    case CSR_SSTATUS: *value = rv_mstatus(h) & SSTATUS_READ; return 0;
    case CSR_SIE: *value = h->mie & h->mideleg; return 0;
    case CSR_STVEC: *value = h->stvec; return 0;
    case CSR_SCOUNTEREN: *value = h->scounteren; return 0;
    case CSR_SENVCFG: *value = h->senvcfg; return 0;
    case CSR_SSCRATCH: *value = h->sscratch; return 0;
    case CSR_SEPC: *value = h->sepc; return 0;
    case CSR_SCAUSE: *value = h->scause; return 0;
    case CSR_STVAL: *value = h->stval; return 0;
    case CSR_SIP: *value = rv_mip(h) & h->mideleg; return 0;
    case CSR_STIMECMP: *value = h->timer; return 0;
    case CSR_SATP: *value = h->satp; return 0;
    case CSR_CYCLE: *value = counter_read(h, h->cycle_base, INHIBIT_CY); return 0;
    case CSR_TIME: *value = clock_ticks(&h->vm->clock); return 0;
    case CSR_INSTRET: *value = counter_read(h, h->instret_base, INHIBIT_IR); return 0;
    default: return -1;
    }
}

static int read_machine(const struct rv_hart *h, unsigned csr, uint64_t *value)
{
    switch (csr) {
    case CSR_MSTATUS: *value = rv_mstatus(h); return 0;
    case CSR_MISA: *value = MISA; return 0;
    case CSR_MEDELEG: *value = h->medeleg; return 0;
    case CSR_MIDELEG: *value = h->mideleg; return 0;
    case CSR_MIE: *value = h->mie; return 0;
    case CSR_MTVEC: *value = h->mtvec; return 0;
    case CSR_MCOUNTEREN: *value = h->mcounteren; return 0;
    case CSR_MENVCFG: *value = h->menvcfg; return 0;
    case CSR_MCOUNTINHIBIT: *value = h->mcountinhibit; return 0;
    case CSR_MSCRATCH: *value = h->mscratch; return 0;
    case CSR_MEPC: *value = h->mepc; return 0;
    case CSR_MCAUSE: *value = h->mcause; return 0;
    case CSR_MTVAL: *value = h->mtval; return 0;
    case CSR_MIP: *value = rv_mip(h); return 0;
    case CSR_MCYCLE: *value = counter_read(h, h->cycle_base, INHIBIT_CY); return 0;
    case CSR_MINSTRET: *value = counter_read(h, h->instret_base, INHIBIT_IR); return 0;
    case CSR_MHARTID: *value = h->hart->index; return 0;
    case CSR_MVENDORID:
    case CSR_MARCHID:
    case CSR_MIMPID:
    case CSR_MCONFIGPTR: *value = 0; return 0;
    default: return -1;
    }
}

int rv_csr_read(struct rv_hart *h, unsigned csr, bool will_write, uint64_t *value)
{
    if (!csr_accessible(h, csr, will_write))
        return -1;
    if (read_supervisor(h, csr, value) == 0 || read_machine(h, csr, value) == 0)
        return 0;
    return read_ranges(h, csr, value);
}

static void mstatus_write(struct rv_hart *h, uint64_t value, uint64_t mask)
{
    uint64_t old = h->mstatus;
    uint64_t next = (old & ~mask) | (value & mask);

    if ((next & RV_MPP) == 2ull << RV_MPP_SHIFT) /* reserved: WARL keeps the old one */
        next = (next & ~RV_MPP) | (old & RV_MPP);
    h->mstatus = next;
    if ((old ^ next) & RV_MXR) /* entries hold what loads may do under the old MXR */
        rv_tlb_flush(h);
    rv_context_update(h);
}

static void satp_write(struct rv_hart *h, uint64_t value)
{
    uint64_t mode = value >> 60;

    if (mode != 0 && (mode < 8 || mode > 10)) /* Bare, Sv39, Sv48, Sv57; others: no effect */
        return;
    if (value != h->satp) {
        h->satp = value;
        rv_space_select(h);
        rv_context_update(h);
    }
}

/* Sets and clears bits of mip that software owns, without losing a line that moves meanwhile.
 */
static void mip_write(struct rv_hart *h, uint64_t value, uint64_t mask)
{
    atomic_fetch_and(&h->mip, ~(mask & ~value));
    atomic_fetch_or(&h->mip, mask & value);
}

/* CBIE is WARL (section 3.1.18): its reserved value is taken for 0, cbo.inval traps. */
static uint64_t envcfg_legal(uint64_t value, uint64_t mask)
{
    value &= mask;
    return (value & RV_ENVCFG_CBIE) == 2ull << 4 ? value & ~RV_ENVCFG_CBIE : value;
}

static void menvcfg_write(struct rv_hart *h, uint64_t value)
{
    uint64_t changed;

    value = envcfg_legal(value, MENVCFG_WRITE);
    changed = h->menvcfg ^ value;
    h->menvcfg = value;
    if (changed & RV_ENVCFG_STCE) { /* STIP changes hands between software and stimecmp */
        atomic_fetch_and(&h->mip, ~(1ull << IRQ_S_TIMER));
        rv_timer_update(h);
    }
    if (changed & (RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE)) /* the walk's own rules */
        rv_tlb_flush(h);
}

static void mstateen_write(struct rv_hart *h, unsigned i, uint64_t value)
{
    h->mstateen[i] = value & (i == 0 ? RV_STATEEN_SE | RV_STATEEN_ENVCFG : RV_STATEEN_SE);
}

/* The bits of mip that M-mode writes; STIP is stimecmp's while that is on ("Sstc"). */
static void mip_write_machine(struct rv_hart *h, uint64_t value, uint64_t mask)
{
    uint64_t writable = 1ull << IRQ_S_SOFT | 1ull << IRQ_COUNTER;

    if (!(h->menvcfg & RV_ENVCFG_STCE))
        writable |= 1ull << IRQ_S_TIMER;
    if (mask >> IRQ_S_EXT & 1)
        h->seip_soft = value >> IRQ_S_EXT & 1;
    mip_write(h, value, mask & writable);
}

/* Direct and Vectored; MODE's upper bit, which only reserved modes have set, is always 0. */
static uint64_t xtvec_legal(uint64_t value)
{
    return value & ~2ull;
}

static void fp_write(struct rv_hart *h, unsigned csr, uint64_t value)
{
    if (csr == CSR_FFLAGS || csr == CSR_FCSR)
        h->fp.flags = value & 31;
    if (csr == CSR_FRM)
        h->frm = value & 7;
    if (csr == CSR_FCSR)
        h->frm = value >> 5 & 7;
    h->mstatus |= RV_FS;
}

static int write_supervisor(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t mask)
{
    switch (csr) {
    case CSR_FFLAGS:
    case CSR_FRM:
    case CSR_FCSR: fp_write(h, csr, value); return 0;
    case CSR_SSTATUS: mstatus_write(h, value, SSTATUS_WRITE); return 0;
    case CSR_SIE: h->mie = (h->mie & ~h->mideleg) | (value & h->mideleg); return 0;
    case CSR_STVEC: h->stvec = xtvec_legal(value); return 0;
    case CSR_SCOUNTEREN: h->scounteren = value & COUNTERS; return 0;
    case CSR_SENVCFG: h->senvcfg = envcfg_legal(value, SENVCFG_WRITE); return 0;
    case CSR_SSCRATCH: h->sscratch = value; return 0;
    case CSR_SEPC: h->sepc = value & ~1ull; return 0;
    case CSR_SCAUSE: h->scause = value; return 0;
    case CSR_STVAL: h->stval = value; return 0;
    case CSR_SIP: mip_write(h, value, mask & h->mideleg & SIP_WRITE); return 0;
    case CSR_STIMECMP: rv_timer_set(h, value); return 0;
    case CSR_SATP: satp_write(h, value); return 0;
    default: return -1;
    }
}

static int write_machine(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t mask)
{
    switch (csr) {
    case CSR_MSTATUS: mstatus_write(h, value, MSTATUS_WRITE); return 0;
    case CSR_MISA: return 0; /* nothing can be switched off */
    case CSR_MEDELEG: h->medeleg = value & MEDELEG_WRITE; return 0;
    case CSR_MIDELEG: h->mideleg = value & S_INTERRUPTS; return 0;
    case CSR_MIE: h->mie = value & ALL_INTERRUPTS; return 0;
    case CSR_MTVEC: h->mtvec = xtvec_legal(value); return 0;
    case CSR_MCOUNTEREN: h->mcounteren = value & COUNTERS; return 0;
    case CSR_MENVCFG: menvcfg_write(h, value); return 0;
    case CSR_MCOUNTINHIBIT: countinhibit_write(h, value); return 0;
    case CSR_MSCRATCH: h->mscratch = value; return 0;
    case CSR_MEPC: h->mepc = value & ~1ull; return 0;
    case CSR_MCAUSE: h->mcause = value; return 0;
    case CSR_MTVAL: h->mtval = value; return 0;
    case CSR_MIP: mip_write_machine(h, value, mask); return 0;
    case CSR_MCYCLE: counter_write(h, &h->cycle_base, INHIBIT_CY, value); return 0;
    case CSR_MINSTRET: counter_write(h, &h->instret_base, INHIBIT_IR, value); return 0;
    default: return -1;
    }
}

int rv_csr_write(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t mask)
{
    uint64_t ignored;

    if (!csr_accessible(h, csr, true))
        return -1;
    if (write_supervisor(h, csr, value, mask) == 0 || write_machine(h, csr, value, mask) == 0)
        return 0;
    if (read_ranges(h, csr, &ignored) != 0)
        return -1;
    if (csr >= CSR_MHPMCOUNTER3 && csr <= CSR_MHPMCOUNTER31)
        rv_hpm_write(h, csr & 31, value);
    if (csr >= CSR_MHPMEVENT3 && csr <= CSR_MHPMEVENT31)
        rv_hpm_event_write(h, csr & 31, value);
    if (csr >= CSR_PMPCFG0 && csr <= CSR_PMPCFG0 + 2)
        rv_pmpcfg_write(h, (csr - CSR_PMPCFG0) / 2, value);
    if (csr >= CSR_PMPADDR0 && csr < CSR_PMPADDR0 + RV_PMP_ENTRIES)
        rv_pmpaddr_write(h, csr - CSR_PMPADDR0, value);
    if (csr >= CSR_MSTATEEN0 && csr <= CSR_MSTATEEN3)
        mstateen_write(h, csr - CSR_MSTATEEN0, value);
    return 0; /* the others are read-only zero */
}
