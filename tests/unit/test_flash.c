/* test_flash.c: the CFI flash: query, programming, erasing, files. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"

extern const struct module module_cfi_flash;

#define BANK0 ((gpa_t)PLAT_FLASH_BASE)
#define BANK1 (BANK0 + PLAT_FLASH_SIZE)
#define READY 0x00800080u

static struct fixture f;
static char path[64];

static void flash_start(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_cfi_flash, NULL, NULL), 0);
}

static void put(gpa_t gpa, uint32_t value)
{
    fixture_write(&f, gpa, 4, value);
}

static uint32_t get(gpa_t gpa)
{
    return (uint32_t)fixture_read(&f, gpa, 4);
}

static void program(gpa_t gpa, uint32_t value)
{
    put(gpa, 0x00400040);
    put(gpa, value);
}

static void test_query(void)
{
    flash_start();
    put(BANK0 + 0x154, 0x00980098);
    CU_ASSERT_EQUAL(get(BANK0 + 0x40), 0x00510051);
    CU_ASSERT_EQUAL(get(BANK0 + 0x44), 0x00520052);
    CU_ASSERT_EQUAL(get(BANK0 + 0x48), 0x00590059);
    CU_ASSERT_EQUAL(get(BANK0 + 0x4c), 0x00010001); /* the Intel command set */
    CU_ASSERT_EQUAL(get(BANK0 + 4 * 0x27) & 0xffff, 24);
    CU_ASSERT_EQUAL(get(BANK0 + 4 * 0x2d) & 0xffff, 127);
    CU_ASSERT_EQUAL(get(BANK0 + 4 * 0x31) & 0xffff, 'P');
    CU_ASSERT_EQUAL(fixture_read(&f, BANK0 + 0x42, 2), 0x51);
    CU_ASSERT_EQUAL(get(BANK0), 0);
    CU_ASSERT_EQUAL(get(BANK0 + PLAT_FLASH_SIZE - 4), 0);
    CU_ASSERT_EQUAL(get(BANK1), UINT32_MAX); /* the other bank is not in this mode */
    put(BANK0, 0x00900090);
    CU_ASSERT_EQUAL(get(BANK0), 0x00890089);
    CU_ASSERT_EQUAL(get(BANK0 + 4), 0x00180018);
    CU_ASSERT_EQUAL(get(BANK0 + 8), 0);
    put(BANK0, 0x00ff00ff);
    CU_ASSERT_EQUAL(get(BANK0), UINT32_MAX);
    CU_ASSERT_TRUE(fixture_refused(&f, BANK0, 8));
    fixture_destroy(&f);
}

static void test_program_erase(void)
{
    flash_start();
    program(BANK0 + 8, 0xf0f0f0f0);
    CU_ASSERT_EQUAL(get(BANK0), READY);
    put(BANK0, 0xff);
    CU_ASSERT_EQUAL(get(BANK0 + 8), 0xf0f0f0f0);
    CU_ASSERT_EQUAL(get(BANK0 + 4), UINT32_MAX);
    CU_ASSERT_EQUAL(get(BANK0 + 12), UINT32_MAX);
    program(BANK0 + 8, 0xff00ff0f); /* ones stay as they are */
    put(BANK0, 0xff);
    CU_ASSERT_EQUAL(get(BANK0 + 8), 0xf000f000);
    program(BANK0 + 0x40000, 1);
    /* Not confirmed: an error, and nothing is erased. */
    put(BANK0, 0x20);
    put(BANK0, 0xff);
    CU_ASSERT_EQUAL(get(BANK0), 0x00b000b0);
    put(BANK0, 0x50);
    CU_ASSERT_EQUAL(get(BANK0 + 8), 0xf000f000);
    put(BANK0 + 0x3fffc, 0x20);
    put(BANK0 + 0x3fffc, 0xd0);
    CU_ASSERT_EQUAL(get(BANK0), READY);
    put(BANK0, 0xff);
    CU_ASSERT_EQUAL(get(BANK0 + 8), UINT32_MAX);
    CU_ASSERT_EQUAL(get(BANK0 + 0x40000), 1); /* the next block */
    fixture_destroy(&f);
}

static void test_buffer(void)
{
    flash_start();
    put(BANK1, 0x00e800e8);
    CU_ASSERT_EQUAL(get(BANK1), READY);
    put(BANK1, 1);
    put(BANK1 + 0x44, 0x11111111);
    put(BANK1 + 0x48, 0x22222222);
    put(BANK1, 0x00d000d0);
    CU_ASSERT_EQUAL(get(BANK1), READY);
    put(BANK1, 0xff);
    CU_ASSERT_EQUAL(get(BANK1 + 0x40), UINT32_MAX);
    CU_ASSERT_EQUAL(get(BANK1 + 0x44), 0x11111111);
    CU_ASSERT_EQUAL(get(BANK1 + 0x48), 0x22222222);
    /* Too many words; words of two pieces; no confirmation. */
    put(BANK1, 0xe8);
    put(BANK1, 16);
    CU_ASSERT_EQUAL(get(BANK1), 0x00b000b0);
    put(BANK1, 0x50);
    put(BANK1, 0xe8);
    put(BANK1, 1);
    put(BANK1 + 0x7c, 0);
    put(BANK1 + 0x80, 0);
    CU_ASSERT_EQUAL(get(BANK1), 0x00b000b0);
    put(BANK1, 0x50);
    put(BANK1, 0xe8);
    put(BANK1, 0);
    put(BANK1 + 0x7c, 0);
    put(BANK1, 0xff);
    CU_ASSERT_EQUAL(get(BANK1), 0x00b000b0);
    put(BANK1, 0x50);
    CU_ASSERT_EQUAL(get(BANK1 + 0x7c), UINT32_MAX);
    CU_ASSERT_EQUAL(get(BANK1 + 0x80), UINT32_MAX);
    fixture_destroy(&f);
}

static void file_make(off_t size, const char *text)
{
    snprintf(path, sizeof(path), "/tmp/test-flash-XXXXXX");
    int fd = mkstemp(path);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    CU_ASSERT_EQUAL(ftruncate(fd, size), 0);
    close(fd);
}

static void test_file(void)
{
    char text[9] = {0};

    file_make(PLAT_FLASH_SIZE, "abcdefgh");
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_cfi_flash, "file1", path), 0);
    CU_ASSERT_EQUAL(get(BANK1), 0x64636261);
    CU_ASSERT_EQUAL(get(BANK0), UINT32_MAX);
    program(BANK1, 0x60606060);
    fixture_destroy(&f);
    FILE *file = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(fread(text, 1, 8, file), 8);
    fclose(file);
    CU_ASSERT_STRING_EQUAL(text, "````efgh");

    CU_ASSERT_EQUAL(truncate(path, 8), 0);
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_TRUE(fixture_add(&f, &module_cfi_flash, "file", path) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "has 8 bytes"));
    /* A second key: what is readonly may be short. */
    f.option[0][1] = (struct module_option){.key = "readonly", .value = ""};
    f.option[0][0] = (struct module_option){.key = "file", .value = path};
    f.inst[0] = (struct module_instance){
        .module = &module_cfi_flash, .vm = &f.vm, .options = f.option[0], .noptions = 2};
    CU_ASSERT_EQUAL_FATAL(module_cfi_flash.create(&f.inst[0], &f.err), 0);
    f.vm.ninstances = 1;
    CU_ASSERT_EQUAL(get(BANK0 + 4), 0x68676665);
    CU_ASSERT_EQUAL(get(BANK0 + 8), UINT32_MAX);
    program(BANK0, 0);
    CU_ASSERT_EQUAL(get(BANK0), 0x00920092); /* failed, locked */
    put(BANK0, 0x50);
    CU_ASSERT_EQUAL(get(BANK0), 0x60606060);
    fixture_destroy(&f);
    unlink(path);
}

static void test_tree(void)
{
    int len;

    flash_start();
    const void *fdt = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fdt);
    int node = fdt_path_offset(fdt, "/flash@20000000");
    CU_ASSERT_TRUE_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(fdt, node, "cfi-flash"), 0);
    CU_ASSERT_PTR_NOT_NULL(fdt_getprop(fdt, node, "bank-width", &len));
    CU_ASSERT_PTR_NOT_NULL(fdt_getprop(fdt, node, "reg", &len));
    CU_ASSERT_EQUAL(len, 32);
    fixture_destroy(&f);
}

void suite_flash(void)
{
    CU_pSuite suite = CU_add_suite("CFI flash", NULL, NULL);

    CU_add_test(suite, "query and ID", test_query);
    CU_add_test(suite, "program and erase", test_program_erase);
    CU_add_test(suite, "buffered programming", test_buffer);
    CU_add_test(suite, "files", test_file);
    CU_add_test(suite, "device tree", test_tree);
}
