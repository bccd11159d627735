/* x64_csr.c: the CSRs that kernels touch all the time, in x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "vmm/observe.h"

enum {
    CSR_SSTATUS = 0x100,
    CSR_SSCRATCH = 0x140,
    CSR_SEPC = 0x141,
    CSR_SCAUSE = 0x142,
    CSR_STVAL = 0x143,
};

static bool is_immediate(unsigned id)
{
    return id == RV_INSN_csrrwi || id == RV_INSN_csrrsi || id == RV_INSN_csrrci;
}

/* rcx = the operand: a register's value or five bits. */
static void operand(struct target_block *b)
{
    if (is_immediate(b->op->code >> 1))
        x64_mov_imm(&b->code, RCX, b->op->rs1);
    else
        x64_get(b, RCX, b->op->rs1);
}

static bool lower_sstatus(struct target_block *b, unsigned id)
{
    bool set = id == RV_INSN_csrrs || id == RV_INSN_csrrsi;

    if (id == RV_INSN_csrrw || id == RV_INSN_csrrwi)
        return false;
    operand(b);
    x64_call(&b->code, x64_at(b, set ? b->dbt->stub_set : b->dbt->stub_clear));
    x64_rr(&b->code, X64_TEST, RDX, RDX);
    x64_step_if(b, CC_E);
    x64_put(b, b->op->rd, RAX);
    return true;
}

/* Reads, and writes of all bits, of those that are nothing but a place to keep a value. */
static bool lower_plain(struct target_block *b, unsigned id, struct x64_mem place)
{
    struct x64_code *c = &b->code;
    bool write = id == RV_INSN_csrrw || id == RV_INSN_csrrwi;

    if (!write && b->op->rs1 != 0)
        return false;
    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_rr(c, X64_TEST, RAX, RAX);
    x64_step_if(b, CC_E); /* U-mode: illegal */
    if (write)
        operand(b);
    if (b->op->rd != RV_REG_SINK)
        x64_rm(c, X64_MOV, RAX, place);
    if (write && b->op->imm == CSR_SEPC)
        x64_ri(c, ALU_AND, true, RCX, -2);
    if (write)
        x64_rm(c, X64_STORE, RCX, place);
    x64_put(b, b->op->rd, RAX);
    return true;
}

bool x64_lower_csr(struct target_block *b)
{
    unsigned id = b->op->code >> 1;

    if (id < RV_INSN_csrrw || id > RV_INSN_csrrci)
        return false;
    /* Who watches is told by the interpreter's function, and was there before the hart ran. */
    if (hart_watched(b->dbt->in->hart.hart, WATCH_CSR))
        return false;
    switch (b->op->imm) {
    case CSR_SSTATUS: return lower_sstatus(b, id);
    case CSR_SSCRATCH: return lower_plain(b, id, HART(sscratch));
    case CSR_SEPC: return lower_plain(b, id, HART(sepc));
    case CSR_SCAUSE: return lower_plain(b, id, HART(scause));
    case CSR_STVAL: return lower_plain(b, id, HART(stval));
    default: return false;
    }
}
