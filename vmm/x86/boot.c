/* boot.c: x86-64 guests: their memory, their files, and what they are told of the machine. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "guest/abi/x86.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/vm.h"
#include "vmm/acpi.h"
#include "vmm/x86/bzimage.h"
#include "vmm/x86/x86.h"

#define RAW_BASE 0x200000u /* as elsewhere: 2 MiB into memory */

/* Sizes and types of the e820 map and of PVH's, which has the same types (ACPI, 15.4). */
#define RANGE_RAM      1
#define RANGE_RESERVED 2
#define RANGES_MAX     4
#define BIOS_BASE      0x9fc00 /* where a PC's BIOS area begins */

/* Page-table entries (Intel SDM, volume 3, section 4.5). */
#define PAGE_PRESENT 0x1u
#define PAGE_WRITE   0x2u
#define PAGE_LARGE   0x80u
#define LARGE_SIZE   (UINT64_C(2) << 20)
#define TABLE_SPAN   (UINT64_C(1) << 30) /* of one table of large pages */

struct range {
    uint64_t gpa, size;
    uint32_t type;
};

static uint64_t low_size(const struct vm *vm)
{
    uint64_t size = vm->config->mem_size;

    return size < TG_X86_HOLE ? size : TG_X86_HOLE;
}

static int x86_memory_create(struct vm *vm, struct error *err)
{
    uint64_t low = low_size(vm), high = vm->config->mem_size - low;
    int rc = boot_memory_add(vm, 0, low, err);

    return rc == 0 && high != 0 ? boot_memory_add(vm, TG_X86_HOLE_END, high, err) : rc;
}

/* --- the guest's files --- */

static int file_load(struct vm *vm, const char *what, const struct host_file *file,
                     struct error *err)
{
    const struct vm_config *config = vm->config;
    bool elf = file->size >= SELFMAG && memcmp(file->data, ELFMAG, SELFMAG) == 0;

    if (config->raw)
        return image_load(&vm->mem, what, file->data, file->size, true, RAW_BASE, &vm->image,
                          err);
    if (elf)
        return elf_load_for(&vm->mem, EM_X86_64, what, file->data, file->size, &vm->image, err);
    if (bzimage_match(file->data, file->size))
        return bzimage_load(&vm->mem, low_size(vm), X86_ZERO_PAGE, what, file->data, file->size,
                            &vm->image, err);
    return error_set(err, STATUS_DATA,
                     "%s is neither an x86-64 ELF file nor a Linux bzImage; give --raw to load "
                     "it as it is, or --arch riscv64",
                     what);
}

static int kernel_load(struct vm *vm, struct error *err)
{
    struct host_file file;
    char what[256];
    int rc = host_file_open(&file, "--kernel", vm->config->image, vm->config->mem_size, err);

    if (rc != 0)
        return rc;
    snprintf(what, sizeof(what), "--kernel: '%s'", vm->config->image);
    rc = file_load(vm, what, &file, err);
    host_file_close(&file);
    if (rc == 0 && vm->image.first < TG_X86_KERNEL_MIN)
        return error_set(err, STATUS_DATA,
                         "%s lies at 0x%llx, where the machine is described to it; link it for "
                         "0x%x or above",
                         what, (unsigned long long)vm->image.first, TG_X86_KERNEL_MIN);
    return rc;
}

/* As high as Linux says that it can reach; other guests reach all of low memory. */
static gpa_t initrd_top(const struct vm *vm)
{
    gpa_t top = low_size(vm);
    uint8_t max[4];

    if (vm->image.kind == IMAGE_LINUX &&
        mem_read(&vm->mem, X86_ZERO_PAGE + ZERO_INITRD_MAX, max, sizeof(max)) == 0 &&
        le_get32(max) < top)
        top = (gpa_t)le_get32(max) + 1;
    return top;
}

static int x86_load(struct vm *vm, struct error *err)
{
    int rc;

    if (vm->config->dtb)
        return error_set(err, STATUS_CONFIG,
                         "--dtb: x86-64 guests find their machine by ACPI; leave it out");
    rc = kernel_load(vm, err);
    return rc == 0 ? boot_initrd_load(vm, 0, vm->image.last, initrd_top(vm), err) : rc;
}

/* --- what the guest is told --- */

static void put64(struct vm *vm, gpa_t gpa, uint64_t value)
{
    uint8_t bytes[8];

    le_put64(bytes, value);
    mem_write(&vm->mem, gpa, bytes, sizeof(bytes));
}

static void put32(struct vm *vm, gpa_t gpa, uint32_t value)
{
    uint8_t bytes[4];

    le_put32(bytes, value);
    mem_write(&vm->mem, gpa, bytes, sizeof(bytes));
}

/* The smallest memory (16 MiB) holds all that lies below 1 MiB, so no write here fails. */
static unsigned ranges_make(const struct vm *vm, struct range range[RANGES_MAX])
{
    uint64_t low = low_size(vm), high = vm->config->mem_size - low;
    unsigned n = 0;

    range[n++] = (struct range){0, BIOS_BASE, RANGE_RAM};
    range[n++] = (struct range){BIOS_BASE, TG_X86_KERNEL_MIN - BIOS_BASE, RANGE_RESERVED};
    range[n++] = (struct range){TG_X86_KERNEL_MIN, low - TG_X86_KERNEL_MIN, RANGE_RAM};
    if (high != 0)
        range[n++] = (struct range){TG_X86_HOLE_END, high, RANGE_RAM};
    return n;
}

static int command_write(struct vm *vm, struct error *err)
{
    const char *text = vm->config->append;
    size_t size;

    if (!text)
        text = vm->image.kind == IMAGE_LINUX ? "console=ttyS0" : "";
    size = strlen(text) + 1;
    if (size > X86_COMMAND_MAX)
        return error_set(err, STATUS_USAGE, "--append: %zu characters are too many; at most %u",
                         size - 1, X86_COMMAND_MAX - 1);
    if (vm->image.kind == IMAGE_LINUX) {
        uint8_t max[4];

        mem_read(&vm->mem, X86_ZERO_PAGE + ZERO_COMMAND_MAX, max, sizeof(max));
        if (size - 1 > le_get32(max))
            return error_set(
                err, STATUS_USAGE,
                "--append: %zu characters are too many for this kernel; at most %u", size - 1,
                le_get32(max));
    }
    return mem_write(&vm->mem, X86_COMMAND, text, size);
}

/* The fields of the zero page that are the loader's (boot.rst). */
static void zero_page_fill(struct vm *vm)
{
    struct range range[RANGES_MAX];
    unsigned n = ranges_make(vm, range);

    put64(vm, X86_ZERO_PAGE + ZERO_ACPI_RSDP, X86_ACPI);
    mem_write(&vm->mem, X86_ZERO_PAGE + ZERO_LOADER_TYPE, &(uint8_t){ZERO_LOADER_UNKNOWN}, 1);
    put32(vm, X86_ZERO_PAGE + ZERO_INITRD, (uint32_t)vm->initrd_gpa);
    put32(vm, X86_ZERO_PAGE + ZERO_INITRD_SIZE, (uint32_t)vm->initrd_size);
    put32(vm, X86_ZERO_PAGE + ZERO_COMMAND, X86_COMMAND);
    mem_write(&vm->mem, X86_ZERO_PAGE + ZERO_E820_COUNT, &(uint8_t){(uint8_t)n}, 1);
    for (unsigned i = 0; i < n; i++) {
        gpa_t at = X86_ZERO_PAGE + ZERO_E820 + i * ZERO_E820_ENTRY;

        put64(vm, at, range[i].gpa);
        put64(vm, at + 8, range[i].size);
        put32(vm, at + 16, range[i].type);
    }
}

/* struct hvm_start_info, version 1, then its memory map and, for an initrd, its module list. */
static void start_info_fill(struct vm *vm)
{
    gpa_t map = X86_START_INFO + 64, list = map + RANGES_MAX * 24;
    struct range range[RANGES_MAX];
    unsigned n = ranges_make(vm, range);

    put32(vm, X86_START_INFO, HVM_START_MAGIC);
    put32(vm, X86_START_INFO + 4, 1);
    put32(vm, X86_START_INFO + 12, vm->initrd_size ? 1 : 0);
    put64(vm, X86_START_INFO + 16, vm->initrd_size ? list : 0);
    put64(vm, X86_START_INFO + HVM_START_CMDLINE, X86_COMMAND);
    put64(vm, X86_START_INFO + HVM_START_RSDP, X86_ACPI);
    put64(vm, X86_START_INFO + HVM_START_MEMMAP, map);
    put32(vm, X86_START_INFO + HVM_START_MEMMAP_SIZE, n);
    for (unsigned i = 0; i < n; i++) {
        put64(vm, map + i * 24, range[i].gpa);
        put64(vm, map + i * 24 + 8, range[i].size);
        put32(vm, map + i * 24 + 16, range[i].type);
    }
    put64(vm, list, vm->initrd_gpa);
    put64(vm, list + 8, vm->initrd_size);
}

static void gdt_fill(struct vm *vm, bool long_mode)
{
    const uint64_t gdt[X86_GDT_ENTRIES] = {0, 0, long_mode ? X86_DESC_CODE64 : X86_DESC_CODE32,
                                           X86_DESC_DATA, X86_DESC_TSS};

    for (unsigned i = 0; i < X86_GDT_ENTRIES; i++)
        put64(vm, X86_GDT + 8 * i, gdt[i]);
}

/* Everything one to one: a root, a table of 1 GiB steps, and behind it tables of large pages.
 */
static void page_tables_fill(struct vm *vm)
{
    uint64_t size = vm->config->mem_size, top = TG_X86_HOLE_END;
    gpa_t steps = X86_PAGE_TABLES + MEM_PAGE_SIZE, at = steps + MEM_PAGE_SIZE;

    if (size > TG_X86_HOLE)
        top += size - TG_X86_HOLE;
    put64(vm, X86_PAGE_TABLES, steps | PAGE_PRESENT | PAGE_WRITE);
    for (uint64_t gpa = 0; gpa < top; gpa += TABLE_SPAN, at += MEM_PAGE_SIZE) {
        put64(vm, steps + gpa / TABLE_SPAN * 8, at | PAGE_PRESENT | PAGE_WRITE);
        for (unsigned i = 0; i < MEM_PAGE_SIZE / 8; i++)
            put64(vm, at + 8 * i,
                  (gpa + i * LARGE_SIZE) | PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE);
    }
}

static int acpi_place(struct vm *vm, struct error *err)
{
    uint8_t *tables = malloc(X86_ACPI_MAX);
    size_t size = tables ? acpi_build(vm, X86_ACPI, tables, X86_ACPI_MAX) : 0;
    int rc = 0;

    if (size == 0)
        rc = error_set(err, STATUS_OS,
                       tables ? "the ACPI tables have no room for all devices"
                              : "no memory for the ACPI tables");
    else
        mem_write(&vm->mem, X86_ACPI, tables, size);
    free(tables);
    return rc;
}

static struct x86_start start_choose(const struct vm *vm)
{
    if (vm->image.pvh)
        return (struct x86_start){.rip = vm->image.pvh, .rbx = X86_START_INFO};
    if (vm->image.kind == IMAGE_LINUX)
        return (struct x86_start){
            .long_mode = true, .rip = vm->image.entry, .rsi = X86_ZERO_PAGE};
    return (struct x86_start){.long_mode = true, .rip = vm->image.entry, .rdi = X86_START_INFO};
}

/* The other harts wait for the INIT and SIPI of the guest, inside the engine. */
static int x86_prepare(struct vm *vm, struct error *err)
{
    struct x86_start start = start_choose(vm);
    int rc = acpi_place(vm, err);

    if (rc == 0)
        rc = command_write(vm, err);
    if (rc != 0)
        return rc;
    if (vm->image.kind == IMAGE_LINUX)
        zero_page_fill(vm);
    start_info_fill(vm);
    gdt_fill(vm, start.long_mode);
    page_tables_fill(vm);
    rc = vm->engine->x86_start(&vm->hart[0], &start);
    if (rc != 0)
        return error_set(err, STATUS_UNAVAILABLE,
                         "--engine %s: a hart cannot be put at its start: %s", vm->engine->name,
                         strerror(-rc));
    for (unsigned i = 0; i < vm->nharts; i++) {
        vm->hart[i].boot = true;
        vm->hart[i].status = HART_START_PENDING;
    }
    return 0;
}

const struct arch arch_x86_64 = {
    .name = "x86-64",
    .bit = ARCH_X86_64,
    .uart = BUS_PORT(TG_X86_PORT_UART),
    .uart_size = 8,
    .uart_irq = TG_X86_UART_IRQ,
    .virtio = TG_X86_VIRTIO,
    .virtio_irq = TG_X86_VIRTIO_IRQ,
    .doorbell = TG_X86_DOORBELL,
    .clock = TG_X86_CLOCK,
    .memory_create = x86_memory_create,
    .load = x86_load,
    .prepare = x86_prepare,
};
