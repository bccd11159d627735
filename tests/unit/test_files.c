/* test_files.c: the host file service, on real folders and on a host that fails. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/tg_files.h"
#include "tests/unit/fixture.h"
#include "tests/unit/snapshot.h"
#include "tests/unit/suites.h"
#include "vmm/policy.h"

extern const struct module module_tg_files;

#define BUF  (FIXTURE_RAM + 0x1000) /* where the guest has its bytes */
#define ROOT ((uint64_t)TG_FILES_GRANTS)

static struct fixture f;
static char dir[] = "/tmp/tollgate-files-XXXXXX";
static char policy_path[64];

static char *path_of(const char *name)
{
    static char paths[2][128]; /* so that two can be named at once */
    static unsigned next;
    char *path = paths[next++ % 2];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void file_write(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
}

static void file_holds(const char *name, const char *text)
{
    char got[64] = "";
    FILE *file = fopen(path_of(name), "r");

    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
    fclose(file);
    CU_ASSERT_STRING_EQUAL(got, text);
}

/*
 * open/ may be read and written, look/ only read, drop/ only written; note is a single file.
 * secret is beside them and never granted.
 */
static int folders_make(void)
{
    static const char *const folders[] = {"open", "look", "drop", "open/sub"};
    FILE *policy;

    if (!mkdtemp(dir))
        return 1;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        if (mkdir(path_of(folders[i]), 0755) != 0)
            return 1;
    snprintf(policy_path, sizeof(policy_path), "%s/policy.json", dir);
    policy = fopen(policy_path, "w");
    if (!policy)
        return 1;
    fprintf(policy,
            "{\"version\": 1, \"default\": \"allow\", \"files\": [\n"
            "  {\"name\": \"open\", \"path\": \"%s/open\", \"read\": true, \"write\": true},\n"
            "  {\"name\": \"look\", \"path\": \"%s/look\", \"read\": true},\n"
            "  {\"name\": \"drop\", \"path\": \"%s/drop\", \"write\": true},\n"
            "  {\"name\": \"note\", \"path\": \"%s/note\", \"read\": true}]}\n",
            dir, dir, dir, dir);
    return fclose(policy);
}

static int folders_remove(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* A VM with the service; `ops` NULL: the real files. */
static void setup(const struct host_file_ops *ops)
{
    file_write("secret", "secret");
    file_write("note", "a note");
    file_write("look/book", "read me");
    fixture_init(&f, START_KERNEL, 1, CONSOLE_SBI);
    f.mock.host.files = ops ? ops : &host_files_real;
    f.config.policy = policy_path;
    CU_ASSERT_EQUAL_FATAL(fixture_add(&f, &module_tg_files, NULL, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(policy_freeze(&f.vm, &f.err), 0);
    CU_ASSERT_EQUAL_FATAL(call_index_build(&f.vm, &f.err), 0);
    CU_ASSERT_EQUAL_FATAL(modules_ready(&f.vm, &f.err), 0);
}

static void teardown(void)
{
    fixture_destroy(&f);
    policy_release(&f.vm);
}

static struct call c;

/* a0; the value is in c.value. */
static int64_t call(uint64_t fn, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                    uint64_t a4)
{
    c = (struct call){
        .personality = CALL_TG,
        .ext = TG_EXT_FILES,
        .fn = fn,
        .arg = {a0, a1, a2, a3, a4, 0},
    };
    call_dispatch(&f.hart[0], &c);
    CU_ASSERT_EQUAL(c.disp, CALL_RET2);
    return c.error;
}

static int64_t open_at(uint64_t dirfd, const char *path, uint64_t flags)
{
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, BUF, path, strlen(path)), 0);
    return call(TG_FILES_OPENAT, dirfd, flags, flags & TG_O_CREAT ? 0644 : 0, strlen(path),
                BUF);
}

static uint64_t opened(const char *path, uint64_t flags)
{
    CU_ASSERT_EQUAL(open_at(ROOT, path, flags), 0);
    return c.value;
}

/* The path is refused with this SBI error and errno. */
static void refused(const char *path, uint64_t flags, int64_t error, uint64_t number)
{
    int64_t got = open_at(ROOT, path, flags);

    if (got != error || c.value != number)
        fprintf(stderr, "%s: error %lld, value %llu\n", path, (long long)got,
                (unsigned long long)c.value);
    CU_ASSERT_EQUAL(got, error);
    CU_ASSERT_EQUAL(c.value, number);
}

static void read_is(uint64_t fd, uint64_t len, const char *text)
{
    char got[64] = "";

    CU_ASSERT_EQUAL(call(TG_FILES_READ, fd, len, BUF, 0, 0), 0);
    CU_ASSERT_EQUAL_FATAL(c.value, strlen(text));
    CU_ASSERT_EQUAL(mem_read(&f.vm.mem, BUF, got, c.value), 0);
    CU_ASSERT_STRING_EQUAL(got, text);
}

static int64_t write_text(uint64_t fd, const char *text)
{
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, BUF, text, strlen(text)), 0);
    return call(TG_FILES_WRITE, fd, strlen(text), BUF, 0, 0);
}

static void test_round_trip(void)
{
    uint64_t word, fd;

    setup(NULL);
    fd = opened("open/new", TG_O_RDWR | TG_O_CREAT | TG_O_EXCL);
    CU_ASSERT_EQUAL(write_text(fd, "hello world"), 0);
    CU_ASSERT_EQUAL(c.value, 11);
    CU_ASSERT_EQUAL(call(TG_FILES_LSEEK, fd, (uint64_t)-5, TG_SEEK_END, 0, 0), 0);
    CU_ASSERT_EQUAL(c.value, 6);
    read_is(fd, 64, "world");
    read_is(fd, 64, "");
    CU_ASSERT_EQUAL(mem_write(&f.vm.mem, BUF, "HE", 2), 0);
    CU_ASSERT_EQUAL(call(TG_FILES_PWRITE, fd, 2, BUF, 0, 0), 0);
    CU_ASSERT_EQUAL(call(TG_FILES_PREAD, fd, 5, BUF, 0, 1), 0);
    CU_ASSERT_EQUAL(c.value, 5);
    CU_ASSERT_EQUAL(call(TG_FILES_FSTAT, fd, 24, BUF, 0, 0), 0);
    CU_ASSERT_EQUAL(c.value, 24);
    mem_read(&f.vm.mem, BUF + TG_STAT_SIZE, &word, 8);
    CU_ASSERT_EQUAL(word, 11);
    mem_read(&f.vm.mem, BUF + TG_STAT_MODE, &word, 8);
    CU_ASSERT_EQUAL(word & 0600, 0600); /* the rest is the umask's */
    CU_ASSERT_EQUAL(call(TG_FILES_CLOSE, fd, 0, 0, 0, 0), 0);
    file_holds("open/new", "HEllo world");
    refused("open/new", TG_O_RDWR | TG_O_CREAT | TG_O_EXCL, SBI_ERR_INVALID_PARAM, EEXIST);
    teardown();
}

static void test_relative(void)
{
    uint64_t folder, fd;

    setup(NULL);
    folder = opened("open/sub", TG_O_RDONLY | TG_O_DIRECTORY);
    CU_ASSERT_EQUAL(open_at(folder, "deep", TG_O_WRONLY | TG_O_CREAT), 0);
    fd = c.value;
    CU_ASSERT_EQUAL(write_text(fd, "x"), 0);
    file_holds("open/sub/deep", "x");
    read_is(opened("open//sub/deep", TG_O_RDONLY), 64, "x"); /* as the kernel reads paths */
    CU_ASSERT_EQUAL(open_at(folder, "../../secret", TG_O_RDONLY), SBI_ERR_DENIED);
    CU_ASSERT_EQUAL(c.value, EXDEV);
    CU_ASSERT_EQUAL(open_at(fd, "deeper", TG_O_RDONLY), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(c.value, ENOTDIR);
    /* A folder is no file. */
    CU_ASSERT_EQUAL(call(TG_FILES_READ, folder, 8, BUF, 0, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(c.value, EISDIR);
    CU_ASSERT_EQUAL(call(TG_FILES_LSEEK, folder, 0, TG_SEEK_SET, 0, 0), SBI_ERR_INVALID_PARAM);
    teardown();
}

/* A guest that begins anew has no file open. */
static void test_reset(void)
{
    uint64_t fd;

    setup(NULL);
    fd = opened("note", TG_O_RDONLY);
    modules_reset(&f.vm);
    CU_ASSERT_EQUAL(call(TG_FILES_CLOSE, fd, 0, 0, 0, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(c.value, EBADF);
    CU_ASSERT_EQUAL(opened("note", TG_O_RDONLY), 0);
    teardown();
}

static void test_refusals(void)
{
    setup(NULL);
    CU_ASSERT_EQUAL(symlink("../secret", path_of("open/link")), 0);
    CU_ASSERT_EQUAL(symlink("/etc/passwd", path_of("open/absolute")), 0);
    CU_ASSERT_EQUAL(mkfifo(path_of("open/pipe"), 0644), 0);
    refused("open/../secret", TG_O_RDONLY, SBI_ERR_DENIED, EXDEV);
    refused("open/link", TG_O_RDONLY, SBI_ERR_DENIED, EXDEV);
    refused("open/absolute", TG_O_RDONLY, SBI_ERR_DENIED, EXDEV);
    refused("open/pipe", TG_O_RDONLY, SBI_ERR_DENIED, EACCES);
    refused("open/none", TG_O_RDONLY, SBI_ERR_INVALID_PARAM, ENOENT);
    refused("secret", TG_O_RDONLY, SBI_ERR_INVALID_PARAM, ENOENT);
    refused("look/book", TG_O_RDWR, SBI_ERR_DENIED, EACCES);
    refused("look/book", TG_O_RDONLY | TG_O_TRUNC, SBI_ERR_DENIED, EACCES);
    refused("look/new", TG_O_RDONLY | TG_O_CREAT, SBI_ERR_DENIED, EACCES);
    refused("drop/any", TG_O_RDONLY, SBI_ERR_DENIED, EACCES);
    refused("note/x", TG_O_RDONLY, SBI_ERR_INVALID_PARAM, ENOTDIR);
    refused("/etc/passwd", TG_O_RDONLY, SBI_ERR_INVALID_PARAM, 0);
    refused("open/new", 3, SBI_ERR_INVALID_PARAM, 0);
    refused("open/new", 0x8, SBI_ERR_INVALID_PARAM, 0);
    refused("", TG_O_RDONLY, SBI_ERR_INVALID_PARAM, 0);
    mem_write(&f.vm.mem, BUF, "look/book\0x", 11);
    CU_ASSERT_EQUAL(call(TG_FILES_OPENAT, ROOT, 0, 0, 11, BUF), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(call(TG_FILES_OPENAT, ROOT, 0, 0, TG_FILES_PATH_MAX + 1, BUF),
                    SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(call(TG_FILES_OPENAT, ROOT, 0, 01000, 4, BUF), SBI_ERR_INVALID_PARAM);
    file_holds("look/book", "read me");
    teardown();
}

static void test_single_file(void)
{
    setup(NULL);
    read_is(opened("note", TG_O_RDONLY), 64, "a note");
    refused("note", TG_O_WRONLY, SBI_ERR_DENIED, EACCES);
    teardown();
}

static void test_numbers(void)
{
    static const uint64_t calls[] = {TG_FILES_CLOSE, TG_FILES_READ,   TG_FILES_WRITE,
                                     TG_FILES_PREAD, TG_FILES_PWRITE, TG_FILES_LSEEK};
    uint64_t fd;

    setup(NULL);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        CU_ASSERT_EQUAL(call(calls[i], 3, 1, BUF - BUF, 0, 0), SBI_ERR_INVALID_PARAM);
        CU_ASSERT_EQUAL(call(calls[i], UINT64_MAX, 0, 0, 0, 0), SBI_ERR_INVALID_PARAM);
        CU_ASSERT_EQUAL(c.value, EBADF);
    }
    for (unsigned i = 0; i < TG_FILES_OPEN_MAX; i++)
        CU_ASSERT_EQUAL(opened("look/book", TG_O_RDONLY), i);
    refused("look/book", TG_O_RDONLY, SBI_ERR_FAILED, EMFILE);
    CU_ASSERT_EQUAL(call(TG_FILES_CLOSE, 7, 0, 0, 0, 0), 0);
    CU_ASSERT_EQUAL(call(TG_FILES_CLOSE, 7, 0, 0, 0, 0), SBI_ERR_INVALID_PARAM);
    fd = opened("look/book", TG_O_RDONLY);
    CU_ASSERT_EQUAL(fd, 7);
    CU_ASSERT_EQUAL(write_text(fd, "x"), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(c.value, EBADF);
    CU_ASSERT_EQUAL(call(TG_FILES_PREAD, fd, 1, BUF, 0, UINT64_MAX), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(call(TG_FILES_LSEEK, fd, 0, 3, 0, 0), SBI_ERR_INVALID_PARAM);
    CU_ASSERT_EQUAL(call(TG_FILES_FSTAT, fd, 23, BUF, 0, 0), SBI_ERR_INVALID_PARAM);
    teardown();
}

/* --- a host that fails --- */

static struct host_file_ops failing;
static ssize_t script[8]; /* what transfers give, in order */
static unsigned scripted;

static ssize_t fail_read(struct host *host, int fd, void *buf, size_t len)
{
    ssize_t n = script[scripted++];

    (void)host;
    (void)fd;
    if (n > 0)
        memset(buf, 'r', (size_t)n < len ? (size_t)n : len);
    return n;
}

static ssize_t fail_write(struct host *host, int fd, const void *buf, size_t len)
{
    (void)host;
    (void)fd;
    (void)buf;
    (void)len;
    return script[scripted++];
}

static int fail_open(struct host *host, int dirfd, const char *path, int flags, unsigned mode)
{
    if (script[scripted] < 0)
        return (int)script[scripted++];
    return host_files_real.open(host, dirfd, path, flags, mode);
}

static void fails(const ssize_t *results, size_t n)
{
    memset(script, 0, sizeof(script));
    memcpy(script, results, n * sizeof(*results));
    scripted = 0;
}
#define FAILS(...)                                                                             \
    fails((const ssize_t[]){__VA_ARGS__},                                                      \
          sizeof((const ssize_t[]){__VA_ARGS__}) / sizeof(ssize_t))

static void test_failures(void)
{
    uint64_t fd;

    failing = host_files_real;
    failing.read = fail_read;
    failing.write = fail_write;
    failing.open = fail_open;
    setup(&failing);
    FAILS(0);
    fd = opened("open/failing", TG_O_RDWR | TG_O_CREAT);
    FAILS(-EINTR, -EINTR, 3); /* interrupted, then short */
    read_is(fd, 8, "rrr");
    CU_ASSERT_EQUAL(scripted, 3);
    FAILS(-EIO);
    CU_ASSERT_EQUAL(call(TG_FILES_READ, fd, 8, BUF, 0, 0), SBI_ERR_IO);
    CU_ASSERT_EQUAL(c.value, EIO);
    FAILS(-ENOSPC);
    CU_ASSERT_EQUAL(write_text(fd, "full"), SBI_ERR_FAILED);
    CU_ASSERT_EQUAL(c.value, ENOSPC);
    FAILS(2);
    CU_ASSERT_EQUAL(write_text(fd, "full"), 0);
    CU_ASSERT_EQUAL(c.value, 2);
    FAILS(-EAGAIN, -EINTR, -EAGAIN, 0); /* renames came in between */
    opened("open/failing", TG_O_RDONLY);
    CU_ASSERT_EQUAL(scripted, 3);
    FAILS(-EMFILE);
    refused("open/failing", TG_O_RDONLY, SBI_ERR_FAILED, EMFILE);
    teardown();
}

static int no_probe(struct host *host)
{
    (void)host;
    return -ENOSYS;
}

static void test_absent(void)
{
    failing = host_files_real;
    failing.probe = no_probe;
    fixture_init(&f, START_KERNEL, 1, CONSOLE_SBI);
    f.mock.host.files = NULL;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_tg_files, NULL, NULL), -ENODEV);
    f.mock.host.files = &failing;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_tg_files, NULL, NULL), -ENODEV);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "openat2"));
    fixture_destroy(&f);
}

static void test_grant_missing(void)
{
    setup(NULL);
    teardown();
    CU_ASSERT_EQUAL(rename(path_of("look"), path_of("gone")), 0);
    fixture_init(&f, START_KERNEL, 1, CONSOLE_SBI);
    f.mock.host.files = &host_files_real;
    f.config.policy = policy_path;
    CU_ASSERT_EQUAL(fixture_add(&f, &module_tg_files, NULL, NULL), 0);
    CU_ASSERT_EQUAL(policy_freeze(&f.vm, &f.err), 0);
    CU_ASSERT_EQUAL(modules_ready(&f.vm, &f.err), -ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "line 3"));
    CU_ASSERT_EQUAL(f.err.status, STATUS_NO_INPUT);
    fixture_destroy(&f);
    policy_release(&f.vm);
    CU_ASSERT_EQUAL(rename(path_of("gone"), path_of("look")), 0);
}

/* --- state --- */

static void test_state(void)
{
    static struct bytes saved;
    uint64_t fd;

    setup(NULL);
    file_write("open/kept", "0123456789");
    opened("look", TG_O_RDONLY | TG_O_DIRECTORY);
    fd = opened("open/kept", TG_O_RDWR);
    read_is(fd, 4, "0123");
    bytes_init(&saved);
    bytes_save(&saved, &f.inst[0]);
    teardown();
    setup(NULL);
    CU_ASSERT_TRUE(bytes_load(&saved, saved.len, &f.inst[0]));
    read_is(fd, 4, "4567");
    CU_ASSERT_EQUAL(open_at(0, "book", TG_O_RDONLY), 0);
    teardown();
    /* The file is gone: the machine cannot go on. */
    CU_ASSERT_EQUAL(unlink(path_of("open/kept")), 0);
    setup(NULL);
    CU_ASSERT_FALSE(bytes_load(&saved, saved.len, &f.inst[0]));
    teardown();
}

void suite_files(void)
{
    CU_pSuite suite = CU_add_suite("files", folders_make, folders_remove);

    CU_add_test(suite, "made, written, read, closed", test_round_trip);
    CU_add_test(suite, "relative to an open folder", test_relative);
    CU_add_test(suite, "what is refused", test_refusals);
    CU_add_test(suite, "a single file that is granted", test_single_file);
    CU_add_test(suite, "numbers of files", test_numbers);
    CU_add_test(suite, "reset", test_reset);
    CU_add_test(suite, "a host that fails", test_failures);
    CU_add_test(suite, "a host without openat2", test_absent);
    CU_add_test(suite, "a grant that is not there", test_grant_missing);
    CU_add_test(suite, "state with open files", test_state);
}
