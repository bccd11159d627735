/* events.h: what guests of the event service do alike on every architecture. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_EVENT_EVENTS_H
#define GUEST_EVENT_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/stubs.h"

#define MS   UINT64_C(1000000)
#define HOUR (UINT64_C(3600) * 1000 * MS)

/* The time of the clock service, in ns. */
uint64_t now_ns(void);
bool is(struct tg_ret r, int64_t error, uint64_t value);

/* Tests of timers, and of what is refused without a grant. */
void events_test_timers(void);
void events_test_refused(void);

/*
 * What the boot argument asks for instead, see main.c: true, and the guest's result. False: for
 * the tests.
 */
bool events_asked(const void *info, int *result);

#endif
