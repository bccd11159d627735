/* sleep.S: halts with interrupts off, for good, when it has printed a line. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_UART, %edx
    mov     $'1', %al
    outb    %al, %dx
    mov     $'.', %al
    outb    %al, %dx
    outb    %al, %dx
    mov     $'\n', %al
    outb    %al, %dx
1:  cli
    hlt
    jmp     1b
    .section .note.GNU-stack, "", @progbits
