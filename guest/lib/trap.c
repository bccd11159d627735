/* trap.c: the handler behind the trap vector. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/trap.h"

#include <stddef.h>
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/layout.h"
#include "guest/lib/print.h"

_Static_assert(offsetof(struct trap_frame, sepc) == FRAME_SEPC, "trap.S saves sepc here");
_Static_assert(offsetof(struct trap_frame, stval) == FRAME_STVAL, "trap.S saves stval here");
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "trap.S makes room for a frame");
_Static_assert(offsetof(struct guard, value) == GUARD_VALUE,
               "guard_enter stores the value here");

void trap_set_irq(irq_fn *fn)
{
    hart_self()->irq = fn;
}

static void guard_take(struct guard *guard, struct trap_frame *frame)
{
    guard->cause = frame->scause;
    guard->epc = frame->sepc;
    guard->tval = frame->stval;
    for (unsigned i = 0; i < 32; i++)
        guard->x[i] = frame->x[i];
    frame->sepc = (uintptr_t)guard_resume;
    frame->x[10] = (uintptr_t)guard;
    frame->sstatus |= SSTATUS_SPP;
}

void trap_handle(struct trap_frame *frame)
{
    struct hart_local *self = hart_self();

    if ((frame->scause & CAUSE_INTERRUPT) && self->irq) {
        self->irq(frame);
        return;
    }
    if (!(frame->scause & CAUSE_INTERRUPT) && self->guard) {
        guard_take(self->guard, frame);
        return;
    }
    print("\nunexpected trap: scause %lx sepc %lx stval %lx hart %lu\n", frame->scause,
          frame->sepc, frame->stval, self->id);
    system_fail(1);
}

bool guard_call(struct guard *guard, guard_fn *fn, uint64_t a, uint64_t b)
{
    struct hart_local *self = hart_self();
    struct guard *outer = self->guard;
    uint64_t trapped;

    self->guard = guard;
    trapped = guard_enter(guard, fn, a, b);
    self->guard = outer;
    return !trapped;
}

void guard_user(struct guard *guard, uint64_t pc, uint64_t sp, uint64_t a0, uint64_t a1)
{
    struct hart_local *self = hart_self();
    struct guard *outer = self->guard;

    self->guard = guard;
    guard_enter_user(guard, pc, sp, a0, a1);
    self->guard = outer;
}

/* In assembly, since C gives no meaning to misaligned and wild pointers. */
static uint64_t load_raw(uint64_t addr, uint64_t size)
{
    uint64_t value = 0;

    switch (size) {
    case 1: __asm__ volatile("lbu %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 2: __asm__ volatile("lhu %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 4: __asm__ volatile("lwu %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    default: __asm__ volatile("ld %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    }
    return value;
}

struct store {
    uint64_t addr, value;
};

static uint64_t store_raw(uint64_t arg, uint64_t size)
{
    const struct store *s = (const struct store *)arg;
    uint64_t addr = s->addr, value = s->value;

    switch (size) {
    case 1: __asm__ volatile("sb %0, (%1)" : : "r"(value), "r"(addr) : "memory"); break;
    case 2: __asm__ volatile("sh %0, (%1)" : : "r"(value), "r"(addr) : "memory"); break;
    case 4: __asm__ volatile("sw %0, (%1)" : : "r"(value), "r"(addr) : "memory"); break;
    default: __asm__ volatile("sd %0, (%1)" : : "r"(value), "r"(addr) : "memory"); break;
    }
    return 0;
}

uint64_t guard_load(struct guard *guard, uint64_t addr, unsigned size)
{
    return guard_call(guard, load_raw, addr, size) ? 0 : guard->cause;
}

uint64_t guard_store(struct guard *guard, uint64_t addr, unsigned size, uint64_t value)
{
    struct store s = {.addr = addr, .value = value};

    return guard_call(guard, store_raw, (uintptr_t)&s, size) ? 0 : guard->cause;
}

uint64_t guard_jump(struct guard *guard, uint64_t addr)
{
    return guard_call(guard, (guard_fn *)addr, 0, 0) ? 0 : guard->cause;
}
