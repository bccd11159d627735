/* block.c: the walk over a page's decoded code that makes a block of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

#include <string.h>

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

/* Have all harts that run come out of the segment's code since it was given up? */
static bool is_left(const struct dbt *d, unsigned segment)
{
    for (unsigned i = 0; i < d->nharts; i++)
        if (atomic_load(&d->hart[i].inside) &&
            atomic_load_explicit(&d->hart[i].seen, memory_order_acquire) < d->given_up[segment])
            return false;
    return true;
}

/*
 * Begins the next segment, which was given up when the last one was begun, and gives up the one
 * behind it. Pages that have code there are retired with all that they have: jumps lead from
 * one block of a page to another without a look, so all of them live or none. False: some hart
 * may still be in the code there.
 */
static bool next_segment(struct dbt *d)
{
    unsigned next = (d->cache.segment + 1) % d->cache.nsegments;
    unsigned behind = (next + 1) % d->cache.nsegments;

    if (!is_left(d, next))
        return false;
    cache_next_segment(&d->cache);
    code_pool_retire(d->pool, 1ull << behind);
    d->given_up[behind] = atomic_load(&d->pool->retired);
    d->evictions++;
    return true;
}

void dbt_forget(struct dbt *d)
{
    pthread_mutex_lock(&d->pool->lock);
    code_pool_retire(d->pool, ~0ull);
    d->cache.segment = 0;
    d->cache.used = 0;
    memset(d->given_up, 0, sizeof(d->given_up));
    pthread_mutex_unlock(&d->pool->lock);
}

/* Once in the segment being filled; 0: it did not fit. */
static uint32_t attempt(struct dbt *d, struct code_page *page, unsigned slot)
{
    struct target_block *b;
    uint64_t room, size;
    uint8_t *at = cache_room(&d->cache, &room);

    b = target_block_begin(d, page, slot, at, room);
    if (!b)
        return 0;
    walk(d, b, page, slot);
    size = target_block_end(b);
    if (!size)
        return 0;
    page->segments |= 1ull << d->cache.segment;
    dbt_entry_set(page, slot, (uint32_t)(at - d->cache.write));
    cache_take(&d->cache, size);
    d->translations++;
    return dbt_entry(page, slot);
}

static uint32_t translate(struct dbt *d, struct code_page *page, unsigned slot)
{
    uint32_t code;

    if (!op_at(page, slot))
        return 0;
    for (unsigned i = 0; i < 2; i++) {
        if (d->full && !next_segment(d))
            return 0;
        d->full = false;
        code = page->dead ? 0 : attempt(d, page, slot);
        if (code || page->dead)
            return code;
        d->full = true;
    }
    return 0;
}

uint32_t dbt_translate(struct dbt *d, const struct rv_hart *h, struct code_page *page,
                       unsigned slot)
{
    uint32_t code;

    if (page->guarded)
        return 0;
    pthread_mutex_lock(&d->pool->lock);
    d->map_va = h->pc & RV_PAGE_MASK;
    code = dbt_entry(page, slot);
    if (!code)
        code = translate(d, page, slot);
    pthread_mutex_unlock(&d->pool->lock);
    return code;
}
