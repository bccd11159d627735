/* crossings.c: every way of crossing that the probe measures, as a loop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/latency.h"

#include "guest/abi/platform.h"
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/sbi.h"

/* Tollgate's services, by the numbers of their contracts (guest/abi has them where built). */
#define TG_BASE_EXT      0x08544700
#define TG_MULTICALL_EXT 0x08544705

#define UART_LSR    5
#define BATCH_CALLS 32
#define WRITE_BYTES 4096

/* An entry of a batch. */
struct entry {
    uint64_t ext, fn, arg[6];
    int64_t error;
    uint64_t value;
};

_Static_assert(sizeof(struct entry) == 80, "the multicall's contract");

static uintptr_t uart;
static struct entry null_batch[BATCH_CALLS], write_batch[BATCH_CALLS];
static char text[WRITE_BYTES] __attribute__((aligned(WRITE_BYTES)));

/*
 * All loops have the same shape, so that what the empty one takes can be taken off: the body,
 * one addition, one branch.
 */
#define LOOP(body) "1: " body "\n addi %[n], %[n], -1\n bnez %[n], 1b"

uint64_t empty_run(uint64_t n)
{
    uint64_t start = csr_read(time);

    __asm__ volatile(LOOP("") : [n] "+r"(n));
    return csr_read(time) - start;
}

static uint64_t time_run(uint64_t n)
{
    uint64_t start = csr_read(time), now;

    __asm__ volatile(LOOP("rdtime %[now]") : [n] "+r"(n), [now] "=&r"(now));
    return csr_read(time) - start;
}

__attribute__((noinline)) static void function_empty(void)
{
    __asm__ volatile("");
}

static uint64_t function_run(uint64_t n)
{
    uint64_t start = csr_read(time);

    /* It touches no register but ra. */
    __asm__ volatile(LOOP("jalr %[fn]") : [n] "+r"(n) : [fn] "r"(function_empty) : "ra");
    return csr_read(time) - start;
}

/* Calls with the same arguments over and over. A reply takes a0 and a1. */
static uint64_t calls_run(uint64_t n, uint64_t ext, uint64_t fn, uint64_t first,
                          uint64_t second)
{
    register uint64_t a2 __asm__("a2") = 0;
    register uint64_t a3 __asm__("a3") = 0;
    register uint64_t a4 __asm__("a4") = 0;
    register uint64_t a5 __asm__("a5") = 0;
    register uint64_t a6 __asm__("a6") = fn;
    register uint64_t a7 __asm__("a7") = ext;
    uint64_t start = csr_read(time);

    __asm__ volatile(LOOP("mv a0, %[first]\n mv a1, %[second]\n ecall")
                     : [n] "+r"(n)
                     : [first] "r"(first), [second] "r"(second), "r"(a2), "r"(a3), "r"(a4),
                       "r"(a5), "r"(a6), "r"(a7)
                     : "a0", "a1", "memory");
    return csr_read(time) - start;
}

/* Calls that have no arguments, so that nothing but the ecall is repeated. */
static uint64_t plain_run(uint64_t n, uint64_t ext, uint64_t fn)
{
    register uint64_t a0 __asm__("a0") = 0;
    register uint64_t a1 __asm__("a1") = 0;
    register uint64_t a6 __asm__("a6") = fn;
    register uint64_t a7 __asm__("a7") = ext;
    uint64_t start = csr_read(time);

    __asm__ volatile(LOOP("ecall")
                     : [n] "+r"(n), "+r"(a0), "+r"(a1)
                     : "r"(a6), "r"(a7)
                     : "memory");
    return csr_read(time) - start;
}

static uint64_t spec_version_run(uint64_t n)
{
    return plain_run(n, SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION);
}

static uint64_t null_run(uint64_t n)
{
    return plain_run(n, TG_BASE_EXT, 0);
}

static const char *null_missing(void)
{
    return sbi_present(TG_BASE_EXT) ? NULL : "there is no tg.base service";
}

/* So far away that it never comes. */
static uint64_t timer_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_TIME, SBI_TIME_SET_TIMER, UINT64_MAX, 0);
}

static const char *timer_missing(void)
{
    return sbi_present(SBI_EXT_TIME) ? NULL : "there is no SBI TIME extension";
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

static const char *block_missing(void)
{
    const char *why = console_missing();

    if (why)
        return why;
    return sbi_call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, WRITE_BYTES, (uintptr_t)text, 0)
                       .value == WRITE_BYTES
               ? NULL
               : "DBCN takes less than 4 KiB at once";
}

static uint64_t batch_run(uint64_t n, uint64_t count, const struct entry *batch)
{
    return calls_run(n, TG_MULTICALL_EXT, 0, count, (uintptr_t)batch);
}

/* One batch, whose every entry must succeed. */
static const char *batch_missing(struct entry *batch)
{
    struct sbi_ret ret;

    if (!sbi_present(TG_MULTICALL_EXT))
        return "there is no tg.multicall service";
    ret = sbi_call(TG_MULTICALL_EXT, 0, BATCH_CALLS, (uintptr_t)batch, 0);
    if (ret.error || ret.value != BATCH_CALLS)
        return "the batch was refused";
    for (unsigned i = 0; i < BATCH_CALLS; i++)
        if (batch[i].error)
            return "a call of the batch was refused";
    return NULL;
}

static const char *null_batch_missing(void)
{
    const char *why = null_missing();

    return why ? why : batch_missing(null_batch);
}

static const char *write_batch_missing(void)
{
    const char *why = console_missing();

    return why ? why : batch_missing(write_batch);
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
    uint64_t start = csr_read(time), value;

    __asm__ volatile(LOOP("lbu %[value], 5(%[uart])")
                     : [n] "+r"(n), [value] "=&r"(value)
                     : [uart] "r"(uart)
                     : "memory");
    return csr_read(time) - start;
}

static const char *device_missing(void)
{
    return uart ? NULL : "the device tree has no 16550 UART";
}

uint64_t user_null_run(uint64_t n); /* user.c */

void crossings_init(const void *dtb)
{
    csr_write(sie, 0);
    uart = fdt_device(dtb, "ns16550a");
    for (unsigned i = 0; i < WRITE_BYTES; i++)
        text[i] = i % 64 == 63 ? '\n' : '.';
    for (unsigned i = 0; i < BATCH_CALLS; i++) {
        null_batch[i] = (struct entry){.ext = TG_BASE_EXT};
        write_batch[i] = (struct entry){
            .ext = SBI_EXT_DBCN, .fn = SBI_DBCN_CONSOLE_WRITE, .arg = {1, (uintptr_t)text}
        };
    }
}

const struct crossing crossings[] = {
    {"function",                  function_run,     NULL,                1,           false},
    {"time",                      time_run,         NULL,                1,           false},
    {"user.ecall",                user_null_run,    user_missing,        1,           false},
    {"sbi.base.get_spec_version", spec_version_run, NULL,                1,           false},
    {"sbi.time.set_timer",        timer_run,        timer_missing,       1,           false},
    {"tg.base.null",              null_run,         null_missing,        1,           false},
    {"sbi.dbcn.write:1",          byte_run,         console_missing,     1,           true },
    {"sbi.dbcn.write:4096",       block_run,        block_missing,       WRITE_BYTES, true },
    {"tg.multicall:null:1",       batch_one_run,    null_batch_missing,  1,           false},
    {"tg.multicall:null:32",      batch_null_run,   null_batch_missing,  BATCH_CALLS, false},
    {"tg.multicall:write:32",     batch_write_run,  write_batch_missing, BATCH_CALLS, true },
    {"uart.lsr",                  device_run,       device_missing,      1,           false},
    {NULL,                        NULL,             NULL,                0,           false},
};
