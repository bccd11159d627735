/* fuzz_dbt.c: hostile guests on the translator: any code, any page tables, between guard pages.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An input is a struct input: what the guest is like, and its code. It runs on the interpreter
 * and on the translator, which translates what is executed once; all state must end equal. The
 * sanitizers do not see what translated code does. So the memory of both guests lies between
 * gigabytes that nobody may touch, as far as 32 bits of an address reach; and after each run
 * all that generated code takes host addresses from is checked: the translations in the TLB
 * lead into the guest's memory, the pages of the fetch table are the machine's own, the code of
 * their instructions lies in the cache, and the stubs there are unchanged.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "tests/fuzz/seed.h"
#include "tests/hunt/scene.h"
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#include "vmm/engine/interp/engine.h"

#define GUARD     (UINT64_C(4) << 30)
#define EPISODES  3u
#define STEPS_MAX 2048u
#define PTES      12u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct input {
    uint64_t seed;      /* registers, modes, data, rights of pages */
    uint16_t pte[PTES]; /* bits of a page's entry that are turned; the highest two: which */
    uint8_t shape;      /* 0: kernel; 1: shift; 2, 3: levels */
    uint8_t way;        /* 0, 1: how long blocks are; 2: a small cache; 3: heat */
    uint8_t steps, unused;
    uint32_t code[];
};

struct side {
    struct vm_config config;
    struct vm vm;
    struct interp *in;
    uint64_t stubs; /* their hash */
    bool ended;
};

static struct side sides[2][2]; /* firmware and kernel; interpreter and translator */
static struct hart_state reset[2];

static uint64_t hash(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;

    while (n-- > 0)
        h = (h ^ *p++) * 0x100000001b3u;
    return h;
}

/* --- machines --- */

/* Moves the guest's memory into the middle of what nobody may touch. */
static void guard(struct mem *mem)
{
    uint64_t size = mem->slot[0].size;
    uint8_t *room = mmap(NULL, size + 2 * GUARD, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (room == MAP_FAILED || mem->nslots != 1)
        abort();
    if (mremap(mem->slot[0].host, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, room + GUARD) ==
        MAP_FAILED)
        abort();
    for (unsigned i = 0; i < mem->nbacking; i++)
        if (mem->backing[i] == mem->slot[0].host)
            mem->backing[i] = room + GUARD;
    mem->slot[0].host = room + GUARD;
}

static void side_create(struct side *s, const struct engine *engine, bool kernel)
{
    struct error err = {0};

    if (scene_machine(&s->vm, &s->config, engine, kernel, &err) != 0)
        abort();
    s->in = s->vm.hart[0].engine_state;
    guard(&s->vm.mem);
    if (s->in->translator) {
        const struct dbt *d = s->in->translator;

        s->stubs = hash(d->cache.write, d->cache.fixed);
    }
}

static void sides_create(void)
{
    for (unsigned kernel = 0; kernel < 2; kernel++) {
        side_create(&sides[kernel][0], &engine_interp, kernel);
        side_create(&sides[kernel][1], &engine_dbt, kernel);
        sides[kernel][0].vm.engine->state_get(&sides[kernel][0].vm.hart[0], &reset[kernel]);
    }
}

/* --- what generated code relies on --- */

static void check_entry(const struct mem *mem, const struct rv_tlb_entry *e)
{
    uintptr_t host = (uintptr_t)e->tag + e->addend;
    uintptr_t first = (uintptr_t)mem->slot[0].host;

    if (e->tag == RV_TLB_EMPTY)
        return;
    if (e->tag % MEM_PAGE_SIZE != 0 || host < first ||
        host - first > mem->slot[0].size - MEM_PAGE_SIZE)
        abort();
}

/* One of the hart's pages, with the stamp that it has now. */
static bool page_known(const struct interp *in, const struct rv_fetch_entry *e)
{
    for (unsigned i = 0; i < CODE_SLOTS; i++)
        if (in->code[i].key && in->code[i].page == e->page)
            return in->code[i].stamp == e->stamp;
    return false;
}

/* A table that was never used may hold anything where no bit says that it was filled. */
static bool filled(const struct rv_filled *set, unsigned i)
{
    return set->place[i / 64] >> (i % 64) & 1;
}

static void check_fetch(const struct interp *in, const struct rv_fetch *fetch)
{
    const struct dbt *d = in->translator;

    for (unsigned i = 0; i < RV_TLB_ENTRIES; i++) {
        const struct rv_fetch_entry *e = &fetch->entry[i];

        if (!filled(&fetch->filled, i) || e->tag == RV_TLB_EMPTY)
            continue;
        if (e->tag % MEM_PAGE_SIZE != 0 || !page_known(in, e))
            abort();
        for (unsigned slot = 0; d && slot < PAGE_SLOTS; slot++)
            if (e->page->entry[slot] >= d->cache.size ||
                (e->page->entry[slot] && e->page->entry[slot] < d->cache.fixed))
                abort();
    }
}

static void check_tlb(const struct mem *mem, const struct rv_tlb *tlb)
{
    for (unsigned i = 0; i < RV_TLB_ENTRIES; i++)
        if (filled(&tlb->filled, i)) {
            check_entry(mem, &tlb->load[i]);
            check_entry(mem, &tlb->store[i]);
        }
}

static void check_machine(const struct side *s)
{
    const struct rv_hart *h = &s->in->hart;
    const struct dbt *d = s->in->translator;

    check_tlb(&s->vm.mem, &h->tlb_m);
    check_fetch(s->in, &h->fetch_m);
    for (unsigned i = 0; i < RV_SPACES; i++) {
        if (!h->spaces[i].filled)
            continue;
        for (unsigned ctx = 0; ctx < RV_SPACE_TLBS; ctx++)
            check_tlb(&s->vm.mem, &h->spaces[i].tlb[ctx]);
        for (unsigned f = 0; f < RV_SPACE_FETCHES; f++)
            check_fetch(s->in, &h->spaces[i].fetch[f]);
    }
    if (d && hash(d->cache.write, d->cache.fixed) != s->stubs)
        abort();
}

/* --- running --- */

static void translator_prepare(const struct side *s, uint8_t way)
{
    static const unsigned steps[] = {BLOCK_STEPS_MAX, BLOCK_STEPS_MAX, 1, 5};
    struct dbt *d = s->in->translator;

    if (!d)
        return;
    d->block_steps = steps[way & 3];
    d->heat = way & 8 ? 1 : 0;
    dbt_forget(d);
    d->cache.segment_size = way & 4 ? 16384 : 1u << 20;
    d->cache.nsegments = way & 4 ? 2 : 4;
}

static void side_begin(struct side *s, const struct scene *scene, const struct input *in)
{
    uint64_t *leaf;

    s->ended = false;
    s->vm.det->now_ns = s->vm.det->turn_steps = 0;
    s->in->refresh_steps = UINT64_MAX;
    code_drop(&s->in->hart);
    translator_prepare(s, in->way);
    scene_install(scene, &s->vm);
    /* The tables of the last level stand behind the others'. */
    for (unsigned i = 0; i < PTES; i++) {
        uint64_t table = SCENE_TABLES + (uint64_t)(in->pte[i] >> 14) * MEM_PAGE_SIZE +
                         (scene->levels - 1) * MEM_PAGE_SIZE;

        leaf = (uint64_t *)(void *)mem_ptr(&s->vm.mem, PLAT_DRAM_BASE + table, MEM_PAGE_SIZE);
        leaf[i < 8 ? 0x1d + i : i - 8] ^= (uint64_t)(in->pte[i] & 0x3fff);
    }
    s->vm.engine->state_set(&s->vm.hart[0], &reset[scene->kernel]);
}

static void check_same(const struct side *a, const struct side *b)
{
    struct hart_state one, two;

    a->vm.engine->state_get(&a->vm.hart[0], &one);
    b->vm.engine->state_get(&b->vm.hart[0], &two);
    if (a->ended != b->ended || memcmp(&one, &two, sizeof(one)) != 0 ||
        memcmp(a->vm.mem.slot[0].host, b->vm.mem.slot[0].host, SCENE_MEMORY) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scene scene;
    static union {
        struct input in;
        uint8_t bytes[sizeof(struct input) + sizeof(scene.code)];
    } copy;
    uint64_t limit = 0;

    if (size < sizeof(struct input))
        return -1;
    size = size < sizeof(copy.bytes) ? size : sizeof(copy.bytes);
    memset(&copy, 0, sizeof(copy));
    memcpy(copy.bytes, data, size);
    scene = (struct scene){.seed = copy.in.seed | 1,
                           .kernel = copy.in.shape & 1,
                           .shift = copy.in.shape & 2,
                           .levels = 3 + (copy.in.shape >> 2 & 3) % 3};
    memcpy(scene.code, copy.in.code, sizeof(scene.code));
    for (unsigned i = 0; i < 2; i++)
        side_begin(&sides[scene.kernel][i], &scene, &copy.in);
    for (unsigned e = 0; e < EPISODES; e++) {
        limit += 1 + (copy.in.steps + 1u) * STEPS_MAX / 256;
        for (unsigned i = 0; i < 2; i++) {
            struct side *s = &sides[scene.kernel][i];

            scene_episode(&scene, &s->vm, scene.seed + e);
            s->ended |= !s->ended && !scene_run(&s->vm, limit);
            check_machine(s);
        }
        check_same(&sides[scene.kernel][0], &sides[scene.kernel][1]);
    }
    return 0;
}

/* --- seeds --- */

/* A random program and its snippets, as much of it as there is room for. */
static size_t seed_dbt(uint8_t *data, size_t max, uint64_t *state)
{
    static struct scene scene;
    struct input in = {.seed = seed_random(state)};
    size_t words = 1 + seed_random(state) % 400;
    uint64_t chance = seed_random(state);

    if (sizeof(in) + 4 * words > max)
        return 0;
    scene_make(&scene, seed_random(state) | 1, chance & 1, false);
    in.shape = (uint8_t)(chance & 0xf);
    in.way = (uint8_t)(chance >> 8 & 0xf);
    in.steps = (uint8_t)(chance >> 16);
    if (chance >> 24 & 1)
        in.pte[chance >> 32 & 7] = (uint16_t)(chance >> 40);
    memcpy(data, &in, sizeof(in));
    memcpy(data + sizeof(in), scene.code, 4 * words);
    return sizeof(in) + 4 * words;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    sides_create();
    seeds_write(seed_dbt);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_dbt, data, size, max, seed);
}
