/* tg.h: Tollgate's own services for kernel guests: console, log, time, chance. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_TG_H
#define GUEST_LIB_TG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/tg.h"

/*
 * Each needs its service: sbi_present(TG_EXT_...) tells, and where it is absent nothing
 * happens. All may be called from any hart, from interrupt handlers, and before anything is set
 * up. Pointers are guest-physical: paging is off, or maps the memory to itself.
 */

/* Prints a string in one call; tg_write: bytes, all of them unless the host refuses some. */
void tg_print(const char *text);
size_t tg_write(const void *bytes, size_t len);

/* One line of the log, TG_LOG_*. */
void tg_log(unsigned level, const char *text);

/* Fills a buffer with random bytes. False when there are none to be had. */
bool tg_random(void *buf, size_t len);

/* The time page, or NULL. It stays where it is as long as the machine lives. */
const void *tg_time_page(void);

/* ns since the machine began: from the page without a crossing, or by a call where page is NULL
 * or says so. */
uint64_t tg_time(const void *page);

#endif
