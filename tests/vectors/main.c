/* main.c: every floating-point instruction, translated, against the exact code in software. */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: vectors [--vectors N] [--seed N]
 *
 * Batches of one instruction with one rounding mode, over operands of operand.h. The
 * interpreter runs each with its flags cleared before, which keeps it on the exact code
 * (softfp_fast.h: the host's FPU is used only after NX was raised); the translator runs it with
 * flags that are raised already, or none. Results in both register files have to be equal, and
 * flags but for those that were there before. All instructions, formats and rounding modes take
 * turns, the mode in the instruction and in frm, the reserved ones too.
 *
 * Prints the vectors, and "N passed, N failed" batches.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/diff/program.h"
#include "tests/unit/assembler.h"
#include "tests/vectors/operand.h"
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#include "vmm/engine/interp/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define BATCH    1024u
#define MEMORY   (1u << 18)
#define OPERANDS (PLAT_DRAM_BASE + 0x10000)
#define RESULTS  (PLAT_DRAM_BASE + 0x20000)
#define HANDLER  (PLAT_DRAM_BASE + 0x1000)

/* What a vector takes and gives. */
struct vector {
    uint64_t operand[3];
};

struct result {
    uint64_t f, x, flags;
};

static const struct row {
    const char *name;
    uint32_t mask, match;
} rows[] = {
#define INSN(name, format, mask, match) {#name, mask, match},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool is_float(const struct row *row)
{
    uint32_t opcode = row->match & 0x7f;

    return opcode == 0x53 || (opcode >= 0x43 && opcode <= 0x4f);
}

/* Of the first source. Names end in the format, conversions and moves in that of the source. */
static enum operand_kind kind_of(const struct row *row)
{
    const char *end = strrchr(row->name, '_') + 1;

    if (!strcmp(end, "h"))
        return OPERAND_HALF;
    if (!strcmp(end, "s") || (!strncmp(row->name, "fmv", 3) && !strcmp(end, "w")))
        return OPERAND_SINGLE;
    return !strcmp(end, "d") ? OPERAND_DOUBLE : OPERAND_INTEGER;
}

/* --- a batch --- */

struct batch {
    const struct row *row;
    uint32_t word;
    unsigned frm;
    uint64_t flags; /* raised before the translator's instruction */
    struct vector vector[BATCH];
};

static void batch_make(struct batch *b, const struct row *row)
{
    enum operand_kind kind = kind_of(row);
    uint32_t free_fields = ~row->mask;

    b->row = row;
    b->frm = random_below(16) ? random_below(5) : random_below(8);
    b->flags = random_below(2) ? 0 : random_below(4) ? 1 : 31;
    /* rd 13, sources 10, 11 and 12; the mode is frm's, or the instruction's own */
    b->word = row->match | (free_fields & (13u << 7 | 10u << 15 | 11u << 20 | 12u << 27));
    if ((row->mask & 0x7000) == 0)
        b->word |= (random_below(4) ? 7 : random_below(16) ? random_below(5) : 5) << 12;
    for (unsigned i = 0; i < BATCH; i++) {
        uint64_t *v = b->vector[i].operand;

        v[0] = operand_make(random_below(64) ? kind : (enum operand_kind)random_below(3));
        v[1] = random_below(4) ? operand_make(kind) : operand_near(kind, v[0]);
        v[2] = random_below(4) ? operand_make(kind) : operand_cancel(kind, v[0], v[1]);
    }
}

/* What traps is left out, so results stay what they were. */
static const uint32_t handler[] = {
    0x34102ff3, /* csrr t6, mepc */
    0x004f8f93, /* addi t6, t6, 4 */
    0x341f9073, /* csrw mepc, t6 */
    0x30200073, /* mret */
};

static unsigned code_make(const struct batch *b, uint32_t *code)
{
    const uint32_t loop[] = {
        AS_I(fld, 10, S0, 0),
        AS_I(fld, 11, S0, 8),
        AS_I(fld, 12, S0, 16),
        AS_I(ld, A0, S0, 0),
        AS_CSR(csrrw, ZERO, 1, T0),
        b->word,
        AS_CSRR(T1, 1),
        AS_S(fsd, 13, S1, 0),
        AS_S(sd, A3, S1, 8),
        AS_S(sd, T1, S1, 16),
        AS_I(addi, S0, S0, sizeof(struct vector)),
        AS_I(addi, S1, S1, sizeof(struct result)),
        AS_I(addi, T2, T2, -1),
        AS_B(bne, T2, ZERO, -13 * 4),
        AS_SELF,
    };

    memcpy(code, loop, sizeof(loop));
    return sizeof(loop);
}

/* Runs it on a machine; its results are left in memory. */
static void batch_run(const struct batch *b, struct vm *vm, uint64_t flags)
{
    struct hart *hart = &vm->hart[0];
    struct interp *in = hart->engine_state;
    struct hart_state s;
    uint32_t code[32];
    unsigned size = code_make(b, code);

    mem_write(&vm->mem, PLAT_DRAM_BASE, code, size);
    mem_write(&vm->mem, HANDLER, handler, sizeof(handler));
    mem_write(&vm->mem, OPERANDS, b->vector, sizeof(b->vector));
    mem_zero(&vm->mem, RESULTS, BATCH * sizeof(struct result));
    vm->engine->fence(hart, &(struct hart_fence){.kind = FENCE_I});
    vm->engine->state_get(hart, &s);
    memset(s.x, 0, sizeof(s.x));
    memset(s.f, 0, sizeof(s.f));
    s.pc = PLAT_DRAM_BASE;
    s.priv = PRIV_M;
    s.mtvec = HANDLER;
    s.mstatus |= 3ull << 13;
    s.fcsr = b->frm << 5;
    s.x[S0] = OPERANDS;
    s.x[S1] = RESULTS;
    s.x[T0] = flags;
    s.x[T2] = BATCH;
    s.steps = s.instret = 0;
    vm->engine->state_set(hart, &s);
    vm->stop = (struct vm_stop){.cause = CAUSE_NONE, .hart = -1};
    atomic_store(&vm->stopping, false);
    atomic_store(&hart->requests, 0);
    in->refresh_steps = UINT64_MAX;
    in->hart.step_limit = 19 * BATCH; /* a word that traps takes the handler's four steps too */
    vm->engine->run(hart);
}

static void batch_explain(const struct batch *b, const struct result *want,
                          const struct result *got)
{
    for (unsigned i = 0; i < BATCH; i++) {
        const uint64_t *v = b->vector[i].operand;

        if (want[i].f == got[i].f && want[i].x == got[i].x &&
            (want[i].flags | b->flags) == got[i].flags)
            continue;
        printf("FAIL %s (%08x) frm %u: %#lx %#lx %#lx\n"
               "    exact      f %#lx x %#lx flags %#lx\n"
               "    translated f %#lx x %#lx flags %#lx, with %#lx before\n",
               b->row->name, b->word, b->frm, v[0], v[1], v[2], want[i].f, want[i].x,
               want[i].flags, got[i].f, got[i].x, got[i].flags, b->flags);
        return;
    }
}

static bool batch_check(const struct batch *b, struct vm *exact, struct vm *translated)
{
    const struct result *want, *got;
    bool good = true;

    batch_run(b, exact, 0);
    batch_run(b, translated, b->flags);
    want = (const struct result *)(const void *)mem_ptr(&exact->mem, RESULTS, 8);
    got = (const struct result *)(const void *)mem_ptr(&translated->mem, RESULTS, 8);
    for (unsigned i = 0; i < BATCH && good; i++)
        good = want[i].f == got[i].f && want[i].x == got[i].x &&
               (want[i].flags | b->flags) == got[i].flags;
    if (!good)
        batch_explain(b, want, got);
    return good;
}

/* --- main --- */

static int machine_create(struct vm *vm, struct vm_config *config, char *image,
                          const struct engine *engine)
{
    struct error err = {0};

    *config = (struct vm_config){.host = host_real(),
                                 .engine = engine,
                                 .start = START_FIRMWARE,
                                 .image = image,
                                 .raw = true,
                                 .mem_size = MEMORY,
                                 .nharts = 1,
                                 .max_steps = UINT64_MAX,
                                 .console = CONSOLE_NONE,
                                 .in_fd = -1,
                                 .out_fd = -1};
    if (vm_create(vm, config, &err) == 0)
        return 0;
    fprintf(stderr, "vectors: %s\n", err.text);
    return -1;
}

static int machines_create(struct vm *exact, struct vm *translated)
{
    static struct vm_config config[2];
    char image[] = "/tmp/tollgate-vectors-XXXXXX";
    int fd = mkstemp(image), rc;

    if (fd < 0 || write(fd, handler, sizeof(handler)) != sizeof(handler)) {
        perror("vectors");
        return -1;
    }
    close(fd);
    rc = machine_create(exact, &config[0], image, &engine_interp);
    if (rc == 0)
        rc = machine_create(translated, &config[1], image, &engine_dbt);
    unlink(image);
    if (rc == 0)
        ((struct dbt *)((struct interp *)translated->hart[0].engine_state)->translator)->heat =
            0;
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"vectors", required_argument, NULL, 'v'},
        {"seed",    required_argument, NULL, 's'},
        {NULL,      0,                 NULL, 0  },
    };
    static struct batch batch;
    static struct vm exact, translated;
    uint64_t most = 1000000, seed = 1, done = 0, passed = 0, failed = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'v') {
            most = strtoull(optarg, NULL, 0);
        } else if (c == 's') {
            seed = strtoull(optarg, NULL, 0);
        } else {
            fputs("usage: vectors [--vectors N] [--seed N]\n", stderr);
            return 2;
        }
    }
    if (machines_create(&exact, &translated) != 0)
        return 1;
    random_seed((seed + 1) * 0x9e3779b97f4a7c15u);
    while (done < most) {
        for (unsigned i = 0; i < ROWS && done < most; i++) {
            if (!is_float(&rows[i]))
                continue;
            batch_make(&batch, &rows[i]);
            if (batch_check(&batch, &exact, &translated))
                passed++;
            else
                failed++;
            done += BATCH;
        }
    }
    printf("vectors %lu\n%lu passed, %lu failed\n", done, passed, failed);
    return failed ? 1 : 0;
}
