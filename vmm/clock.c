/* clock.c: guest time, derived from the host's monotonic clock. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/clock.h"

#include "guest/abi/platform.h"
#include "vmm/host.h"

_Static_assert((uint64_t)CLOCK_NS_PER_TICK *PLAT_TIMEBASE_HZ == 1000000000u,
               "the tick and the timebase of the device tree agree");

void clock_init(struct clock *clock, struct host *host)
{
    clock->host = host;
    clock->start_ns = host->now_ns(host);
}

uint64_t clock_ticks(const struct clock *clock)
{
    uint64_t now = clock->host->now_ns(clock->host);
    return now < clock->start_ns ? 0 : (now - clock->start_ns) / CLOCK_NS_PER_TICK;
}

void clock_set(struct clock *clock, uint64_t ticks)
{
    clock->start_ns = clock->host->now_ns(clock->host) - ticks * CLOCK_NS_PER_TICK;
}

uint64_t clock_deadline_ns(const struct clock *clock, uint64_t ticks)
{
    uint64_t ns;
    if (__builtin_mul_overflow(ticks, (uint64_t)CLOCK_NS_PER_TICK, &ns) ||
        __builtin_add_overflow(ns, clock->start_ns, &ns))
        return UINT64_MAX;
    return ns;
}
