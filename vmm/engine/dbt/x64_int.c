/* x64_int.c: integer instructions of RV64IM in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

static unsigned rs2(const struct target_block *b)
{
    return (unsigned)b->op->imm;
}

static void lower_addi(struct target_block *b)
{
    const struct rv_op *op = b->op;
    unsigned to = x64_target(op->rd, RAX);
    unsigned from;

    if (op->rs1 == 0) {
        x64_put_imm(b, op->rd, (uint64_t)(int64_t)op->imm);
        return;
    }
    if (op->rd == op->rs1) {
        if (!op->imm)
            return;
        if (to == RAX)
            x64_mi(&b->code, ALU_ADD, true, x64_guest(op->rd), op->imm);
        else
            x64_ri(&b->code, ALU_ADD, true, to, op->imm);
        x64_zero_set(b);
        return;
    }
    from = x64_source(b, op->rs1, to);
    if (op->imm)
        x64_rm(&b->code, X64_LEA, to, X64_MEM(from, op->imm));
    else
        x64_move(b, to, from);
    x64_put(b, op->rd, to);
}

static void lower_alu_imm(struct target_block *b, enum x64_alu alu)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_get(b, to, b->op->rs1);
    x64_ri(&b->code, alu, true, to, b->op->imm);
    x64_put(b, b->op->rd, to);
    x64_zero_set(b);
}

/* zext.b in one, when nobody wants the flags. */
static void lower_andi(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);

    if (b->op->imm != 0xff || x64_zero_asked(b)) {
        lower_alu_imm(b, ALU_AND);
        return;
    }
    x64_with(b, X64_MOVZX8, to, b->op->rs1);
    x64_put(b, b->op->rd, to);
}

/* rd = the sign extension of 32 bits in `from`, if anybody asks for it. */
static void put_word(struct target_block *b, unsigned from)
{
    unsigned to = x64_target(b->op->rd, RAX);

    if (x64_is_loose(b)) {
        x64_put(b, b->op->rd, from);
        return;
    }
    x64_rr(&b->code, X64_MOVSXD, to, from);
    x64_put(b, b->op->rd, to);
}

static void lower_addiw(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);

    if (b->op->imm == 0 && x64_is_word(b, b->op->rs1)) {
        x64_put(b, b->op->rd, x64_source(b, b->op->rs1, to));
        return;
    }
    if (b->op->imm == 0) { /* sext.w */
        x64_with(b, X64_MOVSXD, to, b->op->rs1);
        x64_put(b, b->op->rd, to);
    } else if (b->op->rd == b->op->rs1 && to != RAX) {
        x64_ri(&b->code, ALU_ADD, false, to, b->op->imm);
        put_word(b, to);
        x64_zero_set(b);
    } else {
        x64_rm(&b->code, X64_LEA32, to, X64_MEM(x64_source(b, b->op->rs1, RAX), b->op->imm));
        put_word(b, to);
    }
}

static void lower_shift_imm(struct target_block *b, enum x64_shift shift)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_get(b, to, b->op->rs1);
    x64_shift(&b->code, shift, true, to, b->op->imm & 63);
    x64_put(b, b->op->rd, to);
    if (b->op->imm & 63) /* by none the flags stay */
        x64_zero_set(b);
}

static void lower_shift_word(struct target_block *b, enum x64_shift shift)
{
    unsigned to = x64_target(b->op->rd, RAX);

    if (shift == SHIFT_SHR && (b->op->imm & 31)) { /* never negative */
        x64_with(b, X64_MOV32, to, b->op->rs1);
        x64_shift(&b->code, shift, false, to, b->op->imm & 31);
        x64_put(b, b->op->rd, to);
    } else if (shift == SHIFT_SAR) {
        if (x64_is_word(b, b->op->rs1))
            x64_get(b, to, b->op->rs1);
        else
            x64_with(b, X64_MOVSXD, to, b->op->rs1);
        x64_shift(&b->code, shift, true, to, b->op->imm & 31);
        x64_put(b, b->op->rd, to);
    } else {
        x64_get(b, to, b->op->rs1);
        x64_shift(&b->code, shift, false, to, b->op->imm & 31);
        put_word(b, to);
    }
}

/* The count's high bits are ignored on both sides. */
static void lower_shift(struct target_block *b, enum x64_op shift, bool word)
{
    unsigned to = word ? RAX : x64_target(b->op->rd, RAX);
    unsigned from = x64_source(b, b->op->rs1, RAX);
    unsigned count = x64_source(b, rs2(b), RCX);

    x64_vrr(&b->code, shift, to, count, from);
    if (word)
        put_word(b, RAX);
    else
        x64_put(b, b->op->rd, to);
}

/* rd = a flag. */
static void put_flag(struct target_block *b, enum x64_cond cc)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_setcc(&b->code, cc, RAX);
    x64_rr(&b->code, X64_MOVZX8, to, RAX);
    x64_put(b, b->op->rd, to);
}

static void lower_set(struct target_block *b, enum x64_cond cc)
{
    x64_with(b, X64_CMP, x64_source(b, b->op->rs1, RAX), rs2(b));
    put_flag(b, cc);
}

static void lower_set_imm(struct target_block *b, enum x64_cond cc)
{
    x64_ri(&b->code, ALU_CMP, true, x64_source(b, b->op->rs1, RAX), b->op->imm);
    put_flag(b, cc);
}

/* Two operands; where the result is. `commutes`: they may change places. */
static unsigned alu(struct target_block *b, enum x64_op how, bool commutes)
{
    const struct rv_op *op = b->op;
    unsigned to = x64_target(op->rd, RAX);
    unsigned one = op->rs1, two = rs2(b);

    if (to != RAX && op->rd == two && two != one) { /* the result would hide an operand */
        if (commutes) {
            two = one;
            one = op->rd;
        } else {
            to = RAX;
        }
    }
    x64_get(b, to, one);
    x64_with(b, how, to, two);
    return to;
}

static void lower_alu(struct target_block *b, enum x64_op op, bool commutes)
{
    x64_put(b, b->op->rd, alu(b, op, commutes));
    if (op != X64_IMUL) /* which leaves ZF undefined */
        x64_zero_set(b);
}

static void lower_alu_word(struct target_block *b, enum x64_op op, bool commutes)
{
    put_word(b, alu(b, op, commutes));
    if (op != X64_IMUL32)
        x64_zero_set(b);
}

/* neg and negw need no zero. */
static void lower_sub(struct target_block *b, bool wide)
{
    unsigned to = x64_target(b->op->rd, RAX);

    if (b->op->rs1 != 0) {
        if (wide)
            lower_alu(b, X64_SUB, false);
        else
            lower_alu_word(b, X64_SUB32, false);
        return;
    }
    x64_get(b, to, rs2(b));
    x64_unary(&b->code, UNARY_NEG, wide, to);
    if (wide)
        x64_put(b, b->op->rd, to);
    else
        put_word(b, to);
    x64_zero_set(b);
}

static void lower_add(struct target_block *b)
{
    const struct rv_op *op = b->op;
    unsigned to = x64_target(op->rd, RAX);
    unsigned one = x64_pin(op->rs1), two = x64_pin(rs2(b));

    if (op->rs1 == 0 || rs2(b) == 0) { /* mv */
        x64_put(b, op->rd, x64_source(b, op->rs1 | rs2(b), to));
    } else if (one != NOT_PINNED && two != NOT_PINNED && to != one && to != two) {
        x64_rm(&b->code, X64_LEA, to, X64_INDEXED(one, two, 0, 0));
        x64_put(b, op->rd, to);
    } else {
        lower_alu(b, X64_ADD, true);
    }
}

static void lower_add_word(struct target_block *b)
{
    unsigned one = x64_pin(b->op->rs1), two = x64_pin(rs2(b));
    unsigned to = x64_target(b->op->rd, RAX);

    if (one == NOT_PINNED || two == NOT_PINNED || to == one || to == two) {
        lower_alu_word(b, X64_ADD32, true);
        return;
    }
    x64_rm(&b->code, X64_LEA32, to, X64_INDEXED(one, two, 0, 0));
    put_word(b, to);
}

static void lower_lui(struct target_block *b)
{
    x64_put_imm(b, b->op->rd, (uint64_t)(int64_t)b->op->imm);
}

static void lower_auipc(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_address(b, to, (int64_t)b->slot * 2 + b->op->imm);
    x64_put(b, b->op->rd, to);
}

/* --- M --- */

static void lower_mulh(struct target_block *b, enum x64_unary mul)
{
    x64_get(b, RCX, rs2(b));
    x64_get(b, RAX, b->op->rs1);
    x64_unary(&b->code, mul, true, RCX);
    x64_put(b, b->op->rd, RDX);
}

/* Of the unsigned product, with rs2 taken off the upper half when rs1 is negative. */
static void lower_mulhsu(struct target_block *b)
{
    x64_get(b, RCX, rs2(b));
    x64_get(b, RAX, b->op->rs1);
    x64_unary(&b->code, UNARY_MUL, true, RCX);
    x64_get(b, RAX, b->op->rs1);
    x64_shift(&b->code, SHIFT_SAR, true, RAX, 63);
    x64_rr(&b->code, X64_AND, RAX, RCX);
    x64_rr(&b->code, X64_SUB, RDX, RAX);
    x64_put(b, b->op->rd, RDX);
}

/*
 * The host traps on a divisor of 0 and on overflow (by -1), which have results here: those are
 * the interpreter's. The result is in rax or rdx.
 */
static void lower_div(struct target_block *b, bool is_signed, bool wide, unsigned result)
{
    struct x64_code *c = &b->code;

    x64_get(b, RCX, rs2(b));
    if (!wide)
        x64_rr(c, X64_MOV32, RCX, RCX);
    if (is_signed) {
        x64_rm(c, wide ? X64_LEA : X64_LEA32, RDX, X64_MEM(RCX, 1));
        x64_ri(c, ALU_CMP, wide, RDX, 1);
        x64_step_if(b, CC_BE);
    } else {
        x64_rr(c, X64_TEST, RCX, RCX);
        x64_step_if(b, CC_E);
    }
    x64_get(b, RAX, b->op->rs1);
    if (is_signed)
        x64_cqo(c, wide);
    else
        x64_mov_imm(c, RDX, 0);
    x64_unary(c, is_signed ? UNARY_IDIV : UNARY_DIV, wide, RCX);
    if (wide)
        x64_put(b, b->op->rd, result);
    else
        put_word(b, result);
}

static bool lower_m(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_mul: lower_alu(b, X64_IMUL, true); return true;
    case RV_INSN_mulw: lower_alu_word(b, X64_IMUL32, true); return true;
    case RV_INSN_mulh: lower_mulh(b, UNARY_IMUL); return true;
    case RV_INSN_mulhu: lower_mulh(b, UNARY_MUL); return true;
    case RV_INSN_mulhsu: lower_mulhsu(b); return true;
    case RV_INSN_div: lower_div(b, true, true, RAX); return true;
    case RV_INSN_divu: lower_div(b, false, true, RAX); return true;
    case RV_INSN_rem: lower_div(b, true, true, RDX); return true;
    case RV_INSN_remu: lower_div(b, false, true, RDX); return true;
    case RV_INSN_divw: lower_div(b, true, false, RAX); return true;
    case RV_INSN_divuw: lower_div(b, false, false, RAX); return true;
    case RV_INSN_remw: lower_div(b, true, false, RDX); return true;
    case RV_INSN_remuw: lower_div(b, false, false, RDX); return true;
    default: return false;
    }
}

static bool lower_i(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_addi: lower_addi(b); return true;
    case RV_INSN_slti: lower_set_imm(b, CC_L); return true;
    case RV_INSN_sltiu: lower_set_imm(b, CC_B); return true;
    case RV_INSN_xori: lower_alu_imm(b, ALU_XOR); return true;
    case RV_INSN_ori: lower_alu_imm(b, ALU_OR); return true;
    case RV_INSN_andi: lower_andi(b); return true;
    case RV_INSN_slli: lower_shift_imm(b, SHIFT_SHL); return true;
    case RV_INSN_srli: lower_shift_imm(b, SHIFT_SHR); return true;
    case RV_INSN_srai: lower_shift_imm(b, SHIFT_SAR); return true;
    case RV_INSN_addiw: lower_addiw(b); return true;
    case RV_INSN_slliw: lower_shift_word(b, SHIFT_SHL); return true;
    case RV_INSN_srliw: lower_shift_word(b, SHIFT_SHR); return true;
    case RV_INSN_sraiw: lower_shift_word(b, SHIFT_SAR); return true;
    case RV_INSN_lui: lower_lui(b); return true;
    case RV_INSN_auipc: lower_auipc(b); return true;
    case RV_INSN_add: lower_add(b); return true;
    case RV_INSN_sub: lower_sub(b, true); return true;
    case RV_INSN_xor: lower_alu(b, X64_XOR, true); return true;
    case RV_INSN_or: lower_alu(b, X64_OR, true); return true;
    case RV_INSN_and: lower_alu(b, X64_AND, true); return true;
    case RV_INSN_sll: lower_shift(b, X64_SHLX, false); return true;
    case RV_INSN_srl: lower_shift(b, X64_SHRX, false); return true;
    case RV_INSN_sra: lower_shift(b, X64_SARX, false); return true;
    case RV_INSN_slt: lower_set(b, CC_L); return true;
    case RV_INSN_sltu: lower_set(b, CC_B); return true;
    case RV_INSN_addw: lower_add_word(b); return true;
    case RV_INSN_subw: lower_sub(b, false); return true;
    case RV_INSN_sllw: lower_shift(b, X64_SHLX32, true); return true;
    case RV_INSN_srlw: lower_shift(b, X64_SHRX32, true); return true;
    case RV_INSN_sraw: lower_shift(b, X64_SARX32, true); return true;
    default: return false;
    }
}

/* One that only computes, for nobody. */
static bool is_void(const struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_addi:
    case RV_INSN_lui:
    case RV_INSN_auipc:
    case RV_INSN_add: return b->op->rd == RV_REG_SINK; /* nops and hints */
    default: return false;
    }
}

bool x64_lower_int(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    return is_void(b, id) || lower_i(b, id) || lower_m(b, id);
}
