/* sbi_susp.c: the SBI SUSP extension: the whole system sleeps. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_susp.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* The condition under which the system may sleep: nobody else is awake. */
static bool susp_alone(const struct hart *self)
{
    const struct vm *vm = self->vm;

    for (unsigned i = 0; i < vm->nharts; i++)
        if (i != self->index && vm->hart[i].status != HART_STOPPED)
            return false;
    return true;
}

/*
 * SBI 3.0, section 13.1. Only suspend to RAM is there; the type is 32 bits wide, what stands
 * above is ignored. Any interrupt that is enabled in sie wakes the system. The other harts
 * cannot start meanwhile, since nobody is left to start them.
 */
static enum call_disp sbi_susp_system_suspend(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    if ((uint32_t)c->arg[0] != SBI_SUSP_SUSPEND_TO_RAM)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (!sbi_code_valid(hart->vm, c->arg[1]))
        return sbi_error(c, SBI_ERR_INVALID_ADDRESS);
    if (!susp_alone(hart))
        return sbi_error(c, SBI_ERR_DENIED);
    hart_wait(hart, HART_SUSPENDED);
    hart_resume_at(hart, c->arg[1], c->arg[2]);
    return CALL_REPLACED;
}

const struct module module_sbi_susp = {
    .name = "sbi-susp",
    .summary = "SBI SUSP: the whole system sleeps until an interrupt",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_susp_calls,
    .ncalls = sizeof(sbi_susp_calls) / sizeof(sbi_susp_calls[0]),
};
