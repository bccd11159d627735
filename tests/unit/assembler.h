/* assembler.h: words of guest code for tests. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_ASSEMBLER_H
#define TESTS_UNIT_ASSEMBLER_H

#include <stdint.h>
#include "vmm/engine/riscv/decode.h"

enum machine_register {
    ZERO,
    RA,
    SP,
    GP,
    TP,
    T0,
    T1,
    T2,
    S0,
    S1,
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    T3,
    T4,
    T5,
    T6,
};

uint32_t as_match(enum rv_insn_id id);
uint32_t as_r(enum rv_insn_id id, unsigned rd, unsigned rs1, unsigned rs2);
uint32_t as_i(enum rv_insn_id id, unsigned rd, unsigned rs1, int imm);
uint32_t as_s(enum rv_insn_id id, unsigned rs2, unsigned rs1, int imm);
uint32_t as_b(enum rv_insn_id id, unsigned rs1, unsigned rs2, int offset);
uint32_t as_u(enum rv_insn_id id, unsigned rd, uint32_t upper);
uint32_t as_j(enum rv_insn_id id, unsigned rd, int offset);

/* R also of atomics (rs2 last), I of loads, shifts and jalr, S of stores (source first). */
#define AS_N(name)            as_match(RV_INSN_##name)
#define AS_R(name, d, s1, s2) as_r(RV_INSN_##name, d, s1, s2)
#define AS_I(name, d, s1, i)  as_i(RV_INSN_##name, d, s1, i)
#define AS_S(name, s2, s1, i) as_s(RV_INSN_##name, s2, s1, i)
#define AS_B(name, s1, s2, o) as_b(RV_INSN_##name, s1, s2, o)
#define AS_U(name, d, u)      as_u(RV_INSN_##name, d, u)
#define AS_J(d, o)            as_j(RV_INSN_jal, d, o)
#define AS_CSR(name, d, c, s) as_i(RV_INSN_##name, d, s, (int)(c))
#define AS_CSRW(c, s)         AS_CSR(csrrw, ZERO, c, s)
#define AS_CSRR(d, c)         AS_CSR(csrrs, d, c, ZERO)
#define AS_NOP                0x00000013u
#define AS_PAUSE              0x0100000fu
#define AS_SELF               0x0000006fu /* j . */
#define AS_HALVES(low, high)  ((uint32_t)(low) | (uint32_t)(high) << 16)

/* CSR numbers that tests name. */
enum machine_csr {
    SSTATUS = 0x100,
    SIE = 0x104,
    STVEC = 0x105,
    SCOUNTEREN = 0x106,
    SSCRATCH = 0x140,
    SEPC = 0x141,
    SCAUSE = 0x142,
    STVAL = 0x143,
    SIP = 0x144,
    SATP = 0x180,
    MSTATUS = 0x300,
    MISA = 0x301,
    MEDELEG = 0x302,
    MIDELEG = 0x303,
    MIE = 0x304,
    MTVEC = 0x305,
    MCOUNTEREN = 0x306,
    MCOUNTINHIBIT = 0x320,
    MHPMEVENT3 = 0x323,
    MSCRATCH = 0x340,
    MEPC = 0x341,
    MCAUSE = 0x342,
    MTVAL = 0x343,
    MIP = 0x344,
    PMPCFG0 = 0x3a0,
    PMPCFG2 = 0x3a2,
    PMPADDR0 = 0x3b0,
    MCYCLE = 0xb00,
    MINSTRET = 0xb02,
    CYCLE = 0xc00,
    TIME = 0xc01,
    INSTRET = 0xc02,
};

#endif
