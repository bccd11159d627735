/* test_dbt_edge.c: what translated code takes for granted, taken away in the middle of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <string.h>
#include "vmm/bus.h"
#include "vmm/engine/dbt/dbt.h"

#define FS_DIRTY 0x6000u
#define DYNAMIC  (7u << 12)
#define AWAY     (4u << 12) /* to nearest, ties away from zero: no mode of the host's */

/* Behind the tests' own code: the interpreter does what is left of a budget. */
#define REST (2 * BLOCK_STEPS_MAX)

/* A guest that sums up in S9 what it sees. */
struct guest {
    void (*put)(struct machine *m);
    enum start_kind start;
    unsigned priv;
    uint64_t pc, steps;
};

/* The same state in the end by the interpreter, and by translated code with and without
 * shortcuts; S9 is what is wanted. */
static void check_guest(const struct guest *guest, uint64_t want)
{
    static const enum machine_engine engines[] = {MACHINE_INTERP, MACHINE_DBT, MACHINE_DBT};
    struct hart_state first;
    struct machine m;

    for (unsigned i = 0; i < 3; i++) {
        machine_use(engines[i]);
        machine_init(&m, guest->start, 1);
        if (i == 2)
            machine_dbt(&m)->without = UINT32_MAX;
        m.s.x[A0] = m.s.x[A1] = 0; /* they were the hart's number and the device tree's */
        m.s.mstatus |= FS_DIRTY;
        guest->put(&m);
        machine_go(&m, guest->priv, guest->pc, guest->steps + REST);
        CU_ASSERT_EQUAL(m.s.x[S9], want);
        if (i == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        machine_destroy(&m);
    }
}

/* --- loads and stores that share a look --- */

/* Writes the entry of V_DATA anew, by way of its second page. */
static void put_table_page(struct machine *m, gpa_t to)
{
    const uint8_t *ram = mem_ptr(&m->vm.mem, PLAT_DRAM_BASE, 1);
    gpa_t pte;

    machine_paging(m, 3);
    pte = PLAT_DRAM_BASE + (gpa_t)((const uint8_t *)machine_pte(m, V_DATA, 0) - ram);
    *machine_pte(m, V_DATA + MEM_PAGE_SIZE, 0) = PTE_OF(pte & RV_PAGE_MASK, PTE_RW);
    m->s.x[S0] = V_DATA;
    m->s.x[S1] = V_DATA + MEM_PAGE_SIZE + (pte & ~RV_PAGE_MASK);
    m->s.x[S2] = PTE_OF(to, PTE_RW);
}

/*
 * The page is loaded from, mapped anew without a fence, and stored to: loads still lead to
 * where they led, stores do not. Each engine may keep what it has; both keep the same.
 */
static void put_stale(struct machine *m)
{
    const gpa_t other = DATA + 4 * MEM_PAGE_SIZE;

    put_table_page(m, other);
    machine_poke(m, DATA, 1000);
    machine_poke(m, other, 1);
    PUT(m, CODE, AS_I(ld, A0, S0, 0), AS_S(sd, S2, S1, 0), AS_S(sd, ZERO, S0, 16),
        AS_R(divu, A5, A5, A4), AS_I(ld, A1, S0, 0), AS_S(sd, A1, S0, 8), AS_I(ld, A2, S0, 0),
        AS_R(add, S9, A1, A2), AS_SELF);
}

static void test_stale_load(void)
{
#ifdef RV_TLB_ONE
    const uint64_t want = 2; /* the store has taken the place of what was known */
#else
    const uint64_t want = 2000;
#endif

    check_guest(&(struct guest){put_stale, START_FIRMWARE, PRIV_S, V_CODE, 9}, want);
}

/* A cache block's page is taken away without a fence: what was known of it holds for these too.
 */
static void put_stale_block(struct machine *m)
{
    put_table_page(m, DATA);
    m->s.x[S2] = 0;
    m->s.menvcfg |= RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE;
    PUT(m, CODE, AS_I(ld, A0, S0, 0), AS_S(sd, S2, S1, 0), AS_R(cbo_clean, ZERO, S0, ZERO),
        AS_I(addi, S9, S9, 1), AS_R(cbo_flush, ZERO, S0, ZERO), AS_I(addi, S9, S9, 1),
        AS_R(cbo_inval, ZERO, S0, ZERO), AS_I(addi, S9, S9, 1), AS_SELF);
}

static void test_stale_block(void)
{
#ifdef RV_TLB_ONE
    const uint64_t want = 0;
#else
    const uint64_t want = 3;
#endif

    check_guest(&(struct guest){put_stale_block, START_FIRMWARE, PRIV_S, V_CODE, 8}, want);
}

/* Across the end of a page the group's members run one by one; what is known of registers at
 * the block's end is not known there. */
static void put_words_of_group(struct machine *m)
{
    machine_paging(m, 3);
    m->s.x[S0] = V_DATA + MEM_PAGE_SIZE - 8;
    m->s.x[S4] = 0x180000000;
    PUT(m, CODE, AS_R(add, A0, A0, S4), AS_S(sd, A5, S0, 0), AS_I(addiw, A1, A0, 0),
        AS_I(ld, A2, S0, 8), AS_R(add, S9, S9, A1), AS_I(addiw, A0, A0, 1),
        AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -28), AS_SELF);
    m->s.x[S5] = 4;
}

static void test_words_of_group(void)
{
    /* -2^31, 1, 2 - 2^31, 3 */
    check_guest(&(struct guest){put_words_of_group, START_FIRMWARE, PRIV_S, V_CODE, 33},
                6 - (2ull << 31));
}

/* The register that a group hangs on is written in the middle of it, by a load and otherwise.
 */
static void put_moving_base(struct machine *m)
{
    for (uint64_t i = 0; i < 16; i++) {
        machine_poke(m, DATA + 64 * i, DATA + 64 * ((i * 5 + 3) % 16));
        machine_poke(m, DATA + 64 * i + 8, i);
        machine_poke(m, DATA + 64 * i + 16, 16 * i);
    }
    m->s.x[A0] = DATA;
    m->s.x[S5] = 16;
    PUT(m, CODE, AS_I(ld, A1, A0, 8), AS_I(ld, A0, A0, 0), AS_I(ld, A2, A0, 8),
        AS_I(addi, A0, A0, 16), AS_I(ld, A4, A0, 0), AS_I(addi, A0, A0, -16),
        AS_R(add, S9, S9, A1), AS_R(add, S9, S9, A2), AS_R(add, S9, S9, A4),
        AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -40), AS_SELF);
}

static void test_moving_base(void)
{
    /* 0 to 15, each before, behind and 16 times */
    check_guest(&(struct guest){put_moving_base, START_FIRMWARE, PRIV_M, CODE, 177},
                120 * (1 + 1 + 16));
}

/* --- code that a device writes --- */

/* virtio-mmio (VIRTIO 1.2, section 4.2.2). */
enum {
    DEVICE_ID = 8,
    DRIVER = 0x20,
    DRIVER_SEL = 0x24,
    QUEUE_NUM = 0x38,
    QUEUE_READY = 0x44,
    NOTIFY = 0x50,
    STATUS = 0x70,
    DESC = 0x80,
    AVAIL = 0x90,
    USED = 0xa0
};
enum { ID_ENTROPY = 4, READY = 15, F_WRITE = 2 };

static uint64_t device(struct machine *m, gpa_t gpa, bool write, uint64_t value)
{
    CU_ASSERT_FATAL(bus_access(&m->vm, &m->vm.hart[0], gpa, 4, write, &value) >= 0);
    return value;
}

static gpa_t entropy_at(struct machine *m)
{
    gpa_t at = PLAT_VIRTIO_BASE;

    while (device(m, at + DEVICE_ID, false, 0) != ID_ENTROPY)
        at += PLAT_VIRTIO_SIZE;
    return at;
}

/* A device of random numbers that writes one byte to where it is told, when it is notified. */
static gpa_t put_entropy(struct machine *m, gpa_t to)
{
    const gpa_t desc = DATA + 0x1000, avail = DATA + 0x1400, used = DATA + 0x1800;
    const gpa_t at = entropy_at(m);

    device(m, at + STATUS, true, 3);
    device(m, at + DRIVER_SEL, true, 1);
    device(m, at + DRIVER, true, 1); /* VIRTIO_F_VERSION_1 */
    device(m, at + STATUS, true, READY & ~4);
    device(m, at + QUEUE_NUM, true, 8);
    device(m, at + DESC, true, desc);
    device(m, at + AVAIL, true, avail);
    device(m, at + USED, true, used);
    device(m, at + QUEUE_READY, true, 1);
    device(m, at + STATUS, true, READY);
    machine_poke(m, desc, to);
    machine_poke(m, desc + 8, 1 | (uint64_t)F_WRITE << 32);
    machine_poke(m, avail, 1ull << 16);
    return at;
}

/*
 * The immediate of an instruction of a loop that has run, and was linked to itself, becomes
 * another: after the guest's fence.i, which comes after the device's write, not before.
 */
static void put_device_code(struct machine *m)
{
    const gpa_t loop = CODE + MEM_PAGE_SIZE;

    m->mock.random = 0x2b; /* 0x2c comes next: of rs1 c, of the immediate 2 */
    m->s.x[S0] = put_entropy(m, loop + 6);
    m->s.x[S1] = loop;
    PUT(m, loop, AS_I(addi, A1, ZERO, 10), AS_I(addi, S9, S9, 1), AS_I(addi, A1, A1, -1),
        AS_B(bne, A1, ZERO, -8), AS_I(jalr, ZERO, RA, 0));
    PUT(m, CODE, AS_I(jalr, RA, S1, 0), AS_S(sw, ZERO, S0, NOTIFY), AS_N(fence_i),
        AS_I(jalr, RA, S1, 0), AS_SELF);
}

static void test_device_code(void)
{
    check_guest(&(struct guest){put_device_code, START_FIRMWARE, PRIV_M, CODE, 69},
                10 + 10 * 2);
}

/* --- behind calls and steps --- */

/* The function makes registers other than they were: no word, no boxed single. */
static void put_function(struct machine *m)
{
    m->s.x[S1] = DATA;
    m->s.x[S4] = 0x180000000;
    m->s.x[S5] = 4;
    m->s.f[2] = m->s.f[3] = 0xffffffff3f800000; /* 1 */
    machine_poke(m, DATA, 0x3ff000003f800000);
    PUT(m, CODE, AS_I(addiw, A0, A0, 0), AS_R(fadd_s, 1, 2, 3) | DYNAMIC, AS_J(RA, 36),
        AS_I(addiw, A1, A0, 0), AS_R(fadd_s, 4, 1, 2) | DYNAMIC, AS_R(fmv_x_w, A2, 4, 0),
        AS_R(add, S9, S9, A1), AS_R(add, S9, S9, A2), AS_I(addi, A3, A3, 1),
        AS_B(bltu, A3, S5, -36), AS_SELF, AS_R(add, A0, A0, S4), AS_I(fld, 1, S1, 0),
        AS_I(jalr, ZERO, RA, 0));
}

static void test_function(void)
{
    /* -2^31, 0, -2^31, 0, and the canonical NaN each time */
    check_guest(&(struct guest){put_function, START_FIRMWARE, PRIV_M, CODE, 53},
                4 * 0x7fc00000ull - (2ull << 31));
}

/* A step of the interpreter makes a double of what was a single. */
static void put_unboxing_step(struct machine *m)
{
    m->s.x[S5] = 4;
    m->s.f[2] = m->s.f[3] = 0xffffffff3f800000;
    m->s.f[5] = 0x3ff000003f800000;
    PUT(m, CODE, AS_R(fadd_s, 1, 2, 3) | DYNAMIC, AS_R(fadd_d, 1, 5, 6) | AWAY,
        AS_R(fadd_s, 4, 1, 2) | DYNAMIC, AS_R(fmv_x_w, A2, 4, 0), AS_R(add, S9, S9, A2),
        AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -24), AS_SELF);
}

/* A single where a half was, by arithmetic and by a load. */
static void put_wider(struct machine *m)
{
    m->s.x[S1] = DATA;
    m->s.x[S5] = 4;
    m->s.f[2] = m->s.f[3] = 0xffffffffffff3c00; /* 1 */
    m->s.f[5] = 0xffffffff3f800000;
    machine_poke(m, DATA, 0x3f800000);
    PUT(m, CODE, AS_R(fadd_h, 1, 2, 3) | DYNAMIC, AS_R(fadd_s, 1, 5, 5) | DYNAMIC,
        AS_R(fadd_h, 4, 1, 2) | DYNAMIC, AS_R(fmv_x_h, A2, 4, 0), AS_R(add, S9, S9, A2),
        AS_R(fadd_h, 1, 2, 3) | DYNAMIC, AS_I(flw, 1, S1, 0), AS_R(fadd_h, 4, 1, 2) | DYNAMIC,
        AS_R(fmv_x_h, A2, 4, 0), AS_R(add, S9, S9, A2), AS_I(addi, A3, A3, 1),
        AS_B(bltu, A3, S5, -44), AS_SELF);
}

static void test_unboxing_step(void)
{
    check_guest(&(struct guest){put_unboxing_step, START_FIRMWARE, PRIV_M, CODE, 29},
                4 * 0x7fc00000ull);
    check_guest(&(struct guest){put_wider, START_FIRMWARE, PRIV_M, CODE, 49}, 8 * 0x7e00);
}

/* A swap of two registers writes one that it does not name, which was a word's extension. */
static void put_pair(struct machine *m)
{
    machine_poke(m, DATA, 3);
    machine_poke(m, DATA + 8, 0x180000000);
    m->s.x[S0] = DATA;
    m->s.x[S5] = 4;
    PUT(m, CODE, AS_I(addiw, A1, A3, 0), AS_R(amocas_q, A0, S0, A4), AS_I(addiw, A2, A1, 0),
        AS_R(add, S9, S9, A2), AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -20), AS_SELF);
}

static void test_pair(void)
{
    check_guest(&(struct guest){put_pair, START_FIRMWARE, PRIV_M, CODE, 25}, -(4ull << 31));
}

/* --- floating point turned off --- */

/* Between loads, stores and arithmetic; the handler turns it on again and skips. */
static void put_fs_off(struct machine *m, unsigned csr, unsigned cause, unsigned epc,
                       uint32_t ret, bool arithmetic)
{
    uint32_t add = arithmetic ? AS_R(fadd_d, 3, 1, 2) | DYNAMIC : AS_S(fsd, 2, S1, 16);

    PUT(m, CODE, AS_I(fld, 1, S1, 0), AS_CSR(csrrc, ZERO, csr, S2), AS_I(fld, 2, S1, 0),
        AS_S(fsd, 1, S1, 8), AS_CSR(csrrc, ZERO, csr, S2), AS_S(fsd, 1, S1, 8), add,
        AS_CSR(csrrc, ZERO, csr, S2), add, add, AS_CSR(csrrc, ZERO, csr, S2),
        AS_I(fld, 1, S1, 0), AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -52), AS_SELF);
    for (unsigned i = 0; i < 2; i++)
        PUT(m, i ? S_HANDLER : HANDLER, AS_CSR(csrrs, ZERO, csr, S2), AS_CSRR(T0, epc),
            AS_R(xor, S9, S9, T0), AS_I(slli, S9, S9, 1), AS_I(addi, T0, T0, 4),
            AS_CSRW(epc, T0), AS_CSRR(T1, cause), AS_R(add, S9, S9, T1), ret);
    m->s.medeleg = 1u << RV_ILLEGAL;
    m->s.x[S1] = DATA;
    m->s.x[S2] = FS_DIRTY;
    m->s.x[S5] = 3;
}

static void put_machine_off(struct machine *m)
{
    put_fs_off(m, MSTATUS, MCAUSE, MEPC, AS_N(mret), true);
}

static void put_machine_off_memory(struct machine *m)
{
    put_fs_off(m, MSTATUS, MCAUSE, MEPC, AS_N(mret), false);
}

static void put_supervisor_off(struct machine *m)
{
    put_fs_off(m, SSTATUS, SCAUSE, SEPC, AS_N(sret), true);
}

static void put_supervisor_off_memory(struct machine *m)
{
    put_fs_off(m, SSTATUS, SCAUSE, SEPC, AS_N(sret), false);
}

/* What the handlers make of the places: each trap's, in this order. */
static uint64_t traps_sum(const unsigned *slots, unsigned n, unsigned rounds)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n * rounds; i++)
        sum = ((sum ^ (CODE + 4 * slots[i % n])) << 1) + RV_ILLEGAL;
    return sum;
}

static void test_fs_off(void)
{
    static const unsigned slots[] = {2, 5, 8, 11};
    uint64_t want = traps_sum(slots, 4, 3);

    void (*const machine[])(struct machine *) = {put_machine_off, put_machine_off_memory};
    void (*const supervisor[])(struct machine *) = {put_supervisor_off,
                                                    put_supervisor_off_memory};

    for (unsigned i = 0; i < 2; i++) {
        check_guest(&(struct guest){machine[i], START_FIRMWARE, PRIV_M, CODE, 150}, want);
        check_guest(&(struct guest){supervisor[i], START_FIRMWARE, PRIV_S, CODE, 150}, want);
    }
}

/* --- traps and interrupts --- */

/* A trap drops the reservation (also one that stays in translated code); a vectored stvec leads
 * exceptions to its base. */
static void put_reserved(struct machine *m)
{
    m->s.medeleg = 1u << RV_BREAKPOINT;
    m->s.stvec = S_HANDLER | 1;
    m->s.x[S0] = DATA;
    m->s.x[S5] = 5;
    PUT(m, CODE, AS_R(lr_d, T0, S0, ZERO), AS_N(ebreak), AS_R(sc_d, A1, S0, T0),
        AS_R(add, S9, S9, A1), AS_R(lr_w, T0, S0, ZERO), AS_R(sc_w, A1, S0, T0),
        AS_I(slli, A1, A1, 8), AS_R(add, S9, S9, A1), AS_I(addi, A3, A3, 1),
        AS_B(bltu, A3, S5, -36), AS_SELF);
    PUT(m, S_HANDLER, AS_CSRR(T1, SEPC), AS_U(auipc, T2, 0), AS_I(addi, T1, T1, 4),
        AS_CSRW(SEPC, T1), AS_I(andi, T2, T2, 15), AS_R(add, S9, S9, T2), AS_N(sret));
}

static void test_reserved(void)
{
    check_guest(&(struct guest){put_reserved, START_FIRMWARE, PRIV_S, CODE, 86}, 5 * (1 + 4));
}

/*
 * SEIP that M-mode has set itself: sie, sstatus and sret let it in at once, also where all code
 * is there. The handler sums up how far S-mode came, and turns it off.
 */
static void put_external(struct machine *m)
{
    m->s.mideleg = 1u << IRQ_S_EXT;
    m->s.x[S2] = 1u << IRQ_S_EXT;
    m->s.x[S3] = CODE + 0x200;
    m->s.x[S4] = RV_MPP;
    m->s.x[S5] = 1ull << RV_MPP_SHIFT;
    m->s.x[S6] = CODE + 0x12c;
    m->s.x[S7] = RV_SPP | RV_SPIE;
    PUT(m, CODE, AS_CSR(csrrs, ZERO, MIP, S2), AS_CSRW(MEPC, S3),
        AS_CSR(csrrc, ZERO, MSTATUS, S4), AS_CSR(csrrs, ZERO, MSTATUS, S5), AS_N(mret));
    PUT(m, CODE + 0x100, AS_CSR(csrrsi, ZERO, SSTATUS, RV_SIE), AS_I(addi, A0, ZERO, 1),
        AS_CSR(csrrs, ZERO, SIE, S2), AS_I(addi, A0, A0, 1), AS_I(addi, A0, ZERO, 16),
        AS_CSR(csrrci, ZERO, SSTATUS, RV_SIE), AS_CSR(csrrs, ZERO, SIE, S2),
        AS_CSR(csrrsi, ZERO, SSTATUS, RV_SIE), AS_I(addi, A0, A0, 1), AS_CSRW(SEPC, S6),
        AS_CSR(csrrci, ZERO, SSTATUS, RV_SIE));
    PUT(m, CODE + 0x12c, AS_I(addi, A0, ZERO, 256), AS_CSR(csrrs, ZERO, SIE, S2),
        AS_CSR(csrrs, ZERO, SSTATUS, S7), AS_I(addi, A3, A3, 1), AS_B(beq, A3, S8, 16),
        AS_CSR(csrrci, ZERO, SSTATUS, RV_SIE), AS_CSRW(SEPC, S10), AS_N(sret), AS_SELF);
    m->s.x[S8] = 3;
    m->s.x[S10] = CODE + 0x200;
    m->s.x[S11] = CODE + 0x100;
    PUT(m, CODE + 0x200, AS_I(addi, A0, A0, 1), AS_I(jalr, ZERO, S11, 0));
    PUT(m, S_HANDLER, AS_R(add, S9, S9, A0), AS_CSR(csrrc, ZERO, SIE, S2), AS_N(sret));
}

static void test_external(void)
{
    check_guest(&(struct guest){put_external, START_FIRMWARE, PRIV_M, CODE, 120},
                2 * (1 + 16 + 256) + 1 + 16);
}

/* A store to a device that interrupts: no instruction comes between. */
static void put_soft_interrupt(struct machine *m)
{
    m->s.mie = 1u << IRQ_M_SOFT;
    m->s.mstatus |= RV_MIE;
    m->s.x[S0] = PLAT_CLINT_BASE;
    m->s.x[S1] = 1;
    m->s.x[S5] = 5;
    PUT(m, CODE, AS_S(sw, S1, S0, 0), AS_I(addi, A0, A0, 1), AS_I(addi, A0, A0, 1),
        AS_I(addi, A3, A3, 1), AS_B(bltu, A3, S5, -16), AS_SELF);
    PUT(m, HANDLER, AS_S(sw, ZERO, S0, 0), AS_R(add, S9, S9, A0), AS_N(mret));
}

static void test_soft_interrupt(void)
{
    check_guest(&(struct guest){put_soft_interrupt, START_FIRMWARE, PRIV_M, CODE, 41},
                0 + 2 + 4 + 6 + 8);
}

/* Walks are counted, of loads, stores and fetches: the overflow's interrupt comes behind. */
static void put_walks(struct machine *m, uint64_t event)
{
    machine_paging(m, 3);
    m->s.mie = 1u << IRQ_COUNTER;
    m->s.mcounteren = UINT32_MAX;
    m->s.hpmevent[0] = event;
    m->s.hpmcounter[0] = UINT64_MAX - 1;
    m->s.x[S0] = V_DATA;
    m->s.x[S2] = 1u << IRQ_COUNTER;
    m->s.x[S3] = event;
    PUT(m, CODE, AS_R(sfence_vma, ZERO, ZERO, ZERO), AS_I(addi, A0, A0, 1), AS_I(ld, A1, S0, 0),
        AS_I(addi, A0, A0, 1), AS_S(sd, A1, S0, 8), AS_I(addi, A0, A0, 1), AS_J(ZERO, -24));
    PUT(m, HANDLER, AS_R(add, S9, S9, A0), AS_I(slli, A2, S9, 1), AS_R(xor, S9, S9, A2),
        AS_I(addi, A2, ZERO, -2), AS_CSRW(0xb03, A2), AS_CSRW(MHPMEVENT3, S3),
        AS_CSR(csrrc, ZERO, MIP, S2), AS_N(mret));
}

static void put_load_walks(struct machine *m)
{
    put_walks(m, HART_EVENT_LOAD_WALKS);
}

static void put_store_walks(struct machine *m)
{
    put_walks(m, HART_EVENT_STORE_WALKS);
}

static void put_fetch_walks(struct machine *m)
{
    put_walks(m, HART_EVENT_FETCH_WALKS);
}

/* S9 of the interpreter is what is wanted. */
static uint64_t by_interpreter(const struct guest *guest)
{
    struct machine m;
    uint64_t sum;

    machine_use(MACHINE_INTERP);
    machine_init(&m, guest->start, 1);
    m.s.x[A0] = m.s.x[A1] = 0;
    m.s.mstatus |= FS_DIRTY;
    guest->put(&m);
    machine_go(&m, guest->priv, guest->pc, guest->steps + REST);
    sum = m.s.x[S9];
    machine_destroy(&m);
    return sum;
}

static void test_walks(void)
{
    void (*const puts[])(struct machine *) = {put_load_walks, put_store_walks, put_fetch_walks};

    for (unsigned i = 0; i < 3; i++) {
        struct guest guest = {puts[i], START_FIRMWARE, PRIV_S, V_CODE, 500};
        uint64_t want = by_interpreter(&guest);

        CU_ASSERT_NOT_EQUAL(want, 0);
        check_guest(&guest, want);
    }
}

/* U-mode reads a counter that S-mode keeps from it, S-mode one that M-mode keeps. */
static void put_counters(struct machine *m)
{
    m->s.mcounteren = 1; /* cycle */
    m->s.scounteren = 4; /* instret */
    m->s.x[S5] = 5;
    PUT(m, CODE, AS_CSRR(A0, CYCLE), AS_CSRR(A1, INSTRET), AS_I(addi, A3, A3, 1),
        AS_B(bltu, A3, S5, -12), AS_SELF);
    PUT(m, HANDLER, AS_CSRR(T0, MEPC), AS_I(addi, T0, T0, 4), AS_CSRW(MEPC, T0),
        AS_CSRR(T0, MCAUSE), AS_R(add, S9, S9, T0), AS_N(mret));
}

static void test_counters(void)
{
    check_guest(&(struct guest){put_counters, START_FIRMWARE, PRIV_U, CODE, 81},
                10 * RV_ILLEGAL);
    check_guest(&(struct guest){put_counters, START_FIRMWARE, PRIV_S, CODE, 51},
                5 * RV_ILLEGAL);
}

/*
 * A kernel maps another page where it runs and asks the monitor for a fence of itself: what
 * follows the call is of the other page. Both are the same but for what they add.
 */
static void put_own_fence(struct machine *m)
{
    const uint8_t *ram = mem_ptr(&m->vm.mem, PLAT_DRAM_BASE, 1);
    gpa_t pte;

    machine_paging(m, 3);
    pte = PLAT_DRAM_BASE + (gpa_t)((const uint8_t *)machine_pte(m, V_CODE, 0) - ram);
    *machine_pte(m, V_DATA, 0) = PTE_OF(pte & RV_PAGE_MASK, PTE_RW);
    m->s.x[S0] = V_DATA + (pte & ~RV_PAGE_MASK);
    m->s.x[S1] = PTE_OF(CODE, PTE_RX);
    m->s.x[S2] = PTE_OF(CODE, PTE_RX) ^ PTE_OF(CODE + 0x2000, PTE_RX);
    m->s.x[S3] = V_CODE;
    m->s.x[S5] = 10;
    m->s.x[A7] = 0x52464e43; /* RFENCE */
    m->s.x[A6] = 1;
    for (unsigned page = 0; page < 2; page++)
        PUT(m, CODE + 0x2000 * page, AS_R(xor, S1, S1, S2), AS_S(sd, S1, S0, 0),
            AS_I(addi, A0, ZERO, 1), AS_I(addi, A1, ZERO, 0), AS_I(addi, A2, S3, 0),
            AS_U(lui, A3, 1), AS_N(ecall), AS_I(addi, S9, S9, page ? 256 : 1),
            AS_I(addi, S4, S4, 1), AS_B(bltu, S4, S5, -36), AS_SELF);
}

static void test_own_fence(void)
{
    check_guest(&(struct guest){put_own_fence, START_KERNEL, PRIV_S, V_CODE, 101},
                5 * (256 + 1));
}

#endif

void suite_dbt_edge(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_edge", NULL, machine_back);

    CU_add_test(suite, "loads that lead elsewhere than stores", test_stale_load);
    CU_add_test(suite, "cache blocks whose page is taken away", test_stale_block);
    CU_add_test(suite, "what is known of registers in a group", test_words_of_group);
    CU_add_test(suite, "a group whose register is written", test_moving_base);
    CU_add_test(suite, "code that a device writes", test_device_code);
    CU_add_test(suite, "what is known of registers behind a call", test_function);
    CU_add_test(suite, "and behind a step of the interpreter", test_unboxing_step);
    CU_add_test(suite, "and behind a swap of two registers", test_pair);
    CU_add_test(suite, "floating point turned off", test_fs_off);
    CU_add_test(suite, "a reservation and a trap", test_reserved);
    CU_add_test(suite, "an interrupt of M-mode's making", test_external);
    CU_add_test(suite, "a device that interrupts", test_soft_interrupt);
    CU_add_test(suite, "overflows of counted walks", test_walks);
    CU_add_test(suite, "counters that are kept", test_counters);
    CU_add_test(suite, "a fence by a call", test_own_fence);
#endif
}
