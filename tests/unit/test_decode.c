/* test_decode.c: instruction words to operands: every row, every format, every halfword. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "tests/unit/suites.h"
#include "vmm/engine/riscv/decode.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct row {
    const char *name;
    uint32_t mask, match;
    uint16_t id;
} rows[] = {
#define INSN(name, format, mask, match) {#name, mask, match, RV_INSN_##name},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

/* The meaning of the table: its first row that fits. */
static uint16_t first_fit(uint32_t word)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if ((word & rows[i].mask) == rows[i].match)
            return rows[i].id;
    return RV_INSN_ILLEGAL;
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state ^ *state >> 16;
}

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];

        CU_ASSERT_EQUAL(row->match & ~row->mask, 0);
        CU_ASSERT_EQUAL(row->match & 3, 3);
        CU_ASSERT_EQUAL(row->mask & 0x7f, 0x7f);
        if (rv_decode(row->match).id != row->id) {
            printf("\n    %s: its own word decodes to another row\n", row->name);
            CU_FAIL("a row is hidden by one before it");
        }
    }
}

/* Whatever stands in the operands. Words near a row test the masks. */
static void test_operands_of_rows(void)
{
    uint32_t state = 1;
    unsigned wrong = 0;

    for (size_t i = 0; i < COUNT(rows); i++) {
        for (unsigned n = 0; n < 2000; n++) {
            uint32_t word = rows[i].match | (random_next(&state) & ~rows[i].mask);

            wrong += rv_decode(word).id != first_fit(word);
            word ^= 1u << (n % 32);
            wrong += rv_decode(word).id != first_fit(word);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void test_illegal(void)
{
    static const uint32_t words[] = {
        0x00000000,
        0xffffffff,
        0x00004003 | 0x3000,     /* load, funct3 7 */
        0x00004023,              /* store, funct3 4 */
        0x00002063,              /* branch, funct3 2 */
        0x00001067,              /* jalr, funct3 1 */
        0x80000033,              /* add with funct7 0x40 */
        0x04001013,              /* slli by 64 */
        0x0200101b,              /* slliw by 32 */
        0x0010202f | 0x10000000, /* lr.w with rs2 1 */
        0x00200073,              /* uret, of the N extension */
        0x10200073 | 0x80,       /* sret with rd 1 */
        0x12000073 | 0x80,       /* sfence.vma with rd 1 */
        0x06000053,              /* fadd.q */
        0x5a100053,              /* fsqrt.d with rs2 1 */
        0xc0400053,              /* fcvt with rs2 4 */
    };

    for (size_t i = 0; i < COUNT(words); i++) {
        struct rv_insn in = rv_decode(words[i]);

        CU_ASSERT_EQUAL(in.id, RV_INSN_ILLEGAL);
        CU_ASSERT_EQUAL(in.rd, RV_REG_SINK);
        CU_ASSERT_EQUAL((uint32_t)in.imm, words[i]);
    }
}

/* Words as GNU as encodes them, with their operands at the ends of their ranges. */
static void test_formats(void)
{
    static const struct {
        uint32_t word;
        uint16_t id;
        uint8_t rd, rs1;
        int32_t imm;
    } cases[] = {
        {0x80010093, RV_INSN_addi,       1,           2,  -2048     },
        {0x7ff00f93, RV_INSN_addi,       31,          0,  2047      },
        {0x00000013, RV_INSN_addi,       RV_REG_SINK, 0,  0         },
        {0xfff32283, RV_INSN_lw,         5,           6,  -1        },
        {0x7fffb283, RV_INSN_ld,         5,           31, 2047      },
        {0x800280e7, RV_INSN_jalr,       1,           5,  -2048     },
        {0x7ff08067, RV_INSN_jalr,       RV_REG_SINK, 1,  2047      },
        {0xfff43393, RV_INSN_sltiu,      7,           8,  -1        },
        {0x03f11093, RV_INSN_slli,       1,           2,  63        },
        {0x00011093, RV_INSN_slli,       1,           2,  0         },
        {0x43f25193, RV_INSN_srai,       3,           4,  63        },
        {0x02025193, RV_INSN_srli,       3,           4,  32        },
        {0x01f1109b, RV_INSN_slliw,      1,           2,  31        },
        {0x41f1509b, RV_INSN_sraiw,      1,           2,  31        },
        {0x0011509b, RV_INSN_srliw,      1,           2,  1         },
        {0x81ff0023, RV_INSN_sb,         31,          30, -2048     },
        {0x7e113fa3, RV_INSN_sd,         1,           2,  2047      },
        {0xfe009fa3, RV_INSN_sh,         0,           1,  -1        },
        {0x00322fa3, RV_INSN_sw,         3,           4,  31        },
        {0x02322023, RV_INSN_sw,         3,           4,  32        },
        {0x81f13027, RV_INSN_fsd,        31,          2,  -2048     },
        {0x7e012fa7, RV_INSN_fsw,        0,           2,  2047      },
        {0x80012007, RV_INSN_flw,        0,           2,  -2048     },
        {0x7ff13f87, RV_INSN_fld,        31,          2,  2047      },
        {0xfffff0b7, RV_INSN_lui,        1,           31, -4096     },
        {0x7fffffb7, RV_INSN_lui,        31,          31, 0x7ffff000},
        {0x00001037, RV_INSN_lui,        RV_REG_SINK, 0,  4096      },
        {0x80000297, RV_INSN_auipc,      5,           0,  INT32_MIN },
        {0x00000297, RV_INSN_auipc,      5,           0,  0         },
        {0x802080e3, RV_INSN_beq,        2,           1,  -2048     },
        {0x002080e3, RV_INSN_beq,        2,           1,  2048      },
        {0x02208063, RV_INSN_beq,        2,           1,  32        },
        {0x00208863, RV_INSN_beq,        2,           1,  16        },
        {0x800ff063, RV_INSN_bgeu,       0,           31, -4096     },
        {0x7e0fffe3, RV_INSN_bgeu,       0,           31, 4094      },
        {0x800000ef, RV_INSN_jal,        1,           0,  -1048576  },
        {0x7ffff0ef, RV_INSN_jal,        1,           31, 1048574   },
        {0xfffff0ef, RV_INSN_jal,        1,           31, -2        },
        {0x002000ef, RV_INSN_jal,        1,           0,  2         },
        {0x001000ef, RV_INSN_jal,        1,           0,  2048      },
        {0x000010ef, RV_INSN_jal,        1,           0,  4096      },
        {0x800ff0ef, RV_INSN_jal,        1,           31, -4096     },
        {0x7fe000ef, RV_INSN_jal,        1,           0,  2046      },
        {0x0000006f, RV_INSN_jal,        RV_REG_SINK, 0,  0         },
        {0xffff9073, RV_INSN_csrrw,      RV_REG_SINK, 31, 0xfff     },
        {0x800fe0f3, RV_INSN_csrrsi,     1,           31, 0x800     },
        {0x000070f3, RV_INSN_csrrci,     1,           0,  0         },
        {0x7ff0a0f3, RV_INSN_csrrs,      1,           1,  0x7ff     },
        {0x0ff0000f, RV_INSN_fence,      RV_REG_SINK, 0,  0x0ff     },
        {0x0120000f, RV_INSN_fence,      RV_REG_SINK, 0,  0x012     },
        {0x8330000f, RV_INSN_fence,      RV_REG_SINK, 0,  0x833     },
        {0xf2f00fc3, RV_INSN_fmadd_d,    31,          0,  0x1e0f    },
        {0x203170c3, RV_INSN_fmadd_s,    1,           2,  0x70403   },
        {0xfbf140cf, RV_INSN_fnmadd_d,   1,           2,  0x41f1f   },
        {0x01f130d3, RV_INSN_fadd_s,     1,           2,  0x3001f   },
        {0x5a00afd3, RV_INSN_fsqrt_d,    31,          1,  0x20b00   },
        {0xc2209053, RV_INSN_fcvt_l_d,   RV_REG_SINK, 1,  0x11802   },
        {0xc00f9fd3, RV_INSN_fcvt_w_s,   31,          31, 0x11800   },
        {0xe2018053, RV_INSN_fmv_x_d,    RV_REG_SINK, 3,  0x1c00    },
        {0xf00f8053, RV_INSN_fmv_w_x,    0,           31, 0x1e00    },
        {0xa220a053, RV_INSN_feq_d,      RV_REG_SINK, 1,  0x21402   },
        {0x100120af, RV_INSN_lr_w,       1,           2,  0         },
        {0x16003faf, RV_INSN_lr_d,       31,          0,  0         },
        {0x19f1202f, RV_INSN_sc_w,       RV_REG_SINK, 2,  31        },
        {0xe442b1af, RV_INSN_amomaxu_d,  3,           5,  4         },
        {0x12208073, RV_INSN_sfence_vma, RV_REG_SINK, 1,  2         },
        {0x001f8033, RV_INSN_add,        RV_REG_SINK, 31, 1         },
        {0x03df4fbb, RV_INSN_divw,       31,          30, 29        },
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rv_insn in = rv_decode(cases[i].word);
        /* rs1 of formats that have none holds what stands there. */
        bool no_rs1 = (cases[i].word & 0x7f) == 0x6f || (cases[i].word & 0x5f) == 0x17;

        if (in.id != cases[i].id || in.rd != cases[i].rd || in.imm != cases[i].imm ||
            (!no_rs1 && in.rs1 != cases[i].rs1)) {
            printf("\n    %08x: id %u rd %u rs1 %u imm %d\n", cases[i].word, in.id, in.rd,
                   in.rs1, in.imm);
            CU_FAIL("operands of a word");
        }
    }
}

/*
 * The compressed instructions, as the unprivileged specification's tables "RVC listing" show
 * them. Registers: d is bits 11:7, q bits 9:7 (x8-x15), e bits 6:2, p bits 4:2 (x8-x15), 0-2
 * themselves. imm names, for each of bits 12 to 2, the bit of the immediate that stands there
 * (0-9, a = 10 ...), '.' for none; NULL: no immediate. The first row that fits counts. Zcb and
 * Zcmop (whose c.mop.n does nothing) are among them.
 */
enum { SIGNED = 1, IMM_NOT_0 = 2, D_NOT_0 = 4, DEST = 8 };
#define FIXED(value) ((value) << 4) /* what the expansion has in place of an immediate */

static const struct compressed {
    uint16_t mask, match;
    uint16_t id;
    char rd, rs1, rs2; /* rd as struct rv_insn has it: of stores and branches, rs2 */
    const char *imm;
    unsigned flags;
} compressed[] = {
    {0xe003, 0x0000, RV_INSN_addi,   'p', '2', 0,   "54987623...", IMM_NOT_0 | DEST         },
    {0xe003, 0x2000, RV_INSN_fld,    'p', 'q', 0,   "543...76...", 0                        },
    {0xe003, 0x4000, RV_INSN_lw,     'p', 'q', 0,   "543...26...", DEST                     },
    {0xe003, 0x6000, RV_INSN_ld,     'p', 'q', 0,   "543...76...", DEST                     },
    {0xfc03, 0x8000, RV_INSN_lbu,    'p', 'q', 0,   "......01...", DEST                     },
    {0xfc43, 0x8400, RV_INSN_lhu,    'p', 'q', 0,   ".......1...", DEST                     },
    {0xfc43, 0x8440, RV_INSN_lh,     'p', 'q', 0,   ".......1...", DEST                     },
    {0xfc03, 0x8800, RV_INSN_sb,     'p', 'q', 0,   "......01...", 0                        },
    {0xfc43, 0x8c00, RV_INSN_sh,     'p', 'q', 0,   ".......1...", 0                        },
    {0xe003, 0xa000, RV_INSN_fsd,    'p', 'q', 0,   "543...76...", 0                        },
    {0xe003, 0xc000, RV_INSN_sw,     'p', 'q', 0,   "543...26...", 0                        },
    {0xe003, 0xe000, RV_INSN_sd,     'p', 'q', 0,   "543...76...", 0                        },
    {0xe003, 0x0001, RV_INSN_addi,   'd', 'd', 0,   "5.....43210", SIGNED | DEST            },
    {0xe003, 0x2001, RV_INSN_addiw,  'd', 'd', 0,   "5.....43210", SIGNED | DEST | D_NOT_0  },
    {0xe003, 0x4001, RV_INSN_addi,   'd', '0', 0,   "5.....43210", SIGNED | DEST            },
    {0xef83, 0x6101, RV_INSN_addi,   '2', '2', 0,   "9.....46875", SIGNED | DEST | IMM_NOT_0},
    {0xf8ff, 0x6081, RV_INSN_addi,   '0', '0', 0,   NULL,          DEST                     },
    {0xe003, 0x6001, RV_INSN_lui,    'd', 0,   0,   "h.....gfedc", SIGNED | DEST | IMM_NOT_0},
    {0xec03, 0x8001, RV_INSN_srli,   'q', 'q', 0,   "5.....43210", DEST                     },
    {0xec03, 0x8401, RV_INSN_srai,   'q', 'q', 0,   "5.....43210", DEST                     },
    {0xec03, 0x8801, RV_INSN_andi,   'q', 'q', 0,   "5.....43210", SIGNED | DEST            },
    {0xfc63, 0x8c01, RV_INSN_sub,    'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x8c21, RV_INSN_xor,    'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x8c41, RV_INSN_or,     'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x8c61, RV_INSN_and,    'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x9c01, RV_INSN_subw,   'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x9c21, RV_INSN_addw,   'q', 'q', 'p', NULL,          DEST                     },
    {0xfc63, 0x9c41, RV_INSN_mul,    'q', 'q', 'p', NULL,          DEST                     },
    {0xfc7f, 0x9c61, RV_INSN_andi,   'q', 'q', 0,   NULL,          DEST | FIXED(255)        },
    {0xfc7f, 0x9c65, RV_INSN_sext_b, 'q', 'q', 0,   NULL,          DEST | FIXED(4)          },
    {0xfc7f, 0x9c69, RV_INSN_packw,  'q', 'q', 0,   NULL,          DEST                     },
    {0xfc7f, 0x9c6d, RV_INSN_sext_h, 'q', 'q', 0,   NULL,          DEST | FIXED(5)          },
    {0xfc7f, 0x9c71, RV_INSN_add_uw, 'q', 'q', 0,   NULL,          DEST                     },
    {0xfc7f, 0x9c75, RV_INSN_xori,   'q', 'q', 0,   NULL,          DEST | FIXED(4095)       },
    {0xe003, 0xa001, RV_INSN_jal,    '0', 0,   0,   "b498a673215", SIGNED | DEST            },
    {0xe003, 0xc001, RV_INSN_beq,    '0', 'q', 0,   "843...76215", SIGNED                   },
    {0xe003, 0xe001, RV_INSN_bne,    '0', 'q', 0,   "843...76215", SIGNED                   },
    {0xe003, 0x0002, RV_INSN_slli,   'd', 'd', 0,   "5.....43210", DEST                     },
    {0xe003, 0x2002, RV_INSN_fld,    'd', '2', 0,   "5.....43876", 0                        },
    {0xe003, 0x4002, RV_INSN_lw,     'd', '2', 0,   "5.....43276", DEST | D_NOT_0           },
    {0xe003, 0x6002, RV_INSN_ld,     'd', '2', 0,   "5.....43876", DEST | D_NOT_0           },
    {0xf07f, 0x8002, RV_INSN_jalr,   '0', 'd', 0,   NULL,          DEST | D_NOT_0           },
    {0xf003, 0x8002, RV_INSN_add,    'd', '0', 'e', NULL,          DEST                     },
    {0xffff, 0x9002, RV_INSN_ebreak, 0,   0,   0,   NULL,          0                        },
    {0xf07f, 0x9002, RV_INSN_jalr,   '1', 'd', 0,   NULL,          DEST                     },
    {0xf003, 0x9002, RV_INSN_add,    'd', 'd', 'e', NULL,          DEST                     },
    {0xe003, 0xa002, RV_INSN_fsd,    'e', '2', 0,   "543876.....", 0                        },
    {0xe003, 0xc002, RV_INSN_sw,     'e', '2', 0,   "543276.....", 0                        },
    {0xe003, 0xe002, RV_INSN_sd,     'e', '2', 0,   "543876.....", 0                        },
};

static uint8_t register_of(char where, uint16_t half)
{
    switch (where) {
    case 'd': return half >> 7 & 31;
    case 'q': return (uint8_t)(8 + (half >> 7 & 7));
    case 'e': return half >> 2 & 31;
    case 'p': return (uint8_t)(8 + (half >> 2 & 7));
    case 0: return 0;
    default: return (uint8_t)(where - '0');
    }
}

static int32_t immediate_of(const struct compressed *c, uint16_t half)
{
    uint32_t value = 0;
    unsigned top = 0;

    if (!c->imm)
        return (int32_t)((c->flags / FIXED(1)) << 20) >> 20;
    for (unsigned i = 0; i < 11; i++) {
        char at = c->imm[i];

        if (at == '.')
            continue;
        unsigned bit = at >= 'a' ? (unsigned)(at - 'a') + 10 : (unsigned)(at - '0');
        value |= (uint32_t)(half >> (12 - i) & 1) << bit;
        top = bit > top ? bit : top;
    }
    if ((c->flags & SIGNED) && (value >> top & 1))
        value |= ~0u << top;
    return (int32_t)value;
}

/* What the table makes of a halfword. False: it is reserved. */
static bool compressed_decode(uint16_t half, struct rv_insn *in)
{
    for (size_t i = 0; i < COUNT(compressed); i++) {
        const struct compressed *c = &compressed[i];

        if ((half & c->mask) != c->match)
            continue;
        in->id = c->id;
        in->rd = register_of(c->rd, half);
        in->rs1 = register_of(c->rs1, half);
        in->imm = c->rs2 ? register_of(c->rs2, half) : immediate_of(c, half);
        if ((c->flags & DEST) && in->rd == 0)
            in->rd = RV_REG_SINK;
        return !(c->flags & IMM_NOT_0 && in->imm == 0) &&
               !(c->flags & D_NOT_0 && register_of('d', half) == 0);
    }
    return false;
}

/* Is the difference one of a field that the format has not? */
static bool same_operands(const struct rv_insn *a, const struct rv_insn *b)
{
    bool no_rs1 = a->id == RV_INSN_lui || a->id == RV_INSN_jal;

    if (a->id != b->id)
        return false;
    if (a->id == RV_INSN_ebreak)
        return true;
    return a->rd == b->rd && a->imm == b->imm && (no_rs1 || a->rs1 == b->rs1);
}

static void test_compressed(void)
{
    unsigned reserved = 0, wrong = 0;

    for (uint32_t half = 0; half <= 0xffff; half++) {
        uint32_t word = rv_expand((uint16_t)half);
        struct rv_insn want = {0}, in = rv_decode(word);
        bool good;

        if ((half & 3) == 3) {
            wrong += word != 0;
            continue;
        }
        if (compressed_decode((uint16_t)half, &want)) {
            good = (word & 3) == 3 && same_operands(&want, &in);
        } else {
            reserved++;
            good = word == 0 && in.id == RV_INSN_ILLEGAL;
        }
        if (!good && wrong++ < 10)
            printf("\n    %04x: expanded to %08x\n", half, word);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(reserved, 1393);
}

static void test_compressed_reserved(void)
{
    static const uint16_t halves[] = {
        0x0000, /* all zeros */
        0x0004, /* c.addi4spn of 0 */
        0x001c, /* the same, another register */
        0x8c40, /* beside c.sh */
        0x9000, /* quadrant 0, funct3 4, behind Zcb */
        0x9ffc, /* the same, all other bits set */
        0x2001, /* c.addiw x0 */
        0x307d, /* c.addiw x0, -1 */
        0x6101, /* c.addi16sp of 0 */
        0x6001, /* c.lui x0, 0 */
        0x6201, /* c.lui x4, 0 */
        0x6881, /* c.lui x17, 0: beyond c.mop */
        0x9c79, /* behind c.not */
        0x9ffd, /* the same, another register */
        0x4002, /* c.lwsp x0 */
        0x507e, /* c.lwsp x0 */
        0x6002, /* c.ldsp x0 */
        0x8002, /* c.jr x0 */
    };

    for (size_t i = 0; i < COUNT(halves); i++)
        CU_ASSERT_EQUAL(rv_expand(halves[i]), 0);
}

/* Pairs that GNU objdump disassembles alike. */
static void test_compressed_words(void)
{
    static const struct {
        uint16_t half;
        uint32_t word;
    } cases[] = {
        {0x955a, 0x01650533}, /* c.add x10,x22 */
        {0x9ffe, 0x01ff8fb3}, /* c.add x31,x31 */
        {0x09a5, 0x00998993}, /* c.addi x19,9 */
        {0x1ffd, 0xffff8f93}, /* c.addi x31,-1 */
        {0x6169, 0x0d010113}, /* c.addi16sp x2,208 */
        {0x717d, 0xff010113}, /* c.addi16sp x2,-16 */
        {0x14f4, 0x26c10693}, /* c.addi4spn x13,x2,620 */
        {0x1ffc, 0x3fc10793}, /* c.addi4spn x15,x2,1020 */
        {0x2209, 0x0022021b}, /* c.addiw x4,2 */
        {0x3ffd, 0xffff8f9b}, /* c.addiw x31,-1 */
        {0x9ca5, 0x009484bb}, /* c.addw x9,x9 */
        {0x9fbd, 0x00f787bb}, /* c.addw x15,x15 */
        {0x8cf1, 0x00c4f4b3}, /* c.and x9,x12 */
        {0x8ffd, 0x00f7f7b3}, /* c.and x15,x15 */
        {0x99d9, 0xff65f593}, /* c.andi x11,-10 */
        {0x9bfd, 0xfff7f793}, /* c.andi x15,-1 */
        {0xc3b5, 0x06078263}, /* c.beqz x15 */
        {0xdffd, 0xfe078fe3}, /* c.beqz x15 */
        {0xedbd, 0x06059f63}, /* c.bnez x11 */
        {0xfffd, 0xfe079fe3}, /* c.bnez x15 */
        {0x9002, 0x00100073}, /* c.ebreak */
        {0x2580, 0x0085b407}, /* c.fld f8,8(x11) */
        {0x3ffc, 0x0f87b787}, /* c.fld f15,248(x15) */
        {0x3bc2, 0x03013b87}, /* c.fldsp f23,48(x2) */
        {0x3ffe, 0x1f813f87}, /* c.fldsp f31,504(x2) */
        {0xbac0, 0x0a86b827}, /* c.fsd f8,176(x13) */
        {0xbffc, 0x0ef7bc27}, /* c.fsd f15,248(x15) */
        {0xa47a, 0x01e13427}, /* c.fsdsp f30,8(x2) */
        {0xbffe, 0x1ff13c27}, /* c.fsdsp f31,504(x2) */
        {0xaf65, 0x7b80006f}, /* c.j  */
        {0xbffd, 0xfffff06f}, /* c.j  */
        {0x9182, 0x000180e7}, /* c.jalr x3 */
        {0x9f82, 0x000f80e7}, /* c.jalr x31 */
        {0x8902, 0x00090067}, /* c.jr x18 */
        {0x8f82, 0x000f8067}, /* c.jr x31 */
        {0x7b28, 0x07073503}, /* c.ld x10,112(x14) */
        {0x7ffc, 0x0f87b783}, /* c.ld x15,248(x15) */
        {0x6266, 0x05813203}, /* c.ldsp x4,88(x2) */
        {0x7ffe, 0x1f813f83}, /* c.ldsp x31,504(x2) */
        {0x47ed, 0x01b00793}, /* c.li x15,27 */
        {0x5ffd, 0xfff00f93}, /* c.li x31,-1 */
        {0x7fcd, 0xffff3fb7}, /* c.lui x31,0xffff3 */
        {0x7ffd, 0xffffffb7}, /* c.lui x31,0xfffff */
        {0x4e48, 0x01c62503}, /* c.lw x10,28(x12) */
        {0x5ffc, 0x07c7a783}, /* c.lw x15,124(x15) */
        {0x552e, 0x0e812503}, /* c.lwsp x10,232(x2) */
        {0x5ffe, 0x0fc12f83}, /* c.lwsp x31,252(x2) */
        {0x8a5e, 0x01700a33}, /* c.mv x20,x23 */
        {0x8ffe, 0x01f00fb3}, /* c.mv x31,x31 */
        {0x8c5d, 0x00f46433}, /* c.or x8,x15 */
        {0x8fdd, 0x00f7e7b3}, /* c.or x15,x15 */
        {0xf960, 0x0e853823}, /* c.sd x8,240(x10) */
        {0xfffc, 0x0ef7bc23}, /* c.sd x15,248(x15) */
        {0xe32e, 0x18b13023}, /* c.sdsp x11,384(x2) */
        {0xfffe, 0x1ff13c23}, /* c.sdsp x31,504(x2) */
        {0x1fbe, 0x02ff9f93}, /* c.slli x31,0x2f */
        {0x1ffe, 0x03ff9f93}, /* c.slli x31,0x3f */
        {0x85d5, 0x4155d593}, /* c.srai x11,0x15 */
        {0x97fd, 0x43f7d793}, /* c.srai x15,0x3f */
        {0x8061, 0x01845413}, /* c.srli x8,0x18 */
        {0x93fd, 0x03f7d793}, /* c.srli x15,0x3f */
        {0x8d05, 0x40950533}, /* c.sub x10,x9 */
        {0x8f9d, 0x40f787b3}, /* c.sub x15,x15 */
        {0x9e15, 0x40d6063b}, /* c.subw x12,x13 */
        {0x9f9d, 0x40f787bb}, /* c.subw x15,x15 */
        {0xdad0, 0x02c6aa23}, /* c.sw x12,52(x13) */
        {0xdffc, 0x06f7ae23}, /* c.sw x15,124(x15) */
        {0xc93a, 0x08e12823}, /* c.swsp x14,144(x2) */
        {0xdffe, 0x0ff12e23}, /* c.swsp x31,252(x2) */
        {0x8cbd, 0x00f4c4b3}, /* c.xor x9,x15 */
        {0x8fbd, 0x00f7c7b3}, /* c.xor x15,x15 */
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t word = rv_expand(cases[i].half);

        if (word != cases[i].word) {
            printf("\n    %04x: expanded to %08x, not %08x\n", cases[i].half, word,
                   cases[i].word);
            CU_FAIL("an expansion");
        }
    }
}

static void test_length(void)
{
    CU_ASSERT_EQUAL(rv_insn_length(0x0000), 2);
    CU_ASSERT_EQUAL(rv_insn_length(0x8001), 2);
    CU_ASSERT_EQUAL(rv_insn_length(0xfffe), 2);
    CU_ASSERT_EQUAL(rv_insn_length(0x0003), 4);
    CU_ASSERT_EQUAL(rv_insn_length(0xffff), 4);
}

void suite_decode(void)
{
    CU_pSuite suite = CU_add_suite("decode", NULL, NULL);

    CU_add_test(suite, "every row decodes to itself", test_rows);
    CU_add_test(suite, "masks hold for any operands", test_operands_of_rows);
    CU_add_test(suite, "unknown words are illegal", test_illegal);
    CU_add_test(suite, "operands of all formats at their ends", test_formats);
    CU_add_test(suite, "all halfwords against the listing", test_compressed);
    CU_add_test(suite, "reserved halfwords", test_compressed_reserved);
    CU_add_test(suite, "compressed words as objdump has them", test_compressed_words);
    CU_add_test(suite, "length", test_length);
}
