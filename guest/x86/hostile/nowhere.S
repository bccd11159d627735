/* nowhere.S: a jump to where no memory is. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .section .text.start, "ax"
    .global _start
_start:
    mov     $0xc8000000, %eax
    jmp     *%rax
    .section .note.GNU-stack, "", @progbits
