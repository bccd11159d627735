/* events.c: timers, signals to the monitor and descriptors, as a guest hears of them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/event/events.h"

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/fdt.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/tap.h"

#define SIGNAL 10
#define FD     5
#define ENOSPC 28
#define EPIPE  32

uint64_t now_ns(void)
{
    return tg_clock_now().value;
}

bool is(struct tg_ret r, int64_t error, uint64_t value)
{
    return r.error == error && r.value == value;
}

static void test_once(void)
{
    struct tg_ret r = tg_event_timer(now_ns() + HOUR, 0);
    uint64_t id = r.value, due;

    tap_ok(r.error == SBI_SUCCESS && id != 0, "a timer has an id");
    tap_ok(is(tg_event_wait(0), 0, 0), "nothing has happened yet");
    tap_ok(is(tg_event_ack(id), 0, 0), "so nothing is acknowledged");
    tg_event_cancel(id);
    due = now_ns() + 5 * MS;
    id = tg_event_timer(due, 0).value;
    r = tg_event_wait(TG_EVENT_FOREVER);
    tap_ok(is(r, 0, id) && now_ns() >= due, "a wait ends with it, and not before");
    tap_ok(is(tg_event_wait(0), 0, id), "it is named until it is acknowledged");
    tap_ok(is(tg_event_ack(id), 0, 1), "it has happened once");
    due = now_ns() + 3 * MS;
    tap_ok(is(tg_event_wait(due), 0, 0) && now_ns() >= due, "a wait ends at its time");
    tap_ok(tg_event_cancel(id).error == 0, "it is cancelled");
    tap_ok(is(tg_event_ack(id), SBI_ERR_INVALID_PARAM, 0) &&
               is(tg_event_cancel(id), SBI_ERR_INVALID_PARAM, 0),
           "its id means nothing then");
}

static void test_periodic(void)
{
    uint64_t begin = now_ns(), seen = 0, waits = 0, wrong = 0;
    uint64_t id = tg_event_timer(begin + MS, MS).value;

    while (seen < 20) {
        wrong += !is(tg_event_wait(TG_EVENT_FOREVER), 0, id);
        seen += tg_event_ack(id).value;
        waits++;
        wrong += now_ns() < begin + seen * MS;
    }
    tap_ok(wrong == 0 && waits <= seen, "a periodic timer happens in time, and none is lost");
    tg_event_cancel(id);
}

static void test_limit(void)
{
    uint64_t id[TG_EVENT_MAX];
    uint64_t made = 0, named = 0;

    for (unsigned i = 0; i < TG_EVENT_MAX; i++) {
        struct tg_ret r = tg_event_timer(0, 0);

        made += r.error == SBI_SUCCESS;
        id[i] = r.value;
    }
    tap_ok(made == TG_EVENT_MAX && is(tg_event_timer(0, 0), SBI_ERR_FAILED, ENOSPC),
           "there are %u subscriptions, and no more", TG_EVENT_MAX);
    for (unsigned i = 0; i < TG_EVENT_MAX; i++)
        for (unsigned j = i; j < TG_EVENT_MAX; j++)
            named += j > i && id[i] == id[j];
    for (unsigned i = 0; i < TG_EVENT_MAX; i++)
        named += tg_event_ack(tg_event_wait(0).value).value;
    tap_ok(named == TG_EVENT_MAX && is(tg_event_wait(0), 0, 0), "each is named in its turn");
    for (unsigned i = 0; i < TG_EVENT_MAX; i++)
        tg_event_cancel(id[i]);
}

void events_test_timers(void)
{
    test_once();
    test_periodic();
    test_limit();
}

void events_test_refused(void)
{
    tap_ok(tg_event_signal(SIGNAL).error == SBI_ERR_DENIED, "a signal is refused");
    tap_ok(tg_event_descriptor(FD).error == SBI_ERR_DENIED, "a descriptor is refused");
    tap_ok(tg_event_signal(~0ul).error == SBI_ERR_DENIED &&
               tg_event_descriptor(~0ul).error == SBI_ERR_DENIED,
           "whatever its number");
}

/* Hears until three have come or the source has ended. */
static int listen(struct tg_ret source)
{
    uint64_t heard = 0;

    if (source.error != SBI_SUCCESS) {
        print("refused: %ld %lu\n", source.error, source.value);
        return 1;
    }
    print("listening\n");
    while (heard < 3) {
        struct tg_ret r = tg_event_wait(TG_EVENT_FOREVER);

        if (!is(r, 0, source.value))
            return 1;
        r = tg_event_ack(source.value);
        if (r.error != SBI_SUCCESS) {
            print("ended: %ld %lu\n", r.error, r.value);
            return is(tg_event_wait(0), 0, 0) ? 0 : 1;
        }
        heard += r.value;
        print("heard %lu\n", heard);
    }
    return tg_event_cancel(source.value).error != 0;
}

static int ticks(void)
{
    uint64_t one = tg_event_timer(0, 3 * MS).value, two = tg_event_timer(0, 7 * MS).value;
    uint64_t seen[2] = {0, 0};

    while (seen[0] + seen[1] < 100) {
        uint64_t id = tg_event_wait(TG_EVENT_FOREVER).value;

        if (id != one && id != two)
            return 1;
        seen[id == two] += tg_event_ack(id).value;
    }
    print("%lu and %lu\n", seen[0], seen[1]);
    return 0;
}

bool events_asked(const void *info, int *result)
{
    if (fdt_bootarg(info, "signal"))
        *result = listen(tg_event_signal(SIGNAL));
    else if (fdt_bootarg(info, "fd"))
        *result = listen(tg_event_descriptor(FD));
    else if (fdt_bootarg(info, "ticks"))
        *result = ticks();
    else if (fdt_bootarg(info, "absent"))
        *result = tg_event_wait(0).error != SBI_ERR_NOT_SUPPORTED || sbi_present(TG_EXT_EVENT);
    else if (fdt_bootarg(info, "forever")) {
        print("waiting\n");
        *result = tg_event_wait(TG_EVENT_FOREVER).error == 0;
    } else {
        return false;
    }
    return true;
}
