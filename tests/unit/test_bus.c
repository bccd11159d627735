/* test_bus.c: claims of address ranges and interrupt lines, and the way of an access. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

/* A device that notes the last access and answers with all bits set. */
struct probe {
    struct hart *hart;
    uint64_t offset, value;
    unsigned size, reads, writes;
    pthread_mutex_t lock;
    bool locked; /* the lock was held in the handler */
};

static uint64_t probe_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct probe *p = self;

    p->hart = hart;
    p->offset = offset;
    p->size = size;
    p->reads++;
    p->locked = pthread_mutex_trylock(&p->lock) == EBUSY;
    if (!p->locked)
        pthread_mutex_unlock(&p->lock);
    return UINT64_MAX;
}

static void probe_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                        uint64_t value)
{
    struct probe *p = self;

    p->hart = hart;
    p->offset = offset;
    p->size = size;
    p->value = value;
    p->writes++;
}

static const struct bus_ops any_ops = {
    .read = probe_read, .write = probe_write, .sizes = BUS_ANY_SIZE};
static const struct bus_ops word_ops = {.read = probe_read, .write = probe_write, .sizes = 4};
/* Knows the answer at offset 0. */
static bool probe_glance(void *self, uint64_t offset, unsigned size, uint64_t *value)
{
    (void)self;
    (void)size;
    *value = 0x1234;
    return offset == 0;
}

static const struct bus_ops glance_ops = {
    .read = probe_read, .write = probe_write, .sizes = BUS_ANY_SIZE, .glance = probe_glance};
static const struct bus_ops read_ops = {.read = probe_read, .sizes = BUS_ANY_SIZE};

static int claim(struct fixture *f, struct probe *p, gpa_t gpa, uint64_t size,
                 const struct bus_ops *ops, const char *owner)
{
    const struct bus_claim c = {
        .gpa = gpa, .size = size, .ops = ops, .self = p, .owner = owner};

    f->err = (struct error){.status = STATUS_OK};
    return bus_claim(&f->vm, &c, &f->err);
}

static void test_claims(void)
{
    static struct fixture f;
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);

    CU_ASSERT_EQUAL(claim(&f, &p, 0x3000, 0x100, &any_ops, "one"), 0);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x1000, 0x100, &any_ops, "two"), 0);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x2000, 0x1000, &any_ops, "three"), 0);
    for (unsigned i = 1; i < f.vm.bus.nclaims; i++)
        CU_ASSERT(f.vm.bus.claim[i - 1].gpa < f.vm.bus.claim[i].gpa);

    CU_ASSERT_EQUAL(claim(&f, &p, 0x30ff, 1, &any_ops, "four"), -EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "four"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "one"));
    CU_ASSERT_EQUAL(f.err.status, STATUS_CONFIG);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x0, 0x10000, &any_ops, "four"), -EEXIST);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x5000, 0, &any_ops, "four"), -EINVAL);
    CU_ASSERT_EQUAL(claim(&f, &p, UINT64_MAX, 2, &any_ops, "four"), -EINVAL);
    CU_ASSERT_EQUAL(claim(&f, &p, UINT64_MAX, 1, &any_ops, "four"), 0);
    CU_ASSERT_EQUAL(f.vm.bus.nclaims, 4);
    fixture_destroy(&f);
}

static void test_claims_and_ram(void)
{
    static struct fixture f;
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    gpa_t end = FIXTURE_RAM + FIXTURE_RAM_SIZE;
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);

    CU_ASSERT_EQUAL(claim(&f, &p, end - 1, 2, &any_ops, "x"), -EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "RAM"));
    CU_ASSERT_EQUAL(claim(&f, &p, FIXTURE_RAM - 1, 2, &any_ops, "x"), -EEXIST);
    CU_ASSERT_EQUAL(claim(&f, &p, 0, UINT64_MAX, &any_ops, "x"), -EEXIST);
    CU_ASSERT_EQUAL(claim(&f, &p, end, 1, &any_ops, "x"), 0);
    CU_ASSERT_EQUAL(claim(&f, &p, FIXTURE_RAM - 1, 1, &any_ops, "y"), 0);
    CU_ASSERT_EQUAL(mem_punch(&f.vm.mem, FIXTURE_RAM + 0x1000, 0x1000), 0);
    CU_ASSERT_EQUAL(claim(&f, &p, FIXTURE_RAM + 0x1000, 0x1000, &any_ops, "hole"), 0);
    fixture_destroy(&f);
}

static void test_claims_full(void)
{
    static struct fixture f;
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);

    /* From the highest down, so that each is inserted at the front. */
    for (unsigned i = 0; i < BUS_CLAIMS_MAX; i++)
        CU_ASSERT_EQUAL(claim(&f, &p, (BUS_CLAIMS_MAX - i) * 16, 8, &any_ops, "x"), 0);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x10000, 8, &any_ops, "x"), -ENOSPC);
    for (unsigned i = 1; i <= BUS_CLAIMS_MAX; i++) {
        (void)fixture_read(&f, i * 16 + 4, 4);
        CU_ASSERT_EQUAL(p.offset, 4);
        CU_ASSERT(fixture_refused(&f, i * 16 + 8, 1));
    }
    fixture_destroy(&f);
}

static void test_access(void)
{
    static struct fixture f;
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL(claim(&f, &p, 0x1000, 0x10, &any_ops, "any"), 0);

    /* Values are cut to the access. */
    CU_ASSERT_EQUAL(fixture_read(&f, 0x1003, 1), 0xff);
    CU_ASSERT_EQUAL(p.offset, 3);
    CU_ASSERT_EQUAL(p.size, 1);
    CU_ASSERT_PTR_EQUAL(p.hart, &f.hart[0]);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x1002, 2), 0xffff);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x100c, 4), UINT32_MAX);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x1008, 8), UINT64_MAX);
    fixture_write(&f, 0x1004, 2, UINT64_C(0x123456789));
    CU_ASSERT_EQUAL(p.value, 0x6789);
    CU_ASSERT_FALSE(p.locked);

    unsigned accesses = p.reads + p.writes;
    CU_ASSERT(fixture_refused(&f, 0x1001, 2));
    CU_ASSERT(fixture_refused(&f, 0x1004, 8));
    CU_ASSERT(fixture_refused(&f, 0x1000, 0));
    CU_ASSERT(fixture_refused(&f, 0x1000, 3));
    CU_ASSERT(fixture_refused(&f, 0x1000, 16));
    CU_ASSERT(fixture_refused(&f, 0x0fff, 1));
    CU_ASSERT(fixture_refused(&f, 0x1010, 1));
    CU_ASSERT(fixture_refused(&f, FIXTURE_RAM, 4));
    CU_ASSERT_EQUAL(p.reads + p.writes, accesses);
    fixture_destroy(&f);
}

static void test_access_rules(void)
{
    static struct fixture f;
    struct probe p = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const struct bus_claim locked = {.gpa = 0x3000,
                                     .size = 8,
                                     .ops = &any_ops,
                                     .self = &p,
                                     .lock = &p.lock,
                                     .owner = "lock"};
    uint64_t data = 1;
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);

    CU_ASSERT_EQUAL(claim(&f, &p, 0x1000, 6, &word_ops, "word"), 0);
    CU_ASSERT(fixture_refused(&f, 0x1000, 1));
    CU_ASSERT(fixture_refused(&f, 0x1000, 8));
    CU_ASSERT(fixture_refused(&f, 0x1004, 4)); /* the last word is half outside */
    CU_ASSERT_EQUAL(fixture_read(&f, 0x1000, 4), UINT32_MAX);

    CU_ASSERT_EQUAL(claim(&f, &p, 0x2000, 8, &read_ops, "read"), 0);
    CU_ASSERT_EQUAL(bus_access(&f.vm, &f.hart[0], 0x2000, 4, true, &data), -EFAULT);
    CU_ASSERT_EQUAL(bus_access(&f.vm, &f.hart[0], 0x2000, 4, false, &data), 0);

    CU_ASSERT_EQUAL(bus_claim(&f.vm, &locked, &f.err), 0);
    (void)fixture_read(&f, 0x3000, 4);
    CU_ASSERT_TRUE(p.locked);
    CU_ASSERT_EQUAL(pthread_mutex_trylock(&p.lock), 0);
    pthread_mutex_unlock(&p.lock);

    CU_ASSERT_EQUAL(claim(&f, &p, 0x4000, 8, &glance_ops, "glance"), 0);
    p.reads = 0;
    CU_ASSERT_EQUAL(fixture_read(&f, 0x4000, 4), 0x1234);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x4000, 1), 0x34);
    CU_ASSERT_EQUAL(p.reads, 0);
    CU_ASSERT_EQUAL(fixture_read(&f, 0x4004, 4), UINT32_MAX);
    CU_ASSERT_EQUAL(p.reads, 1);
    p.writes = 0;
    fixture_write(&f, 0x4000, 4, 1);
    CU_ASSERT_EQUAL(p.writes, 1);
    fixture_destroy(&f);
}

static void note_level(void *self, unsigned gsi, bool level)
{
    int *levels = self;

    levels[gsi] += level ? 1 : -1;
}

static void test_irq(void)
{
    static struct fixture f;
    int levels[PLAT_IRQ_SOURCES] = {0};
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);

    irq_set(&f.vm, 5, true); /* no controller: nothing happens */
    CU_ASSERT_EQUAL(irq_controller(&f.vm, note_level, levels, 77), 0);
    CU_ASSERT_EQUAL(irq_controller(&f.vm, note_level, NULL, 78), -EEXIST);
    CU_ASSERT_EQUAL(f.vm.irq.phandle, 77);

    CU_ASSERT_EQUAL(irq_claim(&f.vm, 0, "a", &f.err), -EINVAL);
    CU_ASSERT_EQUAL(irq_claim(&f.vm, PLAT_IRQ_SOURCES, "a", &f.err), -EINVAL);
    CU_ASSERT_EQUAL(irq_claim(&f.vm, PLAT_IRQ_SOURCES - 1, "a", &f.err), 0);
    CU_ASSERT_EQUAL(irq_claim(&f.vm, 5, "first", &f.err), 0);
    f.err = (struct error){.status = STATUS_OK};
    CU_ASSERT_EQUAL(irq_claim(&f.vm, 5, "second", &f.err), -EEXIST);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "first"));
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "second"));

    irq_set(&f.vm, 5, true);
    irq_set(&f.vm, 0, true);
    irq_set(&f.vm, PLAT_IRQ_SOURCES, true);
    CU_ASSERT_EQUAL(levels[5], 1);
    irq_set(&f.vm, 5, false);
    CU_ASSERT_EQUAL(levels[5], 0);
    CU_ASSERT_EQUAL(levels[0], 0);
    fixture_destroy(&f);
}

void suite_bus(void)
{
    CU_pSuite suite = CU_add_suite("bus", NULL, NULL);

    CU_add_test(suite, "claims are sorted, checked and named", test_claims);
    CU_add_test(suite, "claims keep off RAM", test_claims_and_ram);
    CU_add_test(suite, "a full table", test_claims_full);
    CU_add_test(suite, "an access reaches its device", test_access);
    CU_add_test(suite, "sizes, directions and locks", test_access_rules);
    CU_add_test(suite, "interrupt lines", test_irq);
}
