/* test_loader.c: kernels and programs from good, wrong and damaged files. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "tests/unit/suites.h"
#include "vmm/loader.h"

#define BASE     0x80000000u
#define MEM_SIZE (4u << 20)
#define WHAT     "--kernel: 'x'"

/* Memory, a file and what became of it. */
struct load {
    struct mem mem;
    struct image image;
    struct error err;
};

static void load_init(struct load *l)
{
    *l = (struct load){.image = {.entry = 1}};
    mem_init(&l->mem);
    CU_ASSERT_EQUAL_FATAL(mem_add(&l->mem, BASE, MEM_SIZE), 0);
    /* Dirty, so that a missing zeroing shows. */
    memset(mem_ptr(&l->mem, BASE, MEM_SIZE), 0xa5, MEM_SIZE);
}

/*
 * Loads from a copy of exactly `size` bytes, so that a sanitizer sees reads beyond the end. The
 * result is compared; on failure the message must begin with the file and hold `words`.
 */
static void check_load(struct load *l, const void *data, size_t size, int expect,
                       const char *words)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    load_init(l);
    int r = image_load(&l->mem, WHAT, copy, size, false, 0, &l->image, &l->err);
    free(copy);
    CU_ASSERT_EQUAL(r, expect);
    if (expect == 0) {
        CU_ASSERT_EQUAL(l->err.text[0], '\0');
    } else {
        CU_ASSERT_EQUAL(strncmp(l->err.text, WHAT " ", sizeof(WHAT)), 0);
        CU_ASSERT_EQUAL(l->err.status, STATUS_DATA);
        CU_ASSERT_PTR_NOT_NULL(strstr(l->err.text, words));
        if (!strstr(l->err.text, words))
            fprintf(stderr, "\n    '%s' lacks '%s'", l->err.text, words);
    }
}

static void check_refused(const void *data, size_t size, const char *words)
{
    struct load l;
    check_load(&l, data, size, -EINVAL, words);
    mem_destroy(&l.mem);
}

/* --- ELF --- */

/* A small executable: two segments, a symbol table with `tohost`. */
struct elf_file {
    Elf64_Ehdr head;
    Elf64_Phdr ph[2];
    uint8_t text[16];
    uint8_t data[8];
    Elf64_Shdr sh[3];
    Elf64_Sym sym[3];
    char str[16];
};

#define ELF_VIRT 0xffffffff80000000u

static struct elf_file elf_make(void)
{
    struct elf_file f = {
        .head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_RISCV,
                 .e_version = EV_CURRENT,
                 .e_entry = ELF_VIRT + offsetof(struct elf_file, text) + 4,
                 .e_phoff = offsetof(struct elf_file, ph),
                 .e_shoff = offsetof(struct elf_file, sh),
                 .e_flags = EF_RISCV_RVC,
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 2,
                 .e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = 3},
        .ph = {{.p_type = PT_LOAD, /* the headers and the text */
                .p_offset = 0,
                .p_vaddr = ELF_VIRT,
                .p_paddr = BASE,
                .p_filesz = offsetof(struct elf_file, data),
                .p_memsz = offsetof(struct elf_file, data)},
                 {.p_type = PT_LOAD,
                .p_offset = offsetof(struct elf_file, data),
                .p_vaddr = ELF_VIRT + 0x2000,
                .p_paddr = BASE + 0x2000,
                .p_filesz = 8,
                .p_memsz = 0x3000}},
        .text = {0x13,                                   0,       0, 0, 0x6f, 0, 0, 0},
        .data = "datadata",
        .sh = {[1] = {.sh_type = SHT_SYMTAB,
                      .sh_offset = offsetof(struct elf_file, sym),
                      .sh_size = sizeof(f.sym),
                      .sh_link = 2,
                      .sh_entsize = sizeof(Elf64_Sym)},
                 [2] = {.sh_type = SHT_STRTAB,
                      .sh_offset = offsetof(struct elf_file, str),
                      .sh_size = sizeof(f.str)}                       },
        .sym = {[1] = {.st_name = 0xffffffff, .st_shndx = 1},
                 [2] = {.st_name = 1, .st_shndx = 1, .st_value = ELF_VIRT + 0x2040}                                  },
        .str = "\0tohost",
    };
    return f;
}

static void test_elf_good(void)
{
    struct elf_file f = elf_make();
    struct load l;
    check_load(&l, &f, sizeof(f), 0, NULL);
    CU_ASSERT_EQUAL(l.image.kind, IMAGE_ELF);
    CU_ASSERT_EQUAL(l.image.entry, BASE + offsetof(struct elf_file, text) + 4);
    CU_ASSERT_EQUAL(l.image.first, BASE);
    CU_ASSERT_EQUAL(l.image.last, BASE + 0x5000);
    CU_ASSERT_EQUAL(l.image.tohost, BASE + 0x2040);
    CU_ASSERT_EQUAL(l.image.phdrs, BASE + offsetof(struct elf_file, ph));
    CU_ASSERT_EQUAL(l.image.phnum, 2);
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&l.mem, BASE, 1), &f, offsetof(struct elf_file, data)), 0);
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&l.mem, BASE + 0x2000, 8), "datadata", 8), 0);
    const uint8_t *bss = mem_ptr(&l.mem, BASE + 0x2000, 0x3001);
    for (unsigned i = 8; i < 0x3000; i++)
        CU_ASSERT_EQUAL_FATAL(bss[i], 0);
    CU_ASSERT_EQUAL(bss[0x3000], 0xa5); /* not one byte more */
    mem_destroy(&l.mem);

    f.head.e_entry = BASE + 0x2000; /* a physical entry */
    check_load(&l, &f, sizeof(f), 0, NULL);
    CU_ASSERT_EQUAL(l.image.entry, BASE + 0x2000);
    mem_destroy(&l.mem);
}

/* Sections are not needed to run: damage there costs the symbol only. */
static void test_elf_symbols(void)
{
    for (unsigned i = 0; i < 9; i++) {
        struct elf_file f = elf_make();
        switch (i) {
        case 0: f.head.e_shoff = UINT64_MAX - 8; break;
        case 1: f.head.e_shentsize = 1; break;
        case 2: f.sh[1].sh_link = 77; break;
        case 3: f.sh[1].sh_offset = UINT64_MAX; break;
        case 4: f.sh[2].sh_size = UINT64_MAX; break;
        case 5: f.sh[2].sh_size = 3; break;
        case 6: f.sym[2].st_shndx = SHN_UNDEF; break;
        case 7: f.sym[2].st_value = 5; break;
        case 8: f.sh[1].sh_size = 2 * sizeof(Elf64_Sym) + 1; break;
        }
        struct load l;
        check_load(&l, &f, sizeof(f), 0, NULL);
        CU_ASSERT_EQUAL(l.image.tohost, 0);
        mem_destroy(&l.mem);
    }
}

static void test_elf_wrong_kind(void)
{
    struct elf_file f = elf_make();
    f.head.e_machine = EM_X86_64;
    check_refused(&f, sizeof(f), "is an ELF file for x86-64; a RISC-V one is needed");
    f.head.e_machine = EM_AARCH64;
    check_refused(&f, sizeof(f), "for AArch64");
    f.head.e_machine = 0x7777;
    check_refused(&f, sizeof(f), "for another machine");
    f.head.e_machine = htobe16(EM_S390);
    f.head.e_ident[EI_DATA] = ELFDATA2MSB;
    check_refused(&f, sizeof(f), "for s390");
    f.head.e_machine = htobe16(EM_RISCV);
    check_refused(&f, sizeof(f), "big-endian");
    f = elf_make();
    f.head.e_ident[EI_CLASS] = ELFCLASS32;
    check_refused(&f, sizeof(f), "32-bit");
    f = elf_make();
    f.head.e_type = ET_DYN;
    check_refused(&f, sizeof(f), "position-independent");
    f.head.e_type = ET_REL;
    check_refused(&f, sizeof(f), "object file");
    f.head.e_type = ET_CORE;
    check_refused(&f, sizeof(f), "core dump");
    f.head.e_type = 0;
    check_refused(&f, sizeof(f), "unknown ELF type");
    f = elf_make();
    f.head.e_flags |= EF_RISCV_RVE;
    check_refused(&f, sizeof(f), "RV64E");
    f = elf_make();
    f.head.e_flags |= EF_RISCV_FLOAT_ABI_QUAD;
    check_refused(&f, sizeof(f), "quad");
    f = elf_make();
    f.ph[1].p_type = PT_INTERP;
    check_refused(&f, sizeof(f), "dynamically linked");
    f.ph[0].p_type = f.ph[1].p_type = PT_NOTE;
    check_refused(&f, sizeof(f), "nothing to load");
}

static void test_elf_damaged(void)
{
    struct elf_file f = elf_make();
    check_refused(&f, 4, "truncated inside its ELF header");
    check_refused(&f, 19, "truncated inside its ELF header");
    check_refused(&f, sizeof(Elf64_Ehdr) - 1, "truncated inside its ELF header");
    check_refused(&f, sizeof(Elf64_Ehdr), "program headers lie beyond");
    check_refused(&f, sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) - 1,
                  "program headers lie beyond");
    check_refused(&f, offsetof(struct elf_file, data) + 7, "truncated: segment 1");
    f.head.e_phoff = UINT64_MAX;
    check_refused(&f, sizeof(f), "program headers lie beyond");
    f = elf_make();
    f.head.e_phnum = 0;
    check_refused(&f, sizeof(f), "0 program headers");
    f.head.e_phnum = PN_XNUM;
    check_refused(&f, sizeof(f), "65535 program headers");
    f = elf_make();
    f.head.e_phentsize = 32;
    check_refused(&f, sizeof(f), "of 32 bytes");
    f = elf_make();
    f.ph[1].p_offset = UINT64_MAX - 3;
    check_refused(&f, sizeof(f), "truncated: segment 1");
    f = elf_make();
    f.ph[1].p_filesz = 0x3001;
    check_refused(&f, sizeof(f), "larger in the file than in memory");
    f = elf_make();
    f.head.e_entry = 0x1234;
    check_refused(&f, sizeof(f), "entry point 0x1234 outside");
    f = elf_make();
    f.head.e_entry++;
    check_refused(&f, sizeof(f), "odd entry point");
}

static void test_elf_places(void)
{
    struct elf_file f = elf_make();
    f.ph[1].p_paddr = BASE + 8;
    check_refused(&f, sizeof(f), "segments 0 and 1 overlap");
    f = elf_make();
    f.ph[1].p_paddr = BASE + MEM_SIZE - 0x2fff;
    check_refused(&f, sizeof(f), "the guest has memory at 0x80000000-0x803fffff; give it more");
    f.ph[1].p_paddr = BASE - 0x1000;
    check_refused(&f, sizeof(f), "link it for that range");
    f.ph[1].p_paddr = UINT64_C(1) << 60;
    check_refused(&f, sizeof(f), "link it for that range");
    f.ph[1].p_paddr = UINT64_MAX - 0x2ffe;
    check_refused(&f, sizeof(f), "after the last address");
    f = elf_make();
    f.ph[1].p_vaddr = UINT64_MAX - 0x2ffe;
    check_refused(&f, sizeof(f), "after the last address");
    f = elf_make();
    f.ph[1].p_memsz = UINT64_MAX;
    check_refused(&f, sizeof(f), "after the last address");
    f = elf_make();
    f.ph[1].p_paddr = BASE + MEM_SIZE - 0x3000; /* just fits */
    struct load l;
    check_load(&l, &f, sizeof(f), 0, NULL);
    CU_ASSERT_EQUAL(l.image.last, BASE + MEM_SIZE);
    mem_destroy(&l.mem);
}

/* Every length and every single damaged byte: an answer, never a crash. */
static void test_elf_all_damage(void)
{
    struct elf_file good = elf_make();
    struct load l;
    load_init(&l);
    for (size_t n = 0; n < sizeof(good); n++) {
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, &good, n);
        l.err = (struct error){0};
        int r = elf_load(&l.mem, WHAT, copy, n, &l.image, &l.err);
        CU_ASSERT_EQUAL(r != 0, l.err.text[0] != '\0');
        free(copy);
    }
    for (size_t n = 0; n < sizeof(good); n++) {
        struct elf_file f = good;
        ((uint8_t *)&f)[n] ^= 0xff;
        l.err = (struct error){0};
        int r = elf_load(&l.mem, WHAT, (const uint8_t *)&f, sizeof(f), &l.image, &l.err);
        CU_ASSERT_EQUAL(r != 0, l.err.text[0] != '\0');
        CU_ASSERT(r != 0 || mem_valid(&l.mem, l.image.entry, 2));
    }
    mem_destroy(&l.mem);
}

/* --- Linux images --- */

#define LINUX_SIZE 0x1000

/* A RISC-V Image with an EFI header of one section that fills the file. */
static void put(uint8_t *at, uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void linux_make(uint8_t image[LINUX_SIZE])
{
    for (size_t i = 0; i < LINUX_SIZE; i++)
        image[i] = (uint8_t)(i * 13 + 5);
    memset(image, 0, 0x100);
    memcpy(image, "MZ", 2);
    put(image + 8, 0x200000, 8);        /* text_offset */
    put(image + 16, LINUX_SIZE * 3, 8); /* image_size */
    put(image + 32, 2, 4);
    memcpy(image + 48, "RISCV\0\0\0", 8);
    memcpy(image + 56, "RSC\x05", 4);
    put(image + 60, 0x40, 4); /* PE header */
    memcpy(image + 0x40, "PE\0\0", 4);
    put(image + 0x44, 0x5064, 2);          /* machine */
    put(image + 0x46, 1, 2);               /* sections */
    put(image + 0x54, 16, 2);              /* optional header */
    put(image + 0x68 + 16, LINUX_SIZE, 4); /* section: raw size, raw offset */
    put(image + 0x68 + 20, 0, 4);
}

static void test_linux_good(void)
{
    uint8_t image[LINUX_SIZE];
    struct load l;
    linux_make(image);
    check_load(&l, image, sizeof(image), 0, NULL);
    gpa_t at = BASE + 0x200000;
    CU_ASSERT_EQUAL(l.image.kind, IMAGE_LINUX);
    CU_ASSERT_EQUAL(l.image.entry, at);
    CU_ASSERT_EQUAL(l.image.first, at);
    CU_ASSERT_EQUAL(l.image.last, at + 3 * LINUX_SIZE);
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&l.mem, at, 1), image, sizeof(image)), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&l.mem, at + LINUX_SIZE, 1), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&l.mem, at + 3 * LINUX_SIZE - 1, 1), 0);
    CU_ASSERT_EQUAL(*mem_ptr(&l.mem, at + 3 * LINUX_SIZE, 1), 0xa5);
    mem_destroy(&l.mem);

    memset(image, 0x13, 8);   /* no EFI stub */
    memset(image + 56, 0, 4); /* an old header: the first magic only */
    put(image + 8, 0, 8);
    put(image + 16, 0, 8); /* and no size */
    check_load(&l, image, sizeof(image), 0, NULL);
    CU_ASSERT_EQUAL(l.image.entry, BASE);
    CU_ASSERT_EQUAL(l.image.last, BASE + LINUX_SIZE);
    mem_destroy(&l.mem);
}

static void test_linux_refused(void)
{
    uint8_t image[LINUX_SIZE];
    linux_make(image);
    check_refused(image, LINUX_SIZE - 1,
                  "is truncated: it has 4095 bytes, its header speaks of 4096");
    check_refused(image, 0x50, "truncated inside its headers");
    check_refused(image, 0x70, "truncated inside its headers");
    check_refused(image, 63, "truncated inside its header");
    put(image + 16, MEM_SIZE - 0x200000 + 1, 8);
    check_refused(image, sizeof(image), "give it more with --mem");
    put(image + 16, UINT64_MAX, 8);
    check_refused(image, sizeof(image), "is damaged: its header asks for");
    linux_make(image);
    put(image + 8, UINT64_MAX - 8, 8);
    check_refused(image, sizeof(image), "is damaged: its header asks for");
    linux_make(image);
    image[24] = 1;
    check_refused(image, sizeof(image), "big-endian");
    linux_make(image);
    put(image + 0x44, 0x5032, 2);
    check_refused(image, sizeof(image), "32-bit RISC-V");
    linux_make(image);
    put(image + 60, 0xfffffff0, 4);
    check_refused(image, sizeof(image), "truncated inside its headers");
    linux_make(image);
    put(image + 0x46, 0xffff, 2);
    check_refused(image, sizeof(image), "truncated inside its headers");
    linux_make(image);
    put(image + 0x68 + 20, UINT32_MAX, 4);
    check_refused(image, sizeof(image), "is truncated");
}

static void test_foreign(void)
{
    uint8_t file[0x300] = {0};
    memcpy(file + 0x1fe, "\x55\xaa", 2);
    memcpy(file + 0x202, "HdrS", 4);
    check_refused(file, sizeof(file), "is an x86 bzImage; a RISC-V kernel is needed");
    memset(file, 0, sizeof(file));
    memcpy(file + 56, "ARM\x64", 4);
    check_refused(file, sizeof(file), "is an AArch64 Linux Image");
    uint8_t image[LINUX_SIZE];
    linux_make(image);
    memset(image + 48, 0, 12);
    put(image + 0x44, 0x6264, 2);
    check_refused(image, sizeof(image), "is a LoongArch EFI program");
    put(image + 0x44, 0x5064, 2);
    check_refused(image, sizeof(image),
                  "neither a RISC-V Linux Image nor an ELF file; give --raw");
    check_refused("\xfd"
                  "7zXZ\0abc",
                  9, "packed with xz; unpack it first");
    check_refused("070701abcdef", 12, "give it with --initrd");
    check_refused("#!/bin/sh\n", 10, "is a script");
    check_refused("\xd0\x0d\xfe\xed", 4, "device tree");
    check_refused("x", 1, "neither");
    struct load l;
    load_init(&l);
    CU_ASSERT_EQUAL(image_load(&l.mem, WHAT, file, 0, false, 0, &l.image, &l.err), -EINVAL);
    CU_ASSERT_STRING_EQUAL(l.err.text, WHAT " is empty");
    mem_destroy(&l.mem);
}

static void test_raw(void)
{
    struct load l;
    uint8_t image[LINUX_SIZE];
    linux_make(image);
    load_init(&l);
    gpa_t at = BASE + 0x1000;
    CU_ASSERT_EQUAL(image_load(&l.mem, WHAT, image, sizeof(image), true, at, &l.image, &l.err),
                    0);
    CU_ASSERT_EQUAL(l.image.kind, IMAGE_RAW);
    CU_ASSERT_EQUAL(l.image.entry, at);
    CU_ASSERT_EQUAL(l.image.last, at + sizeof(image));
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&l.mem, at, 1), image, sizeof(image)), 0);
    at = BASE + MEM_SIZE - 1;
    CU_ASSERT_EQUAL(image_load(&l.mem, WHAT, image, 2, true, at, &l.image, &l.err), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(l.err.text, "needs 2 bytes at 0x803fffff"));
    mem_destroy(&l.mem);
}

/* --- Packed files --- */

static size_t pack_gzip(const void *data, size_t size, uint8_t *out, size_t room)
{
    z_stream z = {0};
    CU_ASSERT_EQUAL_FATAL(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
                          Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    CU_ASSERT_EQUAL(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

static size_t pack_zstd(const void *data, size_t size, uint8_t *out, size_t room)
{
    size_t n = ZSTD_compress(out, room, data, size, 3);
    CU_ASSERT_FALSE_FATAL(ZSTD_isError(n));
    return n;
}

typedef size_t packer(const void *data, size_t size, uint8_t *out, size_t room);
static packer *const packers[] = {pack_gzip, pack_zstd};

/* zboot: a header, the payload at 64, one byte after it. */
static size_t pack_zboot(const uint8_t *payload, size_t size, const char *type, uint8_t *out)
{
    memset(out, 0, 64);
    memcpy(out, "MZ\0\0zimg", 8);
    put(out + 8, 64, 4);
    put(out + 12, size, 4);
    strncpy((char *)out + 24, type, 32);
    memcpy(out + 64, payload, size);
    out[64 + size] = 0x77;
    return 64 + size + 1;
}

static void test_packed_images(void)
{
    uint8_t image[LINUX_SIZE], packed[2 * LINUX_SIZE], zboot[3 * LINUX_SIZE];
    static const char *const types[] = {"gzip", "zstd22"};
    linux_make(image);
    for (unsigned i = 0; i < 2; i++) {
        struct load l;
        size_t n = packers[i](image, sizeof(image), packed, sizeof(packed));
        check_load(&l, packed, n, 0, NULL);
        CU_ASSERT_EQUAL(l.image.kind, IMAGE_LINUX);
        CU_ASSERT_EQUAL(memcmp(mem_ptr(&l.mem, l.image.first, 1), image, sizeof(image)), 0);
        mem_destroy(&l.mem);
        memset(packed + n, 0, 16); /* padding */
        check_load(&l, packed, n + 16, 0, NULL);
        mem_destroy(&l.mem);

        n = pack_zboot(packed, n, types[i], zboot);
        check_load(&l, zboot, n, 0, NULL);
        CU_ASSERT_EQUAL(l.image.kind, IMAGE_LINUX);
        mem_destroy(&l.mem);
        check_refused(zboot, n - 2, "is truncated: it has");
        check_refused(zboot, 20, "truncated inside its zboot header");
        n = packers[!i](image, sizeof(image), packed, sizeof(packed));
        n = pack_zboot(packed, n, types[i], zboot);
        check_refused(zboot, n, "the payload is not what its header says");
    }
    pack_zboot(image, 100, "xz\033kz", zboot);
    check_refused(zboot, 165, "packed with 'xz?kz'; gzip and zstd can be read");
    struct elf_file f = elf_make();
    struct load l;
    check_load(&l, packed, pack_gzip(&f, sizeof(f), packed, sizeof(packed)), 0, NULL);
    CU_ASSERT_EQUAL(l.image.kind, IMAGE_ELF);
    mem_destroy(&l.mem);
}

static void test_packed_twice(void)
{
    uint8_t inner[256], outer[512];
    size_t n = pack_zstd("some text", 9, inner, sizeof(inner));
    n = pack_gzip(inner, n, outer, sizeof(outer));
    check_refused(outer, n, "a zstd file inside a packed one");
}

/* A result that must be freed, compared with what went in. */
static void check_unpacked(const uint8_t *packed, size_t n, size_t max, const uint8_t *data,
                           size_t size)
{
    struct error err = {0};
    uint8_t *out = NULL;
    size_t out_size = 0;
    CU_ASSERT_EQUAL_FATAL(image_unpack(WHAT, packed, n, max, &out, &out_size, &err), 0);
    CU_ASSERT_EQUAL(out_size, size);
    CU_ASSERT_EQUAL(memcmp(out, data, size), 0);
    free(out);
}

static void check_unpack_fails(const uint8_t *packed, size_t n, size_t max, int expect,
                               const char *words)
{
    struct error err = {0};
    uint8_t *out = NULL, *copy = malloc(n);
    size_t out_size;
    memcpy(copy, packed, n);
    CU_ASSERT_EQUAL(image_unpack(WHAT, copy, n, max, &out, &out_size, &err), expect);
    CU_ASSERT_PTR_NULL(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    free(copy);
}

static void test_unpack_limits(void)
{
    enum { SIZE = 5 << 20 };
    uint8_t *data = malloc(SIZE), *packed = malloc(2 * SIZE);
    uint32_t x = 12345;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (uint8_t)(x >> 24) & 0x3f;
    }
    for (unsigned i = 0; i < 2; i++) {
        size_t n = packers[i](data, SIZE, packed, 2 * SIZE);
        check_unpacked(packed, n, SIZE, data, SIZE);
        check_unpacked(packed, n, SIZE_MAX, data, SIZE);
        check_unpack_fails(packed, n, SIZE - 1, -EFBIG, "more than the 5242879 bytes");
        check_unpack_fails(packed, n, 1, -EFBIG, "more than the 1 bytes");
        check_unpack_fails(packed, n, 0, -EFBIG, "more than the 0 bytes");
        check_unpack_fails(packed, n - 1, SIZE, -EINVAL, "truncated");
        check_unpack_fails(packed, n / 2, SIZE, -EINVAL, "truncated");
        check_unpack_fails(packed, 4, SIZE, -EINVAL, "truncated");
        memset(packed + n / 2, 0xff, 64);
        check_unpack_fails(packed, n, SIZE, -EINVAL, "is damaged: ");
        /* One byte over the limit, in a file far smaller than it. */
        n = packers[i]((const uint8_t[4096]){0}, 4096, packed, 2 * SIZE);
        check_unpack_fails(packed, n, 4095, -EFBIG, "more than");
    }
    free(data);
    free(packed);
}

/* Members and frames may follow each other; an empty one is none the worse. */
static void test_unpack_members(void)
{
    uint8_t packed[512];
    for (unsigned i = 0; i < 2; i++) {
        size_t n = packers[i]("hello ", 6, packed, 256);
        n += packers[i]("", 0, packed + n, 128);
        n += packers[i]("world", 5, packed + n, 128);
        check_unpacked(packed, n, 11, (const uint8_t *)"hello world", 11);
        check_unpack_fails(packed, n, 10, -EFBIG, "more than");
        check_unpack_fails(packed, n - 1, 11, -EINVAL, "truncated");
    }
    check_unpack_fails((const uint8_t *)"plain text", 10, 100, -ENOENT, "");
    check_unpack_fails((const uint8_t *)"\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff", 11, 100,
                       -EINVAL, "is damaged: gzip");
}

void suite_loader(void)
{
    CU_pSuite suite = CU_add_suite("loader", NULL, NULL);
    CU_add_test(suite, "ELF: segments, entry, symbol, headers", test_elf_good);
    CU_add_test(suite, "ELF: damaged sections cost the symbol only", test_elf_symbols);
    CU_add_test(suite, "ELF: other machines and kinds are named", test_elf_wrong_kind);
    CU_add_test(suite, "ELF: truncated and damaged", test_elf_damaged);
    CU_add_test(suite, "ELF: segments in wrong places", test_elf_places);
    CU_add_test(suite, "ELF: every length, every byte damaged", test_elf_all_damage);
    CU_add_test(suite, "Linux Image", test_linux_good);
    CU_add_test(suite, "Linux Image: refused ones", test_linux_refused);
    CU_add_test(suite, "other files are named", test_foreign);
    CU_add_test(suite, "raw binaries", test_raw);
    CU_add_test(suite, "gzip, zstd and zboot", test_packed_images);
    CU_add_test(suite, "packed twice", test_packed_twice);
    CU_add_test(suite, "unpacking stops at its limit", test_unpack_limits);
    CU_add_test(suite, "several members in one file", test_unpack_members);
}
