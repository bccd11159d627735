/* pmu.c: the performance monitoring unit (SBI 3.0, section 11). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"

#define JUNK     0xdeadbeefcafef00d
#define CYCLE    0
#define INFO_CSR 0xfff
#define INFO_FW  (1ul << 63)

#define EVENT_CYCLES SBI_PMU_EVENT(SBI_PMU_TYPE_HW, SBI_PMU_HW_CPU_CYCLES)
#define EVENT_TIMER  SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_SET_TIMER)

/* Firmware counters among the first sixty-four, as a mask. */
static uint64_t fw_counters(void)
{
    uint64_t n = sbi_call(SBI_EXT_PMU, SBI_PMU_NUM_COUNTERS, 0, 0, 0).value, mask = 0;

    for (uint64_t i = 0; i < n && i < 64; i++) {
        struct sbi_ret ret = sbi_call(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, i, 0, 0);

        if (ret.error == SBI_SUCCESS && (ret.value & INFO_FW))
            mask |= 1ul << i;
    }
    return mask;
}

/* A call of PMU that may end in a set of ways. */
static struct sbi_ret pmu(const char *name, uint32_t may, uint64_t fn, uint64_t a, uint64_t b,
                          uint64_t c, uint64_t d)
{
    const struct attempt attempt = {
        name, may, SBI_EXT_PMU, fn, {a, b, c, d, 0, JUNK}
    };

    return fact_call(&attempt);
}

static void info_test(void)
{
    uint64_t n = pmu("pmu: number of counters", OK, SBI_PMU_NUM_COUNTERS, 0, 0, 0, 0).value;
    uint64_t info;

    fact(n >= 3, "pmu: there are some");
    info =
        pmu("pmu: details of counter 0", OK, SBI_PMU_COUNTER_GET_INFO, CYCLE, JUNK, JUNK, JUNK)
            .value;
    fact(!(info & INFO_FW) && (info & INFO_CSR) == 0xc00, "pmu: it is cycle");
    pmu("pmu: details of no counter", BAD_PARAM, SBI_PMU_COUNTER_GET_INFO, n, 0, 0, 0);
    pmu("pmu: details of counter -1", BAD_PARAM, SBI_PMU_COUNTER_GET_INFO, ~0ul, 0, 0, 0);
    fact(fw_counters() != 0, "pmu: some belong to the firmware");
}

static uint64_t fw_read(uint64_t counter)
{
    return sbi_call(SBI_EXT_PMU, SBI_PMU_COUNTER_FW_READ, counter, 0, 0).value;
}

static void timers_set(unsigned n)
{
    while (n-- > 0)
        sbi_call(SBI_EXT_TIME, SBI_TIME_SET_TIMER, ~0ul, 0, 0);
}

static void firmware_test(uint64_t mask)
{
    struct attempt again = {
        "pmu: start of one that runs", STARTED, SBI_EXT_PMU, SBI_PMU_COUNTER_START, {0, 1}
    };
    struct attempt stopped = {
        "pmu: stop of one that stands", STOPPED, SBI_EXT_PMU, SBI_PMU_COUNTER_STOP, {0, 1}
    };
    uint64_t i = pmu("pmu: a counter for set_timer", OK, SBI_PMU_COUNTER_CONFIG_MATCHING, 0,
                     mask, SBI_PMU_CFG_CLEAR_VALUE, EVENT_TIMER)
                     .value;

    fact(i < 64 && (mask >> i & 1), "pmu: it is one of the set");
    pmu("pmu: it starts", OK, SBI_PMU_COUNTER_START, i, 1, SBI_PMU_START_SET_INIT_VALUE, 100);
    timers_set(3);
    fact(fw_read(i) == 103, "pmu: it counts from its initial value");
    again.arg[0] = stopped.arg[0] = i;
    fact_risky(&again);
    fact(pmu("pmu: its upper half", OK, SBI_PMU_COUNTER_FW_READ_HI, i, 0, 0, 0).value == 0,
         "pmu: its upper half: is zero");
    pmu("pmu: it stops", OK, SBI_PMU_COUNTER_STOP, i, 1, 0, 0);
    timers_set(1);
    fact(fw_read(i) == 103, "pmu: it stands");
    fact_risky(&stopped);
    pmu("pmu: it starts again", OK, SBI_PMU_COUNTER_START, i, 1, 0, JUNK);
    timers_set(2);
    fact(fw_read(i) == 105, "pmu: it goes on from where it stood");
    pmu("pmu: it is released", OK, SBI_PMU_COUNTER_STOP, i, 1, SBI_PMU_STOP_RESET, 0);
    pmu("pmu: read of cycle as a firmware counter", BAD_PARAM, SBI_PMU_COUNTER_FW_READ, CYCLE,
        0, 0, 0);
    pmu("pmu: read of no counter", BAD_PARAM, SBI_PMU_COUNTER_FW_READ, ~0ul, 0, 0, 0);
}

static bool cycle_moves(void)
{
    uint64_t before = csr_read(cycle);

    time_spin(100);
    return csr_read(cycle) != before;
}

static void hardware_test(void)
{
    pmu("pmu: a counter for cycles", OK | STARTED, SBI_PMU_COUNTER_CONFIG_MATCHING, CYCLE, 1,
        SBI_PMU_CFG_CLEAR_VALUE | SBI_PMU_CFG_AUTO_START, EVENT_CYCLES);
    fact(cycle_moves(), "pmu: cycle moves");
    pmu("pmu: cycle is stopped", OK, SBI_PMU_COUNTER_STOP, CYCLE, 1, 0, 0);
    fact(!cycle_moves(), "pmu: cycle stands");
    pmu("pmu: cycle is started", OK, SBI_PMU_COUNTER_START, CYCLE, 1,
        SBI_PMU_START_SET_INIT_VALUE, 1ul << 40);
    fact(csr_read(cycle) >> 40 == 1, "pmu: cycle has its initial value");
    fact(cycle_moves(), "pmu: cycle moves again");
}

static void refused_test(void)
{
    uint64_t fn = SBI_PMU_COUNTER_CONFIG_MATCHING;
    const struct attempt list[] = {
        {"pmu: an event that is none",             BAD_PARAM | ABSENT, SBI_EXT_PMU, fn, {0, 1, 0, 0}              },
        {"pmu: a firmware event that is reserved",
         BAD_PARAM | ABSENT,
         SBI_EXT_PMU,                                                               fn,
         {0, 1, 0, SBI_PMU_EVENT(SBI_PMU_TYPE_FW, 100)}                                                           },
        {"pmu: a set past all counters",
         BAD_PARAM,                                                    SBI_EXT_PMU,
         fn,                                                                            {1000, 1, 0, EVENT_CYCLES}},
        {"pmu: start past all counters",
         BAD_PARAM,                                                    SBI_EXT_PMU,
         SBI_PMU_COUNTER_START,                                                         {1000, 1, 0, 0}           },
        {"pmu: stop past all counters",
         BAD_PARAM,                                                    SBI_EXT_PMU,
         SBI_PMU_COUNTER_STOP,                                                          {1000, 1, 0, 0}           },
    };
    const struct attempt risky[] = {
        {"pmu: a reserved flag",
         BAD_PARAM, SBI_EXT_PMU,
         fn,                    {CYCLE, 1, 1ul << 8, EVENT_CYCLES}},
        {"pmu: start with a reserved flag",
         BAD_PARAM, SBI_EXT_PMU,
         SBI_PMU_COUNTER_START, {CYCLE, 1, 4, 0}                  },
        {"pmu: stop with a reserved flag",
         BAD_PARAM, SBI_EXT_PMU,
         SBI_PMU_COUNTER_STOP,  {CYCLE, 1, 4, 0}                  },
    };

    fact_calls(list, sizeof(list) / sizeof(list[0]));
    for (unsigned i = 0; i < sizeof(risky) / sizeof(risky[0]); i++)
        fact_risky(&risky[i]);
}

static uint64_t shared[512] __attribute__((aligned(4096)));

/* Turns the snapshot on; false where the function is absent. */
static bool snapshot_on(void)
{
    return sbi_call(SBI_EXT_PMU, SBI_PMU_SNAPSHOT_SET_SHMEM, (uintptr_t)shared, 0, 0).error ==
           SBI_SUCCESS;
}

static void snapshot_test(uint64_t mask)
{
    uint64_t fn = SBI_PMU_SNAPSHOT_SET_SHMEM, at = (uintptr_t)shared;
    uint64_t i;

    optional_function(snapshot_on());
    pmu("pmu: snapshot with a flag", BAD_PARAM, fn, at, 0, 1, 0);
    pmu("pmu: snapshot off its page", BAD_PARAM, fn, at + 64, 0, 0, 0);
    pmu("pmu: snapshot past memory", BAD_ADDR | FAILED, fn, memory_end, 0, 0, 0);
    i = pmu("pmu: snapshot: a counter", OK, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, mask, 0,
            EVENT_TIMER)
            .value;
    shared[0] = JUNK;
    shared[1] = 1000;
    shared[2] = JUNK;
    pmu("pmu: snapshot: starts from it", OK, SBI_PMU_COUNTER_START, i, 1,
        SBI_PMU_START_INIT_SNAPSHOT, 0);
    timers_set(5);
    pmu("pmu: snapshot: is taken", OK, SBI_PMU_COUNTER_STOP, i, 1,
        SBI_PMU_STOP_TAKE_SNAPSHOT | SBI_PMU_STOP_RESET, 0);
    fact(*(volatile uint64_t *)&shared[1] == 1005, "pmu: snapshot: holds the value");
    fact(*(volatile uint64_t *)&shared[0] == 0, "pmu: snapshot: tells of no overflow");
    fact(*(volatile uint64_t *)&shared[2] == JUNK, "pmu: snapshot: leaves others alone");
    pmu("pmu: snapshot off", OK, fn, ~0ul, ~0ul, 0, 0);
    pmu("pmu: snapshot: is off", NO_SHMEM, SBI_PMU_COUNTER_STOP, i, 1,
        SBI_PMU_STOP_TAKE_SNAPSHOT, 0);
    optional_function(true);
}

/* An entry of event_get_info: event_idx and output in one word, event_data in the other. */
static void events_test(void)
{
    uint64_t fn = SBI_PMU_EVENT_GET_INFO, at = (uintptr_t)shared;

    optional_function(sbi_call(SBI_EXT_PMU, fn, at, 0, 0).error != SBI_ERR_NOT_SUPPORTED);
    shared[0] = ~0ul << 32 | EVENT_CYCLES;
    shared[1] = shared[3] = 0;
    shared[2] = ~0ul << 32 | SBI_PMU_EVENT(SBI_PMU_TYPE_FW, 100);
    pmu("pmu: details of events", OK, fn, at, 0, 2, 0);
    fact(*(volatile uint64_t *)&shared[0] == (1ul << 32 | EVENT_CYCLES),
         "pmu: cycles are supported");
    fact(*(volatile uint64_t *)&shared[2] >> 32 == 0, "pmu: a reserved event is not");
    pmu("pmu: details with a flag", BAD_PARAM, fn, at, 0, 1, 1);
    pmu("pmu: details off their alignment", BAD_PARAM, fn, at + 8, 0, 1, 0);
    pmu("pmu: details past memory", BAD_ADDR | FAILED, fn, memory_end, 0, 1, 0);
    shared[0] = 1ul << 20 | EVENT_CYCLES;
    pmu("pmu: details of an event with a reserved bit", BAD_PARAM, fn, at, 0, 1, 0);
    optional_function(true);
}

void probe_pmu(void)
{
    uint64_t mask;

    optional_begin("pmu", SBI_EXT_PMU);
    mask = fw_counters();
    info_test();
    if (sbi_present(SBI_EXT_TIME)) {
        firmware_test(mask);
        snapshot_test(mask);
    }
    hardware_test();
    refused_test();
    events_test();
    optional_end();
}
