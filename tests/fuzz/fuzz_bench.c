/* fuzz_bench.c: any bytes as the probe's console output, and as a result that is read back. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/bench/bench.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was accepted can be shown, as text and as pages, and compared. */
static void result_use(const json_t *result)
{
    FILE *null = fopen("/dev/null", "we");
    json_t *comparison = bench_compare(result, result, 10);

    if (null == NULL || comparison == NULL ||
        json_integer_value(json_object_get(comparison, "regressions")) != 0)
        abort();
    bench_text(null, result);
    bench_text_compare(null, comparison);
    fclose(null);
    free(bench_html(result));
    free(bench_html_compare(comparison));
    json_decref(comparison);
}

/* The first byte chooses what the others are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    json_t *result;

    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    if (data[0] % 4 == 3)
        result = result_check("fuzz", text, size - 1, &err);
    else
        result = result_parse("fuzz", text, size - 1, (enum result_answer)(data[0] % 4), &err);
    if ((result == NULL) != (err.status != 0))
        abort();
    if (result != NULL)
        result_use(result);
    json_decref(result);
    return 0;
}
