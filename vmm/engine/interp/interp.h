/* interp.h: the predecoded, threaded interpreter: ops, dispatch, code pages. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_INTERP_INTERP_H
#define VMM_ENGINE_INTERP_INTERP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/engine/riscv/decode.h"
#include "vmm/engine/riscv/rv.h"
#include "vmm/host.h"
#include "vmm/vm.h"

/*
 * An op is a decoded instruction: its code selects the handler, twice the instruction's ID plus
 * one when it is two bytes long. A page of code becomes one op for each halfword, decoded when
 * first executed. The op's place tells the program counter, so no handler keeps one: state is
 * exact at every instruction.
 */
struct rv_op {
    uint16_t code;
    uint8_t rd;
    uint8_t rs1;
    int32_t imm;
};

#define PAGE_SLOTS (MEM_PAGE_SIZE / 2)

/* Ops that are not instructions of the guest. */
enum interp_op_id {
    OP_FIRST = RV_INSNS - 1,
#define INTERNAL_OP(name) OP_##name,
#include "vmm/engine/interp/internal.def"
#undef INTERNAL_OP
    OP_IDS,
};
#define OP_CODE(id, length) ((uint16_t)(2 * (id) + ((length) == 2)))
#define OP_CODES            (2 * OP_IDS)

struct op_table;

/*
 * What every handler is given, in registers: the hart; its op; steps left in the chunk, this
 * one already taken off; pcd, from which the program counter follows (pc = pcd + address of op
 * / 4); and the table of handlers, one of two: the usual, or the exact one that stops when
 * nothing is left.
 */
#define OP_PARAMS                                                                              \
    struct rv_hart *h, const struct rv_op *op, int64_t left, uintptr_t pcd,                    \
        const struct op_table *tab
#define OP_ARGS h, op, left, pcd, tab

typedef void op_fn(OP_PARAMS);

struct op_table {
    op_fn *fn[OP_CODES];
};

#define LIKELY(c)   __builtin_expect(!!(c), 1)
#define UNLIKELY(c) __builtin_expect(!!(c), 0)
#define NOINLINE    __attribute__((noinline))
#define INLINE      static inline __attribute__((always_inline))

/*
 * Handlers call the next one in tail position, which gcc and clang turn into a jump at -O2: the
 * registers above stay where they are. Without that optimisation (INTERP_LOOP: debug builds and
 * sanitizers) the handler returns the next op to a loop instead; same handlers, same meaning.
 */
struct interp_next {
    const struct rv_op *op; /* NULL: leave */
    int64_t left;
    uintptr_t pcd;
    const struct op_table *tab;
};

#ifdef INTERP_LOOP
#define DISPATCH_SAME(next_op)                                                                 \
    do {                                                                                       \
        interp_of(h)->next =                                                                   \
            (struct interp_next){.op = (next_op), .left = left, .pcd = pcd, .tab = tab};       \
        return;                                                                                \
    } while (0)
#else
#define DISPATCH_SAME(next_op)                                                                 \
    do {                                                                                       \
        const struct rv_op *n_ = (next_op);                                                    \
        tab->fn[n_->code](h, n_, left, pcd, tab);                                              \
        return;                                                                                \
    } while (0)
#endif

#define DISPATCH(next_op)                                                                      \
    do {                                                                                       \
        left--;                                                                                \
        DISPATCH_SAME(next_op);                                                                \
    } while (0)

/* Within OP bodies: the following instruction. */
#define NEXT() DISPATCH(op + length / 2)

/* The program counter of an op. */
INLINE uint64_t op_pc(const struct rv_op *op, uintptr_t pcd)
{
    return pcd + ((uintptr_t)op >> 2);
}

/*
 * Where handlers stand decides how well the host predicts the jumps between them: with gcc's 16
 * bytes `compute calls` took 0.109 to 0.137 s as other code moved them, so it is pinned at the
 * better end (bench: min of 5).
 */
#define OP_ALIGNED __attribute__((aligned(32)))

/*
 * OP(name) { body } defines the handlers of an instruction, for its lengths of four and two
 * bytes; OP4 of one that has no compressed form. In the body `length` is a constant.
 */
#define OP(name)                                                                               \
    INLINE void body_##name(OP_PARAMS, unsigned length);                                       \
    op_fn op_##name##_4 OP_ALIGNED, op_##name##_2 OP_ALIGNED;                                  \
    void op_##name##_4(OP_PARAMS)                                                              \
    {                                                                                          \
        body_##name(OP_ARGS, 4);                                                               \
    }                                                                                          \
    void op_##name##_2(OP_PARAMS)                                                              \
    {                                                                                          \
        body_##name(OP_ARGS, 2);                                                               \
    }                                                                                          \
    INLINE void body_##name(OP_PARAMS, __attribute__((unused)) unsigned length)

/*
 * A page of decoded code, found again from any of its ops by alignment. bytes is what was
 * decoded, and never changes: after a fence.i (a new epoch of the hart) it is compared with
 * memory before the page is entered again, and where it differs the hart takes another page.
 * That makes code writes by any hart or device safe without watching stores.
 */
#define CODE_PAGE_ALIGN 32768u

struct code_page {
    struct rv_op op[PAGE_SLOTS + 2]; /* the last ones lead to the next page */
    uint8_t bytes[MEM_PAGE_SIZE];
    gpa_t gpa;
    bool guarded; /* no op runs from it, see code_page_get */
    /* The pool's. */
    uint64_t key;           /* gpa | CODE_KEY | guarded */
    struct code_page *next; /* of its chain */
    unsigned refs;          /* the harts that have it */
    bool dead;              /* it is out of the pool */
    uint32_t stamp; /* no other page ever has it; 0: there are no more, see STAMP_LAST */
    /*
     * The translator's, where there is one: the code of each halfword, how often it was entered
     * untranslated, and in which segments of the cache its code is, a bit each.
     */
    _Atomic uint32_t entry[PAGE_SLOTS];
    _Atomic uint8_t heat[PAGE_SLOTS];
    uint64_t segments;
};
_Static_assert(sizeof(struct code_page) <= CODE_PAGE_ALIGN, "found by its alignment");

/*
 * The last stamp. A guest that rewrites code as fast as it can uses all of them up in some ten
 * minutes; pages have none from then on.
 */
#define STAMP_LAST 0x7fffffffu

#define CODE_PAGES_MAX 4096u /* of one hart: some 130 MB; then all are dropped */
#define CODE_CHAINS    4096u

/*
 * The decoded pages of harts: of one, whose interpreter is the oracle, or of all whose
 * translator is one. A page of the guest is there once for each of its contents that somebody
 * has. All of this by the lock.
 */
struct code_pool {
    pthread_mutex_t lock;
    struct code_page *chain[CODE_CHAINS];
    unsigned npages; /* in the chains */
    unsigned limit;  /* so many: those that nobody has are dropped */
    uint32_t stamp;  /* the last that a page was given */
    struct code_page *spare;
    /* How often pages were taken out that some hart has, which is to renew them. Without the
     * lock, all the time: apart from what changes more often. */
    _Atomic uint64_t retired __attribute__((aligned(64)));
};

struct code_pool *code_pool_create(void); /* NULL: no memory */
void code_pool_destroy(struct code_pool *pool);

/*
 * Under the lock. The page of a key with those bytes, made if there is none; NULL: no memory.
 * Whoever takes one gives it back, once.
 */
struct code_page *code_pool_take(struct code_pool *pool, uint64_t key, const uint8_t *bytes);
void code_pool_give(struct code_pool *pool, struct code_page *page);

/* Under the lock. Takes all pages out that have translations in one of the segments. */
void code_pool_retire(struct code_pool *pool, uint64_t segments);

/*
 * Where the decoded page of an address is, in a table of open addressing that is at most half
 * full. Here and not in the page, because fields of pages all fall into the same few sets of
 * the host's caches: a search through them took 5 % of a shell script's time.
 */
struct code_slot {
    uint64_t key; /* gpa | CODE_KEY | guarded; 0: free */
    struct code_page *page;
    uint64_t epoch; /* in which it was last compared with memory */
    uint32_t stamp; /* the page's */
};

#define CODE_SLOTS (2 * CODE_PAGES_MAX)
#define CODE_KEY   2u

/*
 * Where a kernel's calls lead, for calls that need not pass the gate (call_fast, call.h). With
 * it an SBI Base call takes 6 ns instead of 23 (tollgate bench calls).
 */
#define CALL_CACHE 16u

struct call_cached {
    uint64_t ext, fn;
    struct call_way way; /* its epoch counts even when the call is not plain */
    bool plain;          /* it need not take the gate */
    bool direct;         /* nor is it stamped */
};

/* What the interpreter has beside the shared hart: rv_hart.loop. */
struct interp {
    struct rv_hart hart;
    struct code_slot code[CODE_SLOTS];
    unsigned npages;
    struct code_pool *pool; /* that they are of; `own`: this hart's alone */
    bool own;
    uint64_t epoch;
    uint64_t refresh_steps;   /* at which all pages are due to be compared with memory again */
    struct code_page *single; /* scratch: holds the op of an instruction run on its own */
    uint64_t slow_value;      /* of interp_load_slow's helper */
    bool program;             /* U-mode without a kernel: traps end the VM */
    bool kernel;              /* S-mode ecalls are calls to the monitor */
    bool crowded;             /* harts are threads, more than the host has processors for */
    bool exact;               /* every stop exact: budgets, single step */
    bool stepping;            /* run by interp_step: no way on leads past the end of the step */
    bool stopped;             /* a step came to that end */
    const struct rv_op *behind; /* it: the op to go on with, or NULL: at h->pc, after a look */
    void *translator;           /* struct dbt, or NULL */
    void *translating;          /* struct dbt_hart, where there is one */
    struct interp_next next;
    struct call_cached calls[CALL_CACHE];
};

static inline struct interp *interp_of(struct rv_hart *h)
{
    return h->loop;
}

static inline struct code_page *page_of(const struct rv_op *op)
{
    return (struct code_page *)((uintptr_t)op & ~(uintptr_t)(CODE_PAGE_ALIGN - 1));
}

static inline unsigned op_length(const struct rv_op *op)
{
    return op->code & 1 ? 2 : 4;
}

/* The word of the instruction at op, from the bytes it was decoded from; two-byte ones
 * unexpanded. */
uint32_t interp_word(const struct rv_op *op);

/*
 * Ways on, all in tail position. interp_pause: the chunk is used up before `op`. interp_goto:
 * at h->pc. interp_resume: at h->pc, after looking at requests and interrupts. interp_trap:
 * h->trap_cause and trap_tval happen at `op`. interp_illegal: `op` is an illegal instruction.
 */
op_fn interp_pause, interp_goto, interp_resume, interp_trap, interp_illegal;

/* fence.i on this hart: decoded pages are compared with memory before they are entered again.
 */
void interp_fence_i(struct rv_hart *h);

/* Delivers an exit; op is the instruction. Fills h->pc (of op) and counts first. */
enum gate interp_exit(struct rv_hart *h, const struct rv_op *op, int64_t left, uintptr_t pcd,
                      struct vm_exit *exit);

/*
 * What the translator has the interpreter do. interp_step runs one instruction, at h->pc, whose
 * op is `op`; with `on` also those that follow it up to the first jump that is taken, the end
 * of the page, or one that has the loop look at interrupts. True: h->pc and h->left are exact,
 * go on there; in->behind is the op that follows when it follows in sequence. False: leave.
 */
bool interp_step(struct rv_hart *h, const struct rv_op *op, bool on);

/*
 * How an instruction ended. END_NEXT: on behind it; h->pc need not be moved. END_LOOK: the
 * same, after a look at requests and interrupts. END_TRAP: h->trap_cause and trap_tval are to
 * be taken. END_LEAVE: run returns.
 */
enum op_end { END_NEXT, END_LOOK, END_LEAVE, END_TRAP };

/*
 * A CSR instruction; an ecall that is a call to the monitor (END_NEXT and END_LOOK: h->pc is
 * behind it). h->pc is theirs, h->left without their step.
 */
enum op_end interp_csr(struct rv_hart *h, const struct rv_op *op);
enum op_end interp_call(struct rv_hart *h, const struct rv_op *op);
/* sfence.vma and sinval.vma; -1: illegal here. */
int interp_sfence(struct rv_hart *h, const struct rv_op *op);

/* The parts of the loop: the decoded page of h->pc, NULL after a trap, which interp_take_trap
 * then enters (false: leave); requests and interrupts at h->pc (false: leave). */
struct code_page *interp_fetch_page(struct rv_hart *h);
/* The same, between two instructions of translated code: without anything that could give up
 * code, count, or trap; NULL: that is needed. */
struct code_page *interp_fetch_again(struct rv_hart *h);
bool interp_take_trap(struct rv_hart *h);
bool interp_attend(struct rv_hart *h);

/* A chunk ends: its steps are counted, and what is due then is done. */
void interp_count_steps(struct rv_hart *h, int64_t left);
void interp_chunk_due(struct rv_hart *h);
void interp_budget_exit(struct rv_hart *h);

/* The page of h->pc when it is in the fetch table, which nearly always it is. */
INLINE struct code_page *interp_fetch_hit(struct rv_hart *h)
{
    const struct rv_fetch_entry *e = &h->fetch->entry[(h->pc >> 12) % RV_TLB_ENTRIES];

    return LIKELY(e->tag == (h->pc & RV_PAGE_MASK)) ? e->page : NULL;
}

/* Engine operations that the translator shares. */

/* With decoded pages of that pool; NULL: its own. */
int interp_hart_make(struct hart *hart, struct code_pool *pool);
void interp_hart_destroy(struct hart *hart);
void interp_kick(struct hart *hart);
void interp_hart_irq(struct hart *hart, unsigned irq, bool level);
bool interp_irq_pending(struct hart *hart);
void interp_set_timer(struct hart *hart, uint64_t ticks);
uint64_t interp_timer_deadline(struct hart *hart);
void interp_set_mtimer(struct hart *hart, uint64_t ticks);
uint64_t interp_steps(struct hart *hart);
void interp_set_step_limit(struct hart *hart, uint64_t steps);
void interp_fence(struct hart *hart, const struct hart_fence *fence);
int interp_state_get(struct hart *hart, struct hart_state *state);
int interp_state_set(struct hart *hart, const struct hart_state *state);
int interp_read_virt(struct hart *hart, uint64_t va, void *buf, size_t len);
enum call_route interp_call_route(struct vm *vm, uint64_t ext);
const char *interp_isa_string(struct vm *vm);
const char *const *interp_isa_extensions(struct vm *vm);
const char *interp_mmu_type(struct vm *vm);
uint64_t interp_counter_get(struct hart *hart, unsigned counter);
void interp_counter_set(struct hart *hart, unsigned counter, uint64_t value, bool counts);
uint64_t interp_pc(struct hart *hart);
void interp_cycles_add(struct hart *hart, uint64_t cycles);
bool interp_event_known(uint64_t selector);
void interp_event_set(struct hart *hart, unsigned counter, uint64_t selector, unsigned filters);
uint64_t interp_overflows(struct hart *hart);
int interp_feature_set(struct hart *hart, unsigned feature, uint64_t value);

/* The register that fli makes of its number, in a format of so many bytes. */
uint64_t interp_fli(unsigned bytes, unsigned n);

/* --- pool.c --- */

struct code_page *code_page_new(void); /* in no pool; NULL: no memory */

/* --- code.c --- */

/*
 * Where the decoded page at gpa is; NULL: not RAM, or no memory. In a guarded one each
 * instruction is fetched with its own permission check.
 */
const struct code_slot *code_page_get(struct rv_hart *h, gpa_t gpa, bool guarded);
/* The same where that makes, drops and compares nothing; NULL: it would, or the page is
 * guarded.
 */
const struct code_slot *code_page_known(struct rv_hart *h, gpa_t gpa);
void code_decode(const struct rv_op *op);
struct rv_op code_op(uint32_t word, unsigned length, uint64_t offset);
void code_drop(struct rv_hart *h); /* all that the hart has */
/* Takes others of the same contents for all pages of the hart that are out of the pool. */
void code_renew(struct rv_hart *h);

#endif
