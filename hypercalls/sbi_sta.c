/* sbi_sta.c: the SBI STA extension: tells the guest how long others had its processors. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_sta.h"
#include "hypercalls/sbi.h"
#include "vmm/host.h"
#include "vmm/module.h"

/*
 * SBI 3.0, section 16. A hart brings its structure up to date itself, when it goes on in the
 * guest. One that never leaves the guest is called out this often; Linux looks at its ticks,
 * which are hardly more frequent.
 */
#define STA_PERIOD_NS UINT64_C(10000000)

/* What a hart has asked for. Touched by its own thread only, but for `on`. */
struct sta_hart {
    _Atomic bool on;
    gpa_t gpa;
    int handle;     /* of the host's count; -1: not opened yet */
    uint64_t first; /* the count when the guest asked */
    uint64_t steal;
    uint32_t sequence;
};

struct sta {
    struct vm *vm;
    struct sta_hart hart[PLAT_HARTS_MAX];

    pthread_mutex_t lock; /* order: before a hart's */
    pthread_cond_t cond;
    pthread_t thread;
    bool thread_started, stopping;
};

/*
 * The structure lies in one page, and so in one slot of memory: aligned words of it can be
 * stored whole, as the guest's other harts must see them. It may have changed nothing of it;
 * if it did, the sequence goes on as if it had not.
 */
static void steal_store(struct vm *vm, struct sta_hart *sh)
{
    uint8_t *at = mem_ptr(&vm->mem, sh->gpa, SBI_STA_SIZE);
    _Atomic uint32_t *sequence = (_Atomic uint32_t *)(void *)(at + SBI_STA_SEQUENCE);
    _Atomic uint64_t *steal = (_Atomic uint64_t *)(void *)(at + SBI_STA_STEAL);

    atomic_store_explicit(sequence, htole32(++sh->sequence), memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(steal, htole64(sh->steal), memory_order_relaxed);
    atomic_store_explicit(sequence, htole32(++sh->sequence), memory_order_release);
}

static void sta_hart_reset(void *self, struct hart *hart)
{
    struct sta *sta = self;

    atomic_store(&sta->hart[hart->index].on, false);
}

/* Calls harts out of the guest. One that sleeps tells its steal when it wakes. */
static void *sta_thread(void *self)
{
    struct sta *sta = self;
    struct vm *vm = sta->vm;

    pthread_mutex_lock(&sta->lock);
    while (!sta->stopping) {
        for (unsigned i = 0; i < vm->nharts; i++)
            if (atomic_load(&sta->hart[i].on) && atomic_load(&vm->hart[i].in_guest))
                hart_request(&vm->hart[i], HART_REQ_TICK);
        host_cond_wait(&sta->cond, &sta->lock, vm->host->now_ns(vm->host) + STA_PERIOD_NS);
    }
    pthread_mutex_unlock(&sta->lock);
    return NULL;
}

/* The thread is there from the first hart on that asks. */
static bool thread_start(struct sta *sta)
{
    pthread_mutex_lock(&sta->lock);
    if (!sta->thread_started)
        sta->thread_started = pthread_create(&sta->thread, NULL, sta_thread, sta) == 0;
    bool started = sta->thread_started;
    pthread_mutex_unlock(&sta->lock);
    return started;
}

/*
 * A hart that was loaded from a saved state has asked long ago; its thread is a new one, whose
 * delays add to what the guest knows of. False: this host does not tell any more.
 */
static bool sta_go_on(struct sta *sta, struct sta_hart *sh)
{
    struct host *host = sta->vm->host;
    uint64_t now;

    sh->handle = host->delay_open(host);
    if (sh->handle < 0 || host->delay_read(host, sh->handle, &now) != 0 || !thread_start(sta))
        return false;
    sh->first = now - sh->steal;
    return true;
}

static void sta_hart_enter(void *self, struct hart *hart)
{
    struct sta *sta = self;
    struct sta_hart *sh = &sta->hart[hart->index];
    struct host *host = sta->vm->host;
    uint64_t now;

    if (!atomic_load_explicit(&sh->on, memory_order_relaxed))
        return;
    if (sh->handle < 0 && !sta_go_on(sta, sh)) {
        atomic_store(&sh->on, false);
        return;
    }
    if (host->delay_read(host, sh->handle, &now) != 0 || now - sh->first == sh->steal)
        return;
    sh->steal = now - sh->first;
    steal_store(sta->vm, sh);
}

static int sta_begin(struct sta *sta, struct hart *hart, gpa_t gpa)
{
    struct sta_hart *sh = &sta->hart[hart->index];
    struct host *host = sta->vm->host;

    if (sh->handle < 0)
        sh->handle = host->delay_open(host);
    if (sh->handle < 0 || host->delay_read(host, sh->handle, &sh->first) != 0 ||
        !thread_start(sta))
        return SBI_ERR_FAILED;
    mem_zero(&sta->vm->mem, gpa, SBI_STA_SIZE);
    sh->gpa = gpa;
    sh->steal = 0;
    sh->sequence = 0;
    atomic_store(&sh->on, true);
    return SBI_SUCCESS;
}

/* A refused call leaves what was set up before as it is. */
static enum call_disp sbi_sta_set_shmem(void *self, struct hart *hart, struct call *c)
{
    struct sta *sta = self;
    uint64_t lo = c->arg[0], hi = c->arg[1];
    int error;

    if (c->arg[2] != 0)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    if (lo == UINT64_MAX && hi == UINT64_MAX) {
        atomic_store(&sta->hart[hart->index].on, false);
        return sbi_error(c, SBI_SUCCESS);
    }
    if (lo % SBI_STA_SIZE != 0)
        return sbi_error(c, SBI_ERR_INVALID_PARAM);
    error = sbi_shmem(hart->vm, lo, hi, SBI_STA_SIZE);
    return sbi_error(c, error == SBI_SUCCESS ? sta_begin(sta, hart, lo) : error);
}

/* A host that does not tell has no steal time to report: the extension is absent. */
static bool host_tells(struct host *host)
{
    uint64_t ns;
    bool tells;
    int handle = host->delay_open ? host->delay_open(host) : -ENOSYS;

    if (handle < 0)
        return false;
    tells = host->delay_read(host, handle, &ns) == 0;
    host->delay_close(host, handle);
    return tells;
}

static int sta_create(struct module_instance *inst, struct error *err)
{
    struct sta *sta;

    if (inst->vm->config->deterministic) {
        error_set(err, STATUS_CONFIG,
                  "sbi-sta: what others do to the host's processors differs from run to run; "
                  "leave it out of a deterministic one");
        return -ENODEV;
    }
    if (!host_tells(inst->vm->host)) {
        error_set(err, STATUS_UNAVAILABLE,
                  "sbi-sta: this host does not count how long threads wait for a processor");
        return -ENODEV;
    }
    sta = calloc(1, sizeof(*sta));
    if (!sta)
        return -ENOMEM;
    sta->vm = inst->vm;
    for (unsigned i = 0; i < PLAT_HARTS_MAX; i++)
        sta->hart[i].handle = -1;
    pthread_mutex_init(&sta->lock, NULL);
    host_cond_init(&sta->cond);
    inst->self = sta;
    return 0;
}

static void sta_save(void *self, struct state_writer *w)
{
    const struct sta *sta = self;

    for (unsigned i = 0; i < sta->vm->nharts; i++) {
        const struct sta_hart *sh = &sta->hart[i];
        bool on = atomic_load(&sh->on);

        state_put_u64(w, on);
        state_put_u64(w, on ? sh->gpa : 0);
        state_put_u64(w, on ? sh->steal : 0);
        state_put_u64(w, on ? sh->sequence : 0);
    }
}

static void sta_load(void *self, struct state_reader *r)
{
    struct sta *sta = self;

    for (unsigned i = 0; i < sta->vm->nharts; i++) {
        struct sta_hart *sh = &sta->hart[i];
        bool on = state_get_max(r, 1);

        sh->gpa = state_get_u64(r);
        sh->steal = state_get_u64(r);
        sh->sequence = (uint32_t)state_get_max(r, UINT32_MAX);
        if (on &&
            (sh->gpa % SBI_STA_SIZE != 0 || !mem_valid(&sta->vm->mem, sh->gpa, SBI_STA_SIZE)))
            r->error = -EINVAL;
        atomic_store(&sh->on, on && r->error == 0);
    }
}

static void sta_destroy(void *self)
{
    struct sta *sta = self;
    struct host *host = sta->vm->host;

    pthread_mutex_lock(&sta->lock);
    sta->stopping = true;
    pthread_cond_broadcast(&sta->cond);
    pthread_mutex_unlock(&sta->lock);
    if (sta->thread_started)
        pthread_join(sta->thread, NULL);
    for (unsigned i = 0; i < PLAT_HARTS_MAX; i++)
        if (sta->hart[i].handle >= 0)
            host->delay_close(host, sta->hart[i].handle);
    pthread_cond_destroy(&sta->cond);
    pthread_mutex_destroy(&sta->lock);
    free(sta);
}

const struct module module_sbi_sta = {
    .name = "sbi-sta",
    .summary = "SBI STA: how long others had the guest's processors",
    .starts = MODULE_KERNEL,
    .archs = ARCH_RISCV64,
    .calls = sbi_sta_calls,
    .ncalls = sizeof(sbi_sta_calls) / sizeof(sbi_sta_calls[0]),
    .create = sta_create,
    .destroy = sta_destroy,
    .save = sta_save,
    .load = sta_load,
    .hart_reset = sta_hart_reset,
    .hart_enter = sta_hart_enter,
};
