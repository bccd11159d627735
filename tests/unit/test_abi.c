/* test_abi.c: the table of calls: what its parser takes and refuses, and what comes of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "tests/unit/suites.h"
#include "vmm/abi.h"
#include "vmm/module.h"

static struct abi abi;
static struct error err;

static int parse(const char *text)
{
    err = (struct error){0};
    return abi_parse(&abi, "t.tbl", text, strlen(text), &err);
}

#define ROW                                                                                    \
    "tg 0x08544780 0 tg.sum.bytes 1.0 len:length,lo:in,hi:high sum:word INVALID_PARAM,FAILED " \
    "mem 10+3\n"
#define TEXT "    Adds up.\n"

static void test_row(void)
{
    CU_ASSERT_EQUAL_FATAL(
        parse("# x\nabi 1.2\n\n" ROW "    Adds\n# aside\n\t up. \n"
              "sbi 0x09 * sbi.legacy.x 0.9 a:word b:int FAILED - 0\n    X\n"
              "program - 64 program.write 1.1 fd:fd n:word - writes-host,blocks 1\n"
              "    W"),
        0);
    CU_ASSERT_EQUAL(abi.version, 1 << 16 | 2);
    CU_ASSERT_EQUAL_FATAL(abi.nrows, 3);
    const struct call_desc *d = &abi.row[0].desc;
    CU_ASSERT_STRING_EQUAL(d->name, "tg.sum.bytes");
    CU_ASSERT_STRING_EQUAL(d->since, "1.0");
    CU_ASSERT_STRING_EQUAL(d->contract, "Adds up.");
    CU_ASSERT_EQUAL(d->personality, CALL_TG);
    CU_ASSERT_EQUAL(d->ext, 0x08544780);
    CU_ASSERT_EQUAL(d->fn, 0);
    CU_ASSERT_EQUAL(d->nargs, 3);
    CU_ASSERT_STRING_EQUAL(d->args[1].name, "lo");
    CU_ASSERT_EQUAL(d->args[1].kind, KIND_IN);
    CU_ASSERT_EQUAL(d->buf_kind, CALL_BUF_IN);
    CU_ASSERT_EQUAL(d->buf_len_arg, 0);
    CU_ASSERT_EQUAL(d->result.kind, KIND_WORD);
    CU_ASSERT_EQUAL(d->errors, CALL_CONTRACT | CALL_ERROR(SBI_ERR_INVALID_PARAM) |
                                   CALL_ERROR(SBI_ERR_FAILED));
    CU_ASSERT_EQUAL(d->effects, CALL_WRITES_MEM);
    CU_ASSERT_EQUAL(d->cycles, 10);
    CU_ASSERT_EQUAL(d->cycles_per_kib, 3);
    CU_ASSERT_EQUAL(abi.row[0].line, 4);
    d = &abi.row[1].desc;
    CU_ASSERT_TRUE(d->legacy);
    CU_ASSERT_EQUAL(d->fn, CALL_ANY_FN);
    d = &abi.row[2].desc;
    CU_ASSERT_EQUAL(d->personality, CALL_PROGRAM);
    CU_ASSERT_EQUAL(d->effects, CALL_WRITES_HOST | CALL_BLOCKS);
    CU_ASSERT_PTR_NULL(abi_find(&abi, "tg.sum"));
    CU_ASSERT_PTR_EQUAL(abi_find(&abi, "program.write"), &abi.row[2]);
    abi_free(&abi);
}

/* A table that is wrong, the line to blame, and words of the message. */
#define BAD(row) "abi 1.0\n" row "\n" TEXT
static const struct {
    const char *text;
    unsigned line;
    const char *words;
} bad[] = {
    {"",                                                                                         1, "no calls"                    },
    {"abi 1.0\n",                                                                                2, "no calls"                    },
    {ROW TEXT,                                                                                   1, "begin with 'abi MAJOR.MINOR'"},
    {"abi\n" ROW TEXT,                                                                           1, "no version"                  },
    {"abi 1\n" ROW TEXT,                                                                         1, "no version"                  },
    {"abi 0.0\n" ROW TEXT,                                                                       1, "no version"                  },
    {"abi 1.1000\n" ROW TEXT,                                                                    1, "no version"                  },
    {"abi 0x1.1\n" ROW TEXT,                                                                     1, "no version"                  },
    {"abi 1.0 x\n" ROW TEXT,                                                                     1, "no version"                  },
    {"abi 1.0\nabi 1.0\n" ROW TEXT,                                                              2, "a second line 'abi'"         },
    {"abi 1.0\n" TEXT ROW,                                                                       2, "text before the first row"   },
    {"abi 1.0\n" ROW,                                                                            3, "no contract"                 },
    {"abi 1.0\n" ROW "sbi 1 2\n",                                                                3, "no contract"                 },
    {"abi 1.0\n" ROW TEXT ROW TEXT,                                                              4, "stands in line 2 already"    },
    {"abi 1.0\n\x01",                                                                            2, "byte 0x01"                   },
    {"abi 1.0\n\n\xc3\xa4",                                                                      3, "byte 0xc3"                   },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - -"),                                            2, "before its 10. column"       },
    {BAD("tg"),                                                                                  2, "before its 2. column"        },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - - 1 2"),                                        2, "'2' stands behind"           },
    {BAD("kvm 0x08544780 0 tg.sum.bytes 1.0 - - - - 1"),                                         2, "give sbi, program or tg"     },
    {BAD("tg 0x0854478g 0 tg.sum.bytes 1.0 - - - - 1"),                                          2, "is no extension"             },
    {BAD("tg 0x 0 tg.sum.bytes 1.0 - - - - 1"),                                                  2, "is no extension"             },
    {BAD("tg 0x80000000 0 tg.sum.bytes 1.0 - - - - 1"),                                          2, "is no extension"             },
    {BAD("tg 0x10000000008544780 0 tg.sum.bytes 1.0 - - - - 1"),                                 2, "is no extension"             },
    {BAD("tg 0x09000000 0 tg.sum.bytes 1.0 - - - - 1"),                                          2, "not one of Tollgate's"       },
    {BAD("sbi 0x08544780 0 sbi.sum.bytes 1.0 - - - - 1"),                                        2, "its personality is tg"       },
    {BAD("program 0 0 program.x 1.0 - - - - 1"),                                                 2, "give - for it"               },
    {BAD("program - * program.x 1.0 - - - - 1"),                                                 2, "give a number"               },
    {BAD("sbi 0x09 1 sbi.legacy.x 1.0 - - - - 1"),                                               2, "give *"                      },
    {BAD("tg 0x08544780 -1 tg.sum.bytes 1.0 - - - - 1"),                                         2, "is no function"              },
    {BAD("tg 0x08544780 0 sbi.sum.bytes 1.0 - - - - 1"),                                         2, "give tg.GROUP.CALL"          },
    {BAD("tg 0x08544780 0 tg.sum 1.0 - - - - 1"),                                                2, "give tg.GROUP.CALL"          },
    {BAD("tg 0x08544780 0 tg.s_m.x 1.0 - - - - 1"),                                              2, "give tg.GROUP.CALL"          },
    {BAD("tg 0x08544780 0 tg.sum.x.y 1.0 - - - - 1"),                                            2, "give tg.GROUP.CALL"          },
    {BAD("tg 0x08544780 0 tg.sum.X 1.0 - - - - 1"),                                              2, "give tg.GROUP.CALL"          },
    {BAD("tg 0x08544780 0 tg.sum.x_ 1.0 - - - - 1"),                                             2, "give tg.GROUP.CALL"          },
    {BAD("program - 1 program.a.b 1.0 - - - - 1"),                                               2, "give program.CALL"           },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.1 - - - - 1"),                                          2, "no version of this table"    },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1 - - - - 1"),                                            2, "no version of this table"    },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a - - - 1"),                                          2, "give NAME:KIND"              },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a: - - - 1"),                                         2, "is no kind"                  },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a:none - - - 1"),                                     2, "is no kind"                  },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a:word, - - - 1"),                                    2, "give NAME:KIND"              },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a:word,a:fd - - - 1"),                                2, "two arguments"               },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 int:word - - - 1"),                                   2, "no word of C"                },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 a:word,b:word,c:word,d:word,e:word,f:word,g:word "
         "- - - 1"),
     2,                                                                                             "a call has 6 at most"        },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 lo:in,hi:high - INVALID_PARAM - 1"),                  2,
     "stand together"                                                                                                             },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 len:length - - - 1"),                                 2, "the length of nothing"       },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 len:length,lo:in - INVALID_PARAM - 1"),               2,
     "has no high half"                                                                                                           },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 lo:string - - - 1"),                                  2, "has no high half"            },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 hi:high - - - 1"),                                    2, "high half of nothing"        },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 len:length,lo:in,hi:high,n:length,l:in,h:high - "
         "INVALID_PARAM - 1"),
     2,                                                                                             "a second buffer"             },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - a:word,b:word - - 1"),                              2, "has one result"              },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - a:in - - 1"),                                       2, "cannot be a result"          },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 n:length,l:out,h:high - INVALID_PARAM,FAILED mem 1"),
     2,                                                                                             "says how much of it"         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 n:length,l:out,h:high a:word FAILED mem 1"),          2,
     "list INVALID_PARAM"                                                                                                         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 n:length,l:out,h:high a:word INVALID_PARAM mem 1"),
     2,                                                                                             "list FAILED"                 },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 n:length,l:out,h:high a:word INVALID_PARAM,FAILED - "
         "1"),
     2,                                                                                             "list the effect mem"         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - SUCCESS - 1"),                                    2, "is no error"                 },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - FAILED,, - 1"),                                   2, "is no error"                 },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - FAILED,FAILED - 1"),                              2, "listed twice"                },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - sleeps 1"),                                     2, "is no effect"                },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - mem,mem 1"),                                    2, "listed twice"                },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - - -"),                                          2, "no number of cycles"         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - - 1+"),                                         2, "no number of cycles"         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - - 1000001"),                                    2, "no number of cycles"         },
    {BAD("tg 0x08544780 0 tg.sum.bytes 1.0 - - - - 1+1"),                                        2, "no buffer to charge"         },
    {"abi 1.0\n" ROW TEXT "tg 0x08544780 0 tg.sum.more 1.0 - - - - 1\n",                         4,
     "has the number of"                                                                                                          },
    {"abi 1.0\n" ROW TEXT "tg 0x08544781 0 tg.sum.more 1.0 - - - - 1\n",                         4, "go together"                 },
    {"abi 1.0\n" ROW TEXT "tg 0x08544780 1 tg.other.more 1.0 - - - - 1\n",                       4, "go together"                 },
    {"abi 1.0\nsbi 1 * sbi.old.a 1.0 - - - - 1\n x\nsbi 99 1 sbi.old.b 1.0 - - - - 1\n",         4,
     "groups of their own"                                                                                                        },
};

static void test_refused(void)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char where[32];
        int rc = parse(bad[i].text);

        snprintf(where, sizeof(where), "t.tbl:%u: ", bad[i].line);
        if (rc == 0 || strncmp(err.text, where, strlen(where)) != 0 ||
            !strstr(err.text, bad[i].words) || err.status != STATUS_DATA) {
            printf("\n    bad[%zu]: '%s', not '%s%s'\n", i, err.text, where, bad[i].words);
            CU_FAIL("a bad table");
        }
        abi_free(&abi);
    }
}

static void test_too_many(void)
{
    char *text = malloc(ABI_ROWS_MAX * 64 + 200), *at = text;

    at += sprintf(at, "abi 1.0\n");
    for (unsigned i = 0; i <= ABI_ROWS_MAX; i++)
        at += sprintf(at, "program - %u program.a%u 1.0 - - - - 1\n x\n", i, i);
    CU_ASSERT_NOT_EQUAL(parse(text), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "more than 1024 calls"));
    free(text);
    abi_free(&abi);
}

/* --- comparison --- */

static enum abi_step compare(const char *old, const char *new, char *text, size_t size)
{
    struct abi a, b;
    struct abi_change change;
    FILE *out = fmemopen(text, size, "w");

    err = (struct error){0};
    CU_ASSERT_EQUAL_FATAL(abi_parse(&a, "old", old, strlen(old), &err), 0);
    CU_ASSERT_EQUAL_FATAL(abi_parse(&b, "new", new, strlen(new), &err), 0);
    int rc = abi_diff(&a, &b, &change, out, &err);
    CU_ASSERT_EQUAL(rc != 0, err.status != STATUS_OK);
    fclose(out);
    abi_free(&a);
    abi_free(&b);
    return change.needed;
}

#define OLD               "abi 1.3\ntg 0x08544780 0 tg.sum.a 1.0 a:word - FAILED - 10\n x\n"
#define NEW(version, row) "abi " version "\ntg 0x08544780 " row "\n x\n"

static void test_diff(void)
{
    static const struct {
        const char *new;
        enum abi_step needed;
        bool fine;
        const char *words; /* of the table or the message */
    } cases[] = {
        {OLD,                                      ABI_STEP_NONE,                           true,              "1.3 -> 1.3"},
        {NEW("1.3",                                "0 tg.sum.a 1.0 a:word - FAILED - 11"),  ABI_STEP_MINOR,    false,"'abi 1.4'"},
        {NEW("1.4",                                        "0 tg.sum.a 1.0 a:word - FAILED - 11"),                                                                       ABI_STEP_MINOR,           true,"10 -> 11"},
        {NEW("1.4",                              "0 tg.sum.a 1.0 a:word - - - 10"),                                                                     ABI_STEP_MINOR,                                                                              true,                                                                                          "FAILED -> -"},
        {NEW("1.3",                                    "0 tg.sum.a 1.0 a:word - FAILED mem 10"),                                                              ABI_STEP_MINOR,  false,
         "'abi 1.4'"},
        {NEW("1.4",                          "0 tg.sum.a 1.0 a:flags - FAILED - 10"),ABI_STEP_MAJOR,                                                                                          false,
         "'abi 2.0'"},
        {NEW("2.0","0 tg.sum.a 1.0 a:flags - FAILED - 10"),   ABI_STEP_MAJOR,true,
         "a:word -> a:flags"},
        {NEW("1.4",                                "1 tg.sum.a 1.0 a:word - FAILED - 10"),                                                         ABI_STEP_MAJOR,                                                          false, "'abi 2.0'"},
        {NEW("1.4",                                        "0 tg.sum.b 1.4 a:word - FAILED - 10"),                                                                       ABI_STEP_MAJOR,                   false,"'abi 2.0'"},
        {NEW("2.0",                             "0 tg.sum.b 2.0 a:word - FAILED - 10"),                                                                    ABI_STEP_MAJOR,                                                                             true,"vanished"},
        {NEW("1.2",                                   "0 tg.sum.a 1.0 a:word - FAILED - 10"),                                                               ABI_STEP_NONE,                                                              false,                                                                                                          "older than"},
        {OLD "tg 0x08544780 1 tg.sum.b 1.3 - - - - 1\n y\n",                          ABI_STEP_MINOR,false,"is new"},
    };
    char text[2048];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(compare(OLD, cases[i].new, text, sizeof(text)), cases[i].needed);
        CU_ASSERT_EQUAL(err.status == STATUS_OK, cases[i].fine);
        CU_ASSERT_TRUE(strstr(text, cases[i].words) || strstr(err.text, cases[i].words));
    }
}

/* --- what was generated --- */

/* The build's table is what its text says, and every call of every module is a row of it. */
static void test_build(void)
{
    size_t rows = 0, core = 0;

    err = (struct error){0};
    CU_ASSERT_EQUAL_FATAL(abi_parse(&abi, "built in", abi_text, abi_text_len, &err), 0);
    CU_ASSERT_EQUAL_FATAL(abi.nrows, abi_ncalls);
    CU_ASSERT_EQUAL(abi.version, TG_ABI_VERSION);
    for (size_t i = 0; i < abi_ncalls; i++) {
        const struct call_desc *a = &abi_calls[i], *b = &abi.row[i].desc;

        for (enum abi_column column = 0; column < ABI_CONTRACT; column++) {
            char x[ABI_COLUMN_MAX], y[ABI_COLUMN_MAX];

            abi_column_text(a, column, x, sizeof(x));
            abi_column_text(b, column, y, sizeof(y));
            CU_ASSERT_STRING_EQUAL(x, y);
        }
        CU_ASSERT_STRING_EQUAL(a->name, b->name);
        CU_ASSERT_STRING_EQUAL(a->contract, b->contract);
        core += abi_core(a);
    }
    for (const struct module *const *m = module_list; *m; m++)
        for (size_t i = 0; i < (*m)->ncalls; i++) {
            const struct call_desc *desc = &(*m)->calls[i];
            const struct abi_row *row = abi_find(&abi, desc->name);

            CU_ASSERT_PTR_NOT_NULL_FATAL(row);
            CU_ASSERT_EQUAL(row->desc.ext, desc->ext);
            CU_ASSERT_EQUAL(row->desc.fn, desc->fn);
            rows++;
        }
    CU_ASSERT_EQUAL(rows + core, abi_ncalls);
    CU_ASSERT_EQUAL(core, 3);
    abi_free(&abi);
}

static void test_numbers(void)
{
    const struct abi_row *row;

    err = (struct error){0};
    CU_ASSERT_EQUAL_FATAL(abi_parse(&abi, "built in", abi_text, abi_text_len, &err), 0);
    row = abi_find(&abi, "sbi.pmu.event_get_info");
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->desc.ext, SBI_EXT_PMU);
    CU_ASSERT_EQUAL(row->desc.fn, SBI_PMU_EVENT_GET_INFO);
    CU_ASSERT_EQUAL(row->version, TG_HAVE_SBI_PMU_EVENT_GET_INFO);
    row = abi_find(&abi, "program.exit_group");
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_EQUAL(row->desc.fn, TG_PROGRAM_EXIT_GROUP);
    CU_ASSERT_TRUE(abi_core(&row->desc));
    CU_ASSERT_EQUAL(SBI_EXT_LEGACY_SHUTDOWN, 8);
    abi_free(&abi);
}

/* Quotes, backslashes and roff's dots come out of a contract as they went in. */
static void test_quoting(void)
{
    char text[8192];
    FILE *out;

    CU_ASSERT_EQUAL_FATAL(parse("abi 1.0\n" ROW "    .SH \"a\\b\" *x* -\n"), 0);
    out = fmemopen(text, sizeof(text), "w");
    abi_generate(&abi, ABI_CALLS, "tg.sum", out);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\".SH \\\"a\\\\b\\\" *x* -\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "static call_handler tg_sum_bytes;"));
    out = fmemopen(text, sizeof(text), "w");
    abi_generate(&abi, ABI_MAN, NULL, out);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n\\&.SH \"a\\eb\" *x* \\-\n"));
    out = fmemopen(text, sizeof(text), "w");
    abi_generate(&abi, ABI_MARKDOWN, NULL, out);
    fclose(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ".SH \"a\\\\b\" \\*x\\* -"));
    abi_free(&abi);
}

void suite_abi(void)
{
    CU_pSuite s = CU_add_suite("abi", NULL, NULL);

    CU_add_test(s, "rows", test_row);
    CU_add_test(s, "bad tables", test_refused);
    CU_add_test(s, "too many calls", test_too_many);
    CU_add_test(s, "comparison", test_diff);
    CU_add_test(s, "the build's own", test_build);
    CU_add_test(s, "numbers", test_numbers);
    CU_add_test(s, "quoting", test_quoting);
}
