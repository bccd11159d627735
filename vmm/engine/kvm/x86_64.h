/* x86_64.h: what the files of the x86-64 KVM engine share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_X86_64_H
#define VMM_ENGINE_KVM_X86_64_H

#include "vmm/engine/kvm/common.h"

#define KVM_CPUID_MAX 256

struct kvm_vm {
    int kvm_fd, vm_fd;
    size_t run_size;
    bool deadline_timer;      /* the local APIC's TSC-deadline mode is there */
    struct kvm_cpuid2 *cpuid; /* with room for KVM_CPUID_MAX */
    struct kvm_saved *saved;  /* read and not applied yet (x86_64_state.h), or NULL */
};

/* What the kernel still does at the next KVM_RUN for the exit before it. */
enum kvm_pending {
    PENDING_NONE,
    PENDING_OUT, /* maybe moves rip behind the instruction */
    PENDING_IN,  /* writes the register, and moves rip */
    PENDING_MMIO,
};

/*
 * Where a call leads that need not take the gate (call_fast, call.h); its line in the cache is
 * all that finding it takes.
 */
struct kvm_call {
    uint64_t ext, fn;
    struct call_way way; /* its epoch counts even when the call is not plain */
    bool plain;
} __attribute__((aligned(64)));

#define KVM_CALLS 4u

struct kvm_hart {
    struct hart *hart;
    struct kvm_run *run;
    int fd;
    enum kvm_pending pending;
    /* Registers of the last exit: in run->s.regs, where the kernel puts them by itself. */
    uint64_t last_rip;  /* at the last exit that was no fault */
    _Atomic int thread; /* inside run: host_thread_self(); else 0 */
    struct kvm_vm *vm;
    struct kvm_call call[KVM_CALLS];
    bool wait;        /* the next KVM_RUN is a wait, until wait_ticks */
    bool interrupted; /* an interrupt has ended the last one */
    uint64_t wait_ticks;
};

static inline struct kvm_hart *kvm_hart_of(struct hart *hart)
{
    return hart->engine_state;
}

static inline struct kvm_regs *kvm_regs(struct kvm_hart *k)
{
    return &k->run->s.regs.regs;
}

/* --- x86_64_regs.c --- */

/* Makes the CPUID leaves of the VM's harts, which differ in their APIC IDs. 0 or -errno. */
int kvm_cpuid_read(struct kvm_vm *kv);
int kvm_cpuid_set(struct kvm_hart *k);
/* What this hart is told, for free(); NULL: no memory. */
struct kvm_cpuid2 *kvm_cpuid_of(const struct kvm_hart *k);
/* Puts other leaves, at most KVM_CPUID_MAX, into their place; kvm_cpuid_set hands them over. */
void kvm_cpuid_replace(struct kvm_vm *kv, const struct kvm_cpuid_entry2 *entry, uint32_t n);
int kvm_start_write(struct kvm_hart *k, const struct x86_start *start);
unsigned kvm_registers(struct hart *hart, struct hart_register *list);
/* Guest-virtual code around an address; how many bytes there are from `from` on. */
size_t kvm_code_read(struct kvm_hart *k, uint64_t from, uint8_t *code, size_t max);

/* --- x86_64_exit.c --- */

/* Delivers the exit that KVM_RUN returned with (error 0), or its failure, and commits the
 * reply.
 */
enum gate kvm_exit_deliver(struct kvm_hart *k, int error);

/* Lets the kernel do what is pending, without running the guest. True: that was another exit,
 * to be delivered. */
bool kvm_finish(struct kvm_hart *k);

/*
 * The same until nothing is pending, delivering those exits too, and registers that were
 * changed are in the kernel: the hart is between two instructions. Outside the gate.
 */
void kvm_settle(struct kvm_hart *k);

/* The pc of the instruction that exited. */
uint64_t kvm_pc(struct hart *hart);

#endif
