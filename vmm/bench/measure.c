/* measure.c: runs the probe in virtual machines of this process. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "vmm/cli.h"
#include "vmm/host.h"
#include "vmm/phases.h"
#include "vmm/report.h"
#include "vmm/vm.h"

#define OUTPUT_MAX (1u << 30)

extern const char bench_guest_start[], bench_guest_end[]; /* guest.S */

const void *bench_guest(size_t *size)
{
    *size = (size_t)((uintptr_t)bench_guest_end - (uintptr_t)bench_guest_start);
    return bench_guest_start;
}

/* One run of the probe. */
struct probe_run {
    const struct bench_options *options;
    const char *image; /* where its ELF is */
    char fd_path[32];
    const char *append;        /* boot arguments */
    struct phases *phases;     /* or NULL */
    struct counters *counters; /* or NULL: opened for the run */
    double value[COUNTERS];
    /* What came of it. */
    char *text; /* owned */
    size_t size;
    const char *engine;
    enum result_answer answer;
};

/* The ELF as a file that has a name. Returns its descriptor, -1 with *err set. */
static int image_open(struct probe_run *run, struct error *err)
{
    size_t size, done = 0;
    const char *data = bench_guest(&size);
    int fd;

    if (size == 0) {
        error_set(err, STATUS_UNAVAILABLE,
                  "this build has no probe guest, since there was no RISC-V compiler "
                  "(riscv64-unknown-elf-gcc) when it was made; install one and build again, or "
                  "give --guest FILE");
        return -1;
    }
    fd = memfd_create("tollgate-probe", MFD_CLOEXEC);
    while (fd >= 0 && done < size) {
        ssize_t n = write(fd, data + done, size - done);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (fd < 0 || done < size) {
        error_set(err, STATUS_OS, "no memory for the probe guest: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    snprintf(run->fd_path, sizeof(run->fd_path), "/proc/self/fd/%d", fd);
    run->image = run->fd_path;
    return fd;
}

/* The console's output, which went to a file. */
static int output_read(struct probe_run *run, FILE *file, struct error *err)
{
    long size;

    if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || size > OUTPUT_MAX ||
        (run->text = malloc((size_t)size + 1)) == NULL)
        return error_set(err, STATUS_OS, "cannot take the probe's output: %s", strerror(errno));
    rewind(file);
    run->size = fread(run->text, 1, (size_t)size, file);
    return 0;
}

/* Runs the machine to its end. */
static int vm_take(struct probe_run *run, struct cli *cli, struct error *err)
{
    struct vm vm;
    char line[320];
    int ret = vm_create(&vm, &cli->config, err);

    if (ret != 0)
        return ret;
    run->engine = vm.engine->name;
    run->answer =
        vm.engine->call_route(&vm, SBI_EXT_BASE) == ROUTE_BELOW ? ANSWER_BELOW : ANSWER_MODULES;
    ret = vm_run(&vm, err);
    if (ret == 0 && vm.stop.status != 0) {
        if (report_line(&vm, line, sizeof(line)) == 0)
            snprintf(line, sizeof(line), "it ended with status %d", vm.stop.status);
        ret = error_set(err, STATUS_INTERNAL, "the probe guest failed: %s", line);
    }
    vm_destroy(&vm);
    return ret;
}

/* The configuration is made as `tollgate run` makes it, so that its options can be given. */
static int config_make(struct probe_run *run, struct cli *cli, struct error *err)
{
    const struct cli_env env = {.engines = engine_list,
                                .host_memory = host_memory_size(),
                                .arch_of_file = arch_of_file};
    const struct bench_options *options = run->options;
    char *argv[16 + BENCH_OPTIONS_MAX];
    int argc = 0;

    argv[argc++] = (char *)(uintptr_t) "tollgate";
    argv[argc++] = (char *)(uintptr_t) "run";
    argv[argc++] = (char *)(uintptr_t) "--mem=64M";
    argv[argc++] = (char *)(uintptr_t) "--console=none";
    if (options->engine != NULL) {
        argv[argc++] = (char *)(uintptr_t) "--engine";
        argv[argc++] = (char *)(uintptr_t)options->engine;
    }
    argv[argc++] = (char *)(uintptr_t) "--append";
    argv[argc++] = (char *)(uintptr_t)run->append;
    for (int i = 0; i < options->nrun_options; i++)
        argv[argc++] = options->run_option[i];
    argv[argc++] = (char *)(uintptr_t)run->image;
    return cli_parse(cli, &env, argc, argv, err);
}

static int probe_take(struct probe_run *run, struct error *err)
{
    struct cli cli;
    FILE *output;
    int ret = config_make(run, &cli, err);

    if (ret != 0)
        return ret;
    output = tmpfile();
    if (output == NULL) {
        cli_free(&cli);
        return error_set(err, STATUS_OS, "cannot make a temporary file for the output: %s",
                         strerror(errno));
    }
    cli.config.host = host_real();
    cli.config.in_fd = -1;
    cli.config.out_fd = fileno(output);
    cli.config.phases = run->phases;
    if (run->counters != NULL)
        ret = counters_open(run->counters);
    if (ret == 0) {
        ret = vm_take(run, &cli, err);
        if (run->counters != NULL)
            counters_close(run->counters, run->value);
    }
    if (ret == 0)
        ret = output_read(run, output, err);
    fclose(output);
    cli_free(&cli);
    return ret;
}

/* --- the three kinds of runs --- */

static json_t *figures_take(struct probe_run *run, struct error *err)
{
    json_t *result = NULL;

    run->append = run->options->quick ? "latency-quick" : "latency";
    if (probe_take(run, err) == 0)
        result = result_parse("the probe guest", run->text, run->size, run->answer, err);
    free(run->text);
    run->text = NULL;
    return result;
}

static json_t *phases_take(struct probe_run *run, struct error *err)
{
#ifdef TG_NO_OBSERVE
    (void)run;
    (void)err;
    return result_absent("observation was compiled out of this build");
#else
    struct host *host = host_real();
    struct phases *phases = phases_new(host);
    json_t *json = NULL;

    if (phases == NULL) {
        error_set(err, STATUS_OS, "no memory for the time stamps");
        return NULL;
    }
    run->append = run->options->quick ? "latency-quick latency-phases" : "latency-phases";
    run->phases = phases;
    if (probe_take(run, err) == 0)
        json = result_phases(phases, phases_cycles_per_ns(phases, host));
    free(run->text);
    run->text = NULL;
    run->phases = NULL;
    free(phases);
    return json;
#endif
}

/* How often the probe went round; 0: it has no such crossing. */
static double runs_counted(const struct probe_run *run)
{
    static const char key[] = "\"runs\":";
    const char *at = memmem(run->text, run->size, key, sizeof(key) - 1);

    return at == NULL ? 0 : strtod(at + sizeof(key) - 1, NULL);
}

/* One crossing's counts for each round of crossing and loop; null: it is not there. */
static json_t *counted_take(struct probe_run *run, const char *name, struct error *err)
{
    struct counters counters;
    char append[96];
    json_t *row = NULL;
    double runs = 0;
    int ret;

    snprintf(append, sizeof(append), "latency-indirect=%s", name);
    run->append = append;
    run->counters = &counters;
    ret = probe_take(run, err);
    run->counters = NULL;
    if (ret == 0)
        runs = runs_counted(run);
    if (ret == 0 && runs > 0) {
        row = json_pack("{s:s}", "name", name);
        for (unsigned i = 0; i < COUNTERS; i++)
            if (run->value[i] >= 0)
                json_object_set_new(row, counter_name(i), json_real(run->value[i] / runs));
    }
    free(run->text);
    run->text = NULL;
    return row;
}

static json_t *counters_take(struct probe_run *run, const json_t *result)
{
    struct counters probe;
    double value[COUNTERS];
    json_t *rows = json_array(), *row, *entry;
    struct error err = {0};
    char why[160];
    size_t i;
    int ret = counters_open(&probe);

    if (ret != 0) {
        json_decref(rows);
        snprintf(why, sizeof(why), "the host lets nobody count instructions: %s",
                 strerror(-ret));
        return result_absent(why);
    }
    counters_close(&probe, value);
    row = counted_take(run, "none", &err);
    json_array_append_new(rows, row);
    json_array_foreach(json_object_get(result, "indirect"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));

        row = counted_take(run, name, &err);
        if (row != NULL)
            json_array_append_new(rows, row);
    }
    return json_pack("{s:o}", "rows", rows);
}

json_t *bench_measure(const struct bench_options *options, struct error *err)
{
    struct probe_run run = {.options = options};
    json_t *result, *phases = NULL;
    int fd = -1;

    if (options->guest != NULL)
        run.image = options->guest;
    else if ((fd = image_open(&run, err)) < 0)
        return NULL;
    result = figures_take(&run, err);
    if (result != NULL)
        phases = phases_take(&run, err);
    if (phases == NULL) {
        json_decref(result);
        result = NULL;
    } else {
        json_object_set_new(result, "phases", phases);
        json_object_set_new(result, "counters", counters_take(&run, result));
        json_object_set_new(result, "fingerprint",
                            bench_fingerprint(host_real(), run.engine, options));
    }
    if (fd >= 0)
        close(fd);
    return result;
}
