/* irq.c: the wires between devices and the VM's interrupt controller. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/irq.h"

#include <errno.h>
#include "vmm/error.h"
#include "vmm/vm.h"

int irq_controller(struct vm *vm, irq_set_fn *set, void *self, uint32_t phandle)
{
    if (vm->irq.set)
        return -EEXIST;
    vm->irq.set = set;
    vm->irq.self = self;
    vm->irq.phandle = phandle;
    return 0;
}

int irq_claim(struct vm *vm, unsigned gsi, const char *owner, struct error *err)
{
    if (gsi == 0 || gsi >= PLAT_IRQ_SOURCES) {
        error_set(err, STATUS_CONFIG, "%s: interrupt %u is not one of 1 to %d", owner, gsi,
                  PLAT_IRQ_SOURCES - 1);
        return -EINVAL;
    }
    if (vm->irq.owner[gsi]) {
        error_set(err, STATUS_CONFIG, "%s: interrupt %u is taken by %s", owner, gsi,
                  vm->irq.owner[gsi]);
        return -EEXIST;
    }
    vm->irq.owner[gsi] = owner;
    return 0;
}

void irq_edge(struct vm *vm, unsigned gsi)
{
    vm->irq.edge[gsi] = vm->irq.below || vm->engine->caps & ENGINE_PC_CHIPS;
}

void irq_edge_due(struct vm *vm, unsigned gsi)
{
    vm->irq.due[gsi] = true;
}

void irq_edges_deliver(struct vm *vm)
{
    for (unsigned gsi = 1; gsi < PLAT_IRQ_SOURCES; gsi++) {
        if (!vm->irq.due[gsi])
            continue;
        vm->irq.due[gsi] = false;
        irq_set(vm, gsi, true);
        irq_set(vm, gsi, false);
    }
}

void irq_set(struct vm *vm, unsigned gsi, bool level)
{
    if (vm->irq.set && gsi > 0 && gsi < PLAT_IRQ_SOURCES)
        vm->irq.set(vm->irq.self, gsi, level);
}
