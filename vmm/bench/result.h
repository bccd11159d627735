/* result.h: what `bench calls` has measured, as the JSON that docs/bench-calls.md describes. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_BENCH_RESULT_H
#define VMM_BENCH_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "vmm/error.h"

#define RESULT_KEY     "tollgate-bench-calls" /* its value is the version of the format */
#define RESULT_VERSION 1
#define RESULT_MAX     (64u << 20) /* bytes of a file */

struct phases;
struct bench_hist;

/* Who answers what the probe called; it cannot tell. */
enum result_answer {
    ANSWER_MODULES,  /* Tollgate, SBI calls included */
    ANSWER_BELOW,    /* Tollgate, but Base is answered below it (KVM) */
    ANSWER_FIRMWARE, /* another monitor: the probe's SBI is firmware in the guest */
};

/*
 * Turns the console output of the probe into a result without "fingerprint", "phases" and
 * "counters". `name` is for messages. NULL with *err set: STATUS_DATA when the output lacks the
 * probe's lines or ends before they do, STATUS_VERSION when they are of another format.
 */
json_t *result_parse(const char *name, const char *text, size_t size, enum result_answer answer,
                     struct error *err);

/* The samples of one kind of crossing that the monitor stamped itself, as "phases". */
json_t *result_phases(const struct phases *phases, double cycles_per_ns);

/* {"p50": ..., "max": ...} of a histogram that is not empty; count as "samples". */
json_t *result_statistics(const struct bench_hist *hist);

/*
 * Reads a result that was written before, and checks that all is there that its readers use.
 * NULL with *err set: STATUS_NO_INPUT, STATUS_DATA (no JSON, or not a result), STATUS_VERSION.
 */
json_t *result_load(const char *path, struct error *err);
json_t *result_check(const char *name, const char *text, size_t size, struct error *err);

/* The entry of an array ("calls", "ladder", ...) by its "name"; NULL: none. */
json_t *result_find(const json_t *result, const char *array, const char *name);

/* Its "p50", or -1 when it was not measured. */
double result_p50(const json_t *entry);

/* Why it was not measured; NULL: it was. */
const char *result_na(const json_t *entry);

/* {"na": why} */
json_t *result_absent(const char *why);

#endif
