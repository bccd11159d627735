/* main.c: what RVWMO forbids must not be seen between harts, however they are run. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The classic small tests of memory ordering, each over an array of cells that two harts (or
 * four) walk at the same time: store buffering with fences and with atomics, message passing,
 * load buffering, coherence of one word, independent reads of independent writes; and atomics
 * of two sizes on one doubleword. Outcomes that the model forbids (unprivileged specification,
 * appendix "RVWMO Memory Consistency Model") fail; those it allows are counted in a comment.
 * Harts work in pairs. The guest ends by the finisher, pass: status 0.
 */
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

#define CELLS  512
#define ROUNDS 200
#define PAIRS  2
#define LINE   8 /* doublewords of a cache line */

/* What a pair (or four harts, in the first one) works on: a word a line, and what was read. */
static struct arena {
    uint64_t x[CELLS][LINE], y[CELLS][LINE];
    uint64_t seen[4][CELLS][2];
} arenas[PAIRS] __attribute__((aligned(64)));

#define FENCE(kind) __asm__ volatile("fence " kind ::: "memory")
#define STORE(p, v) __asm__ volatile("sd %1, 0(%0)" ::"r"(p), "r"(v) : "memory")
#define SWAP(p, v, how)                                                                        \
    __asm__ volatile("amoswap.d" how " zero, %1, (%0)" ::"r"(p), "r"(v) : "memory")

static inline uint64_t load(const uint64_t *p)
{
    uint64_t value;

    __asm__ volatile("ld %0, 0(%1)" : "=r"(value) : "r"(p) : "memory");
    return value;
}

/* --- sides: role 0 or 1 on cell i --- */

typedef void side_fn(struct arena *a, unsigned role, unsigned i);

/* Store one word, load the other. */
static void side_plain(struct arena *a, unsigned role, unsigned i)
{
    STORE(role ? a->y[i] : a->x[i], 1ul);
    a->seen[role][i][0] = load(role ? a->x[i] : a->y[i]);
}

static void side_fence(struct arena *a, unsigned role, unsigned i)
{
    STORE(role ? a->y[i] : a->x[i], 1ul);
    FENCE("rw, rw");
    a->seen[role][i][0] = load(role ? a->x[i] : a->y[i]);
}

static void side_fence_wr(struct arena *a, unsigned role, unsigned i)
{
    STORE(role ? a->y[i] : a->x[i], 1ul);
    FENCE("w, r");
    a->seen[role][i][0] = load(role ? a->x[i] : a->y[i]);
}

static void side_swap(struct arena *a, unsigned role, unsigned i)
{
    SWAP(role ? a->y[i] : a->x[i], 1ul, ".aqrl");
    a->seen[role][i][0] = load(role ? a->x[i] : a->y[i]);
}

/* lr.d.aqrl; sc.d.rl is a store like any; the fence behind it makes the difference. */
static void side_conditional(struct arena *a, unsigned role, unsigned i)
{
    uint64_t *p = role ? a->y[i] : a->x[i], old, failed;

    __asm__ volatile("1: lr.d %0, (%2)\n\taddi %0, %0, 1\n\tsc.d.rl %1, %0, (%2)\n\tbnez %1, 1b"
                     : "=&r"(old), "=&r"(failed)
                     : "r"(p)
                     : "memory");
    FENCE("rw, rw");
    a->seen[role][i][0] = load(role ? a->x[i] : a->y[i]);
}

static void side_message(struct arena *a, unsigned role, unsigned i)
{
    if (role == 0) {
        STORE(a->x[i], 1ul);
        FENCE("w, w");
        STORE(a->y[i], 1ul);
    } else {
        a->seen[1][i][0] = load(a->y[i]);
        FENCE("r, r");
        a->seen[1][i][1] = load(a->x[i]);
    }
}

/* The same by release and acquire. */
static void side_release(struct arena *a, unsigned role, unsigned i)
{
    if (role == 0) {
        STORE(a->x[i], 1ul);
        SWAP(a->y[i], 1ul, ".rl");
    } else {
        __asm__ volatile("amoor.d.aq %0, zero, (%1)"
                         : "=r"(a->seen[1][i][0])
                         : "r"(a->y[i])
                         : "memory");
        a->seen[1][i][1] = load(a->x[i]);
    }
}

static void side_load_buffer(struct arena *a, unsigned role, unsigned i)
{
    a->seen[role][i][0] = load(role ? a->y[i] : a->x[i]);
    FENCE("rw, rw");
    STORE(role ? a->x[i] : a->y[i], 1ul);
}

static void side_coherence(struct arena *a, unsigned role, unsigned i)
{
    if (role == 0) {
        STORE(a->x[i], 1ul);
        return;
    }
    a->seen[1][i][0] = load(a->x[i]);
    a->seen[1][i][1] = load(a->x[i]);
}

/* Four harts: two writers, two readers that look in different order. */
static void side_independent(struct arena *a, unsigned role, unsigned i)
{
    if (role < 2) {
        STORE(role ? a->y[i] : a->x[i], 1ul);
        return;
    }
    a->seen[role][i][0] = load(role == 2 ? a->x[i] : a->y[i]);
    FENCE("r, r");
    a->seen[role][i][1] = load(role == 2 ? a->y[i] : a->x[i]);
}

/* One counts in the lower word, the other in the upper, with doublewords. */
static void side_sizes(struct arena *a, unsigned role, unsigned i)
{
    if (role == 0)
        __asm__ volatile("amoadd.w zero, %1, (%0)" ::"r"(a->x[i & 3]), "r"(1ul) : "memory");
    else
        __asm__ volatile("amoadd.d zero, %1, (%0)" ::"r"(a->x[i & 3]), "r"(1ul << 32)
                         : "memory");
}

/* --- verdicts: is cell i as the model forbids? --- */

typedef bool verdict_fn(const struct arena *a, unsigned i);

static bool both_zero(const struct arena *a, unsigned i)
{
    return a->seen[0][i][0] == 0 && a->seen[1][i][0] == 0;
}

static bool both_one(const struct arena *a, unsigned i)
{
    return a->seen[0][i][0] == 1 && a->seen[1][i][0] == 1;
}

static bool new_then_old(const struct arena *a, unsigned i)
{
    return a->seen[1][i][0] == 1 && a->seen[1][i][1] == 0;
}

static bool disagree(const struct arena *a, unsigned i)
{
    return a->seen[2][i][0] == 1 && a->seen[2][i][1] == 0 && a->seen[3][i][0] == 1 &&
           a->seen[3][i][1] == 0;
}

static bool lost(const struct arena *a, unsigned i)
{
    return i < 4 && a->x[i][0] != (CELLS / 4) * 0x100000001ul;
}

static const struct test {
    const char *name;
    side_fn *side;
    verdict_fn *verdict;
    unsigned harts;
    bool allowed;
} tests[] = {
    {"store buffering, no fence",                       side_plain,       both_zero,    2, true },
    {"store buffering, fence rw,rw",                    side_fence,       both_zero,    2, false},
    {"store buffering, fence w,r",                      side_fence_wr,    both_zero,    2, false},
    {"store buffering, amoswap.aqrl",                   side_swap,        both_zero,    2, false},
    {"store buffering, sc.rl and fence",                side_conditional, both_zero,    2, false},
    {"message passing, fences",                         side_message,     new_then_old, 2, false},
    {"message passing, release and acquire",            side_release,     new_then_old, 2, false},
    {"load buffering, fences",                          side_load_buffer, both_one,     2, false},
    {"coherence of reads",                              side_coherence,   new_then_old, 2, false},
    {"independent reads of independent writes, fences", side_independent, disagree,     4, false},
    {"atomics of two sizes on one doubleword",          side_sizes,       lost,         2, false},
};
#define TESTS (sizeof(tests) / sizeof(tests[0]))

/* --- harts --- */

static unsigned arrived, phase, harts;

static void barrier(void)
{
    unsigned now = __atomic_load_n(&phase, __ATOMIC_ACQUIRE);

    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL) == harts) {
        __atomic_store_n(&arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&phase, now + 1, __ATOMIC_RELEASE);
        return;
    }
    while (__atomic_load_n(&phase, __ATOMIC_ACQUIRE) == now)
        __asm__ volatile(".word 0x0100000f"); /* pause: the host may have fewer processors */
}

static void arena_clear(struct arena *a)
{
    for (unsigned i = 0; i < CELLS; i++) {
        a->x[i][0] = a->y[i][0] = 0;
        for (unsigned role = 0; role < 4; role++)
            a->seen[role][i][0] = a->seen[role][i][1] = 0;
    }
}

/* One walk of all cells; the first hart of an arena clears it before and counts afterwards. */
static uint64_t walk(const struct test *test, unsigned index)
{
    unsigned role = index % test->harts, arena = index / test->harts;
    bool works = arena < PAIRS && index - role + test->harts <= harts;
    struct arena *a = &arenas[works ? arena : 0];
    uint64_t found = 0;

    if (works && role == 0)
        arena_clear(a);
    barrier();
    for (unsigned i = 0; works && i < CELLS; i++)
        test->side(a, role, i);
    barrier();
    for (unsigned i = 0; works && role == 0 && i < CELLS; i++)
        found += test->verdict(a, i);
    return found;
}

static uint64_t total;

static void work(void *arg)
{
    unsigned index = hart_self()->index;

    (void)arg;
    for (unsigned t = 0; t < TESTS; t++) {
        uint64_t found = 0;

        for (unsigned round = 0; round < ROUNDS && tests[t].harts <= harts; round++)
            found += walk(&tests[t], index);
        __atomic_fetch_add(&total, found, __ATOMIC_ACQ_REL);
        barrier();
        if (index == 0 && tests[t].harts > harts)
            tap_skip("too few harts", "%s", tests[t].name);
        else if (index == 0 && tests[t].allowed)
            print("# %s: seen %lu times, as is allowed\n", tests[t].name, total);
        else if (index == 0)
            tap_ok(total == 0, "%s", tests[t].name);
        if (index == 0)
            total = 0;
        barrier();
    }
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    harts = hart_count() & ~1u;
    for (unsigned i = 1; i < harts; i++)
        hart_launch(i, work, NULL);
    if (harts >= 2)
        work(NULL);
    else
        tap_skip("there is one hart", "memory ordering");
    tap_leave();
}
