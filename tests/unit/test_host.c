/* test_host.c: the real host layer: files, memory, terminal, signals; and the mock of it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* posix_openpt */
#endif
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "tests/unit/mock_host.h"
#include "tests/unit/suites.h"
#include "vmm/host.h"

/* --- Files --- */

/* A scratch directory of one test. */
struct scratch {
    char dir[64];
    char path[128];
};

static void scratch_make(struct scratch *s)
{
    snprintf(s->dir, sizeof(s->dir), "/tmp/tollgate-test-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(s->dir));
    snprintf(s->path, sizeof(s->path), "%s/file", s->dir);
}

static void scratch_remove(struct scratch *s)
{
    unlink(s->path);
    rmdir(s->dir);
}

static void check_refused(const char *path, uint64_t max, int r, enum tg_status status,
                          const char *words)
{
    struct host_file file = {0};
    struct error err = {0};
    CU_ASSERT_EQUAL(host_file_open(&file, "--kernel", path, max, &err), r);
    CU_ASSERT_EQUAL(err.status, status);
    CU_ASSERT_EQUAL(strncmp(err.text, "--kernel: ", 10), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
    CU_ASSERT_PTR_NULL(file.data);
}

static void test_file_round_trip(void)
{
    struct scratch s;
    struct error err = {0};
    scratch_make(&s);
    static const char text[] = "some bytes\0and more";
    CU_ASSERT_EQUAL(host_file_write("--report", s.path, text, sizeof(text), &err), 0);
    struct host_file file;
    CU_ASSERT_EQUAL_FATAL(host_file_open(&file, "--kernel", s.path, sizeof(text), &err), 0);
    CU_ASSERT_EQUAL(file.size, sizeof(text));
    CU_ASSERT_EQUAL(memcmp(file.data, text, sizeof(text)), 0);
    /* Truncating the file leaves our copy whole. */
    CU_ASSERT_EQUAL(truncate(s.path, 0), 0);
    CU_ASSERT_EQUAL(memcmp(file.data, text, sizeof(text)), 0);
    host_file_close(&file);
    CU_ASSERT_PTR_NULL(file.data);
    host_file_close(&file);

    /* Writing replaces the old content, however long. */
    CU_ASSERT_EQUAL(host_file_write("--report", s.path, text, sizeof(text), &err), 0);
    CU_ASSERT_EQUAL(host_file_write("--report", s.path, "ab", 2, &err), 0);
    struct stat st;
    CU_ASSERT_EQUAL(stat(s.path, &st), 0);
    CU_ASSERT_EQUAL(st.st_size, 2);
    CU_ASSERT_EQUAL(err.text[0], '\0');
    scratch_remove(&s);
}

static void test_file_refused(void)
{
    struct scratch s;
    struct error err = {0};
    scratch_make(&s);
    check_refused(s.path, 100, -ENOENT, STATUS_NO_INPUT, "No such file or directory");
    check_refused(s.dir, 100, -EISDIR, STATUS_NO_INPUT, "is a directory");
    check_refused("/dev/null", 100, -EINVAL, STATUS_NO_INPUT, "is a device");
    CU_ASSERT_EQUAL(mkfifo(s.path, 0600), 0);
    check_refused(s.path, 100, -EINVAL, STATUS_NO_INPUT, "is a pipe"); /* and does not hang */
    unlink(s.path);
    CU_ASSERT_EQUAL(host_file_write("x", s.path, "", 0, &err), 0);
    check_refused(s.path, 100, -ENODATA, STATUS_DATA, "is empty");
    CU_ASSERT_EQUAL(host_file_write("x", s.path, "12345", 5, &err), 0);
    check_refused(s.path, 4, -EFBIG, STATUS_DATA, "too large");
    if (geteuid() != 0) {
        chmod(s.path, 0);
        check_refused(s.path, 100, -EACCES, STATUS_NO_INPUT, "Permission denied");
    }
    scratch_remove(&s);
}

static void test_file_write_fails(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(host_file_write("--report", "/dev/full", "x", 1, &err), -ENOSPC);
    CU_ASSERT_EQUAL(err.status, STATUS_CANT_CREATE);
    CU_ASSERT_STRING_EQUAL(err.text,
                           "--report: cannot write '/dev/full': No space left on device");
    err = (struct error){0};
    CU_ASSERT_EQUAL(host_file_write("--report", "/nonexistent/x", "x", 1, &err), -ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "'/nonexistent/x': No such file"));
}

static void test_error_text(void)
{
    struct error err = {0};
    CU_ASSERT_EQUAL(error_set(&err, STATUS_DATA, "a\nb\033[31m %d", 7), -EINVAL);
    CU_ASSERT_STRING_EQUAL(err.text, "a?b?[31m 7");
    CU_ASSERT_EQUAL(error_set(&err, STATUS_OS, "second"), -EINVAL);
    CU_ASSERT_STRING_EQUAL(err.text, "a?b?[31m 7");
    CU_ASSERT_EQUAL(err.status, STATUS_DATA);
    err = (struct error){0};
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    error_set(&err, STATUS_DATA, "%s", longer);
    CU_ASSERT_EQUAL(strlen(err.text), sizeof(err.text) - 1);
}

/* --- Memory, randomness, time --- */

static void test_map(void)
{
    uint64_t sizes[] = {1, 4096, (2 << 20) - 4096, 2 << 20, (6 << 20) + 4096};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *p = host_map(sizes[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(p);
        CU_ASSERT_EQUAL(p[0] | p[sizes[i] - 1], 0);
        p[0] = p[sizes[i] - 1] = 1;
        if (sizes[i] >= 2 << 20)
            CU_ASSERT_EQUAL((uintptr_t)p % (2 << 20), 0);
        host_unmap(p, sizes[i]);
    }
    CU_ASSERT_PTR_NULL(host_map(0));
    CU_ASSERT_PTR_NULL(host_map(UINT64_MAX));
    CU_ASSERT_PTR_NULL(host_map(UINT64_C(1) << 60));
    CU_ASSERT(host_memory_size() > 0);
}

static void test_random(void)
{
    uint8_t a[300] = {0}, b[300] = {0}, zero[32] = {0};
    host_random(a, sizeof(a));
    host_random(b, sizeof(b));
    CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a + sizeof(a) - sizeof(zero), zero, sizeof(zero)), 0);
    host_random(a, 0);
}

static void test_cond_deadline(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    struct host *host = host_real();
    host_cond_init(&cond);
    pthread_mutex_lock(&lock);
    host_cond_wait(&cond, &lock, 0); /* long ago: returns */
    uint64_t deadline = host->now_ns(host) + 1000000;
    while (host->now_ns(host) < deadline)
        host_cond_wait(&cond, &lock, deadline); /* returns by the same clock */
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
    CU_PASS("both waits returned");
}

static void test_wait(void)
{
    struct host *host = host_real();
    int fds[2], notify = eventfd(0, 0);
    bool ready = true;
    char c;
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_EQUAL(host->wait(host, fds[0], notify, 0, &ready), 0);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(host->write(host, fds[1], "a", 1), 1);
    CU_ASSERT_EQUAL(host->wait(host, fds[0], notify, -1, &ready), 0);
    CU_ASSERT_TRUE(ready);
    CU_ASSERT_EQUAL(host->read(host, fds[0], &c, 1), 1);
    uint64_t one = 1;
    CU_ASSERT_EQUAL(host->write(host, notify, &one, sizeof(one)), sizeof(one));
    CU_ASSERT_EQUAL(host->wait(host, fds[0], notify, -1, &ready), 0);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(host->wait(host, -1, notify, -1, &ready), 0);
    CU_ASSERT_FALSE(ready);
    close(fds[1]);
    CU_ASSERT_EQUAL(host->wait(host, fds[0], -1, -1, &ready), 0);
    CU_ASSERT_TRUE(ready); /* the end of file */
    CU_ASSERT_EQUAL(host->read(host, fds[0], &c, 1), 0);
    close(fds[0]);
    CU_ASSERT_EQUAL(host->read(host, fds[0], &c, 1), -EBADF);
    CU_ASSERT_EQUAL(host->write(host, fds[0], &c, 1), -EBADF);
    CU_ASSERT_EQUAL(host->wait(host, fds[0], -1, 0, &ready), -EBADF);
    close(notify);
}

/* --- The terminal, in a session of its own: the tests' own terminal is not touched --- */

static bool is_raw(void)
{
    struct termios t;
    return tcgetattr(0, &t) == 0 && !(t.c_lflag & (ICANON | ECHO | ISIG)) &&
           !(t.c_iflag & ICRNL) && (t.c_oflag & OPOST);
}

/* What a process on the terminal does; it returns its exit status or dies. */
typedef int actor(int arg);

static int act_leave(int arg)
{
    (void)arg;
    if (is_raw() || host_terminal_raw_enter() != 0 || !is_raw())
        return 1;
    if (fcntl(0, F_GETFL) & O_NONBLOCK)
        return 2;
    host_terminal_raw_leave();
    return is_raw() ? 3 : 0;
}

/* Leaves it to atexit. */
static int act_exit(int arg)
{
    (void)arg;
    return host_terminal_raw_enter() == 0 && is_raw() ? 0 : 1;
}

static int act_signal(int signo)
{
    if (host_terminal_raw_enter() != 0 || !is_raw())
        return 1;
    raise(signo);
    return 2;
}

static int act_fault(int arg)
{
    (void)arg;
    if (host_terminal_raw_enter() != 0 || !is_raw())
        return 1;
    uint8_t *page = host_map(4096);
    host_unmap(page, 4096);
    *(volatile uint8_t *)page = 1;
    return 2;
}

static int act_background(int arg)
{
    (void)arg;
    if (setpgid(0, 0) != 0 || host_terminal_raw_enter() != 0)
        return 1; /* and was not stopped by SIGTTOU */
    if (is_raw())
        return 2;
    raise(SIGCONT);
    if (is_raw())
        return 3;
    /* Comes to the foreground: SIGTTOU would stop tcsetpgrp. */
    signal(SIGTTOU, SIG_IGN);
    if (tcsetpgrp(0, getpgrp()) != 0)
        return 4;
    raise(SIGCONT);
    if (!is_raw())
        return 5;
    host_terminal_raw_leave();
    return is_raw() ? 6 : 0;
}

static int act_nohup(int arg)
{
    (void)arg;
    signal(SIGHUP, SIG_IGN);
    if (host_terminal_raw_enter() != 0)
        return 1;
    raise(SIGHUP);
    return is_raw() ? 0 : 2;
}

/* Runs the actor on the terminal; its wait status, or -1 when the terminal was not given back.
 */
static int run_actor(actor *act, int arg)
{
    struct termios before, after;
    if (tcgetattr(0, &before) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        for (int signo = 1; signo < 32; signo++)
            signal(signo, SIG_DFL); /* a sanitizer's handlers would turn signals into exits */
        exit(act(arg));
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || tcgetattr(0, &after) != 0)
        return -1;
    bool same = before.c_iflag == after.c_iflag && before.c_oflag == after.c_oflag &&
                before.c_lflag == after.c_lflag && before.c_cflag == after.c_cflag &&
                memcmp(before.c_cc, after.c_cc, sizeof(before.c_cc)) == 0;
    return same ? status : -1;
}

/* The leader of a session whose terminal is a new pty: runs the actor, says what it got. */
static int session(int report, const char *slave, actor *act, int arg)
{
    setsid();
    int fd = open(slave, O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 || dup2(fd, 0) < 0)
        return 1;
    int status = run_actor(act, arg);
    return write(report, &status, sizeof(status)) == sizeof(status) ? 0 : 1;
}

static int on_terminal(actor *act, int arg)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    int fds[2], status = -1;
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || pipe(fds) != 0)
        return -1;
    fflush(stdout); /* the actor leaves by exit(), which would print it again */
    pid_t pid = fork();
    if (pid == 0)
        _exit(session(fds[1], ptsname(master), act, arg));
    close(fds[1]);
    if (read(fds[0], &status, sizeof(status)) != sizeof(status))
        status = -1;
    waitpid(pid, NULL, 0);
    close(fds[0]);
    close(master);
    return status;
}

static void test_terminal(void)
{
    CU_ASSERT_EQUAL(on_terminal(act_leave, 0), 0);
    CU_ASSERT_EQUAL(on_terminal(act_exit, 0), 0);
    CU_ASSERT_EQUAL(on_terminal(act_background, 0), 0);
    CU_ASSERT_EQUAL(on_terminal(act_nohup, 0), 0);
}

static void test_terminal_signals(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
                                  SIGTERM, SIGHUP, SIGINT, SIGQUIT};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        int status = on_terminal(act_signal, signals[i]);
        CU_ASSERT(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
    }
    int status = on_terminal(act_fault, 0);
    CU_ASSERT(status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_terminal_none(void)
{
    int fds[2], saved = dup(0);
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_FALSE(host_terminal_is(fds[0]));
    dup2(fds[0], 0);
    CU_ASSERT_EQUAL(host_terminal_raw_enter(), 0); /* nothing to do, and no error */
    host_terminal_raw_leave();
    dup2(saved, 0);
    close(saved);
    close(fds[0]);
    close(fds[1]);
}

/* --- Signals --- */

struct caught {
    sem_t sem;
    _Atomic int signo;
};

static void on_signal(void *arg, int signo)
{
    struct caught *caught = arg;
    caught->signo = signo;
    sem_post(&caught->sem);
}

/* sem_wait is interrupted by the very signals that are sent here. */
static void caught_wait(struct caught *caught)
{
    while (sem_wait(&caught->sem) < 0 && errno == EINTR)
        ;
}

static void test_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGTERM};
    struct caught caught = {.signo = 0};
    sem_init(&caught.sem, 0, 0);
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CU_ASSERT_EQUAL_FATAL(host_signals_start(on_signal, &caught), 0);
    CU_ASSERT_EQUAL(host_signals_start(on_signal, &caught), -EBUSY);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old;
        sigaction(signals[i], NULL, &old);
        if (old.sa_handler == SIG_IGN)
            continue;
        kill(getpid(), signals[i]);
        caught_wait(&caught);
        CU_ASSERT_EQUAL(caught.signo, signals[i]);
    }
    int fds[2];
    CU_ASSERT_EQUAL(pipe(fds), 0);
    close(fds[0]);
    struct host *host = host_real();
    CU_ASSERT_EQUAL(host->write(host, fds[1], "x", 1), -EPIPE); /* and we live */
    close(fds[1]);
    host_signals_stop();
    host_signals_stop();
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CU_ASSERT_EQUAL(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
    CU_ASSERT_EQUAL(host_signals_start(on_signal, &caught), 0); /* it can be started again */
    host_signals_stop();
    sem_destroy(&caught.sem);
}

/* As under nohup: the hangup is not delivered, though it was sent first. */
static void test_signals_ignored(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    struct caught caught = {.signo = 0};
    sem_init(&caught.sem, 0, 0);
    sigaction(SIGHUP, &ignore, &old);
    CU_ASSERT_EQUAL_FATAL(host_signals_start(on_signal, &caught), 0);
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGTERM);
    caught_wait(&caught);
    CU_ASSERT_EQUAL(caught.signo, SIGTERM);
    host_signals_stop();
    CU_ASSERT_NOT_EQUAL(sem_trywait(&caught.sem), 0);
    sigaction(SIGHUP, &old, NULL);
    sem_destroy(&caught.sem);
}

/* --- The mock --- */

static void test_mock(void)
{
    struct mock_host mock;
    char buf[8];
    bool ready;
    mock_host_init(&mock);
    struct host *host = &mock.host;
    mock_read_text(&mock, "hello");
    mock_read_result(&mock, -EINTR);
    CU_ASSERT_EQUAL(host->wait(host, 0, -1, -1, &ready), 0);
    CU_ASSERT_TRUE(ready);
    CU_ASSERT_EQUAL(host->read(host, 0, buf, 3), 3);
    CU_ASSERT_EQUAL(host->read(host, 0, buf + 3, 5), 2);
    CU_ASSERT_EQUAL(memcmp(buf, "hello", 5), 0);
    CU_ASSERT_EQUAL(host->read(host, 0, buf, 8), -EINTR);
    CU_ASSERT_EQUAL(host->wait(host, 0, -1, 5, &ready), 0);
    CU_ASSERT_FALSE(ready);
    CU_ASSERT_EQUAL(host->now_ns(host), 1005000000);
    CU_ASSERT_EQUAL(host->read(host, 0, buf, 8), 0);

    mock_write_result(&mock, 2);
    mock_write_result(&mock, -ENOSPC);
    CU_ASSERT_EQUAL(host->write(host, 1, "abc", 3), 2);
    CU_ASSERT_EQUAL(host->write(host, 1, "c", 1), -ENOSPC);
    CU_ASSERT_EQUAL(host->write(host, 1, "c", 1), 1);
    CU_ASSERT_EQUAL(mock.out_len, 3);
    CU_ASSERT_EQUAL(memcmp(mock.out, "abc", 3), 0);
    mock_host_destroy(&mock);
}

void suite_host(void)
{
    CU_pSuite suite = CU_add_suite("host", NULL, NULL);
    CU_add_test(suite, "files are copied in and replaced", test_file_round_trip);
    CU_add_test(suite, "files that cannot be used are named", test_file_refused);
    CU_add_test(suite, "failing writes are reported", test_file_write_fails);
    CU_add_test(suite, "errors are one line, the first wins", test_error_text);
    CU_add_test(suite, "memory is zeroed and aligned", test_map);
    CU_add_test(suite, "randomness", test_random);
    CU_add_test(suite, "condition variables take monotonic deadlines", test_cond_deadline);
    CU_add_test(suite, "waiting for input and notification", test_wait);
    CU_add_test(suite, "the terminal is raw and given back", test_terminal);
    CU_add_test(suite, "fatal signals give the terminal back", test_terminal_signals);
    CU_add_test(suite, "without a terminal nothing happens", test_terminal_none);
    CU_add_test(suite, "signals arrive on a thread", test_signals);
    CU_add_test(suite, "ignored signals stay ignored", test_signals_ignored);
    CU_add_test(suite, "the mock follows its script", test_mock);
}
