/* host_term.c: the user's terminal and the signals that ask the monitor to end. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/host.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define TTY STDIN_FILENO

/* Signals that kill the process: the terminal is given back first. */
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
                                    SIGTERM, SIGHUP, SIGINT, SIGQUIT};
#define NFATAL (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

/*
 * A process has one terminal and one set of signal handlers, so these are the process's: no VM
 * owns them. The settings are written before `raw` is set and read only after.
 */
static struct {
    struct termios cooked, raw_mode;
    struct sigaction old[NFATAL], old_cont;
    bool atexit_done;
    _Atomic bool raw;     /* raw mode is wanted */
    _Atomic bool changed; /* the terminal has our mode now */
} term;

static struct {
    _Atomic bool started;
    pthread_t thread;
    int signal_fd, stop_fd;
    sigset_t old_mask;
    struct sigaction old_pipe;
    void (*fn)(void *arg, int signo);
    void *arg;
} sig;

bool host_terminal_is(int fd)
{
    return isatty(fd) == 1;
}

/*
 * A background process leaves the terminal alone: it is its shell's. Where there is no job
 * control (the terminal is not the controlling one), nobody else claims it. Async-signal-safe.
 */
static bool in_foreground(void)
{
    pid_t group = tcgetpgrp(TTY);
    return group < 0 || group == getpgrp();
}

/* tcsetattr from a process that may just have lost the foreground: it must not be stopped. */
static int tty_set(const struct termios *mode)
{
    sigset_t ttou, old;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &old);
    int r;
    do
        r = tcsetattr(TTY, TCSANOW, mode);
    while (r < 0 && errno == EINTR);
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r < 0 ? -error : 0;
}

/* Async-signal-safe and idempotent. */
static void tty_restore(void)
{
    if (atomic_load(&term.changed) && in_foreground()) {
        tty_set(&term.cooked);
        atomic_store(&term.changed, false);
    }
}

static int tty_make_raw(void)
{
    if (!in_foreground())
        return 0; /* on_continue comes back to it */
    int r = tty_set(&term.raw_mode);
    if (r == 0)
        atomic_store(&term.changed, true);
    return r;
}

static void on_fatal(int signo, siginfo_t *info, void *context)
{
    (void)context;
    int error = errno;
    tty_restore();
    for (size_t i = 0; i < NFATAL; i++)
        if (fatal_signals[i] == signo)
            sigaction(signo, &term.old[i], NULL);
    /*
     * The signal kills us now, as it would have. A fault of this thread (si_code > 0) happens
     * again when the handler returns, with its own context for a debugger or sanitizer; what
     * was sent does not, so it is sent again and delivered on return.
     */
    if (info->si_code <= 0 || info->si_code == SI_KERNEL)
        raise(signo);
    errno = error;
}

static void on_continue(int signo)
{
    (void)signo;
    int error = errno;
    if (atomic_load(&term.raw))
        tty_make_raw();
    errno = error;
}

static void handlers_install(void)
{
    struct sigaction fatal = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&fatal.sa_mask);
    for (size_t i = 0; i < NFATAL; i++) {
        sigaction(fatal_signals[i], NULL, &term.old[i]);
        /* nohup and background jobs of plain shells start us with some ignored: kept so. */
        if (term.old[i].sa_handler != SIG_IGN)
            sigaction(fatal_signals[i], &fatal, NULL);
    }
    struct sigaction cont = {.sa_handler = on_continue, .sa_flags = SA_RESTART};
    sigemptyset(&cont.sa_mask);
    sigaction(SIGCONT, &cont, &term.old_cont);
}

static void handlers_remove(void)
{
    for (size_t i = 0; i < NFATAL; i++)
        sigaction(fatal_signals[i], &term.old[i], NULL);
    sigaction(SIGCONT, &term.old_cont, NULL);
}

/*
 * Raw on the input side: every key, Ctrl-C too, is the guest's. OPOST stays, so that the
 * monitor's own lines end where they should; the guest's \r\n comes out as \r\r\n, which looks
 * the same.
 */
static struct termios raw_from(const struct termios *cooked)
{
    struct termios raw = *cooked;
    raw.c_iflag &=
        ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return raw;
}

int host_terminal_raw_enter(void)
{
    if (!host_terminal_is(TTY) || atomic_load(&term.raw))
        return 0;
    if (tcgetattr(TTY, &term.cooked) < 0)
        return -errno;
    term.raw_mode = raw_from(&term.cooked);
    if (!term.atexit_done) {
        if (atexit(host_terminal_raw_leave) != 0)
            return -ENOMEM;
        term.atexit_done = true;
    }
    handlers_install();
    atomic_store(&term.raw, true);
    int r = tty_make_raw();
    if (r < 0)
        host_terminal_raw_leave();
    return r;
}

void host_terminal_raw_leave(void)
{
    if (!atomic_exchange(&term.raw, false))
        return;
    tty_restore();
    handlers_remove();
}

/* The signals that we take; what our parent made us ignore stays ignored. */
static void end_signals(sigset_t *set)
{
    static const int list[] = {SIGHUP, SIGINT, SIGTERM};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct sigaction old;
        if (sigaction(list[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(set, list[i]);
    }
}

static void *signals_thread(void *arg)
{
    (void)arg;
    struct pollfd fds[2] = {
        {.fd = sig.signal_fd, .events = POLLIN},
        {.fd = sig.stop_fd,   .events = POLLIN}
    };
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno == EINTR)
            continue;
        if (fds[1].revents)
            return NULL;
        struct signalfd_siginfo info;
        if (read(sig.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
            sig.fn(sig.arg, (int)info.ssi_signo);
    }
}

static int signals_open(const sigset_t *set)
{
    sig.signal_fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (sig.signal_fd < 0)
        return -errno;
    sig.stop_fd = eventfd(0, EFD_CLOEXEC);
    int r = sig.stop_fd < 0 ? -errno : -pthread_create(&sig.thread, NULL, signals_thread, NULL);
    if (r == 0)
        return 0;
    if (sig.stop_fd >= 0)
        close(sig.stop_fd);
    close(sig.signal_fd);
    return r;
}

int host_signals_start(void (*fn)(void *arg, int signo), void *arg)
{
    if (atomic_exchange(&sig.started, true))
        return -EBUSY;
    sig.fn = fn;
    sig.arg = arg;
    sigset_t set;
    end_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, &sig.old_mask);
    int r = signals_open(&set);
    if (r < 0) {
        pthread_sigmask(SIG_SETMASK, &sig.old_mask, NULL);
        atomic_store(&sig.started, false);
        return r;
    }
    /* A closed output pipe is an error of write, not the end of the guest. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, &sig.old_pipe);
    return 0;
}

void host_signals_stop(void)
{
    if (!atomic_load(&sig.started))
        return;
    uint64_t one = 1;
    while (write(sig.stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(sig.thread, NULL);
    close(sig.stop_fd);
    close(sig.signal_fd);
    sigaction(SIGPIPE, &sig.old_pipe, NULL);
    pthread_sigmask(SIG_SETMASK, &sig.old_mask, NULL);
    atomic_store(&sig.started, false);
}
