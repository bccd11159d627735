/* abi_diff.c: what changed between two tables of calls, and whether the version says so. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/abi.h"

#include <errno.h>
#include <string.h>

static const char *const column_names[ABI_COLUMNS] = {
    [ABI_NUMBER] = "number", [ABI_SINCE] = "since",          [ABI_ARGS] = "arguments",
    [ABI_RESULT] = "result", [ABI_ERRORS_LISTED] = "errors", [ABI_EFFECTS] = "effects",
    [ABI_CYCLES] = "cycles", [ABI_CONTRACT] = "text",
};

/* What a guest that was built against the old table would notice, and how badly. */
static const enum abi_step column_steps[ABI_COLUMNS] = {
    [ABI_NUMBER] = ABI_STEP_MAJOR,        [ABI_SINCE] = ABI_STEP_MINOR,
    [ABI_ARGS] = ABI_STEP_MAJOR,          [ABI_RESULT] = ABI_STEP_MAJOR,
    [ABI_ERRORS_LISTED] = ABI_STEP_MINOR, [ABI_EFFECTS] = ABI_STEP_MINOR,
    [ABI_CYCLES] = ABI_STEP_MINOR,        [ABI_CONTRACT] = ABI_STEP_NONE,
};

static const char *const step_names[] = {"none", "minor", "major"};

/* --- columns as text --- */

static void append(char *text, size_t size, const char *comma, const char *a, const char *b)
{
    size_t len = strlen(text);

    snprintf(text + len, size - len, "%s%s%s", len > 0 ? comma : "", a, b);
}

static void append_arg(char *text, size_t size, const struct call_arg *arg)
{
    append(text, size, ",", arg->name, ":");
    append(text, size, "", abi_kind_name(arg->kind), "");
}

static void number_text(const struct call_desc *desc, char *text, size_t size)
{
    const char *who = abi_personality_name(desc->personality);

    if (desc->personality == CALL_PROGRAM)
        snprintf(text, size, "%s %llu", who, (unsigned long long)desc->fn);
    else if (desc->legacy)
        snprintf(text, size, "%s 0x%02llx", who, (unsigned long long)desc->ext);
    else
        snprintf(text, size, "%s 0x%08llx %llu", who, (unsigned long long)desc->ext,
                 (unsigned long long)desc->fn);
}

void abi_column_text(const struct call_desc *desc, enum abi_column column, char *text,
                     size_t size)
{
    text[0] = '\0';
    switch (column) {
    case ABI_NUMBER: number_text(desc, text, size); break;
    case ABI_SINCE: append(text, size, "", desc->since, ""); break;
    case ABI_ARGS:
        for (unsigned i = 0; i < desc->nargs; i++)
            append_arg(text, size, &desc->args[i]);
        break;
    case ABI_RESULT:
        if (desc->result.kind != KIND_NONE)
            append_arg(text, size, &desc->result);
        break;
    case ABI_ERRORS_LISTED:
        for (int code = -1; code > -ABI_ERRORS; code--)
            if (desc->errors & CALL_ERROR(code))
                append(text, size, ",", abi_error_name(code), "");
        break;
    case ABI_EFFECTS:
        for (unsigned i = 0; abi_effect_name(i); i++)
            if (desc->effects & 1u << i)
                append(text, size, ",", abi_effect_name(i), "");
        break;
    case ABI_CYCLES:
        if (desc->cycles_per_kib != 0)
            snprintf(text, size, "%u+%u", desc->cycles, desc->cycles_per_kib);
        else
            snprintf(text, size, "%u", desc->cycles);
        break;
    case ABI_CONTRACT: append(text, size, "", desc->contract, ""); break;
    case ABI_COLUMNS: break;
    }
    if (text[0] == '\0')
        append(text, size, "", "-", "");
}

void abi_list(const struct call_desc *desc, FILE *out)
{
    char number[ABI_COLUMN_MAX], args[ABI_COLUMN_MAX], result[ABI_COLUMN_MAX];

    abi_column_text(desc, ABI_NUMBER, number, sizeof(number));
    abi_column_text(desc, ABI_ARGS, args, sizeof(args));
    abi_column_text(desc, ABI_RESULT, result, sizeof(result));
    fprintf(out, "%-18s %-34s %-4s (%s)", number, desc->name, desc->since,
            desc->nargs > 0 ? args : "");
    if (desc->result.kind != KIND_NONE)
        fprintf(out, " -> %s", result);
    putc('\n', out);
}

/* --- comparison --- */

static void need(struct abi_change *change, enum abi_step step)
{
    if (step > change->needed)
        change->needed = step;
}

static void line_print(FILE *out, const char *name, const char *what, enum abi_step step,
                       const char *from, const char *to)
{
    fprintf(out, "%-34s %-10s %-6s %s%s%s\n", name, what, step_names[step], from,
            *from != '\0' && *to != '\0' ? " -> " : "", to);
}

/* One call that both tables have. */
static void row_compare(const struct call_desc *a, const struct call_desc *b,
                        struct abi_change *change, FILE *out)
{
    bool changed = false;

    for (enum abi_column i = 0; i < ABI_COLUMNS; i++) {
        char from[ABI_COLUMN_MAX], to[ABI_COLUMN_MAX];

        if (i == ABI_CONTRACT) { /* for people; too long to be shown */
            if (strcmp(a->contract, b->contract) != 0)
                line_print(out, a->name, column_names[i], column_steps[i], "", "other words");
            continue;
        }
        abi_column_text(a, i, from, sizeof(from));
        abi_column_text(b, i, to, sizeof(to));
        if (strcmp(from, to) == 0)
            continue;
        line_print(out, a->name, column_names[i], column_steps[i], from, to);
        need(change, column_steps[i]);
        changed = true;
    }
    change->changed += changed;
}

static enum abi_step step_taken(unsigned from, unsigned to)
{
    if (to >> 16 != from >> 16)
        return ABI_STEP_MAJOR;
    return to != from ? ABI_STEP_MINOR : ABI_STEP_NONE;
}

/* New calls are of a version that was not released without them. */
static int row_added(const struct abi *a, const struct abi *b, const struct abi_row *row,
                     struct abi_change *change, FILE *out, struct error *err)
{
    line_print(out, row->desc.name, "added", ABI_STEP_MINOR, "", row->desc.since);
    change->added++;
    need(change, ABI_STEP_MINOR);
    if (row->version > a->version)
        return 0;
    return error_set(err, STATUS_CONFIG,
                     "%s:%u: %s is new, but says that version %s has it, and '%s' of version "
                     "%u.%u has not; give a later version, and raise the line 'abi' to it",
                     b->file, row->line, row->desc.name, row->desc.since, a->file,
                     a->version >> 16, a->version & 0xffff);
}

static int step_check(const struct abi *a, const struct abi *b, struct abi_change *change,
                      struct error *err)
{
    unsigned major = a->version >> 16, minor = a->version & 0xffff;
    bool big = change->needed == ABI_STEP_MAJOR;

    change->taken = step_taken(a->version, b->version);
    if (b->version < a->version)
        return error_set(err, STATUS_CONFIG, "%s is of version %u.%u, older than %u.%u of '%s'",
                         b->file, b->version >> 16, b->version & 0xffff, major, minor, a->file);
    if (change->taken >= change->needed)
        return 0;
    return error_set(
        err, STATUS_CONFIG,
        "%s changes what '%s' of version %u.%u promises; begin it with 'abi %u.%u' "
        "or later",
        b->file, a->file, major, minor, big ? major + 1 : major, big ? 0 : minor + 1);
}

int abi_diff(const struct abi *a, const struct abi *b, struct abi_change *change, FILE *out,
             struct error *err)
{
    int rc = 0;

    *change = (struct abi_change){0};
    fprintf(out, "%-34s %-10s %-6s %u.%u -> %u.%u\n", "call", "change", "step",
            a->version >> 16, a->version & 0xffff, b->version >> 16, b->version & 0xffff);
    for (size_t i = 0; i < a->nrows; i++) {
        const struct abi_row *old = &a->row[i], *new = abi_find(b, old->desc.name);

        if (new) {
            row_compare(&old->desc, &new->desc, change, out);
            continue;
        }
        line_print(out, old->desc.name, "vanished", ABI_STEP_MAJOR, "", "");
        change->vanished++;
        need(change, ABI_STEP_MAJOR);
    }
    for (size_t i = 0; i < b->nrows; i++)
        if (!abi_find(a, b->row[i].desc.name) &&
            row_added(a, b, &b->row[i], change, out, err) != 0)
            rc = -EINVAL;
    if (rc != 0)
        return rc;
    return step_check(a, b, change, err);
}
