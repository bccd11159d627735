/* crash.c: a bare program that stores to address 0: the VM stops with a guest fault. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/program/program.h"

int program_main(const uint64_t *stack)
{
    (void)stack;
    __asm__ volatile("sd zero, 0(zero)" : : : "memory");
    return 0;
}
