/* sbi_fwft.c: the SBI FWFT extension: features of the hart that firmware switches. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_fwft.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"
#include "vmm/snapshot.h"

/*
 * SBI 3.0, section 18. Every feature that is defined so far is local: a hart has its own, and
 * only its own thread touches them. The engine says which of them it has, by taking a value.
 */
struct fwft_hart {
    uint64_t value[SBI_FWFT_FEATURES];
    bool locked[SBI_FWFT_FEATURES];
};

struct fwft {
    struct vm *vm;
    struct fwft_hart hart[PLAT_HARTS_MAX];
};

/* Values after a reset: a kernel is started with every exception delegated to it. */
static void values_reset(struct fwft_hart *fh)
{
    *fh = (struct fwft_hart){.value = {[SBI_FWFT_MISALIGNED_EXC_DELEG] = 1}};
}

static int engine_set(struct hart *hart, unsigned feature, uint64_t value)
{
    const struct engine *engine = hart->vm->engine;

    return engine->feature_set ? engine->feature_set(hart, feature, value) : -EOPNOTSUPP;
}

/* Reserved features, and those of a platform that has none, are denied (sections 18.1-18.2). */
static int feature_error(int rc)
{
    switch (rc) {
    case 0: return SBI_SUCCESS;
    case -EOPNOTSUPP: return SBI_ERR_NOT_SUPPORTED;
    case -EINVAL: return SBI_ERR_INVALID_PARAM;
    default: return SBI_ERR_FAILED;
    }
}

/* Is it there? Setting the value that it has changes nothing. */
static int feature_check(struct hart *hart, const struct fwft_hart *fh, uint32_t feature)
{
    if (feature >= SBI_FWFT_FEATURES)
        return SBI_ERR_DENIED;
    return feature_error(engine_set(hart, feature, fh->value[feature]));
}

static enum call_disp sbi_fwft_set(void *self, struct hart *hart, struct call *c)
{
    struct fwft *fwft = self;
    struct fwft_hart *fh = &fwft->hart[hart->index];
    uint32_t feature = (uint32_t)c->arg[0];
    int error = feature_check(hart, fh, feature);

    if (error != SBI_SUCCESS)
        return sbi_error(c, error);
    if (c->arg[2] & ~(uint64_t)SBI_FWFT_LOCK)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (fh->locked[feature])
        return sbi_error(c, SBI_ERR_DENIED_LOCKED);
    error = feature_error(engine_set(hart, feature, c->arg[1]));
    if (error != SBI_SUCCESS)
        return sbi_error(c, error);
    fh->value[feature] = c->arg[1];
    fh->locked[feature] = c->arg[2] & SBI_FWFT_LOCK;
    return sbi_error(c, SBI_SUCCESS);
}

static enum call_disp sbi_fwft_get(void *self, struct hart *hart, struct call *c)
{
    struct fwft *fwft = self;
    const struct fwft_hart *fh = &fwft->hart[hart->index];
    uint32_t feature = (uint32_t)c->arg[0];
    int error = feature_check(hart, fh, feature);

    if (error != SBI_SUCCESS)
        return sbi_error(c, error);
    return sbi_value(c, fh->value[feature]);
}

/* Local features do not survive a hart's stop; a suspend they do. */
static void fwft_hart_reset(void *self, struct hart *hart)
{
    struct fwft *fwft = self;
    struct fwft_hart *fh = &fwft->hart[hart->index];

    values_reset(fh);
    for (unsigned i = 0; i < SBI_FWFT_FEATURES; i++)
        engine_set(hart, i, fh->value[i]);
}

/* What the values do to a hart is the hart's own state. */
static void fwft_save(void *self, struct state_writer *w)
{
    struct fwft *fwft = self;

    for (unsigned h = 0; h < fwft->vm->nharts; h++)
        for (unsigned i = 0; i < SBI_FWFT_FEATURES; i++) {
            state_put_u64(w, fwft->hart[h].value[i]);
            state_put_u64(w, fwft->hart[h].locked[i]);
        }
}

static void fwft_load(void *self, struct state_reader *r)
{
    struct fwft *fwft = self;

    for (unsigned h = 0; h < fwft->vm->nharts; h++)
        for (unsigned i = 0; i < SBI_FWFT_FEATURES; i++) {
            uint64_t most = i == SBI_FWFT_POINTER_MASKING_PMLEN ? 16 : 1;

            fwft->hart[h].value[i] = state_get_max(r, most);
            fwft->hart[h].locked[i] = state_get_max(r, 1);
        }
}

static int fwft_create(struct module_instance *inst, struct error *err)
{
    struct fwft *fwft = calloc(1, sizeof(*fwft));

    (void)err;
    if (!fwft)
        return -ENOMEM;
    fwft->vm = inst->vm;
    for (unsigned i = 0; i < PLAT_HARTS_MAX; i++)
        values_reset(&fwft->hart[i]);
    inst->self = fwft;
    return 0;
}

const struct module module_sbi_fwft = {
    .name = "sbi-fwft",
    .summary = "SBI FWFT: features of the hart that firmware switches",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_fwft_calls,
    .ncalls = sizeof(sbi_fwft_calls) / sizeof(sbi_fwft_calls[0]),
    .create = fwft_create,
    .destroy = free,
    .save = fwft_save,
    .load = fwft_load,
    .hart_reset = fwft_hart_reset,
};
