/* trap.h: traps of a kernel guest: interrupts to a hook, exceptions to a guard. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_TRAP_H
#define GUEST_LIB_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* The interrupted registers. What the hook changes is what the hart goes on with. */
struct trap_frame {
    uint64_t x[32];
    uint64_t sepc, sstatus, scause, stval;
};

/* What an interrupt does; runs with interrupts off, on the interrupted hart. */
typedef void irq_fn(struct trap_frame *frame);

/*
 * Sets what interrupts of the calling hart do. Without a hook, or with an exception that no
 * guard waits for, the guest prints the trap and ends with a failure.
 */
void trap_set_irq(irq_fn *fn);

/* A call that may trap. After guard_call: value when it came back, the rest when it trapped. */
struct guard {
    uint64_t kept[14];
    uint64_t value;
    uint64_t cause, epc, tval;
    uint64_t x[32]; /* all registers at the trap */
};

typedef uint64_t guard_fn(uint64_t a, uint64_t b);

/* Calls fn(a, b). True when it returned; false when it trapped, wherever that was. */
bool guard_call(struct guard *guard, guard_fn *fn, uint64_t a, uint64_t b);

/* Runs U-mode code at pc until its first exception. Interrupts are served meanwhile. */
void guard_user(struct guard *guard, uint64_t pc, uint64_t sp, uint64_t a0, uint64_t a1);

/*
 * One access of 1, 2, 4 or 8 bytes, at any alignment; a jump. 0, or the cause of the trap with
 * details in *guard. No access traps with cause 0 here (fetches are aligned to 2 bytes).
 */
uint64_t guard_load(struct guard *guard, uint64_t addr, unsigned size);
uint64_t guard_store(struct guard *guard, uint64_t addr, unsigned size, uint64_t value);
uint64_t guard_jump(struct guard *guard, uint64_t addr);

/* For start.S and trap.S. */
void trap_vector(void);
void trap_handle(struct trap_frame *frame);
uint64_t guard_enter(struct guard *guard, guard_fn *fn, uint64_t a, uint64_t b);
void guard_enter_user(struct guard *guard, uint64_t pc, uint64_t sp, uint64_t a0, uint64_t a1);
void guard_resume(void);

#endif
