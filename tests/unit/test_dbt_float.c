/* test_dbt_float.c: f registers that the translator holds, and what becomes of the flags. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <string.h>
#include "vmm/engine/dbt/dbt.h"

/* The interpreter, and the translator with and without registers that are held. */
enum way { WAY_INTERP, WAY_MEMORY, WAY_HELD, WAYS };

#define FCSR_FLAGS 0x001
#define FS_DIRTY   0x6000u
#define DYNAMIC    (7u << 12)

#define F_R(name, d, s1, s2)    (AS_R(name, d, s1, s2) | DYNAMIC)
#define F_FMA(name, d, a, b, c) (F_R(name, d, a, b) | (uint32_t)(c) << 27)

static void begin(struct machine *m, enum way way)
{
    machine_use(way == WAY_INTERP ? MACHINE_INTERP : MACHINE_DBT);
    machine_init(m, START_FIRMWARE, 1);
    m->s.x[A1] = 0; /* it was the device tree's */
    m->s.mstatus |= FS_DIRTY;
    if (way != WAY_INTERP) {
        struct dbt *d = ((struct interp *)m->vm.hart[0].engine_state)->translator;

        d->heat = 0;
        d->without = way == WAY_MEMORY ? WITHOUT_FLOATS : 0;
    }
}

/* After so many steps the state is the same each way. */
static void same_after(void (*put)(struct machine *m), uint64_t steps)
{
    struct hart_state first;
    struct machine m;

    for (enum way way = 0; way < WAYS; way++) {
        begin(&m, way);
        put(&m);
        machine_go(&m, PRIV_M, CODE, steps);
        if (way == WAY_INTERP)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        CU_ASSERT(m.s.pc < CODE + 256); /* no trap */
        machine_destroy(&m);
    }
}

/* Numbers of which sums, products and quotients stay numbers for a while. */
static void put_numbers(struct machine *m)
{
    for (unsigned i = 0; i < 32; i++) {
        double number = 1.0 + i / 7.0;

        memcpy(&m->s.f[i], &number, sizeof(number));
    }
    m->s.f[20] = 0;
    m->s.f[21] = 1ull << 63; /* -0 */
    m->s.x[S0] = DATA + MEM_PAGE_SIZE - 4;
    m->s.x[S1] = DATA;
}

/*
 * More registers than are held, and steps of the interpreter while they are: NaNs, loads and
 * stores across pages, operands that are not boxed.
 */
static void put_steps(struct machine *m)
{
    put_numbers(m);
    PUT(m, CODE, AS_S(fsd, 3, S0, 0), AS_I(fld, 1, S1, 0), AS_I(fld, 2, S0, 0),
        F_R(fadd_d, 3, 2, 31), F_R(fadd_d, 4, 3, 31), F_R(fmul_d, 5, 4, 30),
        F_R(fsub_d, 6, 5, 29), F_R(fadd_d, 8, 6, 28), F_R(fdiv_d, 10, 8, 27),
        F_R(fadd_d, 11, 10, 26), F_R(fdiv_d, 19, 20, 20), F_R(fadd_d, 12, 4, 19),
        F_R(fadd_d, 13, 11, 3), AS_I(ld, A0, S0, 0), F_FMA(fmadd_d, 7, 6, 3, 2),
        F_FMA(fmsub_d, 7, 7, 8, 9), F_FMA(fnmsub_d, 8, 7, 8, 9), F_FMA(fnmadd_d, 9, 7, 8, 9),
        AS_R(fmin_d, 14, 20, 21), AS_R(fmax_d, 15, 21, 20), AS_R(fmin_d, 16, 1, 19),
        AS_R(fsgnjn_d, 17, 9, 9), AS_R(fsgnjx_d, 18, 17, 7), AS_S(fsd, 9, S0, 0),
        F_R(fcvt_s_d, 22, 9, 1), F_R(fadd_s, 23, 22, 22), F_R(fadd_s, 24, 23, 1),
        F_R(fcvt_d_s, 25, 23, 0), AS_R(fsgnj_d, 3, 25, 9), AS_S(fsd, 25, S1, 0),
        F_R(fadd_s, 24, 23, 0), F_R(fadd_d, 26, 0, 31), AS_I(fld, 0, S0, 0),
        F_R(fadd_d, 27, 0, 26), F_R(fmul_d, 28, 27, 31), AS_J(ZERO, -140));
}

/* The clock is asked between sums: what is held is lost, but nowhere else. */
static void put_clock(struct machine *m)
{
    put_numbers(m);
    PUT(m, CODE, F_R(fadd_d, 3, 2, 31), F_R(fdiv_d, 4, 3, 30), AS_CSRR(T0, TIME),
        F_R(fmul_d, 5, 4, 3), F_R(fadd_d, 2, 5, 4), AS_CSRR(A2, TIME), F_R(fsub_d, 6, 2, 5),
        AS_CSRR(A3, FCSR_FLAGS), AS_CSRR(T1, TIME), F_R(fadd_d, 31, 6, 3), AS_J(ZERO, -40));
}

static void test_clock(void)
{
    for (uint64_t steps = 1; steps < 140; steps++)
        same_after(put_clock, steps);
}

static void test_steps(void)
{
    for (uint64_t steps = 1; steps < 140; steps++)
        same_after(put_steps, steps);
}

/* Flags read, cleared, set and left as they are, between what raises NX, DZ and nothing. */
static void put_flags(struct machine *m)
{
    put_numbers(m);
    PUT(m, CODE, F_R(fdiv_d, 1, 2, 3), AS_CSRR(A0, FCSR_FLAGS), AS_CSRW(FCSR_FLAGS, ZERO),
        AS_CSRR(A1, FCSR_FLAGS), F_R(fdiv_d, 1, 2, 20), AS_CSR(csrrw, A2, FCSR_FLAGS, A0),
        AS_CSR(csrrsi, A3, FCSR_FLAGS, 4), AS_CSR(csrrci, A4, FCSR_FLAGS, 1),
        F_R(fadd_d, 4, 20, 20), AS_CSR(csrrw, A5, FCSR_FLAGS, A0), F_R(fdiv_d, 1, 2, 3),
        AS_CSR(csrrs, S2, FCSR_FLAGS, S0), AS_CSR(csrrwi, ZERO, FCSR_FLAGS, 9),
        AS_CSR(csrrc, S3, FCSR_FLAGS, A0), AS_CSR(csrrs, S4, 0x003, ZERO), AS_J(ZERO, -60));
}

static void test_flags(void)
{
    for (uint64_t steps = 1; steps < 50; steps++)
        same_after(put_flags, steps);
}

/* The mode at hand and others, named in the instruction; conversions that do not fit. */
static void put_modes(struct machine *m)
{
    put_numbers(m);
    m->s.f[5] = 0x41efffffffe00000; /* 2^32 - 1 */
    m->s.f[6] = 0x41effffffff00000; /* and a half more */
    m->s.f[7] = 0xbfe0000000000000; /* -0.5 */
    m->s.f[8] = 0x43e0000000000000; /* 2^63 */
    PUT(m, CODE, AS_R(fadd_d, 1, 2, 3), AS_R(fadd_d, 1, 1, 3) | 3u << 12,
        AS_R(fcvt_w_d, A0, 6, 0) | 2u << 12, AS_R(fcvt_l_d, A1, 6, 2) | 3u << 12,
        AS_R(fcvt_wu_d, A2, 5, 1) | 1u << 12, AS_R(fcvt_wu_d, A3, 6, 1) | DYNAMIC,
        AS_R(fcvt_lu_d, A4, 7, 3) | 1u << 12, AS_R(fcvt_lu_d, A5, 8, 3) | DYNAMIC,
        AS_R(fcvt_l_d, S2, 7, 2) | 4u << 12, AS_CSRR(S3, FCSR_FLAGS), AS_I(addi, S4, ZERO, -1),
        AS_R(fcvt_d_lu, 9, S4, 3) | DYNAMIC, AS_R(fcvt_s_lu, 10, S4, 3) | DYNAMIC,
        AS_R(fclass_d, S5, 21, 0) | 1u << 12, AS_R(fclass_s, S6, 10, 0) | 1u << 12,
        AS_CSRW(FCSR_FLAGS, ZERO), AS_J(ZERO, -64));
}

static void test_modes(void)
{
    for (uint64_t steps = 1; steps < 50; steps++)
        same_after(put_modes, steps);
}

#endif

void suite_dbt_float(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_float", NULL, machine_back);

    CU_add_test(suite, "the clock between sums", test_clock);
    CU_add_test(suite, "f registers across steps of the interpreter", test_steps);
    CU_add_test(suite, "flags", test_flags);
    CU_add_test(suite, "modes and conversions", test_modes);
#endif
}
