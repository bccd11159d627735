/* softfp.h: IEEE 754 arithmetic in software, exact to the flag, as RISC-V defines it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_RISCV_SOFTFP_H
#define VMM_ENGINE_RISCV_SOFTFP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Source: RISC-V unprivileged specification, chapters "F", "D", "Zfh" and "Zfa"; IEEE 754-2019.
 * Operands and results are bit patterns of binary16, binary32 and binary64 in integers of their
 * own size; NaN boxing is the caller's. The host's FPU is neither used nor disturbed.
 */

/* Rounding modes: values of frm ("F", section "Floating-Point Control and Status Register"). */
enum fp_rounding {
    FP_RNE = 0, /* nearest, ties to even */
    FP_RTZ = 1, /* towards zero */
    FP_RDN = 2, /* down */
    FP_RUP = 3, /* up */
    FP_RMM = 4, /* nearest, ties away from zero */
};

/* Accrued exceptions: the bits of fflags (same section). */
enum fp_flag {
    FP_NX = 0x01, /* inexact */
    FP_UF = 0x02, /* underflow: inexact, and tiny after rounding */
    FP_OF = 0x04, /* overflow */
    FP_DZ = 0x08, /* divide by zero */
    FP_NV = 0x10, /* invalid operation */
};

/*
 * What an operation runs under. rm is a fp_rounding: the caller has replaced the dynamic mode
 * and refused the reserved ones (5 and above would act as FP_RMM). Flags that an operation
 * raises are ORed into flags; none is ever cleared.
 */
struct fp_env {
    uint8_t rm;
    uint8_t flags;
};

/*
 * The operations of one format, f (f16, f32, f64) with bit patterns in T. Every NaN result is
 * the canonical NaN, and a signalling NaN operand raises NV ("F", section "NaN Generation and
 * Propagation").
 *
 * add, sub, mul, div, sqrt: correctly rounded.
 *
 * fma: a * b + c, rounded once. inf * 0 raises NV even when c is a quiet NaN. For fmsub, fnmadd
 * and fnmsub the caller flips the sign bits of a and c.
 *
 * min, max: fmin and fmax, IEEE minimumNumber and maximumNumber: of one NaN and a number, the
 * number; -0 is below +0. minm, maxm: Zfa, IEEE minimum and maximum: of a NaN and anything,
 * NaN.
 *
 * eq, ltq, leq: quiet comparisons, NV for signalling NaNs only. lt, le: NV for every NaN. With
 * a NaN all are false.
 *
 * classify: the mask of fclass, one of ten bits ("F", section "Floating-Point Classify
 * Instruction"). Raises nothing.
 *
 * round, roundnx: Zfa fround and froundnx, to an integral value in env's mode, the sign of zero
 * kept; only roundnx raises NX.
 *
 * to_i32, to_u32, to_i64, to_u64: the value of the destination register on RV64: a 32-bit
 * result, the unsigned too, is sign-extended. Out of range after rounding saturates with NV and
 * without NX; a NaN counts as plus infinity ("F", table "Domains of float-to-integer
 * conversions and behavior for invalid inputs").
 *
 * i32_to, u32_to, i64_to, u64_to: integers, rounded.
 */
#define SOFTFP_DECLARE(f, T)                                                                   \
    T softfp_##f##_add(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_sub(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_mul(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_div(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_sqrt(T a, struct fp_env *env);                                              \
    T softfp_##f##_fma(T a, T b, T c, struct fp_env *env);                                     \
    T softfp_##f##_min(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_max(T a, T b, struct fp_env *env);                                          \
    T softfp_##f##_minm(T a, T b, struct fp_env *env);                                         \
    T softfp_##f##_maxm(T a, T b, struct fp_env *env);                                         \
    bool softfp_##f##_eq(T a, T b, struct fp_env *env);                                        \
    bool softfp_##f##_lt(T a, T b, struct fp_env *env);                                        \
    bool softfp_##f##_le(T a, T b, struct fp_env *env);                                        \
    bool softfp_##f##_ltq(T a, T b, struct fp_env *env);                                       \
    bool softfp_##f##_leq(T a, T b, struct fp_env *env);                                       \
    unsigned softfp_##f##_classify(T a);                                                       \
    T softfp_##f##_round(T a, struct fp_env *env);                                             \
    T softfp_##f##_roundnx(T a, struct fp_env *env);                                           \
    uint64_t softfp_##f##_to_i32(T a, struct fp_env *env);                                     \
    uint64_t softfp_##f##_to_u32(T a, struct fp_env *env);                                     \
    uint64_t softfp_##f##_to_i64(T a, struct fp_env *env);                                     \
    uint64_t softfp_##f##_to_u64(T a, struct fp_env *env);                                     \
    T softfp_i32_to_##f(int32_t value, struct fp_env *env);                                    \
    T softfp_u32_to_##f(uint32_t value, struct fp_env *env);                                   \
    T softfp_i64_to_##f(int64_t value, struct fp_env *env);                                    \
    T softfp_u64_to_##f(uint64_t value, struct fp_env *env);

SOFTFP_DECLARE(f16, uint16_t)
SOFTFP_DECLARE(f32, uint32_t)
SOFTFP_DECLARE(f64, uint64_t)
#undef SOFTFP_DECLARE

/* Between formats; exact when widening. */
uint32_t softfp_f16_to_f32(uint16_t a, struct fp_env *env);
uint64_t softfp_f16_to_f64(uint16_t a, struct fp_env *env);
uint16_t softfp_f32_to_f16(uint32_t a, struct fp_env *env);
uint64_t softfp_f32_to_f64(uint32_t a, struct fp_env *env);
uint16_t softfp_f64_to_f16(uint64_t a, struct fp_env *env);
uint32_t softfp_f64_to_f32(uint64_t a, struct fp_env *env);

/*
 * fcvtmod.w.d (Zfa): towards zero whatever env's mode, then the low 32 bits, sign-extended; 0
 * for infinities and NaNs. Raises what to_i32 in FP_RTZ would.
 */
uint64_t softfp_f64_to_i32_mod(uint64_t a, struct fp_env *env);

#endif
