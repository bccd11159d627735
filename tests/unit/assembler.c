/* assembler.c: words of guest code for tests. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/assembler.h"

uint32_t as_match(enum rv_insn_id id)
{
    static const uint32_t match[RV_INSNS] = {
#define INSN(name, format, mask, match) [RV_INSN_##name] = match,
#include "vmm/engine/riscv/insn.def"
#undef INSN
    };

    return match[id];
}

uint32_t as_r(enum rv_insn_id id, unsigned rd, unsigned rs1, unsigned rs2)
{
    return as_match(id) | rd << 7 | rs1 << 15 | rs2 << 20;
}

uint32_t as_i(enum rv_insn_id id, unsigned rd, unsigned rs1, int imm)
{
    return as_match(id) | rd << 7 | rs1 << 15 | (uint32_t)imm << 20;
}

uint32_t as_s(enum rv_insn_id id, unsigned rs2, unsigned rs1, int imm)
{
    uint32_t v = (uint32_t)imm;

    return as_match(id) | rs1 << 15 | rs2 << 20 | (v & 31) << 7 | (v >> 5 & 127) << 25;
}

uint32_t as_b(enum rv_insn_id id, unsigned rs1, unsigned rs2, int offset)
{
    uint32_t v = (uint32_t)offset;

    return as_match(id) | rs1 << 15 | rs2 << 20 | (v >> 11 & 1) << 7 | (v >> 1 & 15) << 8 |
           (v >> 5 & 63) << 25 | (v >> 12 & 1) << 31;
}

uint32_t as_u(enum rv_insn_id id, unsigned rd, uint32_t upper)
{
    return as_match(id) | rd << 7 | upper << 12;
}

uint32_t as_j(enum rv_insn_id id, unsigned rd, int offset)
{
    uint32_t v = (uint32_t)offset;

    return as_match(id) | rd << 7 | (v >> 12 & 255) << 12 | (v >> 11 & 1) << 20 |
           (v >> 1 & 1023) << 21 | (v >> 20 & 1) << 31;
}
