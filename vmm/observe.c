/* observe.c: tells a guest's crossings to the trace and the statistics. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/observe.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/stats.h"
#include "vmm/symbols.h"
#include "vmm/trace.h"
#include "vmm/vm.h"

/* A U-to-S call that has not returned. */
struct guest_call {
    bool used;
    uint64_t satp, sscratch;
    uint64_t number, args[CALL_ARGS];
    uint64_t start_ns;
};
#define LINUX_EXIT       93u
#define LINUX_EXIT_GROUP 94u
/* More tasks in a call at once than this are not followed: the oldest is given up. */
#define GUEST_CALLS 256u

/* What belongs to one hart; its thread's own. */
struct hart_watch {
    struct stats *stats; /* or NULL */
    struct trace_buffer seen;
};

struct observer {
    struct vm *vm;
    struct host *clock; /* the real one: virtual time does not pass inside a call */
    unsigned mask;
    struct trace_sink *sink; /* or NULL */
    struct symbols symbols;
    struct hart_watch *hart;
    bool linux_guest;
    pthread_mutex_t lock; /* of the guest calls; nothing is taken under it */
    unsigned next;
    struct guest_call guest[GUEST_CALLS];
};

static const struct {
    const char *word;
    unsigned bit;
} watch_words[] = {
    {"calls",  WATCH_CALLS },
    {"mmio",   WATCH_MMIO  },
    {"csr",    WATCH_CSR   },
    {"irq",    WATCH_IRQ   },
    {"faults", WATCH_FAULTS},
    {"guest",  WATCH_GUEST },
    {"all",    0x3fu       },
};

static unsigned word_bit(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof(watch_words) / sizeof(watch_words[0]); i++) {
        if (strlen(watch_words[i].word) == len && memcmp(watch_words[i].word, word, len) == 0)
            return watch_words[i].bit;
    }
    return 0;
}

int watch_parse(const char *text, unsigned *mask, struct error *err)
{
    *mask = 0;
    for (const char *word = text;; word++) {
        size_t len = strcspn(word, ",");
        unsigned bit = word_bit(word, len);

        if (bit == 0)
            return error_set(err, STATUS_USAGE,
                             "--trace: '%.*s' is nothing to trace; give some of calls, mmio, "
                             "csr, irq, faults, guest, with commas between, or all",
                             len > 60 ? 60 : (int)len, word);
        *mask |= bit;
        word += len;
        if (*word == '\0')
            return 0;
    }
}

/* --- set-up and end --- */

static int caps_check(const struct vm *vm, struct error *err)
{
    unsigned lacking = vm->config->trace & WATCH_ENGINE;

    if (lacking == 0 || (vm->engine->caps & ENGINE_WATCH))
        return 0;
    for (size_t i = 0; i < sizeof(watch_words) / sizeof(watch_words[0]); i++) {
        if (watch_words[i].bit & lacking)
            return error_set(err, STATUS_UNAVAILABLE,
                             "--trace: engine %s does not see '%s': it happens inside the "
                             "guest; use --engine interp",
                             vm->engine->name, watch_words[i].word);
    }
    return 0;
}

/* A kernel that is an ELF file brings its own symbols; a stripped one is no error. */
static int symbols_take(struct observer *o, struct error *err)
{
    const struct vm_config *config = o->vm->config;
    struct error none = {0};

    if (config->symbols)
        return symbols_read(&o->symbols, "--symbols", config->symbols, err);
    if (o->vm->image.kind == IMAGE_ELF && config->image)
        symbols_read(&o->symbols, "the image", config->image, &none);
    return 0;
}

static int harts_watch(struct observer *o, struct error *err)
{
    struct vm *vm = o->vm;

    o->hart = calloc(vm->nharts, sizeof(*o->hart));
    for (unsigned i = 0; o->hart && i < vm->nharts; i++) {
        o->hart[i].stats = stats_create();
        if (!o->hart[i].stats)
            break;
        vm->hart[i].watch = o->mask & WATCH_STATS && vm->engine->caps & ENGINE_WATCH
                                ? o->mask | (WATCH_ENGINE & ~WATCH_CSR)
                                : o->mask;
        if (i + 1 == vm->nharts)
            return 0;
    }
    error_set(err, STATUS_OS, "--trace, --stats: no memory for their counts");
    return -ENOMEM;
}

int observer_create(struct vm *vm, struct error *err)
{
    const struct vm_config *config = vm->config;
    unsigned mask = config->trace | (config->stats || config->stats_json ? WATCH_STATS : 0);
    struct observer *o;
    int rc = caps_check(vm, err);

    if (rc != 0 || mask == 0)
        return rc;
    o = calloc(1, sizeof(*o));
    if (!o) {
        error_set(err, STATUS_OS, "--trace, --stats: no memory");
        return -ENOMEM;
    }
    o->vm = vm;
    o->mask = mask;
    o->clock = vm->det ? vm->det->real : vm->host;
    o->linux_guest = vm->image.kind == IMAGE_LINUX || vm->payload.kind == IMAGE_LINUX;
    pthread_mutex_init(&o->lock, NULL);
    vm->observer = o; /* from here on observer_destroy cleans up */
    rc = harts_watch(o, err);
    if (rc == 0 && (config->stats || config->stats_json))
        rc = symbols_take(o, err);
    if (rc == 0 && config->trace)
        rc = trace_open(&o->sink, vm->host, config->trace_file, err);
    return rc;
}

void observer_destroy(struct vm *vm)
{
    struct observer *o = vm->observer;
    struct error lost = {0};

    if (!o)
        return;
    if (o->sink)
        trace_close(o->sink, &lost);
    for (unsigned i = 0; o->hart && i < vm->nharts; i++)
        stats_destroy(o->hart[i].stats);
    free(o->hart);
    symbols_free(&o->symbols);
    pthread_mutex_destroy(&o->lock);
    free(o);
    vm->observer = NULL;
}

static void guest_call_tell(struct observer *o, const struct guest_call *call,
                            const uint64_t *result, unsigned hart, uint64_t ns);

static int stats_write(struct observer *o, const struct stats *all, struct error *err)
{
    json_t *json = stats_json(all, &o->symbols);
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    int rc;

    json_decref(json);
    if (!text) {
        error_set(err, STATUS_OS, "--stats-json: no memory");
        return -ENOMEM;
    }
    rc = host_file_write("--stats-json", o->vm->config->stats_json, text, strlen(text), err);
    free(text);
    return rc;
}

int observer_finish(struct vm *vm, FILE *out, struct error *err)
{
    struct observer *o = vm->observer;
    struct stats *all;
    int rc = 0;

    if (!o)
        return 0;
    for (unsigned i = 0; i < GUEST_CALLS; i++) {
        if (o->guest[i].used && (o->mask & WATCH_GUEST))
            guest_call_tell(o, &o->guest[i], NULL, 0, 0);
    }
    if (o->sink)
        rc = trace_close(o->sink, err);
    o->sink = NULL;
    if (!(o->mask & WATCH_STATS))
        return rc;
    all = o->hart[0].stats;
    for (unsigned i = 1; i < vm->nharts; i++)
        stats_merge(all, o->hart[i].stats);
    if (vm->config->stats)
        stats_print(all, &o->symbols, out);
    if (vm->config->stats_json && stats_write(o, all, err) != 0)
        return -EIO;
    return rc;
}

/* --- parts that lines share --- */

static uint64_t now_ns(struct observer *o)
{
    return o->clock->now_ns(o->clock);
}

/* `hart0 1.204311 `: who, and when in the guest's time. */
static void line_begin(const struct observer *o, struct trace_line *line, unsigned hart)
{
    uint64_t us = clock_ticks(&o->vm->clock) / (1000 / CLOCK_NS_PER_TICK);

    line->len = 0;
    line->cut = false;
    trace_add(line, "hart%u %" PRIu64 ".%06" PRIu64 " ", hart, us / 1000000, us % 1000000);
}

/* ` <0.3us>`, but not where two runs must have the same trace. */
static void line_end(const struct observer *o, struct trace_line *line, uint64_t ns)
{
    if (!o->vm->det)
        trace_add(line, " <%" PRIu64 ".%" PRIu64 "us>", ns / 1000, ns / 100 % 10);
    trace_write(o->sink, line);
}

static bool tells(const struct observer *o, unsigned bit)
{
    return o->sink && (o->mask & bit);
}

static void count(const struct observer *o, const struct hart *hart, enum stats_kind kind,
                  const char *name, uint64_t ns)
{
    if (o->mask & WATCH_STATS)
        stats_count(o->hart[hart->index].stats, kind, name, true, ns);
}

static void count_pc(const struct observer *o, struct hart *hart, const char *cause)
{
    if ((o->mask & WATCH_STATS) && o->vm->engine->pc)
        stats_pc(o->hart[hart->index].stats, o->vm->engine->pc(hart), cause);
}

/* --- calls --- */

void observe_buffer(struct hart *hart, const void *data, size_t len)
{
    struct trace_buffer *seen = &hart->vm->observer->hart[hart->index].seen;

    memcpy(seen->data, data, len < TRACE_SHOWN ? len : TRACE_SHOWN);
    seen->len = len;
}

void observe_call(struct hart *hart, struct call *call)
{
    struct observer *o = hart->vm->observer;
    struct trace_buffer *seen = &o->hart[hart->index].seen;
    const struct call given = *call;
    const struct call_desc *desc = call_find(hart->vm, call->personality, call->ext, call->fn);
    const char *name = desc ? desc->name : "(nobody's)";
    struct trace_line line;

    count_pc(o, hart, name);
    seen->len = 0;
    uint64_t start = now_ns(o);
    call_make(hart, call);
    uint64_t ns = now_ns(o) - start;
    if (call->disp == CALL_PARK)
        return; /* nothing has happened yet */
    count(o, hart, STATS_CALL, name, ns);
    count(o, hart, STATS_CAUSE, "call", ns);
    if (!tells(o, WATCH_CALLS))
        return;
    line_begin(o, &line, hart->index);
    trace_add_call(&line, desc, &given, call, seen);
    line_end(o, &line, ns);
}

/* --- devices and the rest of the exits --- */

static const char *device_name(const struct vm *vm, gpa_t gpa, uint64_t *offset)
{
    for (unsigned i = 0; i < vm->bus.nclaims; i++) {
        const struct bus_claim *claim = &vm->bus.claim[i];

        *offset = gpa - claim->gpa;
        if (*offset < claim->size)
            return claim->owner;
    }
    return NULL;
}

static void mmio_tell(struct observer *o, struct hart *hart, const struct vm_exit *exit,
                      uint64_t ns)
{
    uint64_t offset;
    const char *name = device_name(hart->vm, exit->mmio.gpa, &offset);
    struct trace_line line;

    count(o, hart, STATS_DEVICE, name ? name : "(nobody's)", ns);
    if (!tells(o, WATCH_MMIO))
        return;
    line_begin(o, &line, hart->index);
    trace_add(&line, "mmio.%s%u(", exit->mmio.write ? "write" : "read", exit->mmio.size * 8u);
    if (name)
        trace_add(&line, "%s+0x%" PRIx64, name, offset);
    else
        trace_add(&line, "0x%" PRIx64, exit->mmio.gpa);
    if (exit->mmio.write)
        trace_add(&line, ", 0x%" PRIx64 ")%s", exit->mmio.data,
                  exit->mmio.failed ? " = fault" : "");
    else if (exit->mmio.failed)
        trace_add(&line, ") = fault");
    else
        trace_add(&line, ") = 0x%" PRIx64, exit->mmio.data);
    line_end(o, &line, ns);
}

enum gate observe_exit(struct hart *hart, struct vm_exit *exit)
{
    struct observer *o = hart->vm->observer;
    uint64_t start = now_ns(o);
    enum exit_kind kind = exit->kind;
    const char *name = exit_kind_name(kind);
    struct trace_line line;

    if (exit_is_access(kind))
        count_pc(o, hart, name);
    enum gate gate = exit_take(hart, exit);
    uint64_t ns = now_ns(o) - start;
    count(o, hart, STATS_CAUSE, name, ns);
    if (exit_is_access(kind)) {
        mmio_tell(o, hart, exit, ns);
    } else if (kind == EXIT_FAULT && tells(o, WATCH_FAULTS)) {
        line_begin(o, &line, hart->index);
        trace_add(&line, "stop: %s at pc 0x%" PRIx64 ", address 0x%" PRIx64,
                  exit->fault.what ? exit->fault.what : exit_cause_name(exit->fault.cause),
                  exit->fault.pc, exit->fault.tval);
        line_end(o, &line, ns);
    }
    return gate;
}

/* --- what happens inside the guest --- */

static const char *interrupt_name(uint64_t number)
{
    switch (number) {
    case IRQ_S_SOFT: return "irq s-software";
    case IRQ_M_SOFT: return "irq m-software";
    case IRQ_S_TIMER: return "irq s-timer";
    case IRQ_M_TIMER: return "irq m-timer";
    case IRQ_S_EXT: return "irq s-external";
    case IRQ_M_EXT: return "irq m-external";
    case 13: return "irq counter-overflow";
    default: return "irq other";
    }
}

/* A task is told by sscratch, where kernels keep it while it is in U-mode, and its tables. */
static struct guest_call *guest_call_find(struct observer *o, uint64_t satp, uint64_t sscratch)
{
    struct guest_call *same = NULL;

    for (unsigned i = 0; i < GUEST_CALLS; i++) {
        struct guest_call *call = &o->guest[i];

        if (!call->used || call->sscratch != sscratch)
            continue;
        if (call->satp == satp)
            return call;
        same = call; /* exec gives a task other tables; xv6 has one sscratch for all */
    }
    return same && sscratch != 0 ? same : NULL;
}

static void guest_call_tell(struct observer *o, const struct guest_call *call,
                            const uint64_t *result, unsigned hart, uint64_t ns)
{
    struct trace_line line;

    if (!tells(o, WATCH_GUEST))
        return;
    line_begin(o, &line, hart);
    /* satp: the address space's ID and the number of its root page. */
    trace_add(&line, "guest[%" PRIx64 ":%" PRIx64 "] ", call->satp >> 44 & 0xffff,
              call->satp & 0xfffffffffff);
    if (o->linux_guest) {
        trace_add_linux_call(&line, call->number, call->args);
    } else {
        trace_add(&line, "call %" PRIu64 "(", call->number);
        for (unsigned i = 0; i < CALL_ARGS; i++)
            trace_add(&line, "%s0x%" PRIx64, i > 0 ? ", " : "", call->args[i]);
        trace_add(&line, ")");
    }
    if (!result) {
        trace_add(&line, " = ?");
        trace_write(o->sink, &line);
        return;
    }
    trace_add_result(&line, (int64_t)*result);
    line_end(o, &line, ns);
}

static void guest_name_count(struct observer *o, struct hart *hart,
                             const struct guest_call *call, uint64_t ns)
{
    const char *name = o->linux_guest ? trace_linux_name(call->number) : NULL;

    count(o, hart, STATS_GUEST, name ? name : "(other)", ns);
}

static void guest_call_begin(struct observer *o, struct hart *hart,
                             const struct observed_trap *trap)
{
    struct guest_call call = {
        .used = true,
        .satp = trap->satp,
        .sscratch = trap->sscratch,
        .number = trap->x[17],
        .start_ns = now_ns(o),
    };
    struct guest_call lost = {0};

    memcpy(call.args, &trap->x[10], sizeof(call.args));
    if (o->linux_guest && (call.number == LINUX_EXIT || call.number == LINUX_EXIT_GROUP)) {
        guest_name_count(o, hart, &call, 0); /* it never returns, and its task is reused */
        guest_call_tell(o, &call, NULL, hart->index, 0);
        return;
    }
    pthread_mutex_lock(&o->lock);
    struct guest_call *slot = guest_call_find(o, call.satp, call.sscratch);
    if (slot && slot->satp != call.satp)
        slot = NULL;
    for (unsigned i = 0; !slot && i < GUEST_CALLS; i++) {
        if (!o->guest[i].used)
            slot = &o->guest[i];
    }
    if (!slot)
        slot = &o->guest[o->next++ % GUEST_CALLS];
    lost = *slot; /* a task that never came back: exit, or a signal's way around */
    *slot = call;
    pthread_mutex_unlock(&o->lock);
    if (lost.used)
        guest_call_tell(o, &lost, NULL, hart->index, 0);
}

void observe_return(struct hart *hart, uint64_t satp, uint64_t sscratch, const uint64_t *x)
{
    struct observer *o = hart->vm->observer;
    struct guest_call call = {0};

    pthread_mutex_lock(&o->lock);
    struct guest_call *slot = guest_call_find(o, satp, sscratch);
    if (slot) {
        call = *slot;
        slot->used = false;
    }
    pthread_mutex_unlock(&o->lock);
    if (!call.used)
        return;
    uint64_t ns = now_ns(o) - call.start_ns;
    guest_name_count(o, hart, &call, ns);
    guest_call_tell(o, &call, &x[10], hart->index, ns);
}

void observe_trap(struct hart *hart, const struct observed_trap *trap)
{
    struct observer *o = hart->vm->observer;
    bool interrupt = trap->cause >> 63;
    uint64_t number = trap->cause & INT64_MAX;
    bool own_call = !interrupt && number == 8; /* environment call from U-mode */
    const char *name = interrupt  ? interrupt_name(number)
                       : own_call ? "guest's call"
                                  : exit_cause_name(number);
    struct trace_line line;

    if (o->mask & WATCH_STATS)
        stats_count(o->hart[hart->index].stats, STATS_CAUSE, name, false, 0);
    if (own_call && trap->priv == PRIV_U && (hart->watch & WATCH_GUEST))
        guest_call_begin(o, hart, trap);
    if (own_call || !tells(o, interrupt ? WATCH_IRQ : WATCH_FAULTS))
        return;
    line_begin(o, &line, hart->index);
    trace_add(&line, "%s%s at pc 0x%" PRIx64, interrupt ? "" : "fault: ", name, trap->pc);
    if (!interrupt)
        trace_add(&line, ", address 0x%" PRIx64, trap->tval);
    trace_write(o->sink, &line);
}

void observe_csr(struct hart *hart, uint64_t pc, unsigned csr, uint64_t old, bool written,
                 uint64_t value)
{
    struct observer *o = hart->vm->observer;
    struct trace_line line;

    if (!tells(o, WATCH_CSR))
        return;
    line_begin(o, &line, hart->index);
    trace_add(&line, "csr ");
    trace_add_csr(&line, csr);
    trace_add(&line, " = 0x%" PRIx64, old);
    if (written)
        trace_add(&line, " <- 0x%" PRIx64, value);
    trace_add(&line, " at pc 0x%" PRIx64, pc);
    trace_write(o->sink, &line);
}
