/* test_softfp.c: softfp against the host's FPU, exact references and vectors worked by hand. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <fenv.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "vmm/engine/riscv/softfp.h"
#include "vmm/engine/riscv/softfp_fast.h"

/*
 * Operands of host arithmetic and its results are volatile: that keeps it between the calls
 * that set the rounding mode and read the flags, with or without -frounding-math.
 */

/* Random vectors for each operation, format and mode. For a soak: -DSOFTFP_SOAK=100. */
#ifndef SOFTFP_SOAK
#define SOFTFP_SOAK 1
#endif
#define VECTORS (20000ul * SOFTFP_SOAK)

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __float128 quad;

/* --- Bookkeeping: a failed vector is counted, the first few are shown --- */

static struct {
    unsigned long checked;
    unsigned long failed;
} tally;

static void tally_start(void)
{
    tally.checked = 0;
    tally.failed = 0;
}

static void tally_end(unsigned long least)
{
    CU_ASSERT_EQUAL(tally.failed, 0);
    CU_ASSERT(tally.checked >= least); /* a test that looks at nothing must not pass */
}

struct outcome {
    uint64_t value;
    uint8_t flags;
};

static void check(const char *format, const char *op, const uint64_t *v, unsigned rm,
                  struct outcome got, struct outcome want)
{
    tally.checked++;
    if (got.value == want.value && got.flags == want.flags)
        return;
    if (tally.failed++ < 8)
        (void)fprintf(stderr,
                      "\n%s %s rm %u (%#llx %#llx %#llx): %#llx flags %#x, wanted %#llx %#x",
                      format, op, rm, (unsigned long long)v[0], (unsigned long long)v[1],
                      (unsigned long long)v[2], (unsigned long long)got.value, got.flags,
                      (unsigned long long)want.value, want.flags);
}

/* --- Formats --- */

struct shape {
    const char *name;
    int exp_bits;
    int frac_bits;
};

static const struct shape shape_f16 = {"f16", 5, 10};
static const struct shape shape_f32 = {"f32", 8, 23};
static const struct shape shape_f64 = {"f64", 11, 52};

static uint64_t shape_sign(const struct shape *s)
{
    return 1ull << (s->exp_bits + s->frac_bits);
}

static uint64_t shape_inf(const struct shape *s)
{
    return ((1ull << s->exp_bits) - 1) << s->frac_bits;
}

static uint64_t shape_nan(const struct shape *s)
{
    return shape_inf(s) | 1ull << (s->frac_bits - 1);
}

static bool is_nan(const struct shape *s, uint64_t a)
{
    return (a & (shape_sign(s) - 1)) > shape_inf(s);
}

static bool is_signaling(const struct shape *s, uint64_t a)
{
    return is_nan(s, a) && !(a >> (s->frac_bits - 1) & 1);
}

/* The value as a double, by arithmetic rather than by bits. NaNs become quiet. */
static double value_of(const struct shape *s, uint64_t a)
{
    int biased = (int)(a >> s->frac_bits) & ((1 << s->exp_bits) - 1);
    double frac = (double)(a & ((1ull << s->frac_bits) - 1));
    int bias = (1 << (s->exp_bits - 1)) - 1;
    double x;

    if (is_nan(s, a))
        return (double)NAN;
    if (biased == (1 << s->exp_bits) - 1)
        x = HUGE_VAL;
    else if (biased == 0)
        x = ldexp(frac, 1 - bias - s->frac_bits);
    else
        x = ldexp(frac + ldexp(1, s->frac_bits), biased - bias - s->frac_bits);
    return a & shape_sign(s) ? -x : x;
}

static uint64_t bits_of(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return isnan(x) ? shape_nan(&shape_f64) : bits;
}

/* --- Operands --- */

/* SplitMix64: every run sees the same vectors. */
static uint64_t random_bits(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned random_below(uint64_t *seed, unsigned limit)
{
    return (unsigned)((random_bits(seed) >> 32) * limit >> 32);
}

#define SPECIALS 34ul

/* Magnitudes at which something happens, with both signs. */
static unsigned specials_list(const struct shape *s, uint64_t *list)
{
    uint64_t inf = shape_inf(s);
    uint64_t least = 1ull << s->frac_bits;
    uint64_t one = (inf >> 1) & ~(least - 1);
    uint64_t quiet = least >> 1;
    uint64_t magnitude[SPECIALS / 2] = {
        0,       1,           2,           least - 1,     least,           least + 1,
        one - 1, one,         one + 1,     one + quiet,   inf - 1,         inf,
        inf | 1, inf | quiet, one - least, 2 * least - 1, inf | quiet | 5,
    };

    for (size_t i = 0; i < SPECIALS / 2; i++) {
        list[2 * i] = magnitude[i];
        list[2 * i + 1] = magnitude[i] | shape_sign(s);
    }
    return SPECIALS;
}

static uint64_t random_fraction(uint64_t *seed, const struct shape *s)
{
    uint64_t mask = (1ull << s->frac_bits) - 1;
    uint64_t r = random_bits(seed);
    unsigned n = random_below(seed, (unsigned)s->frac_bits);

    switch (random_below(seed, 8)) {
    case 0: return 0;
    case 1: return 1ull << n;
    case 2: return mask >> n;
    case 3: return mask << n & mask;
    case 4: return (r & 7) << n & mask;
    case 5: return (mask - (r & 3)) & mask;
    default: return r & mask;
    }
}

static uint64_t random_operand(uint64_t *seed, const struct shape *s)
{
    unsigned top = (1u << s->exp_bits) - 1;
    unsigned near = (unsigned)s->frac_bits + 3;
    uint64_t list[SPECIALS];
    unsigned exp;

    switch (random_below(seed, 16)) {
    case 0: return list[random_below(seed, specials_list(s, list))];
    case 1: exp = 0; break;
    case 2: exp = random_below(seed, 4); break;
    case 3: exp = top - random_below(seed, 4); break;
    case 4:
    case 5:
    case 6:
    case 7: exp = (top / 2 + random_below(seed, 2 * near) - near) & top; break;
    default: exp = random_below(seed, top); break;
    }
    return (random_bits(seed) & 1 ? shape_sign(s) : 0) | (uint64_t)exp << s->frac_bits |
           random_fraction(seed, s);
}

/* --- Host arithmetic --- */

static const int host_mode[] = {[FP_RNE] = FE_TONEAREST,
                                [FP_RTZ] = FE_TOWARDZERO,
                                [FP_RDN] = FE_DOWNWARD,
                                [FP_RUP] = FE_UPWARD};
#define HOST_MODES 4u

static void host_start(unsigned rm)
{
    fesetround(host_mode[rm]);
    feclearexcept(FE_ALL_EXCEPT);
}

/* The flags raised since host_start; back to the usual mode. */
static uint8_t host_end(void)
{
    int raised = fetestexcept(FE_ALL_EXCEPT);

    fesetround(FE_TONEAREST);
    return (uint8_t)((raised & FE_INEXACT ? FP_NX : 0) | (raised & FE_UNDERFLOW ? FP_UF : 0) |
                     (raised & FE_OVERFLOW ? FP_OF : 0) | (raised & FE_DIVBYZERO ? FP_DZ : 0) |
                     (raised & FE_INVALID ? FP_NV : 0));
}

/* One arithmetic operation of one format, as softfp, the fast path and the host do it. */
struct arith {
    const char *name;
    const struct shape *shape;
    uint64_t (*soft)(const uint64_t *v, struct fp_env *env);
    uint64_t (*fast)(const uint64_t *v, struct fp_env *env);
    uint64_t (*host)(const uint64_t *v);
};

#define DEFINE_ARITH(f, T, H, op, expr, ...)                                                   \
    static uint64_t soft_##f##_##op(const uint64_t *v, struct fp_env *env)                     \
    {                                                                                          \
        return softfp_##f##_##op(__VA_ARGS__, env);                                            \
    }                                                                                          \
    static uint64_t fast_##f##_##op(const uint64_t *v, struct fp_env *env)                     \
    {                                                                                          \
        return fp_##f##_##op(__VA_ARGS__, env);                                                \
    }                                                                                          \
    static uint64_t host_##f##_##op(const uint64_t *v)                                         \
    {                                                                                          \
        T bits[3] = {(T)v[0], (T)v[1], (T)v[2]};                                               \
        H copy[3];                                                                             \
        volatile H x, y, z, result;                                                            \
                                                                                               \
        memcpy(copy, bits, sizeof(copy));                                                      \
        x = copy[0], y = copy[1], z = copy[2];                                                 \
        (void)y, (void)z;                                                                      \
        result = expr;                                                                         \
        copy[0] = result;                                                                      \
        memcpy(bits, copy, sizeof(bits));                                                      \
        return bits[0];                                                                        \
    }
#define DEFINE_ARITH_FORMAT(f, T, H, suffix)                                                   \
    DEFINE_ARITH(f, T, H, add, x + y, (T)v[0], (T)v[1])                                        \
    DEFINE_ARITH(f, T, H, sub, x - y, (T)v[0], (T)v[1])                                        \
    DEFINE_ARITH(f, T, H, mul, x *y, (T)v[0], (T)v[1])                                         \
    DEFINE_ARITH(f, T, H, div, x / y, (T)v[0], (T)v[1])                                        \
    DEFINE_ARITH(f, T, H, sqrt, sqrt##suffix(x), (T)v[0])                                      \
    DEFINE_ARITH(f, T, H, fma, fma##suffix(x, y, z), (T)v[0], (T)v[1], (T)v[2])
DEFINE_ARITH_FORMAT(f32, uint32_t, float, f)
DEFINE_ARITH_FORMAT(f64, uint64_t, double, )

enum arith_op { ADD, SUB, MUL, DIV, SQRT, FMA, ARITH_OPS };

#define ARITH(f, id, op)                                                                       \
    [id] = {.name = #op,                                                                       \
            .shape = &shape_##f,                                                               \
            .soft = soft_##f##_##op,                                                           \
            .fast = fast_##f##_##op,                                                           \
            .host = host_##f##_##op}
#define DEFINE_ARITH_TABLE(f)                                                                  \
    static const struct arith arith_##f[ARITH_OPS] = {                                         \
        ARITH(f, ADD, add), ARITH(f, SUB, sub),   ARITH(f, MUL, mul),                          \
        ARITH(f, DIV, div), ARITH(f, SQRT, sqrt), ARITH(f, FMA, fma),                          \
    };
DEFINE_ARITH_TABLE(f32)
DEFINE_ARITH_TABLE(f64)

/* The host's result, made RISC-V's. */
static struct outcome arith_host(const struct arith *arith, enum arith_op op, const uint64_t *v,
                                 unsigned rm)
{
    const struct shape *s = arith[op].shape;
    uint64_t magnitude = shape_sign(s) - 1;
    uint64_t a = v[0] & magnitude;
    uint64_t b = v[1] & magnitude;
    struct outcome want;

    host_start(rm);
    want.value = arith[op].host(v);
    want.flags = host_end();
    if (is_nan(s, want.value))
        want.value = shape_nan(s);
    /* x86 keeps quiet here; IEEE 754 leaves it open, RISC-V does not. */
    if (op == FMA && ((a == shape_inf(s) && b == 0) || (b == shape_inf(s) && a == 0)))
        want.flags |= FP_NV;
    return want;
}

static struct outcome arith_soft(const struct arith *arith, enum arith_op op, const uint64_t *v,
                                 unsigned rm)
{
    struct fp_env env = {.rm = (uint8_t)rm};
    struct outcome got;

    got.value = arith[op].soft(v, &env);
    got.flags = env.flags;
    return got;
}

/* A few units in the last place away, across zero and infinity too. */
static uint64_t nudge(uint64_t *seed, const struct shape *s, uint64_t a)
{
    return (a + random_below(seed, 7) - 3) & (2 * shape_sign(s) - 1);
}

/*
 * Three operands: independent, or such that sums cancel, or products and quotients come out
 * just at the limits of the subnormal and the finite.
 */
static void random_operands(uint64_t *seed, const struct arith *arith, uint64_t *v)
{
    const struct shape *s = arith->shape;
    uint64_t least = 1ull << s->frac_bits;
    const uint64_t limits[] = {1, least, least, least, 2 * least, shape_inf(s) - 1};
    uint64_t limit = limits[random_below(seed, 6)];

    for (unsigned i = 0; i < 3; i++)
        v[i] = random_operand(seed, s);
    switch (random_below(seed, 8)) {
    case 0: v[1] = nudge(seed, s, v[0]) ^ (random_bits(seed) & shape_sign(s)); break;
    case 1: v[2] = nudge(seed, s, arith[MUL].host(v)) ^ shape_sign(s); break;
    case 2:
    case 3: v[1] = nudge(seed, s, arith[DIV].host((uint64_t[]){limit, v[0], 0})); break;
    case 4: v[0] = nudge(seed, s, arith[MUL].host((uint64_t[]){limit, v[1], 0})); break;
    default: break;
    }
    if (random_below(seed, 4) == 0) /* next to nothing, to add to a product */
        v[2] = random_below(seed, 3) | (random_bits(seed) & shape_sign(s));
}

/* --- Arithmetic against the host --- */

static void specials_check(const struct arith *arith)
{
    uint64_t list[SPECIALS];
    unsigned n = specials_list(arith->shape, list);

    for (unsigned i = 0; i < HOST_MODES * n * n * n; i++) {
        uint64_t v[3] = {list[i % n], list[i / n % n], list[i / (n * n) % n]};
        unsigned rm = i / (n * n * n);

        for (enum arith_op op = ADD; op < ARITH_OPS; op++)
            if (op == FMA || i / (n * n) % n == 0) /* others ignore v[2] */
                check(arith->shape->name, arith[op].name, v, rm, arith_soft(arith, op, v, rm),
                      arith_host(arith, op, v, rm));
    }
}

static void test_arith_specials(void)
{
    tally_start();
    specials_check(arith_f32);
    specials_check(arith_f64);
    tally_end(8 * SPECIALS * SPECIALS * SPECIALS);
}

static void random_check(const struct arith *arith, uint64_t seed)
{
    for (unsigned i = 0; i < HOST_MODES * VECTORS; i++) {
        unsigned rm = i % HOST_MODES;
        uint64_t v[3];

        random_operands(&seed, arith, v);
        for (enum arith_op op = ADD; op < ARITH_OPS; op++)
            check(arith->shape->name, arith[op].name, v, rm, arith_soft(arith, op, v, rm),
                  arith_host(arith, op, v, rm));
    }
}

static void test_arith_f32(void)
{
    tally_start();
    random_check(arith_f32, 32);
    tally_end(HOST_MODES * VECTORS * ARITH_OPS);
}

static void test_arith_f64(void)
{
    tally_start();
    random_check(arith_f64, 64);
    tally_end(HOST_MODES * VECTORS * ARITH_OPS);
}

/* --- Ties away from zero: the host has no such mode, but binary128 tells what is a tie --- */

/* Is x, of at most 54 bits, the exact result? Products here have at most 108 of 113 bits. */
static bool result_is(enum arith_op op, quad a, quad b, quad c, quad x)
{
    switch (op) {
    case ADD: return a + b == x;
    case SUB: return a - b == x;
    case MUL: return a * b == x;
    case DIV: return x * b == a;
    case SQRT: return x * x == a;
    default: return x - a * b == c && x - c == a * b;
    }
}

/* Of a tie's neighbours the greater one in magnitude; flags are those of rounding to nearest.
 */
static struct outcome away_pick(const struct shape *s, struct outcome nearest, uint64_t down,
                                uint64_t up)
{
    nearest.value = up & shape_sign(s) ? down : up;
    return nearest;
}

static struct outcome arith_away(const struct arith *arith, enum arith_op op, const uint64_t *v)
{
    const struct shape *s = arith->shape;
    struct outcome nearest = arith_host(arith, op, v, FP_RNE);
    uint64_t down = arith_host(arith, op, v, FP_RDN).value;
    uint64_t up = arith_host(arith, op, v, FP_RUP).value;
    quad middle = ((quad)value_of(s, down) + (quad)value_of(s, up)) / 2;

    if (down == up || !isfinite(value_of(s, down)) || !isfinite(value_of(s, up)) ||
        !result_is(op, value_of(s, v[0]), value_of(s, v[1]), value_of(s, v[2]), middle))
        return nearest;
    return away_pick(s, nearest, down, up);
}

static void test_arith_away(void)
{
    const struct arith *formats[] = {arith_f32, arith_f64};
    unsigned long differ = 0;
    uint64_t seed = 4;

    tally_start();
    for (unsigned i = 0; i < 2 * VECTORS; i++) {
        const struct arith *arith = formats[i & 1];
        uint64_t v[3];

        random_operands(&seed, arith, v);
        for (enum arith_op op = ADD; op < ARITH_OPS; op++) {
            struct outcome want = arith_away(arith, op, v);

            differ += want.value != arith_host(arith, op, v, FP_RNE).value;
            check(arith->shape->name, arith[op].name, v, FP_RMM,
                  arith_soft(arith, op, v, FP_RMM), want);
        }
    }
    tally_end(2 * VECTORS * ARITH_OPS);
    CU_ASSERT(differ > VECTORS / 100); /* enough ties that tell the modes apart */
}

/* --- f16 against exact fixed-point numbers, in all modes --- */

/*
 * A magnitude in units of 2^-50, the last bit sticky. Every f16, product and sum is a multiple
 * of 2^-48, and every place where rounding decides one of 2^-26.
 */
static u128 fixed_f16(uint64_t a)
{
    uint64_t exp = a >> 10 & 31;
    uint64_t frac = a & 1023;

    return (u128)(exp ? (frac | 1024) << (exp - 1) : frac) << 26; /* infinity: 2^16 */
}

/* Does x, between two neighbours, go to the upper one? */
static bool fixed_up(u128 lower, u128 x, u128 upper, bool sign, unsigned rm, bool lower_odd)
{
    switch (rm) {
    case FP_RNE: return x - lower > upper - x || (x - lower == upper - x && lower_odd);
    case FP_RTZ: return false;
    case FP_RDN: return sign;
    case FP_RUP: return !sign;
    default: return x - lower >= upper - x;
    }
}

/* Rounds by searching the f16 among which x lies. */
static struct outcome fixed_round(bool sign, u128 x, unsigned rm)
{
    const u128 least = (u128)1 << 36;
    const u128 below = least - ((u128)1 << 25); /* precedes it when exponents are unbounded */
    struct outcome r = {.value = 0};
    uint64_t limit = 0x7c00;

    while (limit - r.value > 1) {
        uint64_t middle = (r.value + limit) / 2;

        if (fixed_f16(middle) <= x)
            r.value = middle;
        else
            limit = middle;
    }
    if (x >= fixed_f16(0x7c00)) {
        r.flags = FP_OF | FP_NX;
        r.value += fixed_up(0, 2, 3, sign, rm, true);
    } else if (x != fixed_f16(r.value)) {
        r.flags = FP_NX;
        if (x < least && (x <= below || !fixed_up(below, x, least, sign, rm, true)))
            r.flags |= FP_UF;
        r.value +=
            fixed_up(fixed_f16(r.value), x, fixed_f16(r.value + 1), sign, rm, r.value & 1);
        if (r.value == 0x7c00)
            r.flags |= FP_OF;
    }
    r.value |= sign ? 0x8000 : 0;
    return r;
}

static struct outcome fixed_sum(bool a_sign, u128 a, bool b_sign, u128 b, unsigned rm)
{
    if (a_sign == b_sign)
        return fixed_round(a_sign, a + b, rm);
    if (a == b)
        return (struct outcome){.value = rm == FP_RDN ? 0x8000 : 0};
    return a > b ? fixed_round(a_sign, a - b, rm) : fixed_round(b_sign, b - a, rm);
}

static u128 fixed_quotient(u128 a, u128 b)
{
    a <<= 24;
    b >>= 26;
    return a / b | (a % b != 0); /* NOLINT: b is not 0, see f16_forced */
}

static u128 fixed_root(u128 a)
{
    u128 x = a << 50;
    u128 low = 0;
    u128 high = (u128)1 << 63;

    while (high - low > 1) {
        u128 middle = (low + high) / 2;

        if (middle * middle <= x)
            low = middle;
        else
            high = middle;
    }
    return low | (low * low != x);
}

/* The result on finite operands (no division by zero, no root of a negative number). */
static struct outcome fixed_arith(enum arith_op op, const uint64_t *v, unsigned rm)
{
    bool sa = v[0] >> 15, sb = v[1] >> 15, sc = v[2] >> 15;
    u128 a = fixed_f16(v[0] & 0x7fff), b = fixed_f16(v[1] & 0x7fff);
    u128 product = (a >> 26) * (b >> 26) << 2;

    switch (op) {
    case ADD: return fixed_sum(sa, a, sb, b, rm);
    case SUB: return fixed_sum(sa, a, !sb, b, rm);
    case MUL: return fixed_round(sa != sb, product, rm);
    case DIV: return fixed_round(sa != sb, fixed_quotient(a, b), rm);
    case SQRT: return fixed_round(sa, fixed_root(a), rm); /* sa: of -0 only */
    default: return fixed_sum(sa != sb, product, sc, fixed_f16(v[2] & 0x7fff), rm);
    }
}

static struct outcome soft_f16(enum arith_op op, const uint64_t *v, unsigned rm)
{
    struct fp_env env = {.rm = (uint8_t)rm};
    uint16_t a = (uint16_t)v[0], b = (uint16_t)v[1], c = (uint16_t)v[2];
    struct outcome got = {.value = 0};

    switch (op) {
    case ADD: got.value = softfp_f16_add(a, b, &env); break;
    case SUB: got.value = softfp_f16_sub(a, b, &env); break;
    case MUL: got.value = softfp_f16_mul(a, b, &env); break;
    case DIV: got.value = softfp_f16_div(a, b, &env); break;
    case SQRT: got.value = softfp_f16_sqrt(a, &env); break;
    default: got.value = softfp_f16_fma(a, b, c, &env); break;
    }
    got.flags = env.flags;
    return got;
}

/* Does an infinity, NaN, zero divisor or negative radicand force the outcome, as in f32? */
static bool f16_forced(enum arith_op op, const uint64_t *v)
{
    unsigned operands = op == SQRT ? 1 : op == FMA ? 3 : 2;

    for (unsigned i = 0; i < operands; i++)
        if ((v[i] & 0x7c00) == 0x7c00)
            return true;
    return (op == DIV && !(v[1] & 0x7fff)) || (op == SQRT && v[0] > 0x8000);
}

/* An f16 infinity, NaN or number as an f32 of like kind. */
static uint64_t f16_like(uint64_t a)
{
    uint64_t sign = (a & 0x8000) << 16;

    if ((a & 0x7c00) == 0x7c00)
        return sign | 0x7f800000 | (a & 0x3ff) << 13;
    return sign | ((a & 0x7fff) ? 0x3f800000 : 0);
}

static struct outcome f16_forced_outcome(enum arith_op op, const uint64_t *v)
{
    uint64_t like[3] = {f16_like(v[0]), f16_like(v[1]), f16_like(v[2])};
    struct outcome want = arith_host(arith_f32, op, like, FP_RNE);
    uint64_t top = want.value & 0x7f800000 ? 0x7c00 : 0;

    want.value = (want.value >> 16 & 0x8000) | top | (want.value >> 13 & 0x3ff);
    return want;
}

static void f16_check(enum arith_op op, const uint64_t *v, unsigned rm)
{
    static const char *const names[] = {"add", "sub", "mul", "div", "sqrt", "fma"};

    check("f16", names[op], v, rm, soft_f16(op, v, rm),
          f16_forced(op, v) ? f16_forced_outcome(op, v) : fixed_arith(op, v, rm));
}

/* Independent operands, or a third that nearly cancels the product. */
static void random_operands_f16(uint64_t *seed, uint64_t *v)
{
    for (unsigned i = 0; i < 3; i++)
        v[i] = random_operand(seed, &shape_f16);
    if (random_below(seed, 4) == 0 && !f16_forced(MUL, v))
        v[2] = nudge(seed, &shape_f16, fixed_arith(MUL, v, FP_RNE).value) ^ 0x8000;
}

static void test_arith_f16(void)
{
    uint64_t seed = 16;
    uint64_t list[SPECIALS];
    unsigned n = specials_list(&shape_f16, list);

    tally_start();
    for (unsigned i = 0; i < n * n * n; i++)
        for (enum arith_op op = ADD; op < ARITH_OPS; op++)
            f16_check(op, (uint64_t[]){list[i % n], list[i / n % n], list[i / (n * n)]}, i % 5);
    for (unsigned i = 0; i < 5 * VECTORS; i++) {
        uint64_t v[3];

        random_operands_f16(&seed, v);
        for (enum arith_op op = ADD; op < ARITH_OPS; op++)
            f16_check(op, v, i % 5);
    }
    for (unsigned a = 0; a < 0x10000; a++)
        f16_check(SQRT, (uint64_t[]){a, 0, 0}, a % 5);
    tally_end(5 * VECTORS * ARITH_OPS + 0x10000);
}

/* --- Conversions between formats --- */

static uint64_t soft_narrow(const struct shape *to, double x, uint8_t rm, uint8_t *flags)
{
    struct fp_env env = {.rm = rm};
    uint64_t value = to == &shape_f16 ? softfp_f64_to_f16(bits_of(x), &env)
                                      : softfp_f64_to_f32(bits_of(x), &env);

    *flags = env.flags;
    return value;
}

static void test_widen(void)
{
    uint64_t seed = 1632;

    tally_start();
    for (uint64_t i = 0; i < 0x10000 + VECTORS; i++) {
        bool half = i < 0x10000;
        const struct shape *s = half ? &shape_f16 : &shape_f32;
        uint64_t v[3] = {half ? i : random_operand(&seed, s)};
        struct fp_env env = {.rm = (uint8_t)(i % 5)};
        struct outcome want = {bits_of(value_of(s, v[0])), is_signaling(s, v[0]) ? FP_NV : 0};
        struct outcome got;

        got.value = half ? softfp_f16_to_f64((uint16_t)i, &env)
                         : softfp_f32_to_f64((uint32_t)v[0], &env);
        got.flags = env.flags;
        check(s->name, "to_f64", v, env.rm, got, want);
        if (half) { /* f32 has every f16, so going through it must change nothing */
            env.flags = 0;
            got.value = softfp_f32_to_f64(softfp_f16_to_f32((uint16_t)i, &env), &env);
            got.flags = env.flags;
            check(s->name, "to_f32", v, env.rm, got, want);
        }
    }
    tally_end(0x20000 + VECTORS);
}

static struct outcome narrow_fixed(double x, unsigned rm)
{
    double scaled = fmin(ldexp(fabs(x), 50), 0x1p100);
    u128 fixed = (u128)scaled;

    return fixed_round(signbit(x), fixed | ((quad)fixed != (quad)scaled), rm);
}

static struct outcome narrow_host(double x, unsigned rm)
{
    volatile double wide = x;
    volatile float narrow;
    struct outcome want;

    host_start(rm);
    narrow = (float)wide;
    want.flags = host_end();
    want.value = fp_f32_bits(narrow);
    return want;
}

/* x, finite, rounded to f16 or f32 by other means than softfp. */
static struct outcome narrow_reference(const struct shape *to, double x, unsigned rm)
{
    struct outcome nearest, down, up;

    if (to == &shape_f16)
        return narrow_fixed(x, rm);
    if (rm != FP_RMM)
        return narrow_host(x, rm);
    nearest = narrow_host(x, FP_RNE);
    down = narrow_host(x, FP_RDN);
    up = narrow_host(x, FP_RUP);
    if (down.value != up.value && value_of(to, down.value) + value_of(to, up.value) == 2 * x)
        return away_pick(to, nearest, down.value, up.value);
    return nearest;
}

/* A double near the numbers of a narrower format, or between two of them. */
static double random_near(uint64_t *seed, const struct shape *s)
{
    uint64_t a = random_operand(seed, s);
    double x = value_of(s, a);
    double y = value_of(s, nudge(seed, s, a));

    if (!isfinite(x) || !isfinite(y))
        return value_of(&shape_f64, random_operand(seed, &shape_f64));
    switch (random_below(seed, 4)) {
    case 0: return x / 2 + y / 2;
    case 1: return nextafter(x / 2 + y / 2, random_below(seed, 2) ? HUGE_VAL : -HUGE_VAL);
    case 2: return nextafter(x, random_below(seed, 2) ? HUGE_VAL : -HUGE_VAL);
    default: return x * (1 + (double)random_below(seed, 1024) / 0x1p40);
    }
}

static void test_narrow(void)
{
    const struct shape *shapes[] = {&shape_f16, &shape_f32};
    uint64_t seed = 6416;

    tally_start();
    for (unsigned i = 0; i < 10 * VECTORS; i++) {
        const struct shape *to = shapes[i & 1];
        uint8_t rm = (uint8_t)(i / 2 % 5);
        double x = random_near(&seed, to);
        uint64_t v[3] = {bits_of(x)};
        struct outcome got;

        if (!isfinite(x))
            continue;
        got.value = soft_narrow(to, x, rm, &got.flags);
        check(to->name, "from_f64", v, rm, got, narrow_reference(to, x, rm));
    }
    for (unsigned i = 0; i < 5 * VECTORS; i++) {
        uint64_t v[3] = {random_operand(&seed, &shape_f32)};
        struct fp_env env = {.rm = (uint8_t)(i % 5)};
        struct outcome got = {.value = softfp_f32_to_f16((uint32_t)v[0], &env)};
        double x = value_of(&shape_f32, v[0]);

        got.flags = env.flags;
        if (isfinite(x))
            check("f16", "from_f32", v, env.rm, got, narrow_reference(&shape_f16, x, env.rm));
    }
    tally_end(8 * VECTORS);
}

/* --- Integers --- */

/* Called through a pointer: gcc's inline rint heeds the mode with -frounding-math only. */
static double (*volatile host_rint)(double) = rint;

/* x rounded to an integral value by libm; its round() is FP_RMM. */
static double integral_reference(double x, unsigned rm, bool *inexact)
{
    volatile double in = x;
    volatile double out;

    if (rm == FP_RMM) {
        out = round(in);
    } else {
        fesetround(host_mode[rm]);
        out = host_rint(in);
        fesetround(FE_TONEAREST);
    }
    *inexact = out != x;
    return out;
}

struct integer {
    const char *name;
    int bits;
    bool is_signed;
};

static const struct integer integers[] = {
    {"i32", 32, true },
    {"u32", 32, false},
    {"i64", 64, true },
    {"u64", 64, false}
};

static struct outcome to_integer_reference(double x, const struct integer *type, unsigned rm)
{
    long double end = ldexpl(1, type->bits - type->is_signed); /* the first that is too great */
    long double start = type->is_signed ? -end : 0;
    uint64_t most = type->is_signed ? (1ull << (type->bits - 1)) - 1 : UINT64_MAX;
    uint64_t least = type->is_signed ? -most - 1 : 0;
    bool inexact;
    double whole = integral_reference(x, rm, &inexact);

    /* Of u32 the greatest, sign-extended, is UINT64_MAX too. */
    if (isnan(x) || whole >= end)
        return (struct outcome){most, FP_NV};
    if (whole < start)
        return (struct outcome){least, FP_NV};
    if (type->bits == 32)
        return (struct outcome){(uint64_t)(int32_t)(int64_t)whole, inexact ? FP_NX : 0};
    if (whole < 0)
        return (struct outcome){(uint64_t)(int64_t)whole, inexact ? FP_NX : 0};
    return (struct outcome){(uint64_t)whole, inexact ? FP_NX : 0};
}

#define TO_INTEGER(f, T)                                                                       \
    static uint64_t f##_to_integer(unsigned type, uint64_t a, struct fp_env *env)              \
    {                                                                                          \
        switch (type) {                                                                        \
        case 0: return softfp_##f##_to_i32((T)a, env);                                         \
        case 1: return softfp_##f##_to_u32((T)a, env);                                         \
        case 2: return softfp_##f##_to_i64((T)a, env);                                         \
        default: return softfp_##f##_to_u64((T)a, env);                                        \
        }                                                                                      \
    }
TO_INTEGER(f16, uint16_t)
TO_INTEGER(f32, uint32_t)
TO_INTEGER(f64, uint64_t)

static uint64_t to_integer(const struct shape *s, unsigned type, uint64_t a, struct fp_env *env)
{
    if (s == &shape_f16)
        return f16_to_integer(type, a, env);
    return s == &shape_f32 ? f32_to_integer(type, a, env) : f64_to_integer(type, a, env);
}

static void to_integer_check(const struct shape *s, uint64_t a, uint8_t rm)
{
    uint64_t v[3] = {a};

    for (unsigned type = 0; type < 4; type++) {
        struct fp_env env = {.rm = rm};
        struct outcome got = {.value = to_integer(s, type, a, &env)};

        got.flags = env.flags;
        check(s->name, integers[type].name, v, rm, got,
              to_integer_reference(value_of(s, a), &integers[type], rm));
    }
}

/* Numbers whose last bits are about the binary point, or whose size is about an integer's. */
static uint64_t random_integral(uint64_t *seed, const struct shape *s)
{
    const int edges[] = {-1, 0, 31, 32, 63, 64};
    uint64_t bias = (1ull << (s->exp_bits - 1)) - 1;
    uint64_t exp;

    if (random_below(seed, 4) == 0)
        return random_operand(seed, s);
    if (s != &shape_f16 && random_below(seed, 2))
        exp = bias + (uint64_t)edges[random_below(seed, 6)];
    else
        exp = bias + random_below(seed, (unsigned)s->frac_bits + 4) - 2;
    exp = exp << s->frac_bits | random_fraction(seed, s);
    exp -= random_below(seed, 8) == 0; /* one less than a power of two */
    return exp | (random_bits(seed) & shape_sign(s));
}

static void test_to_integer(void)
{
    const struct shape *shapes[] = {&shape_f32, &shape_f64};
    uint64_t seed = 3264;
    uint64_t list[SPECIALS];

    tally_start();
    for (unsigned i = 0; i < 0x10000; i++)
        to_integer_check(&shape_f16, i, (uint8_t)(random_below(&seed, 5)));
    for (unsigned i = 0; i < 2; i++)
        for (unsigned j = specials_list(shapes[i], list); j-- > 0;)
            for (uint8_t rm = 0; rm < 5; rm++)
                to_integer_check(shapes[i], list[j], rm);
    for (unsigned i = 0; i < 6 * VECTORS; i++)
        to_integer_check(shapes[i & 1], random_integral(&seed, shapes[i & 1]),
                         (uint8_t)(i / 2 % 5));
    tally_end(4ul * (0x10000 + 6 * VECTORS));
}

static uint64_t random_integer(uint64_t *seed)
{
    unsigned n = random_below(seed, 64);
    uint64_t r = random_bits(seed);

    switch (random_below(seed, 6)) {
    case 0: return r >> n;
    case 1: return (1ull << n) + (r & 3) - 2;
    case 2: return UINT64_MAX << n;
    case 3: return (r & 7) << n;
    case 4: return (UINT64_MAX >> n) ^ (1ull << random_below(seed, 64));
    default: return r;
    }
}

#define FROM_INTEGER(f, T)                                                                     \
    static uint64_t f##_from_integer(unsigned type, uint64_t x, struct fp_env *env)            \
    {                                                                                          \
        switch (type) {                                                                        \
        case 0: return softfp_i32_to_##f((int32_t)x, env);                                     \
        case 1: return softfp_u32_to_##f((uint32_t)x, env);                                    \
        case 2: return softfp_i64_to_##f((int64_t)x, env);                                     \
        default: return softfp_u64_to_##f(x, env);                                             \
        }                                                                                      \
    }
FROM_INTEGER(f16, uint16_t)
FROM_INTEGER(f32, uint32_t)
FROM_INTEGER(f64, uint64_t)

/* The host's conversion in a mode it has. long double holds every 64-bit integer exactly. */
static struct outcome from_integer_host(const struct shape *s, bool sign, uint64_t magnitude,
                                        unsigned rm)
{
    volatile long double exact = sign ? -(long double)magnitude : (long double)magnitude;
    struct outcome want;

    host_start(rm);
    if (s == &shape_f32) {
        volatile float x = (float)exact;

        want.flags = host_end();
        want.value = fp_f32_bits(x);
    } else {
        volatile double x = (double)exact;

        want.flags = host_end();
        want.value = fp_f64_bits(x);
    }
    return want;
}

static struct outcome from_integer_reference(const struct shape *s, bool sign,
                                             uint64_t magnitude, unsigned rm)
{
    struct outcome want, down, up;
    quad exact = sign ? -(quad)magnitude : (quad)magnitude;

    if (s == &shape_f16)
        return fixed_round(sign, (u128)magnitude << 50, rm);
    if (rm != FP_RMM)
        return from_integer_host(s, sign, magnitude, rm);
    want = from_integer_host(s, sign, magnitude, FP_RNE);
    down = from_integer_host(s, sign, magnitude, FP_RDN);
    up = from_integer_host(s, sign, magnitude, FP_RUP);
    if (down.value != up.value &&
        (quad)value_of(s, down.value) + (quad)value_of(s, up.value) == 2 * exact)
        return away_pick(s, want, down.value, up.value);
    return want;
}

static void from_integer_check(const struct shape *s, unsigned type, uint64_t x, uint8_t rm)
{
    struct fp_env env = {.rm = rm};
    struct outcome got;
    uint64_t v[3] = {x};
    bool sign;

    if (type < 2)
        x = type == 0 ? (uint64_t)(int32_t)x : (uint32_t)x;
    sign = integers[type].is_signed && (int64_t)x < 0;
    if (s == &shape_f16)
        got.value = f16_from_integer(type, v[0], &env);
    else
        got.value = s == &shape_f32 ? f32_from_integer(type, v[0], &env)
                                    : f64_from_integer(type, v[0], &env);
    got.flags = env.flags;
    check(s->name, integers[type].name, v, rm, got,
          from_integer_reference(s, sign, sign ? -x : x, rm));
}

static void test_from_integer(void)
{
    const struct shape *shapes[] = {&shape_f16, &shape_f32, &shape_f64};
    uint64_t seed = 6432;

    tally_start();
    for (unsigned i = 0; i < 15 * VECTORS; i++)
        from_integer_check(shapes[i % 3], random_below(&seed, 4),
                           i < 60 ? i / 30 - 1 : random_integer(&seed), (uint8_t)(i / 3 % 5));
    tally_end(15 * VECTORS);
}

static void test_to_integer_mod(void)
{
    uint64_t seed = 32;

    tally_start();
    for (unsigned i = 0; i < 5 * VECTORS; i++) {
        uint64_t v[3] = {random_integral(&seed, &shape_f64)};
        double x = value_of(&shape_f64, v[0]);
        struct outcome want = to_integer_reference(x, &integers[0], FP_RTZ);
        struct fp_env env = {.rm = (uint8_t)(i % 5)};
        struct outcome got = {.value = softfp_f64_to_i32_mod(v[0], &env)};

        got.flags = env.flags;
        want.value = 0;
        if (isfinite(x))
            want.value = (uint64_t)(int32_t)(int64_t)fmod(trunc(x), 0x1p32);
        check("f64", "i32_mod", v, env.rm, got, want);
    }
    tally_end(5 * VECTORS);
}

static void round_check(const struct shape *s, uint64_t a, uint8_t rm)
{
    struct fp_env quiet = {.rm = rm}, loud = {.rm = rm};
    uint64_t v[3] = {a};
    struct outcome got, want;
    bool inexact;

    /* Integral values of a format are values of binary64, so the comparison is made there. */
    want.value = bits_of(integral_reference(value_of(s, a), rm, &inexact));
    want.flags = is_signaling(s, a) ? FP_NV : inexact && !is_nan(s, a) ? FP_NX : 0;
    if (s == &shape_f16) {
        v[1] = softfp_f16_round((uint16_t)a, &quiet);
        v[2] = softfp_f16_roundnx((uint16_t)a, &loud);
    } else if (s == &shape_f32) {
        v[1] = softfp_f32_round((uint32_t)a, &quiet);
        v[2] = softfp_f32_roundnx((uint32_t)a, &loud);
    } else {
        v[1] = softfp_f64_round(a, &quiet);
        v[2] = softfp_f64_roundnx(a, &loud);
    }
    got = (struct outcome){bits_of(value_of(s, v[2])), loud.flags};
    check(s->name, "roundnx", v, rm, got, want);
    want.flags &= (uint8_t)~FP_NX;
    got = (struct outcome){bits_of(value_of(s, v[1])), quiet.flags};
    check(s->name, "round", v, rm, got, want);
    if (is_nan(s, a) && v[1] != shape_nan(s))
        tally.failed++;
}

static void test_round(void)
{
    uint64_t seed = 1;

    tally_start();
    for (unsigned i = 0; i < 5 * 0x10000; i++)
        round_check(&shape_f16, i / 5, (uint8_t)(i % 5));
    for (unsigned i = 0; i < 5 * VECTORS; i++) {
        round_check(&shape_f32, random_integral(&seed, &shape_f32), (uint8_t)(i % 5));
        round_check(&shape_f64, random_integral(&seed, &shape_f64), (uint8_t)(i % 5));
    }
    tally_end(10 * 0x10000ul + 20 * VECTORS);
}

/* --- Comparison and classification --- */

enum compare_op { EQ, LT, LE, LTQ, LEQ, MIN, MAX, MINM, MAXM, COMPARE_OPS };

#define COMPARE(f, T)                                                                          \
    static uint64_t f##_compare(enum compare_op op, const uint64_t *v, struct fp_env *env)     \
    {                                                                                          \
        T a = (T)v[0], b = (T)v[1];                                                            \
                                                                                               \
        switch (op) {                                                                          \
        case EQ: return softfp_##f##_eq(a, b, env);                                            \
        case LT: return softfp_##f##_lt(a, b, env);                                            \
        case LE: return softfp_##f##_le(a, b, env);                                            \
        case LTQ: return softfp_##f##_ltq(a, b, env);                                          \
        case LEQ: return softfp_##f##_leq(a, b, env);                                          \
        case MIN: return softfp_##f##_min(a, b, env);                                          \
        case MAX: return softfp_##f##_max(a, b, env);                                          \
        case MINM: return softfp_##f##_minm(a, b, env);                                        \
        default: return softfp_##f##_maxm(a, b, env);                                          \
        }                                                                                      \
    }
COMPARE(f16, uint16_t)
COMPARE(f32, uint32_t)
COMPARE(f64, uint64_t)

static uint64_t compare_value(const struct shape *s, enum compare_op op, const uint64_t *v)
{
    double x = value_of(s, v[0]);
    double y = value_of(s, v[1]);
    bool less = x < y || (x == y && signbit(x) && !signbit(y));

    switch (op) {
    case EQ: return x == y;
    case LT:
    case LTQ: return x < y;
    case LE:
    case LEQ: return x <= y;
    default: break;
    }
    if (isnan(x) && isnan(y))
        return shape_nan(s);
    if (isnan(x) || isnan(y))
        return op == MINM || op == MAXM ? shape_nan(s) : isnan(x) ? v[1] : v[0];
    return less == (op == MIN || op == MINM) ? v[0] : v[1];
}

static void compare_check(const struct shape *s, const uint64_t *v)
{
    static const char *const names[] = {"eq",  "lt",  "le",   "ltq", "leq",
                                        "min", "max", "minm", "maxm"};
    bool nan = is_nan(s, v[0]) || is_nan(s, v[1]);
    bool signaling = is_signaling(s, v[0]) || is_signaling(s, v[1]);

    for (enum compare_op op = EQ; op < COMPARE_OPS; op++) {
        struct fp_env env = {.rm = FP_RNE};
        struct outcome got, want;

        want.value = compare_value(s, op, v);
        want.flags = signaling || (nan && (op == LT || op == LE)) ? FP_NV : 0;
        if (s == &shape_f16)
            got.value = f16_compare(op, v, &env);
        else
            got.value = s == &shape_f32 ? f32_compare(op, v, &env) : f64_compare(op, v, &env);
        got.flags = env.flags;
        check(s->name, names[op], v, env.rm, got, want);
    }
}

static void test_compare(void)
{
    const struct shape *shapes[] = {&shape_f16, &shape_f32, &shape_f64};
    uint64_t seed = 9;
    uint64_t list[SPECIALS];

    tally_start();
    for (unsigned i = 0; i < 3; i++) {
        unsigned n = specials_list(shapes[i], list);

        for (unsigned j = 0; j < n * n; j++)
            compare_check(shapes[i], (uint64_t[]){list[j % n], list[j / n], 0});
        for (unsigned j = 0; j < VECTORS; j++) {
            uint64_t a = random_operand(&seed, shapes[i]);
            uint64_t b = j & 1 ? random_operand(&seed, shapes[i]) : nudge(&seed, shapes[i], a);

            compare_check(shapes[i], (uint64_t[]){a, b, 0});
        }
    }
    tally_end(3ul * COMPARE_OPS * (SPECIALS * SPECIALS + VECTORS));
}

static unsigned classify_reference(const struct shape *s, uint64_t a)
{
    double x = value_of(s, a);
    double least = ldexp(1, 2 - (1 << (s->exp_bits - 1)));

    if (isnan(x))
        return is_signaling(s, a) ? 0x100 : 0x200;
    if (isinf(x))
        return x < 0 ? 0x001 : 0x080;
    if (x == 0)
        return signbit(x) ? 0x008 : 0x010;
    if (fabs(x) < least)
        return x < 0 ? 0x004 : 0x020;
    return x < 0 ? 0x002 : 0x040;
}

static void test_classify(void)
{
    uint64_t seed = 10;

    tally_start();
    for (uint64_t i = 0; i < 0x10000; i++) {
        uint64_t v[3] = {i, random_operand(&seed, &shape_f32),
                         random_operand(&seed, &shape_f64)};
        struct outcome got[3] = {
            {softfp_f16_classify((uint16_t)i),    0},
            {softfp_f32_classify((uint32_t)v[1]), 0},
            {softfp_f64_classify(v[2]),           0}
        };

        check("f16", "classify", v, 0, got[0],
              (struct outcome){classify_reference(&shape_f16, v[0]), 0});
        check("f32", "classify", v, 0, got[1],
              (struct outcome){classify_reference(&shape_f32, v[1]), 0});
        check("f64", "classify", v, 0, got[2],
              (struct outcome){classify_reference(&shape_f64, v[2]), 0});
    }
    tally_end(0x30000);
}

/* --- The fast paths against softfp --- */

static void fast_check(const struct arith *arith, const uint64_t *v, unsigned rm, uint8_t flags)
{
    for (enum arith_op op = ADD; op < ARITH_OPS; op++) {
        struct fp_env soft = {.rm = (uint8_t)rm, .flags = flags};
        struct fp_env fast = soft;
        uint64_t want = arith[op].soft(v, &soft);
        uint64_t got = arith[op].fast(v, &fast);

        check(arith->shape->name, arith[op].name, v, rm, (struct outcome){got, fast.flags},
              (struct outcome){want, soft.flags});
    }
}

static void test_fast(void)
{
    static const uint8_t preset[] = {FP_NX, FP_NX, 0, FP_NX | FP_OF, FP_UF | FP_DZ};
    const struct arith *formats[] = {arith_f32, arith_f64};
    uint64_t seed = 8;
    uint64_t list[SPECIALS];

    tally_start();
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = specials_list(formats[i]->shape, list);

        for (unsigned j = 0; j < n * n * n; j++)
            fast_check(formats[i],
                       (uint64_t[]){list[j % n], list[j / n % n], list[j / (n * n)]}, FP_RNE,
                       FP_NX);
        for (unsigned j = 0; j < 5 * VECTORS; j++) {
            uint64_t v[3];

            random_operands(&seed, formats[i], v);
            fast_check(formats[i], v, j % 4 ? FP_RNE : random_below(&seed, 5), preset[j % 5]);
        }
    }
    tally_end(2ul * ARITH_OPS * (SPECIALS * SPECIALS * SPECIALS + 5 * VECTORS));
}

/* --- By hand, from the specifications --- */

#define ONE_F32  0x3f800000u
#define NAN_F32  0x7fc00000u
#define SNAN_F32 0x7f800001u
#define INF_F32  0x7f800000u
#define NEG_F32  0x80000000u

#define EXPECT(expr, result, raised)                                                           \
    do {                                                                                       \
        env.flags = 0;                                                                         \
        CU_ASSERT_EQUAL(expr, result);                                                         \
        CU_ASSERT_EQUAL(env.flags, raised);                                                    \
    } while (0)

static void test_by_hand_arith(void)
{
    struct fp_env env = {.rm = FP_RNE};

    EXPECT(softfp_f32_div(ONE_F32, NEG_F32, &env), INF_F32 | NEG_F32, FP_DZ);
    EXPECT(softfp_f32_div(0, NEG_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_sqrt(NEG_F32, &env), NEG_F32, 0);
    EXPECT(softfp_f32_sqrt(ONE_F32 | NEG_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_add(0xffc12345, ONE_F32, &env), NAN_F32, 0);
    EXPECT(softfp_f32_add(SNAN_F32, ONE_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_sub(INF_F32, INF_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_fma(INF_F32, 0, NAN_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_min(SNAN_F32, ONE_F32, &env), ONE_F32, FP_NV);
    EXPECT(softfp_f32_min(SNAN_F32, NAN_F32, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f32_max(NEG_F32, 0, &env), 0, 0);
    EXPECT(softfp_f32_min(0, NEG_F32, &env), NEG_F32, 0);
    EXPECT(softfp_f32_maxm(NAN_F32, ONE_F32, &env), NAN_F32, 0);
    /* 2^-126 * (1 - 2^-24) fits in 24 bits, so it is tiny, although it rounds to 2^-126. */
    EXPECT(softfp_f32_mul(0x00ffffff, 0x3f000000, &env), 0x00800000, FP_UF | FP_NX);
    /* 2^-126 * (1 - 2^-46) does not, and rounds to 2^-126 with unbounded exponents as well. */
    EXPECT(softfp_f32_mul(0x00800001, 0x3f7ffffe, &env), 0x00800000, FP_NX);
    env.rm = FP_RDN;
    EXPECT(softfp_f32_sub(ONE_F32, ONE_F32, &env), NEG_F32, 0);
    env.rm = FP_RMM;
    EXPECT(softfp_f32_add(ONE_F32, 0x33800000, &env), ONE_F32 + 1, FP_NX);
    env.rm = FP_RTZ;
    EXPECT(softfp_f32_add(0x7f7fffff, 0x7f7fffff, &env), 0x7f7fffff, FP_OF | FP_NX);
}

static void test_by_hand_convert(void)
{
    struct fp_env env = {.rm = FP_RTZ};

    EXPECT(softfp_f32_to_u32(0xbf666666, &env), 0, FP_NX);              /* -0.9 */
    EXPECT(softfp_f32_to_u32(0xbf800000, &env), 0, FP_NV);              /* -1 */
    EXPECT(softfp_f32_to_u32(0x4f32d05e, &env), 0xffffffffb2d05e00, 0); /* 3e9 */
    EXPECT(softfp_f32_to_u32(0xffc00000, &env), UINT64_MAX, FP_NV);     /* a negative NaN */
    EXPECT(softfp_f32_to_i32(NAN_F32, &env), INT32_MAX, FP_NV);
    EXPECT(softfp_f32_to_i32(INF_F32 | NEG_F32, &env), 0xffffffff80000000, FP_NV);
    EXPECT(softfp_f64_to_i32(0xc1e0000000100000, &env), 0xffffffff80000000, FP_NX);
    EXPECT(softfp_f16_to_i64(0x7c00, &env), INT64_MAX, FP_NV);
    EXPECT(softfp_f16_to_u64(0x7e00, &env), UINT64_MAX, FP_NV);
    EXPECT(softfp_i64_to_f16(65520, &env), 0x7bff, FP_NX);
    EXPECT(softfp_f64_to_f32(0x7ff0000000000001, &env), NAN_F32, FP_NV);
    EXPECT(softfp_f64_to_f16(0xfff8000000000001, &env), 0x7e00, 0);
    EXPECT(softfp_f64_to_f32(0xfff0000000000000, &env), INF_F32 | NEG_F32, 0);
    EXPECT(softfp_f32_to_f16(NEG_F32, &env), 0x8000, 0);
    EXPECT(softfp_f64_to_i32_mod(0x41f0000000100000, &env), 1, FP_NV); /* 2^32 + 1 */
    EXPECT(softfp_f64_to_i32_mod(0x7ff0000000000000, &env), 0, FP_NV);
    EXPECT(softfp_f16_round(0x8001, &env), 0x8000, 0);
}

static void test_flags_accumulate(void)
{
    struct fp_env env = {.rm = FP_RNE, .flags = FP_DZ};

    softfp_f64_sqrt(0xbff0000000000000, &env);
    CU_ASSERT_EQUAL(env.flags, FP_DZ | FP_NV);
    softfp_f64_add(0x3ff0000000000000, 0x3c00000000000000, &env);
    CU_ASSERT_EQUAL(env.flags, FP_DZ | FP_NV | FP_NX);
    softfp_f64_add(0x3ff0000000000000, 0x3ff0000000000000, &env);
    CU_ASSERT_EQUAL(env.flags, FP_DZ | FP_NV | FP_NX);
}

void suite_softfp(void)
{
    CU_pSuite suite = CU_add_suite("softfp", NULL, NULL);

    CU_add_test(suite, "arithmetic by hand", test_by_hand_arith);
    CU_add_test(suite, "conversions by hand", test_by_hand_convert);
    CU_add_test(suite, "flags accumulate", test_flags_accumulate);
    CU_add_test(suite, "arithmetic on special values", test_arith_specials);
    CU_add_test(suite, "f32 arithmetic", test_arith_f32);
    CU_add_test(suite, "f64 arithmetic", test_arith_f64);
    CU_add_test(suite, "f16 arithmetic", test_arith_f16);
    CU_add_test(suite, "ties away from zero", test_arith_away);
    CU_add_test(suite, "to a wider format", test_widen);
    CU_add_test(suite, "to a narrower format", test_narrow);
    CU_add_test(suite, "to integers", test_to_integer);
    CU_add_test(suite, "to integers, modular", test_to_integer_mod);
    CU_add_test(suite, "from integers", test_from_integer);
    CU_add_test(suite, "to integral values", test_round);
    CU_add_test(suite, "comparison", test_compare);
    CU_add_test(suite, "classification", test_classify);
    CU_add_test(suite, "fast paths", test_fast);
}
