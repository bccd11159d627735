/* start.S: a PVH guest: 32-bit mode, ebx = struct hvm_start_info; prints its command line by the serial port. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .note.pvh, "a"
    .long   4, 4, 18
    .asciz  "Xen"
    .long   _start

    .section .text.start, "ax"
    .code32
    .global _start
_start:
    cmpl    $HVM_START_MAGIC, (%ebx)
    jne     2f
    mov     HVM_START_CMDLINE(%ebx), %esi
    mov     $TG_X86_PORT_UART, %edx
1:  lodsb
    test    %al, %al
    jz      2f
    outb    %al, %dx
    jmp     1b
2:  mov     $'\n', %al
    outb    %al, %dx
    mov     $TG_X86_PORT_PM1_CONTROL, %edx
    mov     $(TG_X86_SLEEP_TYPE_OFF << 10 | 0x2000), %eax
    outw    %ax, %dx
3:  hlt
    jmp     3b
    .section .note.GNU-stack, "", @progbits
