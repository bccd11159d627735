/* post.c: delivers asynchronous input into a VM. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/post.h"

#include "vmm/vm.h"

void vm_post(struct vm *vm, post_fn *fn, void *self, uint64_t arg)
{
    /* A VM that ends has no use for input, and its modules may be about to go. */
    if (!atomic_load(&vm->stopping))
        fn(self, arg);
}
