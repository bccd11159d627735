/* cross-into.S: a store that begins where nobody is and ends in a device. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL - 4, %eax
    mov     %rcx, (%rax)
    ud2
    .section .note.GNU-stack, "", @progbits
