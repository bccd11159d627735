/* exit42.c: a bare program that ends with its own status: the monitor's exit status is 42. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/tg.h"
#include "guest/lib/program/program.h"

int program_main(const uint64_t *stack)
{
    (void)stack;
    program_call(TG_PROGRAM_EXIT, 42, 0);
    return 1;
}
