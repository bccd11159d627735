/* test_dbt_mem.c: loads that guess where their page lies, groups off registers that move. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <string.h>
#include "vmm/engine/dbt/dbt.h"

/* How a guest runs, which must not show. */
static const struct way {
    bool dbt;
    unsigned without;
} ways[] = {
    {false, 0                               },
    {true,  WITHOUT_GUESSES | WITHOUT_GROUPS},
    {true,  WITHOUT_GUESSES                 },
    {true,  WITHOUT_GROUPS                  },
    {true,  0                               }, /* last: what is left behind is looked at */
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void begin(struct machine *m, const struct way *way)
{
    machine_use(way->dbt ? MACHINE_DBT : MACHINE_INTERP);
    machine_init(m, START_FIRMWARE, 1);
    m->s.x[A1] = 0; /* it was the device tree's */
    if (way->dbt) {
        machine_dbt(m)->without = way->without;
        machine_dbt(m)->heat = 2; /* what has not run is no loop */
    }
}

/* --- lists: 8 pages of S-mode, scattered over memory --- */

#define PAGES       8
#define PAGE_OF(i)  (V_DATA + (uint64_t)(i)*MEM_PAGE_SIZE)
#define PLACE_OF(i) (DATA + (gpa_t)((i)*5 % PAGES) * MEM_PAGE_SIZE)
#define OTHER_OF(i) (DATA + (gpa_t)(PAGES + (i)) * MEM_PAGE_SIZE)
#define ELEMENT     24u /* bytes: the next one's address, a number, nothing */
#define ELEMENTS    100u

static void pages_map(struct machine *m)
{
    machine_paging(m, 3);
    for (unsigned i = 0; i < PAGES; i++)
        *machine_pte(m, PAGE_OF(i), 0) = PTE_OF(PLACE_OF(i), PTE_RW);
}

static void word_poke(struct machine *m, uint64_t va, uint64_t value)
{
    machine_poke(m, PLACE_OF((va - V_DATA) / MEM_PAGE_SIZE) + va % MEM_PAGE_SIZE, value);
}

/* An element's address: they go through the first `pages` pages in turns. */
static uint64_t element(unsigned i, unsigned pages)
{
    return PAGE_OF(i % pages) + (uint64_t)(i / pages * 37 % ELEMENTS) * ELEMENT + 64;
}

/* The list and who walks it, with A0, or S4, which has no register of the host. */
static void list_put(struct machine *m, unsigned pages)
{
    pages_map(m);
    for (unsigned i = 0; i < ELEMENTS; i++) {
        word_poke(m, element(i, pages), element((i + 1) % ELEMENTS, pages));
        word_poke(m, element(i, pages) + 8, 3 * i + 1);
    }
    m->s.x[A0] = m->s.x[S4] = element(0, pages);
}

/* One look for each element; for what a group has; with a copy and a jump on the way. */
static void walk_single(struct machine *m)
{
    PUT(m, CODE, AS_I(ld, A0, A0, 0), AS_I(addi, A1, A1, 1), AS_R(xor, A2, A2, A0),
        AS_J(ZERO, -12));
}

static void walk_group(struct machine *m)
{
    PUT(m, CODE, AS_I(ld, A2, A0, 8), AS_R(add, A1, A1, A2), AS_I(ld, A0, A0, 0),
        AS_J(ZERO, -12));
}

static void walk_storing(struct machine *m)
{
    PUT(m, CODE, AS_I(lw, A2, A0, 8), AS_R(add, A1, A1, A2), AS_S(sd, A1, A0, 16),
        AS_I(ld, A3, A0, 0), AS_I(addi, A0, A3, 0), AS_J(ZERO, -20));
}

static void walk_memory(struct machine *m)
{
    PUT(m, CODE, AS_I(addi, S5, S4, 0), AS_I(ld, S4, S5, 0), AS_R(add, A1, A1, S4),
        AS_J(ZERO, 8), AS_SELF, AS_B(bne, S4, ZERO, -20), AS_SELF);
}

/* A search: what it finds leads out of the loop, to before it. */
static void walk_search(struct machine *m)
{
    PUT(m, CODE, AS_J(ZERO, 8), AS_SELF, AS_I(ld, A2, A0, 8), AS_B(beq, A2, ZERO, -8),
        AS_I(ld, A0, A0, 0), AS_B(bne, A0, ZERO, -12), AS_SELF);
}

typedef void walk_fn(struct machine *m);
static walk_fn *const walks[] = {walk_single, walk_group, walk_storing, walk_memory,
                                 walk_search};
#define WALKS (sizeof(walks) / sizeof(walks[0]))

/* Guesses that were wrong too often, and those that were right most of the time. */
static unsigned guesses(const struct machine *m, bool tired)
{
    unsigned n = 0;

    for (unsigned i = 0; i < RV_GUESSES; i++)
        n += tired ? m->h->guess[i].addend == RV_GUESS_NONE && m->h->guess[i].left == 0
                   : m->h->guess[i].addend > RV_GUESS_NONE && m->h->guess[i].left > 32;
    return n;
}

/* Are there so many? A TLB of one entry finds too little for anybody to guess as it should. */
static bool guess_count(const struct machine *m, bool tired, unsigned n)
{
#ifdef RV_TLB_ONE
    return guesses(m, tired) <= 1 && n <= 1;
#else
    return guesses(m, tired) == n;
#endif
}

static void same_each_way(unsigned pages, walk_fn *walk, uint64_t steps)
{
    struct hart_state first;
    struct machine m;

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        list_put(&m, pages);
        walk(&m);
        machine_go(&m, PRIV_S, V_CODE, steps);
        if (w == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        if (w == WAYS - 1) {
            CU_ASSERT(guess_count(&m, false, pages == 1));
            CU_ASSERT(guess_count(&m, true, pages > 1));
        } else if (ways[w].dbt && (ways[w].without & WITHOUT_GUESSES)) {
            CU_ASSERT_EQUAL(guesses(&m, false) + guesses(&m, true), 0);
        }
        machine_destroy(&m);
    }
}

static void test_one_page(void)
{
    for (unsigned i = 0; i < WALKS; i++)
        same_each_way(1, walks[i], 5000);
}

/* Every guess is wrong, until there are none. */
static void test_scattered(void)
{
    for (unsigned i = 0; i < WALKS; i++)
        same_each_way(PAGES, walks[i], 5000);
}

/* A place that was wrong too often guesses again some time later. */
static void test_renewed(void)
{
    struct machine m;

    begin(&m, &ways[WAYS - 1]);
    list_put(&m, PAGES);
    walk_single(&m);
    machine_go(&m, PRIV_S, V_CODE, 5000);
    CU_ASSERT(guess_count(&m, true, 1));
    list_put(&m, 1);
    dbt_hart_of(m.h)->renewed = m.h->steps + 20000 - GUESS_STEPS;
    machine_go(&m, PRIV_S, V_CODE, 5000);
    CU_ASSERT(guess_count(&m, true, 1));
    machine_run(&m, 40000);
    CU_ASSERT(guess_count(&m, true, 0));
    CU_ASSERT(guess_count(&m, false, 1));
    machine_destroy(&m);
}

/* --- where the guess has been right all the time, and no longer is --- */

/* The page lies elsewhere, with another list, behind a fence that the guest executes. */
static void test_remapped(void)
{
    struct hart_state first;
    struct machine m;

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        list_put(&m, 1);
        walk_group(&m);
        for (unsigned i = 0; i < ELEMENTS; i++) {
            gpa_t at = OTHER_OF(0) + element(i, 1) % MEM_PAGE_SIZE;

            machine_poke(&m, at, element((i + 1) % ELEMENTS, 1));
            machine_poke(&m, at + 8, 1000000);
        }
        machine_go(&m, PRIV_S, V_CODE, 4000);
        *machine_pte(&m, PAGE_OF(0), 0) = PTE_OF(OTHER_OF(0), PTE_RW);
        PUT(&m, CODE + 0x1000, AS_R(sfence_vma, 0, ZERO, ZERO), AS_J(ZERO, -0x1004));
        m.s.x[A1] = 0;
        machine_go(&m, PRIV_S, V_CODE + 0x1000, 4002);
        if (w == 0)
            first = m.s;
        CU_ASSERT_EQUAL(m.s.x[A1], 1000000000);
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        machine_destroy(&m);
    }
}

/* The last element's address is `last`, where the load traps with that address and cause. */
static void faults(uint64_t last, uint64_t cause, uint64_t tval)
{
    struct hart_state first;
    struct machine m;

    for (unsigned i = 0; i < WALKS; i++)
        for (unsigned w = 0; w < WAYS; w++) {
            begin(&m, &ways[w]);
            list_put(&m, 1);
            word_poke(&m, element(ELEMENTS - 1, 1), last);
            *machine_pte(&m, PAGE_OF(1), 0) = 0;
            *machine_pte(&m, PAGE_OF(2), 0) = PTE_OF(NOWHERE, PTE_RW);
            m.s.medeleg = 0;
            walks[i](&m);
            PUT(&m, HANDLER, AS_SELF);
            machine_go(&m, PRIV_S, V_CODE, 2000);
            if (w == 0)
                first = m.s;
            CU_ASSERT_EQUAL(m.s.mcause, cause);
            CU_ASSERT(m.s.mtval == tval || m.s.mtval == tval + 8);
            CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
            machine_destroy(&m);
        }
}

static void test_faults(void)
{
    faults(PAGE_OF(1) + 16, RV_LOAD_PAGE, PAGE_OF(1) + 16);
    faults(PAGE_OF(2), RV_LOAD_ACCESS, PAGE_OF(2));
    faults(0x8000000000, RV_LOAD_PAGE, 0x8000000000); /* not canonical */
    faults(~UINT64_C(0) - 15, RV_LOAD_PAGE, ~UINT64_C(0) - 15);
}

/* Elements over the end of a page, whose neighbour in memory is another's. */
static void test_across(void)
{
    struct hart_state first;
    struct machine m;

    for (unsigned i = 0; i < WALKS; i++)
        for (unsigned w = 0; w < WAYS; w++) {
            uint64_t across = PAGE_OF(1) - 4;

            begin(&m, &ways[w]);
            list_put(&m, 1);
            word_poke(&m, element(ELEMENTS - 1, 1), across);
            word_poke(&m, PAGE_OF(1) - 8, element(0, 1) << 32);
            word_poke(&m, PAGE_OF(1), element(0, 1) >> 32 | UINT64_C(5) << 32);
            walks[i](&m);
            machine_go(&m, PRIV_S, V_CODE, 5000);
            if (w == 0)
                first = m.s;
            CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
            CU_ASSERT_EQUAL(m.s.mcause, 0);
            machine_destroy(&m);
        }
}

/* --- groups off a register that moves --- */

/* Up and down over the borders of pages, of which the last may be absent. */
static void put_moving(struct machine *m, bool whole)
{
    pages_map(m);
    if (!whole)
        *machine_pte(m, PAGE_OF(PAGES - 1), 0) = 0;
    m->s.medeleg = 0;
    m->s.x[A0] = PAGE_OF(0) + 64;
    m->s.x[S4] = PAGE_OF(PAGES - 2) + 4;
    m->s.x[T6] = PAGE_OF(PAGES) - 64;
    m->s.x[T5] = 77;
    PUT(m, HANDLER, AS_SELF);
    PUT(m, CODE, AS_I(lw, A1, A0, 4), AS_I(addi, A0, A0, 12), AS_R(add, A2, A2, A1),
        AS_S(sw, A2, A0, -4), AS_I(addi, A0, A0, 5), AS_B(beq, A1, T5, 40),
        AS_S(sd, A0, A0, 16), AS_I(addi, A2, A2, 1), AS_I(ld, A3, A0, -16),
        AS_I(lhu, A4, S4, 0), AS_I(addi, S4, S4, -6), AS_S(sb, A3, S4, 6),
        AS_R(xor, A2, A2, A3), AS_I(ld, S4, S4, 0), AS_R(sub, S4, S4, S4),
        AS_R(add, S4, A0, ZERO), AS_B(bltu, A0, T6, -64), AS_SELF);
}

static void moving(bool whole, uint64_t steps)
{
    struct hart_state first;
    struct machine m;

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        put_moving(&m, whole);
        machine_go(&m, PRIV_S, V_CODE, steps);
        if (w == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        CU_ASSERT_EQUAL(m.s.mcause, whole ? 0 : RV_STORE_PAGE);
        CU_ASSERT_EQUAL(m.s.pc, whole ? V_CODE + 68 : HANDLER);
        CU_ASSERT(whole || (m.s.mtval == PAGE_OF(PAGES - 1) + 2 && m.s.mepc == V_CODE + 24));
        machine_destroy(&m);
    }
}

static void test_moving(void)
{
    moving(true, 40000);
    moving(false, 40000);
}

#endif

void suite_dbt_mem(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_mem", NULL, machine_back);

    CU_add_test(suite, "a list in a page", test_one_page);
    CU_add_test(suite, "a list over scattered pages", test_scattered);
    CU_add_test(suite, "a place guesses again", test_renewed);
    CU_add_test(suite, "a page that is mapped elsewhere", test_remapped);
    CU_add_test(suite, "a list that leads astray", test_faults);
    CU_add_test(suite, "an element across pages", test_across);
    CU_add_test(suite, "a group off a register that moves", test_moving);
#endif
}
