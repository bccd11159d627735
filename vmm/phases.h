/* phases.h: time stamps along the way of an exit, for who measures where its time goes. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_PHASES_H
#define VMM_PHASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/exit.h"
#include "vmm/hart.h"

struct host;

/* The stations of an exit, in order. */
enum phase_mark {
    MARK_LEAVE,   /* the engine has the guest's instruction */
    MARK_GATE,    /* vm_gate is called */
    MARK_HANDLER, /* the module's handler, or the device's function, is called */
    MARK_DONE,    /* it has returned */
    MARK_ENTER,   /* the reply is committed, the guest goes on */
    MARKS,
};

/*
 * What lies between them, and the way from one exit's end to that of the next of the same kind,
 * the guest's instructions included. What recording takes is in none.
 */
enum phase {
    PHASE_LEAVE,
    PHASE_DISPATCH,
    PHASE_HANDLER,
    PHASE_ENTER,
    PHASE_OWN, /* the four together, sample by sample */
    PHASE_ROUND,
    PHASES,
};

#define PHASE_SAMPLES 4096 /* of one kind of exit; later ones are not kept */
#define PHASE_ROWS    32   /* kinds of exits; later ones are not kept */
#define PHASE_NONE    UINT32_MAX

/* Exits of one kind. */
struct phase_row {
    enum exit_kind kind;
    uint64_t ext;  /* of calls; of accesses: the guest-physical address */
    uint64_t fn;   /* likewise */
    uint64_t arg0; /* of calls */
    size_t count;
    /* host_cycles() less the stamps' own cost; PHASE_NONE: a station was not passed */
    uint32_t cycles[PHASES][PHASE_SAMPLES];
};

/* One hart's. */
struct phases {
    uint64_t at[MARKS]; /* 0: not passed */
    uint64_t looked;    /* when the row of this exit was found */
    uint64_t recorded;  /* when the exit before was written down: the guest goes on */
    struct phase_row *row, *last_row;
    uint64_t overhead;   /* cycles that a stamp takes */
    uint64_t cycles, ns; /* when it began, for the length of a cycle */
    size_t nrows;
    struct phase_row rows[PHASE_ROWS];
};

/*
 * Makes the recorder for vm_config.phases, which the VM's first hart then fills. NULL: no
 * memory. free() releases it.
 */
struct phases *phases_new(struct host *host);
/* Cycles of one ns, from phases_new to now. */
double phases_cycles_per_ns(const struct phases *phases, struct host *host);

const char *phase_name(enum phase phase);

/* For the functions below. */
void phases_stamp(struct phases *phases, enum phase_mark mark);
void phases_gate(struct phases *phases, const struct vm_exit *exit);
void phases_end(struct phases *phases);

/*
 * The stations call these. Off costs a test of a pointer at each; built with TG_NO_OBSERVE,
 * nothing. tests/bench/off.sh compares the two.
 */
static inline bool hart_timed(const struct hart *hart)
{
#ifdef TG_NO_OBSERVE
    (void)hart;
    return false;
#else
    return __builtin_expect(hart->phases != NULL, 0);
#endif
}

static inline void phase_mark(struct hart *hart, enum phase_mark mark)
{
    if (hart_timed(hart))
        phases_stamp(hart->phases, mark);
}

static inline void phase_gate(struct hart *hart, const struct vm_exit *exit)
{
    if (hart_timed(hart))
        phases_gate(hart->phases, exit);
}

static inline void phase_end(struct hart *hart)
{
    if (hart_timed(hart))
        phases_end(hart->phases);
}

#endif
