/* spin.S: a loop that never leaves the guest. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .section .text.start, "ax"
    .global _start
_start:
    jmp     _start
    .section .note.GNU-stack, "", @progbits
