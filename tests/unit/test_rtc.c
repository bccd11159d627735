/* test_rtc.c: the real-time clock and the entropy device. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include <sched.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"

extern const struct module module_plic, module_goldfish_rtc, module_virtio_rng;

#define RTC    ((gpa_t)PLAT_RTC_BASE)
#define SECOND UINT64_C(1000000000)

static struct fixture f;

static void rtc_start(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_plic, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_goldfish_rtc, NULL, NULL), 0);
    fixture_write(&f, PLAT_PLIC_BASE + 4 * PLAT_RTC_IRQ, 4, 1);
    fixture_write(&f, PLAT_PLIC_BASE + 0x2080, 4, 1u << PLAT_RTC_IRQ);
}

static uint64_t rtc_time(void)
{
    uint64_t low = fixture_read(&f, RTC, 4);

    return fixture_read(&f, RTC + 4, 4) << 32 | low;
}

static void rtc_alarm(uint64_t at)
{
    fixture_write(&f, RTC + 0x0c, 4, at >> 32);
    fixture_write(&f, RTC + 0x08, 4, (uint32_t)at);
}

/* What a kernel does about the interrupt; it must be gone after that. */
static void rtc_serve(void)
{
    gpa_t claim = PLAT_PLIC_BASE + 0x201004;

    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(fixture_read(&f, claim, 4), PLAT_RTC_IRQ);
    fixture_write(&f, RTC + 0x1c, 4, 1);
    fixture_write(&f, claim, 4, PLAT_RTC_IRQ);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
}

static void test_time(void)
{
    rtc_start();
    uint64_t start = MOCK_WALL_NS + f.mock.now_ns;
    CU_ASSERT_EQUAL(rtc_time(), start);
    /* The high word belongs to the low one that was read before it. */
    uint64_t low = fixture_read(&f, RTC, 4);
    mock_advance(&f.mock, 10 * SECOND);
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 4, 4) << 32 | low, start);
    CU_ASSERT_EQUAL(rtc_time(), start + 10 * SECOND);
    /* Set as Linux does, the high word first. */
    fixture_write(&f, RTC + 4, 4, 5);
    fixture_write(&f, RTC, 4, 6);
    CU_ASSERT_EQUAL(rtc_time(), UINT64_C(5) << 32 | 6);
    mock_advance(&f.mock, SECOND);
    CU_ASSERT_EQUAL(rtc_time(), (UINT64_C(5) << 32 | 6) + SECOND);
    module_goldfish_rtc.reset(f.inst[1].self);
    CU_ASSERT_EQUAL(rtc_time(), (UINT64_C(5) << 32 | 6) + SECOND);
    CU_ASSERT_TRUE(fixture_refused(&f, RTC, 8));
    CU_ASSERT_TRUE(fixture_refused(&f, RTC, 1));
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x20, 4), 0);
    fixture_write(&f, RTC + PLAT_RTC_SIZE - 4, 4, 1);
    fixture_destroy(&f);
}

static void test_alarm_past(void)
{
    rtc_start();
    rtc_alarm(1);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]); /* rings, but nobody wants to hear */
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x18, 4), 0);
    fixture_write(&f, RTC + 0x10, 4, 1);
    rtc_serve();
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x08, 4), 1);
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x0c, 4), 0);
    fixture_destroy(&f);
}

static void test_alarm_future(void)
{
    rtc_start();
    fixture_write(&f, RTC + 0x10, 4, 1);
    rtc_alarm(rtc_time() + 3 * SECOND);
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x18, 4), 1);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    mock_advance(&f.mock, 3 * SECOND);
    while (fixture_read(&f, RTC + 0x18, 4) != 0)
        sched_yield(); /* its thread rings it */
    rtc_serve();
    /* Taken back, it never rings. */
    rtc_alarm(rtc_time() + SECOND);
    fixture_write(&f, RTC + 0x14, 4, 1);
    CU_ASSERT_EQUAL(fixture_read(&f, RTC + 0x18, 4), 0);
    mock_advance(&f.mock, 2 * SECOND);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    /* The clock is set behind it: time has come. */
    rtc_alarm(rtc_time() + 100 * SECOND);
    fixture_write(&f, RTC + 4, 4, UINT32_MAX);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    rtc_alarm(UINT64_MAX); /* armed when the machine goes away */
    fixture_destroy(&f);
}

static void test_tree(void)
{
    rtc_start();
    const void *fdt = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fdt);
    int node = fdt_path_offset(fdt, "/rtc@101000");
    CU_ASSERT_TRUE_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(fdt, node, "google,goldfish-rtc"), 0);
    const fdt32_t *irq = fdt_getprop(fdt, node, "interrupts", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(irq);
    CU_ASSERT_EQUAL(fdt32_to_cpu(*irq), 11);
    fixture_destroy(&f);
}

/* --- virtio-rng --- */

#define VIRTIO ((gpa_t)PLAT_VIRTIO_BASE)
#define DESC   FIXTURE_RAM
#define AVAIL  (FIXTURE_RAM + 0x1000)
#define USED   (FIXTURE_RAM + 0x2000)
#define DATA   (FIXTURE_RAM + 0x3000)

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static void rng_start(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_virtio_rng, NULL, NULL), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, VIRTIO + 0x008, 4), 4);
    fixture_write(&f, VIRTIO + 0x070, 4, 3);
    fixture_write(&f, VIRTIO + 0x024, 4, 1);
    fixture_write(&f, VIRTIO + 0x020, 4, 1);
    fixture_write(&f, VIRTIO + 0x070, 4, 11);
    fixture_write(&f, VIRTIO + 0x030, 4, 0);
    fixture_write(&f, VIRTIO + 0x038, 4, 4);
    fixture_write(&f, VIRTIO + 0x080, 4, DESC);
    fixture_write(&f, VIRTIO + 0x090, 4, AVAIL);
    fixture_write(&f, VIRTIO + 0x0a0, 4, USED);
    fixture_write(&f, VIRTIO + 0x044, 4, 1);
    fixture_write(&f, VIRTIO + 0x070, 4, 15);
}

/* Offers descriptor 0 as request number n; returns the length that came back. */
static uint32_t rng_ask(uint16_t n, uint32_t len, uint16_t flags)
{
    const struct desc desc = {.addr = DATA, .len = len, .flags = flags};
    const uint16_t ring[] = {0, (uint16_t)(n + 1), 0, 0, 0, 0};
    uint16_t used = 0;
    uint32_t written = 0;

    mem_write(&f.vm.mem, DESC, &desc, sizeof(desc));
    mem_write(&f.vm.mem, AVAIL, ring, sizeof(ring));
    fixture_write(&f, VIRTIO + 0x050, 4, 0);
    mem_read(&f.vm.mem, USED + 2, &used, 2);
    CU_ASSERT_EQUAL(used, n + 1);
    mem_read(&f.vm.mem, USED + 8 + 8 * (n % 4), &written, 4);
    return written;
}

static void test_rng(void)
{
    uint8_t a[64], b[64], zero[64] = {0}, tail[16] = {0};

    rng_start();
    CU_ASSERT_EQUAL(rng_ask(0, 64, 2), 64);
    mem_read(&f.vm.mem, DATA, a, 64);
    CU_ASSERT_NOT_EQUAL(memcmp(a, zero, 64), 0);
    mem_read(&f.vm.mem, DATA + 64, tail, 16);
    CU_ASSERT_EQUAL(memcmp(tail, zero, 16), 0); /* not a byte more */
    CU_ASSERT_EQUAL(rng_ask(1, 64, 2), 64);
    mem_read(&f.vm.mem, DATA, b, 64);
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, 64), 0);
    CU_ASSERT_EQUAL(rng_ask(2, 0x10000, 2), 4096); /* a part of a large one */
    CU_ASSERT_EQUAL(rng_ask(3, 64, 0), 0);         /* nothing to write to */
    fixture_destroy(&f);
}

void suite_rtc(void)
{
    CU_pSuite suite = CU_add_suite("real-time clock and entropy", NULL, NULL);

    CU_add_test(suite, "rtc: time", test_time);
    CU_add_test(suite, "rtc: an alarm in the past", test_alarm_past);
    CU_add_test(suite, "rtc: an alarm to come", test_alarm_future);
    CU_add_test(suite, "rtc: device tree", test_tree);
    CU_add_test(suite, "virtio-rng", test_rng);
}
