/* main.c: device registers by every load and store, an interrupt of a device, Tollgate's exit.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor owes it: results of loads from devices extended as the instruction says, access
 * faults with the right registers where a device takes no such access, a device's interrupt in
 * sip through the PLIC, and the end of the machine with the status that the exit service got.
 */
#include "guest/abi/platform.h"
#include "guest/abi/tg.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

/* A scratch register of one byte, and 32 bits that keep what is written. */
#define UART_IER  (PLAT_UART_BASE + 1)
#define UART_IIR  (PLAT_UART_BASE + 2)
#define UART_MCR  (PLAT_UART_BASE + 4)
#define UART_SCR  (PLAT_UART_BASE + 7)
#define UART_THRI 0x02

/* The PLIC of hart 0's S-mode, which is context 1. */
#define PLIC_PRIORITY(source) (PLAT_PLIC_BASE + 4 * (source))
#define PLIC_ENABLE(word)     (PLAT_PLIC_BASE + 0x2080 + 4 * (word))
#define PLIC_THRESHOLD        (PLAT_PLIC_BASE + 0x201000)
#define PLIC_CLAIM            (PLAT_PLIC_BASE + 0x201004)

#define WAIT_LIMIT 100000000 /* 10 s */

/* Loads with an instruction of one's choice into a register that held something else. */
#define LOAD(insn, addr)                                                                       \
    (__extension__({                                                                           \
        uint64_t value_ = 0x5555555555555555;                                                  \
        __asm__ volatile(".option push\n.option norvc\n" insn " %0, 0(%1)\n.option pop"        \
                         : "+r"(value_)                                                        \
                         : "r"((uint64_t)(addr))                                               \
                         : "memory");                                                          \
        value_;                                                                                \
    }))

static void write8(uint64_t addr, uint8_t value)
{
    *(volatile uint8_t *)addr = value;
}

static void write32(uint64_t addr, uint32_t value)
{
    *(volatile uint32_t *)addr = value;
}

static uint64_t load_compressed(uint64_t addr)
{
    register uint64_t a0 __asm__("a0") = addr;

    __asm__ volatile("c.lw a0, 0(a0)" : "+r"(a0) : : "memory");
    return a0;
}

static void load_test(const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        print("# got 0x%lx, not 0x%lx\n", got, want);
    tap_ok(got == want, "%s", what);
}

static void loads_test(void)
{
    write8(UART_SCR, 0x85);
    load_test("lb of a byte with its sign bit set", LOAD("lb", UART_SCR), 0xffffffffffffff85);
    load_test("lbu of it", LOAD("lbu", UART_SCR), 0x85);
    write8(UART_SCR, 0x7a);
    load_test("lb of a byte without it", LOAD("lb", UART_SCR), 0x7a);
    write8(UART_MCR, 0x0b);
    load_test("lh", LOAD("lh", UART_MCR), 0x0b);
    load_test("lhu", LOAD("lhu", UART_MCR), 0x0b);
    write32(PLIC_ENABLE(1), 0x80000001);
    load_test("lw of a word with its sign bit set", LOAD("lw", PLIC_ENABLE(1)),
              0xffffffff80000001);
    load_test("lwu of it", LOAD("lwu", PLIC_ENABLE(1)), 0x80000001);
    load_test("c.lw of it, into the register of the address", load_compressed(PLIC_ENABLE(1)),
              0xffffffff80000001);
    write32(PLIC_ENABLE(1), 0x12345678);
    load_test("lw of a word without it", LOAD("lw", PLIC_ENABLE(1)), 0x12345678);
    write32(PLIC_ENABLE(1), 0xffffffff);
    __asm__ volatile("lw zero, 0(%0)" : : "r"((uint64_t)PLIC_ENABLE(1)));
    load_test("lw into x0 goes on behind it", LOAD("lw", PLIC_ENABLE(1)), ~0ul);
    __asm__ volatile("sw zero, 0(%0)" : : "r"((uint64_t)PLIC_ENABLE(1)) : "memory");
    load_test("sw of x0 after it stores 0", LOAD("lw", PLIC_ENABLE(1)), 0);
}

static uint64_t load_refused(uint64_t addr, uint64_t kept)
{
    register uint64_t a2 __asm__("a2") = kept;

    __asm__ volatile("ld %0, 8(%1)" : "+r"(a2) : "r"(addr - 8) : "memory");
    return a2;
}

static uint64_t store_refused(uint64_t addr, uint64_t value)
{
    __asm__ volatile("sb %1, 4(%0)" : : "r"(addr - 4), "r"(value) : "memory");
    return 0;
}

static void refusals_test(void)
{
    struct guard g;
    bool back = guard_call(&g, load_refused, PLIC_ENABLE(0), 0x1122334455667788);

    tap_ok(!back && g.cause == CAUSE_LOAD_ACCESS && g.tval == PLIC_ENABLE(0),
           "a load that the device does not take: access fault, stval the address");
    tap_ok(g.x[12] == 0x1122334455667788, "its register is as before");
    back = guard_call(&g, store_refused, PLIC_ENABLE(0), 0xff);
    tap_ok(!back && g.cause == CAUSE_STORE_ACCESS && g.tval == PLIC_ENABLE(0),
           "a store that the device does not take: access fault, stval the address");
    tap_ok(LOAD("lwu", PLIC_ENABLE(0)) == 0, "the device is as before");
}

static bool external_await(bool pending)
{
    uint64_t start = time_now();

    while (!(csr_read(sip) & SIP_SEIP) == pending)
        if (time_now() - start > WAIT_LIMIT)
            return false;
    return true;
}

static uint32_t claimed;

static void external_irq(struct trap_frame *frame)
{
    (void)frame;
    claimed = *(volatile uint32_t *)PLIC_CLAIM;
    write8(UART_IER, 0);
    write32(PLIC_CLAIM, claimed);
}

/* The transmitter of the UART is always ready, and says so as soon as it may. */
static void interrupt_test(void)
{
    write32(PLIC_PRIORITY(PLAT_UART_IRQ), 1);
    write32(PLIC_ENABLE(0), 1u << PLAT_UART_IRQ);
    write32(PLIC_THRESHOLD, 0);
    tap_ok(external_await(false), "no interrupt of a device is pending");
    write8(UART_IER, UART_THRI);
    tap_ok(external_await(true), "the UART's is, once it may");
    tap_ok(*(volatile uint32_t *)PLIC_CLAIM == PLAT_UART_IRQ, "the PLIC names the UART");
    tap_ok(external_await(false), "a claimed one is not pending");
    tap_ok((LOAD("lbu", UART_IIR) & 0x0f) == 0x02, "the UART says what it wants");
    write8(UART_IER, 0);
    write32(PLIC_CLAIM, PLAT_UART_IRQ);
    tap_ok(external_await(false), "nor is one that is dealt with");
    trap_set_irq(external_irq);
    csr_write(sie, SIP_SEIP);
    write8(UART_IER, UART_THRI);
    wait_for_interrupt(); /* with SIE clear: goes on when it is pending */
    csr_set(sstatus, SSTATUS_SIE);
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    tap_ok(claimed == PLAT_UART_IRQ, "its handler ran");
}

static void services_test(void)
{
    tap_ok(sbi_present(TG_EXT_EXIT), "the exit service is there");
    tap_ok(!sbi_present(TG_EXT_FIRST - 1), "a number below Tollgate's services is not");
    tap_ok(sbi_call(TG_EXT_EXIT, 99, 0, 0, 0).error == SBI_ERR_NOT_SUPPORTED,
           "the exit service has no function 99");
}

int guest_main(const void *dtb)
{
    int status;

    (void)dtb;
    tap_begin();
    loads_test();
    refusals_test();
    interrupt_test();
    services_test();
    status = tap_end();
    print_flush();
    sbi_call(TG_EXT_EXIT, TG_EXIT_STOP, status ? 1 : 42, 0, 0);
    return 1; /* the service did not end the machine */
}
