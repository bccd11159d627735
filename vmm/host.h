/* host.h: the only door to the operating system. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_HOST_H
#define VMM_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "vmm/error.h"
#include "vmm/host_files.h"

/*
 * What the monitor asks of its host while a guest runs. Tests put a mock in its place: scripted
 * results, errors, short counts and a clock that they move.
 */
struct host {
    /* Monotonic time in ns. */
    uint64_t (*now_ns)(struct host *host);
    /* Time of the day: ns since 1970-01-01 UTC. May be set forth and back. */
    uint64_t (*wall_ns)(struct host *host);
    /* As read(2) and write(2), but errors are returned as -errno. EINTR is the caller's to
     * retry. */
    ssize_t (*read)(struct host *host, int fd, void *buf, size_t len);
    ssize_t (*write)(struct host *host, int fd, const void *buf, size_t len);
    /*
     * Waits until fd is readable (*ready) or notify is signalled or timeout_ms passed (-1: no
     * limit). fd -1 waits for the others only. An end of file or error makes fd ready, read
     * tells which. A signal to the thread ends the wait early, with *ready false. notify is not
     * drained. 0 or -errno.
     */
    int (*wait)(struct host *host, int fd, int notify, int timeout_ms, bool *ready);
    /* Bytes that nobody can guess; from the seed in a deterministic VM. 0, or -errno: then
     * there is no chance to be had, and what is in buf is none. */
    int (*random)(struct host *host, void *buf, size_t len);
    /*
     * How long the scheduler has made a thread wait for a processor while it could have run, in
     * ns. delay_open: a handle for the calling thread, or -errno: this host does not tell;
     * delay_read: its count so far, from any thread, 0 or -errno; delay_close: gives it up. All
     * NULL: the same as not telling.
     */
    int (*delay_open)(struct host *host);
    int (*delay_read)(struct host *host, int handle, uint64_t *ns);
    void (*delay_close)(struct host *host, int handle);
    /*
     * From signal_open on, a signal to the process no longer does what it did, but adds one to
     * an eventfd, which does not block: the descriptor, -EBUSY when somebody has it already,
     * -EINVAL for one that ends the process, is a fault's, or is used by the monitor itself.
     * signal_close undoes it. Both NULL: no signals here.
     */
    int (*signal_open)(struct host *host, int signo);
    void (*signal_close)(struct host *host, int signo);
    /* Files for guests; NULL: this host has none for them. */
    const struct host_file_ops *files;
};

/* The real host. */
struct host *host_real(void);

/*
 * A whole file in memory, read-only. It is a copy: a mapping would raise SIGBUS when somebody
 * truncates the file.
 */
struct host_file {
    const uint8_t *data;
    size_t size;
};

/*
 * Reads a regular file of at most `max` bytes. `what` names the option for the message
 * ("--kernel"). 0, or -errno with *err set (STATUS_NO_INPUT, or STATUS_DATA when empty or
 * larger).
 */
int host_file_open(struct host_file *file, const char *what, const char *path, uint64_t max,
                   struct error *err);
void host_file_close(struct host_file *file);

/* The first bytes of a regular file; how many there are, 0 when it cannot be read. */
size_t host_file_head(const char *path, void *buf, size_t len);

/*
 * Writes a whole file (mode 0666 less umask), replacing it; path "-" is standard output.
 * 0 or -errno with *err set (STATUS_CANT_CREATE).
 */
int host_file_write(const char *what, const char *path, const void *data, size_t size,
                    struct error *err);

/*
 * Opens a file (mode 0666 less umask) for output that goes on while the guest runs; what was in
 * it is gone. The descriptor, or -errno with *err set (STATUS_CANT_CREATE).
 */
int host_output_open(const char *what, const char *path, struct error *err);
void host_output_close(int fd);

/*
 * Writes bytes into a file that exists, in place. With size 0 it only tells whether that would
 * be allowed. 0 or -errno.
 */
int host_file_patch(const char *path, uint64_t offset, const void *data, size_t size);

/* Waits on cond (CLOCK_MONOTONIC) until signalled or deadline_ns; UINT64_MAX: no deadline. */
void host_cond_init(pthread_cond_t *cond);
void host_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);

/* Bytes of good randomness. */
void host_random(void *buf, size_t len);

/*
 * The processor's own count of time, which takes few ns to read; its rate is the reader's to
 * measure. Where there is none, ns.
 */
uint64_t host_cycles(void);

/* Processors that this process may use; and giving the calling thread's turn on one away. */
unsigned host_processors(void);
void host_yield(void);

/*
 * Ending another thread's system call by a signal that does nothing else. init is called
 * before, as often as one likes; 0 or -errno. self names the calling thread for kick, which
 * is async-signal-safe, and harmless when that thread has ended since.
 */
int host_thread_kick_init(void);
int host_thread_self(void);
void host_thread_kick(int thread);

/*
 * Kicks the calling thread at deadline_ns (CLOCK_MONOTONIC; not UINT64_MAX), and every
 * millisecond from then on, since the first kick may come before the system call that it is to
 * end. Until host_thread_alarm_end. 0 or -errno.
 */
int host_thread_alarm(uint64_t deadline_ns, timer_t *alarm);
void host_thread_alarm_end(timer_t alarm);

/* RAM of the host that is there at all, in bytes, to judge an absurd --mem. */
uint64_t host_memory_size(void);

/* The doors of host_real() for signals (host_signal.c). */
int host_signal_open(struct host *host, int signo);
void host_signal_close(struct host *host, int signo);

/*
 * Was the descriptor open when the monitor was started? Its own are closed on exec. *counter:
 * it is an eventfd, whose reads give a number and no bytes.
 */
bool host_fd_inherited(int fd, bool *counter);

/* Anonymous, zeroed, unreserved memory; huge pages are advised from 2 MiB on. NULL: no memory.
 */
void *host_map(uint64_t size);
void host_unmap(void *ptr, uint64_t size);

/*
 * Memory for machine code, zeroed, mapped twice: what is written through *write is executed
 * through *exec. Neither mapping is ever writable and executable. 0 or -errno.
 */
int host_code_map(uint64_t size, void **write, void **exec);
void host_code_unmap(void *write, void *exec, uint64_t size);

/*
 * The terminal. raw_enter puts standard input into raw mode when it is one; the mode is given
 * back by raw_leave, at exit, and by every fatal signal.
 */
bool host_terminal_is(int fd);
int host_terminal_raw_enter(void);
void host_terminal_raw_leave(void);

/*
 * Signals that ask the process to end (HUP, INT, TERM) call fn(arg, signo) on a thread of the
 * host layer, never in signal context; with the terminal raw, INT cannot come from the
 * keyboard.
 */
int host_signals_start(void (*fn)(void *arg, int signo), void *arg);

/*
 * Ends what host_signals_start began, on the thread that called it; fn is not called any more.
 * Threads made between the two inherit the blocked signals, so start comes before them.
 * One caller at a time: a second start is answered -EBUSY.
 */
void host_signals_stop(void);

#endif
