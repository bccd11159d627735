/* sbi_dbcn.c: the SBI DBCN extension: a console for early messages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/calls/sbi_dbcn.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/*
 * SBI 3.0, section 12. The wrapper has checked and copied the buffers: a range that is not RAM
 * is INVALID_PARAM, a long one is cut to CALL_BUF_MAX, which is the partial transfer that
 * callers of DBCN expect.
 */

static enum call_disp sbi_dbcn_write(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    if (c->buf_len > 0)
        console_write(&hart->vm->console, c->buf, c->buf_len);
    return sbi_value(c, c->buf_len);
}

static enum call_disp sbi_dbcn_read(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    return sbi_value(c, console_read(&hart->vm->console, CONSOLE_SBI, c->buf, c->buf_len));
}

/*
 * The parameter is a uint8_t: what stands above is ignored. The console may gather bytes for
 * some milliseconds, so that a guest that prints byte by byte does not cost a system call each.
 */
static enum call_disp sbi_dbcn_write_byte(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    console_putc(&hart->vm->console, (uint8_t)c->arg[0]);
    return sbi_error(c, SBI_SUCCESS);
}

const struct module module_sbi_dbcn = {
    .name = "sbi-dbcn",
    .summary = "SBI DBCN: a console for early messages",
    .starts = MODULE_KERNEL,
    .calls = sbi_dbcn_calls,
    .ncalls = sizeof(sbi_dbcn_calls) / sizeof(sbi_dbcn_calls[0]),
};
