/* sbi_legacy.c: the SBI legacy extensions 0-8, each a call of its own. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_legacy.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 5: a6 is ignored, a0 returns the result, a1 is preserved. */

static enum call_disp sbi_legacy_set_timer(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    sbi_count(hart, SBI_PMU_FW_SET_TIMER);
    hart->vm->engine->set_timer(hart, c->arg[0]);
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_putchar(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    console_putc(&hart->vm->console, (uint8_t)c->arg[0]);
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_getchar(void *self, struct hart *hart, struct call *c)
{
    uint8_t byte;

    (void)self;
    if (console_read(&hart->vm->console, CONSOLE_SBI, &byte, 1) == 0)
        return sbi_legacy_result(c, -1);
    return sbi_legacy_result(c, byte);
}

/*
 * Section 5.4 lets it return a positive value when an interrupt had been pending. It always
 * returns 0 here, as in OpenSBI: an engine tells the pending interrupts that are enabled, no
 * others, and a guest that wants to know reads sip.SSIP.
 */
static enum call_disp sbi_legacy_clear_ipi(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    hart_irq(hart, IRQ_S_SOFT, false);
    return sbi_legacy_result(c, 0);
}

/*
 * The hart list of a legacy call: a guest-virtual pointer to one word (PLAT_HARTS_MAX is 64),
 * or NULL, which means all harts (BBL's habit, kept by Linux and OpenSBI). A load that faults
 * raises the exception at the ecall (section 5), with the pointer in stval. CALL_PASS: *harts
 * is filled.
 */
static enum call_disp legacy_harts(struct hart *hart, struct call *c, uint64_t *harts)
{
    uint64_t mask = 0;
    uint64_t base = SBI_MASK_ALL;
    uint64_t va = c->arg[0];

    if (va != 0) {
        const struct engine *engine = hart->vm->engine;
        int cause = engine->read_virt ? engine->read_virt(hart, va, &mask, sizeof(mask)) : -1;

        if (cause > 0) {
            c->value = (uint64_t)cause;
            c->error = (int64_t)va;
            return CALL_TRAP;
        }
        if (cause < 0)
            return sbi_legacy_result(c, SBI_ERR_FAILED);
        base = 0;
    }
    int error = sbi_harts(hart->vm, mask, base, harts);
    return error == SBI_SUCCESS ? CALL_PASS : sbi_legacy_result(c, error);
}

static enum call_disp sbi_legacy_send_ipi(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_send_ipis(hart, harts);
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_remote_fence_i(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_fence_code(hart, harts);
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_remote_sfence_vma(void *self, struct hart *hart,
                                                   struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_fence_range(hart, harts,
                    (struct hart_fence){
                        .kind = FENCE_VMA,
                        .start = c->arg[1],
                        .size = c->arg[2],
                    });
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_remote_sfence_vma_asid(void *self, struct hart *hart,
                                                        struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_fence_range(hart, harts,
                    (struct hart_fence){
                        .kind = FENCE_VMA_ASID,
                        .start = c->arg[1],
                        .size = c->arg[2],
                        .asid = c->arg[3] & SBI_ASID_MASK,
                    });
    return sbi_legacy_result(c, 0);
}

static enum call_disp sbi_legacy_shutdown(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)c;
    vm_stop(hart->vm, CAUSE_EXIT, 0, hart, "SBI legacy shutdown");
    return CALL_STOPPED;
}

const struct module module_sbi_legacy = {
    .name = "sbi-legacy",
    .summary = "SBI legacy extensions 0-8: timer, console, IPIs, fences, shutdown",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_legacy_calls,
    .ncalls = sizeof(sbi_legacy_calls) / sizeof(sbi_legacy_calls[0]),
};
