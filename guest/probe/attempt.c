/* attempt.c: calls, facts, and those that are skipped. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/tap.h"

/* Implementation ID of OpenSBI (SBI 2.0, section 4.9). */
#define IMPL_OPENSBI 1

uint64_t device_addr, memory_end;

bool error_in_set(int64_t error, uint32_t set)
{
    if (error > 0)
        return error < 256 && (set & A_BYTE);
    return error > -31 && (set >> -error & 1);
}

void attempts_make(const struct attempt *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        attempt_make(&list[i]);
}

static bool skipped_on_opensbi(const char *name)
{
    if (sbi_call(SBI_EXT_BASE, SBI_BASE_GET_IMPL_ID, 0, 0, 0).value != IMPL_OPENSBI)
        return false;
    tap_skip("this firmware does not check it", "%s", name);
    return true;
}

struct sbi_ret attempt_risky(const struct attempt *a)
{
    return skipped_on_opensbi(a->name) ? (struct sbi_ret){0} : attempt_make(a);
}

bool extension_begin(const char *name, uint64_t ext)
{
    bool present = sbi_present(ext);
    struct sbi_ret ret;

    if (present) {
        tap_ok(true, "%s: is there", name);
        return true;
    }
    ret = sbi_call(ext, 0, 0, 0, 0);
    tap_ok(ret.error == SBI_ERR_NOT_SUPPORTED, "%s: is absent, and answers so", name);
    return false;
}

/* Is what the facts are about absent? */
static struct {
    bool extension, function;
} absent;

bool optional_begin(const char *name, uint64_t ext)
{
    absent.extension = !sbi_present(ext);
    absent.function = false;
    tap_ok(!absent.extension || sbi_call(ext, 0, 0, 0, 0).error == SBI_ERR_NOT_SUPPORTED,
           "%s: is there, or is absent and answers so", name);
    return !absent.extension;
}

bool optional_function(bool there)
{
    absent.function = !there;
    return there && !absent.extension;
}

void optional_end(void)
{
    absent.extension = absent.function = false;
}

static bool fact_skipped(const char *name)
{
    if (!absent.extension && !absent.function)
        return false;
    tap_skip("this firmware does not have it", "%s", name);
    return true;
}

bool fact(bool holds, const char *name)
{
    return fact_skipped(name) || tap_ok(holds, "%s", name);
}

bool fact_strict(bool holds, const char *name)
{
    return fact_skipped(name) || skipped_on_opensbi(name) || tap_ok(holds, "%s", name);
}

struct sbi_ret fact_call(const struct attempt *a)
{
    return fact_skipped(a->name) ? (struct sbi_ret){.error = SBI_ERR_NOT_SUPPORTED}
                                 : attempt_make(a);
}

void fact_calls(const struct attempt *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        fact_call(&list[i]);
}

struct sbi_ret fact_risky(const struct attempt *a)
{
    return fact_skipped(a->name) ? (struct sbi_ret){.error = SBI_ERR_NOT_SUPPORTED}
                                 : attempt_risky(a);
}
