/* ipis.c: all harts send IPIs to all harts in a loop, some asleep, while timers fire. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must wake each hart that has an IPI pending, and keep all harts going. The guest
 * ends by the finisher, pass: status 0.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define ROUNDS      5000
#define TIMER_EVERY 2000 /* 0.2 ms */

static unsigned running, done;
static uint64_t failures, softs, timers;

static void count_irq(struct trap_frame *frame)
{
    if (frame->scause == CAUSE_SOFT) {
        csr_clear(sip, SIP_SSIP);
        __atomic_fetch_add(&softs, 1, __ATOMIC_RELAXED);
    } else {
        timer_set(time_now() + TIMER_EVERY);
        __atomic_fetch_add(&timers, 1, __ATOMIC_RELAXED);
    }
}

static bool all_done(void)
{
    return __atomic_load_n(&done, __ATOMIC_ACQUIRE) == hart_count();
}

static void ipi_loop(void *arg)
{
    uint64_t failed = 0;

    (void)arg;
    trap_set_irq(count_irq);
    __atomic_fetch_add(&running, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) != hart_count())
        ;
    csr_write(sie, SIP_SSIP | SIP_STIP);
    timer_set(time_now());
    csr_set(sstatus, SSTATUS_SIE);
    for (unsigned i = 0; i < ROUNDS; i++) {
        failed += sbi_call(SBI_EXT_IPI, SBI_IPI_SEND_IPI, 0, ~0ul, 0).error != SBI_SUCCESS;
        if (i % 16 == 0)
            wait_for_interrupt();
    }
    __atomic_fetch_add(&failures, failed, __ATOMIC_ACQ_REL);
    __atomic_fetch_add(&done, 1, __ATOMIC_ACQ_REL);
    while (!all_done())
        wait_for_interrupt();
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    timer_set(~0ul);
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    for (unsigned i = 1; i < hart_count(); i++)
        hart_launch(i, ipi_loop, NULL);
    ipi_loop(NULL);
    for (unsigned i = 1; i < hart_count(); i++)
        hart_await(i, SBI_HSM_STOPPED);
    print("# %lu software, %lu timer interrupts\n", softs, timers);
    tap_ok(failures == 0, "%u IPIs of each hart to all", ROUNDS);
    tap_ok(softs >= hart_count() && timers >= hart_count(), "they and the timers interrupt");
    tap_leave();
}
