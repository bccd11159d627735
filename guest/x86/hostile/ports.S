/* ports.S: ports of nobody, in all sizes: they read as ones, and swallow what is written. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"

/* Beside ours, those of the kernel's own chips: PIC, PIT, and its edge registers. */
    .section .text.start, "ax"
    .global _start
_start:
    mov     $0x5000, %edx
1:  mov     %edx, %eax
    outb    %al, %dx
    outw    %ax, %dx
    inb     %dx, %al
    inw     %dx, %ax
    inl     %dx, %eax
    cmp     $-1, %eax
    jne     2f
    inc     %edx
    cmp     $0x5080, %edx
    jb      1b
    xor     %edi, %edi
    jmp     3f
2:  mov     $1, %edi
3:  mov     $TG_EXT_EXIT, %eax
    mov     $TG_X86_PORT_CALL, %edx
    mov     $TG_EXIT_STOP, %r11d
    outl    %eax, %dx
    hlt
    .section .note.GNU-stack, "", @progbits
