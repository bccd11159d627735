/* clock.c: Tollgate's clock, and the page that it is read from without a call. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/abi/tg.h"
#include "guest/lib/csr.h"
#include "guest/lib/tap.h"
#include "guest/lib/tg.h"
#include "guest/lib/trap.h"

#define JUNK 0xdeadbeefcafef00d

/* The page cannot be written: each store is a fault, and what stands there stays. */
static bool page_guarded(uintptr_t page)
{
    uint64_t before = *(volatile uint64_t *)(page + TG_CLOCK_PAGE_MULTIPLIER);
    struct guard g;
    bool right = true;

    for (unsigned size = 1; size <= 8; size *= 2)
        right = right &&
                guard_store(&g, page + TG_CLOCK_PAGE_MULTIPLIER, size, JUNK) ==
                    CAUSE_STORE_ACCESS &&
                g.tval == page + TG_CLOCK_PAGE_MULTIPLIER;
    return right && *(volatile uint64_t *)(page + TG_CLOCK_PAGE_MULTIPLIER) == before;
}

static bool clock_agrees(const void *page)
{
    uint64_t last = 0;
    bool right = true;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t by_page = tg_time(page), by_call = tg_time(NULL);

        right = right && last <= by_page && by_page <= by_call;
        last = by_call;
    }
    return right && last > 0;
}

void probe_tg_clock(void)
{
    const struct attempt list[] = {
        {"tg.clock: now",                  OK,     TG_EXT_CLOCK, TG_CLOCK_NOW,  {JUNK}},
        {"tg.clock: page",                 OK,     TG_EXT_CLOCK, TG_CLOCK_PAGE, {JUNK}},
        {"tg.clock: function 2 is absent", ABSENT, TG_EXT_CLOCK, 2,             {0}   },
    };
    const struct attempt into_page = {
        "tg.clock: its page is no buffer",
        BAD_PARAM,
        TG_EXT_CONSOLE,
        TG_CONSOLE_READ,
        {8, (uintptr_t)tg_time_page()}
    };
    bool there = optional_begin("tg.clock", TG_EXT_CLOCK);
    const void *page = tg_time_page();

    fact_calls(list, 3);
    fact(there && page && (uintptr_t)page % 4096 == 0, "tg.clock: the page is a page");
    fact(there && clock_agrees(page), "tg.clock: page and call agree, and never go back");
    fact(there && page_guarded((uintptr_t)page), "tg.clock: stores to the page are faults");
    if (optional_function(sbi_present(TG_EXT_CONSOLE)))
        fact_call(&into_page);
    else
        fact(false, into_page.name);
    optional_end();
}
