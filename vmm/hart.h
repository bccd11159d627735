/* hart.h: a hardware thread of the guest: life cycle, requests, waiting. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_HART_H
#define VMM_HART_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/sbi.h"
#include "vmm/exit.h"

struct vm;
struct bus_claim;

/* State of a hart; the values are those of SBI HSM (SBI 2.0, section 9). */
enum hart_status {
    HART_STARTED = 0,
    HART_STOPPED = 1,
    HART_START_PENDING = 2,
    HART_SUSPENDED = 4,
};

/* Requests to a hart, set by any thread, taken by the hart itself (hart.requests, a mask). */
#define HART_REQ_STOP    0x1u  /* the VM ends */
#define HART_REQ_FENCES  0x2u  /* fences wait in its mailbox */
#define HART_REQ_WAKE    0x4u  /* an interrupt line rose: look at it now */
#define HART_REQ_RESTART 0x8u  /* start anew at start_pc (HSM) */
#define HART_REQ_TICK    0x10u /* leave the guest and come back, so that hart_enter hooks run */

/* Interrupt numbers (privileged specification, mip/mie bit positions). */
#define IRQ_S_SOFT  1
#define IRQ_M_SOFT  3
#define IRQ_S_TIMER 5
#define IRQ_M_TIMER 7
#define IRQ_S_EXT   9
#define IRQ_M_EXT   11
#define IRQ_COUNTER 13 /* a counter's overflow: LCOFI */

/* A fence asked of another hart. */
struct hart_fence {
    enum { FENCE_I, FENCE_VMA, FENCE_VMA_ASID } kind;
    uint64_t start; /* virtual address */
    uint64_t size;  /* bytes; UINT64_MAX: everything */
    uint64_t asid;  /* FENCE_VMA_ASID only */
};

/* What a hart counts for SBI PMU, by the code of its firmware event (SBI 3.0, section 11.6). */
#define HART_EVENTS SBI_PMU_FW_EVENTS

/* Deterministic runs: why a hart left the guest before its turn was over. */
enum hart_yield {
    YIELD_NONE, /* it was cut off: by its steps, the budget, or the end of the VM */
    YIELD_WAIT, /* it waits, has stopped or starts anew: the turn is over */
    YIELD_PARK, /* its call is to be tried again later: over, with the time of a whole turn */
};

#define HART_FENCES_MAX 8 /* pending fences of one hart; more become one full fence */

struct phases;

struct hart {
    /* What every exit looks at comes first: behind a host's kernel each line is a miss. */
    struct vm *vm;
    unsigned index;     /* 0..nharts-1, equal to its hart ID */
    unsigned watch;     /* WATCH_* (observe.h): what the engine tells; fixed before it runs */
    void *engine_state; /* the engine's own */
    const struct bus_claim *claim; /* of the device that it accessed last, or NULL (bus.c) */

    _Atomic uint32_t requests;  /* HART_REQ_* */
    _Atomic bool in_guest;      /* inside engine->run, where only requests reach it */
    struct phases *phases;      /* or NULL: nobody takes time stamps (phases.h) */
    uint64_t exits[EXIT_KINDS]; /* written by the hart's thread only */

    /* Below: under lock. Lock order: a hart's lock is the last of all, and only one is held. */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic enum hart_status status;
    uint64_t start_pc;
    uint64_t start_arg;
    struct hart_fence fence[HART_FENCES_MAX];
    unsigned nfences;
    uint64_t fences_posted; /* tickets: posted and done */
    _Atomic uint64_t fences_done;

    _Atomic bool waiting; /* asleep on `wake`, so that a request must signal it */
    bool idle;            /* deterministic: waits for an interrupt, without a turn until then */
    uint64_t idle_until;  /* or until the clock shows these ticks; UINT64_MAX: no limit */
    enum hart_yield yield;
    bool stop_pending, resume_pending; /* own thread: why run was left */
    bool boot;                         /* the first start: the state is complete already */

    pthread_t thread;
    bool thread_started;
    _Atomic uint64_t events[HART_EVENTS];
    uint64_t steps; /* brought up to date when run returns */
    uint64_t instret;
};

/* Is the engine to tell one of `kinds` (WATCH_*)? See vm_observed. */
static inline bool hart_watched(const struct hart *hart, unsigned kinds)
{
#ifdef TG_NO_OBSERVE
    (void)hart;
    (void)kinds;
    return false;
#else
    return __builtin_expect((hart->watch & kinds) != 0, 0);
#endif
}

/* Sets request bits and makes the hart look at them soon, whatever it is doing. Any thread. */
void hart_request(struct hart *hart, uint32_t bits);

/* Drives an interrupt input (IRQ_*) of the hart through its engine, and wakes it. Any thread.
 */
void hart_irq(struct hart *hart, unsigned irq, bool level);

/* Sets the hart's mtimecmp through its engine, and wakes it to look at it. Any thread. */
void hart_set_mtimer(struct hart *hart, uint64_t ticks);

/*
 * Starts a stopped hart at pc in S-mode, with a0 = hart ID and a1 = arg, paging off.
 * 0, or -EALREADY when it is not stopped. Any thread.
 */
int hart_start(struct hart *hart, uint64_t pc, uint64_t arg);

/* Stops the calling hart: status becomes HART_STOPPED when its run returns. */
void hart_stop_self(struct hart *hart);

/*
 * Suspends the calling hart until an interrupt that is enabled in sie is pending (or a spurious
 * wake-up), status HART_SUSPENDED meanwhile. Also serves WFI with `status` HART_STARTED.
 */
void hart_wait(struct hart *hart, enum hart_status status);

/*
 * The same, until the guest's clock (clock_ticks) shows `ticks` at the latest; UINT64_MAX: no
 * limit. hart_wait_end() ends it too. A handler that looks for something, finds nothing, waits
 * here and answers CALL_PARK misses nothing of who makes it come and then calls that.
 */
void hart_wait_until(struct hart *hart, enum hart_status status, uint64_t ticks);

/*
 * Ends such a wait, or the next one when the hart does not wait now. In a deterministic run
 * only a wait that has begun, and only on the thread that runs the VM; else any thread.
 */
void hart_wait_end(struct hart *hart);

/*
 * Runs a fence on every hart of `mask` (bit i: hart i; unlike SBI's, already checked) and
 * returns when each has executed it or will before its next guest instruction. The calling hart
 * serves its own requests meanwhile, so that two harts may fence each other.
 */
void hart_fence_all(struct hart *self, uint64_t mask, const struct hart_fence *fence);

/*
 * Restarts the calling hart, from a handler that then returns CALL_REPLACED: once its run has
 * returned, it goes on at pc in S-mode as after hart_start (SBI 2.0, section 9.4: non-retentive
 * suspend). Interrupts that are pending or enabled, and its timer, stay. Returns 0.
 */
int hart_resume_at(struct hart *hart, uint64_t pc, uint64_t arg);

/* Executes the fences in the own mailbox. For engines and the hart's loop, on its own thread.
 */
void hart_take_fences(struct hart *hart);

/*
 * The two halves of a hart's loop, for who schedules harts itself. hart_ready: starts it when
 * it was asked to start, wakes it when what it waits for has come; false: it has nothing to do.
 * hart_run: in the guest until the engine leaves.
 */
bool hart_ready(struct hart *hart);
void hart_run(struct hart *hart);

/* The body of a hart's thread. */
void *hart_thread(void *hart);

int hart_init(struct hart *hart, struct vm *vm, unsigned index);
void hart_destroy(struct hart *hart);

#endif
