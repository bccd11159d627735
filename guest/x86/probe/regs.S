/* regs.S: a call with every general register known before it and recorded after it. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .text

/*
 * void regs_call(uint64_t *before, uint64_t *after): loads the registers from before[0..15], makes the call, stores
 * them to after[0..15], the flags to after[16]. The order is the processor's: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi,
 * r8 to r15; rsp is not loaded, and not stored.
 */
    .global regs_call
regs_call:
    push    %rbx
    push    %rbp
    push    %r12
    push    %r13
    push    %r14
    push    %r15
    push    %rsi
    mov     %rdi, %r15
    mov     0(%r15), %rax
    mov     8(%r15), %rcx
    mov     16(%r15), %rdx
    mov     24(%r15), %rbx
    mov     40(%r15), %rbp
    mov     48(%r15), %rsi
    mov     56(%r15), %rdi
    mov     64(%r15), %r8
    mov     72(%r15), %r9
    mov     80(%r15), %r10
    mov     88(%r15), %r11
    mov     96(%r15), %r12
    mov     104(%r15), %r13
    mov     112(%r15), %r14
    mov     120(%r15), %r15
    outl    %eax, %dx
    xchg    (%rsp), %r15
    mov     %rax, 0(%r15)
    mov     %rcx, 8(%r15)
    mov     %rdx, 16(%r15)
    mov     %rbx, 24(%r15)
    mov     %rbp, 40(%r15)
    mov     %rsi, 48(%r15)
    mov     %rdi, 56(%r15)
    mov     %r8, 64(%r15)
    mov     %r9, 72(%r15)
    mov     %r10, 80(%r15)
    mov     %r11, 88(%r15)
    mov     %r12, 96(%r15)
    mov     %r13, 104(%r15)
    mov     %r14, 112(%r15)
    pop     120(%r15)
    pushfq
    pop     128(%r15)
    pop     %r15
    pop     %r14
    pop     %r13
    pop     %r12
    pop     %rbp
    pop     %rbx
    ret
    .section .note.GNU-stack, "", @progbits
