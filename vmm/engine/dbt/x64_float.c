/* x64_float.c: single and double precision on SSE, with RISC-V's results and flags. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's FPU works in the guest's rounding mode and gathers the guest's flags (MXCSR) while
 * translated code runs, from the first such instruction on. IEEE 754 leaves both no choice in
 * results and flags but in these points, which are the interpreter's, that does the instruction
 * again: results that are NaNs (the host's are not the canonical one, and of infinity times
 * zero plus a quiet NaN it does not raise NV), conversions to integers that do not fit,
 * rounding modes that the instruction names itself, and operands that are not NaN-boxed. What
 * the host has raised by then the interpreter raises too: both find an operation invalid, and a
 * NaN raises nothing else. Tininess is detected after rounding on both (SDM volume 1,
 * section 4.9.1.5).
 */
#include "vmm/engine/dbt/x64_block.h"

/* xmm registers, all free within an instruction. */
enum { XMM0, XMM1 };

#define RM_RTZ     1
#define RM_LAST    4
#define RM_DYNAMIC 7

static unsigned rm_of(const struct target_block *b)
{
    return (unsigned)b->op->imm >> 16 & 7;
}

static unsigned fs2(const struct target_block *b)
{
    return (unsigned)b->op->imm & 31;
}

static unsigned fs3(const struct target_block *b)
{
    return (unsigned)b->op->imm >> 8 & 31;
}

static struct x64_mem freg(unsigned f)
{
    return HART_AT(f, 8 * f);
}

/* The upper half of a single has to be all ones. */
static void need_boxed(struct target_block *b, unsigned f)
{
    if (b->boxed >> f & 1)
        return;
    x64_mi(&b->code, ALU_CMP, false, HART_AT(f, 8 * f + 4), -1);
    x64_step_if(b, CC_NE);
}

static void put_double(struct target_block *b)
{
    x64_rm(&b->code, X64_STORESD, XMM0, freg(b->op->rd));
    x64_boxed(b, b->op->rd, false);
}

static void put_single(struct target_block *b)
{
    x64_rm(&b->code, X64_STORESS, XMM0, freg(b->op->rd));
    x64_store_imm(&b->code, false, HART_AT(f, 8 * b->op->rd + 4), -1);
    x64_boxed(b, b->op->rd, true);
}

/* The result in XMM0, unless it is a NaN. */
static void put_number(struct target_block *b, bool wide)
{
    x64_rr(&b->code, wide ? X64_UCOMISD : X64_UCOMISS, XMM0, XMM0);
    x64_step_if(b, CC_P);
    if (wide)
        put_double(b);
    else
        put_single(b);
}

static void load(struct target_block *b, unsigned xmm, unsigned f, bool wide)
{
    x64_rm(&b->code, wide ? X64_MOVSD : X64_MOVSS, xmm, freg(f));
}

/* add, sub, mul, div; sqrt has one operand. */
static void lower_arithmetic(struct target_block *b, enum x64_op op, bool wide, bool unary)
{
    if (!wide) {
        need_boxed(b, b->op->rs1);
        if (!unary)
            need_boxed(b, fs2(b));
    }
    if (unary) {
        x64_rm(&b->code, op, XMM0, freg(b->op->rs1));
    } else {
        load(b, XMM0, b->op->rs1, wide);
        x64_rm(&b->code, op, XMM0, freg(fs2(b)));
    }
    put_number(b, wide);
}

static void lower_fma(struct target_block *b, enum x64_op op, bool wide)
{
    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
        need_boxed(b, fs3(b));
    }
    load(b, XMM0, b->op->rs1, wide);
    load(b, XMM1, fs2(b), wide);
    x64_vrm(&b->code, op, XMM0, XMM1, freg(fs3(b)));
    put_number(b, wide);
}

static bool lower_rounded(struct target_block *b, unsigned id)
{
    switch (id) {
#define ARITHMETIC(name, NAME, unary)                                                          \
    case RV_INSN_f##name##_d: lower_arithmetic(b, X64_##NAME##SD, true, unary); return true;   \
    case RV_INSN_f##name##_s: lower_arithmetic(b, X64_##NAME##SS, false, unary); return true;
        ARITHMETIC(add, ADD, false)
        ARITHMETIC(sub, SUB, false)
        ARITHMETIC(mul, MUL, false)
        ARITHMETIC(div, DIV, false)
        ARITHMETIC(sqrt, SQRT, true)
#undef ARITHMETIC
#define FUSED(name, NAME)                                                                      \
    case RV_INSN_##name##_d: lower_fma(b, X64_##NAME##213SD, true); return true;               \
    case RV_INSN_##name##_s: lower_fma(b, X64_##NAME##213SS, false); return true;
        /* RISC-V negates the product in the last two, and its fnmadd subtracts. */
        FUSED(fmadd, VFMADD)
        FUSED(fmsub, VFMSUB)
        FUSED(fnmsub, VFNMADD)
        FUSED(fnmadd, VFNMSUB)
#undef FUSED
    case RV_INSN_fcvt_s_d:
        x64_rm(&b->code, X64_CVTSD2SS, XMM0, freg(b->op->rs1));
        put_number(b, false);
        return true;
    default: return false;
    }
}

/* --- from and to integers --- */

static void lower_from_int(struct target_block *b, enum x64_op op, bool wide)
{
    unsigned from = x64_source(b, b->op->rs1, RAX);

    x64_rr(&b->code, X64_XORPS, XMM0, XMM0); /* the conversion keeps the upper part */
    x64_rr(&b->code, op, XMM0, from);
    if (wide)
        put_double(b);
    else
        put_single(b);
}

/* 32 unsigned bits are a positive number of 64. */
static void lower_from_word(struct target_block *b, enum x64_op op, bool wide)
{
    x64_rr(&b->code, X64_MOV32, RAX, x64_source(b, b->op->rs1, RAX));
    x64_rr(&b->code, X64_XORPS, XMM0, XMM0);
    x64_rr(&b->code, op, XMM0, RAX);
    if (wide)
        put_double(b);
    else
        put_single(b);
}

/*
 * To a signed integer. What does not fit becomes the least one of the host's, with NV: then the
 * interpreter looks.
 */
static void lower_to_int(struct target_block *b, enum x64_op op, bool wide, bool word)
{
    struct x64_code *c = &b->code;

    if (!wide)
        need_boxed(b, b->op->rs1);
    x64_rm(c, op, RAX, freg(b->op->rs1));
    if (word) {
        x64_ri(c, ALU_CMP, false, RAX, INT32_MIN);
        x64_step_if(b, CC_E);
        x64_rr(c, X64_MOVSXD, RAX, RAX);
    } else {
        x64_mov_imm(c, RCX, 1ull << 63);
        x64_rr(c, X64_CMP, RAX, RCX);
        x64_step_if(b, CC_E);
    }
    x64_put(b, b->op->rd, RAX);
}

/*
 * Conversions that the host does in the rounding mode at hand, or towards zero; those that are
 * exact, in any.
 */
static bool lower_convert(struct target_block *b, unsigned id, unsigned rm)
{
    bool zero = rm == RM_RTZ;

    switch (id) {
#define TO_INT(name, SCALAR, wide, word, BITS)                                                 \
    case RV_INSN_fcvt_##name:                                                                  \
        lower_to_int(b, zero ? X64_CVTT##SCALAR##2SI##BITS : X64_CVT##SCALAR##2SI##BITS, wide, \
                     word);                                                                    \
        return true;
        TO_INT(w_d, SD, true, true, 32)
        TO_INT(w_s, SS, false, true, 32)
        TO_INT(l_d, SD, true, false, )
        TO_INT(l_s, SS, false, false, )
#undef TO_INT
    default: break;
    }
    if (zero)
        return false;
    switch (id) {
    case RV_INSN_fcvt_d_l: lower_from_int(b, X64_CVTSI2SD, true); return true;
    case RV_INSN_fcvt_s_l: lower_from_int(b, X64_CVTSI2SS, false); return true;
    case RV_INSN_fcvt_s_w: lower_from_int(b, X64_CVTSI32_2SS, false); return true;
    case RV_INSN_fcvt_s_wu: lower_from_word(b, X64_CVTSI2SS, false); return true;
    default: return false;
    }
}

static bool lower_exact_convert(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fcvt_d_w: lower_from_int(b, X64_CVTSI32_2SD, true); return true;
    case RV_INSN_fcvt_d_wu: lower_from_word(b, X64_CVTSI2SD, true); return true;
    case RV_INSN_fcvt_d_s:
        need_boxed(b, b->op->rs1);
        x64_rm(&b->code, X64_CVTSS2SD, XMM0, freg(b->op->rs1));
        put_number(b, true);
        return true;
    default: return false;
    }
}

/* --- comparisons, signs, moves --- */

/* flt and fle are invalid for any NaN, feq for signalling ones: comi and ucomi. */
static void lower_less(struct target_block *b, enum x64_cond cc, bool wide)
{
    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
    }
    load(b, XMM0, fs2(b), wide);
    x64_rm(&b->code, wide ? X64_COMISD : X64_COMISS, XMM0, freg(b->op->rs1));
    x64_setcc(&b->code, cc, RAX); /* unordered sets CF, so that neither a nor ae holds */
    x64_rr(&b->code, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

static void lower_equal(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
    }
    load(b, XMM0, b->op->rs1, wide);
    x64_rm(c, wide ? X64_UCOMISD : X64_UCOMISS, XMM0, freg(fs2(b)));
    x64_setcc(c, CC_NP, RAX);
    x64_setcc(c, CC_E, RCX);
    x64_rr(c, X64_AND32, RAX, RCX);
    x64_rr(c, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

/* NaNs, and equal operands, which may be zeros of two signs, are the interpreter's. */
static void lower_extreme(struct target_block *b, enum x64_cond keep, bool wide)
{
    struct x64_code *c = &b->code;
    uint8_t *over;

    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
    }
    load(b, XMM0, b->op->rs1, wide);
    x64_rm(c, wide ? X64_UCOMISD : X64_UCOMISS, XMM0, freg(fs2(b)));
    x64_step_if(b, CC_E); /* also when unordered */
    over = x64_jcc(c, keep, NULL);
    load(b, XMM0, fs2(b), wide);
    if (!c->full)
        x64_link(over, c->at);
    if (wide)
        put_double(b);
    else
        put_single(b);
}

enum sign { SIGN_TAKEN, SIGN_INVERTED, SIGN_XORED };

/* Doubles only by their bits; fmv, fneg and fabs are those with rs1 twice. */
static void lower_sign(struct target_block *b, enum sign sign)
{
    struct x64_code *c = &b->code;
    unsigned one = b->op->rs1, two = fs2(b);

    x64_rm(c, X64_MOV, RAX, freg(one));
    if (one == two) {
        if (sign != SIGN_TAKEN)
            x64_bit(c, sign == SIGN_INVERTED ? BIT_BTC : BIT_BTR, RAX, 63);
    } else {
        x64_rm(c, X64_MOV, RCX, freg(two));
        if (sign == SIGN_INVERTED)
            x64_unary(c, UNARY_NOT, true, RCX);
        if (sign != SIGN_XORED)
            x64_bit(c, BIT_BTR, RAX, 63);
        x64_shift(c, SHIFT_SHR, true, RCX, 63);
        x64_shift(c, SHIFT_SHL, true, RCX, 63);
        x64_rr(c, X64_XOR, RAX, RCX);
    }
    x64_rm(c, X64_STORE, RAX, freg(b->op->rd));
    x64_boxed(b, b->op->rd, false);
}

/* The same of singles, whose bits lie in the lower half. */
static void lower_sign_single(struct target_block *b, enum sign sign)
{
    struct x64_code *c = &b->code;
    unsigned one = b->op->rs1, two = fs2(b);

    need_boxed(b, one);
    need_boxed(b, two);
    x64_rm(c, X64_MOV, RAX, freg(one));
    if (one == two) {
        if (sign != SIGN_TAKEN)
            x64_bit(c, sign == SIGN_INVERTED ? BIT_BTC : BIT_BTR, RAX, 31);
    } else {
        x64_rm(c, X64_MOV32, RCX, freg(two));
        if (sign == SIGN_INVERTED)
            x64_unary(c, UNARY_NOT, false, RCX);
        if (sign != SIGN_XORED)
            x64_bit(c, BIT_BTR, RAX, 31);
        x64_shift(c, SHIFT_SHR, false, RCX, 31);
        x64_shift(c, SHIFT_SHL, false, RCX, 31);
        x64_rr(c, X64_XOR, RAX, RCX);
    }
    x64_rm(c, X64_STORE, RAX, freg(b->op->rd));
    x64_boxed(b, b->op->rd, true);
}

static void lower_to_f(struct target_block *b, bool wide)
{
    unsigned from = x64_source(b, b->op->rs1, RAX);

    x64_rm(&b->code, wide ? X64_STORE : X64_STORE32, from, freg(b->op->rd));
    if (!wide)
        x64_store_imm(&b->code, false, HART_AT(f, 8 * b->op->rd + 4), -1);
    x64_boxed(b, b->op->rd, !wide);
}

static void lower_from_f(struct target_block *b, enum x64_op op)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_rm(&b->code, op, to, freg(b->op->rs1));
    x64_put(b, b->op->rd, to);
}

static bool lower_exact(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fle_d: lower_less(b, CC_AE, true); return true;
    case RV_INSN_fle_s: lower_less(b, CC_AE, false); return true;
    case RV_INSN_flt_d: lower_less(b, CC_A, true); return true;
    case RV_INSN_flt_s: lower_less(b, CC_A, false); return true;
    case RV_INSN_feq_d: lower_equal(b, true); return true;
    case RV_INSN_feq_s: lower_equal(b, false); return true;
    case RV_INSN_fmin_d: lower_extreme(b, CC_B, true); return true;
    case RV_INSN_fmin_s: lower_extreme(b, CC_B, false); return true;
    case RV_INSN_fmax_d: lower_extreme(b, CC_A, true); return true;
    case RV_INSN_fmax_s: lower_extreme(b, CC_A, false); return true;
    case RV_INSN_fsgnj_d: lower_sign(b, SIGN_TAKEN); return true;
    case RV_INSN_fsgnjn_d: lower_sign(b, SIGN_INVERTED); return true;
    case RV_INSN_fsgnjx_d: lower_sign(b, SIGN_XORED); return true;
    case RV_INSN_fsgnj_s: lower_sign_single(b, SIGN_TAKEN); return true;
    case RV_INSN_fsgnjn_s: lower_sign_single(b, SIGN_INVERTED); return true;
    case RV_INSN_fsgnjx_s: lower_sign_single(b, SIGN_XORED); return true;
    case RV_INSN_fmv_x_d: lower_from_f(b, X64_MOV); return true;
    case RV_INSN_fmv_x_w: lower_from_f(b, X64_MOVSXD); return true;
    case RV_INSN_fmv_d_x: lower_to_f(b, true); return true;
    case RV_INSN_fmv_w_x: lower_to_f(b, false); return true;
    default: return false;
    }
}

/* What has to do with floating point at all, for the test that comes before. */
static bool is_float(unsigned id)
{
    return (id >= RV_INSN_fmadd_s && id <= RV_INSN_fmv_d_x);
}

bool x64_lower_float(struct target_block *b)
{
    unsigned id = b->op->code >> 1;
    unsigned rm = rm_of(b);

    if (!is_float(id))
        return false;
    x64_fp_begin(b);
    if (lower_exact(b, id))
        return true;
    if (rm <= RM_LAST || rm == RM_DYNAMIC) {
        if (lower_exact_convert(b, id))
            return true;
        if (rm == RM_DYNAMIC && lower_rounded(b, id))
            return true;
        if ((rm == RM_DYNAMIC || rm == RM_RTZ) && lower_convert(b, id, rm))
            return true;
    }
    return false;
}
