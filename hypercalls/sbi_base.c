/* sbi_base.c: the SBI Base extension: versions, identities, which extensions are there. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 4.1: major version in bits 30-24, minor below. */
#define SPEC_VERSION (UINT64_C(3) << 24)

static enum call_disp base_spec_version(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, SPEC_VERSION);
}

static enum call_disp base_impl_id(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, TG_SBI_IMPL_ID);
}

static enum call_disp base_impl_version(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, TG_SBI_IMPL_VERSION);
}

/* Tollgate's services are numbered within SBI's space, so that one probe finds all. */
static enum call_disp base_probe(void *self, struct hart *hart, struct call *c)
{
    uint64_t ext = c->arg[0];
    bool tg = ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST;

    (void)self;
    return sbi_value(c, call_ext_present(hart->vm, tg ? CALL_TG : CALL_SBI, ext));
}

/* Sections 4.5-4.7: zero is legal for mvendorid, marchid and mimpid ("not implemented"). */
static enum call_disp base_machine_id(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, 0);
}

#define BASE_CALL(call_name, number, function)                                                 \
    {                                                                                          \
        .name = "sbi.base." call_name, .personality = CALL_SBI, .ext = SBI_EXT_BASE,           \
        .fn = number, .handler = function,                                                     \
    }

static const struct call_desc base_calls[] = {
    BASE_CALL("get_spec_version", SBI_BASE_GET_SPEC_VERSION, base_spec_version),
    BASE_CALL("get_impl_id", SBI_BASE_GET_IMPL_ID, base_impl_id),
    BASE_CALL("get_impl_version", SBI_BASE_GET_IMPL_VERSION, base_impl_version),
    BASE_CALL("probe_extension", SBI_BASE_PROBE_EXTENSION, base_probe),
    BASE_CALL("get_mvendorid", SBI_BASE_GET_MVENDORID, base_machine_id),
    BASE_CALL("get_marchid", SBI_BASE_GET_MARCHID, base_machine_id),
    BASE_CALL("get_mimpid", SBI_BASE_GET_MIMPID, base_machine_id),
};

const struct module module_sbi_base = {
    .name = "sbi-base",
    .summary = "SBI Base: versions, identities, which extensions are there",
    .starts = MODULE_KERNEL,
    .calls = base_calls,
    .ncalls = sizeof(base_calls) / sizeof(base_calls[0]),
};
