/* deterministic.c: the same run every time: virtual time, seeded chance, harts in turns on one
 * thread. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/deterministic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/vm.h"

/* How often the console is looked at, in guest time. */
#define CONSOLE_NS 1000000u

/* --- the virtual host --- */

static struct deterministic *det_of(struct host *host)
{
    return (struct deterministic *)host;
}

static uint64_t virtual_now_ns(struct host *host)
{
    const struct deterministic *det = det_of(host);
    uint64_t steps = 0;

    if (det->running)
        steps = det->vm->engine->steps(det->running) - det->turn_steps;
    return det->now_ns + steps * DETERMINISTIC_NS_PER_STEP;
}

/* How long the real host waits at most before it is asked whether the VM ends. */
#define PATIENCE_MS 100

/* Waits for input of a real descriptor. False: the VM ends. */
static bool input_wait(struct deterministic *det, int fd)
{
    bool ready = false;

    while (!ready && !atomic_load(&det->vm->stopping))
        if (det->real->wait(det->real, fd, -1, PATIENCE_MS, &ready) != 0)
            return true; /* what is wrong, the read says */
    return ready;
}

/* Reads until the buffer is full or the input ends: how a pipe cuts its bytes must not show. */
static ssize_t virtual_read(struct host *host, int fd, void *buf, size_t len)
{
    struct deterministic *det = det_of(host);
    uint8_t *to = buf;
    size_t done = 0;

    while (done < len && input_wait(det, fd)) {
        ssize_t n = det->real->read(det->real, fd, to + done, len - done);

        if (n == -EINTR || n == -EAGAIN)
            continue;
        if (n <= 0)
            return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return done > 0 ? (ssize_t)done : -EINTR;
}

static ssize_t virtual_write(struct host *host, int fd, const void *buf, size_t len)
{
    struct host *real = det_of(host)->real;

    return real->write(real, fd, buf, len);
}

/*
 * Nothing waits in virtual time: a descriptor is ready, and the read takes as long as it takes.
 * A wait for time alone is output that waits for room, on the real host.
 */
static int virtual_wait(struct host *host, int fd, int notify, int timeout_ms, bool *ready)
{
    struct host *real = det_of(host)->real;

    if (fd < 0 && notify < 0)
        return real->wait(real, fd, notify, timeout_ms, ready);
    *ready = fd >= 0;
    return 0;
}

/* Every deterministic guest is born at the same moment: 2026-01-01. */
#define BIRTH_NS (UINT64_C(1767225600) * 1000000000u)

static uint64_t virtual_wall_ns(struct host *host)
{
    return BIRTH_NS + virtual_now_ns(host);
}

/* splitmix64 (Steele, Lea, Flood 2014): every seed, 0 too, begins a full-period sequence. */
static uint64_t random_next(struct deterministic *det)
{
    uint64_t z = det->random += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int virtual_random(struct host *host, void *buf, size_t len)
{
    uint8_t *to = buf;

    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = random_next(det_of(host));

        memcpy(to + i, &word, len - i < 8 ? len - i : 8);
    }
    return 0;
}

/*
 * Signals are the real ones, for who may hear them at all: a rule of the policy says so. It
 * answers for the run.
 */
static int virtual_signal_open(struct host *host, int signo)
{
    struct host *real = det_of(host)->real;

    return real->signal_open ? real->signal_open(real, signo) : -ENOSYS;
}

static void virtual_signal_close(struct host *host, int signo)
{
    struct host *real = det_of(host)->real;

    real->signal_close(real, signo);
}

/*
 * Each door to the host needs a virtual twin in deterministic_create, or be absent there for a
 * reason: how long the host's scheduler delays a thread (delay_*) is nothing that two runs
 * could share, so SBI STA is not there. Files are the real ones: who lets a guest read them
 * (a rule of its policy) answers for their being the same in every run.
 */
_Static_assert(sizeof(struct host) == 12 * sizeof(void *), "a new door needs a virtual twin");

int deterministic_create(struct vm *vm, struct error *err)
{
    struct deterministic *det;

    if (!vm->config->deterministic)
        return 0;
    if (!(vm->engine->caps & ENGINE_EXACT_STEPS))
        return error_set(err, STATUS_UNAVAILABLE,
                         "--deterministic: engine %s does not count steps; use --engine interp",
                         vm->engine->name);
    det = calloc(1, sizeof(*det));
    if (!det)
        return error_set(err, STATUS_OS, "--deterministic: no memory");
    *det = (struct deterministic){
        .host = {.now_ns = virtual_now_ns,
                 .wall_ns = virtual_wall_ns,
                 .read = virtual_read,
                 .write = virtual_write,
                 .wait = virtual_wait,
                 .random = virtual_random,
                 .signal_open = virtual_signal_open,
                 .signal_close = virtual_signal_close,
                 .files = vm->host->files},
        .real = vm->host,
        .vm = vm,
        .random = vm->config->seed,
    };
    vm->det = det;
    vm->host = &det->host;
    return 0;
}

void deterministic_destroy(struct vm *vm)
{
    free(vm->det);
    vm->det = NULL;
}

/* --- the schedule --- */

static uint64_t vm_steps(const struct vm *vm)
{
    uint64_t steps = 0;

    for (unsigned i = 0; i < vm->nharts; i++)
        steps += vm->hart[i].steps;
    return steps;
}

/* What is left of --max-steps. */
static uint64_t steps_left(const struct vm *vm)
{
    uint64_t steps = vm_steps(vm);

    return steps < vm->config->max_steps ? vm->config->max_steps - steps : 0;
}

/* The hart runs until its turn or the budget ends, or for as long as it has something to do. */
static void turn_run(struct deterministic *det, struct hart *hart, uint64_t left)
{
    uint64_t end = det->turn_steps + DETERMINISTIC_QUANTUM;
    uint64_t budget = hart->steps + left;
    uint64_t taken;

    hart->vm->engine->set_step_limit(hart, end < budget ? end : budget);
    hart->yield = YIELD_NONE;
    hart_run(hart);
    det->ran = true;
    det->cut = hart->yield == YIELD_NONE && hart->steps < end;
    if (det->cut)
        return;
    taken = hart->yield == YIELD_PARK ? DETERMINISTIC_QUANTUM : hart->steps - det->turn_steps;
    det->now_ns += taken * DETERMINISTIC_NS_PER_STEP;
}

/*
 * One turn of one hart. When the step budget or the end of the VM cuts it, `cut` remembers, so
 * that a machine saved there goes on with the rest of the turn: its timer is looked at where a
 * turn begins, and nowhere else. False: nothing is left of the budget.
 */
static bool take_turn(struct deterministic *det, struct hart *hart)
{
    const struct engine *engine = hart->vm->engine;
    uint64_t left = steps_left(hart->vm);

    if (left == 0) {
        vm_stop(hart->vm, CAUSE_BUDGET, STATUS_BUDGET, hart, "the step budget is spent");
        return false;
    }
    if (!det->cut)
        det->turn_steps = engine->steps(hart);
    det->running = hart;
    if (!det->cut)
        (void)engine->irq_pending(hart);
    det->cut = false;
    if (hart_ready(hart))
        turn_run(det, hart, left);
    det->running = NULL;
    return true;
}

/* The tick at which a hart that waits goes on by itself. */
static uint64_t hart_deadline(struct hart *hart)
{
    uint64_t timer = hart->vm->engine->timer_deadline(hart);

    return hart->idle && hart->idle_until < timer ? hart->idle_until : timer;
}

/* How long the VM sleeps at a time while it waits for the world outside. */
#define OUTSIDE_MS 1

/*
 * Every hart waits: on to the next timer or input. When there is neither, nothing will ever
 * happen again in this VM, which no other mode could know.
 */
static void skip_idle(struct vm *vm)
{
    struct deterministic *det = vm->det;
    uint64_t next = console_due(&vm->console);

    for (unsigned i = 0; i < vm->nharts; i++) {
        uint64_t ns = UINT64_MAX;

        if (vm->hart[i].status != HART_STOPPED)
            ns = clock_deadline_ns(&vm->clock, hart_deadline(&vm->hart[i]));
        if (ns < next)
            next = ns;
    }
    if (next == UINT64_MAX) {
        vm_stop(vm, CAUSE_FAULT, STATUS_GUEST_FAULT, NULL,
                "every hart waits for an interrupt, and nothing is left that could raise one");
        return;
    }
    if (atomic_load(&det->outside) > 0) {
        bool ready;

        det->real->wait(det->real, -1, -1, OUTSIDE_MS, &ready);
    }
    if (next > det->now_ns)
        det->now_ns = next;
    det->console_ns = det->now_ns;
}

/* Goes on in the round where it stands. */
static void run_round(struct deterministic *det)
{
    struct vm *vm = det->vm;

    for (; det->next < vm->nharts; det->next++)
        if (!take_turn(det, &vm->hart[det->next]) || det->cut || atomic_load(&vm->stopping))
            return;
    det->next = 0;
    if (!det->ran)
        skip_idle(vm);
    det->ran = false;
    if (det->now_ns >= det->console_ns) {
        console_poll(&vm->console);
        det->console_ns = det->now_ns + CONSOLE_NS;
    }
}

void deterministic_run(struct vm *vm)
{
    console_start_polled(&vm->console);
    while (!atomic_load(&vm->stopping))
        run_round(vm->det);
}
