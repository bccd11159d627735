/* x64_system.c: traps into S-mode and returns from them in x86-64, without leaving the code. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include "vmm/observe.h"

/*
 * Where an instruction jumps to one of these stubs, rax is its op, rcx the steps of the block
 * before it, rdx its pc. What is not the usual case goes to the interpreter's functions, before
 * anything has changed. rbx is free too: it is loaded anew with the context.
 */
struct exits {
    uint8_t *site[8];
    unsigned n;
};

static void exit_if(struct x64_code *c, struct exits *exits, enum x64_cond cc)
{
    exits->site[exits->n++] = x64_jcc(c, cc, NULL);
}

static void exits_land(struct x64_code *c, const struct exits *exits)
{
    for (unsigned i = 0; i < exits->n; i++)
        x64_link(exits->site[i], c->at);
}

/* Counters of instructions must see each change of privilege, those of traps each trap. */
static void test_counters(struct x64_code *c, struct exits *slow, bool traps)
{
    x64_mi(c, ALU_CMP, false, HART(hpm.retiring), 0);
    exit_if(c, slow, CC_NE);
    if (!traps)
        return;
    x64_mi(c, ALU_CMP, false, HART(hpm.occurring), 0);
    exit_if(c, slow, CC_NE);
}

static void take_steps(struct x64_code *c)
{
    x64_rr(c, X64_SUB, REG_LEFT, RCX);
    x64_ri(c, ALU_SUB, true, REG_LEFT, 1);
}

/* The instruction by its function, then out, or on as stub_step decides. */
static void slow_way(struct dbt *d, struct x64_code *c, const struct exits *slow)
{
    exits_land(c, slow);
    x64_call(c, d->cache.write + d->stub_step);
    x64_rm(c, X64_MOV, RAX, HART(pc));
    x64_rm(c, X64_MOV, REG_LEFT, HART(left));
    x64_jmp(c, d->cache.write + d->stub_leave);
}

/* On at rax, in another privilege: by the fetch table, unless no steps are left. */
static void go_on(struct dbt *d, struct x64_code *c)
{
    const uint8_t *leave = d->cache.write + d->stub_leave;

    x64_calls_forget(c);
    x64_rr(c, X64_TEST, REG_LEFT, REG_LEFT);
    x64_jcc(c, CC_LE, leave);
    x64_lookup(d, c);
}

/* The tables of S-mode: rbx and the hart's. `mstatus` is stored already. Uses rcx and rdx. */
static void context_s(struct x64_code *c)
{
    x64_rm(c, X64_MOV, REG_TLB, HART(space));
    x64_rm(c, X64_LEA, RCX, X64_MEM(REG_TLB, offsetof(struct rv_space, fetch[PRIV_S])));
    x64_rm(c, X64_STORE, RCX, HART(fetch));
    x64_rm(c, X64_LEA, RDX, X64_MEM(REG_TLB, offsetof(struct rv_space, tlb[RV_CTX_S_SUM])));
    x64_ri(c, ALU_ADD, true, REG_TLB, (int32_t)offsetof(struct rv_space, tlb[RV_CTX_S]));
    x64_test_imm(c, HART(mstatus), RV_SUM);
    x64_rr(c, X64_CMOVNE, REG_TLB, RDX);
    x64_rm(c, X64_STORE, REG_TLB, HART(tlb));
}

/*
 * An exception that is delegated to S-mode (privileged specification, section 12.1.1), as
 * rv_trap does it: from U-mode; of a breakpoint from S-mode too.
 */
static void emit_trap(struct dbt *d, struct x64_code *c, unsigned cause)
{
    struct exits slow = {.n = 0};
    bool breakpoint = cause == RV_BREAKPOINT;

    test_counters(c, &slow, true);
    x64_test_imm(c, HART(medeleg), 1 << cause);
    exit_if(c, &slow, CC_E);
    take_steps(c);
    x64_mi(c, ALU_ADD, true, HART(unretired), 1);
    x64_store_imm(c, true, HART(reserve_host), -1); /* RV_NO_RESERVATION */
    x64_rm(c, X64_STORE, RDX, HART(sepc));
    x64_store_imm(c, true, HART(scause), (int32_t)cause);
    if (breakpoint)
        x64_rm(c, X64_STORE, RDX, HART(stval));
    else
        x64_store_imm(c, true, HART(stval), 0);
    /* SIE becomes SPIE, and SPP the privilege. */
    x64_rm(c, X64_MOV, RAX, HART(mstatus));
    x64_rr(c, X64_MOV32, RCX, RAX);
    x64_ri(c, ALU_AND, false, RCX, RV_SIE);
    x64_shift(c, SHIFT_SHL, false, RCX, 4);
    x64_ri(c, ALU_AND, true, RAX, ~(int32_t)(RV_SPP | RV_SPIE | RV_SIE));
    x64_rr(c, X64_OR, RAX, RCX);
    if (breakpoint) {
        x64_rm(c, X64_MOVZX8, RCX, HART(priv));
        x64_shift(c, SHIFT_SHL, false, RCX, 8);
        x64_rr(c, X64_OR, RAX, RCX);
    }
    x64_rm(c, X64_STORE, RAX, HART(mstatus));
    x64_mov_imm(c, RCX, PRIV_S);
    x64_rm(c, X64_STORE8, RCX, HART(priv));
    context_s(c);
    x64_rm(c, X64_MOV, RAX, HART(stvec));
    x64_ri(c, ALU_AND, true, RAX, -4);
    go_on(d, c);
    slow_way(d, c, &slow);
}

/* What would be taken at once: requests, or an interrupt that is enabled and pending. */
static void test_quiet(struct x64_code *c, struct exits *look)
{
    x64_rm(c, X64_MOV, RCX, HART(mip));
    x64_rm(c, X64_AND, RCX, HART(mie));
    exit_if(c, look, CC_NE);
    x64_rm(c, X64_MOVZX8, RCX, HART(seip_soft));
    x64_rr(c, X64_TEST, RCX, RCX);
    exit_if(c, look, CC_NE);
    x64_rm(c, X64_MOV, RCX, HART(hart));
    x64_mi(c, ALU_CMP, false, X64_MEM(RCX, offsetof(struct hart, requests)), 0);
    exit_if(c, look, CC_NE);
}

/* sret in S-mode, as rv_sret does it. Who is left looks at what test_quiet finds. */
static void emit_sret(struct dbt *d, struct x64_code *c)
{
    struct exits slow = {.n = 0}, look = {.n = 0};
    uint8_t *to_s, *both;

    d->stub_sret = x64_offset(d, c);
    test_counters(c, &slow, false);
    x64_test_imm(c, HART(mstatus), RV_TSR);
    exit_if(c, &slow, CC_NE);
    take_steps(c);
    /* SPIE becomes SIE, SPP the privilege. */
    x64_rm(c, X64_MOV, RAX, HART(mstatus));
    x64_rr(c, X64_MOV32, RCX, RAX);
    x64_shift(c, SHIFT_SHR, false, RCX, 4);
    x64_ri(c, ALU_AND, false, RCX, RV_SIE);
    x64_rr(c, X64_MOV32, RDX, RAX);
    x64_shift(c, SHIFT_SHR, false, RDX, 8);
    x64_ri(c, ALU_AND, false, RDX, 1);
    x64_ri(c, ALU_AND, true, RAX, ~(int32_t)(RV_SPP | RV_SIE | RV_MPRV));
    x64_ri(c, ALU_OR, true, RAX, RV_SPIE);
    x64_rr(c, X64_OR, RAX, RCX);
    x64_rm(c, X64_STORE, RAX, HART(mstatus));
    x64_rm(c, X64_STORE8, RDX, HART(priv));
    x64_rm(c, X64_MOV, RAX, HART(sepc));
    x64_rr(c, X64_TEST, RDX, RDX);
    to_s = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, X64_MOV, REG_TLB, HART(space));
    x64_rm(c, X64_LEA, RCX, X64_MEM(REG_TLB, offsetof(struct rv_space, fetch[PRIV_U])));
    x64_rm(c, X64_STORE, RCX, HART(fetch));
    x64_ri(c, ALU_ADD, true, REG_TLB, (int32_t)offsetof(struct rv_space, tlb[RV_CTX_U]));
    x64_rm(c, X64_STORE, REG_TLB, HART(tlb));
    both = x64_jmp(c, NULL);
    x64_link(to_s, c->at);
    context_s(c);
    x64_link(both, c->at);
    test_quiet(c, &look);
    go_on(d, c);
    exits_land(c, &look);
    x64_jmp(c, d->cache.write + d->stub_leave);
    slow_way(d, c, &slow);
}

void x64_system_stubs(struct dbt *d, struct x64_code *c)
{
    d->stub_ecall = x64_offset(d, c);
    emit_trap(d, c, RV_ECALL_U);
    d->stub_ebreak = x64_offset(d, c);
    emit_trap(d, c, RV_BREAKPOINT);
    emit_sret(d, c);
}

/* To a stub, when the privilege is the one (`is`) or is not the other. */
static void jump_to(struct target_block *b, uint32_t stub, unsigned priv, bool is)
{
    struct x64_code *c = &b->code;

    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_ri(c, ALU_CMP, false, RAX, (int32_t)priv);
    x64_step_if(b, is ? CC_NE : CC_E);
    x64_address(b, RDX, (int64_t)b->slot * 2);
    x64_mov_imm(c, RAX, (uintptr_t)b->op);
    x64_mov_imm(c, RCX, b->steps - 1);
    x64_jmp(c, x64_at(b, stub));
}

bool x64_lower_system(struct target_block *b)
{
    const struct dbt *d = b->dbt;

    if ((d->without & WITHOUT_SYSTEM) || d->vm->config->start == START_PROGRAM)
        return false;
    /* Who watches is told by rv_trap and rv_sret. */
    if (hart_watched(&d->vm->hart[0], WATCH_ENGINE))
        return false;
    switch (b->op->code >> 1) {
    case RV_INSN_ecall: jump_to(b, d->stub_ecall, PRIV_U, true); return true;
    case RV_INSN_ebreak: jump_to(b, d->stub_ebreak, PRIV_M, false); return true;
    case RV_INSN_sret: jump_to(b, d->stub_sret, PRIV_S, true); return true;
    default: return false;
    }
}
