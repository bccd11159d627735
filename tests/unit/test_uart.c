/* test_uart.c: the serial port, through its registers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <libfdt.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/irq.h"

extern const struct module module_uart16550a;

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

#define IDLE 0x60 /* LSR: THRE and TEMT */
#define NONE 0x01 /* IIR: no interrupt */

static struct fixture f;
static bool line;

static void note_line(void *self, unsigned gsi, bool level)
{
    (void)self;
    CU_ASSERT_EQUAL(gsi, PLAT_UART_IRQ);
    CU_ASSERT_NOT_EQUAL(level, line); /* told of changes only */
    line = level;
}

static uint8_t get(unsigned reg)
{
    return (uint8_t)fixture_read(&f, PLAT_UART_BASE + reg, 1);
}

static void put(unsigned reg, uint8_t value)
{
    fixture_write(&f, PLAT_UART_BASE + reg, 1, value);
}

static void setup(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_SERIAL);
    line = false;
    CU_ASSERT_EQUAL(irq_controller(&f.vm, note_line, NULL, 1), 0);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_uart16550a, NULL, NULL), 0);
}

static void test_registers(void)
{
    setup();
    CU_ASSERT_EQUAL(get(IER), 0);
    CU_ASSERT_EQUAL(get(IIR), NONE);
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_EQUAL(get(MSR), 0xb0);
    put(SCR, 0xa5);
    CU_ASSERT_EQUAL(get(SCR), 0xa5);
    put(IER, 0xff);
    CU_ASSERT_EQUAL(get(IER), 0x0f);
    put(IER, 0);
    put(MCR, 0xef); /* all but loopback */
    CU_ASSERT_EQUAL(get(MCR), 0x0f);

    put(LCR, 0x83);
    put(DATA, 0x12);
    put(IER, 0x34);
    CU_ASSERT_EQUAL(get(DATA), 0x12);
    CU_ASSERT_EQUAL(get(IER), 0x34);
    put(LCR, 0x03);
    CU_ASSERT_EQUAL(get(LCR), 0x03);
    CU_ASSERT_EQUAL(get(IER), 0);
    CU_ASSERT(fixture_printed(&f, ""));

    put(FCR, 0x01);
    CU_ASSERT_EQUAL(get(IIR), 0xc0 | NONE);
    put(FCR, 0x00);
    CU_ASSERT_EQUAL(get(IIR), NONE);

    /* Any size reaches one register; the rest of the window is empty. */
    fixture_write(&f, PLAT_UART_BASE, 4, 'w' | 0x4100);
    fixture_write(&f, PLAT_UART_BASE, 8, 'x');
    CU_ASSERT(fixture_printed(&f, "wx"));
    put(8, 0xff);
    CU_ASSERT_EQUAL(get(8), 0);
    CU_ASSERT_EQUAL(get(PLAT_UART_SIZE - 1), 0);
    CU_ASSERT(fixture_refused(&f, PLAT_UART_BASE + PLAT_UART_SIZE, 1));

    put(SCR, 1);
    put(IER, 2);
    CU_ASSERT_TRUE(line);
    module_uart16550a.reset(f.inst[0].self);
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(SCR) | get(IER) | get(LCR) | get(MCR), 0);
    fixture_destroy(&f);
}

static void test_transmit(void)
{
    setup();
    put(DATA, 'h');
    put(DATA, 'i');
    CU_ASSERT(fixture_printed(&f, "hi"));
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_FALSE(line);

    /* Enabling it while THR is empty raises it; reading IIR takes it. */
    put(IER, 0x02);
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(IIR), 0x02);
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(IIR), NONE);
    /* Written again with the bit still set: nothing new. */
    put(IER, 0x02);
    CU_ASSERT_FALSE(line);
    put(DATA, '!');
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(IIR), 0x02);
    CU_ASSERT_FALSE(line);
    put(IER, 0x00);
    put(IER, 0x02);
    CU_ASSERT_TRUE(line);
    put(IER, 0x00);
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(IIR), NONE);
    fixture_destroy(&f);
}

static void test_receive(void)
{
    setup();
    put(FCR, 0x41); /* trigger at 4 */
    put(IER, 0x01);
    CU_ASSERT_FALSE(line);
    fixture_type(&f, "abc");
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(IIR), 0xcc); /* below the trigger: time-out */
    CU_ASSERT_TRUE(line);            /* only reading RBR ends it */
    fixture_type(&f, "d");
    CU_ASSERT_EQUAL(get(IIR), 0xc4);
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    CU_ASSERT_EQUAL(get(DATA), 'a');
    CU_ASSERT_EQUAL(get(IIR), 0xcc);
    CU_ASSERT_EQUAL(get(DATA), 'b');
    CU_ASSERT_EQUAL(get(DATA), 'c');
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(DATA), 'd');
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_EQUAL(get(DATA), 0);

    /* Received data comes before the transmitter. */
    fixture_type(&f, "e");
    put(IER, 0x03);
    CU_ASSERT_EQUAL(get(IIR), 0xcc);
    CU_ASSERT_EQUAL(get(DATA), 'e');
    CU_ASSERT_EQUAL(get(IIR), 0xc2);
    CU_ASSERT_FALSE(line);
    fixture_destroy(&f);
}

/* What Linux does to a port when it starts it must not eat input that was there before. */
static void test_driver_start(void)
{
    setup();
    fixture_type(&f, "ls\n");
    put(FCR, 0x01);
    put(FCR, 0x07);
    put(FCR, 0x00);
    (void)get(LSR);
    (void)get(DATA);
    (void)get(IIR);
    (void)get(MSR);
    put(LCR, 0x03);
    put(MCR, 0x08);
    put(IER, 0x02);
    (void)get(LSR);
    (void)get(IIR);
    put(IER, 0x00);
    (void)get(LSR);
    (void)get(DATA);
    (void)get(IIR);
    (void)get(MSR);
    CU_ASSERT_EQUAL(console_pending(&f.vm.console, CONSOLE_SERIAL), 3);
    put(FCR, 0x07);
    put(IER, 0x05);
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(DATA), 'l');
    CU_ASSERT_EQUAL(get(DATA), 's');
    CU_ASSERT_EQUAL(get(DATA), '\n');
    CU_ASSERT_FALSE(line);
    fixture_destroy(&f);
}

static void test_polling(void)
{
    setup();
    fixture_type(&f, "xy");
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    put(DATA, '>'); /* output in between changes nothing */
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    CU_ASSERT_EQUAL(get(DATA), 'x');
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    CU_ASSERT_EQUAL(get(DATA), 'y');
    for (unsigned i = 0; i < 4; i++) /* the later ones at a glance */
        CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_FALSE(line);
    fixture_type(&f, "z");
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    CU_ASSERT_EQUAL(get(DATA), 'z');
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    put(LCR, 0x03); /* the port is programmed: polls count anew */
    fixture_type(&f, "w");
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    fixture_destroy(&f);
}

static void test_loopback(void)
{
    setup();
    put(FCR, 0x01);
    put(MCR, 0x10);
    CU_ASSERT_EQUAL(get(MSR), 0x0b); /* CTS, DSR and DCD fell */
    CU_ASSERT_EQUAL(get(MSR), 0x00);
    put(MCR, 0x1f);
    CU_ASSERT_EQUAL(get(MSR), 0xfb); /* TERI is the falling edge only */
    put(MCR, 0x1a);
    CU_ASSERT_EQUAL(get(MSR), 0x96);

    /* What the user types waits outside. */
    put(IER, 0x04);
    fixture_type(&f, "u");
    CU_ASSERT_EQUAL(get(LSR) & get(LSR), IDLE);
    for (unsigned i = 0; i < 16; i++)
        put(DATA, (uint8_t)('A' + i));
    CU_ASSERT_FALSE(line);
    put(DATA, 'Z');
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(IIR), 0xc6);
    CU_ASSERT_EQUAL(get(LSR), IDLE | 3);
    CU_ASSERT_FALSE(line);
    CU_ASSERT_EQUAL(get(LSR), IDLE | 1);
    for (unsigned i = 0; i < 16; i++)
        CU_ASSERT_EQUAL(get(DATA), 'A' + i);
    CU_ASSERT_EQUAL(get(LSR), IDLE);
    CU_ASSERT(fixture_printed(&f, ""));

    put(DATA, 'q');
    put(FCR, 0x03);
    CU_ASSERT_EQUAL(get(LSR), IDLE); /* cleared */
    put(FCR, 0x00);
    put(DATA, '1');
    put(DATA, '2'); /* without FIFO the new byte replaces the old */
    CU_ASSERT_EQUAL(get(LSR), IDLE | 3);
    CU_ASSERT_EQUAL(get(DATA), '2');

    put(MCR, 0x00);
    put(IER, 0x01);
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(DATA), 'u');
    fixture_destroy(&f);
}

static void test_modem(void)
{
    setup();
    put(IER, 0x08);
    CU_ASSERT_FALSE(line);
    put(MCR, 0x10);
    CU_ASSERT_TRUE(line);
    CU_ASSERT_EQUAL(get(IIR), 0x00);
    (void)get(MSR);
    CU_ASSERT_FALSE(line);
    fixture_destroy(&f);
}

static void test_tree(void)
{
    setup();
    const void *tree = fixture_fdt(&f);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    int node = fdt_path_offset(tree, "/serial@10000000");
    CU_ASSERT_FATAL(node >= 0);
    CU_ASSERT_EQUAL(fdt_node_check_compatible(tree, node, "ns16550a"), 0);
    const fdt32_t *irq = fdt_getprop(tree, node, "interrupts", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(irq);
    CU_ASSERT_EQUAL(fdt32_to_cpu(*irq), PLAT_UART_IRQ);
    const fdt32_t *clock = fdt_getprop(tree, node, "clock-frequency", NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(clock);
    CU_ASSERT_EQUAL(fdt32_to_cpu(*clock), 3686400);
    fixture_destroy(&f);
}

void suite_uart(void)
{
    CU_pSuite suite = CU_add_suite("uart", NULL, NULL);

    CU_add_test(suite, "registers", test_registers);
    CU_add_test(suite, "transmitter and its interrupt", test_transmit);
    CU_add_test(suite, "receiver, trigger and time-out", test_receive);
    CU_add_test(suite, "a driver's start keeps input", test_driver_start);
    CU_add_test(suite, "a polling guest", test_polling);
    CU_add_test(suite, "loopback and overrun", test_loopback);
    CU_add_test(suite, "modem status interrupt", test_modem);
    CU_add_test(suite, "device tree", test_tree);
}
