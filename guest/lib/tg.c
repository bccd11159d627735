/* tg.c: Tollgate's own services for kernel guests. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/tg.h"

#include "guest/abi/stubs.h"
#include "guest/lib/csr.h"
#include "guest/lib/string.h"

/* Built with the numbers of a table that has no such calls yet, messages go nowhere. */
#ifndef TG_HAVE_TG_CONSOLE_WRITE

void tg_log(unsigned level, const char *text)
{
    (void)level;
    (void)text;
}

#else

void tg_print(const char *text)
{
    tg_console_print((uintptr_t)text, 0);
}

size_t tg_write(const void *bytes, size_t len)
{
    const char *at = bytes;
    size_t done = 0;

    while (done < len) {
        struct tg_ret ret = tg_console_write(len - done, (uintptr_t)(at + done), 0);

        if (ret.error || ret.value == 0 || ret.value > len - done)
            break;
        done += ret.value;
    }
    return done;
}

void tg_log(unsigned level, const char *text)
{
    tg_console_log(level, strlen(text), (uintptr_t)text, 0);
}

bool tg_random(void *buf, size_t len)
{
    uint8_t *at = buf;

    while (len) {
        struct tg_ret ret = tg_entropy_read(len, (uintptr_t)at, 0);

        if (ret.error || ret.value == 0 || ret.value > len)
            return false;
        at += ret.value;
        len -= ret.value;
    }
    return true;
}

const void *tg_time_page(void)
{
    struct tg_ret ret = tg_clock_page();

    return ret.error ? NULL : (const void *)ret.value;
}

/* A field of the page; the monitor may write it while we look. */
static uint32_t field32(const void *page, unsigned at)
{
    return *(const volatile uint32_t *)((uintptr_t)page + at);
}

static uint64_t field64(const void *page, unsigned at)
{
    return *(const volatile uint64_t *)((uintptr_t)page + at);
}

/* (a * b) >> shift, with a product of 128 bits; 0 <= shift < 64. */
static uint64_t scale(uint64_t a, uint64_t b, unsigned shift)
{
    uint64_t high, low = a * b;

    __asm__("mulhu %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return shift ? high << (64 - shift) | low >> shift : low;
}

/* The contract is in guest/abi/tg.h, at TG_CLOCK_PAGE_SEQUENCE. */
uint64_t tg_time(const void *page)
{
    uint32_t sequence;
    uint64_t ns;

    do {
        if (!page || field32(page, TG_CLOCK_PAGE_SOURCE) != TG_CLOCK_SOURCE_RDTIME)
            return tg_clock_now().value;
        sequence = field32(page, TG_CLOCK_PAGE_SEQUENCE);
        fence_all();
        ns = scale(csr_read(time) - field64(page, TG_CLOCK_PAGE_BASE_TICKS),
                   field64(page, TG_CLOCK_PAGE_MULTIPLIER), field32(page, TG_CLOCK_PAGE_SHIFT));
        ns += field64(page, TG_CLOCK_PAGE_BASE_NS);
        fence_all();
    } while (sequence % 2 || sequence != field32(page, TG_CLOCK_PAGE_SEQUENCE));
    return ns;
}

#endif
