/* traploop.c: harts that trap for ever, since their trap vector traps too. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With two harts or more the monitor must let the others run while some loop; the boot hart
 * ends the machine by the finisher, pass: status 0. With one hart the loop is the machine's
 * only work: the monitor must spend its step budget on it (status 103 with --max-steps), and
 * must obey a signal.
 */
#include <stdbool.h>
#include <stdint.h>
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/layout.h"
#include "guest/lib/print.h"
#include "guest/lib/tap.h"

#define LOOP_TIME (PLAT_TIMEBASE_HZ / 4)

static unsigned looping;

/* A vector whose first instruction is illegal. */
__attribute__((naked, aligned(4))) static void vector_illegal(void)
{
    __asm__ volatile(".4byte 0xffffffff");
}

static uint64_t empty_table[512] __attribute__((aligned(4096)));

/*
 * Odd harts loop through the vector; even ones through page faults, for the page tables lack
 * the vector too. No register leads back.
 */
static void loop_enter(void *arg)
{
    bool paged = hart_self()->index % 2 == 0;

    (void)arg;
    __atomic_fetch_add(&looping, 1, __ATOMIC_RELEASE);
    csr_write(stvec, (uintptr_t)vector_illegal);
    if (paged)
        csr_write(satp, 8ul << 60 | (uintptr_t)empty_table >> 12);
    __asm__ volatile("sfence.vma\n\tli sp, -1\n\tli tp, -1\n\t.4byte 0xffffffff");
}

int guest_main(const void *dtb)
{
    unsigned started = 0;

    (void)dtb;
    tap_begin();
    print("# the loops\n");
    if (hart_count() == 1)
        loop_enter(NULL);
    for (unsigned i = 1; i < hart_count(); i++)
        started += hart_launch(i, loop_enter, NULL) == 0;
    while (__atomic_load_n(&looping, __ATOMIC_ACQUIRE) != started)
        ;
    time_spin(LOOP_TIME);
    tap_ok(started == hart_count() - 1, "other harts trap for ever, this one goes on");
    tap_ok(hart_state(1) == 0, "a hart that traps for ever is started");
    tap_leave();
}
