/* hart.c: the one hart of an x86-64 guest, its beginning, its end, and its exceptions. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/hart.h"

#include "guest/abi/stubs.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/x86/lib/x86.h"

#define VECTORS   256
#define TRAPS     32
#define STUB_SIZE 16

struct gate {
    uint16_t offset_low, selector, flags, offset_middle;
    uint32_t offset_high, zero;
};

struct hart_local hart_first;

static struct gate idt[VECTORS] __attribute__((aligned(16)));

const struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
} trap_idt_pointer = {sizeof(idt) - 1, (uintptr_t)idt};

void trap_gate_set(unsigned vector, void (*handler)(void), unsigned privilege)
{
    uint64_t at = (uintptr_t)handler;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)at,
        .selector = TG_X86_KERNEL_SELECTOR,
        .flags = (uint16_t)(0x8e00u | privilege << 13), /* present, interrupt gate */
        .offset_middle = (uint16_t)(at >> 16),
        .offset_high = (uint32_t)(at >> 32),
    };
}

void trap_gate_reset(unsigned vector)
{
    trap_gate_set(vector, (void (*)(void))(uintptr_t)(trap_stubs + vector * STUB_SIZE), 0);
}

_Noreturn void x86_trap(const uint64_t *frame)
{
    print("exception %lu, then 0x%lx 0x%lx\n", frame[0], frame[1], frame[2]);
    system_fail(4);
}

_Noreturn void x86_begin(const void *info)
{
    for (unsigned i = 0; i < TRAPS; i++)
        trap_gate_reset(i);
    print_init(info);
    system_off(guest_main(info) != 0);
}

uint64_t time_now(void)
{
    return cycles_now();
}

_Noreturn void system_off(bool failed)
{
    print_flush();
    sbi_call(SBI_EXT_SRST, SBI_SRST_SYSTEM_RESET, SBI_SRST_TYPE_SHUTDOWN,
             failed ? SBI_SRST_REASON_SYSTEM_FAILURE : SBI_SRST_REASON_NONE, 0);
    system_fail(failed);
}

_Noreturn void system_pass(void)
{
    system_fail(0);
}

_Noreturn void system_fail(unsigned status)
{
    print_flush();
    tg_exit_stop(status);
    for (;;)
        __asm__ volatile("cli\n hlt");
}
