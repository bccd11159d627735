/* regs.c: makes one SBI call and judges its error and the registers after it. */
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

#define WAIT_LIMIT 100000000 /* 10 s */

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
    if (!error_in_set(ret.error, a->may))
        print("# returned %ld, value 0x%lx\n", ret.error, ret.value);
    if (changed)
        print("# changed registers: mask 0x%x\n", changed);
    if (!csrs_same(csrs))
        print("# changed stvec, sie, satp or sstatus\n");
    tap_ok(error_in_set(ret.error, a->may) && !changed && csrs_same(csrs), "%s", a->name);
    return ret;
}

bool pending_wait(uint64_t bit)
{
    uint64_t start = time_now();

    while (!(csr_read(sip) & bit))
        if (time_now() - start > WAIT_LIMIT)
            return false;
    return true;
}
