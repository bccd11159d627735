/* sbi_legacy.c: the SBI legacy extensions 0-8, each a call of its own. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/* SBI 3.0, section 5: a6 is ignored, a0 returns the result, a1 is preserved. */

static enum call_disp legacy_set_timer(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    sbi_count(hart, SBI_PMU_FW_SET_TIMER);
    hart->vm->engine->set_timer(hart, c->arg[0]);
    return sbi_legacy_result(c, 0);
}

static enum call_disp legacy_putchar(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    console_putc(&hart->vm->console, (uint8_t)c->arg[0]);
    return sbi_legacy_result(c, 0);
}

static enum call_disp legacy_getchar(void *self, struct hart *hart, struct call *c)
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
static enum call_disp legacy_clear_ipi(void *self, struct hart *hart, struct call *c)
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

static enum call_disp legacy_send_ipi(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_send_ipis(hart, harts);
    return sbi_legacy_result(c, 0);
}

static enum call_disp legacy_fence_i(void *self, struct hart *hart, struct call *c)
{
    uint64_t harts;
    enum call_disp disp = legacy_harts(hart, c, &harts);

    (void)self;
    if (disp != CALL_PASS)
        return disp;
    sbi_fence_code(hart, harts);
    return sbi_legacy_result(c, 0);
}

static enum call_disp legacy_sfence_vma(void *self, struct hart *hart, struct call *c)
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

static enum call_disp legacy_sfence_vma_asid(void *self, struct hart *hart, struct call *c)
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

static enum call_disp legacy_shutdown(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)c;
    vm_stop(hart->vm, CAUSE_EXIT, 0, hart, "SBI legacy shutdown");
    return CALL_STOPPED;
}

#define LEGACY_CALL(call_name, number, function, effect)                                       \
    {                                                                                          \
        .name = "sbi.legacy." call_name, .personality = CALL_SBI, .ext = number,               \
        .fn = CALL_ANY_FN, .handler = function, .effects = effect, .legacy = true,             \
    }

static const struct call_desc legacy_calls[] = {
    LEGACY_CALL("set_timer", SBI_EXT_LEGACY_SET_TIMER, legacy_set_timer, CALL_HART_STATE),
    LEGACY_CALL("putchar", SBI_EXT_LEGACY_CONSOLE_PUTCHAR, legacy_putchar, CALL_WRITES_HOST),
    LEGACY_CALL("getchar", SBI_EXT_LEGACY_CONSOLE_GETCHAR, legacy_getchar, CALL_READS_HOST),
    LEGACY_CALL("clear_ipi", SBI_EXT_LEGACY_CLEAR_IPI, legacy_clear_ipi, CALL_HART_STATE),
    LEGACY_CALL("send_ipi", SBI_EXT_LEGACY_SEND_IPI, legacy_send_ipi, CALL_HART_STATE),
    LEGACY_CALL("remote_fence_i", SBI_EXT_LEGACY_REMOTE_FENCE_I, legacy_fence_i,
                CALL_HART_STATE),
    LEGACY_CALL("remote_sfence_vma", SBI_EXT_LEGACY_REMOTE_SFENCE_VMA, legacy_sfence_vma,
                CALL_HART_STATE),
    LEGACY_CALL("remote_sfence_vma_asid", SBI_EXT_LEGACY_REMOTE_SFENCE_VMA_ASID,
                legacy_sfence_vma_asid, CALL_HART_STATE),
    LEGACY_CALL("shutdown", SBI_EXT_LEGACY_SHUTDOWN, legacy_shutdown, CALL_STOPS),
};

const struct module module_sbi_legacy = {
    .name = "sbi-legacy",
    .summary = "SBI legacy extensions 0-8: timer, console, IPIs, fences, shutdown",
    .starts = MODULE_KERNEL,
    .calls = legacy_calls,
    .ncalls = sizeof(legacy_calls) / sizeof(legacy_calls[0]),
};
