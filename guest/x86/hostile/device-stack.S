/* device-stack.S: a push onto a stack where nobody is. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL - 0x1000, %esp
    push    %rax
    ud2
    .section .note.GNU-stack, "", @progbits
