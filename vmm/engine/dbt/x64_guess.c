/* x64_guess.c: loads on the way from one address to the next guess where their page lies. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

/*
 * Through a list. The addend of a TLB entry waits for the address, and the access for the
 * addend: twelve cycles an element, for rorx, and, the addend and the load. What the same
 * instruction found the last time (rv_hart.guess) waits for nothing, and leaves the load alone
 * on the way: five. The look goes on beside it: the tag is compared as ever, and then the
 * entry's addend with the guess, both before the access. So a guess decides nothing but how
 * soon the address is there.
 *
 * It costs two instructions, and some 20 cycles when it is wrong, as lists over pages scattered
 * in memory make it. So only loads guess that wait for themselves, round a loop, and a place
 * that has been wrong too often guesses no more for a while. When all loads guessed whose value
 * makes an address soon, fork took 12 % longer (make bench BENCH=ratios).
 */

/* Instructions round the loop, at most. */
#define GUESS_AHEAD 16u

static bool is_of(uint32_t set, unsigned x)
{
    return x < 32 && set >> x & 1;
}

/* The registers that hold one of those in the set, or what was made of them or found there. */
static uint32_t carry(uint32_t set, const struct rv_op *op)
{
    struct x64_access access;
    bool made = false;

    if (x64_access(op->code >> 1, &access)) {
        if (access.store)
            return set;
        made = is_of(set, op->rs1);
    }
    if (x64_is_branch(op)) /* it writes none */
        return set;
    switch (op->code >> 1) {
    case RV_INSN_add:
    case RV_INSN_sub:
    case RV_INSN_and:
    case RV_INSN_or:
    case RV_INSN_xor:
    case RV_INSN_sh1add:
    case RV_INSN_sh2add:
    case RV_INSN_sh3add:
    case RV_INSN_add_uw: made = is_of(set, op->rs1) || is_of(set, (unsigned)op->imm); break;
    case RV_INSN_addi:
    case RV_INSN_andi:
    case RV_INSN_ori:
    case RV_INSN_slli:
    case RV_INSN_srli:
    case RV_INSN_addw:
    case RV_INSN_addiw: made = is_of(set, op->rs1); break;
    default: break;
    }
    if (op->rd >= 32)
        return set;
    return made ? set | 1u << op->rd : set & ~(1u << op->rd);
}

static const struct rv_op *target_of(const struct rv_op *op)
{
    return op + op->imm / (int32_t)sizeof(*op);
}

static bool is_back(const struct rv_op *op)
{
    return x64_is_branch(op) && op->imm < 0;
}

/* What comes next in this page, when a branch backward is taken or not. Or NULL. */
static const struct rv_op *follow(const struct target_block *b, const struct rv_op *op,
                                  bool taken)
{
    const struct rv_op *next = op + op_length(op) / 2;

    switch (op->code >> 1) {
    case OP_jal_near: next = op->rd == RV_REG_SINK ? target_of(op) : NULL; break;
    case RV_INSN_beq: /* to another page, from where nothing comes back soon */
    case RV_INSN_bne:
    case RV_INSN_blt:
    case RV_INSN_bge:
    case RV_INSN_bltu:
    case RV_INSN_bgeu:
    case RV_INSN_jal:
    case RV_INSN_jalr: next = NULL; break;
    default: next = taken && is_back(op) ? target_of(op) : next; break;
    }
    return next && next < &b->page->op[PAGE_SLOTS] ? next : NULL;
}

/*
 * Does the load wait for itself, round a loop? Branches backward are taken, but for the one of
 * that number.
 */
static bool waits(const struct target_block *b, const struct rv_op *load, unsigned leaves)
{
    uint32_t set = 1u << load->rd;
    const struct rv_op *op = load;
    unsigned back = 0;

    for (unsigned n = 0; n < GUESS_AHEAD && set; n++) {
        back += is_back(op);
        op = follow(b, op, back != leaves);
        if (!op || op->code >> 1 == OP_undecoded) /* no loop that runs */
            return false;
        if (op == load)
            return is_of(set, op->rs1);
        set = carry(set, op);
    }
    return false;
}

/* A branch backward closes the loop, most likely; one may lead out, as what ends a search. */
bool x64_guesses(const struct target_block *b, const struct rv_op *load)
{
    if (load->rd >= 32 || b->behind || (b->dbt->without & WITHOUT_GUESSES))
        return false;
    for (unsigned leaves = 0; leaves <= 2; leaves++)
        if (waits(b, load, leaves))
            return true;
    return false;
}

static struct x64_mem guess_at(unsigned n, size_t member)
{
    return HART_AT(guess, n * sizeof(struct rv_guess) + member);
}

void x64_guess(struct target_block *b, enum x64_op op, unsigned reg, struct x64_mem at)
{
    unsigned guess = b->dbt->guesses = (b->dbt->guesses + 1) % RV_GUESSES;
    struct x64_mem guessed = at;
    struct x64_code *c = &b->code;
    struct cold *cold;

    guessed.index = RCX;
    x64_rm(c, X64_MOV, RCX, guess_at(guess, offsetof(struct rv_guess, addend)));
    x64_rr(c, X64_CMP, RCX, RDX);
    cold = x64_cold(b, COLD_GUESS, x64_jcc(c, CC_NE, NULL));
    x64_rm(c, op, reg, guessed);
    cold->guess = guess;
    cold->access = op;
    cold->reg = reg;
    cold->at = at;
    cold->back = c->at;
}

/*
 * The access with what is true, which the next guess will be, unless it has been wrong too
 * often: then it is one that always is, which costs the jumps here and back.
 */
void x64_guess_wrong(struct target_block *b, const struct cold *cold)
{
    struct x64_mem addend = guess_at(cold->guess, offsetof(struct rv_guess, addend));
    struct x64_mem left = guess_at(cold->guess, offsetof(struct rv_guess, left));
    struct x64_code *c = &b->code;
    uint8_t *tired, *last;

    x64_land(b, cold->site);
    x64_mi(c, ALU_CMP, true, left, 0);
    tired = x64_jcc(c, CC_E, NULL);
    x64_rm(c, X64_STORE, RDX, addend);
    x64_mi(c, ALU_SUB, true, left, 1);
    last = x64_jcc(c, CC_NE, NULL);
    x64_store_imm(c, true, addend, RV_GUESS_NONE);
    x64_land(b, last);
    x64_land(b, tired);
    x64_rm(c, cold->access, cold->reg, cold->at);
    x64_jmp(c, cold->back);
}
