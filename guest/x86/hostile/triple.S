/* triple.S: an exception without an interrupt table: a triple fault. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .section .text.start, "ax"
    .global _start
_start:
    mov     $0x1234, %r12d
    ud2
    .section .note.GNU-stack, "", @progbits
