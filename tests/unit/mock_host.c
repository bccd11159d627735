/* mock_host.c: a host that a test scripts. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mock_host.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct mock_host *mock_of(struct host *host)
{
    return (struct mock_host *)((char *)host - offsetof(struct mock_host, host));
}

/* A script that is too long is a mistake in the test. */
static struct mock_step *script_add(struct mock_script *script, ssize_t result)
{
    if (script->nsteps == MOCK_STEPS_MAX)
        abort();
    struct mock_step *step = &script->step[script->nsteps++];
    *step = (struct mock_step){.result = result};
    return step;
}

static struct mock_step *script_current(struct mock_script *script)
{
    return script->next < script->nsteps ? &script->step[script->next] : NULL;
}

static uint64_t mock_now_ns(struct host *host)
{
    struct mock_host *mock = mock_of(host);
    pthread_mutex_lock(&mock->lock);
    uint64_t now = mock->now_ns;
    pthread_mutex_unlock(&mock->lock);
    return now;
}

static uint64_t mock_wall_ns(struct host *host)
{
    return MOCK_WALL_NS + mock_now_ns(host);
}

static ssize_t read_step(struct mock_host *mock, void *buf, size_t len)
{
    struct mock_step *step = script_current(&mock->reads);
    mock->nreads++;
    if (!step)
        return 0;
    if (step->result <= 0) {
        mock->reads.next++;
        return step->result;
    }
    size_t n = (size_t)step->result < len ? (size_t)step->result : len;
    memcpy(buf, step->data, n);
    step->data += n;
    step->result -= (ssize_t)n;
    if (step->result == 0)
        mock->reads.next++;
    return (ssize_t)n;
}

static ssize_t mock_read(struct host *host, int fd, void *buf, size_t len)
{
    (void)fd;
    struct mock_host *mock = mock_of(host);
    pthread_mutex_lock(&mock->lock);
    ssize_t n = read_step(mock, buf, len);
    pthread_mutex_unlock(&mock->lock);
    return n;
}

static ssize_t write_step(struct mock_host *mock, const void *buf, size_t len)
{
    const struct mock_step *step = script_current(&mock->writes);
    mock->nwrites++;
    if (step) {
        mock->writes.next++;
        if (step->result <= 0)
            return step->result;
        if (len > (size_t)step->result)
            len = (size_t)step->result;
    }
    size_t room = MOCK_OUT_MAX - mock->out_len;
    if (len > room)
        abort();
    memcpy(mock->out + mock->out_len, buf, len);
    mock->out_len += len;
    return (ssize_t)len;
}

static ssize_t mock_write(struct host *host, int fd, const void *buf, size_t len)
{
    struct mock_host *mock = mock_of(host);
    pthread_mutex_lock(&mock->lock);
    mock->out_fd = fd;
    ssize_t n = write_step(mock, buf, len);
    pthread_mutex_unlock(&mock->lock);
    return n;
}

static int mock_wait(struct host *host, int fd, int notify, int timeout_ms, bool *ready)
{
    struct mock_host *mock = mock_of(host);
    pthread_mutex_lock(&mock->lock);
    mock->nwaits++;
    /* The end of file is ready once; reading it again and again would be the caller's fault. */
    bool eof_unread = mock->reads.nsteps == 0 && mock->nreads == 0;
    *ready = fd >= 0 && (script_current(&mock->reads) || eof_unread);
    bool timed = !*ready && timeout_ms >= 0;
    if (timed)
        mock->now_ns += (uint64_t)timeout_ms * 1000000u;
    pthread_mutex_unlock(&mock->lock);
    if (*ready || timed || notify < 0)
        return 0;
    struct pollfd fds = {.fd = notify, .events = POLLIN};
    return poll(&fds, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* Countable, so that a test can tell what came from here. */
static int mock_random(struct host *host, void *buf, size_t len)
{
    struct mock_host *mock = mock_of(host);

    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = ++mock->random;
    return mock->random_error;
}

void mock_host_init(struct mock_host *mock)
{
    memset(mock, 0, sizeof(*mock));
    mock->host = (struct host){
        .now_ns = mock_now_ns,
        .wall_ns = mock_wall_ns,
        .read = mock_read,
        .write = mock_write,
        .wait = mock_wait,
        .random = mock_random,
        .files = &host_files_real,
    };
    pthread_mutex_init(&mock->lock, NULL);
    mock->now_ns = 1000000000u; /* host clocks do not start at 0 either */
}

void mock_host_destroy(struct mock_host *mock)
{
    pthread_mutex_destroy(&mock->lock);
}

void mock_advance(struct mock_host *mock, uint64_t ns)
{
    pthread_mutex_lock(&mock->lock);
    mock->now_ns += ns;
    pthread_mutex_unlock(&mock->lock);
}

void mock_read_text(struct mock_host *mock, const char *text)
{
    pthread_mutex_lock(&mock->lock);
    script_add(&mock->reads, (ssize_t)strlen(text))->data = (const uint8_t *)text;
    pthread_mutex_unlock(&mock->lock);
}

void mock_read_result(struct mock_host *mock, ssize_t result)
{
    pthread_mutex_lock(&mock->lock);
    script_add(&mock->reads, result);
    pthread_mutex_unlock(&mock->lock);
}

void mock_write_result(struct mock_host *mock, ssize_t result)
{
    pthread_mutex_lock(&mock->lock);
    script_add(&mock->writes, result);
    pthread_mutex_unlock(&mock->lock);
}
