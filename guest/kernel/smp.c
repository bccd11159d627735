/* smp.c: a second hart: start, messages, counting together, remote fences, stop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define MESSAGES 100
#define ADDS     20000
#define MOVES    50
#define TEST_VA  0x40000000ul

/* What the two harts share. Words that one waits for are written by the other alone. */
static struct {
    uint64_t begun, satp, sie_on;
    uint64_t ping, pong;
    uint64_t counted, swapped, counters_done;
    uint64_t want, have; /* the value that the page must show; what was read there */
    uint64_t patched, ran, value;
    uint64_t quit;
} shared;

static uint64_t pages[2][512] __attribute__((aligned(4096)));

static uint64_t get(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void put(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Sleeps until an IPI has come. SSIP is cleared before the word is looked at, so none is lost.
 */
static void ipi_wait(const uint64_t *word, uint64_t value)
{
    csr_write(sie, SIP_SSIP);
    while (get(word) != value) {
        wait_for_interrupt();
        csr_clear(sip, SIP_SSIP);
    }
    csr_write(sie, 0);
    csr_clear(sip, SIP_SSIP);
}

/* Half of the increments by amoadd, half by lr/sc. */
static void count(void)
{
    for (unsigned i = 0; i < ADDS; i++) {
        uint64_t old, failed;

        __atomic_fetch_add(&shared.counted, 1, __ATOMIC_RELAXED);
        __asm__ volatile(
            "1: lr.d %0, (%2)\n\taddi %0, %0, 1\n\tsc.d %1, %0, (%2)\n\tbnez %1, 1b"
            : "=&r"(old), "=&r"(failed)
            : "r"(&shared.swapped)
            : "memory");
    }
    __atomic_fetch_add(&shared.counters_done, 1, __ATOMIC_ACQ_REL);
}

/* Two instructions that the boot hart rewrites: li a0, N; ret. */
static uint32_t code[2] __attribute__((aligned(8)));

static void code_write(uint32_t n)
{
    *(volatile uint32_t *)&code[0] = n << 20 | 10 << 7 | 0x13;
    *(volatile uint32_t *)&code[1] = 0x00008067;
}

static uint64_t code_run(void)
{
    return ((uint64_t(*)(void))(uintptr_t)code)();
}

static void second_fences(void)
{
    paging_join();
    for (uint64_t i = 1; i <= MOVES; i++) {
        while (get(&shared.want) != i)
            ;
        put(&shared.value, *(volatile uint64_t *)TEST_VA);
        put(&shared.have, i);
    }
    paging_off();
    for (uint64_t i = 1; i <= MOVES; i++) {
        while (get(&shared.patched) != i)
            ;
        put(&shared.value, code_run());
        put(&shared.ran, i);
    }
}

static void second(void *arg)
{
    (void)arg;
    shared.satp = csr_read(satp);
    shared.sie_on = csr_read(sstatus) & SSTATUS_SIE;
    put(&shared.begun, 1);
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        ipi_wait(&shared.ping, i);
        put(&shared.pong, i);
        ipi_send(0);
    }
    count();
    second_fences();
    while (!get(&shared.quit))
        ;
}

/* Each read after a remote fence must see the page that the tree names by then. */
static bool remote_sfence_good(void)
{
    uint64_t seen = 0;

    for (uint64_t i = 1; i <= MOVES; i++) {
        pages[i & 1][0] = i;
        paging_move(pages[i & 1]);
        fence_page(TEST_VA);
        sbi_call6(SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA,
                  (const uint64_t[6]){1, hart_id(1), TEST_VA, sizeof(pages[0])});
        put(&shared.want, i);
        while (get(&shared.have) != i)
            ;
        seen += get(&shared.value) == i;
    }
    return seen == MOVES;
}

static bool remote_fence_i_good(void)
{
    uint64_t seen = 0;

    for (uint64_t i = 1; i <= MOVES; i++) {
        code_write((uint32_t)i);
        fence_all();
        sbi_call(SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 1, hart_id(1), 0);
        put(&shared.patched, i);
        while (get(&shared.ran) != i)
            ;
        seen += get(&shared.value) == i;
    }
    return seen == MOVES;
}

static void messages_test(void)
{
    for (uint64_t i = 1; i <= MESSAGES; i++) {
        put(&shared.ping, i);
        ipi_send(1);
        ipi_wait(&shared.pong, i);
    }
    tap_ok(true, "second hart: messages go to and fro by IPI and wfi");
}

static void second_test(void)
{
    int64_t error;

    tap_ok(hart_state(1) == SBI_HSM_STOPPED, "second hart: stopped at first");
    paging_on(TEST_VA, pages[0]);
    paging_off();
    error = hart_launch(1, second, NULL);
    tap_ok(error == SBI_SUCCESS, "second hart: HSM starts it");
    if (error)
        return;
    while (!get(&shared.begun))
        ;
    tap_ok(shared.satp == 0 && !shared.sie_on, "second hart: begins with satp 0 and SIE clear");
    tap_ok(hart_state(1) == SBI_HSM_STARTED, "second hart: HSM says that it runs");
    messages_test();
    count();
    while (get(&shared.counters_done) != 2)
        ;
    tap_ok(shared.counted == 2 * ADDS, "second hart: no amoadd is lost");
    tap_ok(shared.swapped == 2 * ADDS, "second hart: no lr/sc is lost");
    tap_ok(remote_sfence_good(), "second hart: a remote sfence.vma shows it each new page");
    tap_ok(remote_fence_i_good(), "second hart: a remote fence.i shows it each new code");
    put(&shared.quit, 1);
    hart_await(1, SBI_HSM_STOPPED);
    tap_ok(true, "second hart: stops itself");
}

static uint64_t gathered;

static void gather(void *arg)
{
    __atomic_fetch_or(&gathered, 1ul << hart_self()->index, __ATOMIC_RELEASE);
    (void)arg;
}

/* All harts, the second one for the second time. */
static void all_test(void)
{
    uint64_t all = 0;
    bool good = true;

    for (unsigned i = 1; i < hart_count(); i++) {
        all |= 1ul << i;
        good = hart_launch(i, gather, NULL) == SBI_SUCCESS && good;
    }
    while (good && get(&gathered) != all)
        ;
    for (unsigned i = 1; good && i < hart_count(); i++)
        hart_await(i, SBI_HSM_STOPPED);
    tap_ok(good, "all harts start and stop");
}

void smp_test(void)
{
    print("# harts: %u, booted on %lu\n", hart_count(), hart_id(0));
    if (hart_count() < 2) {
        tap_skip("there is one hart", "second hart");
        return;
    }
    second_test();
    all_test();
}
