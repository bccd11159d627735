/* resume.h: what the files of this guest share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_RESUME_RESUME_H
#define GUEST_RESUME_RESUME_H

#include <stdint.h>

/* Spins with a pattern in the registers until *flag is not 0. How many of them have changed. */
uint64_t registers_keep(volatile uint64_t *flag);

/* Puts patterns into the registers of an AIA, where there is one; tests that they stayed. */
void aia_keep(const void *dtb);
void aia_check(void);

#endif
