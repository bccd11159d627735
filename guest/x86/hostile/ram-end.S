/* ram-end.S: an instruction that begins in the last byte of 64 MiB. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $0x3ffffff, %eax
    movb    $0x48, (%rax)
    jmp     *%rax
    .section .note.GNU-stack, "", @progbits
