/* test_x86.c: x86-64 guests: which file is theirs, how it is loaded, what the guest is told. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/platform.h"
#include "guest/abi/x86.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/acpi.h"
#include "vmm/arch.h"
#include "vmm/le.h"
#include "vmm/x86/bzimage.h"
#include "vmm/x86/x86.h"

#define MIB        (UINT64_C(1) << 20)
#define WHAT       "--kernel: 'x'"
#define IMAGE_SIZE 8192u
#define IMAGE_BODY 1024u /* one sector of setup */
#define PREFERRED  0x1000000u
#define INIT_SIZE  (4 * MIB)

extern const struct module module_acpi_power, module_uart16550a, module_virtio_rng;

static struct fixture f;

/* --- bzImage --- */

/* A kernel as small as one can be, with the fields that are looked at. */
static void bzimage_make(uint8_t data[IMAGE_SIZE])
{
    for (unsigned i = 0; i < IMAGE_SIZE; i++)
        data[i] = (uint8_t)(i * 7);
    data[0x1f1] = 1;
    le_put32(data + 0x1f4, (IMAGE_SIZE - IMAGE_BODY) / 16);
    le_put16(data + 0x1fe, 0xaa55);
    data[0x201] = 0x6a;
    memcpy(data + 0x202, "HdrS", 4);
    le_put16(data + 0x206, 0x20f);
    le_put32(data + 0x22c, 0x7fffffff);
    le_put32(data + 0x230, 0x200000);
    data[0x234] = 1;
    le_put16(data + 0x236, 1);
    le_put32(data + 0x238, 2047);
    le_put64(data + 0x258, PREFERRED);
    le_put32(data + 0x260, INIT_SIZE);
}

/* Loads it into `mib` of memory. The result; *image and *err tell more. */
static int bzimage_try(const uint8_t *data, size_t size, uint64_t mib, struct image *image,
                       struct error *err)
{
    struct mem mem;
    uint8_t byte = 0;
    int rc;

    mem_init(&mem);
    *err = (struct error){0};
    CU_ASSERT_EQUAL_FATAL(mem_add(&mem, 0, mib * MIB), 0);
    rc = bzimage_load(&mem, mib * MIB, X86_ZERO_PAGE, WHAT, data, size, image, err);
    if (rc == 0) {
        CU_ASSERT_EQUAL(mem_read(&mem, image->first, &byte, 1), 0);
        CU_ASSERT_EQUAL(byte, data[IMAGE_BODY]);
        CU_ASSERT_EQUAL(mem_read(&mem, X86_ZERO_PAGE + 0x201, &byte, 1), 0);
        CU_ASSERT_EQUAL(byte, 0x6a);
        CU_ASSERT_EQUAL(mem_read(&mem, X86_ZERO_PAGE + 0x1f0, &byte, 1), 0);
        CU_ASSERT_EQUAL(byte, 0);
    } else {
        CU_ASSERT_EQUAL(err->status, STATUS_DATA);
        CU_ASSERT_EQUAL(strncmp(err->text, WHAT, strlen(WHAT)), 0);
    }
    mem_destroy(&mem);
    return rc;
}

static void test_bzimage(void)
{
    uint8_t data[IMAGE_SIZE];
    struct image image;
    struct error err;

    bzimage_make(data);
    CU_ASSERT_EQUAL_FATAL(bzimage_try(data, sizeof(data), 64, &image, &err), 0);
    CU_ASSERT_EQUAL(image.kind, IMAGE_LINUX);
    CU_ASSERT_EQUAL(image.first, PREFERRED);
    CU_ASSERT_EQUAL(image.entry, PREFERRED + 0x200);
    CU_ASSERT_EQUAL(image.last, PREFERRED + INIT_SIZE);
    /* Too little memory for where it wants to be: as low as it goes, or nowhere. */
    CU_ASSERT_EQUAL_FATAL(bzimage_try(data, sizeof(data), 16, &image, &err), 0);
    CU_ASSERT_EQUAL(image.first, 0x200000);
    data[0x234] = 0;
    CU_ASSERT_EQUAL(bzimage_try(data, sizeof(data), 16, &image, &err), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "--mem"));
}

static void test_bzimage_bad(void)
{
    static const struct {
        unsigned at, bytes;
        uint64_t value;
        const char *words;
    } bad[] = {
        {0x202, 4, 0,          "not a Linux kernel for x86"    },
        {0x1fe, 2, 0,          "not a Linux kernel for x86"    },
        {0x206, 2, 0x20b,      "version 2.11"                  },
        {0x236, 2, 0,          "32-bit kernel"                 },
        {0x1f4, 4, IMAGE_SIZE, "is truncated"                  },
        {0x1f1, 1, 200,        "is truncated"                  },
        {0x230, 4, 0,          "its alignment is 0x0"          },
        {0x230, 4, 0x30000,    "its alignment is 0x30000"      },
        {0x260, 4, UINT32_MAX, "give the guest more with --mem"},
    };
    uint8_t data[IMAGE_SIZE];
    struct image image;
    struct error err;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bzimage_make(data);
        for (unsigned b = 0; b < bad[i].bytes; b++)
            data[bad[i].at + b] = (uint8_t)(bad[i].value >> 8 * b);
        CU_ASSERT_EQUAL(bzimage_try(data, sizeof(data), 64, &image, &err), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].words));
    }
    /* Cut off anywhere: refused, and nothing behind it is read. */
    bzimage_make(data);
    for (size_t size = 0; size < sizeof(data); size += size < 0x280 ? 1 : 61) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, data, size);
        CU_ASSERT_EQUAL(bzimage_try(copy, size, 64, &image, &err), -EINVAL);
        free(copy);
    }
    /* A preferred address or size that wraps is no address. */
    bzimage_make(data);
    le_put64(data + 0x258, UINT64_MAX - 4096);
    CU_ASSERT_EQUAL(bzimage_try(data, sizeof(data), 64, &image, &err), 0);
    CU_ASSERT_EQUAL(image.first, 0x200000);
}

/* --- ELF --- */

struct elf_file {
    Elf64_Ehdr head;
    Elf64_Phdr ph[2];
    uint8_t note[20];
    uint8_t text[16];
};

static struct elf_file elf_make(void)
{
    struct elf_file e = {
        .head = {.e_type = ET_EXEC,
                 .e_machine = EM_X86_64,
                 .e_version = EV_CURRENT,
                 .e_entry = 0x200001,
                 .e_phoff = offsetof(struct elf_file, ph),
                 .e_ehsize = sizeof(Elf64_Ehdr),
                 .e_phentsize = sizeof(Elf64_Phdr),
                 .e_phnum = 2},
        .ph = {{.p_type = PT_LOAD,
                .p_offset = offsetof(struct elf_file, text),
                .p_vaddr = 0x200000,
                .p_paddr = 0x200000,
                .p_filesz = 16,
                .p_memsz = 4096},
                 {.p_type = PT_NOTE,
                .p_offset = offsetof(struct elf_file, note),
                .p_filesz = 20}},
    };

    memcpy(e.head.e_ident, ELFMAG, SELFMAG);
    e.head.e_ident[EI_CLASS] = ELFCLASS64;
    e.head.e_ident[EI_DATA] = ELFDATA2LSB;
    e.head.e_ident[EI_VERSION] = EV_CURRENT;
    le_put32(e.note, 4);
    le_put32(e.note + 4, 4);
    le_put32(e.note + 8, 18);
    memcpy(e.note + 12, "Xen", 4);
    le_put32(e.note + 16, 0x200004);
    return e;
}

static int elf_try(const struct elf_file *e, unsigned machine, struct image *image,
                   struct error *err)
{
    struct mem mem;
    int rc;

    mem_init(&mem);
    *err = (struct error){0};
    CU_ASSERT_EQUAL_FATAL(mem_add(&mem, 0, 16 * MIB), 0);
    rc = elf_load_for(&mem, machine, WHAT, (const uint8_t *)e, sizeof(*e), image, err);
    mem_destroy(&mem);
    return rc;
}

static void test_elf(void)
{
    struct elf_file e = elf_make();
    struct image image;
    struct error err;

    CU_ASSERT_EQUAL(elf_try(&e, EM_X86_64, &image, &err), 0);
    CU_ASSERT_EQUAL(image.entry, 0x200001); /* odd, which RISC-V has not */
    CU_ASSERT_EQUAL(image.pvh, 0x200004);
    CU_ASSERT(elf_try(&e, EM_RISCV, &image, &err) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "x86-64; a RISC-V one is needed"));
    e.head.e_machine = EM_RISCV;
    CU_ASSERT(elf_try(&e, EM_X86_64, &image, &err) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "an x86-64 one is needed"));
}

/* A note that is damaged, of somebody else, or points outside is none. */
static void test_elf_notes(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
    } other[] = {
        {0,  5         },
        {0,  UINT32_MAX},
        {4,  0         },
        {4,  UINT32_MAX},
        {8,  17        },
        {12, 0         },
        {16, 0x100000  },
        {16, 0         },
    };
    struct image image;
    struct error err;

    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct elf_file e = elf_make();
        le_put32(e.note + other[i].at, other[i].value);
        CU_ASSERT_EQUAL(elf_try(&e, EM_X86_64, &image, &err), 0);
        CU_ASSERT_EQUAL(image.pvh, 0);
    }
    struct elf_file e = elf_make();
    e.ph[1].p_filesz = UINT64_MAX;
    CU_ASSERT_EQUAL(elf_try(&e, EM_X86_64, &image, &err), 0);
    CU_ASSERT_EQUAL(image.pvh, 0);
}

static void test_arch_of(void)
{
    uint8_t data[IMAGE_SIZE];
    struct elf_file e = elf_make();

    CU_ASSERT_PTR_EQUAL(arch_of_image((const uint8_t *)&e, sizeof(e)), &arch_x86_64);
    e.head.e_machine = EM_RISCV;
    CU_ASSERT_PTR_EQUAL(arch_of_image((const uint8_t *)&e, sizeof(e)), &arch_riscv64);
    CU_ASSERT_PTR_EQUAL(arch_of_image((const uint8_t *)&e, 10), &arch_riscv64);
    bzimage_make(data);
    CU_ASSERT_PTR_EQUAL(arch_of_image(data, sizeof(data)), &arch_x86_64);
    CU_ASSERT_PTR_EQUAL(arch_of_image(data, 0x205), &arch_riscv64);
    CU_ASSERT_PTR_EQUAL(arch_of_image(NULL, 0), &arch_riscv64);
    CU_ASSERT_PTR_EQUAL(arch_of_file("/nonexistent"), &arch_riscv64);
    CU_ASSERT_PTR_EQUAL(arch_of_file("/"), &arch_riscv64);
    CU_ASSERT_PTR_EQUAL(arch_find("x86-64"), &arch_x86_64);
    CU_ASSERT_PTR_NULL(arch_find("x86"));
}

/* --- ACPI --- */

static uint8_t tables[8192];

static bool sum_is_zero(const uint8_t *at, size_t size)
{
    uint8_t sum = 0;

    while (size-- > 0)
        sum = (uint8_t)(sum + *at++);
    return sum == 0;
}

/* A table by its address, whose name and checksum must be right. */
static const uint8_t *table_at(uint64_t gpa, const char *name)
{
    const uint8_t *at = tables + (gpa - X86_ACPI);

    CU_ASSERT_FATAL(gpa >= X86_ACPI && gpa - X86_ACPI < sizeof(tables) - 36);
    CU_ASSERT_EQUAL(memcmp(at, name, 4), 0);
    CU_ASSERT_FATAL(le_get32(at + 4) < sizeof(tables) - (gpa - X86_ACPI));
    CU_ASSERT(sum_is_zero(at, le_get32(at + 4)));
    return at;
}

static bool holds(const uint8_t *at, const void *bytes, size_t n)
{
    return memmem(at, le_get32(at + 4), bytes, n) != NULL;
}

static void machine_make(unsigned nharts)
{
    fixture_init(&f, START_KERNEL, nharts, CONSOLE_NONE);
    f.config.arch = &arch_x86_64;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_uart16550a, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_acpi_power, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_virtio_rng, NULL, NULL), 0);
}

static void test_acpi(void)
{
    machine_make(2);
    size_t size = acpi_build(&f.vm, X86_ACPI, tables, sizeof(tables));
    CU_ASSERT_FATAL(size > 0);
    CU_ASSERT_EQUAL(memcmp(tables, "RSD PTR ", 8), 0);
    CU_ASSERT(sum_is_zero(tables, 20) && sum_is_zero(tables, 36));
    const uint8_t *xsdt = table_at(le_get64(tables + 24), "XSDT");
    CU_ASSERT_EQUAL_FATAL(le_get32(xsdt + 4), 36 + 2 * 8);
    const uint8_t *fadt = table_at(le_get64(xsdt + 36), "FACP");
    const uint8_t *madt = table_at(le_get64(xsdt + 44), "APIC");
    const uint8_t *dsdt = table_at(le_get64(fadt + 140), "DSDT");
    CU_ASSERT_EQUAL(le_get32(fadt + 40), le_get64(fadt + 140));
    CU_ASSERT_EQUAL(memcmp(tables + (le_get32(fadt + 36) - X86_ACPI), "FACS", 4), 0);
    CU_ASSERT_EQUAL(le_get32(fadt + 64), TG_X86_PORT_PM1_CONTROL);
    /* Two local APICs, an I/O APIC, two overrides, an NMI. */
    CU_ASSERT_EQUAL(le_get32(madt + 4), 44 + 2 * 8 + 12 + 2 * 10 + 6);
    /* PNP0501 is 0x0105d041 (ACPI, 19.3.4); its port; the virtio window with its interrupt. */
    CU_ASSERT(holds(dsdt, "\x0c\x41\xd0\x05\x01", 5));
    CU_ASSERT(holds(dsdt, "\x47\x01\xf8\x03\xf8\x03\x01\x08", 8));
    CU_ASSERT(holds(dsdt, "LNRO0005", 9));
    CU_ASSERT(holds(dsdt, "\x86\x09\x00\x01\x00\x00\x00\xd0\x00\x10\x00\x00", 12));
    CU_ASSERT(holds(dsdt, "\x89\x06\x00\x01\x01\x10\x00\x00\x00", 9));
    CU_ASSERT(holds(dsdt, "_S5_", 4));
    for (size_t max = 0; max < size; max += 13)
        CU_ASSERT_EQUAL(acpi_build(&f.vm, X86_ACPI, tables, max), 0);
    fixture_destroy(&f);
}

static void test_power(void)
{
    const gpa_t event = BUS_PORT(TG_X86_PORT_PM1_EVENT);
    const gpa_t control = BUS_PORT(TG_X86_PORT_PM1_CONTROL);
    const gpa_t reset = BUS_PORT(TG_X86_PORT_RESET);

    machine_make(1);
    CU_ASSERT_EQUAL(fixture_read(&f, control, 2), 1); /* ACPI mode */
    fixture_write(&f, event + 2, 2, 0x120);
    CU_ASSERT_EQUAL(fixture_read(&f, event, 4), 0x1200000);
    fixture_write(&f, event, 4, UINT32_MAX);
    CU_ASSERT_EQUAL(fixture_read(&f, event, 4), 0xffff0000);
    fixture_write(&f, control, 2, 1 << 10 | 0x2000); /* another sleep state */
    fixture_write(&f, reset, 1, 0);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    fixture_write(&f, control, 2, TG_X86_SLEEP_TYPE_OFF << 10 | 0x2000);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, 0);
    fixture_destroy(&f);
    machine_make(1);
    fixture_write(&f, reset, 1, TG_X86_RESET_VALUE);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_RESET);
    CU_ASSERT(fixture_refused(&f, BUS_PORT(0x5500), 1));
    fixture_destroy(&f);
}

/* --- the whole start --- */

static struct x86_start started;

static int start_take(struct hart *hart, const struct x86_start *start)
{
    (void)hart;
    started = *start;
    return 0;
}

static void file_make(char *path, const void *data, size_t size)
{
    int fd = mkstemp(path);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(write(fd, data, size), (ssize_t)size);
    close(fd);
}

/* Boots the file in `mib` of memory; the memory stays until fixture_destroy. */
static int boot_try(const void *data, size_t size, uint64_t mib, const char *append)
{
    char path[] = "/tmp/test_x86.XXXXXX";
    int rc;

    file_make(path, data, size);
    machine_make(1);
    mem_destroy(&f.vm.mem);
    mem_init(&f.vm.mem);
    f.engine.x86_start = start_take;
    f.config.mem_size = mib * MIB;
    f.config.image = path;
    f.config.append = append;
    rc = arch_x86_64.memory_create(&f.vm, &f.err);
    if (rc == 0)
        rc = arch_x86_64.load(&f.vm, &f.err);
    if (rc == 0)
        rc = arch_x86_64.prepare(&f.vm, &f.err);
    unlink(path);
    return rc;
}

static uint64_t word(gpa_t gpa)
{
    uint8_t bytes[8] = {0};

    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, gpa, bytes, 8), 0);
    return le_get64(bytes);
}

/* Where the page tables lead. */
static uint64_t translate(uint64_t va)
{
    const uint64_t address = 0x000ffffffffff000;
    uint64_t table = word(X86_PAGE_TABLES + 8 * (va >> 39 & 511)) & address;

    table = word(table + 8 * (va >> 30 & 511)) & address;
    return (word(table + 8 * (va >> 21 & 511)) & address) | (va & 0x1fffff);
}

static void test_boot_elf(void)
{
    struct elf_file e = elf_make();

    CU_ASSERT_EQUAL(boot_try(&e, sizeof(e), 64, "some words"), 0);
    CU_ASSERT(!started.long_mode && started.rip == 0x200004);
    CU_ASSERT_EQUAL(started.rbx, X86_START_INFO);
    CU_ASSERT_EQUAL(word(X86_GDT + TG_X86_KERNEL_SELECTOR), X86_DESC_CODE32);
    fixture_destroy(&f);

    le_put32(e.note + 8, 17); /* no PVH guest any more */
    CU_ASSERT_EQUAL(boot_try(&e, sizeof(e), 5120, "some words"), 0);
    CU_ASSERT(started.long_mode && started.rip == 0x200001);
    CU_ASSERT_EQUAL(started.rdi, X86_START_INFO);
    CU_ASSERT_EQUAL((uint32_t)word(X86_START_INFO), HVM_START_MAGIC);
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&f.vm.mem, word(X86_START_INFO + HVM_START_CMDLINE), 11),
                           "some words", 11),
                    0);
    CU_ASSERT_EQUAL((uint32_t)word(X86_START_INFO + HVM_START_MEMMAP_SIZE), 4);
    uint64_t map = word(X86_START_INFO + HVM_START_MEMMAP);
    CU_ASSERT_EQUAL(word(map + 3 * 24), TG_X86_HOLE_END);
    CU_ASSERT_EQUAL(word(map + 3 * 24 + 8), 2048 * MIB);
    CU_ASSERT_EQUAL(word(X86_GDT + TG_X86_KERNEL_SELECTOR), X86_DESC_CODE64);
    const uint64_t places[] = {0x1234, 0x200001, TG_X86_DOORBELL, TG_X86_LOCAL_APIC,
                               TG_X86_HOLE_END + 2048 * MIB - 1};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        CU_ASSERT_EQUAL(translate(places[i]), places[i]);
    fixture_destroy(&f);
}

static void test_boot_linux(void)
{
    uint8_t data[IMAGE_SIZE];

    bzimage_make(data);
    CU_ASSERT_EQUAL(boot_try(data, sizeof(data), 64, NULL), 0);
    CU_ASSERT(started.long_mode && started.rip == PREFERRED + 0x200);
    CU_ASSERT_EQUAL(started.rsi, X86_ZERO_PAGE);
    CU_ASSERT_EQUAL(word(X86_ZERO_PAGE + ZERO_ACPI_RSDP), X86_ACPI);
    CU_ASSERT_EQUAL((uint8_t)word(X86_ZERO_PAGE + ZERO_E820_COUNT), 3);
    CU_ASSERT_EQUAL(word(X86_ZERO_PAGE + ZERO_E820 + 40), TG_X86_KERNEL_MIN);
    CU_ASSERT_EQUAL(word(X86_ZERO_PAGE + ZERO_E820 + 48), 63 * MIB);
    CU_ASSERT_EQUAL((uint32_t)word(X86_ZERO_PAGE + ZERO_COMMAND), X86_COMMAND);
    CU_ASSERT_EQUAL(memcmp(mem_ptr(&f.vm.mem, X86_COMMAND, 14), "console=ttyS0", 14), 0);
    fixture_destroy(&f);
    le_put32(data + 0x238, 10);
    CU_ASSERT(boot_try(data, sizeof(data), 64, "eleven char") < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "at most 10"));
    fixture_destroy(&f);
}

static void test_boot_bad(void)
{
    struct elf_file e = elf_make();

    e.ph[0].p_paddr = 0x8000;
    CU_ASSERT(boot_try(&e, sizeof(e), 64, NULL) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "link it for 0x100000 or above"));
    fixture_destroy(&f);
    CU_ASSERT(boot_try("MZ, no kernel", 13, 64, NULL) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "neither an x86-64 ELF file nor"));
    fixture_destroy(&f);
}

void suite_x86(void)
{
    CU_pSuite suite = CU_add_suite("x86", NULL, NULL);

    CU_add_test(suite, "bzImage", test_bzimage);
    CU_add_test(suite, "damaged bzImages", test_bzimage_bad);
    CU_add_test(suite, "ELF", test_elf);
    CU_add_test(suite, "notes of an ELF file", test_elf_notes);
    CU_add_test(suite, "whose file it is", test_arch_of);
    CU_add_test(suite, "ACPI tables", test_acpi);
    CU_add_test(suite, "switching off", test_power);
    CU_add_test(suite, "the start of an ELF file", test_boot_elf);
    CU_add_test(suite, "the start of Linux", test_boot_linux);
    CU_add_test(suite, "files that do not start", test_boot_bad);
}
