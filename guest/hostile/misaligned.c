/* misaligned.c: misaligned accesses to a device, and atomic ones, each by its own. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor answers each with an exception, or, where it cannot carry out the access at all
 * (KVM), ends the guest with its fault status and says where that was. The boot arguments
 * tg.load, tg.store and tg.amo choose one; without any it is all of them.
 */
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/tap.h"
#include "guest/lib/trap.h"

#define MISALIGNED (PLAT_VIRTIO_BASE + 2ul)
#define ALIGNED    (PLAT_VIRTIO_BASE + 0ul)

static uint64_t amo(uint64_t addr, uint64_t value)
{
    __asm__ volatile("amoadd.w %0, %0, (%1)" : "+r"(value) : "r"(addr) : "memory");
    return value;
}

static void refused(uint64_t cause, const char *what)
{
    tap_ok(cause >= CAUSE_LOAD_MISALIGNED && cause <= CAUSE_STORE_ACCESS, "%s is refused",
           what);
}

int guest_main(const void *dtb)
{
    bool load = fdt_bootarg(dtb, "tg.load"), store = fdt_bootarg(dtb, "tg.store");
    bool atomic = fdt_bootarg(dtb, "tg.amo"), all = !load && !store && !atomic;
    struct guard g;

    tap_begin();
    if (load || all)
        refused(guard_load(&g, MISALIGNED, 4), "a misaligned load");
    if (store || all)
        refused(guard_store(&g, MISALIGNED, 4, 1), "a misaligned store");
    if (atomic || all)
        refused(guard_call(&g, amo, ALIGNED, 1) ? 0 : g.cause, "an atomic access");
    return tap_end();
}
