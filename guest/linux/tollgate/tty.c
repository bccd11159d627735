/* tty.c: the terminal ttyTG0 over tg.console, and the console of kernel messages on it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "module.h"
#include <linux/console.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/tty.h>
#include <linux/tty_driver.h>
#include <linux/tty_flip.h>
#include <linux/workqueue.h>
#include "guest/abi/tg.h"

/* tg.console has no interrupt: what is typed is asked for, as Linux's hvc does. */
#define POLL_PERIOD (HZ / 50)

static const unsigned long no_args[6];

/* The terminal of this machine: there is one, and so are its pages, which a call can name. */
static struct tollgate_tty {
    struct tty_port port;
    struct tty_driver *driver;
    struct delayed_work poll;
    spinlock_t lock; /* of write_page: writes come from any context */
    char *write_page;
    char *read_page;    /* of the poll, which is never run twice at a time */
    char *console_page; /* of the console, which printk calls once at a time */
} tollgate_tty;

/* Through a page, because the bytes may lie in memory that is not contiguous. */
static ssize_t page_write(char *page, const u8 *bytes, size_t count)
{
    size_t n = min_t(size_t, count, PAGE_SIZE);
    struct sbiret ret;
    int rc;

    memcpy(page, bytes, n);
    ret = tollgate_call_buffer(TG_EXT_CONSOLE, TG_CONSOLE_WRITE, no_args, 0, page, n);
    rc = tollgate_errno(ret);
    return rc ? rc : min_t(ssize_t, ret.value, n);
}

static ssize_t tty_op_write(struct tty_struct *tty, const u8 *bytes, size_t count)
{
    struct tollgate_tty *tg = tty->driver_data;
    size_t done = 0;
    ssize_t n = 0;

    while (done < count) {
        unsigned long flags;

        spin_lock_irqsave(&tg->lock, flags);
        n = page_write(tg->write_page, bytes + done, count - done);
        spin_unlock_irqrestore(&tg->lock, flags);
        if (n <= 0)
            break;
        done += n;
    }
    return done ? done : n;
}

/* Nothing waits in the guest: the host takes it all, or what it leaves is told. */
static unsigned int tty_op_write_room(struct tty_struct *tty)
{
    return PAGE_SIZE;
}

static int tty_op_install(struct tty_driver *driver, struct tty_struct *tty)
{
    tty->driver_data = driver->driver_state;
    return tty_port_install(&tollgate_tty.port, driver, tty);
}

static int tty_op_open(struct tty_struct *tty, struct file *file)
{
    return tty_port_open(tty->port, tty, file);
}

static void tty_op_close(struct tty_struct *tty, struct file *file)
{
    tty_port_close(tty->port, tty, file);
}

static void tty_op_hangup(struct tty_struct *tty)
{
    tty_port_hangup(tty->port);
}

static const struct tty_operations tty_operations = {
    .install = tty_op_install,
    .open = tty_op_open,
    .close = tty_op_close,
    .hangup = tty_op_hangup,
    .write = tty_op_write,
    .write_room = tty_op_write_room,
};

/*
 * Takes no more than the terminal has room for: the rest stays with the monitor. A monitor that
 * refuses is not asked again until the next open.
 */
static void tty_poll(struct work_struct *work)
{
    struct tollgate_tty *tg = container_of(work, struct tollgate_tty, poll.work);
    size_t room = tty_buffer_request_room(&tg->port, PAGE_SIZE);

    if (room > 0) {
        struct sbiret ret = tollgate_call_buffer(TG_EXT_CONSOLE, TG_CONSOLE_READ, no_args, 0,
                                                 tg->read_page, min_t(size_t, room, PAGE_SIZE));
        int rc = tollgate_errno(ret);

        if (rc) {
            pr_warn("ttyTG0 has no input: tg.console.read fails with %d\n", rc);
            return;
        }
        if (ret.value > 0 && ret.value <= PAGE_SIZE) {
            tty_insert_flip_string(&tg->port, tg->read_page, ret.value);
            tty_flip_buffer_push(&tg->port);
        }
    }
    schedule_delayed_work(&tg->poll, POLL_PERIOD);
}

static int port_activate(struct tty_port *port, struct tty_struct *tty)
{
    schedule_delayed_work(&tollgate_tty.poll, 0);
    return 0;
}

static void port_shutdown(struct tty_port *port)
{
    cancel_delayed_work_sync(&tollgate_tty.poll);
}

static const struct tty_port_operations port_operations = {
    .activate = port_activate,
    .shutdown = port_shutdown,
};

/* Line ends as terminals want them, page by page; what the host does not take is lost. */
static void console_op_write(struct console *con, const char *text, unsigned int count)
{
    char *page = tollgate_tty.console_page;
    unsigned int at = 0;

    while (at < count) {
        size_t n = 0;

        while (at < count && n < PAGE_SIZE - 1) {
            if (text[at] == '\n')
                page[n++] = '\r';
            page[n++] = text[at++];
        }
        tollgate_call_buffer(TG_EXT_CONSOLE, TG_CONSOLE_WRITE, no_args, 0, page, n);
    }
}

static struct tty_driver *console_op_device(struct console *con, int *index)
{
    *index = 0;
    return tollgate_tty.driver;
}

static struct console tollgate_console = {
    .name = "ttyTG",
    .index = 0,
    .write = console_op_write,
    .device = console_op_device,
};

static int terminal_add(struct tollgate_tty *tg)
{
    struct tty_driver *driver =
        tty_alloc_driver(1, TTY_DRIVER_RESET_TERMIOS | TTY_DRIVER_REAL_RAW);
    int rc;

    if (IS_ERR(driver))
        return PTR_ERR(driver);
    driver->driver_name = "tollgate";
    driver->name = "ttyTG";
    driver->type = TTY_DRIVER_TYPE_SYSTEM;
    driver->init_termios = tty_std_termios;
    driver->driver_state = tg;
    tty_set_operations(driver, &tty_operations);
    tty_port_link_device(&tg->port, driver, 0);
    rc = tty_register_driver(driver);
    if (rc) {
        tty_driver_kref_put(driver);
        return rc;
    }
    tg->driver = driver;
    return 0;
}

static void pages_free(struct tollgate_tty *tg)
{
    free_page((unsigned long)tg->write_page);
    free_page((unsigned long)tg->read_page);
    free_page((unsigned long)tg->console_page);
}

int tollgate_tty_init(bool console)
{
    struct tollgate_tty *tg = &tollgate_tty;
    int rc = -ENOMEM;

    tg->write_page = (char *)__get_free_page(GFP_KERNEL);
    tg->read_page = (char *)__get_free_page(GFP_KERNEL);
    tg->console_page = (char *)__get_free_page(GFP_KERNEL);
    if (!tg->write_page || !tg->read_page || !tg->console_page)
        goto no_pages;
    spin_lock_init(&tg->lock);
    INIT_DELAYED_WORK(&tg->poll, tty_poll);
    tty_port_init(&tg->port);
    tg->port.ops = &port_operations;
    rc = terminal_add(tg);
    if (rc)
        goto no_driver;
    /* Otherwise it is one only where the kernel's command line names it. */
    if (console)
        tollgate_console.flags |= CON_ENABLED;
    register_console(&tollgate_console);
    return 0;

no_driver:
    tty_port_destroy(&tg->port);
no_pages:
    pages_free(tg);
    return rc;
}

/* The module is not in use here, so the terminal is open nowhere. */
void tollgate_tty_exit(void)
{
    struct tollgate_tty *tg = &tollgate_tty;

    unregister_console(&tollgate_console);
    tty_unregister_driver(tg->driver);
    tty_driver_kref_put(tg->driver);
    cancel_delayed_work_sync(&tg->poll);
    tty_port_destroy(&tg->port);
    pages_free(tg);
}
