/* task.c: the task that is done three ways, and the first of them: a call in the same space. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

#include "guest/lib/hart.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

uint8_t task_data[TASK_SIZE];
uint64_t task_crossed;

/* FNV-1a, as something that takes a while and whose result nobody can guess. */
__attribute__((noinline)) uint64_t task(const uint8_t *data, uint64_t size)
{
    uint64_t sum = FNV_BASIS;

    for (uint64_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * FNV_PRIME;
    return sum;
}

uint64_t task_direct_run(uint64_t n)
{
    uint64_t start, sum = 0;

    task_crossed = 0;
    start = time_now();
    for (uint64_t i = 0; i < n; i++) {
        __asm__ volatile("" : : : "memory"); /* or the sum would be computed once */
        sum ^= task(task_data, TASK_SIZE);
    }
    __asm__ volatile("" : : "r"(sum));
    return time_now() - start;
}
