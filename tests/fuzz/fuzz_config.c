/* fuzz_config.c: libFuzzer target: option files. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/cli.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static int probe_yes(char *why, size_t size)
{
    (void)why;
    (void)size;
    return 0;
}

static const struct engine engine = {
    .name = "interp",
    .caps = ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE,
    .probe = probe_yes,
};
static const struct engine *const engines[] = {&engine, NULL};

/* What callers rely on; a broken promise is a crash for the fuzzer. */
static void promise(bool kept)
{
    if (!kept)
        abort();
}

static bool has(const char *const *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (list[i] == NULL || list[i][0] == '\0')
            return false;
    return n <= VM_REQUESTS_MAX;
}

static void config_promises(const struct vm_config *config)
{
    promise(config->engine == &engine && config->image != NULL && config->image[0] != '\0');
    promise(config->nharts >= 1 && config->nharts <= 64);
    promise(config->mem_size % MEM_PAGE_SIZE == 0 && config->mem_size != 0);
    promise(config->max_steps != 0);
    promise((config->start == START_PROGRAM) == (config->argv != NULL));
    promise(config->argv == NULL || strcmp(config->argv[0], config->image) == 0);
    promise(has(config->without, config->nwithout) && has(config->deny, config->ndeny));
    promise(config->nrequests <= VM_REQUESTS_MAX);
    for (unsigned i = 0; i < config->nrequests; i++)
        promise(config->request[i].name != NULL && config->request[i].name[0] != '\0');
}

static void error_promises(const struct error *err)
{
    promise(err->text[0] != '\0' && err->status != STATUS_OK);
    promise(strpbrk(err->text, "\n\r\033") == NULL);
    promise(strlen(err->text) < sizeof(err->text));
    /* An unfit file is told by name and line. */
    promise(err->status != STATUS_DATA || strstr(err->text, "'f.json', line ") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cli_env env = {.engines = engines, .host_memory = UINT64_C(1) << 30};
    struct error err = {0};
    struct cli cli;

    if (cli_parse_config(&cli, &env, "f.json", data, size, &err) != 0)
        error_promises(&err);
    else
        config_promises(&cli.config);
    cli_free(&cli);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_config);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_config, data, size, max, seed);
}
