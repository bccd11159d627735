/* tg_event.c: events for a guest to wait for: timers, signals to the monitor, descriptors. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "guest/abi/platform.h"
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/tg_event.h"
#include "hypercalls/tg.h"
#include "vmm/call_error.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/policy.h"
#include "vmm/post.h"
#include "vmm/vm.h"

#define SIGNALS   65   /* Linux has 1 to 64 */
#define FD_BYTES  4096 /* read of a descriptor before the guest has acknowledged them */
#define NS_PER_S  UINT64_C(1000000000)
#define FD_FIRST  3 /* those below are the console's and the messages' */
#define FDS_MAX   16
#define ID_SHIFT  5 /* an id is a serial number, never 0, above the place in the table */
#define ID_SERIAL (UINT64_MAX >> ID_SHIFT)

/* How long a deterministic VM may be idle before it looks for what came from outside. */
#define OUTSIDE_NS UINT64_C(1000000)

_Static_assert(TG_EVENT_MAX == 1 << ID_SHIFT, "an id holds the place in the table");

__extension__ typedef unsigned __int128 wide;

enum event_kind { EVENT_NONE, EVENT_TIMER, EVENT_SIGNAL, EVENT_DESCRIPTOR };

/*
 * A subscription. A timer is a matter of arithmetic: how often it has happened follows from the
 * time, so nobody has to be there when it does. The others have a thread that sleeps in the
 * host until there is something; while that is not acknowledged it leaves the source alone, so
 * that neither a writer in a hurry nor a guest that does not look costs more than one read.
 */
struct subscription {
    struct tg_event *owner;
    enum event_kind kind;
    bool live; /* made, and not being cancelled */
    uint64_t id;

    uint64_t first, period, acked; /* of a timer: ns, ns, times */

    uint64_t number; /* of the signal or descriptor */
    uint64_t count;  /* not acknowledged */
    int error;       /* errno with which the source has ended; 0: it has not */
    bool told;       /* the guest knows */
    int fd, notify_fd;
    bool counter; /* a read gives a number, not bytes */
    bool stopping;
    pthread_t thread;
};

struct tg_event {
    struct vm *vm;
    pthread_mutex_t lock; /* order: before a hart's */
    struct subscription sub[TG_EVENT_MAX];
    uint64_t serial;        /* of the last id */
    unsigned next;          /* where wait looks first */
    uint64_t sleepers;      /* harts in a wait, a mask */
    int signal_fd[SIGNALS]; /* of those that are granted, plus 1; 0: it is not */
};

/* The sources are the real host's in a deterministic run too: who lets them in answers for it.
 */
static struct host *event_host(const struct tg_event *te)
{
    return te->vm->det ? te->vm->det->real : te->vm->host;
}

/* Time, as tg.clock.now has it. */
static uint64_t guest_ns(struct hart *hart)
{
    struct vm *vm = hart->vm;
    const struct engine *engine = vm->engine;
    uint64_t ticks = engine->time ? engine->time(hart) : clock_ticks(&vm->clock);
    uint64_t hz = engine->timebase_hz ? engine->timebase_hz(vm) : PLAT_TIMEBASE_HZ;

    return (uint64_t)((wide)ticks * NS_PER_S / hz);
}

/* The tick of the VM's clock at which that time comes, never before it. */
static uint64_t deadline_ticks(struct hart *hart, uint64_t now, uint64_t until)
{
    uint64_t ticks = clock_ticks(&hart->vm->clock), left;

    if (until == UINT64_MAX)
        return UINT64_MAX;
    left = until > now ? until - now : 0;
    left = left / CLOCK_NS_PER_TICK + (left % CLOCK_NS_PER_TICK != 0);
    return left < UINT64_MAX - ticks ? ticks + left : UINT64_MAX;
}

/* --- what has happened; under lock --- */

static uint64_t timer_happened(const struct subscription *s, uint64_t now)
{
    if (now < s->first)
        return 0;
    return s->period > 0 ? (now - s->first) / s->period + 1 : 1;
}

/* When it happens next; UINT64_MAX: never. */
static uint64_t timer_next(const struct subscription *s, uint64_t now)
{
    uint64_t next;

    if (now < s->first)
        return s->first;
    if (s->period == 0 || __builtin_mul_overflow(timer_happened(s, now), s->period, &next) ||
        __builtin_add_overflow(next, s->first, &next))
        return UINT64_MAX;
    return next;
}

static bool sub_pending(const struct subscription *s, uint64_t now)
{
    if (!s->live)
        return false;
    if (s->kind == EVENT_TIMER)
        return timer_happened(s, now) > s->acked;
    return s->count > 0 || (s->error != 0 && !s->told);
}

static struct subscription *sub_find(struct tg_event *te, uint64_t id)
{
    struct subscription *s = &te->sub[id % TG_EVENT_MAX];

    return s->live && s->id == id ? s : NULL;
}

/* Harts that wait look again. */
static void sleepers_wake(struct tg_event *te)
{
    for (unsigned i = 0; i < te->vm->nharts; i++)
        if (te->sleepers >> i & 1)
            hart_wait_end(&te->vm->hart[i]);
}

/* --- sources with a thread --- */

/* What a read gave: how often it happened, or as a negative number why it ended. */
static void source_happened(void *self, uint64_t arg)
{
    struct subscription *s = self;
    struct tg_event *te = s->owner;
    int64_t n = (int64_t)arg;

    pthread_mutex_lock(&te->lock);
    if (n > 0)
        s->count = (uint64_t)n;
    else
        s->error = (int)-n;
    if (!te->vm->det) /* there harts look by themselves: OUTSIDE_NS */
        sleepers_wake(te);
    pthread_mutex_unlock(&te->lock);
}

/* Reads the source; what happened, or 0: nothing yet. */
static int64_t source_read(struct subscription *s)
{
    struct host *host = event_host(s->owner);
    union {
        uint64_t count;
        uint8_t bytes[FD_BYTES];
    } buf;
    ssize_t n;

    memset(&buf, 0, sizeof(buf.count));
    n = host->read(host, s->fd, &buf, s->counter ? sizeof(buf.count) : sizeof(buf));
    if (n == -EINTR || n == -EAGAIN)
        return 0;
    if (n == 0)
        return -EPIPE;
    if (n < 0 || !s->counter)
        return n;
    if (n != sizeof(buf.count))
        return -EIO;
    return buf.count < INT64_MAX ? (int64_t)buf.count : INT64_MAX;
}

/* One round of its thread. False: it is to end. */
static bool source_poll(struct subscription *s)
{
    struct tg_event *te = s->owner;
    struct host *host = event_host(te);
    bool ready = false, watch;
    eventfd_t drained;
    int64_t n;
    int rc;

    pthread_mutex_lock(&te->lock);
    watch = s->count == 0 && s->error == 0;
    pthread_mutex_unlock(&te->lock);
    rc = host->wait(host, watch ? s->fd : -1, s->notify_fd, -1, &ready);
    (void)eventfd_read(s->notify_fd, &drained);
    pthread_mutex_lock(&te->lock);
    bool stopping = s->stopping;
    pthread_mutex_unlock(&te->lock);
    if (stopping || atomic_load(&te->vm->stopping))
        return false;
    /* A descriptor that cannot be waited for (rc < 0) is read: the read says what is wrong. */
    n = watch && (ready || rc < 0) ? source_read(s) : 0;
    if (n != 0)
        vm_post(te->vm, source_happened, s, (uint64_t)n);
    return true;
}

static void *source_thread(void *arg)
{
    while (source_poll(arg))
        ;
    return NULL;
}

static void source_notify(const struct subscription *s)
{
    /* Fails only when the counter is full, and then the thread wakes anyway. */
    (void)eventfd_write(s->notify_fd, 1);
}

/* The descriptors that the user names. How many; -1: one is none. */
static int option_numbers(const struct module_instance *inst, const char *key,
                          uint64_t number[FDS_MAX])
{
    int n = 0;

    for (unsigned i = 0; i < inst->noptions; i++) {
        const char *text = inst->options[i].value;
        char *end;

        if (strcmp(inst->options[i].key, key) != 0)
            continue;
        if (n == FDS_MAX)
            return -1;
        errno = 0;
        number[n] = strtoul(text, &end, 10);
        if (*text < '0' || *text > '9' || *end != '\0' || errno != 0)
            return -1;
        n++;
    }
    return n;
}

static bool option_names(const struct tg_event *te, const char *key, uint64_t number)
{
    for (unsigned i = 0; i < te->vm->ninstances; i++) {
        uint64_t list[FDS_MAX];
        int n = te->vm->instance[i].self == te ? option_numbers(&te->vm->instance[i], key, list)
                                               : 0;

        for (int j = 0; j < n; j++)
            if (list[j] == number)
                return true;
    }
    return false;
}

/* Finds what the guest may listen to by that number. 0 or -errno. */
static int source_find(struct subscription *s)
{
    struct tg_event *te = s->owner;
    struct host *host = event_host(te);
    uint64_t before;

    if (s->kind == EVENT_DESCRIPTOR) {
        if (s->number > INT_MAX || !option_names(te, "fd", s->number))
            return -EACCES;
        s->fd = (int)s->number;
        return host_fd_inherited(s->fd, &s->counter) ? 0 : -EBADF;
    }
    if (s->number >= SIGNALS || te->signal_fd[s->number] == 0)
        return -EACCES;
    s->fd = te->signal_fd[s->number] - 1;
    s->counter = true;
    (void)host->read(host, s->fd, &before, sizeof(before)); /* those before do not count */
    return 0;
}

static int source_start(struct subscription *s)
{
    struct vm *vm = s->owner->vm;
    int rc = source_find(s);

    if (rc != 0)
        return rc;
    s->notify_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->notify_fd < 0)
        return -errno;
    rc = pthread_create(&s->thread, NULL, source_thread, s);
    if (rc != 0) {
        close(s->notify_fd);
        return -rc;
    }
    if (vm->det)
        atomic_fetch_add(&vm->det->outside, 1);
    return 0;
}

/* Under no lock: the thread may want it. */
static void source_stop(struct subscription *s)
{
    struct tg_event *te = s->owner;

    pthread_mutex_lock(&te->lock);
    s->stopping = true;
    pthread_mutex_unlock(&te->lock);
    source_notify(s);
    pthread_join(s->thread, NULL);
    close(s->notify_fd);
    if (te->vm->det)
        atomic_fetch_sub(&te->vm->det->outside, 1);
}

/* --- subscriptions --- */

/*
 * A place in the table, not live yet; -EBUSY when the source has one, -ENOSPC when all are
 * taken.
 */
static int sub_take(struct tg_event *te, const struct subscription *like,
                    struct subscription **taken)
{
    struct subscription *s = NULL;

    pthread_mutex_lock(&te->lock);
    for (unsigned i = TG_EVENT_MAX; i-- > 0;) {
        struct subscription *other = &te->sub[i];

        if (other->kind == EVENT_NONE) {
            s = other;
        } else if (other->kind == like->kind && like->kind != EVENT_TIMER &&
                   other->number == like->number) {
            pthread_mutex_unlock(&te->lock);
            return -EBUSY;
        }
    }
    if (s) {
        *s = *like;
        s->owner = te;
        te->serial = te->serial < ID_SERIAL ? te->serial + 1 : 1;
        s->id = te->serial << ID_SHIFT | (uint64_t)(s - te->sub);
    }
    pthread_mutex_unlock(&te->lock);
    *taken = s;
    return s ? 0 : -ENOSPC;
}

/* From here on it is named by wait; or it is given back. */
static void sub_settle(struct subscription *s, bool live)
{
    struct tg_event *te = s->owner;

    pthread_mutex_lock(&te->lock);
    s->live = live;
    if (live)
        sleepers_wake(te); /* a timer may be due before what they wait for */
    else
        s->kind = EVENT_NONE;
    pthread_mutex_unlock(&te->lock);
}

static enum call_disp source_subscribe(struct tg_event *te, struct call *c,
                                       enum event_kind kind)
{
    const struct subscription like = {.kind = kind, .number = c->arg[0]};
    struct subscription *s;
    int rc = sub_take(te, &like, &s);

    if (rc != 0)
        return call_host_failed(c, rc);
    uint64_t id = s->id;
    rc = source_start(s);
    sub_settle(s, rc == 0);
    return rc == 0 ? tg_value(c, id) : call_host_failed(c, rc);
}

static enum call_disp tg_event_signal(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    return source_subscribe(self, c, EVENT_SIGNAL);
}

static enum call_disp tg_event_descriptor(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    return source_subscribe(self, c, EVENT_DESCRIPTOR);
}

static enum call_disp tg_event_timer(void *self, struct hart *hart, struct call *c)
{
    uint64_t now = guest_ns(hart);
    const struct subscription like = {
        .kind = EVENT_TIMER,
        .first = c->arg[0] > now ? c->arg[0] : now,
        .period = c->arg[1],
    };
    struct subscription *s;
    int rc = sub_take(self, &like, &s);

    if (rc != 0)
        return call_host_failed(c, rc);
    uint64_t id = s->id;
    sub_settle(s, true);
    return tg_value(c, id);
}

static enum call_disp tg_event_cancel(void *self, struct hart *hart, struct call *c)
{
    struct tg_event *te = self;
    struct subscription *s;

    (void)hart;
    pthread_mutex_lock(&te->lock);
    s = sub_find(te, c->arg[0]);
    if (s)
        s->live = false; /* nobody else cancels it, and its place is not taken yet */
    pthread_mutex_unlock(&te->lock);
    if (!s)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    if (s->kind != EVENT_TIMER)
        source_stop(s);
    sub_settle(s, false);
    return tg_value(c, 0);
}

/* Under lock. */
static enum call_disp sub_ack(struct subscription *s, uint64_t now, struct call *c)
{
    uint64_t n;

    if (s->kind == EVENT_TIMER) {
        uint64_t happened = timer_happened(s, now);

        n = happened > s->acked ? happened - s->acked : 0;
        s->acked += n;
        return tg_value(c, n);
    }
    n = s->count;
    s->count = 0;
    if (n == 0 && s->error != 0) {
        s->told = true;
        return call_host_failed(c, -s->error);
    }
    if (n > 0)
        source_notify(s); /* on to the next */
    return tg_value(c, n);
}

static enum call_disp tg_event_ack(void *self, struct hart *hart, struct call *c)
{
    struct tg_event *te = self;
    uint64_t now = guest_ns(hart);
    enum call_disp disp;
    struct subscription *s;

    pthread_mutex_lock(&te->lock);
    s = sub_find(te, c->arg[0]);
    disp = s ? sub_ack(s, now, c) : tg_error(c, SBI_ERR_INVALID_PARAM);
    pthread_mutex_unlock(&te->lock);
    return disp;
}

/* --- waiting --- */

/* The next that has happened, in turn; 0: none. Under lock. */
static uint64_t pending_next(struct tg_event *te, uint64_t now)
{
    for (unsigned i = 0; i < TG_EVENT_MAX; i++) {
        unsigned at = (te->next + i) % TG_EVENT_MAX;

        if (sub_pending(&te->sub[at], now)) {
            te->next = (at + 1) % TG_EVENT_MAX;
            return te->sub[at].id;
        }
    }
    return 0;
}

/* When to look again at the latest. Under lock. */
static uint64_t wait_limit(const struct tg_event *te, uint64_t now, uint64_t until)
{
    for (unsigned i = 0; i < TG_EVENT_MAX; i++) {
        const struct subscription *s = &te->sub[i];

        if (s->live && s->kind == EVENT_TIMER && timer_next(s, now) < until)
            until = timer_next(s, now);
    }
    if (te->vm->det && atomic_load(&te->vm->det->outside) > 0 && until > now + OUTSIDE_NS)
        until = now + OUTSIDE_NS;
    return until;
}

/*
 * The time to wait until is absolute, so a call that is made again has nothing to remember: it
 * may be parked for a stop, a saved machine or an interrupt's sake at any moment.
 */
static enum call_disp tg_event_wait(void *self, struct hart *hart, struct call *c)
{
    struct tg_event *te = self;
    uint64_t until = c->arg[0], now = guest_ns(hart), self_bit = UINT64_C(1) << hart->index;
    uint64_t id, ticks;

    pthread_mutex_lock(&te->lock);
    te->sleepers &= ~self_bit; /* of a wait that has ended outside */
    id = pending_next(te, now);
    if (id != 0 || until <= now || hart->vm->engine->irq_pending(hart)) {
        pthread_mutex_unlock(&te->lock);
        return tg_value(c, id);
    }
    te->sleepers |= self_bit;
    ticks = deadline_ticks(hart, now, wait_limit(te, now, until));
    pthread_mutex_unlock(&te->lock);
    hart_wait_until(hart, HART_STARTED, ticks);
    if (!hart->vm->det && !hart->vm->engine->wait) { /* else it is only about to wait */
        pthread_mutex_lock(&te->lock);
        te->sleepers &= ~self_bit;
        pthread_mutex_unlock(&te->lock);
    }
    return CALL_PARK;
}

/* --- life --- */

static int option_check(const struct module_instance *inst, struct error *err)
{
    uint64_t list[FDS_MAX];
    bool counter;
    int n = option_numbers(inst, "fd", list);

    if (n < 0 || option_numbers(inst, "signal", list) < 0)
        return error_set(err, STATUS_USAGE,
                         "--device tg-event: fd= and signal= take a number each; give "
                         "fd=N,signal=N,...");
    n = option_numbers(inst, "fd", list);
    for (int i = 0; i < n; i++)
        if (list[i] < FD_FIRST || list[i] > INT_MAX ||
            !host_fd_inherited((int)list[i], &counter))
            return error_set(err, STATUS_USAGE,
                             "--device tg-event: fd=%llu is no descriptor that was passed to "
                             "tollgate; give one from %d on that the shell has opened",
                             (unsigned long long)list[i], FD_FIRST);
    return 0;
}

static int tg_event_create(struct module_instance *inst, struct error *err)
{
    struct tg_event *te;
    int rc = option_check(inst, err);

    if (rc != 0)
        return rc;
    te = calloc(1, sizeof(*te));
    if (!te)
        return -ENOMEM;
    te->vm = inst->vm;
    pthread_mutex_init(&te->lock, NULL);
    inst->self = te;
    return 0;
}

/*
 * Signals that are granted are taken from the start on, so that one that comes before the guest
 * listens does not end the monitor.
 */
static int tg_event_ready(void *self, struct error *err)
{
    struct tg_event *te = self;
    struct host *host = te->vm->host;

    for (int signo = 1; signo < SIGNALS; signo++) {
        int fd;

        if (!policy_number_allowed(te->vm, "tg-event", (uint64_t)signo) &&
            !option_names(te, "signal", (uint64_t)signo))
            continue;
        fd = host->signal_open ? host->signal_open(host, signo) : -ENOSYS;
        if (fd < 0)
            return error_set(err, STATUS_USAGE,
                             "tg-event: signal %d cannot be a guest's event: %s; grant 10, 12, "
                             "14, 28 or 35 to 64",
                             signo, strerror(-fd));
        te->signal_fd[signo] = fd + 1;
    }
    return 0;
}

/* Nobody is subscribed. No hart is in a call. */
static void tg_event_reset(void *self)
{
    struct tg_event *te = self;

    for (unsigned i = 0; i < TG_EVENT_MAX; i++) {
        if (te->sub[i].live && te->sub[i].kind != EVENT_TIMER)
            source_stop(&te->sub[i]);
        te->sub[i] = (struct subscription){.kind = EVENT_NONE};
    }
    te->serial = 0;
    te->next = 0;
    te->sleepers = 0;
}

static void tg_event_destroy(void *self)
{
    struct tg_event *te = self;
    struct host *host = te->vm->host;

    tg_event_reset(te);
    for (int signo = 1; signo < SIGNALS; signo++)
        if (te->signal_fd[signo] != 0)
            host->signal_close(host, signo);
    pthread_mutex_destroy(&te->lock);
    free(te);
}

static void tg_event_save(void *self, struct state_writer *w)
{
    struct tg_event *te = self;

    pthread_mutex_lock(&te->lock);
    state_put_u64(w, te->serial);
    state_put_u64(w, te->next);
    state_put_u64(w, te->sleepers);
    for (unsigned i = 0; i < TG_EVENT_MAX; i++) {
        const struct subscription *s = &te->sub[i];

        state_put_u64(w, s->kind);
        if (s->kind == EVENT_NONE)
            continue;
        state_put_u64(w, s->id);
        state_put_u64(w, s->first);
        state_put_u64(w, s->period);
        state_put_u64(w, s->acked);
        state_put_u64(w, s->number);
        state_put_u64(w, s->count);
        state_put_u64(w, (uint64_t)s->error);
        state_put_u64(w, s->told);
    }
    pthread_mutex_unlock(&te->lock);
}

static void sub_load(struct subscription *s, struct state_reader *r)
{
    s->id = state_get_u64(r);
    s->first = state_get_u64(r);
    s->period = state_get_u64(r);
    s->acked = state_get_u64(r);
    s->number = state_get_u64(r);
    s->count = state_get_max(r, INT64_MAX);
    s->error = (int)state_get_max(r, INT_MAX);
    s->told = state_get_max(r, 1);
}

/* Signals and descriptors must be granted to this run as they were to the one that was saved.
 */
static void tg_event_load(void *self, struct state_reader *r)
{
    struct tg_event *te = self;

    tg_event_reset(te); /* what an earlier load subscribed to is over */
    te->serial = state_get_max(r, ID_SERIAL);
    te->next = (unsigned)state_get_max(r, TG_EVENT_MAX - 1);
    te->sleepers = state_get_max(r, UINT64_MAX >> (64 - te->vm->nharts));
    for (unsigned i = 0; i < TG_EVENT_MAX && r->error == 0; i++) {
        struct subscription *s = &te->sub[i];
        enum event_kind kind = (enum event_kind)state_get_max(r, EVENT_DESCRIPTOR);

        if (kind == EVENT_NONE)
            continue;
        *s = (struct subscription){.owner = te, .kind = kind};
        sub_load(s, r);
        if (r->error == 0 && (s->id % TG_EVENT_MAX != i || s->id < TG_EVENT_MAX))
            r->error = -EINVAL;
        if (r->error == 0 && kind != EVENT_TIMER)
            r->error = source_start(s);
        s->live = r->error == 0;
    }
}

static const struct module_key tg_event_keys[] = {
    {"fd",     "a descriptor that tollgate was started with, for a guest to listen to"},
    {"signal", "a signal to tollgate that a guest may listen to, by number"           },
    {NULL,     NULL                                                                   },
};

const struct module module_tg_event = {
    .name = "tg-event",
    .summary = "events to wait for: timers, signals to the monitor, descriptors",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .keys = tg_event_keys,
    .calls = tg_event_calls,
    .ncalls = sizeof(tg_event_calls) / sizeof(tg_event_calls[0]),
    .create = tg_event_create,
    .ready = tg_event_ready,
    .reset = tg_event_reset,
    .destroy = tg_event_destroy,
    .save = tg_event_save,
    .load = tg_event_load,
};
