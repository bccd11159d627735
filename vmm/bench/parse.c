/* parse.c: from the probe's lines to a result. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/result.h"

#include <stdint.h>
#include <string.h>
#include "vmm/bench/stats.h"

#define PROBE_PREFIX  "@latency "
#define PROBE_VERSION 1
#define COUNT_MAX     1000000000 /* samples of one value: sums do not overflow */

struct parser {
    const char *name;
    enum result_answer answer;
    json_t *result;
    double tick_ns; /* 0: the first line has not come */
    bool ended;
    struct error *err;
};

static int line_bad(struct parser *p, const char *what)
{
    return error_set(p->err, STATUS_DATA, "%s: a line of the probe %s", p->name, what);
}

static json_t *array_of(struct parser *p, const char *key)
{
    return json_object_get(p->result, key);
}

/* [[ticks, samples], ...] in ns. */
static int hist_parse(struct parser *p, const json_t *bins, struct bench_hist *hist)
{
    size_t i;
    json_t *bin;

    json_array_foreach(bins, i, bin)
    {
        const json_t *ticks = json_array_get(bin, 0), *count = json_array_get(bin, 1);

        if (!json_is_integer(ticks) || !json_is_integer(count) ||
            json_integer_value(ticks) < 0 || json_integer_value(count) <= 0 ||
            json_integer_value(count) > COUNT_MAX)
            return line_bad(p, "has a histogram that is none");
        if (hist_add(hist, (double)json_integer_value(ticks) * p->tick_ns,
                     (uint64_t)json_integer_value(count)) != 0)
            return error_set(p->err, STATUS_OS, "no memory for the histograms");
    }
    hist_sort(hist);
    return hist->total == 0 ? line_bad(p, "has an empty histogram") : 0;
}

/* One number of a line, above 0. */
static double number_of(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);

    return json_is_integer(value) && json_integer_value(value) > 0
               ? (double)json_integer_value(value)
               : 0;
}

static json_t *hist_json(const struct bench_hist *hist)
{
    json_t *bins = json_array();

    for (size_t i = 0; i < hist->nbins; i++)
        json_array_append_new(
            bins, json_pack("[f, I]", hist->bin[i].value, (json_int_t)hist->bin[i].count));
    return bins;
}

/* Samples without the empty loop, of one crossing each. */
static int crossing_parse(struct parser *p, const json_t *line, const char *array,
                          const char *name)
{
    struct bench_hist ticks = {0}, empty = {0};
    double batch = number_of(line, "batch"), per = number_of(line, "per"), loop;
    json_t *entry;
    int ret = hist_parse(p, json_object_get(line, "ticks"), &ticks);

    if (ret == 0)
        ret = hist_parse(p, json_object_get(line, "empty"), &empty);
    if (ret == 0 && (batch == 0 || per == 0))
        ret = line_bad(p, "lacks its batch");
    if (ret == 0) {
        loop = hist_midmean(&empty);
        hist_scale(&ticks, loop, batch);
        entry = result_statistics(&ticks);
        json_object_set_new(entry, "name", json_string(name));
        json_object_set_new(entry, "unit", json_string("ns"));
        json_object_set_new(entry, "batch", json_real(batch));
        json_object_set_new(entry, "per", json_real(per));
        json_object_set_new(entry, "empty", json_real(loop / batch));
        json_object_set_new(entry, "midmean", json_real(hist_midmean(&ticks)));
        if (json_is_integer(json_object_get(line, "crossings")))
            json_object_set(entry, "crossings", json_object_get(line, "crossings"));
        json_object_set_new(entry, "histogram", hist_json(&ticks));
        json_array_append_new(array_of(p, array), entry);
    }
    hist_free(&ticks);
    hist_free(&empty);
    return ret;
}

static int indirect_parse(struct parser *p, const json_t *line, const char *name)
{
    struct bench_hist alone = {0}, after = {0};
    int ret = hist_parse(p, json_object_get(line, "alone"), &alone);

    if (ret == 0)
        ret = hist_parse(p, json_object_get(line, "after"), &after);
    if (ret == 0) {
        double before = hist_midmean(&alone), behind = hist_midmean(&after);

        json_array_append_new(array_of(p, "indirect"),
                              json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", name, "alone",
                                        before, "after", behind, "slowdown", behind - before,
                                        "percent",
                                        before > 0 ? 100.0 * (behind - before) / before : 0.0));
    }
    hist_free(&alone);
    hist_free(&after);
    return ret;
}

static int begin_parse(struct parser *p, const json_t *line)
{
    static const char *const kept[] = {"timebase_hz",      "quick",    "sbi_impl",
                                       "sbi_impl_version", "sbi_spec", NULL};
    double hz = number_of(line, "timebase_hz");
    json_t *probe = json_object();

    if (json_integer_value(json_object_get(line, "begin")) != PROBE_VERSION) {
        json_decref(probe);
        error_set(p->err, STATUS_VERSION,
                  "%s: the probe's lines are of another version than this Tollgate reads (%d); "
                  "run the probe of the same build",
                  p->name, PROBE_VERSION);
        return -1;
    }
    for (size_t i = 0; kept[i] != NULL; i++)
        json_object_set(probe, kept[i], json_object_get(line, kept[i]));
    json_object_set_new(p->result, "probe", probe);
    if (hz == 0)
        return line_bad(p, "does not say how fast its clock is");
    p->tick_ns = 1e9 / hz;
    return 0;
}

static int line_parse(struct parser *p, const json_t *line)
{
    static const struct {
        const char *key, *array;
    } kinds[] = {
        {"call", "calls"},
        {"task", "tasks"},
    };
    const char *na = result_na(line), *name;

    if (json_object_get(line, "begin") != NULL)
        return begin_parse(p, line);
    if (json_object_get(line, "end") != NULL) {
        p->ended = true;
        return 0;
    }
    if (p->tick_ns == 0)
        return line_bad(p, "comes before its first one");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        name = json_string_value(json_object_get(line, kinds[i].key));
        if (name == NULL)
            continue;
        if (result_find(p->result, kinds[i].array, name) != NULL)
            return line_bad(p, "measures what an earlier one did");
        if (na == NULL)
            return crossing_parse(p, line, kinds[i].array, name);
        json_array_append_new(array_of(p, kinds[i].array),
                              json_pack("{s:s, s:s}", "name", name, "na", na));
        return 0;
    }
    name = json_string_value(json_object_get(line, "indirect"));
    if (name == NULL)
        return 0;
    if (result_find(p->result, "indirect", name) != NULL)
        return line_bad(p, "measures what an earlier one did");
    return indirect_parse(p, line, name);
}

/* --- what follows from the calls --- */

/* The statistics of a call, each divided by `per`, as a step of the ladder. */
static void step_add(struct parser *p, const char *step, const char *call, const char *answered,
                     bool each)
{
    static const char *const numbers[] = {"samples", "p50", "p90", "p99",
                                          "p99.9",   "max", "min", "mean"};
    const json_t *from = result_find(p->result, "calls", call);
    double per = each ? json_number_value(json_object_get(from, "per")) : 1;
    json_t *entry =
        json_pack("{s:s, s:s, s:s}", "name", step, "call", call, "answered_by", answered);

    if (from == NULL)
        json_object_set_new(entry, "na", json_string("the probe did not report it"));
    else if (result_na(from) != NULL)
        json_object_set(entry, "na", json_object_get(from, "na"));
    for (size_t i = 0; result_na(entry) == NULL && i < sizeof(numbers) / sizeof(numbers[0]);
         i++) {
        double value = json_number_value(json_object_get(from, numbers[i]));

        json_object_set_new(entry, numbers[i],
                            i == 0 ? json_integer((json_int_t)value) : json_real(value / per));
    }
    json_array_append_new(array_of(p, "ladder"), entry);
}

static void step_add_absent(struct parser *p, const char *step, const char *why)
{
    json_array_append_new(array_of(p, "ladder"),
                          json_pack("{s:s, s:s}", "name", step, "na", why));
}

static void ladder_build(struct parser *p)
{
    const char *base = "sbi.base.get_spec_version";

    const bool x86 = result_find(p->result, "calls", "user.int80") != NULL;

    step_add(p, "function call", "function", "guest", false);
    if (x86) {
        step_add(p, "int 0x80 to the guest kernel", "user.int80", "guest kernel", false);
        step_add(p, "sysenter to the guest kernel", "user.sysenter", "guest kernel", false);
        step_add(p, "syscall to the guest kernel", "user.syscall", "guest kernel", false);
    } else {
        step_add(p, "U-mode ecall to the guest kernel", "user.ecall", "guest kernel", false);
    }
    switch (p->answer) {
    case ANSWER_BELOW:
        step_add(p, "call answered below the monitor", base, "KVM", false);
        step_add_absent(p, "SBI call to a module", "this engine lets KVM answer SBI Base");
        break;
    case ANSWER_FIRMWARE:
        step_add_absent(p, "call answered below the monitor",
                        "firmware inside the guest answers every SBI call");
        step_add(p, "SBI call to the firmware", base, "firmware", false);
        break;
    case ANSWER_MODULES:
        step_add_absent(p, "call answered below the monitor",
                        "this engine brings every call to the monitor");
        step_add(p, "SBI call to a module", base, "module", false);
        break;
    }
    step_add(p, x86 ? "null call by the PIO doorbell" : "null call to a module", "tg.base.null",
             "module", false);
    if (x86)
        step_add(p, "null call by the MMIO doorbell", "bell.null", "module", false);
    step_add(p, "call to the host", "sbi.dbcn.write:1", "host", false);
    step_add(p, "the same, 32 in a batch", "tg.multicall:write:32", "host", true);
    step_add(p, "device exit (UART LSR)", "uart.lsr", "device", false);
}

static void derived_add(struct parser *p, const char *name, const char *unit, double value,
                        const char *na)
{
    json_t *entry = json_pack("{s:s, s:s}", "name", name, "unit", unit);

    if (na != NULL)
        json_object_set_new(entry, "na", json_string(na));
    else
        json_object_set_new(entry, "value", json_real(value));
    json_array_append_new(array_of(p, "derived"), entry);
}

static void derived_build(struct parser *p)
{
    const json_t *one = result_find(p->result, "calls", "tg.multicall:null:1");
    const json_t *many = result_find(p->result, "calls", "tg.multicall:null:32");
    const json_t *block = result_find(p->result, "calls", "sbi.dbcn.write:4096");
    const char *unreported = "the probe did not report it";

    if (result_p50(one) < 0 || result_p50(many) < 0)
        derived_add(p, "multicall slope", "ns per call", 0,
                    result_na(many) != NULL ? result_na(many) : unreported);
    else
        derived_add(p, "multicall slope", "ns per call",
                    (result_p50(many) - result_p50(one)) / 31.0, NULL);
    if (result_p50(block) < 0)
        derived_add(p, "console 4 KiB write", "ns per byte", 0,
                    result_na(block) != NULL ? result_na(block) : unreported);
    else
        derived_add(p, "console 4 KiB write", "ns per byte", result_p50(block) / 4096.0, NULL);
}

/* The project's own limits, for the interpreter in a release build. */
static void targets_build(struct parser *p)
{
    static const struct {
        const char *name, *array, *entry, *unit;
        double limit;
    } targets[] = {
        {"SBI Base call",       "calls",   "sbi.base.get_spec_version", "ns",          25},
        {"null call",           "calls",   "tg.base.null",              "ns",          30},
        {"multicall slope",     "derived", "multicall slope",           "ns per call", 8 },
        {"console 4 KiB write", "derived", "console 4 KiB write",       "ns per byte", 1 },
    };

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const json_t *from = result_find(p->result, targets[i].array, targets[i].entry);
        json_t *entry = json_pack("{s:s, s:s, s:f}", "name", targets[i].name, "unit",
                                  targets[i].unit, "limit", targets[i].limit);
        double value = result_p50(from);

        if (json_is_number(json_object_get(from, "value")))
            value = json_number_value(json_object_get(from, "value"));
        if (value < 0) {
            const char *na = result_na(from);

            json_object_set_new(entry, "na", json_string(na ? na : "not measured"));
        } else {
            json_object_set_new(entry, "value", json_real(value));
            json_object_set_new(entry, "met", json_boolean(value <= targets[i].limit));
        }
        json_array_append_new(array_of(p, "targets"), entry);
    }
}

/* --- the whole --- */

static int text_parse(struct parser *p, const char *text, size_t size)
{
    const size_t prefix = strlen(PROBE_PREFIX);
    const char *end = text + size;

    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((stop != NULL ? stop : end) - text);

        if (len > prefix && memcmp(text, PROBE_PREFIX, prefix) == 0) {
            json_t *line = json_loadb(text + prefix, len - prefix, 0, NULL);
            int ret = json_is_object(line) ? line_parse(p, line) : line_bad(p, "is no JSON");

            json_decref(line);
            if (ret != 0)
                return ret;
        }
        text += len + (stop != NULL);
    }
    if (p->tick_ns == 0)
        return error_set(p->err, STATUS_DATA,
                         "%s: there are no lines of the probe (they begin with @latency); give "
                         "the console output of a guest that is the probe",
                         p->name);
    if (!p->ended)
        return error_set(p->err, STATUS_DATA,
                         "%s: the probe did not come to its end; its output is cut short",
                         p->name);
    return 0;
}

json_t *result_parse(const char *name, const char *text, size_t size, enum result_answer answer,
                     struct error *err)
{
    static const char *const arrays[] = {"calls",   "ladder",  "indirect", "tasks",
                                         "derived", "targets", NULL};
    struct parser p = {.name = name, .answer = answer, .err = err};

    p.result = json_pack("{s:i}", RESULT_KEY, RESULT_VERSION);
    for (size_t i = 0; arrays[i] != NULL; i++)
        json_object_set_new(p.result, arrays[i], json_array());
    if (text_parse(&p, text, size) != 0) {
        json_decref(p.result);
        return NULL;
    }
    ladder_build(&p);
    derived_build(&p);
    targets_build(&p);
    return p.result;
}
