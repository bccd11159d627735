/* test_policy.c: every kind of rule against calls: who decides, what a refusal does, rates. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/fixture.h"
#include "tests/unit/snapshot.h"
#include "tests/unit/suites.h"
#include "vmm/policy.h"
#include "vmm/policy_rules.h"

#define EXT       UINT64_C(0x7700)
#define EXT_BELOW UINT64_C(0x7701)
#define TG_FILES  (TG_EXT_FIRST + 4)

static struct fixture f;
static struct call c;
static enum call_disp answer; /* of every handler */
static unsigned made;

static enum call_disp handler(void *self, struct hart *hart, struct call *call)
{
    (void)self;
    (void)hart;
    made++;
    call->value = call->fn;
    return answer;
}

#define ROW(row, who, eid, fid, ...)                                                           \
    {                                                                                          \
        .name = row, .personality = who, .ext = eid, .fn = fid, .handler = handler,            \
        __VA_ARGS__                                                                            \
    }

static const struct call_arg named_args[] = {
    {.name = "status", .kind = KIND_WORD},
    {.name = "flags",  .kind = KIND_WORD},
};

static const struct call_desc calls[] = {
    ROW("pol.a.one", CALL_SBI, EXT, 1, .effects = 0),
    ROW("pol.a.two", CALL_SBI, EXT, 2, .effects = CALL_WRITES_HOST),
    ROW("pol.b", CALL_SBI, EXT, 3, .effects = CALL_WRITES_MEM),
    ROW("pol.in", CALL_SBI, EXT, 4, .buf_kind = CALL_BUF_IN, .buf_len_arg = 0),
    ROW("pol.named", CALL_SBI, EXT, 5, .args = named_args, .nargs = 2),
    ROW("pol.old", CALL_SBI, 9, CALL_ANY_FN, .legacy = true),
    ROW("pol.below", CALL_SBI, EXT_BELOW, 0, .effects = 0),
    ROW("pol.program", CALL_PROGRAM, 0, 64, .effects = 0),
    ROW("tg.files.read", CALL_TG, TG_FILES, 2, .effects = CALL_READS_HOST),
    ROW("tg.console.read", CALL_TG, TG_EXT_FIRST + 2, 1, .effects = CALL_READS_HOST),
    ROW("tg.multicall.run", CALL_TG, TG_EXT_FIRST + 5, 0, .effects = CALL_WRITES_MEM),
};

static const struct module module_pol = {
    .name = "pol", .calls = calls, .ncalls = sizeof(calls) / sizeof(calls[0])};

static enum call_route route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    return ext == EXT_BELOW ? ROUTE_BELOW : ROUTE_EXITS;
}

static char path[] = "/tmp/tollgate-policy-XXXXXX";

static void file_write(const char *text)
{
    int fd;

    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    fd = mkstemp(path);
    CU_ASSERT_TRUE_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    f.config.policy = path;
}

/* A VM with the calls above; tests fill f.config before start(). */
static void setup(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    f.engine.call_route = route;
    f.inst[f.vm.ninstances++] = (struct module_instance){.module = &module_pol, .vm = &f.vm};
    answer = CALL_RET2;
    made = 0;
}

static int start(void)
{
    f.err = (struct error){.status = STATUS_OK};
    int rc = policy_freeze(&f.vm, &f.err);

    if (f.config.policy)
        unlink(path);
    if (rc == 0)
        CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    return rc;
}

static void end(void)
{
    call_index_destroy(&f.vm);
    policy_release(&f.vm);
    fixture_destroy(&f);
}

/* A VM under a file whose rules are given. */
static int under(const char *keys)
{
    char text[4096];

    setup();
    snprintf(text, sizeof(text), "{\"version\": 1, %s}", keys);
    file_write(text);
    return start();
}

static int64_t call(enum personality who, uint64_t ext, uint64_t fn, uint64_t a0, uint64_t a1)
{
    c = (struct call){
        .personality = who, .ext = ext, .fn = fn, .arg = {a0, a1}
    };
    call_dispatch(&f.hart[0], &c);
    return c.error;
}

#define SBI(fn, a0) call(CALL_SBI, EXT, fn, a0, 0)

/* --- which calls --- */

static void test_kinds_of_targets(void)
{
    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [{\"deny\": \"pol.a.one\"}]"), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(2, 0), 0);
    end();
    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [{\"deny\": \"pol.a\"}]"), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(2, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(3, 0), 0);
    end();
    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [{\"deny\": \"0x7700\"}]"), 0);
    CU_ASSERT_EQUAL(SBI(3, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(77, 0), SBI_ERR_DENIED); /* nobody answers it */
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 0, 0, 0), 0);
    end();
    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [{\"deny\": \"0x7700/2\"}, {\"deny\": \"0x9/7\"},"
                                "{\"deny\": \"0x6600/1\"}, {\"deny\": \"program/7\"}]"),
                          0);
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    CU_ASSERT_EQUAL(SBI(2, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 7, 0, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(c.disp, CALL_RET1);
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 6, 0, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, 0x6600, 1, 0, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, 0x6600, 2, 0, 0), SBI_ERR_NOT_SUPPORTED);
    CU_ASSERT_FALSE(call_ext_present(&f.vm, CALL_SBI, 0x6600));
    CU_ASSERT_EQUAL(call(CALL_PROGRAM, 0, 7, 0, 0), -EPERM);
    CU_ASSERT_EQUAL(call(CALL_PROGRAM, 0, 64, 0, 0), 0);
    end();
}

static void test_precedence(void)
{
    /* Deny over allow, whatever is written first or is closer. */
    CU_ASSERT_EQUAL_FATAL(under("\"default\": \"deny\", \"rules\": [{\"allow\": \"pol.a.one\"},"
                                "{\"deny\": \"pol.a\"}, {\"allow\": \"pol.b\"},"
                                "{\"allow\": \"pol.below\"}]"),
                          0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(3, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 0, 0, 0), SBI_ERR_DENIED); /* unlisted */
    CU_ASSERT_EQUAL(call(CALL_SBI, 0x6600, 0, 0, 0), SBI_ERR_NOT_SUPPORTED);
    end();
    /* The command line over the file, and there too deny over allow. */
    setup();
    file_write("{\"version\": 1, \"rules\": [{\"deny\": \"pol\"}, {\"allow\": \"pol.below\","
               "\"override\": true}]}");
    f.config.allow[f.config.nallow++] = "pol.a";
    f.config.deny[f.config.ndeny++] = "pol.a.two";
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    CU_ASSERT_EQUAL(SBI(2, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(3, 0), SBI_ERR_DENIED);
    end();
}

static void test_shipped(void)
{
    setup();
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    CU_ASSERT_EQUAL(SBI(2, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_EXT_FIRST + 2, 1, 0, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_EXT_FIRST + 5, 0, 0, 0), 0);
    end();
    setup();
    f.config.request[f.config.nrequests++].name = "pol"; /* the user named the module */
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), 0);
    end();
    setup();
    f.config.allow[f.config.nallow++] = "tg.files";
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), 0);
    end();
}

static void test_deterministic(void)
{
    static struct deterministic det;
    static const struct {
        const char *keys;
        int64_t error;
    } cases[] = {
        {"\"default\": \"allow\"",                                    SBI_ERR_DENIED},
        {"\"rules\": [{\"allow\": \"tg.files\"}]",                    SBI_ERR_DENIED},
        {"\"default\": \"allow\", \"deterministic\": [\"tg.files\"]", 0             },
        {"\"default\": \"deny\", \"deterministic\": [\"tg.files.read\"], \"rules\": ["
         "{\"allow\": \"pol.below\"}]",                      SBI_ERR_DENIED},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[200];

        setup();
        f.vm.det = &det;
        snprintf(text, sizeof(text), "{\"version\": 1, %s}", cases[i].keys);
        file_write(text);
        CU_ASSERT_EQUAL_FATAL(start(), 0);
        CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), cases[i].error);
        f.vm.det = NULL;
        end();
    }
}

/* --- arguments --- */

static void test_arguments(void)
{
    CU_ASSERT_EQUAL_FATAL(
        under("\"rules\": [{\"deny\": \"pol.a\", \"args\": {\"arg0\": [3, {\"min\": 10, "
              "\"max\": 20}],"
              "\"arg1\": {\"min\": \"0x8000000000000000\"}}},"
              "{\"deny\": \"pol.named\", \"args\": {\"status\": {\"min\": 4}, \"arg1\": 1}}]"),
        0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 3, UINT64_MAX), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 10, UINT64_C(1) << 63), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 20, UINT64_C(1) << 63), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 21, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 9, UINT64_MAX), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 1, 15, UINT64_MAX >> 1), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 2, 15, UINT64_MAX), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 5, 4, 1), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 5, 3, 1), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 5, 4, 2), 0);
    end();
    /* What an allow rule does not cover gets the default. */
    CU_ASSERT_EQUAL_FATAL(under("\"default\": \"deny\", \"rules\": ["
                                "{\"allow\": \"pol.below\"}, {\"allow\": \"pol.a\","
                                "\"args\": {\"arg0\": {\"max\": 7}}}]"),
                          0);
    CU_ASSERT_EQUAL(SBI(1, 7), 0);
    CU_ASSERT_EQUAL(SBI(1, 8), SBI_ERR_DENIED);
    end();
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A bound that is likely to meet another, or an end of the numbers. */
static uint64_t random_bound(unsigned bits)
{
    uint64_t value = random_next() >> (64 - bits);

    return random_next() % 8 ? value : random_next() % 2 ? UINT64_MAX - value : value << 40;
}

/* Compiled rules agree with the first clause that holds, at every bound and beside it. */
static void test_index_is_right(void)
{
    enum { CLAUSES = 40 };
    unsigned wrong = 0;

    for (unsigned round = 0; round < 300; round++) {
        struct policy_clause clause[CLAUSES + 1] = {{.verdict = 0}};
        struct policy_range range[CLAUSES][3];
        struct policy_index index = {.nnodes = 0};
        unsigned args = 1 + round % 3, bits = 3 + round % 50;
        size_t n = 1 + random_next() % (args == 1 ? CLAUSES : 8);
        uint32_t entry;

        for (size_t i = 0; i < n; i++) {
            clause[i].verdict = (uint32_t)(random_next() % 4);
            for (unsigned a = 0; a < args; a++) {
                uint64_t x = random_bound(bits), y = random_bound(bits);

                range[i][a] = (struct policy_range){x < y ? x : y, x < y ? y : x};
                if (random_next() % 3 == 0)
                    range[i][a].max = range[i][a].min;
                if (random_next() % 4 == 0)
                    continue;
                clause[i].range[a] = &range[i][a];
                clause[i].nranges[a] = 1;
            }
        }
        CU_ASSERT_EQUAL_FATAL(policy_index_add(&index, clause, n + 1, &entry), 0);
        for (unsigned i = 0; i < 400; i++) {
            uint64_t arg[CALL_ARGS] = {0};
            size_t first = 0;

            for (unsigned a = 0; a < args; a++) {
                const struct policy_range *r = &range[random_next() % n][a];

                arg[a] = (random_next() % 2 ? r->min : r->max) + random_next() % 3 - 1;
            }
            while (!policy_clause_holds(&clause[first], arg))
                first++;
            wrong += policy_index_find(&index, entry, arg) != clause[first].verdict;
        }
        policy_index_free(&index);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* How a thousand rules may lie: each way makes another layout of segments and buckets. */
enum rule_shape {
    RULES_SPREAD,
    RULES_POINTS,
    RULES_CROWDS,   /* in three places, or 40 */
    RULES_DOUBLING, /* as many in each power of two */
    RULES_NESTED,
    RULES_OVERLAPPING,
    RULES_TOP, /* crowded at the end of the numbers */
    RULE_SHAPES
};

static struct policy_range shape_range(enum rule_shape shape, uint64_t i, uint64_t places)
{
    uint64_t low, many = i / places;

    switch (shape) {
    case RULES_SPREAD: low = i * 64; return (struct policy_range){low, low + 15};
    case RULES_POINTS: low = random_next(); return (struct policy_range){low, low};
    case RULES_CROWDS:
        low = (i % places * 0x9e3779b97f4a7c15) + many * many * 5;
        return (struct policy_range){low, low > UINT64_MAX - 15 ? UINT64_MAX : low + 15};
    case RULES_DOUBLING:
        low = (UINT64_C(16) + i % 16) << (i / 17);
        return (struct policy_range){low, low + random_next() % 16};
    case RULES_NESTED:
        low = i * i * i;
        return (struct policy_range){low, UINT64_MAX - low * (1 + i % 3)};
    case RULES_OVERLAPPING:
        low = random_next() >> 40;
        return (struct policy_range){low, low + (random_next() >> (40 + i % 24))};
    default: low = UINT64_MAX - i * i; return (struct policy_range){low, low + i};
    }
}

static unsigned shape_wrong(enum rule_shape shape, size_t n, uint64_t places)
{
    struct policy_clause *clause = calloc(n + 1, sizeof(*clause));
    struct policy_range *range = calloc(n, sizeof(*range));
    struct policy_index index = {.nnodes = 0};
    unsigned wrong = 0;
    uint32_t entry;

    CU_ASSERT_TRUE_FATAL(clause && range);
    for (size_t i = 0; i < n; i++) {
        range[i] = shape_range(shape, i, places);
        /* The inner ranges come first, or the outermost would decide everything. */
        clause[n - 1 - i].range[0] = &range[i];
        clause[n - 1 - i].nranges[0] = 1;
        clause[n - 1 - i].verdict = (uint32_t)(1 + random_next() % 3);
    }
    CU_ASSERT_EQUAL_FATAL(policy_index_add(&index, clause, n + 1, &entry), 0);
    for (size_t i = 0; i < 6 * n; i++) {
        const struct policy_range *r = &range[i / 6];
        uint64_t arg[CALL_ARGS] = {(i & 1 ? r->min : r->max) + i / 2 % 3 - 1};
        size_t first = 0;

        while (!policy_clause_holds(&clause[first], arg))
            first++;
        wrong += policy_index_find(&index, entry, arg) != clause[first].verdict;
    }
    policy_index_free(&index);
    free(clause);
    free(range);
    return wrong;
}

static void test_index_shapes(void)
{
    static const size_t sizes[] = {1, 2, 3, 5, 40, 1000};

    for (enum rule_shape shape = 0; shape < RULE_SHAPES; shape++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
            for (uint64_t places = 3; places <= 40; places += 37)
                CU_ASSERT_EQUAL(shape_wrong(shape, sizes[i], places), 0);
}

/* What would take too long to compile is refused, not tried. */
static void test_index_limit(void)
{
    enum { CLAUSES = 3000 };
    struct policy_clause *clause = calloc(CLAUSES + 1, sizeof(*clause));
    struct policy_range *range = calloc(3 * CLAUSES, sizeof(*range));
    struct policy_index index = {.nnodes = 0};
    uint32_t entry;

    CU_ASSERT_TRUE_FATAL(clause && range);
    for (size_t i = 0; i < CLAUSES; i++)
        for (size_t a = 0; a < 3; a++) {
            uint64_t min = random_next() >> 1;

            range[3 * i + a] = (struct policy_range){min, min + (UINT64_C(1) << 62)};
            clause[i].range[a] = &range[3 * i + a];
            clause[i].nranges[a] = 1;
            clause[i].verdict = 1;
        }
    CU_ASSERT_EQUAL(policy_index_add(&index, clause, CLAUSES + 1, &entry), -E2BIG);
    policy_index_free(&index);
    free(clause);
    free(range);
}

/* --- what a refusal does --- */

static void test_stop(void)
{
    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [\n{\"deny\": \"pol.b\", \"refusal\": \"stop\"}]"),
                          0);
    SBI(3, 0);
    CU_ASSERT_EQUAL(c.disp, CALL_STOPPED);
    CU_ASSERT_EQUAL(made, 0);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_POLICY);
    CU_ASSERT_EQUAL(f.vm.stop.status, STATUS_POLICY);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "pol.b refused by rules[0]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "line 2"));
    end();
}

/* Standard error is the user's; the counted lines show that the calls were seen. */
static char *log_text(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    policy_print_log(&f.vm, out);
    fclose(out);
    return text;
}

static void test_log(void)
{
    char *text;
    int err_fd = dup(2);

    CU_ASSERT_PTR_NOT_NULL(freopen("/dev/null", "w", stderr));
    CU_ASSERT_EQUAL_FATAL(under("\"refusal\": \"log\", \"rules\": [{\"deny\": \"pol.b\"}]"), 0);
    for (unsigned i = 0; i < 25; i++)
        CU_ASSERT_EQUAL(SBI(3, 0), 0);
    answer = CALL_PARK; /* tried again: it is not counted twice */
    SBI(3, 0);
    CU_ASSERT_EQUAL(made, 26);
    text = log_text();
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "25 of pol.b would be refused by rules[0]"));
    free(text);
    end();
    fflush(stderr);
    dup2(err_fd, 2);
    close(err_fd);
}

/* A buffered call passes policy once, however often the chain is entered. */
static void test_buffer_once(void)
{
    int err_fd = dup(2);
    char *text;

    CU_ASSERT_PTR_NOT_NULL(freopen("/dev/null", "w", stderr));
    CU_ASSERT_EQUAL_FATAL(under("\"refusal\": \"log\", \"rules\": [{\"deny\": \"pol.in\"}]"),
                          0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 8, FIXTURE_RAM), 0);
    text = log_text();
    CU_ASSERT_PTR_NOT_NULL(strstr(text, " 1 of pol.in "));
    free(text);
    end();
    fflush(stderr);
    dup2(err_fd, 2);
    close(err_fd);
}

/* --- rates --- */

static void test_rate_calls(void)
{
    CU_ASSERT_EQUAL_FATAL(
        under("\"rules\": [{\"rate\": \"pol.a\", \"calls\": 10, \"burst\": 3}]"), 0);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(SBI(1 + i % 2, 0), 0); /* the group shares it */
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.value, 100000000); /* ns until one is there */
    CU_ASSERT_EQUAL(made, 3);
    CU_ASSERT_EQUAL(SBI(3, 0), 0);
    mock_advance(&f.mock, 99999999);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.value, 1);
    mock_advance(&f.mock, 1);
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_TIMEOUT);
    mock_advance(&f.mock, UINT64_C(3600) * 1000000000); /* no more than the burst gathers */
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(SBI(1, 0), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_TIMEOUT);
    mock_advance(&f.mock, 100000000);
    answer = CALL_PARK; /* had no effect, so it costs nothing */
    SBI(1, 0);
    answer = CALL_RET2;
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    end();
}

static void test_rate_bytes(void)
{
    CU_ASSERT_EQUAL_FATAL(
        under("\"rules\": [{\"rate\": \"pol.in\", \"bytes\": 1000, \"bytes_burst\": 500,"
              "\"calls\": 1000000}]"),
        0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 400, FIXTURE_RAM), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 200, FIXTURE_RAM), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.value, 100000000);
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 100, FIXTURE_RAM), 0);
    mock_advance(&f.mock, UINT64_C(1000000000));
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 501, FIXTURE_RAM), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.value, UINT64_MAX); /* it never fits */
    CU_ASSERT_EQUAL(call(CALL_SBI, EXT, 4, 500, FIXTURE_RAM), 0);
    end();
}

static void test_rate_refusals(void)
{
    CU_ASSERT_EQUAL_FATAL(
        under("\"rules\": [{\"rate\": \"pol.a\", \"calls\": 1, \"refusal\": \"stop\"},"
              "{\"rate\": \"pol.program\", \"calls\": 1}, {\"rate\": \"pol.old\", \"calls\": "
              "1}]"),
        0);
    CU_ASSERT_EQUAL(call(CALL_PROGRAM, 0, 64, 0, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_PROGRAM, 0, 64, 0, 0), -EAGAIN);
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(call(CALL_SBI, 9, 0, 0, 0), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.disp, CALL_RET1);
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    SBI(1, 0);
    CU_ASSERT_EQUAL(c.disp, CALL_STOPPED);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_POLICY);
    end();
}

/* A machine that is saved goes on with the tokens it had. */
static void test_rate_saved(void)
{
    static struct bytes bytes;
    struct state_reader r;

    CU_ASSERT_EQUAL_FATAL(under("\"rules\": [{\"rate\": \"pol.a\", \"calls\": 1}]"), 0);
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    bytes_init(&bytes);
    policy_save(&f.vm, &bytes.w);
    mock_advance(&f.mock, UINT64_C(10000000000));
    CU_ASSERT_EQUAL(SBI(1, 0), 0);
    clock_set(&f.vm.clock, 0);
    r = (struct state_reader){.data = bytes.data, .len = bytes.len};
    policy_load(&f.vm, &r);
    CU_ASSERT_EQUAL(r.error, 0);
    CU_ASSERT_EQUAL(r.len, 0);
    CU_ASSERT_EQUAL(SBI(1, 0), SBI_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(c.value, 1000000000);
    r = (struct state_reader){.data = bytes.data, .len = bytes.len - 1};
    policy_load(&f.vm, &r);
    CU_ASSERT_NOT_EQUAL(r.error, 0);
    end();
}

/* --- the rest of a policy --- */

static void test_effects(void)
{
    CU_ASSERT_EQUAL(under("\"effects\": [\n{\"module\": \"pol\", \"may\": [\"mem\", "
                          "\"reads-host\"]}]"),
                    -EINVAL);
    CU_ASSERT_EQUAL(f.err.status, STATUS_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "line 2: effects[0]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "pol.a.two"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "writes-host"));
    end();
    /* A scope of its own takes the place of everybody's. */
    CU_ASSERT_EQUAL(under("\"effects\": [{\"module\": \"*\", \"may\": []},"
                          "{\"module\": \"pol\", \"may\": [\"mem\", \"reads-host\","
                          " \"writes-host\"]}]"),
                    0);
    end();
    CU_ASSERT_EQUAL(under("\"effects\": [{\"module\": \"*\", \"may\": []}]"), -EINVAL);
    end();
}

static void test_grants(void)
{
    const struct policy_grant *grant;
    size_t n;

    CU_ASSERT_EQUAL_FATAL(
        under("\"files\": [{\"name\": \"in\", \"path\": \"/a\", \"read\": true},"
              "{\"name\": \"out\", \"path\": \"/b\", \"write\": true}],"
              "\"numbers\": [{\"service\": \"pol\", \"values\": [3, {\"min\": 8,"
              "\"max\": 9}]}]"),
        0);
    grant = policy_files(&f.vm, &n);
    CU_ASSERT_EQUAL_FATAL(n, 2);
    CU_ASSERT_STRING_EQUAL(grant[1].path, "/b");
    CU_ASSERT_TRUE(grant[1].write && !grant[1].read);
    CU_ASSERT_TRUE(policy_number_allowed(&f.vm, "pol", 3));
    CU_ASSERT_TRUE(policy_number_allowed(&f.vm, "pol", 9));
    CU_ASSERT_FALSE(policy_number_allowed(&f.vm, "pol", 10));
    CU_ASSERT_FALSE(policy_number_allowed(&f.vm, "other", 3));
    end();
    setup();
    CU_ASSERT_EQUAL(start(), 0);
    CU_ASSERT_PTR_NULL(policy_files(&f.vm, &n));
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_FALSE(policy_number_allowed(&f.vm, "pol", 3));
    end();
}

/* Rules that could not hold, or mean nothing, end the start. */
static void test_refused_at_start(void)
{
    static const struct {
        const char *keys;
        int rc;
        enum tg_status status;
        const char *words;
    } cases[] = {
        {"\"rules\": [{\"deny\": \"pol.below\"}]",                                         -ENOTSUP, STATUS_UNAVAILABLE,
         "cannot be enforced"                                                                                                                 },
        {"\"rules\": [{\"rate\": \"pol\", \"calls\": 1}]",                                 -ENOTSUP, STATUS_UNAVAILABLE,
         "rate pol"                                                                                                                           },
        {"\"rules\": [{\"deny\": \"0x7701/0\"}]",                                          -ENOTSUP, STATUS_UNAVAILABLE, "engine none"        },
        {"\"rules\": [{\"deny\": \"0x7701/9\"}]",                                          -ENOTSUP, STATUS_UNAVAILABLE, "0x7701/9"           },
        {"\"default\": \"deny\"",                                                          -ENOTSUP, STATUS_UNAVAILABLE, "the default is deny"},
        {"\"default\": \"log\"",                                                           -ENOTSUP, STATUS_UNAVAILABLE, "the default is log" },
        {"\"rules\": [{\"deny\": \"pol.c\"}]",                                             -ENOENT,  STATUS_CONFIG,      "no module has such" },
        {"\"rules\": [{\"deny\": \"pol.b\", \"args\": {\"len\": 1}}]",                     -EINVAL,  STATUS_CONFIG,
         "no argument 'len'"                                                                                                                  },
        {"\"rules\": [{\"deny\": \"pol.named\", \"args\": {\"x\": 1}}]",                   -EINVAL,  STATUS_CONFIG,
         "arg5, status, flags"                                                                                                                },
        {"\"rules\": [{\"deny\": \"pol.named\", \"args\": {\"arg0\": 1, \"status\": 1}}]",
         -EINVAL,                                                                                    STATUS_CONFIG,      "the same argument"  },
        {"\"effects\": [{\"module\": \"no\", \"may\": []}]",                               -EINVAL,  STATUS_CONFIG,
         "there is no module 'no'"                                                                                                            },
        {"\"numbers\": [{\"service\": \"no\", \"values\": 1}]",                            -EINVAL,  STATUS_CONFIG,
         "there is no module 'no'"                                                                                                            },
        {"\"deterministic\": [\"tg.none\"]",                                               -EINVAL,  STATUS_CONFIG,      "'tg.none'"          },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(under(cases[i].keys), cases[i].rc);
        CU_ASSERT_EQUAL(f.err.status, cases[i].status);
        if (!strstr(f.err.text, cases[i].words)) {
            printf("\n    %s\n    -> %s", cases[i].keys, f.err.text);
            CU_FAIL("the message lacks its words");
        }
        CU_ASSERT_PTR_NULL(f.vm.policy);
        end();
    }
    /* A call of the build that this guest lacks is no error in a file. */
    CU_ASSERT_EQUAL(under("\"rules\": [{\"deny\": \"sbi.srst\"}]"), 0);
    end();
    setup();
    f.config.deny[f.config.ndeny++] = "sbi.srst";
    CU_ASSERT_EQUAL(start(), -ENOENT);
    end();
    setup();
    f.config.policy = "/nonexistent/policy.json";
    CU_ASSERT_TRUE(policy_freeze(&f.vm, &f.err) < 0);
    CU_ASSERT_EQUAL(f.err.status, STATUS_NO_INPUT);
    end();
}

/* What must be looked at is never called past the gate. */
static void test_no_plain_way(void)
{
    struct call_way way;

    CU_ASSERT_EQUAL_FATAL(
        under("\"rules\": [{\"deny\": \"pol.a.one\", \"args\": {\"arg0\": 1}},"
              "{\"rate\": \"pol.b\", \"calls\": 5},"
              "{\"deny\": \"pol.named\", \"refusal\": \"log\"},"
              "{\"allow\": \"pol.a.two\", \"args\": {\"arg0\": 1}}]"),
        0);
    CU_ASSERT_FALSE(call_fast(&f.vm, CALL_SBI, EXT, 1, &way));
    CU_ASSERT_TRUE(call_fast(&f.vm, CALL_SBI, EXT, 2, &way)); /* allowed whatever is passed */
    CU_ASSERT_FALSE(call_fast(&f.vm, CALL_SBI, EXT, 3, &way));
    CU_ASSERT_FALSE(call_fast(&f.vm, CALL_SBI, EXT, 5, &way));
    CU_ASSERT_FALSE(call_fast(&f.vm, CALL_TG, TG_FILES, 2, &way));
    end();
}

/* What a run was seen to do is allowed by the policy of it, and nothing else. */
static void test_learned(void)
{
    struct policy_doc doc;
    char *text = NULL;

    setup();
    f.config.policy_learn = true;
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(SBI(1, i), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), 0);
    policy_doc_init(&doc);
    CU_ASSERT_EQUAL_FATAL(policy_learned(&f.vm, &doc), 0);
    CU_ASSERT_EQUAL_FATAL(policy_doc_print(&doc, &text), 0);
    policy_doc_free(&doc);
    end();
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"seen\": 3"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "pol.below")); /* nobody can tell, or refuse it */
    setup();
    file_write(text);
    CU_ASSERT_EQUAL_FATAL(start(), 0);
    CU_ASSERT_EQUAL(SBI(1, 9), 0);
    CU_ASSERT_EQUAL(call(CALL_TG, TG_FILES, 2, 0, 0), 0);
    CU_ASSERT_EQUAL(SBI(2, 0), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(SBI(3, 0), SBI_ERR_DENIED);
    free(text);
    end();
}

void suite_policy(void)
{
    CU_pSuite s = CU_add_suite("policy", NULL, NULL);

    CU_add_test(s, "names, groups and numbers", test_kinds_of_targets);
    CU_add_test(s, "who decides", test_precedence);
    CU_add_test(s, "the shipped policy", test_shipped);
    CU_add_test(s, "deterministic runs", test_deterministic);
    CU_add_test(s, "arguments", test_arguments);
    CU_add_test(s, "compiled rules agree", test_index_is_right);
    CU_add_test(s, "compiled rules agree however they lie", test_index_shapes);
    CU_add_test(s, "too many to compile", test_index_limit);
    CU_add_test(s, "stop", test_stop);
    CU_add_test(s, "log", test_log);
    CU_add_test(s, "a buffered call is checked once", test_buffer_once);
    CU_add_test(s, "calls a second", test_rate_calls);
    CU_add_test(s, "bytes a second", test_rate_bytes);
    CU_add_test(s, "what exceeds a rate", test_rate_refusals);
    CU_add_test(s, "rates are saved", test_rate_saved);
    CU_add_test(s, "effects", test_effects);
    CU_add_test(s, "files and numbers", test_grants);
    CU_add_test(s, "refused at the start", test_refused_at_start);
    CU_add_test(s, "no plain way", test_no_plain_way);
    CU_add_test(s, "learned", test_learned);
}
