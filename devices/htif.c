/* htif.c: the host-target interface of Spike, which test programs end and print through. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/bus.h"
#include "vmm/console.h"
#include "vmm/error.h"
#include "vmm/le.h"
#include "vmm/vm.h"

/*
 * There is no written specification; this is what riscv-software-src/riscv-tests uses of
 * Spike's front-end server. The guest writes a command to the 64-bit word `tohost`: bits 63-56
 * the device, 55-48 the command, the rest a payload. An answer appears in `fromhost`.
 */
#define HTIF_DEVICE_SHIFT  56
#define HTIF_COMMAND_SHIFT 48
#define HTIF_PAYLOAD       ((UINT64_C(1) << HTIF_COMMAND_SHIFT) - 1)
#define HTIF_SYSCALL       0 /* device 0: odd payload: exit; even: address of a request */
#define HTIF_CONSOLE       1 /* device 1 */
#define HTIF_PUTCHAR       1 /* its command */

/* Where the tests' own assembly places fromhost: the next 64-byte boundary after tohost. */
#define HTIF_FROMHOST_OFFSET 0x40u

/* A request: number, arguments a0-a6. The result replaces the number. */
#define HTIF_REQUEST_WORDS 8
#define HTIF_SYS_WRITE     64
#define HTIF_SYS_EXIT      93
#define HTIF_ENOSYS        (-38) /* the guest's numbers, those of Linux */
#define HTIF_EBADF         (-9)
#define HTIF_EFAULT        (-14)

#define HTIF_WRITE_MAX 65536u /* bytes of one write; the guest sees a short count */

struct htif {
    struct vm *vm;
    pthread_mutex_t lock; /* order: before the console's */
    gpa_t base;           /* of the page taken out of RAM */
    unsigned tohost;      /* offset in it */
    gpa_t fromhost;
    FILE *signature; /* or NULL: nobody asked for it */
    uint8_t page[MEM_PAGE_SIZE];
};

static void put_le64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

static void set_fromhost(struct htif *htif, uint64_t value)
{
    uint8_t word[8];

    put_le64(word, value);
    if (htif->fromhost - htif->base < MEM_PAGE_SIZE)
        memcpy(&htif->page[htif->fromhost - htif->base], word, sizeof(word));
    else
        (void)mem_write(&htif->vm->mem, htif->fromhost, word, sizeof(word));
}

static int64_t htif_write_call(struct htif *htif, const uint64_t *request)
{
    uint64_t fd = request[1], len = request[3];
    gpa_t from = request[2];
    uint8_t chunk[512];

    if (fd != 1 && fd != 2)
        return HTIF_EBADF;
    if (len > HTIF_WRITE_MAX)
        len = HTIF_WRITE_MAX;
    for (uint64_t done = 0; done < len;) {
        size_t n = len - done < sizeof(chunk) ? (size_t)(len - done) : sizeof(chunk);
        if (mem_read(&htif->vm->mem, from + done, chunk, n) < 0)
            return done > 0 ? (int64_t)done : HTIF_EFAULT;
        console_write(&htif->vm->console, chunk, n);
        done += n;
    }
    return (int64_t)len;
}

/* A word of the signature; tohost's page is no RAM any more. */
static uint32_t signature_word(const struct htif *htif, gpa_t gpa)
{
    uint32_t word = 0;

    if (gpa - htif->base < MEM_PAGE_SIZE)
        memcpy(&word, &htif->page[gpa - htif->base], sizeof(word));
    else
        (void)mem_read(&htif->vm->mem, gpa, &word, sizeof(word));
    return le32toh(word);
}

/*
 * Writes the memory between begin_signature and end_signature as the architecture tests want
 * it: a 32-bit word a line, eight lower-case digits. False when the file did not take it.
 */
static bool signature_write(struct htif *htif)
{
    const struct image *image = &htif->vm->image;
    FILE *file = htif->signature;

    for (gpa_t at = image->begin_signature; at < image->end_signature; at += 4)
        fprintf(file, "%08x\n", signature_word(htif, at));
    bool good = !ferror(file);
    htif->signature = NULL;
    return fclose(file) == 0 && good;
}

static void htif_exit(struct htif *htif, const struct hart *hart, uint64_t code)
{
    int status = (int)(code & 0xff);

    if (code != 0 && status == 0)
        status = 1;
    if (htif->signature && !signature_write(htif)) {
        vm_stop(htif->vm, CAUSE_ENGINE, STATUS_CANT_CREATE, hart,
                "--device htif: signature: the file could not be written");
        return;
    }
    vm_stop(htif->vm, CAUSE_EXIT, status, hart, "tohost: exit code %llu",
            (unsigned long long)code);
}

static void htif_request(struct htif *htif, const struct hart *hart, gpa_t gpa)
{
    uint8_t bytes[HTIF_REQUEST_WORDS * 8];
    uint64_t request[HTIF_REQUEST_WORDS];
    int64_t result = HTIF_ENOSYS;

    if (mem_read(&htif->vm->mem, gpa, bytes, sizeof(bytes)) < 0)
        return;
    for (unsigned i = 0; i < HTIF_REQUEST_WORDS; i++)
        request[i] = le_get64(&bytes[i * 8]);
    if (request[0] == HTIF_SYS_WRITE)
        result = htif_write_call(htif, request);
    else if (request[0] == HTIF_SYS_EXIT)
        htif_exit(htif, hart, request[1]);
    put_le64(bytes, (uint64_t)result);
    (void)mem_write(&htif->vm->mem, gpa, bytes, 8);
    set_fromhost(htif, 1);
}

/* Acts on the command in tohost, and takes it. */
static void htif_command(struct htif *htif, const struct hart *hart)
{
    uint64_t value = le_get64(&htif->page[htif->tohost]);
    unsigned device = (unsigned)(value >> HTIF_DEVICE_SHIFT);
    unsigned command = (unsigned)(value >> HTIF_COMMAND_SHIFT) & 0xff;
    uint64_t payload = value & HTIF_PAYLOAD;

    if (value == 0)
        return;
    put_le64(&htif->page[htif->tohost], 0);
    if (device == HTIF_SYSCALL && (payload & 1)) {
        htif_exit(htif, hart, payload >> 1);
    } else if (device == HTIF_SYSCALL) {
        htif_request(htif, hart, payload);
    } else if (device == HTIF_CONSOLE && command == HTIF_PUTCHAR) {
        console_putc(&htif->vm->console, (uint8_t)payload);
        set_fromhost(htif, 0);
    }
}

/*
 * Did a write complete a command? One of 64 bits did, and one to the upper half. The lower half
 * alone is an exit, if it can be one: some tests write no more than that.
 */
static bool htif_complete(const struct htif *htif, uint64_t offset, unsigned size)
{
    if (size == 8)
        return offset == htif->tohost;
    if (size != 4)
        return false;
    if (offset == htif->tohost + 4)
        return true;
    return offset == htif->tohost && (htif->page[htif->tohost] & 1);
}

static uint64_t htif_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct htif *htif = self;
    uint64_t value = 0;
    (void)hart;

    memcpy(&value, &htif->page[offset], size);
    return le64toh(value);
}

static void htif_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                       uint64_t value)
{
    struct htif *htif = self;

    value = htole64(value);
    memcpy(&htif->page[offset], &value, size);
    if (htif_complete(htif, offset, size))
        htif_command(htif, hart);
}

static const struct bus_ops htif_ops = {
    .read = htif_read,
    .write = htif_write,
    .sizes = BUS_ANY_SIZE,
};

static void htif_destroy(void *self)
{
    struct htif *htif = self;

    if (!htif)
        return;
    if (htif->signature)
        fclose(htif->signature);
    pthread_mutex_destroy(&htif->lock);
    free(htif);
}

/* Without a tohost there is nothing. The page stands where the image or the options put it. */
static void htif_save(void *self, struct state_writer *w)
{
    struct htif *htif = self;

    state_put_u64(w, htif != NULL);
    if (!htif)
        return;
    pthread_mutex_lock(&htif->lock);
    state_put_u64(w, htif->base + htif->tohost);
    state_put_u64(w, htif->fromhost);
    state_put(w, htif->page, sizeof(htif->page));
    pthread_mutex_unlock(&htif->lock);
}

static void htif_load(void *self, struct state_reader *r)
{
    struct htif *htif = self;

    if (state_get_max(r, 1) != (htif != NULL))
        r->error = -EINVAL;
    if (!htif)
        return;
    pthread_mutex_lock(&htif->lock);
    if (state_get_u64(r) != htif->base + htif->tohost || state_get_u64(r) != htif->fromhost)
        r->error = -EINVAL;
    state_get(r, htif->page, sizeof(htif->page));
    pthread_mutex_unlock(&htif->lock);
}

/* An address option, in hexadecimal; *gpa is left alone when it was not given. */
static int option_address(const struct module_instance *inst, const char *key, gpa_t *gpa,
                          struct error *err)
{
    const char *text = module_option(inst, key);
    char *end;

    if (!text)
        return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 16);
    if (errno != 0 || end == text || *end != '\0' || strchr(text, '-') || value % 8 != 0) {
        error_set(err, STATUS_USAGE,
                  "--device htif: %s='%s' is not a hexadecimal address, a multiple of 8", key,
                  text);
        return -EINVAL;
    }
    *gpa = value;
    return 0;
}

/* Takes the page of tohost out of RAM, with what was loaded into it. */
static int htif_take_page(struct htif *htif, struct error *err)
{
    struct vm *vm = htif->vm;
    const struct bus_claim claim = {
        .gpa = htif->base,
        .size = MEM_PAGE_SIZE,
        .ops = &htif_ops,
        .self = htif,
        .lock = &htif->lock,
        .owner = "htif",
    };

    int rc = mem_read(&vm->mem, htif->base, htif->page, MEM_PAGE_SIZE);
    if (rc == 0)
        rc = mem_punch(&vm->mem, htif->base, MEM_PAGE_SIZE);
    if (rc < 0) {
        error_set(err, STATUS_CONFIG, "htif: tohost is at 0x%llx, which is not RAM",
                  (unsigned long long)htif->base + htif->tohost);
        return rc;
    }
    return bus_claim(vm, &claim, err);
}

/* Opens the file of the option `signature`, now: no run is lost for a wrong name. */
static int signature_open(struct htif *htif, const char *path, struct error *err)
{
    const struct image *image = &htif->vm->image;
    gpa_t first = image->begin_signature, last = image->end_signature;

    if (first == 0 || last < first || first % 4 != 0 ||
        !mem_valid(&htif->vm->mem, first, last - first))
        return error_set(err, STATUS_DATA,
                         "--device htif: signature: the image has no memory between symbols "
                         "begin_signature and end_signature");
    htif->signature = fopen(path, "we");
    if (!htif->signature)
        return error_set(err, STATUS_CANT_CREATE, "--device htif: signature='%s': %s", path,
                         strerror(errno));
    return 0;
}

static int htif_create(struct module_instance *inst, struct error *err)
{
    gpa_t tohost = inst->vm->image.tohost;
    gpa_t fromhost = inst->vm->image.fromhost;
    const char *signature = module_option(inst, "signature");

    int rc = option_address(inst, "tohost", &tohost, err);
    if (rc == 0)
        rc = option_address(inst, "fromhost", &fromhost, err);
    if (rc < 0)
        return rc;
    if (tohost == 0 || tohost % 8 != 0) {
        if (signature)
            return error_set(
                err, STATUS_DATA,
                "--device htif: signature: the image has no symbol tohost, at which "
                "it is written");
        return 0; /* an image that never heard of HTIF: nothing to watch */
    }
    if (fromhost == 0 || fromhost % 8 != 0)
        fromhost = tohost + HTIF_FROMHOST_OFFSET;

    struct htif *htif = calloc(1, sizeof(*htif));
    if (!htif) {
        error_set(err, STATUS_OS, "htif: out of memory");
        return -ENOMEM;
    }
    htif->vm = inst->vm;
    htif->base = tohost & ~(gpa_t)(MEM_PAGE_SIZE - 1);
    htif->tohost = (unsigned)(tohost - htif->base);
    htif->fromhost = fromhost;
    pthread_mutex_init(&htif->lock, NULL);
    rc = signature ? signature_open(htif, signature, err) : 0;
    if (rc == 0)
        rc = htif_take_page(htif, err);
    if (rc < 0) {
        htif_destroy(htif);
        return rc;
    }
    inst->self = htif;
    return 0;
}

static const struct module_key htif_keys[] = {
    {"tohost",    "address of tohost, hexadecimal (default: the image's symbol)"          },
    {"fromhost",  "address of fromhost, hexadecimal (default: the symbol, or tohost + 40)"},
    {"signature", "file for the memory from begin_signature to end_signature, at the end" },
    {NULL,        NULL                                                                    },
};

const struct module module_htif = {
    .name = "htif",
    .summary = "exit and console of test programs with a tohost symbol (Spike's HTIF)",
    .starts = MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .keys = htif_keys,
    .create = htif_create,
    .destroy = htif_destroy,
    .save = htif_save,
    .load = htif_load,
};
