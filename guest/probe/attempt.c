/* attempt.c: makes one SBI call and judges its error and the registers after it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include <stddef.h>
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

_Static_assert(offsetof(struct regs, after) == 256, "regs.S stores the registers here");
_Static_assert(offsetof(struct regs, sp) == 512, "regs.S stores sp here");

#define A0 10
#define A1 11
#define A6 16
#define A7 17

/* Implementation ID of OpenSBI (SBI 2.0, section 4.9). */
#define IMPL_OPENSBI 1

#define WAIT_LIMIT 100000000 /* 10 s */

uint64_t device_addr, memory_end;

static bool in_set(int64_t error, uint32_t set)
{
    if (error > 0)
        return error < 256 && (set & A_BYTE);
    return error > -31 && (set >> -error & 1);
}

/* Registers other than the results, as a mask of those that changed. */
static uint32_t regs_changed(const struct regs *regs, bool legacy)
{
    uint32_t changed = 0;

    for (unsigned i = 1; i < 32; i++) {
        if (i == A0 || (i == A1 && !legacy))
            continue;
        if (regs->before[i] != regs->after[i])
            changed |= 1u << i;
    }
    return changed;
}

static bool csrs_same(const uint64_t before[4])
{
    return csr_read(stvec) == before[0] && csr_read(sie) == before[1] &&
           csr_read(satp) == before[2] && csr_read(sstatus) == before[3];
}

struct sbi_ret attempt_make(const struct attempt *a)
{
    bool legacy = a->ext <= SBI_EXT_LEGACY_SHUTDOWN;
    uint64_t csrs[4] = {csr_read(stvec), csr_read(sie), csr_read(satp), csr_read(sstatus)};
    struct regs regs;
    struct sbi_ret ret;
    uint32_t changed;

    print_flush();
    for (unsigned i = 0; i < 32; i++)
        regs.before[i] = 0xa5a5a5a500000000u + 0x1000001u * i;
    for (unsigned i = 0; i < 6; i++)
        regs.before[A0 + i] = a->arg[i];
    regs.before[A6] = a->fn;
    regs.before[A7] = a->ext;
    regs_ecall(&regs);
    ret = (struct sbi_ret){.error = (int64_t)regs.after[A0], .value = regs.after[A1]};
    changed = regs_changed(&regs, legacy);
    if (!in_set(ret.error, a->may))
        print("# returned %ld, value 0x%lx\n", ret.error, ret.value);
    if (changed)
        print("# changed registers: mask 0x%x\n", changed);
    if (!csrs_same(csrs))
        print("# changed stvec, sie, satp or sstatus\n");
    tap_ok(in_set(ret.error, a->may) && !changed && csrs_same(csrs), "%s", a->name);
    return ret;
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

bool pending_wait(uint64_t bit)
{
    uint64_t start = time_now();

    while (!(csr_read(sip) & bit))
        if (time_now() - start > WAIT_LIMIT)
            return false;
    return true;
}
