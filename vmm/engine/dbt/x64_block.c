/* x64_block.c: blocks of x86-64 code: registers, jumps, cold parts, stubs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "vmm/engine/dbt/map.h"

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

static struct cold *cold_add(struct target_block *b, enum cold_kind kind, uint8_t *site)
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
    return cold;
}

static void step_call(struct target_block *b, const struct rv_op *op, unsigned steps)
{
    x64_mov_imm(&b->code, RAX, (uintptr_t)op);
    x64_mov_imm(&b->code, RCX, steps - 1);
    x64_call(&b->code, x64_at(b, b->dbt->stub_step));
}

void x64_step(struct target_block *b)
{
    step_call(b, b->op, b->steps);
}

void x64_step_if(struct target_block *b, enum x64_cond cc)
{
    cold_add(b, COLD_STEP, x64_jcc(&b->code, cc, NULL));
}

void x64_fp_begin(struct target_block *b)
{
    struct cold *cold;

    if (b->fp_live)
        return;
    x64_test_imm(&b->code, HART(fp_live), 1);
    cold = cold_add(b, COLD_FP, x64_jcc(&b->code, CC_E, NULL));
    cold->back = b->code.at;
    b->fp_live = b->fp_dirty = b->fp_on = true;
}

void x64_boxed(struct target_block *b, unsigned f, bool boxed)
{
    b->boxed = (b->boxed & ~(1u << f)) | (uint32_t)boxed << f;
}

/* Gives the cold parts that lead back to the instruction at work their way back: here. */
static void cold_land(struct target_block *b)
{
    for (unsigned i = b->ncold; i-- > 0 && b->cold[i].op == b->op;)
        if (b->cold[i].kind == COLD_STEP)
            b->cold[i].back = b->code.at;
}

static void site_land(struct target_block *b, uint8_t *site)
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
    site_land(b, cold.site);
    x64_call(&b->code, x64_at(b, b->dbt->stub_fp));
    x64_test_imm(&b->code, HART(fp_live), 1);
    x64_jcc(&b->code, CC_NE, cold.back);
    step_call(b, cold.op, cold.steps);
    x64_address(b, RAX, (int64_t)cold.slot * 2 + cold.length);
    x64_ri(&b->code, ALU_SUB, true, REG_LEFT, (int32_t)cold.steps);
    x64_jmp(&b->code, x64_at(b, b->dbt->stub_leave));
}

static void cold_emit(struct target_block *b, struct cold cold)
{
    switch (cold.kind) {
    case COLD_STEP:
        site_land(b, cold.site);
        step_call(b, cold.op, cold.steps);
        x64_jmp(&b->code, cold.back);
        break;
    case COLD_FP: cold_fp(b, cold); break;
    case COLD_JUMP:
        site_land(b, cold.site);
        x64_jump(b, cold.target, cold.steps);
        break;
    case COLD_EXIT:
        site_land(b, cold.link);
        if (cold.link) {
            x64_lea_rip(&b->code, RCX, cold.link);
            x64_rm(&b->code, X64_STORE, RCX, HART(link));
        }
        site_land(b, cold.site);
        x64_address(b, RAX, cold.target);
        x64_jmp(&b->code, x64_at(b, b->dbt->stub_leave));
        break;
    }
}

/* --- jumps --- */

void x64_address(struct target_block *b, unsigned host, int64_t offset)
{
    x64_rm(&b->code, X64_MOV, host, HART(page_va));
    if (offset != 0)
        x64_ri(&b->code, ALU_ADD, true, host, (int32_t)offset);
}

/* What jumps and falls count before they leave the block; leads out when nothing is left. */
static uint8_t *budget(struct target_block *b, unsigned steps, const uint8_t *out)
{
    x64_ri(&b->code, ALU_SUB, true, REG_LEFT, (int32_t)steps);
    return x64_jcc(&b->code, CC_LE, out);
}

/*
 * Through the fetch table of the privilege, which every change of mapping empties, to the code
 * of the halfword. What has none leads to the stub at offset 0 of the cache, which leaves.
 */
void x64_lookup(const struct dbt *d, struct x64_code *c)
{
    const uint8_t *leave = d->cache.write + d->stub_leave;

    x64_rorx(c, false, RCX, RAX, 8);
    x64_ri(c, ALU_AND, false, RCX, (RV_TLB_ENTRIES - 1) << 4);
    x64_rm(c, X64_ADD, RCX, HART(fetch));
    x64_rr(c, X64_MOV, RDX, RAX);
    x64_ri(c, ALU_AND, true, RDX, -(int32_t)MEM_PAGE_SIZE);
    x64_rm(c, X64_CMP, RDX, X64_MEM(RCX, offsetof(struct rv_fetch_entry, tag)));
    x64_jcc(c, CC_NE, leave);
    x64_rm(c, X64_MOV, RCX, X64_MEM(RCX, offsetof(struct rv_fetch_entry, page)));
    x64_rm(c, X64_STORE, RDX, HART(page_va));
    x64_rr(c, X64_MOV32, RDX, RAX);
    x64_ri(c, ALU_AND, false, RDX, MEM_PAGE_SIZE - 2);
    x64_rm(c, X64_MOV32, RDX, X64_INDEXED(RCX, RDX, 1, offsetof(struct code_page, entry)));
    x64_lea_rip(c, RCX, d->cache.write);
    x64_rr(c, X64_ADD, RDX, RCX);
    x64_jmp_reg(c, RDX);
}

void x64_jump_rax(struct target_block *b, unsigned steps)
{
    budget(b, steps, x64_at(b, b->dbt->stub_leave));
    x64_lookup(b->dbt, &b->code);
}

/* The code of a slot of this page, or NULL. */
static const uint8_t *near_code(const struct target_block *b, int32_t target)
{
    unsigned slot = (unsigned)target / 2;

    if (slot == b->start_slot)
        return b->start;
    return b->page->entry[slot] ? x64_at(b, b->page->entry[slot]) : NULL;
}

void x64_jump(struct target_block *b, int32_t target, unsigned steps)
{
    const uint8_t *code;
    struct cold *cold;
    uint8_t *site;

    if (target < 0 || target >= (int32_t)MEM_PAGE_SIZE) {
        x64_address(b, RAX, target);
        x64_jump_rax(b, steps);
        return;
    }
    code = near_code(b, target);
    site = budget(b, steps, NULL);
    cold = cold_add(b, COLD_EXIT, site);
    cold->target = target;
    site = x64_jmp(&b->code, code);
    if (!code)
        cold->link = site;
}

void target_link(struct dbt *d, const uint8_t *site, uint32_t code)
{
    uint8_t *writable = d->cache.write + (site - d->cache.exec);

    x64_link(writable, d->cache.write + code);
}

/* --- branches and jumps of the guest --- */

/* Where a jump leads, as an offset from the page's start. Of near forms imm counts ops. */
static int32_t jump_target(const struct target_block *b, bool near)
{
    int32_t at = (int32_t)b->slot * 2;

    return near ? at + b->op->imm / (int32_t)sizeof(struct rv_op) * 2 : at + b->op->imm;
}

static void link_register(struct target_block *b)
{
    if (b->op->rd == RV_REG_SINK)
        return;
    x64_address(b, RCX, (int64_t)b->slot * 2 + b->length);
    x64_put(b, b->op->rd, RCX);
}

static enum lowered lower_jal(struct target_block *b, bool near)
{
    link_register(b);
    x64_jump(b, jump_target(b, near), b->steps);
    return LOWERED_END;
}

static enum lowered lower_jalr(struct target_block *b)
{
    x64_get(b, RAX, b->op->rs1);
    if (b->op->imm)
        x64_ri(&b->code, ALU_ADD, true, RAX, b->op->imm);
    x64_ri(&b->code, ALU_AND, true, RAX, -2);
    link_register(b);
    x64_jump_rax(b, b->steps);
    return LOWERED_END;
}

/* cmp rs1, rs2, whose second source stands in rd. */
static void compare(struct target_block *b)
{
    unsigned one = x64_source(b, b->op->rs1, RAX);

    if (b->op->rd == 0)
        x64_rr(&b->code, X64_TEST, one, one);
    else
        x64_with(b, X64_CMP, one, b->op->rd);
}

/*
 * A branch backward is most often taken: its jump stands in line. One forward is most often
 * not: its jump stands behind the block, which goes on.
 */
static enum lowered lower_branch(struct target_block *b, enum x64_cond cc, bool near)
{
    int32_t target = jump_target(b, near);
    uint8_t *over;

    compare(b);
    if (target > (int32_t)b->slot * 2) {
        cold_add(b, COLD_JUMP, x64_jcc(&b->code, cc, NULL))->target = target;
        return LOWERED;
    }
    over = x64_jcc(&b->code, cc ^ 1, NULL);
    x64_jump(b, target, b->steps);
    site_land(b, over);
    return LOWERED;
}

/* --- the walk's side --- */

struct target_block *target_block_begin(struct dbt *d, struct code_page *page, unsigned slot,
                                        uint8_t *room, uint64_t size)
{
    struct target_block *b = calloc(1, sizeof(*b));

    /* A jump whose distance did not fit may still be linked: a margin keeps that inside. */
    if (!b)
        return NULL;
    b->start = room;
    b->start_slot = slot;
    b->code = (struct x64_code){.at = room, .end = room + (size > 64 ? size - 64 : 0)};
    b->dbt = d;
    b->page = page;
    return b;
}

static enum lowered lower(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_jal: return lower_jal(b, false);
    case OP_jal_near: return lower_jal(b, true);
    case RV_INSN_jalr: return lower_jalr(b);
    case RV_INSN_beq: return lower_branch(b, CC_E, false);
    case RV_INSN_bne: return lower_branch(b, CC_NE, false);
    case RV_INSN_blt: return lower_branch(b, CC_L, false);
    case RV_INSN_bge: return lower_branch(b, CC_GE, false);
    case RV_INSN_bltu: return lower_branch(b, CC_B, false);
    case RV_INSN_bgeu: return lower_branch(b, CC_AE, false);
    case OP_beq_near: return lower_branch(b, CC_E, true);
    case OP_bne_near: return lower_branch(b, CC_NE, true);
    case OP_blt_near: return lower_branch(b, CC_L, true);
    case OP_bge_near: return lower_branch(b, CC_GE, true);
    case OP_bltu_near: return lower_branch(b, CC_B, true);
    case OP_bgeu_near: return lower_branch(b, CC_AE, true);
    default: break;
    }
    if (x64_lower_int(b) || x64_lower_bit(b) || x64_lower_mem(b) || x64_lower_float(b) ||
        x64_lower_csr(b) || x64_lower_system(b))
        return LOWERED;
    x64_step(b);
    b->boxed = 0;
    return LOWERED;
}

enum lowered target_lower(struct target_block *b, const struct rv_op *op, unsigned slot,
                          unsigned steps)
{
    enum lowered result;

    b->op = op;
    b->slot = slot;
    b->length = op->code & 1 ? 2 : 4;
    b->steps = steps;
    result = lower(b, op->code >> 1);
    cold_land(b);
    return result;
}

void target_fall(struct target_block *b, unsigned slot, unsigned steps)
{
    x64_jump(b, (int32_t)slot * 2, steps);
}

/* For map.h. */
static const char *const cold_names[] = {
    [COLD_STEP] = "cold-step",
    [COLD_JUMP] = "cold-jump",
    [COLD_FP] = "cold-fp",
    [COLD_EXIT] = "cold-exit",
};

const uint8_t *target_block_at(const struct target_block *b)
{
    return b->code.at;
}

uint64_t target_block_end(struct target_block *b)
{
    uint64_t size;

    /* They may add more of their kind. */
    for (unsigned i = 0; i < b->ncold && !b->code.full; i++) {
        const uint8_t *begin = b->code.at;

        cold_emit(b, b->cold[i]);
        if (UNLIKELY(b->dbt->map))
            map_part(b->dbt, begin, b->code.at, cold_names[b->cold[i].kind],
                     (b->dbt->in->hart.pc & RV_PAGE_MASK) + 2 * b->cold[i].slot);
    }
    size = b->code.full ? 0 : (uint64_t)(b->code.at - b->start);
    free(b);
    return size;
}
