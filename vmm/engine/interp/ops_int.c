/* ops_int.c: integer instructions and jumps of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#define RD  h->x[op->rd]
#define RS1 h->x[op->rs1]
#define RS2 h->x[op->imm]
#define RSB h->x[op->rd] /* the second source of stores and branches */

/* An instruction that computes a value. */
#define OP_VALUE(name, expression)                                                             \
    OP(name)                                                                                   \
    {                                                                                          \
        RD = (uint64_t)(expression);                                                           \
        NEXT();                                                                                \
    }

#define SEXT32(v) ((int64_t)(int32_t)(v))
#define S64(v)    ((int64_t)(v))
#define U32(v)    ((uint32_t)(v))

OP_VALUE(addi, RS1 + (uint64_t)(int64_t)op->imm)
OP_VALUE(slti, S64(RS1) < op->imm)
OP_VALUE(sltiu, RS1 < (uint64_t)(int64_t)op->imm)
OP_VALUE(xori, RS1 ^ (uint64_t)(int64_t)op->imm)
OP_VALUE(ori, RS1 | (uint64_t)(int64_t)op->imm)
OP_VALUE(andi, RS1 &(uint64_t)(int64_t)op->imm)
OP_VALUE(slli, RS1 << (op->imm & 63))
OP_VALUE(srli, RS1 >> (op->imm & 63))
OP_VALUE(srai, S64(RS1) >> (op->imm & 63))
OP_VALUE(addiw, SEXT32(U32(RS1) + U32(op->imm)))
OP_VALUE(slliw, SEXT32(U32(RS1) << (op->imm & 31)))
OP_VALUE(srliw, SEXT32(U32(RS1) >> (op->imm & 31)))
OP_VALUE(sraiw, SEXT32((int32_t)U32(RS1) >> (op->imm & 31)))
OP_VALUE(lui, (int64_t)op->imm)
OP_VALUE(auipc, op_pc(op, pcd) + (uint64_t)(int64_t)op->imm)

OP_VALUE(add, RS1 + RS2)
OP_VALUE(sub, RS1 - RS2)
OP_VALUE(sll, RS1 << (RS2 & 63))
OP_VALUE(slt, S64(RS1) < S64(RS2))
OP_VALUE(sltu, RS1 < RS2)
OP_VALUE(xor, RS1 ^ RS2)
OP_VALUE(srl, RS1 >> (RS2 & 63))
OP_VALUE(sra, S64(RS1) >> (RS2 & 63))
OP_VALUE(or, RS1 | RS2)
OP_VALUE(and, RS1 &RS2)
OP_VALUE(addw, SEXT32(U32(RS1) + U32(RS2)))
OP_VALUE(subw, SEXT32(U32(RS1) - U32(RS2)))
OP_VALUE(sllw, SEXT32(U32(RS1) << (RS2 & 31)))
OP_VALUE(srlw, SEXT32(U32(RS1) >> (RS2 & 31)))
OP_VALUE(sraw, SEXT32((int32_t)U32(RS1) >> (RS2 & 31)))

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

/* Division by zero and overflow have results, not traps (unprivileged specification, chapter
 * "M"). */
INLINE uint64_t div_signed(int64_t a, int64_t b)
{
    if (b == 0)
        return UINT64_MAX;
    return b == -1 ? 0 - (uint64_t)a : (uint64_t)(a / b);
}

INLINE uint64_t rem_signed(int64_t a, int64_t b)
{
    if (b == 0)
        return (uint64_t)a;
    return b == -1 ? 0 : (uint64_t)(a % b);
}

INLINE int64_t divw_signed(int32_t a, int32_t b)
{
    if (b == 0)
        return -1;
    return b == -1 ? SEXT32(0 - U32(a)) : a / b;
}

INLINE int64_t remw_signed(int32_t a, int32_t b)
{
    if (b == 0)
        return a;
    return b == -1 ? 0 : a % b;
}

OP_VALUE(mul, RS1 *RS2)
OP_VALUE(mulh, (uwide)((wide)S64(RS1) * S64(RS2)) >> 64)
OP_VALUE(mulhsu, (uwide)((wide)S64(RS1) * (wide)RS2) >> 64)
OP_VALUE(mulhu, (uwide)RS1 *RS2 >> 64)
OP_VALUE(div, div_signed(S64(RS1), S64(RS2)))
OP_VALUE(divu, RS2 ? RS1 / RS2 : UINT64_MAX)
OP_VALUE(rem, rem_signed(S64(RS1), S64(RS2)))
OP_VALUE(remu, RS2 ? RS1 % RS2 : RS1)
OP_VALUE(mulw, SEXT32(U32(RS1) * U32(RS2)))
OP_VALUE(divw, divw_signed((int32_t)RS1, (int32_t)RS2))
OP_VALUE(divuw, U32(RS2) ? SEXT32(U32(RS1) / U32(RS2)) : -1)
OP_VALUE(remw, remw_signed((int32_t)RS1, (int32_t)RS2))
OP_VALUE(remuw, U32(RS2) ? SEXT32(U32(RS1) % U32(RS2)) : SEXT32(RS1))

/* Within the page: to the op at a known distance. */
#define JUMP_NEAR()                                                                            \
    do {                                                                                       \
        op = (const struct rv_op *)(const void *)((const char *)op + op->imm);                 \
        if (UNLIKELY(left <= 0)) {                                                             \
            interp_pause(OP_ARGS);                                                             \
            return;                                                                            \
        }                                                                                      \
        DISPATCH(op);                                                                          \
    } while (0)

/* Anywhere: by the table of decoded pages, whose miss is the slow way. */
#define JUMP(target)                                                                           \
    do {                                                                                       \
        uint64_t t_ = (target);                                                                \
        const struct rv_fetch_entry *e_ = &h->fetch->entry[(t_ >> 12) % RV_TLB_ENTRIES];       \
        if (UNLIKELY(e_->tag != (t_ & RV_PAGE_MASK) || left <= 0)) {                           \
            h->pc = t_;                                                                        \
            interp_goto(OP_ARGS);                                                              \
            return;                                                                            \
        }                                                                                      \
        op = &e_->page->op[(t_ & ~RV_PAGE_MASK) / 2];                                          \
        pcd = t_ - ((uintptr_t)op >> 2);                                                       \
        DISPATCH(op);                                                                          \
    } while (0)

#define OP_BRANCH(name, condition)                                                             \
    OP(name##_near)                                                                            \
    {                                                                                          \
        if (condition)                                                                         \
            JUMP_NEAR();                                                                       \
        NEXT();                                                                                \
    }                                                                                          \
    OP(name)                                                                                   \
    {                                                                                          \
        if (condition)                                                                         \
            JUMP(op_pc(op, pcd) + (uint64_t)(int64_t)op->imm);                                 \
        NEXT();                                                                                \
    }

OP_BRANCH(beq, RS1 == RSB)
OP_BRANCH(bne, RS1 != RSB)
OP_BRANCH(blt, S64(RS1) < S64(RSB))
OP_BRANCH(bge, S64(RS1) >= S64(RSB))
OP_BRANCH(bltu, RS1 < RSB)
OP_BRANCH(bgeu, RS1 >= RSB)

OP(jal_near)
{
    RD = op_pc(op, pcd) + length;
    JUMP_NEAR();
}

OP(jal)
{
    uint64_t pc = op_pc(op, pcd);

    RD = pc + length;
    JUMP(pc + (uint64_t)(int64_t)op->imm);
}

OP(jalr)
{
    uint64_t target = (RS1 + (uint64_t)(int64_t)op->imm) & ~1ull;

    RD = op_pc(op, pcd) + length;
    JUMP(target);
}

OP(ILLEGAL)
{
    interp_illegal(OP_ARGS);
}

OP(undecoded)
{
    code_decode(op);
    DISPATCH_SAME(op);
}

/* Not an instruction: the step taken for it is given back. */
OP(page_end)
{
    uint64_t pc = op_pc(op, pcd);

    left++;
    JUMP(pc);
}
