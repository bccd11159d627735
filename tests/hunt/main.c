/* main.c: random programs hunt for differences between interpreter and translator. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: hunt [--instructions N] [--seed N] [--programs N] [--way NAME] [--coherent] [--show]
 *
 * Random programs as in tests/diff, with loops, calls, traps into S- and M-mode, page tables
 * and the rest of tests/hunt/snippet.c, run in episodes on two machines: on the interpreter,
 * and on the translator in one of the ways below. Between episodes both are disturbed in the
 * same way: other modes and registers, interrupts, stores by devices, fences. After each
 * episode registers, CSRs, counts and memory have to be equal. A difference is narrowed down to
 * the step after which the machines differ first.
 *
 * Runs until the translator has taken N instructions (10^7), or N programs. Prints how many,
 * and "N passed, N failed" programs. --coherent leaves programs out whose end depends on what a
 * TLB keeps; --show prints each program's seed.
 */
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tests/hunt/scene.h"
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#include "vmm/engine/interp/engine.h"

#define EPISODES      24u
#define EPISODE_STEPS 3000u

/* How the translator runs, which must not show. */
struct way {
    const char *name;
    unsigned heat, block_steps;
    unsigned stride; /* steps a run at most; 0: an episode */
    bool drop;       /* the TLB emptied before each run */
    bool narrow;     /* a code cache of two small segments */
    unsigned evict;  /* code is forgotten before one run in so many */
    bool plain;      /* without shortcuts */
};

static const struct way ways[] = {
    {"usual",       0, BLOCK_STEPS_MAX, 0,   false, false, 0, false},
    {"hot",         8, BLOCK_STEPS_MAX, 0,   false, false, 0, false},
    {"warm",        1, BLOCK_STEPS_MAX, 0,   false, false, 0, false},
    {"short",       0, 7,               0,   false, false, 0, false},
    {"single",      0, 1,               0,   false, false, 0, false},
    {"step",        0, 1,               1,   false, false, 0, false},
    {"strides",     0, BLOCK_STEPS_MAX, 400, false, false, 0, false},
    {"empty TLB",   0, BLOCK_STEPS_MAX, 200, true,  false, 0, false},
    {"small cache", 0, BLOCK_STEPS_MAX, 0,   false, true,  0, false},
    {"evictions",   0, BLOCK_STEPS_MAX, 500, false, false, 3, false},
    {"plain",       0, BLOCK_STEPS_MAX, 0,   false, false, 0, true },
    {"everything",  1, 5,               100, true,  true,  4, true },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* A machine, made once for all programs. */
struct world {
    struct vm_config config;
    struct vm vm;
    struct interp *in;
    bool ended; /* the monitor has ended the program */
    uint64_t segment_size;
    unsigned nsegments;
};

/* Both machines of a kind, and the state before the last run. */
struct pair {
    struct world one, two;
};

static int world_create(struct world *w, const struct engine *engine, bool kernel)
{
    struct error err = {0};

    if (scene_machine(&w->vm, &w->config, engine, kernel, &err) != 0) {
        fprintf(stderr, "hunt: %s\n", err.text);
        return -1;
    }
    w->in = w->vm.hart[0].engine_state;
    w->vm.hart[0].status = HART_STARTED;
    return 0;
}

/* --- the translator's ways --- */

/* One program in four goes without some of the shortcuts, whichever the seed says. */
static void way_begin(const struct way *way, struct world *w, uint64_t seed)
{
    struct dbt *d = w->in->translator;

    code_drop(&w->in->hart);
    if (!d)
        return;
    if (!w->nsegments) {
        w->segment_size = d->cache.segment_size;
        w->nsegments = d->cache.nsegments;
    }
    d->heat = way->heat;
    d->block_steps = way->block_steps;
    d->without = way->plain ? ~0u : seed & 0x300 ? 0 : (unsigned)(seed >> 32);
    dbt_forget(d);
    d->cache.segment_size = way->narrow ? 20000 : w->segment_size;
    d->cache.nsegments = way->narrow ? 2 : w->nsegments;
}

/* Before each run. The next translation finds the segment full. */
static void way_disturb(const struct way *way, struct world *w, uint64_t *chance)
{
    struct dbt *d = w->in->translator;

    *chance = *chance * 6364136223846793005u + 1442695040888963407u;
    if (way->drop)
        rv_tlb_flush(&w->in->hart);
    if (d && way->evict && (*chance >> 33) % way->evict == 0)
        d->cache.used = d->cache.segment_size;
}

/* --- running --- */

static uint64_t steps_of(const struct world *w)
{
    return w->in->hart.steps;
}

static void run_to(struct world *w, uint64_t limit)
{
    w->ended |= !scene_run(&w->vm, limit);
}

/* Up to a count of steps, in the way's strides. */
static void run_way(const struct way *way, struct world *w, uint64_t limit, uint64_t chance)
{
    uint64_t stride = way->stride ? way->stride : EPISODE_STEPS;

    while (!w->ended && steps_of(w) < limit) {
        uint64_t to;

        way_disturb(way, w, &chance);
        to = steps_of(w) + 1 + (chance >> 40) % stride;
        run_to(w, to < limit ? to : limit);
    }
}

static void world_begin(struct world *w, const struct scene *scene,
                        const struct hart_state *reset)
{
    w->ended = false;
    w->vm.det->now_ns = 0;
    w->vm.det->turn_steps = 0;
    w->in->refresh_steps = UINT64_MAX;
    scene_install(scene, &w->vm);
    w->vm.engine->state_set(&w->vm.hart[0], reset);
    w->vm.engine->fence(&w->vm.hart[0], &(struct hart_fence){.kind = FENCE_I});
}

/* --- comparing --- */

static const struct member {
    const char *name;
    size_t offset;
} members[] = {
#define M(name) {#name, offsetof(struct hart_state, name)},
    M(pc) M(fcsr) M(mstatus) M(medeleg) M(mideleg) M(mie) M(mip) M(mcounteren) M(menvcfg)
        M(mscratch) M(mepc) M(mcause) M(mtval) M(mcountinhibit) M(stvec) M(scounteren)
            M(senvcfg) M(sscratch) M(sepc) M(scause) M(stval) M(satp) M(timer) M(steps)
                M(instret) M(reserve_gpa) M(reserve_value) M(instret_base) M(cycle_base)
#undef M
};

static void show_difference(struct pair *p, const struct hart_state *a,
                            const struct hart_state *b)
{
    const uint8_t *left = mem_ptr(&p->one.vm.mem, PLAT_DRAM_BASE, SCENE_MEMORY);
    const uint8_t *right = mem_ptr(&p->two.vm.mem, PLAT_DRAM_BASE, SCENE_MEMORY);

    printf("    priv %u, %u\n", a->priv, b->priv);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        uint64_t x, y;

        memcpy(&x, (const char *)a + members[i].offset, 8);
        memcpy(&y, (const char *)b + members[i].offset, 8);
        if (x != y)
            printf("    %s %#lx, %#lx\n", members[i].name, x, y);
    }
    for (unsigned i = 0; i < 32; i++) {
        if (a->x[i] != b->x[i])
            printf("    x%u %#lx, %#lx\n", i, a->x[i], b->x[i]);
        if (a->f[i] != b->f[i])
            printf("    f%u %#lx, %#lx\n", i, a->f[i], b->f[i]);
    }
    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++)
        if (a->hpmcounter[i] != b->hpmcounter[i])
            printf("    counter %u %#lx, %#lx\n", i + 3, a->hpmcounter[i], b->hpmcounter[i]);
    for (size_t i = 0; i < SCENE_MEMORY; i++)
        if (left[i] != right[i]) {
            printf("    memory at %#zx: %#x, %#x\n", PLAT_DRAM_BASE + i, left[i], right[i]);
            break;
        }
}

/* whole: all of memory, not only what programs are meant to use. */
static bool same(struct pair *p, bool whole)
{
    struct hart_state a, b;
    size_t size = whole ? SCENE_MEMORY : 0x50000;

    p->one.vm.engine->state_get(&p->one.vm.hart[0], &a);
    p->two.vm.engine->state_get(&p->two.vm.hart[0], &b);
    return p->one.ended == p->two.ended && memcmp(&a, &b, sizeof(a)) == 0 &&
           memcmp(mem_ptr(&p->one.vm.mem, PLAT_DRAM_BASE, size),
                  mem_ptr(&p->two.vm.mem, PLAT_DRAM_BASE, size), size) == 0;
}

/*
 * Where a TLB is emptied between runs, a guest that has changed its page tables without a fence
 * may see either side of the change: what differs then is no mistake.
 */
struct tables {
    uint64_t entry[(SCENE_TABLES_END - SCENE_TABLES) / 8];
};

static void tables_note(struct tables *tables, struct vm *vm)
{
    memcpy(tables->entry, mem_ptr(&vm->mem, PLAT_DRAM_BASE + SCENE_TABLES, sizeof(*tables)),
           sizeof(*tables));
}

/* Were they changed, other than by the walks, which set A and D? */
static bool tables_changed(const struct tables *tables, struct vm *vm)
{
    const uint64_t accessed = 0xc0;
    static struct tables now;

    tables_note(&now, vm);
    for (size_t i = 0; i < sizeof(now) / sizeof(now.entry[0]); i++)
        if ((now.entry[i] ^ tables->entry[i]) & ~accessed)
            return true;
    return false;
}

/* --- programs --- */

struct hunt {
    struct pair pair[2]; /* firmware, kernel */
    struct hart_state reset[2];
    uint64_t instructions, most;
    const char *only;
    bool coherent, show;
};

/*
 * Runs a program for at most `cut` steps. False: the machines differ, at the latest after
 * *differ steps.
 */
static bool run_cut(struct hunt *hunt, const struct scene *scene, const struct way *way,
                    uint64_t cut, uint64_t *differ)
{
    struct pair *p = &hunt->pair[scene->kernel];
    uint64_t limit = 0, chance = scene->seed * 2 + 1;
    static struct tables tables;
    bool changed = false; /* the tables, by the guest */

    way_begin(way, &p->two, scene->seed);
    code_drop(&p->one.in->hart);
    world_begin(&p->one, scene, &hunt->reset[scene->kernel]);
    world_begin(&p->two, scene, &hunt->reset[scene->kernel]);
    for (unsigned e = 0; e < EPISODES && limit < cut && !p->one.ended; e++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        limit += 1 + (chance >> 33) % EPISODE_STEPS;
        limit = limit < cut ? limit : cut;
        scene_episode(scene, &p->one.vm, chance);
        scene_episode(scene, &p->two.vm, chance);
        if (way->drop)
            tables_note(&tables, &p->one.vm);
        run_to(&p->one, limit);
        run_way(way, &p->two, limit, chance);
        changed = changed || (way->drop && tables_changed(&tables, &p->one.vm));
        if (!same(p, e + 1 == EPISODES || limit == cut)) {
            if (changed)
                break;
            *differ = limit;
            return false;
        }
    }
    hunt->instructions += steps_of(&p->two);
    return true;
}

/* Between `good` steps, after which all is well, and `bad`, the least that shows it. */
static void narrow(struct hunt *hunt, const struct scene *scene, const struct way *way,
                   uint64_t bad)
{
    struct pair *p = &hunt->pair[scene->kernel];
    struct hart_state a, b;
    uint64_t good = 0, differ;
    uint32_t word = 0;

    while (bad - good > 1) {
        uint64_t middle = good + (bad - good) / 2;

        if (run_cut(hunt, scene, way, middle, &differ))
            good = middle;
        else
            bad = differ;
    }
    run_cut(hunt, scene, way, good, &differ);
    p->one.vm.engine->state_get(&p->one.vm.hart[0], &a);
    (void)p->one.vm.engine->read_virt(&p->one.vm.hart[0], a.pc, &word, 4);
    printf("    step %lu, level %u, pc %#lx, word %08x (as a load sees it)\n", bad, a.priv,
           a.pc, word);
    run_cut(hunt, scene, way, bad, &differ);
    p->one.vm.engine->state_get(&p->one.vm.hart[0], &a);
    p->two.vm.engine->state_get(&p->two.vm.hart[0], &b);
    show_difference(p, &a, &b);
}

static const struct way *way_of(const struct hunt *hunt, uint64_t seed)
{
    for (size_t i = 0; hunt->only && i < WAYS; i++)
        if (!strcmp(ways[i].name, hunt->only))
            return &ways[i];
    return &ways[(seed * 0x9e3779b97f4a7c15u >> 40) % WAYS];
}

static bool run_program(struct hunt *hunt, uint64_t seed)
{
    static struct scene scene;
    const struct way *way = way_of(hunt, seed);
    uint64_t differ;

    /* Where the TLB is emptied, what it keeps may not matter. */
    scene_make(&scene, (seed + 1) * 0x9e3779b97f4a7c15u, seed % 3 == 0,
               hunt->coherent || way->drop);
    if (hunt->show)
        printf("seed %lu, %s\n", seed, way->name), fflush(stdout);
    if (run_cut(hunt, &scene, way, UINT64_MAX, &differ))
        return true;
    printf("FAIL seed %lu, %s%s%s: hunt --programs 1 --seed %lu --way '%s'\n", seed, way->name,
           scene.kernel ? ", kernel" : "", scene.stale ? ", stale" : "", seed, way->name);
    narrow(hunt, &scene, way, differ);
    fflush(stdout);
    return false;
}

/* --- main --- */

static int hunt_create(struct hunt *hunt)
{
    for (unsigned i = 0; i < 2; i++) {
        struct pair *p = &hunt->pair[i];

        if (world_create(&p->one, &engine_interp, i) != 0 ||
            world_create(&p->two, &engine_dbt, i) != 0)
            return -1;
        p->one.vm.engine->state_get(&p->one.vm.hart[0], &hunt->reset[i]);
    }
    return 0;
}

static int usage(void)
{
    fputs("usage: hunt [--instructions N] [--seed N] [--programs N] [--way NAME] [--coherent] "
          "[--show]\nways:",
          stderr);
    for (size_t i = 0; i < WAYS; i++)
        fprintf(stderr, " '%s'", ways[i].name);
    fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"instructions", required_argument, NULL, 'i'},
        {"seed",         required_argument, NULL, 's'},
        {"programs",     required_argument, NULL, 'p'},
        {"way",          required_argument, NULL, 'w'},
        {"coherent",     no_argument,       NULL, 'c'},
        {"show",         no_argument,       NULL, 'v'},
        {NULL,           0,                 NULL, 0  },
    };
    static struct hunt hunt = {.most = 10000000};
    uint64_t seed = 1, programs = UINT64_MAX, passed = 0, failed = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'i': hunt.most = strtoull(optarg, NULL, 0); break;
        case 's': seed = strtoull(optarg, NULL, 0); break;
        case 'p': programs = strtoull(optarg, NULL, 0); break;
        case 'w': hunt.only = optarg; break;
        case 'c': hunt.coherent = true; break;
        case 'v': hunt.show = true; break;
        default: return usage();
        }
    }
    if (optind != argc || hunt_create(&hunt) != 0)
        return optind != argc ? usage() : 1;
    for (; passed + failed < programs && hunt.instructions < hunt.most; seed++) {
        if (run_program(&hunt, seed))
            passed++;
        else
            failed++;
    }
    printf("instructions %lu\nnext seed %lu\n%lu passed, %lu failed\n", hunt.instructions, seed,
           passed, failed);
    return failed ? 1 : 0;
}
