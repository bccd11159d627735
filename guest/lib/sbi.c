/* sbi.c: calls to the SBI. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/sbi.h"

struct sbi_ret sbi_call6(uint64_t ext, uint64_t fn, const uint64_t arg[6])
{
    register uint64_t a0 __asm__("a0") = arg[0];
    register uint64_t a1 __asm__("a1") = arg[1];
    register uint64_t a2 __asm__("a2") = arg[2];
    register uint64_t a3 __asm__("a3") = arg[3];
    register uint64_t a4 __asm__("a4") = arg[4];
    register uint64_t a5 __asm__("a5") = arg[5];
    register uint64_t a6 __asm__("a6") = fn;
    register uint64_t a7 __asm__("a7") = ext;

    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6), "r"(a7)
                     : "memory");
    return (struct sbi_ret){.error = (int64_t)a0, .value = a1};
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
