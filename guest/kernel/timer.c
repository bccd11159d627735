/* timer.c: timer and software interrupts of one hart. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define TICK_EVERY 10000 /* 1 ms */
#define TICKS      5

static volatile unsigned ticks, softs, early, wrong;
static volatile uint64_t due;

static void tick_irq(struct trap_frame *frame)
{
    if (frame->scause != CAUSE_TIMER) {
        wrong++;
        return;
    }
    early += time_now() < due;
    ticks++;
    due = time_now() + TICK_EVERY;
    timer_set(ticks < TICKS ? due : UINT64_MAX);
}

static void tick_test(void)
{
    trap_set_irq(tick_irq);
    due = time_now() + TICK_EVERY;
    timer_set(due);
    csr_write(sie, SIP_STIP);
    csr_set(sstatus, SSTATUS_SIE);
    while (ticks < TICKS && !wrong)
        wait_for_interrupt();
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    tap_ok(ticks == TICKS && !wrong, "the timer interrupts as often as it is set");
    tap_ok(!early, "no timer interrupt comes early");
}

/* sip.STIP follows the timer (SBI 2.0, section 6.1). */
static void pending_test(void)
{
    timer_set(time_now() + TICK_EVERY);
    csr_write(sie, SIP_STIP);
    while (!(csr_read(sip) & SIP_STIP))
        wait_for_interrupt();
    tap_ok(true, "wfi ends when the timer is due, with interrupts off");
    timer_set(UINT64_MAX);
    tap_ok(!(csr_read(sip) & SIP_STIP), "setting the timer clears STIP");
    timer_set(0);
    while (!(csr_read(sip) & SIP_STIP))
        ;
    tap_ok(true, "a timer in the past is pending");
    wait_for_interrupt();
    tap_ok(true, "wfi does not wait when one is");
    timer_set(UINT64_MAX);
    csr_write(sie, 0);
}

static void clock_test(void)
{
    uint64_t last = time_now(), first = last;
    bool forward = true;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = time_now();

        forward = forward && now >= last;
        last = now;
    }
    while (time_now() == first)
        ;
    tap_ok(forward, "time never goes back");
    tap_ok(csr_read(time) > first, "time goes on");
}

static void soft_irq(struct trap_frame *frame)
{
    if (frame->scause == CAUSE_SOFT)
        softs++;
    else
        wrong++;
    csr_clear(sip, SIP_SSIP);
}

static void soft_test(void)
{
    int64_t error;

    trap_set_irq(soft_irq);
    csr_write(sie, SIP_SSIP);
    csr_set(sstatus, SSTATUS_SIE);
    error = ipi_send(0);
    while (!error && !softs && !wrong)
        ;
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    tap_ok(!error && softs == 1 && !wrong, "an IPI to itself interrupts");
    tap_ok(!(csr_read(sip) & SIP_SSIP), "its handler cleared it");
}

void timer_test(void)
{
    clock_test();
    tick_test();
    pending_test();
    soft_test();
}
