/* fdt.h: the few facts that guests need from their device tree. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_FDT_H
#define GUEST_LIB_FDT_H

#include <stdbool.h>
#include <stdint.h>

/* Fills ids with the hart IDs of /cpus, at most max; returns how many there are room for. */
unsigned fdt_harts(const void *dtb, uint64_t *ids, unsigned max);

/* The address of the first device with a compatible string, or 0. */
uint64_t fdt_device(const void *dtb, const char *compatible);

/* The first range of memory. False when there is none. */
bool fdt_memory(const void *dtb, uint64_t *base, uint64_t *size);

/* Ticks of the `time` CSR a second; 0 when it is not told. */
uint64_t fdt_timebase(const void *dtb);

/* True when the boot arguments hold the word. */
bool fdt_bootarg(const void *dtb, const char *word);

#endif
