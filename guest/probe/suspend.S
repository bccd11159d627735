/* suspend.S: a suspend that loses all registers, and the way back. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"

    .text

    .macro each_kept op, base
    \op     ra, 0(\base)
    \op     sp, 8(\base)
    \op     gp, 16(\base)
    \op     tp, 24(\base)
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11
    \op     s\n, (32 + 8 * \n)(\base)
    .endr
    .endm

/*
 * int64_t suspend_lose(type, struct resumed *resumed): makes a suspend of the hart that comes back at
 * suspend_back; suspend_system one of the system. SUSPEND_CAME_BACK when it did, else the SBI error.
 */
    .macro suspend_by name, ext, fn
    .global \name
\name:
    each_kept sd, a1
    mv      a2, a1
    la      a1, suspend_back
    li      a6, \fn
    li      a7, \ext
    ecall
    ret
    .endm

    suspend_by suspend_lose, SBI_EXT_HSM, SBI_HSM_HART_SUSPEND
    suspend_by suspend_system, SBI_EXT_SUSP, SBI_SUSP_SYSTEM_SUSPEND

/* a0 = hart ID, a1 = the opaque value: the struct resumed. Nothing else is known. */
suspend_back:
    each_kept ld, a1
    sd      a0, 128(a1)
    csrr    a0, satp
    sd      a0, 136(a1)
    csrr    a0, sstatus
    sd      a0, 144(a1)
    la      a0, trap_vector
    csrw    stvec, a0
    csrw    sscratch, zero
    li      a0, 77
    ret
