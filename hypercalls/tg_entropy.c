/* tg_entropy.c: random bytes from the host. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/tg.h"
#include "vmm/call_error.h"
#include "vmm/host.h"
#include "vmm/module.h"
#include "vmm/vm.h"

static enum call_disp tg_entropy_read(void *self, struct hart *hart, struct call *c)
{
    struct host *host = hart->vm->host;
    int rc = c->buf_len > 0 ? host->random(host, c->buf, c->buf_len) : 0;

    (void)self;
    return rc < 0 ? call_host_failed(c, rc) : tg_value(c, c->buf_len);
}

static const struct call_desc tg_entropy_calls[] = {
    {
     .name = "tg.entropy.read",
     .personality = CALL_TG,
     .ext = TG_EXT_ENTROPY,
     .fn = TG_ENTROPY_READ,
     .handler = tg_entropy_read,
     .effects = CALL_WRITES_MEM | CALL_READS_HOST,
     .buf_kind = CALL_BUF_OUT,
     .buf_len_arg = 0,
     },
};

const struct module module_tg_entropy = {
    .name = "tg-entropy",
    .summary = "random bytes of the host; in a deterministic run, of its seed",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .calls = tg_entropy_calls,
    .ncalls = sizeof(tg_entropy_calls) / sizeof(tg_entropy_calls[0]),
};
