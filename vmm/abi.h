/* abi.h: the table of calls: its text, its rows, what is generated from them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ABI_H
#define VMM_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/call.h"
#include "vmm/error.h"

/*
 * The table (hypercalls/abi.tbl) is the one place where a call is described; docs/call.md says
 * how a row is written. The parser is strict, since everything else is generated from what it
 * lets through. It serves the build (hypercalls/abigen.c) and `tollgate abi`.
 */
#define ABI_ROWS_MAX 1024

struct abi_row {
    struct call_desc desc; /* without a handler */
    struct call_arg arg[CALL_ARGS];
    unsigned line; /* where it stands in the file */
    unsigned version;
};

struct abi {
    const char *file; /* for messages; the caller's */
    char *source;     /* the table as it was given */
    char *text;       /* what the rows point into: the same, cut up */
    unsigned version; /* major << 16 | minor, as tg.base.version answers */
    size_t nrows;
    struct abi_row *row;
};

/*
 * Parses `len` bytes of a table. 0, or -EINVAL with *err set, which names file and line, what
 * was wrong and what would be right. abi_free is due in either case.
 */
int abi_parse(struct abi *abi, const char *file, const char *text, size_t len,
              struct error *err);

/* Reads and parses a file. STATUS_NO_INPUT in *err when it cannot be read. */
int abi_load(struct abi *abi, const char *path, struct error *err);

void abi_free(struct abi *abi);

const struct abi_row *abi_find(const struct abi *abi, const char *name);

/* Length of the group of a call's name: what stands before the last dot. */
size_t abi_group_len(const char *name);

/* The core answers it: it has a row, but no module and no handler. */
bool abi_core(const struct call_desc *desc);

/* Names of the table's words. */
const char *abi_kind_name(enum call_kind kind);
const char *abi_personality_name(enum personality personality);
const char *abi_effect_name(unsigned bit); /* of 1 << bit; NULL: no such effect */
const char *abi_error_name(int code);      /* "INVALID_PARAM" of -3; NULL: none */
#define ABI_ERRORS 15                      /* codes 0 to -(ABI_ERRORS - 1) */

/* What can be generated from a table. */
enum abi_output {
    ABI_HEADER,   /* numbers for guests, C and assembly */
    ABI_STUBS,    /* C functions for guests, one a call */
    ABI_CALLS,    /* descriptors for the module that answers one group */
    ABI_TABLE,    /* descriptors of all rows and the table's text, for the monitor */
    ABI_MARKDOWN, /* the reference */
    ABI_MAN,      /* the same as a manual page */
    ABI_POLICY,   /* a policy that lists every call */
    ABI_OUTPUTS,
};

const char *abi_output_name(enum abi_output output);

/* Writes one output. `group` ("tg.sum") is for ABI_CALLS; elsewhere NULL. */
void abi_generate(const struct abi *abi, enum abi_output output, const char *group, FILE *out);

/* The outputs by themselves. */
void abi_emit_header(const struct abi *abi, FILE *out);
void abi_emit_stubs(const struct abi *abi, FILE *out);
void abi_emit_calls(const struct abi *abi, const char *group, FILE *out);
void abi_emit_table(const struct abi *abi, FILE *out);
void abi_emit_markdown(const struct abi *abi, FILE *out);
void abi_emit_man(const struct abi *abi, FILE *out);
void abi_emit_policy(const struct abi *abi, FILE *out);

/* Prints one call's contract; one line of a list of them. */
void abi_show(const struct call_desc *desc, FILE *out);
void abi_list(const struct call_desc *desc, FILE *out);

/* A column of a row, as the table writes it. */
enum abi_column {
    ABI_NUMBER,
    ABI_SINCE,
    ABI_ARGS,
    ABI_RESULT,
    ABI_ERRORS_LISTED,
    ABI_EFFECTS,
    ABI_CYCLES,
    ABI_CONTRACT,
    ABI_COLUMNS,
};
#define ABI_COLUMN_MAX 512 /* bytes of any of them but the contract, which may be cut */
void abi_column_text(const struct call_desc *desc, enum abi_column column, char *text,
                     size_t size);

/* How far the version of the table must step for a change. */
enum abi_step {
    ABI_STEP_NONE,
    ABI_STEP_MINOR, /* 1.3 to 1.4: who used the old table finds what it used */
    ABI_STEP_MAJOR, /* 1.3 to 2.0: a call vanished, or means something else */
};

/* What the comparison of two tables has found. */
struct abi_change {
    unsigned changed, added, vanished;
    enum abi_step needed, taken;
};

/*
 * Prints the ABI change table from `a` to `b`: a line for each row that changed, with what was
 * and what is. -EINVAL with *err set when b's version does not step as far as its changes need,
 * or a new call says that it has been there before.
 */
int abi_diff(const struct abi *a, const struct abi *b, struct abi_change *change, FILE *out,
             struct error *err);

/* The table of this build: every row, without handlers, and the text it was made from. */
extern const struct call_desc abi_calls[];
extern const size_t abi_ncalls;
extern const char abi_text[];
extern const size_t abi_text_len;

#endif
