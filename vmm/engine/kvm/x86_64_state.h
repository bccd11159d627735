/* x86_64_state.h: what the host's kernel holds of an x86-64 machine, as it is saved. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_X86_64_STATE_H
#define VMM_ENGINE_KVM_X86_64_STATE_H

#include "vmm/engine/kvm/x86_64.h"
#include "vmm/error.h"
#include "vmm/snapshot.h"

#define KVM_SAVED_MSRS_MAX 512u
#define KVM_SAVED_XSAVE_MIN                                                                    \
    4096u /* what every kernel has (Linux, kvm/api.rst, KVM_GET_XSAVE) */
#define KVM_SAVED_XSAVE_MAX 16384u /* AMX needs 11008 */
#define KVM_SAVED_CHIPS     3u     /* two 8259, the I/O APIC: the numbers of KVM_GET_IRQCHIP */

/* A hart, in the structures of the kernel's interface (Linux, kvm/api.rst, section 4). */
struct kvm_saved_hart {
    struct kvm_mp_state mp;
    struct kvm_regs regs;
    struct kvm_sregs2 sregs;
    struct kvm_xcrs xcrs; /* none where the processor has no XSAVE */
    struct kvm_debugregs debug;
    struct kvm_lapic_state lapic;
    struct kvm_vcpu_events events;
    uint32_t xsave_size, nmsrs;
    uint8_t xsave[KVM_SAVED_XSAVE_MAX];
    struct kvm_msr_entry msr[KVM_SAVED_MSRS_MAX];
};

struct kvm_saved {
    uint32_t ncpuid, tsc_khz;                     /* 0: the host does not tell its TSC's rate */
    struct kvm_cpuid_entry2 cpuid[KVM_CPUID_MAX]; /* what hart 0 is told */
    uint64_t clock_ns;                            /* KVM's own clock */
    struct kvm_irqchip chip[KVM_SAVED_CHIPS];
    struct kvm_pit_state2 pit;
    unsigned nharts;
    struct kvm_saved_hart hart[];
};

/* --- x86_64_saved.c: the bytes, without a kernel --- */

/* All zero, for free(); NULL: no memory. */
struct kvm_saved *kvm_saved_new(unsigned nharts);

void kvm_saved_put(const struct kvm_saved *s, struct state_writer *w);

/* Fills s, of as many harts, with what is checked for its form only. 0, or -errno with *err
 * set. */
int kvm_saved_get(struct kvm_saved *s, struct state_reader *r, struct error *err);

/*
 * Can a processor that has what `here` says go on with a guest that was told `saved`? Makers
 * must be the same, and no feature may be missing. 0, or -errno with the first difference in
 * *err.
 */
int kvm_saved_cpuid_check(const struct kvm_saved *saved, const struct kvm_cpuid2 *here,
                          struct error *err);

/*
 * Does a hart hold nothing of virtual machines that its guest runs? The kernel tells of VMX
 * since it was switched on (Linux, kvm/api.rst, KVM_GET_NESTED_STATE), and of SVM while there
 * is such a machine, or interrupts are held back for one.
 */
bool kvm_nested_idle(const struct kvm_nested_state *n);

/* --- x86_64_state.c: from and to the kernel; see engine.h --- */

int kvm_machine_save(struct vm *vm, struct state_writer *w, struct error *err);
int kvm_machine_load(struct vm *vm, struct state_reader *r, struct error *err);
int kvm_machine_apply(struct vm *vm, struct error *err);

#endif
