/* test_sbi_pmu.c: the rules of SBI PMU, through the call wrapper. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "tests/unit/sbi_machine.h"
#include "tests/unit/suites.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/le.h"

/* Logical counters: the hardware's and the firmware's. */
#define FW          11
#define NCOUNTERS   27
#define FW_MASK     0x7fff800u
#define HW_MASK     0x5u
#define EVENT_HW(n) SBI_PMU_EVENT(SBI_PMU_TYPE_HW, n)
#define EVENT_FW(n) SBI_PMU_EVENT(SBI_PMU_TYPE_FW, n)

extern const struct module module_sbi_time, module_sbi_ipi, module_sbi_rfence,
    module_sbi_legacy, module_sbi_pmu;

static void fixture_start(void)
{
    static const struct module_option snapshot = {"snapshot", ""};
    static const struct module *const others[] = {
        &module_sbi_time,
        &module_sbi_ipi,
        &module_sbi_rfence,
        &module_sbi_legacy,
    };

    sbi_machine_begin(host_real()->now_ns);
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        sbi_machine_add(others[i], NULL, 0);
    sbi_machine_add(&module_sbi_pmu, &snapshot, 1);
    sbi_machine_start();
}

static void test_engine_counters(void)
{
    struct hart *hart = &sm.hart[0];
    struct hart_state state;

    sbi_machine_begin(host_real()->now_ns);
    sm.config.max_steps = ALL;
    CU_ASSERT_EQUAL_FATAL(engine_interp.hart_create(hart), 0);
    for (unsigned i = CYCLE; i <= INSTRET; i += 2) {
        engine_interp.counter_set(hart, i, 1000 + i, false);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.mcountinhibit, 1u << i);
        CU_ASSERT_EQUAL(engine_interp.counter_get(hart, i), 1000 + i);
        engine_interp.counter_set(hart, i, ALL - 5, true);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.mcountinhibit, 0);
        CU_ASSERT_EQUAL(engine_interp.counter_get(hart, i), ALL - 5);
    }
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), ALL - 5);
    engine_interp.cycles_add(hart, 3);
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), ALL - 2);
    engine_interp.counter_set(hart, CYCLE, 7, false);
    engine_interp.cycles_add(hart, 3); /* it is kept still */
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), 7);
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, INSTRET), ALL - 5);
    engine_interp.hart_destroy(hart);
    sbi_machine_end();
}

#define PMU(wanted, fn, ...) EXPECT_CALL(wanted, SBI_EXT_PMU, fn, __VA_ARGS__)

/* Configures one counter of a set; it must be `wanted`. */
static void configure(unsigned wanted, uint64_t base, uint64_t mask, uint64_t flags,
                      uint64_t event)
{
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_CONFIG_MATCHING, base, mask, flags, event, 0);
    sbi_machine_expect(SBI_SUCCESS, wanted);
}

static void fw_is(unsigned counter, uint64_t value)
{
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_FW_READ, counter);
    sbi_machine_expect(SBI_SUCCESS, value);
}

static void timers_set(unsigned n)
{
    while (n-- > 0)
        CALL(SBI_EXT_TIME, SBI_TIME_SET_TIMER, 1);
}

static void test_pmu_info(void)
{
    fixture_start();
    CALL(SBI_EXT_PMU, SBI_PMU_NUM_COUNTERS, 0);
    sbi_machine_expect(SBI_SUCCESS, NCOUNTERS);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, CYCLE);
    sbi_machine_expect(SBI_SUCCESS, 0xc00 | 63 << 12);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, INSTRET);
    sbi_machine_expect(SBI_SUCCESS, 0xc02 | 63 << 12);
    for (uint64_t i = FW; i < NCOUNTERS; i++) {
        CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, i);
        CU_ASSERT_EQUAL(sm.c.error, SBI_SUCCESS);
        CU_ASSERT_EQUAL(sm.c.value >> 63, 1);
    }
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, 1); /* time is no counter */
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, NCOUNTERS);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, 64);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, UINT64_C(1) << 32);
    /* An engine whose counters cannot be stopped offers none. */
    sm.engine.counter_set = NULL;
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, CYCLE);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 1, 0, EVENT_HW(1), 0);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, FW);
    CU_ASSERT_EQUAL(sm.c.error, SBI_SUCCESS);
    sbi_machine_end();
}

static void test_pmu_sets(void)
{
    static const struct {
        uint64_t base, mask;
    } bad[] = {
        {0,         2                },
        {1,         1                },
        {0,         7                },
        {NCOUNTERS, 1                },
        {FW,        1u << 16         },
        {FW,        ALL              },
        {63,        1                },
        {64,        1                },
        {ALL,       1                },
        {ALL,       2                },
        {0,         UINT64_C(1) << 63},
        {3,         UINT64_C(1) << 61}, /* would wrap around to counter 0 */
    };

    fixture_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, bad[i].base, bad[i].mask, 0,
            EVENT_FW(5), 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, bad[i].base, bad[i].mask, 0, 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_STOP, bad[i].base, bad[i].mask, 0);
    }
    /* Of an empty set nothing is invalid, and nobody is found in it. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 99, 0, 0, EVENT_FW(5), 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 0, 1, EVENT_FW(5), 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 99, 0, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, ALL, 0, 0);
    sbi_machine_end();
}

static void test_pmu_events(void)
{
    static const uint64_t never[] = {
        0, /* no event */
        EVENT_HW(0),
        EVENT_HW(3),
        EVENT_HW(10),
        EVENT_HW(11),
        EVENT_HW(0xffff),
        SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0),
        SBI_PMU_EVENT(SBI_PMU_TYPE_RAW, 0),
        SBI_PMU_EVENT(SBI_PMU_TYPE_RAW_V2, 0),
        SBI_PMU_EVENT(4, 5),
        SBI_PMU_EVENT(14, 5),
        EVENT_FW(0),
        EVENT_FW(4),
        EVENT_FW(14),
        EVENT_FW(21),
        EVENT_FW(22),
        EVENT_FW(256),
        EVENT_FW(SBI_PMU_FW_PLATFORM),
        EVENT_FW(5) | 1 << 20,
        EVENT_HW(1) | UINT64_C(1) << 32,
        EVENT_FW(5) | UINT64_C(1) << 63,
        ALL,
    };

    fixture_start();
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, FW_MASK | HW_MASK, 0,
            never[i], 0);
    /* event_data is reserved with all that are there. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 1, 0, EVENT_HW(1), 1);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 1, 0, EVENT_FW(5), 1);
    /* Who cannot count it. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, FW_MASK | 4, 0, EVENT_HW(1),
        0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, HW_MASK, 0, EVENT_FW(5), 0);
    configure(CYCLE, 0, HW_MASK | FW_MASK, 0, EVENT_HW(SBI_PMU_HW_CPU_CYCLES));
    configure(INSTRET, 0, HW_MASK | FW_MASK, 0, EVENT_HW(SBI_PMU_HW_INSTRUCTIONS));
    for (unsigned i = SBI_PMU_FW_SET_TIMER; i <= SBI_PMU_FW_SFENCE_VMA_ASID_RECEIVED; i++)
        configure(FW + i - SBI_PMU_FW_SET_TIMER, 0, HW_MASK | FW_MASK, 0, EVENT_FW(i));
    sbi_machine_end();
}

static void test_pmu_matching(void)
{
    fixture_start();
    for (unsigned bit = 8; bit < 64; bit++)
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 1, UINT64_C(1) << bit,
            EVENT_FW(5), 0);
    /* Filters are hints. */
    configure(FW, FW, 3, 0xf8, EVENT_FW(5));
    configure(FW + 1, FW, 3, 0, EVENT_FW(5));
    /* All taken, none started: the first is configured anew. */
    configure(FW, FW, 3, 0, EVENT_FW(6));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    configure(FW + 1, FW, 3, 0, EVENT_FW(7));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 2, 0, 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 3, 0, EVENT_FW(5), 0);
    /* Without matching: the first of the set, or nobody. */
    configure(FW + 4, FW + 4, 3, SBI_PMU_CFG_SKIP_MATCH, EVENT_FW(5));
    configure(FW + 4, FW + 4, 3, SBI_PMU_CFG_SKIP_MATCH, EVENT_FW(6));
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 5, SBI_PMU_CFG_SKIP_MATCH,
        EVENT_HW(2), 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 7, SBI_PMU_CFG_SKIP_MATCH,
        EVENT_FW(5), 0);
    sbi_machine_end();
}

static void test_pmu_hardware(void)
{
    fixture_start();
    sm.counter[CYCLE] = 1234;
    configure(CYCLE, 0, 1, 0, EVENT_HW(1));
    CU_ASSERT_FALSE(sm.counts[CYCLE]);
    CU_ASSERT_EQUAL(sm.counter[CYCLE], 1234);
    CU_ASSERT_TRUE(sm.counts[INSTRET]);
    configure(CYCLE, 0, 1, SBI_PMU_CFG_CLEAR_VALUE, EVENT_HW(1));
    CU_ASSERT_EQUAL(sm.counter[CYCLE], 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 0, 1, SBI_PMU_START_SET_INIT_VALUE, ALL - 9);
    CU_ASSERT_TRUE(sm.counts[CYCLE]);
    CU_ASSERT_EQUAL(sm.counter[CYCLE], ALL - 9);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 1, SBI_PMU_START_SET_INIT_VALUE, 5);
    CU_ASSERT_EQUAL(sm.counter[CYCLE], ALL - 9);
    sm.counter[CYCLE] = 77;
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1, 0);
    CU_ASSERT_FALSE(sm.counts[CYCLE]);
    CU_ASSERT_EQUAL(sm.counter[CYCLE], 77);
    /* The value that start finds without a flag. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 0, 1, 0, 5);
    CU_ASSERT_EQUAL(sm.counter[CYCLE], 77);
    /* Without its event it counts freely again. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1, SBI_PMU_STOP_RESET);
    CU_ASSERT_TRUE(sm.counts[CYCLE]);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, 0, 1, 0, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, 0, 1, SBI_PMU_STOP_RESET);
    CU_ASSERT_TRUE(sm.counts[CYCLE]);
    /* Started at once, its value kept. */
    configure(INSTRET, 0, 4, SBI_PMU_CFG_AUTO_START, EVENT_HW(2));
    CU_ASSERT_TRUE(sm.counts[INSTRET]);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 4, 0, 0);
    sbi_machine_end();
}

static void test_pmu_firmware(void)
{
    fixture_start();
    configure(FW, 0, FW_MASK, 0, EVENT_FW(SBI_PMU_FW_SET_TIMER));
    timers_set(3);
    fw_is(FW, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    timers_set(4);
    fw_is(FW, 4);
    CALL(SBI_EXT_LEGACY_SET_TIMER, 0, 9);
    fw_is(FW, 5);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    timers_set(2);
    fw_is(FW, 5);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    timers_set(1);
    fw_is(FW, 6);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_RESET);
    configure(FW, FW, 1, 0, EVENT_FW(SBI_PMU_FW_SET_TIMER)); /* keeps the value */
    fw_is(FW, 6);
    configure(FW, FW, 1, SBI_PMU_CFG_CLEAR_VALUE | SBI_PMU_CFG_AUTO_START,
              EVENT_FW(SBI_PMU_FW_SET_TIMER));
    timers_set(2);
    fw_is(FW, 2);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_FW_READ_HI, FW);
    static const uint64_t bad[] = {CYCLE, 1, INSTRET, NCOUNTERS, ALL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_FW_READ, bad[i]);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_FW_READ_HI, bad[i]);
    }
    /* Another hart's counters are its own. */
    sm.self = 1;
    fw_is(FW, 0);
    sbi_machine_end();
}

static void test_pmu_start_stop(void)
{
    fixture_start();
    for (unsigned bit = 2; bit < 64; bit++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 0, UINT64_C(1) << bit, 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_STOP, FW, 0, UINT64_C(1) << bit);
    }
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 0, 3, 0); /* mutually exclusive */
    configure(FW, FW, 1, 0, EVENT_FW(5));
    configure(FW + 1, FW, 2, 0, EVENT_FW(5));
    /* One that counts nothing: none starts. */
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 7, 0, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 3, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, SBI_PMU_START_SET_INIT_VALUE, 100);
    /* One that is started already: the other starts. */
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, FW, 3, SBI_PMU_START_SET_INIT_VALUE,
        200);
    timers_set(1);
    fw_is(FW, 101);
    fw_is(FW + 1, 201);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW + 1, 1, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 3, 0);
    timers_set(1);
    fw_is(FW, 101);
    fw_is(FW + 1, 201);
    sbi_machine_end();
}

/* Counts a pair of events: what hart 0 sends and hart 1 receives. */
static void expect_pair(unsigned sent, unsigned n)
{
    CU_ASSERT_EQUAL(sm.hart[0].events[sent], n);
    CU_ASSERT_EQUAL(sm.hart[0].events[sent + 1], 0);
    CU_ASSERT_EQUAL(sm.hart[1].events[sent], 0);
    CU_ASSERT_EQUAL(sm.hart[1].events[sent + 1], n);
}

static void test_pmu_counted(void)
{
    fixture_start();
    /* To itself and to a stopped hart: neither is another hart that receives an IPI. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 5, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_IPI, 0, 15, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 0);
    CU_ASSERT_EQUAL(sm.hart[2].events[SBI_PMU_FW_IPI_RECEIVED], 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 0, ALL);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 2, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 2);
    CALL(SBI_EXT_LEGACY_SEND_IPI, 0, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 3);

    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 3, 0);
    expect_pair(SBI_PMU_FW_FENCE_I_SENT, 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0, 4096);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 4096, 0); /* none */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 1, 0, 0, 4096);
    expect_pair(SBI_PMU_FW_SFENCE_VMA_SENT, 1);
    for (unsigned i = 0; i < 2; i++)
        EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 2, 0, 0, 0, 1);
    expect_pair(SBI_PMU_FW_SFENCE_VMA_ASID_SENT, 2);
    expect_pair(SBI_PMU_FW_FENCE_I_SENT, 1);

    /* A counter of what the other hart sends. */
    sm.self = 1;
    configure(FW, 0, FW_MASK, SBI_PMU_CFG_AUTO_START, EVENT_FW(SBI_PMU_FW_IPI_RECEIVED));
    sm.self = 0;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 2, 0);
    sm.self = 1;
    fw_is(FW, 1);
    sbi_machine_end();
}

#define SNAPSHOT (RAM + 0x2000)

static void test_pmu_shmem(void)
{
    fixture_start();
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, ALL, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT + 64, 0, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, RAM - 4096, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, RAM + RAM_SIZE, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, ALL, 0);
    configure(FW, FW, 1, 0, EVENT_FW(5));
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_START, FW, 1, SBI_PMU_START_INIT_SNAPSHOT, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, ALL, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    sbi_machine_end();
}

static void test_pmu_snapshot(void)
{
    fixture_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    for (unsigned i = 0; i < 66; i++)
        sbi_machine_set_word(SNAPSHOT + 8 * i, 0xa0 + i);
    configure(FW + 1, FW + 1, 1, 0, EVENT_FW(5));
    configure(FW + 3, FW + 3, 1, 0, EVENT_FW(5));
    /* Values are relative to the base: bits 1 and 3 of FW. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 10, SBI_PMU_START_INIT_SNAPSHOT, 0);
    timers_set(0x10);
    fw_is(FW + 1, 0xa2 + 0x10);
    fw_is(FW + 3, 0xa4 + 0x10);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT), 0xa0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW + 1, 5,
        SBI_PMU_STOP_TAKE_SNAPSHOT | SBI_PMU_STOP_RESET);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT), 0); /* no overflow is ever told */
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 8), 0xa2 + 0x10);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 16), 0xa2);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 24), 0xa4 + 0x10);
    for (unsigned i = 4; i < 66; i++)
        CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 8 * i), 0xa0 + i);
    /* The last counter, and one of hardware. */
    configure(NCOUNTERS - 1, NCOUNTERS - 1, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(5));
    timers_set(1);
    sm.counter[CYCLE] = 4321;
    configure(CYCLE, 0, 1, SBI_PMU_CFG_AUTO_START, EVENT_HW(1));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1 << (NCOUNTERS - 1) | 1,
        SBI_PMU_STOP_TAKE_SNAPSHOT);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 8), 4321);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 8 * NCOUNTERS), 1);
    sbi_machine_end();
}

#define INFO (RAM + 0x1000)

static void info_put(unsigned i, uint32_t event, uint64_t data)
{
    sbi_machine_set_word(INFO + 16 * i, (uint64_t)0xfffffff7 << 32 | event);
    sbi_machine_set_word(INFO + 16 * i + 8, data);
}

static void test_pmu_event_info(void)
{
    static const struct {
        uint32_t event;
        uint64_t data;
        unsigned supported;
    } entry[] = {
        {EVENT_HW(1),                      0,    1                            },
        {EVENT_HW(1),                      1234, 1                            }, /* its data is not valid */
        {EVENT_HW(2),                      0,    1                            },
        {EVENT_HW(3),                      0,    0                            },
        {SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0),   0,                             0},
        {SBI_PMU_EVENT(SBI_PMU_TYPE_RAW,                                0),       0,   0},
        {EVENT_FW(SBI_PMU_FW_SET_TIMER),                               0,                                   1                                },
        {EVENT_FW(SBI_PMU_FW_SET_TIMER),                               1, 0},
        {EVENT_FW(SBI_PMU_FW_ILLEGAL_INSN),                               0,                                   0                                                               },
        {EVENT_FW(SBI_PMU_FW_PLATFORM),                               0, 0},
    };
    unsigned n = sizeof(entry) / sizeof(entry[0]);

    fixture_start();
    for (unsigned i = 0; i < n; i++)
        info_put(i, entry[i].event, entry[i].data);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, n, 0);
    for (unsigned i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(sbi_machine_word(INFO + 16 * i),
                        (uint64_t)entry[i].supported << 32 | entry[i].event);
        CU_ASSERT_EQUAL(sbi_machine_word(INFO + 16 * i + 8), entry[i].data);
    }
    /* A reserved bit anywhere: nothing is answered. */
    for (unsigned i = 0; i < n; i++)
        info_put(i, entry[i].event, 0);
    info_put(n - 1, EVENT_HW(1) | 1 << 20, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO, 0, n, 0);
    CU_ASSERT_EQUAL(sbi_machine_word(INFO) >> 32, 0xfffffff7);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, n - 1, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO, 0, 1, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO + 8, 0, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 1, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, RAM - 16, 0, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, RAM + RAM_SIZE - 16, 0, 2, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, ALL, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, UINT64_C(1) << 60, 0);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, 0, 0);
    /* More than one crossing may copy, though it is there. */
    PMU(SBI_ERR_FAILED, SBI_PMU_EVENT_GET_INFO, RAM, 0, CALL_BUF_MAX / 16 + 1, 0);
    sbi_machine_end();
}

static void test_pmu_reset(void)
{
    fixture_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    configure(CYCLE, 0, 1, 0, EVENT_HW(1));
    configure(FW, FW, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(5));
    timers_set(3);
    modules_hart_reset(&sm.hart[0]);
    CU_ASSERT_TRUE(sm.counts[CYCLE]);
    fw_is(FW, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    sbi_machine_end();
}

static void test_pmu_saved(void)
{
    fixture_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    configure(FW, FW, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(SBI_PMU_FW_SET_TIMER));
    configure(CYCLE, 0, 1, SBI_PMU_CFG_AUTO_START, EVENT_HW(1));
    timers_set(7);
    sbi_machine_save("sbi-pmu");
    sbi_machine_end();
    fixture_start();
    CU_ASSERT_EQUAL(sbi_machine_load("sbi-pmu"), 0);
    fw_is(FW, 7);
    timers_set(2);
    fw_is(FW, 9);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 1, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    CU_ASSERT_EQUAL(sbi_machine_word(SNAPSHOT + 8), 9);
    /* The shared memory, then event, its data, state and value of counter 0. */
    static const struct {
        unsigned at;
        uint64_t value;
    } bad[] = {
        {0,  64            },
        {0,  RAM + RAM_SIZE},
        {8,  EVENT_HW(2)   },
        {8,  1ull << 32    },
        {16, 1             },
        {24, 2             },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t old[8];

        memcpy(old, sbi_saved.bytes + bad[i].at, 8);
        le_put64(sbi_saved.bytes + bad[i].at, bad[i].value);
        CU_ASSERT_NOT_EQUAL(sbi_machine_load("sbi-pmu"), 0);
        memcpy(sbi_saved.bytes + bad[i].at, old, 8);
    }
    sbi_saved.len--;
    CU_ASSERT_NOT_EQUAL(sbi_machine_load("sbi-pmu"), 0);
    sbi_machine_end();
}

void suite_sbi_pmu(void)
{
    CU_pSuite s = CU_add_suite("sbi_pmu", NULL, NULL);

    CU_add_test(s, "pmu: the interpreter's counters", test_engine_counters);
    CU_add_test(s, "pmu: counters and their details", test_pmu_info);
    CU_add_test(s, "pmu: sets of counters", test_pmu_sets);
    CU_add_test(s, "pmu: events", test_pmu_events);
    CU_add_test(s, "pmu: finding a counter", test_pmu_matching);
    CU_add_test(s, "pmu: cycle and instret", test_pmu_hardware);
    CU_add_test(s, "pmu: firmware counters", test_pmu_firmware);
    CU_add_test(s, "pmu: start and stop", test_pmu_start_stop);
    CU_add_test(s, "pmu: what is counted", test_pmu_counted);
    CU_add_test(s, "pmu: shared memory", test_pmu_shmem);
    CU_add_test(s, "pmu: snapshots", test_pmu_snapshot);
    CU_add_test(s, "pmu: details of events", test_pmu_event_info);
    CU_add_test(s, "pmu: a hart that starts anew", test_pmu_reset);
    CU_add_test(s, "pmu: saved and loaded", test_pmu_saved);
}
