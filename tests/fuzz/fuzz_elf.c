/* fuzz_elf.c: any bytes as an ELF file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include "tests/fuzz/seed.h"
#include "vmm/loader.h"

#define BASE     0x80000000u
#define MEM_SIZE (128u << 10)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

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
    static struct mem mem; /* one for all inputs: no result depends on what it holds */
    struct image image;
    struct error err = {0};
    if (mem.nslots == 0 && mem_add(&mem, BASE, MEM_SIZE) < 0)
        abort();
    int r = elf_load(&mem, "fuzz", data, size, &image, &err);
    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0)
        check_image(&mem, &image);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_elf);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_elf, data, size, max, seed);
}
