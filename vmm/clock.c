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
    int64_t since = (int64_t)(clock->host->now_ns(clock->host) - clock->start_ns);
    return since < 0 ? 0 : (uint64_t)since / CLOCK_NS_PER_TICK;
}

uint64_t clock_wall_ns(const struct clock *clock)
{
    return clock->host->wall_ns(clock->host);
}

void clock_set(struct clock *clock, uint64_t ticks)
{
    clock->start_ns = clock->host->now_ns(clock->host) - ticks * CLOCK_NS_PER_TICK;
}

uint64_t clock_deadline_ns(const struct clock *clock, uint64_t ticks)
{
    uint64_t ns, before = 0 - clock->start_ns;
    if (__builtin_mul_overflow(ticks, (uint64_t)CLOCK_NS_PER_TICK, &ns))
        return UINT64_MAX;
    if ((int64_t)clock->start_ns < 0) /* the guest is older than the host: clock_set */
        ns = ns > before ? ns - before : 0;
    else if (__builtin_add_overflow(ns, clock->start_ns, &ns))
        return UINT64_MAX;
    return ns <= INT64_MAX ? ns : UINT64_MAX; /* no host shows that: it is 292 years away */
}
