/* hpm.c: hardware performance counters (Zihpm) that tell of their overflow (Sscofpmf). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/riscv/hpm.h"

#include <string.h>
#include "vmm/engine/riscv/rv.h"
#include "vmm/vm.h"

#define FILTERS (RV_HPM_MINH | RV_HPM_SINH | RV_HPM_UINH)

static const uint64_t selectors[] = {
    HART_EVENT_CYCLES,      HART_EVENT_INSTRUCTIONS, HART_EVENT_LOAD_WALKS,
    HART_EVENT_STORE_WALKS, HART_EVENT_FETCH_WALKS,  HART_EVENT_EXCEPTIONS,
    HART_EVENT_INTERRUPTS,  HART_EVENT_DEVICE,       HART_EVENT_FENCE_I,
    HART_EVENT_SFENCE_VMA,
};

bool rv_hpm_known(uint64_t selector)
{
    for (unsigned i = 0; i < sizeof(selectors) / sizeof(selectors[0]); i++)
        if (selectors[i] == selector)
            return true;
    return false;
}

/* Instructions retired, those of the steps counted included. */
static uint64_t retired(const struct rv_hart *h)
{
    return rv_steps(h) - h->unretired;
}

/*
 * The same before the instruction that runs, if one does: it has been counted as a step. The
 * translator's first step of a chunk has nothing of it left behind it (interp_step).
 */
static uint64_t retired_before(const struct rv_hart *h)
{
    return retired(h) - (h->chunk != 0 || h->left != 0);
}

static bool filtered(const struct rv_hart *h, uint64_t event)
{
    switch (h->priv) {
    case PRIV_M: return event & RV_HPM_MINH;
    case PRIV_S: return event & RV_HPM_SINH;
    default: return event & RV_HPM_UINH;
    }
}

/* An overflow is told once: OF stands until software clears it ("Sscofpmf"). */
static void overflow(struct rv_hart *h, unsigned i)
{
    if (h->hpm.event[i] & RV_HPM_OF)
        return;
    h->hpm.event[i] |= RV_HPM_OF;
    atomic_fetch_or(&h->mip, 1ull << IRQ_COUNTER);
    h->hpm.look = true;
}

static void add(struct rv_hart *h, unsigned i, uint64_t n)
{
    h->hpm.counter[i] += n;
    if (h->hpm.counter[i] < n)
        overflow(h, i);
}

static void sync_at(struct rv_hart *h, uint64_t now)
{
    uint64_t n = now - h->hpm.since;

    h->hpm.since = now;
    for (unsigned i = 0; h->hpm.counting >> i; i++)
        if (h->hpm.counting >> i & 1)
            add(h, i, n);
}

/* Sorts the counters, which are up to date, by what their settings say now. */
static void sort(struct rv_hart *h)
{
    struct rv_hpm *hpm = &h->hpm;

    hpm->retiring = hpm->counting = hpm->occurring = 0;
    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++) {
        uint64_t selector = hpm->event[i] & RV_HPM_SELECTOR;
        uint32_t bit = 1u << i;

        if (selector == 0 || (h->mcountinhibit >> (RV_HPM_FIRST + i) & 1))
            continue;
        if (selector == HART_EVENT_CYCLES || selector == HART_EVENT_INSTRUCTIONS) {
            hpm->retiring |= bit;
            hpm->counting |= filtered(h, hpm->event[i]) ? 0 : bit;
        } else {
            hpm->occurring |= bit;
        }
    }
    if (rv_hpm_distance(h) < RV_HPM_NEAR)
        hpm->look = true;
}

void rv_hpm_reset(struct rv_hart *h)
{
    h->hpm = (struct rv_hpm){.since = retired(h)};
}

void rv_hpm_changed(struct rv_hart *h)
{
    sync_at(h, retired(h));
    sort(h);
}

void rv_hpm_resort(struct rv_hart *h)
{
    sort(h);
}

void rv_hpm_sync(struct rv_hart *h)
{
    sync_at(h, retired(h));
}

uint64_t rv_hpm_distance(const struct rv_hart *h)
{
    const struct rv_hpm *hpm = &h->hpm;
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; hpm->counting >> i; i++) {
        uint64_t rest = -hpm->counter[i];

        if ((hpm->counting >> i & 1) && rest && !(hpm->event[i] & RV_HPM_OF) && rest < least)
            least = rest;
    }
    return least;
}

void rv_hpm_occurred(struct rv_hart *h, uint64_t selector)
{
    for (unsigned i = 0; h->hpm.occurring >> i; i++) {
        uint64_t event = h->hpm.event[i];

        if ((h->hpm.occurring >> i & 1) && (event & RV_HPM_SELECTOR) == selector &&
            !filtered(h, event))
            add(h, i, 1);
    }
}

/* --- CSRs --- */

static bool there(unsigned counter)
{
    return counter >= RV_HPM_FIRST && counter <= RV_HPM_LAST;
}

uint64_t rv_hpm_read(const struct rv_hart *h, unsigned counter)
{
    unsigned i = counter - RV_HPM_FIRST;

    if (!there(counter))
        return 0;
    return h->hpm.counter[i] +
           (h->hpm.counting >> i & 1 ? retired_before(h) - h->hpm.since : 0);
}

/* The writing instruction is counted by the others, and not by the one that it writes. */
void rv_hpm_write(struct rv_hart *h, unsigned counter, uint64_t value)
{
    unsigned i = counter - RV_HPM_FIRST;

    if (!there(counter))
        return;
    h->hpm.counting &= ~(1u << i);
    sync_at(h, retired(h));
    h->hpm.counter[i] = value;
    sort(h);
}

uint64_t rv_hpm_event(const struct rv_hart *h, unsigned counter)
{
    return there(counter) ? h->hpm.event[counter - RV_HPM_FIRST] : 0;
}

/* WARL: a selector of nothing is none; there are no virtual machines to filter (VSINH, VUINH).
 */
static uint64_t event_legal(uint64_t value)
{
    uint64_t selector = value & RV_HPM_SELECTOR;

    return (value & (RV_HPM_OF | FILTERS)) | (rv_hpm_known(selector) ? selector : 0);
}

void rv_hpm_event_write(struct rv_hart *h, unsigned counter, uint64_t value)
{
    if (!there(counter))
        return;
    sync_at(h, retired_before(h));
    h->hpm.event[counter - RV_HPM_FIRST] = event_legal(value);
    sort(h);
}

void rv_hpm_inhibit(struct rv_hart *h, uint64_t mcountinhibit)
{
    sync_at(h, retired_before(h));
    h->mcountinhibit = (h->mcountinhibit & ~RV_HPM_MASK) | (mcountinhibit & RV_HPM_MASK);
    sort(h);
}

uint64_t rv_hpm_overflows(const struct rv_hart *h)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++)
        if (h->hpm.event[i] & RV_HPM_OF)
            set |= 1ull << (RV_HPM_FIRST + i);
    return set;
}

/* --- firmware's side --- */

void rv_hpm_set(struct rv_hart *h, unsigned counter, uint64_t value, bool counts)
{
    unsigned i = counter - RV_HPM_FIRST;
    uint64_t bit = 1ull << counter;

    if (!there(counter))
        return;
    sync_at(h, retired_before(h));
    h->hpm.counter[i] = value;
    h->mcountinhibit = (h->mcountinhibit & ~bit) | (counts ? 0 : bit);
    if (counts && !(atomic_load(&h->mip) >> IRQ_COUNTER & 1))
        h->hpm.event[i] &= ~RV_HPM_OF;
    sort(h);
}

void rv_hpm_select(struct rv_hart *h, unsigned counter, uint64_t selector, unsigned filters)
{
    rv_hpm_event_write(h, counter,
                       (selector & RV_HPM_SELECTOR) |
                           (filters & HART_EVENT_NOT_M ? RV_HPM_MINH : 0) |
                           (filters & HART_EVENT_NOT_S ? RV_HPM_SINH : 0) |
                           (filters & HART_EVENT_NOT_U ? RV_HPM_UINH : 0));
}

/* --- state --- */

void rv_hpm_state_get(const struct rv_hart *h, struct hart_state *s)
{
    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++) {
        s->hpmcounter[i] = rv_hpm_read(h, RV_HPM_FIRST + i);
        s->hpmevent[i] = h->hpm.event[i];
    }
}

void rv_hpm_state_set(struct rv_hart *h, const struct hart_state *s)
{
    h->hpm.since = retired(h);
    memcpy(h->hpm.counter, s->hpmcounter, sizeof(h->hpm.counter));
    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++)
        h->hpm.event[i] = event_legal(s->hpmevent[i]);
    sort(h);
}
