/* tg_multicall.c: a batch of calls in one crossing. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/tg_multicall.h"
#include "hypercalls/calls/tg_multicall.h"
#include "hypercalls/tg.h"
#include "vmm/exit.h"
#include "vmm/hart.h"
#include "vmm/module.h"
#include "vmm/vm.h"

/* What is read of an entry lies as in struct call; all hosts are little-endian (elf.c asserts).
 */
#define ENTRY_READ TG_MULTICALL_ERROR

_Static_assert(offsetof(struct call, fn) - offsetof(struct call, ext) == TG_MULTICALL_FN &&
                   offsetof(struct call, arg) - offsetof(struct call, ext) ==
                       TG_MULTICALL_ARG &&
                   TG_MULTICALL_ARG + CALL_ARGS * sizeof(uint64_t) == ENTRY_READ,
               "an entry is what the header says");

/* What is written. */
struct reply {
    int64_t error;
    uint64_t value;
};

_Static_assert(TG_MULTICALL_ERROR + sizeof(struct reply) == TG_MULTICALL_BYTES,
               "a reply ends its entry");

/* What no batch can hold: it would wait, end, or change what the batch itself runs on. */
#define NOT_IN_BATCH (CALL_BLOCKS | CALL_STOPS | CALL_HART_STATE)

/* How the call of the last entry is made, since the next is often the same. */
struct way {
    bool known, allowed, plain;
    enum personality personality;
    uint64_t ext, fn;
    struct call_way fast;
};

static void way_find(struct vm *vm, struct way *way, uint64_t ext, uint64_t fn)
{
    *way = (struct way){
        .known = true,
        .personality = ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST ? CALL_TG : CALL_SBI,
        .ext = ext,
        .fn = fn,
    };
    way->allowed = ext != TG_EXT_MULTICALL &&
                   !(call_effects(vm, way->personality, ext, fn) & NOT_IN_BATCH);
    /* Deterministic runs charge each call, which the wrapper does. */
    way->plain =
        way->allowed && !vm->det && call_fast(vm, way->personality, ext, fn, &way->fast);
}

/* Makes one call and leaves its answer in *c. */
static void entry_call(struct hart *hart, struct way *way, struct call *c)
{
    /* call.h, "The epoch rule": a way that was found before a change is not used after it. */
    if (way->plain && atomic_load(&hart->vm->call_epoch) == way->fast.epoch) {
        c->disp = way->fast.handler(way->fast.self, hart, c);
        if (c->disp != CALL_PASS) {
            if (c->error != 0)
                call_error_check(hart, way->fast.desc, c);
            return;
        }
        c->error = 0;
        c->value = 0;
    }
    vm_call(hart, c);
}

/* Of *c, ext, fn and arg are filled in. */
static inline struct reply entry_make(struct hart *hart, struct way *way, struct call *c)
{
    if (!way->known || way->ext != c->ext || way->fn != c->fn)
        way_find(hart->vm, way, c->ext, c->fn);
    if (!way->allowed)
        return (struct reply){.error = SBI_ERR_NOT_SUPPORTED};
    c->personality = way->personality;
    c->buf = NULL;
    c->buf_len = 0;
    c->error = 0;
    c->value = 0;
    entry_call(hart, way, c);
    if (c->disp == CALL_RET2)
        return (struct reply){c->error, c->value};
    return (struct reply){.error = c->disp == CALL_RET1 ? c->error : SBI_ERR_FAILED};
}

/* An entry that lies in one piece of the host's memory, as do all of most batches. */
static inline void entry_take(struct hart *hart, struct way *way, volatile uint64_t *word)
{
    struct call c;
    struct reply reply;

    /* Volatile: read once, whatever other harts write meanwhile. */
    c.ext = word[TG_MULTICALL_EXT / 8];
    c.fn = word[TG_MULTICALL_FN / 8];
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c.arg[i] = word[TG_MULTICALL_ARG / 8 + i];
    reply = entry_make(hart, way, &c);
    word[TG_MULTICALL_ERROR / 8] = (uint64_t)reply.error;
    word[TG_MULTICALL_VALUE / 8] = reply.value;
}

/* One that crosses from one piece into another. */
static int entry_take_apart(struct hart *hart, struct way *way, gpa_t gpa)
{
    const struct mem *mem = &hart->vm->mem;
    struct reply reply;
    struct call c;

    if (mem_read(mem, gpa, &c.ext, ENTRY_READ) < 0)
        return -EFAULT;
    reply = entry_make(hart, way, &c);
    return mem_write(mem, gpa + TG_MULTICALL_ERROR, &reply, sizeof(reply));
}

/*
 * The entries were checked to be RAM, all of them, before the first call was made. They are
 * copied one by one, when it is their turn: an entry may be filled in by the call before it.
 * Each is copied once, so another hart changes a call before it is made, or not at all.
 */
static enum call_disp tg_multicall_run(void *self, struct hart *hart, struct call *c)
{
    const struct mem *mem = &hart->vm->mem;
    uint64_t count = c->arg[0];
    gpa_t gpa = c->arg[1];
    struct way way = {.known = false};
    uint8_t *host;

    (void)self;
    if (count > TG_MULTICALL_MAX || gpa % 8 != 0)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    if (c->arg[2] != 0 || !mem_valid(mem, gpa, count * TG_MULTICALL_BYTES))
        return tg_error(c, SBI_ERR_INVALID_ADDRESS);
    /* Finding each entry by itself took 16 ns a call (bench calls, multicall slope). */
    host = mem_ptr(mem, gpa, count * TG_MULTICALL_BYTES);
    for (uint64_t i = 0; i < count; i++, gpa += TG_MULTICALL_BYTES) {
        /* A batch of long writes must not keep the machine from being stopped. */
        if (atomic_load_explicit(&hart->requests, memory_order_relaxed) & HART_REQ_STOP)
            return tg_value(c, i);
        if (host != NULL)
            entry_take(hart, &way, (uint64_t *)(void *)(host + i * TG_MULTICALL_BYTES));
        else if (entry_take_apart(hart, &way, gpa) < 0)
            return tg_value(c, i);
    }
    return tg_value(c, count);
}

const struct module module_tg_multicall = {
    .name = "tg-multicall",
    .summary = "a batch of calls in one crossing",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .calls = tg_multicall_calls,
    .ncalls = sizeof(tg_multicall_calls) / sizeof(tg_multicall_calls[0]),
};
