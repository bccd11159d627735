/* main.c: saved machines of the x86-64 KVM engine, on real KVM: all of it, and nonsense in it.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: kvm-state RESUME.elf
 *
 * The guest is run until it says that it is ready, and saved. What is loaded from that and
 * saved again must be the same in everything that does not go on by itself. Then values that no
 * machine has are written into each part: the kernel may take them or not, and when it does
 * not, the load is refused and says what it was. Prints TAP. Runs in tests/guest/kvm-x86.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/engine/kvm/engine.h"
#include "vmm/engine/kvm/x86_64_state.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/vm.h"

#define MEMORY  (64u << 20)
#define HARTS   3u
#define HEAD    80u /* bytes of a state before the harts: ten numbers */
#define FLIPS   100u
#define MSR_TSC 0x10u

static unsigned made, failed;

static bool tap(bool passed, const char *what)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++made, what);
    failed += !passed;
    return passed;
}

/* --- machines --- */

struct blob {
    uint8_t *data;
    size_t size;
};

static void config_fill(struct vm_config *c, const char *image, int out_fd)
{
    *c = (struct vm_config){
        .host = host_real(),
        .engine = &engine_kvm,
        .arch = &arch_x86_64,
        .start = START_KERNEL,
        .image = image,
        .mem_size = MEMORY,
        .nharts = HARTS,
        .max_steps = UINT64_MAX,
        .console = CONSOLE_SBI,
        .in_fd = -1,
        .out_fd = out_fd,
    };
}

struct watcher {
    struct vm *vm;
    int fd;
};

/* Ends the machine when its guest is ready. */
static void *watch(void *arg)
{
    struct watcher *w = arg;
    char text[4096] = "";
    size_t len = 0;
    ssize_t n;

    while (!strstr(text, "# ready") && len < sizeof(text) - 1 &&
           (n = read(w->fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    vm_stop(w->vm, CAUSE_KILLED, 0, NULL, NULL);
    return NULL;
}

static bool base_make(const char *image, struct blob *base)
{
    struct vm_config config;
    struct error err = {0};
    struct watcher w;
    pthread_t thread;
    struct vm vm;
    int fd[2];

    if (pipe2(fd, O_CLOEXEC) != 0)
        return false;
    config_fill(&config, image, fd[1]);
    if (vm_create(&vm, &config, &err) != 0) {
        printf("# %s\n", err.text);
        return false;
    }
    w = (struct watcher){&vm, fd[0]};
    if (pthread_create(&thread, NULL, watch, &w) != 0)
        return false;
    bool ok = vm_run(&vm, &err) == 0;
    pthread_join(thread, NULL);
    ok = snapshot_save_bytes(&vm, &base->data, &base->size, &err) == 0 && ok;
    printf("# %zu bytes %s\n", base->size, err.text);
    vm_destroy(&vm);
    close(fd[0]);
    close(fd[1]);
    return ok;
}

/* A machine from these bytes, which is saved again where `again` is not NULL. */
static int load(const char *image, const struct blob *blob, struct blob *again,
                struct error *err)
{
    struct vm_config config;
    struct vm vm;
    int rc, fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    config_fill(&config, image, fd);
    rc = vm_create(&vm, &config, err);
    if (rc == 0) {
        rc = snapshot_load_bytes(&vm, blob->data, blob->size, err);
        if (rc == 0 && again)
            rc = snapshot_save_bytes(&vm, &again->data, &again->size, err);
        vm_destroy(&vm);
    }
    close(fd);
    return rc;
}

/* --- what the kernel holds, out of a state and back into it --- */

static struct kvm_saved *saved_of(const struct blob *blob, size_t *size)
{
    struct state_reader r = {.data = blob->data + HEAD, .len = blob->size - HEAD};
    struct kvm_saved *s = kvm_saved_new(HARTS);
    struct error err = {0};

    if (!s || kvm_saved_get(s, &r, &err) != 0) {
        printf("# %s\n", err.text);
        abort();
    }
    *size = blob->size - HEAD - r.len;
    return s;
}

struct blob_writer {
    struct state_writer w;
    struct blob *blob;
};

static void blob_write(struct state_writer *w, const void *data, size_t len)
{
    struct blob *blob = ((struct blob_writer *)w)->blob;

    memcpy(blob->data + blob->size, data, len); /* there is room: blob_with */
    blob->size += len;
}

static struct blob blob_with(const struct blob *base, size_t old, const struct kvm_saved *s)
{
    struct blob blob = {malloc(base->size + sizeof(*s) + HARTS * sizeof(s->hart[0]) + 4096), 0};
    struct blob_writer w = {{.write = blob_write}, &blob};

    if (!blob.data)
        abort();
    blob_write(&w.w, base->data, HEAD);
    kvm_saved_put(s, &w.w);
    blob_write(&w.w, base->data + HEAD + old, base->size - HEAD - old);
    return blob;
}

/* --- the same again --- */

static __u64 *msr_of(struct kvm_saved_hart *h, uint32_t index)
{
    for (uint32_t i = 0; i < h->nmsrs; i++)
        if (h->msr[i].index == index)
            return &h->msr[i].data;
    abort();
}

/* Local APIC: what follows from other registers, maybe later, and what the timer counts down.
 */
#define APIC_PRIORITY  0xa0
#define APIC_TIMER_NOW 0x390

/* The harts have one time: that of the first, whose TSC was `begun`. Asking each takes a while.
 */
static void harts_compare(struct kvm_saved_hart *before, struct kvm_saved_hart *after,
                          uint64_t begun)
{
    __u64 *tsc = msr_of(after, MSR_TSC);

    tap(*tsc >= begun, "the TSC went on");
    *tsc = *msr_of(before, MSR_TSC);
    memcpy(after->lapic.regs + APIC_PRIORITY, before->lapic.regs + APIC_PRIORITY, 4);
    memcpy(after->lapic.regs + APIC_TIMER_NOW, before->lapic.regs + APIC_TIMER_NOW, 4);
    for (unsigned i = 0; i < sizeof(before->lapic); i += 16)
        if (memcmp(before->lapic.regs + i, after->lapic.regs + i, 4) != 0)
            printf("# local APIC, 0x%x: 0x%x became 0x%x\n", i,
                   le_get32((const uint8_t *)before->lapic.regs + i),
                   le_get32((const uint8_t *)after->lapic.regs + i));
#define SAME(field)                                                                            \
    tap(memcmp(&before->field, &after->field, sizeof(before->field)) == 0, #field)
    SAME(mp);
    SAME(regs);
    SAME(sregs);
    SAME(xcrs);
    SAME(debug);
    SAME(lapic);
    SAME(events);
    SAME(xsave_size);
    SAME(xsave);
    SAME(nmsrs);
    SAME(msr);
#undef SAME
}

static void again_test(const char *image, const struct blob *base)
{
    struct blob again = {NULL, 0};
    struct error err = {0};
    size_t size;

    if (!tap(load(image, base, &again, &err) == 0, "it is loaded, and saved again")) {
        printf("# %s\n", err.text);
        return;
    }
    struct kvm_saved *before = saved_of(base, &size), *after = saved_of(&again, &size);
    uint64_t begun = *msr_of(&before->hart[0], MSR_TSC);

    tap(after->clock_ns >= before->clock_ns, "the clock went on");
    tap(before->tsc_khz == after->tsc_khz && before->ncpuid == after->ncpuid &&
            memcmp(before->cpuid, after->cpuid, sizeof(before->cpuid)) == 0,
        "CPUID and the rate of the TSC");
    tap(memcmp(before->chip, after->chip, sizeof(before->chip)) == 0, "interrupt controllers");
    tap(memcmp(&before->pit, &after->pit, sizeof(before->pit)) == 0, "i8254");
    for (unsigned i = 0; i < HARTS; i++)
        harts_compare(&before->hart[i], &after->hart[i], begun);
    tap(again.size - size == base->size - size &&
            memcmp(again.data + HEAD + size, base->data + HEAD + size,
                   base->size - HEAD - size) == 0,
        "devices and memory");
    free(before);
    free(after);
    free(again.data);
}

/* --- nonsense --- */

static void bad_cr0(struct kvm_saved *s)
{
    s->hart[0].sregs.cr0 = UINT64_MAX;
}
static void bad_cr4(struct kvm_saved *s)
{
    s->hart[0].sregs.cr4 = UINT64_MAX;
}
static void bad_apic_base(struct kvm_saved *s)
{
    s->hart[0].sregs.apic_base = UINT64_MAX;
}
static void bad_xcrs(struct kvm_saved *s)
{
    s->hart[0].xcrs.xcrs[0].value = 0;
}
static void bad_debug(struct kvm_saved *s)
{
    s->hart[0].debug.dr7 = UINT64_MAX;
}
static void bad_mp(struct kvm_saved *s)
{
    s->hart[2].mp.mp_state = 77;
}
static void bad_msr(struct kvm_saved *s)
{
    *msr_of(&s->hart[0], 0xc0000082) = UINT64_MAX / 3;
}
static void bad_features(struct kvm_saved *s)
{
    s->cpuid[0].ebx ^= 1;
}

static void bad_events(struct kvm_saved *s)
{
    s->hart[0].events.exception.injected = 1;
    s->hart[0].events.exception.nr = 200;
}

static void bad_xsave(struct kvm_saved *s)
{
    memset(s->hart[0].xsave + 512, 0xff, 8); /* XSTATE_BV: parts that nobody has */
}

static void bad_index(struct kvm_saved *s)
{
    s->hart[0].msr[0] = (struct kvm_msr_entry){.index = 0x12345, .data = 1};
}

static const struct nonsense {
    void (*make)(struct kvm_saved *s);
    const char *word; /* of the refusal */
} nonsense[] = {
    {bad_cr0,       "hart 0's system registers"                  },
    {bad_cr4,       "hart 0's system registers"                  },
    {bad_apic_base, "hart 0's system registers"                  },
    {bad_xcrs,      "hart 0's extended control registers"        },
    {bad_xsave,     "hart 0's floating-point registers"          },
    {bad_debug,     "hart 0's debug registers"                   },
    {bad_mp,        "hart 2's run state"                         },
    {bad_msr,       "hart 0's model-specific register 0xc0000082"},
    {bad_index,     "hart 0's model-specific register 0x12345"   },
    {bad_events,    "hart 0's events"                            },
    {bad_features,  "CPUID leaf 0"                               },
};

static void nonsense_test(const char *image, const struct blob *base)
{
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        struct error err = {0};
        size_t size;
        struct kvm_saved *s = saved_of(base, &size);
        struct blob blob;

        nonsense[i].make(s);
        blob = blob_with(base, size, s);
        bool refused = load(image, &blob, NULL, &err) != 0;

        printf("# %u %s\n", (unsigned)err.status, err.text);
        tap(refused && strstr(err.text, nonsense[i].word), nonsense[i].word);
        free(blob.data);
        free(s);
    }
}

/* What the kernel takes and no guest can go on with is the guest's fault. */
static void nowhere_test(const char *image, const struct blob *base)
{
    struct vm_config config;
    struct error err = {0};
    struct vm vm;
    size_t size;
    struct kvm_saved *s = saved_of(base, &size);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    s->hart[0].regs.rip = 0xc8000000;
    s->hart[0].regs.rflags = 2; /* no interrupt takes it elsewhere */
    struct blob blob = blob_with(base, size, s);
    config_fill(&config, image, fd);
    if (tap(vm_create(&vm, &config, &err) == 0 &&
                snapshot_load_bytes(&vm, blob.data, blob.size, &err) == 0 &&
                vm_run(&vm, &err) == 0,
            "a pc where no memory is loads"))
        printf("# %s\n", vm.stop.text);
    tap(vm.stop.status == STATUS_GUEST_FAULT && vm.stop.pc == 0xc8000000,
        "and is a guest's fault at that pc");
    vm_destroy(&vm);
    close(fd);
    free(blob.data);
    free(s);
}

/* Any bytes changed: it loads, or says why not. */
static void flips_test(const char *image, const struct blob *base)
{
    size_t size, refused = 0, silent = 0;
    unsigned seed = 1;
    struct blob blob = {malloc(base->size), base->size};

    free(saved_of(base, &size));
    if (!blob.data)
        abort();
    for (unsigned i = 0; i < FLIPS; i++) {
        struct error err = {0};

        memcpy(blob.data, base->data, base->size);
        for (unsigned n = 0; n < 1 + i % 8; n++)
            blob.data[HEAD + (size_t)rand_r(&seed) % size] ^=
                (uint8_t)(1u << rand_r(&seed) % 8);
        if (load(image, &blob, NULL, &err) != 0) {
            refused++;
            silent += err.text[0] == '\0';
        }
    }
    printf("# %u changed states, %zu refused\n", FLIPS, refused);
    tap(silent == 0 && refused > 0, "changed bytes load, or are refused with a reason");
    free(blob.data);
}

int main(int argc, char **argv)
{
    struct blob base = {NULL, 0};

    if (argc != 2) {
        fputs("usage: kvm-state RESUME.elf\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (tap(base_make(argv[1], &base), "a machine is saved")) {
        again_test(argv[1], &base);
        nonsense_test(argv[1], &base);
        nowhere_test(argv[1], &base);
        flips_test(argv[1], &base);
    }
    free(base.data);
    printf("1..%u\n", made);
    return failed != 0;
}
