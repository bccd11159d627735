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
