/* x64_chain.c: jumps and calls to other pages, linked to their targets, in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include <string.h>

/*
 * A jump whose target is known as an offset from the page is linked to the target's code, and
 * asks each time whether that is still right: the entry of the fetch table, which the general
 * way would take, has to be of the target's virtual page, as it follows from the page that this
 * code runs in, and to lead to the decoded page that it was linked for, with the translations
 * that it had then. The entry's stamp says both of the latter. So the link is never undone: it
 * is right in each address space and privilege whose table says so, and nowhere else.
 */

void x64_fetch_entry(struct x64_code *c)
{
    enum { LOG = 5 };

    _Static_assert(sizeof(struct rv_fetch_entry) == 1 << LOG, "an entry's place is a shift");
    x64_rorx(c, false, RCX, RAX, MEM_PAGE_SHIFT - LOG);
    x64_ri(c, ALU_AND, false, RCX, (RV_TLB_ENTRIES - 1) << LOG);
    x64_rm(c, X64_ADD, RCX, HART(fetch));
}

/* What a site is linked with before it is: no page has it, and it is as long as any. */
#define STAMP_NONE INT32_MIN

/* Of the comparison with it, opcode, ModRM and displacement stand first. */
#define STAMP_AT 3u

/*
 * So often a site is linked. Then what is linked differently goes the general way: two address
 * spaces may have different pages behind the one with the jump. Where several harts run the
 * code it is linked once, since a hart that takes the new stamp might jump by the old distance;
 * before the first time, that leads to the cold part, which is right at any time.
 */
#define CHAIN_TRIES 4u

/* What is to be changed to link a site, by its place in the cache. */
struct chain_record {
    uint32_t jump;  /* the jump */
    uint32_t stamp; /* the stamp that it asks for, a word */
    uint32_t miss;  /* the jump when that is another */
    uint32_t other; /* the general way */
    uint32_t tries;
};

void x64_chain(struct target_block *b, int32_t target, unsigned steps, bool call)
{
    struct x64_code *c = &b->code;
    struct cold *cold;

    x64_address(b, RAX, target & -(int32_t)MEM_PAGE_SIZE);
    x64_ri(c, ALU_SUB, true, REG_LEFT, (int32_t)steps);
    cold = x64_cold(b, COLD_CHAIN, NULL);
    cold->target = target;
    cold->more[0] = x64_jcc(c, CC_LE, NULL);
    if (call)
        x64_push(c, RCX);
    x64_fetch_entry(c);
    x64_rm(c, X64_CMP, RAX, X64_ENTRY(tag));
    cold->more[1] = x64_jcc(c, CC_NE, NULL);
    x64_align_word(b, STAMP_AT);
    x64_mi(c, ALU_CMP, false, X64_ENTRY(stamp), STAMP_NONE);
    cold->stamp = c->at - 4;
    x64_align_word(b, 2);
    cold->site = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, X64_STORE, RAX, HART(page_va));
    x64_align_word(b, 1);
    cold->link = call ? x64_call(c, NULL) : x64_jmp(c, NULL);
    cold->back = call ? c->at : NULL;
}

static uint32_t chain_place(const struct target_block *b, const uint8_t *at)
{
    return (uint32_t)(at - b->dbt->cache.write);
}

/* Where the numbers of a record stand: behind a jump that is always taken. */
static uint8_t *chain_record(struct target_block *b, const struct chain_record *record)
{
    uint8_t bytes[sizeof(*record)], *at = b->code.at;

    memcpy(bytes, record, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        x64_byte(&b->code, bytes[i]);
    return at;
}

/*
 * Asks to be linked; leaves; and the general way, once there were enough tries: rcx is the
 * entry. rax is the address of the target's page on every way here, where h->page_va may be
 * either page's: a hart that takes a new stamp and the old distance has stored the target's.
 */
void x64_chain_cold(struct target_block *b, const struct cold *cold)
{
    const int32_t offset = cold->target & ((int32_t)MEM_PAGE_SIZE - 1);
    struct x64_code *c = &b->code;
    uint8_t *record, *over;

    x64_land(b, cold->site);
    x64_land(b, cold->link);
    x64_lea_rip(c, RCX, c->at);
    over = c->at - 4;
    x64_rm(c, X64_STORE, RCX, HART(chain));
    x64_land(b, cold->more[0]);
    x64_land(b, cold->more[1]);
    x64_ri(c, ALU_ADD, true, RAX, offset);
    x64_jmp(c, x64_at(b, b->dbt->stub_leave));
    record =
        chain_record(b, &(struct chain_record){.jump = chain_place(b, cold->link),
                                               .stamp = chain_place(b, cold->stamp),
                                               .miss = chain_place(b, cold->site),
                                               .other = chain_place(b, c->at) +
                                                        (uint32_t)sizeof(struct chain_record)});
    if (!c->full)
        x64_link(over, record);
    x64_rm(c, X64_MOV, RDX, X64_ENTRY(page));
    x64_rm(c, X64_STORE, RAX, HART(page_va));
    x64_rm(c, X64_MOV32, RDX,
           X64_MEM(RDX, (int32_t)offsetof(struct code_page, entry) + offset * 2));
    x64_ri(c, ALU_ADD, true, RAX, offset);
    x64_rm(c, X64_ADD, RDX, HART(code_base));
    if (!cold->back) {
        x64_jmp_reg(c, RDX);
        return;
    }
    x64_call_reg(c, RDX);
    x64_jmp(c, cold->back);
}

void target_chain(struct dbt *d, const uint8_t *record, uint32_t code, uint32_t stamp)
{
    const unsigned tries = d->nharts > 1 ? 1 : CHAIN_TRIES;
    uint8_t *write = d->cache.write, *at = write + (record - d->cache.exec);
    struct chain_record r;
    uint32_t old;

    memcpy(&r, at, sizeof(r));
    memcpy(&old, write + r.stamp, sizeof(old));
    if (old == stamp) /* another hart has asked for the same */
        return;
    if (r.tries < tries) {
        x64_relink(write + r.jump, write + code);
        x64_word(write + r.stamp, stamp);
    }
    if (++r.tries >= tries)
        x64_relink(write + r.miss, write + r.other);
    memcpy(at, &r, sizeof(r));
}
