/* fuzz_cli.c: libFuzzer target: command lines and module requests. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tests/fuzz/seed.h"
#include "vmm/cli.h"

#define WORDS_MAX 80

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

static void error_promises(const struct error *err)
{
    promise(err->text[0] != '\0' && err->status != STATUS_OK);
    promise(strpbrk(err->text, "\n\r\033") == NULL);
    promise(strlen(err->text) < sizeof(err->text));
}

static void request_promises(const struct module_request *req)
{
    promise(req->name != NULL && req->name[0] != '\0');
    promise(req->noptions <= sizeof(req->options) / sizeof(req->options[0]));
    for (unsigned i = 0; i < req->noptions; i++) {
        promise(req->options[i].key != NULL && req->options[i].key[0] != '\0');
        promise(req->options[i].value != NULL);
        promise(strchr(req->options[i].key, ',') == NULL);
    }
}

static void config_promises(const struct cli *cli)
{
    const struct vm_config *config = &cli->config;

    promise(config->engine == &engine && config->image != NULL && config->image[0] != '\0');
    promise(config->nharts >= 1 && config->nharts <= 64);
    promise(config->mem_size % MEM_PAGE_SIZE == 0 && config->mem_size != 0);
    promise(config->max_steps != 0);
    promise((config->start == START_PROGRAM) == (config->argv != NULL));
    promise(config->argv == NULL || strcmp(config->argv[0], config->image) == 0);
    promise(config->nrequests <= VM_REQUESTS_MAX && config->nwithout <= VM_REQUESTS_MAX &&
            config->ndeny <= VM_REQUESTS_MAX);
    for (unsigned i = 0; i < config->nrequests; i++)
        request_promises(&config->request[i]);
}

/* The words of `text`, which newlines separate. */
static void command_line(char *text)
{
    const struct cli_env env = {.engines = engines, .host_memory = UINT64_C(1) << 30};
    char *argv[WORDS_MAX + 2] = {"tollgate"};
    struct error err = {0};
    struct cli cli;
    int argc = 1;

    while (text != NULL && argc <= WORDS_MAX)
        argv[argc++] = strsep(&text, "\n");
    if (cli_parse(&cli, &env, argc, argv, &err) != 0)
        error_promises(&err);
    else if (cli.action == CLI_DO_RUN || cli.action == CLI_DO_DUMP_DTB)
        config_promises(&cli);
    cli_free(&cli);
}

static void module_request(char *text)
{
    struct module_request req = {0};
    struct error err = {0};

    if (module_request_parse(text, &req, &err) != 0)
        error_promises(&err);
    else
        request_promises(&req);
}

/* The first byte chooses: a whole command line, options of run, or a request. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char run[] = "run\n";
    size_t head = sizeof(run) - 1;
    char *text;

    if (size == 0)
        return 0;
    text = malloc(head + size);
    if (text == NULL)
        return 0;
    memcpy(text, run, head);
    memcpy(text + head, data + 1, size - 1);
    text[head + size - 1] = '\0';
    switch (data[0] % 3) {
    case 0: command_line(text + head); break;
    case 1: command_line(text); break;
    default: module_request(text + head); break;
    }
    free(text);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    seeds_write(seed_cli);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return seed_mutate(seed_cli, data, size, max, seed);
}
