/* bench.h: the parts of `tollgate bench calls`. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_BENCH_H
#define VMM_BENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "vmm/bench/result.h"
#include "vmm/error.h"

struct host;

#define BENCH_OPTIONS_MAX 32

/* What the command line asks for. Strings are borrowed from argv. */
struct bench_options {
    const char *engine;     /* or NULL: the best */
    const char *guest;      /* a probe's ELF, or NULL: the one that was built in */
    const char *json;       /* or NULL; "-": standard output */
    const char *html;       /* likewise */
    const char *parse;      /* console output to turn into a result, or NULL */
    const char *label;      /* what the run is called, or NULL */
    const char *compare[2]; /* or NULL */
    double threshold;       /* percent; below 0: none */
    bool quick;
    char *const *run_option; /* behind "--": options of `tollgate run` */
    int nrun_options;
};

/* The status with which a comparison ends that found a regression. */
#define BENCH_REGRESSED 1

/* Parses argv behind "calls". 0, or -EINVAL with *err set. */
int bench_options_parse(struct bench_options *options, int argc, char *const *argv,
                        struct error *err);

/*
 * Runs the probe in VMs of this process: once for the figures, once for the phases, and where
 * the host counts, once a kind of crossing for the counters. NULL with *err set.
 */
json_t *bench_measure(const struct bench_options *options, struct error *err);

/* What machine and build this is; the engine's name or NULL. */
json_t *bench_fingerprint(struct host *host, const char *engine,
                          const struct bench_options *options);

/* The probe that was built in; size 0: there is none. */
const void *bench_guest(size_t *size);

/* --- counters.c: the host's own counters of this process --- */

#define COUNTERS 4

struct counters {
    int fd[COUNTERS]; /* -1: not counted */
};

const char *counter_name(unsigned counter);
/*
 * Begins to count this thread and those that it makes. 0, or -errno when the first counter,
 * instructions, cannot be had; the others may be missing.
 */
int counters_open(struct counters *counters);
/* Ends it; value[i] is negative where counter i was not counted. */
void counters_close(struct counters *counters, double value[COUNTERS]);

/* --- text.c and html.c --- */

void bench_text(FILE *out, const json_t *result);
void bench_text_compare(FILE *out, const json_t *comparison);
/* A report that needs no other file. NULL: no memory. free() it. */
char *bench_html(const json_t *result);
char *bench_html_compare(const json_t *comparison);

/* "12.3", "4567", "0.0123": four digits, for people. Returns buf. */
#define NUMBER_TEXT 32
const char *number_text(char buf[NUMBER_TEXT], double value);
/* The same in the unit that suits: "340 ns", "1.20 µs", "8.10 ms". */
const char *time_text(char buf[NUMBER_TEXT], double ns);

/* --- compare.c --- */

/*
 * {"a": label, "b": label, "threshold": percent, "regressions": n, "rows": [{"name", "group",
 * "unit", "a", "b", "percent", "verdict"}]}: every figure that both results have, and those
 * that only one has. A regression is a figure of b that exceeds a's by more than threshold
 * percent; below 0 there are none. Borrows both.
 */
json_t *bench_compare(const json_t *a, const json_t *b, double threshold);

/* What a result is called: its label, or the monitor it ran under. Owned by the result. */
const char *bench_label(const json_t *result);

#endif
