/* null.c: a guest that makes a call which does nothing two million times, and says what it
 * costs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"

#define CALLS   UINT64_C(2000000)
#define TICK_NS 100u /* of the time CSR */

/* Picoseconds a round, without the loop's own. */
static uint64_t round_ps(uint64_t begin, uint64_t middle, uint64_t end)
{
    uint64_t calls = middle - begin, loop = end - middle;

    return (calls - loop) * TICK_NS * 1000 / CALLS;
}

/* The call of SBI Base that answers a constant: get_impl_id (SBI 3.0, section 4.2). */
static void calls_make(void)
{
    register uint64_t a0 asm("a0") = 0, a1 asm("a1") = 0;
    register uint64_t a6 asm("a6") = SBI_BASE_GET_IMPL_ID;
    register uint64_t a7 asm("a7") = SBI_EXT_BASE;

    for (uint64_t n = 0; n < CALLS; n++)
        asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a6), "r"(a7) : "memory");
}

static void loop_alone(void)
{
    for (uint64_t n = 0; n < CALLS; n++)
        asm volatile("" ::"r"(n));
}

int guest_main(const void *dtb)
{
    (void)dtb;
    for (unsigned i = 0; i < 5; i++) {
        uint64_t begin = time_now(), middle, ps;

        calls_make();
        middle = time_now();
        loop_alone();
        ps = round_ps(begin, middle, time_now());
        print("%lu.%lu\n", ps / 1000, ps % 1000 / 100);
    }
    return 0;
}
