/* optional.c: SUSP, FWFT and STA (SBI 3.0, sections 13, 18 and 16). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/probe/probe.h"

#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"

#define JUNK 0xdeadbeefcafef00d
#define WAKE 20000 /* 2 ms */

static uint64_t other_go;

static void other_wait(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&other_go, __ATOMIC_ACQUIRE))
        ;
}

/* The system sleeps only when every other hart is stopped. */
static void susp_others(void)
{
    const struct attempt denied = {
        "susp: while another hart runs",
        DENIED,
        SBI_EXT_SUSP,
        0,
        {0, (uintptr_t)hart_entry, 0}
    };

    if (hart_count() < 2 || !sbi_present(SBI_EXT_HSM))
        return;
    __atomic_store_n(&other_go, 0, __ATOMIC_RELEASE);
    hart_await(1, SBI_HSM_STOPPED);
    hart_launch(1, other_wait, NULL);
    hart_await(1, SBI_HSM_STARTED);
    fact_call(&denied);
    __atomic_store_n(&other_go, 1, __ATOMIC_RELEASE);
    hart_await(1, SBI_HSM_STOPPED);
}

static void susp_sleep(void)
{
    static struct resumed resumed;
    int64_t result = 0;

    print_flush();
    if (sbi_present(SBI_EXT_SUSP)) {
        csr_write(sie, SIP_STIP);
        timer_set(time_now() + WAKE);
        result = suspend_system(SBI_SUSP_SUSPEND_TO_RAM, &resumed);
        timer_set(~0ul);
        csr_write(sie, 0);
    }
    fact(result == SUSPEND_CAME_BACK, "susp: comes back where and with what it said");
    fact(resumed.id == hart_id(0), "susp: with a0 the hart");
    fact(resumed.satp == 0 && !(resumed.sstatus & SSTATUS_SIE),
         "susp: with satp 0 and SIE clear");
}

void probe_susp(void)
{
    uint64_t entry = (uintptr_t)hart_entry;
    const struct attempt list[] = {
        {"susp: a reserved type",   BAD_PARAM, SBI_EXT_SUSP, 0, {1, entry, 0}         },
        {"susp: a platform's type", BAD_PARAM, SBI_EXT_SUSP, 0, {0x80000000, entry, 0}},
        {"susp: to a device",       BAD_ADDR,  SBI_EXT_SUSP, 0, {0, device_addr, 0}   },
    };
    const struct attempt past = {
        "susp: to past memory", BAD_ADDR, SBI_EXT_SUSP, 0, {0, memory_end, 0}
    };

    optional_begin("susp", SBI_EXT_SUSP);
    fact_calls(list, sizeof(list) / sizeof(list[0]));
    fact_risky(&past);
    susp_others();
    susp_sleep();
    optional_end();
}

static struct sbi_ret fwft(uint64_t fn, uint64_t feature, uint64_t value, uint64_t flags)
{
    return sbi_call(SBI_EXT_FWFT, fn, feature, value, flags);
}

/* A feature is absent, or takes its value and shows it; the old one is put back. */
static void feature_test(const char *name, uint64_t feature, uint64_t value)
{
    struct sbi_ret old = fwft(SBI_FWFT_GET, feature, 0, 0);
    bool right;

    if (old.error == SBI_ERR_NOT_SUPPORTED) {
        fact(fwft(SBI_FWFT_SET, feature, value, 0).error == SBI_ERR_NOT_SUPPORTED, name);
        return;
    }
    right = old.error == SBI_SUCCESS &&
            fwft(SBI_FWFT_SET, feature, value, 0).error == SBI_SUCCESS &&
            fwft(SBI_FWFT_GET, feature, 0, 0).value == value &&
            fwft(SBI_FWFT_SET, feature, 1000, 0).error == SBI_ERR_INVALID_PARAM &&
            fwft(SBI_FWFT_SET, feature, value, 2).error == SBI_ERR_INVALID_PARAM &&
            fwft(SBI_FWFT_GET, feature | 1ul << 32, 0, 0).value == value &&
            fwft(SBI_FWFT_SET, feature, old.value, 0).error == SBI_SUCCESS;
    fact(right, name);
}

/* A feature locked at the value that it has. OpenSBI before 1.7 has another error for it. */
static void lock_test(void)
{
    uint64_t feature = SBI_FWFT_MISALIGNED_EXC_DELEG;
    struct sbi_ret old = fwft(SBI_FWFT_GET, feature, 0, 0);
    struct attempt locked = {
        "fwft: it holds", LOCKED, SBI_EXT_FWFT, SBI_FWFT_SET, {feature, 0, 0}
    };

    optional_function(old.error == SBI_SUCCESS);
    fact(fwft(SBI_FWFT_SET, feature, old.value, SBI_FWFT_LOCK).error == SBI_SUCCESS,
         "fwft: a lock is taken");
    locked.arg[1] = !old.value;
    fact_risky(&locked);
    fact(fwft(SBI_FWFT_GET, feature, 0, 0).value == old.value, "fwft: it keeps the value");
    optional_function(true);
}

/* Takes the lock of a feature on the hart that runs it, and keeps the error. */
static int64_t locked_error;

static void lock_take(void *arg)
{
    (void)arg;
    __atomic_store_n(&locked_error,
                     fwft(SBI_FWFT_SET, SBI_FWFT_MISALIGNED_EXC_DELEG, 0, SBI_FWFT_LOCK).error,
                     __ATOMIC_RELEASE);
}

/* A hart that was stopped starts with its features reset, so that it can take a lock again. */
static void restart_test(void)
{
    bool taken = true;

    if (hart_count() < 2 || !sbi_present(SBI_EXT_HSM))
        return;
    optional_function(fwft(SBI_FWFT_GET, SBI_FWFT_MISALIGNED_EXC_DELEG, 0, 0).error ==
                      SBI_SUCCESS);
    for (unsigned i = 0; i < 2; i++) {
        hart_await(1, SBI_HSM_STOPPED);
        locked_error = 1;
        hart_launch(1, lock_take, NULL);
        while (__atomic_load_n(&locked_error, __ATOMIC_ACQUIRE) == 1)
            ;
        taken = taken && locked_error == SBI_SUCCESS;
    }
    hart_await(1, SBI_HSM_STOPPED);
    fact_strict(taken, "fwft: a hart that starts anew has forgotten its locks");
    optional_function(true);
}

void probe_fwft(void)
{
    static const struct attempt list[] = {
        {"fwft: get of a reserved feature",        DENIED, SBI_EXT_FWFT, SBI_FWFT_GET, {6}               },
        {"fwft: set of a reserved feature",        DENIED, SBI_EXT_FWFT, SBI_FWFT_SET, {6, 1, 0}         },
        {"fwft: get of a reserved global feature",
         DENIED,                                           SBI_EXT_FWFT,
         SBI_FWFT_GET,                                                                 {0x80000000}      },
        {"fwft: set of a reserved global feature",
         DENIED,                                           SBI_EXT_FWFT,
         SBI_FWFT_SET,                                                                 {0xbfffffff, 1, 0}},
        {"fwft: get of a platform's feature",      DENIED, SBI_EXT_FWFT, SBI_FWFT_GET, {0x40000000}      },
    };

    optional_begin("fwft", SBI_EXT_FWFT);
    fact_calls(list, sizeof(list) / sizeof(list[0]));
    feature_test("fwft: misaligned exceptions", SBI_FWFT_MISALIGNED_EXC_DELEG, 0);
    feature_test("fwft: double trap", SBI_FWFT_DOUBLE_TRAP, 0);
    feature_test("fwft: updates of A and D", SBI_FWFT_PTE_AD_HW_UPDATING, 1);
    lock_test();
    restart_test();
    optional_end();
}

static struct {
    uint32_t sequence, flags;
    uint64_t steal, rest[6];
} shared __attribute__((aligned(64)));

/* Flags, preempted and padding. */
static bool shared_is_clean(void)
{
    bool clean = *(volatile uint32_t *)&shared.flags == 0;

    for (unsigned i = 0; i < 6; i++)
        clean = clean && *(volatile uint64_t *)&shared.rest[i] == 0;
    return clean;
}

/* Reads as section 16.1 tells the supervisor to. */
static uint64_t sta_read(void)
{
    uint32_t before, after;
    uint64_t steal;

    do {
        before = __atomic_load_n(&shared.sequence, __ATOMIC_ACQUIRE);
        steal = *(volatile uint64_t *)&shared.steal;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        after = __atomic_load_n(&shared.sequence, __ATOMIC_RELAXED);
    } while (before != after || (before & 1));
    return steal;
}

void probe_sta(void)
{
    uint64_t at = (uintptr_t)&shared, steal;
    const struct attempt list[] = {
        {"sta: a flag",        BAD_PARAM, SBI_EXT_STA, 0, {at, 0, 1, JUNK}        },
        {"sta: off alignment", BAD_PARAM, SBI_EXT_STA, 0, {at + 8, 0, 0, JUNK}    },
        {"sta: past memory",   BAD_ADDR,  SBI_EXT_STA, 0, {memory_end, 0, 0, JUNK}},
        {"sta: above 2^64",    BAD_ADDR,  SBI_EXT_STA, 0, {at, 1, 0, JUNK}        },
        {"sta: shared memory", OK,        SBI_EXT_STA, 0, {at, 0, 0, JUNK}        },
    };
    const struct attempt off = {
        "sta: off", OK, SBI_EXT_STA, 0, {~0ul, ~0ul, 0, JUNK}
    };
    bool rises = true;

    optional_begin("sta", SBI_EXT_STA);
    memset(&shared, 0x5a, sizeof(shared));
    fact_calls(list, 4);
    fact(*(volatile uint32_t *)&shared.flags == 0x5a5a5a5a,
         "sta: a refused one writes nothing");
    fact_call(&list[4]);
    fact(shared_is_clean(), "sta: all but the counts is zero");
    steal = sta_read();
    for (unsigned i = 0; i < 30; i++) {
        time_spin(10000);
        rises = rises && sta_read() >= steal;
        steal = sta_read();
    }
    print("# %lu ns stolen in %u updates\n", steal, shared.sequence / 2);
    fact(rises, "sta: never falls");
    fact(steal < 1000000000000, "sta: is no more than the time that went by");
    fact_call(&off);
    shared.sequence = 4242;
    time_spin(300000);
    fact(*(volatile uint32_t *)&shared.sequence == 4242, "sta: is off");
    optional_end();
}
