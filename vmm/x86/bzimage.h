/* bzimage.h: Linux for x86-64, as Documentation/arch/x86/boot.rst describes its file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_X86_BZIMAGE_H
#define VMM_X86_BZIMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"
#include "vmm/loader.h"
#include "vmm/mem.h"

/* Has it the header of a Linux boot image for x86, whatever its version? */
bool bzimage_match(const uint8_t *data, size_t size);

/*
 * Loads the protected-mode part and puts the setup header into the zero page at `zero_page`.
 * Every size in the file is checked. The kernel goes to the address that it prefers, or when
 * that is not all RAM below `top`, and it can be relocated, as low as it goes. image->entry is
 * that of the 64-bit protocol. 0, or -errno with *err set.
 */
int bzimage_load(struct mem *mem, gpa_t top, gpa_t zero_page, const char *what,
                 const uint8_t *data, size_t size, struct image *image, struct error *err);

/* Fields of the zero page that the monitor fills in (boot.rst; zero-page.rst). */
#define ZERO_ACPI_RSDP      0x070
#define ZERO_E820_COUNT     0x1e8
#define ZERO_LOADER_TYPE    0x210
#define ZERO_INITRD         0x218
#define ZERO_INITRD_SIZE    0x21c
#define ZERO_COMMAND        0x228
#define ZERO_INITRD_MAX     0x22c
#define ZERO_COMMAND_MAX    0x238
#define ZERO_E820           0x2d0
#define ZERO_E820_ENTRY     20
#define ZERO_LOADER_UNKNOWN 0xff

#endif
