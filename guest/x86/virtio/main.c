/* main.c: the guest of virtio's shortcuts: every request is told, and answered by one
 * interrupt. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/stubs.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"
#include "guest/x86/lib/x86.h"
#include "guest/x86/virtio/rng.h"

/*
 * Boot arguments: `all`: entropy devices are in all slots, else in the first one alone. `long`:
 * ten times as many requests. `ready`: says so before the first one. `wide`: stores of 64 bits
 * to QueueNotify, which no device takes.
 *
 * Lines that begin with # tell times, the others are the same in every run.
 */

/* The local APIC (Intel SDM, volume 3, chapter 11) and the I/O APIC (82093AA, section 3). */
#define APIC_EOI      0x0b0
#define APIC_SPURIOUS 0x0f0
#define APIC_ON       0x1ff /* and vector 255 for what is spurious */
#define IOAPIC_DATA   0x10
#define IOAPIC_PIN    0x10 /* two registers for each pin */
#define IOAPIC_MASKED 0x10000
#define VECTOR        0x40

struct interrupt_frame;

static volatile unsigned interrupts[SLOTS];
static volatile unsigned idle; /* interrupts with nothing to see */

static void word_write(uintptr_t at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}

static inline void serve(unsigned slot)
{
    /* First: an edge that comes while the device is looked at is another interrupt. */
    word_write(TG_X86_LOCAL_APIC + APIC_EOI, 0);
    if (rng_acknowledge(slot))
        interrupts[slot]++;
    else
        idle++;
}

#define HANDLER(n)                                                                             \
    __attribute__((interrupt)) static void interrupt_##n(struct interrupt_frame *frame)        \
    {                                                                                          \
        (void)frame;                                                                           \
        serve(n);                                                                              \
    }
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)

static void ioapic_write(unsigned reg, uint32_t value)
{
    word_write(TG_X86_IOAPIC, reg);
    word_write(TG_X86_IOAPIC + IOAPIC_DATA, value);
}

/* Fixed delivery to the first hart, by edges, active high: what ACPI says of the lines. */
static void lines_open(unsigned devices)
{
    void (*const handler[SLOTS])(struct interrupt_frame *) = {
        interrupt_0, interrupt_1, interrupt_2, interrupt_3,
        interrupt_4, interrupt_5, interrupt_6, interrupt_7,
    };

    word_write(TG_X86_LOCAL_APIC + APIC_SPURIOUS, APIC_ON);
    for (unsigned i = 0; i < devices; i++) {
        unsigned pin = IOAPIC_PIN + 2 * (TG_X86_VIRTIO_IRQ + i);

        trap_gate_set(VECTOR + i, (void (*)(void))(uintptr_t)handler[i], 0);
        ioapic_write(pin + 1, 0);
        ioapic_write(pin, VECTOR + i);
    }
}

/* Sleeps until the device has interrupted that often; `sti` lets none in before `hlt`. */
static void interrupts_await(unsigned slot, unsigned count)
{
    while (interrupts[slot] != count)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static void answer_await(unsigned slot)
{
    while (!rng_answered(slot))
        __asm__ volatile("pause" ::: "memory");
}

static void time_tell(const char *what, uint64_t cycles, unsigned count)
{
    uint64_t mhz = cpuid_get(TG_X86_CPUID + 2).a / 1000;

    print("# %u ns a request, %s\n", (unsigned)(cycles * 1000 / (mhz ? mhz : 1) / count), what);
}

/* Request after request: each is answered, by exactly one interrupt. */
static void test_sleeping(unsigned slot, unsigned count)
{
    unsigned before = interrupts[slot], filled = 0;
    uint64_t cycles = 0;

    for (unsigned i = 1; i <= count; i++) {
        uint64_t begin = cycles_now();

        rng_ask(slot, false);
        interrupts_await(slot, before + i);
        cycles += cycles_now() - begin;
        filled += rng_answered(slot) && rng_filled(slot);
    }
    time_tell("asleep", cycles, count);
    tap_ok(filled == count && interrupts[slot] == before + count,
           "slot %u: %u requests, %u answers, %u interrupts", slot, count, filled,
           interrupts[slot] - before);
}

/* The device does not interrupt who does not want it. */
static void test_polling(unsigned slot, unsigned count)
{
    unsigned before = interrupts[slot], filled = 0;
    uint64_t cycles = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t begin = cycles_now();

        rng_ask(slot, true);
        answer_await(slot);
        cycles += cycles_now() - begin;
        filled += rng_filled(slot);
    }
    time_tell("polling", cycles, count);
    __asm__ volatile("sti; nop; cli" ::: "memory");
    tap_ok(filled == count && interrupts[slot] == before,
           "slot %u: %u quiet requests, %u answers, %u interrupts", slot, count, filled,
           interrupts[slot] - before);
}

/* All devices at work at the same time. */
static void test_together(unsigned devices, unsigned rounds)
{
    unsigned before[SLOTS], filled = 0, came = 0;
    uint64_t cycles = 0;

    for (unsigned i = 0; i < devices; i++)
        before[i] = interrupts[i];
    for (unsigned round = 1; round <= rounds; round++) {
        uint64_t begin = cycles_now();

        for (unsigned i = 0; i < devices; i++)
            rng_ask(i, false);
        for (unsigned i = 0; i < devices; i++)
            interrupts_await(i, before[i] + round);
        cycles += cycles_now() - begin;
        for (unsigned i = 0; i < devices; i++)
            filled += rng_answered(i) && rng_filled(i);
    }
    for (unsigned i = 0; i < devices; i++)
        came += interrupts[i] - before[i];
    time_tell("together", cycles, devices * rounds);
    tap_ok(filled == devices * rounds && came == devices * rounds,
           "together: %u answers, %u interrupts", filled, came);
}

/*
 * A line that is masked loses its edge, as on a PC, and the device does not know: its next
 * request must interrupt although nobody has acknowledged the one before.
 */
static void test_masked(unsigned slot)
{
    unsigned pin = IOAPIC_PIN + 2 * (TG_X86_VIRTIO_IRQ + slot), before = interrupts[slot];

    ioapic_write(pin, IOAPIC_MASKED | (VECTOR + slot));
    rng_ask(slot, false);
    answer_await(slot);
    while (!rng_interrupts(slot))
        ;
    ioapic_write(pin, VECTOR + slot);
    rng_ask(slot, false);
    while (interrupts[slot] == before)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    answer_await(slot);
    tap_ok(rng_filled(slot), "a request behind one whose edge was masked");
}

/* Values that name no queue of the device: nobody answers, and the next request is as ever. */
static void test_no_queue(unsigned slot)
{
    unsigned before = interrupts[slot];

    rng_write(slot, NOTIFY_REG, 1);
    rng_write(slot, NOTIFY_REG, 0x10000);
    rng_write(slot, NOTIFY_REG, UINT32_MAX);
    rng_ask(slot, false);
    interrupts_await(slot, before + 1);
    tap_ok(rng_filled(slot), "stores that name no queue do nothing");
}

/*
 * A device that is reset while it is told: what was asked before is answered or not, nothing of
 * it comes behind the reset, and all that is asked then is answered.
 */
static void test_reset(unsigned slot, unsigned count)
{
    unsigned before, started = 0, filled = 0;

    for (unsigned i = 0; i < count; i++) {
        rng_ask(slot, false);
        rng_reset(slot);
        started += rng_start(slot);
        __asm__ volatile("sti; nop; cli" ::: "memory");
        before = interrupts[slot];
        rng_ask(slot, false);
        interrupts_await(slot, before + 1);
        filled += rng_filled(slot);
    }
    tap_ok(started == count && filled == count, "%u resets behind a request", count);
}

int guest_main(const void *info)
{
    unsigned devices = fdt_bootarg(info, "all") ? SLOTS : 1;
    unsigned count = fdt_bootarg(info, "long") ? 500 : 50;

    tap_begin();
    for (unsigned i = 0; i < devices; i++)
        if (!tap_ok(rng_start(i), "slot %u: an entropy device", i))
            return tap_end();
    if (fdt_bootarg(info, "wide")) {
        print_flush();
        *(volatile uint64_t *)(TG_X86_VIRTIO + NOTIFY_REG) = 0;
    }
    lines_open(devices);
    if (fdt_bootarg(info, "ready"))
        print("# ready\n");
    for (unsigned i = 0; i < devices; i++) {
        test_sleeping(i, count);
        test_polling(i, count);
    }
    test_together(devices, count);
    test_no_queue(0);
    print("# %u interrupts with nothing to see\n", idle);
    test_reset(0, count);
    test_masked(0);
    return tap_end();
}
