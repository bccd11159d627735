/* fdt.c: a reader of flattened device trees (Devicetree Specification 0.4, chapter 5). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/fdt.h"

#include "guest/lib/string.h"

#define FDT_MAGIC      0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE   2
#define FDT_PROP       3
#define FDT_NOP        4

/* Offsets in the header. */
#define FDT_OFF_STRUCT  8
#define FDT_OFF_STRINGS 12

/* A walk over all properties, with the node that each belongs to. */
struct fdt_walk {
    const uint8_t *blob;
    const uint8_t *at;
    const char *node; /* its name, unit address included */
    const char *name;
    const uint8_t *value;
    uint32_t len;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A number of one or two cells. */
static uint64_t be_cells(const uint8_t *p, uint32_t len)
{
    return len >= 8 ? (uint64_t)be32(p) << 32 | be32(p + 4) : be32(p);
}

static struct fdt_walk fdt_begin(const void *dtb)
{
    const uint8_t *blob = dtb;
    struct fdt_walk walk = {.blob = blob, .node = ""};

    if (blob && be32(blob) == FDT_MAGIC)
        walk.at = blob + be32(blob + FDT_OFF_STRUCT);
    return walk;
}

static const uint8_t *fdt_align(const struct fdt_walk *walk, const uint8_t *p)
{
    return p + (-(p - walk->blob) & 3);
}

/* Goes to the next property. Those of a node come before its children, so `node` is right. */
static bool fdt_next(struct fdt_walk *walk)
{
    while (walk->at) {
        uint32_t token = be32(walk->at);

        walk->at += 4;
        if (token == FDT_BEGIN_NODE) {
            walk->node = (const char *)walk->at;
            walk->at = fdt_align(walk, walk->at + strlen(walk->node) + 1);
        } else if (token == FDT_PROP) {
            walk->len = be32(walk->at);
            walk->name = (const char *)walk->blob + be32(walk->blob + FDT_OFF_STRINGS) +
                         be32(walk->at + 4);
            walk->value = walk->at + 8;
            walk->at = fdt_align(walk, walk->value + walk->len);
            return true;
        } else if (token != FDT_END_NODE && token != FDT_NOP) {
            walk->at = NULL;
        }
    }
    return false;
}

unsigned fdt_harts(const void *dtb, uint64_t *ids, unsigned max)
{
    struct fdt_walk walk = fdt_begin(dtb);
    unsigned n = 0;

    while (n < max && fdt_next(&walk))
        if (!strncmp(walk.node, "cpu@", 4) && !strcmp(walk.name, "reg"))
            ids[n++] = be_cells(walk.value, walk.len);
    return n;
}

/* True when one of a property's strings is s. */
static bool fdt_has_string(const struct fdt_walk *walk, const char *s)
{
    const char *end = (const char *)walk->value + walk->len;

    for (const char *p = (const char *)walk->value; p < end; p += strlen(p) + 1)
        if (!strcmp(p, s))
            return true;
    return false;
}

/* Hexadecimal digits after the @ of a node's name. */
static uint64_t unit_address(const char *node)
{
    uint64_t addr = 0;

    while (*node && *node != '@')
        node++;
    for (node += *node == '@'; *node; node++)
        addr = addr << 4 | (uint64_t)(*node <= '9' ? *node - '0' : *node - 'a' + 10);
    return addr;
}

uint64_t fdt_device(const void *dtb, const char *compatible)
{
    struct fdt_walk walk = fdt_begin(dtb);

    while (fdt_next(&walk))
        if (!strcmp(walk.name, "compatible") && fdt_has_string(&walk, compatible))
            return unit_address(walk.node);
    return 0;
}

bool fdt_memory(const void *dtb, uint64_t *base, uint64_t *size)
{
    struct fdt_walk walk = fdt_begin(dtb);

    while (fdt_next(&walk)) {
        if (strncmp(walk.node, "memory@", 7) || strcmp(walk.name, "reg") || walk.len < 16)
            continue;
        *base = be_cells(walk.value, 8);
        *size = be_cells(walk.value + 8, 8);
        return true;
    }
    return false;
}

uint64_t fdt_timebase(const void *dtb)
{
    struct fdt_walk walk = fdt_begin(dtb);

    while (fdt_next(&walk))
        if (!strcmp(walk.name, "timebase-frequency"))
            return be_cells(walk.value, walk.len);
    return 0;
}

static bool word_in(const char *text, const char *word)
{
    size_t n = strlen(word);

    while (*text) {
        size_t len = 0;

        while (text[len] && text[len] != ' ')
            len++;
        if (len == n && !strncmp(text, word, n))
            return true;
        text += len;
        text += *text == ' ';
    }
    return false;
}

bool fdt_bootarg(const void *dtb, const char *word)
{
    struct fdt_walk walk = fdt_begin(dtb);

    while (fdt_next(&walk))
        if (!strcmp(walk.node, "chosen") && !strcmp(walk.name, "bootargs"))
            return word_in((const char *)walk.value, word);
    return false;
}
