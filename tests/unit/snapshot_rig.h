/* snapshot_rig.h: small guests in machines that are saved and loaded. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_UNIT_SNAPSHOT_RIG_H
#define TESTS_UNIT_SNAPSHOT_RIG_H

#include "tests/unit/machine.h"

#define RIG_RAM  (3u << 20)
#define RIG_CODE (PLAT_DRAM_BASE + 0x200000u) /* where a raw kernel is put */
#define RIG_DATA (RIG_CODE + 0x10000u)
#define CODE_MAX 128

/* A guest and what it needs. */
struct program {
    uint32_t code[CODE_MAX];
    unsigned n;
    unsigned nharts;
    enum start_kind start;
    const struct module *module; /* one more, or NULL */
    const char *input;
};

void emit(struct program *p, uint32_t word);
void emit_li(struct program *p, unsigned rd, uint32_t value);
/* An address that lies `offset` behind RIG_CODE. */
void emit_la(struct program *p, unsigned rd, int offset);
void emit_call(struct program *p, uint32_t ext, unsigned fn);
void emit_exit(struct program *p, unsigned status);
/* Back to the instruction at index `to` while a register is not zero. */
void emit_while(struct program *p, unsigned reg, unsigned to);
/* Increments a word `times` times, with room between the two halves of each. */
void emit_increments(struct program *p, unsigned times);

/* Increments words by reservations, the last one of memory, too, and ends with status 7. */
void program_reservations(struct program *p);
/*
 * Hart 0 starts hart 1, both increment, hart 1 raises a flag and stops itself, hart 0 ends with
 * status 9.
 */
void program_two_harts(struct program *p);

/* A machine with a program, in a mock host. */
struct rig {
    struct vm vm;
    struct vm_config config;
    struct mock_host mock;
    struct error err;
    char path[32];
    int fd;
};

/* rig_make makes a deterministic machine; the two others are its halves, for who changes
 * config. */
void rig_make(struct rig *rig, const struct program *p, uint64_t max_steps);
void rig_config(struct rig *rig, const struct program *p);
void rig_create(struct rig *rig, const struct program *p);
void rig_destroy(struct rig *rig);

/* Of all harts. */
uint64_t rig_steps(const struct rig *rig);

/* A state on the heap. */
struct blob {
    uint8_t *data;
    size_t size;
};

struct blob rig_save(struct rig *rig);
bool blob_equal(const struct blob *a, const struct blob *b);
/* Loads the first `size` bytes. 0 or -errno with rig->err set. */
int rig_load(struct rig *rig, const struct blob *blob, size_t size);

#endif
