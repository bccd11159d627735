/* acpi_power.c: ACPI's fixed hardware, as far as switching off and starting anew need it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "guest/abi/x86.h"
#include "vmm/bus.h"
#include "vmm/vm.h"

/*
 * Source: ACPI Specification 6.4, section 4.8.3: the PM1 event and control registers; 4.8.3.6:
 * the reset register. Nothing ever raises an event, so the status reads 0 and enabling does
 * nothing. ACPI mode is always on.
 */
#define PM1_SCI_ENABLE   0x0001u
#define PM1_SLEEP_TYPE   10 /* shift, of 3 bits */
#define PM1_SLEEP_ENABLE 0x2000u

#define BLOCK_BASE  TG_X86_PORT_PM1_EVENT
#define BLOCK_SIZE  16u
#define REG_ENABLE  2u
#define REG_CONTROL (TG_X86_PORT_PM1_CONTROL - BLOCK_BASE)
#define REG_RESET   (TG_X86_PORT_RESET - BLOCK_BASE)

struct acpi_power {
    struct vm *vm;
    _Atomic uint16_t enable, control; /* no lock: one would be held around vm_stop */
};

static uint64_t power_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct acpi_power *power = self;
    (void)hart;
    (void)size;

    switch (offset) {
    case 0: return size == 4 ? (uint64_t)power->enable << 16 : 0;
    case REG_ENABLE: return power->enable;
    case REG_CONTROL: return power->control | PM1_SCI_ENABLE;
    default: return 0;
    }
}

static void control_write(struct acpi_power *power, struct hart *hart, uint64_t value)
{
    unsigned type = (unsigned)value >> PM1_SLEEP_TYPE & 7;

    power->control = (uint16_t)(value & ~(uint64_t)PM1_SLEEP_ENABLE);
    if ((value & PM1_SLEEP_ENABLE) && type == TG_X86_SLEEP_TYPE_OFF)
        vm_stop(power->vm, CAUSE_EXIT, 0, hart, "ACPI: soft off");
}

static void power_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                        uint64_t value)
{
    struct acpi_power *power = self;

    switch (offset) {
    case 0:
        if (size == 4)
            power->enable = (uint16_t)(value >> 16);
        break;
    case REG_ENABLE: power->enable = (uint16_t)value; break;
    case REG_CONTROL: control_write(power, hart, value); break;
    case REG_RESET:
        if (value == TG_X86_RESET_VALUE)
            vm_stop(power->vm, CAUSE_RESET, 0, hart, "ACPI: reset");
        break;
    default: break;
    }
}

static const struct bus_ops power_ops = {
    .read = power_read,
    .write = power_write,
    .sizes = 1 | 2 | 4,
};

static void power_destroy(void *self)
{
    free(self);
}

static int power_create(struct module_instance *inst, struct error *err)
{
    struct acpi_power *power = calloc(1, sizeof(*power));
    int rc;

    if (!power)
        return -ENOMEM;
    power->vm = inst->vm;
    const struct bus_claim claim = {
        .gpa = BUS_PORT(BLOCK_BASE),
        .size = BLOCK_SIZE,
        .ops = &power_ops,
        .self = power,
        .owner = "acpi-power",
    };
    rc = bus_claim(inst->vm, &claim, err);
    if (rc != 0) {
        power_destroy(power);
        return rc;
    }
    inst->self = power;
    return 0;
}

static void power_reset(void *self)
{
    struct acpi_power *power = self;

    power->enable = 0;
    power->control = 0;
}

static void power_save(void *self, struct state_writer *w)
{
    const struct acpi_power *power = self;

    state_put_u64(w, power->enable);
    state_put_u64(w, power->control);
}

static void power_load(void *self, struct state_reader *r)
{
    struct acpi_power *power = self;

    power->enable = (uint16_t)state_get_max(r, UINT16_MAX);
    power->control = (uint16_t)state_get_max(r, UINT16_MAX);
}

const struct module module_acpi_power = {
    .name = "acpi-power",
    .summary = "switching off and restarting by ACPI (x86-64 guests)",
    .starts = MODULE_X86,
    .archs = ARCH_X86_64,
    .create = power_create,
    .reset = power_reset,
    .destroy = power_destroy,
    .save = power_save,
    .load = power_load,
};
