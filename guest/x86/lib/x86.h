/* x86.h: what only x86-64 guests need: ports, CPUID, the interrupt table. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_X86_LIB_X86_H
#define GUEST_X86_LIB_X86_H

#include <stdint.h>
#include "guest/abi/x86.h"

static inline uint8_t port_in(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t cycles_now(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

struct cpuid {
    uint32_t a, b, c, d;
};

static inline struct cpuid cpuid_get(uint32_t leaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* A gate of the interrupt table (Intel SDM, volume 3, section 6.14.1): privilege 3 lets user
 * code use it. */
void trap_gate_set(unsigned vector, void (*handler)(void), unsigned privilege);
/* Exception `vector` ends the guest again, as all do at the start. */
void trap_gate_reset(unsigned vector);

/* For start.S. */
extern char guest_stack[];
extern char trap_stubs[]; /* 32 of them, 16 bytes each */
_Noreturn void x86_begin(const void *info);
_Noreturn void x86_trap(const uint64_t *frame);

#endif
