/* priv.c: what a kernel's privileged instructions cost: a bare S-mode guest that prints ns. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the same under any monitor with SBI Base. Each line: a name, ns of a round less those of
 * the loop, "n/a" where there is none. Sv39 is on, with memory mapped one to one by leaves of 1
 * GiB, as a kernel has it.
 */
#include <stdbool.h>
#include <stdint.h>
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"

#define ROUNDS    UINT64_C(100000)
#define SAMPLES   9
#define TICK_NS   100u /* of the time CSR */
#define SATP_SV39 (UINT64_C(8) << 60)
#define SATP_ASID 44
#define LEAF      0xcfu /* V, R, W, X, A, D: for S-mode */
#define LEAF_USER 0x10u

static uint64_t root[2][512] __attribute__((aligned(4096)));
static uint64_t user_pages[512] __attribute__((aligned(4096)));
static uint64_t uart, satp_one, satp_two;

/* Where U-mode runs: the gigabyte of memory again, at its own address plus this. */
#define USER_OFFSET (UINT64_C(4) << 30)

/*
 * A handler with what every kernel's has: a stack from sscratch, the cause, the pc. It goes on
 * four bytes behind.
 */
__asm__(".balign 4\n"
        ".globl bench_vector\n"
        "bench_vector:\n"
        " csrrw sp, sscratch, sp\n"
        " csrr t1, scause\n"
        " csrr t2, sepc\n"
        " addi t2, t2, 4\n"
        " csrw sepc, t2\n"
        " csrrw sp, sscratch, sp\n"
        " sret\n"
        /* U-mode: a0 calls, then one with a7 set, by which it is left. */
        ".balign 4\n"
        ".globl user_code\n"
        "user_code:\n"
        ".option push\n"
        ".option norvc\n"
        "1: ecall\n"
        " addi a0, a0, -1\n"
        " bnez a0, 1b\n"
        " ebreak\n"
        ".option pop\n"
        ".globl user_left\n"
        ".balign 4\n"
        "user_left:\n"
        " csrrw sp, sscratch, sp\n"
        " csrr t1, scause\n"
        " csrr t2, sepc\n"
        " addi t1, t1, -3\n"
        " beqz t1, 1f\n"
        " addi t2, t2, 4\n"
        " csrw sepc, t2\n"
        " csrrw sp, sscratch, sp\n"
        " sret\n"
        "1: csrrw sp, sscratch, sp\n"
        " jr t3\n");
void bench_vector(void);
void user_left(void);
void user_code(void);

/* The body, an addition and a branch. Bodies keep to the registers named. */
#define LOOP(body)                                                                             \
    do {                                                                                       \
        register uint64_t a0_ __asm__("a0") = 0, a1_ __asm__("a1") = 0;                        \
        register uint64_t a2_ __asm__("a2") = a, a3_ __asm__("a3") = b;                        \
        __asm__ volatile(".balign 64\n 1: " body "\n addi %[n], %[n], -1\n bnez %[n], 1b"      \
                         : [n] "+r"(n), "+r"(a0_), "+r"(a1_), "+r"(a2_), "+r"(a3_)             \
                         :                                                                     \
                         : "t1", "t2", "t3", "a4", "a5", "a6", "a7", "memory");                \
    } while (0)

#define BENCH(name, body)                                                                      \
    static void run_##name(uint64_t n, uint64_t a, uint64_t b)                                 \
    {                                                                                          \
        LOOP(body);                                                                            \
    }

#define FOUR ".option push\n .option norvc\n"
#define BACK "\n .option pop"

BENCH(empty, "")
BENCH(sbi, "li a7, 0x10\n li a6, 0\n ecall")
BENCH(ebreak, FOUR "ebreak" BACK)
BENCH(illegal, ".word 0")
BENCH(sscratch, "csrw sscratch, a2")
BENCH(sepc, "csrw sepc, a2")
BENCH(stvec, "csrw stvec, a3")
BENCH(sstatus, "csrsi sstatus, 2\n csrci sstatus, 2")
BENCH(sie, "csrw sie, zero")
BENCH(sip, "csrr a4, sip")
BENCH(scounteren, "csrw scounteren, a2")
BENCH(satp_same, "csrw satp, a2")
BENCH(satp_switch, "csrw satp, a2\n ld a4, (sp)\n csrw satp, a3\n ld a4, (sp)")
BENCH(fcsr, "csrw fcsr, zero")
BENCH(fflags, "csrr a4, fflags")
BENCH(rdtime, "rdtime a4")
BENCH(rdcycle, "rdcycle a4")
BENCH(rdinstret, "rdinstret a4")
BENCH(sfence, "sfence.vma")
BENCH(sfence_load, "sfence.vma\n ld a4, (sp)\n sd a4, (sp)")
BENCH(sfence_page, "sfence.vma a2, zero")
BENCH(sfence_asid, "sfence.vma zero, a2")
BENCH(lsr, "lbu a4, 5(a2)")
BENCH(miss, "ld a4, (a2)\n ld a4, (a3)") /* the pages share a place of any small TLB */

static void run_user(uint64_t n, uint64_t a, uint64_t b)
{
    register uint64_t a0 __asm__("a0") = n;

    (void)a;
    (void)b;
    csr_write(stvec, (uintptr_t)user_left);
    csr_clear(sstatus, SSTATUS_SPP);
    csr_write(sepc, (uintptr_t)user_code + USER_OFFSET);
    __asm__ volatile("la t3, 1f\n sret\n .balign 4\n 1:"
                     : "+r"(a0)
                     :
                     : "t1", "t2", "t3", "memory");
    csr_set(sstatus, SSTATUS_SPP);
    csr_write(stvec, (uintptr_t)bench_vector);
}

static uint64_t best(void (*run)(uint64_t, uint64_t, uint64_t), uint64_t a, uint64_t b)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t begin = time_now(), ticks;

        run(ROUNDS, a, b);
        ticks = time_now() - begin;
        if (ticks < least)
            least = ticks;
    }
    return least;
}

static void measure(const char *name, void (*run)(uint64_t, uint64_t, uint64_t), uint64_t a,
                    uint64_t b)
{
    uint64_t empty = best(run_empty, 0, 0), ticks = best(run, a, b);
    uint64_t ps = (ticks > empty ? ticks - empty : 0) * TICK_NS * 1000 / ROUNDS;

    print("%s %lu.%lu%lu\n", name, ps / 1000, ps / 100 % 10, ps / 10 % 10);
}

static void paging_begin(void)
{
    uint64_t ram = 2; /* its gigabyte */

    for (unsigned i = 0; i < 2; i++) {
        root[i][0] = LEAF; /* devices */
        root[i][ram] = ram << 28 | LEAF;
        root[i][ram + 4] = (uintptr_t)user_pages >> 2 | 1;
    }
    for (uint64_t i = 0; i < 512; i++)
        user_pages[i] = ram << 28 | i << 19 | LEAF | LEAF_USER;
    satp_one = SATP_SV39 | UINT64_C(1) << SATP_ASID | (uintptr_t)root[0] >> 12;
    satp_two = SATP_SV39 | UINT64_C(2) << SATP_ASID | (uintptr_t)root[1] >> 12;
    fence_pages();
    csr_write(satp, satp_one);
    fence_pages();
}

int guest_main(const void *dtb)
{
    uint64_t far = (uintptr_t)root & ~UINT64_C(4095);

    uart = fdt_device(dtb, "ns16550a");
    paging_begin();
    csr_write(stvec, (uintptr_t)bench_vector);
    csr_set(sstatus, UINT64_C(3) << 13); /* FS */
    csr_write(scounteren, 7);
    measure("sbi-base", run_sbi, 0, 0);
    measure("trap-user-ecall", run_user, 0, 0);
    measure("trap-ebreak", run_ebreak, 0, 0);
    measure("trap-illegal", run_illegal, 0, 0);
    measure("sfence.vma", run_sfence, 0, 0);
    measure("sfence.vma-load-store", run_sfence_load, 0, 0);
    measure("sfence.vma-page", run_sfence_page, far, 0);
    measure("sfence.vma-asid", run_sfence_asid, 3, 0);
    measure("satp-same", run_satp_same, satp_one, 0);
    measure("satp-switch-two", run_satp_switch, satp_two, satp_one);
    measure("csr-write-sscratch", run_sscratch, 0, 0);
    measure("csr-write-sepc", run_sepc, 0, 0);
    measure("csr-write-stvec", run_stvec, 0, (uintptr_t)bench_vector);
    measure("csr-write-sie", run_sie, 0, 0);
    measure("csr-write-scounteren", run_scounteren, 7, 0);
    measure("csr-write-fcsr", run_fcsr, 0, 0);
    measure("csr-sstatus-sie-on-off", run_sstatus, 0, 0);
    measure("csr-read-sip", run_sip, 0, 0);
    measure("csr-read-fflags", run_fflags, 0, 0);
    measure("rdtime", run_rdtime, 0, 0);
    measure("rdcycle", run_rdcycle, 0, 0);
    measure("rdinstret", run_rdinstret, 0, 0);
    measure("tlb-miss-two", run_miss, far, far + (UINT64_C(64) << 20));
    if (uart)
        measure("uart-lsr", run_lsr, uart, 0);
    else
        print("uart-lsr n/a\n");
    return 0;
}
