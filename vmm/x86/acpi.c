/* acpi.c: the ACPI tables by which an x86-64 guest finds its machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/acpi.h"

#include <stdlib.h>
#include <string.h>
#include "guest/abi/x86.h"
#include "vmm/le.h"
#include "vmm/vm.h"

/*
 * Source: ACPI Specification 6.4: sections 5.2 (tables), 20.2 (AML), 6.4 (resources). The
 * machine has the fixed hardware of section 4.8: with the hardware-reduced model Linux would
 * give up PIT and PIC, by which it measures its clocks when nothing better is there.
 */
#define HEADER_SIZE 36
#define RSDP_SIZE   36
#define FADT_SIZE   276
#define FACS_SIZE   64
#define BODY_MAX    4096

/* A table's or a term's bytes. What does not fit is not written, and `full` says so. */
struct acpi_builder {
    uint8_t data[BODY_MAX];
    size_t len;
    bool full;
    unsigned devices;
};

static void put(struct acpi_builder *b, const void *bytes, size_t n)
{
    if (n > BODY_MAX - b->len) {
        b->full = true;
        return;
    }
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

static void put8(struct acpi_builder *b, unsigned value)
{
    put(b, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct acpi_builder *b, unsigned value)
{
    put8(b, value & 0xff);
    put8(b, value >> 8 & 0xff);
}

static void put32(struct acpi_builder *b, uint32_t value)
{
    put16(b, value & 0xffff);
    put16(b, value >> 16);
}

static void put64(struct acpi_builder *b, uint64_t value)
{
    put32(b, (uint32_t)value);
    put32(b, (uint32_t)(value >> 32));
}

static void put_text(struct acpi_builder *b, const char *text)
{
    put(b, text, strlen(text));
}

/* --- AML --- */

#define AML_NAME     0x08
#define AML_BYTE     0x0a
#define AML_WORD     0x0b
#define AML_DWORD    0x0c
#define AML_STRING   0x0d
#define AML_SCOPE    0x10
#define AML_BUFFER   0x11
#define AML_PACKAGE  0x12
#define AML_EXT      0x5b
#define AML_DEVICE   0x82
#define AML_ROOT     0x5c
#define RES_IO       0x47
#define RES_IRQ      0x22
#define RES_MEMORY32 0x86
#define RES_EXT_IRQ  0x89
#define RES_END      0x79

/* A length counts its own bytes: two or three of them (section 20.2.4). */
static void put_length(struct acpi_builder *b, size_t inner)
{
    size_t total = inner + 2;

    if (total < 1 << 12) {
        put8(b, 0x40 | (unsigned)(total & 0xf));
        put8(b, (unsigned)(total >> 4));
        return;
    }
    total++;
    put8(b, 0x80 | (unsigned)(total & 0xf));
    put8(b, (unsigned)(total >> 4) & 0xff);
    put8(b, (unsigned)(total >> 12));
}

static void put_name(struct acpi_builder *b, const char *name)
{
    put8(b, AML_NAME);
    put_text(b, name);
}

/* "PNP0501" in 32 bits: three letters of 5 bits and four digits, high byte first (section
 * 19.3.4). Other IDs are strings. */
static void put_hid(struct acpi_builder *b, const char *hid)
{
    char *end = NULL;
    unsigned product = strlen(hid) == 7 ? (unsigned)strtoul(hid + 3, &end, 16) : 0;

    put_name(b, "_HID");
    if (!end || *end != '\0') {
        put8(b, AML_STRING);
        put(b, hid, strlen(hid) + 1);
        return;
    }
    unsigned vendor = (unsigned)(hid[0] - '@') << 10 | (unsigned)(hid[1] - '@') << 5 |
                      (unsigned)(hid[2] - '@');
    put8(b, AML_DWORD);
    put16(b, (vendor >> 8 | vendor << 8) & 0xffff);
    put16(b, (product >> 8 | product << 8) & 0xffff);
}

static void put_resources(struct acpi_builder *b, const struct acpi_device *device)
{
    struct acpi_builder res = {.len = 0};

    if (device->gpa >= BUS_PORTS) {
        unsigned port = (unsigned)(device->gpa - BUS_PORTS);
        put8(&res, RES_IO);
        put8(&res, 1); /* decodes 16 bits */
        put16(&res, port);
        put16(&res, port);
        put8(&res, 1);
        put8(&res, device->size);
    } else {
        put8(&res, RES_MEMORY32);
        put16(&res, 9);
        put8(&res, 1); /* writable */
        put32(&res, (uint32_t)device->gpa);
        put32(&res, device->size);
    }
    if (device->level || device->irq >= 16) {
        put8(&res, RES_EXT_IRQ);
        put16(&res, 6);
        put8(&res, device->level ? 1 : 3); /* consumer, level or edge, active high, exclusive */
        put8(&res, 1);
        put32(&res, device->irq);
    } else {
        put8(&res, RES_IRQ);
        put16(&res, 1u << device->irq);
    }
    put16(&res, RES_END); /* no checksum */
    put_name(b, "_CRS");
    put8(b, AML_BUFFER);
    put_length(b, res.len + 2);
    put8(b, AML_BYTE);
    put8(b, (unsigned)res.len);
    put(b, res.data, res.len);
}

void acpi_device(struct acpi_builder *acpi, const struct acpi_device *device)
{
    struct acpi_builder inner = {.len = 0};
    char name[8];

    snprintf(name, sizeof(name), "D%03u", acpi->devices % 1000);
    put_text(&inner, name);
    put_hid(&inner, device->hid);
    put_name(&inner, "_UID");
    put8(&inner, AML_BYTE);
    put8(&inner, acpi->devices++);
    put_resources(&inner, device);
    put8(acpi, AML_EXT);
    put8(acpi, AML_DEVICE);
    put_length(acpi, inner.len);
    put(acpi, inner.data, inner.len);
}

/* Sleep state S5, soft off: the value for both control registers, of which there is one. */
static void put_s5(struct acpi_builder *b)
{
    put_name(b, "_S5_");
    put8(b, AML_PACKAGE);
    put_length(b, 7);
    put8(b, 4);
    for (unsigned i = 0; i < 2; i++)
        put16(b, AML_BYTE | TG_X86_SLEEP_TYPE_OFF << 8);
    put16(b, 0);
}

static void dsdt_fill(struct vm *vm, struct acpi_builder *b)
{
    struct acpi_builder devices = {.len = 0};

    for (unsigned i = 0; i < vm->ninstances; i++)
        if (vm->instance[i].module->acpi)
            vm->instance[i].module->acpi(vm->instance[i].self, &devices);
    b->full |= devices.full;
    put_s5(b);
    put8(b, AML_SCOPE);
    put_length(b, devices.len + 5);
    put8(b, AML_ROOT);
    put_text(b, "_SB_");
    put(b, devices.data, devices.len);
}

/* --- the other tables --- */

static void madt_override(struct acpi_builder *b, unsigned irq, unsigned gsi, unsigned flags)
{
    put16(b, 2 | 10 << 8);
    put16(b, irq << 8); /* bus 0: ISA */
    put32(b, gsi);
    put16(b, flags);
}

static void madt_fill(const struct vm *vm, struct acpi_builder *b)
{
    put32(b, TG_X86_LOCAL_APIC);
    put32(b, 1); /* a PC's two 8259s are there */
    for (unsigned i = 0; i < vm->config->nharts; i++) {
        put16(b, 0 | 8 << 8);
        put8(b, i);
        put8(b, i); /* APIC ID */
        put32(b, 1);
    }
    put16(b, 1 | 12 << 8);
    put16(b, 0);
    put32(b, TG_X86_IOAPIC);
    put32(b, 0);
    madt_override(b, 0, 2, 0);                             /* the PIT is wired to pin 2 */
    madt_override(b, TG_X86_SCI_IRQ, TG_X86_SCI_IRQ, 0xd); /* level, active high */
    put16(b, 4 | 6 << 8);                                  /* NMI: LINT1 of every local APIC */
    put8(b, 0xff);
    put16(b, 0);
    put8(b, 1);
}

/* A generic address: a port of so many bytes (section 5.2.3.2). */
static void gas_port(uint8_t *at, unsigned port, unsigned bytes)
{
    at[0] = 1;
    at[1] = (uint8_t)(bytes * 8);
    at[3] = bytes == 4 ? 3 : bytes == 2 ? 2 : 1;
    le_put64(at + 4, port);
}

/* What the FADT's flags and boot flags promise (sections 5.2.9, 5.2.9.3). */
#define FADT_WBINVD       0x1u
#define FADT_C1           0x4u
#define FADT_NO_POWER_BTN 0x10u
#define FADT_NO_SLEEP_BTN 0x20u
#define FADT_NO_RTC_WAKE  0x40u
#define FADT_RESET        0x400u
#define BOOT_NO_VGA       0x4u
#define BOOT_NO_MSI       0x8u
#define BOOT_NO_CMOS_RTC  0x20u

static void fadt_fill(struct acpi_builder *b, gpa_t dsdt, gpa_t facs)
{
    uint8_t fadt[FADT_SIZE] = {0};

    le_put32(fadt + 36, (uint32_t)facs);
    le_put32(fadt + 40, (uint32_t)dsdt);
    le_put16(fadt + 46, TG_X86_SCI_IRQ);
    le_put32(fadt + 56, TG_X86_PORT_PM1_EVENT);
    le_put32(fadt + 64, TG_X86_PORT_PM1_CONTROL);
    fadt[88] = 4;
    fadt[89] = 2;
    le_put16(fadt + 96, 0xffff); /* no C2, */
    le_put16(fadt + 98, 0xffff); /* no C3 */
    le_put16(fadt + 109, BOOT_NO_VGA | BOOT_NO_MSI | BOOT_NO_CMOS_RTC);
    le_put32(fadt + 112, FADT_WBINVD | FADT_C1 | FADT_NO_POWER_BTN | FADT_NO_SLEEP_BTN |
                             FADT_NO_RTC_WAKE | FADT_RESET);
    gas_port(fadt + 116, TG_X86_PORT_RESET, 1);
    fadt[128] = TG_X86_RESET_VALUE;
    le_put64(fadt + 140, dsdt);
    gas_port(fadt + 148, TG_X86_PORT_PM1_EVENT, 4);
    gas_port(fadt + 172, TG_X86_PORT_PM1_CONTROL, 2);
    put(b, fadt + HEADER_SIZE, FADT_SIZE - HEADER_SIZE);
}

/* --- laying them out --- */

struct layout {
    gpa_t gpa;
    uint8_t *out;
    size_t len, max;
    bool full;
};

static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    while (len-- > 0)
        sum = (uint8_t)(sum + *data++);
    return (uint8_t)-sum;
}

/* Letters without a 0 behind them: fields of headers are full. */
static void mark(uint8_t *at, const char *letters, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)letters[i];
}

/* Room of so many bytes, 64-byte aligned; its address. The bytes are 0. */
static gpa_t room(struct layout *l, size_t size)
{
    size_t at = (l->len + 63) & ~(size_t)63;

    if (l->full || at > l->max || size > l->max - at) {
        l->full = true;
        return 0;
    }
    memset(l->out + l->len, 0, at + size - l->len);
    l->len = at + size;
    return l->gpa + at;
}

static gpa_t table_add(struct layout *l, const char *name, unsigned revision,
                       const struct acpi_builder *body)
{
    size_t size = HEADER_SIZE + body->len;
    gpa_t gpa = room(l, size);
    uint8_t *at = l->out + (gpa - l->gpa);

    l->full |= body->full;
    if (l->full)
        return 0;
    mark(at, name, 4);
    le_put32(at + 4, (uint32_t)size);
    at[8] = (uint8_t)revision;
    mark(at + 10, "TOLLGTTOLLGATE ", 14);
    le_put32(at + 24, 1);
    mark(at + 28, "TLGT", 4);
    le_put32(at + 32, 1);
    memcpy(at + HEADER_SIZE, body->data, body->len);
    at[9] = checksum(at, size);
    return gpa;
}

static void rsdp_fill(uint8_t *at, gpa_t xsdt)
{
    mark(at, "RSD PTR ", 8);
    mark(at + 9, "TOLLGT", 6);
    at[15] = 2;
    le_put32(at + 20, RSDP_SIZE);
    le_put64(at + 24, xsdt);
    at[8] = checksum(at, 20);
    at[32] = checksum(at, RSDP_SIZE);
}

size_t acpi_build(struct vm *vm, gpa_t gpa, uint8_t *out, size_t max)
{
    struct layout l = {.gpa = gpa, .out = out, .max = max};
    struct acpi_builder dsdt = {.len = 0}, madt = {.len = 0}, fadt = {.len = 0},
                        xsdt = {.len = 0};
    gpa_t facs;

    room(&l, RSDP_SIZE);
    facs = room(&l, FACS_SIZE);
    if (!l.full) {
        mark(out + (facs - gpa), "FACS", 4);
        le_put32(out + (facs - gpa) + 4, FACS_SIZE);
        out[facs - gpa + 32] = 2;
    }
    dsdt_fill(vm, &dsdt);
    madt_fill(vm, &madt);
    fadt_fill(&fadt, table_add(&l, "DSDT", 2, &dsdt), facs);
    put64(&xsdt, table_add(&l, "FACP", 6, &fadt));
    put64(&xsdt, table_add(&l, "APIC", 5, &madt));
    gpa_t at = table_add(&l, "XSDT", 1, &xsdt);
    if (l.full)
        return 0;
    rsdp_fill(out, at);
    return l.len;
}
