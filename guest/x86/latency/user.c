/* user.c: the probe's kernel for privilege 3: segments, pages, and the ways of its system
 * calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/latency/user.h"

#include "guest/lib/string.h"
#include "guest/latency/latency.h"
#include "guest/x86/lib/x86.h"

/* MSRs (Intel SDM, volume 4). */
#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_RSP 0x175
#define MSR_SYSENTER_RIP 0x176
#define MSR_EFER         0xc0000080
#define MSR_STAR         0xc0000081
#define MSR_LSTAR        0xc0000082
#define MSR_FMASK        0xc0000084
#define EFER_SCE         0x1
#define EFER_LME         0x100
#define EFER_LMA         0x400
#define CPUID_SEP        (1u << 11)
#define RFLAGS_IF        0x200

#define PAGE_USER    0x4u
#define PAGE_ADDRESS 0x000ffffffffff000u
#define LARGE_SHIFT  21

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* A 64-bit task state segment; only rsp0 counts (Intel SDM, volume 3, section 7.7). */
struct __attribute__((packed)) tss {
    uint32_t zero;
    uint64_t rsp0;
    uint8_t rest[92];
};

struct tss user_tss __attribute__((aligned(16)));
static uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(16)));
static uint8_t task_data[TASK_SIZE];

extern char __bss_end[];

static void segments_set(void)
{
    uint64_t base = (uintptr_t)&user_tss;
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(gdt) - 1, (uintptr_t)gdt};

    gdt[KERNEL_CODE / 8] = 0x00af9b000000ffff;
    gdt[KERNEL_DATA / 8] = 0x00cf93000000ffff;
    gdt[USER_DATA / 8] = 0x00cff3000000ffff;
    gdt[USER_CODE / 8] = 0x00affb000000ffff;
    gdt[USER_CODE / 8 + 1] = gdt[USER_DATA / 8]; /* for sysexit */
    gdt[TSS / 8] = 0x0000890000000000 | (sizeof(user_tss) - 1) | (base & 0xffffff) << 16 |
                   (base >> 24 & 0xff) << 56;
    gdt[TSS / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0\n ltr %1" ::"m"(pointer), "r"((uint16_t)TSS) : "memory");
}

/* Lets privilege 3 at this guest's own pages, in the tables that it was given. */
static void pages_open(void)
{
    uint64_t root, *table;

    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    table = (uint64_t *)(root & PAGE_ADDRESS);
    table[0] |= PAGE_USER;
    table = (uint64_t *)(table[0] & PAGE_ADDRESS);
    table[0] |= PAGE_USER;
    table = (uint64_t *)(table[0] & PAGE_ADDRESS);
    for (uint64_t i = 1; i <= (uintptr_t)__bss_end >> LARGE_SHIFT; i++)
        table[i] |= PAGE_USER;
    __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
}

uint64_t user_loop(void (*code)(void), uint64_t n)
{
    uint64_t ticks;

    trap_gate_set(VECTOR_UNDEFINED, user_leave, 0);
    trap_gate_set(VECTOR_PROTECTION, user_fail, 0);
    ticks = user_go(code, n);
    trap_gate_reset(VECTOR_UNDEFINED);
    trap_gate_reset(VECTOR_PROTECTION);
    return ticks;
}

static const char *way_missing(void (*code)(void))
{
    return user_loop(code, 1) == USER_FAILED ? "this processor does not know it" : NULL;
}

const char *int80_missing(void)
{
    return way_missing(user_int80);
}

const char *syscall_missing(void)
{
    return way_missing(user_syscall);
}

const char *sysenter_missing(void)
{
    return cpuid_get(1).d & CPUID_SEP ? way_missing(user_sysenter)
                                      : "this processor has no sysenter";
}

void user_init(void)
{
    segments_set();
    pages_open();
    trap_gate_set(VECTOR_NULL, user_on_int80, 3);
    msr_write(MSR_EFER, EFER_SCE | EFER_LME | EFER_LMA);
    msr_write(MSR_STAR, (uint64_t)USER_BASE << 48 | (uint64_t)KERNEL_CODE << 32);
    msr_write(MSR_LSTAR, (uintptr_t)user_on_syscall);
    msr_write(MSR_FMASK, RFLAGS_IF);
    if (!(cpuid_get(1).d & CPUID_SEP))
        return;
    msr_write(MSR_SYSENTER_CS, KERNEL_CODE);
    msr_write(MSR_SYSENTER_RSP, (uintptr_t)guest_stack);
    msr_write(MSR_SYSENTER_RIP, (uintptr_t)user_on_sysenter);
}

/* --- the task --- */

/* The same as RISC-V's: FNV-1a. */
__attribute__((noinline)) uint64_t task(const uint8_t *data, uint64_t size)
{
    uint64_t sum = FNV_BASIS;

    for (uint64_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * FNV_PRIME;
    return sum;
}

uint64_t task_direct_run(uint64_t n)
{
    uint64_t start = cycles_now();

    for (uint64_t i = 0; i < n; i++)
        task_data[0] = (uint8_t)task(task_data, TASK_SIZE);
    return cycles_now() - start;
}

uint64_t task_crossings(void)
{
    return 0;
}

const char *user_missing(void)
{
    return "the probe of x86-64 has no servers";
}

uint64_t task_call_run(uint64_t n)
{
    (void)n;
    return 0;
}

uint64_t task_chain_run(uint64_t n)
{
    (void)n;
    return 0;
}
