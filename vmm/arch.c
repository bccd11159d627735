/* arch.c: the architectures of guests, and which of them a kernel file is for. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/arch.h"

#include <elf.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/x86/bzimage.h"

/* Enough for ELF's header and for that of a bzImage. */
#define HEAD_SIZE 1024

const struct arch *const arch_list[] = {
    &arch_riscv64,
    &arch_x86_64,
    NULL,
};

const struct arch *arch_find(const char *name)
{
    for (const struct arch *const *arch = arch_list; *arch; arch++)
        if (strcmp((*arch)->name, name) == 0)
            return *arch;
    return NULL;
}

const struct arch *arch_of_image(const uint8_t *data, size_t size)
{
    bool elf = size >= sizeof(Elf64_Ehdr) && memcmp(data, ELFMAG, SELFMAG) == 0 &&
               data[EI_DATA] == ELFDATA2LSB;

    if (elf && le_get16(data + EI_NIDENT + 2) == EM_X86_64)
        return &arch_x86_64;
    return bzimage_match(data, size) ? &arch_x86_64 : arch_list[0];
}

const struct arch *arch_of_file(const char *path)
{
    uint8_t head[HEAD_SIZE] = {0};

    return arch_of_image(head, host_file_head(path, head, sizeof(head)));
}
