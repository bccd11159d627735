/* fuzz_sbi.c: libFuzzer target: sequences of calls of two harts, with garbage in them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/tg_files.h"
#include "tests/fuzz/fake.h"
#include "tests/fuzz/grammar.h"
#include "tests/fuzz/seed.h"
#include "vmm/call.h"
#include "vmm/hart.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/module.h"
#include "vmm/policy.h"
#include "vmm/snapshot.h"
#include "vmm/vm.h"

/*
 * The calls are those of every module that has any (vmm/modules.def), so that a new one is
 * fuzzed from its first day. One machine serves all inputs, put back to its beginning after
 * each: making one takes fifty times as long as an input of a few calls.
 *
 * With FUZZ_COUNTS set in the environment, the end prints each call, how often it was made and
 * what it answered; `fuzz_sbi -runs=0 CORPUS` does it for the inputs of a corpus.
 */
#define HARTS       2
#define STEPS_MAX   32
#define MODULES_MAX 64
#define CALLS_MAX   208 /* bytes STEP_CALL below it name a call */
#define RAM         UINT64_C(0x80000000)
#define RAM_SIZE    UINT64_C(0x20000)
#define STATE_MAX   8192

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
static seed_fn seed_steps;

/*
 * An input is a row of steps of one size, so that what is inserted or taken out leaves the rest
 * its meaning. An input that ends within a step is filled up with zeros.
 */
enum {
    STEP_KIND, /* bit 0: the hart; the rest: enum kind */
    STEP_CALL, /* see step_call */
    STEP_FN, /* for calls of any function; from 128 on, a known call's arguments fit their kinds
              */
    STEP_ARG, /* one byte an argument: see step_arg */
    STEP_WORD = STEP_ARG + CALL_ARGS,
    STEP_SIZE = STEP_WORD + 2 * 8,
};

/* Bytes STEP_KIND from here on. */
enum kind {
    KIND_CALL = 0,
    KIND_WRITE = 208, /* the guest writes a doubleword into its memory */
    KIND_TYPE = 240,  /* the user types, then as KIND_CALL */
};

/* Arguments on the edges of what is valid. */
static const uint64_t edges[] = {0,
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
                                 SBI_PMU_EVENT(SBI_PMU_TYPE_FW, SBI_PMU_FW_HFENCE_GVMA_SENT)};

/* A state as its modules save it. */
struct saved {
    struct state_writer w;
    uint8_t data[STATE_MAX];
    size_t len;
};

/* How often a call was made, and what it answered (bits of enum answer). */
struct count {
    uint64_t made;
    uint32_t answers;
};

/* Bits 0 to 14: SBI_SUCCESS and the errors, without their sign. */
enum answer { ANSWER_LEGACY = 15, ANSWER_TRAP, ANSWER_REPLACED, ANSWER_STOPPED, ANSWERS };

/* A machine whose harts have no threads. */
struct machine {
    struct vm vm;
    struct vm_config config;
    struct fake fake;
    struct hart hart[HARTS];
    struct module_instance instance[MODULES_MAX];
    const struct call_desc *call[CALLS_MAX];
    struct count count[CALLS_MAX];
    unsigned ncalls;
    struct saved console, first, now;
    uint64_t inputs;
    uint64_t calls; /* made by inputs that are not of the corpus */
};

static void saved_write(struct state_writer *w, const void *data, size_t len)
{
    struct saved *saved = (struct saved *)w;

    if (len > STATE_MAX - saved->len)
        abort();
    memcpy(saved->data + saved->len, data, len);
    saved->len += len;
}

/* All that the machine remembers beside its memory and harts; tg-clock's page counts resets. */
static void machine_save(struct machine *m, struct saved *saved)
{
    *saved = (struct saved){.w = {.write = saved_write}};
    console_save(&m->vm.console, &saved->w);
    for (unsigned i = 0; i < m->vm.ninstances; i++)
        if (m->instance[i].module->save && strcmp(m->instance[i].module->name, "tg-clock") != 0)
            m->instance[i].module->save(m->instance[i].self, &saved->w);
}

/*
 * What is off by default is fuzzed too; signals and descriptors are those that grammar_number
 * gives.
 */
static const struct module_option pmu_options[] = {
    {"snapshot", ""}
};
static const struct module_option event_options[] = {
    {"signal", "63"},
    {"fd",     "19"}
};
#define EVENT_FD 19

static const struct {
    const char *module;
    const struct module_option *options;
    unsigned n;
} options[] = {
    {"sbi-pmu",  pmu_options,   1},
    {"tg-event", event_options, 2},
};

/* What the guest's files are; see fake.h. */
static const char policy[] =
    "{\"version\": 1, \"default\": \"allow\", \"files\": ["
    "{\"name\": \"a\", \"path\": \"granted/a\", \"read\": true, \"write\": true},"
    "{\"name\": \"b\", \"path\": \"granted/b\", \"read\": true},"
    "{\"name\": \"f\", \"path\": \"granted/f\", \"read\": true, \"write\": true}]}";

static void module_add(struct machine *m, const struct module *module)
{
    struct module_instance *inst = &m->instance[m->vm.ninstances++];
    struct error err = {.status = STATUS_OK};

    if (m->vm.ninstances > MODULES_MAX || m->ncalls + module->ncalls > CALLS_MAX)
        abort();
    *inst = (struct module_instance){.module = module, .vm = &m->vm};
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(module->name, options[i].module) == 0) {
            inst->options = options[i].options;
            inst->noptions = options[i].n;
        }
    }
    int rc = module->create ? module->create(inst, &err) : 0;
    if (rc == -ENODEV) { /* this host lacks what it is made of */
        m->vm.ninstances--;
        return;
    }
    if (rc != 0)
        abort();
    for (size_t i = 0; i < module->ncalls; i++)
        m->call[m->ncalls++] = &module->calls[i];
}

/* The policy lies in a file without a name; the real descriptor is never read. */
static void grants_make(struct machine *m)
{
    static char path[32];
    struct error err = {.status = STATUS_OK};
    int fd = memfd_create("policy", 0);

    if (fd < 0 || write(fd, policy, strlen(policy)) != (ssize_t)strlen(policy))
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    m->config.policy = path;
    if (policy_freeze(&m->vm, &err) < 0)
        abort();
    close(fd);
    fd = open("/dev/null", O_RDONLY);
    if (dup2(fd, EVENT_FD) < 0)
        abort();
    close(fd);
}

static void machine_create(struct machine *m)
{
    struct error err = {.status = STATUS_OK};

    fake_init(&m->fake);
    m->vm.config = &m->config;
    m->vm.host = &m->fake.host;
    m->vm.engine = &fake_engine;
    m->vm.hart = m->hart;
    m->vm.nharts = HARTS;
    m->vm.instance = m->instance;
    pthread_mutex_init(&m->vm.stop_lock, NULL);
    host_cond_init(&m->vm.stop_cond);
    pthread_mutex_init(&m->vm.fence_lock, NULL);
    host_cond_init(&m->vm.fence_cond);
    clock_init(&m->vm.clock, &m->fake.host);
    mem_init(&m->vm.mem);
    for (unsigned i = 0; i < HARTS; i++)
        if (hart_init(&m->hart[i], &m->vm, i) < 0)
            abort();
    grants_make(m);
    for (const struct module *const *module = module_list; *module; module++)
        if ((*module)->ncalls > 0)
            module_add(m, *module);
    if (modules_ready(&m->vm, &err) < 0)
        abort();
    if (mem_add(&m->vm.mem, RAM, RAM_SIZE) < 0 ||
        console_init(&m->vm.console, &m->vm, &m->fake.host, CONSOLE_SBI, -1, -1) < 0 ||
        call_index_build(&m->vm, &err) < 0)
        abort();
    modules_reset(&m->vm);
    machine_save(m, &m->first);
    m->console = (struct saved){.w = {.write = saved_write}};
    console_save(&m->vm.console, &m->console.w);
}

/* Paths, each filled up with slashes, so that most lengths end where a name does. */
#define PATHS     16
#define PATH_SIZE 16
static const char paths[PATHS][PATH_SIZE + 1] = {
    "a///////////////", "b///////////////", "f///////////////", "a/x/////////////",
    "a/d/////////////", "a/p/////////////", "b/x/////////////", "a/d/z///////////",
    "a/../x//////////", "a/n/////////////", "x///////////////", "d/z/////////////",
    "../x////////////", "/a//////////////", "a/d/../x////////", "c/x/////////////",
};

/* What lies in memory at the beginning. */
static void memory_reset(struct machine *m)
{
    mem_zero(&m->vm.mem, RAM, RAM_SIZE);
    for (unsigned i = 0; i < PATHS; i++)
        mem_write(&m->vm.mem, RAM + i * PATH_SIZE, paths[i], PATH_SIZE);
}

/*
 * Puts the machine back to its beginning: harts anew, and with them what modules keep for them,
 * as SBI HSM has it for a hart that starts. Memory is compared with nothing, but what a call
 * reads from it must not depend on the input before.
 */
static void machine_reset(struct machine *m)
{
    struct state_reader r = {.data = m->console.data, .len = m->console.len};

    for (unsigned i = 0; i < HARTS; i++) {
        modules_hart_reset(&m->hart[i]);
        hart_destroy(&m->hart[i]);
        if (hart_init(&m->hart[i], &m->vm, i) < 0)
            abort();
    }
    m->hart[0].status = HART_STARTED;
    modules_reset(&m->vm);
    console_load(&m->vm.console, &r);
    m->vm.stop = (struct vm_stop){.hart = -1};
    m->vm.stopping = false;
    m->fake.delay = 0;
    fake_files_reset(&m->fake);
    memory_reset(m);
    if (m->inputs++ % 1024 != 0) /* what follows takes as long as an input */
        return;
    machine_save(m, &m->now);
    if (m->now.len != m->first.len || memcmp(m->now.data, m->first.data, m->now.len) != 0)
        abort();
}

/* --- steps --- */

/* An edge, or one of several readings of a word. */
static uint64_t step_arg(const uint8_t *step, unsigned i)
{
    uint8_t choice = step[STEP_ARG + i];
    uint64_t word = le_get64(step + STEP_WORD + 8 * (choice & 1));

    if (choice < 160)
        return edges[choice % (sizeof(edges) / sizeof(edges[0]))];
    switch (choice >> 1 & 7) {
    case 0: return word;
    case 1: return word & UINT32_MAX;
    case 2: return word % 64;
    case 3: return RAM + word % RAM_SIZE;
    case 4: return RAM + word % RAM_SIZE / 64 * 64;
    case 5: return RAM + word % RAM_SIZE / 4096 * 4096;
    case 6: return SBI_PMU_EVENT(SBI_PMU_TYPE_FW, word % 32);
    default: return word % 8;
    }
}

/*
 * The call that a step names. *known is its place in m->call; m->ncalls: a function that its
 * extension may lack, one of Tollgate's, a program's, or any number.
 */
static struct call step_call(const struct machine *m, const uint8_t *step, unsigned *known)
{
    static const uint64_t tg[] = {TG_EXT_FIRST, TG_EXT_EXIT, TG_EXT_LAST};
    struct call c = {.personality = CALL_SBI, .fn = step[STEP_FN]};
    uint8_t choice = step[STEP_CALL];
    unsigned place = (choice < CALLS_MAX ? choice : step[STEP_WORD]) % m->ncalls;
    const struct call_desc *desc = m->call[place];

    *known = m->ncalls;
    if (choice < 224) {
        c.personality = desc->personality;
        c.ext = desc->ext;
        if (choice < CALLS_MAX)
            *known = place;
        if (choice < CALLS_MAX && desc->fn != CALL_ANY_FN)
            c.fn = desc->fn;
    } else if (choice < 232) {
        c.ext = tg[choice % 3];
    } else if (choice < 236) {
        c.personality = CALL_PROGRAM;
    } else {
        c.ext = le_get64(step + STEP_WORD);
        c.fn = le_get64(step + STEP_WORD + 8);
    }
    if (c.personality == CALL_SBI && c.ext >= TG_EXT_FIRST && c.ext <= TG_EXT_LAST)
        c.personality = CALL_TG;
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c.arg[i] = step_arg(step, i);
    if (*known < m->ncalls && step[STEP_FN] >= 128) {
        struct grammar g = {step + STEP_ARG, STEP_SIZE - STEP_ARG, RAM, RAM_SIZE, HARTS};

        grammar_args(&g, desc, &c);
    }
    return c;
}

/* What every reply must keep to, whatever was asked. */
static void call_check(const struct machine *m, const struct call *c)
{
    bool legacy = c->personality == CALL_SBI && c->ext < SBI_EXT_BASE;

    if (c->buf)
        abort();
    if (m->vm.breaches != 0) /* an error that the call's row does not list */
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

static enum answer call_answer(const struct call *c)
{
    switch (c->disp) {
    case CALL_RET1: return ANSWER_LEGACY;
    case CALL_TRAP: return ANSWER_TRAP;
    case CALL_REPLACED: return ANSWER_REPLACED;
    case CALL_STOPPED: return ANSWER_STOPPED;
    default: return (enum answer) - c->error;
    }
}

static void step_run(struct machine *m, const uint8_t *step)
{
    struct hart *hart = &m->hart[step[STEP_KIND] % HARTS];
    unsigned known;

    if (step[STEP_KIND] >= KIND_TYPE) {
        console_feed(&m->vm.console, step + STEP_WORD, 1 + step[STEP_FN] % 16);
    } else if (step[STEP_KIND] >= KIND_WRITE) {
        mem_write(&m->vm.mem, step_arg(step, 0), step + STEP_WORD + 8, 8);
        return;
    }
    for (unsigned i = 0; i < HARTS; i++)
        hart_settle(&m->hart[i]);
    if (hart->status == HART_STOPPED)
        return;
    struct call c = step_call(m, step, &known);
    call_dispatch(hart, &c);
    m->calls++;
    call_check(m, &c);
    if (known == m->ncalls)
        return;
    m->count[known].made++;
    m->count[known].answers |= 1u << call_answer(&c);
}

/* Large, and one for all inputs: made once, put back after each. */
static struct machine machine;
static bool mutating; /* the inputs of the corpus, which come first, are through */

static void counts_print(void)
{
    static const char *const names[] = {[ANSWER_LEGACY] = "legacy",
                                        [ANSWER_TRAP] = "trap",
                                        [ANSWER_REPLACED] = "replaced",
                                        [ANSWER_STOPPED] = "stopped"};
    unsigned never = 0;

    for (unsigned i = 0; i < machine.ncalls; i++) {
        const struct count *count = &machine.count[i];

        printf("call %s: %llu times, answers", machine.call[i]->name,
               (unsigned long long)count->made);
        for (int a = 0; a < ANSWERS; a++)
            if (count->answers >> a & 1)
                a < ANSWER_LEGACY ? printf(" %d", -a) : printf(" %s", names[a]);
        printf("\n");
        never += count->made == 0;
    }
    printf("calls: %u, never made: %u\n", machine.ncalls, never);
}

/* Beside libFuzzer's own figures. */
static void calls_print(void)
{
    if (mutating)
        fprintf(stderr, "stat::calls: %llu\n", (unsigned long long)machine.calls);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    machine_create(&machine);
    machine_reset(&machine);
    seeds_write(seed_steps);
    if (getenv("FUZZ_COUNTS"))
        atexit(counts_print);
    atexit(calls_print);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine *m = &machine;

    for (unsigned n = 0; n < STEPS_MAX && size > 0 && !m->vm.stopping; n++) {
        uint8_t step[STEP_SIZE] = {0};
        size_t len = size < STEP_SIZE ? size : STEP_SIZE;

        memcpy(step, data, len);
        step_run(m, step);
        data += len;
        size -= len;
    }
    machine_reset(m); /* afterwards, or libFuzzer would look for leaks in what is still open */
    return 0;
}

/*
 * Any bytes, but arguments that are zero more often than not, since most calls want it of one
 * (the high half of an address, flags), and small numbers or addresses often.
 */
static void step_random(uint8_t *step, uint64_t *state)
{
    static const uint8_t choices[] = {0, 1, 2, 164, 165, 166, 168, 170, 172, 173, 174, 175};

    for (unsigned i = 0; i < STEP_SIZE; i++)
        step[i] = (uint8_t)seed_random(state);
    for (unsigned i = STEP_ARG; i < STEP_WORD; i++)
        switch (seed_random(state) % 8) {
        case 0: break;
        case 1:
        case 2: step[i] = choices[seed_random(state) % sizeof(choices)]; break;
        case 3: step[i] %= sizeof(edges) / sizeof(edges[0]); break;
        default: step[i] = 0;
        }
}

#define W0 160 /* the argument is the first word of its step, the second */
#define W1 161

/* Calls that only mean something after one another. */
static const struct {
    const char *name;
    uint8_t arg[CALL_ARGS];
    uint64_t word[2];
} story[] = {
    {"sbi.pmu.counter_config_matching", {0, W0, 0, W1},    {8, SBI_PMU_EVENT(SBI_PMU_TYPE_FW, 5)}          },
    {"sbi.pmu.counter_start",           {0, W0},           {8}                                             },
    {"sbi.pmu.counter_start",           {0, W0, 0, W1},    {8, 9}                                          },
    {"sbi.time.set_timer",              {W0},              {99}                                            },
    {"sbi.pmu.counter_fw_read",         {W0},              {3}                                             },
    {"sbi.pmu.snapshot_set_shmem",      {W0},              {RAM + 4096}                                    },
    {"sbi.pmu.counter_stop",            {0, W0, W1},       {8, SBI_PMU_STOP_TAKE_SNAPSHOT}                 },
    {"sbi.pmu.counter_start",           {0, W0, W1},       {8, SBI_PMU_START_INIT_SNAPSHOT}                },
    {"sbi.pmu.counter_stop",            {0, W0, W1},       {8, SBI_PMU_STOP_RESET}                         },
    {"sbi.pmu.event_get_info",          {W0, 0, W1},       {RAM, 4}                                        },
    {"sbi.sta.set_shmem",               {W0},              {RAM + 64}                                      },
    {"sbi.fwft.set",                    {W0, W1, W1},      {4, 1}                                          },
    {"sbi.fwft.set",                    {W0, W1, W1},      {4, 1}                                          },
    {"sbi.hsm.hart_start",              {W1, W0},          {RAM, 1}                                        },
    {"sbi.ipi.send_ipi",                {W0},              {3}                                             },
    {"sbi.susp.system_suspend",         {0, W0},           {RAM}                                           },
    {"sbi.pmu.snapshot_set_shmem",      {W0, W0},          {UINT64_MAX}                                    },
    {"sbi.sta.set_shmem",               {W0, W0},          {UINT64_MAX}                                    },
    {"tg.files.openat",                 {W0, 2, 0, 3, W1}, {-100, RAM + 3 * PATH_SIZE}                     }, /* "a/x" */
    {"tg.files.openat",                 {W0, 0, 0, 3, W1}, {-100, RAM + 4 * PATH_SIZE}                     }, /* "a/d" */
    {"tg.files.openat",                 {1, W0, 0, 1, W1}, {TG_O_CREAT | TG_O_WRONLY, RAM + 10 * PATH_SIZE}},
    {"tg.files.write",                  {0, 6, 9},         {0}                                             },
    {"tg.files.lseek",                  {0, W0, 2},        {-1}                                            },
    {"tg.files.read",                   {0, 6, 31},        {0}                                             },
    {"tg.files.pwrite",                 {0, 6, 9, 0, W0},  {100}                                           },
    {"tg.files.pread",                  {0, 6, 31, 0, W0}, {90}                                            },
    {"tg.files.fstat",                  {0, 6, 31},        {0}                                             },
    {"tg.files.close",                  {0},               {0}                                             },
    {"tg.event.signal",                 {5},               {0}                                             },
    {"tg.event.descriptor",             {30},              {0}                                             },
    {"tg.event.timer",                  {0, 0},            {0}                                             },
    {"tg.event.wait",                   {7},               {0}                                             },
    {"tg.event.ack",                    {W0},              {1 << 5 | 0}                                    }, /* the first id */
    {"tg.event.ack",                    {W0},              {2 << 5 | 1}                                    },
    {"tg.event.ack",                    {W0},              {3 << 5 | 2}                                    },
    {"tg.event.cancel",                 {W0},              {1 << 5 | 0}                                    },
};
#define STORY     (sizeof(story) / sizeof(story[0]))
#define STORY_SBI 18 /* of it are of SBI */

static void step_told(uint8_t *step, size_t i)
{
    memset(step, 0, STEP_SIZE);
    for (unsigned n = 0; n < machine.ncalls; n++)
        if (strcmp(machine.call[n]->name, story[i].name) == 0)
            step[STEP_CALL] = (uint8_t)n;
    memcpy(step + STEP_ARG, story[i].arg, CALL_ARGS);
    le_put64(step + STEP_WORD, story[i].word[0]);
    le_put64(step + STEP_WORD + 8, story[i].word[1]);
}

/* One of two stories, or one call after another, of hart 0 most of all. */
static size_t seed_steps(uint8_t *data, size_t max, uint64_t *state)
{
    unsigned which = seed_random(state) % 8;
    size_t first = which == 0 ? STORY_SBI : 0;
    size_t steps = which == 0 ? STORY - STORY_SBI : which == 1 ? STORY_SBI : 8;

    if (max < steps * STEP_SIZE)
        return 0;
    for (size_t i = 0; i < steps; i++, data += STEP_SIZE) {
        step_random(data, state);
        data[STEP_KIND] %= 4;
        if (which < 2)
            step_told(data, first + i);
    }
    return steps * STEP_SIZE;
}

/* As many steps as are looked at: putting the machine back costs as much as eight of them. */
static size_t steps_fill(uint8_t *data, size_t size, size_t max, uint64_t *state)
{
    while (size < (size_t)STEPS_MAX * STEP_SIZE && size + STEP_SIZE <= max) {
        size_t steps = size / STEP_SIZE;

        if (steps > 0 && seed_random(state) % 2)
            memcpy(data + size, data + seed_random(state) % steps * STEP_SIZE, STEP_SIZE);
        else
            step_random(data + size, state);
        size += STEP_SIZE;
    }
    return size;
}

/*
 * Changes whole steps: another one is inserted, one is repeated, taken out, or partly new, or
 * many are added.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint64_t state = seed;
    size_t steps = size / STEP_SIZE;

    machine.calls = mutating ? machine.calls : 0;
    mutating = true;
    unsigned what = seed_random(&state) % 14;
    uint8_t step[STEP_SIZE];

    if (max > (size_t)STEPS_MAX * STEP_SIZE && size <= (size_t)STEPS_MAX * STEP_SIZE)
        max = (size_t)STEPS_MAX * STEP_SIZE; /* what follows is not looked at */
    if (what < 3 || (steps == 0 && max < STEP_SIZE))
        return seed_mutate(seed_steps, data, size, max, seed);
    size = steps * STEP_SIZE;
    if (what > 7)
        return steps_fill(data, size, max, &state);
    size_t at = steps > 0 ? seed_random(&state) % steps * STEP_SIZE : 0;
    step_random(step, &state);
    if (what == 3 && steps > 1) {
        memmove(data + at, data + at + STEP_SIZE, size - at - STEP_SIZE);
        return size - STEP_SIZE;
    }
    if (what < 6 && steps > 0) { /* most of all, other arguments */
        size_t field = what == 4 ? seed_random(&state) % STEP_SIZE : STEP_ARG;

        memcpy(data + at + field, step + field, what == 4 ? 1 : STEP_SIZE - STEP_ARG);
        return size;
    }
    if (steps >= STEPS_MAX || size + STEP_SIZE > max)
        return seed_mutate(seed_steps, data, size, max, seed);
    if (what == 6 && steps > 0) { /* often another call, of the same extension, say */
        memcpy(step, data + seed_random(&state) % steps * STEP_SIZE, STEP_SIZE);
        step[STEP_CALL] += seed_random(&state) % 2 ? seed_random(&state) % 9 - 4 : 0;
    }
    memmove(data + at + STEP_SIZE, data + at, size - at);
    memcpy(data + at, step, STEP_SIZE);
    return size + STEP_SIZE;
}
