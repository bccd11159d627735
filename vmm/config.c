/* config.c: the option file: the options of `tollgate run` as a JSON object. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cli_parser.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"

#define CONFIG_SIZE_MAX (UINT64_C(1) << 20)
#define CONFIG_SHAPE    "a JSON object such as {\"kernel\": \"Image\", \"mem\": \"1G\"}"

/*
 * Where a scan of the text stands. The text has been found to be JSON before; the library tells
 * values but not their lines, and the keys' order is that of the file.
 */
struct config_scan {
    const char *at, *end;
    unsigned line, depth;
    bool key_next; /* a string here is a key of the outermost object */
};

/* Steps over a string; its opening quote is at s->at. */
static void string_skip(struct config_scan *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at == '\\')
            s->at++;
    }
    if (s->at < s->end)
        s->at++;
}

/* The next key of the outermost object, with its quotes; false: there is none. */
static bool key_scan(struct config_scan *s, const char **start, size_t *len)
{
    while (s->at < s->end) {
        char c = *s->at;

        if (c == '"') {
            *start = s->at;
            string_skip(s);
            *len = (size_t)(s->at - *start);
            if (s->key_next && s->depth == 1) {
                s->key_next = false;
                return true;
            }
            continue;
        }
        s->at++;
        switch (c) {
        case '\n': s->line++; break;
        case '{':
        case '[': s->key_next = s->depth++ == 0; break;
        case '}':
        case ']': s->depth--; break;
        case ',': s->key_next = s->depth == 1; break;
        default: break;
        }
    }
    return false;
}

/* An option file being applied. */
struct config_file {
    struct cli_parser *p;
    const char *path;
    unsigned line; /* of the key at hand */
    /* What argv gave, before the file added to it. */
    unsigned nrequests, nwithout;
    bool kernel, firmware, program; /* argv says what starts */
    bool seen[CLI_OPTIONS];
};

__attribute__((format(printf, 2, 3))) static int file_error(const struct config_file *f,
                                                            const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(f->p->err, STATUS_DATA, "--config: '%.80s', line %u: %s", f->path, f->line,
                     text);
}

void cli_error_locate(const struct cli *cli, struct error *err)
{
    const struct error plain = *err;
    const char *text = plain.text;
    const struct cli_option *opt;
    size_t len;

    if (strncmp(text, "--", 2) != 0)
        return;
    len = strcspn(text + 2, ": =");
    opt = cli_option_find(text + 2, len);
    if (opt == NULL || cli->option_line[opt->id] == 0)
        return;
    memset(err, 0, sizeof(*err));
    error_set(err, plain.status == STATUS_USAGE ? STATUS_DATA : plain.status,
              "--config: '%.80s', line %u: \"%s\"%s", cli->option_file,
              cli->option_line[opt->id], opt->name, text + 2 + len);
}

/* --- Values --- */

/* May the option be given several times? Then the file has an array. */
static bool option_repeats(enum cli_option_id id)
{
    return id == CLI_DEVICE || id == CLI_WITHOUT || id == CLI_DENY || id == CLI_ALLOW ||
           id == CLI_RATE || id == CLI_MODULE_FILE;
}

/* Options that make sense at the prompt only. */
static bool option_is_prompt(enum cli_option_id id)
{
    return id == CLI_CONFIG || id == CLI_LIST_MODULES || id == CLI_VERSION || id == CLI_HELP;
}

static const char *value_wanted(const struct cli_option *opt)
{
    if (option_repeats(opt->id))
        return "a string or an array of strings";
    switch (opt->kind) {
    case CLI_FLAG: return "true or false";
    case CLI_SIZE: return "a string such as \"512M\", or a whole number of MiB";
    case CLI_COUNT: return "a whole number";
    case CLI_REST: return "a string, or an array of strings: the program and its arguments";
    default: return "a string";
    }
}

static const char *value_type(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return json_array_size(value) == 0 ? "an empty array" : "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a point or exponent";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return "null";
    }
}

static bool strings_only(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return json_array_size(array) != 0;
}

static bool value_fits(const struct cli_option *opt, const json_t *value)
{
    if (opt->kind == CLI_FLAG)
        return json_is_boolean(value);
    if (json_is_string(value))
        return true;
    if (json_is_integer(value))
        return opt->kind == CLI_SIZE || opt->kind == CLI_COUNT;
    if (!json_is_array(value))
        return false;
    if (opt->kind == CLI_REST)
        return strings_only(value);
    return option_repeats(opt->id) && (json_array_size(value) == 0 || strings_only(value));
}

/* The words of a program as argv has them. */
static int program_apply(struct config_file *f, const struct cli_option *opt,
                         const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    char **words = calloc(n, sizeof(*words));
    struct cli_parser p = *f->p;
    int ret;

    if (words == NULL)
        return error_set(f->p->err, STATUS_OS, "--program: no memory for its arguments");
    for (size_t i = 0; i < n; i++) {
        const json_t *word = json_is_array(value) ? json_array_get(value, i) : value;

        words[i] = (char *)(uintptr_t)json_string_value(word); /* argv is not written to */
    }
    p.argv = words;
    p.argc = (int)n;
    p.next = 1;
    ret = cli_option_apply(&p, opt, words[0]);
    f->p->seen[opt->id] = true;
    free(words);
    return ret;
}

static int number_apply(struct config_file *f, const struct cli_option *opt,
                        const json_t *value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return cli_option_apply(f->p, opt, text); /* numbers are not kept as text */
}

/* Did argv name this module, so that the file's word on it does not count? */
static bool module_named(const struct config_file *f, const char *text)
{
    const struct vm_config *config = &f->p->cli->config;
    size_t len = strcspn(text, ",");

    for (unsigned i = 0; i < f->nrequests; i++) {
        const char *name = config->request[i].name;

        if (strlen(name) == len && memcmp(name, text, len) == 0)
            return true;
    }
    for (unsigned i = 0; i < f->nwithout; i++) {
        const char *name = config->without[i];

        if (strlen(name) == len && memcmp(name, text, len) == 0)
            return true;
    }
    return false;
}

static int word_apply(struct config_file *f, const struct cli_option *opt, const char *word)
{
    if ((opt->id == CLI_DEVICE || opt->id == CLI_WITHOUT) && module_named(f, word))
        return 0;
    return cli_option_apply(f->p, opt, word);
}

static int value_apply(struct config_file *f, const struct cli_option *opt, const json_t *value)
{
    int ret = 0;

    if (opt->kind == CLI_FLAG)
        return json_is_true(value) ? cli_option_apply(f->p, opt, NULL) : 0;
    if (opt->kind == CLI_REST)
        return program_apply(f, opt, value);
    if (json_is_integer(value))
        return number_apply(f, opt, value);
    if (json_is_string(value))
        return word_apply(f, opt, json_string_value(value));
    for (size_t i = 0; i < json_array_size(value) && ret == 0; i++)
        ret = word_apply(f, opt, json_string_value(json_array_get(value, i)));
    return ret;
}

/* Does what argv gave take the place of the file's word? */
static bool overridden(const struct config_file *f, enum cli_option_id id)
{
    switch (id) {
    case CLI_KERNEL: return f->kernel || f->program;
    case CLI_FIRMWARE: return f->firmware || f->program;
    case CLI_PROGRAM: return f->kernel || f->firmware || f->program;
    default: return f->seen[id] && !option_repeats(id);
    }
}

/* --- The file --- */

static int key_unknown(const struct config_file *f, const char *key)
{
    size_t dashes = strspn(key, "-");
    const struct cli_option *near = cli_option_nearest(key + dashes, strlen(key + dashes));

    if (near != NULL && !option_is_prompt(near->id))
        return file_error(f, "unknown key \"%.60s\"; did you mean \"%s\"?", key, near->name);
    return file_error(f,
                      "unknown key \"%.60s\"; keys are long options of tollgate run, such as "
                      "\"kernel\" (tollgate help run lists them)",
                      key);
}

static int key_apply(struct config_file *f, const char *key, const json_t *value)
{
    const struct cli_option *opt = cli_option_find(key, strlen(key));
    unsigned *line;
    int ret;

    if (opt == NULL)
        return key_unknown(f, key);
    if (option_is_prompt(opt->id))
        return file_error(f, "\"%s\" is for the command line only; take it out of the file",
                          key);
    if (!value_fits(opt, value))
        return file_error(f, "\"%s\" is %s; give %s", key, value_type(value),
                          value_wanted(opt));
    if (overridden(f, opt->id))
        return 0;
    line = &f->p->cli->option_line[opt->id];
    *line = f->line;
    ret = value_apply(f, opt, value);
    if (ret != 0)
        cli_error_locate(f->p->cli, f->p->err);
    if (f->seen[opt->id])
        *line = 0; /* argv gave it too: what goes wrong later may be either's */
    return ret;
}

static int keys_apply(struct config_file *f, const json_t *tree, const char *data, size_t size)
{
    struct config_scan scan = {.at = data, .end = data + size, .line = 1};
    const char *start;
    size_t len;
    int ret = 0;

    while (ret == 0 && key_scan(&scan, &start, &len)) {
        json_t *key = json_loadb(start, len, JSON_DECODE_ANY, NULL);

        f->line = scan.line;
        if (key == NULL)
            return error_set(f->p->err, STATUS_OS, "--config: no memory for '%.80s'", f->path);
        ret =
            key_apply(f, json_string_value(key), json_object_get(tree, json_string_value(key)));
        json_decref(key);
    }
    return ret;
}

int config_apply(struct cli_parser *p, const char *path, const void *data, size_t size)
{
    struct config_file f = {
        .p = p,
        .path = path,
        .line = 1,
        .nrequests = p->cli->config.nrequests,
        .nwithout = p->cli->config.nwithout,
        .kernel = p->kernel != NULL,
        .firmware = p->firmware != NULL,
        .program = p->cli->program_argv != NULL,
    };
    json_error_t json_err;
    json_t *tree = json_loadb(data, size, JSON_REJECT_DUPLICATES, &json_err);

    memcpy(f.seen, p->seen, sizeof(f.seen));
    p->cli->option_file = path;
    if (tree == NULL) {
        f.line = json_err.line > 0 ? (unsigned)json_err.line : 1;
        return file_error(&f, "%.160s; give " CONFIG_SHAPE, json_err.text);
    }
    p->cli->option_tree = tree;
    if (!json_is_object(tree))
        return file_error(&f, "it holds %s; give " CONFIG_SHAPE, value_type(tree));
    return keys_apply(&f, tree, data, size);
}

int config_read(struct cli_parser *p, const char *path)
{
    struct host_file file;
    int ret = host_file_open(&file, "--config", path, CONFIG_SIZE_MAX, p->err);

    if (ret != 0)
        return ret;
    ret = config_apply(p, path, file.data, file.size);
    host_file_close(&file);
    return ret;
}

void config_free(struct cli *cli)
{
    json_decref(cli->option_tree);
    cli->option_tree = NULL;
}
