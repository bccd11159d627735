/* seed.c: well-formed inputs to begin with, since chance does not find a file's whole shape. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/seed.h"

#include <elf.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include "vmm/cli.h"
#include "vmm/le.h"

#define BASE      UINT64_C(0x80000000)
#define SEEDS     64
#define SEED_MAX  2048
#define SEGMENTS  3
#define SYMBOLS   2
#define PACKED_AT 64 /* the packed kernel in an EFI zboot image */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max); /* libFuzzer's own */

/* splitmix64, as vmm/deterministic.c has it. */
uint64_t seed_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(uint64_t *state, unsigned n)
{
    return (unsigned)(seed_random(state) % n);
}

/* --- kernels --- */

struct elf_file {
    Elf64_Ehdr head;
    Elf64_Phdr ph[SEGMENTS];
    Elf64_Shdr sh[3]; /* none, symbols, names */
    Elf64_Sym sym[SYMBOLS];
    char names[16];
    uint8_t code[64];
};

static void elf_segments(struct elf_file *elf, uint64_t *state)
{
    uint64_t at = BASE;

    for (unsigned i = 0; i < elf->head.e_phnum; i++) {
        unsigned size = 1 + below(state, sizeof(elf->code));

        elf->ph[i] = (Elf64_Phdr){.p_type = below(state, 8) ? PT_LOAD : below(state, 8),
                                  .p_flags = PF_R | PF_X,
                                  .p_offset = offsetof(struct elf_file, code),
                                  .p_vaddr = below(state, 2) ? at : seed_random(state),
                                  .p_paddr = at,
                                  .p_filesz = size,
                                  .p_memsz = size + below(state, 2) * 4096};
        if (below(state, 4) == 0) /* the headers too */
            elf->ph[i].p_offset = 0;
        at += 8192 * (1 + below(state, 3));
    }
}

size_t seed_elf(uint8_t *data, size_t max, uint64_t *state)
{
    struct elf_file elf = {
        .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                             EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_RISCV,
                 .e_version = EV_CURRENT,
                 .e_entry = BASE + 2 * below(state, 16),
                 .e_phoff = offsetof(struct elf_file, ph),
                 .e_shoff = offsetof(struct elf_file, sh),
                 .e_flags = EF_RISCV_RVC,
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = (Elf64_Half)(1 + below(state, SEGMENTS)),
                 .e_shentsize = sizeof(Elf64_Shdr),
                 .e_shnum = 3,
                 .e_shstrndx = 2},
        .names = "\0tohost",
    };

    if (max < sizeof(elf))
        return 0;
    elf_segments(&elf, state);
    elf.sh[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                             .sh_offset = offsetof(struct elf_file, sym),
                             .sh_size = sizeof(elf.sym),
                             .sh_link = 2,
                             .sh_entsize = sizeof(elf.sym[0])};
    elf.sh[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
                             .sh_offset = offsetof(struct elf_file, names),
                             .sh_size = sizeof(elf.names)};
    elf.sym[1] = (Elf64_Sym){.st_name = below(state, 3),
                             .st_shndx = 1,
                             .st_size = below(state, 64),
                             .st_info = ELF64_ST_INFO(STB_GLOBAL, below(state, 3)),
                             .st_value = elf.ph[0].p_vaddr + below(state, 64)};
    memcpy(data, &elf, sizeof(elf));
    return sizeof(elf);
}

/* Linux's header, sometimes with that of an EFI program behind it. */
static size_t seed_linux(uint8_t *data, size_t max, uint64_t *state)
{
    size_t size = 64 + 4 + 20 + 40 + below(state, 64);

    if (max < size)
        return 0;
    memset(data, 0, size);
    le_put64(data + 16, below(state, 4096));
    le_put64(data + 24, below(state, 8) == 0);
    memcpy(data + 48, "RISCV\0\0\0RSC\x05", 12);
    if (below(state, 2)) {
        memcpy(data, "MZ", 2);
        le_put32(data + 60, 64);
        memcpy(data + 64, "PE\0\0\x64\x50\x01", 7);
        le_put32(data + 88 + 16, below(state, 256)); /* SizeOfRawData, PointerToRawData */
        le_put32(data + 88 + 20, below(state, 64));
    }
    return size;
}

/* Packs [plain, +size) with gzip or zstd. */
static size_t pack(uint8_t *data, size_t max, uint8_t *plain, size_t size, bool zstd)
{
    z_stream z = {.next_in = plain, .avail_in = (uInt)size};

    if (zstd) {
        size = ZSTD_compress(data, max, plain, size, 1);
        return ZSTD_isError(size) ? 0 : size;
    }
    z.next_out = data;
    z.avail_out = (uInt)max;
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 1, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    int r = deflate(&z, Z_FINISH);
    size = max - z.avail_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? size : 0;
}

size_t seed_image(uint8_t *data, size_t max, uint64_t *state)
{
    uint8_t plain[SEED_MAX];
    bool zstd = below(state, 2), zboot = below(state, 2), packed = below(state, 4);
    size_t head = zboot ? PACKED_AT : 0;
    size_t size = below(state, 2) ? seed_elf(plain, sizeof(plain), state)
                                  : seed_linux(plain, sizeof(plain), state);

    if (!packed) {
        memcpy(data, plain, size < max ? size : 0);
        return size < max ? size : 0;
    }
    if (max < head || (size = pack(data + head, max - head, plain, size, zstd)) == 0)
        return 0;
    if (zboot) {
        memset(data, 0, head);
        memcpy(data, "MZ\0\0zimg", 8);
        le_put32(data + 8, head);
        le_put32(data + 12, (uint32_t)size);
        memcpy(data + 24, zstd ? "zstd22" : "gzip", zstd ? 6 : 4);
    }
    return head + size;
}

/* --- device trees --- */

size_t seed_fdt(uint8_t *data, size_t max, uint64_t *state)
{
    static const char *const nodes[] = {"chosen", "memory@80000000", "cpus", "soc", "aliases"};
    uint64_t blob[SEED_MAX / 8]; /* as libfdt wants it aligned */
    void *fdt = blob;

    if (fdt_create_empty_tree(fdt, sizeof(blob)) != 0)
        return 0;
    if (below(state, 4) == 0)
        fdt_add_mem_rsv(fdt, seed_random(state), seed_random(state));
    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        int node = below(state, 2) ? fdt_add_subnode(fdt, 0, nodes[i]) : -1;

        if (node < 0)
            continue;
        fdt_setprop_string(fdt, node, "device_type", i == 1 ? "memory" : "cpu");
        if (i == 0 && below(state, 2)) {
            fdt_setprop_string(fdt, node, "bootargs", "quiet");
            fdt_setprop_u64(fdt, node, "linux,initrd-start", BASE);
            fdt_setprop_u32(fdt, node, "linux,initrd-end", (uint32_t)BASE);
        }
    }
    if (below(state, 2))
        fdt_setprop_u32(fdt, 0, "#address-cells", below(state, 4));
    if (below(state, 2))
        fdt_setprop_u32(fdt, 0, "#size-cells", below(state, 4));
    if (fdt_pack(fdt) != 0 || fdt_totalsize(fdt) > max)
        return 0;
    memcpy(data, fdt, fdt_totalsize(fdt));
    return fdt_totalsize(fdt);
}

/* --- options --- */

/* One of the words that '|' separates. */
static void option_word(char *text, size_t size, const char *words, uint64_t *state)
{
    for (unsigned skip = below(state, 3); skip > 0 && strchr(words, '|'); skip--)
        words = strchr(words, '|') + 1;
    snprintf(text, size, "%.*s", (int)strcspn(words, "|"), words);
}

/* A value that the option takes, mostly. */
static void option_value(char *text, size_t size, const struct cli_option *opt, uint64_t *state)
{
    static const char *const modules[] = {"virtio-rng", "plic", "sbi-pmu", "cfi-flash,file=f",
                                          "finisher"};
    static const char *const units[] = {"", "K", "M", "G"};

    switch (opt->kind) {
    case CLI_WORD: option_word(text, size, opt->arg, state); break;
    case CLI_COUNT: snprintf(text, size, "%u", below(state, 70)); break;
    case CLI_SIZE:
        snprintf(text, size, "%u%s", below(state, 999), units[below(state, 4)]);
        break;
    case CLI_MODULE: snprintf(text, size, "%s", modules[below(state, 5)]); break;
    default: snprintf(text, size, "%s", below(state, 4) ? "f" : "sbi.dbcn"); break;
    }
}

size_t seed_config(uint8_t *data, size_t max, uint64_t *state)
{
    char text[SEED_MAX] = "{";
    size_t len = 1;

    for (unsigned n = 1 + below(state, 6); n > 0; n--) {
        const struct cli_option *opt = &cli_options[below(state, CLI_OPTIONS)];
        bool plain = opt->kind == CLI_COUNT, array = opt->kind == CLI_MODULE && below(state, 2);
        const char *quote = plain ? "" : "\"";
        char value[64];

        option_value(value, sizeof(value), opt, state);
        if (opt->kind == CLI_FLAG) {
            quote = "";
            snprintf(value, sizeof(value), below(state, 4) ? "true" : "false");
        }
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "\"%s\":%s%s%s%s%s,\n", opt->name,
                             array ? "[" : "", quote, value, quote, array ? "]" : "");
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\"%s\":\"f\"}",
                            below(state, 4) ? "kernel" : "program");
    memcpy(data, text, len < max ? len : 0);
    return len < max ? len : 0;
}

size_t seed_cli(uint8_t *data, size_t max, uint64_t *state)
{
    char text[SEED_MAX] = "\1";
    size_t len = 1;

    for (unsigned n = 1 + below(state, 6); n > 0; n--) {
        const struct cli_option *opt = &cli_options[below(state, CLI_OPTIONS)];
        char value[64];

        option_value(value, sizeof(value), opt, state);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "--%s%s%s\n", opt->name,
                                !opt->arg         ? ""
                                : below(state, 2) ? "="
                                                  : "\n",
                                opt->arg ? value : "");
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "f");
    memcpy(data, text, len < max ? len : 0);
    return len < max ? len : 0;
}

/* --- their use --- */

void seeds_write(seed_fn *make)
{
    const char *folder = getenv("FUZZ_SEEDS");
    uint64_t state = 1;

    for (unsigned i = 0; folder && i < SEEDS; i++) {
        uint8_t data[SEED_MAX];
        char path[4096];
        size_t size = make(data, sizeof(data), &state);

        snprintf(path, sizeof(path), "%s/seed-%u", folder, i);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
            fprintf(stderr, "%s cannot be written\n", path);
            exit(1);
        }
    }
}

size_t seed_mutate(seed_fn *make, uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint64_t state = seed;
    size_t made = seed_random(&state) % 256 == 0 ? make(data, max, &state) : 0;

    return made > 0 ? made : LLVMFuzzerMutate(data, size, max);
}
