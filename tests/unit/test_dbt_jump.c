/* test_dbt_jump.c: the translator's shortcuts for calls, loads and stores, and pairs. */
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
    {false, 0              },
    {true,  UINT32_MAX     },
    {true,  WITHOUT_RETURNS},
    {true,  WITHOUT_GROUPS },
    {true,  WITHOUT_FUSION },
    {true,  WITHOUT_ALONE  },
    {true,  WITHOUT_TIME   },
    {true,  WITHOUT_SYSTEM },
    {true,  0              }, /* last: what is left behind is looked at */
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void begin(struct machine *m, const struct way *way)
{
    machine_use(way->dbt ? MACHINE_DBT : MACHINE_INTERP);
    machine_init(m, START_FIRMWARE, 1);
    m->s.x[A1] = 0; /* it was the device tree's */
    if (way->dbt)
        machine_dbt(m)->without = way->without;
}

/* A guest: memory and registers; then it runs from pc in a privilege. */
typedef void guest_put(struct machine *m);

/* The same state in the end, each way; `check` looks at the last one. */
static void same_each_way(guest_put *put, unsigned priv, uint64_t pc, uint64_t steps,
                          void (*check)(const struct machine *m))
{
    struct hart_state first;
    struct machine m;

    for (unsigned i = 0; i < WAYS; i++) {
        begin(&m, &ways[i]);
        put(&m);
        machine_go(&m, priv, pc, steps);
        if (i == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        check(&m);
        machine_destroy(&m);
    }
}

/* --- calls and returns --- */

/* fib(15) in A0, by recursion. */
static void put_fibonacci(struct machine *m)
{
    m->s.x[SP] = DATA + 0x8000;
    PUT(m, CODE, AS_I(addi, A0, ZERO, 15), AS_J(RA, 8), AS_SELF, AS_I(addi, A1, ZERO, 2),
        AS_B(bltu, A0, A1, 48), AS_I(addi, SP, SP, -32), AS_S(sd, RA, SP, 24),
        AS_S(sd, S0, SP, 16), AS_S(sd, S2, SP, 8), AS_I(addi, S0, A0, 0),
        AS_I(addi, A0, A0, -1), AS_J(RA, -32), AS_I(addi, S2, A0, 0), AS_I(addi, A0, S0, -2),
        AS_J(RA, -44), AS_B(beq, ZERO, ZERO, 8), AS_I(jalr, ZERO, RA, 0), AS_R(add, A0, A0, S2),
        AS_I(ld, RA, SP, 24), AS_I(ld, S0, SP, 16), AS_I(ld, S2, SP, 8), AS_I(addi, SP, SP, 32),
        AS_I(jalr, ZERO, RA, 0));
}

static void check_fibonacci(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A0], 610);
    CU_ASSERT_EQUAL(m->s.pc, CODE + 8);
}

static void test_recursion(void)
{
    same_each_way(put_fibonacci, PRIV_M, CODE, 60000, check_fibonacci);
}

/* Returns are the host's: a loop of calls stays in translated code. */
static void test_calls_stay(void)
{
    struct machine m;

    begin(&m, &ways[WAYS - 1]);
    put_fibonacci(&m);
    machine_go(&m, PRIV_M, CODE, 8000);
    CU_ASSERT(dbt_hart_of(m.h)->entered < 20);
    machine_destroy(&m);
}

/* Deeper than what a chunk of steps could unwind; more calls than the host's stack is to hold.
 */
static void put_deep(struct machine *m)
{
    PUT(m, CODE, AS_I(addi, A0, A0, 1), AS_J(RA, -4));
}

static void check_deep(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A0], 1000000);
    CU_ASSERT_EQUAL(m->s.x[RA], CODE + 8);
}

static void test_calls_without_return(void)
{
    same_each_way(put_deep, PRIV_M, CODE, 2000000, check_deep);
}

/* The function returns behind the instruction that follows the call, after a fence. */
static void put_skipping(struct machine *m)
{
    PUT(m, CODE, AS_J(RA, 16), AS_I(addi, A0, A0, 1), AS_I(addi, A1, A1, 1), AS_J(ZERO, -12),
        AS_I(addi, RA, RA, 4), 0x0330000f, AS_I(jalr, ZERO, RA, 0));
}

static void check_skipping(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A0], 0);
    CU_ASSERT_EQUAL(m->s.x[A1], 1000);
}

static void test_other_return(void)
{
    same_each_way(put_skipping, PRIV_M, CODE, 6000, check_skipping);
}

/* A fence within a call, and calls through registers, to the next page and back. */
static void put_far(struct machine *m)
{
    m->s.x[A2] = CODE + MEM_PAGE_SIZE + 8;
    PUT(m, CODE + MEM_PAGE_SIZE - 12, AS_I(jalr, RA, A2, 1), AS_J(RA, 8), AS_J(ZERO, -8),
        AS_I(addi, A0, A0, 1), AS_I(jalr, ZERO, RA, 0), 0x0330000f, AS_I(addi, A1, A1, 1),
        AS_I(jalr, T0, RA, 0));
}

static void check_far(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A0] + m->s.x[A1], 1800);
}

static void test_far_calls(void)
{
    same_each_way(put_far, PRIV_M, CODE + MEM_PAGE_SIZE - 12, 7200, check_far);
}

/*
 * The function maps another page where the call stands, and fences: it returns into that one.
 * Both are the same but for what they count.
 */
static void put_remapping(struct machine *m)
{
    const uint8_t *ram = mem_ptr(&m->vm.mem, PLAT_DRAM_BASE, 1);
    const uint64_t *pte;
    gpa_t at;

    machine_paging(m, 3);
    pte = machine_pte(m, V_CODE, 0);
    at = PLAT_DRAM_BASE + (gpa_t)((const uint8_t *)pte - ram);
    *machine_pte(m, V_DATA, 0) = PTE_OF(at & RV_PAGE_MASK, PTE_RW);
    m->s.x[A0] = V_DATA + (at & ~RV_PAGE_MASK);
    m->s.x[A1] = PTE_OF(CODE, PTE_RX);
    m->s.x[A2] = PTE_OF(CODE, PTE_RX) ^ PTE_OF(CODE + 0x2000, PTE_RX);
    PUT(m, CODE, AS_J(RA, 0x1000), AS_I(addi, A3, A3, 1), AS_J(ZERO, -8));
    PUT(m, CODE + 0x2000, AS_J(RA, 0x1000), AS_I(addi, A4, A4, 1), AS_J(ZERO, -8));
    PUT(m, CODE + 0x1000, AS_R(xor, A1, A1, A2), AS_S(sd, A1, A0, 0),
        AS_R(sfence_vma, 0, ZERO, ZERO), AS_I(jalr, ZERO, RA, 0));
}

static void check_remapping(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A3], 100);
    CU_ASSERT_EQUAL(m->s.x[A4], 100);
}

static void test_remapped_return(void)
{
    same_each_way(put_remapping, PRIV_S, V_CODE, 1400, check_remapping);
}

/*
 * The function rewrites what follows the call, with a fence.i: A3 and A4 count in turns.
 */
static void put_rewriting(struct machine *m)
{
    m->s.x[A0] = CODE;
    m->s.x[A1] = AS_I(addi, A3, A3, 1);
    m->s.x[A2] = AS_I(addi, A3, A3, 1) ^ AS_I(addi, A4, A4, 1);
    PUT(m, CODE, AS_J(RA, 12), AS_I(addi, A3, A3, 1), AS_J(ZERO, -8), AS_R(xor, A1, A1, A2),
        AS_S(sw, A1, A0, 4), AS_N(fence_i), AS_I(jalr, ZERO, RA, 0));
}

static void test_rewritten_return(void)
{
    same_each_way(put_rewriting, PRIV_M, CODE, 1400, check_remapping);
}

/* The kernel returns where a program called from, which it must not execute. */
static void put_borrowed(struct machine *m)
{
    machine_paging(m, 3);
    m->s.stvec = V_CODE + 0x1000;
    m->s.medeleg = 1u << RV_ECALL_U;
    m->s.x[S2] = V_USER;
    m->s.x[S3] = RV_MPP;
    PUT(m, CODE, AS_J(RA, 12), AS_I(addi, A0, A0, 1), AS_SELF, AS_N(ecall));
    PUT(m, CODE + 0x1000, AS_I(jalr, ZERO, RA, 0));
    PUT(m, HANDLER, AS_I(addi, A1, A1, 1), AS_CSRW(MEPC, S2), AS_CSR(csrrc, ZERO, MSTATUS, S3),
        AS_N(mret));
}

static void check_borrowed(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A0], 0);
    CU_ASSERT_EQUAL(m->s.x[A1], 100);
    CU_ASSERT_EQUAL(m->s.mcause, RV_FETCH_PAGE);
    CU_ASSERT_EQUAL(m->s.mepc, V_USER);
}

static void test_borrowed_return(void)
{
    same_each_way(put_borrowed, PRIV_U, V_USER, 800, check_borrowed);
}

/* Pages that call each other in a ring, through a cache of two small segments. */
static void test_evicted_return(void)
{
    enum { PAGES = 100, STEPS = 40000 };
    struct machine m;
    uint64_t sum[WAYS];

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        if (ways[w].dbt) {
            machine_dbt(&m)->cache.segment_size = 8192;
            machine_dbt(&m)->cache.nsegments = 2;
        }
        /* Each page calls the next, and that the page after, which returns. */
        for (int i = 0; i < PAGES; i++) {
            int next = i + 1 < PAGES ? (int)MEM_PAGE_SIZE : -(PAGES - 1) * (int)MEM_PAGE_SIZE;

            PUT(&m, DATA + (gpa_t)i * MEM_PAGE_SIZE, AS_I(addi, A0, A0, 1), AS_J(RA, next + 12),
                AS_R(add, A1, A1, A0), AS_J(ZERO, next - 12), AS_I(addi, A2, RA, 0),
                AS_J(RA, next + 12), AS_I(addi, RA, A2, 0), AS_I(jalr, ZERO, RA, 0),
                AS_I(xori, A1, A1, 5), AS_I(jalr, ZERO, RA, 0));
        }
        machine_go(&m, PRIV_M, DATA, STEPS);
        sum[w] = m.s.x[A1] ^ m.s.pc << 32;
        CU_ASSERT_EQUAL(sum[w], sum[0]);
        CU_ASSERT(!ways[w].dbt || machine_dbt(&m)->evictions > 2);
        machine_destroy(&m);
    }
}

/* --- groups --- */

/* Five doublewords around the border of two pages, of which the second may be absent. */
static void put_border(struct machine *m)
{
    machine_paging(m, 3);
    *machine_pte(m, V_DATA + MEM_PAGE_SIZE, 0) = PTE_OF(DATA + 0x8000, PTE_RW);
    m->s.x[S0] = V_DATA + MEM_PAGE_SIZE - 24;
    m->s.x[S1] = V_DATA;
    PUT(m, CODE, AS_S(sd, A5, S1, 64), AS_I(ld, T0, S1, 64), AS_S(sd, A5, S0, 0),
        AS_I(addi, A5, A5, 1), AS_S(sd, A5, S0, 8), AS_I(ld, A1, S0, 0), AS_S(sd, A5, S0, 16),
        AS_I(addi, A5, A5, 3), AS_S(sd, A5, S0, 24), AS_I(ld, A2, S0, 8), AS_I(ld, A3, S0, 24),
        AS_R(xor, A4, A4, A3), AS_R(add, A4, A4, A2), AS_S(sd, A4, S1, 0), AS_I(lw, S1, S1, 0),
        AS_S(sb, A4, S0, 31), AS_R(sub, S1, S1, S1), AS_R(add, S1, S1, T4), AS_J(ZERO, -72));
    m->s.x[T4] = V_DATA;
}

static void check_border(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A5], 400);
    CU_ASSERT_EQUAL(m->s.pc, V_CODE);
}

static void test_group_across_pages(void)
{
    same_each_way(put_border, PRIV_S, V_CODE, 1900, check_border);
}

static void put_half_there(struct machine *m)
{
    put_border(m);
    *machine_pte(m, V_DATA + MEM_PAGE_SIZE, 0) = 0;
    m->s.medeleg = 0;
    PUT(m, HANDLER, AS_SELF);
}

static void check_half_there(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, HANDLER);
    CU_ASSERT_EQUAL(m->s.mcause, RV_STORE_PAGE);
    CU_ASSERT_EQUAL(m->s.mtval, V_DATA + MEM_PAGE_SIZE);
    CU_ASSERT_EQUAL(m->s.mepc, V_CODE + 32);
    CU_ASSERT_EQUAL(m->s.x[A5], 4);
    CU_ASSERT_EQUAL(m->s.x[A1], 0);
    CU_ASSERT_EQUAL(m->s.x[A2], 0);
}

static void test_group_faults_inside(void)
{
    same_each_way(put_half_there, PRIV_S, V_CODE, 200, check_half_there);
}

/* Through a list: the last load of each group takes its base. */
static void put_list(struct machine *m)
{
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t next = DATA + (i * 37 + 11) % 200 * 24;

        machine_poke(m, DATA + i * 24, i);
        machine_poke(m, DATA + i * 24 + 8, ~i);
        machine_poke(m, DATA + i * 24 + 16, next);
    }
    m->s.x[A0] = DATA;
    PUT(m, CODE, AS_I(ld, A1, A0, 0), AS_R(add, A2, A2, A1), AS_B(beq, A1, T6, 12),
        AS_I(lhu, A3, A0, 8), AS_I(ld, A0, A0, 16), AS_I(ld, A4, A0, 8), AS_R(xor, A2, A2, A3),
        AS_R(add, A2, A2, A4), AS_J(ZERO, -32));
    m->s.x[T6] = 77;
}

static void check_list(const struct machine *m)
{
    CU_ASSERT_NOT_EQUAL(m->s.x[A2], 0);
}

static void test_group_ends_with_base(void)
{
    same_each_way(put_list, PRIV_M, CODE, 5000, check_list);
}

/* --- pairs --- */

static const int shifts[] = {1, 3, 16, 31, 32, 33, 56};
#define SHIFTS (sizeof(shifts) / sizeof(shifts[0]))

/* More than a block, since the interpreter does those that are left. */
#define PAIR_STEPS (3 * BLOCK_STEPS_MAX)

/* A pair, and what a jump to its second alone makes. */
static void pair_runs(uint32_t one, uint32_t two, unsigned from)
{
    struct hart_state first;
    struct machine m;

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        m.s.x[from] = 0x89abcdef01234567;
        m.s.x[A5] = m.s.x[S5] = 0xfedcba98f6543210;
        PUT(&m, CODE, one, two, AS_R(add, S9, S9, two >> 7 & 31), AS_B(beq, T6, ZERO, 8),
            AS_SELF, AS_I(addi, T6, T6, 1), AS_I(addiw, A1, A0, 0), AS_I(addiw, S6, S4, 0),
            AS_J(ZERO, -28));
        machine_go(&m, PRIV_M, CODE, PAIR_STEPS);
        if (w == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        machine_destroy(&m);
    }
}

static void test_pairs(void)
{
    static const unsigned to[] = {A0, S4}, from[] = {A0, A5, S4};

    for (unsigned t = 0; t < 2; t++)
        for (unsigned f = 0; f < sizeof(from) / sizeof(from[0]); f++)
            for (unsigned i = 0; i < SHIFTS; i++) {
                uint32_t one = AS_I(slli, to[t], from[f], shifts[i]);

                pair_runs(one, AS_R(add, to[t], A5, to[t]), from[f]);
                pair_runs(one, AS_R(add, to[t], to[t], S5), from[f]);
                pair_runs(one, AS_R(add, to[t], to[t], to[t]), from[f]);
                for (unsigned j = 0; j < SHIFTS; j++) {
                    pair_runs(one, AS_I(srli, to[t], to[t], shifts[j]), from[f]);
                    pair_runs(one, AS_I(srai, to[t], to[t], shifts[j]), from[f]);
                }
            }
}

static void test_constants(void)
{
    static const uint32_t upper[] = {0, 0x1000, 0x7ffff000, 0x80000000, 0xfffff000};
    static const int lower[] = {0, 1, 2047, -1, -2048};

    for (unsigned u = 0; u < 5; u++)
        for (unsigned l = 0; l < 5; l++)
            for (unsigned t = 0; t < 2; t++) {
                unsigned to = t ? S4 : A0;

                pair_runs(AS_U(lui, to, upper[u] >> 12), AS_I(addi, to, to, lower[l]), T5);
                pair_runs(AS_U(lui, to, upper[u] >> 12), AS_I(addiw, to, to, lower[l]), T5);
                pair_runs(AS_U(auipc, to, upper[u] >> 12), AS_I(addi, to, to, lower[l]), T5);
            }
}

/* A word whose high half the next instruction may ask for, or not. */
static void test_low_halves(void)
{
    static const unsigned to[] = {A0, S4};

    for (unsigned t = 0; t < 2; t++) {
        const unsigned d = to[t];
        const uint32_t one[] = {AS_I(addiw, d, A5, -48), AS_I(addiw, d, d, 1),
                                AS_R(addw, d, A5, d),    AS_R(addw, d, A5, S5),
                                AS_R(subw, d, d, A5),    AS_R(subw, d, A5, d),
                                AS_R(subw, d, ZERO, d),  AS_R(mulw, d, A5, d),
                                AS_I(slliw, d, d, 3),    AS_I(addiw, d, S5, 0)};
        const uint32_t two[] = {
            AS_I(slli, d, d, 32),  AS_I(slli, d, d, 48),   AS_I(slli, d, d, 31),
            AS_I(andi, d, d, 255), AS_I(andi, d, d, 2047), AS_I(andi, d, d, -2),
            AS_I(addiw, d, d, 0),  AS_I(addiw, d, d, 5),   AS_I(slliw, d, d, 3),
            AS_I(srliw, d, d, 0),  AS_I(srliw, d, d, 4),   AS_I(sraiw, d, d, 0),
            AS_I(sraiw, d, d, 7),  AS_R(addw, d, d, A5),   AS_R(subw, d, S5, d),
            AS_R(mulw, d, d, d),   AS_R(add, d, d, A5),    AS_I(slliw, d, A5, 1),
            AS_I(andi, d, A5, 15), AS_I(addiw, A5, d, 0)};

        for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
            for (unsigned j = 0; j < sizeof(two) / sizeof(two[0]); j++)
                pair_runs(one[i], two[j], d);
    }
}

/* What is 0 now and then, and a branch that asks. */
static void zero_runs(uint32_t one, unsigned d, uint64_t value)
{
    struct hart_state first;
    struct machine m;

    for (unsigned w = 0; w < WAYS; w++) {
        begin(&m, &ways[w]);
        m.s.x[A0] = m.s.x[S5] = value;
        m.s.x[A5] = 1;
        m.s.x[S8] = value ^ 1;
        PUT(&m, CODE, one, AS_B(beq, d, ZERO, 8), AS_I(addi, S6, S6, 1), AS_I(addi, d, A0, 0),
            AS_I(addi, S5, A0, 0), one, AS_B(bne, d, ZERO, 8), AS_I(addi, S7, S7, 1),
            AS_R(xor, S9, S9, d), AS_R(xor, A0, A0, S8), AS_I(addi, d, A0, 0),
            AS_I(addi, S5, A0, 0), AS_J(ZERO, -48));
        machine_go(&m, PRIV_M, CODE, PAIR_STEPS);
        if (w == 0)
            first = m.s;
        CU_ASSERT_EQUAL(memcmp(&first, &m.s, sizeof(first)), 0);
        machine_destroy(&m);
    }
}

static void test_zeros(void)
{
    static const uint64_t values[] = {0, 1, 0xffffffff, 0x100000000, 1ull << 63, UINT64_MAX};
    static const unsigned to[] = {A1, S4};

    for (unsigned t = 0; t < 2; t++) {
        const unsigned d = to[t];
        const uint32_t one[] = {
            AS_I(addi, d, d, 1),   AS_I(addi, d, A0, -1),  AS_I(addi, d, d, 0),
            AS_I(andi, d, d, 255), AS_I(andi, d, A0, 255), AS_I(andi, d, S5, -2),
            AS_I(xori, d, A0, 1),  AS_I(ori, d, d, 0),     AS_I(addiw, d, d, 1),
            AS_I(addiw, d, A0, 0), AS_I(slli, d, d, 32),   AS_I(srli, d, A0, 1),
            AS_I(srai, d, A0, 63), AS_I(slli, d, d, 0),    AS_I(slliw, d, A0, 1),
            AS_I(srliw, d, d, 1),  AS_R(add, d, A0, A5),   AS_R(sub, d, d, A5),
            AS_R(sub, d, A5, d),   AS_R(sub, d, ZERO, A0), AS_R(subw, d, ZERO, d),
            AS_R(addw, d, A0, A5), AS_R(addw, d, d, A5),   AS_R(subw, d, A0, S5),
            AS_R(and, d, A0, A5),  AS_R(or, d, d, S5),     AS_R(xor, d, S5, A5),
            AS_R(mul, d, A0, d),   AS_R(mulw, d, A0, A0),  AS_R(sltu, d, A0, A5),
        };

        for (unsigned i = 0; i < sizeof(one) / sizeof(one[0]); i++)
            for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++)
                zero_runs(one[i], d, values[v]);
    }
}

/*
 * sext.w of what is a word already, and of what only was; summed up, since the interpreter does
 * the last round.
 */
static void put_words(struct machine *m)
{
    m->s.x[A0] = m->s.x[S4] = 0x89abcdef81234567;
    m->s.x[A5] = 0x1ffffffff;
    PUT(m, CODE, AS_I(srliw, A1, A0, 0), AS_I(addiw, A2, A1, 0), AS_I(srliw, A3, A0, 1),
        AS_I(addiw, A4, A3, 0), AS_R(and, S2, A1, A3), AS_I(addiw, S3, S2, 0),
        AS_R(add, A1, A1, A5), AS_I(addiw, S5, A1, 0), AS_R(addw, S6, A0, A5),
        AS_I(xori, S6, S6, -7), AS_I(addiw, S6, S6, 0), AS_I(srli, S7, A0, 33),
        AS_I(addiw, S7, S7, 0), AS_I(srli, S8, A0, 32), AS_I(addiw, S8, S8, 0),
        AS_I(slliw, A0, A0, 1), AS_R(add, A0, A0, S4), AS_R(add, S9, S9, A2),
        AS_R(add, S9, S9, A4), AS_R(add, S9, S9, S3), AS_R(add, S9, S9, S5),
        AS_R(add, S9, S9, S6), AS_R(add, S9, S9, S7), AS_R(add, S9, S9, S8),
        AS_I(lwu, A1, S10, 0), AS_I(addiw, A1, A1, 0), AS_R(add, S9, S9, A1),
        AS_I(andi, A1, A5, -16), AS_I(addiw, A1, A1, 0), AS_R(add, S9, S9, A1),
        AS_I(ori, A1, A5, 1), AS_I(addiw, A1, A1, 0), AS_R(add, S9, S9, A1), AS_J(ZERO, -132));
    m->s.x[S10] = DATA;
    machine_poke(m, DATA, 0xf0000000);
}

static void check_words(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.pc, CODE);
}

static void test_words(void)
{
    same_each_way(put_words, PRIV_M, CODE, 3400, check_words);
}

/* --- the clock --- */

#define TIMES 40

/* Reads the clock between sums of all registers that the host's hold; traps are skipped. */
static void put_clock(struct machine *m)
{
    mock_advance(&m->mock, 123456789);
    PUT(m, CODE, AS_CSRR(T0, TIME), AS_R(add, A0, A0, T0), AS_R(add, A2, A2, A0),
        AS_CSRR(A3, TIME), AS_R(add, A4, A4, A3), AS_R(add, A5, A5, A4), AS_CSRR(ZERO, TIME),
        AS_R(add, S0, S0, A5), AS_R(xor, S1, S1, S0), AS_CSRR(SP, TIME), AS_I(addi, A1, A1, -1),
        AS_B(bne, A1, ZERO, -44), AS_SELF);
    PUT(m, HANDLER, AS_CSRR(T1, MEPC), AS_I(addi, T1, T1, 4), AS_CSRW(MEPC, T1), AS_N(mret));
    m->s.x[A0] = 0;
    m->s.x[A1] = TIMES;
    m->s.mcounteren = m->s.scounteren = 2;
}

static void put_clock_denied(struct machine *m)
{
    put_clock(m);
    m->s.scounteren = 0;
}

static void check_clock(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A1], 0);
    CU_ASSERT_EQUAL(m->s.x[A0], TIMES * clock_ticks(&m->vm.clock));
    CU_ASSERT_EQUAL(m->s.x[SP], clock_ticks(&m->vm.clock));
}

static void check_clock_denied(const struct machine *m)
{
    CU_ASSERT_EQUAL(m->s.x[A1], 0);
    CU_ASSERT_EQUAL(m->s.mcause, RV_ILLEGAL);
}

static void test_clock(void)
{
    same_each_way(put_clock, PRIV_M, CODE, TIMES * 12 + 5, check_clock);
    same_each_way(put_clock, PRIV_U, CODE, TIMES * 12 + 5, check_clock);
    same_each_way(put_clock_denied, PRIV_S, CODE, TIMES * 12 + 5, check_clock);
    same_each_way(put_clock_denied, PRIV_U, CODE, TIMES * (12 + 4 * 4) + 5, check_clock_denied);
}

#endif

void suite_dbt_jump(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_jump", NULL, machine_back);

    CU_add_test(suite, "recursion", test_recursion);
    CU_add_test(suite, "calls stay in translated code", test_calls_stay);
    CU_add_test(suite, "calls that never return", test_calls_without_return);
    CU_add_test(suite, "a return to another address", test_other_return);
    CU_add_test(suite, "calls to other pages", test_far_calls);
    CU_add_test(suite, "a return into a page mapped anew", test_remapped_return);
    CU_add_test(suite, "a return into code rewritten", test_rewritten_return);
    CU_add_test(suite, "a program's return address in the kernel", test_borrowed_return);
    CU_add_test(suite, "a return into evicted code", test_evicted_return);
    CU_add_test(suite, "loads and stores across pages", test_group_across_pages);
    CU_add_test(suite, "a fault in the middle of a group", test_group_faults_inside);
    CU_add_test(suite, "a group that ends with its base", test_group_ends_with_base);
    CU_add_test(suite, "pairs", test_pairs);
    CU_add_test(suite, "constants and addresses in two", test_constants);
    CU_add_test(suite, "low halves of words", test_low_halves);
    CU_add_test(suite, "branches on a result of 0", test_zeros);
    CU_add_test(suite, "words", test_words);
    CU_add_test(suite, "the clock", test_clock);
#endif
}
