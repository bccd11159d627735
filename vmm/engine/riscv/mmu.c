/* mmu.c: address translation, software TLB and the slow side of memory accesses. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/rv.h"

#include <string.h>
#include "vmm/phases.h"
#include "vmm/vm.h"

/* Page table entries (privileged specification, section "Sv39"). */
#define PTE_V        (1ull << 0)
#define PTE_R        (1ull << 1)
#define PTE_W        (1ull << 2)
#define PTE_X        (1ull << 3)
#define PTE_U        (1ull << 4)
#define PTE_A        (1ull << 6)
#define PTE_D        (1ull << 7)
#define PTE_PBMT     (3ull << 61)
#define PTE_N        (1ull << 63)
#define PTE_RESERVED (((1ull << 61) - 1) & ~((1ull << 54) - 1))
#define PTE_PPN(pte) (((pte) >> 10) & ((1ull << 44) - 1))

/* Svnapot knows one size, 64 KiB: these low bits of the PPN. */
#define NAPOT_SHIFT    16
#define NAPOT_PPN_MASK 0xfull
#define NAPOT_PPN_64K  0x8ull

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

/* Svpbmt: are the memory type bits of a leaf legal? The types themselves change nothing here.
 */
static bool leaf_type_legal(const struct rv_hart *h, uint64_t pte)
{
    return h->menvcfg & RV_ENVCFG_PBMTE ? (pte & PTE_PBMT) != PTE_PBMT : !(pte & PTE_PBMT);
}

/* Log2 of the bytes that a leaf maps; 0: its size or address is none. */
static unsigned leaf_shift(uint64_t pte, unsigned shift)
{
    if (!(pte & PTE_N))
        return (PTE_PPN(pte) << 12) & ((1ull << shift) - 1) ? 0 : shift;
    return shift == 12 && (PTE_PPN(pte) & NAPOT_PPN_MASK) == NAPOT_PPN_64K ? NAPOT_SHIFT : 0;
}

enum leaf_update { LEAF_READY, LEAF_CHANGED, LEAF_FAULT, LEAF_NO_ACCESS };

/*
 * Sees to A and D. Without ADUE a clear bit is a page fault (Svade); with it they are set, as
 * one step with the check that the entry is still the same (Svadu), else the walk starts again.
 */
static enum leaf_update leaf_update(struct rv_hart *h, gpa_t at, uint8_t *host, uint64_t pte,
                                    enum rv_access access)
{
    uint64_t need = access == RV_STORE ? PTE_A | PTE_D : PTE_A;

    if ((pte & need) == need)
        return LEAF_READY;
    if (!(h->menvcfg & RV_ENVCFG_ADUE))
        return LEAF_FAULT;
    if (!rv_pmp_allows(h, at, 8, PRIV_S, RV_STORE))
        return LEAF_NO_ACCESS;
    return __sync_bool_compare_and_swap((uint64_t *)(void *)host, pte, pte | need)
               ? LEAF_READY
               : LEAF_CHANGED;
}

/* Remembers that pieces of this leaf may be in the TLB. */
static void note_large(struct rv_hart *h, uint64_t va, unsigned shift)
{
    struct rv_large *large = &h->space->large[va >> 63];
    uint64_t size = 1ull << shift;
    uint64_t first = va & ~(size - 1);

    if (first < large->first)
        large->first = first;
    if (first + (size - 1) > large->last)
        large->last = first + (size - 1);
    if (size > large->size)
        large->size = size;
}

/* The place of an entry that walks may read, or NULL. */
static uint8_t *entry_find(const struct rv_hart *h, gpa_t at)
{
    uint8_t *host = mem_ptr(&h->vm->mem, at, 8);

    return host && (h->pmp_open || rv_pmp_allows(h, at, 8, PRIV_S, RV_LOAD)) ? host : NULL;
}

/* A walk on its way to the table of a level, and the entries that have led it there. */
struct walk {
    int level;
    gpa_t table;
    uint8_t *host; /* of the table, where all of it may be read; else each entry is looked up */
    unsigned way;
    const uint64_t *from[RV_STEP_WAY];
    uint64_t entry[RV_STEP_WAY];
};

/* Begins at the last table that an earlier walk to va has left, or at the root. */
static void walk_begin(struct rv_hart *h, uint64_t va, unsigned levels, struct walk *w)
{
    for (unsigned level = 0; level < RV_STEP_LEVEL; level++) {
        const struct rv_step *step = rv_step_place(h->space, va, level);

        if (step->tag != va >> (21 + 9 * level) || h->whole_walks)
            continue;
        w->level = (int)level;
        w->table = step->table;
        w->host = step->host;
        w->way = step->way;
        for (unsigned i = 0; level > 0 && i < step->way; i++) { /* from 0 no step leads on */
            w->from[i] = step->from[i];
            w->entry[i] = step->entry[i];
        }
        return;
    }
    w->level = (int)levels - 1;
    w->table = SATP_PPN(h->satp) << 12;
    w->host = NULL;
    w->way = 0;
}

/*
 * Goes on to the table that an entry points to, and leaves that for later walks. Fetches leave
 * only those of the last level: where they lead to large pages there are few of them, and one
 * comes behind each fence.
 */
static void walk_step(struct rv_hart *h, uint64_t va, enum rv_access access,
                      const uint8_t *host, uint64_t pte, struct walk *w)
{
    unsigned level = (unsigned)--w->level, i;
    struct rv_step *step;

    w->table = PTE_PPN(pte) << 12;
    w->host = NULL;
    if (w->level < 0)
        return;
    w->from[w->way] = (const uint64_t *)(const void *)host;
    w->entry[w->way++] = pte;
    if (level >= (access == RV_FETCH ? 1 : RV_STEP_LEVEL) || h->whole_walks ||
        (!h->pmp_open && (!rv_pmp_uniform(h, w->table) ||
                          !rv_pmp_allows(h, w->table, MEM_PAGE_SIZE, PRIV_S, RV_LOAD))))
        return;
    w->host = mem_ptr(&h->vm->mem, w->table, MEM_PAGE_SIZE);
    if (!w->host)
        return;
    step = rv_step_place(h->space, va, level);
    i = (unsigned)(step - &h->space->steps.step[0][0]);
    step->tag = va >> (21 + 9 * level);
    step->table = w->table;
    step->host = w->host;
    step->way = w->way;
    for (unsigned k = 0; k < w->way; k++) { /* no memcpy: its loads would wait for our stores */
        step->from[k] = w->from[k];
        step->entry[k] = w->entry[k];
    }
    h->space->steps.filled |= 1ull << i;
    h->space->filled = true;
}

/* Walks the tables of satp (privileged specification, section "Virtual Address Translation
 * Process"). */
static int walk(struct rv_hart *h, uint64_t va, unsigned priv, enum rv_access access,
                gpa_t *gpa)
{
    unsigned levels = (unsigned)SATP_MODE(h->satp) - 8 + 3;
    unsigned va_bits = 12 + 9 * levels;
    struct walk w;
    uint64_t offset;

    if ((uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va)
        return page_fault(h, access, va);
    walk_begin(h, va, levels, &w);
    while (w.level >= 0) {
        unsigned shift = 12 + 9 * (unsigned)w.level;
        uint64_t place = 8 * ((va >> shift) & 0x1ff);
        uint8_t *host = w.host ? w.host + place : entry_find(h, w.table + place);
        uint64_t pte;

        if (!host)
            return access_fault(h, access, va);
        pte = __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_ACQUIRE);
        if (!(pte & PTE_V) || (pte & (PTE_R | PTE_W)) == PTE_W || (pte & PTE_RESERVED))
            return page_fault(h, access, va);
        if (!(pte & (PTE_R | PTE_X))) {
            if (pte & (PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N))
                return page_fault(h, access, va);
            walk_step(h, va, access, host, pte, &w);
            continue;
        }
        shift = leaf_shift(pte, shift);
        if (!shift || !leaf_type_legal(h, pte) || !leaf_permits(h, pte, priv, access))
            return page_fault(h, access, va);
        switch (leaf_update(h, w.table + place, host, pte, access)) {
        case LEAF_READY: break;
        case LEAF_CHANGED: return walk(h, va, priv, access, gpa);
        case LEAF_FAULT: return page_fault(h, access, va);
        case LEAF_NO_ACCESS: return access_fault(h, access, va);
        }
        if (shift > 12)
            note_large(h, va, shift);
        offset = (1ull << shift) - 1;
        *gpa = ((PTE_PPN(pte) << 12) & ~offset) | (va & offset);
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

/* A page that can be loaded from only. No pointer into it gets where stores look: both the
 * table of the TLB and the place are the load's. */
static uint8_t *rom_page(const struct rv_hart *h, gpa_t gpa)
{
    return (uint8_t *)(uintptr_t)mem_rom(&h->vm->mem, gpa, MEM_PAGE_SIZE);
}

static const uint64_t walk_event[] = {[RV_FETCH] = HART_EVENT_FETCH_WALKS,
                                      [RV_LOAD] = HART_EVENT_LOAD_WALKS,
                                      [RV_STORE] = HART_EVENT_STORE_WALKS};

int rv_translate(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                 struct rv_place *place)
{
    unsigned priv = effective_priv(h, access);
    gpa_t gpa = va;
    uint8_t *page;

    if (priv != PRIV_M && SATP_MODE(h->satp) != 0) {
        rv_hpm_count(h, walk_event[access]);
        int cause = walk(h, va, priv, access, &gpa);
        if (cause != RV_NO_TRAP)
            return cause;
    }
    if (!rv_pmp_allows(h, gpa, size, priv, access))
        return access_fault(h, access, va);
    page = mem_ptr(&h->vm->mem, gpa & RV_PAGE_MASK, MEM_PAGE_SIZE);
    if (!page && access == RV_LOAD)
        page = rom_page(h, gpa & RV_PAGE_MASK);
    place->gpa = gpa;
    place->host = page ? page + (gpa & ~RV_PAGE_MASK) : NULL;
    if (page && access != RV_FETCH && !h->misaligned_traps && rv_pmp_uniform(h, gpa)) {
        struct rv_tlb_entry *table = access == RV_LOAD ? h->tlb->load : h->tlb->store;
        struct rv_tlb_entry *e = &table[(va >> 12) % RV_TLB_ENTRIES];

#ifdef RV_TLB_ONE /* tests build so: a context keeps nothing but its last translation */
        for (unsigned i = 0; i < RV_TLB_ENTRIES; i++)
            h->tlb->load[i].tag = h->tlb->store[i].tag = RV_TLB_EMPTY;
#endif
        rv_tlb_fill(h, &h->tlb->filled, va);
        e->tag = va & RV_PAGE_MASK;
        e->addend = (uintptr_t)page - (uintptr_t)e->tag;
    }
    return RV_NO_TRAP;
}

static int mmio(struct rv_hart *h, gpa_t gpa, uint64_t va, unsigned size, enum rv_access access,
                uint64_t *value)
{
    struct vm_exit exit; /* not cleared: that would be a tenth of the whole */
    const bool timed = hart_timed(h->hart); /* asked once: each question is 1 % of a read */

    if (timed)
        phase_mark(h->hart, MARK_LEAVE);
    exit.kind = EXIT_MMIO;
    exit.mmio.gpa = gpa;
    exit.mmio.size = (uint8_t)size;
    exit.mmio.write = access == RV_STORE;
    exit.mmio.failed = false;
    exit.mmio.data = access == RV_STORE ? *value : 0;
    rv_hpm_count(h, HART_EVENT_DEVICE);
    if (timed)
        phase_gate(h->hart, &exit);
    vm_gate(h->hart, &exit);
    h->device_access = true;
    if (exit.mmio.failed)
        return access_fault(h, access, va);
    if (access == RV_LOAD)
        *value = exit.mmio.data;
    if (timed)
        phase_end(h->hart);
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

/*
 * One access to RAM. Of a constant size it is one instruction of the host; memcpy of a variable
 * size may store a word twice, and undo what another hart stored between.
 */
static void ram_copy(void *to, const void *from, unsigned size)
{
    switch (size) {
    case 1: memcpy(to, from, 1); break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8); break;
    }
}

/* Remembers where a device was found, as long as the page has one verdict for all of it. */
static void device_enter(struct rv_hart *h, uint64_t va, enum rv_access access, gpa_t gpa)
{
    struct rv_tlb_entry *e = &h->tlb->device[access == RV_STORE];

    if (!rv_pmp_uniform(h, gpa))
        return;
    e->tag = va & RV_PAGE_MASK;
    e->addend = (uintptr_t)(gpa - va);
    h->space->filled = true;
}

static int access_slow(struct rv_hart *h, uint64_t va, unsigned size, enum rv_access access,
                       uint64_t *value)
{
    struct rv_place place;
    int cause;

    /* Before anything else (privileged specification, table of exception priorities). */
    if (h->misaligned_traps && va % size != 0)
        return fault(h, access == RV_LOAD ? RV_LOAD_MISALIGNED : RV_STORE_MISALIGNED, va);
    if ((va & ~RV_PAGE_MASK) + size > MEM_PAGE_SIZE)
        return access_crossing(h, va, size, access, value);
    /* A walk that is not made is not counted. */
    if ((va & RV_PAGE_MASK) == h->tlb->device[access == RV_STORE].tag && !h->hpm.occurring)
        return mmio(h, va + h->tlb->device[access == RV_STORE].addend, va, size, access, value);
    cause = rv_translate(h, va, size, access, &place);
    if (cause != RV_NO_TRAP)
        return cause;
    if (!place.host) {
        device_enter(h, va, access, place.gpa);
        return mmio(h, place.gpa, va, size, access, value);
    }
    if (access == RV_LOAD) {
        *value = 0;
        ram_copy(value, place.host, size);
    } else {
        ram_copy(place.host, value, size);
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
