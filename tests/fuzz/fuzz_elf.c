/* fuzz_elf.c: any bytes as an ELF file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/le.h"
#include "vmm/loader.h"

#define BASE     0x80000000u
#define MEM_SIZE (128u << 10)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* What elf_load promises of an image that it took; x86's instructions are at any address. */
static void check_image(const struct mem *mem, unsigned machine, const struct image *image)
{
    if (image->kind != IMAGE_ELF || image->first >= image->last ||
        !mem_valid(mem, image->entry, 1) || (machine == EM_RISCV && image->entry % 2 != 0) ||
        (image->pvh != 0 && !mem_valid(mem, image->pvh, 1)) ||
        !mem_valid(mem, image->first, 1) || !mem_valid(mem, image->last - 1, 1))
        abort();
    if (image->tohost != 0 && !mem_valid(mem, image->tohost, 1))
        abort();
    if (image->phdrs != 0 && !mem_valid(mem, image->phdrs, image->phnum * UINT64_C(56)))
        abort();
}

static void load_for(struct mem *mem, unsigned machine, const uint8_t *data, size_t size)
{
    struct image image;
    struct error err = {0};
    int r = elf_load_for(mem, machine, "fuzz", data, size, &image, &err);

    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0)
        check_image(mem, machine, &image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mem mem; /* one for all inputs: no result depends on what it holds */
    uint8_t *other;

    if (mem.nslots == 0 && mem_add(&mem, BASE, MEM_SIZE) < 0)
        abort();
    load_for(&mem, EM_RISCV, data, size);
    if (size < EI_NIDENT + 4)
        return 0;
    /* The same file, as if it were for the other machine: seeds are RISC-V's. */
    other = malloc(size);
    if (!other)
        abort();
    memcpy(other, data, size);
    le_put16(other + EI_NIDENT + 2, EM_X86_64);
    load_for(&mem, EM_X86_64, other, size);
    free(other);
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
