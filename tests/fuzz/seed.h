/* seed.h: well-formed inputs to begin with, since chance does not find a file's whole shape. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_SEED_H
#define TESTS_FUZZ_SEED_H

#include <stddef.h>
#include <stdint.h>

/* Makes an input of at most `max` bytes, another one for each state; 0: it does not fit. */
typedef size_t seed_fn(uint8_t *data, size_t max, uint64_t *state);

/* The next word of the sequence that `state` has come to. */
uint64_t seed_random(uint64_t *state);

/* An ELF file for RISC-V with segments, sections and a symbol; nearly always one that loads. */
seed_fn seed_elf;
/* A kernel: that ELF file or a Linux boot image, plain or packed with gzip, zstd or zboot. */
seed_fn seed_image;
/* A device tree blob. */
seed_fn seed_fdt;
/* Options of vmm/options.def, as a JSON object and as a command line for fuzz_cli.c. */
seed_fn seed_config;
seed_fn seed_cli;

/*
 * With FUZZ_SEEDS=FOLDER in the environment, writes inputs there, always the same ones. For
 * LLVMFuzzerInitialize; tests/fuzz/run.sh fills an empty corpus so.
 */
void seeds_write(seed_fn *make);

/* For LLVMFuzzerCustomMutator: libFuzzer's own mutation, and now and then a new seed. */
size_t seed_mutate(seed_fn *make, uint8_t *data, size_t size, size_t max, unsigned seed);

#endif
