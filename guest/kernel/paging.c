/* paging.c: Sv39, Sv48 and Sv57: translation, permissions and page faults, from S and U. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define PAGE 4096ul
#define GIB  (1ul << 30)

#define PTE_V  (1ul << 0)
#define PTE_R  (1ul << 1)
#define PTE_W  (1ul << 2)
#define PTE_X  (1ul << 3)
#define PTE_U  (1ul << 4)
#define PTE_A  (1ul << 6)
#define PTE_D  (1ul << 7)
#define PTE_AD (PTE_A | PTE_D)
#define PTE_RW (PTE_V | PTE_R | PTE_W | PTE_AD)

/* The kernel's own gigabyte, and the one of the devices, map to themselves. */
#define KERNEL_GIB 0x80000000ul
#define TEST_BASE  0x40000000ul

#define TABLES 16

static uint64_t table[TABLES][512] __attribute__((aligned(4096)));
static unsigned tables_used;
static unsigned levels; /* 3: Sv39, 4: Sv48, 5: Sv57 */

static uint64_t data_page[4][512] __attribute__((aligned(4096)));

static uint64_t pte(uint64_t pa, uint64_t flags)
{
    return pa >> 12 << 10 | flags;
}

/* The entry for va at a level (0: 4 KiB pages), with the tables above it made. */
static uint64_t *pte_at(uint64_t va, unsigned level)
{
    uint64_t *t = table[0];

    for (unsigned l = levels - 1; l > level; l--) {
        uint64_t *entry = &t[va >> (12 + 9 * l) & 511];

        if (!*entry)
            *entry = pte((uintptr_t)table[tables_used++], PTE_V);
        t = (uint64_t *)(*entry >> 10 << 12);
    }
    return &t[va >> (12 + 9 * level) & 511];
}

/* A change of the tree, and the fence after it. */
static void map(uint64_t va, const void *page, uint64_t flags)
{
    *pte_at(va, 0) = pte((uintptr_t)page, flags);
    fence_page(va);
}

static uint64_t satp_value(void)
{
    return (uint64_t)(levels + 5) << 60 | (uintptr_t)table[0] >> 12;
}

static void tree_begin(unsigned depth)
{
    memset(table, 0, sizeof(table));
    memset(data_page, 0, sizeof(data_page));
    levels = depth;
    tables_used = 1;
    *pte_at(KERNEL_GIB, 2) = pte(KERNEL_GIB, PTE_RW | PTE_X);
    *pte_at(0, 2) = pte(0, PTE_RW);
}

/* False when the machine does not have the mode: satp then keeps its value. */
static bool tree_use(void)
{
    csr_write(satp, satp_value());
    fence_pages();
    return csr_read(satp) == satp_value();
}

void paging_off(void)
{
    csr_write(satp, 0);
    fence_pages();
}

void paging_on(uint64_t va, const void *page)
{
    tree_begin(3);
    *pte_at(va, 0) = pte((uintptr_t)page, PTE_RW | PTE_X);
    fence_all();
    tree_use();
}

void paging_move(const void *page)
{
    *pte_at(TEST_BASE, 0) = pte((uintptr_t)page, PTE_RW | PTE_X);
}

void paging_join(void)
{
    tree_use();
}

/* One access, which must fault at va with `cause`. */
static bool load_faults(uint64_t va, uint64_t cause)
{
    struct guard g;

    return guard_load(&g, va, 8) == cause && g.tval == va;
}

static bool store_faults(uint64_t va, uint64_t cause)
{
    struct guard g;

    return guard_store(&g, va, 8, 1) == cause && g.tval == va;
}

static bool jump_faults(uint64_t va, uint64_t cause)
{
    struct guard g;

    return guard_jump(&g, va) == cause && g.tval == va && g.epc == va;
}

static bool loads(uint64_t va, uint64_t value)
{
    struct guard g;

    return guard_load(&g, va, 8) == 0 && g.value == value;
}

static void translate_test(const char *mode)
{
    uint64_t va = TEST_BASE, high = -GIB;
    struct guard g;

    data_page[0][1] = 0x1111;
    map(va, data_page[0], PTE_RW);
    tap_ok(loads(va + 8, 0x1111), "%s: a page is read where it is mapped", mode);
    tap_ok(guard_store(&g, va + 16, 8, 0x2222) == 0 &&
               *(volatile uint64_t *)&data_page[0][2] == 0x2222,
           "%s: a store reaches the page", mode);
    map(high, data_page[0], PTE_RW);
    tap_ok(loads(high + 8, 0x1111), "%s: the upper half is mapped too", mode);
    data_page[1][1] = 0x3333;
    map(va, data_page[1], PTE_RW);
    tap_ok(loads(va + 8, 0x3333), "%s: a changed mapping is seen after sfence.vma", mode);

    data_page[2][511] = 0xaabbccdd00000000;
    data_page[3][0] = 0x11223344;
    map(va + PAGE, data_page[2], PTE_RW);
    map(va + 2 * PAGE, data_page[3], PTE_RW);
    tap_ok(guard_load(&g, va + 2 * PAGE - 4, 8) == CAUSE_LOAD_MISALIGNED ||
               loads(va + 2 * PAGE - 4, 0x11223344aabbccdd),
           "%s: a load over two pages joins them, or traps", mode);
    map(va + 2 * PAGE, NULL, 0);
    tap_ok(guard_load(&g, va + 2 * PAGE - 4, 8) == CAUSE_LOAD_PAGE ||
               g.cause == CAUSE_LOAD_MISALIGNED,
           "%s: a load over two pages, the second missing, faults", mode);
    map(va + PAGE, NULL, 0);
}

static void fault_test(const char *mode)
{
    uint64_t va = TEST_BASE + 16 * PAGE;
    struct guard g;

    tap_ok(load_faults(va, CAUSE_LOAD_PAGE), "%s: load from no page: page fault", mode);
    tap_ok(store_faults(va, CAUSE_STORE_PAGE), "%s: store to no page: page fault", mode);
    tap_ok(jump_faults(va, CAUSE_FETCH_PAGE), "%s: jump to no page: page fault", mode);
    map(va, data_page[0], PTE_V | PTE_R | PTE_AD);
    tap_ok(loads(va, 0) && store_faults(va, CAUSE_STORE_PAGE),
           "%s: a read-only page is read, and not written", mode);
    tap_ok(jump_faults(va, CAUSE_FETCH_PAGE), "%s: a page without X is not executed", mode);
    map(va, data_page[0], PTE_V | PTE_X | PTE_AD);
    tap_ok(load_faults(va, CAUSE_LOAD_PAGE), "%s: an execute-only page is not read", mode);
    csr_set(sstatus, SSTATUS_MXR);
    tap_ok(loads(va, 0), "%s: with MXR it is", mode);
    csr_clear(sstatus, SSTATUS_MXR);
    map(va, data_page[0], PTE_V | PTE_W | PTE_AD);
    tap_ok(load_faults(va, CAUSE_LOAD_PAGE), "%s: W without R is reserved: page fault", mode);
    map(va, data_page[0], PTE_RW | 1ul << 54);
    tap_ok(load_faults(va, CAUSE_LOAD_PAGE), "%s: a reserved bit is set: page fault", mode);
    map(va, data_page[0], PTE_RW);
    tap_ok(loads(va, 0), "%s: the same page, mapped well, is read", mode);
    *pte_at(TEST_BASE + (2ul << 21), 1) = pte((uintptr_t)data_page[0] | PAGE, PTE_RW);
    fence_pages();
    tap_ok(load_faults(TEST_BASE + (2ul << 21), CAUSE_LOAD_PAGE),
           "%s: a misaligned superpage: page fault", mode);
    va = 1ul << (12 + 9 * levels - 1);
    tap_ok(load_faults(va, CAUSE_LOAD_PAGE), "%s: a non-canonical address: page fault", mode);
    tap_ok(guard_jump(&g, va) == CAUSE_FETCH_PAGE, "%s: a jump there: page fault", mode);
}

/* A and D are set by the hardware, or their absence faults (Svadu, Svade). */
static void accessed_test(const char *mode)
{
    uint64_t va = TEST_BASE + 17 * PAGE, *entry = pte_at(va, 0), cause;
    struct guard g;

    map(va, data_page[0], PTE_V | PTE_R | PTE_W);
    cause = guard_load(&g, va, 8);
    tap_ok(cause == CAUSE_LOAD_PAGE ? !(*entry & PTE_A) : !cause && (*entry & PTE_AD) == PTE_A,
           "%s: a load sets A alone, or faults", mode);
    print("# A and D are %s\n", cause ? "left to the guest" : "set by the machine");
    map(va, data_page[0], PTE_V | PTE_R | PTE_W | PTE_A);
    cause = guard_store(&g, va, 8, 0);
    tap_ok(cause == CAUSE_STORE_PAGE ? !(*entry & PTE_D) : !cause && (*entry & PTE_D),
           "%s: a store sets D, or faults", mode);
    map(va, data_page[0], PTE_V | PTE_R | PTE_A);
    tap_ok(store_faults(va, CAUSE_STORE_PAGE) && !(*entry & PTE_D),
           "%s: a refused store does not set D", mode);
}

#define USER_CODE  (TEST_BASE + 32 * PAGE)
#define USER_DATA  (TEST_BASE + 33 * PAGE)
#define USER_STACK (USER_DATA + PAGE)

/* Runs one of user.S's functions where it is mapped for U-mode. */
static void user_run(struct guard *g, const char *fn, uint64_t a0, uint64_t a1)
{
    guard_user(g, USER_CODE + (uint64_t)(fn - user_code), USER_STACK, a0, a1);
}

static void user_pages_test(const char *mode)
{
    map(USER_DATA, data_page[0], PTE_RW | PTE_U);
    map(USER_CODE, user_code, PTE_V | PTE_R | PTE_X | PTE_U | PTE_AD);
    tap_ok(load_faults(USER_DATA, CAUSE_LOAD_PAGE), "%s: S does not read a U page", mode);
    csr_set(sstatus, SSTATUS_SUM);
    tap_ok(loads(USER_DATA, 0), "%s: with SUM it does", mode);
    tap_ok(jump_faults(USER_CODE, CAUSE_FETCH_PAGE), "%s: S never executes a U page", mode);
    csr_clear(sstatus, SSTATUS_SUM);
}

static void user_test(const char *mode)
{
    struct guard g;

    user_run(&g, user_ecall, 11, 12);
    tap_ok(g.cause == CAUSE_USER_ECALL && g.x[10] == 11 && g.x[11] == 12 && g.x[12] == 0x1234 &&
               g.x[17] == 0x5678 && g.x[2] == USER_STACK,
           "%s: U makes an ecall, S sees its registers", mode);
    tap_ok((g.epc & ~(PAGE - 1)) == USER_CODE, "%s: sepc is on the ecall", mode);
    user_run(&g, user_store, USER_DATA + 8, 0x7777);
    tap_ok(g.cause == CAUSE_USER_ECALL && *(volatile uint64_t *)&data_page[0][1] == 0x7777,
           "%s: U writes its page", mode);
    user_run(&g, user_load, (uintptr_t)data_page, 0);
    tap_ok(g.cause == CAUSE_LOAD_PAGE && g.tval == (uintptr_t)data_page,
           "%s: U does not read the kernel", mode);
    user_run(&g, user_jump, (uintptr_t)user_code, 0);
    tap_ok(g.cause == CAUSE_FETCH_PAGE && g.epc == (uintptr_t)user_code,
           "%s: U does not execute the kernel", mode);
    user_run(&g, user_csr, 0, 0);
    tap_ok(g.cause == CAUSE_ILLEGAL, "%s: U does not read sstatus", mode);
    user_run(&g, user_sret, 0, 0);
    tap_ok(g.cause == CAUSE_ILLEGAL, "%s: U does not execute sret", mode);
    csr_write(scounteren, 0);
    user_run(&g, user_cycle, 0, 0);
    tap_ok(g.cause == CAUSE_ILLEGAL, "%s: without scounteren.CY U does not read cycle", mode);
    csr_write(scounteren, 2);
    user_run(&g, user_time, 0, 0);
    tap_ok(g.cause == CAUSE_USER_ECALL && g.x[10] <= time_now(),
           "%s: with scounteren.TM U reads the time", mode);
}

static void user_irq(struct trap_frame *frame)
{
    timer_set(UINT64_MAX);
    frame->x[10] = 1;
}

/* Interrupts of S-mode are taken in U-mode whatever SIE says. */
static void user_timer_test(const char *mode)
{
    struct guard g;

    trap_set_irq(user_irq);
    csr_write(sie, SIP_STIP);
    timer_set(time_now() + 20000);
    user_run(&g, user_spin, 0, 0);
    csr_write(sie, 0);
    tap_ok(g.cause == CAUSE_USER_ECALL && g.x[10] == 1 && g.x[11] > 0,
           "%s: a timer interrupts U, which then goes on", mode);
}

static void mode_test(unsigned depth, const char *mode)
{
    tree_begin(depth);
    if (!tree_use()) {
        paging_off();
        tap_skip("this machine does not have it", "%s", mode);
        return;
    }
    tap_ok(true, "%s: satp takes it", mode);
    translate_test(mode);
    fault_test(mode);
    accessed_test(mode);
    user_pages_test(mode);
    user_test(mode);
    user_timer_test(mode);
    paging_off();
}

void paging_test(void)
{
    mode_test(3, "sv39");
    mode_test(4, "sv48");
    mode_test(5, "sv57");
    tap_ok(csr_read(satp) == 0, "paging is off again");
    csr_write(satp, 5ul << 60);
    tap_ok(csr_read(satp) == 0, "satp keeps its value when the mode is reserved");
}
