/* regs.c: makes one call by the doorbell and judges its error and the registers after it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/abi/x86.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

/* Registers by their numbers in instructions. */
#define RAX   0
#define RCX   1
#define RDX   2
#define RSP   4
#define RSI   6
#define RDI   7
#define R8    8
#define R9    9
#define R10   10
#define R11   11
#define REGS  16
#define FLAGS 16

/* Interrupts are off, so these flags are all that could change. */
#define FLAGS_STATUS 0x8d5u

void regs_call(const uint64_t *before, uint64_t *after); /* regs.S */

/* Registers other than the results, as a mask of those that changed. */
static uint32_t regs_changed(const uint64_t *before, const uint64_t *after, bool legacy)
{
    uint32_t changed = 0;

    for (unsigned i = 0; i < REGS; i++) {
        if (i == RAX || i == RSP || (i == RDX && !legacy))
            continue;
        if (before[i] != after[i])
            changed |= 1u << i;
    }
    return changed;
}

struct sbi_ret attempt_make(const struct attempt *a)
{
    static const uint8_t args[] = {RDI, RSI, RCX, R8, R9, R10};
    bool legacy = a->ext <= SBI_EXT_LEGACY_SHUTDOWN;
    uint64_t before[REGS], after[REGS + 1] = {0};
    struct sbi_ret ret;
    uint32_t changed;

    print_flush();
    for (unsigned i = 0; i < REGS; i++)
        before[i] = 0xa5a5a5a500000000u + 0x1000001u * i;
    for (unsigned i = 0; i < 6; i++)
        before[args[i]] = a->arg[i];
    before[RAX] = a->ext;
    before[RDX] = TG_X86_PORT_CALL;
    before[R11] = a->fn;
    regs_call(before, after);
    ret = (struct sbi_ret){.error = (int64_t)after[RAX], .value = after[RDX]};
    changed = regs_changed(before, after, legacy);
    if (!error_in_set(ret.error, a->may))
        print("# returned %ld, value 0x%lx\n", ret.error, ret.value);
    if (changed)
        print("# changed registers: mask 0x%x\n", changed);
    tap_ok(error_in_set(ret.error, a->may) && !changed, "%s", a->name);
    return ret;
}
