/* registers.S: a loop that holds a value of its own in each register that it can spare. */
/* SPDX-License-Identifier: BSD-2-Clause */

/* The registers that are neither the stack's, the hart's, nor the loop's (a0, t0, t1). */
.macro each what
	.irp n, 1, 3, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\what \n
	.endr
.endm

.macro fill n
	li x\n, 0x1234567800000000 + \n * 0x01010101
.endm

.macro compare n
	li t0, 0x1234567800000000 + \n * 0x01010101
	xor t0, t0, x\n
	snez t0, t0
	add t1, t1, t0
.endm

	.text
	.globl registers_keep
registers_keep:
	addi sp, sp, -112
	sd ra, 0(sp)
	sd gp, 8(sp)
	sd s0, 16(sp)
	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	sd s\n, 16 + 8 * \n(sp)
	.endr
	each fill
1:	ld t0, 0(a0)
	beqz t0, 1b
	li t1, 0
	each compare
	mv a0, t1
	.irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
	ld s\n, 16 + 8 * \n(sp)
	.endr
	ld s0, 16(sp)
	ld gp, 8(sp)
	ld ra, 0(sp)
	addi sp, sp, 112
	ret
