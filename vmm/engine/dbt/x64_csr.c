/* x64_csr.c: the CSRs that kernels touch all the time, in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "vmm/engine/riscv/csr.h"
#include "vmm/observe.h"

static bool is_immediate(unsigned id)
{
    return id == RV_INSN_csrrwi || id == RV_INSN_csrrsi || id == RV_INSN_csrrci;
}

static bool is_write(unsigned id)
{
    return id == RV_INSN_csrrw || id == RV_INSN_csrrwi;
}

static bool is_set(unsigned id)
{
    return id == RV_INSN_csrrs || id == RV_INSN_csrrsi;
}

/* x0, or an immediate of 0, asks set and clear not to write at all ("Zicsr"). */
static bool only_reads(const struct target_block *b, unsigned id)
{
    return !is_write(id) && b->op->rs1 == 0;
}

/* rcx = the operand: a register's value or five bits. */
static void operand(struct target_block *b)
{
    if (is_immediate(b->op->code >> 1))
        x64_mov_imm(&b->code, RCX, b->op->rs1);
    else
        x64_get(b, RCX, b->op->rs1);
}

/* rcx = what is to be written, of the operand and the old value in rax, which stays. */
static void combine(struct target_block *b, unsigned id)
{
    operand(b);
    if (is_set(id))
        x64_rr(&b->code, X64_OR, RCX, RAX);
    else if (!is_write(id))
        x64_vrr(&b->code, X64_ANDN, RCX, RCX, RAX);
}

/* rax = mstatus as sstatus shows it. Uses rcx. */
static void sstatus_show(struct target_block *b)
{
    struct x64_code *c = &b->code;
    uint8_t *clean;

    x64_mov_imm(c, RCX, X64_SSTATUS_BITS);
    x64_rr(c, X64_AND, RAX, RCX);
    x64_rr(c, X64_MOV32, RCX, RAX);
    x64_ri(c, ALU_AND, false, RCX, RV_FS);
    x64_ri(c, ALU_CMP, false, RCX, RV_FS);
    clean = x64_jcc(c, CC_NE, NULL);
    x64_bit(c, BIT_BTS, RAX, 63); /* SD */
    if (!c->full)
        x64_link(clean, c->at);
}

/*
 * Interrupts off and on, by csrrci and csrrsi, more often than all else of sstatus together: in
 * line. On while one is pending is the interpreter's.
 */
static void lower_interrupts(struct target_block *b, bool on)
{
    struct x64_code *c = &b->code;

    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_ri(c, ALU_CMP, false, RAX, PRIV_S);
    x64_step_if(b, CC_NE);
    if (on) {
        x64_rm(c, X64_MOV, RAX, HART(mip));
        x64_rm(c, X64_AND, RAX, HART(mie));
        x64_step_if(b, CC_NE);
        x64_rm(c, X64_MOVZX8, RAX, HART(seip_soft));
        x64_rr(c, X64_TEST, RAX, RAX);
        x64_step_if(b, CC_NE);
    }
    x64_rm(c, X64_MOV, RAX, HART(mstatus));
    if (on)
        x64_mi(c, ALU_OR, true, HART(mstatus), RV_SIE);
    else
        x64_mi(c, ALU_AND, true, HART(mstatus), ~(int32_t)RV_SIE);
    if (b->op->rd == RV_REG_SINK)
        return;
    sstatus_show(b);
    x64_put(b, b->op->rd, RAX);
}

static bool lower_sstatus(struct target_block *b, unsigned id)
{
    uint32_t stub = is_write(id) ? b->dbt->stub_write
                    : is_set(id) ? b->dbt->stub_set
                                 : b->dbt->stub_clear;
    bool plain = b->dbt->without & WITHOUT_SYSTEM;

    if (is_write(id) && plain)
        return false;
    if (is_immediate(id) && !is_write(id) && b->op->rs1 == RV_SIE && !plain) {
        lower_interrupts(b, is_set(id));
        return true;
    }
    operand(b);
    x64_call(&b->code, x64_at(b, stub));
    x64_rr(&b->code, X64_TEST, RDX, RDX);
    x64_step_if(b, CC_E);
    x64_put(b, b->op->rd, RAX);
    /* FS may be another from here on. */
    if (!only_reads(b, id) && (is_write(id) || !is_immediate(id)))
        b->fp_on = b->fp_dirty = b->fp_live = false;
    return true;
}

/* Below that privilege the instruction is illegal, which is the interpreter's. */
static void demand(struct target_block *b, unsigned priv)
{
    x64_rm(&b->code, X64_MOVZX8, RAX, HART(priv));
    x64_ri(&b->code, ALU_CMP, false, RAX, (int32_t)priv);
    x64_step_if(b, CC_B);
}

/*
 * Those that are nothing but a place to keep a value, of which the bits in `keeps` (sign-
 * extended) can be other than zero.
 */
static bool lower_plain(struct target_block *b, unsigned id, struct x64_mem place,
                        unsigned priv, int32_t keeps)
{
    struct x64_code *c = &b->code;
    bool old = !is_write(id) || b->op->rd != RV_REG_SINK;

    demand(b, priv);
    if (old)
        x64_rm(c, X64_MOV, RAX, place);
    if (!only_reads(b, id)) {
        combine(b, id);
        if (keeps != -1)
            x64_ri(c, ALU_AND, true, RCX, keeps);
        x64_rm(c, X64_STORE, RCX, place);
    }
    if (old)
        x64_put(b, b->op->rd, RAX);
    return true;
}

/*
 * sie is the part of mie that is delegated. A write after which an interrupt would be taken is
 * the interpreter's.
 */
static bool lower_sie(struct target_block *b, unsigned id)
{
    struct x64_code *c = &b->code;

    demand(b, PRIV_S);
    x64_rm(c, X64_MOV, RAX, HART(mie));
    x64_rm(c, X64_AND, RAX, HART(mideleg));
    if (!only_reads(b, id)) {
        combine(b, id);
        x64_rr(c, X64_XOR, RCX, RAX);
        x64_rm(c, X64_AND, RCX, HART(mideleg)); /* the bits that change */
        x64_rm(c, X64_XOR, RCX, HART(mie));
        x64_rm(c, X64_MOV, RDX, HART(mip));
        x64_rr(c, X64_AND, RDX, RCX);
        x64_step_if(b, CC_NE);
        x64_rm(c, X64_MOVZX8, RDX, HART(seip_soft));
        x64_rr(c, X64_TEST, RDX, RDX);
        x64_step_if(b, CC_NE);
        x64_rm(c, X64_STORE, RCX, HART(mie));
    }
    x64_put(b, b->op->rd, RAX);
    return true;
}

static bool lower_sip(struct target_block *b, unsigned id)
{
    struct x64_code *c = &b->code;

    if (!only_reads(b, id))
        return false;
    demand(b, PRIV_S);
    x64_rm(c, X64_MOVZX8, RAX, HART(seip_soft));
    x64_shift(c, SHIFT_SHL, false, RAX, IRQ_S_EXT);
    x64_rm(c, X64_OR, RAX, HART(mip));
    x64_rm(c, X64_AND, RAX, HART(mideleg));
    x64_put(b, b->op->rd, RAX);
    return true;
}

/* Reads, and writes of the value that is there. */
static bool lower_satp(struct target_block *b, unsigned id)
{
    struct x64_code *c = &b->code;

    if (!is_write(id) && !only_reads(b, id))
        return false;
    demand(b, PRIV_S);
    x64_test_imm(c, HART(mstatus), RV_TVM);
    x64_step_if(b, CC_NE);
    x64_rm(c, X64_MOV, RAX, HART(satp));
    if (is_write(id)) {
        operand(b);
        x64_rr(c, X64_CMP, RAX, RCX);
        x64_step_if(b, CC_NE);
    }
    x64_put(b, b->op->rd, RAX);
    return true;
}

/* The counter of the instruction, unless it is kept from this privilege. Uses rax. */
static void demand_counter(struct target_block *b)
{
    struct x64_code *c = &b->code;
    int32_t bit = 1 << (b->op->imm & 31);
    uint8_t *above;

    x64_test_imm(c, HART(mcounteren), bit);
    x64_step_if(b, CC_E);
    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_rr(c, X64_TEST, RAX, RAX);
    above = x64_jcc(c, CC_NE, NULL);
    x64_test_imm(c, HART(scounteren), bit);
    x64_step_if(b, CC_E);
    if (!c->full)
        x64_link(above, c->at);
}

/*
 * cycle and instret: what is written to them, and the instructions retired before this one
 * (csr.c, counter_read), unless they are kept from this privilege or stand still.
 */
static bool lower_counter(struct target_block *b, unsigned id, struct x64_mem base)
{
    struct x64_code *c = &b->code;

    if (!only_reads(b, id))
        return false;
    x64_test_imm(c, HART(mcountinhibit), 1 << (b->op->imm & 31));
    x64_step_if(b, CC_NE);
    demand_counter(b);
    x64_rm(c, X64_MOV, RAX, HART(steps));
    x64_rm(c, X64_ADD, RAX, HART(chunk));
    x64_rr(c, X64_SUB, RAX, REG_LEFT);
    x64_rm(c, X64_SUB, RAX, HART(unretired));
    x64_rm(c, X64_ADD, RAX, base);
    if (b->steps > 1)
        x64_ri(c, ALU_ADD, true, RAX, (int32_t)b->steps - 1);
    x64_put(b, b->op->rd, RAX);
    return true;
}

/* The host's clock, by a call: what it shows is what timers are compared with, so it is asked
 * by the same function (docs/translator.md). */
static bool lower_time(struct target_block *b, unsigned id)
{
    if (!only_reads(b, id) || b->dbt->without & WITHOUT_TIME)
        return false;
    demand_counter(b);
    x64_rm(&b->code, X64_LEA, RDX, X64_MEM(REG_LEFT, -(int32_t)b->steps));
    x64_call(&b->code, x64_at(b, b->dbt->stub_time));
    x64_f_forget(b);
    x64_put(b, b->op->rd, RAX);
    return true;
}

/*
 * fflags, which gcc reads and writes around each comparison that may find a NaN. It is what the
 * hart keeps and what the host has raised since; a write leaves the host's alone as long as
 * that says nothing more than what is written.
 */
static bool lower_fflags(struct target_block *b, unsigned id)
{
    enum { HOST_FLAGS = 0x3f, FLAGS = 0x1f };
    struct x64_code *c = &b->code;
    uint8_t *over;

    x64_fp_begin(b);
    x64_stmxcsr(c, HART(mxcsr));
    x64_rm(c, X64_MOV32, RAX, HART(mxcsr));
    x64_ri(c, ALU_AND, false, RAX, HOST_FLAGS);
    x64_lea_rip(c, RDX, b->dbt->flags);
    x64_rm(c, X64_MOVZX8, RDX, X64_INDEXED(RDX, RAX, 0, 0));
    x64_rm(c, X64_MOVZX8, RAX, HART(fp.flags));
    x64_rr(c, X64_OR32, RAX, RDX);
    if (!only_reads(b, id)) {
        combine(b, id);
        x64_ri(c, ALU_AND, false, RCX, FLAGS);
        x64_rm(c, X64_STORE8, RCX, HART(fp.flags));
        x64_vrr(c, X64_ANDN, RDX, RCX, RDX);
        over = x64_jcc(c, CC_E, NULL);
        x64_mi(c, ALU_AND, false, HART(mxcsr), ~HOST_FLAGS);
        x64_ldmxcsr(c, HART(mxcsr));
        x64_land(b, over);
    }
    x64_put(b, b->op->rd, RAX);
    return true;
}

/* What csr.c keeps of scounteren. */
#define COUNTERS ((int32_t)(7u | RV_HPM_MASK))

bool x64_lower_csr(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    if (id < RV_INSN_csrrw || id > RV_INSN_csrrci)
        return false;
    /* Who watches is told by the interpreter's function, and was there before the hart ran. */
    if (hart_watched(&b->dbt->vm->hart[0], WATCH_CSR))
        return false;
    if (b->op->imm == CSR_SSTATUS)
        return lower_sstatus(b, id);
    if (b->dbt->without & WITHOUT_SYSTEM)
        return false;
    switch (b->op->imm) {
    case CSR_FFLAGS: return lower_fflags(b, id);
    case CSR_SSCRATCH: return lower_plain(b, id, HART(sscratch), PRIV_S, -1);
    case CSR_SEPC: return lower_plain(b, id, HART(sepc), PRIV_S, -2);
    case CSR_SCAUSE: return lower_plain(b, id, HART(scause), PRIV_S, -1);
    case CSR_STVAL: return lower_plain(b, id, HART(stval), PRIV_S, -1);
    case CSR_STVEC: return lower_plain(b, id, HART(stvec), PRIV_S, ~2);
    case CSR_SCOUNTEREN: return lower_plain(b, id, HART(scounteren), PRIV_S, COUNTERS);
    case CSR_SIE: return lower_sie(b, id);
    case CSR_SIP: return lower_sip(b, id);
    case CSR_SATP: return lower_satp(b, id);
    case CSR_CYCLE: return lower_counter(b, id, HART(cycle_base));
    case CSR_TIME: return lower_time(b, id);
    case CSR_INSTRET: return lower_counter(b, id, HART(instret_base));
    case CSR_MSCRATCH: return lower_plain(b, id, HART(mscratch), PRIV_M, -1);
    case CSR_MEPC: return lower_plain(b, id, HART(mepc), PRIV_M, -2);
    case CSR_MCAUSE: return lower_plain(b, id, HART(mcause), PRIV_M, -1);
    case CSR_MTVAL: return lower_plain(b, id, HART(mtval), PRIV_M, -1);
    default: return false;
    }
}
