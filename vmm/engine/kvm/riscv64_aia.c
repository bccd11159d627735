/* riscv64_aia.c: the interrupt controller in the kernel, and eventfds for stores and lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest/abi/platform.h"

/*
 * Source: Linux, Documentation/virt/kvm/devices/ (the device interface) and
 * arch/riscv/include/uapi/asm/kvm.h. The device is made before the vCPUs and initialised after
 * them. Linux 6.12 offers it where the host has Ssaia.
 */

bool kvm_aia_there(void)
{
    struct kvm_create_device test = {.type = KVM_DEV_TYPE_RISCV_AIA,
                                     .flags = KVM_CREATE_DEVICE_TEST};
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1;
    bool there;

    if (fd >= 0)
        vm = kvm_ioctl(fd, KVM_CREATE_VM, 0);
    there = vm >= 0 && kvm_ioctl(vm, KVM_CREATE_DEVICE, &test) == 0;
    if (vm >= 0)
        close(vm);
    if (fd >= 0)
        close(fd);
    return there;
}

int kvm_aia_create(struct kvm_vm *kv)
{
    struct kvm_create_device device = {.type = KVM_DEV_TYPE_RISCV_AIA};

    if (kvm_ioctl(kv->vm_fd, KVM_CREATE_DEVICE, &device) < 0)
        return -errno;
    kv->aia_fd = (int)device.fd;
    return 0;
}

static int attr_set(const struct kvm_vm *kv, uint32_t group, uint64_t attr, const void *value)
{
    struct kvm_device_attr set = {.group = group, .attr = attr, .addr = (uintptr_t)value};

    return kvm_ioctl(kv->aia_fd, KVM_SET_DEVICE_ATTR, &set) < 0 ? -errno : 0;
}

static int config_set(const struct kvm_vm *kv, uint64_t attr, uint32_t value)
{
    return attr_set(kv, KVM_DEV_RISCV_AIA_GRP_CONFIG, attr, &value);
}

static int address_set(const struct kvm_vm *kv, uint64_t attr, uint64_t address)
{
    return attr_set(kv, KVM_DEV_RISCV_AIA_GRP_ADDR, attr, &address);
}

int kvm_aia_init(struct kvm_vm *kv, unsigned nharts)
{
    uint32_t hart_bits = nharts > 1 ? 32 - (uint32_t)__builtin_clz(nharts - 1) : 0;
    int rc = config_set(kv, KVM_DEV_RISCV_AIA_CONFIG_IDS, PLAT_IMSIC_IDS);

    if (rc == 0)
        rc = config_set(kv, KVM_DEV_RISCV_AIA_CONFIG_SRCS, PLAT_IRQ_SOURCES - 1);
    if (rc == 0)
        rc = config_set(kv, KVM_DEV_RISCV_AIA_CONFIG_HART_BITS, hart_bits);
    if (rc == 0)
        rc = address_set(kv, KVM_DEV_RISCV_AIA_ADDR_APLIC, PLAT_APLIC_BASE);
    for (unsigned i = 0; rc == 0 && i < nharts; i++)
        rc = address_set(kv, KVM_DEV_RISCV_AIA_ADDR_IMSIC(i),
                         PLAT_IMSIC_BASE + (uint64_t)i * PLAT_IMSIC_FILE);
    return rc == 0 ? attr_set(kv, KVM_DEV_RISCV_AIA_GRP_CTRL, KVM_DEV_RISCV_AIA_CTRL_INIT, NULL)
                   : rc;
}

/* --- the engine's side --- */

/*
 * Linux makes an interrupt pending each time that a level's line is said to be high, not only
 * when it rises. That a line is low is always said: an irqfd has left it high (virtio_mmio.c).
 */
void kvm_line_set(struct vm *vm, unsigned gsi, bool level)
{
    struct kvm_irq_level line = {.irq = gsi, .level = level};
    struct kvm_vm *kv = vm->engine_state;

    if (atomic_exchange(&kv->line[gsi], level) && level)
        return;
    kvm_ioctl(kv->vm_fd, KVM_IRQ_LINE, &line);
}

int kvm_line_fd(struct vm *vm, unsigned gsi, int fd)
{
    const struct kvm_vm *kv = vm->engine_state;

    /* Linux 6.12 takes an irqfd that leads nowhere, too. */
    return kv->aia_fd < 0 ? -ENODEV : kvm_irqfd_add(kv->vm_fd, gsi, fd);
}
