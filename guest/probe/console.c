/* console.c: the debug console (SBI 2.0, section 12). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/string.h"
#include "guest/lib/tap.h"

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
