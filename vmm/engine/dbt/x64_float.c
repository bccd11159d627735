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

/* The result in the target of rd, unless it is a NaN. */
static void put_number(struct target_block *b, bool wide)
{
    unsigned to = x64_f_held(b, b->op->rd);

    x64_rr(&b->code, wide ? X64_UCOMISD : X64_UCOMISS, to, to);
    x64_step_if(b, CC_P);
    x64_f_put(b, b->op->rd, !wide);
}

/* From xmm1, whose upper part is as that of the register has to be. */
static void put_spare(struct target_block *b, bool wide)
{
    x64_rr(&b->code, X64_MOVAPS, x64_f_target(b, b->op->rd), XMM1);
    x64_f_put(b, b->op->rd, !wide);
}

/* add, sub, mul, div; sqrt has one operand. The upper part, a box, is that of the first. */
static void lower_arithmetic(struct target_block *b, enum x64_op op, bool wide, bool unary)
{
    unsigned one, two;

    if (!wide) {
        need_boxed(b, b->op->rs1);
        if (!unary)
            need_boxed(b, fs2(b));
    }
    one = x64_f(b, b->op->rs1);
    two = unary ? one : x64_f(b, fs2(b));
    x64_vrr(&b->code, op, x64_f_target(b, b->op->rd), one, two);
    put_number(b, wide);
}

/* op: reg = reg * vvvv + r/m; sum: reg = vvvv * r/m + reg. */
static void lower_fma(struct target_block *b, enum x64_op op, enum x64_op sum, bool wide)
{
    unsigned one, two, three, to;

    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
        need_boxed(b, fs3(b));
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
    put_number(b, wide);
}

/* The conversion leaves the upper part alone: a box. */
static void lower_narrow(struct target_block *b)
{
    unsigned from = x64_f(b, b->op->rs1);

    x64_rr(&b->code, X64_PCMPEQB, XMM1, XMM1);
    x64_rr(&b->code, X64_CVTSD2SS, XMM1, from);
    x64_rr(&b->code, X64_UCOMISS, XMM1, XMM1);
    x64_step_if(b, CC_P);
    put_spare(b, false);
}

static void lower_widen(struct target_block *b)
{
    unsigned from;

    need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    x64_rr(&b->code, X64_XORPS, XMM1, XMM1);
    x64_rr(&b->code, X64_CVTSS2SD, XMM1, from);
    x64_rr(&b->code, X64_UCOMISD, XMM1, XMM1);
    x64_step_if(b, CC_P);
    put_spare(b, true);
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

/* --- from and to integers --- */

/* The conversion keeps the upper part: a box. */
static void from_int(struct target_block *b, enum x64_op op, unsigned from, bool wide)
{
    x64_rr(&b->code, wide ? X64_XORPS : X64_PCMPEQB, XMM1, XMM1);
    x64_rr(&b->code, op, XMM1, from);
    put_spare(b, wide);
}

static void lower_from_int(struct target_block *b, enum x64_op op, bool wide)
{
    from_int(b, op, x64_source(b, b->op->rs1, RAX), wide);
}

/* 32 unsigned bits are a positive number of 64. */
static void lower_from_word(struct target_block *b, enum x64_op op, bool wide)
{
    x64_rr(&b->code, X64_MOV32, RAX, x64_source(b, b->op->rs1, RAX));
    from_int(b, op, RAX, wide);
}

/*
 * From 64 unsigned bits. Those of the upper half are halved first, where the lowest bit stays
 * as the rest that rounding sees, and doubled then, which is exact.
 */
static void lower_from_unsigned(struct target_block *b, bool wide)
{
    enum x64_op op = wide ? X64_CVTSI2SD : X64_CVTSI2SS;
    struct x64_code *c = &b->code;
    uint8_t *half, *over;

    x64_get(b, RAX, b->op->rs1);
    x64_rr(c, wide ? X64_XORPS : X64_PCMPEQB, XMM1, XMM1);
    x64_rr(c, X64_TEST, RAX, RAX);
    half = x64_jcc(c, CC_S, NULL);
    x64_rr(c, op, XMM1, RAX);
    over = x64_jmp(c, NULL);
    x64_land(b, half);
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_shift(c, SHIFT_SHR, true, RAX, 1);
    x64_ri(c, ALU_AND, false, RCX, 1);
    x64_rr(c, X64_OR, RAX, RCX);
    x64_rr(c, op, XMM1, RAX);
    x64_vrr(c, wide ? X64_VADDSD : X64_VADDSS, XMM1, XMM1, XMM1);
    x64_land(b, over);
    put_spare(b, wide);
}

/* A conversion to an integer. */
struct to_int {
    bool wide, word, is_unsigned;
};

/*
 * To a signed integer in the mode at hand or towards zero. What does not fit becomes the least
 * one of the host's, with NV: then the interpreter looks.
 */
static void to_signed(struct target_block *b, struct to_int to, unsigned from, bool zero)
{
    static const enum x64_op ops[2][2][2] = {
        {{X64_CVTSS2SI, X64_CVTSS2SI32}, {X64_CVTTSS2SI, X64_CVTTSS2SI32}},
        {{X64_CVTSD2SI, X64_CVTSD2SI32}, {X64_CVTTSD2SI, X64_CVTTSD2SI32}},
    };
    struct x64_code *c = &b->code;

    x64_rr(c, ops[to.wide][zero][to.word], RAX, from);
    if (to.word) {
        x64_ri(c, ALU_CMP, false, RAX, INT32_MIN);
        x64_step_if(b, CC_E);
        x64_rr(c, X64_MOVSXD, RAX, RAX);
    } else {
        x64_mov_imm(c, RCX, 1ull << 63);
        x64_rr(c, X64_CMP, RAX, RCX);
        x64_step_if(b, CC_E);
    }
}

/*
 * What may not fit is the interpreter's before the host has a chance to find it inexact: what
 * has an exponent of `limit` or more, and of unsigned ones the negative, which stand above.
 */
static void need_exponent(struct target_block *b, unsigned from, struct to_int to, int limit)
{
    struct x64_code *c = &b->code;
    int bias = to.wide ? 1023 : 127;
    unsigned below = to.wide ? 52 : 23; /* the exponent */

    x64_rr(c, X64_MOVQ_FROM, from, RAX);
    if (!to.is_unsigned)
        x64_rr(c, to.wide ? X64_ADD : X64_ADD32, RAX, RAX);
    x64_shift(c, SHIFT_SHR, to.wide, RAX, to.is_unsigned ? below : below + 1);
    x64_ri(c, ALU_CMP, false, RAX, bias + limit);
    x64_step_if(b, CC_AE);
}

/* The modes of the host by those of instructions: to nearest, to zero, down, up. */
static const uint8_t host_modes[] = {0, 3, 1, 2};

static void lower_to_int(struct target_block *b, struct to_int to, unsigned rm)
{
    struct x64_code *c = &b->code;
    int bits = to.word ? 32 : 64;
    unsigned from;

    if (!to.wide)
        need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    if (!to.is_unsigned && (rm == RM_DYNAMIC || rm == RM_RTZ)) {
        to_signed(b, to, from, rm == RM_RTZ);
        x64_put(b, b->op->rd, RAX);
        return;
    }
    /* Rounding may make one more of it. The host's integers are signed. */
    if (!to.is_unsigned)
        bits -= 2;
    else if (rm != RM_RTZ || !to.word)
        bits -= 1;
    need_exponent(b, from, to, bits);
    if (rm != RM_DYNAMIC && rm != RM_RTZ) {
        x64_round(c, to.wide, XMM1, from, host_modes[rm]);
        from = XMM1;
    }
    to.word = false;
    to_signed(b, to, from, rm != RM_DYNAMIC);
    if (bits <= 32)
        x64_rr(c, X64_MOVSXD, RAX, RAX);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_convert_to_int(struct target_block *b, unsigned id, unsigned rm)
{
    switch (id) {
#define TO_INT(name, ...)                                                                      \
    case RV_INSN_fcvt_##name: lower_to_int(b, (struct to_int){__VA_ARGS__}, rm); return true;
        TO_INT(w_d, .wide = true, .word = true)
        TO_INT(w_s, .word = true)
        TO_INT(l_d, .wide = true)
        TO_INT(l_s, .word = false)
        TO_INT(wu_d, .wide = true, .word = true, .is_unsigned = true)
        TO_INT(wu_s, .word = true, .is_unsigned = true)
        TO_INT(lu_d, .wide = true, .is_unsigned = true)
        TO_INT(lu_s, .is_unsigned = true)
#undef TO_INT
    default: return false;
    }
}

/* In the rounding mode at hand. */
static bool lower_convert_from_int(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fcvt_d_l: lower_from_int(b, X64_CVTSI2SD, true); return true;
    case RV_INSN_fcvt_s_l: lower_from_int(b, X64_CVTSI2SS, false); return true;
    case RV_INSN_fcvt_s_w: lower_from_int(b, X64_CVTSI32_2SS, false); return true;
    case RV_INSN_fcvt_s_wu: lower_from_word(b, X64_CVTSI2SS, false); return true;
    case RV_INSN_fcvt_d_lu: lower_from_unsigned(b, true); return true;
    case RV_INSN_fcvt_s_lu: lower_from_unsigned(b, false); return true;
    default: return false;
    }
}

/* Those that are exact, in any mode. */
static bool lower_exact_convert(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_fcvt_d_w: lower_from_int(b, X64_CVTSI32_2SD, true); return true;
    case RV_INSN_fcvt_d_wu: lower_from_word(b, X64_CVTSI2SD, true); return true;
    case RV_INSN_fcvt_d_s: lower_widen(b); return true;
    default: return false;
    }
}

/* To an integer of the format (Zfa). */
static void lower_round(struct target_block *b, bool wide, bool inexact, unsigned rm)
{
    unsigned mode = rm == RM_DYNAMIC ? ROUND_MXCSR : host_modes[rm];
    unsigned from, to;

    if (!wide)
        need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    to = x64_f_target(b, b->op->rd);
    if (to != from) /* the upper part is kept: a box */
        x64_rr(&b->code, X64_MOVAPS, to, from);
    x64_round(&b->code, wide, to, to, mode | (inexact ? 0 : ROUND_INEXACT));
    put_number(b, wide);
}

static bool lower_integral(struct target_block *b, unsigned id, unsigned rm)
{
    switch (id) {
    case RV_INSN_fround_d: lower_round(b, true, false, rm); return true;
    case RV_INSN_fround_s: lower_round(b, false, false, rm); return true;
    case RV_INSN_froundnx_d: lower_round(b, true, true, rm); return true;
    case RV_INSN_froundnx_s: lower_round(b, false, true, rm); return true;
    default: return false;
    }
}

/*
 * fclass, by the exponent. Of zero, subnormal, normal and infinite, 0 to 3, the bits of the
 * positive are 4 to 7 and those of the negative 3 to 0. NaNs are the interpreter's.
 */
static void lower_class(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;
    unsigned from;

    if (!wide)
        need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    x64_rr(c, X64_MOVQ_FROM, from, RAX);
    if (!wide)
        x64_shift(c, SHIFT_SHL, true, RAX, 32);
    x64_rr(c, X64_MOV, RDX, RAX);
    x64_rr(c, X64_ADD, RAX, RAX); /* without the sign */
    x64_setcc(c, CC_NE, RCX);
    x64_rr(c, X64_MOVZX8, RCX, RCX);
    x64_shift(c, SHIFT_SAR, true, RDX, 63);
    x64_rr(c, X64_MOVQ_TO, XMM1, RDX);
    x64_mov_imm(c, RDX, wide ? 0xffeull << 52 : 0xffull << 56); /* infinity */
    x64_rr(c, X64_CMP, RAX, RDX);
    x64_step_if(b, CC_A);
    x64_setcc(c, CC_E, RDX);
    x64_rr(c, X64_MOVZX8, RDX, RDX);
    x64_rr(c, X64_ADD32, RCX, RDX);
    x64_shift(c, SHIFT_SHR, true, RAX, wide ? 53 : 56); /* the exponent */
    x64_setcc(c, CC_NE, RDX);
    x64_rr(c, X64_MOVZX8, RDX, RDX);
    x64_rr(c, X64_ADD32, RCX, RDX);
    x64_rr(c, X64_MOVQ_FROM, XMM1, RDX);
    x64_rr(c, X64_XOR32, RCX, RDX); /* -1 - kind of the negative */
    x64_ri(c, ALU_ADD, false, RCX, 4);
    x64_mov_imm(c, RAX, 1);
    x64_shift_cl(c, SHIFT_SHL, false, RAX);
    x64_put(b, b->op->rd, RAX);
}

/* --- comparisons, signs, moves --- */

/*
 * flt and fle are invalid for any NaN; feq, fltq and fleq for signalling ones: comi and ucomi.
 */
static void lower_less(struct target_block *b, enum x64_op compare, enum x64_cond cc, bool wide)
{
    unsigned two;

    if (!wide) {
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
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
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
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
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
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
        need_boxed(b, b->op->rs1);
        need_boxed(b, fs2(b));
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
    case RV_INSN_fclass_d: lower_class(b, true); return true;
    case RV_INSN_fclass_s: lower_class(b, false); return true;
    default: return false;
    }
}

bool x64_is_float(unsigned id)
{
    switch (id) {
    case RV_INSN_fminm_s:
    case RV_INSN_fmaxm_s:
    case RV_INSN_fround_s:
    case RV_INSN_froundnx_s:
    case RV_INSN_fleq_s:
    case RV_INSN_fltq_s:
    case RV_INSN_fminm_d:
    case RV_INSN_fmaxm_d:
    case RV_INSN_fround_d:
    case RV_INSN_froundnx_d:
    case RV_INSN_fleq_d:
    case RV_INSN_fltq_d: return true;
    default: return id >= RV_INSN_fmadd_s && id <= RV_INSN_fmv_d_x;
    }
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
    if (lower_exact(b, id))
        return true;
    if (rm > RM_LAST && rm != RM_DYNAMIC)
        return false;
    if (lower_exact_convert(b, id))
        return true;
    if (rm == RM_LAST) /* to nearest, ties away from zero: the host has no such mode */
        return false;
    if (lower_convert_to_int(b, id, rm) || lower_integral(b, id, rm))
        return true;
    need_mode(b, rm);
    return lower_rounded(b, id) || lower_convert_from_int(b, id);
}
