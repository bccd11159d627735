/* cross-end.S: a load that begins in a device and ends behind it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL + 0xffc, %eax
    mov     (%rax), %rcx
    ud2
    .section .note.GNU-stack, "", @progbits
