/* program.h: random programs, the same for the same seed. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_DIFF_PROGRAM_H
#define TESTS_DIFF_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/platform.h"

#define PROGRAM_WORDS         2000u /* crosses a page boundary */
#define PROGRAM_CODE          PLAT_DRAM_BASE
#define PROGRAM_HANDLER       (PLAT_DRAM_BASE + 0x8000)
#define PROGRAM_DATA          (PLAT_DRAM_BASE + 0x20800) /* offsets of 12 bits stay inside */
#define PROGRAM_BASE_REG      8u /* points at PROGRAM_DATA; no instruction writes it */
#define PROGRAM_CODE_REG      9u /* points at the code; likewise */
#define PROGRAM_HANDLER_WORDS 9u

void random_seed(uint64_t seed);
uint64_t random_next(void);
uint32_t random_below(uint32_t n);
/* A double, single or whatever, now and then one of those that have rules of their own. */
uint64_t random_float(void);

/*
 * Programs that need not be portable are of three kinds: wild ones have everything; plain ones
 * have little of what leads to the handler, and nothing that would keep them there; so have
 * those that are mostly of floating point.
 *
 * Makes the PROGRAM_WORDS words of a program; the last jumps to itself. portable: only with
 * what specifications define alike for every machine, so without most CSRs whose legal values
 * differ and without sc, which may fail at will; and with hints that have no row of their own
 * and many an access to the CSRs that open others to lower levels, and to those others. It
 * jumps forward only, so that nearly all of it is executed.
 */
void program_make(uint32_t *code, bool portable);

/*
 * Traps go on behind the word that trapped. Words are aligned, so halves are skipped together.
 * A counter's overflow is taken note of, else it would come again at once.
 */
extern const uint32_t program_handler[PROGRAM_HANDLER_WORDS];

#endif
