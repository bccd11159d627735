/* diff.c: `tollgate diff`: what is different in the results, trace and memory of two runs. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest/abi/platform.h"
#include "vmm/command.h"
#include "vmm/keep.h"
#include "vmm/mem.h"

/* A kept file in memory. Empty files have no data. */
struct text {
    const char *data;
    size_t size;
};

/* One of the two runs. */
struct kept {
    const char *dir;
    json_t *report;
    struct text trace, console, memory;
};

/* --- reading --- */

static int text_map(struct text *text, const char *dir, const char *name, struct error *err)
{
    char path[4096];
    struct stat st;
    int fd;

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return error_set(err, STATUS_USAGE, "the name '%.80s...' is too long", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        error_set(err, STATUS_NO_INPUT,
                  "cannot read '%.200s': %s; give folders that run --keep has written", path,
                  fd < 0 ? strerror(errno) : "it is no file");
        if (fd >= 0)
            close(fd);
        return -ENOENT;
    }
    text->size = (size_t)st.st_size;
    if (text->size > 0) {
        void *data = mmap(NULL, text->size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (data == MAP_FAILED) {
            close(fd);
            return error_set(err, STATUS_OS, "cannot map '%.200s': %s", path, strerror(errno));
        }
        text->data = data;
    }
    close(fd);
    return 0;
}

static void text_unmap(struct text *text)
{
    if (text->data)
        munmap((void *)(uintptr_t)text->data, text->size);
}

static int kept_read(struct kept *run, const char *dir, struct error *err)
{
    struct text report = {0};
    json_error_t json_err;
    int rc = text_map(&report, dir, KEEP_REPORT, err);

    run->dir = dir;
    if (rc != 0)
        return rc;
    run->report = json_loadb(report.data ? report.data : "", report.size, 0, &json_err);
    text_unmap(&report);
    if (!json_is_object(run->report))
        return error_set(err, STATUS_DATA, "'%.200s/" KEEP_REPORT "', line %d: %.160s", dir,
                         run->report ? 1 : json_err.line,
                         run->report ? "it is no JSON object" : json_err.text);
    rc = text_map(&run->trace, dir, KEEP_TRACE, err);
    if (rc == 0)
        rc = text_map(&run->console, dir, KEEP_CONSOLE, err);
    return rc == 0 ? text_map(&run->memory, dir, KEEP_MEMORY, err) : rc;
}

static void kept_free(struct kept *run)
{
    json_decref(run->report);
    text_unmap(&run->trace);
    text_unmap(&run->console);
    text_unmap(&run->memory);
}

/* --- results --- */

static void value_print(const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    printf("%s", text ? text : "nothing");
    free(text);
}

/* Values of the report that say how the run ended. */
static bool results_differ(const struct kept *a, const struct kept *b)
{
    static const char *const keys[] = {"cause", "status", "hart",   "pc",
                                       "text",  "steps",  "engine", "state_hash"};
    bool differ = false;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const json_t *x = json_object_get(a->report, keys[i]);
        const json_t *y = json_object_get(b->report, keys[i]);

        if (json_equal(x, y))
            continue;
        printf("%s: ", keys[i]);
        value_print(x);
        printf(" | ");
        value_print(y);
        printf("\n");
        differ = true;
    }
    return differ;
}

static bool array_has(const json_t *array, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (json_equal(json_array_get(array, i), value))
            return true;
    }
    return false;
}

static bool modules_only(const char *side, const json_t *here, const json_t *there)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(here); i++) {
        const json_t *name = json_array_get(here, i);

        if (!json_is_string(name) || array_has(there, name))
            continue;
        printf("%s%s", any ? ", " : side, json_string_value(name));
        any = true;
    }
    if (any)
        printf("\n");
    return any;
}

static bool modules_differ(const struct kept *a, const struct kept *b)
{
    const json_t *x = json_object_get(a->report, "modules");
    const json_t *y = json_object_get(b->report, "modules");
    bool differ = modules_only("modules only in A: ", x, y);

    return modules_only("modules only in B: ", y, x) || differ;
}

/* --- lines --- */

/* Cuts the next line off; false at the end. */
static bool line_next(struct text *rest, struct text *line)
{
    const char *end;

    if (rest->size == 0 || !rest->data)
        return false;
    end = memchr(rest->data, '\n', rest->size);
    line->data = rest->data;
    line->size = end ? (size_t)(end - rest->data) : rest->size;
    size_t used = line->size + (end != NULL);
    rest->data += used;
    rest->size -= used;
    return true;
}

/* What a trace line tells: without who and when, and how long it took. */
static struct text trace_told(struct text line)
{
    for (unsigned words = 0; words < 2; words++) {
        const char *blank = line.size > 0 ? memchr(line.data, ' ', line.size) : NULL;

        if (!blank)
            return line;
        size_t used = (size_t)(blank - line.data) + 1;
        line.data += used;
        line.size -= used;
    }
    if (line.size > 4 && memcmp(line.data + line.size - 3, "us>", 3) == 0) {
        const char *time = memrchr(line.data, '<', line.size);

        if (time && time > line.data)
            line.size = (size_t)(time - line.data) - 1;
    }
    return line;
}

static struct text line_whole(struct text line)
{
    return line;
}

static bool text_equal(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    return a.size == 0 || (a.data && b.data && memcmp(a.data, b.data, a.size) == 0);
}

/* A guest chose these bytes: a terminal must not act on them. */
static void line_print(const char *side, struct text line, bool is)
{
    printf("  %s: ", side);
    for (size_t i = 0; is && i < line.size && i < 200; i++) {
        unsigned char c = (unsigned char)line.data[i];

        putchar(c >= 0x20 && c < 0x7f ? c : '?');
    }
    printf("%s\n", is ? "" : "(ends here)");
}

/* The first line in which two texts differ; false: they are the same. */
static bool lines_differ(const char *what, struct text a, struct text b,
                         struct text (*told)(struct text))
{
    struct text x = {0}, y = {0};

    for (uint64_t number = 1;; number++) {
        bool more_a = line_next(&a, &x), more_b = line_next(&b, &y);

        if (!more_a && !more_b)
            return false;
        if (more_a && more_b && text_equal(told(x), told(y)))
            continue;
        printf("%s: the first difference is in line %" PRIu64 "\n", what, number);
        line_print("A", x, more_a);
        line_print("B", y, more_b);
        return true;
    }
}

/* --- counts of a trace --- */

struct tally {
    struct text name;
    uint64_t count[2];
};

static int tally_compare(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    size_t least = x->name.size < y->name.size ? x->name.size : y->name.size;
    int order = memcmp(x->name.data, y->name.data, least);

    if (order != 0)
        return order;
    return x->name.size < y->name.size ? -1 : x->name.size > y->name.size;
}

/* "mmio.read8(uart16550a": with the device, without the offset. "tg.base.null". */
static struct text tally_name(struct text told)
{
    static const char mmio[] = "mmio.";
    bool device = told.size > 5 && memcmp(told.data, mmio, 5) == 0;
    size_t n = 0;

    while (n < told.size && told.data[n] != (device ? '+' : '(') && told.data[n] != ',')
        n++;
    told.size = n;
    return told;
}

#define TALLIES_MAX 4096u

static void tally_take(struct tally *list, size_t *n, struct text trace, unsigned side)
{
    struct text line;

    while (line_next(&trace, &line)) {
        struct text name = tally_name(trace_told(line));
        size_t i = 0;

        while (i < *n && !text_equal(list[i].name, name))
            i++;
        if (i == *n && *n == TALLIES_MAX)
            continue;
        if (i == *n)
            list[(*n)++] = (struct tally){.name = name};
        list[i].count[side]++;
    }
}

static int counts_print(const struct kept *a, const struct kept *b, struct error *err)
{
    struct tally *list = calloc(TALLIES_MAX, sizeof(*list));
    bool any = false;
    size_t n = 0;

    if (!list)
        return error_set(err, STATUS_OS, "no memory to count crossings");
    tally_take(list, &n, a->trace, 0);
    tally_take(list, &n, b->trace, 1);
    qsort(list, n, sizeof(*list), tally_compare);
    for (size_t i = 0; i < n; i++) {
        if (list[i].count[0] == list[i].count[1])
            continue;
        if (!any)
            printf("crossings: %*s %10s %10s\n", 34, "", "A", "B");
        printf("  %-43.*s %10" PRIu64 " %10" PRIu64 "\n", (int)list[i].name.size,
               list[i].name.data, list[i].count[0], list[i].count[1]);
        any = true;
    }
    free(list);
    return 0;
}

/* --- memory --- */

/* Ranges that are shown. */
#define RANGES_SHOWN 8u

static bool page_differs(const struct text *a, const struct text *b, size_t at)
{
    return memcmp(a->data + at, b->data + at, MEM_PAGE_SIZE) != 0;
}

static bool memory_differs(const struct text *a, const struct text *b)
{
    uint64_t pages = 0;
    unsigned ranges = 0;

    if (a->size != b->size) {
        printf("memory: %zu MiB | %zu MiB\n", a->size >> 20, b->size >> 20);
        return true;
    }
    for (size_t at = 0; at + MEM_PAGE_SIZE <= a->size; at += MEM_PAGE_SIZE) {
        size_t first = at;

        while (at + MEM_PAGE_SIZE <= a->size && page_differs(a, b, at))
            at += MEM_PAGE_SIZE;
        if (at == first)
            continue;
        pages += (at - first) / MEM_PAGE_SIZE;
        if (ranges == 0)
            printf("memory: these pages differ:\n");
        if (ranges++ < RANGES_SHOWN)
            printf("  0x%" PRIx64 "-0x%" PRIx64 "\n", (uint64_t)PLAT_DRAM_BASE + first,
                   (uint64_t)PLAT_DRAM_BASE + at - 1);
    }
    if (ranges > RANGES_SHOWN)
        printf("  and %u more ranges\n", ranges - RANGES_SHOWN);
    if (ranges > 0)
        printf("  %" PRIu64 " pages in all\n", pages);
    return ranges > 0;
}

/* --- the command --- */

static int kept_compare(const struct kept *a, const struct kept *b, struct error *err)
{
    bool differ = modules_differ(a, b);

    printf("A is %s, B is %s\n", a->dir, b->dir);
    differ = results_differ(a, b) || differ;
    if (lines_differ("trace", a->trace, b->trace, trace_told)) {
        differ = true;
        if (counts_print(a, b, err) != 0)
            return (int)err->status;
    }
    differ = lines_differ("console", a->console, b->console, line_whole) || differ;
    differ = memory_differs(&a->memory, &b->memory) || differ;
    if (!differ)
        printf("the same: results, trace, console, memory\n");
    return differ;
}

static int diff_run(int argc, char *const *argv, struct error *err)
{
    struct kept a = {0}, b = {0};
    int status;

    if (argc != 3 || argv[1][0] == '\0' || argv[2][0] == '\0') {
        error_set(err, STATUS_USAGE,
                  "give two folders that run --keep has written, as: tollgate diff A B");
        return STATUS_USAGE;
    }
    if (kept_read(&a, argv[1], err) == 0 && kept_read(&b, argv[2], err) == 0)
        status = kept_compare(&a, &b, err);
    else
        status = (int)err->status;
    kept_free(&a);
    kept_free(&b);
    return status;
}

const struct command command_diff = {
    .name = "diff",
    .args = "A B",
    .summary = "Show what is different in two runs that were kept",
    .description =
        "A and B are folders that tollgate run --keep has written. Shown are the modules that "
        "only one has, how the runs ended, the first line in which the traces of calls and "
        "device accesses differ and the crossings whose number is not the same, the first "
        "different line of console output, and the pages of memory that differ. The status is "
        "0 when all is the same, and 1 when something differs. Runs are comparable line by "
        "line "
        "when they were deterministic.",
    .run = diff_run,
};
