/* grammar.h: a call's arguments, made up from a fuzzer's input and the kinds in the table. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TESTS_FUZZ_GRAMMAR_H
#define TESTS_FUZZ_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/call.h"

/*
 * What arguments are made of: the rest of the input (zeros when it is used up), and the machine
 * that arguments are to mean something to.
 */
struct grammar {
    const uint8_t *data;
    size_t size;
    uint64_t ram, ram_size;
    unsigned nharts;
};

static inline uint8_t grammar_byte(struct grammar *g)
{
    if (g->size == 0)
        return 0;
    g->size--;
    return *g->data++;
}

static inline uint64_t grammar_word(struct grammar *g)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | grammar_byte(g);
    return word;
}

#define GRAMMAR_PICK(g, array) (array)[grammar_byte(g) % (sizeof(array) / sizeof((array)[0]))]

/* An address in or at an edge of RAM, aligned as calls ask for it, or not. */
static inline uint64_t grammar_address(struct grammar *g)
{
    static const uint64_t steps[] = {1, 2, 16, 64, 4096};
    const uint64_t edges[] = {0,
                              g->ram - 1,
                              g->ram,
                              g->ram + g->ram_size - 1,
                              g->ram + g->ram_size,
                              UINT64_MAX,
                              16,
                              UINT64_C(1) << 63};
    uint8_t choice = grammar_byte(g);
    uint64_t step = GRAMMAR_PICK(g, steps);

    if (choice < 64)
        return GRAMMAR_PICK(g, edges);
    if (choice < 96)
        return g->ram + g->ram_size - step;
    if (choice < 144) /* so near that calls meet what others have written */
        return g->ram + grammar_byte(g) % 16 * 16;
    return g->ram + (grammar_word(g) % g->ram_size) / step * step;
}

/* A number on the edges of what calls know. */
static inline uint64_t grammar_number(struct grammar *g)
{
    const uint64_t edges[] = {
        0,          1,          2,   3,      4,          5,
        7,          15,         16,  18,     19,         g->nharts,
        63,         64,         255, 256,    4096,       CALL_BUF_MAX,
        UINT32_MAX, 0x80000000, -1,  -2,     0x80000001, UINT64_C(1) << 32,
        0x10001,    0x10002,    -3,  0xf0005};
    return GRAMMAR_PICK(g, edges);
}

static inline uint64_t grammar_length(struct grammar *g)
{
    const uint64_t edges[] = {0,
                              1,
                              2,
                              3,
                              5,
                              8,
                              24,
                              64,
                              80,
                              1023,
                              1024,
                              4096,
                              CALL_BUF_MAX - 1,
                              CALL_BUF_MAX,
                              CALL_BUF_MAX + 1,
                              g->ram_size,
                              g->ram_size + 1,
                              UINT64_MAX};
    return GRAMMAR_PICK(g, edges);
}

/* One argument as its kind would have it; one in eight is any word. */
static inline uint64_t grammar_arg(struct grammar *g, enum call_kind kind)
{
    static const uint64_t fds[] = {0, 1, 2, 3, 4, 5, 63, 64, -1, -100, UINT32_MAX, INT32_MAX};
    static const uint64_t modes[] = {0, 0600, 0644, 0755, 0777, 07777, 0100644, -1};

    if (grammar_byte(g) >= 224)
        return grammar_word(g);
    switch (kind) {
    case KIND_FLAGS:
        return grammar_byte(g) & 1 ? UINT64_C(1) << (grammar_byte(g) & 63) : grammar_byte(g);
    case KIND_HART: return grammar_byte(g) % (g->nharts + 1);
    case KIND_HARTMASK: return grammar_byte(g);
    case KIND_LENGTH: return grammar_length(g);
    case KIND_HIGH: return grammar_byte(g) < 240 ? 0 : grammar_number(g);
    case KIND_IN:
    case KIND_OUT:
    case KIND_STRING:
    case KIND_MEMORY:
    case KIND_ADDRESS:
    case KIND_VIRTUAL: return grammar_address(g);
    case KIND_FD: return GRAMMAR_PICK(g, fds);
    case KIND_LEVEL: return grammar_byte(g) % 10;
    case KIND_MODE: return GRAMMAR_PICK(g, modes);
    default: return grammar_number(g);
    }
}

/* Gives a call's arguments what their kinds would have, and junk to the registers behind them.
 */
static inline void grammar_args(struct grammar *g, const struct call_desc *desc, struct call *c)
{
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c->arg[i] = grammar_arg(g, i < desc->nargs ? desc->args[i].kind : KIND_WORD);
}

#endif
