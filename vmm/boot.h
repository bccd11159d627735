/* boot.h: putting the guest's files into memory and its first hart at their start. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "vmm/error.h"

struct vm;

/* Loads the kernel, firmware or program, and the initrd, into memory. 0 or -errno with *err
 * set. */
int boot_load(struct vm *vm, struct error *err);

/*
 * Makes the device tree and puts hart 0 at the image's entry; the others wait to be started.
 * Firmware starts every hart (it has no HSM below it). 0 or -errno with *err set.
 */
int boot_prepare(struct vm *vm, struct error *err);

#endif
