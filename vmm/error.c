/* error.c: start-up errors, kept as one line of text. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, enum tg_status status, const char *fmt, ...)
{
    if (err->text[0] != '\0')
        return -EINVAL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    err->status = status;
    /* Names come from the command line and from files: they stay on one line, without escapes.
     */
    for (char *c = err->text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return -EINVAL;
}
