/* starts.c: harts that start and stop all the time, while others call for their state. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must take starts, stops, fences and IPIs of harts in any state and keep each
 * hart's state one of those that HSM names. The guest ends by the finisher, pass: status 0.
 */
#include "guest/lib/hart.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"

#define ROUNDS 300

static uint64_t begun;

static void begin(void *arg)
{
    (void)arg;
    __atomic_fetch_add(&begun, 1, __ATOMIC_ACQ_REL);
}

static bool state_good(int64_t state)
{
    return state >= SBI_HSM_STARTED && state <= SBI_HSM_RESUME_PENDING;
}

int guest_main(const void *dtb)
{
    unsigned others = hart_count() - 1;
    uint64_t refused = 0, strange = 0;

    (void)dtb;
    tap_begin();
    for (unsigned n = 0; n < ROUNDS; n++) {
        for (unsigned i = 1; i <= others; i++) {
            refused += hart_launch(i, begin, NULL) != SBI_SUCCESS;
            strange += !state_good(hart_state(i));
            sbi_call(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 0, ~0ul, 0);
            sbi_call(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 0, ~0ul, 0);
        }
        for (unsigned i = 1; i <= others; i++)
            hart_await(i, SBI_HSM_STOPPED);
    }
    tap_ok(refused == 0, "a stopped hart can be started each time");
    tap_ok(strange == 0, "its state has a name each time");
    tap_ok(begun == (uint64_t)others * ROUNDS, "it ran each time");
    tap_leave();
}
