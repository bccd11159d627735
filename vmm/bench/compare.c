/* compare.c: two results side by side, and which figures grew. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <math.h>
#include <string.h>

/* What is compared: arrays of a result, the number in an entry, its unit, what it is called. */
static const struct {
    const char *array, *number, *unit, *prefix;
} groups[] = {
    {"calls",    "p50",   "ns", ""           },
    {"tasks",    "p50",   "ns", "task: "     },
    {"derived",  "value", NULL, ""           }, /* the entry says its unit */
    {"indirect", "after", "ns", "loop after "},
};

const char *bench_label(const json_t *result)
{
    const json_t *fingerprint = json_object_get(result, "fingerprint");
    const char *label = json_string_value(json_object_get(fingerprint, "label"));
    const char *engine = json_string_value(json_object_get(fingerprint, "engine"));
    json_int_t sbi =
        json_integer_value(json_object_get(json_object_get(result, "probe"), "sbi_impl"));

    if (label != NULL)
        return label;
    if (engine != NULL)
        return engine;
    /* Implementation IDs: SBI 3.0, section 4.9. */
    return sbi == 1 ? "OpenSBI" : sbi == 3 ? "KVM" : "another monitor";
}

/* The figure of an entry, or -1. */
static double figure(const json_t *entry, const char *number)
{
    const json_t *value = json_object_get(entry, number);

    return result_na(entry) == NULL && json_is_number(value) ? json_number_value(value) : -1;
}

static const char *verdict(double a, double b, double percent, double threshold)
{
    if (a < 0 && b < 0)
        return "absent";
    if (a < 0)
        return "new";
    if (b < 0)
        return "gone";
    if (a == b) /* whatever a file says of its size and sign */
        return "same";
    if (threshold < 0)
        return "";
    return percent > threshold ? "regression" : percent < -threshold ? "better" : "same";
}

static json_t *number_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *row_make(const json_t *in_a, const json_t *in_b, const char *name, size_t group,
                        double threshold)
{
    double a = figure(in_a, groups[group].number), b = figure(in_b, groups[group].number);
    const json_t *entry = in_a != NULL ? in_a : in_b;
    const char *unit = groups[group].unit;
    double percent = a > 0 && b >= 0 ? 100.0 * (b - a) / a : 0;

    if (unit == NULL)
        unit = json_string_value(json_object_get(entry, "unit"));
    return json_pack("{s:o, s:s, s:s, s:o, s:o, s:o, s:s}", "name",
                     json_sprintf("%s%s", groups[group].prefix, name), "group",
                     groups[group].array, "unit", unit != NULL ? unit : "", "a",
                     number_or_null(a), "b", number_or_null(b), "percent",
                     a > 0 && b >= 0 && isfinite(percent) ? json_real(percent) : json_null(),
                     "verdict", verdict(a, b, percent, threshold));
}

/* The rows of one group: what a has, then what only b has. */
static void group_compare(json_t *rows, const json_t *a, const json_t *b, size_t group,
                          double threshold)
{
    const char *array = groups[group].array;
    json_t *entry;
    size_t i;

    json_array_foreach(json_object_get(a, array), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));

        json_array_append_new(
            rows, row_make(entry, result_find(b, array, name), name, group, threshold));
    }
    json_array_foreach(json_object_get(b, array), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));

        if (result_find(a, array, name) == NULL)
            json_array_append_new(rows, row_make(NULL, entry, name, group, threshold));
    }
}

json_t *bench_compare(const json_t *a, const json_t *b, double threshold)
{
    json_t *rows = json_array(), *row;
    json_int_t regressions = 0;
    size_t i;

    for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++)
        group_compare(rows, a, b, group, threshold);
    json_array_foreach(rows, i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "verdict")), "regression") == 0)
            regressions++;
    }
    return json_pack("{s:s, s:s, s:o, s:I, s:o}", "a", bench_label(a), "b", bench_label(b),
                     "threshold", number_or_null(threshold), "regressions", regressions, "rows",
                     rows);
}
