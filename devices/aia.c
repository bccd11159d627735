/* aia.c: the interrupt controller of the host kernel: the APLIC and IMSICs of RISC-V AIA. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fdt.h"
#include "vmm/irq.h"
#include "vmm/vm.h"

/*
 * Its registers are answered below us and never reach the bus; the ranges are claimed so that
 * nobody else takes them. What is left is to name it in the device tree and to drive its lines.
 */
static const struct bus_ops below_ops = {.sizes = 4};

static void aia_set(void *self, unsigned gsi, bool level)
{
    struct vm *vm = self;

    vm->engine->line_set(vm, gsi, level);
}

static int aia_claim(struct vm *vm, gpa_t gpa, uint64_t size, struct error *err)
{
    const struct bus_claim claim = {
        .gpa = gpa, .size = size, .ops = &below_ops, .owner = "aia"};

    return bus_claim(vm, &claim, err);
}

static int aia_create(struct module_instance *inst, struct error *err)
{
    struct vm *vm = inst->vm;
    int rc;

    if (!vm->engine->irqchip_there || !vm->engine->irqchip_there()) {
        error_set(err, STATUS_UNAVAILABLE,
                  "aia: engine %s has no interrupt controller of its own on this host",
                  vm->engine->name);
        return -ENODEV;
    }
    rc = aia_claim(vm, PLAT_APLIC_BASE, PLAT_APLIC_SIZE, err);
    if (rc == 0)
        rc = aia_claim(vm, PLAT_IMSIC_BASE, (uint64_t)PLAT_HARTS_MAX * PLAT_IMSIC_FILE, err);
    if (rc == 0) {
        rc = irq_controller(vm, aia_set, vm, FDT_PHANDLE_APLIC);
        if (rc < 0)
            error_set(err, STATUS_CONFIG, "aia: there is another interrupt controller");
    }
    vm->irq.below = rc == 0;
    inst->self = vm;
    return rc;
}

static void aia_save(void *self, struct state_writer *w)
{
    struct vm *vm = self;

    vm->engine->irqchip_save(vm, w);
}

static void aia_load(void *self, struct state_reader *r)
{
    struct vm *vm = self;

    vm->engine->irqchip_load(vm, r);
}

static void aia_reset(void *self)
{
    aia_load(self, NULL);
}

/* Linux, Documentation/devicetree/bindings/interrupt-controller/riscv,imsics.yaml. */
static void imsic_fdt(const struct vm *vm, struct fdt_builder *fdt)
{
    uint32_t cells[2 * PLAT_HARTS_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < vm->nharts; i++) {
        cells[n++] = FDT_PHANDLE_HART_INTC(i);
        cells[n++] = IRQ_S_EXT;
    }
    fdtb_begin(fdt, "imsics@%x", PLAT_IMSIC_BASE);
    fdtb_string(fdt, "compatible", "riscv,imsics");
    fdtb_reg(fdt, PLAT_IMSIC_BASE, (uint64_t)vm->nharts * PLAT_IMSIC_FILE);
    fdtb_empty(fdt, "interrupt-controller");
    fdtb_u32(fdt, "#interrupt-cells", 0);
    fdtb_empty(fdt, "msi-controller");
    fdtb_u32(fdt, "#msi-cells", 0);
    fdtb_cells(fdt, "interrupts-extended", cells, n);
    fdtb_u32(fdt, "riscv,num-ids", PLAT_IMSIC_IDS);
    fdtb_u32(fdt, "phandle", FDT_PHANDLE_IMSIC);
    fdtb_end(fdt);
}

/* riscv,aplic.yaml, in the same folder. */
static int aia_fdt(void *self, struct fdt_builder *fdt)
{
    imsic_fdt(self, fdt);
    fdtb_begin(fdt, "aplic@%x", PLAT_APLIC_BASE);
    fdtb_string(fdt, "compatible", "riscv,aplic");
    fdtb_reg(fdt, PLAT_APLIC_BASE, PLAT_APLIC_SIZE);
    fdtb_empty(fdt, "interrupt-controller");
    fdtb_u32(fdt, "#interrupt-cells", 2);
    fdtb_u32(fdt, "msi-parent", FDT_PHANDLE_IMSIC);
    fdtb_u32(fdt, "riscv,num-sources", PLAT_IRQ_SOURCES - 1);
    fdtb_u32(fdt, "phandle", FDT_PHANDLE_APLIC);
    fdtb_end(fdt);
    return 0;
}

const struct module module_aia = {
    .name = "aia",
    .summary =
        "interrupt controller in the host's kernel (RISC-V AIA), where engine kvm has it",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .create = aia_create,
    .reset = aia_reset,
    .save = aia_save,
    .load = aia_load,
    .fdt = aia_fdt,
};
