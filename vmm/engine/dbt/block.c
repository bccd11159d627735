/* block.c: the walk over a page's decoded code that makes a block of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

/* The op of a slot, decoded; NULL when it cannot run from its page. */
static const struct rv_op *op_at(struct code_page *page, unsigned slot)
{
    const struct rv_op *op = &page->op[slot];

    if (op->code >> 1 == OP_undecoded)
        code_decode(op);
    return op->code >> 1 == OP_single ? NULL : op;
}

/* Instructions after which the interpreter never goes on in sequence. */
static bool ends_block(unsigned id)
{
    switch (id) {
    case RV_INSN_ILLEGAL:
    case RV_INSN_ecall:
    case RV_INSN_ebreak:
    case RV_INSN_sret:
    case RV_INSN_mret:
    case RV_INSN_wfi:
    case RV_INSN_fence_i:
    case RV_INSN_sfence_vma:
    case RV_INSN_sinval_vma: return true;
    default: return false;
    }
}

static void walk(struct dbt *d, struct target_block *b, struct code_page *page, unsigned slot)
{
    unsigned steps = 0;

    for (unsigned n = 0;; n++) {
        const struct rv_op *op = slot < PAGE_SLOTS ? op_at(page, slot) : NULL;

        /* Where other code stands already, it is run on in. */
        if (!op || n == d->block_steps || (n > 0 && page->entry[slot]))
            break;
        switch (target_lower(b, op, slot, ++steps)) {
        case LOWERED: break;
        case LOWERED_END: return;
        case LOWERED_BACK: steps = 0; break;
        }
        slot += op->code & 1 ? 1 : 2;
        if (ends_block(op->code >> 1))
            break;
    }
    target_fall(b, slot, steps);
}

/* What fetch entries say of a page that has lost its code. */
static void entry_stamp(struct rv_hart *h, struct rv_fetch_entry *entry)
{
    entry->stamp = code_slot_of(interp_of(h), entry->page)->stamp;
}

/*
 * Begins the next segment. Pages that have code there lose all they have: jumps lead from one
 * block of a page to another without a look, so all of them live or none.
 */
static void evict(struct dbt *d)
{
    uint64_t bit;

    cache_next_segment(&d->cache);
    bit = 1ull << d->cache.segment;
    for (unsigned i = 0; i < CODE_SLOTS; i++)
        if (d->in->code[i].key && d->in->code[i].page->segments & bit)
            code_page_cold(d->in, &d->in->code[i]);
    rv_fetch_each(&d->in->hart, entry_stamp);
    d->evictions++;
}

/* Once in the segment being filled; 0: it did not fit. */
static uint64_t attempt(struct dbt *d, struct code_page *page, unsigned slot)
{
    struct target_block *b;
    uint64_t room, size;
    uint8_t *at = cache_room(&d->cache, &room);

    b = target_block_begin(d, page, slot, at, room);
    if (!b)
        return 0;
    walk(d, b, page, slot);
    size = target_block_end(b);
    if (size) {
        page->segments |= 1ull << d->cache.segment;
        page->entry[slot] = (uint32_t)(at - d->cache.write);
        cache_take(&d->cache, size);
        d->translations++;
    }
    return size;
}

uint32_t dbt_translate(struct dbt *d, struct code_page *page, unsigned slot)
{
    if (page->guarded || !op_at(page, slot))
        return 0;
    if (attempt(d, page, slot) == 0) {
        evict(d);
        if (attempt(d, page, slot) == 0)
            return 0;
    }
    return page->entry[slot];
}
