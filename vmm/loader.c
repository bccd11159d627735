/* loader.c: what a kernel file is, and the loader for it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/loader.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Files that are given by mistake, by their first bytes, and what would be right. */
struct mistake {
    const char *magic;
    size_t len;
    const char *name;
    const char *right;
};

static const char right_packed[] = "unpack it first, or pack it with gzip or zstd";
static const char right_kernel[] = "give the kernel's Image or ELF file";

static const struct mistake mistakes[] = {
    {"\x1f\x8b\x08",     3, "a gzip file inside a packed one", right_kernel           },
    {"\x28\xb5\x2f\xfd", 4, "a zstd file inside a packed one", right_kernel           },
    {"\xfd\x37zXZ",      5, "packed with xz",                  right_packed           },
    {"BZh",              3, "packed with bzip2",               right_packed           },
    {"\x02\x21\x4c\x18", 4, "packed with lz4",                 right_packed           },
    {"\x04\x22\x4d\x18", 4, "packed with lz4",                 right_packed           },
    {"\x89LZO",          4, "packed with lzop",                right_packed           },
    {"\x5d\x00\x00",     3, "packed with lzma",                right_packed           },
    {"PK\x03\x04",       4, "a zip archive",                   right_kernel           },
    {"\x27\x05\x19\x56", 4, "a U-Boot uImage",                 right_kernel           },
    {"\xd0\x0d\xfe\xed", 4, "a device tree or FIT image",      right_kernel           },
    {"0707",             4, "a cpio archive",                  "give it with --initrd"},
    {"!<arch>\n",        8, "an archive or Debian package",    right_kernel           },
    {"QFI\xfb",          4, "a qcow2 disk image",              right_kernel           },
    {"#!",               2, "a script",                        right_kernel           },
};

/* The most that --mem gives, and so the farthest that more of it helps. */
#define MEM_MAX (UINT64_C(64) << 30)

int image_outside(const struct mem *mem, const char *what, gpa_t gpa, uint64_t size,
                  struct error *err)
{
    if (mem->nslots == 0)
        return error_set(err, STATUS_DATA, "%s does not fit: the guest has no memory", what);
    gpa_t first = mem->slot[0].gpa;
    bool reachable = gpa >= first && size <= MEM_MAX && gpa - first <= MEM_MAX - size;
    const struct mem_slot *top = &mem->slot[mem->nslots - 1];
    gpa_t last = top->gpa + (top->size - 1);
    return error_set(err, STATUS_DATA,
                     "%s needs %" PRIu64 " bytes at 0x%" PRIx64
                     ", the guest has memory at 0x%" PRIx64 "-0x%" PRIx64 "; %s",
                     what, size, gpa, first, last,
                     reachable ? "give it more with --mem" : "link it for that range");
}

static int raw_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
                    gpa_t base, struct image *image, struct error *err)
{
    if (mem_write(mem, base, data, size) < 0)
        return image_outside(mem, what, base, size, err);
    *image =
        (struct image){.kind = IMAGE_RAW, .entry = base, .first = base, .last = base + size};
    return 0;
}

/* Says what an image is that nothing here loads. */
static int image_refuse(const char *what, const uint8_t *data, size_t size, struct error *err)
{
    const char *foreign = linux_image_foreign(data, size);
    if (foreign)
        return error_set(err, STATUS_DATA, "%s is %s; a RISC-V kernel is needed", what,
                         foreign);
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const struct mistake *m = &mistakes[i];
        if (size >= m->len && memcmp(data, m->magic, m->len) == 0)
            return error_set(err, STATUS_DATA, "%s is %s; %s", what, m->name, m->right);
    }
    return error_set(
        err, STATUS_DATA,
        "%s is neither a RISC-V Linux Image nor an ELF file; give --raw to load it as "
        "it is",
        what);
}

/* Loads what is not packed. */
static int plain_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
                      struct image *image, struct error *err)
{
    if (size >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0)
        return elf_load(mem, what, data, size, image, err);
    if (linux_image_match(data, size))
        return linux_image_load(mem, what, data, size, image, err);
    return image_refuse(what, data, size, err);
}

static size_t mem_total(const struct mem *mem)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < mem->nslots; i++)
        total += mem->slot[i].size;
    return total;
}

int image_load(struct mem *mem, const char *what, const uint8_t *data, size_t size, bool raw,
               gpa_t raw_base, struct image *image, struct error *err)
{
    if (size == 0)
        return error_set(err, STATUS_DATA, "%s is empty", what);
    if (raw)
        return raw_load(mem, what, data, size, raw_base, image, err);
    uint8_t *unpacked;
    size_t unpacked_size;
    int r = image_unpack(what, data, size, mem_total(mem), &unpacked, &unpacked_size, err);
    if (r == -ENOENT)
        return plain_load(mem, what, data, size, image, err);
    if (r < 0)
        return r;
    r = plain_load(mem, what, unpacked, unpacked_size, image, err);
    free(unpacked);
    return r;
}
