/* irq.h: interrupt lines between devices, the interrupt controller and the harts. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/platform.h"

struct vm;
struct error;

/* Level-triggered input of an interrupt controller; gsi is 1..PLAT_IRQ_SOURCES-1. Any thread.
 */
typedef void irq_set_fn(void *self, unsigned gsi, bool level);

/* Wires of one VM. The controller is registered by its module before any device is created. */
struct irq_router {
    irq_set_fn *set;
    void *self;
    uint32_t phandle; /* of the controller, for the device tree */
    /*
     * The controller is the engine's (engine.h, line_set). Then a line may be an edge: its
     * device raises it for each event, and it is low again at once. There it may be, too, where
     * the engine has ENGINE_PC_CHIPS. due: edges of a loaded machine.
     */
    bool below, edge[PLAT_IRQ_SOURCES], due[PLAT_IRQ_SOURCES];
    const char *owner[PLAT_IRQ_SOURCES];
};

/* Makes a module the VM's interrupt controller. -EEXIST when there is one already. */
int irq_controller(struct vm *vm, irq_set_fn *set, void *self, uint32_t phandle);

/* Reserves a line for a device. -EINVAL out of range, -EEXIST taken (owner named in *err). */
int irq_claim(struct vm *vm, unsigned gsi, const char *owner, struct error *err);

/* Drives a line. Without a controller nothing happens. Callable from any thread. */
void irq_set(struct vm *vm, unsigned gsi, bool level);

/* Makes a line an edge, before the device tree is made; nothing where lines are levels only. */
void irq_edge(struct vm *vm, unsigned gsi);

/*
 * A loaded device says that its driver has something to see: an edge of its line may have been
 * under way to the controller when the machine was saved. It is repeated when the controller's
 * own state has been loaded, by irq_edges_deliver; a driver takes one too many.
 */
void irq_edge_due(struct vm *vm, unsigned gsi);
void irq_edges_deliver(struct vm *vm);

#endif
