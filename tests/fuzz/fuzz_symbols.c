/* fuzz_symbols.c: any bytes as a file of symbols. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/symbols.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct symbols symbols;
    struct error err = {0};
    char text[64];
    uint64_t address = 0;
    int rc = symbols_parse(&symbols, "fuzz", data, size, &err);

    if ((rc == 0) != (err.text[0] == '\0') || (rc == 0) != (symbols.count > 0))
        abort();
    if (size >= sizeof(address))
        memcpy(&address, data + size - sizeof(address), sizeof(address));
    size_t len = symbols_name(&symbols, address, text, sizeof(text));
    if (len != strlen(text))
        abort();
    symbols_free(&symbols);
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
