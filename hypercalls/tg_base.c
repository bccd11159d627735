/* tg_base.c: Tollgate's base service: what this monitor is, and what it answers. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/tg_base.h"
#include "hypercalls/tg.h"
#include "vmm/module.h"
#include "vmm/version.h"
#include "vmm/vm.h"

static const char base_name[] = "Tollgate " TG_VERSION;

static HOT_WAY enum call_disp tg_base_null(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    (void)c;
    return CALL_RET2;
}

static enum call_disp tg_base_version(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return tg_value(c, TG_ABI_VERSION);
}

/* Tollgate's services are numbered within SBI's space, so that one question finds all. */
static enum call_disp tg_base_supports(void *self, struct hart *hart, struct call *c)
{
    uint64_t ext = c->arg[0];
    bool tg = ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST;

    (void)self;
    return tg_value(c, call_present(hart->vm, tg ? CALL_TG : CALL_SBI, ext, c->arg[1]));
}

static enum call_disp tg_base_name(void *self, struct hart *hart, struct call *c)
{
    size_t n = sizeof(base_name) - 1;

    (void)self;
    (void)hart;
    if (n > c->buf_len)
        n = c->buf_len;
    for (size_t i = 0; i < n; i++)
        c->buf[i] = (uint8_t)base_name[i];
    return tg_value(c, n);
}

static enum call_disp tg_base_features(void *self, struct hart *hart, struct call *c)
{
    uint64_t mask = hart->vm->config->deterministic ? TG_FEATURE_DETERMINISTIC : 0;

    (void)self;
    for (unsigned n = 0; n < 32; n++)
        if (call_ext_present(hart->vm, CALL_TG, TG_EXT_FIRST + n))
            mask |= UINT64_C(1) << n;
    return tg_value(c, mask);
}

const struct module module_tg_base = {
    .name = "tg-base",
    .summary = "what this monitor is, and which calls it answers",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .calls = tg_base_calls,
    .ncalls = sizeof(tg_base_calls) / sizeof(tg_base_calls[0]),
};
