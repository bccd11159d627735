/* main.c: the KVM engine itself, on real KVM: steps, breakpoints, and kicks without end. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: kvm-test HELLO.elf IPIS.elf
 *
 * Steps under KVM must show what the interpreter shows after each instruction; breakpoints must
 * stop every time and change nothing; harts that are kicked, or get signals, all the time must
 * still do their work; what the kernel refuses is told. Prints TAP; the guests' consoles are
 * not shown. Runs in tests/guest/kvm-nested.sh.
 */
#include <asm/ptrace.h> /* linux/kvm.h needs its structures */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "vmm/engine/interp/engine.h"
#include "vmm/engine/kvm/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define MEMORY     (64u << 20)
#define STEPS      1500u /* how many are compared */
#define BREAK_HITS 40u

static unsigned made, failed;

static void tap(bool passed, const char *what)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++made, what);
    failed += !passed;
}

static void config_fill(struct vm_config *c, const struct engine *engine, const char *image,
                        unsigned harts)
{
    *c = (struct vm_config){
        .host = host_real(),
        .engine = engine,
        .start = START_KERNEL,
        .image = image,
        .append = "tg.sstc", /* SBI's timer is lost now and then (docs/kvm-riscv64.md) */
        .mem_size = MEMORY,
        .nharts = harts,
        .max_steps = UINT64_MAX,
        .console = CONSOLE_SBI,
        .in_fd = -1,
        .out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC),
    };
}

static bool machine_make(struct vm *vm, const struct vm_config *config)
{
    struct error err = {0};

    if (vm_create(vm, config, &err) == 0)
        return true;
    printf("# %s: %s\n", config->engine->name, err.text);
    return false;
}

static void machine_end(struct vm *vm)
{
    close(vm->config->out_fd);
    vm_destroy(vm);
}

/* --- steps --- */

/*
 * The general registers and S-mode's that code before the first timer shows the same under
 * every engine.
 */
struct sight {
    uint64_t pc, x[32], sepc, scause, stvec, satp;
};

static void sight_take(struct vm *vm, struct sight *s)
{
    struct hart_state state;

    vm->engine->state_get(&vm->hart[0], &state);
    *s = (struct sight){.pc = state.pc,
                        .sepc = state.sepc,
                        .scause = state.scause,
                        .stvec = state.stvec,
                        .satp = state.satp};
    memcpy(s->x, state.x, sizeof(s->x));
}

struct steps {
    struct sight *seen;
    unsigned n;
};

static void step_seen(void *arg, struct hart *hart, uint64_t pc)
{
    struct steps *steps = arg;

    (void)pc;
    if (steps->n < STEPS)
        sight_take(hart->vm, &steps->seen[steps->n++]);
    if (steps->n == STEPS)
        vm_stop(hart->vm, CAUSE_QUIT, 0, hart, "enough steps");
}

/* The same number of steps one by one under the interpreter. */
static void interp_steps(const char *image, struct sight *seen)
{
    struct vm_config config;
    struct vm vm;

    config_fill(&config, &engine_interp, image, 1);
    if (!machine_make(&vm, &config))
        return;
    for (unsigned i = 0; i < STEPS; i++) {
        vm.stop.cause = CAUSE_NONE;
        atomic_store(&vm.stopping, false);
        atomic_store(&vm.hart[0].requests, 0);
        vm.engine->set_step_limit(&vm.hart[0], i + 1);
        vm.engine->run(&vm.hart[0]);
        sight_take(&vm, &seen[i]);
    }
    machine_end(&vm);
}

/* True when both came to the same; what a device tree holds, chance too, may differ. */
static bool sights_agree(const struct sight *a, const struct sight *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof(a[i])) == 0)
            continue;
        printf("# step %u: pc %llx, by the interpreter %llx\n", i, (unsigned long long)a[i].pc,
               (unsigned long long)b[i].pc);
        for (unsigned r = 1; r < 32; r++)
            if (a[i].x[r] != b[i].x[r])
                printf("# x%u %llx, by the interpreter %llx\n", r,
                       (unsigned long long)a[i].x[r], (unsigned long long)b[i].x[r]);
        return false;
    }
    return true;
}

static void steps_test(const char *image)
{
    struct steps steps = {.seen = calloc(STEPS, sizeof(struct sight))};
    struct sight *expected = calloc(STEPS, sizeof(struct sight));
    struct vm_config config;
    struct error err = {0};
    struct vm vm;

    config_fill(&config, &engine_kvm, image, 1);
    if (!steps.seen || !expected || !machine_make(&vm, &config)) {
        tap(false, "a machine to step");
        return;
    }
    vm.debug = step_seen;
    vm.debug_arg = &steps;
    tap(vm.engine->debug_enable(&vm) == 0, "debugging can be enabled");
    vm.engine->debug_step(&vm.hart[0], true);
    tap(vm_run(&vm, &err) == 0 && steps.n == STEPS, "each instruction is a step");
    interp_steps(image, expected);
    tap(sights_agree(steps.seen, expected, steps.n), "steps are those of the interpreter");
    machine_end(&vm);
    free(expected);
    free(steps.seen);
}

/* --- breakpoints --- */

#define PLACES_MAX 32u

/* Breakpoints on each ecall of the guest: where its harts make their calls. */
struct breaks {
    uint64_t at[PLACES_MAX];
    unsigned places;
    _Atomic unsigned hits;
    _Atomic unsigned steps, strange;
    bool step_on; /* one step after each hit too */
};

static bool break_is_at(const struct breaks *b, uint64_t pc)
{
    for (unsigned i = 0; i < b->places; i++)
        if (b->at[i] == pc)
            return true;
    return false;
}

static void break_hit(void *arg, struct hart *hart, uint64_t pc)
{
    const struct engine *engine = hart->vm->engine;
    struct breaks *b = arg;
    struct hart_state state;
    bool here = break_is_at(b, pc);

    engine->state_get(hart, &state);
    b->strange += state.pc != pc;
    if (here && ++b->hits == BREAK_HITS)
        for (unsigned i = 0; i < b->places; i++)
            b->strange += engine->debug_break(hart->vm, b->at[i], false) != 0;
    b->steps += !here;
    engine->debug_step(hart, b->step_on && here);
}

static void ecalls_find(const struct vm *vm, struct breaks *b)
{
    for (gpa_t at = vm->image.first; at + 4 <= vm->image.last; at += 2) {
        uint32_t word = 0;

        if (mem_read(&vm->mem, at, &word, sizeof(word)) == 0 && word == 0x73 &&
            b->places < PLACES_MAX)
            b->at[b->places++] = at;
    }
}

static bool breaks_set(struct vm *vm, const struct breaks *b)
{
    const struct engine *engine = vm->engine;

    if (b->places == 0 || engine->debug_enable(vm) != 0)
        return false;
    for (unsigned i = 0; i < b->places; i++)
        if (engine->debug_break(vm, b->at[i], true) != 0)
            return false;
    return engine->debug_break(vm, b->at[0], true) == -EEXIST &&
           engine->debug_break(vm, b->at[0] + 1, true) == -EINVAL &&
           engine->debug_break(vm, 0, true) == -EINVAL &&
           engine->debug_break(vm, b->at[0] + 4, false) == -ENOENT;
}

static void breaks_test(const char *image, unsigned harts, bool step_on, const char *what)
{
    struct breaks breaks = {.step_on = step_on};
    struct vm_config config;
    struct error err = {0};
    struct vm vm;

    config_fill(&config, &engine_kvm, image, harts);
    if (!machine_make(&vm, &config)) {
        tap(false, what);
        return;
    }
    ecalls_find(&vm, &breaks);
    vm.debug = break_hit;
    vm.debug_arg = &breaks;
    bool ok = breaks_set(&vm, &breaks);
    ok = vm_run(&vm, &err) == 0 && ok;
    printf("# %u hits, %u steps, %u strange, cause %s, status %d %s\n", breaks.hits,
           breaks.steps, breaks.strange, stop_cause_name(vm.stop.cause), vm.stop.status,
           vm.stop.text);
    ok = ok && breaks.hits >= BREAK_HITS && (breaks.steps > 0) == step_on;
    tap(ok && breaks.strange == 0 && vm.stop.status == 0, what);
    machine_end(&vm);
}

/* --- kicks --- */

struct kicks {
    struct vm *vm;
    _Atomic bool end;
    _Atomic unsigned long count;
};

static void *kick_always(void *arg)
{
    struct kicks *kicks = arg;

    for (; !atomic_load(&kicks->end); atomic_fetch_add(&kicks->count, 1)) {
        for (unsigned i = 0; i < kicks->vm->nharts; i++)
            hart_request(&kicks->vm->hart[i], kicks->count % 7 ? HART_REQ_WAKE : HART_REQ_TICK);
        host_yield();
    }
    return NULL;
}

/* The guest does all of its work while `storm` runs beside it. */
static void storm_test(const char *image, unsigned harts, void *(*storm)(void *),
                       const char *what)
{
    struct vm_config config;
    struct error err = {0};
    struct vm vm;
    struct kicks kicks = {.vm = &vm};
    pthread_t thread;
    int rc;

    config_fill(&config, &engine_kvm, image, harts);
    if (!machine_make(&vm, &config) || pthread_create(&thread, NULL, storm, &kicks) != 0) {
        tap(false, what);
        return;
    }
    rc = vm_run(&vm, &err);
    atomic_store(&kicks.end, true);
    pthread_join(thread, NULL);
    printf("# %lu times, cause %s, status %d %s\n", kicks.count, stop_cause_name(vm.stop.cause),
           vm.stop.status, vm.stop.text);
    tap(rc == 0 && vm.stop.status == 0 && vm.hart[0].exits[EXIT_INTR] > 0, what);
    machine_end(&vm);
}

/* --- signals --- */

static void signal_nothing(int signo)
{
    (void)signo;
}

/* One to each thread of the process, the vCPUs' among them. */
static void signal_all(void)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;

    while (tasks && (task = readdir(tasks)))
        if (task->d_name[0] != '.')
            syscall(SYS_tgkill, getpid(), atoi(task->d_name), SIGUSR1);
    if (tasks)
        closedir(tasks);
}

static void *signal_always(void *arg)
{
    struct kicks *kicks = arg;

    for (; !atomic_load(&kicks->end); atomic_fetch_add(&kicks->count, 1)) {
        signal_all();
        host_yield();
    }
    return NULL;
}

/* Signals that nobody asked for and that restart nothing: EINTR wherever a thread is. */
static void signals_test(const char *image, unsigned harts, const char *what)
{
    const struct sigaction action = {.sa_handler = signal_nothing};

    sigaction(SIGUSR1, &action, NULL);
    storm_test(image, harts, signal_always, what);
}

/* --- what a kernel may refuse; the linker leads the engine's ioctls here --- */

static _Atomic unsigned runs_left = UINT_MAX; /* then KVM_RUN fails with run_error */
static int run_error;
static int cap_changed = -1, cap_value;

int ioctl_real(int fd, unsigned long request, uintptr_t arg) __asm__("__real_ioctl");
int ioctl_ours(int fd, unsigned long request, uintptr_t arg) __asm__("__wrap_ioctl");

int ioctl_ours(int fd, unsigned long request, uintptr_t arg)
{
    if (request == KVM_CHECK_EXTENSION && (int)arg == cap_changed)
        return cap_value;
    if (request == KVM_RUN && runs_left != UINT_MAX && runs_left-- == 0) {
        runs_left = 0;
        errno = run_error;
        return -1;
    }
    return ioctl_real(fd, request, arg);
}

/* A host that has too little of something: refused, with how much and status 69. */
static void limit_test(const char *image, int cap, int value, const char *word)
{
    struct vm_config config;
    struct error err = {0};
    struct vm vm;

    config_fill(&config, &engine_kvm, image, 4);
    cap_changed = cap;
    cap_value = value;
    bool made_one = vm_create(&vm, &config, &err) == 0;
    cap_changed = -1;
    printf("# %s\n", err.text);
    tap(!made_one && err.status == STATUS_UNAVAILABLE && strstr(err.text, word), word);
    if (made_one)
        vm_destroy(&vm);
    close(config.out_fd);
}

/* KVM_RUN fails in the middle, for no fault of the guest's: told where, and no hang. */
static void failure_test(const char *image, int error, unsigned harts)
{
    struct vm_config config;
    struct error err = {0};
    struct vm vm;
    char what[80];

    snprintf(what, sizeof(what), "KVM_RUN fails, %s, on one of %u", strerror(error), harts);
    config_fill(&config, &engine_kvm, image, harts);
    if (!machine_make(&vm, &config)) {
        tap(false, what);
        return;
    }
    run_error = error;
    runs_left = 5;
    bool ran = vm_run(&vm, &err) == 0;
    runs_left = UINT_MAX;
    printf("# cause %s, status %d %s; %u registers\n", stop_cause_name(vm.stop.cause),
           vm.stop.status, vm.stop.text, vm.stop.nregisters);
    tap(ran && vm.stop.status == STATUS_GUEST_FAULT && vm.stop.has_pc &&
            vm.stop.nregisters >= 31 && strstr(vm.stop.text, "instruction 0x") &&
            (error != ENOMEM || strstr(vm.stop.text, "KVM_RUN failed: Cannot allocate")),
        what);
    machine_end(&vm);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: kvm-test HELLO.elf IPIS.elf\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    steps_test(argv[1]);
    breaks_test(argv[2], 1, false, "a breakpoint stops each time");
    breaks_test(argv[2], 1, true, "a step after each stop");
    breaks_test(argv[2], 2, true, "the same on two harts");
    storm_test(argv[2], 1, kick_always, "a hart that is kicked all the time does its work");
    storm_test(argv[2], 2, kick_always, "two harts that are");
    signals_test(argv[2], 1, "a hart whose thread gets signals all the time does its work");
    signals_test(argv[2], 2, "two harts that do");
    limit_test(argv[1], KVM_CAP_MAX_VCPUS, 3, "harts at most");
    limit_test(argv[1], KVM_CAP_NR_MEMSLOTS, 1, "memory slots");
    failure_test(argv[2], EFAULT, 1);
    failure_test(argv[2], ENOMEM, 2);
    printf("1..%u\n", made);
    return failed != 0;
}
