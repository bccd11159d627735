/* phases.c: time stamps along the way of an exit. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/phases.h"

#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"

#define OVERHEAD_RUNS 1000

const char *phase_name(enum phase phase)
{
    static const char *const names[PHASES] = {
        [PHASE_LEAVE] = "leave", [PHASE_DISPATCH] = "dispatch", [PHASE_HANDLER] = "handler",
        [PHASE_ENTER] = "enter", [PHASE_OWN] = "own",           [PHASE_ROUND] = "round",
    };

    return phase < PHASES ? names[phase] : "unknown";
}

/* The least distance of two stamps: what a stamp adds to the phase that it ends. */
static uint64_t overhead_measure(struct phases *phases)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < OVERHEAD_RUNS; i++) {
        phases_stamp(phases, MARK_LEAVE);
        phases_stamp(phases, MARK_GATE);
        uint64_t took = phases->at[MARK_GATE] - phases->at[MARK_LEAVE];

        if (took < least)
            least = took;
    }
    memset(phases->at, 0, sizeof(phases->at));
    return least;
}

struct phases *phases_new(struct host *host)
{
    struct phases *phases = calloc(1, sizeof(*phases));

    if (phases == NULL)
        return NULL;
    phases->overhead = overhead_measure(phases);
    phases->ns = host->now_ns(host);
    phases->cycles = host_cycles();
    return phases;
}

double phases_cycles_per_ns(const struct phases *phases, struct host *host)
{
    uint64_t ns = host->now_ns(host) - phases->ns, cycles = host_cycles() - phases->cycles;

    return ns == 0 ? 1.0 : (double)cycles / (double)ns;
}

HOT_WAY void phases_stamp(struct phases *phases, enum phase_mark mark)
{
    phases->at[mark] = host_cycles();
}

/* The row of an exit; NULL: there is no room for another kind. */
static HOT_WAY struct phase_row *row_find(struct phases *phases, const struct vm_exit *exit)
{
    bool call = exit->kind == EXIT_CALL;
    struct phase_row key = {
        .kind = exit->kind,
        .ext = call ? exit->call.ext : exit->mmio.gpa,
        .fn = call ? exit->call.fn : 0,
        .arg0 = call ? exit->call.arg[0] : 0,
    };

    for (size_t i = 0; i < phases->nrows; i++) {
        struct phase_row *row = &phases->rows[i];

        if (row->kind == key.kind && row->ext == key.ext && row->fn == key.fn &&
            row->arg0 == key.arg0)
            return row;
    }
    if (phases->nrows == PHASE_ROWS)
        return NULL;
    struct phase_row *row = &phases->rows[phases->nrows++];

    row->kind = key.kind;
    row->ext = key.ext;
    row->fn = key.fn;
    row->arg0 = key.arg0;
    return row;
}

HOT_WAY void phases_gate(struct phases *phases, const struct vm_exit *exit)
{
    phases_stamp(phases, MARK_GATE);
    phases->row =
        exit->kind == EXIT_CALL || exit_is_access(exit->kind) ? row_find(phases, exit) : NULL;
    phases->looked = host_cycles(); /* looking for the row is not the exit's */
}

static uint32_t cycles_kept(uint64_t took, uint64_t overhead)
{
    took = took > overhead ? took - overhead : 0;
    return took < PHASE_NONE ? (uint32_t)took : PHASE_NONE - 1;
}

/* From one time to the next; the clocks of two processors may differ, so it may go back. */
static uint32_t cycles_between(uint64_t from, uint64_t to, uint64_t overhead)
{
    return from == 0 || to < from ? PHASE_NONE : cycles_kept(to - from, overhead);
}

/* Stamps whose time is in what an exit took in all: GATE's, ENTER's, and the handler's. */
static uint64_t own_stamps(const uint64_t *at)
{
    return 2 + (at[MARK_HANDLER] != 0) + (at[MARK_DONE] != 0);
}

static void exit_keep(struct phases *phases, struct phase_row *row, size_t n)
{
    const uint64_t *at = phases->at, overhead = phases->overhead;
    uint64_t ours = at[MARK_GATE] - at[MARK_LEAVE] + at[MARK_ENTER] - phases->looked;

    row->cycles[PHASE_LEAVE][n] = cycles_between(at[MARK_LEAVE], at[MARK_GATE], overhead);
    row->cycles[PHASE_DISPATCH][n] = cycles_between(phases->looked, at[MARK_HANDLER], overhead);
    row->cycles[PHASE_HANDLER][n] = cycles_between(at[MARK_HANDLER], at[MARK_DONE], overhead);
    row->cycles[PHASE_ENTER][n] = cycles_between(at[MARK_DONE], at[MARK_ENTER], overhead);
    row->cycles[PHASE_OWN][n] =
        ours < PHASE_NONE ? cycles_kept(ours, own_stamps(at) * overhead) : PHASE_NONE;
    row->cycles[PHASE_ROUND][n] =
        phases->last_row == row && at[MARK_LEAVE] >= phases->recorded
            ? cycles_kept(at[MARK_LEAVE] - phases->recorded + ours, MARKS * overhead)
            : PHASE_NONE;
}

HOT_WAY void phases_end(struct phases *phases)
{
    struct phase_row *row = phases->row;

    phases_stamp(phases, MARK_ENTER);
    if (row != NULL && row->count < PHASE_SAMPLES)
        exit_keep(phases, row, row->count++);
    phases->last_row = row;
    phases->row = NULL;
    memset(phases->at, 0, sizeof(phases->at));
    phases->recorded = host_cycles();
}
