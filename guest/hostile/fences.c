/* fences.c: all harts fence all harts in a loop. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must not deadlock when harts wait for each other's fences, nor lose its way
 * between fences, sleeping harts and stopping harts. The guest ends by the finisher, pass:
 * status 0.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/random.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"

#define ROUNDS 2000

static unsigned running, done;
static uint64_t failures;

static void fence_loop(void *arg)
{
    uint64_t seed = 99 + hart_self()->index, all = 0, failed = 0;

    (void)arg;
    for (unsigned i = 0; i < hart_count(); i++)
        all |= 1ul << hart_id(i);
    __atomic_fetch_add(&running, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != hart_count())
        ;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t size = random_below(&seed, 2) ? ~0ul : random_below(&seed, 1ul << 20);
        const uint64_t arguments[6] = {all, 0, random_next(&seed) >> 20, size, i & 0xffff};

        failed += sbi_call6(SBI_EXT_RFENCE, i % 3, arguments).error != SBI_SUCCESS;
    }
    __atomic_fetch_add(&failures, failed, __ATOMIC_ACQ_REL);
    __atomic_fetch_add(&done, 1, __ATOMIC_ACQ_REL);
    /* Stays until the last is done: a fence of a stopped hart may be an error. */
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) != hart_count())
        ;
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    for (unsigned i = 1; i < hart_count(); i++)
        hart_launch(i, fence_loop, NULL);
    fence_loop(NULL);
    tap_ok(failures == 0, "%u fences of each hart on all", ROUNDS);
    for (unsigned i = 1; i < hart_count(); i++)
        hart_await(i, SBI_HSM_STOPPED);
    tap_ok(true, "all harts end");
    tap_leave();
}
