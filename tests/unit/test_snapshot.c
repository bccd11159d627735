/* test_snapshot.c: whole machines saved and loaded at every step, and virtual time. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/snapshot.h"
#include "tests/unit/snapshot_rig.h"
#include "tests/unit/suites.h"
#include "vmm/engine/interp/engine.h"

#define CUTS_MAX 1024
#define TURN     DETERMINISTIC_QUANTUM

/* --- programs --- */

/* Sleeps for a while three times, prints a byte each time (no line is ever complete). */
static void program_sleeps(struct program *p)
{
    unsigned loop;

    *p = (struct program){.nharts = 1};
    emit_la(p, S0, RIG_DATA - RIG_CODE);
    emit_li(p, S1, 3);
    emit_li(p, T0, 1u << IRQ_S_TIMER);
    emit(p, AS_CSR(csrrs, ZERO, SIE, T0));
    loop = p->n;
    emit_li(p, A0, 'x');
    emit_call(p, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE_BYTE);
    emit(p, AS_CSRR(A0, TIME));
    emit_li(p, T0, 50003); /* 5 ms, about as long as the console holds a byte back */
    emit(p, AS_R(add, A0, A0, T0));
    emit_call(p, SBI_EXT_TIME, 0);
    emit(p, AS_N(wfi));
    emit(p, AS_CSRR(T0, TIME));
    emit(p, AS_S(sd, T0, S0, 0));
    emit(p, AS_I(addi, S0, S0, 8));
    emit(p, AS_I(addi, S1, S1, -1));
    emit_while(p, S1, loop);
    emit_exit(p, 3);
}

/* Polls for ten bytes of input and adds them up, looking every 0.1 ms. */
static void program_reads(struct program *p)
{
    unsigned loop, next;

    *p = (struct program){.nharts = 1, .input = "abcdefghij"};
    emit_la(p, S0, RIG_DATA - RIG_CODE);
    emit_li(p, S1, 10);
    emit_li(p, T0, 1u << IRQ_S_TIMER);
    emit(p, AS_CSR(csrrs, ZERO, SIE, T0));
    loop = p->n;
    emit(p, AS_CSRR(A0, TIME));
    emit_li(p, T0, 1000);
    emit(p, AS_R(add, A0, A0, T0));
    emit_call(p, SBI_EXT_TIME, 0);
    emit(p, AS_N(wfi));
    next = p->n;
    emit_li(p, A0, 1);
    emit(p, AS_I(addi, A1, S0, 0));
    emit_li(p, A2, 0);
    emit_call(p, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ);
    emit(p, AS_B(beq, A1, ZERO, 4 * ((int)loop - (int)p->n)));
    emit(p, AS_I(lbu, T0, S0, 0));
    emit(p, AS_R(add, S2, S2, T0));
    emit(p, AS_I(addi, S1, S1, -1));
    emit_while(p, S1, next);
    emit_exit(p, 4);
}

/*
 * Firmware whose timer is due when it is set, in the middle of a turn: its interrupt is up from
 * then on, though no turn has begun since, and falls when the timer is moved.
 */
static void program_firmware(struct program *p)
{
    unsigned loop;

    *p = (struct program){.nharts = 1, .start = START_FIRMWARE};
    emit_li(p, T2, 200);
    loop = p->n;
    emit(p, AS_I(addi, T2, T2, -1));
    emit_while(p, T2, loop);
    emit_li(p, S0, PLAT_CLINT_BASE + 0x4000);
    emit(p, AS_CSRR(T0, TIME));
    emit(p, AS_S(sd, T0, S0, 0));
    for (unsigned i = 0; i < 4; i++) {
        emit(p, AS_CSRR(T1, MIP));
        emit(p, AS_R(add, S1, S1, T1));
    }
    emit(p, AS_I(addi, T0, ZERO, -1));
    emit(p, AS_S(sd, T0, S0, 0));
    emit(p, AS_CSRR(T1, MIP));
    emit(p, AS_R(add, S1, S1, T1));
    emit_li(p, T0, PLAT_FINISHER_BASE);
    emit_li(p, T1, PLAT_FINISHER_FAIL); /* the status: four times MTIP */
    emit(p, AS_I(srli, S1, S1, 2 + IRQ_M_TIMER));
    emit(p, AS_I(slli, S1, S1, 16));
    emit(p, AS_R(or, T1, T1, S1));
    emit(p, AS_S(sw, T1, T0, 0));
    emit(p, AS_SELF);
}

/* --- a call that parks --- */

#define PARK_EXT   (TG_EXT_FIRST + 0xf0)
#define PARK_TRIES 4u

static enum call_disp park_call(void *self, struct hart *hart, struct call *c)
{
    unsigned *tries = self;

    (void)hart;
    if (++*tries < PARK_TRIES)
        return CALL_PARK;
    c->value = *tries;
    *tries = 0;
    return CALL_RET2;
}

static int park_create(struct module_instance *inst, struct error *err)
{
    (void)err;
    inst->self = calloc(1, sizeof(unsigned));
    return inst->self ? 0 : -ENOMEM;
}

static void park_save(void *self, struct state_writer *w)
{
    state_put_u64(w, *(unsigned *)self);
}

static void park_load(void *self, struct state_reader *r)
{
    *(unsigned *)self = (unsigned)state_get_max(r, PARK_TRIES);
}

static const struct call_desc park_calls[] = {
    {.name = "tg.park", .personality = CALL_TG, .ext = PARK_EXT, .handler = park_call},
};

static const struct module park_module = {
    .name = "park",
    .calls = park_calls,
    .ncalls = 1,
    .create = park_create,
    .destroy = free,
    .save = park_save,
    .load = park_load,
};

static void program_parks(struct program *p)
{
    *p = (struct program){.nharts = 1, .module = &park_module};
    emit(p, AS_CSRR(S0, TIME));
    emit_li(p, A7, PARK_EXT);
    emit_li(p, A6, 0);
    emit(p, AS_N(ecall));
    emit(p, AS_I(addi, S1, A1, 0));
    emit(p, AS_CSRR(S2, TIME));
    emit_call(p, PARK_EXT, 0);
    emit_exit(p, 5);
}

/* --- cuts --- */

/* How a whole run ends. */
struct ending {
    struct blob blob;
    uint64_t steps;
    int status;
    char out[64];
};

static void ending_fill(struct ending *end, struct rig *rig)
{
    end->blob = rig_save(rig);
    end->steps = rig_steps(rig);
    end->status = rig->vm.stop.status;
    snprintf(end->out, sizeof(end->out), "%.*s", (int)rig->mock.out_len,
             (const char *)rig->mock.out);
}

static void run_whole(const struct program *p, struct ending *end)
{
    struct rig *rig = malloc(sizeof(*rig));

    rig_make(rig, p, UINT64_MAX);
    CU_ASSERT_EQUAL(vm_run(&rig->vm, &rig->err), 0);
    CU_ASSERT(rig->vm.stop.cause == CAUSE_EXIT || rig->vm.stop.cause == CAUSE_FINISHER);
    ending_fill(end, rig);
    rig_destroy(rig);
    free(rig);
}

/* Runs to a step, saves, goes on in another machine: nothing may tell it from a whole run. */
static bool cut_is_seamless(const struct program *p, uint64_t at, const struct ending *want)
{
    struct rig *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
    struct blob middle, again;
    struct ending got;
    char out[128];
    bool good;

    rig_make(a, p, at);
    vm_run(&a->vm, &a->err);
    good = a->vm.stop.cause == CAUSE_BUDGET && rig_steps(a) == at;
    middle = rig_save(a);
    rig_make(b, p, UINT64_MAX);
    if (p->input) /* one descriptor for both: what the first has read is gone */
        b->mock.reads.next = a->mock.reads.next;
    good = good && rig_load(b, &middle, middle.size) == 0;
    again = rig_save(b);
    good = good && blob_equal(&middle, &again);
    vm_run(&b->vm, &b->err);
    ending_fill(&got, b);
    snprintf(out, sizeof(out), "%.*s%s", (int)a->mock.out_len, (const char *)a->mock.out,
             got.out);
    good = good && got.steps == want->steps && got.status == want->status &&
           strcmp(out, want->out) == 0 && blob_equal(&got.blob, &want->blob);
    if (!good)
        printf("\n    cut at %llu of %llu: %s\n", (unsigned long long)at,
               (unsigned long long)want->steps, b->err.text);
    free(middle.data);
    free(again.data);
    free(got.blob.data);
    rig_destroy(a);
    rig_destroy(b);
    free(a);
    free(b);
    return good;
}

/* Every step of a short run; of a long one those near its ends and near the ends of turns. */
static void check_cuts(const struct program *p, int status)
{
    struct ending want;
    unsigned cuts = 0, good = 0;

    run_whole(p, &want);
    CU_ASSERT_EQUAL(want.status, status);
    for (uint64_t at = 1; at < want.steps; at++) {
        bool near = at < 60 || want.steps - at < 60 || at % TURN < 60 || at % TURN > TURN - 4;

        if (!near && at % 4999 != 0)
            continue;
        cuts++;
        good += cut_is_seamless(p, at, &want);
    }
    CU_ASSERT(cuts > 20);
    CU_ASSERT_EQUAL(good, cuts);
    free(want.blob.data);
}

static void test_cut_reservations(void)
{
    struct program p;

    program_reservations(&p);
    check_cuts(&p, 7);
}

static void test_cut_two_harts(void)
{
    struct program p;

    program_two_harts(&p);
    check_cuts(&p, 9);
}

static void test_cut_sleeps(void)
{
    struct program p;

    program_sleeps(&p);
    check_cuts(&p, 3);
}

static void test_cut_reads(void)
{
    struct program p;

    program_reads(&p);
    check_cuts(&p, 4);
}

static void test_cut_firmware(void)
{
    struct program p;

    program_firmware(&p);
    check_cuts(&p, 1);
}

static void test_cut_parks(void)
{
    struct program p;
    struct rig *rig = malloc(sizeof(*rig));
    struct hart_state state;

    program_parks(&p);
    check_cuts(&p, 5);

    /* Each try is a step, the hart stays at the call, and a whole turn's time passes. */
    rig_make(rig, &p, 5 + 2);
    vm_run(&rig->vm, &rig->err);
    CU_ASSERT_EQUAL(rig_steps(rig), 7);
    rig->vm.engine->state_get(&rig->vm.hart[0], &state);
    CU_ASSERT_EQUAL(state.pc, RIG_CODE + 4 * 5);
    CU_ASSERT_EQUAL(state.x[A7], PARK_EXT);
    CU_ASSERT_EQUAL(state.x[A1], rig->vm.dtb_gpa);
    CU_ASSERT_EQUAL(rig->vm.det->now_ns, 2 * TURN);
    CU_ASSERT_FALSE(rig->vm.det->cut);
    rig_destroy(rig);
    free(rig);
}

/* A call during which a signal asks for the end of the VM, if *self says so. */
static enum call_disp kill_call(void *self, struct hart *hart, struct call *c)
{
    (void)c;
    if (*(bool *)self)
        vm_stop(hart->vm, CAUSE_KILLED, 143, NULL, NULL);
    return CALL_RET2;
}

static int kill_create(struct module_instance *inst, struct error *err)
{
    (void)err;
    inst->self = calloc(1, sizeof(bool));
    return inst->self ? 0 : -ENOMEM;
}

static const struct call_desc kill_calls[] = {
    {.name = "tg.kill", .personality = CALL_TG, .ext = PARK_EXT, .handler = kill_call},
};

static const struct module kill_module = {
    .name = "kill",
    .calls = kill_calls,
    .ncalls = 1,
    .create = kill_create,
    .destroy = free,
};

/* A run that a signal ends in the middle of a turn goes on as one that a budget ends. */
static void test_cut_by_stop(void)
{
    struct program p = {.nharts = 2, .module = &kill_module};
    struct rig *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
    struct ending want;
    struct blob middle, end;

    emit_call(&p, PARK_EXT, 0);
    emit_increments(&p, 2);
    emit_exit(&p, 6);
    run_whole(&p, &want);
    rig_make(a, &p, UINT64_MAX);
    *(bool *)a->vm.instance[a->vm.ninstances - 1].self = true;
    vm_run(&a->vm, &a->err);
    CU_ASSERT_EQUAL(a->vm.stop.cause, CAUSE_KILLED);
    CU_ASSERT_EQUAL(rig_steps(a), 5);
    middle = rig_save(a);
    rig_make(b, &p, UINT64_MAX);
    CU_ASSERT_EQUAL(rig_load(b, &middle, middle.size), 0);
    vm_run(&b->vm, &b->err);
    CU_ASSERT_EQUAL(b->vm.stop.status, 6);
    end = rig_save(b);
    CU_ASSERT(blob_equal(&end, &want.blob));
    free(middle.data);
    free(end.data);
    free(want.blob.data);
    rig_destroy(a);
    rig_destroy(b);
    free(a);
    free(b);
}

/* --- what a deterministic run sees of its host --- */

/* Input in pieces, interrupted, not ready yet: nothing of it shows. */
static void test_input_in_pieces(void)
{
    struct program p;
    struct ending want;
    struct rig *rig = malloc(sizeof(*rig));
    struct blob end;

    program_reads(&p);
    run_whole(&p, &want);
    p.input = "a";
    rig_config(rig, &p);
    mock_advance(&rig->mock, 123456789);
    rig_create(rig, &p);
    mock_read_result(&rig->mock, -EINTR);
    mock_read_text(&rig->mock, "abc");
    mock_read_result(&rig->mock, -EAGAIN);
    mock_read_text(&rig->mock, "d");
    mock_read_text(&rig->mock, "efghij");
    mock_read_result(&rig->mock, -EINTR);
    for (unsigned i = 0; i < 3; i++)
        mock_read_result(&rig->mock, 0);
    vm_run(&rig->vm, &rig->err);
    end = rig_save(rig);
    CU_ASSERT_EQUAL(rig->vm.stop.status, want.status);
    CU_ASSERT(blob_equal(&end, &want.blob));
    free(end.data);
    free(want.blob.data);
    rig_destroy(rig);
    free(rig);
}

/* The device tree's seeds come from the seed of the run, and from nowhere else. */
static void test_seed(void)
{
    struct program p;
    uint8_t hash[3][SNAPSHOT_HASH_SIZE];
    static const uint64_t seeds[3] = {0, 0, 1};

    program_reservations(&p);
    for (unsigned i = 0; i < 3; i++) {
        struct rig *rig = malloc(sizeof(*rig));

        rig_config(rig, &p);
        rig->config.seed = seeds[i];
        rig_create(rig, &p);
        CU_ASSERT_EQUAL(snapshot_hash(&rig->vm, hash[i]), 0);
        rig_destroy(rig);
        free(rig);
    }
    CU_ASSERT_EQUAL(memcmp(hash[0], hash[1], SNAPSHOT_HASH_SIZE), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(hash[0], hash[2], SNAPSHOT_HASH_SIZE), 0);
}

/* Nobody can ever wake the hart: the run ends and says so. A timer out of reach is none. */
static void test_nothing_left(void)
{
    for (unsigned timer = 0; timer < 2; timer++) {
        struct rig *rig = malloc(sizeof(*rig));
        struct program p = {.nharts = 2};

        emit_li(&p, T0, 1u << IRQ_S_TIMER);
        emit(&p, AS_CSR(csrrs, ZERO, SIE, T0));
        if (timer) {
            emit(&p, AS_I(addi, A0, ZERO, -2));
            emit(&p, AS_I(srli, A0, A0, 7));
            emit_call(&p, SBI_EXT_TIME, 0);
        }
        emit(&p, AS_N(wfi));
        emit_exit(&p, 1);
        rig_make(rig, &p, UINT64_MAX);
        vm_run(&rig->vm, &rig->err);
        CU_ASSERT_EQUAL(rig->vm.stop.cause, CAUSE_FAULT);
        CU_ASSERT_EQUAL(rig->vm.stop.status, STATUS_GUEST_FAULT);
        CU_ASSERT(strstr(rig->vm.stop.text, "every hart waits") != NULL);
        rig_destroy(rig);
        free(rig);
    }
}

/* No hart sees a time before one that another has seen, and a step takes 1 ns. */
static void test_time_is_one(void)
{
    struct rig *rig = malloc(sizeof(*rig));
    struct program p = {.nharts = 2};
    struct hart_state state[2];
    unsigned loop;

    /* Hart 0 starts hart 1 with the time as its argument, and runs to the end of its turn. */
    emit_li(&p, A0, 1);
    emit_la(&p, A1, 4 * 16);
    for (unsigned i = 0; i < 4; i++)
        emit(&p, AS_NOP);
    emit(&p, AS_CSRR(A2, TIME));
    emit_call(&p, SBI_EXT_HSM, SBI_HSM_HART_START);
    loop = p.n;
    emit(&p, AS_CSRR(S0, TIME));
    emit(&p, AS_B(beq, ZERO, ZERO, 4 * ((int)loop - (int)p.n)));
    CU_ASSERT_EQUAL_FATAL(p.n, 16);
    emit(&p, AS_CSRR(S1, TIME));
    emit(&p, AS_SELF);
    rig_make(rig, &p, TURN + 100);
    vm_run(&rig->vm, &rig->err);
    for (unsigned i = 0; i < 2; i++)
        rig->vm.engine->state_get(&rig->vm.hart[i], &state[i]);
    CU_ASSERT_EQUAL(state[0].steps, TURN);
    CU_ASSERT_EQUAL(state[1].steps, 100);
    CU_ASSERT(state[0].x[S0] * CLOCK_NS_PER_TICK > TURN - 200);
    CU_ASSERT(state[1].x[S1] >= state[0].x[S0]);
    CU_ASSERT_EQUAL(state[1].x[S1], (TURN + 1) / CLOCK_NS_PER_TICK);
    rig_destroy(rig);
    free(rig);
}

/* --- free-running machines --- */

static void test_free_running(void)
{
    struct program p;
    struct rig *rig[3];
    struct blob middle;
    struct hart_state state[3];

    program_reservations(&p);
    for (unsigned i = 0; i < 3; i++) {
        rig[i] = malloc(sizeof(*rig[i]));
        rig_config(rig[i], &p);
        rig[i]->config.deterministic = false;
        rig[i]->config.max_steps = i == 1 ? 13 : UINT64_MAX;
        mock_advance(&rig[i]->mock, i == 1 ? 3600000000000u : 0); /* a host that is up longer */
        rig_create(rig[i], &p);
    }
    mock_advance(&rig[1]->mock, 1800000000000u);
    CU_ASSERT_EQUAL(clock_ticks(&rig[1]->vm.clock), 1800000000000u / CLOCK_NS_PER_TICK);
    vm_run(&rig[0]->vm, &rig[0]->err);
    vm_run(&rig[1]->vm, &rig[1]->err);
    CU_ASSERT_EQUAL(rig[1]->vm.stop.cause, CAUSE_BUDGET);
    CU_ASSERT_EQUAL(rig_steps(rig[1]), 13);
    middle = rig_save(rig[1]);
    CU_ASSERT_EQUAL(rig_load(rig[2], &middle, middle.size), 0);
    /* Guest time goes on, also where the host has not been up for so long. */
    CU_ASSERT(clock_ticks(&rig[2]->vm.clock) >= 1800000000000u / CLOCK_NS_PER_TICK);
    mock_advance(&rig[2]->mock, 1000 * CLOCK_NS_PER_TICK);
    CU_ASSERT(clock_ticks(&rig[2]->vm.clock) >= 1800000000000u / CLOCK_NS_PER_TICK + 1000);
    CU_ASSERT_EQUAL(clock_deadline_ns(&rig[2]->vm.clock, clock_ticks(&rig[2]->vm.clock) + 10),
                    rig[2]->mock.now_ns + 10 * CLOCK_NS_PER_TICK);
    vm_run(&rig[2]->vm, &rig[2]->err);
    for (unsigned i = 0; i < 3; i += 2) {
        CU_ASSERT_EQUAL(rig[i]->vm.stop.status, 7);
        rig[i]->vm.engine->state_get(&rig[i]->vm.hart[0], &state[i]);
    }
    CU_ASSERT_EQUAL(state[0].steps, state[2].steps);
    CU_ASSERT_EQUAL(state[0].instret, state[2].instret);
    CU_ASSERT_EQUAL(memcmp(state[0].x, state[2].x, sizeof(state[0].x)), 0);
    free(middle.data);
    for (unsigned i = 0; i < 3; i++) {
        rig_destroy(rig[i]);
        free(rig[i]);
    }
}

void suite_snapshot(void)
{
    CU_pSuite suite = CU_add_suite("snapshot", NULL, NULL);

    snapshot_module_tests(suite);
    CU_add_test(suite, "cut at every step: reservations", test_cut_reservations);
    CU_add_test(suite, "cut at every step: two harts, start and stop", test_cut_two_harts);
    CU_add_test(suite, "cut at every step: timers, sleep, output", test_cut_sleeps);
    CU_add_test(suite, "cut at every step: input", test_cut_reads);
    CU_add_test(suite, "cut at every step: firmware and its timer", test_cut_firmware);
    CU_add_test(suite, "cut at every step: a call that parks", test_cut_parks);
    CU_add_test(suite, "cut by a stop", test_cut_by_stop);
    CU_add_test(suite, "input in pieces is the same input", test_input_in_pieces);
    CU_add_test(suite, "another seed, another machine", test_seed);
    CU_add_test(suite, "every hart waits for nothing", test_nothing_left);
    CU_add_test(suite, "one time for all harts", test_time_is_one);
    CU_add_test(suite, "free-running: save, and load on a younger host", test_free_running);
    snapshot_file_tests(suite);
}
