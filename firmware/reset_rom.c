/* reset_rom.c: the reset ROM, and in it what fw_dynamic firmware is told to start. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/vm.h"

/*
 * The machine's first instructions would load a0 (hart ID), a1 (device tree) and a2 (this
 * structure), and jump to the firmware. The core starts the harts with just that in their
 * registers, so the ROM needs to hold the data only. It is read, never fetched from.
 *
 * Source: OpenSBI, include/sbi/fw_dynamic.h and docs/firmware/fw_dynamic.md.
 */
#define FW_INFO_MAGIC     0x4942534fu /* "OSBI" */
#define FW_INFO_VERSION   2u
#define FW_INFO_MODE_S    1u
#define FW_INFO_BOOT_HART 0u /* who initialises; the others wait for it */

enum {
    INFO_MAGIC,
    INFO_VERSION,
    INFO_NEXT_ADDR,
    INFO_NEXT_MODE,
    INFO_OPTIONS,
    INFO_BOOT_HART,
    INFO_WORDS
};

struct reset_rom {
    uint64_t info[INFO_WORDS];
};

static uint64_t rom_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct reset_rom *rom = self;
    (void)hart;
    (void)size;

    /* The bus wants the value from its lowest byte on and cuts it to size. */
    return offset < sizeof(rom->info) ? rom->info[offset / 8] >> 8 * (offset % 8) : 0;
}

static void rom_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                      uint64_t value)
{
    (void)self;
    (void)hart;
    (void)offset;
    (void)size;
    (void)value;
}

/* Needs no lock: it never changes while harts run. */
static const struct bus_ops rom_ops = {
    .read = rom_read,
    .write = rom_write,
    .sizes = BUS_ANY_SIZE,
};

static int reset_rom_create(struct module_instance *inst, struct error *err)
{
    struct vm *vm = inst->vm;
    struct reset_rom *rom = calloc(1, sizeof(*rom));
    const struct bus_claim claim = {
        .gpa = PLAT_ROM_BASE,
        .size = PLAT_ROM_SIZE,
        .ops = &rom_ops,
        .self = rom,
        .owner = "reset-rom",
    };
    int rc;

    if (!rom) {
        error_set(err, STATUS_OS, "reset-rom: out of memory");
        return -ENOMEM;
    }
    rc = bus_claim(vm, &claim, err);
    if (rc != 0) {
        free(rom);
        return rc;
    }
    inst->self = rom;
    if (!vm->config->payload)
        return 0; /* nothing to start: a2 stays 0 */
    rom->info[INFO_MAGIC] = FW_INFO_MAGIC;
    rom->info[INFO_VERSION] = FW_INFO_VERSION;
    rom->info[INFO_NEXT_ADDR] = vm->payload.entry;
    rom->info[INFO_NEXT_MODE] = FW_INFO_MODE_S;
    rom->info[INFO_BOOT_HART] = FW_INFO_BOOT_HART;
    vm->fw_info = PLAT_ROM_BASE;
    return 0;
}

static void reset_rom_save(void *self, struct state_writer *w)
{
    const struct reset_rom *rom = self;

    for (unsigned i = 0; i < INFO_WORDS; i++)
        state_put_u64(w, rom->info[i]);
}

static void reset_rom_load(void *self, struct state_reader *r)
{
    struct reset_rom *rom = self;

    for (unsigned i = 0; i < INFO_WORDS; i++)
        rom->info[i] = state_get_u64(r);
}

static void reset_rom_destroy(void *self)
{
    free(self);
}

const struct module module_reset_rom = {
    .name = "reset-rom",
    .summary = "tells M-mode firmware which kernel to start (fw_dynamic)",
    .starts = MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .create = reset_rom_create,
    .destroy = reset_rom_destroy,
    .save = reset_rom_save,
    .load = reset_rom_load,
};
