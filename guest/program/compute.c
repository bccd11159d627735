/* compute.c: a bare program that computes with integers and floating point: 0 when all is
 * right. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include "guest/lib/program/program.h"

static bool primes_good(void)
{
    static bool composite[10000];
    unsigned found = 0;

    for (unsigned i = 2; i < 10000; i++) {
        if (composite[i])
            continue;
        found++;
        for (unsigned j = 2 * i; j < 10000; j += i)
            composite[j] = true;
    }
    return found == 1229;
}

/* The square root of 2 by Newton's method, to the last bit. */
static bool root_good(void)
{
    volatile double two = 2.0;
    double x = two;
    union {
        double d;
        uint64_t bits;
    } u;

    for (unsigned i = 0; i < 10; i++)
        x = 0.5 * (x + two / x);
    __asm__("fsqrt.d %0, %1" : "=f"(u.d) : "f"(two));
    return u.bits == 0x3ff6a09e667f3bcdu && x - u.d < 1e-15 && u.d - x < 1e-15;
}

/* Both halves of a 128-bit product. */
static bool product_good(void)
{
    volatile uint64_t a = 0x9e3779b97f4a7c15u, b = 0xc2b2ae3d27d4eb4fu;
    uint64_t high;

    __asm__("mulhu %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high == 0x78547880b6031473u && a * b == 0xf58d71ae9c47917bu;
}

int program_main(const uint64_t *stack)
{
    (void)stack;
    if (!primes_good())
        return 1;
    if (!root_good())
        return 2;
    return product_good() ? 0 : 3;
}
