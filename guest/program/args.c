/* args.c: a bare program that checks its arguments on the stack: the status is argc. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdbool.h>
#include <stddef.h>
#include "guest/lib/program/program.h"
#include "guest/lib/string.h"

#define AT_NULL  0
#define AUXV_MAX 64

/* The strings lie above the vectors, and end. */
static bool string_good(const uint64_t *stack, uint64_t ptr)
{
    return ptr > (uintptr_t)stack && strlen((const char *)ptr) < 4096;
}

/* auxv: pairs of type and value up to AT_NULL. */
static bool auxv_good(const uint64_t *auxv)
{
    for (size_t i = 0; i < AUXV_MAX; i++)
        if (auxv[2 * i] == AT_NULL)
            return true;
    return false;
}

/* Statuses from 201 on say what was wrong. */
int program_main(const uint64_t *stack)
{
    uint64_t argc = stack[0];
    const uint64_t *argv = stack + 1;
    const uint64_t *envp;

    if ((uintptr_t)stack & 15)
        return 201;
    if (argc < 1 || argc > 100)
        return 202;
    for (uint64_t i = 0; i < argc; i++)
        if (!string_good(stack, argv[i]))
            return 203;
    if (argv[argc] != 0)
        return 204;
    for (envp = argv + argc + 1; *envp; envp++)
        if (!string_good(stack, *envp))
            return 205;
    if (!auxv_good(envp + 1))
        return 206;
    if (argc == 4 &&
        (strcmp((const char *)argv[1], "one") || strcmp((const char *)argv[2], "") ||
         strcmp((const char *)argv[3], "three words here")))
        return 207;
    return (int)argc;
}
