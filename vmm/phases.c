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
        [PHASE_ENTER] = "enter", [PHASE_ROUND] = "round",
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

void phases_stamp(struct phases *phases, enum phase_mark mark)
{
    phases->at[mark] = host_cycles();
}

/* The row of an exit; NULL: there is no room for another kind. */
static struct phase_row *row_find(struct phases *phases, const struct vm_exit *exit)
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

void phases_gate(struct phases *phases, const struct vm_exit *exit)
{
    phases->row =
        exit->kind == EXIT_CALL || exit->kind == EXIT_MMIO ? row_find(phases, exit) : NULL;
    phases_stamp(phases, MARK_GATE); /* last: looking for the row is not the exit's */
}

static uint32_t cycles_kept(uint64_t from, uint64_t to, uint64_t overhead)
{
    uint64_t took = to - from;

    if (from == 0 || to == 0 || to < from)
        return PHASE_NONE;
    took = took > overhead ? took - overhead : 0;
    return took < PHASE_NONE ? (uint32_t)took : PHASE_NONE - 1;
}

void phases_end(struct phases *phases)
{
    struct phase_row *row = phases->row;
    uint64_t *at = phases->at;

    at[MARK_ENTER] = host_cycles();
    if (row != NULL && row->count < PHASE_SAMPLES) {
        size_t n = row->count++;

        for (unsigned i = 0; i + 1 < MARKS; i++)
            row->cycles[i][n] = cycles_kept(at[i], at[i + 1], phases->overhead);
        row->cycles[PHASE_ROUND][n] =
            phases->last_row == row
                ? cycles_kept(phases->last, at[MARK_LEAVE], MARKS * phases->overhead)
                : PHASE_NONE;
    }
    phases->last_row = row;
    phases->last = at[MARK_LEAVE];
    phases->row = NULL;
    memset(phases->at, 0, sizeof(phases->at));
}
