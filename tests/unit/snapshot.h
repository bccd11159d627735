/* snapshot.h: states as bytes, for the tests that save and load. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_SNAPSHOT_H
#define TESTS_UNIT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/module.h"
#include "vmm/snapshot.h"

#define BYTES_MAX 65536

/* A writer into memory of its own. */
struct bytes {
    struct state_writer w; /* first: what the code under test is given */
    size_t len;
    uint8_t data[BYTES_MAX];
};

void bytes_init(struct bytes *b);

/* What an instance saves. */
void bytes_save(struct bytes *b, const struct module_instance *inst);

/* Loads the first `len` bytes; true when all of them were taken without an error. */
bool bytes_load(const struct bytes *b, size_t len, const struct module_instance *inst);

bool bytes_equal(const struct bytes *a, const struct bytes *b);

/* The parts of the suite `snapshot` that have files of their own: test_snapshot_*.c. */
struct CU_Suite;
void snapshot_module_tests(struct CU_Suite *suite);
void snapshot_file_tests(struct CU_Suite *suite);

#endif
