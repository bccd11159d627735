/* main.c: measures what crossings cost, and prints the raw counts as lines of JSON. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On RISC-V it needs nothing but SBI Base: it runs unchanged under every SBI. Boot arguments:
 * latency-quick measures little; latency-phases makes each crossing some thousand times and
 * measures nothing, for a monitor that takes time stamps itself; latency-indirect=NAME makes
 * only that crossing, and the loop after it, for who counts with the host's counters.
 *
 * Lines of results begin with @latency; `tollgate bench calls --parse` reads them.
 */
#include "guest/latency/latency.h"

#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/random.h"
#include "guest/lib/sbi.h"
#include "guest/lib/string.h"

#define FORMAT_VERSION 1

/* A sample is 10 us: the step of a clock of 10 MHz is one hundredth of it. */
#define SAMPLES_SECOND 100000
#define BATCH_MAX      (1u << 20)
#define SAMPLES_MIN    20
#define EMPTY_RUNS     200

#define LOOP_BYTES   4096 /* fits every first-level cache */
#define LOOP_ROUNDS  512
#define INDIRECT_MAX 1000

#define PHASES_RUNS  2000
#define COUNTED_RUNS 2000

static uint32_t sample[SAMPLES_MAX];
static uint8_t loop_data[LOOP_BYTES];
static uint64_t second; /* ticks */
static bool quick;

/* --- output --- */

/* Shell sort: the array is nearly free of order, and few. */
static void sample_sort(unsigned count)
{
    for (unsigned gap = count / 2; gap > 0; gap /= 2)
        for (unsigned i = gap; i < count; i++) {
            uint32_t value = sample[i];
            unsigned j = i;

            for (; j >= gap && sample[j - gap] > value; j -= gap)
                sample[j] = sample[j - gap];
            sample[j] = value;
        }
}

/* "key":[[ticks,count],...] of the first `count` samples. */
static void histogram_print(const char *key, unsigned count)
{
    sample_sort(count);
    print("\"%s\":[", key);
    for (unsigned i = 0, j; i < count; i = j) {
        for (j = i; j < count && sample[j] == sample[i]; j++)
            ;
        print("%s[%u,%u]", i ? "," : "", sample[i], j - i);
    }
    print("]");
}

static void missing_print(const char *kind, const char *name, const char *why)
{
    print("@latency {\"%s\":\"%s\",\"na\":\"%s\"}\n", kind, name, why);
}

/* --- direct cost --- */

/* How many repetitions make a sample. */
static uint64_t batch_choose(uint64_t (*run)(uint64_t))
{
    uint64_t n = 1;

    run(1); /* what happens only once, happens now */
    while (n < BATCH_MAX && run(n) < second / SAMPLES_SECOND)
        n *= 2;
    return n;
}

/* Within half a second, and a tenth of that when quick. */
static unsigned samples_choose(uint64_t ticks, bool noisy)
{
    uint64_t budget = second / (quick ? 20 : 2);
    uint64_t count = budget / (ticks ? ticks : 1), most = noisy ? 1000 : SAMPLES_MAX;

    if (quick)
        most = 200;
    if (count > most)
        count = most;
    return count < SAMPLES_MIN ? SAMPLES_MIN : (unsigned)count;
}

static void samples_take(uint64_t (*run)(uint64_t), uint64_t n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t ticks = run(n);

        sample[i] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
    }
}

static void crossing_measure(const char *kind, const char *name, uint64_t (*run)(uint64_t),
                             unsigned per, bool noisy)
{
    uint64_t n = batch_choose(run);
    unsigned count = samples_choose(run(n), noisy);
    uint64_t crossed;

    samples_take(run, n, count);
    crossed = task_crossed;
    print("%s@latency {\"%s\":\"%s\",\"batch\":%lu,\"per\":%u,", noisy ? "\n" : "", kind, name,
          n, per);
    if (!strcmp(kind, "task"))
        print("\"crossings\":%lu,", (crossed + n / 2) / n);
    histogram_print("ticks", count);
    print(",");
    samples_take(empty_run, n, quick ? EMPTY_RUNS / 4 : EMPTY_RUNS);
    histogram_print("empty", quick ? EMPTY_RUNS / 4 : EMPTY_RUNS);
    print("}\n");
}

static void crossings_measure(const char *kind, const struct crossing *list)
{
    for (const struct crossing *c = list; c->name; c++) {
        const char *why = c->missing ? c->missing() : NULL;

        if (why)
            missing_print(kind, c->name, why);
        else
            crossing_measure(kind, c->name, c->run, c->per, c->noisy);
    }
}

/* --- indirect cost --- */

/*
 * Branches that depend on data which repeats: a predictor that is left alone learns them all,
 * and one that a crossing disturbed does not.
 */
static __attribute__((noinline)) uint64_t loop_run(void)
{
    uint64_t sum = 0, start = time_now();

    for (unsigned i = 0; i < LOOP_ROUNDS; i++) {
        uint8_t byte = ((volatile uint8_t *)loop_data)[i * 37 % LOOP_BYTES];

        if (byte & 1)
            sum += byte;
        else if (byte & 2)
            sum ^= sum << 1 | byte;
        else
            sum -= byte;
        __asm__ volatile("" : "+r"(sum)); /* keeps the branches branches */
    }
    return time_now() - start;
}

static void loop_prepare(void)
{
    uint64_t state = 1;

    for (unsigned i = 0; i < LOOP_BYTES; i++)
        loop_data[i] = (uint8_t)random_next(&state);
}

static bool crossing_wanted(const struct crossing *c)
{
    return c->per == 1 && strcmp(c->name, "time") && (!c->missing || !c->missing());
}

/* Each crossing in turn, so that what disturbs the machine meets all; one pass a crossing. */
static void indirect_measure(void)
{
    unsigned count = quick ? INDIRECT_MAX / 10 : INDIRECT_MAX;

    for (const struct crossing *c = crossings; c->name; c++) {
        if (!crossing_wanted(c))
            continue;
        /* Half of the samples with the crossing, half without, alternating. */
        for (unsigned i = 0; i < count; i++) {
            empty_run(1);
            sample[i] = (uint32_t)loop_run();
            c->run(1);
            sample[INDIRECT_MAX + i] = (uint32_t)loop_run();
        }
        print("%s@latency {\"indirect\":\"%s\",", c->noisy ? "\n" : "", c->name);
        histogram_print("alone", count);
        memmove(sample, sample + INDIRECT_MAX, count * sizeof(sample[0]));
        print(",");
        histogram_print("after", count);
        print("}\n");
    }
}

/* The same for one crossing, so often that starting up does not count; "none" is the loop. */
static void indirect_counted(const char *name, uint64_t (*run)(uint64_t))
{
    for (unsigned i = 0; i < COUNTED_RUNS; i++) {
        run(1);
        loop_run();
    }
    print("\n@latency {\"counted\":\"%s\",\"runs\":%u}\n", name, COUNTED_RUNS);
}

/* --- modes --- */

static void phases_run(void)
{
    for (const struct crossing *c = crossings; c->name; c++) {
        if (c->missing && c->missing())
            continue;
        c->run(c->noisy ? PHASES_RUNS / 10 : quick ? PHASES_RUNS / 10 : PHASES_RUNS);
    }
    print("\n");
}

/* Appends name to "latency-indirect=" and asks whether the monitor wants that. */
static bool indirect_asked(const void *dtb, const char *name)
{
    char word[80] = "latency-indirect=";
    size_t at = strlen(word);

    for (; *name && at + 1 < sizeof(word); name++)
        word[at++] = *name;
    word[at] = '\0';
    return fdt_bootarg(dtb, word);
}

/* True when only one crossing was asked for, and is done. */
static bool indirect_only(const void *dtb)
{
    if (indirect_asked(dtb, "none")) {
        indirect_counted("none", empty_run);
        return true;
    }
    for (const struct crossing *c = crossings; c->name; c++)
        if (indirect_asked(dtb, c->name)) {
            if (crossing_wanted(c))
                indirect_counted(c->name, c->run);
            else
                missing_print("counted", c->name, "it is not there");
            return true;
        }
    return false;
}

static void begin_print(void)
{
    uint64_t id = sbi_call(SBI_EXT_BASE, SBI_BASE_GET_IMPL_ID, 0, 0, 0).value;
    uint64_t version = sbi_call(SBI_EXT_BASE, SBI_BASE_GET_IMPL_VERSION, 0, 0, 0).value;
    uint64_t spec = sbi_call(SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION, 0, 0, 0).value;

    print("\n@latency {\"begin\":%u,\"timebase_hz\":%lu,\"quick\":%s,\"sbi_impl\":%lu,"
          "\"sbi_impl_version\":%lu,\"sbi_spec\":%lu}\n",
          FORMAT_VERSION, second, quick ? "true" : "false", id, version, spec);
}

int guest_main(const void *dtb)
{
    second = fdt_timebase(dtb);
    quick = fdt_bootarg(dtb, "latency-quick");
    crossings_init(dtb);
    loop_prepare();
    begin_print();
    if (fdt_bootarg(dtb, "latency-phases")) {
        phases_run();
    } else if (!indirect_only(dtb)) {
        crossings_measure("call", crossings);
        crossings_measure("task", tasks);
        indirect_measure();
    }
    print("@latency {\"end\":true}\n");
    return 0;
}
