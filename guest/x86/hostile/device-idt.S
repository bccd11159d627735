/* device-idt.S: an exception whose gate would lie in a device. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    lidt    pointer(%rip)
    ud2
pointer:
    .word   0xfff
    .quad   TG_X86_DOORBELL
    .section .note.GNU-stack, "", @progbits
