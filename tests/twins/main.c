/* main.c: a deterministic guest on interpreter and translator, compared all the way. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: twins [--every STEPS] [--most STEPS] [--harts N] [--memory MIB] [--initrd FILE]
 *              [--append TEXT] [--expect TEXT] [--stress NAME] KERNEL
 *
 * Boots the kernel on two machines in deterministic mode. Both are stopped after every STEPS
 * (10^6) steps of all harts together; each hart's registers, CSRs and counts have to be equal
 * there, and all of memory every 10^6 steps. A difference is narrowed down: the machines are
 * made anew, run to the last stop where they were equal, and from there with ever shorter
 * stops, until the step is known. At the end (of the guest, or of --most steps) the digests of
 * the saved machines, devices included, have to be equal, and what the guest printed, and
 * --expect's text in it.
 *
 * --stress is one of: hot (translate what is entered once), single (one instruction a block),
 * small (a cache of two small segments), empty (the TLB emptied at each stop). Stops are
 * budgets, so that --every 1 is a whole run step by step.
 *
 * Prints a line for each tenth of a billion steps, "stops N", and "N passed, N failed".
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/host.h"
#include "vmm/snapshot.h"
#include "vmm/vm.h"

#define TELL_STEPS   100000000u
#define MEMORY_STEPS 1000000u /* steps from one comparison of memory to the next, at least */

struct twin {
    struct vm_config config;
    struct vm vm;
    FILE *printed;
};

struct options {
    uint64_t every, most, memory;
    unsigned harts;
    const char *kernel, *initrd, *append, *expect, *stress;
};

static bool stressed(const struct options *o, const char *name)
{
    return o->stress && !strcmp(o->stress, name);
}

/* What the translator does without. */
static void stress_apply(const struct options *o, struct vm *vm)
{
    for (unsigned i = 0; i < vm->nharts; i++) {
        struct dbt *d = ((struct interp *)vm->hart[i].engine_state)->translator;

        if (stressed(o, "hot") || stressed(o, "single"))
            d->heat = 0;
        if (stressed(o, "single"))
            d->block_steps = 1;
        if (stressed(o, "small")) {
            d->cache.segment_size = 1u << 16;
            d->cache.nsegments = 2;
        }
    }
}

static int twin_create(struct twin *t, const struct options *o, const struct engine *engine)
{
    struct error err = {0};

    t->printed = tmpfile();
    if (!t->printed) {
        perror("twins");
        return -1;
    }
    t->config = (struct vm_config){.host = host_real(),
                                   .engine = engine,
                                   .start = START_KERNEL,
                                   .image = o->kernel,
                                   .initrd = o->initrd,
                                   .append = o->append,
                                   .mem_size = o->memory << 20,
                                   .nharts = o->harts,
                                   .max_steps = 0,
                                   .deterministic = true,
                                   .seed = 1,
                                   .console = CONSOLE_AUTO,
                                   .in_fd = -1,
                                   .out_fd = fileno(t->printed)};
    if (vm_create(&t->vm, &t->config, &err) != 0) {
        fprintf(stderr, "twins: %s\n", err.text);
        return -1;
    }
    if (engine == &engine_dbt)
        stress_apply(o, &t->vm);
    return 0;
}

static void twin_destroy(struct twin *t)
{
    vm_destroy(&t->vm);
    fclose(t->printed);
}

/* On to a count of steps of all harts together. False: the guest has ended before. */
static bool twin_run(struct twin *t, uint64_t steps)
{
    struct vm *vm = &t->vm;

    t->config.max_steps = steps;
    vm->stop = (struct vm_stop){.cause = CAUSE_NONE, .hart = -1};
    atomic_store(&vm->stopping, false);
    for (unsigned i = 0; i < vm->nharts; i++)
        atomic_fetch_and(&vm->hart[i].requests, ~HART_REQ_STOP);
    deterministic_run(vm);
    return vm->stop.cause == CAUSE_BUDGET;
}

static uint64_t twin_steps(const struct twin *t)
{
    uint64_t steps = 0;

    for (unsigned i = 0; i < t->vm.nharts; i++)
        steps += t->vm.hart[i].steps;
    return steps;
}

/* --- comparing --- */

static bool hart_same(struct twin *a, struct twin *b, unsigned hart, bool tell)
{
    static struct hart_state one, two;
    const uint64_t *left = (const uint64_t *)&one, *right = (const uint64_t *)&two;

    a->vm.engine->state_get(&a->vm.hart[hart], &one);
    b->vm.engine->state_get(&b->vm.hart[hart], &two);
    if (memcmp(&one, &two, sizeof(one)) == 0)
        return true;
    if (tell)
        printf("    hart %u: pc %#lx, %#lx\n", hart, one.pc, two.pc);
    for (size_t i = 0; tell && i < sizeof(one) / 8; i++)
        if (left[i] != right[i])
            printf("    state word %zu%s: %#lx, %#lx\n", i,
                   i >= 2 && i < 34 ? " (x register + 2)" : "", left[i], right[i]);
    return false;
}

static bool memory_same(struct twin *a, struct twin *b, bool tell)
{
    const struct mem *mem = &a->vm.mem;

    for (unsigned i = 0; i < mem->nslots; i++) {
        const uint8_t *left = mem->slot[i].host, *right = b->vm.mem.slot[i].host;

        if (memcmp(left, right, mem->slot[i].size) == 0)
            continue;
        for (uint64_t at = 0; tell && at < mem->slot[i].size; at++)
            if (left[at] != right[at]) {
                printf("    memory at %#lx: %#x, %#x\n", mem->slot[i].gpa + at, left[at],
                       right[at]);
                break;
            }
        return false;
    }
    return true;
}

/* whole: memory too. */
static bool twins_same(struct twin *a, struct twin *b, bool whole, bool tell)
{
    bool good = twin_steps(a) == twin_steps(b) && a->vm.stop.cause == b->vm.stop.cause;

    for (unsigned i = 0; i < a->vm.nharts && (good || tell); i++)
        good &= hart_same(a, b, i, tell);
    if (whole && (good || tell))
        good &= memory_same(a, b, tell);
    return good;
}

static bool digests_same(struct twin *a, struct twin *b)
{
    uint8_t one[SNAPSHOT_HASH_SIZE], two[SNAPSHOT_HASH_SIZE];

    if (snapshot_hash(&a->vm, one) == 0 && snapshot_hash(&b->vm, two) == 0 &&
        memcmp(one, two, sizeof(one)) == 0)
        return true;
    printf("FAIL the saved machines differ\n");
    return false;
}

/* What a twin printed, as a string to be freed. */
static char *printed_by(struct twin *t)
{
    long size;
    char *text;

    fseek(t->printed, 0, SEEK_END);
    size = ftell(t->printed);
    rewind(t->printed);
    text = calloc(1, (size_t)size + 1);
    if (text && fread(text, 1, (size_t)size, t->printed) != (size_t)size)
        text[0] = '\0';
    return text;
}

static bool printed_same(struct twin *a, struct twin *b, const char *expect)
{
    char *one = printed_by(a), *two = printed_by(b);
    bool same = one && two && !strcmp(one, two);
    bool there = same && (!expect || strstr(one, expect));

    if (!same)
        printf("FAIL the guests printed different things\n");
    else if (!there)
        printf("FAIL the guests did not print '%s'\n", expect);
    free(one);
    free(two);
    return there;
}

/* --- running --- */

struct progress {
    uint64_t good, bad; /* steps: equal there; different there, or 0 */
    uint64_t stops;
};

/* One stop after the other from `from` on, until they differ, the guest ends, or at `most`. */
static bool run_stops(const struct options *o, struct twin *a, struct twin *b, uint64_t from,
                      uint64_t every, uint64_t most, struct progress *p)
{
    uint64_t whole_at = from;
    bool on = true, whole;

    p->good = 0;
    for (uint64_t at = from; on && at < most;) {
        at = at + every < most ? at + every : most;
        on = twin_run(a, at);
        whole = !on || at == most || at >= whole_at;
        whole_at = whole ? at + MEMORY_STEPS : whole_at;
        if (twin_run(b, at) != on || !twins_same(a, b, whole, false)) {
            p->bad = at;
            return false;
        }
        p->good = at;
        p->stops++;
        if (stressed(o, "empty"))
            for (unsigned i = 0; i < b->vm.nharts; i++)
                rv_tlb_flush(&((struct interp *)b->vm.hart[i].engine_state)->hart);
        if (at / TELL_STEPS != (at - every) / TELL_STEPS) {
            printf("%lu steps\n", twin_steps(a));
            fflush(stdout);
        }
    }
    return true;
}

/* Which step between p->good and p->bad does it, with stops a hundred times closer each time.
 */
static void narrow(const struct options *o, struct progress *p)
{
    uint64_t every = (p->bad - p->good) / 100;

    for (;;) {
        static struct twin a, b;
        uint64_t from = p->good;

        every = every ? every : 1;
        if (twin_create(&a, o, &engine_interp) != 0 || twin_create(&b, o, &engine_dbt) != 0)
            return;
        if (from) {
            twin_run(&a, from);
            twin_run(&b, from);
        }
        if (run_stops(o, &a, &b, from, every, p->bad, p)) {
            printf("    equal up to step %lu, when it is stopped every %lu steps\n", p->bad,
                   every);
            every = 1;
        } else {
            p->good = p->good ? p->good : from;
        }
        if (every == 1) {
            printf("    after step %lu, not after step %lu:\n", p->good, p->bad);
            twins_same(&a, &b, true, true);
        }
        twin_destroy(&a);
        twin_destroy(&b);
        if (every == 1)
            return;
        every /= 100;
    }
}

static bool compare(const struct options *o)
{
    static struct twin a, b;
    struct progress p = {0};
    bool good;

    if (twin_create(&a, o, &engine_interp) != 0 || twin_create(&b, o, &engine_dbt) != 0)
        return false;
    good = run_stops(o, &a, &b, 0, o->every, o->most, &p);
    if (!good)
        printf("FAIL they differ between %lu and %lu steps\n", p.good, p.bad);
    good = good && digests_same(&a, &b) && printed_same(&a, &b, o->expect);
    printf("steps %lu, stops %lu, end %s\n", twin_steps(&a), p.stops,
           stop_cause_name(a.vm.stop.cause));
    twin_destroy(&a);
    twin_destroy(&b);
    if (p.bad)
        narrow(o, &p);
    return good;
}

static int usage(void)
{
    fputs("usage: twins [--every STEPS] [--most STEPS] [--harts N] [--memory MIB] "
          "[--initrd FILE] [--append TEXT] [--expect TEXT] [--stress hot|single|small|empty] "
          "KERNEL\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"every",  required_argument, NULL, 'e'},
        {"most",   required_argument, NULL, 'm'},
        {"harts",  required_argument, NULL, 'c'},
        {"memory", required_argument, NULL, 'r'},
        {"initrd", required_argument, NULL, 'i'},
        {"append", required_argument, NULL, 'a'},
        {"expect", required_argument, NULL, 'x'},
        {"stress", required_argument, NULL, 's'},
        {NULL,     0,                 NULL, 0  },
    };
    struct options o = {.every = 1000000, .most = UINT64_MAX, .memory = 256, .harts = 1};
    bool good;
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'e': o.every = strtoull(optarg, NULL, 0); break;
        case 'm': o.most = strtoull(optarg, NULL, 0); break;
        case 'c': o.harts = (unsigned)strtoul(optarg, NULL, 0); break;
        case 'r': o.memory = strtoull(optarg, NULL, 0); break;
        case 'i': o.initrd = optarg; break;
        case 'a': o.append = optarg; break;
        case 'x': o.expect = optarg; break;
        case 's': o.stress = optarg; break;
        default: return usage();
        }
    }
    if (optind + 1 != argc || o.every == 0 || o.harts == 0)
        return usage();
    o.kernel = argv[optind];
    good = compare(&o);
    printf("%d passed, %d failed\n", good, !good);
    return good ? 0 : 1;
}
