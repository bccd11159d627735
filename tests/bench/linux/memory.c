/* memory.c: workloads of loads, stores and atomic operations. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/linux/bench.h"

#include <string.h>
#include <sys/mman.h>

#define CHASE_N 4096 /* pointers: 32 KiB, the first-level cache of most hosts */

/* A list through all elements in random order: each load waits for the one before. */
static void list_make(void **v, size_t n, size_t stride)
{
    static uint32_t order[CHASE_N];
    uint64_t state = 88172645463325252u;

    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n - 1; i > 0; i--) { /* Fisher and Yates */
        size_t j = random_next(&state) % (i + 1);
        uint32_t t = order[i];

        order[i] = order[j];
        order[j] = t;
    }
    for (size_t i = 0; i < n; i++)
        v[order[i] * stride] = &v[order[(i + 1) % n] * stride];
}

static uint64_t list_walk(void **v, uint64_t count)
{
    void **at = v;
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++)
        at = *at;
    bench_sink += (uintptr_t)at;
    return now_ns() - start;
}

#define HUGE_SIZE (2ull << 20)

/*
 * The list as it lies in a heap of some size: Linux gives anonymous memory huge pages by
 * default (transparent_hugepage=always in Debian), so neighbours in it are neighbours in
 * memory.
 */
static uint64_t chase_run(uint64_t count)
{
    char *heap =
        mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t took;
    void **v;

    if (heap == MAP_FAILED)
        bench_fail("mmap");
    v = (void **)(heap + (HUGE_SIZE - (uintptr_t)heap % HUGE_SIZE));
    list_make(v, CHASE_N, 1);
    took = list_walk(v, count);
    munmap(heap, 2 * HUGE_SIZE);
    return took;
}

/* The same in eight small pages, which the kernel took from anywhere. */
static uint64_t chase_scattered_run(uint64_t count)
{
    static void *v[CHASE_N];

    list_make(v, CHASE_N, 1);
    return list_walk(v, count);
}

#define PAGES     512
#define PAGE_SIZE 4096

/* One pointer a page, each in another line of the cache: what a miss of the TLB costs. */
static uint64_t chase_pages_run(uint64_t count)
{
    static void *v[PAGES * (PAGE_SIZE + 64) / sizeof(void *)];

    list_make(v, PAGES, (PAGE_SIZE + 64) / sizeof(void *));
    return list_walk(v, count);
}

#define COPY_KIB 64

/* The C library's memcpy, from the second-level cache. */
static uint64_t memcpy_run(uint64_t count)
{
    static char from[COPY_KIB * 1024], to[COPY_KIB * 1024];
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++) {
        memcpy(to, from, sizeof(to));
        __asm__ volatile("" : : "r"(to), "r"(from) : "memory");
    }
    return now_ns() - start;
}

#define SMALL_MAX 64

/* Copies of 1 to 64 bytes, as most copies are. */
static uint64_t memcpy_small_run(uint64_t count)
{
    static char from[256], to[256];
    uint64_t state = 88172645463325252u, start;
    uint8_t size[256], at[256];

    for (unsigned i = 0; i < 256; i++) {
        size[i] = (uint8_t)(random_next(&state) % SMALL_MAX + 1);
        at[i] = (uint8_t)(random_next(&state) % SMALL_MAX);
    }
    start = now_ns();
    for (uint64_t n = 0; n < count; n++) {
        memcpy(to + at[n & 255], from + at[n * 7 & 255], size[n & 255]);
        __asm__ volatile("" : : "r"(to), "r"(from) : "memory");
    }
    return now_ns() - start;
}

/* An atomic addition, and a compare and swap: an AMO, and a pair of LR and SC. */
static uint64_t atomic_run(uint64_t count)
{
    static uint64_t counter, swapped;
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++) {
        uint64_t expected = n;

        __atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
        if (n == 0)
            __atomic_store_n(&swapped, 0, __ATOMIC_SEQ_CST);
        __atomic_compare_exchange_n(&swapped, &expected, n + 1, 0, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
    }
    bench_sink += counter + swapped;
    return now_ns() - start;
}

const struct workload workloads_memory[] = {
    {"chase",           chase_run,           250000, 1,        60},
    {"chase-scattered", chase_scattered_run, 250000, 1,        60},
    {"chase-pages",     chase_pages_run,     5000,   1,        60},
    {"memcpy",          memcpy_run,          100,    COPY_KIB, 60},
    {"memcpy-small",    memcpy_small_run,    20000,  1,        60},
    {"atomic",          atomic_run,          50000,  1,        60},
    {NULL,              NULL,                0,      0,        0 },
};
