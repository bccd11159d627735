/* goldfish_rtc.c: a real-time clock with an alarm. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/post.h"
#include "vmm/vm.h"

/*
 * Source: Android's GOLDFISH-VIRTUAL-HARDWARE.TXT, "Goldfish timer", as QEMU's virt has it and
 * Linux (drivers/rtc/rtc-goldfish.c) drives it. Times are ns since 1970, each in two words.
 */
enum {
    RTC_TIME_LOW = 0x00, /* reading it latches the high word */
    RTC_TIME_HIGH = 0x04,
    RTC_ALARM_LOW = 0x08, /* writing it sets the alarm */
    RTC_ALARM_HIGH = 0x0c,
    RTC_IRQ_ENABLED = 0x10,
    RTC_CLEAR_ALARM = 0x14,
    RTC_ALARM_STATUS = 0x18,
    RTC_CLEAR_INTERRUPT = 0x1c,
};

struct goldfish_rtc {
    struct vm *vm;
    pthread_mutex_t lock; /* order: a claim's lock, before the PLIC's */
    uint64_t offset;      /* what the guest set the clock forward, modulo 2^64 */
    uint32_t latched_high;
    uint32_t alarm_high;
    uint64_t alarm; /* meaningful while armed */
    bool armed, enabled, pending;
    /* Sleeps until the alarm. Made with the first one, since most guests never set any. */
    pthread_t thread;
    pthread_cond_t changed;
    bool thread_started, ending;
    bool posted; /* the ringing is on its way */
};

static uint64_t rtc_now(const struct goldfish_rtc *rtc)
{
    return clock_wall_ns(&rtc->vm->clock) + rtc->offset;
}

static void rtc_update(struct goldfish_rtc *rtc)
{
    irq_set(rtc->vm, PLAT_RTC_IRQ, rtc->enabled && rtc->pending);
}

/* --- The alarm --- */

/* Rings when it is time. Under the lock. */
static void alarm_check(struct goldfish_rtc *rtc)
{
    if (!rtc->armed || rtc_now(rtc) < rtc->alarm)
        return;
    rtc->armed = false;
    rtc->pending = true;
    rtc_update(rtc);
}

static void alarm_ring(void *self, uint64_t arg)
{
    struct goldfish_rtc *rtc = self;
    (void)arg;

    pthread_mutex_lock(&rtc->lock);
    rtc->posted = false;
    alarm_check(rtc);
    pthread_cond_signal(&rtc->changed);
    pthread_mutex_unlock(&rtc->lock);
}

/* Guest time at which an alarm that lies ahead will have come. */
static uint64_t alarm_ticks(const struct goldfish_rtc *rtc)
{
    uint64_t rest = rtc->alarm - rtc_now(rtc);

    return clock_ticks(&rtc->vm->clock) + rest / CLOCK_NS_PER_TICK + 1;
}

static void *alarm_thread(void *arg)
{
    struct goldfish_rtc *rtc = arg;

    pthread_mutex_lock(&rtc->lock);
    while (!rtc->ending) {
        bool waits = rtc->armed && !rtc->posted;
        uint64_t deadline = UINT64_MAX;

        if (waits && rtc_now(rtc) >= rtc->alarm) {
            rtc->posted = true;
            pthread_mutex_unlock(&rtc->lock);
            vm_post(rtc->vm, alarm_ring, rtc, 0);
            pthread_mutex_lock(&rtc->lock);
            continue;
        }
        if (waits)
            deadline = clock_deadline_ns(&rtc->vm->clock, alarm_ticks(rtc));
        host_cond_wait(&rtc->changed, &rtc->lock, deadline);
    }
    pthread_mutex_unlock(&rtc->lock);
    return NULL;
}

/*
 * An alarm in the past rings at once; so does one when the host gives no thread: too early is
 * better than never.
 */
static void alarm_set(struct goldfish_rtc *rtc, uint64_t alarm)
{
    rtc->alarm = alarm;
    rtc->armed = true;
    alarm_check(rtc);
    if (!rtc->armed)
        return;
    if (!rtc->thread_started)
        rtc->thread_started = pthread_create(&rtc->thread, NULL, alarm_thread, rtc) == 0;
    if (!rtc->thread_started)
        rtc->alarm = rtc_now(rtc);
    alarm_check(rtc);
    pthread_cond_signal(&rtc->changed);
}

/* --- Registers --- */

static uint64_t rtc_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct goldfish_rtc *rtc = self;
    uint64_t now;
    (void)hart;
    (void)size;

    switch (offset) {
    case RTC_TIME_LOW:
        now = rtc_now(rtc);
        rtc->latched_high = (uint32_t)(now >> 32);
        return (uint32_t)now;
    case RTC_TIME_HIGH: return rtc->latched_high;
    case RTC_ALARM_LOW: return (uint32_t)rtc->alarm;
    case RTC_ALARM_HIGH: return rtc->alarm >> 32;
    case RTC_IRQ_ENABLED: return rtc->enabled;
    case RTC_ALARM_STATUS: return rtc->armed;
    default: return 0;
    }
}

/* Replaces one word of the time. The alarm stays at its time of the day. */
static void time_write(struct goldfish_rtc *rtc, unsigned shift, uint32_t value)
{
    uint64_t now = rtc_now(rtc);
    uint64_t next = (now & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;

    rtc->offset += next - now;
    alarm_check(rtc);
    pthread_cond_signal(&rtc->changed);
}

static void rtc_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                      uint64_t value)
{
    struct goldfish_rtc *rtc = self;
    (void)hart;
    (void)size;

    switch (offset) {
    case RTC_TIME_LOW: time_write(rtc, 0, (uint32_t)value); break;
    case RTC_TIME_HIGH: time_write(rtc, 32, (uint32_t)value); break;
    case RTC_ALARM_LOW: alarm_set(rtc, (uint64_t)rtc->alarm_high << 32 | value); break;
    case RTC_ALARM_HIGH: rtc->alarm_high = (uint32_t)value; break;
    case RTC_IRQ_ENABLED:
        rtc->enabled = value & 1;
        rtc_update(rtc);
        break;
    case RTC_CLEAR_ALARM:
        rtc->armed = false;
        pthread_cond_signal(&rtc->changed);
        break;
    case RTC_CLEAR_INTERRUPT:
        rtc->pending = false;
        rtc_update(rtc);
        break;
    default: break;
    }
}

static const struct bus_ops rtc_ops = {.read = rtc_read, .write = rtc_write, .sizes = 4};

/* --- The module --- */

static void goldfish_rtc_destroy(void *self)
{
    struct goldfish_rtc *rtc = self;

    pthread_mutex_lock(&rtc->lock);
    rtc->ending = true;
    pthread_cond_signal(&rtc->changed);
    pthread_mutex_unlock(&rtc->lock);
    if (rtc->thread_started)
        pthread_join(rtc->thread, NULL);
    pthread_cond_destroy(&rtc->changed);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}

static int goldfish_rtc_create(struct module_instance *inst, struct error *err)
{
    struct goldfish_rtc *rtc;
    int rc;

    /* Its alarms come from a thread that waits for the host's clock. */
    if (inst->vm->det) {
        error_set(err, STATUS_CONFIG, "goldfish-rtc: not in a deterministic run; leave it out");
        return -ENODEV;
    }
    rtc = calloc(1, sizeof(*rtc));
    if (!rtc) {
        error_set(err, STATUS_OS, "goldfish-rtc: out of memory");
        return -ENOMEM;
    }
    rtc->vm = inst->vm;
    pthread_mutex_init(&rtc->lock, NULL);
    host_cond_init(&rtc->changed);
    const struct bus_claim claim = {
        .gpa = PLAT_RTC_BASE,
        .size = PLAT_RTC_SIZE,
        .ops = &rtc_ops,
        .self = rtc,
        .lock = &rtc->lock,
        .owner = "goldfish-rtc",
    };
    rc = irq_claim(inst->vm, PLAT_RTC_IRQ, "goldfish-rtc", err);
    if (rc == 0)
        rc = bus_claim(inst->vm, &claim, err);
    if (rc != 0) {
        goldfish_rtc_destroy(rtc);
        return rc;
    }
    inst->self = rtc;
    return 0;
}

/* The clock itself goes on, as one with a battery does. */
static void goldfish_rtc_reset(void *self)
{
    struct goldfish_rtc *rtc = self;

    pthread_mutex_lock(&rtc->lock);
    rtc->armed = rtc->enabled = rtc->pending = false;
    rtc->alarm = 0;
    rtc->alarm_high = rtc->latched_high = 0;
    rtc_update(rtc);
    pthread_mutex_unlock(&rtc->lock);
}

static void goldfish_rtc_save(void *self, struct state_writer *w)
{
    struct goldfish_rtc *rtc = self;

    pthread_mutex_lock(&rtc->lock);
    state_put_u64(w, rtc->offset);
    state_put_u64(w, rtc->latched_high);
    state_put_u64(w, rtc->alarm_high);
    state_put_u64(w, rtc->alarm);
    state_put_u64(w, rtc->armed);
    state_put_u64(w, rtc->enabled);
    state_put_u64(w, rtc->pending);
    pthread_mutex_unlock(&rtc->lock);
}

/* The alarm is a time of the day: one that has passed meanwhile rings at once. */
static void goldfish_rtc_load(void *self, struct state_reader *r)
{
    struct goldfish_rtc *rtc = self;

    pthread_mutex_lock(&rtc->lock);
    rtc->offset = state_get_u64(r);
    rtc->latched_high = (uint32_t)state_get_max(r, UINT32_MAX);
    rtc->alarm_high = (uint32_t)state_get_max(r, UINT32_MAX);
    uint64_t alarm = state_get_u64(r);
    bool armed = state_get_max(r, 1);
    rtc->enabled = state_get_max(r, 1);
    rtc->pending = state_get_max(r, 1);
    rtc->alarm = alarm;
    rtc->armed = false;
    rtc_update(rtc);
    if (armed)
        alarm_set(rtc, alarm);
    pthread_mutex_unlock(&rtc->lock);
}

static int goldfish_rtc_fdt(void *self, struct fdt_builder *fdt)
{
    (void)self;
    fdtb_begin(fdt, "rtc@%x", PLAT_RTC_BASE);
    fdtb_string(fdt, "compatible", "google,goldfish-rtc");
    fdtb_reg(fdt, PLAT_RTC_BASE, PLAT_RTC_SIZE);
    fdtb_irq(fdt, PLAT_RTC_IRQ);
    fdtb_end(fdt);
    return 0;
}

const struct module module_goldfish_rtc = {
    .name = "goldfish-rtc",
    .summary = "real-time clock with an alarm (Goldfish)",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .create = goldfish_rtc_create,
    .reset = goldfish_rtc_reset,
    .destroy = goldfish_rtc_destroy,
    .save = goldfish_rtc_save,
    .load = goldfish_rtc_load,
    .fdt = goldfish_rtc_fdt,
};
