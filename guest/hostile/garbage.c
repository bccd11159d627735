/* garbage.c: a hundred thousand SBI calls with pseudo-random arguments. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must answer each call with an error or a result, or with a fault in the guest for
 * the pointers of legacy calls; it must not change the guest's code or the page that no call
 * was given. The guest ends by the finisher, pass: status 0. Calls that end or stop by right
 * are left out. It writes some garbage to the console.
 */
#include <stddef.h>
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/random.h"
#include "guest/lib/sbi.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"

#define CALLS 100000

extern const uint64_t __text_start[], __text_end[];

static uint64_t seed = 0xc0ffee;
static uint64_t memory_end;

/* Pages that calls are given to read and write, and one that they are not. */
static uint8_t scratch[8192] __attribute__((aligned(4096)));
static uint64_t untouched[512] __attribute__((aligned(4096)));

static const uint64_t extensions[] = {
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    SBI_EXT_BASE,
    SBI_EXT_TIME,
    SBI_EXT_IPI,
    SBI_EXT_RFENCE,
    SBI_EXT_HSM,
    SBI_EXT_SRST,
    SBI_EXT_DBCN,
    SBI_EXT_DBCN,
    0x504d55,   /* PMU */
    0x4e41434c, /* NACL */
    0x535441,   /* STA */
    0x46574654, /* FWFT */
    0x08544700, /* Tollgate's, but for its exit */
    0x08544702,
    0x085447ff,
};

static uint64_t checksum(const uint64_t *at, const uint64_t *end)
{
    uint64_t sum = 0;

    while (at < end)
        sum = (sum << 7 | sum >> 57) ^ *at++;
    return sum;
}

/* Numbers at which code that checks badly goes wrong. */
static uint64_t edge_pick(void)
{
    const uint64_t edges[] = {
        0,
        1,
        2,
        3,
        63,
        64,
        65,
        4095,
        4096,
        1ul << 31,
        0x7fffffff,
        1ul << 32,
        1ul << 63,
        ~0ul,
        ~0ul - 1,
        ~0ul - 4095,
        memory_end,
        memory_end - 1,
        memory_end + 4096,
        0x10000000,
        0x0c000000,
        0x00100000,
    };

    return edges[random_below(&seed, sizeof(edges) / sizeof(edges[0]))];
}

static uint64_t number_pick(void)
{
    return random_below(&seed, 2) ? edge_pick() : random_next(&seed) >> random_below(&seed, 64);
}

/* An address in the scratch pages, with a length that stays there; or both wild outside memory.
 */
static void buffer_pick(uint64_t *len, uint64_t *low, uint64_t *high)
{
    uint64_t offset = random_below(&seed, sizeof(scratch));

    *high = random_below(&seed, 4) ? 0 : number_pick();
    switch (random_below(&seed, 8)) {
    case 0: /* over the end of memory */
        *low = memory_end - 1 - random_below(&seed, 4096);
        *len = 4097 + (number_pick() >> 1);
        break;
    case 1: /* wraps */
        *low = (uintptr_t)scratch + offset;
        *len = 0 - random_below(&seed, 1ul << 31) - 1;
        break;
    case 2: /* nowhere near memory */
        *low = number_pick() | 1ul << 40;
        *len = number_pick();
        break;
    case 3: /* below it */
        *low = random_below(&seed, 0x7fff0000);
        *len = random_below(&seed, 65536);
        break;
    default:
        *low = (uintptr_t)scratch + offset;
        *len = random_below(&seed, 8);
        *len = *len > sizeof(scratch) - offset ? sizeof(scratch) - offset : *len;
        break;
    }
}

/* True for calls that end the machine or this hart, or sleep, when they are right to. */
static bool call_ends(uint64_t ext, uint64_t fn, const uint64_t arg[6])
{
    if (ext == SBI_EXT_HSM)
        return fn == SBI_HSM_HART_STOP ||
               (fn == SBI_HSM_HART_SUSPEND && (uint32_t)arg[0] << 1 == 0) ||
               (fn == SBI_HSM_HART_START && arg[1] >= 0x80000000 && arg[1] < memory_end);
    if (ext == SBI_EXT_SRST)
        return fn == 0 && (uint32_t)arg[0] <= SBI_SRST_TYPE_WARM_REBOOT &&
               (uint32_t)arg[1] <= SBI_SRST_REASON_SYSTEM_FAILURE;
    return false;
}

struct garbage {
    uint64_t ext, fn;
    uint64_t arg[6];
};

static void garbage_pick(struct garbage *c)
{
    c->ext = random_below(&seed, 16)
                 ? extensions[random_below(&seed, sizeof(extensions) / sizeof(extensions[0]))]
                 : 0x10000 + (random_next(&seed) >> 33);
    c->fn = random_below(&seed, 8) ? random_below(&seed, 8) : number_pick();
    for (unsigned i = 0; i < 6; i++)
        c->arg[i] = number_pick();
    if (c->ext == SBI_EXT_DBCN)
        buffer_pick(&c->arg[0], &c->arg[1], &c->arg[2]);
    if (c->ext <= 0xff && random_below(&seed, 2))
        c->arg[0] = (uintptr_t)scratch + random_below(&seed, 64);
    /* Little of the output should disturb a terminal. */
    if (c->ext == SBI_EXT_LEGACY_CONSOLE_PUTCHAR || (c->ext == SBI_EXT_DBCN && c->fn == 2))
        c->arg[0] = (c->arg[0] & ~0xfful) | '.';
}

static uint64_t garbage_call(uint64_t arg, uint64_t unused)
{
    const struct garbage *c = (const struct garbage *)arg;

    return (uint64_t)sbi_call6(c->ext, c->fn, c->arg).error + unused;
}

static bool page_is(const uint64_t *page, uint64_t value)
{
    for (unsigned i = 0; i < 512; i++)
        if (*(const volatile uint64_t *)&page[i] != value)
            return false;
    return true;
}

static void calls_test(void)
{
    uint64_t ok = 0, errors = 0, faults = 0, strange = 0;
    struct garbage c;
    struct guard g;

    for (unsigned i = 0; i < CALLS; i++) {
        do
            garbage_pick(&c);
        while (call_ends(c.ext, c.fn, c.arg) || c.ext == 0x08544701);
        if (!guard_call(&g, garbage_call, (uintptr_t)&c, 0)) {
            faults++;
            strange += c.ext > SBI_EXT_LEGACY_SHUTDOWN;
        } else if (g.value == 0) {
            ok++;
        } else {
            errors++;
            strange += c.ext > SBI_EXT_LEGACY_SHUTDOWN && (int64_t)g.value > 0;
        }
        csr_clear(sip, SIP_SSIP);
    }
    print("\n# %lu succeeded, %lu failed, %lu faulted\n", ok, errors, faults);
    tap_ok(strange == 0, "%u calls: each succeeds or fails by the book", CALLS);
}

int guest_main(const void *dtb)
{
    uint64_t base = 0, size = 0, sum = checksum(__text_start, __text_end);

    tap_begin();
    tap_ok(fdt_memory(dtb, &base, &size), "the device tree names memory");
    memory_end = base + size;
    memset(scratch, '.', sizeof(scratch));
    memset(untouched, 0x5a, sizeof(untouched));
    calls_test();
    tap_ok(checksum(__text_start, __text_end) == sum, "the code is as it was");
    tap_ok(page_is(untouched, 0x5a5a5a5a5a5a5a5a),
           "a page that no call was given is as it was");
    for (unsigned i = 1; i < hart_count(); i++)
        tap_ok(hart_state(i) == SBI_HSM_STOPPED, "no hart was started by garbage");
    timer_set(~0ul);
    tap_leave();
}
