/* symbols.h: names for addresses of the guest. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_SYMBOLS_H
#define VMM_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/error.h"

/* A table of symbols, sorted by address. Zeroed: empty. */
struct symbols {
    struct symbol *symbol;
    size_t count;
    char *names; /* owned */
};

/*
 * Reads the functions of an ELF file's symbol table, or the lines of a System.map ("address
 * type name"). 0, or -errno with *err set, whose message begins with `what`: -EINVAL when there
 * is no symbol in it.
 */
int symbols_parse(struct symbols *table, const char *what, const uint8_t *data, size_t size,
                  struct error *err);

/* The same from a file. */
int symbols_read(struct symbols *table, const char *what, const char *path, struct error *err);

void symbols_free(struct symbols *table);

/*
 * Writes "name+0x12" or "name", or "" when no symbol is near below the address; always
 * terminated. Returns its length.
 */
size_t symbols_name(const struct symbols *table, uint64_t address, char *text, size_t size);

#endif
