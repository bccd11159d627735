/* registers.S: loops that hold a value of their own in each register that they can spare. */
/* SPDX-License-Identifier: BSD-2-Clause */

#define PATTERN 0x1234567800000000

/* All but the stack's and the loop's (rax, rdi). */
.macro each what
	.set n, 1
	.irp reg, rbx, rcx, rdx, rsi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
	\what \reg
	.set n, n + 1
	.endr
.endm

.macro fill reg
	movabs	$PATTERN + n * 0x01010101, %\reg
.endm

.macro compare reg
	movabs	$PATTERN + n * 0x01010101, %rdi
	cmp	%rdi, %\reg
	je	1f
	inc	%rax
1:
.endm

	.text
	.global registers_keep
registers_keep:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	each	fill
2:	cmpq	$0, (%rdi)
	je	2b
	xor	%eax, %eax
	each	compare
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* Each SSE register gets its number, 16 times a byte. CR4.OSFXSR, CR0.MP and not CR0.EM let it (Intel SDM, 13.1.3). */
	.global vectors_fill
vectors_fill:
	mov	%cr4, %rax
	or	$0x600, %rax
	mov	%rax, %cr4
	mov	%cr0, %rax
	and	$~0xc, %rax
	or	$2, %rax
	mov	%rax, %cr0
	fninit
	fldpi
	.set n, 1
	.irp reg, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movabs	$n * 0x0101010101010101, %rax
	movq	%rax, %xmm\reg
	punpcklqdq %xmm\reg, %xmm\reg
	.set n, n + 1
	.endr
	ret

	.global vectors_differ
vectors_differ:
	sub	$24, %rsp
	xor	%ecx, %ecx
	.set n, 1
	.irp reg, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movabs	$n * 0x0101010101010101, %rax
	movdqu	%xmm\reg, (%rsp)
	cmp	%rax, (%rsp)
	jne	1f
	cmp	%rax, 8(%rsp)
	je	2f
1:	inc	%rcx
2:
	.set n, n + 1
	.endr
	fldpi
	fcomip	%st(1), %st
	je	3f
	inc	%rcx
3:	mov	%rcx, %rax
	add	$24, %rsp
	ret
	.section .note.GNU-stack, "", @progbits
