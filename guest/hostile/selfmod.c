/* selfmod.c: code that changes itself, with and without fence.i. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After fence.i the monitor must run the new code; without one, the old or the new, never
 * anything else. The guest ends by the finisher, pass: status 0.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define ROUNDS 5000

/* The code under change lies anywhere here; the page boundary is in the middle. */
static uint16_t code[4096] __attribute__((aligned(4096)));
#define BOUNDARY 2048

/* li a0, n; ret. n below 2048. */
static void code_write(volatile uint16_t *at, unsigned n)
{
    uint32_t li = n << 20 | 10 << 7 | 0x13;

    at[0] = (uint16_t)li;
    at[1] = (uint16_t)(li >> 16);
    at[2] = 0x8082;
}

static uint64_t code_run(const volatile uint16_t *at)
{
    return ((uint64_t(*)(void))(uintptr_t)at)();
}

static bool fenced_good(volatile uint16_t *at)
{
    uint64_t right = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        code_write(at, i & 2047);
        fence_code();
        right += code_run(at) == (i & 2047);
    }
    return right == ROUNDS;
}

/* The immediate lies in the upper half of li, so one store makes another instruction. */
static bool half_good(volatile uint16_t *at)
{
    uint64_t right = 0;

    code_write(at, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        at[1] = (uint16_t)((i & 2047) << 4);
        fence_code();
        right += code_run(at) == (i & 2047);
    }
    return right == ROUNDS;
}

static bool unfenced_good(volatile uint16_t *at)
{
    uint64_t wrong = 0;

    code_write(at, 0);
    fence_code();
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned n = i & 2047;
        uint64_t seen;

        at[1] = (uint16_t)(n << 4);
        seen = code_run(at);
        wrong += seen > 2047 || (i < 2048 && seen > n);
    }
    fence_code();
    return wrong == 0 && code_run(at) == ((ROUNDS - 1) & 2047);
}

/* An instruction that rewrites the one after the fence behind it. */
static uint64_t ahead(uint64_t a, uint64_t b)
{
    uint64_t seen;

    __asm__ volatile(".option push\n\t.option norvc\n\t"
                     "la t0, 1f\n\tli t1, 0x00200513\n\t" /* li a0, 2 */
                     "sw t1, (t0)\n\tfence.i\n"
                     "1:\tli a0, 1\n\tmv %0, a0\n\t.option pop"
                     : "=r"(seen)
                     :
                     : "t0", "t1", "a0", "memory");
    return seen + a + b;
}

/* A run of code_write'n pages that share no page with data. */
static void places_test(void)
{
    static const struct {
        const char *name;
        unsigned at;
    } places[] = {
        {"at a page's start",      0           },
        {"at an odd halfword",     1           },
        {"over a page boundary",   BOUNDARY - 1},
        {"before a page boundary", BOUNDARY - 3},
    };

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        volatile uint16_t *at = &code[places[i].at];

        tap_ok(fenced_good(at), "%s: fence.i shows new code", places[i].name);
        tap_ok(half_good(at), "%s: half an instruction changes", places[i].name);
        tap_ok(unfenced_good(at), "%s: without fence.i, old or new", places[i].name);
    }
}

int guest_main(const void *dtb)
{
    volatile uint16_t *at = &code[100];
    struct guard g;

    (void)dtb;
    tap_begin();
    places_test();
    tap_ok(ahead(0, 0) == 2, "an instruction rewritten just before it runs");
    code_write(at, 5);
    at[2] = 0;
    fence_code();
    tap_ok(guard_jump(&g, (uintptr_t)at) == CAUSE_ILLEGAL && g.epc == (uintptr_t)&at[2],
           "code made illegal traps where it is");
    code_write(at, 6);
    fence_code();
    tap_ok(code_run(at) == 6, "and runs when it is mended");
    tap_leave();
}
