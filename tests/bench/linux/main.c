/* main.c: a program for a Linux guest, its first process too: times workloads, prints lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/linux/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 *     bench [-r N] [NAME]...      all workloads, or those named; each N times, for profiles
 *
 * Prints "@bench init" at once, then for each workload "@bench NAME MEDIAN LEAST COUNT ROUNDS":
 * the median and the least ns of an operation over the rounds, operations of a round, rounds.
 * "@bench end" is last. As the first process (rdinit=/bench, names behind "--") it also runs
 * the program /coremark when it is there, and powers the machine off.
 */

#define ROUNDS_MAX 64

/* As CoreMark's own main() takes them: seeds, iterations, all kernels, one context, size. */
#define COREMARK_ITERATIONS "30000"

volatile uint64_t bench_sink;

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void bench_fail(const char *what)
{
    printf("@bench fail %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void workload_measure(const struct workload *w)
{
    unsigned rounds = w->rounds < ROUNDS_MAX ? w->rounds : ROUNDS_MAX;
    double ns[ROUNDS_MAX] = {0};

    w->run(w->count); /* what happens only once, happens now */
    for (unsigned i = 0; i < rounds; i++)
        ns[i] = (double)w->run(w->count) / (double)(w->count * w->per);
    qsort(ns, rounds, sizeof(ns[0]), double_compare);
    printf("@bench %s %.3f %.3f %llu %u\n", w->name, ns[rounds / 2], ns[0],
           (unsigned long long)(w->count * w->per), rounds);
    fflush(stdout);
}

static int wanted(const char *name, char **names)
{
    if (!*names)
        return 1;
    for (; *names; names++)
        if (!strcmp(*names, name))
            return 1;
    return 0;
}

static void table_measure(const struct workload *w, char **names, unsigned repeats)
{
    for (; w->name; w++)
        for (unsigned i = 0; i < repeats && wanted(w->name, names); i++)
            workload_measure(w);
}

/* A program that the user brought. Who reads our output takes the time between these lines. */
static void coremark_run(void)
{
    pid_t pid;

    if (access("/coremark", X_OK) != 0)
        return;
    puts("@bench coremark-begin " COREMARK_ITERATIONS);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        execl("/coremark", "/coremark", "0", "0", "0x66", COREMARK_ITERATIONS, "7", "1", "2000",
              (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) != pid)
        bench_fail("coremark");
    puts("@bench coremark-end");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned repeats = 1;

    if (argc == 2 && !strcmp(argv[1], BENCH_ENDS))
        return 0;
    printf("\n@bench init\n");
    fflush(stdout);
    if (argc > 2 && !strcmp(argv[1], "-r")) {
        repeats = (unsigned)strtoul(argv[2], NULL, 10);
        argv += 2;
    }
    table_measure(workloads_compute, argv + 1, repeats);
    table_measure(workloads_memory, argv + 1, repeats);
    table_measure(workloads_kernel, argv + 1, repeats);
    if (getpid() != 1) {
        puts("@bench end");
        return 0;
    }
    if (wanted("coremark", argv + 1))
        coremark_run();
    puts("@bench end");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    return 1;
}
