/* rv.h: a RISC-V hart as interpreter and translator share it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_RISCV_RV_H
#define VMM_ENGINE_RISCV_RV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "vmm/engine/riscv/hpm.h"
#include "vmm/engine/riscv/softfp.h"
#include "vmm/hart.h"
#include "vmm/state.h"

#define RV_PAGE_MASK (~(uint64_t)(MEM_PAGE_SIZE - 1))

/* Exception causes (privileged specification, table "mcause values"). */
enum rv_cause {
    RV_FETCH_MISALIGNED = 0,
    RV_FETCH_ACCESS = 1,
    RV_ILLEGAL = 2,
    RV_BREAKPOINT = 3,
    RV_LOAD_MISALIGNED = 4,
    RV_LOAD_ACCESS = 5,
    RV_STORE_MISALIGNED = 6,
    RV_STORE_ACCESS = 7,
    RV_ECALL_U = 8,
    RV_ECALL_S = 9,
    RV_ECALL_M = 11,
    RV_FETCH_PAGE = 12,
    RV_LOAD_PAGE = 13,
    RV_STORE_PAGE = 15,
};
#define RV_NO_TRAP         (-1)
#define RV_CAUSE_INTERRUPT (1ull << 63)

/* mstatus bits. */
#define RV_SIE       (1ull << 1)
#define RV_MIE       (1ull << 3)
#define RV_SPIE      (1ull << 5)
#define RV_MPIE      (1ull << 7)
#define RV_SPP       (1ull << 8)
#define RV_MPP       (3ull << 11)
#define RV_FS        (3ull << 13)
#define RV_MPRV      (1ull << 17)
#define RV_SUM       (1ull << 18)
#define RV_MXR       (1ull << 19)
#define RV_TVM       (1ull << 20)
#define RV_TW        (1ull << 21)
#define RV_TSR       (1ull << 22)
#define RV_UXL       (3ull << 32)
#define RV_SXL       (3ull << 34)
#define RV_SD        (1ull << 63)
#define RV_XL_64     2ull
#define RV_MPP_SHIFT 11

/* menvcfg and, up to CBZE, senvcfg (privileged specification, section 3.1.18). */
#define RV_ENVCFG_FIOM  (1ull << 0)
#define RV_ENVCFG_CBIE  (3ull << 4)
#define RV_ENVCFG_CBCFE (1ull << 6)
#define RV_ENVCFG_CBZE  (1ull << 7)
#define RV_ENVCFG_ADUE  (1ull << 61)
#define RV_ENVCFG_PBMTE (1ull << 62)
#define RV_ENVCFG_STCE  (1ull << 63)

/* mstateen0 to 3 (chapter "Smstateen"); the second only in mstateen0. */
#define RV_STATEEN_SE     (1ull << 63)
#define RV_STATEEN_ENVCFG (1ull << 62)
#define RV_STATEENS       4

/* What an access is for. */
enum rv_access { RV_FETCH, RV_LOAD, RV_STORE };

/*
 * Software TLB: direct-mapped tables of virtual pages. tag is the page's address, or
 * RV_TLB_EMPTY, which no page-aligned address equals; host = va + addend. Only RAM that the
 * context may access outright is entered: MMIO, PMP-divided pages and the unmapped never are.
 */
#define RV_TLB_ENTRIES 1024
#define RV_TLB_EMPTY   1ull
/*
 * Translated code takes the entry of an access's first byte and compares its tag with the page
 * of the last: neighbours must not share an entry.
 */
_Static_assert(RV_TLB_ENTRIES >= 2, "pages side by side have entries of their own");

/* Aligned, so that no entry lies in two cache lines. */
struct __attribute__((aligned(16))) rv_tlb_entry {
    uint64_t tag;
    uintptr_t addend;
};

#define RV_TLB_WORDS ((RV_TLB_ENTRIES + 63) / 64)

/*
 * Places that an entry was made in since all were dropped, a bit each; words: a bit for each
 * word of them that is not 0. With it a flush costs what it drops; clearing whole tables took
 * 100 ns more (bench-priv: sfence.vma).
 */
struct rv_filled {
    uint64_t words;
    uint64_t place[RV_TLB_WORDS];
};

struct rv_tlb {
    struct rv_tlb_entry load[RV_TLB_ENTRIES];
    struct rv_tlb_entry store[RV_TLB_ENTRIES];
    struct rv_filled filled;
    /* The page of the last load and store that found a device; gpa = va + addend. */
    struct rv_tlb_entry device[2];
};

/* Virtual addresses mapped by leaves larger than a page, of which the TLB holds pieces. */
struct rv_large {
    uint64_t first, last; /* none: first above last */
    uint64_t size;        /* of the largest leaf */
};

/*
 * Where entries of page tables that are no leaves have led walks to: the tables of the last
 * level, each of which maps 2 MiB, and those above them, 1 GiB. Only tables in RAM all of whose
 * bytes walks may read (PMP) are kept, with the entries on the way there: the fence of an
 * address, which need not order changes of these (privileged specification, section
 * "Supervisor Memory-Management Fence Instruction"), looks whether they are still the same,
 * so that a guest that relies on more than that is served too.
 */
#define RV_STEPS      32 /* kept of each of the two */
#define RV_STEP_LEVEL 2
#define RV_STEP_WAY   4 /* Sv57: entries above the last level */

struct rv_step {
    uint64_t tag; /* the address by what the table maps; UINT64_MAX: none */
    gpa_t table;
    uint8_t *host;
    unsigned way;
    const uint64_t *from[RV_STEP_WAY];
    uint64_t entry[RV_STEP_WAY];
};

struct rv_steps {
    struct rv_step step[RV_STEP_LEVEL][RV_STEPS];
    uint64_t filled; /* a bit for each */
};
_Static_assert(RV_STEP_LEVEL *RV_STEPS <= 64, "a bit for each");

struct code_page;

/*
 * Fetch side: decoded pages by virtual page. `stamp` is the page's own, which translated code
 * compares without a look at the page: the fields of pages all fall into the same few sets of
 * the host's caches.
 */
struct __attribute__((aligned(32))) rv_fetch_entry {
    uint64_t tag;
    struct code_page *page;
    uint32_t stamp;
};

struct rv_fetch {
    struct rv_fetch_entry entry[RV_TLB_ENTRIES];
    struct rv_filled filled;
};

/* Contexts of accesses below M-mode; each has its own tables, so changing privilege or SUM
 * flushes nothing. Fetches know the first two, by privilege. */
enum rv_context { RV_CTX_U, RV_CTX_S, RV_CTX_S_SUM, RV_SPACE_TLBS };
#define RV_SPACE_FETCHES 2

/*
 * What a hart remembers of an address space, by the whole value of satp: a switch between
 * spaces with numbers (ASID) moves a pointer and drops nothing (privileged specification,
 * section "Supervisor Address Translation and Protection (satp) Register").
 */
#define RV_SPACES 8

struct rv_space {
    uint64_t satp;
    uint64_t used;            /* the last switch to it, in switches */
    bool filled;              /* something was entered since all was dropped */
    struct rv_large large[2]; /* in the lower and the upper half of the address space */
    struct rv_steps steps;
    struct rv_tlb tlb[RV_SPACE_TLBS];
    struct rv_fetch fetch[RV_SPACE_FETCHES];
};

/*
 * What a load of translated code takes for its page's addend until the TLB says so. `left`: how
 * often it may still be wrong before it is RV_GUESS_NONE, which no addend is.
 */
#define RV_GUESSES    256
#define RV_GUESS_NONE 1
struct rv_guess {
    uintptr_t addend;
    int64_t left;
};

#define RV_PMP_ENTRIES 16

/* A hart. The registers stand first: generated and threaded code address them from its start.
 */
struct rv_hart {
    uint64_t x[33];         /* x[32] takes writes to x0 */
    struct rv_tlb *tlb;     /* of the current context */
    struct rv_fetch *fetch; /* of the current privilege */
    struct rv_space *space; /* of satp */
    uint64_t fences;        /* times that translations were dropped */
    uint64_t page_va;       /* translated code: the virtual page it runs in */
    uintptr_t host_sp;      /* the host's stack while no way back of a call is on it */
    uintptr_t code_base;    /* where the code cache is executed */
    const uint8_t *link;    /* and a jump of its that may be linked to h->pc, or NULL */
    const uint8_t *chain;   /* the same of a jump to another page: where its record stands */
    uint32_t fp_live;       /* 1: the host's FPU has the guest's rounding mode and flags */
    uint32_t mxcsr;         /* on its way to and from the FPU */
    uint64_t f[32];         /* NaN-boxed */
    uint64_t pc;            /* exact outside the engine's loop */
    struct hart *hart;
    struct vm *vm;

    uint8_t priv;
    uint8_t frm;
    struct fp_env fp; /* flags are fflags; rm is set for each operation */
    uint64_t mstatus; /* SD is computed on reading */
    _Atomic uint64_t mip;
    uint64_t mie;
    uint64_t medeleg, mideleg, mtvec, mcounteren, mscratch, mepc, mcause, mtval, menvcfg;
    uint64_t mcountinhibit;
    uint64_t mstateen[RV_STATEENS];
    uint64_t stvec, scounteren, senvcfg, sscratch, sepc, scause, stval, satp;
    uint8_t pmpcfg[RV_PMP_ENTRIES];
    uint64_t pmpaddr[RV_PMP_ENTRIES];
    bool pmp_open;  /* the entries let every privilege do everything */
    bool seip_soft; /* M-mode's own bit of SEIP, beside the controller's line in mip */

    uint64_t timer; /* stimecmp, SBI TIME: tick at which STIP rises while STCE is set */
    _Atomic uint64_t mtimer; /* mtimecmp: tick from which on MTIP is up; any thread writes it */

    /* LR/SC: the host address of the reserved word and the value seen there. */
    uintptr_t reserve_host; /* RV_NO_RESERVATION: none */
    uint64_t reserve_value;

    /* A trap on its way: slow paths leave it here and the loop takes it. */
    int64_t trap_cause;
    uint64_t trap_tval;
    bool misaligned_traps; /* fixed: misaligned loads and stores trap, so no access may hit the
                              TLB */
    bool device_access;    /* a slow access went to a device: look at requests after it */

    /*
     * Counting. steps: finished chunks; the current chunk adds chunk - left. instret is
     * steps - unretired, adjusted by what the guest writes.
     */
    uint64_t steps;
    int64_t chunk;
    int64_t left; /* brought up to date before slow paths that count */
    uint64_t unretired;
    uint64_t step_limit;
    uint64_t instret_base,
        cycle_base; /* added to the counts; the value itself when inhibited */
    struct rv_hpm hpm;

    struct rv_guess guess[RV_GUESSES]; /* the translator's */

    void *loop; /* the engine's own, beside the shared state */
    uint64_t space_clock;
    bool whole_walks;    /* every walk begins at the root, for tests */
    struct rv_tlb tlb_m; /* of M-mode, where nothing is translated */
    struct rv_fetch fetch_m;
    struct rv_space spaces[RV_SPACES];
};

#define RV_NO_RESERVATION UINTPTR_MAX

/* --- trap.c --- */

/* The state after reset, in the privilege given, at pc; x registers zero. */
void rv_reset(struct rv_hart *h, unsigned priv, uint64_t pc);

/* Enters the trap handler: cause is an exception, or RV_CAUSE_INTERRUPT | number. h->pc moves.
 */
void rv_trap(struct rv_hart *h, uint64_t cause, uint64_t tval, uint64_t pc);

/* The interrupt to take now (its number), or -1. */
int rv_interrupt(const struct rv_hart *h);

/* sret and mret: 0 with h->pc moved, or -1 when illegal here. */
int rv_sret(struct rv_hart *h);
int rv_mret(struct rv_hart *h);

/* Brings STIP and MTIP up to date with the timers and the clock; without STCE STIP is
 * software's. */
void rv_timer_update(struct rv_hart *h);

/* Writes stimecmp: STIP falls until the tick, or rises when it has passed. */
void rv_timer_set(struct rv_hart *h, uint64_t ticks);

/* Sets mtimecmp and MTIP at once, since M-mode clears its interrupt so. Any thread. */
void rv_mtimer_set(struct rv_hart *h, uint64_t ticks);

/* The next tick at which a timer fires that has not fired yet; UINT64_MAX: none will. */
uint64_t rv_timer_deadline(const struct rv_hart *h);

/* Could a hart be in this state? What would lead it astray is refused, the rest is WARL. */
bool rv_state_valid(const struct hart_state *s);
void rv_state_get(const struct rv_hart *h, struct hart_state *s);
void rv_state_set(struct rv_hart *h, const struct hart_state *s);

/* --- csr.c --- */

/*
 * Reads and writes a CSR with the checks of the current privilege; h->left is up to date. 0, or
 * -1: illegal instruction. mask has the bits that the instruction means to change, so that a
 * set or clear of one bit of mip loses no interrupt that arrives meanwhile. A write may change
 * context and drop translations: the loop looks at interrupts and fetches anew afterwards.
 */
int rv_csr_read(struct rv_hart *h, unsigned csr, bool will_write, uint64_t *value);
int rv_csr_write(struct rv_hart *h, unsigned csr, uint64_t value, uint64_t mask);

/* mstatus with SD; mip with every source. */
uint64_t rv_mstatus(const struct rv_hart *h);
uint64_t rv_mip(const struct rv_hart *h);

/* Steps taken so far, the current instruction included. */
static inline uint64_t rv_steps(const struct rv_hart *h)
{
    return h->steps + (uint64_t)(h->chunk - h->left);
}

extern const char rv_isa_string[];
extern const char *const rv_isa_extensions[];

/* --- mmode.c --- */

/* As engine.h has them: counter_get, counter_set, cycles_add, feature_set. */
uint64_t rv_counter_get(struct rv_hart *h, unsigned counter);
void rv_counter_set(struct rv_hart *h, unsigned counter, uint64_t value, bool counts);
void rv_cycles_add(struct rv_hart *h, uint64_t cycles);
int rv_feature_set(struct rv_hart *h, unsigned feature, uint64_t value);

/* --- mmu.c --- */

/* Where an access leads. */
struct rv_place {
    gpa_t gpa;
    uint8_t *host; /* NULL: not RAM */
};

/*
 * Translates [va, va+size), which lies in one page, with all permission checks, for the
 * effective privilege (MPRV respected unless fetching). RV_NO_TRAP, or the exception's cause
 * (h->trap_cause and trap_tval set too). Enters the TLB when the page allows it.
 */
int rv_translate(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                 struct rv_place *place);

/*
 * The slow side of loads and stores: any alignment, page crossing, MMIO. RV_NO_TRAP, or the
 * cause with h->trap_* set; a store that traps has stored nothing.
 */
int rv_load_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *value);
int rv_store_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t value);

/* For LR, SC and AMOs: the host address of an aligned word in RAM. Else the cause. */
int rv_atomic_place(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                    struct rv_place *place);

/* --- tlb.c --- */

/* Makes the tables empty; once, before anything else. */
void rv_tlb_init(struct rv_hart *h);

/* Selects the space of satp, after each change of it; rv_context_update comes after that. */
void rv_space_select(struct rv_hart *h);

/* Selects the TLB of the current privilege, SUM and MPRV. After each change of them. */
void rv_context_update(struct rv_hart *h);

/* Enters a page's place into the set of those that a flush must look at. */
static inline void rv_tlb_fill(struct rv_hart *h, struct rv_filled *filled, uint64_t va)
{
    unsigned i = (unsigned)(va >> 12) % RV_TLB_ENTRIES;

    filled->words |= 1ull << i / 64;
    filled->place[i / 64] |= 1ull << i % 64;
    h->space->filled = true;
}

/* The place of a step to the table of a level, 0 or 1, that maps va. */
static inline struct rv_step *rv_step_place(struct rv_space *space, uint64_t va, unsigned level)
{
    return &space->steps.step[level][va >> (21 + 9 * level) & (RV_STEPS - 1)];
}

/* Drops everything, of M-mode and of fetches too. */
void rv_tlb_flush(struct rv_hart *h);
void rv_fetch_flush(struct rv_hart *h); /* fetch entries only */
/* Visits every fetch entry of every context that is not empty. */
void rv_fetch_each(struct rv_hart *h,
                   void (*visit)(struct rv_hart *h, struct rv_fetch_entry *entry));

/*
 * sfence.vma: what the walks made of one address, whatever the size of its leaf, in one address
 * space; RV_ANY, which is no page and no number: in all. Mappings that are global are those of
 * each space, and go with it: more may always be dropped.
 */
#define RV_ANY UINT64_MAX
void rv_tlb_fence(struct rv_hart *h, uint64_t va, uint64_t asid);

/* --- pmp.c --- */

/* May [gpa, gpa+size) be accessed? */
bool rv_pmp_allows(const struct rv_hart *h, gpa_t gpa, uint64_t size, unsigned priv,
                   enum rv_access access);
/* Does one verdict hold for the whole page? */
bool rv_pmp_uniform(const struct rv_hart *h, gpa_t gpa);
uint64_t rv_pmpcfg_read(const struct rv_hart *h, unsigned reg);
void rv_pmpcfg_write(struct rv_hart *h, unsigned reg, uint64_t value);
void rv_pmpaddr_write(struct rv_hart *h, unsigned i, uint64_t value);
/* Brings h->pmp_open up to date and drops translations. */
void rv_pmp_update(struct rv_hart *h);

#endif
