/* test_csr.c: control and status registers that say what the hart is. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#define MISA 0x301

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

void suite_csr(void)
{
    CU_pSuite suite = CU_add_suite("csr", NULL, NULL);

    CU_add_test(suite, "misa", test_misa);
}
