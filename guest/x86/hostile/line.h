/* line.h: what a guest that never ends begins with: a line, for who waits to see that it runs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_UART, %edx
    .irp    byte, '1', '.', '.', '\n'
    mov     $\byte, %al
    outb    %al, %dx
    .endr
