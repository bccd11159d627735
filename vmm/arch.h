/* arch.h: the guest's architecture: what a machine of it looks like, and how its guests begin.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ARCH_H
#define VMM_ARCH_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"
#include "vmm/mem.h"

struct vm;

/* For module.archs, a mask. */
#define ARCH_RISCV64 0x1u
#define ARCH_X86_64  0x2u

struct arch {
    const char *name; /* as in --arch */
    unsigned bit;     /* ARCH_* */

    /* Where the devices are that machines of every architecture have; see bus.h for ports. */
    gpa_t uart;
    uint64_t uart_size;
    unsigned uart_irq;
    gpa_t virtio; /* the first slot; the others follow */
    unsigned virtio_irq;
    gpa_t doorbell;
    gpa_t clock; /* the window of the time page */

    /* The guest's RAM, of config->mem_size bytes. 0 or -errno with *err set. */
    int (*memory_create)(struct vm *vm, struct error *err);
    /* See boot.h. */
    int (*load)(struct vm *vm, struct error *err);
    int (*prepare)(struct vm *vm, struct error *err);
};

extern const struct arch arch_riscv64; /* boot.c */
extern const struct arch arch_x86_64;  /* x86/boot.c */

/* All of them; ends with NULL. The first is what a file is for that does not tell. */
extern const struct arch *const arch_list[];

/* By name; NULL: there is none. */
const struct arch *arch_find(const char *name);

/* What the beginning of a kernel file says: ELF's e_machine, or the header of a bzImage. */
const struct arch *arch_of_image(const uint8_t *data, size_t size);

/* The same for a file. One that cannot be read is for the first: who loads it tells why. */
const struct arch *arch_of_file(const char *path);

#endif
