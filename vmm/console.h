/* console.h: the user's end of the guest's consoles: terminal, escape keys, input queue. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/post.h"
#include "vmm/snapshot.h"

struct vm;
struct host;

#define CONSOLE_QUEUE 4096 /* bytes of input waiting for the guest */
#define CONSOLE_LINE  256  /* bytes of output gathered by console_putc */

/* How long console_putc may hold a byte back. */
#define CONSOLE_FLUSH_NS UINT64_C(5000000)
/* After the end of the input: how often Ctrl-D is sent while the guest has read everything. */
#define CONSOLE_EOF_NS UINT64_C(1000000000)
/* How long a guest may leave the queue full before its terminal is read for escape keys only.
 */
#define CONSOLE_FULL_NS UINT64_C(1000000000)

/*
 * Which of the guest's consoles receives what the user types. Output of all of them is shown.
 * CONSOLE_AUTO occurs in vm_config only: vm_create decides by what it loaded.
 */
enum console_input { CONSOLE_NONE, CONSOLE_VIRTIO, CONSOLE_SERIAL, CONSOLE_SBI, CONSOLE_AUTO };

/* One VM's console. */
struct console {
    struct vm *vm;
    struct host *host;
    enum console_input input;
    int in_fd, out_fd; /* in_fd -1: no input */

    pthread_mutex_t lock; /* order: after a claim's lock, before a hart's */
    uint8_t queue[CONSOLE_QUEUE];
    unsigned head, count;
    bool escapes;     /* Ctrl-A begins an escape: the input is a terminal */
    bool escape;      /* Ctrl-A was seen */
    bool eof;         /* the input ended */
    uint64_t eof_ns;  /* when Ctrl-D is due */
    uint64_t full_ns; /* when a full queue stops to hold the terminal back; 0: it is not full */
    post_fn *ready;
    void *ready_self;

    pthread_mutex_t out_lock; /* order: last */
    uint8_t out_buf[CONSOLE_LINE];
    unsigned out_len;
    uint64_t out_ns; /* when out_buf is due to be written */
    bool out_lazy;   /* the thread runs, so that somebody writes it in time */

    pthread_t thread;
    bool thread_started;
    int notify_fd;
    bool stopping;
};

int console_init(struct console *con, struct vm *vm, struct host *host,
                 enum console_input input, int in_fd, int out_fd);
/*
 * Starts the thread that reads in_fd and flushes console_putc: 0 or -errno. Stopping it, also
 * when it was never started, flushes the output. Stop it before the modules go.
 */
int console_start(struct console *con);
/*
 * Without a thread: who runs the VM calls console_poll. console_due: when input is next of use
 * to the guest, by the host's clock; UINT64_MAX: never, unless it reads. Output that is held
 * back does not count, since nothing of it can be told by the guest: it is written out.
 */
void console_start_polled(struct console *con);
uint64_t console_due(struct console *con);
void console_stop(struct console *con);
void console_destroy(struct console *con);

/*
 * Output of a guest. Writes all of it, in one system call where the host takes it; bytes that
 * the host refuses (closed pipe, full disk) are dropped, so that a guest never hangs on its
 * console. Any thread.
 */
void console_write(struct console *con, const void *buf, size_t len);

/*
 * The same for who tells the guest what became of it: writes to fd, or with -1 to the console's
 * own output. Returns how many bytes the host took; *error is 0 when it took all, else the
 * -errno of its refusal. What one call writes is never mixed with other output. Any thread.
 */
size_t console_send(struct console *con, int fd, const void *buf, size_t len, int *error);

/*
 * Output of devices and calls that take one byte at a time. Bytes are gathered up to a newline,
 * to CONSOLE_LINE, or for CONSOLE_FLUSH_NS, whatever comes first; without the thread nothing is
 * held back. The order among all output is kept. Any thread.
 */
void console_putc(struct console *con, uint8_t byte);

/* Takes up to len bytes of input; returns how many. `who` gets nothing unless it is the input.
 */
size_t console_read(struct console *con, enum console_input who, void *buf, size_t len);

/* How many bytes console_read would give `who` now. With one reader they stay there for it. */
size_t console_pending(struct console *con, enum console_input who);

/* The input that the guest has not read yet, for snapshots; output is written out first. */
void console_save(struct console *con, struct state_writer *w);
void console_load(struct console *con, struct state_reader *r);

/* Names the function that is posted when input arrives for `who` (one device a VM). */
void console_on_ready(struct console *con, enum console_input who, post_fn *fn, void *self);

/*
 * Bytes as they come from the user, escape keys included: Ctrl-A x ends the VM, Ctrl-A h prints
 * help, Ctrl-A Ctrl-A sends one Ctrl-A. Returns how many were taken (the queue may be full).
 * For the reading thread and for tests.
 */
size_t console_feed(struct console *con, const uint8_t *buf, size_t len);

/*
 * One round of the thread: waits for input, room, a deadline or the stop, and acts on it. False
 * when it was asked to stop. For tests, which bring a host whose wait is scripted.
 */
bool console_poll(struct console *con);

#endif
