/* cli_parser.h: what the command line's parser and the option file's share. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_CLI_PARSER_H
#define VMM_CLI_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include "vmm/cli.h"

/* One call of cli_parse. */
struct cli_parser {
    struct cli *cli;
    const struct cli_env *env;
    struct error *err;
    char *const *argv;
    int argc, next;
    bool seen[CLI_OPTIONS];
    const char *kernel, *firmware, *engine, *arch;
    const char *config; /* the option file, read when argv is */
    bool done;          /* an option such as --help has settled the action */
};

/* The values of a guest of which nothing is said. (cli_values.c) */
void cli_defaults(struct cli *cli);

/* Checks and stores one option; value is NULL for flags and outlives *cli. 0 or -errno. */
int cli_option_apply(struct cli_parser *p, const struct cli_option *opt, const char *value);

/* Stores KERNEL; an error when there is another. 0 or -errno. */
int cli_kernel_set(struct cli_parser *p, const char *value);

/* Stores what is done, instead of anything that may follow. 0. */
int cli_action_set(struct cli_parser *p, enum cli_action action);

/* The option of this name, without dashes; NULL: none. (cli_words.c) */
const struct cli_option *cli_option_find(const char *word, size_t len);

/* The option whose name is most like the word, or NULL when none is like it. */
const struct cli_option *cli_option_nearest(const char *word, size_t len);

/* The name of the command that the word is most like; NULL: it is like none. */
const char *cli_verb_nearest(const char *word);

/*
 * Sets config.arch: what --arch says, or what the kernel is. Firmware and programs are
 * RISC-V's. (cli_engine.c)
 */
void cli_arch_choose(struct cli_parser *p);

/*
 * Sets config.engine to what --engine says, or to the first of env->engines, which are sorted,
 * best first, that can run config on this host; and config.engine_why to what is wrong with
 * those before it. 0 or -errno.
 */
int cli_engine_choose(struct cli_parser *p);

/*
 * Applies the option file `path` with this content, after argv: what argv gave stays. Messages
 * begin "--config: 'path', line N". 0 or -errno with *p->err set.
 */
int config_apply(struct cli_parser *p, const char *path, const void *data, size_t size);

/* The same with the content read from the file. */
int config_read(struct cli_parser *p, const char *path);

/* Releases what config_apply left in *cli. */
void config_free(struct cli *cli);

#endif
