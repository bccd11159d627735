/* code.c: which decoded pages a hart has, and how ops are decoded. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <stdlib.h>
#include <string.h>

void code_drop(struct rv_hart *h)
{
    struct interp *in = interp_of(h);

    pthread_mutex_lock(&in->pool->lock);
    for (unsigned i = 0; i < CODE_SLOTS; i++)
        if (in->code[i].key)
            code_pool_give(in->pool, in->code[i].page);
    pthread_mutex_unlock(&in->pool->lock);
    memset(in->code, 0, sizeof(in->code));
    in->npages = 0;
    rv_tlb_flush(h); /* fetch entries point at pages */
}

/* An op as one number, whatever its type (-fstrict-aliasing). */
typedef uint64_t __attribute__((may_alias)) op_word;

/* The slot of a key, or the free one where it belongs. */
static struct code_slot *slot_find(struct interp *in, uint64_t key)
{
    uint64_t i = key >> MEM_PAGE_SHIFT;

    while (in->code[i % CODE_SLOTS].key && in->code[i % CODE_SLOTS].key != key)
        i++;
    return &in->code[i % CODE_SLOTS];
}

/* Has the slot take the page that has the bytes which stand in memory now. False: no memory. */
static bool slot_fill(struct interp *in, struct code_slot *slot, uint64_t key,
                      const uint8_t *host)
{
    struct code_page *page;
    uint8_t now[MEM_PAGE_SIZE];

    memcpy(now, host, sizeof(now));
    if (slot->key && memcmp(slot->page->bytes, now, sizeof(now)) == 0) {
        slot->epoch = in->epoch;
        return true;
    }
    pthread_mutex_lock(&in->pool->lock);
    page = code_pool_take(in->pool, key, now);
    if (page && slot->key)
        code_pool_give(in->pool, slot->page);
    pthread_mutex_unlock(&in->pool->lock);
    if (!page)
        return false;
    *slot =
        (struct code_slot){.key = key, .page = page, .epoch = in->epoch, .stamp = page->stamp};
    return true;
}

/* What a fetch entry says of a page that has another. */
static void entry_renew(struct rv_hart *h, struct rv_fetch_entry *entry)
{
    const struct code_slot *slot = slot_find(interp_of(h), entry->page->key);

    entry->page = slot->page;
    entry->stamp = slot->stamp;
}

/*
 * Has the slot take another page of the same contents when its own is out of the pool. That is
 * returned, to be given back; NULL: it is not, or there is no memory, as *full says.
 */
static struct code_page *slot_renew(struct interp *in, struct code_slot *slot, bool *full)
{
    struct code_page *old = slot->page, *page;

    if (!slot->key || !old->dead)
        return NULL;
    page = code_pool_take(in->pool, slot->key, old->bytes);
    *full |= !page;
    if (!page)
        return NULL;
    slot->page = page;
    slot->stamp = page->stamp;
    return old;
}

/* Not by code_drop: only a fence, as on every engine, has the hart see what was written since.
 */
void code_renew(struct rv_hart *h)
{
    struct interp *in = interp_of(h);
    struct code_page **old = malloc((in->npages + 1) * sizeof(struct code_page *));
    bool full = !old;
    unsigned n = 0;

    pthread_mutex_lock(&in->pool->lock);
    for (unsigned i = 0; i < CODE_SLOTS && !full; i++) {
        old[n] = slot_renew(in, &in->code[i], &full);
        n += old[n] != NULL;
    }
    rv_fetch_each(h, entry_renew); /* which still finds them by the old pages */
    while (n > 0)
        code_pool_give(in->pool, old[--n]);
    pthread_mutex_unlock(&in->pool->lock);
    free(old);
    if (full)
        code_drop(h);
}

const struct code_slot *code_page_get(struct rv_hart *h, gpa_t gpa, bool guarded)
{
    struct interp *in = interp_of(h);
    uint64_t key = gpa | CODE_KEY | guarded;
    const uint8_t *host = mem_ptr(&h->vm->mem, gpa, MEM_PAGE_SIZE);
    struct code_slot *slot = slot_find(in, key);

    if (!host)
        return NULL;
    if (slot->key)
        return slot->epoch == in->epoch || slot_fill(in, slot, key, host) ? slot : NULL;
    if (in->npages >= CODE_PAGES_MAX) {
        code_drop(h);
        slot = slot_find(in, key);
    }
    if (!slot_fill(in, slot, key, host))
        return NULL;
    in->npages++;
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

/*
 * Harts that share the page may do the same at once, and others be running it: all of the op
 * changes in one store, to what it will be for good.
 */
static void op_store(struct rv_op *at, struct rv_op op)
{
    uint64_t whole;

    _Static_assert(sizeof(op) == sizeof(whole), "stored at once");
    memcpy(&whole, &op, sizeof(whole));
    __atomic_store_n((op_word *)(void *)at, whole, __ATOMIC_RELAXED);
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
        op_store(&page->op[slot], (struct rv_op){.code = OP_CODE(OP_single, 4)});
    else if (rv_insn_length(low) == 2)
        op_store(&page->op[slot], code_op(rv_expand(low), 2, slot * 2));
    else
        op_store(&page->op[slot], code_op(interp_word(op), 4, slot * 2));
}
