/* stats.c: how often a guest crosses, at what cost, and from where. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/stats.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/symbols.h"

/* More names than a guest can cause are not there: calls, devices, causes, 512 system calls. */
#define LINES_MAX 2048u
#define PCS_MAX   4096u
/* How many pcs are shown. */
#define PCS_SHOWN 20u

struct line {
    const char *name; /* NULL: unused */
    enum stats_kind kind;
    bool timed;
    struct histogram times;
};

struct pc_line {
    const char *cause; /* NULL: unused */
    uint64_t pc, count;
};

struct stats {
    struct line *line[LINES_MAX]; /* by hash; made when used */
    struct pc_line pc[PCS_MAX];   /* by hash */
    unsigned npcs;
    uint64_t other_pcs; /* crossings for which there was no room */
};

/* --- histograms --- */

#define EXACT 16u /* values below have a bucket each */
#define PARTS 8u  /* of a power of two */

static unsigned bucket_of(uint64_t ns)
{
    if (ns < EXACT)
        return (unsigned)ns;
    unsigned octave = 63 - (unsigned)__builtin_clzll(ns); /* 4 and up */
    return EXACT + (octave - 4) * PARTS + (unsigned)(ns >> (octave - 3) & (PARTS - 1));
}

/* The largest value of a bucket. */
static uint64_t bucket_bound(unsigned bucket)
{
    if (bucket < EXACT)
        return bucket;
    unsigned octave = (bucket - EXACT) / PARTS + 4;
    uint64_t part = (bucket - EXACT) % PARTS;
    return ((PARTS + part) << (octave - 3)) + ((UINT64_C(1) << (octave - 3)) - 1);
}

_Static_assert(EXACT + (63 - 4) * PARTS + PARTS == HISTOGRAM_BUCKETS,
               "every value has a bucket");

void histogram_add(struct histogram *h, uint64_t ns)
{
    uint32_t *bucket = &h->bucket[bucket_of(ns)];

    h->count++;
    h->sum += ns;
    if (ns > h->max)
        h->max = ns;
    *bucket += *bucket != UINT32_MAX;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (__builtin_add_overflow(into->bucket[i], from->bucket[i], &into->bucket[i]))
            into->bucket[i] = UINT32_MAX;
    }
}

uint64_t histogram_percentile(const struct histogram *h, unsigned percent)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += h->bucket[i];
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && seen >= (total * percent + 99) / 100)
            return bucket_bound(i) < h->max ? bucket_bound(i) : h->max;
    }
    return 0;
}

/* --- counting --- */

struct stats *stats_create(void)
{
    return calloc(1, sizeof(struct stats));
}

void stats_destroy(struct stats *stats)
{
    if (!stats)
        return;
    for (unsigned i = 0; i < LINES_MAX; i++)
        free(stats->line[i]);
    free(stats);
}

static unsigned text_hash(const char *text, unsigned hash)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* The line of a name, made when there is none; NULL: no room or memory. */
static struct line *line_of(struct stats *stats, enum stats_kind kind, const char *name)
{
    unsigned at = text_hash(name, 2166136261u + kind) % LINES_MAX;

    for (unsigned tries = 0; tries < LINES_MAX; tries++, at = (at + 1) % LINES_MAX) {
        struct line *line = stats->line[at];

        if (!line) {
            line = stats->line[at] = calloc(1, sizeof(*line));
            if (line)
                *line = (struct line){.name = name, .kind = kind};
            return line;
        }
        if (line->kind == kind && (line->name == name || strcmp(line->name, name) == 0))
            return line;
    }
    return NULL;
}

void stats_count(struct stats *stats, enum stats_kind kind, const char *name, bool timed,
                 uint64_t ns)
{
    struct line *line = line_of(stats, kind, name);

    if (!line)
        return;
    line->timed |= timed;
    if (timed)
        histogram_add(&line->times, ns);
    else
        line->times.count++;
}

static void pc_add(struct stats *stats, uint64_t pc, const char *cause, uint64_t count)
{
    uint64_t hash = (pc ^ (uintptr_t)cause) * UINT64_C(0x9e3779b97f4a7c15);
    unsigned at = (unsigned)(hash >> 40) % PCS_MAX;

    while (stats->pc[at].cause &&
           (stats->pc[at].pc != pc || strcmp(stats->pc[at].cause, cause) != 0))
        at = (at + 1) % PCS_MAX;
    if (!stats->pc[at].cause) {
        if (stats->npcs >= PCS_MAX / 4 * 3) {
            stats->other_pcs += count;
            return;
        }
        stats->pc[at] = (struct pc_line){.cause = cause, .pc = pc};
        stats->npcs++;
    }
    stats->pc[at].count += count;
}

void stats_pc(struct stats *stats, uint64_t pc, const char *cause)
{
    pc_add(stats, pc, cause, 1);
}

void stats_merge(struct stats *into, const struct stats *from)
{
    for (unsigned i = 0; i < LINES_MAX; i++) {
        const struct line *line = from->line[i];
        struct line *sum = line ? line_of(into, line->kind, line->name) : NULL;

        if (!sum)
            continue;
        sum->timed |= line->timed;
        histogram_merge(&sum->times, &line->times);
    }
    for (unsigned i = 0; i < PCS_MAX; i++) {
        if (from->pc[i].cause)
            pc_add(into, from->pc[i].pc, from->pc[i].cause, from->pc[i].count);
    }
    into->other_pcs += from->other_pcs;
}

/* --- showing --- */

static int line_compare(const void *a, const void *b)
{
    const struct line *x = *(const struct line *const *)a, *y = *(const struct line *const *)b;

    if (x->times.count != y->times.count)
        return x->times.count > y->times.count ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The lines of a kind, most frequent first; how many. */
static unsigned lines_sort(const struct stats *stats, enum stats_kind kind,
                           const struct line *sorted[LINES_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < LINES_MAX; i++) {
        if (stats->line[i] && stats->line[i]->kind == kind)
            sorted[n++] = stats->line[i];
    }
    if (n > 0)
        qsort(sorted, n, sizeof(void *), line_compare);
    return n;
}

static int pc_compare(const void *a, const void *b)
{
    const struct pc_line *x = *(const struct pc_line *const *)a,
                         *y = *(const struct pc_line *const *)b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->pc < y->pc ? -1 : x->pc > y->pc;
}

static unsigned pcs_sort(const struct stats *stats, const struct pc_line *sorted[PCS_MAX])
{
    unsigned n = 0;

    for (unsigned i = 0; i < PCS_MAX; i++) {
        if (stats->pc[i].cause)
            sorted[n++] = &stats->pc[i];
    }
    if (n > 0)
        qsort(sorted, n, sizeof(void *), pc_compare);
    return n;
}

static const struct {
    const char *heading, *key;
} kinds[STATS_KINDS] = {
    [STATS_CAUSE] = {"crossing",     "causes"     },
    [STATS_CALL] = {"call",         "calls"      },
    [STATS_DEVICE] = {"device",       "devices"    },
    [STATS_GUEST] = {"guest's call", "guest_calls"},
};

/* 999 ns, 1.23 us, 45.6 ms: three digits. */
static void time_print(FILE *out, uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    unsigned unit = 0;

    for (; value >= 999.5 && unit < 3; unit++)
        value /= 1000;
    fprintf(out, " %6.*f %-2s",
            unit == 0 || value >= 99.95 ? 0
            : value >= 9.995            ? 1
                                        : 2,
            value, units[unit]);
}

static void kind_print(const struct stats *stats, enum stats_kind kind, FILE *out)
{
    const struct line *sorted[LINES_MAX];
    unsigned n = lines_sort(stats, kind, sorted);

    if (n == 0)
        return;
    fprintf(out, "%-32s %12s %9s %9s %9s\n", kinds[kind].heading, "count", "p50", "p99", "max");
    for (unsigned i = 0; i < n; i++) {
        const struct histogram *times = &sorted[i]->times;

        fprintf(out, "%-32s %12" PRIu64, sorted[i]->name, times->count);
        if (sorted[i]->timed) {
            time_print(out, histogram_percentile(times, 50));
            time_print(out, histogram_percentile(times, 99));
            time_print(out, times->max);
        }
        fputc('\n', out);
    }
    fputc('\n', out);
}

void stats_print(const struct stats *stats, const struct symbols *symbols, FILE *out)
{
    const struct pc_line *sorted[PCS_MAX];
    unsigned n = pcs_sort(stats, sorted);
    char name[96];

    for (enum stats_kind kind = 0; kind < STATS_KINDS; kind++)
        kind_print(stats, kind, out);
    if (n == 0)
        return;
    fprintf(out, "%-18s %-32s %12s  %s\n", "pc", "", "count", "crossing");
    for (unsigned i = 0; i < n && i < PCS_SHOWN; i++) {
        symbols_name(symbols, sorted[i]->pc, name, sizeof(name));
        fprintf(out, "0x%016" PRIx64 " %-32s %12" PRIu64 "  %s\n", sorted[i]->pc, name,
                sorted[i]->count, sorted[i]->cause);
    }
    if (n > PCS_SHOWN || stats->other_pcs > 0)
        fprintf(out, "and %u more%s\n", n > PCS_SHOWN ? n - PCS_SHOWN : 0,
                stats->other_pcs > 0 ? "; too many to tell them all apart" : "");
}

static json_t *kind_json(const struct stats *stats, enum stats_kind kind)
{
    const struct line *sorted[LINES_MAX];
    unsigned n = lines_sort(stats, kind, sorted);
    json_t *list = json_array();

    for (unsigned i = 0; i < n; i++) {
        const struct histogram *times = &sorted[i]->times;
        json_t *line =
            json_pack("{s:s, s:I}", "name", sorted[i]->name, "count", (json_int_t)times->count);

        if (sorted[i]->timed) {
            json_object_set_new(line, "p50_ns",
                                json_integer((json_int_t)histogram_percentile(times, 50)));
            json_object_set_new(line, "p99_ns",
                                json_integer((json_int_t)histogram_percentile(times, 99)));
            json_object_set_new(line, "max_ns", json_integer((json_int_t)times->max));
            json_object_set_new(line, "sum_ns", json_integer((json_int_t)times->sum));
        }
        json_array_append_new(list, line);
    }
    return list;
}

static json_t *pcs_json(const struct stats *stats, const struct symbols *symbols)
{
    const struct pc_line *sorted[PCS_MAX];
    unsigned n = pcs_sort(stats, sorted);
    json_t *list = json_array();
    char pc[20], name[96];

    for (unsigned i = 0; i < n; i++) {
        snprintf(pc, sizeof(pc), "0x%" PRIx64, sorted[i]->pc);
        symbols_name(symbols, sorted[i]->pc, name, sizeof(name));
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "pc", pc, "symbol", name,
                                              "cause", sorted[i]->cause, "count",
                                              (json_int_t)sorted[i]->count));
    }
    return list;
}

json_t *stats_json(const struct stats *stats, const struct symbols *symbols)
{
    json_t *json = json_object();

    for (enum stats_kind kind = 0; kind < STATS_KINDS; kind++)
        json_object_set_new(json, kinds[kind].key, kind_json(stats, kind));
    json_object_set_new(json, "pcs", pcs_json(stats, symbols));
    json_object_set_new(json, "pcs_not_told", json_integer((json_int_t)stats->other_pcs));
    return json;
}
