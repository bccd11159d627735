/* x86_64_state.c: what the kernel holds of an x86-64 machine, read from it and written to it.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/x86_64_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Model-specific registers with a place of their own in the order. */
#define MSR_TSC          0x10u
#define MSR_TSC_DEADLINE 0x6e0u

/* Writing these makes the kernel write to guest memory, once: nothing is kept in them. */
#define MSR_WALL_CLOCK     0x11u
#define MSR_WALL_CLOCK_NEW 0x4b564d00u

/* Hyper-V's are listed always, though no guest of ours is told of them. */
#define MSR_HYPERV_FIRST 0x40000000u
#define MSR_HYPERV_LAST  0x400001ffu

/*
 * The MTRRs, which kernels know and do not list: the default, eight ranges of two registers,
 * those of the first MiB (Intel SDM, volume 3, section 12.11).
 */
static const uint32_t mtrrs[] = {
    0x2ff, 0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x208,
    0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f, 0x250, 0x258, 0x259,
    0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};
#define MTRRS (sizeof(mtrrs) / sizeof(mtrrs[0]))

/* --- asking the kernel --- */

/* Whom is asked, for what, and what an error says. */
struct ask {
    int fd;
    const struct vm *vm;
    const struct hart *hart; /* or NULL: the machine */
    bool load;
    struct error *err;
};

static bool ask_failed(const struct ask *a, const char *what, int error)
{
    char whose[24] = "the machine's";

    if (a->hart)
        snprintf(whose, sizeof(whose), "hart %u's", a->hart->index);
    if (a->load)
        error_set(
            a->err, STATUS_DATA,
            "--load-state: this host's KVM does not take %s %s: %s; the state is damaged, "
            "or of another kind of host",
            whose, what, strerror(error));
    else
        error_set(a->err, STATUS_OS, "--save-state: this host's KVM does not tell %s %s: %s",
                  whose, what, strerror(error));
    return false;
}

static bool ask(const struct ask *a, unsigned long request, void *data, const char *what)
{
    return kvm_ioctl(a->fd, request, data) >= 0 || ask_failed(a, what, errno);
}

static bool has(const struct vm *vm, int cap)
{
    const struct kvm_vm *kv = vm->engine_state;

    return kvm_ioctl(kv->vm_fd, KVM_CHECK_EXTENSION, cap) > 0;
}

static size_t xsave_size(const struct vm *vm)
{
    const struct kvm_vm *kv = vm->engine_state;
    int size = kvm_ioctl(kv->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

    return size > (int)KVM_SAVED_XSAVE_MIN ? (size_t)size : KVM_SAVED_XSAVE_MIN;
}

/* --- model-specific registers --- */

static bool msr_kept(uint32_t index)
{
    return index != MSR_WALL_CLOCK && index != MSR_WALL_CLOCK_NEW &&
           (index < MSR_HYPERV_FIRST || index > MSR_HYPERV_LAST);
}

static bool msr_listed(const struct kvm_msr_list *list, uint32_t index)
{
    for (uint32_t i = 0; i < list->nmsrs; i++)
        if (list->indices[i] == index)
            return true;
    return false;
}

/* Those that belong to a machine here, for free(); NULL and errno: the kernel does not tell. */
static struct kvm_msr_list *msr_list(const struct vm *vm)
{
    const struct kvm_vm *kv = vm->engine_state;
    struct kvm_msr_list *list =
        calloc(1, sizeof(*list) + KVM_SAVED_MSRS_MAX * sizeof(list->indices[0]));
    uint32_t n = 0;

    if (!list)
        return NULL;
    list->nmsrs = KVM_SAVED_MSRS_MAX - MTRRS;
    if (kvm_ioctl(kv->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0) {
        free(list);
        return NULL;
    }
    for (uint32_t i = 0; i < list->nmsrs; i++)
        if (msr_kept(list->indices[i]))
            list->indices[n++] = list->indices[i];
    list->nmsrs = n;
    for (size_t i = 0; i < MTRRS; i++)
        if (!msr_listed(list, mtrrs[i]))
            list->indices[list->nmsrs++] = mtrrs[i];
    return list;
}

/* One register; the kernel goes no further than the first that it does not know. */
static bool msr_access(int fd, unsigned long request, struct kvm_msr_entry *entry)
{
    uint64_t room[(sizeof(struct kvm_msrs) + sizeof(*entry)) / 8] = {0};
    struct kvm_msrs *one = (struct kvm_msrs *)room;
    bool done;

    one->nmsrs = 1;
    one->entries[0] = *entry;
    done = kvm_ioctl(fd, request, one) == 1;
    entry->data = one->entries[0].data;
    return done;
}

/* What this processor does not have is left out. */
static bool msrs_read(const struct ask *a, struct kvm_saved_hart *h)
{
    struct kvm_msr_list *list = msr_list(a->vm);

    if (!list)
        return ask_failed(a, "list of model-specific registers", errno);
    for (uint32_t i = 0; i < list->nmsrs; i++) {
        h->msr[h->nmsrs] = (struct kvm_msr_entry){.index = list->indices[i]};
        if (msr_access(a->fd, KVM_GET_MSRS, &h->msr[h->nmsrs]))
            h->nmsrs++;
    }
    free(list);
    return true;
}

/*
 * Some registers can be read and not written: they need to be as they are here. One that this
 * kernel does not know must have been out of use.
 */
static bool msr_write(const struct ask *a, const struct kvm_msr_list *list,
                      const struct kvm_msr_entry *wanted)
{
    struct kvm_msr_entry entry = *wanted;

    entry.reserved = 0;
    if (msr_listed(list, wanted->index)) {
        if (msr_access(a->fd, KVM_SET_MSRS, &entry))
            return true;
        if (msr_access(a->fd, KVM_GET_MSRS, &entry) && entry.data == wanted->data)
            return true;
    } else if (wanted->data == 0) {
        return true;
    }
    error_set(a->err, STATUS_UNAVAILABLE,
              "--load-state: this host's KVM does not give hart %u's model-specific register "
              "0x%x the value 0x%llx",
              a->hart->index, wanted->index, (unsigned long long)wanted->data);
    return false;
}

/* First the time, which the others count by; last the moment at which the timer fires. */
static unsigned msr_turn(uint32_t index)
{
    return index == MSR_TSC ? 0 : index == MSR_TSC_DEADLINE ? 2 : 1;
}

static bool msrs_write(const struct ask *a, const struct kvm_saved_hart *h)
{
    struct kvm_msr_list *list = msr_list(a->vm);
    bool ok = true;

    if (!list)
        return ask_failed(a, "model-specific registers", errno);
    for (unsigned turn = 0; turn < 3; turn++)
        for (uint32_t i = 0; ok && i < h->nmsrs; i++)
            if (msr_turn(h->msr[i].index) == turn)
                ok = msr_write(a, list, &h->msr[i]);
    free(list);
    return ok;
}

/* --- harts, from the kernel --- */

static bool nested_check(const struct ask *a)
{
    const struct kvm_vm *kv = a->vm->engine_state;
    int size = kvm_ioctl(kv->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE);
    struct kvm_nested_state *n;
    bool idle;

    if (size < (int)sizeof(*n))
        return true;
    n = calloc(1, (size_t)size);
    if (!n)
        return ask_failed(a, "nested state", ENOMEM);
    n->size = (uint32_t)size;
    if (kvm_ioctl(a->fd, KVM_GET_NESTED_STATE, n) < 0) {
        free(n);
        return ask_failed(a, "nested state", errno);
    }
    idle = kvm_nested_idle(n);
    free(n);
    if (!idle)
        error_set(
            a->err, STATUS_UNAVAILABLE,
            "--save-state: hart %u runs virtual machines of its own, which no state holds; "
            "end them first",
            a->hart->index);
    return idle;
}

static bool sregs_read(const struct ask *a, struct kvm_sregs2 *s)
{
    struct kvm_sregs old;

    if (has(a->vm, KVM_CAP_SREGS2))
        return ask(a, KVM_GET_SREGS2, s, "system registers");
    if (!ask(a, KVM_GET_SREGS, &old, "system registers"))
        return false;
    memcpy(s, &old, offsetof(struct kvm_sregs2, flags)); /* up to there they are alike */
    return true;
}

_Static_assert(offsetof(struct kvm_sregs2, flags) ==
                   offsetof(struct kvm_sregs, interrupt_bitmap),
               "both begin alike");

static bool xsave_read(const struct ask *a, struct kvm_saved_hart *h)
{
    size_t size = xsave_size(a->vm);

    if (size > sizeof(h->xsave))
        return ask_failed(a, "floating-point registers", EFBIG);
    h->xsave_size = (uint32_t)size;
    return ask(a, size > KVM_SAVED_XSAVE_MIN ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, h->xsave,
               "floating-point registers");
}

/*
 * The run state comes first, since asking for it lets the kernel take INIT and SIPI; the events
 * last, since the others may change them; the local APIC before its timer's MSR (Linux,
 * arch/x86/kvm/x86.c, kvm_arch_vcpu_ioctl_get_mpstate and kvm_vcpu_ioctl_get_lapic).
 */
static bool hart_read(const struct ask *a, struct kvm_saved_hart *h)
{
    struct kvm_hart *k = kvm_hart_of(&a->vm->hart[a->hart->index]);

    kvm_settle(k);
    return nested_check(a) && ask(a, KVM_GET_MP_STATE, &h->mp, "run state") &&
           ask(a, KVM_GET_REGS, &h->regs, "registers") && sregs_read(a, &h->sregs) &&
           (!has(a->vm, KVM_CAP_XCRS) ||
            ask(a, KVM_GET_XCRS, &h->xcrs, "extended control registers")) &&
           xsave_read(a, h) && ask(a, KVM_GET_DEBUGREGS, &h->debug, "debug registers") &&
           ask(a, KVM_GET_LAPIC, &h->lapic, "local APIC") && msrs_read(a, h) &&
           ask(a, KVM_GET_VCPU_EVENTS, &h->events, "events");
}

/* --- harts, to the kernel --- */

static bool sregs_write(const struct ask *a, const struct kvm_sregs2 *s)
{
    struct kvm_sregs old = {0};
    struct kvm_sregs2 new = *s;

    if (has(a->vm, KVM_CAP_SREGS2))
        return ask(a, KVM_SET_SREGS2, &new, "system registers");
    memcpy(&old, s, offsetof(struct kvm_sregs2, flags));
    return ask(a, KVM_SET_SREGS, &old, "system registers");
}

static bool xsave_write(const struct ask *a, struct kvm_saved_hart *h)
{
    size_t here = xsave_size(a->vm);

    /* The kernel reads as much as it would write. */
    if (h->xsave_size > here || here > sizeof(h->xsave))
        return ask_failed(a, "floating-point registers", EFBIG);
    return ask(a, KVM_SET_XSAVE, h->xsave, "floating-point registers");
}

static bool tsc_rate_write(const struct ask *a, uint32_t khz)
{
    int here = kvm_ioctl(a->fd, KVM_GET_TSC_KHZ, 0);

    if (khz == 0 || here <= 0 || (uint32_t)here == khz ||
        kvm_ioctl(a->fd, KVM_SET_TSC_KHZ, khz) >= 0)
        return true;
    error_set(a->err, STATUS_UNAVAILABLE,
              "--load-state: the guest's TSC counts %u kHz and this host's %d, and this "
              "processor cannot make one of the other",
              khz, here);
    return false;
}

/*
 * The local APIC's address is among the system registers, its timer's mode in itself, which the
 * timer's MSR needs. Writing registers ends pending exceptions, so events come last.
 */
static bool hart_write(const struct ask *a, struct kvm_saved_hart *h)
{
    return sregs_write(a, &h->sregs) && ask(a, KVM_SET_REGS, &h->regs, "registers") &&
           (h->xcrs.nr_xcrs == 0 ||
            ask(a, KVM_SET_XCRS, &h->xcrs, "extended control registers")) &&
           xsave_write(a, h) && ask(a, KVM_SET_DEBUGREGS, &h->debug, "debug registers") &&
           ask(a, KVM_SET_LAPIC, &h->lapic, "local APIC") && msrs_write(a, h) &&
           ask(a, KVM_SET_MP_STATE, &h->mp, "run state") &&
           ask(a, KVM_SET_VCPU_EVENTS, &h->events, "events");
}

/* --- the machine --- */

static bool chips_read(const struct ask *a, struct kvm_saved *s)
{
    struct kvm_clock_data clock = {0};
    int khz = kvm_ioctl(a->fd, KVM_GET_TSC_KHZ, 0);

    for (uint32_t i = 0; i < KVM_SAVED_CHIPS; i++) {
        s->chip[i].chip_id = i;
        if (!ask(a, KVM_GET_IRQCHIP, &s->chip[i], "interrupt controllers"))
            return false;
    }
    if (!ask(a, KVM_GET_PIT2, &s->pit, "i8254") || !ask(a, KVM_GET_CLOCK, &clock, "clock"))
        return false;
    /* The kernel counts from now on when it is given an i8254, whatever these are. */
    for (size_t i = 0; i < sizeof(s->pit.channels) / sizeof(s->pit.channels[0]); i++)
        s->pit.channels[i].count_load_time = 0;
    s->clock_ns = clock.clock;
    s->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
    return true;
}

static bool machine_read(const struct vm *vm, struct kvm_saved *s, struct error *err)
{
    const struct kvm_vm *kv = vm->engine_state;
    struct ask a = {.vm = vm, .err = err};
    struct kvm_cpuid2 *cpuid = kvm_cpuid_of(kvm_hart_of(&vm->hart[0]));

    if (!cpuid)
        return ask_failed(&a, "CPUID", ENOMEM);
    s->ncpuid = cpuid->nent;
    memcpy(s->cpuid, cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
    free(cpuid);
    for (unsigned i = 0; i < vm->nharts; i++) {
        a.hart = &vm->hart[i];
        a.fd = kvm_hart_of(&vm->hart[i])->fd;
        if (!hart_read(&a, &s->hart[i]))
            return false;
    }
    a.hart = NULL;
    a.fd = kv->vm_fd;
    return chips_read(&a, s);
}

int kvm_machine_save(struct vm *vm, struct state_writer *w, struct error *err)
{
    struct kvm_saved *s = kvm_saved_new(vm->nharts);
    bool ok;

    if (!s)
        return error_set(err, STATUS_OS, "--save-state: no memory");
    ok = machine_read(vm, s, err);
    if (ok)
        kvm_saved_put(s, w);
    free(s);
    return ok ? 0 : -EIO;
}

int kvm_machine_load(struct vm *vm, struct state_reader *r, struct error *err)
{
    struct kvm_vm *kv = vm->engine_state;
    struct kvm_cpuid2 *here;
    int rc;

    free(kv->saved);
    kv->saved = kvm_saved_new(vm->nharts);
    if (!kv->saved)
        return error_set(err, STATUS_OS, "--load-state: no memory");
    rc = kvm_saved_get(kv->saved, r, err);
    if (rc != 0)
        return rc;
    here = kvm_cpuid_of(kvm_hart_of(&vm->hart[0]));
    if (!here)
        return error_set(err, STATUS_OS, "--load-state: no memory");
    rc = kvm_saved_cpuid_check(kv->saved, here, err);
    free(here);
    return rc;
}

/*
 * The local APICs before what sends them interrupts, which is done again for what was pending;
 * the clock last, so that the least time passes between it and the guest.
 */
static bool machine_write(const struct vm *vm, struct kvm_saved *s, struct error *err)
{
    struct kvm_vm *kv = vm->engine_state;
    struct kvm_clock_data clock = {.clock = s->clock_ns};
    struct ask a = {.vm = vm, .load = true, .err = err};

    kvm_cpuid_replace(kv, s->cpuid, s->ncpuid);
    for (unsigned i = 0; i < vm->nharts; i++) {
        struct kvm_hart *k = kvm_hart_of(&vm->hart[i]);
        int rc = kvm_cpuid_set(k);

        a.hart = &vm->hart[i];
        a.fd = k->fd;
        if (rc != 0)
            return ask_failed(&a, "CPUID", -rc);
        if (!tsc_rate_write(&a, s->tsc_khz) || !hart_write(&a, &s->hart[i]))
            return false;
        *kvm_regs(k) = s->hart[i].regs;
        k->last_rip = s->hart[i].regs.rip;
    }
    a.hart = NULL;
    a.fd = kv->vm_fd;
    for (uint32_t i = 0; i < KVM_SAVED_CHIPS; i++) {
        s->chip[i].chip_id = i;
        if (!ask(&a, KVM_SET_IRQCHIP, &s->chip[i], "interrupt controllers"))
            return false;
    }
    return ask(&a, KVM_SET_PIT2, &s->pit, "i8254") && ask(&a, KVM_SET_CLOCK, &clock, "clock");
}

int kvm_machine_apply(struct vm *vm, struct error *err)
{
    struct kvm_vm *kv = vm->engine_state;
    bool ok = machine_write(vm, kv->saved, err);

    free(kv->saved);
    kv->saved = NULL;
    return ok ? 0 : -EIO;
}
