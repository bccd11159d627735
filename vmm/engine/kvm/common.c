/* common.c: opening KVM, memory slots, kicks and device accesses, on any architecture. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/common.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vmm/host.h"
#include "vmm/phases.h"

#define KVM_VERSION 12 /* the only one there ever was (Linux, kvm/api.rst, section 4.1) */

int kvm_open(const struct kvm_need *needs, const char *absent, char *why, size_t size)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        int error = errno;
        snprintf(why, size, "cannot open /dev/kvm: %s%s", strerror(error),
                 error == ENOENT   ? absent
                 : error == EACCES ? " (usually the group kvm may)"
                                   : "");
        return -error;
    }
    if (kvm_ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_VERSION) {
        snprintf(why, size, "/dev/kvm does not speak version %d of the interface", KVM_VERSION);
        close(fd);
        return -ENOTSUP;
    }
    for (; needs->name; needs++) {
        if (kvm_ioctl(fd, KVM_CHECK_EXTENSION, needs->cap) > 0)
            continue;
        snprintf(why, size, "this kernel's KVM lacks %s", needs->name);
        close(fd);
        return -ENOTSUP;
    }
    return fd;
}

int kvm_check(const struct kvm_need *needs, const char *absent, char *why, size_t size)
{
    int fd = kvm_open(needs, absent, why, size);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* --- limits --- */

/* What the kernel says it has at most; `usual` where it does not say. */
static unsigned limit_get(int vm_fd, int cap, unsigned usual)
{
    int limit = kvm_ioctl(vm_fd, KVM_CHECK_EXTENSION, cap);

    return limit > 0 ? (unsigned)limit : usual;
}

int kvm_limits_check(int vm_fd, const struct vm *vm, const char *advice, struct error *err)
{
    /* Linux, kvm/api.rst, section 4.7: without the capability there are 4. */
    unsigned harts = limit_get(vm_fd, KVM_CAP_MAX_VCPUS, 4);
    unsigned slots = limit_get(vm_fd, KVM_CAP_NR_MEMSLOTS, UINT32_MAX);
    unsigned needed = vm->mem.nrom ? MEM_SLOTS_MAX + vm->mem.nrom : vm->mem.nslots;

    if (vm->config->nharts > harts)
        return error_set(err, STATUS_UNAVAILABLE,
                         "--cpus: this host's KVM gives a guest %u harts at most, not %u; %s",
                         harts, vm->config->nharts, advice);
    if (needed > slots)
        return error_set(err, STATUS_UNAVAILABLE,
                         "--engine kvm: this host's KVM has %u memory slots, and %u are needed",
                         slots, needed);
    return 0;
}

/* --- memory --- */

static int slot_set(int vm_fd, unsigned number, const struct mem_slot *slot, uint32_t flags)
{
    struct kvm_userspace_memory_region region = {
        .slot = number,
        .flags = flags,
        .guest_phys_addr = slot->gpa,
        .memory_size = slot->size,
        .userspace_addr = (uintptr_t)slot->host,
    };

    return kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

/* Stores to a read-only slot come out as KVM_EXIT_MMIO, and the bus refuses them. */
int kvm_rom_set(int vm_fd, const struct vm *vm)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < vm->mem.nrom; i++)
        rc = slot_set(vm_fd, MEM_SLOTS_MAX + i, &vm->mem.rom[i], KVM_MEM_READONLY);
    return rc;
}

int kvm_slots_set(int vm_fd, const struct vm *vm)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < vm->mem.nslots; i++)
        rc = slot_set(vm_fd, i, &vm->mem.slot[i], 0);
    return rc == 0 ? kvm_rom_set(vm_fd, vm) : rc;
}

/* --- eventfds --- */

int kvm_ioeventfd_add(int vm_fd, gpa_t gpa, uint32_t value, int fd)
{
    struct kvm_ioeventfd event = {.datamatch = value,
                                  .addr = gpa,
                                  .len = sizeof(value),
                                  .fd = fd,
                                  .flags = KVM_IOEVENTFD_FLAG_DATAMATCH};

    return kvm_ioctl(vm_fd, KVM_IOEVENTFD, &event) < 0 ? -errno : 0;
}

int kvm_irqfd_add(int vm_fd, unsigned gsi, int fd)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi};

    return kvm_ioctl(vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

/* --- harts --- */

struct kvm_run *kvm_run_map(int vcpu_fd, size_t size)
{
    void *run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);

    return run == MAP_FAILED ? NULL : run;
}

void kvm_kick_send(struct kvm_run *run, const _Atomic int *thread)
{
    int number;

    __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    number = atomic_load(thread);
    if (number != 0)
        host_thread_kick(number);
}

bool kvm_run_nothing(int vcpu_fd, struct kvm_run *run)
{
    bool again;

    __atomic_store_n(&run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    again = ioctl(vcpu_fd, KVM_RUN, 0) == 0; /* else EINTR, as asked */
    __atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    return again;
}

HOT_WAY enum gate kvm_mmio_gate(struct hart *hart, const struct kvm_run *run,
                                struct vm_exit *exit)
{
    *exit = (struct vm_exit){.kind = EXIT_MMIO};
    exit->mmio.gpa = run->mmio.phys_addr;
    exit->mmio.size = (uint8_t)run->mmio.len;
    exit->mmio.write = run->mmio.is_write;
    if (exit->mmio.write)
        memcpy(&exit->mmio.data, run->mmio.data, exit->mmio.size);
    phase_gate(hart, exit);
    return vm_gate(hart, exit);
}
