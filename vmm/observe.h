/* observe.h: who watches a guest's crossings: traces and statistics. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_OBSERVE_H
#define VMM_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/error.h"
#include "vmm/exit.h"

struct vm;
struct hart;

/* What is watched (vm_config.trace, hart.watch): the words of --trace, and statistics. */
#define WATCH_CALLS  0x01u /* calls to the monitor */
#define WATCH_MMIO   0x02u /* accesses to devices */
#define WATCH_CSR    0x04u /* the guest's CSR instructions */
#define WATCH_IRQ    0x08u /* interrupts that it takes */
#define WATCH_FAULTS 0x10u /* exceptions that it takes, its own calls apart */
#define WATCH_GUEST  0x20u /* its own calls, from U-mode to S-mode */
#define WATCH_STATS  0x40u
/* Seen by an engine only (ENGINE_WATCH). */
#define WATCH_ENGINE (WATCH_CSR | WATCH_IRQ | WATCH_FAULTS | WATCH_GUEST)

/*
 * Parses the argument of --trace, words that commas separate ("calls,mmio", or "all"), into a
 * mask. 0, or -EINVAL with *err set.
 */
int watch_parse(const char *text, unsigned *mask, struct error *err);

/*
 * Sets up what the configuration asks for; vm->observer stays NULL when that is nothing, and
 * watching then costs a test of a pointer at each exit. Opens the trace's file. Harts exist. 0
 * or -errno with *err set.
 */
int observer_create(struct vm *vm, struct error *err);

/*
 * When the harts have ended: writes out the trace, prints the statistics to `out`, writes the
 * file of --stats-json. 0, or -errno with *err set (a trace that is not complete, too).
 */
int observer_finish(struct vm *vm, FILE *out, struct error *err);
void observer_destroy(struct vm *vm);

/* The gate's and the wrapper's ways when somebody watches. */
enum gate observe_exit(struct hart *hart, struct vm_exit *exit);
void observe_call(struct hart *hart, struct call *call);

/* The bytes that the wrapper copied for the call at hand, in or out. */
void observe_buffer(struct hart *hart, const void *data, size_t len);

/*
 * From an engine whose hart has the bit in hart->watch, on the hart's thread. `x` are the 32
 * registers. A trap is told when it is taken, with the state of before; a return when it has
 * gone to U-mode, with the state of after.
 */
struct observed_trap {
    uint64_t cause; /* scause encoding */
    uint64_t tval;
    uint64_t pc;
    unsigned priv; /* PRIV_* that it came from */
    uint64_t satp, sscratch;
    const uint64_t *x;
};
void observe_trap(struct hart *hart, const struct observed_trap *trap);
void observe_return(struct hart *hart, uint64_t satp, uint64_t sscratch, const uint64_t *x);
void observe_csr(struct hart *hart, uint64_t pc, unsigned csr, uint64_t old, bool written,
                 uint64_t value);

#endif
