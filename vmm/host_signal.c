/* host_signal.c: signals that become events: each adds one to a descriptor. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vmm/host.h"

#define SIGNALS 65 /* Linux has 1 to 64 */

/*
 * A process has one action for each signal, so this is the process's and no VM's. fd is that of
 * the eventfd plus 1; it is never closed, since a handler may be about to write to it.
 */
static struct {
    _Atomic bool taken;
    _Atomic int fd;
    struct sigaction old;
} slot[SIGNALS];

/*
 * SIGUSR1, SIGUSR2, SIGALRM and SIGWINCH have no other meaning for us. Of the real-time signals
 * the first stays free, for what the host's libraries may want.
 */
static bool signal_free(int signo)
{
    return signo == SIGUSR1 || signo == SIGUSR2 || signo == SIGALRM || signo == SIGWINCH ||
           (signo > SIGRTMIN && signo <= SIGRTMAX && signo < SIGNALS);
}

/* Any thread may be the one that takes it. A write to an eventfd is async-signal-safe. */
static void signal_take(int signo)
{
    int error = errno;
    int fd = atomic_load(&slot[signo].fd) - 1;
    uint64_t one = 1;

    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
        errno = error; /* the counter is full, and stays so */
    errno = error;
}

/* The slot's eventfd, empty; made by the first who needs it. */
static int slot_fd(int signo)
{
    int fd = atomic_load(&slot[signo].fd) - 1;
    eventfd_t drained;

    if (fd >= 0) {
        (void)eventfd_read(fd, &drained);
        return fd;
    }
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    atomic_store(&slot[signo].fd, fd + 1);
    return fd;
}

int host_signal_open(struct host *host, int signo)
{
    struct sigaction action = {.sa_handler = signal_take, .sa_flags = SA_RESTART};
    int fd;

    (void)host;
    if (!signal_free(signo))
        return -EINVAL;
    if (atomic_exchange(&slot[signo].taken, true))
        return -EBUSY;
    fd = slot_fd(signo);
    if (fd < 0) {
        atomic_store(&slot[signo].taken, false);
        return fd;
    }
    sigfillset(&action.sa_mask);
    sigaction(signo, &action, &slot[signo].old); /* cannot fail: the number was checked */
    return fd;
}

void host_signal_close(struct host *host, int signo)
{
    (void)host;
    sigaction(signo, &slot[signo].old, NULL);
    atomic_store(&slot[signo].taken, false);
}

bool host_fd_inherited(int fd, bool *counter)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || (flags & FD_CLOEXEC) || fstat(fd, &st) != 0)
        return false;
    *counter = (st.st_mode & S_IFMT) == 0; /* what has no name and no type: anonymous inodes */
    return true;
}
