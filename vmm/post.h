/* post.h: asynchronous input enters a VM here and nowhere else. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_POST_H
#define VMM_POST_H

#include <stdint.h>

struct vm;

/* Work delivered into a VM: changes device state, raises lines. Takes the module's own lock. */
typedef void post_fn(void *self, uint64_t arg);

/*
 * Delivers fn(self, arg) to the VM. A free-running VM takes it at once, on the calling thread;
 * a deterministic one queues it and delivers at a step boundary. Callers hold no lock.
 */
void vm_post(struct vm *vm, post_fn *fn, void *self, uint64_t arg);

#endif
