/* fuzz_bzimage.c: any bytes as Linux for x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/le.h"
#include "vmm/x86/bzimage.h"

#define MEM_SIZE  (4u << 20)
#define ZERO_PAGE 0x7000u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* A header that is nearly always taken, and a body of chance. */
static size_t seed_bzimage(uint8_t *data, size_t max, uint64_t *state)
{
    size_t body = 16 * (1 + seed_random(state) % 64), size = 1024 + body;

    if (size > max)
        return 0;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)seed_random(state);
    data[0x1f1] = 1;
    le_put32(data + 0x1f4, (uint32_t)body / 16);
    le_put16(data + 0x1fe, 0xaa55);
    memcpy(data + 0x202, "HdrS", 4);
    le_put16(data + 0x206, 0x20f);
    le_put32(data + 0x230, 1u << seed_random(state) % 24);
    data[0x234] = (uint8_t)(seed_random(state) % 2);
    le_put16(data + 0x236, 1);
    le_put64(data + 0x258, seed_random(state) % MEM_SIZE);
    le_put32(data + 0x260, (uint32_t)(seed_random(state) % MEM_SIZE));
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mem mem; /* one for all inputs: no result depends on what it holds */
    struct image image;
    struct error err = {0};

    if (mem.nslots == 0 && mem_add(&mem, 0, MEM_SIZE) < 0)
        abort();
    int r = bzimage_load(&mem, MEM_SIZE, ZERO_PAGE, "fuzz", data, size, &image, &err);
    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0 && (image.kind != IMAGE_LINUX || !bzimage_match(data, size) ||
                   image.first < 0x100000 || image.last > MEM_SIZE ||
                   image.first >= image.last || image.entry != image.first + 0x200))
        abort();
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_bzimage);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_bzimage, data, size, max, seed);
}
