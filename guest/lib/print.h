/* print.h: text to and from the guest's console. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_PRINT_H
#define GUEST_LIB_PRINT_H

#include <stdarg.h>

/*
 * Chooses the way out: the debug console (DBCN), else the legacy call, else the UART of the
 * device tree, else nothing.
 */
void print_init(const void *dtb);

/*
 * printf with %s %c %% and %d %u %x, which `l` makes 64 bits wide. Lines go out as a whole, so
 * that those of several harts do not mix.
 */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void print_va(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* Sends what waits for the end of its line. */
void print_flush(void);

/* The next byte that the user typed, or -1: none now. */
int console_getchar(void);

#endif
