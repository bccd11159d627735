/* cross-ram.S: a load that begins in the last bytes of 64 MiB and ends behind them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $0x3fffffc, %eax
    mov     (%rax), %rcx
    ud2
    .section .note.GNU-stack, "", @progbits
