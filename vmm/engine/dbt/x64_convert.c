/* x64_convert.c: floating point from and to integers, and its classes, in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_float.h"

/* The conversion keeps the upper part: a box. */
static void from_int(struct target_block *b, enum x64_op op, unsigned from, bool wide)
{
    x64_rr(&b->code, wide ? X64_XORPS : X64_PCMPEQB, XMM1, XMM1);
    x64_rr(&b->code, op, XMM1, from);
    x64_put_spare(b, wide);
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
    x64_put_spare(b, wide);
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

unsigned x64_round_mode(unsigned rm)
{
    return rm == RM_DYNAMIC ? ROUND_MXCSR : host_modes[rm];
}

static void put_int(struct target_block *b, struct to_int to, unsigned from, unsigned rm)
{
    struct x64_code *c = &b->code;
    int bits = to.word ? 32 : 64;

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

void x64_single_to_int(struct target_block *b, unsigned from, bool word, bool is_unsigned,
                       unsigned rm)
{
    put_int(b, (struct to_int){.word = word, .is_unsigned = is_unsigned}, from, rm);
}

static void lower_to_int(struct target_block *b, struct to_int to, unsigned rm)
{
    if (!to.wide)
        x64_need_boxed(b, b->op->rs1);
    put_int(b, to, x64_f(b, b->op->rs1), rm);
}

static bool lower_int_result(struct target_block *b, unsigned id, unsigned rm)
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
    case RV_INSN_fcvtmod_w_d: /* towards zero; what does not fit is the interpreter's */
        lower_to_int(b, (struct to_int){.wide = true, .word = true}, RM_RTZ);
        return true;
    default: return false;
    }
}

bool x64_convert_from_int(struct target_block *b, unsigned id)
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

static void lower_widen(struct target_block *b)
{
    unsigned from;

    x64_need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    x64_rr(&b->code, X64_XORPS, XMM1, XMM1);
    x64_rr(&b->code, X64_CVTSS2SD, XMM1, from);
    x64_rr(&b->code, X64_UCOMISD, XMM1, XMM1);
    x64_step_if(b, CC_P);
    x64_put_spare(b, true);
}

bool x64_convert_exact(struct target_block *b, unsigned id)
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
    unsigned from, to;

    if (!wide)
        x64_need_boxed(b, b->op->rs1);
    from = x64_f(b, b->op->rs1);
    to = x64_f_target(b, b->op->rd);
    if (to != from) /* the upper part is kept: a box */
        x64_rr(&b->code, X64_MOVAPS, to, from);
    x64_round(&b->code, wide, to, to, x64_round_mode(rm) | (inexact ? 0 : ROUND_QUIET));
    x64_put_number(b, wide);
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
void x64_class(struct target_block *b, unsigned exponent)
{
    struct x64_code *c = &b->code;

    x64_rr(c, X64_MOV, RDX, RAX);
    x64_rr(c, X64_ADD, RAX, RAX); /* without the sign */
    x64_setcc(c, CC_NE, RCX);
    x64_rr(c, X64_MOVZX8, RCX, RCX);
    x64_shift(c, SHIFT_SAR, true, RDX, 63);
    x64_rr(c, X64_MOVQ_TO, XMM1, RDX);
    x64_mov_imm(c, RDX, UINT64_MAX << (64 - exponent)); /* infinity */
    x64_rr(c, X64_CMP, RAX, RDX);
    x64_step_if(b, CC_A);
    x64_setcc(c, CC_E, RDX);
    x64_rr(c, X64_MOVZX8, RDX, RDX);
    x64_rr(c, X64_ADD32, RCX, RDX);
    x64_shift(c, SHIFT_SHR, true, RAX, 64 - exponent);
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

static void lower_class(struct target_block *b, bool wide)
{
    if (!wide)
        x64_need_boxed(b, b->op->rs1);
    x64_rr(&b->code, X64_MOVQ_FROM, x64_f(b, b->op->rs1), RAX);
    if (!wide)
        x64_shift(&b->code, SHIFT_SHL, true, RAX, 32);
    x64_class(b, wide ? 11 : 8);
}

bool x64_convert_class(struct target_block *b, unsigned id)
{
    if (id != RV_INSN_fclass_d && id != RV_INSN_fclass_s)
        return false;
    lower_class(b, id == RV_INSN_fclass_d);
    return true;
}

bool x64_convert_to_int(struct target_block *b, unsigned id, unsigned rm)
{
    return lower_int_result(b, id, rm) || lower_integral(b, id, rm);
}
