/* sbi.c: calls to the SBI. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/sbi.h"

#include "guest/abi/stubs.h"

struct sbi_ret sbi_call6(uint64_t ext, uint64_t fn, const uint64_t arg[6])
{
    struct tg_ret ret = tg_ecall(ext, fn, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);

    return (struct sbi_ret){.error = ret.error, .value = ret.value};
}

struct sbi_ret sbi_call(uint64_t ext, uint64_t fn, uint64_t a, uint64_t b, uint64_t c)
{
    return sbi_call6(ext, fn, (const uint64_t[6]){a, b, c});
}

bool sbi_present(uint64_t ext)
{
    struct sbi_ret ret = sbi_call(SBI_EXT_BASE, SBI_BASE_PROBE_EXTENSION, ext, 0, 0);

    return ret.error == SBI_SUCCESS && ret.value != 0;
}
