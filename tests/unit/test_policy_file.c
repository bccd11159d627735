/* test_policy_file.c: policy files, good and bad, and rules of the command line. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/unit/suites.h"
#include "vmm/policy_doc.h"

static struct policy_doc doc;
static struct error err;

static int parse(const char *text)
{
    policy_doc_free(&doc);
    err = (struct error){.status = STATUS_OK};
    return policy_doc_parse(&doc, "p.json", text, strlen(text), &err);
}

#define HEAD "{\"version\": 1,\n"

static void test_whole(void)
{
    CU_ASSERT_EQUAL_FATAL(
        parse(HEAD
              "\"comment\": \"c\", \"default\": \"deny\", \"refusal\": \"stop\",\n"
              "\"rules\": [{\"allow\": \"sbi.base\", \"seen\": 7},\n"
              " {\"deny\": \"0x10/3\", \"args\": {\"arg0\": [5, {\"min\": 2, \"max\": 4},\n"
              "  \"0xffffffffffffffff\", {\"min\": \"0xfffffffffffffff0\"}]}},\n"
              " {\"rate\": \"sbi.dbcn\", \"calls\": 10, \"burst\": 2, \"bytes\": 100,\n"
              "  \"bytes_burst\": 50, \"refusal\": \"log\"},\n"
              " {\"deny\": \"program/64\", \"override\": true}],\n"
              "\"effects\": [{\"module\": \"*\", \"may\": [\"mem\", \"blocks\"]}],\n"
              "\"files\": [{\"name\": \"d\", \"path\": \"/x\", \"read\": true}],\n"
              "\"numbers\": [{\"service\": \"s\", \"values\": {\"max\": 9}}],\n"
              "\"deterministic\": [\"tg.event\"]}"),
        0);
    CU_ASSERT_EQUAL(doc.def, POLICY_DEFAULT_DENY);
    CU_ASSERT_EQUAL(doc.refusal, POLICY_STOP);
    CU_ASSERT_EQUAL_FATAL(doc.nrules, 4);
    CU_ASSERT_EQUAL(doc.rule[0].line, 3);
    CU_ASSERT_EQUAL(doc.rule[0].seen, 7);
    CU_ASSERT_EQUAL(doc.rule[1].line, 4);
    CU_ASSERT_EQUAL(doc.rule[1].target.kind, POLICY_CALL);
    CU_ASSERT_EQUAL(doc.rule[1].target.ext, 0x10);
    CU_ASSERT_EQUAL(doc.rule[1].target.fn, 3);
    /* Sorted, and what touches is one: 2-5, and the top. */
    CU_ASSERT_EQUAL_FATAL(doc.rule[1].arg[0].nranges, 2);
    CU_ASSERT_EQUAL(doc.rule[1].arg[0].range[0].min, 2);
    CU_ASSERT_EQUAL(doc.rule[1].arg[0].range[0].max, 5);
    CU_ASSERT_EQUAL(doc.rule[1].arg[0].range[1].min, UINT64_MAX - 15);
    CU_ASSERT_EQUAL(doc.rule[1].arg[0].range[1].max, UINT64_MAX);
    CU_ASSERT_EQUAL(doc.rule[2].line, 6);
    CU_ASSERT_EQUAL(doc.rule[2].calls.burst, 2);
    CU_ASSERT_EQUAL(doc.rule[2].bytes.rate, 100);
    CU_ASSERT_EQUAL(doc.rule[2].refusal, POLICY_LOG);
    CU_ASSERT_EQUAL(doc.rule[3].target.kind, POLICY_PROGRAM);
    CU_ASSERT_TRUE(doc.rule[3].override);
    CU_ASSERT_EQUAL_FATAL(doc.nscopes, 1);
    CU_ASSERT_EQUAL(doc.scope[0].effects, CALL_WRITES_MEM | CALL_BLOCKS);
    CU_ASSERT_EQUAL_FATAL(doc.ngrants, 1);
    CU_ASSERT_TRUE(doc.grant[0].read && !doc.grant[0].write);
    CU_ASSERT_EQUAL_FATAL(doc.nnumbers, 1);
    CU_ASSERT_EQUAL(doc.numbers[0].range[0].max, 9);
    CU_ASSERT_EQUAL_FATAL(doc.ndeterministic, 1);
    CU_ASSERT_EQUAL(doc.deterministic[0].line, 12);
}

/* What is printed says the same, and is printed again the same. */
static void test_round_trip(void)
{
    char *first = NULL, *second = NULL;

    test_whole();
    CU_ASSERT_EQUAL(policy_doc_option(&doc, POLICY_DENY, "sbi.srst", &err), 0);
    CU_ASSERT_EQUAL(policy_doc_option(&doc, POLICY_RATE, "sbi.dbcn,bytes=0x10", &err), 0);
    CU_ASSERT_EQUAL_FATAL(policy_doc_print(&doc, &first), 0);
    CU_ASSERT_EQUAL_FATAL(parse(first), 0);
    CU_ASSERT_EQUAL(doc.nrules, 6);
    CU_ASSERT_TRUE(doc.rule[4].override);
    CU_ASSERT_EQUAL(doc.rule[5].bytes.rate, 16);
    CU_ASSERT_EQUAL_FATAL(policy_doc_print(&doc, &second), 0);
    CU_ASSERT_STRING_EQUAL(first, second);
    free(first);
    free(second);
    policy_doc_free(&doc);
}

/* Each is refused with its line, its rule and what would be right. */
static void test_bad(void)
{
#define RULE(rule) HEAD "\"rules\": [{\"allow\": \"a\"},\n" rule "]}"
    static const struct {
        const char *text, *where, *words;
    } bad[] = {
        {"",                                                                                             "line 1",             "'['"                 },
        {"[]",                                                                                           "line 1",             "an array; give"      },
        {"{}",                                                                                           "line 1",             "\"version\": 1"      },
        {"{\"version\": 2}",                                                                             "line 1",             "not 1"               },
        {"{\"version\": 1,\n\"version\": 1}",                                                            "line 2",             "duplicate"           },
        {HEAD "\n\"rule\": []}",                                                                         "line 3",             "unknown key \"rule\""},
        {HEAD "\"rules\": {}}",                                                                          "line 2",             "give an array"       },
        {HEAD "\"default\": \"no\"}",                                                                    "line 2",             "\"shipped\""         },
        {HEAD "\"default\": 1}",                                                                         "line 2",             "give a string"       },
        {HEAD "\"refusal\": \"inherit\"}",                                                               "line 2",             "\"error\", \"stop\"" },
        {HEAD "\"comment\": true}",                                                                      "line",               "give a string"       },
        {HEAD "\n\"require_audit\": true}",                                                              "line",               "not in this version" },
        {HEAD "\n\"labels\": []}",                                                                       "line 3",             "not in this version" },
        {RULE("3"),                                                                                      "line 3: rules[1]",   "a number; give an"   },
        {RULE("{}"),                                                                                     "line 3: rules[1]",   "neither"             },
        {RULE("{\"allow\": \"a\", \"deny\": \"b\"}"),                                                    "line 3: rules[1]",   "one kind"            },
        {RULE("{\"allow\": \"a\", \"allow\": \"b\"}"),                                                   "line 3",             "duplicate"           },
        {RULE("{\"deny\": \"\"}"),                                                                       "rules[1]",           "names no call"       },
        {RULE("{\"deny\": \"a.\"}"),                                                                     "rules[1]",           "names no call"       },
        {RULE("{\"deny\": \"0x\"}"),                                                                     "rules[1]",           "names no call"       },
        {RULE("{\"deny\": \"0x10/\"}"),                                                                  "rules[1]",           "names no call"       },
        {RULE("{\"deny\": \"0x10000000000000000\"}"),                                                    "rules[1]",           "names no call"       },
        {RULE("{\"deny\": \"program/x\"}"),                                                              "rules[1]",           "names no call"       },
        {RULE("{\"deny\": 16}"),                                                                         "rules[1]",           "give a string"       },
        {RULE("{\"deny\": \"a\", \"arg\": {}}"),                                                         "rules[1]",           "unknown key \"arg\"" },
        {RULE("{\"deny\": \"a\", \"args\": {}}"),                                                        "rules[1]",           "empty"               },
        {RULE("{\"deny\": \"a\", \"args\": []}"),                                                        "rules[1]",           "give an object"      },
        {RULE("{\"deny\": \"a\",\n\"args\": {\"arg0\": -1}}"),                                           "line 4: rules[1]",
         "0xffffffffffffffff"                                                                                                                        },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": 1.5}}"),                                           "rules[1]",           "a point"             },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": \"f\"}}"),                                         "rules[1]",
         "no 64-bit number"                                                                                                                          },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": []}}"),                                            "rules[1]",           "no values"           },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": {}}}"),                                            "rules[1]",           "without \"min\""     },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": {\"min\": 2, \"max\": 1}}}"),                      "rules[1]",
         "holds nothing"                                                                                                                             },
        {RULE("{\"deny\": \"a\", \"args\": {\"arg0\": {\"mean\": 2}}}"),                                 "rules[1]",
         "unknown key"                                                                                                                               },
        {RULE("{\"deny\": \"a\", \"calls\": 1}"),                                                        "rules[1]",           "belong to a \"rate\""},
        {RULE("{\"rate\": \"a\"}"),                                                                      "rules[1]",           "needs \"calls\""     },
        {RULE("{\"rate\": \"a\", \"calls\": 0}"),                                                        "rules[1]",           "give 1 to"           },
        {RULE("{\"rate\": \"a\", \"calls\": 1, \"bytes_burst\": 2}"),                                    "rules[1]",
         "without its rate"                                                                                                                          },
        {RULE("{\"rate\": \"a\", \"calls\": 1, \"args\": {\"arg0\": 1}}"),                               "rules[1]",
         "take them out"                                                                                                                             },
        {RULE("{\"rate\": \"a\", \"calls\": 1, \"override\": true}"),                                    "rules[1]",
         "take \"override\" out"                                                                                                                     },
        {RULE("{\"allow\": \"a\", \"refusal\": \"log\"}"),                                               "rules[1]",           "refuses nothing"     },
        {HEAD "\"effects\": [\n{\"module\": \"x\", \"may\": [\"fly\"]}]}",                               "line 3: effects[0]",
         "no effect"                                                                                                                                 },
        {HEAD "\"effects\": [{\"module\": \"x\"}]}",                                                     "effects[0]",         "lacks"               },
        {HEAD
         "\"effects\": [{\"module\": \"x\", \"may\": []},\n{\"module\": \"x\", \"may\": []}]}", "line 3: effects[1]", "already"             },
        {HEAD "\"files\": [{\"name\": \"a\", \"path\": \"b\"}]}",                                        "files[0]",           "grants nothing"      },
        {HEAD "\"files\": [{\"name\": \"a/b\", \"path\": \"b\"}]}",                                      "files[0]",           "slash"               },
        {HEAD "\"files\": [{\"path\": \"b\", \"read\": true}]}",                                         "files[0]",           "lacks"               },
        {HEAD "\"files\": [{\"path\": \"\"}]}",                                                          "files[0]",           "empty"               },
        {HEAD "\"numbers\": [{\"service\": \"x\"}]}",                                                    "numbers[0]",         "lacks"               },
        {HEAD "\"deterministic\": [\"0x10\"]}",                                                          "deterministic[0]",   "no name"             },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int rc = parse(bad[i].text);

        CU_ASSERT_EQUAL(rc, -EINVAL);
        CU_ASSERT_EQUAL(err.status, STATUS_DATA);
        if (strncmp(err.text, "--policy: 'p.json', line ", 25) != 0 ||
            !strstr(err.text, bad[i].where) || !strstr(err.text, bad[i].words)) {
            printf("\n    %s\n    -> %s", bad[i].text, err.text);
            CU_FAIL("the message lacks its place or its words");
        }
    }
    policy_doc_free(&doc);
}

static void test_options(void)
{
    static const struct {
        enum policy_kind kind;
        const char *text;
        const char *words;
    } bad[] = {
        {POLICY_DENY,  "",                        "names no call"   },
        {POLICY_ALLOW, "a b",                     "--allow: 'a b'"  },
        {POLICY_RATE,  "a",                       "no limit"        },
        {POLICY_RATE,  "a,calls",                 "calls=N"         },
        {POLICY_RATE,  "a,calls=0",               "calls=N"         },
        {POLICY_RATE,  "a,calls=1,",              "not known"       },
        {POLICY_RATE,  "a,burst=1",               "no limit"        },
        {POLICY_RATE,  "a,calls=1,bytes-burst=1", "without its rate"},
        {POLICY_RATE,  "a,calls=10000000000",     "1 to 1000000000" },
        {POLICY_RATE,  ",calls=1",                "names no call"   },
    };

    policy_doc_init(&doc);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = (struct error){.status = STATUS_OK};
        CU_ASSERT_EQUAL(policy_doc_option(&doc, bad[i].kind, bad[i].text, &err), -EINVAL);
        CU_ASSERT_EQUAL(err.status, STATUS_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i].words));
    }
    policy_doc_free(&doc);
    CU_ASSERT_EQUAL(policy_doc_option(&doc, POLICY_RATE, "a.b,calls=5,burst=2,bytes=7", &err),
                    0);
    CU_ASSERT_EQUAL(doc.rule[0].calls.rate, 5);
    CU_ASSERT_EQUAL(doc.rule[0].calls.burst, 2);
    CU_ASSERT_EQUAL(doc.rule[0].bytes.rate, 7);
    CU_ASSERT_STRING_EQUAL(doc.rule[0].target.name, "a.b");
    policy_doc_free(&doc);
}

/* Lines are those of the file, whatever its strings hold. */
static void test_lines(void)
{
    CU_ASSERT_EQUAL(parse(HEAD "\"comment\": \"{\\\"[:,\\n\\\\\", \"default\" : \"deny\" ,\n\n"
                               "\"rules\": [\n{\"allow\"\n:\n\"a\"}, {\n\"allow\": \"b\"}\n,\n"
                               "{\"deny\": \"c\", \"comment\": \"\\u00e9\"}]}"),
                    0);
    CU_ASSERT_EQUAL_FATAL(doc.nrules, 3);
    CU_ASSERT_EQUAL(doc.rule[0].line, 5);
    CU_ASSERT_EQUAL(doc.rule[1].line, 7);
    CU_ASSERT_EQUAL(doc.rule[2].line, 10);
    policy_doc_free(&doc);
}

static void test_limits(void)
{
    size_t size = 64 + (POLICY_RULES_MAX + 1) * 16, len;
    char *text = malloc(size);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (unsigned extra = 0; extra < 2; extra++) {
        len = (size_t)snprintf(text, size, HEAD "\"rules\": [");
        for (unsigned i = 0; i < POLICY_RULES_MAX + extra; i++)
            len += (size_t)snprintf(text + len, size - len, "%s{\"deny\":\"a\"}", i ? "," : "");
        snprintf(text + len, size - len, "]}");
        CU_ASSERT_EQUAL(parse(text), extra ? -EINVAL : 0);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "at most 4096 rules"));
    free(text);
    policy_doc_free(&doc);
}

void suite_policy_file(void)
{
    CU_pSuite s = CU_add_suite("policy_file", NULL, NULL);

    CU_add_test(s, "a whole policy", test_whole);
    CU_add_test(s, "printed and read again", test_round_trip);
    CU_add_test(s, "bad files", test_bad);
    CU_add_test(s, "options", test_options);
    CU_add_test(s, "lines", test_lines);
    CU_add_test(s, "limits", test_limits);
}
