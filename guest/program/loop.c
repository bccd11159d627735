/* loop.c: a bare program whose instructions are known: ten million turns of two each. For Linux
 * as well. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/program/program.h"

int program_main(const uint64_t *stack)
{
    uint64_t turns = 10000000;

    (void)stack;
    __asm__ volatile("1: addi %0, %0, -1\n\t"
                     "bnez %0, 1b"
                     : "+r"(turns));
    return 0;
}
