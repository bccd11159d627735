/* x86_64_regs.c: an x86-64 vCPU's registers, its CPUID, and the code around its pc. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/x86_64.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/x86.h"
#include "vmm/x86/x86.h"

/* Control registers and EFER (Intel SDM, volume 3, sections 2.5 and 2.2.1). */
#define CR0_PE   0x1u
#define CR0_ET   0x10u
#define CR0_PG   0x80000000u
#define CR4_PAE  0x20u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u

#define RFLAGS_FIXED 0x2u

#define MSR_MISC_ENABLE 0x1a0u
#define MISC_FAST_REP   0x1u
#define MSR_MTRR_DEF    0x2ffu
#define MTRR_WRITE_BACK 0x806u /* MTRRs on, all memory write-back */

/* --- CPUID --- */

#define LEAF_FEATURES  1u
#define LEAF_CACHES    4u
#define LEAF_TOPOLOGY  0xbu
#define LEAF_TOPOLOGY2 0x1fu
#define LEAF_AMD_CORES 0x80000008u
#define LEAF_AMD_APIC  0x8000001eu

#define FEATURE_DEADLINE   (1u << 24) /* ecx: the local APIC's TSC-deadline mode */
#define FEATURE_HYPERVISOR (1u << 31) /* ecx */
#define FEATURE_HTT        (1u << 28) /* edx: ebx has a count of APIC IDs */

/* Leaves of our own behind those of the kernel. */
#define OWN_LEAVES 3u

static int cpuid_ask(int kvm_fd, struct kvm_cpuid2 *cpuid)
{
    cpuid->nent = KVM_CPUID_MAX - OWN_LEAVES;
    return kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0 ? -errno : 0;
}

static void own_leaf_add(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t eax,
                         const char *signature)
{
    struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];

    *e = (struct kvm_cpuid_entry2){.function = leaf, .eax = eax};
    if (signature) {
        memcpy(&e->ebx, signature, 4);
        memcpy(&e->ecx, signature + 4, 4);
        memcpy(&e->edx, signature + 8, 4);
    }
}

int kvm_cpuid_read(struct kvm_vm *kv)
{
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof(*cpuid) + KVM_CPUID_MAX * sizeof(cpuid->entries[0]));
    int khz = kvm_ioctl(kv->vm_fd, KVM_GET_TSC_KHZ, 0), rc;

    if (!cpuid)
        return -ENOMEM;
    kv->cpuid = cpuid;
    rc = cpuid_ask(kv->kvm_fd, cpuid);
    if (rc < 0)
        return rc;
    kv->deadline_timer =
        kvm_ioctl(kv->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    own_leaf_add(cpuid, TG_X86_CPUID, TG_X86_CPUID + 2, TG_X86_CPUID_SIGNATURE);
    own_leaf_add(cpuid, TG_X86_CPUID + 1, TG_X86_PORT_CALL, NULL);
    own_leaf_add(cpuid, TG_X86_CPUID + 2, khz > 0 ? (uint32_t)khz : 0, NULL);
    return 0;
}

/* The number of bits that APIC IDs of so many harts need. */
static unsigned bits_of(unsigned n)
{
    unsigned bits = 0;

    while (1u << bits < n)
        bits++;
    return bits;
}

/* All harts are cores of one package, without threads; the host's own counts mean nothing. */
static void entry_adapt(struct kvm_cpuid_entry2 *e, const struct kvm_hart *k, unsigned n)
{
    uint32_t id = k->hart->index;

    switch (e->function) {
    case LEAF_FEATURES:
        e->ebx = (e->ebx & 0xffff) | n << 16 | id << 24;
        e->ecx = (e->ecx & ~FEATURE_DEADLINE) | FEATURE_HYPERVISOR |
                 (k->vm->deadline_timer ? FEATURE_DEADLINE : 0);
        e->edx = (e->edx & ~FEATURE_HTT) | (n > 1 ? FEATURE_HTT : 0);
        break;
    case LEAF_CACHES: e->eax = (e->eax & 0x3fff) | (n - 1) << 26; break;
    case LEAF_TOPOLOGY:
    case LEAF_TOPOLOGY2:
        e->eax = e->index == 0 ? 0 : e->index == 1 ? bits_of(n) : 0;
        e->ebx = e->index == 0 ? 1 : e->index == 1 ? n : 0;
        e->ecx = e->index | (e->index < 2 ? (e->index + 1) << 8 : 0);
        e->edx = id;
        break;
    case LEAF_AMD_CORES: e->ecx = bits_of(n) << 12 | (n - 1); break;
    case LEAF_AMD_APIC:
        e->eax = id;
        e->ebx = id;
        e->ecx = 0;
        break;
    default: break;
    }
}

struct kvm_cpuid2 *kvm_cpuid_of(const struct kvm_hart *k)
{
    const struct kvm_cpuid2 *all = k->vm->cpuid;
    size_t size = sizeof(*all) + all->nent * sizeof(all->entries[0]);
    struct kvm_cpuid2 *own = malloc(size);

    if (!own)
        return NULL;
    memcpy(own, all, size);
    for (uint32_t i = 0; i < own->nent; i++)
        entry_adapt(&own->entries[i], k, k->hart->vm->config->nharts);
    return own;
}

int kvm_cpuid_set(struct kvm_hart *k)
{
    struct kvm_cpuid2 *own = kvm_cpuid_of(k);
    int rc;

    if (!own)
        return -ENOMEM;
    rc = kvm_ioctl(k->fd, KVM_SET_CPUID2, own) < 0 ? -errno : 0;
    free(own);
    return rc;
}

void kvm_cpuid_replace(struct kvm_vm *kv, const struct kvm_cpuid_entry2 *entry, uint32_t n)
{
    memcpy(kv->cpuid->entries, entry, n * sizeof(*entry));
    kv->cpuid->nent = n;
    kv->deadline_timer = false;
    for (uint32_t i = 0; i < n; i++)
        if (entry[i].function == LEAF_FEATURES)
            kv->deadline_timer = entry[i].ecx & FEATURE_DEADLINE;
}

/* --- the start --- */

static void segments_set(struct kvm_sregs *s, bool long_mode)
{
    const struct kvm_segment data = {.limit = 0xffffffff,
                                     .selector = TG_X86_DATA_SELECTOR,
                                     .type = 3,
                                     .present = 1,
                                     .db = 1,
                                     .s = 1,
                                     .g = 1};

    s->ds = s->es = s->fs = s->gs = s->ss = data;
    s->cs = data;
    s->cs.selector = TG_X86_KERNEL_SELECTOR;
    s->cs.type = 11;
    s->cs.db = !long_mode;
    s->cs.l = long_mode;
    s->tr = (struct kvm_segment){
        .limit = 0x67, .selector = X86_TSS_SELECTOR, .type = 11, .present = 1};
    s->ldt = (struct kvm_segment){.type = 2, .unusable = 1};
    s->gdt = (struct kvm_dtable){.base = X86_GDT, .limit = X86_GDT_ENTRIES * 8 - 1};
    s->idt = (struct kvm_dtable){0};
}

/* What firmware would have set; a processor that lacks one of them does not need it. */
static void msrs_set(const struct kvm_hart *k)
{
    static const struct {
        uint32_t index;
        uint64_t value;
    } wanted[] = {
        {MSR_MISC_ENABLE, MISC_FAST_REP  },
        {MSR_MTRR_DEF,    MTRR_WRITE_BACK},
    };
    uint64_t room[(sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)) / 8];
    struct kvm_msrs *one = (struct kvm_msrs *)room;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        memset(room, 0, sizeof(room));
        one->nmsrs = 1;
        one->entries[0].index = wanted[i].index;
        one->entries[0].data = wanted[i].value;
        kvm_ioctl(k->fd, KVM_SET_MSRS, one);
    }
}

int kvm_start_write(struct kvm_hart *k, const struct x86_start *start)
{
    struct kvm_regs regs = {.rip = start->rip,
                            .rdi = start->rdi,
                            .rsi = start->rsi,
                            .rbx = start->rbx,
                            .rflags = RFLAGS_FIXED};
    struct kvm_sregs s;

    if (kvm_ioctl(k->fd, KVM_GET_SREGS, &s) < 0)
        return -errno;
    segments_set(&s, start->long_mode);
    s.cr0 = CR0_PE | CR0_ET | (start->long_mode ? CR0_PG : 0);
    s.cr3 = start->long_mode ? X86_PAGE_TABLES : 0;
    s.cr4 = start->long_mode ? CR4_PAE : 0;
    s.efer = start->long_mode ? EFER_LME | EFER_LMA : 0;
    if (kvm_ioctl(k->fd, KVM_SET_SREGS, &s) < 0 || kvm_ioctl(k->fd, KVM_SET_REGS, &regs) < 0)
        return -errno;
    msrs_set(k);
    return 0;
}

/* --- for reports --- */

unsigned kvm_registers(struct hart *hart, struct hart_register *list)
{
    struct kvm_hart *k = kvm_hart_of(hart);
    const struct kvm_regs *r = kvm_regs(k);
    struct kvm_sregs s;
    const struct {
        const char *name;
        uint64_t value;
    } general[] = {
        {"rax",    r->rax   },
        {"rbx",    r->rbx   },
        {"rcx",    r->rcx   },
        {"rdx",    r->rdx   },
        {"rsi",    r->rsi   },
        {"rdi",    r->rdi   },
        {"rsp",    r->rsp   },
        {"rbp",    r->rbp   },
        {"r8",     r->r8    },
        {"r9",     r->r9    },
        {"r10",    r->r10   },
        {"r11",    r->r11   },
        {"r12",    r->r12   },
        {"r13",    r->r13   },
        {"r14",    r->r14   },
        {"r15",    r->r15   },
        {"rip",    r->rip   },
        {"rflags", r->rflags},
    };
    unsigned n = 0;

    for (; n < sizeof(general) / sizeof(general[0]); n++) {
        snprintf(list[n].name, sizeof(list[n].name), "%s", general[n].name);
        list[n].value = general[n].value;
    }
    if (kvm_ioctl(k->fd, KVM_GET_SREGS, &s) < 0)
        return n;
    const struct {
        const char *name;
        uint64_t value;
    } system[] = {
        {"cr0",    s.cr0        },
        {"cr2",    s.cr2        },
        {"cr3",    s.cr3        },
        {"cr4",    s.cr4        },
        {"efer",   s.efer       },
        {"cs",     s.cs.selector},
        {"ss",     s.ss.selector},
        {"ds",     s.ds.selector},
        {"fsbase", s.fs.base    },
        {"gsbase", s.gs.base    },
        {"gdt",    s.gdt.base   },
        {"idt",    s.idt.base   },
    };
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++, n++) {
        snprintf(list[n].name, sizeof(list[n].name), "%s", system[i].name);
        list[n].value = system[i].value;
    }
    return n;
}

size_t kvm_code_read(struct kvm_hart *k, uint64_t from, uint8_t *code, size_t max)
{
    size_t n = 0;

    while (n < max) {
        struct kvm_translation t = {.linear_address = from + n};
        size_t part = MEM_PAGE_SIZE - (from + n) % MEM_PAGE_SIZE;

        if (part > max - n)
            part = max - n;
        if (kvm_ioctl(k->fd, KVM_TRANSLATE, &t) < 0 || !t.valid ||
            mem_read(&k->hart->vm->mem, t.physical_address, code + n, part) < 0)
            break;
        n += part;
    }
    return n;
}
