/* bzimage.c: loads Linux for x86-64 by its 64-bit boot protocol. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/x86/bzimage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "guest/abi/x86.h"
#include "vmm/le.h"

/* Offsets in the file's first sectors (boot.rst, "The Real-Mode Kernel Header"). */
#define SETUP_HEADER    0x1f1 /* the header's first field, setup_sects */
#define SETUP_SYSSIZE   0x1f4 /* the rest of the file, in 16 bytes */
#define SETUP_BOOT_FLAG 0x1fe
#define SETUP_JUMP_SIZE 0x201 /* the header ends that many bytes behind 0x202 */
#define SETUP_MAGIC     0x202
#define SETUP_VERSION   0x206
#define SETUP_ALIGNMENT 0x230
#define SETUP_RELOCATES 0x234
#define SETUP_XFLAGS    0x236
#define SETUP_PREFERRED 0x258
#define SETUP_INIT_SIZE 0x260
#define SETUP_END       0x268 /* of the fields that are read here */

#define SECTOR          512u
#define VERSION_64      0x020c /* xloadflags are there */
#define XLF_KERNEL_64   0x1u
#define ENTRY_64        0x200u
#define HEADER_SIZE_MAX 0x90u /* the zero page has no more room (zero-page.rst: 0x290) */

struct bzimage {
    const uint8_t *data;
    size_t size;
    size_t setup; /* bytes before the protected-mode part */
    uint64_t span, preferred, alignment;
    bool relocates;
};

bool bzimage_match(const uint8_t *data, size_t size)
{
    return size >= SETUP_MAGIC + 4 && memcmp(data + SETUP_MAGIC, "HdrS", 4) == 0 &&
           le_get16(data + SETUP_BOOT_FLAG) == 0xaa55;
}

static int header_check(const char *what, const uint8_t *data, size_t size, struct error *err)
{
    if (!bzimage_match(data, size))
        return error_set(err, STATUS_DATA, "%s is not a Linux kernel for x86", what);
    if (size < SETUP_END)
        return error_set(err, STATUS_DATA, "%s is truncated inside its header", what);
    unsigned version = le_get16(data + SETUP_VERSION);
    if (version < VERSION_64)
        return error_set(err, STATUS_DATA,
                         "%s speaks version %u.%02u of the boot protocol; 2.12 (Linux 3.8) or "
                         "later is needed",
                         what, version >> 8, version & 0xff);
    if (!(le_get16(data + SETUP_XFLAGS) & XLF_KERNEL_64))
        return error_set(err, STATUS_DATA, "%s is a 32-bit kernel; a 64-bit one is needed",
                         what);
    return 0;
}

static int header_parse(struct bzimage *bz, const char *what, struct error *err)
{
    const uint8_t *data = bz->data;
    unsigned sectors = data[SETUP_HEADER] ? data[SETUP_HEADER] : 4; /* boot.rst: 0 means 4 */
    uint64_t body = (uint64_t)le_get32(data + SETUP_SYSSIZE) * 16;

    bz->setup = (sectors + 1) * SECTOR;
    if (bz->size <= bz->setup || bz->size - bz->setup < body)
        return error_set(err, STATUS_DATA,
                         "%s is truncated: it has %zu bytes, its header speaks of %" PRIu64,
                         what, bz->size, bz->setup + body);
    bz->span = le_get32(data + SETUP_INIT_SIZE);
    if (bz->span < bz->size - bz->setup)
        bz->span = bz->size - bz->setup;
    bz->preferred = le_get64(data + SETUP_PREFERRED);
    bz->relocates = data[SETUP_RELOCATES] != 0;
    bz->alignment = le_get32(data + SETUP_ALIGNMENT);
    if (bz->alignment == 0 || (bz->alignment & (bz->alignment - 1)) != 0)
        return error_set(err, STATUS_DATA, "%s is damaged: its alignment is 0x%" PRIx64, what,
                         bz->alignment);
    return 0;
}

/* Where it goes; top when it does not fit anywhere. */
static gpa_t place_choose(const struct bzimage *bz, gpa_t top)
{
    gpa_t low = (TG_X86_KERNEL_MIN + bz->alignment - 1) & ~(bz->alignment - 1);

    if (bz->preferred >= TG_X86_KERNEL_MIN && bz->preferred < top &&
        bz->span <= top - bz->preferred)
        return bz->preferred;
    return bz->relocates && low < top && bz->span <= top - low ? low : top;
}

int bzimage_load(struct mem *mem, gpa_t top, gpa_t zero_page, const char *what,
                 const uint8_t *data, size_t size, struct image *image, struct error *err)
{
    struct bzimage bz = {.data = data, .size = size};
    int rc = header_check(what, data, size, err);

    if (rc == 0)
        rc = header_parse(&bz, what, err);
    if (rc != 0)
        return rc;
    gpa_t at = place_choose(&bz, top);
    if (at == top)
        return error_set(err, STATUS_DATA,
                         "%s needs %" PRIu64 " MiB at 0x%" PRIx64
                         "; give the guest more with --mem",
                         what, bz.span >> 20, bz.preferred);
    uint64_t header = SETUP_MAGIC + data[SETUP_JUMP_SIZE] - SETUP_HEADER;
    if (header > HEADER_SIZE_MAX)
        header = HEADER_SIZE_MAX;
    if (mem_zero(mem, zero_page, MEM_PAGE_SIZE) < 0 ||
        mem_write(mem, zero_page + SETUP_HEADER, data + SETUP_HEADER, header) < 0 ||
        mem_write(mem, at, data + bz.setup, size - bz.setup) < 0 ||
        mem_zero(mem, at + (size - bz.setup), bz.span - (size - bz.setup)) < 0)
        return image_outside(mem, what, at, bz.span, err);
    *image = (struct image){
        .kind = IMAGE_LINUX, .entry = at + ENTRY_64, .first = at, .last = at + bz.span};
    return 0;
}
