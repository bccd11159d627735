/* policy_doc.h: a policy as it was written: rules, scopes and grants, each with its place. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POLICY_DOC_H
#define VMM_POLICY_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "vmm/call.h"
#include "vmm/error.h"

#define POLICY_SIZE_MAX   (UINT64_C(4) << 20) /* bytes of a policy file */
#define POLICY_RULES_MAX  4096u
#define POLICY_RANGES_MAX 65536u /* of all rules together */
#define POLICY_NAME_MAX   64u
#define POLICY_RATE_MAX   UINT64_C(1000000000) /* calls a second; bytes a second: times 1000 */

/* Which calls a rule speaks of. */
struct policy_target {
    enum policy_target_kind {
        POLICY_NAME,    /* a call, or a group: every name below a dot */
        POLICY_EXT,     /* "0xEXT": all functions of an extension */
        POLICY_CALL,    /* "0xEXT/FN" */
        POLICY_PROGRAM, /* "program/N" */
    } kind;
    char name[POLICY_NAME_MAX]; /* as it was written, whatever the kind */
    uint64_t ext, fn;           /* POLICY_PROGRAM: the number is fn */
};

/* Both ends belong to it. */
struct policy_range {
    uint64_t min, max;
};

/* What an argument must be: in one of the ranges, which are sorted and do not touch. */
struct policy_arg {
    char name[POLICY_NAME_MAX]; /* "arg0" to "arg5", or what the table of calls names it */
    struct policy_range *range;
    size_t nranges;
};

enum policy_kind { POLICY_ALLOW, POLICY_DENY, POLICY_RATE };

/* What becomes of a call that is refused. */
enum policy_refusal {
    POLICY_INHERIT, /* what the whole policy says */
    POLICY_ERROR,   /* the guest gets an error: DENIED, or TIMEOUT when a rate is exceeded */
    POLICY_STOP,    /* the machine ends, cause "policy" */
    POLICY_LOG,     /* the call is made, and told about */
};

/* A limit: so many units a second, and so many at once after a pause. 0 a second: no limit. */
struct policy_limit {
    uint64_t rate, burst;
};

struct policy_rule {
    enum policy_kind kind;
    struct policy_target target;
    struct policy_arg arg[CALL_ARGS];
    unsigned nargs;
    enum policy_refusal refusal;
    struct policy_limit calls, bytes; /* POLICY_RATE */
    uint64_t seen;                    /* how often a recorded run made the call; 0: not told */
    char *comment;                    /* or NULL */
    bool override;                    /* it decides before all that do not have this */
    bool option;                      /* from the command line: --deny and the like */
    unsigned index, line;             /* rules[index] on that line of the file */
};

/* What the calls of a module may do at most. */
struct policy_scope {
    char module[POLICY_NAME_MAX]; /* or "*": every module without a scope of its own */
    unsigned effects;             /* CALL_WRITES_MEM and the like */
    unsigned index, line;
};

/* A host directory (or file) that the host file service may touch. */
struct policy_grant {
    char *path; /* as it was written: relative to the current directory */
    char name[POLICY_NAME_MAX];
    bool read, write;
    unsigned line;
};

/* Host numbers (signals, descriptors, system calls) that a service may touch. */
struct policy_numbers {
    char service[POLICY_NAME_MAX]; /* a module */
    struct policy_range *range;
    size_t nranges;
    unsigned line;
};

/* A call or group that may read the host in a deterministic run. */
struct policy_name {
    char name[POLICY_NAME_MAX];
    unsigned line;
};

/* What becomes of a call that no rule names. */
enum policy_default {
    POLICY_DEFAULT_SHIPPED, /* as without a policy: the host is out of reach, but the console */
    POLICY_DEFAULT_ALLOW,
    POLICY_DEFAULT_DENY,
    POLICY_DEFAULT_LOG, /* it is made, and told about */
};

struct policy_doc {
    const char *path; /* of the file, borrowed; NULL: there is none */
    char *comment;    /* or NULL */
    enum policy_default def;
    enum policy_refusal refusal; /* never POLICY_INHERIT */
    struct policy_rule *rule;
    size_t nrules;
    struct policy_scope *scope;
    size_t nscopes;
    struct policy_grant *grant;
    size_t ngrants;
    struct policy_numbers *numbers;
    size_t nnumbers;
    struct policy_name *deterministic;
    size_t ndeterministic;
    size_t nranges; /* of all rules and numbers, for POLICY_RANGES_MAX */
};

/* An empty policy, which is the shipped one. */
void policy_doc_init(struct policy_doc *doc);
void policy_doc_free(struct policy_doc *doc);

/*
 * Reads a policy file into *doc, which is initialised. Everything is checked that can be
 * without knowing the guest: messages begin "--policy: 'path', line N" and name the rule. 0 or
 * -errno with *err set (STATUS_NO_INPUT, STATUS_DATA). On failure *doc must still be freed.
 */
int policy_doc_read(struct policy_doc *doc, const char *path, struct error *err);
/* The same with the content given. */
int policy_doc_parse(struct policy_doc *doc, const char *path, const void *data, size_t size,
                     struct error *err);

/*
 * Adds a rule of the command line, which overrides those of files: "CALL" for --allow and
 * --deny, "CALL,calls=N,burst=N, bytes=N,bytes-burst=N" for --rate. 0 or -errno with *err set
 * (STATUS_USAGE).
 */
int policy_doc_option(struct policy_doc *doc, enum policy_kind kind, const char *text,
                      struct error *err);

/* Appends an empty element to one of the arrays; NULL: no memory. For builders of policies. */
struct policy_rule *policy_rule_add(struct policy_doc *doc);
struct policy_name *policy_name_add(struct policy_doc *doc);

/* A name or number as rules have it. False: it is none. */
bool policy_target_parse(struct policy_target *target, const char *text);

/* A 64-bit number as rules have it: decimal, or hexadecimal behind 0x. False: it is none. */
bool policy_number_parse(const char *text, uint64_t *value);

/* Writes the policy as JSON that policy_doc_parse reads back. 0 or -ENOMEM. */
int policy_doc_print(const struct policy_doc *doc, char **text);

/*
 * Where a rule stands, for people: "rules[3] ('p.json', line 12: deny sbi.dbcn)", "--deny
 * sbi.dbcn".
 */
void policy_rule_place(const struct policy_doc *doc, const struct policy_rule *rule, char *text,
                       size_t size);
#define POLICY_PLACE_MAX 240

const char *policy_kind_name(enum policy_kind kind);
const char *policy_refusal_name(enum policy_refusal refusal);
const char *policy_default_name(enum policy_default def);

/* The effects of calls by name ("reads-host"): 0 when it is none; the names of a mask. */
unsigned policy_effect(const char *name);
void policy_effects_text(unsigned effects, char *text, size_t size);

/* Is the value in one of the sorted ranges? */
bool policy_ranges_hold(const struct policy_range *range, size_t n, uint64_t value);

/* Does a name or group as written cover the call of this name? */
bool policy_name_covers(const char *rule, const char *name);

#endif
