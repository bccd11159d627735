/* cli_values.c: the values of options, checked and stored. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/cli_parser.h"
#include "vmm/observe.h"

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

#define MEM_DEFAULT (512 * MIB)
#define MEM_MIN     (16 * MIB)
#define MEM_MAX     (64 * GIB)
/* Times the host's memory: beyond this a size is a slip of the key. */
#define MEM_OVERCOMMIT 16

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

/* --- Values of options --- */

void cli_defaults(struct cli *cli)
{
    memset(cli, 0, sizeof(*cli));
    cli->config.mem_size = MEM_DEFAULT;
    cli->config.nharts = 1;
    cli->config.max_steps = UINT64_MAX;
    cli->config.console = CONSOLE_AUTO;
    cli->config.in_fd = 0;
    cli->config.out_fd = 1;
}

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

int cli_kernel_set(struct cli_parser *p, const char *value)
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

int cli_action_set(struct cli_parser *p, enum cli_action action)
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
    case CLI_KERNEL: return cli_kernel_set(p, value);
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
    case CLI_LIST_MODULES: return cli_action_set(p, CLI_DO_LIST_MODULES);
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
    case CLI_VERSION: return cli_action_set(p, CLI_DO_VERSION);
    case CLI_HELP: return cli_action_set(p, CLI_DO_HELP_RUN);
    case CLI_OPTIONS: break;
    }
    return 0;
}
