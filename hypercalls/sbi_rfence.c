/* sbi_rfence.c: the SBI RFENCE extension: fences executed by other harts. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_rfence.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/*
 * FIDs 3-6 (HFENCE) have no rows: these machines lack the H extension, and what nobody answers
 * is NOT_SUPPORTED, which is the answer that SBI 3.0, sections 8.4-8.7 want then.
 */

static enum call_disp sbi_rfence_fence_i(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    int error = sbi_harts(hart->vm, c->arg[0], c->arg[1], &harts);

    (void)self;
    if (error == SBI_SUCCESS)
        sbi_fence_code(hart, harts);
    return sbi_error(c, error);
}

static enum call_disp sbi_rfence_sfence_vma(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    int error = sbi_harts(hart->vm, c->arg[0], c->arg[1], &harts);

    (void)self;
    if (error == SBI_SUCCESS)
        sbi_fence_range(hart, harts,
                        (struct hart_fence){
                            .kind = FENCE_VMA,
                            .start = c->arg[2],
                            .size = c->arg[3],
                        });
    return sbi_error(c, error);
}

static enum call_disp sbi_rfence_sfence_vma_asid(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    int error = sbi_harts(hart->vm, c->arg[0], c->arg[1], &harts);

    (void)self;
    if (c->arg[4] > SBI_ASID_MASK) /* not valid, section 8.3 of version 3.0 */
        error = SBI_ERR_INVALID_PARAM;
    if (error == SBI_SUCCESS)
        sbi_fence_range(hart, harts,
                        (struct hart_fence){
                            .kind = FENCE_VMA_ASID,
                            .start = c->arg[2],
                            .size = c->arg[3],
                            .asid = c->arg[4],
                        });
    return sbi_error(c, error);
}

const struct module module_sbi_rfence = {
    .name = "sbi-rfence",
    .summary = "SBI RFENCE: fences executed by other harts",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_rfence_calls,
    .ncalls = sizeof(sbi_rfence_calls) / sizeof(sbi_rfence_calls[0]),
};
