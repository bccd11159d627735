/* crossing.c: traps and returns out of translated code without the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/dbt/dbt.h"

static bool cross_ecall(struct rv_hart *h)
{
    const struct interp *in = interp_of(h);

    if (in->program || (in->kernel && h->priv == PRIV_S)) /* a call to the monitor */
        return false;
    h->left--;
    rv_trap(h, RV_ECALL_U + h->priv, 0, h->pc);
    return true;
}

bool dbt_cross(struct rv_hart *h, const struct rv_op *op)
{
    switch (op->code >> 1) {
    case RV_INSN_ecall: return cross_ecall(h);
    case RV_INSN_sret:
        h->left--; /* counters see the step in either mode */
        if (rv_sret(h) == 0)
            return true;
        h->left++;
        return false;
    default: return false;
    }
}
