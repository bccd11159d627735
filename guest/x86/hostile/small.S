/* small.S: a store to the doorbell in memory that is too small. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL, %eax
    mov     %ecx, (%rax)
    ud2
    .section .note.GNU-stack, "", @progbits
