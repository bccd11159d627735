/* abi.c: reads the table of calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/abi.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* This file is part of the generator too, so it uses no number that the generator makes. */
#define EXT_BASE         0x10u
#define TG_FIRST         0x08544700u
#define TG_LAST          0x085447ffu
#define TG_EXIT          0x08544701u
#define PROGRAM_EXIT     93u
#define PROGRAM_EXIT_ALL 94u

#define ERR_FAILED        (-1)
#define ERR_INVALID_PARAM (-3)

#define COLUMNS      10
#define NAME_MAX_LEN 60

static const char *const personality_names[PERSONALITIES] = {
    [CALL_SBI] = "sbi",
    [CALL_PROGRAM] = "program",
    [CALL_TG] = "tg",
};

static const char *const kind_names[CALL_KINDS] = {
    [KIND_NONE] = "none",       [KIND_WORD] = "word",       [KIND_INT] = "int",
    [KIND_FLAGS] = "flags",     [KIND_HART] = "hart",       [KIND_HARTMASK] = "hartmask",
    [KIND_LENGTH] = "length",   [KIND_IN] = "in",           [KIND_OUT] = "out",
    [KIND_HIGH] = "high",       [KIND_STRING] = "string",   [KIND_MEMORY] = "memory",
    [KIND_ADDRESS] = "address", [KIND_VIRTUAL] = "virtual", [KIND_FD] = "fd",
    [KIND_LEVEL] = "level",     [KIND_TIME] = "time",       [KIND_MODE] = "mode",
    [KIND_ID] = "id",
};

/* In the order of the CALL_* bits. */
static const char *const effect_names[] = {
    "mem", "hart", "reads-host", "writes-host", "blocks", "stops",
};
#define EFFECTS (sizeof(effect_names) / sizeof(effect_names[0]))

/* SBI 3.0, section 3: the code is minus the index. */
static const char *const error_names[ABI_ERRORS] = {
    "SUCCESS",
    "FAILED",
    "NOT_SUPPORTED",
    "INVALID_PARAM",
    "DENIED",
    "INVALID_ADDRESS",
    "ALREADY_AVAILABLE",
    "ALREADY_STARTED",
    "ALREADY_STOPPED",
    "NO_SHMEM",
    "INVALID_STATE",
    "BAD_RANGE",
    "TIMEOUT",
    "IO",
    "DENIED_LOCKED",
};

const char *abi_kind_name(enum call_kind kind)
{
    return kind < CALL_KINDS ? kind_names[kind] : NULL;
}

const char *abi_personality_name(enum personality personality)
{
    return personality < PERSONALITIES ? personality_names[personality] : NULL;
}

const char *abi_effect_name(unsigned bit)
{
    return bit < EFFECTS ? effect_names[bit] : NULL;
}

const char *abi_error_name(int code)
{
    return code <= 0 && code > -ABI_ERRORS ? error_names[-code] : NULL;
}

size_t abi_group_len(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? (size_t)(dot - name) : strlen(name);
}

bool abi_core(const struct call_desc *desc)
{
    if (desc->personality == CALL_TG)
        return desc->ext == TG_EXIT;
    return desc->personality == CALL_PROGRAM &&
           (desc->fn == PROGRAM_EXIT || desc->fn == PROGRAM_EXIT_ALL);
}

const struct abi_row *abi_find(const struct abi *abi, const char *name)
{
    for (size_t i = 0; i < abi->nrows; i++)
        if (strcmp(abi->row[i].desc.name, name) == 0)
            return &abi->row[i];
    return NULL;
}

/* --- words --- */

/* A table that is being read. */
struct reader {
    struct abi *abi;
    struct error *err;
    unsigned line;
    size_t room; /* rows that abi->row has room for */
};

static int __attribute__((format(printf, 2, 3)))
fail(const struct reader *r, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(r->err, STATUS_DATA, "%s:%u: %s", r->abi->file, r->line, text);
}

/* The next word of a line, cut out of it; NULL: none. */
static char *word_next(char **rest)
{
    char *word = *rest + strspn(*rest, " \t");
    size_t len = strcspn(word, " \t");

    if (len == 0)
        return NULL;
    *rest = word + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    return word;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A small letter, then small letters and digits, and underscores where they may be. */
static bool is_identifier(const char *s, size_t len, bool underscores)
{
    if (len == 0 || !is_lower(s[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!is_lower(s[i]) && !is_digit(s[i]) && !(underscores && s[i] == '_'))
            return false;
    return s[len - 1] != '_';
}

/* Decimal, or hexadecimal with 0x; nothing else, and no more than max. */
static bool number_parse(const char *s, uint64_t max, uint64_t *value)
{
    bool hex = s[0] == '0' && s[1] == 'x';
    uint64_t v = 0;

    if (hex)
        s += 2;
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++) {
        unsigned digit;

        if (is_digit(*s))
            digit = (unsigned)(*s - '0');
        else if (hex && ((*s >= 'a' && *s <= 'f') || (*s >= 'A' && *s <= 'F')))
            digit = (unsigned)((*s | 0x20) - 'a' + 10);
        else
            return false;
        if (__builtin_mul_overflow(v, hex ? 16u : 10u, &v) ||
            __builtin_add_overflow(v, digit, &v) || v > max)
            return false;
    }
    *value = v;
    return true;
}

/* MAJOR.MINOR, cut up and put together again. */
static bool version_parse(char *s, unsigned *version)
{
    char *dot = strchr(s, '.');
    uint64_t major, minor;
    bool good;

    if (!dot)
        return false;
    *dot = '\0';
    good = is_digit(s[0]) && number_parse(s, 999, &major) && is_digit(dot[1]) &&
           number_parse(dot + 1, 999, &minor);
    *dot = '.';
    if (good)
        *version = (unsigned)(major << 16 | minor);
    return good && strchr(s, 'x') == NULL;
}

/* --- columns --- */

static int parse_personality(const struct reader *r, struct abi_row *row, const char *word)
{
    for (unsigned i = 0; i < PERSONALITIES; i++)
        if (strcmp(word, personality_names[i]) == 0) {
            row->desc.personality = i;
            return 0;
        }
    return fail(r, "'%s' is no personality; give sbi, program or tg", word);
}

static int parse_number(const struct reader *r, struct abi_row *row, const char *ext,
                        const char *fn)
{
    struct call_desc *desc = &row->desc;

    if (desc->personality == CALL_PROGRAM) {
        if (strcmp(ext, "-") != 0)
            return fail(r, "'%s': programs have no extensions; give - for it", ext);
    } else if (!number_parse(ext, INT32_MAX, &desc->ext)) {
        return fail(r, "'%s' is no extension; give a number from 0 to 0x7fffffff", ext);
    }
    if (desc->personality == CALL_TG && (desc->ext < TG_FIRST || desc->ext > TG_LAST))
        return fail(r, "extension %s is not one of Tollgate's; give 0x%x to 0x%x", ext,
                    TG_FIRST, TG_LAST);
    if (desc->personality == CALL_SBI && desc->ext >= TG_FIRST && desc->ext <= TG_LAST)
        return fail(r, "extension %s is one of Tollgate's; its personality is tg", ext);
    desc->legacy = desc->personality == CALL_SBI && desc->ext < EXT_BASE;
    if (desc->legacy != (strcmp(fn, "*") == 0))
        return fail(r, "'%s' is no function of extension %s; give %s", fn, ext,
                    desc->legacy ? "*: legacy extensions (0 to 15) have none" : "a number");
    if (desc->legacy)
        desc->fn = CALL_ANY_FN;
    else if (!number_parse(fn, INT32_MAX, &desc->fn))
        return fail(r, "'%s' is no function; give a number from 0 to 0x7fffffff", fn);
    return 0;
}

/* sbi.GROUP.CALL, tg.GROUP.CALL, program.CALL: dots become underscores in C without a clash. */
static int parse_name(const struct reader *r, struct abi_row *row, const char *name)
{
    const char *prefix = personality_names[row->desc.personality];
    size_t len = strlen(prefix);
    const char *rest = name + len;
    bool good = strncmp(name, prefix, len) == 0 && *rest == '.';

    if (good && row->desc.personality != CALL_PROGRAM) {
        const char *group = ++rest;

        rest = strchr(group, '.');
        good = rest && is_identifier(group, (size_t)(rest - group), false);
    }
    good = good && is_identifier(rest + 1, strlen(rest + 1), true);
    if (!good || strlen(name) > NAME_MAX_LEN)
        return fail(r,
                    "'%s' is no name of such a call; give %s.%sCALL, small letters and digits",
                    name, prefix, row->desc.personality == CALL_PROGRAM ? "" : "GROUP.");
    row->desc.name = name;
    return 0;
}

/* Words that a stub's parameter cannot have for its name. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {
        "auto",     "break",    "case",     "char",   "const",   "continue",
        "default",  "do",       "double",   "else",   "enum",    "extern",
        "float",    "for",      "goto",     "if",     "inline",  "int",
        "long",     "register", "restrict", "return", "short",   "signed",
        "sizeof",   "static",   "struct",   "switch", "typedef", "union",
        "unsigned", "void",     "volatile", "while",  "asm",     "typeof",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

/* One NAME:KIND of a list. */
static int parse_pair(const struct reader *r, char *text, struct call_arg *arg)
{
    char *colon = strchr(text, ':');

    if (!colon)
        return fail(r, "'%s' has no kind; give NAME:KIND", text);
    *colon = '\0';
    if (!is_identifier(text, strlen(text), true) || is_reserved(text))
        return fail(r,
                    "'%s' cannot be an argument's name; give small letters and digits, and "
                    "no word of C",
                    text);
    for (unsigned i = KIND_WORD; i < CALL_KINDS; i++)
        if (strcmp(colon + 1, kind_names[i]) == 0) {
            *arg = (struct call_arg){.name = text, .kind = i};
            return 0;
        }
    return fail(r, "'%s' is no kind; docs/call.md lists them: word, flags, hartmask, in, ...",
                colon + 1);
}

static bool kind_is_low(enum call_kind kind)
{
    return kind == KIND_IN || kind == KIND_OUT || kind == KIND_STRING || kind == KIND_MEMORY;
}

/* Pointers stand as the convention has them: length, low, high. One buffer is copied a call. */
static int check_pointers(const struct reader *r, struct abi_row *row)
{
    struct call_desc *desc = &row->desc;

    for (unsigned i = 0; i < desc->nargs; i++) {
        enum call_kind kind = row->arg[i].kind;
        enum call_kind before = i > 0 ? row->arg[i - 1].kind : KIND_NONE;
        enum call_kind behind = i + 1u < desc->nargs ? row->arg[i + 1].kind : KIND_NONE;
        bool buffer = kind == KIND_IN || kind == KIND_OUT;

        if (kind_is_low(kind) && behind != KIND_HIGH)
            return fail(r, "'%s' has no high half; give NAME:high behind it", row->arg[i].name);
        if (kind == KIND_HIGH && !kind_is_low(before))
            return fail(r,
                        "'%s' is the high half of nothing; give in, out, string or memory "
                        "before it",
                        row->arg[i].name);
        if (buffer != (before == KIND_LENGTH))
            return fail(r,
                        "'%s': a length and its buffer stand together; give "
                        "NAME:length,NAME:in,NAME:high",
                        row->arg[i].name);
        if (kind == KIND_LENGTH && behind != KIND_IN && behind != KIND_OUT)
            return fail(r,
                        "'%s' is the length of nothing; give NAME:in or NAME:out behind it, "
                        "or call it a word",
                        row->arg[i].name);
        if (!buffer)
            continue;
        if (desc->buf_kind != CALL_BUF_NONE)
            return fail(r, "'%s' is a second buffer; one is copied for a call",
                        row->arg[i].name);
        desc->buf_kind = kind == KIND_IN ? CALL_BUF_IN : CALL_BUF_OUT;
        desc->buf_len_arg = (uint8_t)(i - 1);
    }
    return 0;
}

static int parse_args(const struct reader *r, struct abi_row *row, char *text)
{
    char *word;

    if (strcmp(text, "-") == 0)
        return 0;
    while ((word = strsep(&text, ","))) {
        if (row->desc.nargs == CALL_ARGS)
            return fail(r, "'%s' is argument %d; a call has %d at most", word, CALL_ARGS + 1,
                        CALL_ARGS);
        if (parse_pair(r, word, &row->arg[row->desc.nargs]) != 0)
            return -EINVAL;
        for (unsigned i = 0; i < row->desc.nargs; i++)
            if (strcmp(row->arg[i].name, row->arg[row->desc.nargs].name) == 0)
                return fail(r, "two arguments are named '%s'; give each its own name",
                            row->arg[i].name);
        row->desc.nargs++;
    }
    return check_pointers(r, row);
}

static int parse_result(const struct reader *r, struct abi_row *row, char *text)
{
    struct call_desc *desc = &row->desc;
    enum call_kind kind;

    if (strcmp(text, "-") != 0) {
        if (strchr(text, ','))
            return fail(r, "'%s': a call has one result, in a1 (legacy and programs: in a0)",
                        text);
        if (parse_pair(r, text, &desc->result) != 0)
            return -EINVAL;
    }
    kind = desc->result.kind;
    if (kind_is_low(kind) || kind == KIND_HIGH || kind == KIND_LENGTH)
        return fail(r, "'%s' cannot be a result of kind %s; give word, fd, address, ...",
                    desc->result.name, kind_names[kind]);
    if (desc->buf_kind == CALL_BUF_OUT && kind != KIND_WORD)
        return fail(r, "a call that fills a buffer says how much of it; give NAME:word for its "
                       "result");
    return 0;
}

static int parse_errors(const struct reader *r, struct abi_row *row, char *text)
{
    struct call_desc *desc = &row->desc;
    char *word;

    desc->errors = CALL_CONTRACT;
    if (strcmp(text, "-") == 0)
        text = NULL;
    while ((word = strsep(&text, ","))) {
        unsigned code = 1;

        while (code < ABI_ERRORS && strcmp(word, error_names[code]) != 0)
            code++;
        if (code == ABI_ERRORS)
            return fail(r, "'%s' is no error; give SBI's names, as FAILED or INVALID_PARAM",
                        word);
        if (desc->errors & 1u << code)
            return fail(r, "%s is listed twice; give it once", word);
        desc->errors |= 1u << code;
    }
    if (desc->buf_kind != CALL_BUF_NONE && !(desc->errors & CALL_ERROR(ERR_INVALID_PARAM)))
        return fail(r, "%s has a buffer, which may not be RAM; list INVALID_PARAM", desc->name);
    if (desc->buf_kind == CALL_BUF_OUT && !(desc->errors & CALL_ERROR(ERR_FAILED)))
        return fail(r, "%s has its buffer copied out, which may fail; list FAILED", desc->name);
    return 0;
}

static int parse_effects(const struct reader *r, struct abi_row *row, char *text)
{
    char *word;

    if (strcmp(text, "-") == 0)
        text = NULL;
    while ((word = strsep(&text, ","))) {
        unsigned i = 0;

        while (i < EFFECTS && strcmp(word, effect_names[i]) != 0)
            i++;
        if (i == EFFECTS)
            return fail(r,
                        "'%s' is no effect; give mem, hart, reads-host, writes-host, blocks "
                        "or stops, or - for none",
                        word);
        if (row->desc.effects & 1u << i)
            return fail(r, "effect %s is listed twice; give it once", word);
        row->desc.effects |= (uint16_t)(1u << i);
    }
    if (row->desc.buf_kind == CALL_BUF_OUT && !(row->desc.effects & CALL_WRITES_MEM))
        return fail(r, "%s has its buffer copied out; list the effect mem", row->desc.name);
    return 0;
}

static int parse_cycles(const struct reader *r, struct abi_row *row, char *text)
{
    char *plus = strchr(text, '+');
    uint64_t fixed = 0, per_kib = 0;
    bool good;

    if (plus)
        *plus++ = '\0';
    good =
        number_parse(text, 1000000, &fixed) && (!plus || number_parse(plus, 1000000, &per_kib));
    if (!good)
        return fail(r,
                    "'%s%s%s' is no number of cycles; give N or N+M, M for each KiB, up to "
                    "1000000",
                    text, plus ? "+" : "", plus ? plus : "");
    if (per_kib != 0 && row->desc.buf_kind == CALL_BUF_NONE)
        return fail(r, "%s has no buffer to charge %s cycles a KiB for; give N alone",
                    row->desc.name, plus);
    row->desc.cycles = (uint32_t)fixed;
    row->desc.cycles_per_kib = (uint32_t)per_kib;
    return 0;
}

/* --- rows --- */

/* Against the rows before: a name and a number are given once, a group has one extension. */
static int check_unique(const struct reader *r, const struct abi_row *row)
{
    const struct call_desc *a = &row->desc;
    size_t group = abi_group_len(a->name);

    for (size_t i = 0; i < r->abi->nrows; i++) {
        const struct abi_row *o = &r->abi->row[i];
        const struct call_desc *b = &o->desc;
        bool same_group =
            abi_group_len(b->name) == group && strncmp(a->name, b->name, group) == 0;

        if (strcmp(a->name, b->name) == 0)
            return fail(r, "%s stands in line %u already; give each call its own name", a->name,
                        o->line);
        if (a->personality != b->personality)
            continue;
        if (a->ext == b->ext && a->fn == b->fn)
            return fail(r, "%s has the number of %s in line %u; give it its own", a->name,
                        b->name, o->line);
        if (a->legacy != b->legacy && same_group)
            return fail(r, "%s is a legacy call and %s is not; give them groups of their own",
                        a->legacy ? a->name : b->name, a->legacy ? b->name : a->name);
        if (!a->legacy && same_group != (a->ext == b->ext))
            return fail(r,
                        "a group and an extension go together: %s is 0x%llx, %s in line %u "
                        "is 0x%llx",
                        a->name, (unsigned long long)a->ext, b->name, o->line,
                        (unsigned long long)b->ext);
    }
    return 0;
}

static int parse_columns(const struct reader *r, struct abi_row *row, char *column[COLUMNS])
{
    if (parse_personality(r, row, column[0]) != 0 ||
        parse_number(r, row, column[1], column[2]) != 0 || parse_name(r, row, column[3]) != 0)
        return -EINVAL;
    if (!version_parse(column[4], &row->version) || row->version > r->abi->version)
        return fail(r,
                    "'%s' is no version of this table; give MAJOR.MINOR, up to the one of "
                    "its line 'abi'",
                    column[4]);
    row->desc.since = column[4];
    if (parse_args(r, row, column[5]) != 0 || parse_result(r, row, column[6]) != 0 ||
        parse_errors(r, row, column[7]) != 0 || parse_effects(r, row, column[8]) != 0 ||
        parse_cycles(r, row, column[9]) != 0)
        return -EINVAL;
    return check_unique(r, row);
}

static int rows_grow(struct reader *r)
{
    struct abi *abi = r->abi;
    size_t room = r->room ? 2 * r->room : 64;

    if (abi->nrows == ABI_ROWS_MAX)
        return fail(r, "more than %d calls; a table has no room for them", ABI_ROWS_MAX);
    if (abi->nrows < r->room)
        return 0;
    struct abi_row *row = realloc(abi->row, room * sizeof(*row));
    if (!row)
        return error_set(r->err, STATUS_OS, "%s: no memory for its rows", abi->file);
    abi->row = row;
    r->room = room;
    return 0;
}

static int parse_row(struct reader *r, char *line)
{
    static const char *const names[COLUMNS] = {
        "a personality", "an extension", "a function", "a name",  "a version",
        "arguments",     "a result",     "errors",     "effects", "cycles",
    };
    struct abi_row row = {.line = r->line};
    char *column[COLUMNS], *rest = line, *more;

    for (unsigned i = 0; i < COLUMNS; i++) {
        column[i] = word_next(&rest);
        if (!column[i])
            return fail(r, "the row ends before its %u. column; give %s (- for none)", i + 1,
                        names[i]);
    }
    more = word_next(&rest);
    if (more)
        return fail(r, "'%s' stands behind the last column; a row has %d", more, COLUMNS);
    if (parse_columns(r, &row, column) != 0 || rows_grow(r) != 0)
        return -EINVAL;
    r->abi->row[r->abi->nrows++] = row;
    return 0;
}

/* A line of contract text is moved behind the one before it, with a space between. */
static int parse_text(const struct reader *r, char *line)
{
    struct abi_row *row = r->abi->nrows > 0 ? &r->abi->row[r->abi->nrows - 1] : NULL;
    char *text = line + strspn(line, " \t");
    size_t len = strlen(text);

    if (!row)
        return fail(r,
                    "text before the first row; begin the line of a row in its first column");
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    if (!row->desc.contract) {
        row->desc.contract = text;
        return 0;
    }
    /* What lies between was part of this table's text: the row's own bytes are not read again.
     */
    char *end = r->abi->text + (row->desc.contract - r->abi->text) + strlen(row->desc.contract);
    *end++ = ' ';
    memmove(end, text, len + 1);
    return 0;
}

static int parse_version(const struct reader *r, char *line)
{
    char *rest = line, *word = word_next(&rest), *version = word_next(&rest);

    if (r->abi->version != 0)
        return fail(r, "a second line 'abi'; a table has one");
    if (strcmp(word, "abi") != 0)
        return fail(r, "'%s' before the table's version; begin with 'abi MAJOR.MINOR'", word);
    if (!version || word_next(&rest) || !version_parse(version, &r->abi->version) ||
        r->abi->version == 0)
        return fail(r, "no version; give 'abi MAJOR.MINOR', each up to 999, not 0.0");
    return 0;
}

static int parse_line(struct reader *r, char *line)
{
    size_t blank = strspn(line, " \t");

    if (line[blank] == '\0' || line[0] == '#')
        return 0;
    if (blank > 0)
        return parse_text(r, line);
    if (r->abi->version == 0 || strncmp(line, "abi", strcspn(line, " \t")) == 0)
        return parse_version(r, line);
    if (r->abi->nrows > 0 && !r->abi->row[r->abi->nrows - 1].desc.contract)
        return fail(r, "%s has no contract; describe it in an indented line behind its row",
                    r->abi->row[r->abi->nrows - 1].desc.name);
    return parse_row(r, line);
}

static int check_bytes(struct reader *r, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\n')
            r->line++;
        else if ((c < 0x20 && c != '\t') || c >= 0x7f)
            return fail(r, "byte 0x%02x; a table is ASCII text", c);
    }
    r->line = 0;
    return 0;
}

int abi_parse(struct abi *abi, const char *file, const char *text, size_t len,
              struct error *err)
{
    struct reader r = {.abi = abi, .err = err, .line = 1};

    *abi = (struct abi){.file = file};
    if (check_bytes(&r, text, len) != 0)
        return -EINVAL;
    abi->source = strndup(text, len);
    abi->text = strndup(text, len);
    if (!abi->source || !abi->text)
        return error_set(err, STATUS_OS, "%s: no memory for its text", file);

    char *rest = abi->text, *line;
    while ((line = strsep(&rest, "\n"))) {
        r.line++;
        if (parse_line(&r, line) != 0)
            return -EINVAL;
    }
    if (abi->nrows == 0)
        return fail(&r, "no calls; give a row for each");
    if (!abi->row[abi->nrows - 1].desc.contract)
        return fail(&r, "%s has no contract; describe it in an indented line behind its row",
                    abi->row[abi->nrows - 1].desc.name);
    for (size_t i = 0; i < abi->nrows; i++)
        abi->row[i].desc.args = abi->row[i].arg;
    return 0;
}

#define FILE_MAX (1u << 20)

int abi_load(struct abi *abi, const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MAX + 1);
    size_t len = 0;
    int rc = -EINVAL;

    *abi = (struct abi){.file = path};
    if (!text)
        error_set(err, STATUS_OS, "%s: no memory for it", path);
    else if (!file || ((len = fread(text, 1, FILE_MAX + 1, file)) == 0 && ferror(file)))
        error_set(err, STATUS_NO_INPUT, "cannot read the table '%s': %s", path,
                  strerror(errno));
    else if (len > FILE_MAX)
        error_set(err, STATUS_DATA, "%s: more than 1 MiB; a table of calls is smaller", path);
    else
        rc = abi_parse(abi, path, text, len, err);
    free(text);
    if (file)
        fclose(file);
    return rc;
}

void abi_free(struct abi *abi)
{
    free(abi->source);
    free(abi->text);
    free(abi->row);
    *abi = (struct abi){0};
}
