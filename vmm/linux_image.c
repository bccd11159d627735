/* linux_image.c: the Linux boot image: its RISC-V header, and those of other machines by name.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/le.h"

/*
 * Linux, Documentation/arch/riscv/boot-image-header.rst: 64 bytes of little-endian fields.
 * MAGIC is deprecated since version 0.2 in favour of MAGIC2; either is enough.
 */
#define IMAGE_TEXT_OFFSET 8
#define IMAGE_SIZE        16
#define IMAGE_FLAGS       24
#define IMAGE_MAGIC       48
#define IMAGE_MAGIC2      56
#define IMAGE_PE_OFFSET   60
#define IMAGE_HEADER_SIZE 64
#define IMAGE_BIG_ENDIAN  0x1u

/* Microsoft PE/COFF specification, sections 3.3 and 4. */
#define PE_SIGNATURE_SIZE   4
#define PE_COFF_SIZE        20
#define PE_SECTION_SIZE     40
#define PE_MACHINE_RISCV64  0x5064
#define PE_SECTION_RAW_SIZE 16
#define PE_SECTION_RAW      20

/* The PE/COFF headers that an EFI stub puts into an image. */
struct pe {
    uint16_t machine;
    unsigned nsections;
    size_t sections; /* offset of the section table */
};

static bool has_bytes(const uint8_t *data, size_t size, size_t at, const char *bytes, size_t n)
{
    return at <= size && n <= size - at && memcmp(data + at, bytes, n) == 0;
}

/* 0; -ENOENT: not PE at all; -ENODATA: its headers go on beyond the end of the file. */
static int pe_parse(const uint8_t *data, size_t size, struct pe *pe)
{
    if (size < IMAGE_HEADER_SIZE || !has_bytes(data, size, 0, "MZ", 2))
        return -ENOENT;
    size_t at = le_get32(data + IMAGE_PE_OFFSET);
    if (at > size || size - at < PE_SIGNATURE_SIZE + PE_COFF_SIZE)
        return -ENODATA;
    if (memcmp(data + at, "PE\0\0", PE_SIGNATURE_SIZE) != 0)
        return -ENOENT;
    const uint8_t *coff = data + at + PE_SIGNATURE_SIZE;
    pe->machine = le_get16(coff);
    pe->nsections = le_get16(coff + 2);
    pe->sections = at + PE_SIGNATURE_SIZE + PE_COFF_SIZE + le_get16(coff + 16);
    if (pe->sections > size || (size - pe->sections) / PE_SECTION_SIZE < pe->nsections)
        return -ENODATA;
    return 0;
}

static const char *pe_machine_name(uint16_t machine)
{
    switch (machine) {
    case 0x014c: return "an x86 EFI program";
    case 0x8664: return "an x86-64 EFI program";
    case 0x01c0:
    case 0x01c2: return "an Arm EFI program";
    case 0xaa64: return "an AArch64 EFI program";
    case 0x5032: return "a 32-bit RISC-V EFI program";
    case 0x6232:
    case 0x6264: return "a LoongArch EFI program";
    case PE_MACHINE_RISCV64: return NULL;
    default: return "an EFI program for another machine";
    }
}

const char *linux_image_foreign(const uint8_t *data, size_t size)
{
    /* Linux, Documentation/arch/x86/boot.rst and Documentation/arch/arm64/booting.rst. */
    if (has_bytes(data, size, 0x202, "HdrS", 4) && has_bytes(data, size, 0x1fe, "\x55\xaa", 2))
        return "an x86 bzImage";
    if (has_bytes(data, size, 56, "ARM\x64", 4))
        return "an AArch64 Linux Image";
    if (has_bytes(data, size, 0x24, "\x18\x28\x6f\x01", 4))
        return "an Arm zImage";
    struct pe pe;
    return pe_parse(data, size, &pe) == 0 ? pe_machine_name(pe.machine) : NULL;
}

bool linux_image_match(const uint8_t *data, size_t size)
{
    return has_bytes(data, size, IMAGE_MAGIC2, "RSC\x05", 4) ||
           has_bytes(data, size, IMAGE_MAGIC, "RISCV\0\0\0", 8);
}

/*
 * The header's own size counts .bss, so that it cannot tell a truncated file. The section table
 * of the EFI stub can: the file must hold the raw data of each section.
 */
static int check_complete(const char *what, const uint8_t *data, size_t size, struct error *err)
{
    struct pe pe;
    int r = pe_parse(data, size, &pe);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return error_set(err, STATUS_DATA, "%s is truncated inside its headers", what);
    for (unsigned i = 0; i < pe.nsections; i++) {
        const uint8_t *section = data + pe.sections + (size_t)i * PE_SECTION_SIZE;
        uint64_t raw_size = le_get32(section + PE_SECTION_RAW_SIZE);
        uint64_t end = raw_size + le_get32(section + PE_SECTION_RAW);
        if (raw_size > 0 && end > size)
            return error_set(err, STATUS_DATA,
                             "%s is truncated: it has %zu bytes, its header speaks of %" PRIu64,
                             what, size, end);
    }
    return 0;
}

int linux_image_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
                     struct image *image, struct error *err)
{
    if (!linux_image_match(data, size))
        return error_set(err, STATUS_DATA, "%s is not a RISC-V Linux Image", what);
    if (size < IMAGE_HEADER_SIZE)
        return error_set(err, STATUS_DATA, "%s is truncated inside its header", what);
    const char *foreign = linux_image_foreign(data, size);
    if (foreign)
        return error_set(err, STATUS_DATA, "%s is %s; a 64-bit RISC-V kernel is needed", what,
                         foreign);
    if (le_get64(data + IMAGE_FLAGS) & IMAGE_BIG_ENDIAN)
        return error_set(err, STATUS_DATA,
                         "%s is a big-endian kernel; a little-endian one is needed", what);
    int r = check_complete(what, data, size, err);
    if (r < 0)
        return r;

    uint64_t offset = le_get64(data + IMAGE_TEXT_OFFSET);
    uint64_t span = le_get64(data + IMAGE_SIZE);
    if (span < size)
        span = size; /* signatures may follow the image */
    if (offset > UINT64_MAX - PLAT_DRAM_BASE || span > UINT64_MAX - PLAT_DRAM_BASE - offset)
        return error_set(err, STATUS_DATA,
                         "%s is damaged: its header asks for %" PRIu64
                         " bytes at offset %" PRIu64,
                         what, span, offset);
    gpa_t gpa = PLAT_DRAM_BASE + offset;
    if (!mem_valid(mem, gpa, span) || mem_write(mem, gpa, data, size) < 0 ||
        mem_zero(mem, gpa + size, span - size) < 0)
        return image_outside(mem, what, gpa, span, err);
    *image =
        (struct image){.kind = IMAGE_LINUX, .entry = gpa, .first = gpa, .last = gpa + span};
    return 0;
}
