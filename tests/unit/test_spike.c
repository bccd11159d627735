/* test_spike.c: a call out of generated x86-64 code, by the gate and by a cached handler. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a translator will do, in its smallest form: code in a page that is never writable and
 * executable at once makes the same call both ways. The results must be equal; the time of each
 * is printed, not judged. Elsewhere than on x86-64 only the rules of call_fast() are tested.
 */
#include <CUnit/CUnit.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/suites.h"
#include "vmm/policy.h"
#include "vmm/vm.h"

#define EXT        UINT64_C(0x7700)
#define BATCHES    20u
#define ROUNDS     10000u
#define EPOCH_OVER (-1) /* what the generated code returns when its way is void */

/* A module with plain calls and some that are not. */
struct counter {
    uint64_t sum;
    unsigned calls;
};

static enum call_disp null_handler(void *self, struct hart *hart, struct call *c)
{
    struct counter *counter = self;

    (void)hart;
    counter->calls++;
    counter->sum += c->arg[1];
    c->error = (int64_t)(c->arg[0] & 1 ? SBI_ERR_DENIED : SBI_SUCCESS);
    c->value = c->arg[0] * 3 + c->arg[5];
    return CALL_RET2;
}

static enum call_disp pass_handler(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    (void)hart;
    (void)c;
    return CALL_PASS;
}

#define ROW(row, fid, run, ...)                                                                \
    {                                                                                          \
        .name = row, .personality = CALL_SBI, .ext = EXT, .fn = fid, .handler = run,           \
        __VA_ARGS__                                                                            \
    }

static const struct call_desc calls[] = {
    ROW("spike.null", 0, null_handler, .effects = 0),
    ROW("spike.buffer", 1, null_handler, .buf_kind = CALL_BUF_IN),
    ROW("spike.blocks", 2, null_handler, .effects = CALL_BLOCKS),
    ROW("spike.stops", 3, null_handler, .effects = CALL_STOPS),
    ROW("spike.harts", 4, null_handler, .effects = CALL_HART_STATE),
    ROW("spike.denied", 5, null_handler, .effects = 0),
    ROW("spike.passes", 6, pass_handler, .effects = 0),
    ROW("spike.any", CALL_ANY_FN, null_handler, .effects = CALL_READS_HOST),
};

static const struct module module_spike = {
    .name = "spike", .calls = calls, .ncalls = sizeof(calls) / sizeof(calls[0])};

static enum call_route all_exit(struct vm *vm, uint64_t ext)
{
    (void)vm;
    (void)ext;
    return ROUTE_EXITS;
}

static const struct engine engine = {.name = "none", .call_route = all_exit};

struct spike {
    struct vm vm;
    struct vm_config config;
    struct hart hart;
    struct module_instance instance;
    struct counter counter;
};

static void spike_start(struct spike *s)
{
    struct error err = {.status = STATUS_OK};

    memset(s, 0, sizeof(*s));
    s->config.deny[0] = "spike.denied";
    s->config.ndeny = 1;
    s->instance =
        (struct module_instance){.module = &module_spike, .vm = &s->vm, .self = &s->counter};
    s->vm.config = &s->config;
    s->vm.engine = &engine;
    s->vm.instance = &s->instance;
    s->vm.ninstances = 1;
    s->hart.vm = &s->vm;
    CU_ASSERT_EQUAL_FATAL(policy_freeze(&s->vm, &err), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&s->vm, &err), 0);
}

static void spike_end(struct spike *s)
{
    call_index_destroy(&s->vm);
    policy_release(&s->vm);
}

static void test_plain_calls_only(void)
{
    struct spike s;
    struct call_way way = {0};

    spike_start(&s);
    CU_ASSERT_TRUE(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    CU_ASSERT_PTR_EQUAL(way.self, &s.counter);
    CU_ASSERT_TRUE(way.handler == null_handler);
    CU_ASSERT_EQUAL(way.epoch, s.vm.call_epoch);
    for (uint64_t fn = 1; fn <= 5; fn++)
        CU_ASSERT_FALSE(call_fast(&s.vm, CALL_SBI, EXT, fn, &way));
    CU_ASSERT_TRUE(call_fast(&s.vm, CALL_SBI, EXT, 1000, &way)); /* by CALL_ANY_FN */
    CU_ASSERT_FALSE(call_fast(&s.vm, CALL_SBI, EXT + 1, 0, &way));
    CU_ASSERT_FALSE(call_fast(&s.vm, CALL_PROGRAM, EXT, 0, &way));
    CU_ASSERT_FALSE(call_fast(&s.vm, CALL_TG, TG_EXT_EXIT, TG_EXIT_STOP, &way));
    s.config.slow_calls = true;
    CU_ASSERT_FALSE(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    spike_end(&s);
}

/* A new index, a new epoch: what was cached for the old one is void. */
static void test_epoch_moves(void)
{
    struct spike s;
    struct error err = {.status = STATUS_OK};
    struct call_way way;
    uint64_t old;

    spike_start(&s);
    CU_ASSERT_TRUE(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    old = way.epoch;
    call_epoch_bump(&s.vm);
    CU_ASSERT_NOT_EQUAL(s.vm.call_epoch, old);
    call_index_destroy(&s.vm);
    policy_release(&s.vm);
    s.config.deny[0] = "spike.null";
    CU_ASSERT_EQUAL_FATAL(policy_freeze(&s.vm, &err), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&s.vm, &err), 0);
    CU_ASSERT_FALSE(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    CU_ASSERT_NOT_EQUAL(way.epoch, old);
    spike_end(&s);
}

#ifdef __x86_64__

/* Machine code under construction. */
struct code {
    uint8_t *bytes;
    size_t len;
};

#define CODE_SIZE 4096u

static void emit(struct code *code, const void *bytes, size_t len)
{
    memcpy(code->bytes + code->len, bytes, len);
    code->len += len;
}

#define EMIT(code, ...)                                                                        \
    emit(code, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void emit64(struct code *code, uint64_t value)
{
    emit(code, &value, sizeof(value));
}

static struct code code_begin(void)
{
    struct code code = {.bytes = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};

    CU_ASSERT_PTR_NOT_EQUAL_FATAL(code.bytes, MAP_FAILED);
    return code;
}

/* From here on it can be executed and not written. */
static void code_seal(struct code *code)
{
    CU_ASSERT_EQUAL_FATAL(mprotect(code->bytes, CODE_SIZE, PROT_READ | PROT_EXEC), 0);
}

/* enum gate f(struct hart *, struct vm_exit *): calls the gate with what it was called with. */
static void emit_gate_call(struct code *code)
{
    EMIT(code, 0x48, 0x83, 0xec, 0x08); /* sub rsp, 8: the ABI's alignment */
    EMIT(code, 0x48, 0xb8);             /* mov rax, vm_gate */
    emit64(code, (uintptr_t)vm_gate);
    EMIT(code, 0xff, 0xd0);             /* call rax */
    EMIT(code, 0x48, 0x83, 0xc4, 0x08); /* add rsp, 8 */
    EMIT(code, 0xc3);                   /* ret */
}

/* int f(struct hart *, struct call *): the disposition of the way's handler, or EPOCH_OVER. */
static void emit_fast_call(struct code *code, struct vm *vm, const struct call_way *way)
{
    uint32_t counter = offsetof(struct hart, exits) + EXIT_CALL * sizeof(uint64_t);
    size_t jump;

    EMIT(code, 0x48, 0xb8); /* mov rax, &vm->call_epoch */
    emit64(code, (uintptr_t)&vm->call_epoch);
    EMIT(code, 0x48, 0xb9); /* mov rcx, way->epoch */
    emit64(code, way->epoch);
    EMIT(code, 0x48, 0x39, 0x08); /* cmp [rax], rcx: a load of x86 acquires */
    EMIT(code, 0x75, 0x00);       /* jne over */
    jump = code->len;
    EMIT(code, 0x48, 0xff, 0x87); /* inc qword [rdi + counter] */
    emit(code, &counter, sizeof(counter));
    EMIT(code, 0x48, 0x89, 0xf2); /* mov rdx, rsi: the call */
    EMIT(code, 0x48, 0x89, 0xfe); /* mov rsi, rdi: the hart */
    EMIT(code, 0x48, 0xbf);       /* mov rdi, way->self */
    emit64(code, (uintptr_t)way->self);
    EMIT(code, 0x48, 0xb8); /* mov rax, way->handler */
    emit64(code, (uintptr_t)way->handler);
    EMIT(code, 0xff, 0xe0); /* jmp rax: it returns to our caller */
    code->bytes[jump - 1] = (uint8_t)(code->len - jump);
    EMIT(code, 0xb8, 0xff, 0xff, 0xff, 0xff); /* over: mov eax, EPOCH_OVER */
    EMIT(code, 0xc3);                         /* ret */
}

typedef enum gate gate_code(struct hart *hart, struct vm_exit *exit);
typedef int fast_code(struct hart *hart, struct call *c);

/* ISO C has no conversion from data to code; POSIX (dlsym, rationale) has this one. */
static gate_code *gate_entry(const struct code *code)
{
    gate_code *entry;

    memcpy(&entry, &code->bytes, sizeof(entry));
    return entry;
}

static fast_code *fast_entry(const struct code *code)
{
    fast_code *entry;

    memcpy(&entry, &code->bytes, sizeof(entry));
    return entry;
}

/* What the n-th call passes. */
static void call_fill(struct call *c, uint64_t fn, uint64_t n)
{
    c->personality = CALL_SBI;
    c->ext = EXT;
    c->fn = fn;
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c->arg[i] = n * 0x9e3779b97f4a7c15u >> i;
    c->error = 0;
    c->value = 0;
    c->buf = NULL;
    c->buf_len = 0;
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void test_both_ways_are_equal(void)
{
    struct code by_gate = code_begin(), by_way = code_begin();
    struct spike s, other;
    struct call_way way;
    unsigned differ = 0;

    spike_start(&s);
    spike_start(&other);
    CU_ASSERT_TRUE_FATAL(call_fast(&other.vm, CALL_SBI, EXT, 0, &way));
    emit_gate_call(&by_gate);
    emit_fast_call(&by_way, &other.vm, &way);
    code_seal(&by_gate);
    code_seal(&by_way);
    for (uint64_t n = 0; n < 1000; n++) {
        struct vm_exit exit = {.kind = EXIT_CALL};
        struct call c;

        call_fill(&exit.call, 0, n);
        call_fill(&c, 0, n);
        differ += gate_entry(&by_gate)(&s.hart, &exit) != GATE_CONTINUE;
        c.disp = (enum call_disp)fast_entry(&by_way)(&other.hart, &c);
        differ += c.disp != exit.call.disp || c.error != exit.call.error ||
                  c.value != exit.call.value;
    }
    CU_ASSERT_EQUAL(differ, 0);
    CU_ASSERT_EQUAL(s.hart.exits[EXIT_CALL], 1000);
    CU_ASSERT_EQUAL(other.hart.exits[EXIT_CALL], 1000);
    CU_ASSERT_EQUAL(s.counter.calls, 1000);
    CU_ASSERT_EQUAL(other.counter.calls, 1000);
    CU_ASSERT_EQUAL(s.counter.sum, other.counter.sum);
    munmap(by_gate.bytes, CODE_SIZE);
    munmap(by_way.bytes, CODE_SIZE);
    spike_end(&s);
    spike_end(&other);
}

/* The generated code notices the new epoch, and neither counts the call nor makes it. */
static void test_void_way_is_not_used(void)
{
    struct code code = code_begin();
    struct spike s;
    struct call_way way;
    struct call c;

    spike_start(&s);
    CU_ASSERT_TRUE_FATAL(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    emit_fast_call(&code, &s.vm, &way);
    code_seal(&code);
    call_fill(&c, 0, 1);
    CU_ASSERT_EQUAL(fast_entry(&code)(&s.hart, &c), CALL_RET2);
    call_epoch_bump(&s.vm);
    CU_ASSERT_EQUAL(fast_entry(&code)(&s.hart, &c), EPOCH_OVER);
    CU_ASSERT_EQUAL(s.counter.calls, 1);
    CU_ASSERT_EQUAL(s.hart.exits[EXIT_CALL], 1);
    munmap(code.bytes, CODE_SIZE);
    spike_end(&s);
}

/* A handler that passes has done nothing, so the gate may ask the rest of the chain. */
static void test_pass_leads_to_the_gate(void)
{
    struct code code = code_begin();
    struct spike s;
    struct call_way way;
    struct vm_exit exit = {.kind = EXIT_CALL};

    spike_start(&s);
    CU_ASSERT_TRUE_FATAL(call_fast(&s.vm, CALL_SBI, EXT, 6, &way));
    emit_fast_call(&code, &s.vm, &way);
    code_seal(&code);
    call_fill(&exit.call, 6, 1);
    CU_ASSERT_EQUAL(fast_entry(&code)(&s.hart, &exit.call), CALL_PASS);
    s.hart.exits[EXIT_CALL]--;
    CU_ASSERT_EQUAL(vm_gate(&s.hart, &exit), GATE_CONTINUE);
    CU_ASSERT_EQUAL(exit.call.disp, CALL_RET2); /* the row for every function */
    CU_ASSERT_EQUAL(s.hart.exits[EXIT_CALL], 1);
    munmap(code.bytes, CODE_SIZE);
    spike_end(&s);
}

/* The best of BATCHES, since the machine has other things to do: ns a call. */
static double gate_time(struct spike *s, gate_code *enter)
{
    struct vm_exit exit = {.kind = EXIT_CALL};
    double best = 1e9;

    for (unsigned i = 0; i < BATCHES; i++) {
        double start = now_ns(), each;

        for (uint64_t n = 0; n < ROUNDS; n++) {
            call_fill(&exit.call, 0, n);
            enter(&s->hart, &exit);
        }
        each = (now_ns() - start) / ROUNDS;
        best = each < best ? each : best;
    }
    return best;
}

static double way_time(struct spike *s, fast_code *enter)
{
    struct call c;
    double best = 1e9;

    for (unsigned i = 0; i < BATCHES; i++) {
        double start = now_ns(), each;

        for (uint64_t n = 0; n < ROUNDS; n++) {
            call_fill(&c, 0, n);
            enter(&s->hart, &c);
        }
        each = (now_ns() - start) / ROUNDS;
        best = each < best ? each : best;
    }
    return best;
}

static void test_time_of_both_ways(void)
{
    struct code by_gate = code_begin(), by_way = code_begin();
    struct spike s;
    struct call_way way;
    double gate_ns, way_ns;

    spike_start(&s);
    CU_ASSERT_TRUE_FATAL(call_fast(&s.vm, CALL_SBI, EXT, 0, &way));
    emit_gate_call(&by_gate);
    emit_fast_call(&by_way, &s.vm, &way);
    code_seal(&by_gate);
    code_seal(&by_way);
    gate_ns = gate_time(&s, gate_entry(&by_gate));
    way_ns = way_time(&s, fast_entry(&by_way));
    printf(
        "\n    # a null call out of generated code: %.1f ns by the gate, %.1f ns by a cached "
        "handler ",
        gate_ns, way_ns);
    CU_ASSERT_EQUAL(s.counter.calls, 2 * BATCHES * ROUNDS);
    munmap(by_gate.bytes, CODE_SIZE);
    munmap(by_way.bytes, CODE_SIZE);
    spike_end(&s);
}

#endif

void suite_spike(void)
{
    CU_pSuite suite = CU_add_suite("spike", NULL, NULL);

    CU_add_test(suite, "only plain calls have a fast way", test_plain_calls_only);
    CU_add_test(suite, "a new index voids the ways of the old", test_epoch_moves);
#ifdef __x86_64__
    CU_add_test(suite, "generated code: both ways are equal", test_both_ways_are_equal);
    CU_add_test(suite, "generated code: a void way is not used", test_void_way_is_not_used);
    CU_add_test(suite, "generated code: PASS leads to the gate", test_pass_leads_to_the_gate);
    CU_add_test(suite, "generated code: time of both ways", test_time_of_both_ways);
#endif
}
