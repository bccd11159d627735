/* calls.c: the crossings that are calls to the monitor, the same for every architecture. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/latency/calls.h"

#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/lib/sbi.h"

#define BATCH_CALLS CALLS_BATCH

/* An entry of a batch. */
struct entry {
    uint64_t ext, fn, arg[6];
    int64_t error;
    uint64_t value;
};

_Static_assert(sizeof(struct entry) == 80, "the multicall's contract");

static struct entry null_batch[BATCH_CALLS], write_batch[BATCH_CALLS];
static char text[CALLS_BLOCK] __attribute__((aligned(CALLS_BLOCK)));

void calls_init(void)
{
    for (unsigned i = 0; i < CALLS_BLOCK; i++)
        text[i] = i % 64 == 63 ? '\n' : '.';
    for (unsigned i = 0; i < BATCH_CALLS; i++) {
        null_batch[i] = (struct entry){.ext = TG_EXT_BASE, .fn = TG_BASE_NULL};
        write_batch[i] = (struct entry){
            .ext = SBI_EXT_DBCN, .fn = SBI_DBCN_CONSOLE_WRITE, .arg = {1, (uintptr_t)text}
        };
    }
}

uint64_t spec_version_run(uint64_t n)
{
    return plain_run(n, SBI_EXT_BASE, SBI_BASE_GET_SPEC_VERSION);
}

const char *base_missing(void)
{
    return sbi_present(SBI_EXT_BASE) ? NULL : "there is no SBI Base extension";
}

uint64_t null_run(uint64_t n)
{
    return plain_run(n, TG_EXT_BASE, TG_BASE_NULL);
}

const char *null_missing(void)
{
    return sbi_present(TG_EXT_BASE) ? NULL : "there is no tg.base service";
}

uint64_t byte_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, 1, (uintptr_t)text);
}

uint64_t block_run(uint64_t n)
{
    return calls_run(n, SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, CALLS_BLOCK, (uintptr_t)text);
}

const char *console_missing(void)
{
    return sbi_present(SBI_EXT_DBCN) ? NULL : "there is no SBI DBCN extension";
}

const char *block_missing(void)
{
    const char *why = console_missing();

    if (why)
        return why;
    return sbi_call(SBI_EXT_DBCN, SBI_DBCN_CONSOLE_WRITE, CALLS_BLOCK, (uintptr_t)text, 0)
                       .value == CALLS_BLOCK
               ? NULL
               : "DBCN takes less than 4 KiB at once";
}

static uint64_t batch_run(uint64_t n, uint64_t count, const struct entry *batch)
{
    return calls_run(n, TG_EXT_MULTICALL, TG_MULTICALL_RUN, count, (uintptr_t)batch);
}

/* One batch, whose every entry must succeed. */
static const char *batch_missing(struct entry *batch)
{
    struct sbi_ret ret;

    if (!sbi_present(TG_EXT_MULTICALL))
        return "there is no tg.multicall service";
    ret = sbi_call(TG_EXT_MULTICALL, TG_MULTICALL_RUN, BATCH_CALLS, (uintptr_t)batch, 0);
    if (ret.error || ret.value != BATCH_CALLS)
        return "the batch was refused";
    for (unsigned i = 0; i < BATCH_CALLS; i++)
        if (batch[i].error)
            return "a call of the batch was refused";
    return NULL;
}

const char *null_batch_missing(void)
{
    const char *why = null_missing();

    return why ? why : batch_missing(null_batch);
}

const char *write_batch_missing(void)
{
    const char *why = console_missing();

    return why ? why : batch_missing(write_batch);
}

uint64_t batch_one_run(uint64_t n)
{
    return batch_run(n, 1, null_batch);
}

uint64_t batch_null_run(uint64_t n)
{
    return batch_run(n, BATCH_CALLS, null_batch);
}

uint64_t batch_write_run(uint64_t n)
{
    return batch_run(n, BATCH_CALLS, write_batch);
}
