/* base.c: the Base extension (SBI 2.0, section 4), and calls that nobody defines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/print.h"
#include "guest/lib/tap.h"

static uint64_t base_get(const char *name, uint64_t fn)
{
    struct attempt a = {
        .name = name, .may = OK, .ext = SBI_EXT_BASE, .fn = fn, .arg = {~0ul, 1, 2, 3, 4, 5}
    };

    return attempt_make(&a).value;
}

static void probe_answers(const char *name, uint64_t ext, bool present)
{
    struct attempt a = {
        .name = name,
        .may = OK,
        .ext = SBI_EXT_BASE,
        .fn = SBI_BASE_PROBE_EXTENSION,
        .arg = {ext, ~0ul, ~0ul, ~0ul, ~0ul, ~0ul}
    };
    uint64_t value = attempt_make(&a).value;

    tap_ok(present ? value != 0 : value == 0, "%s: says %s", name, present ? "yes" : "no");
}

void probe_base(void)
{
    uint64_t version = base_get("base: specification version", SBI_BASE_GET_SPEC_VERSION);

    print("# specification %lu.%lu\n", version >> 24, version & 0xffffff);
    tap_ok(!(version >> 31) && version >> 24 >= 2, "base: the version is 2.0 or later");
    print("# implementation 0x%lx\n",
          base_get("base: implementation ID", SBI_BASE_GET_IMPL_ID));
    print("# its version 0x%lx\n",
          base_get("base: implementation version", SBI_BASE_GET_IMPL_VERSION));
    print("# mvendorid 0x%lx\n", base_get("base: mvendorid", SBI_BASE_GET_MVENDORID));
    print("# marchid 0x%lx\n", base_get("base: marchid", SBI_BASE_GET_MARCHID));
    print("# mimpid 0x%lx\n", base_get("base: mimpid", SBI_BASE_GET_MIMPID));
    probe_answers("base: probe of Base", SBI_EXT_BASE, true);
    probe_answers("base: probe of no extension", 0x0fffffff, false);
    probe_answers("base: probe of -1", ~0ul, false);
}

void probe_unknown(void)
{
    static const struct attempt list[] = {
        {"base: function 7 is absent",              ABSENT, SBI_EXT_BASE,   7,    {0}                                 },
        {"base: function -1 is absent",             ABSENT, SBI_EXT_BASE,   ~0ul, {0}                                 },
        {"unknown: extension 0x09",                 ABSENT, 0x09,           0,    {1, 2, 3, 4, 5, 6}                  },
        {"unknown: extension 0x0f",                 ABSENT, 0x0f,           0,    {1, 2, 3, 4, 5, 6}                  },
        {"unknown: extension 0x11",                 ABSENT, 0x11,           0,    {1, 2, 3, 4, 5, 6}                  },
        {"unknown: extension 93, a program's exit", ABSENT, 93,             0,    {0}                                 },
        {"unknown: extension 0x0fffffff",           ABSENT, 0x0fffffff,     0,    {0}                                 },
        {"unknown: experimental extension",         ABSENT, 0x08000000,     0,    {~0ul, ~0ul, ~0ul}                  },
        {"unknown: vendor's extension",             ABSENT, 0x09ffffff,     0,    {~0ul, ~0ul, ~0ul}                  },
        {"unknown: firmware's extension",           ABSENT, 0x0affffff,     0,    {~0ul, ~0ul, ~0ul}                  },
        {"unknown: extension 0x7fffffff",           ABSENT, 0x7fffffff,     ~0ul, {0}                                 },
        {"unknown: extension -1",                   ABSENT, ~0ul,           ~0ul, {~0ul, ~0ul, ~0ul, ~0ul, ~0ul, ~0ul}},
        {"time: function 1 is absent",              ABSENT, SBI_EXT_TIME,   1,    {0}                                 },
        {"ipi: function 1 is absent",               ABSENT, SBI_EXT_IPI,    1,    {1}                                 },
        {"rfence: function 7 is absent",            ABSENT, SBI_EXT_RFENCE, 7,    {1}                                 },
        {"hsm: function 4 is absent",               ABSENT, SBI_EXT_HSM,    4,    {0}                                 },
        {"srst: function 1 is absent",              ABSENT, SBI_EXT_SRST,   1,    {0}                                 },
        {"dbcn: function 3 is absent",              ABSENT, SBI_EXT_DBCN,   3,    {0}                                 },
    };

    attempts_make(list, sizeof(list) / sizeof(list[0]));
}
