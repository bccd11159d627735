/* test_tg_event.c: events: timers, sources that fail, who waits, what is saved. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tests/unit/snapshot.h"
#include "tests/unit/suites.h"
#include "tests/unit/tg.h"
#include "vmm/call_error.h"

extern const struct module module_tg_event;

#define MS UINT64_C(1000000)

static struct fixture f, g;
static bool interrupted; /* what the engine says of pending interrupts */

static bool engine_irq_pending(struct hart *hart)
{
    (void)hart;
    return interrupted;
}

static uint64_t engine_timer_deadline(struct hart *hart)
{
    (void)hart;
    return UINT64_MAX;
}

static int start(struct fixture *fx, const char *key, const char *value)
{
    int rc = tg_start(fx, &module_tg_event, key, value);

    fx->engine.irq_pending = engine_irq_pending;
    fx->engine.timer_deadline = engine_timer_deadline;
    interrupted = false;
    return rc;
}

/* A descriptor as a shell passes it: not closed on exec. The mock reads in its place. */
static int passed(int *other)
{
    int fd[2];

    if (pipe(fd) < 0)
        abort();
    *other = fd[1];
    return fd[0];
}

static int start_fd(struct fixture *fx, int fd)
{
    static char text[16]; /* options are borrowed */

    snprintf(text, sizeof(text), "%d", fd);
    return start(fx, "fd", text);
}

static struct call event(struct fixture *fx, uint64_t fn, uint64_t a, uint64_t b)
{
    return tg_call(fx, TG_EXT_EVENT, fn, a, b, 0, 0);
}

/* Makes the call again while it is parked, as an engine does. */
static uint64_t wait_by(unsigned hart)
{
    struct call c;

    do {
        atomic_fetch_and(&f.hart[hart].requests, ~HART_REQ_WAKE);
        c = tg_call_by(&f, hart, TG_EXT_EVENT, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0, 0, 0);
    } while (c.disp == CALL_PARK);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    return c.value;
}

static bool answers(struct call c, int64_t error, uint64_t value)
{
    return c.disp == CALL_RET2 && c.error == error && c.value == value;
}

static uint64_t timer(struct fixture *fx, uint64_t first, uint64_t period)
{
    struct call c = event(fx, TG_EVENT_TIMER, first, period);

    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_NOT_EQUAL(c.value, 0);
    return c.value;
}

static void test_timer(void)
{
    uint64_t id;

    CU_ASSERT_EQUAL_FATAL(start(&f, NULL, NULL), 0);
    id = timer(&f, 10 * MS, 3 * MS);
    mock_advance(&f.mock, 10 * MS - 100);
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, 0, 0), 0, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 0));
    mock_advance(&f.mock, 100);
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0), 0, id));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 1));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 0));
    mock_advance(&f.mock, 10 * MS); /* 13, 16, 19 */
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 3));
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, 20 * MS, 0), 0, 0)); /* that is now */
    CU_ASSERT(answers(event(&f, TG_EVENT_CANCEL, id, 0), 0, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_CANCEL, id, 0), SBI_ERR_INVALID_PARAM, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), SBI_ERR_INVALID_PARAM, 0));
    tg_end(&f);
}

/* Times at the ends of what a word holds. */
static void test_timer_limits(void)
{
    uint64_t never, past, once;

    CU_ASSERT_EQUAL_FATAL(start(&f, NULL, NULL), 0);
    mock_advance(&f.mock, 5 * MS);
    never = timer(&f, UINT64_MAX, UINT64_MAX);
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, 0, 0), 0, 0));
    past = timer(&f, 0, 1);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, past, 0), 0, 1)); /* from now on, not from 0 */
    mock_advance(&f.mock, 1000);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, past, 0), 0, 1000));
    once = timer(&f, 0, UINT64_MAX);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, once, 0), 0, 1));
    mock_advance(&f.mock, UINT64_C(1) << 62);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, never, 0), 0, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, once, 0), 0, 0));
    /* A wait with these, cut short by a stop. */
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_CANCEL, past, 0).error, 0);
    atomic_store(&f.hart[0].requests, HART_REQ_STOP);
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0).disp, CALL_PARK);
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER - 1, 0).disp, CALL_PARK);
    interrupted = true;
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0), 0, 0));
    tg_end(&f);
}

static void test_table(void)
{
    uint64_t id[TG_EVENT_MAX];
    struct call c;

    CU_ASSERT_EQUAL_FATAL(start(&f, NULL, NULL), 0);
    for (unsigned i = 0; i < TG_EVENT_MAX; i++)
        id[i] = timer(&f, 0, 0);
    CU_ASSERT(answers(event(&f, TG_EVENT_TIMER, 0, 0), SBI_ERR_FAILED, ENOSPC));
    for (unsigned i = 0; i < 2 * TG_EVENT_MAX; i++) /* in turn, and again */
        CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, 0, 0), 0, id[i % TG_EVENT_MAX]));
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_CANCEL, id[7], 0).error, 0);
    c = event(&f, TG_EVENT_TIMER, 0, 0);
    CU_ASSERT(c.error == 0 && c.value != id[7]);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id[7], 0), SBI_ERR_INVALID_PARAM, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, 0, 0), SBI_ERR_INVALID_PARAM, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, UINT64_MAX, 0), SBI_ERR_INVALID_PARAM, 0));
    tg_end(&f);
}

/* A host that is interrupted, has nothing after all, and then fails. */
static void test_descriptor(void)
{
    int other, fd = passed(&other);
    uint64_t id;

    CU_ASSERT_EQUAL_FATAL(start_fd(&f, fd), 0);
    mock_read_result(&f.mock, -EINTR);
    mock_read_text(&f.mock, "abc");
    mock_read_result(&f.mock, -EAGAIN);
    mock_read_text(&f.mock, "d");
    mock_read_result(&f.mock, -EIO);
    id = event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0).value;
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0), SBI_ERR_FAILED, EBUSY));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 3));
    CU_ASSERT_EQUAL(wait_by(1), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 1));
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), SBI_ERR_IO, EIO));
    CU_ASSERT(answers(event(&f, TG_EVENT_WAIT, 0, 0), 0, 0));
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), SBI_ERR_IO, EIO));
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_CANCEL, id, 0).error, 0);
    mock_read_result(&f.mock, 0); /* the end of a file */
    id = event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0).value;
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), SBI_ERR_FAILED, EPIPE));
    CU_ASSERT(
        answers(event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)other, 0), SBI_ERR_DENIED, EACCES));
    CU_ASSERT(answers(event(&f, TG_EVENT_DESCRIPTOR, UINT64_MAX, 0), SBI_ERR_DENIED, EACCES));
    tg_end(&f);
    close(fd);
    close(other);
}

static void real_io(struct fixture *fx)
{
    fx->mock.host.read = host_real()->read;
    fx->mock.host.wait = host_real()->wait;
}

static void test_counter(void)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t id;

    CU_ASSERT_EQUAL_FATAL(start_fd(&f, fd), 0);
    real_io(&f);
    id = event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0).value;
    CU_ASSERT_EQUAL(eventfd_write(fd, 5), 0);
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 5));
    CU_ASSERT_EQUAL(eventfd_write(fd, UINT64_MAX - 1), 0); /* all that it can hold */
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, INT64_MAX));
    tg_end(&f); /* with its thread asleep */
    close(fd);
}

/* --- signals --- */

static int fake_fd, fake_closed;

static int fake_signal_open(struct host *host, int signo)
{
    (void)host;
    if (signo != SIGUSR1)
        return -EINVAL;
    fake_fd = eventfd(1, EFD_NONBLOCK); /* one that came too early */
    return fake_fd;
}

static void fake_signal_close(struct host *host, int signo)
{
    (void)host;
    fake_closed = signo;
}

static void test_signal(void)
{
    struct tg_event *te;
    uint64_t id;

    CU_ASSERT_EQUAL_FATAL(start(&f, "signal", "10"), 0);
    real_io(&f);
    te = f.inst[0].self;
    CU_ASSERT(answers(event(&f, TG_EVENT_SIGNAL, 10, 0), SBI_ERR_DENIED, EACCES));
    CU_ASSERT_EQUAL(module_tg_event.ready(te, &f.err), -EINVAL); /* a host without signals */
    f.mock.host.signal_open = fake_signal_open;
    f.mock.host.signal_close = fake_signal_close;
    CU_ASSERT_EQUAL_FATAL(module_tg_event.ready(te, &f.err), 0);
    CU_ASSERT(answers(event(&f, TG_EVENT_SIGNAL, 12, 0), SBI_ERR_DENIED, EACCES));
    CU_ASSERT(answers(event(&f, TG_EVENT_SIGNAL, 65, 0), SBI_ERR_DENIED, EACCES));
    id = event(&f, TG_EVENT_SIGNAL, 10, 0).value;
    CU_ASSERT_EQUAL(eventfd_write(fake_fd, 2), 0);
    CU_ASSERT_EQUAL(wait_by(0), id);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, id, 0), 0, 2));
    tg_end(&f);
    CU_ASSERT_EQUAL(fake_closed, SIGUSR1);
    close(fake_fd);
    CU_ASSERT_EQUAL_FATAL(start(&f, "signal", "15"), 0);
    f.mock.host.signal_open = fake_signal_open;
    CU_ASSERT_NOT_EQUAL(module_tg_event.ready(f.inst[0].self, &f.err), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "signal 15"));
    tg_end(&f);
}

static void test_host_signal(void)
{
    static const int refused[] = {0, SIGTERM, SIGSEGV, SIGKILL, SIGCHLD, 32, 65, -1};
    struct sigaction before, after;
    eventfd_t n = 0;
    int fd;

    sigaction(SIGUSR2, NULL, &before);
    fd = host_signal_open(NULL, SIGUSR2);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(host_signal_open(NULL, SIGUSR2), -EBUSY);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CU_ASSERT_EQUAL(host_signal_open(NULL, refused[i]), -EINVAL);
    CU_ASSERT_EQUAL(host_signal_open(NULL, SIGRTMIN), -EINVAL);
    CU_ASSERT_EQUAL(host_signal_open(NULL, SIGURG), -EINVAL); /* it kicks threads */
    raise(SIGUSR2);
    raise(SIGUSR2);
    CU_ASSERT(eventfd_read(fd, &n) == 0 && n == 2);
    raise(SIGUSR2);
    host_signal_close(NULL, SIGUSR2);
    sigaction(SIGUSR2, NULL, &after);
    CU_ASSERT(before.sa_handler == after.sa_handler);
    fd = host_signal_open(NULL, SIGUSR2); /* forgets what came before */
    CU_ASSERT(fd >= 0 && eventfd_read(fd, &n) != 0);
    host_signal_close(NULL, SIGUSR2);
}

/* --- harts --- */

static void *waiter(void *arg)
{
    *(uint64_t *)arg = wait_by(1);
    return NULL;
}

/* Whether the other sleeps already or not when the event comes: it is told. */
static void test_harts(void)
{
    for (unsigned i = 0; i < 50; i++) {
        uint64_t seen = 0, id;
        pthread_t thread;

        CU_ASSERT_EQUAL_FATAL(start(&f, NULL, NULL), 0);
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, waiter, &seen), 0);
        while (i % 2 && !atomic_load(&f.hart[1].waiting))
            ;
        id = timer(&f, 0, 0);
        pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(seen, id);
        tg_end(&f);
    }
}

/* In turns on one thread: a hart is idle until its time, or until another makes something due.
 */
static void test_deterministic(void)
{
    struct deterministic det = {.real = &f.mock.host};
    int other, fd = passed(&other);

    CU_ASSERT_EQUAL_FATAL(start_fd(&f, fd), 0);
    det.vm = &f.vm;
    f.vm.det = &det;
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_WAIT, 7 * MS + 1, 0).disp, CALL_PARK);
    CU_ASSERT(f.hart[0].idle && f.hart[0].idle_until == 7 * MS / 100 + 1);
    timer(&f, 2 * MS, 0);
    CU_ASSERT_EQUAL(f.hart[0].idle_until, 0);
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0).disp, CALL_PARK);
    CU_ASSERT_EQUAL(f.hart[0].idle_until, 2 * MS / 100);
    mock_read_result(&f.mock, -EAGAIN);
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0).error, 0);
    CU_ASSERT_EQUAL(det.outside, 1);
    CU_ASSERT_EQUAL(event(&f, TG_EVENT_WAIT, TG_EVENT_FOREVER, 0).disp, CALL_PARK);
    CU_ASSERT_EQUAL(f.hart[0].idle_until, MS / 100); /* it looks for what came from outside */
    tg_end(&f);
    CU_ASSERT_EQUAL(det.outside, 0);
    close(fd);
    close(other);
}

/* --- states --- */

static void test_state(void)
{
    static struct bytes a, b, c;
    int other, fd = passed(&other);
    uint64_t id, tick;

    CU_ASSERT_EQUAL_FATAL(start_fd(&f, fd), 0);
    mock_read_text(&f.mock, "abc");
    tick = timer(&f, MS, MS);
    mock_advance(&f.mock, 5 * MS);
    CU_ASSERT(answers(event(&f, TG_EVENT_ACK, tick, 0), 0, 5));
    id = event(&f, TG_EVENT_DESCRIPTOR, (uint64_t)fd, 0).value;
    CU_ASSERT_EQUAL(wait_by(0), id);
    bytes_save(&a, &f.inst[0]);

    CU_ASSERT_EQUAL_FATAL(start_fd(&g, fd), 0);
    mock_advance(&g.mock, 8 * MS);
    bytes_save(&b, &g.inst[0]);
    CU_ASSERT(bytes_load(&a, a.len, &g.inst[0]));
    CU_ASSERT(bytes_load(&b, b.len, &g.inst[0])); /* a load leaves nothing of the one before */
    bytes_save(&c, &g.inst[0]);
    CU_ASSERT(bytes_equal(&b, &c));
    CU_ASSERT(bytes_load(&a, a.len, &g.inst[0]));
    bytes_save(&b, &g.inst[0]);
    CU_ASSERT(bytes_equal(&a, &b));
    CU_ASSERT(answers(event(&g, TG_EVENT_ACK, id, 0), 0, 3));
    CU_ASSERT(answers(event(&g, TG_EVENT_ACK, tick, 0), 0, 3));
    CU_ASSERT(timer(&g, 0, 0) > id);
    tg_end(&g);

    for (size_t len = 0; len < a.len; len += 4) { /* cut anywhere */
        start_fd(&g, fd);
        CU_ASSERT_FALSE(bytes_load(&a, len, &g.inst[0]));
        tg_end(&g);
    }
    start(&g, NULL, NULL); /* the descriptor is not granted there */
    CU_ASSERT_FALSE(bytes_load(&a, a.len, &g.inst[0]));
    tg_end(&g);
    a.data[4 * 8] ^= 1; /* an id in another's place */
    start_fd(&g, fd);
    CU_ASSERT_FALSE(bytes_load(&a, a.len, &g.inst[0]));
    tg_end(&g);
    tg_end(&f);
    close(fd);
    close(other);
}

static void test_options(void)
{
    static const struct {
        const char *key, *value;
    } wrong[] = {
        {"fd",     "x"                   },
        {"fd",     ""                    },
        {"fd",     "-3"                  },
        {"fd",     "1"                   },
        {"fd",     "3x"                  },
        {"fd",     "99999999999999999999"},
        {"fd",     "4294967299"          },
        {"fd",     "1000000"             },
        {"signal", "USR1"                },
    };
    int own = eventfd(0, EFD_CLOEXEC);

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CU_ASSERT_NOT_EQUAL(start(&f, wrong[i].key, wrong[i].value), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "--device tg-event: fd="));
        tg_end(&f);
    }
    CU_ASSERT_NOT_EQUAL(start_fd(&f, own), 0); /* one of the monitor's, not of the user's */
    tg_end(&f);
    close(own);
}

void suite_tg_event(void)
{
    CU_pSuite suite = CU_add_suite("tg-event", NULL, NULL);

    CU_add_test(suite, "timers", test_timer);
    CU_add_test(suite, "times without bounds", test_timer_limits);
    CU_add_test(suite, "32 subscriptions", test_table);
    CU_add_test(suite, "a descriptor that fails", test_descriptor);
    CU_add_test(suite, "a counter", test_counter);
    CU_add_test(suite, "signals", test_signal);
    CU_add_test(suite, "signals of the host", test_host_signal);
    CU_add_test(suite, "harts that wait", test_harts);
    CU_add_test(suite, "in turns", test_deterministic);
    CU_add_test(suite, "states", test_state);
    CU_add_test(suite, "options", test_options);
}
