/* cli.c: what the user asked for, from argv to a VM's configuration. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/cli_parser.h"
#include "vmm/command.h"
#include "vmm/observe.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define MEM_DEFAULT (512 * MIB)
#define MEM_MIN     (16 * MIB)
#define MEM_MAX     (64 * GIB)
#define MEM_OVERCOMMIT                                                                         \
    16 /* times the host's memory: beyond this a size is a slip of the key                     \
        */

const struct cli_option cli_options[CLI_OPTIONS] = {
#define CLI_OPTION(id, group, name, letter, arg, kind, help)                                   \
    [CLI_##id] = {CLI_##id, CLI_GROUP_##group, name, letter, arg, kind, help},
#include "vmm/options.def"
#undef CLI_OPTION
};

/* --- Numbers --- */

/* Reads leading decimal digits; *end is the first byte behind them. */
static int digits_parse(const char *text, uint64_t *value, const char **end)
{
    uint64_t v = 0;
    const char *s = text;

    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return -EINVAL;
    }
    *value = v;
    *end = s;
    return s == text ? -EINVAL : 0;
}

int cli_parse_count(const char *text, uint64_t *value)
{
    const char *end;
    int ret = digits_parse(text, value, &end);

    return ret != 0 || *end != '\0' ? -EINVAL : 0;
}

/* The factor of a size's suffix; 0 when it is none. */
static uint64_t suffix_factor(const char *suffix)
{
    if (suffix[0] == '\0')
        return MIB; /* as in kvmtool and QEMU */
    if (suffix[1] != '\0')
        return 0;
    switch (suffix[0]) {
    case 'K':
    case 'k': return KIB;
    case 'M':
    case 'm': return MIB;
    case 'G':
    case 'g': return GIB;
    case 'T':
    case 't': return TIB;
    default: return 0;
    }
}

int cli_parse_size(const char *text, uint64_t *bytes)
{
    const char *end;
    uint64_t number, factor;

    if (digits_parse(text, &number, &end) != 0)
        return -EINVAL;
    factor = suffix_factor(end);
    if (factor == 0 || __builtin_mul_overflow(number, factor, bytes))
        return -EINVAL;
    return 0;
}

/* --- Suggestions --- */

#define WORD_MAX 32 /* longer words are not compared */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between words of at most WORD_MAX bytes: insert, delete, replace, swap neighbours. */
static size_t word_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1];

    for (size_t i = 0; i <= na; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= nb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[na][nb];
}

/* How unlike a candidate the word is; SIZE_MAX: too unlike to be meant. */
static size_t word_score(const char *word, size_t len, const char *candidate)
{
    size_t n = strlen(candidate), distance;

    if (len == 0 || len > WORD_MAX || n > WORD_MAX)
        return SIZE_MAX;
    if (len >= 2 && strncmp(word, candidate, len) == 0)
        return 0; /* an abbreviation */
    if (n >= 3 && strncmp(word, candidate, n) == 0)
        return 1; /* written out: --memory */
    distance = word_distance(word, len, candidate, n);
    return distance <= (n < 4 ? 1 : 1 + n / 4) ? distance : SIZE_MAX;
}

const struct cli_option *cli_option_nearest(const char *word, size_t len)
{
    const struct cli_option *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        size_t score = word_score(word, len, cli_options[i].name);

        if (score < best) {
            best = score;
            nearest = &cli_options[i];
        }
    }
    return nearest;
}

const struct cli_option *cli_option_find(const char *word, size_t len)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (strlen(cli_options[i].name) == len && memcmp(cli_options[i].name, word, len) == 0)
            return &cli_options[i];
    }
    return NULL;
}

/* The name of the command that the word is most like; NULL: it is like none. */
static const char *verb_nearest(const char *word)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        size_t score = word_score(word, strlen(word), verb->name);

        if (score < best) {
            best = score;
            nearest = verb->name;
        }
    }
    for (size_t i = 0; command_list[i] != NULL; i++) {
        size_t score = word_score(word, strlen(word), command_list[i]->name);

        if (score < best) {
            best = score;
            nearest = command_list[i]->name;
        }
    }
    return nearest;
}

/* --- Values of options --- */

static int mem_set(struct cli_parser *p, const char *value)
{
    uint64_t size;

    if (cli_parse_size(value, &size) != 0)
        return error_set(p->err, STATUS_USAGE,
                         "--mem: '%.80s' is not a size; give for example 512M or 2G", value);
    if (size < MEM_MIN || size > MEM_MAX)
        return error_set(p->err, STATUS_USAGE,
                         "--mem: '%.80s' is too %s; give a size from 16M to 64G", value,
                         size < MEM_MIN ? "small" : "large");
    if (size % MEM_PAGE_SIZE != 0)
        return error_set(p->err, STATUS_USAGE, "--mem: '%.80s' is not a multiple of 4K", value);
    if (size / MEM_OVERCOMMIT > p->env->host_memory)
        return error_set(p->err, STATUS_UNAVAILABLE,
                         "--mem: '%.80s' is more than %d times the %" PRIu64
                         "M of memory of this host; give less",
                         value, MEM_OVERCOMMIT, p->env->host_memory / MIB);
    p->cli->config.mem_size = size;
    return 0;
}

static int cpus_set(struct cli_parser *p, const char *value)
{
    uint64_t n;

    if (cli_parse_count(value, &n) != 0 || n < 1 || n > PLAT_HARTS_MAX)
        return error_set(p->err, STATUS_USAGE,
                         "--cpus: '%.80s' is not a number of harts; give 1 to %d", value,
                         PLAT_HARTS_MAX);
    p->cli->config.nharts = (unsigned)n;
    return 0;
}

static int seed_set(struct cli_parser *p, const char *value)
{
    if (cli_parse_count(value, &p->cli->config.seed) != 0)
        return error_set(p->err, STATUS_USAGE,
                         "--seed: '%.80s' is not a seed; give a number from 0 on", value);
    return 0;
}

static int max_steps_set(struct cli_parser *p, const char *value)
{
    uint64_t n;

    /* UINT64_MAX means "no budget", so it is no number of steps. */
    if (cli_parse_count(value, &n) != 0 || n == 0 || n == UINT64_MAX)
        return error_set(
            p->err, STATUS_USAGE,
            "--max-steps: '%.80s' is not a number of steps; give for example 1000000", value);
    p->cli->config.max_steps = n;
    return 0;
}

/* True when value is one of the words of list, which '|' separates. */
static bool word_in(const char *list, const char *value)
{
    size_t len = strcspn(value, "|");

    if (len == 0 || value[len] != '\0')
        return false;
    while (list != NULL) {
        if (strncmp(list, value, len) == 0 && (list[len] == '|' || list[len] == '\0'))
            return true;
        list = strchr(list, '|');
        list = list == NULL ? NULL : list + 1;
    }
    return false;
}

static void console_set(struct cli_parser *p, const char *value)
{
    static const struct {
        const char *name;
        enum console_input input;
    } inputs[] = {
        {"auto",   CONSOLE_AUTO  },
        {"virtio", CONSOLE_VIRTIO},
        {"serial", CONSOLE_SERIAL},
        {"sbi",    CONSOLE_SBI   },
        {"none",   CONSOLE_NONE  },
    };

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        if (strcmp(inputs[i].name, value) == 0)
            p->cli->config.console = inputs[i].input;
    }
}

static int kernel_set(struct cli_parser *p, const char *value)
{
    if (p->kernel != NULL && strcmp(p->kernel, value) != 0)
        return error_set(
            p->err, STATUS_CONFIG,
            "'%.80s' is a second kernel after '%.80s'; give one (a program with arguments "
            "is started with --program)",
            value, p->kernel);
    p->kernel = value;
    return 0;
}

static int list_full(struct cli_parser *p, const struct cli_option *opt)
{
    return error_set(p->err, STATUS_USAGE, "--%s: given more than %d times", opt->name,
                     VM_REQUESTS_MAX);
}

static int device_add(struct cli_parser *p, const struct cli_option *opt, const char *value)
{
    struct vm_config *config = &p->cli->config;
    unsigned n = config->nrequests;

    if (n == VM_REQUESTS_MAX)
        return list_full(p, opt);
    p->cli->request_text[n] = strdup(value);
    if (p->cli->request_text[n] == NULL)
        return error_set(p->err, STATUS_OS, "--device: no memory");
    config->nrequests = n + 1;
    return module_request_parse(p->cli->request_text[n], &config->request[n], p->err);
}

static int name_add(struct cli_parser *p, const struct cli_option *opt, const char *value,
                    const char **list, unsigned *count)
{
    if (value[0] == '\0')
        return error_set(p->err, STATUS_USAGE, "--%s: the name is empty; give %s", opt->name,
                         opt->arg);
    if (*count == VM_REQUESTS_MAX)
        return list_full(p, opt);
    list[(*count)++] = value;
    return 0;
}

/* The program and its arguments: all that is left of argv. */
static int program_set(struct cli_parser *p, const char *value)
{
    size_t n = (size_t)(p->argc - p->next);
    char **list = calloc(n + 2, sizeof(*list));

    if (list != NULL)
        list[0] = strdup(value);
    if (list == NULL || list[0] == NULL) {
        free(list);
        return error_set(p->err, STATUS_OS, "--program: no memory for its arguments");
    }
    for (size_t i = 0; i < n; i++)
        list[i + 1] = p->argv[p->next++];
    p->cli->program_argv = list;
    return 0;
}

static int action_set(struct cli_parser *p, enum cli_action action)
{
    p->cli->action = action;
    p->done = true;
    return 0;
}

/* Is the value of the kind that the option takes at all? */
static int value_check(struct cli_parser *p, const struct cli_option *opt, const char *value)
{
    if (opt->kind == CLI_WORD && !word_in(opt->arg, value))
        return error_set(p->err, STATUS_USAGE, "--%s: '%.80s' is not known; give one of %s",
                         opt->name, value, opt->arg);
    if ((opt->kind == CLI_FILE || opt->kind == CLI_REST) && value[0] == '\0')
        return error_set(p->err, STATUS_USAGE, "--%s: the file name is empty; give %s",
                         opt->name, opt->arg);
    return 0;
}

int cli_option_apply(struct cli_parser *p, const struct cli_option *opt, const char *given)
{
    struct vm_config *config = &p->cli->config;
    const char *value = given ? given : ""; /* a flag's value, which nobody looks at */
    int ret = value_check(p, opt, value);

    if (ret != 0)
        return ret;
    p->seen[opt->id] = true;
    switch (opt->id) {
    case CLI_CONFIG: p->config = value; break;
    case CLI_KERNEL: return kernel_set(p, value);
    case CLI_FIRMWARE: p->firmware = value; break;
    case CLI_PROGRAM: return program_set(p, value);
    case CLI_INITRD: config->initrd = value; break;
    case CLI_APPEND: config->append = value; break;
    case CLI_RAW: config->raw = true; break;
    case CLI_DTB: config->dtb = value; break;
    case CLI_DUMP_DTB: p->cli->dump_dtb = value; break;
    case CLI_MEM: return mem_set(p, value);
    case CLI_CPUS: return cpus_set(p, value);
    case CLI_ARCH: p->arch = value; break;
    case CLI_ENGINE: p->engine = value; break;
    case CLI_CONSOLE: console_set(p, value); break;
    case CLI_MAX_STEPS: return max_steps_set(p, value);
    case CLI_MISALIGNED: config->misaligned_traps = strcmp(value, "trap") == 0; break;
    case CLI_DETERMINISTIC: config->deterministic = true; break;
    case CLI_SEED: return seed_set(p, value);
    case CLI_NO_EVENTFDS: config->no_eventfds = true; break;
    case CLI_LOAD_STATE: config->load_state = value; break;
    case CLI_SAVE_STATE: p->cli->save_state = value; break;
    case CLI_DEVICE: return device_add(p, opt, value);
    case CLI_WITHOUT: return name_add(p, opt, value, config->without, &config->nwithout);
    case CLI_MODULE_FILE:
        return name_add(p, opt, value, config->module_file, &config->nmodule_files);
    case CLI_LIST_MODULES: return action_set(p, CLI_DO_LIST_MODULES);
    case CLI_POLICY: config->policy = value; break;
    case CLI_ALLOW: return name_add(p, opt, value, config->allow, &config->nallow);
    case CLI_DENY: return name_add(p, opt, value, config->deny, &config->ndeny);
    case CLI_TRACE: return watch_parse(value, &config->trace, p->err);
    case CLI_TRACE_FILE: config->trace_file = value; break;
    case CLI_STATS: config->stats = true; break;
    case CLI_STATS_JSON: config->stats_json = value; break;
    case CLI_SYMBOLS: config->symbols = value; break;
    case CLI_KEEP: p->cli->keep = value; break;
    case CLI_RATE: return name_add(p, opt, value, config->rate, &config->nrate);
    case CLI_POLICY_LEARN:
        p->cli->policy_learn = value;
        config->policy_learn = true;
        break;
    case CLI_CODE_MAP: config->code_map = value; break;
    case CLI_REPORT: p->cli->report = value; break;
    case CLI_VERBOSE: p->cli->verbose = true; break;
    case CLI_VERSION: return action_set(p, CLI_DO_VERSION);
    case CLI_HELP: return action_set(p, CLI_DO_HELP_RUN);
    case CLI_OPTIONS: break;
    }
    return 0;
}

/* --- Options in argv --- */

/* Takes the next word as the option's value. */
static int value_next(struct cli_parser *p, const struct cli_option *opt, const char **value)
{
    const char *word;

    if (p->next == p->argc)
        return error_set(p->err, STATUS_USAGE, "--%s: its argument is missing; give --%s %s",
                         opt->name, opt->name, opt->arg);
    word = p->argv[p->next++];
    /* A forgotten file name would swallow the option behind it, and the guest would lack both.
     */
    if (word[0] == '-' && word[1] != '\0' && (opt->kind == CLI_FILE || opt->kind == CLI_REST))
        return error_set(p->err, STATUS_USAGE,
                         "--%s: an argument is missing before '%.80s'; a file of that name is "
                         "--%s=%.80s",
                         opt->name, word, opt->name, word);
    *value = word;
    return 0;
}

static int option_unknown(struct cli_parser *p, const char *name, size_t len)
{
    const struct cli_option *near = cli_option_nearest(name, len);

    /* A long line of garbage would only hide the sentence. */
    if (near != NULL)
        return error_set(p->err, STATUS_USAGE, "unknown option '--%.*s'; did you mean --%s?",
                         (int)len, name, near->name);
    return error_set(p->err, STATUS_USAGE,
                     "unknown option '--%.*s'; tollgate help run lists the options",
                     len > 60 ? 60 : (int)len, name);
}

/* --name, --name value or --name=value; word is behind the dashes. */
static int option_long(struct cli_parser *p, const char *word)
{
    const char *value = strchr(word, '=');
    size_t len = value == NULL ? strlen(word) : (size_t)(value - word);
    const struct cli_option *opt = cli_option_find(word, len);
    int ret;

    if (opt == NULL)
        return option_unknown(p, word, len);
    if (value != NULL)
        value++;
    if (opt->kind == CLI_FLAG && value != NULL)
        return error_set(p->err, STATUS_USAGE, "--%s: takes no argument, but '%.80s' was given",
                         opt->name, value);
    if (opt->kind != CLI_FLAG && value == NULL) {
        ret = value_next(p, opt, &value);
        if (ret != 0)
            return ret;
    }
    return cli_option_apply(p, opt, value);
}

static const struct cli_option *option_by_letter(char letter)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (cli_options[i].letter == letter)
            return &cli_options[i];
    }
    return NULL;
}

/* -c 4, -c4, -v or several at once (-vc4); word is behind the dash and not empty. */
static int options_short(struct cli_parser *p, const char *word)
{
    int ret = 0;

    while (*word != '\0' && !p->done && ret == 0) {
        const struct cli_option *opt = option_by_letter(*word);
        const char *value = NULL;

        if (opt == NULL)
            return error_set(p->err, STATUS_USAGE,
                             "unknown option '-%c'; tollgate help run lists the options",
                             *word);
        word++;
        if (opt->kind != CLI_FLAG && *word == '\0')
            ret = value_next(p, opt, &value);
        else if (opt->kind != CLI_FLAG)
            value = word;
        if (value != NULL)
            word = "";
        if (ret == 0)
            ret = cli_option_apply(p, opt, value);
    }
    return ret;
}

/* --- The whole of `tollgate run` --- */

/* Pairs that nobody can mean. */
static const struct {
    enum cli_option_id a, b;
    const char *why;
} contradictions[] = {
    {CLI_PROGRAM,      CLI_INITRD,     "a program has no initial RAM disk"                   },
    {CLI_PROGRAM,      CLI_APPEND,     "a program has its own arguments"                     },
    {CLI_PROGRAM,      CLI_RAW,        "a program is always an ELF file"                     },
    {CLI_PROGRAM,      CLI_DTB,        "a program has no device tree"                        },
    {CLI_PROGRAM,      CLI_DUMP_DTB,   "a program has no device tree"                        },
    {CLI_DUMP_DTB,     CLI_REPORT,     "no guest runs, so there is nothing to report"        },
    {CLI_DUMP_DTB,     CLI_KEEP,       "no guest runs, so there is nothing to keep"          },
    {CLI_KEEP,         CLI_TRACE_FILE, "the trace is kept in the folder"                     },
    {CLI_POLICY_LEARN, CLI_POLICY,     "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_ALLOW,      "every call passes"                                   },
    {CLI_POLICY_LEARN, CLI_DENY,       "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_RATE,       "what is learned must not be refused"                 },
    {CLI_POLICY_LEARN, CLI_DUMP_DTB,   "no guest runs, so there is nothing to learn"         },
    {CLI_POLICY_LEARN, CLI_FIRMWARE,   "calls of a firmware start do not come to the monitor"},
};

static int contradictions_check(struct cli_parser *p)
{
    for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
        if (p->seen[contradictions[i].a] && p->seen[contradictions[i].b])
            return error_set(p->err, STATUS_CONFIG, "--%s contradicts --%s: %s",
                             cli_options[contradictions[i].b].name,
                             cli_options[contradictions[i].a].name, contradictions[i].why);
    }
    return 0;
}

/* Decides how the guest starts: by KERNEL, by --firmware (which may start KERNEL), or
 * --program. */
static int start_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;
    const char *program = p->cli->program_argv == NULL ? NULL : p->cli->program_argv[0];

    if (p->kernel == NULL && p->firmware == NULL && program == NULL)
        return error_set(
            p->err, STATUS_USAGE,
            "no KERNEL given; for example: tollgate run -i initrd.gz Image (or give "
            "--firmware FILE or --program ELF)");
    if (program != NULL && (p->kernel != NULL || p->firmware != NULL))
        return error_set(
            p->err, STATUS_CONFIG,
            "--program contradicts %s: a guest starts in one way; give one of them",
            p->kernel == NULL ? "--firmware" : "KERNEL");
    if (p->firmware != NULL && p->kernel == NULL && strcmp(p->firmware, "opensbi") == 0)
        return error_set(
            p->err, STATUS_USAGE,
            "--firmware opensbi: no KERNEL given; OpenSBI does nothing but start one");
    if (program != NULL) {
        config->start = START_PROGRAM;
        config->image = program;
        config->argv = p->cli->program_argv;
    } else if (p->firmware != NULL) {
        config->start = START_FIRMWARE;
        config->image = p->firmware;
        config->payload = p->kernel;
    } else {
        config->start = START_KERNEL;
        config->image = p->kernel;
    }
    return 0;
}

/* Standard input is left alone when no console takes it, so that Ctrl-C stays Ctrl-C. */
static void input_choose(struct vm_config *config)
{
    if (config->start == START_PROGRAM && config->console == CONSOLE_AUTO)
        config->console = CONSOLE_NONE;
    if (config->console == CONSOLE_NONE)
        config->in_fd = -1;
}

/* An engine's capabilities that this configuration needs. */
static unsigned caps_needed(const struct vm_config *config)
{
    unsigned caps = 0;

    if (config->start == START_FIRMWARE)
        caps |= ENGINE_M_MODE;
    if (config->start == START_PROGRAM)
        caps |= ENGINE_U_MODE;
    if (config->max_steps != UINT64_MAX)
        caps |= ENGINE_EXACT_STEPS;
    if (config->code_map != NULL)
        caps |= ENGINE_CODE_MAP;
    return caps;
}

static const char *cap_option(unsigned caps)
{
    if (caps & ENGINE_M_MODE)
        return "--firmware";
    if (caps & ENGINE_U_MODE)
        return "--program";
    return caps & ENGINE_EXACT_STEPS ? "--max-steps" : "--code-map";
}

/* --arch, or what the kernel is. Firmware and programs are RISC-V's. */
static void arch_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;

    config->arch = arch_list[0];
    if (p->arch != NULL && strcmp(p->arch, "auto") != 0)
        config->arch = arch_find(p->arch);
    else if (config->start == START_KERNEL && p->env->arch_of_file != NULL)
        config->arch = p->env->arch_of_file(config->image);
}

static const struct arch *engine_arch(const struct engine *engine)
{
    return engine->arch != NULL ? engine->arch : arch_list[0];
}

/* Can the engine run this guest on this host? Otherwise says why not. */
static bool engine_fits(const struct engine *engine, const struct arch *arch, unsigned caps,
                        char *why, size_t size)
{
    unsigned lacking = caps & ~engine->caps;

    if (engine_arch(engine) != arch) {
        snprintf(why, size, "the guest is for %s, and this engine runs %s guests", arch->name,
                 engine_arch(engine)->name);
        return false;
    }
    if (lacking != 0) {
        snprintf(why, size, "it does not support %s", cap_option(lacking));
        return false;
    }
    why[0] = '\0';
    if (engine->probe == NULL || engine->probe(why, size) == 0)
        return true;
    if (why[0] == '\0')
        snprintf(why, size, "this host does not support it");
    return false;
}

static int engine_missing(struct cli_parser *p)
{
    char list[128] = "auto";
    size_t len = strlen(list);

    for (size_t i = 0; p->env->engines[i] != NULL && len < sizeof(list); i++)
        len +=
            (size_t)snprintf(list + len, sizeof(list) - len, ", %s", p->env->engines[i]->name);
    return error_set(p->err, STATUS_UNAVAILABLE,
                     "--engine: '%.80s' is not part of this build; available: %s", p->engine,
                     list);
}

static int engine_named(struct cli_parser *p, unsigned caps)
{
    char why[160];

    for (size_t i = 0; p->env->engines[i] != NULL; i++) {
        const struct engine *engine = p->env->engines[i];

        if (strcmp(engine->name, p->engine) != 0)
            continue;
        if (!engine_fits(engine, p->cli->config.arch, caps, why, sizeof(why)))
            return error_set(p->err, STATUS_UNAVAILABLE,
                             "--engine: '%.80s' cannot run this guest: %s; try --engine auto",
                             p->engine, why);
        p->cli->config.engine = engine;
        return 0;
    }
    return engine_missing(p);
}

/* The list is sorted, best first. */
static int engine_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;
    unsigned caps = caps_needed(config);
    char *reasons = p->cli->engine_why, why[160];
    size_t size = sizeof(p->cli->engine_why), len = 0;

    if (p->engine != NULL && strcmp(p->engine, "auto") != 0)
        return engine_named(p, caps);
    for (size_t i = 0; p->env->engines[i] != NULL; i++) {
        const struct engine *engine = p->env->engines[i];

        if (engine_fits(engine, config->arch, caps, why, sizeof(why))) {
            config->engine = engine;
            config->engine_why = len > 0 ? reasons : NULL;
            return 0;
        }
        if (len < size)
            len += (size_t)snprintf(reasons + len, size - len, "%s%s: %s", len > 0 ? "; " : "",
                                    engine->name, why);
    }
    return error_set(p->err, STATUS_UNAVAILABLE,
                     "--engine: no engine of this build can run this guest here: %s",
                     len > 0 ? reasons : "there is none");
}

/* What only the whole of the options decides. */
static int run_finish(struct cli_parser *p)
{
    int ret = contradictions_check(p);

    p->cli->action = CLI_DO_RUN;
    if (ret == 0)
        ret = start_choose(p);
    if (ret != 0)
        return ret;
    arch_choose(p);
    input_choose(&p->cli->config);
    ret = engine_choose(p);
    if (ret == 0 && p->cli->dump_dtb != NULL)
        p->cli->action = CLI_DO_DUMP_DTB;
    return ret;
}

static int run_parse(struct cli_parser *p)
{
    bool options = true;
    int ret = 0;

    p->cli->action = CLI_DO_RUN;
    while (p->next < p->argc && !p->done && ret == 0) {
        const char *word = p->argv[p->next++];

        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && word[0] == '-' && word[1] == '-')
            ret = option_long(p, word + 2);
        else if (options && word[0] == '-' && word[1] != '\0')
            ret = options_short(p, word + 1);
        else if (word[0] == '\0')
            ret = error_set(p->err, STATUS_USAGE, "KERNEL: the file name is empty");
        else
            ret = kernel_set(p, word);
    }
    if (ret != 0 || p->done)
        return ret;
    if (p->config != NULL)
        ret = config_read(p, p->config);
    return ret == 0 ? run_finish(p) : ret;
}

/* --- Commands --- */

static int help_parse(struct cli_parser *p)
{
    static const struct {
        const char *word;
        enum cli_action action;
    } topics[] = {
        {"run",               CLI_DO_HELP_RUN  },
        {"help",              CLI_DO_HELP      },
        {"--help",            CLI_DO_HELP      },
        {"-h",                CLI_DO_HELP      },
        {"--man",             CLI_DO_MAN       },
        {"--bash-completion", CLI_DO_COMPLETION},
        {"--markdown",        CLI_DO_MARKDOWN  },
    };
    const char *word;

    p->cli->action = CLI_DO_HELP;
    if (p->next == p->argc)
        return 0;
    word = p->argv[p->next++];
    if (p->next < p->argc)
        return error_set(p->err, STATUS_USAGE,
                         "help: '%.80s' is too much; give one topic, as run", p->argv[p->next]);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        if (strcmp(topics[i].word, word) == 0) {
            p->cli->action = topics[i].action;
            return 0;
        }
    }
    p->cli->command = command_find(word);
    if (p->cli->command != NULL) {
        p->cli->action = CLI_DO_HELP_COMMAND;
        return 0;
    }
    return error_set(p->err, STATUS_USAGE,
                     "help: no topic '%.80s'; give run or another command, or nothing", word);
}

const struct cli_verb cli_verbs[] = {
    {"run",  "[options] KERNEL", "Run a guest until it ends", run_parse },
    {"help", "[COMMAND]",        "Explain a command",         help_parse},
    {NULL,   NULL,               NULL,                        NULL      },
};

static int verb_unknown(struct cli_parser *p, const char *word)
{
    const char *near = verb_nearest(word);

    if (word[0] == '-')
        return error_set(
            p->err, STATUS_USAGE,
            "unknown option '%.80s' before the command; options of a guest follow run: "
            "tollgate run [options] KERNEL",
            word);
    if (near != NULL)
        return error_set(p->err, STATUS_USAGE, "unknown command '%.80s'; did you mean %s?",
                         word, near);
    return error_set(p->err, STATUS_USAGE,
                     "unknown command '%.80s'; a kernel is started with: tollgate run KERNEL",
                     word);
}

static int verb_parse(struct cli_parser *p)
{
    const char *word;

    if (p->argc < 2)
        return error_set(p->err, STATUS_USAGE,
                         "no command given; for example: tollgate run KERNEL (tollgate --help "
                         "explains)");
    p->next = 2;
    word = p->argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return action_set(p, CLI_DO_HELP);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return action_set(p, CLI_DO_VERSION);
    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        if (strcmp(verb->name, word) == 0)
            return verb->parse(p);
    }
    p->cli->command = command_find(word);
    if (p->cli->command == NULL)
        return verb_unknown(p, word);
    p->cli->command_argc = p->argc - 1;
    p->cli->command_argv = p->argv + 1;
    if (p->argc == 3 && (strcmp(p->argv[2], "--help") == 0 || strcmp(p->argv[2], "-h") == 0))
        return action_set(p, CLI_DO_HELP_COMMAND);
    return action_set(p, CLI_DO_COMMAND);
}

static void cli_defaults(struct cli *cli)
{
    memset(cli, 0, sizeof(*cli));
    cli->config.mem_size = MEM_DEFAULT;
    cli->config.nharts = 1;
    cli->config.max_steps = UINT64_MAX;
    cli->config.console = CONSOLE_AUTO;
    cli->config.in_fd = 0;
    cli->config.out_fd = 1;
}

/* A failed parse leaves nothing but its message. */
static int parse_end(struct cli_parser *p, int ret)
{
    if (ret != 0) {
        cli_error_locate(p->cli, p->err);
        cli_free(p->cli);
    }
    return ret;
}

int cli_parse(struct cli *cli, const struct cli_env *env, int argc, char *const *argv,
              struct error *err)
{
    struct cli_parser parser = {
        .cli = cli,
        .env = env,
        .err = err,
        .argv = argv,
        .argc = argc,
    };

    cli_defaults(cli);
    return parse_end(&parser, verb_parse(&parser));
}

int cli_parse_config(struct cli *cli, const struct cli_env *env, const char *path,
                     const void *data, size_t size, struct error *err)
{
    struct cli_parser parser = {.cli = cli, .env = env, .err = err};
    int ret;

    cli_defaults(cli);
    ret = config_apply(&parser, path, data, size);
    return parse_end(&parser, ret == 0 ? run_finish(&parser) : ret);
}

void cli_free(struct cli *cli)
{
    if (cli->program_argv != NULL)
        free(cli->program_argv[0]);
    free(cli->program_argv);
    for (size_t i = 0; i < VM_REQUESTS_MAX; i++)
        free(cli->request_text[i]);
    config_free(cli);
    memset(cli, 0, sizeof(*cli));
}
