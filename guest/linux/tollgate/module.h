/* module.h: what the parts of the Linux module share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LINUX_TOLLGATE_MODULE_H
#define GUEST_LINUX_TOLLGATE_MODULE_H

#include <linux/types.h>
#include <asm/sbi.h>

/* Makes a call that takes no buffer. */
struct sbiret tollgate_call(unsigned long extension, unsigned long function,
                            const unsigned long arg[6]);

/*
 * The same with the LENGTH bytes at BUFFER in the arguments FIRST to FIRST + 2. BUFFER is of
 * kmalloc or of the page allocator: only these are contiguous in guest-physical memory.
 */
struct sbiret tollgate_call_buffer(unsigned long extension, unsigned long function,
                                   const unsigned long arg[6], unsigned int first,
                                   const void *buffer, size_t length);

/* A call of tg.base that takes nothing. */
struct sbiret tollgate_base(unsigned long function);

/* 0 or -errno for an answer: the host's own errno where the answer has one. */
int tollgate_errno(struct sbiret ret);

/* Is this call answered in this machine? */
bool tollgate_supports(unsigned long extension, unsigned long function);

/* Writes a text about the monitor, as reads of /dev/tollgate give it. How many bytes. */
size_t tollgate_describe(char *text, size_t size);

int tollgate_tty_init(bool console);
void tollgate_tty_exit(void);
int tollgate_dev_init(void);
void tollgate_dev_exit(void);

#endif
