/* resume.h: what the files of this guest share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_X86_RESUME_RESUME_H
#define GUEST_X86_RESUME_RESUME_H

#define TRAMPOLINE 0x8000 /* where harts begin that get SIPI: a page below 1 MiB */
#define STACK_SIZE 4096
#define OTHERS_MAX 8 /* harts with a stack */
#define LOCAL_APIC 0xfee00000
#define APIC_ID    0x20

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Spins with a pattern in the registers until *flag is not 0. How many of them have changed. */
uint64_t registers_keep(volatile uint64_t *flag);

/* Patterns in the SSE registers; how many have changed. */
void vectors_fill(void);
uint64_t vectors_differ(void);

/* What a hart runs from TRAMPOLINE on, and where that leads: on a stack of its own. */
extern const char trampoline[], trampoline_end[];
_Noreturn void other_begin(uint64_t id);
#endif

#endif
