/* interrupt.c: TIME, IPI and RFENCE (SBI 2.0, sections 6 to 8). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

#define JUNK 0xdeadbeefcafef00d

static void timer_make(const char *name, uint64_t ticks)
{
    struct attempt a = {
        .name = name,
        .may = OK,
        .ext = SBI_EXT_TIME,
        .fn = SBI_TIME_SET_TIMER,
        .arg = {ticks, JUNK, JUNK, JUNK, JUNK, JUNK}
    };

    attempt_make(&a);
}

void probe_time(void)
{
    if (!extension_begin("time", SBI_EXT_TIME))
        return;
    timer_make("time: in the past", 0);
    tap_ok(pending_wait(SIP_STIP), "time: a past timer is pending");
    timer_make("time: never", ~0ul);
    tap_ok(!(csr_read(sip) & SIP_STIP), "time: never clears it");
    timer_make("time: soon", time_now() + 10000);
    tap_ok(pending_wait(SIP_STIP), "time: the timer becomes pending");
    timer_make("time: in an hour", time_now() + 36000000000);
    tap_ok(!(csr_read(sip) & SIP_STIP), "time: a later timer clears it");
    timer_make("time: never again", ~0ul);
}

/*
 * Masks and bases that name a hart that does not exist, for IPI and RFENCE alike: an invalid
 * parameter (SBI 2.0, sections 7.1 and 8), whatever else the mask names.
 */
static void bad_masks(const char *const name[5], uint64_t ext, uint64_t fn)
{
    uint64_t absent = hart_id_absent(), low = absent > 63 ? absent - 63 : 0;
    struct attempt list[] = {
        {name[0], BAD_PARAM, ext, fn, {1, absent, 0, 4096, 0, JUNK}                     },
        {name[1], BAD_PARAM, ext, fn, {1 | 1ul << (absent - low), low, 0, 4096, 0, JUNK}},
        {name[2], BAD_PARAM, ext, fn, {~0ul, low, 0, 4096, 0, JUNK}                     },
        {name[3], BAD_PARAM, ext, fn, {7, ~1ul, 0, 4096, 0, JUNK}                       },
        {name[4], BAD_PARAM, ext, fn, {1, 1ul << 32, 0, 4096, 0, JUNK}                  },
    };

    attempt_make(&list[0]);
    attempt_risky(&list[1]);
    attempt_risky(&list[2]);
    attempt_make(&list[3]);
    attempt_risky(&list[4]);
}

static void self_ipi(const char *name, uint64_t mask, uint64_t base)
{
    struct attempt a = {
        .name = name,
        .may = OK,
        .ext = SBI_EXT_IPI,
        .fn = SBI_IPI_SEND_IPI,
        .arg = {mask, base, JUNK, JUNK, JUNK, JUNK}
    };

    attempt_make(&a);
    tap_ok(pending_wait(SIP_SSIP), "%s: it is pending", name);
    csr_clear(sip, SIP_SSIP);
}

void probe_ipi(void)
{
    static const char *const names[] = {
        "ipi: a base that is no hart", "ipi: a hart, and one that is none",
        "ipi: sixty-four harts",       "ipi: a mask that runs over the end of numbers",
        "ipi: a base of 2^32",
    };
    static const struct attempt none = {
        "ipi: to no hart", OK, SBI_EXT_IPI, SBI_IPI_SEND_IPI, {0, 0}
    };

    if (!extension_begin("ipi", SBI_EXT_IPI))
        return;
    self_ipi("ipi: to itself", 1, hart_id(0));
    self_ipi("ipi: to itself, by another bit", 1ul << hart_id(0), 0);
    self_ipi("ipi: to all, mask 0", 0, ~0ul);
    self_ipi("ipi: to all, mask garbage", JUNK, ~0ul);
    attempt_make(&none);
    tap_ok(!(csr_read(sip) & SIP_SSIP), "ipi: to no hart: none is pending");
    bad_masks(names, SBI_EXT_IPI, SBI_IPI_SEND_IPI);
    tap_ok(!(csr_read(sip) & SIP_SSIP), "ipi: a refused one reaches nobody");
    csr_clear(sip, SIP_SSIP);
}

static void rfence_ranges(uint64_t self)
{
    const struct attempt list[] = {
        {"rfence: fence.i",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_FENCE_I,                                                          {1, self, JUNK, JUNK, JUNK, JUNK}},
        {"rfence: fence.i on all",         OK, SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I,    {JUNK, ~0ul}                     },
        {"rfence: fence.i on no hart",     OK, SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I,    {0, 0}                           },
        {"rfence: one page",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA,                                                       {1, self, 0x40000000, 4096}      },
        {"rfence: part of a page",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA,                                                       {1, self, 0x40000123, 1}         },
        {"rfence: everything, by 0 and 0",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA,                                                       {1, self, 0, 0}                  },
        {"rfence: everything, by size -1",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA,                                                       {1, self, 0, ~0ul}               },
        {"rfence: a thousand pages",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA,                                                       {1, self, 0x40000000, 4096000}   },
        {"rfence: a range over the end",
         OK | BAD_ADDR,
         SBI_EXT_RFENCE,                                       SBI_RFENCE_SFENCE_VMA,
         {1, self, -4096ul, 8192}                                                                                      },
        {"rfence: one page of an ASID",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA_ASID,                                                  {1, self, 0x40000000, 4096, 1}   },
        {"rfence: all of an ASID",
         OK,                                   SBI_EXT_RFENCE,
         SBI_RFENCE_SFENCE_VMA_ASID,                                                  {1, self, 0, ~0ul, 65535}        },
    };

    attempts_make(list, sizeof(list) / sizeof(list[0]));
}

void probe_rfence(void)
{
    static const char *const names[3][5] = {
        {"rfence: fence.i: a base that is no hart",
         "rfence: fence.i: a hart, and one that is none",                                         "rfence: fence.i: sixty-four harts",
         "rfence: fence.i: a mask over the end of numbers",                                                                                                                            "rfence: fence.i: a base of 2^32"},
        {"rfence: sfence: a base that is no hart",
         "rfence: sfence: a hart, and one that is none",                                          "rfence: sfence: sixty-four harts",
         "rfence: sfence: a mask over the end of numbers",                                                                                                                             "rfence: sfence: a base of 2^32" },
        {"rfence: asid: a base that is no hart",    "rfence: asid: a hart, and one that is none",
         "rfence: asid: sixty-four harts",                                                                                             "rfence: asid: a mask over the end of numbers",
         "rfence: asid: a base of 2^32"                                                                                                                                                                                 },
    };

    if (!extension_begin("rfence", SBI_EXT_RFENCE))
        return;
    rfence_ranges(hart_id(0));
    for (uint64_t fn = SBI_RFENCE_FENCE_I; fn <= SBI_RFENCE_SFENCE_VMA_ASID; fn++)
        bad_masks(names[fn], SBI_EXT_RFENCE, fn);
    for (uint64_t fn = SBI_RFENCE_HFENCE_GVMA_VMID; fn <= SBI_RFENCE_HFENCE_VVMA; fn++) {
        struct attempt a = {
            "rfence: a hypervisor's fence: done, or not supported",
            OK | ABSENT,
            SBI_EXT_RFENCE,
            fn,
            {1, hart_id(0), 0, 4096, 1}
        };

        attempt_make(&a);
    }
}
