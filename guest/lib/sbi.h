/* sbi.h: calls to the SBI. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef GUEST_LIB_SBI_H
#define GUEST_LIB_SBI_H

#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/sbi.h"

struct sbi_ret {
    int64_t error;  /* a0 */
    uint64_t value; /* a1 */
};

/* A call with all its arguments (SBI 2.0, section 3); legacy calls return in error only. */
struct sbi_ret sbi_call6(uint64_t ext, uint64_t fn, const uint64_t arg[6]);

/* A call with three arguments, the others zero. */
struct sbi_ret sbi_call(uint64_t ext, uint64_t fn, uint64_t a, uint64_t b, uint64_t c);

/* True when Base says that the extension is there. */
bool sbi_present(uint64_t ext);

#endif
