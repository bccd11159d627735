/* loader.h: kernels, initial RAM disks and programs, from files into guest memory. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"
#include "vmm/mem.h"

enum image_kind {
    IMAGE_ELF,   /* ELF64 executable */
    IMAGE_LINUX, /* Linux: RISC-V boot image (Documentation/arch/riscv/boot-image-header), or
                    bzImage (Documentation/arch/x86/boot) */
    IMAGE_RAW,   /* anything, when asked for */
};

/* A kernel or program as it lies in guest memory. */
struct image {
    enum image_kind kind;
    gpa_t entry;
    gpa_t first,
        last;       /* lowest and highest address used, last exclusive, zeroed parts included */
    gpa_t tohost;   /* ELF symbol `tohost`, or 0 */
    gpa_t fromhost; /* ELF symbol `fromhost`, or 0 */
    gpa_t begin_signature, end_signature; /* ELF symbols of those names, or 0 */
    gpa_t phdrs;                          /* ELF program headers in memory, or 0 */
    unsigned phnum;
    gpa_t pvh; /* x86-64 ELF: the PVH entry point (Xen's PHYS32_ENTRY note), or 0 */
};

/*
 * Loads `data` into memory. Detected: ELF64; Linux Image, raw or packed with gzip or zstd, or
 * as EFI zboot; with raw: as it is, at `raw_base`. A Linux image goes to the lowest 2 MiB
 * boundary of DRAM plus its text_offset. `what` names option and file and begins the messages
 * ("--kernel: 'x'"). Every size and offset in the file is checked: 0, or -errno with *err set
 * and memory possibly written in part.
 */
int image_load(struct mem *mem, const char *what, const uint8_t *data, size_t size, bool raw,
               gpa_t raw_base, struct image *image, struct error *err);

/* Its three parts, for tests and fuzzers. */
int elf_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
             struct image *image, struct error *err);
/* The same for an executable of another machine (EM_*) than RISC-V. */
int elf_load_for(struct mem *mem, unsigned machine, const char *what, const uint8_t *data,
                 size_t size, struct image *image, struct error *err);
int linux_image_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
                     struct image *image, struct error *err);

/* Has `data` the header of a RISC-V Linux boot image? */
bool linux_image_match(const uint8_t *data, size_t size);
/* A kernel or EFI program of another machine, named ("an x86 bzImage"), or NULL. */
const char *linux_image_foreign(const uint8_t *data, size_t size);
/* For the loaders: refuses [gpa, gpa+size), not all of it RAM, and says what RAM there is. */
int image_outside(const struct mem *mem, const char *what, gpa_t gpa, uint64_t size,
                  struct error *err);

/*
 * Unpacks gzip, zstd or EFI zboot into *out (malloc'd), at most `max` bytes. 0; -ENOENT when
 * data is none of them; else -errno with *err set.
 */
int image_unpack(const char *what, const uint8_t *data, size_t size, size_t max, uint8_t **out,
                 size_t *out_size, struct error *err);

#endif
