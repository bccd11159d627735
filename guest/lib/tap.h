/* tap.h: results in the Test Anything Protocol, from the hart that booted. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_TAP_H
#define GUEST_LIB_TAP_H

#include <stdbool.h>

/* Prints the version line, which also marks where the guest's output begins. */
void tap_begin(void);

/* One test: "ok 3 - TEXT" or "not ok 3 - TEXT". Returns `passed`. */
bool tap_ok(bool passed, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One test that cannot be made here: "ok 3 - TEXT # SKIP WHY". */
void tap_skip(const char *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints the plan. 0 when all passed, else 1. */
int tap_end(void);

/* Prints the plan and ends the machine by the finisher: pass, or fail with status 1. */
_Noreturn void tap_leave(void);

#endif
