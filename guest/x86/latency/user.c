/* user.c: the probe's kernel for privilege 3: segments, pages, and the ways of its system
 * calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/x86/latency/user.h"

#include "guest/lib/hart.h"
#include "guest/lib/print.h"
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

#define UD2_FIRST  0x0f
#define UD2_SECOND 0x0b

#define PAGE_USER    0x4u
#define PAGE_ADDRESS 0x000ffffffffff000u
#define LARGE_SHIFT  21

/* A 64-bit task state segment; only rsp0 counts (Intel SDM, volume 3, section 7.7). */
struct __attribute__((packed)) tss {
    uint32_t zero;
    uint64_t rsp0;
    uint8_t rest[92];
};

struct tss user_tss __attribute__((aligned(16)));
struct user_end user_end;
static uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(16)));

extern char __bss_end[];

_Static_assert(offsetof(struct tss, rsp0) == TSS_RSP0, "user.S writes it");
_Static_assert(offsetof(struct user_end, vector) == END_VECTOR, "user.S writes it");

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

/* --- calls --- */

static const char *end_problem(const struct user_end *end, uint64_t n)
{
    const uint8_t *code = (const uint8_t *)end->rip;

    if ((end->cs & 3) != 3)
        return "the processor, or a KVM that emulates it, does not know its way back";
    if (end->vector != VECTOR_UNDEFINED || code[0] != UD2_FIRST || code[1] != UD2_SECOND)
        return "the processor, or a KVM that emulates it, does not know it";
    if (end->arrived != n)
        return "not every call arrived";
    if (end->cs != USER_CODE || end->ss < USER_DATA || end->rsp != (uintptr_t)user_stack_top ||
        (end->flags & RFLAGS_IF))
        return "a call came back with other segments, flags or another stack";
    return NULL;
}

static const char *user_try(void (*code)(void), uint64_t n)
{
    trap_gate_set(VECTOR_UNDEFINED, user_undefined, 0);
    trap_gate_set(VECTOR_PROTECTION, user_protection, 0);
    user_go(code, n);
    trap_gate_reset(VECTOR_UNDEFINED);
    trap_gate_reset(VECTOR_PROTECTION);
    return end_problem(&user_end, n);
}

/* One call has gone well, so that thousands do: else figures would be of nobody knows what. */
static uint64_t user_run(void (*code)(void), uint64_t n)
{
    const char *why = user_try(code, n);

    if (why) {
        print("%lu system calls from privilege 3, of which %lu arrived: %s\n", n,
              user_end.arrived, why);
        system_fail(5);
    }
    return user_end.ticks;
}

uint64_t int80_run(uint64_t n)
{
    return user_run(user_int80, n);
}

uint64_t syscall_run(uint64_t n)
{
    return user_run(user_syscall, n);
}

uint64_t sysenter_run(uint64_t n)
{
    return user_run(user_sysenter, n);
}

const char *int80_missing(void)
{
    return user_try(user_int80, 1);
}

const char *syscall_missing(void)
{
    return user_try(user_syscall, 1);
}

const char *sysenter_missing(void)
{
    return cpuid_get(1).d & CPUID_SEP ? user_try(user_sysenter, 1)
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
    msr_write(MSR_SYSENTER_RSP, (uintptr_t)user_sysenter_stack);
    msr_write(MSR_SYSENTER_RIP, (uintptr_t)user_on_sysenter);
}
