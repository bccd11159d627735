/* test_contract.c: what a handler answers against its row, and the cycles that a row charges.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/deterministic.h"

#define EXT 0x0a000000

/* What the one handler answers next. */
static struct {
    enum call_disp disp;
    int64_t error;
    uint64_t value;
} answer;

static struct fixture f;
static struct call c;
static struct deterministic det;
static uint64_t charged;

static enum call_disp handler(void *self, struct hart *hart, struct call *call)
{
    (void)self;
    (void)hart;
    call->error = answer.error;
    call->value = answer.value;
    return answer.disp;
}

#define ROW(row, number, ...)                                                                  \
    {                                                                                          \
        .name = row, .personality = CALL_SBI, .ext = EXT, .fn = number, .handler = handler,    \
        __VA_ARGS__                                                                            \
    }

static const struct call_desc calls[] = {
    ROW("odd.free", 0, .cycles = 0), /* by hand: without a contract */
    ROW("odd.none", 1, .errors = CALL_CONTRACT, .cycles = 7),
    ROW("odd.some", 2,
        .errors =
            CALL_CONTRACT | CALL_ERROR(SBI_ERR_FAILED) | CALL_ERROR(SBI_ERR_DENIED_LOCKED)),
    ROW("odd.in", 3, .errors = CALL_CONTRACT, .buf_kind = CALL_BUF_IN, .cycles = 10,
        .cycles_per_kib = 3),
    {
                         .name = "odd.legacy",
                         .personality = CALL_SBI,
                         .ext = 9,
                         .fn = CALL_ANY_FN,
                         .handler = handler,
                         .legacy = true,
                         .errors = CALL_CONTRACT | CALL_ERROR(SBI_ERR_FAILED),
                         .result = {"byte", KIND_INT},
                         },
};

static const struct module module_odd = {
    .name = "odd", .calls = calls, .ncalls = sizeof(calls) / sizeof(calls[0])};

static void cycles_add(struct hart *hart, uint64_t cycles)
{
    (void)hart;
    charged += cycles;
}

static void start(void)
{
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    f.engine.cycles_add = cycles_add;
    f.inst[f.vm.ninstances++] = (struct module_instance){.module = &module_odd, .vm = &f.vm};
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    charged = 0;
}

static void end(void)
{
    f.vm.breaches = 0; /* wanted ones */
    call_index_destroy(&f.vm);
    fixture_destroy(&f);
}

/* Has the handler answer, and returns what the guest gets for the error. */
static int64_t ask(uint64_t fn, enum call_disp disp, int64_t error)
{
    answer.disp = disp;
    answer.error = error;
    answer.value = 55;
    c = (struct call){
        .personality = CALL_SBI, .ext = EXT, .fn = fn, .arg = {0, FIXTURE_RAM}
    };
    if (fn == CALL_ANY_FN)
        c.ext = 9;
    call_dispatch(&f.hart[0], &c);
    return c.error;
}

static void test_listed(void)
{
    start();
    CU_ASSERT_EQUAL(ask(0, CALL_RET2, -77), -77);
    CU_ASSERT_EQUAL(ask(1, CALL_RET2, 0), 0);
    CU_ASSERT_EQUAL(ask(2, CALL_RET2, SBI_ERR_FAILED), SBI_ERR_FAILED);
    CU_ASSERT_EQUAL(c.value, 55); /* the host's errno, where there is one */
    CU_ASSERT_EQUAL(ask(2, CALL_RET2, SBI_ERR_DENIED_LOCKED), SBI_ERR_DENIED_LOCKED);
    CU_ASSERT_EQUAL(ask(CALL_ANY_FN, CALL_RET1, 200), 200);
    CU_ASSERT_EQUAL(ask(CALL_ANY_FN, CALL_RET1, -1), -1);
    CU_ASSERT_EQUAL(ask(1, CALL_TRAP, 0x1234), 0x1234); /* the tval of an exception */
    CU_ASSERT_EQUAL(f.vm.breaches, 0);
    CU_ASSERT_PTR_NULL(f.vm.breach);
    CU_ASSERT_FALSE(f.vm.stopping);
    end();
}

static void test_unlisted(void)
{
    static const struct {
        uint64_t fn;
        int64_t error;
    } bad[] = {
        {1,           SBI_ERR_FAILED       },
        {1,           1                    },
        {2,           SBI_ERR_INVALID_PARAM},
        {2,           -31                  },
        {2,           -32                  },
        {2,           -4095                },
        {2,           2                    },
        {2,           INT64_MIN            },
        {3,           -3                   },
        {2,           INT64_MAX            },
        {CALL_ANY_FN, -2                   },
    };
    uint64_t n = 0;

    start();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bool legacy = bad[i].fn == CALL_ANY_FN;

        CU_ASSERT_EQUAL(ask(bad[i].fn, legacy ? CALL_RET1 : CALL_RET2, bad[i].error),
                        SBI_ERR_FAILED);
        CU_ASSERT_EQUAL(c.value, 0);
        CU_ASSERT_EQUAL(c.disp, legacy ? CALL_RET1 : CALL_RET2);
        CU_ASSERT_EQUAL(f.vm.breaches, ++n);
    }
    CU_ASSERT_PTR_EQUAL(f.vm.breach, &calls[1]);
#ifdef CALL_STRICT
    CU_ASSERT_EQUAL(f.vm.stop.status, STATUS_INTERNAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.vm.stop.text, "odd.none answered -1"));
#else
    CU_ASSERT_FALSE(f.vm.stopping);
#endif
    end();
}

static void test_cycles(void)
{
    start();
    ask(1, CALL_RET2, 0);
    CU_ASSERT_EQUAL(charged, 0); /* harts are threads, time is the host's */
    f.vm.det = &det;
    ask(1, CALL_RET2, 0);
    CU_ASSERT_EQUAL(charged, 7);
    ask(1, CALL_PARK, 0); /* to be tried again */
    CU_ASSERT_EQUAL(charged, 7);
    ask(9, CALL_RET2, 0); /* nobody's */
    CU_ASSERT_EQUAL(charged, 7);
    ask(0, CALL_RET2, 0);
    CU_ASSERT_EQUAL(charged, 7);
    f.vm.det = NULL;
    end();
}

static void test_cycles_per_kib(void)
{
    static const struct {
        uint64_t len, cycles;
    } sizes[] = {
        {0,                   10         },
        {1,                   13         },
        {1024,                13         },
        {1025,                16         },
        {CALL_BUF_MAX,        10 + 64 * 3},
        {CALL_BUF_MAX + 5000, 10 + 64 * 3}
    };

    start();
    f.vm.det = &det;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        charged = 0;
        answer.disp = CALL_RET2;
        answer.error = 0;
        c = (struct call){
            .personality = CALL_SBI, .ext = EXT, .fn = 3, .arg = {sizes[i].len, FIXTURE_RAM}
        };
        call_dispatch(&f.hart[0], &c);
        CU_ASSERT_EQUAL(charged, sizes[i].cycles);
    }
    f.vm.det = NULL;
    end();
}

/* What calls handlers itself charges nothing, so it is kept from calls that cost. */
static void test_way(void)
{
    struct call_way way;

    start();
    CU_ASSERT_TRUE(call_fast(&f.vm, CALL_SBI, EXT, 2, &way));
    CU_ASSERT_PTR_EQUAL(way.desc, &calls[2]);
    f.vm.det = &det;
    CU_ASSERT_FALSE(call_fast(&f.vm, CALL_SBI, EXT, 2, &way));
    f.vm.det = NULL;
    end();
}

void suite_contract(void)
{
    CU_pSuite s = CU_add_suite("contract", NULL, NULL);

    CU_add_test(s, "errors that the row lists", test_listed);
    CU_add_test(s, "errors that it does not", test_unlisted);
    CU_add_test(s, "cycles", test_cycles);
    CU_add_test(s, "cycles per KiB", test_cycles_per_kib);
    CU_add_test(s, "not around the gate", test_way);
}
