/* sbi_base.c: the SBI Base extension: versions, identities, which extensions are there. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/sbi_base.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 4.1: major version in bits 30-24, minor below. */
#define SPEC_VERSION (UINT64_C(3) << 24)

static enum call_disp sbi_base_get_spec_version(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, SPEC_VERSION);
}

static enum call_disp sbi_base_get_impl_id(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, TG_SBI_IMPL_ID);
}

static enum call_disp sbi_base_get_impl_version(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, TG_SBI_IMPL_VERSION);
}

/* Tollgate's services are numbered within SBI's space, so that one probe finds all. */
static enum call_disp sbi_base_probe_extension(void *self, struct hart *hart, struct call *c)
{
    uint64_t ext = c->arg[0];
    bool tg = ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST;

    (void)self;
    return sbi_value(c, call_ext_present(hart->vm, tg ? CALL_TG : CALL_SBI, ext));
}

/* Sections 4.5-4.7: zero is legal for mvendorid, marchid and mimpid ("not implemented"). */
static enum call_disp sbi_base_get_mvendorid(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, 0);
}

static enum call_disp sbi_base_get_marchid(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, 0);
}

static enum call_disp sbi_base_get_mimpid(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, 0);
}

const struct module module_sbi_base = {
    .name = "sbi-base",
    .summary = "SBI Base: versions, identities, which extensions are there",
    .starts = MODULE_KERNEL,
    .calls = sbi_base_calls,
    .ncalls = sizeof(sbi_base_calls) / sizeof(sbi_base_calls[0]),
};
