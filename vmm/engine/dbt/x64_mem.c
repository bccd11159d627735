/* x64_mem.c: loads, stores, atomics and fences in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "guest/abi/platform.h"

#define TABLE_LOAD  offsetof(struct rv_tlb, load)
#define TABLE_STORE offsetof(struct rv_tlb, store)

/*
 * rax = the host address of [rax, +size), or the interpreter does the instruction. The
 * tag is compared with the page of the last byte, so what crosses a page misses. Nothing but an
 * entry that matched makes an address of the host: no guest address reaches the monitor's
 * memory.
 */
static void lower_lookup(struct target_block *b, unsigned size, size_t table)
{
    struct x64_code *c = &b->code;

    x64_rorx(c, false, RCX, RAX, 8); /* the page's number, times the 16 bytes of an entry */
    x64_ri(c, ALU_AND, false, RCX, (RV_TLB_ENTRIES - 1) << 4);
    if (size > 1)
        x64_rm(c, X64_LEA, RDX, X64_MEM(RAX, size - 1));
    else
        x64_rr(c, X64_MOV, RDX, RAX);
    x64_ri(c, ALU_AND, true, RDX, -(int32_t)MEM_PAGE_SIZE);
    x64_rm(c, X64_CMP, RDX, X64_INDEXED(REG_TLB, RCX, 0, table));
    x64_step_if(b, CC_NE);
    x64_rm(c, X64_ADD, RAX,
           X64_INDEXED(REG_TLB, RCX, 0, table + offsetof(struct rv_tlb_entry, addend)));
}

/* The same of [rs1 + imm, +size). */
static void lower_place(struct target_block *b, int32_t imm, unsigned size, size_t table)
{
    unsigned base = x64_source(b, b->op->rs1, RAX);

    if (imm)
        x64_rm(&b->code, X64_LEA, RAX, X64_MEM(base, imm));
    else
        x64_move(b, RAX, base);
    lower_lookup(b, size, table);
}

static void lower_load(struct target_block *b, enum x64_op load, unsigned size)
{
    unsigned to = x64_target(b->op->rd, RAX);

    lower_place(b, b->op->imm, size, TABLE_LOAD);
    x64_rm(&b->code, load, to, X64_MEM(RAX, 0));
    x64_put(b, b->op->rd, to);
}

static void lower_store(struct target_block *b, enum x64_op store, unsigned size)
{
    unsigned from;

    lower_place(b, b->op->imm, size, TABLE_STORE);
    from = x64_source(b, b->op->rd, RCX);
    x64_rm(&b->code, store, from, X64_MEM(RAX, 0));
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

/*
 * With FS off they are illegal, and a load makes the state dirty: what is not the usual case is
 * the interpreter's. Nothing within a block that does not leave it turns FS back.
 */
static void fp_test(struct target_block *b, bool dirties)
{
    struct x64_code *c = &b->code;

    if (b->fp_dirty || (b->fp_on && !dirties))
        return;
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
    fp_test(b, true);
    lower_place(b, b->op->imm, size, TABLE_LOAD);
    x64_rm(&b->code, load, RAX, X64_MEM(RAX, 0));
    if (size < 8) { /* NaN-boxed */
        x64_mov_imm(&b->code, RCX, UINT64_MAX << 8 * size);
        x64_rr(&b->code, X64_OR, RAX, RCX);
    }
    x64_rm(&b->code, X64_STORE, RAX, HART_AT(f, 8 * b->op->rd));
    x64_boxed(b, b->op->rd, size == 4);
}

static void lower_fstore(struct target_block *b, enum x64_op store, unsigned size)
{
    fp_test(b, false);
    lower_place(b, b->op->imm, size, TABLE_STORE);
    x64_rm(&b->code, X64_MOV, RCX, HART_AT(f, 8 * b->op->rd));
    x64_rm(&b->code, store, RCX, X64_MEM(RAX, 0));
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

/* --- atomics --- */

/* rax = the host address of an aligned word at rs1, else the interpreter's. */
static void lower_aligned(struct target_block *b, bool wide, size_t table)
{
    unsigned base = x64_source(b, b->op->rs1, RAX);

    x64_move(b, RCX, base);
    x64_ri(&b->code, ALU_AND, false, RCX, wide ? 7 : 3);
    x64_step_if(b, CC_NE);
    lower_place(b, 0, wide ? 8 : 4, table);
}

static void put_old(struct target_block *b, unsigned host, bool wide)
{
    if (!wide)
        x64_rr(&b->code, X64_MOVSXD, host, host);
    x64_put(b, b->op->rd, host);
}

/* amoadd and amoswap: one instruction of the host. */
static void lower_exchange(struct target_block *b, enum x64_op op, bool wide)
{
    lower_aligned(b, wide, TABLE_STORE);
    x64_get(b, RDX, (unsigned)b->op->imm);
    x64_rm(&b->code, op, RDX, X64_MEM(RAX, 0));
    put_old(b, RDX, wide);
}

/* The others: compute and swap until nobody came between. */
static void lower_modify(struct target_block *b, enum x64_op op, bool wide)
{
    struct x64_code *c = &b->code;
    const uint8_t *again;

    lower_aligned(b, wide, TABLE_STORE);
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_rm(c, wide ? X64_MOV : X64_MOV32, RAX, X64_MEM(RCX, 0));
    again = c->at;
    x64_rr(c, X64_MOV, RDX, RAX);
    x64_with(b, op, RDX, (unsigned)b->op->imm);
    x64_rm(c, wide ? X64_LOCK_CMPXCHG : X64_LOCK_CMPXCHG32, RDX, X64_MEM(RCX, 0));
    x64_jcc(c, CC_NE, again);
    put_old(b, RAX, wide);
}

static void lower_lr(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    lower_aligned(b, wide, TABLE_LOAD);
    x64_rm(c, wide ? X64_MOV : X64_MOV32, RDX, X64_MEM(RAX, 0));
    x64_rm(c, X64_STORE, RAX, HART(reserve_host));
    x64_rm(c, X64_STORE, RDX, HART(reserve_value));
    put_old(b, RDX, wide);
}

static void lower_sc(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;
    uint8_t *over;

    lower_aligned(b, wide, TABLE_STORE);
    x64_get(b, RDX, (unsigned)b->op->imm);
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_rm(c, X64_MOV, RAX, HART(reserve_value));
    x64_rm(c, X64_CMP, RCX, HART(reserve_host));
    over = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, wide ? X64_LOCK_CMPXCHG : X64_LOCK_CMPXCHG32, RDX, X64_MEM(RCX, 0));
    if (!c->full)
        x64_link(over, c->at);
    x64_setcc(c, CC_NE, RAX);
    x64_rr(c, X64_MOVZX8, RAX, RAX);
    x64_store_imm(c, true, HART(reserve_host), -1); /* RV_NO_RESERVATION */
    x64_put(b, b->op->rd, RAX);
}

static bool lower_atomic(struct target_block *b, unsigned id)
{
    switch (id) {
    case RV_INSN_amoadd_w: lower_exchange(b, X64_LOCK_XADD32, false); return true;
    case RV_INSN_amoadd_d: lower_exchange(b, X64_LOCK_XADD, true); return true;
    case RV_INSN_amoswap_w: lower_exchange(b, X64_XCHG32, false); return true;
    case RV_INSN_amoswap_d: lower_exchange(b, X64_XCHG, true); return true;
    case RV_INSN_amoxor_w: lower_modify(b, X64_XOR, false); return true;
    case RV_INSN_amoxor_d: lower_modify(b, X64_XOR, true); return true;
    case RV_INSN_amoand_w: lower_modify(b, X64_AND, false); return true;
    case RV_INSN_amoand_d: lower_modify(b, X64_AND, true); return true;
    case RV_INSN_amoor_w: lower_modify(b, X64_OR, false); return true;
    case RV_INSN_amoor_d: lower_modify(b, X64_OR, true); return true;
    case RV_INSN_lr_w: lower_lr(b, false); return true;
    case RV_INSN_lr_d: lower_lr(b, true); return true;
    case RV_INSN_sc_w: lower_sc(b, false); return true;
    case RV_INSN_sc_d: lower_sc(b, true); return true;
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
 * cbo.zero, with which Linux clears pages. menvcfg has to allow it below M-mode, senvcfg in
 * U-mode; M-mode without menvcfg's leave takes the slow way.
 */
static void lower_zero(struct target_block *b)
{
    enum { XMM0 };
    struct x64_code *c = &b->code;
    uint8_t *above;

    x64_test_imm(c, HART(menvcfg), RV_ENVCFG_CBZE);
    x64_step_if(b, CC_E);
    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_rr(c, X64_TEST, RAX, RAX);
    above = x64_jcc(c, CC_NE, NULL);
    x64_test_imm(c, HART(senvcfg), RV_ENVCFG_CBZE);
    x64_step_if(b, CC_E);
    if (!c->full)
        x64_link(above, c->at);
    x64_get(b, RAX, b->op->rs1);
    x64_ri(c, ALU_AND, true, RAX, -(int32_t)PLAT_CACHE_BLOCK);
    lower_lookup(b, PLAT_CACHE_BLOCK, TABLE_STORE);
    x64_rr(c, X64_XORPS, XMM0, XMM0);
    for (int32_t at = 0; at < (int32_t)PLAT_CACHE_BLOCK; at += 16)
        x64_rm(c, X64_STOREUPS, XMM0, X64_MEM(RAX, at));
}

bool x64_lower_mem(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    if (id == RV_INSN_fence)
        return lower_fence(b);
    if (id == RV_INSN_cbo_zero) {
        lower_zero(b);
        return true;
    }
    return lower_integer(b, id) || lower_float(b, id) || lower_atomic(b, id);
}
