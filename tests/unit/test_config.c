/* test_config.c: the option file: its keys, its errors, and the command line that wins over it.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli.h"

#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/suites.h"

#define MIB (UINT64_C(1) << 20)

static int probe_yes(char *why, size_t size)
{
    (void)why;
    (void)size;
    return 0;
}

static const struct engine engine_full = {
    .name = "interp",
    .caps = ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE,
    .probe = probe_yes,
};
static const struct engine *const engines[] = {&engine_full, NULL};
static const struct cli_env env = {.engines = engines, .host_memory = UINT64_C(1) << 36};

/* One parse: freed by the next. */
static struct {
    struct cli cli;
    struct error err;
    int ret;
} got;

static void forget(void)
{
    cli_free(&got.cli);
    memset(&got.err, 0, sizeof(got.err));
}

static void parse_text(const char *text)
{
    forget();
    got.ret = cli_parse_config(&got.cli, &env, "m.json", text, strlen(text), &got.err);
}

/* A real file, so that the whole way from argv is taken. */
static char file_name[] = "/tmp/tollgate-test-config-XXXXXX";

static void file_write(const char *text)
{
    FILE *file = fopen(file_name, "w");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT(fputs(text, file) >= 0);
    CU_ASSERT_EQUAL(fclose(file), 0);
}

static void parse_words(char *const *argv)
{
    int argc = 0;

    forget();
    while (argv[argc] != NULL)
        argc++;
    got.ret = cli_parse(&got.cli, &env, argc, argv, &got.err);
}

#define PARSE(...)                                                                             \
    parse_words((char *[]){"tollgate", "run", "--config", file_name, __VA_ARGS__, NULL})

static bool failed(enum tg_status status, const char *words)
{
    bool ok = got.ret < 0 && got.err.status == status && strstr(got.err.text, words) != NULL &&
              strchr(got.err.text, '\n') == NULL;

    if (!ok)
        printf("\n    got %d, status %d, '%s'", got.ret, (int)got.err.status, got.err.text);
    return ok;
}

static bool same(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

static void test_every_key(void)
{
    const struct vm_config *c = &got.cli.config;

    parse_text(
        "{\"kernel\": \"Image\", \"initrd\": \"rd\", \"append\": \"quiet\",\n"
        " \"raw\": true, \"dtb\": \"x.dtb\", \"mem\": \"64M\", \"cpus\": 4,\n"
        " \"engine\": \"interp\", \"console\": \"serial\", \"max-steps\": 123456789012,\n"
        " \"device\": [\"one,a=1,b\", \"two\"], \"without\": [\"three\", \"four\"],\n"
        " \"deny\": \"sbi.dbcn\", \"report\": \"r.json\", \"verbose\": true}\n");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_EQUAL(got.cli.action, CLI_DO_RUN);
    CU_ASSERT_EQUAL(c->start, START_KERNEL);
    CU_ASSERT(same(c->image, "Image") && same(c->initrd, "rd") && same(c->append, "quiet"));
    CU_ASSERT(c->raw && same(c->dtb, "x.dtb"));
    CU_ASSERT_EQUAL(c->mem_size, 64 * MIB);
    CU_ASSERT_EQUAL(c->nharts, 4);
    CU_ASSERT_PTR_EQUAL(c->engine, &engine_full);
    CU_ASSERT_EQUAL(c->console, CONSOLE_SERIAL);
    CU_ASSERT_EQUAL(c->max_steps, 123456789012);
    CU_ASSERT_EQUAL_FATAL(c->nrequests, 2);
    CU_ASSERT(same(c->request[0].name, "one") && c->request[0].noptions == 2);
    CU_ASSERT(same(c->request[0].options[0].value, "1") && same(c->request[1].name, "two"));
    CU_ASSERT_EQUAL_FATAL(c->nwithout, 2);
    CU_ASSERT(same(c->without[1], "four"));
    CU_ASSERT_EQUAL_FATAL(c->ndeny, 1);
    CU_ASSERT(same(c->deny[0], "sbi.dbcn"));
    CU_ASSERT(same(got.cli.report, "r.json") && got.cli.verbose);

    parse_text("{\"firmware\": \"fw\", \"mem\": 64, \"dump-dtb\": \"-\", \"raw\": false}");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_EQUAL(got.cli.action, CLI_DO_DUMP_DTB);
    CU_ASSERT_EQUAL(c->start, START_FIRMWARE);
    CU_ASSERT_EQUAL(c->mem_size, 64 * MIB);
    CU_ASSERT_FALSE(c->raw);
    forget();
}

/* Each row of the option table is a key, or refused as one for the prompt. */
static void test_table(void)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        char text[80];

        snprintf(text, sizeof(text), "{\"%s\": {}}", cli_options[i].name);
        parse_text(text);
        CU_ASSERT(got.ret < 0);
        CU_ASSERT_PTR_NULL(strstr(got.err.text, "unknown"));
        CU_ASSERT_PTR_NOT_NULL(strstr(got.err.text, cli_options[i].name));
    }
}

static void test_program(void)
{
    const struct vm_config *c = &got.cli.config;

    parse_text("{\"program\": [\"a.elf\", \"one\", \"\"]}");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_EQUAL(c->start, START_PROGRAM);
    CU_ASSERT(same(c->argv[0], "a.elf") && same(c->argv[1], "one") && same(c->argv[2], ""));
    CU_ASSERT_PTR_NULL(c->argv[3]);
    parse_text("{\"program\": \"a.elf\"}");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT(same(c->argv[0], "a.elf") && c->argv[1] == NULL);
    parse_text("{\"program\": [\"a.elf\", 1]}");
    CU_ASSERT(failed(STATUS_DATA, "give a string, or an array of strings"));
    parse_text("{\"program\": [\"\"]}");
    CU_ASSERT(failed(STATUS_DATA, "line 1: \"program\": the file name is empty"));
}

static void test_errors(void)
{
    static const struct {
        const char *text, *words;
        enum tg_status status;
    } rows[] = {
        {"",                                            "line 1: ",                                 STATUS_DATA       },
        {"{\n\"kernel\": \"a\",\n}",                    "line 3: ",                                 STATUS_DATA       },
        {"[\"kernel\"]",                                "holds an array; give a JSON object",       STATUS_DATA       },
        {"{\n\n\"memory\": 1}",                         "line 3: unknown key \"memory\"",           STATUS_DATA       },
        {"{\"memory\": 1}",                             "did you mean \"mem\"?",                    STATUS_DATA       },
        {"{\"--cpus\": 1}",                             "did you mean \"cpus\"?",                   STATUS_DATA       },
        {"{\"\": 1}",                                   "unknown key \"\"; keys are",               STATUS_DATA       },
        {"{\"zzzzzz\": 1}",                             "unknown key \"zzzzzz\"; keys are",         STATUS_DATA       },
        {"{\"cpus\": 1,\n\"cpus\": 2}",                 "duplicate",                                STATUS_DATA       },
        {"{\"help\": true}",                            "command line only",                        STATUS_DATA       },
        {"{\"config\": \"x\"}",                         "command line only",                        STATUS_DATA       },
        {"{\"mem\": true}",                             "\"mem\" is true; give a string",           STATUS_DATA       },
        {"{\"cpus\": 1.5}",                             "a whole number",                           STATUS_DATA       },
        {"{\"raw\": 1}",                                "give true or false",                       STATUS_DATA       },
        {"{\"raw\": \"yes\"}",                          "give true or false",                       STATUS_DATA       },
        {"{\"kernel\": [\"a\"]}",                       "\"kernel\" is an array; give a string",    STATUS_DATA       },
        {"{\"kernel\": 7}",                             "\"kernel\" is a number; give a string",    STATUS_DATA       },
        {"{\"device\": [1]}",                           "a string or an array of strings",          STATUS_DATA       },
        {"{\"deny\": null}",                            "\"deny\" is null",                         STATUS_DATA       },
        {"{\"kernel\": \"a\",\n\"mem\": \"lots\"}",
         "'m.json', line 2: \"mem\": 'lots' is not a size; give",                                   STATUS_DATA       },
        {"{\"kernel\": \"a\",\n\"mem\": -5}",           "line 2: \"mem\": '-5' is not a size",
         STATUS_DATA                                                                                                  },
        {"{\"cpus\": 65}",                              "\"cpus\": '65' is not a number of harts",  STATUS_DATA       },
        {"{\"console\": \"vga\"}",                      "\"console\": 'vga' is not known; give",    STATUS_DATA       },
        {"{\"device\": \",x\"}",                        "\"device\": no name; give",                STATUS_DATA       },
        {"{\"kernel\": \"\"}",                          "\"kernel\": the file name is empty",       STATUS_DATA       },
        {"{\"mem\": \"64M\"}",                          "no KERNEL given",                          STATUS_USAGE      },
        {"{\"program\": \"a\",\n\"initrd\": \"b\"}",    "line 2: \"initrd\" contradicts --program",
         STATUS_CONFIG                                                                                                },
        {"{\"program\": \"a\",\n\"firmware\": \"b\"}",
         "line 1: \"program\" contradicts --firmware",                                              STATUS_CONFIG     },
        {"{\"kernel\": \"a\",\n\n\"engine\": \"kvm\"}",
         "line 3: \"engine\": 'kvm' is not part of this build",                                     STATUS_UNAVAILABLE},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse_text(rows[i].text);
        CU_ASSERT(failed(rows[i].status, rows[i].words));
    }
    parse_text("{\"a\\u001b[2Jb\": 1}");
    CU_ASSERT(failed(STATUS_DATA, "unknown key \"a?[2Jb\""));
}

/* Lines are those of the outermost keys, whatever stands between them. */
static void test_lines(void)
{
    parse_text("{\"append\": \"{\\\"mem\\\": \\\\\",\n"
               " \"device\": [\"a,x={\",\n  \"mem\"\n ],\n"
               " \"m\\u0065m\":\n\"lots\"}");
    CU_ASSERT(failed(STATUS_DATA, "line 5: \"mem\": 'lots'"));
    parse_text("{\"kernel\": {\"mem\": \"lots\"},\n\"cpus\": 0}");
    CU_ASSERT(failed(STATUS_DATA, "line 1: \"kernel\" is an object"));
    parse_text("\n\n\t{\r\n \"cpus\": 0}");
    CU_ASSERT(failed(STATUS_DATA, "line 4: \"cpus\": '0'"));
}

static void test_command_line_wins(void)
{
    const struct vm_config *c = &got.cli.config;

    file_write("{\"program\": [\"p\", \"x\"], \"mem\": \"lots\", \"cpus\": 3, \"raw\": false,\n"
               " \"device\": [\"one,a=1\", \"two\"], \"without\": \"three\", \"deny\": \"x\"}");
    PARSE("-m", "64M", "Image", "--device", "one,a=2", "--device", "three", "--without", "two",
          "--deny", "y");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT(c->start == START_KERNEL && same(c->image, "Image"));
    CU_ASSERT_EQUAL(c->mem_size, 64 * MIB);
    CU_ASSERT_EQUAL(c->nharts, 3);
    CU_ASSERT_EQUAL_FATAL(c->nrequests, 2);
    CU_ASSERT(same(c->request[0].options[0].value, "2") && same(c->request[1].name, "three"));
    CU_ASSERT(c->nwithout == 1 && same(c->without[0], "two"));
    CU_ASSERT_EQUAL(c->ndeny, 2);

    /* Its place does not matter. */
    file_write("{\"mem\": \"64M\", \"kernel\": \"a\"}");
    parse_words((char *[]){"tollgate", "run", "-m", "32M", "--config", file_name, "-v", NULL});
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT(c->mem_size == 32 * MIB && got.cli.verbose && same(c->image, "a"));

    /* What the command line got wrong is not the file's. */
    PARSE("-m", "lots");
    CU_ASSERT(failed(STATUS_USAGE, "--mem: 'lots'"));
    CU_ASSERT_PTR_NULL(strstr(got.err.text, "--config"));
    PARSE("--program", "p");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(c->start, START_PROGRAM);

    file_write("{\"initrd\": \"rd\"}");
    PARSE("--program", "p");
    CU_ASSERT(failed(STATUS_CONFIG, "line 1: \"initrd\" contradicts --program"));
}

static void test_files(void)
{
    PARSE("--config", "/nonexistent/x.json");
    CU_ASSERT(failed(STATUS_NO_INPUT, "--config"));
    PARSE("--config", "/tmp");
    CU_ASSERT(failed(STATUS_NO_INPUT, "--config"));
    file_write("");
    PARSE("a");
    CU_ASSERT(failed(STATUS_DATA, "--config"));
    file_write("{}");
    PARSE("a");
    CU_ASSERT_EQUAL(got.ret, 0);
    /* Help needs no file. */
    parse_words((char *[]){"tollgate", "run", "--config", "/nonexistent", "--help", NULL});
    CU_ASSERT_EQUAL(got.ret, 0);
}

/* Errors after the parse, as main prints them. */
static void test_located_later(void)
{
    struct error err = {0};

    parse_text("{\"kernel\": \"a\",\n\"device\": [\"plic\"]}");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    error_set(&err, STATUS_CONFIG, "--device: there is no module 'x'");
    cli_error_locate(&got.cli, &err);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "--config: 'm.json', line 2: \"device\": there is no module 'x'");
    CU_ASSERT_EQUAL(err.status, STATUS_CONFIG);
    cli_error_locate(&got.cli, &err);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "line 2: \"device\": there"));
    memset(&err, 0, sizeof(err));
    error_set(&err, STATUS_OS, "--mem: the host gives none");
    cli_error_locate(&got.cli, &err);
    CU_ASSERT_STRING_EQUAL(err.text, "--mem: the host gives none");
    forget();
}

static int config_setup(void)
{
    int fd = mkstemp(file_name);

    return fd < 0 ? -1 : close(fd);
}

static int config_cleanup(void)
{
    forget();
    return unlink(file_name);
}

void suite_config(void)
{
    CU_pSuite suite = CU_add_suite("option file", config_setup, config_cleanup);

    CU_add_test(suite, "every key", test_every_key);
    CU_add_test(suite, "the table of options", test_table);
    CU_add_test(suite, "programs", test_program);
    CU_add_test(suite, "errors", test_errors);
    CU_add_test(suite, "lines", test_lines);
    CU_add_test(suite, "the command line wins", test_command_line_wins);
    CU_add_test(suite, "files", test_files);
    CU_add_test(suite, "errors after the parse", test_located_later);
}
