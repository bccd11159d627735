/* test_dbt_share.c: harts that share decoded pages and translated code. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/engine/dbt/dbt.h"

static struct rv_hart *hart_of(struct machine *m, unsigned index)
{
    return &((struct interp *)m->vm.hart[index].engine_state)->hart;
}

static void begin(struct machine *m, bool dbt, unsigned nharts)
{
    machine_use(dbt ? MACHINE_DBT : MACHINE_INTERP);
    machine_init(m, START_FIRMWARE, nharts);
    m->s.x[A0] = m->s.x[A1] = 0; /* were the hart's ID and the device tree's address */
}

/* A hart begins as hart 0 does, at pc. */
static void set_hart(struct machine *m, unsigned index, uint64_t pc)
{
    m->s.pc = pc;
    m->vm.engine->state_set(&m->vm.hart[index], &m->s);
}

/* For so many steps. A budget that ends stops all harts, which is nothing to this one. */
static void run_hart(struct machine *m, unsigned index, uint64_t steps)
{
    struct rv_hart *h = hart_of(m, index);

    h->step_limit = h->steps + steps;
    while (h->steps < h->step_limit) {
        atomic_store(&m->vm.stopping, false);
        atomic_fetch_and(&m->vm.hart[index].requests, ~HART_REQ_STOP);
        m->vm.engine->run(&m->vm.hart[index]);
    }
}

static void fence_i(struct machine *m, unsigned index)
{
    const struct hart_fence fence = {.kind = FENCE_I};

    m->vm.engine->fence(&m->vm.hart[index], &fence);
}

static void check_entry(struct rv_hart *h, struct rv_fetch_entry *entry)
{
    const struct interp *in = interp_of(h);
    const struct code_slot *slot = NULL;

    for (unsigned i = 0; i < CODE_SLOTS && !slot; i++)
        if (in->code[i].key && in->code[i].page == entry->page)
            slot = &in->code[i];
    CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
    CU_ASSERT_EQUAL(entry->stamp, entry->page->stamp);
}

/* Does it stand in the pool, or outside as it should? */
static bool is_pooled(const struct code_pool *pool, const struct code_page *page)
{
    for (unsigned i = 0; i < CODE_CHAINS; i++)
        for (const struct code_page *p = pool->chain[i]; p; p = p->next)
            if (p == page)
                return true;
    return false;
}

static unsigned count_holders(struct machine *m, const struct code_page *page)
{
    unsigned n = 0;

    for (unsigned i = 0; i < m->vm.nharts; i++)
        for (unsigned k = 0; k < CODE_SLOTS; k++)
            n += interp_of(hart_of(m, i))->code[k].page == page;
    return n;
}

/*
 * No hart runs. What harts have: pages that count them, in the pool unless the hart is late;
 * fetch entries that lead to those, with their stamps.
 */
static void check_pages(struct machine *m)
{
    struct code_pool *pool = interp_of(m->h)->pool;

    for (unsigned i = 0; i < m->vm.nharts; i++) {
        struct rv_hart *h = hart_of(m, i);
        bool late = dbt_hart_of(h)->seen != pool->retired;

        for (unsigned k = 0; k < CODE_SLOTS; k++) {
            const struct code_slot *slot = &interp_of(h)->code[k];

            if (!slot->key)
                continue;
            CU_ASSERT_EQUAL(slot->page->key, slot->key);
            CU_ASSERT_EQUAL(slot->page->stamp, slot->stamp);
            CU_ASSERT_EQUAL(slot->page->refs, count_holders(m, slot->page));
            CU_ASSERT(late || !slot->page->dead);
            CU_ASSERT_EQUAL(is_pooled(pool, slot->page), !slot->page->dead);
        }
        rv_fetch_each(h, check_entry);
    }
}

/* A loop in two pages. */
static void put_loop(struct machine *m, int step)
{
    PUT(m, CODE, AS_I(addi, A0, A0, step), AS_J(ZERO, 0xffc));
    PUT(m, CODE + 0x1000, AS_I(addi, A1, A1, 1), AS_J(ZERO, -0x1004));
}

static void test_once(void)
{
    uint64_t translations, chained;
    unsigned npages;
    struct machine m;

    begin(&m, true, 3);
    put_loop(&m, 1);
    for (unsigned i = 0; i < 3; i++)
        set_hart(&m, i, CODE);
    run_hart(&m, 0, 4000);
    translations = machine_dbt(&m)->translations;
    chained = machine_dbt(&m)->chained;
    npages = interp_of(m.h)->pool->npages;
    CU_ASSERT(translations >= 2 && chained == 2 && npages == 2);
    for (unsigned i = 1; i < 3; i++) {
        run_hart(&m, i, 4000);
        CU_ASSERT_EQUAL(hart_of(&m, i)->x[A0], 1000);
        CU_ASSERT_EQUAL(hart_of(&m, i)->x[A1], 1000);
        CU_ASSERT(dbt_hart_of(hart_of(&m, i))->entered < 4); /* what it runs is linked */
    }
    CU_ASSERT_EQUAL(machine_dbt(&m)->translations, translations);
    CU_ASSERT_EQUAL(machine_dbt(&m)->chained, chained);
    CU_ASSERT_EQUAL(interp_of(m.h)->pool->npages, npages);
    machine_destroy(&m);
}

/* Each hart runs what it has fenced, whatever another has; what comes back has its code still.
 */
static void check_contents(bool dbt)
{
    uint64_t translations = 0;
    struct machine m;

    begin(&m, dbt, 2);
    put_loop(&m, 1);
    set_hart(&m, 0, CODE);
    set_hart(&m, 1, CODE);
    run_hart(&m, 0, 400);
    run_hart(&m, 1, 400);
    put_loop(&m, 16); /* with hart 0's fence */
    run_hart(&m, 0, 400);
    run_hart(&m, 1, 400);
    CU_ASSERT_EQUAL(hart_of(&m, 0)->x[A0], 100 + 1600);
    CU_ASSERT_EQUAL(hart_of(&m, 1)->x[A0], 100 + 100);
    fence_i(&m, 1);
    run_hart(&m, 1, 400);
    CU_ASSERT_EQUAL(hart_of(&m, 1)->x[A0], 200 + 1600);
    if (dbt)
        translations = machine_dbt(&m)->translations;
    put_loop(&m, 1);
    run_hart(&m, 0, 400);
    run_hart(&m, 1, 400);
    CU_ASSERT_EQUAL(hart_of(&m, 0)->x[A0], 100 + 1600 + 100);
    CU_ASSERT_EQUAL(hart_of(&m, 1)->x[A0], 200 + 1600 + 1600);
    if (dbt) {
        CU_ASSERT_EQUAL(machine_dbt(&m)->translations, translations);
        check_pages(&m);
    }
    machine_destroy(&m);
}

static void test_contents(void)
{
    check_contents(false);
    check_contents(true);
}

/*
 * cmp dword [rcx + where an entry has its stamp], stamp. Each that waits for `from` waits for
 * `to` from here on; how many.
 */
static unsigned stamps_change(struct machine *m, uint32_t from, uint32_t to)
{
    static const uint8_t compare[] = {0x81, 0x79, offsetof(struct rv_fetch_entry, stamp)};
    const struct cache *cache = &machine_dbt(m)->cache;
    uint8_t *end = cache->write + cache->fixed + cache->used;
    unsigned n = 0;

    for (uint8_t *at = cache->write + cache->fixed; at + 7 <= end; at++) {
        if (memcmp(at, compare, sizeof(compare)) != 0 || memcmp(at + 3, &from, 4) != 0)
            continue;
        memcpy(at + 3, &to, sizeof(to));
        n++;
    }
    return n;
}

/*
 * A hart that already sees the stamp of a link and not yet its distance jumps to where the
 * unlinked jump leads: out, to the right address. Pages without a stamp keep jumps unlinked.
 */
static void test_half_linked(void)
{
    enum { STAMP = 77 };
    struct interp *in;
    struct machine m;

    begin(&m, true, 2);
    in = interp_of(m.h);
    in->pool->stamp = STAMP_LAST;
    put_loop(&m, 1);
    PUT(&m, CODE + 0x1000, AS_I(addi, A1, A1, 1), AS_J(RA, -0x1004));
    set_hart(&m, 0, CODE);
    run_hart(&m, 0, 400);
    CU_ASSERT_EQUAL(machine_dbt(&m)->chained, 0);
    CU_ASSERT_EQUAL(stamps_change(&m, (uint32_t)INT32_MIN, STAMP), 2);
    for (unsigned i = 0; i < CODE_SLOTS; i++)
        in->code[i].stamp = STAMP;
    fence_i(&m, 0);
    run_hart(&m, 0, 400);
    CU_ASSERT_EQUAL(m.h->x[A0], 200);
    CU_ASSERT_EQUAL(m.h->x[A1], 200);
    CU_ASSERT_EQUAL(m.h->pc, CODE);
    machine_destroy(&m);
}

/* A jump to a page that has others behind it later is linked to the first alone. */
static void test_linked_once(void)
{
    uint64_t chained;
    struct machine m;

    begin(&m, true, 2);
    put_loop(&m, 1);
    set_hart(&m, 0, CODE);
    run_hart(&m, 0, 400);
    chained = machine_dbt(&m)->chained;
    CU_ASSERT_EQUAL(chained, 2);
    for (int i = 2; i < 6; i++) {
        PUT(&m, CODE + 0x1000, AS_I(addi, A1, A1, i), AS_J(ZERO, -0x1004));
        run_hart(&m, 0, 400);
        CU_ASSERT_EQUAL(machine_dbt(&m)->chained, ++chained); /* the new page's own */
    }
    CU_ASSERT_EQUAL(m.h->x[A1], 100 * (1 + 2 + 3 + 4 + 5));
    machine_destroy(&m);
}

/*
 * A page that jumps to its last halfword, where an instruction begins that ends in the next.
 * It has no code, so the jump still waits to be linked when a chunk ends behind that. The
 * instructions before the jump have code of many lengths. The steps of a round.
 */
static unsigned put_unlinked(struct machine *m, gpa_t page, unsigned variant, bool near,
                             bool call)
{
    const int32_t target = near ? 0xffe : 0x1ffe;
    const gpa_t last = page + (gpa_t)target;
    unsigned n = 0;

    for (unsigned i = 0; i < variant % 4; i++, n++)
        PUT(m, page + 4 * n, AS_I(addi, A0, A0, 1));
    for (unsigned i = 0; i < variant / 4; i++, n++)
        PUT(m, page + 4 * n, AS_I(addi, T1, T1, 1000));
    PUT(m, page + 4 * n, AS_J(call ? RA : ZERO, target - 4 * (int32_t)n));
    PUT(m, last, AS_J(ZERO, -target));
    return n + 2;
}

static bool is_aligned(const uint8_t *at)
{
    return (uintptr_t)at % 4 == 0;
}

/* What is changed while other harts may run it stands where it is changed at once. */
static void test_words(void)
{
    struct machine m;

    for (unsigned i = 0; i < 64; i++) {
        const bool near = i & 16, call = i & 32;
        const struct dbt *d;
        unsigned steps;
        uint32_t word[3]; /* a record's jump, stamp and other jump */

        begin(&m, true, 2);
        d = machine_dbt(&m);
        steps = put_unlinked(&m, DATA, i % 16, near, call);
        set_hart(&m, 0, DATA);
        run_hart(&m, 0, 10 * steps + BLOCK_STEPS_MAX - 1);
        CU_ASSERT((near ? m.h->link : m.h->chain) != NULL);
        if (near && m.h->link)
            CU_ASSERT(is_aligned(m.h->link));
        if (!near && m.h->chain) {
            memcpy(word, d->cache.write + (m.h->chain - d->cache.exec), sizeof(word));
            for (unsigned k = 0; k < 3; k++)
                CU_ASSERT(word[k] > d->cache.fixed && is_aligned(d->cache.write + word[k]));
        }
        machine_destroy(&m);
    }
}

/* --- code comes and goes --- */

enum { RING = 40 };

/* Pages in a ring with calls, whose code three segments of 4 KiB cannot hold. */
static void put_ring(struct machine *m)
{
    for (int i = 0; i < RING; i++) {
        int next = i + 1 < RING ? (int)MEM_PAGE_SIZE : -(RING - 1) * (int)MEM_PAGE_SIZE;

        PUT(m, DATA + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, i), AS_J(RA, next + 16),
            AS_R(add, A1, A1, A0), AS_J(ZERO, next - 12), AS_R(xor, A1, A1, RA),
            AS_I(slli, A2, A1, 1), AS_R(add, A0, A0, A2), AS_I(jalr, ZERO, RA, 0));
    }
}

static void narrow(struct machine *m)
{
    if (!machine_dbt(m))
        return;
    machine_dbt(m)->cache.segment_size = 4096;
    machine_dbt(m)->cache.nsegments = 3;
}

/* While a hart has not come out of code that was given up, nothing is written there. */
static void test_waits(void)
{
    struct dbt_hart *other;
    uint64_t evictions, sum;
    struct machine m;

    begin(&m, false, 1);
    put_ring(&m);
    set_hart(&m, 0, DATA);
    run_hart(&m, 0, 60000);
    sum = m.h->x[A1];
    machine_destroy(&m);

    begin(&m, true, 2);
    narrow(&m);
    put_ring(&m);
    set_hart(&m, 0, DATA);
    other = dbt_hart_of(hart_of(&m, 1));
    atomic_store(&other->inside, true);
    run_hart(&m, 0, 20000);
    evictions = machine_dbt(&m)->evictions;
    CU_ASSERT(evictions >= 1 && evictions <= 2); /* the segments that were never used */
    run_hart(&m, 0, 20000);
    CU_ASSERT_EQUAL(machine_dbt(&m)->evictions, evictions);
    atomic_store(&other->seen, atomic_load(&interp_of(m.h)->pool->retired));
    atomic_store(&other->inside, false);
    run_hart(&m, 0, 20000);
    CU_ASSERT(machine_dbt(&m)->evictions > evictions + 10);
    CU_ASSERT_EQUAL(m.h->x[A1], sum);
    check_pages(&m);
    machine_destroy(&m);
}

/* Pages that nobody has go when there are many; those that a hart has stay in the pool. */
static void test_unused(void)
{
    struct code_pool *pool;
    struct machine m;

    begin(&m, true, 2);
    pool = interp_of(m.h)->pool;
    put_ring(&m);
    set_hart(&m, 0, DATA);
    set_hart(&m, 1, DATA);
    pool->limit = RING / 2;
    run_hart(&m, 0, 20000);
    CU_ASSERT_EQUAL(pool->npages, RING);
    CU_ASSERT_EQUAL(pool->limit, CODE_PAGES_MAX);
    check_pages(&m);
    code_drop(m.h);
    CU_ASSERT_EQUAL(pool->npages, RING);
    run_hart(&m, 1, 10); /* takes the first of them */
    pool->limit = RING;
    put_loop(&m, 1);
    set_hart(&m, 0, CODE);
    run_hart(&m, 0, 400);
    CU_ASSERT(pool->npages <= 5); /* two of hart 0, three of the other */
    check_pages(&m);
    machine_destroy(&m);
}

/* A guest that rewrites a page leaves no more behind than what comes back next. */
static void test_rewritten(void)
{
    struct code_pool *pool;
    struct machine m;

    begin(&m, true, 2);
    pool = interp_of(m.h)->pool;
    for (int i = 0; i < 100; i++) {
        put_loop(&m, i);
        fence_i(&m, 1);
        for (unsigned k = 0; k < 2; k++) {
            set_hart(&m, k, CODE);
            run_hart(&m, k, 40);
        }
        CU_ASSERT(pool->npages <= 3);
    }
    check_pages(&m);
    machine_destroy(&m);
}

/*
 * What a hart renews while others may run has the contents that it had, not those of memory,
 * which it has not fenced.
 */
static void test_renewed(void)
{
    struct machine m;

    begin(&m, true, 2);
    put_loop(&m, 1);
    set_hart(&m, 0, CODE);
    set_hart(&m, 1, CODE);
    run_hart(&m, 0, 400);
    run_hart(&m, 1, 400);
    put_loop(&m, 16); /* with hart 0's fence */
    dbt_forget(machine_dbt(&m));
    for (unsigned i = 0; i < 2; i++) {
        run_hart(&m, i, 400);
        CU_ASSERT_EQUAL(hart_of(&m, i)->x[A0], i == 0 ? 100 + 1600 : 200);
        CU_ASSERT_EQUAL(hart_of(&m, i)->x[A1], 200);
    }
    check_pages(&m);
    machine_destroy(&m);
}

static void *run_once(void *arg)
{
    struct hart *hart = arg;

    hart->vm->engine->run(hart);
    return NULL;
}

static void sleep_await(struct hart *hart)
{
    while ((atomic_load(&hart->requests) & HART_REQ_WAKE) || !atomic_load(&hart->waiting))
        sched_yield();
}

/*
 * Hart 1 goes to sleep, twice, while hart 0 needs more code than there is room for: nobody
 * waits for who sleeps, however it came to that, and it does not go back to code that is gone.
 */
static void check_sleeper(enum start_kind start, unsigned heat)
{
    const bool kernel = start == START_KERNEL;
    uint64_t evictions = 0, fences;
    struct machine m;
    struct hart *hart;
    pthread_t thread;

    machine_use(MACHINE_DBT);
    machine_init(&m, start, 2);
    narrow(&m);
    put_ring(&m);
    PUT(&m, CODE, AS_I(addi, A0, ZERO, 0), AS_I(addi, A3, A3, 1),
        kernel ? AS_N(ecall) : AS_N(wfi), AS_I(addi, A4, A4, 1), AS_J(ZERO, -16));
    m.s.x[A0] = m.s.x[A1] = 0;
    set_hart(&m, 0, DATA);
    m.s.x[A7] = SBI_EXT_HSM;
    m.s.x[A6] = 3; /* suspend: retentive, by a0 */
    set_hart(&m, 1, CODE);
    hart = &m.vm.hart[1];
    machine_dbt(&m)->heat = heat;
    if (pthread_create(&thread, NULL, run_once, hart) != 0)
        abort();
    for (unsigned i = 0; i < 2; i++) {
        sleep_await(hart);
        fences = hart_of(&m, 1)->fences;
        m.vm.nharts = 1; /* that are told of the end of a budget */
        machine_dbt(&m)->heat = 0;
        run_hart(&m, 0, 60000);
        machine_dbt(&m)->heat = heat;
        m.vm.nharts = 2;
        atomic_store(&m.vm.stopping, i > 0);
        CU_ASSERT(machine_dbt(&m)->evictions > evictions + 10);
        evictions = machine_dbt(&m)->evictions;
        hart_request(hart, i == 0 ? HART_REQ_WAKE : HART_REQ_STOP);
    }
    pthread_join(thread, NULL);
    CU_ASSERT(hart_of(&m, 1)->fences > fences); /* its block is left, whatever it did there */
    CU_ASSERT(!atomic_load(&dbt_hart_of(hart_of(&m, 1))->inside));
    CU_ASSERT_EQUAL(hart_of(&m, 1)->x[A3], 2);
    CU_ASSERT_EQUAL(hart_of(&m, 1)->x[A4], 1);
    machine_destroy(&m);
}

static void test_sleepers(void)
{
    enum { NEVER = 1000 }; /* hot: beyond what is counted */

    check_sleeper(START_FIRMWARE, 0);
    check_sleeper(START_FIRMWARE, NEVER);
    check_sleeper(START_KERNEL, 0);
    check_sleeper(START_KERNEL, NEVER);
}

enum { THREADS = 4, THREAD_RUNS = 30, THREAD_STEPS = 10000 };

struct runner {
    struct machine *m;
    unsigned index;
};

/* Has the hart go on at a page of its own, written anew, from where it goes to the ring. */
static void write_own(struct machine *m, unsigned index, int n)
{
    const int page = RING + (int)index, target = (int)index * 9;
    const gpa_t at = DATA + (gpa_t)page * MEM_PAGE_SIZE;
    const uint32_t words[] = {AS_I(addi, A1, A1, n),
                              AS_J(ZERO, (target - page) * (int)MEM_PAGE_SIZE - 4)};
    struct hart_state s;

    if (mem_write(&m->vm.mem, at, words, sizeof(words)) != 0)
        abort();
    fence_i(m, index);
    m->vm.engine->state_get(&m->vm.hart[index], &s);
    s.pc = at;
    m->vm.engine->state_set(&m->vm.hart[index], &s);
}

static void *run(void *arg)
{
    const struct runner *r = arg;

    for (int i = 0; i < THREAD_RUNS; i++) {
        write_own(r->m, r->index, i);
        run_hart(r->m, r->index, THREAD_STEPS);
        if (i % 8 == 7)
            code_drop(hart_of(r->m, r->index));
    }
    return NULL;
}

/* All harts at once round the same ring, each from another page on, now and then anew. */
static void run_threads(bool dbt, uint64_t *sums)
{
    struct runner runner[THREADS];
    pthread_t thread[THREADS];
    struct machine m;

    begin(&m, dbt, THREADS);
    narrow(&m);
    put_ring(&m);
    for (unsigned i = 0; i < THREADS; i++)
        set_hart(&m, i, DATA);
    for (unsigned i = 0; i < THREADS; i++) {
        runner[i] = (struct runner){&m, i};
        if (pthread_create(&thread[i], NULL, run, &runner[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        sums[i] = hart_of(&m, i)->x[A1] ^ hart_of(&m, i)->pc;
    }
    if (dbt) {
        CU_ASSERT(machine_dbt(&m)->evictions > 2);
        check_pages(&m);
    }
    machine_destroy(&m);
}

static void test_threads(void)
{
    uint64_t expected[THREADS], sums[THREADS];

    run_threads(false, expected);
    for (unsigned i = 0; i < 5; i++) {
        run_threads(true, sums);
        CU_ASSERT_EQUAL(memcmp(sums, expected, sizeof(sums)), 0);
    }
}

#endif

void suite_dbt_share(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_share", NULL, machine_back);

    CU_add_test(suite, "what one hart translated others run", test_once);
    CU_add_test(suite, "each hart sees what it has fenced", test_contents);
    CU_add_test(suite, "a link that is seen in part leads out", test_half_linked);
    CU_add_test(suite, "a jump is linked to one page", test_linked_once);
    CU_add_test(suite, "words that change", test_words);
    CU_add_test(suite, "pages that nobody has", test_unused);
    CU_add_test(suite, "a page rewritten", test_rewritten);
    CU_add_test(suite, "a page renewed", test_renewed);
    CU_add_test(suite, "a segment waits for who is in it", test_waits);
    CU_add_test(suite, "nobody waits for who sleeps", test_sleepers);
    CU_add_test(suite, "four at once in a small cache", test_threads);
#endif
}
