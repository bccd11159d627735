/* sbi_time.c: the SBI TIME extension: the supervisor's timer. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_time.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 6.1: absolute time; always succeeds; a future one clears the pending bit. */
static enum call_disp sbi_time_set_timer(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    sbi_count(hart, SBI_PMU_FW_SET_TIMER);
    hart->vm->engine->set_timer(hart, c->arg[0]);
    return sbi_error(c, SBI_SUCCESS);
}

const struct module module_sbi_time = {
    .name = "sbi-time",
    .summary = "SBI TIME: the supervisor's timer",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_time_calls,
    .ncalls = sizeof(sbi_time_calls) / sizeof(sbi_time_calls[0]),
};
