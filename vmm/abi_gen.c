/* abi_gen.c: what C and assembly are given from the table of calls. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/abi.h"

#include <string.h>

/* Part of the build's generator: no number of the table may be used here. */

static const char *const output_names[ABI_OUTPUTS] = {
    [ABI_HEADER] = "header", [ABI_STUBS] = "stubs",       [ABI_CALLS] = "calls",
    [ABI_TABLE] = "table",   [ABI_MARKDOWN] = "markdown", [ABI_MAN] = "man",
    [ABI_POLICY] = "policy",
};

const char *abi_output_name(enum abi_output output)
{
    return output < ABI_OUTPUTS ? output_names[output] : NULL;
}

void abi_generate(const struct abi *abi, enum abi_output output, const char *group, FILE *out)
{
    switch (output) {
    case ABI_HEADER: abi_emit_header(abi, out); break;
    case ABI_STUBS: abi_emit_stubs(abi, out); break;
    case ABI_CALLS: abi_emit_calls(abi, group, out); break;
    case ABI_TABLE: abi_emit_table(abi, out); break;
    case ABI_MARKDOWN: abi_emit_markdown(abi, out); break;
    case ABI_MAN: abi_emit_man(abi, out); break;
    case ABI_POLICY: abi_emit_policy(abi, out); break;
    case ABI_OUTPUTS: break;
    }
}

/* A name of the table as C wants it: dots are underscores. */
static void put_identifier(FILE *out, const char *name, size_t len, bool upper)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i] == '.' ? '_' : name[i];

        putc(upper && c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c, out);
    }
}

static void put_upper(FILE *out, const char *name)
{
    put_identifier(out, name, strlen(name), true);
}

static void put_lower(FILE *out, const char *name)
{
    put_identifier(out, name, strlen(name), false);
}

/* SBI_EXT_DBCN of sbi.dbcn; a legacy call has an extension of its own: SBI_EXT_LEGACY_PUTCHAR.
 */
static void put_ext_name(FILE *out, const struct call_desc *desc)
{
    size_t prefix = strcspn(desc->name, ".");
    size_t len = desc->legacy ? strlen(desc->name) : abi_group_len(desc->name);

    put_identifier(out, desc->name, prefix, true);
    fputs("_EXT", out);
    put_identifier(out, desc->name + prefix, len - prefix, true);
}

/* TG_PROGRAM_EXIT, SBI_DBCN_WRITE. */
static void put_fn_name(FILE *out, const struct call_desc *desc)
{
    if (desc->personality == CALL_PROGRAM)
        fputs("TG_", out);
    put_upper(out, desc->name);
}

static bool same_group(const struct call_desc *a, const struct call_desc *b)
{
    size_t len = abi_group_len(a->name);

    return abi_group_len(b->name) == len && strncmp(a->name, b->name, len) == 0;
}

static bool group_begins(const struct abi *abi, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (same_group(&abi->row[j].desc, &abi->row[i].desc))
            return false;
    return true;
}

/*
 * The table's own name: "abi" of hypercalls/abi.tbl. What is made from other tables lies beside
 * what is made from this build's, so its macros and files have other names.
 */
static void table_name(const struct abi *abi, char *name, size_t size)
{
    const char *slash = strrchr(abi->file, '/');
    const char *from = slash ? slash + 1 : abi->file;
    size_t n = 0;

    for (; *from != '\0' && *from != '.' && n + 1 < size; from++) {
        char c = *from;
        bool upper = c >= 'A' && c <= 'Z';
        bool good = upper || (c >= 'a' && c <= 'z') || (n > 0 && c >= '0' && c <= '9');

        name[n++] = upper ? (char)(c - 'A' + 'a') : good ? c : '_';
    }
    name[n] = '\0';
}

/* The lines around a header: what it is of, and against being read twice. */
static void put_guard(FILE *out, const char *name, const char *what)
{
    fputs("#ifndef ", out);
    put_upper(out, name);
    fprintf(out, "_%s_H\n#define ", what);
    put_upper(out, name);
    fprintf(out, "_%s_H\n\n", what);
}

static void put_license(FILE *out, const char *file, const char *what)
{
    fprintf(out, "/* %s: %s; made from the table of calls. */\n", file, what);
    fputs("/* SPDX-License-Identifier: BSD-2-Clause */\n", out);
}

/* --- numbers --- */

static void put_numbers(const struct abi *abi, size_t first, FILE *out)
{
    const struct call_desc *head = &abi->row[first].desc;

    putc('\n', out);
    if (head->personality != CALL_PROGRAM && !head->legacy) {
        fputs("#define ", out);
        put_ext_name(out, head);
        fprintf(out, " 0x%08llx\n", (unsigned long long)head->ext);
    }
    for (size_t i = first; i < abi->nrows; i++) {
        const struct call_desc *desc = &abi->row[i].desc;

        if (!same_group(desc, head))
            continue;
        fputs("#define ", out);
        if (desc->legacy) {
            put_ext_name(out, desc);
            fprintf(out, " 0x%02llx\n", (unsigned long long)desc->ext);
        } else {
            put_fn_name(out, desc);
            fprintf(out, " %llu\n", (unsigned long long)desc->fn);
        }
        fputs("#define TG_HAVE_", out);
        put_upper(out, desc->name);
        fprintf(out, " 0x%x\n", abi->row[i].version);
    }
}

void abi_emit_header(const struct abi *abi, FILE *out)
{
    char name[64] = "";

    table_name(abi, name, sizeof(name));
    put_license(out, "calls.h", "numbers of the calls, for C and assembly");
    put_guard(out, name, "CALLS");
    fputs(
        "/*\n"
        " * The version of the table, major << 16 | minor, and for each call TG_HAVE_..., the\n"
        " * version that has had it first. A guest asks at build time with #ifdef, and the\n"
        " * machine that it runs in with sbi.base.probe_extension.\n"
        " */\n"
        "#define TG_",
        out);
    put_upper(out, name);
    fprintf(out, "_VERSION 0x%x\n", abi->version);
    for (size_t i = 0; i < abi->nrows; i++)
        if (group_begins(abi, i))
            put_numbers(abi, i, out);
    fputs("\n#endif\n", out);
}

/* --- stubs --- */

static const char *const stub_prologue =
    "#include <stdint.h>\n"
    "#include \"guest/abi/calls.h\"\n\n"
    "/* What a call returns: a0, and a1. */\n"
    "struct tg_ret {\n"
    "    int64_t error;\n"
    "    uint64_t value;\n"
    "};\n\n"
    "/* A call of a kernel: everything but a0 and a1 is preserved. */\n"
    "static inline struct tg_ret tg_ecall(uint64_t ext, uint64_t fn, uint64_t a, uint64_t b,\n"
    "                                     uint64_t c, uint64_t d, uint64_t e, uint64_t f)\n"
    "{\n"
    "#ifdef __x86_64__ /* the doorbell: guest/abi/x86.h */\n"
    "    register uint64_t r8 __asm__(\"r8\") = d;\n"
    "    register uint64_t r9 __asm__(\"r9\") = e;\n"
    "    register uint64_t r10 __asm__(\"r10\") = f;\n"
    "    register uint64_t r11 __asm__(\"r11\") = fn;\n"
    "    uint64_t rdx = 0x5440;\n\n"
    "    __asm__ volatile(\"outl %%eax, %%dx\"\n"
    "                     : \"+a\"(ext), \"+d\"(rdx)\n"
    "                     : \"D\"(a), \"S\"(b), \"c\"(c), \"r\"(r8), \"r\"(r9), \"r\"(r10), "
    "\"r\"(r11)\n"
    "                     : \"memory\");\n"
    "    return (struct tg_ret){(int64_t)ext, rdx};\n"
    "#else\n"
    "    register uint64_t a0 __asm__(\"a0\") = a;\n"
    "    register uint64_t a1 __asm__(\"a1\") = b;\n"
    "    register uint64_t a2 __asm__(\"a2\") = c;\n"
    "    register uint64_t a3 __asm__(\"a3\") = d;\n"
    "    register uint64_t a4 __asm__(\"a4\") = e;\n"
    "    register uint64_t a5 __asm__(\"a5\") = f;\n"
    "    register uint64_t a6 __asm__(\"a6\") = fn;\n"
    "    register uint64_t a7 __asm__(\"a7\") = ext;\n\n"
    "    __asm__ volatile(\"ecall\"\n"
    "                     : \"+r\"(a0), \"+r\"(a1)\n"
    "                     : \"r\"(a2), \"r\"(a3), \"r\"(a4), \"r\"(a5), \"r\"(a6), \"r\"(a7)\n"
    "                     : \"memory\");\n"
    "    return (struct tg_ret){(int64_t)a0, a1};\n"
    "#endif\n"
    "}\n\n"
    "#ifdef __riscv\n"
    "/*\n"
    " * A system call of a program, by Linux's convention: the number in a7, everything but "
    "a0\n"
    " * preserved. Results from -4095 to -1 are errors: tg_errno gives the code, 0 for "
    "success.\n"
    " */\n"
    "static inline int64_t tg_syscall(uint64_t number, uint64_t a, uint64_t b, uint64_t c,\n"
    "                                 uint64_t d, uint64_t e, uint64_t f)\n"
    "{\n"
    "    register uint64_t a0 __asm__(\"a0\") = a;\n"
    "    register uint64_t a1 __asm__(\"a1\") = b;\n"
    "    register uint64_t a2 __asm__(\"a2\") = c;\n"
    "    register uint64_t a3 __asm__(\"a3\") = d;\n"
    "    register uint64_t a4 __asm__(\"a4\") = e;\n"
    "    register uint64_t a5 __asm__(\"a5\") = f;\n"
    "    register uint64_t a7 __asm__(\"a7\") = number;\n\n"
    "    __asm__ volatile(\"ecall\"\n"
    "                     : \"+r\"(a0)\n"
    "                     : \"r\"(a1), \"r\"(a2), \"r\"(a3), \"r\"(a4), \"r\"(a5), \"r\"(a7)\n"
    "                     : \"memory\");\n"
    "    return (int64_t)a0;\n"
    "}\n\n"
    "static inline int tg_errno(int64_t result)\n"
    "{\n"
    "    return (uint64_t)result > (uint64_t)-4096 ? (int)-result : 0;\n"
    "}\n"
    "#endif\n";

/* The registers of a call, zero where there is no argument. */
static void put_registers(FILE *out, const struct call_desc *desc)
{
    for (unsigned i = 0; i < CALL_ARGS; i++)
        fprintf(out, ", %s", i < desc->nargs ? desc->args[i].name : "0");
}

static void put_stub(const struct call_desc *desc, FILE *out)
{
    bool program = desc->personality == CALL_PROGRAM;

    fprintf(out, "\n%s/* %s */\nstatic inline %s ", program ? "#ifdef __riscv\n" : "",
            desc->contract, program ? "int64_t" : "struct tg_ret");
    fputs(desc->personality == CALL_TG ? "" : "tg_", out);
    put_lower(out, desc->name);
    for (unsigned i = 0; i < desc->nargs; i++)
        fprintf(out, "%suint64_t %s", i == 0 ? "(" : ", ", desc->args[i].name);
    fputs(desc->nargs == 0 ? "(void)\n{\n    return " : ")\n{\n    return ", out);
    fputs(program ? "tg_syscall(" : "tg_ecall(", out);
    if (program) {
        put_fn_name(out, desc);
    } else {
        put_ext_name(out, desc);
        fputs(", ", out);
        if (desc->legacy)
            fputs("0", out);
        else
            put_fn_name(out, desc);
    }
    put_registers(out, desc);
    fprintf(out, ");\n}\n%s", program ? "#endif\n" : "");
}

void abi_emit_stubs(const struct abi *abi, FILE *out)
{
    char name[64] = "";

    table_name(abi, name, sizeof(name));
    put_license(out, "stubs.h", "the calls as C functions of a guest");
    put_guard(out, name, "STUBS");
    if (strcmp(name, "abi") == 0)
        fputs(stub_prologue, out);
    else
        fprintf(out, "#include \"guest/abi/stubs.h\"\n#include \"%s_calls.h\"\n", name);
    for (size_t i = 0; i < abi->nrows; i++)
        put_stub(&abi->row[i].desc, out);
    fputs("\n#endif\n", out);
}

/* --- descriptors --- */

/* A C string, broken at spaces so that no line is endless. */
static void put_string(FILE *out, const char *text)
{
    unsigned column = 0;

    putc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            putc('\\', out);
        putc(*c, out);
        if (++column > 70 && *c == ' ') {
            fputs("\"\n        \"", out);
            column = 0;
        }
    }
    putc('"', out);
}

static void put_kind(FILE *out, enum call_kind kind)
{
    fputs("KIND_", out);
    put_upper(out, abi_kind_name(kind));
}

static void put_desc_args(FILE *out, const struct call_desc *desc)
{
    fprintf(out, "     .nargs = %u,\n", desc->nargs);
    if (desc->nargs == 0)
        return;
    fputs("     .args = (const struct call_arg[]){", out);
    for (unsigned i = 0; i < desc->nargs; i++) {
        fprintf(out, "%s{\"%s\", ", i > 0 ? ", " : "", desc->args[i].name);
        put_kind(out, desc->args[i].kind);
        putc('}', out);
    }
    fputs("},\n", out);
}

static void put_desc(FILE *out, const struct call_desc *desc, bool handler)
{
    static const char *const personality[PERSONALITIES] = {"CALL_SBI", "CALL_PROGRAM",
                                                           "CALL_TG"};
    static const char *const buffer[] = {"CALL_BUF_NONE", "CALL_BUF_IN", "CALL_BUF_OUT"};

    fprintf(out, "    {\n     .name = \"%s\",\n     .personality = %s,\n     .ext = 0x%llx,\n",
            desc->name, personality[desc->personality], (unsigned long long)desc->ext);
    if (desc->legacy)
        fputs("     .fn = CALL_ANY_FN,\n     .legacy = true,\n", out);
    else
        fprintf(out, "     .fn = %llu,\n", (unsigned long long)desc->fn);
    if (handler) {
        fputs("     .handler = ", out);
        put_lower(out, desc->name);
        fputs(",\n", out);
    }
    fprintf(out,
            "     .effects = 0x%x,\n     .buf_kind = %s,\n     .buf_len_arg = %u,\n"
            "     .errors = 0x%x,\n     .cycles = %u,\n     .cycles_per_kib = %u,\n",
            desc->effects, buffer[desc->buf_kind], desc->buf_len_arg, desc->errors,
            desc->cycles, desc->cycles_per_kib);
    put_desc_args(out, desc);
    if (desc->result.kind != KIND_NONE) {
        fprintf(out, "     .result = {\"%s\", ", desc->result.name);
        put_kind(out, desc->result.kind);
        fputs("},\n", out);
    }
    fprintf(out, "     .since = \"%s\",\n     .contract =\n        ", desc->since);
    put_string(out, desc->contract);
    fputs(",\n    },\n", out);
}

static bool in_group(const struct call_desc *desc, const char *group)
{
    size_t len = strlen(group);

    return abi_group_len(desc->name) == len && strncmp(desc->name, group, len) == 0;
}

void abi_emit_calls(const struct abi *abi, const char *group, FILE *out)
{
    put_license(out, group, "handlers and descriptors of the calls of one module");
    fputs("#ifndef CALLS_", out);
    put_upper(out, group);
    fputs("_H\n#define CALLS_", out);
    put_upper(out, group);
    fputs("_H\n\n#include \"vmm/call.h\"\n\n", out);
    for (size_t i = 0; i < abi->nrows; i++)
        if (in_group(&abi->row[i].desc, group)) {
            fputs("static call_handler ", out);
            put_lower(out, abi->row[i].desc.name);
            fputs(";\n", out);
        }
    fputs("\nstatic const struct call_desc ", out);
    put_lower(out, group);
    fputs("_calls[] = {\n", out);
    for (size_t i = 0; i < abi->nrows; i++)
        if (in_group(&abi->row[i].desc, group))
            put_desc(out, &abi->row[i].desc, true);
    fputs("};\n\n#endif\n", out);
}

/* The text comes back as it can be parsed: bytes, since strings have a longest length in C. */
static void put_table_text(const struct abi *abi, FILE *out)
{
    unsigned column = 0;

    fputs("\nconst char abi_text[] = {", out);
    for (const char *c = abi->source; *c != '\0'; c++)
        fprintf(out, "%s%d,", column++ % 16 == 0 ? "\n    " : " ", *c);
    fputs("\n    0,\n};\nconst size_t abi_text_len = sizeof(abi_text) - 1;\n", out);
}

void abi_emit_table(const struct abi *abi, FILE *out)
{
    put_license(out, "abi_table.c", "the table of calls in this build");
    fputs("#include \"vmm/abi.h\"\n\nconst struct call_desc abi_calls[] = {\n", out);
    for (size_t i = 0; i < abi->nrows; i++)
        put_desc(out, &abi->row[i].desc, false);
    fputs("};\nconst size_t abi_ncalls = sizeof(abi_calls) / sizeof(abi_calls[0]);\n", out);
    put_table_text(abi, out);
}
