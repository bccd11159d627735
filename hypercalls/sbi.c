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

void sbi_send_ipis(struct vm *vm, uint64_t harts)
{
    for (unsigned i = 0; i < vm->nharts; i++)
        if ((harts >> i & 1) && vm->hart[i].status != HART_STOPPED)
            hart_irq(&vm->hart[i], IRQ_S_SOFT, true);
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
    hart_fence_all(hart, harts, &fence);
}
