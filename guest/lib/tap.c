/* tap.c: results in the Test Anything Protocol, from the hart that booted. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/tap.h"

#include "guest/lib/hart.h"
#include "guest/lib/print.h"

static struct {
    unsigned made, failed;
} tap;

void tap_begin(void)
{
    print("TAP version 13\n");
}

bool tap_ok(bool passed, const char *fmt, ...)
{
    va_list ap;

    tap.made++;
    tap.failed += !passed;
    print("%sok %u - ", passed ? "" : "not ", tap.made);
    va_start(ap, fmt);
    print_va(fmt, ap);
    va_end(ap);
    print("\n");
    return passed;
}

void tap_skip(const char *why, const char *fmt, ...)
{
    va_list ap;

    tap.made++;
    print("ok %u - ", tap.made);
    va_start(ap, fmt);
    print_va(fmt, ap);
    va_end(ap);
    print(" # SKIP %s\n", why);
}

int tap_end(void)
{
    print("1..%u\n", tap.made);
    return tap.failed ? 1 : 0;
}

_Noreturn void tap_leave(void)
{
    if (tap_end())
        system_fail(1);
    system_pass();
}
