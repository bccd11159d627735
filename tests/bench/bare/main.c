/* main.c: a bare S-mode guest that times privileged operations, under any SBI. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/string.h"

/*
 * Prints "@bench NAME MEDIAN LEAST COUNT ROUNDS" as the program for Linux does
 * (tests/bench/linux/main.c): ns of one operation, the median and the least of the rounds. All
 * runs with paging on (Sv39), as a kernel's code does. A boot argument bench-only=NAME leaves
 * that operation only, and repeats it for a profile.
 */

#define PROFILE_REPEATS 100

#define ROUNDS 61

/* An operation eight times, so that the loop around it does not count. */
#define UNROLL 8
#define EIGHT(body)                                                                            \
    "1: " body "\n" body "\n" body "\n" body "\n" body "\n" body "\n" body "\n" body "\n"      \
    " addi %[n], %[n], -1\n bnez %[n], 1b"

void bare_vector(void);
void user_loop(void);
void user_enter(uint64_t count, uintptr_t pc);

static uintptr_t uart;

/* --- paging: the kernel's gigabyte and the devices' map to themselves --- */

#define GIB        (UINT64_C(1) << 30)
#define KERNEL     (2 * GIB)
#define USER_ALIAS (6 * GIB) /* the kernel's gigabyte again, for U-mode */
#define SATP_SV39  (UINT64_C(8) << 60)

#define PTE_RW 0xc7u /* D, A, W, R, V */
#define PTE_X  0x08u
#define PTE_U  0x10u

static uint64_t table[512] __attribute__((aligned(4096)));

static void paging_start(void)
{
    table[0] = PTE_RW;
    table[KERNEL / GIB] = KERNEL >> 12 << 10 | PTE_RW | PTE_X;
    table[USER_ALIAS / GIB] = KERNEL >> 12 << 10 | PTE_RW | PTE_X | PTE_U;
    fence_pages();
    csr_write(satp, SATP_SV39 | (uintptr_t)table >> 12);
    fence_pages();
}

/* --- operations: each makes n times UNROLL of them --- */

static void sbi_run(uint64_t n)
{
    register uint64_t a0 __asm__("a0") = 0;
    register uint64_t a1 __asm__("a1") = 0;
    register uint64_t a6 __asm__("a6") = SBI_BASE_GET_SPEC_VERSION;
    register uint64_t a7 __asm__("a7") = SBI_EXT_BASE;

    __asm__ volatile(EIGHT("ecall")
                     : [n] "+r"(n), "+r"(a0), "+r"(a1)
                     : "r"(a6), "r"(a7)
                     : "memory");
}

/* A breakpoint of S-mode's own, answered by five accesses to CSRs and sret. */
static void trap_run(uint64_t n)
{
    register uint64_t a7 __asm__("a7") = 0;

    __asm__ volatile(".option push\n .option norvc\n" EIGHT("ebreak") "\n .option pop"
                     : [n] "+r"(n)
                     : "r"(a7)
                     : "memory");
}

/* The same handler for a call from U-mode. */
static void trap_user_run(uint64_t n)
{
    user_enter(n, (uintptr_t)user_loop - KERNEL + USER_ALIAS);
}

static void sfence_run(uint64_t n)
{
    __asm__ volatile(EIGHT("sfence.vma") : [n] "+r"(n) : : "memory");
}

static void sfence_page_run(uint64_t n)
{
    __asm__ volatile(EIGHT("sfence.vma %[va], zero")
                     : [n] "+r"(n)
                     : [va] "r"(table)
                     : "memory");
}

static void lsr_run(uint64_t n)
{
    uint64_t value;

    __asm__ volatile(EIGHT("lbu %[value], 5(%[uart])")
                     : [n] "+r"(n), [value] "=&r"(value)
                     : [uart] "r"(uart)
                     : "memory");
}

static void csr_run(uint64_t n)
{
    __asm__ volatile(EIGHT("csrw sscratch, %[n]") : [n] "+r"(n) : : "memory");
}

/* Interrupts off and on, as around every lock. */
static void csr_status_run(uint64_t n)
{
    __asm__ volatile(EIGHT("csrci sstatus, 2") : [n] "+r"(n) : : "memory");
}

static void time_run(uint64_t n)
{
    uint64_t now;

    __asm__ volatile(EIGHT("rdtime %[now]") : [n] "+r"(n), [now] "=&r"(now));
}

static const struct operation {
    const char *name;
    void (*run)(uint64_t n);
    uint64_t n;
} operations[] = {
    {"sbi-base",    sbi_run,         256 },
    {"trap",        trap_run,        500 },
    {"trap-user",   trap_user_run,   500 },
    {"sfence",      sfence_run,      125 },
    {"sfence-page", sfence_page_run, 125 },
    {"uart-lsr",    lsr_run,         600 },
    {"csr-write",   csr_run,         5000},
    {"csr-status",  csr_status_run,  4000},
    {"rdtime",      time_run,        2500},
};

/* --- measuring --- */

static void sort(uint64_t *v, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        uint64_t value = v[i];
        unsigned j = i;

        for (; j > 0 && v[j - 1] > value; j--)
            v[j] = v[j - 1];
        v[j] = value;
    }
}

/* ns of an operation with three decimals. */
static void ns_print(uint64_t ticks, uint64_t count, uint64_t second)
{
    uint64_t ps = ticks * (UINT64_C(1000000000000) / second) / count;

    print(" %lu.%lu%lu%lu", ps / 1000, ps / 100 % 10, ps / 10 % 10, ps % 10);
}

static void operation_measure(const struct operation *o, uint64_t second)
{
    uint64_t ticks[ROUNDS], count = o->n * UNROLL;

    o->run(o->n);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t start = time_now();

        o->run(o->n);
        ticks[i] = time_now() - start;
    }
    sort(ticks, ROUNDS);
    print("@bench %s", o->name);
    ns_print(ticks[ROUNDS / 2], count, second);
    ns_print(ticks[0], count, second);
    print(" %lu %u\n", count, ROUNDS);
}

/* Do the boot arguments ask for this one alone? */
static bool only_asked(const void *dtb, const char *name)
{
    char word[40] = "bench-only=";
    size_t at = strlen(word);

    while (*name && at + 1 < sizeof(word))
        word[at++] = *name++;
    word[at] = '\0';
    return fdt_bootarg(dtb, word);
}

static void operations_measure(const void *dtb, uint64_t second)
{
    const size_t n = sizeof(operations) / sizeof(operations[0]);

    for (size_t i = 0; i < n; i++)
        if (only_asked(dtb, operations[i].name)) {
            for (unsigned times = 0; times < PROFILE_REPEATS; times++)
                operation_measure(&operations[i], second);
            return;
        }
    for (size_t i = 0; i < n; i++)
        operation_measure(&operations[i], second);
}

int guest_main(const void *dtb)
{
    uint64_t second = fdt_timebase(dtb);

    print("\n@bench init\n");
    uart = fdt_device(dtb, "ns16550a");
    csr_write(sie, 0);
    csr_write(stvec, (uintptr_t)bare_vector);
    paging_start();
    operations_measure(dtb, second);
    csr_write(satp, 0);
    fence_pages();
    print("@bench end\n");
    return 0;
}
