/* sbi.c: hart masks, addresses, interrupts and fences as the SBI extensions share them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "hypercalls/sbi.h"

#include "guest/abi/sbi.h"

_Static_assert(PLAT_HARTS_MAX <= 64, "a set of harts is one word");

int sbi_harts(const struct vm *vm, uint64_t mask, uint64_t base, uint64_t *harts)
{
    uint64_t all = vm->nharts < 64 ? (UINT64_C(1) << vm->nharts) - 1 : UINT64_MAX;

    *harts = 0;
    if (base == SBI_MASK_ALL) {
        *harts = all;
        return SBI_SUCCESS;
    }
    if (mask == 0)
        return SBI_SUCCESS;
    if (base >= vm->nharts || (mask & ~(all >> base)) != 0)
        return SBI_ERR_INVALID_PARAM;
    *harts = mask << base;
    return SBI_SUCCESS;
}

bool sbi_code_valid(const struct vm *vm, uint64_t addr)
{
    return (addr & 1) == 0 && mem_valid(&vm->mem, addr, 2);
}

void sbi_count_sent(struct hart *self, uint64_t harts, unsigned sent)
{
    struct vm *vm = self->vm;

    harts &= ~(UINT64_C(1) << self->index);
    for (unsigned i = 0; harts >> i != 0 && i < vm->nharts; i++)
        if (harts >> i & 1) {
            sbi_count(self, sent);
            sbi_count(&vm->hart[i], sent + 1);
        }
}

int sbi_shmem(const struct vm *vm, uint64_t lo, uint64_t hi, uint64_t size)
{
    return hi == 0 && mem_valid(&vm->mem, lo, size) ? SBI_SUCCESS : SBI_ERR_INVALID_ADDRESS;
}

void sbi_send_ipis(struct hart *self, uint64_t harts)
{
    struct vm *vm = self->vm;

    for (unsigned i = 0; i < vm->nharts; i++)
        if (vm->hart[i].status == HART_STOPPED)
            harts &= ~(UINT64_C(1) << i);
    sbi_count_sent(self, harts, SBI_PMU_FW_IPI_SENT);
    for (unsigned i = 0; i < vm->nharts; i++)
        if (harts >> i & 1)
            hart_irq(&vm->hart[i], IRQ_S_SOFT, true);
}

void sbi_fence_code(struct hart *self, uint64_t harts)
{
    sbi_count_sent(self, harts, SBI_PMU_FW_FENCE_I_SENT);
    hart_fence_all(self, harts, &(struct hart_fence){.kind = FENCE_I, .size = UINT64_MAX});
}

void sbi_fence_range(struct hart *hart, uint64_t harts, struct hart_fence fence)
{
    if (fence.size == 0 && fence.start != 0)
        return;
    if (fence.size == 0 || fence.size == UINT64_MAX ||
        fence.start > UINT64_MAX - (fence.size - 1)) {
        fence.start = 0;
        fence.size = UINT64_MAX;
    }
    sbi_count_sent(hart, harts,
                   fence.kind == FENCE_VMA_ASID ? SBI_PMU_FW_SFENCE_VMA_ASID_SENT
                                                : SBI_PMU_FW_SFENCE_VMA_SENT);
    hart_fence_all(hart, harts, &fence);
}
