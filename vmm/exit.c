/* exit.c: the one switch that every crossing out of the guest passes. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/exit.h"

#include <stdio.h>
#include "guest/abi/tg.h"
#include "vmm/observe.h"
#include "vmm/vm.h"

const char *exit_kind_name(enum exit_kind kind)
{
    static const char *const names[EXIT_KINDS] = {
        [EXIT_CALL] = "call",   [EXIT_MMIO] = "mmio",   [EXIT_WFI] = "wfi",
        [EXIT_STOP] = "stop",   [EXIT_FAULT] = "fault", [EXIT_BUDGET] = "budget",
        [EXIT_DEBUG] = "debug", [EXIT_INTR] = "intr",   [EXIT_PIO] = "pio",
    };

    return kind < EXIT_KINDS ? names[kind] : "unknown";
}

/* Names of exceptions, for the line that tells of a fault (privileged specification, mcause).
 */
const char *exit_cause_name(uint64_t cause)
{
    static const char *const names[] = {
        "instruction address misaligned",
        "instruction access fault",
        "illegal instruction",
        "breakpoint",
        "load address misaligned",
        "load access fault",
        "store address misaligned",
        "store access fault",
        "environment call from U-mode",
        "environment call from S-mode",
        "reserved",
        "environment call from M-mode",
        "instruction page fault",
        "load page fault",
        "reserved",
        "store page fault",
    };

    return cause < sizeof(names) / sizeof(names[0]) ? names[cause] : "exception";
}

/* The one call with a meaning in the core: the guest ends itself. */
static HOT_WAY bool exit_call(struct hart *hart, struct call *c)
{
    struct vm *vm = hart->vm;
    bool last;

    if (c->personality == CALL_TG && c->ext == TG_EXT_EXIT && c->fn == TG_EXIT_STOP) {
        vm_stop(vm, CAUSE_EXIT, (int)(c->arg[0] & 0xff), hart, NULL);
    } else if (c->personality == CALL_PROGRAM &&
               (c->fn == TG_PROGRAM_EXIT || c->fn == TG_PROGRAM_EXIT_GROUP)) {
        last = atomic_fetch_sub(&vm->harts_live, 1) == 1;
        if (last || c->fn == TG_PROGRAM_EXIT_GROUP)
            vm_stop(vm, CAUSE_EXIT, (int)(c->arg[0] & 0xff), hart, NULL);
        else
            hart_stop_self(hart);
    } else {
        return false;
    }
    c->disp = CALL_STOPPED;
    return true;
}

HOT_WAY void call_make(struct hart *hart, struct call *call)
{
    if (!exit_call(hart, call))
        call_dispatch(hart, call);
}

HOT_WAY void vm_call(struct hart *hart, struct call *call)
{
    if (vm_observed(hart->vm))
        observe_call(hart, call);
    else
        call_make(hart, call);
}

HOT_WAY enum gate call_settle(struct hart *hart, struct call *c)
{
    switch (c->disp) {
    case CALL_PARK:
        if (!hart->idle) /* one that waits has given its turn away already */
            hart->yield = YIELD_PARK;
        return GATE_PARK;
    case CALL_REPLACED:
    case CALL_STOPPED: return GATE_LEAVE;
    case CALL_PASS:
        vm_stop(hart->vm, CAUSE_INVALID_ECALL, STATUS_INVALID_ECALL, hart,
                "nobody answers call %llu", (unsigned long long)c->fn);
        c->disp = CALL_STOPPED;
        return GATE_LEAVE;
    /* A hart that waits in its turn (deterministic runs) leaves with the reply committed. */
    default: return hart->idle ? GATE_LEAVE : GATE_CONTINUE;
    }
}

static HOT_WAY enum gate gate_call(struct hart *hart, struct call *c)
{
    if (hart->vm->config->start == START_PROGRAM) {
        c->personality = CALL_PROGRAM;
        c->fn = c->ext; /* programs put their number in a7 */
        c->ext = 0;
    } else {
        c->personality = c->ext >= TG_EXT_FIRST && c->ext <= TG_EXT_LAST ? CALL_TG : CALL_SBI;
    }
    vm_call(hart, c);
    return call_settle(hart, c);
}

/* The code around the pc, as Linux shows it: the byte at the pc in angle brackets. */
static void code_text(const struct vm_exit *exit, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < exit->fault.ncode && len < size; i++)
        len += (size_t)snprintf(text + len, size - len,
                                i == exit->fault.code_pc ? "%s<%02x>" : "%s%02x",
                                i == 0 ? ", code " : " ", exit->fault.code[i]);
}

/* One whose cause is told in words. */
static enum gate gate_fault_told(struct hart *hart, const struct vm_exit *exit)
{
    char code[8 + 5 * EXIT_CODE_MAX];

    code_text(exit, code, sizeof(code));
    vm_stop_at(hart->vm, CAUSE_FAULT, STATUS_GUEST_FAULT, hart, exit->fault.pc, "%s%s%s%s",
               exit->fault.what, code, exit->fault.why ? ": " : "",
               exit->fault.why ? exit->fault.why : "");
    return GATE_LEAVE;
}

static enum gate gate_fault(struct hart *hart, const struct vm_exit *exit)
{
    char insn[32] = "";

    if (exit->fault.what)
        return gate_fault_told(hart, exit);
    if (exit->fault.insn != 0)
        snprintf(insn, sizeof(insn), ", instruction 0x%x", exit->fault.insn);
    vm_stop_at(hart->vm, CAUSE_FAULT, STATUS_GUEST_FAULT, hart, exit->fault.pc,
               "%s, address 0x%llx%s: %s", exit_cause_name(exit->fault.cause),
               (unsigned long long)exit->fault.tval, insn, exit->fault.why);
    return GATE_LEAVE;
}

HOT_WAY enum gate exit_take(struct hart *hart, struct vm_exit *exit)
{
    struct vm *vm = hart->vm;

    switch (exit->kind) {
    case EXIT_CALL: return gate_call(hart, &exit->call);
    case EXIT_MMIO:
    case EXIT_PIO:
        exit->mmio.failed = bus_access(vm, hart, exit->mmio.gpa, exit->mmio.size,
                                       exit->mmio.write, &exit->mmio.data) != 0;
        break;
    case EXIT_WFI: hart_wait(hart, HART_STARTED); break;
    case EXIT_FAULT: return gate_fault(hart, exit);
    case EXIT_BUDGET:
        if (!vm->det)
            vm_stop(vm, CAUSE_BUDGET, STATUS_BUDGET, hart, "the step budget is spent");
        return GATE_LEAVE;
    case EXIT_STOP: return GATE_LEAVE;
    case EXIT_DEBUG:
        if (vm->debug)
            vm->debug(vm->debug_arg, hart, exit->debug.pc);
        break;
    default: break; /* EXIT_INTR: the hart's loop looks at requests */
    }
    return vm->stopping || hart->idle ? GATE_LEAVE : GATE_CONTINUE;
}

HOT_WAY enum gate vm_gate(struct hart *hart, struct vm_exit *exit)
{
    hart->exits[exit->kind]++;
    /* A call is told where it is made: vm_call. */
    if (exit->kind != EXIT_CALL && vm_observed(hart->vm))
        return observe_exit(hart, exit);
    return exit_take(hart, exit);
}
