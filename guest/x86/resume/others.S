/* others.S: how the other harts come from real mode to C. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/x86.h"
#include "guest/x86/resume/resume.h"

/* It is copied to TRAMPOLINE. The first hart's GDT and page tables are where the monitor put them (docs/kvm.md). */
	.section .rodata
	.code16
	.global trampoline, trampoline_end
trampoline:
	cli
	xor	%ax, %ax
	mov	%ax, %ds
	lgdtl	TRAMPOLINE + (gdt_pointer - trampoline)
	mov	$0x20, %eax		/* CR4: PAE */
	mov	%eax, %cr4
	mov	$0x30000, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER: LME */
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	$0x80000011, %eax	/* CR0: PG, ET, PE */
	mov	%eax, %cr0
	ljmpl	$TG_X86_KERNEL_SELECTOR, $other_start
	.balign	4
gdt_pointer:
	.word	0x27
	.long	0x500
trampoline_end:

	.text
	.code64
other_start:
	mov	$TG_X86_DATA_SELECTOR, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	lidt	trap_idt_pointer(%rip)
	mov	$LOCAL_APIC, %eax
	mov	APIC_ID(%rax), %edi
	shr	$24, %edi
	lea	1(%rdi), %rsp
	shl	$12, %rsp		/* STACK_SIZE */
	lea	other_stacks(%rip), %rax
	add	%rax, %rsp
	call	other_begin

	.bss
	.balign 16
other_stacks:
	.skip	OTHERS_MAX * STACK_SIZE
	.section .note.GNU-stack, "", @progbits
