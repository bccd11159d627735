/* snapshot.h: the whole machine as bytes: saved, loaded, hashed. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"

struct vm;

#define SNAPSHOT_VERSION   4u
#define SNAPSHOT_HASH_SIZE 32u /* bytes: BLAKE2b-256 */

/*
 * Where a state is written to. The first failure sticks in `error` (-errno) and is reported
 * once at the end, so that modules need not check each field. Numbers are little-endian.
 */
struct state_writer {
    void (*write)(struct state_writer *w, const void *data, size_t len);
    int error;
};

void state_put(struct state_writer *w, const void *data, size_t len);
void state_put_u64(struct state_writer *w, uint64_t value);

/* Where a state is read from. After a failure every read gives zeros. */
struct state_reader {
    const uint8_t *data;
    size_t len;
    int error;
};

void state_get(struct state_reader *r, void *data, size_t len);
uint64_t state_get_u64(struct state_reader *r);
/* As state_get_u64; a value above `max` is an error and gives 0. */
uint64_t state_get_max(struct state_reader *r, uint64_t max);

/*
 * Saves a VM whose harts are outside the guest: before vm_run, or after it returned (at the end
 * of a step budget, say). Loads one into a VM of the same configuration that has not run:
 * memory size, harts and modules must be those of the file. 0 or -errno with *err set; after a
 * failed load the VM must not run.
 */
int snapshot_save(struct vm *vm, const char *path, struct error *err);
int snapshot_load(struct vm *vm, const char *path, struct error *err);

/* The same without a file. The bytes that are saved are the caller's to free. */
int snapshot_save_bytes(struct vm *vm, uint8_t **data, size_t *size, struct error *err);
int snapshot_load_bytes(struct vm *vm, const uint8_t *data, size_t size, struct error *err);

/* The digest of what snapshot_save would write: equal machines have equal ones. 0 or -errno. */
int snapshot_hash(struct vm *vm, uint8_t hash[SNAPSHOT_HASH_SIZE]);

#endif
