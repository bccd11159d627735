/* test_hart.c: the life of harts, on threads of their own: starting, stopping, waiting, fences.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/fixture.h"
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"

#define HARTS       4
#define FENCES_KEPT 64

struct rig;

/* What run does: a step of the guest's life on the hart's thread. */
typedef void run_fn(struct rig *rig, struct hart *hart);

/* A hart of the engine below, which runs no instructions. */
struct fake_hart {
    struct hart_state state;
    _Atomic uint64_t irqs; /* levels */
    _Atomic uint64_t timer;
    unsigned runs;
    enum hart_status status_in_run;
    struct hart_fence fence[FENCES_KEPT]; /* executed; its own thread's */
    unsigned nfences;
    /* For the test of fences among harts. */
    _Atomic uint64_t asked, answered; /* fences of this hart: begun, returned */
    _Atomic uint64_t seen[HARTS];     /* `asked` of the others at the last fence here */
    unsigned late;                    /* a fence that returned was not executed here */
};

/* A VM whose engine calls `run`; the clock is the mock's. */
struct rig {
    struct fixture f;
    struct fake_hart fake[HARTS];
    run_fn *run;
    _Atomic unsigned finished;
    int result; /* of run */
};

static struct rig *rig_of(struct hart *hart)
{
    return (struct rig *)((char *)hart->vm - offsetof(struct rig, f.vm));
}

static struct fake_hart *fake_of(struct hart *hart)
{
    return &rig_of(hart)->fake[hart->index];
}

static int fake_run(struct hart *hart)
{
    struct rig *rig = rig_of(hart);

    fake_of(hart)->runs++;
    fake_of(hart)->status_in_run = hart->status;
    rig->run(rig, hart);
    return rig->result;
}

static void fake_irq(struct hart *hart, unsigned irq, bool level)
{
    if (level)
        atomic_fetch_or(&fake_of(hart)->irqs, 1ull << irq);
    else
        atomic_fetch_and(&fake_of(hart)->irqs, ~(1ull << irq));
}

static bool fake_irq_pending(struct hart *hart)
{
    const struct fake_hart *fake = fake_of(hart);

    return (atomic_load(&fake->irqs) & fake->state.mie) ||
           clock_ticks(&hart->vm->clock) >= atomic_load(&fake->timer);
}

static uint64_t fake_timer_deadline(struct hart *hart)
{
    return atomic_load(&fake_of(hart)->timer);
}

static void fake_fence(struct hart *hart, const struct hart_fence *fence)
{
    struct rig *rig = rig_of(hart);
    struct fake_hart *fake = fake_of(hart);

    fake->fence[fake->nfences++ % FENCES_KEPT] = *fence;
    for (unsigned i = 0; i < HARTS; i++)
        atomic_store(&fake->seen[i], atomic_load(&rig->fake[i].asked));
}

static int fake_state_get(struct hart *hart, struct hart_state *state)
{
    *state = fake_of(hart)->state;
    return 0;
}

static int fake_state_set(struct hart *hart, const struct hart_state *state)
{
    fake_of(hart)->state = *state;
    return 0;
}

static struct rig *rig_new(unsigned nharts, run_fn *run)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    if (!rig)
        abort();
    fixture_init(&rig->f, START_KERNEL, nharts, CONSOLE_NONE);
    rig->f.engine.run = fake_run;
    rig->f.engine.hart_irq = fake_irq;
    rig->f.engine.irq_pending = fake_irq_pending;
    rig->f.engine.timer_deadline = fake_timer_deadline;
    rig->f.engine.fence = fake_fence;
    rig->f.engine.state_get = fake_state_get;
    rig->f.engine.state_set = fake_state_set;
    rig->run = run;
    for (unsigned i = 0; i < nharts; i++) {
        atomic_store(&rig->fake[i].timer, UINT64_MAX);
        rig->fake[i].state.mie = 1ull << IRQ_S_SOFT;
    }
    return rig;
}

/* Hart 0 is ready to run, as boot_prepare() leaves it. */
static void rig_boot(struct rig *rig, unsigned first_harts)
{
    for (unsigned i = 0; i < first_harts; i++) {
        rig->f.hart[i].boot = true;
        rig->f.hart[i].status = HART_START_PENDING;
    }
}

static void rig_start(struct rig *rig)
{
    for (unsigned i = 0; i < rig->f.vm.nharts; i++) {
        struct hart *hart = &rig->f.hart[i];

        if (pthread_create(&hart->thread, NULL, hart_thread, hart) != 0)
            abort();
    }
}

static void rig_join(struct rig *rig)
{
    for (unsigned i = 0; i < rig->f.vm.nharts; i++)
        pthread_join(rig->f.hart[i].thread, NULL);
}

static void rig_free(struct rig *rig)
{
    fixture_destroy(&rig->f);
    free(rig);
}

/* A guest that does nothing but look at requests. */
static void run_until_request(struct rig *rig, struct hart *hart)
{
    (void)rig;
    while (!(atomic_load(&hart->requests) & (HART_REQ_STOP | HART_REQ_RESTART))) {
        if (atomic_load(&hart->requests) & HART_REQ_FENCES)
            hart_take_fences(hart);
        sched_yield();
    }
}

/* --- starting and stopping --- */

/* Hart 0 starts hart 1, which notes how it was started, stops, and is started once more. */
static void run_start(struct rig *rig, struct hart *hart)
{
    struct hart *other = &rig->f.hart[1];

    if (hart->index == 1) {
        CU_ASSERT_EQUAL(hart_start(hart, 1, 1), -EALREADY);
        if (fake_of(hart)->runs == 1)
            hart_stop_self(hart);
        else
            vm_stop(hart->vm, CAUSE_EXIT, 3, hart, NULL);
        return;
    }
    CU_ASSERT_EQUAL(hart_start(other, 0x80200000, 0x1234), 0);
    CU_ASSERT_EQUAL(hart_start(other, 0x80200004, 0x5678), -EALREADY);
    CU_ASSERT_EQUAL(hart_start(hart, 0, 0), -EALREADY);
    while (hart_start(other, 0x80300000, 0x9abc) != 0) /* until it has stopped itself */
        sched_yield();
    run_until_request(rig, hart);
}

static void test_start(void)
{
    struct rig *rig = rig_new(2, run_start);
    const struct fake_hart *fake = &rig->fake[1];

    rig->fake[0].state.pc = 0x80000000;
    rig->fake[0].state.x[11] = 0x88;
    rig->fake[1].state = (struct hart_state){.priv = PRIV_U,
                                             .satp = 8ull << 60,
                                             .mstatus = 1ull << 1 | 1ull << 18,
                                             .mie = 0x222,
                                             .stvec = 0x8000};
    rig->fake[1].state.x[5] = 99;
    rig_boot(rig, 1);
    CU_ASSERT_EQUAL(rig->f.hart[1].status, HART_STOPPED);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(rig->f.vm.stop.status, 3);
    CU_ASSERT_EQUAL(rig->f.vm.stop.hart, 1);
    /* The first start of hart 0 took its state as it was. */
    CU_ASSERT_EQUAL(rig->fake[0].state.pc, 0x80000000);
    CU_ASSERT_EQUAL(rig->fake[0].state.x[11], 0x88);
    CU_ASSERT_EQUAL(rig->fake[0].runs, 1);
    /* Hart 1's is SBI's (2.0, section 9.1). */
    CU_ASSERT_EQUAL(fake->runs, 2);
    CU_ASSERT_EQUAL(fake->status_in_run, HART_STARTED);
    CU_ASSERT_EQUAL(fake->state.pc, 0x80300000);
    CU_ASSERT_EQUAL(fake->state.priv, PRIV_S);
    CU_ASSERT_EQUAL(fake->state.x[10], 1);
    CU_ASSERT_EQUAL(fake->state.x[11], 0x9abc);
    CU_ASSERT_EQUAL(fake->state.x[5], 0);
    CU_ASSERT_EQUAL(fake->state.satp, 0);
    CU_ASSERT_EQUAL(fake->state.mstatus & 2, 0);
    /* Nothing of its former life is cached: fence.i and sfence.vma at each start. */
    CU_ASSERT_EQUAL(fake->nfences, 4);
    CU_ASSERT_EQUAL(fake->fence[2].kind, FENCE_I);
    CU_ASSERT_EQUAL(fake->fence[3].kind, FENCE_VMA);
    CU_ASSERT_EQUAL(fake->fence[3].size, UINT64_MAX);
    rig_free(rig);
}

/* All harts stop themselves, one after the other: there is nobody left. */
static void run_stop(struct rig *rig, struct hart *hart)
{
    if (hart->index + 1 < rig->f.vm.nharts) {
        CU_ASSERT_EQUAL(hart_start(&rig->f.hart[hart->index + 1], 0x80000000, 0), 0);
    }
    hart_stop_self(hart);
}

static void test_last_stop(void)
{
    for (unsigned n = 1; n <= HARTS; n++) {
        struct rig *rig = rig_new(n, run_stop);

        rig_boot(rig, 1);
        rig_start(rig);
        rig_join(rig);
        CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_FAULT);
        CU_ASSERT_EQUAL(rig->f.vm.stop.status, STATUS_GUEST_FAULT);
        CU_ASSERT_PTR_NOT_NULL(strstr(rig->f.vm.stop.text, "every hart"));
        for (unsigned i = 0; i < n; i++) {
            CU_ASSERT_EQUAL(rig->fake[i].runs, 1);
            CU_ASSERT_EQUAL(rig->f.hart[i].status, HART_STOPPED);
        }
        rig_free(rig);
    }
}

/* All at once. */
static void run_stop_together(struct rig *rig, struct hart *hart)
{
    atomic_fetch_add(&rig->finished, 1);
    while (atomic_load(&rig->finished) < HARTS)
        sched_yield();
    hart_stop_self(hart);
}

static void test_last_stop_together(void)
{
    for (unsigned round = 0; round < 50; round++) {
        struct rig *rig = rig_new(HARTS, run_stop_together);

        rig_boot(rig, HARTS);
        rig_start(rig);
        rig_join(rig);
        CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_FAULT);
        rig_free(rig);
    }
}

/* hart_resume_at: the hart goes on elsewhere; what is enabled or set stays. */
static void run_resume(struct rig *rig, struct hart *hart)
{
    (void)rig;
    if (fake_of(hart)->runs == 1) {
        CU_ASSERT_EQUAL(hart_resume_at(hart, 0x80001000, 42), 0);
    } else {
        vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
    }
}

static void test_resume(void)
{
    struct rig *rig = rig_new(1, run_resume);
    const struct hart_state *state = &rig->fake[0].state;

    rig->fake[0].state.timer = 777;
    rig->fake[0].state.x[7] = 7;
    rig->fake[0].state.satp = 8ull << 60;
    rig_boot(rig, 1);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->fake[0].runs, 2);
    CU_ASSERT_EQUAL(rig->fake[0].status_in_run, HART_STARTED);
    CU_ASSERT_EQUAL(state->pc, 0x80001000);
    CU_ASSERT_EQUAL(state->x[10], 0);
    CU_ASSERT_EQUAL(state->x[11], 42);
    CU_ASSERT_EQUAL(state->x[7], 0);
    CU_ASSERT_EQUAL(state->satp, 0);
    CU_ASSERT_EQUAL(state->priv, PRIV_S);
    CU_ASSERT_EQUAL(state->mie, 1ull << IRQ_S_SOFT);
    CU_ASSERT_EQUAL(state->timer, 777);
    rig_free(rig);
}

/* Harts that were never started end with the VM; the first stop is the one that counts. */
static void run_stop_vm(struct rig *rig, struct hart *hart)
{
    (void)rig;
    vm_stop(hart->vm, CAUSE_EXIT, 1, hart, "first");
    vm_stop(hart->vm, CAUSE_QUIT, 2, NULL, "second");
}

static void test_stop_vm(void)
{
    struct rig *rig = rig_new(HARTS, run_stop_vm);

    rig_boot(rig, 1);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    CU_ASSERT_EQUAL(rig->f.vm.stop.status, 1);
    CU_ASSERT_STRING_EQUAL(rig->f.vm.stop.text, "first");
    CU_ASSERT_EQUAL(rig->fake[1].runs, 0);
    rig_free(rig);
}

/* An engine that fails ends the VM and says so. */
static void test_engine_fails(void)
{
    struct rig *rig = rig_new(1, run_stop_vm);

    rig->result = -EIO;
    rig->run = run_until_request;
    atomic_store(&rig->f.hart[0].requests, HART_REQ_RESTART); /* run returns at once */
    rig_boot(rig, 1);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_ENGINE);
    CU_ASSERT_EQUAL(rig->f.vm.stop.status, STATUS_INTERNAL);
    rig_free(rig);
}

/* --- waiting --- */

static void run_wait(struct rig *rig, struct hart *hart)
{
    (void)rig;
    hart_wait(hart, HART_SUSPENDED);
    CU_ASSERT_EQUAL(hart->status, HART_STARTED);
    CU_ASSERT_TRUE(hart->in_guest);
    vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
}

/* Starts hart 0, which waits, and returns when it sleeps. */
static struct rig *rig_waiting(void)
{
    struct rig *rig = rig_new(2, run_wait);

    rig_boot(rig, 1);
    rig_start(rig);
    while (!(rig->f.hart[0].status == HART_SUSPENDED && atomic_load(&rig->f.hart[0].waiting)))
        sched_yield();
    CU_ASSERT_FALSE(rig->f.hart[0].in_guest);
    return rig;
}

static void test_wait_irq(void)
{
    for (unsigned round = 0; round < 200; round++) {
        struct rig *rig = rig_waiting();

        hart_irq(&rig->f.hart[0], IRQ_S_EXT, true); /* not enabled: it sleeps on */
        hart_irq(&rig->f.hart[0], IRQ_S_SOFT, true);
        rig_join(rig);
        CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
        CU_ASSERT_EQUAL(rig->fake[0].runs, 1);
        rig_free(rig);
    }
}

static void test_wait_request(void)
{
    struct rig *rig = rig_waiting();

    vm_stop(&rig->f.vm, CAUSE_QUIT, 9, NULL, NULL);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_QUIT);
    rig_free(rig);
    rig = rig_waiting();
    hart_request(&rig->f.hart[0], HART_REQ_WAKE);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    rig_free(rig);
}

/* A timer: the hart sleeps until the clock shows it. */
static void run_wait_timer(struct rig *rig, struct hart *hart)
{
    uint64_t due = clock_ticks(&hart->vm->clock) + 1000;

    atomic_store(&rig->fake[0].timer, due);
    hart_wait(hart, HART_STARTED);
    CU_ASSERT(clock_ticks(&hart->vm->clock) >= due);
    vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
}

static void test_wait_timer(void)
{
    struct rig *rig = rig_new(1, run_wait_timer);

    rig_boot(rig, 1);
    rig_start(rig);
    /* It waits for its start, too: what counts is the wait after it has set its timer. */
    while (atomic_load(&rig->fake[0].timer) == UINT64_MAX ||
           !atomic_load(&rig->f.hart[0].waiting))
        sched_yield();
    /* Not yet; it looks at the clock each time that it wakes. */
    mock_advance(&rig->f.mock, 999 * CLOCK_NS_PER_TICK);
    for (unsigned i = 0; i < 100; i++)
        sched_yield();
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_NONE);
    mock_advance(&rig->f.mock, 1 * CLOCK_NS_PER_TICK);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    rig_free(rig);
}

/* What is pending already needs no sleep. */
static void run_wait_pending(struct rig *rig, struct hart *hart)
{
    (void)rig;
    hart_irq(hart, IRQ_S_SOFT, true);
    hart_wait(hart, HART_SUSPENDED);
    hart_irq(hart, IRQ_S_SOFT, false);
    atomic_fetch_or(&hart->requests, HART_REQ_WAKE);
    hart_wait(hart, HART_SUSPENDED);
    vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
}

static void test_wait_pending(void)
{
    struct rig *rig = rig_new(1, run_wait_pending);

    rig_boot(rig, 1);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    rig_free(rig);
}

/* A fence does not wake a hart that waits, nor wait for it; it is executed before it goes on.
 */
static void test_wait_fence(void)
{
    const struct hart_fence fence = {.kind = FENCE_VMA, .start = 0x1000, .size = 0x2000};
    struct rig *rig = rig_waiting();
    struct hart *caller = &rig->f.hart[1];

    hart_fence_all(caller, 3, &fence);
    CU_ASSERT_EQUAL(rig->fake[1].nfences, 1);
    CU_ASSERT_EQUAL(rig->f.hart[0].status, HART_SUSPENDED);
    atomic_store(&caller->in_guest, false);
    hart_irq(&rig->f.hart[0], IRQ_S_SOFT, true);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->fake[0].nfences, 1);
    CU_ASSERT_EQUAL(rig->fake[0].fence[0].start, 0x1000);
    CU_ASSERT_EQUAL(rig->fake[0].fence[0].size, 0x2000);
    rig_free(rig);
}

/* --- fences --- */

/* The mailbox of a hart that is outside: kept in order, or too many become one of everything.
 */
static void test_fence_mailbox(void)
{
    struct rig *rig = rig_new(2, NULL);
    struct hart *self = &rig->f.hart[0], *other = &rig->f.hart[1];
    const struct fake_hart *fake = &rig->fake[1];

    for (unsigned i = 0; i < HART_FENCES_MAX; i++) {
        const struct hart_fence fence = {
            .kind = i % 3, .start = i * 0x1000, .size = 0x1000, .asid = i};

        hart_fence_all(self, 2, &fence);
    }
    CU_ASSERT_EQUAL(rig->fake[0].nfences, 0);
    CU_ASSERT_EQUAL(fake->nfences, 0);
    CU_ASSERT(atomic_load(&other->requests) & HART_REQ_FENCES);
    hart_take_fences(other);
    CU_ASSERT_EQUAL(atomic_load(&other->requests), 0);
    CU_ASSERT_EQUAL(fake->nfences, HART_FENCES_MAX);
    for (unsigned i = 0; i < HART_FENCES_MAX; i++) {
        CU_ASSERT_EQUAL(fake->fence[i].kind, i % 3);
        CU_ASSERT_EQUAL(fake->fence[i].start, i * 0x1000);
        CU_ASSERT_EQUAL(fake->fence[i].asid, i);
    }
    for (unsigned i = 0; i < 5 * HART_FENCES_MAX; i++)
        hart_fence_all(self, 3, &(struct hart_fence){.kind = FENCE_VMA, .size = 4096});
    CU_ASSERT_EQUAL(rig->fake[0].nfences, 5 * HART_FENCES_MAX);
    CU_ASSERT(other->nfences <= HART_FENCES_MAX);
    rig->fake[1].nfences = 0;
    hart_take_fences(other);
    bool code = false, memory = false;
    for (unsigned i = 0; i < fake->nfences; i++) {
        code |= fake->fence[i].kind == FENCE_I;
        memory |= fake->fence[i].kind == FENCE_VMA && fake->fence[i].size == UINT64_MAX;
    }
    CU_ASSERT(code && memory);
    hart_take_fences(other); /* an empty one does no harm */
    rig_free(rig);
}

/*
 * Four harts fence one another as fast as they can. A fence that has returned on one hart must
 * have been executed by every other before its next instruction: an "instruction" here compares
 * what has returned with what was seen by the last fence on this hart.
 */
#define FENCE_ROUNDS 3000u

static void guest_instruction(struct rig *rig, struct hart *hart)
{
    struct fake_hart *fake = fake_of(hart);

    for (unsigned i = 0; i < HARTS; i++)
        if (i != hart->index &&
            atomic_load(&rig->fake[i].answered) > atomic_load(&fake->seen[i]))
            fake->late++;
}

static void run_fences(struct rig *rig, struct hart *hart)
{
    struct fake_hart *fake = fake_of(hart);
    const struct hart_fence fence = {.kind = FENCE_VMA, .start = hart->index, .size = 4096};
    uint64_t mask = hart->index % 2 ? 0xf : 0xf & ~(1ull << hart->index);

    for (uint64_t round = 1; round <= FENCE_ROUNDS; round++) {
        atomic_store(&fake->asked, round);
        hart_fence_all(hart, mask, &fence);
        atomic_store(&fake->answered, round);
        for (unsigned i = 0; i < 3; i++) {
            if (atomic_load(&hart->requests) & HART_REQ_FENCES)
                hart_take_fences(hart);
            guest_instruction(rig, hart);
        }
    }
    if (atomic_fetch_add(&rig->finished, 1) == HARTS - 1)
        vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
    run_until_request(rig, hart);
}

static void test_fence_storm(void)
{
    struct rig *rig = rig_new(HARTS, run_fences);

    rig_boot(rig, HARTS);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    for (unsigned i = 0; i < HARTS; i++) {
        CU_ASSERT_EQUAL(rig->fake[i].late, 0);
        CU_ASSERT_EQUAL(atomic_load(&rig->fake[i].answered), FENCE_ROUNDS);
    }
    CU_ASSERT_EQUAL(rig->f.vm.fence_waiters, 0);
    rig_free(rig);
}

/* Fences, and harts that wait, stop and start meanwhile. */
static void run_fences_and_sleep(struct rig *rig, struct hart *hart)
{
    const struct hart_fence fence = {.kind = FENCE_I};

    if (hart->index == 0) {
        for (unsigned round = 0; round < 500; round++) {
            atomic_store(&rig->fake[0].asked, round + 1);
            hart_fence_all(hart, 0xf, &fence);
            atomic_store(&rig->fake[0].answered, round + 1);
            hart_irq(&rig->f.hart[1], IRQ_S_SOFT, true);
            hart_start(&rig->f.hart[2], 0x80000000, 0);
        }
        vm_stop(hart->vm, CAUSE_EXIT, 0, hart, NULL);
        return;
    }
    guest_instruction(rig, hart);
    if (hart->index == 1) {
        hart_wait(hart, HART_STARTED);
        hart_irq(hart, IRQ_S_SOFT, false);
        guest_instruction(rig, hart);
    } else if (hart->index == 2) {
        hart_stop_self(hart);
    } else {
        run_until_request(rig, hart);
    }
}

static void test_fence_sleepers(void)
{
    struct rig *rig = rig_new(HARTS, run_fences_and_sleep);

    rig_boot(rig, HARTS);
    rig_start(rig);
    rig_join(rig);
    CU_ASSERT_EQUAL(rig->f.vm.stop.cause, CAUSE_EXIT);
    for (unsigned i = 0; i < HARTS; i++)
        CU_ASSERT_EQUAL(rig->fake[i].late, 0);
    rig_free(rig);
}

/* --- real engines --- */

#define VMS 4

static void *vm_thread(void *arg)
{
    struct machine *m = arg;
    struct error err = {0};

    return vm_run(&m->vm, &err) == 0 ? NULL : arg;
}

/*
 * Several VMs at once, each with two harts that share a word, a status and a length of their
 * own: hart 1 adds with AMOs until hart 0 has seen enough and writes the finisher.
 */
static void vm_program(struct machine *m, unsigned number)
{
    uint32_t status = PLAT_FINISHER_FAIL | (10 + number) << 16;
    uint32_t upper = (status + 0x800) >> 12;

    PUT(m, CODE, AS_B(bne, A0, ZERO, 40),                      /* a0: the hart */
        AS_U(lui, T2, 5 + number),                             /* */
        AS_U(auipc, T0, 0x20), AS_I(addi, T0, T0, -8),         /* DATA */
        AS_R(amoadd_d, T1, T0, ZERO),                          /* 0x10 */
        AS_B(bltu, T1, T2, -4),                                /* */
        AS_U(lui, T1, upper),                                  /* */
        AS_I(addi, T1, T1, (int)(status << 20) >> 20),         /* */
        AS_U(lui, T0, PLAT_FINISHER_BASE >> 12),               /* */
        AS_S(sw, T1, T0, 0),                                   /* 0x24 */
        AS_U(auipc, T0, 0x20), AS_I(addi, T0, T0, -0x28),      /* 0x28: hart 1 */
        AS_I(addi, T1, ZERO, 1), AS_R(amoadd_d, ZERO, T0, T1), /* 0x30 */
        AS_J(ZERO, -4));
}

static void test_several_vms(void)
{
    static struct machine machine[VMS];
    pthread_t thread[VMS];
    void *result;

    for (unsigned i = 0; i < VMS; i++) {
        struct machine *m = &machine[i];

        machine_init(m, START_FIRMWARE, 2);
        vm_program(m, i);
        for (unsigned h = 0; h < 2; h++) {
            struct hart_state state;

            m->vm.engine->state_get(&m->vm.hart[h], &state);
            state.pc = CODE;
            state.x[A0] = h;
            m->vm.engine->state_set(&m->vm.hart[h], &state);
        }
    }
    for (unsigned i = 0; i < VMS; i++)
        if (pthread_create(&thread[i], NULL, vm_thread, &machine[i]) != 0)
            abort();
    for (unsigned i = 0; i < VMS; i++) {
        pthread_join(thread[i], &result);
        CU_ASSERT_PTR_NULL(result);
        CU_ASSERT_EQUAL(machine[i].vm.stop.cause, CAUSE_FINISHER);
        CU_ASSERT_EQUAL(machine[i].vm.stop.status, (int)(10 + i));
        CU_ASSERT(machine_peek(&machine[i], DATA) >= (5 + i) << 12);
        CU_ASSERT(machine[i].vm.hart[1].steps > 0);
    }
    for (unsigned i = 0; i < VMS; i++)
        machine_destroy(&machine[i]);
}

/* A VM can be stopped from outside, whatever its harts do: loop, wait, are stopped. */
static void test_stop_from_outside(void)
{
    for (unsigned round = 0; round < 20; round++) {
        static struct machine m;
        pthread_t thread;

        machine_init(&m, START_KERNEL, 3);
        PUT(&m, CODE, round % 2 ? AS_SELF : AS_N(wfi), AS_J(ZERO, -4));
        machine_set(&m);
        if (pthread_create(&thread, NULL, vm_thread, &m) != 0)
            abort();
        while (m.vm.hart[0].status != HART_STARTED)
            sched_yield();
        vm_stop(&m.vm, CAUSE_QUIT, 5, NULL, "enough");
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(m.vm.stop.cause, CAUSE_QUIT);
        CU_ASSERT_EQUAL(m.vm.stop.status, 5);
        machine_destroy(&m);
    }
}

void suite_hart(void)
{
    CU_pSuite suite = CU_add_suite("hart", NULL, NULL);

    CU_add_test(suite, "start, stop, start again", test_start);
    CU_add_test(suite, "the last hart stops itself", test_last_stop);
    CU_add_test(suite, "all stop themselves at once", test_last_stop_together);
    CU_add_test(suite, "resume elsewhere", test_resume);
    CU_add_test(suite, "the first stop of the VM counts", test_stop_vm);
    CU_add_test(suite, "an engine that fails", test_engine_fails);
    CU_add_test(suite, "an interrupt ends a wait", test_wait_irq);
    CU_add_test(suite, "a request ends a wait", test_wait_request);
    CU_add_test(suite, "the timer ends a wait", test_wait_timer);
    CU_add_test(suite, "no wait with something pending", test_wait_pending);
    CU_add_test(suite, "a fence and a hart that waits", test_wait_fence);
    CU_add_test(suite, "the mailbox of fences", test_fence_mailbox);
    CU_add_test(suite, "four harts fence one another", test_fence_storm);
    CU_add_test(suite, "fences while harts sleep and stop", test_fence_sleepers);
    CU_add_test(suite, "several VMs at once", test_several_vms);
    CU_add_test(suite, "a VM is stopped from outside", test_stop_from_outside);
}
