/* device-code.S: a jump into a device. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL, %eax
    jmp     *%rax
    .section .note.GNU-stack, "", @progbits
