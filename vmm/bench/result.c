/* result.c: results as JSON: reading them back, finding things in them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/result.h"

#include <string.h>
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"
#include "vmm/bench/stats.h"
#include "vmm/bus.h"
#include "vmm/host.h"
#include "vmm/phases.h"

json_t *result_absent(const char *why)
{
    return json_pack("{s:s}", "na", why);
}

const char *result_na(const json_t *entry)
{
    return json_string_value(json_object_get(entry, "na"));
}

json_t *result_find(const json_t *result, const char *array, const char *name)
{
    size_t i;
    json_t *entry;

    json_array_foreach(json_object_get(result, array), i, entry)
    {
        const char *own = json_string_value(json_object_get(entry, "name"));

        if (own != NULL && strcmp(own, name) == 0)
            return entry;
    }
    return NULL;
}

double result_p50(const json_t *entry)
{
    const json_t *p50 = json_object_get(entry, "p50");

    return json_is_number(p50) ? json_number_value(p50) : -1.0;
}

json_t *result_statistics(const struct bench_hist *hist)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "samples",
                     (json_int_t)hist->total, "p50", hist_percentile(hist, 50.0), "p90",
                     hist_percentile(hist, 90.0), "p99", hist_percentile(hist, 99.0), "p99.9",
                     hist_percentile(hist, 99.9), "max", hist_percentile(hist, 100.0), "min",
                     hist_percentile(hist, 0.0), "mean", hist_mean(hist));
}

/* --- phases --- */

static void row_name(const struct phase_row *row, char *name, size_t size)
{
    static const struct {
        uint64_t ext, fn;
        const char *name;
    } calls[] = {
        {0x10,       0, "sbi.base.get_spec_version"},
        {0x54494d45, 0, "sbi.time.set_timer"       },
        {0x4442434e, 0, "sbi.dbcn.write"           },
        {0x08544700, 0, "tg.base.null"             },
        {0x08544705, 0, "tg.multicall"             },
    };

    if (exit_is_access(row->kind)) {
        if (row->ext == 0x10000005 || row->ext == BUS_PORT(TG_X86_PORT_UART + 5))
            snprintf(name, size, "uart.lsr");
        else if (row->ext == TG_X86_DOORBELL + TG_DOORBELL_RING)
            snprintf(name, size, "bell.null");
        else
            snprintf(name, size, "access to 0x%llx", (unsigned long long)row->ext);
        return;
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (calls[i].ext != row->ext || calls[i].fn != row->fn)
            continue;
        if (calls[i].ext == 0x4442434e || calls[i].ext == 0x08544705)
            snprintf(name, size, "%s:%llu", calls[i].name, (unsigned long long)row->arg0);
        else
            snprintf(name, size, "%s", calls[i].name);
        return;
    }
    snprintf(name, size, "call 0x%llx/%llu", (unsigned long long)row->ext,
             (unsigned long long)row->fn);
}

/* One phase of one row; null when its stations were not passed. */
static json_t *phase_json(const struct phase_row *row, enum phase phase, double cycles_per_ns)
{
    struct bench_hist hist = {0};
    json_t *json = NULL;

    for (size_t i = 0; i < row->count; i++)
        if (row->cycles[phase][i] != PHASE_NONE &&
            hist_add(&hist, row->cycles[phase][i] / cycles_per_ns, 1) != 0)
            break;
    hist_sort(&hist);
    json = hist.total == 0 ? result_absent("no time stamp is taken there by this engine")
                           : result_statistics(&hist);
    hist_free(&hist);
    return json;
}

json_t *result_phases(const struct phases *phases, double cycles_per_ns)
{
    json_t *calls = json_array();

    for (size_t i = 0; i < phases->nrows; i++) {
        const struct phase_row *row = &phases->rows[i];
        char name[64];
        json_t *entry;

        /* The probe's own lines are calls too, but few. */
        if (row->count < 100)
            continue;
        row_name(row, name, sizeof(name));
        entry = json_pack("{s:s}", "name", name);
        for (enum phase phase = 0; phase < PHASES; phase++)
            json_object_set_new(entry, phase_name(phase),
                                phase_json(row, phase, cycles_per_ns));
        json_array_append_new(calls, entry);
    }
    return json_pack("{s:f, s:o}", "stamp_ns", (double)phases->overhead / cycles_per_ns,
                     "calls", calls);
}

/* --- reading --- */

static int result_bad(struct error *err, const char *name, const char *what)
{
    return error_set(err, STATUS_DATA,
                     "%s: this is no result of bench calls: %s; give a file that --json wrote",
                     name, what);
}

/* An entry has a name, and either the reason why it is missing or the numbers asked for. */
static bool entry_valid(const json_t *entry, const char *const *numbers)
{
    if (!json_is_string(json_object_get(entry, "name")))
        return false;
    if (result_na(entry) != NULL)
        return true;
    for (; *numbers != NULL; numbers++)
        if (!json_is_number(json_object_get(entry, *numbers)))
            return false;
    return true;
}

/* Entries are found by their names (result_find): an array has each name once. */
static int array_check(const json_t *result, const char *name, const char *key,
                       const char *const *numbers, struct error *err)
{
    const json_t *array = json_object_get(result, key);
    json_t *entry, *seen;
    char what[120] = "";
    size_t i;

    if (!json_is_array(array)) {
        snprintf(what, sizeof(what), "its \"%s\" is no array", key);
        return result_bad(err, name, what);
    }
    seen = json_object();
    json_array_foreach(array, i, entry)
    {
        const char *own = json_string_value(json_object_get(entry, "name"));

        if (!entry_valid(entry, numbers))
            snprintf(what, sizeof(what), "entry %zu of its \"%s\" lacks a name or a number", i,
                     key);
        else if (json_object_get(seen, own) != NULL)
            snprintf(what, sizeof(what), "entry %zu of its \"%s\" has another's name", i, key);
        else if (json_object_set_new(seen, own, json_true()) == 0)
            continue;
        break;
    }
    json_decref(seen);
    return i < json_array_size(array) ? result_bad(err, name, what) : 0;
}

static int histograms_check(const json_t *result, const char *name, struct error *err)
{
    size_t i, j;
    json_t *entry, *bin;

    json_array_foreach(json_object_get(result, "calls"), i, entry)
    {
        const json_t *bins = json_object_get(entry, "histogram");

        if (result_na(entry) == NULL && json_array_size(bins) == 0)
            return result_bad(err, name, "a call of it has no histogram");
        json_array_foreach(bins, j, bin)
        {
            if (!json_is_number(json_array_get(bin, 0)) ||
                !json_is_integer(json_array_get(bin, 1)) ||
                json_integer_value(json_array_get(bin, 1)) <= 0)
                return result_bad(err, name,
                                  "a histogram of it holds something else than [ns, samples]");
        }
    }
    return 0;
}

static int shape_check(const json_t *result, const char *name, struct error *err)
{
    static const char *const statistics[] = {"samples", "p50", "p90",  "p99", "p99.9",
                                             "max",     "min", "mean", NULL};
    static const char *const indirect[] = {"alone", "after", "slowdown", NULL};
    static const char *const task[] = {"p50", "crossings", NULL};
    static const char *const derived[] = {"value", NULL};
    static const char *const none[] = {NULL};

    if (array_check(result, name, "calls", statistics, err) != 0 ||
        array_check(result, name, "ladder", statistics, err) != 0 ||
        array_check(result, name, "indirect", indirect, err) != 0 ||
        array_check(result, name, "tasks", task, err) != 0 ||
        array_check(result, name, "derived", derived, err) != 0 ||
        array_check(result, name, "targets", none, err) != 0)
        return -1;
    if (!json_is_object(json_object_get(result, "fingerprint")))
        return result_bad(err, name, "its \"fingerprint\" is no object");
    return histograms_check(result, name, err);
}

json_t *result_check(const char *name, const char *text, size_t size, struct error *err)
{
    json_error_t where;
    json_t *result = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *version = json_object_get(result, RESULT_KEY);

    if (result == NULL) {
        error_set(err, STATUS_DATA, "%s: line %d, column %d: %s; give a file that --json wrote",
                  name, where.line, where.column, where.text);
        return NULL;
    }
    if (!json_is_integer(version)) {
        result_bad(err, name, "it has no number \"" RESULT_KEY "\"");
    } else if (json_integer_value(version) != RESULT_VERSION) {
        error_set(err, STATUS_VERSION,
                  "%s: its format is version %lld, this Tollgate reads version %d; measure "
                  "again, or read it with the Tollgate that wrote it",
                  name, (long long)json_integer_value(version), RESULT_VERSION);
    } else if (shape_check(result, name, err) == 0) {
        return result;
    }
    json_decref(result);
    return NULL;
}

json_t *result_load(const char *path, struct error *err)
{
    struct host_file file;
    json_t *result;

    if (host_file_open(&file, "bench calls", path, RESULT_MAX, err) != 0)
        return NULL;
    result = result_check(path, (const char *)file.data, file.size, err);
    host_file_close(&file);
    return result;
}
