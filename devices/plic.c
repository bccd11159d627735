/* plic.c: the platform-level interrupt controller: 95 level-triggered sources, M and S
 * contexts. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "guest/abi/platform.h"
#include "vmm/bus.h"
#include "vmm/error.h"
#include "vmm/fdt.h"
#include "vmm/hart.h"
#include "vmm/irq.h"
#include "vmm/vm.h"

/* Register map: RISC-V PLIC Specification 1.0.0, section 3. */
#define PLIC_PRIORITY       0x000000u /* 4 bytes a source */
#define PLIC_PENDING        0x001000u /* one bit a source */
#define PLIC_ENABLE         0x002000u
#define PLIC_ENABLE_STRIDE  0x80u /* a context */
#define PLIC_CONTEXT        0x200000u
#define PLIC_CONTEXT_STRIDE 0x1000u
#define PLIC_THRESHOLD      0x0u /* in a context's page */
#define PLIC_CLAIM          0x4u

#define PLIC_WORDS        (PLAT_IRQ_SOURCES / 32)
#define PLIC_PRIORITY_MAX 7u /* also the WARL mask (section 4) */

_Static_assert(PLAT_IRQ_SOURCES % 32 == 0, "the sources fill whole words");
_Static_assert(PLIC_CONTEXT + 2 * PLAT_HARTS_MAX * PLIC_CONTEXT_STRIDE <= PLAT_PLIC_SIZE,
               "every context has its page");

/* What one hart sees in one mode: context 2h is hart h's M-mode, 2h+1 its S-mode, as on QEMU.
 */
struct plic_context {
    uint32_t enable[PLIC_WORDS];
    uint32_t threshold;
    bool output; /* what the hart was last told */
};

struct plic {
    struct vm *vm;
    pthread_mutex_t lock; /* order: after every device's, before a hart's */
    uint8_t priority[PLAT_IRQ_SOURCES];
    uint32_t level[PLIC_WORDS];   /* the wires */
    uint32_t pending[PLIC_WORDS]; /* requests that the gateways let through */
    uint32_t claimed[PLIC_WORDS]; /* gateways that wait for completion */
    unsigned ncontexts;
    struct plic_context context[];
};

/*
 * The pending and enabled source of the highest priority, the lowest number on a tie; 0: none.
 * A source of priority 0 never interrupts (section 4).
 */
static unsigned context_best(const struct plic *plic, const struct plic_context *ctx)
{
    unsigned best = 0;

    for (unsigned word = 0; word < PLIC_WORDS; word++) {
        uint32_t bits = plic->pending[word] & ctx->enable[word];
        for (; bits != 0; bits &= bits - 1) {
            unsigned source = word * 32 + (unsigned)__builtin_ctz(bits);
            /* priority[0] is 0, so source 0 never wins. */
            if (plic->priority[source] > plic->priority[best])
                best = source;
        }
    }
    return best;
}

static bool context_output(const struct plic *plic, const struct plic_context *ctx)
{
    unsigned best = context_best(plic, ctx);

    return best != 0 && plic->priority[best] > ctx->threshold;
}

/* Tells the hart. Under lock. */
static void context_drive(struct plic *plic, unsigned index, bool output)
{
    bool machine = index % 2 == 0;

    plic->context[index].output = output;
    /* A kernel start has no M-mode of the guest's that could take it. */
    if (!machine || plic->vm->config->start == START_FIRMWARE)
        hart_irq(&plic->vm->hart[index / 2], machine ? IRQ_M_EXT : IRQ_S_EXT, output);
}

/* Brings a context's output up to date. Under lock. */
static void context_update(struct plic *plic, unsigned index)
{
    const struct plic_context *ctx = &plic->context[index];
    bool output = context_output(plic, ctx);

    if (output != ctx->output)
        context_drive(plic, index, output);
}

static void plic_update(struct plic *plic)
{
    for (unsigned i = 0; i < plic->ncontexts; i++)
        context_update(plic, i);
}

/*
 * A gateway forwards a high level once, and again only after completion. A request stays
 * pending when the wire falls before it is claimed (section 1.2).
 */
static void plic_set(void *self, unsigned gsi, bool level)
{
    struct plic *plic = self;
    unsigned word = gsi / 32;
    uint32_t bit = UINT32_C(1) << (gsi % 32);

    pthread_mutex_lock(&plic->lock);
    if (!level) {
        plic->level[word] &= ~bit;
    } else {
        plic->level[word] |= bit;
        if (!((plic->pending[word] | plic->claimed[word]) & bit)) {
            plic->pending[word] |= bit;
            plic_update(plic);
        }
    }
    pthread_mutex_unlock(&plic->lock);
}

/* Claim: takes the request; the threshold does not matter (section 8). */
static uint32_t plic_claim(struct plic *plic, const struct plic_context *ctx)
{
    unsigned source = context_best(plic, ctx);
    uint32_t bit = UINT32_C(1) << (source % 32);

    if (source == 0)
        return 0;
    plic->pending[source / 32] &= ~bit;
    plic->claimed[source / 32] |= bit;
    plic_update(plic);
    return source;
}

/* Completion: ignored unless the source is enabled for the context (section 9). */
static void plic_complete(struct plic *plic, const struct plic_context *ctx, uint32_t source)
{
    if (source >= PLAT_IRQ_SOURCES)
        return;
    unsigned word = source / 32;
    uint32_t bit = UINT32_C(1) << (source % 32);
    if (!(ctx->enable[word] & plic->claimed[word] & bit))
        return;
    plic->claimed[word] &= ~bit;
    plic->pending[word] |= plic->level[word] & bit;
    plic_update(plic);
}

/* The enable word of a context that an offset names, or NULL. */
static uint32_t *enable_word(struct plic *plic, uint64_t offset)
{
    uint64_t index = (offset - PLIC_ENABLE) / PLIC_ENABLE_STRIDE;
    uint64_t word = (offset - PLIC_ENABLE) % PLIC_ENABLE_STRIDE / 4;

    if (index >= plic->ncontexts || word >= PLIC_WORDS)
        return NULL;
    return &plic->context[index].enable[word];
}

/* The context whose page holds an offset, or NULL. */
static struct plic_context *context_at(struct plic *plic, uint64_t offset)
{
    uint64_t index = (offset - PLIC_CONTEXT) / PLIC_CONTEXT_STRIDE;

    return index < plic->ncontexts ? &plic->context[index] : NULL;
}

static uint64_t plic_read(void *self, struct hart *hart, uint64_t offset, unsigned size)
{
    struct plic *plic = self;
    (void)hart;
    (void)size;

    if (offset < PLIC_PENDING)
        return offset / 4 < PLAT_IRQ_SOURCES ? plic->priority[offset / 4] : 0;
    if (offset < PLIC_ENABLE) {
        uint64_t word = (offset - PLIC_PENDING) / 4;
        return word < PLIC_WORDS ? plic->pending[word] : 0;
    }
    if (offset < PLIC_CONTEXT) {
        const uint32_t *word = enable_word(plic, offset);
        return word ? *word : 0;
    }
    const struct plic_context *ctx = context_at(plic, offset);
    if (!ctx)
        return 0;
    switch (offset % PLIC_CONTEXT_STRIDE) {
    case PLIC_THRESHOLD: return ctx->threshold;
    case PLIC_CLAIM: return plic_claim(plic, ctx);
    default: return 0;
    }
}

static void plic_write_enable(struct plic *plic, uint64_t offset, uint32_t value)
{
    uint32_t *word = enable_word(plic, offset);
    if (!word)
        return;
    unsigned index = (unsigned)((offset - PLIC_ENABLE) / PLIC_ENABLE_STRIDE);
    /* Source 0 does not exist: its bit is hardwired to zero (section 6). */
    *word = word == plic->context[index].enable ? value & ~UINT32_C(1) : value;
    context_update(plic, index);
}

static void plic_write_context(struct plic *plic, uint64_t offset, uint32_t value)
{
    struct plic_context *ctx = context_at(plic, offset);
    if (!ctx)
        return;
    switch (offset % PLIC_CONTEXT_STRIDE) {
    case PLIC_THRESHOLD:
        ctx->threshold = value & PLIC_PRIORITY_MAX;
        context_update(plic, (unsigned)(ctx - plic->context));
        break;
    case PLIC_CLAIM: plic_complete(plic, ctx, value); break;
    default: break;
    }
}

static void plic_write(void *self, struct hart *hart, uint64_t offset, unsigned size,
                       uint64_t value)
{
    struct plic *plic = self;
    (void)hart;
    (void)size;

    if (offset < PLIC_PENDING) {
        uint64_t source = offset / 4;
        if (source > 0 && source < PLAT_IRQ_SOURCES) {
            plic->priority[source] = value & PLIC_PRIORITY_MAX;
            plic_update(plic);
        }
    } else if (offset < PLIC_ENABLE) {
        /* Pending bits are read-only; a claim clears them (section 5). */
    } else if (offset < PLIC_CONTEXT) {
        plic_write_enable(plic, offset, (uint32_t)value);
    } else {
        plic_write_context(plic, offset, (uint32_t)value);
    }
}

static const struct bus_ops plic_ops = {.read = plic_read, .write = plic_write, .sizes = 4};

static void plic_destroy(void *self)
{
    struct plic *plic = self;

    pthread_mutex_destroy(&plic->lock);
    free(plic);
}

static int plic_create(struct module_instance *inst, struct error *err)
{
    unsigned ncontexts = 2 * inst->vm->config->nharts;

    if (inst->vm->irq.below) {
        error_set(err, STATUS_CONFIG,
                  "plic: the engine's kernel has an interrupt controller, aia; leave it out");
        return -ENODEV; /* absent, unless it was asked for */
    }
    struct plic *plic = calloc(1, sizeof(*plic) + ncontexts * sizeof(plic->context[0]));
    if (!plic) {
        error_set(err, STATUS_OS, "plic: out of memory");
        return -ENOMEM;
    }
    plic->vm = inst->vm;
    plic->ncontexts = ncontexts;
    pthread_mutex_init(&plic->lock, NULL);

    const struct bus_claim claim = {
        .gpa = PLAT_PLIC_BASE,
        .size = PLAT_PLIC_SIZE,
        .ops = &plic_ops,
        .self = plic,
        .lock = &plic->lock,
        .owner = "plic",
    };
    int rc = bus_claim(inst->vm, &claim, err);
    if (rc == 0) {
        rc = irq_controller(inst->vm, plic_set, plic, FDT_PHANDLE_PLIC);
        if (rc < 0)
            error_set(err, STATUS_CONFIG, "plic: there is another interrupt controller");
    }
    if (rc < 0) {
        plic_destroy(plic);
        return rc;
    }
    inst->self = plic;
    return 0;
}

static void plic_reset(void *self)
{
    struct plic *plic = self;

    pthread_mutex_lock(&plic->lock);
    memset(plic->priority, 0, sizeof(plic->priority));
    memset(plic->level, 0, sizeof(plic->level));
    memset(plic->pending, 0, sizeof(plic->pending));
    memset(plic->claimed, 0, sizeof(plic->claimed));
    for (unsigned i = 0; i < plic->ncontexts; i++) {
        memset(plic->context[i].enable, 0, sizeof(plic->context[i].enable));
        plic->context[i].threshold = 0;
    }
    plic_update(plic);
    pthread_mutex_unlock(&plic->lock);
}

static void save_words(const uint32_t *word, struct state_writer *w)
{
    for (unsigned i = 0; i < PLIC_WORDS; i++)
        state_put_u64(w, word[i]);
}

/* Source 0 does not exist. */
static void load_words(uint32_t *word, struct state_reader *r)
{
    for (unsigned i = 0; i < PLIC_WORDS; i++)
        word[i] = (uint32_t)state_get_max(r, UINT32_MAX);
    if (word[0] & 1)
        r->error = -EINVAL;
    word[0] &= ~UINT32_C(1);
}

static void plic_save(void *self, struct state_writer *w)
{
    struct plic *plic = self;

    pthread_mutex_lock(&plic->lock);
    state_put(w, plic->priority, sizeof(plic->priority));
    save_words(plic->level, w);
    save_words(plic->pending, w);
    save_words(plic->claimed, w);
    for (unsigned i = 0; i < plic->ncontexts; i++) {
        save_words(plic->context[i].enable, w);
        state_put_u64(w, plic->context[i].threshold);
    }
    pthread_mutex_unlock(&plic->lock);
}

/* The harts are told anew, whatever they were told before. */
static void plic_load(void *self, struct state_reader *r)
{
    struct plic *plic = self;

    pthread_mutex_lock(&plic->lock);
    state_get(r, plic->priority, sizeof(plic->priority));
    for (unsigned i = 0; i < PLAT_IRQ_SOURCES; i++)
        if (plic->priority[i] > (i == 0 ? 0 : PLIC_PRIORITY_MAX)) {
            plic->priority[i] = 0;
            r->error = -EINVAL;
        }
    load_words(plic->level, r);
    load_words(plic->pending, r);
    load_words(plic->claimed, r);
    for (unsigned i = 0; i < PLIC_WORDS; i++)
        if (plic->pending[i] & plic->claimed[i]) /* a gateway lets one request through */
            r->error = -EINVAL;
    for (unsigned i = 0; i < plic->ncontexts; i++) {
        load_words(plic->context[i].enable, r);
        plic->context[i].threshold = (uint32_t)state_get_max(r, PLIC_PRIORITY_MAX);
    }
    for (unsigned i = 0; i < plic->ncontexts; i++)
        context_drive(plic, i, context_output(plic, &plic->context[i]));
    pthread_mutex_unlock(&plic->lock);
}

static int plic_fdt(void *self, struct fdt_builder *fdt)
{
    static const char *const compatible[] = {"sifive,plic-1.0.0", "riscv,plic0"};
    const struct plic *plic = self;
    uint32_t cells[4 * PLAT_HARTS_MAX];
    unsigned n = 0;
    bool firmware = plic->vm->config->start == START_FIRMWARE;

    for (unsigned i = 0; i < plic->ncontexts; i++) {
        cells[n++] = FDT_PHANDLE_HART_INTC(i / 2);
        /* -1 keeps a context's place but says that it is wired to nothing; Linux passes over
         * it. */
        if (i % 2 == 0)
            cells[n++] = firmware ? IRQ_M_EXT : UINT32_MAX;
        else
            cells[n++] = IRQ_S_EXT;
    }
    fdtb_begin(fdt, "plic@%x", PLAT_PLIC_BASE);
    fdtb_strings(fdt, "compatible", compatible, 2);
    fdtb_reg(fdt, PLAT_PLIC_BASE, PLAT_PLIC_SIZE);
    fdtb_empty(fdt, "interrupt-controller");
    fdtb_u32(fdt, "#interrupt-cells", 1);
    fdtb_u32(fdt, "#address-cells", 0);
    fdtb_cells(fdt, "interrupts-extended", cells, n);
    fdtb_u32(fdt, "riscv,ndev", PLAT_IRQ_SOURCES - 1);
    fdtb_u32(fdt, "phandle", FDT_PHANDLE_PLIC);
    fdtb_end(fdt);
    return 0;
}

const struct module module_plic = {
    .name = "plic",
    .summary = "interrupt controller (SiFive PLIC)",
    .starts = MODULE_KERNEL | MODULE_FIRMWARE,
    .archs = ARCH_RISCV64,
    .create = plic_create,
    .reset = plic_reset,
    .destroy = plic_destroy,
    .save = plic_save,
    .load = plic_load,
    .fdt = plic_fdt,
};
