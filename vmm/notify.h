/* notify.h: stores and interrupts that pass between guest and devices as counts of eventfds. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_NOTIFY_H
#define VMM_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/mem.h"

struct vm;

/*
 * With an engine that has store_fd (KVM's ioeventfd) a store by which a driver tells its device
 * of work need not stop the hart: it counts up an eventfd, and one thread of the VM does the
 * work. Such stores are no exits: nobody counts or traces them, so nothing is claimed in a VM
 * that is observed, or has --no-eventfds, which goes for lines too.
 */
typedef void notify_fn(void *self, unsigned arg);

/*
 * Has fn(self, arg) called on the VM's notifier thread after 32-bit stores of `value` at gpa.
 * Before harts run. 0, or -errno: the stores come through the bus, as ever.
 */
int notify_claim(struct vm *vm, gpa_t gpa, uint32_t value, notify_fn *fn, void *self,
                 unsigned arg);

/*
 * An eventfd whose counts are edges of an interrupt line (KVM's irqfd), for notify_raise and
 * notify_close; or -errno: drive the line.
 */
int notify_line(struct vm *vm, unsigned gsi);
void notify_raise(int fd);
void notify_close(int fd);

/*
 * What a device was told and could not do, since the VM is stopping: notify_stop does it, so
 * that it is in a state that is saved. The device has one of these, all zero at first, and owes
 * under its lock; fn takes the lock itself.
 */
struct notify_owed {
    struct notify_owed *next;
    void (*fn)(void *self);
    void *self;
    bool owed;
};
void notify_owe(struct vm *vm, struct notify_owed *owed, void (*fn)(void *self), void *self);

/*
 * The thread. stop is for when the harts have ended: what they stored last is done before it
 * returns. 0 or -errno.
 */
int notify_start(struct vm *vm);
void notify_stop(struct vm *vm);
void notify_destroy(struct vm *vm);

#endif
