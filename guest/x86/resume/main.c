/* main.c: a machine that is saved while it runs and goes on in another process, unchanged. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When everything is set up it prints "# ready", again and again, with a pattern in its
 * registers and interrupts of its local APIC's timer, until an x is typed. Save it before, load
 * it where one is typed: registers, MSRs, memory, the chips in the host's kernel, the timer,
 * the time, and the states of the other harts must be as they were. Hart 1 counts all the time,
 * hart 2 sleeps until it gets an interrupt, hart 3 has not begun. With the boot argument tg.sse
 * the SSE registers are looked at, too.
 */
#include "guest/abi/stubs.h"
#include "guest/abi/tg.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"
#include "guest/x86/lib/x86.h"
#include "guest/x86/resume/resume.h"

#define WORDS 16384u

#define VECTOR_TICK     0x40u
#define VECTOR_WAKE     0x41u
#define VECTOR_SPURIOUS 0x4fu

/* Local APIC (Intel SDM, volume 3, section 11.4.1). */
#define APIC_EOI          0xb0u
#define APIC_SPURIOUS     0xf0u
#define APIC_ENABLE       0x100u
#define APIC_COMMAND_LOW  0x300u
#define APIC_COMMAND_HIGH 0x310u
#define APIC_INIT         0x4500u
#define APIC_SIPI         0x4600u
#define APIC_FIXED        0x4000u
#define APIC_TIMER        0x320u
#define APIC_PERIODIC     0x20000u
#define APIC_TIMER_COUNT  0x380u
#define APIC_TIMER_DIVIDE 0x3e0u
#define APIC_DIVIDE_BY_1  0xbu
#define TICK_COUNT        20000000u /* 20 ms in KVM, whose timers count at 1 GHz */

/* I/O APIC (82093AA, section 3.2). */
#define IOAPIC_PIN(n)  (0x10u + 2 * (n))
#define IOAPIC_MASKED  0x10000u
#define IOAPIC_UNUSED  20u /* a pin of a device that is not there */
#define IOAPIC_PATTERN (IOAPIC_MASKED | 0x80a5u)

/* 8259 and 8254. */
#define PIC_MASK_FIRST  0x21u
#define PIC_MASK_SECOND 0xa1u
#define PIT_COUNTER     0x40u
#define PIT_CONTROL     0x43u
#define PIT_MODE        0x34u /* counter 0, both bytes, rate generator */
#define PIT_STATUS      0xe2u /* read back the status of counter 0 */
#define PIT_STATUS_MODE 0x3fu

static uint64_t memory[WORDS];
static uint64_t ticks, newest, newest_ns, backwards;
static volatile uint64_t counter, torn, woken, third;
static volatile uint64_t typed;

struct interrupt_frame;

static volatile uint32_t *apic(unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(LOCAL_APIC + offset);
}

static uint32_t ioapic_get(unsigned index)
{
    *(volatile uint32_t *)TG_X86_IOAPIC = index;
    return *(volatile uint32_t *)(TG_X86_IOAPIC + 0x10);
}

static void ioapic_set(unsigned index, uint32_t value)
{
    *(volatile uint32_t *)TG_X86_IOAPIC = index;
    *(volatile uint32_t *)(TG_X86_IOAPIC + 0x10) = value;
}

static void port_out(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static uint64_t msr_read(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

/* --- interrupts --- */

static __attribute__((interrupt)) void tick(struct interrupt_frame *frame)
{
    uint64_t now = cycles_now(), ns = tg_clock_now().value;

    (void)frame;
    backwards += now < newest;
    backwards += ns < newest_ns;
    newest = now;
    newest_ns = ns;
    if (++ticks % 5 == 0)
        print("# ready\n");
    if (console_getchar() == 'x')
        typed = 1;
    *apic(APIC_EOI) = 0;
}

static __attribute__((interrupt)) void wake(struct interrupt_frame *frame)
{
    (void)frame;
    woken++;
    *apic(APIC_EOI) = 0;
}

static void timer_begin(void)
{
    *apic(APIC_TIMER_DIVIDE) = APIC_DIVIDE_BY_1;
    *apic(APIC_TIMER) = APIC_PERIODIC | VECTOR_TICK;
    *apic(APIC_TIMER_COUNT) = TICK_COUNT;
}

/* --- the other harts --- */

/*
 * One instruction that loads from a device and stores to one: when the machine is saved between
 * the two, both must have been made, once.
 */
static _Noreturn void count_by_devices(void)
{
    volatile uint64_t *from = (volatile uint64_t *)(TG_X86_DOORBELL + TG_DOORBELL_ARG0);
    volatile uint64_t *to = (volatile uint64_t *)(TG_X86_DOORBELL + TG_DOORBELL_ARG1);

    for (;;) {
        volatile uint64_t *source = from, *target = to;

        *from = counter + 1;
        __asm__ volatile("movsq" : "+S"(source), "+D"(target) : : "memory");
        torn += *to != counter + 1 || source != from + 1 || target != to + 1;
        counter++;
    }
}

_Noreturn void other_begin(uint64_t id)
{
    if (id == 1)
        count_by_devices();
    if (id == 2) {
        *apic(APIC_SPURIOUS) = APIC_ENABLE | VECTOR_SPURIOUS;
        woken = 1;
        for (;;)
            __asm__ volatile("sti\n hlt" ::: "memory");
    }
    third = 1;
    for (;;)
        __asm__ volatile("cli\n hlt" ::: "memory");
}

static unsigned harts(void)
{
    return cpuid_get(1).b >> 16 & 0xff;
}

static void command_send(unsigned id, uint32_t command)
{
    *apic(APIC_COMMAND_HIGH) = id << 24;
    *apic(APIC_COMMAND_LOW) = command;
}

static void hart_rouse(unsigned id)
{
    command_send(id, APIC_INIT);
    command_send(id, APIC_SIPI | TRAMPOLINE >> 12);
}

/* KVM finds the last hart only when a local APIC was switched on since it was made. */
static void others_begin(void)
{
    *apic(APIC_SPURIOUS) = APIC_ENABLE | VECTOR_SPURIOUS;
    memcpy((char *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
    if (harts() > 1) {
        hart_rouse(1);
        while (counter == 0)
            ;
        tap_ok(true, "hart 1 counts");
    }
    if (harts() > 2) {
        hart_rouse(2);
        while (woken == 0)
            ;
        tap_ok(true, "hart 2 sleeps");
    }
}

static void others_check(void)
{
    uint64_t before = counter;

    if (harts() > 1) {
        while (counter == before)
            ;
        tap_ok(torn == 0, "hart 1 counts on, by whole instructions");
    }
    if (harts() > 2) {
        command_send(2, APIC_FIXED | VECTOR_WAKE);
        while (woken != 2)
            ;
        tap_ok(true, "hart 2 slept, and wakes");
    }
    if (harts() > 3) {
        tap_ok(third == 0, "hart 3 has not begun");
        hart_rouse(3);
        while (third == 0)
            ;
        tap_ok(true, "it begins");
    }
}

/* --- patterns --- */

static const struct {
    uint32_t index;
    uint64_t value;
    const char *name;
} msrs[] = {
    {0xc0000082, 0x123456789abc,     "LSTAR"         },
    {0xc0000100, 0x223456789abc,     "FS_BASE"       },
    {0xc0000102, 0x323456789abc,     "KERNEL_GS_BASE"},
    {0x277,      0x0007010600070401, "PAT"           },
    {0x174,      0x33,               "SYSENTER_CS"   },
};
#define MSRS (sizeof(msrs) / sizeof(msrs[0]))

static void chips_set(void)
{
    ioapic_set(IOAPIC_PIN(IOAPIC_UNUSED), IOAPIC_PATTERN);
    ioapic_set(IOAPIC_PIN(IOAPIC_UNUSED) + 1, 0x03000000);
    port_out(PIC_MASK_FIRST, 0xff);
    port_out(PIC_MASK_SECOND, 0xff);
    port_out(PIT_CONTROL, PIT_MODE);
    port_out(PIT_COUNTER, 0x34);
    port_out(PIT_COUNTER, 0x12);
}

static void chips_check(void)
{
    tap_ok(ioapic_get(IOAPIC_PIN(IOAPIC_UNUSED)) == IOAPIC_PATTERN &&
               ioapic_get(IOAPIC_PIN(IOAPIC_UNUSED) + 1) == 0x03000000,
           "the I/O APIC is as it was");
    tap_ok(port_in(PIC_MASK_FIRST) == 0xff && port_in(PIC_MASK_SECOND) == 0xff,
           "the 8259s too");
    port_out(PIT_CONTROL, PIT_STATUS);
    tap_ok((port_in(PIT_COUNTER) & PIT_STATUS_MODE) == PIT_MODE, "the i8254 too");
}

static void registers_set(void)
{
    uint64_t at = 0xabcdef123;

    for (unsigned i = 0; i < MSRS; i++)
        msr_write(msrs[i].index, msrs[i].value);
    __asm__ volatile("mov %0, %%cr2\n mov %0, %%dr0\n mov %0, %%dr3" ::"r"(at));
}

static void registers_check(void)
{
    uint64_t cr2, dr0, dr3;

    for (unsigned i = 0; i < MSRS; i++)
        tap_ok(msr_read(msrs[i].index) == msrs[i].value, "%s too", msrs[i].name);
    __asm__ volatile("mov %%cr2, %0\n mov %%dr0, %1\n mov %%dr3, %2"
                     : "=r"(cr2), "=r"(dr0), "=r"(dr3));
    tap_ok(cr2 == 0xabcdef123 && dr0 == cr2 && dr3 == cr2, "cr2 and the debug registers too");
}

static unsigned memory_differs(void)
{
    unsigned differ = 0;

    for (uint64_t i = 0; i < WORDS; i++)
        differ += memory[i] != i * 0x9e3779b97f4a7c15;
    return differ;
}

int guest_main(const void *info)
{
    bool sse = fdt_bootarg(info, "tg.sse");
    uint64_t seen;

    tap_begin();
    for (uint64_t i = 0; i < WORDS; i++)
        memory[i] = i * 0x9e3779b97f4a7c15;
    trap_gate_set(VECTOR_TICK, (void (*)(void))(uintptr_t)tick, 0);
    trap_gate_set(VECTOR_WAKE, (void (*)(void))(uintptr_t)wake, 0);
    others_begin();
    chips_set();
    registers_set();
    if (sse)
        vectors_fill();
    timer_begin();
    __asm__ volatile("sti" ::: "memory");
    seen = registers_keep(&typed);
    __asm__ volatile("cli" ::: "memory");
    tap_ok(seen == 0, "the registers are as they were");
    if (sse)
        tap_ok(vectors_differ() == 0, "the SSE registers too");
    registers_check();
    chips_check();
    tap_ok(memory_differs() == 0, "the memory too");
    others_check();
    seen = ticks;
    __asm__ volatile("sti" ::: "memory");
    while (*(volatile uint64_t *)&ticks < seen + 3)
        __asm__ volatile("hlt" ::: "memory");
    __asm__ volatile("cli" ::: "memory");
    tap_ok(backwards == 0, "the time went on, never back");
    return tap_end();
}
