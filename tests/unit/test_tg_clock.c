/* test_tg_clock.c: the clock service: its page, its call, and that they agree. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "tests/unit/snapshot.h"
#include "tests/unit/suites.h"
#include "tests/unit/tg.h"
#include "vmm/fdt.h"
#include "vmm/le.h"

__extension__ typedef unsigned __int128 wide;

static struct fixture f, g;

static uint64_t fake_hz;

static uint64_t engine_hz(struct vm *vm)
{
    (void)vm;
    return fake_hz;
}

static uint64_t fake_ticks;

static uint64_t engine_time(struct hart *hart)
{
    (void)hart;
    return fake_ticks;
}

static void clock_start(struct fixture *fx, const char *source)
{
    CU_ASSERT_EQUAL_FATAL(tg_start(fx, &module_tg_clock, source ? "source" : NULL, source), 0);
    module_tg_clock.reset(fx->inst[0].self);
}

static uint64_t now(struct fixture *fx)
{
    struct call c = tg_call(fx, TG_EXT_CLOCK, TG_CLOCK_NOW, 0, 0, 0, 0);

    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    return c.value;
}

static gpa_t page_gpa(struct fixture *fx)
{
    struct call c = tg_call(fx, TG_EXT_CLOCK, TG_CLOCK_PAGE, 0, 0, 0, 0);

    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    return c.value;
}

static const uint8_t *page(struct fixture *fx)
{
    const uint8_t *at = mem_rom(&fx->vm.mem, page_gpa(fx), MEM_PAGE_SIZE);

    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    return at;
}

/* As the contract in guest/abi/tg.h says. */
static uint64_t page_ns(const uint8_t *at, uint64_t ticks)
{
    uint64_t d = ticks - le_get64(at + TG_CLOCK_PAGE_BASE_TICKS);
    uint64_t m = le_get64(at + TG_CLOCK_PAGE_MULTIPLIER);
    uint32_t s = le_get32(at + TG_CLOCK_PAGE_SHIFT);
    wide product = (wide)d * m;

    return le_get64(at + TG_CLOCK_PAGE_BASE_NS) + (uint64_t)(product >> s);
}

static void test_agree(void)
{
    static const uint64_t steps[] = {
        0, 99, 1, 100, 12345678, 86400000000000, 3155760000000000000};
    const uint8_t *at;

    clock_start(&f, NULL);
    at = page(&f);
    CU_ASSERT_EQUAL(le_get32(at + TG_CLOCK_PAGE_VERSION), TG_CLOCK_LAYOUT);
    CU_ASSERT_EQUAL(le_get32(at + TG_CLOCK_PAGE_SOURCE), TG_CLOCK_SOURCE_RDTIME);
    CU_ASSERT_EQUAL(le_get32(at + TG_CLOCK_PAGE_SEQUENCE) % 2, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        mock_advance(&f.mock, steps[i]);
        CU_ASSERT_EQUAL(now(&f), clock_ticks(&f.vm.clock) * 100); /* exact at 10 MHz */
        CU_ASSERT_EQUAL(now(&f), page_ns(at, clock_ticks(&f.vm.clock)));
    }
    tg_end(&f);
}

/* Counters of other frequencies (KVM's are the host's): a century is right to some ns. */
static void test_other_timebase(void)
{
    static const uint64_t hz[] = {1000,     32768,      999983,    4000000,
                                  24000000, 1000000000, 2999999999};

    for (size_t i = 0; i < sizeof(hz) / sizeof(hz[0]); i++) {
        uint64_t last = 0;

        fake_hz = hz[i];
        fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
        f.engine.timebase_hz = engine_hz;
        f.engine.time = engine_time;
        CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_tg_clock, NULL, NULL), 0);
        module_tg_clock.reset(f.inst[0].self);
        CU_ASSERT_EQUAL(call_index_build(&f.vm, &f.err), 0);
        for (uint64_t s = 1; s < 3155760000; s = s * 7 + 1) {
            uint64_t ns, want = s * 1000000000;

            fake_ticks = s * hz[i];
            ns = now(&f);
            CU_ASSERT_EQUAL(ns, page_ns(page(&f), fake_ticks));
            CU_ASSERT(ns > last);
            CU_ASSERT((ns > want ? ns - want : want - ns) <=
                      1 + fake_ticks / (UINT64_C(1) << 33));
            last = ns;
        }
        tg_end(&f);
    }
}

static void test_place(void)
{
    gpa_t gpa;
    uint64_t data;

    clock_start(&f, NULL);
    gpa = page_gpa(&f);
    CU_ASSERT_EQUAL(gpa % MEM_PAGE_SIZE, 0);
    CU_ASSERT(gpa - PLAT_CLOCK_BASE < PLAT_CLOCK_SIZE);
    /* Not RAM, and nothing answers stores there, nor loads beside it. */
    CU_ASSERT_FALSE(mem_valid(&f.vm.mem, gpa, 1));
    CU_ASSERT(bus_access(&f.vm, &f.hart[0], gpa, 4, true, &data) < 0);
    CU_ASSERT(bus_access(&f.vm, &f.hart[0], PLAT_CLOCK_BASE, 8, false, &data) < 0);
    CU_ASSERT_NOT_EQUAL(page_gpa(&f), PLAT_CLOCK_BASE);
    tg_end(&f);
    /* Another seed, another page. */
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    f.mock.random = 40;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_tg_clock, NULL, NULL), 0);
    CU_ASSERT_EQUAL(call_index_build(&f.vm, &f.err), 0);
    CU_ASSERT_NOT_EQUAL(page_gpa(&f), gpa);
    tg_end(&f);
}

static void test_options(void)
{
    clock_start(&f, "call");
    CU_ASSERT_EQUAL(le_get32(page(&f) + TG_CLOCK_PAGE_SOURCE), TG_CLOCK_SOURCE_CALL);
    tg_end(&f);
    clock_start(&f, "rdtime");
    CU_ASSERT_EQUAL(le_get32(page(&f) + TG_CLOCK_PAGE_SOURCE), TG_CLOCK_SOURCE_RDTIME);
    tg_end(&f);
    CU_ASSERT(tg_start(&f, &module_tg_clock, "source", "tsc") < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "source='tsc'; give rdtime or call"));
    fixture_destroy(&f);
}

/* A page is nowhere rather than where anybody would look. */
static void test_no_chance(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    f.mock.random_error = -EIO;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_tg_clock, NULL, NULL), -EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "tg-clock"));
    fixture_destroy(&f);
}

/* Odd while it is written; a reader that began before sees another number after. */
static void test_sequence(void)
{
    const uint8_t *at;
    uint32_t before;

    clock_start(&f, NULL);
    at = page(&f);
    before = le_get32(at + TG_CLOCK_PAGE_SEQUENCE);
    module_tg_clock.reset(f.inst[0].self);
    CU_ASSERT_EQUAL(le_get32(at + TG_CLOCK_PAGE_SEQUENCE), before + 2);
    CU_ASSERT_EQUAL(before % 2, 0);
    tg_end(&f);
}

/* The guest that goes on finds the page where it was told, and the page's old place is empty.
 */
static void test_carry(void)
{
    static struct bytes saved;
    uint8_t was[64];
    gpa_t gpa, other;

    clock_start(&f, NULL);
    module_tg_clock.reset(f.inst[0].self);
    gpa = page_gpa(&f);
    memcpy(was, page(&f), sizeof(was));
    bytes_save(&saved, &f.inst[0]);
    fixture_init(&g, START_KERNEL, 2, CONSOLE_NONE);
    g.mock.random = 99;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&g, &module_tg_clock, NULL, NULL), 0);
    module_tg_clock.reset(g.inst[0].self);
    CU_ASSERT_EQUAL(call_index_build(&g.vm, &g.err), 0);
    other = page_gpa(&g);
    CU_ASSERT_NOT_EQUAL(other, gpa);
    CU_ASSERT(bytes_load(&saved, saved.len, &g.inst[0]));
    CU_ASSERT_EQUAL(page_gpa(&g), gpa);
    CU_ASSERT_EQUAL(memcmp(page(&g), was, sizeof(was)), 0);
    CU_ASSERT_PTR_NULL(mem_rom(&g.vm.mem, other, 1));
    tg_end(&f);
    tg_end(&g);
}

/* Files are hostile: no page outside the window, over RAM, or half written. */
static void test_bad_states(void)
{
    static const struct {
        uint64_t gpa, sequence;
        bool good;
    } cases[] = {
        {PLAT_CLOCK_BASE,                                   2,          true },
        {PLAT_CLOCK_BASE + PLAT_CLOCK_SIZE - MEM_PAGE_SIZE, 0,          true },
        {PLAT_CLOCK_BASE + PLAT_CLOCK_SIZE,                 2,          false},
        {PLAT_CLOCK_BASE - MEM_PAGE_SIZE,                   2,          false},
        {PLAT_CLOCK_BASE + 8,                               2,          false},
        {FIXTURE_RAM,                                       2,          false},
        {UINT64_MAX,                                        2,          false},
        {PLAT_CLOCK_BASE,                                   3,          false},
        {PLAT_CLOCK_BASE,                                   UINT64_MAX, false},
    };
    static struct bytes b;

    clock_start(&f, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gpa_t before = page_gpa(&f);

        bytes_init(&b);
        state_put_u64(&b.w, cases[i].gpa);
        state_put_u64(&b.w, cases[i].sequence);
        CU_ASSERT_EQUAL(bytes_load(&b, b.len, &f.inst[0]), cases[i].good);
        CU_ASSERT_EQUAL(page_gpa(&f), cases[i].good ? cases[i].gpa : before);
        CU_ASSERT_PTR_NOT_NULL(mem_rom(&f.vm.mem, page_gpa(&f), MEM_PAGE_SIZE));
    }
    for (size_t len = 0; len < b.len; len++)
        CU_ASSERT_FALSE(bytes_load(&b, len, &f.inst[0]));
    tg_end(&f);
}

void suite_tg_clock(void)
{
    CU_pSuite suite = CU_add_suite("tg-clock", NULL, NULL);

    CU_add_test(suite, "page and call agree", test_agree);
    CU_add_test(suite, "other timebases", test_other_timebase);
    CU_add_test(suite, "where the page is", test_place);
    CU_add_test(suite, "options", test_options);
    CU_add_test(suite, "a host without chance", test_no_chance);
    CU_add_test(suite, "sequence", test_sequence);
    CU_add_test(suite, "saved and loaded", test_carry);
    CU_add_test(suite, "bad states", test_bad_states);
}
