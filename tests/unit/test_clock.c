/* test_clock.c: guest time against a host clock that the test moves. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/mock_host.h"
#include "tests/unit/suites.h"
#include "vmm/clock.h"

static void test_ticks(void)
{
    struct mock_host mock;
    struct clock clock;
    mock_host_init(&mock);
    clock_init(&clock, &mock.host);
    CU_ASSERT_EQUAL(clock_ticks(&clock), 0);
    mock_advance(&mock, CLOCK_NS_PER_TICK - 1);
    CU_ASSERT_EQUAL(clock_ticks(&clock), 0);
    mock_advance(&mock, 1);
    CU_ASSERT_EQUAL(clock_ticks(&clock), 1);
    mock_advance(&mock, 1000000000);
    CU_ASSERT_EQUAL(clock_ticks(&clock), 10000001);
    /* A host clock that went back never makes guest time huge. */
    mock.now_ns = clock.start_ns - 1;
    CU_ASSERT_EQUAL(clock_ticks(&clock), 0);
    mock_host_destroy(&mock);
}

static void test_deadline(void)
{
    struct mock_host mock;
    struct clock clock;
    mock_host_init(&mock);
    clock_init(&clock, &mock.host);
    uint64_t start = clock.start_ns;
    CU_ASSERT_EQUAL(clock_deadline_ns(&clock, 0), start);
    CU_ASSERT_EQUAL(clock_deadline_ns(&clock, 12345), start + 1234500);
    CU_ASSERT_EQUAL(clock_deadline_ns(&clock, UINT64_MAX), UINT64_MAX);
    CU_ASSERT_EQUAL(clock_deadline_ns(&clock, UINT64_MAX / CLOCK_NS_PER_TICK), UINT64_MAX);
    /* At its deadline, and not 1 ns before, the clock shows the tick. */
    mock.now_ns = clock_deadline_ns(&clock, 777) - 1;
    CU_ASSERT_EQUAL(clock_ticks(&clock), 776);
    mock_advance(&mock, 1);
    CU_ASSERT_EQUAL(clock_ticks(&clock), 777);
    mock_host_destroy(&mock);
}

void suite_clock(void)
{
    CU_pSuite suite = CU_add_suite("clock", NULL, NULL);
    CU_add_test(suite, "ticks of 100 ns since the start", test_ticks);
    CU_add_test(suite, "deadlines in host time", test_deadline);
}
