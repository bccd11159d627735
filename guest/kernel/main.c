/* main.c: a small kernel that tests traps, paging, timer and harts, or offers a shell. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"

int guest_main(const void *dtb)
{
    if (fdt_bootarg(dtb, "tg.shell")) {
        shell_run();
        return 0;
    }
    tap_begin();
    traps_test(dtb);
    paging_test();
    timer_test();
    smp_test();
    return tap_end();
}
