/* crossings.c: every way of crossing that the probe of x86-64 measures, as a loop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/sbi.h"
#include "guest/x86/latency/user.h"
#include "guest/x86/lib/x86.h"

#define BATCH_CALLS 32
#define WRITE_BYTES 4096

/* An entry of a batch. */
struct entry {
    uint64_t ext, fn, arg[6];
    int64_t error;
    uint64_t value;
};

_Static_assert(sizeof(struct entry) == 80, "the multicall's contract");

static struct entry null_batch[BATCH_CALLS], write_batch[BATCH_CALLS];
static char text[WRITE_BYTES] __attribute__((aligned(WRITE_BYTES)));
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

/* Calls with the same arguments over and over. A reply takes rax and rdx. */
static uint64_t calls_run(uint64_t n, uint64_t ext, uint64_t fn, uint64_t first,
                          uint64_t second)
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

static uint64_t spec_version_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION, 0, 0);
}

static const char *base_missing(void)
{
    return sbi_present(SBI_EXT_BASE) ? NULL : "there is no SBI Base extension";
}

static uint64_t null_run(uint64_t n)
{
    return calls_run(n, TG_EXT_BASE, TG_BASE_NULL, 0, 0);
}

static const char *null_missing(void)
{
    return sbi_present(TG_EXT_BASE) ? NULL : "there is no tg.base service";
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

/* A machine without the window would end at the first store, so the tables' word counts. */
static const char *bell_missing(void)
{
    return null_missing();
}

static uint64_t byte_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 1, (uintptr_t)text);
}

static uint64_t block_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, WRITE_BYTES, (uintptr_t)text);
}

static const char *console_missing(void)
{
    return sbi_present(SBI_EXT_DBCN) ? NULL : "there is no SBI DBCN extension";
}

static uint64_t batch_run(uint64_t n, uint64_t count, const struct entry *batch)
{
    return calls_run(n, TG_EXT_MULTICALL, TG_MULTICALL_RUN, count, (uintptr_t)batch);
}

static const char *batch_missing(void)
{
    return sbi_present(TG_EXT_MULTICALL) ? NULL : "there is no tg.multicall service";
}

static uint64_t batch_one_run(uint64_t n)
{
    return batch_run(n, 1, null_batch);
}

static uint64_t batch_null_run(uint64_t n)
{
    return batch_run(n, BATCH_CALLS, null_batch);
}

static uint64_t batch_write_run(uint64_t n)
{
    return batch_run(n, BATCH_CALLS, write_batch);
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

static uint64_t int80_run(uint64_t n)
{
    return user_loop(user_int80, n);
}

static uint64_t sysenter_run(uint64_t n)
{
    return user_loop(user_sysenter, n);
}

static uint64_t syscall_run(uint64_t n)
{
    return user_loop(user_syscall, n);
}

void crossings_init(const void *dtb)
{
    (void)dtb;
    user_init();
    for (unsigned i = 0; i < WRITE_BYTES; i++)
        text[i] = i % 64 == 63 ? '\n' : '.';
    for (unsigned i = 0; i < BATCH_CALLS; i++) {
        null_batch[i] = (struct entry){.ext = TG_EXT_BASE, .fn = TG_BASE_NULL};
        write_batch[i] = (struct entry){
            .ext = SBI_EXT_DBCN, .fn = SBI_DBCN_CONSOLE_WRITE, .arg = {1, (uintptr_t)text}
        };
    }
}

const struct crossing crossings[] = {
    {"function",                  function_run,     NULL,             1,           false},
    {"time",                      time_run,         NULL,             1,           false},
    {"user.int80",                int80_run,        int80_missing,    1,           false},
    {"user.sysenter",             sysenter_run,     sysenter_missing, 1,           false},
    {"user.syscall",              syscall_run,      syscall_missing,  1,           false},
    {"sbi.base.get_spec_version", spec_version_run, base_missing,     1,           false},
    {"tg.base.null",              null_run,         null_missing,     1,           false},
    {"bell.null",                 bell_run,         bell_missing,     1,           false},
    {"sbi.dbcn.write:1",          byte_run,         console_missing,  1,           true },
    {"sbi.dbcn.write:4096",       block_run,        console_missing,  WRITE_BYTES, true },
    {"tg.multicall:null:1",       batch_one_run,    batch_missing,    1,           false},
    {"tg.multicall:null:32",      batch_null_run,   batch_missing,    BATCH_CALLS, false},
    {"tg.multicall:write:32",     batch_write_run,  batch_missing,    BATCH_CALLS, true },
    {"uart.lsr",                  device_run,       NULL,             1,           false},
    {NULL,                        NULL,             NULL,             0,           false},
};
