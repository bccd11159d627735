/* legacy.c: the legacy calls (SBI 2.0, section 5). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define JUNK 0xdeadbeefcafef00d

static uint64_t mask_call(uint64_t ext, uint64_t mask)
{
    return (uint64_t)sbi_call(ext, 0, mask, 0, 0x1000).error;
}

/*
 * The masks of legacy calls lie in memory, at a virtual address. What follows from a bad one is
 * not said: an error, or a fault in the caller, but never the end of the machine.
 */
static void legacy_masks(void)
{
    uint64_t mask = 1ul << hart_id(0);
    const struct attempt list[] = {
        {"legacy: send IPI",                     OK, SBI_EXT_LEGACY_SEND_IPI,               0, {(uintptr_t)&mask}            },
        {"legacy: remote fence.i",               OK, SBI_EXT_LEGACY_REMOTE_FENCE_I,         0, {(uintptr_t)&mask}            },
        {"legacy: remote sfence.vma",
         OK,                                         SBI_EXT_LEGACY_REMOTE_SFENCE_VMA,
         0,                                                                                    {(uintptr_t)&mask, 0, 4096}   },
        {"legacy: remote sfence.vma of an ASID",
         OK,                                         SBI_EXT_LEGACY_REMOTE_SFENCE_VMA_ASID,
         0,                                                                                    {(uintptr_t)&mask, 0, 4096, 3}},
        {"legacy: remote fence.i on all",        OK, SBI_EXT_LEGACY_REMOTE_FENCE_I,         0, {0}                           },
    };
    struct guard g;
    bool back;

    attempt_make(&list[0]);
    tap_ok(pending_wait(SIP_SSIP), "legacy: the IPI is pending");
    csr_clear(sip, SIP_SSIP);
    attempts_make(list + 1, 4);
    back = guard_call(&g, mask_call, SBI_EXT_LEGACY_SEND_IPI, memory_end);
    tap_ok(back ? (int64_t)g.value < 0
                : g.cause == CAUSE_LOAD_ACCESS || g.cause == CAUSE_LOAD_PAGE,
           "legacy: a mask past memory: an error, or a fault");
    csr_clear(sip, SIP_SSIP);
}

void probe_legacy(void)
{
    static const struct attempt list[] = {
        {"legacy: set timer to the past",    OK, SBI_EXT_LEGACY_SET_TIMER,       0, {0, JUNK, JUNK}   },
        {"legacy: set timer to never",       OK, SBI_EXT_LEGACY_SET_TIMER,       0, {~0ul, JUNK, JUNK}},
        {"legacy: put a line end",           OK, SBI_EXT_LEGACY_CONSOLE_PUTCHAR, 0, {'\n', JUNK, JUNK}},
        {"legacy: get a character, or none",
         OK | FAILED | A_BYTE,
         SBI_EXT_LEGACY_CONSOLE_GETCHAR,                                         0,
         {JUNK, JUNK}                                                                                 },
    };

    for (uint64_t ext = 0; ext <= SBI_EXT_LEGACY_SHUTDOWN; ext++)
        tap_ok(true, "legacy: extension %lu is %s", ext, sbi_present(ext) ? "there" : "absent");
    if (!sbi_present(SBI_EXT_LEGACY_SET_TIMER))
        return;
    attempt_make(&list[0]);
    tap_ok(pending_wait(SIP_STIP), "legacy: the timer is pending");
    attempt_make(&list[1]);
    tap_ok(!(csr_read(sip) & SIP_STIP), "legacy: never clears it");
    attempts_make(list + 2, 2);
    legacy_masks();
}
