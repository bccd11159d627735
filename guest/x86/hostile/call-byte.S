/* call-byte.S: a call by an out of one byte. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_CALL, %edx
    outb    %al, %dx
    ud2
    .section .note.GNU-stack, "", @progbits
