/* command.c: the list of the commands beside `run`. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/command.h"

#include <stddef.h>
#include <string.h>

#define COMMAND(symbol) extern const struct command command_##symbol;
#include "vmm/commands.def"
#undef COMMAND

const struct command *const command_list[] = {
#define COMMAND(symbol) &command_##symbol,
#include "vmm/commands.def"
#undef COMMAND
    NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; command_list[i] != NULL; i++) {
        if (strcmp(command_list[i]->name, name) == 0)
            return command_list[i];
    }
    return NULL;
}
