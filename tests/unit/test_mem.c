/* test_mem.c: guest RAM: slots, holes, spans, and addresses at the ends of everything. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "vmm/mem.h"

#define BASE 0x80000000u
#define PAGE MEM_PAGE_SIZE

static void test_add(void)
{
    struct mem mem;
    mem_init(&mem);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE, 4 * PAGE), 0);
    CU_ASSERT_EQUAL(mem_add(&mem, 0x1000, PAGE), 0);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE + 8 * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(mem.nslots, 3);
    CU_ASSERT_EQUAL(mem.slot[0].gpa, 0x1000);
    CU_ASSERT_EQUAL(mem.slot[1].gpa, BASE);
    CU_ASSERT_EQUAL(mem.slot[2].gpa, BASE + 8 * PAGE);

    CU_ASSERT_EQUAL(mem_add(&mem, BASE + 1, PAGE), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE + PAGE, PAGE + 1), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, 0x5000, 0), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, 0, 0), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, UINT64_MAX - PAGE + 1, PAGE), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, UINT64_MAX - PAGE + 1, 2 * PAGE), -EINVAL);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE + 3 * PAGE, 2 * PAGE), -EEXIST);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE - PAGE, 2 * PAGE), -EEXIST);
    CU_ASSERT_EQUAL(mem_add(&mem, 0, UINT64_MAX - PAGE + 1), -EEXIST);
    CU_ASSERT_EQUAL(mem_add(&mem, 0x100000000, UINT64_C(1) << 62), -ENOMEM);
    CU_ASSERT_EQUAL(mem.nslots, 3);
    mem_destroy(&mem);
    CU_ASSERT_EQUAL(mem.nslots, 0);
    mem_destroy(&mem);
}

static void test_add_limit(void)
{
    struct mem mem;
    mem_init(&mem);
    for (unsigned i = 0; i < MEM_SLOTS_MAX; i++)
        CU_ASSERT_EQUAL(mem_add(&mem, BASE + (MEM_SLOTS_MAX - i) * 2 * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(mem_add(&mem, 0, PAGE), -ENOSPC);
    for (unsigned i = 1; i < mem.nslots; i++)
        CU_ASSERT(mem.slot[i - 1].gpa < mem.slot[i].gpa);
    mem_destroy(&mem);
}

static void test_ptr(void)
{
    struct mem mem;
    mem_init(&mem);
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE, 1));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE, 1));
    mem_add(&mem, BASE, 2 * PAGE);
    mem_add(&mem, BASE + 2 * PAGE, PAGE);
    uint8_t *first = mem_ptr(&mem, BASE, 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    CU_ASSERT_PTR_EQUAL(mem_ptr(&mem, BASE + 5, 2 * PAGE - 5), first + 5);
    CU_ASSERT_PTR_EQUAL(mem_ptr(&mem, BASE + 2 * PAGE - 1, 0), first + 2 * PAGE - 1);
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE, 2 * PAGE + 1)); /* two slots */
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE + 3 * PAGE, 0));
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE - 1, 1));
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE + PAGE, UINT64_MAX));
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, UINT64_MAX, 2));

    CU_ASSERT_TRUE(mem_valid(&mem, BASE, 3 * PAGE));
    CU_ASSERT_TRUE(mem_valid(&mem, BASE + 1, 3 * PAGE - 1));
    CU_ASSERT_TRUE(mem_valid(&mem, 0, 0));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE, 3 * PAGE + 1));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE, UINT64_MAX));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE - 1, 2));
    CU_ASSERT_FALSE(mem_valid(&mem, UINT64_MAX, 1));
    mem_destroy(&mem);
}

static void test_copy_over_slots(void)
{
    struct mem mem;
    mem_init(&mem);
    mem_add(&mem, BASE + PAGE, PAGE);
    mem_add(&mem, BASE, PAGE);
    mem_add(&mem, BASE + 2 * PAGE, PAGE);
    uint8_t out[PAGE + 16], in[PAGE + 16];
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + 1);
    gpa_t at = BASE + PAGE - 8; /* 8 bytes, a whole slot, 8 bytes */
    CU_ASSERT_EQUAL(mem_write(&mem, at, out, sizeof(out)), 0);
    CU_ASSERT_EQUAL(mem_read(&mem, at, in, sizeof(in)), 0);
    CU_ASSERT_EQUAL(memcmp(in, out, sizeof(in)), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + PAGE, 1), out[8]);

    /* Nothing is copied when a part is outside. */
    uint8_t before = *mem_ptr(&mem, BASE + 3 * PAGE - 1, 1);
    memset(in, 0xee, sizeof(in));
    CU_ASSERT_EQUAL(mem_write(&mem, BASE + 3 * PAGE - 1, in, 2), -EFAULT);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 3 * PAGE - 1, 1), before);
    CU_ASSERT_EQUAL(mem_read(&mem, BASE + 3 * PAGE - 1, in, 2), -EFAULT);
    CU_ASSERT_EQUAL(in[0], 0xee);
    CU_ASSERT_EQUAL(mem_read(&mem, 0, in, 0), 0);
    CU_ASSERT_EQUAL(mem_read(&mem, BASE, in, SIZE_MAX), -EFAULT);
    mem_destroy(&mem);
}

static void test_zero(void)
{
    struct mem mem;
    mem_init(&mem);
    mem_add(&mem, BASE, 2 * PAGE);
    mem_add(&mem, BASE + 2 * PAGE, PAGE);
    memset(mem_ptr(&mem, BASE, 2 * PAGE), 0xff, 2 * PAGE);
    memset(mem_ptr(&mem, BASE + 2 * PAGE, PAGE), 0xff, PAGE);
    CU_ASSERT_EQUAL(mem_zero(&mem, BASE + 10, 2 * PAGE), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 9, 1), 0xff);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 10, 1), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + PAGE, 1), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 2 * PAGE + 9, 1), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 2 * PAGE + 10, 1), 0xff);
    CU_ASSERT_EQUAL(mem_zero(&mem, BASE + 2 * PAGE + 10, PAGE), -EFAULT);
    CU_ASSERT_EQUAL(*mem_ptr(&mem, BASE + 2 * PAGE + 10, 1), 0xff);
    CU_ASSERT_EQUAL(mem_zero(&mem, 0, 0), 0);
    mem_destroy(&mem);
}

static void test_punch(void)
{
    struct mem mem;
    mem_init(&mem);
    mem_add(&mem, BASE, 4 * PAGE);
    mem_add(&mem, BASE + 4 * PAGE, 4 * PAGE);
    uint8_t *host = mem_ptr(&mem, BASE, 1);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + PAGE, PAGE), 0); /* the middle: one more slot */
    CU_ASSERT_EQUAL(mem.nslots, 3);
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE + PAGE, 1));
    CU_ASSERT_PTR_EQUAL(mem_ptr(&mem, BASE + PAGE - 1, 1), host + PAGE - 1);
    CU_ASSERT_PTR_EQUAL(mem_ptr(&mem, BASE + 2 * PAGE, 2 * PAGE), host + 2 * PAGE);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + 3 * PAGE, 2 * PAGE), 0); /* over two slots */
    CU_ASSERT_EQUAL(mem.nslots, 3);
    CU_ASSERT_FALSE(mem_valid(&mem, BASE + 3 * PAGE, 1));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE + 5 * PAGE - 1, 1));
    CU_ASSERT_TRUE(mem_valid(&mem, BASE + 5 * PAGE, 3 * PAGE));
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE, PAGE), 0); /* a whole slot */
    CU_ASSERT_EQUAL(mem.nslots, 2);

    CU_ASSERT_EQUAL(mem_punch(&mem, BASE, PAGE), -ENOENT);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + 7 * PAGE, 2 * PAGE), -ENOENT);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + 6 * PAGE, 0), -EINVAL);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + 6 * PAGE + 8, PAGE), -EINVAL);
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE + 6 * PAGE, UINT64_MAX - PAGE + 1), -EINVAL);
    CU_ASSERT_EQUAL(mem.nslots, 2);
    mem_destroy(&mem);
}

static void test_punch_limit(void)
{
    struct mem mem;
    mem_init(&mem);
    mem_add(&mem, BASE, 4 * MEM_SLOTS_MAX * PAGE);
    for (unsigned i = 0; i + 1 < MEM_SLOTS_MAX; i++)
        CU_ASSERT_EQUAL(mem_punch(&mem, BASE + (2 * i + 1) * PAGE, PAGE), 0);
    CU_ASSERT_EQUAL(mem.nslots, MEM_SLOTS_MAX);
    gpa_t inside = BASE + (4 * MEM_SLOTS_MAX - 4) * PAGE;
    CU_ASSERT_EQUAL(mem_punch(&mem, inside, PAGE), -ENOSPC);
    CU_ASSERT_TRUE(mem_valid(&mem, inside, PAGE));
    CU_ASSERT_EQUAL(mem_punch(&mem, BASE, PAGE), 0); /* removes a slot */
    CU_ASSERT_EQUAL(mem_punch(&mem, inside, PAGE), 0);
    mem_destroy(&mem);
}

/* Pages for loads only: beside RAM, never part of it. */
static void test_rom(void)
{
    struct mem mem;
    uint8_t *host, *other;

    mem_init(&mem);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE, 2 * PAGE), 0);
    CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + PAGE, PAGE, &host), -EEXIST);
    CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + 1, PAGE, &host), -EINVAL);
    CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + 2 * PAGE, PAGE, &host), 0);
    CU_ASSERT_EQUAL(host[PAGE - 1], 0);
    CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + 2 * PAGE, PAGE, &other), -EEXIST);
    CU_ASSERT_EQUAL(mem_add(&mem, BASE + 2 * PAGE, PAGE), -EEXIST);
    CU_ASSERT_EQUAL(mem.nslots, 1);
    CU_ASSERT_PTR_NULL(mem_ptr(&mem, BASE + 2 * PAGE, 1));
    CU_ASSERT_FALSE(mem_valid(&mem, BASE, 2 * PAGE + 1));
    CU_ASSERT_EQUAL(mem_write(&mem, BASE + 2 * PAGE, "x", 1), -EFAULT);
    CU_ASSERT_PTR_EQUAL(mem_rom(&mem, BASE + 2 * PAGE + 8, PAGE - 8), host + 8);
    CU_ASSERT_PTR_NULL(mem_rom(&mem, BASE + 2 * PAGE + 8, PAGE - 7));
    CU_ASSERT_PTR_NULL(mem_rom(&mem, BASE + 2 * PAGE - 1, 1));
    CU_ASSERT_PTR_NULL(mem_rom(&mem, BASE, 1));
    CU_ASSERT_PTR_NULL(mem_rom(&mem, UINT64_MAX, UINT64_MAX));
    CU_ASSERT_EQUAL(mem_move_rom(&mem, BASE, BASE + 4 * PAGE), -ENOENT);
    CU_ASSERT_EQUAL(mem_move_rom(&mem, BASE + 2 * PAGE, BASE), -EEXIST);
    CU_ASSERT_EQUAL(mem_move_rom(&mem, BASE + 2 * PAGE, BASE + 4 * PAGE + 4), -EINVAL);
    CU_ASSERT_EQUAL(mem_move_rom(&mem, BASE + 2 * PAGE, BASE + 2 * PAGE), 0);
    CU_ASSERT_EQUAL(mem_move_rom(&mem, BASE + 2 * PAGE, BASE + 4 * PAGE), 0);
    CU_ASSERT_PTR_NULL(mem_rom(&mem, BASE + 2 * PAGE, 1));
    CU_ASSERT_PTR_EQUAL(mem_rom(&mem, BASE + 4 * PAGE, PAGE), host);
    for (unsigned i = 1; i < MEM_ROM_MAX; i++)
        CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + (8 + i) * PAGE, PAGE, &other), 0);
    CU_ASSERT_EQUAL(mem_add_rom(&mem, BASE + 100 * PAGE, PAGE, &other), -ENOSPC);
    mem_destroy(&mem);
}

void suite_mem(void)
{
    CU_pSuite suite = CU_add_suite("mem", NULL, NULL);
    CU_add_test(suite, "slots are added sorted, bad ones refused", test_add);
    CU_add_test(suite, "as many slots as there is room for", test_add_limit);
    CU_add_test(suite, "pointers and validity at every edge", test_ptr);
    CU_add_test(suite, "copies span adjacent slots, whole or not at all", test_copy_over_slots);
    CU_add_test(suite, "zeroing", test_zero);
    CU_add_test(suite, "holes", test_punch);
    CU_add_test(suite, "as many holes as there is room for", test_punch_limit);
    CU_add_test(suite, "pages for loads only", test_rom);
}
