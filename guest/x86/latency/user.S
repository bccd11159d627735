/* user.S: code in privilege 3, the ways from it into the guest's kernel, and its ways in and out. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/latency/user.h"

    .text

/*
 * void user_go(void (*code)(void), uint64_t n): runs code in privilege 3 with r8 = n calls to make and r10 = 0 calls
 * that have arrived, until an exception. rax is then the ticks that they took.
 */
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
    xor     %r10d, %r10d
    push    $USER_DATA
    lea     user_stack_top(%rip), %rax
    push    %rax
    push    $2
    push    $USER_CODE
    push    %rdi
    iretq

/* Exceptions, of the code or of the handlers below: what is on the stack is kept, and user_go returns. */
    .global user_undefined, user_protection
user_undefined:
    push    $0
    movq    $VECTOR_UNDEFINED, user_end + END_VECTOR(%rip)
    jmp     1f
user_protection:
    movq    $VECTOR_PROTECTION, user_end + END_VECTOR(%rip)
1:  mov     %rax, user_end + END_TICKS(%rip)
    mov     %r10, user_end + END_ARRIVED(%rip)
    popq    user_end + END_ERROR(%rip)
    popq    user_end + END_RIP(%rip)
    popq    user_end + END_CS(%rip)
    popq    user_end + END_RFLAGS(%rip)
    popq    user_end + END_RSP(%rip)
    popq    user_end + END_SS(%rip)
    mov     user_tss + TSS_RSP0(%rip), %rsp
    mov     $KERNEL_DATA, %ecx
    mov     %ecx, %ss
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret

/* The empty system calls, as quick as a kernel can be: each counts itself, so that who measures knows that it came. */
    .global user_on_int80, user_on_syscall, user_on_sysenter
user_on_int80:
    inc     %r10
    iretq
user_on_syscall:
    inc     %r10
    sysretq
user_on_sysenter:
    inc     %r10
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
/* sysexit goes to rdx, with the stack of rcx. */
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
    .global user_stack_top
user_stack_top:
    .skip   512
    .global user_sysenter_stack
user_sysenter_stack:
    .section .note.GNU-stack, "", @progbits
