/* fuzz_fdt.c: any bytes as the file of --dtb. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define BASE     0x80000000u
#define MEM_SIZE (1u << 20)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static void update_once(const void *tree, size_t size, const char *append, uint64_t initrd_size)
{
    struct vm_config config = {.append = append};
    struct vm vm = {
        .config = &config, .host = host_real(), .initrd_gpa = BASE, .initrd_size = initrd_size};
    struct error err = {0};
    void *blob = NULL;
    size_t blob_size = 0;
    mem_init(&vm.mem);
    if (mem_add(&vm.mem, BASE, MEM_SIZE) < 0)
        return;
    int r = fdt_update(&vm, "fuzz", tree, size, &blob, &blob_size, &err);
    if ((r == 0) != (err.text[0] == '\0'))
        abort();
    if (r == 0 && (blob_size != fdt_totalsize(blob) || fdt_check_full(blob, blob_size) != 0 ||
                   fdt_path_offset(blob, "/chosen") < 0))
        abort();
    free(blob);
    mem_destroy(&vm.mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *tree = malloc(size > 0 ? size : 1); /* aligned, as a file in memory is */
    if (!tree)
        return 0;
    memcpy(tree, data, size);
    update_once(tree, size, NULL, 0);
    update_once(tree, size, "console=hvc0", 4096);
    free(tree);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_fdt);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_fdt, data, size, max, seed);
}
