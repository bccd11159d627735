/* cfi_flash.c: NOR flash: two 16-bit chips side by side, with the Intel command set. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/vm.h"

/*
 * Source: JEDEC JESD68.01 (CFI), JEP137 (command set 1), and Intel's StrataFlash J3 data sheet
 * for the commands. A bus word has 4 bytes; each half of it goes to one chip, so commands and
 * answers stand in both. The geometry is that of QEMU's virt.
 */
#define FLASH_WORD   4u
#define FLASH_BLOCK  (256u << 10) /* erased together, in both chips */
#define FLASH_BUFFER 64u          /* programmed together, in both chips */
#define FLASH_BLOCKS (PLAT_FLASH_SIZE / FLASH_BLOCK)

enum flash_command {
    FLASH_ARRAY = 0xff,
    FLASH_ID = 0x90,
    FLASH_QUERY = 0x98,
    FLASH_STATUS = 0x70,
    FLASH_CLEAR = 0x50,
    FLASH_ERASE = 0x20,
    FLASH_PROGRAM = 0x40,
    FLASH_PROGRAM_OLD = 0x10,
    FLASH_BUFFERED = 0xe8,
    FLASH_LOCK = 0x60,
    FLASH_CONFIRM = 0xd0,
};

/* Status register (J3, table "Status register definitions"). */
#define SR_READY        0x80u
#define SR_ERASE_FAILED 0x20u
#define SR_WRITE_FAILED 0x10u
#define SR_LOCKED       0x02u
#define SR_BAD_SEQUENCE (SR_ERASE_FAILED | SR_WRITE_FAILED)

/* What the next write means. */
enum flash_phase { PHASE_COMMAND, PHASE_ARGUMENT, PHASE_DATA, PHASE_CONFIRM };

/* One bank. */
struct flash_bank {
    pthread_mutex_t lock;
    uint8_t *data;    /* the complement of what is stored: an erased flash costs no memory */
    const char *file; /* where changes go; NULL: nowhere */
    bool readonly;

    uint8_t mode;    /* what reads show: FLASH_ARRAY, _ID, _QUERY or _STATUS */
    uint8_t command; /* under way, beyond PHASE_COMMAND */
    enum flash_phase phase;
    uint8_t status;
    /* FLASH_BUFFERED: one piece of the flash as it will be, and which words are still to come.
     */
    uint8_t buffer[FLASH_BUFFER];
    uint64_t buffer_at;
    bool buffer_set;
    unsigned words_left;
};

/* The answer to a query, by chip word from 0x10 on (JESD68.01, section 2). */
static const uint8_t flash_query[] = {
    'Q',  'R',
    'Y',  0x01,
    0x00, 0x31,
    0x00, 0x00,
    0x00, 0x00,
    0x00, /* command set 1 at 0x31 */
    0x45, 0x55,
    0x00, 0x00, /* volts */
    0x07, 0x07,
    0x0a, 0x00,
    0x04, 0x04,
    0x04, 0x00, /* how long things take */
    24,   0x02,
    0x00, 5,
    0x00, /* 2^24 bytes, x8 and x16, 2^5 at once */
    1,    FLASH_BLOCKS - 1,
    0x00, 0x00,
    0x02, /* 128 blocks of 2 * 64 KiB */
    'P',  'R',
    'I',  '1',
    '0',  0x00,
    0x00, 0x00,
    0x00, 0x00,
    0x00, 0x00,
    0x00, 0x00,
    0x01,
};
_Static_assert(FLASH_BLOCKS == 128 && PLAT_FLASH_SIZE == 2u << 24 &&
                   FLASH_BLOCK == 2 * 0x200 * 256,
               "the answer tells the geometry");

/* --- Changing what is stored --- */

/* Stores what `bytes` says at offset, in the file too. Failures go to the status register. */
static void flash_store(struct flash_bank *bank, uint64_t offset, const uint8_t *bytes,
                        size_t len, uint8_t failure)
{
    if (bank->readonly) {
        bank->status |= failure | SR_LOCKED;
        return;
    }
    for (size_t i = 0; i < len; i++)
        bank->data[offset + i] = (uint8_t)~bytes[i];
    if (bank->file && host_file_patch(bank->file, offset, bytes, len) != 0)
        bank->status |= failure;
}

static void flash_erase(struct flash_bank *bank, uint64_t offset)
{
    uint8_t ones[4096];
    uint64_t block = offset & ~(uint64_t)(FLASH_BLOCK - 1);

    memset(ones, 0xff, sizeof(ones));
    for (uint64_t at = 0; at < FLASH_BLOCK; at += sizeof(ones))
        flash_store(bank, block + at, ones, sizeof(ones), SR_ERASE_FAILED);
}

static void bytes_fetch(const struct flash_bank *bank, uint64_t offset, uint8_t *bytes,
                        size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)~bank->data[offset + i];
}

/* Programming turns ones into zeros, never back. */
static void bytes_program(uint8_t *bytes, unsigned size, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] &= (uint8_t)(value >> 8 * i);
}

static void flash_program(struct flash_bank *bank, uint64_t offset, unsigned size,
                          uint64_t value)
{
    uint8_t bytes[8];

    bytes_fetch(bank, offset, bytes, size);
    bytes_program(bytes, size, value);
    flash_store(bank, offset, bytes, size, SR_WRITE_FAILED);
}

/* --- Commands --- */

static void command_end(struct flash_bank *bank, uint8_t error)
{
    bank->status |= error;
    bank->phase = PHASE_COMMAND;
    bank->mode = FLASH_STATUS;
}

/* The first write of a sequence. */
static void command_begin(struct flash_bank *bank, uint8_t command)
{
    switch (command) {
    case FLASH_ERASE:
    case FLASH_PROGRAM:
    case FLASH_PROGRAM_OLD:
    case FLASH_BUFFERED:
    case FLASH_LOCK:
        bank->command = command;
        bank->phase = PHASE_ARGUMENT;
        bank->mode = FLASH_STATUS;
        break;
    case FLASH_CLEAR:
        bank->status = SR_READY;
        bank->mode = FLASH_ARRAY;
        break;
    case FLASH_ID:
    case FLASH_QUERY:
    case FLASH_STATUS: bank->mode = command; break;
    default: bank->mode = FLASH_ARRAY; break;
    }
}

/* How many words follow, less one. */
static void buffer_begin(struct flash_bank *bank, uint64_t value)
{
    uint64_t words = (value & 0xffff) + 1;

    if (words > FLASH_BUFFER / FLASH_WORD) {
        command_end(bank, SR_BAD_SEQUENCE);
        return;
    }
    bank->words_left = (unsigned)words;
    bank->buffer_set = false;
    bank->phase = PHASE_DATA;
}

/* A word for the buffer, whose first one says which piece of the flash it is. */
static void buffer_add(struct flash_bank *bank, uint64_t offset, unsigned size, uint64_t value)
{
    uint64_t at = offset & ~(uint64_t)(FLASH_BUFFER - 1);

    if (!bank->buffer_set) {
        bank->buffer_at = at;
        bank->buffer_set = true;
        bytes_fetch(bank, at, bank->buffer, FLASH_BUFFER);
    }
    if (at != bank->buffer_at) {
        command_end(bank, SR_BAD_SEQUENCE);
        return;
    }
    bytes_program(bank->buffer + (offset - at), size, value);
    if (--bank->words_left == 0)
        bank->phase = PHASE_CONFIRM;
}

static void command_argument(struct flash_bank *bank, uint64_t offset, unsigned size,
                             uint64_t value)
{
    bool confirmed = (value & 0xff) == FLASH_CONFIRM;

    switch (bank->command) {
    case FLASH_BUFFERED: buffer_begin(bank, value); return;
    case FLASH_ERASE:
        if (confirmed)
            flash_erase(bank, offset);
        command_end(bank, confirmed ? 0 : SR_BAD_SEQUENCE);
        return;
    case FLASH_LOCK: /* blocks have no locks: taken, and nothing changes */
        command_end(bank, 0);
        return;
    default:
        flash_program(bank, offset, size, value);
        command_end(bank, 0);
        return;
    }
}

static void buffer_confirm(struct flash_bank *bank, uint64_t value)
{
    bool confirmed = (value & 0xff) == FLASH_CONFIRM;

    if (confirmed)
        flash_store(bank, bank->buffer_at, bank->buffer, FLASH_BUFFER, SR_WRITE_FAILED);
    command_end(bank, confirmed ? 0 : SR_BAD_SEQUENCE);
}

/* --- Accesses --- */

static void flash_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                        uint64_t value)
{
    struct flash_bank *bank = self;
    (void)hart;

    switch (bank->phase) {
    case PHASE_COMMAND: command_begin(bank, (uint8_t)value); break;
    case PHASE_ARGUMENT: command_argument(bank, offset, size, value); break;
    case PHASE_DATA: buffer_add(bank, offset, size, value); break;
    case PHASE_CONFIRM: buffer_confirm(bank, value); break;
    }
}

/* What each chip answers at a word of its own. */
static uint16_t chip_answer(const struct flash_bank *bank, uint64_t word)
{
    static const uint8_t id[] = {0x89, 0x18}; /* manufacturer and device, as QEMU's virt */

    switch (bank->mode) {
    case FLASH_STATUS: return bank->status;
    case FLASH_ID: return word < sizeof(id) ? id[word] : 0;
    default:
        return word >= 0x10 && word - 0x10 < sizeof(flash_query) ? flash_query[word - 0x10] : 0;
    }
}

static uint64_t flash_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct flash_bank *bank = self;
    uint64_t value = 0;
    (void)hart;

    if (bank->mode == FLASH_ARRAY) {
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)(uint8_t)~bank->data[offset + i] << 8 * i;
        return value;
    }
    value = chip_answer(bank, offset / FLASH_WORD);
    return (value | value << 16) >> 8 * (offset % FLASH_WORD);
}

static const struct bus_ops flash_ops = {
    .read = flash_read,
    .write = flash_write,
    .sizes = 1 | 2 | 4,
};

/* --- The module --- */

struct cfi_flash {
    struct flash_bank bank[PLAT_FLASH_BANKS];
};

static int file_load(struct flash_bank *bank, struct error *err)
{
    static const char what[] = "--device cfi-flash";
    struct host_file file;
    int rc = host_file_open(&file, what, bank->file, PLAT_FLASH_SIZE, err);

    if (rc != 0)
        return rc;
    for (size_t i = 0; i < file.size; i++)
        bank->data[i] = (uint8_t)~file.data[i];
    size_t size = file.size;
    host_file_close(&file);
    if (bank->readonly)
        return 0;
    if (size != PLAT_FLASH_SIZE)
        return error_set(
            err, STATUS_DATA,
            "%s: '%s' has %zu bytes; give one of %u (truncate -s 32M), or readonly", what,
            bank->file, size, PLAT_FLASH_SIZE);
    rc = host_file_patch(bank->file, 0, NULL, 0);
    if (rc != 0)
        error_set(err, STATUS_CANT_CREATE, "%s: cannot write '%s': %s; or give readonly", what,
                  bank->file, strerror(-rc));
    return rc;
}

static int bank_create(struct flash_bank *bank, struct vm *vm, unsigned index,
                       struct error *err)
{
    const struct bus_claim claim = {
        .gpa = PLAT_FLASH_BASE + (gpa_t)index * PLAT_FLASH_SIZE,
        .size = PLAT_FLASH_SIZE,
        .ops = &flash_ops,
        .self = bank,
        .lock = &bank->lock,
        .owner = "cfi-flash",
    };

    bank->mode = FLASH_ARRAY;
    bank->status = SR_READY;
    bank->data = host_map(PLAT_FLASH_SIZE);
    if (!bank->data) {
        error_set(err, STATUS_OS, "cfi-flash: out of memory");
        return -ENOMEM;
    }
    if (bank->file) {
        int rc = file_load(bank, err);
        if (rc != 0)
            return rc;
    }
    return bus_claim(vm, &claim, err);
}

static void cfi_flash_destroy(void *self)
{
    struct cfi_flash *flash = self;

    for (unsigned i = 0; i < PLAT_FLASH_BANKS; i++) {
        if (flash->bank[i].data)
            host_unmap(flash->bank[i].data, PLAT_FLASH_SIZE);
        pthread_mutex_destroy(&flash->bank[i].lock);
    }
    free(flash);
}

static int cfi_flash_create(struct module_instance *inst, struct error *err)
{
    static const char *const file[] = {"file", "file1"};
    static const char *const readonly[] = {"readonly", "readonly1"};
    struct cfi_flash *flash = calloc(1, sizeof(*flash));
    int rc = 0;

    if (!flash) {
        error_set(err, STATUS_OS, "cfi-flash: out of memory");
        return -ENOMEM;
    }
    for (unsigned i = 0; i < PLAT_FLASH_BANKS; i++) {
        pthread_mutex_init(&flash->bank[i].lock, NULL);
        flash->bank[i].file = module_option(inst, file[i]);
        flash->bank[i].readonly = module_option(inst, readonly[i]) != NULL;
    }
    for (unsigned i = 0; rc == 0 && i < PLAT_FLASH_BANKS; i++)
        rc = bank_create(&flash->bank[i], inst->vm, i, err);
    if (rc != 0) {
        cfi_flash_destroy(flash);
        return rc;
    }
    inst->self = flash;
    return 0;
}

static void cfi_flash_reset(void *self)
{
    struct cfi_flash *flash = self;

    for (unsigned i = 0; i < PLAT_FLASH_BANKS; i++) {
        struct flash_bank *bank = &flash->bank[i];

        pthread_mutex_lock(&bank->lock);
        bank->mode = FLASH_ARRAY;
        bank->phase = PHASE_COMMAND;
        bank->status = SR_READY;
        pthread_mutex_unlock(&bank->lock);
    }
}

#define FLASH_PAGE 4096u

/* Pages that hold something, each with its place, ended by a place behind the last. */
static void bank_save(const struct flash_bank *bank, struct state_writer *w)
{
    static const uint8_t erased[FLASH_PAGE];

    for (uint64_t at = 0; at < PLAT_FLASH_SIZE; at += FLASH_PAGE) {
        if (memcmp(bank->data + at, erased, FLASH_PAGE) == 0)
            continue;
        state_put_u64(w, at);
        state_put(w, bank->data + at, FLASH_PAGE);
    }
    state_put_u64(w, PLAT_FLASH_SIZE);
    state_put_u64(w, bank->mode);
    state_put_u64(w, bank->command);
    state_put_u64(w, bank->phase);
    state_put_u64(w, bank->status);
    state_put(w, bank->buffer, sizeof(bank->buffer));
    state_put_u64(w, bank->buffer_at);
    state_put_u64(w, bank->buffer_set);
    state_put_u64(w, bank->words_left);
}

static void bank_load(struct flash_bank *bank, struct state_reader *r)
{
    memset(bank->data, 0, PLAT_FLASH_SIZE);
    for (;;) {
        uint64_t at = state_get_max(r, PLAT_FLASH_SIZE);

        if (r->error != 0 || at > PLAT_FLASH_SIZE - FLASH_PAGE)
            break;
        state_get(r, bank->data + at, FLASH_PAGE);
    }
    bank->mode = (uint8_t)state_get_max(r, UINT8_MAX);
    bank->command = (uint8_t)state_get_max(r, UINT8_MAX);
    bank->phase = (enum flash_phase)state_get_max(r, PHASE_CONFIRM);
    bank->status = (uint8_t)state_get_max(r, UINT8_MAX);
    state_get(r, bank->buffer, sizeof(bank->buffer));
    bank->buffer_at = state_get_max(r, PLAT_FLASH_SIZE - FLASH_BUFFER);
    bank->buffer_set = state_get_max(r, 1);
    bank->words_left = (unsigned)state_get_max(r, FLASH_BUFFER / FLASH_WORD);
}

static void cfi_flash_save(void *self, struct state_writer *w)
{
    struct cfi_flash *flash = self;

    for (unsigned i = 0; i < PLAT_FLASH_BANKS; i++) {
        pthread_mutex_lock(&flash->bank[i].lock);
        bank_save(&flash->bank[i], w);
        pthread_mutex_unlock(&flash->bank[i].lock);
    }
}

static void cfi_flash_load(void *self, struct state_reader *r)
{
    struct cfi_flash *flash = self;

    for (unsigned i = 0; i < PLAT_FLASH_BANKS; i++) {
        pthread_mutex_lock(&flash->bank[i].lock);
        bank_load(&flash->bank[i], r);
        pthread_mutex_unlock(&flash->bank[i].lock);
    }
}

/* One node for both banks, as QEMU has it: U-Boot counts on two. */
static int cfi_flash_fdt(void *self, struct fdt_builder *fdt)
{
    static const uint32_t reg[] = {
        0, PLAT_FLASH_BASE, 0, PLAT_FLASH_SIZE, 0, PLAT_FLASH_BASE + PLAT_FLASH_SIZE,
        0, PLAT_FLASH_SIZE};
    (void)self;

    fdtb_begin(fdt, "flash@%x", PLAT_FLASH_BASE);
    fdtb_string(fdt, "compatible", "cfi-flash");
    fdtb_cells(fdt, "reg", reg, sizeof(reg) / sizeof(reg[0]));
    fdtb_u32(fdt, "bank-width", FLASH_WORD);
    fdtb_end(fdt);
    return 0;
}

static const struct module_key cfi_flash_keys[] = {
    {"file",      "what is in bank 0: 32 MiB, changed in place (default: empty, and forgotten)"},
    {"readonly",  "refuse to change bank 0; its file may be shorter"                           },
    {"file1",     "the same for bank 1"                                                        },
    {"readonly1", "the same for bank 1"                                                        },
    {NULL,        NULL                                                                         },
};

const struct module module_cfi_flash = {
    .name = "cfi-flash",
    .summary = "two banks of 32 MiB of NOR flash (CFI, Intel command set)",
    .archs = ARCH_RISCV64,
    .keys = cfi_flash_keys,
    .create = cfi_flash_create,
    .reset = cfi_flash_reset,
    .destroy = cfi_flash_destroy,
    .save = cfi_flash_save,
    .load = cfi_flash_load,
    .fdt = cfi_flash_fdt,
};
