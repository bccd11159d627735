/* cli_help.c: help, man page, bash completion and option reference, made from the tables. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli.h"

#include <string.h>
#include "vmm/command.h"
#include "vmm/version.h"

#define HELP_WIDTH 79 /* columns of --help */
#define HELP_TEXT  26 /* column in which its explanations begin */

static const char summary[] = "run RISC-V guests in a virtual machine";

static const char description[] =
    "Tollgate runs a RISC-V guest: a kernel in S-mode, an M-mode image, or a static program in "
    "U-mode. Every crossing out of the guest passes one gate, where it is counted and can be "
    "refused. Devices and services behind the gate are modules that can be left out one by "
    "one.";

static const char option_file[] =
    "The file of --config holds one JSON object. Its keys are the long options without dashes. "
    "An option without an argument takes true or false. --mem takes a string or a number of "
    "MiB, and options whose argument is N take a number. --device, --without, --module, "
    "--allow, --deny and --rate take a string or an array of strings, --program a string or an "
    "array of the program and its "
    "arguments; every other option takes a string. File names are relative to the current "
    "directory. What the command line gives wins: an option there takes the place of the "
    "file's, --program there that of the file's kernel and firmware and the other way round, "
    "and --device or --without decides about its module; rules of --allow, --deny and --rate "
    "add "
    "up, and a call denied by either is denied. "
    "--config, --list-modules, --version and --help are no keys.";

static const char *const group_names[] = {
    [CLI_GROUP_GUEST] = "Guest",
    [CLI_GROUP_MACHINE] = "Machine",
    [CLI_GROUP_MODULES] = "Devices and services",
    [CLI_GROUP_OUTPUT] = "Output",
};

static const struct {
    const char *status;
    const char *meaning;
} exit_statuses[] = {
    {"0",     "The guest powered off or ended with 0; or what was asked for is printed."  },
    {"1-255", "The status that the guest gave itself; --report tells it from those below."},
    {"64",    "The command line is wrong."                                                },
    {"65",    "A file's content is unfit: not RISC-V, truncated, a wrong option."         },
    {"66",    "A file is missing or cannot be read."                                      },
    {"69",    "This build or host cannot do what was asked."                              },
    {"70",    "An internal error."                                                        },
    {"71",    "The host refused memory, threads or descriptors."                          },
    {"73",    "An output file cannot be written."                                         },
    {"76",    "A file is of another version of its format."                               },
    {"78",    "Options contradict each other, or modules do."                             },
    {"100",   "The guest did what no machine can continue from."                          },
    {"101",   "A program made a call that nobody answers."                                },
    {"103",   "The step budget (--max-steps) is spent."                                   },
    {"104",   "The guest broke a rule of its policy that stops it."                       },
    {"128+N", "Signal N asked the monitor to end."                                        },
};

static const struct {
    const char *keys;
    const char *meaning;
} console_keys[] = {
    {"Ctrl-A x",      "End the virtual machine."     },
    {"Ctrl-A h",      "Show these keys."             },
    {"Ctrl-A Ctrl-A", "Send one Ctrl-A to the guest."},
};

static const struct {
    const char *command;
    const char *meaning;
} examples[] = {
    {"tollgate run -m 1G -c 4 -i initrd.gz vmlinuz",
     "Boot a Linux kernel with an initial RAM disk on four harts."                                              },
    {"tollgate run --program ./hello one two",                        "Run a static program with two arguments."},
    {"tollgate run --config machine.json -c 4",
     "Take the options from a file, but run four harts."                                                        },
    {"tollgate run --report end.json --max-steps 1000000 kernel.elf",
     "Run at most a million steps, and keep how it ended."                                                      },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void cli_print_version(FILE *out)
{
    fputs("tollgate " TG_VERSION "\n", out);
}

/* --- Help --- */

/* Prints words of text from column `column` on, later lines indented to it, and a newline. */
static void text_wrap(FILE *out, const char *text, size_t column)
{
    size_t at = column;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (at > column && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", (int)column, "");
            at = column;
        }
        if (at > column) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, len, out);
        at += len;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

/* A term at the left and its explanation at the right, or below a long term. */
static void term_print(FILE *out, const char *term, const char *text, size_t column)
{
    int len = fprintf(out, "  %s", term);

    if (len < 0 || (size_t)len + 2 > column)
        fprintf(out, "\n%*s", (int)column, "");
    else
        fprintf(out, "%*s", (int)column - len, "");
    text_wrap(out, text, column);
}

/* "-k, --kernel FILE"; options without a letter keep its place free. */
static void option_term(const struct cli_option *opt, char *term, size_t size)
{
    char letter[8] = "    ";

    if (opt->letter != 0)
        snprintf(letter, sizeof(letter), "-%c, ", opt->letter);
    snprintf(term, size, "%s--%s%s%s", letter, opt->name, opt->arg != NULL ? " " : "",
             opt->arg != NULL ? opt->arg : "");
}

static void statuses_print(FILE *out)
{
    fputs("\nExit status:\n", out);
    for (size_t i = 0; i < COUNT(exit_statuses); i++)
        term_print(out, exit_statuses[i].status, exit_statuses[i].meaning, 10);
}

void cli_print_help(FILE *out)
{
    char term[64];

    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++)
        fprintf(out, "%s tollgate %s %s\n", verb == cli_verbs ? "Usage:" : "      ", verb->name,
                verb->args);
    for (size_t i = 0; command_list[i] != NULL; i++)
        fprintf(out, "       tollgate %s %s\n", command_list[i]->name, command_list[i]->args);
    fputs("       tollgate --version | --help\n\n", out);
    text_wrap(out, description, 0);
    fputs("\nCommands:\n", out);
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        snprintf(term, sizeof(term), "%s %s", verb->name, verb->args);
        term_print(out, term, verb->summary, HELP_TEXT);
    }
    for (size_t i = 0; command_list[i] != NULL; i++)
        term_print(out, command_list[i]->name, command_list[i]->summary, HELP_TEXT);
    fputs("\nExamples:\n", out);
    for (size_t i = 0; i < COUNT(examples); i++)
        fprintf(out, "  %s\n", examples[i].command);
    statuses_print(out);
    fputs("\n'tollgate help run' lists the options of run.\n", out);
}

void cli_print_help_command(FILE *out, const struct command *command)
{
    fprintf(out, "Usage: tollgate %s %s\n\n%s.\n", command->name, command->args,
            command->summary);
    if (command->description != NULL) {
        fputc('\n', out);
        text_wrap(out, command->description, 0);
    }
    if (command->terms != NULL)
        fputc('\n', out);
    for (const struct command_term *t = command->terms; t != NULL && t->term != NULL; t++)
        term_print(out, t->term, t->help, HELP_TEXT);
}

void cli_print_help_run(FILE *out)
{
    char term[80];

    fputs("Usage: tollgate run [options] KERNEL\n"
          "       tollgate run [options] --firmware FILE [KERNEL]\n"
          "       tollgate run [options] --program ELF [ARG...]\n",
          out);
    for (size_t group = 0; group < COUNT(group_names); group++) {
        fprintf(out, "\n%s:\n", group_names[group]);
        for (size_t i = 0; i < CLI_OPTIONS; i++) {
            if (cli_options[i].group != group)
                continue;
            option_term(&cli_options[i], term, sizeof(term));
            term_print(out, term, cli_options[i].help, HELP_TEXT);
        }
    }
    fputs("\nOption file:\n  ", out);
    text_wrap(out, option_file, 2);
    fputs("\nKeys on a terminal:\n", out);
    for (size_t i = 0; i < COUNT(console_keys); i++)
        term_print(out, console_keys[i].keys, console_keys[i].meaning, HELP_TEXT);
    statuses_print(out);
}

/* --- Man page (man(7) macros) --- */

/* Text for roff: dashes stay ASCII, so that options can be copied; no line becomes a request.
 */
static void roff_text(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '-': fputs("\\-", out); break;
        case '\\': fputs("\\e", out); break;
        default: fputc(*text, out);
        }
    }
}

static void roff_term(FILE *out, const char *term, const char *text)
{
    fputs(".TP\n\\fB", out);
    roff_text(out, term);
    fputs("\\fR\n", out);
    roff_text(out, text);
    fputc('\n', out);
}

static void roff_option(FILE *out, const struct cli_option *opt)
{
    fputs(".TP\n", out);
    if (opt->letter != 0)
        fprintf(out, "\\fB\\-%c\\fR, ", opt->letter);
    fputs("\\fB\\-\\-", out);
    roff_text(out, opt->name);
    fputs("\\fR", out);
    if (opt->arg != NULL) {
        fputs(" \\fI", out);
        roff_text(out, opt->arg);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    roff_text(out, opt->help);
    fputc('\n', out);
}

static void roff_synopsis(FILE *out)
{
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        fprintf(out, "%s\\fBtollgate %s\\fR \\fI", verb == cli_verbs ? "" : ".br\n",
                verb->name);
        roff_text(out, verb->args);
        fputs("\\fR\n", out);
    }
    for (size_t i = 0; command_list[i] != NULL; i++) {
        fprintf(out, ".br\n\\fBtollgate %s\\fR \\fI", command_list[i]->name);
        roff_text(out, command_list[i]->args);
        fputs("\\fR\n", out);
    }
    fputs(".br\n\\fBtollgate run\\fR \\fI[options]\\fR \\fB\\-\\-program\\fR \\fIELF "
          "[ARG...]\\fR\n"
          ".br\n\\fBtollgate\\fR \\fB\\-\\-version\\fR | \\fB\\-\\-help\\fR\n",
          out);
}

static void roff_options(FILE *out)
{
    fputs(".SH OPTIONS\nAn option's argument follows it as the next word, after =, or directly "
          "after a letter.\nWhen an option is repeated the last one counts. \\-\\- ends the "
          "options.\n",
          out);
    for (size_t group = 0; group < COUNT(group_names); group++) {
        fprintf(out, ".SS %s\n", group_names[group]);
        for (size_t i = 0; i < CLI_OPTIONS; i++) {
            if (cli_options[i].group == group)
                roff_option(out, &cli_options[i]);
        }
    }
}

/* A section for each command: its name in capitals, as section headings are. */
static void roff_command(FILE *out, const struct command *command)
{
    fputs(".SH ", out);
    for (const char *c = command->name; *c != '\0'; c++)
        fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, out);
    fputc('\n', out);
    roff_text(out, command->description != NULL ? command->description : command->summary);
    fputc('\n', out);
    for (const struct command_term *t = command->terms; t != NULL && t->term != NULL; t++)
        roff_term(out, t->term, t->help);
}

void cli_print_man(FILE *out)
{
    fputs(".TH TOLLGATE 1 \"" TG_DATE "\" \"tollgate " TG_VERSION "\" \"User Commands\"\n"
          ".SH NAME\ntollgate \\- ",
          out);
    roff_text(out, summary);
    fputs("\n.SH SYNOPSIS\n", out);
    roff_synopsis(out);
    fputs(".SH DESCRIPTION\n", out);
    roff_text(out, description);
    fputs("\n.SH COMMANDS\n", out);
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++)
        roff_term(out, verb->name, verb->summary);
    for (size_t i = 0; command_list[i] != NULL; i++)
        roff_term(out, command_list[i]->name, command_list[i]->summary);
    roff_options(out);
    for (size_t i = 0; command_list[i] != NULL; i++)
        roff_command(out, command_list[i]);
    fputs(".SH OPTION FILE\n", out);
    roff_text(out, option_file);
    fputs("\n.SH KEYS\nWhen standard input is a terminal:\n", out);
    for (size_t i = 0; i < COUNT(console_keys); i++)
        roff_term(out, console_keys[i].keys, console_keys[i].meaning);
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < COUNT(exit_statuses); i++)
        roff_term(out, exit_statuses[i].status, exit_statuses[i].meaning);
    fputs(".SH EXAMPLES\n", out);
    for (size_t i = 0; i < COUNT(examples); i++)
        roff_term(out, examples[i].command, examples[i].meaning);
}

/* --- Bash completion --- */

/* The options of one kind as a pattern of `case`: "-k|--kernel|--dtb". False: there are none.
 */
static bool kind_pattern(FILE *out, enum cli_kind kind)
{
    bool any = false;

    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        const struct cli_option *opt = &cli_options[i];

        if (opt->kind != kind)
            continue;
        if (any)
            fputs(" | ", out);
        if (opt->letter != 0)
            fprintf(out, "-%c | ", opt->letter);
        fprintf(out, "--%s", opt->name);
        any = true;
    }
    return any;
}

/* Options whose argument is one of some words: the words. */
static void completion_words(FILE *out)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (cli_options[i].kind != CLI_WORD)
            continue;
        fprintf(out, "    --%s) words='", cli_options[i].name);
        for (const char *c = cli_options[i].arg; *c != '\0'; c++)
            fputc(*c == '|' ? ' ' : *c, out);
        fputs("' ;;\n", out);
    }
}

static void completion_values(FILE *out, const struct module *const *modules)
{
    static const enum cli_kind names_nothing[] = {CLI_TEXT, CLI_SIZE, CLI_COUNT};

    fputs("    case $prev in\n    ", out);
    if (kind_pattern(out, CLI_FILE))
        fputs(" | ", out);
    kind_pattern(out, CLI_REST);
    fputs(") return ;;\n", out);
    for (size_t i = 0; i < COUNT(names_nothing); i++) {
        fputs("    ", out);
        kind_pattern(out, names_nothing[i]);
        fputs(") compopt +o default +o bashdefault 2>/dev/null; return ;;\n", out);
    }
    completion_words(out);
    fputs("    ", out);
    kind_pattern(out, CLI_MODULE);
    fputs(") words='", out);
    for (size_t i = 0; modules[i] != NULL; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", modules[i]->name);
    fputs("' ;;\n    *)\n        [[ $cur == -* ]] || return\n        words='", out);
    for (size_t i = 0; i < CLI_OPTIONS; i++)
        fprintf(out, "%s--%s", i == 0 ? "" : " ", cli_options[i].name);
    fputs("' ;;\n    esac\n", out);
}

static void commands_print(FILE *out)
{
    for (size_t i = 0; command_list[i] != NULL; i++)
        fprintf(out, "%s ", command_list[i]->name);
}

/* Behind a command: the first word of each of its terms; files by bash's default. */
static void completion_commands(FILE *out)
{
    for (size_t i = 0; command_list[i] != NULL; i++) {
        const struct command_term *t = command_list[i]->terms;

        fprintf(out, "    if [[ ${COMP_WORDS[1]} == %s ]]; then\n        words='",
                command_list[i]->name);
        for (; t != NULL && t->term != NULL; t++)
            fprintf(out, "%.*s ", (int)strcspn(t->term, " ="), t->term);
        fputs("--help'\n        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
              "        return\n    fi\n",
              out);
    }
}

void cli_print_completion(FILE *out, const struct module *const *modules)
{
    fputs(
        "# bash completion for tollgate " TG_VERSION ", made from its option table\n"
        "_tollgate()\n{\n"
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words='' "
        "i\n"
        "    COMPREPLY=()\n"
        "    # bash splits --name=value in three words\n"
        "    if [[ $cur == = ]]; then\n        cur=''\n"
        "    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD - 2]}\n    fi\n"
        "    if ((COMP_CWORD == 1)); then\n        words='",
        out);
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++)
        fprintf(out, "%s ", verb->name);
    commands_print(out);
    fputs("--version --help'\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "        return\n    fi\n"
          "    if [[ ${COMP_WORDS[1]} == help ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W 'run ",
          out);
    commands_print(out);
    fputs("' -- \"$cur\")\n"
          "        return\n    fi\n",
          out);
    completion_commands(out);
    fputs("    [[ ${COMP_WORDS[1]} == run ]] || return\n"
          "    # what follows a program belongs to it\n"
          "    for ((i = 2; i < COMP_CWORD - 1; i++)); do\n"
          "        [[ ${COMP_WORDS[i]} == --program && ${COMP_WORDS[i + 1]} != = ]] && return\n"
          "    done\n",
          out);
    completion_values(out, modules);
    fputs("    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o bashdefault -o default -F _tollgate tollgate\n",
          out);
}

/* --- Reference in Markdown --- */

/* A '|' would end the cell of the table, inside code too. */
static void markdown_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void markdown_option(FILE *out, const struct cli_option *opt)
{
    fputs("| ", out);
    if (opt->letter != 0)
        fprintf(out, "`-%c`, ", opt->letter);
    fprintf(out, "`--%s%s", opt->name, opt->arg != NULL ? " " : "");
    markdown_text(out, opt->arg != NULL ? opt->arg : "");
    fputs("` | ", out);
    markdown_text(out, opt->help);
    fputs(" |\n", out);
}

void cli_print_markdown(FILE *out)
{
    fputs("# Options of `tollgate run`\n", out);
    for (size_t group = 0; group < COUNT(group_names); group++) {
        fprintf(out, "\n## %s\n\n| option | meaning |\n| --- | --- |\n", group_names[group]);
        for (size_t i = 0; i < CLI_OPTIONS; i++) {
            if (cli_options[i].group == group)
                markdown_option(out, &cli_options[i]);
        }
    }
    fprintf(out, "\n## Option file\n\n%s\n", option_file);
    fputs("\n## Exit status\n\n| status | meaning |\n| --- | --- |\n", out);
    for (size_t i = 0; i < COUNT(exit_statuses); i++)
        fprintf(out, "| %s | %s |\n", exit_statuses[i].status, exit_statuses[i].meaning);
}

/* --- Modules --- */

/* Says when an engine lets a module's calls be answered where the monitor does not see them. */
static void below_print(FILE *out, const struct engine *engine, const struct module *module)
{
    for (size_t i = 0; i < module->ncalls; i++) {
        const struct call_desc *desc = &module->calls[i];
        enum call_route route = engine->call_route(NULL, desc->ext);

        if (desc->personality == CALL_PROGRAM || route == ROUTE_EXITS)
            continue;
        fprintf(out, "    engine %s: %s\n", engine->name,
                route == ROUTE_BELOW ? "answered by the host's kernel, out of sight of policy"
                                     : "absent, the host's kernel offers no such calls");
        return;
    }
}

void cli_print_modules(FILE *out, const struct module *const *modules)
{
    for (size_t i = 0; modules[i] != NULL; i++) {
        const struct module *module = modules[i];

        fprintf(out, "%-16s %s\n", module->name,
                module->summary != NULL ? module->summary : "");
        for (const struct module_key *key = module->keys; key != NULL && key->key != NULL;
             key++)
            fprintf(out, "    %-12s %s\n", key->key, key->help != NULL ? key->help : "");
        for (size_t e = 0; engine_list[e] != NULL; e++)
            below_print(out, engine_list[e], module);
    }
}
