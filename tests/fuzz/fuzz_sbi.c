/* fuzz_sbi.c: libFuzzer target: sequences of SBI calls of two harts, with garbage in them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "vmm/call.h"
#include "vmm/hart.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/vm.h"

#define HARTS     2
#define CALLS_MAX 1000
#define RAM       UINT64_C(0x80000000)
#define RAM_SIZE  UINT64_C(0x20000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const struct module module_sbi_base, module_sbi_time, module_sbi_ipi, module_sbi_rfence,
    module_sbi_hsm, module_sbi_srst, module_sbi_dbcn, module_sbi_legacy, module_sbi_pmu,
    module_sbi_susp, module_sbi_sta, module_sbi_fwft;

static const struct module *const modules[] = {
    &module_sbi_base, &module_sbi_time, &module_sbi_ipi,  &module_sbi_rfence,
    &module_sbi_hsm,  &module_sbi_srst, &module_sbi_dbcn, &module_sbi_legacy,
    &module_sbi_pmu,  &module_sbi_susp, &module_sbi_sta,  &module_sbi_fwft,
};
#define MODULES (sizeof(modules) / sizeof(modules[0]))

/* Extensions that most calls name; others are drawn from the input. */
static const uint64_t extensions[] = {
    SBI_EXT_BASE,
    SBI_EXT_TIME,
    SBI_EXT_IPI,
    SBI_EXT_RFENCE,
    SBI_EXT_HSM,
    SBI_EXT_SRST,
    SBI_EXT_DBCN,
    TG_EXT_FIRST,
    TG_EXT_EXIT,
    TG_EXT_LAST,
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    SBI_EXT_DBCN,
    SBI_EXT_HSM,
    SBI_EXT_PMU,
    SBI_EXT_PMU,
    SBI_EXT_PMU,
    SBI_EXT_SUSP,
    SBI_EXT_STA,
    SBI_EXT_FWFT,
    SBI_EXT_FWFT,
};
/* Arguments on the edges of what is valid. */
static const uint64_t edges[] = {
    0,
    1,
    2,
    3,
    HARTS,
    63,
    64,
    UINT64_MAX,
    UINT64_MAX - 1,
    RAM,
    RAM + 1,
    RAM + 2,
    RAM - 1,
    RAM + RAM_SIZE - 1,
    RAM + RAM_SIZE - 2,
    RAM + RAM_SIZE,
    CALL_BUF_MAX,
    CALL_BUF_MAX + 1,
    RAM_SIZE,
    0x80000001,
    0xffffffff,
    UINT64_C(1) << 32,
    UINT64_C(1) << 63,
    SBI_EXT_DBCN,
    TG_EXT_EXIT,
    4,
    5,
    7,
    16,
    18,
    19,
    RAM + 64,
    RAM + 4096,
    RAM + RAM_SIZE - 64,
    RAM + RAM_SIZE - 4096,
    0x7fffd,
    SBI_PMU_EVENT(SBI_PMU_TYPE_HW, SBI_PMU_HW_CPU_CYCLES),
    SBI_PMU_EVENT(SBI_PMU_TYPE_HW, SBI_PMU_HW_INSTRUCTIONS),
    SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_SET_TIMER),
    SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_IPI_RECEIVED),
    SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_HFENCE_GVMA_SENT),
};

/* The rest of the input; zeros when it is used up. */
struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t input_byte(struct input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static uint64_t input_word(struct input *in)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | input_byte(in);
    return word;
}

/* An edge three times in four. */
static uint64_t input_arg(struct input *in)
{
    uint8_t choice = input_byte(in);

    if (choice >= 192)
        return input_word(in);
    return edges[choice % (sizeof(edges) / sizeof(edges[0]))];
}

/* A machine whose harts have no threads. */
struct machine {
    struct vm vm;
    struct vm_config config;
    struct host host;
    struct hart hart[HARTS];
    uint64_t delay; /* of the fake host */
    struct module_instance instance[MODULES];
};

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
    const uint8_t *bytes = buf;
    volatile uint8_t sum = 0;

    (void)host;
    (void)fd;
    for (size_t i = 0; i < len; i++) /* so that a sanitizer sees each byte used */
        sum = (uint8_t)(sum + bytes[i]);
    return (ssize_t)len;
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

/* Others always had the processor for a while. */
static int fake_delay_open(struct host *host)
{
    (void)host;
    return 0;
}

static int fake_delay_read(struct host *host, int handle, uint64_t *ns)
{
    struct machine *m = (struct machine *)((char *)host - offsetof(struct machine, host));

    (void)handle;
    *ns = m->delay += 1000;
    return 0;
}

static void fake_delay_close(struct host *host, int handle)
{
    (void)host;
    (void)handle;
}

static const struct engine fake_engine = {
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

static const struct module_option pmu_snapshot = {"snapshot", ""};

static void machine_create(struct machine *m)
{
    struct error err = {.status = STATUS_OK};

    memset(m, 0, sizeof(*m));
    m->host = (struct host){.now_ns = host_real()->now_ns,
                            .write = fake_write,
                            .delay_open = fake_delay_open,
                            .delay_read = fake_delay_read,
                            .delay_close = fake_delay_close};
    m->vm.config = &m->config;
    m->vm.host = &m->host;
    m->vm.engine = &fake_engine;
    m->vm.hart = m->hart;
    m->vm.nharts = HARTS;
    m->vm.instance = m->instance;
    m->vm.ninstances = MODULES;
    pthread_mutex_init(&m->vm.stop_lock, NULL);
    host_cond_init(&m->vm.stop_cond);
    pthread_mutex_init(&m->vm.fence_lock, NULL);
    host_cond_init(&m->vm.fence_cond);
    clock_init(&m->vm.clock, &m->host);
    mem_init(&m->vm.mem);
    for (unsigned i = 0; i < MODULES; i++) {
        m->instance[i] = (struct module_instance){
            .module = modules[i],
            .vm = &m->vm,
            .options = modules[i] == &module_sbi_pmu ? &pmu_snapshot : NULL,
            .noptions = modules[i] == &module_sbi_pmu};
        if (modules[i]->create && modules[i]->create(&m->instance[i], &err) != 0)
            abort();
    }
    if (mem_add(&m->vm.mem, RAM, RAM_SIZE) < 0 ||
        console_init(&m->vm.console, &m->vm, &m->host, CONSOLE_SBI, -1, -1) < 0 ||
        call_index_build(&m->vm, &err) < 0)
        abort();
    for (unsigned i = 0; i < HARTS; i++)
        if (hart_init(&m->hart[i], &m->vm, i) < 0)
            abort();
    m->hart[0].status = HART_STARTED;
    m->hart[1].status = HART_STOPPED;
}

static void machine_destroy(struct machine *m)
{
    for (unsigned i = 0; i < MODULES; i++)
        if (modules[i]->destroy)
            modules[i]->destroy(m->instance[i].self);
    for (unsigned i = 0; i < HARTS; i++)
        hart_destroy(&m->hart[i]);
    call_index_destroy(&m->vm);
    console_destroy(&m->vm.console);
    mem_destroy(&m->vm.mem);
    pthread_cond_destroy(&m->vm.fence_cond);
    pthread_mutex_destroy(&m->vm.fence_lock);
    pthread_cond_destroy(&m->vm.stop_cond);
    pthread_mutex_destroy(&m->vm.stop_lock);
}

static struct call input_call(struct input *in)
{
    struct call c = {.personality = CALL_SBI};
    uint8_t choice = input_byte(in);

    if (choice >= 240)
        c.ext = input_word(in);
    else if (choice < 232)
        c.ext = extensions[choice % (sizeof(extensions) / sizeof(extensions[0]))];
    else
        c.personality = CALL_PROGRAM;
    if (c.ext >= TG_EXT_FIRST && c.ext <= TG_EXT_LAST)
        c.personality = CALL_TG;
    choice = input_byte(in);
    c.fn = choice < 240 ? choice % 10 : input_arg(in);
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c.arg[i] = input_arg(in);
    return c;
}

/* What every reply must keep to, whatever was asked. */
static void call_check(const struct machine *m, const struct call *c)
{
    bool legacy = c->personality == CALL_SBI && c->ext < SBI_EXT_BASE;

    if (c->buf)
        abort();
    switch (c->disp) {
    case CALL_RET2:
        if (legacy || c->personality == CALL_PROGRAM || c->error > 0 ||
            c->error < SBI_ERR_DENIED_LOCKED)
            abort();
        break;
    case CALL_RET1:
        if (!legacy)
            abort();
        break;
    case CALL_TRAP:
        if (!legacy || c->value > 15)
            abort();
        break;
    case CALL_REPLACED:
        if (c->ext != SBI_EXT_HSM && c->ext != SBI_EXT_SUSP)
            abort();
        break;
    case CALL_STOPPED:
        if (c->ext != SBI_EXT_HSM && !m->vm.stopping)
            abort();
        break;
    case CALL_PASS:
        if (c->personality != CALL_PROGRAM)
            abort();
        break;
    default: abort();
    }
}

/*
 * Does by hand what a hart's thread would do after a call: leave the guest, so that the other
 * hart never waits for this one, and stop or go on somewhere else.
 */
static void hart_settle(struct hart *hart)
{
    hart_take_fences(hart);
    hart->in_guest = false;
    hart->requests = 0;
    hart->resume_pending = false;
    if (hart->stop_pending)
        hart->status = HART_STOPPED;
    hart->stop_pending = false;
    if (hart->status == HART_START_PENDING) {
        modules_hart_reset(hart);
        hart->status = HART_STARTED;
    }
    modules_hart_enter(hart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine machine; /* large; one thread, and made anew for each input */
    struct machine *m = &machine;
    struct input in = {data, size};

    machine_create(m);
    for (unsigned n = 0; n < CALLS_MAX && in.size > 0 && !m->vm.stopping; n++) {
        uint8_t step = input_byte(&in);
        struct hart *hart = &m->hart[step % HARTS];

        if (step >= 224) /* the user types */
            console_feed(&m->vm.console, &step, 1);
        for (unsigned i = 0; i < HARTS; i++)
            hart_settle(&m->hart[i]);
        if (hart->status == HART_STOPPED)
            continue;
        struct call c = input_call(&in);
        call_dispatch(hart, &c);
        call_check(m, &c);
    }
    machine_destroy(m);
    return 0;
}
