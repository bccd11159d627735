/* test_clint.c: the CLINT, and the ROM that tells firmware what to start. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"

extern const struct module module_clint, module_reset_rom;

#define MSIP     ((gpa_t)PLAT_CLINT_BASE)
#define MTIMECMP ((gpa_t)PLAT_CLINT_BASE + 0x4000)
#define MTIME    ((gpa_t)PLAT_CLINT_BASE + 0xbff8)

static struct fixture f;

static void clint_start(void)
{
    fixture_init(&f, START_FIRMWARE, 3, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_clint, NULL, NULL), 0);
    module_clint.reset(f.inst[0].self);
}

static void test_msip(void)
{
    clint_start();
    fixture_write(&f, MSIP + 4, 4, 0xffffffff);
    CU_ASSERT_TRUE(f.irq[1][IRQ_M_SOFT]);
    CU_ASSERT_FALSE(f.irq[0][IRQ_M_SOFT]);
    CU_ASSERT_EQUAL(fixture_read(&f, MSIP + 4, 4), 1);
    fixture_write(&f, MSIP + 4, 4, 2); /* only bit 0 exists */
    CU_ASSERT_FALSE(f.irq[1][IRQ_M_SOFT]);
    CU_ASSERT_EQUAL(fixture_read(&f, MSIP + 4, 4), 0);
    /* Harts that do not exist, to the end of the range. */
    for (gpa_t at = MSIP + 12; at < MTIMECMP; at += 4) {
        fixture_write(&f, at, 4, 1);
        CU_ASSERT_EQUAL_FATAL(fixture_read(&f, at, 4), 0);
    }
    CU_ASSERT_TRUE(fixture_refused(&f, MSIP, 8));
    CU_ASSERT_TRUE(fixture_refused(&f, MSIP, 1));
    fixture_write(&f, MSIP + 8, 4, 1);
    module_clint.reset(f.inst[0].self);
    CU_ASSERT_FALSE(f.irq[2][IRQ_M_SOFT]);
    CU_ASSERT_EQUAL(fixture_read(&f, MSIP + 8, 4), 0);
    fixture_destroy(&f);
}

static void test_mtimecmp(void)
{
    clint_start();
    CU_ASSERT_EQUAL(fixture_read(&f, MTIMECMP, 8), UINT64_MAX);
    CU_ASSERT_EQUAL(f.mtimer[2], UINT64_MAX);
    fixture_write(&f, MTIMECMP + 16, 8, 0x123456789abcdef0);
    CU_ASSERT_EQUAL(f.mtimer[2], 0x123456789abcdef0);
    CU_ASSERT_EQUAL(f.mtimer[1], UINT64_MAX);
    /* In halves, as RV32 must and some RV64 firmware does. */
    fixture_write(&f, MTIMECMP + 20, 4, 7);
    CU_ASSERT_EQUAL(f.mtimer[2], 0x79abcdef0);
    fixture_write(&f, MTIMECMP + 16, 4, 5);
    CU_ASSERT_EQUAL(f.mtimer[2], 0x700000005);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIMECMP + 20, 4), 7);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIMECMP + 16, 4), 5);
    for (gpa_t at = MTIMECMP + 24; at < MTIME; at += 8) {
        fixture_write(&f, at, 8, 1);
        CU_ASSERT_EQUAL_FATAL(fixture_read(&f, at, 8), 0);
    }
    CU_ASSERT_TRUE(fixture_refused(&f, MTIMECMP + 4, 8));
    CU_ASSERT_TRUE(fixture_refused(&f, MTIMECMP, 2));
    CU_ASSERT_TRUE(fixture_refused(&f, MTIME + 8, 8)); /* behind the MTIMER */
    fixture_destroy(&f);
}

static void test_mtime(void)
{
    clint_start();
    CU_ASSERT_EQUAL(fixture_read(&f, MTIME, 8), 0);
    mock_advance(&f.mock, 0x500000007ull * CLOCK_NS_PER_TICK);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIME, 8), 0x500000007);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIME, 4), 7);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIME + 4, 4), 5);
    fixture_write(&f, MTIME, 8, 0);
    CU_ASSERT_EQUAL(fixture_read(&f, MTIME, 8), 0x500000007);
    fixture_destroy(&f);
}

static void test_tree(void)
{
    int len;

    clint_start();
    const void *fdt = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fdt);
    int node = fdt_path_offset(fdt, "/clint@2000000");
    CU_ASSERT_TRUE_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(fdt, node, "sifive,clint0"), 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(fdt, node, "riscv,clint0"), 0);
    const fdt32_t *cells = fdt_getprop(fdt, node, "interrupts-extended", &len);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cells);
    CU_ASSERT_EQUAL_FATAL(len, 3 * 16);
    CU_ASSERT_EQUAL(fdt32_to_cpu(cells[8]), 3);
    CU_ASSERT_EQUAL(fdt32_to_cpu(cells[9]), IRQ_M_SOFT);
    CU_ASSERT_EQUAL(fdt32_to_cpu(cells[10]), 3);
    CU_ASSERT_EQUAL(fdt32_to_cpu(cells[11]), IRQ_M_TIMER);
    fixture_destroy(&f);
}

static void test_reset_rom(void)
{
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_reset_rom, NULL, NULL), 0);
    CU_ASSERT_EQUAL(f.vm.fw_info, 0); /* nothing to start */
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_ROM_BASE, 8), 0);
    fixture_destroy(&f);

    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    f.config.payload = "kernel";
    f.vm.payload.entry = 0x1122334480200000;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_reset_rom, NULL, NULL), 0);
    gpa_t at = f.vm.fw_info;
    CU_ASSERT_EQUAL(fixture_read(&f, at, 8), 0x4942534f);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 8, 8), 2);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 16, 8), 0x1122334480200000);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 20, 4), 0x11223344);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 18, 1), 0x20);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 24, 8), 1);
    CU_ASSERT_EQUAL(fixture_read(&f, at + 40, 8), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_ROM_BASE + PLAT_ROM_SIZE - 8, 8), 0);
    fixture_write(&f, at, 8, 0);
    CU_ASSERT_EQUAL(fixture_read(&f, at, 8), 0x4942534f);
    fixture_destroy(&f);
}

void suite_clint(void)
{
    CU_pSuite suite = CU_add_suite("CLINT and reset ROM", NULL, NULL);

    CU_add_test(suite, "msip", test_msip);
    CU_add_test(suite, "mtimecmp", test_mtimecmp);
    CU_add_test(suite, "mtime", test_mtime);
    CU_add_test(suite, "device tree", test_tree);
    CU_add_test(suite, "reset ROM: fw_dynamic_info", test_reset_rom);
}
