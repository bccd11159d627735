/* host.c: the real host: time, files, memory, randomness. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "vmm/exit.h"

#define NS_PER_S  1000000000u
#define HUGE_PAGE (UINT64_C(2) << 20)

/* A kick that came too early is made up for so much later. */
#define ALARM_PERIOD_NS 1000000

static uint64_t real_now_ns(struct host *host)
{
    (void)host;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t real_wall_ns(struct host *host)
{
    (void)host;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static ssize_t real_read(struct host *host, int fd, void *buf, size_t len)
{
    (void)host;
    ssize_t n = read(fd, buf, len);
    return n < 0 ? -errno : n;
}

static ssize_t real_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    ssize_t n = write(fd, buf, len);
    return n < 0 ? -errno : n;
}

HOT_WAY uint64_t host_cycles(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__riscv)
    uint64_t ticks;
    __asm__ volatile("rdtime %0" : "=r"(ticks));
    return ticks;
#else
    return real_now_ns(NULL);
#endif
}

static int real_wait(struct host *host, int fd, int notify, int timeout_ms, bool *ready)
{
    (void)host;
    *ready = false;
    struct pollfd fds[2] = {
        {.fd = fd,     .events = POLLIN},
        {.fd = notify, .events = POLLIN}
    };
    if (poll(fds, 2, timeout_ms) < 0)
        return errno == EINTR ? 0 : -errno;
    if ((fds[0].revents | fds[1].revents) & POLLNVAL)
        return -EBADF;
    *ready = fds[0].revents != 0;
    return 0;
}

unsigned host_processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

void host_yield(void)
{
    sched_yield();
}

static int real_random(struct host *host, void *buf, size_t len)
{
    (void)host;
    host_random(buf, len);
    return 0;
}

/* Linux, Documentation/scheduler/sched-stats.rst: time on the processor, time that the thread
 * waited for one while it was runnable (both in ns), timeslices. */
static int real_delay_open(struct host *host)
{
    (void)host;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int real_delay_read(struct host *host, int handle, uint64_t *ns)
{
    (void)host;
    char text[96], *end;
    ssize_t n = pread(handle, text, sizeof(text) - 1, 0);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    strtoull(text, &end, 10);
    if (*end != ' ')
        return -EIO;
    *ns = strtoull(end, &end, 10);
    return *end == ' ' ? 0 : -EIO;
}

static void real_delay_close(struct host *host, int handle)
{
    (void)host;
    close(handle);
}

struct host *host_real(void)
{
    static struct host host = {
        .now_ns = real_now_ns,
        .wall_ns = real_wall_ns,
        .read = real_read,
        .write = real_write,
        .wait = real_wait,
        .random = real_random,
        .delay_open = real_delay_open,
        .delay_read = real_delay_read,
        .delay_close = real_delay_close,
        .signal_open = host_signal_open,
        .signal_close = host_signal_close,
        .files = &host_files_real,
    };
    return &host;
}

/* What a file is that is not a regular one. */
static const char *mode_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "a directory";
    case S_IFIFO: return "a pipe";
    case S_IFSOCK: return "a socket";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    default: return "not a regular file";
    }
}

static int file_check(const struct stat *st, const char *what, const char *path, uint64_t max,
                      struct error *err)
{
    if (!S_ISREG(st->st_mode)) {
        error_set(err, STATUS_NO_INPUT, "%s: '%s' is %s; give a regular file", what, path,
                  mode_name(st->st_mode));
        return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
    }
    if (st->st_size <= 0) {
        error_set(err, STATUS_DATA,
                  "%s: '%s' is empty; give a file that was written completely", what, path);
        return -ENODATA;
    }
    uint64_t size = (uint64_t)st->st_size;
    if (size > max) {
        error_set(err, STATUS_DATA,
                  "%s: '%s' is too large: %" PRIu64 " bytes, at most %" PRIu64 " are taken",
                  what, path, size, max);
        return -EFBIG;
    }
    return 0;
}

static int open_error(const char *what, const char *path, int error, struct error *err)
{
    error_set(err, STATUS_NO_INPUT, "%s: cannot open '%s': %s", what, path, strerror(error));
    return -error;
}

/* Opens and checks; the descriptor, or -errno with *err set. */
static int file_open(const char *what, const char *path, uint64_t max, struct stat *st,
                     struct error *err)
{
    /* Looked at before it is opened, since opening a device or a pipe has effects of its own.
     */
    if (stat(path, st) < 0)
        return open_error(what, path, errno, err);
    int r = file_check(st, what, path, max, err);
    if (r < 0)
        return r;
    /* O_NONBLOCK: should a pipe have taken its place meanwhile, open does not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return open_error(what, path, errno, err);
    if (fstat(fd, st) < 0)
        r = open_error(what, path, errno, err);
    else
        r = file_check(st, what, path, max, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* Reads exactly size bytes: 0, -ENODATA when the file ends before, or -errno. */
static int read_all(int fd, uint8_t *buf, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, buf + done, size - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ENODATA;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

int host_file_open(struct host_file *file, const char *what, const char *path, uint64_t max,
                   struct error *err)
{
    struct stat st;
    int fd = file_open(what, path, max, &st, err);
    if (fd < 0)
        return fd;
    size_t size = (size_t)st.st_size;
    uint8_t *data = host_map(size);
    int r = data ? read_all(fd, data, size) : -ENOMEM;
    close(fd);
    if (r < 0) {
        error_set(err, r == -ENOMEM ? STATUS_OS : STATUS_NO_INPUT, "%s: cannot read '%s': %s",
                  what, path, r == -ENODATA ? "it became shorter meanwhile" : strerror(-r));
        if (data)
            host_unmap(data, size);
        return r;
    }
    mprotect(data, size, PROT_READ);
    *file = (struct host_file){.data = data, .size = size};
    return 0;
}

void host_file_close(struct host_file *file)
{
    if (file->data)
        host_unmap((void *)(uintptr_t)file->data, file->size);
    *file = (struct host_file){0};
}

size_t host_file_head(const char *path, void *buf, size_t len)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not be waited for */
    ssize_t n = -1;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = pread(fd, buf, len, 0);
    close(fd);
    return n > 0 ? (size_t)n : 0;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, data + done, size - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

int host_file_write(const char *what, const char *path, const void *data, size_t size,
                    struct error *err)
{
    bool is_stdout = strcmp(path, "-") == 0;
    int fd = is_stdout ? STDOUT_FILENO
                       : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    int r = fd < 0 ? -errno : write_all(fd, data, size);
    /* Network file systems report a full disk at close. */
    if (fd >= 0 && !is_stdout && close(fd) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        error_set(err, STATUS_CANT_CREATE, "%s: cannot write %s%s%s: %s", what,
                  is_stdout ? "" : "'", is_stdout ? "standard output" : path,
                  is_stdout ? "" : "'", strerror(-r));
    return r;
}

int host_output_open(const char *what, const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    int r = fd < 0 ? -errno : fd;

    if (r < 0)
        error_set(err, STATUS_CANT_CREATE, "%s: cannot write '%s': %s", what, path,
                  strerror(-r));
    return r;
}

void host_output_close(int fd)
{
    close(fd);
}

int host_file_patch(const char *path, uint64_t offset, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int r = fd < 0 ? -errno : 0;

    if (r == 0 && size > 0 && lseek(fd, (off_t)offset, SEEK_SET) < 0)
        r = -errno;
    if (r == 0)
        r = write_all(fd, data, size);
    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

void host_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void host_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        pthread_cond_wait(cond, lock);
        return;
    }
    struct timespec ts = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S),
        .tv_nsec = (long)(deadline_ns % NS_PER_S),
    };
    pthread_cond_timedwait(cond, lock, &ts);
}

void host_random(void *buf, size_t len)
{
    uint8_t *to = buf;
    while (len > 0) {
        ssize_t n = getrandom(to, len, 0);
        if (n < 0 && errno != EINTR)
            abort(); /* no Linux since 3.17 refuses; seeds that are not random would be worse */
        if (n > 0) {
            to += n;
            len -= (size_t)n;
        }
    }
}

/*
 * Of the signals that mean nothing by themselves. None of real time: the host refuses to send
 * those when the user's limit of queued signals (RLIMIT_SIGPENDING) is reached, and a kick
 * that is lost leaves a hart in the guest.
 */
#define KICK_SIGNAL SIGURG

static void kick_handler(int signo)
{
    (void)signo;
}

int host_thread_kick_init(void)
{
    struct sigaction action = {.sa_handler = kick_handler, .sa_flags = SA_RESTART};

    sigemptyset(&action.sa_mask);
    return sigaction(KICK_SIGNAL, &action, NULL) < 0 ? -errno : 0;
}

int host_thread_self(void)
{
    return (int)syscall(SYS_gettid);
}

void host_thread_kick(int thread)
{
    int error = errno; /* a signal handler may kick */

    syscall(SYS_tgkill, getpid(), thread, KICK_SIGNAL);
    errno = error;
}

int host_thread_alarm(uint64_t deadline_ns, timer_t *alarm)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = KICK_SIGNAL};
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                     .tv_nsec = (long)(deadline_ns % NS_PER_S)},
        .it_interval = {.tv_nsec = ALARM_PERIOD_NS                                         },
    };

    if (deadline_ns == 0)
        when.it_value.tv_nsec = 1; /* 0 would switch it off */
    event._sigev_un._tid = host_thread_self();
    if (timer_create(CLOCK_MONOTONIC, &event, alarm) < 0)
        return -errno;
    timer_settime(*alarm, TIMER_ABSTIME, &when, NULL);
    return 0;
}

void host_thread_alarm_end(timer_t alarm)
{
    timer_delete(alarm);
}

uint64_t host_memory_size(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static uint64_t page_round(uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) & ~(page - 1);
}

static uint8_t *map_anonymous(uint64_t size)
{
    void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return ptr == MAP_FAILED ? NULL : ptr;
}

void *host_map(uint64_t size)
{
    if (size == 0 || size > SSIZE_MAX - HUGE_PAGE)
        return NULL;
    if (size < HUGE_PAGE)
        return map_anonymous(size);
    /* The kernel places huge pages at their own alignment only: map more, give the ends back.
     */
    size = page_round(size);
    uint8_t *ptr = map_anonymous(size + HUGE_PAGE);
    if (!ptr)
        return NULL;
    uint64_t head = -(uintptr_t)ptr & (HUGE_PAGE - 1);
    if (head > 0)
        munmap(ptr, head);
    munmap(ptr + head + size, HUGE_PAGE - head);
    madvise(ptr + head, size, MADV_HUGEPAGE);
    return ptr + head;
}

void host_unmap(void *ptr, uint64_t size)
{
    munmap(ptr, page_round(size));
}

int host_code_map(uint64_t size, void **write, void **exec)
{
    int fd = memfd_create("tollgate-code", MFD_CLOEXEC);
    int rc = 0;

    *write = *exec = MAP_FAILED;
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) == 0)
        *write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*write != MAP_FAILED)
        *exec = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (*exec == MAP_FAILED) {
        rc = -errno;
        if (*write != MAP_FAILED)
            munmap(*write, size);
    }
    close(fd);
    return rc;
}

void host_code_unmap(void *write, void *exec, uint64_t size)
{
    munmap(exec, size);
    munmap(write, size);
}
