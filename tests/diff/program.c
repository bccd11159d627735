/* program.c: random programs, the same for the same seed. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/diff/program.h"
#include "vmm/engine/riscv/decode.h"

static uint64_t random_state;

void random_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

uint32_t random_below(uint32_t n)
{
    return (uint32_t)((random_next() >> 32) % n);
}

static const struct row {
    uint16_t id;
    uint32_t mask, match;
} rows[] = {
#define INSN(name, format, mask, match) {RV_INSN_##name, mask, match},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

static uint32_t set_field(uint32_t word, unsigned low, unsigned width, uint32_t value)
{
    uint32_t mask = ((1u << width) - 1) << low;

    return (word & ~mask) | (value << low & mask);
}

/* CSRs that would make runs differ (time), end the fun (handlers, protection) or hide state. */
static bool csr_avoided(uint32_t csr)
{
    return csr == 0xc01 || csr == 0x305 || csr == 0x105 || (csr >= 0x3a0 && csr <= 0x3ef);
}

/* Flags and rounding, scratch registers and what the last trap left. */
static const uint16_t plain_csrs[] = {0x001, 0x002, 0x003, 0x140, 0x340, 0x342, 0x343};
#define PLAINS (sizeof(plain_csrs) / sizeof(plain_csrs[0]))

/*
 * mstateen and sstateen, menvcfg and senvcfg, mcounteren and scounteren, mcountinhibit, and
 * what they keep from lower levels: counters, stimecmp, scountovf. Of the programmable counters
 * only the first eight, since any may be missing, and only their events: they stay at 0.
 */
static const uint16_t guard_csrs[] = {
    0x30c, 0x30d, 0x30e, 0x30f, 0x10c, 0x10d, 0x10e, 0x10f, 0x30a, 0x10a, 0x30c, 0x10c, 0x10a,
    0x306, 0x106, 0x306, 0x106, 0x320, 0x14d, 0xda0, 0xc00, 0xc01, 0xc02, 0xc03, 0xc04, 0xc05,
    0xc06, 0xc07, 0xc08, 0xc09, 0xc0a, 0x323, 0x324, 0x325, 0x326, 0x327, 0x328, 0x329, 0x32a};
#define GUARDS (sizeof(guard_csrs) / sizeof(guard_csrs[0]))

static bool csr_portable(uint32_t csr)
{
    for (unsigned i = 0; i < PLAINS; i++)
        if (plain_csrs[i] == csr)
            return true;
    for (unsigned i = 0; i < GUARDS; i++)
        if (guard_csrs[i] == csr)
            return true;
    return false;
}

static uint32_t random_csr(bool portable)
{
    static const uint16_t common[] = {
        0x001, 0x002, 0x003, 0x100, 0x104, 0x140, 0x141, 0x142, 0x143, 0x144, 0x300, 0x301,
        0x302, 0x303, 0x304, 0x306, 0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0xb00, 0xb02,
        0xc00, 0xc02, 0xf14, 0x180, 0x106, 0xb03, 0xb04, 0xc05, 0x323, 0x324, 0xda0};
    uint32_t csr;

    if (portable && random_below(2))
        return guard_csrs[random_below(GUARDS)];
    if (portable)
        return plain_csrs[random_below(PLAINS)];
    if (random_below(10) < 8)
        return common[random_below(sizeof(common) / sizeof(common[0]))];
    do
        csr = random_below(4096);
    while (csr_avoided(csr));
    return csr;
}

/* Forward by a few words, now and then backward; a portable program has no loops. */
static uint32_t jump_offset(bool portable)
{
    uint32_t words = 1 + random_below(12);

    if (!portable && random_below(16) == 0)
        words = 0u - random_below(6);
    return words * 4;
}

static uint32_t branch_immediate(uint32_t word, uint32_t offset)
{
    word = set_field(word, 8, 4, offset >> 1);
    word = set_field(word, 25, 6, offset >> 5);
    word = set_field(word, 7, 1, offset >> 11);
    return set_field(word, 31, 1, offset >> 12);
}

static uint32_t jal_immediate(uint32_t word, uint32_t offset)
{
    word = set_field(word, 21, 10, offset >> 1);
    word = set_field(word, 20, 1, offset >> 11);
    word = set_field(word, 12, 8, offset >> 12);
    return set_field(word, 31, 1, offset >> 20);
}

static bool writes_pinned(uint32_t word)
{
    uint32_t rd = word >> 7 & 31;
    uint32_t opcode = word & 0x7f;

    if (opcode == 0x63 || opcode == 0x23 || opcode == 0x27 || opcode == 0x07)
        return false;
    return rd == PROGRAM_BASE_REG || rd == PROGRAM_CODE_REG;
}

/* Hints and may-be-operations, which share their encodings with other instructions. */
static uint32_t hint_word(void)
{
    uint32_t base = PROGRAM_BASE_REG << 15;

    switch (random_below(6)) {
    case 0: return 0x0100000f;                                  /* pause */
    case 1: return 0x00000033 | (2 + random_below(4)) << 20;    /* ntl.p1 to ntl.all */
    case 2: return 0x00006013 | base | random_below(128) << 25; /* prefetch.i */
    case 3: return 0x00106013 | base | random_below(128) << 25; /* prefetch.r */
    case 4: return 0x00306013 | base | random_below(128) << 25; /* prefetch.w */
    default:                                                    /* two c.ntl */
        return 0x90029002 | (2 + random_below(4)) << 2 | (2 + random_below(4)) << 18;
    }
}

/* csrrw, csrrs or csrrc of a guarded or guarding register, one in three only reads. */
static uint32_t guard_word(void)
{
    uint32_t rd = random_below(32), rs1 = random_below(3) ? random_below(32) : 0;

    return (uint32_t)guard_csrs[random_below(GUARDS)] << 20 | rs1 << 15 |
           (rs1 ? 1 + random_below(3) : 2) << 12 | rd << 7 | 0x73;
}

/* What a portable program leaves out: see program_make. */
static bool is_private(uint32_t word)
{
    uint32_t opcode = word & 0x7f, funct3 = word >> 12 & 7;
    uint32_t csr = word >> 20;

    if (opcode == 0x2f)
        return word >> 27 == 0x03 && (funct3 == 2 || funct3 == 3); /* sc */
    return opcode == 0x73 && (funct3 & 3) != 0 && !csr_portable(csr);
}

/* See program_make. */
enum kind { WILD, PLAIN, FLOAT, KINDS };

static bool is_float(uint32_t opcode)
{
    return opcode == 0x53 || opcode == 0x07 || opcode == 0x27 ||
           (opcode >= 0x43 && opcode <= 0x4f);
}

/* What a kind has little of. */
static bool is_rare(uint32_t opcode, enum kind kind)
{
    if (kind == WILD)
        return false;
    return opcode == 0x73 || opcode == 0x0f ||
           (kind == PLAIN ? opcode == 0x53 || (opcode >= 0x43 && opcode <= 0x4f)
                          : !is_float(opcode));
}

static const struct row *random_row(enum kind kind)
{
    /* Without fresh numbers all registers would soon be NaNs. */
    bool load = kind == FLOAT && random_below(3) == 0;
    const struct row *row;

    do
        row = &rows[random_below(sizeof(rows) / sizeof(rows[0]))];
    while (load ? (row->match & 0x7f) != 0x07
                : is_rare(row->match & 0x7f, kind) &&
                      random_below(kind == FLOAT ? 16 : 64) != 0);
    return row;
}

/* Most often the dynamic rounding mode, as compilers have it; where there is such a field. */
static uint32_t random_rounding(uint32_t word, uint32_t mask)
{
    if ((mask & 0x7000) || random_below(3) == 0)
        return word;
    return word | 0x7000;
}

uint64_t random_float(void)
{
    static const uint64_t special[] = {
        0,
        0x8000000000000000,
        0x3ff0000000000000,
        0x7ff0000000000000,
        0xfff8000000000001,
        0x7ff0000000000001,
        0x0010000000000000,
        0x8000000000000001,
        0x41e0000000000000,
        0xc3e0000000000000,
        0xffffffff00000000,
        0xffffffff80000000,
        0xffffffff3f800000,
        0xffffffff7f800000,
        0xffffffffffc00001,
        0xffffffff7f800001,
        0xffffffff00800000,
        0xffffffff80000001,
        0xffffffff4f000000,
        0xffffffffdf000000,
    };

    switch (random_below(4)) {
    case 0: return special[random_below(sizeof(special) / sizeof(special[0]))];
    case 1: return random_next() | 0xffffffff00000000;
    case 2: /* near one, so that sums cancel and conversions fit */
        return (random_next() & 0x803fffffffffffff) | 0x3fc0000000000000;
    default: return random_next();
    }
}

/* A jump by register, forward from word `at` as far as a portable program may. */
static uint32_t jalr_word(uint32_t word, unsigned at, bool portable)
{
    unsigned to = portable ? at + 1 + random_below(12) : random_below(512);

    word = set_field(word, 15, 5, PROGRAM_CODE_REG);
    return to < 512 ? set_field(word, 20, 12, to * 4) : 0x00000013; /* out of reach: nop */
}

/* The row's instruction with random operands, most of them ones that do not trap. */
static uint32_t row_word(const struct row *row, unsigned at, enum kind kind, bool portable)
{
    uint32_t word = row->match | ((uint32_t)random_next() & ~row->mask);

    if (portable && random_below(8) != 0 && (word & 0x5b) == 0x03) /* aligned: loads, stores */
        word = word & 0x20 ? set_field(word, 7, 3, 0) : set_field(word, 20, 3, 0);
    switch (word & 0x7f) {
    case 0x03:
    case 0x07:
    case 0x0f:
    case 0x23:
    case 0x27:
    case 0x2f:
        if (random_below(16) != 0)
            word = set_field(word, 15, 5, PROGRAM_BASE_REG);
        break;
    case 0x63: return branch_immediate(word, jump_offset(portable));
    case 0x6f: return jal_immediate(word, jump_offset(portable));
    case 0x67: return jalr_word(word, at, portable);
    case 0x73:
        if ((row->mask & 0xfff00000) == 0)
            word = set_field(word, 20, 12, random_csr(portable || kind != WILD));
        break;
    case 0x53:
        if (random_below(4) != 0)
            word = row->match | (word & ~row->mask & ~0x7000u) | (row->mask & row->match);
        if (kind == FLOAT)
            word = random_rounding(word, row->mask);
        break;
    case 0x43:
    case 0x47:
    case 0x4b:
    case 0x4f:
        if (kind == FLOAT)
            word = random_rounding(word, row->mask);
        break;
    default: break;
    }
    return word;
}

/* Any bits at all, most of them no instruction; where it must not loop, no jump. */
static uint32_t any_word(bool portable)
{
    uint32_t word = (uint32_t)random_next() | 3, opcode = word & 0x7f;

    if (portable && (opcode == 0x63 || opcode == 0x67 || opcode == 0x6f))
        return 0x00000013;
    return word;
}

static uint32_t random_word(unsigned at, enum kind kind, bool portable)
{
    const struct row *row = random_row(kind);
    uint32_t word;

    if (portable && random_below(24) == 0)
        return hint_word();
    if (portable && random_below(12) == 0)
        word = guard_word();
    else if (random_below(kind == WILD ? 64 : 1024) == 0)
        word = any_word(portable);
    else
        word = row_word(row, at, kind, portable);
    if (word == 0x10500073 || writes_pinned(word) || (portable && is_private(word)))
        return 0x00000013; /* wfi: nothing would ever wake it; and the pinned registers stay */
    if (kind != WILD && (word == 0x30200073 || word == 0x10200073))
        return 0x00000013; /* mret: back to the last trap, from where it comes here again */
    return word;
}

/* Does an expanded half lead somewhere near, or load from the data? Most of them should. */
static bool is_tame(uint32_t word)
{
    struct rv_insn in = rv_decode(word);
    uint32_t opcode = word & 0x7f;

    if (opcode == 0x63 || opcode == 0x6f)
        return in.imm > 0 && in.imm < 64;
    return (opcode != 0x03 && opcode != 0x07 && opcode != 0x23 && opcode != 0x27) ||
           in.rs1 == PROGRAM_BASE_REG;
}

/* Whether a jump or branch at `pc` goes on at a word not far behind it. */
static bool jumps_forward(uint32_t word, unsigned pc)
{
    uint32_t offset;

    if ((word & 0x7f) == 0x6f)
        offset = (word >> 20 & 0x7fe) | (word & 0x800ff000);
    else if ((word & 0x7f) == 0x63)
        offset = (word >> 25 & 0x3f) << 5 | (word >> 7 & 0x1e) | (word & 0x80000000);
    else
        return true;
    return offset > 0 && offset < 48 && ((pc + offset) & 3) == 0;
}

/* The half of a word at `pc`. */
static uint16_t random_half(unsigned pc, enum kind kind, bool portable)
{
    for (;;) {
        uint16_t half = (uint16_t)random_next();
        uint32_t word = rv_expand(half);

        if ((half & 3) != 3 && word && !writes_pinned(word) && (word & 0x7f) != 0x67 &&
            (!portable || jumps_forward(word, pc)) &&
            (kind == WILD || is_tame(word) || random_below(256) == 0))
            return half;
    }
}

/*
 * A function and a call of it, of five words, for the translator's sake: what stands in it is
 * random, but for ra, which is kept meanwhile.
 */
static void phrase_call(uint32_t *code, unsigned at, enum kind kind)
{
    code[0] = 0x00c000ef; /* jal ra, to the fourth */
    code[1] = random_word(at + 1, kind, false);
    code[2] = 0x00c0006f; /* j, behind all */
    code[3] = random_word(at + 3, kind, false);
    if ((code[3] >> 7 & 31) == 1)
        code[3] = 0x0330000f; /* fence rw, rw */
    code[4] = 0x00008067;     /* ret */
}

/* Two instructions of which the second goes on with what the first made. */
static void phrase_pair(uint32_t *code)
{
    static const uint32_t seconds[] = {
        0x00005013, /* srli */
        0x40005013, /* srai */
        0x00000033, /* add */
        0x00000013, /* addi */
        0x0000001b, /* addiw */
    };
    static const uint32_t firsts[] = {0x00001013, 0x00000037,
                                      0x00000017}; /* slli, lui, auipc */
    uint32_t rd = 10 + random_below(16), other = random_below(32), second, imm;
    bool same = random_below(3) != 0;

    code[0] = set_field(firsts[random_below(3)], 7, 5, rd);
    imm = random_below(2) ? 32 : random_below(same ? 64 : 4);
    if ((code[0] & 0x7f) == 0x13)
        code[0] |= other << 15 | imm << 20;
    else
        code[0] |= random_below(1u << 20) << 12;
    second = seconds[random_below(5)];
    code[1] = second | rd << 7 | rd << 15;
    if (second == 0x00000033)
        code[1] |= random_below(32) << 20;
    else if (second & 0x4)
        code[1] |= (same ? imm : random_below(64)) << 20;
    else
        code[1] |= random_below(4096) << 20;
}

/* Loads and stores off one register, with something between them. */
static void phrase_group(uint32_t *code, unsigned at, enum kind kind)
{
    unsigned first = random_below(4096);

    for (unsigned i = 0; i < 5; i++) {
        uint32_t offset = (first + random_below(64)) & 0xfff, reg = 10 + random_below(16);
        uint32_t base = PROGRAM_BASE_REG << 15;

        if (random_below(4) == 0)
            code[i] = random_word(at + i, kind, false);
        else if (random_below(2))
            code[i] = 0x03 | base | random_below(7) << 12 | reg << 7 | offset << 20;
        else
            code[i] = 0x23 | base | random_below(4) << 12 | reg << 20 | (offset & 31) << 7 |
                      offset >> 5 << 25;
    }
}

static void add_phrases(uint32_t *code, enum kind kind)
{
    for (unsigned i = 0; i + 8 < PROGRAM_WORDS; i += 5 + random_below(40))
        switch (random_below(3)) {
        case 0: phrase_call(code + i, i, kind); break;
        case 1: phrase_pair(code + i); break;
        default: phrase_group(code + i, i, kind); break;
        }
}

void program_make(uint32_t *code, bool portable)
{
    enum kind kind = portable ? WILD : (enum kind)random_below(KINDS);

    for (unsigned i = 0; i < PROGRAM_WORDS; i++) {
        if (random_below(4) == 0)
            code[i] = random_half(0, kind, portable) | (uint32_t)random_half(2, kind, portable)
                                                           << 16;
        else
            code[i] = random_word(i, kind, portable);
    }
    if (!portable)
        add_phrases(code, kind);
    for (unsigned i = PROGRAM_WORDS - (portable ? 16 : 1); i < PROGRAM_WORDS; i++)
        code[i] = 0x0000006f; /* j .: no jump leads beyond */
}

const uint32_t program_handler[PROGRAM_HANDLER_WORDS] = {
    0x340f9ff3, /* csrrw x31, mscratch, x31 */
    0x00002fb7, /* lui x31, 2: LCOFIP */
    0x344fb073, /* csrc mip, x31 */
    0x34102ff3, /* csrr x31, mepc */
    0xffcfff93, /* andi x31, x31, -4 */
    0x004f8f93, /* addi x31, x31, 4 */
    0x341f9073, /* csrw mepc, x31 */
    0x340f9ff3, /* csrrw x31, mscratch, x31 */
    0x30200073, /* mret */
};
