/* sleep.S: halts with interrupts off, for good, when it has printed a line. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/hostile/line.inc"
1:  cli
    hlt
    jmp     1b
    .section .note.GNU-stack, "", @progbits
