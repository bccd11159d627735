/* x64_stubs.c: the ways into and out of translated code on x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a callee keeps (System V ABI, AMD64 supplement, figure 3.4). */
static const uint8_t kept[] = {RBX, RBP, R12, R13, R14, R15};
#define KEPT (sizeof(kept) / sizeof(kept[0]))

/*
 * F16C is bit 29 of ecx in one leaf, LZCNT bit 5 in another (SDM volume 2, CPUID); not every
 * compiler has names for them.
 */
static bool has_more(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 29))
        return false;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 5);
}

int target_probe(char *why, size_t size)
{
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
        __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt") &&
        __builtin_cpu_supports("pclmul") && has_more())
        return 0;
    snprintf(why, size,
             "this processor lacks BMI1, BMI2, F16C, FMA, LZCNT, PCLMULQDQ or POPCNT");
    return -ENOTSUP;
}

static void pins_store(struct x64_code *c)
{
#define X64_PIN(guest, host) x64_rm(c, X64_STORE, host, x64_guest(guest));
    X64_PINS
#undef X64_PIN
}

static void pins_load(struct x64_code *c)
{
#define X64_PIN(guest, host) x64_rm(c, X64_MOV, host, x64_guest(guest));
    X64_PINS
#undef X64_PIN
    x64_rm(c, X64_MOV, REG_TLB, HART(tlb));
}

void x64_calls_forget(struct x64_code *c)
{
    x64_rm(c, X64_MOV, RSP, HART(host_sp));
}

/* Back to who entered; what the hart is to know is stored. */
static void leave(struct x64_code *c)
{
    x64_calls_forget(c);
    x64_ri(c, ALU_ADD, true, RSP, 24);
    for (unsigned i = KEPT; i-- > 0;)
        x64_pop(c, kept[i]);
    x64_ret(c);
}

/* MXCSR as C programs have it: all exceptions masked, to nearest (volume 1, section 10.2.3). */
#define MXCSR_DEFAULT  0x1f80
#define MXCSR_RC_SHIFT 13
#define MXCSR_FLAGS    0x3f

/* The flags of fflags (unprivileged specification, section "F", table of fflags) for the six of
 * MXCSR: invalid, denormal (there is none here), by zero, overflow, underflow, inexact. */
static uint8_t flags_of(unsigned mxcsr)
{
    return (uint8_t)((mxcsr & 1) << 4 | (mxcsr & 4) << 1 | (mxcsr & 8) >> 1 |
                     (mxcsr & 16) >> 3 | (mxcsr & 32) >> 5);
}

static const uint8_t *emit_flags(struct x64_code *c)
{
    const uint8_t *table = c->at;

    for (unsigned i = 0; i <= MXCSR_FLAGS; i++)
        x64_byte(c, flags_of(i));
    return table;
}

/* Takes the FPU back from the guest, its flags to the hart. Uses rax and rcx. */
static void fp_drop(struct x64_code *c, const uint8_t *table)
{
    uint8_t *over;

    x64_test_imm(c, HART(fp_live), 1);
    over = x64_jcc(c, CC_E, NULL);
    x64_stmxcsr(c, HART(mxcsr));
    x64_rm(c, X64_MOV32, RAX, HART(mxcsr));
    x64_ri(c, ALU_AND, false, RAX, MXCSR_FLAGS);
    x64_lea_rip(c, RCX, table);
    x64_rm(c, X64_MOVZX8, RAX, X64_INDEXED(RCX, RAX, 0, 0));
    x64_rm(c, X64_MOVZX8, RCX, HART(fp.flags));
    x64_rr(c, X64_OR32, RAX, RCX);
    x64_rm(c, X64_STORE8, RAX, HART(fp.flags));
    x64_store_imm(c, false, HART(mxcsr), MXCSR_DEFAULT);
    x64_ldmxcsr(c, HART(mxcsr));
    x64_store_imm(c, false, HART(fp_live), 0);
    x64_link(over, c->at);
}

/*
 * Gives the FPU to the guest when FS is dirty and the host has the rounding mode: to nearest,
 * to zero, down and up are 0 to 3 here, and 0, 3, 1 and 2 there. Uses rax and rcx.
 */
static void emit_fp(struct dbt *d, struct x64_code *c)
{
    enum { MODES = 0 | 3 << 2 | 1 << 4 | 2 << 6 };
    uint8_t *off, *none;

    d->stub_fp = x64_offset(d, c);
    x64_rm(c, X64_MOV32, RAX, HART(mstatus));
    x64_ri(c, ALU_AND, false, RAX, RV_FS);
    x64_ri(c, ALU_CMP, false, RAX, RV_FS);
    off = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, X64_MOVZX8, RCX, HART(frm));
    x64_ri(c, ALU_CMP, false, RCX, 3);
    none = x64_jcc(c, CC_A, NULL);
    x64_rr(c, X64_ADD32, RCX, RCX);
    x64_mov_imm(c, RAX, MODES);
    x64_shift_cl(c, SHIFT_SHR, false, RAX);
    x64_ri(c, ALU_AND, false, RAX, 3);
    x64_shift(c, SHIFT_SHL, false, RAX, MXCSR_RC_SHIFT);
    x64_ri(c, ALU_OR, false, RAX, MXCSR_DEFAULT);
    x64_rm(c, X64_STORE32, RAX, HART(mxcsr));
    x64_ldmxcsr(c, HART(mxcsr));
    x64_store_imm(c, false, HART(fp_live), 1);
    x64_link(off, c->at);
    x64_link(none, c->at);
    x64_ret(c);
}

/* At offset 0 of the cache, where entries without code lead; rax is the program counter. */
static void emit_leave(struct dbt *d, struct x64_code *c)
{
    uint8_t *rest;

    d->stub_leave = x64_offset(d, c);
    x64_rm(c, X64_STORE, RAX, HART(pc));
    x64_rm(c, X64_STORE, REG_LEFT, HART(left));
    rest = x64_jmp(c, NULL); /* over the table, which stands near */
    d->flags = emit_flags(c);
    x64_link(rest, c->at);
    pins_store(c);
    fp_drop(c, d->flags);
    leave(c);
}

/* Where returns go that do not find their way back, with the address in rax. */
static void emit_find(struct dbt *d, struct x64_code *c)
{
    d->stub_empty = x64_offset(d, c);
    x64_calls_forget(c);
    d->stub_find = x64_offset(d, c);
    x64_ri(c, ALU_AND, true, RAX, -2);
    x64_lookup(d, c);
    d->stub_even = x64_offset(d, c);
    x64_ri(c, ALU_AND, true, RAX, -2);
    x64_jmp(c, d->cache.write + d->stub_leave);
}

static void emit_enter(struct dbt *d, struct x64_code *c)
{
    d->stub_enter = x64_offset(d, c);
    for (unsigned i = 0; i < KEPT; i++)
        x64_push(c, kept[i]);
    x64_ri(c, ALU_SUB, true, RSP, 8); /* calls from here find the stack aligned */
    x64_rm(c, X64_LEA, REG_HART, X64_MEM(RDI, HART_BIAS));
    x64_rr(c, X64_MOV, RAX, RSI);
    /* The last way back: no instruction's address, and code that looks for the right one. */
    x64_mov_imm(c, RCX, 1);
    x64_push(c, RCX);
    x64_lea_rip(c, RCX, d->cache.write + d->stub_empty);
    x64_push(c, RCX);
    x64_rm(c, X64_STORE, RSP, HART(host_sp));
    x64_rm(c, X64_MOV, REG_LEFT, HART(left));
    pins_load(c);
    x64_jmp_reg(c, RAX);
}

/* Called with the op in rax and the block's steps before it in rcx. */
static void emit_step(struct dbt *d, struct x64_code *c)
{
    uint64_t (*step)(struct rv_hart *, const struct rv_op *, int64_t) = dbt_step;
    uint64_t address;
    uint8_t *ends, *back, *refused, *ahead;

    memcpy(&address, &step, sizeof(address)); /* ISO C has no such conversion */
    d->stub_step = x64_offset(d, c);
    pins_store(c);
    x64_rr(c, X64_MOV, RDX, REG_LEFT);
    x64_rr(c, X64_SUB, RDX, RCX);
    x64_rr(c, X64_MOV, RSI, RAX);
    x64_rm(c, X64_LEA, RDI, X64_MEM(REG_HART, -HART_BIAS));
    x64_rm(c, X64_MOV32, RAX, HART(fp_live));
    x64_push(c, RAX); /* kept, and the stack aligned */
    fp_drop(c, d->flags);
    x64_mov_imm(c, RAX, address);
    x64_call_reg(c, RAX);
    x64_pop(c, RCX);
    x64_rr(c, X64_TEST, RAX, RAX);
    ends = x64_jcc(c, CC_NE, NULL);
    /* A block that had the FPU has it again, or is left. */
    x64_rr(c, X64_TEST, RCX, RCX);
    back = x64_jcc(c, CC_E, NULL);
    x64_call(c, d->cache.write + d->stub_fp);
    x64_test_imm(c, HART(fp_live), 1);
    refused = x64_jcc(c, CC_E, NULL);
    x64_link(back, c->at);
    pins_load(c);
    x64_ret(c);
    x64_link(ends, c->at);
    x64_ri(c, ALU_CMP, true, RAX, STEP_LEAVE);
    ahead = x64_jcc(c, CC_NE, NULL);
    leave(c);
    x64_link(refused, c->at);
    leave(c);
    x64_link(ahead, c->at);
    x64_calls_forget(c);
    x64_rm(c, X64_MOV, REG_LEFT, HART(left));
    x64_rm(c, X64_ADD, RAX, HART(code_base));
    pins_load(c);
    x64_jmp_reg(c, RAX);
}

/* The same, for code that holds f registers: rdx and xmm2 to xmm15 are as before. */
static void emit_keep(struct dbt *d, struct x64_code *c)
{
    const int32_t room = 8 * (int32_t)XMMS + 8; /* the stack stays aligned */

    d->stub_keep = x64_offset(d, c);
    x64_ri(c, ALU_SUB, true, RSP, room);
    for (unsigned i = XMM_HELD; i < XMMS; i++)
        x64_rm(c, X64_STORESD, i, X64_MEM(RSP, 8 * i));
    x64_rm(c, X64_STORE, RDX, X64_MEM(RSP, 0));
    x64_call(c, d->cache.write + d->stub_step);
    for (unsigned i = XMM_HELD; i < XMMS; i++)
        x64_rm(c, X64_MOVSD, i, X64_MEM(RSP, 8 * i));
    x64_rm(c, X64_MOV, RDX, X64_MEM(RSP, 0));
    x64_ri(c, ALU_ADD, true, RSP, room);
    x64_ret(c);
}

enum x64_sstatus { SSTATUS_SET, SSTATUS_CLEAR, SSTATUS_REPLACE };

/* The bits that are written. */
#define SSTATUS_WRITE (RV_SIE | RV_SPIE | RV_SPP | RV_FS | RV_SUM | RV_MXR)

/* rdx = the bits that change, of the old value in rax and the operand in rcx. */
static void sstatus_change(struct x64_code *c, enum x64_sstatus how)
{
    switch (how) {
    case SSTATUS_SET: x64_vrr(c, X64_ANDN, RDX, RAX, RCX); break;
    case SSTATUS_CLEAR:
        x64_rr(c, X64_MOV, RDX, RAX);
        x64_rr(c, X64_AND, RDX, RCX);
        break;
    default:
        x64_rr(c, X64_MOV, RDX, RAX);
        x64_rr(c, X64_XOR, RDX, RCX);
        break;
    }
    x64_ri(c, ALU_AND, false, RDX, SSTATUS_WRITE);
}

/*
 * Sets, clears or writes sstatus, with the operand in rcx, in S-mode. rax = what it was; rdx =
 * 0: this is more than bits that nothing hangs on, SUM, SIE while no interrupt is pending, and
 * FS while the guest has not the FPU: nothing has happened.
 */
static void emit_sstatus(struct x64_code *c, enum x64_sstatus how)
{
    uint8_t *user, *mxr, *quick, *same_fs, *live, *off, *pending, *soft, *same_sum, *clean;

    x64_rm(c, X64_MOVZX8, RAX, HART(priv));
    x64_ri(c, ALU_CMP, false, RAX, PRIV_S);
    user = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, X64_MOV, RAX, HART(mstatus));
    sstatus_change(c, how);
    x64_rr(c, X64_MOV32, RCX, RDX);
    x64_ri(c, ALU_AND, false, RCX, ~(int32_t)(RV_SPP | RV_SPIE));
    quick = x64_jcc(c, CC_E, NULL);
    x64_ri(c, ALU_AND, false, RCX, RV_MXR);
    mxr = x64_jcc(c, CC_NE, NULL);
    x64_rr(c, X64_MOV32, RCX, RDX);
    x64_ri(c, ALU_AND, false, RCX, RV_FS);
    same_fs = x64_jcc(c, CC_E, NULL);
    x64_test_imm(c, HART(fp_live), 1);
    live = x64_jcc(c, CC_NE, NULL);
    x64_link(same_fs, c->at);
    x64_vrr(c, X64_ANDN, RCX, RAX, RDX); /* bits that become set */
    x64_ri(c, ALU_AND, false, RCX, RV_SIE);
    off = x64_jcc(c, CC_E, NULL);
    x64_rm(c, X64_MOV, RCX, HART(mip));
    x64_rm(c, X64_AND, RCX, HART(mie));
    pending = x64_jcc(c, CC_NE, NULL);
    x64_rm(c, X64_MOVZX8, RCX, HART(seip_soft));
    x64_rr(c, X64_TEST, RCX, RCX);
    soft = x64_jcc(c, CC_NE, NULL);
    x64_link(off, c->at);
    x64_rr(c, X64_MOV32, RCX, RDX);
    x64_ri(c, ALU_AND, false, RCX, RV_SUM);
    same_sum = x64_jcc(c, CC_E, NULL);
    x64_rm(c, X64_MOV, REG_TLB, HART(space));
    x64_rm(c, X64_LEA, RCX, X64_MEM(REG_TLB, offsetof(struct rv_space, tlb[RV_CTX_S])));
    x64_ri(c, ALU_ADD, true, REG_TLB, (int32_t)offsetof(struct rv_space, tlb[RV_CTX_S_SUM]));
    x64_test_imm(c, HART(mstatus), RV_SUM); /* the old one */
    x64_rr(c, X64_CMOVNE, REG_TLB, RCX);
    x64_rm(c, X64_STORE, REG_TLB, HART(tlb));
    x64_link(same_sum, c->at);
    x64_link(quick, c->at);
    x64_rr(c, X64_XOR, RDX, RAX);
    x64_rm(c, X64_STORE, RDX, HART(mstatus));
    x64_mov_imm(c, RDX, X64_SSTATUS_BITS);
    x64_rr(c, X64_AND, RAX, RDX);
    x64_mov_imm(c, RDX, 1);
    x64_rr(c, X64_MOV32, RCX, RAX);
    x64_ri(c, ALU_AND, false, RCX, RV_FS);
    x64_ri(c, ALU_CMP, false, RCX, RV_FS);
    clean = x64_jcc(c, CC_NE, NULL);
    x64_bit(c, BIT_BTS, RAX, 63); /* SD */
    x64_link(clean, c->at);
    x64_ret(c);
    x64_link(user, c->at);
    x64_link(mxr, c->at);
    x64_link(live, c->at);
    x64_link(pending, c->at);
    x64_link(soft, c->at);
    x64_mov_imm(c, RDX, 0);
    x64_ret(c);
}

void target_stubs(struct dbt *d)
{
    struct x64_code c = {.at = d->cache.write, .end = d->cache.write + TARGET_STUBS};

    emit_leave(d, &c);
    emit_find(d, &c);
    emit_enter(d, &c);
    emit_fp(d, &c);
    d->stub_set = x64_offset(d, &c);
    emit_sstatus(&c, SSTATUS_SET);
    d->stub_clear = x64_offset(d, &c);
    emit_sstatus(&c, SSTATUS_CLEAR);
    d->stub_write = x64_offset(d, &c);
    emit_sstatus(&c, SSTATUS_REPLACE);
    emit_step(d, &c);
    emit_keep(d, &c);
    x64_system_stubs(d, &c);
}

void target_enter(struct dbt *d, struct rv_hart *h, uint32_t code)
{
    const uint8_t *stub = d->cache.exec + d->stub_enter;
    void (*enter)(struct rv_hart *, const uint8_t *);

    memcpy(&enter, &stub, sizeof(enter));
    h->link = h->chain = NULL;
    h->code_base = (uintptr_t)d->cache.exec;
    h->page_va = h->pc & RV_PAGE_MASK;
    enter(h, d->cache.exec + code);
}
