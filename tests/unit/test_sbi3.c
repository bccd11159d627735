/* test_sbi3.c: the rules of SUSP, PMU, FWFT and STA, through the call wrapper. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "hypercalls/sbi.h"
#include "tests/unit/suites.h"
#include "vmm/call.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/module.h"
#include "vmm/snapshot.h"
#include "vmm/vm.h"

#define HARTS    3
#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x40000)
#define ALL      UINT64_MAX
#define HANDLE                                                                                 \
    70 /* of a thread's scheduler statistics in the fake host; plus opened before              \
        */

/* Logical counters: cycle, instret, and the firmware's. */
#define CYCLE       0
#define INSTRET     2
#define FW          11
#define NCOUNTERS   27
#define FW_MASK     0x7fff800u
#define HW_MASK     0x5u
#define EVENT_HW(n) SBI_PMU_EVENT(SBI_PMU_TYPE_HW, n)
#define EVENT_FW(n) SBI_PMU_EVENT(SBI_PMU_TYPE_FW, n)

extern const struct module module_sbi_base, module_sbi_time, module_sbi_ipi, module_sbi_rfence,
    module_sbi_legacy, module_sbi_pmu, module_sbi_susp, module_sbi_sta, module_sbi_fwft;

static const struct module *const modules[] = {
    &module_sbi_base, &module_sbi_time, &module_sbi_ipi, &module_sbi_rfence, &module_sbi_legacy,
    &module_sbi_pmu,  &module_sbi_susp, &module_sbi_sta, &module_sbi_fwft,
};
#define MODULES (sizeof(modules) / sizeof(modules[0]))

/* A VM whose harts never run: the first two have started, the third is stopped. */
static struct fixture {
    struct vm vm;
    struct vm_config config;
    struct host host;
    struct engine engine;
    struct hart hart[HARTS];
    struct module_instance instance[MODULES];
    struct call c;
    unsigned self; /* the hart that calls */

    unsigned waits;
    /* The fake engine's counters, and its features as a mask. */
    uint64_t counter[3];
    bool counts[3];
    unsigned features;
    uint64_t feature[HARTS][SBI_FWFT_FEATURES];
    int feature_error;
    /* The fake host's count of waiting, in ns. */
    _Atomic uint64_t delay;
    int delay_error;
    unsigned nopened, nclosed;
    unsigned nrandom;
} f;

static int fake_hart_create(struct hart *hart)
{
    (void)hart;
    return 0;
}

static void fake_nothing(struct hart *hart)
{
    (void)hart;
}

static void fake_hart_irq(struct hart *hart, unsigned irq, bool level)
{
    (void)hart;
    (void)irq;
    (void)level;
}

static bool fake_irq_pending(struct hart *hart)
{
    (void)hart;
    f.waits++;
    return true;
}

static void fake_set_timer(struct hart *hart, uint64_t ticks)
{
    (void)hart;
    (void)ticks;
}

static void fake_fence(struct hart *hart, const struct hart_fence *fence)
{
    (void)hart;
    (void)fence;
}

static enum call_route fake_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

static uint64_t fake_counter_get(struct hart *hart, unsigned counter)
{
    (void)hart;
    CU_ASSERT(counter == CYCLE || counter == INSTRET);
    return f.counter[counter];
}

static void fake_counter_set(struct hart *hart, unsigned counter, uint64_t value, bool counts)
{
    (void)hart;
    CU_ASSERT(counter == CYCLE || counter == INSTRET);
    f.counter[counter] = value;
    f.counts[counter] = counts;
}

static int fake_feature_set(struct hart *hart, unsigned feature, uint64_t value)
{
    CU_ASSERT_FATAL(feature < SBI_FWFT_FEATURES);
    if (!(f.features >> feature & 1))
        return -EOPNOTSUPP;
    if (f.feature_error)
        return f.feature_error;
    if (value > 1 && feature != SBI_FWFT_POINTER_MASKING_PMLEN)
        return -EINVAL;
    f.feature[hart->index][feature] = value;
    return 0;
}

static int fake_random(struct host *host, void *buf, size_t len)
{
    (void)host;
    memset(buf, (int)++f.nrandom, len);
    return 0;
}

static int fake_delay_open(struct host *host)
{
    (void)host;
    return HANDLE + (int)f.nopened++;
}

static int fake_delay_read(struct host *host, int handle, uint64_t *ns)
{
    (void)host;
    CU_ASSERT(handle >= HANDLE && handle < HANDLE + (int)f.nopened);
    *ns = f.delay;
    return f.delay_error;
}

static void fake_delay_close(struct host *host, int handle)
{
    (void)host;
    CU_ASSERT(handle >= HANDLE && handle < HANDLE + (int)f.nopened);
    f.nclosed++;
}

static ssize_t fake_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    (void)fd;
    (void)buf;
    return (ssize_t)len;
}

static void machine_begin(void)
{
    memset(&f, 0, sizeof(f));
    f.host = (struct host){.now_ns = host_real()->now_ns,
                           .random = fake_random,
                           .write = fake_write,
                           .delay_open = fake_delay_open,
                           .delay_read = fake_delay_read,
                           .delay_close = fake_delay_close};
    f.engine = (struct engine){.name = "fake",
                               .hart_create = fake_hart_create,
                               .hart_destroy = fake_nothing,
                               .kick = fake_nothing,
                               .hart_irq = fake_hart_irq,
                               .irq_pending = fake_irq_pending,
                               .set_timer = fake_set_timer,
                               .fence = fake_fence,
                               .call_route = fake_route,
                               .counter_get = fake_counter_get,
                               .counter_set = fake_counter_set,
                               .feature_set = fake_feature_set};
    f.features = 1 << SBI_FWFT_MISALIGNED_EXC_DELEG | 1 << SBI_FWFT_PTE_AD_HW_UPDATING |
                 1 << SBI_FWFT_POINTER_MASKING_PMLEN;
    f.counts[CYCLE] = f.counts[INSTRET] = true;
    f.vm.config = &f.config;
    f.vm.host = &f.host;
    f.vm.engine = &f.engine;
    f.vm.hart = f.hart;
    f.vm.nharts = HARTS;
    pthread_mutex_init(&f.vm.stop_lock, NULL);
    host_cond_init(&f.vm.stop_cond);
    pthread_mutex_init(&f.vm.fence_lock, NULL);
    host_cond_init(&f.vm.fence_cond);
    clock_init(&f.vm.clock, &f.host);
    mem_init(&f.vm.mem);
    CU_ASSERT_EQUAL_FATAL(mem_add(&f.vm.mem, RAM, RAM_SIZE), 0);
    for (unsigned i = 0; i < HARTS; i++) {
        CU_ASSERT_EQUAL_FATAL(hart_init(&f.hart[i], &f.vm, i), 0);
        f.hart[i].status = i == 2 ? HART_STOPPED : HART_STARTED;
    }
    f.vm.instance = f.instance;
}

static const struct module_option pmu_snapshot = {"snapshot", ""};

static void machine_start(void)
{
    struct error err = {.status = STATUS_OK};

    machine_begin();
    for (unsigned i = 0; i < MODULES; i++) {
        f.instance[i] = (struct module_instance){.module = modules[i], .vm = &f.vm};
        if (modules[i] == &module_sbi_pmu) {
            f.instance[i].options = &pmu_snapshot;
            f.instance[i].noptions = 1;
        }
        if (modules[i]->create)
            CU_ASSERT_EQUAL_FATAL(modules[i]->create(&f.instance[i], &err), 0);
    }
    f.vm.ninstances = MODULES;
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &err), 0);
}

static void machine_end(void)
{
    CU_ASSERT_EQUAL(f.vm.breaches, 0);
    call_index_destroy(&f.vm);
    for (unsigned i = 0; i < f.vm.ninstances; i++)
        if (f.instance[i].module->destroy)
            f.instance[i].module->destroy(f.instance[i].self);
    CU_ASSERT_EQUAL(f.nopened, f.nclosed);
    for (unsigned i = 0; i < HARTS; i++)
        hart_destroy(&f.hart[i]);
    mem_destroy(&f.vm.mem);
    pthread_cond_destroy(&f.vm.fence_cond);
    pthread_mutex_destroy(&f.vm.fence_lock);
    pthread_cond_destroy(&f.vm.stop_cond);
    pthread_mutex_destroy(&f.vm.stop_lock);
}

/* A call of hart f.self. */
#define CALL(eid, fid, ...) make_call(eid, fid, (const uint64_t[CALL_ARGS]){__VA_ARGS__})

static void make_call(uint64_t ext, uint64_t fn, const uint64_t arg[CALL_ARGS])
{
    f.c = (struct call){.personality = CALL_SBI, .ext = ext, .fn = fn};
    memcpy(f.c.arg, arg, sizeof(f.c.arg));
    call_dispatch(&f.hart[f.self], &f.c);
}

static void expect(int64_t error, uint64_t value)
{
    CU_ASSERT_EQUAL(f.c.disp, CALL_RET2);
    CU_ASSERT_EQUAL(f.c.error, error);
    CU_ASSERT_EQUAL(f.c.value, value);
}

#define EXPECT_CALL(wanted, ...)                                                               \
    do {                                                                                       \
        CALL(__VA_ARGS__);                                                                     \
        expect(wanted, 0);                                                                     \
    } while (0)

static uint64_t memory_word(gpa_t gpa)
{
    uint8_t bytes[8] = {0};

    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, gpa, bytes, sizeof(bytes)), 0);
    return le_get64(bytes);
}

static void memory_set(gpa_t gpa, uint64_t value)
{
    uint8_t bytes[8];

    le_put64(bytes, value);
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, gpa, bytes, sizeof(bytes)), 0);
}

static void test_base(void)
{
    static const uint64_t there[] = {SBI_EXT_PMU, SBI_EXT_SUSP, SBI_EXT_STA, SBI_EXT_FWFT};

    machine_start();
    CALL(SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION, 0);
    expect(SBI_SUCCESS, 0x03000000);
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
        CALL(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, there[i]);
        expect(SBI_SUCCESS, 1);
    }
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_PMU, 9, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_SUSP, 1, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_STA, 1, 0);
    EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, 2, 0);
    machine_end();
}

/* --- SUSP --- */

static void test_susp_refused(void)
{
    static const uint64_t types[] = {1, 0x7fffffff, 0x80000000, 0xffffffff, ALL};
    static const uint64_t addrs[] = {0, RAM + 1, RAM - 2, RAM + RAM_SIZE, ALL};

    machine_start();
    f.hart[1].status = HART_STOPPED;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_SUSP, 0, types[i], RAM, 0);
    for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++)
        EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_SUSP, 0, 0, addrs[i], 0);
    static const enum hart_status awake[] = {HART_STARTED, HART_START_PENDING, HART_SUSPENDED};
    for (size_t i = 0; i < sizeof(awake) / sizeof(awake[0]); i++) {
        f.hart[1].status = awake[i];
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_SUSP, 0, 0, RAM, 0);
    }
    CU_ASSERT_EQUAL(f.waits, 0);
    CU_ASSERT_FALSE(f.hart[0].resume_pending);
    machine_end();
}

static void test_susp(void)
{
    static const uint64_t types[] = {0, UINT64_C(1) << 32, UINT64_C(0xffffffff00000000)};

    machine_start();
    f.hart[1].status = HART_STOPPED;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        f.waits = 0;
        CALL(SBI_EXT_SUSP, 0, types[i], RAM + 2 * i, 77 + i);
        CU_ASSERT_EQUAL(f.c.disp, CALL_REPLACED);
        CU_ASSERT(f.waits > 0);
        CU_ASSERT_TRUE(f.hart[0].resume_pending);
        CU_ASSERT_EQUAL(f.hart[0].start_pc, RAM + 2 * i);
        CU_ASSERT_EQUAL(f.hart[0].start_arg, 77 + i);
        CU_ASSERT_EQUAL(f.hart[0].status, HART_STARTED);
    }
    machine_end();
}

/* --- FWFT --- */

#define FWFT_IS(feature, number)                                                               \
    do {                                                                                       \
        CALL(SBI_EXT_FWFT, SBI_FWFT_GET, feature);                                             \
        expect(SBI_SUCCESS, number);                                                           \
    } while (0)

static void test_fwft_absent(void)
{
    static const uint64_t denied[] = {6,          0x3fffffff, 0x40000000, 0x7fffffff,
                                      0x80000000, 0xbfffffff, 0xc0000000, 0xffffffff};
    static const unsigned missing[] = {SBI_FWFT_LANDING_PAD, SBI_FWFT_SHADOW_STACK,
                                       SBI_FWFT_DOUBLE_TRAP};

    machine_start();
    for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_GET, denied[i]);
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_SET, denied[i], 1, 0);
        EXPECT_CALL(SBI_ERR_DENIED, SBI_EXT_FWFT, SBI_FWFT_SET, denied[i], 1, 2);
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_GET, missing[i]);
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_SET, missing[i], 0, 0);
    }
    /* An engine that has none. */
    f.engine.feature_set = NULL;
    for (uint64_t i = 0; i < SBI_FWFT_FEATURES; i++)
        EXPECT_CALL(SBI_ERR_NOT_SUPPORTED, SBI_EXT_FWFT, SBI_FWFT_GET, i);
    modules_hart_reset(&f.hart[0]);
    machine_end();
}

static void test_fwft_set(void)
{
    machine_start();
    FWFT_IS(SBI_FWFT_MISALIGNED_EXC_DELEG, 1);
    FWFT_IS(SBI_FWFT_PTE_AD_HW_UPDATING, 0);
    FWFT_IS(SBI_FWFT_POINTER_MASKING_PMLEN, 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 0);
    FWFT_IS(4, 1);
    CU_ASSERT_EQUAL(f.feature[0][4], 1);
    CU_ASSERT_EQUAL(f.feature[1][4], 0);
    /* The feature has 32 bits, the others all theirs. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, UINT64_C(1) << 32 | 4, 0, 0);
    FWFT_IS(UINT64_C(1) << 63 | 4, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, UINT64_C(1) << 32, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 2, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 2);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, UINT64_C(1) << 32);
    FWFT_IS(4, 0);
    CU_ASSERT_EQUAL(f.feature[0][4], 0);
    /* Local: the other hart has its own. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 7, 0);
    f.self = 1;
    FWFT_IS(5, 0);
    f.self = 0;
    f.feature_error = -EIO;
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 0, 0);
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_FWFT, SBI_FWFT_GET, 5);
    f.feature_error = 0;
    FWFT_IS(5, 7);
    machine_end();
}

static void test_fwft_lock(void)
{
    machine_start();
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 2, SBI_FWFT_LOCK);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, SBI_FWFT_LOCK);
    for (uint64_t value = 0; value <= 1; value++)
        for (uint64_t flags = 0; flags <= 1; flags++)
            EXPECT_CALL(SBI_ERR_DENIED_LOCKED, SBI_EXT_FWFT, SBI_FWFT_SET, 4, value, flags);
    FWFT_IS(4, 1);
    CU_ASSERT_EQUAL(f.feature[0][4], 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 0, 0, 0);
    f.self = 1;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, 0);
    f.self = 0;
    /* A hart that starts anew has forgotten value and lock; the other has not. */
    modules_hart_reset(&f.hart[0]);
    CU_ASSERT_EQUAL(f.feature[0][4], 0);
    CU_ASSERT_EQUAL(f.feature[1][4], 1);
    FWFT_IS(4, 0);
    FWFT_IS(0, 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 0, 0);
    machine_end();
}

/* The interpreter's answers, whatever extensions it has by now. */
static void test_engine_features(void)
{
    struct hart *hart = &f.hart[0];
    struct hart_state state;

    machine_begin();
    f.config.max_steps = ALL;
    CU_ASSERT_EQUAL_FATAL(engine_interp.hart_create(hart), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 0), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 1), 0);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_MISALIGNED_EXC_DELEG, 2), -EINVAL);
    CU_ASSERT_EQUAL(engine_interp.feature_set(hart, SBI_FWFT_FEATURES, 0), -EOPNOTSUPP);
    for (unsigned i = SBI_FWFT_LANDING_PAD; i < SBI_FWFT_FEATURES; i++) {
        static const uint64_t bit[] = {0, 2, 3, 59, 61, 33}; /* of menvcfg */
        uint64_t on = i == SBI_FWFT_POINTER_MASKING_PMLEN ? 7 : 1, others;
        int rc = engine_interp.feature_set(hart, i, 0);

        CU_ASSERT(rc == 0 || rc == -EOPNOTSUPP);
        engine_interp.state_get(hart, &state);
        others = state.menvcfg;
        CU_ASSERT_EQUAL(others >> bit[i] & 1, 0);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, on), rc);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, 3), rc == 0 ? -EINVAL : rc);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.menvcfg, others | (uint64_t)(rc == 0) << bit[i]);
        CU_ASSERT_EQUAL(engine_interp.feature_set(hart, i, 0), rc);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.menvcfg, others);
        CU_ASSERT_EQUAL(state.priv, PRIV_S);
    }
    engine_interp.hart_destroy(hart);
    machine_end();
}

static void test_engine_counters(void)
{
    struct hart *hart = &f.hart[0];
    struct hart_state state;

    machine_begin();
    f.config.max_steps = ALL;
    CU_ASSERT_EQUAL_FATAL(engine_interp.hart_create(hart), 0);
    for (unsigned i = CYCLE; i <= INSTRET; i += 2) {
        engine_interp.counter_set(hart, i, 1000 + i, false);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.mcountinhibit, 1u << i);
        CU_ASSERT_EQUAL(engine_interp.counter_get(hart, i), 1000 + i);
        engine_interp.counter_set(hart, i, ALL - 5, true);
        engine_interp.state_get(hart, &state);
        CU_ASSERT_EQUAL(state.mcountinhibit, 0);
        CU_ASSERT_EQUAL(engine_interp.counter_get(hart, i), ALL - 5);
    }
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), ALL - 5);
    engine_interp.cycles_add(hart, 3);
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), ALL - 2);
    engine_interp.counter_set(hart, CYCLE, 7, false);
    engine_interp.cycles_add(hart, 3); /* it is kept still */
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, CYCLE), 7);
    CU_ASSERT_EQUAL(engine_interp.counter_get(hart, INSTRET), ALL - 5);
    engine_interp.hart_destroy(hart);
    machine_end();
}

/* --- PMU --- */

#define PMU(wanted, fn, ...) EXPECT_CALL(wanted, SBI_EXT_PMU, fn, __VA_ARGS__)

/* Configures one counter of a set; it must be `wanted`. */
static void configure(unsigned wanted, uint64_t base, uint64_t mask, uint64_t flags,
                      uint64_t event)
{
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_CONFIG_MATCHING, base, mask, flags, event, 0);
    expect(SBI_SUCCESS, wanted);
}

static void fw_is(unsigned counter, uint64_t value)
{
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_FW_READ, counter);
    expect(SBI_SUCCESS, value);
}

static void timers_set(unsigned n)
{
    while (n-- > 0)
        CALL(SBI_EXT_TIME, SBI_TIME_SET_TIMER, 1);
}

static void test_pmu_info(void)
{
    machine_start();
    CALL(SBI_EXT_PMU, SBI_PMU_NUM_COUNTERS, 0);
    expect(SBI_SUCCESS, NCOUNTERS);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, CYCLE);
    expect(SBI_SUCCESS, 0xc00 | 63 << 12);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, INSTRET);
    expect(SBI_SUCCESS, 0xc02 | 63 << 12);
    for (uint64_t i = FW; i < NCOUNTERS; i++) {
        CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, i);
        CU_ASSERT_EQUAL(f.c.error, SBI_SUCCESS);
        CU_ASSERT_EQUAL(f.c.value >> 63, 1);
    }
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, 1); /* time is no counter */
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, NCOUNTERS);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, 64);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, UINT64_C(1) << 32);
    /* An engine whose counters cannot be stopped offers none. */
    f.engine.counter_set = NULL;
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_GET_INFO, CYCLE);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 1, 0, EVENT_HW(1), 0);
    CALL(SBI_EXT_PMU, SBI_PMU_COUNTER_GET_INFO, FW);
    CU_ASSERT_EQUAL(f.c.error, SBI_SUCCESS);
    machine_end();
}

static void test_pmu_sets(void)
{
    static const struct {
        uint64_t base, mask;
    } bad[] = {
        {0,         2                },
        {1,         1                },
        {0,         7                },
        {NCOUNTERS, 1                },
        {FW,        1u << 16         },
        {FW,        ALL              },
        {63,        1                },
        {64,        1                },
        {ALL,       1                },
        {ALL,       2                },
        {0,         UINT64_C(1) << 63},
        {3,         UINT64_C(1) << 61}, /* would wrap around to counter 0 */
    };

    machine_start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, bad[i].base, bad[i].mask, 0,
            EVENT_FW(5), 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, bad[i].base, bad[i].mask, 0, 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_STOP, bad[i].base, bad[i].mask, 0);
    }
    /* Of an empty set nothing is invalid, and nobody is found in it. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 99, 0, 0, EVENT_FW(5), 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 0, 1, EVENT_FW(5), 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 99, 0, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, ALL, 0, 0);
    machine_end();
}

static void test_pmu_events(void)
{
    static const uint64_t never[] = {
        0, /* no event */
        EVENT_HW(0),
        EVENT_HW(3),
        EVENT_HW(10),
        EVENT_HW(11),
        EVENT_HW(0xffff),
        SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0),
        SBI_PMU_EVENT(SBI_PMU_TYPE_RAW, 0),
        SBI_PMU_EVENT(SBI_PMU_TYPE_RAW_V2, 0),
        SBI_PMU_EVENT(4, 5),
        SBI_PMU_EVENT(14, 5),
        EVENT_FW(0),
        EVENT_FW(4),
        EVENT_FW(14),
        EVENT_FW(21),
        EVENT_FW(22),
        EVENT_FW(256),
        EVENT_FW(SBI_PMU_FW_PLATFORM),
        EVENT_FW(5) | 1 << 20,
        EVENT_HW(1) | UINT64_C(1) << 32,
        EVENT_FW(5) | UINT64_C(1) << 63,
        ALL,
    };

    machine_start();
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, FW_MASK | HW_MASK, 0,
            never[i], 0);
    /* event_data is reserved with all that are there. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 1, 0, EVENT_HW(1), 1);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 1, 0, EVENT_FW(5), 1);
    /* Who cannot count it. */
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, FW_MASK | 4, 0, EVENT_HW(1),
        0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, HW_MASK, 0, EVENT_FW(5), 0);
    configure(CYCLE, 0, HW_MASK | FW_MASK, 0, EVENT_HW(SBI_PMU_HW_CPU_CYCLES));
    configure(INSTRET, 0, HW_MASK | FW_MASK, 0, EVENT_HW(SBI_PMU_HW_INSTRUCTIONS));
    for (unsigned i = SBI_PMU_FW_SET_TIMER; i <= SBI_PMU_FW_SFENCE_VMA_ASID_RECEIVED; i++)
        configure(FW + i - SBI_PMU_FW_SET_TIMER, 0, HW_MASK | FW_MASK, 0, EVENT_FW(i));
    machine_end();
}

static void test_pmu_matching(void)
{
    machine_start();
    for (unsigned bit = 8; bit < 64; bit++)
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 1, UINT64_C(1) << bit,
            EVENT_FW(5), 0);
    /* Filters are hints. */
    configure(FW, FW, 3, 0xf8, EVENT_FW(5));
    configure(FW + 1, FW, 3, 0, EVENT_FW(5));
    /* All taken, none started: the first is configured anew. */
    configure(FW, FW, 3, 0, EVENT_FW(6));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    configure(FW + 1, FW, 3, 0, EVENT_FW(7));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 2, 0, 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 3, 0, EVENT_FW(5), 0);
    /* Without matching: the first of the set, or nobody. */
    configure(FW + 4, FW + 4, 3, SBI_PMU_CFG_SKIP_MATCH, EVENT_FW(5));
    configure(FW + 4, FW + 4, 3, SBI_PMU_CFG_SKIP_MATCH, EVENT_FW(6));
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, 0, 5, SBI_PMU_CFG_SKIP_MATCH,
        EVENT_HW(2), 0);
    PMU(SBI_ERR_NOT_SUPPORTED, SBI_PMU_COUNTER_CONFIG_MATCHING, FW, 7, SBI_PMU_CFG_SKIP_MATCH,
        EVENT_FW(5), 0);
    machine_end();
}

static void test_pmu_hardware(void)
{
    machine_start();
    f.counter[CYCLE] = 1234;
    configure(CYCLE, 0, 1, 0, EVENT_HW(1));
    CU_ASSERT_FALSE(f.counts[CYCLE]);
    CU_ASSERT_EQUAL(f.counter[CYCLE], 1234);
    CU_ASSERT_TRUE(f.counts[INSTRET]);
    configure(CYCLE, 0, 1, SBI_PMU_CFG_CLEAR_VALUE, EVENT_HW(1));
    CU_ASSERT_EQUAL(f.counter[CYCLE], 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 0, 1, SBI_PMU_START_SET_INIT_VALUE, ALL - 9);
    CU_ASSERT_TRUE(f.counts[CYCLE]);
    CU_ASSERT_EQUAL(f.counter[CYCLE], ALL - 9);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 1, SBI_PMU_START_SET_INIT_VALUE, 5);
    CU_ASSERT_EQUAL(f.counter[CYCLE], ALL - 9);
    f.counter[CYCLE] = 77;
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1, 0);
    CU_ASSERT_FALSE(f.counts[CYCLE]);
    CU_ASSERT_EQUAL(f.counter[CYCLE], 77);
    /* The value that start finds without a flag. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, 0, 1, 0, 5);
    CU_ASSERT_EQUAL(f.counter[CYCLE], 77);
    /* Without its event it counts freely again. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1, SBI_PMU_STOP_RESET);
    CU_ASSERT_TRUE(f.counts[CYCLE]);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, 0, 1, 0, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, 0, 1, SBI_PMU_STOP_RESET);
    CU_ASSERT_TRUE(f.counts[CYCLE]);
    /* Started at once, its value kept. */
    configure(INSTRET, 0, 4, SBI_PMU_CFG_AUTO_START, EVENT_HW(2));
    CU_ASSERT_TRUE(f.counts[INSTRET]);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 4, 0, 0);
    machine_end();
}

static void test_pmu_firmware(void)
{
    machine_start();
    configure(FW, 0, FW_MASK, 0, EVENT_FW(SBI_PMU_FW_SET_TIMER));
    timers_set(3);
    fw_is(FW, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    timers_set(4);
    fw_is(FW, 4);
    CALL(SBI_EXT_LEGACY_SET_TIMER, 0, 9);
    fw_is(FW, 5);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    timers_set(2);
    fw_is(FW, 5);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    timers_set(1);
    fw_is(FW, 6);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_RESET);
    configure(FW, FW, 1, 0, EVENT_FW(SBI_PMU_FW_SET_TIMER)); /* keeps the value */
    fw_is(FW, 6);
    configure(FW, FW, 1, SBI_PMU_CFG_CLEAR_VALUE | SBI_PMU_CFG_AUTO_START,
              EVENT_FW(SBI_PMU_FW_SET_TIMER));
    timers_set(2);
    fw_is(FW, 2);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_FW_READ_HI, FW);
    static const uint64_t bad[] = {CYCLE, 1, INSTRET, NCOUNTERS, ALL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_FW_READ, bad[i]);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_FW_READ_HI, bad[i]);
    }
    /* Another hart's counters are its own. */
    f.self = 1;
    fw_is(FW, 0);
    machine_end();
}

static void test_pmu_start_stop(void)
{
    machine_start();
    for (unsigned bit = 2; bit < 64; bit++) {
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 0, UINT64_C(1) << bit, 0);
        PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_STOP, FW, 0, UINT64_C(1) << bit);
    }
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 0, 3, 0); /* mutually exclusive */
    configure(FW, FW, 1, 0, EVENT_FW(5));
    configure(FW + 1, FW, 2, 0, EVENT_FW(5));
    /* One that counts nothing: none starts. */
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_COUNTER_START, FW, 7, 0, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 3, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, SBI_PMU_START_SET_INIT_VALUE, 100);
    /* One that is started already: the other starts. */
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, FW, 3, SBI_PMU_START_SET_INIT_VALUE,
        200);
    timers_set(1);
    fw_is(FW, 101);
    fw_is(FW + 1, 201);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW + 1, 1, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 3, 0);
    timers_set(1);
    fw_is(FW, 101);
    fw_is(FW + 1, 201);
    machine_end();
}

/* Counts a pair of events: what hart 0 sends and hart 1 receives. */
static void expect_pair(unsigned sent, unsigned n)
{
    CU_ASSERT_EQUAL(f.hart[0].events[sent], n);
    CU_ASSERT_EQUAL(f.hart[0].events[sent + 1], 0);
    CU_ASSERT_EQUAL(f.hart[1].events[sent], 0);
    CU_ASSERT_EQUAL(f.hart[1].events[sent + 1], n);
}

static void test_pmu_counted(void)
{
    machine_start();
    /* To itself and to a stopped hart: neither is another hart that receives an IPI. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 5, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_IPI, 0, 15, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 0);
    CU_ASSERT_EQUAL(f.hart[2].events[SBI_PMU_FW_IPI_RECEIVED], 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 0, ALL);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 2, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 2);
    CALL(SBI_EXT_LEGACY_SEND_IPI, 0, 0);
    expect_pair(SBI_PMU_FW_IPI_SENT, 3);

    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_FENCE_I, 3, 0);
    expect_pair(SBI_PMU_FW_FENCE_I_SENT, 1);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 0, 4096);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 2, 0, 4096, 0); /* none */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA, 1, 0, 0, 4096);
    expect_pair(SBI_PMU_FW_SFENCE_VMA_SENT, 1);
    for (unsigned i = 0; i < 2; i++)
        EXPECT_CALL(SBI_SUCCESS, SBI_EXT_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, 2, 0, 0, 0, 1);
    expect_pair(SBI_PMU_FW_SFENCE_VMA_ASID_SENT, 2);
    expect_pair(SBI_PMU_FW_FENCE_I_SENT, 1);

    /* A counter of what the other hart sends. */
    f.self = 1;
    configure(FW, 0, FW_MASK, SBI_PMU_CFG_AUTO_START, EVENT_FW(SBI_PMU_FW_IPI_RECEIVED));
    f.self = 0;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_IPI, 0, 2, 0);
    f.self = 1;
    fw_is(FW, 1);
    machine_end();
}

#define SNAPSHOT (RAM + 0x2000)

static void test_pmu_shmem(void)
{
    machine_start();
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, ALL, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT + 64, 0, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, RAM - 4096, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, RAM + RAM_SIZE, 0, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, ALL, 0);
    configure(FW, FW, 1, 0, EVENT_FW(5));
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_START, FW, 1, SBI_PMU_START_INIT_SNAPSHOT, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, FW, 1, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, ALL, ALL, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    machine_end();
}

static void test_pmu_snapshot(void)
{
    machine_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    for (unsigned i = 0; i < 66; i++)
        memory_set(SNAPSHOT + 8 * i, 0xa0 + i);
    configure(FW + 1, FW + 1, 1, 0, EVENT_FW(5));
    configure(FW + 3, FW + 3, 1, 0, EVENT_FW(5));
    /* Values are relative to the base: bits 1 and 3 of FW. */
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_START, FW, 10, SBI_PMU_START_INIT_SNAPSHOT, 0);
    timers_set(0x10);
    fw_is(FW + 1, 0xa2 + 0x10);
    fw_is(FW + 3, 0xa4 + 0x10);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT), 0xa0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW + 1, 5,
        SBI_PMU_STOP_TAKE_SNAPSHOT | SBI_PMU_STOP_RESET);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT), 0); /* no overflow is ever told */
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 8), 0xa2 + 0x10);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 16), 0xa2);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 24), 0xa4 + 0x10);
    for (unsigned i = 4; i < 66; i++)
        CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 8 * i), 0xa0 + i);
    /* The last counter, and one of hardware. */
    configure(NCOUNTERS - 1, NCOUNTERS - 1, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(5));
    timers_set(1);
    f.counter[CYCLE] = 4321;
    configure(CYCLE, 0, 1, SBI_PMU_CFG_AUTO_START, EVENT_HW(1));
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, 0, 1 << (NCOUNTERS - 1) | 1,
        SBI_PMU_STOP_TAKE_SNAPSHOT);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 8), 4321);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 8 * NCOUNTERS), 1);
    machine_end();
}

#define INFO (RAM + 0x1000)

static void info_put(unsigned i, uint32_t event, uint64_t data)
{
    memory_set(INFO + 16 * i, (uint64_t)0xfffffff7 << 32 | event);
    memory_set(INFO + 16 * i + 8, data);
}

static void test_pmu_event_info(void)
{
    static const struct {
        uint32_t event;
        uint64_t data;
        unsigned supported;
    } entry[] = {
        {EVENT_HW(1),                      0,    1                            },
        {EVENT_HW(1),                      1234, 1                            }, /* its data is not valid */
        {EVENT_HW(2),                      0,    1                            },
        {EVENT_HW(3),                      0,    0                            },
        {SBI_PMU_EVENT(SBI_PMU_TYPE_CACHE, 0),   0,                             0},
        {SBI_PMU_EVENT(SBI_PMU_TYPE_RAW,                                0),       0,   0},
        {EVENT_FW(SBI_PMU_FW_SET_TIMER),                               0,                                   1                                },
        {EVENT_FW(SBI_PMU_FW_SET_TIMER),                               1, 0},
        {EVENT_FW(SBI_PMU_FW_ILLEGAL_INSN),                               0,                                   0                                                               },
        {EVENT_FW(SBI_PMU_FW_PLATFORM),                               0, 0},
    };
    unsigned n = sizeof(entry) / sizeof(entry[0]);

    machine_start();
    for (unsigned i = 0; i < n; i++)
        info_put(i, entry[i].event, entry[i].data);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, n, 0);
    for (unsigned i = 0; i < n; i++) {
        CU_ASSERT_EQUAL(memory_word(INFO + 16 * i),
                        (uint64_t)entry[i].supported << 32 | entry[i].event);
        CU_ASSERT_EQUAL(memory_word(INFO + 16 * i + 8), entry[i].data);
    }
    /* A reserved bit anywhere: nothing is answered. */
    for (unsigned i = 0; i < n; i++)
        info_put(i, entry[i].event, 0);
    info_put(n - 1, EVENT_HW(1) | 1 << 20, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO, 0, n, 0);
    CU_ASSERT_EQUAL(memory_word(INFO) >> 32, 0xfffffff7);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, n - 1, 0);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO, 0, 1, 1);
    PMU(SBI_ERR_INVALID_PARAM, SBI_PMU_EVENT_GET_INFO, INFO + 8, 0, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 1, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, RAM - 16, 0, 1, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, RAM + RAM_SIZE - 16, 0, 2, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, ALL, 0);
    PMU(SBI_ERR_INVALID_ADDRESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, UINT64_C(1) << 60, 0);
    PMU(SBI_SUCCESS, SBI_PMU_EVENT_GET_INFO, INFO, 0, 0, 0);
    /* More than one crossing may copy, though it is there. */
    PMU(SBI_ERR_FAILED, SBI_PMU_EVENT_GET_INFO, RAM, 0, CALL_BUF_MAX / 16 + 1, 0);
    machine_end();
}

static void test_pmu_reset(void)
{
    machine_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    configure(CYCLE, 0, 1, 0, EVENT_HW(1));
    configure(FW, FW, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(5));
    timers_set(3);
    modules_hart_reset(&f.hart[0]);
    CU_ASSERT_TRUE(f.counts[CYCLE]);
    fw_is(FW, 0);
    PMU(SBI_ERR_ALREADY_STOPPED, SBI_PMU_COUNTER_STOP, FW, 1, 0);
    PMU(SBI_ERR_NO_SHMEM, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    machine_end();
}

/* --- saved and loaded --- */

static struct saved {
    struct state_writer w;
    uint8_t bytes[4096];
    size_t len;
} saved;

static void saved_write(struct state_writer *w, const void *data, size_t len)
{
    CU_ASSERT_FATAL(w == &saved.w && len <= sizeof(saved.bytes) - saved.len);
    memcpy(saved.bytes + saved.len, data, len);
    saved.len += len;
}

static void module_save(const char *name)
{
    saved.w = (struct state_writer){.write = saved_write};
    saved.len = 0;
    for (unsigned i = 0; i < MODULES; i++)
        if (strcmp(modules[i]->name, name) == 0)
            modules[i]->save(f.instance[i].self, &saved.w);
    CU_ASSERT(saved.len > 0);
}

static int module_load(const char *name)
{
    struct state_reader r = {.data = saved.bytes, .len = saved.len};

    for (unsigned i = 0; i < MODULES; i++)
        if (strcmp(modules[i]->name, name) == 0)
            modules[i]->load(f.instance[i].self, &r);
    CU_ASSERT(r.error != 0 || r.len == 0);
    return r.error;
}

static void test_pmu_saved(void)
{
    machine_start();
    PMU(SBI_SUCCESS, SBI_PMU_SNAPSHOT_SET_SHMEM, SNAPSHOT, 0, 0);
    configure(FW, FW, 1, SBI_PMU_CFG_AUTO_START, EVENT_FW(SBI_PMU_FW_SET_TIMER));
    configure(CYCLE, 0, 1, SBI_PMU_CFG_AUTO_START, EVENT_HW(1));
    timers_set(7);
    module_save("sbi-pmu");
    machine_end();
    machine_start();
    CU_ASSERT_EQUAL(module_load("sbi-pmu"), 0);
    fw_is(FW, 7);
    timers_set(2);
    fw_is(FW, 9);
    PMU(SBI_ERR_ALREADY_STARTED, SBI_PMU_COUNTER_START, 0, 1, 0, 0);
    PMU(SBI_SUCCESS, SBI_PMU_COUNTER_STOP, FW, 1, SBI_PMU_STOP_TAKE_SNAPSHOT);
    CU_ASSERT_EQUAL(memory_word(SNAPSHOT + 8), 9);
    /* The shared memory, then event, its data, state and value of counter 0. */
    static const struct {
        unsigned at;
        uint64_t value;
    } bad[] = {
        {0,  64            },
        {0,  RAM + RAM_SIZE},
        {8,  EVENT_HW(2)   },
        {8,  1ull << 32    },
        {16, 1             },
        {24, 2             },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t old[8];

        memcpy(old, saved.bytes + bad[i].at, 8);
        le_put64(saved.bytes + bad[i].at, bad[i].value);
        CU_ASSERT_NOT_EQUAL(module_load("sbi-pmu"), 0);
        memcpy(saved.bytes + bad[i].at, old, 8);
    }
    saved.len--;
    CU_ASSERT_NOT_EQUAL(module_load("sbi-pmu"), 0);
    machine_end();
}

static void test_fwft_saved(void)
{
    machine_start();
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 1, SBI_FWFT_LOCK);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 16, 0);
    module_save("sbi-fwft");
    machine_end();
    machine_start();
    CU_ASSERT_EQUAL(module_load("sbi-fwft"), 0);
    FWFT_IS(4, 1);
    FWFT_IS(5, 16);
    EXPECT_CALL(SBI_ERR_DENIED_LOCKED, SBI_EXT_FWFT, SBI_FWFT_SET, 4, 0, 0);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_FWFT, SBI_FWFT_SET, 5, 0, 0);
    le_put64(saved.bytes, 2);
    CU_ASSERT_NOT_EQUAL(module_load("sbi-fwft"), 0);
    machine_end();
}

/* --- STA --- */

#define STA_GPA (RAM + RAM_SIZE - 64) /* the last that there is */

static void sta_is(uint32_t sequence, uint64_t steal)
{
    CU_ASSERT_EQUAL(memory_word(STA_GPA), sequence); /* flags are zero */
    CU_ASSERT_EQUAL(memory_word(STA_GPA + 8), steal);
    for (unsigned i = 16; i < 64; i += 8)
        CU_ASSERT_EQUAL(memory_word(STA_GPA + i), 0);
}

static void test_sta_refused(void)
{
    machine_start();
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, STA_GPA, 0, 1);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, ALL, ALL, 1);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, STA_GPA + 32, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_PARAM, SBI_EXT_STA, 0, ALL, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA + 64, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, RAM - 64, 0, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA, 1, 0);
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, STA_GPA, ALL, 0);
    f.delay_error = -EIO;
    EXPECT_CALL(SBI_ERR_FAILED, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    f.delay = 100;
    modules_hart_enter(&f.hart[0]);
    sta_is(0, 0);
    machine_end();
}

static void test_sta(void)
{
    machine_start();
    f.delay = 5000;
    for (unsigned i = 0; i < 64; i += 8)
        memory_set(STA_GPA + i, ALL);
    memory_set(STA_GPA - 8, 0x55);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    CU_ASSERT_EQUAL(memory_word(STA_GPA - 8), 0x55);
    sta_is(0, 0);
    modules_hart_enter(&f.hart[0]); /* nothing was stolen: nothing is written */
    sta_is(0, 0);
    f.delay = 5700;
    modules_hart_enter(&f.hart[1]); /* another hart's way in */
    sta_is(0, 0);
    modules_hart_enter(&f.hart[0]);
    sta_is(2, 700);
    f.delay = UINT64_C(5000) + (UINT64_C(3) << 33);
    modules_hart_enter(&f.hart[0]);
    sta_is(4, UINT64_C(3) << 33);
    /* What the guest writes there harms nobody. */
    memory_set(STA_GPA, 0x12345);
    f.delay += 1;
    modules_hart_enter(&f.hart[0]);
    sta_is(6, (UINT64_C(3) << 33) + 1);
    f.delay_error = -EIO; /* the host tells no more */
    f.delay += 1;
    modules_hart_enter(&f.hart[0]);
    sta_is(6, (UINT64_C(3) << 33) + 1);
    f.delay_error = 0;
    /* A refused call changes nothing; then off. */
    EXPECT_CALL(SBI_ERR_INVALID_ADDRESS, SBI_EXT_STA, 0, 0, 0, 0);
    modules_hart_enter(&f.hart[0]);
    sta_is(8, (UINT64_C(3) << 33) + 2);
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, ALL, ALL, 0);
    f.delay += 1;
    modules_hart_enter(&f.hart[0]);
    sta_is(8, (UINT64_C(3) << 33) + 2);
    /* Again: from nothing. */
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    f.delay += 9;
    modules_hart_enter(&f.hart[0]);
    sta_is(2, 9);
    modules_hart_reset(&f.hart[0]);
    f.delay += 1;
    modules_hart_enter(&f.hart[0]);
    sta_is(2, 9);
    machine_end();
}

/* A hart that never leaves the guest is called out; the others are left alone. */
static void test_sta_tick(void)
{
    machine_start();
    f.hart[0].in_guest = true;
    f.hart[1].in_guest = true;
    EXPECT_CALL(SBI_SUCCESS, SBI_EXT_STA, 0, STA_GPA, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        while (!(f.hart[0].requests & HART_REQ_TICK))
            sched_yield();
        f.hart[0].requests = 0;
    }
    CU_ASSERT_EQUAL(f.hart[1].requests, 0);
    machine_end();
}

static int no_delay_open(struct host *host)
{
    (void)host;
    return -ENOENT;
}

static void test_sta_absent(void)
{
    struct error err = {.status = STATUS_OK};
    struct module_instance inst = {.module = &module_sbi_sta, .vm = &f.vm};

    machine_begin();
    f.host.delay_open = NULL;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    f.host.delay_open = no_delay_open;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    f.host.delay_open = fake_delay_open;
    f.config.deterministic = true;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    CU_ASSERT_EQUAL(f.nopened, 0);
    f.config.deterministic = false;
    f.delay_error = -EIO;
    CU_ASSERT_EQUAL(module_sbi_sta.create(&inst, &err), -ENODEV);
    CU_ASSERT_NOT_EQUAL(strstr(err.text, "sbi-sta"), NULL);
    machine_end();
}

/* Creates the modules of a kernel start; whether STA is there goes to *there. */
static int modules_try(struct error *err, bool *there)
{
    int rc;

    *err = (struct error){.status = STATUS_OK};
    f.vm.irq = (struct irq_router){0};
    f.vm.bus.nclaims = 0;
    rc = modules_create(&f.vm, err);
    *there = rc == 0 && module_present(&f.vm, "sbi-sta");
    modules_destroy(&f.vm);
    return rc;
}

/* What the host cannot do is left out without a word, unless the user asked for it. */
static void test_left_out(void)
{
    struct error err;
    bool there;

    machine_begin();
    f.config.start = START_KERNEL;
    CU_ASSERT_EQUAL_FATAL(console_init(&f.vm.console, &f.vm, &f.host, CONSOLE_NONE, -1, -1), 0);
    CU_ASSERT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_TRUE(there);
    f.host.delay_open = NULL;
    CU_ASSERT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_FALSE(there);
    CU_ASSERT_EQUAL(err.text[0], '\0');
    f.config.request[0].name = "sbi-sta";
    f.config.nrequests = 1;
    CU_ASSERT_NOT_EQUAL(modules_try(&err, &there), 0);
    CU_ASSERT_NOT_EQUAL(strstr(err.text, "sbi-sta"), NULL);
    console_destroy(&f.vm.console);
    machine_end();
}

/* The real host's count is there on Linux, or said not to be; it never falls. */
static void test_host_delay(void)
{
    struct host *host = host_real();
    uint64_t first, second;
    int handle = host->delay_open(host);

    if (handle < 0) {
        CU_ASSERT_EQUAL(handle, -ENOENT);
        return;
    }
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &first), 0);
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &second), 0);
    CU_ASSERT(second >= first);
    host->delay_close(host, handle);
    CU_ASSERT_EQUAL(host->delay_read(host, handle, &second), -EBADF);
}

void suite_sbi3(void)
{
    CU_pSuite s = CU_add_suite("sbi3", NULL, NULL);

    CU_add_test(s, "base: version 3.0 and what is there", test_base);
    CU_add_test(s, "susp: refused", test_susp_refused);
    CU_add_test(s, "susp: comes back where and with what it said", test_susp);
    CU_add_test(s, "fwft: what is absent", test_fwft_absent);
    CU_add_test(s, "fwft: set and get", test_fwft_set);
    CU_add_test(s, "fwft: locks and resets", test_fwft_lock);
    CU_add_test(s, "fwft: the interpreter's features", test_engine_features);
    CU_add_test(s, "pmu: the interpreter's counters", test_engine_counters);
    CU_add_test(s, "pmu: counters and their details", test_pmu_info);
    CU_add_test(s, "pmu: sets of counters", test_pmu_sets);
    CU_add_test(s, "pmu: events", test_pmu_events);
    CU_add_test(s, "pmu: finding a counter", test_pmu_matching);
    CU_add_test(s, "pmu: cycle and instret", test_pmu_hardware);
    CU_add_test(s, "pmu: firmware counters", test_pmu_firmware);
    CU_add_test(s, "pmu: start and stop", test_pmu_start_stop);
    CU_add_test(s, "pmu: what is counted", test_pmu_counted);
    CU_add_test(s, "pmu: shared memory", test_pmu_shmem);
    CU_add_test(s, "pmu: snapshots", test_pmu_snapshot);
    CU_add_test(s, "pmu: details of events", test_pmu_event_info);
    CU_add_test(s, "pmu: a hart that starts anew", test_pmu_reset);
    CU_add_test(s, "pmu: saved and loaded", test_pmu_saved);
    CU_add_test(s, "fwft: saved and loaded", test_fwft_saved);
    CU_add_test(s, "sta: refused", test_sta_refused);
    CU_add_test(s, "sta: steal time", test_sta);
    CU_add_test(s, "sta: a hart that stays in the guest", test_sta_tick);
    CU_add_test(s, "sta: absent", test_sta_absent);
    CU_add_test(s, "modules: left out", test_left_out);
    CU_add_test(s, "host: delay of threads", test_host_delay);
}
