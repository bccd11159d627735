/* test_fdt.c: the device tree as a guest reads it, made and from a file. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/mock_host.h"
#include "tests/unit/suites.h"
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define WHAT "--dtb: 'x'"

/* --- A VM with an engine and modules that only describe themselves --- */

static const char *fake_isa(struct vm *vm)
{
    (void)vm;
    return "rv64imafdc_zicsr_zifencei";
}

static const char *const *fake_extensions(struct vm *vm)
{
    static const char *const list[] = {"i", "m", "zicsr", NULL};
    (void)vm;
    return list;
}

static const char *fake_mmu(struct vm *vm)
{
    (void)vm;
    return "riscv,sv57";
}

static const struct engine fake_engine = {
    .name = "fake",
    .isa_string = fake_isa,
    .isa_extensions = fake_extensions,
    .mmu_type = fake_mmu,
};

static int uart_fdt(void *self, struct fdt_builder *b)
{
    CU_ASSERT_PTR_NOT_NULL(self);
    fdtb_begin(b, "serial@%x", 0x10000000);
    fdtb_string(b, "compatible", "ns16550a");
    fdtb_reg(b, 0x10000000, 0x100);
    fdtb_irq(b, 10);
    fdtb_end(b);
    return 0;
}

static int failing_fdt(void *self, struct fdt_builder *b)
{
    (void)self;
    (void)b;
    return -EIO;
}

/* Twice the room that a tree has. */
static int endless_fdt(void *self, struct fdt_builder *b)
{
    (void)self;
    static const uint32_t cells[1024] = {0};
    for (unsigned i = 0; i < 2 * FDT_SIZE_MAX / sizeof(cells); i++)
        fdtb_cells(b, "x", cells, 1024);
    return 0;
}

static int long_name_fdt(void *self, struct fdt_builder *b)
{
    (void)self;
    fdtb_begin(b, "%0200d", 1);
    fdtb_end(b);
    return 0;
}

static const struct module uart_module = {.name = "uart16550a", .fdt = uart_fdt};
static const struct module silent_module = {.name = "silent"};
static const struct module failing_module = {.name = "failing", .fdt = failing_fdt};
static const struct module endless_module = {.name = "endless", .fdt = endless_fdt};
static const struct module long_name_module = {.name = "longname", .fdt = long_name_fdt};

struct fixture {
    struct vm vm;
    struct vm_config config;
    struct module_instance instance[2];
    struct error err;
    void *blob;
    size_t size;
};

static void irq_nowhere(void *self, unsigned gsi, bool level)
{
    (void)self;
    (void)gsi;
    (void)level;
}

static void fixture_init(struct fixture *f, const struct module *module)
{
    memset(f, 0, sizeof(*f));
    f->vm.config = &f->config;
    f->vm.engine = &fake_engine;
    f->vm.host = host_real();
    f->vm.nharts = 2;
    f->vm.console.input = CONSOLE_VIRTIO;
    f->vm.irq.set = irq_nowhere;
    f->vm.irq.phandle = FDT_PHANDLE_PLIC;
    f->instance[0] = (struct module_instance){.module = &silent_module, .vm = &f->vm};
    f->instance[1] = (struct module_instance){.module = module, .vm = &f->vm, .self = f};
    f->vm.instance = f->instance;
    f->vm.ninstances = 2;
    mem_init(&f->vm.mem);
    CU_ASSERT_EQUAL(mem_add(&f->vm.mem, 0x80000000, 0x200000), 0);
}

static void fixture_free(struct fixture *f)
{
    mem_destroy(&f->vm.mem);
    free(f->blob);
}

/* Builds and checks that the result is a whole tree of exactly its size. */
static void build(struct fixture *f)
{
    CU_ASSERT_EQUAL_FATAL(fdt_build(&f->vm, &f->blob, &f->size, &f->err), 0);
    CU_ASSERT_EQUAL(f->size, fdt_totalsize(f->blob));
    CU_ASSERT_EQUAL_FATAL(fdt_check_full(f->blob, f->size), 0);
}

static void check_prop(const void *fdt, const char *path, const char *name, const void *value,
                       size_t size)
{
    int len = -1, node = fdt_path_offset(fdt, path);
    const void *got = node < 0 ? NULL : fdt_getprop(fdt, node, name, &len);
    CU_ASSERT(got && len == (int)size && memcmp(got, value, size) == 0);
    if (!got || len != (int)size || memcmp(got, value, size) != 0)
        fprintf(stderr, "\n    %s:%s is wrong", path, name);
}

static void check_string(const void *fdt, const char *path, const char *name, const char *value)
{
    check_prop(fdt, path, name, value, strlen(value) + 1);
}

static void check_u32(const void *fdt, const char *path, const char *name, uint32_t value)
{
    fdt32_t be = cpu_to_fdt32(value);
    check_prop(fdt, path, name, &be, sizeof(be));
}

static void check_u64(const void *fdt, const char *path, const char *name, uint64_t value)
{
    fdt64_t be = cpu_to_fdt64(value);
    check_prop(fdt, path, name, &be, sizeof(be));
}

/* The length of a property, or a libfdt error. */
static int prop_len(const void *fdt, const char *path, const char *name)
{
    int len = -FDT_ERR_NOTFOUND, node = fdt_path_offset(fdt, path);
    if (node >= 0)
        fdt_getprop(fdt, node, name, &len);
    return len;
}

static void check_reg(const void *fdt, const char *path, uint64_t base, uint64_t size)
{
    fdt64_t reg[] = {cpu_to_fdt64(base), cpu_to_fdt64(size)};
    check_prop(fdt, path, "reg", reg, sizeof(reg));
}

/* Firmware is told which counters count what; a kernel asks the SBI. */
static void test_pmu(void)
{
    struct fixture f;
    struct engine engine = fake_engine;
    fixture_init(&f, &uart_module);
    f.vm.engine = &engine;
    build(&f);
    CU_ASSERT(fdt_path_offset(f.blob, "/pmu") < 0);
    free(f.blob);
    engine.programmable = 8;
    build(&f);
    CU_ASSERT(fdt_path_offset(f.blob, "/pmu") < 0);
    free(f.blob);
    f.config.start = START_FIRMWARE;
    build(&f);
    check_string(f.blob, "/pmu", "compatible", "riscv,pmu");
    CU_ASSERT_EQUAL(prop_len(f.blob, "/pmu", "riscv,event-to-mhpmevent"), 5 * 12);
    CU_ASSERT_EQUAL(prop_len(f.blob, "/pmu", "riscv,event-to-mhpmcounters"), 5 * 12);
    const fdt32_t raw[] = {0, cpu_to_fdt32(0x100), cpu_to_fdt32(0xffffffff),
                           cpu_to_fdt32(0xfffffff8), cpu_to_fdt32(0x7f8)};
    check_prop(f.blob, "/pmu", "riscv,raw-event-to-mhpmcounters", raw, sizeof(raw));
    free(f.blob);
    engine.programmable = 0;
    build(&f);
    CU_ASSERT(fdt_path_offset(f.blob, "/pmu") < 0);
    fixture_free(&f);
}

static void test_made(void)
{
    struct fixture f;
    fixture_init(&f, &uart_module);
    build(&f);
    const void *t = f.blob;
    check_u32(t, "/", "#address-cells", 2);
    check_u32(t, "/", "#size-cells", 2);
    check_string(t, "/", "compatible", "riscv-virtio");
    check_string(t, "/memory@80000000", "device_type", "memory");
    check_reg(t, "/memory@80000000", 0x80000000, 0x200000);
    check_u32(t, "/cpus", "timebase-frequency", PLAT_TIMEBASE_HZ);
    check_u32(t, "/cpus", "#address-cells", 1);
    check_u32(t, "/cpus", "#size-cells", 0);
    check_u32(t, "/cpus/cpu@1", "reg", 1);
    check_string(t, "/cpus/cpu@1", "device_type", "cpu");
    check_string(t, "/cpus/cpu@1", "status", "okay");
    check_string(t, "/cpus/cpu@1", "riscv,isa", fake_isa(NULL));
    check_string(t, "/cpus/cpu@1", "riscv,isa-base", "rv64i");
    check_prop(t, "/cpus/cpu@1", "riscv,isa-extensions", "i\0m\0zicsr", 10);
    check_string(t, "/cpus/cpu@1", "mmu-type", "riscv,sv57");
    const char *intc = "/cpus/cpu@1/interrupt-controller";
    check_u32(t, intc, "phandle", FDT_PHANDLE_HART_INTC(1));
    check_u32(t, intc, "#interrupt-cells", 1);
    check_prop(t, intc, "interrupt-controller", "", 0);
    CU_ASSERT_EQUAL(fdt_path_offset(t, "/cpus/cpu@2"), -FDT_ERR_NOTFOUND);
    check_string(t, "/soc", "compatible", "simple-bus");
    check_prop(t, "/soc", "ranges", "", 0);
    check_reg(t, "/soc/serial@10000000", 0x10000000, 0x100);
    check_u32(t, "/soc/serial@10000000", "interrupts", 10);
    check_u32(t, "/soc/serial@10000000", "interrupt-parent", FDT_PHANDLE_PLIC);
    fixture_free(&f);
}

static void test_chosen(void)
{
    struct fixture f;
    fixture_init(&f, &uart_module);
    build(&f);
    check_string(f.blob, "/chosen", "bootargs", "console=hvc0 earlycon=sbi");
    check_string(f.blob, "/chosen", "stdout-path", "/soc/serial@10000000");
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "rng-seed"), 32);
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "kaslr-seed"), 8);
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "linux,initrd-start"), -FDT_ERR_NOTFOUND);
    fixture_free(&f);

    fixture_init(&f, &silent_module);
    f.config.append = "root=/dev/vda quiet";
    f.vm.initrd_gpa = 0x84000000;
    f.vm.initrd_size = 0x1234567;
    f.vm.irq.set = NULL;
    build(&f);
    check_string(f.blob, "/chosen", "bootargs", "root=/dev/vda quiet");
    check_u64(f.blob, "/chosen", "linux,initrd-start", 0x84000000);
    check_u64(f.blob, "/chosen", "linux,initrd-end", 0x85234567);
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "stdout-path"), -FDT_ERR_NOTFOUND);
    fixture_free(&f);

    static const struct {
        enum console_input input;
        const char *args;
    } consoles[] = {
        {CONSOLE_SERIAL, "console=ttyS0 earlycon=sbi"},
        {CONSOLE_SBI,    "earlycon=sbi console=hvc0" },
        {CONSOLE_NONE,   ""                          }
    };
    for (unsigned i = 0; i < 3; i++) {
        fixture_init(&f, &uart_module);
        f.vm.console.input = consoles[i].input;
        build(&f);
        check_string(f.blob, "/chosen", "bootargs", consoles[i].args);
        fixture_free(&f);
    }
}

static void test_memory_with_hole(void)
{
    struct fixture f;
    fixture_init(&f, &uart_module);
    CU_ASSERT_EQUAL(mem_add(&f.vm.mem, 0x100000000, 0x1000), 0);
    CU_ASSERT_EQUAL(mem_punch(&f.vm.mem, 0x80001000, 0x1000), 0);
    f.vm.irq.set = NULL;
    build(&f);
    fdt64_t reg[] = {cpu_to_fdt64(0x80000000),  cpu_to_fdt64(0x1000),
                     cpu_to_fdt64(0x80002000),  cpu_to_fdt64(0x1fe000),
                     cpu_to_fdt64(0x100000000), cpu_to_fdt64(0x1000)};
    check_prop(f.blob, "/memory@80000000", "reg", reg, sizeof(reg));
    CU_ASSERT_EQUAL(prop_len(f.blob, "/soc/serial@10000000", "interrupts"), -FDT_ERR_NOTFOUND);
    fixture_free(&f);
}

static void check_build_fails(struct fixture *f, int expect, enum tg_status status,
                              const char *words)
{
    CU_ASSERT_EQUAL(fdt_build(&f->vm, &f->blob, &f->size, &f->err), expect);
    CU_ASSERT_EQUAL(f->err.status, status);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->err.text, words));
    CU_ASSERT_PTR_NULL(f->blob);
    fixture_free(f);
}

static void test_made_fails(void)
{
    struct fixture f;
    fixture_init(&f, &failing_module);
    check_build_fails(&f, -EIO, STATUS_INTERNAL, "module 'failing'");
    fixture_init(&f, &endless_module);
    check_build_fails(&f, -EINVAL, STATUS_DATA, "larger than 1048576 bytes");
    fixture_init(&f, &long_name_module);
    check_build_fails(&f, -EINVAL, STATUS_INTERNAL, "cannot be made");
    fixture_init(&f, &silent_module);
    char *args = calloc(1, FDT_SIZE_MAX + 1);
    memset(args, 'a', FDT_SIZE_MAX);
    f.config.append = args;
    check_build_fails(&f, -EINVAL, STATUS_DATA, "shorten --append");
    free(args);
}

/* --- A tree from a file --- */

/* A made tree as the file's content. */
static void *file_tree(size_t *size)
{
    struct fixture f;
    fixture_init(&f, &uart_module);
    f.vm.initrd_gpa = 0x88000000;
    f.vm.initrd_size = 0x1000;
    f.config.append = "from the file";
    build(&f);
    void *blob = f.blob;
    *size = f.size;
    f.blob = NULL;
    fixture_free(&f);
    return blob;
}

static void update(struct fixture *f, const void *data, size_t size)
{
    CU_ASSERT_EQUAL_FATAL(fdt_update(&f->vm, WHAT, data, size, &f->blob, &f->size, &f->err), 0);
    CU_ASSERT_EQUAL_FATAL(fdt_check_full(f->blob, f->size), 0);
}

static void test_update(void)
{
    size_t size;
    void *tree = file_tree(&size);
    struct fixture f;
    fixture_init(&f, &silent_module);
    update(&f, tree, size);
    check_string(f.blob, "/chosen", "bootargs", "from the file");
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "linux,initrd-start"), -FDT_ERR_NOTFOUND);
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "linux,initrd-end"), -FDT_ERR_NOTFOUND);
    check_reg(f.blob, "/memory@80000000", 0x80000000, 0x200000);
    check_string(f.blob, "/soc/serial@10000000", "compatible", "ns16550a");
    int len, node = fdt_path_offset(tree, "/chosen");
    check_prop(f.blob, "/chosen", "rng-seed", fdt_getprop(tree, node, "rng-seed", &len), 32);
    fixture_free(&f);

    fixture_init(&f, &silent_module);
    f.config.append = "from the command line, and quite a bit longer than it was before";
    f.vm.initrd_gpa = 0x90000000;
    f.vm.initrd_size = 5;
    update(&f, tree, size);
    check_string(f.blob, "/chosen", "bootargs", f.config.append);
    check_u64(f.blob, "/chosen", "linux,initrd-end", 0x90000005);
    fixture_free(&f);
    free(tree);
}

/* A tree with nothing but a root. */
static size_t bare_tree(void *buf, int room, int cells)
{
    fdt_create_empty_tree(buf, room);
    if (cells > 0) {
        fdt_setprop_u32(buf, 0, "#address-cells", (uint32_t)cells);
        fdt_setprop_u32(buf, 0, "#size-cells", (uint32_t)cells);
    }
    fdt_pack(buf);
    return fdt_totalsize(buf);
}

static void test_update_bare(void)
{
    uint64_t buf[128];
    struct fixture f;
    fixture_init(&f, &silent_module);
    update(&f, buf, bare_tree(buf, sizeof(buf), 2));
    check_string(f.blob, "/chosen", "bootargs", "console=hvc0 earlycon=sbi");
    CU_ASSERT_EQUAL(prop_len(f.blob, "/chosen", "rng-seed"), 32);
    check_string(f.blob, "/memory@80000000", "device_type", "memory");
    check_reg(f.blob, "/memory@80000000", 0x80000000, 0x200000);
    fixture_free(&f);

    fixture_init(&f, &silent_module);
    update(&f, buf, bare_tree(buf, sizeof(buf), 1));
    check_u64(f.blob, "/memory@80000000", "reg", 0x8000000000200000);
    fixture_free(&f);
}

static void check_update_fails(struct fixture *f, const void *data, size_t size,
                               const char *words)
{
    f->err = (struct error){0};
    CU_ASSERT_EQUAL(fdt_update(&f->vm, WHAT, data, size, &f->blob, &f->size, &f->err), -EINVAL);
    CU_ASSERT_EQUAL(f->err.status, STATUS_DATA);
    CU_ASSERT_EQUAL(strncmp(f->err.text, WHAT, strlen(WHAT)), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->err.text, words));
    CU_ASSERT_PTR_NULL(f->blob);
}

static void test_update_fails(void)
{
    size_t size;
    void *tree = file_tree(&size);
    uint64_t buf[128];
    struct fixture f;
    fixture_init(&f, &silent_module);
    check_update_fails(&f, tree, 0, "damaged or truncated");
    check_update_fails(&f, tree, 39, "damaged or truncated");
    check_update_fails(&f, tree, size - 1, "damaged or truncated");
    check_update_fails(&f, tree, FDT_SIZE_MAX + 1, "too large");
    memset(buf, 'x', sizeof(buf));
    check_update_fails(&f, buf, sizeof(buf), "is not a device tree blob");
    /* Old versions name nodes otherwise; libfdt 1.6.1 trips over them. */
    size_t bare = bare_tree(buf, sizeof(buf), 2);
    fdt_set_version(buf, 15);
    check_update_fails(&f, buf, bare, "damaged or truncated");
    bare = bare_tree(buf, sizeof(buf), 2);
    fdt_set_off_dt_struct(buf, fdt_off_dt_struct(buf) + 1);
    check_update_fails(&f, buf, bare, "damaged or truncated");
    /* 64-bit memory in a tree of 32-bit cells. */
    CU_ASSERT_EQUAL(mem_add(&f.vm.mem, 0x100000000, 0x1000), 0);
    check_update_fails(&f, buf, bare_tree(buf, sizeof(buf), 1), "#address-cells");
    fixture_free(&f);
    free(tree);
}

/* Every byte of a file damaged in turn: an answer, and a whole tree when it is yes. */
static void test_update_damaged(void)
{
    size_t size;
    uint8_t *tree = file_tree(&size);
    for (size_t i = 0; i < size; i++) {
        struct fixture f;
        fixture_init(&f, &silent_module);
        tree[i] ^= 0xff;
        int r = fdt_update(&f.vm, WHAT, tree, size, &f.blob, &f.size, &f.err);
        CU_ASSERT_EQUAL(r != 0, f.err.text[0] != '\0');
        CU_ASSERT(r != 0 || fdt_check_full(f.blob, f.size) == 0);
        tree[i] ^= 0xff;
        fixture_free(&f);
    }
    free(tree);
}

static void test_dtb_file(void)
{
    size_t size;
    void *tree = file_tree(&size);
    char path[] = "/tmp/tollgate-test-XXXXXX";
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    struct fixture f;
    fixture_init(&f, &silent_module);
    CU_ASSERT_EQUAL(host_file_write("x", path, tree, size, &f.err), 0);
    f.config.dtb = path;
    build(&f);
    check_string(f.blob, "/chosen", "bootargs", "from the file");
    fixture_free(&f);

    fixture_init(&f, &silent_module);
    CU_ASSERT_EQUAL(host_file_write("x", path, tree, size / 2, &f.err), 0);
    f.config.dtb = path;
    CU_ASSERT_EQUAL(fdt_build(&f.vm, &f.blob, &f.size, &f.err), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, path));
    unlink(path);
    f.err = (struct error){0};
    CU_ASSERT_EQUAL(fdt_build(&f.vm, &f.blob, &f.size, &f.err), -ENOENT);
    CU_ASSERT_EQUAL(f.err.status, STATUS_NO_INPUT);
    CU_ASSERT_EQUAL(strncmp(f.err.text, "--dtb: cannot open", 18), 0);
    fixture_free(&f);
    free(tree);
}

void suite_fdt(void)
{
    CU_pSuite suite = CU_add_suite("fdt", NULL, NULL);
    CU_add_test(suite, "harts, memory and devices", test_made);
    CU_add_test(suite, "counters, for firmware", test_pmu);
    CU_add_test(suite, "/chosen follows the configuration", test_chosen);
    CU_add_test(suite, "memory with a hole, no interrupt controller", test_memory_with_hole);
    CU_add_test(suite, "failures are reported once", test_made_fails);
    CU_add_test(suite, "a file's tree is brought up to date", test_update);
    CU_add_test(suite, "a file's tree lacks everything", test_update_bare);
    CU_add_test(suite, "files that are no tree", test_update_fails);
    CU_add_test(suite, "every byte of a file damaged", test_update_damaged);
    CU_add_test(suite, "--dtb names its file", test_dtb_file);
}
