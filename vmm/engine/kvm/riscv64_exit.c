/* riscv64_exit.c: exits of a riscv64 vCPU to the gate, and the gate's replies to the vCPU. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/riscv64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest/abi/sbi.h"
#include "vmm/phases.h"

/* Major opcodes (unprivileged specification, "RV32/64G Instruction Set Listings"). */
#define OPCODE(word)  ((word)&0x7fu)
#define OPCODE_LOAD   0x03u
#define OPCODE_FLOAD  0x07u
#define OPCODE_STORE  0x23u
#define OPCODE_FSTORE 0x27u
#define OPCODE_AMO    0x2fu
/* Loads: funct3 0 to 2 are lb, lh, lw, whose results are sign-extended. */
#define FUNCT3(word) ((word) >> 12 & 7u)

#define INSN_ECALL 0x00000073u

#define REG_A0 10
#define REG_A1 11
#define REG_A6 16
#define REG_A7 17

/*
 * Linux logs three lines for each KVM_RUN that fails so, unlimited: a guest may look for the
 * end of memory, but not fill the host's log.
 */
#define WILD_FETCHES_MAX 32

/* --- pending work of the kernel --- */

void kvm_finish(struct kvm_hart *k)
{
    if (k->pending == PENDING_NONE)
        return;
    k->pending = PENDING_NONE;
    kvm_run_nothing(k->fd, k->run);
}

void kvm_undo(struct kvm_hart *k)
{
    uint64_t x[32];

    if (k->pending == PENDING_NONE)
        return;
    if (k->pending == PENDING_MMIO)
        memset(k->run->mmio.data, 0, sizeof(k->run->mmio.data)); /* see mmio_load */
    for (unsigned i = 0; i < 32; i++)
        x[i] = kvm_reg(k, KVM_REG_X(i));
    kvm_finish(k);
    for (unsigned i = 0; i < 32; i++)
        kvm_reg_set(k->fd, KVM_REG_X(i), x[i]);
}

/* --- the instruction that exited --- */

/* One byte-pair of code, as a fetch at the current privilege would find it. */
static bool halfword_fetch(struct kvm_hart *k, uint64_t va, uint16_t *half)
{
    struct rv_place place;

    if (rv_translate(k->walker, va, 2, RV_FETCH, &place) != RV_NO_TRAP || !place.host)
        return false;
    memcpy(half, place.host, sizeof(*half));
    return true;
}

void kvm_walker_prepare(struct kvm_hart *k)
{
    k->walker->satp = kvm_reg(k, KVM_REG_CSR(satp));
    k->walker->mstatus = kvm_reg(k, KVM_REG_CSR(sstatus));
    k->walker->priv = kvm_reg(k, KVM_REG_MODE) == KVM_RISCV_MODE_S ? PRIV_S : PRIV_U;
}

uint32_t kvm_insn_fetch(struct kvm_hart *k, uint64_t pc, uint32_t *raw)
{
    uint16_t half[2] = {0, 0};

    kvm_walker_prepare(k);
    *raw = 0;
    if ((pc & 1) || !halfword_fetch(k, pc, &half[0]))
        return 0;
    *raw = half[0];
    if (rv_insn_length(half[0]) == 2)
        return rv_expand(half[0]);
    if (!halfword_fetch(k, pc + 2, &half[1]))
        return 0;
    *raw |= (uint32_t)half[1] << 16;
    return *raw;
}

/* The address that a load, store or atomic accesses; *cause is that of its access fault. */
static bool insn_address(const struct kvm_hart *k, uint32_t word, uint64_t *va, uint64_t *cause)
{
    struct rv_insn insn = rv_decode(word);
    uint64_t base = insn.rs1 ? kvm_reg(k, KVM_REG_X(insn.rs1)) : 0;

    *cause = OPCODE(word) == OPCODE_LOAD || OPCODE(word) == OPCODE_FLOAD ||
                     insn.id == RV_INSN_lr_w || insn.id == RV_INSN_lr_d
                 ? RV_LOAD_ACCESS
                 : RV_STORE_ACCESS;
    switch (OPCODE(word)) {
    case OPCODE_AMO: *va = base; return true;
    case OPCODE_LOAD:
    case OPCODE_FLOAD:
    case OPCODE_STORE:
    case OPCODE_FSTORE: *va = base + (uint64_t)(int64_t)insn.imm; return true;
    default: return false;
    }
}

/* --- exceptions --- */

void kvm_trap_inject(struct kvm_hart *k, uint64_t cause, uint64_t tval, uint64_t pc)
{
    uint64_t sstatus = kvm_reg(k, KVM_REG_CSR(sstatus));
    bool user = kvm_reg(k, KVM_REG_MODE) == KVM_RISCV_MODE_U;

    sstatus = (sstatus & ~(RV_SPP | RV_SPIE | RV_SIE)) | (user ? 0 : RV_SPP) |
              (sstatus & RV_SIE ? RV_SPIE : 0);
    kvm_reg_set(k->fd, KVM_REG_CSR(sepc), pc);
    kvm_reg_set(k->fd, KVM_REG_CSR(scause), cause);
    kvm_reg_set(k->fd, KVM_REG_CSR(stval), tval);
    kvm_reg_set(k->fd, KVM_REG_CSR(sstatus), sstatus);
    kvm_reg_set(k->fd, KVM_REG_MODE, KVM_RISCV_MODE_S);
    kvm_reg_set(k->fd, KVM_REG_PC, kvm_reg(k, KVM_REG_CSR(stvec)) & ~3ull);
}

/* Could the guest fetch its trap handler? */
static bool handler_there(struct kvm_hart *k)
{
    uint16_t unused;

    kvm_walker_prepare(k);
    k->walker->priv = PRIV_S;
    return halfword_fetch(k, kvm_reg(k, KVM_REG_CSR(stvec)) & ~3ull, &unused);
}

static enum gate fault_deliver(struct kvm_hart *k, uint64_t pc, uint64_t cause, uint64_t tval,
                               uint32_t insn, const char *why)
{
    struct vm_exit exit = {.kind = EXIT_FAULT};

    exit.fault.pc = pc;
    exit.fault.cause = cause;
    exit.fault.tval = tval;
    exit.fault.insn = insn;
    exit.fault.why = why;
    return vm_gate(k->hart, &exit);
}

/* The host's fault, not the guest's: where it was, and what the host says. */
static enum gate host_failure_deliver(struct kvm_hart *k, int error)
{
    struct vm_exit exit = {.kind = EXIT_FAULT};
    char why[96];
    uint32_t raw;

    exit.fault.pc = kvm_reg(k, KVM_REG_PC);
    kvm_insn_fetch(k, exit.fault.pc, &raw);
    snprintf(why, sizeof(why), "%s, instruction 0x%x", strerror(error), raw);
    exit.fault.what = "KVM_RUN failed";
    exit.fault.why = why;
    return vm_gate(k->hart, &exit);
}

/*
 * KVM_RUN failed on what the guest did (EIO, EOPNOTSUPP, EFAULT), and says no more. A fetch
 * from where no memory is becomes the exception that it is on every machine, unless its handler
 * is not there either: then each would lead to the next for ever, and the first one, in scause,
 * is what the user wants to know.
 */
static enum gate failure_deliver(struct kvm_hart *k, int error)
{
    uint64_t pc = kvm_reg(k, KVM_REG_PC);
    uint64_t cause = RV_FETCH_ACCESS, tval = pc;
    uint32_t raw, word = kvm_insn_fetch(k, pc, &raw);

    if (word != 0 && insn_address(k, word, &tval, &cause))
        return fault_deliver(k, pc, cause, tval, raw,
                             "KVM cannot carry out this access to a device or to nothing");
    if (word != 0)
        return fault_deliver(k, pc, RV_ILLEGAL, raw, raw,
                             error == EOPNOTSUPP ? "KVM does not support this instruction here"
                                                 : "KVM cannot carry out this instruction");
    if (k->wild_fetches == WILD_FETCHES_MAX)
        return fault_deliver(k, pc, cause, tval, 0, "too many jumps to where no memory is");
    if (handler_there(k)) {
        k->wild_fetches++;
        kvm_trap_inject(k, cause, tval, pc);
        return GATE_CONTINUE;
    }
    if (pc == (kvm_reg(k, KVM_REG_CSR(stvec)) & ~3ull) && kvm_reg(k, KVM_REG_CSR(sepc)) != pc)
        return fault_deliver(k, kvm_reg(k, KVM_REG_CSR(sepc)), kvm_reg(k, KVM_REG_CSR(scause)),
                             kvm_reg(k, KVM_REG_CSR(stval)), 0,
                             "its trap handler (stvec) is not in memory");
    return fault_deliver(k, pc, cause, tval, 0, "its trap handler (stvec) is not in memory");
}

/* --- calls --- */

static void call_commit(struct kvm_hart *k, const struct call *c)
{
    uint64_t pc;

    if (k->pending == PENDING_NONE)
        return; /* the handler replaced the state, which undid the call first */
    switch (c->disp) {
    case CALL_RET2:
        k->run->riscv_sbi.ret[0] = (unsigned long)c->error;
        k->run->riscv_sbi.ret[1] = c->value;
        break;
    case CALL_RET1:
        k->run->riscv_sbi.ret[0] = (unsigned long)c->error;
        k->run->riscv_sbi.ret[1] = k->run->riscv_sbi.args[1];
        break;
    case CALL_TRAP:
        kvm_undo(k);
        pc = kvm_reg(k, KVM_REG_PC);
        kvm_trap_inject(k, c->value, (uint64_t)c->error, pc);
        break;
    default: kvm_undo(k); break; /* parked, replaced, stopped: nothing has happened */
    }
}

static enum gate call_deliver(struct kvm_hart *k)
{
    struct vm_exit exit = {.kind = EXIT_CALL};
    enum gate gate;

    exit.call.ext = k->run->riscv_sbi.extension_id;
    exit.call.fn = k->run->riscv_sbi.function_id;
    for (unsigned i = 0; i < CALL_ARGS; i++)
        exit.call.arg[i] = k->run->riscv_sbi.args[i];
    k->pending = PENDING_CALL;
    phase_gate(k->hart, &exit);
    gate = vm_gate(k->hart, &exit);
    call_commit(k, &exit.call);
    return gate;
}

/*
 * The kernel has carried out SRST, every vCPU is stopped, and it says so. The module that
 * answers SRST gives the stop its meaning. It refuses reserved values, which the kernel does
 * not look at: with one hart the call can still return that error.
 */
static enum gate system_event_deliver(struct kvm_hart *k)
{
    struct vm_exit exit = {.kind = EXIT_CALL, .call.ext = SBI_EXT_SRST};
    struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
    uint64_t pc = kvm_reg(k, KVM_REG_PC);
    enum gate gate;

    exit.call.fn = kvm_reg(k, KVM_REG_X(REG_A6));
    for (unsigned i = 0; i < CALL_ARGS; i++)
        exit.call.arg[i] = kvm_reg(k, KVM_REG_X(REG_A0 + i));
    gate = vm_gate(k->hart, &exit);
    if (exit.call.disp != CALL_RET2)
        return gate;
    if (k->hart->vm->nharts > 1 || kvm_ioctl(k->fd, KVM_SET_MP_STATE, &runnable) < 0)
        return fault_deliver(k, pc, RV_ECALL_S, 0, 0,
                             "KVM stopped the harts for an SRST call with reserved values");
    kvm_reg_set(k->fd, KVM_REG_X(REG_A0), (uint64_t)exit.call.error);
    kvm_reg_set(k->fd, KVM_REG_X(REG_A1), exit.call.value);
    kvm_reg_set(k->fd, KVM_REG_PC, pc + 4);
    return gate;
}

/* --- MMIO --- */

/*
 * Gives a load its data. Linux 6.12 (arch/riscv/kvm/vcpu_insn.c) does two things wrong: it
 * zero-extends what lb, lh and lw read, so a value with its sign bit set is extended here; and
 * a load into x0 leaves its value where later stores of x0 to a device find it, so that one
 * gets 0. Both change nothing on kernels that do it right. Zero, the most usual value, needs
 * neither.
 */
static void mmio_load(struct kvm_hart *k, uint64_t data, unsigned size)
{
    uint32_t raw, word = data ? kvm_insn_fetch(k, kvm_reg(k, KVM_REG_PC), &raw) : 0;
    bool integer = OPCODE(word) == OPCODE_LOAD;
    unsigned rd = word >> 7 & 31, shift = 64 - 8 * size;

    if (integer && rd == 0)
        data = 0;
    memcpy(k->run->mmio.data, &data, size);
    if (!integer || FUNCT3(word) > 2 || !(data >> (8 * size - 1) & 1))
        return;
    kvm_finish(k);
    kvm_reg_set(k->fd, KVM_REG_X(rd), (uint64_t)((int64_t)(data << shift) >> shift));
}

/* Nobody answers there: an access fault, as on a machine's empty bus. */
static void mmio_fault(struct kvm_hart *k, gpa_t gpa, bool write)
{
    uint64_t pc = kvm_reg(k, KVM_REG_PC);
    uint64_t va = gpa, cause;
    uint32_t raw, word = kvm_insn_fetch(k, pc, &raw);

    if (word != 0)
        insn_address(k, word, &va, &cause);
    kvm_undo(k);
    kvm_trap_inject(k, write ? RV_STORE_ACCESS : RV_LOAD_ACCESS, va, pc);
}

static enum gate mmio_deliver(struct kvm_hart *k)
{
    struct kvm_run *run = k->run;
    struct vm_exit exit;
    enum gate gate;

    k->pending = PENDING_MMIO;
    gate = kvm_mmio_gate(k->hart, run, &exit);
    if (k->pending == PENDING_NONE)
        return gate;
    if (exit.mmio.failed)
        mmio_fault(k, exit.mmio.gpa, exit.mmio.write);
    else if (!exit.mmio.write)
        mmio_load(k, exit.mmio.data, exit.mmio.size);
    return gate;
}

/* --- signals --- */

/*
 * Where the host has Sstc, Linux (6.12 and later, arch/riscv/kvm/vcpu_timer.c) keeps vstimecmp
 * as the exit found it. What set_timer of SBI TIME then wrote is lost when the thread leaves
 * the CPU before the guest goes on, and the older time stands again. Of losses that a signal
 * brings we see the place, though not the time that was asked for: there the timer fires at
 * once, since an interrupt that is early is looked at and set again, and one that never comes
 * is waited for.
 */
static void timer_mend(struct kvm_hart *k)
{
    uint64_t pc;
    uint32_t raw;

    if (kvm_reg(k, KVM_REG_X(REG_A7)) != SBI_EXT_TIME ||
        kvm_reg(k, KVM_REG_X(REG_A6)) != SBI_TIME_SET_TIMER ||
        kvm_reg(k, KVM_REG_X(REG_A0)) != SBI_SUCCESS ||
        kvm_reg(k, KVM_REG_MODE) != KVM_RISCV_MODE_S)
        return;
    pc = kvm_reg(k, KVM_REG_PC);
    if (kvm_insn_fetch(k, pc - 4, &raw) == INSN_ECALL)
        kvm_timer_write(k, kvm_time_read(k));
}

enum gate kvm_exit_deliver(struct kvm_hart *k, int error)
{
    struct vm_exit exit = {.kind = EXIT_INTR};

    if (error == EINTR || error == EAGAIN) {
        timer_mend(k);
        return vm_gate(k->hart, &exit);
    }
    if (error == EIO || error == EOPNOTSUPP || error == EFAULT)
        return failure_deliver(k, error);
    if (error != 0)
        return host_failure_deliver(k, error);
    switch (k->run->exit_reason) {
    case KVM_EXIT_RISCV_SBI: return call_deliver(k);
    case KVM_EXIT_MMIO: return mmio_deliver(k);
    case KVM_EXIT_SYSTEM_EVENT: return system_event_deliver(k);
    case KVM_EXIT_DEBUG: return kvm_debug_deliver(k);
    case KVM_EXIT_INTR: return vm_gate(k->hart, &exit);
    default: return failure_deliver(k, EIO);
    }
}
