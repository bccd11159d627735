/* bench.h: the workloads of the benchmark that runs in a Linux guest. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_BENCH_LINUX_BENCH_H
#define TESTS_BENCH_LINUX_BENCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * A row of the table. A round runs `count` times what makes `per` operations, and returns the
 * ns that this took; a figure is the ns of one operation. Counts are fixed, so that every
 * machine does the same work: a round is a millisecond or two under QEMU 10. A busy host gives
 * a processor away for some 4 ms at a time, so the median round is still an undisturbed one.
 */
struct workload {
    const char *name;
    uint64_t (*run)(uint64_t count);
    uint64_t count, per;
    unsigned rounds;
};

/* Each ends with a nameless one: compute.c, memory.c, kernel.c. */
extern const struct workload workloads_compute[];
extern const struct workload workloads_memory[];
extern const struct workload workloads_kernel[];

/* ns of CLOCK_MONOTONIC, which the C library reads without a system call. */
uint64_t now_ns(void);

/* Results meet here, so that no work is optimised away. */
extern volatile uint64_t bench_sink;

/* The same sequence every time. (Marsaglia, "Xorshift RNGs", 2003.) */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* What fork_exec starts: this program with this argument, which ends at once. */
#define BENCH_ENDS "ends"

/* Ends the program with a message. */
_Noreturn void bench_fail(const char *what);

#endif
