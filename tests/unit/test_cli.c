/* test_cli.c: the command line: options, contradictions, messages, help, report. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/unit/suites.h"
#include "vmm/report.h"
#include "vmm/version.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* --- Engines and modules of our own: no VM is needed --- */

static int probe_yes(char *why, size_t size)
{
    (void)why;
    (void)size;
    return 0;
}

static int probe_no(char *why, size_t size)
{
    snprintf(why, size, "no /dev/kvm");
    return -ENOENT;
}

static const struct engine engine_broken = {.name = "kvm", .caps = 0x7, .probe = probe_no};
static const struct engine engine_fast = {.name = "dbt", .caps = 0, .probe = probe_yes};
static const struct engine engine_full = {
    .name = "interp",
    .caps = ENGINE_EXACT_STEPS | ENGINE_M_MODE | ENGINE_U_MODE,
    .probe = probe_yes,
};

static const struct engine *const engines_one[] = {&engine_full, NULL};
static const struct engine *const engines_all[] = {&engine_broken, &engine_fast, &engine_full,
                                                   NULL};
static const struct engine *const engines_broken[] = {&engine_broken, NULL};

static const struct cli_env env_one = {.engines = engines_one, .host_memory = 64 * GIB};
static const struct cli_env env_all = {.engines = engines_all, .host_memory = 64 * GIB};
static const struct cli_env env_broken = {.engines = engines_broken, .host_memory = 64 * GIB};
static const struct cli_env env_small = {.engines = engines_one, .host_memory = 256 * MIB};

static const struct module_key keys_disk[] = {
    {"file", "the image"},
    {NULL,   NULL       },
};
static const struct module module_one = {.name = "one", .summary = "the first"};
static const struct module module_disk = {
    .name = "disk", .summary = "blocks", .keys = keys_disk};
static const struct module *const modules[] = {&module_one, &module_disk, NULL};

/* One parse: freed by the next, so that tests need not. */
static struct {
    struct cli cli;
    struct error err;
    int ret;
} got;

static void parse_words(const struct cli_env *env, char *const *argv)
{
    int argc = 0;

    cli_free(&got.cli);
    memset(&got.err, 0, sizeof(got.err));
    while (argv[argc] != NULL)
        argc++;
    got.ret = cli_parse(&got.cli, env, argc, argv, &got.err);
}

#define PARSE_IN(env, ...) parse_words(env, (char *[]){"tollgate", __VA_ARGS__, NULL})
#define PARSE(...)         PARSE_IN(&env_one, __VA_ARGS__)

/* The parse failed with this status, and its one line has the words in it. */
static bool failed(enum tg_status status, const char *words)
{
    bool ok = got.ret < 0 && got.err.status == status && strstr(got.err.text, words) != NULL &&
              strchr(got.err.text, '\n') == NULL;

    if (!ok)
        printf("\n    got %d, status %d, '%s'", got.ret, (int)got.err.status, got.err.text);
    return ok;
}

/* --- Numbers --- */

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } rows[] = {
        {"512",                     512 * MIB               },
        {"512M",                    512 * MIB               },
        {"512m",                    512 * MIB               },
        {"2G",                      2 * GIB                 },
        {"2g",                      2 * GIB                 },
        {"65536K",                  64 * MIB                },
        {"65536k",                  64 * MIB                },
        {"1T",                      1024 * GIB              },
        {"0016M",                   16 * MIB                },
        {"16777215T",               UINT64_C(16777215) << 40},
        {"16777216T",               0                       },
        {"18446744073709551615K",   0                       },
        {"18446744073709551616K",   0                       },
        {"99999999999999999999999", 0                       },
        {"",                        0                       },
        {"M",                       0                       },
        {"lots",                    0                       },
        {"-1",                      0                       },
        {"-512M",                   0                       },
        {"+512M",                   0                       },
        {" 512M",                   0                       },
        {"512M ",                   0                       },
        {"512MB",                   0                       },
        {"512 M",                   0                       },
        {"512P",                    0                       },
        {"0x10M",                   0                       },
        {"1.5G",                    0                       },
        {"1e3",                     0                       },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 0;
        int ret = cli_parse_size(rows[i].text, &bytes);

        CU_ASSERT_EQUAL(ret, rows[i].bytes != 0 ? 0 : -EINVAL);
        if (ret == 0)
            CU_ASSERT_EQUAL(bytes, rows[i].bytes);
    }
}

static void test_counts(void)
{
    static const char *const wrong[] = {
        "", "x", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.", "1K", "18446744073709551616"};
    uint64_t n;

    CU_ASSERT_EQUAL(cli_parse_count("0", &n), 0);
    CU_ASSERT_EQUAL(n, 0);
    CU_ASSERT_EQUAL(cli_parse_count("007", &n), 0);
    CU_ASSERT_EQUAL(n, 7);
    CU_ASSERT_EQUAL(cli_parse_count("18446744073709551615", &n), 0);
    CU_ASSERT_EQUAL(n, UINT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        CU_ASSERT_EQUAL(cli_parse_count(wrong[i], &n), -EINVAL);
}

/* --- Options --- */

static void test_defaults(void)
{
    const struct vm_config *config = &got.cli.config;

    PARSE("run", "Image");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(got.cli.action, CLI_DO_RUN);
    CU_ASSERT_EQUAL(config->start, START_KERNEL);
    CU_ASSERT_STRING_EQUAL(config->image, "Image");
    CU_ASSERT_PTR_EQUAL(config->engine, &engine_full);
    CU_ASSERT_PTR_NULL(config->initrd);
    CU_ASSERT_PTR_NULL(config->append);
    CU_ASSERT_PTR_NULL(config->dtb);
    CU_ASSERT_PTR_NULL(config->argv);
    CU_ASSERT_FALSE(config->raw);
    CU_ASSERT_EQUAL(config->mem_size, 512 * MIB);
    CU_ASSERT_EQUAL(config->nharts, 1);
    CU_ASSERT_EQUAL(config->max_steps, UINT64_MAX);
    CU_ASSERT_EQUAL(config->console, CONSOLE_AUTO);
    CU_ASSERT_EQUAL(config->in_fd, 0);
    CU_ASSERT_EQUAL(config->out_fd, 1);
    CU_ASSERT_EQUAL(config->nrequests + config->nwithout + config->ndeny, 0);
    CU_ASSERT_EQUAL(config->nallow + config->nrate, 0);
    CU_ASSERT_PTR_NULL(config->policy);
    CU_ASSERT_FALSE(config->policy_learn);
    CU_ASSERT_FALSE(got.cli.verbose);
}

static void test_spellings(void)
{
    PARSE("run", "-c4", "Image");
    CU_ASSERT_EQUAL(got.cli.config.nharts, 4);
    PARSE("run", "-c", "4", "Image");
    CU_ASSERT_EQUAL(got.cli.config.nharts, 4);
    PARSE("run", "--cpus=4", "Image");
    CU_ASSERT_EQUAL(got.cli.config.nharts, 4);
    PARSE("run", "--cpus", "4", "Image");
    CU_ASSERT_EQUAL(got.cli.config.nharts, 4);
    PARSE("run", "Image", "-vc4");
    CU_ASSERT_EQUAL(got.cli.config.nharts, 4);
    CU_ASSERT_TRUE(got.cli.verbose);
    PARSE("run", "-m", "1G", "-m", "2G", "Image");
    CU_ASSERT_EQUAL(got.cli.config.mem_size, 2 * GIB);
}

static void test_every_option(void)
{
    const struct vm_config *config = &got.cli.config;

    PARSE("run", "-k", "vmlinuz", "-i", "rd", "-p", "a=b --c", "--raw", "--dtb", "t.dtb", "-m",
          "64", "-c", "64", "--engine", "interp", "--console", "serial", "--max-steps", "77",
          "--device", "disk,file=x,ro", "--device=rng", "--without", "plic", "--deny",
          "sbi.dbcn", "--deny", "sbi.hsm", "--report", "r.json", "-v");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_STRING_EQUAL(config->image, "vmlinuz");
    CU_ASSERT_STRING_EQUAL(config->initrd, "rd");
    CU_ASSERT_STRING_EQUAL(config->append, "a=b --c");
    CU_ASSERT_STRING_EQUAL(config->dtb, "t.dtb");
    CU_ASSERT_TRUE(config->raw);
    CU_ASSERT_EQUAL(config->mem_size, 64 * MIB);
    CU_ASSERT_EQUAL(config->nharts, 64);
    CU_ASSERT_EQUAL(config->console, CONSOLE_SERIAL);
    CU_ASSERT_EQUAL(config->max_steps, 77);
    CU_ASSERT_EQUAL_FATAL(config->nrequests, 2);
    CU_ASSERT_STRING_EQUAL(config->request[0].name, "disk");
    CU_ASSERT_EQUAL(config->request[0].noptions, 2);
    CU_ASSERT_STRING_EQUAL(config->request[0].options[0].key, "file");
    CU_ASSERT_STRING_EQUAL(config->request[0].options[0].value, "x");
    CU_ASSERT_STRING_EQUAL(config->request[0].options[1].key, "ro");
    CU_ASSERT_STRING_EQUAL(config->request[0].options[1].value, "");
    CU_ASSERT_STRING_EQUAL(config->request[1].name, "rng");
    CU_ASSERT_EQUAL_FATAL(config->nwithout, 1);
    CU_ASSERT_STRING_EQUAL(config->without[0], "plic");
    CU_ASSERT_EQUAL_FATAL(config->ndeny, 2);
    CU_ASSERT_STRING_EQUAL(config->deny[1], "sbi.hsm");
    CU_ASSERT_STRING_EQUAL(got.cli.report, "r.json");
    CU_ASSERT_TRUE(got.cli.verbose);
}

static void test_consoles(void)
{
    PARSE("run", "--console=virtio", "Image");
    CU_ASSERT_EQUAL(got.cli.config.console, CONSOLE_VIRTIO);
    PARSE("run", "--console=sbi", "Image");
    CU_ASSERT_EQUAL(got.cli.config.console, CONSOLE_SBI);
    PARSE("run", "--console=auto", "Image");
    CU_ASSERT_EQUAL(got.cli.config.console, CONSOLE_AUTO);
    CU_ASSERT_EQUAL(got.cli.config.in_fd, 0);
    PARSE("run", "--console=none", "Image");
    CU_ASSERT_EQUAL(got.cli.config.console, CONSOLE_NONE);
    CU_ASSERT_EQUAL(got.cli.config.in_fd, -1);
    PARSE("run", "--program", "a.elf");
    CU_ASSERT_EQUAL(got.cli.config.console, CONSOLE_NONE);
    CU_ASSERT_EQUAL(got.cli.config.in_fd, -1);
}

static void test_starts(void)
{
    const struct vm_config *config = &got.cli.config;

    PARSE("run", "--firmware", "fw.bin", "-c2");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(config->start, START_FIRMWARE);
    CU_ASSERT_STRING_EQUAL(config->image, "fw.bin");
    CU_ASSERT_PTR_NULL(config->payload);

    PARSE("run", "Image", "--firmware", "opensbi");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(config->start, START_FIRMWARE);
    CU_ASSERT_STRING_EQUAL(config->image, "opensbi");
    CU_ASSERT_STRING_EQUAL(config->payload, "Image");
    PARSE("run", "--firmware", "opensbi");
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "no KERNEL given"));

    PARSE("run", "-v", "--program", "a.elf", "-v", "--", "--mem", "");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_EQUAL(config->start, START_PROGRAM);
    CU_ASSERT_STRING_EQUAL(config->image, "a.elf");
    CU_ASSERT_STRING_EQUAL(config->argv[0], "a.elf");
    CU_ASSERT_STRING_EQUAL(config->argv[1], "-v");
    CU_ASSERT_STRING_EQUAL(config->argv[2], "--");
    CU_ASSERT_STRING_EQUAL(config->argv[3], "--mem");
    CU_ASSERT_STRING_EQUAL(config->argv[4], "");
    CU_ASSERT_PTR_NULL(config->argv[5]);

    PARSE("run", "--program=a.elf", "x");
    CU_ASSERT_EQUAL_FATAL(got.ret, 0);
    CU_ASSERT_STRING_EQUAL(config->argv[0], "a.elf");
    CU_ASSERT_STRING_EQUAL(config->argv[1], "x");
    CU_ASSERT_PTR_NULL(config->argv[2]);

    PARSE("run", "-v", "--", "-Image");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_STRING_EQUAL(config->image, "-Image");
    PARSE("run", "--kernel=--mem");
    CU_ASSERT_STRING_EQUAL(config->image, "--mem");
    PARSE("run", "-k", "Image", "Image");
    CU_ASSERT_EQUAL(got.ret, 0);
    PARSE("run", "--append=", "Image");
    CU_ASSERT_STRING_EQUAL(config->append, "");
    PARSE("run", "-p", "-x", "Image");
    CU_ASSERT_STRING_EQUAL(config->append, "-x");
}

static void test_actions(void)
{
    static const struct {
        char *words[3];
        enum cli_action action;
    } rows[] = {
        {{"--help", NULL},              CLI_DO_HELP        },
        {{"-h", "junk"},                CLI_DO_HELP        },
        {{"--version", NULL},           CLI_DO_VERSION     },
        {{"-V", NULL},                  CLI_DO_VERSION     },
        {{"help", NULL},                CLI_DO_HELP        },
        {{"help", "run"},               CLI_DO_HELP_RUN    },
        {{"help", "--man"},             CLI_DO_MAN         },
        {{"help", "--bash-completion"}, CLI_DO_COMPLETION  },
        {{"help", "--markdown"},        CLI_DO_MARKDOWN    },
        {{"run", "--help"},             CLI_DO_HELP_RUN    },
        {{"run", "-vhx"},               CLI_DO_HELP_RUN    },
        {{"run", "--version"},          CLI_DO_VERSION     },
        {{"run", "--list-modules"},     CLI_DO_LIST_MODULES},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        PARSE(rows[i].words[0], rows[i].words[1]);
        CU_ASSERT_EQUAL(got.ret, 0);
        CU_ASSERT_EQUAL(got.cli.action, rows[i].action);
    }
    PARSE("run", "--dump-dtb", "-", "Image");
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(got.cli.action, CLI_DO_DUMP_DTB);
    CU_ASSERT_STRING_EQUAL(got.cli.dump_dtb, "-");
}

/* --- What is wrong, and what is said about it --- */

static void test_wrong_words(void)
{
    static const struct {
        char *words[6];
        enum tg_status status;
        const char *says;
    } rows[] = {
        {{NULL},                                              STATUS_USAGE, "no command given"                                                      },
        {{"rum"},                                             STATUS_USAGE, "did you mean run?"                                                     },
        {{"Image"},                                           STATUS_USAGE, "tollgate run KERNEL"                                                   },
        {{"-m", "1G", "Image"},                               STATUS_USAGE, "options of a guest follow run"                                         },
        {{""},                                                STATUS_USAGE, "unknown command ''"                                                    },
        {{"help", "me"},                                      STATUS_USAGE, "no topic 'me'"                                                         },
        {{"help", "run", "now"},                              STATUS_USAGE, "'now'"                                                                 },
        {{"run"},                                             STATUS_USAGE, "no KERNEL given; for example: tollgate run"                            },
        {{"run", ""},                                         STATUS_USAGE, "KERNEL: the file name is empty"                                        },
        {{"run", "--"},                                       STATUS_USAGE, "no KERNEL given"                                                       },
        {{"run", "--kernal", "x"},                            STATUS_USAGE, "'--kernal'; did you mean --kernel?"                                    },
        {{"run", "--memory=1G"},                              STATUS_USAGE, "did you mean --mem?"                                                   },
        {{"run", "--cpu", "2"},                               STATUS_USAGE, "did you mean --cpus?"                                                  },
        {{"run", "--ver"},                                    STATUS_USAGE, "did you mean --ver"                                                    },
        {{"run", "--zzzzzzzz"},                               STATUS_USAGE, "tollgate help run lists the options"                                   },
        {{"run", "--=x"},                                     STATUS_USAGE, "unknown option '--'"                                                   },
        {{"run", "-z"},                                       STATUS_USAGE, "unknown option '-z'"                                                   },
        {{"run", "-vz"},                                      STATUS_USAGE, "unknown option '-z'"                                                   },
        {{"run", "--verbose=yes", "x"},                       STATUS_USAGE, "--verbose: takes no argument"                                          },
        {{"run", "x", "--mem"},
         STATUS_USAGE,                                                      "--mem: its argument is missing; give --mem SIZE"                       },
        {{"run", "x", "-m"},                                  STATUS_USAGE, "--mem: its argument is missing"                                        },
        {{"run", "-i", "--mem", "1G"},                        STATUS_USAGE, "--initrd: an argument is missing before"                               },
        {{"run", "--program"},                                STATUS_USAGE, "--program: its argument is missing"                                    },
        {{"run", "--program", "-v"},                          STATUS_USAGE, "--program: an argument is missing"                                     },
        {{"run", "--initrd=", "x"},                           STATUS_USAGE, "--initrd: the file name is empty"                                      },
        {{"run", "-m", "lots", "x"},
         STATUS_USAGE,                                                      "--mem: 'lots' is not a size; give for example 512M or 2G"              },
        {{"run", "-m", "-5", "x"},                            STATUS_USAGE, "--mem: '-5' is not a size"                                             },
        {{"run", "-m", "15M", "x"},                           STATUS_USAGE, "--mem: '15M' is too small"                                             },
        {{"run", "-m", "0", "x"},                             STATUS_USAGE, "--mem: '0' is too small"                                               },
        {{"run", "-m", "65G", "x"},                           STATUS_USAGE, "--mem: '65G' is too large"                                             },
        {{"run", "-m", "20001K", "x"},                        STATUS_USAGE, "not a multiple of 4K"                                                  },
        {{"run", "-c", "0", "x"},
         STATUS_USAGE,                                                      "--cpus: '0' is not a number of harts; give 1 to"                       },
        {{"run", "-c", "65", "x"},                            STATUS_USAGE, "--cpus: '65'"                                                          },
        {{"run", "-c", "4294967297", "x"},                    STATUS_USAGE, "--cpus: '4294967297'"                                                  },
        {{"run", "-c", "two", "x"},                           STATUS_USAGE, "--cpus: 'two'"                                                         },
        {{"run", "-c=2", "x"},                                STATUS_USAGE, "--cpus: '=2'"                                                          },
        {{"run", "--max-steps", "0", "x"},                    STATUS_USAGE, "--max-steps: '0'"                                                      },
        {{"run", "--max-steps", "18446744073709551615", "x"},
         STATUS_USAGE,                                                      "--max-steps: '184"                                                     },
        {{"run", "--console", "vga", "x"},
         STATUS_USAGE,                                                      "--console: 'vga' is not known; give one of auto|virtio|serial|sbi|none"},
        {{"run", "--console", "virtio|serial"},               STATUS_USAGE, "is not known"                                                          },
        {{"run", "--console=", "x"},                          STATUS_USAGE, "--console: '' is not known"                                            },
        {{"run", "--engine", "qemu", "x"},                    STATUS_USAGE, "--engine: 'qemu' is not known"                                         },
        {{"run", "--without=", "x"},                          STATUS_USAGE, "--without: the name is empty"                                          },
        {{"run", "--deny=", "x"},                             STATUS_USAGE, "--deny: the name is empty"                                             },
        {{"run", "--device=", "x"},                           STATUS_USAGE, "--device"                                                              },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        PARSE(rows[i].words[0], rows[i].words[1], rows[i].words[2], rows[i].words[3],
              rows[i].words[4]);
        CU_ASSERT_TRUE(failed(rows[i].status, rows[i].says));
    }
}

static void test_contradictions(void)
{
    PARSE("run", "a", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "'b' is a second kernel after 'a'"));
    PARSE("run", "-k", "a", "-k", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "second kernel"));
    PARSE("run", "a", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--program contradicts KERNEL"));
    PARSE("run", "--firmware", "a", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--program contradicts --firmware"));
    PARSE("run", "-i", "rd", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--initrd contradicts --program"));
    PARSE("run", "-p", "x", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--append contradicts --program"));
    PARSE("run", "--raw", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--raw contradicts --program"));
    PARSE("run", "--dump-dtb", "x", "--program", "b");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--dump-dtb contradicts --program"));
    PARSE("run", "--dump-dtb", "x", "--report", "y", "a");
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "--report contradicts --dump-dtb"));
}

static void test_engines(void)
{
    PARSE_IN(&env_all, "run", "Image");
    CU_ASSERT_PTR_EQUAL(got.cli.config.engine, &engine_fast); /* the first that works */
    PARSE_IN(&env_all, "run", "--engine=auto", "--max-steps=5", "Image");
    CU_ASSERT_PTR_EQUAL(got.cli.config.engine, &engine_full); /* the first that is able */
    PARSE_IN(&env_all, "run", "--firmware=fw");
    CU_ASSERT_PTR_EQUAL(got.cli.config.engine, &engine_full);
    PARSE_IN(&env_all, "run", "--program=a");
    CU_ASSERT_PTR_EQUAL(got.cli.config.engine, &engine_full);
    PARSE_IN(&env_all, "run", "--engine=interp", "Image");
    CU_ASSERT_PTR_EQUAL(got.cli.config.engine, &engine_full);

    PARSE_IN(&env_all, "run", "--engine=kvm", "Image");
    CU_ASSERT_TRUE(failed(STATUS_UNAVAILABLE, "'kvm' cannot run this guest: no /dev/kvm"));
    PARSE_IN(&env_all, "run", "--engine=dbt", "--firmware=fw");
    CU_ASSERT_TRUE(failed(STATUS_UNAVAILABLE, "it does not support --firmware"));
    PARSE_IN(&env_all, "run", "--engine=dbt", "--max-steps=1", "Image");
    CU_ASSERT_TRUE(failed(STATUS_UNAVAILABLE, "it does not support --max-steps"));
    PARSE_IN(&env_broken, "run", "Image");
    CU_ASSERT_TRUE(failed(STATUS_UNAVAILABLE, "no engine of this build"));
    PARSE("run", "--engine=kvm", "Image");
    CU_ASSERT_TRUE(
        failed(STATUS_UNAVAILABLE,
               "--engine: 'kvm' is not part of this build; available: auto, interp"));
}

static void test_host_memory(void)
{
    PARSE_IN(&env_small, "run", "-m", "4G", "Image");
    CU_ASSERT_EQUAL(got.ret, 0);
    PARSE_IN(&env_small, "run", "-m", "4097M", "Image");
    CU_ASSERT_TRUE(failed(STATUS_UNAVAILABLE, "--mem: '4097M' is more than 16 times the 256M"));
}

/* argv with one option n times, and a kernel. */
static void parse_many(char *word, size_t n)
{
    char **argv = calloc(n + 4, sizeof(*argv));

    CU_ASSERT_PTR_NOT_NULL_FATAL(argv);
    argv[0] = "tollgate";
    argv[1] = "run";
    for (size_t i = 0; i < n; i++)
        argv[2 + i] = word;
    argv[2 + n] = "Image";
    parse_words(&env_one, argv);
    free(argv);
}

static void test_limits(void)
{
    parse_many("--device=x", VM_REQUESTS_MAX);
    CU_ASSERT_EQUAL(got.ret, 0);
    CU_ASSERT_EQUAL(got.cli.config.nrequests, VM_REQUESTS_MAX);
    parse_many("--device=x", VM_REQUESTS_MAX + 1);
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "--device: given more than 32 times"));
    parse_many("--without=x", VM_REQUESTS_MAX + 1);
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "--without: given more than 32 times"));
    parse_many("--deny=x", VM_REQUESTS_MAX + 1);
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "--deny: given more than 32 times"));
}

/* However long the input, the sentence that helps is not cut off. */
static void test_long_words(void)
{
    char word[8192] = "--mem=";

    memset(word + 6, 'x', sizeof(word) - 7);
    PARSE("run", word, "Image");
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "give for example 512M or 2G"));
    memcpy(word, "--xxxx", 6);
    PARSE("run", word, "Image");
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "lists the options"));
    PARSE("run", "Image", word + 2);
    CU_ASSERT_TRUE(failed(STATUS_CONFIG, "give one"));
    PARSE(word + 2);
    CU_ASSERT_TRUE(failed(STATUS_USAGE, "tollgate run KERNEL"));
}

/* --- What is printed --- */

static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    print(out);
    fclose(out);
    return text;
}

static void print_completion(FILE *out)
{
    cli_print_completion(out, modules);
}

static void print_modules(FILE *out)
{
    cli_print_modules(out, modules);
}

/* Each option's name stands in the text, after these dashes. */
static bool names_all(const char *text, const char *dashes)
{
    char name[64];

    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        size_t n = (size_t)snprintf(name, sizeof(name), "%s", dashes);

        for (const char *c = cli_options[i].name; *c != '\0'; c++)
            n += (size_t)snprintf(name + n, sizeof(name) - n, "%s%c",
                                  *c == '-' && dashes[0] == '\\' ? "\\" : "", *c);
        if (strstr(text, name) == NULL) {
            printf("\n    '%s' is missing", name);
            return false;
        }
    }
    return true;
}

static size_t longest_line(const char *text)
{
    size_t longest = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        longest = len > longest ? len : longest;
        text += len + (text[len] == '\n');
    }
    return longest;
}

static void test_option_table(void)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        const struct cli_option *opt = &cli_options[i];
        size_t len = strlen(opt->help);

        CU_ASSERT_EQUAL(opt->id, i);
        CU_ASSERT_EQUAL(opt->arg == NULL, opt->kind == CLI_FLAG);
        CU_ASSERT(len > 0 && opt->help[len - 1] == '.');
        for (size_t j = 0; j < i; j++) {
            CU_ASSERT_STRING_NOT_EQUAL(opt->name, cli_options[j].name);
            CU_ASSERT(opt->letter == 0 || opt->letter != cli_options[j].letter);
        }
    }
}

static void test_help(void)
{
    char *help = printed(cli_print_help), *run = printed(cli_print_help_run);

    CU_ASSERT_TRUE(names_all(run, "--"));
    CU_ASSERT(longest_line(help) < 80 && longest_line(run) < 80);
    CU_ASSERT_PTR_NOT_NULL(strstr(run, "-m, --mem SIZE"));
    CU_ASSERT_PTR_NOT_NULL(strstr(run, "Exit status:"));
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++)
        CU_ASSERT_PTR_NOT_NULL(strstr(help, verb->summary));
    free(help);
    free(run);
}

static void test_man(void)
{
    char *man = printed(cli_print_man);

    CU_ASSERT_EQUAL(strncmp(man, ".TH TOLLGATE 1 ", 15), 0);
    CU_ASSERT_TRUE(names_all(man, "\\-\\-"));
    CU_ASSERT_PTR_NOT_NULL(strstr(man, ".SH EXIT STATUS\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(man, "tollgate " TG_VERSION));
    free(man);
}

static void test_completion_and_reference(void)
{
    char *bash = printed(print_completion), *markdown = printed(cli_print_markdown);

    CU_ASSERT_TRUE(names_all(bash, "--"));
    CU_ASSERT_PTR_NOT_NULL(strstr(bash, "words='one disk'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(bash, "words='auto kvm dbt interp'"));
    CU_ASSERT_TRUE(names_all(markdown, "--"));
    CU_ASSERT_PTR_NOT_NULL(strstr(markdown, "auto\\|kvm\\|dbt\\|interp"));
    free(bash);
    free(markdown);
}

static void test_small_prints(void)
{
    char *version = printed(cli_print_version), *list = printed(print_modules);

    CU_ASSERT_STRING_EQUAL(version, "tollgate " TG_VERSION "\n");
    CU_ASSERT_PTR_NOT_NULL(
        strstr(list, "disk             blocks\n    file         the image\n"));
    free(version);
    free(list);
}

/* --- The report --- */

/* A VM that has run, as far as reports look at it. */
static struct vm *vm_ended(enum stop_cause cause, int status)
{
    static struct vm vm;
    static struct hart harts[2];

    memset(&vm, 0, sizeof(vm));
    memset(harts, 0, sizeof(harts));
    vm.engine = &engine_full;
    vm.hart = harts;
    vm.nharts = 2;
    harts[0].steps = 10;
    harts[0].instret = 8;
    harts[0].exits[EXIT_MMIO] = 3;
    harts[1].steps = 5;
    vm.stop = (struct vm_stop){.cause = cause, .status = status, .hart = -1};
    return &vm;
}

static void test_report_line(void)
{
    char line[320];
    struct vm *vm = vm_ended(CAUSE_EXIT, 42);

    CU_ASSERT_EQUAL(report_line(vm, line, sizeof(line)), 0);
    vm = vm_ended(CAUSE_FINISHER, 1);
    CU_ASSERT_EQUAL(report_line(vm, line, sizeof(line)), 0);

    vm = vm_ended(CAUSE_FAULT, STATUS_GUEST_FAULT);
    vm->stop.hart = 1;
    vm->stop.has_pc = true;
    vm->stop.pc = UINT64_C(0xffffffff80001234);
    strcpy(vm->stop.text, "illegal\ninstruction\033[2J");
    CU_ASSERT_NOT_EQUAL(report_line(vm, line, sizeof(line)), 0);
    CU_ASSERT_STRING_EQUAL(
        line, "guest fault: hart 1, pc 0xffffffff80001234: illegal?instruction?[2J");

    vm = vm_ended(CAUSE_KILLED, 143);
    strcpy(vm->stop.text, "signal 15");
    CU_ASSERT_NOT_EQUAL(report_line(vm, line, sizeof(line)), 0);
    CU_ASSERT_STRING_EQUAL(line, "killed: signal 15");
}

/* Writes a report and reads it again; the caller owns it. */
static json_t *report_read(struct vm *vm)
{
    char path[] = "/tmp/test_cli.XXXXXX";
    struct error err = {0};
    int fd = mkstemp(path);
    json_t *json;

    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    CU_ASSERT_EQUAL(report_check(path, &err), 0);
    CU_ASSERT_EQUAL(report_write(vm, path, &err), 0);
    CU_ASSERT_STRING_EQUAL(err.text, "");
    json = json_load_file(path, 0, NULL);
    unlink(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(json);
    return json;
}

static void test_report_file(void)
{
    struct vm *vm = vm_ended(CAUSE_FAULT, 256);
    json_t *json, *hart;

    vm->stop.hart = 1;
    vm->stop.has_pc = true;
    vm->stop.pc = UINT64_MAX;
    strcpy(vm->stop.text, "bad \xff\"\n");
    json = report_read(vm);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "version")), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "tollgate")), TG_VERSION);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "cause")), "fault");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "status")), 256);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "hart")), 1);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "pc")),
                           "0xffffffffffffffff");
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "text")), "bad ?\"?");
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "steps")), 15);
    CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "engine")), "interp");
    CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "harts")), 2);
    hart = json_array_get(json_object_get(json, "harts"), 0);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(hart, "instret")), 8);
    CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(hart, "exits"), "mmio")),
                    3);
    json_decref(json);

    json = report_read(vm_ended(CAUSE_EXIT, 0));
    CU_ASSERT_TRUE(json_is_null(json_object_get(json, "pc")));
    CU_ASSERT_TRUE(json_is_null(json_object_get(json, "hart")));
    json_decref(json);
}

static void test_report_refused(void)
{
    struct error err = {0};

    CU_ASSERT(report_check("/nonexistent/report.json", &err) < 0);
    CU_ASSERT_EQUAL(err.status, STATUS_CANT_CREATE);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(err.text, "--report: cannot write '/nonexistent/report.json'"));
    memset(&err, 0, sizeof(err));
    CU_ASSERT_EQUAL(report_check("-", &err), 0);
    CU_ASSERT(report_write(vm_ended(CAUSE_EXIT, 0), "/dev/full", &err) < 0);
    CU_ASSERT_EQUAL(err.status, STATUS_CANT_CREATE);
}

static int suite_clean(void)
{
    cli_free(&got.cli);
    return 0;
}

void suite_cli(void)
{
    CU_pSuite suite = CU_add_suite("cli", NULL, suite_clean);

    CU_add_test(suite, "sizes are read strictly", test_sizes);
    CU_add_test(suite, "counts are read strictly", test_counts);
    CU_add_test(suite, "defaults", test_defaults);
    CU_add_test(suite, "four spellings of an option, the last wins", test_spellings);
    CU_add_test(suite, "every option arrives", test_every_option);
    CU_add_test(suite, "consoles, and who leaves standard input alone", test_consoles);
    CU_add_test(suite, "kernel, firmware and program starts", test_starts);
    CU_add_test(suite, "options and commands that only print", test_actions);
    CU_add_test(suite, "wrong words: status and sentence", test_wrong_words);
    CU_add_test(suite, "contradictions", test_contradictions);
    CU_add_test(suite, "the choice of the engine", test_engines);
    CU_add_test(suite, "memory beyond the host's", test_host_memory);
    CU_add_test(suite, "more repetitions than there is room for", test_limits);
    CU_add_test(suite, "long words leave room for the advice", test_long_words);
    CU_add_test(suite, "the option table is consistent", test_option_table);
    CU_add_test(suite, "help", test_help);
    CU_add_test(suite, "man page", test_man);
    CU_add_test(suite, "bash completion and reference", test_completion_and_reference);
    CU_add_test(suite, "version and list of modules", test_small_prints);
    CU_add_test(suite, "the line about the end", test_report_line);
    CU_add_test(suite, "the report is JSON", test_report_file);
    CU_add_test(suite, "a report that cannot be written", test_report_refused);
}
