/* fake.h: a host and an engine for harts without threads, which check what they are promised.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_FAKE_H
#define TESTS_FUZZ_FAKE_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/host_files.h"

#define FAKE_NODES    10
#define FAKE_OPEN_MAX 80 /* more than a guest may open, so that its own limit is met */
#define FAKE_PATH     16
#define FAKE_SIZE     512 /* of a file; more does not fit */

struct fake_node {
    bool used;
    enum host_file_type type;
    char path[FAKE_PATH]; /* from the granted folder on; "" is that folder */
    size_t size;
    uint8_t data[FAKE_SIZE];
};

struct fake_open {
    bool used;
    struct fake_node *node;
    int64_t at;
    int flags;
};

struct fake_files {
    struct fake_node node[FAKE_NODES];
    struct fake_open open[FAKE_OPEN_MAX];
    unsigned opened, folders;
    unsigned turn; /* of failures and short counts */
};

/*
 * It takes all output, its clock stands still, and others had its processor for a while. Its
 * files are few, in memory, and fail now and then; folders of any name that begins with
 * "granted" are the same one, and "granted/f" is a file. What it says of a descriptor that is
 * not its own is that there was one event, one more, nothing, or an error, in turn.
 */
struct fake {
    struct host host; /* first */
    uint64_t delay;   /* ns that the harts' threads waited */
    struct fake_files files;
    _Atomic unsigned events;
};

void fake_init(struct fake *fake);

/* Files as they were in the beginning. Aborts when one is still open. */
void fake_files_reset(struct fake *fake);

extern const struct host_file_ops fake_file_ops;

/* Harts that never run. An interrupt is always pending, so that no suspended hart waits. */
extern const struct engine fake_engine;

#endif
