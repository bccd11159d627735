/* test_sbi.c: the rules of every SBI extension, through the call wrapper. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "guest/abi/tg.h"
#include "tests/unit/sbi_machine.h"
#include "tests/unit/suites.h"

extern const struct module module_sbi_base, module_sbi_time, module_sbi_ipi, module_sbi_rfence,
    module_sbi_hsm, module_sbi_srst, module_sbi_dbcn, module_sbi_legacy;

/* The order does not matter to any of them. */
static const struct module *const modules[] = {
    &module_sbi_base, &module_sbi_time, &module_sbi_ipi,  &module_sbi_rfence,
    &module_sbi_hsm,  &module_sbi_srst, &module_sbi_dbcn, &module_sbi_legacy,
};
#define MODULES (sizeof(modules) / sizeof(modules[0]))

static uint64_t fake_now(struct host *host)
{
    (void)host;
    return 0;
}

static void fixture_start(void)
{
    sbi_machine_begin(fake_now);
    for (unsigned i = 0; i < MODULES; i++)
        sbi_machine_add(modules[i], NULL, 0);
    sbi_machine_start();
}

static void expect(enum call_disp disp, int64_t error, uint64_t value)
{
    CU_ASSERT_EQUAL(sm.c.disp, disp);
    CU_ASSERT_EQUAL(sm.c.error, error);
    CU_ASSERT_EQUAL(sm.c.value, value);
}

static void expect_error(int64_t error)
{
    expect(CALL_RET2, error, 0);
}

/* The harts that got exactly one S-mode software interrupt since the last time, as a mask. */
static uint64_t take_ipis(void)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < HARTS; i++) {
        CU_ASSERT(sm.raised[i] <= 1);
        mask |= (uint64_t)(sm.raised[i] > 0) << i;
        sm.raised[i] = 0;
    }
    CU_ASSERT(mask == 0 || sm.last_irq == IRQ_S_SOFT);
    return mask;
}

/* The harts that executed exactly one fence, once they have looked at their mailboxes. */
static uint64_t take_fences(void)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < HARTS; i++) {
        hart_take_fences(&sm.hart[i]);
        CU_ASSERT(sm.nfences[i] <= 1);
        mask |= (uint64_t)(sm.nfences[i] > 0) << i;
        sm.nfences[i] = 0;
    }
    return mask;
}

static bool fence_is(unsigned hart, int kind, uint64_t start, uint64_t size)
{
    const struct hart_fence *fence = &sm.fence[hart];
    return (int)fence->kind == kind && fence->start == start && fence->size == size;
}

static void test_base(void)
{
    fixture_start();
    CALL(SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0x03000000);
    CALL(SBI_EXT_BASE, SBI_BASE_GET_IMPL_ID, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0x5447);
    CALL(SBI_EXT_BASE, SBI_BASE_GET_IMPL_VERSION, 0);
    expect(CALL_RET2, SBI_SUCCESS, TG_SBI_IMPL_VERSION);
    CALL(SBI_EXT_BASE, SBI_BASE_GET_MVENDORID, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    CALL(SBI_EXT_BASE, SBI_BASE_GET_MARCHID, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    CALL(SBI_EXT_BASE, SBI_BASE_GET_MIMPID, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    sbi_machine_end();
}

static void test_base_probe(void)
{
    static const uint64_t there[] = {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        SBI_EXT_BASE,
        SBI_EXT_TIME,
        SBI_EXT_IPI,
        SBI_EXT_HSM,
        SBI_EXT_SRST,
        SBI_EXT_RFENCE,
        SBI_EXT_DBCN,
        TG_EXT_EXIT,
    };
    static const uint64_t missing[] = {
        9,
        15,
        17,
        0x504D55,
        0x53555350,
        0x0b000000,
        TG_EXT_FIRST,
        TG_EXT_LAST,
        UINT64_MAX,
        UINT64_C(0xffffffff54494D45),
        UINT64_C(0x154494D45),
    };

    fixture_start();
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        CALL(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, there[i]);
        expect(CALL_RET2, SBI_SUCCESS, 1);
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        CALL(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, missing[i]);
        expect(CALL_RET2, SBI_SUCCESS, 0);
    }
    sbi_machine_end();
}

static void test_bad_functions(void)
{
    static const struct {
        uint64_t ext, fn;
    } bad[] = {
        {SBI_EXT_BASE,   7                },
        {SBI_EXT_TIME,   1                },
        {SBI_EXT_IPI,    1                },
        {SBI_EXT_RFENCE, 7                },
        {SBI_EXT_HSM,    4                },
        {SBI_EXT_SRST,   1                },
        {SBI_EXT_DBCN,   3                },
        {SBI_EXT_BASE,   UINT64_MAX       },
        {SBI_EXT_TIME,   UINT64_C(1) << 32},
        {0x504D55,       0                },
        {UINT64_MAX,     0                },
    };

    fixture_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CALL(bad[i].ext, bad[i].fn, 0);
        expect_error(SBI_ERR_NOT_SUPPORTED);
    }
    sbi_machine_end();
}

static void test_time(void)
{
    fixture_start();
    CALL(SBI_EXT_TIME, SBI_TIME_SET_TIMER, 123456789);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(sm.timer[0], 123456789);
    CALL(SBI_EXT_TIME, SBI_TIME_SET_TIMER, UINT64_MAX);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(sm.timer[0], UINT64_MAX);
    CU_ASSERT_EQUAL(sm.ntimers, 2);
    sbi_machine_end();
}

static void test_hart_masks(void)
{
    static const struct {
        uint64_t mask, base;
        int error;
        uint64_t harts;
    } cases[] = {
        {1,                 0,       SBI_SUCCESS,           1},
        {7,                 0,       SBI_SUCCESS,           7},
        {1,                 2,       SBI_SUCCESS,           4},
        {3,                 1,       SBI_SUCCESS,           6},
 /* -1 means all, and the mask is ignored. */
        {0,                 ALL,     SBI_SUCCESS,           7},
        {UINT64_MAX,        ALL,     SBI_SUCCESS,           7},
 /* Nobody asked for: no error, even when the base is no hart. */
        {0,                 0,       SBI_SUCCESS,           0},
        {0,                 2,       SBI_SUCCESS,           0},
        {0,                 3,       SBI_SUCCESS,           0},
        {0,                 ALL - 1, SBI_SUCCESS,           0},
 /* Harts that do not exist. */
        {8,                 0,       SBI_ERR_INVALID_PARAM, 0},
        {9,                 0,       SBI_ERR_INVALID_PARAM, 0},
        {UINT64_MAX,        0,       SBI_ERR_INVALID_PARAM, 0},
        {UINT64_C(1) << 63, 0,       SBI_ERR_INVALID_PARAM, 0},
        {UINT64_C(1) << 63, 1,       SBI_ERR_INVALID_PARAM, 0},
        {4,                 1,       SBI_ERR_INVALID_PARAM, 0},
        {2,                 2,       SBI_ERR_INVALID_PARAM, 0},
        {1,                 3,       SBI_ERR_INVALID_PARAM, 0},
        {1,                 64,      SBI_ERR_INVALID_PARAM, 0},
        {1,                 ALL - 1, SBI_ERR_INVALID_PARAM, 0},
        {4,                 ALL - 1, SBI_ERR_INVALID_PARAM, 0}, /* would wrap to hart 0 */
    };
    uint64_t harts;

    fixture_start();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        harts = 99;
        CU_ASSERT_EQUAL(sbi_harts(&sm.vm, cases[i].mask, cases[i].base, &harts),
                        cases[i].error);
        CU_ASSERT_EQUAL(harts, cases[i].harts);
    }
    sm.vm.nharts = 64;
    CU_ASSERT_EQUAL(sbi_harts(&sm.vm, 0, ALL, &harts), SBI_SUCCESS);
    CU_ASSERT_EQUAL(harts, UINT64_MAX);
    CU_ASSERT_EQUAL(sbi_harts(&sm.vm, UINT64_MAX, 0, &harts), SBI_SUCCESS);
    CU_ASSERT_EQUAL(harts, UINT64_MAX);
    CU_ASSERT_EQUAL(sbi_harts(&sm.vm, UINT64_MAX, 1, &harts), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(sbi_harts(&sm.vm, 1, 63, &harts), SBI_SUCCESS);
    CU_ASSERT_EQUAL(harts, UINT64_C(1) << 63);
    sm.vm.nharts = HARTS;
    sbi_machine_end();
}

static void test_ipi(void)
{
    fixture_start();
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 1, 1);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 2);
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 1, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 1);
    /* Hart 2 is stopped: valid, and passed over. */
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 6, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 2);
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 0, ALL);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 3);
    sm.hart[2].status = HART_SUSPENDED;
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 4, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 4);
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 0, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_ipis(), 0);
    /* One bad hart spoils the call for the good ones. */
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 0xf, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 1, HARTS);
    expect_error(SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(take_ipis(), 0);
    sbi_machine_end();
}

static void test_fence_i(void)
{
    fixture_start();
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 3, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 3);
    CU_ASSERT(sm.fence[0].kind == FENCE_I && sm.fence[1].kind == FENCE_I);
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 0, ALL);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 7);
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 0, 1);
    expect_error(SBI_SUCCESS);
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 8, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_sfence_vma(void)
{
    fixture_start();
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0x1000, 0x2000);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0x1000, 0x2000));
    /* All of the address space: 0 and 0, a size of all ones, a range that wraps around. */
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0, 0);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0, UINT64_MAX));
    sm.fence[1].size = 0;
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0x5000, UINT64_MAX);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0, UINT64_MAX));
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 1, UINT64_MAX);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0, UINT64_MAX));
    sm.fence[1].size = 0;
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, UINT64_MAX - 0xfff, 0x1001);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0, UINT64_MAX));
    /* The last page does not wrap. */
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, UINT64_MAX - 0xfff, 0x1000);
    CU_ASSERT_EQUAL(take_fences(), 2);
    CU_ASSERT(fence_is(1, FENCE_VMA, UINT64_MAX - 0xfff, 0x1000));
    /* No bytes anywhere but at 0: nothing to do. */
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0x5000, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 0);
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 2, 0, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_sfence_vma_asid(void)
{
    fixture_start();
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 0, ALL, 0x1000, 0x2000, 0x1234);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 7);
    for (unsigned i = 0; i < HARTS; i++) {
        CU_ASSERT(fence_is(i, FENCE_VMA_ASID, 0x1000, 0x2000));
        CU_ASSERT_EQUAL(sm.fence[i].asid, 0x1234);
    }
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 1, 0, 0, 0, 0xffff);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(take_fences(), 1);
    CU_ASSERT(fence_is(0, FENCE_VMA_ASID, 0, UINT64_MAX));
    CU_ASSERT_EQUAL(sm.fence[0].asid, 0xffff);
    /* An ASID has 16 bits. */
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 1, 0, 0, 0, 0x10000);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 8, 0, 0, 0, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_hfences(void)
{
    fixture_start();
    for (uint64_t fn = SBI_RFENCE_HFENCE_GVMA_VMID; fn <= SBI_RFENCE_HFENCE_VVMA; fn++) {
        CALL(SBI_EXT_RFENCE, fn, 1, 0, 0, 0);
        expect_error(SBI_ERR_NOT_SUPPORTED);
    }
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_hart_start(void)
{
    static const uint64_t bad[] = {0,       RAM - 2, RAM + RAM_SIZE, RAM + RAM_SIZE - 1,
                                   RAM + 1, RAM - 1, UINT64_MAX,     UINT64_MAX - 1};

    fixture_start();
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, HARTS, RAM, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, UINT64_C(1) << 32 | 2, RAM, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, UINT64_MAX, RAM, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 2, bad[i], 0);
        expect_error(SBI_ERR_INVALID_ADDRESS);
        CU_ASSERT_EQUAL(sm.hart[2].status, HART_STOPPED);
    }
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 0, RAM, 0);
    expect_error(SBI_ERR_ALREADY_AVAILABLE);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 1, RAM, 0);
    expect_error(SBI_ERR_ALREADY_AVAILABLE);
    sm.hart[1].status = HART_SUSPENDED;
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 1, RAM, 0);
    expect_error(SBI_ERR_ALREADY_AVAILABLE);

    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 2, RAM + RAM_SIZE - 2, 0xfeed);
    expect_error(SBI_SUCCESS);
    CU_ASSERT_EQUAL(sm.hart[2].start_pc, RAM + RAM_SIZE - 2);
    CU_ASSERT_EQUAL(sm.hart[2].start_arg, 0xfeed);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, 2);
    expect(CALL_RET2, SBI_SUCCESS, SBI_HSM_START_PENDING);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_START, 2, RAM, 0);
    expect_error(SBI_ERR_ALREADY_AVAILABLE);
    CU_ASSERT_EQUAL(sm.hart[2].start_arg, 0xfeed);
    sbi_machine_end();
}

static void test_hart_stop(void)
{
    fixture_start();
    CALL(SBI_EXT_HSM, SBI_HSM_HART_STOP, 0);
    CU_ASSERT_EQUAL(sm.c.disp, CALL_STOPPED);
    CU_ASSERT_TRUE(sm.hart[0].stop_pending);
    CU_ASSERT_EQUAL(sm.vm.stop.cause, CAUSE_NONE);
    sbi_machine_end();
}

static void test_hart_status(void)
{
    fixture_start();
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, 0);
    expect(CALL_RET2, SBI_SUCCESS, SBI_HSM_STARTED);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, 2);
    expect(CALL_RET2, SBI_SUCCESS, SBI_HSM_STOPPED);
    sm.hart[2].status = HART_SUSPENDED;
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, 2);
    expect(CALL_RET2, SBI_SUCCESS, SBI_HSM_SUSPENDED);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, HARTS);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, UINT64_C(1) << 32);
    expect_error(SBI_ERR_INVALID_PARAM);
    sbi_machine_end();
}

static void test_suspend_types(void)
{
    static const uint64_t bad[] = {1,          0x0fffffff, 0x10000000, 0x7fffffff,
                                   0x80000001, 0x8fffffff, 0x90000000, 0xffffffff};

    fixture_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, bad[i], RAM, 0);
        expect_error(SBI_ERR_INVALID_PARAM);
    }
    CU_ASSERT_EQUAL(sm.waits, 0);
    sbi_machine_end();
}

static void test_suspend_retentive(void)
{
    fixture_start();
    /* The address is unused. */
    CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, SBI_HSM_SUSPEND_RETENTIVE, 0, 0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT(sm.waits > 0);
    CU_ASSERT_EQUAL(sm.hart[0].status, HART_STARTED);
    sm.waits = 0;
    CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, UINT64_C(1) << 63 | SBI_HSM_SUSPEND_RETENTIVE, 0,
         0);
    expect_error(SBI_SUCCESS);
    CU_ASSERT(sm.waits > 0);
    sbi_machine_end();
}

static void test_suspend_non_retentive(void)
{
    static const uint64_t bad[] = {0, RAM + 1, RAM - 2, RAM + RAM_SIZE, UINT64_MAX};

    fixture_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, SBI_HSM_SUSPEND_NON_RETENTIVE, bad[i], 0);
        expect_error(SBI_ERR_INVALID_ADDRESS);
    }
    CU_ASSERT_EQUAL(sm.waits, 0);
    CU_ASSERT_EQUAL(sm.hart[0].requests & HART_REQ_RESTART, 0);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, SBI_HSM_SUSPEND_NON_RETENTIVE, RAM + 4, 77);
    CU_ASSERT_EQUAL(sm.c.disp, CALL_REPLACED);
    CU_ASSERT(sm.waits > 0);
    CU_ASSERT_EQUAL(sm.hart[0].start_pc, RAM + 4);
    CU_ASSERT_EQUAL(sm.hart[0].start_arg, 77);
    CU_ASSERT_NOT_EQUAL(sm.hart[0].requests & HART_REQ_RESTART, 0);
    CALL(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, UINT64_C(1) << 63 | SBI_HSM_SUSPEND_NON_RETENTIVE,
         RAM + 8, 78);
    CU_ASSERT_EQUAL(sm.c.disp, CALL_REPLACED);
    CU_ASSERT_EQUAL(sm.hart[0].start_pc, RAM + 8);
    sbi_machine_end();
}

/* One system reset of a fresh machine. */
static void expect_reset(uint64_t type, uint64_t reason, enum stop_cause cause, int status)
{
    fixture_start();
    CALL(SBI_EXT_SRST, SBI_SRST_SYSTEM_RESET, type, reason);
    CU_ASSERT_EQUAL(sm.c.disp, CALL_STOPPED);
    CU_ASSERT_EQUAL(sm.vm.stop.cause, cause);
    CU_ASSERT_EQUAL(sm.vm.stop.status, status);
    CU_ASSERT_EQUAL(sm.vm.stop.hart, 0);
    CU_ASSERT_TRUE(sm.vm.stopping);
    sbi_machine_end();
}

static void test_reset(void)
{
    expect_reset(SBI_SRST_TYPE_SHUTDOWN, SBI_SRST_REASON_NONE, CAUSE_EXIT, 0);
    expect_reset(SBI_SRST_TYPE_SHUTDOWN, SBI_SRST_REASON_SYSTEM_FAILURE, CAUSE_EXIT, 1);
    expect_reset(SBI_SRST_TYPE_COLD_REBOOT, SBI_SRST_REASON_NONE, CAUSE_RESET, 0);
    expect_reset(SBI_SRST_TYPE_WARM_REBOOT, SBI_SRST_REASON_SYSTEM_FAILURE, CAUSE_RESET, 1);
    /* 32-bit parameters. */
    expect_reset(UINT64_C(1) << 32 | SBI_SRST_TYPE_SHUTDOWN, UINT64_C(1) << 63, CAUSE_EXIT, 0);
}

static void test_reset_refused(void)
{
    static const struct {
        uint64_t type, reason;
    } bad[] = {
        {3,          0         },
        {0xefffffff, 0         },
        {0xf0000000, 0         },
        {0xffffffff, 0         },
        {UINT64_MAX, 0         },
        {0,          2         },
        {0,          0xdfffffff},
        {0,          0xe0000000},
        {0,          0xf0000000},
        {1,          0xffffffff},
        {3,          2         },
    };

    fixture_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CALL(SBI_EXT_SRST, SBI_SRST_SYSTEM_RESET, bad[i].type, bad[i].reason);
        expect_error(SBI_ERR_INVALID_PARAM);
    }
    CU_ASSERT_EQUAL(sm.vm.stop.cause, CAUSE_NONE);
    CU_ASSERT_FALSE(sm.vm.stopping);
    sbi_machine_end();
}

static void expect_output(const char *text)
{
    CU_ASSERT_EQUAL(sm.out_len, strlen(text));
    CU_ASSERT_EQUAL(memcmp(sm.out, text, strlen(text)), 0);
    sm.out_len = 0;
}

static void test_console_write(void)
{
    fixture_start();
    CU_ASSERT_EQUAL(mem_write(&sm.vm.mem, RAM + 7, "hello", 5), 0);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 5, RAM + 7, 0);
    expect(CALL_RET2, SBI_SUCCESS, 5);
    expect_output("hello");
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 0, RAM, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 1, 0, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 1, RAM, 1);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, UINT64_MAX, RAM, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    expect_output("");
    /* A long write is partial, and says so. */
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, CALL_BUF_MAX + 9, RAM, 0);
    expect(CALL_RET2, SBI_SUCCESS, CALL_BUF_MAX);
    CU_ASSERT_EQUAL(sm.out_len, CALL_BUF_MAX);
    sbi_machine_end();
}

static void test_console_read(void)
{
    char got[8] = "";

    fixture_start();
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 4, RAM, 0);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    CU_ASSERT_EQUAL(console_feed(&sm.vm.console, (const uint8_t *)"abcdef", 6), 6);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 4, 0x1000, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 4, RAM + RAM_SIZE - 3, 0);
    expect_error(SBI_ERR_INVALID_PARAM);
    /* Refused reads took nothing; this one takes no more than it asks for. */
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 4, RAM, 0);
    expect(CALL_RET2, SBI_SUCCESS, 4);
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 100, RAM + 4, 0);
    expect(CALL_RET2, SBI_SUCCESS, 2);
    CU_ASSERT_EQUAL(mem_read(&sm.vm.mem, RAM, got, 7), 0);
    CU_ASSERT_STRING_EQUAL(got, "abcdef");
    sbi_machine_end();
}

static void test_console_write_byte(void)
{
    fixture_start();
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE_BYTE, 'a');
    expect(CALL_RET2, SBI_SUCCESS, 0);
    expect_output("a");
    CALL(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE_BYTE, 0x64636261);
    expect(CALL_RET2, SBI_SUCCESS, 0);
    expect_output("a");
    sbi_machine_end();
}

/* Legacy calls ignore the function and preserve a1. */
static void test_legacy_timer_and_console(void)
{
    fixture_start();
    CALL(SBI_EXT_LEGACY_SET_TIMER, 0xdead, 4242);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(sm.timer[0], 4242);
    CALL(SBI_EXT_LEGACY_CONSOLE_PUTCHAR, UINT64_MAX, 0x12300 + '!');
    expect(CALL_RET1, 0, 0);
    expect_output("!");
    CALL(SBI_EXT_LEGACY_CONSOLE_GETCHAR, 0, 0);
    expect(CALL_RET1, -1, 0);
    CU_ASSERT_EQUAL(console_feed(&sm.vm.console, (const uint8_t *)"\xff", 1), 1);
    CALL(SBI_EXT_LEGACY_CONSOLE_GETCHAR, 5, 0);
    expect(CALL_RET1, 255, 0);
    CALL(SBI_EXT_LEGACY_CONSOLE_GETCHAR, 0, 0);
    expect(CALL_RET1, -1, 0);
    CALL(SBI_EXT_LEGACY_CLEAR_IPI, 0, 0);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(sm.lowered[0], 1);
    CU_ASSERT_EQUAL(sm.last_irq, IRQ_S_SOFT);
    sbi_machine_end();
}

static void test_legacy_masks(void)
{
    fixture_start();
    sm.virt_word = 2;
    CALL(SBI_EXT_LEGACY_SEND_IPI, 0, 0x1238);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(sm.virt_va, 0x1238);
    CU_ASSERT_EQUAL(take_ipis(), 2);
    /* No pointer: everybody, and nothing is read. */
    sm.virt_result = 13;
    CALL(SBI_EXT_LEGACY_SEND_IPI, 0, 0);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(take_ipis(), 3);
    sm.virt_result = 0;
    sm.virt_word = 0;
    CALL(SBI_EXT_LEGACY_SEND_IPI, 0, 0x1238);
    expect(CALL_RET1, 0, 0);
    sm.virt_word = 8;
    for (uint64_t ext = SBI_EXT_LEGACY_SEND_IPI; ext < SBI_EXT_LEGACY_SHUTDOWN; ext++) {
        CALL(ext, 0, 0x1238);
        expect(CALL_RET1, SBI_ERR_INVALID_PARAM, 0);
    }
    CU_ASSERT_EQUAL(take_ipis(), 0);
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_legacy_bad_pointer(void)
{
    fixture_start();
    int (*read_virt)(struct hart *, uint64_t, void *, size_t) = sm.engine.read_virt;
    for (uint64_t ext = SBI_EXT_LEGACY_SEND_IPI; ext < SBI_EXT_LEGACY_SHUTDOWN; ext++) {
        sm.virt_result = ext & 1 ? 13 : 5;
        CALL(ext, 0, UINT64_C(0xffffffc000001238));
        /* An exception at the ecall: its cause, and the pointer for stval. */
        expect(CALL_TRAP, (int64_t)UINT64_C(0xffffffc000001238), (uint64_t)sm.virt_result);
        sm.virt_result = -5;
        CALL(ext, 0, 0x1238);
        expect(CALL_RET1, SBI_ERR_FAILED, 0);
        sm.engine.read_virt = NULL;
        CALL(ext, 0, 0x1238);
        expect(CALL_RET1, SBI_ERR_FAILED, 0);
        sm.engine.read_virt = read_virt;
    }
    CU_ASSERT_EQUAL(take_ipis(), 0);
    CU_ASSERT_EQUAL(take_fences(), 0);
    sbi_machine_end();
}

static void test_legacy_fences(void)
{
    fixture_start();
    sm.virt_word = 5;
    CALL(SBI_EXT_LEGACY_REMOTE_FENCE_I, 0, 0x1238);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(take_fences(), 5);
    CU_ASSERT(sm.fence[0].kind == FENCE_I && sm.fence[2].kind == FENCE_I);
    CALL(SBI_EXT_LEGACY_REMOTE_SFENCE_VMA, 0, 0, 0x3000, 0x1000);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(take_fences(), 7);
    CU_ASSERT(fence_is(1, FENCE_VMA, 0x3000, 0x1000));
    CALL(SBI_EXT_LEGACY_REMOTE_SFENCE_VMA_ASID, 0, 0x1238, 0, UINT64_MAX, 9);
    expect(CALL_RET1, 0, 0);
    CU_ASSERT_EQUAL(take_fences(), 5);
    CU_ASSERT(fence_is(2, FENCE_VMA_ASID, 0, UINT64_MAX));
    CU_ASSERT_EQUAL(sm.fence[2].asid, 9);
    sbi_machine_end();
}

static void test_legacy_shutdown(void)
{
    fixture_start();
    CALL(SBI_EXT_LEGACY_SHUTDOWN, 0, 0);
    CU_ASSERT_EQUAL(sm.c.disp, CALL_STOPPED);
    CU_ASSERT_EQUAL(sm.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(sm.vm.stop.status, 0);
    CU_ASSERT_TRUE(sm.vm.stopping);
    sbi_machine_end();
}

static void test_descriptors(void)
{
    for (size_t i = 0; i < MODULES; i++) {
        CU_ASSERT_EQUAL(modules[i]->starts, MODULE_KERNEL);
        CU_ASSERT_EQUAL(strncmp(modules[i]->name, "sbi-", 4), 0);
        for (size_t j = 0; j < modules[i]->ncalls; j++) {
            const struct call_desc *desc = &modules[i]->calls[j];

            /* A group is denied by its module's name with a dot for the dash. */
            CU_ASSERT_EQUAL(strncmp(desc->name, "sbi.", 4), 0);
            CU_ASSERT_EQUAL(
                strncmp(desc->name + 4, modules[i]->name + 4, strlen(modules[i]->name + 4)), 0);
            CU_ASSERT_EQUAL(desc->legacy, desc->ext < SBI_EXT_BASE);
        }
    }
}

void suite_sbi(void)
{
    CU_pSuite s = CU_add_suite("sbi", NULL, NULL);

    CU_add_test(s, "base", test_base);
    CU_add_test(s, "base: probe", test_base_probe);
    CU_add_test(s, "unknown functions and extensions", test_bad_functions);
    CU_add_test(s, "time", test_time);
    CU_add_test(s, "hart masks", test_hart_masks);
    CU_add_test(s, "ipi", test_ipi);
    CU_add_test(s, "rfence: fence.i", test_fence_i);
    CU_add_test(s, "rfence: sfence.vma", test_sfence_vma);
    CU_add_test(s, "rfence: sfence.vma with ASID", test_sfence_vma_asid);
    CU_add_test(s, "rfence: no H extension", test_hfences);
    CU_add_test(s, "hsm: start", test_hart_start);
    CU_add_test(s, "hsm: stop", test_hart_stop);
    CU_add_test(s, "hsm: status", test_hart_status);
    CU_add_test(s, "hsm: suspend types", test_suspend_types);
    CU_add_test(s, "hsm: retentive suspend", test_suspend_retentive);
    CU_add_test(s, "hsm: non-retentive suspend", test_suspend_non_retentive);
    CU_add_test(s, "srst", test_reset);
    CU_add_test(s, "srst: refused", test_reset_refused);
    CU_add_test(s, "dbcn: write", test_console_write);
    CU_add_test(s, "dbcn: read", test_console_read);
    CU_add_test(s, "dbcn: write byte", test_console_write_byte);
    CU_add_test(s, "legacy: timer and console", test_legacy_timer_and_console);
    CU_add_test(s, "legacy: hart masks", test_legacy_masks);
    CU_add_test(s, "legacy: bad pointers", test_legacy_bad_pointer);
    CU_add_test(s, "legacy: fences", test_legacy_fences);
    CU_add_test(s, "legacy: shutdown", test_legacy_shutdown);
    CU_add_test(s, "descriptors", test_descriptors);
}
