/* services.c: Tollgate's own services, each skipped where it is absent. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/abi/tg.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"

#define JUNK 0xdeadbeefcafef00d

static uint8_t buffer[64];

static bool untouched(const uint8_t *from)
{
    bool same = true;

    for (; from < buffer + sizeof(buffer); from++)
        same = same && *(const volatile uint8_t *)from == 0x5a;
    return same;
}

void probe_tg_base(void)
{
    const struct attempt list[] = {
        {"tg.base: null",                        OK,        TG_EXT_BASE, TG_BASE_NULL, {JUNK, JUNK, JUNK, JUNK, JUNK, JUNK}},
        {"tg.base: function 5 is absent",        ABSENT,    TG_EXT_BASE, 5,            {0}                                 },
        {"tg.base: name into a device",          BAD_PARAM, TG_EXT_BASE, TG_BASE_NAME, {8, device_addr}                    },
        {"tg.base: name over the end of memory",
         BAD_PARAM,                                         TG_EXT_BASE,
         TG_BASE_NAME,                                                                 {64, memory_end - 63}               },
    };
    const struct attempt name = {
        "tg.base: name", OK, TG_EXT_BASE, TG_BASE_NAME, {32, (uintptr_t)buffer}
    };
    struct sbi_ret ret;

    optional_begin("tg.base", TG_EXT_BASE);
    fact_calls(list, 4);
    ret = sbi_call(TG_EXT_BASE, TG_BASE_VERSION, 0, 0, 0);
    fact(!ret.error && ret.value >> 16 == TG_ABI_VERSION >> 16, "tg.base: its version is ours");
    memset(buffer, 0x5a, sizeof(buffer));
    ret = fact_call(&name);
    fact(!memcmp(buffer, "Tollgate ", 9) && ret.value > 9 && ret.value <= 32 &&
             untouched(buffer + ret.value),
         "tg.base: the name, and no byte behind it");
    fact(sbi_call(TG_EXT_BASE, TG_BASE_SUPPORTS, TG_EXT_BASE, TG_BASE_SUPPORTS, 0).value == 1 &&
             sbi_call(TG_EXT_BASE, TG_BASE_SUPPORTS, TG_EXT_BASE, 5, 0).value == 0 &&
             sbi_call(TG_EXT_BASE, TG_BASE_SUPPORTS, 0x0fffffff, 0, 0).value == 0,
         "tg.base: supports what is there");
    ret = sbi_call(TG_EXT_BASE, TG_BASE_FEATURES, 0, 0, 0);
    fact(!ret.error && (ret.value & 1) && (ret.value >> 2 & 1) == sbi_present(TG_EXT_CONSOLE),
         "tg.base: features are the services");
    optional_end();
}

void probe_tg_console(void)
{
    static const char text[] = "# through the debug console\n";
    const struct attempt list[] = {
        {"tg.console: write of nothing",            OK,     TG_EXT_CONSOLE, TG_CONSOLE_WRITE, {0, JUNK}                          },
        {"tg.console: write from a device",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_WRITE,                                                                    {8, device_addr}                   },
        {"tg.console: write of 2^64 - 1 bytes",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_WRITE,                                                                    {~0ul, (uintptr_t)text}            },
        {"tg.console: write from above 2^64",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_WRITE,                                                                    {8, (uintptr_t)text, 1}            },
        {"tg.console: read over the end of memory",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_READ,                                                                     {8, memory_end - 4}                },
        {"tg.console: print from a device",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_PRINT,                                                                    {device_addr}                      },
        {"tg.console: print from above 2^64",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_PRINT,                                                                    {(uintptr_t)text, 1}               },
        {"tg.console: log of no level",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_LOG,                                                                      {TG_LOG_LEVELS, 1, (uintptr_t)text}},
        {"tg.console: log from past memory",
         BAD_PARAM,                                         TG_EXT_CONSOLE,
         TG_CONSOLE_LOG,                                                                      {TG_LOG_INFO, 8, memory_end}       },
        {"tg.console: function 4 is absent",        ABSENT, TG_EXT_CONSOLE, 4,                {0}                                },
    };
    const struct attempt write = {
        "tg.console: write",
        OK,
        TG_EXT_CONSOLE,
        TG_CONSOLE_WRITE,
        {sizeof(text) - 1, (uintptr_t)text}
    };
    const struct attempt print_text = {
        "tg.console: print", OK, TG_EXT_CONSOLE, TG_CONSOLE_PRINT, {(uintptr_t)text}};
    const struct attempt read = {
        "tg.console: read", OK, TG_EXT_CONSOLE, TG_CONSOLE_READ, {8, (uintptr_t)buffer}
    };
    const struct attempt log = {
        "tg.console: log",
        OK,
        TG_EXT_CONSOLE,
        TG_CONSOLE_LOG,
        {TG_LOG_INFO, 5, (uintptr_t) "probe"}
    };
    uint64_t value;

    optional_begin("tg.console", TG_EXT_CONSOLE);
    fact_calls(list, sizeof(list) / sizeof(list[0]));
    fact(fact_call(&write).value == sizeof(text) - 1, "tg.console: write: all of it");
    fact(fact_call(&print_text).value == sizeof(text) - 1, "tg.console: print: all of it");
    fact(fact_call(&log).value == 5, "tg.console: log: all of it");
    memset(buffer, 0x5a, sizeof(buffer));
    value = fact_call(&read).value;
    fact(value <= 8 && untouched(buffer + 8),
         "tg.console: read: what there is, without waiting");
    optional_end();
}

void probe_tg_entropy(void)
{
    static uint8_t other[32];
    const struct attempt list[] = {
        {"tg.entropy: read",                   OK,     TG_EXT_ENTROPY, TG_ENTROPY_READ, {32, (uintptr_t)buffer} },
        {"tg.entropy: read again",             OK,     TG_EXT_ENTROPY, TG_ENTROPY_READ, {32, (uintptr_t)other}  },
        {"tg.entropy: read of nothing",
         OK,                                           TG_EXT_ENTROPY,
         TG_ENTROPY_READ,                                                               {0, (uintptr_t)other}   },
        {"tg.entropy: read to past memory",
         BAD_PARAM,                                    TG_EXT_ENTROPY,
         TG_ENTROPY_READ,                                                               {8, memory_end}         },
        {"tg.entropy: read of 2^64 - 1 bytes",
         BAD_PARAM,                                    TG_EXT_ENTROPY,
         TG_ENTROPY_READ,                                                               {~0ul, (uintptr_t)other}},
        {"tg.entropy: function 1 is absent",   ABSENT, TG_EXT_ENTROPY, 1,               {0}                     },
    };

    memset(buffer, 0x5a, sizeof(buffer));
    optional_begin("tg.entropy", TG_EXT_ENTROPY);
    /* Tollgate's policy keeps it from guests until the user names it. */
    optional_function(sbi_call(TG_EXT_ENTROPY, TG_ENTROPY_READ, 0, 0, 0).error !=
                      SBI_ERR_DENIED);
    fact_calls(list, sizeof(list) / sizeof(list[0]));
    fact(memcmp(buffer, other, 32) != 0, "tg.entropy: never the same twice");
    fact(untouched(buffer + 32), "tg.entropy: no byte behind the buffer");
    optional_end();
}
