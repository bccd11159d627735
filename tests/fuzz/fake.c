/* fake.c: a host and an engine for harts without threads, which check what they are promised.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/fuzz/fake.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "vmm/hart.h"
#include "vmm/vm.h"

#define NOW_NS (UINT64_C(1) << 62) /* so late that no thread's deadline ever comes */

static int fake_hart_create(struct hart *hart)
{
    (void)hart;
    return 0;
}

static void fake_hart_done(struct hart *hart)
{
    (void)hart;
}

static void fake_hart_irq(struct hart *hart, unsigned irq, bool level)
{
    (void)hart;
    (void)irq;
    (void)level;
}

/* Always, so that no suspended hart waits for an interrupt that nobody sends. */
static bool fake_irq_pending(struct hart *hart)
{
    (void)hart;
    return true;
}

static void fake_set_timer(struct hart *hart, uint64_t ticks)
{
    (void)hart;
    (void)ticks;
}

static uint64_t fake_timer_deadline(struct hart *hart)
{
    (void)hart;
    return UINT64_MAX;
}

/* What sbi_fence_range promises an engine. */
static void fake_fence(struct hart *hart, const struct hart_fence *fence)
{
    (void)hart;
    if (fence->size == 0 || (fence->size == UINT64_MAX && fence->start != 0) ||
        fence->asid > 0xffff)
        abort();
}

static enum call_route fake_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

/* Translates one to one; low addresses fault. */
static int fake_read_virt(struct hart *hart, uint64_t va, void *buf, size_t len)
{
    if (va < 0x1000)
        return 13;
    return mem_read(&hart->vm->mem, va, buf, len) < 0 ? 5 : 0;
}

static ssize_t fake_write(struct host *host, int fd, const void *buf, size_t len)
{
    static uint8_t sink[CALL_BUF_MAX];

    (void)host;
    (void)fd;
    memcpy(sink, buf, len < sizeof(sink) ? len : sizeof(sink)); /* a sanitizer sees it used */
    return (ssize_t)len;
}

/* Of the sources of events. */
static ssize_t fake_read(struct host *host, int fd, void *buf, size_t len)
{
    struct fake *fake = (struct fake *)host;
    uint64_t count = 1;

    (void)fd;
    if (len < sizeof(count))
        return -EINVAL;
    switch (atomic_fetch_add(&fake->events, 1) % 8) {
    case 0: return -EINTR;
    case 1: return -EAGAIN;
    case 5: return 0;
    case 7: return -EIO;
    default: memcpy(buf, &count, sizeof(count)); return sizeof(count);
    }
}

/* A source is always ready; nothing else is waited for in vain, as its end is notified. */
static int fake_wait(struct host *host, int fd, int notify, int timeout_ms, bool *ready)
{
    struct pollfd poll_fd = {.fd = notify, .events = POLLIN};

    (void)host;
    *ready = fd >= 0;
    if (fd < 0 && poll(&poll_fd, 1, timeout_ms) < 0)
        return -errno;
    return 0;
}

static int fake_signal_open(struct host *host, int signo)
{
    (void)host;
    return 7000 + signo;
}

static void fake_signal_close(struct host *host, int signo)
{
    (void)host;
    (void)signo;
}

static uint64_t fake_now(struct host *host)
{
    (void)host;
    return NOW_NS;
}

/* What PMU and FWFT promise an engine. */
static uint64_t fake_counter_get(struct hart *hart, unsigned counter)
{
    if (counter != HART_COUNTER_CYCLE && counter != HART_COUNTER_INSTRET)
        abort();
    return hart->index;
}

static void fake_counter_set(struct hart *hart, unsigned counter, uint64_t value, bool counts)
{
    (void)value;
    (void)counts;
    fake_counter_get(hart, counter);
}

static int fake_feature_set(struct hart *hart, unsigned feature, uint64_t value)
{
    (void)hart;
    if (feature >= SBI_FWFT_FEATURES)
        abort();
    if (feature & 1)
        return -EOPNOTSUPP;
    return value > 1 ? -EINVAL : 0;
}

/* Chance that is the same every time: 1, 2, 3. */
static int fake_random(struct host *host, void *buf, size_t len)
{
    (void)host;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)(i + 1);
    return 0;
}

/* Others always had the processor for a while. */
static int fake_delay_open(struct host *host)
{
    (void)host;
    return 0;
}

static int fake_delay_read(struct host *host, int handle, uint64_t *ns)
{
    struct fake *fake = (struct fake *)host;

    (void)handle;
    *ns = fake->delay += 1000;
    return 0;
}

static void fake_delay_close(struct host *host, int handle)
{
    (void)host;
    (void)handle;
}

const struct engine fake_engine = {
    .name = "fake",
    .hart_create = fake_hart_create,
    .hart_destroy = fake_hart_done,
    .kick = fake_hart_done,
    .hart_irq = fake_hart_irq,
    .irq_pending = fake_irq_pending,
    .set_timer = fake_set_timer,
    .timer_deadline = fake_timer_deadline,
    .fence = fake_fence,
    .read_virt = fake_read_virt,
    .call_route = fake_route,
    .counter_get = fake_counter_get,
    .counter_set = fake_counter_set,
    .feature_set = fake_feature_set,
};

void fake_init(struct fake *fake)
{
    *fake = (struct fake){
        .host = {.now_ns = fake_now,
                 .wall_ns = fake_now,
                 .random = fake_random,
                 .read = fake_read,
                 .write = fake_write,
                 .wait = fake_wait,
                 .signal_open = fake_signal_open,
                 .signal_close = fake_signal_close,
                 .files = &fake_file_ops,
                 .delay_open = fake_delay_open,
                 .delay_read = fake_delay_read,
                 .delay_close = fake_delay_close}
    };
    fake_files_reset(fake);
}
