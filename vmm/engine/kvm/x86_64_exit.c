/* x86_64_exit.c: exits of an x86-64 vCPU to the gate, and the gate's replies to the vCPU. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/x86_64.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "guest/abi/sbi.h"
#include "guest/abi/tg.h"
#include "guest/abi/x86.h"
#include "vmm/phases.h"

#define RESET_RIP 0xfff0u /* where a processor begins */

/* --- pending work of the kernel --- */

bool kvm_finish(struct kvm_hart *k)
{
    if (k->pending == PENDING_NONE && !k->run->kvm_dirty_regs)
        return false;
    k->pending = PENDING_NONE;
    return kvm_run_nothing(k->fd, k->run);
}

/*
 * An instruction may need several exits, such as one that moves from one device to another; the
 * kernel gives up between two steps of a repeated one after 1024 of them at most (Linux,
 * arch/x86/kvm/emulate.c, x86_emulate_insn), so this ends.
 */
void kvm_settle(struct kvm_hart *k)
{
    while (kvm_finish(k))
        kvm_exit_deliver(k, 0);
}

/*
 * Where an OUT is that has exited. A processor's own exit leaves rip on it, and the kernel
 * moves rip when it comes back; one that the kernel has emulated has moved rip already (Linux,
 * arch/x86/kvm/x86.c, kvm_fast_pio_out and emulator_pio_out). So that is done now, and tells.
 */
static uint64_t out_locate(struct kvm_hart *k)
{
    uint64_t at = kvm_regs(k)->rip;
    uint8_t code[2];

    if (k->pending != PENDING_OUT)
        return k->last_rip;
    kvm_finish(k);
    if (kvm_regs(k)->rip == at)
        /* Two bytes long when the port is part of it: e6 and e7. */
        at -= kvm_code_read(k, at - 2, code, 2) == 2 && (code[0] & 0xfe) == 0xe6 &&
                      code[1] == k->run->io.port
                  ? 2
                  : 1;
    if (k->run->io.size == 2 && kvm_code_read(k, at - 1, code, 1) == 1 && code[0] == 0x66)
        at--; /* the prefix that makes it one of two bytes */
    k->last_rip = at;
    return at;
}

/*
 * A load and an IN are still to be finished, and rip is on them; a store's rip is behind it,
 * since the kernel has emulated it.
 */
uint64_t kvm_pc(struct hart *hart)
{
    struct kvm_hart *k = kvm_hart_of(hart);

    return out_locate(k);
}

/* --- faults --- */

/* The bytes at the pc, and some before it, which are those of a store that is done. */
static void code_take(struct kvm_hart *k, struct vm_exit *exit)
{
    unsigned before = EXIT_CODE_MAX / 2;

    if (exit->fault.pc < before ||
        kvm_code_read(k, exit->fault.pc - before, exit->fault.code, before) < before)
        before = 0;
    exit->fault.code_pc = (uint8_t)before;
    exit->fault.ncode =
        (uint8_t)(before + kvm_code_read(k, exit->fault.pc, exit->fault.code + before,
                                         EXIT_CODE_MAX - before));
}

/* The guest cannot go on: reported with pc, code and registers. */
static enum gate fault_deliver(struct kvm_hart *k, const char *what, uint64_t address,
                               const char *why)
{
    struct vm_exit exit = {.kind = EXIT_FAULT};

    exit.fault.pc = kvm_regs(k)->rip;
    exit.fault.tval = address;
    exit.fault.what = what;
    exit.fault.why = why;
    code_take(k, &exit);
    return vm_gate(k->hart, &exit);
}

/*
 * AMD's processors leave the state after a triple fault undefined, and KVM puts the hart into
 * that of a reset (Linux, arch/x86/kvm/svm/svm.c, shutdown_interception): then all that is
 * known is where the hart last left the guest.
 */
static enum gate shutdown_deliver(struct kvm_hart *k)
{
    struct vm_exit exit = {.kind = EXIT_FAULT};
    char what[96];

    if (kvm_regs(k)->rip != RESET_RIP)
        return fault_deliver(k, "triple fault", 0, NULL);
    exit.fault.pc = RESET_RIP;
    exit.fault.what = what;
    if (k->last_rip != 0)
        snprintf(what, sizeof(what),
                 "triple fault, registers lost; the exit before it was at 0x%" PRIx64,
                 k->last_rip);
    else
        snprintf(what, sizeof(what),
                 "triple fault, registers lost; there was no exit before it");
    return vm_gate(k->hart, &exit);
}

static enum gate internal_deliver(struct kvm_hart *k)
{
    const struct kvm_run *run = k->run;
    uint64_t pc = kvm_regs(k)->rip;
    uint8_t code;
    char what[96];

    if (kvm_code_read(k, pc, &code, 1) == 0)
        return fault_deliver(k, "a jump to where no memory is", pc, NULL);
    if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
        return fault_deliver(k, "an instruction that KVM cannot emulate", pc, NULL);
    snprintf(what, sizeof(what), "KVM cannot go on (internal error %u)",
             run->internal.suberror);
    return fault_deliver(k, what, 0, NULL);
}

static enum gate entry_deliver(struct kvm_hart *k)
{
    char what[96];

    snprintf(what, sizeof(what),
             "the processor does not take the guest's state (reason 0x%llx)",
             (unsigned long long)k->run->fail_entry.hardware_entry_failure_reason);
    return fault_deliver(k, what, 0, NULL);
}

/* --- calls --- */

static HOT_WAY void call_commit(struct kvm_hart *k, const struct call *c)
{
    struct kvm_regs *regs = kvm_regs(k);

    if (__builtin_expect(c->disp <= CALL_RET1, 1)) {
        regs->rax = (uint64_t)c->error;
        if (c->disp == CALL_RET2)
            regs->rdx = c->value;
    } else if (c->disp == CALL_TRAP) { /* RISC-V's exceptions have no meaning here */
        regs->rax = (uint64_t)(int64_t)SBI_ERR_FAILED;
        regs->rdx = 0;
    } else if (c->disp == CALL_PARK || c->disp == CALL_STOPPED) {
        regs->rip = out_locate(k); /* nothing has happened: again from the OUT on */
    } else {
        return;
    }
    k->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
}

static enum personality personality_of(uint64_t ext)
{
    return ext >= TG_EXT_FIRST && ext <= TG_EXT_LAST ? CALL_TG : CALL_SBI;
}

static __attribute__((noinline)) void call_remember(struct kvm_hart *k, struct kvm_call *known,
                                                    uint64_t ext, uint64_t fn)
{
    known->ext = ext;
    known->fn = fn;
    known->plain = call_fast(k->hart->vm, personality_of(ext), ext, fn, &known->way);
}

/* A plain call, by its handler. What the gate does for others is done here (call_fast). */
static inline enum gate call_direct(struct hart *hart, const struct kvm_call *known,
                                    struct vm_exit *exit)
{
    struct call *c = &exit->call;

    c->personality = personality_of(c->ext);
    c->buf = NULL;
    c->buf_len = 0;
    c->error = 0;
    c->value = 0;
    phase_mark(hart, MARK_HANDLER);
    c->disp = known->way.handler(known->way.self, hart, c);
    phase_mark(hart, MARK_DONE);
    if (__builtin_expect(c->disp == CALL_PASS, 0)) /* it had no effect */
        return vm_gate(hart, exit);
    hart->exits[EXIT_CALL]++;
    if (c->error != 0)
        call_error_check(hart, known->way.desc, c);
    return __builtin_expect(c->disp <= CALL_RET1, 1) ? GATE_CONTINUE : call_settle(hart, c);
}

/*
 * The doorbell (guest/abi/x86.h). What was written is eax: the kernel's copy of it lies in a
 * page of its own, which would have to be looked up each time. Nothing is filled in that the
 * gate fills in by itself.
 */
static HOT_WAY enum gate call_deliver(struct kvm_hart *k)
{
    const struct kvm_regs *regs = kvm_regs(k);
    struct hart *hart = k->hart;
    uint64_t ext = (uint32_t)regs->rax, fn = regs->r11;
    struct kvm_call *known = &k->call[(ext ^ fn) % KVM_CALLS];
    struct vm_exit exit;
    enum gate gate;

    exit.kind = EXIT_CALL;
    exit.call.ext = ext;
    exit.call.fn = fn;
    exit.call.arg[0] = regs->rdi;
    exit.call.arg[1] = regs->rsi;
    exit.call.arg[2] = regs->rcx;
    exit.call.arg[3] = regs->r8;
    exit.call.arg[4] = regs->r9;
    exit.call.arg[5] = regs->r10;
    phase_gate(hart, &exit);
    if (__builtin_expect(known->ext != ext || known->fn != fn ||
                             known->way.epoch != atomic_load_explicit(&hart->vm->call_epoch,
                                                                      memory_order_acquire),
                         0))
        call_remember(k, known, ext, fn);
    gate = known->plain ? call_direct(hart, known, &exit) : vm_gate(hart, &exit);
    call_commit(k, &exit.call);
    return gate;
}

/* --- ports --- */

/* Where nobody is, a PC's bus reads as ones, and swallows what is written. */
static enum gate port_deliver(struct kvm_hart *k, uint8_t *data)
{
    const struct kvm_run *run = k->run;
    struct vm_exit exit = {.kind = EXIT_PIO};
    enum gate gate;

    exit.mmio.gpa = BUS_PORT(run->io.port);
    exit.mmio.size = run->io.size;
    exit.mmio.write = run->io.direction == KVM_EXIT_IO_OUT;
    if (exit.mmio.write)
        memcpy(&exit.mmio.data, data, exit.mmio.size);
    phase_gate(k->hart, &exit);
    gate = vm_gate(k->hart, &exit);
    if (exit.mmio.failed)
        exit.mmio.data = UINT64_MAX;
    if (!exit.mmio.write)
        memcpy(data, &exit.mmio.data, exit.mmio.size);
    return gate;
}

/* Behind the test for a call: a write that would be one if it had the right size and place. */
static bool call_malformed(const struct kvm_run *run)
{
    return run->io.port + run->io.size > TG_X86_PORT_CALL &&
           run->io.port < TG_X86_PORT_CALL + 4;
}

/*
 * A PC would swallow it, and a guest that waits for the answer would take the arguments for it.
 * Nothing has happened: the guest is where it would make the write again.
 */
static enum gate call_fault(struct kvm_hart *k)
{
    char what[96];

    snprintf(what, sizeof(what),
             "a call is an out of 4 bytes to port 0x%x, not of %u to port 0x%x",
             TG_X86_PORT_CALL, k->run->io.size, k->run->io.port);
    kvm_regs(k)->rip = out_locate(k);
    k->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    return fault_deliver(k, what, k->run->io.port, NULL);
}

static HOT_WAY enum gate io_deliver(struct kvm_hart *k)
{
    const struct kvm_run *run = k->run;
    uint8_t *data = (uint8_t *)k->run + run->io.data_offset;
    bool out = run->io.direction == KVM_EXIT_IO_OUT;
    enum gate gate = GATE_CONTINUE;

    k->pending = out ? PENDING_OUT : PENDING_IN;
    if (out && run->io.port == TG_X86_PORT_CALL && run->io.size == 4 && run->io.count == 1)
        return call_deliver(k);
    if (out && call_malformed(run))
        return call_fault(k);
    /* The string instructions have several at once; the machine may end at any of them. */
    for (uint32_t i = 0; i < run->io.count && gate == GATE_CONTINUE; i++)
        gate = port_deliver(k, data + (size_t)i * run->io.size);
    return gate;
}

/* --- MMIO --- */

/*
 * x86 has no exception for an address where nobody is. A guest that goes on with invented data
 * goes wrong later and elsewhere, so it ends here.
 */
static enum gate mmio_fault(struct kvm_hart *k, const struct vm_exit *exit)
{
    char what[96];

    snprintf(what, sizeof(what), "no device takes a %s of %u bytes at 0x%" PRIx64,
             exit->mmio.write ? "store" : "load", exit->mmio.size, exit->mmio.gpa);
    return fault_deliver(k, what, exit->mmio.gpa,
                         exit->mmio.write ? "the pc is behind the store" : NULL);
}

static enum gate mmio_deliver(struct kvm_hart *k)
{
    struct kvm_run *run = k->run;
    struct vm_exit exit;
    enum gate gate;

    k->pending = PENDING_MMIO;
    gate = kvm_mmio_gate(k->hart, run, &exit);
    if (exit.mmio.failed)
        return mmio_fault(k, &exit);
    if (!exit.mmio.write)
        memcpy(run->mmio.data, &exit.mmio.data, exit.mmio.size);
    return gate;
}

/* --- all of them --- */

/* Not the guest's doing: the engine has failed. */
static enum gate failure_deliver(struct kvm_hart *k, const char *what, unsigned number)
{
    vm_stop(k->hart->vm, CAUSE_ENGINE, STATUS_INTERNAL, k->hart, "engine kvm: %s (%u)", what,
            number);
    return GATE_LEAVE;
}

HOT_WAY enum gate kvm_exit_deliver(struct kvm_hart *k, int error)
{
    struct vm_exit exit = {.kind = EXIT_INTR};

    if (error == EINTR || error == EAGAIN)
        return vm_gate(k->hart, &exit);
    if (error != 0)
        return failure_deliver(k, strerror(error), (unsigned)error);
    switch (k->run->exit_reason) {
    case KVM_EXIT_IO: k->last_rip = kvm_regs(k)->rip; return io_deliver(k);
    case KVM_EXIT_MMIO: k->last_rip = kvm_regs(k)->rip; return mmio_deliver(k);
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN: return vm_gate(k->hart, &exit);
    case KVM_EXIT_SHUTDOWN: return shutdown_deliver(k);
    case KVM_EXIT_INTERNAL_ERROR: return internal_deliver(k);
    case KVM_EXIT_FAIL_ENTRY: return entry_deliver(k);
    default: return failure_deliver(k, "an exit that it does not know", k->run->exit_reason);
    }
}
