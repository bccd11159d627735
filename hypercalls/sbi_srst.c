/* sbi_srst.c: the SBI SRST extension: shutdown and reboot. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_srst.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/*
 * SBI 3.0, section 10.1. Both parameters are 32 bits wide: what stands above is ignored, as it
 * is in HSM's suspend type. Reserved values, and vendor's and implementation's, of which there
 * are none here, are INVALID_PARAM.
 */
static enum call_disp sbi_srst_system_reset(void *self, struct hart *hart, struct call *c)
{
    uint32_t type = (uint32_t)c->arg[0];
    uint32_t reason = (uint32_t)c->arg[1];
    bool failure = reason == SBI_SRST_REASON_SYSTEM_FAILURE;

    (void)self;
    if (reason != SBI_SRST_REASON_NONE && !failure)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    switch (type) {
    case SBI_SRST_TYPE_SHUTDOWN:
        vm_stop(hart->vm, CAUSE_EXIT, failure, hart, "SBI system reset: shutdown%s",
                failure ? ", system failure" : "");
        return CALL_STOPPED;
    case SBI_SRST_TYPE_COLD_REBOOT:
    case SBI_SRST_TYPE_WARM_REBOOT:
        vm_stop(hart->vm, CAUSE_RESET, failure, hart, "SBI system reset: %s reboot%s",
                type == SBI_SRST_TYPE_COLD_REBOOT ? "cold" : "warm",
                failure ? ", system failure" : "");
        return CALL_STOPPED;
    default: return sbi_error(c, SBI_ERR_INVALID_PARAM);
    }
}

const struct module module_sbi_srst = {
    .name = "sbi-srst",
    .summary = "SBI SRST: shutdown and reboot",
    .starts = MODULE_KERNEL,
    .calls = sbi_srst_calls,
    .ncalls = sizeof(sbi_srst_calls) / sizeof(sbi_srst_calls[0]),
};
