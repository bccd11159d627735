/* mock_host.h: a host that a test scripts: results, short counts, errors, a clock it moves. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_MOCK_HOST_H
#define TESTS_UNIT_MOCK_HOST_H

#include <pthread.h>
#include <stdint.h>
#include "vmm/host.h"

#define MOCK_STEPS_MAX 64
#define MOCK_OUT_MAX   65536
#define MOCK_WALL_NS   UINT64_C(1700000000123456789) /* time of the day, less now_ns */

/* What the next read or write gives: above 0 bytes, 0 end of file, below 0 -errno. */
struct mock_step {
    ssize_t result;
    const uint8_t *data; /* of a read */
};

/* Results in the order in which they are used up. */
struct mock_script {
    struct mock_step step[MOCK_STEPS_MAX];
    unsigned nsteps, next;
};

/*
 * A host, given to the code under test as &mock.host. Any thread may use it. When a script is
 * used up, reads give the end of file and writes take everything. wait: fd is ready while its
 * script lasts (without any, until the end of file was read once); then only `notify` is waited
 * for, really, so that a thread under test sleeps until it is stopped. A timeout passes at once
 * and moves the clock.
 */
struct mock_host {
    struct host host;
    pthread_mutex_t lock;
    uint64_t now_ns;
    uint8_t random;   /* the last byte that was given */
    int random_error; /* what random answers */
    struct mock_script reads, writes;
    uint8_t out[MOCK_OUT_MAX]; /* what was written and taken */
    size_t out_len;
    int out_fd;                       /* of the last write */
    unsigned nreads, nwrites, nwaits; /* calls */
};

void mock_host_init(struct mock_host *mock);
void mock_host_destroy(struct mock_host *mock);

/* Moves the clock forward. */
void mock_advance(struct mock_host *mock, uint64_t ns);

/* The next read gives text (in parts when the buffer is shorter), or result <= 0. */
void mock_read_text(struct mock_host *mock, const char *text);
void mock_read_result(struct mock_host *mock, ssize_t result);

/* The next write takes at most `result` bytes when it is above 0, or gives it. */
void mock_write_result(struct mock_host *mock, ssize_t result);

#endif
