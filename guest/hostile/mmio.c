/* mmio.c: reads and writes of every size and alignment, on and around all devices. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor must answer each access with a value or with an access (or misaligned) fault in
 * the guest, and go on. The guest ends by the finisher, pass: status 0. It may write garbage to
 * the console.
 */
#include <stddef.h>
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/random.h"
#include "guest/lib/tap.h"

#define ROUNDS 4000

struct window {
    const char *name;
    uint64_t base, size;
};

static const struct window windows[] = {
    {"finisher",         PLAT_FINISHER_BASE,        PLAT_FINISHER_SIZE                 },
    {"PLIC",             PLAT_PLIC_BASE,            PLAT_PLIC_SIZE                     },
    {"PLIC contexts",    PLAT_PLIC_BASE + 0x200000, 0x8000                             },
    {"UART",             PLAT_UART_BASE,            PLAT_UART_SIZE                     },
    {"virtio",           PLAT_VIRTIO_BASE,          PLAT_VIRTIO_SLOTS *PLAT_VIRTIO_SIZE},
    {"virtio registers", PLAT_VIRTIO_BASE,          0x110                              },
    {"nothing",          0x30000000,                0x10000                            },
};

static uint64_t seed = 0xfeedface;
static uint64_t answered, refused, strange;

static void judge(uint64_t cause)
{
    if (cause == 0)
        answered++;
    else if (cause >= CAUSE_LOAD_MISALIGNED && cause <= CAUSE_STORE_ACCESS)
        refused++;
    else
        strange++;
}

/* What would end or restart the machine is not written. */
static bool forbidden(uint64_t addr, uint64_t value)
{
    uint64_t low = value & 0xffff;

    return addr < PLAT_FINISHER_BASE + PLAT_FINISHER_SIZE && addr + 8 > PLAT_FINISHER_BASE &&
           (low == PLAT_FINISHER_PASS || low == PLAT_FINISHER_FAIL ||
            low == PLAT_FINISHER_RESET);
}

static uint64_t value_pick(void)
{
    switch (random_below(&seed, 4)) {
    case 0: return 0;
    case 1: return ~0ul;
    case 2: return random_below(&seed, 16);
    default: return random_next(&seed);
    }
}

static void access_any(uint64_t addr)
{
    unsigned size = 1u << random_below(&seed, 4);
    uint64_t value = value_pick();
    struct guard g;

    if (random_below(&seed, 2))
        judge(guard_load(&g, addr, size));
    else if (!forbidden(addr, value))
        judge(guard_store(&g, addr, size, value));
}

static uint64_t atomic_any(uint64_t addr, uint64_t kind)
{
    uint64_t value = 0, failed;

    switch (kind) {
    case 0: __asm__ volatile("lr.w %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 1: __asm__ volatile("lr.d %0, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 2: __asm__ volatile("sc.w %0, zero, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 3: __asm__ volatile("sc.d %0, zero, (%1)" : "=r"(value) : "r"(addr) : "memory"); break;
    case 4:
        __asm__ volatile("amoadd.w %0, zero, (%1)" : "=r"(value) : "r"(addr) : "memory");
        break;
    case 5:
        __asm__ volatile("amoswap.d %0, zero, (%1)" : "=r"(value) : "r"(addr) : "memory");
        break;
    default:
        __asm__ volatile("lr.w %0, (%2)\n\tsc.w %1, %0, (%2)"
                         : "=&r"(value), "=&r"(failed)
                         : "r"(addr)
                         : "memory");
        value += failed;
        break;
    }
    return value;
}

static void window_test(const struct window *w)
{
    struct guard g;

    answered = refused = strange = 0;
    for (unsigned i = 0; i < ROUNDS; i++)
        access_any(w->base + random_below(&seed, w->size));
    for (uint64_t i = 0; i < 64; i++) {
        access_any(w->base - 8 + i % 16);
        access_any(w->base + w->size - 8 + i % 16);
    }
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t at = w->base + random_below(&seed, w->size);

        judge(guard_call(&g, atomic_any, i & 3 ? at & ~7ul : at, i % 7) ? 0 : g.cause);
    }
    /* The UART is sane again before anything is printed. */
    guard_store(&g, PLAT_UART_BASE + 3, 1, 3);
    guard_store(&g, PLAT_UART_BASE + 1, 1, 0);
    guard_store(&g, PLAT_UART_BASE + 2, 1, 7);
    guard_store(&g, PLAT_UART_BASE + 4, 1, 0);
    print("\n# %s: %lu answered, %lu refused\n", w->name, answered, refused);
    tap_ok(strange == 0, "%s: each access is answered or refused", w->name);
}

int guest_main(const void *dtb)
{
    (void)dtb;
    tap_begin();
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        window_test(&windows[i]);
    tap_leave();
}
