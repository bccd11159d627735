/* x86_64.c: the host's KVM on x86-64 as an engine: VM, vCPUs, run, kicks, interrupt lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/x86_64.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vmm/engine/kvm/engine.h"
#include "vmm/engine/kvm/x86_64_state.h"
#include "vmm/host.h"
#include "vmm/phases.h"
#include "vmm/x86/x86.h"

/* Three pages and one that KVM wants on Intel's processors, in the hole, below the 4 GiB. */
#define KVM_IDENTITY_MAP UINT64_C(0xfffbc000)
#define KVM_TSS          UINT64_C(0xfffbd000)

#define RFLAGS_IF 0x200u /* interrupts are on */

static struct kvm_vm *kvm_vm_of(struct vm *vm)
{
    return vm->engine_state;
}

/* --- probe --- */

static const struct kvm_need needs[] = {
    {KVM_CAP_USER_MEMORY,    "memory slots"            },
    {KVM_CAP_IRQCHIP,        "interrupt controllers"   },
    {KVM_CAP_PIT2,           "a timer (i8254)"         },
    {KVM_CAP_EXT_CPUID,      "CPUID of its own"        },
    {KVM_CAP_SYNC_REGS,      "shared registers"        },
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"         },
    {KVM_CAP_READONLY_MEM,   "memory that is read-only"},
    {0,                      NULL                      },
};
static const char absent[] =
    " (is the module kvm_intel or kvm_amd loaded, and are VMX or SVM on?)";

static int kvm_probe(char *why, size_t size)
{
    return kvm_check(needs, absent, why, size);
}

/* --- the VM --- */

static void kvm_vm_destroy(struct vm *vm)
{
    struct kvm_vm *kv = kvm_vm_of(vm);

    if (!kv)
        return;
    if (kv->vm_fd >= 0)
        close(kv->vm_fd);
    if (kv->kvm_fd >= 0)
        close(kv->kvm_fd);
    free(kv->cpuid);
    free(kv->saved);
    free(kv);
    vm->engine_state = NULL;
}

/* A PC's interrupt controllers and timer. They come before the harts. */
static int chips_create(const struct kvm_vm *kv)
{
    uint64_t identity = KVM_IDENTITY_MAP;
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    /* Both are for Intel's processors only, and absent where they mean nothing. */
    kvm_ioctl(kv->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
    kvm_ioctl(kv->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS);
    if (kvm_ioctl(kv->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0 ||
        kvm_ioctl(kv->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
        return -errno;
    return 0;
}

/* Any thread. The kernel wires ISA's interrupts to both controllers, the others to the I/O APIC
 * alone (Linux, arch/x86/kvm/irq.c, default_routing). */
static void kvm_irq_set(void *self, unsigned gsi, bool level)
{
    const struct kvm_vm *kv = self;
    struct kvm_irq_level line = {.irq = gsi, .level = level};

    kvm_ioctl(kv->vm_fd, KVM_IRQ_LINE, &line);
}

/* The steps of making a VM; what was opened is closed by kvm_vm_destroy. */
static int vm_fill(struct kvm_vm *kv, struct vm *vm, struct error *err)
{
    char why[160];
    int size, rc;

    kv->kvm_fd = kvm_open(needs, absent, why, sizeof(why));
    if (kv->kvm_fd < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: %s", why);
    kv->vm_fd = kvm_ioctl(kv->kvm_fd, KVM_CREATE_VM, 0);
    if (kv->vm_fd < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: no VM can be made: %s",
                         strerror(errno));
    rc = kvm_limits_check(kv->vm_fd, vm, "give no more", err);
    if (rc < 0)
        return rc;
    size = kvm_ioctl(kv->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    kv->run_size = size > 0 ? (size_t)size : 0;
    if (kv->run_size < sizeof(struct kvm_run))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--engine kvm: this kernel's KVM shares too little of a hart");
    rc = kvm_slots_set(kv->vm_fd, vm);
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: it does not take memory: %s",
                         strerror(-rc));
    rc = chips_create(kv);
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE,
                         "--engine kvm: it makes no interrupt controllers: %s", strerror(-rc));
    rc = kvm_cpuid_read(kv);
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: it tells no CPUID: %s",
                         strerror(-rc));
    if (irq_controller(vm, kvm_irq_set, kv, 0) != 0)
        return error_set(err, STATUS_CONFIG,
                         "--engine kvm: it has its own interrupt "
                         "controllers; leave the other one out");
    return 0;
}

static int kvm_line_fd(struct vm *vm, unsigned gsi, int fd)
{
    return kvm_irqfd_add(kvm_vm_of(vm)->vm_fd, gsi, fd);
}

static int kvm_store_fd(struct vm *vm, gpa_t gpa, uint32_t value, int fd)
{
    return kvm_ioeventfd_add(kvm_vm_of(vm)->vm_fd, gpa, value, fd);
}

static int kvm_vm_create(struct vm *vm, struct error *err)
{
    struct kvm_vm *kv = calloc(1, sizeof(*kv));
    int rc;

    if (!kv)
        return error_set(err, STATUS_OS, "--engine kvm: no memory");
    kv->kvm_fd = kv->vm_fd = -1;
    vm->engine_state = kv;
    rc = host_thread_kick_init();
    if (rc < 0)
        rc = error_set(err, STATUS_OS, "--engine kvm: the host gives no signal: %s",
                       strerror(-rc));
    if (rc == 0)
        rc = vm_fill(kv, vm, err);
    if (rc != 0)
        kvm_vm_destroy(vm);
    return rc;
}

static int kvm_rom_moved(struct vm *vm)
{
    return kvm_rom_set(kvm_vm_of(vm)->vm_fd, vm);
}

/* --- harts --- */

static void kvm_hart_destroy(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    if (!k)
        return;
    if (k->run)
        munmap(k->run, k->vm->run_size);
    if (k->fd >= 0)
        close(k->fd);
    free(k);
    hart->engine_state = NULL;
}

static int hart_fill(struct kvm_hart *k)
{
    struct kvm_vm *kv = k->vm;

    k->fd = kvm_ioctl(kv->vm_fd, KVM_CREATE_VCPU, (unsigned long)k->hart->index);
    if (k->fd < 0)
        return -errno;
    k->run = kvm_run_map(k->fd, kv->run_size);
    if (!k->run)
        return -errno;
    k->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    return kvm_cpuid_set(k);
}

static int kvm_hart_create(struct hart *hart)
{
    struct kvm_hart *k = aligned_alloc(_Alignof(struct kvm_hart), sizeof(*k));
    int rc;

    if (!k)
        return -ENOMEM;
    *k = (struct kvm_hart){.hart = hart, .vm = kvm_vm_of(hart->vm), .fd = -1};
    hart->engine_state = k;
    rc = hart_fill(k);
    if (rc != 0)
        kvm_hart_destroy(hart);
    return rc;
}

static int kvm_x86_start(struct hart *hart, const struct x86_start *start)
{
    return kvm_start_write(kvm_hart_of(hart), start);
}

/* --- waits --- */

static void kvm_wait(struct hart *hart, uint64_t ticks)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    k->wait = true;
    k->wait_ticks = ticks;
}

/* Is it still to be? Of requests that come after this look kvm_kick_send tells KVM_RUN. */
static bool wait_due(struct kvm_hart *k)
{
    kvm_finish(k); /* what is done for the last exit may end a KVM_RUN */
    if (atomic_load(&k->hart->requests))
        k->wait = false;
    return k->wait;
}

/*
 * A hart that waits is one that has executed HLT: the kernel knows when an interrupt ends that.
 * With interrupts off none does. With interrupts on, one may also be served behind a kick and
 * before the guest makes the call again, so that any end of the wait counts as one by an
 * interrupt: an end too many is harmless, one too few leaves the guest asleep. 0 or errno.
 */
static int wait_run(struct kvm_hart *k)
{
    struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_HALTED};
    uint64_t at = kvm_regs(k)->rip;
    bool waiting;
    uint64_t deadline = clock_deadline_ns(&k->hart->vm->clock, k->wait_ticks);
    bool limited = deadline != UINT64_MAX;
    timer_t alarm;
    int error = 0;

    k->wait = false;
    k->interrupted = kvm_regs(k)->rflags & RFLAGS_IF;
    if (limited)
        error = -host_thread_alarm(deadline, &alarm);
    if (error != 0)
        return error;
    if (kvm_ioctl(k->fd, KVM_SET_MP_STATE, &state) < 0 || ioctl(k->fd, KVM_RUN, 0) < 0)
        error = errno;
    if (limited)
        host_thread_alarm_end(alarm);
    if (kvm_ioctl(k->fd, KVM_GET_MP_STATE, &state) < 0)
        return errno;
    /* Elsewhere, it is the guest itself that has executed HLT meanwhile, and means it. */
    waiting = state.mp_state == KVM_MP_STATE_HALTED && kvm_regs(k)->rip == at;
    k->interrupted = k->interrupted || !waiting;
    state.mp_state = KVM_MP_STATE_RUNNABLE;
    if (waiting && kvm_ioctl(k->fd, KVM_SET_MP_STATE, &state) < 0)
        return errno;
    return error;
}

/* --- run --- */

static HOT_WAY int kvm_run(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);
    enum gate gate = GATE_CONTINUE;

    atomic_store(&k->thread, host_thread_self());
    while (gate == GATE_CONTINUE) {
        int error;

        kvm_kick_clear(k->run);
        bool wait = k->wait && wait_due(k);
        if (!kvm_attend(hart, HART_REQ_STOP | HART_REQ_RESTART))
            break;
        phase_end(hart);
        if (__builtin_expect(wait, 0))
            error = wait_run(k);
        else
            error = ioctl(k->fd, KVM_RUN, 0) < 0 ? errno : 0;
        phase_mark(hart, MARK_LEAVE);
        k->pending = PENDING_NONE;
        gate = kvm_exit_deliver(k, error);
    }
    kvm_settle(k);
    atomic_store(&k->thread, 0);
    return 0;
}

static void kvm_kick(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    if (k && k->run)
        kvm_kick_send(k->run, &k->thread);
}

/* --- what a hart of RISC-V has, and here is the kernel's own --- */

static void kvm_hart_irq(struct hart *hart, unsigned irq, bool level)
{
    (void)hart;
    (void)irq;
    (void)level;
}

static bool kvm_irq_pending(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);
    bool interrupted = k->interrupted;

    k->interrupted = false;
    return interrupted;
}

static void kvm_set_timer(struct hart *hart, uint64_t ticks)
{
    (void)hart;
    (void)ticks;
}

static uint64_t kvm_timer_deadline(struct hart *hart)
{
    (void)hart;
    return UINT64_MAX;
}

static void kvm_fence(struct hart *hart, const struct hart_fence *fence)
{
    (void)hart;
    (void)fence;
}

/* Calls come by the doorbell, all of them: nothing is answered below. */
static enum call_route kvm_call_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

const struct engine engine_kvm = {
    .name = "kvm",
    .summary = "the host's KVM: x86-64 guests on the processor itself",
    .caps = ENGINE_HARTS | ENGINE_PC_CHIPS,
    .arch = &arch_x86_64,
    .probe = kvm_probe,
    .vm_create = kvm_vm_create,
    .vm_destroy = kvm_vm_destroy,
    .hart_create = kvm_hart_create,
    .hart_destroy = kvm_hart_destroy,
    .run = kvm_run,
    .kick = kvm_kick,
    .hart_irq = kvm_hart_irq,
    .irq_pending = kvm_irq_pending,
    .wait = kvm_wait,
    .line_fd = kvm_line_fd,
    .store_fd = kvm_store_fd,
    .set_timer = kvm_set_timer,
    .timer_deadline = kvm_timer_deadline,
    .pc = kvm_pc,
    .fence = kvm_fence,
    .x86_start = kvm_x86_start,
    .registers = kvm_registers,
    .machine_save = kvm_machine_save,
    .machine_load = kvm_machine_load,
    .machine_apply = kvm_machine_apply,
    .rom_moved = kvm_rom_moved,
    .call_route = kvm_call_route,
};
