/* x64_block.c: blocks of x86-64 code: registers, jumps, cold parts, stubs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "vmm/engine/dbt/x64_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned x64_pin(unsigned guest)
{
    switch (guest) {
#define X64_PIN(g, host)                                                                       \
    case g: return host;
        X64_PINS
#undef X64_PIN
    default: return NOT_PINNED;
    }
}

struct x64_mem x64_guest(unsigned guest)
{
    return X64_MEM(REG_HART, (int32_t)(8 * guest) - HART_BIAS);
}

void x64_move(struct target_block *b, unsigned to, unsigned from)
{
    if (to != from)
        x64_rr(&b->code, X64_MOV, to, from);
}

void x64_get(struct target_block *b, unsigned host, unsigned guest)
{
    unsigned pin = x64_pin(guest);

    if (guest == 0)
        x64_mov_imm(&b->code, host, 0);
    else if (pin != NOT_PINNED)
        x64_move(b, host, pin);
    else
        x64_rm(&b->code, X64_MOV, host, x64_guest(guest));
}

unsigned x64_source(struct target_block *b, unsigned guest, unsigned spare)
{
    unsigned pin = x64_pin(guest);

    if (pin != NOT_PINNED)
        return pin;
    x64_get(b, spare, guest);
    return spare;
}

unsigned x64_target(unsigned guest, unsigned spare)
{
    unsigned pin = x64_pin(guest);

    return pin != NOT_PINNED ? pin : spare;
}

void x64_put(struct target_block *b, unsigned guest, unsigned host)
{
    unsigned pin = x64_pin(guest);

    if (guest == RV_REG_SINK)
        return;
    if (pin != NOT_PINNED)
        x64_move(b, pin, host);
    else
        x64_rm(&b->code, X64_STORE, host, x64_guest(guest));
}

void x64_put_imm(struct target_block *b, unsigned guest, uint64_t imm)
{
    unsigned pin = x64_pin(guest);

    if (guest == RV_REG_SINK)
        return;
    if (pin == NOT_PINNED && (int64_t)imm == (int32_t)imm) {
        x64_store_imm(&b->code, true, x64_guest(guest), (int32_t)imm);
        return;
    }
    x64_mov_imm(&b->code, pin != NOT_PINNED ? pin : RAX, imm);
    if (pin == NOT_PINNED)
        x64_put(b, guest, RAX);
}

void x64_with(struct target_block *b, enum x64_op op, unsigned host, unsigned guest)
{
    unsigned pin = x64_pin(guest);

    /* x[0] holds zero. */
    if (pin != NOT_PINNED)
        x64_rr(&b->code, op, host, pin);
    else
        x64_rm(&b->code, op, host, x64_guest(guest));
}

const uint8_t *x64_at(const struct target_block *b, uint32_t offset)
{
    return b->dbt->cache.write + offset;
}

/* --- cold parts --- */

struct cold *x64_cold(struct target_block *b, enum cold_kind kind, uint8_t *site)
{
    struct cold *cold;

    if (b->ncold == COLD_MAX) {
        b->code.full = true;
        b->ncold = 0;
    }
    cold = &b->cold[b->ncold++];
    *cold = (struct cold){.kind = kind, .site = site, .op = b->op};
    cold->slot = b->slot;
    cold->length = b->length;
    cold->steps = b->steps;
    memcpy(cold->held, b->floats.held, sizeof(cold->held));
    return cold;
}

static void step_call(struct target_block *b, const struct rv_op *op, unsigned steps,
                      uint32_t stub)
{
    x64_mov_imm(&b->code, RAX, (uintptr_t)op);
    x64_mov_imm(&b->code, RCX, steps - 1);
    x64_call(&b->code, x64_at(b, stub));
}

/* What is neither arithmetic nor a load may do anything to the hart. */
void x64_step(struct target_block *b)
{
    step_call(b, b->op, b->steps, b->dbt->stub_step);
    x64_f_forget(b);
}

void x64_step_if(struct target_block *b, enum x64_cond cc)
{
    x64_cold(b, COLD_STEP, x64_jcc(&b->code, cc, NULL));
}

void x64_fp_begin(struct target_block *b)
{
    struct cold *cold;

    if (b->fp_live)
        return;
    x64_test_imm(&b->code, HART(fp_live), 1);
    cold = x64_cold(b, COLD_FP, x64_jcc(&b->code, CC_E, NULL));
    cold->back = b->code.at;
    b->fp_live = b->fp_dirty = b->fp_on = true;
}

void x64_boxed(struct target_block *b, unsigned f, bool boxed)
{
    b->boxed = (b->boxed & ~(UINT64_C(0x100000001) << f)) | (uint64_t)boxed << f;
}

void x64_boxed_half(struct target_block *b, unsigned f)
{
    b->boxed |= UINT64_C(0x100000001) << f;
}

bool x64_is_boxed(const struct target_block *b, unsigned f)
{
    return b->boxed >> f & 1;
}

bool x64_is_half(const struct target_block *b, unsigned f)
{
    return b->boxed >> (32 + f) & 1;
}

unsigned x64_f_held(const struct target_block *b, unsigned f)
{
    for (unsigned i = XMM_HELD; i < XMMS; i++)
        if (b->floats.held[i] == f + 1)
            return i;
    return 0;
}

unsigned x64_f_target(struct target_block *b, unsigned f)
{
    struct x64_floats *floats = &b->floats;
    unsigned xmm = x64_f_held(b, f);

    if (!xmm) { /* the one that was used the longest ago */
        xmm = XMM_HELD;
        for (unsigned i = XMM_HELD; i < XMMS; i++)
            if (floats->used[i] < floats->used[xmm])
                xmm = i;
        floats->held[xmm] = (uint8_t)(f + 1);
    }
    floats->used[xmm] = floats->clock;
    return xmm;
}

unsigned x64_f(struct target_block *b, unsigned f)
{
    bool held = x64_f_held(b, f) != 0;
    unsigned xmm = x64_f_target(b, f);

    if (!held)
        x64_rm(&b->code, X64_MOVSD, xmm, HART_AT(f, 8 * f));
    return xmm;
}

void x64_f_put(struct target_block *b, unsigned f, bool boxed)
{
    x64_rm(&b->code, X64_STORESD, x64_f_held(b, f), HART_AT(f, 8 * f));
    x64_boxed(b, f, boxed);
}

void x64_f_forget(struct target_block *b)
{
    memset(b->floats.held, 0, sizeof(b->floats.held));
    memset(b->floats.used, 0, sizeof(b->floats.used));
}

/* Gives the cold parts that lead back to the instruction at work their way back: here. */
static void cold_land(struct target_block *b)
{
    for (unsigned i = b->ncold; i-- > 0 && b->cold[i].op == b->op;)
        if (b->cold[i].kind == COLD_STEP) {
            b->cold[i].back = b->code.at;
            memcpy(b->cold[i].after, b->floats.held, sizeof(b->cold[i].after));
        }
}

void x64_align_word(struct target_block *b, unsigned bytes)
{
    unsigned over = (unsigned)((uintptr_t)b->code.at + bytes) % 4;

    if (b->dbt->nharts > 1 && over)
        x64_nop(&b->code, 4 - over);
}

void x64_land(struct target_block *b, uint8_t *site)
{
    if (site && !b->code.full)
        x64_link(site, b->code.at);
}

/*
 * The FPU cannot be the guest's while FS is not dirty or the rounding mode is none of the
 * host's: the interpreter does the instruction and the block is left, whose rest counts on the
 * FPU.
 */
static void cold_fp(struct target_block *b, struct cold cold)
{
    x64_land(b, cold.site);
    x64_call(&b->code, x64_at(b, b->dbt->stub_fp));
    x64_test_imm(&b->code, HART(fp_live), 1);
    x64_jcc(&b->code, CC_NE, cold.back);
    step_call(b, cold.op, cold.steps, b->dbt->stub_step);
    x64_address(b, RAX, (int64_t)cold.slot * 2 + cold.length);
    x64_ri(&b->code, ALU_SUB, true, REG_LEFT, (int32_t)cold.steps);
    x64_jmp(&b->code, x64_at(b, b->dbt->stub_leave));
}

/* --- the walk's side --- */

struct target_block *target_block_begin(struct dbt *d, struct code_page *page, unsigned slot,
                                        uint8_t *room, uint64_t size)
{
    struct target_block *b = malloc(sizeof(*b));

    if (!b)
        return NULL;
    memset(b, 0, offsetof(struct target_block, cold)); /* most of it is never used */
    /* A jump whose distance did not fit may still be linked: a margin keeps that inside. */
    b->start = room;
    b->start_slot = slot;
    b->code = (struct x64_code){.at = room, .end = room + (size > 64 ? size - 64 : 0)};
    b->dbt = d;
    b->page = page;
    return b;
}

static enum lowered lower(struct target_block *b)
{
    enum lowered result;

    if (x64_lower_jump(b, &result))
        return result;
    if (x64_lower_fused(b) || x64_lower_int(b) || x64_lower_bit(b) || x64_lower_mem(b) ||
        x64_lower_atomic(b) || x64_lower_float(b) || x64_lower_csr(b) || x64_lower_system(b))
        return LOWERED;
    x64_step(b);
    b->boxed = 0;
    return LOWERED;
}

enum lowered target_lower(struct target_block *b, const struct rv_op *op, unsigned slot,
                          unsigned steps)
{
    const uint8_t *begin = b->code.at;
    enum lowered result;

    b->op = op;
    b->slot = slot;
    b->length = op->code & 1 ? 2 : 4;
    b->steps = steps;
    b->count++;
    b->floats.clock++;
    if (b->dbt->without & WITHOUT_FLOATS)
        x64_f_forget(b);
    x64_group_begin(b);
    result = x64_group_access(b) ? LOWERED : lower(b);
    x64_group_end(b);
    cold_land(b);
    x64_words(b);
    x64_map_op(b, begin, op, slot);
    return result;
}

void target_fall(struct target_block *b, unsigned slot, unsigned steps)
{
    /* A block that ends behind a call has nothing there to enter. */
    if (b->nentries && b->entry[b->nentries - 1].code == b->code.at)
        b->nentries--;
    x64_jump(b, (int32_t)slot * 2, steps);
}

/* --- cold parts, once the block is there --- */

/* The instructions of a group one by one. */
static void cold_group(struct target_block *b, struct cold cold)
{
    const struct rv_op *op = cold.op;

    x64_land(b, cold.site);
    x64_land(b, cold.more[0]);
    x64_land(b, cold.more[1]);
    b->words = 0;
    b->fused = NULL;
    memcpy(b->floats.held, cold.held, sizeof(b->floats.held));
    b->slot = cold.slot;
    b->steps = cold.steps;
    for (;;) {
        b->op = op;
        b->length = op->code & 1 ? 2 : 4;
        lower(b);
        cold_land(b);
        x64_words(b);
        if (op == cold.last)
            break;
        b->slot += b->length / 2;
        b->steps++;
        op += b->length / 2;
    }
    x64_jmp(&b->code, cold.back);
}

/* What is held where the block goes on, and not yet where it was left, or changed since. */
static void cold_step(struct target_block *b, const struct cold *cold)
{
    bool keep = false;

    x64_land(b, cold->site);
    for (unsigned i = XMM_HELD; i < XMMS; i++)
        keep |= cold->after[i] != 0;
    step_call(b, cold->op, cold->steps, keep ? b->dbt->stub_keep : b->dbt->stub_step);
    for (unsigned i = XMM_HELD; i < XMMS; i++) {
        unsigned f = cold->after[i] - 1u;

        if (cold->after[i] && (cold->held[i] != cold->after[i] || f == cold->op->rd))
            x64_rm(&b->code, X64_MOVSD, i, HART_AT(f, 8 * f));
    }
    x64_jmp(&b->code, cold->back);
}

static void cold_emit(struct target_block *b, struct cold cold)
{
    switch (cold.kind) {
    case COLD_STEP: cold_step(b, &cold); break;
    case COLD_GUESS: x64_guess_wrong(b, &cold); break;
    case COLD_GROUP: cold_group(b, cold); break;
    case COLD_FP: cold_fp(b, cold); break;
    case COLD_JUMP:
        x64_land(b, cold.site);
        x64_jump(b, cold.target, cold.steps);
        break;
    case COLD_EXIT:
        x64_land(b, cold.link);
        if (cold.link) {
            x64_lea_rip(&b->code, RCX, cold.link);
            x64_rm(&b->code, X64_STORE, RCX, HART(link));
        }
        x64_land(b, cold.site);
        x64_address(b, RAX, cold.target);
        x64_jmp(&b->code, x64_at(b, b->dbt->stub_leave));
        break;
    case COLD_CHAIN: x64_chain_cold(b, &cold); break;
    }
}

uint64_t target_block_end(struct target_block *b)
{
    uint64_t size;

    b->behind = true;
    /* They may add more of their kind. */
    for (unsigned i = 0; i < b->ncold && !b->code.full; i++) {
        const uint8_t *begin = b->code.at;
        struct cold cold = b->cold[i];

        cold_emit(b, cold);
        x64_map_cold(b, begin, &cold);
    }
    size = b->code.full ? 0 : (uint64_t)(b->code.at - b->start);
    for (unsigned i = 0; size && i < b->nentries; i++)
        if (!dbt_entry(b->page, b->entry[i].slot))
            dbt_entry_set(b->page, b->entry[i].slot,
                          (uint32_t)(b->entry[i].code - b->dbt->cache.write));
    free(b);
    return size;
}
