/* x64_block.h: what the parts of the x86-64 target share: registers and a block under
 * construction. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_ENGINE_DBT_X64_BLOCK_H
#define VMM_ENGINE_DBT_X64_BLOCK_H

#include "vmm/engine/dbt/dbt.h"
#include "vmm/engine/dbt/x64.h"

/*
 * Registers of the host in translated code. The guest's most used ones have one for good: nine
 * of them are three quarters of all operands of a riscv64 libc. rax, rcx and rdx are free
 * within an instruction. rsp is the host's stack, on which the ways back of the guest's calls
 * stand (x64_jump.c): always a multiple of 16.
 */
#define REG_HART                                                                               \
    RBP /* HART_BIAS into struct rv_hart, so that all of x lies in reach of a byte */
#define REG_TLB   RBX /* rv_hart.tlb */
#define REG_LEFT  R15 /* rv_hart.left as at the start of the block */
#define HART_BIAS 128

/* X64_PIN(guest register, host register) */
#define X64_PINS                                                                               \
    X64_PIN(2, RDI)                                                                            \
    X64_PIN(8, R12)                                                                            \
    X64_PIN(9, R13)                                                                            \
    X64_PIN(10, R8)                                                                            \
    X64_PIN(11, R9)                                                                            \
    X64_PIN(12, R10)                                                                           \
    X64_PIN(13, R11)                                                                           \
    X64_PIN(14, R14)                                                                           \
    X64_PIN(15, RSI)

#define NOT_PINNED RSP

#define HART(member) X64_MEM(REG_HART, (int32_t)offsetof(struct rv_hart, member) - HART_BIAS)
#define HART_AT(member, bytes)                                                                 \
    X64_MEM(REG_HART, (int32_t)(offsetof(struct rv_hart, member) + (bytes)) - HART_BIAS)

/* The bits of sstatus that are read (csr.c): SIE, SPIE, SPP, FS, SUM, MXR, UXL; and SD. */
#define X64_SSTATUS_BITS (RV_SIE | RV_SPIE | RV_SPP | RV_FS | RV_SUM | RV_MXR | RV_UXL)

/* What stands behind a block, where it is out of the way. */
enum cold_kind {
    COLD_STEP,  /* the instruction by the interpreter, then back */
    COLD_JUMP,  /* a branch that is taken */
    COLD_FP,    /* the FPU is not the guest's yet */
    COLD_GUESS, /* a guessed addend was another's: the true one, and back */
    COLD_GROUP, /* loads and stores that share a look, each with its own */
    COLD_EXIT,  /* no steps left at a jump within the page, or its target has no code yet */
    COLD_CHAIN, /* a jump to another page that leads elsewhere than it is linked to */
};

struct cold {
    enum cold_kind kind;
    uint8_t *site;    /* the jump that leads here */
    uint8_t *more[2]; /* COLD_GROUP, COLD_CHAIN: and others, or NULL */
    uint8_t *link;    /* COLD_EXIT: the jump to be linked later, or NULL; COLD_CHAIN: it */
    uint8_t *stamp;   /* COLD_CHAIN: the stamp that it asks for */
    uint8_t *back;    /* COLD_STEP, COLD_GROUP; COLD_CHAIN: of a call, or NULL */
    const struct rv_op *op;
    const struct rv_op *last; /* COLD_GROUP */
    uint8_t held[16]; /* COLD_STEP: x64_floats.held where it is left and where it goes on */
    uint8_t after[16];
    int32_t target;               /* offset from the page's start */
    unsigned slot, length, steps; /* of the instruction */
    unsigned guess;               /* COLD_GUESS: which one, and what it is for */
    enum x64_op access;
    unsigned reg;
    struct x64_mem at;
};

/* At most six an instruction: a fused multiply-add of halves with a rounding mode of its own.
 */
#define COLD_MAX (7 * BLOCK_STEPS_MAX + 8)

/* Where a block may be entered beside its start: behind its calls. */
struct block_entry {
    unsigned slot;
    const uint8_t *code;
};

/*
 * Registers xmm2 to xmm15 hold f registers within a block: loaded once, results kept. Memory
 * has the same at every instruction, so whoever leaves has nothing to do. xmm0 and xmm1 are
 * free within an instruction.
 */
#define XMM_HELD 2u
#define XMMS     16u

struct x64_floats {
    uint8_t held[XMMS]; /* the f register and 1; 0: none */
    uint8_t used[XMMS]; /* when, by clock */
    uint8_t clock;      /* instructions of the block */
};

struct target_block {
    struct x64_code code;
    uint8_t *start;
    unsigned start_slot;
    unsigned nentries;
    struct block_entry entry[BLOCK_STEPS_MAX];
    struct dbt *dbt;
    struct code_page *page;
    /* The instruction at work. */
    const struct rv_op *op;
    unsigned slot, length, steps;
    unsigned count; /* of the block so far, with it */
    /* The group that it belongs to: its last and first load or store; NULL: none. rdx is the
     * host's address of what the register pointed to before it moved. */
    const struct rv_op *group, *group_first;
    int32_t group_moved;
    const struct rv_op *fused; /* the next instruction when it is lowered already, or NULL */
    int32_t fused_target;      /* where that jumps to, if it is jalr */
    uint32_t words;            /* x registers that hold a word's sign extension, a bit each */
    bool behind;               /* the block is there: what is lowered is cold */
    bool loose;                /* the result at work is right in its low half only */
    /* The host's ZF says whether this x register is 0, while the code ends there. */
    const uint8_t *zero_at;
    unsigned zero_of;
    bool fp_on;     /* FS was tested in this block */
    bool fp_dirty;  /* and is dirty since */
    bool fp_live;   /* the FPU has been the guest's since */
    uint64_t boxed; /* f registers that hold NaN-boxed singles, a bit each; halves: above */
    struct x64_floats floats;
    unsigned ncold;
    struct cold cold[COLD_MAX]; /* last: the rest is cleared */
};

/* --- x64_block.c --- */

/* The host register of a guest register, or NOT_PINNED. */
unsigned x64_pin(unsigned guest);
struct x64_mem x64_guest(unsigned guest);

/*
 * The value of a guest register: in its own host register, or loaded into `spare`. x64_get:
 * into `host` in any case.
 */
unsigned x64_source(struct target_block *b, unsigned guest, unsigned spare);
void x64_get(struct target_block *b, unsigned host, unsigned guest);
/* Where a result is best made: the register's own, or `spare`; x64_put then stores it. */
unsigned x64_target(unsigned guest, unsigned spare);
void x64_put(struct target_block *b, unsigned guest, unsigned host);
/* A guest register = a constant. */
void x64_put_imm(struct target_block *b, unsigned guest, uint64_t imm);
/* op host, guest register, which may be of fewer bits. */
void x64_with(struct target_block *b, enum x64_op op, unsigned host, unsigned guest);

void x64_move(struct target_block *b, unsigned to, unsigned from);

/* The instruction at work by the interpreter: here, or when the condition holds. */
void x64_step(struct target_block *b);
void x64_step_if(struct target_block *b, enum x64_cond cc);

/* From here on the FPU has the guest's rounding mode and flags; FS is dirty then. */
void x64_fp_begin(struct target_block *b);
/* Floating point that the target has code for, but loads and stores. */
bool x64_is_float(unsigned id);
/* The register holds a boxed single from here on, or may not. A boxed half is one, too. */
void x64_boxed(struct target_block *b, unsigned f, bool boxed);
void x64_boxed_half(struct target_block *b, unsigned f);
bool x64_is_boxed(const struct target_block *b, unsigned f);
bool x64_is_half(const struct target_block *b, unsigned f);

/* The xmm register that holds an f register, which is loaded if need be. */
unsigned x64_f(struct target_block *b, unsigned f);
/* The same, or 0 (xmm0 holds none): it is in memory only. */
unsigned x64_f_held(const struct target_block *b, unsigned f);
/* The xmm register for a new value of one: x64_f_put then stores it. */
unsigned x64_f_target(struct target_block *b, unsigned f);
void x64_f_put(struct target_block *b, unsigned f, bool boxed);
/* Nothing is held from here on. */
void x64_f_forget(struct target_block *b);

/* Where code of the monitor's cache stands, in the writable mapping. */
const uint8_t *x64_at(const struct target_block *b, uint32_t offset);
static inline uint32_t x64_offset(const struct dbt *d, const struct x64_code *c)
{
    return (uint32_t)(c->at - d->cache.write);
}

/* Has a word of code that changes later, behind so many bytes, begin at a multiple of four,
 * where several harts run it. */
void x64_align_word(struct target_block *b, unsigned bytes);

/* A cold part for the instruction at work, to which the jump at `site` will lead. */
struct cold *x64_cold(struct target_block *b, enum cold_kind kind, uint8_t *site);
/* The jump at `site`, if there is one, leads here. */
void x64_land(struct target_block *b, uint8_t *site);

/* --- x64_jump.c --- */

/*
 * A jump to an offset from the page's start, after `steps` steps; ends the block, or one way of
 * it.
 */
void x64_jump(struct target_block *b, int32_t target, unsigned steps);
/* host = address of an offset from the page's start. */
void x64_address(struct target_block *b, unsigned host, int64_t offset);
/* From rax, the address, to its code, by the fetch table. */
void x64_lookup(const struct dbt *d, struct x64_code *c);
/*
 * Forgets the ways back of all calls. So does all that changes where an address leads, the
 * privilege included, and goes on in translated code.
 */
void x64_calls_forget(struct x64_code *c);

/* --- x64_chain.c --- */

/* A jump to another page, or a call of it with the return address in rcx, as x64_jump. */
void x64_chain(struct target_block *b, int32_t target, unsigned steps, bool call);
/* Emits a COLD_CHAIN. */
void x64_chain_cold(struct target_block *b, const struct cold *cold);

/* rcx = where the fetch table of the privilege has an entry for the address in rax. */
void x64_fetch_entry(struct x64_code *c);
#define X64_ENTRY(member) X64_MEM(RCX, offsetof(struct rv_fetch_entry, member))

/* --- x64_group.c --- */

/* Before an instruction: it may be the first of a group. */
void x64_group_begin(struct target_block *b);
/* A load or store of the group at work; false: the instruction is none. */
bool x64_group_access(struct target_block *b);
/* Behind an instruction: it may have been the last. */
void x64_group_end(struct target_block *b);

/* A load or store of an x register: by which instruction of the host. */
struct x64_access {
    enum x64_op op;
    unsigned size;
    bool store;
};
bool x64_access(unsigned id, struct x64_access *access); /* false: it is none */
/* Is it a branch within its page? */
bool x64_is_branch(const struct rv_op *op);

/* --- x64_guess.c --- */

/* Does the load guess: is its address made of what it has loaded, round a loop? */
bool x64_guesses(const struct target_block *b, const struct rv_op *load);
/*
 * op reg, at, where `at` is made of the true addend, in rdx: with one that is guessed before
 * that has been read. Uses rcx.
 */
void x64_guess(struct target_block *b, enum x64_op op, unsigned reg, struct x64_mem at);
/* The cold part of it. */
void x64_guess_wrong(struct target_block *b, const struct cold *cold);

/* --- x64_fuse.c --- */

/* The instruction at work, and with it the next, in one; or nothing, when it was the next. */
bool x64_lower_fused(struct target_block *b);
/* Behind each instruction: what is known of the registers then. */
void x64_words(struct target_block *b);
/* Does the register hold the sign extension of 32 bits? False: nobody knows. */
bool x64_is_word(const struct target_block *b, unsigned x);
/* The high half of the result at work need not be made, since the next instruction asks for the
 * low one and writes the register. */
bool x64_is_loose(struct target_block *b);
/* ZF is that of the result at work, just stored; and, is it the register's? */
void x64_zero_set(struct target_block *b);
bool x64_zero_known(const struct target_block *b, unsigned x);
/* Does the next instruction ask whether the result at work is 0? */
bool x64_zero_asked(const struct target_block *b);

/* --- x64_mem.c --- */

#define X64_TABLE_LOAD  offsetof(struct rv_tlb, load)
#define X64_TABLE_STORE offsetof(struct rv_tlb, store)

#define X64_ADDEND offsetof(struct rv_tlb_entry, addend)

/*
 * Compares the tag of the entry of base + low, in that table of the TLB, with the page of base
 * + high: equal when [base + low, base + high] lies in the page that the entry is of. rcx =
 * where the entry stands in a table, rdx = the page. base is neither of the two.
 */
void x64_tag(struct target_block *b, unsigned base, int32_t low, int32_t high, size_t table);

/*
 * The host's place of [rs1 + imm, +size), found in that table of the TLB, or the interpreter
 * does the instruction. It is made of rdx and of rax or a guest's register; uses rcx.
 */
struct x64_mem x64_look(struct target_block *b, unsigned size, size_t table);
/* rax = the host address of [rs1, +size), found in the same way. */
void x64_place(struct target_block *b, unsigned size, size_t table);

/* --- lowering: false when the instruction is none of theirs --- */
bool x64_lower_jump(struct target_block *b, enum lowered *result);
bool x64_lower_int(struct target_block *b);
bool x64_lower_bit(struct target_block *b);
bool x64_lower_mem(struct target_block *b);
bool x64_lower_atomic(struct target_block *b);
bool x64_lower_float(struct target_block *b);
bool x64_lower_csr(struct target_block *b);
bool x64_lower_system(struct target_block *b);

/* Emits the stubs of x64_system.c. */
void x64_system_stubs(struct dbt *d, struct x64_code *c);

#endif
