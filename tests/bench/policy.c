/* policy.c: what a policy adds to a call: nothing, one rule, a thousand rules on its arguments.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each figure is the median of ROUNDS interleaved rounds of CALLS calls of call_dispatch() with
 * a handler that does nothing, in ns a call; "extra" is the median of the differences to the
 * round without a policy. The arguments are random, so that no predictor learns them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vmm/policy.h"
#include "vmm/vm.h"

#define EXT    UINT64_C(0x7700)
#define RULES  1000u
#define ROUNDS 201u
#define CALLS  20000u
#define VALUES 4096u

static enum call_disp null_handler(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    (void)c;
    return CALL_RET2;
}

static const struct call_desc calls[] = {
    {.name = "bench.null",    .personality = CALL_SBI, .ext = EXT, .handler = null_handler},
    { .name = "bench.other",
     .personality = CALL_SBI,
     .ext = EXT,
     .fn = 1,
     .handler = null_handler},
};
static const struct module module = {.name = "bench", .calls = calls, .ncalls = 2};

static enum call_route all_exit(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

static const struct engine engine = {.name = "none", .call_route = all_exit};

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* How the 1,000 rules lie, and which arguments the calls have. */
enum shape {
    SHAPE_NONE,
    SHAPE_OTHER,
    SHAPE_ONE,
    SHAPE_EVEN,
    SHAPE_POINTS,
    SHAPE_CROWDED,
    SHAPE_CROWDS,
    SHAPE_DOUBLING,
    SHAPE_TWO,
    SHAPE_MIXED,
    SHAPES
};

static const char *const shape_names[SHAPES] = {
    [SHAPE_NONE] = "no policy",
    [SHAPE_OTHER] = "1,000 rules on another call",
    [SHAPE_ONE] = "1 rule",
    [SHAPE_EVEN] = "1,000 ranges of 16 values, 64 apart",
    [SHAPE_POINTS] = "1,000 single values all over 64 bits",
    [SHAPE_CROWDED] = "1,000 ranges in three crowds, far apart",
    [SHAPE_CROWDS] = "1,000 ranges in 32 crowds, far apart",
    [SHAPE_DOUBLING] = "1,000 ranges, 16 for each power of two",
    [SHAPE_TWO] = "1,000 rules on two arguments each",
    [SHAPE_MIXED] = "the first, a quarter of the calls refused",
};

static uint64_t rule_start(enum shape shape, uint64_t i)
{
    switch (shape) {
    case SHAPE_POINTS: return random_next();
    case SHAPE_ONE: return 0;
    case SHAPE_CROWDS: return (i % 32 * 0x9e3779b97f4a7c15) + (i / 32) * (i / 32) * 5;
    case SHAPE_DOUBLING: return (UINT64_C(16) + i % 16) << (i / 17);
    case SHAPE_CROWDED: return (i % 3 << 60) + (i / 3) * (i / 3) * 5;
    default: return i * 64;
    }
}

struct bench {
    struct vm vm;
    struct vm_config config;
    struct hart hart;
    struct module_instance instance;
    struct policy *policy;
    uint64_t value[VALUES]; /* what is passed: allowed all, or random */
    double ns[ROUNDS];
};

/*
 * Values near the rules. That one call is refused and the next is not costs a misprediction,
 * whatever finds it out; so the figure to judge by is that of allowed ones.
 */
static void values_fill(struct bench *b, const uint64_t *start, bool mixed)
{
    for (size_t i = 0; i < VALUES;) {
        struct call c = {.personality = CALL_SBI, .ext = EXT};

        c.arg[0] = c.arg[1] = start[random_next() % RULES] + random_next() % 64;
        b->value[i] = c.arg[0];
        call_dispatch(&b->hart, &c);
        i += mixed || c.error == 0;
    }
}

static size_t range_text(char *text, size_t size, unsigned arg, uint64_t min, uint64_t more)
{
    return (size_t)snprintf(text, size, "\"arg%u\": {\"min\": \"0x%llx\", \"max\": \"0x%llx\"}",
                            arg, (unsigned long long)min, (unsigned long long)(min + more));
}

static char *policy_text(enum shape shape, uint64_t *start)
{
    size_t size = 256 + RULES * 200, len;
    char *text = malloc(size);

    len =
        (size_t)snprintf(text, size, "{\"version\": 1, \"default\": \"allow\", \"rules\": [\n");
    for (uint64_t i = 0; i < RULES; i++) {
        start[i] = rule_start(shape, i);
        len += (size_t)snprintf(text + len, size - len, "{\"deny\": \"bench.%s\", \"args\": {",
                                shape == SHAPE_OTHER ? "other" : "null");
        len += range_text(text + len, size - len, 0, start[i], shape == SHAPE_POINTS ? 0 : 15);
        if (shape == SHAPE_TWO) {
            text[len++] = ',';
            len += range_text(text + len, size - len, 1, start[i] + 8, 15);
        }
        len += (size_t)snprintf(text + len, size - len, "}}%s\n", i + 1 < RULES ? "," : "");
    }
    snprintf(text + len, size - len, "]}\n");
    return text;
}

static void bench_make(struct bench *b, enum shape shape, const char *path)
{
    struct error err = {.status = STATUS_OK};
    uint64_t start[RULES] = {0};

    memset(b, 0, sizeof(*b));
    if (shape != SHAPE_NONE) {
        char *text = policy_text(shape, start);

        if (host_file_write("bench", path, text, strlen(text), &err) != 0)
            abort();
        free(text);
        b->config.policy = path;
    }
    b->instance = (struct module_instance){.module = &module, .vm = &b->vm};
    b->vm.config = &b->config;
    b->vm.engine = &engine;
    b->vm.instance = &b->instance;
    b->vm.ninstances = 1;
    b->hart.vm = &b->vm;
    if (policy_freeze(&b->vm, &err) != 0 || call_index_build(&b->vm, &err) != 0) {
        fprintf(stderr, "bench: %s\n", err.text);
        exit(1);
    }
    values_fill(b, start, shape == SHAPE_MIXED);
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static double round_ns(struct bench *b, uint64_t *refused)
{
    struct call c = {.personality = CALL_SBI, .ext = EXT};
    double begin = now_ns();

    for (unsigned i = 0; i < CALLS; i++) {
        c.arg[0] = c.arg[1] = b->value[i % VALUES];
        call_dispatch(&b->hart, &c);
        *refused += c.error != 0;
    }
    return (now_ns() - begin) / CALLS;
}

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), double_compare);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    static struct bench bench[SHAPES];
    uint64_t refused[SHAPES] = {0};

    if (argc != 2) {
        fputs("usage: bench-policy FILE (it is written)\n", stderr);
        return 2;
    }
    for (enum shape shape = 0; shape < SHAPES; shape++)
        bench_make(&bench[shape], shape, argv[1]);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (enum shape shape = 0; shape < SHAPES; shape++)
            bench[shape].ns[round] = round_ns(&bench[shape], &refused[shape]);
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        double extra[ROUNDS], ns[ROUNDS];

        for (unsigned i = 0; i < ROUNDS; i++) {
            ns[i] = bench[shape].ns[i];
            extra[i] = ns[i] - bench[SHAPE_NONE].ns[i];
        }
        if (shape == SHAPE_NONE) /* sorted last, since the others compare with it */
            continue;
        printf("  %-42s %6.2f ns   extra %5.2f ns   refused %.0f %%\n", shape_names[shape],
               median(ns), median(extra),
               100.0 * (double)refused[shape] / ((double)ROUNDS * CALLS));
    }
    printf("  %-42s %6.2f ns\n", shape_names[SHAPE_NONE], median(bench[SHAPE_NONE].ns));
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        call_index_destroy(&bench[shape].vm);
        policy_release(&bench[shape].vm);
    }
    return 0;
}
