/* fuzz_image.c: any bytes as a kernel: detection, unpacking, the Linux boot image. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include "tests/fuzz/seed.h"
#include "vmm/loader.h"

#define BASE     0x80000000u
#define MEM_SIZE (128u << 10)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static void load_once(struct mem *mem, const uint8_t *data, size_t size, bool raw)
{
    struct image image;
    struct error err = {0};
    int r = image_load(mem, "fuzz", data, size, raw, BASE + 0x1000, &image, &err);
    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0 &&
        (image.first >= image.last || !mem_valid(mem, image.entry, 1) ||
         !mem_valid(mem, image.first, image.kind == IMAGE_ELF ? 1 : image.last - image.first)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* One memory for all inputs: no result depends on what it holds. It is small, since it is
     * also as much as is unpacked. */
    static struct mem mem;
    if (mem.nslots == 0 && mem_add(&mem, BASE, MEM_SIZE) < 0)
        abort();
    load_once(&mem, data, size, false);
    load_once(&mem, data, size, true);
    /* Called alone too: the detection stands before it otherwise. */
    struct image image;
    struct error err = {0};
    if (linux_image_load(&mem, "fuzz", data, size, &image, &err) == 0 &&
        (image.kind != IMAGE_LINUX || !mem_valid(&mem, image.first, image.last - image.first)))
        abort();
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_image);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_image, data, size, max, seed);
}
