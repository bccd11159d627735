/* badcall.c: a bare program that calls what nobody answers: the VM stops with InvalidEcall. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/program/program.h"

int program_main(const uint64_t *stack)
{
    (void)stack;
    program_call(4242, 0, 0);
    return 0;
}
