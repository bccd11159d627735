/* hart.c: the life of a hart: its thread, starting and stopping, waiting, fences. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/hart.h"

#include <errno.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/vm.h"

int hart_init(struct hart *hart, struct vm *vm, unsigned index)
{
    memset(hart, 0, sizeof(*hart));
    hart->vm = vm;
    hart->index = index;
    if (index == 0)
        hart->phases = vm->config->phases;
    atomic_init(&hart->status, HART_STOPPED);
    pthread_mutex_init(&hart->lock, NULL);
    host_cond_init(&hart->wake);
    return vm->engine->hart_create(hart);
}

void hart_destroy(struct hart *hart)
{
    if (!hart->vm)
        return;
    hart->vm->engine->hart_destroy(hart);
    pthread_cond_destroy(&hart->wake);
    pthread_mutex_destroy(&hart->lock);
}

/*
 * Wakes the hart if it sleeps. The order matters: who asks sets its bit and then reads
 * `waiting`; who sleeps sets `waiting` and then reads the bits. One of the two sees the other.
 */
static void hart_wake(struct hart *hart)
{
    if (!atomic_load(&hart->waiting))
        return;
    pthread_mutex_lock(&hart->lock);
    pthread_cond_broadcast(&hart->wake);
    pthread_mutex_unlock(&hart->lock);
}

void hart_request(struct hart *hart, uint32_t bits)
{
    atomic_fetch_or(&hart->requests, bits);
    hart->vm->engine->kick(hart);
    hart_wake(hart);
}

void hart_irq(struct hart *hart, unsigned irq, bool level)
{
    hart->vm->engine->hart_irq(hart, irq, level);
    if (level)
        hart_wake(hart);
}

void hart_set_mtimer(struct hart *hart, uint64_t ticks)
{
    if (!hart->vm->engine->set_mtimer)
        return;
    hart->vm->engine->set_mtimer(hart, ticks);
    hart_wake(hart); /* it may sleep until another deadline */
}

int hart_start(struct hart *hart, uint64_t pc, uint64_t arg)
{
    int rc = -EALREADY;

    pthread_mutex_lock(&hart->lock);
    if (hart->status == HART_STOPPED) {
        hart->start_pc = pc;
        hart->start_arg = arg;
        hart->status = HART_START_PENDING;
        pthread_cond_broadcast(&hart->wake);
        rc = 0;
    }
    pthread_mutex_unlock(&hart->lock);
    return rc;
}

void hart_stop_self(struct hart *hart)
{
    hart->stop_pending = true;
    hart->yield = YIELD_WAIT;
    atomic_fetch_or(&hart->requests, HART_REQ_RESTART); /* leave run; the loop sees why */
}

int hart_resume_at(struct hart *hart, uint64_t pc, uint64_t arg)
{
    hart->start_pc = pc;
    hart->start_arg = arg;
    hart->resume_pending = true;
    hart->yield = YIELD_WAIT;
    atomic_fetch_or(&hart->requests, HART_REQ_RESTART);
    return 0;
}

/* The state that SBI gives a hart: S-mode, paging and interrupts off, a0 = ID, a1 = argument.
 */
static void hart_enter(struct hart *hart)
{
    const struct engine *engine = hart->vm->engine;
    struct hart_state state;

    engine->state_get(hart, &state);
    memset(state.x, 0, sizeof(state.x));
    state.pc = hart->start_pc;
    state.priv = PRIV_S;
    state.x[10] = hart->index;
    state.x[11] = hart->start_arg;
    state.satp = 0;
    state.mstatus &= ~(1ull << 1); /* SIE */
    engine->state_set(hart, &state);
    engine->fence(hart, &(struct hart_fence){.kind = FENCE_I});
    engine->fence(hart, &(struct hart_fence){.kind = FENCE_VMA, .size = UINT64_MAX});
}

void hart_take_fences(struct hart *hart)
{
    struct vm *vm = hart->vm;
    struct hart_fence fence[HART_FENCES_MAX];
    uint64_t posted;
    unsigned n;

    pthread_mutex_lock(&hart->lock);
    atomic_fetch_and(&hart->requests, ~HART_REQ_FENCES);
    n = hart->nfences;
    memcpy(fence, hart->fence, sizeof(fence));
    hart->nfences = 0;
    posted = hart->fences_posted;
    pthread_mutex_unlock(&hart->lock);
    for (unsigned i = 0; i < n; i++)
        vm->engine->fence(hart, &fence[i]);
    atomic_store(&hart->fences_done, posted);
    if (atomic_load(&vm->fence_waiters)) {
        pthread_mutex_lock(&vm->fence_lock);
        pthread_cond_broadcast(&vm->fence_cond);
        pthread_mutex_unlock(&vm->fence_lock);
    }
}

/* Outside: nobody waits for this hart, which takes its fences before the next guest
 * instruction. */
static void guest_leave(struct hart *hart)
{
    struct vm *vm = hart->vm;

    atomic_store(&hart->in_guest, false);
    if (atomic_load(&vm->fence_waiters)) {
        pthread_mutex_lock(&vm->fence_lock);
        pthread_cond_broadcast(&vm->fence_cond);
        pthread_mutex_unlock(&vm->fence_lock);
    }
}

static void guest_enter(struct hart *hart)
{
    atomic_store(&hart->in_guest, true);
    if (atomic_load(&hart->requests) & HART_REQ_FENCES)
        hart_take_fences(hart);
}

/* By the host's clock: the earlier of the hart's own timer and the end of its wait. */
static uint64_t wait_deadline(struct hart *hart, uint64_t ticks)
{
    uint64_t timer = hart->vm->engine->timer_deadline(hart);

    return clock_deadline_ns(&hart->vm->clock, timer < ticks ? timer : ticks);
}

/* Sleeps once, under the hart's lock. False: the time is over. */
static bool wait_sleep(struct hart *hart, uint64_t ticks)
{
    if (ticks != UINT64_MAX && clock_ticks(&hart->vm->clock) >= ticks)
        return false;
    host_cond_wait(&hart->wake, &hart->lock, wait_deadline(hart, ticks));
    return true;
}

void hart_wait(struct hart *hart, enum hart_status status)
{
    hart_wait_until(hart, status, UINT64_MAX);
}

void hart_wait_until(struct hart *hart, enum hart_status status, uint64_t ticks)
{
    struct vm *vm = hart->vm;
    const struct engine *engine = vm->engine;

    if (engine->irq_pending(hart)) /* the usual end of a spin: no lock, no sleep */
        return;
    if (engine->wait) {
        engine->wait(hart, ticks);
        return;
    }
    if (vm->det) { /* gives its turn away; hart_ready() ends the wait */
        hart->idle = true;
        hart->idle_until = ticks;
        hart->yield = YIELD_WAIT;
        hart->status = status;
        return;
    }
    guest_leave(hart);
    if (engine->asleep)
        engine->asleep(hart, true);
    pthread_mutex_lock(&hart->lock);
    hart->status = status;
    atomic_store(&hart->waiting, true);
    while (!(atomic_load(&hart->requests) & ~(HART_REQ_FENCES | HART_REQ_TICK)) &&
           !engine->irq_pending(hart))
        if (!wait_sleep(hart, ticks))
            break;
    atomic_store(&hart->waiting, false);
    hart->status = HART_STARTED;
    pthread_mutex_unlock(&hart->lock);
    if (engine->asleep)
        engine->asleep(hart, false);
    modules_hart_enter(hart);
    guest_enter(hart);
}

void hart_wait_end(struct hart *hart)
{
    if (hart->vm->det)
        hart->idle_until = 0;
    else
        hart_request(hart, HART_REQ_WAKE);
}

/* Puts a fence into a hart's mailbox; too many become one of everything. Returns its ticket. */
static uint64_t fence_post(struct hart *hart, const struct hart_fence *fence)
{
    uint64_t ticket;

    pthread_mutex_lock(&hart->lock);
    if (hart->nfences < HART_FENCES_MAX) {
        hart->fence[hart->nfences++] = *fence;
    } else {
        hart->fence[0] = (struct hart_fence){.kind = FENCE_VMA, .size = UINT64_MAX};
        hart->fence[1] = (struct hart_fence){.kind = FENCE_I};
        hart->nfences = 2;
    }
    ticket = ++hart->fences_posted;
    atomic_fetch_or(&hart->requests, HART_REQ_FENCES);
    pthread_mutex_unlock(&hart->lock);
    hart->vm->engine->kick(hart);
    return ticket;
}

static bool fence_done(struct hart *hart, uint64_t ticket)
{
    return atomic_load(&hart->fences_done) >= ticket || !atomic_load(&hart->in_guest);
}

void hart_fence_all(struct hart *self, uint64_t mask, const struct hart_fence *fence)
{
    struct vm *vm = self->vm;
    uint64_t ticket[PLAT_HARTS_MAX] = {0};
    uint64_t others = mask & ~(1ull << self->index);

    if (mask >> self->index & 1)
        vm->engine->fence(self, fence);
    if (!others)
        return;
    for (unsigned i = 0; i < vm->nharts; i++)
        if (others >> i & 1)
            ticket[i] = fence_post(&vm->hart[i], fence);
    /* While it waits, this hart counts as outside, so that two harts can fence each other. */
    guest_leave(self);
    atomic_fetch_add(&vm->fence_waiters, 1);
    pthread_mutex_lock(&vm->fence_lock);
    for (unsigned i = 0; i < vm->nharts; i++)
        while ((others >> i & 1) && !fence_done(&vm->hart[i], ticket[i]))
            host_cond_wait(&vm->fence_cond, &vm->fence_lock, UINT64_MAX);
    pthread_mutex_unlock(&vm->fence_lock);
    atomic_fetch_sub(&vm->fence_waiters, 1);
    guest_enter(self);
}

/* Waits until a stopped hart is started. False: the VM ends. */
static bool wait_start(struct hart *hart)
{
    pthread_mutex_lock(&hart->lock);
    atomic_store(&hart->waiting, true);
    while (hart->status == HART_STOPPED && !(atomic_load(&hart->requests) & HART_REQ_STOP))
        host_cond_wait(&hart->wake, &hart->lock, UINT64_MAX);
    atomic_store(&hart->waiting, false);
    pthread_mutex_unlock(&hart->lock);
    return !(atomic_load(&hart->requests) & HART_REQ_STOP);
}

/* A hart that stops itself. When it was the last, nothing can ever start one again. */
static void become_stopped(struct hart *hart)
{
    struct vm *vm = hart->vm;
    bool all = true;

    hart->stop_pending = false;
    pthread_mutex_lock(&hart->lock);
    hart->status = HART_STOPPED;
    pthread_mutex_unlock(&hart->lock);
    for (unsigned i = 0; i < vm->nharts; i++)
        all = all && vm->hart[i].status == HART_STOPPED;
    if (all)
        vm_stop(vm, CAUSE_FAULT, STATUS_GUEST_FAULT, hart,
                "every hart has stopped itself; none is left to start another");
}

void hart_run(struct hart *hart)
{
    struct vm *vm = hart->vm;
    int rc;

    modules_hart_enter(hart);
    guest_enter(hart);
    rc = vm->engine->run(hart);
    guest_leave(hart);
    atomic_fetch_and(&hart->requests, ~(HART_REQ_RESTART | HART_REQ_TICK));
    if (rc != 0)
        vm_stop(vm, CAUSE_ENGINE, STATUS_INTERNAL, hart, "engine %s failed: %s",
                vm->engine->name, strerror(-rc));
    if (hart->stop_pending)
        become_stopped(hart);
    if (hart->resume_pending) {
        hart->resume_pending = false;
        hart_enter(hart);
    }
}

static bool idle_over(const struct hart *hart)
{
    return hart->idle_until != UINT64_MAX && clock_ticks(&hart->vm->clock) >= hart->idle_until;
}

bool hart_ready(struct hart *hart)
{
    if (hart->status == HART_STOPPED)
        return false;
    if (hart->status == HART_START_PENDING) {
        if (!hart->boot) {
            modules_hart_reset(hart);
            hart_enter(hart);
        }
        hart->boot = false;
        hart->status = HART_STARTED;
    }
    if (hart->idle) {
        if (!hart->vm->engine->irq_pending(hart) && !idle_over(hart))
            return false;
        hart->idle = false;
        hart->status = HART_STARTED;
    }
    return true;
}

void *hart_thread(void *arg)
{
    struct hart *hart = arg;

    while (wait_start(hart))
        if (hart_ready(hart))
            hart_run(hart);
    return NULL;
}
