/* test_tg_entropy.c: random bytes: what is filled, and a host that has none. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "tests/unit/tg.h"

static struct fixture f;

static struct call entropy(uint64_t len, gpa_t gpa, uint64_t high)
{
    return tg_call(&f, TG_EXT_ENTROPY, TG_ENTROPY_READ, len, gpa, high, 0);
}

/* The mock counts: each byte is the one before plus one. */
static void test_read(void)
{
    const uint8_t *at;
    struct call c;

    CU_ASSERT_EQUAL(tg_start(&f, &module_tg_entropy, NULL, NULL), 0);
    at = mem_ptr(&f.vm.mem, FIXTURE_RAM, 0x30000);
    c = entropy(5, FIXTURE_RAM + 1, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 5);
    CU_ASSERT_EQUAL(memcmp(at, "\0\1\2\3\4\5\0", 7), 0);
    c = entropy(0, FIXTURE_RAM, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    c = entropy(3, FIXTURE_RAM, 0); /* goes on where it was: no byte comes twice */
    CU_ASSERT_EQUAL(memcmp(at, "\6\7\10", 3), 0);
    c = entropy(0x20000, FIXTURE_RAM, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, CALL_BUF_MAX);
    CU_ASSERT_EQUAL(at[CALL_BUF_MAX], 0);
    c = entropy(1, FIXTURE_RAM, 1);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    c = entropy(2, FIXTURE_RAM + FIXTURE_RAM_SIZE - 1, 0);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    c = entropy(UINT64_MAX, FIXTURE_RAM, 0);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    tg_end(&f);
}

/* A guest never takes a failure for chance, and nothing is written. */
static void test_failures(void)
{
    static const struct {
        int error;
        int64_t sbi;
    } cases[] = {
        {-EAGAIN, SBI_ERR_FAILED       },
        {-EINTR,  SBI_ERR_FAILED       },
        {-ENOSYS, SBI_ERR_NOT_SUPPORTED},
        {-EIO,    SBI_ERR_IO           },
    };
    const uint8_t *at;

    CU_ASSERT_EQUAL(tg_start(&f, &module_tg_entropy, NULL, NULL), 0);
    at = mem_ptr(&f.vm.mem, FIXTURE_RAM, 8);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call c;

        f.mock.random_error = cases[i].error;
        c = entropy(8, FIXTURE_RAM, 0);
        CU_ASSERT_EQUAL(c.error, cases[i].sbi);
        CU_ASSERT_EQUAL(c.value, (uint64_t)-cases[i].error);
        CU_ASSERT_EQUAL(memcmp(at, "\0\0\0\0\0\0\0", 8), 0);
    }
    tg_end(&f);
}

void suite_tg_entropy(void)
{
    CU_pSuite suite = CU_add_suite("tg-entropy", NULL, NULL);

    CU_add_test(suite, "read", test_read);
    CU_add_test(suite, "a host without chance", test_failures);
}
