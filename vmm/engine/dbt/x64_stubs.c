/* x64_stubs.c: the ways into and out of translated code on x86-64. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/x64_block.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What a callee keeps (System V ABI, AMD64 supplement, figure 3.4). */
static const uint8_t kept[] = {RBX, RBP, R12, R13, R14, R15};
#define KEPT (sizeof(kept) / sizeof(kept[0]))

int target_probe(char *why, size_t size)
{
    static const char need[] = "this processor lacks BMI1, BMI2, LZCNT or POPCNT";

    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
        __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("lzcnt"))
        return 0;
    snprintf(why, size, "%s", need);
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

static uint32_t offset_of(const struct dbt *d, const struct x64_code *c)
{
    return (uint32_t)(c->at - d->cache.write);
}

/* Back to who entered; what the hart is to know is stored. */
static void leave(struct x64_code *c)
{
    x64_ri(c, ALU_ADD, true, RSP, 8);
    for (unsigned i = KEPT; i-- > 0;)
        x64_pop(c, kept[i]);
    x64_ret(c);
}

/* At offset 0 of the cache, where entries without code lead; rax is the program counter. */
static void emit_leave(struct dbt *d, struct x64_code *c)
{
    d->stub_leave = offset_of(d, c);
    x64_rm(c, X64_STORE, RAX, HART(pc));
    x64_rm(c, X64_STORE, REG_LEFT, HART(left));
    pins_store(c);
    leave(c);
}

static void emit_enter(struct dbt *d, struct x64_code *c)
{
    d->stub_enter = offset_of(d, c);
    for (unsigned i = 0; i < KEPT; i++)
        x64_push(c, kept[i]);
    x64_ri(c, ALU_SUB, true, RSP, 8); /* calls from here find the stack aligned */
    x64_rm(c, X64_LEA, REG_HART, X64_MEM(RDI, HART_BIAS));
    x64_rr(c, X64_MOV, RAX, RSI);
    x64_rm(c, X64_MOV, REG_LEFT, HART(left));
    pins_load(c);
    x64_jmp_reg(c, RAX);
}

/* Called with the op in rax and the block's steps before it in rcx. */
static void emit_step(struct dbt *d, struct x64_code *c)
{
    uint64_t (*step)(struct rv_hart *, const struct rv_op *, int64_t) = dbt_step;
    uint64_t address;
    uint8_t *ends;

    memcpy(&address, &step, sizeof(address)); /* ISO C has no such conversion */
    d->stub_step = offset_of(d, c);
    pins_store(c);
    x64_rr(c, X64_MOV, RDX, REG_LEFT);
    x64_rr(c, X64_SUB, RDX, RCX);
    x64_rr(c, X64_MOV, RSI, RAX);
    x64_rm(c, X64_LEA, RDI, X64_MEM(REG_HART, -HART_BIAS));
    x64_mov_imm(c, RAX, address);
    x64_ri(c, ALU_SUB, true, RSP, 8);
    x64_call_reg(c, RAX);
    x64_ri(c, ALU_ADD, true, RSP, 8);
    x64_rr(c, X64_TEST, RAX, RAX);
    ends = x64_jcc(c, CC_NE, NULL);
    pins_load(c);
    x64_ret(c);
    x64_link(ends, c->at);
    x64_ri(c, ALU_ADD, true, RSP, 8); /* not back into the block */
    leave(c);
}

void target_stubs(struct dbt *d)
{
    struct x64_code c = {.at = d->cache.write, .end = d->cache.write + TARGET_STUBS};

    emit_leave(d, &c);
    emit_enter(d, &c);
    emit_step(d, &c);
}

void target_enter(struct dbt *d, struct rv_hart *h, uint32_t code)
{
    const uint8_t *stub = d->cache.exec + d->stub_enter;
    void (*enter)(struct rv_hart *, const uint8_t *);

    memcpy(&enter, &stub, sizeof(enter));
    h->link = NULL;
    h->page_va = h->pc & RV_PAGE_MASK;
    enter(h, d->cache.exec + code);
}
