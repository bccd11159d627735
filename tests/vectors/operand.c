/* operand.c: operands for floating-point operations, those that have rules of their own often.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/vectors/operand.h"

#include <string.h>
#include "tests/diff/program.h"

struct format {
    unsigned exponent, fraction; /* bits */
};

static const struct format formats[] = {
    [OPERAND_HALF] = {5,  10},
      [OPERAND_SINGLE] = {8,  23},
      [OPERAND_DOUBLE] = {11, 52}
};

static uint64_t ones(unsigned n)
{
    return n < 64 ? (1ull << n) - 1 : UINT64_MAX;
}

/* Sparse or dense: none, all, one bit, a run from either end, with the last bit turned. */
static uint64_t pattern(unsigned bits)
{
    uint64_t value;

    switch (random_below(8)) {
    case 0: value = 0; break;
    case 1: value = ones(bits); break;
    case 2: value = 1ull << random_below(bits); break;
    case 3: value = ones(random_below(bits)); break;
    case 4: value = ~ones(random_below(bits)); break;
    case 5: value = (1ull << random_below(bits)) | (1ull << random_below(bits)); break;
    default: value = random_next(); break;
    }
    if (random_below(8) == 0)
        value ^= 1;
    return value & ones(bits);
}

/* Around the ends of the range, around one, where integers end, or any. */
static uint64_t exponent(const struct format *f)
{
    uint64_t bias = ones(f->exponent - 1), near = random_below(5);

    switch (random_below(8)) {
    case 0: return random_below(3);
    case 1: return ones(f->exponent) - random_below(3);
    case 2: return (bias + near - 2) & ones(f->exponent);
    case 3: return (bias + f->fraction + near - 2) & ones(f->exponent);
    case 4: return (bias + (random_below(2) ? 31 : 63) + near - 2) & ones(f->exponent);
    case 5: return (bias - f->fraction + near - 2) & ones(f->exponent);
    default: return random_next() & ones(f->exponent);
    }
}

static uint64_t boxed(const struct format *f, uint64_t value)
{
    unsigned width = 1 + f->exponent + f->fraction;

    if (width == 64)
        return value;
    return random_below(64) ? value | ~ones(width) : value | (random_next() & ~ones(width));
}

static uint64_t integer(void)
{
    uint64_t value = random_next() >> random_below(64);

    switch (random_below(4)) {
    case 0: value = 1ull << random_below(64); break;
    case 1: value = pattern(64); break;
    default: break;
    }
    value += random_below(3) - 1;
    return random_below(2) ? value : -value;
}

uint64_t operand_make(enum operand_kind kind)
{
    const struct format *f = &formats[kind];
    uint64_t value;

    if (kind == OPERAND_INTEGER)
        return integer();
    value = (uint64_t)random_below(2) << (f->exponent + f->fraction);
    return boxed(f, value | exponent(f) << f->fraction | pattern(f->fraction));
}

uint64_t operand_near(enum operand_kind kind, uint64_t other)
{
    const struct format *f = &formats[kind];

    if (kind == OPERAND_INTEGER)
        return integer();
    if (random_below(2))
        other ^= 1ull << (f->exponent + f->fraction);
    switch (random_below(4)) {
    case 0: return other;
    case 1: return other ^ 1;
    case 2: return other ^ pattern(f->fraction);
    default: return other + ((uint64_t)random_below(3) << f->fraction);
    }
}

uint64_t operand_cancel(enum operand_kind kind, uint64_t a, uint64_t b)
{
    uint64_t bits = 0;

    if (kind == OPERAND_DOUBLE) {
        double x, y, product;

        memcpy(&x, &a, 8);
        memcpy(&y, &b, 8);
        product = -(x * y);
        memcpy(&bits, &product, 8);
    } else if (kind == OPERAND_SINGLE) {
        float x, y, product;

        memcpy(&x, &a, 4);
        memcpy(&y, &b, 4);
        product = -(x * y);
        memcpy(&bits, &product, 4);
        bits |= 0xffffffff00000000;
    } else {
        return operand_make(kind);
    }
    return bits ^ random_below(4);
}
