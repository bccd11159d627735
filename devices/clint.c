/* clint.c: the core-local interruptor of M-mode: software interrupts, mtimecmp and mtime. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/fdt.h"
#include "vmm/vm.h"

/*
 * Source: RISC-V ACLINT specification 1.0-rc4. A CLINT is an MSWI device at its beginning and
 * an MTIMER behind it (section 1.1), whose registers start with those of mtimecmp.
 */
#define MSWI_SIZE    0x4000u
#define MTIMER_SIZE  0x8000u
#define MTIMER_BASE  (PLAT_CLINT_BASE + MSWI_SIZE)
#define MTIMER_MTIME 0x7ff8u

struct clint_hart {
    uint64_t mtimecmp;
    bool msip;
};

struct clint {
    struct vm *vm;
    pthread_mutex_t lock; /* order: a claim's lock, before a hart's */
    struct clint_hart hart[];
};

/* --- MSWI (section 3): one word a hart, of which bit 0 is its MSIP --- */

static uint64_t mswi_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct clint *clint = self;
    (void)hart;
    (void)size;

    return offset / 4 < clint->vm->config->nharts && clint->hart[offset / 4].msip;
}

static void mswi_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                       uint64_t value)
{
    struct clint *clint = self;
    uint64_t index = offset / 4;
    (void)hart;
    (void)size;

    if (index >= clint->vm->config->nharts)
        return;
    clint->hart[index].msip = value & 1;
    hart_irq(&clint->vm->hart[index], IRQ_M_SOFT, value & 1);
}

static const struct bus_ops mswi_ops = {.read = mswi_read, .write = mswi_write, .sizes = 4};

/* --- MTIMER (section 2): one mtimecmp a hart, and mtime --- */

static uint64_t mtimer_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    const struct clint *clint = self;
    uint64_t value = 0;
    (void)hart;
    (void)size;

    if (offset / 8 == MTIMER_MTIME / 8)
        value = clock_ticks(&clint->vm->clock);
    else if (offset / 8 < clint->vm->config->nharts)
        value = clint->hart[offset / 8].mtimecmp;
    return value >> 8 * (offset % 8);
}

/*
 * mtime cannot be set: the `time` CSR of every hart shows it, and other clocks of the machine
 * run on it.
 */
static void mtimer_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                         uint64_t value)
{
    struct clint *clint = self;
    uint64_t index = offset / 8;
    unsigned shift = 8 * (unsigned)(offset % 8);
    uint64_t mask = size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;
    (void)hart;

    if (index >= clint->vm->config->nharts)
        return;
    uint64_t *cmp = &clint->hart[index].mtimecmp;
    *cmp = (*cmp & ~mask) | (value << shift & mask);
    hart_set_mtimer(&clint->vm->hart[index], *cmp);
}

static const struct bus_ops mtimer_ops = {
    .read = mtimer_read,
    .write = mtimer_write,
    .sizes = 4 | 8,
};

/* --- The module --- */

static void clint_destroy(void *self)
{
    struct clint *clint = self;

    pthread_mutex_destroy(&clint->lock);
    free(clint);
}

static int clint_create(struct module_instance *inst, struct error *err)
{
    unsigned nharts = inst->vm->config->nharts;
    struct clint *clint = calloc(1, sizeof(*clint) + nharts * sizeof(clint->hart[0]));
    int rc;

    if (!clint) {
        error_set(err, STATUS_OS, "clint: out of memory");
        return -ENOMEM;
    }
    clint->vm = inst->vm;
    pthread_mutex_init(&clint->lock, NULL);
    for (unsigned i = 0; i < nharts; i++)
        clint->hart[i].mtimecmp = UINT64_MAX;
    struct bus_claim claim = {
        .gpa = PLAT_CLINT_BASE,
        .size = MSWI_SIZE,
        .ops = &mswi_ops,
        .self = clint,
        .lock = &clint->lock,
        .owner = "clint",
    };
    rc = bus_claim(inst->vm, &claim, err);
    claim.gpa = MTIMER_BASE;
    claim.size = MTIMER_SIZE;
    claim.ops = &mtimer_ops;
    if (rc == 0)
        rc = bus_claim(inst->vm, &claim, err);
    if (rc != 0) {
        clint_destroy(clint);
        return rc;
    }
    inst->self = clint;
    return 0;
}

/* mtimecmp is undefined after reset (section 2.3); this one never fires. */
static void clint_reset(void *self)
{
    struct clint *clint = self;

    pthread_mutex_lock(&clint->lock);
    for (unsigned i = 0; i < clint->vm->nharts; i++) {
        clint->hart[i] = (struct clint_hart){.mtimecmp = UINT64_MAX};
        hart_irq(&clint->vm->hart[i], IRQ_M_SOFT, false);
        hart_set_mtimer(&clint->vm->hart[i], UINT64_MAX);
    }
    pthread_mutex_unlock(&clint->lock);
}

static void clint_save(void *self, struct state_writer *w)
{
    struct clint *clint = self;

    pthread_mutex_lock(&clint->lock);
    for (unsigned i = 0; i < clint->vm->nharts; i++) {
        state_put_u64(w, clint->hart[i].mtimecmp);
        state_put_u64(w, clint->hart[i].msip);
    }
    pthread_mutex_unlock(&clint->lock);
}

static void clint_load(void *self, struct state_reader *r)
{
    struct clint *clint = self;

    pthread_mutex_lock(&clint->lock);
    for (unsigned i = 0; i < clint->vm->nharts; i++) {
        clint->hart[i].mtimecmp = state_get_u64(r);
        clint->hart[i].msip = state_get_max(r, 1);
        hart_irq(&clint->vm->hart[i], IRQ_M_SOFT, clint->hart[i].msip);
        hart_set_mtimer(&clint->vm->hart[i], clint->hart[i].mtimecmp);
    }
    pthread_mutex_unlock(&clint->lock);
}

static int clint_fdt(void *self, struct fdt_builder *fdt)
{
    /* The binding sifive,clint: as QEMU's virt has it, and every firmware finds it. */
    static const char *const compatible[] = {"sifive,clint0", "riscv,clint0"};
    const struct clint *clint = self;
    uint32_t cells[4 * PLAT_HARTS_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < clint->vm->config->nharts; i++) {
        cells[n++] = FDT_PHANDLE_HART_INTC(i);
        cells[n++] = IRQ_M_SOFT;
        cells[n++] = FDT_PHANDLE_HART_INTC(i);
        cells[n++] = IRQ_M_TIMER;
    }
    fdtb_begin(fdt, "clint@%x", PLAT_CLINT_BASE);
    fdtb_strings(fdt, "compatible", compatible, 2);
    fdtb_reg(fdt, PLAT_CLINT_BASE, PLAT_CLINT_SIZE);
    fdtb_cells(fdt, "interrupts-extended", cells, n);
    fdtb_end(fdt);
    return 0;
}

const struct module module_clint = {
    .name = "clint",
    .summary = "timers and interrupts between harts for M-mode (CLINT, ACLINT)",
    .starts = MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .create = clint_create,
    .reset = clint_reset,
    .destroy = clint_destroy,
    .save = clint_save,
    .load = clint_load,
    .fdt = clint_fdt,
};
