/* sleep.c: wfi with no interrupt enabled, while another hart ends the machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot hart never wakes by itself; the monitor must still end it when another hart writes
 * to the finisher, pass: status 0. With one hart the machine sleeps for ever: the monitor must
 * use no CPU time, and must obey a signal.
 */
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

static void end(void *arg)
{
    (void)arg;
    time_spin(PLAT_TIMEBASE_HZ / 10);
    system_pass();
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    if (hart_count() > 1)
        tap_ok(hart_launch(1, end, NULL) == 0, "a hart that will end the machine");
    print("1..%u\n", hart_count() > 1 ? 1 : 0);
    for (unsigned i = 2; i < hart_count(); i++)
        hart_launch(i, (hart_fn *)wait_for_interrupt, NULL);
    csr_write(sie, 0);
    timer_set(~0ul);
    for (;;)
        wait_for_interrupt();
}
