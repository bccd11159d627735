/* sbi_ipi.c: the SBI IPI extension: interrupts from hart to hart. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_ipi.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 7.1. */
static enum call_disp sbi_ipi_send_ipi(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    int error = sbi_harts(hart->vm, c->arg[0], c->arg[1], &harts);

    (void)self;
    if (error == SBI_SUCCESS)
        sbi_send_ipis(hart, harts);
    return sbi_error(c, error);
}

const struct module module_sbi_ipi = {
    .name = "sbi-ipi",
    .summary = "SBI IPI: interrupts from hart to hart",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_ipi_calls,
    .ncalls = sizeof(sbi_ipi_calls) / sizeof(sbi_ipi_calls[0]),
};
