/* x64.c: machine code of x86-64: registers, operands and one function for each shape. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64.h"

#include <string.h>

struct form {
    uint16_t flags;
    uint8_t opcode;
};

static const struct form forms[X64_OPS] = {
#define X64_OP(name, mnemonic, width, operands, flags, opcode) {flags, opcode},
#include "vmm/engine/dbt/x64.def"
#undef X64_OP
};

void x64_byte(struct x64_code *c, unsigned byte)
{
    if (c->at < c->end)
        *c->at++ = (uint8_t)byte;
    else
        c->full = true;
}

static void put32(struct x64_code *c, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        x64_byte(c, value >> 8 * i & 0xff);
}

static void put64(struct x64_code *c, uint64_t value)
{
    put32(c, (uint32_t)value);
    put32(c, (uint32_t)(value >> 32));
}

/* The fourth bits of the registers: reg, index, base (or r/m). */
static unsigned high_bits(unsigned reg, unsigned index, unsigned base)
{
    return (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
}

/* What stands before the opcode; `byte_reg`: spl to dil need a REX prefix to be named. */
static void prefixes(struct x64_code *c, unsigned flags, unsigned high, bool byte_reg)
{
    unsigned rex = high | (flags & X64_W ? 8 : 0);

    if (flags & X64_LOCK)
        x64_byte(c, 0xf0);
    if (flags & X64_66)
        x64_byte(c, 0x66);
    if (flags & X64_F2)
        x64_byte(c, 0xf2);
    if (flags & X64_F3)
        x64_byte(c, 0xf3);
    if (rex || byte_reg)
        x64_byte(c, 0x40 | rex);
    if (flags & (X64_0F | X64_0F38 | X64_0F3A))
        x64_byte(c, 0x0f);
    if (flags & X64_0F38)
        x64_byte(c, 0x38);
    if (flags & X64_0F3A)
        x64_byte(c, 0x3a);
}

/* The three-byte VEX prefix (volume 2, section 2.3.5); its register fields are inverted. */
static void vex(struct x64_code *c, unsigned flags, unsigned high, unsigned vvvv)
{
    unsigned map = flags & X64_0F3A ? 3 : flags & X64_0F38 ? 2 : 1;
    unsigned pp = flags & X64_F2 ? 3 : flags & X64_F3 ? 2 : flags & X64_66 ? 1 : 0;

    x64_byte(c, 0xc4);
    x64_byte(c, (~high & 7) << 5 | map);
    x64_byte(c, (flags & X64_W ? 0x80 : 0) | (~vvvv & 15) << 3 | pp);
}

static void modrm_reg(struct x64_code *c, unsigned reg, unsigned rm)
{
    x64_byte(c, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

static bool fits_byte(int64_t value)
{
    return value == (int8_t)value;
}

/* ModRM, SIB and displacement. rsp and r12 as base need a SIB, rbp and r13 a displacement. */
static void modrm_mem(struct x64_code *c, unsigned reg, struct x64_mem mem)
{
    bool sib = mem.index != RSP || (mem.base & 7) == RSP;
    unsigned mod = 2;

    if (mem.disp == 0 && (mem.base & 7) != RBP)
        mod = 0;
    else if (fits_byte(mem.disp))
        mod = 1;
    x64_byte(c, mod << 6 | (reg & 7) << 3 | (sib ? 4 : mem.base & 7u));
    if (sib)
        x64_byte(c, (unsigned)mem.scale << 6 | (mem.index & 7u) << 3 | (mem.base & 7u));
    if (mod == 1)
        x64_byte(c, (uint8_t)mem.disp);
    else if (mod == 2)
        put32(c, (uint32_t)mem.disp);
}

/* spl, bpl, sil and dil. */
static bool new_byte_reg(unsigned reg)
{
    return reg >= RSP && reg <= RDI;
}

void x64_rr(struct x64_code *c, enum x64_op op, unsigned reg, unsigned rm)
{
    const struct form *f = &forms[op];
    bool byte_reg = (f->flags & X64_BYTE) && (new_byte_reg(reg) || new_byte_reg(rm));

    prefixes(c, f->flags, high_bits(reg, 0, rm), byte_reg);
    x64_byte(c, f->opcode);
    modrm_reg(c, reg, rm);
}

void x64_rm(struct x64_code *c, enum x64_op op, unsigned reg, struct x64_mem mem)
{
    const struct form *f = &forms[op];

    prefixes(c, f->flags, high_bits(reg, mem.index, mem.base),
             (f->flags & X64_BYTE) && new_byte_reg(reg));
    x64_byte(c, f->opcode);
    modrm_mem(c, reg, mem);
}

void x64_vrr(struct x64_code *c, enum x64_op op, unsigned reg, unsigned vvvv, unsigned rm)
{
    const struct form *f = &forms[op];

    vex(c, f->flags, high_bits(reg, 0, rm), vvvv);
    x64_byte(c, f->opcode);
    modrm_reg(c, reg, rm);
}

void x64_vrm(struct x64_code *c, enum x64_op op, unsigned reg, unsigned vvvv,
             struct x64_mem mem)
{
    const struct form *f = &forms[op];

    vex(c, f->flags, high_bits(reg, mem.index, mem.base), vvvv);
    x64_byte(c, f->opcode);
    modrm_mem(c, reg, mem);
}

void x64_ri(struct x64_code *c, enum x64_alu alu, bool wide, unsigned reg, int32_t imm)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, 0, reg), false);
    x64_byte(c, fits_byte(imm) ? 0x83 : 0x81);
    modrm_reg(c, alu, reg);
    if (fits_byte(imm))
        x64_byte(c, (uint8_t)imm);
    else
        put32(c, (uint32_t)imm);
}

void x64_mi(struct x64_code *c, enum x64_alu alu, bool wide, struct x64_mem mem, int32_t imm)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, mem.index, mem.base), false);
    x64_byte(c, fits_byte(imm) ? 0x83 : 0x81);
    modrm_mem(c, alu, mem);
    if (fits_byte(imm))
        x64_byte(c, (uint8_t)imm);
    else
        put32(c, (uint32_t)imm);
}

void x64_store_imm(struct x64_code *c, bool wide, struct x64_mem mem, int32_t imm)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, mem.index, mem.base), false);
    x64_byte(c, 0xc7);
    modrm_mem(c, 0, mem);
    put32(c, (uint32_t)imm);
}

void x64_test_imm(struct x64_code *c, struct x64_mem mem, int32_t imm)
{
    prefixes(c, 0, high_bits(0, mem.index, mem.base), false);
    x64_byte(c, 0xf7);
    modrm_mem(c, 0, mem);
    put32(c, (uint32_t)imm);
}

void x64_shift(struct x64_code *c, enum x64_shift shift, bool wide, unsigned reg,
               unsigned count)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0xc1);
    modrm_reg(c, shift, reg);
    x64_byte(c, count);
}

void x64_shift_cl(struct x64_code *c, enum x64_shift shift, bool wide, unsigned reg)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0xd3);
    modrm_reg(c, shift, reg);
}

void x64_rorx(struct x64_code *c, bool wide, unsigned reg, unsigned rm, unsigned count)
{
    vex(c, X64_F2 | X64_0F3A | (wide ? X64_W : 0), high_bits(reg, 0, rm), 0);
    x64_byte(c, 0xf0);
    modrm_reg(c, reg, rm);
    x64_byte(c, count);
}

void x64_round(struct x64_code *c, bool wide, unsigned reg, unsigned rm, unsigned mode)
{
    prefixes(c, X64_66 | X64_0F3A, high_bits(reg, 0, rm), false);
    x64_byte(c, wide ? 0x0b : 0x0a);
    modrm_reg(c, reg, rm);
    x64_byte(c, mode);
}

void x64_clmul(struct x64_code *c, unsigned reg, unsigned rm)
{
    prefixes(c, X64_66 | X64_0F3A, high_bits(reg, 0, rm), false);
    x64_byte(c, 0x44);
    modrm_reg(c, reg, rm);
    x64_byte(c, 0);
}

void x64_half_widen(struct x64_code *c, unsigned to, unsigned from)
{
    vex(c, X64_66 | X64_0F38, high_bits(to, 0, from), 0);
    x64_byte(c, 0x13);
    modrm_reg(c, to, from);
}

/* The source stands where other instructions have the target. */
void x64_half_narrow(struct x64_code *c, unsigned to, unsigned from, unsigned mode)
{
    vex(c, X64_66 | X64_0F3A, high_bits(from, 0, to), 0);
    x64_byte(c, 0x1d);
    modrm_reg(c, from, to);
    x64_byte(c, mode);
}

void x64_bit(struct x64_code *c, enum x64_bit bit, unsigned reg, unsigned number)
{
    prefixes(c, X64_W | X64_0F, high_bits(0, 0, reg), false);
    x64_byte(c, 0xba);
    modrm_reg(c, bit, reg);
    x64_byte(c, number);
}

void x64_unary(struct x64_code *c, enum x64_unary unary, bool wide, unsigned reg)
{
    prefixes(c, wide ? X64_W : 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0xf7);
    modrm_reg(c, unary, reg);
}

void x64_bswap(struct x64_code *c, unsigned reg)
{
    prefixes(c, X64_W | X64_0F, high_bits(0, 0, reg), false);
    x64_byte(c, 0xc8 | (reg & 7));
}

void x64_cqo(struct x64_code *c, bool wide)
{
    prefixes(c, wide ? X64_W : 0, 0, false);
    x64_byte(c, 0x99);
}

void x64_setcc(struct x64_code *c, enum x64_cond cc, unsigned reg)
{
    prefixes(c, X64_0F, high_bits(0, 0, reg), new_byte_reg(reg));
    x64_byte(c, 0x90 | cc);
    modrm_reg(c, 0, reg);
}

void x64_mov_imm(struct x64_code *c, unsigned reg, uint64_t imm)
{
    if (imm == (uint32_t)imm) {
        prefixes(c, 0, high_bits(0, 0, reg), false);
        x64_byte(c, 0xb8 | (reg & 7));
        put32(c, (uint32_t)imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        prefixes(c, X64_W, high_bits(0, 0, reg), false);
        x64_byte(c, 0xc7);
        modrm_reg(c, 0, reg);
        put32(c, (uint32_t)imm);
    } else {
        prefixes(c, X64_W, high_bits(0, 0, reg), false);
        x64_byte(c, 0xb8 | (reg & 7));
        put64(c, imm);
    }
}

void x64_push(struct x64_code *c, unsigned reg)
{
    prefixes(c, 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0x50 | (reg & 7));
}

void x64_pop(struct x64_code *c, unsigned reg)
{
    prefixes(c, 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0x58 | (reg & 7));
}

void x64_ret(struct x64_code *c)
{
    x64_byte(c, 0xc3);
}

static void mxcsr(struct x64_code *c, unsigned number, struct x64_mem mem)
{
    prefixes(c, X64_0F, high_bits(0, mem.index, mem.base), false);
    x64_byte(c, 0xae);
    modrm_mem(c, number, mem);
}

void x64_ldmxcsr(struct x64_code *c, struct x64_mem mem)
{
    mxcsr(c, 2, mem);
}

void x64_stmxcsr(struct x64_code *c, struct x64_mem mem)
{
    mxcsr(c, 3, mem);
}

static void indirect(struct x64_code *c, unsigned number, unsigned reg)
{
    prefixes(c, 0, high_bits(0, 0, reg), false);
    x64_byte(c, 0xff);
    modrm_reg(c, number, reg);
}

void x64_jmp_reg(struct x64_code *c, unsigned reg)
{
    indirect(c, 4, reg);
}

void x64_call_reg(struct x64_code *c, unsigned reg)
{
    indirect(c, 2, reg);
}

/* The distance of 32 bits that ends an instruction. */
static uint8_t *distance(struct x64_code *c, const uint8_t *target)
{
    uint8_t *site = c->at;

    put32(c, 0);
    if (target && !c->full)
        x64_link(site, target);
    return site;
}

void x64_lea_rip(struct x64_code *c, unsigned reg, const uint8_t *target)
{
    prefixes(c, X64_W, high_bits(reg, 0, 0), false);
    x64_byte(c, 0x8d);
    x64_byte(c, (reg & 7) << 3 | 5);
    distance(c, target);
}

uint8_t *x64_jmp(struct x64_code *c, const uint8_t *target)
{
    x64_byte(c, 0xe9);
    return distance(c, target);
}

uint8_t *x64_call(struct x64_code *c, const uint8_t *target)
{
    x64_byte(c, 0xe8);
    return distance(c, target);
}

uint8_t *x64_jcc(struct x64_code *c, enum x64_cond cc, const uint8_t *target)
{
    x64_byte(c, 0x0f);
    x64_byte(c, 0x80 | cc);
    return distance(c, target);
}

void x64_link(uint8_t *site, const uint8_t *target)
{
    int32_t from_end = (int32_t)(target - (site + 4));

    memcpy(site, &from_end, sizeof(from_end));
}

/* Any type's (-fstrict-aliasing). */
typedef uint32_t __attribute__((may_alias)) any_word;

void x64_word(uint8_t *at, uint32_t word)
{
    if ((uintptr_t)at % sizeof(word) == 0)
        __atomic_store_n((any_word *)(void *)at, word, __ATOMIC_RELEASE);
    else
        memcpy(at, &word, sizeof(word));
}

void x64_relink(uint8_t *site, const uint8_t *target)
{
    x64_word(site, (uint32_t)(target - (site + 4)));
}

/* Volume 2, NOP, table of recommended sequences. */
void x64_nop(struct x64_code *c, unsigned bytes)
{
    static const uint8_t nops[3][3] = {
        {0x90},
        { 0x66,     0x90},
        { 0x0f, 0x1f, 0x00}
    };

    for (unsigned i = 0; i < bytes; i++)
        x64_byte(c, nops[bytes - 1][i]);
}
