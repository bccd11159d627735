/* x64_bit.c: bit manipulation and conditional zeros (Zba, Zbb, Zbs, Zicond) in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

static unsigned rs2(const struct target_block *b)
{
    return (unsigned)b->op->imm;
}

static void put_word(struct target_block *b, unsigned from)
{
    x64_rr(&b->code, X64_MOVSXD, RAX, from);
    x64_put(b, b->op->rd, RAX);
}

/* rs2 + (rs1 << shift); `word`: of the low half of rs1. */
static void lower_shift_add(struct target_block *b, unsigned shift, bool word)
{
    unsigned to = x64_target(b->op->rd, RAX);
    unsigned index = x64_source(b, b->op->rs1, RCX);
    unsigned base = x64_source(b, rs2(b), RAX);

    if (word) {
        x64_rr(&b->code, X64_MOV32, RCX, index);
        index = RCX;
    }
    x64_rm(&b->code, X64_LEA, to, X64_INDEXED(base, index, (uint8_t)shift, 0));
    x64_put(b, b->op->rd, to);
}

static void lower_slli_uw(struct target_block *b)
{
    x64_rr(&b->code, X64_MOV32, RAX, x64_source(b, b->op->rs1, RAX));
    x64_shift(&b->code, SHIFT_SHL, true, RAX, b->op->imm & 63);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_zba(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_sh1add: lower_shift_add(b, 1, false); return true;
    case RV_INSN_sh2add: lower_shift_add(b, 2, false); return true;
    case RV_INSN_sh3add: lower_shift_add(b, 3, false); return true;
    case RV_INSN_add_uw: lower_shift_add(b, 0, true); return true;
    case RV_INSN_sh1add_uw: lower_shift_add(b, 1, true); return true;
    case RV_INSN_sh2add_uw: lower_shift_add(b, 2, true); return true;
    case RV_INSN_sh3add_uw: lower_shift_add(b, 3, true); return true;
    case RV_INSN_slli_uw: lower_slli_uw(b); return true;
    default: return false;
    }
}

static void lower_unary(struct target_block *b, enum x64_op op)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_rr(&b->code, op, to, x64_source(b, b->op->rs1, RAX));
    x64_put(b, b->op->rd, to);
}

/* rs1 & ~rs2 */
static void lower_andn(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);
    unsigned one = x64_source(b, b->op->rs1, RAX);
    unsigned two = x64_source(b, rs2(b), RCX);

    x64_vrr(&b->code, X64_ANDN, to, two, one);
    x64_put(b, b->op->rd, to);
}

/* orn and xnor: with the inverse of rs2, of which the second makes the inverse of all. */
static void lower_inverted(struct target_block *b, enum x64_op op)
{
    x64_get(b, RAX, rs2(b));
    x64_unary(&b->code, UNARY_NOT, true, RAX);
    x64_with(b, op, RAX, b->op->rs1);
    x64_put(b, b->op->rd, RAX);
}

/* min and max: rs1, unless the comparison says that rs2 is. */
static void lower_choice(struct target_block *b, enum x64_op cmov)
{
    x64_get(b, RAX, b->op->rs1);
    x64_with(b, X64_CMP, RAX, rs2(b));
    x64_with(b, cmov, RAX, rs2(b));
    x64_put(b, b->op->rd, RAX);
}

static void lower_rotate(struct target_block *b, enum x64_shift way, bool wide)
{
    x64_get(b, RCX, rs2(b));
    x64_get(b, RAX, b->op->rs1);
    x64_shift_cl(&b->code, way, wide, RAX);
    if (wide)
        x64_put(b, b->op->rd, RAX);
    else
        put_word(b, RAX);
}

static void lower_rotate_imm(struct target_block *b, bool wide)
{
    unsigned from = x64_source(b, b->op->rs1, RAX);

    x64_rorx(&b->code, wide, RAX, from, b->op->imm & (wide ? 63 : 31));
    if (wide)
        x64_put(b, b->op->rd, RAX);
    else
        put_word(b, RAX);
}

static void lower_rev8(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_get(b, to, b->op->rs1);
    x64_bswap(&b->code, to);
    x64_put(b, b->op->rd, to);
}

/* 0xff for each byte that is not 0. */
static void lower_orc(struct target_block *b)
{
    enum { XMM0, XMM1 };
    struct x64_code *c = &b->code;
    unsigned from = x64_source(b, b->op->rs1, RAX);

    x64_rr(c, X64_MOVQ_TO, XMM0, from);
    x64_rr(c, X64_XORPS, XMM1, XMM1);
    x64_rr(c, X64_PCMPEQB, XMM0, XMM1);
    x64_rr(c, X64_MOVQ_FROM, XMM0, RAX);
    x64_unary(c, UNARY_NOT, true, RAX);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_zbb(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_andn: lower_andn(b); return true;
    case RV_INSN_orn: lower_inverted(b, X64_OR); return true;
    case RV_INSN_xnor: lower_inverted(b, X64_XOR); return true;
    case RV_INSN_clz: lower_unary(b, X64_LZCNT); return true;
    case RV_INSN_ctz: lower_unary(b, X64_TZCNT); return true;
    case RV_INSN_cpop: lower_unary(b, X64_POPCNT); return true;
    case RV_INSN_clzw: lower_unary(b, X64_LZCNT32); return true;
    case RV_INSN_ctzw: lower_unary(b, X64_TZCNT32); return true;
    case RV_INSN_cpopw: lower_unary(b, X64_POPCNT32); return true;
    case RV_INSN_sext_b: lower_unary(b, X64_MOVSX8); return true;
    case RV_INSN_sext_h: lower_unary(b, X64_MOVSX16); return true;
    case RV_INSN_min: lower_choice(b, X64_CMOVG); return true;
    case RV_INSN_minu: lower_choice(b, X64_CMOVA); return true;
    case RV_INSN_max: lower_choice(b, X64_CMOVL); return true;
    case RV_INSN_maxu: lower_choice(b, X64_CMOVB); return true;
    case RV_INSN_rol: lower_rotate(b, SHIFT_ROL, true); return true;
    case RV_INSN_ror: lower_rotate(b, SHIFT_ROR, true); return true;
    case RV_INSN_rolw: lower_rotate(b, SHIFT_ROL, false); return true;
    case RV_INSN_rorw: lower_rotate(b, SHIFT_ROR, false); return true;
    case RV_INSN_rori: lower_rotate_imm(b, true); return true;
    case RV_INSN_roriw: lower_rotate_imm(b, false); return true;
    case RV_INSN_rev8: lower_rev8(b); return true;
    case RV_INSN_orc_b: lower_orc(b); return true;
    case RV_INSN_packw: /* zext.h is its only common use */
        if (rs2(b) != 0)
            return false;
        lower_unary(b, X64_MOVZX16);
        return true;
    default: return false;
    }
}

/* The host takes the number of a bit in a register modulo 64 too. */
static void lower_bit(struct target_block *b, enum x64_op op)
{
    unsigned number = x64_source(b, rs2(b), RCX);

    x64_get(b, RAX, b->op->rs1);
    x64_rr(&b->code, op, number, RAX);
    x64_put(b, b->op->rd, RAX);
}

static void lower_bit_imm(struct target_block *b, enum x64_bit op)
{
    x64_get(b, RAX, b->op->rs1);
    x64_bit(&b->code, op, RAX, b->op->imm & 63);
    x64_put(b, b->op->rd, RAX);
}

static void lower_bext(struct target_block *b)
{
    unsigned number = x64_source(b, rs2(b), RCX);

    x64_vrr(&b->code, X64_SHRX, RAX, number, x64_source(b, b->op->rs1, RAX));
    x64_ri(&b->code, ALU_AND, false, RAX, 1);
    x64_put(b, b->op->rd, RAX);
}

static void lower_bexti(struct target_block *b)
{
    x64_get(b, RAX, b->op->rs1);
    x64_shift(&b->code, SHIFT_SHR, true, RAX, b->op->imm & 63);
    x64_ri(&b->code, ALU_AND, false, RAX, 1);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_zbs(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_bset: lower_bit(b, X64_BTS); return true;
    case RV_INSN_bclr: lower_bit(b, X64_BTR); return true;
    case RV_INSN_binv: lower_bit(b, X64_BTC); return true;
    case RV_INSN_bext: lower_bext(b); return true;
    case RV_INSN_bseti: lower_bit_imm(b, BIT_BTS); return true;
    case RV_INSN_bclri: lower_bit_imm(b, BIT_BTR); return true;
    case RV_INSN_binvi: lower_bit_imm(b, BIT_BTC); return true;
    case RV_INSN_bexti: lower_bexti(b); return true;
    default: return false;
    }
}

/* Zicond: rs1, or 0 when rs2 is (or is not) 0. */
static void lower_czero(struct target_block *b, enum x64_op cmov)
{
    unsigned condition = x64_source(b, rs2(b), RCX);

    x64_get(b, RAX, b->op->rs1);
    x64_mov_imm(&b->code, RDX, 0);
    x64_rr(&b->code, X64_TEST, condition, condition);
    x64_rr(&b->code, cmov, RAX, RDX);
    x64_put(b, b->op->rd, RAX);
}

bool x64_lower_bit(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    if (id == RV_INSN_czero_eqz || id == RV_INSN_czero_nez) {
        lower_czero(b, id == RV_INSN_czero_eqz ? X64_CMOVE : X64_CMOVNE);
        return true;
    }
    return lower_zba(b, id) || lower_zbb(b, id) || lower_zbs(b, id);
}
