/* test_dbt.c: the translator: what the interpreter passes, and the code cache. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <stdio.h>
#include <string.h>
#include "vmm/engine/dbt/dbt.h"

static int use_dbt(void)
{
    machine_use(MACHINE_DBT);
    return 0;
}

static int use_dbt_single(void)
{
    machine_use(MACHINE_DBT_SINGLE);
    return 0;
}

static int use_dbt_small(void)
{
    machine_use(MACHINE_DBT_SMALL);
    return 0;
}

static int use_dbt_plain(void)
{
    machine_use(MACHINE_DBT_PLAIN);
    return 0;
}

static int use_interp(void)
{
    machine_use(MACHINE_INTERP);
    return 0;
}

/* A loop of 100 rounds at CODE that leaves its sum in A0, and stays behind it. */
static void put_loop(struct machine *m, int addend)
{
    PUT(m, CODE, AS_I(addi, A0, ZERO, 0), AS_I(addi, A1, ZERO, 100), AS_I(addi, A0, A0, addend),
        AS_I(addi, A1, A1, -1), AS_B(bne, A1, ZERO, -8), AS_SELF);
}

#define LOOP_STEPS 400

/* The loop runs as translated code, linked to itself: it is entered a few times only. */
static void test_loop_is_translated(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    put_loop(&m, 3);
    machine_go(&m, PRIV_M, CODE, LOOP_STEPS);
    CU_ASSERT_EQUAL(m.s.x[A0], 300);
    CU_ASSERT_EQUAL(m.s.steps, LOOP_STEPS);
    CU_ASSERT(machine_dbt(&m)->translations >= 1);
    CU_ASSERT(dbt_hart_of(m.h)->entered < 10);
    CU_ASSERT_EQUAL(dbt_hart_of(m.h)->stepped, 0);
    machine_destroy(&m);
}

/* Code that was linked and is rewritten runs as rewritten, after fence.i. */
static void test_rewritten(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (int i = 1; i < 20; i++) {
        put_loop(&m, i);
        machine_go(&m, PRIV_M, CODE, LOOP_STEPS);
        CU_ASSERT_EQUAL(m.s.x[A0], (uint64_t)i * 100);
    }
    machine_destroy(&m);
}

/* Pages that each hold a jump to the next, many times around a cache of two small segments. */
static void test_eviction(void)
{
    enum { PAGES = 200, ROUNDS = 5 };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_dbt(&m)->cache.segment_size = 8192;
    machine_dbt(&m)->cache.nsegments = 2;
    for (int i = 0; i < PAGES; i++) {
        int next = i + 1 < PAGES ? (int)MEM_PAGE_SIZE : -(PAGES - 1) * (int)MEM_PAGE_SIZE;

        PUT(&m, DATA + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, 1), AS_I(addi, A1, A1, 2),
            AS_J(ZERO, next - 8));
    }
    m.s.x[A1] = 0;
    machine_go(&m, PRIV_M, DATA, 3 * PAGES * ROUNDS);
    CU_ASSERT_EQUAL(m.s.x[A0], PAGES * ROUNDS);
    CU_ASSERT_EQUAL(m.s.x[A1], 2 * PAGES * ROUNDS);
    CU_ASSERT_EQUAL(m.s.pc, DATA);
    CU_ASSERT(machine_dbt(&m)->evictions > 2);
    machine_destroy(&m);
}

/* Every line of the process's map that names the code is writable or executable, never both. */
static void test_never_writable_and_executable(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned written = 0, executed = 0;
    struct machine m;
    char line[512];

    CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
    machine_init(&m, START_FIRMWARE, 1);
    while (fgets(line, sizeof(line), maps)) {
        const char *rights = strchr(line, ' ');

        if (!rights)
            continue;
        CU_ASSERT_FALSE(rights[2] == 'w' && rights[3] == 'x');
        if (strstr(line, "tollgate-code")) {
            written += rights[2] == 'w';
            executed += rights[3] == 'x';
        }
    }
    fclose(maps);
    CU_ASSERT_EQUAL(written, 1);
    CU_ASSERT_EQUAL(executed, 1);
    machine_destroy(&m);
}

/* One physical page at two addresses: its code tells where it runs. */
static void test_two_mappings(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(CODE, PTE_RX);
    PUT(&m, CODE, AS_U(auipc, A0, 0), AS_J(A1, 4), AS_SELF);
    machine_go(&m, PRIV_S, V_CODE, 300);
    CU_ASSERT_EQUAL(m.s.x[A0], V_CODE);
    CU_ASSERT_EQUAL(m.s.x[A1], V_CODE + 8);
    machine_go(&m, PRIV_S, V_DATA, 300);
    CU_ASSERT_EQUAL(m.s.x[A0], V_DATA);
    CU_ASSERT_EQUAL(m.s.x[A1], V_DATA + 8);
    CU_ASSERT_EQUAL(m.s.pc, V_DATA + 8);
    machine_destroy(&m);
}

/*
 * A page of code that is rewritten through another of its mappings, round by round: fence.i by
 * the guest, and the code that was linked runs no more.
 */
static void test_rewritten_by_alias(void)
{
    enum { ROUNDS = 50 };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(CODE + MEM_PAGE_SIZE, PTE_RW);
    /* The page behind: addi a0, a0, 0; ret. The immediate grows by one each round. */
    PUT(&m, CODE + MEM_PAGE_SIZE, AS_I(addi, A0, A0, 0), AS_I(jalr, ZERO, RA, 0));
    PUT(&m, CODE, AS_I(lw, T0, S1, 0), AS_R(add, T0, T0, T1), AS_S(sw, T0, S1, 0),
        AS_N(fence_i), AS_I(jalr, RA, S0, 0), AS_I(addi, T2, T2, -1), AS_B(bne, T2, ZERO, -24),
        AS_SELF);
    m.s.x[A0] = 0;
    m.s.x[S0] = V_CODE + MEM_PAGE_SIZE;
    m.s.x[S1] = V_DATA;
    m.s.x[T1] = 1u << 20;
    m.s.x[T2] = ROUNDS;
    machine_go(&m, PRIV_S, V_CODE, 9 * ROUNDS + 5);
    CU_ASSERT_EQUAL(m.s.pc, V_CODE + 28);
    CU_ASSERT_EQUAL(m.s.x[A0], ROUNDS * (ROUNDS + 1) / 2);
    machine_destroy(&m);
}

/*
 * Two address spaces without numbers, which map different code at one address, and a guest that
 * never executes sfence.vma: a write of satp is all it does.
 */
static void test_spaces_without_fences(void)
{
    enum { ROUNDS = 40 };
    const gpa_t root = TABLES_END - 3 * MEM_PAGE_SIZE, middle = root + MEM_PAGE_SIZE,
                leaf = middle + MEM_PAGE_SIZE, other = DATA + MEM_PAGE_SIZE;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    *machine_pte(&m, V_DATA, 0) = PTE_OF(DATA, PTE_RX);
    machine_poke(&m, root + 8 * (V_CODE >> 30), PTE_OF(middle, PTE_V));
    machine_poke(&m, middle, *machine_pte(&m, V_CODE, 1));
    machine_poke(&m, middle + 8 * ((V_DATA - V_CODE) >> 21), PTE_OF(leaf, PTE_V));
    machine_poke(&m, leaf, PTE_OF(other, PTE_RX));
    PUT(&m, DATA, AS_I(addi, A0, A0, 1), AS_I(jalr, ZERO, RA, 0));
    PUT(&m, other, AS_I(addi, A1, A1, 1), AS_I(jalr, ZERO, RA, 0));
    PUT(&m, CODE, AS_I(jalr, RA, S0, 0), AS_CSR(csrrw, T0, SATP, T0), AS_I(addi, T2, T2, -1),
        AS_B(bne, T2, ZERO, -12), AS_SELF);
    m.s.x[A0] = m.s.x[A1] = 0;
    m.s.x[S0] = V_DATA;
    m.s.x[T0] = 8ull << 60 | root >> 12;
    m.s.x[T2] = 2 * ROUNDS;
    machine_go(&m, PRIV_S, V_CODE, 6 * 2 * ROUNDS + 3);
    CU_ASSERT_EQUAL(m.s.pc, V_CODE + 16);
    CU_ASSERT_EQUAL(m.s.x[A0], ROUNDS);
    CU_ASSERT_EQUAL(m.s.x[A1], ROUNDS);
    machine_destroy(&m);
}

/*
 * Calls of one privilege leave nothing for returns of another. U-mode calls a function, whose
 * ecall S-mode answers many times; then S-mode returns where U-mode called from, whose pages it
 * may not fetch.
 */
static void test_returns_of_user_calls(void)
{
    enum { CALLS = 40 };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    PUT(&m, CODE, AS_J(RA, 12), AS_I(addi, A0, A0, 1), AS_J(ZERO, -8), AS_N(ecall),
        AS_I(jalr, ZERO, RA, 0));
    PUT(&m, CODE + MEM_PAGE_SIZE, AS_I(addi, A1, A1, -1), AS_B(beq, A1, ZERO, 20),
        AS_CSRR(T1, SEPC), AS_I(addi, T1, T1, 4), AS_CSRW(SEPC, T1), AS_N(sret),
        AS_I(jalr, ZERO, RA, 0));
    PUT(&m, HANDLER, AS_SELF);
    m.s.medeleg = 1u << RV_ECALL_U;
    m.s.stvec = V_CODE + MEM_PAGE_SIZE;
    m.s.x[A0] = 0;
    m.s.x[A1] = CALLS;
    machine_go(&m, PRIV_U, V_USER, 12 * CALLS);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_PAGE, V_USER + 4, V_USER + 4));
    CU_ASSERT_EQUAL(m.s.x[A0], CALLS - 1);
    machine_destroy(&m);
}

/* The same the other way: S-mode goes to U-mode from within a function, which returns. */
static void test_returns_of_kernel_calls(void)
{
    enum { CALLS = 40 };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_paging(&m, 3);
    PUT(&m, CODE, AS_CSRW(SEPC, S0), AS_J(RA, 8), AS_SELF, AS_N(sret));
    PUT(&m, CODE + 0x100, AS_I(addi, A1, A1, -1), AS_B(beq, A1, ZERO, 8), AS_N(ecall),
        AS_I(jalr, ZERO, RA, 0));
    PUT(&m, HANDLER, AS_SELF);
    m.s.medeleg = 1u << RV_ECALL_U;
    m.s.stvec = V_CODE;
    m.s.mstatus &= ~RV_SPP;
    m.s.x[S0] = V_USER + 0x100;
    m.s.x[A1] = CALLS;
    machine_go(&m, PRIV_S, V_CODE, 8 * CALLS);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_PAGE, V_CODE + 8, V_CODE + 8));
    CU_ASSERT_EQUAL(m.s.mstatus & RV_MPP, 0);
    machine_destroy(&m);
}

/* A counter that is told to count by the first instruction of a chunk counts that one too. */
static void test_counter_begun_with_chunk(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_CSRW(MHPMEVENT3, A0), AS_NOP, AS_SELF);
    m.s.x[A0] = HART_EVENT_INSTRUCTIONS;
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT_EQUAL(m.s.hpmcounter[0], 2);
    machine_destroy(&m);
}

/*
 * Traps from U-mode into S-mode let a counter count, whose overflow comes three instructions
 * behind one of them: no block runs past that.
 */
static void test_counter_near_overflow(void)
{
    enum { HANDLED = 8, TRAPS = 12 };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, S_HANDLER, AS_I(addi, A0, A0, 1), AS_I(addi, A0, A0, 1), AS_I(addi, A0, A0, 1),
        AS_I(addi, A0, A0, 1), AS_CSRR(T0, SEPC), AS_I(addi, T0, T0, 4), AS_CSRW(SEPC, T0),
        AS_N(sret));
    PUT(&m, HANDLER, AS_SELF);
    PUT(&m, CODE, AS_N(ecall), AS_J(ZERO, -4));
    m.s.medeleg = 1u << RV_ECALL_U;
    m.s.mie = 1u << IRQ_COUNTER;
    for (int round = 0; round < 2; round++) { /* the first one translates */
        m.s.hpmevent[0] = HART_EVENT_INSTRUCTIONS | RV_HPM_UINH;
        m.s.hpmcounter[0] = round == 0 ? 0 : -(uint64_t)(HANDLED * TRAPS + 3);
        m.s.mip = 0;
        m.s.x[A0] = 0;
        machine_go(&m, PRIV_U, CODE, 400);
    }
    CU_ASSERT_EQUAL(m.s.priv, PRIV_M);
    CU_ASSERT_EQUAL(m.s.mcause, RV_CAUSE_INTERRUPT | IRQ_COUNTER);
    CU_ASSERT_EQUAL(m.s.mepc, S_HANDLER + 12);
    CU_ASSERT_EQUAL(m.s.x[A0], 4 * TRAPS + 3);
    machine_destroy(&m);
}

/* 100 calls from U-mode to a handler in S-mode and back. Only where system instructions are the
 * interpreter's is the code left for them. */
static void check_user_calls(bool plain)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    machine_dbt(&m)->without = plain ? WITHOUT_SYSTEM : 0;
    m.s.medeleg = 1u << RV_ECALL_U | 1u << RV_BREAKPOINT;
    PUT(&m, CODE, AS_I(addi, A1, ZERO, 100), AS_N(ecall), AS_N(ebreak), AS_I(addi, A1, A1, -1),
        AS_B(bne, A1, ZERO, -12), AS_SELF);
    PUT(&m, S_HANDLER, AS_I(addi, A0, A0, 1), AS_CSRR(T0, SEPC), AS_I(addi, T0, T0, 4),
        AS_CSRW(SEPC, T0), AS_CSRR(T1, SCAUSE), AS_R(add, A2, A2, T1), AS_N(sret));
    m.s.x[A0] = m.s.x[A2] = 0;
    machine_go(&m, PRIV_U, CODE, 1 + 100 * 18);
    CU_ASSERT_EQUAL(m.s.x[A0], 200);
    CU_ASSERT_EQUAL(m.s.x[A2], 100 * (RV_ECALL_U + RV_BREAKPOINT));
    CU_ASSERT_EQUAL(m.s.pc, CODE + 20);
    CU_ASSERT_EQUAL(m.s.priv, PRIV_U);
    CU_ASSERT_EQUAL(m.s.stval, CODE + 8);
    CU_ASSERT_EQUAL(m.s.instret, m.s.steps - 200); /* neither retires */
    CU_ASSERT(plain ? dbt_hart_of(m.h)->stepped > 300 : dbt_hart_of(m.h)->entered < 20);
    machine_destroy(&m);
}

static void test_user_calls(void)
{
    check_user_calls(false);
    check_user_calls(true);
}

/* What traps and returns find when they are not the usual ones: TSR, and no delegation. */
static void test_unusual_crossings(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_N(ecall), AS_SELF);
    machine_go(&m, PRIV_U, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ECALL_U, 0, CODE));
    PUT(&m, CODE, AS_N(ebreak), AS_SELF);
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_BREAKPOINT, CODE, CODE));
    PUT(&m, CODE, AS_N(sret), AS_SELF);
    m.s.mstatus |= RV_TSR;
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ILLEGAL, AS_N(sret), CODE));
    m.s.mstatus &= ~RV_TSR;
    machine_go(&m, PRIV_U, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ILLEGAL, AS_N(sret), CODE));
    machine_destroy(&m);
}

/* sret and sie let an interrupt in at once that was pending. */
static void test_interrupt_at_once(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.mideleg = m.s.mie = m.s.mip = 1u << IRQ_S_SOFT;
    m.s.mstatus |= RV_SPP | RV_SPIE;
    m.s.sepc = CODE + 16;
    PUT(&m, CODE, AS_I(addi, A0, ZERO, 1), AS_N(sret), AS_SELF);
    PUT(&m, CODE + 16, AS_I(addi, A0, ZERO, 2), AS_SELF);
    machine_go(&m, PRIV_S, CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], 1);
    CU_ASSERT_EQUAL(m.s.sepc, CODE + 16);
    CU_ASSERT_EQUAL(m.s.pc, S_HANDLER);
    m.s.mstatus |= RV_SIE;
    m.s.mie = 0;
    PUT(&m, CODE, AS_CSR(csrrsi, ZERO, SIE, 2), AS_I(addi, A0, ZERO, 3), AS_SELF);
    machine_go(&m, PRIV_S, CODE, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 1);
    CU_ASSERT_EQUAL(m.s.sepc, CODE + 4);
    CU_ASSERT_EQUAL(m.s.pc, S_HANDLER);
    machine_destroy(&m);
}

#endif

void suite_dbt(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt", use_dbt, use_interp);

    CU_add_test(suite, "a loop is translated", test_loop_is_translated);
    CU_add_test(suite, "rewritten code", test_rewritten);
    CU_add_test(suite, "a full cache", test_eviction);
    CU_add_test(suite, "no memory is writable and executable",
                test_never_writable_and_executable);
    CU_add_test(suite, "a page mapped twice", test_two_mappings);
    CU_add_test(suite, "code rewritten through another mapping", test_rewritten_by_alias);
    CU_add_test(suite, "address spaces without fences", test_spaces_without_fences);
    CU_add_test(suite, "returns of U-mode's calls in S-mode", test_returns_of_user_calls);
    CU_add_test(suite, "returns of S-mode's calls in U-mode", test_returns_of_kernel_calls);
    CU_add_test(suite, "a counter begun with a chunk", test_counter_begun_with_chunk);
    CU_add_test(suite, "a counter near its overflow", test_counter_near_overflow);
    CU_add_test(suite, "user calls stay in code", test_user_calls);
    CU_add_test(suite, "unusual traps and returns", test_unusual_crossings);
    CU_add_test(suite, "an interrupt that is let in", test_interrupt_at_once);
    interp_tests(suite);
    interp_tests(CU_add_suite("dbt, steps of the interpreter", use_dbt_plain, use_interp));
    interp_tests(CU_add_suite("dbt, one instruction a block", use_dbt_single, use_interp));
    interp_tests(CU_add_suite("dbt, a small cache", use_dbt_small, use_interp));
#endif
}
