/* main.c: the guest of the event service on x86-64, with interrupts of the local APIC. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/event/events.h"

#include "guest/abi/tg.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"
#include "guest/x86/lib/x86.h"

/* The local APIC's registers and its timer (Intel SDM, volume 3, chapter 11). */
#define APIC          UINT64_C(0xfee00000)
#define APIC_EOI      0x0b0
#define APIC_SPURIOUS 0x0f0
#define APIC_LVT      0x320
#define APIC_INITIAL  0x380
#define APIC_DIVIDE   0x3e0
#define APIC_ON       0x1ff /* and vector 255 for what is spurious */
#define APIC_PERIODIC 0x20000
#define DIVIDE_1      0xb
#define VECTOR        0x40
#define COUNT         1000000 /* 1 ms: KVM's runs at 1 GHz */

struct interrupt_frame;

static volatile unsigned interrupts;

static void apic_write(unsigned reg, uint32_t value)
{
    *(volatile uint32_t *)(APIC + reg) = value;
}

__attribute__((interrupt)) static void tick(struct interrupt_frame *frame)
{
    (void)frame;
    interrupts++;
    apic_write(APIC_EOI, 0);
}

/* What ends a wait that no event ends: 0 after the interrupt, or at the time. */
static void test_interrupt(void)
{
    uint64_t due = now_ns() + 5 * MS;
    struct tg_ret r;

    trap_gate_set(VECTOR, (void (*)(void))(uintptr_t)tick, 0);
    apic_write(APIC_SPURIOUS, APIC_ON);
    apic_write(APIC_DIVIDE, DIVIDE_1);
    apic_write(APIC_LVT, VECTOR);
    apic_write(APIC_INITIAL, COUNT);
    r = tg_event_wait(due);
    tap_ok(is(r, 0, 0) && now_ns() >= due && interrupts == 0,
           "with interrupts off none ends the wait");
    __asm__ volatile("sti" ::: "memory"); /* it is taken now */
    while (interrupts == 0)
        ;
    __asm__ volatile("cli" ::: "memory");
    tap_ok(interrupts == 1, "but none is lost");
    apic_write(APIC_LVT, VECTOR | APIC_PERIODIC); /* one may come before the wait begins */
    apic_write(APIC_INITIAL, 5 * COUNT);
    __asm__ volatile("sti" ::: "memory");
    do /* it may end too often, not too seldom */
        r = tg_event_wait(TG_EVENT_FOREVER);
    while (is(r, 0, 0) && interrupts == 1);
    __asm__ volatile("cli" ::: "memory");
    tap_ok(is(r, 0, 0) && interrupts > 1, "an interrupt that is taken ends the wait");
}

/* Interrupts that come all the time take nothing away. */
static void test_between(void)
{
    uint64_t id = tg_event_timer(now_ns() + 20 * MS, 0).value;
    unsigned before = interrupts;
    struct tg_ret r;

    __asm__ volatile("sti" ::: "memory");
    do
        r = tg_event_wait(TG_EVENT_FOREVER);
    while (is(r, 0, 0));
    __asm__ volatile("cli" ::: "memory");
    apic_write(APIC_INITIAL, 0);
    tap_ok(is(r, 0, id) && interrupts > before, "those that are served do not disturb it");
    tg_event_cancel(id);
}

static volatile unsigned early;

/* Sleeps, within a wait, until the next interrupt. */
__attribute__((interrupt)) static void sleeper(struct interrupt_frame *frame)
{
    unsigned before = interrupts;

    (void)frame;
    apic_write(APIC_EOI, 0);
    apic_write(APIC_LVT, VECTOR);
    apic_write(APIC_INITIAL, 20 * COUNT);
    __asm__ volatile("sti\n\thlt\n\tcli" ::: "memory");
    early += interrupts == before;
}

/* The time of a wait comes while the guest itself has executed HLT. */
static void test_asleep(void)
{
    unsigned before = interrupts;
    struct tg_ret r;

    trap_gate_set(VECTOR + 1, (void (*)(void))(uintptr_t)sleeper, 0);
    apic_write(APIC_LVT, VECTOR + 1);
    apic_write(APIC_INITIAL, 3 * COUNT);
    __asm__ volatile("sti" ::: "memory");
    do
        r = tg_event_wait(now_ns() + 10 * MS);
    while (is(r, 0, 0) && interrupts == before);
    __asm__ volatile("cli" ::: "memory");
    tap_ok(is(r, 0, 0) && early == 0, "its time does not end a hlt");
}

int guest_main(const void *info)
{
    int result;

    if (events_asked(info, &result))
        return result;
    tap_begin();
    events_test_timers();
    test_interrupt();
    test_between();
    test_asleep();
    events_test_refused();
    return tap_end();
}
