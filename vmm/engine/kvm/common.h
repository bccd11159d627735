/* common.h: what the KVM engines of all architectures do alike. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_KVM_COMMON_H
#define VMM_ENGINE_KVM_COMMON_H

#if defined(__riscv)
#include <asm/ptrace.h> /* linux/kvm.h needs its structures */
#endif
#include <errno.h>
#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include "vmm/vm.h"

/*
 * ioctl of anything but KVM_RUN, which a signal may interrupt too (KVM_CREATE_VM waits for
 * locks): goes on then. As ioctl(2).
 */
#define kvm_ioctl(fd, request, arg) kvm_ioctl_again(fd, request, (uintptr_t)(arg))

static inline int kvm_ioctl_again(int fd, unsigned long request, uintptr_t arg)
{
    int rc;

    do
        rc = ioctl(fd, request, arg);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* --- /dev/kvm --- */

/* What an engine cannot do without; lists end with a name of NULL. */
struct kvm_need {
    int cap;
    const char *name;
};

/*
 * Opens /dev/kvm, or says why it cannot be used; absent is what to look at where the file is
 * not there. The descriptor or -errno.
 */
int kvm_open(const struct kvm_need *needs, const char *absent, char *why, size_t size);

/* The same, closed again. 0 or -errno. */
int kvm_check(const struct kvm_need *needs, const char *absent, char *why, size_t size);

/*
 * Has this kernel as many harts and memory slots as the machine needs? 0, or the error with
 * STATUS_UNAVAILABLE; advice ends what is said of the harts.
 */
int kvm_limits_check(int vm_fd, const struct vm *vm, const char *advice, struct error *err);

/* --- memory --- */

/* Gives the VM the machine's memory; only what is read-only, again. 0 or -errno. */
int kvm_slots_set(int vm_fd, const struct vm *vm);
int kvm_rom_set(int vm_fd, const struct vm *vm);

/* --- eventfds --- */

/* 32-bit stores of value at gpa count fd up, and are no exits. 0 or -errno. */
int kvm_ioeventfd_add(int vm_fd, gpa_t gpa, uint32_t value, int fd);
/* Each count of fd is an edge of a line. 0 or -errno. */
int kvm_irqfd_add(int vm_fd, unsigned gsi, int fd);

/* --- harts --- */

/* Maps what the kernel shares of a vCPU; NULL: errno says why. */
struct kvm_run *kvm_run_map(int vcpu_fd, size_t size);

/*
 * A kick is never lost and never waits: who kicks has set a request, then sets immediate_exit,
 * then signals. Who runs reads the requests after immediate_exit: either the request is seen,
 * or immediate_exit is set after that look and KVM_RUN returns at once, or the signal finds the
 * thread in KVM_RUN and ends it. What is cleared is exchanged, so that its request is seen too;
 * clearing it always would cost each exit a locked instruction, some 10 ns.
 *
 * thread is host_thread_self() of who is inside the engine's run, else 0.
 */
static inline void kvm_kick_clear(struct kvm_run *run)
{
    if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
        __atomic_exchange_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

void kvm_kick_send(struct kvm_run *run, const _Atomic int *thread);

/*
 * After kvm_kick_clear: takes what was asked of the hart. False: it was asked to leave, by one
 * of HART_REQ_* in leave. Fences are the kernel's business: nobody posts any.
 */
static inline bool kvm_attend(struct hart *hart, uint32_t leave)
{
    uint32_t requests = atomic_load(&hart->requests);

    if (requests & HART_REQ_FENCES)
        hart_take_fences(hart);
    if (requests & HART_REQ_WAKE)
        atomic_fetch_and(&hart->requests, ~HART_REQ_WAKE);
    return !(requests & leave);
}

/*
 * Lets the kernel end what it has pending for the last exit, without running the guest. A kick
 * may come meanwhile: look at the requests afterwards. True: to end it takes another exit,
 * which is in *run (x86: an access in several parts).
 */
bool kvm_run_nothing(int vcpu_fd, struct kvm_run *run);

/* KVM_EXIT_MMIO through the gate; the reply is in *exit, for the engine to commit. */
enum gate kvm_mmio_gate(struct hart *hart, const struct kvm_run *run, struct vm_exit *exit);

#endif
