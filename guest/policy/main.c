/* main.c: a guest that finds out what the policy of tests/guest/policy.sh lets it do (TAP). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include "guest/lib/hart.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"

#define NOBODYS_EXT 0x0a000000 /* in the firmware-specific range; no module answers it */

static int64_t base(uint64_t fn, uint64_t arg)
{
    return sbi_call(SBI_EXT_BASE, fn, arg, 0, 0).error;
}

/* By a range of an argument: extensions 0x20 to 0x2f may not be asked for. */
static void ranges_probe(void)
{
    tap_ok(base(SBI_BASE_PROBE_EXTENSION, 0x1f) == SBI_SUCCESS, "below the range");
    tap_ok(base(SBI_BASE_PROBE_EXTENSION, 0x20) == SBI_ERR_DENIED, "its first value");
    tap_ok(base(SBI_BASE_PROBE_EXTENSION, 0x2f) == SBI_ERR_DENIED, "its last value");
    tap_ok(base(SBI_BASE_PROBE_EXTENSION, 0x30) == SBI_SUCCESS, "above the range");
}

static void numbers_probe(void)
{
    tap_ok(sbi_call(NOBODYS_EXT, 1, 0, 0, 0).error == SBI_ERR_DENIED, "a number is denied");
    tap_ok(sbi_call(NOBODYS_EXT, 2, 0, 0, 0).error == SBI_ERR_NOT_SUPPORTED,
           "the next one is what it was");
    tap_ok(sbi_call(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, NOBODYS_EXT, 0, 0).value == 0,
           "a rule makes no extension");
}

/* One a second and three at once: the fourth is too soon. */
static void rate_probe(void)
{
    struct sbi_ret ret;

    for (unsigned i = 0; i < 3; i++)
        tap_ok(base(SBI_BASE_GET_MARCHID, 0) == SBI_SUCCESS, "within the burst");
    ret = sbi_call(SBI_EXT_BASE, SBI_BASE_GET_MARCHID, 0, 0, 0);
    tap_ok(ret.error == SBI_ERR_TIMEOUT, "beyond the burst");
    tap_ok(ret.value > 900000000 && ret.value <= 1000000000, "how long to wait");
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    tap_ok(base(SBI_BASE_GET_SPEC_VERSION, 0) == SBI_SUCCESS, "what is allowed");
    tap_ok(base(SBI_BASE_GET_MVENDORID, 0) == SBI_ERR_DENIED, "what is denied");
    tap_ok(base(SBI_BASE_GET_MIMPID, 0) == SBI_SUCCESS, "what is only told about");
    ranges_probe();
    numbers_probe();
    rate_probe();
    return tap_end();
}
