/* test_interp_trap.c: the interpreter's traps, interrupts, LR/SC and waiting. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include "guest/abi/tg.h"
#include "tests/unit/machine.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define INTERRUPT(irq) (RV_CAUSE_INTERRUPT | (irq))
#define BIT(n)         (1ull << (n))
#define ALL_S          (BIT(IRQ_S_SOFT) | BIT(IRQ_S_TIMER) | BIT(IRQ_S_EXT))
#define ALL_IRQS       (ALL_S | BIT(IRQ_M_SOFT) | BIT(IRQ_M_TIMER) | BIT(IRQ_M_EXT))

/* An instruction that traps: at CODE, with t0 as given; a0 must stay. */
struct trap_case {
    const char *name;
    uint32_t word;
    unsigned priv;
    uint64_t t0;
    uint64_t cause, tval;
};

#define CASE(...)                                                                              \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }
#define ILLEGAL(name, word, priv) CASE(name, word, priv, 0, RV_ILLEGAL, word)

static void check_traps(const struct trap_case *cases, size_t n)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (size_t i = 0; i < n; i++) {
        const struct trap_case *c = &cases[i];
        uint64_t steps = m.s.steps, instret = m.s.instret;

        PUT(&m, CODE, c->word);
        m.s.x[T0] = c->t0;
        m.s.x[A0] = 0x5a5a;
        machine_go(&m, c->priv, CODE, 1);
        if (!machine_trapped(&m, c->cause, c->tval, CODE)) {
            printf("    %s\n", c->name);
            CU_FAIL("a trap");
        }
        CU_ASSERT_EQUAL((m.s.mstatus & RV_MPP) >> RV_MPP_SHIFT, c->priv);
        CU_ASSERT_EQUAL(m.s.x[A0], 0x5a5a);
        CU_ASSERT_EQUAL(m.s.steps, steps + 1);
        CU_ASSERT_EQUAL(m.s.instret, instret);
    }
    machine_destroy(&m);
}

static void test_illegal(void)
{
    const struct trap_case cases[] = {
        ILLEGAL("all ones", 0xffffffff, PRIV_M),
        CASE("all zeros", 0, PRIV_M, 0, RV_ILLEGAL, 0),
        CASE("c.jr x0", AS_HALVES(0x8002, 0xffff), PRIV_M, 0, RV_ILLEGAL, 0x8002),
        ILLEGAL("a CSR that is not there", AS_CSRR(A0, 0x5c0), PRIV_M),
        ILLEGAL("write to a read-only CSR", AS_CSRW(CYCLE, ZERO), PRIV_M),
        ILLEGAL("set of a read-only CSR", AS_CSR(csrrs, A0, 0xf14, T0), PRIV_M),
        ILLEGAL("mstatus in S", AS_CSRR(A0, MSTATUS), PRIV_S),
        ILLEGAL("sstatus in U", AS_CSRR(A0, SSTATUS), PRIV_U),
        ILLEGAL("satp in U", AS_CSRW(SATP, T0), PRIV_U),
        ILLEGAL("cycle in S, closed", AS_CSRR(A0, CYCLE), PRIV_S),
        ILLEGAL("instret in U, closed", AS_CSRR(A0, INSTRET), PRIV_U),
        ILLEGAL("mret in S", AS_N(mret), PRIV_S),
        ILLEGAL("mret in U", AS_N(mret), PRIV_U),
        ILLEGAL("sret in U", AS_N(sret), PRIV_U),
        ILLEGAL("sfence.vma in U", AS_R(sfence_vma, ZERO, ZERO, ZERO), PRIV_U),
        ILLEGAL("wfi in U", AS_N(wfi), PRIV_U),
        /* FS is off; the address would fault too. */
        ILLEGAL("fld", AS_I(fld, 1, T0, 0), PRIV_M),
        ILLEGAL("fsd", AS_S(fsd, 1, T0, 0), PRIV_M),
        ILLEGAL("fadd.d", AS_R(fadd_d, 1, 2, 3), PRIV_M),
        ILLEGAL("fmv.x.d", AS_R(fmv_x_d, A0, 2, 0), PRIV_M),
        ILLEGAL("fflags", AS_CSRR(A0, 0x001), PRIV_M),
        CASE("c.fld", AS_HALVES(0x2000, 0), PRIV_M, 0, RV_ILLEGAL, 0x2000),
    };
    check_traps(cases, COUNT(cases));
}

static void test_accesses(void)
{
    const uint64_t end = CODE + MACHINE_RAM, uart = PLAT_UART_BASE;
    const struct trap_case cases[] = {
        CASE("ld", AS_I(ld, A0, T0, 0), PRIV_M, NOWHERE, RV_LOAD_ACCESS, NOWHERE),
        CASE("ld, offset", AS_I(lb, A0, T0, -8), PRIV_U, NOWHERE, RV_LOAD_ACCESS, NOWHERE - 8),
        CASE("sd", AS_S(sd, A0, T0, 8), PRIV_M, NOWHERE, RV_STORE_ACCESS, NOWHERE + 8),
        CASE("sb in S", AS_S(sb, A0, T0, 0), PRIV_S, 0, RV_STORE_ACCESS, 0),
        CASE("c.ld", AS_HALVES(0x6400, 0), PRIV_M, 0, RV_LOAD_ACCESS, 8), /* x8 is 0 */
        CASE("around the end of all", AS_I(ld, A0, T0, 0), PRIV_M, UINT64_MAX - 3,
             RV_LOAD_ACCESS, UINT64_MAX - 3),
        CASE("over the end of memory", AS_I(ld, A0, T0, 0), PRIV_M, end - 4, RV_LOAD_ACCESS,
             end),
        CASE("over it, store", AS_S(sd, A0, T0, 0), PRIV_M, end - 4, RV_STORE_ACCESS, end),
        CASE("misaligned at a device", AS_I(lw, A0, T0, 0), PRIV_M, PLAT_FINISHER_BASE + 2,
             RV_LOAD_ACCESS, PLAT_FINISHER_BASE + 2),
        CASE("size that a device refuses", AS_S(sd, A0, T0, 0), PRIV_M, PLAT_PLIC_BASE,
             RV_STORE_ACCESS, PLAT_PLIC_BASE),
        CASE("lr.w, misaligned", AS_R(lr_w, A0, T0, 0), PRIV_M, DATA + 2, RV_LOAD_MISALIGNED,
             DATA + 2),
        CASE("lr.d, misaligned", AS_R(lr_d, A0, T0, 0), PRIV_M, DATA + 4, RV_LOAD_MISALIGNED,
             DATA + 4),
        CASE("sc.w, misaligned", AS_R(sc_w, A0, T0, T1), PRIV_M, DATA + 1, RV_STORE_MISALIGNED,
             DATA + 1),
        CASE("sc.d, misaligned", AS_R(sc_d, A0, T0, T1), PRIV_S, DATA + 4, RV_STORE_MISALIGNED,
             DATA + 4),
        CASE("amoadd.w, misaligned", AS_R(amoadd_w, A0, T0, T1), PRIV_M, DATA + 2,
             RV_STORE_MISALIGNED, DATA + 2),
        CASE("amoswap.d, misaligned", AS_R(amoswap_d, A0, T0, T1), PRIV_U, DATA + 4,
             RV_STORE_MISALIGNED, DATA + 4),
        CASE("lr.w, no memory", AS_R(lr_w, A0, T0, 0), PRIV_M, NOWHERE, RV_LOAD_ACCESS,
             NOWHERE),
        CASE("lr.w at a device", AS_R(lr_w, A0, T0, 0), PRIV_M, uart, RV_LOAD_ACCESS, uart),
        CASE("amo at a device", AS_R(amoor_w, A0, T0, T1), PRIV_M, uart, RV_STORE_ACCESS, uart),
        CASE("amo, no memory", AS_R(amomax_d, A0, T0, T1), PRIV_M, 0x1000, RV_STORE_ACCESS,
             0x1000),
    };

    check_traps(cases, COUNT(cases));
}

static void test_calls(void)
{
    const struct trap_case cases[] = {
        CASE("ecall in U", AS_N(ecall), PRIV_U, 0, RV_ECALL_U, 0),
        CASE("ecall in S", AS_N(ecall), PRIV_S, 0, RV_ECALL_S, 0),
        CASE("ecall in M", AS_N(ecall), PRIV_M, 0, RV_ECALL_M, 0),
        CASE("ebreak in U", AS_N(ebreak), PRIV_U, 0, RV_BREAKPOINT, CODE),
        CASE("ebreak in M", AS_N(ebreak), PRIV_M, 0, RV_BREAKPOINT, CODE),
        CASE("c.ebreak", AS_HALVES(0x9002, 0), PRIV_S, 0, RV_BREAKPOINT, CODE),
    };

    check_traps(cases, COUNT(cases));
}

/* A jump retires; what cannot be fetched is its target. */
static void test_fetch(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = 0x1000;
    PUT(&m, CODE, AS_I(jalr, RA, T0, 8));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, 0x1008, 0x1008));
    CU_ASSERT_EQUAL(m.s.x[RA], CODE + 4);
    CU_ASSERT_EQUAL(m.s.instret, 1);
    /* Devices hold no code. */
    m.s.x[T0] = PLAT_UART_BASE;
    machine_go(&m, PRIV_S, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, PLAT_UART_BASE + 8, PLAT_UART_BASE + 8));
    /* The lowest bit of a target is cleared: with C nothing is misaligned. */
    m.s.x[T0] = CODE + 0x101;
    PUT(&m, CODE, AS_I(jalr, ZERO, T0, 2));
    PUT(&m, CODE + 0x102, AS_N(ebreak));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_BREAKPOINT, CODE + 0x102, CODE + 0x102));
    /* Off the end of memory: the second half of an instruction is named. */
    PUT(&m, CODE + MACHINE_RAM - 4, AS_HALVES(0x0001, 0x0013));
    machine_go(&m, PRIV_M, CODE + MACHINE_RAM - 2, 1);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE + MACHINE_RAM, CODE + MACHINE_RAM - 2));
    machine_go(&m, PRIV_M, CODE + MACHINE_RAM - 4, 2);
    CU_ASSERT(machine_trapped(&m, RV_FETCH_ACCESS, CODE + MACHINE_RAM, CODE + MACHINE_RAM - 2));
    machine_destroy(&m);
}

/* A store over two pages of which the second is not there. */
static void test_store_all_or_nothing(void)
{
    const uint64_t end = CODE + MACHINE_RAM;
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (unsigned shift = 1; shift < 8; shift++) {
        machine_poke(&m, end - 8, 0x1122334455667788);
        m.s.x[T0] = end - shift;
        m.s.x[A0] = UINT64_MAX;
        PUT(&m, CODE, AS_S(sd, A0, T0, 0));
        machine_go(&m, PRIV_M, CODE, 1);
        CU_ASSERT(machine_trapped(&m, RV_STORE_ACCESS, end, CODE));
        CU_ASSERT_EQUAL(machine_peek(&m, end - 8), 0x1122334455667788);
    }
    machine_destroy(&m);
}

/* What a trap does to mstatus, and that mret and sret undo it. */
static void test_stack(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_N(ecall), AS_NOP);
    PUT(&m, HANDLER, AS_N(mret));
    for (unsigned mie = 0; mie < 2; mie++) {
        m.s.mstatus = (m.s.mstatus & ~(RV_MIE | RV_MPIE | RV_MPP)) | (mie ? RV_MIE : 0);
        machine_go(&m, PRIV_S, CODE, 1);
        CU_ASSERT_EQUAL(m.s.mstatus & RV_MIE, 0);
        CU_ASSERT_EQUAL(m.s.mstatus & RV_MPIE, mie ? RV_MPIE : 0);
        CU_ASSERT_EQUAL(m.s.mstatus & RV_MPP, (uint64_t)PRIV_S << RV_MPP_SHIFT);
        machine_run(&m, 1);
        CU_ASSERT_EQUAL(m.s.priv, PRIV_S);
        CU_ASSERT_EQUAL(m.s.pc, CODE);
        CU_ASSERT_EQUAL(m.s.mstatus & RV_MIE, mie ? RV_MIE : 0);
        CU_ASSERT_EQUAL(m.s.mstatus & (RV_MPIE | RV_MPP), RV_MPIE);
    }
    PUT(&m, S_HANDLER, AS_N(sret));
    m.s.medeleg = BIT(RV_ECALL_U) | BIT(RV_ECALL_M);
    for (unsigned sie = 0; sie < 2; sie++) {
        m.s.mstatus = (m.s.mstatus & ~(RV_SIE | RV_SPIE | RV_SPP)) | (sie ? RV_SIE : 0);
        machine_go(&m, PRIV_U, CODE, 1);
        CU_ASSERT_EQUAL(m.s.priv, PRIV_S);
        CU_ASSERT_EQUAL(m.s.pc, S_HANDLER);
        CU_ASSERT_EQUAL(m.s.scause, RV_ECALL_U);
        CU_ASSERT_EQUAL(m.s.sepc, CODE);
        CU_ASSERT_EQUAL(m.s.stval, 0);
        CU_ASSERT_EQUAL(m.s.mstatus & (RV_SIE | RV_SPIE | RV_SPP), sie ? RV_SPIE : 0);
        machine_run(&m, 1);
        CU_ASSERT_EQUAL(m.s.priv, PRIV_U);
        CU_ASSERT_EQUAL(m.s.mstatus & (RV_SIE | RV_SPIE | RV_SPP),
                        RV_SPIE | (sie ? RV_SIE : 0));
    }
    /* Traps never go to a lower level than they come from. */
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT(machine_trapped(&m, RV_ECALL_M, 0, CODE));
    machine_destroy(&m);
}

/* mstatus.TVM, TW and TSR take S-mode's instructions away. */
static void test_virtualization_bits(void)
{
    const struct {
        uint64_t bit;
        uint32_t word;
    } cases[] = {
        {RV_TVM,           AS_CSRR(A0,     SATP)},
        {RV_TVM,                AS_CSRW(SATP,                         ZERO)},
        {RV_TVM,           AS_R(sfence_vma, ZERO, ZERO, ZERO)},
        {RV_TVM,AS_R(sfence_vma, ZERO, T0, T1)},
        {RV_TW,           AS_N(wfi)                        },
        {RV_TSR,           AS_N(sret)                    },
    };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.mie = m.s.mip = BIT(IRQ_S_SOFT); /* wfi does not wait, M-mode is not interrupted */
    m.s.mideleg = BIT(IRQ_S_SOFT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        PUT(&m, CODE, cases[i].word);
        for (unsigned on = 0; on < 2; on++) {
            m.s.mstatus &= ~(RV_TVM | RV_TW | RV_TSR | RV_SPIE);
            m.s.mstatus |= RV_SPP | (on ? cases[i].bit : 0);
            m.s.sepc = CODE + 4;
            machine_go(&m, PRIV_S, CODE, 1);
            if (on) {
                CU_ASSERT(machine_trapped(&m, RV_ILLEGAL, cases[i].word, CODE));
            } else {
                CU_ASSERT_EQUAL(m.s.pc, CODE + 4);
                CU_ASSERT_EQUAL(m.s.priv, PRIV_S);
            }
        }
    }
    machine_destroy(&m);
}

/* --- interrupts --- */

/* Highest first (privileged specification, section 3.1.9). */
static const unsigned order[] = {IRQ_M_EXT, IRQ_M_SOFT, IRQ_M_TIMER,
                                 IRQ_S_EXT, IRQ_S_SOFT, IRQ_S_TIMER};

static void test_priority(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_NOP, AS_SELF);
    m.s.mie = ALL_IRQS;
    for (unsigned set = 1; set < 64; set++) {
        unsigned first = 6;

        m.s.mip = 0;
        for (unsigned i = 0; i < 6; i++) {
            if (!(set >> i & 1))
                continue;
            m.s.mip |= BIT(order[i]);
            first = i < first ? i : first;
        }
        m.s.mideleg = 0;
        m.s.mstatus |= RV_MIE;
        machine_go(&m, PRIV_M, CODE, 1);
        CU_ASSERT(machine_trapped(&m, INTERRUPT(order[first]), 0, CODE));
        /* In U-mode, S's own ones delegated: M's come first all the same. */
        m.s.mideleg = ALL_S;
        machine_go(&m, PRIV_U, CODE, 1);
        CU_ASSERT_EQUAL(first < 3 ? m.s.mcause : m.s.scause, INTERRUPT(order[first]));
        CU_ASSERT_EQUAL(m.s.priv, first < 3 ? PRIV_M : PRIV_S);
    }
    CU_ASSERT_EQUAL(m.s.instret, 0);
    machine_destroy(&m);
}

/* Which level takes an interrupt: PRIV_M, PRIV_S, or -1 for none. */
static int taker(unsigned priv, bool mie, bool sie, bool delegated)
{
    if (delegated)
        return priv < PRIV_S || (priv == PRIV_S && sie) ? PRIV_S : -1;
    return priv < PRIV_M || mie ? PRIV_M : -1;
}

static void check_delegation(struct machine *m, unsigned priv, unsigned how, unsigned irq)
{
    bool mie = how & 1, sie = how & 2;
    uint64_t mideleg = how & 4 ? ALL_S : 0;
    int level = taker(priv, mie, sie, mideleg >> irq & 1);

    m->s.mideleg = mideleg;
    m->s.mie = m->s.mip = BIT(irq);
    m->s.mcause = m->s.scause = 0;
    m->s.mstatus =
        (m->s.mstatus & ~(RV_MIE | RV_SIE)) | (mie ? RV_MIE : 0) | (sie ? RV_SIE : 0);
    machine_go(m, priv, CODE, 1);
    CU_ASSERT_EQUAL(m->s.mcause, level == PRIV_M ? INTERRUPT(irq) : 0);
    CU_ASSERT_EQUAL(m->s.scause, level == PRIV_S ? INTERRUPT(irq) : 0);
    CU_ASSERT_EQUAL(m->s.pc, level == PRIV_M   ? HANDLER
                             : level == PRIV_S ? S_HANDLER
                                               : CODE + 4);
    if (level == PRIV_S)
        CU_ASSERT(m->s.sepc == CODE && m->s.stval == 0);
}

static void test_delegation(void)
{
    static const unsigned privs[] = {PRIV_U, PRIV_S, PRIV_M};
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_NOP, AS_SELF);
    for (unsigned p = 0; p < 3; p++)
        for (unsigned how = 0; how < 8; how++)
            for (unsigned i = 0; i < COUNT(order); i++)
                check_delegation(&m, privs[p], how, order[i]);
    machine_destroy(&m);
}

static void test_vectored(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_N(ecall));
    m.s.mtvec = HANDLER | 1;
    m.s.stvec = S_HANDLER | 1;
    m.s.mie = ALL_IRQS;
    m.s.mstatus |= RV_MIE;
    for (unsigned i = 0; i < COUNT(order); i++) {
        m.s.mip = BIT(order[i]);
        m.s.mideleg = 0;
        m.s.mstatus |= RV_MIE;
        machine_go(&m, PRIV_M, CODE, 1);
        CU_ASSERT_EQUAL(m.s.pc, HANDLER + 4 * order[i]);
        m.s.mideleg = ALL_S;
        machine_go(&m, PRIV_U, CODE, 1);
        CU_ASSERT_EQUAL(m.s.pc, (i < 3 ? HANDLER : S_HANDLER) + 4 * order[i]);
    }
    m.s.mip = 0;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.pc, HANDLER);
    machine_destroy(&m);
}

/* Whatever lets an interrupt in, it comes before the next instruction. */
static void test_enabling(void)
{
    const uint32_t words[] = {
        AS_CSR(csrrsi, ZERO, MSTATUS, RV_MIE),
        AS_CSRW(MIE, T0),
        AS_CSR(csrrs, ZERO, MIP, T0),
        AS_N(mret),
        AS_N(wfi),
    };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = BIT(IRQ_S_SOFT);
    for (size_t i = 0; i < COUNT(words); i++) {
        PUT(&m, CODE, words[i], AS_I(addi, A0, ZERO, 1));
        m.s.x[A0] = 0;
        m.s.mie = i == 1 ? 0 : BIT(IRQ_S_SOFT);
        m.s.mip = i == 2 ? 0 : BIT(IRQ_S_SOFT);
        m.s.mstatus = (m.s.mstatus & ~RV_MIE) | RV_MPP | RV_MPIE;
        if (i == 1 || i == 2)
            m.s.mstatus |= RV_MIE;
        m.s.mepc = CODE + 4;
        machine_go(&m, PRIV_M, CODE, 2);
        if (i == 4) { /* wfi ends, though MIE is off and nothing is taken */
            CU_ASSERT_EQUAL(m.s.pc, CODE + 8);
            CU_ASSERT_EQUAL(m.s.x[A0], 1);
            continue;
        }
        CU_ASSERT(machine_trapped(&m, INTERRUPT(IRQ_S_SOFT), 0, CODE + 4));
        CU_ASSERT_EQUAL(m.s.x[A0], 0);
    }
    machine_destroy(&m);
}

/* Lines from outside reach a loop without a trap or CSR; lowered ones do not. */
static void test_lines(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_SELF);
    m.s.mie = ALL_IRQS;
    m.s.mstatus |= RV_MIE;
    machine_go(&m, PRIV_M, CODE, 10);
    m.vm.engine->hart_irq(&m.vm.hart[0], IRQ_M_TIMER, true);
    m.vm.engine->hart_irq(&m.vm.hart[0], IRQ_M_TIMER, false);
    machine_run(&m, 10000);
    CU_ASSERT_EQUAL(m.s.pc, CODE);
    m.vm.engine->hart_irq(&m.vm.hart[0], IRQ_M_TIMER, true);
    machine_run(&m, 1);
    CU_ASSERT(machine_trapped(&m, INTERRUPT(IRQ_M_TIMER), 0, CODE));
    machine_destroy(&m);
}

/* Which bits of mip and sip are software's. */
static void test_mip(void)
{
    struct machine m;
    const struct engine *engine;

    machine_init(&m, START_FIRMWARE, 1);
    engine = m.vm.engine;
    m.s.x[T0] = UINT64_MAX;
    PUT(&m, CODE, AS_CSRW(MIP, T0), AS_CSRR(A0, MIP), AS_CSRW(MIP, ZERO), AS_CSRR(A1, MIP));
    machine_go(&m, PRIV_M, CODE, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], ALL_S | BIT(IRQ_COUNTER));
    CU_ASSERT_EQUAL(m.s.x[A1], 0);
    /* The controller's line and M-mode's bit make SEIP together; each has its own life. */
    engine->hart_irq(&m.vm.hart[0], IRQ_S_EXT, true);
    m.s.x[T1] = BIT(IRQ_S_SOFT);
    PUT(&m, CODE, AS_CSR(csrrs, A0, MIP, T1), AS_CSR(csrrc, A1, MIP, T0), AS_CSRR(A2, MIP));
    m.s.mip = BIT(IRQ_S_EXT);
    machine_go(&m, PRIV_M, CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], BIT(IRQ_S_EXT));
    CU_ASSERT_EQUAL(m.s.x[A1], BIT(IRQ_S_EXT) | BIT(IRQ_S_SOFT));
    CU_ASSERT_EQUAL(m.s.x[A2], BIT(IRQ_S_EXT));
    engine->hart_irq(&m.vm.hart[0], IRQ_S_EXT, false);
    PUT(&m, CODE, AS_CSRR(A0, MIP));
    m.s.mip = 0;
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    /* S-mode sees what is delegated and owns SSIP alone. */
    m.s.mideleg = ALL_S;
    PUT(&m, CODE, AS_CSRW(SIP, T0), AS_CSRR(A0, SIP), AS_CSRW(SIP, ZERO), AS_CSRR(A1, SIP));
    machine_go(&m, PRIV_S, CODE, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], BIT(IRQ_S_SOFT));
    CU_ASSERT_EQUAL(m.s.x[A1], 0);
    m.s.mideleg = 0;
    m.s.mip = ALL_S;
    machine_go(&m, PRIV_S, CODE, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    CU_ASSERT_EQUAL(m.s.mip, ALL_S);
    machine_destroy(&m);
}

/* SBI's timer, by the clock of the host. */
static void test_timer(void)
{
    struct machine m;
    struct hart *hart;

    machine_init(&m, START_KERNEL, 1);
    hart = &m.vm.hart[0];
    PUT(&m, CODE, AS_SELF);
    m.s.mie = BIT(IRQ_S_TIMER);
    m.s.mstatus |= RV_SIE;
    machine_go(&m, PRIV_S, CODE, 1);
    m.vm.engine->set_timer(hart, clock_ticks(&m.vm.clock) + 5);
    CU_ASSERT_FALSE(m.vm.engine->irq_pending(hart));
    machine_run(&m, 5000);
    CU_ASSERT_EQUAL(m.s.pc, CODE);
    mock_advance(&m.mock, 4 * CLOCK_NS_PER_TICK);
    machine_run(&m, 5000);
    CU_ASSERT_EQUAL(m.s.pc, CODE);
    mock_advance(&m.mock, 1 * CLOCK_NS_PER_TICK);
    CU_ASSERT_TRUE(m.vm.engine->irq_pending(hart));
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(m.s.pc, S_HANDLER);
    CU_ASSERT_EQUAL(m.s.scause, INTERRUPT(IRQ_S_TIMER));
    CU_ASSERT_EQUAL(m.s.sepc, CODE);
    /* Programmed anew it is not pending any more; UINT64_MAX is never. */
    m.vm.engine->set_timer(hart, UINT64_MAX);
    CU_ASSERT_FALSE(m.vm.engine->irq_pending(hart));
    mock_advance(&m.mock, UINT64_C(1) << 62);
    CU_ASSERT_FALSE(m.vm.engine->irq_pending(hart));
    machine_destroy(&m);
}

/* A clock that goes on whenever it is looked at. */
static uint64_t now_moving(struct host *host)
{
    struct mock_host *mock = (struct mock_host *)host;

    return mock->now_ns += CLOCK_NS_PER_TICK;
}

/* A hart that gave its processor away looks at the clock before its next instruction. */
static void test_spin_hints(void)
{
    const uint32_t hints[] = {AS_N(wrs_nto), AS_N(wrs_sto), AS_PAUSE};
    struct machine m;

    machine_init(&m, START_KERNEL, 1);
    m.mock.host.now_ns = now_moving;
    m.s.mie = BIT(IRQ_S_TIMER);
    for (unsigned i = 0; i < 2 * COUNT(hints); i++) {
        bool crowded = i >= COUNT(hints);
        uint64_t steps = m.s.steps;

        interp_of(m.h)->crowded = crowded;
        PUT(&m, CODE, hints[i % COUNT(hints)], AS_J(ZERO, -4));
        PUT(&m, S_HANDLER, AS_SELF);
        m.s.mstatus |= RV_SIE;
        machine_go(&m, PRIV_S, CODE, 1);
        m.vm.engine->set_timer(&m.vm.hart[0], clock_ticks(&m.vm.clock) + 20);
        machine_run(&m, 199);
        CU_ASSERT_EQUAL(m.s.pc == S_HANDLER, crowded);
        CU_ASSERT_EQUAL(m.s.steps, steps + 200);
    }
    machine_destroy(&m);
}

/* --- LR and SC --- */

static void test_lr_sc(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    m.s.x[T0] = DATA;
    m.s.x[T1] = DATA + 8;
    m.s.x[A1] = 0x1234567887654321;
    machine_poke(&m, DATA, 0xaaaaaaaa80000000);
    PUT(&m, CODE, AS_R(lr_w, A0, T0, 0), AS_R(sc_w, A2, T0, A1), AS_R(sc_w, A3, T0, A0));
    machine_go(&m, PRIV_M, CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], 0xffffffff80000000);
    CU_ASSERT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_NOT_EQUAL(m.s.x[A3], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 0xaaaaaaaa87654321);
    PUT(&m, CODE, AS_R(lr_d, A0, T0, 0), AS_R(sc_d, A2, T0, A1));
    machine_go(&m, PRIV_M, CODE, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 0xaaaaaaaa87654321);
    CU_ASSERT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 0x1234567887654321);
    /* Another address; then the first one, whose reservation is gone. */
    machine_poke(&m, DATA, 1);
    machine_poke(&m, DATA + 8, 1);
    PUT(&m, CODE, AS_R(lr_d, A0, T0, 0), AS_R(sc_d, A2, T1, A1), AS_R(sc_d, A3, T0, A1));
    machine_go(&m, PRIV_M, CODE, 3);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_NOT_EQUAL(m.s.x[A3], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 1);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA + 8), 1);
    /* Without LR. */
    PUT(&m, CODE, AS_R(sc_d, A2, T0, A1));
    machine_go(&m, PRIV_M, CODE, 1);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 1);
    machine_destroy(&m);
}

/* Traps and interrupts between the two, and writes by others. */
static void test_lr_sc_disturbed(void)
{
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, HANDLER, AS_CSRR(T6, MEPC), AS_I(addi, T6, T6, 4), AS_CSRW(MEPC, T6), AS_N(mret));
    PUT(&m, CODE, AS_R(lr_w, A0, T0, 0), AS_N(ecall), AS_R(sc_w, A2, T0, A1));
    m.s.x[T0] = DATA;
    m.s.x[A1] = 9;
    machine_go(&m, PRIV_M, CODE, 3 + 4);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 12);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 0);
    /* An interrupt. */
    PUT(&m, HANDLER, AS_CSRW(MIP, ZERO), AS_N(mret));
    PUT(&m, CODE, AS_R(lr_w, A0, T0, 0), AS_CSR(csrrsi, ZERO, MIP, 2), AS_R(sc_w, A2, T0, A1));
    m.s.mie = BIT(IRQ_S_SOFT);
    m.s.mstatus |= RV_MIE;
    m.s.x[A2] = 0;
    machine_go(&m, PRIV_M, CODE, 3 + 3);
    CU_ASSERT_EQUAL(m.s.pc, CODE + 12);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 0);
    /* Another hart or a device. */
    PUT(&m, CODE, AS_R(lr_w, A0, T0, 0), AS_R(sc_w, A2, T0, A1));
    m.s.x[A2] = 0;
    machine_go(&m, PRIV_M, CODE, 1);
    machine_poke(&m, DATA, 5);
    machine_run(&m, 1);
    CU_ASSERT_NOT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 5);
    /* Runs that end between them disturb nothing. */
    machine_go(&m, PRIV_M, CODE, 1);
    machine_run(&m, 1);
    CU_ASSERT_EQUAL(m.s.x[A2], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, DATA), 9);
    machine_destroy(&m);
}

/* --- the ends of a guest --- */

static bool stopped_with(const struct machine *m, enum stop_cause cause, uint64_t pc,
                         const char *text)
{
    const struct vm_stop *stop = &m->vm.stop;
    bool good = stop->cause == cause && stop->hart == 0 && stop->has_pc && stop->pc == pc &&
                strstr(stop->text, text);

    if (!good)
        printf("\n    %s, pc %#llx: %s\n", stop_cause_name(stop->cause),
               (unsigned long long)stop->pc, stop->text);
    return good;
}

/* A handler where no memory is: the first trap is what the user learns. */
static void test_no_handler(void)
{
    struct machine m;

    machine_init(&m, START_KERNEL, 1);
    PUT(&m, CODE, 0xffffffff, AS_I(ld, A0, ZERO, 0x10));
    for (unsigned mode = 0; mode < 2; mode++) {
        m.s.stvec = 0x1000 | mode;
        machine_go(&m, PRIV_S, CODE, 1000000);
        CU_ASSERT(stopped_with(&m, CAUSE_FAULT, CODE, "illegal instruction"));
        CU_ASSERT_PTR_NOT_NULL(strstr(m.vm.stop.text, "0xffffffff"));
        CU_ASSERT_PTR_NOT_NULL(strstr(m.vm.stop.text, "stvec"));
        CU_ASSERT_EQUAL(m.vm.stop.status, STATUS_GUEST_FAULT);
        machine_go(&m, PRIV_U, CODE + 4, 1000000);
        CU_ASSERT(stopped_with(&m, CAUSE_FAULT, CODE + 4, "load access fault"));
        CU_ASSERT_PTR_NOT_NULL(strstr(m.vm.stop.text, "0x10"));
        CU_ASSERT(m.s.steps < 20);
    }
    machine_destroy(&m);
    /* Firmware may yet repair mtvec from outside: there it is the budget that ends it. */
    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, 0xffffffff);
    m.s.mtvec = 0x1000;
    machine_go(&m, PRIV_M, CODE, 1000000);
    CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_BUDGET);
    CU_ASSERT_EQUAL(m.s.steps, 1000000);
    CU_ASSERT_EQUAL(m.s.instret, 0);
    machine_destroy(&m);
}

static void test_kernel_calls(void)
{
    struct machine m;

    machine_init(&m, START_KERNEL, 1);
    PUT(&m, CODE, AS_N(ecall));
    m.s.x[A7] = 0x12345678;
    m.s.x[A1] = 77;
    machine_go(&m, PRIV_S, CODE, 1);
    CU_ASSERT_EQUAL(m.s.x[A0], (uint64_t)-2); /* SBI_ERR_NOT_SUPPORTED */
    CU_ASSERT_EQUAL(m.s.pc, CODE + 4);
    /* A process of the kernel calls the kernel. */
    machine_go(&m, PRIV_U, CODE, 1);
    CU_ASSERT_EQUAL(m.s.pc, S_HANDLER);
    CU_ASSERT_EQUAL(m.s.scause, RV_ECALL_U);
    CU_ASSERT_EQUAL(m.s.sepc, CODE);
    m.s.x[A7] = TG_EXT_EXIT;
    m.s.x[A6] = TG_EXIT_STOP;
    m.s.x[A0] = 0x105;
    machine_go(&m, PRIV_S, CODE, 10);
    CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(m.vm.stop.status, 5);
    CU_ASSERT_EQUAL(m.vm.stop.hart, 0);
    machine_destroy(&m);
}

static void test_program(void)
{
    struct machine m;

    machine_init(&m, START_PROGRAM, 1);
    CU_ASSERT_EQUAL(m.s.priv, PRIV_U);
    PUT(&m, CODE, 0xffffffff, AS_N(ecall), AS_S(sd, A0, ZERO, 0));
    machine_go(&m, PRIV_U, CODE, 10);
    CU_ASSERT(stopped_with(&m, CAUSE_FAULT, CODE, "illegal instruction"));
    machine_go(&m, PRIV_U, CODE + 8, 10);
    CU_ASSERT(stopped_with(&m, CAUSE_FAULT, CODE + 8, "store access fault"));
    m.s.x[A7] = 4242;
    machine_go(&m, PRIV_U, CODE + 4, 10);
    CU_ASSERT(stopped_with(&m, CAUSE_INVALID_ECALL, CODE + 4, "4242"));
    CU_ASSERT_EQUAL(m.vm.stop.status, STATUS_INVALID_ECALL);
    m.s.x[A7] = TG_PROGRAM_EXIT;
    m.s.x[A0] = 42;
    machine_go(&m, PRIV_U, CODE + 4, 10);
    CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(m.vm.stop.status, 42);
    machine_destroy(&m);
}

void interp_trap_tests(struct CU_Suite *suite)
{
    CU_add_test(suite, "illegal instructions", test_illegal);
    CU_add_test(suite, "accesses that trap", test_accesses);
    CU_add_test(suite, "ecall and ebreak", test_calls);
    CU_add_test(suite, "fetches that trap", test_fetch);
    CU_add_test(suite, "a store is whole or not at all", test_store_all_or_nothing);
    CU_add_test(suite, "mstatus over traps and returns", test_stack);
    CU_add_test(suite, "TVM, TW, TSR", test_virtualization_bits);
    CU_add_test(suite, "interrupt priority", test_priority);
    CU_add_test(suite, "interrupt enables and delegation", test_delegation);
    CU_add_test(suite, "vectored handlers", test_vectored);
    CU_add_test(suite, "an enabled interrupt comes at once", test_enabling);
    CU_add_test(suite, "interrupt lines", test_lines);
    CU_add_test(suite, "mip and sip", test_mip);
    CU_add_test(suite, "the timer", test_timer);
    CU_add_test(suite, "hints that a hart spins", test_spin_hints);
    CU_add_test(suite, "LR and SC", test_lr_sc);
    CU_add_test(suite, "LR and SC, disturbed", test_lr_sc_disturbed);
    CU_add_test(suite, "a handler without memory", test_no_handler);
    CU_add_test(suite, "a kernel's calls", test_kernel_calls);
    CU_add_test(suite, "a program's ends", test_program);
}
