/* decode.h: instruction words to instructions and operands. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_RISCV_DECODE_H
#define VMM_ENGINE_RISCV_DECODE_H

#include <stdint.h>

enum rv_insn_id {
    RV_INSN_ILLEGAL,
#define INSN(name, format, mask, match) RV_INSN_##name,
#include "vmm/engine/riscv/insn.def"
#undef INSN
    RV_INSNS,
};

#define RV_REG_SINK 32 /* stands for rd = x0: writable, never read */

/*
 * A decoded instruction. Fields by format:
 *   R            rd rs1, imm = rs2 (bits 4:0)
 *   I FLOAD      rd rs1 imm (FLOAD: rd is an f register)
 *   SHIFT        rd rs1, imm = amount
 *   S B          rs1, rd = rs2, imm
 *   U J          rd imm
 *   CSR          rd rs1 (register number or 5-bit immediate), imm = CSR
 *   FP FPX R4    rd rs1, imm = rs2 | rs3 << 8 | rm << 16 (FPX: rd is an x register)
 *   ILLEGAL      imm = the word
 * rd of x registers is RV_REG_SINK instead of 0.
 */
struct rv_insn {
    uint16_t id; /* enum rv_insn_id */
    uint8_t rd;
    uint8_t rs1;
    int32_t imm;
};

/* Length in bytes of the instruction that starts with this halfword: 2 or 4. */
static inline unsigned rv_insn_length(uint16_t low)
{
    return (low & 3) == 3 ? 4 : 2;
}

/* Decodes a 32-bit word. Unknown words become ILLEGAL. */
struct rv_insn rv_decode(uint32_t word);

/* The 32-bit equivalent of a compressed instruction; 0, which is illegal, when it is reserved.
 */
uint32_t rv_expand(uint16_t word);

#endif
