/* fuzz_elf.c: any bytes as an ELF file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include "vmm/loader.h"

#define BASE     0x80000000u
#define MEM_SIZE (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What elf_load promises of an image that it took. */
static void check_image(const struct mem *mem, const struct image *image)
{
    if (image->kind != IMAGE_ELF || image->first >= image->last ||
        !mem_valid(mem, image->entry, 1) || image->entry % 2 != 0 ||
        !mem_valid(mem, image->first, 1) || !mem_valid(mem, image->last - 1, 1))
        abort();
    if (image->tohost != 0 && !mem_valid(mem, image->tohost, 1))
        abort();
    if (image->phdrs != 0 && !mem_valid(mem, image->phdrs, image->phnum * UINT64_C(56)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mem mem;
    struct image image;
    struct error err = {0};
    mem_init(&mem);
    if (mem_add(&mem, BASE, MEM_SIZE) < 0)
        return 0;
    int r = elf_load(&mem, "fuzz", data, size, &image, &err);
    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0)
        check_image(&mem, &image);
    mem_destroy(&mem);
    return 0;
}
