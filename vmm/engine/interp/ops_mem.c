/* ops_mem.c: loads, stores and atomics of the interpreter. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include <pthread.h>
#include <string.h>
#include "guest/abi/platform.h"

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

/* After an access to a device the guest may have been stopped, or have an interrupt; a walk may
 * have been counted. */
static void after_slow(OP_PARAMS, unsigned length)
{
    if (h->device_access || h->hpm.look) {
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
    case LOAD_FLOAT: h->f[op->rd] = size < 8 ? value | UINT64_MAX << 8 * size : value; break;
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

OP_FLOAD(flh, uint16_t, h->f[op->rd] = value | 0xffffffffffff0000ull)
OP_FLOAD(flw, uint32_t, h->f[op->rd] = value | 0xffffffff00000000ull)
OP_FLOAD(fld, uint64_t, h->f[op->rd] = value)
OP_FSTORE(fsh, uint16_t)
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
 * Zacas: a swap that happens if memory holds what rd did. As it is a store when it is none, it
 * always needs a writable page. x0 is compared as 0 ("Zacas").
 */
#define OP_AMOCAS(name, type, stype)                                                           \
    OP(name)                                                                                   \
    {                                                                                          \
        type *p = atomic_host(h, RS1, sizeof(type));                                           \
        type expected = op->rd == RV_REG_SINK ? 0 : (type)RD;                                  \
                                                                                               \
        if (UNLIKELY(!p)) {                                                                    \
            interp_trap(OP_ARGS);                                                              \
            return;                                                                            \
        }                                                                                      \
        RD = (uint64_t)(stype)__sync_val_compare_and_swap(p, expected, (type)RS2);             \
        NEXT();                                                                                \
    }

OP_AMOCAS(amocas_w, uint32_t, int32_t)
OP_AMOCAS(amocas_d, uint64_t, int64_t)

__extension__ typedef unsigned __int128 u128;

/* Swaps 16 bytes at p if they are `expected`; returns what was there. */
#if defined(__x86_64__) || defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16)
#ifdef __x86_64__
__attribute__((target("cx16"))) /* every x86-64 host since 2006 */
#endif
static NOINLINE u128
pair_swap(struct rv_hart *h, void *p, u128 expected, u128 value)
{
    (void)h;
    return __sync_val_compare_and_swap((u128 *)p, expected, value);
}
#else
/* A host without such an instruction: atomic among harts that use this one, not beside others.
 */
static NOINLINE u128 pair_swap(struct rv_hart *h, void *p, u128 expected, u128 value)
{
    u128 seen;

    pthread_mutex_lock(&h->vm->fence_lock);
    memcpy(&seen, p, sizeof(seen));
    if (seen == expected)
        memcpy(p, &value, sizeof(value));
    pthread_mutex_unlock(&h->vm->fence_lock);
    return seen;
}
#endif

/* The value of an even register and the next; of x0 both halves are 0. */
INLINE u128 pair_value(const struct rv_hart *h, unsigned even)
{
    return even == 0 || even == RV_REG_SINK ? 0 : (u128)h->x[even + 1] << 64 | h->x[even];
}

/* False after a trap. */
static NOINLINE bool amocas_pair(struct rv_hart *h, const struct rv_op *op)
{
    void *p = atomic_host(h, RS1, sizeof(u128));
    u128 seen;

    if (!p)
        return false;
    seen = pair_swap(h, p, pair_value(h, op->rd), pair_value(h, (unsigned)op->imm));
    if (op->rd != RV_REG_SINK) {
        h->x[op->rd] = (uint64_t)seen;
        h->x[op->rd + 1] = (uint64_t)(seen >> 64);
    }
    return true;
}

OP(amocas_q)
{
    if (UNLIKELY(!amocas_pair(h, op))) {
        interp_trap(OP_ARGS);
        return;
    }
    NEXT();
}

/*
 * Cache blocks (chapter "CMO"). Caches are coherent with everything, so that management only
 * asks whether it may; a block that may be loaded from may be managed.
 */
#define BLOCK_SIZE PLAT_CACHE_BLOCK

/* Do menvcfg and senvcfg let this privilege? `field` is a field of both; 0 forbids. */
static bool block_allowed(const struct rv_hart *h, uint64_t field)
{
    if (h->priv != PRIV_M && !(h->menvcfg & field))
        return false;
    return h->priv != PRIV_U || (h->senvcfg & field);
}

/* Finds the block of va. NULL after a trap, which is always that of a store. */
static NOINLINE void *block_place(struct rv_hart *h, uint64_t va, enum rv_access access)
{
    struct rv_place place;
    int cause = rv_translate(h, va & ~(uint64_t)(BLOCK_SIZE - 1), BLOCK_SIZE, access, &place);

    if (cause == RV_NO_TRAP && place.host)
        return place.host;
    h->trap_cause =
        cause == RV_LOAD_PAGE || cause == RV_STORE_PAGE ? RV_STORE_PAGE : RV_STORE_ACCESS;
    h->trap_tval = va;
    return NULL;
}

static NOINLINE void block_manage(OP_PARAMS, uint64_t field)
{
    uint64_t block = RS1 & ~(uint64_t)(BLOCK_SIZE - 1);

    if (!block_allowed(h, field))
        interp_illegal(OP_ARGS);
    else if (!tlb_hit(h->tlb->load, block, BLOCK_SIZE) && !block_place(h, RS1, RV_LOAD))
        interp_trap(OP_ARGS);
    else
        DISPATCH(op + 2);
}

#define OP_BLOCK(name, field)                                                                  \
    OP(name)                                                                                   \
    {                                                                                          \
        block_manage(OP_ARGS, field);                                                          \
    }

OP_BLOCK(cbo_inval, RV_ENVCFG_CBIE)
OP_BLOCK(cbo_clean, RV_ENVCFG_CBCFE)
OP_BLOCK(cbo_flush, RV_ENVCFG_CBCFE)

OP(cbo_zero)
{
    uint64_t block = RS1 & ~(uint64_t)(BLOCK_SIZE - 1);
    void *p = (void *)(uintptr_t)tlb_hit(h->tlb->store, block, BLOCK_SIZE);

    if (UNLIKELY(!block_allowed(h, RV_ENVCFG_CBZE))) {
        interp_illegal(OP_ARGS);
        return;
    }
    if (UNLIKELY(!p))
        p = block_place(h, RS1, RV_STORE);
    if (UNLIKELY(!p)) {
        interp_trap(OP_ARGS);
        return;
    }
    memset(p, 0, BLOCK_SIZE);
    NEXT();
}

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
