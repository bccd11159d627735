/* fuzz_devices.c: libFuzzer target: any accesses to CLINT, ROM, clock, doorbell and flash. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include "guest/abi/tg.h"
#include "tests/unit/fixture.h"
#include "vmm/bus.h"
#include "vmm/call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct module module_plic, module_clint, module_reset_rom, module_goldfish_rtc,
    module_doorbell, module_cfi_flash;

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

static gpa_t take_address(struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0: return PLAT_CLINT_BASE + 4 * (take(in, 1) % (2 * HARTS + 2));
    case 1: return PLAT_CLINT_BASE + 0x4000 + 4 * (take(in, 1) % (2 * HARTS + 2));
    case 2: return PLAT_CLINT_BASE + take(in, 2);
    case 3: return PLAT_ROM_BASE + take(in, 2);
    case 4: return PLAT_RTC_BASE + take(in, 1) % 0x24;
    case 5: return PLAT_DOORBELL_BASE + 8 * (take(in, 1) % 10);
    case 6: return PLAT_FLASH_BASE + take(in, 1);
    default: return PLAT_FLASH_BASE + take(in, 4) % (2 * PLAT_FLASH_SIZE + 16);
    }
}

static uint64_t take_value(struct input *in)
{
    /* Commands of the flash and numbers of calls, which chance would not find. */
    static const uint64_t special[] = {0x40,         0xe8,        0xd0,        0x20,
                                       0xff,         0x98,        0x90,        0x50,
                                       TG_EXT_FIRST, TG_EXT_EXIT, TG_EXT_LAST, UINT64_MAX};
    uint8_t how = (uint8_t)take(in, 1);

    if (how < 128)
        return special[how % (sizeof(special) / sizeof(special[0]))];
    return take(in, how < 192 ? 1 : 8);
}

static void step(struct fixture *f, struct input *in)
{
    uint8_t mode = (uint8_t)take(in, 1);
    uint64_t value;
    gpa_t gpa;

    if (mode >= 250) {
        const struct module_instance *inst = &f->inst[mode % f->vm.ninstances];
        if (inst->module->reset)
            inst->module->reset(inst->self);
        return;
    }
    if (mode >= 240) {
        mock_advance(&f->mock, take(in, 4));
        return;
    }
    gpa = take_address(in);
    value = take_value(in);
    bus_access(&f->vm, &f->hart[mode / 8 % HARTS], gpa, 1u << (mode & 3), mode & 4, &value);
}

static enum call_route route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct module *const modules[] = {&module_plic,         &module_clint,
                                                   &module_reset_rom,    &module_doorbell,
                                                   &module_goldfish_rtc, &module_cfi_flash};
    struct fixture *f = calloc(1, sizeof(*f));
    struct input in = {data, size};

    if (!f)
        return 0;
    fixture_init(f, START_FIRMWARE, HARTS, CONSOLE_NONE);
    f->engine.call_route = route;
    f->config.payload = take(&in, 1) & 1 ? "kernel" : NULL;
    for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
        if (fixture_add(f, modules[i], NULL, NULL) < 0)
            abort();
    if (call_index_build(&f->vm, &f->err) < 0)
        abort();
    while (in.size > 0)
        step(f, &in);
    call_index_destroy(&f->vm);
    fixture_destroy(f);
    free(f);
    return 0;
}
