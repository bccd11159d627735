/* user.S: one page of code that runs in U-mode, wherever it is mapped. */
/* SPDX-License-Identifier: BSD-2-Clause */

    .text
    .balign 4096
    .global user_code, user_ecall, user_load, user_store, user_jump, user_csr, user_sret
    .global user_cycle, user_time, user_spin
user_code:
user_ecall:
    li      a2, 0x1234
    li      a7, 0x5678
    ecall
user_load:
    ld      a0, (a0)
    ecall
user_store:
    sd      a1, (a0)
    ecall
user_jump:
    jr      a0
user_csr:
    csrr    a0, sstatus
    ecall
user_sret:
    sret
user_cycle:
    rdcycle a0
    ecall
user_time:
    rdtime  a0
    ecall
/* Counts until somebody else sets a0. */
user_spin:
    addi    a1, a1, 1
    beqz    a0, user_spin
    ecall
    .balign 4096
