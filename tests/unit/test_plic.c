/* test_plic.c: the interrupt controller, through its registers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/fdt.h"
#include "vmm/irq.h"

extern const struct module module_plic;

#define PRIORITY(source) (PLAT_PLIC_BASE + 4 * (gpa_t)(source))
#define PENDING(word)    (PLAT_PLIC_BASE + 0x1000 + 4 * (gpa_t)(word))
#define ENABLE(context, word)                                                                  \
    (PLAT_PLIC_BASE + 0x2000 + 0x80 * (gpa_t)(context) + 4 * (gpa_t)(word))
#define THRESHOLD(context) (PLAT_PLIC_BASE + 0x200000 + 0x1000 * (gpa_t)(context))
#define CLAIM(context)     (THRESHOLD(context) + 4)

#define S_CONTEXT(hart) (2 * (hart) + 1)
#define M_CONTEXT(hart) (2 * (hart))

static struct fixture f;

static uint32_t get(gpa_t gpa)
{
    return (uint32_t)fixture_read(&f, gpa, 4);
}

static void put(gpa_t gpa, uint32_t value)
{
    fixture_write(&f, gpa, 4, value);
}

static void setup(enum start_kind start)
{
    fixture_init(&f, start, 2, CONSOLE_NONE);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_plic, NULL, NULL), 0);
    CU_ASSERT_EQUAL(f.vm.irq.phandle, FDT_PHANDLE_PLIC);
}

static void test_flow(void)
{
    setup(START_KERNEL);
    put(PRIORITY(10), 1);
    put(ENABLE(S_CONTEXT(0), 0), 1u << 10);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);

    irq_set(&f.vm, 10, true);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_FALSE(f.irq[1][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(PENDING(0)), 1u << 10);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 10);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(PENDING(0)), 0);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 0);

    /* The wire is still high: a new request follows completion, and only that. */
    irq_set(&f.vm, 10, true);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    put(CLAIM(S_CONTEXT(0)), 10);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 10);
    irq_set(&f.vm, 10, false);
    put(CLAIM(S_CONTEXT(0)), 10);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);

    /* A request that was let through stays when the wire falls. */
    irq_set(&f.vm, 10, true);
    irq_set(&f.vm, 10, false);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 10);
    put(CLAIM(S_CONTEXT(0)), 10);
    CU_ASSERT_EQUAL(get(PENDING(0)), 0);
    fixture_destroy(&f);
}

static void test_order(void)
{
    static const unsigned sources[] = {95, 3, 40, 64, 33};
    static const unsigned priority[] = {7, 2, 7, 2, 1};
    static const unsigned expected[] = {40, 95, 3, 64, 33, 0};
    setup(START_KERNEL);
    for (unsigned word = 0; word < 3; word++)
        put(ENABLE(S_CONTEXT(1), word), UINT32_MAX);
    for (unsigned i = 0; i < 5; i++) {
        put(PRIORITY(sources[i]), priority[i]);
        irq_set(&f.vm, sources[i], true);
    }
    CU_ASSERT_EQUAL(get(PENDING(2)), 1u | 1u << 31);
    for (unsigned i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(1))), expected[i]);
    CU_ASSERT_FALSE(f.irq[1][IRQ_S_EXT]);
    fixture_destroy(&f);
}

static void test_threshold(void)
{
    setup(START_KERNEL);
    put(PRIORITY(1), 3);
    put(ENABLE(S_CONTEXT(0), 0), 2);
    put(THRESHOLD(S_CONTEXT(0)), 3);
    irq_set(&f.vm, 1, true);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    put(THRESHOLD(S_CONTEXT(0)), 2);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    put(THRESHOLD(S_CONTEXT(0)), 7);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    /* A claim does not look at it. */
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 1);
    put(CLAIM(S_CONTEXT(0)), 1);

    /* Priority 0 never interrupts, nor can it be claimed. */
    put(THRESHOLD(S_CONTEXT(0)), 0);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    put(PRIORITY(1), 0);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 0);
    CU_ASSERT_EQUAL(get(PENDING(0)), 2);
    fixture_destroy(&f);
}

static void test_completion(void)
{
    setup(START_KERNEL);
    put(PRIORITY(4), 1);
    put(ENABLE(S_CONTEXT(0), 0), 1u << 4);
    irq_set(&f.vm, 4, true);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 4);
    put(CLAIM(S_CONTEXT(1)), 4); /* not enabled there */
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    put(CLAIM(S_CONTEXT(0)), 96);
    put(CLAIM(S_CONTEXT(0)), UINT32_MAX);
    put(CLAIM(S_CONTEXT(0)), 0);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    /* Another context where it is enabled may complete it. */
    put(ENABLE(S_CONTEXT(1), 0), 1u << 4);
    put(CLAIM(S_CONTEXT(1)), 4);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_TRUE(f.irq[1][IRQ_S_EXT]);
    /* Whoever claims first gets it; the other's notification goes. */
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(1))), 4);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(CLAIM(S_CONTEXT(0))), 0);
    fixture_destroy(&f);
}

static void test_registers(void)
{
    setup(START_KERNEL);
    put(PRIORITY(1), 0xfffffff9);
    CU_ASSERT_EQUAL(get(PRIORITY(1)), 1);
    put(PRIORITY(0), 7);
    CU_ASSERT_EQUAL(get(PRIORITY(0)), 0);
    put(PRIORITY(96), 7);
    CU_ASSERT_EQUAL(get(PRIORITY(96)), 0);
    put(THRESHOLD(1), UINT32_MAX);
    CU_ASSERT_EQUAL(get(THRESHOLD(1)), 7);
    put(ENABLE(3, 0), UINT32_MAX);
    CU_ASSERT_EQUAL(get(ENABLE(3, 0)), 0xfffffffe);
    put(ENABLE(3, 2), UINT32_MAX);
    CU_ASSERT_EQUAL(get(ENABLE(3, 2)), UINT32_MAX);
    put(ENABLE(3, 3), UINT32_MAX);
    CU_ASSERT_EQUAL(get(ENABLE(3, 3)), 0);
    put(PENDING(0), UINT32_MAX);
    CU_ASSERT_EQUAL(get(PENDING(0)), 0);
    /* Contexts of harts that do not exist, and the last word of the window. */
    put(ENABLE(4, 0), UINT32_MAX);
    CU_ASSERT_EQUAL(get(ENABLE(4, 0)), 0);
    put(THRESHOLD(4), 1);
    CU_ASSERT_EQUAL(get(THRESHOLD(4)), 0);
    CU_ASSERT_EQUAL(get(CLAIM(4)), 0);
    CU_ASSERT_EQUAL(get(THRESHOLD(0) + 8), 0);
    put(PLAT_PLIC_BASE + PLAT_PLIC_SIZE - 4, 1);
    CU_ASSERT_EQUAL(get(PLAT_PLIC_BASE + PLAT_PLIC_SIZE - 4), 0);
    CU_ASSERT(fixture_refused(&f, PRIORITY(1), 1));
    CU_ASSERT(fixture_refused(&f, PRIORITY(2), 8));
    CU_ASSERT(fixture_refused(&f, PRIORITY(1) + 2, 4));
    fixture_destroy(&f);
}

static void test_modes(void)
{
    setup(START_FIRMWARE);
    put(PRIORITY(1), 1);
    put(ENABLE(M_CONTEXT(1), 0), 2);
    irq_set(&f.vm, 1, true);
    CU_ASSERT_TRUE(f.irq[1][IRQ_M_EXT]);
    CU_ASSERT_FALSE(f.irq[1][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(CLAIM(M_CONTEXT(1))), 1);
    fixture_destroy(&f);

    /* A kernel has the same contexts, but no M-mode behind them. */
    setup(START_KERNEL);
    put(PRIORITY(1), 1);
    put(ENABLE(M_CONTEXT(1), 0), 2);
    irq_set(&f.vm, 1, true);
    CU_ASSERT_EQUAL(f.irq_calls[1], 0);
    CU_ASSERT_EQUAL(get(CLAIM(M_CONTEXT(1))), 1);
    fixture_destroy(&f);
}

static void test_reset(void)
{
    setup(START_KERNEL);
    put(PRIORITY(1), 1);
    put(ENABLE(1, 0), 2);
    put(THRESHOLD(3), 5);
    irq_set(&f.vm, 1, true);
    CU_ASSERT_TRUE(f.irq[0][IRQ_S_EXT]);
    module_plic.reset(f.inst[0].self);
    CU_ASSERT_FALSE(f.irq[0][IRQ_S_EXT]);
    CU_ASSERT_EQUAL(get(PRIORITY(1)), 0);
    CU_ASSERT_EQUAL(get(ENABLE(1, 0)), 0);
    CU_ASSERT_EQUAL(get(THRESHOLD(3)), 0);
    CU_ASSERT_EQUAL(get(PENDING(0)), 0);
    fixture_destroy(&f);
}

static void check_tree(enum start_kind start, uint32_t machine)
{
    setup(start);
    const void *tree = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    int node = fdt_path_offset(tree, "/plic@c000000");
    CU_ASSERT_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, "sifive,plic-1.0.0"), 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, "riscv,plic0"), 0);
    CU_ASSERT_EQUAL(fdt_get_phandle(tree, node), FDT_PHANDLE_PLIC);
    int len;
    const fdt32_t *cells = fdt_getprop(tree, node, "interrupts-extended", &len);
    CU_ASSERT_EQUAL_FATAL(len, 2 * 4 * 4);
    const uint32_t expected[] = {
        FDT_PHANDLE_HART_INTC(0), machine, FDT_PHANDLE_HART_INTC(0), IRQ_S_EXT,
        FDT_PHANDLE_HART_INTC(1), machine, FDT_PHANDLE_HART_INTC(1), IRQ_S_EXT};
    for (unsigned i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(fdt32_to_cpu(cells[i]), expected[i]);
    fixture_destroy(&f);
}

static void test_tree(void)
{
    check_tree(START_KERNEL, UINT32_MAX);
    check_tree(START_FIRMWARE, IRQ_M_EXT);
}

void suite_plic(void)
{
    CU_pSuite suite = CU_add_suite("plic", NULL, NULL);

    CU_add_test(suite, "request, claim, completion", test_flow);
    CU_add_test(suite, "priorities and ties", test_order);
    CU_add_test(suite, "thresholds and priority 0", test_threshold);
    CU_add_test(suite, "who may complete", test_completion);
    CU_add_test(suite, "registers are WARL", test_registers);
    CU_add_test(suite, "M and S contexts", test_modes);
    CU_add_test(suite, "reset", test_reset);
    CU_add_test(suite, "device tree", test_tree);
}
