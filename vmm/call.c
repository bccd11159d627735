/* call.c: finds who answers a call, and takes it there and back. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "vmm/error.h"
#include "vmm/hart.h"
#include "vmm/module.h"
#include "vmm/observe.h"
#include "vmm/phases.h"
#include "vmm/policy.h"
#include "vmm/vm.h"

/* One handler of a call, with all that reaching it needs. */
struct call_link {
    call_handler *handler;
    void *self;
    const struct call_desc *desc;
    const char *module;
    const struct policy_check *check; /* NULL: policy allows it outright */
};

struct call_key {
    uint64_t ext, fn;
    enum personality personality;
};

/*
 * A slot of the hash table. Each extension has one under CALL_ANY_FN, whose chain is empty when
 * no descriptor answers every function: that slot says that the extension is present.
 */
struct call_slot {
    struct call_key key;
    bool used, present;
    uint8_t arg; /* of node: here, so that both are fetched at once */
    const struct call_link *first, *end;
    const struct call_link *plain; /* the first, when neither check nor buffer is before it */
    const struct policy_node
        *node; /* what its check looks up, when nothing else is before it */
};

struct call_index {
    struct call_slot *slot;
    size_t mask; /* slots less one; at most half of them are used */
    struct call_link *link;
};

/* The slot of a key, or the unused one where it belongs. In line: every call passes here. */
static inline __attribute__((always_inline)) struct call_slot *
slot_find(const struct call_index *index, enum personality personality, uint64_t ext,
          uint64_t fn)
{
    uint64_t hash = (ext ^ (fn << 32 | fn >> 32) ^ personality) * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(hash >> 32) & index->mask;

    while (index->slot[i].used &&
           (index->slot[i].key.ext != ext || index->slot[i].key.fn != fn ||
            index->slot[i].key.personality != personality))
        i = (i + 1) & index->mask;
    return &index->slot[i];
}

static struct call_slot *slot_claim(struct call_index *index, const struct call_desc *desc,
                                    uint64_t fn)
{
    struct call_slot *slot = slot_find(index, desc->personality, desc->ext, fn);

    slot->key = (struct call_key){desc->ext, fn, desc->personality};
    slot->used = true;
    return slot;
}

/* A call that the engine hides is nobody's. */
static bool desc_hidden(struct vm *vm, const struct call_desc *desc)
{
    return desc->personality != CALL_PROGRAM &&
           vm->engine->call_route(vm, desc->ext) == ROUTE_HIDDEN;
}

/* What is wrong with a descriptor by itself; NULL: nothing. */
static const char *desc_problem(const struct call_desc *desc)
{
    bool in_tg = desc->ext >= TG_EXT_FIRST && desc->ext <= TG_EXT_LAST;

    if (!desc->handler || !desc->name)
        return "has no handler or name";
    if (desc->buf_kind != CALL_BUF_NONE && desc->buf_len_arg + 3u > CALL_ARGS)
        return "takes its buffer from arguments that do not exist";
    switch (desc->personality) {
    case CALL_SBI: return in_tg ? "is unreachable: its extension is Tollgate's own" : NULL;
    case CALL_TG:
        if (!in_tg)
            return "is unreachable: its extension is not in Tollgate's range";
        return desc->ext == TG_EXT_EXIT ? "is unreachable: the core answers exit" : NULL;
    case CALL_PROGRAM:
        if (desc->ext != 0)
            return "is unreachable: programs have no extensions";
        if (desc->fn == TG_PROGRAM_EXIT || desc->fn == TG_PROGRAM_EXIT_GROUP)
            return "is unreachable: the core answers exit";
        return NULL;
    default: return "has no personality";
    }
}

/* Is there an earlier row of the same module for the same call? Then `desc` is unreachable. */
static bool desc_repeated(const struct module *module, const struct call_desc *desc)
{
    for (const struct call_desc *d = module->calls; d < desc; d++)
        if (d->personality == desc->personality && d->ext == desc->ext && d->fn == desc->fn)
            return true;
    return false;
}

static int module_check(const struct module *module, struct error *err)
{
    for (size_t i = 0; i < module->ncalls; i++) {
        const struct call_desc *desc = &module->calls[i];
        const char *problem = desc_problem(desc);

        if (problem)
            return error_set(err, STATUS_CONFIG, "module %s: its call %s %s", module->name,
                             desc->name ? desc->name : "(unnamed)", problem);
        if (desc_repeated(module, desc)) {
            error_set(
                err, STATUS_CONFIG,
                "module %s: its call %s is unreachable: another of its calls has that number",
                module->name, desc->name);
            return -EEXIST;
        }
    }
    return 0;
}

/* Appends the handlers of exactly (key, fn), in module order; counts them only when out is
 * NULL. */
static size_t chain_collect(struct vm *vm, const struct call_key *key, uint64_t fn,
                            struct call_link *out)
{
    size_t n = 0, nnumbers;
    const struct call_desc *numbers = policy_numbers(vm, &nnumbers);

    /* What a rule names by number comes first: it passes on what it does not refuse. */
    for (size_t i = 0; i < nnumbers; i++) {
        if (numbers[i].personality != key->personality || numbers[i].ext != key->ext ||
            numbers[i].fn != fn || desc_hidden(vm, &numbers[i]))
            continue;
        if (out)
            out[n] = (struct call_link){.handler = numbers[i].handler,
                                        .desc = &numbers[i],
                                        .module = "policy",
                                        .check = policy_check_of(vm, &numbers[i])};
        n++;
    }
    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module_instance *inst = &vm->instance[i];

        for (size_t j = 0; j < inst->module->ncalls; j++) {
            const struct call_desc *desc = &inst->module->calls[j];

            if (desc->personality != key->personality || desc->ext != key->ext ||
                desc->fn != fn || desc_hidden(vm, desc))
                continue;
            if (out)
                out[n] = (struct call_link){
                    .handler = desc->handler,
                    .self = inst->self,
                    .desc = desc,
                    .module = inst->module->name,
                    .check = policy_check_of(vm, desc),
                };
            n++;
        }
    }
    return n;
}

/* Who names the function comes before who answers all of them. */
static size_t chain_fill(struct vm *vm, const struct call_key *key, struct call_link *out)
{
    size_t n = chain_collect(vm, key, key->fn, out);

    if (key->fn != CALL_ANY_FN)
        n += chain_collect(vm, key, CALL_ANY_FN, out ? out + n : NULL);
    return n;
}

/* A buffer is copied once for the whole chain, so its handlers must mean the same one. */
static int chain_check(const struct call_link *first, const struct call_link *end,
                       struct error *err)
{
    const struct call_link *with = NULL;

    for (const struct call_link *link = first; link < end; link++) {
        if (link->desc->buf_kind == CALL_BUF_NONE)
            continue;
        if (with && (with->desc->buf_kind != link->desc->buf_kind ||
                     with->desc->buf_len_arg != link->desc->buf_len_arg))
            return error_set(err, STATUS_CONFIG,
                             "modules %s and %s disagree about the buffer of call %s",
                             with->module, link->module, link->desc->name);
        with = link;
    }
    return 0;
}

/* Enters every call and its extension; the chains are still empty. */
static void index_claim_slots(struct vm *vm, struct call_index *index)
{
    size_t nnumbers;
    const struct call_desc *numbers = policy_numbers(vm, &nnumbers);

    for (size_t i = 0; i < nnumbers; i++)
        if (!desc_hidden(vm, &numbers[i]))
            slot_claim(index, &numbers[i], numbers[i].fn);
    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module *module = vm->instance[i].module;

        for (size_t j = 0; j < module->ncalls; j++) {
            if (desc_hidden(vm, &module->calls[j]))
                continue;
            slot_claim(index, &module->calls[j], module->calls[j].fn);
            slot_claim(index, &module->calls[j], CALL_ANY_FN)->present = true;
        }
    }
}

static int index_fill(struct vm *vm, struct call_index *index, struct error *err)
{
    size_t links = 0;

    for (size_t i = 0; i <= index->mask; i++)
        if (index->slot[i].used)
            links += chain_fill(vm, &index->slot[i].key, NULL);
    index->link = calloc(links + 1, sizeof(*index->link));
    if (!index->link)
        return -ENOMEM;

    struct call_link *next = index->link;
    for (size_t i = 0; i <= index->mask; i++) {
        struct call_slot *slot = &index->slot[i];

        if (!slot->used)
            continue;
        slot->first = next;
        next += chain_fill(vm, &slot->key, next);
        slot->end = next;
        /* Who takes time stamps wants those around the handler, which the short way has not. */
        if (slot->first < next && slot->first->desc->buf_kind == CALL_BUF_NONE &&
            !vm->config->phases) {
            slot->plain = slot->first->check ? NULL : slot->first;
            slot->node = policy_check_node(slot->first->check);
            slot->arg = slot->node ? slot->node->arg : 0;
        }
        int rc = chain_check(slot->first, slot->end, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int call_index_build(struct vm *vm, struct error *err)
{
    size_t rows, slots = 16;

    policy_numbers(vm, &rows);
    for (unsigned i = 0; i < vm->ninstances; i++) {
        int rc = module_check(vm->instance[i].module, err);
        if (rc < 0)
            return rc;
        rows += vm->instance[i].module->ncalls;
    }
    while (slots < 4 * rows) /* a row takes two slots at most */
        slots *= 2;

    struct call_index *index = calloc(1, sizeof(*index));
    vm->calls = index;
    if (index)
        index->slot = calloc(slots, sizeof(*index->slot));
    int rc = -ENOMEM;
    if (index && index->slot) {
        index->mask = slots - 1;
        index_claim_slots(vm, index);
        rc = index_fill(vm, index, err);
    }
    if (rc == -ENOMEM)
        error_set(err, STATUS_OS, "the host has no memory for the index of calls");
    if (rc < 0)
        call_index_destroy(vm);
    call_epoch_bump(vm);
    return rc;
}

void call_index_destroy(struct vm *vm)
{
    if (!vm->calls)
        return;
    free(vm->calls->slot);
    free(vm->calls->link);
    free(vm->calls);
    vm->calls = NULL;
}

bool call_ext_present(const struct vm *vm, enum personality personality, uint64_t ext)
{
    if (personality == CALL_TG && ext == TG_EXT_EXIT)
        return true; /* the core's own */
    return slot_find(vm->calls, personality, ext, CALL_ANY_FN)->present;
}

void call_fail(struct call *c, bool legacy, int sbi_error, int program_error)
{
    bool program = c->personality == CALL_PROGRAM;

    c->error = program ? program_error : sbi_error;
    c->value = 0;
    c->disp = program || legacy ? CALL_RET1 : CALL_RET2;
}

static const struct call_link *chain_run_buffered(const struct call_link *link,
                                                  const struct call_link *end,
                                                  struct hart *hart, struct call *c);

/* Apart: the usual way pays a test and no more. */
static HOT_WAY __attribute__((noinline)) enum call_disp
handler_timed(const struct call_link *link, struct hart *hart, struct call *c)
{
    enum call_disp disp;

    phase_mark(hart, MARK_HANDLER);
    disp = link->handler(link->self, hart, c);
    phase_mark(hart, MARK_DONE);
    return disp;
}

static inline enum call_disp handler_run(const struct call_link *link, struct hart *hart,
                                         struct call *c)
{
    if (hart_timed(hart))
        return handler_timed(link, hart, c);
    return link->handler(link->self, hart, c);
}

/*
 * Asks one handler after another; c->disp stays CALL_PASS when none took it. Who answered.
 * checked: the first has passed policy.
 */
static inline const struct call_link *chain_run(const struct call_link *link,
                                                const struct call_link *end, struct hart *hart,
                                                struct call *c, bool checked)
{
    c->disp = CALL_PASS;
    for (; link < end; link++, checked = false) {
        if (link->check && !checked && !policy_pass(link->check, hart, c))
            return NULL;
        if (link->desc->buf_kind != CALL_BUF_NONE && !c->buf)
            return chain_run_buffered(link, end, hart, c);
        c->disp = handler_run(link, hart, c);
        if (c->disp != CALL_PASS) {
            if (c->disp == CALL_PARK && link->check)
                policy_undo(link->check, c);
            return link;
        }
        c->error = 0;
        c->value = 0;
    }
    return NULL;
}

/*
 * The way of calls with a buffer, apart so that others need not have its stack frame. The whole
 * range must be RAM even where only its beginning is copied: an error that depended on how much
 * this crossing takes would be no contract.
 */
static __attribute__((noinline)) const struct call_link *
chain_run_buffered(const struct call_link *link, const struct call_link *end, struct hart *hart,
                   struct call *c)
{
    const struct call_desc *desc = link->desc;
    uint64_t len = c->arg[desc->buf_len_arg];
    gpa_t gpa = c->arg[desc->buf_len_arg + 1];
    uint8_t buf[CALL_BUF_MAX];

    c->buf_len = len < CALL_BUF_MAX ? (size_t)len : CALL_BUF_MAX;
    if (c->arg[desc->buf_len_arg + 2] != 0 || !mem_valid(&hart->vm->mem, gpa, len) ||
        (desc->buf_kind == CALL_BUF_IN && mem_read(&hart->vm->mem, gpa, buf, c->buf_len) < 0)) {
        call_fail(c, desc->legacy, SBI_ERR_INVALID_PARAM, -EFAULT);
        return NULL;
    }
    if (desc->buf_kind == CALL_BUF_OUT)
        memset(buf, 0, c->buf_len); /* nothing of ours leaks, whatever the handler fills */
    c->buf = buf;
    if (vm_observed(hart->vm) && desc->buf_kind == CALL_BUF_IN)
        observe_buffer(hart, buf, c->buf_len);

    const struct call_link *by = chain_run(link, end, hart, c, true);
    c->buf = NULL;
    if (by && by->desc->buf_kind == CALL_BUF_OUT && c->error >= 0 &&
        (c->disp == CALL_RET1 || c->disp == CALL_RET2)) {
        size_t out = c->value < c->buf_len ? (size_t)c->value : c->buf_len;
        if (vm_observed(hart->vm))
            observe_buffer(hart, buf, out);
        if (mem_write(&hart->vm->mem, gpa, buf, out) < 0)
            call_fail(c, desc->legacy, SBI_ERR_FAILED, -EFAULT);
    }
    return by;
}

/* The short way to the first handler, when all before it is done. */
static inline const struct call_link *first_run(const struct call_slot *slot,
                                                const struct call_link *link, struct hart *hart,
                                                struct call *c)
{
    c->disp = link->handler(link->self, hart, c);
    if (c->disp != CALL_PASS)
        return link;
    c->error = 0;
    c->value = 0;
    return chain_run(link + 1, slot->end, hart, c, false);
}

/* Whoever is refused, or only logged, has time. */
static __attribute__((noinline)) const struct call_link *
verdict_run(const struct call_slot *slot, struct hart *hart, struct call *c, uint32_t entry)
{
    const struct policy_check *check = slot->first->check;
    uint32_t verdict = policy_verdict_further(check, entry, c->arg);

    if (verdict != 0 && !policy_settle(check, verdict, hart, c))
        return NULL;
    return chain_run(slot->first, slot->end, hart, c, true);
}

/* Who names the function, or who answers every function; unused or empty: nobody. */
static const struct call_slot *slot_of_call(const struct call_index *index,
                                            enum personality personality, uint64_t ext,
                                            uint64_t fn)
{
    const struct call_slot *slot = slot_find(index, personality, ext, fn);

    return slot->used ? slot : slot_find(index, personality, ext, CALL_ANY_FN);
}

const struct call_desc *call_find(const struct vm *vm, enum personality personality,
                                  uint64_t ext, uint64_t fn)
{
    const struct call_slot *slot = slot_of_call(vm->calls, personality, ext, fn);

    return slot->first == slot->end ? NULL : slot->first->desc;
}

bool call_present(const struct vm *vm, enum personality personality, uint64_t ext, uint64_t fn)
{
    if (personality == CALL_TG && ext == TG_EXT_EXIT)
        return fn == TG_EXIT_STOP; /* the core's own */
    return call_find(vm, personality, ext, fn) != NULL;
}

/* What a0 may hold, by the row. A program's errors are the host's, which no row lists. */
static bool error_allowed(const struct call_desc *desc, const struct call *c)
{
    if (!(desc->errors & CALL_CONTRACT) || c->personality == CALL_PROGRAM ||
        (c->disp != CALL_RET1 && c->disp != CALL_RET2))
        return true;
    if (c->error > 0)
        return desc->legacy && desc->result.kind != KIND_NONE; /* it is the result */
    return c->error > -32 && (c->error == 0 || (desc->errors & CALL_ERROR(c->error)) != 0);
}

void call_error_check(struct hart *hart, const struct call_desc *desc, struct call *c)
{
    const struct call_desc *none = NULL;

    if (error_allowed(desc, c))
        return;
    atomic_compare_exchange_strong(&hart->vm->breach, &none, desc);
    atomic_fetch_add(&hart->vm->breaches, 1);
#ifdef CALL_STRICT
    vm_stop(hart->vm, CAUSE_ENGINE, STATUS_INTERNAL, hart,
            "call %s answered %lld, which its row does not list", desc->name,
            (long long)c->error);
#endif
    call_fail(c, desc->legacy, SBI_ERR_FAILED, -EIO);
}

/* Deterministic runs: the hart's cycles pass as the row says. A parked call is not made yet. */
static __attribute__((noinline)) void
cycles_charge(struct hart *hart, const struct call_desc *desc, const struct call *c)
{
    uint64_t cycles = desc->cycles;

    if (c->disp == CALL_PARK || c->disp == CALL_PASS)
        return;
    if (desc->cycles_per_kib != 0)
        cycles += ((uint64_t)c->buf_len + 1023) / 1024 * desc->cycles_per_kib;
    if (cycles != 0 && hart->vm->engine->cycles_add)
        hart->vm->engine->cycles_add(hart, cycles);
}

unsigned call_effects(const struct vm *vm, enum personality personality, uint64_t ext,
                      uint64_t fn)
{
    const struct call_slot *slot = slot_of_call(vm->calls, personality, ext, fn);
    unsigned effects = 0;

    if (personality == CALL_TG && ext == TG_EXT_EXIT)
        return CALL_STOPS;
    for (const struct call_link *link = slot->first; link < slot->end; link++)
        effects |= link->desc->effects;
    return effects;
}

/* What is done for every call in the end. by: who answered, or NULL. */
static inline void call_finish(const struct call_link *by, struct hart *hart, struct call *c)
{
    if (by && c->error != 0)
        call_error_check(hart, by->desc, c);
    if (by && hart->vm->det)
        cycles_charge(hart, by->desc, c);

    /*
     * SBI 2.0, section 3: an unsupported extension or function is NOT_SUPPORTED; section 5: the
     * extensions below Base are legacy and leave a1 alone. What a program gets, exit.c decides.
     */
    if (c->disp == CALL_PASS && c->personality != CALL_PROGRAM)
        call_fail(c, c->personality == CALL_SBI && c->ext < SBI_EXT_BASE, SBI_ERR_NOT_SUPPORTED,
                  0);
}

/* Apart, since the search needs registers that a plain call would have to save: 0.4 ns. */
static HOT_WAY __attribute__((noinline)) void
dispatch_checked(const struct call_slot *slot, struct hart *hart, struct call *c)
{
    const struct call_link *by;

    if (slot->node && !hart_timed(hart)) {
        uint32_t entry = policy_node_find(slot->node, c->arg[slot->arg]);

        by = entry == 0 ? first_run(slot, slot->first, hart, c)
                        : verdict_run(slot, hart, c, entry);
    } else {
        by = chain_run(slot->first, slot->end, hart, c, false);
    }
    call_finish(by, hart, c);
}

HOT_WAY void call_dispatch(struct hart *hart, struct call *c)
{
    const struct call_slot *slot = slot_of_call(hart->vm->calls, c->personality, c->ext, c->fn);

    c->error = 0;
    c->value = 0;
    c->buf = NULL;
    c->buf_len = 0;
    if (slot->plain) /* 26.2 ns for a loop around an SBI Base call, 27.5 by chain_run */
        call_finish(first_run(slot, slot->plain, hart, c), hart, c);
    else
        dispatch_checked(slot, hart, c);
}

bool call_fast(struct vm *vm, enum personality personality, uint64_t ext, uint64_t fn,
               struct call_way *way)
{
    const unsigned not_plain = CALL_HART_STATE | CALL_BLOCKS | CALL_STOPS;

    way->epoch =
        atomic_load(&vm->call_epoch); /* before looking: a change in between voids it */
    const struct call_slot *slot = slot_of_call(vm->calls, personality, ext, fn);
    if (vm->config->slow_calls || vm_observed(vm) || vm->det || slot->first == slot->end)
        return false;
    const struct call_link *link = slot->first;
    if (link->check || link->desc->buf_kind != CALL_BUF_NONE ||
        (link->desc->effects & not_plain))
        return false;
    way->handler = link->handler;
    way->self = link->self;
    way->desc = link->desc;
    return true;
}

void call_epoch_bump(struct vm *vm)
{
    atomic_fetch_add(&vm->call_epoch, 1);
}
