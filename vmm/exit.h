/* exit.h: the guest has stopped, and this is why. */
/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/call.h"
#include "vmm/mem.h"

struct hart;
struct vm;

/*
 * Functions on the way of every exit lie together in the program. Behind a host's kernel and
 * its KVM nothing of ours is in the first caches or the TLB, and each further page of code
 * costs.
 */
#define HOT_WAY __attribute__((hot))

#define EXIT_CODE_MAX 16 /* bytes of code that a fault shows */

enum exit_kind {
    EXIT_CALL,   /* ecall to the monitor */
    EXIT_MMIO,   /* access outside RAM */
    EXIT_WFI,    /* the hart waits for an interrupt */
    EXIT_STOP,   /* the engine says that this hart is done */
    EXIT_FAULT,  /* the guest did what the engine cannot continue from */
    EXIT_BUDGET, /* the step budget is spent */
    EXIT_DEBUG,  /* breakpoint or single step */
    EXIT_INTR,   /* kicked: look at hart->requests */
    EXIT_PIO,    /* access to an I/O port of x86; told in mmio, at BUS_PORT */
    EXIT_KINDS,
};

/*
 * One exit. The engine fills kind and the member of the union; the core fills the reply inside
 * it (call.error, call.value, call.disp; mmio.data of a read; mmio.failed).
 */
struct vm_exit {
    enum exit_kind kind;
    union {
        struct call call;
        struct {
            gpa_t gpa;
            uint64_t data; /* little-endian value, zero-extended from size bytes */
            uint8_t size;  /* 1, 2, 4 or 8 */
            bool write;
            bool failed; /* reply: nothing answers there, the engine raises an access fault */
        } mmio;
        struct {
            uint64_t pc;
            uint64_t cause; /* scause encoding */
            uint64_t tval;
            uint32_t insn;   /* the instruction; 0: not told */
            const char *why; /* static text */
            /* Where causes have no numbers (x86): what happened; NULL: cause tells. */
            const char *what;
            /* Bytes of code, ncode of them; those from `code_pc` on are at pc. */
            uint8_t code[EXIT_CODE_MAX];
            uint8_t ncode, code_pc;
        } fault;
        struct {
            uint64_t pc; /* of the next instruction */
        } debug;
    };
};

/* Is it an access to a device, told in mmio? */
static inline bool exit_is_access(enum exit_kind kind)
{
    return kind == EXIT_MMIO || kind == EXIT_PIO;
}

/* What the engine does next. */
enum gate {
    GATE_CONTINUE, /* commit the reply and run on */
    GATE_LEAVE,    /* commit the reply, then return from run() */
    GATE_PARK,     /* commit nothing, keep pc on the instruction, return from run() */
};

/*
 * The gate: every crossing out of the guest passes here once, called by the engine on the
 * hart's thread from inside engine->run (engine.h, "Delivery").
 */
enum gate vm_gate(struct hart *hart, struct vm_exit *exit);

/*
 * Makes a call whose personality, ext, fn and arg are filled in: the core's own exit, or
 * call_dispatch. For the gate, and for devices that take calls another way than by ecall.
 */
void vm_call(struct hart *hart, struct call *call);

/*
 * What an engine does when a call's handler has answered with c->disp: for those that have
 * called it without the gate (call_fast). Not for CALL_PASS of a call that the gate has not
 * seen.
 */
enum gate call_settle(struct hart *hart, struct call *c);

const char *exit_kind_name(enum exit_kind kind);
/* "load page fault": an exception of the guest, by its scause. */
const char *exit_cause_name(uint64_t cause);

/* What vm_gate and vm_call do beside telling vm->observer; for observe.c. */
enum gate exit_take(struct hart *hart, struct vm_exit *exit);
void call_make(struct hart *hart, struct call *call);

#endif
