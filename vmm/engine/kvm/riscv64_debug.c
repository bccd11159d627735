/* riscv64_debug.c: breakpoints and single steps of riscv64 vCPUs by KVM's guest debug. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/*
 * With KVM_GUESTDBG_ENABLE each ebreak of the guest comes out as KVM_EXIT_DEBUG; that is all:
 * KVM_GUESTDBG_SINGLESTEP has no effect on riscv64 (Linux 6.12, arch/riscv/kvm/vcpu.c). So a
 * breakpoint is a c.ebreak in the guest's memory, and a step is a c.ebreak wherever the
 * instruction can lead: behind it, at the trap handler's entries, at sepc for sret. Jumps and
 * branches have no other effect than on pc and rd, and are executed here.
 *
 * Memory is every hart's, so all others are kept out of the guest during a step: none runs past
 * the breakpoint that is lifted for it, or into those that it needs.
 */
#define EBREAK       UINT16_C(0x9002) /* c.ebreak; KVM's guests always have C */
#define EBREAK_WORD  UINT32_C(0x00100073)
#define BREAKS_MAX   64
#define PLANTS_MAX   8
#define STVEC_VECTOR 1u

static const unsigned vectors[] = {0, IRQ_S_SOFT, IRQ_S_TIMER, IRQ_S_EXT, IRQ_COUNTER};

struct kvm_break {
    uint8_t *host; /* NULL: free */
    uint16_t kept;
};

struct kvm_debug {
    pthread_mutex_t lock; /* order: innermost */
    pthread_cond_t changed;
    unsigned inside;              /* harts in KVM_RUN that take no step */
    const struct kvm_hart *alone; /* the one that takes a step, or NULL */
    struct kvm_break place[BREAKS_MAX];
};

int kvm_debug_enable(struct vm *vm)
{
    struct kvm_vm *kv = vm->engine_state;
    struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE};

    if (kv->debug)
        return 0;
    if (kvm_ioctl(kv->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG) <= 0)
        return -EOPNOTSUPP;
    for (unsigned i = 0; i < vm->nharts; i++)
        if (kvm_ioctl(kvm_hart_of(&vm->hart[i])->fd, KVM_SET_GUEST_DEBUG, &debug) < 0)
            return -errno;
    kv->debug = calloc(1, sizeof(*kv->debug));
    if (!kv->debug)
        return -ENOMEM;
    pthread_mutex_init(&kv->debug->lock, NULL);
    pthread_cond_init(&kv->debug->changed, NULL);
    return 0;
}

void kvm_debug_destroy(struct kvm_vm *kv)
{
    if (!kv->debug)
        return;
    pthread_cond_destroy(&kv->debug->changed);
    pthread_mutex_destroy(&kv->debug->lock);
    free(kv->debug);
    kv->debug = NULL;
}

/* --- code --- */

/* Two bytes of the guest's code, which its next fetch finds on every processor. */
static void code_write(uint8_t *host, uint16_t value)
{
    memcpy(host, &value, sizeof(value));
    __builtin___clear_cache((char *)host, (char *)host + sizeof(value));
}

static uint16_t code_read(const uint8_t *host)
{
    uint16_t value;

    memcpy(&value, host, sizeof(value));
    return value;
}

static struct kvm_break *break_find(struct kvm_debug *d, const uint8_t *host)
{
    for (unsigned i = 0; i < BREAKS_MAX; i++)
        if (d->place[i].host == host)
            return &d->place[i];
    return NULL;
}

int kvm_debug_break(struct vm *vm, gpa_t gpa, bool set)
{
    struct kvm_debug *d = ((struct kvm_vm *)vm->engine_state)->debug;
    uint8_t *host = gpa & 1 ? NULL : mem_ptr(&vm->mem, gpa, sizeof(uint16_t));
    struct kvm_break *b;
    int rc = 0;

    if (!host)
        return -EINVAL;
    pthread_mutex_lock(&d->lock);
    while (d->alone) /* it may have lifted this one */
        pthread_cond_wait(&d->changed, &d->lock);
    b = break_find(d, host);
    if (set && b) {
        rc = -EEXIST;
    } else if (set) {
        b = break_find(d, NULL);
        rc = b ? 0 : -ENOSPC;
        if (b) {
            *b = (struct kvm_break){.host = host, .kept = code_read(host)};
            code_write(host, EBREAK);
        }
    } else if (b) {
        code_write(host, b->kept);
        b->host = NULL;
    } else {
        rc = -ENOENT;
    }
    pthread_mutex_unlock(&d->lock);
    return rc;
}

void kvm_debug_step(struct hart *hart, bool on)
{
    kvm_hart_of(hart)->step = on;
}

/* Where code at va is, as a fetch in that privilege finds it; NULL: it would fault. */
static uint8_t *code_place(struct kvm_hart *k, uint64_t va, unsigned priv)
{
    struct rv_place place;

    kvm_walker_prepare(k);
    k->walker->priv = priv;
    if ((va & 1) || rv_translate(k->walker, va, 2, RV_FETCH, &place) != RV_NO_TRAP)
        return NULL;
    return place.host;
}

static unsigned priv_now(const struct kvm_hart *k)
{
    return kvm_reg(k, KVM_REG_MODE) == KVM_RISCV_MODE_U ? PRIV_U : PRIV_S;
}

/* --- who is in the guest --- */

static void guest_enter(struct kvm_debug *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->alone)
        pthread_cond_wait(&d->changed, &d->lock);
    d->inside++;
    pthread_mutex_unlock(&d->lock);
}

static void guest_leave(struct kvm_debug *d)
{
    pthread_mutex_lock(&d->lock);
    d->inside--;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/*
 * Nobody waits for a hart that waits here: it is in no KVM_RUN. A hart that has counted itself
 * as inside is kicked after that, so its KVM_RUN ends (kvm_run).
 */
static void alone_begin(struct kvm_hart *k)
{
    struct kvm_debug *d = k->vm->debug;
    struct vm *vm = k->hart->vm;

    pthread_mutex_lock(&d->lock);
    while (d->alone)
        pthread_cond_wait(&d->changed, &d->lock);
    d->alone = k;
    for (unsigned i = 0; d->inside > 0 && i < vm->nharts; i++)
        if (&vm->hart[i] != k->hart)
            vm->engine->kick(&vm->hart[i]);
    while (d->inside > 0)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

static void alone_end(struct kvm_hart *k)
{
    struct kvm_debug *d = k->vm->debug;

    pthread_mutex_lock(&d->lock);
    d->alone = NULL;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* --- a step --- */

static uint64_t reg_x(const struct kvm_hart *k, unsigned reg)
{
    return reg == 0 || reg == RV_REG_SINK ? 0 : kvm_reg(k, KVM_REG_X(reg));
}

static bool branch_taken(const struct kvm_hart *k, const struct rv_insn *insn)
{
    uint64_t a = reg_x(k, insn->rs1), b = reg_x(k, insn->rd);

    switch (insn->id) {
    case RV_INSN_beq: return a == b;
    case RV_INSN_bne: return a != b;
    case RV_INSN_blt: return (int64_t)a < (int64_t)b;
    case RV_INSN_bge: return (int64_t)a >= (int64_t)b;
    case RV_INSN_bltu: return a < b;
    default: return a >= b; /* bgeu */
    }
}

/*
 * Executes a jump, a branch, or a wait, which may end at once (privileged specification,
 * "Wait for Interrupt") and must, since others are needed to end it. False: it is none.
 */
static bool jump_execute(struct kvm_hart *k, uint64_t pc, const struct rv_insn *insn,
                         unsigned len)
{
    uint64_t next = pc + len, offset = (uint64_t)(int64_t)insn->imm;

    switch (insn->id) {
    case RV_INSN_jal: next = pc + offset; break;
    case RV_INSN_jalr: next = (reg_x(k, insn->rs1) + offset) & ~1ull; break;
    case RV_INSN_beq:
    case RV_INSN_bne:
    case RV_INSN_blt:
    case RV_INSN_bge:
    case RV_INSN_bltu:
    case RV_INSN_bgeu: next = branch_taken(k, insn) ? pc + offset : next; break;
    case RV_INSN_wfi:
        if (priv_now(k) != PRIV_S) /* traps */
            return false;
        break;
    default: return false;
    }
    if ((insn->id == RV_INSN_jal || insn->id == RV_INSN_jalr) && insn->rd != RV_REG_SINK)
        kvm_reg_set(k->fd, KVM_REG_X(insn->rd), pc + len);
    kvm_reg_set(k->fd, KVM_REG_PC, next);
    return true;
}

/* What a step has written, undone in reverse. */
struct plants {
    unsigned n;
    struct kvm_break plant[PLANTS_MAX];
};

static void plant_write(struct plants *p, uint8_t *host, uint16_t value)
{
    if (!host || p->n == PLANTS_MAX)
        return;
    p->plant[p->n++] = (struct kvm_break){.host = host, .kept = code_read(host)};
    code_write(host, value);
}

/* Plants an ebreak, but not on the instruction that is to be executed. */
static void plant_at(struct kvm_hart *k, struct plants *p, uint64_t va, unsigned priv,
                     const uint8_t *here)
{
    uint8_t *host = code_place(k, va, priv);

    if (host != here)
        plant_write(p, host, EBREAK);
}

static void step_plant(struct kvm_hart *k, struct plants *p, uint64_t pc, unsigned insn_id,
                       unsigned len)
{
    uint64_t stvec = kvm_reg(k, KVM_REG_CSR(stvec)), sstatus = kvm_reg(k, KVM_REG_CSR(sstatus));
    unsigned n = (stvec & 3) == STVEC_VECTOR ? sizeof(vectors) / sizeof(vectors[0]) : 1;
    const uint8_t *here = code_place(k, pc, priv_now(k));

    if (insn_id == RV_INSN_sret)
        plant_at(k, p, kvm_reg(k, KVM_REG_CSR(sepc)), sstatus & RV_SPP ? PRIV_S : PRIV_U, here);
    else
        plant_at(k, p, pc + len, priv_now(k), here);
    for (unsigned i = 0; i < n; i++)
        plant_at(k, p, (stvec & ~3ull) + 4 * vectors[i], PRIV_S, here);
}

static void step_clean(struct plants *p)
{
    while (p->n > 0) {
        struct kvm_break *b = &p->plant[--p->n];

        code_write(b->host, b->kept);
    }
}

/* The instruction at pc, as it is below a breakpoint, which is lifted. */
static uint32_t step_lift(struct kvm_hart *k, struct plants *p, uint64_t pc, uint32_t *raw)
{
    uint8_t *host = code_place(k, pc, priv_now(k));
    const struct kvm_break *b = host ? break_find(k->vm->debug, host) : NULL;

    if (b)
        plant_write(p, host, b->kept);
    return kvm_insn_fetch(k, pc, raw);
}

static bool is_ebreak(uint32_t word)
{
    return word == EBREAK_WORD;
}

/*
 * One instruction. An exit that is no ebreak of ours is the instruction's own, whose reply is
 * committed before the next one.
 */
static int step_run(struct kvm_hart *k)
{
    uint64_t pc = kvm_reg(k, KVM_REG_PC);
    struct plants plants = {0};
    uint32_t raw, word;
    int error = 0;

    k->stepped = false;
    alone_begin(k);
    word = step_lift(k, &plants, pc, &raw);
    unsigned len = rv_insn_length((uint16_t)raw);
    struct rv_insn insn = rv_decode(word);
    k->run->exit_reason = KVM_EXIT_INTR;
    if (word != 0 && is_ebreak(word)) {
        kvm_trap_inject(k, RV_BREAKPOINT, pc, pc); /* the guest's own, below ours or alone */
    } else if (!jump_execute(k, pc, &insn, len)) {
        step_plant(k, &plants, pc, insn.id, len);
        error = ioctl(k->fd, KVM_RUN, 0) < 0 ? errno : 0;
    }
    step_clean(&plants);
    alone_end(k);
    if (error == 0 && k->run->exit_reason == KVM_EXIT_DEBUG)
        k->run->exit_reason = KVM_EXIT_INTR; /* ours; kvm_debug_stepped tells */
    if (error != 0 && kvm_reg(k, KVM_REG_PC) == pc)
        return error;
    k->stepped = true;
    k->past_break = false;
    return error;
}

int kvm_debug_run(struct kvm_hart *k)
{
    struct kvm_debug *d = k->vm->debug;
    int error;

    kvm_finish(k); /* so that pc is that of the next instruction */
    if (atomic_load(&k->hart->requests))
        return EINTR; /* the kick may have come while kvm_finish had immediate_exit */
    if (k->past_break && kvm_reg(k, KVM_REG_PC) != k->break_pc)
        k->past_break = false;
    if (k->step || k->past_break)
        return step_run(k);
    guest_enter(d);
    error = ioctl(k->fd, KVM_RUN, 0) < 0 ? errno : 0;
    guest_leave(d);
    return error;
}

static enum gate debug_tell(struct kvm_hart *k)
{
    struct vm_exit exit = {.kind = EXIT_DEBUG};

    exit.debug.pc = kvm_reg(k, KVM_REG_PC);
    k->stepped = false;
    k->past_break = true;
    k->break_pc = exit.debug.pc;
    return vm_gate(k->hart, &exit);
}

static bool break_here(struct kvm_hart *k)
{
    struct kvm_debug *d = k->vm->debug;
    const uint8_t *host = code_place(k, kvm_reg(k, KVM_REG_PC), priv_now(k));
    bool here;

    pthread_mutex_lock(&d->lock);
    here = host && break_find(d, host);
    pthread_mutex_unlock(&d->lock);
    return here;
}

enum gate kvm_debug_stepped(struct kvm_hart *k, enum gate gate)
{
    if (!k->stepped || gate != GATE_CONTINUE)
        return gate;
    kvm_finish(k);
    k->stepped = false;
    if (!k->step && !break_here(k))
        return gate;
    return debug_tell(k);
}

/* An ebreak: ours, the guest's own, or one of ours that is gone already. */
enum gate kvm_debug_deliver(struct kvm_hart *k)
{
    uint64_t pc = kvm_reg(k, KVM_REG_PC);
    uint32_t raw;

    if (break_here(k))
        return debug_tell(k);
    if (is_ebreak(kvm_insn_fetch(k, pc, &raw)))
        kvm_trap_inject(k, RV_BREAKPOINT, pc, pc);
    return GATE_CONTINUE;
}
