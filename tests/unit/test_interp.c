/* test_interp.c: the interpreter: exact budgets, counters, changing code, code pages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#define MSTATUS_MIE (1ull << 3)
#define SSI         (1ull << IRQ_S_SOFT)

/* Skips the instruction that trapped: four instructions. */
static void put_skipping_handler(struct machine *m)
{
    PUT(m, HANDLER, AS_CSRR(T6, MEPC), AS_I(addi, T6, T6, 4), AS_CSRW(MEPC, T6), AS_N(mret));
}

/* --- budgets --- */

/*
 * A loop of everything that ends a run of ops: near and far jumps, two-byte instructions, one
 * that crosses a page, a trap, an interrupt that the instruction before it raises, a handler.
 */
static void put_varied_loop(struct machine *m)
{
    PUT(m, CODE, AS_I(addi, T0, ZERO, 3), /* */
        AS_I(addi, T1, T1, 1),            /* 0x04: the loop */
        AS_HALVES(0x0305, 0x0001),        /* c.addi t1, 1; c.nop */
        AS_S(sw, T1, S0, 0),              /* */
        AS_I(ld, T2, S0, 0),              /* */
        AS_N(ecall),                      /* */
        AS_CSR(csrrsi, ZERO, MIP, SSI),   /* the interrupt comes at once */
        AS_J(RA, 0x2000 - 0x1c),          /* 0x1c: far */
        AS_I(addi, T0, T0, -1),           /* */
        AS_B(bne, T0, ZERO, 0x04 - 0x24), /* 0x24 */
        AS_J(ZERO, -0x28));               /* 0x28 */
    PUT(m, CODE + 0x2000, AS_J(ZERO, 0xff8));
    uint32_t crossing = AS_I(addi, T1, T1, 7);
    PUT(m, CODE + 0x2ff8, AS_NOP, AS_HALVES(0x0001, crossing & 0xffff),
        AS_HALVES(crossing >> 16, 0x0001), AS_I(jalr, ZERO, RA, 0));
    PUT(m, HANDLER, AS_CSR(csrrw, T6, MSCRATCH, T6), /* */
        AS_CSRR(T6, MCAUSE),                         /* */
        AS_B(blt, T6, ZERO, 20),                     /* an interrupt */
        AS_CSRR(T6, MEPC),                           /* */
        AS_I(addi, T6, T6, 4),                       /* */
        AS_CSRW(MEPC, T6),                           /* */
        AS_J(ZERO, 8),                               /* */
        AS_CSR(csrrci, ZERO, MIP, SSI),              /* the interrupt's way */
        AS_CSR(csrrw, T6, MSCRATCH, T6),             /* */
        AS_N(mret));
    m->s.x[S0] = DATA;
    m->s.mie = SSI;
    m->s.mstatus |= MSTATUS_MIE;
}

#define VARIED_STEPS 8300u

/* Chunks are 2048 steps; far from a budget (6144 steps) the usual table is in force. */
static bool budget_wanted(unsigned n)
{
    return n <= 200 || (n >= 2040 && n <= 2060) || (n >= 6130 && n <= 6260) || n >= 8200;
}

/* The state after each step, taken one at a time. */
static struct hart_state *varied_reference(struct machine *m, const struct hart_state *start)
{
    struct hart_state *ref = calloc(VARIED_STEPS + 1, sizeof(*ref));

    if (!ref)
        abort();
    m->s = *start;
    machine_set(m);
    machine_poke(m, DATA, 0);
    ref[0] = *start;
    for (unsigned n = 1; n <= VARIED_STEPS; n++) {
        machine_run(m, 1);
        ref[n] = m->s;
        if (m->s.steps != n)
            CU_FAIL("a run of one step");
    }
    return ref;
}

static bool same_state(const struct hart_state *a, const struct hart_state *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void test_budget(void)
{
    struct machine m;
    struct hart_state start, *ref;
    unsigned wrong = 0;

    machine_init(&m, START_FIRMWARE, 1);
    put_varied_loop(&m);
    machine_set(&m);
    m.vm.engine->state_get(&m.vm.hart[0], &start);
    ref = varied_reference(&m, &start);
    for (unsigned exact = 0; exact < 2; exact++) {
        interp_of(m.h)->exact = exact;
        for (unsigned n = 0; n <= VARIED_STEPS; n++) {
            if (!budget_wanted(n))
                continue;
            m.s = start;
            machine_set(&m);
            machine_poke(&m, DATA, 0);
            machine_run(&m, n);
            wrong += m.s.steps != n || !same_state(&m.s, &ref[n]);
            CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_BUDGET);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    /* The loop did all of it. */
    CU_ASSERT(ref[VARIED_STEPS].x[T1] > 1000);
    CU_ASSERT(ref[VARIED_STEPS].steps - ref[VARIED_STEPS].instret > 400);
    free(ref);
    machine_destroy(&m);
}

/* A run cut into pieces is the same run. */
static void test_budget_pieces(void)
{
    struct machine m;
    struct hart_state start, *ref;

    machine_init(&m, START_FIRMWARE, 1);
    put_varied_loop(&m);
    machine_set(&m);
    m.vm.engine->state_get(&m.vm.hart[0], &start);
    ref = varied_reference(&m, &start);
    for (unsigned piece = 2; piece < 60; piece++) {
        unsigned done = 0;

        m.s = start;
        machine_set(&m);
        machine_poke(&m, DATA, 0);
        for (; done + piece <= 1000; done += piece)
            machine_run(&m, piece);
        machine_run(&m, VARIED_STEPS - done);
        CU_ASSERT(same_state(&m.s, &ref[VARIED_STEPS]));
    }
    free(ref);
    machine_destroy(&m);
}

/* A budget of the whole VM, as the command line sets it. */
static void test_budget_vm(void)
{
    struct machine m;
    struct error err = {0};

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_SELF);
    m.h->step_limit = 123456;
    CU_ASSERT_EQUAL(vm_run(&m.vm, &err), 0);
    CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_BUDGET);
    CU_ASSERT_EQUAL(m.vm.stop.status, STATUS_BUDGET);
    CU_ASSERT_EQUAL(m.vm.hart[0].steps, 123456);
    CU_ASSERT_EQUAL(m.vm.hart[0].instret, 123456);
    machine_destroy(&m);
}

/* --- counters --- */

/* Runs `words` up to the jump-to-self that is put behind them. */
static void run_words(struct machine *m, const uint32_t *words, size_t n)
{
    const uint32_t end = AS_SELF;

    machine_put(m, CODE, words, n);
    machine_put(m, CODE + 4 * n, &end, 1);
    m->s.pc = CODE;
    machine_set(m);
    for (unsigned i = 0; i < 1000 && m->s.pc != CODE + 4 * n; i++)
        machine_run(m, 1);
    CU_ASSERT_EQUAL(m->s.pc, CODE + 4 * n);
}
#define RUN(m, ...)                                                                            \
    run_words(m, (const uint32_t[]){__VA_ARGS__},                                              \
              sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void test_instret(void)
{
    struct machine m;
    /* What does not retire, between two reads of instret: each trap costs its handler only. */
    const uint32_t traps[] = {AS_N(ecall), AS_N(ebreak), 0xffffffff, AS_I(ld, A5, ZERO, 0),
                              AS_R(lr_w, A5, T0, ZERO)};

    machine_init(&m, START_FIRMWARE, 1);
    put_skipping_handler(&m);
    m.s.x[T0] = DATA + 1;
    RUN(&m, AS_CSRR(A0, INSTRET), AS_NOP, AS_HALVES(0x0001, 0x0001), AS_CSRR(A1, INSTRET));
    CU_ASSERT_EQUAL(m.s.x[A0], 0); /* what came before it, which is nothing */
    CU_ASSERT_EQUAL(m.s.x[A1], 4);
    for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
        uint64_t steps = m.s.steps, instret = m.s.instret;

        RUN(&m, AS_CSRR(A0, MINSTRET), traps[i], AS_CSRR(A1, MINSTRET));
        CU_ASSERT_EQUAL(m.s.x[A1] - m.s.x[A0], 1 + 4);
        CU_ASSERT_EQUAL(m.s.steps - steps, 3 + 4);
        CU_ASSERT_EQUAL(m.s.instret - instret, 2 + 4);
    }
    machine_destroy(&m);
}

/* An interrupt is a step, but no instruction. */
static void test_instret_interrupt(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, HANDLER, AS_CSR(csrrci, ZERO, MIP, SSI), AS_N(mret));
    m.s.mie = SSI;
    m.s.mstatus |= MSTATUS_MIE;
    RUN(&m, AS_CSRR(A0, INSTRET), AS_CSR(csrrsi, ZERO, MIP, SSI), AS_CSRR(A1, INSTRET));
    CU_ASSERT_EQUAL(m.s.x[A1] - m.s.x[A0], 2 + 2);
    CU_ASSERT_EQUAL(m.s.steps, 3 + 1 + 2);
    CU_ASSERT_EQUAL(m.s.instret, 3 + 2);
    machine_destroy(&m);
}

/* Calls that the monitor answers do not retire either. */
static void test_instret_call(void)
{
    struct machine m;

    machine_init(&m, START_KERNEL, 1);
    m.s.x[A7] = 0x10; /* SBI Base, get_spec_version */
    RUN(&m, AS_CSRR(S0, INSTRET), AS_N(ecall), AS_CSRR(S1, INSTRET));
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    CU_ASSERT_NOT_EQUAL(m.s.x[A1], 0);
    CU_ASSERT_EQUAL(m.s.x[S1] - m.s.x[S0], 1);
    CU_ASSERT_EQUAL(m.s.steps, 3);
    CU_ASSERT_EQUAL(m.s.instret, 2);
    machine_destroy(&m);
}

/* A written counter is what the next instruction reads (privileged spec., section 3.1.10). */
static void test_counter_write(void)
{
    static const unsigned counters[] = {MINSTRET, MCYCLE};
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (unsigned i = 0; i < 2; i++) {
        unsigned csr = counters[i];

        m.s.x[T0] = 1000;
        RUN(&m, AS_NOP, AS_CSRW(csr, T0), AS_CSRR(A0, csr), AS_CSRR(A1, csr),
            AS_CSRR(A2, csr + 0x100) /* its read-only shadow */);
        CU_ASSERT_EQUAL(m.s.x[A0], 1000);
        CU_ASSERT_EQUAL(m.s.x[A1], 1001);
        CU_ASSERT_EQUAL(m.s.x[A2], 1002);
        m.s.x[T0] = UINT64_MAX;
        RUN(&m, AS_CSRW(csr, T0), AS_CSRR(A0, csr), AS_CSRR(A1, csr));
        CU_ASSERT_EQUAL(m.s.x[A0], UINT64_MAX);
        CU_ASSERT_EQUAL(m.s.x[A1], 0);
        /* Set and clear write what was read, changed: no instruction is lost or won. */
        RUN(&m, AS_CSRW(csr, ZERO), AS_CSR(csrrsi, A0, csr, 16), AS_CSRR(A1, csr));
        CU_ASSERT_EQUAL(m.s.x[A0], 0);
        CU_ASSERT_EQUAL(m.s.x[A1], 16);
    }
    /* The monitor's own counts are not the guest's to change. */
    CU_ASSERT_EQUAL(m.s.instret, m.s.steps);
    machine_destroy(&m);
}

static void test_countinhibit(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = 77;
    RUN(&m, AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 4), /* IR */
        AS_CSRR(A0, MINSTRET), AS_CSRR(A1, MCYCLE), AS_NOP, AS_NOP, AS_CSRR(A2, MINSTRET),
        AS_CSRR(A3, MCYCLE));
    CU_ASSERT_EQUAL(m.s.x[A2], m.s.x[A0]);
    CU_ASSERT_EQUAL(m.s.x[A3] - m.s.x[A1], 4);
    RUN(&m, AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 1), /* CY */
        AS_CSRR(A0, MINSTRET), AS_CSRR(A1, MCYCLE), AS_NOP, AS_CSRR(A2, MINSTRET),
        AS_CSRR(A3, MCYCLE));
    CU_ASSERT_EQUAL(m.s.x[A2] - m.s.x[A0], 3);
    CU_ASSERT_EQUAL(m.s.x[A3], m.s.x[A1]);
    /* Written while it stands still, then let go. */
    RUN(&m, AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 5), AS_CSRW(MINSTRET, T0), AS_NOP,
        AS_CSRR(A0, MINSTRET), AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 0), AS_CSRR(A1, MINSTRET),
        AS_NOP, AS_CSRR(A2, MINSTRET), AS_CSRR(A3, MCOUNTINHIBIT));
    CU_ASSERT_EQUAL(m.s.x[A0], 77);
    CU_ASSERT(m.s.x[A1] == 77 || m.s.x[A1] == 78);
    CU_ASSERT_EQUAL(m.s.x[A2] - m.s.x[A1], 2);
    CU_ASSERT_EQUAL(m.s.x[A3], 0);
    /* Bits of counters that do not count cannot be set; TM does not exist. */
    RUN(&m, AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 31), AS_CSRR(A0, MCOUNTINHIBIT),
        AS_CSR(csrrwi, ZERO, MCOUNTINHIBIT, 0));
    CU_ASSERT_EQUAL(m.s.x[A0] & 2, 0);
    machine_destroy(&m);
}

/* --- code that changes --- */

static void test_fence_i(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = AS_I(addi, A0, ZERO, 2);
    m.s.x[T1] = CODE + 0x100;
    PUT(&m, CODE + 0x100, AS_I(addi, A0, ZERO, 1), AS_I(jalr, ZERO, RA, 0));
    RUN(&m, AS_J(RA, 0x100), AS_I(addi, A1, A0, 0), AS_S(sw, T0, T1, 0), AS_N(fence_i),
        AS_J(RA, 0x100 - 16));
    CU_ASSERT_EQUAL(m.s.x[A1], 1);
    CU_ASSERT_EQUAL(m.s.x[A0], 2);
    /* The very next instruction, in the page that is running. */
    m.s.x[T1] = CODE + 12;
    m.s.x[T0] = AS_I(addi, A0, ZERO, 4);
    RUN(&m, AS_I(addi, A0, ZERO, 3), AS_S(sw, T0, T1, 0), AS_N(fence_i),
        AS_I(addi, A0, ZERO, 5));
    CU_ASSERT_EQUAL(m.s.x[A0], 4);
    machine_destroy(&m);
}

/* Half of an instruction, on the page behind it, changes. */
static void test_fence_i_crossing(void)
{
    const uint32_t before = AS_I(addi, A0, ZERO, 0x111), after = AS_I(addi, A0, ZERO, 0x222);
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE + 0xffc, AS_HALVES(0x0001, before & 0xffff), AS_HALVES(before >> 16, 0x0001),
        AS_I(jalr, ZERO, RA, 0));
    m.s.x[T0] = after >> 16;
    m.s.x[T1] = CODE + 0x1000;
    RUN(&m, AS_J(RA, 0xffc), AS_I(addi, A1, A0, 0), AS_S(sh, T0, T1, 0), AS_N(fence_i),
        AS_J(RA, 0xffc - 16));
    CU_ASSERT_EQUAL(m.s.x[A1], 0x111);
    CU_ASSERT_EQUAL(m.s.x[A0], 0x222);
    machine_destroy(&m);
}

/* Another hart's fence.i, after a device wrote the code. */
static void test_fence_i_remote(void)
{
    const struct hart_fence fence = {.kind = FENCE_I};
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    RUN(&m, AS_I(addi, A0, ZERO, 1));
    machine_poke(&m, CODE, AS_I(addi, A0, ZERO, 2) | (uint64_t)AS_SELF << 32);
    m.vm.engine->fence(&m.vm.hart[0], &fence);
    m.s.pc = CODE;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.x[A0], 2);
    machine_destroy(&m);
}

/* More pages of code than are kept decoded, twice through. */
static void test_many_pages(void)
{
    const gpa_t first = CODE + (4u << 20);
    const unsigned pages = CODE_PAGES_MAX + 100;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (unsigned i = 0; i < pages; i++)
        PUT(&m, first + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, 1),
            i == pages - 1 ? AS_N(ebreak) : AS_J(ZERO, 4092));
    for (unsigned round = 1; round <= 2; round++) {
        gpa_t last = first + (gpa_t)(pages - 1) * MEM_PAGE_SIZE + 4;

        machine_go(&m, PRIV_M, first, 2 * pages);
        CU_ASSERT(machine_trapped(&m, RV_BREAKPOINT, last, last));
        CU_ASSERT_EQUAL(m.s.x[A0], round * pages);
        CU_ASSERT_EQUAL(m.s.steps, 2 * round * pages);
        CU_ASSERT(interp_of(m.h)->npages <= CODE_PAGES_MAX);
    }
    machine_destroy(&m);
}

/* The scratch page serves instructions that cross, also when the decoded pages are dropped. */
static void test_many_crossings(void)
{
    const gpa_t first = CODE + (4u << 20);
    const unsigned pages = CODE_PAGES_MAX + 100;
    const uint32_t add = AS_I(addi, A0, A0, 1), jump = AS_J(ZERO, 4096 - 8);
    struct machine m;

    /* A page ends with the first half of addi; the next begins with its second, then jumps. */
    machine_init(&m, START_FIRMWARE, 1);
    for (unsigned i = 1; i <= pages; i++)
        PUT(&m, first + (gpa_t)i * MEM_PAGE_SIZE - 4, AS_HALVES(0x0001, add & 0xffff),
            AS_HALVES(add >> 16, 0x0001), i == pages ? AS_N(ebreak) : jump);
    for (unsigned i = 1; i < pages; i++)
        PUT(&m, first + (gpa_t)i * MEM_PAGE_SIZE + 4, AS_J(ZERO, 4096 - 8));
    machine_go(&m, PRIV_M, first + MEM_PAGE_SIZE - 4, 4 * pages);
    CU_ASSERT(machine_trapped(&m, RV_BREAKPOINT, first + (gpa_t)pages * MEM_PAGE_SIZE + 4,
                              first + (gpa_t)pages * MEM_PAGE_SIZE + 4));
    CU_ASSERT_EQUAL(m.s.x[A0], pages);
    machine_destroy(&m);
}

void interp_tests(CU_pSuite suite)
{
    CU_add_test(suite, "a budget stops exactly", test_budget);
    CU_add_test(suite, "pieces of a run are the run", test_budget_pieces);
    CU_add_test(suite, "the budget of a VM", test_budget_vm);
    CU_add_test(suite, "what retires", test_instret);
    CU_add_test(suite, "interrupts do not retire", test_instret_interrupt);
    CU_add_test(suite, "calls do not retire", test_instret_call);
    CU_add_test(suite, "writing counters", test_counter_write);
    CU_add_test(suite, "mcountinhibit", test_countinhibit);
    CU_add_test(suite, "fence.i", test_fence_i);
    CU_add_test(suite, "fence.i and an instruction on two pages", test_fence_i_crossing);
    CU_add_test(suite, "fence.i of another hart", test_fence_i_remote);
    CU_add_test(suite, "more code pages than are kept", test_many_pages);
    CU_add_test(suite, "crossing instructions of more pages", test_many_crossings);
    interp_trap_tests(suite);
    interp_memory_tests(suite);
    interp_space_tests(suite);
}

void suite_interp(void)
{
    interp_tests(CU_add_suite("interp", NULL, NULL));
}
