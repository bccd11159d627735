/* main.c: Tollgate's services at work: time on all harts, lines from interrupts, chance. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor owes it: a time that no hart sees go back, from a page and without an exit for
 * each look at it; log lines that are whole, from harts and interrupt handlers at once; and
 * random bytes. With the boot argument tg.many it looks at the time 100000 times more often,
 * which must not cost one more exit.
 */
#include "guest/abi/sbi.h"
#include "guest/abi/stubs.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"
#include "guest/lib/tg.h"
#include "guest/lib/trap.h"

#define LOOKS      1000
#define MANY       100000
#define LINES      100
#define TICK_EVERY 500 /* 50 us */
#define TICKS      400 /* then no more: where a line takes longer, nothing else would go on */

static const void *page;
static uint64_t newest; /* what some hart has seen */
static uint64_t backwards;
static unsigned finished;

static unsigned interrupts; /* of all harts */

/* What one hart has published, no other sees an earlier time after. */
static void time_look(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        uint64_t seen = __atomic_load_n(&newest, __ATOMIC_ACQUIRE);
        uint64_t now = tg_time(page);

        if (now < seen)
            __atomic_fetch_add(&backwards, 1, __ATOMIC_RELAXED);
        while (seen < now && !__atomic_compare_exchange_n(&newest, &seen, now, true,
                                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            ;
    }
}

/* A line from a handler, in the middle of what the hart was about to print. */
static void tick_irq(struct trap_frame *frame)
{
    unsigned before = __atomic_fetch_add(&interrupts, 1, __ATOMIC_RELAXED);

    (void)frame;
    tg_log(TG_LOG_WARNING, "from an interrupt");
    timer_set(before < TICKS ? time_now() + TICK_EVERY : ~0ul);
}

static void lines_print(void)
{
    trap_set_irq(tick_irq);
    csr_write(sie, SIP_STIP);
    timer_set(time_now() + TICK_EVERY);
    csr_set(sstatus, SSTATUS_SIE);
    for (unsigned i = 0; i < LINES; i++)
        tg_log(TG_LOG_INFO, "one line of many, of a hart among others");
    while (!__atomic_load_n(&interrupts, __ATOMIC_RELAXED))
        ;
    csr_clear(sstatus, SSTATUS_SIE);
    csr_write(sie, 0);
    timer_set(~0ul);
}

static void hart_work(void *arg)
{
    (void)arg;
    time_look(LOOKS);
    lines_print();
    __atomic_fetch_add(&finished, 1, __ATOMIC_ACQ_REL);
}

static void harts_test(void)
{
    unsigned started = 0;

    for (unsigned i = 1; i < hart_count(); i++)
        started += hart_launch(i, hart_work, NULL) == 0;
    hart_work(NULL);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < started + 1)
        ;
    tap_ok(started + 1 == hart_count(), "every hart has run");
    tap_ok(backwards == 0, "no hart saw time go back");
    tap_ok(newest > 0, "time goes on");
    tap_ok(interrupts > 0, "an interrupt handler printed");
}

static void bulk_test(void)
{
    static char block[4096];

    memset(block, '.', sizeof(block));
    block[0] = '#';
    block[1] = ' ';
    block[sizeof(block) - 1] = '\n';
    tap_ok(tg_write(block, sizeof(block)) == sizeof(block), "4 KiB go out in one piece");
    tg_print("# one string\n");
}

/* Nobody has chance without the user's leave (--device tg-entropy). */
static void chance_test(void)
{
    static const char *const name = "there is chance, and half of its bits are set, or nearly";
    uint64_t words[64] = {0};
    unsigned bits = 0;
    bool filled;

    if (tg_entropy_read(0, 0, 0).error == SBI_ERR_DENIED) {
        tap_skip("the policy refuses it", "%s", name);
        return;
    }
    filled = tg_random(words, sizeof(words));
    for (unsigned i = 0; i < 64; i++)
        for (uint64_t w = words[i]; w; w &= w - 1)
            bits++;
    tap_ok(filled && bits > 1792 && bits < 2304, "%s", name); /* 8 sigma */
}

int guest_main(const void *dtb)
{
    bool many = fdt_bootarg(dtb, "tg.many");

    tap_begin();
    page = tg_time_page();
    tap_ok(page && fdt_device(dtb, "tollgate,clock"), "the time has a page, and a window");
    time_look(many ? MANY : 1);
    if (fdt_bootarg(dtb, "tg.time"))
        return tap_end();
    harts_test();
    bulk_test();
    chance_test();
    return tap_end();
}
