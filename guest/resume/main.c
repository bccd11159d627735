/* main.c: a machine that is saved while it runs and goes on elsewhere, unchanged. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When everything is set up it prints "# ready" and waits, with a pattern in its registers and
 * timer interrupts every millisecond, until an x is typed. Save it before, load it where one
 * is typed: registers, CSRs, memory, the timer, the time, and the states of the other harts
 * must be as they were, and the interrupt controller where it is an AIA. Hart 1 counts all the
 * time, hart 2 has stopped.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"
#include "guest/resume/resume.h"

#define TICK_EVERY 10000 /* 1 ms */
#define WORDS      65536

static uint64_t memory[WORDS];
static uint64_t ticks, newest, backwards, counter;
static volatile uint64_t typed;

static void tick(struct trap_frame *frame)
{
    uint64_t now = time_now();

    (void)frame;
    backwards += now < newest;
    newest = now;
    timer_set(now + TICK_EVERY);
    if (++ticks == 5)
        print("# ready\n");
    if (console_getchar() == 'x')
        typed = 1;
}

static void count_forever(void *arg)
{
    (void)arg;
    for (;;)
        __atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
}

static void stop_at_once(void *arg)
{
    (void)arg;
}

static bool harts_begin(void)
{
    if (hart_count() > 1 && hart_launch(1, count_forever, NULL) != SBI_SUCCESS)
        return false;
    if (hart_count() > 2) {
        if (hart_launch(2, stop_at_once, NULL) != SBI_SUCCESS)
            return false;
        hart_await(2, SBI_HSM_STOPPED);
    }
    return true;
}

static void harts_check(void)
{
    uint64_t before = __atomic_load_n(&counter, __ATOMIC_RELAXED), until;

    if (hart_count() < 2)
        return;
    until = time_now() + 1000 * TICK_EVERY; /* a second at most */
    while (__atomic_load_n(&counter, __ATOMIC_RELAXED) == before && time_now() < until)
        ;
    tap_ok(__atomic_load_n(&counter, __ATOMIC_RELAXED) != before, "hart 1 counts on");
    tap_ok(hart_state(1) == SBI_HSM_STARTED, "it is started");
    if (hart_count() < 3)
        return;
    tap_ok(hart_state(2) == SBI_HSM_STOPPED, "hart 2 is stopped");
    tap_ok(hart_launch(2, stop_at_once, NULL) == SBI_SUCCESS, "it can be started");
}

static unsigned memory_differs(void)
{
    unsigned differ = 0;

    for (uint64_t i = 0; i < WORDS; i++)
        differ += memory[i] != i * 0x9e3779b97f4a7c15;
    return differ;
}

int guest_main(const void *dtb)
{
    uint64_t scounteren, seen;

    tap_begin();
    for (uint64_t i = 0; i < WORDS; i++)
        memory[i] = i * 0x9e3779b97f4a7c15;
    csr_write(scounteren, 5);
    scounteren = csr_read(scounteren);
    tap_ok(harts_begin(), "the other harts begin");
    aia_keep(dtb);
    trap_set_irq(tick);
    csr_write(sie, SIP_STIP);
    timer_set(time_now() + TICK_EVERY);
    csr_set(sstatus, SSTATUS_SIE);
    tap_ok(registers_keep(&typed) == 0, "the registers are as they were");
    csr_clear(sstatus, SSTATUS_SIE);
    tap_ok(csr_read(scounteren) == scounteren, "scounteren too");
    tap_ok(memory_differs() == 0, "the memory too");
    tap_ok(backwards == 0, "the time went on");
    harts_check();
    aia_check();
    seen = ticks;
    csr_set(sstatus, SSTATUS_SIE);
    while (*(volatile uint64_t *)&ticks < seen + 3)
        wait_for_interrupt();
    csr_clear(sstatus, SSTATUS_SIE);
    tap_ok(true, "the timer goes on");
    tap_leave();
}
