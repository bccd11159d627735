/* load.S: a load from where no device is. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_VIRTIO + 0x8000, %eax
    mov     (%rax), %ecx
    ud2
    .section .note.GNU-stack, "", @progbits
