/* fingerprint.c: what machine and which build a result comes from. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <ctype.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include "vmm/host.h"
#include "vmm/version.h"

#ifndef TG_COMMIT
#define TG_COMMIT "unknown"
#endif

#define CPUINFO_LINE 8192

/* The value of the first line of a file that begins with `key`; NULL key: its first line. */
static bool line_find(const char *path, const char *key, char *value, size_t size)
{
    char line[CPUINFO_LINE];
    FILE *file = fopen(path, "re");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char *text = line;

        line[strcspn(line, "\n")] = '\0';
        if (key != NULL) {
            if (strncmp(line, key, strlen(key)) != 0)
                continue;
            text = strchr(line, ':');
            if (text == NULL)
                continue;
            text++;
        }
        while (isspace((unsigned char)*text))
            text++;
        snprintf(value, size, "%s", text);
        found = true;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* Adds the first of the lines that is there, or null with the reason beside it. */
static void line_add(json_t *json, const char *name, const char *path, const char *const *keys,
                     const char *why)
{
    char value[CPUINFO_LINE];

    do {
        if (line_find(path, *keys, value, sizeof(value))) {
            /* What is no UTF-8 is not shown. */
            json_t *text = json_string(value);

            json_object_set_new(json, name, text != NULL ? text : json_null());
            return;
        }
    } while (*keys != NULL && *++keys != NULL);
    json_object_set_new(json, name, result_absent(why));
}

static void time_add(json_t *json, struct host *host)
{
    time_t now = (time_t)(host->wall_ns(host) / 1000000000u);
    struct tm tm;
    char text[32];

    gmtime_r(&now, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_object_set_new(json, "time", json_string(text));
}

/* The processors that the process may run on: how it was pinned. */
static void affinity_add(json_t *json)
{
    json_t *list = json_array();
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        for (unsigned i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set))
                json_array_append_new(list, json_integer(i));
    json_object_set_new(json, "affinity", list);
}

static void build_add(json_t *json)
{
    json_object_set_new(json, "tollgate", json_string(TG_VERSION));
    json_object_set_new(json, "commit", json_string(TG_COMMIT));
    json_object_set_new(json, "compiler", json_string(__VERSION__));
#if defined(INTERP_LOOP)
    json_object_set_new(json, "build", json_string("debug or sanitizer"));
#elif defined(TG_NO_OBSERVE)
    json_object_set_new(json, "build", json_string("release, observation compiled out"));
#else
    json_object_set_new(json, "build", json_string("release"));
#endif
}

static void options_add(json_t *json, const struct bench_options *options)
{
    json_t *list = json_array();

    for (int i = 0; i < options->nrun_options; i++)
        json_array_append_new(list, json_string(options->run_option[i]));
    json_object_set_new(json, "run_options", list);
    json_object_set_new(json, "label",
                        options->label != NULL ? json_string(options->label) : json_null());
}

json_t *bench_fingerprint(struct host *host, const char *engine,
                          const struct bench_options *options)
{
    static const char *const model[] = {"model name", "uarch", "Model", NULL};
    static const char *const flags[] = {"flags", "isa", "Features", NULL};
    static const char *const whole[] = {NULL};
    json_t *json = json_object();
    struct utsname uts;

    time_add(json, host);
    line_add(json, "cpu", "/proc/cpuinfo", model, "/proc/cpuinfo names no model");
    line_add(json, "flags", "/proc/cpuinfo", flags, "/proc/cpuinfo lists none");
    json_object_set_new(json, "cpus", json_integer(host_processors()));
    affinity_add(json);
    line_add(json, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", whole,
             "this kernel shows no frequency governor (a virtual machine has none)");
    if (uname(&uts) == 0) {
        json_object_set_new(json, "kernel", json_sprintf("%s %s", uts.sysname, uts.release));
        json_object_set_new(json, "machine", json_string(uts.machine));
    }
    build_add(json);
    json_object_set_new(json, "engine", engine != NULL ? json_string(engine) : json_null());
    options_add(json, options);
    return json;
}
