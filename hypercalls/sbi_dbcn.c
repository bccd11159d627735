/* sbi_dbcn.c: the SBI DBCN extension: a console for early messages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "hypercalls/sbi.h"
#include "vmm/module.h"

/*
 * SBI 3.0, section 12. The wrapper has checked and copied the buffers: a range that is not RAM
 * is INVALID_PARAM, a long one is cut to CALL_BUF_MAX, which is the partial transfer that
 * callers of DBCN expect.
 */

static enum call_disp dbcn_write(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    if (c->buf_len > 0)
        console_write(&hart->vm->console, c->buf, c->buf_len);
    return sbi_value(c, c->buf_len);
}

static enum call_disp dbcn_read(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    return sbi_value(c, console_read(&hart->vm->console, CONSOLE_SBI, c->buf, c->buf_len));
}

/*
 * The parameter is a uint8_t: what stands above is ignored. The console may gather bytes for
 * some milliseconds, so that a guest that prints byte by byte does not cost a system call each.
 */
static enum call_disp dbcn_write_byte(void *self, struct hart *hart, struct call *c)
{
    (void)self;
    console_putc(&hart->vm->console, (uint8_t)c->arg[0]);
    return sbi_error(c, SBI_SUCCESS);
}

static const struct call_desc dbcn_calls[] = {
    {
     .name = "sbi.dbcn.write",
     .personality = CALL_SBI,
     .ext = SBI_EXT_DBCN,
     .fn = SBI_DBCN_CONSOLE_WRITE,
     .handler = dbcn_write,
     .effects = CALL_WRITES_HOST,
     .buf_kind = CALL_BUF_IN,
     .buf_len_arg = 0,
     },
    {
     .name = "sbi.dbcn.read",
     .personality = CALL_SBI,
     .ext = SBI_EXT_DBCN,
     .fn = SBI_DBCN_CONSOLE_READ,
     .handler = dbcn_read,
     .effects = CALL_WRITES_MEM | CALL_READS_HOST,
     .buf_kind = CALL_BUF_OUT,
     .buf_len_arg = 0,
     },
    {
     .name = "sbi.dbcn.write_byte",
     .personality = CALL_SBI,
     .ext = SBI_EXT_DBCN,
     .fn = SBI_DBCN_CONSOLE_WRITE_BYTE,
     .handler = dbcn_write_byte,
     .effects = CALL_WRITES_HOST,
     },
};

const struct module module_sbi_dbcn = {
    .name = "sbi-dbcn",
    .summary = "SBI DBCN: a console for early messages",
    .starts = MODULE_KERNEL,
    .calls = dbcn_calls,
    .ncalls = sizeof(dbcn_calls) / sizeof(dbcn_calls[0]),
};
