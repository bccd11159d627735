/* string.S: string instructions on ports: rep outsb to the serial port, rep insb from nobody's. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    cld
    mov     $text, %esi
    mov     $text_end - text, %ecx
    mov     $TG_X86_PORT_UART, %edx
    rep outsb
    mov     $0x300000, %edi
    mov     $16, %ecx
    mov     $0x5500, %edx
    rep insb
    xor     %edi, %edi
    cmpl    $-1, 0x30000c
    je      1f
    inc     %edi
1:  mov     $TG_EXT_EXIT, %eax
    mov     $TG_X86_PORT_CALL, %edx
    mov     $TG_EXIT_STOP, %r11d
    outl    %eax, %dx
    hlt

    .section .rodata
text:
    .ascii  "sixteen bytes, and then some more of them\n"
text_end:
    .section .note.GNU-stack, "", @progbits
