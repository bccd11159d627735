/* fake.h: a host and an engine for harts without threads, which check what they are promised.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_FAKE_H
#define TESTS_FUZZ_FAKE_H

#include <stdint.h>
#include "vmm/engine.h"
#include "vmm/host.h"

/* It takes all output, its clock stands still, and others had its processor for a while. */
struct fake {
    struct host host; /* first */
    uint64_t delay;   /* ns that the harts' threads waited */
};

void fake_init(struct fake *fake);

/* Harts that never run. An interrupt is always pending, so that no suspended hart waits. */
extern const struct engine fake_engine;

#endif
