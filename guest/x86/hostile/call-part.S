/* call-part.S: an out of four bytes into the middle of the doorbell. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_PORT_CALL + 2, %edx
    outl    %eax, %dx
    ud2
    .section .note.GNU-stack, "", @progbits
