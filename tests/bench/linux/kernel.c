/* kernel.c: workloads of the guest's kernel: system calls, processes, faults, the console. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/bench/linux/bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static char *self(void)
{
    return getpid() == 1 ? "/bench" : "/proc/self/exe";
}

static uint64_t getpid_run(uint64_t count)
{
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++)
        bench_sink += (uint64_t)syscall(SYS_getpid);
    return now_ns() - start;
}

#define READ_BYTES 4096

/* The first 4 KiB of this program, from the page cache. */
static uint64_t read_run(uint64_t count)
{
    static char page[READ_BYTES];
    int fd = open(self(), O_RDONLY | O_CLOEXEC);
    uint64_t start;

    if (fd < 0)
        bench_fail("open");
    start = now_ns();
    for (uint64_t n = 0; n < count; n++)
        if (pread(fd, page, sizeof(page), 0) != READ_BYTES)
            bench_fail("pread");
    start = now_ns() - start;
    close(fd);
    return start;
}

static volatile sig_atomic_t signals;

static void signal_count(int number)
{
    (void)number;
    signals++;
}

static uint64_t signal_run(uint64_t count)
{
    struct sigaction action = {.sa_handler = signal_count};
    uint64_t start;

    if (sigaction(SIGUSR1, &action, NULL) != 0)
        bench_fail("sigaction");
    start = now_ns();
    for (uint64_t n = 0; n < count; n++)
        if (raise(SIGUSR1) != 0)
            bench_fail("raise");
    return now_ns() - start;
}

static void child_wait(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("a child");
}

static uint64_t fork_run(uint64_t count)
{
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        child_wait(pid);
    }
    return now_ns() - start;
}

static uint64_t fork_exec_run(uint64_t count)
{
    char *argv[] = {self(), BENCH_ENDS, NULL}, *envp[] = {NULL};
    uint64_t start = now_ns();

    for (uint64_t n = 0; n < count; n++) {
        pid_t pid = fork();

        if (pid == 0) {
            execve(argv[0], argv, envp);
            _exit(127);
        }
        child_wait(pid);
    }
    return now_ns() - start;
}

/* Sends back every byte until there are no more. */
static _Noreturn void echo_run(int in, int out)
{
    char byte;

    while (read(in, &byte, 1) == 1)
        if (write(out, &byte, 1) != 1)
            _exit(1);
    _exit(0);
}

/* A byte to another process and back: two switches between processes. */
static uint64_t pipe_run(uint64_t count)
{
    int there[2], back[2];
    uint64_t start;
    char byte = 0;
    pid_t pid;

    if (pipe(there) != 0 || pipe(back) != 0)
        bench_fail("pipe");
    pid = fork();
    if (pid == 0) {
        close(there[1]);
        close(back[0]);
        echo_run(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    start = now_ns();
    for (uint64_t n = 0; n < count; n++)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            bench_fail("a byte");
    start = now_ns() - start;
    close(there[1]);
    close(back[0]);
    child_wait(pid);
    return start;
}

#define FAULT_PAGES 128
#define PAGE_SIZE   4096

/* First touches of anonymous memory, in small pages; what gives it back is not timed. */
static uint64_t fault_run(uint64_t count)
{
    uint64_t took = 0;

    for (uint64_t n = 0; n < count; n++) {
        size_t size = (size_t)FAULT_PAGES * PAGE_SIZE;
        uint64_t start;
        char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
            bench_fail("mmap");
        madvise(at, size, MADV_NOHUGEPAGE);
        start = now_ns();
        for (size_t i = 0; i < size; i += PAGE_SIZE)
            ((volatile char *)at)[i] = 1;
        took += now_ns() - start;
        munmap(at, size);
    }
    return took;
}

#define LINE_BYTES 64

/* Lines of 64 bytes to the console, until the last byte is out. */
static uint64_t console_run(uint64_t count)
{
    char line[LINE_BYTES];
    uint64_t start;

    for (unsigned i = 0; i < LINE_BYTES - 1; i++)
        line[i] = '.';
    line[LINE_BYTES - 1] = '\n';
    start = now_ns();
    for (uint64_t n = 0; n < count; n++)
        if (write(STDOUT_FILENO, line, sizeof(line)) != LINE_BYTES)
            bench_fail("write");
    tcdrain(STDOUT_FILENO);
    return now_ns() - start;
}

const struct workload workloads_kernel[] = {
    {"getpid",    getpid_run,    1000, 1,           60},
    {"read",      read_run,      300,  1,           60},
    {"signal",    signal_run,    80,   1,           60},
    {"pipe",      pipe_run,      10,   1,           60},
    {"fork",      fork_run,      1,    1,           60},
    {"fork-exec", fork_exec_run, 1,    1,           60},
    {"fault",     fault_run,     1,    FAULT_PAGES, 60},
    {"console",   console_run,   16,   LINE_BYTES,  9 },
    {NULL,        NULL,          0,    0,           0 },
};
