/* boot.h: putting the guest's files into memory and its first hart at their start. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "vmm/error.h"
#include "vmm/mem.h"

struct vm;

/*
 * Each architecture has its own way (struct arch), of two steps. load puts the kernel, firmware
 * or program, and the initrd, into memory. prepare, when the machine is complete, describes it
 * to the guest and puts hart 0 at the image's entry; the others wait to be started, but for
 * those of engines and firmware that start them themselves. 0 or -errno with *err set.
 */

/* Adds RAM; --mem is to blame when the host gives none. */
int boot_memory_add(struct vm *vm, gpa_t gpa, uint64_t size, struct error *err);

/*
 * Loads the file of --initrd, if there is one, as high as it goes below top, and not below
 * bottom; sets vm->initrd_gpa and vm->initrd_size. first: where the RAM begins that top lies
 * in.
 */
int boot_initrd_load(struct vm *vm, gpa_t first, gpa_t bottom, gpa_t top, struct error *err);

#endif
