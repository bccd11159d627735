/* print.c: text to and from the guest's console. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/lib/print.h"

#include <stdbool.h>
#include <stdint.h>
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/sbi.h"

/* Registers of a 16550 UART. */
#define UART_DATA      0
#define UART_LSR       5
#define UART_LSR_READY 0x01
#define UART_LSR_EMPTY 0x20

/* The ways out, found once before other harts run. */
static struct {
    bool dbcn, legacy;
    volatile uint8_t *uart;
    unsigned lock;
} console;

void print_init(const void *dtb)
{
    console.dbcn = sbi_present(SBI_EXT_DBCN);
    console.legacy = sbi_present(SBI_EXT_LEGACY_CONSOLE_PUTCHAR);
    console.uart = (volatile uint8_t *)fdt_device(dtb, "ns16550a");
}

static void char_write(char c)
{
    if (console.legacy) {
        sbi_call(SBI_EXT_LEGACY_CONSOLE_PUTCHAR, 0, (uint8_t)c, 0, 0);
    } else if (console.uart) {
        while (!(console.uart[UART_LSR] & UART_LSR_EMPTY))
            ;
        console.uart[UART_DATA] = (uint8_t)c;
    }
}

/* DBCN may take fewer bytes than it was given (SBI 2.0, section 12.1). */
static void text_write(const char *text, size_t len)
{
    while (console.dbcn && len) {
        struct sbi_ret ret =
            sbi_call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, len, (uintptr_t)text, 0);

        if (ret.error || ret.value > len)
            break;
        text += ret.value;
        len -= ret.value;
    }
    for (; len; len--)
        char_write(*text++);
}

void print_flush(void)
{
    struct hart_local *self = hart_self();

    while (__atomic_exchange_n(&console.lock, 1, __ATOMIC_ACQUIRE))
        ;
    text_write(self->line, self->line_len);
    __atomic_store_n(&console.lock, 0, __ATOMIC_RELEASE);
    self->line_len = 0;
}

static void print_char(char c)
{
    struct hart_local *self = hart_self();

    self->line[self->line_len++] = c;
    if (c == '\n' || self->line_len == PRINT_LINE)
        print_flush();
}

static void print_string(const char *s)
{
    while (*s)
        print_char(*s++);
}

static void print_number(uint64_t value, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        print_char(digits[--n]);
}

static void print_signed(int64_t value)
{
    if (value < 0)
        print_char('-');
    print_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10);
}

void print_va(const char *fmt, va_list ap)
{
    for (; *fmt; fmt++) {
        bool wide;

        if (*fmt != '%') {
            print_char(*fmt);
            continue;
        }
        wide = *++fmt == 'l';
        fmt += wide;
        switch (*fmt) {
        case 'd': print_signed(wide ? va_arg(ap, long) : va_arg(ap, int)); break;
        case 'u':
            print_number(wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 10);
            break;
        case 'x':
            print_number(wide ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 16);
            break;
        case 's': print_string(va_arg(ap, const char *)); break;
        case 'c': print_char((char)va_arg(ap, int)); break;
        case '\0': return;
        default: print_char(*fmt); break;
        }
    }
}

void print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_va(fmt, ap);
    va_end(ap);
}

/* Which console gets the user's input is the monitor's choice, so all of them are asked. */
int console_getchar(void)
{
    uint8_t byte;

    if (console.dbcn) {
        struct sbi_ret ret =
            sbi_call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_READ, 1, (uintptr_t)&byte, 0);

        if (!ret.error && ret.value == 1)
            return *(volatile uint8_t *)&byte;
    } else if (console.legacy) {
        int64_t c = sbi_call(SBI_EXT_LEGACY_CONSOLE_GETCHAR, 0, 0, 0, 0).error;

        if (c >= 0)
            return (int)(c & 0xff);
    }
    if (console.uart && (console.uart[UART_LSR] & UART_LSR_READY))
        return console.uart[UART_DATA];
    return -1;
}
