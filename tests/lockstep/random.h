/* random.h: random programs as ELF files, the same for the same seed. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_LOCKSTEP_RANDOM_H
#define TESTS_LOCKSTEP_RANDOM_H

#include <stdint.h>

/* Writes the program of this seed; 2 when the file cannot be written, which is said. */
int random_write(uint64_t seed, const char *path);

#endif
