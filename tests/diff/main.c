/* main.c: random programs, run by both engines, with and without shortcuts, must end the same.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: diff [PROGRAMS [SEED]]
 *
 * Each program is a page or two of random instructions in M-mode, traps included, whose handler
 * goes on behind the instruction. It runs for the same number of steps (a) as usual; (b) with
 * every op checked (the exact table); (c) one step a run; (d) with the TLB emptied between
 * short runs; and translated at once where it can be, (e) as usual, (f) with the TLB emptied
 * between runs, (g) into a cache of two small segments, (h) what is hot only, (i) without
 * shortcuts. Registers, CSRs, memory and counts must be equal. The last lines are a digest of
 * all final states, the same for every compiler and build, and "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/diff/program.h"
#ifdef TOLLGATE_DBT
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#endif
#include "vmm/engine/interp/engine.h"
#include "vmm/engine/interp/interp.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define MEMORY (1u << 18)
#define STEPS  6000u

struct run {
    struct hart_state state;
    uint64_t memory;
};

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static void run_steps(struct vm *vm, uint64_t limit)
{
    struct interp *in = vm->hart[0].engine_state;

    vm->stop.cause = CAUSE_NONE;
    atomic_store(&vm->stopping, false);
    atomic_store(&vm->hart[0].requests, 0);
    in->hart.step_limit = limit;
    vm->engine->run(&vm->hart[0]);
}

/* How the programs run, which must not show. */
struct way {
    const char *name;
    const struct engine *engine;
    uint64_t stride;   /* steps a run */
    bool exact, drop;  /* the interpreter's exact table; the TLB emptied before each run */
    bool cold, narrow; /* only what is hot is translated; the code cache is small */
    bool plain;        /* the translator's shortcuts are left out */
};

static const struct way ways[] = {
    {"usual",                    &engine_interp, STEPS, .exact = false},
    {"exact",                    &engine_interp, STEPS, .exact = true },
    {"single step",              &engine_interp, 1,     .exact = false},
    {"empty TLB",                &engine_interp, 37,    .drop = true  },
#ifdef TOLLGATE_DBT
    {"translated",               &engine_dbt,    STEPS, .exact = false},
    {"translated, empty TLB",    &engine_dbt,    211,   .drop = true  },
    {"translated, small cache",  &engine_dbt,    STEPS, .narrow = true},
    {"translated when hot",      &engine_dbt,    STEPS, .cold = true  },
    {"translated, no shortcuts", &engine_dbt,    STEPS, .plain = true },
#endif
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Takes away what the way does without. */
static void way_prepare(const struct way *way, struct interp *in)
{
    in->exact = way->exact;
#ifdef TOLLGATE_DBT
    struct dbt *d = in->translator;

    if (!d)
        return;
    if (!way->cold)
        d->heat = 0;
    if (way->plain)
        d->without = UINT32_MAX;
    if (way->narrow) {
        d->cache.segment_size = 20000;
        d->cache.nsegments = 2;
    }
#endif
}

/*
 * Counters that overflow somewhere in the run, most of them with an interrupt. Walks are left
 * out: how many there are is up to the TLB, and one way empties it.
 */
static void make_counters(struct hart_state *state)
{
    static const uint64_t events[] = {HART_EVENT_CYCLES,     HART_EVENT_INSTRUCTIONS,
                                      HART_EVENT_EXCEPTIONS, HART_EVENT_INTERRUPTS,
                                      HART_EVENT_FENCE_I,    HART_EVENT_SFENCE_VMA,
                                      HART_EVENT_DEVICE,     HART_EVENT_INSTRUCTIONS};

    for (unsigned i = 0; i < HART_HPM_COUNTERS; i++) {
        bool steps = events[i] <= HART_EVENT_INSTRUCTIONS;

        state->hpmevent[i] = events[i] | (random_next() & (RV_HPM_UINH | RV_HPM_SINH)) |
                             (random_below(4) == 0 ? RV_HPM_MINH : 0);
        state->hpmcounter[i] = -(uint64_t)(1 + random_below(steps ? STEPS : 20));
    }
    state->mie = 1u << IRQ_COUNTER;
    state->mstatus |= RV_MIE;
}

static int run_way(struct vm_config *config, const uint32_t *code, uint64_t seed,
                   const struct way *way, struct run *out)
{
    struct error err = {0};
    struct vm vm;
    struct hart_state state;
    struct interp *in;

    config->engine = way->engine;
    if (vm_create(&vm, config, &err) != 0) {
        fprintf(stderr, "diff: %s\n", err.text);
        return -1;
    }
    mem_zero(&vm.mem, vm.dtb_gpa, vm.dtb_size); /* it has random seeds */
    mem_write(&vm.mem, PLAT_DRAM_BASE, code, PROGRAM_WORDS * 4);
    mem_write(&vm.mem, PROGRAM_HANDLER, program_handler, sizeof(program_handler));
    random_seed(seed);
    for (gpa_t at = PROGRAM_DATA - 2048; at < PROGRAM_DATA + 2048; at += 8) {
        uint64_t value = random_below(2) ? random_next() : random_float();

        mem_write(&vm.mem, at, &value, 8);
    }
    vm.engine->state_get(&vm.hart[0], &state);
    for (unsigned i = 1; i < 32; i++) {
        state.x[i] = random_below(3) == 0 ? random_below(64) : random_next();
        state.f[i] = random_float();
    }
    state.x[PROGRAM_BASE_REG] = PROGRAM_DATA;
    state.x[PROGRAM_CODE_REG] = PLAT_DRAM_BASE;
    state.pc = PLAT_DRAM_BASE;
    state.mtvec = PROGRAM_HANDLER;
    state.mstatus |= 3ull << 13;
    state.fcsr = random_below(5) << 5;
    make_counters(&state);
    vm.engine->state_set(&vm.hart[0], &state);
    in = vm.hart[0].engine_state;
    way_prepare(way, in);
    for (uint64_t at = way->stride; at <= STEPS; at += way->stride) {
        if (way->drop)
            rv_tlb_flush(&in->hart);
        run_steps(&vm, at);
    }
    run_steps(&vm, STEPS);
    vm.engine->state_get(&vm.hart[0], &out->state);
    out->memory =
        hash_bytes(0xcbf29ce484222325u, mem_ptr(&vm.mem, PLAT_DRAM_BASE, MEMORY), MEMORY);
    vm_destroy(&vm);
    return 0;
}

static bool same(const struct run *a, const struct run *b)
{
    return memcmp(&a->state, &b->state, sizeof(a->state)) == 0 && a->memory == b->memory;
}

static void explain(const struct run *a, const struct run *b)
{
    if (a->state.pc != b->state.pc)
        printf("    pc %#llx, %#llx\n", (unsigned long long)a->state.pc,
               (unsigned long long)b->state.pc);
    for (unsigned i = 0; i < 32; i++)
        if (a->state.x[i] != b->state.x[i] || a->state.f[i] != b->state.f[i])
            printf("    register %u: x %#llx, %#llx  f %#llx, %#llx\n", i,
                   (unsigned long long)a->state.x[i], (unsigned long long)b->state.x[i],
                   (unsigned long long)a->state.f[i], (unsigned long long)b->state.f[i]);
    printf("    steps %llu, %llu  instret %llu, %llu  memory %s\n",
           (unsigned long long)a->state.steps, (unsigned long long)b->state.steps,
           (unsigned long long)a->state.instret, (unsigned long long)b->state.instret,
           a->memory == b->memory ? "equal" : "differs");
}

/* One program, every way. */
static bool run_program(struct vm_config *config, uint64_t seed, uint64_t *digest)
{
    static uint32_t code[PROGRAM_WORDS];
    struct run run[WAYS];
    bool good = true;

    random_seed(seed);
    program_make(code, false);
    for (unsigned way = 0; way < WAYS; way++)
        if (run_way(config, code, seed, &ways[way], &run[way]) != 0)
            return false;
    for (unsigned way = 1; way < WAYS; way++) {
        if (same(&run[0], &run[way]))
            continue;
        printf("FAIL seed %llu: %s\n", (unsigned long long)seed, ways[way].name);
        explain(&run[0], &run[way]);
        good = false;
    }
    *digest = hash_bytes(*digest, &run[0], sizeof(run[0]));
    return good;
}

int main(int argc, char **argv)
{
    unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    char path[] = "/tmp/tollgate-diff-XXXXXX";
    struct vm_config config = {.host = host_real(),
                               .engine = &engine_interp,
                               .start = START_FIRMWARE,
                               .image = path,
                               .raw = true,
                               .mem_size = MEMORY,
                               .nharts = 1,
                               .max_steps = STEPS,
                               .console = CONSOLE_NONE,
                               .in_fd = -1,
                               .out_fd = -1};
    uint64_t digest = 0xcbf29ce484222325u;
    unsigned passed = 0, failed = 0;
    int fd = mkstemp(path);

    /* The image only has to exist: programs are written into memory. */
    if (fd < 0 ||
        write(fd, program_handler, sizeof(program_handler)) != sizeof(program_handler)) {
        perror("diff");
        return 1;
    }
    close(fd);
    for (unsigned i = 0; i < programs; i++) {
        if (run_program(&config, (seed + i) * 0x9e3779b97f4a7c15u, &digest))
            passed++;
        else
            failed++;
    }
    unlink(path);
    printf("digest %016llx\n", (unsigned long long)digest);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
