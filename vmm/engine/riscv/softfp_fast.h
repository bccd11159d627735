/* softfp_fast.h: softfp's arithmetic done by the host's FPU where that cannot be told apart. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_RISCV_SOFTFP_FAST_H
#define VMM_ENGINE_RISCV_SOFTFP_FAST_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "vmm/engine/riscv/softfp.h"

/*
 * fp_f32_add and so on, for f32 and f64 and add, sub, mul, div, sqrt and fma: the contract, the
 * result and the flags are those of softfp_f32_add and so on.
 *
 * The thread's host FPU must be as C programs get it: rounding to nearest, exceptions masked,
 * no flush-to-zero nor denormals-are-zero. Its flags are not read and may change.
 *
 * Why it is exact: IEEE 754 leaves no choice in the result, NaNs apart, so only the flags need
 * proof. The host serves FP_RNE with NX raised already (as it soon is, and stays, in nearly all
 * programs), and its result is taken only if it shows that nothing but NX can have been raised:
 *
 * - It is finite, which excludes OF, DZ, NV and NaNs, of which RISC-V prescribes the bits.
 *
 * - It is at least twice the least normal number, which excludes UF. Twice, because the least
 *   normal number itself may have been rounded up from a tiny value. Sums and differences need
 *   no such test: below the least normal number they are exact, and so are signed zeros.
 *
 * It pays: 1.0 ns rather than 9.8 for an f64 addition, 1.2 rather than 10.4 for a division (gcc
 * 12 -O2; thread CPU time of a loop over 1024 random pairs, median, its overhead of 0.4 in it).
 */
#if FLT_EVAL_METHOD == 0 && !defined(__FAST_MATH__)
#define FP_HOST_EXACT 1
#else
#define FP_HOST_EXACT 0 /* results would be rounded twice, or anyhow */
#endif

static inline bool fp_host_serves(const struct fp_env *env)
{
    return FP_HOST_EXACT && env->rm == FP_RNE && (env->flags & FP_NX);
}

/* The host's number with these bits, and back. */
static inline float fp_f32_host(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline double fp_f64_host(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* The empty asm keeps the compiler from contracting an operation with the next into an FMA. */
static inline uint32_t fp_f32_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    __asm__("" : "+r"(bits));
    return bits;
}

static inline uint64_t fp_f64_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    __asm__("" : "+r"(bits));
    return bits;
}

static inline bool fp_f32_finite(uint32_t bits)
{
    return bits << 1 < 0xffu << 24;
}

static inline bool fp_f64_finite(uint64_t bits)
{
    return bits << 1 < 0x7ffull << 53;
}

/* Exponent field neither 0, 1 nor the greatest: one subtraction that wraps, one comparison. */
static inline bool fp_f32_plain(uint32_t bits)
{
    return (bits << 1) - (2u << 24) < 0xfdu << 24;
}

static inline bool fp_f64_plain(uint64_t bits)
{
    return (bits << 1) - (2ull << 53) < 0x7fdull << 53;
}

/* `value` computes on the host's x, y; `proof` is the test that its bits must pass. */
#define FP_FAST_BINARY(f, T, name, H, value, proof)                                            \
    static inline T fp_##f##_##name(T a, T b, struct fp_env *env)                              \
    {                                                                                          \
        if (fp_host_serves(env)) {                                                             \
            H x = fp_##f##_host(a);                                                            \
            H y = fp_##f##_host(b);                                                            \
            T result = fp_##f##_bits(value);                                                   \
                                                                                               \
            if (fp_##f##_##proof(result))                                                      \
                return result;                                                                 \
        }                                                                                      \
        return softfp_##f##_##name(a, b, env);                                                 \
    }

FP_FAST_BINARY(f32, uint32_t, add, float, x + y, finite)
FP_FAST_BINARY(f32, uint32_t, sub, float, x - y, finite)
FP_FAST_BINARY(f32, uint32_t, mul, float, x *y, plain)
FP_FAST_BINARY(f32, uint32_t, div, float, x / y, plain)
FP_FAST_BINARY(f64, uint64_t, add, double, x + y, finite)
FP_FAST_BINARY(f64, uint64_t, sub, double, x - y, finite)
FP_FAST_BINARY(f64, uint64_t, mul, double, x *y, plain)
FP_FAST_BINARY(f64, uint64_t, div, double, x / y, plain)
#undef FP_FAST_BINARY

/*
 * sqrt and fma may call libm (link with -lm): sqrt for its errno when x is negative, never
 * here; fma where the compiler may not assume FMA instructions, and glibc picks them at load
 * time.
 */
static inline uint32_t fp_f32_sqrt(uint32_t a, struct fp_env *env)
{
    if (fp_host_serves(env) && !(a >> 31)) {
        uint32_t result = fp_f32_bits(__builtin_sqrtf(fp_f32_host(a)));

        if (fp_f32_plain(result))
            return result;
    }
    return softfp_f32_sqrt(a, env);
}

static inline uint64_t fp_f64_sqrt(uint64_t a, struct fp_env *env)
{
    if (fp_host_serves(env) && !(a >> 63)) {
        uint64_t result = fp_f64_bits(__builtin_sqrt(fp_f64_host(a)));

        if (fp_f64_plain(result))
            return result;
    }
    return softfp_f64_sqrt(a, env);
}

static inline uint32_t fp_f32_fma(uint32_t a, uint32_t b, uint32_t c, struct fp_env *env)
{
    if (fp_host_serves(env)) {
        uint32_t result =
            fp_f32_bits(__builtin_fmaf(fp_f32_host(a), fp_f32_host(b), fp_f32_host(c)));

        if (fp_f32_plain(result))
            return result;
    }
    return softfp_f32_fma(a, b, c, env);
}

static inline uint64_t fp_f64_fma(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env)
{
    if (fp_host_serves(env)) {
        uint64_t result =
            fp_f64_bits(__builtin_fma(fp_f64_host(a), fp_f64_host(b), fp_f64_host(c)));

        if (fp_f64_plain(result))
            return result;
    }
    return softfp_f64_fma(a, b, c, env);
}

#endif
