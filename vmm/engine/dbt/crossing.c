/* crossing.c: what translated code leaves to the monitor: each instruction by a function. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

#include "vmm/engine/riscv/csr.h"

static enum crossed leave(struct rv_hart *h)
{
    dbt_hart_of(h)->leaving = true;
    return CROSSED_LEAVE;
}

static enum crossed trap(struct rv_hart *h)
{
    return interp_take_trap(h) ? CROSSED_AHEAD : leave(h);
}

static enum crossed illegal(struct rv_hart *h, const struct rv_op *op)
{
    h->trap_cause = RV_ILLEGAL;
    h->trap_tval = interp_word(op);
    return trap(h);
}

/* Behind the instruction, where requests and interrupts are looked at. */
static enum crossed behind(struct rv_hart *h, const struct rv_op *op)
{
    h->pc += op_length(op);
    return LIKELY(dbt_quiet(h)) ? CROSSED_ON : CROSSED_AHEAD;
}

/* --- loads and stores that miss the TLB --- */

static enum crossed after_access(struct rv_hart *h, const struct rv_op *op)
{
    if (UNLIKELY(h->device_access || h->hpm.look)) {
        h->device_access = false;
        return behind(h, op);
    }
    h->pc += op_length(op);
    return CROSSED_ON;
}

static uint64_t address(const struct rv_hart *h, const struct rv_op *op)
{
    return h->x[op->rs1] + (uint64_t)(int64_t)op->imm;
}

/* Of a constant size; `sign`: the bits above it are copies of its highest. */
INLINE enum crossed load(struct rv_hart *h, const struct rv_op *op, unsigned size, bool sign)
{
    uint64_t value;

    if (rv_load_slow(h, address(h, op), size, &value) != RV_NO_TRAP)
        return trap(h);
    if (sign)
        value = (uint64_t)((int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
    h->x[op->rd] = value;
    return after_access(h, op);
}

INLINE enum crossed store(struct rv_hart *h, const struct rv_op *op, unsigned size)
{
    if (rv_store_slow(h, address(h, op), size, h->x[op->rd]) != RV_NO_TRAP)
        return trap(h);
    return after_access(h, op);
}

#define CROSS_LOAD(name, size, sign)                                                           \
    static enum crossed cross_##name(struct rv_hart *h, const struct rv_op *op)                \
    {                                                                                          \
        return load(h, op, size, sign);                                                        \
    }
#define CROSS_STORE(name, size)                                                                \
    static enum crossed cross_##name(struct rv_hart *h, const struct rv_op *op)                \
    {                                                                                          \
        return store(h, op, size);                                                             \
    }

CROSS_LOAD(lb, 1, true)
CROSS_LOAD(lh, 2, true)
CROSS_LOAD(lw, 4, true)
CROSS_LOAD(ld, 8, false)
CROSS_LOAD(lbu, 1, false)
CROSS_LOAD(lhu, 2, false)
CROSS_LOAD(lwu, 4, false)
CROSS_STORE(sb, 1)
CROSS_STORE(sh, 2)
CROSS_STORE(sw, 4)
CROSS_STORE(sd, 8)

/* --- calls, traps, returns --- */

static enum crossed cross_ecall(struct rv_hart *h, const struct rv_op *op)
{
    const struct interp *in = interp_of(h);

    h->trap_cause = RV_ECALL_U + h->priv;
    h->trap_tval = 0;
    if (!in->program && !(in->kernel && h->priv == PRIV_S))
        return trap(h);
    switch (interp_call(h, op)) {
    case END_NEXT: return CROSSED_ON;
    case END_LOOK: return CROSSED_AHEAD;
    case END_TRAP: return trap(h);
    default: return leave(h);
    }
}

static enum crossed cross_ebreak(struct rv_hart *h, const struct rv_op *op)
{
    (void)op;
    h->trap_cause = RV_BREAKPOINT;
    h->trap_tval = h->pc;
    return trap(h);
}

static enum crossed cross_sret(struct rv_hart *h, const struct rv_op *op)
{
    return rv_sret(h) == 0 ? CROSSED_AHEAD : illegal(h, op);
}

static enum crossed cross_mret(struct rv_hart *h, const struct rv_op *op)
{
    return rv_mret(h) == 0 ? CROSSED_AHEAD : illegal(h, op);
}

/* --- CSRs and fences --- */

/*
 * May code go on behind a write of this CSR? Not when it can change where fetches lead, or what
 * the block takes for granted of floating point.
 */
static bool csr_stays(const struct rv_hart *h, unsigned csr, uint64_t satp, uint64_t mstatus)
{
    switch (csr) {
    case CSR_SSTATUS:
    case CSR_MSTATUS: return ((mstatus ^ h->mstatus) & RV_FS) == 0;
    case CSR_SATP: return h->satp == satp;
    case CSR_SIE:
    case CSR_STVEC:
    case CSR_SCOUNTEREN:
    case CSR_SENVCFG:
    case CSR_SIP:
    case CSR_STIMECMP:
    case CSR_MEDELEG:
    case CSR_MIDELEG:
    case CSR_MIE:
    case CSR_MTVEC:
    case CSR_MCOUNTEREN:
    case CSR_MIP: return true;
    default: return false;
    }
}

static enum crossed cross_csr(struct rv_hart *h, const struct rv_op *op)
{
    uint64_t satp = h->satp, mstatus = h->mstatus;

    switch (interp_csr(h, op)) {
    case END_NEXT: h->pc += op_length(op); return CROSSED_ON;
    case END_LOOK: break;
    default: return trap(h);
    }
    if (csr_stays(h, (unsigned)op->imm, satp, mstatus))
        return behind(h, op);
    h->pc += op_length(op);
    return CROSSED_AHEAD;
}

uint64_t dbt_time(const struct rv_hart *h)
{
    return clock_ticks(&h->vm->clock);
}

static enum crossed cross_sfence(struct rv_hart *h, const struct rv_op *op)
{
    if (interp_sfence(h, op) != 0)
        return illegal(h, op);
    h->pc += op_length(op);
    return CROSSED_AHEAD;
}

dbt_crossing *const dbt_crossings[RV_INSNS] = {
    [RV_INSN_lb] = cross_lb,
    [RV_INSN_lh] = cross_lh,
    [RV_INSN_lw] = cross_lw,
    [RV_INSN_ld] = cross_ld,
    [RV_INSN_lbu] = cross_lbu,
    [RV_INSN_lhu] = cross_lhu,
    [RV_INSN_lwu] = cross_lwu,
    [RV_INSN_sb] = cross_sb,
    [RV_INSN_sh] = cross_sh,
    [RV_INSN_sw] = cross_sw,
    [RV_INSN_sd] = cross_sd,
    [RV_INSN_ILLEGAL] = illegal,
    [RV_INSN_ecall] = cross_ecall,
    [RV_INSN_ebreak] = cross_ebreak,
    [RV_INSN_sret] = cross_sret,
    [RV_INSN_mret] = cross_mret,
    [RV_INSN_csrrw] = cross_csr,
    [RV_INSN_csrrs] = cross_csr,
    [RV_INSN_csrrc] = cross_csr,
    [RV_INSN_csrrwi] = cross_csr,
    [RV_INSN_csrrsi] = cross_csr,
    [RV_INSN_csrrci] = cross_csr,
    [RV_INSN_sfence_vma] = cross_sfence,
    [RV_INSN_sinval_vma] = cross_sfence,
};
