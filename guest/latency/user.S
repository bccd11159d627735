/* user.S: the probe's U-mode part, and the vector that takes its calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

    .text

/*
 * While U-mode runs, sscratch points to its struct context. Interrupts are off. The empty call
 * is answered here, with one register kept; all else saves the whole context, because the
 * kernel may go on with another one.
 */
    .balign 64
    .global user_vector
user_vector:
    csrrw   sp, sscratch, sp
    sd      t0, (8 * 5)(sp)
    csrr    t0, scause
    addi    t0, t0, -8              /* ecall from U-mode */
    bnez    t0, 1f
    csrr    t0, sepc
    addi    t0, t0, 4
    bnez    a7, 2f
    csrw    sepc, t0
    ld      t0, (8 * 5)(sp)
    csrrw   sp, sscratch, sp
    sret
1:  csrr    t0, sepc
2:  sd      t0, CONTEXT_PC(sp)
    .irp n, 1,3,4,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    sd      x\n, (8 * \n)(sp)
    .endr
    csrr    t0, sscratch
    sd      t0, 16(sp)
    mv      a0, sp
    csrr    a1, scause
    la      t0, kernel_sp
    ld      sp, (t0)
    ld      gp, 8(sp)
    ld      tp, 16(sp)
    call    user_trap
    beqz    a0, user_left

/* Goes on in the context of a0. */
context_run:
    csrw    sscratch, a0
    ld      t0, CONTEXT_PC(a0)
    csrw    sepc, t0
    mv      sp, a0
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, (8 * \n)(sp)
    .endr
    ld      sp, 16(sp)
    sret

    .macro each_kept op
    \op     ra, 0(sp)
    \op     gp, 8(sp)
    \op     tp, 16(sp)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    \op     s\n, (24 + 8 * \n)(sp)
    .endr
    .endm

/* uint64_t user_enter(struct context *context): runs it in U-mode until USER_LEAVE. */
    .global user_enter
user_enter:
    addi    sp, sp, -128
    each_kept sd
    la      t0, kernel_sp
    sd      sp, (t0)
    la      t0, user_vector
    csrw    stvec, t0
    li      t0, 0x120               /* SPP, SPIE */
    csrc    sstatus, t0
    j       context_run

/* Where USER_LEAVE ends: user_trap has put the result at left_value. */
user_left:
    la      t0, trap_vector
    csrw    stvec, t0
    csrw    sscratch, zero
    each_kept ld
    addi    sp, sp, 128
    la      t0, left_value
    ld      a0, (t0)
    ret

    .section .bss
    .balign 8
kernel_sp:
    .zero   8

/*
 * --- U-mode ---
 * Each measuring loop gets its count in a0 and reports the ticks that it took.
 */
    .text
    .balign 64
    .global user_null, user_task, user_chain, server_forward, server_task
user_null:
    mv      s1, a0
    li      a7, USER_NULL
    rdtime  s0
1:  ecall
    addi    s1, s1, -1
    bnez    s1, 1b
    j       report

/* a0 = count, a1 = data, a2 = size. */
user_task:
    li      a7, USER_TASK
    j       2f
user_chain:
    li      a7, USER_SEND
2:  mv      s1, a0
    mv      s2, a1
    mv      s3, a2
    rdtime  s0
3:  mv      a0, s2
    mv      a1, s3
    ecall
    addi    s1, s1, -1
    bnez    s1, 3b
report:
    rdtime  a0
    sub     a0, a0, s0
    li      a7, USER_LEAVE
    ecall

/* Passes what it is sent on to the next server, and the answer back. */
server_forward:
    li      a7, USER_SEND
    ecall
    li      a7, USER_REPLY
    ecall
    j       server_forward

/* Does the task. */
server_task:
    call    task
    li      a7, USER_REPLY
    ecall
    j       server_task
