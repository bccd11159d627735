/* start.S: where a bare x86-64 guest begins: 64-bit mode, rdi = struct hvm_start_info, no stack. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/layout.h"

    .section .text.start, "ax"
    .global _start
_start:
    cld
    mov     %rdi, %rbx
    lea     __bss_start(%rip), %rdi
    lea     __bss_end(%rip), %rcx
    sub     %rdi, %rcx
    shr     $3, %rcx
    xor     %eax, %eax
    rep stosq
    lea     guest_stack + HART_STACK_SIZE(%rip), %rsp
    lidt    trap_idt_pointer(%rip)
    mov     %rbx, %rdi
    call    x86_begin
1:  cli
    hlt
    jmp     1b

/*
 * Exceptions end the guest: each stub puts its number on the stack, and above it what the processor put there (an
 * error code or nothing). Interrupts are off.
 */
    .section .text.start, "ax"
    .balign 16
    .global trap_stubs
trap_stubs:
    .set n, 0
    .rept 32
    .balign 16
    push    $n
    jmp     trap_common
    .set n, n + 1
    .endr
trap_common:
    cld
    mov     %rsp, %rdi
    and     $~15, %rsp
    call    x86_trap
    ud2

    .bss
    .balign 16
    .global guest_stack
guest_stack:
    .skip   HART_STACK_SIZE
    .section .note.GNU-stack, "", @progbits
