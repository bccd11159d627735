/* call-string.S: calls by a string of outs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_CALL, %edx
    lea     _start(%rip), %rsi
    mov     $3, %ecx
    rep outsl
    ud2
    .section .note.GNU-stack, "", @progbits
