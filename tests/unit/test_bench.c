/* test_bench.c: bench calls: statistics, the probe's lines, results, comparison, phases. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bench/bench.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "vmm/bench/stats.h"
#include "vmm/host.h"
#include "vmm/phases.h"

#define CLOSE(a, b) CU_ASSERT_DOUBLE_EQUAL((a), (b), 1e-9)

/* --- statistics --- */

/* 1 to n, once each, the greatest first. */
static struct bench_hist hist_of(unsigned n)
{
    struct bench_hist hist = {0};

    for (unsigned i = n; i > 0; i--)
        CU_ASSERT_EQUAL(hist_add(&hist, i, 1), 0);
    hist_sort(&hist);
    return hist;
}

static void test_percentiles(void)
{
    struct bench_hist hist = hist_of(1000);

    CLOSE(hist_percentile(&hist, 0), 1);
    CLOSE(hist_percentile(&hist, 50), 500);
    CLOSE(hist_percentile(&hist, 90), 900);
    CLOSE(hist_percentile(&hist, 99), 990);
    CLOSE(hist_percentile(&hist, 99.9), 999);
    CLOSE(hist_percentile(&hist, 99.91), 1000);
    CLOSE(hist_percentile(&hist, 100), 1000);
    CLOSE(hist_mean(&hist), 500.5);
    hist_free(&hist);

    hist = hist_of(1);
    CLOSE(hist_percentile(&hist, 0), 1);
    CLOSE(hist_percentile(&hist, 99.9), 1);
    CLOSE(hist_midmean(&hist), 1);
    hist_free(&hist);
    CU_ASSERT_PTR_NULL(hist.bin);
}

static void test_counts_weigh(void)
{
    struct bench_hist hist = {0};

    hist_add(&hist, 30, 1);
    hist_add(&hist, 10, 90);
    hist_add(&hist, 20, 4);
    hist_add(&hist, 20, 5);
    hist_add(&hist, 40, 0);
    hist_sort(&hist);
    CU_ASSERT_EQUAL(hist.nbins, 3);
    CU_ASSERT_EQUAL(hist.total, 100);
    CU_ASSERT_EQUAL(hist.bin[1].count, 9);
    CLOSE(hist_percentile(&hist, 90), 10);
    CLOSE(hist_percentile(&hist, 90.5), 20);
    CLOSE(hist_percentile(&hist, 99), 20);
    CLOSE(hist_percentile(&hist, 99.9), 30);
    CLOSE(hist_mean(&hist), 11.1);
    hist_free(&hist);
}

static void test_midmean(void)
{
    struct bench_hist hist = {0};

    /* Of eight samples the middle four count: 10, 10, 20, 20. */
    hist_add(&hist, 0, 2);
    hist_add(&hist, 10, 2);
    hist_add(&hist, 20, 2);
    hist_add(&hist, 1e9, 2);
    hist_sort(&hist);
    CLOSE(hist_midmean(&hist), 15);
    hist_free(&hist);

    /* Of two, half of each. */
    hist_add(&hist, 10, 1);
    hist_add(&hist, 20, 1);
    hist_sort(&hist);
    CLOSE(hist_midmean(&hist), 15);
    hist_free(&hist);
}

static void test_scale(void)
{
    struct bench_hist hist = {0};

    hist_add(&hist, 5, 1);
    hist_add(&hist, 7, 2);
    hist_add(&hist, 110, 3);
    hist_sort(&hist);
    hist_scale(&hist, 10, 4); /* what falls below 0 becomes one bin */
    CU_ASSERT_EQUAL(hist.nbins, 2);
    CLOSE(hist.bin[0].value, 0);
    CU_ASSERT_EQUAL(hist.bin[0].count, 3);
    CLOSE(hist.bin[1].value, 25);
    hist_free(&hist);
}

static void test_numbers_for_people(void)
{
    char text[NUMBER_TEXT];

    CU_ASSERT_STRING_EQUAL(number_text(text, 0), "0");
    CU_ASSERT_STRING_EQUAL(number_text(text, 0.01234), "0.0123");
    CU_ASSERT_STRING_EQUAL(number_text(text, 21.876), "21.88");
    CU_ASSERT_STRING_EQUAL(number_text(text, 123456.7), "123457");
    CU_ASSERT_STRING_EQUAL(time_text(text, 340), "340.0 ns");
    CU_ASSERT_STRING_EQUAL(time_text(text, 1204), "1.20 µs");
    CU_ASSERT_STRING_EQUAL(time_text(text, 8.1e6), "8.10 ms");
    CU_ASSERT_STRING_EQUAL(time_text(text, 5e13), "50000 s");
}

/* --- the probe's lines --- */

#define BEGIN    "@latency {\"begin\":1,\"timebase_hz\":10000000,\"quick\":false,\"sbi_impl\":1}\n"
#define END      "@latency {\"end\":true}\n"
#define INDIRECT "@latency {\"indirect\":\"a\",\"alone\":[[1,1]],\"after\":[[2,1]]}\n"
#define CALL(name, batch, per, ticks, empty)                                                   \
    "@latency {\"call\":\"" name "\",\"batch\":" batch ",\"per\":" per ",\"ticks\":" ticks     \
    ",\"empty\":" empty "}\n"
#define BASE CALL("sbi.base.get_spec_version", "100", "1", "[[30,8],[60,2]]", "[[10,4]]")

static json_t *parsed(const char *text, enum result_answer answer, struct error *err)
{
    return result_parse("lines", text, strlen(text), answer, err);
}

static void test_parse(void)
{
    static const char text[] =
        "OpenSBI v1.5\r\n...\n" BEGIN BASE
        "....\n" CALL("tg.multicall:null:1", "10", "1", "[[5,1]]", "[[0,1]]")
            CALL("tg.multicall:null:32", "10", "32", "[[36,1]]",
                 "[[0,1]]") "@latency {\"call\":\"uart.lsr\",\"na\":\"no UART\"}\n"
                            "@latency "
                            "{\"task\":\"direct\",\"batch\":10,\"per\":1,"
                            "\"crossings\":0,\"ticks\":[[20,3]],\"empty\":[[0,1]]}"
                            "\r\n"
                            "@latency "
                            "{\"indirect\":\"function\",\"alone\":[[10,4]],"
                            "\"after\":[[12,4]]}\n" END;
    struct error err = {0};
    json_t *result = parsed(text, ANSWER_FIRMWARE, &err), *entry;

    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    /* (30 - 10) ticks of 100 ns, by 100 calls. */
    entry = result_find(result, "calls", "sbi.base.get_spec_version");
    CLOSE(result_p50(entry), 20);
    CLOSE(json_number_value(json_object_get(entry, "p90")), 50);
    CLOSE(json_number_value(json_object_get(entry, "mean")), 26);
    CLOSE(json_number_value(json_object_get(entry, "empty")), 10);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(entry, "samples")), 10);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(entry, "histogram")), 2);
    entry = result_find(result, "calls", "uart.lsr");
    CU_ASSERT_STRING_EQUAL(result_na(entry), "no UART");
    CLOSE(result_p50(entry), -1);
    entry = result_find(result, "indirect", "function");
    CLOSE(json_number_value(json_object_get(entry, "slowdown")), 200);
    CLOSE(json_number_value(json_object_get(entry, "percent")), 20);
    entry = result_find(result, "tasks", "direct");
    CLOSE(result_p50(entry), 200);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(entry, "crossings")), 0);
    /* (360 - 50) ns by 31 calls. */
    entry = result_find(result, "derived", "multicall slope");
    CLOSE(json_number_value(json_object_get(entry, "value")), 10);
    entry = result_find(result, "targets", "multicall slope");
    CU_ASSERT(json_is_false(json_object_get(entry, "met")));
    entry = result_find(result, "targets", "SBI Base call");
    CU_ASSERT(json_is_true(json_object_get(entry, "met")));
    CU_ASSERT_PTR_NOT_NULL(result_na(result_find(result, "targets", "console 4 KiB write")));
    json_decref(result);
}

/* Who answers decides what Base's call stands for; steps that are not there say why. */
static void test_ladder(void)
{
    struct error err = {0};
    json_t *result = parsed(BEGIN BASE END, ANSWER_MODULES, &err);

    CLOSE(result_p50(result_find(result, "ladder", "SBI call to a module")), 20);
    CU_ASSERT_PTR_NOT_NULL(
        result_na(result_find(result, "ladder", "call answered below the monitor")));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(result, "ladder")), 8);
    json_decref(result);

    result = parsed(BEGIN BASE END, ANSWER_BELOW, &err);
    CLOSE(result_p50(result_find(result, "ladder", "call answered below the monitor")), 20);
    CU_ASSERT_PTR_NOT_NULL(result_na(result_find(result, "ladder", "SBI call to a module")));
    CU_ASSERT_EQUAL(json_array_size(json_object_get(result, "ladder")), 8);
    json_decref(result);

    result = parsed(BEGIN BASE END, ANSWER_FIRMWARE, &err);
    CLOSE(result_p50(result_find(result, "ladder", "SBI call to the firmware")), 20);
    CU_ASSERT_EQUAL(json_array_size(json_object_get(result, "ladder")), 8);
    json_decref(result);
    CU_ASSERT_EQUAL(err.status, 0);
}

/* A step that carries a batch is told for each of its calls. */
static void test_ladder_batch(void)
{
    struct error err = {0};
    json_t *result =
        parsed(BEGIN CALL("tg.multicall:write:32", "1", "32", "[[32,5]]", "[[0,1]]") END,
               ANSWER_MODULES, &err);

    CLOSE(result_p50(result_find(result, "ladder", "the same, 32 in a batch")), 100);
    CLOSE(result_p50(result_find(result, "calls", "tg.multicall:write:32")), 3200);
    json_decref(result);
}

static void refused(const char *text, enum tg_status status, const char *words)
{
    struct error err = {0};
    json_t *result = parsed(text, ANSWER_MODULES, &err);

    CU_ASSERT_PTR_NULL(result);
    CU_ASSERT_EQUAL(err.status, status);
    if (strstr(err.text, words) == NULL)
        CU_FAIL("the message lacks its words");
    json_decref(result);
}

static void test_parse_refuses(void)
{
    refused("", STATUS_DATA, "no lines of the probe");
    refused("Hello\n", STATUS_DATA, "no lines of the probe");
    refused(BEGIN BASE, STATUS_DATA, "cut short");
    refused(BASE END, STATUS_DATA, "before its first one");
    refused("@latency {\"begin\":2,\"timebase_hz\":1}\n" END, STATUS_VERSION, "version");
    refused("@latency {\"begin\":1}\n" END, STATUS_DATA, "clock");
    refused("@latency {\"begin\":1,\"timebase_hz\":-5}\n" END, STATUS_DATA, "clock");
    refused(BEGIN "@latency {\"call\n" END, STATUS_DATA, "no JSON");
    refused(BEGIN "@latency {\"task\":\"a\",\"na\":\"b\"}\n"
                  "@latency {\"task\":\"a\",\"na\":\"b\"}\n" END,
            STATUS_DATA, "an earlier one");
    refused(BEGIN INDIRECT INDIRECT END, STATUS_DATA, "an earlier one");
    refused(BEGIN "@latency []\n" END, STATUS_DATA, "no JSON");
    refused(BEGIN CALL("x", "0", "1", "[[1,1]]", "[[1,1]]") END, STATUS_DATA, "batch");
    refused(BEGIN CALL("x", "1", "1", "[]", "[[1,1]]") END, STATUS_DATA, "empty histogram");
    refused(BEGIN CALL("x", "1", "1", "[[1,1]]", "0") END, STATUS_DATA, "empty histogram");
    refused(BEGIN CALL("x", "1", "1", "[[-1,1]]", "[[1,1]]") END, STATUS_DATA, "that is none");
    refused(BEGIN CALL("x", "1", "1", "[[1,0]]", "[[1,1]]") END, STATUS_DATA, "that is none");
    refused(BEGIN CALL("x", "1", "1", "[[1]]", "[[1,1]]") END, STATUS_DATA, "that is none");
    refused(BEGIN CALL("x", "1", "1", "[\"a\"]", "[[1,1]]") END, STATUS_DATA, "that is none");
}

/* --- results that are read back --- */

static json_t *result_sample(const char *ticks)
{
    struct error err = {0};
    char text[512];
    json_t *result;

    snprintf(text, sizeof(text),
             BEGIN "@latency {\"call\":\"a\",\"batch\":1,\"per\":1,\"ticks\":[[%s,1]],"
                   "\"empty\":[[0,1]]}\n"
                   "@latency {\"call\":\"b\",\"na\":\"no\"}\n" END,
             ticks);
    result = parsed(text, ANSWER_MODULES, &err);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result);
    json_object_set_new(result, "phases", result_absent("none"));
    json_object_set_new(result, "counters", result_absent("none"));
    json_object_set_new(result, "fingerprint",
                        json_pack("{s:s, s:s}", "label", "<one & \"two\">", "cpu", "x"));
    return result;
}

static void test_check_accepts_what_is_written(void)
{
    json_t *result = result_sample("100"), *again;
    char *text = json_dumps(result, 0);
    struct error err = {0};

    again = result_check("file", text, strlen(text), &err);
    CU_ASSERT_PTR_NOT_NULL(again);
    CU_ASSERT(json_equal(result, again));
    free(text);
    json_decref(again);
    json_decref(result);
}

static void check_refuses(json_t *result, enum tg_status status, const char *words)
{
    char *text = json_dumps(result, 0);
    struct error err = {0};

    CU_ASSERT_PTR_NULL(result_check("some.json", text, strlen(text), &err));
    CU_ASSERT_EQUAL(err.status, status);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "some.json"));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    free(text);
    json_decref(result);
}

static void test_check_refuses(void)
{
    static const char *const arrays[] = {"calls", "ladder",  "indirect",
                                         "tasks", "derived", "targets"};
    struct error err = {0};
    json_t *result;

    CU_ASSERT_PTR_NULL(result_check("some.json", "{\"a\": ", 6, &err));
    CU_ASSERT_EQUAL(err.status, STATUS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "line 1"));
    check_refuses(json_pack("{s:i}", "version", 1), STATUS_DATA, "no result of bench calls");
    check_refuses(json_pack("[i]", 1), STATUS_DATA, "no result of bench calls");
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        result = result_sample("100");
        json_object_del(result, arrays[i]);
        check_refuses(result, STATUS_DATA, arrays[i]);
        result = result_sample("100");
        json_array_append_new(json_object_get(result, arrays[i]), json_object());
        check_refuses(result, STATUS_DATA, "lacks a name or a number");
        result = result_sample("100");
        json_array_append_new(json_object_get(result, arrays[i]),
                              json_pack("{s:s, s:s}", "name", "twice", "na", "why"));
        json_array_append_new(json_object_get(result, arrays[i]),
                              json_pack("{s:s, s:s}", "name", "twice", "na", "why"));
        check_refuses(result, STATUS_DATA, "another's name");
    }
    result = result_sample("100");
    json_object_set_new(result, RESULT_KEY, json_integer(RESULT_VERSION + 1));
    check_refuses(result, STATUS_VERSION, "version 2");
    result = result_sample("100");
    json_object_del(result, "fingerprint");
    check_refuses(result, STATUS_DATA, "fingerprint");
    result = result_sample("100");
    json_object_set_new(result_find(result, "calls", "a"), "histogram", json_array());
    check_refuses(result, STATUS_DATA, "no histogram");
    result = result_sample("100");
    json_array_append_new(json_object_get(result_find(result, "calls", "a"), "histogram"),
                          json_pack("[i, i]", 1, -1));
    check_refuses(result, STATUS_DATA, "something else");

    memset(&err, 0, sizeof(err));
    CU_ASSERT_PTR_NULL(result_load("/nonexistent/file.json", &err));
    CU_ASSERT_EQUAL(err.status, STATUS_NO_INPUT);
}

/* --- comparison --- */

static const char *verdict_of(const json_t *comparison, const char *name)
{
    const json_t *row = result_find(comparison, "rows", name);

    return json_string_value(json_object_get(row, "verdict"));
}

static void compared(const char *a_ticks, const char *b_ticks, double threshold,
                     const char *verdict, int regressions)
{
    json_t *a = result_sample(a_ticks), *b = result_sample(b_ticks);
    json_t *comparison = bench_compare(a, b, threshold);

    CU_ASSERT_STRING_EQUAL(verdict_of(comparison, "a"), verdict);
    CU_ASSERT_STRING_EQUAL(verdict_of(comparison, "b"), "absent");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(comparison, "regressions")),
                    regressions);
    json_decref(comparison);
    json_decref(a);
    json_decref(b);
}

static void test_compare(void)
{
    compared("100", "111", 10, "regression", 1);
    compared("100", "110", 10, "same", 0);
    compared("100", "90", 10, "same", 0);
    compared("100", "89", 10, "better", 0);
    compared("100", "101", 0, "regression", 1);
    compared("100", "500", -1, "", 0);
}

/* What only one of them has is told, and is no regression. */
static void test_compare_missing(void)
{
    json_t *a = result_sample("100"), *b = result_sample("100"), *comparison;
    json_t *call = result_find(b, "calls", "a");

    json_object_set_new(call, "na", json_string("gone"));
    json_object_set_new(result_find(b, "calls", "b"), "p50", json_real(5));
    json_object_del(result_find(b, "calls", "b"), "na");
    json_array_append_new(json_object_get(b, "tasks"),
                          json_pack("{s:s, s:f}", "name", "direct", "p50", 3.0));
    comparison = bench_compare(a, b, 10);
    CU_ASSERT_STRING_EQUAL(verdict_of(comparison, "a"), "gone");
    CU_ASSERT_STRING_EQUAL(verdict_of(comparison, "b"), "new");
    CU_ASSERT_STRING_EQUAL(verdict_of(comparison, "task: direct"), "new");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(comparison, "regressions")), 0);
    json_decref(comparison);
    json_decref(a);
    json_decref(b);
}

/* --- pages --- */

/* What comes from files must not become markup; nothing is loaded from elsewhere. */
static void page_check(char *page)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(page);
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "&lt;one &amp; &quot;two&quot;&gt;"));
    CU_ASSERT_PTR_NULL(strstr(page, "<one"));
    CU_ASSERT_PTR_NULL(strstr(page, "http"));
    CU_ASSERT_PTR_NULL(strstr(page, "<script"));
    CU_ASSERT_PTR_NULL(strstr(page, "nan"));
    CU_ASSERT_PTR_NULL(strstr(page, "inf\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "prefers-color-scheme:dark"));
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "role=\"img\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(page, "</html>"));
    free(page);
}

static void test_pages(void)
{
    json_t *a = result_sample("100"), *b = result_sample("0");
    json_t *comparison = bench_compare(a, b, 10);

    page_check(bench_html(a));
    page_check(bench_html(b)); /* zero on a logarithmic scale */
    page_check(bench_html_compare(comparison));
    json_decref(comparison);
    json_decref(a);
    json_decref(b);
}

/* --- the command line --- */

static enum tg_status options_status(int argc, const char *const *argv)
{
    struct bench_options options;
    struct error err = {0};

    bench_options_parse(&options, argc, (char *const *)(uintptr_t)argv, &err);
    return err.status;
}

#define STATUS_OF(...)                                                                         \
    options_status((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),              \
                   (const char *[]){__VA_ARGS__})

static void test_options(void)
{
    const char *argv[] = {"--engine", "interp", "--quick",   "--json",
                          "-",        "--",     "--without", "plic"};
    struct bench_options options;
    struct error err = {0};

    CU_ASSERT_EQUAL(bench_options_parse(&options, 8, (char *const *)(uintptr_t)argv, &err), 0);
    CU_ASSERT_STRING_EQUAL(options.engine, "interp");
    CU_ASSERT_STRING_EQUAL(options.json, "-");
    CU_ASSERT(options.quick);
    CU_ASSERT_EQUAL(options.nrun_options, 2);
    CU_ASSERT_STRING_EQUAL(options.run_option[0], "--without");

    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a", "b", "--threshold", "5"), 0);
    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a", "b", "--quick"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--threshold", "5"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a", "b", "--threshold", "x"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a", "b", "--threshold", "-1"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--compare", "a", "b", "--threshold", "nan"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--parse", "a", "--engine", "interp"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--json", "-", "--html", "-"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--json"), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--json", ""), STATUS_USAGE);
    CU_ASSERT_EQUAL(STATUS_OF("--nosuch"), STATUS_USAGE);
}

/* --- time stamps --- */

static void crossing_stamp(struct phases *phases, const struct vm_exit *exit, bool handled)
{
    phases_stamp(phases, MARK_LEAVE);
    phases_gate(phases, exit);
    if (handled) {
        phases_stamp(phases, MARK_HANDLER);
        phases_stamp(phases, MARK_DONE);
    }
    phases_end(phases);
}

/* What is ours is its four phases, less what the stamps took, which never makes it longer. */
static void own_check(const struct phase_row *row)
{
    for (size_t i = 0; i < row->count; i++) {
        uint64_t sum = 0;

        for (enum phase phase = PHASE_LEAVE; phase <= PHASE_ENTER; phase++)
            sum += row->cycles[phase][i];
        CU_ASSERT(row->cycles[PHASE_OWN][i] <= sum);
    }
}

static void test_phases(void)
{
    const struct vm_exit call = {
        .kind = EXIT_CALL, .call = {.ext = 0x10, .fn = 0}
    };
    const struct vm_exit access = {.kind = EXIT_MMIO, .mmio = {.gpa = 0x10000005}};
    const struct vm_exit wait = {.kind = EXIT_WFI};
    struct phases *phases = phases_new(host_real());
    json_t *json, *entry;

    CU_ASSERT_PTR_NOT_NULL_FATAL(phases);
    for (unsigned i = 0; i < PHASE_SAMPLES + 10; i++)
        crossing_stamp(phases, &call, true);
    crossing_stamp(phases, &wait, false);
    for (unsigned i = 0; i < 200; i++)
        crossing_stamp(phases, &access, false);
    CU_ASSERT_EQUAL(phases->nrows, 2);
    CU_ASSERT_EQUAL(phases->rows[0].count, PHASE_SAMPLES);
    CU_ASSERT_EQUAL(phases->rows[1].count, 200);
    /* The first of its kind has none before it; who passed no handler has no handler's time. */
    CU_ASSERT_EQUAL(phases->rows[0].cycles[PHASE_ROUND][0], PHASE_NONE);
    CU_ASSERT_NOT_EQUAL(phases->rows[0].cycles[PHASE_ROUND][1], PHASE_NONE);
    CU_ASSERT_NOT_EQUAL(phases->rows[0].cycles[PHASE_HANDLER][1], PHASE_NONE);
    CU_ASSERT_EQUAL(phases->rows[1].cycles[PHASE_HANDLER][1], PHASE_NONE);
    own_check(&phases->rows[0]);
    CU_ASSERT_NOT_EQUAL(phases->rows[1].cycles[PHASE_OWN][1], PHASE_NONE);
    CU_ASSERT_EQUAL(phases->rows[1].cycles[PHASE_ROUND][0], PHASE_NONE);

    json = result_phases(phases, 1.0);
    entry = result_find(json, "calls", "sbi.base.get_spec_version");
    CU_ASSERT(result_p50(json_object_get(entry, "dispatch")) >= 0);
    entry = result_find(json, "calls", "uart.lsr");
    CU_ASSERT_PTR_NOT_NULL(result_na(json_object_get(entry, "handler")));
    json_decref(json);
    free(phases);
}

/* More kinds of exits than there are rows are not kept, and harm nothing. */
static void test_phases_full(void)
{
    struct phases *phases = phases_new(host_real());

    CU_ASSERT_PTR_NOT_NULL_FATAL(phases);
    for (unsigned i = 0; i < 2 * PHASE_ROWS; i++) {
        const struct vm_exit call = {.kind = EXIT_CALL, .call = {.ext = i}};

        crossing_stamp(phases, &call, true);
    }
    CU_ASSERT_EQUAL(phases->nrows, PHASE_ROWS);
    free(phases);
}

void suite_bench(void)
{
    CU_pSuite suite = CU_add_suite("bench", NULL, NULL);

    CU_add_test(suite, "percentiles are exact (nearest rank)", test_percentiles);
    CU_add_test(suite, "counts weigh, equal values join", test_counts_weigh);
    CU_add_test(suite, "the mean of the middle half", test_midmean);
    CU_add_test(suite, "the empty loop is taken off", test_scale);
    CU_add_test(suite, "numbers for people", test_numbers_for_people);
    CU_add_test(suite, "the probe's lines become figures", test_parse);
    CU_add_test(suite, "the ladder depends on who answers", test_ladder);
    CU_add_test(suite, "a batch counts for each call", test_ladder_batch);
    CU_add_test(suite, "lines that are none are refused", test_parse_refuses);
    CU_add_test(suite, "what is written is read again", test_check_accepts_what_is_written);
    CU_add_test(suite, "what is no result is refused", test_check_refuses);
    CU_add_test(suite, "a comparison finds regressions", test_compare);
    CU_add_test(suite, "a comparison tells what only one has", test_compare_missing);
    CU_add_test(suite, "pages escape, and need nothing from elsewhere", test_pages);
    CU_add_test(suite, "options, and those that contradict each other", test_options);
    CU_add_test(suite, "time stamps become phases", test_phases);
    CU_add_test(suite, "more kinds of exits than rows", test_phases_full);
}
