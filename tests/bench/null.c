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
int guest_main(const void *dtb)
{
    uint64_t begin, middle, ps;

    (void)dtb;
    for (unsigned i = 0; i < 5; i++) {
        begin = time_now();
        for (uint64_t n = 0; n < CALLS; n++)
            sbi_call(SBI_EXT_BASE, SBI_BASE_GET_IMPL_ID, 0, 0, 0);
        middle = time_now();
        for (uint64_t n = 0; n < CALLS; n++)
            asm volatile("" ::"r"(n));
        ps = round_ps(begin, middle, time_now());
        print("%lu.%lu\n", ps / 1000, ps % 1000 / 100);
    }
    return 0;
}
