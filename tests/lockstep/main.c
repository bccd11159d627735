/* main.c: runs a program in M-mode step by step beside another simulator's log of the same. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: lockstep ELF [COUNT]      compares with the log on standard input, COUNT instructions
 *                                  at most
 *        lockstep --random SEED FILE   writes a random program as an ELF file
 *        lockstep --isa                says what the reference must be told to be
 *
 * The log is Spike's (--log-commits): a line for each instruction that retired, with its level,
 * address, word and what it wrote. The interpreter takes one step at a time; steps that retire
 * nothing are traps, which have no line. Before each instruction the levels and addresses must
 * be equal, after it all registers, the flags it wrote and, where addresses are physical, what
 * it stored. Values that two machines need not share are taken from the log: counters, time,
 * identities, pending interrupts, optional bits of CSRs, loads from below memory, where the
 * devices are, and whether sc succeeds. Interrupts come where the log says (Spike's -l names
 * them) and only there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lockstep/random.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/engine/interp/interp.h"
#include "vmm/engine/riscv/hpm.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define STORES    2
#define TRAPS_MAX 8u /* in a row; more is a loop of traps that the log does not have */
#define WFI       0x10500073u
#define OPCODE(w) ((w)&0x7f)
#define MEMORY    (1ull << 31) /* as much as Spike has, so that the same addresses exist */

/* One line of the log: an instruction that retired. */
struct commit {
    unsigned priv;
    uint64_t pc;
    uint32_t word;
    uint64_t x[32], f[32];
    uint32_t x_written, f_written;
    uint64_t fcsr, fcsr_written; /* the bits written */
    uint64_t load;               /* address, or 0 */
    struct {
        uint64_t address, value;
        unsigned size;
    } store[STORES];
    unsigned nstores;
};

/* Both machines as far as they have come. */
struct lockstep {
    struct vm vm;
    struct hart_state now;
    uint64_t x[32], f[32]; /* the reference's registers */
    uint64_t compared, taken;
};

/* --- the log --- */

static void parse_register(struct commit *c, const char *name, uint64_t value)
{
    unsigned n = (unsigned)strtoul(name + 1, NULL, 10);

    if (name[0] == 'x' && n < 32) {
        c->x[n] = value;
        c->x_written |= 1u << n;
    } else if (name[0] == 'f' && n < 32) {
        c->f[n] = value;
        c->f_written |= 1u << n;
    } else if (!strcmp(name, "c1_fflags")) {
        c->fcsr = (c->fcsr & ~0x1full) | value;
        c->fcsr_written |= 0x1f;
    } else if (!strcmp(name, "c2_frm")) {
        c->fcsr = (c->fcsr & ~0xe0ull) | value << 5;
        c->fcsr_written |= 0xe0;
    } else if (!strcmp(name, "c3_fcsr")) {
        c->fcsr = value;
        c->fcsr_written = 0xff;
    }
}

/* `mem ADDRESS` of a load, `mem ADDRESS VALUE` of a store; the digits of VALUE tell its size.
 */
static void parse_memory(struct commit *c, const char *address, const char *value)
{
    uint64_t at = strtoull(address, NULL, 16);

    if (!value || value[0] != '0') {
        c->load = at;
    } else if (c->nstores < STORES) {
        c->store[c->nstores].address = at;
        c->store[c->nstores].value = strtoull(value, NULL, 16);
        c->store[c->nstores++].size = (unsigned)(strlen(value) - 2) / 2;
    }
}

/* False: not a line about an instruction. */
static bool parse_commit(char *line, struct commit *c)
{
    int used = 0;
    char *save = NULL, *word, *words[16] = {NULL};
    unsigned n = 0;

    memset(c, 0, sizeof(*c));
    if (sscanf(line, "core 0: %u %lx (%x) %n", &c->priv, &c->pc, &c->word, &used) < 3 || !used)
        return false;
    for (word = strtok_r(line + used, " \n", &save); word && n < 15;
         word = strtok_r(NULL, " \n", &save))
        words[n++] = word;
    for (unsigned i = 0; i + 1 < n;) {
        if (strcmp(words[i], "mem") != 0) {
            parse_register(c, words[i], strtoull(words[i + 1], NULL, 16));
            i += 2;
            continue;
        }
        parse_memory(c, words[i + 1], words[i + 2]);
        i += words[i + 2] && words[i + 2][0] == '0' ? 3 : 2;
    }
    return true;
}

/* The number of the interrupt that this line says is taken; -1: it is another line. */
static int parse_interrupt(const char *line)
{
    int irq;

    return sscanf(line, "core 0: exception interrupt #%d", &irq) == 1 && irq < 64 ? irq : -1;
}

/* --- comparing --- */

static struct rv_hart *hart_of(struct lockstep *l)
{
    return &((struct interp *)l->vm.hart[0].engine_state)->hart;
}

static void step(struct lockstep *l)
{
    struct vm *vm = &l->vm;

    vm->stop.cause = CAUSE_NONE;
    atomic_store(&vm->stopping, false);
    atomic_store(&vm->hart[0].requests, 0);
    hart_of(l)->step_limit = l->now.steps + 1;
    vm->engine->run(&vm->hart[0]);
    vm->engine->state_get(&vm->hart[0], &l->now);
}

/*
 * A step without an interrupt, or with `irq` pending alone. What is pending is put back after
 * it, but for bits that the instruction itself changed.
 */
static void step_with(struct lockstep *l, int irq)
{
    struct rv_hart *h = hart_of(l);
    uint64_t mip = atomic_load(&h->mip), stimer = h->timer, mtimer = atomic_load(&h->mtimer);
    uint64_t pending = irq < 0 ? 0 : 1ull << irq;
    bool soft = h->seip_soft;

    atomic_store(&h->mip, pending);
    h->seip_soft = false;
    h->timer = UINT64_MAX;
    atomic_store(&h->mtimer, UINT64_MAX);
    step(l);
    atomic_store(&h->mip, mip | (atomic_load(&h->mip) & ~pending));
    h->seip_soft = soft;
    h->timer = stimer;
    if (atomic_load(&h->mtimer) == UINT64_MAX) /* else the instruction has set it */
        atomic_store(&h->mtimer, mtimer);
}

/* A step of an instruction about mip itself, which needs it as it is. */
static void step_pending(struct lockstep *l)
{
    struct rv_hart *h = hart_of(l);
    uint64_t mie = h->mie;

    h->mie = 0;
    step(l);
    h->mie = l->now.mie = mie;
}

static bool take_interrupt(struct lockstep *l, int irq)
{
    uint64_t cause = RV_CAUSE_INTERRUPT | (unsigned)irq, steps = l->now.steps;

    step_with(l, irq);
    if (l->now.steps == steps + 1 && hart_of(l)->unretired == l->now.steps - l->now.instret &&
        (l->now.priv == PRIV_M ? l->now.mcause : l->now.scause) == cause)
        return true;
    printf("    at %#lx, level %u: interrupt %d is not taken\n", l->now.pc, l->now.priv, irq);
    return false;
}

static bool is_csr(const struct commit *c)
{
    return OPCODE(c->word) == 0x73 && (c->word >> 12 & 3);
}

/* Whether the instruction reads or writes what timers and lines change. */
static bool is_pending(const struct commit *c)
{
    uint32_t csr = c->word >> 20;

    return is_csr(c) && (csr == 0x344 || csr == 0x144 || csr == 0x14d);
}

static bool is_sc(const struct commit *c)
{
    return OPCODE(c->word) == 0x2f && c->word >> 27 == 3;
}

/* Whether two machines may differ in what the instruction reads. */
static bool may_differ(const struct commit *c)
{
    uint32_t csr = c->word >> 20;

    if (c->load && c->load < PLAT_DRAM_BASE)
        return true;
    if (is_sc(c))
        return c->nstores > 0;
    return is_pending(c) ||
           (is_csr(c) && ((csr >= 0xb00 && csr <= 0xb1f) || (csr >= 0xc00 && csr <= 0xc1f) ||
                          (csr >= 0xf11 && csr <= 0xf15)));
}

/*
 * Bits of a CSR that one machine may have and another have as read-only zero: FIOM, the state
 * that neither has (C and CSRIND in mstateen0, C in sstateen0), counters and events.
 */
static uint64_t optional_bits(uint32_t csr)
{
    switch (csr) {
    case 0x10a:
    case 0x30a: return 1;
    case 0x10c: return 1;
    case 0x30c: return 1 | 1ull << 60;
    case 0x106:
    case 0x306:
    case 0x320:
    case 0xda0: return ~(7 | RV_HPM_MASK);
    default: break;
    }
    if (csr >= 0x323 && csr <= 0x33f)
        return RV_HPM_MASK >> (csr & 31) & 1 ? RV_HPM_SELECTOR : UINT64_MAX;
    return 0;
}

/* Whether a CSR was read and only optional bits of it differ. */
static bool differs_in_options(const struct lockstep *l, const struct commit *c)
{
    unsigned rd = c->word >> 7 & 31;

    return is_csr(c) && !((l->x[rd] ^ l->now.x[rd]) & ~optional_bits(c->word >> 20));
}

/* Our registers become the reference's. */
static void take(struct lockstep *l)
{
    memcpy(l->now.x, l->x, sizeof(l->x));
    memcpy(l->now.f, l->f, sizeof(l->f));
    l->vm.engine->state_set(&l->vm.hart[0], &l->now);
    l->taken++;
}

static bool same_registers(struct lockstep *l, const struct commit *c)
{
    bool same = true;

    for (unsigned i = 0; i < 32; i++) {
        if (c->x_written >> i & 1)
            l->x[i] = c->x[i];
        if (c->f_written >> i & 1)
            l->f[i] = c->f[i];
    }
    if (!memcmp(l->x, l->now.x, sizeof(l->x)) && !memcmp(l->f, l->now.f, sizeof(l->f)))
        return true;
    if (may_differ(c) || differs_in_options(l, c)) {
        take(l);
        return true;
    }
    for (unsigned i = 0; i < 32; i++) {
        if (l->x[i] != l->now.x[i])
            printf("    x%u is %#lx, not %#lx\n", i, l->now.x[i], l->x[i]);
        if (l->f[i] != l->now.f[i])
            printf("    f%u is %#lx, not %#lx\n", i, l->now.f[i], l->f[i]);
        same = same && l->x[i] == l->now.x[i] && l->f[i] == l->now.f[i];
    }
    return same;
}

/* Addresses in the log are the program's own, so only M-mode's are looked up. */
static bool same_stores(struct lockstep *l, const struct commit *c)
{
    for (unsigned i = 0; i < c->nstores; i++) {
        uint64_t value = 0;

        if (c->priv != PRIV_M || l->now.mstatus >> 17 & 1 || c->store[i].size > 8 ||
            mem_read(&l->vm.mem, c->store[i].address, &value, c->store[i].size) != 0)
            continue;
        if (is_sc(c)) {
            mem_write(&l->vm.mem, c->store[i].address, &c->store[i].value, c->store[i].size);
        } else if (value != c->store[i].value) {
            printf("    memory at %#lx is %#lx, not %#lx\n", c->store[i].address, value,
                   c->store[i].value);
            return false;
        }
    }
    return true;
}

/* Steps to the end of the next instruction that retires, which must be c's. */
static bool follow(struct lockstep *l, const struct commit *c)
{
    struct hart_state before;

    for (unsigned traps = 0; traps < TRAPS_MAX; traps++) {
        before = l->now;
        if (c->word == WFI && before.pc == c->pc) {
            l->now.pc += 4; /* it waits no longer than this log says */
            l->vm.engine->state_set(&l->vm.hart[0], &l->now);
            return true;
        }
        if (is_pending(c))
            step_pending(l);
        else
            step_with(l, -1);
        if (l->now.instret != before.instret)
            break;
        if (l->now.steps == before.steps) {
            printf("    the machine ended: %s\n", l->vm.stop.text);
            return false;
        }
    }
    if (before.pc != c->pc || before.priv != c->priv || l->now.instret == before.instret) {
        printf("    at %#lx, level %u (mcause %#lx, scause %#lx)\n", before.pc, before.priv,
               l->now.mcause, l->now.scause);
        return false;
    }
    if (!same_registers(l, c) || !same_stores(l, c))
        return false;
    /* The reference fetches what was stored even without fence.i, as a machine may. */
    if (c->nstores)
        interp_fence_i(hart_of(l));
    if ((l->now.fcsr ^ c->fcsr) & c->fcsr_written) {
        printf("    fcsr is %#lx, not %#lx\n", l->now.fcsr, c->fcsr);
        return false;
    }
    return true;
}

/* The reference starts in a boot ROM: what it leaves in registers is where both begin. */
static bool begin(struct lockstep *l, const struct commit *c)
{
    if (c->pc != l->now.pc) {
        for (unsigned i = 0; i < 32; i++)
            if (c->x_written >> i & 1)
                l->x[i] = c->x[i];
        return false;
    }
    /* Spike's reset opens all addresses to all levels. */
    l->now.pmpaddr[0] = UINT64_MAX >> 10;
    l->now.pmpcfg[0] = 0x1f;
    take(l);
    l->taken = 0;
    return true;
}

static int compare(struct lockstep *l, uint64_t most)
{
    char *line = NULL, text[512];
    size_t size = 0;
    int irq;
    struct commit c;
    bool begun = false, good = true;

    while (good && l->compared < most && getline(&line, &size, stdin) > 0) {
        snprintf(text, sizeof(text), "%s", line);
        irq = parse_interrupt(line);
        if (irq >= 0 && begun)
            good = take_interrupt(l, irq);
        if (!parse_commit(line, &c) && good)
            continue;
        begun = begun || begin(l, &c);
        if (!begun)
            continue;
        good = good && follow(l, &c);
        if (good)
            l->compared++;
        else
            printf("    after %lu equal instructions: %s", l->compared, text);
    }
    free(line);
    if (!l->compared) {
        printf("    nothing to compare: the log has no instruction of this program\n");
        good = false;
    }
    printf("%lu instructions equal, %lu values taken\n", l->compared, l->taken);
    return good ? 0 : 1;
}

static int run(const char *path, uint64_t most)
{
    struct vm_config config = {.host = host_real(),
                               .engine = &engine_interp,
                               .start = START_FIRMWARE,
                               .image = path,
                               .mem_size = MEMORY,
                               .nharts = 1,
                               .max_steps = UINT64_MAX,
                               .misaligned_traps = true,
                               .console = CONSOLE_NONE,
                               .in_fd = -1,
                               .out_fd = -1};
    static struct lockstep l;
    struct error err = {0};
    int status;

    if (vm_create(&l.vm, &config, &err) != 0) {
        fprintf(stderr, "lockstep: %s\n", err.text);
        return 2;
    }
    l.vm.engine->state_get(&l.vm.hart[0], &l.now);
    status = compare(&l, most);
    vm_destroy(&l.vm);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--isa"))
        return puts(rv_isa_string) < 0;
    if (argc == 4 && !strcmp(argv[1], "--random"))
        return random_write(strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15u, argv[3]);
    if (argc == 2 || argc == 3)
        return run(argv[1], argc == 3 ? strtoull(argv[2], NULL, 0) : UINT64_MAX);
    fputs("usage: lockstep ELF [COUNT] <LOG\n       lockstep --random SEED FILE\n       "
          "lockstep --isa\n",
          stderr);
    return 2;
}
