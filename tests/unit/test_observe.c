/* test_observe.c: histograms, symbols, trace lines and their sink, and what the gate tells. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/observe.h"
#include "vmm/stats.h"
#include "vmm/symbols.h"
#include "vmm/trace.h"

extern const struct module module_sbi_base, module_sbi_dbcn;

/* --- histograms --- */

static void test_percentiles(void)
{
    struct histogram h = {0};

    CU_ASSERT_EQUAL(histogram_percentile(&h, 50), 0);
    for (uint64_t ns = 1; ns <= 10; ns++)
        histogram_add(&h, ns);
    CU_ASSERT_EQUAL(histogram_percentile(&h, 50), 5);
    CU_ASSERT_EQUAL(histogram_percentile(&h, 90), 9);
    CU_ASSERT_EQUAL(histogram_percentile(&h, 99), 10);
    CU_ASSERT_EQUAL(histogram_percentile(&h, 100), 10);
    CU_ASSERT_EQUAL(h.count, 10);
    CU_ASSERT_EQUAL(h.sum, 55);
}

/* Every value lies in its bucket: the bound is not below it, and at most an eighth above. */
static void test_buckets(void)
{
    static const uint64_t around[] = {
        0, 1, 15, 16, 17, 31, 32, 33, 1000, 123456789, UINT32_MAX, INT64_MAX, UINT64_MAX - 1};

    for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++) {
        struct histogram h = {0};

        histogram_add(&h, around[i]);
        histogram_add(&h, UINT64_MAX);
        uint64_t bound = histogram_percentile(&h, 50);
        CU_ASSERT(bound >= around[i]);
        CU_ASSERT(bound - around[i] <= around[i] / 8);
    }
}

static void test_histogram_merge(void)
{
    struct histogram a = {0}, b = {0};

    for (unsigned i = 0; i < 100; i++)
        histogram_add(i < 50 ? &a : &b, i % 10);
    b.bucket[3] = UINT32_MAX - 1; /* adding does not wrap */
    histogram_merge(&a, &b);
    CU_ASSERT_EQUAL(a.count, 100);
    CU_ASSERT_EQUAL(a.max, 9);
    CU_ASSERT_EQUAL(a.bucket[3], UINT32_MAX);
    CU_ASSERT_EQUAL(a.bucket[4], 10);
}

/* The printed or JSON form of what two harts counted. */
static void test_stats(void)
{
    struct stats *a = stats_create(), *b = stats_create();
    struct symbols none = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(a);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    stats_count(a, STATS_CALL, "tg.base.null", true, 7);
    stats_count(b, STATS_CALL, "tg.base.null", true, 9);
    stats_count(b, STATS_CALL, "sbi.dbcn.write", true, 5000);
    stats_count(b, STATS_CAUSE, "irq s-timer", false, 0);
    stats_pc(a, 0x80001000, "tg.base.null");
    stats_pc(b, 0x80001000, "tg.base.null");
    stats_merge(a, b);
    json_t *json = stats_json(a, &none);
    const json_t *first = json_array_get(json_object_get(json, "calls"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "name")), "tg.base.null");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "count")), 2);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "p50_ns")), 7);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(first, "max_ns")), 9);
    const json_t *cause = json_array_get(json_object_get(json, "causes"), 0);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(cause, "count")), 1);
    CU_ASSERT_PTR_NULL(json_object_get(cause, "p50_ns"));
    const json_t *pc = json_array_get(json_object_get(json, "pcs"), 0);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(pc, "pc")), "0x80001000");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(pc, "count")), 2);
    stats_print(a, &none, out);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "sbi.dbcn.write"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "5.00 us"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "0x0000000080001000"));
    free(text);
    json_decref(json);
    stats_destroy(a);
    stats_destroy(b);
}

/* More pcs than there is room for are counted all the same. */
static void test_pcs_overflow(void)
{
    struct stats *s = stats_create();
    struct symbols none = {0};
    uint64_t told = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(s);
    for (uint64_t pc = 0; pc < 10000; pc++)
        stats_pc(s, 4 * pc, "mmio");
    json_t *json = stats_json(s, &none), *pcs = json_object_get(json, "pcs");
    for (size_t i = 0; i < json_array_size(pcs); i++)
        told += (uint64_t)json_integer_value(json_object_get(json_array_get(pcs, i), "count"));
    CU_ASSERT_EQUAL(told + (uint64_t)json_integer_value(json_object_get(json, "pcs_not_told")),
                    10000);
    json_decref(json);
    stats_destroy(s);
}

/* --- symbols --- */

static void test_system_map(void)
{
    static const char map[] = "ffffffff80000000 T _start\n"
                              "ffffffff80001000 t first\n"
                              "ffffffff80001000 T second\n"
                              "ffffffff80002000 D data\n"
                              "no line at all\n"
                              "ffffffff80003000 T $x\n"
                              "ffffffff80004000 W bad\x1bname";
    struct symbols s;
    struct error err = {0};
    char text[40];

    CU_ASSERT_EQUAL_FATAL(symbols_parse(&s, "map", (const uint8_t *)map, sizeof(map) - 1, &err),
                          0);
    CU_ASSERT_EQUAL(symbols_name(&s, UINT64_C(0xffffffff80001000), text, sizeof(text)), 5);
    CU_ASSERT_STRING_EQUAL(text, "first");
    symbols_name(&s, UINT64_C(0xffffffff80002010), text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "first+0x1010");
    symbols_name(&s, UINT64_C(0xffffffff80004004), text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, "bad?name+0x4");
    CU_ASSERT_EQUAL(symbols_name(&s, 0x1000, text, sizeof(text)), 0);
    CU_ASSERT_EQUAL(symbols_name(&s, UINT64_MAX, text, sizeof(text)), 0);
    symbols_free(&s);
    CU_ASSERT_EQUAL(symbols_parse(&s, "map", (const uint8_t *)"x", 1, &err), -EINVAL);
    CU_ASSERT_EQUAL(err.status, STATUS_DATA);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no symbols"));
}

/* --- lines --- */

static struct trace_line line_empty(void)
{
    struct trace_line line;

    memset(&line, 0, sizeof(line));
    return line;
}

static void test_strings(void)
{
    struct trace_line line = line_empty();

    trace_add_string(&line, (const uint8_t *)"a\"\\\n\t\r\x01\x7f", 8, 48);
    CU_ASSERT_STRING_EQUAL(line.text, "\"a\\\"\\\\\\n\\t\\r\\x01\\x7f\"");
    line = line_empty();
    trace_add_string(&line, (const uint8_t *)"abcdef", 6, 3);
    CU_ASSERT_STRING_EQUAL(line.text, "\"abc\"...");
}

static void test_long_line(void)
{
    struct trace_line line = line_empty();

    for (unsigned i = 0; i < 1000; i++)
        trace_add(&line, "%u ", i);
    CU_ASSERT_TRUE(line.cut);
    CU_ASSERT(line.len < sizeof(line.text));
    CU_ASSERT_STRING_EQUAL(line.text + line.len - 3, "...");
}

static void test_linux_calls(void)
{
    const uint64_t args[6] = {1, 0x7ffffff0, 5};
    struct trace_line line = line_empty();

    trace_add_linux_call(&line, 64, args);
    CU_ASSERT_STRING_EQUAL(line.text, "write(1, 0x7ffffff0, 5)");
    line = line_empty();
    trace_add_linux_call(&line, 5000, args);
    CU_ASSERT_STRING_EQUAL(line.text, "call 5000(1, 0x7ffffff0, 5, 0, 0, 0)");
    CU_ASSERT_PTR_NULL(trace_linux_name(UINT64_MAX));
    line = line_empty();
    trace_add_result(&line, -2);
    CU_ASSERT_STRING_EQUAL(line.text, " = -2");
}

static void test_watch_words(void)
{
    struct error err = {0};
    unsigned mask;

    CU_ASSERT_EQUAL(watch_parse("calls,mmio", &mask, &err), 0);
    CU_ASSERT_EQUAL(mask, WATCH_CALLS | WATCH_MMIO);
    CU_ASSERT_EQUAL(watch_parse("all", &mask, &err), 0);
    CU_ASSERT_EQUAL(mask, WATCH_CALLS | WATCH_MMIO | WATCH_ENGINE);
    CU_ASSERT_EQUAL(watch_parse("calls,,mmio", &mask, &err), -EINVAL);
    CU_ASSERT_EQUAL(watch_parse("", &mask, &err), -EINVAL);
    err = (struct error){0};
    CU_ASSERT_EQUAL(watch_parse("call", &mask, &err), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "'call'"));
}

/* --- through the gate --- */

static struct fixture f;

/* A VM with SBI Base and DBCN whose trace goes to a pipe; returns the end to read from. */
static int watched(unsigned trace, char fd_name[16])
{
    int ends[2];

    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    snprintf(fd_name, 16, "fd:%d", ends[1]);
    fixture_init(&f, START_KERNEL, 1, CONSOLE_SBI);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_sbi_base, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_sbi_dbcn, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    f.config.trace = trace;
    f.config.trace_file = fd_name;
    CU_ASSERT_EQUAL_FATAL(observer_create(&f.vm, &f.err), 0);
    close(ends[1]);
    return ends[0];
}

static void call(uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1)
{
    struct vm_exit exit = {
        .kind = EXIT_CALL,
        .call = {.ext = ext, .fn = fn, .arg = {a0, a1}},
    };

    CU_ASSERT_EQUAL(vm_gate(&f.hart[0], &exit), GATE_CONTINUE);
}

/* The mock host takes what is written; real durations never come near it. */
static bool traced(const char *text)
{
    f.mock.out[f.mock.out_len] = '\0';
    bool found = strstr((const char *)f.mock.out, text) != NULL;
    if (!found)
        fprintf(stderr, "no '%s' in: %s\n", text, (const char *)f.mock.out);
    return found;
}

static void test_calls_traced(void)
{
    char name[16];
    int end = watched(WATCH_CALLS, name);
    struct error err = {0};

    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, FIXTURE_RAM, "hi\n", 3), 0);
    call(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, SBI_EXT_DBCN, 0);
    call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 3, FIXTURE_RAM);
    call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 3, 0x10);
    call(0x1234, 7, 0, 0);
    CU_ASSERT_EQUAL(observer_finish(&f.vm, stderr, &err), 0);
    CU_ASSERT_TRUE(traced("hart0 0.000000 sbi.base.probe_extension("));
    CU_ASSERT_TRUE(traced("sbi.dbcn.write("));
    CU_ASSERT_TRUE(traced("\"hi\\n\""));
    CU_ASSERT_TRUE(traced(" = 3 <0.0us>\n"));
    CU_ASSERT_TRUE(traced(" = INVALID_PARAM <"));
    CU_ASSERT_TRUE(traced("call 0x1234[7]() = NOT_SUPPORTED"));
    observer_destroy(&f.vm);
    fixture_destroy(&f);
    close(end);
}

/* A disk that is full: the guest runs on, the loss is told. */
static void test_trace_lost(void)
{
    char name[16];
    int end = watched(WATCH_CALLS, name);
    struct error err = {0};

    mock_write_result(&f.mock, -EINTR);
    mock_write_result(&f.mock, 5);
    mock_write_result(&f.mock, -ENOSPC);
    call(SBI_EXT_BASE, 0, 0, 0);
    call(SBI_EXT_BASE, 0, 0, 0);
    CU_ASSERT_EQUAL(observer_finish(&f.vm, stderr, &err), -ENOSPC);
    CU_ASSERT_EQUAL(err.status, STATUS_CANT_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not complete"));
    CU_ASSERT_EQUAL(f.mock.out_len, 5);
    observer_destroy(&f.vm);
    fixture_destroy(&f);
    close(end);
}

/* What only an engine sees needs an engine that tells. */
static void test_engine_must_tell(void)
{
    struct error err = {0};

    fixture_init(&f, START_KERNEL, 1, CONSOLE_SBI);
    f.config.trace = WATCH_IRQ;
    CU_ASSERT_EQUAL(observer_create(&f.vm, &err), -EINVAL);
    CU_ASSERT_EQUAL(err.status, STATUS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "'irq'"));
    CU_ASSERT_PTR_NULL(f.vm.observer);
    fixture_destroy(&f);
}

/* A call from U-mode is told when the same task is back there, on whichever hart. */
static void test_guest_calls(void)
{
    char name[16];
    uint64_t x[32] = {[17] = 64, [10] = 1, [11] = 0x5000, [12] = 3};
    struct observed_trap trap = {.cause = 8,
                                 .pc = 0x1000,
                                 .priv = PRIV_U,
                                 .satp = 0x8000100000000abc,
                                 .sscratch = 77,
                                 .x = x};
    struct error err = {0};
    int end;

    end = watched(WATCH_CALLS, name);
    observer_destroy(&f.vm);
    f.engine.caps = ENGINE_WATCH;
    f.config.trace = WATCH_GUEST | WATCH_FAULTS;
    f.config.trace_file = NULL;
    f.vm.image.kind = IMAGE_LINUX;
    CU_ASSERT_EQUAL_FATAL(observer_create(&f.vm, &f.err), 0);
    observe_trap(&f.hart[0], &trap);
    x[17] = 172; /* another task: getpid */
    trap.sscratch = 78;
    observe_trap(&f.hart[0], &trap);
    trap.cause = 13;
    trap.tval = 0x123;
    observe_trap(&f.hart[0], &trap);
    x[10] = 42;
    observe_return(&f.hart[0], trap.satp, 78, x);
    observe_return(&f.hart[0], trap.satp, 79, x); /* of a task that called nothing */
    x[10] = 3;
    observe_return(&f.hart[0], 0x8000200000000def, 77, x); /* after exec: other tables */
    CU_ASSERT_EQUAL(observer_finish(&f.vm, stderr, &err), 0);
    CU_ASSERT_TRUE(traced("guest[1:abc] getpid() = 42"));
    CU_ASSERT_TRUE(traced("guest[1:abc] write(1, 0x5000, 3) = 3"));
    CU_ASSERT_TRUE(traced("fault: load page fault at pc 0x1000, address 0x123\n"));
    observer_destroy(&f.vm);
    fixture_destroy(&f);
    close(end);
}

void suite_observe(void)
{
    CU_pSuite suite = CU_add_suite("observe", NULL, NULL);

    CU_add_test(suite, "percentiles of known durations", test_percentiles);
    CU_add_test(suite, "every duration lies in its bucket", test_buckets);
    CU_add_test(suite, "histograms add up", test_histogram_merge);
    CU_add_test(suite, "statistics of two harts", test_stats);
    CU_add_test(suite, "more pcs than room", test_pcs_overflow);
    CU_add_test(suite, "symbols of a System.map", test_system_map);
    CU_add_test(suite, "strings in a trace", test_strings);
    CU_add_test(suite, "a line that is too long", test_long_line);
    CU_add_test(suite, "Linux's calls by name", test_linux_calls);
    CU_add_test(suite, "the words of --trace", test_watch_words);
    CU_add_test(suite, "calls are traced with buffers and answers", test_calls_traced);
    CU_add_test(suite, "a trace that cannot be written", test_trace_lost);
    CU_add_test(suite, "an engine that does not tell", test_engine_must_tell);
    CU_add_test(suite, "the guest's own calls", test_guest_calls);
}
