/* tg_clock.c: the time since the machine began, by a call and by a page that needs none. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "hypercalls/calls/tg_clock.h"
#include "hypercalls/tg.h"
#include "vmm/fdt.h"
#include "vmm/host.h"
#include "vmm/le.h"
#include "vmm/module.h"
#include "vmm/vm.h"

/*
 * Both ways compute from the counter that the guest reads with rdtime, so that they agree to
 * the nanosecond and a hart that mixes them never sees time go back. The counter goes on over a
 * save and a load, and so does this time.
 *
 * The multiplier is ns a tick in fixed point. At 10 MHz, and wherever a tick is a whole number
 * of ns, it is exact; otherwise the error is below 2^-33 ns a tick.
 */
#define CLOCK_SHIFT 32

__extension__ typedef unsigned __int128 wide;

struct tg_clock {
    struct vm *vm;
    gpa_t gpa;
    uint8_t *page;
    uint32_t source;
    uint64_t multiplier;
};

static uint64_t clock_hz(struct vm *vm)
{
    return vm->engine->timebase_hz ? vm->engine->timebase_hz(vm) : PLAT_TIMEBASE_HZ;
}

static uint64_t clock_now_ns(const struct tg_clock *clock, struct hart *hart)
{
    const struct engine *engine = hart->vm->engine;
    uint64_t ticks = engine->time ? engine->time(hart) : clock_ticks(&hart->vm->clock);

    return (uint64_t)((wide)ticks * clock->multiplier >> CLOCK_SHIFT);
}

static enum call_disp tg_clock_now(void *self, struct hart *hart, struct call *c)
{
    return tg_value(c, clock_now_ns(self, hart));
}

static enum call_disp tg_clock_page(void *self, struct hart *hart, struct call *c)
{
    const struct tg_clock *clock = self;

    (void)hart;
    return tg_value(c, clock->gpa);
}

static _Atomic uint32_t *page_sequence(const struct tg_clock *clock)
{
    return (_Atomic uint32_t *)(void *)(clock->page + TG_CLOCK_PAGE_SEQUENCE);
}

/* Writes the page anew; readers that were in the middle of it begin again. */
static void page_write(struct tg_clock *clock)
{
    uint8_t *page = clock->page;
    uint32_t sequence = le32toh(atomic_load(page_sequence(clock)));

    atomic_store_explicit(page_sequence(clock), htole32(sequence + 1), memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    le_put32(page + TG_CLOCK_PAGE_VERSION, TG_CLOCK_LAYOUT);
    le_put32(page + TG_CLOCK_PAGE_SOURCE, clock->source);
    le_put32(page + TG_CLOCK_PAGE_SHIFT, CLOCK_SHIFT);
    le_put64(page + TG_CLOCK_PAGE_MULTIPLIER, clock->multiplier);
    le_put64(page + TG_CLOCK_PAGE_BASE_TICKS, 0);
    le_put64(page + TG_CLOCK_PAGE_BASE_NS, 0);
    atomic_store_explicit(page_sequence(clock), htole32(sequence + 2), memory_order_release);
}

/* The engine tells its timebase when it has made its VM, which is after the modules. */
static void tg_clock_reset(void *self)
{
    struct tg_clock *clock = self;
    uint64_t hz = clock_hz(clock->vm);

    clock->multiplier = ((UINT64_C(1000000000) << CLOCK_SHIFT) + hz / 2) / hz;
    page_write(clock);
}

static bool window_holds(const struct vm *vm, gpa_t gpa)
{
    return gpa % MEM_PAGE_SIZE == 0 && gpa - vm_arch(vm)->clock < PLAT_CLOCK_SIZE;
}

/* Nobody finds the page by knowing Tollgate: what leaks its address is the guest's own. */
static int page_place(struct tg_clock *clock)
{
    struct host *host = clock->vm->host;
    uint64_t chance;
    int rc = host->random(host, &chance, sizeof(chance));

    if (rc < 0)
        return rc;
    clock->gpa =
        vm_arch(clock->vm)->clock + chance % (PLAT_CLOCK_SIZE / MEM_PAGE_SIZE) * MEM_PAGE_SIZE;
    return mem_add_rom(&clock->vm->mem, clock->gpa, MEM_PAGE_SIZE, &clock->page);
}

static int option_source(const struct module_instance *inst, uint32_t *source,
                         struct error *err)
{
    const char *text = module_option(inst, "source");
    bool rdtime = vm_arch(inst->vm) == &arch_riscv64; /* others have no such counter */

    *source = rdtime ? TG_CLOCK_SOURCE_RDTIME : TG_CLOCK_SOURCE_CALL;
    if (!text || (rdtime && strcmp(text, "rdtime") == 0))
        return 0;
    *source = TG_CLOCK_SOURCE_CALL;
    if (strcmp(text, "call") == 0)
        return 0;
    if (strcmp(text, "rdtime") == 0)
        return error_set(err, STATUS_USAGE,
                         "--device tg-clock: source=rdtime is for RISC-V guests; give call");
    return error_set(err, STATUS_USAGE,
                     "--device tg-clock: source='%.80s'; give rdtime or call", text);
}

/* What is in the window beside the page: nothing. The claim keeps others out of it. */
static const struct bus_ops window_ops = {.sizes = 0};

static int tg_clock_create(struct module_instance *inst, struct error *err)
{
    const struct bus_claim window = {
        .gpa = vm_arch(inst->vm)->clock,
        .size = PLAT_CLOCK_SIZE,
        .ops = &window_ops,
        .owner = "tg-clock",
    };
    struct tg_clock *clock;
    uint32_t source;
    int rc = option_source(inst, &source, err);

    if (rc == 0)
        rc = bus_claim(inst->vm, &window, err);
    if (rc != 0)
        return rc;
    clock = calloc(1, sizeof(*clock));
    if (!clock)
        return -ENOMEM;
    clock->vm = inst->vm;
    clock->source = source;
    rc = page_place(clock);
    if (rc != 0) {
        free(clock);
        error_set(err, STATUS_OS, "tg-clock: the host gives no page for the time: %s",
                  strerror(-rc));
        return rc;
    }
    inst->self = clock;
    return 0;
}

static void tg_clock_destroy(void *self)
{
    free(self); /* the page belongs to the memory */
}

static void tg_clock_save(void *self, struct state_writer *w)
{
    const struct tg_clock *clock = self;

    state_put_u64(w, clock->gpa);
    state_put_u64(w, le32toh(atomic_load(page_sequence(clock))));
}

/* A guest goes on with the address that it asked for, and the sequence that it last saw. */
static void tg_clock_load(void *self, struct state_reader *r)
{
    struct tg_clock *clock = self;
    struct vm *vm = clock->vm;
    gpa_t gpa = state_get_u64(r);
    uint32_t sequence = (uint32_t)state_get_max(r, UINT32_MAX);

    if (r->error != 0)
        return;
    if (!window_holds(vm, gpa) || sequence % 2 != 0 ||
        mem_move_rom(&vm->mem, clock->gpa, gpa) != 0) {
        r->error = -EINVAL;
        return;
    }
    clock->gpa = gpa;
    atomic_store(page_sequence(clock), htole32(sequence));
    if (vm->engine->rom_moved)
        r->error = vm->engine->rom_moved(vm);
}

static int tg_clock_fdt(void *self, struct fdt_builder *fdt)
{
    (void)self;
    fdtb_begin(fdt, "clock@%x", PLAT_CLOCK_BASE);
    fdtb_string(fdt, "compatible", "tollgate,clock");
    fdtb_reg(fdt, PLAT_CLOCK_BASE, PLAT_CLOCK_SIZE);
    fdtb_end(fdt);
    return 0;
}

static const struct module_key tg_clock_keys[] = {
    {"source",
     "what the page tells guests to do: rdtime (default on RISC-V), or call: make the call"},
    {NULL,     NULL                                                                        },
};

const struct module module_tg_clock = {
    .name = "tg-clock",
    .summary = "the time since the machine began, and a page to read it from without a call",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .keys = tg_clock_keys,
    .calls = tg_clock_calls,
    .ncalls = sizeof(tg_clock_calls) / sizeof(tg_clock_calls[0]),
    .create = tg_clock_create,
    .reset = tg_clock_reset,
    .destroy = tg_clock_destroy,
    .save = tg_clock_save,
    .load = tg_clock_load,
    .fdt = tg_clock_fdt,
};
