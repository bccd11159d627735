/* user.c: the probe's kernel for U-mode: one task as a call and as a chain of messages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

#include "guest/lib/csr.h"

_Static_assert(offsetof(struct context, pc) == CONTEXT_PC, "user.S saves the pc here");

#define STACK_SIZE 1024

static uint8_t stack[3][STACK_SIZE] __attribute__((aligned(16)));
static struct context client, forwarder, worker;
static bool failed;

uint64_t left_value; /* user.S reads it */

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
    task_crossed += 2;
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
    uint64_t ticks;

    client = (struct context){.pc = (uintptr_t)code, .peer = &forwarder};
    client.x[2] = (uintptr_t)(stack[0] + STACK_SIZE);
    client.x[10] = n;
    client.x[11] = (uintptr_t)task_data;
    client.x[12] = TASK_SIZE;
    task_crossed = 0;
    ticks = user_enter(&client);
    task_crossed -= task_crossed < 2 ? task_crossed : 2; /* USER_LEAVE is not the task's */
    return ticks;
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

static uint64_t task_call_run(uint64_t n)
{
    return client_run(user_task, n);
}

static uint64_t task_chain_run(uint64_t n)
{
    server_prepare(&forwarder, server_forward, stack[1] + STACK_SIZE);
    server_prepare(&worker, server_task, stack[2] + STACK_SIZE);
    return client_run(user_chain, n);
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

const struct crossing tasks[] = {
    {"direct",   task_direct_run, NULL,         1, false},
    {"call",     task_call_run,   user_missing, 1, false},
    {"messages", task_chain_run,  user_missing, 1, false},
    {NULL,       NULL,            NULL,         0, false},
};
