/* test_tg_base.c: the base service: versions, names, which calls are there. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "tests/unit/tg.h"
#include "vmm/version.h"

static struct fixture f;

static struct call base(uint64_t fn, uint64_t a, uint64_t b)
{
    return tg_call(&f, TG_EXT_BASE, fn, a, b, 0, 0);
}

static void test_words(void)
{
    struct call c;

    CU_ASSERT_EQUAL(tg_start(&f, &module_tg_base, NULL, NULL), 0);
    c = base(TG_BASE_NULL, 1, 2);
    CU_ASSERT_EQUAL(c.disp, CALL_RET2);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    c = base(TG_BASE_VERSION, 0, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, TG_ABI_VERSION);
    c = base(TG_BASE_FEATURES + 1, 0, 0);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_NOT_SUPPORTED);
    tg_end(&f);
}

static uint64_t supports(uint64_t ext, uint64_t fn)
{
    struct call c = base(TG_BASE_SUPPORTS, ext, fn);

    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    return c.value;
}

static void test_supports(void)
{
    CU_ASSERT_EQUAL(tg_start(&f, &module_tg_base, NULL, NULL), 0);
    CU_ASSERT_EQUAL(supports(TG_EXT_BASE, TG_BASE_NULL), 1);
    CU_ASSERT_EQUAL(supports(TG_EXT_BASE, TG_BASE_FEATURES), 1);
    CU_ASSERT_EQUAL(supports(TG_EXT_BASE, TG_BASE_FEATURES + 1), 0);
    CU_ASSERT_EQUAL(supports(TG_EXT_EXIT, TG_EXIT_STOP), 1);
    CU_ASSERT_EQUAL(supports(TG_EXT_EXIT, 1), 0);
    CU_ASSERT_EQUAL(supports(TG_EXT_CONSOLE, 0), 0);
    CU_ASSERT_EQUAL(supports(SBI_EXT_BASE, 0), 0);
    CU_ASSERT_EQUAL(supports(UINT64_MAX, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(supports(TG_EXT_BASE, UINT64_MAX), 0); /* no row answers "any function" */
    CU_ASSERT_EQUAL(base(TG_BASE_FEATURES, 0, 0).value, 3);
    call_index_destroy(&f.vm);
    f.inst[f.vm.ninstances++] =
        (struct module_instance){.module = &module_sbi_base, .vm = &f.vm};
    CU_ASSERT_EQUAL(call_index_build(&f.vm, &f.err), 0);
    CU_ASSERT_EQUAL(supports(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION), 1);
    CU_ASSERT_EQUAL(supports(SBI_EXT_BASE, 99), 0);
    f.config.deterministic = true;
    CU_ASSERT_EQUAL(base(TG_BASE_FEATURES, 0, 0).value, TG_FEATURE_DETERMINISTIC | 3);
    tg_end(&f);
}

static void test_name(void)
{
    static const char name[] = "Tollgate " TG_VERSION;
    const char *at;
    struct call c;

    CU_ASSERT_EQUAL(tg_start(&f, &module_tg_base, NULL, NULL), 0);
    at = (const char *)mem_ptr(&f.vm.mem, FIXTURE_RAM, 64);
    c = base(TG_BASE_NAME, 64, FIXTURE_RAM);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, strlen(name));
    CU_ASSERT_STRING_EQUAL(at, name);
    c = base(TG_BASE_NAME, 4, FIXTURE_RAM + 32);
    CU_ASSERT_EQUAL(c.value, 4);
    CU_ASSERT_STRING_EQUAL(at + 32, "Toll");
    c = base(TG_BASE_NAME, 0, FIXTURE_RAM);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    c = base(TG_BASE_NAME, 64, FIXTURE_RAM + FIXTURE_RAM_SIZE - 63);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    tg_end(&f);
}

void suite_tg_base(void)
{
    CU_pSuite suite = CU_add_suite("tg-base", NULL, NULL);

    CU_add_test(suite, "words", test_words);
    CU_add_test(suite, "supports, features", test_supports);
    CU_add_test(suite, "name", test_name);
}
