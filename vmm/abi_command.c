/* abi_command.c: `tollgate abi`: lists, explains and compares the calls, and makes files of
 * them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stddef.h>
#include <string.h>
#include "vmm/abi.h"
#include "vmm/command.h"

/* The words behind a subcommand, without the option --table. */
struct words {
    const char *table; /* NULL: the build's own */
    const char *word[3];
    int n;
};

static int table_load(struct abi *abi, const char *path, struct error *err)
{
    if (path)
        return abi_load(abi, path, err);
    return abi_parse(abi, "hypercalls/abi.tbl", abi_text, abi_text_len, err);
}

/* How many words a subcommand takes: from least to most. */
static int words_parse(struct words *w, int argc, char *const *argv, int least, int most,
                       struct error *err)
{
    *w = (struct words){
        .word = {"", "", ""}
    };
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--table") == 0) {
            if (++i == argc)
                return error_set(err, STATUS_USAGE, "--table: no file; give --table FILE");
            w->table = argv[i];
        } else if (strncmp(word, "--table=", 8) == 0) {
            w->table = word + 8;
        } else if (word[0] == '-' && word[1] != '\0') {
            return error_set(err, STATUS_USAGE, "%s: unknown option '%.80s'; there is --table",
                             argv[1], word);
        } else if (w->n == most) {
            return error_set(err, STATUS_USAGE,
                             "%s: '%.80s' is too much; 'tollgate help abi' "
                             "says what it takes",
                             argv[1], word);
        } else {
            w->word[w->n++] = word;
        }
    }
    if (w->n < least)
        return error_set(err, STATUS_USAGE,
                         "%s: too few words; 'tollgate help abi' says what it takes", argv[1]);
    return 0;
}

/* A call, or all below a dot; "": all. */
static bool name_matches(const char *name, const char *wanted)
{
    size_t len = strlen(wanted);

    return len == 0 ||
           (strncmp(name, wanted, len) == 0 && (name[len] == '\0' || name[len] == '.'));
}

/* list [NAME], show NAME: one walk over the rows. */
static int rows_print(int argc, char *const *argv, bool list, struct error *err)
{
    struct words w;
    struct abi abi;
    bool found = false;
    int rc;

    if (words_parse(&w, argc, argv, list ? 0 : 1, 1, err) != 0)
        return (int)err->status;
    rc = table_load(&abi, w.table, err);
    for (size_t i = 0; rc == 0 && i < abi.nrows; i++) {
        const struct call_desc *desc = &abi.row[i].desc;

        if (!name_matches(desc->name, w.word[0]))
            continue;
        if (list) {
            abi_list(desc, stdout);
        } else {
            fputs(found ? "\n" : "", stdout);
            abi_show(desc, stdout);
        }
        found = true;
    }
    if (rc == 0 && !found)
        error_set(err, STATUS_USAGE,
                  "%s: there is no call '%.80s'; give one (sbi.dbcn.write) or a group "
                  "(sbi.dbcn); 'tollgate abi list' lists them",
                  argv[1], w.word[0]);
    abi_free(&abi);
    return (int)err->status;
}

static int do_list(int argc, char *const *argv, struct error *err)
{
    return rows_print(argc, argv, true, err);
}

static int do_show(int argc, char *const *argv, struct error *err)
{
    return rows_print(argc, argv, false, err);
}

static int do_diff(int argc, char *const *argv, struct error *err)
{
    struct abi_change change;
    struct abi a = {0}, b = {0};
    struct words w;

    if (words_parse(&w, argc, argv, 1, 2, err) != 0)
        return (int)err->status;
    if (w.table)
        error_set(err, STATUS_USAGE, "diff: --table has no place here; give two tables");
    else if (table_load(&a, w.word[0], err) == 0 &&
             table_load(&b, w.n > 1 ? w.word[1] : NULL, err) == 0)
        (void)abi_diff(&a, &b, &change, stdout, err);
    abi_free(&a);
    abi_free(&b);
    return (int)err->status;
}

static int output_find(const char *name, enum abi_output *output, struct error *err)
{
    for (enum abi_output i = 0; i < ABI_OUTPUTS; i++)
        if (strcmp(abi_output_name(i), name) == 0) {
            *output = i;
            return 0;
        }
    return error_set(err, STATUS_USAGE,
                     "generate: '%.80s' cannot be made; give header, stubs, calls, table, "
                     "markdown, man or policy",
                     name);
}

static bool group_present(const struct abi *abi, const char *group)
{
    for (size_t i = 0; i < abi->nrows; i++)
        if (!abi_core(&abi->row[i].desc) &&
            abi_group_len(abi->row[i].desc.name) == strlen(group) &&
            name_matches(abi->row[i].desc.name, group))
            return true;
    return false;
}

static int do_generate(int argc, char *const *argv, struct error *err)
{
    enum abi_output output = ABI_HEADER;
    struct words w;
    struct abi abi;

    if (words_parse(&w, argc, argv, 1, 2, err) != 0 ||
        output_find(w.word[0], &output, err) != 0)
        return (int)err->status;
    if ((output == ABI_CALLS) != (w.n == 2)) {
        error_set(err, STATUS_USAGE, "generate %s: %s", w.word[0],
                  output == ABI_CALLS ? "no group; give one, as sbi.dbcn"
                                      : "a group is for calls only; leave it out");
        return (int)err->status;
    }
    if (table_load(&abi, w.table, err) == 0) {
        if (output == ABI_CALLS && !group_present(&abi, w.word[1]))
            error_set(
                err, STATUS_USAGE,
                "generate calls: no module answers a group '%.80s'; give one, as sbi.dbcn",
                w.word[1]);
        else
            abi_generate(&abi, output, w.word[1], stdout);
    }
    abi_free(&abi);
    return (int)err->status;
}

static int abi_run(int argc, char *const *argv, struct error *err)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char *const *argv, struct error *err);
    } subcommands[] = {
        {"list",     do_list    },
        {"show",     do_show    },
        {"diff",     do_diff    },
        {"generate", do_generate},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc, argv, err);
    error_set(err, STATUS_USAGE,
              "'%.80s' is nothing it does; give list, show, diff or generate",
              argc > 1 ? argv[1] : "");
    return (int)err->status;
}

static const struct command_term terms[] = {
    {"list [NAME]",           "List the calls, or those of a group: number, name, version since, "
                    "arguments, result."                                            },
    {"show NAME",             "Print the contract of a call, or of all calls of a group: number, what goes "
                  "in and comes out in registers and memory, errors, effects, cycles."},
    {"diff A [B]",            "Print what changed from table A to table B, or to this build's. Ends with "
                   "status 78 when the version of B does not say so."                },
    {"generate KIND [GROUP]",
     "Print what is made from the table: header, stubs (for guests), "
     "calls (descriptors of a GROUP, for its module), table, markdown, "
     "man, policy."                                                                                    },
    {"--table FILE",          "Take the table from FILE instead of this build's."                      },
    {NULL,                    NULL                                                                     },
};

const struct command command_abi = {
    .name = "abi",
    .args = "list|show|diff|generate ...",
    .summary = "Show the table of calls, compare two, or make files from one",
    .description =
        "Every call that a guest can make is a row of one table, with its number, "
        "arguments, results, errors, effects and cost. The build makes the guest's "
        "headers, the monitor's descriptors and the reference from it; a module that "
        "is built elsewhere makes its own from a table of its own.",
    .terms = terms,
    .run = abi_run,
};
