/* main.c: random programs, run by both engines, with and without shortcuts, must end the same.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage: diff [PROGRAMS [SEED]]
 *
 * Each program is a page or two of random instructions in M-mode, traps included, whose handler
 * goes on behind the instruction. It runs for the same number of steps (a) as usual; (b) with
 * every op checked (the exact table); (c) one step a run; (d) with the TLB emptied between
 * short runs; and translated at once where it can be, (e) as usual, (f) with the TLB emptied
 * between runs, (g) into a cache of two small segments, (h) what is hot only. Registers, CSRs,
 * memory and counts must be equal. The last lines are a digest of
 * all final states, the same for every compiler and build, and "N passed, N failed".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef TOLLGATE_DBT
#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/engine.h"
#endif
#include "vmm/engine/interp/engine.h"
#include "vmm/engine/interp/interp.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#define CODE_WORDS 2000u /* crosses a page boundary */
#define HANDLER    (PLAT_DRAM_BASE + 0x8000)
#define DATA       (PLAT_DRAM_BASE + 0x20800) /* offsets of 12 bits stay inside */
#define MEMORY     (1u << 18)
#define STEPS      6000u
#define BASE_REG   8u /* points at DATA; no instruction writes it */
#define CODE_REG   9u /* points at the code; likewise */

/*
 * Kinds of programs. Wild ones have everything. Plain ones have little of what leads to the
 * handler, and nothing that would keep them there, so that they run through all of their code;
 * so have those that are mostly of floating point.
 */
enum kind { WILD, PLAIN, FLOAT, KINDS };

static uint64_t random_state;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1du;
}

static uint32_t random_below(uint32_t n)
{
    return (uint32_t)((random_next() >> 32) % n);
}

static const struct row {
    uint16_t id;
    uint32_t mask, match;
} rows[] = {
#define INSN(name, format, mask, match) {RV_INSN_##name, mask, match},
#include "vmm/engine/riscv/insn.def"
#undef INSN
};

static uint32_t set_field(uint32_t word, unsigned low, unsigned width, uint32_t value)
{
    uint32_t mask = ((1u << width) - 1) << low;

    return (word & ~mask) | (value << low & mask);
}

/* CSRs that would make runs differ (time), end the fun (handlers, protection) or hide state. */
static bool csr_avoided(uint32_t csr)
{
    return csr == 0xc01 || csr == 0x305 || csr == 0x105 || (csr >= 0x3a0 && csr <= 0x3ef);
}

static uint32_t random_csr(enum kind kind)
{
    static const uint16_t harmless[] = {0x001, 0x002, 0x003, 0x140, 0x141, 0x142, 0x143, 0x106,
                                        0x342, 0x343, 0xb00, 0xb02, 0xc00, 0xc02, 0xf14, 0x301};
    static const uint16_t common[] = {0x001, 0x002, 0x003, 0x100, 0x104, 0x140, 0x141, 0x142,
                                      0x143, 0x144, 0x300, 0x301, 0x302, 0x303, 0x304, 0x306,
                                      0x320, 0x340, 0x341, 0x342, 0x343, 0x344, 0xb00, 0xb02,
                                      0xc00, 0xc02, 0xf14, 0x180, 0x106};
    uint32_t csr;

    if (kind == FLOAT && random_below(16) != 0)
        return harmless[0]; /* few rounding modes that a write makes up are legal */
    if (kind != WILD)
        return harmless[random_below(sizeof(harmless) / sizeof(harmless[0]))];
    if (random_below(10) < 8)
        return common[random_below(sizeof(common) / sizeof(common[0]))];
    do
        csr = random_below(4096);
    while (csr_avoided(csr));
    return csr;
}

/* Forward by a few words; a branch, which may end a loop again, now and then backward. */
static uint32_t jump_offset(bool branch)
{
    uint32_t words = 1 + random_below(12);

    if (branch && random_below(24) == 0)
        words = 0u - 1 - random_below(20);
    return words * 4;
}

static uint32_t branch_immediate(uint32_t word, uint32_t offset)
{
    word = set_field(word, 8, 4, offset >> 1);
    word = set_field(word, 25, 6, offset >> 5);
    word = set_field(word, 7, 1, offset >> 11);
    return set_field(word, 31, 1, offset >> 12);
}

static uint32_t jal_immediate(uint32_t word, uint32_t offset)
{
    word = set_field(word, 21, 10, offset >> 1);
    word = set_field(word, 20, 1, offset >> 11);
    word = set_field(word, 12, 8, offset >> 12);
    return set_field(word, 31, 1, offset >> 20);
}

static bool writes_pinned(uint32_t word)
{
    uint32_t rd = word >> 7 & 31;
    uint32_t opcode = word & 0x7f;

    if (opcode == 0x63 || opcode == 0x23 || opcode == 0x27 || opcode == 0x07)
        return false;
    return rd == BASE_REG || rd == CODE_REG;
}

static bool is_float(uint32_t opcode)
{
    return opcode == 0x53 || opcode == 0x07 || opcode == 0x27 ||
           (opcode >= 0x43 && opcode <= 0x4f);
}

/* What a kind has little of. */
static bool is_rare(uint32_t opcode, enum kind kind)
{
    if (kind == WILD)
        return false;
    return opcode == 0x73 || opcode == 0x0f ||
           (kind == PLAIN ? opcode == 0x53 || (opcode >= 0x43 && opcode <= 0x4f)
                          : !is_float(opcode));
}

static const struct row *random_row(enum kind kind)
{
    /* Without fresh numbers all registers would soon be NaNs. */
    bool load = kind == FLOAT && random_below(3) == 0;
    const struct row *row;

    do
        row = &rows[random_below(sizeof(rows) / sizeof(rows[0]))];
    while (load ? (row->match & 0x7f) != 0x07
                : is_rare(row->match & 0x7f, kind) &&
                      random_below(kind == FLOAT ? 16 : 64) != 0);
    return row;
}

/* Most often the dynamic rounding mode, as compilers have it; where there is such a field. */
static uint32_t random_rounding(uint32_t word, uint32_t mask)
{
    if ((mask & 0x7000) || random_below(3) == 0)
        return word;
    return word | 0x7000;
}

/* A double, single or whatever, now and then one of those that have rules of their own. */
static uint64_t random_float(void)
{
    static const uint64_t special[] = {
        0,
        0x8000000000000000,
        0x3ff0000000000000,
        0x7ff0000000000000,
        0xfff8000000000001,
        0x7ff0000000000001,
        0x0010000000000000,
        0x8000000000000001,
        0x41e0000000000000,
        0xc3e0000000000000,
        0xffffffff00000000,
        0xffffffff80000000,
        0xffffffff3f800000,
        0xffffffff7f800000,
        0xffffffffffc00001,
        0xffffffff7f800001,
        0xffffffff00800000,
        0xffffffff80000001,
        0xffffffff4f000000,
        0xffffffffdf000000,
    };

    switch (random_below(4)) {
    case 0: return special[random_below(sizeof(special) / sizeof(special[0]))];
    case 1: return random_next() | 0xffffffff00000000;
    case 2: /* near one, so that sums cancel and conversions fit */
        return (random_next() & 0x803fffffffffffff) | 0x3fc0000000000000;
    default: return random_next();
    }
}

static uint32_t random_word(enum kind kind)
{
    const struct row *row = random_row(kind);
    uint32_t word = row->match | ((uint32_t)random_next() & ~row->mask);

    if (random_below(kind == WILD ? 64 : 1024) == 0)
        return (uint32_t)random_next() | 3;
    switch (word & 0x7f) {
    case 0x03:
    case 0x07:
    case 0x23:
    case 0x27:
    case 0x2f:
        if (random_below(16) != 0)
            word = set_field(word, 15, 5, BASE_REG);
        break;
    case 0x63: word = branch_immediate(word, jump_offset(true)); break;
    case 0x6f: word = jal_immediate(word, jump_offset(false)); break;
    case 0x67:
        word = set_field(word, 15, 5, CODE_REG);
        word = set_field(word, 20, 12, random_below(512) * 4);
        break;
    case 0x73:
        if ((word & 0x3000) || (word & 0x1000))
            word = set_field(word, 20, 12, random_csr(kind));
        break;
    case 0x53:
        if (random_below(4) != 0)
            word = row->match | (word & ~row->mask & ~0x7000u) | (row->mask & row->match);
        if (kind == FLOAT)
            word = random_rounding(word, row->mask);
        break;
    case 0x43:
    case 0x47:
    case 0x4b:
    case 0x4f:
        if (kind == FLOAT)
            word = random_rounding(word, row->mask);
        break;
    default: break;
    }
    if (row->id == RV_INSN_wfi || writes_pinned(word))
        return 0x00000013; /* nothing would ever wake it; and the pinned registers stay */
    if (kind != WILD && (row->id == RV_INSN_mret || row->id == RV_INSN_sret))
        return 0x00000013; /* back to the last trap, from where it comes here again, for ever */
    return word;
}

/* Does an expanded half lead somewhere near, or load from the data? Most of them should. */
static bool is_tame(uint32_t word)
{
    struct rv_insn in = rv_decode(word);
    uint32_t opcode = word & 0x7f;

    if (opcode == 0x63 || opcode == 0x6f)
        return in.imm > 0 && in.imm < 64;
    return (opcode != 0x03 && opcode != 0x07 && opcode != 0x23 && opcode != 0x27) ||
           in.rs1 == BASE_REG;
}

static uint16_t random_half(void)
{
    for (;;) {
        uint16_t half = (uint16_t)random_next();
        uint32_t word = rv_expand(half);

        if ((half & 3) != 3 && word && !writes_pinned(word) && (word & 0x7f) != 0x67 &&
            (is_tame(word) || random_below(256) == 0))
            return half;
    }
}

static void make_program(uint32_t *code)
{
    enum kind kind = (enum kind)random_below(KINDS);

    for (unsigned i = 0; i < CODE_WORDS; i++) {
        if (random_below(4) == 0)
            code[i] = random_half() | (uint32_t)random_half() << 16;
        else
            code[i] = random_word(kind);
    }
    code[CODE_WORDS - 1] = 0x0000006f; /* j . */
}

/*
 * On behind the word that trapped. Words are aligned, so halves are skipped together. Who has
 * left the code for good comes back to some word of it.
 */
static const uint32_t handler[] = {
    0x340f9ff3, /* csrrw x31, mscratch, x31 */
    0x00000f97, /* auipc x31, 0 */
    0x21efb023, /* sd x30, 0x200(x31) */
    0x34102f73, /* csrr x30, mepc */
    0xffcf7f13, /* andi x30, x30, -4 */
    0x004f0f13, /* addi x30, x30, 4 */
    0x409f0fb3, /* sub x31, x30, x9 */
    0x00dfdf93, /* srli x31, x31, 13 */
    0x000f8a63, /* beqz x31, 1f */
    0xb0202f73, /* csrr x30, minstret */
    0x035f1f13, /* slli x30, x30, 53 */
    0x033f5f13, /* srli x30, x30, 51 */
    0x009f0f33, /* add x30, x30, x9 */
    0x341f1073, /* 1: csrw mepc, x30 */
    0x00000f97, /* auipc x31, 0 */
    0x1ccfbf03, /* ld x30, 0x1cc(x31) */
    0x340f9ff3, /* csrrw x31, mscratch, x31 */
    0x30200073, /* mret */
};

struct run {
    struct hart_state state;
    uint64_t memory;
};

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

static void run_steps(struct vm *vm, uint64_t limit)
{
    struct interp *in = vm->hart[0].engine_state;

    vm->stop.cause = CAUSE_NONE;
    atomic_store(&vm->stopping, false);
    atomic_store(&vm->hart[0].requests, 0);
    in->hart.step_limit = limit;
    vm->engine->run(&vm->hart[0]);
}

/* How the programs run, which must not show. */
struct way {
    const char *name;
    const struct engine *engine;
    uint64_t stride;   /* steps a run */
    bool exact, drop;  /* the interpreter's exact table; the TLB emptied before each run */
    bool cold, narrow; /* only what is hot is translated; the code cache is small */
};

static const struct way ways[] = {
    {"usual",                   &engine_interp, STEPS, .exact = false},
    {"exact",                   &engine_interp, STEPS, .exact = true },
    {"single step",             &engine_interp, 1,     .exact = false},
    {"empty TLB",               &engine_interp, 37,    .drop = true  },
#ifdef TOLLGATE_DBT
    {"translated",              &engine_dbt,    STEPS, .exact = false},
    {"translated, empty TLB",   &engine_dbt,    211,   .drop = true  },
    {"translated, small cache", &engine_dbt,    STEPS, .narrow = true},
    {"translated when hot",     &engine_dbt,    STEPS, .cold = true  },
#endif
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* Takes away what the way does without. */
static void way_prepare(const struct way *way, struct interp *in)
{
    in->exact = way->exact;
#ifdef TOLLGATE_DBT
    struct dbt *d = in->translator;

    if (!d)
        return;
    if (!way->cold)
        d->heat = 0;
    if (way->narrow) {
        d->cache.segment_size = 20000;
        d->cache.nsegments = 2;
    }
#endif
}

static int run_way(struct vm_config *config, const uint32_t *code, uint64_t seed,
                   const struct way *way, struct run *out)
{
    struct error err = {0};
    struct vm vm;
    struct hart_state state;
    struct interp *in;
    config->engine = way->engine;
    if (vm_create(&vm, config, &err) != 0) {
        fprintf(stderr, "diff: %s\n", err.text);
        return -1;
    }
    mem_zero(&vm.mem, vm.dtb_gpa, vm.dtb_size); /* it has random seeds */
    mem_write(&vm.mem, PLAT_DRAM_BASE, code, CODE_WORDS * 4);
    mem_write(&vm.mem, HANDLER, handler, sizeof(handler));
    random_state = seed;
    for (gpa_t at = DATA - 2048; at < DATA + 2048; at += 8) {
        uint64_t value = random_below(2) ? random_next() : random_float();

        mem_write(&vm.mem, at, &value, 8);
    }
    vm.engine->state_get(&vm.hart[0], &state);
    for (unsigned i = 1; i < 32; i++) {
        state.x[i] = random_below(3) == 0 ? random_below(64) : random_next();
        state.f[i] = random_float();
    }
    state.x[BASE_REG] = DATA;
    state.x[CODE_REG] = PLAT_DRAM_BASE;
    state.pc = PLAT_DRAM_BASE;
    state.mtvec = HANDLER;
    state.pmpcfg[0] = 0x1f; /* all memory is open to S and U: NAPOT, R, W, X */
    state.pmpaddr[0] = (1ull << 54) - 1;
    state.mstatus |= 3ull << 13;
    state.fcsr = random_below(5) << 5;
    vm.engine->state_set(&vm.hart[0], &state);
    in = vm.hart[0].engine_state;
    way_prepare(way, in);
    for (uint64_t at = way->stride; at <= STEPS; at += way->stride) {
        if (way->drop)
            rv_tlb_flush(&in->hart);
        run_steps(&vm, at);
    }
    run_steps(&vm, STEPS);
    vm.engine->state_get(&vm.hart[0], &out->state);
    out->memory =
        hash_bytes(0xcbf29ce484222325u, mem_ptr(&vm.mem, PLAT_DRAM_BASE, MEMORY), MEMORY);
    vm_destroy(&vm);
    return 0;
}

static bool same(const struct run *a, const struct run *b)
{
    return memcmp(&a->state, &b->state, sizeof(a->state)) == 0 && a->memory == b->memory;
}

static void explain(const struct run *a, const struct run *b)
{
    if (a->state.pc != b->state.pc)
        printf("    pc %#llx, %#llx\n", (unsigned long long)a->state.pc,
               (unsigned long long)b->state.pc);
    for (unsigned i = 0; i < 32; i++)
        if (a->state.x[i] != b->state.x[i] || a->state.f[i] != b->state.f[i])
            printf("    register %u: x %#llx, %#llx  f %#llx, %#llx\n", i,
                   (unsigned long long)a->state.x[i], (unsigned long long)b->state.x[i],
                   (unsigned long long)a->state.f[i], (unsigned long long)b->state.f[i]);
    printf("    steps %llu, %llu  instret %llu, %llu  memory %s\n",
           (unsigned long long)a->state.steps, (unsigned long long)b->state.steps,
           (unsigned long long)a->state.instret, (unsigned long long)b->state.instret,
           a->memory == b->memory ? "equal" : "differs");
}

/* One program, every way. */
static bool run_program(struct vm_config *config, uint64_t seed, uint64_t *digest)
{
    static uint32_t code[CODE_WORDS];
    struct run run[WAYS];
    bool good = true;

    random_state = seed;
    make_program(code);
    for (unsigned way = 0; way < WAYS; way++)
        if (run_way(config, code, seed, &ways[way], &run[way]) != 0)
            return false;
    for (unsigned way = 1; way < WAYS; way++) {
        if (same(&run[0], &run[way]))
            continue;
        printf("FAIL seed %llu: %s\n", (unsigned long long)seed, ways[way].name);
        explain(&run[0], &run[way]);
        good = false;
    }
    *digest = hash_bytes(*digest, &run[0], sizeof(run[0]));
    return good;
}

int main(int argc, char **argv)
{
    unsigned programs = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    char path[] = "/tmp/tollgate-diff-XXXXXX";
    struct vm_config config = {.host = host_real(),
                               .engine = &engine_interp,
                               .start = START_FIRMWARE,
                               .image = path,
                               .raw = true,
                               .mem_size = MEMORY,
                               .nharts = 1,
                               .max_steps = STEPS,
                               .console = CONSOLE_NONE,
                               .in_fd = -1,
                               .out_fd = -1};
    uint64_t digest = 0xcbf29ce484222325u;
    unsigned passed = 0, failed = 0;
    int fd = mkstemp(path);

    /* The image only has to exist: programs are written into memory. */
    if (fd < 0 || write(fd, handler, sizeof(handler)) != sizeof(handler)) {
        perror("diff");
        return 1;
    }
    close(fd);
    for (unsigned i = 0; i < programs; i++) {
        if (run_program(&config, (seed + i) * 0x9e3779b97f4a7c15u, &digest))
            passed++;
        else
            failed++;
    }
    unlink(path);
    printf("digest %016llx\n", (unsigned long long)digest);
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}
