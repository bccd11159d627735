/* x64_fuse.c: pairs of instructions in one, and what is known of registers, in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/*
 * Only pairs of which the second writes what the first wrote, so that nobody can tell: nothing
 * stops between the two, and a jump to the second finds code of its own.
 */

static unsigned rs2(const struct rv_op *op)
{
    return (unsigned)op->imm;
}

/* The instruction behind the one at work, when it is certain to be next in the block. */
static const struct rv_op *next_op(const struct target_block *b)
{
    unsigned slot = b->slot + b->length / 2;
    const struct rv_op *op = &b->page->op[slot];

    if (slot >= PAGE_SLOTS || b->page->entry[slot] || b->count >= b->dbt->block_steps)
        return NULL;
    if (op->code >> 1 == OP_undecoded)
        code_decode(op);
    return op;
}

/* slli and srli or srai by the same number: the extension of a part of the register. */
static bool extension(unsigned bits, bool is_signed, enum x64_op *op)
{
    switch (bits) {
    case 8: *op = is_signed ? X64_MOVSX8 : X64_MOVZX8; return true;
    case 16: *op = is_signed ? X64_MOVSX16 : X64_MOVZX16; return true;
    case 32: *op = is_signed ? X64_MOVSXD : X64_MOV32; return true;
    default: return false;
    }
}

/* A word is extended and shifted left by what the second lacks of 32. */
static bool fuse_shifts(struct target_block *b, const struct rv_op *next)
{
    bool is_signed = next->code >> 1 == RV_INSN_srai;
    int32_t left = b->op->imm & 63, right = next->imm & 63;
    unsigned to = x64_target(next->rd, RAX);
    enum x64_op op;

    if ((left != right && (left != 32 || right > 32)) ||
        !extension(64 - (unsigned)left, is_signed, &op))
        return false;
    x64_with(b, op, to, b->op->rs1);
    if (left != right)
        x64_shift(&b->code, SHIFT_SHL, true, to, (unsigned)(left - right));
    x64_put(b, next->rd, to);
    return true;
}

/* slli by up to 3 and add: an address. */
static bool fuse_shift_add(struct target_block *b, const struct rv_op *next)
{
    unsigned other = next->rs1 == b->op->rd ? rs2(next) : next->rs1;
    unsigned to = x64_target(next->rd, RAX), index, base;

    if (b->op->imm < 1 || b->op->imm > 3 || other == b->op->rd || other == 0)
        return false;
    index = x64_source(b, b->op->rs1, RCX);
    base = x64_source(b, other, RAX);
    x64_rm(&b->code, X64_LEA, to, X64_INDEXED(base, index, (uint8_t)b->op->imm, 0));
    x64_put(b, next->rd, to);
    return true;
}

static bool fuse_slli(struct target_block *b, const struct rv_op *next)
{
    switch (next->code >> 1) {
    case RV_INSN_srli:
    case RV_INSN_srai: return next->rs1 == b->op->rd && fuse_shifts(b, next);
    case RV_INSN_add:
        return (next->rs1 == b->op->rd || rs2(next) == b->op->rd) && fuse_shift_add(b, next);
    default: return false;
    }
}

/* lui and addi or addiw: a constant. */
static bool fuse_lui(struct target_block *b, const struct rv_op *next)
{
    int64_t value = (int64_t)b->op->imm + next->imm;

    if (next->rs1 != b->op->rd)
        return false;
    switch (next->code >> 1) {
    case RV_INSN_addi: break;
    case RV_INSN_addiw: value = (int32_t)(uint32_t)value; break;
    default: return false;
    }
    x64_put_imm(b, next->rd, (uint64_t)value);
    return true;
}

/*
 * auipc and jalr: a jump to an address that is known, which x64_jump.c makes of the second. The
 * first is done by itself when its register is not the second's.
 */
static bool fuse_far_jump(struct target_block *b, const struct rv_op *next, int64_t offset)
{
    if (next->rd != b->op->rd) {
        x64_address(b, x64_target(b->op->rd, RAX), offset - next->imm);
        x64_put(b, b->op->rd, x64_target(b->op->rd, RAX));
    }
    b->fused_target = (int32_t)offset & -2;
    return true;
}

/* auipc and addi: an address. */
static bool fuse_auipc(struct target_block *b, const struct rv_op *next)
{
    int64_t offset = (int64_t)b->slot * 2 + b->op->imm + next->imm;
    unsigned to = x64_target(next->rd, RAX);

    if (next->rs1 != b->op->rd || offset != (int32_t)offset)
        return false;
    if (next->code >> 1 == RV_INSN_jalr)
        return fuse_far_jump(b, next, offset);
    if (next->code >> 1 != RV_INSN_addi || next->rd != b->op->rd)
        return false;
    x64_address(b, to, offset);
    x64_put(b, next->rd, to);
    return true;
}

bool x64_lower_fused(struct target_block *b)
{
    const struct rv_op *next;
    bool fused = false;

    if (b->op == b->fused) { /* it was lowered with the one before */
        b->fused = NULL;
        return true;
    }
    b->fused = NULL;
    if (b->op->rd == 0 || b->op->rd >= RV_REG_SINK || (b->dbt->without & WITHOUT_FUSION))
        return false;
    switch (b->op->code >> 1) {
    case RV_INSN_slli:
    case RV_INSN_lui:
    case RV_INSN_auipc: break;
    default: return false;
    }
    next = next_op(b);
    if (!next || (next->rd != b->op->rd && b->op->code >> 1 != RV_INSN_auipc))
        return false;
    switch (b->op->code >> 1) {
    case RV_INSN_slli: fused = fuse_slli(b, next); break;
    case RV_INSN_lui: fused = fuse_lui(b, next); break;
    default: fused = fuse_auipc(b, next); break;
    }
    if (fused)
        b->fused = next;
    return fused;
}

/* --- zero --- */

void x64_zero_set(struct target_block *b)
{
    b->zero_at = b->code.at;
    b->zero_of = b->op->rd;
}

bool x64_zero_known(const struct target_block *b, unsigned x)
{
    return b->zero_at == b->code.at && b->zero_of == x && !(b->dbt->without & WITHOUT_FUSION);
}

bool x64_zero_asked(const struct target_block *b)
{
    const struct rv_op *next = next_op(b);

    if (!next || next->rs1 != b->op->rd || next->rd != 0 || (b->dbt->without & WITHOUT_FUSION))
        return false;
    switch (next->code >> 1) {
    case OP_beq_near:
    case OP_bne_near:
    case RV_INSN_beq:
    case RV_INSN_bne: return true;
    default: return false;
    }
}

/* --- words --- */

/* Does the instruction give the same whatever the high half of x has? It only computes. */
static bool asks_low(const struct rv_op *op, unsigned x)
{
    switch (op->code >> 1) {
    case RV_INSN_slli: return op->rs1 == x && (op->imm & 63) >= 32;
    case RV_INSN_andi: return op->rs1 == x && op->imm >= 0;
    case RV_INSN_addiw:
    case RV_INSN_slliw:
    case RV_INSN_srliw:
    case RV_INSN_sraiw:
    case RV_INSN_addw:
    case RV_INSN_subw:
    case RV_INSN_mulw: return true;
    default: return false;
    }
}

/*
 * Nothing stops between the two, as in pairs. Of sums of 16 bits and of characters, for which
 * gcc emits addw and zext, this saves an instruction of the host.
 */
bool x64_is_loose(struct target_block *b)
{
    const struct rv_op *next = next_op(b);

    b->loose = next && next->rd == b->op->rd && b->op->rd != RV_REG_SINK &&
               asks_low(next, b->op->rd) && !(b->dbt->without & WITHOUT_FUSION);
    return b->loose;
}

static bool is_word(const struct target_block *b, unsigned x)
{
    return x == 0 || (x < 32 && b->words >> x & 1);
}

/* Does the instruction leave the sign extension of a word in rd? */
static bool makes_word(const struct target_block *b)
{
    const struct rv_op *op = b->op;

    switch (op->code >> 1) {
    case RV_INSN_addi: return op->rs1 == 0 || (op->imm == 0 && is_word(b, op->rs1));
    case RV_INSN_andi: return op->imm >= 0 || is_word(b, op->rs1);
    case RV_INSN_ori:
    case RV_INSN_xori:
    case RV_INSN_srai: return is_word(b, op->rs1);
    case RV_INSN_srli: return (op->imm & 63) > 32;
    case RV_INSN_and:
    case RV_INSN_or:
    case RV_INSN_xor: return is_word(b, op->rs1) && is_word(b, rs2(op));
    case RV_INSN_slt:
    case RV_INSN_sltu:
    case RV_INSN_slti:
    case RV_INSN_sltiu:
    case RV_INSN_lui:
    case RV_INSN_lb:
    case RV_INSN_lbu:
    case RV_INSN_lh:
    case RV_INSN_lhu:
    case RV_INSN_lw:
    case RV_INSN_addiw:
    case RV_INSN_slliw:
    case RV_INSN_srliw:
    case RV_INSN_sraiw:
    case RV_INSN_addw:
    case RV_INSN_subw:
    case RV_INSN_sllw:
    case RV_INSN_srlw:
    case RV_INSN_sraw:
    case RV_INSN_mulw:
    case RV_INSN_divw:
    case RV_INSN_divuw:
    case RV_INSN_remw:
    case RV_INSN_remuw: return true;
    default: return false;
    }
}

/*
 * What is said of rd of instructions that have none, such as stores, is wrong only by being too
 * little. A pair is known by its second instruction. amocas.q writes the register behind, too.
 */
void x64_words(struct target_block *b)
{
    uint32_t bit = b->op->rd < 32 ? 1u << b->op->rd : 0;

    if (b->op->code >> 1 == RV_INSN_amocas_q)
        bit |= bit << 1;
    b->words = makes_word(b) && !b->loose ? b->words | bit : b->words & ~bit;
    b->loose = false;
}

bool x64_is_word(const struct target_block *b, unsigned x)
{
    return !(b->dbt->without & WITHOUT_FUSION) && is_word(b, x);
}
