/* bench.c: `tollgate bench calls`: measures what crossings cost, prints and compares it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/command.h"
#include "vmm/host.h"

#define REAL_DIGITS 7 /* of JSON: finer than any clock here */

/* --- the command line --- */

/* The word behind an option. */
static int word_next(int argc, char *const *argv, int *at, const char **word, const char *form,
                     struct error *err)
{
    const char *option = argv[*at];

    if (*at + 1 >= argc || argv[*at + 1][0] == '\0')
        return error_set(err, STATUS_USAGE, "%s: its argument is missing; give %s", option,
                         form);
    *word = argv[++*at];
    return 0;
}

static int threshold_parse(struct bench_options *options, const char *text, struct error *err)
{
    char *end;
    double percent = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(percent) || percent < 0)
        return error_set(err, STATUS_USAGE,
                         "--threshold: '%.80s' is no percentage; give a number from 0 on",
                         text);
    options->threshold = percent;
    return 0;
}

/* Options with one argument each, and where it goes. */
static int option_take(struct bench_options *options, int argc, char *const *argv, int *at,
                       struct error *err)
{
    const struct {
        const char *name, *form;
        const char **to;
    } words[] = {
        {"--engine", "--engine NAME",    &options->engine},
        {"--guest",  "--guest FILE",     &options->guest },
        {"--json",   "--json FILE or -", &options->json  },
        {"--html",   "--html FILE or -", &options->html  },
        {"--parse",  "--parse FILE",     &options->parse },
        {"--label",  "--label TEXT",     &options->label },
    };
    const char *word = argv[*at], *text;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i].name) == 0)
            return word_next(argc, argv, at, words[i].to, words[i].form, err);
    if (strcmp(word, "--threshold") == 0) {
        int ret = word_next(argc, argv, at, &text, "--threshold PERCENT", err);
        return ret != 0 ? ret : threshold_parse(options, text, err);
    }
    if (strcmp(word, "--compare") == 0) {
        if (argc - *at < 3)
            return error_set(err, STATUS_USAGE,
                             "--compare: two files are needed; give --compare A.json B.json");
        options->compare[0] = argv[++*at];
        options->compare[1] = argv[++*at];
        return 0;
    }
    if (strcmp(word, "--quick") == 0) {
        options->quick = true;
        return 0;
    }
    return error_set(err, STATUS_USAGE,
                     "'%.80s' is not known; tollgate help bench lists the options", word);
}

/* Options that say different things. */
static int options_check(const struct bench_options *options, struct error *err)
{
    bool compare = options->compare[0] != NULL;

    if (compare && (options->parse != NULL || options->engine != NULL || options->quick ||
                    options->guest != NULL || options->nrun_options > 0))
        return error_set(err, STATUS_USAGE,
                         "--compare measures nothing: leave out --parse, --engine, --guest, "
                         "--quick and what is behind --");
    if (!compare && options->threshold >= 0)
        return error_set(err, STATUS_USAGE,
                         "--threshold: it belongs to --compare A.json B.json");
    if (options->parse != NULL && (options->engine != NULL || options->guest != NULL ||
                                   options->quick || options->nrun_options > 0))
        return error_set(err, STATUS_USAGE,
                         "--parse measures nothing: leave out --engine, --guest, --quick and "
                         "what is behind --");
    if (options->json != NULL && options->html != NULL && strcmp(options->json, "-") == 0 &&
        strcmp(options->html, "-") == 0)
        return error_set(err, STATUS_USAGE,
                         "--json and --html cannot both go to standard output");
    return 0;
}

int bench_options_parse(struct bench_options *options, int argc, char *const *argv,
                        struct error *err)
{
    *options = (struct bench_options){.threshold = -1};
    for (int at = 0; at < argc; at++) {
        int ret;

        if (strcmp(argv[at], "--") == 0) {
            options->run_option = argv + at + 1;
            options->nrun_options = argc - at - 1;
            if (options->nrun_options > BENCH_OPTIONS_MAX)
                return error_set(err, STATUS_USAGE, "--: more than %d words behind it",
                                 BENCH_OPTIONS_MAX);
            break;
        }
        ret = option_take(options, argc, argv, &at, err);
        if (ret != 0)
            return ret;
    }
    return options_check(options, err);
}

/* --- output --- */

/* Before minutes are spent on figures that nobody gets. */
static int output_check(const char *what, const char *path, struct error *err)
{
    FILE *file;

    if (path == NULL || strcmp(path, "-") == 0)
        return 0;
    file = fopen(path, "ae");
    if (file == NULL)
        return error_set(err, STATUS_CANT_CREATE, "%s: cannot write '%s': %s", what, path,
                         strerror(errno));
    fclose(file);
    return 0;
}

/* Writes text that was made for `path`, and frees it. */
static int text_write(const char *what, const char *path, char *text, struct error *err)
{
    int ret;

    if (text == NULL)
        return error_set(err, STATUS_OS, "%s: no memory", what);
    ret = host_file_write(what, path, text, strlen(text), err);
    free(text);
    return ret;
}

static int json_write(const char *path, const json_t *json, struct error *err)
{
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(REAL_DIGITS));
    size_t len = text == NULL ? 0 : strlen(text);
    char *line = text == NULL ? NULL : realloc(text, len + 2);

    if (line == NULL)
        free(text);
    else
        memcpy(line + len, "\n", 2);
    return text_write("--json", path, line, err);
}

/* The table goes where nothing else goes. */
static bool table_wanted(const struct bench_options *options)
{
    return (options->json == NULL || strcmp(options->json, "-") != 0) &&
           (options->html == NULL || strcmp(options->html, "-") != 0);
}

/* --- what it does --- */

static json_t *parsed_result(const struct bench_options *options, struct error *err)
{
    struct host_file file;
    json_t *result;

    if (host_file_open(&file, "--parse", options->parse, RESULT_MAX * 16ull, err) != 0)
        return NULL;
    result =
        result_parse(options->parse, (const char *)file.data, file.size, ANSWER_FIRMWARE, err);
    host_file_close(&file);
    if (result == NULL)
        return NULL;
    json_object_set_new(result, "phases",
                        result_absent("another monitor takes no time stamps for us"));
    json_object_set_new(result, "counters",
                        result_absent("the output was parsed after the run"));
    json_object_set_new(result, "fingerprint", bench_fingerprint(host_real(), NULL, options));
    return result;
}

static int result_show(const struct bench_options *options, json_t *result, struct error *err)
{
    int ret = 0;

    if (table_wanted(options))
        bench_text(stdout, result);
    if (options->json != NULL)
        ret = json_write(options->json, result, err);
    if (ret == 0 && options->html != NULL)
        ret = text_write("--html", options->html, bench_html(result), err);
    return ret;
}

static int compare_run(const struct bench_options *options, struct error *err)
{
    json_t *a = result_load(options->compare[0], err);
    json_t *b = a == NULL ? NULL : result_load(options->compare[1], err);
    json_t *comparison;
    int status;

    if (b == NULL) {
        json_decref(a);
        return (int)err->status;
    }
    comparison = bench_compare(a, b, options->threshold);
    if (table_wanted(options))
        bench_text_compare(stdout, comparison);
    if (options->json != NULL)
        json_write(options->json, comparison, err);
    if (options->html != NULL && err->status == 0)
        text_write("--html", options->html, bench_html_compare(comparison), err);
    status = json_integer_value(json_object_get(comparison, "regressions")) > 0
                 ? BENCH_REGRESSED
                 : STATUS_OK;
    json_decref(comparison);
    json_decref(a);
    json_decref(b);
    return err->status != 0 ? (int)err->status : status;
}

static int bench_run(int argc, char *const *argv, struct error *err)
{
    struct bench_options options;
    json_t *result;

    if (argc < 2 || strcmp(argv[1], "calls") != 0)
        return error_set(err, STATUS_USAGE, "say what to measure: tollgate bench calls%s",
                         argc < 2 ? "" : "; there is nothing else yet"),
               (int)err->status;
    if (bench_options_parse(&options, argc - 2, argv + 2, err) != 0 ||
        output_check("--json", options.json, err) != 0 ||
        output_check("--html", options.html, err) != 0)
        return (int)err->status;
    if (options.compare[0] != NULL)
        return compare_run(&options, err);
    result =
        options.parse != NULL ? parsed_result(&options, err) : bench_measure(&options, err);
    if (result != NULL)
        result_show(&options, result, err);
    json_decref(result);
    return (int)err->status;
}

static const struct command_term terms[] = {
    {"calls",                   "What is measured: calls and other crossings. There is nothing else yet."},
    {"--engine NAME",           "The engine to measure, as in run; without it the best one."             },
    {"--json FILE",             "Write the result as JSON (docs/bench-calls.md); -: standard output."    },
    {"--html FILE",             "Write a report with plots on one page; -: standard output."             },
    {"--quick",                 "Take few samples: a quarter of a second, and coarse figures."           },
    {"--label TEXT",            "What reports and comparisons call this result."                         },
    {"--guest FILE",            "Run this ELF in place of the probe that was built in."                  },
    {"--parse FILE",            "Measure nothing: make the result from what the probe printed on the "
                     "console of another monitor, for example QEMU with OpenSBI."    },
    {"--compare A.json B.json", "Measure nothing: set two results side by side."                         },
    {"--threshold PERCENT",     "With --compare: end with status 1, naming what regressed, when a "
                            "figure of B exceeds A's by more than this."      },
    {"-- OPTION...",            "Options of run for the machine that is measured, for example "
                     "-- --without plic."                                            },
    {NULL,                      NULL                                                                     },
};

const struct command command_bench = {
    .name = "bench",
    .args = "calls [options] [-- RUN-OPTION...]",
    .summary = "measure what calls and other crossings cost",
    .description =
        "Runs a probe guest that is part of this program, and prints for each way of crossing "
        "a "
        "boundary the time it takes: a function call, a call from U-mode to the guest's "
        "kernel, "
        "calls to modules, to the host and in batches, a device access. Beside that: where the "
        "time goes, how much slower the guest's own code is after a crossing, and one task "
        "done "
        "as a function call, as a call and as messages. What cannot be measured is reported as "
        "n/a with the reason. Pin it to a processor (taskset) for figures that repeat.",
    .terms = terms,
    .run = bench_run,
};
