/* test_interp_spaces.c: address spaces of one hart: what switches keep and fences drop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "tests/unit/machine.h"

#define SPACES_AT (CODE + 0x100000) /* tables of the spaces: root, level 1, level 0 */
#define FRAMES_AT (CODE + 0x200000) /* two pages each */
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

static uint64_t *table_at(struct machine *m, unsigned space, unsigned which)
{
    gpa_t at = SPACES_AT + (gpa_t)(space * 3 + which) * MEM_PAGE_SIZE;

    return (uint64_t *)(void *)mem_ptr(&m->vm.mem, at, MEM_PAGE_SIZE);
}

static gpa_t frame(unsigned space, unsigned which)
{
    return FRAMES_AT + (gpa_t)(space * 2 + which) * MEM_PAGE_SIZE;
}

/* The leaf of V_DATA in a space. */
static uint64_t *leaf(struct machine *m, unsigned space)
{
    return table_at(m, space, 2);
}

/*
 * A space of its own: like the first tables, but with another page at V_DATA, which holds 100 +
 * its number; the second frame holds 200 more. Returns satp.
 */
static uint64_t space_make(struct machine *m, unsigned space, uint64_t asid)
{
    uint64_t *root = table_at(m, space, 0), *one = table_at(m, space, 1);
    gpa_t at = SPACES_AT + (gpa_t)space * 3 * MEM_PAGE_SIZE;

    memcpy(root, mem_ptr(&m->vm.mem, TABLES, MEM_PAGE_SIZE), MEM_PAGE_SIZE);
    memcpy(one, (void *)((uintptr_t)machine_pte(m, V_DATA, 1) & RV_PAGE_MASK), MEM_PAGE_SIZE);
    memcpy(leaf(m, space), (void *)((uintptr_t)machine_pte(m, V_DATA, 0) & RV_PAGE_MASK),
           MEM_PAGE_SIZE);
    root[V_DATA >> 30] = PTE_OF(at + MEM_PAGE_SIZE, PTE_V);
    one[V_DATA >> 21 & 511] = PTE_OF(at + 2 * MEM_PAGE_SIZE, PTE_V);
    *leaf(m, space) = PTE_OF(frame(space, 0), PTE_RW);
    machine_poke(m, frame(space, 0), 100 + space);
    machine_poke(m, frame(space, 1), 300 + space);
    return UINT64_C(8) << 60 | asid << 44 | at >> 12;
}

static void setup(struct machine *m, uint64_t asid_one, uint64_t asid_two)
{
    machine_init(m, START_FIRMWARE, 1);
    machine_paging(m, 3);
    m->s.x[S2] = space_make(m, 1, asid_one);
    m->s.x[S3] = space_make(m, 2, asid_two);
    m->s.x[T0] = V_DATA;
    m->s.x[T1] = asid_one;
    m->s.x[T2] = asid_two;
    m->s.x[T3] = V_DATA + MEM_PAGE_SIZE;
}

/* There and back. What was remembered of a space with a number is still there. */
static void test_switch(void)
{
    struct machine m;

    setup(&m, 1, 2);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, S3),
        AS_I(ld, A1, T0, 0), AS_S(sd, A1, T0, 8), AS_CSRW(SATP, S2), AS_I(ld, A2, T0, 0),
        AS_I(ld, A3, T0, 8));
    machine_go(&m, PRIV_S, V_CODE, 8);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT_EQUAL(m.s.x[A1], 102);
    CU_ASSERT_EQUAL(m.s.x[A2], 101);
    CU_ASSERT_EQUAL(m.s.x[A3], 0);
    CU_ASSERT_EQUAL(machine_peek(&m, frame(2, 0) + 8), 102);
    CU_ASSERT_EQUAL(m.h->space->satp, m.s.x[S2]);
    CU_ASSERT_EQUAL(m.h->space->tlb[RV_CTX_S].load[V_DATA >> 12 & (RV_TLB_ENTRIES - 1)].tag,
                    V_DATA);
    machine_destroy(&m);
}

/* Both spaces are used, both leaves changed, a fence comes: which must be seen as they are? */
static void check_fence(uint32_t fence, const struct hart_fence *remote, bool one, bool two)
{
    struct machine m;

    setup(&m, 1, 2);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, S3),
        AS_I(ld, A1, T0, 0), fence, AS_CSRW(SATP, S2), AS_I(ld, A2, T0, 0), AS_CSRW(SATP, S3),
        AS_I(ld, A3, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 4);
    *leaf(&m, 1) = PTE_OF(frame(1, 1), PTE_RW);
    *leaf(&m, 2) = PTE_OF(frame(2, 1), PTE_RW);
    if (remote)
        m.vm.engine->fence(&m.vm.hart[0], remote);
    machine_run(&m, 5);
    CU_ASSERT(m.s.x[A2] == 301 || (!one && m.s.x[A2] == 101));
    CU_ASSERT(m.s.x[A3] == 302 || (!two && m.s.x[A3] == 102));
    machine_destroy(&m);
}

static void test_fences(void)
{
    static const struct {
        struct hart_fence fence;
        bool one, two;
    } remote[] = {
        {{FENCE_VMA, 0, UINT64_MAX, 0},        true,  true },
        {{FENCE_VMA, V_DATA, 4096, 0},         true,  true },
        {{FENCE_VMA_ASID, 0, UINT64_MAX, 1},   true,  false},
        {{FENCE_VMA_ASID, V_DATA, 4096, 2},    false, true },
        {{FENCE_VMA_ASID, V_DATA, 1 << 20, 2}, false, true },
    };

    check_fence(AS_R(sfence_vma, ZERO, ZERO, ZERO), NULL, true, true);
    check_fence(AS_R(sfence_vma, ZERO, ZERO, T1), NULL, true, false);
    check_fence(AS_R(sfence_vma, ZERO, ZERO, T2), NULL, false, true);
    check_fence(AS_R(sfence_vma, ZERO, T0, ZERO), NULL, true, true);
    check_fence(AS_R(sfence_vma, ZERO, T0, T1), NULL, true, false);
    check_fence(AS_R(sfence_vma, ZERO, T0, T2), NULL, false, true);
    check_fence(AS_R(sinval_vma, ZERO, T0, T1), NULL, true, false);
    check_fence(AS_R(sfence_vma, ZERO, T3, ZERO), NULL, false, false);
    for (size_t i = 0; i < COUNT(remote); i++)
        check_fence(AS_NOP, &remote[i].fence, remote[i].one, remote[i].two);
}

/* One number for two tables: a fence for the number concerns both. */
static void test_shared_number(void)
{
    struct machine m;

    setup(&m, 3, 3);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, S3),
        AS_R(sfence_vma, ZERO, ZERO, T1), AS_CSRW(SATP, S2), AS_R(sfence_vma, ZERO, ZERO, T1),
        AS_I(ld, A2, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 3);
    *leaf(&m, 1) = PTE_OF(frame(1, 1), PTE_RW);
    machine_run(&m, 4);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT_EQUAL(m.s.x[A2], 301);
    machine_destroy(&m);
}

/* A guest without numbers that never fences sees its tables anew after each switch. */
static void test_without_numbers(void)
{
    struct machine m;

    setup(&m, 0, 0);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, S3),
        AS_I(ld, A1, T0, 0), AS_CSRW(SATP, S2), AS_I(ld, A2, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 3);
    *leaf(&m, 1) = PTE_OF(frame(1, 1), PTE_RW);
    machine_run(&m, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT_EQUAL(m.s.x[A1], 102);
    CU_ASSERT_EQUAL(m.s.x[A2], 301);
    machine_destroy(&m);
}

/* More spaces than a hart remembers, twice around. */
static void test_many(void)
{
    enum { MANY = 3 * RV_SPACES };
    struct machine m;

    setup(&m, 1, 2);
    for (unsigned i = 0; i < MANY; i++)
        machine_poke(&m, DATA + 4096 + 8 * (gpa_t)i, space_make(&m, i, i + 1));
    PUT(&m, CODE, AS_R(add, S4, T3, ZERO), AS_I(addi, S5, S4, 8 * MANY), AS_I(ld, A0, S4, 0),
        AS_CSRW(SATP, A0), AS_I(ld, A1, T0, 0), AS_S(sd, A1, S4, 1024), AS_I(addi, S4, S4, 8),
        AS_B(bne, S4, S5, -20), AS_J(ZERO, -32));
    m.s.satp = space_make(&m, MANY, 0);
    machine_go(&m, PRIV_S, V_CODE, 2 * (3 + 6 * MANY));
    for (unsigned i = 0; i < MANY; i++)
        CU_ASSERT_EQUAL(machine_peek(&m, DATA + 4096 + 1024 + 8 * (gpa_t)i), 100 + i);
    machine_destroy(&m);
}

/* Without translation and with it again: at once, without a fence. */
static void test_bare(void)
{
    struct machine m;

    setup(&m, 1, 2);
    /* The code is at one address both ways. */
    table_at(&m, 1, 0)[CODE >> 30] = PTE_OF(CODE >> 30 << 30, PTE_RX | PTE_W | PTE_D);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, ZERO),
        AS_I(ld, A1, T4, 0), AS_CSRW(SATP, S2), AS_I(ld, A2, T0, 0), AS_I(ld, A3, T4, 0));
    m.s.x[T4] = frame(2, 0);
    m.s.satp = 0;
    machine_go(&m, PRIV_S, CODE, 7);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT_EQUAL(m.s.x[A1], 102);
    CU_ASSERT_EQUAL(m.s.x[A2], 101);
    CU_ASSERT_EQUAL(m.s.x[A3], 102);
    machine_destroy(&m);
}

/* A page that led to a device leads to memory, and back; each time with a fence. */
static void test_device(uint32_t fence)
{
    struct machine m;

    setup(&m, 1, 2);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), fence, AS_I(ld, A1, T0, 0),
        AS_I(ld, A2, T0, 8), fence, AS_I(ld, A3, T0, 0));
    machine_go(&m, PRIV_S, V_CODE, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    *leaf(&m, 1) = PTE_OF(NOWHERE, PTE_RW);
    machine_run(&m, 2);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_ACCESS, V_DATA, V_CODE + 12));
    machine_go(&m, PRIV_S, V_CODE, 2);
    CU_ASSERT(machine_trapped(&m, RV_LOAD_ACCESS, V_DATA, V_CODE + 4));
    *leaf(&m, 1) = PTE_OF(frame(1, 0), PTE_RW);
    machine_go(&m, PRIV_S, V_CODE, 4);
    CU_ASSERT_EQUAL(m.s.x[A1], 101);
    machine_destroy(&m);
}

static void test_devices(void)
{
    test_device(AS_R(sfence_vma, ZERO, ZERO, ZERO));
    test_device(AS_R(sfence_vma, ZERO, T0, ZERO));
    test_device(AS_R(sfence_vma, ZERO, T0, T1));
}

/*
 * A device's registers at the same page as memory later: what was remembered of the device goes
 * with the fence.
 */
static void test_device_moves(void)
{
    struct machine m;

    setup(&m, 1, 2);
    *leaf(&m, 1) = PTE_OF(PLAT_CLINT_BASE, PTE_RW); /* msip of hart 0 */
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(lw, A0, T0, 0), AS_I(lw, A1, T0, 0),
        AS_R(sfence_vma, ZERO, T0, ZERO), AS_I(lw, A2, T0, 0), AS_S(sw, A2, T0, 16));
    machine_go(&m, PRIV_S, V_CODE, 3);
    CU_ASSERT_EQUAL(m.s.x[A0], 0);
    CU_ASSERT_EQUAL(m.s.x[A1], 0);
    *leaf(&m, 1) = PTE_OF(frame(1, 1), PTE_RW);
    machine_run(&m, 3);
    CU_ASSERT_EQUAL(m.s.x[A2], 301);
    CU_ASSERT_EQUAL(machine_peek(&m, frame(1, 1) + 16), 301);
    machine_destroy(&m);
}

/* The table of V_DATA in space 1 gives way to that of space 2, at one of the levels above. */
static void table_move(struct machine *m, unsigned level)
{
    unsigned shift = 12 + 9 * level;
    gpa_t to = SPACES_AT + (gpa_t)(2 * 3 + 3 - level) * MEM_PAGE_SIZE;

    table_at(m, 1, 2 - level)[V_DATA >> shift & 511] = PTE_OF(to, PTE_V);
}

/*
 * A walk that has led to the table of V_DATA leads there again for the page behind. Then a
 * table on the way is another, a fence comes: which must the second page be?
 */
static void check_steps(uint32_t fence, const struct hart_fence *remote, bool whole, bool anew)
{
    for (unsigned level = 1; level <= 2; level++) {
        struct machine m;

        setup(&m, 1, 2);
        m.h->whole_walks = whole;
        leaf(&m, 1)[1] = PTE_OF(frame(1, 1), PTE_RW);
        leaf(&m, 2)[1] = PTE_OF(frame(2, 1), PTE_RW);
        PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), fence, AS_I(ld, A1, T3, 0));
        machine_go(&m, PRIV_S, V_CODE, 2);
        table_move(&m, level);
        if (remote)
            m.vm.engine->fence(&m.vm.hart[0], remote);
        machine_run(&m, 2);
        CU_ASSERT_EQUAL(m.s.x[A0], 101);
        CU_ASSERT_EQUAL(m.s.x[A1], anew ? 302 : 301);
        machine_destroy(&m);
    }
}

static void test_steps(void)
{
    static const struct hart_fence remote[] = {
        {FENCE_VMA,      0,             UINT64_MAX, 0},
        {FENCE_VMA,      V_DATA,        8192,       0},
        {FENCE_VMA_ASID, 0,             UINT64_MAX, 1},
        {FENCE_VMA_ASID, V_DATA + 4096, 1,          1},
    };
    static const struct hart_fence other = {FENCE_VMA_ASID, 0, UINT64_MAX, 2};

    check_steps(AS_NOP, NULL, false, false);
    check_steps(AS_NOP, NULL, true, true);
    check_steps(AS_R(sfence_vma, ZERO, ZERO, ZERO), NULL, false, true);
    check_steps(AS_R(sfence_vma, ZERO, ZERO, T1), NULL, false, true);
    check_steps(AS_R(sfence_vma, ZERO, ZERO, T2), NULL, false, false);
    check_steps(AS_R(sfence_vma, ZERO, T3, ZERO), NULL, false, true);
    check_steps(AS_R(sfence_vma, ZERO, T3, T1), NULL, false, true);
    check_steps(AS_R(sfence_vma, ZERO, T3, T2), NULL, false, false);
    check_steps(AS_R(sinval_vma, ZERO, T3, T1), NULL, false, true);
    check_steps(AS_NOP, &other, false, false);
    for (size_t i = 0; i < COUNT(remote); i++)
        check_steps(AS_NOP, &remote[i], false, true);
}

/* Back in a space, with a number of its own and without: 0 begins anew, each time. */
static void check_steps_switch(uint64_t asid, uint64_t want)
{
    struct machine m;

    setup(&m, asid, 2);
    leaf(&m, 1)[1] = PTE_OF(frame(1, 1), PTE_RW);
    leaf(&m, 2)[1] = PTE_OF(frame(2, 1), PTE_RW);
    PUT(&m, CODE, AS_CSRW(SATP, S2), AS_I(ld, A0, T0, 0), AS_CSRW(SATP, S3),
        AS_I(ld, A1, T3, 0), AS_CSRW(SATP, S2), AS_I(ld, A2, T3, 0));
    machine_go(&m, PRIV_S, V_CODE, 4);
    table_move(&m, 1);
    machine_run(&m, 2);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT_EQUAL(m.s.x[A1], 302);
    CU_ASSERT_EQUAL(m.s.x[A2], want);
    machine_destroy(&m);
}

static void test_steps_switch(void)
{
    check_steps_switch(1, 301);
    check_steps_switch(0, 302);
}

/* M-mode takes the table away, or a piece of it: walks fault there at once, and only there. */
static void check_steps_pmp(bool before, unsigned size, uint64_t offset, bool faults)
{
    const gpa_t table = SPACES_AT + 5 * MEM_PAGE_SIZE;
    struct machine m;

    setup(&m, 1, 2);
    leaf(&m, 1)[1] = PTE_OF(frame(1, 1), PTE_RW);
    m.s.x[T4] = (table + offset) >> 2 | (size / 8 - 1);
    m.s.x[T5] = 0x18; /* NAPOT, nothing allowed */
    m.s.satp = m.s.x[S2];
    m.s.mstatus |= RV_MPRV | 1ull << RV_MPP_SHIFT; /* loads are S-mode's */
    PUT(&m, CODE, before ? AS_NOP : AS_I(ld, A0, T0, 0), AS_CSRW(PMPADDR0, T4),
        AS_CSRW(PMPCFG0, T5), before ? AS_I(ld, A0, T0, 0) : AS_NOP, AS_I(ld, A1, T3, 0));
    machine_go(&m, PRIV_M, CODE, 5);
    CU_ASSERT_EQUAL(m.s.x[A0], 101);
    CU_ASSERT(faults ? machine_trapped(&m, RV_LOAD_ACCESS, V_DATA + MEM_PAGE_SIZE, CODE + 16)
                     : m.s.x[A1] == 301);
    machine_destroy(&m);
}

static void test_steps_pmp(void)
{
    check_steps_pmp(false, MEM_PAGE_SIZE, 0, true);
    for (unsigned before = 0; before < 2; before++) {
        check_steps_pmp(before, 8, 8, true);
        check_steps_pmp(before, 8, 16, false);
    }
}

void interp_space_tests(struct CU_Suite *suite)
{
    CU_add_test(suite, "steps of walks and fences", test_steps);
    CU_add_test(suite, "steps of walks and switches", test_steps_switch);
    CU_add_test(suite, "steps of walks and PMP", test_steps_pmp);
    CU_add_test(suite, "a switch of address spaces", test_switch);
    CU_add_test(suite, "fences of address spaces", test_fences);
    CU_add_test(suite, "two spaces with one number", test_shared_number);
    CU_add_test(suite, "spaces without numbers", test_without_numbers);
    CU_add_test(suite, "more spaces than are kept", test_many);
    CU_add_test(suite, "paging off and on", test_bare);
    CU_add_test(suite, "fences where there is no memory", test_devices);
    CU_add_test(suite, "fences where there was a device", test_device_moves);
}
