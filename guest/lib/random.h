/* random.h: a repeatable sequence of pseudo-random numbers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_RANDOM_H
#define GUEST_LIB_RANDOM_H

#include <stdint.h>

/* The next number; *state is any seed but 0. (Marsaglia, "Xorshift RNGs", 2003.) */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du;
}

/* A number below n. */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    return (random_next(state) >> 11) % n;
}

#endif
