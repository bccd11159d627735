/* clock.h: the time that guests see. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include <stdint.h>

struct host;

/* Guest time: PLAT_TIMEBASE_HZ ticks a second since the VM was created, from the host's clock.
 */
struct clock {
    struct host *host;
    uint64_t start_ns; /* modulo 2^64: a guest that was loaded may be older than the host */
};

#define CLOCK_NS_PER_TICK 100u

void clock_init(struct clock *clock, struct host *host);

/* Ticks since the start (the `time` CSR). Monotonic over all harts. */
uint64_t clock_ticks(const struct clock *clock);

/* Time of the day for the guest's real-time clock: ns since 1970-01-01 UTC. Not monotonic. */
uint64_t clock_wall_ns(const struct clock *clock);

/* Makes the clock show `ticks` now. */
void clock_set(struct clock *clock, uint64_t ticks);

/* Host monotonic time in ns at which the clock shows `ticks`; UINT64_MAX when it never will. */
uint64_t clock_deadline_ns(const struct clock *clock, uint64_t ticks);

#endif
