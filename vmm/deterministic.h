/* deterministic.h: the same run every time: virtual time, seeded chance, harts in turns on one
 * thread. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_DETERMINISTIC_H
#define VMM_DETERMINISTIC_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/host.h"

struct vm;
struct hart;
struct error;

/*
 * Steps that a hart runs before it is the next one's turn. In between nothing reaches it but
 * what it does itself: lines of other harts, timers and input are looked at when its turn
 * begins.
 */
#define DETERMINISTIC_QUANTUM 32768u

/*
 * A step, of whichever hart, takes this much guest time. So harts that are busy share the time
 * as they share the thread, and no hart ever sees a time before one that another has seen.
 */
#define DETERMINISTIC_NS_PER_STEP 1u

/*
 * What a deterministic VM has in place of its host: time that passes with steps, randomness
 * from the seed, input that is read to the full, so that neither the host's clock nor the sizes
 * of its reads show. Output goes to the real host. There is no input from a terminal.
 */
struct deterministic {
    struct host host; /* first: what vm->host points to */
    struct host *real;
    struct vm *vm;
    uint64_t random;
    uint64_t now_ns;      /* when the turn began, or the last one ended */
    struct hart *running; /* whose turn it is, or NULL */
    uint64_t turn_steps;  /* its steps when the turn began */
    unsigned next;        /* the hart whose turn it is next in this round */
    bool cut;             /* its turn ended before its time, and goes on: budget, stop */
    bool ran;             /* some hart had something to do in this round */
    uint64_t console_ns;  /* when the console is looked at next */
    /* Sources of events outside (policy lets them in): idle time passes as the host's does. */
    _Atomic unsigned outside;
};

/* Puts the virtual host in place when the configuration asks for it. 0 or -errno with *err set.
 */
int deterministic_create(struct vm *vm, struct error *err);
void deterministic_destroy(struct vm *vm);

/* Runs the VM to its end on the calling thread. */
void deterministic_run(struct vm *vm);

#endif
