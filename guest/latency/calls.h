/* calls.h: crossings that are calls to the monitor, and the rows that they make. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LATENCY_CALLS_H
#define GUEST_LATENCY_CALLS_H

#include "guest/latency/latency.h"

#define CALLS_BATCH 32
#define CALLS_BLOCK 4096

/* --- an architecture's own --- */

/* n calls with the same arguments over and over. */
uint64_t calls_run(uint64_t n, uint64_t ext, uint64_t fn, uint64_t first, uint64_t second);
/* n calls that have no arguments: what a reply leaves in the registers may be passed again. */
uint64_t plain_run(uint64_t n, uint64_t ext, uint64_t fn);

/* --- calls.c --- */

/* Fills what the calls point to. */
void calls_init(void);

/* struct crossing has the contracts. */
uint64_t spec_version_run(uint64_t n);
uint64_t null_run(uint64_t n);
uint64_t byte_run(uint64_t n);
uint64_t block_run(uint64_t n);
uint64_t batch_one_run(uint64_t n);
uint64_t batch_null_run(uint64_t n);
uint64_t batch_write_run(uint64_t n);

const char *base_missing(void);
const char *null_missing(void);
const char *console_missing(void);
const char *block_missing(void);
const char *null_batch_missing(void);
const char *write_batch_missing(void);

#endif
