/* novector.c: a trap while stvec is 0, where no memory is. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine would fetch from 0, fault, and go to 0 for ever. The monitor must stop the guest
 * with its fault status, 100, and name the trap that came first.
 */
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"

int guest_main(const void *dtb)
{
    (void)dtb;
    print("# the last words\n");
    csr_write(stvec, 0);
    __asm__ volatile("li sp, -1\n\tli tp, -1\n\t.4byte 0xffffffff");
    return 1;
}
