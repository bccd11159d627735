/* fdt.h: the device tree that a guest is given. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_FDT_H
#define VMM_FDT_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"
#include "vmm/mem.h"

struct vm;

#define FDT_SIZE_MAX (1u << 20)

/* phandles: harts' interrupt controllers first, then the VM's. */
#define FDT_PHANDLE_HART_INTC(i) (1u + (i))
#define FDT_PHANDLE_PLIC         0x1000u
#define FDT_PHANDLE_FINISHER     0x1001u
#define FDT_PHANDLE_APLIC        0x1002u
#define FDT_PHANDLE_IMSIC        0x1003u

/*
 * A tree being written, in libfdt's sequential way. The first error sticks and is reported once
 * at the end, so that callers need not check each property. Nodes are added below the open one.
 */
struct fdt_builder {
    struct vm *vm;
    void *blob;
    int error; /* a libfdt error, or 0 */
};

void fdtb_begin(struct fdt_builder *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void fdtb_end(struct fdt_builder *b);
void fdtb_empty(struct fdt_builder *b, const char *name);
void fdtb_u32(struct fdt_builder *b, const char *name, uint32_t value);
void fdtb_u64(struct fdt_builder *b, const char *name, uint64_t value);
void fdtb_cells(struct fdt_builder *b, const char *name, const uint32_t *cells, size_t n);
void fdtb_string(struct fdt_builder *b, const char *name, const char *value);
/* A list of n strings. */
void fdtb_strings(struct fdt_builder *b, const char *name, const char *const *list, size_t n);
/* reg = <base size> with two cells each. */
void fdtb_reg(struct fdt_builder *b, gpa_t base, uint64_t size);
/* interrupts = <irq>, interrupt-parent = the VM's controller (nothing without one). */
void fdtb_irq(struct fdt_builder *b, unsigned irq);

/*
 * Makes the VM's device tree: harts, memory, modules, /chosen. *blob is malloc'd, *size its
 * length. With vm->config->dtb the file is taken instead, and only /chosen (and /memory when it
 * has none) is brought up to date. 0 or -errno with *err set.
 */
int fdt_build(struct vm *vm, void **blob, size_t *size, struct error *err);

/*
 * Its --dtb half, for tests and fuzzers: brings the tree in `data` (8-byte aligned) up to date.
 * `what` begins the messages.
 */
int fdt_update(struct vm *vm, const char *what, const void *data, size_t data_size, void **blob,
               size_t *size, struct error *err);

#endif
