/* main.c: makes every SBI call with right and wrong arguments and reports TAP lines. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines state what every correct SBI has in common, so that they are the same on all. What
 * may differ (names, versions) stands on lines that begin with #.
 */
#include "guest/probe/probe.h"

#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"

/* The timer of M-mode (QEMU virt's CLINT): firmware keeps it for itself, and Tollgate has none.
 */
#define CLINT_BASE 0x02000000

int guest_main(const void *dtb)
{
    uint64_t base, size;

    tap_begin();
    if (!tap_ok(fdt_memory(dtb, &base, &size), "the device tree names memory"))
        return tap_end();
    memory_end = base + size;
    device_addr = CLINT_BASE;
    probe_base();
    probe_unknown();
    probe_time();
    probe_ipi();
    probe_rfence();
    probe_hsm();
    probe_hsm_second();
    probe_pmu();
    probe_dbcn();
    probe_susp();
    probe_fwft();
    probe_sta();
    probe_tg_base();
    probe_tg_console();
    probe_tg_clock();
    probe_tg_entropy();
    probe_legacy();
    probe_srst();
    return tap_end();
}
