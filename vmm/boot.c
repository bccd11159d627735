/* boot.c: putting the guest's files into memory and its first hart at their start. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/vm.h"

/* A raw kernel starts where a Linux image would: 2 MiB into memory. */
#define RAW_OFFSET 0x200000u

/*
 * The top of memory is the device tree's; the initrd lies right below. Firmware adds to the
 * tree in place (OpenSBI its reserved memory), so it finds room behind it.
 */
#define FDT_SLACK (64u << 10)
#define FDT_ROOM  (FDT_SIZE_MAX + FDT_SLACK)

/*
 * Where Debian's package `opensbi` has the firmware that --firmware opensbi means. The binary:
 * since OpenSBI 1.2 the ELF file is position-independent.
 */
#define OPENSBI_FILE "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"

#define PROGRAM_STACK                                                                          \
    (8u << 20) /* as Linux gives a process by default; less when memory is small */

int boot_memory_add(struct vm *vm, gpa_t gpa, uint64_t size, struct error *err)
{
    int rc = mem_add(&vm->mem, gpa, size);

    if (rc != 0)
        return error_set(err, STATUS_OS, "--mem: the host gives no %llu MiB of memory: %s",
                         (unsigned long long)(vm->config->mem_size >> 20), strerror(-rc));
    return 0;
}

static gpa_t memory_end(const struct vm *vm)
{
    return PLAT_DRAM_BASE + vm->config->mem_size;
}

static const char *image_option(const struct vm *vm)
{
    switch (vm->config->start) {
    case START_FIRMWARE: return "--firmware";
    case START_PROGRAM: return "--program";
    default: return "--kernel";
    }
}

/*
 * Is the file loaded as it is? Beside a KERNEL, --raw speaks of that one; firmware is an ELF
 * file or a binary, for which there is no header to look for.
 */
static bool file_is_raw(const struct vm *vm, const struct image *image,
                        const struct host_file *file)
{
    const struct vm_config *config = vm->config;

    if (!config->payload || image == &vm->payload)
        return config->raw;
    return file->size < SELFMAG || memcmp(file->data, ELFMAG, SELFMAG) != 0;
}

static int load_file(struct vm *vm, const char *option, const char *path, gpa_t raw_base,
                     struct image *image, struct error *err)
{
    struct host_file file;
    char what[256];
    int rc;

    rc = host_file_open(&file, option, path, vm->config->mem_size, err);
    if (rc != 0)
        return rc;
    snprintf(what, sizeof(what), "%s: '%s'", option, path);
    rc = image_load(&vm->mem, what, file.data, file.size, file_is_raw(vm, image, &file),
                    raw_base, image, err);
    host_file_close(&file);
    return rc;
}

static int load_opensbi(struct vm *vm, struct error *err)
{
    int rc = load_file(vm, "--firmware", OPENSBI_FILE, PLAT_DRAM_BASE, &vm->image, err);

    if (rc == -ENOENT)
        error_set(err, STATUS_NO_INPUT,
                  "--firmware: OpenSBI is not installed (no '%s'); install Debian's package "
                  "opensbi, or give a file",
                  OPENSBI_FILE);
    return rc;
}

static int load_image(struct vm *vm, struct error *err)
{
    const struct vm_config *config = vm->config;

    if (config->start == START_FIRMWARE && strcmp(config->image, "opensbi") == 0)
        return load_opensbi(vm, err);
    return load_file(vm, image_option(vm), config->image,
                     PLAT_DRAM_BASE + (config->start == START_KERNEL ? RAW_OFFSET : 0),
                     &vm->image, err);
}

/* The kernel behind firmware. A quiet overlap would be two broken guests in one. */
static int load_payload(struct vm *vm, struct error *err)
{
    const char *path = vm->config->payload;
    int rc;

    if (!path)
        return 0;
    rc = load_file(vm, "--kernel", path, PLAT_DRAM_BASE + RAW_OFFSET, &vm->payload, err);
    if (rc == 0 && vm->payload.first < vm->image.last && vm->image.first < vm->payload.last)
        rc =
            error_set(err, STATUS_DATA,
                      "--kernel: '%s' (0x%llx-0x%llx) lies on the firmware (0x%llx-0x%llx); "
                      "link it for 0x%x",
                      path, (unsigned long long)vm->payload.first,
                      (unsigned long long)vm->payload.last, (unsigned long long)vm->image.first,
                      (unsigned long long)vm->image.last, PLAT_DRAM_BASE + RAW_OFFSET);
    return rc;
}

/* The end of what was loaded. */
static gpa_t images_end(const struct vm *vm)
{
    return vm->payload.last > vm->image.last ? vm->payload.last : vm->image.last;
}

int boot_initrd_load(struct vm *vm, gpa_t first, gpa_t bottom, gpa_t top, struct error *err)
{
    const char *path = vm->config->initrd;
    struct host_file file;
    int rc;

    if (!path)
        return 0;
    rc = host_file_open(&file, "--initrd", path, UINT64_MAX, err);
    if (rc != 0)
        return rc;
    if (file.size > top - first || ((top - file.size) & ~(gpa_t)(MEM_PAGE_SIZE - 1)) < bottom) {
        rc = error_set(err, STATUS_DATA,
                       "--initrd: '%s' (%zu KiB) does not fit beside the kernel in %llu MiB; "
                       "give more with --mem",
                       path, file.size >> 10, (unsigned long long)(vm->config->mem_size >> 20));
    } else {
        vm->initrd_gpa = (top - file.size) & ~(gpa_t)(MEM_PAGE_SIZE - 1);
        vm->initrd_size = file.size;
        rc = mem_write(&vm->mem, vm->initrd_gpa, file.data, file.size);
    }
    host_file_close(&file);
    return rc;
}

static int riscv_load(struct vm *vm, struct error *err)
{
    int rc = load_image(vm, err);

    if (rc == 0)
        rc = load_payload(vm, err);
    if (rc != 0)
        return rc;
    return boot_initrd_load(vm, PLAT_DRAM_BASE, images_end(vm), memory_end(vm) - FDT_ROOM, err);
}

static int place_dtb(struct vm *vm, struct error *err)
{
    int rc = fdt_build(vm, &vm->dtb, &vm->dtb_size, err);

    if (rc != 0)
        return rc;
    vm->dtb_gpa = (memory_end(vm) - FDT_SLACK - vm->dtb_size) & ~(gpa_t)(MEM_PAGE_SIZE - 1);
    if (vm->dtb_gpa < images_end(vm))
        return error_set(err, STATUS_DATA,
                         "--mem: no room for the device tree above '%s' in %llu MiB; give more",
                         vm->config->image, (unsigned long long)(vm->config->mem_size >> 20));
    return mem_write(&vm->mem, vm->dtb_gpa, vm->dtb, vm->dtb_size);
}

static void hart_place(struct hart *hart, const struct hart_state *state)
{
    hart->vm->engine->state_set(hart, state);
    hart->boot = true;
    hart->status = HART_START_PENDING;
}

/*
 * A kernel or firmware: a0 = hart ID, a1 = device tree. a2 is for firmware that is told what to
 * start (OpenSBI, docs/firmware/fw_dynamic.md).
 */
static int prepare_system(struct vm *vm, struct error *err)
{
    bool all = vm->config->start == START_FIRMWARE || vm->engine->caps & ENGINE_HARTS;
    unsigned first = all ? vm->nharts : 1;
    int rc = place_dtb(vm, err);

    for (unsigned i = 0; rc == 0 && i < first; i++) {
        struct hart_state state;

        vm->engine->state_get(&vm->hart[i], &state);
        state.pc = vm->image.entry;
        state.x[10] = i;
        state.x[11] = vm->dtb_gpa;
        state.x[12] = vm->fw_info;
        hart_place(&vm->hart[i], &state);
    }
    return rc;
}

/*
 * The stack of a program, as the RISC-V ELF psABI (section "Linux: Program initialisation") has
 * it: argc, argv[], NULL, an empty environment, an empty auxiliary vector, above them the
 * strings.
 */
static int program_stack(struct vm *vm, gpa_t *sp, struct error *err)
{
    char *const *argv = vm->config->argv;
    gpa_t top = memory_end(vm), at = top, table;
    uint64_t argc = 0, bytes = 0;

    for (; argv[argc]; argc++)
        bytes += strlen(argv[argc]) + 1;
    if (bytes + 8 * (argc + 6) + PROGRAM_STACK / 8 > top - vm->image.last)
        return error_set(
            err, STATUS_USAGE,
            "--program: no room for the arguments and a stack in %llu MiB; give more "
            "with --mem",
            (unsigned long long)(vm->config->mem_size >> 20));
    table = (top - bytes - 8 * (argc + 6)) & ~15ull;
    *sp = table;
    mem_write(&vm->mem, table, &argc, 8);
    at = top - bytes;
    for (uint64_t i = 0; i < argc; i++) {
        size_t len = strlen(argv[i]) + 1;

        mem_write(&vm->mem, at, argv[i], len);
        mem_write(&vm->mem, table + 8 * (i + 1), &at, 8);
        at += len;
    }
    return 0; /* memory is zero: the terminators of argv, environment and vector are there */
}

static int prepare_program(struct vm *vm, struct error *err)
{
    struct hart_state state;
    int rc;

    vm->engine->state_get(&vm->hart[0], &state);
    state.pc = vm->image.entry;
    rc = program_stack(vm, &state.x[2], err);
    if (rc != 0)
        return rc;
    atomic_store(&vm->harts_live, 1);
    hart_place(&vm->hart[0], &state);
    return 0;
}

static int riscv_prepare(struct vm *vm, struct error *err)
{
    return vm->config->start == START_PROGRAM ? prepare_program(vm, err)
                                              : prepare_system(vm, err);
}

static int riscv_memory_create(struct vm *vm, struct error *err)
{
    return boot_memory_add(vm, PLAT_DRAM_BASE, vm->config->mem_size, err);
}

const struct arch arch_riscv64 = {
    .name = "riscv64",
    .bit = ARCH_RISCV64,
    .uart = PLAT_UART_BASE,
    .uart_size = PLAT_UART_SIZE,
    .uart_irq = PLAT_UART_IRQ,
    .virtio = PLAT_VIRTIO_BASE,
    .virtio_irq = PLAT_VIRTIO_IRQ,
    .doorbell = PLAT_DOORBELL_BASE,
    .clock = PLAT_CLOCK_BASE,
    .memory_create = riscv_memory_create,
    .load = riscv_load,
    .prepare = riscv_prepare,
};
