/* policy_cli.c: tollgate policy: checks, shows and explains policies, and learns them. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/tg.h"
#include "vmm/command.h"
#include "vmm/module.h"
#include "vmm/policy.h"
#include "vmm/policy_rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What `policy explain` ends with, beside the statuses of errors. */
enum { EXPLAIN_ALLOWED = 0, EXPLAIN_REFUSED = 1, EXPLAIN_DEPENDS = 2 };

/* A call of the command. */
struct policy_words {
    struct policy_doc doc;
    const char *file;
    const char *out;    /* -o */
    const char *device; /* --device of explain */
    bool deterministic;
    char *const *word; /* what follows the options */
    int nwords;
};

static int value_missing(const char *option, struct error *err)
{
    return error_set(err, STATUS_USAGE,
                     "%s: its argument is missing; 'tollgate help policy' "
                     "explains",
                     option);
}

/* One option; *used says how many words it took, 0: it is none. */
static int option_take(struct policy_words *w, int argc, char *const *argv, int *used,
                       struct error *err)
{
    static const char *const names[] = {"--policy", "--allow",  "--deny",
                                        "--rate",   "--device", "-o"};
    const char *value;
    size_t i, len;

    *used = 1;
    if (strcmp(argv[0], "--deterministic") == 0) {
        w->deterministic = true;
        return 0;
    }
    for (i = 0; i < COUNT(names); i++) {
        len = strlen(names[i]);
        if (strncmp(argv[0], names[i], len) == 0 &&
            (argv[0][len] == '\0' || (argv[0][len] == '=' && argv[0][1] == '-')))
            break;
    }
    if (i == COUNT(names)) {
        *used = 0;
        return argv[0][0] != '-' || argv[0][1] == '\0'
                   ? 0
                   : error_set(err, STATUS_USAGE,
                               "unknown option '%.80s'; 'tollgate help policy' explains",
                               argv[0]);
    }
    value = argv[0][len] == '=' ? argv[0] + len + 1 : argc > 1 ? argv[1] : NULL;
    if (!value)
        return value_missing(names[i], err);
    *used = argv[0][len] == '=' ? 1 : 2;
    switch (i) {
    case 0: w->file = value; return 0;
    case 1: return policy_doc_option(&w->doc, POLICY_ALLOW, value, err);
    case 2: return policy_doc_option(&w->doc, POLICY_DENY, value, err);
    case 3: return policy_doc_option(&w->doc, POLICY_RATE, value, err);
    case 4: w->device = value; return 0;
    default: w->out = value; return 0;
    }
}

/* Options first, then words; "--" ends the options. */
static int words_parse(struct policy_words *w, int argc, char *const *argv, struct error *err)
{
    int at = 0, rc = 0, used = 1;

    while (rc == 0 && at < argc && used > 0) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        rc = option_take(w, argc - at, argv + at, &used, err);
        at += used;
    }
    w->word = argv + at;
    w->nwords = argc - at;
    return rc;
}

static int doc_load(struct policy_words *w, struct error *err)
{
    int rc = w->file ? policy_doc_read(&w->doc, w->file, err) : 0;

    return rc == 0 ? policy_doc_check(&w->doc, err) : rc;
}

/* check and show take the file as a word, too. */
static int file_word(struct policy_words *w, const char *verb, bool needed, struct error *err)
{
    if (w->nwords == 1 && !w->file)
        w->file = w->word[0];
    else if (w->nwords > 0)
        return error_set(err, STATUS_USAGE, "%s: '%.80s' is too much; give one FILE", verb,
                         w->word[w->file ? 0 : 1]);
    if (needed && !w->file)
        return error_set(err, STATUS_USAGE, "%s: no FILE given", verb);
    return 0;
}

static int check_do(struct policy_words *w, struct error *err)
{
    int rc = file_word(w, "check", true, err);

    if (rc == 0)
        rc = doc_load(w, err);
    if (rc != 0)
        return (int)err->status;
    printf("%s: good: %zu rules, default %s, refusal %s\n", w->file, w->doc.nrules,
           policy_default_name(w->doc.def), policy_refusal_name(w->doc.refusal));
    return STATUS_OK;
}

static int show_do(struct policy_words *w, struct error *err)
{
    char *text;
    int rc = file_word(w, "show", false, err);

    if (rc == 0)
        rc = doc_load(w, err);
    if (rc == 0 && policy_doc_print(&w->doc, &text) != 0)
        rc = error_set(err, STATUS_OS, "show: no memory");
    if (rc != 0)
        return (int)err->status;
    fputs(text, stdout);
    free(text);
    return STATUS_OK;
}

/* --- explain --- */

/* Arguments that were given. */
struct given {
    uint64_t arg[CALL_ARGS];
    unsigned mask;
};

static int given_parse(const struct policy_words *w, const struct call_desc *desc,
                       struct given *given, struct error *err)
{
    memset(given, 0, sizeof(*given));
    for (int i = 1; i < w->nwords; i++) {
        const char *text = w->word[i], *equals = strchr(text, '=');
        char name[POLICY_NAME_MAX];
        int at = i - 1;

        if (equals && (size_t)(equals - text) < sizeof(name)) {
            memcpy(name, text, (size_t)(equals - text));
            name[equals - text] = '\0';
            at = policy_arg_find(desc, name);
            text = equals + 1;
        }
        if (at < 0 || at >= CALL_ARGS || !policy_number_parse(text, &given->arg[at]))
            return error_set(err, STATUS_USAGE,
                             "explain: '%.80s' is no argument of %s; give up to %d numbers, or "
                             "argN=NUMBER",
                             w->word[i], desc->name, CALL_ARGS);
        given->mask |= 1u << at;
    }
    return 0;
}

/* Holds for the arguments given: 1 yes, 0 no, -1 it depends on others. */
static int clause_holds(const struct policy_clause *clause, const struct given *given)
{
    int holds = 1;

    for (unsigned i = 0; i < CALL_ARGS; i++) {
        if (!clause->range[i])
            continue;
        if (!(given->mask & 1u << i))
            holds = -1;
        else if (!policy_ranges_hold(clause->range[i], clause->nranges[i], given->arg[i]))
            return 0;
    }
    return holds;
}

static void call_print(const struct call_desc *desc, const struct given *given)
{
    unsigned n = 0;

    printf("%s(", desc->name);
    for (unsigned i = 0; i < CALL_ARGS; i++) {
        if (!(given->mask & 1u << i))
            continue;
        if (desc->args && i < desc->nargs)
            printf("%s%s", n++ ? ", " : "", desc->args[i].name);
        else
            printf("%sarg%u", n++ ? ", " : "", i);
        printf(" = 0x%" PRIx64, given->arg[i]);
    }
    printf("): ");
}

static void decider_print(const struct policy_doc *doc, const struct policy_decider *decider)
{
    static const char *const words[] = {[POLICY_ERROR] = "refused with the error DENIED",
                                        [POLICY_STOP] = "refused, and the guest is stopped",
                                        [POLICY_LOG] = "made, and told about"};
    char place[POLICY_PLACE_MAX];

    fputs(decider->allows ? "allowed" : words[decider->refusal], stdout);
    if (decider->rule) {
        policy_rule_place(doc, decider->rule, place, sizeof(place));
        printf(" by %s", place);
        if (decider->rule->override && !decider->rule->option)
            fputs(", which overrides others", stdout);
    } else {
        printf(": %s", decider->why);
    }
    putchar('\n');
}

static void limits_print(const struct policy_doc *doc, const struct call_desc *desc)
{
    char place[POLICY_PLACE_MAX];

    for (size_t i = 0; i < doc->nrules; i++) {
        const struct policy_rule *rule = &doc->rule[i];

        if (rule->kind != POLICY_RATE || !policy_rule_covers(rule, desc))
            continue;
        policy_rule_place(doc, rule, place, sizeof(place));
        printf("  limited by %s:", place);
        if (rule->calls.rate)
            printf(" %" PRIu64 " calls a second", rule->calls.rate);
        if (rule->bytes.rate)
            printf("%s %" PRIu64 " bytes a second", rule->calls.rate ? "," : "",
                   rule->bytes.rate);
        putchar('\n');
    }
}

/* What becomes of one call, and why. */
static int call_explain(const struct policy_words *w, const struct policy_subject *subject,
                        struct error *err)
{
    struct policy_deciders list;
    struct given given;
    int status = EXPLAIN_ALLOWED;
    size_t i;

    if (given_parse(w, subject->desc, &given, err) != 0 ||
        policy_deciders_make(&w->doc, subject, &list, err) != 0)
        return (int)err->status;
    call_print(subject->desc, &given);
    for (i = 0; clause_holds(&list.clause[i], &given) == 0; i++)
        ;
    if (clause_holds(&list.clause[i], &given) < 0) {
        status = EXPLAIN_DEPENDS;
        puts("depends on its arguments; the first of these that fits them decides");
    }
    for (;; i++) {
        int holds = clause_holds(&list.clause[i], &given);

        if (holds == 0)
            continue;
        if (status == EXPLAIN_DEPENDS)
            fputs(holds < 0 ? "  for some: " : "  else: ", stdout);
        decider_print(&w->doc, &list.decider[i]);
        if (holds > 0)
            break;
    }
    if (status == EXPLAIN_ALLOWED && !list.decider[i].allows &&
        list.decider[i].refusal != POLICY_LOG)
        status = EXPLAIN_REFUSED;
    limits_print(&w->doc, subject->desc);
    policy_deciders_free(&list);
    return status;
}

static bool module_asked(const struct policy_words *w, const struct module *module)
{
    size_t len = strlen(module->name);

    return w->device && strncmp(w->device, module->name, len) == 0 &&
           (w->device[len] == '\0' || w->device[len] == ',');
}

/* A number that no module answers. */
static int number_explain(const struct policy_words *w, const struct policy_target *target,
                          struct error *err)
{
    const struct call_desc desc = {
        .name = target->name,
        .personality = target->kind == POLICY_PROGRAM ? CALL_PROGRAM
                       : target->ext >= TG_EXT_FIRST && target->ext <= TG_EXT_LAST ? CALL_TG
                                                                                   : CALL_SBI,
        .ext = target->ext,
        .fn = target->kind == POLICY_EXT ? CALL_ANY_FN : target->fn,
    };
    const struct policy_subject subject = {
        .desc = &desc, .module = "", .unanswered = true, .deterministic = w->deterministic};

    return call_explain(w, &subject, err);
}

/* Does the word mean the call? By number, a row for all functions of its extension does too. */
static bool word_covers(const struct policy_target *target, const struct call_desc *desc)
{
    const struct policy_rule rule = {.target = *target};

    return policy_rule_covers(&rule, desc) ||
           (target->kind == POLICY_CALL && desc->personality != CALL_PROGRAM &&
            desc->ext == target->ext && desc->fn == CALL_ANY_FN);
}

static int explain_do(struct policy_words *w, struct error *err)
{
    struct policy_target target = {.kind = POLICY_NAME};
    int status = EXPLAIN_ALLOWED;
    size_t n = 0;

    if (w->nwords == 0) {
        error_set(err, STATUS_USAGE, "explain: no CALL given, such as sbi.dbcn.write");
    } else if (!policy_target_parse(&target, w->word[0])) {
        error_set(err, STATUS_USAGE,
                  "explain: '%.80s' names no call; give a call, a group, 0xEXT, 0xEXT/FN or "
                  "program/N",
                  w->word[0]);
    } else {
        doc_load(w, err);
    }
    if (err->status != STATUS_OK)
        return (int)err->status;
    for (const struct module *const *m = module_list; *m; m++) {
        for (size_t i = 0; i < (*m)->ncalls && err->status == STATUS_OK; i++) {
            const struct policy_subject subject = {.desc = &(*m)->calls[i],
                                                   .module = (*m)->name,
                                                   .requested = module_asked(w, *m),
                                                   .deterministic = w->deterministic};
            int one;

            if (!word_covers(&target, subject.desc))
                continue;
            n++;
            one = call_explain(w, &subject, err);
            status = one > status ? one : status;
        }
    }
    if (n > 0 || err->status != STATUS_OK)
        return err->status != STATUS_OK ? (int)err->status : status;
    if (target.kind != POLICY_NAME)
        return number_explain(w, &target, err);
    error_set(err, STATUS_CONFIG, "explain: no module has a call '%s'", target.name);
    return (int)err->status;
}

/* --- learn --- */

/* The run is that of `tollgate run --policy-learn FILE`: this process becomes it. */
static int learn_do(struct policy_words *w, struct error *err)
{
    char **argv;
    int n = 0;

    if (!w->out || w->nwords < 2 || strcmp(w->word[0], "run") != 0) {
        error_set(err, STATUS_USAGE,
                  "learn: give -o FILE and a run: tollgate policy learn -o FILE -- run KERNEL");
        return (int)err->status;
    }
    if (w->file || w->doc.nrules > 0) {
        error_set(err, STATUS_USAGE, "learn: it lets every call pass; take the policy out");
        return (int)err->status;
    }
    argv = calloc((size_t)w->nwords + 4, sizeof(*argv));
    if (argv) {
        argv[n++] = strdup("tollgate");
        argv[n++] = strdup("run");
        argv[n++] = strdup("--policy-learn");
        argv[n++] = strdup(w->out);
        for (int i = 1; i < w->nwords; i++)
            argv[n++] = w->word[i];
        if (argv[0] && argv[1] && argv[2] && argv[3])
            execv("/proc/self/exe", argv);
        for (int i = 0; i < 4; i++)
            free(argv[i]);
    }
    free(argv);
    error_set(err, STATUS_OS, "learn: cannot start the run: %s", strerror(errno));
    return (int)err->status;
}

static int policy_run(int argc, char *const *argv, struct error *err)
{
    static const struct {
        const char *name;
        int (*run)(struct policy_words *w, struct error *err);
    } verbs[] = {
        {"check",   check_do  },
        {"show",    show_do   },
        {"explain", explain_do},
        {"learn",   learn_do  },
    };
    struct policy_words w = {.word = NULL};
    int status = STATUS_USAGE;
    size_t i = 0;

    while (i < COUNT(verbs) && (argc < 2 || strcmp(verbs[i].name, argv[1]) != 0))
        i++;
    if (i == COUNT(verbs)) {
        error_set(err, STATUS_USAGE, "%s%.80s%s; give check, show, explain or learn",
                  argc < 2 ? "nothing to do" : "'", argc < 2 ? "" : argv[1],
                  argc < 2 ? "" : "' is not known");
        return STATUS_USAGE;
    }
    policy_doc_init(&w.doc);
    if (words_parse(&w, argc - 2, argv + 2, err) == 0)
        status = verbs[i].run(&w, err);
    else
        status = (int)err->status;
    policy_doc_free(&w.doc);
    return status;
}

static const struct command_term policy_terms[] = {
    {"check FILE",
     "Say whether FILE is a policy that this build can hold guests to; otherwise what is "
     "wrong, "
     "with its line and rule. Status 65: the file is wrong, 66: it is missing, 78: it names "
     "what is not there."                                                                     },
    {"show [FILE]",
     "Print the policy as JSON, merged with the options that stand above it; without FILE, the "
     "shipped one. What is printed is itself a policy file."                                  },
    {"explain CALL [ARG...]",
     "Say which rule decides about a call, or about each call of a group, and why. Arguments "
     "are numbers in their order, or NAME=NUMBER. Status 0: it would be made, 1: refused, 2: "
     "it "
     "depends on arguments that were not given."                                              },
    {"learn -o FILE -- run ...",
     "Run a guest with every call allowed, and write to FILE the policy that allows the calls "
     "it made, with their number, and no others. The status is that of the run."              },
    {"--policy FILE",            "The policy file for show and explain."                      },
    {"--allow CALL",             "A rule above the file, as in run; so are --deny and --rate."},
    {"--deny CALL",              "See --allow."                                               },
    {"--rate CALL,calls=N",      "See --allow."                                               },
    {"--device NAME",            "Explain for a guest whose run names this service."          },
    {"--deterministic",          "Explain for a deterministic run."                           },
    {NULL,                       NULL                                                         },
};

const struct command command_policy = {
    .name = "policy",
    .args = "check|show|explain|learn ...",
    .summary = "Check, show, explain or learn a policy: which calls a guest may make",
    .description =
        "A policy is a JSON file for tollgate run --policy; docs/policy.md describes "
        "it. Options stand before CALL and FILE.",
    .terms = policy_terms,
    .run = policy_run,
};
