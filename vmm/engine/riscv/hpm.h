/* hpm.h: hardware performance counters (Zihpm) that tell of their overflow (Sscofpmf). */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_RISCV_HPM_H
#define VMM_ENGINE_RISCV_HPM_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/state.h"

/*
 * mhpmcounter3 to 10 count what their mhpmevent selects; those up to 31 are read-only zero. The
 * selectors are HART_EVENT_* (engine.h).
 *
 * Instructions and cycles cost an engine nothing: they follow from the steps that it counts
 * anyway, brought up to date whenever the privilege or the setting changes (rv_hpm_mode) and at
 * the end of a chunk (rv_hpm_sync). All else is counted where it happens, on slow paths
 * (rv_hpm_count). A counter overflows at exactly its instruction if the engine ends its chunk
 * there (rv_hpm_distance) and does so anew before the next instruction while hpm.look is set;
 * then too it must see whether there is an interrupt to take.
 */
#define RV_HPM_FIRST 3u
#define RV_HPM_LAST  (RV_HPM_FIRST + HART_HPM_COUNTERS - 1)
/* Their bits in mcountinhibit, mcounteren, scounteren and scountovf. */
#define RV_HPM_MASK (((UINT64_C(1) << HART_HPM_COUNTERS) - 1) << RV_HPM_FIRST)

/* Fields of mhpmevent ("Sscofpmf"); below 2^56 is the selector. */
#define RV_HPM_OF       (UINT64_C(1) << 63)
#define RV_HPM_MINH     (UINT64_C(1) << 62)
#define RV_HPM_SINH     (UINT64_C(1) << 61)
#define RV_HPM_UINH     (UINT64_C(1) << 60)
#define RV_HPM_SELECTOR ((UINT64_C(1) << 56) - 1)

/* No engine runs so many instructions without a look at the end of its chunk. */
#define RV_HPM_NEAR 65536u

struct rv_hart;

/* Sets of counters have bit 0 for counter 3. */
struct rv_hpm {
    uint64_t counter[HART_HPM_COUNTERS]; /* of instructions: without those since `since` */
    uint64_t event[HART_HPM_COUNTERS];   /* mhpmevent */
    uint64_t since;                      /* instructions retired then */
    uint32_t retiring;                   /* set: count instructions, in some privilege */
    uint32_t counting;                   /* set: of these, those that do in this privilege */
    uint32_t occurring;                  /* set: count what rv_hpm_count tells */
    bool look; /* before the next instruction: bound the chunk anew, see about interrupts */
};

/* Nothing is selected, all counters are zero. */
void rv_hpm_reset(struct rv_hart *h);

/* After a change of privilege, whose last instruction or trap has been counted as a step. */
void rv_hpm_changed(struct rv_hart *h);
#define rv_hpm_mode(h)                                                                         \
    do {                                                                                       \
        if (__builtin_expect((h)->hpm.retiring != 0, 0))                                       \
            rv_hpm_changed(h);                                                                 \
    } while (0)

/* After a moment in another privilege, in which nothing was counted. */
void rv_hpm_resort(struct rv_hart *h);

/* Brings the counters up to date after a step, overflows with it. */
void rv_hpm_sync(struct rv_hart *h);

/* So many instructions may retire up to the first overflow; UINT64_MAX: it is far. */
uint64_t rv_hpm_distance(const struct rv_hart *h);

/* Counts one occurrence of HART_EVENT_* in the current privilege. */
void rv_hpm_occurred(struct rv_hart *h, uint64_t selector);
#define rv_hpm_count(h, selector)                                                              \
    do {                                                                                       \
        if (__builtin_expect((h)->hpm.occurring != 0, 0))                                      \
            rv_hpm_occurred(h, selector);                                                      \
    } while (0)

/* Is this selector one of HART_EVENT_*, other than none? */
bool rv_hpm_known(uint64_t selector);

/*
 * The CSRs, by number of the counter (3 to 31), for an instruction that has been counted as a
 * step and has not retired. A written counter has its value at the next instruction; a written
 * event or mcountinhibit holds from the writing instruction on, as it does for minstret.
 */
uint64_t rv_hpm_read(const struct rv_hart *h, unsigned counter);
void rv_hpm_write(struct rv_hart *h, unsigned counter, uint64_t value);
uint64_t rv_hpm_event(const struct rv_hart *h, unsigned counter);
void rv_hpm_event_write(struct rv_hart *h, unsigned counter, uint64_t value);
void rv_hpm_inhibit(struct rv_hart *h, uint64_t mcountinhibit);
uint64_t rv_hpm_overflows(const struct rv_hart *h); /* scountovf, as M-mode sees it */

/*
 * What firmware does for a call, as engine.h has it: counter_set, event_set. A counter that
 * starts forgets its overflow, but not while the interrupt of one is pending, which would then
 * find nothing.
 */
void rv_hpm_set(struct rv_hart *h, unsigned counter, uint64_t value, bool counts);
void rv_hpm_select(struct rv_hart *h, unsigned counter, uint64_t selector, unsigned filters);

/* The engine-neutral state. */
void rv_hpm_state_get(const struct rv_hart *h, struct hart_state *s);
void rv_hpm_state_set(struct rv_hart *h, const struct hart_state *s);

#endif
