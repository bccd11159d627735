/* crosscode.c: a hart rewrites code that all others run all the time. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The code returns its version. A version is announced, written with one store, made visible by
 * a remote fence.i, and then published: whoever runs the code must get one between the last
 * that was published before and the last that was announced behind. The guest ends by the
 * finisher, pass: status 0.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"

#define VERSIONS 300u /* an immediate has 12 bits */

/* li a0, n; ret: one function over two pages' boundary, one within a page. */
static uint32_t pages[2048] __attribute__((aligned(4096)));
static uint32_t *const places[] = {&pages[100], &pages[1023]};

static uint64_t announced, published, ready, wrong, runs;
static volatile uint32_t *code;

static void code_write(uint32_t n)
{
    __atomic_store_n(&announced, n, __ATOMIC_SEQ_CST);
    code[0] = n << 20 | 10 << 7 | 0x13;
    fence_all();
    if (hart_count() > 1)
        sbi_call(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, ~0ul, -1ul, 0);
    fence_code();
    __atomic_store_n(&published, n, __ATOMIC_SEQ_CST);
}

static uint64_t code_run(void)
{
    return ((uint64_t(*)(void))(uintptr_t)code)();
}

static void reader(void *arg)
{
    uint64_t bad = 0, count = 0;

    (void)arg;
    fence_code();
    __atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint64_t low = __atomic_load_n(&published, __ATOMIC_SEQ_CST);
        uint64_t seen = code_run();

        bad += seen < low || seen > __atomic_load_n(&announced, __ATOMIC_SEQ_CST);
        count++;
        if (low == VERSIONS)
            break;
    }
    __atomic_fetch_add(&wrong, bad, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&runs, count, __ATOMIC_SEQ_CST);
}

static void place_test(volatile uint32_t *place, const char *name)
{
    wrong = runs = ready = announced = published = 0;
    code = place;
    code[1] = 0x00008067;
    code_write(0);
    for (unsigned i = 1; i < hart_count(); i++)
        hart_launch(i, reader, NULL);
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != hart_count() - 1)
        ;
    for (uint32_t n = 1; n <= VERSIONS; n++) {
        code_write(n);
        wrong += code_run() != n;
    }
    for (unsigned i = 1; i < hart_count(); i++)
        hart_await(i, SBI_HSM_STOPPED);
    tap_ok(wrong == 0, "%u versions of code %s", VERSIONS, name);
    tap_ok(hart_count() == 1 || runs > 0, "others run it meanwhile");
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    place_test(places[0], "within a page");
    place_test(places[1], "that goes on in the next page");
    tap_leave();
}
