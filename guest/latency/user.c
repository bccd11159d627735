/* user.c: the probe's kernel for U-mode: one task as a call and as a chain of messages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

#include "guest/lib/csr.h"

_Static_assert(offsetof(struct context, pc) == CONTEXT_PC, "user.S saves the pc here");

#define STACK_SIZE 1024
#define FNV_BASIS  0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

static uint8_t stack[3][STACK_SIZE] __attribute__((aligned(16)));
static struct context client, forwarder, worker;
static uint8_t task_data[TASK_SIZE];
static uint64_t crossings_seen;
static bool failed;

uint64_t left_value; /* user.S reads it */

/* FNV-1a, as something that takes a while and whose result nobody can guess. */
__attribute__((noinline)) uint64_t task(const uint8_t *data, uint64_t size)
{
    uint64_t sum = FNV_BASIS;

    for (uint64_t i = 0; i < size; i++)
        sum = (sum ^ data[i]) * FNV_PRIME;
    return sum;
}

/* A message is two words, and carries what a0 and a1 hold. */
static struct context *send(struct context *from)
{
    struct context *to = from->peer;

    to->sender = from;
    to->x[10] = from->x[10];
    to->x[11] = from->x[11];
    return to;
}

static struct context *reply(struct context *from)
{
    struct context *to = from->sender;

    to->x[10] = from->x[10];
    return to;
}

struct context *user_trap(struct context *context, uint64_t cause)
{
    crossings_seen += 2;
    if (cause == CAUSE_USER_ECALL) {
        switch (context->x[17]) {
        case USER_TASK:
            context->x[10] = task((const uint8_t *)context->x[10], context->x[11]);
            return context;
        case USER_SEND: return send(context);
        case USER_REPLY: return reply(context);
        case USER_LEAVE: left_value = context->x[10]; return NULL;
        default: break;
        }
    }
    failed = true;
    left_value = 0;
    return NULL;
}

static uint64_t client_run(void (*code)(void), uint64_t n)
{
    client = (struct context){.pc = (uintptr_t)code, .peer = &forwarder};
    client.x[2] = (uintptr_t)(stack[0] + STACK_SIZE);
    client.x[10] = n;
    client.x[11] = (uintptr_t)task_data;
    client.x[12] = TASK_SIZE;
    crossings_seen = 0;
    return user_enter(&client);
}

/* A server that waits for its first message. */
static void server_prepare(struct context *server, void (*code)(void), uint8_t *top)
{
    *server = (struct context){.pc = (uintptr_t)code, .peer = &worker};
    server->x[2] = (uintptr_t)top;
}

uint64_t user_null_run(uint64_t n);
uint64_t user_null_run(uint64_t n)
{
    return client_run(user_null, n);
}

uint64_t task_direct_run(uint64_t n)
{
    uint64_t start, sum = 0;

    crossings_seen = 0;
    start = csr_read(time);
    for (uint64_t i = 0; i < n; i++) {
        __asm__ volatile("" : : : "memory"); /* or the sum would be computed once */
        sum ^= task(task_data, TASK_SIZE);
    }
    __asm__ volatile("" : : "r"(sum));
    return csr_read(time) - start;
}

uint64_t task_call_run(uint64_t n)
{
    return client_run(user_task, n);
}

uint64_t task_chain_run(uint64_t n)
{
    server_prepare(&forwarder, server_forward, stack[1] + STACK_SIZE);
    server_prepare(&worker, server_task, stack[2] + STACK_SIZE);
    return client_run(user_chain, n);
}

/* The two of USER_LEAVE are not the task's. */
uint64_t task_crossings(void)
{
    return crossings_seen > 2 ? crossings_seen - 2 : 0;
}

const char *user_missing(void)
{
    static bool tried;

    if (!tried) {
        tried = true;
        csr_write(scounteren, 7); /* cycle, time, instret: U-mode reads the time itself */
        client_run(user_null, 1);
    }
    return failed ? "U-mode cannot run here, or may not read the time" : NULL;
}
