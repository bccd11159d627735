/* test_multicall.c: batches of calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/tg_multicall.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"

extern const struct module module_tg_multicall, module_sbi_base, module_sbi_dbcn,
    module_sbi_hsm, module_sbi_srst;

#define BATCH (FIXTURE_RAM + 0x2000)
#define TEXT  (FIXTURE_RAM + 0x1000)

static struct fixture f;
static struct call c;

static void setup(void)
{
    static const struct module *const modules[] = {&module_tg_multicall, &module_sbi_base,
                                                   &module_sbi_dbcn, &module_sbi_hsm,
                                                   &module_sbi_srst};

    fixture_init(&f, START_KERNEL, 2, CONSOLE_SBI);
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        CU_ASSERT_EQUAL_FATAL(fixture_add(&f, modules[i], NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
}

static void entry_put(unsigned i, uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1)
{
    uint64_t entry[10] = {ext, fn, a0, a1, 0, 0, 0, 0, 0x1111, 0x2222};

    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, BATCH + i * TG_MULTICALL_BYTES, entry, sizeof(entry)),
                    0);
}

static void entry_is(unsigned i, int64_t error, uint64_t value)
{
    uint64_t got[2];

    mem_read(&f.vm.mem, BATCH + i * TG_MULTICALL_BYTES + TG_MULTICALL_ERROR, got, sizeof(got));
    CU_ASSERT_EQUAL((int64_t)got[0], error);
    CU_ASSERT_EQUAL(got[1], value);
}

static int64_t run(uint64_t count, uint64_t lo, uint64_t hi)
{
    c = (struct call){
        .personality = CALL_TG,
        .ext = TG_EXT_MULTICALL,
        .fn = TG_MULTICALL_RUN,
        .arg = {count, lo, hi},
    };
    call_dispatch(&f.hart[0], &c);
    CU_ASSERT_EQUAL(c.disp, CALL_RET2);
    return c.error;
}

/* Each entry has its own result, and nothing else of it is written. */
static void test_batch(void)
{
    uint64_t entry[8];

    setup();
    mem_write(&f.vm.mem, TEXT, "batched", 7);
    entry_put(0, SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, SBI_EXT_DBCN, 0);
    entry_put(1, SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, 0x1234, 0);
    entry_put(2, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 7, TEXT);
    entry_put(3, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 7, 0x10);
    entry_put(4, 0x4444, 1, 0, 0);
    CU_ASSERT_EQUAL(run(5, BATCH, 0), SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 5);
    entry_is(0, SBI_SUCCESS, 1);
    entry_is(1, SBI_SUCCESS, 0);
    entry_is(2, SBI_SUCCESS, 7);
    entry_is(3, SBI_ERR_INVALID_PARAM, 0);
    entry_is(4, SBI_ERR_NOT_SUPPORTED, 0);
    CU_ASSERT_TRUE(fixture_printed(&f, "batched"));
    mem_read(&f.vm.mem, BATCH, entry, sizeof(entry));
    CU_ASSERT_EQUAL(entry[0], SBI_EXT_BASE);
    CU_ASSERT_EQUAL(entry[2], SBI_EXT_DBCN);
    fixture_destroy(&f);
}

/* No batch in a batch; nothing that stops, waits or changes harts. */
static void test_not_in_a_batch(void)
{
    setup();
    entry_put(0, TG_EXT_MULTICALL, TG_MULTICALL_RUN, 1, BATCH);
    entry_put(1, TG_EXT_EXIT, TG_EXIT_STOP, 3, 0);
    entry_put(2, SBI_EXT_SRST, 0, 0, 0);
    entry_put(3, SBI_EXT_HSM, SBI_HSM_HART_START, 1, FIXTURE_RAM);
    CU_ASSERT_EQUAL(run(4, BATCH, 0), SBI_SUCCESS);
    for (unsigned i = 0; i < 4; i++)
        entry_is(i, SBI_ERR_NOT_SUPPORTED, 0);
    CU_ASSERT_FALSE(f.vm.stopping);
    CU_ASSERT_EQUAL(f.hart[1].status, HART_STOPPED);
    fixture_destroy(&f);
}

static void test_bad_batches(void)
{
    setup();
    entry_put(0, SBI_EXT_BASE, 0, 0, 0);
    CU_ASSERT_EQUAL(run(TG_MULTICALL_MAX + 1, BATCH, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(run(UINT64_MAX, BATCH, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(run(1, BATCH + 4, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(run(1, BATCH, 1), SBI_ERR_INVALID_ADDRESS);
    CU_ASSERT_EQUAL(run(1, FIXTURE_RAM + FIXTURE_RAM_SIZE - 72, 0), SBI_ERR_INVALID_ADDRESS);
    CU_ASSERT_EQUAL(run(1, UINT64_MAX - 7, 0), SBI_ERR_INVALID_ADDRESS);
    entry_is(0, 0x1111, 0x2222); /* nothing was done */
    CU_ASSERT_EQUAL(run(0, BATCH, 0), SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    fixture_destroy(&f);
}

/* The machine is to end: what is left of the batch is not made. */
static void test_stopped(void)
{
    setup();
    entry_put(0, SBI_EXT_BASE, 0, 0, 0);
    f.hart[0].requests = HART_REQ_STOP;
    CU_ASSERT_EQUAL(run(1, BATCH, 0), SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    entry_is(0, 0x1111, 0x2222);
    fixture_destroy(&f);
}

/* The short way and the wrapper's give the same. */
static void test_both_ways(void)
{
    setup();
    for (unsigned slow = 0; slow < 2; slow++) {
        f.config.slow_calls = slow;
        call_epoch_bump(&f.vm);
        for (unsigned i = 0; i < 32; i++)
            entry_put(i, SBI_EXT_BASE, i % 3 == 0 ? 7 : SBI_BASE_PROBE_EXTENSION,
                      i % 2 ? SBI_EXT_BASE : 0x99, 0);
        CU_ASSERT_EQUAL(run(32, BATCH, 0), SBI_SUCCESS);
        CU_ASSERT_EQUAL(c.value, 32);
        for (unsigned i = 0; i < 32; i++)
            entry_is(i, i % 3 == 0 ? SBI_ERR_NOT_SUPPORTED : SBI_SUCCESS,
                     i % 3 != 0 && i % 2 == 1);
    }
    fixture_destroy(&f);
}

void suite_multicall(void)
{
    CU_pSuite suite = CU_add_suite("multicall", NULL, NULL);

    CU_add_test(suite, "a batch", test_batch);
    CU_add_test(suite, "what no batch can hold", test_not_in_a_batch);
    CU_add_test(suite, "batches that are refused", test_bad_batches);
    CU_add_test(suite, "a batch when the machine ends", test_stopped);
    CU_add_test(suite, "both ways give the same", test_both_ways);
}
