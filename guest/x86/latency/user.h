/* user.h: selectors and vectors of the probe's kernel for privilege 3, for C and assembly. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_X86_LATENCY_USER_H
#define GUEST_X86_LATENCY_USER_H

/*
 * The order is that of sysret and sysexit: user data and code 8 and 16 behind one base, code
 * and data 32 and 40 behind the kernel's code (Intel SDM, volume 2, SYSRET and SYSEXIT).
 */
#define KERNEL_CODE 0x10
#define KERNEL_DATA 0x18
#define USER_BASE   0x20
#define USER_DATA   0x2b
#define USER_CODE   0x33
#define TSS         0x40
#define GDT_ENTRIES 10

#define TSS_RSP0 4 /* offset of the kernel's stack */

#define VECTOR_UNDEFINED  6
#define VECTOR_PROTECTION 13
#define VECTOR_NULL       0x80

#define USER_FAILED UINT64_MAX

#ifndef __ASSEMBLER__

#include <stdint.h>

void user_init(void);
/* Ticks of n system calls; USER_FAILED when the processor does not know the instruction. */
uint64_t user_loop(void (*code)(void), uint64_t n);
uint64_t user_go(void (*code)(void), uint64_t n); /* user.S */
void user_leave(void), user_fail(void);
void user_on_int80(void), user_on_syscall(void), user_on_sysenter(void);
void user_int80(void), user_syscall(void), user_sysenter(void);

/* NULL, or why the way is not there: sysenter in 64-bit mode is Intel's, and a KVM that
 * emulates instructions may not know int. */
const char *int80_missing(void);
const char *sysenter_missing(void);
const char *syscall_missing(void);

#endif
#endif
