/* console.c: the debug console (SBI 2.0, section 12) and the legacy calls (section 5). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define JUNK 0xdeadbeefcafef00d

static void write_test(void)
{
    static const char text[] = "written through DBCN\n";
    static const char line[] = "written byte by byte\n";
    struct attempt a = {
        "dbcn: write",
        OK,
        SBI_EXT_DBCN,
        SBI_DBCN_CONSOLE_WRITE,
        {sizeof(text) - 1, (uintptr_t)text, 0, JUNK, JUNK, JUNK}
    };
    uint64_t value = attempt_make(&a).value;
    bool bytes = true;

    tap_ok(value > 0 && value < sizeof(text), "dbcn: write: says how much it wrote");
    a.name = "dbcn: write of nothing";
    a.arg[0] = 0;
    tap_ok(attempt_make(&a).value == 0, "dbcn: write of nothing: wrote nothing");
    for (const char *p = line; *p; p++) {
        struct sbi_ret ret =
            sbi_call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE_BYTE, (uint8_t)*p, 0, 0);

        bytes = bytes && ret.error == SBI_SUCCESS;
    }
    tap_ok(bytes, "dbcn: write of single bytes");
}

static void read_test(void)
{
    static uint8_t buf[64];
    struct attempt a = {
        "dbcn: read",
        OK,
        SBI_EXT_DBCN,
        SBI_DBCN_CONSOLE_READ,
        {32, (uintptr_t)buf, 0, JUNK, JUNK, JUNK}
    };
    uint64_t value;
    bool rest = true;

    memset(buf, 0x5a, sizeof(buf));
    value = attempt_make(&a).value;
    tap_ok(value <= 32, "dbcn: read: says how much it read, without waiting");
    for (uint64_t i = value; i < sizeof(buf); i++)
        rest = rest && *(volatile uint8_t *)&buf[i] == 0x5a;
    tap_ok(rest, "dbcn: read: leaves the rest of the buffer alone");
    a.name = "dbcn: read of nothing";
    a.arg[0] = 0;
    tap_ok(attempt_make(&a).value == 0, "dbcn: read of nothing: read nothing");
}

/* Firmware that answers the upper half of an address with FAILED is within the specification's
 * reach. */
static void bad_buffers(const char *const name[5], uint64_t fn)
{
    uint64_t good = (uintptr_t)name;
    const struct attempt list[] = {
        {name[0], BAD_PARAM,          SBI_EXT_DBCN, fn, {8, device_addr, 0}     },
        {name[1], BAD_PARAM | FAILED, SBI_EXT_DBCN, fn, {8, good, 1}            },
        {name[2], BAD_PARAM,          SBI_EXT_DBCN, fn, {8, memory_end, 0}      },
        {name[3], BAD_PARAM,          SBI_EXT_DBCN, fn, {64, memory_end - 32, 0}},
        {name[4], BAD_PARAM,          SBI_EXT_DBCN, fn, {~0ul, good, 0}         },
    };

    attempts_make(list, 2);
    for (unsigned i = 2; i < 5; i++)
        attempt_risky(&list[i]);
}

void probe_dbcn(void)
{
    static const char *const names[2][5] = {
        {"dbcn: write from a device", "dbcn: write from above 2^64",
         "dbcn: write from past memory",                                                          "dbcn: write from the end of memory on",
         "dbcn: write of 2^64 - 1 bytes"                                                                                                                                 },
        {"dbcn: read into a device",  "dbcn: read to above 2^64",    "dbcn: read to past memory",
         "dbcn: read over the end of memory",                                                                                              "dbcn: read of 2^64 - 1 bytes"},
    };

    if (!extension_begin("dbcn", SBI_EXT_DBCN))
        return;
    write_test();
    read_test();
    bad_buffers(names[0], SBI_DBCN_CONSOLE_WRITE);
    bad_buffers(names[1], SBI_DBCN_CONSOLE_READ);
}

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
