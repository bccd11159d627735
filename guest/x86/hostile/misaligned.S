/* misaligned.S: a load from a device that is not aligned. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL + 2, %eax
    mov     (%rax), %rcx
    ud2
    .section .note.GNU-stack, "", @progbits
