/* emulate.S: a load from a device by an instruction that KVM does not emulate. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"

    .section .text.start, "ax"
    .global _start
_start:
    mov     $TG_X86_DOORBELL, %eax
    mov     %cr0, %rcx
    and     $~0xc, %ecx
    mov     %rcx, %cr0
    fildll  (%rax)
    ud2
    .section .note.GNU-stack, "", @progbits
