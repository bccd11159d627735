/* watch.c: runs a command, and tells when its lines came, how long it took, its peak memory. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 *     bench-watch [-c CPU] [-m MARKER]... OUT COMMAND [ARGUMENT]...
 *
 * The command's standard output goes to the file OUT, its input is empty. For each MARKER, at
 * most 8, the end of the first line that begins with it is reported: MARKER WALL CPU ms since
 * before the fork, and ms of processor time of all the command's threads by then. At the end
 * comes end WALL CPU PEAK with KiB of peak memory (getrusage(2), ru_maxrss). -c pins the
 * command to a processor. Exit status: the command's; 2 wrong usage or no such thing.
 */

#define MARKERS_MAX 8

struct watch {
    const char *marker[MARKERS_MAX]; /* NULL once it was seen */
    unsigned nmarkers;
    double start;
    clockid_t clock; /* of the command */
    char line[256];  /* of the current line, so much */
    size_t len;
};

static double clock_ms(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0)
        return -1;
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void line_take(struct watch *w)
{
    for (unsigned i = 0; i < w->nmarkers; i++) {
        size_t len = w->marker[i] ? strlen(w->marker[i]) : SIZE_MAX;

        if (len > w->len || memcmp(w->line, w->marker[i], len) != 0)
            continue;
        printf("%s %.3f %.3f\n", w->marker[i], clock_ms(CLOCK_MONOTONIC) - w->start,
               clock_ms(w->clock));
        w->marker[i] = NULL;
    }
    w->len = 0;
}

/* Until the command closes its output. */
static int output_take(struct watch *w, int from, FILE *out)
{
    char bytes[4096];
    ssize_t n;

    while ((n = read(from, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] == '\n')
                line_take(w);
            else if (w->len < sizeof(w->line))
                w->line[w->len++] = bytes[i];
        if (fwrite(bytes, 1, (size_t)n, out) != (size_t)n)
            return -1;
    }
    return (int)n;
}

static void command_become(char **argv, int cpu, int out)
{
    int in = open("/dev/null", O_RDONLY);
    cpu_set_t set;

    CPU_ZERO(&set);
    if (cpu >= 0)
        CPU_SET((unsigned)cpu, &set);
    if ((cpu >= 0 && sched_setaffinity(0, sizeof(set), &set) != 0) || in < 0) {
        fprintf(stderr, "bench-watch: processor %d: %s\n", cpu, strerror(errno));
        _exit(2);
    }
    dup2(in, 0);
    dup2(out, 1);
    execvp(argv[0], argv);
    fprintf(stderr, "bench-watch: %s: %s\n", argv[0], strerror(errno));
    _exit(2);
}

static int usage(void)
{
    fputs("usage: bench-watch [-c CPU] [-m MARKER]... OUT COMMAND [ARGUMENT]...\n", stderr);
    return 2;
}

static double timeval_ms(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

static int command_watch(struct watch *w, char **argv, int cpu, FILE *out)
{
    struct rusage used;
    int ends[2], status, rc;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return 2;
    w->start = clock_ms(CLOCK_MONOTONIC);
    pid = fork();
    if (pid == 0)
        command_become(argv, cpu, ends[1]);
    close(ends[1]);
    if (pid < 0 || clock_getcpuclockid(pid, &w->clock) != 0)
        return 2;
    rc = output_take(w, ends[0], out);
    close(ends[0]);
    if (wait4(pid, &status, 0, &used) != pid || rc != 0)
        return 2;
    printf("end %.3f %.3f %ld\n", clock_ms(CLOCK_MONOTONIC) - w->start,
           timeval_ms(used.ru_utime) + timeval_ms(used.ru_stime), used.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    struct watch w = {.nmarkers = 0};
    int option, cpu = -1, status;
    FILE *out;

    while ((option = getopt(argc, argv, "+c:m:")) != -1) {
        if (option == 'c')
            cpu = atoi(optarg);
        else if (option == 'm' && w.nmarkers < MARKERS_MAX)
            w.marker[w.nmarkers++] = optarg;
        else
            return usage();
    }
    if (argc - optind < 2)
        return usage();
    out = fopen(argv[optind], "we");
    if (!out) {
        fprintf(stderr, "bench-watch: %s: %s\n", argv[optind], strerror(errno));
        return 2;
    }
    status = command_watch(&w, argv + optind + 1, cpu, out);
    return fclose(out) == 0 ? status : 2;
}
