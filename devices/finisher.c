/* finisher.c: the test finisher: a guest ends or restarts its machine with one write. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/fdt.h"
#include "vmm/vm.h"

/* A process's status has eight bits; a failure must not look like success. */
static int failure_status(uint32_t code)
{
    int status = (int)(code & 0xff);

    return status != 0 ? status : 1;
}

static uint64_t finisher_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    (void)self;
    (void)hart;
    (void)offset;
    (void)size;
    return 0;
}

static void finisher_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                           uint64_t value)
{
    struct vm *vm = self;
    uint32_t code = (uint32_t)value >> 16;
    (void)size;

    if (offset != 0)
        return;
    switch (value & 0xffff) {
    case PLAT_FINISHER_PASS: vm_stop(vm, CAUSE_FINISHER, 0, hart, NULL); break;
    case PLAT_FINISHER_FAIL:
        vm_stop(vm, CAUSE_FINISHER, failure_status(code), hart, "failure code %u", code);
        break;
    case PLAT_FINISHER_RESET: vm_stop(vm, CAUSE_RESET, 0, hart, NULL); break;
    default: break;
    }
}

/* Needs no lock: it has no state. */
static const struct bus_ops finisher_ops = {
    .read = finisher_read,
    .write = finisher_write,
    .sizes = 2 | 4,
};

static int finisher_create(struct module_instance *inst, struct error *err)
{
    const struct bus_claim claim = {
        .gpa = PLAT_FINISHER_BASE,
        .size = PLAT_FINISHER_SIZE,
        .ops = &finisher_ops,
        .self = inst->vm,
        .owner = "finisher",
    };

    inst->self = inst->vm;
    return bus_claim(inst->vm, &claim, err);
}

/* A node that tells Linux which word to write for what (bindings syscon-poweroff, -reboot). */
static void finisher_node(struct fdt_builder *fdt, const char *name, const char *compatible,
                          uint32_t value)
{
    fdtb_begin(fdt, "%s", name);
    fdtb_string(fdt, "compatible", compatible);
    fdtb_u32(fdt, "regmap", FDT_PHANDLE_FINISHER);
    fdtb_u32(fdt, "offset", 0);
    fdtb_u32(fdt, "value", value);
    fdtb_end(fdt);
}

static int finisher_fdt(void *self, struct fdt_builder *fdt)
{
    static const char *const compatible[] = {"sifive,test1", "sifive,test0", "syscon"};
    (void)self;

    fdtb_begin(fdt, "test@%x", PLAT_FINISHER_BASE);
    fdtb_strings(fdt, "compatible", compatible, 3);
    fdtb_reg(fdt, PLAT_FINISHER_BASE, PLAT_FINISHER_SIZE);
    fdtb_u32(fdt, "phandle", FDT_PHANDLE_FINISHER);
    fdtb_end(fdt);
    finisher_node(fdt, "poweroff", "syscon-poweroff", PLAT_FINISHER_PASS);
    finisher_node(fdt, "reboot", "syscon-reboot", PLAT_FINISHER_RESET);
    return 0;
}

const struct module module_finisher = {
    .name = "finisher",
    .summary = "power off, restart and test status (SiFive test finisher)",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .create = finisher_create,
    .fdt = finisher_fdt,
};
