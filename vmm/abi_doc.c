/* abi_doc.c: what people are given from the table of calls: reference, manual page, policy. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/abi.h"
#include "vmm/version.h"

#include <string.h>

/* Part of the build's generator: no number of the table may be used here. */

/* --- the words of a contract, the same in every form --- */

static void put_version(const struct abi *abi, FILE *out)
{
    fprintf(out, "%u.%u", abi->version >> 16, abi->version & 0xffff);
}

/* Where the number of a call stands. */
static void put_number(const struct call_desc *desc, FILE *out)
{
    if (desc->personality == CALL_PROGRAM)
        fprintf(out, "a7 = %llu", (unsigned long long)desc->fn);
    else if (desc->legacy)
        fprintf(out, "a7 = 0x%02llx", (unsigned long long)desc->ext);
    else
        fprintf(out, "a7 = 0x%08llx, a6 = %llu", (unsigned long long)desc->ext,
                (unsigned long long)desc->fn);
}

static void put_inputs(const struct call_desc *desc, FILE *out)
{
    for (unsigned i = 0; i < desc->nargs; i++)
        fprintf(out, "%sa%u = %s (%s)", i > 0 ? ", " : "", i, desc->args[i].name,
                abi_kind_name(desc->args[i].kind));
    if (desc->nargs == 0)
        fputs("none", out);
    if (desc->buf_kind == CALL_BUF_IN)
        fprintf(out, "; memory: reads %s bytes at %s", desc->args[desc->buf_len_arg].name,
                desc->args[desc->buf_len_arg + 1].name);
}

static void put_outputs(const struct call_desc *desc, FILE *out)
{
    bool one = desc->legacy || desc->personality == CALL_PROGRAM;

    if (one)
        fputs(desc->result.kind == KIND_NONE ? "a0 = 0 or the error" : "a0 = ", out);
    else
        fputs("a0 = 0 or the error", out);
    if (desc->result.kind != KIND_NONE)
        fprintf(out, "%s%s (%s)%s", one ? "" : ", a1 = ", desc->result.name,
                abi_kind_name(desc->result.kind), one ? " or the error" : "");
    if (desc->buf_kind == CALL_BUF_OUT)
        fprintf(out, "; memory: writes %s bytes at %s", desc->result.name,
                desc->args[desc->buf_len_arg + 1].name);
    else if (desc->effects & CALL_WRITES_MEM)
        fputs("; memory: see above", out);
}

static void put_errors(const struct call_desc *desc, FILE *out)
{
    const char *before = "";

    for (int code = -1; code > -ABI_ERRORS; code--)
        if (desc->errors & CALL_ERROR(code)) {
            fprintf(out, "%s%s (%d)", before, abi_error_name(code), code);
            before = ", ";
        }
    if (*before == '\0')
        fputs("none of its own", out);
}

static void put_effects(const struct call_desc *desc, FILE *out)
{
    const char *before = "";

    for (unsigned i = 0; abi_effect_name(i); i++)
        if (desc->effects & 1u << i) {
            fprintf(out, "%s%s", before, abi_effect_name(i));
            before = ", ";
        }
    if (*before == '\0')
        fputs("none", out);
}

static void put_cycles(const struct call_desc *desc, FILE *out)
{
    fprintf(out, "%u", desc->cycles);
    if (desc->cycles_per_kib != 0)
        fprintf(out, ", and %u for each KiB of the buffer begun", desc->cycles_per_kib);
}

/* The parts of a contract behind its text. */
static const struct {
    const char *title;
    void (*put)(const struct call_desc *desc, FILE *out);
} parts[] = {
    {"Number",  put_number },
    {"In",      put_inputs },
    {"Out",     put_outputs},
    {"Errors",  put_errors },
    {"Effects", put_effects},
    {"Cycles",  put_cycles },
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

static const char *const preface[] = {
    "A kernel makes a call with the instruction ecall in S-mode: the extension in a7, the "
    "function in a6, arguments in a0 to a5. It returns the error in a0 and the result in a1, "
    "and "
    "preserves every other register. Legacy extensions (0x00 to 0x0f) return both in a0. A "
    "program makes one from U-mode, with the number in a7, and gets its result in a0.",

    "Addresses are guest-physical unless their kind is virtual, and come as a low and a high "
    "half; the high half is 0 on RV64. A buffer that is not RAM throughout is INVALID_PARAM, "
    "and "
    "the call has no effect. One call copies 64 KiB at most.",

    "Every call but the ends of a machine can be answered DENIED (-4), when a policy refuses "
    "it, "
    "and NOT_SUPPORTED (-2), when this machine is without its module. Cycles are charged to "
    "the "
    "calling hart in deterministic runs, beside one for each instruction.",
};
#define PREFACES (sizeof(preface) / sizeof(preface[0]))

/* Words in lines of a terminal's width, indented. */
static void put_wrapped(const char *text, FILE *out)
{
    size_t column = 80;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column + 1 + len > 79) {
            fputs(column == 80 ? "   " : "\n   ", out);
            column = 3;
        }
        fprintf(out, " %.*s", (int)len, text);
        column += 1 + len;
        text += len + strspn(text + len, " ");
    }
    putc('\n', out);
}

void abi_show(const struct call_desc *desc, FILE *out)
{
    fprintf(out, "%s (since %s)\n", desc->name, desc->since);
    put_wrapped(desc->contract, out);
    for (size_t i = 0; i < PARTS; i++) {
        fprintf(out, "  %-8s ", parts[i].title);
        parts[i].put(desc, out);
        putc('\n', out);
    }
}

/* --- Markdown --- */

/* What reads as markup stands for itself. */
static void put_markdown(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("*_<>|`\\[]", *text))
            putc('\\', out);
        putc(*text, out);
    }
}

void abi_emit_markdown(const struct abi *abi, FILE *out)
{
    fputs("# The calls of version ", out);
    put_version(abi, out);
    fputs("\n\nMade from `hypercalls/abi.tbl` by the build; `tollgate abi list` and `tollgate "
          "abi "
          "show CALL` print the\nsame.\n",
          out);
    for (size_t i = 0; i < PREFACES; i++) {
        putc('\n', out);
        put_markdown(preface[i], out);
        putc('\n', out);
    }
    for (size_t i = 0; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;

        fprintf(out, "\n## `%s`\n\nSince %s. ", desc->name, desc->since);
        put_markdown(desc->contract, out);
        fputs("\n\n", out);
        for (size_t p = 0; p < PARTS; p++) {
            fprintf(out, "- %s: ", parts[p].title);
            parts[p].put(desc, out);
            putc('\n', out);
        }
    }
}

/* --- manual page --- */

/* A line of text: one that would begin with a request's dot or quote is kept from it. */
static void put_roff(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '.' && text[1] == ' ')
            fputs(".\n", out), text++;
        else
            putc(*text, out);
    }
    putc('\n', out);
}

void abi_emit_man(const struct abi *abi, FILE *out)
{
    fputs(".TH TOLLGATE\\-CALLS 7 \"" TG_DATE "\" \"Tollgate ABI ", out);
    put_version(abi, out);
    fputs("\" \"Tollgate\"\n.SH NAME\ntollgate\\-calls \\- the calls that a guest of Tollgate "
          "can "
          "make\n.SH DESCRIPTION\n",
          out);
    for (size_t i = 0; i < PREFACES; i++) {
        if (i > 0)
            fputs(".PP\n", out);
        put_roff(preface[i], out);
    }
    fputs(".SH CALLS\n", out);
    for (size_t i = 0; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;

        fprintf(out, ".SS %s\n", desc->name);
        put_roff(desc->contract, out);
        fprintf(out, "Since %s.\n", desc->since);
        for (size_t p = 0; p < PARTS; p++) {
            fprintf(out, ".TP 9\n.B %s\n", parts[p].title);
            parts[p].put(desc, out);
            putc('\n', out);
        }
    }
    fputs(".SH SEE ALSO\n.BR tollgate (1)\n", out);
}

/* --- policy --- */

/* Allows every call; who wants less takes rules out, or gives them "args" by these names. */
void abi_emit_policy(const struct abi *abi, FILE *out)
{
    const char *before = "";

    fputs("{\n  \"version\": 1,\n  \"default\": \"deny\",\n  \"rules\": [", out);
    for (size_t i = 0; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;

        if (abi_core(desc))
            continue; /* nothing refuses it */
        fprintf(out, "%s\n    {\"allow\": \"%s\", \"comment\": \"effects: ", before,
                desc->name);
        put_effects(desc, out);
        fputs("; arguments:", out);
        for (unsigned j = 0; j < desc->nargs; j++)
            fprintf(out, "%s %s", j > 0 ? "," : "", desc->args[j].name);
        fprintf(out, "%s\"}", desc->nargs == 0 ? " none" : "");
        before = ",";
    }
    fputs("\n  ]\n}\n", out);
}
