/* fuzz_virtio.c: libFuzzer target: a driver of virtio-console that does whatever the input
 * says. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "devices/virtio_mmio.h"
#include "tests/unit/fixture.h"
#include "vmm/bus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct module module_plic, module_virtio_console;

#define QUEUES     4u
#define QUEUE_SIZE 8u
#define OUTPUT_MAX (UINT64_C(1) << 20)

/* What is left of the input; zeros follow it. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->size > 0; i++, in->data++, in->size--)
        value = value << 8 | *in->data;
    return value;
}

/* An address: mostly the few pages in which everything lies, sometimes an edge or anything. */
static gpa_t take_address(struct input *in)
{
    switch (take(in, 1) % 16) {
    case 0: return take(in, 8);
    case 1: return FIXTURE_RAM + FIXTURE_RAM_SIZE - take(in, 1);
    case 2: return UINT64_MAX - take(in, 1);
    case 3: return PLAT_VIRTIO_BASE + take(in, 2);
    default: return FIXTURE_RAM + take(in, 2) % 0x5000;
    }
}

static uint32_t take_length(struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0: return (uint32_t)take(in, 4);
    case 1: return UINT32_MAX - (uint32_t)take(in, 1);
    case 2: return 16 * (uint32_t)take(in, 1);
    default: return (uint32_t)take(in, 1);
    }
}

/* Swallows output; a guest that prints for ever is stopped, as a user would. */
struct sink {
    struct fixture f;
    uint64_t printed;
};

static ssize_t sink_write(struct host *host, int fd, const void *buf, size_t len)
{
    struct sink *sink = (struct sink *)((char *)host - offsetof(struct sink, f.mock.host));
    const uint8_t *bytes = buf;
    volatile uint8_t last =
        len > 0 ? bytes[len - 1] : 0; /* the sanitizer sees that it is there */
    (void)last;
    (void)fd;

    sink->printed += len;
    if (sink->printed > OUTPUT_MAX)
        atomic_store(&sink->f.vm.stopping, true);
    return (ssize_t)len;
}

static void reg_write(struct fixture *f, unsigned reg, uint64_t value)
{
    bus_access(&f->vm, &f->hart[0], PLAT_VIRTIO_BASE + reg, 4, true, &value);
}

static void queue_setup(struct fixture *f, unsigned n)
{
    gpa_t at = FIXTURE_RAM + 0x1000 * n;

    reg_write(f, 0x030, n);
    reg_write(f, 0x038, QUEUE_SIZE);
    reg_write(f, 0x080, (uint32_t)at);
    reg_write(f, 0x090, (uint32_t)at + 0x400);
    reg_write(f, 0x0a0, (uint32_t)at + 0x800);
    reg_write(f, 0x044, 1);
}

/* What a real driver does first, so that most inputs get to the queues. */
static void device_start(struct fixture *f, uint32_t features)
{
    reg_write(f, 0x070, 0);
    reg_write(f, 0x070, 3);
    reg_write(f, 0x024, 0);
    reg_write(f, 0x020, features & (3u << 28 | 2));
    reg_write(f, 0x024, 1);
    reg_write(f, 0x020, 1);
    reg_write(f, 0x070, 11);
    for (unsigned n = 0; n < QUEUES; n++)
        queue_setup(f, n);
    reg_write(f, 0x070, 15);
}

static void any_access(struct fixture *f, struct input *in)
{
    unsigned mode = (unsigned)take(in, 1);
    gpa_t gpa = PLAT_VIRTIO_BASE + take(in, 1) * (mode & 8 ? 16 : 4);
    uint64_t value = take(in, 1);

    if (mode & 16)
        value = take_address(in);
    bus_access(&f->vm, &f->hart[0], gpa, 1u << (mode & 3), mode & 4, &value);
}

/* A descriptor of a queue, or of an indirect table in the page after them. */
static void write_descriptor(struct fixture *f, struct input *in)
{
    uint8_t where = (uint8_t)take(in, 1);
    gpa_t gpa = take_address(in);
    uint32_t len = take_length(in);
    uint16_t flags = (uint16_t)(take(in, 1) % 8);
    uint16_t next = (uint16_t)take(in, 1) % (QUEUE_SIZE + 1);
    uint8_t raw[16];

    memcpy(raw, &gpa, 8);
    memcpy(raw + 8, &len, 4);
    memcpy(raw + 12, &flags, 2);
    memcpy(raw + 14, &next, 2);
    gpa_t at =
        FIXTURE_RAM + 0x1000 * (gpa_t)(where % (QUEUES + 1)) + 16 * (gpa_t)(where / 8 % 16);
    mem_write(&f->vm.mem, at, raw, sizeof(raw));
}

/* An entry in an available ring, and its index moved on, now and then too far. */
static void offer(struct fixture *f, struct input *in)
{
    uint8_t how = (uint8_t)take(in, 1);
    gpa_t ring = FIXTURE_RAM + 0x1000 * (gpa_t)(how % QUEUES) + 0x400;
    uint16_t head = how / QUEUES % (QUEUE_SIZE + 1), index = 0;

    mem_read(&f->vm.mem, ring + 2, &index, 2);
    mem_write(&f->vm.mem, ring + 4 + 2 * (gpa_t)(index % QUEUE_SIZE), &head, 2);
    index = (uint16_t)(index + (how >= 250 ? how : 1));
    mem_write(&f->vm.mem, ring + 2, &index, 2);
    if (how & 0x40)
        reg_write(f, 0x050, how % QUEUES);
}

static void step(struct fixture *f, struct input *in)
{
    uint8_t bytes[4];
    uint32_t word;

    switch (take(in, 1) % 8) {
    case 0: any_access(f, in); break;
    case 1:
    case 2: write_descriptor(f, in); break;
    case 3:
    case 4: offer(f, in); break;
    case 5: reg_write(f, 0x050, take(in, 1) % (QUEUES + 1)); break;
    case 6:
        word = (uint32_t)take(in, 4);
        memcpy(bytes, &word, 4);
        if (word & 1)
            console_feed(&f->vm.console, bytes, 4);
        else
            mem_write(&f->vm.mem, take_address(in), bytes, 4);
        break;
    default:
        if (take(in, 1) % 4 == 0)
            device_start(f, (uint32_t)take(in, 4));
        else
            any_access(f, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sink *sink = calloc(1, sizeof(*sink));
    struct input in = {data, size};

    if (!sink)
        return 0;
    struct fixture *f = &sink->f;
    fixture_init(f, START_KERNEL, 1, CONSOLE_VIRTIO);
    f->mock.host.write = sink_write;
    if (fixture_add(f, &module_plic, NULL, NULL) < 0 ||
        fixture_add(f, &module_virtio_console, NULL, NULL) < 0)
        abort();
    device_start(f, (uint32_t)take(&in, 4));
    while (in.size > 0)
        step(f, &in);
    fixture_destroy(f);
    free(sink);
    return 0;
}
