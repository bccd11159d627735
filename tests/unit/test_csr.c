/* test_csr.c: control and status registers that say what the hart is. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#define MISA    0x301
#define STVEC   0x105
#define SENVCFG 0x10a
#define MTVEC   0x305
#define MENVCFG 0x30a

/* misa names each extension with a letter, B (Zba, Zbb and Zbs together) too, and stays so. */
static void test_misa(void)
{
    static const char letters[] = "ABCDFIMSU";
    struct machine m;
    uint64_t expected = 2ull << 62;

    for (const char *c = letters; *c; c++)
        expected |= 1ull << (*c - 'A');
    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, AS_CSRR(A0, MISA), AS_CSRW(MISA, ZERO), AS_CSRR(A1, MISA));
    machine_go(&m, PRIV_M, CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], expected);
    CU_ASSERT_EQUAL(m.s.x[A1], expected);
    machine_destroy(&m);
}

/*
 * A reserved value becomes a legal one that depends on nothing but what is written, as bits
 * wired to zero would have it: xtvec.MODE has one bit, CBIE's 2 is 0.
 */
static void test_reserved(void)
{
    static const struct {
        unsigned csr;
        uint64_t before, written, read;
    } cases[] = {
        {STVEC,   0x1000, 0x80002002, 0x80002000    },
        {STVEC,   0x1000, UINT64_MAX, UINT64_MAX - 2},
        {MTVEC,   0x1000, 0x80002002, 0x80002000    },
        {MTVEC,   0x1000, 0x80002003, 0x80002001    },
        {SENVCFG, 0x10,   0x20,       0             },
        {SENVCFG, 0x30,   0x60,       0x40          },
        {MENVCFG, 0x30,   0x20,       0             },
        {MENVCFG, 0x10,   0xa0,       0x80          },
        {MENVCFG, 0x10,   0x30,       0x30          },
    };
    struct machine m;

    machine_init(&m, START_FIRMWARE, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PUT(&m, CODE, AS_CSRW(cases[i].csr, A0), AS_CSRW(cases[i].csr, A1),
            AS_CSRR(A2, cases[i].csr));
        m.s.x[A0] = cases[i].before;
        m.s.x[A1] = cases[i].written;
        machine_go(&m, PRIV_M, CODE, 3);
        CU_ASSERT_EQUAL(m.s.x[A2], cases[i].read);
    }
    machine_destroy(&m);
}

void suite_csr(void)
{
    CU_pSuite suite = CU_add_suite("csr", NULL, NULL);

    CU_add_test(suite, "misa", test_misa);
    CU_add_test(suite, "reserved values", test_reserved);
}
