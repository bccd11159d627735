/* symbols.c: names for addresses of the guest, from an ELF file or a System.map. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/symbols.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"

#define SYMBOLS_SIZE_MAX (UINT64_C(1) << 30)
/* Code further behind the last symbol than this belongs to something else. */
#define SYMBOL_REACH (UINT64_C(1) << 20)

struct symbol {
    uint64_t address;
    size_t name; /* offset in names */
};

/* A table that grows. */
struct build {
    struct symbols *table;
    size_t room, names_len, names_room;
};

static int symbol_add(struct build *b, uint64_t address, const char *name, size_t len)
{
    struct symbols *t = b->table;

    if (t->count == b->room) {
        size_t room = b->room ? 2 * b->room : 256;
        struct symbol *more = realloc(t->symbol, room * sizeof(*more));

        if (!more)
            return -ENOMEM;
        t->symbol = more;
        b->room = room;
    }
    if (b->names_room - b->names_len <= len) {
        size_t room = 2 * b->names_room + len + 4096;
        char *more = realloc(t->names, room);

        if (!more)
            return -ENOMEM;
        t->names = more;
        b->names_room = room;
    }
    t->symbol[t->count++] = (struct symbol){.address = address, .name = b->names_len};
    memcpy(t->names + b->names_len, name, len);
    t->names[b->names_len + len] = '\0';
    b->names_len += len + 1;
    return 0;
}

/* [offset, offset + len) lies in a file of `size` bytes. */
static bool in_file(size_t size, uint64_t offset, uint64_t len)
{
    return offset <= size && len <= size - offset;
}

/* The functions and labels of one symbol table; local labels of assemblers stay out. */
static int symtab_take(struct build *b, const uint8_t *data, const Elf64_Shdr *symtab,
                       const Elf64_Shdr *strtab)
{
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symtab->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym sym;

        memcpy(&sym, data + symtab->sh_offset + at, sizeof(sym));
        unsigned type = ELF64_ST_TYPE(sym.st_info);
        if (sym.st_shndx == SHN_UNDEF || sym.st_name >= strtab->sh_size ||
            (type != STT_FUNC && type != STT_NOTYPE))
            continue;
        const char *name = (const char *)data + strtab->sh_offset + sym.st_name;
        size_t len = strnlen(name, (size_t)(strtab->sh_size - sym.st_name));
        if (len == 0 || name[0] == '$' || name[0] == '.')
            continue;
        int rc = symbol_add(b, sym.st_value, name, len);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int elf_take(struct build *b, const uint8_t *data, size_t size)
{
    Elf64_Ehdr head;

    memcpy(&head, data, sizeof(head));
    if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_shentsize != sizeof(Elf64_Shdr) ||
        !in_file(size, head.e_shoff, (uint64_t)head.e_shnum * sizeof(Elf64_Shdr)))
        return 0;
    for (unsigned i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr symtab, strtab;

        memcpy(&symtab, data + head.e_shoff + i * sizeof(symtab), sizeof(symtab));
        if (symtab.sh_type != SHT_SYMTAB || symtab.sh_link >= head.e_shnum)
            continue;
        memcpy(&strtab, data + head.e_shoff + symtab.sh_link * sizeof(strtab), sizeof(strtab));
        if (!in_file(size, symtab.sh_offset, symtab.sh_size) ||
            !in_file(size, strtab.sh_offset, strtab.sh_size))
            continue;
        int rc = symtab_take(b, data, &symtab, &strtab);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The value of a hexadecimal digit, or -1. */
static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* A line of nm or System.map: address, blank, one letter, blank, name. False: it is none. */
static bool line_parse(const uint8_t *line, size_t len, uint64_t *address, size_t *name)
{
    size_t i = 0;

    for (*address = 0; i < len && i < 17 && hex_digit(line[i]) >= 0; i++)
        *address = *address << 4 | (uint64_t)hex_digit(line[i]);
    if (i == 0 || i > 16 || len < i + 4 || line[i] != ' ' || line[i + 2] != ' ')
        return false;
    *name = i + 3;
    /* Text only: t, T, w, W; the rest is data or absolute. */
    uint8_t type = line[i + 1] | 0x20;
    return (type == 't' || type == 'w') && line[*name] != '$' && line[*name] != '.';
}

static int map_take(struct build *b, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t len = end ? (size_t)(end - (data + at)) : size - at;
        uint64_t address;
        size_t name;

        if (memchr(data + at, '\0', len) == NULL &&
            line_parse(data + at, len, &address, &name)) {
            int rc = symbol_add(b, address, (const char *)data + at + name, len - name);
            if (rc != 0)
                return rc;
        }
        at += len + 1;
    }
    return 0;
}

static int symbol_compare(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->address != y->address)
        return x->address < y->address ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name; /* the first of several names is shown */
}

int symbols_parse(struct symbols *table, const char *what, const uint8_t *data, size_t size,
                  struct error *err)
{
    struct build b = {.table = table};
    int rc;

    *table = (struct symbols){0};
    if (size >= sizeof(Elf64_Ehdr) && memcmp(data, ELFMAG, SELFMAG) == 0)
        rc = elf_take(&b, data, size);
    else
        rc = map_take(&b, data, size);
    if (rc == 0 && table->count == 0)
        rc = error_set(err, STATUS_DATA,
                       "%s: no symbols in it; give an ELF file that is not stripped, or a "
                       "System.map",
                       what);
    else if (rc != 0)
        error_set(err, STATUS_OS, "%s: no memory for its symbols", what);
    if (rc != 0) {
        symbols_free(table);
        return rc;
    }
    qsort(table->symbol, table->count, sizeof(*table->symbol), symbol_compare);
    return 0;
}

int symbols_read(struct symbols *table, const char *what, const char *path, struct error *err)
{
    struct host_file file;
    int rc = host_file_open(&file, what, path, SYMBOLS_SIZE_MAX, err);

    if (rc != 0)
        return rc;
    rc = symbols_parse(table, what, file.data, file.size, err);
    host_file_close(&file);
    return rc;
}

void symbols_free(struct symbols *table)
{
    free(table->symbol);
    free(table->names);
    *table = (struct symbols){0};
}

/* The first of the symbols with the greatest address that is not above; NULL: none. */
static const struct symbol *symbol_below(const struct symbols *table, uint64_t address)
{
    size_t low = 0, high = table->count; /* the first above lies in [low, high] */

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->symbol[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    while (low > 1 && table->symbol[low - 2].address == table->symbol[low - 1].address)
        low--;
    return &table->symbol[low - 1];
}

size_t symbols_name(const struct symbols *table, uint64_t address, char *text, size_t size)
{
    const struct symbol *symbol = symbol_below(table, address);
    int len = 0;

    text[0] = '\0';
    if (!symbol || address - symbol->address >= SYMBOL_REACH)
        return 0;
    if (address == symbol->address)
        len = snprintf(text, size, "%s", table->names + symbol->name);
    else
        len = snprintf(text, size, "%s+0x%" PRIx64, table->names + symbol->name,
                       address - symbol->address);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?'; /* a file may hold anything, a terminal must not get it */
    }
    return len < 0 ? 0 : strlen(text);
}
