/* x64_half.c: half precision (Zfh and its part of Zfa) by way of singles and doubles. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host has no arithmetic of halves but conversions (F16C). Rounding twice, to a single and
 * then to a half, gives what rounding once does, flags too, where the single has at least twice
 * the digits and two: 24 of 11, so for sums, products, quotients and roots (S. A. Figueroa,
 * "When is double rounding innocuous?", 1995). Subnormal halves change nothing: sums of halves
 * that come out so small are exact, products always are, and a quotient is never so close to a
 * shorter number. For what has more digits, such as fused multiply-adds, which take the way of
 * doubles, the single is rounded to odd: the last bit says whether anything was left.
 *
 * Singles that come from halves are normal, so the host's steps in between raise nothing else.
 * NaNs and what is not NaN-boxed are the interpreter's, as in x64_float.c.
 */
#include "vmm/engine/dbt/x64_float.h"

#define BOX (-0x10000) /* all but a half, sign-extended */

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

/* The upper 48 bits have to be all ones, else the interpreter does the instruction. */
static void need_boxed(struct target_block *b, unsigned f)
{
    if (x64_is_half(b, f))
        return;
    x64_rm(&b->code, X64_MOV, RAX, freg(f));
    x64_shift(&b->code, SHIFT_SAR, true, RAX, 16);
    x64_ri(&b->code, ALU_CMP, true, RAX, -1);
    x64_step_if(b, CC_NE);
}

/* xmm = the half as a single; the NaNs that the box becomes stand above it, and are quiet. */
static void widen(struct target_block *b, unsigned xmm, unsigned f)
{
    need_boxed(b, f);
    x64_half_widen(&b->code, xmm, x64_f(b, f));
}

static void widen_twice(struct target_block *b, unsigned xmm, unsigned f)
{
    widen(b, xmm, f);
    x64_rr(&b->code, X64_CVTSS2SD, xmm, xmm);
}

static void need_number(struct target_block *b, bool wide)
{
    x64_rr(&b->code, wide ? X64_UCOMISD : X64_UCOMISS, XMM0, XMM0);
    x64_step_if(b, CC_P);
}

/* rd = rax, which is boxed. */
static void put_boxed(struct target_block *b)
{
    x64_rr(&b->code, X64_MOVQ_TO, x64_f_target(b, b->op->rd), RAX);
    x64_f_put(b, b->op->rd, true);
    x64_boxed_half(b, b->op->rd);
}

/* rd = the single in xmm0, rounded. What stands above it is a quiet NaN or zero. */
static void put_rounded(struct target_block *b)
{
    x64_half_narrow(&b->code, XMM1, XMM0, ROUND_MXCSR);
    x64_rr(&b->code, X64_MOVQ_FROM, XMM1, RAX);
    x64_ri(&b->code, ALU_OR, true, RAX, BOX);
    put_boxed(b);
}

/* The same of the double in xmm0: what a single has no place for stays as its lowest bit. */
static void put_rounded_double(struct target_block *b)
{
    const int32_t rest = 1 << 29; /* of 52 bits of fraction a single has 23 */
    struct x64_code *c = &b->code;

    x64_rr(c, X64_MOVQ_FROM, XMM0, RAX);
    x64_rr(c, X64_MOV32, RCX, RAX);
    x64_ri(c, ALU_AND, false, RCX, rest - 1);
    x64_ri(c, ALU_ADD, false, RCX, rest - 1);
    x64_ri(c, ALU_AND, false, RCX, rest);
    x64_rr(c, X64_OR, RAX, RCX);
    x64_ri(c, ALU_AND, true, RAX, -rest);
    x64_rr(c, X64_MOVQ_TO, XMM1, RAX);
    x64_rr(c, X64_XORPS, XMM0, XMM0);
    x64_rr(c, X64_CVTSD2SS, XMM0, XMM1);
    put_rounded(b);
}

/* --- arithmetic --- */

static void lower_arithmetic(struct target_block *b, enum x64_op op)
{
    widen(b, XMM0, b->op->rs1);
    widen(b, XMM1, fs2(b));
    x64_vrr(&b->code, op, XMM0, XMM0, XMM1);
    need_number(b, false);
    put_rounded(b);
}

static void lower_root(struct target_block *b)
{
    widen(b, XMM0, b->op->rs1);
    x64_vrr(&b->code, X64_VSQRTSS, XMM0, XMM0, XMM0);
    need_number(b, false);
    put_rounded(b);
}

/*
 * The product is exact in a double. Of the sum something is lost only where the one is so much
 * smaller than the other that it decides nothing but the direction.
 */
static void lower_fma(struct target_block *b, bool minus_product, bool minus_sum)
{
    struct x64_code *c = &b->code;

    widen_twice(b, XMM0, b->op->rs1);
    widen_twice(b, XMM1, fs2(b));
    x64_vrr(c, X64_VMULSD, XMM0, XMM0, XMM1);
    if (minus_product) {
        x64_rr(c, X64_MOVQ_FROM, XMM0, RCX);
        x64_bit(c, BIT_BTC, RCX, 63);
        x64_rr(c, X64_MOVQ_TO, XMM0, RCX);
    }
    widen_twice(b, XMM1, fs3(b));
    x64_vrr(c, minus_sum ? X64_VSUBSD : X64_VADDSD, XMM0, XMM0, XMM1);
    need_number(b, true);
    put_rounded_double(b);
}

/* --- conversions --- */

static void lower_from_single(struct target_block *b)
{
    x64_need_boxed(b, b->op->rs1);
    x64_rm(&b->code, X64_MOV32, RAX, freg(b->op->rs1));
    x64_rr(&b->code, X64_MOVQ_TO, XMM0, RAX);
    need_number(b, false);
    put_rounded(b);
}

static void lower_from_double(struct target_block *b)
{
    x64_rr(&b->code, X64_MOVAPS, XMM0, x64_f(b, b->op->rs1));
    need_number(b, true);
    put_rounded_double(b);
}

/* What a double has no room for is beyond all halves. */
static void lower_from_int(struct target_block *b, enum x64_op op, unsigned from)
{
    x64_rr(&b->code, X64_XORPS, XMM0, XMM0);
    x64_rr(&b->code, op, XMM0, from);
    put_rounded_double(b);
}

static void lower_from_unsigned(struct target_block *b, bool word)
{
    unsigned from = x64_source(b, b->op->rs1, RAX);

    if (word) {
        x64_rr(&b->code, X64_MOV32, RAX, from);
        from = RAX;
    } else {
        x64_rr(&b->code, X64_TEST, from, from);
        x64_step_if(b, CC_S);
    }
    lower_from_int(b, X64_CVTSI2SD, from);
}

static void lower_to_single(struct target_block *b)
{
    struct x64_code *c = &b->code;

    widen(b, XMM0, b->op->rs1);
    need_number(b, false);
    x64_rr(c, X64_MOVQ_FROM, XMM0, RAX);
    x64_rr(c, X64_MOV32, RAX, RAX);
    x64_mov_imm(c, RCX, UINT64_MAX << 32);
    x64_rr(c, X64_OR, RAX, RCX);
    x64_rr(c, X64_MOVQ_TO, x64_f_target(b, b->op->rd), RAX);
    x64_f_put(b, b->op->rd, true);
}

static void lower_to_double(struct target_block *b)
{
    widen(b, XMM0, b->op->rs1);
    need_number(b, false);
    x64_rr(&b->code, X64_XORPS, XMM1, XMM1);
    x64_rr(&b->code, X64_CVTSS2SD, XMM1, XMM0);
    x64_put_spare(b, true);
}

static void lower_to_int(struct target_block *b, bool word, bool is_unsigned, unsigned rm)
{
    widen(b, XMM0, b->op->rs1);
    x64_single_to_int(b, XMM0, word, is_unsigned, rm);
}

static void lower_round(struct target_block *b, bool inexact, unsigned rm)
{
    widen(b, XMM0, b->op->rs1);
    need_number(b, false);
    x64_round(&b->code, false, XMM0, XMM0, x64_round_mode(rm) | (inexact ? 0 : ROUND_QUIET));
    put_rounded(b);
}

/* --- comparisons, signs, moves --- */

static void lower_less(struct target_block *b, enum x64_op compare, enum x64_cond cc)
{
    widen(b, XMM0, b->op->rs1);
    widen(b, XMM1, fs2(b));
    x64_rr(&b->code, compare, XMM1, XMM0);
    x64_setcc(&b->code, cc, RAX);
    x64_rr(&b->code, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

static void lower_equal(struct target_block *b)
{
    struct x64_code *c = &b->code;

    widen(b, XMM0, b->op->rs1);
    widen(b, XMM1, fs2(b));
    x64_rr(c, X64_UCOMISS, XMM0, XMM1);
    x64_setcc(c, CC_NP, RAX);
    x64_setcc(c, CC_E, RCX);
    x64_rr(c, X64_AND32, RAX, RCX);
    x64_rr(c, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

/* Asked both ways, as in x64_float.c. The target is free: both sources are copied. */
static void lower_extreme(struct target_block *b, enum x64_op op, enum x64_op both)
{
    struct x64_code *c = &b->code;
    unsigned to;

    widen(b, XMM0, b->op->rs1);
    widen(b, XMM1, fs2(b));
    x64_rr(c, X64_UCOMISS, XMM0, XMM1);
    x64_step_if(b, CC_P);
    to = x64_f_target(b, b->op->rd);
    x64_vrr(c, op, to, XMM0, XMM1);
    x64_vrr(c, op, XMM0, XMM1, XMM0);
    x64_vrr(c, both, XMM0, XMM0, to);
    put_rounded(b);
}

enum sign { SIGN_TAKEN, SIGN_INVERTED, SIGN_XORED };

static void lower_sign(struct target_block *b, enum sign sign)
{
    struct x64_code *c = &b->code;

    need_boxed(b, b->op->rs1);
    need_boxed(b, fs2(b));
    x64_rm(c, X64_MOV, RCX, freg(fs2(b)));
    x64_rm(c, X64_MOV, RAX, freg(b->op->rs1));
    if (sign == SIGN_INVERTED)
        x64_unary(c, UNARY_NOT, true, RCX);
    x64_ri(c, ALU_AND, false, RCX, 0x8000);
    if (sign != SIGN_XORED)
        x64_bit(c, BIT_BTR, RAX, 15);
    x64_rr(c, X64_XOR, RAX, RCX);
    put_boxed(b);
}

static void lower_to_f(struct target_block *b)
{
    x64_rr(&b->code, X64_MOVZX16, RAX, x64_source(b, b->op->rs1, RAX));
    x64_ri(&b->code, ALU_OR, true, RAX, BOX);
    put_boxed(b);
}

static void lower_from_f(struct target_block *b)
{
    unsigned to = x64_target(b->op->rd, RAX);

    x64_rm(&b->code, X64_MOVSX16, to, freg(b->op->rs1));
    x64_put(b, b->op->rd, to);
}

static void lower_class(struct target_block *b)
{
    need_boxed(b, b->op->rs1);
    x64_rm(&b->code, X64_MOV, RAX, freg(b->op->rs1));
    x64_shift(&b->code, SHIFT_SHL, true, RAX, 48);
    x64_class(b, 5);
}

/* --- by what they need of the rounding mode --- */

bool x64_half_exact(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fle_h: lower_less(b, X64_COMISS, CC_AE); return true;
    case RV_INSN_fleq_h: lower_less(b, X64_UCOMISS, CC_AE); return true;
    case RV_INSN_flt_h: lower_less(b, X64_COMISS, CC_A); return true;
    case RV_INSN_fltq_h: lower_less(b, X64_UCOMISS, CC_A); return true;
    case RV_INSN_feq_h: lower_equal(b); return true;
    case RV_INSN_fminm_h:
    case RV_INSN_fmin_h: lower_extreme(b, X64_VMINSS, X64_VORPS); return true;
    case RV_INSN_fmaxm_h:
    case RV_INSN_fmax_h: lower_extreme(b, X64_VMAXSS, X64_VANDPS); return true;
    case RV_INSN_fsgnj_h: lower_sign(b, SIGN_TAKEN); return true;
    case RV_INSN_fsgnjn_h: lower_sign(b, SIGN_INVERTED); return true;
    case RV_INSN_fsgnjx_h: lower_sign(b, SIGN_XORED); return true;
    case RV_INSN_fmv_x_h: lower_from_f(b); return true;
    case RV_INSN_fmv_h_x: lower_to_f(b); return true;
    case RV_INSN_fclass_h: lower_class(b); return true;
    default: return false;
    }
}

bool x64_half_widening(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fcvt_s_h: lower_to_single(b); return true;
    case RV_INSN_fcvt_d_h: lower_to_double(b); return true;
    default: return false;
    }
}

bool x64_half_to_int(struct target_block *b, unsigned id, unsigned rm)
{
    switch (id) {
    case RV_INSN_fcvt_w_h: lower_to_int(b, true, false, rm); return true;
    case RV_INSN_fcvt_wu_h: lower_to_int(b, true, true, rm); return true;
    case RV_INSN_fcvt_l_h: lower_to_int(b, false, false, rm); return true;
    case RV_INSN_fcvt_lu_h: lower_to_int(b, false, true, rm); return true;
    case RV_INSN_fround_h: lower_round(b, false, rm); return true;
    case RV_INSN_froundnx_h: lower_round(b, true, rm); return true;
    default: return false;
    }
}

bool x64_half_rounded(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fadd_h: lower_arithmetic(b, X64_VADDSS); return true;
    case RV_INSN_fsub_h: lower_arithmetic(b, X64_VSUBSS); return true;
    case RV_INSN_fmul_h: lower_arithmetic(b, X64_VMULSS); return true;
    case RV_INSN_fdiv_h: lower_arithmetic(b, X64_VDIVSS); return true;
    case RV_INSN_fsqrt_h: lower_root(b); return true;
    case RV_INSN_fmadd_h: lower_fma(b, false, false); return true;
    case RV_INSN_fmsub_h: lower_fma(b, false, true); return true;
    /* RISC-V negates the product in these two. */
    case RV_INSN_fnmsub_h: lower_fma(b, true, false); return true;
    case RV_INSN_fnmadd_h: lower_fma(b, true, true); return true;
    case RV_INSN_fcvt_h_s: lower_from_single(b); return true;
    case RV_INSN_fcvt_h_d: lower_from_double(b); return true;
    case RV_INSN_fcvt_h_w:
        lower_from_int(b, X64_CVTSI32_2SD, x64_source(b, b->op->rs1, RAX));
        return true;
    case RV_INSN_fcvt_h_l:
        lower_from_int(b, X64_CVTSI2SD, x64_source(b, b->op->rs1, RAX));
        return true;
    case RV_INSN_fcvt_h_wu: lower_from_unsigned(b, true); return true;
    case RV_INSN_fcvt_h_lu: lower_from_unsigned(b, false); return true;
    default: return false;
    }
}
