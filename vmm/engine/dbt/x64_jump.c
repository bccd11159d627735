/* x64_jump.c: jumps, calls and returns of the guest in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/*
 * Returns. A call of the guest is a call of the host: it leaves the guest's return address and
 * the host's on the stack, and a return whose address is the guest's there is one of the
 * host's, which predicts it. A return that finds another address looks for its code as any
 * jump does. Three rules keep this true:
 *
 * - Every way out of the blocks, and every step of the interpreter that does not simply go on
 *   behind itself, forgets all that is on the stack (x64_stubs.c). So whatever changes where an
 *   address leads, or gives up code, happens while nothing is there.
 * - The steps left are at most a chunk between two of those, so the stack holds at most a chunk
 *   of calls, 16 bytes each.
 * - What lies below the first call is an address that no return has, and code that finds the
 *   right one.
 */

void x64_address(struct target_block *b, unsigned host, int64_t offset)
{
    x64_rm(&b->code, X64_MOV, host, HART(page_va));
    if (offset != 0)
        x64_ri(&b->code, ALU_ADD, true, host, (int32_t)offset);
}

/* Takes what a way through the block counts; leads out when nothing is left. */
static uint8_t *budget(struct target_block *b, unsigned steps, const uint8_t *out)
{
    x64_ri(&b->code, ALU_SUB, true, REG_LEFT, (int32_t)steps);
    return x64_jcc(&b->code, CC_LE, out);
}

/*
 * The fetch table of the privilege, which every change of mapping empties, has the decoded page
 * (rcx), and that the code of the halfword (rdx). What has none leads to the stub at offset 0
 * of the cache, which leaves. rax is the address; `offset`: that in its page, when it is known.
 */
static void find(struct x64_code *c, const struct dbt *d, int32_t offset)
{
    const int32_t entry = offsetof(struct code_page, entry);

    x64_fetch_entry(c);
    x64_rr(c, X64_MOV, RDX, RAX);
    x64_ri(c, ALU_AND, true, RDX, -(int32_t)MEM_PAGE_SIZE);
    x64_rm(c, X64_CMP, RDX, X64_ENTRY(tag));
    x64_jcc(c, CC_NE, d->cache.write + d->stub_leave);
    x64_rm(c, X64_MOV, RCX, X64_ENTRY(page));
    x64_rm(c, X64_STORE, RDX, HART(page_va));
    if (offset >= 0) {
        x64_rm(c, X64_MOV32, RDX, X64_MEM(RCX, entry + offset * 2));
    } else {
        x64_rr(c, X64_MOV32, RDX, RAX);
        x64_ri(c, ALU_AND, false, RDX, MEM_PAGE_SIZE - 2);
        x64_rm(c, X64_MOV32, RDX, X64_INDEXED(RCX, RDX, 1, entry));
    }
    x64_rm(c, X64_ADD, RDX, HART(code_base));
}

void x64_lookup(const struct dbt *d, struct x64_code *c)
{
    find(c, d, -1);
    x64_jmp_reg(c, RDX);
}

/* The code of a slot of this page, or NULL. */
static const uint8_t *near_code(const struct target_block *b, int32_t target)
{
    unsigned slot = (unsigned)target / 2;

    if (slot == b->start_slot)
        return b->start;
    for (unsigned i = 0; i < b->nentries; i++)
        if (b->entry[i].slot == slot)
            return b->entry[i].code;
    return dbt_entry(b->page, slot) ? x64_at(b, dbt_entry(b->page, slot)) : NULL;
}

static bool is_near(int32_t target)
{
    return target >= 0 && target < (int32_t)MEM_PAGE_SIZE;
}

void x64_jump(struct target_block *b, int32_t target, unsigned steps)
{
    struct x64_code *c = &b->code;
    const uint8_t *code;
    struct cold *cold;
    uint8_t *site;

    if (!is_near(target) && !(b->dbt->without & WITHOUT_CHAINS)) {
        x64_chain(b, target, steps, false);
        return;
    }
    if (!is_near(target)) {
        x64_address(b, RAX, target);
        budget(b, steps, x64_at(b, b->dbt->stub_leave));
        find(c, b->dbt, target & ((int32_t)MEM_PAGE_SIZE - 1));
        x64_jmp_reg(c, RDX);
        return;
    }
    code = near_code(b, target);
    x64_ri(c, ALU_SUB, true, REG_LEFT, (int32_t)steps);
    if (!code)
        x64_align_word(b, 2);
    site = x64_jcc(c, CC_G, code);
    cold = x64_cold(b, COLD_EXIT, x64_jmp(c, NULL));
    cold->target = target;
    if (!code)
        cold->link = site;
}

void target_link(struct dbt *d, const uint8_t *site, uint32_t code)
{
    uint8_t *writable = d->cache.write + (site - d->cache.exec);

    x64_relink(writable, d->cache.write + code);
}

/* --- calls and returns --- */

/* ra and t0 (unprivileged specification, section 2.5.1, "return-address stack"). */
static bool is_link(unsigned x)
{
    return x == 1 || x == 5;
}

/* Offset from the page's start of the instruction that follows. */
static int32_t behind(const struct target_block *b)
{
    return (int32_t)(b->slot * 2 + b->length);
}

/* Is the instruction a call that returns into this page? */
static bool is_call(const struct target_block *b)
{
    return is_link(b->op->rd) && is_near(behind(b)) && b->nentries < BLOCK_STEPS_MAX &&
           !(b->dbt->without & WITHOUT_RETURNS);
}

/* rcx = the return address, which is kept in its register, if it has one. */
static void link_register(struct target_block *b)
{
    if (b->op->rd == RV_REG_SINK)
        return;
    x64_address(b, RCX, behind(b));
    x64_put(b, b->op->rd, RCX);
}

/*
 * Behind a call, where it returns to. Whatever has run meanwhile, the page is the one that the
 * return address is in. Those that come by themselves enter behind this.
 */
static enum lowered come_back(struct target_block *b)
{
    x64_pop(&b->code, RCX);
    x64_ri(&b->code, ALU_AND, true, RCX, -(int32_t)MEM_PAGE_SIZE);
    x64_rm(&b->code, X64_STORE, RCX, HART(page_va));
    b->entry[b->nentries++] =
        (struct block_entry){.slot = (unsigned)behind(b) / 2, .code = b->code.at};
    b->fp_on = b->fp_dirty = b->fp_live = false;
    b->boxed = b->words = 0;
    x64_f_forget(b);
    return LOWERED_BACK;
}

/* Where a jump leads, as an offset from the page's start. Of near forms imm counts ops. */
static int32_t jump_target(const struct target_block *b, bool near)
{
    int32_t at = (int32_t)b->slot * 2;

    return near ? at + b->op->imm / (int32_t)sizeof(struct rv_op) * 2 : at + b->op->imm;
}

static enum lowered call_near(struct target_block *b, int32_t target)
{
    struct x64_code *c = &b->code;
    const uint8_t *code = near_code(b, target);
    struct cold *cold = x64_cold(b, COLD_EXIT, budget(b, b->steps, NULL));
    uint8_t *site;

    cold->target = target;
    x64_push(c, RCX);
    if (!code)
        x64_align_word(b, 1);
    site = x64_call(c, code);
    if (!code)
        cold->link = site;
    return come_back(b);
}

static enum lowered call_far(struct target_block *b, int32_t target)
{
    struct x64_code *c = &b->code;

    if (!(b->dbt->without & WITHOUT_CHAINS)) {
        x64_chain(b, target, b->steps, true);
        return come_back(b);
    }
    x64_address(b, RAX, target);
    budget(b, b->steps, x64_at(b, b->dbt->stub_leave));
    x64_push(c, RCX);
    find(c, b->dbt, target & ((int32_t)MEM_PAGE_SIZE - 1));
    x64_call_reg(c, RDX);
    return come_back(b);
}

/* To an address that is known. */
static enum lowered lower_direct(struct target_block *b, int32_t target)
{
    link_register(b);
    if (is_call(b))
        return is_near(target) ? call_near(b, target) : call_far(b, target);
    x64_jump(b, target, b->steps);
    return LOWERED_END;
}

/* jalr behind an auipc (x64_fuse.c). */
static enum lowered lower_known(struct target_block *b)
{
    b->fused = NULL;
    return lower_direct(b, b->fused_target);
}

static enum lowered lower_return(struct target_block *b)
{
    struct x64_code *c = &b->code;

    x64_get(b, RAX, b->op->rs1);
    budget(b, b->steps, x64_at(b, b->dbt->stub_even));
    x64_rm(c, X64_CMP, RAX, X64_MEM(RSP, 8));
    x64_jcc(c, CC_NE, x64_at(b, b->dbt->stub_find));
    x64_ret(c);
    return LOWERED_END;
}

static enum lowered lower_jalr(struct target_block *b)
{
    struct x64_code *c = &b->code;
    const struct rv_op *op = b->op;

    if (is_link(op->rs1) && op->rd == RV_REG_SINK && op->imm == 0 &&
        !(b->dbt->without & WITHOUT_RETURNS))
        return lower_return(b);
    x64_get(b, RAX, op->rs1);
    if (op->imm)
        x64_ri(c, ALU_ADD, true, RAX, op->imm);
    x64_ri(c, ALU_AND, true, RAX, -2);
    link_register(b);
    budget(b, b->steps, x64_at(b, b->dbt->stub_leave));
    if (!is_call(b)) {
        x64_lookup(b->dbt, c);
        return LOWERED_END;
    }
    x64_push(c, RCX);
    find(c, b->dbt, -1);
    x64_call_reg(c, RDX);
    return come_back(b);
}

/* --- branches --- */

/* The condition when the operands change places. */
static enum x64_cond swapped(enum x64_cond cc)
{
    switch (cc) {
    case CC_L: return CC_G;
    case CC_GE: return CC_LE;
    case CC_B: return CC_A;
    case CC_AE: return CC_BE;
    default: return cc;
    }
}

/*
 * cmp rs1, rs2, whose second source stands in rd; the condition of the two that is to be asked
 * for.
 */
static enum x64_cond compare(struct target_block *b, enum x64_cond cc)
{
    unsigned one = b->op->rs1, two = b->op->rd;

    if (two == 0 && (cc == CC_E || cc == CC_NE) && x64_zero_known(b, one))
        return cc;
    if (two == 0 && x64_pin(one) == NOT_PINNED) {
        x64_mi(&b->code, ALU_CMP, true, x64_guest(one), 0);
    } else if (two == 0) {
        x64_rr(&b->code, X64_TEST, x64_pin(one), x64_pin(one));
    } else if (x64_pin(one) == NOT_PINNED && x64_pin(two) != NOT_PINNED) {
        x64_with(b, X64_CMP, x64_pin(two), one);
        return swapped(cc);
    } else {
        x64_with(b, X64_CMP, x64_source(b, one, RAX), two);
    }
    return cc;
}

/*
 * A branch backward is most often taken: its jump stands in line. One forward is most often
 * not: its jump stands behind the block, which goes on.
 */
static enum lowered lower_branch(struct target_block *b, enum x64_cond cc, bool near)
{
    int32_t target = jump_target(b, near);
    uint8_t *over;

    cc = compare(b, cc);
    if (target > (int32_t)b->slot * 2) {
        x64_cold(b, COLD_JUMP, x64_jcc(&b->code, cc, NULL))->target = target;
        return LOWERED;
    }
    over = x64_jcc(&b->code, cc ^ 1, NULL);
    x64_jump(b, target, b->steps);
    x64_land(b, over);
    return LOWERED;
}

bool x64_lower_jump(struct target_block *b, enum lowered *result)
{
    switch (b->op->code >> 1) {
    case RV_INSN_jal: *result = lower_direct(b, jump_target(b, false)); return true;
    case OP_jal_near: *result = lower_direct(b, jump_target(b, true)); return true;
    case RV_INSN_jalr:
        *result = b->op == b->fused ? lower_known(b) : lower_jalr(b);
        return true;
    case RV_INSN_beq: *result = lower_branch(b, CC_E, false); return true;
    case RV_INSN_bne: *result = lower_branch(b, CC_NE, false); return true;
    case RV_INSN_blt: *result = lower_branch(b, CC_L, false); return true;
    case RV_INSN_bge: *result = lower_branch(b, CC_GE, false); return true;
    case RV_INSN_bltu: *result = lower_branch(b, CC_B, false); return true;
    case RV_INSN_bgeu: *result = lower_branch(b, CC_AE, false); return true;
    case OP_beq_near: *result = lower_branch(b, CC_E, true); return true;
    case OP_bne_near: *result = lower_branch(b, CC_NE, true); return true;
    case OP_blt_near: *result = lower_branch(b, CC_L, true); return true;
    case OP_bge_near: *result = lower_branch(b, CC_GE, true); return true;
    case OP_bltu_near: *result = lower_branch(b, CC_B, true); return true;
    case OP_bgeu_near: *result = lower_branch(b, CC_AE, true); return true;
    default: return false;
    }
}
