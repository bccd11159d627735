/* tg.h: what Tollgate's own services share: replies. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef HYPERCALLS_TG_H
#define HYPERCALLS_TG_H

#include <stdint.h>
#include "vmm/call.h"

/* Ends a call with an error that has no host behind it; with success and a value. */
static inline enum call_disp tg_error(struct call *c, int64_t error)
{
    c->error = error;
    return CALL_RET2;
}

static inline enum call_disp tg_value(struct call *c, uint64_t value)
{
    c->value = value;
    return CALL_RET2;
}

#endif
