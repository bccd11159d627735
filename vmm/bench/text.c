/* text.c: results as tables for people. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <math.h>
#include <string.h>

const char *number_text(char buf[NUMBER_TEXT], double value)
{
    double size = fabs(value);
    int decimals = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4;

    snprintf(buf, NUMBER_TEXT, "%.*f", value == 0 ? 0 : decimals, value);
    return buf;
}

const char *time_text(char buf[NUMBER_TEXT], double ns)
{
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    char number[NUMBER_TEXT];
    size_t unit = 0;

    while (fabs(ns) >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        ns /= 1000;
        unit++;
    }
    snprintf(buf, NUMBER_TEXT, "%.24s %s", number_text(number, ns), units[unit]);
    return buf;
}

static double number_at(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static const char *string_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text != NULL ? text : "";
}

/* A string, or "n/a (why)". */
static void fact_print(FILE *out, const char *title, const json_t *fact)
{
    const char *na = result_na(fact);

    if (na != NULL)
        fprintf(out, "%s: n/a (%s)\n", title, na);
    else
        fprintf(out, "%s: %s\n", title, json_string_value(fact) ? json_string_value(fact) : "");
}

static void fingerprint_print(FILE *out, const json_t *result)
{
    const json_t *f = json_object_get(result, "fingerprint");
    const json_t *affinity = json_object_get(f, "affinity");

    fact_print(out, "processor", json_object_get(f, "cpu"));
    fprintf(out, "kernel: %s, %s; may run on %zu of %lld processors\n", string_at(f, "kernel"),
            string_at(f, "machine"), json_array_size(affinity),
            (long long)json_integer_value(json_object_get(f, "cpus")));
    fact_print(out, "governor", json_object_get(f, "governor"));
    fprintf(out, "tollgate: %s, commit %s, %s build by compiler %s\n", string_at(f, "tollgate"),
            string_at(f, "commit"), string_at(f, "build"), string_at(f, "compiler"));
    fprintf(out, "measured: %s%s, %s\n", bench_label(result),
            json_is_true(json_object_get(json_object_get(result, "probe"), "quick")) ? ", quick"
                                                                                     : "",
            string_at(f, "time"));
}

static void row_print(FILE *out, const char *name, const json_t *entry)
{
    static const char *const columns[] = {"p50", "p90", "p99", "p99.9", "max", "mean"};
    const char *na = result_na(entry);
    char text[NUMBER_TEXT];

    fprintf(out, "  %-34s", name);
    for (size_t i = 0; na == NULL && i < sizeof(columns) / sizeof(columns[0]); i++)
        fprintf(out, " %9s", number_text(text, number_at(entry, columns[i])));
    if (na != NULL)
        fprintf(out, "       n/a: %s", na);
    fputc('\n', out);
}

static void table_print(FILE *out, const json_t *result, const char *array, const char *title)
{
    json_t *entry;
    size_t i;

    fprintf(out, "\n%-36s %9s %9s %9s %9s %9s %9s\n", title, "p50", "p90", "p99", "p99.9",
            "max", "mean");
    json_array_foreach(json_object_get(result, array), i, entry)
    {
        row_print(out, string_at(entry, "name"), entry);
    }
}

static void phases_print(FILE *out, const json_t *result)
{
    static const char *const columns[] = {"leave", "dispatch", "handler",
                                          "enter", "own",      "round"};
    const json_t *phases = json_object_get(result, "phases"), *calls;
    char text[NUMBER_TEXT];
    json_t *entry;
    size_t i;

    fprintf(out, "\n%-36s %9s %9s %9s %9s %9s %9s %9s\n", "where the time goes, ns (p50)",
            "leave", "dispatch", "handler", "enter", "own", "round", "max round");
    if (result_na(phases) != NULL)
        fprintf(out, "  n/a: %s\n", result_na(phases));
    calls = json_object_get(phases, "calls");
    json_array_foreach(calls, i, entry)
    {
        fprintf(out, "  %-34s", string_at(entry, "name"));
        for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
            double p50 = result_p50(json_object_get(entry, columns[j]));

            fprintf(out, " %9s", p50 < 0 ? "n/a" : number_text(text, p50));
        }
        fprintf(out, " %9s\n",
                number_text(text, number_at(json_object_get(entry, "round"), "max")));
    }
}

static void indirect_print(FILE *out, const json_t *result)
{
    char text[3][NUMBER_TEXT];
    json_t *entry;
    size_t i;

    fprintf(out, "\n%-36s %9s %9s %9s %9s\n", "the same loop after a crossing, ns", "alone",
            "after", "more", "%");
    json_array_foreach(json_object_get(result, "indirect"), i, entry)
    {
        fprintf(out, "  %-34s %9s %9s %9s %9.1f\n", string_at(entry, "name"),
                number_text(text[0], number_at(entry, "alone")),
                number_text(text[1], number_at(entry, "after")),
                number_text(text[2], number_at(entry, "slowdown")),
                number_at(entry, "percent"));
    }
}

static void counters_print(FILE *out, const json_t *result)
{
    const json_t *counters = json_object_get(result, "counters");
    char text[NUMBER_TEXT];
    json_t *row;
    size_t i;

    fprintf(out, "\ncounts of the host for a crossing and the loop");
    for (unsigned c = 0; result_na(counters) == NULL && c < COUNTERS; c++)
        fprintf(out, " %14s", counter_name(c));
    fputc('\n', out);
    if (result_na(counters) != NULL)
        fprintf(out, "  n/a: %s\n", result_na(counters));
    json_array_foreach(json_object_get(counters, "rows"), i, row)
    {
        fprintf(out, "  %-44s", string_at(row, "name"));
        for (unsigned c = 0; c < COUNTERS; c++) {
            const json_t *count = json_object_get(row, counter_name(c));

            fprintf(out, " %14s",
                    count == NULL ? "n/a" : number_text(text, json_number_value(count)));
        }
        fputc('\n', out);
    }
}

static void tasks_print(FILE *out, const json_t *result)
{
    char text[2][NUMBER_TEXT];
    json_t *entry;
    size_t i;

    fprintf(out, "\n%-36s %9s %9s %9s\n", "one task done three ways, ns", "p50", "p99",
            "crossings");
    json_array_foreach(json_object_get(result, "tasks"), i, entry)
    {
        if (result_na(entry) != NULL)
            fprintf(out, "  %-34s       n/a: %s\n", string_at(entry, "name"), result_na(entry));
        else
            fprintf(out, "  %-34s %9s %9s %9lld\n", string_at(entry, "name"),
                    number_text(text[0], result_p50(entry)),
                    number_text(text[1], number_at(entry, "p99")),
                    (long long)json_integer_value(json_object_get(entry, "crossings")));
    }
}

static void targets_print(FILE *out, const json_t *result)
{
    char text[2][NUMBER_TEXT];
    json_t *entry;
    size_t i;

    fprintf(out, "\n%-36s %9s %9s\n", "targets", "is", "at most");
    json_array_foreach(json_object_get(result, "targets"), i, entry)
    {
        fprintf(out, "  %-34s %9s %9s %s%s%s\n", string_at(entry, "name"),
                result_na(entry) ? "n/a" : number_text(text[0], number_at(entry, "value")),
                number_text(text[1], number_at(entry, "limit")), string_at(entry, "unit"),
                result_na(entry)                              ? ": "
                : json_is_true(json_object_get(entry, "met")) ? ": met"
                                                              : ": missed",
                result_na(entry) ? result_na(entry) : "");
    }
}

void bench_text(FILE *out, const json_t *result)
{
    fingerprint_print(out, result);
    table_print(out, result, "ladder", "the ladder, ns");
    table_print(out, result, "calls", "every crossing, ns");
    phases_print(out, result);
    indirect_print(out, result);
    counters_print(out, result);
    tasks_print(out, result);
    targets_print(out, result);
}

void bench_text_compare(FILE *out, const json_t *comparison)
{
    double threshold = json_is_number(json_object_get(comparison, "threshold"))
                           ? number_at(comparison, "threshold")
                           : -1;
    json_int_t regressions = json_integer_value(json_object_get(comparison, "regressions"));
    char text[2][NUMBER_TEXT];
    json_t *row;
    size_t i;

    fprintf(out, "A: %s\nB: %s\n\n%-36s %10s %10s %9s\n", string_at(comparison, "a"),
            string_at(comparison, "b"), "", "A", "B", "B-A, %");
    json_array_foreach(json_object_get(comparison, "rows"), i, row)
    {
        const json_t *a = json_object_get(row, "a"), *b = json_object_get(row, "b");
        const json_t *percent = json_object_get(row, "percent");

        fprintf(out, "  %-34s %10s %10s", string_at(row, "name"),
                json_is_number(a) ? number_text(text[0], json_number_value(a)) : "n/a",
                json_is_number(b) ? number_text(text[1], json_number_value(b)) : "n/a");
        if (json_is_number(percent))
            fprintf(out, " %+9.1f", json_number_value(percent));
        else
            fprintf(out, " %9s", "");
        fprintf(out, " %-11s %s\n", string_at(row, "unit"), string_at(row, "verdict"));
    }
    if (threshold >= 0)
        fprintf(out, "\n%lld regressed by more than %g %%\n", (long long)regressions,
                threshold);
    json_array_foreach(json_object_get(comparison, "rows"), i, row)
    {
        if (strcmp(string_at(row, "verdict"), "regression") == 0)
            fprintf(out, "regressed: %s\n", string_at(row, "name"));
    }
}
