/* x64_float.c: single and double precision on SSE, with RISC-V's results and flags. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's FPU works in the guest's rounding mode and gathers the guest's flags (MXCSR) while
 * translated code runs, from the first such instruction on. IEEE 754 leaves both no choice in
 * results and flags but in these points, which are the interpreter's, that does the instruction
 * again: results that are NaNs (the host's are not the canonical one, and of infinity times
 * zero plus a quiet NaN it does not raise NV), conversions to integers that may not fit,
 * rounding modes that the instruction names itself (x64_lower_float says which), and operands
 * that are not NaN-boxed. What the host has raised by then the interpreter raises too: both
 * find an operation invalid, and a NaN raises nothing else. Tininess is detected after rounding
 * on both (SDM volume 1, section 4.9.1.5).
 */
#include "vmm/engine/dbt/x64_float.h"

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

void x64_need_boxed(struct target_block *b, unsigned f)
{
    if (x64_is_boxed(b, f))
        return;
    x64_mi(&b->code, ALU_CMP, false, HART_AT(f, 8 * f + 4), -1);
    x64_step_if(b, CC_NE);
}

void x64_put_number(struct target_block *b, bool wide)
{
    unsigned to = x64_f_held(b, b->op->rd);

    x64_rr(&b->code, wide ? X64_UCOMISD : X64_UCOMISS, to, to);
    x64_step_if(b, CC_P);
    x64_f_put(b, b->op->rd, !wide);
}

void x64_put_spare(struct target_block *b, bool wide)
{
    x64_rr(&b->code, X64_MOVAPS, x64_f_target(b, b->op->rd), XMM1);
    x64_f_put(b, b->op->rd, !wide);
}

/* add, sub, mul, div; sqrt has one operand. The upper part, a box, is that of the first. */
static void lower_arithmetic(struct target_block *b, enum x64_op op, bool wide, bool unary)
{
    unsigned one, two;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        if (!unary)
            x64_need_boxed(b, fs2(b));
    }
    one = x64_f(b, b->op->rs1);
    two = unary ? one : x64_f(b, fs2(b));
    x64_vrr(&b->code, op, x64_f_target(b, b->op->rd), one, two);
    x64_put_number(b, wide);
}

/* op: reg = reg * vvvv + r/m; sum: reg = vvvv * r/m + reg. */
static void lower_fma(struct target_block *b, enum x64_op op, enum x64_op sum, bool wide)
{
    unsigned one, two, three, to;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        x64_need_boxed(b, fs2(b));
        x64_need_boxed(b, fs3(b));
    }
    one = x64_f(b, b->op->rs1);
    two = x64_f(b, fs2(b));
    three = x64_f(b, fs3(b));
    to = x64_f_target(b, b->op->rd);
    if (to == three) {
        x64_vrr(&b->code, sum, to, one, two);
    } else if (to == two) {
        x64_vrr(&b->code, op, to, one, three);
    } else {
        if (to != one)
            x64_rr(&b->code, X64_MOVAPS, to, one);
        x64_vrr(&b->code, op, to, two, three);
    }
    x64_put_number(b, wide);
}

/* The conversion leaves the upper part alone: a box. */
static void lower_narrow(struct target_block *b)
{
    unsigned from = x64_f(b, b->op->rs1);

    x64_rr(&b->code, X64_PCMPEQB, XMM1, XMM1);
    x64_rr(&b->code, X64_CVTSD2SS, XMM1, from);
    x64_rr(&b->code, X64_UCOMISS, XMM1, XMM1);
    x64_step_if(b, CC_P);
    x64_put_spare(b, false);
}

static bool lower_rounded(struct target_block *b, unsigned id)
{
    switch (id) {
#define ARITHMETIC(name, NAME, unary)                                                          \
    case RV_INSN_f##name##_d: lower_arithmetic(b, X64_V##NAME##SD, true, unary); return true;  \
    case RV_INSN_f##name##_s: lower_arithmetic(b, X64_V##NAME##SS, false, unary); return true;
        ARITHMETIC(add, ADD, false)
        ARITHMETIC(sub, SUB, false)
        ARITHMETIC(mul, MUL, false)
        ARITHMETIC(div, DIV, false)
        ARITHMETIC(sqrt, SQRT, true)
#undef ARITHMETIC
#define FUSED(name, NAME)                                                                      \
    case RV_INSN_##name##_d:                                                                   \
        lower_fma(b, X64_##NAME##213SD, X64_##NAME##231SD, true);                              \
        return true;                                                                           \
    case RV_INSN_##name##_s:                                                                   \
        lower_fma(b, X64_##NAME##213SS, X64_##NAME##231SS, false);                             \
        return true;
        /* RISC-V negates the product in the last two, and its fnmadd subtracts. */
        FUSED(fmadd, VFMADD)
        FUSED(fmsub, VFMSUB)
        FUSED(fnmsub, VFNMADD)
        FUSED(fnmadd, VFNMSUB)
#undef FUSED
    case RV_INSN_fcvt_s_d: lower_narrow(b); return true;
    default: return false;
    }
}

/* --- comparisons, signs, moves --- */

/*
 * flt and fle are invalid for any NaN; feq, fltq and fleq for signalling ones: comi and ucomi.
 */
static void lower_less(struct target_block *b, enum x64_op compare, enum x64_cond cc, bool wide)
{
    unsigned two;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        x64_need_boxed(b, fs2(b));
    }
    two = x64_f(b, fs2(b));
    x64_rr(&b->code, compare, two, x64_f(b, b->op->rs1));
    x64_setcc(&b->code, cc, RAX); /* unordered sets CF, so that neither a nor ae holds */
    x64_rr(&b->code, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

static void lower_equal(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;
    unsigned one;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        x64_need_boxed(b, fs2(b));
    }
    one = x64_f(b, b->op->rs1);
    x64_rr(c, wide ? X64_UCOMISD : X64_UCOMISS, one, x64_f(b, fs2(b)));
    x64_setcc(c, CC_NP, RAX);
    x64_setcc(c, CC_E, RCX);
    x64_rr(c, X64_AND32, RAX, RCX);
    x64_rr(c, X64_MOVZX8, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

struct extreme {
    enum x64_op op, both;
};

/*
 * NaNs are the interpreter's. Of equal operands the host takes the second: asked both ways, it
 * gives both zeros, of which the sign bits of either (fmin) or of both (fmax) make the result.
 */
static void lower_extreme(struct target_block *b, struct extreme extreme, bool wide)
{
    struct x64_code *c = &b->code;
    unsigned one, two;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        x64_need_boxed(b, fs2(b));
    }
    one = x64_f(b, b->op->rs1);
    two = x64_f(b, fs2(b));
    x64_rr(c, wide ? X64_UCOMISD : X64_UCOMISS, one, two);
    x64_step_if(b, CC_P);
    x64_vrr(c, extreme.op, XMM0, one, two);
    x64_vrr(c, extreme.op, XMM1, two, one);
    x64_vrr(c, extreme.both, x64_f_target(b, b->op->rd), XMM0, XMM1);
    x64_f_put(b, b->op->rd, !wide);
}

enum sign { SIGN_TAKEN, SIGN_INVERTED, SIGN_XORED };

/* fmv, fneg and fabs are those with rs1 twice. A single's box is no part of the mask. */
static void lower_sign(struct target_block *b, enum sign sign, bool wide)
{
    struct x64_code *c = &b->code;
    unsigned one, two, to;

    if (!wide) {
        x64_need_boxed(b, b->op->rs1);
        x64_need_boxed(b, fs2(b));
    }
    one = x64_f(b, b->op->rs1);
    two = x64_f(b, fs2(b));
    to = x64_f_target(b, b->op->rd);
    if (one == two && sign == SIGN_TAKEN) {
        if (to != one)
            x64_rr(c, X64_MOVAPS, to, one);
        x64_f_put(b, b->op->rd, !wide);
        return;
    }
    x64_mov_imm(c, RAX, wide ? 1ull << 63 : 1ull << 31);
    x64_rr(c, X64_MOVQ_TO, XMM1, RAX);
    if (one == two) {
        if (sign == SIGN_INVERTED)
            x64_vrr(c, X64_VXORPS, to, one, XMM1);
        else
            x64_vrr(c, X64_VANDNPS, to, XMM1, one);
    } else {
        if (sign == SIGN_INVERTED)
            x64_vrr(c, X64_VANDNPS, XMM0, two, XMM1);
        else
            x64_vrr(c, X64_VANDPS, XMM0, two, XMM1);
        if (sign != SIGN_XORED)
            x64_vrr(c, X64_VANDNPS, XMM1, XMM1, one);
        x64_vrr(c, sign == SIGN_XORED ? X64_VXORPS : X64_VORPS, to, XMM0,
                sign == SIGN_XORED ? one : XMM1);
    }
    x64_f_put(b, b->op->rd, !wide);
}

static void lower_to_f(struct target_block *b, bool wide)
{
    unsigned from = x64_source(b, b->op->rs1, RAX), to = x64_f_target(b, b->op->rd);

    if (!wide) {
        x64_rr(&b->code, X64_MOV32, RAX, from);
        x64_mov_imm(&b->code, RCX, UINT64_MAX << 32);
        x64_rr(&b->code, X64_OR, RAX, RCX);
        from = RAX;
    }
    x64_rr(&b->code, X64_MOVQ_TO, to, from);
    x64_f_put(b, b->op->rd, !wide);
}

static void lower_constant(struct target_block *b, unsigned bytes)
{
    unsigned to = x64_f_target(b, b->op->rd);

    x64_mov_imm(&b->code, RAX, interp_fli(bytes, b->op->rs1));
    x64_rr(&b->code, X64_MOVQ_TO, to, RAX);
    x64_f_put(b, b->op->rd, bytes == 4);
    if (bytes == 2)
        x64_boxed_half(b, b->op->rd);
}

static void lower_from_f(struct target_block *b, bool wide)
{
    unsigned to = x64_target(b->op->rd, RAX), held = x64_f_held(b, b->op->rs1);

    if (!held) {
        x64_rm(&b->code, wide ? X64_MOV : X64_MOVSXD, to, freg(b->op->rs1));
    } else {
        x64_rr(&b->code, X64_MOVQ_FROM, held, to);
        if (!wide)
            x64_rr(&b->code, X64_MOVSXD, to, to);
    }
    x64_put(b, b->op->rd, to);
}

static bool lower_exact(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fle_d: lower_less(b, X64_COMISD, CC_AE, true); return true;
    case RV_INSN_fleq_d: lower_less(b, X64_UCOMISD, CC_AE, true); return true;
    case RV_INSN_fle_s: lower_less(b, X64_COMISS, CC_AE, false); return true;
    case RV_INSN_fleq_s: lower_less(b, X64_UCOMISS, CC_AE, false); return true;
    case RV_INSN_flt_d: lower_less(b, X64_COMISD, CC_A, true); return true;
    case RV_INSN_fltq_d: lower_less(b, X64_UCOMISD, CC_A, true); return true;
    case RV_INSN_flt_s: lower_less(b, X64_COMISS, CC_A, false); return true;
    case RV_INSN_fltq_s: lower_less(b, X64_UCOMISS, CC_A, false); return true;
    case RV_INSN_feq_d: lower_equal(b, true); return true;
    case RV_INSN_feq_s: lower_equal(b, false); return true;
    case RV_INSN_fminm_d: /* differs for NaNs only */
    case RV_INSN_fmin_d:
        lower_extreme(b, (struct extreme){X64_VMINSD, X64_VORPS}, true);
        return true;
    case RV_INSN_fminm_s:
    case RV_INSN_fmin_s:
        lower_extreme(b, (struct extreme){X64_VMINSS, X64_VORPS}, false);
        return true;
    case RV_INSN_fmaxm_d:
    case RV_INSN_fmax_d:
        lower_extreme(b, (struct extreme){X64_VMAXSD, X64_VANDPS}, true);
        return true;
    case RV_INSN_fmaxm_s:
    case RV_INSN_fmax_s:
        lower_extreme(b, (struct extreme){X64_VMAXSS, X64_VANDPS}, false);
        return true;
    case RV_INSN_fsgnj_d: lower_sign(b, SIGN_TAKEN, true); return true;
    case RV_INSN_fsgnjn_d: lower_sign(b, SIGN_INVERTED, true); return true;
    case RV_INSN_fsgnjx_d: lower_sign(b, SIGN_XORED, true); return true;
    case RV_INSN_fsgnj_s: lower_sign(b, SIGN_TAKEN, false); return true;
    case RV_INSN_fsgnjn_s: lower_sign(b, SIGN_INVERTED, false); return true;
    case RV_INSN_fsgnjx_s: lower_sign(b, SIGN_XORED, false); return true;
    case RV_INSN_fmv_x_d: lower_from_f(b, true); return true;
    case RV_INSN_fmv_x_w: lower_from_f(b, false); return true;
    case RV_INSN_fmv_d_x: lower_to_f(b, true); return true;
    case RV_INSN_fmv_w_x: lower_to_f(b, false); return true;
    case RV_INSN_fli_d: lower_constant(b, 8); return true;
    case RV_INSN_fli_s: lower_constant(b, 4); return true;
    case RV_INSN_fli_h: lower_constant(b, 2); return true;
    default: return false;
    }
}

bool x64_is_float(unsigned id)
{
    return id >= RV_INSN_fmadd_s && id <= RV_INSN_fcvtmod_w_d;
}

/* The mode that the instruction names has to be the one at hand. */
static void need_mode(struct target_block *b, unsigned rm)
{
    if (rm == RM_DYNAMIC)
        return;
    x64_rm(&b->code, X64_MOVZX8, RAX, HART(frm));
    x64_ri(&b->code, ALU_CMP, false, RAX, (int32_t)rm);
    x64_step_if(b, CC_NE);
}

bool x64_lower_float(struct target_block *b)
{
    unsigned id = b->op->code >> 1;
    unsigned rm = rm_of(b);

    if (!x64_is_float(id))
        return false;
    x64_fp_begin(b);
    if (lower_exact(b, id) || x64_convert_class(b, id) || x64_half_exact(b, id))
        return true;
    if (rm > RM_LAST && rm != RM_DYNAMIC)
        return false;
    if (x64_convert_exact(b, id) || x64_half_widening(b, id))
        return true;
    if (rm == RM_LAST) /* to nearest, ties away from zero: the host has no such mode */
        return false;
    if (x64_convert_to_int(b, id, rm) || x64_half_to_int(b, id, rm))
        return true;
    need_mode(b, rm);
    return lower_rounded(b, id) || x64_convert_from_int(b, id) || x64_half_rounded(b, id);
}
