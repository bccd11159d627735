/* ops_fp.c: floating-point instructions of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include "vmm/engine/riscv/softfp.h"

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

OP_ROUNDED(fadd_s, FD = box(softfp_f32_add(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fsub_s, FD = box(softfp_f32_sub(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fmul_s, FD = box(softfp_f32_mul(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fdiv_s, FD = box(softfp_f32_div(unbox(FS1), unbox(FS2), env)))
OP_ROUNDED(fsqrt_s, FD = box(softfp_f32_sqrt(unbox(FS1), env)))
OP_ROUNDED(fadd_d, FD = softfp_f64_add(FS1, FS2, env))
OP_ROUNDED(fsub_d, FD = softfp_f64_sub(FS1, FS2, env))
OP_ROUNDED(fmul_d, FD = softfp_f64_mul(FS1, FS2, env))
OP_ROUNDED(fdiv_d, FD = softfp_f64_div(FS1, FS2, env))
OP_ROUNDED(fsqrt_d, FD = softfp_f64_sqrt(FS1, env))

/* a * b + c with the signs that each of the four asks for. */
#define OP_FMA(name, flip_a, flip_c)                                                           \
    OP_ROUNDED(name##_s,                                                                       \
               FD = box(softfp_f32_fma(unbox(FS1) ^ ((flip_a) ? F32_SIGN : 0), unbox(FS2),     \
                                       unbox(FS3) ^ ((flip_c) ? F32_SIGN : 0), env)))          \
    OP_ROUNDED(name##_d, FD = softfp_f64_fma(FS1 ^ ((flip_a) ? F64_SIGN : 0), FS2,             \
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
