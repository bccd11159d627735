/* tg_entropy.c: random bytes from the host. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/tg_entropy.h"
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

const struct module module_tg_entropy = {
    .name = "tg-entropy",
    .summary = "random bytes of the host; in a deterministic run, of its seed",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .calls = tg_entropy_calls,
    .ncalls = sizeof(tg_entropy_calls) / sizeof(tg_entropy_calls[0]),
};
