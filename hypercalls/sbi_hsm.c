/* sbi_hsm.c: the SBI HSM extension: harts start, stop, suspend. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_hsm.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/*
 * SBI 3.0, section 9.1. Hart, then address, then state, as OpenSBI checks them. A hart whose
 * start is pending, or that is suspended, counts as started already.
 */
static enum call_disp sbi_hsm_hart_start(void *self, struct hart *hart, struct call *c)
{
    struct vm *vm = hart->vm;

    (void)self;
    if (c->arg[0] >= vm->nharts)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (!sbi_code_valid(vm, c->arg[1]))
        return sbi_error(c, SBI_ERR_INVALID_ADDRESS);
    if (hart_start(&vm->hart[c->arg[0]], c->arg[1], c->arg[2]) < 0)
        return sbi_error(c, SBI_ERR_ALREADY_AVAILABLE);
    return sbi_error(c, SBI_SUCCESS);
}

/* Section 9.2: does not return, and cannot fail here. */
static enum call_disp sbi_hsm_hart_stop(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)c;
    hart_stop_self(hart);
    return CALL_STOPPED;
}

static enum call_disp sbi_hsm_hart_get_status(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    if (c->arg[0] >= hart->vm->nharts)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    return sbi_value(c, hart->vm->hart[c->arg[0]].status);
}

/*
 * Section 9.4. Only the two default types are implemented; reserved ones and platform-specific
 * ones that a platform has not are both INVALID_PARAM. The type is 32 bits wide, what stands
 * above is ignored (kvm-unit-tests, riscv/sbi.c, demand it). Not checked for a retentive
 * suspend: the address, which is unused then.
 */
static enum call_disp sbi_hsm_hart_suspend(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    switch ((uint32_t)c->arg[0]) {
    case SBI_HSM_SUSPEND_RETENTIVE:
        hart_wait(hart, HART_SUSPENDED);
        return sbi_error(c, SBI_SUCCESS);
    case SBI_HSM_SUSPEND_NON_RETENTIVE:
        if (!sbi_code_valid(hart->vm, c->arg[1]))
            return sbi_error(c, SBI_ERR_INVALID_ADDRESS);
        hart_wait(hart, HART_SUSPENDED);
        hart_resume_at(hart, c->arg[1], c->arg[2]);
        return CALL_REPLACED;
    default: return sbi_error(c, SBI_ERR_INVALID_PARAM);
    }
}

const struct module module_sbi_hsm = {
    .name = "sbi-hsm",
    .summary = "SBI HSM: harts start, stop, suspend",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_hsm_calls,
    .ncalls = sizeof(sbi_hsm_calls) / sizeof(sbi_hsm_calls[0]),
};
