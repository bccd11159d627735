/* ops_sys.c: system instructions of the interpreter: CSRs, calls, returns, fences, waiting. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/interp/interp.h"

#include "guest/abi/tg.h"
#include "vmm/observe.h"
#include "vmm/phases.h"

enum csr_kind { CSR_WRITE, CSR_SET, CSR_CLEAR };

#define CSR_HOW(kind, immediate, length) ((unsigned)(kind) | (immediate) << 2 | (length) << 3)
#define CSR_KIND(how)                    ((enum csr_kind)((how)&3u))
#define CSR_IMMEDIATE(how)               ((how) >> 2 & 1u)
#define CSR_LENGTH(how)                  ((how) >> 3)

/* The read-modify-write itself. 1: written; 0: only read; -1: illegal. */
static NOINLINE int csr_access(struct rv_hart *h, const struct rv_op *op, unsigned how)
{
    unsigned csr = (unsigned)op->imm;
    uint64_t operand = CSR_IMMEDIATE(how) ? op->rs1 : h->x[op->rs1];
    /* x0, or an immediate of 0, asks set and clear not to write at all ("Zicsr"). */
    bool write = CSR_KIND(how) == CSR_WRITE || op->rs1 != 0;
    uint64_t old, value, mask = operand;

    if (rv_csr_read(h, csr, write, &old) != 0)
        return -1;
    switch (CSR_KIND(how)) {
    case CSR_SET: value = old | operand; break;
    case CSR_CLEAR: value = old & ~operand; break;
    default:
        value = operand;
        mask = UINT64_MAX;
        break;
    }
    if (write && rv_csr_write(h, csr, value, mask) != 0)
        return -1;
    h->x[op->rd] = old;
    if (hart_watched(h->hart, WATCH_CSR))
        observe_csr(h->hart, h->pc, csr, old, write, value);
    return write;
}

/* CSRs whose change concerns neither interrupts nor translation: the loop just goes on. */
static bool csr_is_plain(unsigned csr)
{
    return csr <= 0x003 || (csr >= 0x140 && csr <= 0x143) || (csr >= 0x340 && csr <= 0x343);
}

/* The kind of an instruction is in the low two bits of its funct3, and so of its place among
 * the six. */
enum op_end interp_csr(struct rv_hart *h, const struct rv_op *op)
{
    unsigned nth = op->code / 2u - RV_INSN_csrrw, csr = (unsigned)op->imm;
    bool immediate = nth > 2;
    int written = csr_access(h, op, CSR_HOW(immediate ? nth - 3 : nth, immediate, 4u));

    if (written < 0) {
        h->trap_cause = RV_ILLEGAL;
        h->trap_tval = interp_word(op);
        return END_TRAP;
    }
    return written && !csr_is_plain(csr) ? END_LOOK : END_NEXT;
}

static NOINLINE void csr_op(OP_PARAMS, unsigned how)
{
    unsigned length = CSR_LENGTH(how);
    int written;

    h->left = left;
    h->pc = op_pc(op, pcd);
    written = csr_access(h, op, how);
    if (UNLIKELY(written < 0)) {
        interp_illegal(OP_ARGS);
        return;
    }
    if (written && !csr_is_plain((unsigned)op->imm)) {
        h->pc += length;
        interp_resume(OP_ARGS);
        return;
    }
    NEXT();
}

#define OP_CSR(name, kind, immediate)                                                          \
    OP(name)                                                                                   \
    {                                                                                          \
        csr_op(OP_ARGS, CSR_HOW(kind, immediate, length));                                     \
    }

OP_CSR(csrrw, CSR_WRITE, 0u)
OP_CSR(csrrs, CSR_SET, 0u)
OP_CSR(csrrc, CSR_CLEAR, 0u)
OP_CSR(csrrwi, CSR_WRITE, 1u)
OP_CSR(csrrsi, CSR_SET, 1u)
OP_CSR(csrrci, CSR_CLEAR, 1u)

/* Commits the reply of a call. */
static inline enum op_end call_commit(struct rv_hart *h, const struct call *c, enum gate gate)
{
    if (gate == GATE_PARK)
        return END_LEAVE;
    switch (c->disp) {
    case CALL_RET2: h->x[11] = c->value; __attribute__((fallthrough));
    case CALL_RET1:
        h->x[10] = (uint64_t)c->error;
        h->pc += 4;
        h->unretired++; /* ecall does not retire */
        break;
    case CALL_TRAP:
        h->trap_cause = (int64_t)c->value;
        h->trap_tval = (uint64_t)c->error;
        return END_TRAP;
    default: return END_LEAVE;
    }
    return gate == GATE_LEAVE ? END_LEAVE : END_LOOK;
}

/* Through the gate. */
static NOINLINE enum op_end call_exit(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                      uintptr_t pcd)
{
    struct vm_exit exit = {.kind = EXIT_CALL, .call.ext = h->x[17], .call.fn = h->x[16]};
    enum gate gate;

    for (unsigned i = 0; i < CALL_ARGS; i++)
        exit.call.arg[i] = h->x[10 + i];
    gate = interp_exit(h, op, left, pcd, &exit);
    return call_commit(h, &exit.call, gate);
}

/* The place of a call in the cache. */
static inline struct call_cached *call_cached(struct rv_hart *h)
{
    uint64_t ext = h->x[17], fn = h->x[16];

    return &interp_of(h)->calls[(ext ^ ext >> 8 ^ fn) % CALL_CACHE];
}

/* Is it the call at hand, and still true? */
static inline bool call_is(const struct rv_hart *h, const struct call_cached *cached)
{
    return cached->ext == h->x[17] && cached->fn == h->x[16] &&
           cached->way.epoch == atomic_load_explicit(&h->vm->call_epoch, memory_order_acquire);
}

/*
 * A plain call of a kernel, by its handler; does what the gate would (call.h). The handler may
 * ask for the hart's state: pc and steps are as the gate would show them. `timed` is a
 * constant: questions that time stamps ask would be a tenth of the whole.
 */
INLINE enum op_end call_direct(struct rv_hart *h, const struct rv_op *op, int64_t left,
                               uintptr_t pcd, const struct call_cached *cached, bool timed)
{
    struct call c;
    enum gate gate = GATE_CONTINUE;

    c.personality =
        cached->ext >= TG_EXT_FIRST && cached->ext <= TG_EXT_LAST ? CALL_TG : CALL_SBI;
    c.ext = cached->ext;
    c.fn = cached->fn;
    for (unsigned i = 0; i < CALL_ARGS; i++)
        c.arg[i] = h->x[10 + i];
    c.buf = NULL;
    c.buf_len = 0;
    c.error = 0;
    c.value = 0;
    h->pc = op_pc(op, pcd);
    h->left = left;
    if (timed)
        phase_mark(h->hart, MARK_HANDLER);
    c.disp = cached->way.handler(cached->way.self, h->hart, &c);
    if (timed)
        phase_mark(h->hart, MARK_DONE);
    if (UNLIKELY(c.disp > CALL_RET1)) {
        if (c.disp == CALL_PASS) /* it had no effect */
            return call_exit(h, op, left, pcd);
        if (c.disp == CALL_PARK) {
            h->hart->yield = YIELD_PARK;
            gate = GATE_PARK;
        }
    }
    if (UNLIKELY(c.error != 0))
        call_error_check(h->hart, cached->way.desc, &c);
    h->hart->exits[EXIT_CALL]++;
    enum op_end step = call_commit(h, &c, gate);

    /* A plain call touches neither requests nor interrupts of harts; look all the same. */
    if (step == END_LOOK &&
        (atomic_load_explicit(&h->mip, memory_order_relaxed) & h->mie) == 0 &&
        atomic_load_explicit(&h->hart->requests, memory_order_relaxed) == 0)
        return END_NEXT;
    return step;
}

static NOINLINE enum op_end call_usual(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                       uintptr_t pcd, const struct call_cached *cached)
{
    return call_direct(h, op, left, pcd, cached, false);
}

/* Whichever way it takes otherwise, with time stamps. */
static NOINLINE enum op_end call_timed(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                       uintptr_t pcd, const struct call_cached *cached)
{
    struct vm_exit exit = {
        .kind = EXIT_CALL, .call.ext = h->x[17], .call.fn = h->x[16], .call.arg[0] = h->x[10]};
    enum op_end step;

    phase_mark(h->hart, MARK_LEAVE);
    phase_gate(h->hart, &exit);
    step = cached->plain ? call_direct(h, op, left, pcd, cached, true)
                         : call_exit(h, op, left, pcd);
    phase_end(h->hart);
    return step;
}

static NOINLINE void call_remember(struct rv_hart *h, struct call_cached *cached)
{
    uint64_t ext = h->x[17];
    bool tg = ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST;

    cached->ext = ext;
    cached->fn = h->x[16];
    cached->plain = call_fast(h->vm, tg ? CALL_TG : CALL_SBI, ext, cached->fn, &cached->way);
    cached->direct = cached->plain && !hart_timed(h->hart);
}

/* Calls that are not in the cache, or do not go to their handler at once. */
static NOINLINE enum op_end call_other(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                       uintptr_t pcd, struct call_cached *cached)
{
    if (interp_of(h)->program)
        return call_exit(h, op, left, pcd);
    if (!call_is(h, cached))
        call_remember(h, cached);
    if (hart_timed(h->hart))
        return call_timed(h, op, left, pcd, cached);
    return cached->direct ? call_usual(h, op, left, pcd, cached) : call_exit(h, op, left, pcd);
}

static inline enum op_end call_take(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                    uintptr_t pcd)
{
    struct call_cached *cached = call_cached(h);

    /* A program's cache stays empty. */
    if (LIKELY(cached->direct && call_is(h, cached)))
        return call_usual(h, op, left, pcd, cached);
    return call_other(h, op, left, pcd, cached);
}

enum op_end interp_call(struct rv_hart *h, const struct rv_op *op)
{
    return call_take(h, op, h->left, h->pc - ((uintptr_t)op >> 2));
}

OP(ecall)
{
    struct interp *in = interp_of(h);
    enum op_end step = END_TRAP;

    h->trap_cause = RV_ECALL_U + h->priv;
    h->trap_tval = 0;
    if ((in->kernel && h->priv == PRIV_S) || in->program)
        step = call_take(h, op, left, pcd);
    if (step == END_NEXT)
        NEXT();
    if (LIKELY(step == END_LOOK)) {
        interp_resume(OP_ARGS);
        return;
    }
    if (step == END_TRAP)
        interp_trap(OP_ARGS);
    else
        h->left = left;
}

OP(ebreak)
{
    h->trap_cause = RV_BREAKPOINT;
    h->trap_tval = op_pc(op, pcd);
    interp_trap(OP_ARGS);
}

#define OP_RETURN(name, function)                                                              \
    OP(name)                                                                                   \
    {                                                                                          \
        h->left = left;                                                                        \
        if (UNLIKELY(function(h) != 0))                                                        \
            interp_illegal(OP_ARGS);                                                           \
        else                                                                                   \
            interp_resume(OP_ARGS);                                                            \
    }

OP_RETURN(sret, rv_sret)
OP_RETURN(mret, rv_mret)

static NOINLINE enum gate wfi_exit(struct rv_hart *h, const struct rv_op *op, int64_t left,
                                   uintptr_t pcd)
{
    struct vm_exit exit = {.kind = EXIT_WFI};

    return interp_exit(h, op, left, pcd, &exit);
}

OP(wfi)
{
    if (h->priv == PRIV_U || (h->priv == PRIV_S && (h->mstatus & RV_TW))) {
        interp_illegal(OP_ARGS);
        return;
    }
    if (wfi_exit(h, op, left, pcd) == GATE_LEAVE) {
        h->pc += length;
        h->left = left;
        return;
    }
    rv_timer_update(h);
    h->pc += length;
    interp_resume(OP_ARGS);
}

int interp_sfence(struct rv_hart *h, const struct rv_op *op)
{
    if (h->priv == PRIV_U || (h->priv == PRIV_S && (h->mstatus & RV_TVM)))
        return -1;
    rv_hpm_count(h, HART_EVENT_SFENCE_VMA);
    /* x0 in rs1: every page; in rs2: every address space. An address is not RV_ANY, but that
     * of the last byte may be. */
    rv_tlb_fence(h, op->rs1 ? h->x[op->rs1] & RV_PAGE_MASK : RV_ANY,
                 op->imm ? h->x[op->imm] & 0xffff : RV_ANY);
    return 0;
}

OP(sfence_vma)
{
    h->left = left;
    if (UNLIKELY(interp_sfence(h, op) != 0)) {
        interp_illegal(OP_ARGS);
        return;
    }
    h->pc = op_pc(op, pcd) + length;
    interp_resume(OP_ARGS);
}

OP(sinval_vma)
{
    body_sfence_vma(OP_ARGS, length);
}

/* Svinval: what sinval.vma did takes effect between these two; here it has already. */
#define OP_INVAL_FENCE(name)                                                                   \
    OP(name)                                                                                   \
    {                                                                                          \
        if (h->priv == PRIV_U) {                                                               \
            interp_illegal(OP_ARGS);                                                           \
            return;                                                                            \
        }                                                                                      \
        NEXT();                                                                                \
    }

OP_INVAL_FENCE(sfence_w_inval)
OP_INVAL_FENCE(sfence_inval_ir)

/*
 * The guest says that it waits for another hart. When harts outnumber processors, that one may
 * be waiting for ours: without this, Debian on 64 harts and two processors took 247 s to boot,
 * nearly all of it in line for one ticket lock (jiffies_lock); with it 5 s.
 *
 * The others may have the processor for milliseconds then, so this is no step among the
 * thousands of a chunk: the clock is looked at, and interrupts are, before the next one. Else
 * a hart that waits for one that waits for its timer interrupt would keep it waiting for a
 * chunk of such steps, which is ten seconds and more.
 */
static NOINLINE void spin_hint(OP_PARAMS, unsigned length)
{
    host_yield();
    rv_timer_update(h);
    h->pc = op_pc(op, pcd) + length;
    interp_resume(OP_ARGS);
}

/*
 * Zawrs. Both waits may end at any time, and do at once: a store to the reserved word is seen
 * by the next load. wrs.nto traps where wfi would be made to.
 */
OP(wrs_nto)
{
    if (h->priv != PRIV_M && (h->mstatus & RV_TW)) {
        interp_illegal(OP_ARGS);
        return;
    }
    if (UNLIKELY(interp_of(h)->crowded)) {
        spin_hint(OP_ARGS, length);
        return;
    }
    NEXT();
}

OP(wrs_sto)
{
    if (UNLIKELY(interp_of(h)->crowded)) {
        spin_hint(OP_ARGS, length);
        return;
    }
    NEXT();
}

OP(fence)
{
    enum { PRED_W = 0x10, SUCC_R = 0x02, PAUSE = 0x010 };

    /* The host (x86 or any seen through its own fences) keeps every other order by itself. */
    if ((op->imm & PRED_W) && (op->imm & SUCC_R))
        atomic_thread_fence(memory_order_seq_cst);
    else if (op->imm == PAUSE && UNLIKELY(interp_of(h)->crowded)) {
        spin_hint(OP_ARGS, length);
        return;
    }
    NEXT();
}

OP(fence_i)
{
    rv_hpm_count(h, HART_EVENT_FENCE_I);
    interp_fence_i(h);
    h->pc = op_pc(op, pcd) + length;
    interp_resume(OP_ARGS);
}
