/* code.c: pages of guest code, decoded. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <stdlib.h>
#include <string.h>

static void page_clear(struct code_page *page)
{
    const struct rv_op undecoded = {.code = OP_CODE(OP_undecoded, 4)};
    const struct rv_op end = {.code = OP_CODE(OP_page_end, 4)};

    for (unsigned i = 0; i < PAGE_SLOTS; i++)
        page->op[i] = undecoded;
    page->op[PAGE_SLOTS] = end;
    page->op[PAGE_SLOTS + 1] = end;
}

void code_page_cold(struct interp *in, struct code_slot *slot)
{
    struct code_page *page = slot->page;

    memset(page->entry, 0, sizeof(page->entry));
    memset(page->heat, 0, sizeof(page->heat));
    page->segments = 0;
    slot->stamp = in->stamp < STAMP_LAST ? ++in->stamp : 0;
}

/*
 * Not rounded up to the alignment: the allocator keeps a header before each piece, for which a
 * whole one would leave no room, and every other 32 KiB would lie idle.
 */
struct code_page *code_page_new(void)
{
    void *page;

    if (posix_memalign(&page, CODE_PAGE_ALIGN, sizeof(struct code_page)) != 0)
        return NULL;
    page_clear(page);
    return page;
}

void code_drop(struct rv_hart *h)
{
    struct interp *in = interp_of(h);

    for (unsigned i = 0; i < CODE_SLOTS; i++)
        if (in->code[i].key)
            free(in->code[i].page);
    memset(in->code, 0, sizeof(in->code));
    in->npages = 0;
    rv_tlb_flush(h); /* fetch entries point at pages */
}

/* Takes the bytes that stand in memory now; ops that no longer match them are decoded anew. */
static void page_refresh(struct interp *in, struct code_slot *slot, const uint8_t *host)
{
    struct code_page *page = slot->page;
    uint8_t now[MEM_PAGE_SIZE];

    memcpy(now, host, sizeof(now));
    if (memcmp(page->bytes, now, sizeof(now)) == 0)
        return;
    memcpy(page->bytes, now, sizeof(now));
    page_clear(page);
    if (in->translator)
        code_page_cold(in, slot);
}

/* The slot of a key, or the free one where it belongs. */
static struct code_slot *slot_find(struct interp *in, uint64_t key)
{
    uint64_t i = key >> MEM_PAGE_SHIFT;

    while (in->code[i % CODE_SLOTS].key && in->code[i % CODE_SLOTS].key != key)
        i++;
    return &in->code[i % CODE_SLOTS];
}

struct code_slot *code_slot_of(struct interp *in, const struct code_page *page)
{
    return slot_find(in, page->gpa | CODE_KEY | page->guarded);
}

/* Decodes nothing yet. NULL: no memory. */
static const struct code_slot *page_make(struct rv_hart *h, uint64_t key, const uint8_t *host)
{
    struct interp *in = interp_of(h);
    struct code_slot *slot;
    struct code_page *page;

    if (in->npages >= CODE_PAGES_MAX)
        code_drop(h);
    page = code_page_new();
    if (!page)
        return NULL;
    page->gpa = key & RV_PAGE_MASK;
    page->guarded = key & 1;
    memcpy(page->bytes, host, sizeof(page->bytes));
    slot = slot_find(in, key);
    *slot = (struct code_slot){.key = key, .page = page, .epoch = in->epoch};
    if (in->translator)
        code_page_cold(in, slot);
    in->npages++;
    return slot;
}

const struct code_slot *code_page_get(struct rv_hart *h, gpa_t gpa, bool guarded)
{
    struct interp *in = interp_of(h);
    uint64_t key = gpa | CODE_KEY | guarded;
    const uint8_t *host = mem_ptr(&h->vm->mem, gpa, MEM_PAGE_SIZE);
    struct code_slot *slot = slot_find(in, key);

    if (!host)
        return NULL;
    if (!slot->key)
        return page_make(h, key, host);
    if (slot->epoch != in->epoch) {
        page_refresh(in, slot, host);
        slot->epoch = in->epoch;
    }
    return slot;
}

const struct code_slot *code_page_known(struct rv_hart *h, gpa_t gpa)
{
    struct interp *in = interp_of(h);
    const struct code_slot *slot = slot_find(in, gpa | CODE_KEY);

    return slot->key && slot->epoch == in->epoch ? slot : NULL;
}

uint32_t interp_word(const struct rv_op *op)
{
    const struct code_page *page = page_of(op);
    size_t at = (size_t)(op - page->op) * 2;
    uint16_t low, high;

    memcpy(&low, page->bytes + at, 2);
    if (rv_insn_length(low) == 2)
        return low;
    memcpy(&high, page->bytes + at + 2, 2);
    return low | (uint32_t)high << 16;
}

/* The near form of a jump, or the id itself. */
static uint16_t near_form(uint16_t id)
{
    switch (id) {
    case RV_INSN_beq: return OP_beq_near;
    case RV_INSN_bne: return OP_bne_near;
    case RV_INSN_blt: return OP_blt_near;
    case RV_INSN_bge: return OP_bge_near;
    case RV_INSN_bltu: return OP_bltu_near;
    case RV_INSN_bgeu: return OP_bgeu_near;
    case RV_INSN_jal: return OP_jal_near;
    default: return id;
    }
}

/*
 * The op of a word (a compressed one in its expanded form) that stands at `offset` in its page;
 * an offset of MEM_PAGE_SIZE or more: not in a page of its own, so that no near forms are
 * chosen.
 */
struct rv_op code_op(uint32_t word, unsigned length, uint64_t offset)
{
    struct rv_insn in = rv_decode(word);
    uint16_t near = near_form(in.id);

    if (near != in.id && offset < MEM_PAGE_SIZE &&
        offset + (uint64_t)(int64_t)in.imm < MEM_PAGE_SIZE) {
        in.id = near;
        in.imm = in.imm / 2 * (int32_t)sizeof(struct rv_op);
    }
    return (struct rv_op){
        .code = OP_CODE(in.id, length), .rd = in.rd, .rs1 = in.rs1, .imm = in.imm};
}

void code_decode(const struct rv_op *op)
{
    struct code_page *page = page_of(op);
    size_t slot = (size_t)(op - page->op);
    uint16_t low;
    bool crosses;

    memcpy(&low, page->bytes + slot * 2, 2);
    crosses = slot == PAGE_SLOTS - 1 && rv_insn_length(low) == 4;
    if (page->guarded || crosses)
        page->op[slot] = (struct rv_op){.code = OP_CODE(OP_single, 4)};
    else if (rv_insn_length(low) == 2)
        page->op[slot] = code_op(rv_expand(low), 2, slot * 2);
    else
        page->op[slot] = code_op(interp_word(op), 4, slot * 2);
}
