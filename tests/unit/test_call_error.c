/* test_call_error.c: what guests are told of each failure of the host. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/call_error.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include "guest/abi/sbi.h"
#include "tests/unit/suites.h"

static void test_kinds(void)
{
    static const struct {
        int error;
        enum call_error_kind kind;
        int sbi;
    } cases[] = {
        {-EPERM,     CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
        {-EACCES,    CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
        {-EXDEV,     CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
        {-EINVAL,    CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
        {-EBADF,     CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
        {-ENOENT,    CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
        {-ERANGE,    CALL_INVALID_ARGUMENT, SBI_ERR_BAD_RANGE      },
        {-EINTR,     CALL_INTERRUPTED,      SBI_ERR_FAILED         },
        {-EAGAIN,    CALL_WOULD_BLOCK,      SBI_ERR_FAILED         },
        {-ETIMEDOUT, CALL_WOULD_BLOCK,      SBI_ERR_TIMEOUT        },
        {-ENOSYS,    CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
        {-ESPIPE,    CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
        {-EFAULT,    CALL_FAULT,            SBI_ERR_INVALID_ADDRESS},
        {-EIO,       CALL_UNKNOWN,          SBI_ERR_IO             },
        {-ENOSPC,    CALL_UNKNOWN,          SBI_ERR_FAILED         },
        {-EPIPE,     CALL_UNKNOWN,          SBI_ERR_FAILED         },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(call_error_kind(cases[i].error), cases[i].kind);
        CU_ASSERT_EQUAL(call_error_sbi(cases[i].error), cases[i].sbi);
    }
    CU_ASSERT_STRING_EQUAL(call_error_name(CALL_ACCESS_DENIED), "AccessDenied");
    CU_ASSERT_STRING_EQUAL(call_error_name(CALL_UNKNOWN), "Unknown");
    CU_ASSERT_STRING_EQUAL(call_error_name(CALL_ERROR_KINDS), "Unknown");
}

/* Whatever the number, a guest never takes it for a success, and gets an errno that exists. */
static void test_replies(void)
{
    for (int error = -5000; error <= 5000; error++) {
        struct call c = {.personality = CALL_TG, .value = 7};
        struct call p = {.personality = CALL_PROGRAM, .value = 7};
        int number = error < 0 && error > -4096 ? -error : EIO;

        CU_ASSERT_EQUAL(call_host_failed(&c, error), CALL_RET2);
        CU_ASSERT_EQUAL(c.error, call_error_sbi(error));
        CU_ASSERT(c.error < 0);
        CU_ASSERT_EQUAL(c.value, (uint64_t)number);
        CU_ASSERT_EQUAL(call_host_failed(&p, error), CALL_RET1);
        CU_ASSERT_EQUAL(p.error, -number);
        CU_ASSERT_EQUAL(p.value, 0);
    }
}

void suite_call_error(void)
{
    CU_pSuite suite = CU_add_suite("call_error", NULL, NULL);

    CU_add_test(suite, "kinds", test_kinds);
    CU_add_test(suite, "replies", test_replies);
}
