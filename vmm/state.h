/* state.h: the state of a RISC-V hart, the same for every engine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_STATE_H
#define VMM_STATE_H

#include <stdint.h>

#define HART_STATE_VERSION 4

#define HART_HPM_COUNTERS 8 /* mhpmcounter3 and up */

/* Privilege levels (privileged specification, section 1.2). */
#define PRIV_U 0
#define PRIV_S 1
#define PRIV_M 3

/* A hart between two instructions. Grows at its end only; version counts the changes. */
struct hart_state {
    uint32_t version;
    uint32_t priv;
    uint64_t pc;
    uint64_t x[32];
    uint64_t f[32];
    uint64_t fcsr;
    uint64_t mstatus, medeleg, mideleg, mie, mip, mtvec, mcounteren, menvcfg, mscratch, mepc,
        mcause, mtval, mcountinhibit;
    uint64_t stvec, scounteren, senvcfg, sscratch, sepc, scause, stval, satp;
    uint64_t pmpcfg[2], pmpaddr[16];
    uint64_t timer; /* tick at which the S-mode timer fires (stimecmp); UINT64_MAX: off */
    uint64_t steps, instret;
    uint64_t mstateen[4]; /* since version 2 */
    /* Since version 3. */
    uint64_t reserve_gpa; /* of LR; UINT64_MAX: no reservation */
    uint64_t reserve_value;
    uint64_t instret_base, cycle_base; /* what guest writes added to the counters */
    uint64_t seip_soft;                /* M-mode's own bit of SEIP */
    uint64_t hpmcounter[HART_HPM_COUNTERS], hpmevent[HART_HPM_COUNTERS]; /* since version 4 */
};

#endif
