/* decode.c: instruction words to instructions and operands. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/decode.h"

enum format {
    F_NONE,
    F_R,
    F_I,
    F_FLOAD,
    F_SHIFT,
    F_S,
    F_B,
    F_U,
    F_J,
    F_CSR,
    F_FP,
    F_FPX,
    F_R4,
    F_FENCE
};

struct row {
    uint32_t mask, match;
    uint16_t id;
    uint8_t format;
};

static const struct row rows[] = {
#define INSN(name, format, mask, match) {mask, match, RV_INSN_##name, F_##format},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};
#define ROWS_END (rows + sizeof(rows) / sizeof(rows[0]))

/* Where in rows those of a major opcode begin: each MAJOR takes the number of the next row. */
enum {
#define INSN(name, format, mask, match) ROW_##name,
#define MAJOR(opcode)                   FIRST_##opcode, BEFORE_##opcode = FIRST_##opcode - 1,
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

/* By bits 6:2. An opcode without rows gets the first row, which belongs to another one. */
static const uint16_t first_row[32] = {
#define INSN(name, format, mask, match)
#define MAJOR(opcode) [(opcode) >> 2] = FIRST_##opcode,
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

static uint32_t bits(uint32_t word, unsigned high, unsigned low)
{
    return word >> low & ((1u << (high - low + 1)) - 1);
}

/* Bits [high:low] of word, moved to start at bit `to`. */
static uint32_t move(uint32_t word, unsigned high, unsigned low, unsigned to)
{
    return bits(word, high, low) << to;
}

static int32_t sign_extend(uint32_t value, unsigned width)
{
    return (int32_t)(value << (32 - width)) >> (32 - width);
}

static uint8_t rd_of(uint32_t word)
{
    uint32_t rd = bits(word, 11, 7);

    return (uint8_t)(rd ? rd : RV_REG_SINK);
}

static struct rv_insn operands(const struct row *row, uint32_t w)
{
    struct rv_insn in = {.id = row->id, .rd = rd_of(w), .rs1 = (uint8_t)bits(w, 19, 15)};

    switch ((enum format)row->format) {
    case F_NONE: break;
    case F_R: in.imm = (int32_t)bits(w, 24, 20); break;
    case F_FLOAD: in.rd = (uint8_t)bits(w, 11, 7); __attribute__((fallthrough));
    case F_I: in.imm = (int32_t)w >> 20; break;
    case F_FENCE: in.imm = (int32_t)bits(w, 31, 20); break;
    case F_SHIFT: in.imm = (int32_t)bits(w, 25, 20); break;
    case F_S:
        in.rd = (uint8_t)bits(w, 24, 20);
        in.imm = sign_extend(move(w, 31, 25, 5) | bits(w, 11, 7), 12);
        break;
    case F_B:
        in.rd = (uint8_t)bits(w, 24, 20);
        in.imm = sign_extend(move(w, 31, 31, 12) | move(w, 7, 7, 11) | move(w, 30, 25, 5) |
                                 move(w, 11, 8, 1),
                             13);
        break;
    case F_U: in.imm = (int32_t)(w & 0xfffff000); break;
    case F_J:
        in.imm = sign_extend(move(w, 31, 31, 20) | move(w, 19, 12, 12) | move(w, 20, 20, 11) |
                                 move(w, 30, 21, 1),
                             21);
        break;
    case F_CSR: in.imm = (int32_t)bits(w, 31, 20); break;
    case F_FP:
    case F_R4: in.rd = (uint8_t)bits(w, 11, 7); __attribute__((fallthrough));
    case F_FPX:
        in.imm = (int32_t)(bits(w, 24, 20) | move(w, 31, 27, 8) | move(w, 14, 12, 16));
        break;
    }
    return in;
}

struct rv_insn rv_decode(uint32_t word)
{
    uint32_t opcode = word & 0x7f;
    const struct row *r = &rows[first_row[opcode >> 2]];

    for (; r < ROWS_END && (r->match & 0x7f) == opcode; r++)
        if ((word & r->mask) == r->match)
            return operands(r, word);
    return (struct rv_insn){.id = RV_INSN_ILLEGAL, .rd = RV_REG_SINK, .imm = (int32_t)word};
}

/* Encoders of the formats that compressed instructions expand to. */
static uint32_t enc_r(uint32_t match, uint32_t rd, uint32_t rs1, uint32_t rs2)
{
    return match | rd << 7 | rs1 << 15 | rs2 << 20;
}

static uint32_t enc_i(uint32_t match, uint32_t rd, uint32_t rs1, uint32_t imm)
{
    return match | rd << 7 | rs1 << 15 | imm << 20;
}

static uint32_t enc_s(uint32_t match, uint32_t rs1, uint32_t rs2, uint32_t imm)
{
    return match | rs1 << 15 | rs2 << 20 | move(imm, 4, 0, 7) | move(imm, 11, 5, 25);
}

static uint32_t enc_b(uint32_t match, uint32_t rs1, uint32_t imm)
{
    return match | rs1 << 15 | move(imm, 11, 11, 7) | move(imm, 4, 1, 8) |
           move(imm, 10, 5, 25) | move(imm, 12, 12, 31);
}

static uint32_t enc_j(uint32_t rd, uint32_t imm)
{
    return 0x6f | rd << 7 | move(imm, 19, 12, 12) | move(imm, 11, 11, 20) |
           move(imm, 10, 1, 21) | move(imm, 20, 20, 31);
}

/* Matches used below. */
enum {
    M_LBU = 0x4003,
    M_LH = 0x1003,
    M_LHU = 0x5003,
    M_SB = 0x0023,
    M_SH = 0x1023,
    M_XORI = 0x4013,
    M_SEXT_B = 0x60401013,
    M_SEXT_H = 0x60501013,
    M_ZEXT_H = 0x0800403b,
    M_ADD_UW = 0x0800003b,
    M_MUL = 0x02000033,
    M_LW = 0x2003,
    M_LD = 0x3003,
    M_FLD = 0x3007,
    M_SW = 0x2023,
    M_SD = 0x3023,
    M_FSD = 0x3027,
    M_ADDI = 0x13,
    M_ADDIW = 0x1b,
    M_ANDI = 0x7013,
    M_SLLI = 0x1013,
    M_SRLI = 0x5013,
    M_SRAI = 0x40005013,
    M_LUI = 0x37,
    M_ADD = 0x33,
    M_SUB = 0x40000033,
    M_XOR = 0x4033,
    M_OR = 0x6033,
    M_AND = 0x7033,
    M_ADDW = 0x3b,
    M_SUBW = 0x4000003b,
    M_JALR = 0x67,
    M_BEQ = 0x63,
    M_BNE = 0x1063,
    M_EBREAK = 0x00100073,
};

/* Immediates, named as in the unprivileged specification's chapter "C" (CL/CS, CI, CB, CJ ...).
 */
static uint32_t imm_ci(uint32_t w)
{
    return (uint32_t)sign_extend(move(w, 12, 12, 5) | bits(w, 6, 2), 6) & 0xfff;
}

static uint32_t imm_cl_w(uint32_t w)
{
    return move(w, 5, 5, 6) | move(w, 12, 10, 3) | move(w, 6, 6, 2);
}

static uint32_t imm_cl_d(uint32_t w)
{
    return move(w, 6, 5, 6) | move(w, 12, 10, 3);
}

static uint32_t imm_cj(uint32_t w)
{
    return (uint32_t)sign_extend(move(w, 12, 12, 11) | move(w, 8, 8, 10) | move(w, 10, 9, 8) |
                                     move(w, 6, 6, 7) | move(w, 7, 7, 6) | move(w, 2, 2, 5) |
                                     move(w, 11, 11, 4) | move(w, 5, 3, 1),
                                 12);
}

static uint32_t imm_cb(uint32_t w)
{
    return (uint32_t)sign_extend(move(w, 12, 12, 8) | move(w, 6, 5, 6) | move(w, 2, 2, 5) |
                                     move(w, 11, 10, 3) | move(w, 4, 3, 1),
                                 9);
}

/* Zcb: loads and stores of bytes and halfwords. */
static uint32_t expand_small_access(uint32_t w)
{
    uint32_t rd = bits(w, 4, 2) + 8;
    uint32_t rs1 = bits(w, 9, 7) + 8;
    uint32_t half = move(w, 5, 5, 1);
    uint32_t byte = half | bits(w, 6, 6);

    switch (bits(w, 12, 10)) {
    case 0: return enc_i(M_LBU, rd, rs1, byte);
    case 1: return enc_i(bits(w, 6, 6) ? M_LH : M_LHU, rd, rs1, half);
    case 2: return enc_s(M_SB, rs1, rd, byte);
    case 3: return bits(w, 6, 6) ? 0 : enc_s(M_SH, rs1, rd, half);
    default: return 0;
    }
}

static uint32_t expand_quadrant0(uint32_t w)
{
    uint32_t rd = bits(w, 4, 2) + 8;
    uint32_t rs1 = bits(w, 9, 7) + 8;
    uint32_t imm;

    switch (bits(w, 15, 13)) {
    case 0: /* c.addi4spn */
        imm = move(w, 12, 11, 4) | move(w, 10, 7, 6) | move(w, 6, 6, 2) | move(w, 5, 5, 3);
        return imm ? enc_i(M_ADDI, rd, 2, imm) : 0;
    case 1: return enc_i(M_FLD, rd, rs1, imm_cl_d(w));
    case 2: return enc_i(M_LW, rd, rs1, imm_cl_w(w));
    case 3: return enc_i(M_LD, rd, rs1, imm_cl_d(w));
    case 4: return expand_small_access(w);
    case 5: return enc_s(M_FSD, rs1, rd, imm_cl_d(w));
    case 6: return enc_s(M_SW, rs1, rd, imm_cl_w(w));
    case 7: return enc_s(M_SD, rs1, rd, imm_cl_d(w));
    default: return 0;
    }
}

/* Zcb: what has one register. */
static uint32_t expand_unary(uint32_t w)
{
    uint32_t rd = bits(w, 9, 7) + 8;

    switch (bits(w, 4, 2)) {
    case 0: return enc_i(M_ANDI, rd, rd, 0xff); /* c.zext.b */
    case 1: return enc_i(M_SEXT_B, rd, rd, 0);
    case 2: return enc_i(M_ZEXT_H, rd, rd, 0);
    case 3: return enc_i(M_SEXT_H, rd, rd, 0);
    case 4: return enc_r(M_ADD_UW, rd, rd, 0);   /* c.zext.w */
    case 5: return enc_i(M_XORI, rd, rd, 0xfff); /* c.not */
    default: return 0;
    }
}

static uint32_t expand_arithmetic(uint32_t w)
{
    static const uint32_t word_ops[7] = {M_SUB, M_XOR, M_OR, M_AND, M_SUBW, M_ADDW, M_MUL};
    uint32_t rd = bits(w, 9, 7) + 8;
    uint32_t shift = move(w, 12, 12, 5) | bits(w, 6, 2);
    uint32_t op = move(w, 12, 12, 2) | bits(w, 6, 5);

    switch (bits(w, 11, 10)) {
    case 0: return enc_i(M_SRLI, rd, rd, shift);
    case 1: return enc_i(M_SRAI, rd, rd, shift);
    case 2: return enc_i(M_ANDI, rd, rd, imm_ci(w));
    default: return op == 7 ? expand_unary(w) : enc_r(word_ops[op], rd, rd, bits(w, 4, 2) + 8);
    }
}

static uint32_t expand_quadrant1(uint32_t w)
{
    uint32_t rd = bits(w, 11, 7);
    uint32_t imm;

    switch (bits(w, 15, 13)) {
    case 0: return enc_i(M_ADDI, rd, rd, imm_ci(w));
    case 1: return rd ? enc_i(M_ADDIW, rd, rd, imm_ci(w)) : 0;
    case 2: return enc_i(M_ADDI, rd, 0, imm_ci(w)); /* c.li */
    case 3:
        if (rd == 2) { /* c.addi16sp */
            imm =
                (uint32_t)sign_extend(move(w, 12, 12, 9) | move(w, 4, 3, 7) | move(w, 5, 5, 6) |
                                          move(w, 2, 2, 5) | move(w, 6, 6, 4),
                                      10);
            return imm ? enc_i(M_ADDI, 2, 2, imm & 0xfff) : 0;
        }
        imm = (uint32_t)sign_extend(move(w, 12, 12, 17) | move(w, 6, 2, 12), 18);
        if (imm == 0 && (rd & 0x11) == 1) /* c.mop.n (Zcmop): nothing happens */
            return M_ADDI;
        return imm ? M_LUI | rd << 7 | (imm & 0xfffff000) : 0;
    case 4: return expand_arithmetic(w);
    case 5: return enc_j(0, imm_cj(w));
    case 6: return enc_b(M_BEQ, bits(w, 9, 7) + 8, imm_cb(w));
    default: return enc_b(M_BNE, bits(w, 9, 7) + 8, imm_cb(w));
    }
}

/* c.jr, c.mv, c.ebreak, c.jalr, c.add. */
static uint32_t expand_jump_move(uint32_t w)
{
    uint32_t rd = bits(w, 11, 7);
    uint32_t rs2 = bits(w, 6, 2);

    if (!bits(w, 12, 12)) {
        if (rs2)
            return enc_r(M_ADD, rd, 0, rs2);
        return rd ? enc_i(M_JALR, 0, rd, 0) : 0;
    }
    if (rs2)
        return enc_r(M_ADD, rd, rd, rs2);
    return rd ? enc_i(M_JALR, 1, rd, 0) : M_EBREAK;
}

static uint32_t expand_quadrant2(uint32_t w)
{
    uint32_t rd = bits(w, 11, 7);
    uint32_t rs2 = bits(w, 6, 2);
    uint32_t load_w = move(w, 3, 2, 6) | move(w, 12, 12, 5) | move(w, 6, 4, 2);
    uint32_t load_d = move(w, 4, 2, 6) | move(w, 12, 12, 5) | move(w, 6, 5, 3);
    uint32_t store_w = move(w, 8, 7, 6) | move(w, 12, 9, 2);
    uint32_t store_d = move(w, 9, 7, 6) | move(w, 12, 10, 3);

    switch (bits(w, 15, 13)) {
    case 0: return enc_i(M_SLLI, rd, rd, move(w, 12, 12, 5) | rs2);
    case 1: return enc_i(M_FLD, rd, 2, load_d);
    case 2: return rd ? enc_i(M_LW, rd, 2, load_w) : 0;
    case 3: return rd ? enc_i(M_LD, rd, 2, load_d) : 0;
    case 4: return expand_jump_move(w);
    case 5: return enc_s(M_FSD, 2, rs2, store_d);
    case 6: return enc_s(M_SW, 2, rs2, store_w);
    default: return enc_s(M_SD, 2, rs2, store_d);
    }
}

uint32_t rv_expand(uint16_t word)
{
    switch (word & 3) {
    case 0: return expand_quadrant0(word);
    case 1: return expand_quadrant1(word);
    case 2: return expand_quadrant2(word);
    default: return 0;
    }
}
