/* fuzz_snapshot.c: libFuzzer target: a saved state with any bytes changed, or any bytes at all,
 * loaded and run. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/unit/mock_host.h"
#include "vmm/engine/interp/engine.h"
#ifdef __x86_64__
#include "vmm/engine/kvm/x86_64_state.h"
#endif
#include "vmm/snapshot.h"
#include "vmm/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define RAM_SIZE  (3u << 20) /* as little as a kernel can have */
#define RAM_CODE  (2u << 20) /* where a raw kernel is loaded */
#define RAM_KEPT  (16u << 10)
#define RUN_STEPS 500u

/* The guest: starts hart 1, which sleeps, and sends it an interrupt now and then. */
static const uint32_t code[] = {
    0x00100513, /*    li a0, 1 */
    0x00000597, /*    auipc a1, 0 */
    0x03c58593, /*    addi a1, a1, 0x3c: hart 1's */
    0x004858b7, /*    lui a7, 0x485 */
    0x34d8889b, /*    addiw a7, a7, 0x34d: HSM */
    0x00000813, /*    li a6, 0 */
    0x00000073, /*    ecall */
    0xc01022f3, /* 1: rdtime t0 */
    0x0ff2f313, /*    andi t1, t0, 0xff */
    0x00b3a0af, /*    amoadd.w ra, a1, (t2): memory that is not there, a trap */
    0x006382b3, /*    add t0, t2, t1 */
    0xff1ff06f, /*    j 1b */
    0x00000013, 0x00000013, 0x00000013, 0x00000013, 0x10500073, /*    wfi */
    0xffdff06f,                                                 /*    j -4 */
};

/* A state that loads, which inputs change. */
static uint8_t *base;
static size_t base_size;

/*
 * One machine for all inputs: to make it takes fifty times as long as to load and run one. What
 * a load does not write anew is put back by hand (rig_reset).
 */
struct rig {
    struct vm vm;
    struct vm_config config;
    struct mock_host mock;
    bool ran; /* since it was made or put back */
    uint64_t inputs;
};

static char image[32];

static ssize_t sink_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    (void)fd;
    (void)buf;
    return (ssize_t)len;
}

/* Leaves the guest the memory around its code: what is not there need not be looked through. */
static int rig_shrink(struct rig *rig)
{
    struct mem *mem = &rig->vm.mem;
    int rc = mem_punch(mem, PLAT_DRAM_BASE, RAM_CODE);

    return rc != 0 ? rc
                   : mem_punch(mem, PLAT_DRAM_BASE + RAM_CODE + RAM_KEPT,
                               RAM_SIZE - RAM_CODE - RAM_KEPT);
}

static void rig_create(struct rig *rig)
{
    struct error err = {0};

    mock_host_init(&rig->mock);
    rig->mock.host.write = sink_write;
    rig->config = (struct vm_config){
        .host = &rig->mock.host,
        .engine = &engine_interp,
        .start = START_KERNEL,
        .image = image,
        .raw = true,
        .mem_size = RAM_SIZE,
        .nharts = 2,
        .max_steps = RUN_STEPS,
        .deterministic = true,
        .console = CONSOLE_VIRTIO,
        .in_fd = -1,
        .out_fd = 1000,
    };
    if (vm_create(&rig->vm, &rig->config, &err) != 0 || rig_shrink(rig) != 0) {
        fprintf(stderr, "fuzz_snapshot: %s\n", err.text);
        abort();
    }
}

/*
 * A load is for a VM that has not run: harts are made anew, with all that the engine keeps for
 * them, and it has not stopped.
 */
static void rig_reset(struct rig *rig)
{
    struct vm *vm = &rig->vm;

    for (unsigned i = 0; rig->ran && i < vm->nharts; i++) {
        hart_destroy(&vm->hart[i]);
        if (hart_init(&vm->hart[i], vm, i) != 0)
            abort();
    }
    vm->stop = (struct vm_stop){.hart = -1};
    vm->stopping = false;
    rig->ran = false;
}

/* What was loaded before leaves no trace: the first state, loaded again, is the first state. */
static void rig_check(struct rig *rig)
{
    struct error err = {0};
    uint8_t *data;
    size_t size;

    if (snapshot_load_bytes(&rig->vm, base, base_size, &err) != 0 ||
        snapshot_save_bytes(&rig->vm, &data, &size, &err) != 0 || size != base_size ||
        memcmp(data, base, size) != 0)
        abort();
    free(data);
}

static struct rig rig;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct error err = {0};
    int fd = memfd_create("image", MFD_CLOEXEC);

    (void)argc;
    (void)argv;
    if (fd < 0 || write(fd, code, sizeof(code)) != sizeof(code))
        abort();
    snprintf(image, sizeof(image), "/proc/self/fd/%d", fd);
    rig_create(&rig);
    if (vm_run(&rig.vm, &err) != 0 ||
        snapshot_save_bytes(&rig.vm, &base, &base_size, &err) != 0)
        abort();
    rig.ran = true;
    return 0;
}

/* What the first byte of an input chooses; all others are a state with changes. */
#define INPUT_STATE          0 /* the bytes themselves */
#define INPUT_KERNEL         1 /* the bytes as the kernel's part of an x86-64 machine */
#define INPUT_KERNEL_CHANGED 2

/*
 * Changes are each a place (two bytes, most of them before the memory) and what is written
 * there: a byte or a doubleword.
 */
static uint8_t *make_state(const uint8_t *data, size_t size, bool raw, const uint8_t *from,
                           size_t from_size, size_t *len)
{
    uint8_t *state;

    *len = raw ? size - 1 : from_size;
    state = malloc(*len + 1);
    if (!state)
        abort();
    memcpy(state, raw ? data + 1 : from, *len);
    for (size_t at = 1; !raw && at + 11 <= size; at += 11) {
        size_t place = data[at] << 8 | data[at + 1];
        size_t n = data[at + 2] & 1 ? 8 : 1;

        if (place + n <= *len)
            memcpy(state + place, data + at + 3, n);
    }
    return state;
}

static uint64_t steps_of(const struct vm *vm)
{
    uint64_t steps = 0;

    for (unsigned i = 0; i < vm->nharts; i++)
        steps += vm->hart[i].steps;
    return steps;
}

/* What was loaded is a machine: it runs to its budget or to an end of its own, and is saved. */
static void rig_run(void)
{
    struct error err = {0};
    uint8_t *data;
    size_t size;

    rig.ran = true;
    rig.config.max_steps = steps_of(&rig.vm) + RUN_STEPS;
    if (vm_run(&rig.vm, &err) != 0 || rig.vm.stop.cause == CAUSE_NONE ||
        rig.vm.stop.cause == CAUSE_ENGINE || steps_of(&rig.vm) > rig.config.max_steps ||
        snapshot_save_bytes(&rig.vm, &data, &size, &err) != 0)
        abort();
    free(data);
}

#ifdef __x86_64__
struct bytes_writer {
    struct state_writer w;
    uint8_t *data;
    size_t len;
};

static void bytes_write(struct state_writer *w, const void *data, size_t len)
{
    struct bytes_writer *b = (struct bytes_writer *)w;

    b->data = realloc(b->data, b->len + len);
    if (!b->data)
        abort();
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* A machine that a kernel might hold, whose numbers do not matter here. */
static struct kvm_saved *kernel_saved;
static struct bytes_writer kernel_base = {.w = {.write = bytes_write}};

static void kernel_make(void)
{
    struct kvm_saved *s = kvm_saved_new(2);

    if (!s)
        abort();
    s->ncpuid = 6;
    for (uint32_t i = 0; i < s->ncpuid; i++)
        s->cpuid[i] =
            (struct kvm_cpuid_entry2){.function = i < 4 ? (i < 2 ? i : 5 + i) : 0x80000000 + i,
                                      .eax = 0x30 * i,
                                      .ecx = i};
    for (unsigned h = 0; h < s->nharts; h++) {
        s->hart[h].xsave_size = KVM_SAVED_XSAVE_MIN;
        s->hart[h].nmsrs = 3 + h;
    }
    kernel_saved = s;
    kvm_saved_put(s, &kernel_base.w);
}

/* What is taken can be put again, byte by byte, and the processors compared. */
static void kernel_check(const struct kvm_saved *s, const uint8_t *data, size_t size)
{
    struct bytes_writer again = {.w = {.write = bytes_write}};
    struct kvm_cpuid2 *here = calloc(1, sizeof(*here) + sizeof(s->cpuid));
    struct error err = {0};

    if (!here)
        abort();
    kvm_saved_put(s, &again.w);
    if (again.len != size || memcmp(again.data, data, size) != 0)
        abort();
    here->nent = kernel_saved->ncpuid;
    memcpy(here->entries, kernel_saved->cpuid, sizeof(kernel_saved->cpuid));
    if ((kvm_saved_cpuid_check(s, here, &err) != 0) != (err.text[0] != '\0'))
        abort();
    free(again.data);
    free(here);
}

static void kernel_input(const uint8_t *data, size_t size)
{
    struct kvm_saved *s = kvm_saved_new(2);
    struct error err = {0};
    size_t len;
    uint8_t *state;

    if (!kernel_saved)
        kernel_make();
    state = make_state(data, size, data[0] == INPUT_KERNEL, kernel_base.data, kernel_base.len,
                       &len);
    struct state_reader r = {.data = state, .len = len};
    if (!s)
        abort();
    if (kvm_saved_get(s, &r, &err) == 0)
        kernel_check(s, state, len - r.len);
    else if (err.text[0] == '\0')
        abort();
    free(state);
    free(s);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    uint8_t *state;
    size_t len;

#ifdef __x86_64__
    if (size > 0 && (data[0] == INPUT_KERNEL || data[0] == INPUT_KERNEL_CHANGED)) {
        kernel_input(data, size);
        return 0;
    }
#endif
    rig_reset(&rig);
    if (rig.inputs++ % 1024 == 0)
        rig_check(&rig);
    state = make_state(data, size, size > 0 && data[0] == INPUT_STATE, base, base_size, &len);
    if (snapshot_load_bytes(&rig.vm, state, len, &err) == 0)
        rig_run();
    else if (err.text[0] == '\0')
        abort();
    free(state);
    return 0;
}
