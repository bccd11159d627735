/* info.c: what guests want to know of their machine, from PVH's start information. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/fdt.h"

#include "guest/lib/string.h"
#include "guest/x86/lib/x86.h"

/* The names are those of the device tree, which the shared sources ask for. */

static uint64_t info_field(const void *info, unsigned at)
{
    uint64_t value;

    memcpy(&value, (const char *)info + at, sizeof(value));
    return value;
}

uint64_t fdt_device(const void *dtb, const char *compatible)
{
    (void)dtb;
    (void)compatible;
    return 0; /* what there is, is at ports */
}

/* The range that begins at 1 MiB. */
bool fdt_memory(const void *dtb, uint64_t *base, uint64_t *size)
{
    const uint64_t *range = (const uint64_t *)info_field(dtb, HVM_START_MEMMAP);
    unsigned n = (uint32_t)info_field(dtb, HVM_START_MEMMAP_SIZE);

    for (; n > 0; n--, range += 3)
        if (range[0] == TG_X86_KERNEL_MIN) {
            *base = range[0];
            *size = range[1];
            return true;
        }
    return false;
}

/* The TSC's rate, which the monitor tells by CPUID. */
uint64_t fdt_timebase(const void *dtb)
{
    (void)dtb;
    return cpuid_get(TG_X86_CPUID + 2).a * UINT64_C(1000);
}

bool fdt_bootarg(const void *dtb, const char *word)
{
    const char *text = (const char *)info_field(dtb, HVM_START_CMDLINE);
    size_t len = strlen(word);

    while (*text) {
        size_t n = 0;

        while (text[n] && text[n] != ' ')
            n++;
        if (n == len && !strncmp(text, word, n))
            return true;
        text += n;
        while (*text == ' ')
            text++;
    }
    return false;
}
