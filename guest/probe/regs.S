/* regs.S: an SBI call with every register known before it and recorded after it. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .text

/*
 * void regs_ecall(struct regs *regs): loads x1..x31 from regs->before, makes the call, stores x1..x31
 * to regs->after. No trap may come meanwhile: sscratch is borrowed, and sp and tp are not ours.
 */
    .global regs_ecall
regs_ecall:
    addi    sp, sp, -128
    sd      ra, 0(sp)
    sd      gp, 8(sp)
    sd      tp, 16(sp)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    sd      s\n, (24 + 8 * \n)(sp)
    .endr
    sd      sp, 512(a0)
    csrw    sscratch, a0
    mv      x31, a0
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, (8 * \n)(x31)
    .endr
    ecall
    csrrw   x31, sscratch, x31
    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    sd      x\n, (256 + 8 * \n)(x31)
    .endr
    csrrw   t0, sscratch, zero
    sd      t0, (256 + 8 * 31)(x31)
    ld      sp, 512(x31)
    ld      ra, 0(sp)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    ld      s\n, (24 + 8 * \n)(sp)
    .endr
    addi    sp, sp, 128
    ret
