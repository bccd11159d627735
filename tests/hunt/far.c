/* far.c: code and lists that lead from page to page, and pages that change behind them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hunt/snippet.h"

#include <string.h>

#define PAGE_WORDS (MEM_PAGE_SIZE / 4)
#define NODE_STEP  8u
/* Nodes of a view stand at its bits 30 and 31 (as s1 has them), times this. */
#define NODES_SIZE 1024u

/* --- what stands in the pages --- */

/* Where functions begin, in words from the start of a page. All return by ra. */
static const uint16_t entries[] = {1,   64,   128,  256,  320,  384,
                                   448, 1000, 1016, 1016, 1016, 1018};
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

/* Something on a0 to a5, with a constant. */
static uint32_t small_word(void)
{
    unsigned rd = A0 + random_below(6), rs = A0 + random_below(6), rt = A0 + random_below(6);

    switch (random_below(8)) {
    case 0: return AS_R(add, rd, rs, rt);
    case 1: return AS_R(xor, rd, rs, rt);
    case 2: return AS_R(sltu, rd, rs, rt);
    case 3: return AS_R(addw, rd, rs, rt);
    case 4: return AS_I(ld, rd, S0, (int)random_below(64) * 8);
    case 5: return AS_S(sd, rd, S0, (int)random_below(64) * 8);
    default: return AS_I(addi, rd, rs, (int)random_below(4096) - 2048);
    }
}

#define TO(words) (4 * (int)(words))
#define NEXT      ((int)PAGE_WORDS) /* the same place a page on */

/* A function: its place, and what it is. The last of a page go on in the next. */
static void far_functions(uint32_t *w)
{
    const uint32_t back[] = {AS_I(andi, T2, T2, 31), AS_I(addi, T2, T2, -1),
                             AS_B(blt, ZERO, T2, TO(1018 - NEXT - 4)), AS_I(jalr, ZERO, RA, 0)};
    const uint32_t there[] = {AS_J(ZERO, TO(NEXT + 64))}; /* and back, to 192 */
    const uint32_t here[] = {AS_I(addi, A4, A4, (int)random_below(99)),
                             AS_J(ZERO, TO(192 - NEXT - 129))};
    const uint32_t calls[] = {AS_I(addi, S2, RA, 0), AS_J(RA, TO(NEXT + 5 - 257)), small_word(),
                              AS_J(RA, TO(NEXT + 128 - 259)), AS_I(jalr, ZERO, S2, 0)};
    const uint32_t loop[] = {AS_I(addi, S2, RA, 0),        AS_I(addi, S3, ZERO, 9),
                             AS_J(RA, TO(NEXT + 5 - 322)), AS_I(addi, S3, S3, -1),
                             AS_B(bne, S3, ZERO, TO(-2)),  AS_I(addi, RA, S2, 0),
                             AS_I(jalr, ZERO, RA, 0)};
    const uint32_t pair[] = {AS_I(addi, S2, RA, 0), AS_U(auipc, T0, 1),
                             AS_I(jalr, RA, T0, TO(400 - 385)), AS_I(addi, RA, S2, 0),
                             AS_I(jalr, ZERO, RA, 0)};
    const uint32_t tail[] = {AS_U(auipc, T0, 1), AS_I(jalr, ZERO, T0, TO(400 - 448))};
    const uint32_t leaf[] = {AS_I(addi, A0, A0, (int)random_below(99)),
                             AS_I(jalr, ZERO, RA, 0)};
    const uint32_t branch[] = {AS_I(andi, T1, A0, 1),
                               AS_B(bne, T1, ZERO, TO(NEXT + 480 - 1001)),
                               AS_I(addi, A0, A0, 1), AS_I(jalr, ZERO, RA, 0)};
    const uint32_t again[] = {AS_I(xori, A0, A0, 3),
                              AS_B(beq, ZERO, ZERO, TO(1003 - NEXT - 481))};

    memcpy(w + 2, back, sizeof(back));
    memcpy(w + 64, there, sizeof(there));
    memcpy(w + 128, here, sizeof(here));
    w[192] = AS_I(jalr, ZERO, RA, 0);
    memcpy(w + 256, calls, sizeof(calls));
    memcpy(w + 320, loop, sizeof(loop));
    memcpy(w + 384, pair, sizeof(pair));
    memcpy(w + 448, tail, sizeof(tail));
    memcpy(w + 400, leaf, sizeof(leaf));
    memcpy(w + 1000, branch, sizeof(branch));
    memcpy(w + 480, again, sizeof(again));
}

void far_install(uint8_t *pages)
{
    bool over = random_below(2); /* an instruction lies over each page's end */
    uint32_t words[PAGE_WORDS];

    for (unsigned i = 0; i < SCENE_FAR_PAGES; i++) {
        uint32_t last;

        for (unsigned k = 0; k < PAGE_WORDS; k++)
            words[k] = small_word();
        far_functions(words);
        last = AS_I(addi, A2, A2, (int)random_below(2048));
        if (over) {
            words[PAGE_WORDS - 1] = AS_HALVES(0x0001, last & 0xffff);
            words[0] = AS_HALVES(last >> 16, 0x0001);
        }
        memcpy(pages + (size_t)i * MEM_PAGE_SIZE, words, sizeof(words));
    }
}

static uint64_t node_of(uint64_t base)
{
    uint64_t page = random_below(SCENE_CHASE_PAGES),
             slot = random_below(NODES_SIZE / NODE_STEP);

    switch (random_below(128)) {
    case 0: return random_next();             /* nowhere */
    case 1: return base + SCENE_DATA_END - 4; /* over the end of what is mapped */
    case 2: slot |= 1; break;
    default: break;
    }
    return base + SCENE_CHASE + page * MEM_PAGE_SIZE + (base >> 30 & 3) * NODES_SIZE +
           slot * NODE_STEP + (random_below(64) == 0);
}

void chase_install(uint8_t *pages)
{
    static const uint64_t bases[] = {PLAT_DRAM_BASE, SCENE_LOW, SCENE_HIGH};

    for (unsigned i = 0; i < SCENE_CHASE_PAGES; i++)
        for (unsigned view = 0; view < 3; view++)
            for (unsigned at = 0; at < NODES_SIZE; at += NODE_STEP) {
                uint64_t node = node_of(bases[view]);

                memcpy(pages + (size_t)i * MEM_PAGE_SIZE +
                           (bases[view] >> 30 & 3) * NODES_SIZE + at,
                       &node, 8);
            }
}

/* --- calls --- */

static int far_offset(const struct pen *p)
{
    unsigned to = SCENE_FAR + random_below(SCENE_FAR_PAGES) * MEM_PAGE_SIZE +
                  4u * entries[random_below(ENTRIES)];

    return (int)to - (int)(p->scene->shift + 4 * (unsigned)(p->at - p->scene->code));
}

/* By one instruction or two, or as the last thing that a function does. */
static void put_far_call(struct pen *p, unsigned kind)
{
    int offset = far_offset(p), big = random_below(4) ? 0 : (int)SCENE_BIG;

    switch (kind) {
    case 0: put(p, AS_J(RA, offset)); break;
    case 1:
        offset += big;
        put(p, AS_U(auipc, T0, (uint32_t)(offset + 0x800) >> 12));
        put(p, AS_I(jalr, RA, T0, (int)((uint32_t)offset << 20) >> 20));
        break;
    default:
        put(p, AS_U(auipc, RA, 0));
        put(p, AS_I(addi, RA, RA, 12));
        put(p, AS_J(ZERO, offset - 8));
        break;
    }
}

static void put_far_calls(struct pen *p)
{
    unsigned kind = random_below(3);

    put(p, AS_I(addi, T2, ZERO, (int)random_below(32)));
    if (random_below(2)) {
        put_far_call(p, kind);
        return;
    }
    put(p, AS_I(addi, S4, ZERO, (int)(2 + random_below(12))));
    put_far_call(p, kind);
    put(p, AS_I(addi, S4, S4, -1));
    put(p, AS_B(blt, ZERO, S4, kind == 0 ? -8 : kind == 1 ? -12 : -16));
}

/* The word of another far page to the same place of this one. */
static void put_far_rewrite(struct pen *p)
{
    unsigned from = random_below(SCENE_FAR_PAGES), to = random_below(SCENE_FAR_PAGES);
    unsigned at = random_below(2) ? random_below(8) : 1016 + random_below(8);

    put(p, AS_U(lui, T1, (SCENE_FAR >> 12) + from + (at >= 512)));
    put(p, AS_R(add, T1, T1, S1));
    put(p, AS_I(lw, T0, T1, TO(at) - (at >= 512 ? (int)MEM_PAGE_SIZE : 0)));
    put(p, AS_U(lui, T1, (SCENE_FAR >> 12) + to + (at >= 512)));
    put(p, AS_R(add, T1, T1, S1));
    put(p, AS_S(sw, T0, T1, TO(at) - (at >= 512 ? (int)MEM_PAGE_SIZE : 0)));
    if (random_below(4))
        put(p, AS_N(fence_i));
}

/* --- lists --- */

/* The view's own list: s1's bits 30 and 31 say which. */
static void put_list(struct pen *p, unsigned reg)
{
    put(p, AS_I(srli, reg, S1, 30));
    put(p, AS_I(andi, reg, reg, 3));
    put(p, AS_I(slli, reg, reg, 10));
    put(p, AS_R(add, reg, reg, S1));
    put(p, AS_U(lui, T1, (SCENE_CHASE >> 12) + random_below(SCENE_CHASE_PAGES)));
    put(p, AS_R(add, reg, reg, T1));
}

static void put_links(struct pen *p, unsigned reg)
{
    for (unsigned i = 1 + random_below(4); i-- > 0;) {
        put(p, AS_I(ld, reg, reg, random_below(4) ? 0 : (int)random_below(3) * 8 - 8));
        switch (random_below(8)) {
        case 0: put(p, AS_S(sd, reg, S0, 64)); break;
        case 1: put(p, AS_I(ld, A0, reg, 8)); break;
        case 2: put(p, AS_S(sd, reg, reg, (int)random_below(2) * 8)); break;
        default: break;
        }
    }
}

static void put_chase(struct pen *p)
{
    uint32_t *head;

    put_list(p, T0);
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(60))));
    head = p->at;
    put_links(p, T0);
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(blt, ZERO, T2, 4 * (int)(head - p->at)));
}

/* --- pages that change --- */

static void put_fence(struct pen *p)
{
    switch (p->scene->stale ? random_below(4) : 0) {
    case 0: put(p, AS_R(sfence_vma, ZERO, ZERO, ZERO)); break;
    case 1: put(p, AS_R(sinval_vma, ZERO, ZERO, ZERO)); break;
    case 2: put(p, AS_R(sfence_vma, ZERO, T0, ZERO)); break;
    default: break;
    }
}

static unsigned random_page(void)
{
    return random_below(2) ? (SCENE_FAR >> 12) + random_below(SCENE_FAR_PAGES)
                           : (SCENE_CHASE >> 12) + random_below(SCENE_CHASE_PAGES);
}

/* Another page of the eight at an address, for good; or A and D are cleared, and read back. */
static void put_remap(struct pen *p)
{
    unsigned at = random_page() * 8;
    bool accessed = random_below(4) == 0;

    if (p->scene->coherent)
        return;
    put_table(p, T3, random_below(SCENE_ROOTS), (enum view)random_below(3));
    put(p, AS_I(ld, T4, T3, (int)at));
    if (accessed) {
        put(p, AS_I(andi, T4, T4, -1 - 0x40 * (int)(1 + random_below(3))));
    } else {
        put(p, AS_U(lui, T1, 1));
        put(p, AS_I(srli, T1, T1, 2 - (int)random_below(3)));
        put(p, AS_R(xor, T4, T4, T1));
    }
    put(p, AS_S(sd, T4, T3, (int)at));
    put_fence(p);
    put(p, AS_I(ld, A0, T0, 0));
    put(p, AS_S(sd, A1, T0, 8));
    put(p, AS_I(ld, A2, T3, (int)at));
}

/* The same while a list is followed. */
static void put_chase_remap(struct pen *p)
{
    unsigned at = ((SCENE_CHASE >> 12) + random_below(SCENE_CHASE_PAGES)) * 8;
    uint32_t *head;

    if (p->scene->coherent)
        return;
    put_list(p, T0);
    put_table(p, T3, random_below(SCENE_ROOTS), (enum view)random_below(3));
    put(p, AS_U(lui, T4, 1));
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(20))));
    head = p->at;
    put(p, AS_I(ld, T0, T0, 0));
    put(p, AS_I(ld, T1, T3, (int)at));
    put(p, AS_R(xor, T1, T1, T4));
    put(p, AS_S(sd, T1, T3, (int)at));
    put_fence(p);
    put(p, AS_I(ld, T0, T0, 0));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(blt, ZERO, T2, 4 * (int)(head - p->at)));
}

/* The other page tables, in the same address space or in another, and back or not. */
static void put_root(struct pen *p)
{
    uint64_t roots = (scene_root(p->scene, 0) ^ scene_root(p->scene, 1)) >> 12;

    put(p, AS_I(addi, S4, ZERO, (int)roots)); /* no function changes it */
    if (random_below(2)) {
        put(p, AS_I(addi, T2, ZERO, (int)random_below(4)));
        put(p, AS_I(slli, T2, T2, 44));
        put(p, AS_R(xor, S4, S4, T2));
    }
    put(p, AS_CSRR(T0, SATP));
    put(p, AS_R(xor, T0, T0, S4));
    put(p, AS_CSRW(SATP, T0));
    if (random_below(4) == 0)
        put(p, AS_R(sfence_vma, ZERO, ZERO, ZERO));
    put(p, AS_I(addi, T2, ZERO, 3));
    put_far_call(p, 0);
    if (random_below(2))
        return;
    put(p, AS_CSRR(T0, SATP));
    put(p, AS_R(xor, T0, T0, S4));
    put(p, AS_CSRW(SATP, T0));
    put_far_call(p, 0);
}

void far_put(struct pen *p)
{
    static void (*const kinds[])(struct pen *) = {
        put_far_calls, put_far_calls, put_far_calls, put_far_rewrite, put_chase,
        put_chase,     put_remap,     put_remap,     put_chase_remap, put_root,
    };

    kinds[random_below(sizeof(kinds) / sizeof(kinds[0]))](p);
}
