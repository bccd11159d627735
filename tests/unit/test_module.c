/* test_module.c: which modules a VM gets, in which order they come and go, and how that fails.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/module.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- modules of the tests --- */

/* What was called, in order: "+a" create, "-a" destroy, "*a" reset. */
static char calls[256];

static void note(char what, const char *name)
{
    size_t used = strlen(calls);

    snprintf(calls + used, sizeof(calls) - used, "%c%s ", what, name);
}

/* An instance: memory that a leak would lose. */
struct thing {
    const struct module_instance *inst;
    uint64_t value;
};

static int thing_create(struct module_instance *inst, struct error *err)
{
    const char *fail = module_option(inst, "fail");
    struct thing *thing;

    note('+', inst->module->name);
    if (fail && strcmp(fail, "loud") == 0) {
        error_set(err, STATUS_USAGE, "%s: fail=loud", inst->module->name);
        return -EINVAL;
    }
    if (fail)
        return -EBUSY;
    thing = calloc(1, sizeof(*thing));
    if (!thing)
        return -ENOMEM;
    thing->inst = inst;
    inst->self = thing;
    return 0;
}

static void thing_destroy(void *self)
{
    struct thing *thing = self;

    note('-', thing->inst->module->name);
    free(thing);
}

static void thing_reset(void *self)
{
    const struct thing *thing = self;

    note('*', thing->inst->module->name);
}

static uint64_t thing_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct thing *thing = self;

    (void)hart;
    (void)size;
    return thing->value + offset;
}

static void thing_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                        uint64_t value)
{
    struct thing *thing = self;

    (void)hart;
    (void)size;
    thing->value = value + offset;
}

static const struct bus_ops thing_ops = {.read = thing_read, .write = thing_write, .sizes = 4};

static const struct module_key thing_keys[] = {
    {"fail",  "how to fail"},
    {"other", "nothing"    },
    {NULL,    NULL         },
};

#define THING                                                                                  \
    .summary = "a thing", .create = thing_create, .destroy = thing_destroy,                    \
    .reset = thing_reset, .keys = thing_keys

static const char *const after_a[] = {"a", NULL};
static const char *const after_b_and_a[] = {"b", "a", NULL};

static const struct module_mmio range_one[] = {
    {0x1000, 0x1000, &thing_ops},
    {0x9000, 0x1000, &thing_ops},
    {0,      0,      NULL      },
};
/* Its second range meets the first one of range_one. */
static const struct module_mmio range_two[] = {
    {0x3000, 0x1000, &thing_ops},
    {0x1ffc, 0x8,    &thing_ops},
    {0,      0,      NULL      },
};

static const struct module module_a = {.name = "a", .starts = MODULE_KERNEL, THING};
static const struct module module_b = {
    .name = "b", .starts = MODULE_KERNEL | MODULE_FIRMWARE, .after = after_a, THING};
static const struct module module_c = {
    .name = "c", .starts = MODULE_KERNEL, .after = after_b_and_a, THING};
static const struct module module_d = {.name = "d", .multiple = true, THING};
static const struct module module_one = {
    .name = "one", .starts = MODULE_KERNEL, .mmio = range_one, THING};
static const struct module module_two = {
    .name = "two", .starts = MODULE_KERNEL, .mmio = range_two, THING};
static const struct module module_bare = {.name = "bare", .starts = MODULE_KERNEL};

static const struct module *const list_abcd[] = {&module_a, &module_b, &module_c, &module_d,
                                                 NULL};

/* --- a VM for them --- */

static void request(struct fixture *f, const char *name, const char *key, const char *value)
{
    struct module_request *req = &f->config.request[f->config.nrequests++];

    *req = (struct module_request){.name = name, .noptions = key ? 1 : 0};
    req->options[0] = (struct module_option){.key = key, .value = value};
}

static void leave_out(struct fixture *f, const char *name)
{
    f->config.without[f->config.nwithout++] = name;
}

static void begin(struct fixture *f, enum start_kind start)
{
    fixture_init(f, start, 2, CONSOLE_NONE);
    f->vm.instance = NULL;
    calls[0] = '\0';
}

static void end(struct fixture *f)
{
    modules_destroy(&f->vm);
    fixture_destroy(f);
}

/* Creating must fail, say `text`, and leave nothing. */
static void expect_failure(struct fixture *f, const struct module *const *list,
                           enum tg_status status, const char *text)
{
    f->err = (struct error){0};
    CU_ASSERT(modules_create_from(&f->vm, list, &f->err) < 0);
    if (f->err.status != status || !strstr(f->err.text, text)) {
        printf("\n    status %d: %s\n", f->err.status, f->err.text);
        CU_FAIL("the message of a failure");
    }
    CU_ASSERT_EQUAL(f->vm.ninstances, 0);
    CU_ASSERT_PTR_NULL(f->vm.instance);
}

/* --- order --- */

static void test_order(void)
{
    static struct fixture f;

    begin(&f, START_KERNEL);
    CU_ASSERT_EQUAL(modules_create_from(&f.vm, list_abcd, &f.err), 0);
    CU_ASSERT_EQUAL(f.vm.ninstances, 3);
    CU_ASSERT_TRUE(module_present(&f.vm, "b"));
    CU_ASSERT_FALSE(module_present(&f.vm, "d"));
    modules_reset(&f.vm);
    modules_destroy(&f.vm);
    CU_ASSERT_STRING_EQUAL(calls, "+a +b +c *a *b *c -c -b -a ");
    CU_ASSERT_EQUAL(f.vm.ninstances, 0);
    CU_ASSERT_FALSE(module_present(&f.vm, "b"));
    modules_destroy(&f.vm); /* twice does no harm */
    end(&f);
}

/* A failure at each place in turn: what was created before goes, in reverse. */
static void test_unwinding(void)
{
    static const char *const names[] = {"a", "b", "c"};
    static const char *const after[] = {"+a ", "+a +b -a ", "+a +b +c -b -a "};
    static struct fixture f;

    for (unsigned i = 0; i < 3; i++) {
        begin(&f, START_KERNEL);
        request(&f, names[i], "fail", "loud");
        expect_failure(&f, list_abcd, STATUS_USAGE, "fail=loud");
        CU_ASSERT_STRING_EQUAL(calls, after[i]);
        end(&f);
        /* One that says nothing gets a message all the same. */
        begin(&f, START_KERNEL);
        request(&f, names[i], "fail", "");
        expect_failure(&f, list_abcd, STATUS_CONFIG, names[i]);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, strerror(EBUSY)));
        CU_ASSERT_STRING_EQUAL(calls, after[i]);
        end(&f);
    }
}

static void test_dependencies(void)
{
    static const struct module *const wrong_order[] = {&module_b, &module_a, NULL};
    static struct fixture f;

    begin(&f, START_KERNEL);
    leave_out(&f, "a");
    expect_failure(&f, list_abcd, STATUS_CONFIG, "module b needs module a");
    CU_ASSERT_STRING_EQUAL(calls, "");
    end(&f);
    begin(&f, START_KERNEL);
    leave_out(&f, "b");
    expect_failure(&f, list_abcd, STATUS_CONFIG, "module c needs module b");
    CU_ASSERT_STRING_EQUAL(calls, "+a -a ");
    end(&f);
    begin(&f, START_KERNEL);
    expect_failure(&f, wrong_order, STATUS_CONFIG, "module b needs module a");
    end(&f);
    /* By default in this start, but what it needs is not. */
    begin(&f, START_FIRMWARE);
    expect_failure(&f, list_abcd, STATUS_CONFIG, "module b needs module a");
    end(&f);
    begin(&f, START_FIRMWARE);
    request(&f, "a", NULL, NULL);
    CU_ASSERT_EQUAL(modules_create_from(&f.vm, list_abcd, &f.err), 0);
    CU_ASSERT_STRING_EQUAL(calls, "+a +b ");
    end(&f);
}

/* --- addresses --- */

static void test_ranges(void)
{
    static const struct module *const list[] = {&module_a, &module_one, NULL};
    static struct fixture f;

    begin(&f, START_KERNEL);
    CU_ASSERT_EQUAL(modules_create_from(&f.vm, list, &f.err), 0);
    fixture_write(&f, 0x1010, 4, 5);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x1000, 4), 0x15);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x9004, 4), 0x19);
    CU_ASSERT_TRUE(fixture_refused(&f, 0x1010, 8));
    CU_ASSERT_TRUE(fixture_refused(&f, 0x2000, 4));
    end(&f);
}

static void test_overlap(void)
{
    static const struct module *const lists[][4] = {
        {&module_a, &module_one, &module_two, NULL},
        {&module_a, &module_two, &module_one, NULL},
    };
    static const char *const after[] = {"+a +one +two -two -one -a ",
                                        "+a +two +one -one -two -a "};
    static struct fixture f;

    for (unsigned i = 0; i < 2; i++) {
        begin(&f, START_KERNEL);
        expect_failure(&f, lists[i], STATUS_CONFIG, "is taken by");
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "one"));
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "two"));
        CU_ASSERT_STRING_EQUAL(calls, after[i]);
        end(&f);
    }
}

static void test_overlap_ram(void)
{
    static const struct module_mmio range[] = {
        {FIXTURE_RAM + FIXTURE_RAM_SIZE - 4, 8, &thing_ops},
        {0,                                  0, NULL      },
    };
    static const struct module in_ram = {
        .name = "in-ram", .starts = MODULE_KERNEL, .mmio = range, THING};
    static const struct module *const list[] = {&in_ram, NULL};
    static struct fixture f;

    begin(&f, START_KERNEL);
    expect_failure(&f, list, STATUS_CONFIG, "RAM");
    CU_ASSERT_STRING_EQUAL(calls, "+in-ram -in-ram ");
    end(&f);
}

/* Every pointer of a module may be NULL. */
static void test_bare(void)
{
    static const struct module *const list[] = {&module_bare, NULL};
    static struct fixture f;

    begin(&f, START_KERNEL);
    CU_ASSERT_EQUAL(modules_create_from(&f.vm, list, &f.err), 0);
    CU_ASSERT_TRUE(module_present(&f.vm, "bare"));
    modules_reset(&f.vm);
    end(&f);
    begin(&f, START_KERNEL);
    request(&f, "bare", "x", "");
    expect_failure(&f, list, STATUS_CONFIG, "none");
    end(&f);
}

/* --- what was asked for --- */

static void test_requests(void)
{
    static struct fixture f;

    begin(&f, START_KERNEL);
    request(&f, "d", "other", "first");
    request(&f, "b", "other", "1");
    request(&f, "d", NULL, NULL);
    request(&f, "d", "other", "");
    leave_out(&f, "c");
    CU_ASSERT_EQUAL(modules_create_from(&f.vm, list_abcd, &f.err), 0);
    CU_ASSERT_STRING_EQUAL(calls, "+a +b +d +d +d ");
    CU_ASSERT_EQUAL(f.vm.ninstances, 5);
    const struct module_instance *inst = f.vm.instance;
    CU_ASSERT_PTR_NULL(module_option(&inst[0], "other"));
    CU_ASSERT_STRING_EQUAL(module_option(&inst[1], "other"), "1");
    CU_ASSERT_PTR_NULL(module_option(&inst[1], "fail"));
    CU_ASSERT_STRING_EQUAL(module_option(&inst[2], "other"), "first");
    CU_ASSERT_PTR_NULL(module_option(&inst[3], "other"));
    CU_ASSERT_STRING_EQUAL(module_option(&inst[4], "other"), "");
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_PTR_EQUAL(inst[2 + i].module, &module_d);
        CU_ASSERT_EQUAL(inst[2 + i].index, i);
        CU_ASSERT_PTR_EQUAL(inst[2 + i].vm, &f.vm);
    }
    end(&f);
}

static void test_refused_requests(void)
{
    static struct fixture f;

    begin(&f, START_KERNEL);
    request(&f, "b", NULL, NULL);
    request(&f, "b", NULL, NULL);
    expect_failure(&f, list_abcd, STATUS_CONFIG, "b can be given only once");
    CU_ASSERT_STRING_EQUAL(calls, "+a +b -b -a ");
    end(&f);
    begin(&f, START_KERNEL);
    request(&f, "e", NULL, NULL);
    expect_failure(&f, list_abcd, STATUS_CONFIG, "no module 'e'");
    end(&f);
    begin(&f, START_KERNEL);
    request(&f, "plic", NULL, NULL); /* not in this list */
    expect_failure(&f, list_abcd, STATUS_CONFIG, "no module 'plic'");
    end(&f);
    begin(&f, START_KERNEL);
    leave_out(&f, "e");
    expect_failure(&f, list_abcd, STATUS_CONFIG, "no module 'e'");
    end(&f);
    begin(&f, START_KERNEL);
    leave_out(&f, "c");
    request(&f, "c", NULL, NULL);
    expect_failure(&f, list_abcd, STATUS_CONFIG, "both name 'c'");
    end(&f);
    begin(&f, START_KERNEL);
    request(&f, "d", "colour", "red");
    expect_failure(&f, list_abcd, STATUS_CONFIG, "d has no key 'colour'; it has: fail, other");
    CU_ASSERT_STRING_EQUAL(calls, "");
    end(&f);
}

static void test_parse(void)
{
    struct module_request req;
    struct error err = {0};
    char text[] = "name,key=value,alone,empty=,twice=a=b";
    char many[512] = "x";

    CU_ASSERT_EQUAL(module_request_parse(text, &req, &err), 0);
    CU_ASSERT_STRING_EQUAL(req.name, "name");
    CU_ASSERT_EQUAL(req.noptions, 4);
    CU_ASSERT_STRING_EQUAL(req.options[0].key, "key");
    CU_ASSERT_STRING_EQUAL(req.options[0].value, "value");
    CU_ASSERT_STRING_EQUAL(req.options[1].key, "alone");
    CU_ASSERT_STRING_EQUAL(req.options[1].value, "");
    CU_ASSERT_STRING_EQUAL(req.options[2].value, "");
    CU_ASSERT_STRING_EQUAL(req.options[3].key, "twice");
    CU_ASSERT_STRING_EQUAL(req.options[3].value, "a=b");
    for (unsigned i = 0; i < COUNT(req.options); i++)
        strcat(many, ",k=v");
    CU_ASSERT_EQUAL(module_request_parse(many, &req, &err), 0);
    CU_ASSERT_EQUAL(req.noptions, COUNT(req.options));
}

static void test_parse_refused(void)
{
    static const char *const texts[] = {"", ",k=v", "name,", "name,,k=v", "name,=v"};
    struct module_request req;
    char text[512];

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct error err = {0};

        snprintf(text, sizeof(text), "%s", texts[i]);
        CU_ASSERT(module_request_parse(text, &req, &err) < 0);
        CU_ASSERT_EQUAL(err.status, STATUS_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--device"));
    }
    struct error err = {0};
    strcpy(text, "x");
    for (unsigned i = 0; i <= COUNT(req.options); i++)
        strcat(text, ",k=v");
    CU_ASSERT(module_request_parse(text, &req, &err) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more than 16"));
}

/* --- the modules of this build --- */

static unsigned list_place(const char *name)
{
    unsigned i = 0;

    while (module_list[i] && strcmp(module_list[i]->name, name) != 0)
        i++;
    return i;
}

/* What the code relies on: names once, dependencies before, keys explained. */
static void test_list(void)
{
    for (unsigned i = 0; module_list[i]; i++) {
        const struct module *m = module_list[i];

        CU_ASSERT_EQUAL(list_place(m->name), i);
        CU_ASSERT_PTR_EQUAL(module_find(m->name), m);
        CU_ASSERT(m->summary && *m->summary);
        for (const char *const *name = m->after; name && *name; name++)
            CU_ASSERT(list_place(*name) < i);
        for (const struct module_key *key = m->keys; key && key->key; key++)
            CU_ASSERT(*key->key && key->help && *key->help);
        for (size_t c = 0; c < m->ncalls; c++)
            CU_ASSERT(m->calls[c].name && m->calls[c].handler);
    }
    CU_ASSERT_PTR_NULL(module_find("no-such-module"));
    CU_ASSERT_PTR_NULL(module_find(""));
}

/* Each start has the modules that name it, in the list's order. */
static void test_starts(void)
{
    static const unsigned masks[] = {[START_KERNEL] = MODULE_KERNEL,
                                     [START_FIRMWARE] = MODULE_FIRMWARE,
                                     [START_PROGRAM] = MODULE_PROGRAM};
    static struct fixture f;

    for (unsigned start = START_KERNEL; start <= START_PROGRAM; start++) {
        unsigned n = 0;

        begin(&f, (enum start_kind)start);
        CU_ASSERT_EQUAL(modules_create(&f.vm, &f.err), 0);
        for (unsigned i = 0; module_list[i]; i++) {
            if (!(module_list[i]->starts & masks[start]))
                continue;
            /* The mock host does not tell what steal time is, so STA declines; no engine here
             * has an interrupt controller of its own. */
            if (strcmp(module_list[i]->name, "sbi-sta") == 0 ||
                strcmp(module_list[i]->name, "aia") == 0)
                continue;
            CU_ASSERT(n < f.vm.ninstances && f.vm.instance[n].module == module_list[i]);
            n++;
        }
        CU_ASSERT_EQUAL(f.vm.ninstances, n);
        modules_reset(&f.vm);
        end(&f);
    }
}

/* Each can be left out, or its absence is refused with the name of the one that needs it. */
static void test_without_each(void)
{
    static struct fixture f;

    for (unsigned i = 0; module_list[i]; i++) {
        const char *name = module_list[i]->name;

        begin(&f, START_KERNEL);
        leave_out(&f, name);
        if (modules_create(&f.vm, &f.err) == 0) {
            CU_ASSERT_FALSE(module_present(&f.vm, name));
        } else {
            CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, name));
            CU_ASSERT_EQUAL(f.vm.ninstances, 0);
        }
        end(&f);
    }
}

/* Bad options of real devices, after others were created. */
static void test_real_options(void)
{
    static const struct {
        const char *name, *key, *value, *text;
    } cases[] = {
        {"virtio-console", "slot",     "8",                 "slot"    },
        {"virtio-console", "slot",     "",                  "slot"    },
        {"virtio-console", "slot",     "-1",                "slot"    },
        {"virtio-console", "slots",    "1",                 "slots"   },
        {"htif",           "tohost",   "zebra",             "tohost"  },
        {"htif",           "tohost",   "0x80000004",        "tohost"  },
        {"htif",           "tohost",   "10000000",          "RAM"     },
        {"htif",           "tohost",   "fffffffffffffff8",  "RAM"     },
        {"htif",           "fromhost", "1234567812345678f", "fromhost"},
        {"plic",           "key",      "1",                 "none"    },
    };
    static struct fixture f;

    for (size_t i = 0; i < COUNT(cases); i++) {
        begin(&f, START_KERNEL);
        request(&f, cases[i].name, cases[i].key, cases[i].value);
        CU_ASSERT(modules_create(&f.vm, &f.err) < 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, cases[i].text));
        CU_ASSERT_EQUAL(f.vm.ninstances, 0);
        end(&f);
    }
    begin(&f, START_KERNEL);
    request(&f, "htif", "tohost", "80001000");
    request(&f, "virtio-console", "slot", "7");
    CU_ASSERT_EQUAL(modules_create(&f.vm, &f.err), 0);
    CU_ASSERT_TRUE(module_present(&f.vm, "htif"));
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_VIRTIO_BASE + 7 * PLAT_VIRTIO_SIZE, 4), 0x74726976);
    end(&f);
}

void suite_module(void)
{
    CU_pSuite suite = CU_add_suite("module", NULL, NULL);

    CU_add_test(suite, "created in order, destroyed in reverse", test_order);
    CU_add_test(suite, "a failure unwinds", test_unwinding);
    CU_add_test(suite, "dependencies", test_dependencies);
    CU_add_test(suite, "address ranges", test_ranges);
    CU_add_test(suite, "overlapping ranges", test_overlap);
    CU_add_test(suite, "a range in RAM", test_overlap_ram);
    CU_add_test(suite, "a module of nothing", test_bare);
    CU_add_test(suite, "--device and --without", test_requests);
    CU_add_test(suite, "refused requests", test_refused_requests);
    CU_add_test(suite, "parsing requests", test_parse);
    CU_add_test(suite, "parsing refuses", test_parse_refused);
    CU_add_test(suite, "the list of this build", test_list);
    CU_add_test(suite, "the modules of each start", test_starts);
    CU_add_test(suite, "without each module", test_without_each);
    CU_add_test(suite, "bad options of real modules", test_real_options);
}
