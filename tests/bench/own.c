/* own.c: the monitor's own part of a crossing, by its time stamps, in many short runs of a
 * probe. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *     bench-own PROBE.elf [ROUNDS [OPTION...]]
 *
 * Each round runs the latency probe twice, with calls by the way that the engine has for plain
 * calls and with all of them by the gate, in turns, and takes the median of each phase. What is
 * printed are the medians of the rounds' medians, in ns. OPTIONs are those of `tollgate run`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/arch.h"
#include "vmm/bench/result.h"
#include "vmm/cli.h"
#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/phases.h"
#include "vmm/vm.h"

#define ROUNDS      15
#define ROUNDS_MAX  1000
#define OPTIONS_MAX 32
#define NAMES_MAX   32

enum way { WAY_DIRECT, WAY_GATE, WAYS };

static const char *const way_names[WAYS] = {"as released", "all by the gate"};

/* The rounds' medians of one kind of crossing. */
struct figures {
    char name[64];
    double ns[WAYS][PHASES][ROUNDS_MAX];
    unsigned rounds[WAYS];
};

struct bench {
    struct figures figures[NAMES_MAX];
    unsigned nnames;
    char engine[16];
    double stamp_ns;
};

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(*values), double_compare);
    return count == 0 ? -1 : (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static struct figures *figures_find(struct bench *bench, const char *name)
{
    for (unsigned i = 0; i < bench->nnames; i++)
        if (strcmp(bench->figures[i].name, name) == 0)
            return &bench->figures[i];
    if (bench->nnames == NAMES_MAX)
        return NULL;
    struct figures *figures = &bench->figures[bench->nnames++];

    snprintf(figures->name, sizeof(figures->name), "%s", name);
    return figures;
}

/* What a run has left in its recorder. */
static void figures_add(struct bench *bench, enum way way, const json_t *phases)
{
    json_t *entry;
    size_t i;

    bench->stamp_ns = json_number_value(json_object_get(phases, "stamp_ns"));
    json_array_foreach(json_object_get(phases, "calls"), i, entry)
    {
        struct figures *figures =
            figures_find(bench, json_string_value(json_object_get(entry, "name")));
        unsigned round;

        if (figures == NULL)
            continue;
        round = figures->rounds[way]++;
        for (enum phase phase = 0; phase < PHASES; phase++)
            figures->ns[way][phase][round] =
                result_p50(json_object_get(entry, phase_name(phase)));
    }
}

/* One run of the probe. 0, or the status with *err set. */
static int probe_run(struct bench *bench, enum way way, const struct cli *cli,
                     struct error *err)
{
    struct vm_config config = cli->config;
    struct vm vm;
    int rc;

    config.host = host_real();
    config.in_fd = -1;
    config.slow_calls = way == WAY_GATE;
    config.phases = phases_new(config.host);
    if (config.phases == NULL)
        return error_set(err, STATUS_OS, "no memory for the time stamps");
    rc = vm_create(&vm, &config, err);
    if (rc == 0) {
        snprintf(bench->engine, sizeof(bench->engine), "%s", vm.engine->name);
        rc = vm_run(&vm, err);
        if (rc == 0 && vm.stop.status != 0)
            rc = error_set(err, STATUS_INTERNAL, "the probe ended with status %d",
                           vm.stop.status);
        vm_destroy(&vm);
    }
    if (rc == 0) {
        json_t *json =
            result_phases(config.phases, phases_cycles_per_ns(config.phases, config.host));

        figures_add(bench, way, json);
        json_decref(json);
    }
    free(config.phases);
    return rc;
}

static void figures_print(struct bench *bench)
{
    printf("own part of a crossing, ns: engine %s, stamps of %.1f ns taken off\n",
           bench->engine, bench->stamp_ns);
    for (enum way way = 0; way < WAYS; way++) {
        printf("%-32s", way_names[way]);
        for (enum phase phase = 0; phase < PHASES; phase++)
            printf(" %9s", phase_name(phase));
        printf("\n");
        for (unsigned i = 0; i < bench->nnames; i++) {
            struct figures *figures = &bench->figures[i];

            printf("  %-30s", figures->name);
            for (enum phase phase = 0; phase < PHASES; phase++)
                printf(" %9.1f", median(figures->ns[way][phase], figures->rounds[way]));
            printf("\n");
        }
    }
}

/* The probe's console goes nowhere. What cli_parse is given must live as long as *cli. */
static int cli_make(struct cli *cli, int argc, char **argv, struct error *err)
{
    const struct cli_env env = {.engines = engine_list,
                                .host_memory = host_memory_size(),
                                .arch_of_file = arch_of_file};
    static const char *const first[] = {"tollgate", "run", "--mem=64M", "--console=none",
                                        "--append=latency-quick latency-phases"};
    char *words[OPTIONS_MAX + sizeof(first) / sizeof(first[0]) + 1];
    int n = 0;

    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        words[n++] = (char *)(uintptr_t)first[i];
    for (int i = 3; i < argc && i < OPTIONS_MAX + 3; i++)
        words[n++] = argv[i];
    words[n++] = argv[1];
    return cli_parse(cli, &env, n, words, err);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS;
    struct bench *bench = calloc(1, sizeof(*bench));
    FILE *nowhere = fopen("/dev/null", "we");
    struct error err = {0};
    struct cli cli;
    int rc;

    if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX || bench == NULL || nowhere == NULL) {
        fprintf(stderr, "usage: bench-own PROBE.elf [ROUNDS [OPTION...]]; at most %d rounds\n",
                ROUNDS_MAX);
        return 2;
    }
    rc = cli_make(&cli, argc, argv, &err);
    if (rc == 0) {
        cli.config.out_fd = fileno(nowhere);
        for (unsigned i = 0; rc == 0 && i < rounds * WAYS; i++)
            rc = probe_run(bench, (i + i / WAYS) % WAYS, &cli, &err);
        cli_free(&cli);
    }
    if (rc != 0)
        fprintf(stderr, "bench-own: %s\n", err.text);
    else
        figures_print(bench);
    fclose(nowhere);
    free(bench);
    return rc != 0;
}
