/* test_interp_calls.c: calls of a kernel that the interpreter makes without the gate. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "tests/unit/machine.h"
#include "tests/unit/suites.h"
#include "vmm/module.h"

#define EXT UINT64_C(0x7700)

#define SSTATUS_SIE 0x2u
#define SSI         (1u << IRQ_S_SOFT)

/* A module whose one call does as it is told. */
struct answer {
    enum call_disp disp;
    int64_t error;
    uint64_t value;
    bool interrupts; /* raises an interrupt of the caller */
    unsigned calls;
    uint64_t arg5;
};

static enum call_disp answer_handler(void *self, struct hart *hart, struct call *c)
{
    struct answer *answer = self;

    answer->calls++;
    answer->arg5 = c->arg[5];
    CU_ASSERT_EQUAL(c->ext, EXT);
    CU_ASSERT_EQUAL(c->personality, CALL_SBI);
    CU_ASSERT_EQUAL(c->error, 0);
    CU_ASSERT_EQUAL(c->value, 0);
    CU_ASSERT_PTR_NULL(c->buf);
    if (answer->interrupts)
        hart_irq(hart, IRQ_S_SOFT, true);
    c->error = answer->error;
    c->value = answer->value;
    return answer->disp;
}

static const struct call_desc answer_calls[] = {
    {.name = "test.answer",
     .personality = CALL_SBI,
     .ext = EXT,
     .fn = 3,
     .handler = answer_handler},
};

static const struct module answer_module = {
    .name = "answer", .calls = answer_calls, .ncalls = 1};

/* A kernel whose calls lead to `answer`. */
struct fixture {
    struct machine m;
    struct answer answer;
    struct module_instance ours, *theirs;
    unsigned ntheirs;
};

static void index_rebuild(struct fixture *f, struct module_instance *instance, unsigned n)
{
    call_index_destroy(&f->m.vm);
    f->m.vm.instance = instance;
    f->m.vm.ninstances = n;
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f->m.vm, &f->m.err), 0);
}

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    machine_init(&f->m, START_KERNEL, 1);
    f->theirs = f->m.vm.instance;
    f->ntheirs = f->m.vm.ninstances;
    f->ours =
        (struct module_instance){.module = &answer_module, .vm = &f->m.vm, .self = &f->answer};
    index_rebuild(f, &f->ours, 1);
    f->answer = (struct answer){.disp = CALL_RET2, .error = -5, .value = 77};
    f->m.s.x[A7] = EXT;
    f->m.s.x[A6] = 3;
    PUT(&f->m, CODE, AS_N(ecall), AS_SELF);
}

static void fixture_destroy(struct fixture *f)
{
    index_rebuild(f, f->theirs, f->ntheirs);
    machine_destroy(&f->m);
}

/* One ecall; fills m.s. */
static void call_run(struct fixture *f)
{
    f->m.s.x[A0] = 10;
    f->m.s.x[A1] = 11;
    f->m.s.x[A5] = 15;
    machine_go(&f->m, PRIV_S, CODE, 1);
}

static void test_direct(void)
{
    struct fixture f;

    fixture_init(&f);
    for (unsigned i = 1; i <= 3; i++) { /* the first finds the way, the others have it */
        uint64_t steps = f.m.s.steps, instret = f.m.s.instret;

        call_run(&f);
        CU_ASSERT_EQUAL(f.m.s.x[A0], (uint64_t)-5);
        CU_ASSERT_EQUAL(f.m.s.x[A1], 77);
        CU_ASSERT_EQUAL(f.m.s.x[A5], 15);
        CU_ASSERT_EQUAL(f.m.s.x[A6], 3);
        CU_ASSERT_EQUAL(f.m.s.pc, CODE + 4);
        CU_ASSERT_EQUAL(f.m.s.steps - steps, 1);
        CU_ASSERT_EQUAL(f.m.s.instret - instret, 0);
        CU_ASSERT_EQUAL(f.answer.calls, i);
        CU_ASSERT_EQUAL(f.answer.arg5, 15);
        CU_ASSERT_EQUAL(f.m.vm.hart[0].exits[EXIT_CALL], i);
    }
    fixture_destroy(&f);
}

/* What the gate answers is what the handler's way answers. */
static void test_dispositions(void)
{
    struct fixture f;

    fixture_init(&f);
    for (unsigned slow = 0; slow < 2; slow++) {
        uint64_t exits = f.m.vm.hart[0].exits[EXIT_CALL];

        f.m.config.slow_calls = slow != 0;
        call_epoch_bump(&f.m.vm);
        f.answer.disp = CALL_RET1;
        call_run(&f);
        CU_ASSERT_EQUAL(f.m.s.x[A0], (uint64_t)-5);
        CU_ASSERT_EQUAL(f.m.s.x[A1], 11); /* preserved */
        f.answer.disp = CALL_PASS;
        call_run(&f);
        CU_ASSERT_EQUAL(f.m.s.x[A0], (uint64_t)SBI_ERR_NOT_SUPPORTED);
        CU_ASSERT_EQUAL(f.m.s.pc, CODE + 4);
        f.answer.disp = CALL_TRAP;
        f.answer.value = RV_LOAD_PAGE;
        call_run(&f);
        CU_ASSERT_EQUAL(f.m.s.scause, RV_LOAD_PAGE);
        CU_ASSERT_EQUAL(f.m.s.stval, (uint64_t)-5);
        CU_ASSERT_EQUAL(f.m.s.sepc, CODE);
        CU_ASSERT_EQUAL(f.m.s.x[A0], 10); /* nothing is committed */
        CU_ASSERT_EQUAL(f.m.vm.hart[0].exits[EXIT_CALL] - exits, 3);
    }
    fixture_destroy(&f);
}

/* Who changes what a call leads to says so, and the old way is used no more. */
static void test_epoch(void)
{
    struct answer second = {.disp = CALL_RET2, .value = 88};
    struct fixture f;

    fixture_init(&f);
    call_run(&f);
    call_run(&f);
    CU_ASSERT_EQUAL(f.m.s.x[A1], 77);
    f.ours.self = &second;
    index_rebuild(&f, &f.ours, 1);
    call_run(&f);
    CU_ASSERT_EQUAL(f.m.s.x[A1], 88);
    CU_ASSERT_EQUAL(f.answer.calls, 2);
    CU_ASSERT_EQUAL(second.calls, 1);
    f.ours.self = &f.answer;
    fixture_destroy(&f);
}

/* Calls that share a place of the cache do not get each other's answers. */
static void test_collision(void)
{
    struct fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 3; i++) {
        call_run(&f);
        CU_ASSERT_EQUAL(f.m.s.x[A1], 77);
        for (unsigned fn = 0; fn < 64; fn++) {
            if (fn == 3)
                continue;
            f.m.s.x[A6] = fn;
            call_run(&f);
            CU_ASSERT_EQUAL(f.m.s.x[A0], (uint64_t)SBI_ERR_NOT_SUPPORTED);
        }
        f.m.s.x[A6] = 3;
    }
    CU_ASSERT_EQUAL(f.answer.calls, 3);
    fixture_destroy(&f);
}

/* An interrupt that the handler raises is taken before the next instruction. */
static void test_interrupt(void)
{
    struct fixture f;

    fixture_init(&f);
    f.answer.interrupts = true;
    f.m.s.mie = SSI;
    f.m.s.mstatus |= SSTATUS_SIE;
    f.m.s.x[A0] = 10;
    machine_go(&f.m, PRIV_S, CODE, 2);
    CU_ASSERT_EQUAL(f.m.s.scause, UINT64_C(1) << 63 | IRQ_S_SOFT);
    CU_ASSERT_EQUAL(f.m.s.sepc, CODE + 4);
    CU_ASSERT_EQUAL(f.m.s.x[A1], 77); /* the reply was committed */
    fixture_destroy(&f);
}

void suite_interp_calls(void)
{
    CU_pSuite suite = CU_add_suite("interp_calls", NULL, NULL);

    CU_add_test(suite, "a plain call goes to its handler", test_direct);
    CU_add_test(suite, "every disposition means what it means at the gate", test_dispositions);
    CU_add_test(suite, "a new epoch ends the old way", test_epoch);
    CU_add_test(suite, "calls that share a place of the cache", test_collision);
    CU_add_test(suite, "an interrupt raised by the handler", test_interrupt);
}
