/* x64_bit.c: bit manipulation, conditional zeros and may-be-operations in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/* Free within an instruction. */
enum { XMM0, XMM1 };

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
    default: return false;
    }
}

/* --- Zbkb and Zbkx --- */

/* The lower `bits` of rs1, and of rs2 above them; of words their sign extension. */
static void lower_pack(struct target_block *b, enum x64_op part, unsigned bits, bool word)
{
    struct x64_code *c = &b->code;

    x64_rr(c, part, RAX, x64_source(b, b->op->rs1, RAX));
    if (rs2(b) != 0) {
        x64_rr(c, part, RCX, x64_source(b, rs2(b), RCX));
        x64_shift(c, SHIFT_SHL, true, RCX, bits);
        x64_rr(c, X64_OR, RAX, RCX);
    }
    if (word)
        put_word(b, RAX);
    else
        x64_put(b, b->op->rd, RAX);
}

/* Neighbours, pairs and halves of the bits of each byte change places. */
static void lower_brev8(struct target_block *b)
{
    static const uint64_t lower[] = {0x5555555555555555, 0x3333333333333333,
                                     0x0f0f0f0f0f0f0f0f};
    struct x64_code *c = &b->code;

    x64_get(b, RAX, b->op->rs1);
    for (unsigned i = 0; i < 3; i++) {
        x64_mov_imm(c, RCX, lower[i]);
        x64_vrr(c, X64_ANDN, RDX, RCX, RAX);
        x64_rr(c, X64_AND, RAX, RCX);
        x64_shift(c, SHIFT_SHR, true, RDX, 1u << i);
        x64_shift(c, SHIFT_SHL, true, RAX, 1u << i);
        x64_rr(c, X64_OR, RAX, RDX);
    }
    x64_put(b, b->op->rd, RAX);
}

/* The host has a table of 16 bytes, of which 8 are 0, and gives 0 for indices from 128 on. */
static void lower_xperm8(struct target_block *b)
{
    const uint64_t up = 0x7070707070707070; /* 16 becomes 128, and the lower 15 stay below */
    struct x64_code *c = &b->code;

    x64_mov_imm(c, RAX, up);
    x64_rr(c, X64_MOVQ_TO, XMM0, RAX);
    x64_rr(c, X64_MOVQ_TO, XMM1, x64_source(b, rs2(b), RAX));
    x64_rr(c, X64_PADDUSB, XMM1, XMM0);
    x64_rr(c, X64_MOVQ_TO, XMM0, x64_source(b, b->op->rs1, RAX));
    x64_rr(c, X64_PSHUFB, XMM0, XMM1);
    x64_rr(c, X64_MOVQ_FROM, XMM0, RAX);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_zbk(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_pack: lower_pack(b, X64_MOV32, 32, false); return true;
    case RV_INSN_packh: lower_pack(b, X64_MOVZX8, 8, false); return true;
    case RV_INSN_packw: lower_pack(b, X64_MOVZX16, 16, rs2(b) != 0); return true; /* zext.h */
    case RV_INSN_brev8: lower_brev8(b); return true;
    case RV_INSN_xperm8: lower_xperm8(b); return true;
    default: return false;
    }
}

/* --- Zbc --- */

/* Which bits of the 127 of the product. */
enum product { PRODUCT_LOW, PRODUCT_HIGH, PRODUCT_MIDDLE };

static void lower_clmul(struct target_block *b, enum product product)
{
    struct x64_code *c = &b->code;

    x64_rr(c, X64_MOVQ_TO, XMM0, x64_source(b, b->op->rs1, RAX));
    x64_rr(c, X64_MOVQ_TO, XMM1, x64_source(b, rs2(b), RAX));
    x64_clmul(c, XMM0, XMM1);
    if (product != PRODUCT_HIGH)
        x64_rr(c, X64_MOVQ_FROM, XMM0, RAX);
    if (product != PRODUCT_LOW) {
        x64_rr(c, X64_PUNPCKHQDQ, XMM0, XMM0);
        x64_rr(c, X64_MOVQ_FROM, XMM0, RCX);
    }
    if (product == PRODUCT_MIDDLE) { /* 126 to 63 */
        x64_rr(c, X64_ADD, RCX, RCX);
        x64_shift(c, SHIFT_SHR, true, RAX, 63);
        x64_rr(c, X64_OR, RCX, RAX);
    }
    x64_put(b, b->op->rd, product == PRODUCT_LOW ? RAX : RCX);
}

static bool lower_zbc(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_clmul: lower_clmul(b, PRODUCT_LOW); return true;
    case RV_INSN_clmulh: lower_clmul(b, PRODUCT_HIGH); return true;
    case RV_INSN_clmulr: lower_clmul(b, PRODUCT_MIDDLE); return true;
    default: return false;
    }
}

/* --- Zbs --- */

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

    switch (id) {
    case RV_INSN_czero_eqz: lower_czero(b, X64_CMOVE); return true;
    case RV_INSN_czero_nez: lower_czero(b, X64_CMOVNE); return true;
    case RV_INSN_mop_r:
    case RV_INSN_mop_rr: x64_put_imm(b, b->op->rd, 0); return true;
    default: break;
    }
    return lower_zba(b, id) || lower_zbb(b, id) || lower_zbk(b, id) || lower_zbc(b, id) ||
           lower_zbs(b, id);
}
