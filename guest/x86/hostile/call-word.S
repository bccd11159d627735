/* call-word.S: a call by an out of two bytes. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_CALL, %edx
    outw    %ax, %dx
    ud2
    .section .note.GNU-stack, "", @progbits
