/* abigen.c: the build's own tool: makes from the table of calls all that is made from it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "vmm/abi.h"

/*
 * Usage: abigen TABLE FOLDER. Writes below the folder, in the places that the sources include
 * them from:
 *
 *   guest/abi/calls.h, guest/abi/stubs.h    for guests
 *   hypercalls/calls/GROUP.h                for each module that answers calls
 *   vmm/abi_table.c                         for the monitor
 *   docs/calls.md, docs/tollgate-calls.7, docs/policy.json
 *
 * A file whose content stays as it was is left alone, so that make builds only what changed.
 */

static int report(const char *what, const char *path)
{
    fprintf(stderr, "abigen: cannot %s '%s': %s\n", what, path, strerror(errno));
    return -1;
}

/* Makes the folders above a file. */
static int folders_make(char *path)
{
    for (char *c = path + 1; *c != '\0'; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        int rc = mkdir(path, 0777);
        *c = '/';
        if (rc != 0 && errno != EEXIST)
            return report("make the folder of", path);
    }
    return 0;
}

static bool files_same(const char *a, const char *b)
{
    FILE *fa = fopen(a, "r"), *fb = fopen(b, "r");
    bool same = fa && fb;
    int c = 0;

    while (same && c != EOF) {
        c = getc(fa);
        same = c == getc(fb);
    }
    if (fa)
        fclose(fa);
    if (fb)
        fclose(fb);
    return same;
}

static int output_write(const struct abi *abi, enum abi_output output, const char *group,
                        const char *folder, const char *name)
{
    char path[512], made[520];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(made, sizeof(made), "%s.new", path);
    if (folders_make(made) != 0)
        return -1;
    out = fopen(made, "w");
    if (!out)
        return report("write", made);
    abi_generate(abi, output, group, out);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return report("write", made);
    if (files_same(path, made))
        return remove(made) == 0 ? 0 : report("remove", made);
    return rename(made, path) == 0 ? 0 : report("rename", made);
}

/* The descriptors of each group that a module answers. */
static int groups_write(const struct abi *abi, const char *folder)
{
    for (size_t i = 0; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;
        char group[64], name[96];

        if (abi_core(desc))
            continue;
        snprintf(group, sizeof(group), "%.*s", (int)abi_group_len(desc->name), desc->name);
        snprintf(name, sizeof(name), "hypercalls/calls/%s.h", group);
        *strchr(name, '.') = '_';
        if (output_write(abi, ABI_CALLS, group, folder, name) != 0)
            return -1;
    }
    return 0;
}

static int all_write(const struct abi *abi, const char *folder)
{
    static const struct {
        enum abi_output output;
        const char *name;
    } files[] = {
        {ABI_HEADER,   "guest/abi/calls.h"    },
        {ABI_STUBS,    "guest/abi/stubs.h"    },
        {ABI_TABLE,    "vmm/abi_table.c"      },
        {ABI_MARKDOWN, "docs/calls.md"        },
        {ABI_MAN,      "docs/tollgate-calls.7"},
        {ABI_POLICY,   "docs/policy.json"     },
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (output_write(abi, files[i].output, NULL, folder, files[i].name) != 0)
            return -1;
    return groups_write(abi, folder);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct abi abi;
    int status = 0;

    if (argc != 3) {
        fputs("usage: abigen TABLE FOLDER\n", stderr);
        return STATUS_USAGE;
    }
    if (abi_load(&abi, argv[1], &err) != 0) {
        fprintf(stderr, "abigen: %s\n", err.text);
        status = (int)err.status;
    } else if (all_write(&abi, argv[2]) != 0) {
        status = STATUS_CANT_CREATE;
    }
    abi_free(&abi);
    return status;
}
