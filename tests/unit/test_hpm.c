/* test_hpm.c: programmable counters: what they count, filters, overflow, access, state. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

/* CSRs of counter n (3 to 31). */
#define MHPMCOUNTER(n) (0xb00u + (n))
#define MHPMEVENT(n)   (0x320u + (n))
#define HPMCOUNTER(n)  (0xc00u + (n))
#define SCOUNTOVF      0xda0u

#define BIT(n)        (UINT64_C(1) << (n))
#define LCOFI         BIT(IRQ_COUNTER)
#define OF            RV_HPM_OF
#define FIRST         3u
#define LAST          10u
#define INSTRET_EVENT HART_EVENT_INSTRUCTIONS

/* Runs from CODE in M-mode, one step for each word. */
#define RUN(m, ...)                                                                            \
    do {                                                                                       \
        PUT(m, CODE, __VA_ARGS__);                                                             \
        machine_go(m, PRIV_M, CODE, sizeof((const uint32_t[]){__VA_ARGS__}) / 4);              \
    } while (0)

static void begin(struct machine *m)
{
    machine_init(m, START_FIRMWARE, 1);
}

/* Counter 3 + i of the state. */
static void counter_set(struct machine *m, unsigned n, uint64_t event, uint64_t value)
{
    m->s.hpmevent[n - FIRST] = event;
    m->s.hpmcounter[n - FIRST] = value;
}

static uint64_t counter_of(const struct machine *m, unsigned n)
{
    return m->s.hpmcounter[n - FIRST];
}

static uint64_t event_of(const struct machine *m, unsigned n)
{
    return m->s.hpmevent[n - FIRST];
}

static void nops(struct machine *m, gpa_t at, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        PUT(m, at + 4 * i, AS_NOP);
}

static void test_registers(void)
{
    struct machine m;

    begin(&m);
    for (unsigned n = FIRST; n <= 31; n++) {
        bool there = n <= LAST;

        /* Nothing is selected: it holds what is written. */
        m.s.x[T0] = UINT64_MAX;
        m.s.x[T1] = 0x123456789abcdef0;
        RUN(&m, AS_CSRW(MHPMEVENT(n), T0), AS_CSRR(A0, MHPMEVENT(n)),
            AS_CSRW(MHPMCOUNTER(n), T1), AS_CSRR(A1, MHPMCOUNTER(n)),
            AS_CSRR(A2, HPMCOUNTER(n)), AS_CSRW(MHPMEVENT(n), ZERO));
        CU_ASSERT_EQUAL(m.s.x[A0], there ? OF | RV_HPM_MINH | RV_HPM_SINH | RV_HPM_UINH : 0);
        CU_ASSERT_EQUAL(m.s.x[A1], there ? 0x123456789abcdef0 : 0);
        CU_ASSERT_EQUAL(m.s.x[A2], m.s.x[A1]);
    }
    /* Selectors: those of nothing become none; filters of virtual machines are not there. */
    m.s.x[T0] = BIT(59) | BIT(58) | BIT(57) | HART_EVENT_DEVICE;
    m.s.x[T1] = 0x3;
    RUN(&m, AS_CSRW(MHPMEVENT(3), T0), AS_CSRR(A0, MHPMEVENT(3)), AS_CSRW(MHPMEVENT(3), T1),
        AS_CSRR(A1, MHPMEVENT(3)));
    CU_ASSERT_EQUAL(m.s.x[A0], HART_EVENT_DEVICE);
    CU_ASSERT_EQUAL(m.s.x[A1], 0);
    m.s.x[T0] = UINT64_MAX;
    RUN(&m, AS_CSRW(MCOUNTINHIBIT, T0), AS_CSRR(A0, MCOUNTINHIBIT), AS_CSRW(MCOUNTEREN, T0),
        AS_CSRR(A1, MCOUNTEREN), AS_CSRW(SCOUNTEREN, T0), AS_CSRR(A2, SCOUNTEREN));
    CU_ASSERT_EQUAL(m.s.x[A0], 0x7fd);
    CU_ASSERT_EQUAL(m.s.x[A1], 0x7ff);
    CU_ASSERT_EQUAL(m.s.x[A2], 0x7ff);
    machine_destroy(&m);
}

/* As minstret does: a written value is read by the next instruction; inhibited ones stand. */
static void test_instructions(void)
{
    struct machine m;

    begin(&m);
    for (unsigned n = FIRST; n <= LAST; n++) {
        counter_set(&m, n, n % 2 ? HART_EVENT_CYCLES : INSTRET_EVENT, 0);
        m.s.mcountinhibit = 0;
        m.s.x[T0] = 1000;
        m.s.x[T1] = BIT(n);
        RUN(&m, AS_CSRW(MHPMCOUNTER(n), T0), AS_CSRR(A0, MHPMCOUNTER(n)), AS_NOP,
            AS_CSRR(A1, HPMCOUNTER(n)), AS_N(ebreak));
        CU_ASSERT_EQUAL(m.s.x[A0], 1000);
        CU_ASSERT_EQUAL(m.s.x[A1], 1002);
        CU_ASSERT_EQUAL(counter_of(&m, n), 1003); /* the trap does not retire */
        RUN(&m, AS_CSRW(MCOUNTINHIBIT, T1), AS_CSRR(A0, MHPMCOUNTER(n)), AS_NOP,
            AS_CSRR(A1, MHPMCOUNTER(n)), AS_CSRW(MCOUNTINHIBIT, ZERO),
            AS_CSRR(A2, MHPMCOUNTER(n)), AS_CSRW(MHPMEVENT(n), ZERO),
            AS_CSRR(A3, MHPMCOUNTER(n)));
        CU_ASSERT_EQUAL(m.s.x[A0], 1003);
        CU_ASSERT_EQUAL(m.s.x[A1], 1003);
        CU_ASSERT_EQUAL(m.s.x[A2], 1004);
        CU_ASSERT_EQUAL(m.s.x[A3], 1005);
    }
    machine_destroy(&m);
}

/* M goes to S and U, each runs 5 instructions and traps back. */
static void test_filters(void)
{
    static const struct {
        uint64_t filters;
        uint64_t counts[4]; /* what a run in U, S and M adds */
    } cases[] = {
        {0,                                       {5, 5, 0, 5}},
        {RV_HPM_UINH,                             {0, 5, 0, 5}},
        {RV_HPM_SINH,                             {5, 0, 0, 5}},
        {RV_HPM_MINH,                             {5, 5, 0, 0}},
        {RV_HPM_MINH | RV_HPM_SINH,               {5, 0, 0, 0}},
        {RV_HPM_MINH | RV_HPM_SINH | RV_HPM_UINH, {0, 0, 0, 0}},
    };
    struct machine m;

    begin(&m);
    nops(&m, CODE, 5);
    PUT(&m, CODE + 20, AS_N(ebreak));
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned priv = PRIV_U; priv <= PRIV_M; priv++) {
            if (priv == 2)
                continue;
            counter_set(&m, 4, INSTRET_EVENT | cases[i].filters, 100);
            machine_go(&m, priv, CODE, 6);
            CU_ASSERT_EQUAL(counter_of(&m, 4), 100 + cases[i].counts[priv]);
        }
        /* Within one run: mret belongs to M, what follows to U. */
        counter_set(&m, 4, INSTRET_EVENT | cases[i].filters, 0);
        PUT(&m, CODE + 0x100, AS_NOP, AS_N(mret));
        m.s.mepc = CODE;
        m.s.mstatus &= ~RV_MPP;
        machine_go(&m, PRIV_M, CODE + 0x100, 2 + 6);
        CU_ASSERT_EQUAL(counter_of(&m, 4),
                        cases[i].counts[PRIV_U] + (cases[i].counts[PRIV_M] ? 2 : 0));
    }
    machine_destroy(&m);
}

/* The step at which it overflows; then OF stands and nothing more is told. */
static void test_overflow(void)
{
    struct machine m;

    begin(&m);
    nops(&m, CODE, 64);
    counter_set(&m, 3, INSTRET_EVENT, -10ull);
    machine_go(&m, PRIV_M, CODE, 9);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, 0);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, 0);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(counter_of(&m, 3), 0);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, OF);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, LCOFI);
    m.s.mip = 0;
    m.s.hpmcounter[0] = -2ull;
    machine_go(&m, PRIV_M, CODE, 5);
    CU_ASSERT_EQUAL(counter_of(&m, 3), 3);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, 0);
    /* With OF cleared by software it is told again; writes never overflow. */
    counter_set(&m, 3, INSTRET_EVENT, -3ull);
    m.s.x[T0] = 0;
    m.s.x[T1] = UINT64_MAX;
    RUN(&m, AS_NOP, AS_CSRW(MHPMCOUNTER(3), T1), AS_CSRW(MHPMCOUNTER(3), T0), AS_NOP);
    CU_ASSERT_EQUAL(counter_of(&m, 3), 1);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, 0);
    RUN(&m, AS_CSRW(MHPMCOUNTER(3), T1), AS_NOP, AS_CSRR(A0, SCOUNTOVF), AS_CSRR(A1, MIP));
    CU_ASSERT_EQUAL(m.s.x[A0], BIT(3));
    CU_ASSERT_EQUAL(m.s.x[A1] & LCOFI, LCOFI);
    machine_destroy(&m);
}

/* Interrupts come between exactly these two instructions, whatever the engine's way there. */
static void overflow_taken(unsigned distance, bool stepwise, struct hart_state *end)
{
    struct machine m;
    uint64_t steps = distance + 8;

    begin(&m);
    PUT(&m, CODE, AS_I(addi, A0, A0, 1), AS_J(ZERO, -4));
    PUT(&m, HANDLER, AS_SELF);
    counter_set(&m, 5, INSTRET_EVENT, -(uint64_t)distance);
    m.s.mie = LCOFI;
    m.s.mstatus |= RV_MIE;
    if (!stepwise) {
        machine_go(&m, PRIV_M, CODE, steps);
    } else {
        m.s.priv = PRIV_M;
        m.s.pc = CODE;
        machine_set(&m);
        for (uint64_t i = 0; i < steps; i++)
            machine_run(&m, 1);
    }
    CU_ASSERT_EQUAL(m.s.mcause, RV_CAUSE_INTERRUPT | IRQ_COUNTER);
    CU_ASSERT_EQUAL(m.s.x[A0], (distance + 1) / 2);
    CU_ASSERT_EQUAL(m.s.mepc, CODE + (distance % 2 ? 4 : 0));
    CU_ASSERT_EQUAL(counter_of(&m, 5), 7); /* one step was the interrupt */
    *end = m.s;
    machine_destroy(&m);
}

static void test_exact(void)
{
    static const unsigned distances[] = {1,    2,    3,    100,  2047, 2048,
                                         2049, 4097, 6143, 6200, 9001};
    struct hart_state a, b;

    for (unsigned i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
        overflow_taken(distances[i], false, &a);
        overflow_taken(distances[i], true, &b);
        CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
    }
}

/* Delegated to S, its pending bit S-mode's to clear; scountovf behind mcounteren. */
static void test_delegation(void)
{
    struct machine m;

    begin(&m);
    nops(&m, CODE, 16);
    m.s.x[T0] = LCOFI;
    PUT(&m, S_HANDLER, AS_CSRR(A0, SCOUNTOVF), AS_CSRR(A1, SIP), AS_CSR(csrrc, ZERO, SIP, T0),
        AS_CSRR(A2, SIP), AS_CSRR(A3, SIE));
    for (unsigned open = 0; open < 2; open++) {
        counter_set(&m, 6, INSTRET_EVENT, -3ull);
        m.s.mideleg = LCOFI;
        m.s.mie = LCOFI;
        m.s.mip = 0;
        m.s.mcounteren = open ? BIT(6) : 0;
        m.s.mstatus |= RV_SIE;
        machine_go(&m, PRIV_S, CODE, 3 + 1 + 5);
        CU_ASSERT_EQUAL(m.s.scause, RV_CAUSE_INTERRUPT | IRQ_COUNTER);
        CU_ASSERT_EQUAL(m.s.sepc, CODE + 12);
        CU_ASSERT_EQUAL(m.s.x[A0], open ? BIT(6) : 0);
        CU_ASSERT_EQUAL(m.s.x[A1], LCOFI);
        CU_ASSERT_EQUAL(m.s.x[A2], 0);
        CU_ASSERT_EQUAL(m.s.x[A3], LCOFI);
    }
    /* Not delegated: S sees none of it and cannot clear it; M is interrupted. */
    m.s.mideleg = 0;
    m.s.mie = 0;
    m.s.mip = LCOFI;
    PUT(&m, CODE, AS_CSRR(A1, SIP), AS_CSR(csrrc, ZERO, SIP, T0));
    machine_go(&m, PRIV_S, CODE, 2);
    CU_ASSERT_EQUAL(m.s.x[A1], 0);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, LCOFI);
    m.s.mie = LCOFI;
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_CAUSE_INTERRUPT | IRQ_COUNTER, 0, CODE));
    machine_destroy(&m);
}

/* Who may read: mcounteren for S, both for U; and nobody writes the shadows. */
static void test_access(void)
{
    struct machine m;

    begin(&m);
    for (unsigned n = FIRST; n <= LAST; n++) {
        uint32_t word = AS_CSRR(A0, HPMCOUNTER(n));

        counter_set(&m, n, 0, 4711);
        PUT(&m, CODE, word);
        for (unsigned open = 0; open < 4; open++) {
            m.s.mcounteren = open & 1 ? BIT(n) : ~BIT(n);
            m.s.scounteren = open & 2 ? BIT(n) : ~BIT(n);
            for (unsigned priv = PRIV_U; priv <= PRIV_S; priv++) {
                bool may = (open & 1) && (priv == PRIV_S || (open & 2));

                m.s.x[A0] = 0;
                machine_go(&m, priv, CODE, 1);
                CU_ASSERT_EQUAL(m.s.x[A0], may ? 4711 : 0);
                CU_ASSERT(may || machine_trapped(&m, RV_ILLEGAL, word, CODE));
            }
        }
        PUT(&m, CODE, AS_CSRW(HPMCOUNTER(n), ZERO));
        machine_go(&m, PRIV_M, CODE, 1);
        CU_ASSERT_EQUAL(m.s.mcause, RV_ILLEGAL);
    }
    PUT(&m, CODE, AS_CSRR(A0, SCOUNTOVF));
    machine_go(&m, PRIV_U, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mcause, RV_ILLEGAL);
    PUT(&m, CODE, AS_CSRW(SCOUNTOVF, ZERO));
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mcause, RV_ILLEGAL);
    machine_destroy(&m);
}

/* Everything that is counted where it happens. */
static void test_occurrences(void)
{
    static const uint64_t events[] = {HART_EVENT_EXCEPTIONS,  HART_EVENT_INTERRUPTS,
                                      HART_EVENT_DEVICE,      HART_EVENT_FENCE_I,
                                      HART_EVENT_SFENCE_VMA,  HART_EVENT_LOAD_WALKS,
                                      HART_EVENT_STORE_WALKS, HART_EVENT_FETCH_WALKS};
    struct machine m;

    begin(&m);
    machine_paging(&m, 3);
    for (unsigned i = 0; i < 8; i++)
        counter_set(&m, FIRST + i, events[i], 0);
    m.s.x[T0] = V_DATA;
    m.s.x[T1] = V_DATA + 0x1000;
    PUT(&m, CODE, AS_I(ld, A0, T0, 0), AS_I(ld, A0, T0, 8), AS_S(sd, A0, T0, 0),
        AS_S(sd, A0, T1, 0), AS_N(fence_i), AS_R(sfence_vma, ZERO, ZERO, ZERO),
        AS_I(ld, A0, T0, 0), AS_N(ebreak));
    machine_go(&m, PRIV_S, V_CODE, 8);
    static const uint64_t first[] = {1, 0, 0, 1, 1, 2, 2};
    for (unsigned i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(m.s.hpmcounter[i], first[i]);
    CU_ASSERT(m.s.hpmcounter[7] >= 1 && m.s.hpmcounter[7] <= 3);
    /* A device, from M; an interrupt, counted where it comes from. */
    m.s.x[T0] = PLAT_UART_BASE + 5;
    m.s.hpmevent[1] |= RV_HPM_SINH;
    PUT(&m, CODE, AS_I(lbu, A0, T0, 0), AS_I(lbu, A0, T0, 0), AS_N(ebreak));
    machine_go(&m, PRIV_M, CODE, 3);
    CU_ASSERT_EQUAL(m.s.hpmcounter[2], 2);
    CU_ASSERT_EQUAL(m.s.hpmcounter[0], 2);
    m.s.mie = m.s.mip = BIT(IRQ_S_SOFT);
    machine_go(&m, PRIV_S, V_CODE, 1);
    CU_ASSERT_EQUAL(m.s.hpmcounter[1], 0);
    machine_go(&m, PRIV_U, V_USER, 1);
    CU_ASSERT_EQUAL(m.s.hpmcounter[1], 1);
    CU_ASSERT_EQUAL(m.s.hpmcounter[0], 2);
    machine_destroy(&m);
}

/* An overflow by a trap interrupts before its handler's first instruction, where it may. */
static void test_trap_overflow(void)
{
    struct machine m;

    begin(&m);
    counter_set(&m, 3, HART_EVENT_EXCEPTIONS, UINT64_MAX);
    m.s.medeleg = BIT(RV_BREAKPOINT);
    m.s.mie = LCOFI; /* M-mode's, so that it also comes while S-mode's are off */
    PUT(&m, CODE, AS_N(ebreak));
    nops(&m, S_HANDLER, 4);
    machine_go(&m, PRIV_S, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_CAUSE_INTERRUPT | IRQ_COUNTER, 0, S_HANDLER));
    CU_ASSERT_EQUAL(counter_of(&m, 3), 0);
    machine_destroy(&m);
}

/* A counter of U alone that is nearly full when M leaves for U in the middle of a chunk. */
static void test_privilege_bound(void)
{
    struct machine m;

    begin(&m);
    nops(&m, CODE, 32);
    PUT(&m, CODE + 0x200, AS_NOP, AS_NOP, AS_N(mret));
    counter_set(&m, 7, INSTRET_EVENT | RV_HPM_MINH | RV_HPM_SINH, -4ull);
    m.s.mie = LCOFI;
    m.s.mepc = CODE;
    m.s.mstatus &= ~RV_MPP;
    machine_go(&m, PRIV_M, CODE + 0x200, 3 + 4 + 1);
    CU_ASSERT(machine_trapped(&m, RV_CAUSE_INTERRUPT | IRQ_COUNTER, 0, CODE + 16));
    machine_destroy(&m);
}

/* Two that overflow with one instruction raise one interrupt; of others it is the last. */
static void test_priority(void)
{
    struct machine m;

    begin(&m);
    nops(&m, CODE, 8);
    counter_set(&m, 3, INSTRET_EVENT, -2ull);
    counter_set(&m, 4, HART_EVENT_CYCLES, -2ull);
    m.s.mie = LCOFI | BIT(IRQ_S_TIMER);
    m.s.mip = 0;
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT_EQUAL(event_of(&m, 3) & event_of(&m, 4), OF);
    m.s.mip |= BIT(IRQ_S_TIMER);
    m.s.mstatus |= RV_MIE;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mcause, RV_CAUSE_INTERRUPT | IRQ_S_TIMER);
    m.s.mip &= ~BIT(IRQ_S_TIMER);
    m.s.mstatus |= RV_MIE;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.mcause, RV_CAUSE_INTERRUPT | IRQ_COUNTER);
    machine_destroy(&m);
}

/* In two halves with the state moved over, or in one: the same counts, the same overflow. */
static void test_state(void)
{
    struct hart_state whole;
    struct machine m;

    for (unsigned cut = 0; cut <= 40; cut += 4) {
        begin(&m);
        PUT(&m, CODE, AS_I(addi, A0, A0, 1), AS_J(ZERO, -4));
        counter_set(&m, 3, INSTRET_EVENT, -21ull);
        counter_set(&m, 9, HART_EVENT_CYCLES | OF, 5);
        m.s.mcountinhibit = BIT(10);
        counter_set(&m, 10, INSTRET_EVENT, 99);
        if (cut) {
            struct hart_state moved;

            machine_go(&m, PRIV_M, CODE, cut);
            moved = m.s;
            memset(&m.s.hpmcounter, 0xa5, sizeof(m.s.hpmcounter));
            memset(&m.s.hpmevent, 0, sizeof(m.s.hpmevent));
            machine_set(&m);
            m.s = moved;
            machine_set(&m);
            machine_run(&m, 44 - cut);
            CU_ASSERT_EQUAL(memcmp(&m.s, &whole, sizeof(whole)), 0);
        } else {
            machine_go(&m, PRIV_M, CODE, 44);
            whole = m.s;
            CU_ASSERT_EQUAL(counter_of(&m, 3), 44 - 21);
            CU_ASSERT_EQUAL(counter_of(&m, 9), 49);
            CU_ASSERT_EQUAL(counter_of(&m, 10), 99);
            CU_ASSERT_EQUAL(event_of(&m, 3), INSTRET_EVENT | OF);
        }
        machine_destroy(&m);
    }
}

/* --- through SBI PMU --- */

static struct hart_state sbi(struct machine *m, uint64_t fn, uint64_t a, uint64_t b, uint64_t c,
                             uint64_t d)
{
    m->s.x[A7] = SBI_EXT_PMU;
    m->s.x[A6] = fn;
    m->s.x[A0] = a;
    m->s.x[A1] = b;
    m->s.x[A2] = c;
    m->s.x[A3] = d;
    m->s.x[A4] = 0;
    m->s.pc = CODE;
    machine_set(m);
    machine_run(m, 1);
    return m->s;
}

static void test_sbi(void)
{
    const uint64_t fn = SBI_PMU_COUNTER_CONFIG_MATCHING, all = 0x7ff & ~2ull;
    struct hart_state s;
    struct machine m;

    machine_init(&m, START_KERNEL, 1);
    PUT(&m, CODE, AS_N(ecall));
    nops(&m, CODE + 4, 32);
    CU_ASSERT_EQUAL(m.s.mideleg & LCOFI, LCOFI);
    /* Rather one that filters and overflows than instret; its filters reach mhpmevent. */
    s = sbi(&m, fn, 0, all, SBI_PMU_CFG_SET_UINH, SBI_PMU_HW_INSTRUCTIONS);
    CU_ASSERT_EQUAL(s.x[A0], 0);
    CU_ASSERT_EQUAL(s.x[A1], 3);
    CU_ASSERT_EQUAL(event_of(&m, 3), INSTRET_EVENT | RV_HPM_UINH | RV_HPM_MINH);
    CU_ASSERT_EQUAL(s.mcountinhibit, BIT(3));
    s = sbi(&m, SBI_PMU_COUNTER_GET_INFO, 3, 0, 0, 0);
    CU_ASSERT_EQUAL(s.x[A1], HPMCOUNTER(3) | 63 << 12);
    /* It starts behind the call, and overflows at its instruction. */
    sbi(&m, SBI_PMU_COUNTER_START, 3, 1, SBI_PMU_START_SET_INIT_VALUE, -4ull);
    CU_ASSERT_EQUAL(counter_of(&m, 3), -4ull);
    machine_run(&m, 3);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, 0);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, LCOFI);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, OF);
    /* While the interrupt is pending a start keeps OF, or its handler would find nothing. */
    sbi(&m, SBI_PMU_COUNTER_STOP, 3, 1, 0, 0);
    sbi(&m, SBI_PMU_COUNTER_START, 3, 1, 0, 0);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, OF);
    m.s.mip = 0;
    sbi(&m, SBI_PMU_COUNTER_STOP, 3, 1, 0, 0);
    sbi(&m, SBI_PMU_COUNTER_START, 3, 1, SBI_PMU_START_SET_INIT_VALUE, -1ull);
    CU_ASSERT_EQUAL(event_of(&m, 3) & OF, 0);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(m.s.mip & LCOFI, LCOFI);
    /* Raw events; the cache's; who does not know one. Released, it selects nothing. */
    s = sbi(&m, SBI_PMU_COUNTER_STOP, 3, 1, SBI_PMU_STOP_RESET, 0);
    CU_ASSERT_EQUAL(event_of(&m, 3), 0);
    s = sbi(&m, fn, 0, all, 0, SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0x19));
    CU_ASSERT_EQUAL(s.x[A1], 3);
    CU_ASSERT_EQUAL(event_of(&m, 3), HART_EVENT_LOAD_WALKS | RV_HPM_MINH);
    s = sbi(&m, fn, 0, all, 0, SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0x18));
    CU_ASSERT_EQUAL(s.x[A0], (uint64_t)SBI_ERR_NOT_SUPPORTED);
    s = sbi(&m, fn, 0, all, 0, SBI_PMU_EVENT(SBI_PMU_TYPE_RAW, 0)); /* event_data 0 */
    CU_ASSERT_EQUAL(s.x[A0], (uint64_t)SBI_ERR_NOT_SUPPORTED);
    machine_destroy(&m);
}

void suite_hpm(void)
{
    CU_pSuite suite = CU_add_suite("hpm", NULL, NULL);

    CU_add_test(suite, "registers", test_registers);
    CU_add_test(suite, "instructions and cycles", test_instructions);
    CU_add_test(suite, "filters", test_filters);
    CU_add_test(suite, "overflow, once", test_overflow);
    CU_add_test(suite, "overflow at its step", test_exact);
    CU_add_test(suite, "delegation and scountovf", test_delegation);
    CU_add_test(suite, "access", test_access);
    CU_add_test(suite, "what occurs", test_occurrences);
    CU_add_test(suite, "overflow by a trap", test_trap_overflow);
    CU_add_test(suite, "overflow after a change of privilege", test_privilege_bound);
    CU_add_test(suite, "two overflows, priority", test_priority);
    CU_add_test(suite, "the hart's state", test_state);
    CU_add_test(suite, "through SBI", test_sbi);
}
