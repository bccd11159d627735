/* ops_fp.c: floating-point instructions of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include "vmm/engine/riscv/softfp.h"
#include "vmm/engine/riscv/softfp_fast.h"

/* Operands by format: imm = rs2 | rs3 << 8 | rm << 16. */
#define FS1   h->f[op->rs1]
#define FS2   h->f[op->imm & 31]
#define FS3   h->f[op->imm >> 8 & 31]
#define FD    h->f[op->rd]
#define XD    h->x[op->rd]
#define XS1   h->x[op->rs1]
#define OP_RM (op->imm >> 16 & 7)

#define RM_DYNAMIC 7
#define RM_LAST    FP_RMM

#define F16_SIGN 0x8000u
#define F16_NAN  0x7e00u
#define F16_BOX  0xffffffffffff0000ull
#define F32_SIGN 0x80000000u
#define F64_SIGN 0x8000000000000000ull
#define F32_NAN  0x7fc00000u
#define F32_BOX  0xffffffff00000000ull

/* A single in a register is NaN-boxed; any other pattern reads as the canonical NaN. */
INLINE uint32_t unbox(uint64_t f)
{
    return LIKELY((f & F32_BOX) == F32_BOX) ? (uint32_t)f : F32_NAN;
}

INLINE uint64_t box(uint32_t f)
{
    return F32_BOX | f;
}

/* The same of halves. */
INLINE uint16_t unbox_half(uint64_t f)
{
    return LIKELY((f & F16_BOX) == F16_BOX) ? (uint16_t)f : F16_NAN;
}

INLINE uint64_t box_half(uint16_t f)
{
    return F16_BOX | f;
}

/* Chooses the rounding mode. False: floating point is off or the mode is reserved. */
INLINE bool fp_begin(struct rv_hart *h, const struct rv_op *op)
{
    unsigned rm = (unsigned)OP_RM;

    if (rm == RM_DYNAMIC)
        rm = h->frm;
    h->fp.rm = (uint8_t)rm;
    return rm <= RM_LAST && (h->mstatus & RV_FS);
}

/* An instruction that rounds; `statement` computes with env and assigns. */
#define OP_ROUNDED(name, statement)                                                            \
    OP(name)                                                                                   \
    {                                                                                          \
        struct fp_env *env = &h->fp;                                                           \
                                                                                               \
        if (UNLIKELY(!fp_begin(h, op))) {                                                      \
            interp_illegal(OP_ARGS);                                                           \
            return;                                                                            \
        }                                                                                      \
        h->mstatus |= RV_FS;                                                                   \
        statement;                                                                             \
        NEXT();                                                                                \
    }

/* One that does not: only FS matters. */
#define OP_EXACT(name, statement)                                                              \
    OP(name)                                                                                   \
    {                                                                                          \
        __attribute__((unused)) struct fp_env *env = &h->fp;                                   \
                                                                                               \
        if (UNLIKELY(!(h->mstatus & RV_FS))) {                                                 \
            interp_illegal(OP_ARGS);                                                           \
            return;                                                                            \
        }                                                                                      \
        h->mstatus |= RV_FS;                                                                   \
        statement;                                                                             \
        NEXT();                                                                                \
    }

OP_ROUNDED(fadd_s, FD = box(fp_f32_add(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fsub_s, FD = box(fp_f32_sub(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fmul_s, FD = box(fp_f32_mul(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fdiv_s, FD = box(fp_f32_div(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fsqrt_s, FD = box(fp_f32_sqrt(unbox(FS1), env)))
OP_ROUNDED(fadd_d, FD = fp_f64_add(FS1, FS2, env))
OP_ROUNDED(fsub_d, FD = fp_f64_sub(FS1, FS2, env))
OP_ROUNDED(fmul_d, FD = fp_f64_mul(FS1, FS2, env))
OP_ROUNDED(fdiv_d, FD = fp_f64_div(FS1, FS2, env))
OP_ROUNDED(fsqrt_d, FD = fp_f64_sqrt(FS1, env))

/* a * b + c with the signs that each of the four asks for. */
#define OP_FMA(name, flip_a, flip_c)                                                           \
    OP_ROUNDED(name##_s,                                                                       \
               FD = box(fp_f32_fma(unbox(FS1) ^ ((flip_a) ? F32_SIGN : 0), unbox(FS2),         \
                                   unbox(FS3) ^ ((flip_c) ? F32_SIGN : 0), env)))              \
    OP_ROUNDED(name##_d, FD = fp_f64_fma(FS1 ^ ((flip_a) ? F64_SIGN : 0), FS2,                 \
                                         FS3 ^ ((flip_c) ? F64_SIGN : 0), env))

OP_FMA(fmadd, 0, 0)
OP_FMA(fmsub, 0, 1)
OP_FMA(fnmsub, 1, 0)
OP_FMA(fnmadd, 1, 1)

OP_EXACT(fsgnj_s, FD = box((unbox(FS1) & ~F32_SIGN) | (unbox(FS2) & F32_SIGN)))
OP_EXACT(fsgnjn_s, FD = box((unbox(FS1) & ~F32_SIGN) | (~unbox(FS2) & F32_SIGN)))
OP_EXACT(fsgnjx_s, FD = box(unbox(FS1) ^ (unbox(FS2) & F32_SIGN)))
OP_EXACT(fsgnj_d, FD = (FS1 & ~F64_SIGN) | (FS2 & F64_SIGN))
OP_EXACT(fsgnjn_d, FD = (FS1 & ~F64_SIGN) | (~FS2 & F64_SIGN))
OP_EXACT(fsgnjx_d, FD = FS1 ^ (FS2 & F64_SIGN))
OP_EXACT(fmin_s, FD = box(softfp_f32_min(unbox(FS1), unbox(FS2), env)))
OP_EXACT(fmax_s, FD = box(softfp_f32_max(unbox(FS1), unbox(FS2), env)))
OP_EXACT(fmin_d, FD = softfp_f64_min(FS1, FS2, env))
OP_EXACT(fmax_d, FD = softfp_f64_max(FS1, FS2, env))

OP_EXACT(fle_s, XD = softfp_f32_le(unbox(FS1), unbox(FS2), env))
OP_EXACT(flt_s, XD = softfp_f32_lt(unbox(FS1), unbox(FS2), env))
OP_EXACT(feq_s, XD = softfp_f32_eq(unbox(FS1), unbox(FS2), env))
OP_EXACT(fle_d, XD = softfp_f64_le(FS1, FS2, env))
OP_EXACT(flt_d, XD = softfp_f64_lt(FS1, FS2, env))
OP_EXACT(feq_d, XD = softfp_f64_eq(FS1, FS2, env))
OP_EXACT(fclass_s, XD = softfp_f32_classify(unbox(FS1)))
OP_EXACT(fclass_d, XD = softfp_f64_classify(FS1))

OP_ROUNDED(fcvt_s_d, FD = box(softfp_f64_to_f32(FS1, env)))
OP_ROUNDED(fcvt_d_s, FD = softfp_f32_to_f64(unbox(FS1), env))
OP_ROUNDED(fcvt_w_s, XD = softfp_f32_to_i32(unbox(FS1), env))
OP_ROUNDED(fcvt_wu_s, XD = softfp_f32_to_u32(unbox(FS1), env))
OP_ROUNDED(fcvt_l_s, XD = softfp_f32_to_i64(unbox(FS1), env))
OP_ROUNDED(fcvt_lu_s, XD = softfp_f32_to_u64(unbox(FS1), env))
OP_ROUNDED(fcvt_w_d, XD = softfp_f64_to_i32(FS1, env))
OP_ROUNDED(fcvt_wu_d, XD = softfp_f64_to_u32(FS1, env))
OP_ROUNDED(fcvt_l_d, XD = softfp_f64_to_i64(FS1, env))
OP_ROUNDED(fcvt_lu_d, XD = softfp_f64_to_u64(FS1, env))
OP_ROUNDED(fcvt_s_w, FD = box(softfp_i32_to_f32((int32_t)XS1, env)))
OP_ROUNDED(fcvt_s_wu, FD = box(softfp_u32_to_f32((uint32_t)XS1, env)))
OP_ROUNDED(fcvt_s_l, FD = box(softfp_i64_to_f32((int64_t)XS1, env)))
OP_ROUNDED(fcvt_s_lu, FD = box(softfp_u64_to_f32(XS1, env)))
OP_ROUNDED(fcvt_d_w, FD = softfp_i32_to_f64((int32_t)XS1, env))
OP_ROUNDED(fcvt_d_wu, FD = softfp_u32_to_f64((uint32_t)XS1, env))
OP_ROUNDED(fcvt_d_l, FD = softfp_i64_to_f64((int64_t)XS1, env))
OP_ROUNDED(fcvt_d_lu, FD = softfp_u64_to_f64(XS1, env))

OP_EXACT(fmv_x_w, XD = (uint64_t)(int64_t)(int32_t)FS1)
OP_EXACT(fmv_x_d, XD = FS1)
OP_EXACT(fmv_w_x, FD = box((uint32_t)XS1))
OP_EXACT(fmv_d_x, FD = XS1)

/* --- Zfh --- */

OP_ROUNDED(fadd_h, FD = box_half(softfp_f16_add(unbox_half(FS1), unbox_half(FS2), env)))
OP_ROUNDED(fsub_h, FD = box_half(softfp_f16_sub(unbox_half(FS1), unbox_half(FS2), env)))
OP_ROUNDED(fmul_h, FD = box_half(softfp_f16_mul(unbox_half(FS1), unbox_half(FS2), env)))
OP_ROUNDED(fdiv_h, FD = box_half(softfp_f16_div(unbox_half(FS1), unbox_half(FS2), env)))
OP_ROUNDED(fsqrt_h, FD = box_half(softfp_f16_sqrt(unbox_half(FS1), env)))

/* a * b + c, as OP_FMA. */
INLINE uint64_t fma_half(const struct rv_hart *h, const struct rv_op *op, uint16_t flip_a,
                         uint16_t flip_c, struct fp_env *env)
{
    return box_half(softfp_f16_fma(unbox_half(FS1) ^ flip_a, unbox_half(FS2),
                                   unbox_half(FS3) ^ flip_c, env));
}

OP_ROUNDED(fmadd_h, FD = fma_half(h, op, 0, 0, env))
OP_ROUNDED(fmsub_h, FD = fma_half(h, op, 0, F16_SIGN, env))
OP_ROUNDED(fnmsub_h, FD = fma_half(h, op, F16_SIGN, 0, env))
OP_ROUNDED(fnmadd_h, FD = fma_half(h, op, F16_SIGN, F16_SIGN, env))

/* a with the sign of b, given as a whole word; the upper bits are boxed over. */
INLINE uint64_t sign_half(uint16_t a, unsigned sign)
{
    return box_half((uint16_t)((a & ~F16_SIGN) | (sign & F16_SIGN)));
}

OP_EXACT(fsgnj_h, FD = sign_half(unbox_half(FS1), unbox_half(FS2)))
OP_EXACT(fsgnjn_h, FD = sign_half(unbox_half(FS1), ~(unsigned)unbox_half(FS2)))
OP_EXACT(fsgnjx_h, FD = sign_half(unbox_half(FS1), unbox_half(FS1) ^ unbox_half(FS2)))
OP_EXACT(fmin_h, FD = box_half(softfp_f16_min(unbox_half(FS1), unbox_half(FS2), env)))
OP_EXACT(fmax_h, FD = box_half(softfp_f16_max(unbox_half(FS1), unbox_half(FS2), env)))
OP_EXACT(fle_h, XD = softfp_f16_le(unbox_half(FS1), unbox_half(FS2), env))
OP_EXACT(flt_h, XD = softfp_f16_lt(unbox_half(FS1), unbox_half(FS2), env))
OP_EXACT(feq_h, XD = softfp_f16_eq(unbox_half(FS1), unbox_half(FS2), env))
OP_EXACT(fclass_h, XD = softfp_f16_classify(unbox_half(FS1)))

OP_ROUNDED(fcvt_s_h, FD = box(softfp_f16_to_f32(unbox_half(FS1), env)))
OP_ROUNDED(fcvt_d_h, FD = softfp_f16_to_f64(unbox_half(FS1), env))
OP_ROUNDED(fcvt_h_s, FD = box_half(softfp_f32_to_f16(unbox(FS1), env)))
OP_ROUNDED(fcvt_h_d, FD = box_half(softfp_f64_to_f16(FS1, env)))
OP_ROUNDED(fcvt_w_h, XD = softfp_f16_to_i32(unbox_half(FS1), env))
OP_ROUNDED(fcvt_wu_h, XD = softfp_f16_to_u32(unbox_half(FS1), env))
OP_ROUNDED(fcvt_l_h, XD = softfp_f16_to_i64(unbox_half(FS1), env))
OP_ROUNDED(fcvt_lu_h, XD = softfp_f16_to_u64(unbox_half(FS1), env))
OP_ROUNDED(fcvt_h_w, FD = box_half(softfp_i32_to_f16((int32_t)XS1, env)))
OP_ROUNDED(fcvt_h_wu, FD = box_half(softfp_u32_to_f16((uint32_t)XS1, env)))
OP_ROUNDED(fcvt_h_l, FD = box_half(softfp_i64_to_f16((int64_t)XS1, env)))
OP_ROUNDED(fcvt_h_lu, FD = box_half(softfp_u64_to_f16(XS1, env)))

OP_EXACT(fmv_x_h, XD = (uint64_t)(int64_t)(int16_t)FS1)
OP_EXACT(fmv_h_x, FD = box_half((uint16_t)XS1))

/* --- Zfa --- */

#define FLI_LEAST 1 /* the least positive normal number */

/* What fli loads, as singles, which hold each of them exactly; only the least normal number
 * depends on the format (unprivileged specification, chapter "Zfa", table of fli). */
static const uint32_t fli_single[32] = {
    0xbf800000, 0x00800000, 0x37800000, 0x38000000, 0x3b800000, 0x3c000000, 0x3d800000,
    0x3e000000, 0x3e800000, 0x3ea00000, 0x3ec00000, 0x3ee00000, 0x3f000000, 0x3f200000,
    0x3f400000, 0x3f600000, 0x3f800000, 0x3fa00000, 0x3fc00000, 0x3fe00000, 0x40000000,
    0x40200000, 0x40400000, 0x40800000, 0x41000000, 0x41800000, 0x43000000, 0x43800000,
    0x47000000, 0x47800000, 0x7f800000, F32_NAN,
};

static NOINLINE uint16_t fli_half(unsigned n)
{
    struct fp_env env = {.rm = FP_RNE}; /* 2^16 becomes infinity: that is what the table says */

    return n == FLI_LEAST ? 0x0400 : softfp_f32_to_f16(fli_single[n], &env);
}

static NOINLINE uint64_t fli_double(unsigned n)
{
    struct fp_env env = {.rm = FP_RNE};

    return n == FLI_LEAST ? 0x0010000000000000u : softfp_f32_to_f64(fli_single[n], &env);
}

uint64_t interp_fli(unsigned bytes, unsigned n)
{
    switch (bytes) {
    case 2: return box_half(fli_half(n));
    case 4: return box(fli_single[n]);
    default: return fli_double(n);
    }
}

OP_EXACT(fli_s, FD = box(fli_single[op->rs1]))
OP_EXACT(fli_d, FD = fli_double(op->rs1))
OP_EXACT(fli_h, FD = box_half(fli_half(op->rs1)))

OP_EXACT(fminm_s, FD = box(softfp_f32_minm(unbox(FS1), unbox(FS2), env)))
OP_EXACT(fmaxm_s, FD = box(softfp_f32_maxm(unbox(FS1), unbox(FS2), env)))
OP_EXACT(fminm_d, FD = softfp_f64_minm(FS1, FS2, env))
OP_EXACT(fmaxm_d, FD = softfp_f64_maxm(FS1, FS2, env))
OP_EXACT(fminm_h, FD = box_half(softfp_f16_minm(unbox_half(FS1), unbox_half(FS2), env)))
OP_EXACT(fmaxm_h, FD = box_half(softfp_f16_maxm(unbox_half(FS1), unbox_half(FS2), env)))
OP_ROUNDED(fround_s, FD = box(softfp_f32_round(unbox(FS1), env)))
OP_ROUNDED(froundnx_s, FD = box(softfp_f32_roundnx(unbox(FS1), env)))
OP_ROUNDED(fround_d, FD = softfp_f64_round(FS1, env))
OP_ROUNDED(froundnx_d, FD = softfp_f64_roundnx(FS1, env))
OP_ROUNDED(fround_h, FD = box_half(softfp_f16_round(unbox_half(FS1), env)))
OP_ROUNDED(froundnx_h, FD = box_half(softfp_f16_roundnx(unbox_half(FS1), env)))
OP_EXACT(fleq_s, XD = softfp_f32_leq(unbox(FS1), unbox(FS2), env))
OP_EXACT(fltq_s, XD = softfp_f32_ltq(unbox(FS1), unbox(FS2), env))
OP_EXACT(fleq_d, XD = softfp_f64_leq(FS1, FS2, env))
OP_EXACT(fltq_d, XD = softfp_f64_ltq(FS1, FS2, env))
OP_EXACT(fleq_h, XD = softfp_f16_leq(unbox_half(FS1), unbox_half(FS2), env))
OP_EXACT(fltq_h, XD = softfp_f16_ltq(unbox_half(FS1), unbox_half(FS2), env))
OP_EXACT(fcvtmod_w_d, XD = softfp_f64_to_i32_mod(FS1, env))
