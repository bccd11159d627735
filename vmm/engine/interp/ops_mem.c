/* ops_mem.c: loads, stores and atomics of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <string.h>

#define RD  h->x[op->rd]
#define RS1 h->x[op->rs1]
#define RS2 h->x[op->imm]

#define ADDRESS (RS1 + (uint64_t)(int64_t)op->imm)

/* How a slow load or store goes on: size, kind and the instruction's length in one word. */
#define HOW(size, kind, length) ((size) | (unsigned)(kind) << 4 | (length) << 8)
#define HOW_SIZE(how)           ((how)&15u)
#define HOW_KIND(how)           ((enum load_kind)((how) >> 4 & 15u))
#define HOW_LENGTH(how)         ((how) >> 8)

enum load_kind { LOAD_ZERO, LOAD_SIGN, LOAD_FLOAT };

/*
 * The entry that may serve [va, va+size). The tag is compared with the page of the last byte,
 * so an access over a page boundary misses, and a misaligned one within a page costs nothing.
 */
INLINE const uint8_t *tlb_hit(const struct rv_tlb_entry *table, uint64_t va, unsigned size)
{
    const struct rv_tlb_entry *e = &table[(va >> 12) % RV_TLB_ENTRIES];

    if (UNLIKELY(e->tag != ((va + size - 1) & RV_PAGE_MASK)))
        return NULL;
    return (const uint8_t *)(e->addend + va);
}

/* Of its own, so that nothing in the handlers has its address taken and tail calls stay
 * possible. */
static NOINLINE int load_slow(struct rv_hart *h, uint64_t va, unsigned size)
{
    return rv_load_slow(h, va, size, &interp_of(h)->slow_value);
}

/* After an access to a device the guest may have been stopped, or have an interrupt. */
static void after_slow(OP_PARAMS, unsigned length)
{
    if (h->device_access) {
        h->device_access = false;
        h->pc = op_pc(op, pcd) + length;
        interp_resume(OP_ARGS);
        return;
    }
    NEXT();
}

static NOINLINE void load_slow_op(OP_PARAMS, unsigned how)
{
    unsigned size = HOW_SIZE(how);
    uint64_t value;

    h->left = left;
    h->pc = op_pc(op, pcd);
    if (load_slow(h, ADDRESS, size) != RV_NO_TRAP) {
        interp_trap(OP_ARGS);
        return;
    }
    value = interp_of(h)->slow_value;
    switch (HOW_KIND(how)) {
    case LOAD_FLOAT: h->f[op->rd] = size == 4 ? value | 0xffffffff00000000ull : value; break;
    case LOAD_SIGN:
        RD = (uint64_t)((int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size));
        break;
    default: RD = value; break;
    }
    after_slow(OP_ARGS, HOW_LENGTH(how));
}

static NOINLINE void store_slow_op(OP_PARAMS, unsigned how)
{
    uint64_t value = HOW_KIND(how) == LOAD_FLOAT ? h->f[op->rd] : RD;

    h->left = left;
    h->pc = op_pc(op, pcd);
    if (rv_store_slow(h, ADDRESS, HOW_SIZE(how), value) != RV_NO_TRAP) {
        interp_trap(OP_ARGS);
        return;
    }
    after_slow(OP_ARGS, HOW_LENGTH(how));
}

#define OP_LOAD(name, type, kind, assign)                                                      \
    OP(name)                                                                                   \
    {                                                                                          \
        const uint8_t *p = tlb_hit(h->tlb->load, ADDRESS, sizeof(type));                       \
        type value;                                                                            \
                                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            load_slow_op(OP_ARGS, HOW(sizeof(type), kind, length));                            \
            return;                                                                            \
        }                                                                                      \
        memcpy(&value, p, sizeof(value));                                                      \
        assign;                                                                                \
        NEXT();                                                                                \
    }

#define OP_STORE(name, type, kind, source)                                                     \
    OP(name)                                                                                   \
    {                                                                                          \
        const uint8_t *p = tlb_hit(h->tlb->store, ADDRESS, sizeof(type));                      \
        type value = (type)(source);                                                           \
                                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            store_slow_op(OP_ARGS, HOW(sizeof(type), kind, length));                           \
            return;                                                                            \
        }                                                                                      \
        memcpy((void *)(uintptr_t)p, &value, sizeof(value));                                   \
        NEXT();                                                                                \
    }

OP_LOAD(lb, int8_t, LOAD_SIGN, RD = (uint64_t)(int64_t)value)
OP_LOAD(lh, int16_t, LOAD_SIGN, RD = (uint64_t)(int64_t)value)
OP_LOAD(lw, int32_t, LOAD_SIGN, RD = (uint64_t)(int64_t)value)
OP_LOAD(ld, uint64_t, LOAD_ZERO, RD = value)
OP_LOAD(lbu, uint8_t, LOAD_ZERO, RD = value)
OP_LOAD(lhu, uint16_t, LOAD_ZERO, RD = value)
OP_LOAD(lwu, uint32_t, LOAD_ZERO, RD = value)
OP_STORE(sb, uint8_t, LOAD_ZERO, RD)
OP_STORE(sh, uint16_t, LOAD_ZERO, RD)
OP_STORE(sw, uint32_t, LOAD_ZERO, RD)
OP_STORE(sd, uint64_t, LOAD_ZERO, RD)

/* Floating-point loads and stores need FS on; a load makes the state dirty. */
#define FP_ON()                                                                                \
    do {                                                                                       \
        if (UNLIKELY(!(h->mstatus & RV_FS))) {                                                 \
            interp_illegal(OP_ARGS);                                                           \
            return;                                                                            \
        }                                                                                      \
    } while (0)

#define OP_FLOAD(name, type, assign)                                                           \
    OP(name)                                                                                   \
    {                                                                                          \
        const uint8_t *p = tlb_hit(h->tlb->load, ADDRESS, sizeof(type));                       \
        type value;                                                                            \
                                                                                               \
        FP_ON();                                                                               \
        h->mstatus |= RV_FS;                                                                   \
        if (UNLIKELY(!p)) {                                                                    \
            load_slow_op(OP_ARGS, HOW(sizeof(type), LOAD_FLOAT, length));                      \
            return;                                                                            \
        }                                                                                      \
        memcpy(&value, p, sizeof(value));                                                      \
        assign;                                                                                \
        NEXT();                                                                                \
    }

#define OP_FSTORE(name, type)                                                                  \
    OP(name)                                                                                   \
    {                                                                                          \
        const uint8_t *p = tlb_hit(h->tlb->store, ADDRESS, sizeof(type));                      \
        type value = (type)h->f[op->rd];                                                       \
                                                                                               \
        FP_ON();                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            store_slow_op(OP_ARGS, HOW(sizeof(type), LOAD_FLOAT, length));                     \
            return;                                                                            \
        }                                                                                      \
        memcpy((void *)(uintptr_t)p, &value, sizeof(value));                                   \
        NEXT();                                                                                \
    }

OP_FLOAD(flw, uint32_t, h->f[op->rd] = value | 0xffffffff00000000ull)
OP_FLOAD(fld, uint64_t, h->f[op->rd] = value)
OP_FSTORE(fsw, uint32_t)
OP_FSTORE(fsd, uint64_t)

/* Where an atomic finds its word: through the TLB, or by a walk; NULL after a trap. */
static NOINLINE void *atomic_slow(struct rv_hart *h, uint64_t va, unsigned size,
                                  enum rv_access access)
{
    struct rv_place place;

    if (rv_atomic_place(h, va, size, access, &place) != RV_NO_TRAP)
        return NULL;
    return place.host;
}

INLINE void *atomic_host(struct rv_hart *h, uint64_t va, unsigned size)
{
    const uint8_t *p = va & (size - 1) ? NULL : tlb_hit(h->tlb->store, va, size);

    return LIKELY(p) ? (void *)(uintptr_t)p : atomic_slow(h, va, size, RV_STORE);
}

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* A read-modify-write as one sequentially consistent step, whatever aq and rl ask at least. */
#define OP_AMO(name, type, stype, expression)                                                  \
    OP(name)                                                                                   \
    {                                                                                          \
        type *p = atomic_host(h, RS1, sizeof(type));                                           \
        type source = (type)RS2;                                                               \
        type old;                                                                              \
                                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            interp_trap(OP_ARGS);                                                              \
            return;                                                                            \
        }                                                                                      \
        old = __atomic_load_n(p, __ATOMIC_RELAXED);                                            \
        for (;;) {                                                                             \
            type seen = old;                                                                   \
            type value = (type)(expression);                                                   \
                                                                                               \
            old = __sync_val_compare_and_swap(p, seen, value);                                 \
            if (LIKELY(old == seen))                                                           \
                break;                                                                         \
        }                                                                                      \
        RD = (uint64_t)(stype)old;                                                             \
        NEXT();                                                                                \
    }

#define OP_AMOS(suffix, type, stype)                                                           \
    OP_AMO(amoswap_##suffix, type, stype, source)                                              \
    OP_AMO(amoadd_##suffix, type, stype, seen + source)                                        \
    OP_AMO(amoxor_##suffix, type, stype, seen ^ source)                                        \
    OP_AMO(amoand_##suffix, type, stype, seen &source)                                         \
    OP_AMO(amoor_##suffix, type, stype, seen | source)                                         \
    OP_AMO(amomin_##suffix, type, stype, MIN((stype)seen, (stype)source))                      \
    OP_AMO(amomax_##suffix, type, stype, MAX((stype)seen, (stype)source))                      \
    OP_AMO(amominu_##suffix, type, stype, MIN(seen, source))                                   \
    OP_AMO(amomaxu_##suffix, type, stype, MAX(seen, source))

OP_AMOS(w, uint32_t, int32_t)
OP_AMOS(d, uint64_t, int64_t)

/*
 * LR and SC. The reservation is the host address and the value seen: SC stores when the word
 * still has that value, by compare-and-swap. A word that changed and changed back is not
 * noticed, as in every emulator that works this way; traps and SC itself drop the reservation.
 */
#define OP_LR(name, type, stype)                                                               \
    OP(name)                                                                                   \
    {                                                                                          \
        const uint8_t *hit =                                                                   \
            RS1 & (sizeof(type) - 1) ? NULL : tlb_hit(h->tlb->load, RS1, sizeof(type));        \
        const type *p = (const type *)(const void *)hit;                                       \
        type value;                                                                            \
                                                                                               \
        if (UNLIKELY(!p))                                                                      \
            p = atomic_slow(h, RS1, sizeof(type), RV_LOAD);                                    \
        if (UNLIKELY(!p)) {                                                                    \
            interp_trap(OP_ARGS);                                                              \
            return;                                                                            \
        }                                                                                      \
        value = __atomic_load_n(p, __ATOMIC_SEQ_CST);                                          \
        h->reserve_host = (uintptr_t)p;                                                        \
        h->reserve_value = value;                                                              \
        RD = (uint64_t)(stype)value;                                                           \
        NEXT();                                                                                \
    }

#define OP_SC(name, type)                                                                      \
    OP(name)                                                                                   \
    {                                                                                          \
        type *p = atomic_host(h, RS1, sizeof(type));                                           \
        bool done = false;                                                                     \
                                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            interp_trap(OP_ARGS);                                                              \
            return;                                                                            \
        }                                                                                      \
        if (h->reserve_host == (uintptr_t)p)                                                   \
            done = __sync_bool_compare_and_swap(p, (type)h->reserve_value, (type)RS2);         \
        h->reserve_host = RV_NO_RESERVATION;                                                   \
        RD = !done;                                                                            \
        NEXT();                                                                                \
    }

OP_LR(lr_w, uint32_t, int32_t)
OP_LR(lr_d, uint64_t, int64_t)
OP_SC(sc_w, uint32_t)
OP_SC(sc_d, uint64_t)
