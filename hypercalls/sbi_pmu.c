/* sbi_pmu.c: the SBI PMU extension: the hart's counters, and what the SBI counts itself. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_pmu.h"
#include "hypercalls/sbi.h"
#include "vmm/le.h"
#include "vmm/module.h"
#include "vmm/snapshot.h"

/*
 * SBI 3.0, section 11. Logical counters have the numbers that OpenSBI gives them, since Linux
 * takes instret to be counter 2: 0 is cycle, 1 stands for the time CSR and is no counter, 2 is
 * instret; the programmable ones, in the order of their CSRs, and the firmware counters follow.
 * All are a hart's own: its thread alone touches them.
 */
#define HPM_FIRST HART_COUNTER_FIRST
#define FW_FIRST  (HPM_FIRST + HART_HPM_COUNTERS)
#define FW_COUNT  16u
#define COUNTERS  (FW_FIRST + FW_COUNT)
#define ALL       ((1u << COUNTERS) - 1)

#define CSR_CYCLE    0xc00u
#define INFO_WIDTH   (63u << 12) /* all have 64 bits */
#define INFO_FW      (UINT64_C(1) << 63)
#define NO_EVENT     UINT32_MAX
#define SNAPSHOT_OFF UINT64_MAX

/* Entries of one event_get_info: 64 KiB, as much as any call copies in one crossing. */
#define INFO_MAX (CALL_BUF_MAX / SBI_PMU_INFO_SIZE)

struct counter {
    uint32_t event; /* configured for it, or NO_EVENT */
    uint64_t data;  /* of that event */
    bool started;
    uint64_t value; /* of a firmware counter: without what was counted since `since` */
    uint64_t since;
};

struct pmu_hart {
    struct counter counter[COUNTERS];
    gpa_t snapshot;
};

struct pmu {
    struct vm *vm;
    bool snapshot; /* the shared memory is offered */
    struct pmu_hart hart[PLAT_HARTS_MAX];
};

/* A call of a hart: what its functions pass on. */
struct pmu_call {
    struct hart *hart;
    struct pmu_hart *ph;
};

static struct pmu_call pmu_call(void *self, struct hart *hart)
{
    struct pmu *pmu = self;

    return (struct pmu_call){.hart = hart, .ph = &pmu->hart[hart->index]};
}

static bool is_fw(unsigned i)
{
    return i >= FW_FIRST;
}

/* The counters that there are: those of hardware only when the engine's can be stopped. */
static uint32_t counters_there(const struct vm *vm)
{
    uint32_t hardware = 1u << HART_COUNTER_CYCLE | 1u << HART_COUNTER_INSTRET;

    return (ALL & ~((1u << FW_FIRST) - 1)) | (vm->engine->counter_set ? hardware : 0) |
           ((1u << vm->engine->programmable) - 1) << HPM_FIRST;
}

static bool is_programmable(unsigned i)
{
    return i >= HPM_FIRST && i < FW_FIRST;
}

/* A set of counters (section 11.7): false when it names one that is not there. */
static bool counters_set(const struct vm *vm, uint64_t base, uint64_t mask, uint32_t *set)
{
    *set = 0;
    if (mask == 0)
        return true;
    if (base >= COUNTERS || (mask & ~((uint64_t)counters_there(vm) >> base)) != 0)
        return false;
    *set = (uint32_t)(mask << base);
    return true;
}

/* Firmware events that are counted (section 11.6). The rest never comes to the SBI here. */
static bool event_counted(uint64_t code)
{
    return code >= SBI_PMU_FW_SET_TIMER && code <= SBI_PMU_FW_SFENCE_VMA_ASID_RECEIVED;
}

/*
 * The engine's selector of an event: general and cache events are their own (HART_EVENT_*), raw
 * ones have it in event_data, which is reserved with all others. 0: it has none.
 */
static uint64_t event_selector(uint64_t event, uint64_t data)
{
    switch (event >> 16) {
    case SBI_PMU_TYPE_HW:
    case SBI_PMU_TYPE_CACHE: return data == 0 ? event : 0;
    case SBI_PMU_TYPE_RAW:
    case SBI_PMU_TYPE_RAW_V2: return (event & 0xffff) == 0 ? data : 0;
    default: return 0;
    }
}

/* The programmable counters, if they can count it. */
static uint32_t event_programmable(const struct vm *vm, uint64_t event, uint64_t data)
{
    uint64_t selector = event_selector(event, data);

    if (selector == 0 || !vm->engine->event_known || !vm->engine->event_known(selector))
        return 0;
    return (1u << FW_FIRST) - (1u << HPM_FIRST);
}

/* The counters that can count an event; 0: nobody can. */
static uint32_t event_counters(const struct vm *vm, uint64_t event, uint64_t data)
{
    uint32_t set = event_programmable(vm, event, data);

    if (data != 0) /* of cycle, instret and firmware events it is reserved */
        return set & counters_there(vm);
    if (event == SBI_PMU_EVENT(SBI_PMU_TYPE_HW, SBI_PMU_HW_CPU_CYCLES))
        set |= 1u << HART_COUNTER_CYCLE;
    else if (event == SBI_PMU_EVENT(SBI_PMU_TYPE_HW, SBI_PMU_HW_INSTRUCTIONS))
        set |= 1u << HART_COUNTER_INSTRET;
    else if (event >> 16 == SBI_PMU_TYPE_FW && event_counted(event & 0xffff))
        set = ~((1u << FW_FIRST) - 1);
    return set & counters_there(vm);
}

/* --- one counter --- */

static uint64_t events_now(const struct pmu_call *p, const struct counter *counter)
{
    return atomic_load_explicit(&p->hart->events[counter->event & 0xffff],
                                memory_order_relaxed);
}

static uint64_t counter_read(const struct pmu_call *p, unsigned i)
{
    const struct counter *counter = &p->ph->counter[i];

    if (!is_fw(i))
        return p->hart->vm->engine->counter_get(p->hart, i);
    return counter->value + (counter->started ? events_now(p, counter) - counter->since : 0);
}

/* Gives a counter its value, and lets it count or stand still. */
static void counter_write(const struct pmu_call *p, unsigned i, uint64_t value, bool counts)
{
    struct counter *counter = &p->ph->counter[i];

    if (!is_fw(i)) {
        p->hart->vm->engine->counter_set(p->hart, i, value, counts);
    } else {
        counter->value = value;
        counter->since = counts ? events_now(p, counter) : 0;
    }
    counter->started = counts;
}

/* Has a counter count an event, without what the flags of the call filter out. */
static void counter_configure(const struct pmu_call *p, unsigned i, uint64_t event,
                              uint64_t data, uint64_t flags)
{
    struct counter *counter = &p->ph->counter[i];

    counter->event = (uint32_t)event;
    counter->data = data;
    if (is_programmable(i))
        p->hart->vm->engine->event_set(
            p->hart, i, event_selector(event, data),
            (flags & SBI_PMU_CFG_SET_UINH ? HART_EVENT_NOT_U : 0) |
                (flags & SBI_PMU_CFG_SET_SINH ? HART_EVENT_NOT_S : 0) | HART_EVENT_NOT_M);
}

/*
 * Its event is taken away. The fixed CSRs count then, as for a guest that never asks for PMU; a
 * programmable one counts nothing and keeps its value.
 */
static void counter_release(const struct pmu_call *p, unsigned i)
{
    struct counter *counter = &p->ph->counter[i];

    if (is_programmable(i) && counter->event != NO_EVENT)
        p->hart->vm->engine->event_set(p->hart, i, 0, 0);
    else if (!is_fw(i) && counter->event != NO_EVENT)
        p->hart->vm->engine->counter_set(p->hart, i, counter_read(p, i), true);
    counter->event = NO_EVENT;
    counter->data = 0;
}

/* --- functions --- */

static enum call_disp sbi_pmu_num_counters(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    return sbi_value(c, COUNTERS);
}

static enum call_disp sbi_pmu_counter_get_info(void *self, struct hart *hart, struct call *c)
{
    uint64_t i = c->arg[0];

    (void)self;
    if (i >= COUNTERS || !(counters_there(hart->vm) >> i & 1))
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    return sbi_value(c,
                     is_fw((unsigned)i) ? INFO_FW | INFO_WIDTH : INFO_WIDTH | (CSR_CYCLE + i));
}

static bool counter_free(const struct pmu_call *p, unsigned i)
{
    return p->ph->counter[i].event == NO_EVENT;
}

/*
 * The counter that section 11.9 finds in a set: one that is not started, and rather one that
 * nothing is configured for; after this rather one that filters and tells of its overflow,
 * which the fixed ones do not. COUNTERS: none.
 */
static unsigned counter_match(const struct pmu_call *p, uint32_t set, uint32_t able, bool skip)
{
    unsigned found = COUNTERS, best = 0;

    for (unsigned i = 0; i < COUNTERS; i++) {
        if (!(set >> i & 1))
            continue;
        bool fits = (able >> i & 1) && !p->ph->counter[i].started;
        unsigned rank = 1u + 2u * counter_free(p, i) + is_programmable(i);

        if (fits && rank > best) {
            found = i;
            best = rank;
        }
        if (skip)
            break;
    }
    return found;
}

/*
 * The order of the checks is that of the table of errors. Filters are hints: the fixed counters
 * have none.
 */
static enum call_disp sbi_pmu_counter_config_matching(void *self, struct hart *hart,
                                                      struct call *c)
{
    struct pmu_call p = pmu_call(self, hart);
    uint64_t flags = c->arg[2], event = c->arg[3];
    uint32_t set;
    unsigned i;

    if (!counters_set(hart->vm, c->arg[0], c->arg[1], &set) ||
        (flags & ~(uint64_t)SBI_PMU_CFG_FLAGS))
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    i = counter_match(&p, set, event_counters(hart->vm, event, c->arg[4]),
                      flags & SBI_PMU_CFG_SKIP_MATCH);
    if (i == COUNTERS)
        return sbi_error(c, SBI_ERR_NOT_SUPPORTED);
    counter_configure(&p, i, event, c->arg[4], flags);
    counter_write(&p, i, flags & SBI_PMU_CFG_CLEAR_VALUE ? 0 : counter_read(&p, i),
                  flags & SBI_PMU_CFG_AUTO_START);
    return sbi_value(c, i);
}

/* The snapshot's values, each once: a counter is given what was checked. -1: it is gone. */
static int snapshot_read(const struct pmu_call *p, uint64_t value[64])
{
    uint8_t bytes[64 * 8];

    if (mem_read(&p->hart->vm->mem, p->ph->snapshot + SBI_PMU_SNAPSHOT_VALUES, bytes,
                 sizeof(bytes)) != 0)
        return -1;
    for (unsigned i = 0; i < 64; i++)
        value[i] = le_get64(bytes + 8 * i);
    return 0;
}

/*
 * Section 11.10. Nothing is done unless every counter of the set exists and counts something;
 * those that are started already stay as they are, the others start.
 */
static enum call_disp sbi_pmu_counter_start(void *self, struct hart *hart, struct call *c)
{
    struct pmu_call p = pmu_call(self, hart);
    uint64_t base = c->arg[0], flags = c->arg[2];
    bool initial = flags & SBI_PMU_START_SET_INIT_VALUE;
    bool snapshot = flags & SBI_PMU_START_INIT_SNAPSHOT;
    uint64_t value[64];
    int error = SBI_SUCCESS;
    uint32_t set;

    if (!counters_set(hart->vm, base, c->arg[1], &set) || (initial && snapshot) ||
        (flags & ~(uint64_t)(SBI_PMU_START_SET_INIT_VALUE | SBI_PMU_START_INIT_SNAPSHOT)))
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    for (unsigned i = 0; i < COUNTERS; i++)
        if ((set >> i & 1) && counter_free(&p, i))
            return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (snapshot && (p.ph->snapshot == SNAPSHOT_OFF || snapshot_read(&p, value) != 0))
        return sbi_error(c, SBI_ERR_NO_SHMEM);
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (!(set >> i & 1))
            continue;
        if (p.ph->counter[i].started)
            error = SBI_ERR_ALREADY_STARTED;
        else
            counter_write(&p, i,
                          initial    ? c->arg[3]
                          : snapshot ? value[i - base]
                                     : counter_read(&p, i),
                          true);
    }
    return sbi_error(c, error);
}

/* Which counters of a set have overflowed, relative to its base (section 11.14). */
static void snapshot_overflows(const struct pmu_call *p, uint32_t set, uint64_t base)
{
    const struct engine *engine = p->hart->vm->engine;
    uint64_t over = engine->overflows ? engine->overflows(p->hart) & set : 0;
    uint8_t bytes[8];

    le_put64(bytes, set ? over >> base : 0);
    mem_write(&p->hart->vm->mem, p->ph->snapshot + SBI_PMU_SNAPSHOT_OVERFLOW, bytes,
              sizeof(bytes));
}

/* Saves a counter's value where section 11.14 wants it: relative to the base of its set. */
static void snapshot_write(const struct pmu_call *p, unsigned i, uint64_t base)
{
    uint8_t bytes[8];

    le_put64(bytes, counter_read(p, i));
    mem_write(&p->hart->vm->mem, p->ph->snapshot + SBI_PMU_SNAPSHOT_VALUES + 8 * (i - base),
              bytes, sizeof(bytes));
}

/* Section 11.11. A counter that is stopped already is still saved, and still released. */
static enum call_disp sbi_pmu_counter_stop(void *self, struct hart *hart, struct call *c)
{
    struct pmu_call p = pmu_call(self, hart);
    uint64_t base = c->arg[0], flags = c->arg[2];
    bool snapshot = flags & SBI_PMU_STOP_TAKE_SNAPSHOT;
    int error = SBI_SUCCESS;
    uint32_t set;

    if (!counters_set(hart->vm, base, c->arg[1], &set) ||
        (flags & ~(uint64_t)(SBI_PMU_STOP_RESET | SBI_PMU_STOP_TAKE_SNAPSHOT)))
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (snapshot && p.ph->snapshot == SNAPSHOT_OFF)
        return sbi_error(c, SBI_ERR_NO_SHMEM);
    if (snapshot)
        snapshot_overflows(&p, set, base);
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (!(set >> i & 1))
            continue;
        if (p.ph->counter[i].started)
            counter_write(&p, i, counter_read(&p, i), false);
        else
            error = SBI_ERR_ALREADY_STOPPED;
        if (snapshot && !counter_free(&p, i))
            snapshot_write(&p, i, base);
        if (flags & SBI_PMU_STOP_RESET)
            counter_release(&p, i);
    }
    return sbi_error(c, error);
}

static enum call_disp sbi_pmu_counter_fw_read(void *self, struct hart *hart, struct call *c)
{
    struct pmu_call p = pmu_call(self, hart);

    if (c->arg[0] < FW_FIRST || c->arg[0] >= COUNTERS)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    return sbi_value(c, counter_read(&p, (unsigned)c->arg[0]));
}

/* Section 11.13: zero, since the other function gives all 64 bits. */
static enum call_disp sbi_pmu_counter_fw_read_hi(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    if (c->arg[0] < FW_FIRST || c->arg[0] >= COUNTERS)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    return sbi_value(c, 0);
}

/*
 * Optional (section 11.14), and left out unless asked for: Linux (6.10 to 6.12 at least), where
 * it finds it, starts counters that overflowed with a wrong counter_idx_base
 * (pmu_sbi_start_ovf_ctrs_snapshot), so that they stand until the next switch of tasks and most
 * samples are lost.
 */
static enum call_disp sbi_pmu_snapshot_set_shmem(void *self, struct hart *hart, struct call *c)
{
    struct pmu_call p = pmu_call(self, hart);
    uint64_t lo = c->arg[0], hi = c->arg[1];
    int error;

    if (!((const struct pmu *)self)->snapshot)
        return sbi_error(c, SBI_ERR_NOT_SUPPORTED);
    if (c->arg[2] != 0)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (lo == UINT64_MAX && hi == UINT64_MAX) {
        p.ph->snapshot = SNAPSHOT_OFF;
        return sbi_error(c, SBI_SUCCESS);
    }
    if (lo % SBI_PMU_SNAPSHOT_SIZE != 0)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    error = sbi_shmem(hart->vm, lo, hi, SBI_PMU_SNAPSHOT_SIZE);
    if (error == SBI_SUCCESS)
        p.ph->snapshot = lo;
    return sbi_error(c, error);
}

/* Reserved bits of an event_idx word; data of a general or cache event is not looked at. */
#define INFO_RESERVED (~UINT32_C(0xfffff))

static bool info_supported(const struct vm *vm, const uint8_t *entry)
{
    uint32_t event = le_get32(entry + SBI_PMU_INFO_EVENT);
    bool has_data = event >> 16 >= SBI_PMU_TYPE_RAW;

    return event_counters(vm, event, has_data ? le_get64(entry + SBI_PMU_INFO_DATA) : 0) != 0;
}

/*
 * Section 11.15. The entries are copied in once and checked before the first is answered, of
 * which only the word of the output is written back.
 */
static int info_answer(const struct vm *vm, gpa_t gpa, unsigned n, uint8_t *entries)
{
    const struct mem *mem = &vm->mem;

    if (mem_read(mem, gpa, entries, (size_t)n * SBI_PMU_INFO_SIZE) != 0)
        return SBI_ERR_INVALID_ADDRESS;
    for (unsigned i = 0; i < n; i++)
        if (le_get32(entries + i * SBI_PMU_INFO_SIZE + SBI_PMU_INFO_EVENT) & INFO_RESERVED)
            return SBI_ERR_INVALID_PARAM;
    for (unsigned i = 0; i < n; i++) {
        uint8_t output[4];

        le_put32(output, info_supported(vm, entries + i * SBI_PMU_INFO_SIZE));
        mem_write(mem, gpa + i * SBI_PMU_INFO_SIZE + SBI_PMU_INFO_OUTPUT, output, 4);
    }
    return SBI_SUCCESS;
}

static enum call_disp sbi_pmu_event_get_info(void *self, struct hart *hart, struct call *c)
{
    uint64_t lo = c->arg[0], n = c->arg[2];
    uint8_t *entries;
    int error;

    (void)self;
    if (c->arg[3] != 0 || lo % SBI_PMU_INFO_SIZE != 0)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (n > UINT64_MAX / SBI_PMU_INFO_SIZE)
        return sbi_error(c, SBI_ERR_INVALID_ADDRESS);
    error = sbi_shmem(hart->vm, lo, c->arg[1], n * SBI_PMU_INFO_SIZE);
    if (error != SBI_SUCCESS || n == 0)
        return sbi_error(c, error);
    if (n > INFO_MAX) /* it would keep the hart, and who fences it, for too long */
        return sbi_error(c, SBI_ERR_FAILED);
    entries = malloc(n * SBI_PMU_INFO_SIZE);
    error = entries ? info_answer(hart->vm, lo, (unsigned)n, entries) : SBI_ERR_FAILED;
    free(entries);
    return sbi_error(c, error);
}

/* --- the module --- */

static void counters_reset(struct pmu_hart *ph)
{
    *ph = (struct pmu_hart){.snapshot = SNAPSHOT_OFF};
    for (unsigned i = 0; i < COUNTERS; i++)
        ph->counter[i].event = NO_EVENT;
}

static void pmu_hart_reset(void *self, struct hart *hart)
{
    struct pmu_call p = pmu_call(self, hart);

    for (unsigned i = 0; i < FW_FIRST; i++)
        counter_release(&p, i);
    counters_reset(p.ph);
}

/* The hart's counters, their values and what they select, are its own state. */
static void pmu_save(void *self, struct state_writer *w)
{
    struct pmu *pmu = self;

    for (unsigned h = 0; h < pmu->vm->nharts; h++) {
        struct pmu_call p = pmu_call(self, &pmu->vm->hart[h]);

        state_put_u64(w, p.ph->snapshot);
        for (unsigned i = 0; i < COUNTERS; i++) {
            state_put_u64(w, p.ph->counter[i].event);
            state_put_u64(w, p.ph->counter[i].data);
            state_put_u64(w, p.ph->counter[i].started);
            state_put_u64(w, is_fw(i) ? counter_read(&p, i) : 0);
        }
    }
}

static void counter_load(const struct pmu_call *p, unsigned i, struct state_reader *r)
{
    struct counter *counter = &p->ph->counter[i];
    uint64_t event = state_get_u64(r), data = state_get_u64(r), started = state_get_u64(r);
    uint64_t value = state_get_u64(r);
    bool able = event_counters(p->hart->vm, event, data) >> i & 1;

    if (started > 1 || !(able || (event == NO_EVENT && !started))) {
        r->error = r->error ? r->error : -EINVAL;
        return;
    }
    *counter = (struct counter){
        .event = (uint32_t)event, .data = data, .started = started, .value = value};
    if (is_fw(i) && started)
        counter->since = events_now(p, counter);
}

static void pmu_load(void *self, struct state_reader *r)
{
    struct pmu *pmu = self;

    for (unsigned h = 0; h < pmu->vm->nharts; h++) {
        struct pmu_call p = pmu_call(self, &pmu->vm->hart[h]);
        uint64_t at = state_get_u64(r);

        if (at != SNAPSHOT_OFF &&
            (at % SBI_PMU_SNAPSHOT_SIZE != 0 ||
             sbi_shmem(pmu->vm, at, 0, SBI_PMU_SNAPSHOT_SIZE) != SBI_SUCCESS))
            r->error = r->error ? r->error : -EINVAL;
        else
            p.ph->snapshot = at;
        for (unsigned i = 0; i < COUNTERS; i++)
            counter_load(&p, i, r);
    }
}

static int pmu_create(struct module_instance *inst, struct error *err)
{
    struct pmu *pmu = calloc(1, sizeof(*pmu));

    (void)err;
    if (!pmu)
        return -ENOMEM;
    pmu->vm = inst->vm;
    pmu->snapshot = module_option(inst, "snapshot") != NULL;
    for (unsigned i = 0; i < PLAT_HARTS_MAX; i++)
        counters_reset(&pmu->hart[i]);
    inst->self = pmu;
    return 0;
}

static const struct module_key pmu_keys[] = {
    {"snapshot", "offer the shared memory of snapshots; Linux then loses samples"},
    {NULL,       NULL                                                            },
};

const struct module module_sbi_pmu = {
    .name = "sbi-pmu",
    .summary = "SBI PMU: the hart's counters, and what the SBI counts",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .keys = pmu_keys,
    .calls = sbi_pmu_calls,
    .ncalls = sizeof(sbi_pmu_calls) / sizeof(sbi_pmu_calls[0]),
    .create = pmu_create,
    .destroy = free,
    .save = pmu_save,
    .load = pmu_load,
    .hart_reset = pmu_hart_reset,
};
