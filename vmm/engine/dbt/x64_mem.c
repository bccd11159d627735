/* x64_mem.c: loads, stores, fences and cache blocks in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "guest/abi/platform.h"

/* rcx = where the entry of an address stands in its table. */
static void base_index(struct x64_code *c, unsigned reg)
{
    x64_rorx(c, false, RCX, reg, 8); /* the page's number, times the 16 bytes of an entry */
    x64_ri(c, ALU_AND, false, RCX, (RV_TLB_ENTRIES - 1) << 4);
}

void x64_tag(struct target_block *b, unsigned base, int32_t low, int32_t high, size_t table)
{
    struct x64_code *c = &b->code;

    if (low) {
        x64_rm(c, X64_LEA, RCX, X64_MEM(base, low));
        base_index(c, RCX);
    } else {
        base_index(c, base);
    }
    if (high)
        x64_rm(c, X64_LEA, RDX, X64_MEM(base, high));
    else
        x64_rr(c, X64_MOV, RDX, base);
    x64_ri(c, ALU_AND, true, RDX, -(int32_t)MEM_PAGE_SIZE);
    x64_rm(c, X64_CMP, RDX, X64_INDEXED(REG_TLB, RCX, 0, table));
}

static struct x64_mem look(struct target_block *b, unsigned base, int32_t imm, unsigned size,
                           size_t table)
{
    x64_tag(b, base, imm, imm + (int32_t)size - 1, table);
    x64_step_if(b, CC_NE);
    x64_rm(&b->code, X64_MOV, RDX, X64_INDEXED(REG_TLB, RCX, 0, table + X64_ADDEND));
    return X64_INDEXED(base, RDX, 0, imm);
}

struct x64_mem x64_look(struct target_block *b, unsigned size, size_t table)
{
    return look(b, x64_source(b, b->op->rs1, RAX), b->op->imm, size, table);
}

void x64_place(struct target_block *b, unsigned size, size_t table)
{
    unsigned base = x64_source(b, b->op->rs1, RAX);

    x64_rm(&b->code, X64_LEA, RAX, look(b, base, 0, size, table));
}

static void lower_load(struct target_block *b, enum x64_op load, unsigned size)
{
    unsigned to = x64_target(b->op->rd, RAX);
    struct x64_mem at = x64_look(b, size, X64_TABLE_LOAD);

    if (x64_guesses(b, b->op))
        x64_guess(b, load, to, at);
    else
        x64_rm(&b->code, load, to, at);
    x64_put(b, b->op->rd, to);
}

static void lower_store(struct target_block *b, enum x64_op store, unsigned size)
{
    struct x64_mem at = x64_look(b, size, X64_TABLE_STORE);

    x64_rm(&b->code, store, x64_source(b, b->op->rd, RCX), at);
}

static bool lower_integer(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_lb: lower_load(b, X64_MOVSX8, 1); return true;
    case RV_INSN_lh: lower_load(b, X64_MOVSX16, 2); return true;
    case RV_INSN_lw: lower_load(b, X64_MOVSXD, 4); return true;
    case RV_INSN_ld: lower_load(b, X64_MOV, 8); return true;
    case RV_INSN_lbu: lower_load(b, X64_MOVZX8, 1); return true;
    case RV_INSN_lhu: lower_load(b, X64_MOVZX16, 2); return true;
    case RV_INSN_lwu: lower_load(b, X64_MOV32, 4); return true;
    case RV_INSN_sb: lower_store(b, X64_STORE8, 1); return true;
    case RV_INSN_sh: lower_store(b, X64_STORE16, 2); return true;
    case RV_INSN_sw: lower_store(b, X64_STORE32, 4); return true;
    case RV_INSN_sd: lower_store(b, X64_STORE, 8); return true;
    default: return false;
    }
}

/* --- floating-point loads and stores --- */

/* Does arithmetic follow soon? A look at what is decoded; wrong it costs little. */
static bool arithmetic_follows(const struct target_block *b)
{
    const struct rv_op *op = b->op;
    unsigned slot = b->slot;

    for (unsigned n = 0; n < 16; n++) {
        slot += op->code & 1 ? 1 : 2;
        if (slot >= PAGE_SLOTS)
            return false;
        op = &b->page->op[slot];
        if (op->code >> 1 == OP_undecoded)
            code_decode(op);
        if (x64_is_float(op->code >> 1))
            return true;
    }
    return false;
}

/*
 * With FS off they are illegal, and a load makes the state dirty: what is not the usual case is
 * the interpreter's. Nothing within a block that does not leave it turns FS back.
 */
static void fp_test(struct target_block *b, bool dirties)
{
    struct x64_code *c = &b->code;

    if (b->fp_dirty || (b->fp_on && !dirties))
        return;
    if (arithmetic_follows(b)) { /* which asks for more */
        x64_fp_begin(b);
        return;
    }
    if (dirties) {
        x64_rm(c, X64_MOV32, RAX, HART(mstatus));
        x64_ri(c, ALU_AND, false, RAX, RV_FS);
        x64_ri(c, ALU_CMP, false, RAX, RV_FS);
        x64_step_if(b, CC_NE);
        b->fp_dirty = true;
    } else {
        x64_test_imm(c, HART(mstatus), RV_FS);
        x64_step_if(b, CC_E);
    }
    b->fp_on = true;
}

static void lower_fload(struct target_block *b, enum x64_op load, unsigned size)
{
    struct x64_mem at;
    unsigned to;

    fp_test(b, true);
    at = x64_look(b, size, X64_TABLE_LOAD);
    to = x64_f_target(b, b->op->rd);
    if (size == 8) {
        x64_rm(&b->code, X64_MOVSD, to, at);
    } else { /* NaN-boxed */
        x64_rm(&b->code, load, RAX, at);
        x64_mov_imm(&b->code, RCX, UINT64_MAX << 8 * size);
        x64_rr(&b->code, X64_OR, RAX, RCX);
        x64_rr(&b->code, X64_MOVQ_TO, to, RAX);
    }
    x64_f_put(b, b->op->rd, size == 4);
}

static void lower_fstore(struct target_block *b, enum x64_op store, unsigned size)
{
    struct x64_mem at;
    unsigned xmm;

    fp_test(b, false);
    at = x64_look(b, size, X64_TABLE_STORE);
    xmm = x64_f_held(b, b->op->rd);
    if (xmm && size > 2) {
        x64_rm(&b->code, size == 8 ? X64_STORESD : X64_STORESS, xmm, at);
        return;
    }
    x64_rm(&b->code, X64_MOV, RCX, HART_AT(f, 8 * b->op->rd));
    x64_rm(&b->code, store, RCX, at);
}

static bool lower_float(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_flh: lower_fload(b, X64_MOVZX16, 2); return true;
    case RV_INSN_flw: lower_fload(b, X64_MOV32, 4); return true;
    case RV_INSN_fld: lower_fload(b, X64_MOV, 8); return true;
    case RV_INSN_fsh: lower_fstore(b, X64_STORE16, 2); return true;
    case RV_INSN_fsw: lower_fstore(b, X64_STORE32, 4); return true;
    case RV_INSN_fsd: lower_fstore(b, X64_STORE, 8); return true;
    default: return false;
    }
}

/* Of the orders that a fence asks for the host lacks one: loads behind stores. */
static bool lower_fence(struct target_block *b)
{
    enum { PRED_W = 0x10, SUCC_R = 0x02, PAUSE = 0x010 };
    int32_t imm = b->op->imm;

    if ((imm & PRED_W) && (imm & SUCC_R)) /* of a place that nobody uses */
        x64_rm(&b->code, X64_LOCK_XADD32, RCX, X64_MEM(RSP, -8));
    return imm != PAUSE;
}

/*
 * rax = the host address of the block at rs1. menvcfg has to allow the instruction below
 * M-mode, senvcfg in U-mode; M-mode without menvcfg's leave takes the slow way.
 */
static void place_block(struct target_block *b, int32_t field, size_t table)
{
    struct x64_code *c = &b->code;
    uint8_t *above;

    x64_test_imm(c, HART(menvcfg), field);
    x64_step_if(b, CC_E);
    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_rr(c, X64_TEST, RAX, RAX);
    above = x64_jcc(c, CC_NE, NULL);
    x64_test_imm(c, HART(senvcfg), field);
    x64_step_if(b, CC_E);
    x64_land(b, above);
    x64_get(b, RAX, b->op->rs1);
    x64_ri(c, ALU_AND, true, RAX, -(int32_t)PLAT_CACHE_BLOCK);
    x64_rm(c, X64_LEA, RAX, look(b, RAX, 0, PLAT_CACHE_BLOCK, table));
}

/* cbo.zero, with which Linux clears pages. */
static void lower_zero(struct target_block *b)
{
    enum { XMM0 };
    struct x64_code *c = &b->code;

    place_block(b, RV_ENVCFG_CBZE, X64_TABLE_STORE);
    x64_rr(c, X64_XORPS, XMM0, XMM0);
    for (int32_t at = 0; at < (int32_t)PLAT_CACHE_BLOCK; at += 16)
        x64_rm(c, X64_STOREUPS, XMM0, X64_MEM(RAX, at));
}

bool x64_lower_mem(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    switch (id) {
    case RV_INSN_fence: return lower_fence(b);
    case RV_INSN_cbo_zero: lower_zero(b); return true;
    /* Caches are coherent with everything: there is nothing to do but to ask. */
    case RV_INSN_cbo_inval: place_block(b, RV_ENVCFG_CBIE, X64_TABLE_LOAD); return true;
    case RV_INSN_cbo_clean:
    case RV_INSN_cbo_flush: place_block(b, RV_ENVCFG_CBCFE, X64_TABLE_LOAD); return true;
    default: break;
    }
    return lower_integer(b, id) || lower_float(b, id);
}
