/* x64.h: machine code of x86-64: registers, operands and one function for each shape. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_X64_H
#define VMM_ENGINE_DBT_X64_H

#include <stdbool.h>
#include <stdint.h>

/* General registers by number. */
enum x64_register {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
};

/* How an instruction is encoded, beside its opcode. */
#define X64_W    0x001u /* 64 bits */
#define X64_BYTE 0x002u /* a register operand of 8 bits: never ah to bh */
#define X64_LOCK 0x004u
#define X64_66   0x008u /* mandatory prefixes */
#define X64_F2   0x010u
#define X64_F3   0x020u
#define X64_0F   0x040u /* opcode maps */
#define X64_0F38 0x080u
#define X64_0F3A 0x100u
#define X64_VEX  0x200u

enum x64_op {
#define X64_OP(name, mnemonic, width, operands, flags, opcode) X64_##name,
#include "vmm/engine/dbt/x64.def"
#undef X64_OP
    X64_OPS,
};

/* Operations with an immediate, by the number in the ModRM byte. */
enum x64_alu { ALU_ADD = 0, ALU_OR = 1, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6, ALU_CMP = 7 };
enum x64_shift { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };
enum x64_bit { BIT_BT = 4, BIT_BTS = 5, BIT_BTR = 6, BIT_BTC = 7 };
/* Operations on one operand; the last four work on rdx:rax. */
enum x64_unary { UNARY_NOT = 2, UNARY_NEG, UNARY_MUL, UNARY_IMUL, UNARY_DIV, UNARY_IDIV };

/* Conditions of jumps and setcc. */
enum x64_cond {
    CC_B = 2,
    CC_AE = 3,
    CC_E = 4,
    CC_NE = 5,
    CC_BE = 6,
    CC_A = 7,
    CC_S = 8,
    CC_P = 10,
    CC_NP = 11,
    CC_L = 12,
    CC_GE = 13,
    CC_LE = 14,
    CC_G = 15,
};

/* [base + index * 2^scale + disp]; rsp is no index and so stands for none. */
struct x64_mem {
    uint8_t base, index, scale;
    int32_t disp;
};

#define X64_MEM(reg, offset)                                                                   \
    (struct x64_mem)                                                                           \
    {                                                                                          \
        .base = (reg), .index = RSP, .disp = (int32_t)(offset)                                 \
    }
#define X64_INDEXED(reg, index_reg, log, offset)                                               \
    (struct x64_mem)                                                                           \
    {                                                                                          \
        .base = (reg), .index = (index_reg), .scale = (log), .disp = (int32_t)(offset)         \
    }

/*
 * Code under construction. What does not fit is dropped and `full` is set: the caller asks
 * once, at the end, and throws all of it away.
 */
struct x64_code {
    uint8_t *at;
    uint8_t *end;
    bool full;
};

void x64_byte(struct x64_code *c, unsigned byte);

/* The rows of x64.def, with a register or memory for r/m. */
void x64_rr(struct x64_code *c, enum x64_op op, unsigned reg, unsigned rm);
void x64_rm(struct x64_code *c, enum x64_op op, unsigned reg, struct x64_mem mem);
void x64_vrr(struct x64_code *c, enum x64_op op, unsigned reg, unsigned vvvv, unsigned rm);

void x64_vrm(struct x64_code *c, enum x64_op op, unsigned reg, unsigned vvvv,
             struct x64_mem mem);

/* op r/m, imm; `wide`: 64 bits, else 32. */
void x64_ri(struct x64_code *c, enum x64_alu alu, bool wide, unsigned reg, int32_t imm);
void x64_mi(struct x64_code *c, enum x64_alu alu, bool wide, struct x64_mem mem, int32_t imm);
void x64_store_imm(struct x64_code *c, bool wide, struct x64_mem mem, int32_t imm);
void x64_test_imm(struct x64_code *c, struct x64_mem mem, int32_t imm); /* 32 bits */

void x64_shift(struct x64_code *c, enum x64_shift shift, bool wide, unsigned reg,
               unsigned count);
void x64_shift_cl(struct x64_code *c, enum x64_shift shift, bool wide, unsigned reg);
void x64_rorx(struct x64_code *c, bool wide, unsigned reg, unsigned rm, unsigned count);
/* roundsd or roundss of xmm registers: a mode of the host's, ROUND_*. */
#define ROUND_MXCSR 4u /* the mode at hand */
#define ROUND_QUIET 8u /* raises no PE */
void x64_round(struct x64_code *c, bool wide, unsigned reg, unsigned rm, unsigned mode);
/* pclmulqdq of the lower halves of xmm registers. */
void x64_clmul(struct x64_code *c, unsigned reg, unsigned rm);
/* vcvtph2ps and vcvtps2ph of xmm registers: four halves, in the lower half, and four singles.
 */
void x64_half_widen(struct x64_code *c, unsigned to, unsigned from);
void x64_half_narrow(struct x64_code *c, unsigned to, unsigned from, unsigned mode);
void x64_bit(struct x64_code *c, enum x64_bit bit, unsigned reg, unsigned number);
void x64_unary(struct x64_code *c, enum x64_unary unary, bool wide, unsigned reg);
void x64_bswap(struct x64_code *c, unsigned reg);
void x64_cqo(struct x64_code *c, bool wide); /* or cdq */
void x64_setcc(struct x64_code *c, enum x64_cond cc, unsigned reg);
/* reg = imm, in the shortest form that changes no flags. */
void x64_mov_imm(struct x64_code *c, unsigned reg, uint64_t imm);
void x64_push(struct x64_code *c, unsigned reg);
void x64_pop(struct x64_code *c, unsigned reg);
void x64_ret(struct x64_code *c);
void x64_ldmxcsr(struct x64_code *c, struct x64_mem mem);
void x64_stmxcsr(struct x64_code *c, struct x64_mem mem);
void x64_jmp_reg(struct x64_code *c, unsigned reg);
void x64_call_reg(struct x64_code *c, unsigned reg);
/* lea reg, [rip + distance to target]. */
void x64_lea_rip(struct x64_code *c, unsigned reg, const uint8_t *target);

/*
 * Jumps of 32 bits. They return where their distance stands, for x64_link(); the target may be
 * NULL when it is to be linked later.
 */
uint8_t *x64_jmp(struct x64_code *c, const uint8_t *target);
uint8_t *x64_call(struct x64_code *c, const uint8_t *target);
uint8_t *x64_jcc(struct x64_code *c, enum x64_cond cc, const uint8_t *target);
void x64_link(uint8_t *site, const uint8_t *target);
/* The same, and a word, where another processor may be running it: at a multiple of four it
 * sees the old one or the new one. */
void x64_relink(uint8_t *site, const uint8_t *target);
void x64_word(uint8_t *at, uint32_t word);

/* Does nothing, in so many bytes, at most three. */
void x64_nop(struct x64_code *c, unsigned bytes);

#endif
