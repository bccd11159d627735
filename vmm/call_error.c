/* call_error.c: the one table of the host's errors. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/call_error.h"

#include <errno.h>
#include "guest/abi/sbi.h"

/* Linux returns no error beyond this (errno(3); arch code calls it MAX_ERRNO). */
#define ERRNO_MAX 4095

/* What is not listed is CALL_UNKNOWN, SBI_ERR_FAILED. */
static const struct error_row {
    int number;
    enum call_error_kind kind;
    int sbi;
} rows[] = {
    {EPERM,        CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
    {EACCES,       CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
    {EROFS,        CALL_ACCESS_DENIED,    SBI_ERR_DENIED         },
    {EXDEV,        CALL_ACCESS_DENIED,    SBI_ERR_DENIED         }, /* openat2: it left its directory */
    {EINVAL,       CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {EBADF,        CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {ENOENT,       CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {ENOTDIR,      CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {EISDIR,       CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {EEXIST,       CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {ELOOP,        CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {ENAMETOOLONG, CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {E2BIG,        CALL_INVALID_ARGUMENT, SBI_ERR_INVALID_PARAM  },
    {ERANGE,       CALL_INVALID_ARGUMENT, SBI_ERR_BAD_RANGE      },
    {EOVERFLOW,    CALL_INVALID_ARGUMENT, SBI_ERR_BAD_RANGE      },
    {EINTR,        CALL_INTERRUPTED,      SBI_ERR_FAILED         },
    {EAGAIN,       CALL_WOULD_BLOCK,      SBI_ERR_FAILED         },
    {EINPROGRESS,  CALL_WOULD_BLOCK,      SBI_ERR_FAILED         },
    {ETIMEDOUT,    CALL_WOULD_BLOCK,      SBI_ERR_TIMEOUT        },
    {ENOSYS,       CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
    {EOPNOTSUPP,   CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
    {ENOTTY,       CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
    {ESPIPE,       CALL_NOT_SUPPORTED,    SBI_ERR_NOT_SUPPORTED  },
    {EFAULT,       CALL_FAULT,            SBI_ERR_INVALID_ADDRESS},
    {EIO,          CALL_UNKNOWN,          SBI_ERR_IO             },
};

/* The errno behind a failure; a number that no host returns is a fault of our own. */
static int error_number(int error)
{
    return error < 0 && error >= -ERRNO_MAX ? -error : EIO;
}

static const struct error_row *row_find(int error)
{
    static const struct error_row other = {0, CALL_UNKNOWN, SBI_ERR_FAILED};
    int number = error_number(error);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].number == number)
            return &rows[i];
    return &other;
}

enum call_error_kind call_error_kind(int error)
{
    return row_find(error)->kind;
}

int call_error_sbi(int error)
{
    return row_find(error)->sbi;
}

const char *call_error_name(enum call_error_kind kind)
{
    static const char *const names[CALL_ERROR_KINDS] = {
        [CALL_ACCESS_DENIED] = "AccessDenied",
        [CALL_INVALID_ARGUMENT] = "InvalidArgument",
        [CALL_INTERRUPTED] = "Interrupted",
        [CALL_WOULD_BLOCK] = "WouldBlock",
        [CALL_NOT_SUPPORTED] = "NotSupported",
        [CALL_FAULT] = "Fault",
        [CALL_UNKNOWN] = "Unknown",
    };

    return kind < CALL_ERROR_KINDS ? names[kind] : "Unknown";
}

enum call_disp call_host_failed(struct call *c, int error)
{
    int number = error_number(error);

    if (c->personality == CALL_PROGRAM) {
        c->error = -number;
        c->value = 0;
        return CALL_RET1;
    }
    c->error = call_error_sbi(error);
    c->value = (uint64_t)number;
    return CALL_RET2;
}
