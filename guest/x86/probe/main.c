/* main.c: the probe of x86-64: the calls that both architectures have, and the machine's own.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of the calls are those that RISC-V guests print, from the same sources: both must
 * get the same answers.
 */
#include "guest/probe/probe.h"

#include "guest/abi/stubs.h"
#include "guest/abi/tg.h"
#include "guest/lib/fdt.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/string.h"
#include "guest/lib/tap.h"
#include "guest/x86/lib/x86.h"

#define UART_LSR       (TG_X86_PORT_UART + 5)
#define UART_LSR_EMPTY 0x60
#define PORT_NOBODY    0x5500
#define CLOCK_ROUNDS   100

/* The doorbell by memory, as a guest under its own firmware has it on RISC-V. */
static volatile uint64_t *const bell = (volatile uint64_t *)TG_X86_DOORBELL;

static void probe_machine(const void *info)
{
    uint64_t rsdp = *(const uint64_t *)((const char *)info + HVM_START_RSDP);
    struct cpuid id = cpuid_get(TG_X86_CPUID);
    char signature[13] = "";

    memcpy(signature, &id.b, 4);
    memcpy(signature + 4, &id.c, 4);
    memcpy(signature + 8, &id.d, 4);
    tap_ok(!strcmp(signature, TG_X86_CPUID_SIGNATURE), "machine: CPUID has the signature");
    tap_ok(cpuid_get(TG_X86_CPUID + 1).a == TG_X86_PORT_CALL, "machine: CPUID has the port");
    tap_ok(!memcmp((const void *)rsdp, "RSD PTR ", 8), "machine: there is an RSDP");
    tap_ok((port_in(UART_LSR) & UART_LSR_EMPTY) == UART_LSR_EMPTY,
           "machine: the serial port is at its port");
    tap_ok(port_in(PORT_NOBODY) == 0xff, "machine: a port of nobody reads as ones");
}

static void probe_bell(void)
{
    bell[TG_DOORBELL_EXT / 8] = TG_EXT_BASE;
    bell[TG_DOORBELL_FN / 8] = TG_BASE_VERSION;
    bell[TG_DOORBELL_RING / 8] = 1;
    tap_ok(bell[0] == 0 && bell[1] == TG_ABI_VERSION && bell[TG_DOORBELL_RING / 8] == 0,
           "doorbell in memory: the same answer");
}

static void probe_tg_clock_calls(void)
{
    uint64_t last = 0;
    bool right = true;

    for (unsigned i = 0; i < CLOCK_ROUNDS; i++) {
        struct tg_ret now = tg_clock_now();

        right = right && now.error == 0 && now.value >= last;
        last = now.value;
    }
    tap_ok(right && last > 0, "tg.clock: now never goes back");
    const uint8_t *page = (const uint8_t *)tg_clock_page().value;
    tap_ok(*(const volatile uint32_t *)(page + TG_CLOCK_PAGE_SOURCE) == TG_CLOCK_SOURCE_CALL,
           "tg.clock: the page says to make the call");
}

int guest_main(const void *dtb)
{
    uint64_t base, size;

    tap_begin();
    if (!tap_ok(fdt_memory(dtb, &base, &size), "the memory map names memory"))
        return tap_end();
    memory_end = base + size;
    device_addr = TG_X86_VIRTIO;
    probe_base();
    probe_unknown();
    probe_dbcn();
    probe_tg_base();
    probe_tg_console();
    probe_tg_entropy();
    probe_srst();
    probe_tg_clock_calls();
    probe_machine(dtb);
    probe_bell();
    return tap_end();
}
