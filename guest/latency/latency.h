/* latency.h: the parts of the latency probe: crossings, their measurement, its output. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LATENCY_LATENCY_H
#define GUEST_LATENCY_LATENCY_H

/* struct context, for user.S: x0..x31, then these. */
#define CONTEXT_PC   256
#define CONTEXT_SIZE 264

/* What U-mode asks of the probe's own kernel, in a7. */
#define USER_NULL  0 /* nothing: answered in the vector, as quick as a kernel can */
#define USER_LEAVE 1 /* back to S-mode for good; a0 is the result */
#define USER_TASK  2 /* a0 = task(a0, a1) by the kernel */
#define USER_SEND  3 /* hands a0, a1 to the peer and waits for its answer in a0 */
#define USER_REPLY 4 /* answers a0 to who sent, and waits for the next message */

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLES_MAX 4000
#define TASK_SIZE   64 /* bytes that the task reads */

/*
 * A way of crossing. run makes it n times and returns the ticks that this took, the loop
 * included. missing: NULL, or why it cannot be measured here; asked once, before run.
 */
struct crossing {
    const char *name;
    uint64_t (*run)(uint64_t n);
    const char *(*missing)(void);
    unsigned per; /* calls that one crossing carries, or bytes */
    bool noisy;   /* it writes to the console: fewer samples */
};

/* An architecture's own; a row without a name ends them. */
extern const struct crossing crossings[];
extern const struct crossing tasks[]; /* the ways of doing the task */

/* The loop alone. */
uint64_t empty_run(uint64_t n);

/* Finds what crossings need, once. */
void crossings_init(const void *dtb);

/* The sum that all ways of doing the task compute; U-mode runs it as well. */
uint64_t task(const uint8_t *data, uint64_t size);
uint64_t task_direct_run(uint64_t n);
extern uint8_t task_data[TASK_SIZE];
/* Crossings between the modes, there and back two, that the last run of a task took in all. */
extern uint64_t task_crossed;
/* NULL, or why U-mode cannot be used. */
const char *user_missing(void);

/* A hart's registers while another U-mode context runs. */
struct context {
    uint64_t x[32];
    uint64_t pc;
    struct context *peer;   /* who gets what it sends */
    struct context *sender; /* whom it answers */
};

/* For user.S. */
uint64_t user_enter(struct context *context);
struct context *user_trap(struct context *context, uint64_t cause);
void user_vector(void);
void user_null(void), user_task(void), user_chain(void);
void server_forward(void), server_task(void);

#endif
#endif
