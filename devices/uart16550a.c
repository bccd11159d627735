/* uart16550a.c: the serial port: a 16550A UART with FIFOs, interrupts and loopback. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/console.h"
#include "vmm/error.h"
#include "vmm/fdt.h"
#include "vmm/irq.h"
#include "vmm/vm.h"
#include "vmm/acpi.h"

/*
 * Source: National Semiconductor PC16550D data sheet (1995), section 8 "Registers".
 *
 * The line has no speed: a byte written to THR is sent at once, so THR is always empty and the
 * transmit FIFO never holds anything. The receive FIFO is a window on the head of the console's
 * queue: a byte that the guest has not read is still on the wire. So clearing the FIFO, as
 * drivers do when they start, never loses what the user typed, and there is no overrun except
 * in loopback.
 *
 * An access of any size reaches the one register at its offset, in its low byte, as on QEMU.
 */
#define UART_CLOCK_HZ 3686400
#define UART_FIFO     16u

enum uart_reg {
    REG_DATA = 0, /* RBR, THR; DLL with DLAB */
    REG_IER = 1,  /* DLM with DLAB */
    REG_IIR = 2,  /* FCR when written */
    REG_LCR = 3,
    REG_MCR = 4,
    REG_LSR = 5,
    REG_MSR = 6,
    REG_SCR = 7,
};

#define IER_RDI  0x01 /* received data, time-out */
#define IER_THRI 0x02 /* transmitter holding register empty */
#define IER_RLSI 0x04 /* receiver line status */
#define IER_MSI  0x08 /* modem status */
#define IER_MASK 0x0f

#define IIR_NONE    0x01
#define IIR_MSI     0x00
#define IIR_THRI    0x02
#define IIR_RDI     0x04
#define IIR_RLSI    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0 /* FIFOs are on */

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_TRIGGER  6 /* shift of the receive trigger level */

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DR   0x01
#define LSR_OE   0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

#define MSR_DCTS  0x01
#define MSR_DDSR  0x02
#define MSR_TERI  0x04
#define MSR_DDCD  0x08
#define MSR_DELTA 0x0f
#define MSR_CTS   0x10
#define MSR_DSR   0x20
#define MSR_RI    0x40
#define MSR_DCD   0x80

/* Polls of LSR after which a guest that takes no interrupts is believed to be a receiver. */
#define UART_POLLS 2u

struct uart {
    struct vm *vm;
    pthread_mutex_t lock; /* order: before the console's and the interrupt controller's */
    uint8_t ier, lcr, mcr, scr, dll, dlm, msr;
    uint8_t trigger; /* bytes */
    bool fifo_on;
    bool overrun;
    bool thre;      /* the transmitter interrupt is pending */
    bool line;      /* what the interrupt controller was last told */
    unsigned polls; /* see uart_receives */
    /* What LSR reads as while reading it changes nothing, for uart_glance; else 0. */
    _Atomic uint8_t still_lsr;
    /* What came through the loopback. */
    uint8_t fifo[UART_FIFO];
    unsigned head, count;
};

/*
 * Is the guest ready to take a byte off the line? Linux reads RBR a few times while it starts
 * and closes a port, to clear it, and would swallow input that was piped in. So a byte arrives
 * only when the receive interrupt is on, or when LSR was polled twice since the port was
 * programmed.
 */
static bool uart_receives(const struct uart *uart)
{
    if (uart->mcr & MCR_LOOP)
        return false;
    return (uart->ier & IER_RDI) || uart->polls >= UART_POLLS;
}

/* Bytes in the receive FIFO. */
static size_t uart_available(const struct uart *uart)
{
    size_t n = uart->count;

    if (n == 0 && uart_receives(uart))
        n = console_pending(&uart->vm->console, CONSOLE_SERIAL);
    return n;
}

/* The interrupt of the highest priority (data sheet, table IV), without the FIFO bits. */
static uint8_t uart_interrupt(const struct uart *uart)
{
    if ((uart->ier & IER_RLSI) && uart->overrun)
        return IIR_RLSI;
    if (uart->ier & IER_RDI) {
        size_t n = uart_available(uart);
        if (n >= uart->trigger)
            return IIR_RDI;
        /* Nothing else is on its way: the four character times have passed. */
        if (n > 0)
            return IIR_TIMEOUT;
    }
    if ((uart->ier & IER_THRI) && uart->thre)
        return IIR_THRI;
    if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTA))
        return IIR_MSI;
    return IIR_NONE;
}

/* Input that comes leads to uart_ready, and only accesses take it away. */
static void still_update(struct uart *uart)
{
    uint8_t value = 0;

    if (uart->polls >= UART_POLLS && !uart->overrun)
        value = LSR_THRE | LSR_TEMT | (uart_available(uart) > 0 ? LSR_DR : 0);
    atomic_store_explicit(&uart->still_lsr, value, memory_order_release);
}

static bool uart_glance(void *self, uint64_t offset, unsigned size, uint64_t *value)
{
    struct uart *uart = self;
    (void)size;

    if (offset != REG_LSR)
        return false;
    *value = atomic_load_explicit(&uart->still_lsr, memory_order_acquire);
    return *value != 0;
}

static void uart_update(struct uart *uart)
{
    bool line = uart_interrupt(uart) != IIR_NONE;

    still_update(uart);

    if (line != uart->line) {
        uart->line = line;
        irq_set(uart->vm, vm_arch(uart->vm)->uart_irq, line);
    }
}

/* Input has arrived at the console. */
static void uart_ready(void *self, uint64_t arg)
{
    struct uart *uart = self;
    (void)arg;

    pthread_mutex_lock(&uart->lock);
    uart_update(uart);
    pthread_mutex_unlock(&uart->lock);
}

static void loop_put(struct uart *uart, uint8_t byte)
{
    unsigned room = uart->fifo_on ? UART_FIFO : 1;

    if (uart->count >= room) {
        uart->overrun = true;
        /* Without FIFO the byte that was not read is destroyed; with it, the one in the
         * shifter. */
        if (!uart->fifo_on)
            uart->fifo[uart->head] = byte;
        return;
    }
    uart->fifo[(uart->head + uart->count) % UART_FIFO] = byte;
    uart->count++;
}

static uint8_t uart_receive(struct uart *uart)
{
    uint8_t byte = 0;

    if (uart->count > 0) {
        byte = uart->fifo[uart->head];
        uart->head = (uart->head + 1) % UART_FIFO;
        uart->count--;
    } else if (uart_receives(uart)) {
        console_read(&uart->vm->console, CONSOLE_SERIAL, &byte, 1);
    }
    return byte;
}

static void uart_transmit(struct uart *uart, uint8_t byte)
{
    if (uart->mcr & MCR_LOOP)
        loop_put(uart, byte);
    else
        console_putc(&uart->vm->console, byte);
    /* THR was full for no time at all, and is empty again. */
    uart->thre = true;
}

/* The modem's lines: a terminal that is always there, or in loopback our own outputs. */
static uint8_t modem_lines(const struct uart *uart)
{
    if (!(uart->mcr & MCR_LOOP))
        return MSR_DCD | MSR_DSR | MSR_CTS;
    return (uint8_t)((uart->mcr & MCR_RTS ? MSR_CTS : 0) | (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
                     (uart->mcr & MCR_OUT1 ? MSR_RI : 0) |
                     (uart->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void uart_set_mcr(struct uart *uart, uint8_t value)
{
    uart->mcr = value & MCR_MASK;
    uint8_t lines = modem_lines(uart);
    uint8_t changed = lines ^ uart->msr;
    uint8_t delta = uart->msr & MSR_DELTA;
    if (changed & MSR_CTS)
        delta |= MSR_DCTS;
    if (changed & MSR_DSR)
        delta |= MSR_DDSR;
    if ((changed & MSR_RI) && !(lines & MSR_RI))
        delta |= MSR_TERI;
    if (changed & MSR_DCD)
        delta |= MSR_DDCD;
    uart->msr = lines | delta;
}

static void uart_set_fcr(struct uart *uart, uint8_t value)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};
    bool on = value & FCR_ENABLE;

    /* Switching the FIFOs on or off empties them; the other bits count only with them on. */
    if (on != uart->fifo_on || (on && (value & FCR_CLEAR_RX)))
        uart->count = 0;
    uart->fifo_on = on;
    uart->trigger = on ? levels[value >> FCR_TRIGGER] : 1;
}

static void uart_set_ier(struct uart *uart, uint8_t value)
{
    /* Enabling the transmitter interrupt while THR is empty raises it. */
    if ((value & IER_THRI) && !(uart->ier & IER_THRI))
        uart->thre = true;
    uart->ier = value & IER_MASK;
}

static uint8_t read_iir(struct uart *uart)
{
    uint8_t id = uart_interrupt(uart);

    if (id == IIR_THRI)
        uart->thre = false;
    return uart->fifo_on ? id | IIR_FIFO : id;
}

static uint8_t read_lsr(struct uart *uart)
{
    if (uart->polls < UART_POLLS)
        uart->polls++;
    uint8_t value = LSR_THRE | LSR_TEMT;
    if (uart_available(uart) > 0)
        value |= LSR_DR;
    if (uart->overrun)
        value |= LSR_OE;
    uart->overrun = false;
    return value;
}

static uint8_t read_msr(struct uart *uart)
{
    uint8_t value = uart->msr;

    uart->msr &= (uint8_t)~MSR_DELTA;
    return value;
}

static uint64_t uart_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct uart *uart = self;
    bool dlab = uart->lcr & LCR_DLAB;
    uint8_t value = 0;
    (void)hart;
    (void)size;

    switch (offset) {
    case REG_DATA: value = dlab ? uart->dll : uart_receive(uart); break;
    case REG_IER: value = dlab ? uart->dlm : uart->ier; break;
    case REG_IIR: value = read_iir(uart); break;
    case REG_LCR: value = uart->lcr; break;
    case REG_MCR: value = uart->mcr; break;
    case REG_LSR: value = read_lsr(uart); break;
    case REG_MSR: value = read_msr(uart); break;
    case REG_SCR: value = uart->scr; break;
    default: break; /* the rest of the window is empty */
    }
    uart_update(uart);
    return value;
}

static void uart_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                       uint64_t data)
{
    struct uart *uart = self;
    bool dlab = uart->lcr & LCR_DLAB;
    uint8_t value = (uint8_t)data;
    (void)hart;
    (void)size;

    if (offset >= REG_IER && offset <= REG_MCR)
        uart->polls = 0;
    switch (offset) {
    case REG_DATA:
        if (dlab)
            uart->dll = value;
        else
            uart_transmit(uart, value);
        break;
    case REG_IER:
        if (dlab)
            uart->dlm = value;
        else
            uart_set_ier(uart, value);
        break;
    case REG_IIR: uart_set_fcr(uart, value); break;
    case REG_LCR: uart->lcr = value; break;
    case REG_MCR: uart_set_mcr(uart, value); break;
    case REG_SCR: uart->scr = value; break;
    default: break; /* LSR and MSR are read-only */
    }
    uart_update(uart);
}

static const struct bus_ops uart_ops = {
    .read = uart_read,
    .write = uart_write,
    .glance = uart_glance,
    .sizes = BUS_ANY_SIZE,
};

/* The state after master reset (data sheet, table I). */
static void uart_clear(struct uart *uart)
{
    uart->ier = uart->lcr = uart->mcr = uart->scr = uart->dll = uart->dlm = 0;
    uart->msr = modem_lines(uart);
    uart->trigger = 1;
    uart->fifo_on = uart->overrun = uart->thre = false;
    uart->polls = uart->head = uart->count = 0;
}

static void uart_reset(void *self)
{
    struct uart *uart = self;

    pthread_mutex_lock(&uart->lock);
    uart_clear(uart);
    uart_update(uart);
    pthread_mutex_unlock(&uart->lock);
}

static void uart_save(void *self, struct state_writer *w)
{
    struct uart *uart = self;
    uint8_t fifo[UART_FIFO] = {0};

    pthread_mutex_lock(&uart->lock);
    const uint8_t regs[] = {uart->ier, uart->lcr, uart->mcr, uart->scr,
                            uart->dll, uart->dlm, uart->msr, uart->trigger};
    for (unsigned i = 0; i < uart->count; i++)
        fifo[i] = uart->fifo[(uart->head + i) % UART_FIFO];
    state_put(w, regs, sizeof(regs));
    state_put_u64(w, uart->fifo_on);
    state_put_u64(w, uart->overrun);
    state_put_u64(w, uart->thre);
    state_put_u64(w, uart->polls);
    state_put_u64(w, uart->count);
    state_put(w, fifo, sizeof(fifo));
    pthread_mutex_unlock(&uart->lock);
}

static bool uart_legal(const struct uart *uart)
{
    bool level =
        uart->trigger == 1 || uart->trigger == 4 || uart->trigger == 8 || uart->trigger == 14;

    return level && uart->ier <= IER_MASK && uart->mcr <= MCR_MASK &&
           (uart->fifo_on || (uart->count <= 1 && uart->trigger == 1));
}

/* The line is driven anew from what was loaded. */
static void uart_load(void *self, struct state_reader *r)
{
    struct uart *uart = self;
    uint8_t regs[8];

    pthread_mutex_lock(&uart->lock);
    uart_clear(uart);
    state_get(r, regs, sizeof(regs));
    uart->ier = regs[0];
    uart->lcr = regs[1];
    uart->mcr = regs[2];
    uart->scr = regs[3];
    uart->dll = regs[4];
    uart->dlm = regs[5];
    uart->msr = regs[6];
    uart->trigger = regs[7];
    uart->fifo_on = state_get_max(r, 1);
    uart->overrun = state_get_max(r, 1);
    uart->thre = state_get_max(r, 1);
    uart->polls = (unsigned)state_get_max(r, UART_POLLS);
    uart->count = (unsigned)state_get_max(r, UART_FIFO);
    state_get(r, uart->fifo, sizeof(uart->fifo));
    if (r->error == 0 && !uart_legal(uart))
        r->error = -EINVAL;
    if (r->error != 0)
        uart_clear(uart);
    uart->line = uart_interrupt(uart) != IIR_NONE;
    atomic_store(&uart->still_lsr, 0); /* the console may be loaded later */
    irq_set(uart->vm, vm_arch(uart->vm)->uart_irq, uart->line);
    pthread_mutex_unlock(&uart->lock);
}

static void uart_destroy(void *self)
{
    struct uart *uart = self;

    console_on_ready(&uart->vm->console, CONSOLE_SERIAL, NULL, NULL);
    pthread_mutex_destroy(&uart->lock);
    free(uart);
}

static int uart_create(struct module_instance *inst, struct error *err)
{
    struct uart *uart = calloc(1, sizeof(*uart));
    if (!uart) {
        error_set(err, STATUS_OS, "uart16550a: out of memory");
        return -ENOMEM;
    }
    uart->vm = inst->vm;
    pthread_mutex_init(&uart->lock, NULL);
    uart_clear(uart);

    const struct bus_claim claim = {
        .gpa = vm_arch(inst->vm)->uart,
        .size = vm_arch(inst->vm)->uart_size,
        .ops = &uart_ops,
        .self = uart,
        .lock = &uart->lock,
        .owner = "uart16550a",
    };
    int rc = bus_claim(inst->vm, &claim, err);
    if (rc == 0)
        rc = irq_claim(inst->vm, vm_arch(inst->vm)->uart_irq, "uart16550a", err);
    if (rc < 0) {
        uart_destroy(uart);
        return rc;
    }
    console_on_ready(&inst->vm->console, CONSOLE_SERIAL, uart_ready, uart);
    inst->self = uart;
    return 0;
}

static int uart_fdt(void *self, struct fdt_builder *fdt)
{
    (void)self;
    fdtb_begin(fdt, "serial@%x", PLAT_UART_BASE);
    fdtb_string(fdt, "compatible", "ns16550a");
    fdtb_reg(fdt, PLAT_UART_BASE, PLAT_UART_SIZE);
    fdtb_u32(fdt, "clock-frequency", UART_CLOCK_HZ);
    fdtb_irq(fdt, PLAT_UART_IRQ);
    fdtb_end(fdt);
    return 0;
}

/* PNP0501: a 16550A compatible port (ACPI device IDs, "Legacy Devices and IDs"). */
static void uart_acpi(void *self, struct acpi_builder *acpi)
{
    const struct uart *uart = self;
    const struct arch *arch = vm_arch(uart->vm);

    acpi_device(acpi, &(struct acpi_device){.hid = "PNP0501",
                                            .gpa = arch->uart,
                                            .size = (uint32_t)arch->uart_size,
                                            .irq = arch->uart_irq});
}

const struct module module_uart16550a = {
    .name = "uart16550a",
    .summary = "serial port (16550A UART)",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .create = uart_create,
    .reset = uart_reset,
    .destroy = uart_destroy,
    .save = uart_save,
    .load = uart_load,
    .fdt = uart_fdt,
    .acpi = uart_acpi,
};
