/* command.h: the commands beside `run`: each a file of its own that parses its words and does
 * it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_COMMAND_H
#define VMM_COMMAND_H

#include "vmm/error.h"

/* What can stand behind a command: an option ("--json FILE") or a word ("show FILE"). */
struct command_term {
    const char *term;
    const char *help; /* one to three plain sentences */
};

/* A command: the first word after `tollgate`. Help, man page and completion are made from it.
 */
struct command {
    const char *name;
    const char *args;                 /* how help shows its arguments */
    const char *summary;              /* one line, no stop at its end */
    const char *description;          /* sentences for `tollgate help NAME`; NULL: none */
    const struct command_term *terms; /* ends with a NULL term; NULL: none */
    /*
     * argv[0] is the name. Returns the process's exit status; when that comes from *err, the
     * message is set and printed by the caller.
     */
    int (*run)(int argc, char *const *argv, struct error *err);
};

/* All of them, in the order of commands.def; ends with NULL. */
extern const struct command *const command_list[];

/* NULL: there is none of that name. */
const struct command *command_find(const char *name);

#endif
