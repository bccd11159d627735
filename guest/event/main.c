/* main.c: a guest of the event service: timers, signals to the monitor, descriptors. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it does, its boot argument says (tests/guest/event.sh): nothing: timers, and that the
 * host's events are refused; signal, fd: listens to signal 10 or descriptor 5 and prints what
 * it hears, until it has heard three times or the source ends; ticks: waits for many events of
 * a timer; forever: waits for what does not come; absent: the machine is without the service.
 */
#include "guest/event/events.h"

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

static volatile unsigned interrupts;

static void tick_irq(struct trap_frame *frame)
{
    (void)frame;
    interrupts++;
    timer_set(~0ul);
}

/* Times of the clock service are ticks of 100 ns where this runs (PLAT_TIMEBASE_HZ). */
static void test_interrupt(void)
{
    struct tg_ret r;
    uint64_t id;

    trap_set_irq(tick_irq);
    csr_write(sie, SIP_STIP);
    timer_set(time_now() + 10000);
    r = tg_event_wait(TG_EVENT_FOREVER);
    tap_ok(is(r, 0, 0) && interrupts == 0, "an interrupt that waits ends the wait");
    id = tg_event_timer(now_ns() + 10 * MS, 0).value;
    csr_set(sstatus, SSTATUS_SIE);
    timer_set(time_now() + 10000);
    do
        r = tg_event_wait(TG_EVENT_FOREVER);
    while (r.error == 0 && r.value == 0);
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    tap_ok(is(r, 0, id) && interrupts > 0, "one that is served does not disturb it");
    tg_event_cancel(id);
}

static uint64_t woken;

static void waiter(void *arg)
{
    uint64_t id = tg_event_wait(TG_EVENT_FOREVER).value;

    (void)arg;
    __atomic_fetch_add(&woken, id != 0, __ATOMIC_ACQ_REL);
}

/* The others wait before there is anything to wait for. */
static void test_harts(void)
{
    unsigned harts = hart_count();
    uint64_t begin, id;

    if (harts < 2) {
        tap_skip("one hart", "harts wait for one event");
        return;
    }
    for (unsigned i = 1; i < harts; i++)
        hart_launch(i, waiter, NULL);
    begin = now_ns();
    while (now_ns() < begin + 5 * MS)
        ;
    id = tg_event_timer(now_ns() + MS, 0).value;
    for (unsigned i = 1; i < harts; i++)
        hart_await(i, SBI_HSM_STOPPED);
    tap_ok(__atomic_load_n(&woken, __ATOMIC_ACQUIRE) == harts - 1,
           "every hart that waits is told");
    tap_ok(is(tg_event_ack(id), 0, 1) && is(tg_event_ack(id), 0, 0), "one of them is first");
    tg_event_cancel(id);
}

int guest_main(const void *dtb)
{
    int result;

    if (events_asked(dtb, &result))
        return result;
    tap_begin();
    events_test_timers();
    test_interrupt();
    test_harts();
    events_test_refused();
    return tap_end();
}
