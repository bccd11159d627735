/* fuzz_abi.c: tables of calls from anybody, and all that is made from those that parse. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "vmm/abi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is made of a table, a second time from what it says itself. */
static void outputs_make(const struct abi *abi)
{
    static FILE *out;

    if (!out)
        out = fopen("/dev/null", "w");
    if (!out)
        abort();
    for (enum abi_output i = 0; i < ABI_OUTPUTS; i++) {
        char group[64];

        snprintf(group, sizeof(group), "%.*s", (int)abi_group_len(abi->row[0].desc.name),
                 abi->row[0].desc.name);
        abi_generate(abi, i, group, out);
    }
    for (size_t i = 0; i < abi->nrows; i++) {
        abi_show(&abi->row[i].desc, out);
        abi_list(&abi->row[i].desc, out);
    }
}

static void table_check(const struct abi *abi)
{
    struct abi_change change;
    struct error err = {0};
    FILE *out = fopen("/dev/null", "w");

    if (!out || abi->nrows == 0 || abi->nrows > ABI_ROWS_MAX || abi->version == 0)
        abort();
    for (size_t i = 0; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;

        if (!desc->name || !desc->contract || !desc->since || desc->nargs > CALL_ARGS ||
            abi_find(abi, desc->name) != &abi->row[i] ||
            (desc->buf_kind != CALL_BUF_NONE && desc->buf_len_arg + 3u > desc->nargs))
            abort();
    }
    /* Nothing has changed between a table and itself. */
    if (abi_diff(abi, abi, &change, out, &err) != 0 || change.needed != ABI_STEP_NONE)
        abort();
    fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct abi abi;

    if (abi_parse(&abi, "fuzz", (const char *)data, size, &err) == 0) {
        table_check(&abi);
        outputs_make(&abi);
    } else if (strncmp(err.text, "fuzz:", 5) != 0 || err.status != STATUS_DATA) {
        abort();
    }
    abi_free(&abi);
    return 0;
}
