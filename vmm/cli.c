/* cli.c: what the user asked for, from argv to a VM's configuration. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli.h"

#include <stdlib.h>
#include <string.h>
#include "vmm/cli_parser.h"
#include "vmm/command.h"

const struct cli_option cli_options[CLI_OPTIONS] = {
#define CLI_OPTION(id, group, name, letter, arg, kind, help)                                   \
    [CLI_##id] = {CLI_##id, CLI_GROUP_##group, name, letter, arg, kind, help},
#include "vmm/options.def"
#undef CLI_OPTION
};

/* --- Options in argv --- */

/* Takes the next word as the option's value. */
static int value_next(struct cli_parser *p, const struct cli_option *opt, const char **value)
{
    const char *word;

    if (p->next == p->argc)
        return error_set(p->err, STATUS_USAGE, "--%s: its argument is missing; give --%s %s",
                         opt->name, opt->name, opt->arg);
    word = p->argv[p->next++];
    /* A forgotten file name would swallow the option behind it, and the guest would lack both.
     */
    if (word[0] == '-' && word[1] != '\0' && (opt->kind == CLI_FILE || opt->kind == CLI_REST))
        return error_set(p->err, STATUS_USAGE,
                         "--%s: an argument is missing before '%.80s'; a file of that name is "
                         "--%s=%.80s",
                         opt->name, word, opt->name, word);
    *value = word;
    return 0;
}

static int option_unknown(struct cli_parser *p, const char *name, size_t len)
{
    const struct cli_option *near = cli_option_nearest(name, len);

    /* A long line of garbage would only hide the sentence. */
    if (near != NULL)
        return error_set(p->err, STATUS_USAGE, "unknown option '--%.*s'; did you mean --%s?",
                         (int)len, name, near->name);
    return error_set(p->err, STATUS_USAGE,
                     "unknown option '--%.*s'; tollgate help run lists the options",
                     len > 60 ? 60 : (int)len, name);
}

/* --name, --name value or --name=value; word is behind the dashes. */
static int option_long(struct cli_parser *p, const char *word)
{
    const char *value = strchr(word, '=');
    size_t len = value == NULL ? strlen(word) : (size_t)(value - word);
    const struct cli_option *opt = cli_option_find(word, len);
    int ret;

    if (opt == NULL)
        return option_unknown(p, word, len);
    if (value != NULL)
        value++;
    if (opt->kind == CLI_FLAG && value != NULL)
        return error_set(p->err, STATUS_USAGE, "--%s: takes no argument, but '%.80s' was given",
                         opt->name, value);
    if (opt->kind != CLI_FLAG && value == NULL) {
        ret = value_next(p, opt, &value);
        if (ret != 0)
            return ret;
    }
    return cli_option_apply(p, opt, value);
}

static const struct cli_option *option_by_letter(char letter)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (cli_options[i].letter == letter)
            return &cli_options[i];
    }
    return NULL;
}

/* -c 4, -c4, -v or several at once (-vc4); word is behind the dash and not empty. */
static int options_short(struct cli_parser *p, const char *word)
{
    int ret = 0;

    while (*word != '\0' && !p->done && ret == 0) {
        const struct cli_option *opt = option_by_letter(*word);
        const char *value = NULL;

        if (opt == NULL)
            return error_set(p->err, STATUS_USAGE,
                             "unknown option '-%c'; tollgate help run lists the options",
                             *word);
        word++;
        if (opt->kind != CLI_FLAG && *word == '\0')
            ret = value_next(p, opt, &value);
        else if (opt->kind != CLI_FLAG)
            value = word;
        if (value != NULL)
            word = "";
        if (ret == 0)
            ret = cli_option_apply(p, opt, value);
    }
    return ret;
}

/* --- The whole of `tollgate run` --- */

/* Pairs that nobody can mean. */
static const struct {
    enum cli_option_id a, b;
    const char *why;
} contradictions[] = {
    {CLI_PROGRAM,      CLI_INITRD,     "a program has no initial RAM disk"                   },
    {CLI_PROGRAM,      CLI_APPEND,     "a program has its own arguments"                     },
    {CLI_PROGRAM,      CLI_RAW,        "a program is always an ELF file"                     },
    {CLI_PROGRAM,      CLI_DTB,        "a program has no device tree"                        },
    {CLI_PROGRAM,      CLI_DUMP_DTB,   "a program has no device tree"                        },
    {CLI_DUMP_DTB,     CLI_REPORT,     "no guest runs, so there is nothing to report"        },
    {CLI_DUMP_DTB,     CLI_KEEP,       "no guest runs, so there is nothing to keep"          },
    {CLI_KEEP,         CLI_TRACE_FILE, "the trace is kept in the folder"                     },
    {CLI_POLICY_LEARN, CLI_POLICY,     "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_ALLOW,      "every call passes"                                   },
    {CLI_POLICY_LEARN, CLI_DENY,       "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_RATE,       "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_DUMP_DTB,   "no guest runs, so there is nothing to learn"         },
    {CLI_POLICY_LEARN, CLI_FIRMWARE,   "calls of a firmware start do not come to the monitor"},
};

static int contradictions_check(struct cli_parser *p)
{
    for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
        if (p->seen[contradictions[i].a] && p->seen[contradictions[i].b])
            return error_set(p->err, STATUS_CONFIG, "--%s contradicts --%s: %s",
                             cli_options[contradictions[i].b].name,
                             cli_options[contradictions[i].a].name, contradictions[i].why);
    }
    return 0;
}

/* Decides how the guest starts: by KERNEL, by --firmware (which may start KERNEL), or
 * --program. */
static int start_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;
    const char *program = p->cli->program_argv == NULL ? NULL : p->cli->program_argv[0];

    if (p->kernel == NULL && p->firmware == NULL && program == NULL)
        return error_set(
            p->err, STATUS_USAGE,
            "no KERNEL given; for example: tollgate run -i initrd.gz Image (or give "
            "--firmware FILE or --program ELF)");
    if (program != NULL && (p->kernel != NULL || p->firmware != NULL))
        return error_set(
            p->err, STATUS_CONFIG,
            "--program contradicts %s: a guest starts in one way; give one of them",
            p->kernel == NULL ? "--firmware" : "KERNEL");
    if (p->firmware != NULL && p->kernel == NULL && strcmp(p->firmware, "opensbi") == 0)
        return error_set(
            p->err, STATUS_USAGE,
            "--firmware opensbi: no KERNEL given; OpenSBI does nothing but start one");
    if (program != NULL) {
        config->start = START_PROGRAM;
        config->image = program;
        config->argv = p->cli->program_argv;
    } else if (p->firmware != NULL) {
        config->start = START_FIRMWARE;
        config->image = p->firmware;
        config->payload = p->kernel;
    } else {
        config->start = START_KERNEL;
        config->image = p->kernel;
    }
    return 0;
}

/* Standard input is left alone when no console takes it, so that Ctrl-C stays Ctrl-C. */
static void input_choose(struct vm_config *config)
{
    if (config->start == START_PROGRAM && config->console == CONSOLE_AUTO)
        config->console = CONSOLE_NONE;
    if (config->console == CONSOLE_NONE)
        config->in_fd = -1;
}

/* What only the whole of the options decides. */
static int run_finish(struct cli_parser *p)
{
    int ret = contradictions_check(p);

    p->cli->action = CLI_DO_RUN;
    if (ret == 0)
        ret = start_choose(p);
    if (ret != 0)
        return ret;
    cli_arch_choose(p);
    input_choose(&p->cli->config);
    ret = cli_engine_choose(p);
    if (ret == 0 && p->cli->dump_dtb != NULL)
        p->cli->action = CLI_DO_DUMP_DTB;
    return ret;
}

static int run_parse(struct cli_parser *p)
{
    bool options = true;
    int ret = 0;

    p->cli->action = CLI_DO_RUN;
    while (p->next < p->argc && !p->done && ret == 0) {
        const char *word = p->argv[p->next++];

        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && word[0] == '-' && word[1] == '-')
            ret = option_long(p, word + 2);
        else if (options && word[0] == '-' && word[1] != '\0')
            ret = options_short(p, word + 1);
        else if (word[0] == '\0')
            ret = error_set(p->err, STATUS_USAGE, "KERNEL: the file name is empty");
        else
            ret = cli_kernel_set(p, word);
    }
    if (ret != 0 || p->done)
        return ret;
    if (p->config != NULL)
        ret = config_read(p, p->config);
    return ret == 0 ? run_finish(p) : ret;
}

/* --- Commands --- */

static int help_parse(struct cli_parser *p)
{
    static const struct {
        const char *word;
        enum cli_action action;
    } topics[] = {
        {"run",               CLI_DO_HELP_RUN  },
        {"help",              CLI_DO_HELP      },
        {"--help",            CLI_DO_HELP      },
        {"-h",                CLI_DO_HELP      },
        {"--man",             CLI_DO_MAN       },
        {"--bash-completion", CLI_DO_COMPLETION},
        {"--markdown",        CLI_DO_MARKDOWN  },
    };
    const char *word;

    p->cli->action = CLI_DO_HELP;
    if (p->next == p->argc)
        return 0;
    word = p->argv[p->next++];
    if (p->next < p->argc)
        return error_set(p->err, STATUS_USAGE,
                         "help: '%.80s' is too much; give one topic, as run", p->argv[p->next]);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(topics[i].word, word) == 0) {
            p->cli->action = topics[i].action;
            return 0;
        }
    }
    p->cli->command = command_find(word);
    if (p->cli->command != NULL) {
        p->cli->action = CLI_DO_HELP_COMMAND;
        return 0;
    }
    return error_set(p->err, STATUS_USAGE,
                     "help: no topic '%.80s'; give run or another command, or nothing", word);
}

const struct cli_verb cli_verbs[] = {
    {"run",  "[options] KERNEL", "Run a guest until it ends", run_parse },
    {"help", "[COMMAND]",        "Explain a command",         help_parse},
    {NULL,   NULL,               NULL,                        NULL      },
};

static int verb_unknown(struct cli_parser *p, const char *word)
{
    const char *near = cli_verb_nearest(word);

    if (word[0] == '-')
        return error_set(
            p->err, STATUS_USAGE,
            "unknown option '%.80s' before the command; options of a guest follow run: "
            "tollgate run [options] KERNEL",
            word);
    if (near != NULL)
        return error_set(p->err, STATUS_USAGE, "unknown command '%.80s'; did you mean %s?",
                         word, near);
    return error_set(p->err, STATUS_USAGE,
                     "unknown command '%.80s'; a kernel is started with: tollgate run KERNEL",
                     word);
}

static int verb_parse(struct cli_parser *p)
{
    const char *word;

    if (p->argc < 2)
        return error_set(p->err, STATUS_USAGE,
                         "no command given; for example: tollgate run KERNEL (tollgate --help "
                         "explains)");
    p->next = 2;
    word = p->argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return cli_action_set(p, CLI_DO_HELP);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return cli_action_set(p, CLI_DO_VERSION);
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        if (strcmp(verb->name, word) == 0)
            return verb->parse(p);
    }
    p->cli->command = command_find(word);
    if (p->cli->command == NULL)
        return verb_unknown(p, word);
    p->cli->command_argc = p->argc - 1;
    p->cli->command_argv = p->argv + 1;
    if (p->argc == 3 && (strcmp(p->argv[2], "--help") == 0 || strcmp(p->argv[2], "-h") == 0))
        return cli_action_set(p, CLI_DO_HELP_COMMAND);
    return cli_action_set(p, CLI_DO_COMMAND);
}

/* A failed parse leaves nothing but its message. */
static int parse_end(struct cli_parser *p, int ret)
{
    if (ret != 0) {
        cli_error_locate(p->cli, p->err);
        cli_free(p->cli);
    }
    return ret;
}

int cli_parse(struct cli *cli, const struct cli_env *env, int argc, char *const *argv,
              struct error *err)
{
    struct cli_parser parser = {
        .cli = cli,
        .env = env,
        .err = err,
        .argv = argv,
        .argc = argc,
    };

    cli_defaults(cli);
    return parse_end(&parser, verb_parse(&parser));
}

int cli_parse_config(struct cli *cli, const struct cli_env *env, const char *path,
                     const void *data, size_t size, struct error *err)
{
    struct cli_parser parser = {.cli = cli, .env = env, .err = err};
    int ret;

    cli_defaults(cli);
    ret = config_apply(&parser, path, data, size);
    return parse_end(&parser, ret == 0 ? run_finish(&parser) : ret);
}

void cli_free(struct cli *cli)
{
    if (cli->program_argv != NULL)
        free(cli->program_argv[0]);
    free(cli->program_argv);
    for (size_t i = 0; i < VM_REQUESTS_MAX; i++)
        free(cli->request_text[i]);
    config_free(cli);
    memset(cli, 0, sizeof(*cli));
}
