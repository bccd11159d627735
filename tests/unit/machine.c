/* machine.c: a virtual machine on interpreter or translator, run step by step. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef TOLLGATE_DBT
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#endif
#include "vmm/engine/interp/engine.h"

static enum machine_engine in_use = MACHINE_INTERP;

void machine_use(enum machine_engine engine)
{
    in_use = engine;
}

int machine_back(void)
{
    machine_use(MACHINE_INTERP);
    return 0;
}

struct dbt *machine_dbt(const struct machine *m)
{
    return ((struct interp *)m->vm.hart[0].engine_state)->translator;
}

static const struct engine *engine_wanted(void)
{
#ifdef TOLLGATE_DBT
    if (in_use != MACHINE_INTERP)
        return &engine_dbt;
#endif
    return &engine_interp;
}

static void engine_prepare(struct machine *m)
{
#ifdef TOLLGATE_DBT
    for (unsigned i = 0; i < m->vm.nharts; i++) {
        struct dbt *d = ((struct interp *)m->vm.hart[i].engine_state)->translator;

        if (d)
            d->heat = 0;
        if (d && in_use == MACHINE_DBT_SINGLE)
            d->block_steps = 1;
        if (d && in_use == MACHINE_DBT_SMALL) {
            d->cache.segment_size = 16384;
            d->cache.nsegments = 2;
        }
        if (d)
            d->without = in_use == MACHINE_DBT_PLAIN ? WITHOUT_SYSTEM : 0;
    }
#else
    (void)m;
#endif
}

/* An image has to be a file; what stands in it is never run. */
static void image_make(struct machine *m)
{
    static const uint32_t word = AS_SELF;

    m->fd = memfd_create("machine", MFD_CLOEXEC);
    if (m->fd < 0 || write(m->fd, &word, sizeof(word)) != sizeof(word))
        abort();
    snprintf(m->path, sizeof(m->path), "/proc/self/fd/%d", m->fd);
}

static void state_prepare(struct machine *m)
{
    m->vm.engine->state_get(&m->vm.hart[0], &m->s);
    m->s.pc = CODE;
    m->s.mtvec = HANDLER;
    m->s.stvec = S_HANDLER;
    m->s.pmpcfg[0] = 0;
    m->s.pmpcfg[1] = 0x1full << 56; /* entry 15: NAPOT, R, W, X */
    m->s.pmpaddr[0] = 0;
    m->s.pmpaddr[15] = (1ull << 54) - 1;
    machine_set(m);
}

void machine_init(struct machine *m, enum start_kind start, unsigned nharts)
{
    memset(m, 0, sizeof(*m));
    mock_host_init(&m->mock);
    image_make(m);
    m->argv[0] = m->path;
    m->config = (struct vm_config){
        .host = &m->mock.host,
        .engine = engine_wanted(),
        .start = start,
        .image = m->path,
        .raw = true,
        .argv = m->argv,
        .mem_size = MACHINE_RAM,
        .nharts = nharts,
        .max_steps = UINT64_MAX,
        .console = CONSOLE_NONE,
        .in_fd = -1,
        .out_fd = -1,
    };
    if (vm_create(&m->vm, &m->config, &m->err) != 0) {
        fprintf(stderr, "machine: %s\n", m->err.text);
        abort();
    }
    engine_prepare(m);
    m->h = &((struct interp *)m->vm.hart[0].engine_state)->hart;
    state_prepare(m);
}

void machine_destroy(struct machine *m)
{
    vm_destroy(&m->vm);
    close(m->fd);
    mock_host_destroy(&m->mock);
}

void machine_put(struct machine *m, gpa_t gpa, const uint32_t *words, size_t n)
{
    const struct hart_fence fence = {.kind = FENCE_I};

    if (mem_write(&m->vm.mem, gpa, words, n * sizeof(*words)) != 0)
        abort();
    m->vm.engine->fence(&m->vm.hart[0], &fence);
}

uint64_t machine_peek(struct machine *m, gpa_t gpa)
{
    uint64_t value;

    if (mem_read(&m->vm.mem, gpa, &value, sizeof(value)) != 0)
        abort();
    return value;
}

void machine_poke(struct machine *m, gpa_t gpa, uint64_t value)
{
    if (mem_write(&m->vm.mem, gpa, &value, sizeof(value)) != 0)
        abort();
}

void machine_set(struct machine *m)
{
    m->vm.engine->state_set(&m->vm.hart[0], &m->s);
}

/* Budgets end the VM; here they only end a run. */
void machine_run(struct machine *m, uint64_t steps)
{
    struct hart *hart = &m->vm.hart[0];

    m->vm.stop = (struct vm_stop){.cause = CAUSE_NONE, .hart = -1};
    atomic_store(&m->vm.stopping, false);
    atomic_fetch_and(&hart->requests, ~HART_REQ_STOP);
    m->h->step_limit = m->h->steps + steps;
    m->vm.engine->run(hart);
    m->vm.engine->state_get(hart, &m->s);
}

void machine_go(struct machine *m, unsigned priv, uint64_t pc, uint64_t steps)
{
    m->s.priv = priv;
    m->s.pc = pc;
    machine_set(m);
    machine_run(m, steps);
}

bool machine_trapped(const struct machine *m, uint64_t cause, uint64_t tval, uint64_t epc)
{
    const struct hart_state *s = &m->s;
    bool good = s->priv == PRIV_M && s->pc == HANDLER && s->mcause == cause &&
                s->mtval == tval && s->mepc == epc;

    if (!good)
        printf("\n    priv %u pc %#llx mcause %#llx mtval %#llx mepc %#llx\n", s->priv,
               (unsigned long long)s->pc, (unsigned long long)s->mcause,
               (unsigned long long)s->mtval, (unsigned long long)s->mepc);
    return good;
}

/* --- page tables --- */

static gpa_t table_new(struct machine *m)
{
    gpa_t table = m->next_table;

    m->next_table += MEM_PAGE_SIZE;
    if (table >= TABLES_END || mem_zero(&m->vm.mem, table, MEM_PAGE_SIZE) != 0)
        abort();
    return table;
}

uint64_t *machine_pte(struct machine *m, uint64_t va, unsigned level)
{
    gpa_t table = TABLES;
    uint64_t *entries, *pte;

    for (unsigned at = m->levels - 1;; at--) {
        entries = (uint64_t *)(void *)mem_ptr(&m->vm.mem, table, MEM_PAGE_SIZE);
        pte = &entries[va >> (12 + 9 * at) & 0x1ff];
        if (at == level)
            return pte;
        if (*pte == 0)
            *pte = PTE_OF(table_new(m), PTE_V);
        table = *pte >> 10 << 12;
    }
}

void machine_paging(struct machine *m, unsigned levels)
{
    m->levels = levels;
    m->next_table = TABLES;
    table_new(m);
    for (unsigned i = 0; i < 2; i++) {
        gpa_t at = (gpa_t)i * MEM_PAGE_SIZE;

        *machine_pte(m, V_CODE + at, 0) = PTE_OF(CODE + at, PTE_RX);
        *machine_pte(m, V_USER + at, 0) = PTE_OF(CODE + at, PTE_RX | PTE_U);
        *machine_pte(m, V_DATA + at, 0) = PTE_OF(DATA + at, PTE_RW);
    }
    m->s.satp = (uint64_t)(levels + 5) << 60 | TABLES >> 12;
}
