/* fdt.c: the device tree that a guest is given, made or brought up to date. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/fdt.h"

#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/vm.h"

#define NODE_NAME_MAX 64
#define RNG_SEED_SIZE 32
/* What an update adds to a tree at most, besides bootargs and 16 bytes a memory slot. */
#define UPDATE_ROOM 4096
/* Linux, include/dt-bindings/interrupt-controller/irq.h. */
#define IRQ_TYPE_EDGE_RISING 1u
#define IRQ_TYPE_LEVEL_HIGH  4u

/* --- The builder --- */

/* Keeps the first error. True: go on. */
static bool keep(struct fdt_builder *b, int error)
{
    if (b->error == 0 && error < 0)
        b->error = error;
    return b->error == 0;
}

void fdtb_begin(struct fdt_builder *b, const char *fmt, ...)
{
    char name[NODE_NAME_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    if (keep(b, n < 0 || n >= NODE_NAME_MAX ? -FDT_ERR_BADVALUE : 0))
        keep(b, fdt_begin_node(b->blob, name));
}

void fdtb_end(struct fdt_builder *b)
{
    if (b->error == 0)
        keep(b, fdt_end_node(b->blob));
}

/* A property of len bytes that the caller fills in; NULL after an error. */
static void *property_room(struct fdt_builder *b, const char *name, size_t len)
{
    void *room = NULL;
    if (keep(b, len > FDT_SIZE_MAX ? -FDT_ERR_NOSPACE : 0))
        keep(b, fdt_property_placeholder(b->blob, name, (int)len, &room));
    return b->error == 0 ? room : NULL;
}

static void property_bytes(struct fdt_builder *b, const char *name, const void *data,
                           size_t len)
{
    void *room = property_room(b, name, len);
    if (room && len > 0)
        memcpy(room, data, len);
}

void fdtb_empty(struct fdt_builder *b, const char *name)
{
    property_bytes(b, name, NULL, 0);
}

void fdtb_u32(struct fdt_builder *b, const char *name, uint32_t value)
{
    fdtb_cells(b, name, &value, 1);
}

void fdtb_u64(struct fdt_builder *b, const char *name, uint64_t value)
{
    fdt64_t be = cpu_to_fdt64(value);
    property_bytes(b, name, &be, sizeof(be));
}

void fdtb_cells(struct fdt_builder *b, const char *name, const uint32_t *cells, size_t n)
{
    uint8_t *room = property_room(b, name, n * sizeof(fdt32_t));
    for (size_t i = 0; room && i < n; i++)
        fdt32_st(room + i * sizeof(fdt32_t), cells[i]);
}

void fdtb_string(struct fdt_builder *b, const char *name, const char *value)
{
    property_bytes(b, name, value, strlen(value) + 1);
}

void fdtb_strings(struct fdt_builder *b, const char *name, const char *const *list, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += strlen(list[i]) + 1;
    char *room = property_room(b, name, len);
    for (size_t i = 0; room && i < n; i++)
        room = stpcpy(room, list[i]) + 1;
}

void fdtb_reg(struct fdt_builder *b, gpa_t base, uint64_t size)
{
    uint32_t cells[] = {(uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32),
                        (uint32_t)size};
    fdtb_cells(b, "reg", cells, 4);
}

void fdtb_irq(struct fdt_builder *b, unsigned irq)
{
    const struct irq_router *router = &b->vm->irq;
    if (!router->set)
        return;
    fdtb_u32(b, "interrupt-parent", router->phandle);
    if (router->below) { /* AIA: the line and its kind */
        uint32_t cells[] = {irq,
                            router->edge[irq] ? IRQ_TYPE_EDGE_RISING : IRQ_TYPE_LEVEL_HIGH};

        fdtb_cells(b, "interrupts", cells, 2);
        return;
    }
    fdtb_u32(b, "interrupts", irq);
}

/* --- The tree of a VM --- */

static const char *default_bootargs(enum console_input console)
{
    switch (console) {
    case CONSOLE_VIRTIO: return "console=hvc0 earlycon=sbi";
    case CONSOLE_SERIAL: return "console=ttyS0 earlycon=sbi";
    case CONSOLE_SBI: return "earlycon=sbi console=hvc0";
    case CONSOLE_AUTO: /* only in vm_config */
    case CONSOLE_NONE: break;
    }
    return "";
}

static const char *vm_bootargs(const struct vm *vm)
{
    return vm->config->append ? vm->config->append : default_bootargs(vm->console.input);
}

static void add_chosen(struct fdt_builder *b)
{
    const struct vm *vm = b->vm;
    uint8_t seed[RNG_SEED_SIZE];
    uint64_t kaslr;
    bool seeds = vm->host->random(vm->host, seed, sizeof(seed)) == 0 &&
                 vm->host->random(vm->host, &kaslr, sizeof(kaslr)) == 0;

    fdtb_begin(b, "chosen");
    fdtb_string(b, "bootargs", vm_bootargs(vm));
    if (module_present(vm, "uart16550a"))
        fdtb_string(b, "stdout-path", "/soc/serial@10000000");
    if (vm->initrd_size > 0) {
        fdtb_u64(b, "linux,initrd-start", vm->initrd_gpa);
        fdtb_u64(b, "linux,initrd-end", vm->initrd_gpa + vm->initrd_size);
    }
    if (seeds) { /* none is better than one that somebody knows */
        property_bytes(b, "rng-seed", seed, sizeof(seed));
        fdtb_u64(b, "kaslr-seed", kaslr);
    }
    fdtb_end(b);
}

static void add_memory(struct fdt_builder *b)
{
    const struct mem *mem = &b->vm->mem;
    if (mem->nslots == 0)
        return;
    uint32_t cells[4 * MEM_SLOTS_MAX];
    for (unsigned i = 0; i < mem->nslots; i++) {
        cells[4 * i] = (uint32_t)(mem->slot[i].gpa >> 32);
        cells[4 * i + 1] = (uint32_t)mem->slot[i].gpa;
        cells[4 * i + 2] = (uint32_t)(mem->slot[i].size >> 32);
        cells[4 * i + 3] = (uint32_t)mem->slot[i].size;
    }
    fdtb_begin(b, "memory@%llx", (unsigned long long)mem->slot[0].gpa);
    fdtb_string(b, "device_type", "memory");
    fdtb_cells(b, "reg", cells, 4 * (size_t)mem->nslots);
    fdtb_end(b);
}

/* The size of cache blocks, for each extension that works on them. */
static void add_block_size(struct fdt_builder *b, const char *const *extensions,
                           const char *extension, const char *property)
{
    for (size_t i = 0; extensions && extensions[i]; i++)
        if (strcmp(extensions[i], extension) == 0)
            fdtb_u32(b, property, PLAT_CACHE_BLOCK);
}

/* Linux, Documentation/devicetree/bindings/riscv/cpus.yaml and extensions.yaml. */
static void add_cpu(struct fdt_builder *b, unsigned index)
{
    struct vm *vm = b->vm;
    const char *isa = vm->engine->isa_string(vm);
    const char *const *extensions = vm->engine->isa_extensions(vm);
    const char *mmu = vm->engine->mmu_type(vm);
    size_t n = 0;
    while (extensions && extensions[n])
        n++;

    fdtb_begin(b, "cpu@%x", index);
    fdtb_string(b, "device_type", "cpu");
    fdtb_u32(b, "reg", index);
    fdtb_string(b, "status", "okay");
    fdtb_string(b, "compatible", "riscv");
    fdtb_string(b, "riscv,isa", isa);
    fdtb_string(b, "riscv,isa-base", "rv64i");
    if (n > 0)
        fdtb_strings(b, "riscv,isa-extensions", extensions, n);
    add_block_size(b, extensions, "zicbom", "riscv,cbom-block-size");
    add_block_size(b, extensions, "zicbop", "riscv,cbop-block-size");
    add_block_size(b, extensions, "zicboz", "riscv,cboz-block-size");
    if (mmu)
        fdtb_string(b, "mmu-type", mmu);
    fdtb_begin(b, "interrupt-controller");
    fdtb_u32(b, "#interrupt-cells", 1);
    fdtb_empty(b, "interrupt-controller");
    fdtb_string(b, "compatible", "riscv,cpu-intc");
    fdtb_u32(b, "phandle", FDT_PHANDLE_HART_INTC(index));
    fdtb_end(b);
    fdtb_end(b);
}

/*
 * Which counters count what, for firmware: OpenSBI, docs/pmu_support.md. The selectors of the
 * general and cache events are the SBI's indices of them.
 */
static void add_pmu(struct fdt_builder *b)
{
    const struct engine *engine = b->vm->engine;
    uint32_t all = ((1u << engine->programmable) - 1) << HART_COUNTER_FIRST;
    const uint32_t events[][2] = {
        {HART_EVENT_CYCLES,       all | 1u << HART_COUNTER_CYCLE  },
        {HART_EVENT_INSTRUCTIONS, all | 1u << HART_COUNTER_INSTRET},
        {HART_EVENT_LOAD_WALKS,   all                             },
        {HART_EVENT_STORE_WALKS,  all                             },
        {HART_EVENT_FETCH_WALKS,  all                             },
    };
    enum { EVENTS = sizeof(events) / sizeof(events[0]) };
    uint32_t select[3 * EVENTS], counters[3 * EVENTS];
    /* Raw events 0x100 to 0x107: selector, the bits of it that must match, counters. */
    const uint32_t raw[] = {0, HART_EVENT_EXCEPTIONS, UINT32_MAX, UINT32_MAX & ~7u, all};

    for (unsigned i = 0; i < EVENTS; i++) {
        select[3 * i] = counters[3 * i] = counters[3 * i + 1] = events[i][0];
        select[3 * i + 1] = 0;
        select[3 * i + 2] = events[i][0];
        counters[3 * i + 2] = events[i][1];
    }
    fdtb_begin(b, "pmu");
    fdtb_string(b, "compatible", "riscv,pmu");
    fdtb_cells(b, "riscv,event-to-mhpmevent", select, 3 * EVENTS);
    fdtb_cells(b, "riscv,event-to-mhpmcounters", counters, 3 * EVENTS);
    fdtb_cells(b, "riscv,raw-event-to-mhpmcounters", raw, sizeof(raw) / sizeof(raw[0]));
    fdtb_end(b);
}

static uint32_t timebase_hz(struct vm *vm)
{
    return vm->engine->timebase_hz ? (uint32_t)vm->engine->timebase_hz(vm) : PLAT_TIMEBASE_HZ;
}

static void add_cpus(struct fdt_builder *b)
{
    fdtb_begin(b, "cpus");
    fdtb_u32(b, "#address-cells", 1);
    fdtb_u32(b, "#size-cells", 0);
    fdtb_u32(b, "timebase-frequency", timebase_hz(b->vm));
    for (unsigned i = 0; i < b->vm->nharts; i++)
        add_cpu(b, i);
    fdtb_end(b);
}

/* The modules' nodes. 0, or -errno with *err set. */
static int add_soc(struct fdt_builder *b, struct error *err)
{
    const struct vm *vm = b->vm;
    fdtb_begin(b, "soc");
    fdtb_u32(b, "#address-cells", 2);
    fdtb_u32(b, "#size-cells", 2);
    fdtb_string(b, "compatible", "simple-bus");
    fdtb_empty(b, "ranges");
    for (unsigned i = 0; i < vm->ninstances; i++) {
        const struct module_instance *inst = &vm->instance[i];
        int r = inst->module->fdt ? inst->module->fdt(inst->self, b) : 0;
        if (r < 0) {
            error_set(err, STATUS_INTERNAL, "module '%s' cannot describe its device: %s",
                      inst->module->name, strerror(-r));
            return r;
        }
    }
    fdtb_end(b);
    return 0;
}

static int add_tree(struct fdt_builder *b, struct error *err)
{
    keep(b, fdt_create(b->blob, FDT_SIZE_MAX));
    if (b->error == 0)
        keep(b, fdt_finish_reservemap(b->blob));
    fdtb_begin(b, "%s", "");
    fdtb_u32(b, "#address-cells", 2);
    fdtb_u32(b, "#size-cells", 2);
    fdtb_string(b, "compatible", "riscv-virtio");
    fdtb_string(b, "model", "riscv-virtio,tollgate");
    add_chosen(b);
    add_memory(b);
    add_cpus(b);
    if (b->vm->config->start == START_FIRMWARE && b->vm->engine->programmable)
        add_pmu(b);
    int r = add_soc(b, err);
    if (r < 0)
        return r;
    fdtb_end(b);
    if (b->error == 0)
        keep(b, fdt_finish(b->blob));
    if (b->error == -FDT_ERR_NOSPACE)
        return error_set(err, STATUS_DATA,
                         "the device tree is larger than %u bytes; shorten --append",
                         FDT_SIZE_MAX);
    if (b->error != 0)
        return error_set(err, STATUS_INTERNAL, "the device tree cannot be made: %s",
                         fdt_strerror(b->error));
    return 0;
}

static int fdt_make(struct vm *vm, void **blob, size_t *size, struct error *err)
{
    struct fdt_builder b = {.vm = vm, .blob = calloc(1, FDT_SIZE_MAX)};
    if (!b.blob) {
        error_set(err, STATUS_OS, "no memory for the device tree");
        return -ENOMEM;
    }
    int r = add_tree(&b, err);
    if (r < 0) {
        free(b.blob);
        return r;
    }
    *blob = b.blob;
    *size = fdt_totalsize(b.blob);
    return 0;
}

/* --- A tree from a file --- */

/* The /chosen node, made when it is missing; or a libfdt error. */
static int chosen_node(void *fdt)
{
    int node = fdt_path_offset(fdt, "/chosen");
    return node == -FDT_ERR_NOTFOUND ? fdt_add_subnode(fdt, 0, "chosen") : node;
}

static bool has_property(const void *fdt, int node, const char *name)
{
    int len;
    return fdt_getprop(fdt, node, name, &len) != NULL;
}

static int delete_property(void *fdt, int node, const char *name)
{
    int r = fdt_delprop(fdt, node, name);
    return r == -FDT_ERR_NOTFOUND ? 0 : r;
}

/* The file's RAM disk is not ours: an old address would lead the guest into garbage. */
static int update_initrd(const struct vm *vm, void *fdt, int chosen)
{
    if (vm->initrd_size == 0) {
        int r = delete_property(fdt, chosen, "linux,initrd-start");
        return r < 0 ? r : delete_property(fdt, chosen, "linux,initrd-end");
    }
    int r = fdt_setprop_u64(fdt, chosen, "linux,initrd-start", vm->initrd_gpa);
    if (r < 0)
        return r;
    return fdt_setprop_u64(fdt, chosen, "linux,initrd-end", vm->initrd_gpa + vm->initrd_size);
}

/* Seeds that the file brings stay: who fixes them wants the same run again. */
static int update_seeds(const struct vm *vm, void *fdt, int chosen)
{
    uint8_t seed[RNG_SEED_SIZE];
    if (vm->host->random(vm->host, seed, sizeof(seed)) != 0)
        return 0;
    int r = 0;
    if (!has_property(fdt, chosen, "rng-seed"))
        r = fdt_setprop(fdt, chosen, "rng-seed", seed, sizeof(seed));
    if (vm->host->random(vm->host, seed, sizeof(uint64_t)) != 0)
        return r;
    if (r == 0 && !has_property(fdt, chosen, "kaslr-seed"))
        r = fdt_setprop(fdt, chosen, "kaslr-seed", seed, sizeof(uint64_t));
    return r;
}

static int update_chosen(const struct vm *vm, void *fdt)
{
    const char *args = vm_bootargs(vm);
    int chosen = chosen_node(fdt);
    if (chosen < 0)
        return chosen;
    int r = 0;
    if (vm->config->append || !has_property(fdt, chosen, "bootargs"))
        r = fdt_setprop(fdt, chosen, "bootargs", args, (int)strlen(args) + 1);
    if (r == 0)
        r = update_initrd(vm, fdt, chosen);
    return r < 0 ? r : update_seeds(vm, fdt, chosen);
}

/* 1: the tree says where memory is, 0: it does not, or a libfdt error. */
static int has_memory(const void *fdt)
{
    int node;
    fdt_for_each_subnode(node, fdt, 0)
    {
        int len;
        const char *type = fdt_getprop(fdt, node, "device_type", &len);
        if (type && len == sizeof("memory") && memcmp(type, "memory", sizeof("memory")) == 0)
            return 1;
    }
    return node == -FDT_ERR_NOTFOUND ? 0 : node;
}

static int update_memory(const struct vm *vm, void *fdt)
{
    int r = has_memory(fdt);
    if (r != 0 || vm->mem.nslots == 0)
        return r < 0 ? r : 0;
    char name[NODE_NAME_MAX];
    snprintf(name, sizeof(name), "memory@%llx", (unsigned long long)vm->mem.slot[0].gpa);
    int node = fdt_add_subnode(fdt, 0, name);
    if (node < 0)
        return node;
    r = fdt_setprop_string(fdt, node, "device_type", "memory");
    for (unsigned i = 0; r == 0 && i < vm->mem.nslots; i++)
        r = fdt_appendprop_addrrange(fdt, 0, node, "reg", vm->mem.slot[i].gpa,
                                     vm->mem.slot[i].size);
    return r;
}

/*
 * What fdt_check_full of libfdt 1.6.1 trusts: below version 16 node names that lack a slash,
 * and blocks that are aligned (Devicetree Specification 0.4, sections 5.2 and 5.6).
 */
static int check_header(const void *data, size_t data_size)
{
    if (data_size < sizeof(struct fdt_header))
        return -FDT_ERR_TRUNCATED;
    if (fdt_magic(data) != FDT_MAGIC)
        return -FDT_ERR_BADMAGIC;
    if (fdt_version(data) < 17 || fdt_last_comp_version(data) > 17)
        return -FDT_ERR_BADVERSION;
    if (fdt_off_dt_struct(data) % 4 != 0 || fdt_off_mem_rsvmap(data) % 8 != 0)
        return -FDT_ERR_ALIGNMENT;
    return 0;
}

static int tree_open(const char *what, const void *data, size_t data_size, void *fdt,
                     size_t room, struct error *err)
{
    int r = check_header(data, data_size);
    if (r == 0)
        r = fdt_check_full(data, data_size);
    if (r == 0)
        r = fdt_open_into(data, fdt, (int)room);
    if (r == -FDT_ERR_BADMAGIC)
        return error_set(err, STATUS_DATA, "%s is not a device tree blob; compile it with dtc",
                         what);
    if (r < 0)
        return error_set(
            err, STATUS_DATA,
            "%s is a damaged or truncated device tree blob: %s; compile it anew with dtc", what,
            fdt_strerror(r));
    return 0;
}

static int tree_update(const struct vm *vm, const char *what, void *fdt, struct error *err)
{
    int r = update_chosen(vm, fdt);
    if (r < 0)
        return error_set(err, STATUS_DATA,
                         "%s: its /chosen node cannot be brought up to date: %s", what,
                         fdt_strerror(r));
    r = update_memory(vm, fdt);
    if (r == -FDT_ERR_BADVALUE || r == -FDT_ERR_BADNCELLS)
        return error_set(
            err, STATUS_DATA,
            "%s: memory cannot be described in its #address-cells and #size-cells; "
            "2 and 2 are usual",
            what);
    if (r < 0)
        return error_set(err, STATUS_DATA, "%s: a /memory node cannot be added: %s", what,
                         fdt_strerror(r));
    r = fdt_pack(fdt);
    if (r < 0)
        return error_set(err, STATUS_INTERNAL, "%s: the device tree cannot be packed: %s", what,
                         fdt_strerror(r));
    return 0;
}

int fdt_update(struct vm *vm, const char *what, const void *data, size_t data_size, void **blob,
               size_t *size, struct error *err)
{
    size_t bootargs = strlen(vm_bootargs(vm));
    if (data_size > FDT_SIZE_MAX || bootargs > FDT_SIZE_MAX)
        return error_set(err, STATUS_DATA,
                         "%s is too large: with bootargs it has over %u bytes", what,
                         FDT_SIZE_MAX);
    size_t room = data_size + bootargs + UPDATE_ROOM + 16 * MEM_SLOTS_MAX;
    void *fdt = calloc(1, room);
    if (!fdt) {
        error_set(err, STATUS_OS, "%s: no memory to read it", what);
        return -ENOMEM;
    }
    int r = tree_open(what, data, data_size, fdt, room, err);
    if (r == 0)
        r = tree_update(vm, what, fdt, err);
    if (r < 0) {
        free(fdt);
        return r;
    }
    *blob = fdt;
    *size = fdt_totalsize(fdt);
    return 0;
}

int fdt_build(struct vm *vm, void **blob, size_t *size, struct error *err)
{
    const char *path = vm->config->dtb;
    if (!path)
        return fdt_make(vm, blob, size, err);
    struct host_file file;
    int r = host_file_open(&file, "--dtb", path, FDT_SIZE_MAX, err);
    if (r < 0)
        return r;
    char what[sizeof(err->text)];
    snprintf(what, sizeof(what), "--dtb: '%s'", path);
    r = fdt_update(vm, what, file.data, file.size, blob, size, err);
    host_file_close(&file);
    return r;
}
