/* test_tg_console.c: the debug console: bytes, strings, lines, and a host that fails. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "guest/abi/platform.h"
#include "tests/unit/suites.h"
#include "tests/unit/tg.h"

#define TEXT (FIXTURE_RAM + 0x1000)
#define END  (FIXTURE_RAM + FIXTURE_RAM_SIZE)

static struct fixture f;

static void start(const char *key, const char *value)
{
    CU_ASSERT_EQUAL_FATAL(tg_start(&f, &module_tg_console, key, value), 0);
}

static uint64_t put(gpa_t gpa, const char *text)
{
    size_t len = strlen(text);

    CU_ASSERT_EQUAL_FATAL(mem_write(&f.vm.mem, gpa, text, len + (gpa + len < END)), 0);
    return len;
}

static struct call console_out(uint64_t len, gpa_t gpa)
{
    return tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_WRITE, len, gpa, 0, 0);
}

static struct call print(gpa_t gpa, uint64_t high)
{
    return tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_PRINT, gpa, high, 0, 0);
}

static struct call log_by(unsigned hart, uint64_t level, const char *text)
{
    uint64_t len = put(TEXT, text);

    return tg_call_by(&f, hart, TG_EXT_CONSOLE, TG_CONSOLE_LOG, level, len, TEXT, 0);
}

static void test_write(void)
{
    struct call c;

    start(NULL, NULL);
    c = console_out(put(TEXT, "hello\n"), TEXT);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 6);
    CU_ASSERT(fixture_printed(&f, "hello\n"));
    c = console_out(0, TEXT);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    CU_ASSERT_EQUAL(f.mock.nwrites, 1); /* nothing costs nothing */
    c = console_out(4096, TEXT);
    CU_ASSERT_EQUAL(c.value, 4096);
    CU_ASSERT_EQUAL(f.mock.nwrites, 2); /* a page is one write of the host */
    f.mock.out_len = 0;
    c = console_out(CALL_BUF_MAX + 7, TEXT); /* what is longer goes in several calls */
    CU_ASSERT_EQUAL(c.value, CALL_BUF_MAX);
    f.mock.out_len = 0;
    c = console_out(2, END - 1);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    c = tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_WRITE, 1, TEXT, 1, 0);
    CU_ASSERT_EQUAL(c.error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(f.mock.out_len, 0);
    tg_end(&f);
}

static void test_read(void)
{
    const char *at;
    struct call c;

    start(NULL, NULL);
    at = (const char *)mem_ptr(&f.vm.mem, TEXT, 8);
    c = tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_READ, 8, TEXT, 0, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0); /* without waiting */
    fixture_type(&f, "typed");
    c = tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_READ, 3, TEXT, 0, 0);
    CU_ASSERT_EQUAL(c.value, 3);
    CU_ASSERT_STRING_EQUAL(at, "typ");
    c = tg_call(&f, TG_EXT_CONSOLE, TG_CONSOLE_READ, 8, TEXT, 0, 0);
    CU_ASSERT_EQUAL(c.value, 2);
    CU_ASSERT_STRING_EQUAL(at, "edp"); /* no byte behind the two is touched */
    tg_end(&f);
}

static void test_print(void)
{
    static char big[TG_PRINT_MAX + 2];
    struct call c;

    start(NULL, NULL);
    put(TEXT, "one call");
    c = print(TEXT, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 8);
    CU_ASSERT(fixture_printed(&f, "one call"));
    put(TEXT, "");
    c = print(TEXT, 0);
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 0);
    /* Over a page's end, and up to the very end of memory. */
    put(TEXT + 0xffe, "pages");
    CU_ASSERT_EQUAL(print(TEXT + 0xffe, 0).value, 5);
    CU_ASSERT(fixture_printed(&f, "pages"));
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, END - 4, "end", 4), 0);
    CU_ASSERT_EQUAL(print(END - 4, 0).value, 3);
    CU_ASSERT(fixture_printed(&f, "end"));
    /* No end before memory ends: nothing is printed. */
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, END - 4, "mem!", 4), 0);
    CU_ASSERT_EQUAL(print(END - 4, 0).error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(print(END, 0).error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(print(UINT64_MAX, 0).error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(print(TEXT, 1).error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT(fixture_printed(&f, ""));
    /* The bound, from each offset in a page. */
    memset(big, 'x', TG_PRINT_MAX + 1);
    for (gpa_t gpa = TEXT; gpa <= TEXT + 0x1000; gpa += 0x555) {
        put(gpa, big);
        CU_ASSERT_EQUAL(print(gpa, 0).value, TG_PRINT_MAX);
        CU_ASSERT_EQUAL(f.mock.out_len, TG_PRINT_MAX);
        f.mock.out_len = 0;
    }
    tg_end(&f);
}

static void test_log(void)
{
    static char longest[TG_LOG_MAX + 100];
    struct call c;

    start(NULL, NULL);
    mock_advance(&f.mock, 1204311900);
    c = log_by(0, TG_LOG_INFO, "up");
    CU_ASSERT_EQUAL(c.error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(c.value, 2);
    CU_ASSERT(fixture_printed(&f, "[    1.204311] hart0 info: up\n"));
    CU_ASSERT_EQUAL(f.mock.nwrites, 1);
    CU_ASSERT_EQUAL(log_by(1, TG_LOG_EMERG, "down\n").value, 5);
    CU_ASSERT(fixture_printed(&f, "[    1.204311] hart1 emerg: down\n"));
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_DEBUG, "").value, 0);
    CU_ASSERT(fixture_printed(&f, "[    1.204311] hart0 debug: \n"));
    /* One call, one line, whatever is in it. */
    log_by(0, TG_LOG_ERR, "a\n[    9.000000] hart1 info: forged\r\033[2J\x7f\t\xc3\xa9");
    CU_ASSERT(fixture_printed(&f, "[    1.204311] hart0 err: a\\x0a[    9.000000] hart1 info: "
                                  "forged\\x0d\\x1b[2J\\x7f\t\xc3\xa9\n"));
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_LEVELS, "no").error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(log_by(0, UINT64_MAX, "no").error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT(fixture_printed(&f, ""));
    memset(longest, 1, sizeof(longest) - 1);
    CU_ASSERT_EQUAL(log_by(0, 0, longest).value, TG_LOG_MAX);
    CU_ASSERT_EQUAL(f.mock.out_len, strlen("[    1.204311] hart0 emerg: \n") + 4 * TG_LOG_MAX);
    f.mock.out_len = 0;
    /* The longest head. */
    f.vm.clock.start_ns -= UINT64_C(9000000000000000000);
    log_by(1, TG_LOG_WARNING, "old");
    CU_ASSERT(fixture_printed(&f, "[9000000001.204311] hart1 warning: old\n"));
    tg_end(&f);
}

static void test_level(void)
{
    start("level", "warning");
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_NOTICE, "quiet").error, SBI_SUCCESS);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_NOTICE, "quiet").value, 5);
    CU_ASSERT_EQUAL(f.mock.nwrites, 0);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_WARNING, "loud").value, 4);
    CU_ASSERT_EQUAL(f.mock.nwrites, 1);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_LEVELS, "no").error, SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(console_out(1, TEXT).value, 1); /* bytes have no level */
    tg_end(&f);
    CU_ASSERT(tg_start(&f, &module_tg_console, "level", "loud") < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "level='loud'; give emerg"));
    fixture_destroy(&f);
}

static void test_file(void)
{
    char path[] = "/tmp/tollgate-console-XXXXXX";
    int fd = mkstemp(path);

    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    start("file", path);
    console_out(put(TEXT, "there"), TEXT);
    CU_ASSERT(fixture_printed(&f, "there"));
    CU_ASSERT(f.mock.out_fd > 2);
    console_write(&f.vm.console, "here", 4);
    CU_ASSERT_EQUAL(f.mock.out_fd, 1);
    tg_end(&f);
    unlink(path);
    CU_ASSERT(tg_start(&f, &module_tg_console, "file", "/nowhere/at/all") < 0);
    CU_ASSERT_EQUAL(f.err.status, STATUS_CANT_CREATE);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "cannot write '/nowhere/at/all'"));
    fixture_destroy(&f);
}

/* What the host did, and what the guest is told of eight bytes. */
static void test_failures(void)
{
    static const struct {
        ssize_t step[4];
        int64_t error;
        uint64_t value;
        const char *out;
    } cases[] = {
        {{3, 2},                     SBI_SUCCESS,    8,      "12345678"}, /* short */
        {{-EINTR, 1, -EINTR},        SBI_SUCCESS,    8,      "12345678"},
        {{-EAGAIN, -EAGAIN, 5},      SBI_SUCCESS,    8,      "12345678"}, /* slow */
        {{3, -ENOSPC},               SBI_SUCCESS,    3,      "123"     },
        {{-ENOSPC},                  SBI_ERR_FAILED, ENOSPC, ""        },
        {{-EINTR, -EIO},             SBI_ERR_IO,     EIO,    ""        },
        {{-EPIPE},                   SBI_ERR_FAILED, EPIPE,  ""        },
        {{-EACCES},                  SBI_ERR_DENIED, EACCES, ""        },
        {{-EAGAIN, 7, -EINTR, -EIO}, SBI_SUCCESS,    7,      "1234567" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned way = 0; way < 2; way++) {
            struct call c;

            start(NULL, NULL);
            put(TEXT, "12345678");
            for (unsigned s = 0; s < 4 && cases[i].step[s] != 0; s++)
                mock_write_result(&f.mock, cases[i].step[s]);
            c = way == 0 ? console_out(8, TEXT) : print(TEXT, 0);
            CU_ASSERT_EQUAL(c.error, cases[i].error);
            CU_ASSERT_EQUAL(c.value, cases[i].value);
            CU_ASSERT(fixture_printed(&f, cases[i].out));
            tg_end(&f);
        }
    }
}

/* A line is all there, or the guest hears of it. */
static void test_log_failures(void)
{
    start(NULL, NULL);
    mock_write_result(&f.mock, 5);
    mock_write_result(&f.mock, -EINTR);
    mock_write_result(&f.mock, 1);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_INFO, "whole").value, 5);
    CU_ASSERT(fixture_printed(&f, "[    0.000000] hart0 info: whole\n"));
    mock_write_result(&f.mock, 5);
    mock_write_result(&f.mock, -ENOSPC);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_INFO, "part").error, SBI_ERR_FAILED);
    mock_write_result(&f.mock, -EIO);
    CU_ASSERT_EQUAL(log_by(0, TG_LOG_INFO, "none").value, EIO);
    tg_end(&f);
}

/* A guest whose reader is gone for good does not outlive its machine. */
static void test_stopping(void)
{
    start(NULL, NULL);
    put(TEXT, "x");
    atomic_store(&f.vm.stopping, true);
    mock_write_result(&f.mock, -EAGAIN);
    CU_ASSERT_EQUAL(console_out(1, TEXT).value, EAGAIN);
    tg_end(&f);
}

#define LINES 500

static void *log_many(void *arg)
{
    unsigned hart = *(const unsigned *)arg;

    for (unsigned i = 0; i < LINES; i++) {
        struct call c = tg_call_by(&f, hart, TG_EXT_CONSOLE, TG_CONSOLE_LOG, TG_LOG_INFO, 8,
                                   TEXT + 8 * hart, 0);
        if (c.value != 8)
            return arg;
    }
    return NULL;
}

/* The host takes lines in pieces of any size, and still none is mixed with another. */
static void test_lines_whole(void)
{
    unsigned hart[2] = {0, 1}, seen = 0;
    pthread_t thread[2];
    void *failed;

    start(NULL, NULL);
    for (unsigned i = 0; i < MOCK_STEPS_MAX; i++)
        mock_write_result(&f.mock, 1 + i % 11);
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, TEXT, "AAAAAAAABBBBBBBB", 16), 0);
    for (unsigned i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, log_many, &hart[i]), 0);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(thread[i], &failed);
        CU_ASSERT_PTR_NULL(failed);
    }
    f.mock.out[f.mock.out_len] = '\0';
    for (char *rest = (char *)f.mock.out, *line; (line = strsep(&rest, "\n")) && *line; seen++)
        CU_ASSERT(strcmp(line, "[    0.000000] hart0 info: AAAAAAAA") == 0 ||
                  strcmp(line, "[    0.000000] hart1 info: BBBBBBBB") == 0);
    CU_ASSERT_EQUAL(seen, 2 * LINES);
    tg_end(&f);
}

static void bell_write(unsigned offset, uint64_t value)
{
    fixture_write(&f, PLAT_DOORBELL_BASE + offset, 8, value);
}

/* Firmware, whose ecall is its own, calls by the doorbell. */
static void test_firmware(void)
{
    fixture_init(&f, START_FIRMWARE, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_doorbell, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_tg_console, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    put(TEXT, "from firmware");
    bell_write(TG_DOORBELL_ARG0, TEXT);
    bell_write(TG_DOORBELL_ARG1, 0);
    bell_write(TG_DOORBELL_FN, TG_CONSOLE_PRINT);
    bell_write(TG_DOORBELL_EXT, TG_EXT_CONSOLE);
    bell_write(TG_DOORBELL_RING, 1);
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_DOORBELL_BASE + TG_DOORBELL_ARG0, 8), 0);
    CU_ASSERT_EQUAL(fixture_read(&f, PLAT_DOORBELL_BASE + TG_DOORBELL_ARG1, 8), 13);
    CU_ASSERT(fixture_printed(&f, "from firmware"));
    tg_end(&f);
}

void suite_tg_console(void)
{
    CU_pSuite suite = CU_add_suite("tg-console", NULL, NULL);

    CU_add_test(suite, "write", test_write);
    CU_add_test(suite, "read", test_read);
    CU_add_test(suite, "print", test_print);
    CU_add_test(suite, "log", test_log);
    CU_add_test(suite, "log: level", test_level);
    CU_add_test(suite, "file", test_file);
    CU_add_test(suite, "a host that fails", test_failures);
    CU_add_test(suite, "log: a host that fails", test_log_failures);
    CU_add_test(suite, "the end of the machine", test_stopping);
    CU_add_test(suite, "log: lines of two harts", test_lines_whole);
    CU_add_test(suite, "by firmware", test_firmware);
}
