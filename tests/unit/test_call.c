/* test_call.c: the index of calls, the wrapper, and the small policy. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/suites.h"
#include "vmm/call.h"
#include "vmm/module.h"
#include "vmm/policy.h"
#include "vmm/vm.h"

#define RAM       UINT64_C(0x80000000)
#define RAM_SIZE  UINT64_C(0x40000)
#define EXT       UINT64_C(0x7700)
#define EXT_HIDE  UINT64_C(0x7701)
#define EXT_BELOW UINT64_C(0x7702)
#define NO_ERROR  ((struct error){.status = STATUS_OK})

/* What the handlers under test saw, in order. */
struct seen {
    char order[16];
    size_t len;
    unsigned byte_sum;
    bool buf;
};

/* The state of a test module. */
struct probe {
    struct seen *seen;
    char letter;
    enum call_disp disp;
    int64_t error;
    uint64_t value;
    bool fill_passes;
};

static enum call_disp probe_handler(void *self, struct hart *hart, struct call *c)
{
    struct probe *p = self;
    struct seen *seen = p->seen;

    (void)hart;
    if (strlen(seen->order) + 1 < sizeof(seen->order))
        seen->order[strlen(seen->order)] = p->letter;
    seen->len = c->buf_len;
    seen->buf = c->buf != NULL;
    seen->byte_sum = 0;
    for (size_t i = 0; c->buf && i < c->buf_len; i++)
        seen->byte_sum += c->buf[i];
    CU_ASSERT_EQUAL(c->error, 0);
    CU_ASSERT_EQUAL(c->value, 0);
    c->error = p->error;
    c->value = p->value;
    return p->disp;
}

/* Fills the buffer with 0xab and reports p->value bytes. */
static enum call_disp fill_handler(void *self, struct hart *hart, struct call *c)
{
    struct probe *p = self;

    probe_handler(self, hart, c);
    memset(c->buf, 0xab, c->buf_len);
    return p->fill_passes ? CALL_PASS : p->disp;
}

/* Rows of a table of calls: plain; with a buffer whose length is in argument `at`; legacy. */
#define ROW_BUF(row, who, eid, fid, run, kind, at)                                             \
    {                                                                                          \
        .name = row, .personality = who, .ext = eid, .fn = fid, .handler = run,                \
        .buf_kind = kind, .buf_len_arg = at,                                                   \
    }
#define ROW(row, who, eid, fid, run) ROW_BUF(row, who, eid, fid, run, CALL_BUF_NONE, 0)
#define ROW_LEGACY(row, eid, kind)                                                             \
    {                                                                                          \
        .name = row, .personality = CALL_SBI, .ext = eid, .fn = CALL_ANY_FN,                   \
        .handler = probe_handler, .legacy = true, .buf_kind = kind,                            \
    }

static const struct call_desc one_calls[] = {
    ROW("one.exact", CALL_SBI, EXT, 1, probe_handler),
    ROW_BUF("one.in", CALL_SBI, EXT, 2, probe_handler, CALL_BUF_IN, 0),
    ROW_BUF("one.out", CALL_SBI, EXT, 3, fill_handler, CALL_BUF_OUT, 2),
    ROW("one.any", CALL_SBI, EXT, CALL_ANY_FN, probe_handler),
    ROW("one.sub.first", CALL_TG, TG_EXT_FIRST, 0, probe_handler),
    ROW_LEGACY("one.legacy", 9, CALL_BUF_NONE),
    ROW_LEGACY("one.legacy_in", 10, CALL_BUF_IN),
    ROW("one.program", CALL_PROGRAM, 0, 64, probe_handler),
    ROW_BUF("one.program_in", CALL_PROGRAM, 0, 65, probe_handler, CALL_BUF_IN, 0),
    ROW("one.hidden", CALL_SBI, EXT_HIDE, 0, probe_handler),
};

static const struct call_desc two_calls[] = {
    ROW("two.exact", CALL_SBI, EXT, 1, probe_handler),
    ROW_BUF("two.in", CALL_SBI, EXT, 2, probe_handler, CALL_BUF_IN, 0),
    ROW("two.only", CALL_SBI, EXT, 7, probe_handler),
    ROW("two.below", CALL_SBI, EXT_BELOW, 0, probe_handler),
};

static const struct module module_one = {
    .name = "one", .calls = one_calls, .ncalls = sizeof(one_calls) / sizeof(one_calls[0])};
static const struct module module_two = {
    .name = "two", .calls = two_calls, .ncalls = sizeof(two_calls) / sizeof(two_calls[0])};

static enum call_route fake_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    if (ext == EXT_HIDE)
        return ROUTE_HIDDEN;
    return ext == EXT_BELOW ? ROUTE_BELOW : ROUTE_EXITS;
}

static const struct engine fake_engine = {.name = "fake", .call_route = fake_route};

static struct fixture {
    struct vm vm;
    struct vm_config config;
    struct hart hart;
    struct module_instance instance[2];
    struct probe probe[2];
    struct seen seen;
    struct call c;
} f;

/* Modules one and two, with one before two; both pass until told otherwise. */
static void fixture_create(void)
{
    memset(&f, 0, sizeof(f));
    for (int i = 0; i < 2; i++) {
        f.probe[i] = (struct probe){.seen = &f.seen, .letter = "12"[i], .disp = CALL_PASS};
        f.instance[i] = (struct module_instance){
            .module = i ? &module_two : &module_one, .vm = &f.vm, .self = &f.probe[i]};
    }
    f.vm.config = &f.config;
    f.vm.engine = &fake_engine;
    f.vm.instance = f.instance;
    f.vm.ninstances = 2;
    f.hart.vm = &f.vm;
    mem_init(&f.vm.mem);
    CU_ASSERT_EQUAL_FATAL(mem_add(&f.vm.mem, RAM, RAM_SIZE), 0);
}

static void fixture_start(void)
{
    struct error err = NO_ERROR;

    fixture_create();
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &err), 0);
}

static void fixture_end(void)
{
    call_index_destroy(&f.vm);
    CU_ASSERT_PTR_NULL(f.vm.calls);
    policy_release(&f.vm);
    mem_destroy(&f.vm.mem);
}

/* Makes a call with junk where the reply goes. */
static const struct call *make_call(enum personality who, uint64_t ext, uint64_t fn,
                                    uint64_t a0, uint64_t a1, uint64_t a2)
{
    memset(&f.seen, 0, sizeof(f.seen));
    f.c = (struct call){
        .personality = who,
        .ext = ext,
        .fn = fn,
        .arg = {a0, a1, a2},
        .error = 99,
        .value = 99,
        .disp = CALL_STOPPED
    };
    call_dispatch(&f.hart, &f.c);
    return &f.c;
}

static void expect(enum call_disp disp, int64_t error, uint64_t value)
{
    CU_ASSERT_EQUAL(f.c.disp, disp);
    CU_ASSERT_EQUAL(f.c.error, error);
    CU_ASSERT_EQUAL(f.c.value, value);
    CU_ASSERT_PTR_NULL(f.c.buf);
}

static void test_first_handler_answers(void)
{
    fixture_start();
    f.probe[0].disp = CALL_RET2;
    f.probe[0].error = -7;
    f.probe[0].value = 1234;
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, -7, 1234);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    fixture_end();
}

static void test_chain_order(void)
{
    fixture_start();
    /* Exact rows in module order, then the row for every function; what passes leaves nothing.
     */
    f.probe[0].error = 5;
    f.probe[0].value = 6;
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "121");
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_SBI, EXT, 7, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "21");
    make_call(CALL_SBI, EXT, 8, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    make_call(CALL_SBI, EXT, CALL_ANY_FN, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    f.probe[1].disp = CALL_RET2;
    make_call(CALL_SBI, EXT, 7, 0, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "2");
    expect(CALL_RET2, 0, 0);
    fixture_end();
}

static void test_dispositions_come_through(void)
{
    static const enum call_disp disps[] = {CALL_RET1,     CALL_RET2, CALL_TRAP,
                                           CALL_REPLACED, CALL_PARK, CALL_STOPPED};

    fixture_start();
    for (size_t i = 0; i < sizeof(disps) / sizeof(disps[0]); i++) {
        f.probe[0].disp = disps[i];
        make_call(CALL_SBI, EXT, 1, 0, 0, 0);
        expect(disps[i], 0, 0);
        CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    }
    fixture_end();
}

static void test_unknown_calls(void)
{
    fixture_start();
    f.probe[0].disp = f.probe[1].disp = CALL_RET2;
    make_call(CALL_SBI, 0x123456, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_SBI, UINT64_MAX, UINT64_MAX, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_TG, TG_EXT_FIRST, 1, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    /* A legacy extension that nobody answers leaves a1 alone too. */
    make_call(CALL_SBI, 0, 0, 0, 0, 0);
    expect(CALL_RET1, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_SBI, SBI_EXT_BASE - 1, 0, 0, 0, 0);
    expect(CALL_RET1, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_SBI, SBI_EXT_BASE, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    /* What becomes of a program then is not the wrapper's to say. */
    make_call(CALL_PROGRAM, 0, 9999, 0, 0, 0);
    expect(CALL_PASS, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "");
    f.probe[0].disp = CALL_PASS;
    make_call(CALL_PROGRAM, 0, 64, 0, 0, 0);
    expect(CALL_PASS, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    fixture_end();
}

static void test_personalities_never_meet(void)
{
    fixture_start();
    f.probe[0].disp = f.probe[1].disp = CALL_RET2;
    make_call(CALL_SBI, 0, 64, 0, 0, 0);
    expect(CALL_RET1, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_PROGRAM, EXT, 1, 0, 0, 0);
    expect(CALL_PASS, 0, 0);
    make_call(CALL_SBI, TG_EXT_FIRST, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    make_call(CALL_TG, TG_EXT_FIRST, 0, 0, 0, 0);
    expect(CALL_RET2, 0, 0);
    fixture_end();
}

static void test_present(void)
{
    fixture_start();
    CU_ASSERT_TRUE(call_ext_present(&f.vm, CALL_SBI, EXT));
    CU_ASSERT_TRUE(call_ext_present(&f.vm, CALL_SBI, 9));
    CU_ASSERT_FALSE(call_ext_present(&f.vm, CALL_SBI, EXT + 16));
    CU_ASSERT_FALSE(call_ext_present(&f.vm, CALL_SBI, TG_EXT_FIRST));
    CU_ASSERT_TRUE(call_ext_present(&f.vm, CALL_TG, TG_EXT_FIRST));
    CU_ASSERT_TRUE(call_ext_present(&f.vm, CALL_TG, TG_EXT_EXIT));
    CU_ASSERT_FALSE(call_ext_present(&f.vm, CALL_TG, TG_EXT_LAST));
    /* Hidden by the engine: nobody's. Answered below: there, and ours if it comes here at all.
     */
    CU_ASSERT_FALSE(call_ext_present(&f.vm, CALL_SBI, EXT_HIDE));
    make_call(CALL_SBI, EXT_HIDE, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "");
    CU_ASSERT_TRUE(call_ext_present(&f.vm, CALL_SBI, EXT_BELOW));
    fixture_end();
}

static void test_no_modules(void)
{
    struct error err = NO_ERROR;

    fixture_create();
    f.vm.ninstances = 0;
    CU_ASSERT_EQUAL(call_index_build(&f.vm, &err), 0);
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    fixture_end();
}

static void test_many_calls(void)
{
    enum { COUNT = 3000 };
    struct call_desc *calls = calloc(COUNT, sizeof(*calls));
    struct module module = {.name = "many", .calls = calls, .ncalls = COUNT};
    struct error err = NO_ERROR;

    CU_ASSERT_PTR_NOT_NULL_FATAL(calls);
    fixture_create();
    for (unsigned i = 0; i < COUNT; i++)
        calls[i] = (struct call_desc)ROW("many.call", CALL_SBI,
                                         0x1000000 + i / 7 * UINT64_C(0x100000001), i % 7,
                                         probe_handler);
    f.instance[0].module = &module;
    f.probe[0].disp = CALL_RET2;
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &err), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        make_call(CALL_SBI, calls[i].ext, calls[i].fn, 0, 0, 0);
        expect(CALL_RET2, 0, 0);
        make_call(CALL_SBI, calls[i].ext, 7, 0, 0, 0);
        expect(CALL_RET2, SBI_ERR_NOT_SUPPORTED, 0);
    }
    fixture_end();
    free(calls);
}

static void test_buffer_in(void)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};

    fixture_start();
    f.probe[1].disp = CALL_RET2;
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, RAM + 16, bytes, sizeof(bytes)), 0);
    /* Module one looks and passes, module two finds the same bytes. */
    make_call(CALL_SBI, EXT, 2, sizeof(bytes), RAM + 16, 0);
    expect(CALL_RET2, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "12");
    CU_ASSERT_EQUAL(f.seen.len, sizeof(bytes));
    CU_ASSERT_EQUAL(f.seen.byte_sum, 15);
    /* The last byte of RAM, and none. */
    make_call(CALL_SBI, EXT, 2, 1, RAM + RAM_SIZE - 1, 0);
    expect(CALL_RET2, 0, 0);
    CU_ASSERT_EQUAL(f.seen.len, 1);
    make_call(CALL_SBI, EXT, 2, 0, 0x10, 0);
    expect(CALL_RET2, 0, 0);
    CU_ASSERT_EQUAL(f.seen.len, 0);
    CU_ASSERT_TRUE(f.seen.buf);
    fixture_end();
}

static void test_buffer_cut(void)
{
    fixture_start();
    f.probe[0].disp = CALL_RET2;
    make_call(CALL_SBI, EXT, 2, CALL_BUF_MAX, RAM, 0);
    CU_ASSERT_EQUAL(f.seen.len, CALL_BUF_MAX);
    make_call(CALL_SBI, EXT, 2, CALL_BUF_MAX + 1, RAM, 0);
    CU_ASSERT_EQUAL(f.seen.len, CALL_BUF_MAX);
    make_call(CALL_SBI, EXT, 2, RAM_SIZE, RAM, 0);
    CU_ASSERT_EQUAL(f.seen.len, CALL_BUF_MAX);
    expect(CALL_RET2, 0, 0);
    /* All of it has to be there, not just the part that is taken. */
    make_call(CALL_SBI, EXT, 2, RAM_SIZE + 1, RAM, 0);
    expect(CALL_RET2, SBI_ERR_INVALID_PARAM, 0);
    fixture_end();
}

static void test_buffer_bad(void)
{
    static const struct {
        uint64_t len, lo, hi;
    } bad[] = {
        {1,                    0,                  0         },
        {1,                    RAM - 1,            0         },
        {2,                    RAM - 1,            0         },
        {1,                    RAM + RAM_SIZE,     0         },
        {2,                    RAM + RAM_SIZE - 1, 0         },
        {1,                    RAM,                1         },
        {1,                    RAM,                UINT64_MAX},
        {0,                    RAM,                1         },
        {UINT64_MAX,           RAM,                0         },
        {1,                    UINT64_MAX,         0         },
        {2,                    UINT64_MAX,         0         },
        {UINT64_MAX - RAM + 2, RAM,                0         },
    };

    fixture_start();
    f.probe[0].disp = CALL_RET2;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        make_call(CALL_SBI, EXT, 2, bad[i].len, bad[i].lo, bad[i].hi);
        expect(CALL_RET2, SBI_ERR_INVALID_PARAM, 0);
        CU_ASSERT_STRING_EQUAL(f.seen.order, "");
    }
    make_call(CALL_SBI, 10, 0, 1, 0, 0);
    expect(CALL_RET1, SBI_ERR_INVALID_PARAM, 0);
    make_call(CALL_PROGRAM, 0, 65, 1, 0, 0);
    expect(CALL_RET1, -EFAULT, 0);
    fixture_end();
}

/* One call with an out-buffer of 8 bytes at RAM; returns how many bytes of RAM changed. */
static unsigned out_changed(uint64_t len)
{
    uint8_t ram[64];
    unsigned n = 0;

    memset(ram, 0x55, sizeof(ram));
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, RAM, ram, sizeof(ram)), 0);
    memset(&f.seen, 0, sizeof(f.seen));
    f.c = (struct call){
        .personality = CALL_SBI, .ext = EXT, .fn = 3, .arg = {0, 0, len, RAM, 0}
    };
    call_dispatch(&f.hart, &f.c);
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, RAM, ram, sizeof(ram)), 0);
    for (size_t i = 0; i < sizeof(ram); i++)
        n += ram[i] != 0x55;
    CU_ASSERT_EQUAL(n > 0, ram[0] == 0xab);
    return n;
}

static void test_buffer_out(void)
{
    fixture_start();
    f.probe[0].disp = CALL_RET2;
    f.probe[0].value = 5;
    CU_ASSERT_EQUAL(out_changed(8), 5);
    expect(CALL_RET2, 0, 5);
    CU_ASSERT_EQUAL(f.seen.byte_sum, 0); /* it starts as zeros */
    /* A handler that claims more than there is writes no more than there is. */
    f.probe[0].value = 60;
    CU_ASSERT_EQUAL(out_changed(8), 8);
    f.probe[0].value = 0;
    CU_ASSERT_EQUAL(out_changed(8), 0);
    /* Nothing is written with an error, or by a call that comes again. */
    f.probe[0].value = 5;
    f.probe[0].error = SBI_ERR_FAILED;
    CU_ASSERT_EQUAL(out_changed(8), 0);
    expect(CALL_RET2, SBI_ERR_FAILED, 5);
    f.probe[0].error = 0;
    f.probe[0].disp = CALL_PARK;
    CU_ASSERT_EQUAL(out_changed(8), 0);
    /* The row for every function answers after it: its value is no count. */
    f.probe[0].disp = CALL_RET2;
    f.probe[0].fill_passes = true;
    CU_ASSERT_EQUAL(out_changed(8), 0);
    expect(CALL_RET2, 0, 5);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "11");
    fixture_end();
}

/* Builds an index of one module with these rows; the result of the build and its message. */
static int build_with(const struct call_desc *calls, size_t n, struct error *err)
{
    struct module module = {.name = "odd", .calls = calls, .ncalls = n};

    fixture_create();
    *err = NO_ERROR;
    f.instance[1].module = &module;
    int rc = call_index_build(&f.vm, err);
    CU_ASSERT_EQUAL(rc < 0, f.vm.calls == NULL);
    fixture_end();
    return rc;
}

static void test_bad_descriptors(void)
{
    static const struct call_desc bad[] = {
        ROW("odd.nothing", CALL_SBI, EXT, 50, NULL),
        ROW(NULL, CALL_SBI, EXT, 50, probe_handler),
        ROW("odd.sbi_in_tg", CALL_SBI, TG_EXT_LAST, 0, probe_handler),
        ROW("odd.tg_outside", CALL_TG, TG_EXT_LAST + 1, 0, probe_handler),
        ROW("odd.exit", CALL_TG, TG_EXT_EXIT, 0, probe_handler),
        ROW("odd.program_ext", CALL_PROGRAM, 1, 0, probe_handler),
        ROW("odd.program_exit", CALL_PROGRAM, 0, TG_PROGRAM_EXIT, probe_handler),
        ROW("odd.program_exit_group", CALL_PROGRAM, 0, TG_PROGRAM_EXIT_GROUP, probe_handler),
        ROW("odd.nobody", PERSONALITIES, EXT, 50, probe_handler),
        ROW_BUF("odd.args", CALL_SBI, EXT, 50, probe_handler, CALL_BUF_IN, 4),
        /* Module one takes this call's buffer another way. */
        ROW_BUF("odd.buffer", CALL_SBI, EXT, 3, probe_handler, CALL_BUF_IN, 2),
        ROW_BUF("odd.buffer", CALL_SBI, EXT, 3, probe_handler, CALL_BUF_OUT, 1),
    };
    struct error err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(build_with(&bad[i], 1, &err), -EINVAL);
        CU_ASSERT_EQUAL(err.status, STATUS_CONFIG);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "odd"));
    }
}

static void test_twice_in_one_module(void)
{
    static const struct call_desc twice[] = {
        ROW("odd.a", CALL_SBI, EXT, 50, probe_handler),
        ROW("odd.b", CALL_TG, TG_EXT_LAST, 50, probe_handler),
        ROW("odd.c", CALL_SBI, EXT, 50, probe_handler),
    };
    struct error err;

    CU_ASSERT_EQUAL(build_with(twice, 2, &err), 0);
    CU_ASSERT_EQUAL(build_with(twice, 3, &err), -EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "odd.c"));
}

/* Freezes a policy of one rule, and builds the index under it. */
static int deny(const char *rule, struct error *err)
{
    fixture_create();
    *err = NO_ERROR;
    f.config.deny[0] = rule;
    f.config.ndeny = 1;
    f.probe[0].disp = f.probe[1].disp = CALL_RET2;
    int rc = policy_freeze(&f.vm, err);
    if (rc == 0)
        CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, err), 0);
    return rc;
}

static void test_policy_one_call(void)
{
    struct error err;

    CU_ASSERT_EQUAL_FATAL(deny("one.exact", &err), 0);
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "");
    make_call(CALL_SBI, EXT, 7, 0, 0, 0);
    expect(CALL_RET2, 0, 0);
    fixture_end();
}

static void test_policy_group(void)
{
    struct error err;

    CU_ASSERT_EQUAL_FATAL(deny("one", &err), 0);
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    make_call(CALL_TG, TG_EXT_FIRST, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    make_call(CALL_SBI, 9, 0, 0, 0, 0);
    expect(CALL_RET1, SBI_ERR_DENIED, 0);
    make_call(CALL_PROGRAM, 0, 64, 0, 0, 0);
    expect(CALL_RET1, -EPERM, 0);
    /* A refused call is refused before its buffer is looked at. */
    make_call(CALL_SBI, EXT, 2, 1, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    make_call(CALL_SBI, EXT, 7, 0, 0, 0);
    expect(CALL_RET2, 0, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "2");
    fixture_end();

    CU_ASSERT_EQUAL_FATAL(deny("one.sub", &err), 0);
    make_call(CALL_TG, TG_EXT_FIRST, 0, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, 0, 0);
    fixture_end();
}

static void test_policy_later_link(void)
{
    struct error err;

    CU_ASSERT_EQUAL_FATAL(deny("two.exact", &err), 0);
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, 0, 0);
    f.probe[0].disp = CALL_PASS;
    make_call(CALL_SBI, EXT, 1, 0, 0, 0);
    expect(CALL_RET2, SBI_ERR_DENIED, 0);
    CU_ASSERT_STRING_EQUAL(f.seen.order, "1");
    fixture_end();
}

static void test_policy_names(void)
{
    static const char *const unknown[] = {"on",    "one.exac", "one.exactly",   "exact",
                                          "three", "ONE",      "one.exact.one", "tg.exit"};
    static const char *const bad[] = {"", "one.", ".exact", "one.exact.", "one..exact", "0x"};
    struct error err;

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CU_ASSERT_EQUAL(deny(unknown[i], &err), -ENOENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--deny"));
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, unknown[i]));
        CU_ASSERT_NOT_EQUAL(err.status, STATUS_OK);
        fixture_end();
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(deny(bad[i], &err), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--deny"));
        CU_ASSERT_EQUAL(err.status, STATUS_USAGE);
        fixture_end();
    }
    /* Answered below the gate: a rule that could not hold is refused. */
    CU_ASSERT_EQUAL(deny("two.below", &err), -ENOTSUP);
    CU_ASSERT_EQUAL(err.status, STATUS_UNAVAILABLE);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "fake"));
    fixture_end();
}

void suite_call(void)
{
    CU_pSuite s = CU_add_suite("call", NULL, NULL);

    CU_add_test(s, "the first handler answers", test_first_handler_answers);
    CU_add_test(s, "order of a chain", test_chain_order);
    CU_add_test(s, "dispositions come through", test_dispositions_come_through);
    CU_add_test(s, "unknown calls", test_unknown_calls);
    CU_add_test(s, "personalities never meet", test_personalities_never_meet);
    CU_add_test(s, "which extensions are there", test_present);
    CU_add_test(s, "no modules", test_no_modules);
    CU_add_test(s, "many calls", test_many_calls);
    CU_add_test(s, "buffer in", test_buffer_in);
    CU_add_test(s, "buffer cut", test_buffer_cut);
    CU_add_test(s, "bad buffers", test_buffer_bad);
    CU_add_test(s, "buffer out", test_buffer_out);
    CU_add_test(s, "bad descriptors", test_bad_descriptors);
    CU_add_test(s, "one call twice in a module", test_twice_in_one_module);
    CU_add_test(s, "policy: one call", test_policy_one_call);
    CU_add_test(s, "policy: a group", test_policy_group);
    CU_add_test(s, "policy: a later handler", test_policy_later_link);
    CU_add_test(s, "policy: names", test_policy_names);
}
