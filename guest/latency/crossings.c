/* crossings.c: every way of crossing that the probe measures, as a loop. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/calls.h"

#include "guest/abi/platform.h"
#include "guest/abi/sbi.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/sbi.h"

#define UART_LSR 5

static uintptr_t uart;

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

/* A reply takes a0 and a1. */
uint64_t calls_run(uint64_t n, uint64_t ext, uint64_t fn, uint64_t first, uint64_t second)
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

/* Nothing but the ecall is repeated. */
uint64_t plain_run(uint64_t n, uint64_t ext, uint64_t fn)
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

/* So far away that it never comes. */
static uint64_t timer_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_TIME, SBI_TIME_SET_TIMER, UINT64_MAX, 0);
}

static const char *timer_missing(void)
{
    return sbi_present(SBI_EXT_TIME) ? NULL : "there is no SBI TIME extension";
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
    calls_init();
}

const struct crossing crossings[] = {
    {"function",                  function_run,     NULL,                1,           false},
    {"time",                      time_run,         NULL,                1,           false},
    {"user.ecall",                user_null_run,    user_missing,        1,           false},
    {"sbi.base.get_spec_version", spec_version_run, NULL,                1,           false},
    {"sbi.time.set_timer",        timer_run,        timer_missing,       1,           false},
    {"tg.base.null",              null_run,         null_missing,        1,           false},
    {"sbi.dbcn.write:1",          byte_run,         console_missing,     1,           true },
    {"sbi.dbcn.write:4096",       block_run,        block_missing,       CALLS_BLOCK, true },
    {"tg.multicall:null:1",       batch_one_run,    null_batch_missing,  1,           false},
    {"tg.multicall:null:32",      batch_null_run,   null_batch_missing,  CALLS_BATCH, false},
    {"tg.multicall:write:32",     batch_write_run,  write_batch_missing, CALLS_BATCH, true },
    {"uart.lsr",                  device_run,       device_missing,      1,           false},
    {NULL,                        NULL,             NULL,                0,           false},
};
