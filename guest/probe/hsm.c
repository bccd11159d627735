/* hsm.c: hart state management (SBI 3.0, section 9) and, last of all, system reset (section
 * 10). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include <stddef.h>
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

#define JUNK 0xdeadbeefcafef00d
#define WAKE 20000 /* 2 ms */

/* A suspend that the timer ends. */
static void suspend_make(const char *name, uint64_t type, uint64_t pc, uint64_t opaque)
{
    struct attempt a = {
        .name = name,
        .may = OK,
        .ext = SBI_EXT_HSM,
        .fn = SBI_HSM_HART_SUSPEND,
        .arg = {type, pc, opaque, JUNK, JUNK, JUNK}
    };

    csr_write(sie, SIP_STIP);
    timer_set(time_now() + WAKE);
    attempt_make(&a);
    timer_set(~0ul);
    csr_write(sie, 0);
}

static struct resumed resumed;

_Static_assert(offsetof(struct resumed, id) == 128, "suspend.S stores it here");

static void suspend_lose_test(void)
{
    int64_t result;

    print_flush();
    csr_write(sie, SIP_STIP);
    timer_set(time_now() + WAKE);
    result = suspend_lose(SBI_HSM_SUSPEND_NON_RETENTIVE, &resumed);
    timer_set(~0ul);
    csr_write(sie, 0);
    tap_ok(result == SUSPEND_CAME_BACK,
           "hsm: a non-retentive suspend comes back where and with what it said");
    tap_ok(resumed.id == hart_id(0), "hsm: with a0 the hart");
    tap_ok(resumed.satp == 0 && !(resumed.sstatus & SSTATUS_SIE),
           "hsm: with satp 0 and SIE clear");
}

static void suspend_test(void)
{
    static const struct attempt list[] = {
        {"hsm: suspend of a reserved type",                 BAD_PARAM, SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, {1}         },
        {"hsm: suspend of the last reserved type",
         BAD_PARAM,                                                    SBI_EXT_HSM,
         SBI_HSM_HART_SUSPEND,                                                                            {0x0fffffff}},
        {"hsm: suspend of a platform's type",
         BAD_PARAM | ABSENT,
         SBI_EXT_HSM,                                                               SBI_HSM_HART_SUSPEND,
         {0x10000000}                                                                                                 },
        {"hsm: suspend of a reserved non-retentive type",
         BAD_PARAM,                                                    SBI_EXT_HSM,
         SBI_HSM_HART_SUSPEND,                                                                            {0x80000001}},
        {"hsm: suspend of a platform's non-retentive type",
         BAD_PARAM | ABSENT,
         SBI_EXT_HSM,                                                               SBI_HSM_HART_SUSPEND,
         {0x90000000, 0x80200000}                                                                                     },
    };
    struct attempt device = {
        .name = "hsm: suspend that would come back in a device",
        .may = BAD_ADDR,
        .ext = SBI_EXT_HSM,
        .fn = SBI_HSM_HART_SUSPEND,
        .arg = {SBI_HSM_SUSPEND_NON_RETENTIVE, device_addr}
    };

    attempts_make(list, sizeof(list) / sizeof(list[0]));
    attempt_make(&device);
    device.name = "hsm: suspend that would come back past memory";
    device.arg[1] = memory_end;
    attempt_risky(&device);
    suspend_make("hsm: a retentive suspend ends with the timer", SBI_HSM_SUSPEND_RETENTIVE,
                 JUNK, JUNK);
    suspend_lose_test();
}

void probe_hsm(void)
{
    uint64_t absent = hart_id_absent(), self = hart_id(0);
    uint64_t entry = (uintptr_t)hart_entry;
    const struct attempt list[] = {
        {"hsm: own state",
         OK,                                 SBI_EXT_HSM,
         SBI_HSM_HART_GET_STATUS,                                                  {self, JUNK, JUNK, JUNK, JUNK, JUNK}},
        {"hsm: state of no hart", BAD_PARAM, SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, {absent}                            },
        {"hsm: state of hart -1", BAD_PARAM, SBI_EXT_HSM, SBI_HSM_HART_GET_STATUS, {~0ul}                              },
        {"hsm: start of itself",  AVAILABLE, SBI_EXT_HSM, SBI_HSM_HART_START,      {self, entry, 0}                    },
        {"hsm: start of no hart",
         BAD_PARAM,                          SBI_EXT_HSM,
         SBI_HSM_HART_START,                                                       {absent, entry, 0}                  },
        {"hsm: start of hart -1", BAD_PARAM, SBI_EXT_HSM, SBI_HSM_HART_START,      {~0ul, entry, 0}                    },
    };

    if (!extension_begin("hsm", SBI_EXT_HSM))
        return;
    attempts_make(list, sizeof(list) / sizeof(list[0]));
    tap_ok(hart_state(0) == SBI_HSM_STARTED, "hsm: this hart is started");
    suspend_test();
}

/* The second hart: waits for its word, then suspends itself. */
static uint64_t second_step, second_arg, second_go;

static void second_sleep(void *arg)
{
    second_arg = (uintptr_t)arg;
    __atomic_store_n(&second_step, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&second_go, __ATOMIC_ACQUIRE))
        ;
    csr_write(sie, SIP_SSIP);
    sbi_call(SBI_EXT_HSM, SBI_HSM_HART_SUSPEND, SBI_HSM_SUSPEND_RETENTIVE, 0, 0);
    csr_clear(sip, SIP_SSIP);
    __atomic_store_n(&second_step, 2, __ATOMIC_RELEASE);
}

static void step_await(uint64_t step)
{
    while (__atomic_load_n(&second_step, __ATOMIC_ACQUIRE) != step)
        ;
}

void probe_hsm_second(void)
{
    uint64_t id = hart_id(1), entry = (uintptr_t)hart_entry;
    struct attempt device = {
        .name = "hsm: start in a device",
        .may = BAD_ADDR,
        .ext = SBI_EXT_HSM,
        .fn = SBI_HSM_HART_START,
        .arg = {id, device_addr, 0}
    };
    struct attempt again = {
        .name = "hsm: start of a running hart",
        .may = AVAILABLE,
        .ext = SBI_EXT_HSM,
        .fn = SBI_HSM_HART_START,
        .arg = {id, entry, 0}
    };
    struct attempt ipi = {
        .name = "hsm: an IPI to a suspended hart",
        .may = OK,
        .ext = SBI_EXT_IPI,
        .fn = SBI_IPI_SEND_IPI,
        .arg = {1, id}
    };

    if (hart_count() < 2 || !sbi_present(SBI_EXT_HSM) || !sbi_present(SBI_EXT_IPI)) {
        tap_skip("there is one hart, or no HSM and IPI", "hsm: a second hart");
        return;
    }
    hart_await(1, SBI_HSM_STOPPED);
    attempt_make(&device);
    device.name = "hsm: start past memory";
    device.arg[1] = memory_end;
    attempt_risky(&device);
    tap_ok(hart_state(1) == SBI_HSM_STOPPED, "hsm: a refused start leaves it stopped");
    tap_ok(hart_launch(1, second_sleep, (void *)0x1234) == SBI_SUCCESS, "hsm: start");
    step_await(1);
    tap_ok(second_arg == 0x1234, "hsm: its argument arrived");
    attempt_make(&again);
    __atomic_store_n(&second_go, 1, __ATOMIC_RELEASE);
    hart_await(1, SBI_HSM_SUSPENDED);
    tap_ok(true, "hsm: it is suspended");
    again.name = "hsm: start of a suspended hart";
    again.may = AVAILABLE | BAD_PARAM;
    attempt_make(&again);
    attempt_make(&ipi);
    step_await(2);
    hart_await(1, SBI_HSM_STOPPED);
    tap_ok(true, "hsm: it woke up and stopped");
}
