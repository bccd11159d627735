/* pmp.c: physical memory protection (privileged specification, section 3.7). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#define PMP_R            0x01u
#define PMP_W            0x02u
#define PMP_X            0x04u
#define PMP_A            0x18u
#define PMP_TOR          0x08u
#define PMP_NA4          0x10u
#define PMP_NAPOT        0x18u
#define PMP_L            0x80u
#define PMP_LEGAL        (PMP_R | PMP_W | PMP_X | PMP_A | PMP_L)
#define PMP_ADDRESS_BITS 54

/* The range [*first, *last] that entry i matches, in bytes; false when it is off or empty. */
static bool pmp_range(const struct rv_hart *h, unsigned i, gpa_t *first, gpa_t *last)
{
    uint64_t addr = h->pmpaddr[i];

    switch (h->pmpcfg[i] & PMP_A) {
    case PMP_TOR:
        *first = i > 0 ? h->pmpaddr[i - 1] << 2 : 0;
        *last = (addr << 2) - 1;
        return *first < addr << 2;
    case PMP_NA4:
        *first = addr << 2;
        *last = *first + 3;
        return true;
    case PMP_NAPOT: {
        uint64_t ones = addr ^ (addr + 1); /* the trailing ones and the zero above them */
        *first = (addr & ~ones) << 2;
        *last = *first + ((ones << 2) | 3);
        return true;
    }
    default: return false;
    }
}

bool rv_pmp_allows(const struct rv_hart *h, gpa_t gpa, uint64_t size, unsigned priv,
                   enum rv_access access)
{
    static const uint8_t need[] = {[RV_FETCH] = PMP_X, [RV_LOAD] = PMP_R, [RV_STORE] = PMP_W};
    gpa_t end = gpa + size - 1;

    if (h->pmp_open)
        return true;
    for (unsigned i = 0; i < RV_PMP_ENTRIES; i++) {
        gpa_t first, last;

        if (!pmp_range(h, i, &first, &last) || end < first || gpa > last)
            continue;
        /* The lowest-numbered entry that matches any byte decides, and must match them all. */
        if (gpa < first || end > last)
            return false;
        if (priv == PRIV_M && !(h->pmpcfg[i] & PMP_L))
            return true;
        return (h->pmpcfg[i] & need[access]) != 0;
    }
    return priv == PRIV_M;
}

bool rv_pmp_uniform(const struct rv_hart *h, gpa_t gpa)
{
    gpa_t page = gpa & RV_PAGE_MASK;
    gpa_t end = page + MEM_PAGE_SIZE - 1;

    if (h->pmp_open)
        return true;
    for (unsigned i = 0; i < RV_PMP_ENTRIES; i++) {
        gpa_t first, last;

        if (!pmp_range(h, i, &first, &last) || end < first || page > last)
            continue;
        return page >= first && end <= last;
    }
    return true;
}

void rv_pmp_update(struct rv_hart *h)
{
    gpa_t first, last;
    unsigned rwx = PMP_R | PMP_W | PMP_X;

    h->pmp_open = (h->pmpcfg[0] & rwx) == rwx && pmp_range(h, 0, &first, &last) && first == 0 &&
                  last >= (1ull << 56) - 1;
    rv_tlb_flush(h);
}

uint64_t rv_pmpcfg_read(const struct rv_hart *h, unsigned reg)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)h->pmpcfg[reg * 8 + i] << (8 * i);
    return value;
}

void rv_pmpcfg_write(struct rv_hart *h, unsigned reg, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint8_t cfg = (uint8_t)(value >> (8 * i)) & PMP_LEGAL;
        uint8_t *old = &h->pmpcfg[reg * 8 + i];

        if (*old & PMP_L)
            continue;
        /* W without R is reserved; such a write keeps the permissions that stood. */
        if ((cfg & (PMP_R | PMP_W)) == PMP_W)
            cfg = (uint8_t)((cfg & ~7u) | (*old & 7u));
        *old = cfg;
    }
    rv_pmp_update(h);
}

void rv_pmpaddr_write(struct rv_hart *h, unsigned i, uint64_t value)
{
    if (h->pmpcfg[i] & PMP_L)
        return;
    if (i + 1 < RV_PMP_ENTRIES && (h->pmpcfg[i + 1] & (PMP_L | PMP_A)) == (PMP_L | PMP_TOR))
        return;
    h->pmpaddr[i] = value & ((1ull << PMP_ADDRESS_BITS) - 1);
    rv_pmp_update(h);
}
