/* wildjump.c: jumps to where no memory is: holes, devices, the end of memory, absurd addresses.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must answer each jump with an instruction access fault in the guest, with sepc
 * and stval on the address, and go on. The guest ends by the finisher, pass: status 0.
 */
#include <stddef.h>
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/random.h"
#include "guest/lib/tap.h"

static void jump_test(uint64_t addr)
{
    struct guard g;
    uint64_t cause = guard_jump(&g, addr);

    tap_ok(cause == CAUSE_FETCH_ACCESS && g.epc == (addr & ~1ul) && g.tval == (addr & ~1ul),
           "jump to 0x%lx", addr);
}

/* A four-byte instruction of which only the first half is memory. */
static void straddle_test(uint64_t end)
{
    volatile uint16_t *last = (volatile uint16_t *)(end - 2);
    uint16_t kept = *last;
    struct guard g;
    uint64_t cause;

    *last = 0x0073;
    fence_code();
    cause = guard_jump(&g, end - 2);
    *last = kept;
    fence_code();
    tap_ok(cause == CAUSE_FETCH_ACCESS && g.epc == end - 2 && g.tval == end,
           "an instruction over the end of memory");
}

/* sp and all else may be garbage when it happens: many jumps, one line. */
static void random_test(uint64_t end)
{
    uint64_t seed = 0x1234567, traps = 0;
    struct guard g;

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t addr = random_next(&seed) >> random_below(&seed, 64);

        if (addr >= PLAT_DRAM_BASE && addr < end)
            addr += end;
        traps += guard_jump(&g, addr) == CAUSE_FETCH_ACCESS;
    }
    tap_ok(traps == 20000, "20000 random jumps");
}

int guest_main(const void *dtb)
{
    static const uint64_t list[] = {
        0,
        1,
        2,
        0xffe,
        0x1000,
        PLAT_FINISHER_BASE,
        PLAT_PLIC_BASE,
        PLAT_UART_BASE,
        PLAT_UART_BASE + 4,
        PLAT_VIRTIO_BASE,
        0x20000000,
        0x7ffffffe,
        1ul << 32,
        1ul << 40,
        (1ul << 56) - 2,
        1ul << 56,
        1ul << 63,
        -4096ul,
        -2ul,
        -1ul,
    };
    uint64_t base = 0, size = 0;

    tap_begin();
    tap_ok(fdt_memory(dtb, &base, &size), "the device tree names memory");
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        jump_test(list[i]);
    jump_test(base + size);
    straddle_test(base + size);
    random_test(base + size);
    tap_leave();
}
