/* notify.c: the thread that does what guests ask of devices without an exit. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/notify.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "vmm/vm.h"

#define CLAIMS_MAX 64

struct notify {
    pthread_t thread;
    bool started;
    int stop_fd;
    unsigned n;
    struct notify_claim {
        int fd;
        notify_fn *fn;
        void *self;
        unsigned arg;
    } claim[CLAIMS_MAX];
};

static struct notify *notify_make(void)
{
    struct notify *notify = calloc(1, sizeof(*notify));

    if (!notify)
        return NULL;
    notify->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (notify->stop_fd >= 0)
        return notify;
    free(notify);
    return NULL;
}

int notify_claim(struct vm *vm, gpa_t gpa, uint32_t value, notify_fn *fn, void *self,
                 unsigned arg)
{
    int fd, rc;

    if (!vm->engine->store_fd || vm->config->no_eventfds || vm_observed(vm))
        return -EOPNOTSUPP;
    if (!vm->notify)
        vm->notify = notify_make();
    if (!vm->notify || vm->notify->n == CLAIMS_MAX)
        return -ENOMEM;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    rc = vm->engine->store_fd(vm, gpa, value, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    vm->notify->claim[vm->notify->n++] =
        (struct notify_claim){.fd = fd, .fn = fn, .self = self, .arg = arg};
    return 0;
}

int notify_line(struct vm *vm, unsigned gsi)
{
    int fd, rc;

    if (!vm->engine->line_fd || vm->config->no_eventfds)
        return -EOPNOTSUPP;
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    rc = vm->engine->line_fd(vm, gsi, fd);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

void notify_raise(int fd)
{
    (void)eventfd_write(fd, 1);
}

void notify_close(int fd)
{
    close(fd);
}

static void claim_serve(const struct notify_claim *claim)
{
    eventfd_t count;

    if (eventfd_read(claim->fd, &count) == 0)
        claim->fn(claim->self, claim->arg);
}

static void *notify_thread(void *arg)
{
    struct notify *notify = arg;
    struct pollfd fds[CLAIMS_MAX + 1];

    for (unsigned i = 0; i < notify->n; i++)
        fds[i] = (struct pollfd){.fd = notify->claim[i].fd, .events = POLLIN};
    fds[notify->n] = (struct pollfd){.fd = notify->stop_fd, .events = POLLIN};
    for (;;) {
        if (poll(fds, notify->n + 1, -1) < 0)
            continue; /* EINTR */
        if (fds[notify->n].revents)
            return NULL;
        for (unsigned i = 0; i < notify->n; i++)
            if (fds[i].revents)
                claim_serve(&notify->claim[i]);
    }
}

void notify_owe(struct vm *vm, struct notify_owed *owed, void (*fn)(void *self), void *self)
{
    if (owed->owed)
        return;
    *owed = (struct notify_owed){
        .next = atomic_load(&vm->owed), .fn = fn, .self = self, .owed = true};
    while (!atomic_compare_exchange_weak(&vm->owed, &owed->next, owed))
        ;
}

static void owed_serve(struct vm *vm)
{
    struct notify_owed *owed = atomic_exchange(&vm->owed, NULL);

    while (owed) {
        struct notify_owed *next = owed->next;

        owed->owed = false;
        owed->fn(owed->self);
        owed = next;
    }
}

int notify_start(struct vm *vm)
{
    struct notify *notify = vm->notify;

    if (!notify || notify->n == 0)
        return 0;
    if (pthread_create(&notify->thread, NULL, notify_thread, notify) != 0)
        return -EAGAIN;
    notify->started = true;
    return 0;
}

void notify_stop(struct vm *vm)
{
    struct notify *notify = vm->notify;

    if (notify && notify->started) {
        (void)eventfd_write(notify->stop_fd, 1);
        pthread_join(notify->thread, NULL);
        notify->started = false;
        for (unsigned i = 0; i < notify->n; i++)
            claim_serve(&notify->claim[i]);
    }
    owed_serve(vm);
}

void notify_destroy(struct vm *vm)
{
    struct notify *notify = vm->notify;

    if (!notify)
        return;
    for (unsigned i = 0; i < notify->n; i++)
        close(notify->claim[i].fd);
    close(notify->stop_fd);
    free(notify);
    vm->notify = NULL;
}
