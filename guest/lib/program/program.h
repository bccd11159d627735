/* program.h: bare U-mode programs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_PROGRAM_H
#define GUEST_LIB_PROGRAM_H

#include <stdint.h>

/*
 * The program. stack points to what the monitor put there: argc, argv, NULL, envp, NULL, auxv
 * (RISC-V ELF psABI, process initialisation). The result is the exit status.
 */
int program_main(const uint64_t *stack);

/* A call by number (Linux RISC-V convention): the result, or -errno. */
static inline int64_t program_call(uint64_t number, uint64_t a, uint64_t b)
{
    register uint64_t a0 __asm__("a0") = a;
    register uint64_t a1 __asm__("a1") = b;
    register uint64_t a7 __asm__("a7") = number;

    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
    return (int64_t)a0;
}

#endif
