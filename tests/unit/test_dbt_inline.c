/* test_dbt_inline.c: which instructions the translator has code for. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#ifdef TOLLGATE_DBT

#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>
#include "vmm/engine/dbt/dbt.h"

#define FS_DIRTY 0x6000u
#define ROUNDS   400u

/*
 * Those that are a step of the interpreter by design: they change where fetches lead, wait, or
 * hardly any guest has them (128-bit swaps, nibbles, ciphers and hashes).
 */
static const enum rv_insn_id stepped[] = {
    RV_INSN_fence_i,    RV_INSN_ecall,      RV_INSN_ebreak,         RV_INSN_sret,
    RV_INSN_mret,       RV_INSN_wfi,        RV_INSN_sfence_vma,     RV_INSN_sinval_vma,
    RV_INSN_wrs_nto,    RV_INSN_wrs_sto,    RV_INSN_sfence_w_inval, RV_INSN_sfence_inval_ir,
    RV_INSN_amocas_q,   RV_INSN_xperm4,     RV_INSN_aes64im,        RV_INSN_aes64ks1i,
    RV_INSN_sha256sum0, RV_INSN_sha256sum1, RV_INSN_sha256sig0,     RV_INSN_sha256sig1,
    RV_INSN_sha512sum0, RV_INSN_sha512sum1, RV_INSN_sha512sig0,     RV_INSN_sha512sig1,
    RV_INSN_sm3p0,      RV_INSN_sm3p1,      RV_INSN_aes64ds,        RV_INSN_aes64dsm,
    RV_INSN_aes64es,    RV_INSN_aes64esm,   RV_INSN_aes64ks2,       RV_INSN_sm4ed,
    RV_INSN_sm4ks,
};

static const struct row {
    enum rv_insn_id id;
    const char *name;
    uint32_t mask, match;
} rows[] = {
#define INSN(name, format, mask, match) {RV_INSN_##name, #name, mask, match},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

static bool is_stepped(enum rv_insn_id id)
{
    for (size_t i = 0; i < sizeof(stepped) / sizeof(stepped[0]); i++)
        if (stepped[i] == id)
            return true;
    return false;
}

/* Jumps have tests of their own; of CSRs it depends on which. */
static bool is_other(const struct row *row)
{
    uint32_t opcode = row->match & 0x7f, funct3 = row->match >> 12 & 7;

    return opcode == 0x63 || opcode == 0x67 || opcode == 0x6f ||
           (opcode == 0x73 && funct3 != 0 && funct3 != 4);
}

/* rd a0, sources s0, which points at memory, a2 and, of a fused multiply-add, a3; the rounding
 * mode of frm. */
static uint32_t word_of(const struct row *row)
{
    uint32_t opcode = row->match & 0x7f, word = row->match;
    bool fused = opcode >= 0x43 && opcode <= 0x4f, store = opcode == 0x23 || opcode == 0x27;

    word |= ~row->mask & (S0 << 15);
    word |= ~row->mask & (store ? 0 : A0 << 7);
    word |= ~row->mask & (opcode == 0x03 || opcode == 0x07 || opcode == 0x13 ? 0 : A2 << 20);
    word |= fused ? A3 << 27 : 0;
    if (fused || opcode == 0x53)
        word |= ~row->mask & 0x7000;
    return word;
}

/* Numbers near one, boxed as the instruction's format asks. */
static void put_floats(struct machine *m, const char *name)
{
    const char *end = strrchr(name, '_');
    uint64_t one = 0x3ff0000000000000;

    if (end && !strcmp(end, "_h"))
        one = 0xffffffffffff3c00;
    else if (end && (!strcmp(end, "_s") || !strcmp(end, "_w")))
        one = 0xffffffff3f800000;
    for (unsigned i = 0; i < 32; i++)
        m->s.f[i] = one;
}

/* Steps of the interpreter that translated code asks for, of ROUNDS times the instruction. */
static uint64_t steps_of(const struct row *row, uint64_t *trapped)
{
    struct machine m;
    uint64_t steps;

    machine_init(&m, START_FIRMWARE, 1);
    PUT(&m, CODE, word_of(row), AS_I(addi, A1, A1, 1), AS_J(ZERO, -8));
    PUT(&m, HANDLER, AS_SELF);
    put_floats(&m, row->name);
    m.s.menvcfg = RV_ENVCFG_CBZE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBIE;
    m.s.mstatus |= FS_DIRTY;
    for (unsigned i = A2; i <= A5; i++)
        m.s.x[i] = 3;
    m.s.x[S0] = DATA;
    machine_go(&m, PRIV_M, CODE, 3 * ROUNDS);
    steps = dbt_hart_of(m.h)->stepped;
    *trapped = m.s.mcause;
    machine_destroy(&m);
    return steps;
}

/* A step or two fill the TLB. */
static void test_rows(void)
{
    unsigned inline_rows = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t steps, trapped;

        if (is_other(&rows[i]) || is_stepped(rows[i].id))
            continue;
        steps = steps_of(&rows[i], &trapped);
        if (steps > 2 || trapped)
            printf("\n    %s: %llu steps, cause %llu", rows[i].name, (unsigned long long)steps,
                   (unsigned long long)trapped);
        CU_ASSERT(steps <= 2);
        CU_ASSERT_EQUAL(trapped, 0);
        inline_rows++;
    }
    CU_ASSERT(inline_rows > 250);
}

/* A block of nothing but one instruction, in any rounding mode, fits: it is translated once,
 * and nothing is given up for it. */
static void test_long_blocks(void)
{
    enum { WORDS = 2 * BLOCK_STEPS_MAX };
    uint32_t code[WORDS + 1];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t word = word_of(&rows[i]);
        bool rounds = (rows[i].mask & 0x7000) == 0 && (word & 0x7000) == 0x7000;
        struct machine m;

        if (is_other(&rows[i]) || is_stepped(rows[i].id))
            continue;
        for (unsigned n = 0; n < WORDS; n++)
            code[n] = rounds && n % 2 ? word & ~0x7000u : word;
        code[WORDS] = AS_J(ZERO, -4 * WORDS);
        machine_init(&m, START_FIRMWARE, 1);
        machine_put(&m, CODE, code, WORDS + 1);
        put_floats(&m, rows[i].name);
        m.s.menvcfg = RV_ENVCFG_CBZE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBIE;
        m.s.mstatus |= FS_DIRTY;
        m.s.x[S0] = DATA;
        machine_go(&m, PRIV_M, CODE, 10 * WORDS);
        CU_ASSERT_EQUAL(dbt_of(m.h)->evictions, 0);
        CU_ASSERT(dbt_of(m.h)->translations < 8);
        machine_destroy(&m);
    }
}

/* --- locks --- */

/* Of all that is translated: instructions that are locked, and swaps that are tried again. */
struct locks {
    unsigned locked, again;
};

static struct locks count_locks(const struct dbt *d)
{
    const uint8_t *code = d->cache.write + d->cache.fixed;
    struct locks locks = {0};
    cs_insn *insn;
    csh handle;
    size_t n;

    CU_ASSERT_EQUAL_FATAL(cs_open(CS_ARCH_X86, CS_MODE_64, &handle), CS_ERR_OK);
    cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
    n = cs_disasm(handle, code, d->cache.used, 0, 0, &insn);
    CU_ASSERT_FATAL(n > 0);
    CU_ASSERT_EQUAL(insn[n - 1].address + insn[n - 1].size, d->cache.used); /* all of it */
    for (size_t i = 0; i + 1 < n; i++) {
        locks.locked +=
            !strncmp(insn[i].mnemonic, "lock", 4) || !strcmp(insn[i].mnemonic, "xchg");
        locks.again += !strcmp(insn[i].mnemonic, "lock cmpxchg") &&
                       !strcmp(insn[i + 1].mnemonic, "jne") &&
                       (uint64_t)insn[i + 1].detail->x86.operands[0].imm < insn[i].address;
    }
    cs_free(insn, n);
    cs_close(&handle);
    return locks;
}

static struct locks locks_of(uint32_t word, unsigned harts)
{
    struct machine m;
    struct locks locks;

    machine_init(&m, START_FIRMWARE, harts);
    PUT(&m, CODE, word, AS_I(addi, A1, A1, 1), AS_J(ZERO, -8));
    m.s.x[S0] = DATA;
    machine_go(&m, PRIV_M, CODE, 300);
    CU_ASSERT(dbt_hart_of(m.h)->stepped <= 2);
    locks = count_locks(dbt_of(m.h));
    machine_destroy(&m);
    return locks;
}

/* What is atomic is locked for several harts and not for one; fences are there for both. */
static void test_locks(void)
{
    /* Those without an instruction of the host's try again until nobody came between. */
    enum { FIRST_AGAIN = 6, LAST_AGAIN = 20 };
    static const enum rv_insn_id atomics[] = {
        RV_INSN_sc_w,      RV_INSN_sc_d,      RV_INSN_amoswap_w, RV_INSN_amoswap_d,
        RV_INSN_amoadd_w,  RV_INSN_amoadd_d,  RV_INSN_amoxor_w,  RV_INSN_amoxor_d,
        RV_INSN_amoand_w,  RV_INSN_amoand_d,  RV_INSN_amoor_w,   RV_INSN_amoor_d,
        RV_INSN_amomin_w,  RV_INSN_amomin_d,  RV_INSN_amomax_w,  RV_INSN_amomax_d,
        RV_INSN_amominu_w, RV_INSN_amominu_d, RV_INSN_amomaxu_w, RV_INSN_amomaxu_d,
        RV_INSN_amocas_w,  RV_INSN_amocas_d};
    enum {
        FENCE_RW_RW = 0x0330000f,
        FENCE_W_R = 0x0120000f,
        FENCE_W_W = 0x0110000f,
        FENCE_R_RW = 0x0230000f
    };

    for (size_t i = 0; i < sizeof(atomics) / sizeof(atomics[0]); i++) {
        CU_ASSERT_EQUAL(locks_of(as_r(atomics[i], A0, S0, A2), 1).locked, 0);
        CU_ASSERT_EQUAL(locks_of(as_r(atomics[i], A0, S0, A2), 2).locked, 1);
        CU_ASSERT_EQUAL(locks_of(as_r(atomics[i], A0, S0, A2), 2).again,
                        i >= FIRST_AGAIN && i < LAST_AGAIN);
    }
    for (unsigned harts = 1; harts <= 2; harts++) {
        CU_ASSERT_EQUAL(locks_of(FENCE_RW_RW, harts).locked, 1);
        CU_ASSERT_EQUAL(locks_of(FENCE_W_R, harts).locked, 1);
        CU_ASSERT_EQUAL(locks_of(FENCE_W_W, harts).locked, 0); /* x86 orders these by itself */
        CU_ASSERT_EQUAL(locks_of(FENCE_R_RW, harts).locked, 0);
    }
}

static int use_dbt(void)
{
    machine_use(MACHINE_DBT);
    return 0;
}

static int use_interp(void)
{
    machine_use(MACHINE_INTERP);
    return 0;
}

#endif

void suite_dbt_inline(void)
{
#ifdef TOLLGATE_DBT
    CU_pSuite suite = CU_add_suite("dbt_inline", use_dbt, use_interp);

    CU_add_test(suite, "instructions with code of their own", test_rows);
    CU_add_test(suite, "blocks of one instruction", test_long_blocks);
    CU_add_test(suite, "locks and fences", test_locks);
#endif
}
