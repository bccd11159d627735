/* test_sbi3.c: the rules of SUSP, FWFT and STA, through the call wrapper. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "tests/unit/sbi_machine.h"
#include "tests/unit/suites.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/le.h"

extern const struct module module_sbi_base, module_sbi_time, module_sbi_ipi, module_sbi_rfence,
    module_sbi_legacy, module_sbi_pmu, module_sbi_susp, module_sbi_sta, module_sbi_fwft;

static const struct module *const modules[] = {
    &module_sbi_base, &module_sbi_time, &module_sbi_ipi, &module_sbi_rfence, &module_sbi_legacy,
    &module_sbi_pmu,  &module_sbi_susp, &module_sbi_sta, &module_sbi_fwft,
};
#define MODULES (sizeof(modules) / sizeof(modules[0]))

static void fixture_begin(void)
{
    sbi_machine_begin(host_real()->now_ns);
}

static void fixture_start(void)
{
    fixture_begin();
    for (unsigned i = 0; i < MODULES; i++)
        sbi_machine_add(modules[i], NULL, 0);
    sbi_machine_start();
}

static void test_base(void)
{
    static const uint64_t there[] = {SBI_EXT_PMU, SBI_EXT_SUSP, SBI_EXT_STA, SBI_EXT_FWFT};

    fixture_start();
    CALL(SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION, 0);
    sbi_machine_expect(SBI_SUCCESS, 0x03000000);
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        CALL(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, there[i]);
        sbi_machine_expect(SBI_SUCCESS, 1);
    }
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_PMU, 9, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_SUSP, 1, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_STA, 1, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, 2, 0);
    sbi_machine_end();
}

/* --- SUSP --- */

static void test_susp_refused(void)
{
    static const uint64_t types[] = {1, 0x7fffffff, 0x80000000, 0xffffffff, ALL};
    static const uint64_t addrs[] = {0, RAM + 1, RAM - 2, RAM + RAM_SIZE, ALL};

    fixture_start();
    sm.hart[1].status = HART_STOPPED;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_SUSP, 0, types[i], RAM, 0);
    for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++)
        EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_SUSP, 0, 0, addrs[i], 0);
    static const enum hart_status awake[] = {HART_STARTED, HART_START_PENDING, HART_SUSPENDED};
    for (size_t i = 0; i < sizeof(awake) / sizeof(awake[0]); i++) {
        sm.hart[1].status = awake[i];
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_SUSP, 0, 0, RAM, 0);
    }
    CU_ASSERT_EQUAL(sm.waits, 0);
    CU_ASSERT_FALSE(sm.hart[0].resume_pending);
    sbi_machine_end();
}

static void test_susp(void)
{
    static const uint64_t types[] = {0, UINT64_C(1) << 32, UINT64_C(0xffffffff00000000)};

    fixture_start();
    sm.hart[1].status = HART_STOPPED;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        sm.waits = 0;
        CALL(SBI_EXT_SUSP, 0, types[i], RAM + 2 * i, 77 + i);
        CU_ASSERT_EQUAL(sm.c.disp, CALL_REPLACED);
        CU_ASSERT(sm.waits > 0);
        CU_ASSERT_TRUE(sm.hart[0].resume_pending);
        CU_ASSERT_EQUAL(sm.hart[0].start_pc, RAM + 2 * i);
        CU_ASSERT_EQUAL(sm.hart[0].start_arg, 77 + i);
        CU_ASSERT_EQUAL(sm.hart[0].status, HART_STARTED);
    }
    sbi_machine_end();
}

/* --- FWFT --- */

#define FWFT_IS(feature, number)                                                               \
    do {                                                                                       \
        CALL(SBI_EXT_FWFT, SBI_FWFT_GET, feature);                                             \
        sbi_machine_expect(SBI_SUCCESS, number);                                               \
    } while (0)

static void test_fwft_absent(void)
{
    static const uint64_t denied[] = {6,          0x3fffffff, 0x40000000, 0x7fffffff,
                                      0x80000000, 0xbfffffff, 0xc0000000, 0xffffffff};
    static const unsigned missing[] = {SBI_FWFT_LANDING_PAD, SBI_FWFT_SHADOW_STACK,
                                       SBI_FWFT_DOUBLE_TRAP};

    fixture_start();
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_GET, denied[i]);
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_SET, denied[i], 1, 0);
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_SET, denied[i], 1, 2);
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_GET, missing[i]);
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_SET, missing[i], 0, 0);
    }
    /* An engine that has none. */
    sm.engine.feature_set = NULL;
    for (uint64_t i = 0; i < SBI_FWFT_FEATURES; i++)
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_GET, i);
    modules_hart_reset(&sm.hart[0]);
    sbi_machine_end();
}

static void test_fwft_set(void)
{
    fixture_start();
    FWFT_IS(SBI_FWFT_MISALIGNED_EXC_DELEG, 1);
    FWFT_IS(SBI_FWFT_PTE_AD_HW_UPDATING, 0);
    FWFT_IS(SBI_FWFT_POINTER_MASKING_PMLEN, 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 0);
    FWFT_IS(4, 1);
    CU_ASSERT_EQUAL(sm.feature[0][4], 1);
    CU_ASSERT_EQUAL(sm.feature[1][4], 0);
    /* The feature has 32 bits, the others all theirs. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, UINT64_C(1) << 32 | 4, 0, 0);
    FWFT_IS(UINT64_C(1) << 63 | 4, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, UINT64_C(1) << 32, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 2, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 2);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, UINT64_C(1) << 32);
    FWFT_IS(4, 0);
    CU_ASSERT_EQUAL(sm.feature[0][4], 0);
    /* Local: the other hart has its own. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 7, 0);
    sm.self = 1;
    FWFT_IS(5, 0);
    sm.self = 0;
    sm.feature_error = -EIO;
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 0, 0);
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_FWFT, SBI_FWFT_GET, 5);
    sm.feature_error = 0;
    FWFT_IS(5, 7);
    sbi_machine_end();
}

static void test_fwft_lock(void)
{
    fixture_start();
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 2, SBI_FWFT_LOCK);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, SBI_FWFT_LOCK);
    for (uint64_t value = 0; value <= 1; value++)
        for (uint64_t flags = 0; flags <= 1; flags++)
            EXPECT_CALL(SBI_ERR_DENIED_LOCKED, SBI_EXT_FWFT, SBI_FWFT_SET, 4, value, flags);
    FWFT_IS(4, 1);
    CU_ASSERT_EQUAL(sm.feature[0][4], 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 0, 0, 0);
    sm.self = 1;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 0);
    sm.self = 0;
    /* A hart that starts anew has forgotten value and lock; the other has not. */
    modules_hart_reset(&sm.hart[0]);
    CU_ASSERT_EQUAL(sm.feature[0][4], 0);
    CU_ASSERT_EQUAL(sm.feature[1][4], 1);
    FWFT_IS(4, 0);
    FWFT_IS(0, 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 0, 0);
    sbi_machine_end();
}

/* The interpreter's answers, whatever extensions it has by now. */
static void test_engine_features(void)
{
    struct hart *hart = &sm.hart[0];
    struct hart_state state;

    fixture_begin();
    sm.config.max_steps = ALL;
    CU_ASSERT_EQUAL_FATAL(engine_interp.hart_create(hart), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 0), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 1), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 2), -EINVAL);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_FEATURES, 0), -EOPNOTSUPP);
    for (unsigned i = SBI_FWFT_LANDING_PAD; i < SBI_FWFT_FEATURES; i++) {
        static const uint64_t bit[] = {0, 2, 3, 59, 61, 33}; /* of menvcfg */
        uint64_t on = i == SBI_FWFT_POINTER_MASKING_PMLEN ? 7 : 1, others;
        int rc = engine_interp.feature_set(hart, i, 0);

        CU_ASSERT(rc == 0 || rc == -EOPNOTSUPP);
        engine_interp.state_get(hart, &state);
        others = state.menvcfg;
        CU_ASSERT_EQUAL(others >> bit[i] & 1, 0);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, on), rc);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, 3), rc == 0 ? -EINVAL : rc);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.menvcfg, others | (uint64_t)(rc == 0) << bit[i]);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, 0), rc);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.menvcfg, others);
        CU_ASSERT_EQUAL(state.priv, PRIV_S);
    }
    engine_interp.hart_destroy(hart);
    sbi_machine_end();
}

/* --- saved and loaded --- */

static void test_fwft_saved(void)
{
    fixture_start();
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, SBI_FWFT_LOCK);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 16, 0);
    sbi_machine_save("sbi-fwft");
    sbi_machine_end();
    fixture_start();
    CU_ASSERT_EQUAL(sbi_machine_load("sbi-fwft"), 0);
    FWFT_IS(4, 1);
    FWFT_IS(5, 16);
    EXPECT_CALL(SBI_ERR_DENIED_LOCKED, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 0, 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 0, 0);
    le_put64(sbi_saved.bytes, 2);
    CU_ASSERT_NOT_EQUAL(sbi_machine_load("sbi-fwft"), 0);
    sbi_machine_end();
}

/* --- STA --- */

#define STA_GPA (RAM + RAM_SIZE - 64) /* the last that there is */

static void sta_is(uint32_t sequence, uint64_t steal)
{
    CU_ASSERT_EQUAL(sbi_machine_word(STA_GPA), sequence); /* flags are zero */
    CU_ASSERT_EQUAL(sbi_machine_word(STA_GPA + 8), steal);
    for (unsigned i = 16; i < 64; i += 8)
        CU_ASSERT_EQUAL(sbi_machine_word(STA_GPA + i), 0);
}

static void test_sta_refused(void)
{
    fixture_start();
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, STA_GPA, 0, 1);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, ALL, ALL, 1);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, STA_GPA + 32, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, ALL, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA + 64, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, RAM - 64, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA, 1, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA, ALL, 0);
    sm.delay_error = -EIO;
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    sm.delay = 100;
    modules_hart_enter(&sm.hart[0]);
    sta_is(0, 0);
    sbi_machine_end();
}

static void test_sta(void)
{
    fixture_start();
    sm.delay = 5000;
    for (unsigned i = 0; i < 64; i += 8)
        sbi_machine_set_word(STA_GPA + i, ALL);
    sbi_machine_set_word(STA_GPA - 8, 0x55);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    CU_ASSERT_EQUAL(sbi_machine_word(STA_GPA - 8), 0x55);
    sta_is(0, 0);
    modules_hart_enter(&sm.hart[0]); /* nothing was stolen: nothing is written */
    sta_is(0, 0);
    sm.delay = 5700;
    modules_hart_enter(&sm.hart[1]); /* another hart's way in */
    sta_is(0, 0);
    modules_hart_enter(&sm.hart[0]);
    sta_is(2, 700);
    sm.delay = UINT64_C(5000) + (UINT64_C(3) << 33);
    modules_hart_enter(&sm.hart[0]);
    sta_is(4, UINT64_C(3) << 33);
    /* What the guest writes there harms nobody. */
    sbi_machine_set_word(STA_GPA, 0x12345);
    sm.delay += 1;
    modules_hart_enter(&sm.hart[0]);
    sta_is(6, (UINT64_C(3) << 33) + 1);
    sm.delay_error = -EIO; /* the host tells no more */
    sm.delay += 1;
    modules_hart_enter(&sm.hart[0]);
    sta_is(6, (UINT64_C(3) << 33) + 1);
    sm.delay_error = 0;
    /* A refused call changes nothing; then off. */
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, 0, 0, 0);
    modules_hart_enter(&sm.hart[0]);
    sta_is(8, (UINT64_C(3) << 33) + 2);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, ALL, ALL, 0);
    sm.delay += 1;
    modules_hart_enter(&sm.hart[0]);
    sta_is(8, (UINT64_C(3) << 33) + 2);
    /* Again: from nothing. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    sm.delay += 9;
    modules_hart_enter(&sm.hart[0]);
    sta_is(2, 9);
    modules_hart_reset(&sm.hart[0]);
    sm.delay += 1;
    modules_hart_enter(&sm.hart[0]);
    sta_is(2, 9);
    sbi_machine_end();
}

/* A hart that never leaves the guest is called out; the others are left alone. */
static void test_sta_tick(void)
{
    fixture_start();
    sm.hart[0].in_guest = true;
    sm.hart[1].in_guest = true;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        while (!(sm.hart[0].requests & HART_REQ_TICK))
            sched_yield();
        sm.hart[0].requests = 0;
    }
    CU_ASSERT_EQUAL(sm.hart[1].requests, 0);
    sbi_machine_end();
}

static int no_delay_open(struct host *host)
{
    (void)host;
    return -ENOENT;
}

static void test_sta_absent(void)
{
    struct error err = {.status = STATUS_OK};
    struct module_instance inst = {.module = &module_sbi_sta, .vm = &sm.vm};

    fixture_begin();
    int (*delay_open)(struct host *) = sm.host.delay_open;

    sm.host.delay_open = NULL;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    sm.host.delay_open = no_delay_open;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    sm.host.delay_open = delay_open;
    sm.config.deterministic = true;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    CU_ASSERT_EQUAL(sm.nopened, 0);
    sm.config.deterministic = false;
    sm.delay_error = -EIO;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    CU_ASSERT_NOT_EQUAL(strstr(err.text, "sbi-sta"), NULL);
    sbi_machine_end();
}

/* Creates the modules of a kernel start; whether STA is there goes to *there. */
static int modules_try(struct error *err, bool *there)
{
    int rc;

    *err = (struct error){.status = STATUS_OK};
    sm.vm.irq = (struct irq_router){0};
    sm.vm.bus.nclaims = 0;
    rc = modules_create(&sm.vm, err);
    *there = rc == 0 && module_present(&sm.vm, "sbi-sta");
    modules_destroy(&sm.vm);
    return rc;
}

/* What the host cannot do is left out without a word, unless the user asked for it. */
static void test_left_out(void)
{
    struct error err;
    bool there;

    fixture_begin();
    sm.config.start = START_KERNEL;
    CU_ASSERT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_TRUE(there);
    sm.host.delay_open = NULL;
    CU_ASSERT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_FALSE(there);
    CU_ASSERT_EQUAL(err.text[0], '\0');
    sm.config.request[0].name = "sbi-sta";
    sm.config.nrequests = 1;
    CU_ASSERT_NOT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_NOT_EQUAL(strstr(err.text, "sbi-sta"), NULL);
    sbi_machine_end();
}

/* The real host's count is there on Linux, or said not to be; it never falls. */
static void test_host_delay(void)
{
    struct host *host = host_real();
    uint64_t first, second;
    int handle = host->delay_open(host);

    if (handle < 0) {
        CU_ASSERT_EQUAL(handle, -ENOENT);
        return;
    }
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &first), 0);
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &second), 0);
    CU_ASSERT(second >= first);
    host->delay_close(host, handle);
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &second), -EBADF);
}

void suite_sbi3(void)
{
    CU_pSuite s = CU_add_suite("sbi3", NULL, NULL);

    CU_add_test(s, "base: version 3.0 and what is there", test_base);
    CU_add_test(s, "susp: refused", test_susp_refused);
    CU_add_test(s, "susp: comes back where and with what it said", test_susp);
    CU_add_test(s, "fwft: what is absent", test_fwft_absent);
    CU_add_test(s, "fwft: set and get", test_fwft_set);
    CU_add_test(s, "fwft: locks and resets", test_fwft_lock);
    CU_add_test(s, "fwft: the interpreter's features", test_engine_features);
    CU_add_test(s, "fwft: saved and loaded", test_fwft_saved);
    CU_add_test(s, "sta: refused", test_sta_refused);
    CU_add_test(s, "sta: steal time", test_sta);
    CU_add_test(s, "sta: a hart that stays in the guest", test_sta_tick);
    CU_add_test(s, "sta: absent", test_sta_absent);
    CU_add_test(s, "modules: left out", test_left_out);
    CU_add_test(s, "host: delay of threads", test_host_delay);
}
