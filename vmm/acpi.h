/* acpi.h: the ACPI tables by which an x86-64 guest finds its machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/mem.h"

struct vm;
struct acpi_builder;

/* A device of the DSDT: its resources are one range and one interrupt. */
struct acpi_device {
    const char *hid; /* "PNP0501" or another ID of four letters and four digits */
    gpa_t gpa;       /* below 4 GiB, or BUS_PORT */
    uint32_t size;
    unsigned irq;
    bool level; /* triggered by its level, else by edges; active high */
};

/* For a module's hook of the same name. */
void acpi_device(struct acpi_builder *acpi, const struct acpi_device *device);

/*
 * Builds the tables to lie at gpa, 64-byte aligned; the RSDP is the first. Returns their size,
 * or 0 when `max` is too small.
 */
size_t acpi_build(struct vm *vm, gpa_t gpa, uint8_t *out, size_t max);

#endif
