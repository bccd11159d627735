/* riscv64.c: the host's KVM on riscv64 as an engine: VM, vCPUs, run, kicks, who answers what.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "vmm/engine/kvm/engine.h"
#include "vmm/host.h"
#include "vmm/phases.h"

/*
 * SBI extensions that the kernel can let a guest have. All others it answers with NOT_SUPPORTED
 * and asks nobody: legacy calls too, since Debian's kernel is built without them.
 */
static const struct sbi_ext {
    uint64_t first, last;
    unsigned id; /* KVM_RISCV_SBI_EXT_ID; NO_ID: always there */
    enum call_route route;
} sbi_exts[] = {
#define NO_ID UINT32_MAX
    {SBI_EXT_BASE,         SBI_EXT_BASE,         NO_ID,                          ROUTE_BELOW},
    {SBI_EXT_TIME,         SBI_EXT_TIME,         KVM_RISCV_SBI_EXT_TIME,         ROUTE_BELOW},
    {SBI_EXT_IPI,          SBI_EXT_IPI,          KVM_RISCV_SBI_EXT_IPI,          ROUTE_BELOW},
    {SBI_EXT_RFENCE,       SBI_EXT_RFENCE,       KVM_RISCV_SBI_EXT_RFENCE,       ROUTE_BELOW},
    {SBI_EXT_HSM,          SBI_EXT_HSM,          KVM_RISCV_SBI_EXT_HSM,          ROUTE_BELOW},
    {SBI_EXT_PMU,          SBI_EXT_PMU,          KVM_RISCV_SBI_EXT_PMU,          ROUTE_BELOW},
    {SBI_EXT_STA,          SBI_EXT_STA,          KVM_RISCV_SBI_EXT_STA,          ROUTE_BELOW},
    {SBI_EXT_SRST,         SBI_EXT_SRST,         KVM_RISCV_SBI_EXT_SRST,         ROUTE_BELOW},
    {SBI_EXT_DBCN,         SBI_EXT_DBCN,         KVM_RISCV_SBI_EXT_DBCN,         ROUTE_EXITS},
    {UINT64_C(0x08000000), UINT64_C(0x08ffffff), KVM_RISCV_SBI_EXT_EXPERIMENTAL, ROUTE_EXITS},
    {UINT64_C(0x09000000), UINT64_C(0x09ffffff), KVM_RISCV_SBI_EXT_VENDOR,       ROUTE_EXITS},
};
#define SBI_EXTS (sizeof(sbi_exts) / sizeof(sbi_exts[0]))

static struct kvm_vm *kvm_vm_of(struct vm *vm)
{
    return vm->engine_state;
}

/* --- probe --- */

static const struct kvm_need needs[] = {
    {KVM_CAP_USER_MEMORY,    "memory slots"   },
    {KVM_CAP_ONE_REG,        "register access"},
    {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"},
    {KVM_CAP_MP_STATE,       "states of harts"},
    {0,                      NULL             },
};
static const char absent[] = " (is the module kvm loaded, and has this CPU the H extension?)";

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
    kvm_debug_destroy(kv);
    if (kv->vcpu0_fd >= 0)
        close(kv->vcpu0_fd);
    if (kv->aia_fd >= 0)
        close(kv->aia_fd);
    if (kv->vm_fd >= 0)
        close(kv->vm_fd);
    if (kv->kvm_fd >= 0)
        close(kv->kvm_fd);
    free(kv);
    vm->engine_state = NULL;
}

static int kvm_rom_moved(struct vm *vm)
{
    return kvm_rom_set(kvm_vm_of(vm)->vm_fd, vm);
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
    size = kvm_ioctl(kv->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    kv->run_size = size > 0 ? (size_t)size : 0;
    rc = kvm_limits_check(kv->vm_fd, vm, "use --engine interp for more", err);
    if (rc < 0)
        return rc;
    rc = kvm_slots_set(kv->vm_fd, vm);
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: it does not take memory: %s",
                         strerror(-rc));
    rc = vm->irq.below ? kvm_aia_create(kv) : 0;
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: no AIA can be made: %s",
                         strerror(-rc));
    kv->vcpu0_fd = kvm_ioctl(kv->vm_fd, KVM_CREATE_VCPU, 0);
    if (kv->vcpu0_fd < 0 || kv->run_size < sizeof(struct kvm_run))
        return error_set(err, STATUS_UNAVAILABLE, "--engine kvm: no hart can be made: %s",
                         strerror(errno));
    rc = kvm_features_read(kv, vm);
    if (rc < 0)
        return error_set(err, STATUS_UNAVAILABLE,
                         "--engine kvm: it does not describe harts: %s", strerror(-rc));
    return 0;
}

static int kvm_vm_create(struct vm *vm, struct error *err)
{
    struct kvm_vm *kv = calloc(1, sizeof(*kv));
    int rc;

    if (!kv)
        return error_set(err, STATUS_OS, "--engine kvm: no memory");
    kv->kvm_fd = kv->vm_fd = kv->vcpu0_fd = kv->aia_fd = -1;
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

/* --- harts --- */

/*
 * Gives the guest the SBI extensions that have a module, and no others: what the kernel would
 * answer for a module that was left out, or for one that nobody knows, is absent as elsewhere.
 */
static int sbi_choose(const struct kvm_vm *kv, struct vm *vm, int fd)
{
    for (unsigned id = 0; id < 64; id++) {
        bool wanted = id == KVM_RISCV_SBI_EXT_EXPERIMENTAL || id == KVM_RISCV_SBI_EXT_VENDOR;
        int rc;

        if (!(kv->sbi_offered >> id & 1))
            continue;
        for (size_t i = 0; !wanted && i < SBI_EXTS; i++)
            wanted = sbi_exts[i].id == id && call_ext_present(vm, CALL_SBI, sbi_exts[i].first);
        rc = kvm_reg_set(fd, KVM_REG_SBI(id), wanted);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void kvm_hart_destroy(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    if (!k)
        return;
    if (k->run)
        munmap(k->run, k->vm->run_size);
    if (k->fd >= 0)
        close(k->fd);
    free(k->walker);
    free(k);
    hart->engine_state = NULL;
}

static int hart_fill(struct kvm_hart *k)
{
    struct kvm_vm *kv = k->vm;
    struct vm *vm = k->hart->vm;
    int rc;

    k->walker = calloc(1, sizeof(*k->walker));
    if (!k->walker)
        return -ENOMEM;
    k->walker->vm = vm;
    rv_reset(k->walker, PRIV_S, 0);
    if (k->hart->index == 0) {
        k->fd = kv->vcpu0_fd;
        kv->vcpu0_fd = -1;
    } else {
        k->fd = kvm_ioctl(kv->vm_fd, KVM_CREATE_VCPU, (unsigned long)k->hart->index);
    }
    if (k->fd < 0)
        return -errno;
    k->run = kvm_run_map(k->fd, kv->run_size);
    if (!k->run)
        return -errno;
    kvm_isa_restrict(kv, k->fd);
    rc = sbi_choose(kv, vm, k->fd);
    if (rc == 0 && kv->aia_fd >= 0 && k->hart->index + 1 == vm->config->nharts)
        rc = kvm_aia_init(kv, vm->config->nharts);
    return rc;
}

static int kvm_hart_create(struct hart *hart)
{
    struct kvm_hart *k = calloc(1, sizeof(*k));
    int rc;

    if (!k)
        return -ENOMEM;
    k->hart = hart;
    k->vm = kvm_vm_of(hart->vm);
    k->fd = -1;
    hart->engine_state = k;
    rc = hart_fill(k);
    if (rc != 0)
        kvm_hart_destroy(hart);
    return rc;
}

/* --- run --- */

static int kvm_run(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);
    enum gate gate = GATE_CONTINUE;

    atomic_store(&k->thread, host_thread_self());
    while (gate == GATE_CONTINUE) {
        int error;

        kvm_kick_clear(k->run);
        if (!kvm_attend(hart, HART_REQ_STOP | HART_REQ_RESTART | HART_REQ_TICK))
            break;
        phase_end(hart);
        if (k->vm->debug)
            error = kvm_debug_run(k);
        else
            error = ioctl(k->fd, KVM_RUN, 0) < 0 ? errno : 0;
        phase_mark(hart, MARK_LEAVE);
        k->pending = PENDING_NONE;
        gate = kvm_exit_deliver(k, error);
        if (k->vm->debug)
            gate = kvm_debug_stepped(k, gate);
    }
    kvm_finish(k);
    atomic_store(&k->thread, 0);
    return 0;
}

static void kvm_kick(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    if (k && k->run)
        kvm_kick_send(k->run, &k->thread);
}

/* Only the external interrupt comes from outside; software and timer interrupts are the
 * kernel's own. KVM_INTERRUPT is the one vCPU ioctl that does not wait for KVM_RUN to end. */
static void kvm_hart_irq(struct hart *hart, unsigned irq, bool level)
{
    struct kvm_hart *k = kvm_hart_of(hart);
    struct kvm_interrupt interrupt = {.irq = level ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET};

    if (irq == IRQ_S_EXT)
        kvm_ioctl(k->fd, KVM_INTERRUPT, &interrupt);
}

static bool kvm_irq_pending(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    return kvm_reg(k, KVM_REG_CSR(sip)) & kvm_reg(k, KVM_REG_CSR(sie));
}

static void kvm_set_timer(struct hart *hart, uint64_t ticks)
{
    kvm_timer_write(kvm_hart_of(hart), ticks);
}

static uint64_t kvm_timer_deadline(struct hart *hart)
{
    return kvm_timer_read(kvm_hart_of(hart));
}

/* The kernel answers RFENCE itself, and flushes for a vCPU that moves to another core. */
static void kvm_fence(struct hart *hart, const struct hart_fence *fence)
{
    (void)hart;
    (void)fence;
}

static int kvm_state_get(struct hart *hart, struct hart_state *state)
{
    kvm_state_read(kvm_hart_of(hart), state);
    return 0;
}

static int kvm_state_set(struct hart *hart, const struct hart_state *state)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    kvm_undo(k); /* in a handler: what is pending would overwrite the new state */
    return kvm_state_write(k, state);
}

static int kvm_store_fd(struct vm *vm, gpa_t gpa, uint32_t value, int fd)
{
    return kvm_ioeventfd_add(kvm_vm_of(vm)->vm_fd, gpa, value, fd);
}

/* --- what guests are told --- */

static enum call_route kvm_call_route(struct vm *vm, uint64_t ext)
{
    const struct kvm_vm *kv = vm ? kvm_vm_of(vm) : NULL;

    for (size_t i = 0; i < SBI_EXTS; i++) {
        const struct sbi_ext *e = &sbi_exts[i];

        if (ext < e->first || ext > e->last)
            continue;
        if (kv && e->id != NO_ID && !(kv->sbi_offered >> e->id & 1))
            return ROUTE_HIDDEN;
        return e->route;
    }
    return ROUTE_HIDDEN;
}

static const char *kvm_isa_string(struct vm *vm)
{
    return kvm_vm_of(vm)->isa;
}

static const char *const *kvm_isa_extensions(struct vm *vm)
{
    return kvm_vm_of(vm)->isa_names;
}

static const char *kvm_mmu_type(struct vm *vm)
{
    return kvm_vm_of(vm)->mmu;
}

static uint64_t kvm_timebase_hz(struct vm *vm)
{
    return kvm_vm_of(vm)->timebase_hz;
}

static uint64_t kvm_time(struct hart *hart)
{
    return kvm_time_read(kvm_hart_of(hart));
}

static int kvm_time_set(struct vm *vm, uint64_t ticks)
{
    return kvm_time_write(kvm_hart_of(&vm->hart[0]), ticks);
}

static bool kvm_stopped_get(struct hart *hart)
{
    struct kvm_mp_state state = {0};

    return kvm_ioctl(kvm_hart_of(hart)->fd, KVM_GET_MP_STATE, &state) == 0 &&
           state.mp_state == KVM_MP_STATE_STOPPED;
}

static int kvm_stopped_set(struct hart *hart, bool stopped)
{
    struct kvm_mp_state state = {.mp_state =
                                     stopped ? KVM_MP_STATE_STOPPED : KVM_MP_STATE_RUNNABLE};

    return kvm_ioctl(kvm_hart_of(hart)->fd, KVM_SET_MP_STATE, &state) < 0 ? -errno : 0;
}

const struct engine engine_kvm = {
    .name = "kvm",
    .summary = "the host's KVM: S-mode guests on the processor itself",
    .caps = ENGINE_HARTS | ENGINE_DEBUG,
    .probe = kvm_probe,
    .vm_create = kvm_vm_create,
    .vm_destroy = kvm_vm_destroy,
    .hart_create = kvm_hart_create,
    .hart_destroy = kvm_hart_destroy,
    .run = kvm_run,
    .kick = kvm_kick,
    .hart_irq = kvm_hart_irq,
    .irq_pending = kvm_irq_pending,
    .set_timer = kvm_set_timer,
    .timer_deadline = kvm_timer_deadline,
    .fence = kvm_fence,
    .state_get = kvm_state_get,
    .state_set = kvm_state_set,
    .call_route = kvm_call_route,
    .isa_string = kvm_isa_string,
    .isa_extensions = kvm_isa_extensions,
    .mmu_type = kvm_mmu_type,
    .timebase_hz = kvm_timebase_hz,
    .time = kvm_time,
    .time_set = kvm_time_set,
    .stopped_get = kvm_stopped_get,
    .stopped_set = kvm_stopped_set,
    .rom_moved = kvm_rom_moved,
    .irqchip_there = kvm_aia_there,
    .line_set = kvm_line_set,
    .line_fd = kvm_line_fd,
    .irqchip_save = kvm_aia_save,
    .irqchip_load = kvm_aia_load,
    .store_fd = kvm_store_fd,
    .debug_enable = kvm_debug_enable,
    .debug_break = kvm_debug_break,
    .debug_step = kvm_debug_step,
};
