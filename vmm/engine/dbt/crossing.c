/* crossing.c: calls, traps and returns out of translated code without the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

#include "guest/abi/tg.h"

/* Asks once for each call and epoch; the answer may be that it has to take the gate. */
static struct dbt_way *way_of(struct dbt *d, struct vm *vm, const struct call *c)
{
    struct dbt_way *w = &d->way[(c->ext * 31 + c->fn) % DBT_WAYS];
    uint64_t epoch = atomic_load_explicit(&vm->call_epoch, memory_order_acquire);

    if (!w->filled || w->ext != c->ext || w->fn != c->fn || w->way.epoch != epoch) {
        w->usable = call_fast(vm, c->personality, c->ext, c->fn, &w->way);
        w->ext = c->ext;
        w->fn = c->fn;
        w->filled = true;
    }
    return w->usable ? w : NULL;
}

/* What the gate does with the disposition of a plain call. False: leave. */
static bool commit(struct rv_hart *h, const struct call *c)
{
    switch (c->disp) {
    case CALL_RET2: h->x[11] = c->value; __attribute__((fallthrough));
    case CALL_RET1:
        h->x[10] = (uint64_t)c->error;
        h->pc += 4;
        h->unretired++; /* ecall does not retire */
        return !h->hart->idle;
    case CALL_TRAP: rv_trap(h, c->value, (uint64_t)c->error, h->pc); return true;
    case CALL_PARK: h->hart->yield = YIELD_PARK; return false;
    default: return false;
    }
}

/* A kernel's call to the monitor, by its handler (call.h, call_fast). */
static enum crossing cross_call(struct rv_hart *h)
{
    struct hart *hart = h->hart;
    uint64_t ext = h->x[17];
    struct call c = {.personality =
                         ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST ? CALL_TG : CALL_SBI,
                     .ext = ext,
                     .fn = h->x[16]};
    const struct dbt_way *w = way_of(dbt_of(h), h->vm, &c);

    if (!w)
        return CROSSING_NONE;
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c.arg[i] = h->x[10 + i];
    h->left--;
    c.disp = w->way.handler(w->way.self, hart, &c);
    if (c.disp == CALL_PASS) { /* it had no effect: the gate asks the rest of the chain */
        h->left++;
        return CROSSING_NONE;
    }
    hart->exits[EXIT_CALL]++;
    return commit(h, &c) ? CROSSING_DONE : CROSSING_LEAVE;
}

static enum crossing cross_ecall(struct rv_hart *h)
{
    const struct interp *in = interp_of(h);

    if (in->program)
        return CROSSING_NONE;
    if (in->kernel && h->priv == PRIV_S)
        return cross_call(h);
    h->left--;
    rv_trap(h, RV_ECALL_U + h->priv, 0, h->pc);
    return CROSSING_DONE;
}

enum crossing dbt_cross(struct rv_hart *h, const struct rv_op *op)
{
    switch (op->code >> 1) {
    case RV_INSN_ecall: return cross_ecall(h);
    case RV_INSN_sret:
        if (rv_sret(h) != 0)
            return CROSSING_NONE; /* illegal: the interpreter says so */
        h->left--;
        return CROSSING_DONE;
    default: return CROSSING_NONE;
    }
}
