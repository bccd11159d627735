/* crossings.c: every way of crossing that the probe of x86-64 measures, as a loop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/calls.h"

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/sbi.h"
#include "guest/x86/latency/user.h"
#include "guest/x86/lib/x86.h"

static volatile uint64_t *const bell = (volatile uint64_t *)TG_X86_DOORBELL;

/* All loops have the same shape, so that what the empty one takes can be taken off. */
#define LOOP(body) "1: " body "\n dec %[n]\n jnz 1b"

uint64_t empty_run(uint64_t n)
{
    uint64_t start = cycles_now();

    __asm__ volatile(LOOP("") : [n] "+r"(n));
    return cycles_now() - start;
}

static uint64_t time_run(uint64_t n)
{
    uint64_t start = cycles_now();

    __asm__ volatile(LOOP("rdtsc") : [n] "+r"(n) : : "rax", "rdx");
    return cycles_now() - start;
}

__attribute__((noinline)) static void function_empty(void)
{
    __asm__ volatile("");
}

static uint64_t function_run(uint64_t n)
{
    uint64_t start = cycles_now();

    /* It touches no register. */
    __asm__ volatile(LOOP("call *%[fn]") : [n] "+r"(n) : [fn] "r"(function_empty) : "memory");
    return cycles_now() - start;
}

/* A reply takes rax and rdx. */
uint64_t calls_run(uint64_t n, uint64_t ext, uint64_t fn, uint64_t first, uint64_t second)
{
    register uint64_t r8 __asm__("r8") = 0;
    register uint64_t r9 __asm__("r9") = 0;
    register uint64_t r10 __asm__("r10") = 0;
    register uint64_t r11 __asm__("r11") = fn;
    uint64_t start = cycles_now();

    __asm__ volatile(LOOP("mov %[ext], %%rax\n mov %[port], %%edx\n outl %%eax, %%dx")
                     : [n] "+r"(n)
                     : [ext] "r"(ext), [port] "i"(TG_X86_PORT_CALL), "D"(first), "S"(second),
                       "c"(0), "r"(r8), "r"(r9), "r"(r10), "r"(r11)
                     : "rax", "rdx", "memory");
    return cycles_now() - start;
}

uint64_t plain_run(uint64_t n, uint64_t ext, uint64_t fn)
{
    return calls_run(n, ext, fn, 0, 0);
}

static uint64_t bell_run(uint64_t n)
{
    bell[TG_DOORBELL_EXT / 8] = TG_EXT_BASE;
    bell[TG_DOORBELL_FN / 8] = TG_BASE_NULL;
    uint64_t start = cycles_now();

    __asm__ volatile(LOOP("mov %[n], (%[ring])")
                     : [n] "+r"(n)
                     : [ring] "r"(&bell[TG_DOORBELL_RING / 8])
                     : "memory");
    return cycles_now() - start;
}

/*
 * The window answers as the port does. A machine without the window would end at the first
 * store, so the port's word that the service is there comes first.
 */
static const char *bell_missing(void)
{
    const char *why = null_missing();

    if (why)
        return why;
    bell[TG_DOORBELL_EXT / 8] = TG_EXT_BASE;
    bell[TG_DOORBELL_FN / 8] = TG_BASE_VERSION;
    bell[TG_DOORBELL_ARG1 / 8] = UINT64_MAX;
    bell[TG_DOORBELL_RING / 8] = 1;
    return bell[TG_DOORBELL_ARG1 / 8] == sbi_call(TG_EXT_BASE, TG_BASE_VERSION, 0, 0, 0).value
               ? NULL
               : "the doorbell in memory answers otherwise than the port";
}

static uint64_t device_run(uint64_t n)
{
    uint64_t start = cycles_now();

    __asm__ volatile(LOOP("inb %%dx, %%al")
                     : [n] "+r"(n)
                     : "d"(TG_X86_PORT_UART + 5)
                     : "rax", "memory");
    return cycles_now() - start;
}

void crossings_init(const void *dtb)
{
    (void)dtb;
    user_init();
    calls_init();
}

const struct crossing crossings[] = {
    {"function",                  function_run,     NULL,                1,           false},
    {"time",                      time_run,         NULL,                1,           false},
    {"user.int80",                int80_run,        int80_missing,       1,           false},
    {"user.sysenter",             sysenter_run,     sysenter_missing,    1,           false},
    {"user.syscall",              syscall_run,      syscall_missing,     1,           false},
    {"sbi.base.get_spec_version", spec_version_run, base_missing,        1,           false},
    {"tg.base.null",              null_run,         null_missing,        1,           false},
    {"bell.null",                 bell_run,         bell_missing,        1,           false},
    {"sbi.dbcn.write:1",          byte_run,         console_missing,     1,           true },
    {"sbi.dbcn.write:4096",       block_run,        block_missing,       CALLS_BLOCK, true },
    {"tg.multicall:null:1",       batch_one_run,    null_batch_missing,  1,           false},
    {"tg.multicall:null:32",      batch_null_run,   null_batch_missing,  CALLS_BATCH, false},
    {"tg.multicall:write:32",     batch_write_run,  write_batch_missing, CALLS_BATCH, true },
    {"uart.lsr",                  device_run,       NULL,                1,           false},
    {NULL,                        NULL,             NULL,                0,           false},
};

static const char *servers_missing(void)
{
    return "the probe of x86-64 has no servers";
}

const struct crossing tasks[] = {
    {"direct",   task_direct_run, NULL,            1, false},
    {"call",     NULL,            servers_missing, 1, false},
    {"messages", NULL,            servers_missing, 1, false},
    {NULL,       NULL,            NULL,            0, false},
};
