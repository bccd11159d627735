/* user.S: code in privilege 3, the ways from it into the guest's kernel, and its ways in and out. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/latency/user.h"

    .text

/* uint64_t user_go(void (*code)(void), uint64_t n): runs code in privilege 3 with r8 = n, until an undefined opcode. */
    .global user_go
user_go:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    mov     %rsp, user_tss + TSS_RSP0(%rip)
    mov     %rsi, %r8
    push    $USER_DATA
    lea     user_stack_top(%rip), %rax
    push    %rax
    push    $2
    push    $USER_CODE
    push    %rdi
    iretq

/* An undefined opcode: rax is the result when it is ud2, else the instruction is not there: -1. */
    .global user_leave
user_leave:
    mov     (%rsp), %rdx
    cmpw    $0x0b0f, (%rdx)
    je      1f
/* A protection fault: the way back is not there. */
    .global user_fail
user_fail:
    mov     $-1, %rax
1:  mov     user_tss + TSS_RSP0(%rip), %rsp
    mov     $KERNEL_DATA, %ecx
    mov     %ecx, %ss
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

/* The empty system calls, as quick as a kernel can be. */
    .global user_on_int80, user_on_syscall, user_on_sysenter
user_on_int80:
    iretq
user_on_syscall:
    sysretq
user_on_sysenter:
    sysexitq

    .macro begin
    rdtsc
    shl     $32, %rdx
    or      %rax, %rdx
    mov     %rdx, %r9
1:
    .endm

    .macro end
    dec     %r8
    jnz     1b
    rdtsc
    shl     $32, %rdx
    or      %rdx, %rax
    sub     %r9, %rax
    ud2
    .endm

    .global user_int80, user_syscall, user_sysenter
user_int80:
    begin
    int     $VECTOR_NULL
    end
user_syscall:
    begin
    syscall
    end
user_sysenter:
    begin
    lea     2f(%rip), %rdx
    mov     %rsp, %rcx
    sysenter
2:
    end

    .bss
    .balign 16
    .skip   1024
user_stack_top:
    .section .note.GNU-stack, "", @progbits
