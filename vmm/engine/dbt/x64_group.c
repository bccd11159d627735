/* x64_group.c: loads and stores off one register that share a look into the TLB. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/*
 * What a function saves and takes back, and the members of a structure, lie close together: one
 * look finds that the lowest and the highest byte of them are in one page, before the first is
 * touched. rdx has the host's address from there on, so that only instructions stand between
 * them that leave it alone and do not change the register. When the look fails, the same
 * instructions stand once more behind the block, each with its own look. A recursive function
 * with ten saved registers takes two looks instead of ten.
 */

/* Instructions from the first to the last of a group. */
#define GROUP_LENGTH_MAX 32u

bool x64_access(unsigned id, struct x64_access *access)
{
    switch (id) {
    case RV_INSN_lb: *access = (struct x64_access){X64_MOVSX8, 1, false}; return true;
    case RV_INSN_lh: *access = (struct x64_access){X64_MOVSX16, 2, false}; return true;
    case RV_INSN_lw: *access = (struct x64_access){X64_MOVSXD, 4, false}; return true;
    case RV_INSN_ld: *access = (struct x64_access){X64_MOV, 8, false}; return true;
    case RV_INSN_lbu: *access = (struct x64_access){X64_MOVZX8, 1, false}; return true;
    case RV_INSN_lhu: *access = (struct x64_access){X64_MOVZX16, 2, false}; return true;
    case RV_INSN_lwu: *access = (struct x64_access){X64_MOV32, 4, false}; return true;
    case RV_INSN_sb: *access = (struct x64_access){X64_STORE8, 1, true}; return true;
    case RV_INSN_sh: *access = (struct x64_access){X64_STORE16, 2, true}; return true;
    case RV_INSN_sw: *access = (struct x64_access){X64_STORE32, 4, true}; return true;
    case RV_INSN_sd: *access = (struct x64_access){X64_STORE, 8, true}; return true;
    default: return false;
    }
}

/* Does the code of the instruction leave rdx alone, and go on behind it? */
static bool is_bystander(const struct rv_op *op)
{
    switch (op->code >> 1) {
    case RV_INSN_addi:
    case RV_INSN_slti:
    case RV_INSN_sltiu:
    case RV_INSN_xori:
    case RV_INSN_ori:
    case RV_INSN_andi:
    case RV_INSN_slli:
    case RV_INSN_srli:
    case RV_INSN_srai:
    case RV_INSN_addiw:
    case RV_INSN_slliw:
    case RV_INSN_srliw:
    case RV_INSN_sraiw:
    case RV_INSN_lui:
    case RV_INSN_auipc:
    case RV_INSN_add:
    case RV_INSN_sub:
    case RV_INSN_xor:
    case RV_INSN_or:
    case RV_INSN_and:
    case RV_INSN_sll:
    case RV_INSN_srl:
    case RV_INSN_sra:
    case RV_INSN_slt:
    case RV_INSN_sltu:
    case RV_INSN_addw:
    case RV_INSN_subw:
    case RV_INSN_mul:
    case RV_INSN_mulw:
    case RV_INSN_sh1add:
    case RV_INSN_sh2add:
    case RV_INSN_sh3add:
    case RV_INSN_add_uw: return true;
    default: return false;
    }
}

bool x64_is_branch(const struct rv_op *op)
{
    switch (op->code >> 1) {
    case OP_beq_near:
    case OP_bne_near:
    case OP_blt_near:
    case OP_bge_near:
    case OP_bltu_near:
    case OP_bgeu_near: return true;
    default: return false;
    }
}

/* A branch forward goes on behind itself, or leaves the group for good; it writes nothing. */
static bool is_forward(const struct rv_op *op)
{
    return x64_is_branch(op) && op->imm > 0;
}

/* Does the register only move, by a constant? */
static bool is_move(const struct rv_op *op, unsigned base)
{
    return op->code >> 1 == RV_INSN_addi && op->rd == base && op->rs1 == base;
}

/* The bytes that the group touches, as offsets from the register. */
struct extent {
    int32_t low, high;
    bool loads, stores, guess;
    unsigned n;
};

static void extend(struct extent *x, const struct x64_access *access, int32_t at)
{
    int32_t end = at + (int32_t)access->size - 1;

    x->low = x->n && x->low < at ? x->low : at;
    x->high = x->n && x->high > end ? x->high : end;
    x->loads |= !access->store;
    x->stores |= access->store;
    x->n++;
}

/* The last member of the group that begins with the instruction at work. */
static const struct rv_op *scan(const struct target_block *b, struct extent *x)
{
    unsigned base = b->op->rs1, slot = b->slot, rest = b->dbt->block_steps - b->count;
    const struct rv_op *last = b->op;
    struct x64_access access;
    int32_t moved = 0;

    for (unsigned n = 0; n <= rest && n < GROUP_LENGTH_MAX && slot < PAGE_SLOTS; n++) {
        const struct rv_op *op = &b->page->op[slot];

        if (n > 0 && b->page->entry[slot]) /* where the block ends */
            break;
        if (op->code >> 1 == OP_undecoded)
            code_decode(op);
        if (x64_access(op->code >> 1, &access)) {
            if (op->rs1 != base)
                break;
            extend(x, &access, op->imm + moved);
            x->guess = x->guess || (!access.store && x64_guesses(b, op));
            last = op;
            if (!access.store && op->rd == base)
                break;
        } else if (is_move(op, base)) {
            moved += op->imm;
        } else if (!is_forward(op) && (!is_bystander(op) || op->rd == base)) {
            break;
        }
        slot += op->code & 1 ? 1 : 2;
    }
    return last;
}

static void look(struct target_block *b, const struct extent *x, const struct rv_op *last)
{
    size_t table = x->stores ? X64_TABLE_STORE : X64_TABLE_LOAD;
    struct x64_code *c = &b->code;
    struct cold *cold;
    unsigned base = x64_source(b, b->op->rs1, RAX);

    x64_tag(b, base, x->low, x->high, table);
    cold = x64_cold(b, COLD_GROUP, x64_jcc(c, CC_NE, NULL));
    cold->last = last;
    if (x->loads && x->stores) {
        x64_rm(c, X64_CMP, RDX, X64_INDEXED(REG_TLB, RCX, 0, X64_TABLE_LOAD));
        cold->more[0] = x64_jcc(c, CC_NE, NULL);
    }
    x64_rm(c, X64_MOV, RDX, X64_INDEXED(REG_TLB, RCX, 0, table + X64_ADDEND));
    if (x->loads && x->stores) { /* while the guest has not fenced, they may differ */
        x64_rm(c, X64_CMP, RDX, X64_INDEXED(REG_TLB, RCX, 0, X64_TABLE_LOAD + X64_ADDEND));
        cold->more[1] = x64_jcc(c, CC_NE, NULL);
    }
    if (x->guess)
        x64_guess(b, X64_LEA, RDX, X64_INDEXED(base, RDX, 0, 0));
    else
        x64_rr(c, X64_ADD, RDX, base);
}

void x64_group_begin(struct target_block *b)
{
    struct extent x = {.n = 0};
    const struct rv_op *last;
    struct x64_access access;

    if (b->group || (b->dbt->without & WITHOUT_GROUPS) ||
        !x64_access(b->op->code >> 1, &access))
        return;
    last = scan(b, &x);
    if (x.n < 2 || x.high - x.low >= (int32_t)MEM_PAGE_SIZE)
        return;
    look(b, &x, last);
    b->group = last;
    b->group_first = b->op;
    b->group_moved = 0;
}

bool x64_group_access(struct target_block *b)
{
    struct x64_code *c = &b->code;
    struct x64_access access;
    struct x64_mem at;
    unsigned reg;

    if (!b->group || !x64_access(b->op->code >> 1, &access))
        return false;
    at = X64_MEM(RDX, b->op->imm + b->group_moved);
    if (access.store) {
        reg = x64_source(b, b->op->rd, RCX);
        x64_rm(c, access.op, reg, at);
    } else {
        reg = x64_target(b->op->rd, RAX);
        x64_rm(c, access.op, reg, at);
        x64_put(b, b->op->rd, reg);
    }
    return true;
}

void x64_group_end(struct target_block *b)
{
    if (b->group && is_move(b->op, b->group_first->rs1))
        b->group_moved += b->op->imm;
    if (b->op != b->group)
        return;
    for (unsigned i = 0; i < b->ncold; i++)
        if (b->cold[i].kind == COLD_GROUP && b->cold[i].op == b->group_first)
            b->cold[i].back = b->code.at;
    b->group = NULL;
}
