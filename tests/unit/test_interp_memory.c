/* test_interp_memory.c: the interpreter's address translation, TLB and memory protection. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/machine.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define PMP_R     0x01u
#define PMP_W     0x02u
#define PMP_X     0x04u
#define PMP_TOR   0x08u
#define PMP_NA4   0x10u
#define PMP_NAPOT 0x18u
#define PMP_L     0x80u

/* Instructions of the accesses that are tried: at t0; a0 is read or written. */
static uint32_t access_word(enum rv_access access)
{
    switch (access) {
    case RV_FETCH: return AS_I(jalr, ZERO, T0, 0);
    case RV_LOAD: return AS_I(ld, A0, T0, 0);
    default: return AS_S(sd, A0, T0, 0);
    }
}

/*
 * Tries an access to va from `priv`, whose code page is mapped, with an empty TLB. 0 when it
 * went well, else the cause; the trap must name va. Fetches go to code that the caller put
 * there.
 */
static uint64_t access_try(struct machine *m, unsigned priv, enum rv_access access, uint64_t va)
{
    uint64_t pc = priv == PRIV_M ? CODE : priv == PRIV_S ? V_CODE : V_USER;

    if (!(m->s.satp >> 60))
        pc = CODE;
    PUT(m, CODE, access_word(access));
    m->s.x[T0] = va;
    m->s.mcause = 0;
    machine_go(m, priv, pc, access == RV_FETCH ? 2 : 1);
    if (m->s.pc != HANDLER)
        return 0;
    CU_ASSERT_EQUAL(m->s.mtval, va);
    CU_ASSERT_EQUAL(m->s.mepc, access == RV_FETCH ? va : pc);
    return m->s.mcause;
}

static const uint64_t page_faults[] = {
    [RV_FETCH] = RV_FETCH_PAGE, [RV_LOAD] = RV_LOAD_PAGE, [RV_STORE] = RV_STORE_PAGE};
static const uint64_t access_faults[] = {
    [RV_FETCH] = RV_FETCH_ACCESS, [RV_LOAD] = RV_LOAD_ACCESS, [RV_STORE] = RV_STORE_ACCESS};

/* --- translation --- */

/* Three, four and five levels: the same pages, and addresses that are not canonical. */
static void test_modes(void)
{
    struct machine m;

    for (unsigned levels = 3; levels <= 5; levels++) {
        uint64_t half = 1ull << (11 + 9 * levels); /* the first that is not canonical */
        uint64_t high = 0 - half;                  /* the lowest of the upper half */

        machine_init(&m, START_FIRMWARE, 1);
        machine_paging(&m, levels);
        PUT(&m, DATA, AS_SELF);
        *machine_pte(&m, high, 0) = PTE_OF(DATA, PTE_RW | PTE_X);
        *machine_pte(&m, half - 4096, 0) = PTE_OF(DATA, PTE_RW | PTE_X);
        for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++) {
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, high), 0);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, half - 4096), 0);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, half), page_faults[access]);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, high - 4096), page_faults[access]);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, high ^ 1ull << 63),
                            page_faults[access]);
        }
        machine_destroy(&m);
    }
}

/* Leaves above the lowest level. */
static void check_superpage(unsigned levels, unsigned level)
{
    uint64_t size = 1ull << (12 + 9 * level), at = 4 * size;
    gpa_t base = CODE & ~(size - 1);
    uint64_t to = at + (DATA - base);
    struct machine m;
    uint64_t *pte;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, levels);
    machine_poke(&m, DATA, 0x77);
    pte = machine_pte(&m, at, level);
    *pte = PTE_OF(base, PTE_RW);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, to), 0);
    CU_ASSERT_EQUAL(m.s.x[A0], 0x77);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_FETCH, to), RV_FETCH_PAGE);
    /* Bits below the page's size: misaligned. */
    *pte = PTE_OF(base | size >> 1, PTE_RW);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, to), RV_LOAD_PAGE);
    *pte = PTE_OF(base | 4096, PTE_RW | PTE_X);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, to), RV_STORE_PAGE);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_FETCH, to), RV_FETCH_PAGE);
    machine_destroy(&m);
}

static void test_superpages(void)
{
    for (unsigned levels = 3; levels <= 5; levels++)
        for (unsigned level = 1; level < levels; level++)
            check_superpage(levels, level);
}

/*
 * What each bit of a leaf allows: load, store and fetch by S and by U. Without A, or without D
 * for stores, nothing (Svade); W without R is reserved, as are the bits from 54 on; RSW is
 * software's; a pointer at the lowest level leads nowhere.
 */
static void test_leaf(void)
{
    enum { L = 1, S = 2, F = 4 };
    static const struct {
        uint64_t pte;
        unsigned by_s, by_u; /* what works */
    } cases[] = {
        {0,                             0,         0        },
        {PTE_RW,                        L | S,     0        },
        {PTE_RX,                        L | F,     0        },
        {PTE_RW | PTE_X,                L | S | F, 0        },
        {PTE_V | PTE_R | PTE_A,         L,         0        },
        {PTE_V | PTE_X | PTE_A,         F,         0        },
        {PTE_RW | PTE_X | PTE_U,        0,         L | S | F},
        {PTE_RX | PTE_U,                0,         L | F    },
        {PTE_RW | PTE_X | PTE_G,        L | S | F, 0        },
        {PTE_RW | PTE_X | 3ull << 8,    L | S | F, 0        },
        {(PTE_RW | PTE_X) & ~PTE_V,     0,         0        },
        {(PTE_RW | PTE_X) & ~PTE_A,     0,         0        },
        {(PTE_RW | PTE_X) & ~PTE_D,     L | F,     0        },
        {PTE_V | PTE_W | PTE_A | PTE_D, 0,         0        },
        {(PTE_RW | PTE_X) & ~PTE_R,     0,         0        },
        {PTE_RW | PTE_X | 1ull << 54,   0,         0        },
        {PTE_RW | PTE_X | 1ull << 60,   0,         0        },
        {PTE_V,                         0,         0        },
        {PTE_V | PTE_G,                 0,         0        },
    };
    const uint64_t va = V_DATA + 4096;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    PUT(&m, DATA + 4096, AS_SELF);
    for (size_t i = 0; i < COUNT(cases); i++) {
        *machine_pte(&m, va, 0) = PTE_OF(DATA + 4096, cases[i].pte);
        for (unsigned priv = PRIV_U; priv <= PRIV_S; priv++) {
            unsigned works = priv == PRIV_S ? cases[i].by_s : cases[i].by_u;
            static const unsigned bit[] = {[RV_FETCH] = F, [RV_LOAD] = L, [RV_STORE] = S};

            for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++) {
                uint64_t want = works & bit[access] ? 0 : page_faults[access];

                if (access_try(&m, priv, access, va) != want) {
                    printf("\n    pte %#llx, priv %u, access %d: %llu\n",
                           (unsigned long long)cases[i].pte, priv, (int)access,
                           (unsigned long long)m.s.mcause);
                    CU_FAIL("a leaf's permission");
                }
            }
        }
    }
    machine_destroy(&m);
}

/* Entries that point to tables. */
static void test_pointers(void)
{
    static const uint64_t bad[] = {PTE_A, PTE_D, PTE_U, 1ull << 54, 1ull << 61, 1ull << 63};
    struct machine m;
    uint64_t *pointer, good;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    pointer = machine_pte(&m, V_DATA, 1);
    good = *pointer;
    for (size_t i = 0; i < COUNT(bad); i++) {
        *pointer = good | bad[i];
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), RV_LOAD_PAGE);
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), RV_STORE_PAGE);
    }
    *pointer = good | PTE_G | 3ull << 8;
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), 0);
    /* A table where there is no memory: access faults, of the kind of the access. */
    *pointer = PTE_OF(NOWHERE, PTE_V);
    for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++)
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, V_DATA), access_faults[access]);
    *pointer = PTE_OF((1ull << 56) - 4096, PTE_V);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), RV_STORE_ACCESS);
    /* A page where there is none. */
    *pointer = good;
    *machine_pte(&m, V_DATA, 0) = PTE_OF(NOWHERE, PTE_RW | PTE_X);
    for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++)
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, V_DATA), access_faults[access]);
    machine_destroy(&m);
}

/* A page for loads only: they find it with and without the TLB, and nothing else does. */
static void test_rom(void)
{
    const gpa_t rom = UINT64_C(0x70000000);
    struct machine m;
    uint8_t *host;

    machine_init(&m, START_FIRMWARE, 1);
    CU_ASSERT_EQUAL_FATAL(mem_add_rom(&m.vm.mem, rom, MEM_PAGE_SIZE, &host), 0);
    memset(host, 0x5a, MEM_PAGE_SIZE);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(rom, PTE_RW | PTE_X);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t va = i ? rom : V_DATA;
        unsigned priv = i ? PRIV_M : PRIV_S;

        m.vm.hart[0].exits[EXIT_MMIO] = 0;
        CU_ASSERT_EQUAL(access_try(&m, priv, RV_LOAD, va + 8), 0);
        CU_ASSERT_EQUAL(m.s.x[A0], UINT64_C(0x5a5a5a5a5a5a5a5a));
        CU_ASSERT_EQUAL(m.vm.hart[0].exits[EXIT_MMIO], 0);
        CU_ASSERT_EQUAL(access_try(&m, priv, RV_STORE, va + 8), RV_STORE_ACCESS);
        CU_ASSERT_EQUAL(access_try(&m, priv, RV_FETCH, va + 8), RV_FETCH_ACCESS);
    }
    /* What the TLB has of a load does not serve a store; nor do atomics get through. */
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_S(sd, T1, T0, 0));
    m.s.x[T0] = rom;
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, rom, CODE + 4));
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_R(amoadd_d, A0, T0, T1));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, rom, CODE + 4));
    PUT(&m, CODE, AS_R(lr_d, A0, T0, 0), AS_R(sc_d, A0, T0, T1));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, rom, CODE + 4));
    m.s.x[T0] = rom - 4; /* half of it is nowhere */
    PUT(&m, CODE, AS_I(ld, A0, T0, 0));
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.pc, HANDLER);
    m.s.x[T0] = rom + MEM_PAGE_SIZE - 4;
    PUT(&m, CODE, AS_S(sd, T1, T0, 0));
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mcause, RV_STORE_ACCESS);
    /* A table in it: access fault. */
    *machine_pte(&m, V_DATA, 1) = PTE_OF(rom, PTE_V);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), RV_LOAD_ACCESS);
    for (unsigned i = 0; i < MEM_PAGE_SIZE; i++)
        CU_ASSERT_EQUAL(host[i], 0x5a);
    machine_destroy(&m);
}

/* sstatus.SUM opens user pages to loads and stores, never to fetches. */
static void test_sum(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(DATA, PTE_RW | PTE_X | PTE_U);
    m.s.mstatus |= RV_SUM;
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), 0);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), 0);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_FETCH, V_DATA), RV_FETCH_PAGE);
    /* On, off and on again, with what the TLB has learnt meanwhile. */
    m.s.x[T0] = V_DATA;
    m.s.x[T1] = RV_SUM;
    PUT(&m, CODE, AS_CSR(csrrs, ZERO, SSTATUS, T1), AS_I(ld, A0, T0, 0), AS_S(sd, A0, T0, 0),
        AS_CSR(csrrc, ZERO, SSTATUS, T1), AS_I(ld, A0, T0, 0));
    m.s.mstatus &= ~RV_SUM;
    machine_go(&m, PRIV_S, V_CODE, 5);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_PAGE, V_DATA, V_CODE + 16));
    PUT(&m, CODE + 16, AS_S(sd, A0, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 5);
    CU_ASSERT(machine_trapped(&m, RV_STORE_PAGE, V_DATA, V_CODE + 16));
    machine_destroy(&m);
}

/* sstatus.MXR lets loads read what may be executed. */
static void test_mxr(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(DATA, PTE_V | PTE_X | PTE_A);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), RV_LOAD_PAGE);
    m.s.mstatus |= RV_MXR;
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA), 0);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), RV_STORE_PAGE);
    m.s.x[T0] = V_DATA;
    m.s.x[T1] = RV_MXR;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_CSR(csrrc, ZERO, SSTATUS, T1), AS_I(ld, A0, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 3);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_PAGE, V_DATA, V_CODE + 8));
    machine_destroy(&m);
}

/* mstatus.MPRV: M-mode's loads and stores as those of MPP; its fetches not. */
static void test_mprv(void)
{
    const uint32_t load = AS_I(ld, A0, T0, 0);
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA + 4096, 0) = PTE_OF(DATA + 4096, PTE_RW | PTE_U);
    machine_poke(&m, DATA, 11);
    machine_poke(&m, DATA + 4096, 22);
    PUT(&m, CODE, load);
    for (unsigned mpp = PRIV_U; mpp <= PRIV_M; mpp += mpp + 1) {
        m.s.mstatus = (m.s.mstatus & ~RV_MPP) | RV_MPRV | (uint64_t)mpp << RV_MPP_SHIFT;
        m.s.x[T0] = V_DATA;
        machine_go(&m, PRIV_M, CODE, 1);
        if (mpp == PRIV_S)
            CU_ASSERT(m.s.pc == CODE + 4 && m.s.x[A0] == 11);
        if (mpp == PRIV_U)
            CU_ASSERT(machine_trapped(&m, RV_LOAD_PAGE, V_DATA, CODE));
        if (mpp == PRIV_M)
            CU_ASSERT(machine_trapped(&m, RV_LOAD_ACCESS, V_DATA, CODE));
        m.s.mstatus = (m.s.mstatus & ~RV_MPP) | RV_MPRV | (uint64_t)mpp << RV_MPP_SHIFT;
        m.s.x[T0] = V_DATA + 4096;
        machine_go(&m, PRIV_M, CODE, 1);
        if (mpp == PRIV_U)
            CU_ASSERT(m.s.pc == CODE + 4 && m.s.x[A0] == 22);
        if (mpp == PRIV_S)
            CU_ASSERT(machine_trapped(&m, RV_LOAD_PAGE, V_DATA + 4096, CODE));
    }
    /* Switched on and off by instructions: the very next access goes by it. */
    m.s.x[T0] = V_DATA;
    m.s.x[T1] = RV_MPRV;
    m.s.x[T2] = DATA + 8;
    machine_poke(&m, DATA + 8, 33);
    m.s.mstatus = (m.s.mstatus & ~(RV_MPP | RV_MPRV)) | (uint64_t)PRIV_S << RV_MPP_SHIFT;
    PUT(&m, CODE, AS_CSR(csrrs, ZERO, MSTATUS, T1), AS_I(ld, A0, T0, 0),
        AS_CSR(csrrc, ZERO, MSTATUS, T1), AS_I(ld, A1, T2, 0));
    machine_go(&m, PRIV_M, CODE, 4);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 16);
    CU_ASSERT_EQUAL(m.s.x[A0], 11);
    CU_ASSERT_EQUAL(m.s.x[A1], 33);
    /* mret to a lower level clears it, mret to M-mode does not. */
    PUT(&m, CODE, AS_N(mret));
    m.s.mstatus |= RV_MPRV;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mstatus & RV_MPRV, 0);
    m.s.mstatus |= RV_MPRV | RV_MPP;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mstatus & RV_MPRV, RV_MPRV);
    machine_destroy(&m);
}

/* satp: modes that do not exist change nothing. */
static void test_satp(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_CSRW(SATP, T0), AS_CSRR(A0, SATP));
    for (unsigned mode = 0; mode < 16; mode++) {
        bool known = mode == 0 || (mode >= 8 && mode <= 10);

        m.s.satp = 0;
        m.s.x[T0] = (uint64_t)mode << 60 | 0x1234;
        machine_go(&m, PRIV_M, CODE, 2);
        CU_ASSERT_EQUAL(m.s.x[A0], known ? m.s.x[T0] : 0);
    }
    machine_destroy(&m);
}

/* --- the TLB --- */

/* A changed entry may be used at once or not, but after sfence.vma it is. */
static void check_sfence(uint32_t sfence, bool page_only)
{
    struct machine m;
    uint64_t *pte;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    machine_poke(&m, DATA, 1);
    machine_poke(&m, DATA + 4096, 2);
    pte = machine_pte(&m, V_DATA, 0);
    m.s.x[T0] = V_DATA;
    m.s.x[T1] = page_only ? V_DATA + 0x123 : V_DATA + 4096;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_I(ld, A1, T0, 0), sfence, AS_I(ld, A2, T0, 0),
        AS_S(sd, A2, T0, 8), sfence, AS_S(sd, A2, T0, 8));
    machine_go(&m, PRIV_S, V_CODE, 1);
    CU_ASSERT_EQUAL(m.s.x[A0], 1);
    *pte = PTE_OF(DATA + 4096, PTE_RW);
    machine_run(&m, 1);
    CU_ASSERT(m.s.x[A1] == 1 || m.s.x[A1] == 2);
    machine_run(&m, 2);
    CU_ASSERT_EQUAL(m.s.x[A2], 2);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA + 4096 + 8), 2);
    *pte = PTE_OF(DATA + 4096, PTE_RW & ~PTE_D);
    machine_run(&m, 2);
    CU_ASSERT(machine_trapped(&m, RV_STORE_PAGE, V_DATA + 8, V_CODE + 24));
    machine_destroy(&m);
}

static void test_sfence(void)
{
    check_sfence(AS_R(sfence_vma, ZERO, ZERO, ZERO), false);
    check_sfence(AS_R(sfence_vma, ZERO, T1, ZERO), true);
    check_sfence(AS_R(sfence_vma, ZERO, T1, T2), true); /* with ASID t2 = 0 */
}

/* The same of another hart's, for pages and ranges. */
static void test_sfence_remote(void)
{
    static const struct hart_fence fences[] = {
        {FENCE_VMA,      0,                    UINT64_MAX,     0},
        {FENCE_VMA,      V_DATA,               4096,           0},
        {FENCE_VMA,      V_DATA + 4095,        1,              0},
        {FENCE_VMA,      V_DATA - 1,           2,              0},
        {FENCE_VMA,      V_DATA - 4096 * 62,   4096 * 63,      0},
        {FENCE_VMA,      V_DATA - 4096 * 1000, 4096 * 2000,    0},
        {FENCE_VMA,      V_DATA - 8,           UINT64_MAX - 8, 0},
        {FENCE_VMA_ASID, V_DATA,               4096,           0},
    };
    struct machine m;
    uint64_t *pte;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    machine_poke(&m, DATA, 1);
    machine_poke(&m, DATA + 4096, 2);
    pte = machine_pte(&m, V_DATA, 0);
    m.s.x[T0] = V_DATA;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_I(ld, A1, T0, 0));
    for (size_t i = 0; i < COUNT(fences); i++) {
        *pte = PTE_OF(DATA, PTE_RW);
        machine_go(&m, PRIV_S, V_CODE, 1);
        *pte = PTE_OF(DATA + 4096, PTE_RW);
        m.vm.engine->fence(&m.vm.hart[0], &fences[i]);
        machine_run(&m, 1);
        CU_ASSERT_EQUAL(m.s.x[A0], 1);
        CU_ASSERT_EQUAL(m.s.x[A1], 2);
    }
    machine_destroy(&m);
}

/* Any address of a superpage names all of it: its pieces in the TLB go together. */
static void test_sfence_superpage(void)
{
    const uint64_t size = 2u << 20, at = 4 * size, here = at + (DATA - CODE);
    const struct hart_fence fence = {.kind = FENCE_VMA, .start = at + size - 4096, .size = 8};
    struct machine m;
    uint64_t *pte;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    machine_poke(&m, DATA, 1);
    machine_poke(&m, DATA + size, 2);
    pte = machine_pte(&m, at, 1);
    m.s.x[T0] = here;
    m.s.x[T1] = at + size - 8;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_R(sfence_vma, ZERO, T1, ZERO), AS_I(ld, A1, T0, 0));
    *pte = PTE_OF(CODE, PTE_RW);
    machine_go(&m, PRIV_S, V_CODE, 1);
    *pte = PTE_OF(CODE + size, PTE_RW);
    machine_run(&m, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 1);
    CU_ASSERT_EQUAL(m.s.x[A1], 2);
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_I(ld, A1, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 1);
    *pte = PTE_OF(CODE, PTE_RW);
    m.vm.engine->fence(&m.vm.hart[0], &fence);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(m.s.x[A0], 2);
    CU_ASSERT_EQUAL(m.s.x[A1], 1);
    machine_destroy(&m);
}

/* Code moves: fetches go by sfence.vma too. */
static void test_sfence_fetch(void)
{
    struct machine m;
    uint64_t *pte;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    PUT(&m, DATA, AS_I(addi, A0, ZERO, 1), AS_I(jalr, ZERO, RA, 0));
    PUT(&m, DATA + 4096, AS_I(addi, A0, ZERO, 2), AS_I(jalr, ZERO, RA, 0));
    pte = machine_pte(&m, V_DATA, 0);
    *pte = PTE_OF(DATA, PTE_RX);
    m.s.x[T0] = V_DATA;
    PUT(&m, CODE, AS_I(jalr, RA, T0, 0), AS_R(sfence_vma, ZERO, T0, ZERO),
        AS_I(jalr, RA, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], 1);
    *pte = PTE_OF(DATA + 4096, PTE_RX);
    machine_run(&m, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], 2);
    *pte = PTE_OF(DATA, PTE_RX);
    machine_run(&m, 1);
    machine_destroy(&m);
}

/* Pages that meet in one entry of the table keep apart. */
static void test_tlb_conflicts(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t va = V_DATA + (uint64_t)i * RV_TLB_ENTRIES * 4096;

        machine_poke(&m, DATA + i * 4096, 100 + i);
        *machine_pte(&m, va, 0) = PTE_OF(DATA + i * 4096, PTE_RW);
    }
    m.s.x[T1] = (uint64_t)RV_TLB_ENTRIES * 4096;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_R(add, T0, T0, T1), AS_I(ld, A1, T0, 0),
        AS_R(add, T0, T0, T1), AS_I(ld, A2, T0, 0), AS_R(sub, T0, T0, T1), AS_I(ld, A3, T0, 0),
        AS_R(sub, T0, T0, T1), AS_I(ld, A4, T0, 0));
    m.s.x[T0] = V_DATA;
    machine_go(&m, PRIV_S, V_CODE, 9);
    CU_ASSERT_EQUAL(m.s.pc, V_CODE + 36);
    for (unsigned i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(m.s.x[A0 + i], 100 + (i < 3 ? i : 4 - i));
    machine_destroy(&m);
}

/* --- accesses and instructions over two pages --- */

static void test_crossing(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    /* The virtual neighbours are no neighbours in memory. */
    *machine_pte(&m, V_DATA + 4096, 0) = PTE_OF(DATA + 0x8000, PTE_RW);
    for (unsigned first = 1; first < 8; first++) {
        uint64_t va = V_DATA + 4096 - first, value = 0x8899aabbccddeeff;

        machine_poke(&m, DATA + 4096 - 8, 0);
        machine_poke(&m, DATA + 0x8000, 0);
        m.s.x[A0] = value;
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, va), 0);
        CU_ASSERT_EQUAL(machine_peek(&m, DATA + 4096 - 8), value << (8 * (8 - first)));
        CU_ASSERT_EQUAL(machine_peek(&m, DATA + 0x8000), value >> (8 * first));
        m.s.x[A0] = 0;
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, va), 0);
        CU_ASSERT_EQUAL(m.s.x[A0], value);
    }
    machine_destroy(&m);
}

/* Faults over two pages name the page, and store nothing. */
static void test_crossing_faults(void)
{
    const uint64_t va = V_DATA + 4096 - 4, second = V_DATA + 4096;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    machine_poke(&m, DATA + 4096 - 8, 5);
    m.s.x[T0] = va;
    m.s.x[A0] = UINT64_MAX;
    *machine_pte(&m, second, 0) = PTE_OF(DATA + 4096, PTE_V | PTE_R | PTE_A);
    PUT(&m, CODE, AS_S(sd, A0, T0, 0), AS_I(ld, A0, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_STORE_PAGE, second, V_CODE));
    CU_ASSERT_EQUAL(machine_peek(&m, DATA + 4096 - 8), 5);
    *machine_pte(&m, second, 0) = 0;
    machine_go(&m, PRIV_S, V_CODE + 4, 1);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_PAGE, second, V_CODE + 4));
    CU_ASSERT_EQUAL(m.s.x[A0], UINT64_MAX);
    /* The first page fails first. */
    *machine_pte(&m, V_DATA, 0) = 0;
    machine_go(&m, PRIV_S, V_CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_STORE_PAGE, va, V_CODE));
    /* With the first page known to the TLB. */
    *machine_pte(&m, V_DATA, 0) = PTE_OF(DATA, PTE_RW);
    PUT(&m, CODE, AS_S(sw, A0, T0, -8), AS_S(sd, A0, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_STORE_PAGE, second, V_CODE + 4));
    CU_ASSERT_EQUAL(machine_peek(&m, DATA + 4096 - 8), 5);
    machine_destroy(&m);
}

/* An instruction whose second half is on a page that cannot be fetched. */
static void test_instruction_crossing(void)
{
    const uint32_t add = AS_I(addi, A0, ZERO, 0x155);
    const uint64_t second = V_CODE + 4096;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    /* Its halves lie in pages that are no neighbours in memory. */
    *machine_pte(&m, second, 0) = PTE_OF(DATA, PTE_RX);
    PUT(&m, CODE + 4092, AS_HALVES(0x0001, add & 0xffff));
    PUT(&m, DATA, AS_HALVES(add >> 16, 0x0001));
    machine_go(&m, PRIV_S, V_CODE + 4092, 3);
    CU_ASSERT_EQUAL(m.s.pc, second + 4);
    CU_ASSERT_EQUAL(m.s.x[A0], 0x155);
    m.s.x[A0] = 0;
    *machine_pte(&m, second, 0) = PTE_OF(DATA, PTE_RW);
    machine_go(&m, PRIV_S, V_CODE + 4092, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_PAGE, second, V_CODE + 4094));
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    *machine_pte(&m, second, 0) = PTE_OF(NOWHERE, PTE_RX);
    machine_go(&m, PRIV_S, V_CODE + 4094, 1);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, second, V_CODE + 4094));
    /* A two-byte instruction there needs no second page. */
    PUT(&m, CODE + 4092, AS_HALVES(0x0001, 0x0001));
    machine_go(&m, PRIV_S, V_CODE + 4094, 1);
    CU_ASSERT_EQUAL(m.s.pc, second);
    machine_destroy(&m);
}

/* --- physical memory protection --- */

static void pmp_set(struct machine *m, unsigned i, unsigned cfg, uint64_t addr)
{
    m->s.pmpcfg[i / 8] &= ~(0xffull << (8 * (i % 8)));
    m->s.pmpcfg[i / 8] |= (uint64_t)cfg << (8 * (i % 8));
    m->s.pmpaddr[i] = addr;
}

static uint64_t napot(gpa_t base, uint64_t size)
{
    return (base >> 2) | ((size >> 3) - 1);
}

/* Without a matching entry S and U may do nothing, M everything. */
static void test_pmp_none(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    pmp_set(&m, 15, 0, 0);
    PUT(&m, CODE, AS_NOP);
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE, CODE));
    machine_go(&m, PRIV_U, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE, CODE));
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_STORE, DATA), 0);
    machine_destroy(&m);
}

/* Every permission, by a NAPOT entry over one page; entry 0 goes before entry 15. */
static void test_pmp_permissions(void)
{
    static const unsigned need[] = {[RV_FETCH] = PMP_X, [RV_LOAD] = PMP_R, [RV_STORE] = PMP_W};
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, DATA, AS_SELF);
    for (unsigned cfg = 0; cfg < 8; cfg++) {
        if ((cfg & (PMP_R | PMP_W)) == PMP_W)
            continue;
        pmp_set(&m, 0, PMP_NAPOT | cfg, napot(DATA, 4096));
        for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++) {
            uint64_t want = cfg & need[access] ? 0 : access_faults[access];

            CU_ASSERT_EQUAL(access_try(&m, PRIV_U, access, DATA), want);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, DATA), want);
            CU_ASSERT_EQUAL(access_try(&m, PRIV_M, access, DATA), 0);
            /* The page beside it is entry 15's. */
            CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, DATA + 4096), 0);
        }
    }
    machine_destroy(&m);
}

/* Ranges smaller than a page, by their edges; the last two are empty. */
static void test_pmp_ranges(void)
{
    static const struct {
        unsigned cfg;       /* of entry 1 */
        uint64_t low, addr; /* pmpaddr0 and 1, in units of 4 bytes from DATA */
        unsigned first, last;
    } cases[] = {
        {PMP_NA4,   0, 4,    16, 19  },
        {PMP_NAPOT, 0, 4,    16, 23  },
        {PMP_NAPOT, 0, 9,    32, 47  },
        {PMP_TOR,   4, 6,    16, 23  },
        {PMP_TOR,   5, 6,    20, 23  },
        {PMP_TOR,   0, 1024, 0,  4095},
        {PMP_TOR,   6, 6,    1,  0   },
        {PMP_TOR,   7, 6,    1,  0   },
    };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_I(lb, A0, T0, 0));
    for (size_t i = 0; i < COUNT(cases); i++) {
        pmp_set(&m, 0, 0, (DATA >> 2) + cases[i].low);
        pmp_set(&m, 1, cases[i].cfg, (DATA >> 2) + cases[i].addr); /* nothing allowed */
        for (unsigned at = 0; at < 64; at++) {
            bool inside = at >= cases[i].first && at <= cases[i].last;

            m.s.x[T0] = DATA + at;
            machine_go(&m, PRIV_S, CODE, 1);
            if (inside) {
                CU_ASSERT(machine_trapped(&m, RV_LOAD_ACCESS, DATA + at, CODE));
            } else {
                CU_ASSERT_EQUAL(m.s.pc, CODE + 4);
            }
        }
    }
    machine_destroy(&m);
}

/* An access that an entry matches in part fails, though each part is allowed. */
static void test_pmp_partial(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    pmp_set(&m, 0, PMP_NA4 | PMP_R | PMP_W, (DATA >> 2) + 2);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, DATA + 8), RV_LOAD_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, DATA + 4), RV_LOAD_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, DATA + 4), RV_STORE_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, DATA), 0);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, DATA + 12), 0);
    PUT(&m, CODE, AS_I(lw, A0, T0, 0));
    m.s.x[T0] = DATA + 8;
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 4);
    machine_destroy(&m);
}

/* What one access may do is not remembered for others in a divided page. */
static void test_pmp_divided_page(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    pmp_set(&m, 0, PMP_NAPOT, napot(DATA + 64, 64));
    m.s.x[T0] = DATA;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_S(sd, A0, T0, 8), AS_I(ld, A0, T0, 56),
        AS_I(ld, A0, T0, 128), AS_I(ld, A0, T0, 64));
    machine_go(&m, PRIV_S, CODE, 5);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_ACCESS, DATA + 64, CODE + 16));
    PUT(&m, CODE + 16, AS_S(sb, A0, T0, 127));
    machine_go(&m, PRIV_S, CODE, 5);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, DATA + 127, CODE + 16));
    PUT(&m, CODE, AS_R(amoadd_d, A0, T0, A1), AS_I(addi, T0, T0, 64),
        AS_R(amoadd_d, A0, T0, A1));
    machine_go(&m, PRIV_S, CODE, 3);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, DATA + 64, CODE + 8));
    machine_destroy(&m);
}

/* A page of which the first half may be executed. */
static void test_pmp_divided_code(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    pmp_set(&m, 0, PMP_NAPOT | PMP_R | PMP_X, napot(CODE, 32));
    pmp_set(&m, 1, PMP_NAPOT | PMP_R, napot(CODE, 4096));
    PUT(&m, CODE, AS_I(addi, A0, ZERO, 3), /* a loop, then over the edge */
        AS_HALVES(0x157d, 0x0001),         /* c.addi a0, -1; c.nop */
        AS_B(bne, A0, ZERO, -4), AS_NOP, AS_NOP, AS_NOP, AS_NOP, AS_NOP, AS_NOP);
    machine_go(&m, PRIV_S, CODE, 1 + 3 * 3 + 5 + 1);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE + 32, CODE + 32));
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    CU_ASSERT_EQUAL(m.s.instret, 1 + 3 * 3 + 5);
    /* An instruction over the edge: its second half is named. */
    PUT(&m, CODE + 28, AS_HALVES(0x0001, 0x0013), AS_HALVES(0x0000, 0x0001));
    machine_go(&m, PRIV_S, CODE + 28, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE + 32, CODE + 30));
    /* Jumps into the other half; M-mode may go there. */
    PUT(&m, CODE, AS_J(ZERO, 36));
    PUT(&m, CODE + 36, AS_I(addi, A0, ZERO, 9));
    machine_go(&m, PRIV_S, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE + 36, CODE + 36));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 9);
    /* Code that changes in a divided page. */
    m.s.x[T0] = CODE + 12;
    m.s.x[T1] = AS_I(addi, A0, ZERO, 2);
    pmp_set(&m, 0, PMP_NAPOT | PMP_R | PMP_W | PMP_X, napot(CODE, 32));
    PUT(&m, CODE, AS_I(addi, A0, ZERO, 1), AS_S(sw, T1, T0, 0), AS_N(fence_i),
        AS_I(addi, A0, ZERO, 1));
    machine_go(&m, PRIV_S, CODE, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], 2);
    machine_destroy(&m);
}

/* Locked entries bind M-mode and cannot be written. */
static void test_pmp_locked(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    pmp_set(&m, 2, PMP_L | PMP_NAPOT | PMP_R, napot(DATA, 4096));
    pmp_set(&m, 3, 0, (DATA + 4096) >> 2);
    pmp_set(&m, 4, PMP_L | PMP_TOR, (DATA + 8192) >> 2);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_LOAD, DATA), 0);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_STORE, DATA), RV_STORE_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_FETCH, DATA), RV_FETCH_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_LOAD, DATA + 4096), RV_LOAD_ACCESS);
    CU_ASSERT_EQUAL(access_try(&m, PRIV_M, RV_LOAD, DATA + 8192), 0);
    m.s.x[T0] = 0x1f1f1f1f1f1f1f1f;
    m.s.x[T1] = 0x123;
    PUT(&m, CODE, AS_CSRW(PMPCFG0, T0), AS_CSRW(PMPADDR0 + 2, T1), AS_CSRW(PMPADDR0 + 3, T1),
        AS_CSRW(PMPADDR0 + 4, T1), AS_CSRW(PMPADDR0 + 5, T1));
    machine_go(&m, PRIV_M, CODE, 5);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 20);
    CU_ASSERT_EQUAL(m.s.pmpcfg[0], 0x1f1f1f881f991f1f);
    CU_ASSERT_EQUAL(m.s.pmpaddr[2], napot(DATA, 4096));
    CU_ASSERT_EQUAL(m.s.pmpaddr[3], (DATA + 4096) >> 2); /* the bottom of a locked range */
    CU_ASSERT_EQUAL(m.s.pmpaddr[4], (DATA + 8192) >> 2);
    CU_ASSERT_EQUAL(m.s.pmpaddr[5], 0x123);
    machine_destroy(&m);
}

/* The registers: reserved bits, W without R, widths. */
static void test_pmp_registers(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = UINT64_MAX;
    m.s.x[T1] = 0x7f;
    m.s.x[T2] = PMP_NAPOT | PMP_W;
    PUT(&m, CODE, AS_CSRW(PMPADDR0, T0), AS_CSRR(A0, PMPADDR0), AS_CSRW(PMPCFG0, T1),
        AS_CSRR(A1, PMPCFG0), AS_CSRW(PMPCFG0, T2), AS_CSRR(A2, PMPCFG0));
    machine_go(&m, PRIV_M, CODE, 6);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 24);
    CU_ASSERT_EQUAL(m.s.x[A0], (1ull << 54) - 1);
    CU_ASSERT_EQUAL(m.s.x[A1], 0x1f);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2] & (PMP_R | PMP_W), PMP_W);
    /* Odd pmpcfg do not exist in RV64; there are 16 entries, the rest read as 0. */
    PUT(&m, CODE, AS_CSRR(A0, PMPCFG0 + 1));
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ILLEGAL, AS_CSRR(A0, PMPCFG0 + 1), CODE));
    PUT(&m, CODE, AS_CSRW(PMPADDR0 + 16, T0), AS_CSRR(A0, PMPADDR0 + 16));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 8);
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    PUT(&m, CODE, AS_CSRR(A0, PMPCFG0));
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ILLEGAL, AS_CSRR(A0, PMPCFG0), CODE));
    machine_destroy(&m);
}

/* A write to the registers is in force at once, whatever the TLB holds. */
static void test_pmp_change(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    /* U-mode stores; its ecall goes to M-mode, which locks the page and returns. */
    m.s.x[T0] = DATA;
    m.s.x[T1] = PMP_NAPOT | PMP_R;
    pmp_set(&m, 0, 0, napot(DATA, 4096));
    PUT(&m, CODE, AS_S(sd, A0, T0, 0), AS_N(ecall), AS_S(sd, A0, T0, 0));
    PUT(&m, HANDLER, AS_CSR(csrrs, ZERO, PMPCFG0, T1), AS_CSRR(T2, MEPC), AS_I(addi, T2, T2, 4),
        AS_CSRW(MEPC, T2), AS_N(mret));
    machine_go(&m, PRIV_U, CODE, 2 + 5 + 1);
    CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, DATA, CODE + 8));
    machine_destroy(&m);
}

/* The tables themselves are read as by S-mode. */
static void test_pmp_tables(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    gpa_t last = *machine_pte(&m, V_DATA, 1) >> 10 << 12;
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), 0);
    pmp_set(&m, 0, PMP_NAPOT | PMP_W | PMP_R | PMP_X, napot(last, 4096));
    CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA), 0);
    pmp_set(&m, 0, PMP_NAPOT | PMP_X, napot(last, 4096));
    for (enum rv_access access = RV_FETCH; access <= RV_STORE; access++)
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, access, V_DATA), access_faults[access]);
    machine_destroy(&m);
}

/* --misaligned trap: every misaligned access traps, into pages that were touched before too. */
static void test_misaligned_traps(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    m.h->misaligned_traps = true;
    machine_poke(&m, DATA, 0x1122334455667788);
    m.s.x[A0] = UINT64_MAX;
    for (uint64_t offset = 0; offset < 16; offset++) {
        bool aligned = offset % 8 == 0;

        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_LOAD, V_DATA + offset),
                        aligned ? 0 : RV_LOAD_MISALIGNED);
        CU_ASSERT_EQUAL(access_try(&m, PRIV_S, RV_STORE, V_DATA + 0x100 + offset),
                        aligned ? 0 : RV_STORE_MISALIGNED);
    }
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 0x1122334455667788);
    machine_destroy(&m);
}

void interp_memory_tests(struct CU_Suite *suite)
{
    CU_add_test(suite, "Sv39, Sv48, Sv57 and canonical addresses", test_modes);
    CU_add_test(suite, "superpages", test_superpages);
    CU_add_test(suite, "misaligned accesses that trap", test_misaligned_traps);
    CU_add_test(suite, "permissions of leaves", test_leaf);
    CU_add_test(suite, "pointers to tables", test_pointers);
    CU_add_test(suite, "pages for loads only", test_rom);
    CU_add_test(suite, "SUM", test_sum);
    CU_add_test(suite, "MXR", test_mxr);
    CU_add_test(suite, "MPRV", test_mprv);
    CU_add_test(suite, "satp", test_satp);
    CU_add_test(suite, "sfence.vma", test_sfence);
    CU_add_test(suite, "sfence.vma of another hart", test_sfence_remote);
    CU_add_test(suite, "sfence.vma and superpages", test_sfence_superpage);
    CU_add_test(suite, "sfence.vma and fetches", test_sfence_fetch);
    CU_add_test(suite, "pages that share a TLB entry", test_tlb_conflicts);
    CU_add_test(suite, "accesses over two pages", test_crossing);
    CU_add_test(suite, "faults over two pages", test_crossing_faults);
    CU_add_test(suite, "instructions over two pages", test_instruction_crossing);
    CU_add_test(suite, "PMP without entries", test_pmp_none);
    CU_add_test(suite, "PMP permissions", test_pmp_permissions);
    CU_add_test(suite, "PMP ranges", test_pmp_ranges);
    CU_add_test(suite, "PMP matches in part", test_pmp_partial);
    CU_add_test(suite, "PMP divides a page of data", test_pmp_divided_page);
    CU_add_test(suite, "PMP divides a page of code", test_pmp_divided_code);
    CU_add_test(suite, "PMP locked", test_pmp_locked);
    CU_add_test(suite, "PMP registers", test_pmp_registers);
    CU_add_test(suite, "PMP changes", test_pmp_change);
    CU_add_test(suite, "PMP and page tables", test_pmp_tables);
}
