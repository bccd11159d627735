/* test_dbt_chain.c: the translator's jumps to other pages, which are linked to their targets.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <string.h>
#include "vmm/engine/dbt/dbt.h"

/* How a guest runs, which must not show. */
static const struct way {
    bool dbt;
    unsigned without;
    bool narrow; /* a cache of two small segments */
} ways[] = {
    {false, 0,              false},
    {true,  ~0u,            false},
    {true,  WITHOUT_CHAINS, false},
    {true,  WITHOUT_FUSION, false},
    {true,  0,              true },
    {true,  0,              false}, /* last: what is left behind is looked at */
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void begin(struct machine *m, const struct way *way)
{
    machine_use(way->dbt ? MACHINE_DBT : MACHINE_INTERP);
    machine_init(m, START_FIRMWARE, 1);
    m->s.x[A1] = 0; /* it was the device tree's */
    if (!way->dbt)
        return;
    machine_dbt(m)->without = way->without;
    if (way->narrow) {
        machine_dbt(m)->cache.segment_size = 8192;
        machine_dbt(m)->cache.nsegments = 2;
    }
}

/* A guest: memory and registers; then it runs from pc in a privilege. */
struct guest {
    void (*put)(struct machine *m);
    void (*check)(const struct machine *m);
    unsigned priv;
    uint64_t pc;
};

/* The same state in the end, each way, and jumps were linked where they may be. */
static void same_each_way(const struct guest *guest, uint64_t steps)
{
    struct hart_state first;
    struct machine m;

    for (unsigned i = 0; i < WAYS; i++) {
        begin(&m, &ways[i]);
        guest->put(&m);
        machine_go(&m, guest->priv, guest->pc, steps);
        if (i == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        if (guest->check)
            guest->check(&m);
        if (ways[i].dbt && guest->check)
            CU_ASSERT_EQUAL(machine_dbt(&m)->chained != 0, !(ways[i].without & WITHOUT_CHAINS));
        machine_destroy(&m);
    }
}

/*
 * From page to page in each way there is: off the end of one, by jal, by a call and its return,
 * by a branch, by auipc and jalr, as a jump and as a call.
 */
static void put_all_kinds(struct machine *m)
{
    PUT(m, CODE + 0xff8, AS_I(addi, A0, A0, 1), AS_R(add, A1, A1, A0), AS_I(addi, A2, A2, 1),
        AS_J(ZERO, 0xffc));
    PUT(m, CODE + 0x2000, AS_J(RA, -0x1800), AS_R(xor, A4, A4, RA), AS_U(auipc, RA, 0xffffe),
        AS_I(jalr, RA, RA, 0x7f8), AS_R(add, A4, A4, RA), AS_B(beq, ZERO, ZERO, -0xf14));
    PUT(m, CODE + 0x800, AS_I(addi, A3, A3, 1), AS_I(jalr, ZERO, RA, 0));
    PUT(m, CODE + 0x1100, AS_U(auipc, T1, 0), AS_I(jalr, ZERO, T1, -0x108));
}

#define ALL_KINDS_ROUND 16

static void check_all_kinds(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, CODE + 0xff8);
    CU_ASSERT_EQUAL(m->s.x[A0], 100);
    CU_ASSERT_EQUAL(m->s.x[A3], 200);
    CU_ASSERT_EQUAL(m->s.x[T1], CODE + 0x1100);
}

static const struct guest all_kinds = {put_all_kinds, check_all_kinds, PRIV_M, CODE + 0xff8};

static void test_all_kinds(void)
{
    same_each_way(&all_kinds, ALL_KINDS_ROUND * 100);
}

/* A stop after any number of steps finds the state of that step. */
static void test_stops(void)
{
    struct guest guest = all_kinds;

    guest.check = NULL;
    for (uint64_t steps = 150; steps < 150 + 2 * ALL_KINDS_ROUND; steps++)
        same_each_way(&guest, steps);
}

/* Once linked, the loop over three pages is not left any more. */
static void test_chains_stay(void)
{
    struct machine m;

    begin(&m, &ways[WAYS - 1]);
    put_all_kinds(&m);
    machine_go(&m, PRIV_M, CODE + 0xff8, 8000);
    CU_ASSERT(dbt_hart_of(m.h)->entered < 30);
    machine_destroy(&m);
}

/* --- what lies behind a page changes --- */

/* A loop: the page at `at` counts in `reg`, and goes back to `back`. */
static void put_counter(struct machine *m, gpa_t at, unsigned reg, int back)
{
    PUT(m, at, AS_I(addi, reg, reg, 1), AS_J(ZERO, back - 4));
}

/*
 * Rounds of TURN_STEPS: CODE does three instructions, then jumps four times to the page behind,
 * which counts. The first of the four finds what the three have done, the others are linked.
 */
#define TURN_STEPS 21

static void put_round(struct machine *m, uint32_t one, uint32_t two, uint32_t three)
{
    PUT(m, CODE, one, two, three, AS_I(addi, T0, ZERO, 4), AS_I(addi, T0, T0, -1),
        AS_J(ZERO, 0x1000 - 20));
}

static void put_turn(struct machine *m, gpa_t at, unsigned reg)
{
    PUT(m, at, AS_I(addi, reg, reg, 1), AS_B(bne, T0, ZERO, -0xff4), AS_J(ZERO, -0x1008));
}

/* The page tables' entry of V_CODE's second page, as data at V_DATA; A0: its address. */
static void put_entry(struct machine *m)
{
    const uint8_t *ram = mem_ptr(&m->vm.mem, PLAT_DRAM_BASE, 1);
    const uint64_t *pte;
    gpa_t at;

    machine_paging(m, 3);
    pte = machine_pte(m, V_CODE + MEM_PAGE_SIZE, 0);
    at = PLAT_DRAM_BASE + (gpa_t)((const uint8_t *)pte - ram);
    *machine_pte(m, V_DATA, 0) = PTE_OF(at & RV_PAGE_MASK, PTE_RW);
    m->s.x[A0] = V_DATA + (at & ~RV_PAGE_MASK);
    m->s.x[A1] = PTE_OF(CODE + 0x1000, PTE_RX);
    m->s.x[A2] = PTE_OF(CODE + 0x1000, PTE_RX) ^ PTE_OF(CODE + 0x2000, PTE_RX);
    m->s.x[A5] = V_CODE + MEM_PAGE_SIZE;
    put_turn(m, CODE + 0x1000, A3);
    put_turn(m, CODE + 0x2000, A4);
}

static void check_turns(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A3], 200);
    CU_ASSERT_EQUAL(m->s.x[A4], 200);
}

/* Another page is mapped there each round. */
static void put_remapped(struct machine *m)
{
    put_entry(m);
    put_round(m, AS_R(xor, A1, A1, A2), AS_S(sd, A1, A0, 0), AS_R(sfence_vma, 0, ZERO, ZERO));
}

/* The same with a fence of that page alone. */
static void put_remapped_page(struct machine *m)
{
    put_entry(m);
    put_round(m, AS_R(xor, A1, A1, A2), AS_S(sd, A1, A0, 0), AS_R(sfence_vma, 0, A5, ZERO));
}

static void test_remapped(void)
{
    same_each_way(&(struct guest){put_remapped, check_turns, PRIV_S, V_CODE}, 100 * TURN_STEPS);
    same_each_way(&(struct guest){put_remapped_page, check_turns, PRIV_S, V_CODE},
                  100 * TURN_STEPS);
}

/* After 30 rounds it is mapped no more: a fault at the target. */
static void put_unmapped(struct machine *m)
{
    put_entry(m);
    m->s.x[T0] = 30;
    put_counter(m, CODE + 0x1000, A3, -0x1000);
    PUT(m, CODE, AS_I(addi, T0, T0, -1), AS_B(bne, T0, ZERO, 12), AS_S(sd, ZERO, A0, 0),
        AS_R(sfence_vma, 0, A5, ZERO), AS_J(ZERO, 0xff0));
    PUT(m, HANDLER, AS_SELF);
}

static void check_unmapped(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, HANDLER);
    CU_ASSERT_EQUAL(m->s.mcause, RV_FETCH_PAGE);
    CU_ASSERT_EQUAL(m->s.mepc, V_CODE + MEM_PAGE_SIZE);
    CU_ASSERT_EQUAL(m->s.mtval, V_CODE + MEM_PAGE_SIZE);
    CU_ASSERT_EQUAL(m->s.x[A3], 29);
}

static void test_unmapped(void)
{
    same_each_way(&(struct guest){put_unmapped, check_unmapped, PRIV_S, V_CODE}, 400);
}

/* One page at two addresses, with different pages behind it, which lead to the other one. */
static void put_aliases(struct machine *m)
{
    machine_paging(m, 3);
    *machine_pte(m, V_DATA, 0) = PTE_OF(CODE, PTE_RX);
    *machine_pte(m, V_DATA + MEM_PAGE_SIZE, 0) = PTE_OF(CODE + 0x2000, PTE_RX);
    m->s.x[S0] = V_DATA;
    m->s.x[S1] = V_CODE;
    PUT(m, CODE, AS_I(addi, A0, A0, 1), AS_J(ZERO, 0xffc));
    PUT(m, CODE + 0x1000, AS_I(addi, A3, A3, 1), AS_I(jalr, ZERO, S0, 0));
    PUT(m, CODE + 0x2000, AS_I(addi, A4, A4, 1), AS_I(jalr, ZERO, S1, 0));
}

static void test_aliases(void)
{
    same_each_way(&(struct guest){put_aliases, check_turns, PRIV_S, V_CODE}, 1600);
}

/*
 * Two address spaces with the same page at V_CODE and others behind it. A write of satp leads
 * from one to the other, without a fence.
 */
static void put_spaces(struct machine *m, uint64_t number)
{
    const gpa_t root = TABLES_END - 3 * MEM_PAGE_SIZE, middle = root + MEM_PAGE_SIZE,
                leaf = middle + MEM_PAGE_SIZE;

    machine_paging(m, 3);
    machine_poke(m, root + 8 * (V_CODE >> 30), PTE_OF(middle, PTE_V));
    machine_poke(m, middle, PTE_OF(leaf, PTE_V));
    machine_poke(m, leaf, PTE_OF(CODE, PTE_RX));
    machine_poke(m, leaf + 8, PTE_OF(CODE + 0x2000, PTE_RX));
    m->s.satp |= number << 44;
    m->s.x[T1] = 8ull << 60 | (number ? number + 1 : 0) << 44 | root >> 12;
    put_round(m, AS_CSR(csrrw, T1, SATP, T1), AS_NOP, AS_NOP);
    put_turn(m, CODE + 0x1000, A3);
    put_turn(m, CODE + 0x2000, A4);
}

static void put_numbered_spaces(struct machine *m)
{
    put_spaces(m, 7);
}

static void put_plain_spaces(struct machine *m)
{
    put_spaces(m, 0);
}

static void test_spaces(void)
{
    same_each_way(&(struct guest){put_numbered_spaces, check_turns, PRIV_S, V_CODE},
                  100 * TURN_STEPS);
    same_each_way(&(struct guest){put_plain_spaces, check_turns, PRIV_S, V_CODE},
                  100 * TURN_STEPS);
}

/* The target is rewritten each round, with a fence.i. */
static void put_rewritten(struct machine *m)
{
    m->s.x[A0] = CODE + 0x1000;
    m->s.x[A1] = AS_I(addi, A3, A3, 1);
    m->s.x[A2] = AS_I(addi, A3, A3, 1) ^ AS_I(addi, A4, A4, 1);
    put_round(m, AS_R(xor, A1, A1, A2), AS_S(sw, A1, A0, 0), AS_N(fence_i));
    put_turn(m, CODE + 0x1000, A3);
}

static void test_rewritten(void)
{
    same_each_way(&(struct guest){put_rewritten, check_turns, PRIV_M, CODE}, 100 * TURN_STEPS);
}

/* --- privileges --- */

/*
 * One page for S-mode and U-mode, at two addresses. S-mode has linked the jump when it goes to
 * U-mode, which has no page behind it.
 */
static void put_privileges(struct machine *m)
{
    machine_paging(m, 3);
    *machine_pte(m, V_USER + MEM_PAGE_SIZE, 0) = 0;
    m->s.mstatus &= ~RV_SPP;
    m->s.x[S0] = V_USER;
    m->s.x[T0] = 30;
    PUT(m, CODE, AS_J(ZERO, 0x1000));
    PUT(m, CODE + 0x1000, AS_I(addi, A0, A0, 1), AS_I(addi, T0, T0, -1), AS_B(beq, T0, ZERO, 8),
        AS_J(ZERO, -0x100c), AS_CSRW(SEPC, S0), AS_N(sret));
    PUT(m, HANDLER, AS_SELF);
}

static void check_privileges(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, HANDLER);
    CU_ASSERT_EQUAL(m->s.mcause, RV_FETCH_PAGE);
    CU_ASSERT_EQUAL(m->s.mepc, V_USER + MEM_PAGE_SIZE);
    CU_ASSERT_EQUAL(m->s.mstatus & RV_MPP, 0);
    CU_ASSERT_EQUAL(m->s.x[A0], 30);
}

static void test_privileges(void)
{
    same_each_way(&(struct guest){put_privileges, check_privileges, PRIV_S, V_CODE}, 400);
}

/* M-mode takes the page behind away by PMP, after 30 rounds; then it takes the fault. */
static void put_protected(struct machine *m)
{
    m->s.medeleg = 0;
    m->s.x[S0] = (CODE + 0x1000) >> 2 | 0x1ff; /* NAPOT, 4 KiB, no rights */
    m->s.x[S1] = 0x18;
    m->s.x[T0] = 30;
    PUT(m, CODE, AS_I(addi, T0, T0, -1), AS_B(bne, T0, ZERO, 8), AS_N(ecall),
        AS_J(ZERO, 0xff4));
    put_counter(m, CODE + 0x1000, A0, -0x1000);
    PUT(m, HANDLER, AS_CSRR(T1, MCAUSE), AS_I(addi, T1, T1, -(int)RV_ECALL_S),
        AS_B(beq, T1, ZERO, 8), AS_SELF, AS_CSRW(PMPADDR0, S0), AS_CSRW(PMPCFG0, S1),
        AS_CSRR(T1, MEPC), AS_I(addi, T1, T1, 4), AS_CSRW(MEPC, T1), AS_N(mret));
}

static void check_protected(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, HANDLER + 12);
    CU_ASSERT_EQUAL(m->s.mcause, RV_FETCH_ACCESS);
    CU_ASSERT_EQUAL(m->s.mepc, CODE + 0x1000);
    CU_ASSERT_EQUAL(m->s.x[A0], 29);
}

static void test_protected(void)
{
    same_each_way(&(struct guest){put_protected, check_protected, PRIV_S, CODE}, 400);
}

/* --- code comes and goes --- */

/* Pages in a ring, whose code the cache cannot hold. */
static void put_ring(struct machine *m)
{
    enum { PAGES = 60 };

    for (int i = 0; i < PAGES; i++) {
        int next = i + 1 < PAGES ? (int)MEM_PAGE_SIZE : -(PAGES - 1) * (int)MEM_PAGE_SIZE;

        PUT(m, DATA + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, 1), AS_J(RA, next + 16),
            AS_R(add, A1, A1, A0), AS_J(ZERO, next - 12), AS_R(xor, A1, A1, RA),
            AS_I(jalr, ZERO, RA, 0));
    }
}

static void check_ring(const struct machine *m)
{
    CU_ASSERT_NOT_EQUAL(m->s.x[A1], 0);
}

static void test_evicted(void)
{
    struct guest ring = {put_ring, check_ring, PRIV_M, DATA};
    struct machine m;

    same_each_way(&ring, 12000);
    begin(&m, &(struct way){true, 0, true});
    put_ring(&m);
    machine_go(&m, PRIV_M, DATA, 12000);
    CU_ASSERT(machine_dbt(&m)->evictions > 2);
    machine_destroy(&m);
}

/* The page at work loses its code, and all beside it; or the segment being filled has no room
 * any more. */
static void give_up(struct machine *m, uint64_t chance)
{
    struct rv_fetch_entry *entry = &m->h->fetch->entry[(m->h->pc >> 12) % RV_TLB_ENTRIES];

    machine_dbt(m)->cache.nsegments = 3;
    if (chance >> 63)
        machine_dbt(m)->cache.used = machine_dbt(m)->cache.segment_size;
    if (chance >> 62 & 1)
        code_pool_retire(interp_of(m->h)->pool, entry->page->segments);
}

/*
 * Segments are given up at any time, so that pages which lose their code are linked from others
 * that do not; what stands in the old place is another page's code then.
 */
static void test_segments_given_up(void)
{
    enum { PAGES = 24, RUNS = 300, STEPS = 400 };
    uint64_t sum[2] = {0, 0}, chance = 1;
    struct machine m;

    for (unsigned w = 0; w < 2; w++) {
        begin(&m, &ways[w ? WAYS - 1 : 0]);
        for (int i = 0; i < PAGES; i++) {
            int next = i + 1 < PAGES ? (int)MEM_PAGE_SIZE : -(PAGES - 1) * (int)MEM_PAGE_SIZE;

            PUT(&m, DATA + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, i),
                AS_I(slli, A2, A1, 1), AS_R(add, A1, A1, A2), AS_R(xor, A1, A1, A0),
                AS_J(ZERO, next - 16));
        }
        machine_go(&m, PRIV_M, DATA, STEPS);
        for (unsigned i = 0; i < RUNS; i++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            if (w)
                give_up(&m, chance);
            machine_run(&m, STEPS);
        }
        sum[w] = m.s.x[A1] ^ m.s.pc;
        machine_destroy(&m);
    }
    CU_ASSERT_EQUAL(sum[0], sum[1]);
}

/* A device, that is the host, has rewritten the target; and the pages were all dropped. */
static void test_between_runs(void)
{
    struct machine m;

    begin(&m, &ways[WAYS - 1]);
    m.s.x[A0] = 0;
    PUT(&m, CODE, AS_J(ZERO, 0x1000));
    for (unsigned i = 0; i < 20; i++) {
        put_counter(&m, CODE + 0x1000, i % 2 ? A3 : A4, -0x1000);
        if (i % 5 == 4)
            code_drop(m.h);
        machine_go(&m, PRIV_M, CODE, 300);
        CU_ASSERT_EQUAL(m.s.x[A3], 100 * ((i + 1) / 2));
        CU_ASSERT_EQUAL(m.s.x[A4], 100 * (i / 2 + 1));
    }
    /* What was there before comes back with its links. */
    CU_ASSERT(machine_dbt(&m)->chained >= 4);
    machine_destroy(&m);
}

/* When no stamps are left jumps go the general way, and are right. */
static void test_stamps_used_up(void)
{
    struct machine m;

    begin(&m, &ways[WAYS - 1]);
    interp_of(m.h)->pool->stamp = STAMP_LAST - 3;
    put_rewritten(&m);
    machine_go(&m, PRIV_M, CODE, 100 * TURN_STEPS);
    check_turns(&m);
    CU_ASSERT_EQUAL(interp_of(m.h)->pool->stamp, STAMP_LAST);
    CU_ASSERT(machine_dbt(&m)->chained > 0);
    machine_destroy(&m);
}

#endif

void suite_dbt_chain(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_chain", NULL, machine_back);

    CU_add_test(suite, "jumps to other pages of each kind", test_all_kinds);
    CU_add_test(suite, "stops at each step", test_stops);
    CU_add_test(suite, "linked code is not left", test_chains_stay);
    CU_add_test(suite, "a target mapped anew", test_remapped);
    CU_add_test(suite, "a target mapped no more", test_unmapped);
    CU_add_test(suite, "a page at two addresses", test_aliases);
    CU_add_test(suite, "two address spaces", test_spaces);
    CU_add_test(suite, "a target rewritten", test_rewritten);
    CU_add_test(suite, "S-mode and U-mode", test_privileges);
    CU_add_test(suite, "a target protected", test_protected);
    CU_add_test(suite, "a target evicted", test_evicted);
    CU_add_test(suite, "segments given up at any time", test_segments_given_up);
    CU_add_test(suite, "targets that change between runs", test_between_runs);
    CU_add_test(suite, "no stamps left", test_stamps_used_up);
#endif
}
