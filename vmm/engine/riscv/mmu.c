/* mmu.c: address translation, software TLB and the slow side of memory accesses. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include <string.h>
#include "vmm/vm.h"

/* Page table entries (privileged specification, section "Sv39"). */
#define PTE_V        (1ull << 0)
#define PTE_R        (1ull << 1)
#define PTE_W        (1ull << 2)
#define PTE_X        (1ull << 3)
#define PTE_U        (1ull << 4)
#define PTE_A        (1ull << 6)
#define PTE_D        (1ull << 7)
#define PTE_RESERVED (~((1ull << 54) - 1)) /* N and PBMT included: neither is implemented */
#define PTE_PPN(pte) (((pte) >> 10) & ((1ull << 44) - 1))

#define SATP_MODE(satp) ((satp) >> 60)
#define SATP_PPN(satp)  ((satp) & ((1ull << 44) - 1))

static int fault(struct rv_hart *h, int cause, uint64_t va)
{
    h->trap_cause = cause;
    h->trap_tval = va;
    return cause;
}

static int page_fault(struct rv_hart *h, enum rv_access access, uint64_t va)
{
    static const int cause[] = {
        [RV_FETCH] = RV_FETCH_PAGE, [RV_LOAD] = RV_LOAD_PAGE, [RV_STORE] = RV_STORE_PAGE};
    return fault(h, cause[access], va);
}

static int access_fault(struct rv_hart *h, enum rv_access access, uint64_t va)
{
    static const int cause[] = {
        [RV_FETCH] = RV_FETCH_ACCESS, [RV_LOAD] = RV_LOAD_ACCESS, [RV_STORE] = RV_STORE_ACCESS};
    return fault(h, cause[access], va);
}

static bool leaf_permits(const struct rv_hart *h, uint64_t pte, unsigned priv,
                         enum rv_access access)
{
    if (priv == PRIV_U && !(pte & PTE_U))
        return false;
    if (priv == PRIV_S && (pte & PTE_U) && (access == RV_FETCH || !(h->mstatus & RV_SUM)))
        return false;
    switch (access) {
    case RV_FETCH: return pte & PTE_X;
    case RV_LOAD: return (pte & PTE_R) || ((h->mstatus & RV_MXR) && (pte & PTE_X));
    default: return pte & PTE_W;
    }
}

/* Walks the tables of satp. A and D are not set by hardware (Svade): the guest gets a page
 * fault. */
static int walk(struct rv_hart *h, uint64_t va, unsigned priv, enum rv_access access,
                gpa_t *gpa)
{
    unsigned levels = (unsigned)SATP_MODE(h->satp) - 8 + 3;
    unsigned va_bits = 12 + 9 * levels;
    gpa_t table = SATP_PPN(h->satp) << 12;

    if ((uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va)
        return page_fault(h, access, va);
    for (int level = (int)levels - 1; level >= 0; level--) {
        unsigned shift = 12 + 9 * (unsigned)level;
        gpa_t at = table + 8 * ((va >> shift) & 0x1ff);
        const uint8_t *host = mem_ptr(&h->vm->mem, at, 8);
        uint64_t pte;

        if (!host || !rv_pmp_allows(h, at, 8, PRIV_S, RV_LOAD))
            return access_fault(h, access, va);
        pte = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_ACQUIRE);
        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
            return page_fault(h, access, va);
        if (!(pte & (PTE_R | PTE_X))) {
            if (pte & (PTE_A | PTE_D | PTE_U))
                return page_fault(h, access, va);
            table = PTE_PPN(pte) << 12;
            continue;
        }
        if (!leaf_permits(h, pte, priv, access) || !(pte & PTE_A) ||
            (access == RV_STORE && !(pte & PTE_D)))
            return page_fault(h, access, va);
        uint64_t offset = (1ull << shift) - 1;
        if ((PTE_PPN(pte) << 12) & offset)
            return page_fault(h, access, va);
        *gpa = (PTE_PPN(pte) << 12) | (va & offset);
        return RV_NO_TRAP;
    }
    return page_fault(h, access, va);
}

static unsigned effective_priv(const struct rv_hart *h, enum rv_access access)
{
    if (access != RV_FETCH && h->priv == PRIV_M && (h->mstatus & RV_MPRV))
        return (unsigned)(h->mstatus & RV_MPP) >> RV_MPP_SHIFT;
    return h->priv;
}

int rv_translate(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                 struct rv_place *place)
{
    unsigned priv = effective_priv(h, access);
    gpa_t gpa = va;
    uint8_t *page;

    if (priv != PRIV_M && SATP_MODE(h->satp) != 0) {
        int cause = walk(h, va, priv, access, &gpa);
        if (cause != RV_NO_TRAP)
            return cause;
    }
    if (!rv_pmp_allows(h, gpa, size, priv, access))
        return access_fault(h, access, va);
    page = mem_ptr(&h->vm->mem, gpa & RV_PAGE_MASK, MEM_PAGE_SIZE);
    place->gpa = gpa;
    place->host = page ? page + (gpa & ~RV_PAGE_MASK) : NULL;
    if (page && access != RV_FETCH && rv_pmp_uniform(h, gpa)) {
        struct rv_tlb_entry *table = access == RV_LOAD ? h->tlb->load : h->tlb->store;
        struct rv_tlb_entry *e = &table[(va >> 12) % RV_TLB_ENTRIES];

        e->tag = va & RV_PAGE_MASK;
        e->addend = (uintptr_t)page - (uintptr_t)e->tag;
    }
    return RV_NO_TRAP;
}

static int mmio(struct rv_hart *h, const struct rv_place *place, uint64_t va, unsigned size,
                enum rv_access access, uint64_t *value)
{
    struct vm_exit exit = {.kind = EXIT_MMIO};

    exit.mmio.gpa = place->gpa;
    exit.mmio.size = (uint8_t)size;
    exit.mmio.write = access == RV_STORE;
    if (access == RV_STORE)
        exit.mmio.data = *value;
    vm_gate(h->hart, &exit);
    h->device_access = true;
    if (exit.mmio.failed)
        return access_fault(h, access, va);
    if (access == RV_LOAD)
        *value = exit.mmio.data;
    return RV_NO_TRAP;
}

/* An access over a page boundary: both halves are translated before a byte moves. */
static int access_crossing(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                           uint64_t *value)
{
    unsigned first = (unsigned)(MEM_PAGE_SIZE - (va & ~RV_PAGE_MASK));
    struct rv_place low, high;
    uint8_t bytes[8];
    int cause;

    cause = rv_translate(h, va, first, access, &low);
    if (cause == RV_NO_TRAP)
        cause = rv_translate(h, va + first, size - first, access, &high);
    if (cause != RV_NO_TRAP)
        return cause;
    if (!low.host || !high.host)
        return access_fault(h, access, low.host ? va + first : va);
    memcpy(bytes, value, sizeof(bytes));
    if (access == RV_LOAD) {
        memcpy(bytes, low.host, first);
        memcpy(bytes + first, high.host, size - first);
        memset(bytes + size, 0, sizeof(bytes) - size);
        memcpy(value, bytes, sizeof(bytes));
    } else {
        memcpy(low.host, bytes, first);
        memcpy(high.host, bytes + first, size - first);
    }
    return RV_NO_TRAP;
}

static int access_slow(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                       uint64_t *value)
{
    struct rv_place place;
    int cause;

    if ((va & ~RV_PAGE_MASK) + size > MEM_PAGE_SIZE)
        return access_crossing(h, va, size, access, value);
    cause = rv_translate(h, va, size, access, &place);
    if (cause != RV_NO_TRAP)
        return cause;
    if (!place.host)
        return mmio(h, &place, va, size, access, value);
    if (access == RV_LOAD) {
        *value = 0;
        memcpy(value, place.host, size);
    } else {
        memcpy(place.host, value, size);
    }
    return RV_NO_TRAP;
}

int rv_load_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t *value)
{
    *value = 0;
    return access_slow(h, va, size, RV_LOAD, value);
}

int rv_store_slow(struct rv_hart *h, uint64_t va, unsigned size, uint64_t value)
{
    if (size < 8)
        value &= (1ull << (8 * size)) - 1;
    return access_slow(h, va, size, RV_STORE, &value);
}

int rv_atomic_place(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                    struct rv_place *place)
{
    int cause;

    /* Zam is not implemented: a misaligned atomic always traps. */
    if (va & (size - 1))
        return fault(h, access == RV_LOAD ? RV_LOAD_MISALIGNED : RV_STORE_MISALIGNED, va);
    cause = rv_translate(h, va, size, access, place);
    if (cause == RV_NO_TRAP && !place->host)
        cause = access_fault(h, access, va);
    return cause;
}

void rv_context_update(struct rv_hart *h)
{
    unsigned priv = effective_priv(h, RV_LOAD);
    enum rv_context ctx = RV_CTX_M;

    if (priv == PRIV_U)
        ctx = RV_CTX_U;
    else if (priv == PRIV_S)
        ctx = h->mstatus & RV_SUM ? RV_CTX_S_SUM : RV_CTX_S;
    h->tlb = &h->tlbs[ctx];
    h->fetch = &h->fetches[h->priv == PRIV_M ? 2 : h->priv];
}

void rv_tlb_flush(struct rv_hart *h)
{
    for (unsigned ctx = 0; ctx < RV_CONTEXTS; ctx++) {
        for (unsigned i = 0; i < RV_TLB_ENTRIES; i++) {
            h->tlbs[ctx].load[i].tag = RV_TLB_EMPTY;
            h->tlbs[ctx].store[i].tag = RV_TLB_EMPTY;
        }
    }
    for (unsigned f = 0; f < 3; f++)
        for (unsigned i = 0; i < RV_TLB_ENTRIES; i++)
            h->fetches[f].entry[i].tag = RV_TLB_EMPTY;
}

void rv_tlb_flush_page(struct rv_hart *h, uint64_t va)
{
    unsigned i = (unsigned)(va >> 12) % RV_TLB_ENTRIES;

    for (unsigned ctx = 0; ctx < RV_CONTEXTS; ctx++) {
        h->tlbs[ctx].load[i].tag = RV_TLB_EMPTY;
        h->tlbs[ctx].store[i].tag = RV_TLB_EMPTY;
    }
    for (unsigned f = 0; f < 3; f++)
        h->fetches[f].entry[i].tag = RV_TLB_EMPTY;
}
