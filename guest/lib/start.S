/* start.S: where a kernel guest begins, on its first hart and on those it starts itself. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/layout.h"

    .section .text.start, "ax"

/* The first hart: a0 = hart ID, a1 = device tree (SBI boot protocol), paging off. */
    .global _start
_start:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    csrw    sie, zero
    csrw    sscratch, zero
    la      t0, trap_vector
    csrw    stvec, t0
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, (t0)
    addi    t0, t0, 8
    j       1b
2:  la      tp, hart_stack
    li      sp, HART_STACK_SIZE
    add     sp, sp, tp
    call    guest_begin
3:  wfi
    j       3b

/* A hart started by HSM: a0 = hart ID, a1 = the lower end of its stack. */
    .global hart_entry
hart_entry:
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    csrw    sscratch, zero
    la      t0, trap_vector
    csrw    stvec, t0
    mv      tp, a1
    li      sp, HART_STACK_SIZE
    add     sp, sp, tp
    call    hart_begin
4:  wfi
    j       4b
