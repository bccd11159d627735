/* start.S: where a bare program begins: sp points to argc, argv, envp and auxv, as on Linux. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/tg.h"

    .section .text.start, "ax"
    .global _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    mv      a0, sp
    andi    sp, sp, -16
    call    program_main
    li      a7, TG_PROGRAM_EXIT
    ecall
    unimp
