/* sbi_machine.c: the fake engine and host of sbi_machine.h. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sbi_machine.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include "vmm/le.h"

#define HANDLE                                                                                 \
    70 /* of a thread's scheduler statistics in the fake host; plus opened before              \
        */

struct sbi_machine sm;
struct sbi_machine_saved sbi_saved;

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
    (level ? sm.raised : sm.lowered)[hart->index]++;
    sm.last_irq = irq;
}

static bool fake_irq_pending(struct hart *hart)
{
    (void)hart;
    sm.waits++;
    return true;
}

static void fake_set_timer(struct hart *hart, uint64_t ticks)
{
    sm.timer[hart->index] = ticks;
    sm.ntimers++;
}

static uint64_t fake_timer_deadline(struct hart *hart)
{
    (void)hart;
    return UINT64_MAX;
}

static void fake_fence(struct hart *hart, const struct hart_fence *fence)
{
    sm.fence[hart->index] = *fence;
    sm.nfences[hart->index]++;
}

static enum call_route fake_route(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

static int fake_read_virt(struct hart *hart, uint64_t va, void *buf, size_t len)
{
    (void)hart;
    sm.virt_va = va;
    CU_ASSERT_EQUAL(len, sizeof(sm.virt_word));
    if (sm.virt_result == 0)
        memcpy(buf, &sm.virt_word, sizeof(sm.virt_word));
    return sm.virt_result;
}

static ssize_t fake_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    if (fd != OUT_FD)
        return (ssize_t)len;
    if (len > sizeof(sm.out) - sm.out_len)
        len = sizeof(sm.out) - sm.out_len;
    memcpy(sm.out + sm.out_len, buf, len);
    sm.out_len += len;
    return (ssize_t)len;
}

static uint64_t fake_counter_get(struct hart *hart, unsigned counter)
{
    (void)hart;
    CU_ASSERT(counter == CYCLE || counter == INSTRET);
    return sm.counter[counter];
}

static void fake_counter_set(struct hart *hart, unsigned counter, uint64_t value, bool counts)
{
    (void)hart;
    CU_ASSERT(counter == CYCLE || counter == INSTRET);
    sm.counter[counter] = value;
    sm.counts[counter] = counts;
}

static int fake_feature_set(struct hart *hart, unsigned feature, uint64_t value)
{
    CU_ASSERT_FATAL(feature < SBI_FWFT_FEATURES);
    if (!(sm.features >> feature & 1))
        return -EOPNOTSUPP;
    if (sm.feature_error)
        return sm.feature_error;
    if (value > 1 && feature != SBI_FWFT_POINTER_MASKING_PMLEN)
        return -EINVAL;
    sm.feature[hart->index][feature] = value;
    return 0;
}

static int fake_random(struct host *host, void *buf, size_t len)
{
    (void)host;
    memset(buf, (int)++sm.nrandom, len);
    return 0;
}

static int fake_delay_open(struct host *host)
{
    (void)host;
    return HANDLE + (int)sm.nopened++;
}

static int fake_delay_read(struct host *host, int handle, uint64_t *ns)
{
    (void)host;
    CU_ASSERT(handle >= HANDLE && handle < HANDLE + (int)sm.nopened);
    *ns = sm.delay;
    return sm.delay_error;
}

static void fake_delay_close(struct host *host, int handle)
{
    (void)host;
    CU_ASSERT(handle >= HANDLE && handle < HANDLE + (int)sm.nopened);
    sm.nclosed++;
}

void sbi_machine_begin(uint64_t (*now)(struct host *host))
{
    memset(&sm, 0, sizeof(sm));
    sm.host = (struct host){.now_ns = now,
                            .random = fake_random,
                            .write = fake_write,
                            .delay_open = fake_delay_open,
                            .delay_read = fake_delay_read,
                            .delay_close = fake_delay_close};
    sm.engine = (struct engine){.name = "fake",
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
                                .feature_set = fake_feature_set};
    sm.features = 1 << SBI_FWFT_MISALIGNED_EXC_DELEG | 1 << SBI_FWFT_PTE_AD_HW_UPDATING |
                  1 << SBI_FWFT_POINTER_MASKING_PMLEN;
    sm.counts[CYCLE] = sm.counts[INSTRET] = true;
    sm.vm.config = &sm.config;
    sm.vm.host = &sm.host;
    sm.vm.engine = &sm.engine;
    sm.vm.hart = sm.hart;
    sm.vm.nharts = HARTS;
    pthread_mutex_init(&sm.vm.stop_lock, NULL);
    host_cond_init(&sm.vm.stop_cond);
    pthread_mutex_init(&sm.vm.fence_lock, NULL);
    host_cond_init(&sm.vm.fence_cond);
    clock_init(&sm.vm.clock, &sm.host);
    mem_init(&sm.vm.mem);
    CU_ASSERT_EQUAL_FATAL(mem_add(&sm.vm.mem, RAM, RAM_SIZE), 0);
    CU_ASSERT_EQUAL_FATAL(
        console_init(&sm.vm.console, &sm.vm, &sm.host, CONSOLE_SBI, -1, OUT_FD), 0);
    for (unsigned i = 0; i < HARTS; i++) {
        CU_ASSERT_EQUAL_FATAL(hart_init(&sm.hart[i], &sm.vm, i), 0);
        sm.hart[i].status = i == 2 ? HART_STOPPED : HART_STARTED;
    }
    sm.vm.instance = sm.instance;
}

void sbi_machine_add(const struct module *module, const struct module_option *options,
                     unsigned noptions)
{
    struct error err = {.status = STATUS_OK};

    CU_ASSERT_FATAL(sm.vm.ninstances < MODULES_MAX);
    struct module_instance *inst = &sm.instance[sm.vm.ninstances++];

    *inst = (struct module_instance){
        .module = module, .vm = &sm.vm, .options = options, .noptions = noptions};
    if (module->create)
        CU_ASSERT_EQUAL_FATAL(module->create(inst, &err), 0);
}

void sbi_machine_start(void)
{
    struct error err = {.status = STATUS_OK};

    CU_ASSERT_EQUAL_FATAL(call_index_build(&sm.vm, &err), 0);
}

void sbi_machine_end(void)
{
    CU_ASSERT_EQUAL(sm.vm.breaches, 0);
    call_index_destroy(&sm.vm);
    for (unsigned i = 0; i < sm.vm.ninstances; i++)
        if (sm.instance[i].module->destroy)
            sm.instance[i].module->destroy(sm.instance[i].self);
    CU_ASSERT_EQUAL(sm.nopened, sm.nclosed);
    for (unsigned i = 0; i < HARTS; i++)
        hart_destroy(&sm.hart[i]);
    console_destroy(&sm.vm.console);
    mem_destroy(&sm.vm.mem);
    pthread_cond_destroy(&sm.vm.fence_cond);
    pthread_mutex_destroy(&sm.vm.fence_lock);
    pthread_cond_destroy(&sm.vm.stop_cond);
    pthread_mutex_destroy(&sm.vm.stop_lock);
}

void sbi_machine_call(uint64_t ext, uint64_t fn, const uint64_t arg[CALL_ARGS])
{
    sm.c = (struct call){.personality = CALL_SBI, .ext = ext, .fn = fn};
    memcpy(sm.c.arg, arg, sizeof(sm.c.arg));
    call_dispatch(&sm.hart[sm.self], &sm.c);
}

void sbi_machine_expect(int64_t error, uint64_t value)
{
    CU_ASSERT_EQUAL(sm.c.disp, CALL_RET2);
    CU_ASSERT_EQUAL(sm.c.error, error);
    CU_ASSERT_EQUAL(sm.c.value, value);
}

uint64_t sbi_machine_word(gpa_t gpa)
{
    uint8_t bytes[8] = {0};

    CU_ASSERT_EQUAL(mem_read(&sm.vm.mem, gpa, bytes, sizeof(bytes)), 0);
    return le_get64(bytes);
}

void sbi_machine_set_word(gpa_t gpa, uint64_t value)
{
    uint8_t bytes[8];

    le_put64(bytes, value);
    CU_ASSERT_EQUAL(mem_write(&sm.vm.mem, gpa, bytes, sizeof(bytes)), 0);
}

static void saved_write(struct state_writer *w, const void *data, size_t len)
{
    CU_ASSERT_FATAL(w == &sbi_saved.w && len <= sizeof(sbi_saved.bytes) - sbi_saved.len);
    memcpy(sbi_saved.bytes + sbi_saved.len, data, len);
    sbi_saved.len += len;
}

static const struct module_instance *instance_find(const char *name)
{
    for (unsigned i = 0; i < sm.vm.ninstances; i++)
        if (strcmp(sm.instance[i].module->name, name) == 0)
            return &sm.instance[i];
    CU_FAIL_FATAL("no such module");
    return NULL;
}

void sbi_machine_save(const char *module)
{
    const struct module_instance *inst = instance_find(module);

    sbi_saved.w = (struct state_writer){.write = saved_write};
    sbi_saved.len = 0;
    inst->module->save(inst->self, &sbi_saved.w);
    CU_ASSERT(sbi_saved.len > 0);
}

int sbi_machine_load(const char *module)
{
    const struct module_instance *inst = instance_find(module);
    struct state_reader r = {.data = sbi_saved.bytes, .len = sbi_saved.len};

    inst->module->load(inst->self, &r);
    CU_ASSERT(r.error != 0 || r.len == 0);
    return r.error;
}
