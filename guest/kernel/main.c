/* main.c: a small kernel that tests traps, paging, timer and harts, or offers a shell. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"
#include "guest/lib/tg.h"

/* What it does goes to the monitor's log, where there is one; absent services answer so. */
int guest_main(const void *dtb)
{
    int result;

    if (fdt_bootarg(dtb, "tg.shell")) {
        tg_log(TG_LOG_NOTICE, "kernel: a shell begins");
        shell_run();
        tg_log(TG_LOG_NOTICE, "kernel: the shell has ended");
        return 0;
    }
    tap_begin();
    tg_log(TG_LOG_INFO, "kernel: the tests begin");
    traps_test(dtb);
    paging_test();
    timer_test();
    smp_test();
    result = tap_end();
    tg_log(result ? TG_LOG_ERR : TG_LOG_INFO,
           result ? "kernel: some tests failed" : "kernel: all tests passed");
    return result;
}
