/* x64_atomic.c: LR, SC and atomic memory operations in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/*
 * A locked instruction is atomic and orders everything, which is at least what aq and rl ask.
 * A hart without others needs no lock: what devices share with it they share by plain loads and
 * stores, and fences (lower_fence) order those.
 */
static bool is_alone(const struct target_block *b)
{
    return b->dbt->vm->nharts == 1 && !(b->dbt->without & WITHOUT_ALONE);
}

/* rax = the host address of an aligned word at rs1, else the interpreter's. */
static void lower_aligned(struct target_block *b, bool wide, size_t table)
{
    unsigned base = x64_source(b, b->op->rs1, RAX);

    x64_move(b, RCX, base);
    x64_ri(&b->code, ALU_AND, false, RCX, wide ? 7 : 3);
    x64_step_if(b, CC_NE);
    x64_place(b, wide ? 8 : 4, table);
}

static void put_old(struct target_block *b, unsigned host, bool wide)
{
    if (!wide)
        x64_rr(&b->code, X64_MOVSXD, host, host);
    x64_put(b, b->op->rd, host);
}

/* The second source: amo's operand, what sc and amocas store. */
static unsigned source(const struct target_block *b)
{
    return (unsigned)b->op->imm;
}

static void lower_add(struct target_block *b, bool wide)
{
    enum x64_op alone = wide ? X64_XADD : X64_XADD32;
    enum x64_op locked = wide ? X64_LOCK_XADD : X64_LOCK_XADD32;

    lower_aligned(b, wide, X64_TABLE_STORE);
    x64_get(b, RDX, source(b));
    x64_rm(&b->code, is_alone(b) ? alone : locked, RDX, X64_MEM(RAX, 0));
    put_old(b, RDX, wide);
}

/* xchg with memory is always locked. */
static void lower_swap(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    lower_aligned(b, wide, X64_TABLE_STORE);
    x64_get(b, RDX, source(b));
    if (!is_alone(b)) {
        x64_rm(c, wide ? X64_XCHG : X64_XCHG32, RDX, X64_MEM(RAX, 0));
        put_old(b, RDX, wide);
        return;
    }
    x64_rm(c, wide ? X64_MOV : X64_MOV32, RCX, X64_MEM(RAX, 0));
    x64_rm(c, wide ? X64_STORE : X64_STORE32, RDX, X64_MEM(RAX, 0));
    put_old(b, RCX, wide);
}

/* If [rcx] is eax or rax, it becomes edx or rdx; else rax becomes what it is. Sets ZF. */
static void compare_and_swap(struct target_block *b, bool wide)
{
    enum x64_op alone = wide ? X64_CMPXCHG : X64_CMPXCHG32;
    enum x64_op locked = wide ? X64_LOCK_CMPXCHG : X64_LOCK_CMPXCHG32;

    x64_rm(&b->code, is_alone(b) ? alone : locked, RDX, X64_MEM(RCX, 0));
}

/* rax = the word, rcx = its address. The offset behind is where a failed swap tries again. */
static const uint8_t *modify_begin(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    lower_aligned(b, wide, X64_TABLE_STORE);
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_rm(c, wide ? X64_MOV : X64_MOV32, RAX, X64_MEM(RCX, 0));
    return c->at;
}

/* rdx is what the word becomes, unless somebody came between. */
static void modify_end(struct target_block *b, bool wide, const uint8_t *again)
{
    compare_and_swap(b, wide);
    if (!is_alone(b))
        x64_jcc(&b->code, CC_NE, again);
    put_old(b, RAX, wide);
}

/* amoxor, amoand, amoor */
static void lower_modify(struct target_block *b, enum x64_op op, bool wide)
{
    const uint8_t *again = modify_begin(b, wide);

    x64_rr(&b->code, X64_MOV, RDX, RAX);
    x64_with(b, op, RDX, source(b));
    modify_end(b, wide, again);
}

/* amomin, amomax: what memory holds stays when the comparison of it with the operand says so.
 */
static void lower_choose(struct target_block *b, enum x64_op stays, bool wide)
{
    const uint8_t *again = modify_begin(b, wide);
    struct x64_code *c = &b->code;

    x64_get(b, RDX, source(b));
    x64_rr(c, wide ? X64_CMP : X64_CMP32, RAX, RDX);
    x64_rr(c, stays, RDX, RAX);
    modify_end(b, wide, again);
}

/* x0 is compared as 0 ("Zacas"); what is not swapped is a store all the same. */
static void lower_cas(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    lower_aligned(b, wide, X64_TABLE_STORE);
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_get(b, RAX, b->op->rd == RV_REG_SINK ? 0 : b->op->rd);
    x64_get(b, RDX, source(b));
    compare_and_swap(b, wide);
    put_old(b, RAX, wide);
}

static void lower_lr(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;

    lower_aligned(b, wide, X64_TABLE_LOAD);
    x64_rm(c, wide ? X64_MOV : X64_MOV32, RDX, X64_MEM(RAX, 0));
    x64_rm(c, X64_STORE, RAX, HART(reserve_host));
    x64_rm(c, X64_STORE, RDX, HART(reserve_value));
    put_old(b, RDX, wide);
}

static void lower_sc(struct target_block *b, bool wide)
{
    struct x64_code *c = &b->code;
    uint8_t *over;

    lower_aligned(b, wide, X64_TABLE_STORE);
    x64_get(b, RDX, source(b));
    x64_rr(c, X64_MOV, RCX, RAX);
    x64_rm(c, X64_MOV, RAX, HART(reserve_value));
    x64_rm(c, X64_CMP, RCX, HART(reserve_host));
    over = x64_jcc(c, CC_NE, NULL);
    compare_and_swap(b, wide);
    if (!c->full)
        x64_link(over, c->at);
    x64_setcc(c, CC_NE, RAX);
    x64_rr(c, X64_MOVZX8, RAX, RAX);
    x64_store_imm(c, true, HART(reserve_host), -1); /* RV_NO_RESERVATION */
    x64_put(b, b->op->rd, RAX);
}

bool x64_lower_atomic(struct target_block *b)
{
    switch (b->op->code >> 1) {
    case RV_INSN_amoadd_w: lower_add(b, false); return true;
    case RV_INSN_amoadd_d: lower_add(b, true); return true;
    case RV_INSN_amoswap_w: lower_swap(b, false); return true;
    case RV_INSN_amoswap_d: lower_swap(b, true); return true;
    case RV_INSN_amoxor_w: lower_modify(b, X64_XOR, false); return true;
    case RV_INSN_amoxor_d: lower_modify(b, X64_XOR, true); return true;
    case RV_INSN_amoand_w: lower_modify(b, X64_AND, false); return true;
    case RV_INSN_amoand_d: lower_modify(b, X64_AND, true); return true;
    case RV_INSN_amoor_w: lower_modify(b, X64_OR, false); return true;
    case RV_INSN_amoor_d: lower_modify(b, X64_OR, true); return true;
    case RV_INSN_amomin_w: lower_choose(b, X64_CMOVL, false); return true;
    case RV_INSN_amomin_d: lower_choose(b, X64_CMOVL, true); return true;
    case RV_INSN_amomax_w: lower_choose(b, X64_CMOVG, false); return true;
    case RV_INSN_amomax_d: lower_choose(b, X64_CMOVG, true); return true;
    case RV_INSN_amominu_w: lower_choose(b, X64_CMOVB, false); return true;
    case RV_INSN_amominu_d: lower_choose(b, X64_CMOVB, true); return true;
    case RV_INSN_amomaxu_w: lower_choose(b, X64_CMOVA, false); return true;
    case RV_INSN_amomaxu_d: lower_choose(b, X64_CMOVA, true); return true;
    case RV_INSN_amocas_w: lower_cas(b, false); return true;
    case RV_INSN_amocas_d: lower_cas(b, true); return true;
    case RV_INSN_lr_w: lower_lr(b, false); return true;
    case RV_INSN_lr_d: lower_lr(b, true); return true;
    case RV_INSN_sc_w: lower_sc(b, false); return true;
    case RV_INSN_sc_d: lower_sc(b, true); return true;
    default: return false;
    }
}
