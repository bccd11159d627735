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

/* struct user_end, for user.S. */
#define END_TICKS   0
#define END_ARRIVED 8
#define END_ERROR   16
#define END_RIP     24
#define END_CS      32
#define END_RFLAGS  40
#define END_RSP     48
#define END_SS      56
#define END_VECTOR  64

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* How the code in privilege 3 ended: by an exception, which is ud2 behind its last call. */
struct user_end {
    uint64_t ticks;                          /* that its calls took */
    uint64_t arrived;                        /* calls that the kernel has seen */
    uint64_t error, rip, cs, flags, rsp, ss; /* what the processor put on the stack */
    uint64_t vector;
};

void user_init(void);

/* struct crossing has the contracts. A call that does not arrive, or comes back wrong, ends
 * the guest. */
uint64_t int80_run(uint64_t n);
uint64_t sysenter_run(uint64_t n);
uint64_t syscall_run(uint64_t n);

/*
 * NULL, or why a call by it does not arrive and come back: sysenter in 64-bit mode is Intel's,
 * and a KVM that emulates instructions may not know them.
 */
const char *int80_missing(void);
const char *sysenter_missing(void);
const char *syscall_missing(void);

/* --- user.S --- */

extern struct user_end user_end;
/* Runs code in privilege 3 until an exception; how it ended is in user_end. */
void user_go(void (*code)(void), uint64_t n);
/* Gates: what ends it. */
void user_undefined(void), user_protection(void);
/* Gates: an empty system call each, that counts itself. */
void user_on_int80(void), user_on_syscall(void), user_on_sysenter(void);
/* Code for privilege 3: n calls. */
void user_int80(void), user_syscall(void), user_sysenter(void);
extern char user_stack_top[], user_sysenter_stack[];

#endif
#endif
