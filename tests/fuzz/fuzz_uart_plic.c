/* fuzz_uart_plic.c: libFuzzer target: any accesses to UART, PLIC and finisher, with input and
 * lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include "tests/unit/fixture.h"
#include "vmm/bus.h"
#include "vmm/irq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct module module_plic, module_uart16550a, module_finisher;

#define HARTS 3

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

static ssize_t sink_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    (void)fd;
    (void)buf;
    return (ssize_t)len;
}

/* A register of the PLIC that means something, for one more context than there is. */
static gpa_t plic_register(struct input *in)
{
    uint8_t which = (uint8_t)take(in, 1);
    gpa_t context = take(in, 1) % (2 * HARTS + 1);

    switch (which % 5) {
    case 0: return PLAT_PLIC_BASE + 4 * (gpa_t)(which / 2);
    case 1: return PLAT_PLIC_BASE + 0x1000 + 4 * (gpa_t)(which / 5 % 4);
    case 2: return PLAT_PLIC_BASE + 0x2000 + 0x80 * context + 4 * (gpa_t)(which / 5 % 4);
    case 3: return PLAT_PLIC_BASE + 0x200000 + 0x1000 * context;
    default: return PLAT_PLIC_BASE + 0x200004 + 0x1000 * context;
    }
}

static void any_access(struct fixture *f, struct input *in)
{
    uint8_t mode = (uint8_t)take(in, 1);
    unsigned size = 1u << (mode & 3);
    bool write = mode & 4;
    gpa_t gpa;

    switch (mode >> 3 & 7) {
    case 0: gpa = PLAT_PLIC_BASE + take(in, 3); break;
    case 1: gpa = PLAT_FINISHER_BASE + take(in, 1); break;
    case 2: gpa = take(in, 8); break;
    case 3:
    case 4:
        gpa = plic_register(in);
        size = 4;
        break;
    default:
        gpa = PLAT_UART_BASE + take(in, 1) % 9;
        size = 1;
        break;
    }
    uint64_t value = take(in, mode & 0x80 ? 4 : 1);
    unsigned hart = mode % HARTS;
    bus_access(&f->vm, &f->hart[hart], gpa, size, write, &value);
}

static void step(struct fixture *f, struct input *in)
{
    uint8_t byte;

    switch (take(in, 1) % 8) {
    case 0:
        byte = (uint8_t)take(in, 1);
        console_feed(&f->vm.console, &byte, 1);
        break;
    case 1:
        byte = (uint8_t)take(in, 1);
        irq_set(&f->vm, byte >> 1, byte & 1);
        break;
    case 2:
        byte = (uint8_t)take(in, 1);
        if (byte < 2)
            f->inst[byte].module->reset(f->inst[byte].self);
        break;
    default: any_access(f, in); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct input in = {data, size};

    if (!f)
        return 0;
    enum start_kind start = take(&in, 1) & 1 ? START_FIRMWARE : START_KERNEL;
    fixture_init(f, start, HARTS, CONSOLE_SERIAL);
    f->mock.host.write = sink_write;
    if (fixture_add(f, &module_plic, NULL, NULL) < 0 ||
        fixture_add(f, &module_uart16550a, NULL, NULL) < 0 ||
        fixture_add(f, &module_finisher, NULL, NULL) < 0)
        abort();
    while (in.size > 0)
        step(f, &in);
    fixture_destroy(f);
    free(f);
    return 0;
}
