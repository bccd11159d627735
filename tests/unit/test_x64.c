/* test_x64.c: what the translator emits, read back by Capstone. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>
#include "vmm/engine/dbt/x64.h"

static const x86_reg names[4][16] = {
    {X86_REG_AL,  X86_REG_CL,  X86_REG_DL,  X86_REG_BL,  X86_REG_SPL, X86_REG_BPL, X86_REG_SIL,
     X86_REG_DIL, X86_REG_R8B, X86_REG_R9B, X86_REG_R10B, X86_REG_R11B, X86_REG_R12B,
     X86_REG_R13B,                                                                                 X86_REG_R14B, X86_REG_R15B},
    {X86_REG_AX,  X86_REG_CX,  X86_REG_DX,  X86_REG_BX,  X86_REG_SP,  X86_REG_BP,  X86_REG_SI,
     X86_REG_DI,  X86_REG_R8W, X86_REG_R9W, X86_REG_R10W, X86_REG_R11W, X86_REG_R12W,
     X86_REG_R13W,                                                                                 X86_REG_R14W, X86_REG_R15W},
    {X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX, X86_REG_ESP, X86_REG_EBP, X86_REG_ESI,
     X86_REG_EDI, X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D, X86_REG_R12D,
     X86_REG_R13D,                                                                                 X86_REG_R14D, X86_REG_R15D},
    {X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI,
     X86_REG_RDI, X86_REG_R8,  X86_REG_R9,  X86_REG_R10,  X86_REG_R11,  X86_REG_R12,  X86_REG_R13,
     X86_REG_R14,                                                                                                X86_REG_R15 },
};

static x86_reg reg_name(unsigned reg, unsigned width)
{
    if (width == 128)
        return (x86_reg)(X86_REG_XMM0 + (int)reg);
    return names[width == 8 ? 0 : width == 16 ? 1 : width == 32 ? 2 : 3][reg];
}

/* What an instruction should read as. */
struct wanted {
    const char *mnemonic;
    unsigned n;
    struct operand {
        x86_op_type type;
        unsigned reg, width; /* of 128 bits: an xmm register */
        int64_t imm;
        struct x64_mem mem;
    } operand[3];
};

static struct operand reg_operand(unsigned reg, unsigned width)
{
    return (struct operand){.type = X86_OP_REG, .reg = reg, .width = width};
}

static struct operand mem_operand(struct x64_mem mem, unsigned width)
{
    return (struct operand){.type = X86_OP_MEM, .mem = mem, .width = width};
}

static struct operand imm_operand(int64_t imm)
{
    return (struct operand){.type = X86_OP_IMM, .imm = imm};
}

/* The code of one instruction. */
struct emitted {
    uint8_t bytes[64];
    struct x64_code code;
};

static csh handle;
static unsigned checked;

static int capstone_open(void)
{
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK)
        return -1;
    return cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON) == CS_ERR_OK ? 0 : -1;
}

static int capstone_close(void)
{
    printf("\n    # %u instructions read back ", checked);
    return cs_close(&handle) == CS_ERR_OK ? 0 : -1;
}

static struct x64_code *begin(struct emitted *e)
{
    e->code = (struct x64_code){.at = e->bytes, .end = e->bytes + sizeof(e->bytes)};
    return &e->code;
}

static bool same_mem(const x86_op_mem *is, const struct x64_mem *want)
{
    x86_reg index = want->index == RSP ? X86_REG_INVALID : reg_name(want->index, 64);

    return is->base == reg_name(want->base, 64) && is->index == index &&
           (index == X86_REG_INVALID || is->scale == 1 << want->scale) &&
           is->disp == want->disp && is->segment == X86_REG_INVALID;
}

static bool same_operand(const cs_x86_op *is, const struct operand *want)
{
    if (is->type != want->type)
        return false;
    switch (want->type) {
    case X86_OP_REG: return is->reg == reg_name(want->reg, want->width);
    case X86_OP_IMM: /* of 32 bits: with or without its sign */
        return is->imm == want->imm ||
               (want->width == 32 && (uint32_t)is->imm == (uint32_t)want->imm);
    default:
        return same_mem(&is->mem, &want->mem) && (!want->width || is->size * 8 == want->width);
    }
}

/* The bytes are exactly this one instruction. */
static void check(const struct emitted *e, const struct wanted *want)
{
    size_t size = (size_t)(e->code.at - e->bytes);
    cs_insn *insn;
    size_t n = cs_disasm(handle, e->bytes, size, 0, 0, &insn);
    bool good = n == 1 && insn->size == size && strcmp(insn->mnemonic, want->mnemonic) == 0 &&
                insn->detail->x86.op_count == want->n;

    for (unsigned i = 0; good && i < want->n; i++)
        good = same_operand(&insn->detail->x86.operands[i], &want->operand[i]);
    if (!good)
        printf("\n    wanted %s, got %s %s", want->mnemonic, n ? insn->mnemonic : "nothing",
               n ? insn->op_str : "");
    CU_ASSERT(good);
    CU_ASSERT_FALSE(e->code.full);
    if (n)
        cs_free(insn, n);
    checked++;
}

/* --- rows of x64.def --- */

enum shape { RM, MR, LEA, SX8, SX16, SX32, VRM, VMR, XX, XM, XR, RX, RX_TO, VXX };

static const struct row {
    enum x64_op op;
    const char *mnemonic;
    unsigned width;
    enum shape shape;
} rows[] = {
#define X64_OP(name, mnemonic, width, operands, flags, opcode)                                 \
    {X64_##name, mnemonic, width, operands},
#include "vmm/engine/dbt/x64.def"
#undef X64_OP
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Of an operand in memory or in a general register behind the first. */
static unsigned source_width(const struct row *row)
{
    return row->shape == SX8    ? 8
           : row->shape == SX16 ? 16
           : row->shape == SX32 ? 32
                                : row->width;
}

static bool has_three(const struct row *row)
{
    return row->shape == VRM || row->shape == VMR || row->shape == VXX;
}

static bool needs_memory(const struct row *row)
{
    return row->shape == LEA || row->shape == XM || strncmp(row->mnemonic, "lock", 4) == 0;
}

static unsigned reg_width(const struct row *row)
{
    enum shape shape = row->shape;

    return shape == XX || shape == XM || shape == XR || shape == RX_TO || shape == VXX
               ? 128
               : row->width;
}

static unsigned rm_width(const struct row *row)
{
    enum shape shape = row->shape;

    return shape == XX || shape == RX || shape == VXX ? 128 : source_width(row);
}

/* Of a scalar in memory: what the mnemonic says. */
static unsigned memory_width(const struct row *row)
{
    if (row->shape == LEA || strncmp(row->mnemonic, "comis", 5) == 0)
        return 0; /* Capstone 4 says 16 bytes of these */
    if (row->shape == RX)
        return strstr(row->mnemonic, "ss2si") ? 32 : 64;
    return source_width(row);
}

static void check_registers(const struct row *row, unsigned reg, unsigned rm)
{
    struct wanted want = {.mnemonic = row->mnemonic, .n = 2};
    bool to = row->shape == MR || row->shape == RX_TO;
    struct emitted e;

    x64_rr(begin(&e), row->op, reg, rm);
    want.operand[to] = reg_operand(reg, reg_width(row));
    want.operand[!to] = reg_operand(rm, rm_width(row));
    check(&e, &want);
}

static void check_three(const struct row *row, unsigned reg, unsigned vvvv, unsigned rm)
{
    struct wanted want = {.mnemonic = row->mnemonic, .n = 3};
    unsigned width = reg_width(row);
    struct emitted e;

    x64_vrr(begin(&e), row->op, reg, vvvv, rm);
    want.operand[0] = reg_operand(reg, width);
    want.operand[1] = reg_operand(row->shape == VMR ? rm : vvvv, width);
    want.operand[2] = reg_operand(row->shape == VMR ? vvvv : rm, width);
    check(&e, &want);
}

static void check_three_memory(const struct row *row, unsigned reg, unsigned vvvv,
                               struct x64_mem mem)
{
    struct wanted want = {.mnemonic = row->mnemonic, .n = 3};
    unsigned width = reg_width(row);
    struct emitted e;

    x64_vrm(begin(&e), row->op, reg, vvvv, mem);
    want.operand[0] = reg_operand(reg, width);
    want.operand[row->shape == VMR ? 2 : 1] = reg_operand(vvvv, width);
    want.operand[row->shape == VMR ? 1 : 2] = mem_operand(mem, row->width);
    check(&e, &want);
}

static void check_memory(const struct row *row, unsigned reg, struct x64_mem mem)
{
    bool stores = row->shape == MR || row->shape == XM || row->shape == RX_TO;
    struct wanted want = {.mnemonic = row->mnemonic, .n = 2};
    struct emitted e;

    x64_rm(begin(&e), row->op, reg, mem);
    want.operand[stores] = reg_operand(reg, reg_width(row));
    want.operand[!stores] = mem_operand(mem, memory_width(row));
    check(&e, &want);
}

static void test_register_forms(void)
{
    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned pair = 0; pair < 256; pair++) {
            if (has_three(&rows[i]))
                check_three(&rows[i], pair & 15, pair >> 4, (pair * 7 + 3) & 15);
            else if (!needs_memory(&rows[i]))
                check_registers(&rows[i], pair & 15, pair >> 4);
        }
    }
}

static void test_memory_forms(void)
{
    static const int32_t disps[] = {0, 8, -128, 127, 128, -129, 0x12345678, INT32_MIN};

    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned n = 0; n < 16 * 16; n++) {
            unsigned base = n & 15, index = n >> 4, reg = (n * 5 + 1) & 15;
            int32_t disp = disps[n % 8];

            if (has_three(&rows[i])) {
                check_three_memory(&rows[i], reg, n & 15, X64_MEM(base, disp));
                check_three_memory(&rows[i], reg, n >> 4, X64_INDEXED(base, index, 3, disp));
            } else {
                check_memory(&rows[i], reg, X64_MEM(base, disp));
                check_memory(&rows[i], reg, X64_INDEXED(base, index, n % 4, disp));
            }
        }
    }
}

/* --- the other shapes --- */

static const int32_t imms[] = {0, 1, -1, 127, -128, 128, 0x7fffffff, INT32_MIN};

static void test_immediates(void)
{
    static const struct {
        enum x64_alu alu;
        const char *mnemonic;
    } alus[] = {
        {ALU_ADD, "add"},
        {ALU_OR,  "or" },
        {ALU_AND, "and"},
        {ALU_SUB, "sub"},
        {ALU_XOR, "xor"},
        {ALU_CMP, "cmp"}
    };
    struct emitted e;

    for (unsigned i = 0; i < 6; i++) {
        for (unsigned n = 0; n < 16 * 8 * 2; n++) {
            unsigned reg = n & 15, width = n & 128 ? 64 : 32;
            int32_t imm = imms[n >> 4 & 7];
            struct x64_mem mem = X64_MEM(reg, imm);
            struct wanted want = {.mnemonic = alus[i].mnemonic, .n = 2};

            want.operand[1] = imm_operand(imm);
            want.operand[1].width = width;
            want.operand[0] = reg_operand(reg, width);
            x64_ri(begin(&e), alus[i].alu, width == 64, reg, imm);
            check(&e, &want);
            want.operand[0] = mem_operand(mem, width);
            x64_mi(begin(&e), alus[i].alu, width == 64, mem, imm);
            check(&e, &want);
        }
    }
}

static void test_stored_immediates(void)
{
    struct emitted e;

    for (unsigned n = 0; n < 16 * 8; n++) {
        int32_t imm = imms[n >> 4 & 7];
        struct x64_mem mem = X64_MEM(n & 15, 0x40);
        struct wanted want = {.mnemonic = "mov", .n = 2};

        want.operand[0] = mem_operand(mem, 64);
        want.operand[1] = imm_operand(imm);
        x64_store_imm(begin(&e), true, mem, imm);
        check(&e, &want);
        want.operand[0].width = want.operand[1].width = 32;
        x64_store_imm(begin(&e), false, mem, imm);
        check(&e, &want);
        want.mnemonic = "test";
        want.operand[0] = mem_operand(mem, 32);
        want.operand[1].width = 32;
        x64_test_imm(begin(&e), mem, imm);
        check(&e, &want);
    }
}

static void test_loaded_immediates(void)
{
    static const uint64_t values[] = {
        0,           1,          0x7fffffff,     0x80000000, 0xffffffff,
        0x100000000, UINT64_MAX, UINT64_MAX - 5, INT64_MIN,  0x123456789abcdef0};
    struct emitted e;

    for (unsigned n = 0; n < 16 * 10; n++) {
        uint64_t value = values[n / 16];
        bool narrow = value == (uint32_t)value;
        bool whole = !narrow && (int64_t)value != (int32_t)value;
        struct wanted want = {.mnemonic = whole ? "movabs" : "mov", .n = 2};

        want.operand[0] = reg_operand(n & 15, narrow ? 32 : 64);
        want.operand[1] = imm_operand((int64_t)value);
        x64_mov_imm(begin(&e), n & 15, value);
        check(&e, &want);
    }
}

static void test_shifts(void)
{
    static const struct {
        enum x64_shift shift;
        const char *mnemonic;
    } shifts[] = {
        {SHIFT_ROL, "rol"},
        {SHIFT_ROR, "ror"},
        {SHIFT_SHL, "shl"},
        {SHIFT_SHR, "shr"},
        {SHIFT_SAR, "sar"}
    };
    struct emitted e;

    for (unsigned i = 0; i < 5; i++) {
        for (unsigned n = 0; n < 16 * 4; n++) {
            unsigned reg = n & 15, width = n & 16 ? 64 : 32, count = n & 32 ? 31 : 2;
            struct wanted want = {.mnemonic = shifts[i].mnemonic, .n = 2};

            want.operand[0] = reg_operand(reg, width);
            want.operand[1] = imm_operand(count);
            x64_shift(begin(&e), shifts[i].shift, width == 64, reg, count);
            check(&e, &want);
            want.operand[1] = reg_operand(RCX, 8);
            x64_shift_cl(begin(&e), shifts[i].shift, width == 64, reg);
            check(&e, &want);
        }
    }
    for (unsigned n = 0; n < 512; n++) {
        unsigned width = n & 256 ? 64 : 32;
        struct wanted want = {.mnemonic = "rorx", .n = 3};

        want.operand[0] = reg_operand(n & 15, width);
        want.operand[1] = reg_operand(n >> 4 & 15, width);
        want.operand[2] = imm_operand(n % 31);
        x64_rorx(begin(&e), width == 64, n & 15, n >> 4 & 15, n % 31);
        check(&e, &want);
    }
    for (unsigned n = 0; n < 512; n++) {
        unsigned width = n & 256 ? 64 : 32;
        struct wanted want = {.mnemonic = n & 256 ? "roundsd" : "roundss", .n = 3};

        want.operand[0] = reg_operand(n & 15, 128);
        want.operand[1] = reg_operand(n >> 4 & 15, 128);
        want.operand[2] = imm_operand(n % 13);
        x64_round(begin(&e), width == 64, n & 15, n >> 4 & 15, n % 13);
        check(&e, &want);
    }
}

/* Of xmm registers: products without carries, and halves. */
static void test_xmm_forms(void)
{
    struct emitted e;

    for (unsigned n = 0; n < 256; n++) {
        unsigned one = n & 15, two = n >> 4;
        struct wanted want = {.n = 2};

        want.operand[0] = reg_operand(one, 128);
        want.operand[1] = reg_operand(two, 128);
        want.mnemonic = "vcvtph2ps", x64_half_widen(begin(&e), one, two), check(&e, &want);
        want.n = 3;
        want.operand[2] = imm_operand(n & 7);
        want.mnemonic = "vcvtps2ph";
        x64_half_narrow(begin(&e), one, two, n & 7);
        check(&e, &want);
        want.operand[2] = imm_operand(0);
        want.mnemonic = "pclmulqdq", x64_clmul(begin(&e), one, two), check(&e, &want);
    }
}

static const struct {
    enum x64_cond cc;
    const char *name;
} conditions[] = {
    {CC_B,  "b" },
    {CC_AE, "ae"},
    {CC_E,  "e" },
    {CC_NE, "ne"},
    {CC_BE, "be"},
    {CC_A,  "a" },
    {CC_S,  "s" },
    {CC_P,  "p" },
    {CC_NP, "np"},
    {CC_L,  "l" },
    {CC_GE, "ge"},
    {CC_LE, "le"},
    {CC_G,  "g" },
};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

static void test_one_operand(void)
{
    static const char *const unary[] = {
        [UNARY_NOT] = "not",   [UNARY_NEG] = "neg", [UNARY_MUL] = "mul",
        [UNARY_IMUL] = "imul", [UNARY_DIV] = "div", [UNARY_IDIV] = "idiv"};
    static const char *const bits[] = {
        [BIT_BT] = "bt", [BIT_BTS] = "bts", [BIT_BTR] = "btr", [BIT_BTC] = "btc"};
    struct emitted e;

    for (unsigned reg = 0; reg < 16; reg++) {
        struct wanted want = {.n = 1, .operand = {reg_operand(reg, 64)}};

        for (unsigned i = UNARY_NOT; i <= UNARY_IDIV; i++) {
            want.mnemonic = unary[i];
            x64_unary(begin(&e), (enum x64_unary)i, true, reg);
            check(&e, &want);
        }
        want.mnemonic = "bswap", x64_bswap(begin(&e), reg), check(&e, &want);
        want.mnemonic = "push", x64_push(begin(&e), reg), check(&e, &want);
        want.mnemonic = "pop", x64_pop(begin(&e), reg), check(&e, &want);
        want.mnemonic = "jmp", x64_jmp_reg(begin(&e), reg), check(&e, &want);
        want.mnemonic = "call", x64_call_reg(begin(&e), reg), check(&e, &want);
        want.operand[0].width = 32;
        for (unsigned i = UNARY_NOT; i <= UNARY_IDIV; i++) {
            want.mnemonic = unary[i];
            x64_unary(begin(&e), (enum x64_unary)i, false, reg);
            check(&e, &want);
        }
        want.operand[0].width = 8;
        for (unsigned i = 0; i < CONDITIONS; i++) {
            char name[8];

            want.mnemonic = name;
            snprintf(name, sizeof(name), "set%s", conditions[i].name);
            x64_setcc(begin(&e), conditions[i].cc, reg);
            check(&e, &want);
        }
        want.n = 2;
        want.operand[0].width = 64;
        want.operand[1] = imm_operand(63);
        for (unsigned i = BIT_BT; i <= BIT_BTC; i++) {
            want.mnemonic = bits[i];
            x64_bit(begin(&e), (enum x64_bit)i, reg, 63);
            check(&e, &want);
        }
    }
}

static void test_control(void)
{
    struct emitted e;

    for (unsigned base = 0; base < 16; base++) {
        struct x64_mem mem = X64_MEM(base, 0x98);
        struct wanted want = {.n = 1, .operand = {mem_operand(mem, 32)}};

        want.mnemonic = "ldmxcsr", x64_ldmxcsr(begin(&e), mem), check(&e, &want);
        want.mnemonic = "stmxcsr", x64_stmxcsr(begin(&e), mem), check(&e, &want);
    }
}

static void test_no_operand(void)
{
    struct wanted want = {.mnemonic = "ret"};
    struct emitted e;

    x64_ret(begin(&e)), check(&e, &want);
    want.mnemonic = "cqo", x64_cqo(begin(&e), true), check(&e, &want);
    want.mnemonic = "cdq", x64_cqo(begin(&e), false), check(&e, &want);
}

/* Capstone gives the target's address, that of the code being 0. */
static void test_jumps(void)
{
    struct emitted e;
    struct wanted want = {.n = 1, .operand = {imm_operand(0x30)}};
    uint8_t *site;

    for (unsigned i = 0; i < CONDITIONS; i++) {
        char name[8];

        want.mnemonic = name;
        snprintf(name, sizeof(name), "j%s", conditions[i].name);
        x64_jcc(begin(&e), conditions[i].cc, e.bytes + 0x30);
        check(&e, &want);
    }
    want.mnemonic = "call", x64_call(begin(&e), e.bytes + 0x30), check(&e, &want);
    want.mnemonic = "jmp", x64_jmp(begin(&e), e.bytes + 0x30), check(&e, &want);
    site = x64_jmp(begin(&e), NULL);
    want.operand[0].imm = 5; /* not linked: behind itself */
    check(&e, &want);
    x64_link(site, e.bytes + 0x20);
    want.operand[0].imm = 0x20;
    check(&e, &want);
}

static void test_rip(void)
{
    struct emitted e;

    for (unsigned reg = 0; reg < 16; reg++) {
        cs_insn *insn;

        x64_lea_rip(begin(&e), reg, e.bytes + 0x27);
        CU_ASSERT_EQUAL_FATAL(cs_disasm(handle, e.bytes, 7, 0, 0, &insn), 1);
        CU_ASSERT_STRING_EQUAL(insn->mnemonic, "lea");
        CU_ASSERT_EQUAL(insn->detail->x86.operands[0].reg, reg_name(reg, 64));
        CU_ASSERT_EQUAL(insn->detail->x86.operands[1].mem.base, X86_REG_RIP);
        CU_ASSERT_EQUAL(insn->detail->x86.operands[1].mem.disp, 0x20);
        cs_free(insn, 1);
    }
}

/* What does not fit writes nothing behind the end. */
static void test_full(void)
{
    uint8_t bytes[8] = {0};
    struct x64_code code = {.at = bytes, .end = bytes + 3};

    x64_mov_imm(&code, RAX, UINT64_MAX / 3);
    CU_ASSERT_TRUE(code.full);
    CU_ASSERT_PTR_EQUAL(code.at, code.end);
    for (unsigned i = 3; i < sizeof(bytes); i++)
        CU_ASSERT_EQUAL(bytes[i], 0);
}

#endif

void suite_x64(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("x64", capstone_open, capstone_close);

    CU_add_test(suite, "registers", test_register_forms);
    CU_add_test(suite, "memory", test_memory_forms);
    CU_add_test(suite, "immediates", test_immediates);
    CU_add_test(suite, "immediates to memory", test_stored_immediates);
    CU_add_test(suite, "immediates to registers", test_loaded_immediates);
    CU_add_test(suite, "shifts", test_shifts);
    CU_add_test(suite, "xmm registers", test_xmm_forms);
    CU_add_test(suite, "one operand", test_one_operand);
    CU_add_test(suite, "floating-point control", test_control);
    CU_add_test(suite, "no operand", test_no_operand);
    CU_add_test(suite, "jumps", test_jumps);
    CU_add_test(suite, "addresses by rip", test_rip);
    CU_add_test(suite, "no room", test_full);
#endif
}
