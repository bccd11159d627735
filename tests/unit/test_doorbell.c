/* test_doorbell.c: calls to Tollgate's services through the MMIO window. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/call.h"

extern const struct module module_doorbell, module_tg_event;

#define BELL    ((gpa_t)PLAT_DOORBELL_BASE)
#define SERVICE (TG_EXT_FIRST + 0x42)

static struct fixture f;

/* A service that answers in every way, by its function. */
static enum call_disp service(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    c->error = -3;
    c->value = c->arg[0] + c->arg[5];
    return (enum call_disp)c->fn;
}

static const struct call_desc calls[] = {
    {.name = "tg.test",
     .personality = CALL_TG,
     .ext = SERVICE,
     .fn = CALL_ANY_FN,
     .handler = service},
 /* Were it reachable, a guest could pass its own firmware. */
    {.name = "sbi.test",
     .personality = CALL_SBI,
     .ext = SBI_EXT_BASE,
     .fn = CALL_ANY_FN,
     .handler = service},
};

static int service_create(struct module_instance *inst, struct error *err)
{
    (void)inst;
    (void)err;
    return 0;
}

static const struct module module_service = {
    .name = "service",
    .calls = calls,
    .ncalls = 2,
    .create = service_create,
};

static enum call_route route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

static void bell_start(void)
{
    fixture_init(&f, START_FIRMWARE, 2, CONSOLE_NONE);
    f.engine.call_route = route;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_doorbell, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_service, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
}

static void bell_end(void)
{
    call_index_destroy(&f.vm);
    fixture_destroy(&f);
}

static void ring(uint64_t ext, uint64_t fn)
{
    fixture_write(&f, BELL + TG_DOORBELL_ARG0, 8, 7);
    fixture_write(&f, BELL + TG_DOORBELL_ARG1, 8, 11);
    fixture_write(&f, BELL + TG_DOORBELL_ARG0 + 40, 8, 100);
    fixture_write(&f, BELL + TG_DOORBELL_FN, 8, fn);
    fixture_write(&f, BELL + TG_DOORBELL_EXT, 8, ext);
    fixture_write(&f, BELL + TG_DOORBELL_RING, 8, 1);
}

static bool answered(int64_t error, uint64_t value)
{
    return fixture_read(&f, BELL + TG_DOORBELL_ARG0, 8) == (uint64_t)error &&
           fixture_read(&f, BELL + TG_DOORBELL_ARG1, 8) == value;
}

static void test_answers(void)
{
    bell_start();
    ring(SERVICE, CALL_RET2);
    CU_ASSERT_TRUE(answered(-3, 107));
    ring(SERVICE, CALL_RET1);
    CU_ASSERT_TRUE(answered(-3, 11));
    ring(SERVICE, CALL_TRAP);
    CU_ASSERT_TRUE(answered(SBI_ERR_FAILED, 0));
    ring(SERVICE, CALL_PASS);
    CU_ASSERT_TRUE(answered(SBI_ERR_NOT_SUPPORTED, 0));
    ring(SERVICE + 1, CALL_RET2);
    CU_ASSERT_TRUE(answered(SBI_ERR_NOT_SUPPORTED, 0));
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 0);
    ring(SERVICE, CALL_PARK);
    CU_ASSERT_TRUE(answered(7, 11)); /* nothing has happened */
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 1);
    fixture_write(&f, BELL + TG_DOORBELL_FN, 8, CALL_RET2);
    fixture_write(&f, BELL + TG_DOORBELL_RING, 8, 0);
    CU_ASSERT_TRUE(answered(-3, 107));
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 0);
    bell_end();
}

static void test_only_services(void)
{
    bell_start();
    ring(SBI_EXT_BASE, CALL_RET2);
    CU_ASSERT_TRUE(answered(SBI_ERR_NOT_SUPPORTED, 0));
    ring(TG_EXT_LAST + 1, CALL_RET2);
    CU_ASSERT_TRUE(answered(SBI_ERR_NOT_SUPPORTED, 0));
    ring(UINT64_MAX, UINT64_MAX);
    CU_ASSERT_TRUE(answered(SBI_ERR_NOT_SUPPORTED, 0));
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    bell_end();
}

static bool never_pending(struct hart *hart)
{
    (void)hart;
    return false;
}

static uint64_t never(struct hart *hart)
{
    (void)hart;
    return UINT64_MAX;
}

static void ring_event(uint64_t fn, uint64_t a)
{
    fixture_write(&f, BELL + TG_DOORBELL_ARG0, 8, a);
    fixture_write(&f, BELL + TG_DOORBELL_ARG1, 8, 0);
    fixture_write(&f, BELL + TG_DOORBELL_FN, 8, fn);
    fixture_write(&f, BELL + TG_DOORBELL_EXT, 8, TG_EXT_EVENT);
    fixture_write(&f, BELL + TG_DOORBELL_RING, 8, 1);
}

/* A wait that is cut short leaves its arguments, for the guest to ring again. */
static void test_wait(void)
{
    const uint64_t ms = 1000000;
    uint64_t id;

    fixture_init(&f, START_FIRMWARE, 2, CONSOLE_NONE);
    f.engine.call_route = route;
    f.engine.irq_pending = never_pending;
    f.engine.timer_deadline = never;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_doorbell, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_tg_event, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    ring_event(TG_EVENT_TIMER, 5 * ms);
    id = fixture_read(&f, BELL + TG_DOORBELL_ARG1, 8);
    CU_ASSERT(id != 0 && answered(SBI_SUCCESS, id));
    atomic_store(&f.hart[0].requests, HART_REQ_STOP);
    ring_event(TG_EVENT_WAIT, TG_EVENT_FOREVER);
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 1);
    CU_ASSERT_TRUE(answered((int64_t)TG_EVENT_FOREVER, 0));
    mock_advance(&f.mock, 5 * ms);
    fixture_write(&f, BELL + TG_DOORBELL_RING, 8, 1);
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 0);
    CU_ASSERT_TRUE(answered(SBI_SUCCESS, id));
    ring_event(TG_EVENT_ACK, id);
    CU_ASSERT_TRUE(answered(SBI_SUCCESS, 1));
    /* Nothing else has happened, and the time is there. */
    ring_event(TG_EVENT_WAIT, 5 * ms);
    CU_ASSERT_EQUAL(fixture_read(&f, BELL + TG_DOORBELL_RING, 8), 0);
    CU_ASSERT_TRUE(answered(SBI_SUCCESS, 0));
    bell_end();
}

static void test_exit(void)
{
    bell_start();
    ring(TG_EXT_EXIT, TG_EXIT_STOP);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, 7);
    CU_ASSERT_EQUAL(f.vm.stop.hart, 0);
    bell_end();
}

/* Each hart has its own registers. */
static void test_banks(void)
{
    uint64_t value = 55;

    bell_start();
    fixture_write(&f, BELL, 8, 44);
    CU_ASSERT_EQUAL(bus_access(&f.vm, &f.hart[1], BELL, 8, true, &value), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, BELL, 8), 44);
    CU_ASSERT_EQUAL(bus_access(&f.vm, &f.hart[1], BELL, 8, false, &value), 0);
    CU_ASSERT_EQUAL(value, 55);
    for (gpa_t at = TG_DOORBELL_RING + 8; at < PLAT_DOORBELL_SIZE; at += 8) {
        fixture_write(&f, BELL + at, 8, 1);
        CU_ASSERT_EQUAL_FATAL(fixture_read(&f, BELL + at, 8), 0);
    }
    CU_ASSERT_TRUE(fixture_refused(&f, BELL, 4));
    module_doorbell.reset(f.inst[0].self);
    CU_ASSERT_EQUAL(fixture_read(&f, BELL, 8), 0);
    const void *fdt = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fdt);
    int node = fdt_path_offset(fdt, "/doorbell@102000");
    CU_ASSERT_TRUE_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(fdt, node, "tollgate,doorbell"), 0);
    bell_end();
}

void suite_doorbell(void)
{
    CU_pSuite suite = CU_add_suite("doorbell", NULL, NULL);

    CU_add_test(suite, "answers", test_answers);
    CU_add_test(suite, "Tollgate's services only", test_only_services);
    CU_add_test(suite, "a wait that is parked", test_wait);
    CU_add_test(suite, "exit", test_exit);
    CU_add_test(suite, "a bank for each hart", test_banks);
}
