/* counters.c: the host processor's own counters, where it has any that we may read. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    uint64_t config;
} events[COUNTERS] = {
    {"instructions",  PERF_COUNT_HW_INSTRUCTIONS },
    {"cycles",        PERF_COUNT_HW_CPU_CYCLES   },
    {"branch_misses", PERF_COUNT_HW_BRANCH_MISSES},
    {"cache_misses",  PERF_COUNT_HW_CACHE_MISSES },
};

const char *counter_name(unsigned counter)
{
    return events[counter].name;
}

int counters_open(struct counters *counters)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        /* Inherited by the hart's thread, which does not exist yet. */
        struct perf_event_attr attr = {
            .type = PERF_TYPE_HARDWARE,
            .size = sizeof(attr),
            .config = events[i].config,
            .inherit = 1,
            .exclude_hv = 1,
        };
        long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0ul);

        counters->fd[i] = fd < 0 ? -1 : (int)fd;
        if (i == 0 && fd < 0)
            return -errno;
    }
    return 0;
}

void counters_close(struct counters *counters, double value[COUNTERS])
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        uint64_t count;

        value[i] = -1;
        if (counters->fd[i] < 0)
            continue;
        if (read(counters->fd[i], &count, sizeof(count)) == sizeof(count))
            value[i] = (double)count;
        close(counters->fd[i]);
    }
}
