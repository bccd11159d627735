/* vector.S: the bare benchmark's trap handler, and its U-mode part. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .text

/*
 * Goes on behind the instruction that trapped, as short as a handler can be that keeps a register,
 * asks why, and returns. With a7 not 0 U-mode is left for good: nothing there has touched ra or sp,
 * so user_enter returns.
 */
    .balign 64
    .global bare_vector
bare_vector:
    csrw    sscratch, t0
    csrr    t0, scause
    bnez    a7, 1f
    csrr    t0, sepc
    addi    t0, t0, 4
    csrw    sepc, t0
    csrr    t0, sscratch
    sret
1:  ret

/* a0: times around the loop, a1: where U-mode begins. */
    .global user_enter
user_enter:
    csrw    sepc, a1
    li      t0, 0x100               /* SPP */
    csrc    sstatus, t0
    li      a7, 0
    sret

    .balign 64
    .global user_loop
user_loop:
    .rept 8
    ecall
    .endr
    addi    a0, a0, -1
    bnez    a0, user_loop
    li      a7, 1
    ecall
