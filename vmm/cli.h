/* cli.h: the command line: its options and commands as tables, and their parser. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CLI_H
#define VMM_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/error.h"
#include "vmm/vm.h"

/* What an option's argument is: how it is checked and what completion offers. */
enum cli_kind {
    CLI_FLAG,   /* none */
    CLI_TEXT,   /* any string, an empty one too */
    CLI_FILE,   /* a file's name */
    CLI_SIZE,   /* bytes with a suffix, or MiB */
    CLI_COUNT,  /* a whole number from 1 */
    CLI_WORD,   /* one of the words in the option's `arg` */
    CLI_MODULE, /* a module's name */
    CLI_REST,   /* a file's name; all that follows belongs to it */
};

/* Headings of the help, in order. */
enum cli_group { CLI_GROUP_GUEST, CLI_GROUP_MACHINE, CLI_GROUP_MODULES, CLI_GROUP_OUTPUT };

enum cli_option_id {
#define CLI_OPTION(id, group, name, letter, arg, kind, help) CLI_##id,
#include "vmm/options.def"
#undef CLI_OPTION
    CLI_OPTIONS,
};

/* A row of options.def. */
struct cli_option {
    enum cli_option_id id;
    enum cli_group group;
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    const char *arg;  /* how help shows the argument; NULL: none */
    enum cli_kind kind;
    const char *help;
};

extern const struct cli_option cli_options[CLI_OPTIONS];

/* What one call of `tollgate` does. */
enum cli_action {
    CLI_DO_RUN,
    CLI_DO_DUMP_DTB,
    CLI_DO_LIST_MODULES,
    CLI_DO_VERSION,
    CLI_DO_HELP,
    CLI_DO_HELP_RUN,
    CLI_DO_MAN,
    CLI_DO_COMPLETION,
    CLI_DO_MARKDOWN,
    CLI_DO_HELP_COMMAND,
    CLI_DO_COMMAND,
};

/* A command: the first word after `tollgate`. The list ends with a NULL name. */
struct cli_parser;
struct cli_verb {
    const char *name;
    const char *args; /* how help shows its arguments */
    const char *summary;
    int (*parse)(struct cli_parser *parser);
};

extern const struct cli_verb cli_verbs[];

/* What the parser must know of the build and the host. Tests bring their own. */
struct cli_env {
    const struct engine *const *engines; /* as engine_list */
    uint64_t host_memory;                /* bytes */
    /* Which architecture a kernel file is for (arch_of_file); NULL: riscv64, all of them. */
    const struct arch *(*arch_of_file)(const char *path);
};

struct json_t;

/* A parsed command line. Its strings point into argv and into what it owns. */
struct cli {
    enum cli_action action;
    struct vm_config config;
    const struct command *command; /* of CLI_DO_COMMAND and CLI_DO_HELP_COMMAND */
    int command_argc;              /* its words, in argv */
    char *const *command_argv;
    const char *dump_dtb;     /* or NULL; "-": standard output */
    const char *report;       /* likewise */
    const char *policy_learn; /* likewise */
    const char *save_state;   /* or NULL */
    const char *keep;         /* or NULL */
    char engine_why[320];     /* config.engine_why */
    bool verbose;

    char **program_argv;                 /* owned; config.argv */
    char *request_text[VM_REQUESTS_MAX]; /* owned; what config.request points into */

    const char *option_file;           /* --config, or NULL */
    unsigned option_line[CLI_OPTIONS]; /* where it set an option; 0: it did not */
    struct json_t *option_tree;        /* owned; holds its strings */
};

/*
 * Parses argv[1..argc-1] into *cli; opens no file but the one of --config, and
 * what env->arch_of_file opens. config.host and
 * nothing else is left to the caller. On failure *cli holds nothing and *err one line. cli_free
 * is safe after both. 0 or -errno.
 */
int cli_parse(struct cli *cli, const struct cli_env *env, int argc, char *const *argv,
              struct error *err);
void cli_free(struct cli *cli);

/*
 * The same for `tollgate run --config path`, with the file's content given; for tests and
 * fuzzers.
 */
int cli_parse_config(struct cli *cli, const struct cli_env *env, const char *path,
                     const void *data, size_t size, struct error *err);

/*
 * A message that begins with an option ("--mem: ...") which the option file set is changed to
 * name file, line and key. Others stay as they are. For errors that come after parsing, too.
 */
void cli_error_locate(const struct cli *cli, struct error *err);

/* Strict numbers: the whole text, no sign, no blanks, no overflow. 0 or -EINVAL. */
int cli_parse_count(const char *text, uint64_t *value);
int cli_parse_size(const char *text, uint64_t *bytes);

/* What is written about the command line, all made from the tables (cli_help.c). */
void cli_print_version(FILE *out);
void cli_print_help(FILE *out);
void cli_print_help_run(FILE *out);
struct command;
void cli_print_help_command(FILE *out, const struct command *command);
void cli_print_man(FILE *out);
void cli_print_completion(FILE *out, const struct module *const *modules);
void cli_print_markdown(FILE *out);
void cli_print_modules(FILE *out, const struct module *const *modules);

#endif
