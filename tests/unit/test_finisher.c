/* test_finisher.c: how guests end: the test finisher and HTIF. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/fdt.h"

extern const struct module module_finisher;
extern const struct module module_htif;

#define PAGE     (FIXTURE_RAM + 0x3000)
#define TOHOST   (PAGE + 0x40)
#define FROMHOST (PAGE + 0x80)
#define REQUEST  (FIXTURE_RAM + 0x8000)
#define TEXT     (FIXTURE_RAM + 0x9000)

static struct fixture f;

static void finish(unsigned size, uint64_t value)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_finisher, NULL, NULL), 0);
    fixture_write(&f, PLAT_FINISHER_BASE, size, value);
}

static void check_finish(unsigned size, uint64_t value, enum stop_cause cause, int status)
{
    finish(size, value);
    CU_ASSERT_EQUAL(f.vm.stop.cause, cause);
    CU_ASSERT_EQUAL(f.vm.stop.status, status);
    fixture_destroy(&f);
}

static void test_finisher(void)
{
    check_finish(4, 0x5555, CAUSE_FINISHER, 0);
    check_finish(2, 0x5555, CAUSE_FINISHER, 0);
    check_finish(4, 0x00073333, CAUSE_FINISHER, 7);
    check_finish(4, 0x00003333, CAUSE_FINISHER, 1);
    check_finish(2, 0x3333, CAUSE_FINISHER, 1);
    check_finish(4, 0x01003333, CAUSE_FINISHER, 1);
    check_finish(4, 0x01023333, CAUSE_FINISHER, 2);
    check_finish(4, 0x7777, CAUSE_RESET, 0);
    check_finish(4, 0, CAUSE_NONE, 0);
    check_finish(4, 0x5556, CAUSE_NONE, 0);

    finish(4, 0x12343333);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "4660"));
    fixture_destroy(&f);

    finish(4, 0);
    fixture_write(&f, PLAT_FINISHER_BASE + 4, 4, 0x5555);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_FINISHER_BASE, 4), 0);
    CU_ASSERT(fixture_refused(&f, PLAT_FINISHER_BASE, 1));
    CU_ASSERT(fixture_refused(&f, PLAT_FINISHER_BASE, 8));
    fixture_destroy(&f);
}

static void check_node(const void *tree, const char *path, const char *compatible,
                       uint32_t value)
{
    int node = fdt_path_offset(tree, path);
    CU_ASSERT_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, compatible), 0);
    const fdt32_t *cell = fdt_getprop(tree, node, "value", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cell);
    CU_ASSERT_EQUAL(fdt32_to_cpu(*cell), value);
    cell = fdt_getprop(tree, node, "regmap", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cell);
    CU_ASSERT_EQUAL(fdt32_to_cpu(*cell), FDT_PHANDLE_FINISHER);
}

static void test_finisher_tree(void)
{
    finish(4, 0);
    const void *tree = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    int node = fdt_path_offset(tree, "/test@100000");
    CU_ASSERT_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_get_phandle(tree, node), FDT_PHANDLE_FINISHER);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, "syscon"), 0);
    check_node(tree, "/poweroff", "syscon-poweroff", 0x5555);
    check_node(tree, "/reboot", "syscon-reboot", 0x7777);
    fixture_destroy(&f);
}

static void htif_setup(void)
{
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    f.vm.image.tohost = TOHOST;
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, PAGE, "loaded!", 8), 0);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_htif, NULL, NULL), 0);
}

static void test_htif_page(void)
{
    htif_setup();
    CU_ASSERT_FALSE(mem_valid(&f.vm.mem, PAGE, 1));
    CU_ASSERT_TRUE(mem_valid(&f.vm.mem, PAGE - 1, 1));
    CU_ASSERT_TRUE(mem_valid(&f.vm.mem, PAGE + MEM_PAGE_SIZE, 1));
    /* The rest of the page is memory as before. */
    CU_ASSERT_EQUAL(fixture_read(&f, PAGE, 8), UINT64_C(0x0021646564616f6c));
    fixture_write(&f, PAGE + 0xff8, 8, UINT64_C(0x1122334455667788));
    CU_ASSERT_EQUAL(fixture_read(&f, PAGE + 0xffc, 4), 0x11223344);
    CU_ASSERT_EQUAL(fixture_read(&f, PAGE + 0xffe, 2), 0x1122);
    CU_ASSERT_EQUAL(fixture_read(&f, PAGE + 0xfff, 1), 0x11);
    fixture_write(&f, PAGE + 0xfff, 1, 0x99);
    CU_ASSERT_EQUAL(fixture_read(&f, PAGE + 0xff8, 8), UINT64_C(0x9922334455667788));
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    fixture_destroy(&f);
}

static void check_htif_exit(uint64_t value, int status)
{
    htif_setup();
    fixture_write(&f, TOHOST, 8, value);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, status);
    fixture_destroy(&f);
}

static void test_htif_exit(void)
{
    check_htif_exit(1, 0);
    check_htif_exit(2 * 5 + 1, 5);
    check_htif_exit(2 * 1337 + 1, 1337 & 0xff);
    check_htif_exit(2 * 256 + 1, 1);

    htif_setup();
    fixture_write(&f, TOHOST, 8, 0);
    fixture_write(&f, TOHOST, 1, 1); /* not a whole command */
    fixture_write(&f, TOHOST, 2, 1);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    /* In two halves, as the assembly of riscv-tests does. */
    fixture_write(&f, TOHOST, 4, 7);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    fixture_write(&f, TOHOST + 4, 4, 0);
    CU_ASSERT_EQUAL(f.vm.stop.status, 3);
    fixture_destroy(&f);
}

static void test_htif_putchar(void)
{
    htif_setup();
    fixture_write(&f, FROMHOST, 8, 5);
    fixture_write(&f, TOHOST, 8, UINT64_C(0x0101000000000000) | 'A');
    CU_ASSERT_EQUAL(fixture_read(&f, TOHOST, 8), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, FROMHOST, 8), 0);
    fixture_write(&f, TOHOST, 4, 'B'); /* even: waits for the upper half */
    fixture_write(&f, TOHOST + 4, 4, 0x01010000);
    CU_ASSERT(fixture_printed(&f, "AB"));
    /* Nobody there: taken, nothing happens. */
    fixture_write(&f, TOHOST, 8, UINT64_C(0x0201000000000001));
    CU_ASSERT_EQUAL(fixture_read(&f, TOHOST, 8), 0);
    CU_ASSERT(fixture_printed(&f, ""));
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    fixture_destroy(&f);
}

static int64_t request(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2)
{
    uint64_t words[8] = {number, a0, a1, a2};

    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, REQUEST, words, sizeof(words)), 0);
    fixture_write(&f, FROMHOST, 8, 0);
    fixture_write(&f, TOHOST, 8, REQUEST);
    CU_ASSERT_EQUAL(fixture_read(&f, TOHOST, 8), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, FROMHOST, 8), 1);
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, REQUEST, words, sizeof(words)), 0);
    return (int64_t)words[0];
}

static void test_htif_requests(void)
{
    htif_setup();
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, TEXT, "hello\n", 6), 0);
    CU_ASSERT_EQUAL(request(64, 1, TEXT, 6), 6);
    CU_ASSERT_EQUAL(request(64, 2, TEXT, 2), 2);
    CU_ASSERT(fixture_printed(&f, "hello\nhe"));
    CU_ASSERT_EQUAL(request(64, 3, TEXT, 6), -9);
    CU_ASSERT_EQUAL(request(64, 1, 0x1000, 6), -14);
    CU_ASSERT_EQUAL(request(64, 1, UINT64_MAX, 6), -14);
    CU_ASSERT_EQUAL(request(64, 1, FIXTURE_RAM + FIXTURE_RAM_SIZE - 512, 4096), 512);
    CU_ASSERT_EQUAL(f.mock.out_len, 512);
    f.mock.out_len = 0;
    CU_ASSERT_EQUAL(request(64, 1, TEXT, UINT64_MAX), 65536);
    CU_ASSERT_EQUAL(f.mock.out_len, 65536);
    CU_ASSERT_EQUAL(request(1, 0, 0, 0), -38);
    /* A request outside RAM has no answer. */
    fixture_write(&f, FROMHOST, 8, 0);
    fixture_write(&f, TOHOST, 8, 0x1000);
    CU_ASSERT_EQUAL(fixture_read(&f, FROMHOST, 8), 0);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    CU_ASSERT_EQUAL(request(93, 300, 0, 0), -38);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, 300 & 0xff);
    fixture_destroy(&f);
}

static void check_htif_refused(const char *value)
{
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    CU_ASSERT(fixture_add(&f, &module_htif, "tohost", value) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "htif"));
    fixture_destroy(&f);
}

static void test_htif_options(void)
{
    char address[32];

    /* An image without the symbol: the module is there and does nothing. */
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_htif, NULL, NULL), 0);
    CU_ASSERT_PTR_NULL(f.inst[0].self);
    CU_ASSERT_EQUAL(f.vm.bus.nclaims, 0);
    fixture_destroy(&f);

    snprintf(address, sizeof(address), "0x%llx", (unsigned long long)TOHOST);
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_htif, "tohost", address), 0);
    fixture_write(&f, TOHOST, 8, 1);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    fixture_destroy(&f);

    check_htif_refused("");
    check_htif_refused("zz");
    check_htif_refused("80003001");
    check_htif_refused("-8");
    check_htif_refused("10000000000000000");
    check_htif_refused("1000");
}

/* The benchmarks of riscv-tests have fromhost right behind tohost, or in another page. */
static void test_htif_fromhost(void)
{
    uint64_t word = 0;
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    f.vm.image.tohost = TOHOST;
    f.vm.image.fromhost = TOHOST + 8;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_htif, NULL, NULL), 0);
    fixture_write(&f, TOHOST, 8, REQUEST);
    CU_ASSERT_EQUAL(fixture_read(&f, TOHOST + 8, 8), 1);
    fixture_destroy(&f);

    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    f.vm.image.tohost = PAGE + 0xff8;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_htif, NULL, NULL), 0);
    fixture_write(&f, PAGE + 0xff8, 8, REQUEST);
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, PAGE + 0x1038, &word, 8), 0);
    CU_ASSERT_EQUAL(word, 1);
    fixture_destroy(&f);
}

void suite_finisher(void)
{
    CU_pSuite suite = CU_add_suite("finisher and HTIF", NULL, NULL);

    CU_add_test(suite, "finisher: values and statuses", test_finisher);
    CU_add_test(suite, "finisher: device tree", test_finisher_tree);
    CU_add_test(suite, "htif: the page", test_htif_page);
    CU_add_test(suite, "htif: exit", test_htif_exit);
    CU_add_test(suite, "htif: putchar", test_htif_putchar);
    CU_add_test(suite, "htif: requests", test_htif_requests);
    CU_add_test(suite, "htif: options", test_htif_options);
    CU_add_test(suite, "htif: fromhost", test_htif_fromhost);
}
