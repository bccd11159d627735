/* snapshot_bytes.c: what states consist of: bytes, and numbers in little-endian order. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/snapshot.h"

#include <errno.h>
#include <string.h>

void state_put(struct state_writer *w, const void *data, size_t len)
{
    if (w->error == 0 && len > 0)
        w->write(w, data, len);
}

void state_put_u64(struct state_writer *w, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    state_put(w, bytes, sizeof(bytes));
}

void state_get(struct state_reader *r, void *data, size_t len)
{
    if (r->error == 0 && r->len < len)
        r->error = -EINVAL;
    if (len == 0)
        return;
    if (r->error != 0) {
        memset(data, 0, len);
        return;
    }
    memcpy(data, r->data, len);
    r->data += len;
    r->len -= len;
}

uint64_t state_get_u64(struct state_reader *r)
{
    uint8_t bytes[8];
    uint64_t value = 0;

    state_get(r, bytes, sizeof(bytes));
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint64_t state_get_max(struct state_reader *r, uint64_t max)
{
    uint64_t value = state_get_u64(r);

    if (value > max) {
        r->error = -EINVAL;
        value = 0;
    }
    return value;
}
