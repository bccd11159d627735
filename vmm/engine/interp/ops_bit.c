/* ops_bit.c: bit manipulation, conditional zero and may-be-operations of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

/* Source: RISC-V unprivileged specification, chapters "B", "Zicond", "Zimop" and "Zbkb". */

#define RD  h->x[op->rd]
#define RS1 h->x[op->rs1]
#define RS2 h->x[op->imm]

#define OP_VALUE(name, expression)                                                             \
    OP(name)                                                                                   \
    {                                                                                          \
        RD = (uint64_t)(expression);                                                           \
        NEXT();                                                                                \
    }

#define SEXT32(v) ((int64_t)(int32_t)(v))
#define S64(v)    ((int64_t)(v))
#define U32(v)    ((uint32_t)(v))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define BIT(n)    (1ull << ((n)&63))

/* --- Zba --- */

OP_VALUE(sh1add, RS2 + (RS1 << 1))
OP_VALUE(sh2add, RS2 + (RS1 << 2))
OP_VALUE(sh3add, RS2 + (RS1 << 3))
OP_VALUE(add_uw, RS2 + U32(RS1))
OP_VALUE(sh1add_uw, RS2 + ((uint64_t)U32(RS1) << 1))
OP_VALUE(sh2add_uw, RS2 + ((uint64_t)U32(RS1) << 2))
OP_VALUE(sh3add_uw, RS2 + ((uint64_t)U32(RS1) << 3))
OP_VALUE(slli_uw, (uint64_t)U32(RS1) << (op->imm & 63))

/* --- Zbb --- */

INLINE uint64_t rotate_right(uint64_t v, uint64_t n)
{
    return v >> (n & 63) | v << (-n & 63);
}

INLINE int64_t rotate_right_word(uint32_t v, uint64_t n)
{
    return SEXT32(v >> (n & 31) | v << (-n & 31));
}

/* 0xff for each byte that is not 0. */
INLINE uint64_t or_combine(uint64_t v)
{
    v |= v >> 4; /* what crosses into a byte never reaches its lowest bit */
    v |= v >> 2;
    v |= v >> 1;
    return (v & 0x0101010101010101u) * 0xff;
}

OP_VALUE(andn, RS1 & ~RS2)
OP_VALUE(orn, RS1 | ~RS2)
OP_VALUE(xnor, ~(RS1 ^ RS2))
OP_VALUE(clz, RS1 ? __builtin_clzll(RS1) : 64)
OP_VALUE(clzw, U32(RS1) ? __builtin_clz(U32(RS1)) : 32)
OP_VALUE(ctz, RS1 ? __builtin_ctzll(RS1) : 64)
OP_VALUE(ctzw, U32(RS1) ? __builtin_ctz(U32(RS1)) : 32)
OP_VALUE(cpop, __builtin_popcountll(RS1))
OP_VALUE(cpopw, __builtin_popcount(U32(RS1)))
OP_VALUE(min, MIN(S64(RS1), S64(RS2)))
OP_VALUE(minu, MIN(RS1, RS2))
OP_VALUE(max, MAX(S64(RS1), S64(RS2)))
OP_VALUE(maxu, MAX(RS1, RS2))
OP_VALUE(sext_b, (int64_t)(int8_t)RS1)
OP_VALUE(sext_h, (int64_t)(int16_t)RS1)
OP_VALUE(rol, rotate_right(RS1, -RS2))
OP_VALUE(ror, rotate_right(RS1, RS2))
OP_VALUE(rori, rotate_right(RS1, (uint64_t)op->imm))
OP_VALUE(rolw, rotate_right_word(U32(RS1), -RS2))
OP_VALUE(rorw, rotate_right_word(U32(RS1), RS2))
OP_VALUE(roriw, rotate_right_word(U32(RS1), (uint64_t)op->imm))
OP_VALUE(orc_b, or_combine(RS1))
OP_VALUE(rev8, __builtin_bswap64(RS1))

/* --- Zbs --- */

OP_VALUE(bclr, RS1 & ~BIT(RS2))
OP_VALUE(bclri, RS1 & ~BIT(op->imm))
OP_VALUE(bext, RS1 >> (RS2 & 63) & 1)
OP_VALUE(bexti, RS1 >> (op->imm & 63) & 1)
OP_VALUE(binv, RS1 ^ BIT(RS2))
OP_VALUE(binvi, RS1 ^ BIT(op->imm))
OP_VALUE(bset, RS1 | BIT(RS2))
OP_VALUE(bseti, RS1 | BIT(op->imm))

/* --- Zbkb, Zbkx --- */

/* The bits of each byte in reverse order. */
INLINE uint64_t reverse_in_bytes(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555u) | (v & 0x5555555555555555u) << 1;
    v = (v >> 2 & 0x3333333333333333u) | (v & 0x3333333333333333u) << 2;
    return (v >> 4 & 0x0f0f0f0f0f0f0f0fu) | (v & 0x0f0f0f0f0f0f0f0fu) << 4;
}

/* Each element of `bits` bits in `at` chooses one of table; beyond the end it is 0. */
static NOINLINE uint64_t crossbar(uint64_t table, uint64_t at, unsigned bits)
{
    uint64_t element = (1ull << bits) - 1;
    uint64_t result = 0;

    for (unsigned to = 0; to < 64; to += bits) {
        uint64_t from = (at >> to & element) * bits;

        if (from < 64)
            result |= (table >> from & element) << to;
    }
    return result;
}

OP_VALUE(pack, (RS1 & UINT32_MAX) | RS2 << 32)
OP_VALUE(packh, (RS1 & 0xff) | (RS2 & 0xff) << 8)
OP_VALUE(packw, SEXT32((RS1 & 0xffff) | (RS2 & 0xffff) << 16))
OP_VALUE(brev8, reverse_in_bytes(RS1))
OP_VALUE(xperm4, crossbar(RS1, RS2, 4))
OP_VALUE(xperm8, crossbar(RS1, RS2, 8))

/* --- Zbc --- */

static NOINLINE uint64_t carryless_product(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    for (; b; b &= b - 1)
        product ^= a << __builtin_ctzll(b);
    return product;
}

INLINE uint64_t reverse_bits(uint64_t v)
{
    return __builtin_bswap64(reverse_in_bytes(v));
}

/* Bits 126:63 of the product: the low half of the product of the mirrored operands, mirrored.
 */
INLINE uint64_t carryless_reversed(uint64_t a, uint64_t b)
{
    return reverse_bits(carryless_product(reverse_bits(a), reverse_bits(b)));
}

OP_VALUE(clmul, carryless_product(RS1, RS2))
OP_VALUE(clmulr, carryless_reversed(RS1, RS2))
OP_VALUE(clmulh, carryless_reversed(RS1, RS2) >> 1)

/* --- Zicond, Zimop --- */

OP_VALUE(czero_eqz, RS2 ? RS1 : 0)
OP_VALUE(czero_nez, RS2 ? 0 : RS1)
OP_VALUE(mop_r, 0)
OP_VALUE(mop_rr, 0)
