/* tg_console.c: the paravirtual debug console: bytes, strings, log lines, input. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/tg_console.h"
#include "hypercalls/tg.h"
#include "vmm/call_error.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/vm.h"

/* What stands before the text of a log line, and the text when each byte is written \xNN. */
#define LOG_HEAD 64
#define LOG_LINE (LOG_HEAD + 4 * TG_LOG_MAX + 1)

#define NS_PER_US 1000u
#define US_PER_S  1000000u

struct tg_console {
    struct vm *vm;
    unsigned level; /* the least urgent that is shown */
    int fd;         /* of file=; -1: the console's own */
};

static const char *const level_names[TG_LOG_LEVELS] = {
    [TG_LOG_EMERG] = "emerg", [TG_LOG_ALERT] = "alert",     [TG_LOG_CRIT] = "crit",
    [TG_LOG_ERR] = "err",     [TG_LOG_WARNING] = "warning", [TG_LOG_NOTICE] = "notice",
    [TG_LOG_INFO] = "info",   [TG_LOG_DEBUG] = "debug",
};

/* One host write, whatever the length: a byte costs no more than the host's copy of it. */
static enum call_disp bytes_write(struct tg_console *tc, struct call *c, const void *buf,
                                  size_t len)
{
    int error = 0;
    size_t done = console_send(&tc->vm->console, tc->fd, buf, len, &error);

    return done == 0 && error < 0 ? call_host_failed(c, error) : tg_value(c, done);
}

static enum call_disp tg_console_write(void *self, struct hart *hart, struct call *c)
{
    (void)hart;
    return bytes_write(self, c, c->buf, c->buf_len);
}

/* The console that SBI's DBCN reads from: both are for who has no driver. */
static enum call_disp tg_console_read(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    return tg_value(c, console_read(&hart->vm->console, CONSOLE_SBI, c->buf, c->buf_len));
}

/*
 * Copies a string, without its end, page by page, since the one behind the end may be no RAM.
 * How many bytes, at most TG_PRINT_MAX; or -EFAULT.
 */
static ssize_t string_read(const struct mem *mem, gpa_t gpa, char *text)
{
    size_t len = 0;

    while (len < TG_PRINT_MAX) {
        size_t n = MEM_PAGE_SIZE - (size_t)(gpa + len) % MEM_PAGE_SIZE;
        const char *end;

        if (n > TG_PRINT_MAX - len)
            n = TG_PRINT_MAX - len;
        if (mem_read(mem, gpa + len, text + len, n) < 0)
            return -EFAULT;
        end = memchr(text + len, '\0', n);
        if (end)
            return end - text;
        len += n;
    }
    return (ssize_t)len;
}

static enum call_disp tg_console_print(void *self, struct hart *hart, struct call *c)
{
    char text[TG_PRINT_MAX];
    ssize_t len = c->arg[1] == 0 ? string_read(&hart->vm->mem, c->arg[0], text) : -EFAULT;

    return len < 0 ? tg_error(c, SBI_ERR_INVALID_PARAM)
                   : bytes_write(self, c, text, (size_t)len);
}

/* Time, hart and level of a line; as Linux's log has them. How many bytes. */
static size_t line_head(const struct hart *hart, uint64_t level, char *line)
{
    uint64_t us = clock_ticks(&hart->vm->clock) * CLOCK_NS_PER_TICK / NS_PER_US;
    int n = snprintf(line, LOG_HEAD,
                     "[%5llu.%06llu] hart%u %s: ", (unsigned long long)(us / US_PER_S),
                     (unsigned long long)(us % US_PER_S), hart->index, level_names[level]);

    return (size_t)n;
}

/* A text cannot pretend to be another line, or move a terminal's cursor. How many bytes. */
static size_t line_text(const uint8_t *text, size_t len, char *line)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if ((text[i] >= ' ' && text[i] != 0x7f) || text[i] == '\t') {
            line[n++] = (char)text[i];
        } else {
            line[n++] = '\\';
            line[n++] = 'x';
            line[n++] = digits[text[i] >> 4];
            line[n++] = digits[text[i] & 15];
        }
    }
    return n;
}

static enum call_disp tg_console_log(void *self, struct hart *hart, struct call *c)
{
    struct tg_console *tc = self;
    uint64_t level = c->arg[0];
    size_t taken = c->buf_len < TG_LOG_MAX ? c->buf_len : TG_LOG_MAX, len = taken, n;
    char line[LOG_LINE];
    int error = 0;

    if (level >= TG_LOG_LEVELS)
        return tg_error(c, SBI_ERR_INVALID_PARAM);
    if (level > tc->level)
        return tg_value(c, taken);
    if (len > 0 && c->buf[len - 1] == '\n')
        len--;
    n = line_head(hart, level, line);
    n += line_text(c->buf, len, line + n);
    line[n++] = '\n';
    console_send(&tc->vm->console, tc->fd, line, n, &error);
    return error < 0 ? call_host_failed(c, error) : tg_value(c, taken);
}

static int option_level(const struct module_instance *inst, unsigned *level, struct error *err)
{
    const char *text = module_option(inst, "level");

    *level = TG_LOG_DEBUG;
    if (!text)
        return 0;
    for (unsigned i = 0; i < TG_LOG_LEVELS; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = i;
            return 0;
        }
    }
    return error_set(err, STATUS_USAGE,
                     "--device tg-console: level='%.80s'; give emerg, alert, crit, err, "
                     "warning, notice, info or debug",
                     text);
}

static int tg_console_create(struct module_instance *inst, struct error *err)
{
    const char *path = module_option(inst, "file");
    struct tg_console *tc;
    unsigned level;
    int rc = option_level(inst, &level, err);

    if (rc != 0)
        return rc;
    tc = calloc(1, sizeof(*tc));
    if (!tc)
        return -ENOMEM;
    *tc = (struct tg_console){.vm = inst->vm, .level = level, .fd = -1};
    if (path) {
        tc->fd = host_output_open("--device tg-console: file", path, err);
        rc = tc->fd < 0 ? tc->fd : 0;
    }
    if (rc != 0) {
        free(tc);
        return rc;
    }
    inst->self = tc;
    return 0;
}

static void tg_console_destroy(void *self)
{
    struct tg_console *tc = self;

    if (tc->fd >= 0)
        host_output_close(tc->fd);
    free(tc);
}

static const struct module_key tg_console_keys[] = {
    {"level", "the least urgent level of log that is shown (default: debug, all)"},
    {"file",  "where its output goes, instead of standard output"                },
    {NULL,    NULL                                                               },
};

const struct module module_tg_console = {
    .name = "tg-console",
    .summary = "a debug console of one call: bytes, strings, log lines, input",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .keys = tg_console_keys,
    .calls = tg_console_calls,
    .ncalls = sizeof(tg_console_calls) / sizeof(tg_console_calls[0]),
    .create = tg_console_create,
    .destroy = tg_console_destroy,
};
