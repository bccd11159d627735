/* console.c: terminal in, terminal out: the thread, the escape keys, the queue, the writes. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vmm/host.h"
#include "vmm/vm.h"

#define CTRL_A 0x01
#define CTRL_D 0x04

static const char console_help[] = "\n"
                                   "Ctrl-A x       end the virtual machine\n"
                                   "Ctrl-A h       this help\n"
                                   "Ctrl-A Ctrl-A  send one Ctrl-A to the guest\n";

static uint64_t console_now(struct console *con)
{
    return con->host->now_ns(con->host);
}

/* Makes the thread look again at what it waits for. */
static void console_notify(struct console *con)
{
    /* Fails only when the counter is full, and then the thread wakes anyway. */
    (void)eventfd_write(con->notify_fd, 1);
}

/* Output. */

/* Writes until the host has it all or refuses; how many bytes it took. Under out_lock. */
static size_t output_write(struct console *con, int fd, const uint8_t *buf, size_t len,
                           int *error)
{
    FILE *copy = con->vm->config && fd == con->out_fd ? con->vm->config->console_copy : NULL;
    size_t done = 0;

    if (copy)
        fwrite(buf, 1, len, copy); /* what fails is found at the end: ferror() */
    *error = 0;
    while (done < len) {
        ssize_t n = con->host->write(con->host, fd, buf + done, len - done);
        if (n == -EINTR)
            continue;
        if (n == -EAGAIN && !atomic_load(&con->vm->stopping)) {
            /* Somebody made the descriptor non-blocking. The host has no wait for room. */
            bool ready;
            con->host->wait(con->host, -1, -1, 1, &ready);
            continue;
        }
        if (n <= 0) {
            *error = n < 0 ? (int)n : -EIO;
            break;
        }
        done += (size_t)n;
    }
    return done;
}

/* Under out_lock. */
static void output_flush(struct console *con)
{
    int error;

    output_write(con, con->out_fd, con->out_buf, con->out_len, &error);
    con->out_len = 0;
}

size_t console_send(struct console *con, int fd, const void *buf, size_t len, int *error)
{
    pthread_mutex_lock(&con->out_lock);
    if (fd < 0)
        output_flush(con);
    size_t done = output_write(con, fd < 0 ? con->out_fd : fd, buf, len, error);
    pthread_mutex_unlock(&con->out_lock);
    return done;
}

void console_write(struct console *con, const void *buf, size_t len)
{
    int error;

    (void)console_send(con, -1, buf, len, &error);
}

void console_putc(struct console *con, uint8_t byte)
{
    bool begun = false;

    pthread_mutex_lock(&con->out_lock);
    con->out_buf[con->out_len++] = byte;
    if (byte == '\n' || con->out_len == CONSOLE_LINE || !con->out_lazy) {
        output_flush(con);
    } else if (con->out_len == 1) {
        con->out_ns = console_now(con) + CONSOLE_FLUSH_NS;
        begun = true;
    }
    pthread_mutex_unlock(&con->out_lock);
    if (begun)
        console_notify(con);
}

/* Input: the queue. */

static void queue_push(struct console *con, uint8_t byte)
{
    con->queue[(con->head + con->count) % CONSOLE_QUEUE] = byte;
    con->count++;
}

size_t console_read(struct console *con, enum console_input who, void *buf, size_t len)
{
    uint8_t *to = buf;
    size_t n = 0;

    if (who == CONSOLE_NONE || who != con->input)
        return 0;
    pthread_mutex_lock(&con->lock);
    bool was_full = con->count == CONSOLE_QUEUE;
    while (n < len && con->count > 0) {
        to[n++] = con->queue[con->head];
        con->head = (con->head + 1) % CONSOLE_QUEUE;
        con->count--;
    }
    /* The thread waits for room, or after the end of the input for the last byte to be read. */
    bool wanted = n > 0 && (was_full || (con->eof && con->count == 0));
    pthread_mutex_unlock(&con->lock);
    if (wanted)
        console_notify(con);
    return n;
}

size_t console_pending(struct console *con, enum console_input who)
{
    if (who == CONSOLE_NONE || who != con->input)
        return 0;
    pthread_mutex_lock(&con->lock);
    size_t n = con->count;
    pthread_mutex_unlock(&con->lock);
    return n;
}

void console_save(struct console *con, struct state_writer *w)
{
    pthread_mutex_lock(&con->out_lock);
    output_flush(con);
    pthread_mutex_unlock(&con->out_lock);
    pthread_mutex_lock(&con->lock);
    state_put_u64(w, con->count);
    for (unsigned i = 0; i < con->count; i++)
        state_put(w, &con->queue[(con->head + i) % CONSOLE_QUEUE], 1);
    state_put_u64(w, con->eof);
    /* The host that goes on has another clock. What has passed may be "negative": modulo 2^64.
     */
    state_put_u64(w, con->eof ? con->eof_ns - console_now(con) : 0);
    pthread_mutex_unlock(&con->lock);
}

/* When Ctrl-D is due, from the time that is left; long past is now. */
static uint64_t eof_restore(uint64_t now, uint64_t left)
{
    if ((int64_t)left < 0 && 0 - left > now)
        return 0;
    return now + left;
}

void console_load(struct console *con, struct state_reader *r)
{
    pthread_mutex_lock(&con->lock);
    con->head = 0;
    con->count = (unsigned)state_get_max(r, CONSOLE_QUEUE);
    state_get(r, con->queue, con->count);
    con->eof = state_get_max(r, 1);
    con->eof_ns = eof_restore(console_now(con), state_get_u64(r));
    pthread_mutex_unlock(&con->lock);
}

void console_on_ready(struct console *con, enum console_input who, post_fn *fn, void *self)
{
    if (who != con->input)
        return;
    pthread_mutex_lock(&con->lock);
    con->ready = fn;
    con->ready_self = self;
    pthread_mutex_unlock(&con->lock);
}

/* Tells the device that there is input. Under no lock, as vm_post asks. */
static void console_post(struct console *con)
{
    pthread_mutex_lock(&con->lock);
    post_fn *fn = con->ready;
    void *self = con->ready_self;
    pthread_mutex_unlock(&con->lock);
    if (fn)
        vm_post(con->vm, fn, self, 0);
}

/* What a byte from the user asks for. */
enum key { KEY_NONE, KEY_BYTE, KEY_HELP, KEY_QUIT };

/* Takes escape keys out of the stream. Under lock. */
static enum key key_decode(struct console *con, uint8_t byte)
{
    if (!con->escapes)
        return KEY_BYTE;
    if (!con->escape) {
        con->escape = byte == CTRL_A;
        return con->escape ? KEY_NONE : KEY_BYTE;
    }
    con->escape = false;
    switch (byte) {
    case CTRL_A: return KEY_BYTE;
    case 'x': return KEY_QUIT;
    case 'h':
    case '?': return KEY_HELP;
    default: return KEY_NONE;
    }
}

/*
 * Queues bytes up to the first that asks for an action or does not fit; with `drop`, one that
 * does not fit is lost. Returns how many were taken, and the action in *key. Under lock.
 */
static size_t feed_some(struct console *con, const uint8_t *buf, size_t len, bool drop,
                        enum key *key)
{
    size_t n = 0;

    *key = KEY_NONE;
    while (n < len && *key != KEY_HELP && *key != KEY_QUIT) {
        bool escape = con->escape;
        bool full = con->count == CONSOLE_QUEUE;
        *key = key_decode(con, buf[n]);
        if (*key == KEY_BYTE && con->input != CONSOLE_NONE) {
            if (full && !drop) {
                con->escape = escape; /* it will come again */
                break;
            }
            if (!full)
                queue_push(con, buf[n]);
        }
        n++;
    }
    return n;
}

static size_t feed(struct console *con, const uint8_t *buf, size_t len, bool drop)
{
    size_t taken = 0;
    enum key key;

    do {
        pthread_mutex_lock(&con->lock);
        unsigned before = con->count;
        taken += feed_some(con, buf + taken, len - taken, drop, &key);
        bool more = con->count > before;
        pthread_mutex_unlock(&con->lock);
        if (more)
            console_post(con);
        if (key == KEY_HELP)
            console_write(con, console_help, sizeof(console_help) - 1);
        else if (key == KEY_QUIT)
            vm_stop(con->vm, CAUSE_QUIT, STATUS_OK, NULL, "Ctrl-A x");
    } while (taken < len && (key == KEY_HELP || key == KEY_QUIT));
    return taken;
}

size_t console_feed(struct console *con, const uint8_t *buf, size_t len)
{
    return feed(con, buf, len, false);
}

/* The thread. */

/* What a round waits for: a descriptor (-1: none) and a time (UINT64_MAX: none). */
struct console_wait {
    int fd;
    uint64_t until_ns;
};

/* The input's part of the wait. Under lock. */
static void wait_for_input(struct console *con, uint64_t now, struct console_wait *wait)
{
    bool full = con->count == CONSOLE_QUEUE;

    if (con->in_fd < 0 || (con->input == CONSOLE_NONE && !con->escapes))
        return;
    if (con->eof) {
        if (con->count == 0 && con->input != CONSOLE_NONE)
            wait->until_ns = con->eof_ns;
        return;
    }
    if (!full)
        con->full_ns = 0;
    else if (con->full_ns == 0)
        con->full_ns = now + CONSOLE_FULL_NS;
    /*
     * A full queue holds the writer of a pipe back for as long as it takes. The user of a
     * terminal must get out of a guest that does not read, so after a while the keys are looked
     * at anyway.
     */
    if (!full || (con->escapes && now >= con->full_ns))
        wait->fd = con->in_fd;
    else if (con->escapes)
        wait->until_ns = con->full_ns;
}

static struct console_wait console_plan(struct console *con, uint64_t now)
{
    struct console_wait wait = {.fd = -1, .until_ns = UINT64_MAX};

    pthread_mutex_lock(&con->lock);
    wait_for_input(con, now, &wait);
    pthread_mutex_unlock(&con->lock);
    pthread_mutex_lock(&con->out_lock);
    if (con->out_len > 0 && con->out_ns < wait.until_ns)
        wait.until_ns = con->out_ns;
    pthread_mutex_unlock(&con->out_lock);
    return wait;
}

/* Rounded up, so that a round never ends just before its deadline and spins. */
static int timeout_ms(uint64_t now, uint64_t until_ns)
{
    if (until_ns == UINT64_MAX)
        return -1;
    return until_ns <= now ? 0 : (int)((until_ns - now + 999999) / 1000000);
}

static void console_take_input(struct console *con)
{
    uint8_t buf[512];

    pthread_mutex_lock(&con->lock);
    size_t room = CONSOLE_QUEUE - con->count;
    pthread_mutex_unlock(&con->lock);
    /* No room is left only on a terminal: then what is no escape key is dropped. */
    size_t len = room > 0 && room < sizeof(buf) ? room : sizeof(buf);
    ssize_t n = con->host->read(con->host, con->in_fd, buf, len);
    if (n == -EINTR || n == -EAGAIN)
        return;
    if (n <= 0) {
        pthread_mutex_lock(&con->lock);
        con->eof = true;
        con->eof_ns = console_now(con);
        pthread_mutex_unlock(&con->lock);
        return;
    }
    feed(con, buf, (size_t)n, con->escapes);
}

/*
 * After the end of the input: Ctrl-D, which ends one reader in the guest, and again when the
 * guest has taken it, since the reader may have been a shell in a shell.
 */
static void console_send_eof(struct console *con)
{
    bool sent = false;
    uint64_t now = console_now(con);

    pthread_mutex_lock(&con->lock);
    if (con->eof && con->count == 0 && now >= con->eof_ns && con->input != CONSOLE_NONE) {
        queue_push(con, CTRL_D);
        con->eof_ns = now + CONSOLE_EOF_NS;
        sent = true;
    }
    pthread_mutex_unlock(&con->lock);
    if (sent)
        console_post(con);
}

static void console_flush_due(struct console *con)
{
    uint64_t now = console_now(con);

    pthread_mutex_lock(&con->out_lock);
    if (con->out_len > 0 && now >= con->out_ns)
        output_flush(con);
    pthread_mutex_unlock(&con->out_lock);
}

bool console_poll(struct console *con)
{
    uint64_t now = console_now(con);
    struct console_wait wait = console_plan(con, now);
    bool ready = false;
    eventfd_t drained;

    int rc = con->host->wait(con->host, wait.fd, con->notify_fd, timeout_ms(now, wait.until_ns),
                             &ready);
    (void)eventfd_read(con->notify_fd, &drained);
    pthread_mutex_lock(&con->lock);
    bool stopping = con->stopping;
    pthread_mutex_unlock(&con->lock);
    if (stopping)
        return false;
    console_flush_due(con);
    /* A descriptor that cannot be waited for (rc < 0) is read: the read says what is wrong. */
    if (wait.fd >= 0 && (ready || rc < 0))
        console_take_input(con);
    console_send_eof(con);
    return true;
}

static void *console_thread(void *arg)
{
    while (console_poll(arg))
        ;
    return NULL;
}

/* Life. */

int console_init(struct console *con, struct vm *vm, struct host *host,
                 enum console_input input, int in_fd, int out_fd)
{
    *con = (struct console){
        .vm = vm,
        .host = host,
        .input = input,
        .in_fd = in_fd,
        .out_fd = out_fd,
        .escapes = in_fd >= 0 && host_terminal_is(in_fd),
    };
    con->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (con->notify_fd < 0)
        return -errno;
    pthread_mutex_init(&con->lock, NULL);
    pthread_mutex_init(&con->out_lock, NULL);
    return 0;
}

static void console_set_lazy(struct console *con, bool lazy)
{
    pthread_mutex_lock(&con->out_lock);
    con->out_lazy = lazy;
    if (!lazy)
        output_flush(con);
    pthread_mutex_unlock(&con->out_lock);
}

int console_start(struct console *con)
{
    int rc = pthread_create(&con->thread, NULL, console_thread, con);
    if (rc != 0)
        return -rc;
    con->thread_started = true;
    console_set_lazy(con, true);
    return 0;
}

void console_start_polled(struct console *con)
{
    console_set_lazy(con, true);
}

uint64_t console_due(struct console *con)
{
    struct console_wait wait = {.fd = -1, .until_ns = UINT64_MAX};
    uint64_t now = console_now(con);

    pthread_mutex_lock(&con->out_lock);
    output_flush(con);
    pthread_mutex_unlock(&con->out_lock);
    pthread_mutex_lock(&con->lock);
    wait_for_input(con, now, &wait);
    pthread_mutex_unlock(&con->lock);
    return wait.fd >= 0 ? now : wait.until_ns;
}

void console_stop(struct console *con)
{
    console_set_lazy(con, false);
    if (!con->thread_started)
        return;
    pthread_mutex_lock(&con->lock);
    con->stopping = true;
    pthread_mutex_unlock(&con->lock);
    console_notify(con);
    pthread_join(con->thread, NULL);
    con->thread_started = false;
    con->stopping = false;
}

void console_destroy(struct console *con)
{
    console_stop(con);
    close(con->notify_fd);
    pthread_mutex_destroy(&con->lock);
    pthread_mutex_destroy(&con->out_lock);
}
