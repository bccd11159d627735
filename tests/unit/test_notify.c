/* test_notify.c: stores and interrupts as counts of eventfds, with an engine that has them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "devices/virtio_mmio.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/notify.h"
#include "vmm/snapshot.h"

extern const struct module module_virtio_rng;

#define GPA UINT64_C(0x10001050)

/* What the engine was told; one machine at a time. */
static struct told {
    unsigned stores, lines;
    gpa_t gpa;
    uint32_t value;
    int fd, line_fd;
    unsigned gsi;
    int result;
} told;

static int store_fd(struct vm *vm, gpa_t gpa, uint32_t value, int fd)
{
    (void)vm;
    told.stores++;
    told.gpa = gpa;
    told.value = value;
    told.fd = fd;
    return told.result;
}

static int line_fd(struct vm *vm, unsigned gsi, int fd)
{
    (void)vm;
    told.lines++;
    told.gsi = gsi;
    told.line_fd = fd;
    return told.result;
}

struct served {
    _Atomic unsigned calls, sum;
};

static void serve(void *self, unsigned arg)
{
    struct served *served = self;

    served->calls++;
    served->sum += arg;
}

static void begin(struct fixture *f)
{
    fixture_init(f, START_KERNEL, 1, CONSOLE_NONE);
    f->engine.store_fd = store_fd;
    f->engine.line_fd = line_fd;
    told = (struct told){.fd = -1};
}

static void end(struct fixture *f)
{
    notify_destroy(&f->vm);
    fixture_destroy(f);
}

/* Every store before the end is served, by the thread or by who stops it. */
static void test_stores(void)
{
    static struct fixture f;
    struct served served = {0};

    begin(&f);
    CU_ASSERT_EQUAL(notify_claim(&f.vm, GPA, 3, serve, &served, 7), 0);
    CU_ASSERT(told.gpa == GPA && told.value == 3 && told.fd >= 0);
    CU_ASSERT_EQUAL(notify_start(&f.vm), 0);
    CU_ASSERT_EQUAL(eventfd_write(told.fd, 2), 0);
    notify_stop(&f.vm);
    CU_ASSERT(served.calls == 1 && served.sum == 7);
    notify_stop(&f.vm);
    CU_ASSERT_EQUAL(served.calls, 1);
    end(&f);
}

static void test_refused(void)
{
    static struct fixture f;
    struct served served = {0};

    begin(&f);
    told.result = -ENOSPC;
    CU_ASSERT_EQUAL(notify_claim(&f.vm, GPA, 0, serve, &served, 0), -ENOSPC);
    CU_ASSERT_EQUAL(notify_line(&f.vm, 5), -ENOSPC);
    f.engine.store_fd = NULL;
    f.engine.line_fd = NULL;
    CU_ASSERT_EQUAL(notify_claim(&f.vm, GPA, 0, serve, &served, 0), -EOPNOTSUPP);
    CU_ASSERT_EQUAL(notify_line(&f.vm, 5), -EOPNOTSUPP);
    CU_ASSERT_EQUAL(notify_start(&f.vm), 0); /* nothing to do: no thread */
    notify_stop(&f.vm);
    end(&f);
}

static void test_line(void)
{
    static struct fixture f;
    eventfd_t count = 0;
    int fd;

    begin(&f);
    fd = notify_line(&f.vm, 5);
    CU_ASSERT(fd >= 0 && fd == told.line_fd && told.gsi == 5);
    notify_raise(fd);
    CU_ASSERT(eventfd_read(fd, &count) == 0 && count == 1);
    notify_close(fd);
    end(&f);
}

/* A controller of the engine's own notes what is driven. */
struct line {
    unsigned raised, lowered;
};

static void line_note(void *self, unsigned gsi, bool level)
{
    struct line *line = self;

    (void)gsi;
    line->raised += level;
    line->lowered += !level;
}

/* A queue that is not there: the device wants a reset, and says so to its driver. */
static void reset_want(struct fixture *f)
{
    eventfd_t count = 0;

    fixture_write(f, PLAT_VIRTIO_BASE + 0x020, 4, 0);
    fixture_write(f, PLAT_VIRTIO_BASE + 0x024, 4, 1);
    fixture_write(f, PLAT_VIRTIO_BASE + 0x020, 4, 1); /* VERSION_1 */
    fixture_write(f, PLAT_VIRTIO_BASE + 0x070, 4, 8); /* FEATURES_OK */
    fixture_write(f, PLAT_VIRTIO_BASE + 0x044, 4, 1); /* ready, but without rings */
    CU_ASSERT_EQUAL(eventfd_read(told.line_fd, &count), -1);
    fixture_write(f, PLAT_VIRTIO_BASE + 0x070, 4, 12); /* DRIVER_OK */
    CU_ASSERT(eventfd_read(told.line_fd, &count) == 0 && count == 1);
}

/* With such a controller a virtio device's line is an edge: the irqfd's, and lowered by hand.
 */
static void test_virtio(void)
{
    static struct fixture f;
    struct line line = {0};
    eventfd_t count = 0;

    begin(&f);
    CU_ASSERT_EQUAL(irq_controller(&f.vm, line_note, &line, 1), 0);
    f.vm.irq.below = true;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_virtio_rng, NULL, NULL), 0);
    CU_ASSERT(f.vm.irq.edge[PLAT_VIRTIO_IRQ]);
    modules_reset(&f.vm);
    CU_ASSERT(told.stores == 1 && told.gpa == GPA && told.value == 0);
    CU_ASSERT(told.lines == 1 && told.gsi == PLAT_VIRTIO_IRQ);
    modules_reset(&f.vm); /* once only */
    CU_ASSERT(told.stores == 1 && told.lines == 1);
    reset_want(&f);
    CU_ASSERT(line.raised == 0 && line.lowered > 0);
    /* The edge may have been lost; what happens next makes another. */
    virtio_config_changed(f.inst[0].self);
    CU_ASSERT(eventfd_read(told.line_fd, &count) == 0 && count == 1);
    fixture_write(&f, PLAT_VIRTIO_BASE + 0x064, 4, 0); /* acknowledges nothing */
    CU_ASSERT_EQUAL(eventfd_read(told.line_fd, &count), -1);
    end(&f);
}

static void owed_do(void *self)
{
    ++*(unsigned *)self;
}

/* What a stop cuts short is done behind it, once, with a thread or without. */
static void test_owed(void)
{
    static struct fixture f;
    struct notify_owed one = {0}, two = {0};
    unsigned done[2] = {0, 0};

    begin(&f);
    notify_owe(&f.vm, &one, owed_do, &done[0]);
    notify_owe(&f.vm, &two, owed_do, &done[1]);
    notify_owe(&f.vm, &one, owed_do, &done[0]);
    CU_ASSERT(done[0] == 0 && done[1] == 0);
    notify_stop(&f.vm);
    CU_ASSERT(done[0] == 1 && done[1] == 1);
    notify_stop(&f.vm);
    CU_ASSERT(done[0] == 1 && done[1] == 1);
    notify_owe(&f.vm, &one, owed_do, &done[0]);
    notify_stop(&f.vm);
    CU_ASSERT(done[0] == 2 && done[1] == 1);
    end(&f);
}

static int state_get_nothing(struct hart *hart, struct hart_state *state)
{
    (void)hart;
    *state = (struct hart_state){.version = HART_STATE_VERSION, .priv = PRIV_S, .pc = 4};
    return 0;
}

static int state_set_nothing(struct hart *hart, const struct hart_state *state)
{
    (void)hart;
    CU_ASSERT_EQUAL(state->pc, 4);
    return 0;
}

/* A PC's chips in the kernel let the line fall; a loaded device's edge comes again, once. */
static void test_virtio_pc(void)
{
    static struct fixture f;
    struct line line = {0};
    uint8_t *state = NULL;
    size_t size = 0;
    struct error err = {0};
    eventfd_t count = 0;

    begin(&f);
    f.engine.caps |= ENGINE_PC_CHIPS;
    f.engine.state_get = state_get_nothing;
    f.engine.state_set = state_set_nothing;
    CU_ASSERT_EQUAL(irq_controller(&f.vm, line_note, &line, 0), 0);
    CU_ASSERT_EQUAL(fixture_add(&f, &module_virtio_rng, NULL, NULL), 0);
    CU_ASSERT(f.vm.irq.edge[PLAT_VIRTIO_IRQ]);
    modules_reset(&f.vm);
    reset_want(&f);
    CU_ASSERT(line.raised == 0 && line.lowered == 0);
    CU_ASSERT_EQUAL(snapshot_save_bytes(&f.vm, &state, &size, &err), 0);
    CU_ASSERT_EQUAL(snapshot_load_bytes(&f.vm, state, size, &err), 0);
    CU_ASSERT(line.raised == 1 && line.lowered == 1);
    CU_ASSERT_EQUAL(eventfd_read(told.line_fd, &count), -1);
    irq_edges_deliver(&f.vm);
    CU_ASSERT(line.raised == 1 && line.lowered == 1);
    free(state);
    end(&f);
}

void suite_notify(void)
{
    CU_pSuite suite = CU_add_suite("notify", NULL, NULL);

    CU_add_test(suite, "stores are served", test_stores);
    CU_add_test(suite, "what the engine refuses", test_refused);
    CU_add_test(suite, "lines", test_line);
    CU_add_test(suite, "a virtio device", test_virtio);
    CU_add_test(suite, "what a stop cuts short", test_owed);
    CU_add_test(suite, "a virtio device of a PC", test_virtio_pc);
}
