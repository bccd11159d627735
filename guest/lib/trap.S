/* trap.S: the trap vector, and guarded calls that come back when they trap. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/layout.h"

    .text

    .macro each_saved op
    \op     x1, 8(sp)
    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    \op     x\n, (8 * \n)(sp)
    .endr
    .endm

/*
 * sscratch is 0 while a hart runs in S-mode, so that a trap stays on its stack, and the kernel's
 * sp while it runs in U-mode.
 */
    .balign 4
    .global trap_vector
trap_vector:
    csrrw   sp, sscratch, sp
    bnez    sp, 1f
    csrr    sp, sscratch
1:  addi    sp, sp, -FRAME_SIZE
    each_saved sd
    csrrw   t0, sscratch, zero
    sd      t0, 16(sp)
    sd      zero, 0(sp)
    csrr    t0, sepc
    sd      t0, FRAME_SEPC(sp)
    csrr    t0, sstatus
    sd      t0, FRAME_SSTATUS(sp)
    csrr    t0, scause
    sd      t0, FRAME_SCAUSE(sp)
    csrr    t0, stval
    sd      t0, FRAME_STVAL(sp)
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    li      t0, -HART_STACK_SIZE
    and     tp, sp, t0
    mv      a0, sp
    call    trap_handle

    ld      t0, FRAME_SEPC(sp)
    csrw    sepc, t0
    ld      t0, FRAME_SSTATUS(sp)
    csrw    sstatus, t0
    andi    t0, t0, 0x100           /* SPP */
    bnez    t0, 2f
    addi    t0, sp, FRAME_SIZE
    csrw    sscratch, t0
2:  each_saved ld
    ld      sp, 16(sp)
    sret

    .macro each_kept op, base
    \op     ra, GUARD_RA(\base)
    \op     sp, GUARD_SP(\base)
    \op     s0, GUARD_S0(\base)
    .irp n, 1,2,3,4,5,6,7,8,9,10,11
    \op     s\n, (GUARD_S0 + 8 * \n)(\base)
    .endr
    .endm

/* bool guard_enter(struct guard *guard, guard_fn *fn, a, b): false when fn returned. */
    .global guard_enter
guard_enter:
    each_kept sd, a0
    mv      s0, a0
    mv      t0, a1
    mv      a0, a2
    mv      a1, a3
    jalr    t0
    mv      t0, s0
    sd      a0, GUARD_VALUE(t0)
    ld      ra, GUARD_RA(t0)
    ld      s0, GUARD_S0(t0)
    li      a0, 0
    ret

/* void guard_enter_user(struct guard *guard, pc, sp, a0, a1): U-mode until it traps. */
    .global guard_enter_user
guard_enter_user:
    each_kept sd, a0
    csrrci  t0, sstatus, 2          /* SIE off: a trap here would find the wrong sscratch */
    andi    t0, t0, 2
    slli    t0, t0, 4               /* SIE to SPIE, which the trap hands back */
    li      t1, 0x120               /* SPP, SPIE */
    csrc    sstatus, t1
    csrs    sstatus, t0
    csrw    sepc, a1
    csrw    sscratch, sp
    mv      sp, a2
    mv      a0, a3
    mv      a1, a4
    sret

/* Where the trap handler sends a guarded call that trapped: a0 = the guard. */
    .global guard_resume
guard_resume:
    each_kept ld, a0
    li      a0, 1
    ret
